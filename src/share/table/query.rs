//! What the table answers about its shares, profiles and the moments to come.

#[cfg(feature = "io")]
use crate::document::Node;
use crate::id::{Epoch, Offset, ShareId, StreamIndex, StreamSet};
use crate::share::configuration::PartnershipNeed;
use crate::share::event::invitation_code::CodeHash;
#[cfg(feature = "io")]
use crate::share::event::{fingerprint::Fingerprint, kind::EventType};
use crate::share::hash_index::hash_of;
use crate::share::lifecycle::record::{Share, ShareNumber};
use crate::share::profile_slot::ProfileSlot;
use crate::share::state::{ExpiryCause, State};
use crate::share::status::{Audience, Document};
#[cfg(feature = "io")]
use crate::share::table::dedup::EventRepeat;
use crate::share::table::profiles::Published;
use crate::share::table::schedule::Calendar;
use crate::share::table::tenant::Partnership;
use crate::share::table::{ShareTable, Touched};
use crate::time::{TimestampMs, TimestampNs};

/// One of a share's moments.
type MomentOf = fn(&Share) -> Option<TimestampNs>;

/// A share whose time has come though its state does not say so yet: an `expired` event is due
/// (docs/rules/exactly-once.md#expired-events).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// The share.
    pub share: ShareId,
    /// What ends.
    pub cause: ExpiryCause,
    /// The share's revision.
    pub revision: u32,
}

/// One share, to look at.
#[derive(Debug, Clone, Copy)]
pub struct ShareView<'t> {
    table: &'t ShareTable,
    share: &'t Share,
}

impl<'t> ShareView<'t> {
    /// Its id.
    pub fn id(self) -> &'t ShareId {
        &self.share.id
    }

    /// Its document.
    pub fn document(self) -> Document<'t> {
        self.table.document(self.share)
    }

    /// Whether it is EXPIRED and late records may still come (docs/rules/release.md#shares-that-count).
    pub fn lingers(self) -> bool {
        self.share.lingers()
    }

    /// Whether the graph has nothing of it but that it is there: its offer is open, or it is over.
    pub fn is_quiet(self) -> bool {
        !(self.share.state.is_live() || self.share.lingers())
    }

    /// The profile that it names.
    pub fn profile(self) -> ProfileSlot {
        self.share.profile
    }

    /// Where it is in its life.
    pub fn state(self) -> State {
        self.share.state
    }

    /// Its revision.
    pub fn revision(self) -> u32 {
        self.share.revision
    }

    /// Whether a target has ever accepted it.
    pub fn was_accepted(self) -> bool {
        self.share.accepted_at().is_some()
    }

    /// The offset of the event that changed it last.
    pub fn changed_at(self) -> Epoch {
        self.share.changed_at()
    }

    /// When the offer lapses.
    #[cfg(feature = "io")]
    pub(crate) fn offer_expires(self) -> Option<TimestampNs> {
        self.share.offer_expires()
    }

    /// What the code hashes to that a tenant accepts this invitation with.
    pub fn code_hash(self) -> Option<CodeHash> {
        self.share.code_hash()
    }

    /// The address of an invitation, after it was accepted too. The owner and the operator alone are shown it.
    pub fn invited_address(self) -> Option<&'t str> {
        self.share.invitee()
    }

    /// Whether its two tenants could share if a partnership were needed. Of an invitation there is no second one.
    pub fn has_bound_parties(self) -> bool {
        let Some(target) = self.share.target() else { return true };
        let (is_family, partnership) = self.table.ties(self.share.owner, target);
        is_family || matches!(partnership, Partnership::Active { .. })
    }

    /// Whether it is an invitation whose code would make partners, had no partnership of its owner ended since it was sent.
    pub fn is_overtaken_invitation(self) -> bool {
        let is_invited = self.table.configuration.partnerships == PartnershipNeed::Invited && self.share.code_hash().is_some();
        let has_ended = |pair: &u32| self.table.pairs.get(*pair).ended_at.is_some_and(|ended_at| ended_at > self.share.invited_at());
        is_invited && self.table.tenants.get(self.share.owner).pairs.iter().any(has_ended)
    }

    /// Its document as the status topics have it, `epoch` being the offset of the event that changed it last.
    pub fn to_json(self, audience: Audience) -> Vec<u8> {
        self.document().write(audience, self.share.changed_at())
    }
}

