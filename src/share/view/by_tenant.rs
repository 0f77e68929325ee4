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
use crate::share::view::blocks::{BlockNeedle, ShareBlocks, ShareNotes};
use crate::share::view::by_asset::SharesByAsset;
use crate::share::view::counts::{CountedShare, StateCounts};

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
    /// What all shares have.
    blocks: ShareBlocks,
    /// By share: what it is counted as.
    counted: PagedVec<CountedShare, 64>,
    /// Of the shares of everybody, and of the invitations.
    counts: StateCounts,
    invited: StateCounts,
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
    /// The numbers of its assets that were offered to somebody, by id.
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
    pub(crate) owned: StateCounts,
    /// Those that it receives, as far as it sees them.
    pub(crate) received: StateCounts,
    /// Of the received ones those that were accepted and are over.
    pub(crate) over: u32,
    /// Of the owned ones those that were offered to an address.
    pub(crate) invited: StateCounts,
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
        let mut lists = Self::default();
        lists.take_new(table);
        lists
    }

    /// Takes in the shares that the table has got since. To be called after each record that was folded, with the shares whose
    /// documents it changed: an invitation has a target only when it is accepted, and a target may change its words.
    pub fn follow<'s>(&mut self, table: &ShareTable, changed: impl Iterator<Item = &'s str>) {
        self.take_new(table);
        let mut notes = ShareNotes::default();
        changed.filter_map(|id| table.find_share(id)).for_each(|number| self.take_changes(table, number, &mut notes));
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
                self.of_number(share.owner.0).assets.insert_by(share.asset, |other| assets[*other].id.as_str().cmp(id));
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
        let is = CountedShare { state: share.state, is_received: receiver.is_some(), is_over: is_over(share) };
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
            own.invited.change(was_in, is_in);
            self.invited.change(was_in, is_in);
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
    pub(crate) fn all_counts(&self) -> StateCounts {
        self.counts
    }

    /// How many invitations there are, whoever sent them.
    pub(crate) fn invitation_counts(&self) -> StateCounts {
        self.invited
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

    /// The assets that a tenant has offered to anybody, by id, those after `after`.
    pub(crate) fn assets<'s>(&'s self, table: &'s ShareTable, owner: &str, after: Option<&'s str>) -> impl Iterator<Item = &'s str> {
        let id = move |asset: u32| table.graph.assets[asset].id.as_str();
        let lists = self.of_tenant(table, owner);
        lists.into_iter().flat_map(move |lists| lists.assets.after(move |asset| after.is_some_and(|after| id(*asset) <= after))).map(id)
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
mod tests {
    use super::*;
    use crate::share::tests::fixture::World;
    use crate::share::view::list::{ShareFilter, Stats, Viewer, list, look_at};

    fn ids(world: &World, lists: &SharesByTenant, tenant: &str, side: Option<ShareSide>, before: u32) -> Vec<String> {
        let tenant = TenantId::parse(tenant).unwrap();
        let found = lists.newest_first(&world.table, &tenant, ShareList::All(side), &BlockNeedle::default(), ShareNumber(before));
        found.map(|number| world.table.share_at(number).id().to_string()).collect()
    }

    #[test]
    fn the_lists_find_the_shares_of_an_asset_that_a_look_at_all_finds() {
        let mut world = World::partners();
        let offer = |share: &str, asset: &str| {
            format!(r#"{{"share":"{share}","asset":"{asset}","target_tenant":"zenith","streams":["telemetry"],"profile":"all"}}"#)
        };
        world.ok("acme", "share.offered", &offer("s2", "A"));
        world.ok("acme", "share.offered", &offer("s3", "B"));
        world.ok("acme", "share.cancelled", r#"{"share":"s2"}"#);
        world.ok("acme", "share.offered", &offer("s1", "A"));
        let lists = SharesByTenant::of(&world.table);
        let ids =
            |found: Vec<(ShareView<'_>, bool)>| found.iter().map(|(share, names)| (share.id().to_string(), *names)).collect::<Vec<_>>();
        for (owner, asset, count) in [("acme", "A", 2), ("acme", "B", 1), ("acme", "C", 0), ("zenith", "A", 0), ("nobody", "A", 0)] {
            let all = ids(world.table.shares_of_asset(owner, asset, StreamIndex(0)));
            assert_eq!(ids(lists.shares_of_asset(&world.table, owner, asset, StreamIndex(0))), all, "{owner} {asset}");
            assert_eq!(all.len(), count, "{owner} {asset}: {all:?}");
        }
    }

    #[test]
    fn a_tenant_has_what_it_owns_and_what_it_receives_the_newest_first() {
        let mut world = World::partners();
        let offer =
            |share: &str, to: &str| format!(r#"{{"share":"{share}","asset":"A-{share}",{to},"streams":["telemetry"],"profile":"all"}}"#);
        let mut lists = SharesByTenant::default();
        world.ok("acme", "share.offered", &offer("s1", r#""target_tenant":"zenith""#));
        world.ok("zenith", "share.offered", &offer("s2", r#""target_tenant":"acme""#));
        world.ok("acme", "share.offered", &offer("s3", r#""invitee":"a@b.example""#));
        lists.follow(&world.table, std::iter::empty());
        assert_eq!(ids(&world, &lists, "acme", None, u32::MAX), ["s3", "s2", "s1"]);
        assert_eq!(ids(&world, &lists, "acme", None, 2), ["s2", "s1"]);
        assert_eq!(ids(&world, &lists, "acme", Some(ShareSide::Owner), u32::MAX), ["s3", "s1"]);
        assert_eq!(ids(&world, &lists, "zenith", Some(ShareSide::Target), u32::MAX), ["s1"]);
        assert_eq!(ids(&world, &lists, "nobody", None, u32::MAX), [""; 0]);
        world.ok("zenith", "share.accepted", r#"{"share":"s3"}"#);
        lists.follow(&world.table, ["s3", "s3"].into_iter());
        assert_eq!(ids(&world, &lists, "zenith", None, u32::MAX), ["s3", "s2", "s1"]);
        assert_eq!(ids(&world, &SharesByTenant::of(&world.table), "zenith", None, u32::MAX), ["s3", "s2", "s1"]);
    }

    /// Everything that is kept of the shares, followed event by event, is what the last state gives.
    #[test]
    fn what_is_followed_is_what_is_there() {
        let mut world = World::partners();
        let mut lists = SharesByTenant::default();
        let numbers = |found: Box<dyn Iterator<Item = ShareNumber> + '_>| found.collect::<Vec<_>>();
        let words = |lists: &SharesByTenant, world: &World| {
            let tenants = ["acme", "zenith"].map(|id| TenantId::parse(id).unwrap());
            let listed = [ShareList::All(None), ShareList::OpenOffers, ShareList::Invitations].map(|list| {
                tenants
                    .clone()
                    .map(|tenant| numbers(lists.newest_first(&world.table, &tenant, list, &BlockNeedle::default(), ShareNumber(u32::MAX))))
            });
            let all: Vec<_> = world.table.tenants.iter().map(|(number, _)| number).collect();
            let named = ["A-1", "A-2", "T-1", "T-2", "T-3"].map(|asset| {
                let is_it = |number: &ShareNumber| {
                    let document = world.table.share_at(*number).document();
                    document.asset == Some(asset) || document.target_asset == Some(asset)
                };
                let brute: Vec<_> = (0..world.table.share_count()).rev().map(ShareNumber).filter(is_it).collect();
                let found = lists.by_asset.newest_first(&world.table, &all, &[asset.to_owned()], ShareNumber(u32::MAX));
                assert_eq!(found, brute, "{asset}");
                found.len()
            });
            let assets: Vec<_> = lists.assets(&world.table, "acme", None).map(str::to_owned).collect();
            (listed, named, assets, lists.invitations(&BlockNeedle::default(), ShareNumber(u32::MAX)).collect::<Vec<_>>())
        };
        let offer = |share: &str, asset: &str, more: &str| {
            format!(r#"{{"share":"{share}","asset":"{asset}","streams":["telemetry"],"profile":"all",{more}}}"#)
        };
        let events = [
            ("acme", "share.offered", offer("s1", "A-2", r#""target_tenant":"zenith","target_asset":"T-1""#)),
            ("acme", "share.offered", offer("s2", "A-1", &format!(r#""invitee":"a@b.example","code_hash":"{}""#, CodeHash::of("code")))),
            ("acme", "share.offered", offer("s3", "A-1", r#""target_tenant":"nobody","target_asset":"T-3""#)),
            ("zenith", "share.accepted", r#"{"share":"s1","target_asset":"T-2"}"#.to_owned()),
            ("zenith", "share.accepted", r#"{"share":"s2","target_asset":"T-1"}"#.to_owned()),
            ("acme", "share.updated", r#"{"share":"s1","target_asset":"A-2"}"#.to_owned()),
            ("acme", "share.offered", offer("s4", "A-2", r#""target_tenant":"zenith","target_asset":"T-3""#)),
            ("acme", "partnership.ended", r#"{"partner":"zenith"}"#.to_owned()),
        ];
        let mut seen = Vec::new();
        for (source, kind, data) in &events {
            let folded = world.send(source, kind, data);
            lists.follow(&world.table, folded.documents.iter().map(|document| document.key.as_str()));
            let followed = words(&lists, &world);
            assert_eq!(followed, words(&SharesByTenant::of(&world.table), &world), "{kind} {data}");
            seen.push((followed.0[1][1].len(), followed.1, lists.of_codes(&[CodeHash::of("code"), CodeHash::of("other")])));
        }
        assert_eq!(seen[0], (1, [0, 1, 1, 0, 0], vec![]));
        assert!(seen[1..].iter().all(|seen| seen.2 == [ShareNumber(1)]), "{seen:?}");
        assert_eq!(seen[3].1, [2, 1, 0, 1, 1]);
        assert_eq!(seen.last().unwrap().0, 0, "no offer is open any more");
    }

    /// What each sees on each of its lists, with a text and without one, and how many of each state, as a look at all shares has it.
    #[test]
    fn texts_and_counts_are_those_of_a_look_at_all() {
        let mut world = World::partners();
        let mut lists = SharesByTenant::default();
        let offer = |share: usize, more: &str| {
            format!(r#"{{"share":"s{share:02}","asset":"NW-{share}","streams":["telemetry"],"profile":"all",{more}}}"#)
        };
        let mut events = Vec::new();
        for share in 0..20 {
            let more = match share % 5 {
                0 => r#""target_tenant":"zenith","label":"Digger""#.to_owned(),
                1 => format!(r#""invitee":"ann{share}@example.com""#),
                2 => format!(r#""target_tenant":"zenith","target_asset":"T-{share}""#),
                3 => r#""target_tenant":"nobody","target_asset":"a\u0000b""#.to_owned(),
                _ => r#""target_tenant":"acme""#.to_owned(),
            };
            events.push(("acme", "share.offered", offer(share, &more)));
        }
        for (share, target) in [(16, "M-1"), (2, "M-2"), (0, "NW-0"), (6, "M-3"), (5, "M-4")] {
            events.push(("zenith", "share.accepted", format!(r#"{{"share":"s{share:02}","target_asset":"{target}"}}"#)));
        }
        events.push(("zenith", "share.paused", r#"{"share":"s16"}"#.to_owned()));
        events.push(("acme", "share.updated", r#"{"share":"s00","label":"Crane"}"#.to_owned()));
        events.push(("acme", "share.revoked", r#"{"share":"s02"}"#.to_owned()));
        events.push(("acme", "share.cancelled", r#"{"share":"s11"}"#.to_owned()));
        events.push(("acme", "partnership.ended", r#"{"partner":"zenith"}"#.to_owned()));
        let viewers = ["acme", "zenith", "nobody"].map(|id| Viewer::Tenant(TenantId::parse(id).unwrap()));
        let (mut found, mut passed) = (0, 0);
        for (source, kind, data) in &events {
            let folded = world.send(source, kind, data);
            lists.follow(&world.table, folded.documents.iter().map(|document| document.key.as_str()));
            for viewer in viewers.iter().chain([&Viewer::Operator]) {
                for word in ["nw-1", "t-", "m-3", "digger", "crane", "zenith", "ann1", "example", "b", "none", "NW-19"] {
                    let states = if word == "zenith" { vec![State::Active, State::Revoked] } else { Vec::new() };
                    let targets = if word == "t-" { vec!["zenith".to_owned()] } else { Vec::new() };
                    let numbers: Vec<_> = targets.iter().filter_map(|target| world.table.tenants.find(target)).collect();
                    let text = BlockNeedle::of(Some(&word.to_lowercase()), &states, (!targets.is_empty()).then_some(&numbers));
                    let filter = ShareFilter { search: Some(word.to_owned()), states, targets, ..ShareFilter::default() };
                    let last = ShareNumber(u32::MAX);
                    let among: Vec<ShareNumber> = match viewer {
                        Viewer::Operator => lists.all(&text, last).collect(),
                        Viewer::Tenant(own) => lists.newest_first(&world.table, own, ShareList::All(None), &text, last).collect(),
                    };
                    assert!(among.is_sorted_by(|a, b| a > b), "{among:?}");
                    let mut own: Vec<&str> = among
                        .iter()
                        .filter_map(|number| look_at(world.table.share_at(*number), viewer, &filter))
                        .map(|found| found.share.id().as_str())
                        .collect();
                    own.sort_unstable();
                    let all = list(&world.table, viewer, &filter);
                    assert_eq!(
                        own,
                        all.iter().map(|found| found.share.id().as_str()).collect::<Vec<_>>(),
                        "{viewer:?} {word} {kind} {data}"
                    );
                    found += own.len();
                    passed += world.table.share_count() as usize - among.len();
                }
                let stats = Stats::of(&world.table, viewer, &ShareFilter::default());
                let mut counted = Stats::default();
                match viewer {
                    Viewer::Operator => lists.all_counts().add_to(&mut counted, &[]),
                    Viewer::Tenant(own) => {
                        let counts = lists.counts(&world.table, own.as_str());
                        [counts.owned, counts.received].iter().for_each(|counts| counts.add_to(&mut counted, &[]));
                    }
                }
                assert_eq!(counted, stats, "{viewer:?} {kind} {data}");
            }
            let is_over =
                |share: &ShareView<'_>| share.was_accepted() && matches!(share.state(), State::Revoked | State::Left | State::Expired);
            let over = world.table.shares().filter(is_over).count();
            assert_eq!((lists.over_count() as usize, lists.counts(&world.table, "zenith").over as usize), (over, over));
            let live = |share: &ShareView<'_>| share.state().is_live() && share.document().target_tenant == Some("zenith");
            assert_eq!(lists.live_between(&world.table, "zenith", "acme") as usize, world.table.shares().filter(live).count());
        }
        assert!(found > 100 && passed > 1000, "{found} {passed}");
    }
}
