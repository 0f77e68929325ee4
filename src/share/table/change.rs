//! Carrying a change of one share out: its fields, its document, every index that leads to it, the graph.

use rustc_hash::FxHashMap;

use crate::id::StreamSet;
use crate::share::graph::asset::{Asset, Inactive};
use crate::share::graph::{GrantState, ShareGraph};
use crate::share::hash_index::hash_of;
use crate::share::lifecycle::record::{NOTHING, Share, ShareNumber, TenantNumber};
use crate::share::profile_slot::ProfileSlot;
use crate::share::state::{ExpiryCause, State};
use crate::share::status::{Audience, StatusDocument, StatusTopic};
use crate::share::table::{Folded, ShareTable};
use crate::time::TimestampMs;

/// Under what a share is found, besides its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Links {
    pub(crate) place: Option<u64>,
    pub(crate) profile: Option<ProfileSlot>,
    pub(crate) pair: Option<[TenantNumber; 2]>,
    pub(crate) offer: Option<TimestampMs>,
    pub(crate) starts: Option<TimestampMs>,
    pub(crate) ends: Option<TimestampMs>,
    pub(crate) grace: Option<TimestampMs>,
}

const UNLINKED: Links = Links { place: None, profile: None, pair: None, offer: None, starts: None, ends: None, grace: None };

/// Between whom a share is, and of what.
#[derive(Debug, Clone, Copy)]
pub struct ShareParties<'t> {
    /// The share.
    pub share: &'t str,
    /// Its owner.
    pub owner: &'t str,
    /// Its asset, in the owner's words.
    pub asset: &'t str,
    /// Its target; none while an invitee is not bound.
    pub target: Option<&'t str>,
}

/// What the graph shows of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Absent,
    Quiet(StreamSet, Inactive),
    Granted(GrantState),
}

impl Presence {
    fn is_granted(self) -> bool {
        matches!(self, Self::Granted(_))
    }
}

impl ShareTable {
    /// Changes a share. If its document differs it is a new revision and goes to the parties (docs/rules/events.md#revisions).
    pub(crate) fn change(&mut self, number: ShareNumber, folded: &mut Folded, doing: impl FnOnce(&mut Share)) {
        let before = self.graph.shares[number.0].clone();
        doing(&mut self.graph.shares[number.0]);
        let is_new = self.document(&before) != self.document(&self.graph.shares[number.0]);
        if is_new {
            self.graph.shares[number.0].revision += 1;
            self.graph.shares[number.0].set_changed_at(self.graph.epoch);
            self.publish_documents(number, folded);
        }
        if before.state == State::Pending && before.is_invitation() && self.graph.shares[number.0].state != State::Pending {
            folded.closed.push(before.id.clone());
        }
        self.counts[before.state as usize] -= 1;
        self.counts[self.graph.shares[number.0].state as usize] += 1;
        self.relink(number, self.links(&before), self.links(&self.graph.shares[number.0]));
        let (was, is) = (self.presence(&before), self.presence(&self.graph.shares[number.0]));
        self.show(number, was, is);
        if was != is && (was.is_granted() || is.is_granted()) || is_new && is.is_granted() {
            folded.touched.extend(self.touched(number));
        }
    }

    /// Takes a new share into every index and the graph.
    pub(crate) fn enter(&mut self, mut share: Share, folded: &mut Folded) -> ShareNumber {
        share.set_changed_at(self.graph.epoch);
        let (hash, state) = (hash_of(&[share.id.as_str()]), share.state);
        let number = ShareNumber(self.graph.shares.push(share));
        self.by_id.insert(hash, number.0);
        self.counts[state as usize] += 1;
        let share = &self.graph.shares[number.0];
        let (links, presence) = (self.links(share), self.presence(share));
        self.relink(number, UNLINKED, links);
        self.show(number, Presence::Absent, presence);
        if self.presence(&self.graph.shares[number.0]).is_granted() {
            folded.touched.extend(self.touched(number));
        }
        number
    }

    /// Tells of the grant of a share of which only the tenants' suspension changed: graphs read that from the tenants.
    pub(crate) fn refresh(&mut self, number: ShareNumber, folded: &mut Folded) {
        if self.presence(&self.graph.shares[number.0]).is_granted() {
            folded.touched.extend(self.touched(number));
        }
    }

    /// EXPIRED shares whose `late_grace` is over are grants no longer (docs/rules/release.md#shares-that-count).
    pub(crate) fn end_graces(&mut self, folded: &mut Folded) {
        let now = self.now();
        let over: Vec<ShareNumber> =
            self.schedule.graces.up_to(now).filter(|number| self.grace_is_over(&self.graph.shares[number.0], now)).collect();
        for number in over {
            self.change(number, folded, |share| {
                share.set_lingers(false);
                share.forget_pauses();
            });
        }
    }

