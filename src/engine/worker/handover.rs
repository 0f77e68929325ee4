//! How partitions change hands: each is held from its assignment to its release, what comes first is held against its place,
//! and one that cannot begin is told of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::clock::BootTime;
use crate::engine::restore::request::{Gap, GapContent, RestoreRequest};
use crate::engine::worker::Worker;
use crate::engine::worker::error::WorkerError;
use crate::engine::worker::position::{AfterGap, IsFirst, Judged, PositionCheck};
use crate::engine::worker::settings::Overdue;
use crate::id::Offset;
use crate::transport::{Batch, GroupConsumer, SourcePartition, TransactionalProducer};

/// A transaction that somebody left open holds offsets back until its time-out; with this much besides it is over.
pub const BESIDE_TRANSACTION: Duration = Duration::from_secs(10);

/// What a worker notices of its partitions' way from assignment to records.
#[derive(Debug)]
pub struct Handover {
    pub(super) positions: PositionCheck,
    /// Those that have been told of.
    overdue: BTreeSet<(String, i32)>,
    /// The same of all workers.
    shown: Overdue,
}

impl Handover {
    /// Holds nothing yet.
    pub fn new(shown: &Overdue) -> Self {
        Self { positions: PositionCheck::default(), overdue: BTreeSet::new(), shown: Arc::clone(shown) }
    }

    /// Replaces what this worker shows.
    fn show(&mut self, overdue: BTreeSet<(String, i32)>) {
        let mut shown = self.shown.lock().expect("only copied");
        shown.retain(|partition| !self.overdue.contains(partition));
        shown.extend(overdue.iter().cloned());
        self.overdue = overdue;
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        self.show(BTreeSet::new());
    }
}

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    pub(super) fn hold_partition(&mut self, partition: SourcePartition) -> Result<(), WorkerError> {
        self.handover.positions.hold(partition, self.shared.clock.boot());
        self.consumer.hold(partition).map_err(WorkerError::Input)
    }

    pub(super) fn release_partition(&mut self, partition: SourcePartition, from: Offset) -> Result<(), WorkerError> {
        self.handover.positions.release(partition, from, self.shared.clock.boot());
        self.consumer.release(partition, from).map_err(WorkerError::Input)
    }

    /// Takes back a pause. Nothing could come meanwhile.
    pub(super) fn resume_input(&mut self) -> Result<(), WorkerError> {
        self.handover.positions.resumed(self.shared.clock.boot());
        self.consumer.resume().map_err(WorkerError::Input)
    }

    /// Holds the records of the batch from this place on against where their partitions are read, and drops those that are out of
    /// place.
    pub(super) fn check_positions(&mut self, from: usize) -> Result<(), WorkerError> {
        let now = self.shared.clock.boot();
        let Self { handover, batch, shared, metrics, desk, .. } = self;
        let (mut dropped, mut held) = (Vec::new(), Vec::new());
        for (place, record) in batch.iter().enumerate().skip(from) {
            let looks = || !shared.compacted.is(record.source.stream);
            match handover.positions.arrived(record.source, record.offset, now, looks) {
                Judged::Take => {}
                Judged::Count => metrics.gap(record.source.stream),
                Judged::Drop => dropped.push(place),
                Judged::Query(ticket, gap, IsFirst(is_first)) => {
                    if !is_first {
                        metrics.gap(record.source.stream);
                    }
                    debug!(partition = ?record.source, ?gap, is_first, "a gap is looked into");
                    desk.ask(RestoreRequest::Gap(ticket, gap));
                    dropped.push(place);
                    held.push(record.source);
                }
            }
        }
        drop_records(batch, &dropped);
        held.into_iter().try_for_each(|partition| self.consumer.hold(partition).map_err(WorkerError::Input))
    }

    /// What was found in a gap.
    pub(super) fn take_gap(&mut self, partition: SourcePartition, gap: Gap, found: GapContent) -> Result<(), WorkerError> {
        let topic = self.topic_of(partition);
        match self.handover.positions.found(partition, gap, found) {
            AfterGap::Rest => Ok(()),
            AfterGap::Release(from) => {
                debug!(topic, partition = partition.partition, ?gap, "the gap holds no record");
                self.release_partition(partition, from)
            }
            AfterGap::Again { from, found } => {
                let came = gap.to.map(|to| to.0);
                error!(
                    topic,
                    partition = partition.partition,
                    expected = from.0,
                    came,
                    found = found.0,
                    "the client passed over a record; nothing after it was taken, and the partition is read again from the expected offset"
                );
                self.hold_partition(partition)?;
                self.release_partition(partition, from)
            }
            AfterGap::Lost => Err(WorkerError::PositionLost {
                topic,
                partition: partition.partition,
                what: "is no longer in the log (truncated or expired input?)",
            }),
        }
    }

    /// Tells of partitions that wait for too long, and has those looked into that were released and bring nothing.
    pub(super) fn watch_held(&mut self) {
        let now = self.shared.clock.boot();
        let Self { handover, consumer, desk, settings, metrics, owed, upserts, .. } = self;
        handover.positions.begun(now, |partition| consumer.has_begun(partition));
        handover
            .positions
            .got_on(now, |partition| upserts.as_ref().and_then(|upserts| upserts.progress(partition)).or_else(|| owed.progress(partition)));
        for (ticket, gap) in handover.positions.overdue(now) {
            desk.ask(RestoreRequest::Gap(ticket, gap));
        }
        let held: Vec<(SourcePartition, BootTime)> = handover.positions.held().collect();
        metrics.held(held.len());
        if held.is_empty() && handover.overdue.is_empty() {
            return;
        }
        let is_overdue = |since: BootTime| now.since(since) > settings.held_for;
        let named = |partition: SourcePartition| (settings.streams[usize::from(partition.stream.0)].topic.clone(), partition.partition);
        let overdue: BTreeSet<(String, i32)> = held.iter().filter(|(_, since)| is_overdue(*since)).map(|(p, _)| named(*p)).collect();
        for (topic, partition) in overdue.difference(&handover.overdue) {
            warn!(
                topic,
                partition,
                held_for_s = settings.held_for.as_secs(),
                "this partition is held and cannot begin: its committed offset is pending in an open transaction, or cannot be read"
            );
        }
        for (topic, partition) in handover.overdue.difference(&overdue) {
            info!(topic, partition, "this partition is not held any more");
        }
        if overdue == handover.overdue {
            return;
        }
        handover.show(overdue);
    }

    pub(super) fn topic_of(&self, partition: SourcePartition) -> String {
        self.settings.streams[usize::from(partition.stream.0)].topic.clone()
    }
}

fn drop_records(batch: &mut Batch, places: &[usize]) {
    if !places.is_empty() {
        batch.drop_at(places);
    }
}
