//! Offers, and what is done with shares: the rules of `lifecycle` asked, their answer carried out.

use crate::id::{AssetId, Epoch, ShareId, StreamName, TenantId};
use crate::share::configuration::PartnershipNeed;
use crate::share::event::Sender;
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::payload::{Offer, ShareAction, Update};
use crate::share::graph::asset::Asset;
use crate::share::lifecycle;
use crate::share::lifecycle::context::{Actor, Bond, Party, RuleContext, TargetSlot};
use crate::share::lifecycle::record::{NOTHING, Share, ShareNumber, TenantNumber, Written};
use crate::share::lifecycle::{Offered, Transition};
use crate::share::profile_slot::ProfileSlot;
use crate::share::state::{ExpiryCause, Holders, Reason, State};
use crate::share::status::{Audience, Document, StatusDocument, StatusTopic};
use crate::share::stream_lists::StreamNumber;
use crate::share::table::tenant::Partnership;
use crate::share::table::{Folded, ShareTable};
use crate::time::{TimestampMs, TimestampNs};

impl Share {
    /// It ends now, by somebody's will.
    pub(crate) fn end(&mut self, state: State, reason: Reason, now: TimestampMs) {
        self.state = state;
        self.reason = Some(reason);
        self.set_holders(Holders::NONE);
        self.set_since(Some(now));
        self.set_lingers(false);
        self.forget_pauses();
        self.forget_code();
    }

    /// It ends by its own time.
    pub(crate) fn expire(&mut self, cause: ExpiryCause, lingers: bool) {
        self.state = State::Expired;
        self.reason = Some(match cause {
            ExpiryCause::Offer => Reason::OfferLapsed,
            ExpiryCause::Access => Reason::AccessEnded,
        });
        self.set_holders(Holders::NONE);
        self.set_since(None);
        self.forget_code();
        self.set_lingers(lingers);
        if !lingers {
            self.forget_pauses();
        }
    }

    /// These hold a pause too (docs/rules/shares.md#pauses).
    pub(crate) fn hold(&mut self, holders: Holders, now: TimestampMs) {
        if self.state == State::Active {
            self.state = State::Paused;
            self.set_since(Some(now));
        }
        self.set_holders(self.holders().with(holders));
    }

    /// These hold none any more.
    pub(crate) fn release(&mut self, holders: Holders, now: TimestampMs) {
        self.set_holders(self.holders().without(holders));
        if self.state == State::Paused && self.holders().is_empty() {
            self.end_pause(now);
            self.state = State::Active;
            self.set_since(None);
        }
    }

    fn update(&mut self, update: &Update<'_>) {
        if let Some(permission) = update.permission {
            self.set_permission(permission);
        }
        if let Some(starts) = update.starts {
            self.set_starts(starts);
        }
        if let Some(ends) = update.ends {
            self.set_ends(ends);
        }
        if let Some(label) = update.label {
            self.set_label(label);
        }
    }
}

impl ShareTable {
    /// An event on a share that is there (docs/rules/shares.md#order-of-checks).
    pub(crate) fn change_share(&mut self, id: &str, deed: &ShareAction<'_>, actor: Actor<'_>, folded: &mut Folded) -> Result<(), Reason> {
        if !ShareId::is_valid(id) || !lifecycle::deed_ids_are_valid(deed) {
            return Err(Reason::InvalidId);
        }
        let number = self.find_share(id).ok_or(Reason::UnknownShare)?;
        let now = self.now();
        match lifecycle::decide(&self.graph.shares[number.0], deed, actor, now, self)? {
            Transition::Resend(expires, code) => self.resend(number, expires, code, folded),
            Transition::Accept { target, target_asset, streams, makes_partners } => {
                let target = target.number.or_else(|| TenantId::parse(target.id).ok().map(|id| self.tenants.number(&id)));
                if let Some(target) = target.filter(|_| makes_partners) {
                    self.make_partners(self.graph.shares[number.0].owner, target);
                }
                self.accept(number, target, target_asset, streams, folded);
            }
            Transition::End(state, reason) => self.change(number, folded, |share| share.end(state, reason, now)),
            Transition::Update { update, streams, profile } => {
                let streams = streams.map(|order| self.streams.number(&order));
                let target_asset = update.target_asset.map(|text| self.own_target_asset(number, text));
                self.change(number, folded, |share| {
                    share.update(update);
                    share.streams = streams.unwrap_or(share.streams);
                    share.profile = profile.unwrap_or(share.profile);
                    if let Some(target_asset) = target_asset {
                        share.target_asset = target_asset;
                    }
                });
            }
            Transition::Hold(holders) => self.change(number, folded, |share| share.hold(holders, now)),
            Transition::Release(holders) => self.change(number, folded, |share| share.release(holders, now)),
            Transition::Expire(cause) => self.expire(number, cause, folded),
        }
        Ok(())
    }

