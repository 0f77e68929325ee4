//! What is said once: that something was done, that it was not, that there is nothing yet.

use maud::{Markup, html};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoticeTone {
    Done,
    Refused,
    Waits,
    Told,
}

/// A notice, with what to do about it.
pub(crate) fn notice(tone: NoticeTone, what: &Markup, actions: Option<&Markup>) -> Markup {
    let (class, role) = match tone {
        NoticeTone::Done => ("notice is-good", "status"),
        NoticeTone::Refused => ("notice is-bad", "alert"),
        NoticeTone::Waits => ("notice is-wait", "status"),
        NoticeTone::Told => ("notice", "note"),
    };
    html! {
        div class=(class) role=(role) {
            div.what { (what) }
            @if let Some(actions) = actions { div.row { (actions) } }
        }
    }
}

/// An empty place: what it is for, and what to do first.
pub(crate) fn empty(what: &str, first: &str, action: Option<Markup>) -> Markup {
    html! {
        div.empty {
            h3 { (what) }
            p.muted { (first) }
            @if let Some(action) = action { (action) }
        }
    }
}
