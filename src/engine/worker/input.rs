//! The input side of a worker: its group consumer, the batch in hand, and where its partitions are read on
//! (docs/rules/exactly-once.md#where-a-partition-begins).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::engine::restore::Restore;
use crate::engine::restore::request::{Gap, GapContent, RestoreRequest};
use crate::engine::worker::error::WorkerError;
use crate::engine::worker::gathered::Gathered;
use crate::engine::worker::handover::Handover;
use crate::engine::worker::metrics::WorkerMetrics;
use crate::engine::worker::position::{AfterGap, IsFirst, Judged};
use crate::engine::worker::settings::{Shared, WorkerSettings};
use crate::engine::worker::tuning::Tuning;
use crate::id::Offset;
use crate::transport::{AssignmentChange, ConsumeError, GroupConsumer, SourcePartition};

/// What a worker reads.
pub(super) struct InputSide<C> {
    settings: Arc<WorkerSettings>,
    shared: Shared,
    consumer: C,
    /// Records read and not committed. Of partitions this worker owns alone.
    gathered: Gathered,
    /// Partitions begun for the first time whose note and first offset the next transaction commits.
    begun: Vec<(SourcePartition, Offset)>,
    /// Partitions without committed offset that are still to be begun.
    unbegun: Vec<SourcePartition>,
    /// The group has gone on without us: nothing is committed before the next assign.
    awaits_assign: bool,
    has_been_assigned: bool,
    /// Where its partitions are read on, and whether they are.
    handover: Handover,
}

impl<C: GroupConsumer> InputSide<C> {
    pub(super) fn new(settings: Arc<WorkerSettings>, shared: Shared, tuning: Tuning, consumer: C) -> Self {
        let handover = Handover::new(&shared.overdue);
        Self {
            gathered: Gathered::new(tuning.max_records, settings.enough_records),
            settings,
            shared,
            consumer,
            begun: Vec::new(),
            unbegun: Vec::new(),
            awaits_assign: false,
            has_been_assigned: false,
            handover,
        }
    }

    pub(super) fn tune(&mut self, tuning: Tuning) {
        self.gathered.limit(tuning.max_records);
    }

    /// Records in hand.
    pub(super) fn gathered(&self) -> &Gathered {
        &self.gathered
    }

    /// Partitions whose first offset the next transaction commits.
    pub(super) fn begun(&self) -> &[(SourcePartition, Offset)] {
        &self.begun
    }

