//! What the engine asks of a log, so that a faster client or a simulated broker can take librdkafka's place.
//!
//! The engine's loop is written against these traits alone; `kafka/` implements them for a real cluster.

mod batch;
mod partitioner;

use std::time::Duration;

pub use self::batch::{Batch, Headers, Record};
pub use self::partitioner::partition_of;

use crate::id::{Offset, StreamIndex};
use crate::time::TimestampMs;

/// One partition of a stream's input topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourcePartition {
    /// The stream whose topic it is of.
    pub stream: StreamIndex,
    /// Kafka's number of it.
    pub partition: i32,
}

/// What a poll found out about a worker's partitions, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AssignmentChange {
    /// These came, besides those held already; nothing is read from them before `release`. Membership has been taken again, also when
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
    /// After the newest.
    Latest,
}

/// Errors at the input side. `Unavailable` passes by itself; the others end the worker.
#[derive(Debug, Clone, thiserror::Error)]
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
    /// It returns at once after a change, so that the records in `into` are older than every change of the same call; on an
    /// error what was appended stays.
    fn poll(&mut self, wait: Duration, room: usize, into: &mut Batch, changes: &mut Vec<AssignmentChange>) -> Result<(), ConsumeError>;

    /// The membership of the last assign; `None` between a revoke or loss of everything and the next assign.
    fn membership(&self) -> Option<&Self::Membership>;

    /// The id that the group's coordinator gave this member, as others see it in the group; `None` before it has joined.
    fn member_id(&self) -> Option<String> {
        None
    }

    /// Stops fetching from every partition held; polling goes on.
    fn pause(&mut self) -> Result<(), ConsumeError>;

    /// Takes back `pause`. Nothing is read from a partition that was never released, then either.
    fn resume(&mut self) -> Result<(), ConsumeError>;

    /// The committed offset of each of these partitions, read committed: with a transaction still open on one of them
    /// the answer is `Unavailable`, never an old offset. `None` is a partition without committed offset.
    fn committed(&mut self, partitions: &[SourcePartition], wait: Duration) -> Result<Vec<Option<Offset>>, ConsumeError>;

    /// The offset at which a partition without committed offset begins.
    fn first(&mut self, partition: SourcePartition, start: Start) -> Result<Offset, ConsumeError>;

    /// The same of several partitions, in their order, in as few questions as it takes.
    fn first_of_each(&mut self, partitions: &[(SourcePartition, Start)]) -> Vec<Result<Offset, ConsumeError>> {
        partitions.iter().map(|(partition, start)| self.first(*partition, *start)).collect()
    }

    /// Takes nothing more from this partition until `release`; what was fetched of it is dropped. Every partition is held from its
    /// assignment on, because nothing of it can be decided before it is known where to go on, what is stored of it, and what is owed.
    fn hold(&mut self, partition: SourcePartition) -> Result<(), ConsumeError>;

    /// Reads a held partition from this offset on.
    ///
    /// The client may be wrong: what comes first is held against the offset by who releases, and records from before are dropped.
    fn release(&mut self, partition: SourcePartition, from: Offset) -> Result<(), ConsumeError>;

    /// Whether a partition that was released is being read, as far as the client knows: it may have yet to begin.
    fn has_begun(&self, partition: SourcePartition) -> bool;
}

/// A committed offset with the note beside it.
pub type CommittedNote = (Offset, Vec<u8>);

/// Reads partitions besides the group: what upsert streams need to know of their own past. One thread owns it.
pub trait Archive {
    /// What the group has committed for a partition of an input, read committed, with the note beside it: with a transaction
    /// still open on it the answer is `Unavailable`, never an old one.
    fn committed(&mut self, topic: &str, partition: i32) -> Result<Option<CommittedNote>, ConsumeError>;

    /// The same of several partitions, in their order, in as few questions as it takes. One that has no answer yet holds no other up.
    fn committed_of_each(&mut self, partitions: &[(&str, i32)]) -> Vec<Result<Option<CommittedNote>, ConsumeError>> {
        partitions.iter().map(|(topic, partition)| self.committed(topic, *partition)).collect()
    }

