//! Which shares each tenant has to do with, so that whoever lists its own looks at nobody else's.

use std::ops::Range;

use crate::id::{StreamIndex, TenantId};
use crate::share::event::invitation_code::CodeHash;
use crate::share::lifecycle::record::{NOTHING, Share, ShareNumber, TenantNumber};
use crate::share::paged_vec::PagedVec;
use crate::share::sorted_set::SortedSet;
use crate::share::state::State;
use crate::share::status::Audience;
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;
use crate::share::view::asset_order::in_order;
use crate::share::view::blocks::{BlockNeedle, ShareBlocks, ShareNotes};
use crate::share::view::by_asset::SharesByAsset;
use crate::share::view::changed::ChangedShares;
use crate::share::view::counts::{CountedShare, SharesByState};
use crate::share::view::invitations::{CountedInvitation, InvitationCounts};

/// Of which side of its shares a tenant asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShareSide {
    /// Those that it owns.
    Owner,
    /// Those that it is the target of.
    Target,
}

/// The shares of each tenant by number, that is in the order they were offered. A clone costs some reference counts.
#[derive(Debug, Clone, Default)]
pub struct SharesByTenant {
    /// By the tenant's number.
    tenants: PagedVec<SharesOfTenant, 16>,
    /// Those that were offered to an address, whoever offered them.
    invitations: SortedSet<ShareNumber>,
    /// Each under a part of the hash of its code, and of those that it had before.
    by_code: SortedSet<(u32, ShareNumber)>,
    pub(crate) by_asset: SharesByAsset,
    pub(crate) changed: ChangedShares,
    /// What all shares have.
    blocks: ShareBlocks,
    /// By share: what it is counted as.
    counted: PagedVec<CountedShare, 64>,
    /// Of the shares of everybody, and of the invitations.
    counts: SharesByState,
    invited: SharesByState,
    outcomes: InvitationCounts,
    /// Those that were accepted and are over.
    over: u32,
    /// By pair: how many live shares are between the two.
    live: PagedVec<u32, 64>,
}

#[derive(Debug, Clone, Default)]
struct SharesOfTenant {
    owned: SortedSet<ShareNumber>,
    /// Not those that it owns too: of these it is the owner.
    received: SortedSet<ShareNumber>,
    /// Of the received ones those that are PENDING.
    offered: SortedSet<ShareNumber>,
    /// Of the owned ones those that were offered to an address.
    invitations: SortedSet<ShareNumber>,
    /// The numbers of its assets that were offered to somebody, in people's order.
    assets: SortedSet<u32>,
    /// What the owned ones have, and the received ones.
    owned_blocks: ShareBlocks,
    received_blocks: ShareBlocks,
    counts: TenantCounts,
}

/// How many shares of each state a tenant has to do with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct TenantCounts {
    /// Those that it owns.
    pub(crate) owned: SharesByState,
    /// Those that it receives, as far as it sees them.
    pub(crate) received: SharesByState,
    /// Of the received ones those that were accepted and are over.
    pub(crate) over: u32,
    /// Of the owned ones those that were offered to an address, and what became of them.
    pub(crate) invited: SharesByState,
    pub(crate) outcomes: InvitationCounts,
}

/// Which of a tenant's shares are looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShareList {
    /// All of this side, of both if none is named.
    All(Option<ShareSide>),
    /// The offers to it that it has neither accepted nor declined.
    OpenOffers,
    /// Its invitations, open or not.
    Invitations,
}

impl SharesByTenant {
    /// Those of a table.
    pub fn of(table: &ShareTable) -> Self {
        let mut lists = Self { changed: ChangedShares::after(table.epoch()), ..Self::default() };
        lists.take_new(table);
        lists
    }