    /// Whether a transaction has nothing of this side to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.gathered.is_empty() && self.begun.is_empty()
    }

    /// The group's word that this member may commit.
    pub(super) fn membership(&self) -> Option<&C::Membership> {
        self.consumer.membership()
    }

    /// The member's id, for those who wait for all members.
    pub(super) fn member_id(&self) -> Option<String> {
        self.consumer.member_id()
    }

    /// Whether nothing may be committed before the next assign.
    pub(super) fn awaits_assign(&self) -> bool {
        self.awaits_assign
    }

    /// The group has a newer generation.
    pub(super) fn await_assign(&mut self) {
        self.awaits_assign = true;
    }

    /// Polls once and returns what the group changes; a cluster that does not answer is waited for.
    pub(super) fn poll(
        &mut self,
        wait: Duration,
        room: usize,
        restorer: &mut dyn Restore,
        metrics: &WorkerMetrics,
    ) -> Result<Vec<AssignmentChange>, WorkerError> {
        let mut changes = Vec::new();
        let fills_next = self.gathered.fills_next();
        let filled = self.gathered.part_mut(fills_next);
        let before = filled.len();
        let polled = self.consumer.poll(wait, room, filled, &mut changes);
        // What was appended is older than every change, and stays on an error.
        self.check_positions(fills_next, before, restorer, metrics)?;
        match polled {
            Ok(()) => Ok(changes),
            Err(ConsumeError::Unavailable(reason)) => {
                debug!(reason, "the cluster does not answer");
                Ok(changes)
            }
            Err(other) => Err(WorkerError::Input(other)),
        }
    }

    /// Holds the records of the batch, or of the next one, from this place on against where their partitions are read, and drops those
    /// that are out of place.
    fn check_positions(
        &mut self,
        is_next: bool,
        from: usize,
        restorer: &mut dyn Restore,
        metrics: &WorkerMetrics,
    ) -> Result<(), WorkerError> {
        let now = self.shared.clock.boot();
        let Self { handover, gathered, shared, settings, .. } = self;
        let batch = gathered.part_mut(is_next);
        let (mut dropped, mut held) = (Vec::new(), Vec::new());
        for (place, record) in batch.iter().enumerate().skip(from) {
            let looks = || !shared.compacted.is(record.source.stream);
            match handover.positions().arrived(record.source, record.offset, now, looks) {
                Judged::Take => {}
                Judged::Count => metrics.gap(record.source.stream),
                Judged::Drop => dropped.push(place),
                Judged::Query(ticket, gap, IsFirst(is_first)) => {
                    if !is_first {
                        metrics.gap(record.source.stream);
                    }
                    debug!(partition = %settings.name_of(record.source), ?gap, is_first, "a gap is looked into");
                    restorer.ask(RestoreRequest::Gap(ticket, gap));
                    dropped.push(place);
                    held.push(record.source);
                }
            }
        }
        if !dropped.is_empty() {
            batch.drop_at(&dropped);
        }
        held.into_iter().try_for_each(|partition| self.consumer.hold(partition).map_err(WorkerError::Input))
    }

    /// Partitions came to this member.
    pub(super) fn assigned(&mut self, partitions: &[SourcePartition]) {
        info!(partitions = self.settings.names_of(partitions), "partitions assigned");
        self.shared.held.lock().expect("only copied").extend(partitions.iter().copied());
        let now = self.shared.clock.boot();
        partitions.iter().for_each(|partition| self.handover.positions().arrive(*partition, now));
        self.awaits_assign = false;
        if !std::mem::replace(&mut self.has_been_assigned, true) {
            self.shared.assigned.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Partitions were taken back: another owner decides what was in hand of them.
    pub(super) fn revoked(&mut self, partitions: &[SourcePartition]) {
        info!(partitions = self.settings.names_of(partitions), "partitions taken back");
        self.shared.held.lock().expect("only copied").retain(|p| !partitions.contains(p));
        self.unbegun.retain(|p| !partitions.contains(p));
        self.begun.retain(|(p, _)| !partitions.contains(p));
        self.gathered.leave(partitions);
        self.handover.positions().leave(partitions);
    }

    /// The partition has no committed offset, and never had one.
    pub(super) fn begin_later(&mut self, partition: SourcePartition) {
        self.unbegun.push(partition);
    }

    /// Begins partitions that have no committed offset. A cluster that does not answer is asked again at the next poll.
    pub(super) fn begin_partitions(&mut self) -> Result<(), WorkerError> {
        if self.unbegun.is_empty() {
            return Ok(());
        }
        let start_of = |partition: &SourcePartition| (*partition, self.settings.starts[usize::from(partition.stream.0)]);
        let asked: Vec<_> = self.unbegun.drain(..).map(|partition| start_of(&partition)).collect();
        let answers = self.consumer.first_of_each(&asked);
        for ((partition, start), answer) in asked.into_iter().zip(answers) {
            match answer {
                Ok(first) => {
                    info!(partition = %self.settings.name_of(partition), first = first.0, ?start, "partition begun for the first time");
                    self.begun.push((partition, first));
                }
                Err(ConsumeError::Unavailable(reason)) => {
                    warn!(reason, partition = %self.settings.name_of(partition), "the partition cannot be begun at the moment");
                    self.unbegun.push(partition);
                }
                Err(other) => return Err(WorkerError::Input(other)),
            }
        }
        Ok(())
    }

    /// A transaction with this many records of the batch was committed. Returns the partitions that it began.
    pub(super) fn committed(&mut self, count: usize) -> Vec<(SourcePartition, Offset)> {
        self.gathered.drop_front(count);
        std::mem::take(&mut self.begun)
    }

    /// What is in hand may be committed already: these partitions are held until they have been read again.
    pub(super) fn forget(&mut self, partitions: &[SourcePartition]) -> Result<(), WorkerError> {
        self.gathered.clear();
        self.unbegun.clear();
        self.begun.clear();
        partitions.iter().try_for_each(|partition| self.hold(*partition))
    }

    fn hold(&mut self, partition: SourcePartition) -> Result<(), WorkerError> {
        self.handover.positions().hold(partition, self.shared.clock.boot());
        self.consumer.hold(partition).map_err(WorkerError::Input)
    }

    /// The partition's records flow from here on.
    pub(super) fn release(&mut self, partition: SourcePartition, from: Offset) -> Result<(), WorkerError> {
        self.handover.positions().release(partition, from, self.shared.clock.boot());
        self.consumer.release(partition, from).map_err(WorkerError::Input)
    }

    /// Nothing is read until `resume`; polls go on.
    pub(super) fn pause(&mut self) -> Result<(), WorkerError> {
        self.consumer.pause().map_err(WorkerError::Input)
    }

    /// Takes back a pause. Nothing could come meanwhile.
    pub(super) fn resume(&mut self) -> Result<(), WorkerError> {
        self.handover.positions().resumed(self.shared.clock.boot());
        self.consumer.resume().map_err(WorkerError::Input)
    }

    /// Nothing was done at all for a while, and now it is.
    pub(super) fn restarted(&mut self) {
        self.handover.positions().restarted(self.shared.clock.boot());
    }

    /// What was found in a gap, asked for in this life of the partition.
    pub(super) fn take_gap(&mut self, partition: SourcePartition, life: u64, gap: Gap, found: GapContent) -> Result<(), WorkerError> {
        if !self.handover.positions().is_current(partition, life) {
            return Ok(());
        }
        let name = self.settings.name_of(partition);
        match self.handover.positions().found(partition, gap, found) {
            AfterGap::Rest => Ok(()),
            AfterGap::Release(from) => {
                debug!(partition = %name, ?gap, "the gap holds no record");
                self.release(partition, from)
            }
            AfterGap::Again { from, found } => {
                let came = gap.to.map(|to| to.0);
                error!(
                    partition = %name,
                    expected = from.0,
                    came,
                    found = found.0,
                    "the client passed over a record; nothing after it was taken, and the partition is read again from the expected offset"
                );
                self.hold(partition)?;
                self.release(partition, from)
            }
            AfterGap::Lost => Err(self.out_of_range(partition)),
        }
    }

    /// What was to be read is gone from the log.
    pub(super) fn out_of_range(&self, partition: SourcePartition) -> WorkerError {
        self.position_lost(partition, "is no longer in the log (truncated or expired input?)")
    }

    /// The partition was begun before, and its committed offset is not there any more.
    pub(super) fn offset_gone(&self, partition: SourcePartition) -> WorkerError {
        self.position_lost(partition, "is gone (an expired group?)")
    }

    fn position_lost(&self, partition: SourcePartition, what: &'static str) -> WorkerError {
        WorkerError::PositionLost { topic: self.settings.topic_of(partition).to_owned(), partition: partition.partition, what }
    }

    /// Tells of partitions that wait for too long, and returns what is to be read of those that were released and bring nothing.
    pub(super) fn watch(&mut self, progress: impl Fn(SourcePartition) -> Option<u64>, metrics: &mut WorkerMetrics) -> Vec<RestoreRequest> {
        let now = self.shared.clock.boot();
        let Self { handover, consumer, settings, .. } = self;
        handover.positions().begun(now, |partition| consumer.has_begun(partition));
        handover.positions().got_on(now, progress);
        let queries = handover.positions().overdue(now).map(|(ticket, gap)| RestoreRequest::Gap(ticket, gap)).collect();
        metrics.held(handover.tell_of_held(settings, now));
        queries
    }
}
