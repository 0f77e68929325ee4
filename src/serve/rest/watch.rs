//! `/livez`, `/readyz` and `/metrics`, without a token.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use metrics::gauge;

use crate::engine::server::process;
use crate::serve::Serve;

pub(crate) fn router(serve: Arc<Serve>) -> Router {
    Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(ready)).route("/metrics", get(render)).with_state(serve)
}

async fn render(State(serve): State<Arc<Serve>>) -> String {
    process::observe(&*serve.clock);
    gauge!("sharecast_ready").set(if serve.check_fresh().is_ok() && !serve.is_stopping() { 1.0 } else { 0.0 });
    gauge!("sharecast_epoch").set(serve.epoch().0 as f64);
    serve.metrics.run_upkeep();
    serve.metrics.render()
}

/// Ready means that what is shown is what the log says.
async fn ready(State(serve): State<Arc<Serve>>) -> (StatusCode, String) {
    let draining = if serve.is_stopping() { Err("the process is ending".to_owned()) } else { Ok(()) };
    let checks = [("control_caught_up", serve.check_fresh()), ("draining", draining)];
    let failed: String = checks.iter().filter_map(|(name, state)| Some(format!("[-]{name} failed: {}\n", state.as_ref().err()?))).collect();
    if failed.is_empty() { (StatusCode::OK, "ok\n".to_owned()) } else { (StatusCode::SERVICE_UNAVAILABLE, format!("{failed}not ready\n")) }
}
