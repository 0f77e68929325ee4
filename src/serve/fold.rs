//! The fold: one thread reads the control topic from a snapshot or its beginning on, and publishes each state.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::broadcast;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::document::Node;
use crate::engine::control;
use crate::engine::control::snapshot;
use crate::id::{Epoch, Offset};
use crate::kafka::{Admin, ClientError, KafkaControlLog, KafkaEndProbe, KafkaSettings};
use crate::serve::changes::FoldedChange;
use crate::serve::freshness::Freshness;
use crate::serve::published::{Publication, PublishedShares};
use crate::serve::recent::{EventOutcome, RecentEvents, ShareDocuments};
use crate::share::snapshot::SnapshotOrigin;
use crate::share::table::{Outcome, ShareTable};
use crate::share::view::by_tenant::SharesByTenant;
use crate::time::TimestampMs;
use crate::transport::{ConsumeError, ControlLog, ControlRecord, EndProbe};

/// So long a poll waits for the first record.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// Between two questions for the log's end.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// So long one question may take.
const ASK: Duration = Duration::from_secs(5);
/// So many changes are told at once: what a slow receiver holds up is bounded.
const TOGETHER: usize = 256;
/// Between two tries to reach a cluster that is not there.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// What ends the process.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The topic, or the right to read it, is not as it must be.
    #[error("{0}")]
    Configuration(String),
    /// The client is broken for good.
    #[error("{0}")]
    Failed(String),
}

/// What the fold's thread needs.
pub(super) struct Folding {
    pub(super) kafka: KafkaSettings,
    pub(super) topic: String,
    pub(super) snapshot: PathBuf,
    /// What a table begins with.
    pub(super) empty: ShareTable,
    pub(super) published: Arc<Publication>,
    pub(super) freshness: Arc<Freshness>,
    pub(super) recent: Arc<Mutex<RecentEvents>>,
    pub(super) changes: broadcast::Sender<Arc<[FoldedChange]>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) stop: Arc<AtomicBool>,
}

/// The log, open, with what a snapshot has of it.
struct OpenLog {
    log: KafkaControlLog,
    probe: KafkaEndProbe,
    table: ShareTable,
}

impl Folding {
    /// Folds until `stop` is raised.
    ///
    /// # Errors
    /// What waiting cannot mend.
    pub(super) fn run(self) -> Result<(), FoldError> {
        let Some(OpenLog { mut log, probe, mut table }) = self.open_patiently()? else { return Ok(()) };
        self.ask_for_ends(probe)?;
        let mut by_tenant = SharesByTenant::of(&table);
        let mut control_time = table.control_time();
        let mut records = Vec::new();
        self.publish(&table, &by_tenant);
        self.recent.lock().expect("it is only added to").begins_after(table.epoch());
        self.freshness.folded(Offset(table.epoch().0 + 1));
        while !self.stop.load(Ordering::Relaxed) {
            let polled = log.poll(POLL_WAIT, &mut records);
            let mut changes: Vec<FoldedChange> = Vec::new();
            for record in records.drain(..) {
                control_time = control_time.max(record.timestamp);
                changes.extend(self.fold(&record, control_time, &mut table, &mut by_tenant));
            }
            if table.epoch() != self.published.load().table.epoch() {
                self.publish(&table, &by_tenant);
            }
            // After the publish: whoever hears of a change finds it in the state. Nobody may be listening.
            changes.chunks(TOGETHER).for_each(|some| drop(self.changes.send(some.into())));
            match polled {
                Ok(()) => self.freshness.folded(log.position().map_err(failed)?),
                Err(ConsumeError::Unavailable(reason)) => {
                    self.freshness.trouble(&reason);
                    warn!(reason, "the control topic cannot be read at the moment");
                }
                Err(other) => return Err(failed(other)),
            }
        }
        Ok(())
    }

