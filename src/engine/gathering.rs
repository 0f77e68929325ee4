//! The input side of a batch: polling, and what a poll says about the worker's partitions (SPEC section 10).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::setback::Ended;
use super::upsert::Upserts;
use super::worker::Worker;
use crate::transport::{Batch, Change, ConsumeError, GroupConsumer, SourcePartition, TransactionalProducer};

/// So long records are waited for while documents wait to be brought.
const BUSY_WAIT: Duration = Duration::from_millis(2);

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// Polls until the batch is full or its interval is over. Membership changes take effect at once.
    pub(super) fn gather(&mut self) -> Result<(), Ended> {
        // A batch kept after an abort has waited long enough.
        let mut until = (!self.batch.is_empty()).then(|| self.shared.clock.boot());
        loop {
            let now = self.shared.clock.boot();
            let is_busy = self.upserts.as_ref().is_some_and(Upserts::is_busy);
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
    pub(super) fn poll(&mut self, wait: Duration, room: usize) -> Result<(), Ended> {
        let mut changes = Vec::new();
        match self.consumer.poll(wait, room, &mut self.batch, &mut changes) {
            Ok(()) => {}
            Err(ConsumeError::Unavailable(reason)) => debug!(reason, "the cluster does not answer"),
            Err(other) => return Err(Ended::Input(other)),
        }
        changes.into_iter().try_for_each(|change| self.apply(change))?;
        self.begin_partitions()
    }

    /// Takes in what the fold and the readers say of upsert streams, and lets the partitions flow that are ready for it.
    pub(super) fn listen(&mut self) -> Result<(), Ended> {
        let Some(upserts) = &mut self.upserts else { return Ok(()) };
        let heard = upserts.listen(&self.routes, self.shared.clock.boot()).map_err(Ended::Input)?;
        if heard.is_missed {
            warn!("this worker was too far behind the control topic's changes; its upsert partitions are read anew");
            return self.reload_upserts();
        }
        for partition in heard.unbegun {
            if !self.unbegun.contains(&partition) && !self.begun.iter().any(|(begun, _)| *begun == partition) {
                self.unbegun.push(partition);
            }
        }
        let view = self.shared.live.load();
        let time = self.shared.clock.wall().max(view.graph.control_time()).max(upserts.not_before()).moment();
        for (partition, from) in upserts.activate(&view, time, &mut self.routes) {
            info!(?partition, from = from.0, "upsert partition flows");
            self.consumer.release(partition, from).map_err(Ended::Input)?;
        }
        Ok(())
    }

    /// Reads all upsert partitions anew: what is known of them may not be what was committed.
    pub(super) fn reload_upserts(&mut self) -> Result<(), Ended> {
        let Some(upserts) = &mut self.upserts else { return Ok(()) };
        for partition in upserts.reload() {
            self.consumer.hold(partition).map_err(Ended::Input)?;
        }
        self.batch.retain(|partition| !upserts.is_upsert(partition));
        Ok(())
    }

    fn apply(&mut self, change: Change) -> Result<(), Ended> {
        match change {
            Change::Assigned(partitions) => {
                info!(?partitions, "partitions assigned");
                self.shared.held.lock().expect("only copied").extend(partitions.iter().copied());
                if let Some(upserts) = &mut self.upserts {
                    partitions
                        .iter()
                        .filter(|p| upserts.is_upsert(**p))
                        .copied()
                        .collect::<Vec<_>>()
                        .into_iter()
                        .for_each(|p| upserts.arrive(p));
                }
                self.awaits_assign = false;
                if !std::mem::replace(&mut self.has_been_assigned, true) {
                    self.shared.assigned.fetch_add(1, Ordering::Relaxed);
                }
            }
            Change::Revoked(partitions) => {
                info!(?partitions, "partitions taken back");
                self.shared.held.lock().expect("only copied").retain(|p| !partitions.contains(p));
                self.unbegun.retain(|p| !partitions.contains(p));
                self.begun.retain(|(p, _)| !partitions.contains(p));
                self.batch.retain(|p| !partitions.contains(&p));
                if let Some(upserts) = &mut self.upserts {
                    upserts.leave(&partitions);
                }
            }
            // Whoever reads an upsert partition first finds that out too.
            Change::NoPosition(partition) if self.upserts.as_ref().is_some_and(|upserts| upserts.is_upsert(partition)) => {}
            Change::NoPosition(partition) => self.unbegun.push(partition),
            Change::OutOfRange(partition) => {
                let topic = self.settings.streams[usize::from(partition.stream.0)].topic.clone();
                return Err(Ended::PositionLost {
                    topic,
                    partition: partition.partition,
                    what: "is no longer in the log (truncated or expired input?)",
                });
            }
        }
        Ok(())
    }

    /// Begins partitions that have no committed offset. A cluster that does not answer is asked again at the next poll.
    fn begin_partitions(&mut self) -> Result<(), Ended> {
        while let Some(&partition) = self.unbegun.last() {
            match self.begin_partition(partition) {
                Ok(()) => drop(self.unbegun.pop()),
                Err(Ended::Input(ConsumeError::Unavailable(reason))) => {
                    warn!(reason, ?partition, "the partition cannot be begun at the moment");
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
        }
        Ok(())
    }

    fn begin_partition(&mut self, partition: SourcePartition) -> Result<(), Ended> {
        let stream = &self.settings.streams[usize::from(partition.stream.0)];
        if self.shared.notes.has_begun(&stream.topic, partition.partition).map_err(Ended::Input)? {
            return Err(Ended::PositionLost {
                topic: stream.topic.clone(),
                partition: partition.partition,
                what: "is gone (an expired group?)",
            });
        }
        let start = self.settings.starts[usize::from(partition.stream.0)];
        let first = self.consumer.start_at(partition, start).map_err(Ended::Input)?;
        info!(topic = stream.topic, partition = partition.partition, first = first.0, ?start, "partition begun for the first time");
        self.begun.push((partition, first));
        Ok(())
    }
}
