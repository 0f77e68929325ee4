//! The page that an invitation's link opens: it works before signing in, says nothing about anybody else, and changes nothing.

use maud::{Markup, html};

use crate::console::model::ShownShare;
use crate::console::pages::incoming::{AcceptForm, accept_form, terms};
use crate::console::parts::{FieldOf, FormSeal, NoticeTone, notice};

/// What the link leads to.
#[derive(Debug, Clone)]
pub(crate) enum LinkState {
    /// No code, or none of an open invitation.
    Unknown,
    /// It was accepted, taken back, declined, or its time is over.
    Gone(&'static str),
    /// It can be accepted.
    Open(Box<ShownShare>),
}

/// Before anything: who, what, until when, and one button.
pub(crate) fn opened(state: &LinkState, code: &str, csrf: &str) -> Markup {
    match state {
        LinkState::Unknown => typed(
            code,
            csrf,
            (!code.is_empty()).then_some("No open invitation has this code. A newer mail may have come, or it was used already."),
        ),
        LinkState::Gone(why) => html! {
            div.stack {
                h1 { "This invitation is no longer open" }
                p { (why) }
                p { "Ask whoever invited you to send a new one." }
                div { a.button href="/assets" { "Go to your assets" } }
            }
        },
        LinkState::Open(offer) => html! {
            div.stack {
                h1 { (offer.owner) " invites you" }
                p { (offer.owner) " shares the live data of "
                    @match &offer.label { Some(label) => { b { (label) } }, None => { "a machine" } }
                    " with you. Nothing flows before you accept." }
                section.panel { div.body {
                    (terms(offer))
                    @if let Some(message) = &offer.message { p.wrap-anywhere { "“" (message) "”" } }
                } }
                form.stack method="post" action="/invitation" {
                    input type="hidden" name="csrf" value=(csrf);
                    input type="hidden" name="code" value=(code);
                    div { button.primary { "Continue to accept" } }
                }
                p.small.muted { "The link holds a code that only this mail has. Whoever has the code can accept, once: do not pass it on. You sign in next, if you have not; opening this page has changed nothing." }
            }
        },
    }
}

fn typed(code: &str, csrf: &str, error: Option<&str>) -> Markup {
    let field = FieldOf {
        name: "code",
        label: "Code",
        value: code,
        hint: Some("26 letters and digits, from the mail"),
        error,
        is_required: true,
        ..FieldOf::default()
    };
    html! {
        div.stack {
            h1 { "Open an invitation" }
            form.stack method="post" action="/invitation" {
                input type="hidden" name="csrf" value=(csrf);
                (field.text())
                div { button.primary { "Open" } }
            }
        }
    }
}

/// After signing in: under which id, which streams, and accept.
pub(crate) fn accept(offer: &ShownShare, as_whom: &str, typed: Option<&AcceptForm>, seal: &FormSeal, code: &str) -> Markup {
    html! {
        div.stack.narrow {
            h1 { "Accept from " (offer.owner) }
            p { "You accept for " b { (as_whom) } "." }
            section.panel { div.body {
                (terms(offer))
                (accept_form(offer, typed, seal, "/invitation/accept", Some(code)))
            } }
        }
    }
}

/// Who signed in cannot accept.
pub(crate) fn cannot_accept(why: &str) -> Markup {
    html! { div.stack.narrow { h1 { "This invitation cannot be accepted so" } (notice(NoticeTone::Refused, &html! { p { (why) } }, None)) } }
}
