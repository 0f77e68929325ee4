//! The question who leads, asked on a thread of its own, for its answer may take its time.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::FetchWaker;
use super::links::FetchLinks;
use super::positions::{FetchEvent, FetchPositions};
use crate::kafka::client::Deadline;
use crate::kafka::wire::cluster::Cluster;
use crate::kafka::wire::connection::ConnectError;
use crate::kafka::wire::messages::metadata::TopicLeaders;

/// Between two questions, at first and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

type LeadersFound = (Cluster, Vec<String>, Result<Vec<TopicLeaders>, ConnectError>);

pub(super) struct Lookups {
    /// Away while something is asked.
    cluster: Option<Cluster>,
    under_way: Option<Receiver<LeadersFound>>,
    waker: Arc<FetchWaker>,
    not_before: Option<Instant>,
    pause: Duration,
}

impl Lookups {
    pub(super) fn new(cluster: Cluster, waker: FetchWaker) -> Self {
        Self { cluster: Some(cluster), under_way: None, waker: Arc::new(waker), not_before: None, pause: AGAIN.0 }
    }

    /// Asks for the leaders that are not known, or not any more.
    pub(super) fn ask(&mut self, positions: &FetchPositions, now: Instant) {
        if self.cluster.is_none() || self.not_before.is_some_and(|until| until > now) {
            return;
        }
        let topics = positions.stale();
        let Some(mut cluster) = (!topics.is_empty()).then(|| self.cluster.take()).flatten() else {
            if self.cluster.is_some() {
                self.pause = AGAIN.0;
            }
            return;
        };
        let (reply, answer) = sync_channel(1);
        let waker = Arc::clone(&self.waker);
        let asking = move || {
            let names: Vec<&str> = topics.iter().map(String::as_str).collect();
            let deadline = Deadline::after(2 * cluster.settings.attempt);
            let found = cluster.ask_topics(&names, deadline);
            // Whoever asked may be gone.
            let _ = reply.send((cluster, topics, found));
            waker.wake();
        };
        // Where no thread can be made its end is found gone.
        self.under_way = Some(answer);
        if let Err(error) = thread::Builder::new().name("fetch-leaders".to_owned()).spawn(asking) {
            tracing::error!(%error, "no thread to ask who leads");
        }
    }

    /// Takes in what was answered.
    pub(super) fn take(&mut self, positions: &mut FetchPositions, links: &mut FetchLinks, now: Instant) {
        let Some(under_way) = &self.under_way else { return };
        let (cluster, topics, found) = match under_way.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => {
                self.under_way = None;
                positions.tell(FetchEvent::NotNative("nobody can ask who leads any more".to_owned()));
                return;
            }
        };
        self.under_way = None;
        self.not_before = Some(now + self.pause);
        self.pause = (self.pause * 2).min(AGAIN.1);
        match found {
            Ok(found) => {
                cluster.nodes().for_each(|node| links.learn(node));
                positions.learn(&topics, found, now);
            }
            Err(ConnectError::NotNative(why)) => positions.tell(FetchEvent::NotNative(why.to_string())),
            Err(ConnectError::LoginRefused(words)) => {
                positions.tell(FetchEvent::Unavailable(format!("the cluster refused the login: {words}")));
            }
            Err(ConnectError::Lost(lost)) => positions.tell(FetchEvent::Unavailable(format!("nobody says who leads: {lost}"))),
        }
        self.cluster = Some(cluster);
    }

    /// When something is to be asked; none where nothing is, or an answer is waited for.
    pub(super) fn next_due(&self, positions: &FetchPositions, now: Instant) -> Option<Instant> {
        let is_due = self.cluster.is_some() && !positions.stale().is_empty();
        is_due.then(|| self.not_before.unwrap_or(now))
    }
}
