//! Incoming: offers to me, and what I receive.

use maud::{Markup, html};

use crate::console::model::{ShownShare, query};
use crate::console::pages::leaves::{LeavingExample, example};
use crate::console::parts::moment::window;
use crate::console::parts::{Choice, FieldOf, FormSeal, empty, end, facts, head, id, minute, second};
use crate::console::status::SharingStatus;

/// What was typed into an acceptance, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct AcceptForm {
    pub(crate) share: String,
    pub(crate) target_asset: String,
    pub(crate) streams: Vec<String>,
    pub(crate) errors: Vec<(&'static str, String)>,
}

/// The page.
#[derive(Debug, Clone)]
pub(crate) struct IncomingPage {
    pub(crate) offers: Vec<ShownShare>,
    pub(crate) received: Vec<ShownShare>,
    pub(crate) over: usize,
    pub(crate) shows_over: bool,
    /// Filled again after an error.
    pub(crate) typed: Option<AcceptForm>,
    pub(crate) may_write: bool,
    pub(crate) seal: FormSeal,
    pub(crate) said: Option<Markup>,
    /// The operator sees offers to everybody.
    pub(crate) is_operator: bool,
    /// Where older offers are, and what was received longer ago.
    pub(crate) more_offers: Option<String>,
    pub(crate) more_received: Option<String>,
}

/// The whole page.
pub(crate) fn incoming(page: &IncomingPage) -> Markup {
    html! {
        (head(html! { "Incoming" }, None, None))
        @if let Some(said) = &page.said { (said) }
        section.stack aria-labelledby="offers" {
            h2 id="offers" { @if page.is_operator { "Open offers" } @else { "Offers to you" } }
            div.columns id="offer-list" data-live data-rows {
                @for offer in &page.offers { (offer_card(page, offer)) }
            }
            @if let Some(more) = &page.more_offers { p { a href=(more) { "Older offers" } } }
            @if page.offers.is_empty() {
                div.panel { (empty("No offers", "When a partner offers you a machine's data, it waits here until you accept or decline.", None)) }
            }
        }
        section.panel id="received-list" data-live data-rows aria-labelledby="received" {
            header { h2 id="received" { @if page.is_operator { "What is received" } @else { "What you receive" } } }
            @if page.received.is_empty() {
                (empty("You receive nothing", "What you have accepted is listed here, and flows into your own topics.", None))
            } @else {
                div.scroll { table.folds {
                    thead { tr {
                        th scope="col" { "Your asset" } th scope="col" { "From" } th scope="col" { "Streams" }
                        th scope="col" { "From – until" } th scope="col" { "Since" } th scope="col" { "Status" } th scope="col" { span.hidden-visually { "Actions" } }
                    } }
                    tbody { @for share in &page.received { (received(page, share)) } }
                } }
            }
            @if page.more_received.is_some() || (page.over > 0 && !page.shows_over) {
                footer.small {
                    @if let Some(more) = &page.more_received { a href=(more) { "Older ones" } }
                    @if page.over > 0 && !page.shows_over { a href="/incoming?over=1" { "Show " (page.over) " that are over" } }
                }
            }
        }
    }
}

fn offer_card(page: &IncomingPage, offer: &ShownShare) -> Markup {
    let typed = page.typed.as_ref().filter(|typed| typed.share == offer.share);
    let what = match &offer.label {
        Some(label) => label.clone(),
        None => "A machine".to_owned(),
    };
    html! {
        article.panel data-row=(offer.share) aria-label={ (what) " from " (offer.owner) } {
            header { h3 { (what) } span.muted { "from " b { (offer.owner) } } @if page.is_operator { span.muted { "to " (offer.receiver()) } } }
            div.body {
                (terms(offer))
                @if let Some(message) = &offer.message { p.wrap-anywhere { "“" (message) "”" } }
                @if page.may_write {
                    (accept_form(offer, typed, &page.seal, "/incoming/accept", None))
                    form id={ "decline-" (offer.share) } method="post" action="/incoming/decline" hidden {
                        (page.seal.for_form(&format!("d{}", offer.share)))
                        input type="hidden" name="share" value=(offer.share);
                    }
                }
            }
        }
    }
}

/// What is offered, and for how long.
pub(crate) fn terms(offer: &ShownShare) -> Markup {
    facts(vec![
        ("You get", html! { (offer.streams.join(" and ")) }),
        ("Sharing profile", html! { (offer.profile_line()) }),
        ("You may", html! { (offer.permission) }),
        ("From – until", window(offer.starts, offer.ends)),
        ("Answer by", html! { @match offer.offer_expires { Some(at) => { (end(at)) }, None => { "any time" } } }),
    ])
}

