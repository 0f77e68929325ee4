//! The list of assets, an asset's head, and stopping a share.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::console::ask::{Ask, Reply};
use crate::console::desk::{Desk, ROWS};
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
    let begins = FleetPlace::of(ask);
    let (mut rows, mut next) = (own_rows(desk, ask, view, &search, &begins), None);
    if rows.len() <= ROWS {
        let (received, after) = received_rows(desk, view, &search, &begins, ROWS + 1 - rows.len());
        rows.extend(received);
        next = after.map(FleetPlace::AfterReceived);
    }
    if rows.len() > ROWS {
        rows.truncate(ROWS);
        next = rows.last().map(FleetPlace::after);
    }
    let owner = ask.owner_in_address().unwrap_or_default();
    let next = next.map(|next| {
        let (field, place) = next.in_address();
        format!("/assets{}", query(&[("q", &search), ("owner", &owner), (field, &place)]))
    });
    count_shares(view, &mut rows);
    let is_later_page = begins != FleetPlace::Beginning;
    let model = AssetList { search, rows, next, is_later_page, may_write: ask.may_write(), is_operator: ask.caller().is_operator() };
    Reply::page("Assets", PagePlace::Assets, assets::list(&model))
}

/// Where a page of the list begins: the own assets by owner and id, after them what others share, the newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
enum FleetPlace {
    Beginning,
    AfterOwn {
        owner: String,
        asset: String,
    },
    /// After what this share brings.
    AfterReceived(String),
}

impl FleetPlace {
    /// A tenant's id has no slash.
    fn of(ask: &Ask) -> Self {
        let share = ask.fields.text("received");
        match ask.fields.raw("after").split_once('/') {
            _ if !share.is_empty() => Self::AfterReceived(share),
            Some((owner, asset)) => Self::AfterOwn { owner: owner.to_owned(), asset: asset.to_owned() },
            None => Self::Beginning,
        }
    }

    fn after(row: &AssetRow) -> Self {
        match &row.from {
            Some(from) => Self::AfterReceived(from.share.clone()),
            None => Self::AfterOwn { owner: row.owner.clone(), asset: row.asset.clone() },
        }
    }

    fn in_address(&self) -> (&'static str, String) {
        match self {
            Self::Beginning => ("after", String::new()),
            Self::AfterOwn { owner, asset } => ("after", format!("{owner}/{asset}")),
            Self::AfterReceived(share) => ("received", share.clone()),
        }
    }
}

/// Enough of the own assets to fill a page, from the directory and from what is shared.
fn own_rows(desk: &Desk, ask: &Ask, view: &CallerView, search: &str, begins: &FleetPlace) -> Vec<AssetRow> {
    let (first, after) = match begins {
        FleetPlace::Beginning => ("", None),
        FleetPlace::AfterOwn { owner, asset } => (owner.as_str(), Some(asset.as_str())),
        FleetPlace::AfterReceived(_) => return Vec::new(),
    };
    // Of the operator: whoever is known, or is named.
    let owners: Vec<String> = match ask.owner() {
        Some(owner) => vec![owner],
        None => view.tenants().into_iter().map(|tenant| tenant.id.to_owned()).collect(),
    };
    let mut rows = Vec::new();
    for owner in owners.into_iter().filter(|owner| owner.as_str() >= first) {
        let after = after.filter(|_| owner == first);
        let found = desk.assets(view, &owner, search, after, ROWS + 1 - rows.len());
        let row = |(asset, names)| AssetRow { owner: owner.clone(), asset, names, from: None, targets: Vec::new(), pending: 0 };
        rows.extend(found.into_iter().map(row));
        if rows.len() > ROWS {
            break;
        }
    }
    rows
}

/// Says of the rows that are shown with whom they are shared.
fn count_shares(view: &CallerView, rows: &mut [AssetRow]) {
    for row in rows.iter_mut().filter(|row| row.from.is_none()) {
        let mut targets = BTreeSet::new();
        for share in view.shares_of_asset(&row.owner, &row.asset) {
            let document = share.document();
            match (document.state, document.target_tenant) {
                (State::Active | State::Paused, Some(target)) => drop(targets.insert(target)),
                (State::Pending, _) => row.pending += 1,
                _ => {}
            }
        }
        row.targets = targets.into_iter().map(str::to_owned).collect();
    }
}

/// What others share, and after which share it goes on.
fn received_rows(desk: &Desk, view: &CallerView, search: &str, begins: &FleetPlace, limit: usize) -> (Vec<AssetRow>, Option<String>) {
    if view.tenant().is_none() {
        return (Vec::new(), None);
    }
    let before = match begins {
        FleetPlace::AfterReceived(share) => Some(share.as_str()),
        FleetPlace::Beginning | FleetPlace::AfterOwn { .. } => None,
    };
    let states = vec![State::Active, State::Paused];
    let filter = ShareFilter { states, search: Some(search.to_owned()).filter(|text| !text.is_empty()), ..ShareFilter::default() };
    let found = view.shares(&ShareQuery { side: Some(ShareSide::Target), invited: None, filter }, before, limit).unwrap_or_default();
    let next = found.next.map(str::to_owned);
    let row = |share: ShownShare| AssetRow {
        owner: share.owner.clone(),
        asset: share.target_asset.clone().unwrap_or_default(),
        names: crate::console::model::AssetTitle { name: share.label.clone(), reference: None },
        from: Some(ReceivedFrom { owner: share.owner, share: share.share }),
        targets: Vec::new(),
        pending: 0,
    };
    (found.shares.into_iter().map(|share| row(desk.shown(share, view))).collect(), next)
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
    view.shares_of_asset(&owner, asset).into_iter().map(|share| desk.shown(share, view)).collect()
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
