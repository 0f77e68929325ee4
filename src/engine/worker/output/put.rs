//! What a transaction writes: outputs, documents, what is owed, dead letters, notes, and the offsets that cover all of it.

use std::time::Duration;

use crate::clock::BootTime;
use crate::config::Delivery;
use crate::engine::output::outbox::{BatchBudget, Outgoing};
use crate::engine::output::route::RouteIndex;
use crate::engine::restore::redelivery::ClaimChange;
use crate::engine::topic::state::{note_of, owed_note_of};
use crate::engine::upsert::Upserts;
use crate::engine::worker::error::{TxError, TxStage};
use crate::engine::worker::output::OutputSide;
use crate::id::Offset;
use crate::live::View;
use crate::transport::{Output, SourcePartition, TransactionalProducer};

/// Without a transaction the fence is asked again after so long.
const FENCE_EVERY: Duration = Duration::from_millis(50);

/// Kafka's record batch around a document, at most.
const AROUND_UPSERT: usize = 120;

impl<P: TransactionalProducer> OutputSide<P> {
    /// Outputs of append streams, lane by lane.
    ///
    /// What a topic takes little of at once is put as it was decided, so that what many such topics have queued is acknowledged
    /// together. So is what is left of a route whose topic has other partitions by now than its lanes were made for: a lane is of
    /// several of them then.
    pub(in crate::engine::worker) fn put_outputs(&mut self, view: &View, now: BootTime) -> Result<(), TxError> {
        let Self { shared, settings, producer, routes, draft, budget, .. } = self;
        let mut asked = shared.clock.boot();
        let mut put = |output: &Outgoing<'_>, limit: Option<usize>| {
            make_room(producer, budget, output.route, output.batch_bytes().1, limit)?;
            // Making room, and a client whose queue is full, take as long as a topic takes to answer.
            if settings.delivery == Delivery::AtLeastOnce && shared.clock.boot().since(asked) >= FENCE_EVERY {
                shared.check_fence(view).map_err(TxError::Aged)?;
                asked = shared.clock.boot();
            }
            let sent = Output {
                topic: &routes.get(output.route).topic,
                partition: None,
                key: Some(output.key),
                timestamp: output.timestamp,
                value: Some(output.value),
                headers: &output.headers(),
            };
            producer.put(sent).map_err(|e| TxError::Output(e, Some(output.origin)))?;
            Ok(producer.partitions_put())
        };
        let mut learned: Vec<(RouteIndex, u32)> = Vec::new();
        let mut in_order: Vec<Outgoing<'_>> = Vec::new();
        for lane in draft.outbox.lanes() {
            let is_changed = lane.partitions().is_some() && learned.iter().any(|(route, _)| *route == lane.route());
            if is_changed || routes.limit_at(lane.route(), now).is_some() {
                in_order.extend(lane.iter());
                continue;
            }
            let mut outputs = lane.iter();
            let Some(first) = outputs.next() else { continue };
            let partitions = put(&first, None)?;
            if let Some(partitions) = partitions.filter(|_| partitions != lane.partitions()) {
                learned.push((lane.route(), partitions));
                if lane.partitions().is_some() {
                    in_order.extend(outputs);
                    continue;
                }
            }
            for output in outputs {
                put(&output, None)?;
            }
        }
        in_order.sort_unstable_by_key(|output| output.sequence);
        for output in in_order {
            put(&output, routes.limit_at(output.route, now))?;
        }
        for (route, partitions) in learned {
            draft.outbox.learn_partitions(route, partitions);
        }
        Ok(())
    }

    /// Documents and tombstones of upsert streams, each with what stands from now on.
    pub(in crate::engine::worker) fn put_upserts(&mut self, upserts: &Upserts, now: BootTime) -> Result<(), TxError> {
        for (write, bytes) in upserts.writes() {
            let headers: Vec<(&str, &[u8])> = write.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            let size = bytes.key.len() + bytes.value.map_or(0, <[u8]>::len) + AROUND_UPSERT;
            make_room(&mut self.producer, &mut self.budget, write.route, size, self.routes.limit_at(write.route, now))?;
            let (key, value, timestamp) = (Some(bytes.key), bytes.value, write.timestamp);
            let topic = &self.routes.get(write.route).topic;
            let sent = Output { topic, partition: None, key, timestamp, value, headers: &headers };
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

    /// What is noted: which routes are owed what, and which partitions are begun.
    pub(in crate::engine::worker) fn put_notes(
        &mut self,
        owed: &[ClaimChange],
        begun: &[(SourcePartition, Offset)],
    ) -> Result<(), TxError> {
        if owed.is_empty() && begun.is_empty() {
            return Ok(());
        }
        self.producer.begin_notes().map_err(TxError::Reports)?;
        self.put_owed(owed)?;
        self.put_begun(begun)
    }

    /// What routes are owed from now on.
    fn put_owed(&mut self, changes: &[ClaimChange]) -> Result<(), TxError> {
        for change in changes {
            let stream = &self.settings.streams[usize::from(change.partition.stream.0)];
            let tenant = &self.routes.get(change.route).tenant;
            let (key, value) = owed_note_of(&self.settings.group, stream, change.partition.partition, tenant, change.from);
            self.put_state(&key, value.as_deref())?;
        }
        Ok(())
    }

    /// Dead letters.
    pub(in crate::engine::worker) fn put_letters(&mut self) -> Result<(), TxError> {
        for letter in &self.draft.outbox.letters {
            letter.put(&mut self.producer, &self.settings.names.own.dead_letters).map_err(|e| TxError::Output(e, None))?;
        }
        Ok(())
    }

    /// Notes of partitions that are begun.
    fn put_begun(&mut self, begun: &[(SourcePartition, Offset)]) -> Result<(), TxError> {
        for &(partition, offset) in begun {
            let (key, value) = note_of(&self.settings.group, &self.settings.streams, partition, offset);
            self.put_state(&key, Some(&value))?;
        }
        Ok(())
    }

    /// Everything that was put is acknowledged, and the offsets of the transaction are sent.
    pub(in crate::engine::worker) fn send_offsets<'m>(
        &mut self,
        membership: impl FnOnce() -> Option<&'m P::Membership>,
    ) -> Result<(), TxError>
    where
        P::Membership: 'm,
    {
        self.producer.drain().map_err(TxError::Reports)?;
        let membership = membership().ok_or(TxError::NoMembership)?;
        self.producer.send_offsets(&self.draft.offsets, membership).map_err(|e| TxError::Failed(e, TxStage::Offsets))
    }

    /// One small fact for `sharecast.state`; without value it is taken back.
    fn put_state(&mut self, key: &str, value: Option<&str>) -> Result<(), TxError> {
        let (key, value, timestamp) = (Some(key.as_bytes()), value.map(str::as_bytes), self.shared.clock.wall());
        self.producer
            .put(Output { topic: &self.settings.names.own.state, partition: None, key, timestamp, value, headers: &[] })
            .map_err(|e| TxError::Failed(e, TxStage::Write))
    }
}

/// librdkafka knows one size of batches for all topics; what a smaller one takes at once is acknowledged piece by piece.
fn make_room<P: TransactionalProducer>(
    producer: &mut P,
    budget: &mut BatchBudget,
    route: RouteIndex,
    bytes: usize,
    limit: Option<usize>,
) -> Result<(), TxError> {
    if let Some(limit) = limit
        && !budget.takes(route, bytes, limit)
    {
        producer.drain().map_err(TxError::Reports)?;
        budget.restart(route, bytes);
    }
    Ok(())
}
