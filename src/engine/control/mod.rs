//! The control plane: one thread reads the whole control topic, folds it and publishes immutable graphs.
//!
//! A poll's worth of control records is one publish. Whoever writes status documents or creates topics follows through
//! a `Tap`; a follower that falls behind is cut off rather than waited for, because a fold that waits closes the fence.

pub mod configuration;
pub mod metrics;
pub(crate) mod recent;
pub mod snapshot;
pub mod timers;
pub(crate) mod unread;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{debug, info, warn};

use super::fence::Fence;
use crate::clock::Clock;
use crate::engine::control::configuration::{ConfigurationWatch, ControlError};
use crate::engine::control::metrics::ControlMetrics;
use crate::engine::control::recent::Recent;
use crate::engine::control::unread::Unread;
use crate::engine::feed::{ChangeSender, Changes, ControlCommand, DueShares, FoldedRecord, Following, ProfileChange, Work};
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::id::{Offset, StreamIndex, StreamSet};
use crate::live::{Live, View};
use crate::record::dead_letter::DeadLetterReason;
use crate::record::mapping::Mode;
use crate::share::event::kind::EventType;
use crate::share::event::{self, Envelope, Unreadable};
use crate::share::graph::ShareGraph;
use crate::share::table::{Folded, Outcome, ShareTable, Touched};
use crate::sink_state::cause;
use crate::time::{TimestampMs, TimestampNs};
use crate::transport::{ConsumeError, ControlLog, ControlRecord};

/// So long a poll waits for the first control record; commands and a stop are looked at in between.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// Where nothing came for so long, the log was read to its end.
const QUIET: Duration = Duration::from_millis(300);
/// Shares whose time has come, handed on at most this many at a time.
const DUE_AT_ONCE: usize = 1_000;

/// Sees every state of the shares, those too that pass between two publishes.
pub trait FoldWatch: Send {
    /// A record was folded into this table.
    fn folded(&mut self, table: &ShareTable, folded: &Folded);
}