    fn resend(&mut self, number: ShareNumber, expires: Option<TimestampNs>, code: Option<CodeHash>, folded: &mut Folded) {
        let (now, epoch) = (self.now(), self.graph.epoch);
        self.change(number, folded, |share| {
            if expires.is_some() {
                share.set_offer_expires(expires);
                share.extra_mut().resent_at = Some(now);
            }
            if let Some(code) = code {
                share.set_code_hash(code);
            }
            share.invite_again(epoch);
        });
    }

    fn accept(
        &mut self,
        number: ShareNumber,
        target: Option<TenantNumber>,
        target_asset: Option<&str>,
        streams: Option<Vec<StreamNumber>>,
        folded: &mut Folded,
    ) {
        let now = self.now();
        let streams = streams.map(|order| self.streams.number(&order));
        let target_asset = target_asset.map(|text| self.own_target_asset(number, text));
        self.change(number, folded, |share| {
            share.state = State::Active;
            share.set_target(target);
            share.set_accepted_at(now);
            share.streams = streams.unwrap_or(share.streams);
            if let Some(target_asset) = target_asset {
                share.target_asset = target_asset;
            }
            share.forget_invitation();
        });
    }

    /// A target asset as a share keeps it: none where it is the owner's id.
    fn own_target_asset(&self, number: ShareNumber, text: &str) -> Option<AssetId> {
        let asset = self.graph.shares[number.0].asset;
        let is_owners = asset != NOTHING && self.graph.assets[asset].id.as_str() == text;
        if is_owners { None } else { AssetId::parse(text).ok() }
    }

    /// An offer: rejected, a FAILED share, a PENDING one, or an ACTIVE one where nobody needs to accept
    /// (docs/rules/partnerships.md#automatic-acceptance).
    pub(crate) fn offer(&mut self, sender: Sender<'_>, offer: &Offer<'_>, folded: &mut Folded) -> Result<(), Reason> {
        let owner = match (sender, offer.owner) {
            (Sender::Tenant(own), named) if named.is_none_or(|named| named == own) => own,
            (Sender::Tenant(_) | Sender::Engine, _) => return Err(Reason::NotOwner),
            (Sender::Operator, named) => named.ok_or(Reason::InvalidEvent)?,
        };
        let owner = TenantId::parse(owner).map_err(|_| Reason::InvalidId)?;
        let id = ShareId::parse(offer.share).map_err(|_| Reason::InvalidId)?;
        if self.find_share(id.as_str()).is_some() {
            return Err(Reason::DuplicateShare);
        }
        let owner_party = Party { id: owner.as_str(), number: self.tenants.find(owner.as_str()) };
        let target = offer.target_tenant.map(|id| Party { id, number: self.tenants.find(id) });
        let decided = lifecycle::check_offer(offer, owner_party, target, self.now(), self);
        let target = offer.target_tenant.and_then(|id| TenantId::parse(id).ok());
        let owner = self.tenants.number(&owner);
        match decided {
            Ok(offered) => self.take_offer(id, owner, target.as_ref(), offer, &offered, folded),
            Err(reason) => self.fail_offer(id, owner, target.as_ref(), offer, reason, folded),
        }
        Ok(())
    }

