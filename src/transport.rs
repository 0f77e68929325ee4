//! What the engine asks of a log, so that a faster client or a simulated broker can take librdkafka's place.
//!
//! The engine's loop is written against these traits alone; `kafka/` implements them for a real cluster.

use std::time::Duration;

use crate::id::{Offset, StreamIndex};
use crate::time::Millis;

/// One partition of a stream's input topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePartition {
    /// The stream whose topic it is of.
    pub stream: StreamIndex,
    /// Kafka's number of it.
    pub partition: i32,
}

/// Records gathered for one decision, their bytes side by side in one arena that is reused from batch to batch.
#[derive(Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    slots: Vec<Slot>,
    headers: Vec<HeaderSlot>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    source: SourcePartition,
    offset: Offset,
    timestamp: Millis,
    /// Where its bytes begin in the arena.
    start: u32,
    key: Option<(u32, u32)>,
    value: Option<(u32, u32)>,
    headers: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct HeaderSlot {
    name: (u32, u32),
    value: Option<(u32, u32)>,
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where it was read.
    pub source: SourcePartition,
    /// Its offset there.
    pub offset: Offset,
    /// Its Kafka timestamp.
    pub timestamp: Millis,
    /// Its key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Headers<'a>,
}

/// A record's headers, in order, repeats included.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    arena: &'a [u8],
    slots: &'a [HeaderSlot],
}

impl<'a> Headers<'a> {
    /// Name and value of each.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone {
        self.slots.iter().map(move |slot| (span(self.arena, slot.name), slot.value.map(|v| span(self.arena, v))))
    }
}

fn span(arena: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &arena[start as usize..end as usize]
}

impl Batch {
    /// A batch that holds so many bytes is full, however few its records are.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Copies one record in. A batch holds less than 4 GiB: one that is full gets one more at most.
    pub fn push<'h>(
        &mut self,
        source: SourcePartition,
        offset: Offset,
        timestamp: Millis,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    ) {
        let start = self.arena.len() as u32;
        let key = key.map(|bytes| self.copy(bytes));
        let value = value.map(|bytes| self.copy(bytes));
        let first = self.headers.len() as u32;
        for (name, value) in headers {
            let slot = HeaderSlot { name: self.copy(name), value: value.map(|bytes| self.copy(bytes)) };
            self.headers.push(slot);
        }
        let headers = (first, self.headers.len() as u32);
        self.slots.push(Slot { source, offset, timestamp, start, key, value, headers });
    }

    fn copy(&mut self, bytes: &[u8]) -> (u32, u32) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        (start, self.arena.len() as u32)
    }

    /// The records in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.slots.iter().map(|slot| Record {
            source: slot.source,
            offset: slot.offset,
            timestamp: slot.timestamp,
            key: slot.key.map(|s| span(&self.arena, s)),
            value: slot.value.map(|s| span(&self.arena, s)),
            headers: Headers { arena: &self.arena, slots: &self.headers[slot.headers.0 as usize..slot.headers.1 as usize] },
        })
    }

    /// How many records are in it.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no record is in it.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of keys, values and headers together.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Drops the first `count` records: they are committed. Their bytes are given back once they are the greater part, so
    /// that a batch which never becomes empty does not grow.
    pub fn drop_front(&mut self, count: usize) {
        self.slots.drain(..count);
        self.compact();
    }

    /// Drops records that `is_kept` does not want.
    pub fn retain_records(&mut self, mut is_kept: impl FnMut(SourcePartition, Offset) -> bool) {
        self.slots.retain(|slot| is_kept(slot.source, slot.offset));
        self.compact();
    }

    /// Drops the records of partitions that this worker no longer owns.
    pub fn retain(&mut self, mut is_kept: impl FnMut(SourcePartition) -> bool) {
        self.retain_records(|source, _| is_kept(source));
    }

    /// Gives back what lies in front of the first record once it is more than half: in a backlog a batch may never be
    /// empty, and without this its arena would outgrow its spans. Each byte is moved at most once for each that goes.
    fn compact(&mut self) {
        let Some(&Slot { start, headers: (first_header, _), .. }) = self.slots.first() else { return self.clear() };
        if (start as usize) <= self.arena.len() / 2 {
            return;
        }
        self.arena.drain(..start as usize);
        self.headers.drain(..first_header as usize);
        let back = |span: &mut (u32, u32)| *span = (span.0 - start, span.1 - start);
        for slot in &mut self.slots {
            slot.start -= start;
            slot.key.iter_mut().chain(&mut slot.value).for_each(back);
            slot.headers = (slot.headers.0 - first_header, slot.headers.1 - first_header);
        }
        for header in &mut self.headers {
            std::iter::once(&mut header.name).chain(&mut header.value).for_each(back);
        }
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.slots.clear();
        self.headers.clear();
    }
}

