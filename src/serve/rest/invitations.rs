//! `/invitations`: shares that were offered to an address.

use axum::http::StatusCode;

use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, ok};
use crate::serve::rest::bodies::{AcceptBody, CodeBody, InvitationBody, NoteBody, ResendBody};
use crate::serve::rest::body::Json;
use crate::serve::rest::documents::{ShareDocument, SharesDocument, StatsDocument};
use crate::serve::rest::listing;
use crate::serve::rest::listing::{EpochParameters, PageParameters, ShareParameters};
use crate::serve::rest::request::{Asked, Id};
use crate::serve::rest::shares;
use crate::share::event::kind::EventType;
use crate::share::state::Reason;

/// Lists the invitations that the caller has sent, the newest first, accepted ones too. The operator sees all.
#[utoipa::path(get, path = "/invitations", tag = "invitations", params(ShareParameters, PageParameters, EpochParameters),
    responses((status = 200, description = "Some of them", body = SharesDocument)))]
pub(super) async fn list_invitations(asked: Asked) -> ApiAnswer {
    Ok(ok(asked.view.epoch(), listing::page(&asked, Some(true))?))
}

/// Counts them, by state.
#[utoipa::path(get, path = "/invitations/stats", tag = "invitations", params(ShareParameters, EpochParameters),
    responses((status = 200, description = "The counts", body = StatsDocument)))]
pub(super) async fn invitation_stats(asked: Asked) -> ApiAnswer {
    let query = listing::query(&asked, Some(true), &[])?;
    Ok(ok(asked.view.epoch(), shares::counts(&asked.view.stats(&query))))
}

/// Invites: offers an asset to an address. A mail with a one-time code goes there.
#[utoipa::path(post, path = "/invitations", tag = "invitations", params(("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body = InvitationBody,
    responses((status = 201, description = "The share", body = ShareDocument)))]
pub(super) async fn invite(asked: Asked, Json(body): Json<InvitationBody>) -> ApiAnswer {
    asked.knows(&[])?;
    shares::offer(&asked, &body.into()).await
}

/// Accepts an invitation by the code that came by mail.
#[utoipa::path(post, path = "/invitations/accept", tag = "invitations", params(("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body = CodeBody,
    responses((status = 200, description = "The share", body = ShareDocument)))]
pub(super) async fn accept_code(asked: Asked, Json(body): Json<CodeBody>) -> ApiAnswer {
    asked.knows(&[])?;
    // Before the code is looked at: whether it is good is told to who could use it.
    if !asked.caller.may_write() {
        return Err(Problem::viewer().into());
    }
    let CodeBody { code, target_asset, streams } = body;
    let share = asked.serve.share_of_code(&asked.caller, &code, asked.key.as_deref());
    let share = share.map_err(|why| Problem::broken(Reason::WrongCode, why))?;
    let accept = AcceptBody { target_asset, streams, code: Some(code), target_tenant: None };
    shares::change(&asked, &share, EventType::ShareAccepted, accept.data(&share), false, StatusCode::OK).await
}

/// Shows an invitation that the caller has sent.
#[utoipa::path(get, path = "/invitations/{share}", tag = "invitations", params(("share" = String, Path, description = "The share"), ("history" = Option<bool>, Query, description = "With its events"), EpochParameters),
    responses((status = 200, description = "The share", body = ShareDocument)))]
pub(super) async fn show_invitation(asked: Asked, Id(share): Id) -> ApiAnswer {
    asked.knows(&["history"])?;
    check_is_invitation(&asked, &share)?;
    shares::show(&asked, &share).await
}

fn check_is_invitation(asked: &Asked, share: &str) -> Result<(), Problem> {
    let is_invitation = asked.view.share(share).is_some_and(|share| share.invitee().is_some());
    if is_invitation { Ok(()) } else { Err(Problem::unknown_share()) }
}

macro_rules! verbs {
    ($($name:ident, $path:literal, $kind:ident, $body:ident, $what:literal;)*) => {$(
        #[doc = $what]
        #[utoipa::path(post, path = $path, tag = "invitations", params(("share" = String, Path, description = "The share"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body(content = Option<$body>, content_type = "application/json"),
            responses((status = 200, description = "The share", body = ShareDocument)))]
        pub(super) async fn $name(asked: Asked, Id(share): Id, Json(body): Json<$body>) -> ApiAnswer {
            asked.knows(&[])?;
            check_is_invitation(&asked, &share)?;
            shares::change(&asked, &share, EventType::$kind, body.data(&share), false, StatusCode::OK).await
        }
    )*};
}

verbs! {
    cancel_invitation, "/invitations/{share}/cancel", ShareCancelled, NoteBody, "Takes an invitation back.";
    resend_invitation, "/invitations/{share}/resend", ShareResent, ResendBody, "Sends an invitation again, with a new code.";
}