    /// Takes in the shares that the table has got since. To be called after each record that was folded, with the shares whose
    /// documents it changed: an invitation has a target only when it is accepted, and a target may change its words.
    pub fn follow<'s>(&mut self, table: &ShareTable, changed: impl Iterator<Item = &'s str>) {
        let new = (self.counted.len()..table.graph.shares.len()).map(ShareNumber);
        self.take_new(table);
        let mut notes = ShareNotes::default();
        let changed_at = |number: ShareNumber| table.graph.shares[number.0].changed_at();
        new.for_each(|number| self.changed.note(changed_at(number), number));
        for number in changed.filter_map(|id| table.find_share(id)) {
            self.take_changes(table, number, &mut notes);
            self.changed.note(changed_at(number), number);
        }
    }

    fn take_new(&mut self, table: &ShareTable) {
        let mut notes = ShareNotes::default();
        for number in self.counted.len()..table.graph.shares.len() {
            let share = &table.graph.shares[number];
            let number = ShareNumber(number);
            let own = self.of_number(share.owner.0);
            own.owned.insert(number);
            if share.invitee().is_some() {
                own.invitations.insert(number);
                self.invitations.insert(number);
            }
            if let Some(id) = table.offered_asset(number) {
                let assets = &table.graph.assets;
                self.of_number(share.owner.0).assets.insert_by(share.asset, |other| in_order(assets[*other].id.as_str(), id));
            }
            self.take_changes(table, number, &mut notes);
        }
    }

    fn take_changes(&mut self, table: &ShareTable, number: ShareNumber, notes: &mut ShareNotes) {
        self.by_asset.take(table, number);
        let share = &table.graph.shares[number.0];
        share.code_hash().into_iter().for_each(|code| self.by_code.insert((code_tag(code), number)));
        let receiver = share.target().filter(|target| *target != share.owner);
        if let Some(target) = receiver {
            let lists = self.of_number(target.0);
            lists.received.insert(number);
            if share.state == State::Pending { lists.offered.insert(number) } else { lists.offered.remove(number) }
        }
        let was = self.counted.get(number.0).copied();
        self.count(table, share, was, receiver);
        let is = CountedShare {
            state: share.state,
            is_received: receiver.is_some(),
            is_over: is_over(share),
            invitation: CountedInvitation::of(share),
        };
        match self.counted.get_mut(number.0) {
            Some(counted) => *counted = is,
            None => drop(self.counted.push(is)),
        }
        self.take_notes(table, number, was, receiver, notes);
    }

    /// Counts a share by its state, instead of by what it was counted as before.
    fn count(&mut self, table: &ShareTable, share: &Share, was: Option<CountedShare>, receiver: Option<TenantNumber>) {
        let (was_in, is_in) = (was.map(|was| was.state), share.state);
        self.counts.change(was_in, is_in);
        let has_ended = is_over(share) && !was.is_some_and(|was| was.is_over);
        self.over += u32::from(has_ended);
        let own = &mut self.of_number(share.owner.0).counts;
        own.owned.change(was_in, is_in);
        if share.invitee().is_some() {
            let (was, is) = (was.and_then(|was| was.invitation), CountedInvitation::of(share));
            own.invited.change(was_in, is_in);
            own.outcomes.change(was, is);
            self.invited.change(was_in, is_in);
            self.outcomes.change(was, is);
        }
        // A target does not see FAILED shares; nothing is offered against a rule later.
        let Some(target) = receiver.filter(|_| is_in != State::Failed) else { return };
        let was_received_in = was.filter(|was| was.is_received).map(|was| was.state);
        let counts = &mut self.of_number(target.0).counts;
        counts.received.change(was_received_in, is_in);
        counts.over += u32::from(has_ended);
        let (was_live, is_live) = (was_received_in.is_some_and(State::is_live), is_in.is_live());
        if was_live != is_live {
            let pair = table.pairs.number_of(share.owner, target).unwrap_or(NOTHING);
            while self.live.len() <= pair && pair != NOTHING {
                self.live.push(0);
            }
            if let Some(live) = self.live.get_mut(pair) {
                *live = if is_live { *live + 1 } else { *live - 1 };
            }
        }
    }

    fn take_notes(
        &mut self,
        table: &ShareTable,
        number: ShareNumber,
        was: Option<CountedShare>,
        receiver: Option<TenantNumber>,
        notes: &mut ShareNotes,
    ) {
        let is_new = (number, was.is_none());
        self.blocks.take(table, is_new, Audience::Owner, (0..=number.0).map(ShareNumber), notes);
        let SharesOfTenant { owned, owned_blocks, .. } = self.of_number(table.graph.shares[number.0].owner.0);
        owned_blocks.take(table, is_new, Audience::Owner, owned.iter(), notes);
        if let Some(target) = receiver {
            let SharesOfTenant { received, received_blocks, .. } = self.of_number(target.0);
            let is_new = (number, !was.is_some_and(|was| was.is_received));
            received_blocks.take(table, is_new, Audience::Target, received.iter(), notes);
        }
    }

    fn of_number(&mut self, tenant: u32) -> &mut SharesOfTenant {
        while self.tenants.len() <= tenant {
            self.tenants.push(SharesOfTenant::default());
        }
        &mut self.tenants[tenant]
    }

    fn of_tenant(&self, table: &ShareTable, tenant: &str) -> Option<&SharesOfTenant> {
        self.tenants.get(table.tenants.find(tenant)?.0)
    }

    /// The shares of an asset, by share id, as [`ShareTable::shares_of_asset`] has them; none but those of its name are looked at.
    pub fn shares_of_asset<'t>(&self, table: &'t ShareTable, owner: &str, asset: &str, stream: StreamIndex) -> Vec<(ShareView<'t>, bool)> {
        let named = table.tenants.find(owner).map(|tenant| self.by_asset.named(table, tenant, asset));
        table.shares_of_asset_among(named.into_iter().flatten(), owner, asset, stream)
    }

    /// A tenant's shares on this list: the newest offer first, those that were offered before `before`, as far as they
    /// can be of this kind.
    pub(crate) fn newest_first<'s>(
        &'s self,
        table: &ShareTable,
        tenant: &TenantId,
        list: ShareList,
        needle: &BlockNeedle,
        before: ShareNumber,
    ) -> Box<dyn Iterator<Item = ShareNumber> + 's> {
        let Some(lists) = self.of_tenant(table, tenant.as_str()) else { return Box::new(std::iter::empty()) };
        let (owned, received) = (&lists.owned_blocks, &lists.received_blocks);
        match list {
            ShareList::All(None) => {
                Box::new(merged(among(&lists.owned, owned, needle, before), among(&lists.received, received, needle, before)))
            }
            ShareList::All(Some(ShareSide::Owner)) => Box::new(among(&lists.owned, owned, needle, before)),
            ShareList::All(Some(ShareSide::Target)) => Box::new(among(&lists.received, received, needle, before)),
            ShareList::OpenOffers => Box::new(among(&lists.offered, received, needle, before)),
            ShareList::Invitations => Box::new(among(&lists.invitations, owned, needle, before)),
        }
    }

    /// The shares of everybody, in the same order.
    pub(crate) fn all<'s>(&'s self, needle: &BlockNeedle, before: ShareNumber) -> impl Iterator<Item = ShareNumber> + use<'s> {
        let before = before.min(ShareNumber(self.counted.len()));
        self.blocks.ranges(needle.clone(), before).flat_map(|range| (range.start.0..range.end.0).rev().map(ShareNumber))
    }

    /// The invitations of everybody, in the same order.
    pub(crate) fn invitations<'s>(&'s self, needle: &BlockNeedle, before: ShareNumber) -> impl Iterator<Item = ShareNumber> + use<'s> {
        among(&self.invitations, &self.blocks, needle, before)
    }

    /// How many shares a tenant has to do with.
    pub(crate) fn counts(&self, table: &ShareTable, tenant: &str) -> TenantCounts {
        self.of_tenant(table, tenant).map(|lists| lists.counts).unwrap_or_default()
    }

    /// How many shares there are, whoever owns them.
    pub(crate) fn all_counts(&self) -> SharesByState {
        self.counts
    }

    /// How many invitations there are, whoever sent them.
    pub(crate) fn invitation_counts(&self) -> SharesByState {
        self.invited
    }

    /// What became of the invitations of everybody.
    pub(crate) fn all_outcomes(&self) -> InvitationCounts {
        self.outcomes
    }

    /// How many shares were accepted and are over, whoever owns them.
    pub(crate) fn over_count(&self) -> u32 {
        self.over
    }

    /// How many live shares are between two tenants, in either direction.
    pub(crate) fn live_between(&self, table: &ShareTable, a: &str, b: &str) -> u32 {
        let pair = table.tenants.find(a).zip(table.tenants.find(b)).and_then(|(a, b)| table.pairs.number_of(a, b));
        pair.and_then(|pair| self.live.get(pair)).copied().unwrap_or_default()
    }

    /// The shares that may have one of these codes, the oldest offer first.
    pub(crate) fn of_codes(&self, codes: &[CodeHash]) -> Vec<ShareNumber> {
        let under = |tag: u32| self.by_code.from((tag, ShareNumber(0))).take_while(move |(of, _)| *of == tag).map(|(_, number)| number);
        let mut found: Vec<ShareNumber> = codes.iter().flat_map(|code| under(code_tag(*code))).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The assets that a tenant has offered to anybody, in people's order, those after `after`.
    pub(crate) fn assets<'s>(&'s self, table: &'s ShareTable, owner: &str, after: Option<&'s str>) -> impl Iterator<Item = &'s str> {
        let id = move |asset: u32| table.graph.assets[asset].id.as_str();
        let lists = self.of_tenant(table, owner);
        lists
            .into_iter()
            .flat_map(move |lists| lists.assets.after(move |asset| after.is_some_and(|after| in_order(id(*asset), after).is_le())))
            .map(id)
    }
}

