//! `/partnerships`.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::document::Node;
use crate::json::writer::object;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, json, ok};
use crate::serve::rest::bodies::{PartnershipBody, PartnershipVerbBody};
use crate::serve::rest::body::Json;
use crate::serve::rest::documents::{PartnershipDocument, PartnershipsDocument};
use crate::serve::rest::listing::{EpochParameters, with_members};
use crate::serve::rest::request::{Asked, Id};
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::share::event::kind::EventType;
use crate::share::table::parties::PartnershipView;

/// Between the two tenants of a partnership's id; no tenant's id has it.
const BETWEEN: char = '~';

/// Lists the caller's partnerships, offered and active; the operator sees all.
#[utoipa::path(get, path = "/partnerships", tag = "partnerships", params(EpochParameters),
    responses((status = 200, description = "By their tenants", body = PartnershipsDocument)))]
pub(super) async fn list_partnerships(asked: Asked) -> ApiAnswer {
    asked.knows(&[])?;
    let all = asked.view.partnerships();
    let value = object(|out| out.array("partnerships", |items| all.iter().for_each(|one| items.json(&document(one)))));
    Ok(ok(asked.view.epoch(), value))
}

/// Shows one, by the partner's id or by both with `~` between them.
#[utoipa::path(get, path = "/partnerships/{partnership}", tag = "partnerships", params(("partnership" = String, Path, description = "The partner, or `a~b`"), EpochParameters),
    responses((status = 200, description = "The partnership", body = PartnershipDocument)))]
pub(super) async fn show_partnership(asked: Asked, Id(id): Id) -> ApiAnswer {
    asked.knows(&[])?;
    let [a, b] = pair(&asked, &id)?;
    let found = asked.view.partnership(&a, &b).ok_or_else(Problem::not_there)?;
    Ok(ok(asked.view.epoch(), document(&found)))
}

/// Offers a partnership; the operator makes one.
#[utoipa::path(post, path = "/partnerships", tag = "partnerships", params(("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body = PartnershipBody,
    responses((status = 201, description = "The partnership", body = PartnershipDocument)))]
pub(super) async fn offer_partnership(asked: Asked, Json(body): Json<PartnershipBody>) -> ApiAnswer {
    asked.knows(&[])?;
    let PartnershipBody { partner, tenants, auto_accept } = body;
    match (asked.caller.tenant(), partner, tenants) {
        (Some(own), Some(partner), None) if auto_accept.is_none() => {
            let both = [own.to_string(), partner.clone()];
            let data = DataBuilder::default().text("partner", &partner).build();
            write(&asked, EventType::PartnershipOffered, both, data, StatusCode::CREATED).await
        }
        (Some(_), Some(_), None) => {
            Err(Problem::of_member("auto_accept", "an offer has none: who accepts it says so, or the operator").into())
        }
        (Some(_), _, _) => Err(Problem::of_member("partner", "name the partner alone").into()),
        (None, None, Some(tenants)) => {
            let both: [String; 2] = tenants.try_into().map_err(|_| Problem::of_member("tenants", "there are two"))?;
            let data = DataBuilder::default().texts_if("tenants", Some(&both)).flag_if("auto_accept", auto_accept).build();
            write(&asked, EventType::PartnershipEstablished, both, data, StatusCode::CREATED).await
        }
        (None, _, _) => Err(Problem::of_member("tenants", "the operator names the two tenants").into()),
    }
}

macro_rules! verbs {
    ($($name:ident, $path:literal, $kind:ident, $what:literal;)*) => {$(
        #[doc = $what]
        #[utoipa::path(post, path = $path, tag = "partnerships", params(("partnership" = String, Path, description = "The partner, or `a~b`"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body(content = Option<PartnershipVerbBody>, content_type = "application/json"),
            responses((status = 200, description = "The partnership", body = PartnershipDocument)))]
        pub(super) async fn $name(asked: Asked, Id(id): Id, Json(body): Json<PartnershipVerbBody>) -> ApiAnswer {
            change(&asked, &id, EventType::$kind, &body).await
        }
    )*};
}

verbs! {
    accept_partnership, "/partnerships/{partnership}/accept", PartnershipAccepted, "Accepts a partnership that was offered.";
    decline_partnership, "/partnerships/{partnership}/decline", PartnershipDeclined, "Says no to one.";
    end_partnership, "/partnerships/{partnership}/end", PartnershipEnded, "Ends one: the shares between the two end with it, in both directions.";
}

async fn change(asked: &Asked, id: &str, kind: EventType, body: &PartnershipVerbBody) -> ApiAnswer {
    asked.knows(&[])?;
    let both = pair(asked, id)?;
    if body.auto_accept.is_some() && kind != EventType::PartnershipAccepted {
        return Err(Problem::of_member("auto_accept", "an acceptance alone has it").into());
    }
    let data = match (asked.caller.tenant(), &body.acting) {
        (Some(own), None) => {
            let partner = if own.as_str() == both[0] { &both[1] } else { &both[0] };
            DataBuilder::default().text("partner", partner)
        }
        (Some(_), Some(_)) => return Err(Problem::of_member("acting", "it is the operator's").into()),
        (None, acting) => {
            let [a, b] = &both;
            let sides = match acting.as_deref() {
                None => vec![a.clone(), b.clone()],
                Some(acting) if acting == a => vec![a.clone(), b.clone()],
                Some(acting) if acting == b => vec![b.clone(), a.clone()],
                Some(_) => return Err(Problem::of_member("acting", "it is one of the two").into()),
            };
            DataBuilder::default().texts_if("tenants", Some(&sides))
        }
    };
    write(asked, kind, both, data.flag_if("auto_accept", body.auto_accept).build(), StatusCode::OK).await
}

/// The two tenants of an id.
fn pair(asked: &Asked, id: &str) -> Result<[String; 2], Problem> {
    match (id.split_once(BETWEEN), asked.caller.tenant()) {
        (Some((a, b)), None) => Ok([a.to_owned(), b.to_owned()]),
        (Some((a, b)), Some(own)) if [a, b].contains(&own.as_str()) => Ok([a.to_owned(), b.to_owned()]),
        (Some(_), Some(_)) => Err(Problem::not_there()),
        (None, Some(own)) => Ok([own.to_string(), id.to_owned()]),
        (None, None) => Err(Problem::malformed("the operator names both tenants, with `~` between them")),
    }
}

async fn write(asked: &Asked, kind: EventType, both: [String; 2], data: Node, status: StatusCode) -> ApiAnswer {
    let [a, b] = &both;
    let order = WriteOrder::one(kind, format!("{a}{BETWEEN}{b}"), data);
    let receipt = Arc::clone(&asked.serve).write(&asked.caller, order, asked.key.as_deref()).await?;
    let epoch = receipt.epoch;
    receipt.single()?;
    let view = asked.serve.view(&asked.caller);
    let value = view.partnership(a, b).map_or_else(|| ended(a, b), |found| document(&found));
    Ok(json(status, epoch, value))
}

/// One that is no more.
pub(crate) fn ended(a: &str, b: &str) -> Vec<u8> {
    let mut tenants = [a, b];
    tenants.sort_unstable();
    object(|out| {
        out.text("partnership", &tenants.join("~"));
        out.texts("tenants", tenants);
        out.text("state", "ENDED");
    })
}

/// A partnership with its id.
pub(crate) fn document(partnership: &PartnershipView<'_>) -> Vec<u8> {
    with_members(partnership.to_json(), |out| out.text("partnership", &partnership.tenants.join("~")))
}
