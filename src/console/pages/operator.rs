//! For the operator: tenants, and what is stuck.

use maud::{Markup, html};

use crate::console::model::query;
use crate::console::parts::{Badge, BadgeTone, FieldOf, FormSeal, NoticeTone, empty, head, id, notice, second};
use crate::time::TimestampNs;

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TenantRow {
    pub(crate) tenant: String,
    pub(crate) parent: Option<String>,
    pub(crate) is_suspended: bool,
    pub(crate) gives: usize,
    pub(crate) receives: usize,
}

/// The tenants.
pub(crate) fn tenants(rows: &[TenantRow], asked: Option<&TenantRow>, seal: &FormSeal, said: Option<&Markup>) -> Markup {
    html! {
        (head(html! { "Tenants" }, Some(html! { "Every tenant that an event has named." }), None))
        @if let Some(said) = said { (said) }
        @if let Some(row) = asked { (suspension(row, seal)) }
        section.panel id="tenant-list" data-live data-rows aria-label="Tenants" {
            @if rows.is_empty() {
                (empty("No tenants yet", "A tenant is known once an event names it: establish a partnership.", Some(html! { a.button.primary href="/partnerships" { "Partnerships" } })))
            } @else {
                div.scroll { table.folds {
                    thead { tr { th scope="col" { "Tenant" } th scope="col" { "Parent" } th scope="col" { "Status" } th scope="col" { "Gives" } th scope="col" { "Receives" } th scope="col" { span.hidden-visually { "Actions" } } } }
                    tbody { @for row in rows { tr data-row=(row.tenant) {
                        td data-head="Tenant" { (row.tenant) }
                        td data-head="Parent" { @if let Some(parent) = &row.parent { (parent) } }
                        td data-head="Status" { div { @if row.is_suspended { (Badge::new("Suspended", "‖", BadgeTone::Wait)) } @else { (Badge::new("Active", "●", BadgeTone::Good)) } } }
                        td data-head="Gives" { (row.gives) }
                        td data-head="Receives" { (row.receives) }
                        td { a href={ "/tenants" (query(&[("tenant", &row.tenant)])) } { @if row.is_suspended { "Lift the suspension" } @else { "Suspend" } span.hidden-visually { " of " (row.tenant) } "…" } }
                    } } }
                } }
            }
        }
    }
}

fn suspension(row: &TenantRow, seal: &FormSeal) -> Markup {
    html! {
        form.panel method="post" action="/tenants" { div.body {
            (seal.fields())
            input type="hidden" name="tenant" value=(row.tenant);
            input type="hidden" name="suspended" value=(if row.is_suspended { "no" } else { "yes" });
            @if row.is_suspended {
                h2 { "Lift the suspension of " (row.tenant) "?" }
                p { "Its shares go on, but for those that somebody else has paused." }
                div.row { button.primary { "Lift the suspension of " (row.tenant) } a.button data-close href="/tenants" { "Not now" } }
            } @else {
                h2 { "Suspend " (row.tenant) "?" }
                p { "All its shares pause, those that it gives (" (row.gives) ") and those that it receives (" (row.receives) ")." }
                div.row { button.danger.firm { "Suspend " (row.tenant) } a.button data-close href="/tenants" { "Not now" } }
            }
        } }
    }
}

/// One check with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedCheck {
    pub(crate) name: String,
    pub(crate) is_good: bool,
    pub(crate) what: String,
}

/// One output topic that cannot be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedRoute {
    pub(crate) tenant: String,
    pub(crate) stream: String,
    pub(crate) partition: i32,
    pub(crate) from: i64,
}

/// One member of the engines' group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EngineRow {
    pub(crate) member: String,
    pub(crate) epoch: i64,
    pub(crate) at: Option<TimestampNs>,
}

/// What is known of the installation.
#[derive(Debug, Clone, Default)]
pub(crate) struct HealthPage {
    pub(crate) checks: Vec<NamedCheck>,
    pub(crate) routes: Vec<FailedRoute>,
    pub(crate) engines: Vec<EngineRow>,
    pub(crate) unreadable: Vec<i64>,
    pub(crate) newest_tick: Option<TimestampNs>,
    pub(crate) epoch: i64,
    /// Which unreadable record is asked about.
    pub(crate) skipping: Option<i64>,
}

