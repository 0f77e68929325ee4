//! `/assets`: what assets are called.

use crate::json::writer::object;
use crate::serve::directory::AssetEntry;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, ok};
use crate::serve::rest::documents::AssetsDocument;
use crate::serve::rest::listing;
use crate::serve::rest::listing::{EpochParameters, PageParameters};
use crate::serve::rest::profiles::owner_of;
use crate::serve::rest::request::Asked;

/// Lists the caller's own assets by id, whatever the case and numbers by their value, with the names that the directory has
/// (`api.directory`); without one those that it shares. The operator says whose.
#[utoipa::path(get, path = "/assets", tag = "assets", params(("q" = Option<String>, Query, description = "A part of the id, the name or the reference", max_length = 256), ("asset" = Option<String>, Query, description = "This one"), ("owner" = Option<String>, Query, description = "Whose, for the operator"), PageParameters, EpochParameters),
    responses((status = 200, description = "Some of them", body = AssetsDocument)))]
pub(super) async fn list_assets(asked: Asked) -> ApiAnswer {
    asked.knows(&["q", "asset", "owner", "limit", "cursor"])?;
    let owner = owner_of(&asked, asked.parameter("owner")?)?;
    let limit = listing::limit(&asked)?;
    let text = asked.parameter("q")?.filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.len() > listing::LONGEST_SEARCH) {
        return Err(Problem::of_member("q", format!("it has at most {} bytes", listing::LONGEST_SEARCH)).into());
    }
    let after = asked.parameter("cursor")?.map(|cursor| listing::opened(&asked, None, cursor)).transpose()?;
    let (entries, has_more) = match asked.parameter("asset")? {
        Some(asset) => (asked.serve.asset(&owner, asset).into_iter().collect(), false),
        None => asked.serve.assets(&asked.view, &owner, text, after.as_deref(), limit),
    };
    let next = entries.last().filter(|_| has_more).map(|last: &AssetEntry| listing::cursor(&asked, None, &last.asset));
    let value = object(|out| {
        out.array("assets", |items| entries.iter().for_each(|entry| items.json(&document(entry))));
        out.text_if("next", next.as_deref());
    });
    Ok(ok(asked.view.epoch(), value))
}

/// `{"asset","name"?,"reference"?}`.
fn document(entry: &AssetEntry) -> Vec<u8> {
    object(|out| {
        out.text("asset", &entry.asset);
        out.text_if("name", entry.name.as_deref());
        out.text_if("reference", entry.reference.as_deref());
    })
}

impl crate::serve::Serve {
    /// What an asset is called, for its owner and the operator: handlers ask whose it is before.
    pub(crate) fn asset(&self, owner: &str, asset: &str) -> Option<AssetEntry> {
        self.directory.find(owner, asset)
    }

    /// An owner's assets in people's order; whether there are more.
    pub(crate) fn assets(
        &self,
        view: &crate::serve::view::CallerView,
        owner: &str,
        text: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<AssetEntry>, bool) {
        if self.config.api.directory.is_some() {
            return self.directory.list(owner, text, after, limit);
        }
        let found = view.shared_assets_with(owner, &text.unwrap_or_default().to_lowercase(), after, limit + 1);
        let entry = |asset: &str| AssetEntry { asset: asset.to_owned(), name: None, reference: None };
        let has_more = found.len() > limit;
        (found.into_iter().take(limit).map(entry).collect(), has_more)
    }
}