    /// Whether a share that expired has no `late_grace` left at `now`.
    pub(crate) fn grace_is_over(&self, share: &Share, now: TimestampMs) -> bool {
        share.ends().is_none_or(|ends| now.moment() >= ends.after(self.rules.late_grace))
    }

    /// Records that a share's time has come (docs/rules/shares.md#lapse-and-end).
    pub(crate) fn expire(&mut self, number: ShareNumber, cause: ExpiryCause, folded: &mut Folded) {
        let share = &self.graph.shares[number.0];
        let lingers = cause == ExpiryCause::Access && share.state == State::Active && !self.grace_is_over(share, self.now());
        self.change(number, folded, |share| share.expire(cause, lingers));
    }

    /// A share's documents, in the order of docs/rules/status.md#order-of-documents.
    pub(crate) fn publish_documents(&self, number: ShareNumber, folded: &mut Folded) {
        let share = &self.graph.shares[number.0];
        let (document, epoch) = (self.document(share), self.epoch());
        let mut put = |topic, audience| {
            let key = share.id.as_str().to_owned();
            folded.documents.push(StatusDocument { topic, key, timestamp: self.now(), value: document.write(audience, epoch) });
        };
        put(StatusTopic::Shares, Audience::Owner);
        put(StatusTopic::Tenant(self.tenants.get(share.owner).id.clone()), Audience::Owner);
        if let Some(target) = share.target() {
            put(StatusTopic::Tenant(self.tenants.get(target).id.clone()), Audience::Target);
        }
    }

    /// The hash of a place (docs/rules/shares.md#one-share-a-place).
    pub(crate) fn place_hash(&self, target: TenantNumber, asset: &str) -> u64 {
        hash_of(&[self.tenants.get(target).id.as_str(), asset])
    }

    pub(crate) fn links(&self, share: &Share) -> Links {
        let is_live = share.state.is_live();
        let is_open = share.state == State::Pending;
        let target = share.target();
        Links {
            place: target.filter(|_| is_live).map(|target| self.place_hash(target, self.target_asset(share))),
            profile: Some(share.profile).filter(|slot| is_live && *slot != ProfileSlot::ALL),
            pair: target.filter(|_| is_live || is_open || share.lingers()).map(|target| [share.owner, target]),
            offer: share.offer_expires().filter(|_| is_open).map(|m| m.millis()),
            starts: share.starts().filter(|_| is_live).map(|m| m.millis()),
            ends: share.ends().filter(|_| is_live).map(|m| m.millis()),
            grace: share.ends().filter(|_| share.lingers()).map(|ends| ends.after(self.rules.late_grace).millis()),
        }
    }

    fn relink(&mut self, number: ShareNumber, was: Links, is: Links) {
        if was.place != is.place {
            was.place.inspect(|hash| self.places.remove(*hash, number.0));
            is.place.inspect(|hash| self.places.insert(*hash, number.0));
        }
        if was.pair != is.pair {
            was.pair.inspect(|[owner, target]| self.leave_pair(number, *owner, *target));
            is.pair.inspect(|[owner, target]| self.join_pair(number, *owner, *target));
        }
        if was.grace != is.grace {
            was.grace.inspect(|at| self.schedule.graces.remove(*at, number));
            is.grace.inspect(|at| self.schedule.graces.insert(*at, number));
        }
        if self.shows_grants {
            self.relink_shown(number, was, is);
        }
    }

    /// The links that no event asks for, only those who look at the table.
    fn relink_shown(&mut self, number: ShareNumber, was: Links, is: Links) {
        if was.profile != is.profile {
            was.profile.inspect(|slot| self.profiles.get_mut(*slot).users.remove(number));
            is.profile.inspect(|slot| self.profiles.get_mut(*slot).users.insert(number));
        }
        let now = self.now();
        let schedule = &mut self.schedule;
        for (calendar, was, is, earliest) in [
            (&mut schedule.offers, was.offer, is.offer, None),
            // A start that lies behind is seen with the event that made the share live.
            (&mut schedule.starts, was.starts, is.starts, Some(now)),
            (&mut schedule.ends, was.ends, is.ends, None),
        ] {
            if was != is {
                was.inspect(|at| calendar.remove(*at, number));
                is.filter(|at| Some(*at) >= earliest).inspect(|at| calendar.insert(*at, number));
            }
        }
    }

