//! The API: `/api/v1`, and what watches the process.
//!
//! `routes` holds each operation with its documentation, so that there is no route that the document does not have. `request` is what
//! every request goes through, `answer` what every answer is made of; a file for each kind of thing has the operations.

pub(crate) mod request;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod listing;
pub mod bodies;
pub mod documents;
pub mod shares;
pub mod batch;
pub mod invitations;
pub mod partnerships;
pub mod tenants;
pub mod profiles;
pub mod assets;
pub mod looking;
pub(crate) mod events;
pub mod routes;
pub(crate) mod watch;

use std::sync::Arc;

use axum::Router;

use crate::serve::Serve;

/// Everything that is no page.
pub fn router(serve: Arc<Serve>) -> Router {
    watch::router(Arc::clone(&serve)).merge(routes::router(serve))
}
