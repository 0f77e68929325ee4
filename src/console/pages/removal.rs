//! Remove visibility: whose, which assets, a review before anything is stopped.

use std::collections::BTreeSet;

use maud::{Markup, html};

use crate::console::model::{ShownShare, query};
use crate::console::pages::terms::{Tick, ticks_or_list, unknown_lines};
use crate::console::pages::visibility::step;
use crate::console::parts::moment::window;
use crate::console::parts::{Choice, FieldOf, FormSeal, NoticeTone, empty, head, notice};

/// Remove visibility: who, and of what.
#[derive(Debug, Clone)]
pub(crate) struct RemovePage {
    pub(crate) owner: String,
    pub(crate) is_operator: bool,
    pub(crate) to: String,
    pub(crate) pasted: String,
    pub(crate) partners: Vec<String>,
    /// Live and open shares with the account, the newest of them.
    pub(crate) shares: Vec<ShownShare>,
    /// There are more, which can be pasted.
    pub(crate) has_more: bool,
    /// Ticked, on the way to the review.
    pub(crate) chosen: Vec<ShownShare>,
    pub(crate) unknown: Vec<(usize, String)>,
    pub(crate) is_review: bool,
    pub(crate) error: Option<String>,
    pub(crate) seal: FormSeal,
}

/// Remove visibility.
pub(crate) fn remove(page: &RemovePage) -> Markup {
    let partners: Vec<Choice> = page.partners.iter().map(Choice::plain).collect();
    let account = FieldOf {
        name: "to",
        label: "Account",
        value: &page.to,
        hint: Some("who shall get no more"),
        is_required: true,
        ..FieldOf::default()
    };
    let account = html! {
        form.row.at-end method="get" action="/visibility/remove" {
            @if page.is_operator { (FieldOf { name: "owner", label: "Owner", value: &page.owner, is_required: true, ..FieldOf::default() }.text()) }
            (account.text_of(&partners))
            button.primary[page.to.is_empty()] { @if page.to.is_empty() { "Next" } @else { "Change" } }
        }
        @if page.to.is_empty() && !page.partners.is_empty() {
            p { "You share with: " @for (at, partner) in page.partners.iter().take(12).enumerate() {
                @if at > 0 { ", " }
                a href={ "/visibility/remove" (query(&[("to", partner), ("owner", &page.owner)])) } { (partner) }
            } }
        }
    };
    let has_account = !page.to.is_empty();
    html! {
        (head(html! { "Remove visibility" }, Some(html! { "Take the live data of assets back from an account. Nothing is written before you confirm." }),
            Some(html! { a.button href="/visibility" { "Share visibility" } })))
        @if let Some(what) = &page.error { (notice(NoticeTone::Refused, &html! { p { (what) } }, None)) }
        div.stack.steps {
            (step(1, "Account", if has_account { "done" } else { "open" }, "", &account))
            @if page.is_review { (remove_review(page)) }
            @else if has_account { (remove_choice(page)) }
            @else { (step(2, "Assets", "closed", "", &html! {})) (step(3, "Review", "closed", "", &html! {})) }
        }
    }
}

fn remove_choice(page: &RemovePage) -> Markup {
    let words = |share: &ShownShare| format!("{} · {} · {}", share.names.line(), share.streams.join(", "), share.profile_line());
    let is_ticked = |share: &ShownShare| page.chosen.iter().any(|chosen| chosen.share == share.share);
    let ticks: Vec<Tick<'_>> = page
        .shares
        .iter()
        .map(|share| Tick { value: &share.share, title: share.machine(), words: words(share), is_ticked: is_ticked(share) })
        .collect();
    let more = html! { @if page.has_more { p.small.muted { "These are the newest " (page.shares.len()) "; paste the ids of others." } } };
    let list =
        FieldOf { name: "pasted", label: "Or paste a list", value: &page.pasted, hint: Some("one asset id a line"), ..FieldOf::default() };
    let legend = format!("Lines that name no asset which {} gets", page.to);
    let body = html! {
        @if page.shares.is_empty() {
            (empty(&format!("{} gets nothing from you", page.to), "There is no live share and no open offer.", None))
        } @else {
            (ticks_or_list("share", "Shares", "", &ticks, &more, &list))
            @if !page.unknown.is_empty() { (unknown_lines(&legend, &page.unknown, &[("omit", "leave them out")])) }
            div.row { button.primary { "Review" } }
        }
    };
    html! {
        form.stack method="post" action="/visibility/remove/review" {
            (page.seal.fields())
            input type="hidden" name="to" value=(page.to);
            @if !page.owner.is_empty() { input type="hidden" name="owner" value=(page.owner); }
            (step(2, "Assets", "open", "", &body))
        }
        (step(3, "Review", "closed", "", &html! {}))
    }
}

fn remove_review(page: &RemovePage) -> Markup {
    let assets: BTreeSet<&str> = page.chosen.iter().map(ShownShare::machine).collect();
    let what = match assets.first() {
        Some(asset) if assets.len() == 1 => (*asset).to_owned(),
        _ => format!("{} assets", assets.len()),
    };
    let body = html! {
        p { (page.to) " gets no more of these. Records that it has read stay with it." }
        div.scroll { table.folds {
            thead { tr { th scope="col" { "Asset" } th scope="col" { "Streams" } th scope="col" { "From – until" } th scope="col" { "Status" } } }
            tbody { @for share in &page.chosen { tr {
                td data-head="Asset" { (share.machine()) span.second { (share.names.line()) } }
                td data-head="Streams" { (share.streams.join(", ")) }
                td data-head="From – until" { (window(share.starts, share.ends)) }
                td data-head="Status" { div { (share.status.badge()) } }
            } } }
        } }
    };
    html! {
        (step(2, "Assets", "done", &what, &html! {}))
        form.stack method="post" action="/visibility/remove" {
            (page.seal.fields())
            input type="hidden" name="to" value=(page.to);
            @if !page.owner.is_empty() { input type="hidden" name="owner" value=(page.owner); }
            @for share in &page.chosen { input type="hidden" name="share" value=(share.share); }
            (step(3, "Review", "open", "", &body))
            div.row {
                button.danger.firm { "Stop sharing " (what) " with " (page.to) }
                a.button href={ "/visibility/remove" (query(&[("to", &page.to), ("owner", &page.owner)])) } { "Go back and change" }
            }
        }
    }
}