/// What the control thread needs from outside.
pub struct ControlPlane<L> {
    /// The control topic, positioned behind what `table` has folded.
    pub log: L,
    /// The fold.
    pub table: ShareTable,
    /// The largest Kafka timestamp folded so far.
    pub control_time: TimestampMs,
    /// `control.topic`.
    pub control_topic: String,
    /// Control time of the newest event that took something away.
    pub newest_cut: Option<TimestampMs>,
    /// Where graphs are published.
    pub live: Arc<Live>,
    /// Told of positions and ticks.
    pub fence: Arc<Mutex<Fence>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: ControlMetrics,
    /// Whether `mask.secret` is configured: without it `mask: hash` drops what it masks.
    pub has_mask_secret: bool,
    /// Workers with upsert streams, told what changes.
    pub upserts: Vec<ChangeSender>,
    /// Told which topics grants need, if topics are provisioned.
    pub topics: Option<SyncSender<Vec<Touched>>>,
    /// Where and how often snapshots are written; none by who folds for a while only.
    pub snapshots: Option<crate::engine::control::snapshot::SnapshotWriter>,
    /// Shown each record that was folded, before the graph with it is published.
    pub watch: Option<Box<dyn FoldWatch>>,
    /// Holds this process's configuration against the log's.
    pub configuration: Option<ConfigurationWatch>,
    /// Commands from others.
    pub commands: Receiver<ControlCommand>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

impl<L: ControlLog> ControlPlane<L> {
    /// Reads, folds and publishes until told to stop. An error that waiting cannot mend ends the process.
    pub fn run(mut self) -> Result<(), ControlError> {
        let mut records = Vec::new();
        let mut follower: Option<SyncSender<Following>> = None;
        let mut touched = Vec::new();
        let mut changes = Changes::default();
        let (mut unread, mut newest, mut has_looked) = (Unread::default(), self.clock.boot(), false);
        // Whoever reads a partition after this holds it against a later time.
        let mut passed = self.now().moment();
        let mut recent = Recent::new(Offset(self.table.epoch().0 + 1));
        self.publish(self.log.position()?);
        while !self.stop.load(Ordering::Relaxed) {
            let polled = self.log.poll(POLL_WAIT, &mut records);
            // What came before an error counts: the log's position is behind it already, so it would never come again.
            if !records.is_empty() {
                newest = self.clock.boot();
            }
            for record in records.drain(..) {
                let folded = Arc::new(self.fold(record, &mut touched, &mut changes, &mut unread));
                recent.push(Arc::clone(&folded));
                tell(&mut follower, Following::Folded(folded));
            }
            match polled {
                Ok(()) if self.clock.boot().since(newest) >= QUIET => {
                    unread.caught_up();
                    if !std::mem::replace(&mut has_looked, true) {
                        self.table.profile_doubts(self.has_mask_secret).iter().for_each(|doubt| warn!("{doubt}"));
                    }
                }
                Ok(()) => {}
                Err(ConsumeError::Unavailable(reason)) => {
                    warn!(reason, "the control topic cannot be read at the moment; the fence closes until it can");
                }
                Err(other) => return Err(other.into()),
            }
            if let Some(position) = self.publish_position()? {
                self.tell_touched(std::mem::take(&mut touched));
                tell(&mut follower, Following::Position(position));
                if follower.is_some() {
                    let due = self.table.due(self.control_time, DUE_AT_ONCE);
                    let is_whole = due.len() < DUE_AT_ONCE;
                    tell(&mut follower, Following::Due(DueShares { due, is_whole, position }));
                }
            }
            self.pass(&mut passed, &mut changes);
            if !changes.is_empty() {
                // Behind the publish: whoever hears of a change finds it in the view.
                let through = self.table.epoch();
                let changes = Arc::new(Changes { through, ..std::mem::take(&mut changes) });
                self.upserts.iter().for_each(|worker| worker.tell(&changes));
            }
            while let Ok(command) = self.commands.try_recv() {
                match command {
                    ControlCommand::Follow { from, follower: new, reply } => {
                        let (first, known) = recent.since(from);
                        let _ = reply.send(first);
                        follower = Some(new);
                        known.for_each(|record| tell(&mut follower, Following::Folded(Arc::clone(record))));
                    }
                    ControlCommand::SharesOfProfile { profile, after, limit, reply } => {
                        let _ = reply.try_send(self.table.shares_of_profile(profile, after.as_ref(), limit));
                    }
                    ControlCommand::Ends { shares, reply } => {
                        let now = self.now().moment();
                        let _ = reply.try_send(shares.iter().map(|share| self.table.end_of(share, now)).collect());
                    }
                    ControlCommand::Snapshot => self.write_snapshot(),
                }
            }
            if let Some(snapshots) = &mut self.snapshots {
                snapshots.write_if_due(&self.table, self.clock.boot());
            }
        }
        self.write_snapshot();
        Ok(())
    }

    fn write_snapshot(&mut self) {
        if let Some(snapshots) = &mut self.snapshots {
            snapshots.write_now(&self.table);
        }
    }

    /// One control record's way: read, folded, counted; what follows from it is handed on.
    fn fold(&mut self, record: ControlRecord, all_touched: &mut Vec<Touched>, changes: &mut Changes, unread: &mut Unread) -> FoldedRecord {
        self.control_time = self.control_time.max(record.timestamp);
        let envelope = read(&record);
        let folded = self.table.fold(record.offset, self.control_time, envelope);
        self.metrics.folded(folded.kind, &folded.outcome);
        if let Some(watch) = &mut self.watch {
            watch.folded(&self.table, &folded);
        }
        let is_cut = EventType::of_name(folded.kind).is_some_and(EventType::is_measured_as_cut);
        if matches!(folded.outcome, Outcome::Applied) && is_cut {
            self.newest_cut = Some(self.control_time);
        }
        if matches!(folded.outcome, Outcome::Tick) {
            self.note_tick(&record);
        }
        self.note_outcome(&record, &folded.outcome, folded.kind, unread);
        if !folded.touched.is_empty() || folded.profile.is_some() {
            self.note_changes(&folded, changes);
        }
        let (touched, followed) = followed(&record, folded, &self.control_topic);
        all_touched.extend(touched);
        followed
    }

    fn note_changes(&self, folded: &Folded, changes: &mut Changes) {
        if self.upserts.is_empty() {
            return;
        }
        let graph = self.table.graph();
        let now = self.control_time.moment();
        for touched in &folded.touched {
            // An event may find out late that the share's time was over.
            let cause = self.table.end_of(&touched.share, now).map_or(self.control_time, |end| end.min(self.control_time));
            changes.touched.push(Work::of(touched.clone(), cause, self.shown(&graph, touched, now)));
        }
        changes.profiles.extend(folded.profile.map(|profile| {
            let published = graph.profile(profile);
            let has_section = |stream: &StreamIndex| published.is_some_and(|profile| profile.section(*stream).is_some());
            let shown = self.upsert_streams().filter(has_section).fold(StreamSet::default(), StreamSet::with);
            ProfileChange { profile, cause: self.control_time, shown }
        }));
    }

