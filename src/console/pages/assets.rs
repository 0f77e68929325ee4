//! The list of assets: the caller's own, by the directory and by what was shared, and those that come from others.

use maud::{Markup, html};

use crate::console::model::{AssetTitle, query};
use crate::console::parts::{empty, head, id};

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AssetRow {
    pub(crate) owner: String,
    /// The id in the words of who looks.
    pub(crate) asset: String,
    pub(crate) names: AssetTitle,
    /// Of one that another tenant shares.
    pub(crate) from: Option<ReceivedFrom>,
    /// Whom it is shared with, each once.
    pub(crate) targets: Vec<String>,
    pub(crate) pending: usize,
}

/// Who shares an asset, and by which share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReceivedFrom {
    pub(crate) owner: String,
    pub(crate) share: String,
}

/// The page.
#[derive(Debug, Clone, Default)]
pub(crate) struct AssetList {
    pub(crate) search: String,
    pub(crate) rows: Vec<AssetRow>,
    /// The address of the next rows.
    pub(crate) next: Option<String>,
    /// Rows come before these.
    pub(crate) is_later_page: bool,
    pub(crate) may_write: bool,
    pub(crate) is_operator: bool,
}

/// The address of an asset's page.
pub(crate) fn address(owner: Option<&str>, asset: &str, page: &str) -> String {
    format!("/assets/{page}{}", query(&[("asset", asset), ("owner", owner.unwrap_or_default())]))
}

/// The list.
pub(crate) fn list(model: &AssetList) -> Markup {
    let actions = model.may_write.then(|| {
        html! {
            a.button href="/visibility/remove" { "Remove visibility" }
            a.button.primary href="/visibility" { "Share visibility" }
        }
    });
    // Without a directory there are none.
    let has_names = model.rows.iter().any(|row| row.names != AssetTitle::default());
    let found = (!model.search.is_empty()).then(|| {
        html! { "with “" (model.search) "” in id, name, reference or label. " a href="/assets" { "Show all" } }
    });
    html! {
        (head(html! { "Assets" }, found, actions))
        section.panel id="asset-list" data-live data-rows aria-label="Assets" {
            @if model.rows.is_empty() {
                (nothing(model))
            } @else {
                div.scroll { table.folds {
                    thead { tr {
                        th scope="col" { "Asset" }
                        @if has_names { th scope="col" { "Name" } th scope="col" { "Reference" } }
                        @if model.is_operator { th scope="col" { "Owner" } }
                        th scope="col" { "Shared with" }
                    } }
                    tbody { @for row in &model.rows { (line(model, row, has_names)) } }
                } }
            }
            footer.small.muted {
                span { (counted(model)) }
                @if let Some(next) = &model.next { a href=(next) { "Next" } }
            }
        }
    }
}

fn line(model: &AssetList, row: &AssetRow, has_names: bool) -> Markup {
    let owner = model.is_operator.then_some(row.owner.as_str());
    let to = match &row.from {
        None => address(owner, &row.asset, "sharing"),
        Some(from) => format!("/incoming/share{}", query(&[("share", &from.share)])),
    };
    let pending = |n: usize| if n == 1 { "1 offer open".to_owned() } else { format!("{n} offers open") };
    html! {
        tr data-row={ (row.owner) "/" (row.asset) "/" (row.from.as_ref().map_or("", |from| from.share.as_str())) } {
            td data-head="Asset" { a href=(to) { (row.asset) } @if let Some(from) = &row.from { " " span.mark { "from " (from.owner) } } }
            @if has_names {
                td data-head="Name" { @if let Some(name) = &row.names.name { (name) } }
                td data-head="Reference" { @if let Some(reference) = &row.names.reference { (id(reference)) } }
            }
            @if model.is_operator { td data-head="Owner" { (row.owner) } }
            td data-head="Shared with" {
                @if row.from.is_some() { span.muted { "You receive it" } }
                @else if row.targets.is_empty() && row.pending == 0 { span.muted { "Nobody" } }
                @else {
                    div {
                        @if !row.targets.is_empty() { (named(&row.targets)) }
                        @if row.pending > 0 { span.second[!row.targets.is_empty()] { (pending(row.pending)) } }
                    }
                }
            }
        }
    }
}

