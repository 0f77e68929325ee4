//! `/metrics`, `/livez` and `/readyz` (docs/rules/operating.md#health).

use std::fmt::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;

use crate::clock::Clock;
use crate::engine::server::process;
use crate::listener::{self, ClientLimits};

/// One named condition of readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name (docs/rules/operating.md#health).
    pub name: &'static str,
    /// `Ok`, or why not, in words.
    pub state: Result<(), String>,
}

/// Returns the conditions of readiness, in order.
pub trait Health: Send + Sync {
    /// control_caught_up, fence, assigned, producer, held, draining.
    fn checks(&self) -> Vec<Check>;
}

/// What is served.
pub struct Served {
    /// Asked at each look.
    pub health: Arc<dyn Health>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Serves until `stop` is raised.
pub async fn serve(listener: TcpListener, served: Served, stop: Arc<AtomicBool>) -> std::io::Result<()> {
    let routes = Router::new().route("/metrics", get(render)).route("/livez", get(async || "ok\n")).route("/readyz", get(ready));
    listener::serve(listener, routes.with_state(Arc::new(served)), ClientLimits::default, stop).await
}

async fn render(State(served): State<Arc<Served>>) -> String {
    process::observe(&*served.clock);
    gauge!("sharecast_ready").set(if is_ready(&served.health.checks()) { 1.0 } else { 0.0 });
    served.metrics.run_upkeep();
    served.metrics.render()
}

async fn ready(State(served): State<Arc<Served>>, Query(query): Query<Vec<(String, String)>>) -> (StatusCode, String) {
    let checks = served.health.checks();
    answer(&checks, query.iter().any(|(name, _)| name == "verbose"))
}

fn is_ready(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.state.is_ok())
}

/// 200 if every check holds, else 503; verbose names each, as Kubernetes does.
fn answer(checks: &[Check], is_verbose: bool) -> (StatusCode, String) {
    let is_ready = is_ready(checks);
    let mut text = String::new();
    for check in checks {
        let _ = match &check.state {
            Ok(()) if is_verbose => writeln!(text, "[+]{} ok", check.name),
            Ok(()) => Ok(()),
            Err(why) => writeln!(text, "[-]{} failed: {why}", check.name),
        };
    }
    text.push_str(if is_ready { "ok\n" } else { "not ready\n" });
    (if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_must_hold_and_a_failed_one_is_named() {
        let good = Check { name: "assigned", state: Ok(()) };
        let bad = Check { name: "fence", state: Err("view_too_old".into()) };
        assert_eq!(answer(std::slice::from_ref(&good), false), (StatusCode::OK, "ok\n".into()));
        assert_eq!(answer(std::slice::from_ref(&good), true), (StatusCode::OK, "[+]assigned ok\nok\n".into()));
        let (status, text) = answer(&[good, bad], false);
        assert_eq!((status, text.as_str()), (StatusCode::SERVICE_UNAVAILABLE, "[-]fence failed: view_too_old\nnot ready\n"));
    }
}