/// What a poll found out about a worker's partitions, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These came, besides those held already; nothing is read from them before `release`. Membership has been taken anew, also when
    /// the list is empty.
    Assigned(Vec<SourcePartition>),
    /// These were taken back; nothing of them may be committed any more.
    Revoked(Vec<SourcePartition>),
    /// The offset that this one was to be read from is not in the log.
    OutOfRange(SourcePartition),
}

/// Where a partition without committed offset begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The oldest record that is there.
    Earliest,
    /// Behind the newest.
    Latest,
}

/// Errors at the input side. `Unavailable` passes by itself; the others end the worker.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The cluster does not answer; reading goes on when it does.
    #[error("the cluster is not available: {0}")]
    Unavailable(String),
    /// An input topic is missing or must not be read: the configuration or the ACLs are wrong.
    #[error("input cannot be read: {0}")]
    Refused(String),
    /// The client is broken for good.
    #[error("the consumer failed: {0}")]
    Fatal(String),
}

/// A member of the workers' consumer group. One thread owns it.
pub trait GroupConsumer {
    /// What fences a zombie: the group's generation as this member saw it last.
    type Membership;

    /// Appends up to `room` records to `into`, ending early with the one that makes it full, waiting up to `wait` for the first; membership changes go to `changes`.
    ///
    /// It returns at once behind a change, so that the records in `into` are older than every change of the same call; on an
    /// error what was appended stays.
    fn poll(&mut self, wait: Duration, room: usize, into: &mut Batch, changes: &mut Vec<Change>) -> Result<(), ConsumeError>;

    /// The membership of the last assign; `None` between a revoke or loss of everything and the next assign.
    fn membership(&self) -> Option<&Self::Membership>;

    /// The id that the group's coordinator gave this member, as others see it in the group; `None` before it has joined.
    fn member_id(&self) -> Option<String> {
        None
    }

    /// Stops fetching from every partition held; polling goes on.
    fn pause(&mut self) -> Result<(), ConsumeError>;

    /// Takes back `pause`.
    fn resume(&mut self) -> Result<(), ConsumeError>;

    /// The committed offset of each of these partitions, read committed: with a transaction still open on one of them
    /// the answer is `Unavailable`, never an old offset. `None` is a partition without committed offset.
    fn committed(&mut self, partitions: &[SourcePartition], wait: Duration) -> Result<Vec<Option<Offset>>, ConsumeError>;

    /// The offset at which a partition without committed offset begins.
    fn first(&mut self, partition: SourcePartition, start: Start) -> Result<Offset, ConsumeError>;

    /// Takes nothing more from this partition until `release`; what was fetched of it is dropped. Every partition is held from its
    /// assignment on, because nothing of it can be decided before it is known where to go on, what stands of it, and what is owed.
    fn hold(&mut self, partition: SourcePartition) -> Result<(), ConsumeError>;

    /// Reads a held partition from this offset on.
    fn release(&mut self, partition: SourcePartition, from: Offset) -> Result<(), ConsumeError>;
}

