//! `/livez`, `/readyz` and `/metrics`, without a token.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
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
async fn ready(State(serve): State<Arc<Serve>>, uri: Uri) -> (StatusCode, String) {
    let draining = if serve.is_stopping() { Err("the process is ending".to_owned()) } else { Ok(()) };
    let checks = [("control_caught_up", serve.check_fresh()), ("draining", draining)];
    let is_verbose = uri.query().is_some_and(|query| query.split('&').any(|part| part == "verbose"));
    let line = |(name, state): &(&str, Result<(), String>)| match state {
        Ok(()) if is_verbose => format!("[+]{name} ok\n"),
        Ok(()) => String::new(),
        Err(why) => format!("[-]{name} failed: {why}\n"),
    };
    let told: String = checks.iter().map(line).collect();
    match checks.iter().all(|(_, state)| state.is_ok()) {
        true => (StatusCode::OK, told + "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, told + "not ready\n"),
    }
}
