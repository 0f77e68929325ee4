//! What an invitation's link opens. Nothing is changed before the last button, and nobody else's invitations are told of.

use std::sync::Arc;

use crate::access::session::Session;
use crate::console::ask::{Ask, Reply};
use crate::console::desk::Desk;
use crate::console::handlers::incoming::{try_accept, typed};
use crate::console::model::{ShownShare, query};
use crate::console::pages::invitation_link::{LinkState, accept as accept_of, cannot_accept, opened as opened_of};
use crate::console::pages::sign_in;
use crate::console::parts::FormSeal;
use crate::console::shell::PagePlace;
use crate::console::status::{Certainty, Flowing, SharingStatus};
use crate::serve::problem::Problem;
use crate::serve::view::CallerView;

/// What the code opens. Who has it sees what its target will see.
fn state(desk: &Desk, code: &str) -> LinkState {
    let found = desk.serve.invitation_of(code, |document, now| {
        let status = SharingStatus::of(document, now, &Flowing::Established, Certainty::NotYet);
        ShownShare::of(document, crate::share::status::Audience::Target, crate::console::model::AssetTitle::default(), status)
    });
    match found {
        None => LinkState::Unknown,
        Some(mut offer) => {
            if offer.status == SharingStatus::Pending {
                // The owner's own id is not proposed.
                offer.target_asset = None;
                LinkState::Open(Box::new(offer))
            } else {
                LinkState::Gone("Its time is over, or it was taken back.")
            }
        }
    }
}

pub(crate) fn opened(desk: &Desk, ask: &Ask) -> Reply {
    let code = ask.fields.text("code");
    Reply::page("Invitation", PagePlace::Elsewhere, opened_of(&state(desk, &code), &code, &ask.csrf(desk)))
}

pub(crate) fn go_on(desk: &Desk, ask: &Ask) -> Reply {
    let code = ask.fields.text("code");
    let LinkState::Open(offer) = state(desk, &code) else {
        return Reply::page("Invitation", PagePlace::Elsewhere, opened_of(&state(desk, &code), &code, &ask.csrf(desk)));
    };
    match &ask.session {
        None => Reply::page("Sign in", PagePlace::Elsewhere, sign_in::sign_in(&ask.csrf(desk), "/incoming", &code, None)),
        Some(session) => form(desk, session, &offer, &ask.seal(desk), &code),
    }
}

/// The form of who has just signed in: it is sealed by the new session.
pub(crate) fn after_sign_in(desk: &Desk, _ask: &Ask, session: &Session, code: &str) -> Reply {
    match state(desk, code) {
        LinkState::Open(offer) => {
            let seal = FormSeal { csrf: desk.key.form_token(&session.nonce), key: desk.random() };
            form(desk, session, &offer, &seal, code)
        }
        LinkState::Unknown | LinkState::Gone(_) => Reply::see(format!("/invitation{}", query(&[("code", code)]))),
    }
}

fn form(_desk: &Desk, session: &Session, offer: &ShownShare, seal: &FormSeal, code: &str) -> Reply {
    let body = match session.caller.tenant() {
        None => cannot_accept("You are signed in as the operator. Sign in as the tenant that shall receive."),
        Some(_) if !session.caller.may_write() => cannot_accept("Your token sees, and changes nothing. Ask for one with the role admin."),
        Some(tenant) if tenant.as_str() == offer.owner => cannot_accept("It is your own invitation."),
        Some(tenant) => accept_of(offer, tenant.as_str(), None, seal, code),
    };
    Reply::page("Accept an invitation", PagePlace::Elsewhere, body)
}

pub(crate) async fn accept(desk: &Arc<Desk>, ask: &Ask, _view: &CallerView) -> Result<Reply, Problem> {
    let code = ask.fields.text("code");
    let mut acceptance = typed(ask);
    if try_accept(desk, ask, &mut acceptance, Some(&code)).await.is_ok() {
        return Ok(Reply::see(format!("/incoming{}", query(&[("done", "accepted"), ("on", &acceptance.share)]))));
    }
    match state(desk, &code) {
        LinkState::Open(offer) => {
            let as_whom = ask.caller().tenant().map_or("the operator".to_owned(), ToString::to_string);
            let body = accept_of(&offer, &as_whom, Some(&acceptance), &ask.seal(desk), &code);
            Ok(Reply::page("Accept an invitation", PagePlace::Elsewhere, body))
        }
        LinkState::Unknown | LinkState::Gone(_) => {
            Err(Problem::malformed("This invitation is no longer open. Ask whoever invited you to send a new one."))
        }
    }
}