    fn take_offer(
        &mut self,
        id: ShareId,
        owner: TenantNumber,
        target: Option<&TenantId>,
        offer: &Offer<'_>,
        offered: &Offered,
        folded: &mut Folded,
    ) {
        let now = self.now();
        let mut share = Share::new(id, owner, if offered.is_accepted { State::Active } else { State::Pending }, now);
        share.asset = self.asset_number(owner, offer.asset);
        share.target_asset = offer.target_asset.filter(|text| *text != offer.asset).and_then(|text| AssetId::parse(text).ok());
        share.set_target(target.map(|id| self.tenants.number(id)));
        share.streams = self.streams.number(&offered.streams);
        share.profile = offered.profile;
        self.fill(&mut share, offer);
        if offered.is_accepted {
            share.set_accepted_at(now);
        }
        let number = self.enter(share, folded);
        self.publish_documents(number, folded);
    }

    /// A FAILED share keeps what it takes to show it again. No event on it is taken.
    fn fail_offer(
        &mut self,
        id: ShareId,
        owner: TenantNumber,
        target: Option<&TenantId>,
        offer: &Offer<'_>,
        reason: Reason,
        folded: &mut Folded,
    ) {
        let mut share = Share::new(id, owner, State::Failed, self.now());
        share.reason = Some(reason);
        share.set_since(Some(self.now()));
        share.set_target(target.map(|id| self.tenants.number(id)));
        share.asset = self.asset_number(owner, offer.asset);
        share.target_asset = offer.target_asset.filter(|text| *text != offer.asset).and_then(|text| AssetId::parse(text).ok());
        let known: Vec<StreamNumber> = offer.streams.iter().filter_map(|name| self.stream(name)).collect();
        share.streams = self.streams.number(&known);
        if let Some(profile) = self.profile(Some(owner), offer.profile) {
            share.profile = profile;
        }
        self.fill(&mut share, offer);
        let number = self.enter(share, folded);
        let offered = self.offered_document(&self.graph.shares[number.0], offer);
        let value = offered.write(Audience::Owner, self.epoch());
        if offered != self.document(&self.graph.shares[number.0]) {
            self.graph.shares[number.0].extra_mut().written = Some(Box::new(written(offer)));
        }
        // The target does not see it (docs/rules/status.md#who-sees-what).
        for topic in [StatusTopic::Shares, StatusTopic::Tenant(self.tenants.get(owner).id.clone())] {
            folded.documents.push(StatusDocument { topic, key: offer.share.to_owned(), timestamp: self.now(), value: value.clone() });
        }
    }

    /// The document of a failed offer says what was offered, as it was written.
    fn offered_document<'t>(&'t self, share: &'t Share, offer: &Offer<'t>) -> Document<'t> {
        Document {
            asset: Some(offer.asset),
            label: offer.label,
            target_tenant: offer.target_tenant,
            invitee: offer.invitee,
            target_asset: Some(offer.target_asset.unwrap_or(offer.asset)),
            streams: offer.streams.clone(),
            profile: Some(offer.profile),
            permission: offer.permission,
            starts: offer.starts,
            ends: offer.ends,
            offer_expires: offer.offer_expires,
            history: offer.history,
            message: offer.message,
            ..self.document(share)
        }
    }

    /// What an offer says besides ids.
    fn fill(&self, share: &mut Share, offer: &Offer<'_>) {
        share.set_permission(offer.permission);
        share.set_history(offer.history);
        share.set_label(offer.label);
        if let Some(message) = offer.message {
            share.extra_mut().message = Some(message.into());
        }
        if let Some(invitee) = offer.invitee {
            share.invite(invitee, offer.code_hash.filter(|_| share.state == State::Pending), self.graph.epoch);
        }
        share.set_starts(offer.starts);
        share.set_ends(offer.ends);
        share.set_offer_expires(offer.offer_expires);
    }

    /// The number of an owner's asset; `NOTHING` of what is no asset id.
    fn asset_number(&mut self, owner: TenantNumber, text: &str) -> u32 {
        let owner_id = &self.tenants.get(owner).id;
        if let Some(number) = self.graph.find(owner_id.as_str(), text, |number| number == owner) {
            return number;
        }
        let Ok(id) = AssetId::parse(text) else { return NOTHING };
        self.graph.add_asset(owner_id, Asset::new(id, owner))
    }
}

