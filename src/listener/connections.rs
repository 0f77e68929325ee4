//! The open connections: how many there are, and which of them gives way to another.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{Notify, watch};

/// The open connections of a listener.
pub(super) struct Connections {
    open: Mutex<OpenCount>,
    /// A connection was closed, or waits for a request.
    changed: Notify,
    /// Set when the listener ends.
    is_ending: watch::Sender<bool>,
}

#[derive(Default)]
struct OpenCount {
    count: usize,
    turn: u64,
    /// Those that wait for a request, by the turn in which they began to wait.
    waiting: BTreeMap<u64, Arc<Notify>>,
}

impl OpenCount {
    fn waits(&mut self, give_way: &Arc<Notify>) -> u64 {
        self.turn += 1;
        self.waiting.insert(self.turn, Arc::clone(give_way));
        self.turn
    }
}

impl Default for Connections {
    fn default() -> Self {
        Self { open: Mutex::default(), changed: Notify::new(), is_ending: watch::Sender::new(false) }
    }
}

impl Connections {
    /// Returns when there is room for one more connection. The one that has waited longest for a request gives way for it.
    pub(super) async fn admit(self: &Arc<Self>, most: usize) -> AdmittedConnection {
        let mut has_asked = false;
        loop {
            let changed = self.changed.notified();
            {
                let mut open = self.lock();
                if open.count < most.max(1) {
                    open.count += 1;
                    let give_way = Arc::new(Notify::new());
                    let since = Mutex::new(Some(open.waits(&give_way)));
                    return AdmittedConnection(Arc::new(OpenConnection { of: Arc::clone(self), give_way, since }));
                }
                if !has_asked && let Some((_, oldest)) = open.waiting.pop_first() {
                    oldest.notify_one();
                    has_asked = true;
                }
            }
            changed.await;
        }
    }

    /// Each is to end with the response in hand.
    pub(super) fn end(&self) {
        self.is_ending.send_replace(true);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OpenCount> {
        self.open.lock().expect("never left half changed")
    }
}

/// One open connection; it is counted until this is dropped.
pub(super) struct AdmittedConnection(Arc<OpenConnection>);

struct OpenConnection {
    of: Arc<Connections>,
    /// Told when it is to be closed for another.
    give_way: Arc<Notify>,
    /// Its turn in `waiting`; none while it has a request in hand.
    since: Mutex<Option<u64>>,
}

impl AdmittedConnection {
    /// Returns when this connection is to be closed for another.
    pub(super) async fn gives_way(&self) {
        self.0.give_way.notified().await;
    }

    /// Returns when the listener ends.
    pub(super) async fn ends_after_request(&self) {
        let mut is_ending = self.0.of.is_ending.subscribe();
        // The sender is there as long as this connection.
        let _ = is_ending.wait_for(|is_ending| *is_ending).await;
    }

    /// It has a request in hand, until what is returned is dropped.
    pub(super) fn begin_request(&self) -> RequestInHand {
        if let Some(since) = self.0.since.lock().expect("only set").take() {
            self.0.of.lock().waiting.remove(&since);
        }
        RequestInHand(Arc::clone(&self.0))
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut open = self.of.lock();
        open.count -= 1;
        if let Some(since) = self.since.get_mut().expect("only set").take() {
            open.waiting.remove(&since);
        }
        drop(open);
        self.of.changed.notify_one();
    }
}

/// A request from its headers to the end of its response.
pub(super) struct RequestInHand(Arc<OpenConnection>);

impl Drop for RequestInHand {
    fn drop(&mut self) {
        let turn = self.0.of.lock().waits(&self.0.give_way);
        *self.0.since.lock().expect("only set") = Some(turn);
        self.0.of.changed.notify_one();
    }
}

/// A response's body, whose end is the request's.
pub(super) struct InRequest {
    body: Body,
    _in_hand: RequestInHand,
}

impl InRequest {
    pub(super) fn new(body: Body, in_hand: RequestInHand) -> Self {
        Self { body, _in_hand: in_hand }
    }
}

impl hyper::body::Body for InRequest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