/// Reads partitions besides the group: what upsert streams need to know of their own past. One thread owns it.
pub trait Archive {
    /// What the group has committed for a partition of an input, read committed, with the note beside it: with a transaction
    /// still open on it the answer is `Unavailable`, never an old one.
    fn committed(&mut self, topic: &str, partition: i32) -> Result<Option<(Offset, Vec<u8>)>, ConsumeError>;

    /// How many partitions a topic has; none where it is missing.
    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ConsumeError>;

    /// Goes to an offset of a partition, none being the oldest record; answers the partition's bounds.
    fn turn_to(&mut self, topic: &str, partition: i32, from: Option<Offset>) -> Result<LogBounds, ConsumeError>;

    /// Appends what follows, read committed, as records of `source`, up to `room`, waiting up to `wait` for the first. Answers the
    /// offset to come next: past transaction markers, aborted records and what compaction has removed.
    fn read(&mut self, wait: Duration, room: usize, source: SourcePartition, into: &mut Batch) -> Result<Offset, ConsumeError>;
}

/// An input offset to go on from, with what is to be read back beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputOffset {
    /// The partition.
    pub partition: SourcePartition,
    /// The next record to be read.
    pub next: Offset,
    /// UTF-8 of at most 4096 bytes; empty for none.
    pub note: String,
}

impl InputOffset {
    /// Without a note.
    pub fn new(partition: SourcePartition, next: Offset) -> Self {
        Self { partition, next, note: String::new() }
    }
}

/// One output record.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition; where none is named the key chooses it.
    pub partition: Option<i32>,
    /// The key, which also chooses the partition as Java clients do (murmur2); `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// The Kafka timestamp.
    pub timestamp: Millis,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
}

/// Errors at the output side.
#[derive(Debug, thiserror::Error)]
pub enum ProduceError {
    /// This topic failed: missing, not authorised, closed. The transaction must be aborted; others are not to blame.
    #[error("route {topic} failed: {reason}")]
    Route {
        /// The topic at fault.
        topic: String,
        /// What the client said.
        reason: String,
    },
    /// This topic's leaders did not answer in time, or it has none now, as while a broker restarts. The transaction must be
    /// aborted; the route has failed only if this lasts.
    #[error("{topic} is not reachable: {reason}")]
    Unreachable {
        /// The topic.
        topic: String,
        /// What the client said.
        reason: String,
    },
    /// This one record is refused by its topic, for its size or its timestamp; the route itself is well.
    #[error("{topic} refused a record: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the client said.
        reason: String,
    },
    /// The transaction must be aborted, and the same records may be tried again.
    #[error("the transaction must be aborted: {0}")]
    Abort(String),
    /// The group has gone on without this member (ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, FENCED_INSTANCE_ID): abort, poll until
    /// the next assign. A cooperative rebalance has two of them, so it may come once more.
    #[error("the group has a newer generation: {0}")]
    StaleMember(String),
    /// Another producer has taken this `transactional.id`.
    #[error("fenced: another process uses the same transactional.id: {0}")]
    Fenced(String),
    /// The producer is of no further use and must be made anew; also after a time-out of commit or abort.
    #[error("the producer failed: {0}")]
    Fatal(String),
}

/// One transactional producer. After `Fatal` or `Fenced` only dropping it is allowed.
pub trait TransactionalProducer {
    /// As in `GroupConsumer`.
    type Membership;

    /// Whether this producer's own client sees a leader for every partition of the topic: `false` where it is missing, `Unreachable`
    /// where it is there and has no leader now. Never called in a transaction.
    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError>;

    /// How many partitions the topic had that `sees_leader` looked at last, where that is known.
    fn partitions_seen(&self) -> Option<usize> {
        None
    }

    /// Opens a transaction.
    fn begin(&mut self) -> Result<(), ProduceError>;

    /// Queues one record; bytes are copied. Every error counts, a record refused locally too. An error is about this record; that an
    /// earlier one has failed the transaction is told by `drain`.
    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError>;