/// Whether somebody had it, and it is over for good.
fn is_over(share: &Share) -> bool {
    share.accepted_at().is_some() && matches!(share.state, State::Revoked | State::Left | State::Expired)
}

fn code_tag(code: CodeHash) -> u32 {
    let [a, b, c, d, ..] = code.0;
    u32::from_le_bytes([a, b, c, d])
}

/// The shares of a list, or of a part of one, that can be of this kind.
fn among<'s>(
    list: &'s SortedSet<ShareNumber>,
    blocks: &'s ShareBlocks,
    needle: &BlockNeedle,
    before: ShareNumber,
) -> impl Iterator<Item = ShareNumber> + use<'s> {
    blocks.ranges(needle.clone(), before).flat_map(|range| {
        let Range { start, end } = range;
        list.before(end).take_while(move |number| *number >= start)
    })
}

/// Two falling sequences as one.
fn merged(a: impl Iterator<Item = ShareNumber>, b: impl Iterator<Item = ShareNumber>) -> impl Iterator<Item = ShareNumber> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || if a.peek() >= b.peek() { a.next() } else { b.next() })
}

impl ShareTable {
    /// The share of this number.
    pub(crate) fn share_at(&self, number: ShareNumber) -> ShareView<'_> {
        self.view_of_share(&self.graph.shares[number.0])
    }

    /// The id of the asset of this share, as its owner has it; none of a FAILED one.
    pub(crate) fn offered_asset(&self, number: ShareNumber) -> Option<&str> {
        let share = &self.graph.shares[number.0];
        let is_offered = share.state != State::Failed && share.asset != NOTHING;
        is_offered.then(|| self.graph.assets[share.asset].id.as_str())
    }
}

#[cfg(test)]
mod tests;
