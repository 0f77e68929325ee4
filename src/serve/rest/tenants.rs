//! `/tenants`.

use std::sync::Arc;

use axum::http::StatusCode;

use crate::json::writer::object;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{ApiAnswer, json, ok};
use crate::serve::rest::bodies::{TenantBody, TenantUpdateBody};
use crate::serve::rest::body::Json;
use crate::serve::rest::documents::{TenantDocument, TenantsDocument};
use crate::serve::rest::listing::EpochParameters;
use crate::serve::rest::request::{Asked, Id};
use crate::serve::view::SeenTenant;
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::share::event::kind::EventType;

/// Lists the tenants that the caller has to do with: itself, its partners, and those at the other side of its shares. The operator sees
/// all.
#[utoipa::path(get, path = "/tenants", tag = "tenants", params(EpochParameters),
    responses((status = 200, description = "By id", body = TenantsDocument)))]
pub(super) async fn list_tenants(asked: Asked) -> ApiAnswer {
    asked.knows(&[])?;
    let all = asked.view.tenants();
    let value = object(|out| out.array("tenants", |items| all.iter().for_each(|one| items.json(&document(one)))));
    Ok(ok(asked.view.epoch(), value))
}

/// Shows one.
#[utoipa::path(get, path = "/tenants/{tenant}", tag = "tenants", params(("tenant" = String, Path, description = "The tenant"), EpochParameters),
    responses((status = 200, description = "The tenant", body = TenantDocument)))]
pub(super) async fn show_tenant(asked: Asked, Id(tenant): Id) -> ApiAnswer {
    asked.knows(&[])?;
    let found = asked.view.known_tenant_of_caller(&tenant).ok_or_else(Problem::not_there)?;
    Ok(ok(asked.view.epoch(), document(&found)))
}

/// Makes a tenant known, places it in the tree, suspends it; the operator alone.
#[utoipa::path(post, path = "/tenants", tag = "tenants", params(("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body = TenantBody,
    responses((status = 201, description = "The tenant", body = TenantDocument)))]
pub(super) async fn make_tenant(asked: Asked, Json(body): Json<TenantBody>) -> ApiAnswer {
    let TenantBody { tenant, parent, suspended } = body;
    write(&asked, &tenant, parent.as_ref().map(Option::as_deref), suspended, StatusCode::CREATED).await
}

/// Changes a tenant; the operator alone.
#[utoipa::path(post, path = "/tenants/{tenant}/update", tag = "tenants", params(("tenant" = String, Path, description = "The tenant"), ("Idempotency-Key" = Option<String>, Header, description = "The same write under the same key is done once", max_length = 255)), request_body(content = Option<TenantUpdateBody>, content_type = "application/json"),
    responses((status = 200, description = "The tenant", body = TenantDocument)))]
pub(super) async fn update_tenant(asked: Asked, Id(tenant): Id, Json(body): Json<TenantUpdateBody>) -> ApiAnswer {
    let TenantUpdateBody { parent, suspended } = body;
    write(&asked, &tenant, parent.as_ref().map(Option::as_deref), suspended, StatusCode::OK).await
}

async fn write(asked: &Asked, tenant: &str, parent: Option<Option<&str>>, suspended: Option<bool>, status: StatusCode) -> ApiAnswer {
    asked.knows(&[])?;
    if !asked.caller.is_operator() {
        return Err(Problem::not_operator().into());
    }
    let data = DataBuilder::default().text("tenant", tenant).clearable("parent", parent).flag_if("suspended", suspended).build();
    let order = WriteOrder::one(EventType::TenantUpdated, tenant, data);
    let receipt = Arc::clone(&asked.serve).write(&asked.caller, order, asked.key.as_deref()).await?;
    let epoch = receipt.epoch;
    receipt.single()?;
    let view = asked.serve.view(&asked.caller);
    let found = view.known_tenant_of_caller(tenant).ok_or_else(Problem::not_there)?;
    Ok(json(status, epoch, document(&found)))
}

/// `{"tenant","parent"?,"suspended"?}`.
pub(crate) fn document(tenant: &SeenTenant<'_>) -> Vec<u8> {
    object(|out| {
        out.text("tenant", tenant.id);
        out.text_if("parent", tenant.parent);
        if let Some(is_suspended) = tenant.is_suspended {
            out.flag("suspended", is_suspended);
        }
    })
}