    /// Waits until every queued record is acknowledged. All failed reports are answered, one of a kind a topic; purges name
    /// nobody, but where there is nothing else they are one `Abort`.
    fn drain(&mut self) -> Result<(), Vec<ProduceError>>;

    /// Adds the input offsets to go on from to the transaction, and their notes.
    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &Self::Membership) -> Result<(), ProduceError>;

    /// Commits. When it returns `Ok`, all of it is sure to become visible, a few milliseconds later at times: the cluster
    /// answers before it has marked every partition.
    fn commit(&mut self) -> Result<(), ProduceError>;

    /// Aborts; queued records are purged.
    fn abort(&mut self) -> Result<(), ProduceError>;
}

/// One record of the control topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRecord {
    /// Its offset.
    pub offset: Offset,
    /// Its Kafka timestamp (LogAppendTime).
    pub timestamp: Millis,
    /// Its value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
    /// Its headers, for binary CloudEvents.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The control topic as one reader sees it, read committed, from a chosen offset.
pub trait ControlLog {
    /// Appends what there is, waiting up to `wait` for the first. On an error what was appended stays, and `position` is behind it.
    fn poll(&mut self, wait: Duration, into: &mut Vec<ControlRecord>) -> Result<(), ConsumeError>;

    /// The offset of the next record to come: past transaction markers and aborted records too.
    fn position(&self) -> Result<Offset, ConsumeError>;
}

/// First and end offset of the control topic, asked of the cluster anew each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The oldest offset that is there.
    pub start: Offset,
    /// The high watermark: behind every acknowledged record, also behind an open transaction.
    pub end: Offset,
}

/// Asks for the control topic's bounds on a client that is used for nothing else.
pub trait EndProbe {
    /// One question; read uncommitted.
    fn ask(&mut self) -> Result<LogBounds, ConsumeError>;
}

/// Appends single events to the control topic: idempotent, acknowledged by all in-sync replicas, never in a transaction.
pub trait ControlWriter {
    /// Appends one structured CloudEvent; answers its offset once it is acknowledged.
    fn append(&mut self, event: &[u8]) -> Result<Offset, ProduceError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(batch: &mut Batch, offset: i64) {
        let text = format!("{offset:0>9}");
        let headers = [(b"h".as_slice(), Some(text.as_bytes())), (text.as_bytes(), None)];
        let source = SourcePartition { stream: StreamIndex(0), partition: (offset % 3) as i32 };
        batch.push(
            source,
            Offset(offset),
            Millis(offset),
            Some(text.as_bytes()),
            (offset % 2 == 0).then_some(text.as_bytes()),
            headers.into_iter(),
        );
    }

    fn is_whole(record: &Record<'_>) -> bool {
        let text = format!("{:0>9}", record.offset);
        let headers: Vec<_> = record.headers.iter().collect();
        record.key == Some(text.as_bytes())
            && record.value == (record.offset.0 % 2 == 0).then_some(text.as_bytes())
            && headers == [(b"h".as_slice(), Some(text.as_bytes())), (text.as_bytes(), None)]
    }

    /// A backlog behind `batch.max_routes`: each transaction takes some records, and the batch is filled up again.
    #[test]
    fn a_batch_that_is_never_empty_stays_small_and_whole() {
        let mut batch = Batch::default();
        let mut next = 0;
        for round in 0..1_000 {
            while batch.len() < 100 {
                push(&mut batch, next);
                next += 1;
            }
            batch.drop_front(7);
            if round % 50 == 0 {
                batch.retain(|source| source.partition != 1);
            }
            assert!(batch.iter().all(|record| is_whole(&record)));
            assert!(batch.bytes() < 20_000, "{} bytes for {} records", batch.bytes(), batch.len());
        }
        batch.retain(|_| false);
        assert_eq!(batch.bytes(), 0);
    }
}
