//! What answers are made of.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::id::Epoch;
use crate::serve::problem::Problem;

/// The header with the epoch that an answer is of.
pub(crate) const EPOCH: &str = "x-sharecast-epoch";

/// An answer, or why there is none.
pub(crate) type ApiAnswer = Result<Response, RefusedRequest>;

/// A problem on its way out.
pub(crate) struct RefusedRequest(Problem);

impl From<Problem> for RefusedRequest {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl axum::response::IntoResponse for RefusedRequest {
    fn into_response(self) -> Response {
        problem(&self.0)
    }
}

/// JSON, as of an epoch.
pub(crate) fn json(status: StatusCode, epoch: Epoch, value: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(value));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(EPOCH, HeaderValue::from(epoch.0));
    response
}

/// The same with 200.
pub(crate) fn ok(epoch: Epoch, value: Vec<u8>) -> Response {
    json(StatusCode::OK, epoch, value)
}

/// `application/problem+json`.
pub(crate) fn problem(problem: &Problem) -> Response {
    let mut response = Response::new(Body::from(problem.to_json()));
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if problem.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Some(seconds) = problem.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