    fn upsert_streams(&self) -> impl Iterator<Item = StreamIndex> {
        self.table.rules().streams.iter().filter(|stream| stream.mode == Mode::Upsert).map(|stream| stream.index)
    }

    /// The upsert streams that a share shows documents of.
    fn shown(&self, graph: &ShareGraph, Touched { share, owner, asset }: &Touched, now: TimestampNs) -> StreamSet {
        let shares = graph.asset(owner.as_str(), asset.as_str());
        let grant = shares.and_then(|shares| shares.grant(share.as_str()));
        cause::shown(grant.as_ref(), graph, self.upsert_streams(), now)
    }

    fn now(&self) -> TimestampMs {
        self.clock.wall().max(self.control_time)
    }

    /// Moments at which shares start or end by themselves are changes too.
    fn pass(&self, passed: &mut TimestampNs, changes: &mut Changes) {
        let now = self.now();
        if self.upserts.is_empty() || now.moment() <= *passed {
            return;
        }
        let due = self.table.moments(*passed, now.moment());
        *passed = now.moment();
        if !due.is_empty() {
            let graph = self.table.graph();
            let work = |(moment, touched): (TimestampNs, Touched)| {
                let shown = self.shown(&graph, &touched, moment);
                Work::of(touched, moment.millis(), shown)
            };
            changes.touched.extend(due.into_iter().map(work));
            changes.now = Some(now);
        }
    }

    /// Tells who creates topics what the published graph has new; it looks the shares up there.
    fn tell_touched(&self, touched: Vec<Touched>) {
        if let Some(topics) = &self.topics
            && !touched.is_empty()
            && let Err(TrySendError::Full(_)) = topics.try_send(touched)
        {
            // A worker that meets a route without a topic has it created, so nothing is lost here.
            debug!("topics to create pile up; they are created when a record first needs them");
        }
    }

    fn note_tick(&self, record: &ControlRecord) {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        let mut fence = self.fence.lock().expect("the fence is never left half changed");
        if fence.ticked(record.offset, record.timestamp, wall, boot) {
            let skew_ms = fence.skew_ms();
            self.metrics.clock_skew_ms(skew_ms);
            if skew_ms.unsigned_abs() > fence.limits().max_clock_skew.as_millis() as u64 {
                warn!(skew_ms, "the log's clock and this machine's differ; 30 s close the fence");
            }
        }
    }

    fn note_outcome(&self, record: &ControlRecord, outcome: &Outcome, kind: &str, unread: &mut Unread) {
        let offset = record.offset.0;
        match outcome {
            Outcome::Unreadable(Unreadable(why)) => unread.note(record.offset, why.clone()),
            Outcome::SetAside(Unreadable(why)) => warn!(offset, why, "control record cannot be understood and is set aside"),
            Outcome::Rejected(reason) => info!(offset, reason, kind, "control event rejected"),
            Outcome::Applied | Outcome::Repeated | Outcome::Tick => {}
        }
        unread.folded(record.offset, self.table.unreadable_offsets());
    }

    /// Publishes the graph with the position read after everything that the poll handed out was folded. Answers the
    /// position if it has moved.
    fn publish_position(&mut self) -> Result<Option<Offset>, ControlError> {
        let position = self.log.position()?;
        // Before the publish: whoever is configured as the log forbids decides nothing.
        if let Some(configuration) = &mut self.configuration {
            configuration.look(&self.table, position, &*self.clock)?;
        }
        if position == self.live.load().position {
            return Ok(None);
        }
        self.publish(position);
        Ok(Some(position))
    }

