//! What pages are made of. Each part is a function of what it shows; text is escaped where it is written.

pub(crate) mod badge;
pub(crate) mod field;
pub(crate) mod moment;
pub(crate) mod notice;

use maud::{Markup, html};

pub(crate) use badge::{Badge, BadgeTone};
pub(crate) use field::{Choice, FieldOf, FormSeal};
pub(crate) use moment::{end, minute, second};
pub(crate) use notice::{NoticeTone, empty, notice};

/// An id, in monospace, which a click copies.
pub(crate) fn id(text: &str) -> Markup {
    html! { code.id data-copy { (text) } }
}

/// An e-mail address; where it is too long for its place it breaks after the `@`.
pub(crate) fn mailbox(text: &str) -> Markup {
    let (person, site) = text.rsplit_once('@').unwrap_or(("", text));
    html! { span.wrap-anywhere { @if !person.is_empty() { (person) "@" wbr; } (site) } }
}

/// A heading with what may be done on the page.
pub(crate) fn head(title: Markup, lead: Option<Markup>, actions: Option<Markup>) -> Markup {
    html! {
        div.head {
            h1 { (title) }
            @if let Some(actions) = actions { div.actions { (actions) } }
            @if let Some(lead) = lead { p.lead.muted { (lead) } }
        }
    }
}

/// A link of a page's row of tabs: address, words, and whether it is the one that is shown.
pub(crate) fn tabs(name: &str, tabs: &[(String, &str, bool)]) -> Markup {
    html! {
        nav.tabs aria-label=(name) {
            @for (address, words, is_current) in tabs {
                a href=(address) aria-current=[is_current.then_some("page")] { (words) }
            }
        }
    }
}

/// Names and values.
pub(crate) fn facts(facts: Vec<(&str, Markup)>) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts { dt { (name) } dd { (value) } }
        }
    }
}
