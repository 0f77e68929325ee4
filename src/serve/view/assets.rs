//! Assets that an owner has offered to anybody.

use crate::id::TenantId;
use crate::serve::published::PublishedShares;
use crate::serve::view::caller::CallerView;
use crate::serve::view::seen::SeenShare;
use crate::share::lifecycle::record::ShareNumber;
use crate::share::status::Audience;
use crate::share::view::asset_order::in_order;
use crate::share::view::blocks::BlockNeedle;
use crate::share::view::by_tenant::{ShareList, ShareSide};
use crate::share::view::list::ShareFilter;
use crate::share::view::search::{ShareSearch, has};

/// So many assets are looked at by id before a text is looked for by its owner's shares.
const AT_FIRST: usize = 2_000;
/// So many shares are few.
const FEW: usize = 50_000;
impl CallerView {
    /// The assets that an owner has offered to anybody, in people's order, those after `after`. The caller is the owner, or the operator.
    pub(crate) fn shared_assets<'v>(&'v self, owner: &str, after: Option<&'v str>) -> impl Iterator<Item = &'v str> {
        let is_own = self.tenant().is_none_or(|own| own.as_str() == owner);
        let PublishedShares { table, by_tenant } = &*self.shares;
        is_own.then(|| by_tenant.assets(table, owner, after)).into_iter().flatten()
    }

    /// Those of them whose id has the text, which is in lower case, at most `limit`.
    pub(crate) fn shared_assets_with<'v>(&'v self, owner: &str, lower: &str, after: Option<&'v str>, limit: usize) -> Vec<&'v str> {
        let has_text = |asset: &&str| has(asset, lower);
        let mut all = self.shared_assets(owner, after);
        let mut found: Vec<&str> = all.by_ref().take(AT_FIRST).filter(has_text).take(limit).collect();
        if found.len() == limit || all.next().is_none() {
            return found;
        }
        // Where few of the owner's shares can have it, these are looked at, else all that are left.
        let PublishedShares { table, by_tenant } = &*self.shares;
        let (Ok(tenant), needle) = (TenantId::parse(owner), BlockNeedle::of(Some(lower), &[], None)) else { return found };
        let list = ShareList::All(Some(ShareSide::Owner));
        let some: Vec<ShareNumber> = by_tenant.newest_first(table, &tenant, list, &needle, ShareNumber(u32::MAX)).take(FEW + 1).collect();
        if some.len() > FEW {
            return self.shared_assets(owner, after).filter(has_text).take(limit).collect();
        }
        let offered = some.into_iter().filter_map(|number| table.offered_asset(number));
        found = offered.filter(|asset| after.is_none_or(|after| in_order(asset, after).is_gt())).filter(has_text).collect();
        found.sort_unstable_by(|a, b| in_order(a, b));
        found.dedup();
        found.truncate(limit);
        found
    }

    /// The shares of an owner's asset that the caller sees as the owner, the newest offer first.
    pub(crate) fn shares_of_asset(&self, owner: &str, asset: &str) -> Vec<SeenShare<'_>> {
        let PublishedShares { table, by_tenant } = &*self.shares;
        let Some(number) = table.tenants.find(owner) else { return Vec::new() };
        let filter = ShareFilter { owners: vec![owner.to_owned()], ..ShareFilter::default() };
        let search = ShareSearch::new(table, &self.viewer, &filter);
        let seen = by_tenant.by_asset.named(table, number, asset).filter_map(|number| search.look_at(number)).map(SeenShare::of);
        // Others may be under the same hash.
        let is_it = |found: &SeenShare<'_>| found.audience == Audience::Owner && found.document().asset == Some(asset);
        let mut found: Vec<SeenShare<'_>> = seen.filter(is_it).collect();
        found.reverse();
        found
    }

    /// Whether an owner has ever named an asset in an offer. The caller is the owner, or the operator.
    pub(crate) fn has_named(&self, owner: &str, asset: &str) -> bool {
        let table = &self.shares.table;
        let is_own = self.tenant().is_none_or(|own| own.as_str() == owner);
        is_own && table.tenants.find(owner).is_some_and(|number| table.graph.find(owner, asset, |of| of == number).is_some())
    }
}
