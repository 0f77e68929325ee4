//! Reading a request's body.

use std::sync::Arc;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::Response;
use serde::de::DeserializeOwned;

use crate::document::Node;
use crate::json::document;
use crate::serve::Serve;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::problem;

/// A body that is JSON. None at all is an empty object.
pub(crate) struct Json<T>(pub(crate) T);

/// The same, and the body as it was written: numbers have their text.
pub(crate) struct JsonNode<T>(pub(crate) T, pub(crate) Node);

impl<T: DeserializeOwned> FromRequest<Arc<Serve>> for Json<T> {
    type Rejection = Response;

    async fn from_request(request: Request, serve: &Arc<Serve>) -> Result<Self, Response> {
        read(&bytes_of(request, serve).await?).map(Self).map_err(|refused| problem(&refused))
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Serve>> for JsonNode<T> {
    type Rejection = Response;

    async fn from_request(request: Request, serve: &Arc<Serve>) -> Result<Self, Response> {
        let bytes = bytes_of(request, serve).await?;
        let body = read(&bytes).map_err(|refused| problem(&refused))?;
        let node = document::parse(&bytes).map_err(|error| problem(&Problem::malformed(format!("the body cannot be read: {error}"))))?;
        Ok(Self(body, node))
    }
}

/// The body, which is JSON by what it says of itself.
async fn bytes_of(request: Request, serve: &Arc<Serve>) -> Result<Bytes, Response> {
    let kind = request.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default().to_owned());
    let most = serve.limits().body_bytes;
    let too_long = || problem(&Problem::new(413, format!("a body has at most {most} bytes (`api.limits.body`)")));
    let told = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told > most as u64) {
        return Err(too_long());
    }
    let bytes = to_bytes(request.into_body(), most).await.map_err(|error| {
        // The kind of the error is of a crate that is not named here.
        if error.to_string().contains("length limit") { too_long() } else { problem(&Problem::malformed("the body could not be read")) }
    })?;
    if bytes.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    if !kind.as_deref().is_some_and(is_json) {
        return Err(problem(&Problem::new(415, "send the body with `Content-Type: application/json`")));
    }
    // An optional body may be null.
    if bytes.trim_ascii() == b"null" {
        return Ok(Bytes::from_static(b"{}"));
    }
    Ok(bytes)
}

fn is_json(kind: &str) -> bool {
    let name = kind.split(';').next().unwrap_or_default().trim();
    name.eq_ignore_ascii_case("application/json")
}

/// Reads a value; what it does not know is refused, as it may be a slip of the pen.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| Problem::malformed(format!("the body cannot be read: {error}")))
}
