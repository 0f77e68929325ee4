//! `/shares/batch`: the same done with up to ten thousand.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::document::Node;
use crate::json::writer::object;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, ok};
use crate::serve::rest::bodies::{AcceptBody, BatchBody, BatchVerb, NoteBody, OfferBody, ResendBody, UpdateBody};
use crate::serve::rest::body::Json;
use crate::serve::rest::documents::BatchDocument;
use crate::serve::rest::request::Asked;
use crate::serve::write::order::{MOST_ITEMS, WriteItem, WriteOrder};
use crate::serve::write::receipt::{RowOutcome, WriteReceipt};
use crate::share::event::kind::EventType;

/// Does the same with many: all of it is tried first, and if anything is refused nothing is written. With `dry_run` the answer is what it
/// would come to.
#[utoipa::path(post, path = "/shares/batch", tag = "shares", params(("wait" = Option<String>, Query, description = "`certain`, of revokes: until no record can come any more"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body = BatchBody,
    responses((status = 200, description = "What became of each, or would", body = BatchDocument)))]
pub(super) async fn write_batch(asked: Asked, Json(body): Json<BatchBody>) -> ApiAnswer {
    asked.knows(&["wait"])?;
    let waits = asked.waits_for_certainty(body.verb == BatchVerb::Revoke)?;
    let (kind, is_dry) = (kind_of(body.verb), body.dry_run);
    let order = WriteOrder { kind, is_confirmed: body.confirm_critical, items: items(&asked, body)? };
    let serve = Arc::clone(&asked.serve);
    if is_dry {
        let review = serve.review(&asked.caller, order, asked.key.as_deref()).await?;
        return Ok(ok(asked.view.epoch(), review.to_json()));
    }
    let receipt = serve.write(&asked.caller, order, asked.key.as_deref()).await?;
    let certain = if waits { Some(asked.serve.certain(receipt.newest, receipt.acknowledged).await?) } else { None };
    Ok(ok(receipt.epoch, outcome(&receipt, certain)))
}

fn outcome(receipt: &WriteReceipt, certain: Option<&str>) -> Vec<u8> {
    let applied = receipt.rows.iter().filter(|row| !matches!(row.outcome, RowOutcome::Refused(_))).count();
    object(|out| {
        out.flag("dry_run", false);
        out.number("items", receipt.rows.len() as i64);
        out.number("applied", applied as i64);
        out.array("rows", |rows| receipt.rows.iter().for_each(|row| rows.json(&row.to_json())));
        out.text_if("certain", certain);
    })
}

fn kind_of(verb: BatchVerb) -> EventType {
    match verb {
        BatchVerb::Offer => EventType::ShareOffered,
        BatchVerb::Accept => EventType::ShareAccepted,
        BatchVerb::Decline => EventType::ShareDeclined,
        BatchVerb::Cancel => EventType::ShareCancelled,
        BatchVerb::Resend => EventType::ShareResent,
        BatchVerb::Update => EventType::ShareUpdated,
        BatchVerb::Pause => EventType::SharePaused,
        BatchVerb::Resume => EventType::ShareResumed,
        BatchVerb::Revoke => EventType::ShareRevoked,
        BatchVerb::Leave => EventType::ShareLeft,
    }
}

fn items(asked: &Asked, body: BatchBody) -> Result<Vec<WriteItem>, Problem> {
    let BatchBody { verb, with, items, .. } = body;
    if items.len() > MOST_ITEMS {
        return Err(Problem::of_member("items", format!("there are {} items; 1 to {MOST_ITEMS} can be written at once", items.len())));
    }
    let needs_owner = verb == BatchVerb::Offer && asked.caller.is_operator();
    let item = |(index, own): (usize, Map<String, Value>)| {
        let mut members = with.clone();
        members.extend(own);
        item(verb, members, needs_owner).map_err(|refused| Problem { member: Some(format!("items[{index}]").into()), ..refused })
    };
    items.into_iter().enumerate().map(item).collect()
}

fn item(verb: BatchVerb, mut members: Map<String, Value>, needs_owner: bool) -> Result<WriteItem, Problem> {
    if verb == BatchVerb::Offer {
        let offer: OfferBody = read(members)?;
        if needs_owner && offer.owner.is_none() {
            return Err(Problem::malformed("the operator offers for an owner: name it in `owner`"));
        }
        return Ok(WriteItem { name: offer.asset.clone(), data: offer.data() });
    }
    let share = match members.remove("share") {
        Some(Value::String(share)) => share,
        Some(_) | None => return Err(Problem::malformed("`share` names the share")),
    };
    let data = data(verb, &share, members)?;
    Ok(WriteItem { name: share, data })
}

fn data(verb: BatchVerb, share: &str, members: Map<String, Value>) -> Result<Node, Problem> {
    Ok(match verb {
        BatchVerb::Offer => read::<OfferBody>(members)?.data(),
        BatchVerb::Accept => read::<AcceptBody>(members)?.data(share),
        BatchVerb::Resend => read::<ResendBody>(members)?.data(share),
        BatchVerb::Update => read::<UpdateBody>(members)?.data(share),
        BatchVerb::Decline | BatchVerb::Cancel | BatchVerb::Pause | BatchVerb::Resume | BatchVerb::Revoke | BatchVerb::Leave => {
            read::<NoteBody>(members)?.data(share)
        }
    })
}

fn read<T: DeserializeOwned>(members: Map<String, Value>) -> Result<T, Problem> {
    serde_json::from_value(Value::Object(members)).map_err(|error| Problem::malformed(error.to_string()))
}