/// The first few of them.
fn named(targets: &[String]) -> String {
    const NAMED: usize = 3;
    match targets.len() {
        0..=NAMED => targets.join(", "),
        count => format!("{} and {} more", targets[..NAMED].join(", "), count - NAMED),
    }
}

fn counted(model: &AssetList) -> String {
    match (model.rows.len(), model.next.is_some() || model.is_later_page) {
        (1, false) => "1 asset".to_owned(),
        (count, false) => format!("{count} assets"),
        (count, true) => format!("{count} assets on this page"),
    }
}

fn nothing(model: &AssetList) -> Markup {
    if model.search.is_empty() {
        let action = model.may_write.then(|| html! { a.button.primary href="/visibility" { "Share visibility" } });
        empty("No assets yet", "Assets show here once the platform has written their details, or once one was shared.", action)
    } else {
        let action = html! { a.button href="/assets" { "Show all assets" } };
        empty("Nothing found", "No asset has this in its id, name or reference.", Some(action))
    }
}

/// The head of an asset's pages, with its tabs.
#[derive(Debug, Clone)]
pub(crate) struct AssetHead {
    /// Named in addresses for the operator, who acts for any.
    pub(crate) owner: Option<String>,
    pub(crate) asset: String,
    pub(crate) names: AssetTitle,
    pub(crate) may_write: bool,
}

/// An asset's own pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AssetTab {
    Sharing,
    Leaves,
    Invitations,
    History,
}

impl AssetHead {
    /// The address of one of its pages.
    pub(crate) fn address(&self, page: &str) -> String {
        address(self.owner.as_deref(), &self.asset, page)
    }

    /// The same, with more in its query.
    pub(crate) fn address_with(&self, page: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![("asset", self.asset.as_str()), ("owner", self.owner.as_deref().unwrap_or_default())];
        pairs.extend_from_slice(more);
        format!("/assets/{page}{}", query(&pairs))
    }

    /// Its hidden fields in forms.
    pub(crate) fn fields(&self) -> Markup {
        html! {
            input type="hidden" name="asset" value=(self.asset);
            @if let Some(owner) = &self.owner { input type="hidden" name="owner" value=(owner); }
        }
    }

    /// Name, reference, what can be done, and the tabs.
    pub(crate) fn markup(&self, current: AssetTab) -> Markup {
        let pairs = [("asset", self.asset.as_str()), ("owner", self.owner.as_deref().unwrap_or_default())];
        let actions = self.may_write.then(|| {
            html! {
                a.button.primary href={ "/visibility" (query(&pairs)) } { "Share" }
                a.button href={ "/invitations/invite" (query(&pairs)) } { "Invite" }
            }
        });
        let title = html! {
            (self.asset)
            @if let Some(name) = &self.names.name { " " span.muted { (name) } }
        };
        let lead = html! {
            @if let Some(reference) = &self.names.reference { "Reference " (id(reference)) }
            @if let Some(owner) = &self.owner { " Owner " (owner) }
        };
        let lead = (self.names.reference.is_some() || self.owner.is_some()).then_some(lead);
        let tabs: Vec<(String, &str, bool)> = [
            (AssetTab::Sharing, "sharing", "Sharing"),
            (AssetTab::Leaves, "leaves", "What leaves"),
            (AssetTab::Invitations, "invitations", "Invitations"),
            (AssetTab::History, "history", "History"),
        ]
        .into_iter()
        .map(|(tab, page, words)| (self.address(page), words, tab == current))
        .collect();
        html! {
            nav.crumb aria-label="Above" { a href="/assets" { "Assets" } }
            (head(title, lead, actions))
            (crate::console::parts::tabs("Of this asset", &tabs))
        }
    }
}