    fn publish(&self, position: Offset) {
        let graph = self.table.graph();
        self.metrics.published(&graph, &self.table);
        let unreadable = graph.unreadable_offsets().to_vec();
        self.live.publish(View { graph, position, newest_cut: self.newest_cut, newest_change: self.table.newest_change() });
        self.fence.lock().expect("the fence is never left half changed").folded(position, &unreadable, self.clock.boot());
    }
}

/// Reads a control record's envelope; no value at all is unreadable.
pub fn read(record: &ControlRecord) -> Result<Envelope, Unreadable> {
    event::read_record(&record.headers, record.value.as_deref())
}

fn tell(follower: &mut Option<SyncSender<Following>>, what: Following) {
    if let Some(sender) = follower
        && sender.try_send(what).is_err()
    {
        // It reads again from its committed offset when it finds itself cut off.
        *follower = None;
    }
}

/// What followers are told of a folded record, and the shares it touched.
pub fn followed(record: &ControlRecord, folded: Folded, control_topic: &str) -> (Vec<Touched>, FoldedRecord) {
    let is_change = folded.outcome.is_change();
    let dead_letter = match folded.outcome {
        Outcome::SetAside(Unreadable(why)) => Some(OwnedDeadLetter {
            topic: control_topic.to_owned(),
            partition: 0,
            offset: record.offset,
            timestamp: record.timestamp,
            key: None,
            value: record.value.clone(),
            reason: DeadLetterReason::UnreadableEvent,
            message: why,
        }),
        _ => None,
    };
    let Folded { touched, documents, closed, .. } = folded;
    (touched, FoldedRecord { offset: record.offset, documents, closed, dead_letter, is_change })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::mpsc::channel;

    use super::*;
    use crate::clock::{BootTime, SystemClock};
    use crate::engine::control::snapshot::SnapshotWriter;
    use crate::engine::fence::FenceLimits;
    use crate::id::Epoch;
    use crate::share::configuration::PartnershipNeed;
    use crate::share::snapshot::SnapshotOrigin;
    use crate::share::table::FoldRules;
    use crate::time::Period;

    /// Hands out one record that nobody understands, with an error in the same call, and then nothing more.
    struct Interrupted {
        position: Offset,
        stop: Arc<AtomicBool>,
    }

    impl ControlLog for Interrupted {
        fn poll(&mut self, _: Duration, into: &mut Vec<ControlRecord>) -> Result<(), ConsumeError> {
            if self.position == Offset(1) {
                self.stop.store(true, Ordering::Relaxed);
                return Ok(());
            }
            into.push(ControlRecord { offset: Offset(0), timestamp: TimestampMs(0), value: None, headers: Vec::new() });
            self.position = Offset(1);
            Err(ConsumeError::Unavailable("all brokers are down".into()))
        }

        fn position(&self) -> Result<Offset, ConsumeError> {
            Ok(self.position)
        }
    }

    /// Otherwise the view would look fresh without it, and it may be a revoke (docs/rules/fence.md#what-else-closes-it).
    #[test]
    fn a_record_that_came_with_an_error_is_folded() {
        let rules =
            FoldRules { streams: [].into(), partnerships: PartnershipNeed::Open, late_grace: Period::ZERO, halts_on_unreadable: true };
        let table = ShareTable::new(rules);
        let live = Arc::new(Live::new(View { graph: table.graph(), position: Offset(-1), newest_cut: None, newest_change: Epoch::NONE }));
        let limits =
            FenceLimits { is_enabled: true, max_view_age: Duration::ZERO, max_tick_age: Duration::ZERO, max_clock_skew: Duration::ZERO };
        let stop = Arc::<AtomicBool>::default();
        let origin = SnapshotOrigin { cluster: "c".into(), topic: "t".into() };
        let nowhere = PathBuf::from("/nowhere/snapshot");
        let plane = ControlPlane {
            log: Interrupted { position: Offset(0), stop: Arc::clone(&stop) },
            table,
            control_time: TimestampMs(0),
            control_topic: "t".into(),
            newest_cut: None,
            upserts: Vec::new(),
            live: Arc::clone(&live),
            fence: Arc::new(Mutex::new(Fence::new(limits, BootTime::default()))),
            clock: Arc::new(SystemClock),
            metrics: ControlMetrics,
            has_mask_secret: true,
            topics: None,
            snapshots: Some(SnapshotWriter::new(nowhere, Duration::MAX, origin, BootTime::default(), Epoch(0))),
            watch: None,
            configuration: None,
            commands: channel().1,
            stop,
        };
        plane.run().unwrap();
        let view = live.load();
        assert_eq!((view.position, view.graph.unreadable_offsets()), (Offset(1), [Offset(0)].as_slice()));
    }
}
