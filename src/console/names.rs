//! Names of assets, as the directory has them.

use std::sync::Arc;

use crate::console::model::AssetTitle;
use crate::serve::Serve;
use crate::serve::directory::AssetEntry;
use crate::serve::view::CallerView;

/// Of one asset.
pub(crate) fn of(serve: &Arc<Serve>, owner: &str, asset: &str) -> AssetTitle {
    serve.asset(owner, asset).map(names).unwrap_or_default()
}

/// Of the assets of an owner that a search finds, in people's order, those after `after`, at most so many.
pub(crate) fn some(
    serve: &Arc<Serve>,
    view: &CallerView,
    owner: &str,
    search: &str,
    after: Option<&str>,
    limit: usize,
) -> Vec<(String, AssetTitle)> {
    let (entries, _) = serve.assets(view, owner, Some(search).filter(|text| !text.is_empty()), after, limit);
    entries.into_iter().map(|entry| (entry.asset.clone(), names(entry))).collect()
}

fn names(entry: AssetEntry) -> AssetTitle {
    AssetTitle { name: entry.name, reference: entry.reference }
}