    pub(crate) fn join_pair(&mut self, number: ShareNumber, owner: TenantNumber, target: TenantNumber) {
        let pair = self.pairs.number(owner, target, &mut self.tenants);
        let second = std::mem::replace(&mut self.pairs.get_mut(pair).first, number.0);
        if second != NOTHING {
            self.graph.shares[second].before = number.0;
        }
        let share = &mut self.graph.shares[number.0];
        (share.before, share.behind) = (NOTHING, second);
    }

    fn leave_pair(&mut self, number: ShareNumber, owner: TenantNumber, target: TenantNumber) {
        let share = &mut self.graph.shares[number.0];
        let (before, behind) = (std::mem::replace(&mut share.before, NOTHING), std::mem::replace(&mut share.behind, NOTHING));
        if behind != NOTHING {
            self.graph.shares[behind].before = before;
        }
        if before != NOTHING {
            self.graph.shares[before].behind = behind;
        } else {
            let pair = self.pairs.number(owner, target, &mut self.tenants);
            self.pairs.get_mut(pair).first = behind;
        }
    }

    /// The shares in a pair's list, by share id.
    pub(crate) fn shares_of_pairs(&self, pairs: &[u32]) -> Vec<ShareNumber> {
        let mut found = Vec::new();
        for pair in pairs {
            let first = self.pairs.get(*pair).first;
            let chain = std::iter::successors((first != NOTHING).then_some(first), |number| {
                let behind = self.graph.shares[*number].behind;
                (behind != NOTHING).then_some(behind)
            });
            found.extend(chain.map(ShareNumber));
        }
        found.sort_by(|a, b| self.graph.shares[a.0].id.cmp(&self.graph.shares[b.0].id));
        found
    }

    pub(crate) fn target_asset<'t>(&'t self, share: &'t Share) -> &'t str {
        match &share.target_asset {
            Some(id) => id.as_str(),
            None if share.asset == NOTHING => "",
            None => self.graph.assets[share.asset].id.as_str(),
        }
    }

    pub(crate) fn presence(&self, share: &Share) -> Presence {
        if share.asset == NOTHING {
            return Presence::Absent;
        }
        if let Some(state) = GrantState::of(share) {
            return Presence::Granted(state);
        }
        let what = if share.state == State::Pending { Inactive::Pending } else { Inactive::Ended };
        Presence::Quiet(self.streams.get(share.streams).read, what)
    }

    /// Brings the asset's numbers to what the share is now.
    fn show(&mut self, number: ShareNumber, was: Presence, is: Presence) {
        if !self.shows_grants || was == is {
            return;
        }
        let number = number.0;
        let shares = &self.graph.shares;
        let Some(asset) = self.graph.assets.get_mut(shares[number].asset) else { return };
        match was {
            Presence::Quiet(streams, what) => asset.count(streams, what, false),
            Presence::Granted(_) if !is.is_granted() => asset.remove(number),
            Presence::Granted(_) | Presence::Absent => {}
        }
        match is {
            Presence::Quiet(streams, what) => asset.count(streams, what, true),
            Presence::Granted(_) if !was.is_granted() => asset.add(number, |other| shares[other].id < shares[number].id),
            Presence::Granted(_) | Presence::Absent => {}
        }
    }

    /// The graph of those shares alone that `is_in` takes; else it is this state's.
    pub fn graph_of(&self, is_in: impl Fn(&ShareParties<'_>) -> bool) -> ShareGraph {
        let (all, mut graph) = (self.graph(), self.graph().without_assets());
        let mut numbers = FxHashMap::default();
        for (number, share) in all.shares.iter() {
            let presence = self.presence(share);
            if presence == Presence::Absent || !is_in(&self.parties_of(share)) {
                continue;
            }
            let asset = *numbers.entry(share.asset).or_insert_with(|| {
                let Asset { id, owner, .. } = &all.assets[share.asset];
                graph.add_asset(&self.tenants.get(*owner).id, Asset::new(id.clone(), *owner))
            });
            let asset = &mut graph.assets[asset];
            match presence {
                Presence::Absent => {}
                Presence::Quiet(streams, what) => asset.count(streams, what, true),
                Presence::Granted(_) => asset.add(number, |other| all.shares[other].id < share.id),
            }
        }
        graph
    }

    fn parties_of<'t>(&'t self, share: &'t Share) -> ShareParties<'t> {
        ShareParties {
            share: share.id.as_str(),
            owner: self.tenants.get(share.owner).id.as_str(),
            asset: self.graph.assets[share.asset].id.as_str(),
            target: share.target().map(|target| self.tenants.get(target).id.as_str()),
        }
    }
}