/// One published profile, to look at.
#[derive(Debug, Clone, Copy)]
pub struct ProfileView<'t> {
    /// Whose it is.
    pub owner: &'t str,
    /// Its name.
    pub name: &'t str,
    /// Its slot in the graph.
    pub slot: ProfileSlot,
    /// Whether it is retired.
    pub is_retired: bool,
    /// 1 at the first publication, one more at each that changed it.
    pub revision: u32,
    /// `spec` as it was published last, JSON.
    pub spec: &'t [u8],
    /// The text that `spec` was written as, if the event brought one.
    pub source: Option<&'t str>,
}

impl ShareTable {
    /// The offset of the last record folded.
    pub fn epoch(&self) -> Epoch {
        self.graph.epoch
    }

    /// The largest control time folded; the year 1 before the first.
    pub fn control_time(&self) -> TimestampMs {
        self.graph.control_time
    }

    /// The offsets that wait for their skip, rising (docs/rules/events.md#unreadable-records).
    pub fn unreadable_offsets(&self) -> &[Offset] {
        &self.graph.waiting
    }

    /// Whether an event of this source and id is remembered at `now`: one that is written now would be a repeat of it, or be rejected.
    pub fn knows_event(&self, source: &str, id: &str, now: TimestampMs) -> bool {
        self.memory.knows(source, id, now)
    }

    /// Whether an event of this source and id is remembered at `now`, and if so whether it said the same.
    #[cfg(feature = "io")]
    pub(crate) fn repeats(&self, source: &str, id: &str, kind: EventType, data: &Node, now: TimestampMs) -> EventRepeat {
        self.memory.look_up(&Fingerprint::of(source, id, &kind.full_name(), data), now)
    }

