//! `/events`: changes of the caller's view as they happen (server-sent events).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, Sse};
use futures_util::stream;
use metrics::gauge;
use tokio::sync::broadcast;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::access::Caller;
use crate::id::Epoch;
use crate::json::writer::object;
use crate::serve::Serve;
use crate::serve::changes::{FoldedChange, PartiesChange};
use crate::serve::problem::Problem;
use crate::serve::rest::answer::ApiAnswer;
use crate::serve::rest::documents::EventDocument;
use crate::serve::rest::listing::EpochParameters;
use crate::serve::rest::request::{AdmittedToken, Asked};
use crate::serve::rest::{partnerships, profiles, tenants};
use crate::serve::view::CallerView;

/// Between two comments on a quiet stream, by which a proxy and a client know that it is there.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// After a cut a client waits so long.
const RETRY: Duration = Duration::from_secs(2);

/// Tells of each change of the caller's view: events `share`, `partnership`, `profile` and `tenant`, with the document as it is then. `id`
/// is the epoch, and is on the last message of each epoch; who names it in `Last-Event-ID` goes on after it. The first message, `open`,
/// says where the stream begins. Who is too slow is cut off, and resumes.
#[utoipa::path(get, path = "/events", tag = "events", params(("Last-Event-ID" = Option<i64>, Header, description = "The epoch to go on after"), EpochParameters),
    responses((status = 200, description = "The events", content_type = "text/event-stream", body = EventDocument)))]
