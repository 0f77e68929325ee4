//! The list of assets, an asset's head, and stopping a share.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::console::ask::{Ask, Reply};
use crate::console::desk::{Desk, LOOKED_AT, ROWS};
use crate::console::handlers::sentence;
use crate::console::model::{ShownShare, query};
use crate::console::pages::assets::{AssetHead, AssetList, AssetRow, ReceivedFrom};
use crate::console::pages::{assets, sharing};
use crate::console::shell::PagePlace;
use crate::serve::problem::Problem;
use crate::serve::view::{CallerView, ShareQuery};
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::share::event::kind::EventType;
use crate::share::state::State;
use crate::share::view::by_tenant::ShareSide;
use crate::share::view::list::ShareFilter;

pub(crate) fn list(desk: &Desk, ask: &Ask, view: &CallerView) -> Reply {
    let search = ask.fields.text("q");
    let after = AssetPlace::parse(&ask.fields.text("after"));
    let mut rows = own_rows(desk, ask, view, &search, &after);
    rows.extend(received_rows(desk, view, &search));
    rows.retain(|row| AssetPlace::of(row) > after);
    rows.sort_by_cached_key(AssetPlace::of);
    let has_more = rows.len() > ROWS;
    rows.truncate(ROWS);
    let last = rows.last().filter(|_| has_more).map(|row| AssetPlace::of(row).in_address());
    let next = last.map(|last| format!("/assets{}", query(&[("q", &search), ("after", &last)])));
    count_shares(view, &mut rows);
    let is_later_page = after != AssetPlace::default();
    let model = AssetList { search, rows, next, is_later_page, may_write: ask.may_write(), is_operator: ask.caller().is_operator() };
    Reply::page("Assets", PagePlace::Assets, assets::list(&model))
}

/// Where a row stands in the list.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
struct AssetPlace {
    asset: String,
    owner: String,
}

impl AssetPlace {
    fn of(row: &AssetRow) -> Self {
        Self { asset: row.asset.clone(), owner: row.owner.clone() }
    }

    /// An owner's id has no line break, nor has an asset's.
    fn parse(text: &str) -> Self {
        let (owner, asset) = text.split_once('/').unwrap_or_default();
        Self { asset: asset.to_owned(), owner: owner.to_owned() }
    }

    fn in_address(&self) -> String {
        format!("{}/{}", self.owner, self.asset)
    }
}

/// Enough of the own assets to fill a page, from the directory and from what is shared.
fn own_rows(desk: &Desk, ask: &Ask, view: &CallerView, search: &str, after: &AssetPlace) -> Vec<AssetRow> {
    // Of the operator: whoever is known, or is named.
    let owners: Vec<String> = match ask.owner() {
        Some(owner) => vec![owner],
        None => view.tenants().into_iter().take(200).map(|tenant| tenant.id.to_owned()).collect(),
    };
    let rows_of = |owner: String| {
        let found = desk.assets(view, &owner, search, Some(after.asset.as_str()).filter(|asset| !asset.is_empty()), ROWS + 1);
        let row = move |(asset, names)| AssetRow { owner: owner.clone(), asset, names, from: None, targets: Vec::new(), pending: 0 };
        found.into_iter().map(row)
    };
    owners.into_iter().flat_map(rows_of).collect()
}

/// Says of the rows that are shown with whom they are shared.
fn count_shares(view: &CallerView, rows: &mut [AssetRow]) {
    let owners: BTreeSet<String> = rows.iter().filter(|row| row.from.is_none()).map(|row| row.owner.clone()).collect();
    for owner in owners {
        let assets = rows.iter().filter(|row| row.owner == owner && row.from.is_none()).map(|row| row.asset.clone()).collect();
        let states = vec![State::Pending, State::Active, State::Paused];
        let filter = ShareFilter { owners: vec![owner.clone()], assets, states, ..ShareFilter::default() };
        let side = view.tenant().map(|_| ShareSide::Owner);
        let page = view.shares(&ShareQuery { side, invited: None, filter }, None, LOOKED_AT);
        for share in page.iter().flat_map(|page| &page.shares) {
            let document = share.document();
            let is_of = |row: &&mut AssetRow| row.owner == owner && row.from.is_none() && document.asset == Some(row.asset.as_str());
            let Some(row) = rows.iter_mut().find(is_of) else { continue };
            match (document.state, document.target_tenant) {
                (State::Active | State::Paused, Some(target)) if !row.targets.iter().any(|known| known == target) => {
                    row.targets.push(target.to_owned());
                }
                (State::Pending, _) => row.pending += 1,
                _ => {}
            }
        }
    }
    rows.iter_mut().for_each(|row| row.targets.sort());
}

