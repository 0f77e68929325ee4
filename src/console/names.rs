//! Names of assets, as the directory has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::console::model::AssetNames;
use crate::serve::Serve;

/// Of one asset.
pub(crate) fn of(_serve: &Arc<Serve>, _owner: &str, _asset: &str) -> AssetNames {
    AssetNames::default()
}

/// Of all assets of an owner that a search finds, at most so many.
pub(crate) fn all(_serve: &Arc<Serve>, _owner: &str, _search: &str, _limit: usize) -> BTreeMap<String, AssetNames> {
    BTreeMap::new()
}