/// The fields of an acceptance: my own asset id, and fewer streams if I like.
pub(crate) fn accept_form(offer: &ShownShare, typed: Option<&AcceptForm>, seal: &FormSeal, action: &str, code: Option<&str>) -> Markup {
    let error = |name: &str| typed.and_then(|typed| typed.errors.iter().find(|(field, _)| *field == name)).map(|(_, what)| what.as_str());
    let value = typed.map_or(offer.target_asset.as_deref().unwrap_or_default(), |typed| typed.target_asset.as_str());
    let ticked = typed.map_or_else(|| offer.streams.clone(), |typed| typed.streams.clone());
    let own = FieldOf {
        name: "target_asset",
        label: "Your asset id",
        value,
        hint: Some("records come under this id"),
        error: error("target_asset"),
        is_required: true,
        suffix: &offer.share,
    };
    let streams: Vec<Choice> = offer.streams.iter().map(Choice::plain).collect();
    html! {
        form.stack method="post" action=(action) {
            (seal.for_form(&format!("a{}", offer.share)))
            input type="hidden" name="share" value=(offer.share);
            @if let Some(code) = code { input type="hidden" name="code" value=(code); }
            @if let Some(what) = error("") { p.error role="alert" { (what) } }
            (own.text())
            @if streams.len() > 1 {
                (FieldOf { name: "streams", label: "Streams", hint: Some("take fewer if you like"), error: error("streams"), suffix: &offer.share, ..FieldOf::default() }.ticks(&streams, &ticked))
            } @else { @for stream in &offer.streams { input type="hidden" name="streams" value=(stream); } }
            div.offer-actions {
                button.primary { "Accept from " (offer.owner) }
                // Of the form beside this one.
                @if code.is_none() {
                    button.link.danger form={ "decline-" (offer.share) } { "Decline" span.hidden-visually { " the offer of " (offer.owner) } }
                }
            }
        }
    }
}

fn received(page: &IncomingPage, share: &ShownShare) -> Markup {
    html! {
        tr data-row=(share.share) {
            td data-head="Your asset" {
                a href={ "/incoming/share" (query(&[("share", &share.share)])) } { (share.target_asset.as_deref().unwrap_or("no id")) }
                @if let Some(label) = &share.label { span.second { (label) } }
            }
            td data-head="From" { (share.owner) @if page.is_operator { span.second { "to " (share.receiver()) } } }
            td data-head="Streams" { (share.streams.join(", ")) }
            td data-head="From – until" { (window(share.starts, share.ends)) }
            td data-head="Since" { @if let Some(at) = share.accepted_at { (minute(at.moment())) } }
            td data-head="Status" { div { (share.status.badge()) } }
            td { div.actions {
                @if page.may_write && !share.status.is_over() && share.status != SharingStatus::Stopping {
                    a href={ "/incoming/leave" (query(&[("share", &share.share)])) } {
                        "Leave" span.hidden-visually { " what " (share.owner) " shares as " (share.target_asset.as_deref().unwrap_or_default()) }
                    }
                }
            } }
        }
    }
}

/// One share that I receive: its terms, and its newest record.
pub(crate) fn share(share: &ShownShare, examples: &[LeavingExample], may_write: bool) -> Markup {
    let title = share.target_asset.as_deref().unwrap_or("A machine");
    let is_open = !share.status.is_over() && share.status != SharingStatus::Stopping;
    let actions = (may_write && is_open)
        .then(|| html! { a.button.danger href={ "/incoming/leave" (query(&[("share", &share.share)])) } { "Leave…" } });
    html! {
        nav.crumb aria-label="Above" { a href="/incoming" { "Incoming" } }
        (head(html! { (title) " " span.mark { "from " (share.owner) } }, None, actions))
        section.panel id="received-share" data-live aria-label="Terms" { div.body {
            div { (share.status.badge()) }
            (facts(vec![
                ("You call it", html! { @if let Some(own) = &share.target_asset { (id(own)) } }),
                ("They call it", html! { @match &share.label { Some(label) => { (label) }, None => { span.muted { "no label was given" } } } }),
                ("You get", html! { (share.streams.join(" and ")) }),
                ("Sharing profile", html! { (share.profile_line()) }),
                ("You may", html! { (share.permission) }),
                ("From – until", window(share.starts, share.ends)),
                ("Accepted", html! { @if let Some(at) = share.accepted_at { (second(at.moment())) } }),
                ("Share", id(&share.share)),
            ]))
        } }
        @for one in examples { (example(one)) }
    }
}

/// Leaving, asked once.
pub(crate) fn leave(share: &ShownShare, seal: &FormSeal, error: Option<&str>) -> Markup {
    let own = share.target_asset.as_deref().unwrap_or("the machine");
    html! {
        nav.crumb aria-label="Above" { a href="/incoming" { "Incoming" } }
        (head(html! { "Leave " (own) }, None, None))
        form.panel method="post" action="/incoming/leave" { div.body {
            (seal.fields())
            input type="hidden" name="share" value=(share.share);
            @if let Some(error) = error { p.error role="alert" { (error) } }
            p { "You get no more " (share.streams.join(" and ")) " from " (share.owner) " under " (own) ". To get it again, " (share.owner) " has to offer it again." }
            div.row { button.danger.firm autofocus { "Leave what " (share.owner) " shares as " (own) } a.button data-close href="/incoming" { "Keep it" } }
        } }
    }
}