    fn fold(
        &self,
        record: &ControlRecord,
        time: TimestampMs,
        table: &mut ShareTable,
        by_tenant: &mut SharesByTenant,
    ) -> Option<FoldedChange> {
        let envelope = control::read(record);
        let event = envelope.as_ref().ok().cloned();
        let folded = table.fold(record.offset, time, envelope);
        let named = event.as_ref().and_then(|event| event.data.get("share")).and_then(Node::as_str);
        // An invitation that is sent again has another code, which no document shows.
        by_tenant.follow(table, folded.documents.iter().map(|document| document.key.as_str()).chain(named));
        if let Outcome::Unreadable(why) | Outcome::SetAside(why) = &folded.outcome {
            warn!(offset = record.offset.0, %why, "a control record cannot be understood");
        }
        if let Some(event) = &event
            && folded.outcome != Outcome::Tick
        {
            let documents = ShareDocuments::of(named, &folded.documents);
            let outcome = EventOutcome { offset: record.offset, outcome: folded.outcome.clone(), documents };
            self.recent.lock().expect("it is only added to").note(&event.source, &event.id, outcome);
        }
        let change = FoldedChange::of(Epoch(record.offset.0), event.as_ref(), &folded)?;
        if let Some(parties) = &change.parties {
            self.recent.lock().expect("it is only added to").note_parties(change.epoch, parties.clone());
        }
        Some(change)
    }

    fn publish(&self, table: &ShareTable, by_tenant: &SharesByTenant) {
        self.published.publish(PublishedShares { table: table.clone(), by_tenant: by_tenant.clone() });
    }

    /// Waits for the cluster and the topic; none if the process ends before.
    fn open_patiently(&self) -> Result<Option<OpenLog>, FoldError> {
        let mut told = String::new();
        while !self.stop.load(Ordering::Relaxed) {
            match self.open() {
                Ok(open) => return Ok(Some(open)),
                Err(OpenError::Waits(why)) => {
                    if why != told {
                        warn!("waiting for the control topic: {why}");
                    }
                    self.freshness.trouble(&why);
                    told = why;
                    self.clock.sleep(TRY_AGAIN);
                }
                Err(OpenError::Ends(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    fn open(&self) -> Result<OpenLog, OpenError> {
        let admin = Admin::open(&self.kafka, ASK)?;
        let cluster = admin.cluster_id()?;
        if admin.topic(&self.topic)?.is_none() {
            return Err(OpenError::Waits(format!("{} is not there: an engine or `sharecast provision` makes it", self.topic)));
        }
        let mut probe = KafkaEndProbe::open(&self.kafka, &self.topic, ASK)?;
        let bounds = probe.ask()?;
        let origin = SnapshotOrigin { cluster, topic: self.topic.clone() };
        let table = snapshot::load_before(&self.snapshot, bounds.end, &origin, self.empty.clone());
        let table = if table.epoch().0 + 1 < bounds.start.0 { self.empty.clone() } else { table };
        let next = Offset(table.epoch().0 + 1);
        if next < bounds.start {
            let what =
                format!("{} begins at offset {}: what was before is gone, and no snapshot reaches that far", self.topic, bounds.start);
            return Err(OpenError::Ends(FoldError::Configuration(what)));
        }
        info!(epoch = table.epoch().0, end = bounds.end.0, "folding {}", self.topic);
        self.freshness.ends(bounds.end, self.clock.boot());
        Ok(OpenLog { log: KafkaControlLog::open(&self.kafka, &self.topic, next)?, probe, table })
    }

    /// Asks for the log's end again and again, on a thread of its own: an answer may take its time.
    fn ask_for_ends(&self, mut probe: KafkaEndProbe) -> Result<(), FoldError> {
        let (freshness, clock, stop) = (Arc::clone(&self.freshness), Arc::clone(&self.clock), Arc::clone(&self.stop));
        let asking = move || {
            while !stop.load(Ordering::Relaxed) {
                let asked = clock.boot();
                match probe.ask() {
                    Ok(bounds) => freshness.ends(bounds.end, asked),
                    Err(error) => freshness.trouble(&error.to_string()),
                }
                clock.sleep(ASK_EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("log end".into()).spawn(asking);
        thread.map(drop).map_err(|error| FoldError::Failed(format!("no thread: {error}")))
    }
}

/// Why the log could not be opened.
enum OpenError {
    /// That may pass.
    Waits(String),
    Ends(FoldError),
}

impl From<ClientError> for OpenError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unavailable(why) => Self::Waits(why),
            other => Self::Ends(FoldError::Configuration(other.to_string())),
        }
    }
}

impl From<ConsumeError> for OpenError {
    fn from(error: ConsumeError) -> Self {
        match error {
            ConsumeError::Unavailable(why) => Self::Waits(why),
            other => Self::Ends(failed(other)),
        }
    }
}

fn failed(error: ConsumeError) -> FoldError {
    match error {
        ConsumeError::Refused(_) => FoldError::Configuration(error.to_string()),
        ConsumeError::Unavailable(_) | ConsumeError::Fatal(_) => FoldError::Failed(error.to_string()),
    }
}