    /// The share of this id.
    pub fn share(&self, id: &str) -> Option<ShareView<'_>> {
        self.find_share(id).map(|number| ShareView { table: self, share: &self.graph.shares[number.0] })
    }

    pub(crate) fn view_of_share<'t>(&'t self, share: &'t Share) -> ShareView<'t> {
        ShareView { table: self, share }
    }

    /// Every share, in the order they were offered.
    pub fn shares(&self) -> impl Iterator<Item = ShareView<'_>> {
        self.graph.shares.iter().map(|(_, share)| ShareView { table: self, share })
    }

    /// The live shares that feed an asset of a target; perhaps some others, too.
    pub(crate) fn live_shares_at(&self, target: &str, asset: &str) -> impl Iterator<Item = ShareView<'_>> {
        self.places.all(hash_of(&[target, asset])).map(|number| self.view_of_share(&self.graph.shares[number]))
    }

    /// How many shares there are.
    pub fn share_count(&self) -> u32 {
        self.graph.shares.len()
    }

    /// The slot of a profile that this tenant has published, retired or not.
    pub fn profile_slot(&self, owner: &str, name: &str) -> Option<ProfileSlot> {
        let owner = self.tenants.find(owner)?;
        self.tenants.get(owner).profiles.get(name).copied()
    }

    /// How many shares are in each state.
    pub fn states(&self) -> impl Iterator<Item = (State, u64)> {
        State::ALL.into_iter().zip(self.counts)
    }

    /// Every profile that was ever published, in the order of their slots; not the built-in one.
    pub fn profiles(&self) -> impl Iterator<Item = ProfileView<'_>> {
        self.profiles.iter().map(|(slot, profile)| self.view_of(slot, profile))
    }

    /// The profile in a slot, the built-in one too; that has no owner and no text.
    pub fn profile_in(&self, slot: ProfileSlot) -> Option<ProfileView<'_>> {
        (slot.0 < self.profiles.len()).then(|| self.view_of(slot, self.profiles.get(slot)))
    }

    fn view_of<'t>(&'t self, slot: ProfileSlot, profile: &'t Published) -> ProfileView<'t> {
        ProfileView {
            owner: profile.owner.map_or("", |owner| self.tenants.get(owner).id.as_str()),
            name: profile.name.as_str(),
            slot,
            is_retired: profile.is_retired,
            revision: profile.revision,
            spec: &profile.spec,
            source: profile.source.as_deref(),
        }
    }

    /// The shares of an asset, by share id, each with whether it names a stream that is read here. The asset is found by its index; of
    /// every share one number is looked at, since ended ones are in no list of their asset; who knows the owner's shares
    /// (`SharesByTenant`) looks at these alone.
    pub fn shares_of_asset(&self, owner: &str, asset: &str, stream: StreamIndex) -> Vec<(ShareView<'_>, bool)> {
        self.shares_of_asset_among((0..self.graph.shares.len()).map(ShareNumber), owner, asset, stream)
    }

    /// The same, where all shares of this asset are among these.
    pub(crate) fn shares_of_asset_among(
        &self,
        numbers: impl Iterator<Item = ShareNumber>,
        owner: &str,
        asset: &str,
        stream: StreamIndex,
    ) -> Vec<(ShareView<'_>, bool)> {
        let found = self.tenants.find(owner).and_then(|number| self.graph.find(owner, asset, |of| of == number));
        let Some(asset) = found else { return Vec::new() };
        let is_of = |share: &Share| share.asset == asset;
        let names = |share: &Share| self.streams.get(share.streams).read.contains(stream);
        let shares = numbers.map(|number| &self.graph.shares[number.0]).filter(|share| is_of(share));
        let mut found: Vec<_> = shares.map(|share| (ShareView { table: self, share }, names(share))).collect();
        found.sort_by(|(a, _), (b, _)| a.id().cmp(b.id()));
        found
    }

    /// The next `starts` or `ends` of a live share after `now`, for upsert streams.
    pub fn next_moment(&self, after: TimestampNs) -> Option<TimestampNs> {
        let next = |calendar: &Calendar, moment: MomentOf| {
            let mut best: Option<TimestampNs> = None;
            for (millis, number) in calendar.from(after.millis()) {
                if best.is_some_and(|best| best.millis() < millis) {
                    break;
                }
                let found = moment(&self.graph.shares[number.0]).filter(|m| *m > after);
                best = best.into_iter().chain(found).min();
            }
            best
        };
        self.calendars().into_iter().filter_map(|(calendar, moment)| next(calendar, moment)).min()
    }

    /// The shares whose `starts` or `ends` lies in (after, until], each with its moment, by moment and then share id.
    pub fn moments(&self, after: TimestampNs, until: TimestampNs) -> Vec<(TimestampNs, Touched)> {
        let mut found = Vec::new();
        for (calendar, moment) in self.calendars() {
            for (_, number) in calendar.from(after.millis()).take_while(|(millis, _)| *millis <= until.millis()) {
                let moment = moment(&self.graph.shares[number.0]).filter(|m| *m > after && *m <= until);
                found.extend(moment.zip(self.touched(number)));
            }
        }
        found.sort_by(|a, b| (a.0, &a.1.share).cmp(&(b.0, &b.1.share)));
        found
    }

    /// The live shares that use a profile, not the built-in one, in the order they were offered: at most `limit` of those after `after`.
    pub fn shares_of_profile(&self, slot: ProfileSlot, after: Option<&ShareId>, limit: usize) -> Vec<Touched> {
        if slot.0 >= self.profiles.len() {
            return Vec::new();
        }
        let last = after.and_then(|id| self.find_share(id.as_str()));
        let users = self.profiles.get(slot).users.from(last.unwrap_or(ShareNumber(0))).filter(|number| Some(*number) != last);
        users.take(limit).filter_map(|number| self.touched(number)).collect()
    }

    /// How many live shares use a profile; not those of the built-in one.
    #[cfg(feature = "io")]
    pub(crate) fn user_count(&self, slot: ProfileSlot) -> usize {
        if slot.0 < self.profiles.len() { self.profiles.get(slot).users.len() } else { 0 }
    }

    /// At most `limit` shares whose `offer_expires` or `ends` has come by `control_time` though their state does not say so.
    pub fn due(&self, control_time: TimestampMs, limit: usize) -> Vec<Due> {
        let offers = self.schedule.offers.up_to(control_time).map(|number| (number, ExpiryCause::Offer));
        let ends = self.schedule.ends.up_to(control_time).map(|number| (number, ExpiryCause::Access));
        let due = offers.chain(ends).map(|(number, cause)| (&self.graph.shares[number.0], cause)).filter(|(share, cause)| match cause {
            ExpiryCause::Offer => share.has_lapsed(control_time),
            ExpiryCause::Access => share.has_ended(control_time),
        });
        due.take(limit).map(|(share, cause)| Due { share: share.id.clone(), cause, revision: share.revision }).collect()
    }

    /// A share's end, if it is over or its access has passed at `now`: the earlier of the two times.
    pub fn end_of(&self, id: &ShareId, now: TimestampNs) -> Option<TimestampMs> {
        let share = &self.graph.shares[self.find_share(id.as_str())?.0];
        own_end(share.ended_at(), share.ends(), now)
    }

    /// When a share was accepted.
    pub fn accepted_at(&self, id: &str) -> Option<TimestampMs> {
        self.graph.shares[self.find_share(id)?.0].accepted_at()
    }

    /// What a profile says as it was published last, JSON; none while it is retired.
    pub(crate) fn published_text(&self, slot: ProfileSlot) -> Option<&[u8]> {
        let profile = self.profiles.get(slot);
        (!profile.is_retired).then_some(&*profile.spec)
    }

    /// What an accepted share that is not over names: its profile and its streams.
    pub(crate) fn naming(&self, id: &str) -> Option<(ProfileSlot, StreamSet)> {
        let share = &self.graph.shares[self.find_share(id)?.0];
        share.state.is_live().then(|| (share.profile, self.streams.get(share.streams).read))
    }

    fn calendars(&self) -> [(&Calendar, MomentOf); 2] {
        [(&self.schedule.starts, Share::starts), (&self.schedule.ends, Share::ends)]
    }

    pub(crate) fn find_share(&self, id: &str) -> Option<ShareNumber> {
        self.by_id.find(hash_of(&[id]), |number| self.graph.shares[number].id.as_str() == id).map(ShareNumber)
    }

    /// A share's document, from what the table holds.
    pub(crate) fn document<'t>(&'t self, share: &'t Share) -> Document<'t> {
        let asset = self.graph.assets.get(share.asset).map(|asset| asset.id.as_str());
        let target = share.target();
        let is_known = share.profile.0 < self.profiles.len();
        let document = Document {
            share: share.id.as_str(),
            owner: self.tenants.get(share.owner).id.as_str(),
            asset,
            label: share.label(),
            target_tenant: target.map(|number| self.tenants.get(number).id.as_str()),
            invitee: share.invitee().filter(|_| target.is_none()),
            target_asset: share.target_asset.as_ref().map(|id| id.as_str()).or(asset),
            streams: self.streams.get(share.streams).order.iter().map(|stream| self.streams.name(*stream).as_str()).collect(),
            profile: is_known.then(|| self.profiles.get(share.profile).name.as_str()),
            permission: share.permission(),
            starts: share.starts(),
            ends: share.ends(),
            offer_expires: share.offer_expires(),
            history: share.has_history(),
            message: share.extra().and_then(|extra| extra.message.as_deref()),
            state: share.state,
            paused_by: share.holders(),
            reason: share.reason,
            revision: share.revision,
            offered_at: share.offered_at(),
            accepted_at: share.accepted_at(),
            ended_at: share.ended_at(),
            granted_from: share.granted_from(),
        };
        let Some(written) = share.extra().and_then(|extra| extra.written.as_deref()) else { return document };
        Document {
            asset: Some(&written.asset),
            target_tenant: written.target_tenant.as_deref(),
            target_asset: Some(&written.target_asset),
            streams: written.streams.iter().map(|stream| &**stream).collect(),
            profile: Some(&written.profile),
            ..document
        }
    }
}

/// A share's own end: the earlier of when it ended and of `ends`, if it is over or its access has passed.
pub fn own_end(ended_at: Option<TimestampNs>, ends: Option<TimestampNs>, now: TimestampNs) -> Option<TimestampMs> {
    let passed = ends.filter(|ends| *ends <= now);
    ended_at.into_iter().chain(passed).min().map(TimestampNs::millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_ended_at_the_earlier_of_its_two_times() {
        let moment = |at: i64| Some(TimestampMs(at).moment());
        let end = |ended: Option<TimestampNs>, ends: Option<TimestampNs>| own_end(ended, ends, TimestampMs(100).moment()).map(|at| at.0);
        assert_eq!(end(None, None), None);
        assert_eq!(end(None, moment(101)), None, "access goes on");
        assert_eq!(end(None, moment(100)), Some(100), "at the moment itself it is over");
        assert_eq!(end(moment(80), moment(101)), Some(80), "revoked before its time");
        assert_eq!(end(moment(80), moment(60)), Some(60), "revoked when its access was over already");
        assert_eq!(end(moment(80), None), Some(80));
    }
}
