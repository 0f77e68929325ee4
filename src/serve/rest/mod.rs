//! The API: `/api/v1`, and what watches the process.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::serve::Serve;

/// Everything that is no page.
pub fn router(serve: Arc<Serve>) -> Router {
    Router::new().route("/livez", get(async || "ok\n")).with_state(serve)
}
