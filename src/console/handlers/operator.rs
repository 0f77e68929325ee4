//! Tenants and health, for the operator.

use std::sync::Arc;

use crate::console::ask::{Ask, Reply};
use crate::console::desk::Desk;
use crate::console::handlers::said;
use crate::console::pages::operator::{HealthPage, NamedCheck, TenantRow, health as health_of, tenants as tenants_of};
use crate::console::shell::PagePlace;
use crate::document::DocumentKind;
use crate::serve::problem::Problem;
use crate::serve::view::{CallerView, SeenTenant};
use crate::serve::write::order::{DataBuilder, WriteOrder};
use crate::serve::write::receipt::WriteReceipt;
use crate::share::event::kind::EventType;

/// What is the operator's does not exist for others.
fn only_operator(ask: &Ask) -> Result<(), Problem> {
    if ask.caller().is_operator() { Ok(()) } else { Err(Problem::not_there()) }
}

pub(crate) fn tenants(desk: &Desk, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    only_operator(ask)?;
    let row = |tenant: SeenTenant<'_>| {
        let (gives, receives) = view.live_of(tenant.id);
        TenantRow {
            tenant: tenant.id.to_owned(),
            parent: tenant.parent.map(str::to_owned),
            is_suspended: tenant.is_suspended.unwrap_or_default(),
            gives,
            receives,
        }
    };
    let rows: Vec<TenantRow> = view.tenants().into_iter().map(row).collect();
    let wanted = ask.fields.text("tenant");
    let asked = rows.iter().find(|row| row.tenant == wanted);
    let body = tenants_of(&rows, asked, &ask.seal(desk), said(desk, ask, view).as_ref());
    Ok(Reply::page("Tenants", PagePlace::Tenants, body))
}

pub(crate) async fn suspend(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    only_operator(ask)?;
    let (tenant, is_suspended) = (ask.fields.text("tenant"), ask.fields.text("suspended") == "yes");
    let data = DataBuilder::default().text("tenant", &tenant).flag_if("suspended", Some(is_suspended)).build();
    let order = WriteOrder::one(EventType::TenantUpdated, &tenant, data);
    desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single)?;
    Ok(Reply::see(if is_suspended { "/tenants?done=suspended" } else { "/tenants?done=lifted" }))
}

pub(crate) fn health(desk: &Desk, ask: &Ask, view: &CallerView) -> Result<Reply, Problem> {
    only_operator(ask)?;
    let fresh = desk.serve.check_fresh();
    let control = NamedCheck {
        name: "control log".to_owned(),
        is_good: fresh.is_ok(),
        what: fresh.err().unwrap_or_else(|| "folded to its end".to_owned()),
    };
    let trouble = desk.engines.trouble();
    let reports = NamedCheck {
        name: "reports of engines".to_owned(),
        is_good: trouble.is_none(),
        what: trouble.unwrap_or_else(|| "followed".to_owned()),
    };
    let page = HealthPage {
        checks: vec![control, reports],
        routes: desk.engines.failed_routes(),
        engines: desk.engines.members(),
        unreadable: desk.serve.unreadable_offsets(),
        newest_tick: Some(view.control_time()).filter(|at| at.0 > 0).map(crate::time::TimestampMs::moment),
        epoch: view.epoch().0,
        skipping: ask.fields.text("skip").parse().ok(),
    };
    Ok(Reply::page("Health", PagePlace::Health, health_of(&page, &ask.seal(desk), said(desk, ask, view).as_ref())))
}

pub(crate) async fn skip(desk: &Arc<Desk>, ask: &Ask) -> Result<Reply, Problem> {
    only_operator(ask)?;
    let offset: u64 = ask.fields.text("offset").parse().map_err(|_| Problem::malformed("The offset is no number."))?;
    if ask.fields.text("sure") != "yes" {
        return Err(Problem::malformed("Tick that you have looked at the record."));
    }
    let note = ask.fields.text("note");
    let data = DataBuilder::default().member("offset", DocumentKind::Number(offset.to_string())).text("note", &note).build();
    let order = WriteOrder::one(EventType::ControlSkipped, offset.to_string(), data);
    desk.serve.write(ask.caller(), order, ask.key()).await.and_then(WriteReceipt::single)?;
    Ok(Reply::see("/health?done=skipped"))
}