    /// Nothing is wanted for now: it stops fetching until the next `turn_to`.
    fn rest(&mut self) {}

    /// How many partitions a topic has; none where it is missing.
    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ConsumeError>;

    /// Goes to an offset of a partition, none being the oldest record; returns the partition's bounds.
    fn turn_to(&mut self, topic: &str, partition: i32, from: Option<Offset>) -> Result<LogBounds, ConsumeError>;

    /// Appends what follows, read committed, as records of `source`, up to `room`, waiting up to `wait` for the first. Returns the
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
    /// An offset that commits nothing beside it: an earlier note of the partition is gone with it.
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
    pub timestamp: TimestampMs,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Headers in their order; a name may come twice.
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
    /// The producer is of no further use and must be made again; also after a time-out of commit or abort.
    #[error("the producer failed: {0}")]
    Fatal(String),
    /// No producer can be made as the configuration wants it, until somebody changes that or the cluster.
    #[error("{0}")]
    Impossible(String),
}

/// One transactional producer. After `Fatal` or `Fenced` only dropping it is allowed.
///
/// With `delivery: at_least_once` one without transactions stands in its place: a record counts as soon as it is acknowledged, `commit`
/// commits the offsets after that, and `abort` takes nothing back; but when it returns nothing of the batch is on its way any more. Whoever
/// writes the same again after it keeps the order of what comes first.
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

    /// Opens a transaction; none may be open.
    fn begin(&mut self) -> Result<(), ProduceError>;

    /// Queues one record; bytes are copied. Every error counts, a record refused locally too. An error is about this record; that an
    /// earlier one has failed the transaction is told by `drain`.
    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError>;

    /// How many partitions the topic of the record put last has, as its client sees it; none where it has chosen none for that record
    /// yet, or is not asked to.
    fn partitions_put(&self) -> Option<u32> {
        None
    }

    /// All that was put until now may leave: what follows in this transaction is put later. Waits for no answer; what fails is told by
    /// `drain`. A client that sends by itself has nothing to do here.
    fn send_ahead(&mut self) {}

    /// Waits until every queued record is acknowledged. All failed reports are answered, one of a kind a topic; purges name
    /// nobody, but where there is nothing else they are one `Abort`.
    fn drain(&mut self) -> Result<(), Vec<ProduceError>>;

    /// What is put from here on are notes: they count together with the offsets, and not before all that was put until now. In a
    /// transaction that is so by itself.
    fn begin_notes(&mut self) -> Result<(), Vec<ProduceError>> {
        Ok(())
    }

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
    pub timestamp: TimestampMs,
    /// Its value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
    /// Its headers, for binary CloudEvents.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// The control topic as one reader sees it, read committed, from a chosen offset.
pub trait ControlLog {
    /// Appends what there is, waiting up to `wait` for the first. On an error what was appended stays, and `position` is after it.
    fn poll(&mut self, wait: Duration, into: &mut Vec<ControlRecord>) -> Result<(), ConsumeError>;

    /// The offset of the next record to come: past transaction markers and aborted records too.
    fn position(&self) -> Result<Offset, ConsumeError>;
}

/// First and end offset of the control topic, asked of the cluster again each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogBounds {
    /// The oldest offset that is there.
    pub start: Offset,
    /// The high watermark: after every acknowledged record, also after an open transaction.
    pub end: Offset,
}

/// Asks for the control topic's bounds on a client that is used for nothing else.
pub trait EndProbe {
    /// One question; read uncommitted.
    fn ask(&mut self) -> Result<LogBounds, ConsumeError>;
}

/// Appends single events to the control topic: idempotent, acknowledged by all in-sync replicas, never in a transaction.
pub trait ControlWriter {
    /// Appends one structured CloudEvent; returns its offset once it is acknowledged.
    fn append(&mut self, event: &[u8]) -> Result<Offset, ProduceError>;
}
