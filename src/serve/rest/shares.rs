//! `/shares` and `/stats`.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::document::Node;
use crate::json::writer::object;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, json, ok};
use crate::serve::rest::bodies::{AcceptBody, NoteBody, OfferBody, ResendBody, UpdateBody};
use crate::serve::rest::body::Json;
use crate::serve::rest::documents::{ShareDocument, SharesDocument, StatsDocument};
use crate::serve::rest::listing;
use crate::serve::rest::listing::{EpochParameters, PageParameters, ShareParameters};
use crate::serve::rest::request::{Asked, Id};
use crate::serve::write::order::WriteOrder;
use crate::share::event::kind::EventType;
use crate::share::view::list::Stats;

/// Lists the shares that the caller sees, the newest offer first.
#[utoipa::path(get, path = "/shares", tag = "shares", params(ShareParameters, PageParameters, EpochParameters),
    responses((status = 200, description = "Some of them", body = SharesDocument)))]
pub(super) async fn list_shares(asked: Asked) -> ApiAnswer {
    Ok(ok(asked.view.epoch(), listing::page(&asked, None)?))
}

/// Counts them, by state.
#[utoipa::path(get, path = "/stats", tag = "shares", params(ShareParameters, EpochParameters),
    responses((status = 200, description = "The counts", body = StatsDocument)))]
pub(super) async fn stats(asked: Asked) -> ApiAnswer {
    let query = listing::query(&asked, None, &[])?;
    Ok(ok(asked.view.epoch(), counts(&asked.view.stats(&query))))
}

pub(super) fn counts(stats: &Stats) -> Vec<u8> {
    object(|out| stats.named().iter().for_each(|(name, count)| out.number(name, *count)))
}

/// Offers an asset to a tenant, or to an address.
#[utoipa::path(post, path = "/shares", tag = "shares", params(("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body = OfferBody,
    responses((status = 201, description = "The share", body = ShareDocument)))]
pub(super) async fn offer_share(asked: Asked, Json(body): Json<OfferBody>) -> ApiAnswer {
    asked.knows(&[])?;
    offer(&asked, &body).await
}

pub(super) async fn offer(asked: &Asked, body: &OfferBody) -> ApiAnswer {
    if asked.caller.is_operator() && body.owner.is_none() {
        return Err(Problem::of_member("owner", "the operator offers for an owner: name it").into());
    }
    let order = WriteOrder::one(EventType::ShareOffered, &body.asset, body.data()).confirmed(body.confirm_critical);
    write_one(asked, order, StatusCode::CREATED).await
}

/// Shows a share; with `history=true` also what became of it, event by event, which reads the whole control topic.
#[utoipa::path(get, path = "/shares/{share}", tag = "shares", params(("share" = String, Path, description = "The share"), ("history" = Option<bool>, Query, description = "With its events"), EpochParameters),
    responses((status = 200, description = "The share", body = ShareDocument)))]
pub(super) async fn show_share(asked: Asked, Id(share): Id) -> ApiAnswer {
    asked.knows(&["history"])?;
    show(&asked, &share).await
}

pub(super) async fn show(asked: &Asked, share: &str) -> ApiAnswer {
    let found = asked.view.share(share).ok_or_else(Problem::unknown_share)?;
    let document = listing::listed(found, true);
    if asked.flag("history")? != Some(true) {
        return Ok(ok(asked.view.epoch(), document));
    }
    let history = asked.serve.history(&asked.view, share).await?;
    let document = listing::with_members(document, |out| {
        out.array("events", |items| history.iter().for_each(|entry| items.json(&entry.to_json())));
    });
    Ok(ok(asked.view.epoch(), document))
}

macro_rules! verbs {
    ($($name:ident, $path:literal, $kind:ident, $body:ident, $what:literal;)*) => {$(
        #[doc = $what]
        #[utoipa::path(post, path = $path, tag = "shares", params(("share" = String, Path, description = "The share"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body(content = Option<$body>, content_type = "application/json"),
            responses((status = 200, description = "The share", body = ShareDocument)))]
        pub(super) async fn $name(asked: Asked, Id(share): Id, Json(body): Json<$body>) -> ApiAnswer {
            asked.knows(&[])?;
            change(&asked, &share, EventType::$kind, body.data(&share), false, StatusCode::OK).await
        }
    )*};
}

verbs! {
    accept_share, "/shares/{share}/accept", ShareAccepted, AcceptBody, "Accepts an offer, as its target; an invitation with its code.";
    decline_share, "/shares/{share}/decline", ShareDeclined, NoteBody, "Says no to an offer, as its target.";
    cancel_share, "/shares/{share}/cancel", ShareCancelled, NoteBody, "Takes an offer back, as its owner.";
    resend_share, "/shares/{share}/resend", ShareResent, ResendBody, "Starts an offer's clock again; an invitation gets a new code and a new mail.";
    pause_share, "/shares/{share}/pause", SharePaused, NoteBody, "Stops the flow for a while.";
    resume_share, "/shares/{share}/resume", ShareResumed, NoteBody, "Takes one's own pause back.";
    leave_share, "/shares/{share}/leave", ShareLeft, NoteBody, "Ends a share, as its target.";
}

/// Changes a share.
#[utoipa::path(post, path = "/shares/{share}/update", tag = "shares", params(("share" = String, Path, description = "The share"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body(content = Option<UpdateBody>, content_type = "application/json"),
    responses((status = 200, description = "The share", body = ShareDocument)))]
pub(super) async fn update_share(asked: Asked, Id(share): Id, Json(body): Json<UpdateBody>) -> ApiAnswer {
    asked.knows(&[])?;
    change(&asked, &share, EventType::ShareUpdated, body.data(&share), body.confirm_critical, StatusCode::OK).await
}

/// Ends a share, as its owner; with `wait=certain` it answers when no record can come any more.
#[utoipa::path(post, path = "/shares/{share}/revoke", tag = "shares", params(("share" = String, Path, description = "The share"), ("wait" = Option<String>, Query, description = "`certain`: until no record can come any more"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body(content = Option<NoteBody>, content_type = "application/json"),
    responses((status = 200, description = "The share", body = ShareDocument)))]
pub(super) async fn revoke_share(asked: Asked, Id(share): Id, Json(body): Json<NoteBody>) -> ApiAnswer {
    asked.knows(&["wait"])?;
    asked.waits_for_certainty(true)?;
    change(&asked, &share, EventType::ShareRevoked, body.data(&share), false, StatusCode::OK).await
}

pub(super) async fn change(asked: &Asked, share: &str, kind: EventType, data: Node, is_confirmed: bool, status: StatusCode) -> ApiAnswer {
    let order = WriteOrder::one(kind, share, data).confirmed(is_confirmed);
    write_one(asked, order, status).await
}

async fn write_one(asked: &Asked, order: WriteOrder, status: StatusCode) -> ApiAnswer {
    let receipt = Arc::clone(&asked.serve).write(&asked.caller, order, asked.key.as_deref()).await?;
    let (epoch, newest, acknowledged) = (receipt.epoch, receipt.newest, receipt.acknowledged);
    let row = receipt.single()?;
    let document = row.document.unwrap_or_else(|| object(|_| {}));
    if asked.parameter("wait")?.is_none() {
        return Ok(json(status, epoch, document));
    }
    let certain = asked.serve.certain(newest, acknowledged).await?;
    Ok(json(status, epoch, listing::with_members(document, |out| out.text("certain", certain))))
}