fn received_rows(desk: &Desk, view: &CallerView, search: &str) -> Vec<AssetRow> {
    if view.tenant().is_none() {
        return Vec::new();
    }
    let states = vec![State::Active, State::Paused];
    let filter = ShareFilter { states, search: Some(search.to_owned()).filter(|text| !text.is_empty()), ..ShareFilter::default() };
    let found = desk.found(view, &ShareQuery { side: Some(ShareSide::Target), invited: None, filter }, LOOKED_AT);
    let row = |share: ShownShare| AssetRow {
        owner: share.owner.clone(),
        asset: share.target_asset.clone().unwrap_or_default(),
        names: crate::console::model::AssetTitle { name: share.label.clone(), reference: None },
        from: Some(ReceivedFrom { owner: share.owner, share: share.share }),
        targets: Vec::new(),
        pending: 0,
    };
    found.into_iter().map(row).collect()
}

/// The head of the asset's pages that the address names.
pub(crate) fn head(desk: &Desk, ask: &Ask) -> Result<AssetHead, Problem> {
    let asset = ask.fields.text("asset");
    let owner = ask.owner().ok_or_else(|| Problem::malformed("Whose asset is it? The address names no owner."))?;
    if !crate::id::AssetId::is_valid(&asset) {
        return Err(Problem::not_there());
    }
    let names = desk.names(&owner, &asset);
    Ok(AssetHead { owner: ask.owner_in_address(), asset, names, may_write: ask.may_write() })
}

/// The asset's shares, the newest offer first.
pub(crate) fn shares_of(desk: &Desk, ask: &Ask, view: &CallerView, asset: &str) -> Vec<ShownShare> {
    let owner = ask.owner().unwrap_or_default();
    let filter = ShareFilter { owners: vec![owner], assets: vec![asset.to_owned()], ..ShareFilter::default() };
    let side = view.tenant().map(|_| ShareSide::Owner);
    let found = desk.found(view, &ShareQuery { side, invited: None, filter }, LOOKED_AT);
    // A filter by asset also finds what the target calls so.
    found.into_iter().filter(|share| share.asset.as_deref() == Some(asset)).collect()
}

/// The share that the address or the form names, of the caller's own asset.
pub(crate) fn own_share(desk: &Desk, ask: &Ask, view: &CallerView, field: &str) -> Result<ShownShare, Problem> {
    let share = view.share(&ask.fields.text(field)).ok_or_else(Problem::unknown_share)?;
    let shown = desk.shown(share, view);
    if shown.is_own { Ok(shown) } else { Err(Problem::unknown_share()) }
}

pub(crate) fn stop_page(desk: &Desk, ask: &Ask, view: &CallerView, error: Option<&str>) -> Result<Reply, Problem> {
    let (head, share) = (head(desk, ask)?, own_share(desk, ask, view, "share")?);
    let body = sharing::stop(&head, &share, &ask.seal(desk), error);
    Ok(Reply::page(format!("Stop sharing {}", head.asset), PagePlace::Assets, body))
}

pub(crate) async fn stop(desk: &Arc<Desk>, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    let (head, share) = (head(desk, ask)?, own_share(desk, ask, view, "share")?);
    let is_offer = view.share(&share.share).is_some_and(|share| share.document().state == State::Pending);
    let (kind, done) = if is_offer { (EventType::ShareCancelled, "taken") } else { (EventType::ShareRevoked, "stopped") };
    let data = DataBuilder::default().text("share", &share.share).build();
    let written = desk.serve.write(ask.caller(), WriteOrder::one(kind, &share.share, data), ask.key()).await;
    match written.and_then(crate::serve::write::receipt::WriteReceipt::single) {
        Ok(_) => {
            desk.await_certainty(ask.caller(), &share.share);
            Ok(Reply::see(head.address_with("sharing", &[("done", done), ("on", &share.share)])))
        }
        Err(problem) => stop_page(desk, ask, view, Some(&sentence(&problem))),
    }
}
