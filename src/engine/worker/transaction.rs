//! The transaction itself: everything a batch leads to, the offsets that cover it, and the last look at the fence.

use crate::clock::BootTime;
use crate::engine::topic::names::{DEAD_LETTERS, STATE};
use crate::engine::topic::state::{note_of, owed_note_of};
use crate::engine::worker::Worker;
use crate::engine::worker::error::{TxError, TxStage};
use crate::live::View;
use crate::time::TimestampMs;
use crate::transport::{GroupConsumer, InputOffset, Output, TransactionalProducer};

/// Kafka's record batch around a document, at most.
const AROUND_UPSERT: usize = 120;

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// Writes everything the batch leads to and commits it with the input's offsets.
    pub(super) fn write(&mut self, view: &View) -> Result<(), TxError> {
        let now = self.shared.clock.boot();
        for output in self.outbox.iter() {
            // librdkafka knows one size of batches for all topics; what a smaller one takes at once is acknowledged piece by piece.
            if let Some(limit) = self.routes.limit_at(output.route, now)
                && !self.fill.takes(output.route, output.batch_bytes().1, limit)
            {
                self.producer.drain().map_err(TxError::Reports)?;
                self.fill.restart(output.route, output.batch_bytes().1);
            }
            let sent = Output {
                topic: &self.routes.get(output.route).topic,
                partition: None,
                key: Some(output.key),
                timestamp: output.timestamp,
                value: Some(output.value),
                headers: &output.headers(),
            };
            self.producer.put(sent).map_err(|e| TxError::Output(e, Some(output.origin)))?;
        }
        self.write_upserts(now)?;
        self.write_owed()?;
        for letter in &self.outbox.letters {
            letter.put(&mut self.producer, DEAD_LETTERS).map_err(|e| TxError::Output(e, None))?;
        }
        for &(partition, offset) in &self.begun {
            let (key, value) = note_of(&self.settings.group, &self.settings.streams, partition, offset);
            put_state(&mut self.producer, self.shared.clock.wall(), &key, Some(&value))?;
        }
        self.producer.drain().map_err(TxError::Reports)?;
        let membership = self.consumer.membership().ok_or(TxError::NoMembership)?;
        self.producer.send_offsets(&self.offsets, membership).map_err(|e| TxError::Failed(e, TxStage::Offsets))?;
        // The batch's own view, not the newest: a revoke that came since must not be overtaken by this commit.
        self.check_fence(view).map_err(TxError::Aged)?;
        self.producer.commit().map_err(|e| TxError::Failed(e, TxStage::Commit))
    }

    /// Documents and tombstones of upsert streams, each with what is stored from now on.
    fn write_upserts(&mut self, now: BootTime) -> Result<(), TxError> {
        let Some(upserts) = &self.upserts else { return Ok(()) };
        for (write, bytes) in upserts.writes() {
            let route = self.routes.get(write.route);
            let headers: Vec<(&str, &[u8])> = write.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            let size = bytes.key.len() + bytes.value.map_or(0, <[u8]>::len) + AROUND_UPSERT;
            if let Some(limit) = self.routes.limit_at(write.route, now)
                && !self.fill.takes(write.route, size, limit)
            {
                self.producer.drain().map_err(TxError::Reports)?;
                self.fill.restart(write.route, size);
            }
            let (key, value, timestamp) = (Some(bytes.key), bytes.value, write.timestamp);
            let sent = Output { topic: &route.topic, partition: None, key, timestamp, value, headers: &headers };
            self.producer.put(sent).map_err(|e| TxError::Output(e, None))?;
            let standing = Output {
                topic: &self.settings.standing[usize::from(write.source.stream.0)],
                partition: Some(write.source.partition),
                key: Some(bytes.standing_key),
                timestamp: self.shared.clock.wall(),
                value: bytes.standing_value,
                headers: &[],
            };
            self.producer.put(standing).map_err(|e| TxError::Failed(e, TxStage::Write))?;
        }
        Ok(())
    }

    /// The offsets of upsert partitions, with what has been taken back.
    pub(super) fn note_upserts(&mut self, view: &View, now: TimestampMs) {
        if let Some(upserts) = &mut self.upserts {
            upserts.looked();
            self.offsets.extend(upserts.offsets(view, now.moment(), &self.routes));
        }
    }

    /// What is owed changes only together with offsets of its partition: they are what fences a zombie.
    pub(super) fn note_owed(&mut self) {
        for change in self.owed.changes() {
            if let Some(position) = self.owed.position(change.partition)
                && !self.offsets.iter().any(|noted| noted.partition == change.partition)
            {
                self.offsets.push(InputOffset::new(change.partition, position));
            }
        }
    }

    fn write_owed(&mut self) -> Result<(), TxError> {
        for change in self.owed.changes() {
            let stream = &self.settings.streams[usize::from(change.partition.stream.0)];
            let tenant = &self.routes.get(change.route).tenant;
            let (key, value) = owed_note_of(&self.settings.group, stream, change.partition.partition, tenant, change.from);
            put_state(&mut self.producer, self.shared.clock.wall(), &key, value.as_deref())?;
        }
        Ok(())
    }
}

/// One small fact for `sharecast.state`; without value it is taken back.
fn put_state<P: TransactionalProducer>(producer: &mut P, timestamp: TimestampMs, key: &str, value: Option<&str>) -> Result<(), TxError> {
    let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
    producer
        .put(Output { topic: STATE, partition: None, key, timestamp, value, headers: &[] })
        .map_err(|e| TxError::Failed(e, TxStage::Write))
}