/// Health.
pub(crate) fn health(page: &HealthPage, seal: &FormSeal, said: Option<&Markup>) -> Markup {
    html! {
        (head(html! { "Health" }, None, None))
        @if let Some(said) = said { (said) }
        @if let Some(offset) = page.skipping { (skip(offset, seal)) }
        section.panel id="health-unreadable" data-live aria-label="Unreadable control records" {
            header { h2 { "Control log" } span.muted { "epoch " (page.epoch) @if let Some(at) = page.newest_tick { ", newest event " (second(at)) } } }
            div.body {
                @if page.unreadable.is_empty() { p { (Badge::new("Readable", "●", BadgeTone::Good)) } }
                @else {
                    (notice(NoticeTone::Refused, &html! { p { b { "Nothing is decided" } " while a control record cannot be understood." } }, None))
                    ul.plain.stack.tight { @for offset in &page.unreadable { li.row { "offset " (offset) a.button.danger href={ "/health" (query(&[("skip", &offset.to_string())])) } { "Skip offset " (offset) "…" } } } }
                }
            }
        }
        div.columns {
            section.panel id="health-checks" data-live aria-label="This server" {
                header { h2 { "This server" } }
                div.body { @for check in &page.checks { div.row {
                    (if check.is_good { Badge::new("Good", "●", BadgeTone::Good) } else { Badge::new("Not good", "▲", BadgeTone::Bad) })
                    span { b { (check.name) } " " span.muted { (check.what) } }
                } } }
            }
            section.panel id="health-engines" data-live data-rows aria-label="Engines" {
                header { h2 { "Engines" } }
                @if page.engines.is_empty() { (empty("No engine is running", "Start one with `sharecast run`: without it nothing flows.", None)) }
                @else { div.scroll { table {
                    thead { tr { th scope="col" { "Member" } th scope="col" { "Decides by epoch" } th scope="col" { "Reported" } } }
                    tbody { @for engine in &page.engines { tr data-row=(engine.member) { td { (id(&engine.member)) } td { (engine.epoch) } td.nowrap { @if let Some(at) = engine.at { (second(at)) } } } } }
                } } }
            }
        }
        section.panel id="health-routes" data-live data-rows aria-label="Topics that fail" {
            header { h2 { "Topics that fail" } span.muted { "what a target is owed waits in the input" } }
            @if page.routes.is_empty() { div.body { p { (Badge::new("All topics take records", "●", BadgeTone::Good)) } } }
            @else { div.scroll { table.folds {
                thead { tr { th scope="col" { "Tenant" } th scope="col" { "Input" } th scope="col" { "Partition" } th scope="col" { "Owed from offset" } } }
                tbody { @for route in &page.routes { tr data-row={ (route.tenant) (route.stream) (route.partition) } {
                    td data-head="Tenant" { (route.tenant) } td data-head="Input" { (route.stream) } td data-head="Partition" { (route.partition) } td data-head="Owed from offset" { (route.from) }
                } } }
            } } }
        }
    }
}

fn skip(offset: i64, seal: &FormSeal) -> Markup {
    html! {
        form.panel method="post" action="/health/skip" { div.body {
            (seal.fields())
            input type="hidden" name="offset" value=(offset);
            h2 { "Skip control offset " (offset) "?" }
            p { "Whatever it said will never happen. It may have been a revoke: then what it should have ended goes on. Look at it first: " code { "sharecast control dump" } "." }
            (FieldOf { name: "note", label: "Why", hint: Some("is kept in the log"), is_required: true, ..FieldOf::default() }.text())
            label.choice { input type="checkbox" name="sure" value="yes" required; span { "I have looked at it, and it shall be skipped" } }
            div.row { button.danger.firm { "Skip offset " (offset) } a.button data-close href="/health" { "Not now" } }
        } }
    }
}