impl ShareTable {
    /// Whether the two are in one line of the tree, and their partnership.
    pub(crate) fn ties(&self, owner: TenantNumber, target: TenantNumber) -> (bool, Partnership) {
        let is_family = self.tenants.is_at_or_above(owner, target) || self.tenants.is_at_or_above(target, owner);
        (is_family, self.pairs.find(owner, target).map_or(Partnership::None, |pair| pair.partnership))
    }
}

fn written(offer: &Offer<'_>) -> Written {
    Written {
        asset: offer.asset.into(),
        target_tenant: offer.target_tenant.map(Into::into),
        target_asset: offer.target_asset.unwrap_or(offer.asset).into(),
        streams: offer.streams.iter().map(|stream| (*stream).into()).collect(),
        profile: offer.profile.into(),
    }
}

impl RuleContext for ShareTable {
    fn tenant(&self, id: &str) -> Option<TenantNumber> {
        self.tenants.find(id)
    }

    fn is_suspended(&self, tenant: Option<TenantNumber>) -> bool {
        tenant.is_some_and(|number| self.tenants.get(number).is_suspended())
    }

    fn bond(&self, owner: Option<TenantNumber>, target: Option<TenantNumber>) -> Bond {
        let is_open = self.configuration.partnerships == PartnershipNeed::Open;
        let Some((owner, target)) = owner.zip(target) else { return Bond { may_share: is_open, is_automatic: false } };
        let (is_family, partnership) = self.ties(owner, target);
        Bond {
            may_share: is_open || is_family || matches!(partnership, Partnership::Active { .. }),
            is_automatic: is_family || partnership == Partnership::Active { auto_accept: true },
        }
    }

    fn makes_partners(&self, owner: TenantNumber, target: Option<TenantNumber>, invited_at: Epoch) -> bool {
        let ended_at = target.and_then(|target| self.pairs.find(owner, target)?.ended_at);
        self.configuration.partnerships == PartnershipNeed::Invited && ended_at.is_none_or(|ended_at| ended_at < invited_at)
    }

    fn stream(&self, name: &str) -> Option<StreamNumber> {
        self.streams.find(name)
    }

    fn stream_name(&self, stream: StreamNumber) -> &StreamName {
        self.streams.name(stream)
    }

    fn streams_of(&self, share: &Share) -> &[StreamNumber] {
        &self.streams.get(share.streams).order
    }

    fn profile(&self, owner: Option<TenantNumber>, name: &str) -> Option<ProfileSlot> {
        let slot = if name == "all" { ProfileSlot::ALL } else { *self.tenants.get(owner?).profiles.get(name)? };
        self.is_published(slot).then_some(slot)
    }

    fn is_published(&self, slot: ProfileSlot) -> bool {
        !self.profiles.get(slot).is_retired
    }

    fn has_section(&self, slot: ProfileSlot, stream: StreamNumber) -> bool {
        self.profiles.get(slot).has_section(self.streams.name(stream))
    }

    fn target_asset_of<'a>(&'a self, share: &'a Share) -> &'a str {
        self.target_asset(share)
    }

    fn is_taken(&self, place: TargetSlot<'_>, except: Option<&Share>, now: TimestampMs) -> bool {
        let Some(target) = place.target else { return false };
        self.places.all(self.place_hash(target, place.asset)).any(|number| {
            let share = &self.graph.shares[number];
            share.target() == Some(target)
                && self.target_asset(share) == place.asset
                && self.streams.get(share.streams).meets(place.streams)
                && !share.has_ended(now)
                && except.is_none_or(|except| except.id != share.id)
        })
    }
}
