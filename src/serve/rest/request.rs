//! What every request of the API goes through: who asks, how often, as of which epoch; and its line in the log.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, OriginalUri, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tracing::info;

use crate::access::{Caller, TokenHash};
use crate::id::Epoch;
use crate::serve::Serve;
use crate::serve::problem::Problem;
use crate::serve::rest::answer::{EPOCH, problem};
use crate::serve::view::CallerView;
use crate::serve::write::source_of;

/// So much longer than what it waits for a request may take.
const SPARE: Duration = Duration::from_secs(2);

/// By which token a request was let in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdmittedToken(pub(crate) TokenHash);

impl FromRequestParts<Arc<Serve>> for AdmittedToken {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Serve>) -> Result<Self, Response> {
        parts.extensions.get().copied().ok_or_else(|| problem(&Problem::new(401, "who asks is not known")))
    }
}

/// A request that was let in.
pub(crate) struct Asked {
    pub(super) serve: Arc<Serve>,
    pub(super) caller: Caller,
    /// The shares as the caller sees them.
    pub(super) view: CallerView,
    /// Its query, each parameter as it was written.
    pub(super) query: Vec<(String, String)>,
    /// `Idempotency-Key`.
    pub(super) key: Option<String>,
}

impl FromRequestParts<Arc<Serve>> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, serve: &Arc<Serve>) -> Result<Self, Response> {
        let Some(caller) = parts.extensions.get::<Caller>().cloned() else {
            return Err(problem(&Problem::new(401, "who asks is not known")));
        };
        let query = query_of(&parts.uri).map_err(|refused| problem(&refused))?;
        let key = key_of(&parts.headers).map_err(|refused| problem(&refused))?;
        Ok(Self { view: serve.view(&caller), serve: Arc::clone(serve), caller, query, key })
    }
}

/// The last part of a path: an id.
pub(crate) struct Id(pub(crate) String);

impl FromRequestParts<Arc<Serve>> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, serve: &Arc<Serve>) -> Result<Self, Response> {
        match axum::extract::Path::<String>::from_request_parts(parts, serve).await {
            Ok(axum::extract::Path(id)) => Ok(Self(id)),
            Err(_) => Err(problem(&Problem::malformed("the path is no UTF-8"))),
        }
    }
}

impl Asked {
    /// The one value of a parameter.
    pub(super) fn parameter(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut values = self.query.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Problem::of_member(name, "it is given twice")),
        }
    }

    /// A parameter that is `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.parameter(name)? {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Problem::of_member(name, "it is `true` or `false`")),
        }
    }

    /// `wait=certain`, where it can be.
    pub(super) fn waits_for_certainty(&self, is_revoke: bool) -> Result<bool, Problem> {
        match (self.parameter("wait")?, is_revoke) {
            (None, _) => Ok(false),
            (Some("certain"), true) => Ok(true),
            (Some("certain"), false) => Err(Problem::of_member("wait", "only a revoke is waited for")),
            (Some(_), _) => Err(Problem::of_member("wait", "it is `certain`")),
        }
    }

    /// Refuses parameters besides these and `min_epoch`: one that is misspelled must not be taken for none.
    pub(super) fn knows(&self, names: &[&str]) -> Result<(), Problem> {
        match self.query.iter().find(|(name, _)| name != "min_epoch" && !names.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let known = if names.is_empty() { "none but min_epoch".to_owned() } else { format!("{}, min_epoch", names.join(", ")) };
                Err(Problem::of_member(name.as_str(), format!("there is no such parameter here; there are {known}")))
            }
        }
    }
}

fn query_of(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let read = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
    read.map(|query| query.0).map_err(|error| Problem::malformed(format!("the query cannot be read: {error}")))
}

