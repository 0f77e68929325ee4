//! `/profiles`.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::config::profile_text;
use crate::document::Node;
use crate::json::writer::object;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, json, ok};
use crate::serve::rest::bodies::{ProfileBody, RetireBody};
use crate::serve::rest::body::{Json, JsonNode};
use crate::serve::rest::documents::{ProfileDocument, ProfilesDocument};
use crate::serve::rest::listing::EpochParameters;
use crate::serve::rest::request::{Asked, Id};
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::share::event::fields::LONGEST_SOURCE;
use crate::share::event::kind::EventType;
use crate::share::state::Reason;
use crate::share::table::query::ProfileView;

/// Lists the profiles that the caller has published, retired ones too; the operator sees all, or those of one `owner`.
#[utoipa::path(get, path = "/profiles", tag = "profiles", params(("owner" = Option<String>, Query, description = "Whose"), EpochParameters),
    responses((status = 200, description = "By owner and name", body = ProfilesDocument)))]
pub(super) async fn list_profiles(asked: Asked) -> ApiAnswer {
    asked.knows(&["owner"])?;
    let owner = asked.parameter("owner")?;
    let all = asked.view.profiles();
    let of_owner = all.iter().filter(|profile| owner.is_none_or(|owner| owner == profile.owner));
    let value = object(|out| out.array("profiles", |items| of_owner.for_each(|one| items.json(&document(one)))));
    Ok(ok(asked.view.epoch(), value))
}

/// Shows one; the operator says whose.
#[utoipa::path(get, path = "/profiles/{profile}", tag = "profiles", params(("profile" = String, Path, description = "The profile"), ("owner" = Option<String>, Query, description = "Whose, for the operator"), EpochParameters),
    responses((status = 200, description = "The profile", body = ProfileDocument)))]
pub(super) async fn show_profile(asked: Asked, Id(name): Id) -> ApiAnswer {
    asked.knows(&["owner"])?;
    let owner = owner_of(&asked, asked.parameter("owner")?)?;
    let found = asked.view.profile(&owner, &name).ok_or_else(Problem::not_there)?;
    Ok(ok(asked.view.epoch(), document(&found)))
}

/// Publishes a profile: from then on all shares that use it release what it says.
#[utoipa::path(post, path = "/profiles", tag = "profiles", params(("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body = ProfileBody,
    responses((status = 201, description = "The profile", body = ProfileDocument)))]
pub(super) async fn publish_profile(asked: Asked, JsonNode(body, node): JsonNode<ProfileBody>) -> ApiAnswer {
    asked.knows(&[])?;
    let owner = owner_of(&asked, body.owner.as_deref())?;
    let (spec, source) = match (node.get("spec").filter(|spec| !spec.is_null()), &body.source) {
        (Some(spec), source) => {
            let mode = |stream: &str| asked.serve.config.stream(stream).map(|stream| stream.mode);
            let read = crate::profile::spec::ProfileSpec::read(spec).and_then(|read| read.check_modes(mode));
            read.map_err(|error| Problem::broken(Reason::InvalidProfile, error.what))?;
            (spec.clone(), source.clone())
        }
        (None, Some(source)) => (of_source(&asked, &body.profile, source)?, Some(source.clone())),
        (None, None) => return Err(Problem::of_member("spec", "a profile has `spec`, or `source`").into()),
    };
    let own = asked.caller.is_operator().then_some(owner.as_str());
    let data = DataBuilder::default().text("profile", &body.profile).text_if("owner", own).member("spec", spec.kind);
    let source = source.filter(|source| source.len() <= LONGEST_SOURCE);
    let order = WriteOrder::one(EventType::ProfilePublished, &body.profile, data.text_if("source", source.as_deref()).build());
    write(&asked, order.confirmed(body.confirm_critical), &owner, StatusCode::CREATED).await
}

/// A profile that is written as text.
pub(super) fn of_source(asked: &Asked, name: &str, source: &str) -> Result<Node, Problem> {
    let read = profile_text::read(name, source, Some(&asked.serve.config));
    read.map(|(node, _)| node)
        .map_err(|diagnostic| Problem { member: Some("source".into()), ..Problem::broken(Reason::InvalidProfile, diagnostic.to_string()) })
}

/// Retires a profile: its shares release nothing until it is published again.
#[utoipa::path(post, path = "/profiles/{profile}/retire", tag = "profiles", params(("profile" = String, Path, description = "The profile"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body(content = Option<RetireBody>, content_type = "application/json"),
    responses((status = 200, description = "The profile", body = ProfileDocument)))]
pub(super) async fn retire_profile(asked: Asked, Id(name): Id, Json(body): Json<RetireBody>) -> ApiAnswer {
    asked.knows(&[])?;
    let owner = owner_of(&asked, body.owner.as_deref())?;
    if asked.view.profile(&owner, &name).is_none() {
        return Err(Problem::not_there().into());
    }
    let own = asked.caller.is_operator().then_some(owner.as_str());
    let data = DataBuilder::default().text("profile", &name).text_if("owner", own).build();
    write(&asked, WriteOrder::one(EventType::ProfileRetired, &name, data), &owner, StatusCode::OK).await
}

async fn write(asked: &Asked, order: WriteOrder, owner: &str, status: StatusCode) -> ApiAnswer {
    let name = order.items.first().map(|item| item.name.clone()).unwrap_or_default();
    let receipt = Arc::clone(&asked.serve).write(&asked.caller, order, asked.key.as_deref()).await?;
    let epoch = receipt.epoch;
    receipt.single()?;
    let view = asked.serve.view(&asked.caller);
    let found = view.profile(owner, &name).ok_or_else(Problem::not_there)?;
    Ok(json(status, epoch, document(&found)))
}

/// Whose profile it is: a tenant's own, or that which the operator names.
pub(super) fn owner_of(asked: &Asked, named: Option<&str>) -> Result<String, Problem> {
    match (asked.caller.tenant(), named) {
        (Some(own), None) => Ok(own.to_string()),
        (Some(own), Some(named)) if named == own.as_str() => Ok(own.to_string()),
        (Some(_), Some(_)) => Err(Problem::broken(Reason::NotOwner, Reason::NotOwner.in_words())),
        (None, Some(named)) => Ok(named.to_owned()),
        (None, None) => Err(Problem::of_member("owner", "the operator says whose profile it is")),
    }
}

/// A profile.
pub(crate) fn document(profile: &ProfileView<'_>) -> Vec<u8> {
    object(|out| {
        out.text("profile", profile.name);
        out.text("owner", profile.owner);
        out.number("revision", profile.revision);
        out.flag("retired", profile.is_retired);
        out.json("spec", profile.spec);
        out.text_if("source", profile.source);
    })
}
