//! The input side of a batch: polling, and what a poll says about the worker's partitions (SPEC section 10).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::setback::Ended;
use super::worker::Worker;
use crate::transport::{Batch, Change, ConsumeError, GroupConsumer, SourcePartition, TransactionalProducer};

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
            let wait = until.map_or(self.settings.interval, |at| at.since(now));
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

    fn apply(&mut self, change: Change) -> Result<(), Ended> {
        match change {
            Change::Assigned(partitions) => {
                info!(?partitions, "partitions assigned");
                self.shared.held.lock().expect("only copied").extend(partitions.iter().copied());
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
            }
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
