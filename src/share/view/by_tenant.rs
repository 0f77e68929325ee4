//! Which shares each tenant has to do with, so that whoever lists its own looks at nobody else's.

use crate::id::{StreamIndex, TenantId};
use crate::share::lifecycle::record::ShareNumber;
use crate::share::paged_vec::PagedVec;
use crate::share::sorted_set::SortedSet;
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;

/// Of which side of its shares a tenant asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShareSide {
    /// Those that it owns.
    Owner,
    /// Those that it is the target of.
    Target,
}

/// The shares of each tenant by number, that is in the order they were offered. A clone costs one reference count.
#[derive(Debug, Clone, Default)]
pub struct SharesByTenant {
    /// By the tenant's number.
    tenants: PagedVec<SharesOfTenant, 16>,
    /// How many of the table's shares are in it.
    known: u32,
}

#[derive(Debug, Clone, Default)]
struct SharesOfTenant {
    owned: SortedSet<ShareNumber>,
    /// Not those that it owns too: of these it is the owner.
    received: SortedSet<ShareNumber>,
}

impl SharesByTenant {
    /// Those of a table.
    pub fn of(table: &ShareTable) -> Self {
        let mut lists = Self::default();
        lists.take_new(table);
        lists
    }

    /// Takes in the shares that the table has got since. To be called after each record that was folded, with the shares whose
    /// documents it changed: an invitation has a target only when it is accepted.
    pub fn follow<'s>(&mut self, table: &ShareTable, changed: impl Iterator<Item = &'s str>) {
        self.take_new(table);
        changed.filter_map(|id| table.find_share(id)).for_each(|number| self.take_target(table, number));
    }

    fn take_new(&mut self, table: &ShareTable) {
        for number in self.known..table.graph.shares.len() {
            let owner = table.graph.shares[number].owner.0;
            self.of_number(owner).owned.insert(ShareNumber(number));
            self.take_target(table, ShareNumber(number));
        }
        self.known = table.graph.shares.len();
    }

    fn take_target(&mut self, table: &ShareTable, number: ShareNumber) {
        let share = &table.graph.shares[number.0];
        if let Some(target) = share.target().filter(|target| *target != share.owner) {
            self.of_number(target.0).received.insert(number);
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
        let lists = table.tenants.find(owner).and_then(|tenant| self.tenants.get(tenant.0));
        let owned = lists.map(|lists| lists.owned.before(ShareNumber(self.known)));
        table.shares_of_asset_among(owned.into_iter().flatten(), owner, asset, stream)
    }

    /// A tenant's shares on this side, both if none is named: the newest offer first, those that were offered before `before`.
    pub(crate) fn newest_first<'s>(
        &'s self,
        table: &ShareTable,
        tenant: &TenantId,
        side: Option<ShareSide>,
        before: ShareNumber,
    ) -> impl Iterator<Item = ShareNumber> + use<'s> {
        let lists = table.tenants.find(tenant.as_str()).and_then(|tenant| self.tenants.get(tenant.0));
        let owned = lists.filter(|_| side != Some(ShareSide::Target)).map(|lists| lists.owned.before(before));
        let received = lists.filter(|_| side != Some(ShareSide::Owner)).map(|lists| lists.received.before(before));
        merged(owned.into_iter().flatten(), received.into_iter().flatten())
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
        let found = lists.newest_first(&world.table, &tenant, side, ShareNumber(before));
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
}
