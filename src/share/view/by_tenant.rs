//! Which shares each tenant has to do with, so that whoever lists its own looks at nobody else's.

use crate::id::{StreamIndex, TenantId};
use crate::share::lifecycle::record::{NOTHING, ShareNumber};
use crate::share::paged_vec::PagedVec;
use crate::share::sorted_set::SortedSet;
use crate::share::state::State;
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;
use crate::share::view::by_asset::SharesByAsset;

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
    /// Of these the ones that nobody has accepted, declined or taken back.
    open_invitations: SortedSet<ShareNumber>,
    pub(crate) by_asset: SharesByAsset,
    /// How many of the table's shares are in it.
    known: u32,
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
        changed.filter_map(|id| table.find_share(id)).for_each(|number| self.take_changes(table, number));
    }

    fn take_new(&mut self, table: &ShareTable) {
        for number in self.known..table.graph.shares.len() {
            let share = &table.graph.shares[number];
            let number = ShareNumber(number);
            let own = self.of_number(share.owner.0);
            own.owned.insert(number);
            if share.invitee().is_some() {
                own.invitations.insert(number);
                self.invitations.insert(number);
            }
            if share.state != State::Failed && share.asset != NOTHING {
                let assets = &table.graph.assets;
                let id = assets[share.asset].id.as_str();
                self.of_number(share.owner.0).assets.insert_by(share.asset, |other| assets[*other].id.as_str().cmp(id));
            }
            self.take_changes(table, number);
        }
        self.known = table.graph.shares.len();
    }

    fn take_changes(&mut self, table: &ShareTable, number: ShareNumber) {
        self.by_asset.take(table, number);
        let share = &table.graph.shares[number.0];
        if share.invitee().is_some() {
            let is_open = share.is_invitation() && share.state == State::Pending;
            if is_open { self.open_invitations.insert(number) } else { self.open_invitations.remove(number) }
        }
        if let Some(target) = share.target().filter(|target| *target != share.owner) {
            let lists = self.of_number(target.0);
            lists.received.insert(number);
            if share.state == State::Pending { lists.offered.insert(number) } else { lists.offered.remove(number) }
        }
    }

    fn of_number(&mut self, tenant: u32) -> &mut SharesOfTenant {
        while self.tenants.len() <= tenant {
            self.tenants.push(SharesOfTenant::default());
        }
        &mut self.tenants[tenant]
    }

    /// The shares of an asset, by share id, as [`ShareTable::shares_of_asset`] has them; none but the owner's are looked at.
    pub fn shares_of_asset<'t>(&self, table: &'t ShareTable, owner: &str, asset: &str, stream: StreamIndex) -> Vec<(ShareView<'t>, bool)> {
        let owned = self.of_tenant(table, owner).map(|lists| lists.owned.before(ShareNumber(self.known)));
        table.shares_of_asset_among(owned.into_iter().flatten(), owner, asset, stream)
    }

    fn of_tenant(&self, table: &ShareTable, tenant: &str) -> Option<&SharesOfTenant> {
        self.tenants.get(table.tenants.find(tenant)?.0)
    }

    /// A tenant's shares on this list: the newest offer first, those that were offered before `before`.
    pub(crate) fn newest_first<'s>(
        &'s self,
        table: &ShareTable,
        tenant: &TenantId,
        list: ShareList,
        before: ShareNumber,
    ) -> Box<dyn Iterator<Item = ShareNumber> + 's> {
        let Some(lists) = self.of_tenant(table, tenant.as_str()) else { return Box::new(std::iter::empty()) };
        match list {
            ShareList::All(None) => Box::new(merged(lists.owned.before(before), lists.received.before(before))),
            ShareList::All(Some(ShareSide::Owner)) => Box::new(lists.owned.before(before)),
            ShareList::All(Some(ShareSide::Target)) => Box::new(lists.received.before(before)),
            ShareList::OpenOffers => Box::new(lists.offered.before(before)),
            ShareList::Invitations => Box::new(lists.invitations.before(before)),
        }
    }

    /// The invitations of everybody, in the same order.
    pub(crate) fn invitations(&self, before: ShareNumber) -> impl Iterator<Item = ShareNumber> {
        self.invitations.before(before)
    }

    /// Those of them that wait for an answer, the oldest first.
    pub(crate) fn open_invitations(&self) -> impl Iterator<Item = ShareNumber> {
        self.open_invitations.iter()
    }

    /// The assets that a tenant has offered to anybody, by id, those after `after`.
    pub(crate) fn assets<'s>(&'s self, table: &'s ShareTable, owner: &str, after: Option<&'s str>) -> impl Iterator<Item = &'s str> {
        let id = move |asset: u32| table.graph.assets[asset].id.as_str();
        let lists = self.of_tenant(table, owner);
        lists.into_iter().flat_map(move |lists| lists.assets.after(move |asset| after.is_some_and(|after| id(*asset) <= after))).map(id)
    }
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::tests::fixture::World;

    fn ids(world: &World, lists: &SharesByTenant, tenant: &str, side: Option<ShareSide>, before: u32) -> Vec<String> {
        let tenant = TenantId::parse(tenant).unwrap();
        let found = lists.newest_first(&world.table, &tenant, ShareList::All(side), ShareNumber(before));
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
            let listed = [ShareList::All(None), ShareList::OpenOffers, ShareList::Invitations]
                .map(|list| tenants.clone().map(|tenant| numbers(lists.newest_first(&world.table, &tenant, list, ShareNumber(u32::MAX)))));
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
            (
                listed,
                named,
                assets,
                numbers(Box::new(lists.invitations(ShareNumber(u32::MAX)))),
                numbers(Box::new(lists.open_invitations())),
            )
        };
        let offer = |share: &str, asset: &str, more: &str| {
            format!(r#"{{"share":"{share}","asset":"{asset}","streams":["telemetry"],"profile":"all",{more}}}"#)
        };
        let events = [
            ("acme", "share.offered", offer("s1", "A-2", r#""target_tenant":"zenith","target_asset":"T-1""#)),
            ("acme", "share.offered", offer("s2", "A-1", r#""invitee":"a@b.example""#)),
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
            seen.push((followed.0[1][1].len(), followed.1, followed.4.len()));
        }
        assert_eq!(seen[0], (1, [0, 1, 1, 0, 0], 0));
        assert_eq!(seen.iter().map(|seen| seen.2).collect::<Vec<_>>(), [0, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(seen[3].1, [2, 1, 0, 1, 1]);
        assert_eq!(seen.last().unwrap().0, 0, "no offer is open any more");
    }
}