pub(super) async fn events(asked: Asked, token: AdmittedToken, headers: HeaderMap) -> ApiAnswer {
    asked.knows(&[])?;
    let after = last_event(&headers)?;
    // Followed before the state is looked at, so that nothing falls between the two.
    let changes = asked.serve.changes.subscribe();
    if let Some(after) = after {
        asked.serve.reach("Last-Event-ID", after).await?;
    }
    let view = asked.serve.view(&asked.caller);
    let begins = view.epoch();
    let mut waiting: VecDeque<Event> = VecDeque::new();
    if let Some(after) = after {
        waiting.extend(missed(&asked.serve, &view, after));
    }
    waiting.push_back(Event::default().event("open").id(begins.0.to_string()).retry(RETRY).data(opened(begins)));
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let following =
        EventStream { _open: OpenStream::begin(), serve: asked.serve, caller: asked.caller, token, changes, begins, waiting, heartbeat };
    let events =
        stream::unfold(
            following,
            |mut following| async move { following.next().await.map(|event| (Ok::<_, Infallible>(event), following)) },
        );
    let mut response = Sse::new(events).into_response();
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event(headers: &HeaderMap) -> Result<Option<Epoch>, Problem> {
    let wrong = || Problem::of_member("Last-Event-ID", "it is the `id` of an event: a whole number");
    match headers.get("last-event-id") {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => value
            .to_str()
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .filter(|epoch| *epoch >= -1)
            .map(|epoch| Some(Epoch(epoch)))
            .ok_or_else(wrong),
    }
}

fn opened(epoch: Epoch) -> String {
    text(object(|out| out.number("epoch", epoch.0)))
}

/// What changed after an epoch, as it is now: of what changed more than once the newest.
fn missed(serve: &Serve, view: &CallerView, after: Epoch) -> Vec<Event> {
    let parties = serve.recent.lock().expect("it is only added to").parties_since(after);
    let mut all: Vec<(Epoch, ViewChange)> =
        view.changed_since(after).into_iter().map(|share| (share.changed_at(), ViewChange::new("share", share.to_json()))).collect();
    match parties {
        Some(changes) => all.extend(changes.iter().filter_map(|(epoch, change)| Some((*epoch, of_parties(view, change)?)))),
        // Nobody remembers which of them changed: all are told.
        None => all.extend(everything(view).into_iter().map(|change| (view.epoch(), change))),
    }
    all.sort_by_key(|(epoch, _)| *epoch);
    let mut events = Vec::with_capacity(all.len());
    let mut rest = all.into_iter().peekable();
    while let Some((epoch, change)) = rest.next() {
        let is_last = rest.peek().is_none_or(|(next, _)| *next != epoch);
        events.push(change.event(epoch, is_last));
    }
    events
}

fn everything(view: &CallerView) -> Vec<ViewChange> {
    let partnerships = view.partnerships();
    let partnerships = partnerships.iter().map(|one| ViewChange::new("partnership", partnerships::document(one)));
    let profiles = view.profiles();
    let profiles = profiles.iter().map(|one| ViewChange::new("profile", profiles::document(one)));
    let tenants = view.tenants();
    let tenants = tenants.iter().map(|one| ViewChange::new("tenant", tenants::document(one)));
    partnerships.chain(profiles).chain(tenants).collect()
}

/// One change, as the caller sees it.
struct ViewChange {
    kind: &'static str,
    document: Vec<u8>,
}

impl ViewChange {
    fn new(kind: &'static str, document: Vec<u8>) -> Self {
        Self { kind, document }
    }

    fn event(self, epoch: Epoch, is_last: bool) -> Event {
        let event = Event::default().event(self.kind).data(text(self.document));
        if is_last { event.id(epoch.0.to_string()) } else { event }
    }
}

/// A document has no line end: a control character is escaped in it.
fn text(document: Vec<u8>) -> String {
    String::from_utf8(document).unwrap_or_default()
}

/// A change that no status document tells of, if it concerns the caller.
fn of_parties(view: &CallerView, change: &PartiesChange) -> Option<ViewChange> {
    let own = view.tenant().map(|own| own.as_str());
    match change {
        PartiesChange::Partnership([a, b]) => {
            let is_own = own.is_none_or(|own| own == a || own == b);
            let document = || view.partnership(a, b).map_or_else(|| partnerships::ended(a, b), |found| partnerships::document(&found));
            is_own.then(|| ViewChange::new("partnership", document()))
        }
        PartiesChange::Profile { owner, profile } => {
            view.profile(owner, profile).map(|profile| ViewChange::new("profile", profiles::document(&profile)))
        }
        PartiesChange::Tenant(tenant) => {
            let is_own = own.is_none_or(|own| own == tenant);
            view.known_tenant_of_caller(tenant).filter(|_| is_own).map(|tenant| ViewChange::new("tenant", tenants::document(&tenant)))
        }
    }
}

/// Counted as long as it is open.
struct OpenStream;

impl OpenStream {
    fn begin() -> Self {
        gauge!("sharecast_api_event_streams").increment(1.0);
        Self
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        gauge!("sharecast_api_event_streams").decrement(1.0);
    }
}

struct EventStream {
    _open: OpenStream,
    serve: Arc<Serve>,
    caller: Caller,
    token: AdmittedToken,
    changes: broadcast::Receiver<Arc<[FoldedChange]>>,
    /// What is at or below it was told, or is seen.
    begins: Epoch,
    waiting: VecDeque<Event>,
    heartbeat: Interval,
}

impl EventStream {
    /// The next event; none where the stream ends: the receiver was too slow, its token counts no more, or the process ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(changes) => {
                        for change in changes.iter().filter(|change| change.epoch > self.begins) {
                            let events = self.events_of(change);
                            self.waiting.extend(events);
                        }
                    }
                    Err(broadcast::error::RecvError::Lagged(_) | broadcast::error::RecvError::Closed) => return None,
                },
                _ = self.heartbeat.tick() => {
                    if !self.serve.still_admits(&self.token, &self.caller) {
                        return None;
                    }
                    return Some(Event::default().comment(""));
                }
            }
        }
    }

    fn events_of(&self, change: &FoldedChange) -> Vec<Event> {
        let view = self.serve.view(&self.caller);
        let topic = view.viewer().topic();
        let own = change.documents.iter().filter(|document| document.topic == topic);
        let mut changes: Vec<ViewChange> = own.map(|document| ViewChange::new("share", document.value.clone())).collect();
        changes.extend(change.parties.as_ref().and_then(|parties| of_parties(&view, parties)));
        let last = changes.len().saturating_sub(1);
        changes.into_iter().enumerate().map(|(at, one)| one.event(change.epoch, at == last)).collect()
    }
}
