//! The input side of a batch: polling, and what a poll says about the worker's partitions
//! (docs/rules/exactly-once.md#where-a-partition-begins).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::engine::restore::request::{RestoreEvent, RestorePayload};
use crate::engine::upsert::Upserts;
use crate::engine::worker::Worker;
use crate::engine::worker::error::WorkerError;
use crate::transport::{AssignmentChange, Batch, ConsumeError, GroupConsumer, SourcePartition, TransactionalProducer};

/// So long records are waited for while documents wait to be brought.
const BUSY_WAIT: Duration = Duration::from_millis(2);

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// Polls until the batch is full or its interval is over. Membership changes take effect at once.
    pub(super) fn gather(&mut self) -> Result<(), WorkerError> {
        // A batch kept after an abort has waited long enough.
        let mut until = (!self.batch.is_empty()).then(|| self.shared.clock.boot());
        loop {
            let now = self.shared.clock.boot();
            let is_busy = self.upserts.as_ref().is_some_and(Upserts::is_busy) || self.owed.is_busy();
            let longest = if is_busy { BUSY_WAIT } else { self.settings.interval };
            let wait = until.map_or(longest, |at| at.since(now));
            let room = self.settings.max_records.saturating_sub(self.batch.len()).max(1);
            self.poll(wait, room)?;
            let now = self.shared.clock.boot();
            let until = *until.get_or_insert(now.after(self.settings.interval));
            let is_full = self.batch.len() >= self.settings.max_records || self.batch.bytes() >= Batch::MAX_BYTES;
            if self.batch.is_empty() || is_full || now >= until || self.shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// Polls once; a cluster that does not answer is waited for.
    pub(super) fn poll(&mut self, wait: Duration, room: usize) -> Result<(), WorkerError> {
        let mut changes = Vec::new();
        let before = self.batch.len();
        let polled = self.consumer.poll(wait, room, &mut self.batch, &mut changes);
        // What was appended is older than every change, and stays on an error.
        self.check_positions(before)?;
        match polled {
            Ok(()) => {}
            Err(ConsumeError::Unavailable(reason)) => debug!(reason, "the cluster does not answer"),
            Err(other) => return Err(WorkerError::Input(other)),
        }
        changes.into_iter().try_for_each(|change| self.apply(change))?;
        self.begin_partitions()
    }

    /// Has read what partitions have come to, before their records flow: where to go on, what is stored of them, what routes are owed.
    pub(super) fn read_first(&mut self, partitions: &[SourcePartition]) {
        for &partition in partitions {
            match &mut self.upserts {
                Some(upserts) if upserts.is_upsert(partition) => upserts.arrive(partition, None, &mut *self.desk),
                _ => self.owed.arrive(partition, &mut *self.desk),
            }
        }
    }

    /// Partitions that were begun, and whose first offset is committed now, flow from there.
    pub(super) fn flow_begun(&mut self) -> Result<(), WorkerError> {
        for (partition, first) in std::mem::take(&mut self.begun) {
            match &mut self.upserts {
                Some(upserts) if upserts.is_upsert(partition) => upserts.arrive(partition, Some(first), &mut *self.desk),
                _ => {
                    self.owed.begun(partition, first);
                    self.release_partition(partition, first)?;
                }
            }
        }
        Ok(())
    }

    /// Takes in what the fold and the readers have to say, and lets the partitions flow that are ready for it.
    pub(super) fn listen(&mut self) -> Result<(), WorkerError> {
        let boot = self.shared.clock.boot();
        let Self { desk, upserts, owed, routes, .. } = self;
        if upserts.as_mut().is_some_and(|upserts| upserts.listen(routes, boot, &mut **desk)) {
            warn!("this worker was too far behind the control topic's changes; its partitions are read anew");
            return self.read_anew();
        }
        owed.ask(routes, boot, &mut **desk);
        while self.upserts.as_ref().is_none_or(Upserts::can_accept) {
            let Some(news) = self.desk.news() else { break };
            self.take(news)?;
        }
        let Some(upserts) = &mut self.upserts else { return Ok(()) };
        let view = self.shared.live.load();
        let time = self.shared.clock.wall().max(view.graph.control_time()).max(upserts.not_before()).moment();
        for (partition, from) in upserts.activate(&view, time, &mut self.routes) {
            info!(?partition, from = from.0, "upsert partition flows");
            self.release_partition(partition, from)?;
        }
        Ok(())
    }

    /// What was read of one partition.
    fn take(&mut self, news: RestoreEvent) -> Result<(), WorkerError> {
        let RestoreEvent { partition, life, what } = news;
        if let RestorePayload::Gap(gap, found) = what {
            let is_current = self.handover.positions.is_current(partition, life);
            return if is_current { self.take_gap(partition, gap, found) } else { Ok(()) };
        }
        let is_upsert = self.upserts.as_ref().is_some_and(|upserts| upserts.is_upsert(partition));
        let of_upserts = || self.upserts.as_ref().is_some_and(|upserts| upserts.is_current(partition, life));
        if !(if is_upsert { of_upserts() } else { self.owed.is_current(partition, life) }) {
            return Ok(());
        }
        match (what, &mut self.upserts) {
            (RestorePayload::Unbegun { was_begun: true }, _) => {
                let topic = self.settings.streams[usize::from(partition.stream.0)].topic.clone();
                return Err(WorkerError::PositionLost { topic, partition: partition.partition, what: "is gone (an expired group?)" });
            }
            (RestorePayload::Unbegun { was_begun: false }, _) => self.unbegun.push(partition),
            (RestorePayload::Failed(error), _) => return Err(WorkerError::Input(error)),
            (RestorePayload::Notes(position, notes), _) => {
                let Self { routes, settings, .. } = self;
                let stream = &settings.streams[usize::from(partition.stream.0)];
                let mut route = |tenant| routes.find(tenant, stream.index, || settings.names.of_stream(tenant, &stream.name));
                let debts = notes.iter().map(|note| (route(&note.tenant), note.from)).collect();
                self.owed.known(partition, life, position, debts);
                self.release_partition(partition, position)?;
            }
            (RestorePayload::Again { route, from, records, behind }, _) => {
                self.owed.read((partition, life), route, from, (records, behind))
            }
            (what, Some(upserts)) => upserts.take(RestoreEvent { partition, life, what }),
            (RestorePayload::Loaded(_) | RestorePayload::Documents { .. } | RestorePayload::Gap(..), None) => {}
        }
        Ok(())
    }

    /// Reads every partition again: what is known of them may not be what was committed.
    pub(super) fn read_anew(&mut self) -> Result<(), WorkerError> {
        self.batch.clear();
        self.unbegun.clear();
        self.begun.clear();
        let mut partitions = self.owed.held();
        partitions.extend(self.upserts.iter_mut().flat_map(Upserts::forget));
        for partition in &partitions {
            self.hold_partition(*partition)?;
        }
        self.read_first(&partitions);
        Ok(())
    }

    fn apply(&mut self, change: AssignmentChange) -> Result<(), WorkerError> {
        match change {
            AssignmentChange::Assigned(partitions) => {
                info!(?partitions, "partitions assigned");
                self.shared.held.lock().expect("only copied").extend(partitions.iter().copied());
                let now = self.shared.clock.boot();
                partitions.iter().for_each(|partition| self.handover.positions.arrive(*partition, now));
                self.read_first(&partitions);
                self.awaits_assign = false;
                self.saying.is_member(self.consumer.member_id());
                if !std::mem::replace(&mut self.has_been_assigned, true) {
                    self.shared.assigned.fetch_add(1, Ordering::Relaxed);
                }
            }
            AssignmentChange::Revoked(partitions) => {
                info!(?partitions, "partitions taken back");
                self.shared.held.lock().expect("only copied").retain(|p| !partitions.contains(p));
                self.unbegun.retain(|p| !partitions.contains(p));
                self.begun.retain(|(p, _)| !partitions.contains(p));
                self.batch.retain(|p| !partitions.contains(&p));
                if let Some(upserts) = &mut self.upserts {
                    upserts.leave(&partitions);
                }
                self.owed.leave(&partitions);
                self.handover.positions.leave(&partitions);
            }
            AssignmentChange::OutOfRange(partition) => {
                let topic = self.settings.streams[usize::from(partition.stream.0)].topic.clone();
                return Err(WorkerError::PositionLost {
                    topic,
                    partition: partition.partition,
                    what: "is no longer in the log (truncated or expired input?)",
                });
            }
        }
        Ok(())
    }

    /// Begins partitions that have no committed offset. A cluster that does not answer is asked again at the next poll.
    fn begin_partitions(&mut self) -> Result<(), WorkerError> {
        while let Some(&partition) = self.unbegun.last() {
            match self.begin_partition(partition) {
                Ok(()) => drop(self.unbegun.pop()),
                Err(WorkerError::Input(ConsumeError::Unavailable(reason))) => {
                    warn!(reason, ?partition, "the partition cannot be begun at the moment");
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn begin_partition(&mut self, partition: SourcePartition) -> Result<(), WorkerError> {
        let stream = &self.settings.streams[usize::from(partition.stream.0)];
        let start = self.settings.starts[usize::from(partition.stream.0)];
        let first = self.consumer.first(partition, start).map_err(WorkerError::Input)?;
        info!(topic = stream.topic, partition = partition.partition, first = first.0, ?start, "partition begun for the first time");
        self.begun.push((partition, first));
        Ok(())
    }
}
