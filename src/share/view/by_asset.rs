//! Which shares name an asset, so that whoever asks for one asset looks at no others.

use crate::share::hash_index::hash_of;
use crate::share::lifecycle::record::{Share, ShareNumber, TenantNumber};
use crate::share::paged_vec::PagedVec;
use crate::share::sorted_set::SortedSet;
use crate::share::state::State;
use crate::share::table::ShareTable;

/// Shares by what their two sides call the asset. A clone costs one reference count.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharesByAsset {
    /// Each share under what the owner calls it, and under what the target calls it.
    entries: SortedSet<(AssetTag, ShareNumber)>,
    /// By share: where it is for the target, whose words may change.
    of_targets: PagedVec<AssetTag, 64>,
}

/// A tenant and its word for an asset, hashed with what nobody outside the process knows. What is found under one may still be another's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct AssetTag(u32);

impl AssetTag {
    fn of(table: &ShareTable, tenant: TenantNumber, asset: &str) -> Self {
        Self((hash_of(&[table.tenants.get(tenant).id.as_str(), asset]) >> 32) as u32)
    }
}

impl SharesByAsset {
    /// Takes a share in, or what it is called now. They come in the order of their numbers first.
    pub(super) fn take(&mut self, table: &ShareTable, number: ShareNumber) {
        let share = &table.graph.shares[number.0];
        let [own, others] = words(table, share);
        let own = AssetTag::of(table, share.owner, own);
        let others = AssetTag::of(table, receiver(share), others);
        match self.of_targets.get(number.0).copied() {
            None => {
                self.entries.insert((own, number));
                self.of_targets.push(others);
            }
            Some(known) if known == others => return,
            Some(known) => {
                if known != own {
                    self.entries.remove((known, number));
                }
                self.of_targets[number.0] = others;
            }
        }
        self.entries.insert((others, number));
    }

    /// All shares that may be the ones whose asset this tenant calls so, in no order that means anything.
    pub(crate) fn named(&self, table: &ShareTable, tenant: TenantNumber, asset: &str) -> impl Iterator<Item = ShareNumber> {
        self.under(AssetTag::of(table, tenant, asset))
    }

    fn under(&self, tag: AssetTag) -> impl Iterator<Item = ShareNumber> {
        self.entries.from((tag, ShareNumber(0))).take_while(move |(found, _)| *found == tag).map(|(_, number)| number)
    }

    /// All shares that may be the ones that these tenants, or their targets, call so: the newest offer first, those before `before`.
    pub(crate) fn newest_first(
        &self,
        table: &ShareTable,
        tenants: &[TenantNumber],
        assets: &[String],
        before: ShareNumber,
    ) -> Vec<ShareNumber> {
        let mut in_words_of = tenants.to_vec();
        // A target is one of a pair with the owner.
        in_words_of.extend(
            tenants.iter().flat_map(|tenant| table.tenants.get(*tenant).pairs.iter()).flat_map(|pair| table.pairs.get(*pair).tenants),
        );
        in_words_of.sort_unstable();
        in_words_of.dedup();
        let tags = assets.iter().flat_map(|asset| in_words_of.iter().map(|tenant| AssetTag::of(table, *tenant, asset)));
        let mut found: Vec<ShareNumber> = tags.flat_map(|tag| self.under(tag)).filter(|number| *number < before).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }
}

/// In whose words the target asset is: of an offer that nobody can accept, or has accepted yet, the owner's.
fn receiver(share: &Share) -> TenantNumber {
    share.target().filter(|_| share.state != State::Failed).unwrap_or(share.owner)
}

/// What the owner calls the asset, and what the target does.
fn words<'t>(table: &'t ShareTable, share: &'t Share) -> [&'t str; 2] {
    if let Some(written) = share.extra().and_then(|extra| extra.written.as_deref()) {
        return [&written.asset, &written.target_asset];
    }
    let own = table.graph.assets.get(share.asset).map_or("", |asset| asset.id.as_str());
    [own, share.target_asset.as_ref().map_or(own, |id| id.as_str())]
}
