//! Signing in, and what is said where there is nothing to see.

use maud::{Markup, html};

use crate::console::parts::FieldOf;

/// The page before everything.
pub(crate) fn sign_in(csrf: &str, to: &str, code: &str, error: Option<&str>) -> Markup {
    let token = FieldOf {
        name: "token",
        label: "Token",
        hint: Some("Whoever runs this installation gives you one. It is checked and then forgotten."),
        error,
        is_required: true,
        ..FieldOf::default()
    };
    html! {
        div.stack {
            h1 { "Sign in" }
            @if !code.is_empty() { p { "Your invitation waits: once you have signed in you accept it for your tenant." } }
            form.stack method="post" action="/sign-in" {
                input type="hidden" name="csrf" value=(csrf);
                input type="hidden" name="to" value=(to);
                @if !code.is_empty() { input type="hidden" name="code" value=(code); }
                (token.secret())
                div { button.primary { "Sign in" } }
            }
            p.small.muted { "The session lasts 12 hours. It is kept in a cookie that only this site reads; nothing else is stored." }
        }
    }
}

/// Something went wrong, with what to do.
pub(crate) fn failed(title: &str, what: &str, way_out: Option<(&str, &str)>) -> Markup {
    html! {
        div.stack.narrow {
            h1 { (title) }
            p { (what) }
            @if let Some((address, words)) = way_out { div { a.button href=(address) { (words) } } }
        }
    }
}