fn key_of(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut keys = headers.get_all("idempotency-key").iter();
    match (keys.next(), keys.next()) {
        (None, _) => Ok(None),
        (Some(key), None) => match key.to_str() {
            Ok(key) => Ok(Some(key.to_owned())),
            Err(_) => Err(Problem::of_member("Idempotency-Key", "it has visible ASCII characters")),
        },
        (Some(_), Some(_)) => Err(Problem::of_member("Idempotency-Key", "it is given twice")),
    }
}

/// Lets a request in, or not; writes its line in the log. Of it the log has neither query nor body.
pub(crate) async fn admit(State(serve): State<Arc<Serve>>, mut request: Request, next: Next) -> Response {
    let begun = serve.clock.boot();
    let whole = request.extensions().get::<OriginalUri>().map_or(request.uri(), |original| &original.0);
    let (method, path) = (request.method().clone(), whole.path().to_owned());
    let admitted = serve.admit(request.headers()).await;
    let who = admitted.as_ref().map(|(caller, _)| (source_of(caller), caller.name.clone())).ok();
    let response = match admitted {
        Ok((caller, token)) => {
            request.extensions_mut().insert(caller);
            request.extensions_mut().insert(AdmittedToken(token));
            serve.answer(request, next).await
        }
        Err(refused) => problem(&refused),
    };
    let response = with_epoch(response, serve.epoch());
    let (source, name) = who.unwrap_or_default();
    let (status, taken_ms) = (response.status().as_u16(), serve.clock.boot().since(begun).as_millis() as u64);
    counter!("sharecast_api_requests_total", "status" => status.to_string()).increment(1);
    histogram!("sharecast_api_request_seconds").record(serve.clock.boot().since(begun).as_secs_f64());
    log(&method, &path, status, taken_ms, &source, name.as_deref());
    response
}

fn log(method: &Method, path: &str, status: u16, taken_ms: u64, source: &str, name: Option<&str>) {
    info!(target: "sharecast::access", %method, path, status, taken_ms, source, name = name.unwrap_or_default(), "request");
}

fn with_epoch(mut response: Response, epoch: Epoch) -> Response {
    let headers = response.headers_mut();
    if !headers.contains_key(EPOCH) {
        headers.insert(EPOCH, HeaderValue::from(epoch.0));
    }
    response
}

impl Serve {
    async fn answer(self: &Arc<Self>, request: Request, next: Next) -> Response {
        if !self.freshness.has_begun() {
            return problem(&Problem::unavailable(self.check_fresh().err().unwrap_or_default()));
        }
        if let Err(refused) = self.reach_epoch(request.uri()).await {
            return problem(&refused);
        }
        let is_patient = is_patient(request.uri());
        let answered = next.run(request);
        if is_patient {
            return answered.await;
        }
        // What waits for the log says more when its own time is over.
        match tokio::time::timeout(self.patience() + SPARE, answered).await {
            Ok(response) => response,
            Err(_) => problem(&Problem::unavailable("the request took too long (`api.limits.timeout`)")),
        }
    }

    /// Waits for `min_epoch`.
    async fn reach_epoch(self: &Arc<Self>, uri: &Uri) -> Result<(), Problem> {
        let query = query_of(uri)?;
        let Some((_, wanted)) = query.iter().find(|(name, _)| name == "min_epoch") else { return Ok(()) };
        let wanted: i64 = wanted.parse().map_err(|_| Problem::of_member("min_epoch", "it is a whole number"))?;
        self.reach("min_epoch", Epoch(wanted)).await
    }
}

/// Whether a request may wait for longer than others: for a cut to be certain.
fn is_patient(uri: &Uri) -> bool {
    uri.query().is_some_and(|query| query.split('&').any(|part| part == "wait=certain"))
}

/// What no route takes.
pub(crate) async fn no_route() -> Result<Infallible, Response> {
    Err(problem(&Problem::new(404, "there is no such path")))
}

/// A path that does not take the method.
pub(crate) async fn no_method() -> Response {
    problem(&Problem::new(405, "the path does not take this method")).into_response()
}
