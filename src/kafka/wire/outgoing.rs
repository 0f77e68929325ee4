//! What a producer has yet to send: by topic and partition, in batches, of which the first is sent and the next ones wait.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use rustc_hash::FxBuildHasher;

use super::compression::BatchCompressor;
use super::messages::commit::ProducerIdentity;
use super::record_batch::{BatchRecord, BatchStamp, OpenBatch, SealedBatch, sequence_after};
use super::verdict::LastWord;
use crate::kafka::client::Deadline;

/// After so many transactions the memory of partitions is given back that none of them used.
const TRIM_EVERY: u32 = 64;

/// A topic, by its place in the table.
pub(super) type TopicPlace = usize;

/// A partition's queue, by its places in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QueuePlace {
    pub(super) topic: TopicPlace,
    pub(super) partition: usize,
}

/// A topic that was written to or looked at.
pub(super) struct OutgoingTopic {
    pub(super) name: Box<str>,
    /// By partition, the node that leads it, or -1. Empty where the topic is not known.
    pub(super) leaders: Vec<i32>,
    /// As many as there are leaders, or more where the topic had more.
    pub(super) queues: Vec<PartitionQueue>,
    /// What is known of its leaders is not true any more.
    pub(super) is_stale: bool,
    /// Until then it may be that the topic is only not known yet; none where it is known.
    pub(super) missing_until: Option<Deadline>,
    /// The partition of the next record without a key.
    turn: usize,
}

/// What waits for one partition.
#[derive(Default)]
pub(super) struct PartitionQueue {
    open: OpenBatch,
    pub(super) sealed: VecDeque<SealedBatch>,
    /// Of the next record, counted from the beginning of the transaction.
    sequence: i32,
    /// The first of `sealed` was sent and is not answered.
    pub(super) is_in_flight: bool,
    pub(super) not_before: Option<Deadline>,
    /// It was sent again where that is done once.
    pub(super) was_repeated: bool,
    /// What was heard of it last.
    pub(super) last: Option<(LastWord, String)>,
    is_used: bool,
    /// It was used since memory was last given back.
    is_warm: bool,
    spare: Vec<u8>,
}

impl PartitionQueue {
    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty() && self.sealed.is_empty()
    }

    fn seal(&mut self, identity: ProducerIdentity, compressor: &mut BatchCompressor) {
        let next = OpenBatch::reusing(std::mem::take(&mut self.spare));
        let full = std::mem::replace(&mut self.open, next);
        let count = full.count();
        let stamp = BatchStamp { producer_id: identity.id, producer_epoch: identity.epoch, sequence: self.sequence };
        self.sequence = sequence_after(self.sequence, count);
        self.sealed.push_back(full.seal(stamp, compressor));
    }

    /// The first batch is in the log.
    pub(super) fn written(&mut self) {
        if let Some(batch) = self.sealed.pop_front() {
            self.spare = batch.bytes;
        }
        (self.is_in_flight, self.not_before, self.was_repeated, self.last) = (false, None, false, None);
    }

    /// The first batch is sent again: at once the first time, later after a wait.
    pub(super) fn again(&mut self, last: LastWord, words: String, wait: Duration) {
        self.not_before = self.last.is_some().then(|| Deadline::after(wait));
        self.last = Some((last, words));
    }

    /// The first batch is sent again, and nothing was heard of it. That the transaction is at fault, if it was said before, stays the last word.
    pub(super) fn again_unheard(&mut self, words: &str, wait: Duration) {
        self.not_before = self.last.is_some().then(|| Deadline::after(wait));
        if !matches!(self.last, Some((LastWord::Abort, _))) {
            self.last = Some((LastWord::Unreachable, words.to_owned()));
        }
    }

    fn clear(&mut self) {
        let spare = std::mem::take(&mut self.spare);
        *self = Self { open: std::mem::take(&mut self.open).emptied(), spare, is_warm: true, ..Self::default() };
    }
}

/// All that waits.
#[derive(Default)]
pub(super) struct OutgoingQueues {
    pub(super) topics: Vec<OutgoingTopic>,
    by_name: HashMap<Box<str>, TopicPlace, FxBuildHasher>,
    /// The one used last: records come topic by topic.
    last: TopicPlace,
    /// Queues that something was put into in this transaction.
    pub(super) used: Vec<QueuePlace>,
    /// Transactions since memory was last given back.
    transactions: u32,
}

impl OutgoingQueues {
    /// The place of a topic, made if there is none yet.
    pub(super) fn place(&mut self, topic: &str) -> TopicPlace {
        if self.topics.get(self.last).is_some_and(|known| *known.name == *topic) {
            return self.last;
        }
        self.last = match self.by_name.get(topic) {
            Some(place) => *place,
            None => {
                self.by_name.insert(topic.into(), self.topics.len());
                let (leaders, queues) = (Vec::new(), Vec::new());
                self.topics.push(OutgoingTopic { name: topic.into(), leaders, queues, is_stale: false, missing_until: None, turn: 0 });
                self.topics.len() - 1
            }
        };
        self.last
    }

    pub(super) fn queue(&mut self, place: QueuePlace) -> &mut PartitionQueue {
        &mut self.topics[place.topic].queues[place.partition]
    }

    /// Adds a record, which begins the next batch where it does not fit into the one at hand.
    pub(super) fn put(
        &mut self,
        place: QueuePlace,
        record: &BatchRecord<'_>,
        batch_bytes: usize,
        identity: ProducerIdentity,
        compressor: &mut BatchCompressor,
    ) {
        let queue = &mut self.topics[place.topic].queues[place.partition];
        let mut size = queue.open.size_of(record);
        if !queue.open.is_empty() && queue.open.len() + size.whole > batch_bytes {
            queue.seal(identity, compressor);
            size = queue.open.size_of(record);
        }
        queue.open.append(record, size);
        if !queue.is_used {
            queue.is_used = true;
            self.used.push(place);
        }
    }

    /// Nothing more comes into the batches at hand.
    pub(super) fn seal_all(&mut self, identity: ProducerIdentity, compressor: &mut BatchCompressor) {
        for place in &self.used {
            let queue = &mut self.topics[place.topic].queues[place.partition];
            if !queue.open.is_empty() {
                queue.seal(identity, compressor);
            }
        }
    }

    /// Whether something waits.
    pub(super) fn has_waiting(&self) -> bool {
        self.used.iter().any(|place| !self.topics[place.topic].queues[place.partition].is_empty())
    }

    /// Takes out all that waits, and begins the sequences again: for the next transaction, which has another epoch.
    pub(super) fn clear(&mut self) {
        for place in self.used.drain(..) {
            self.topics[place.topic].queues[place.partition].clear();
        }
        self.transactions += 1;
        if self.transactions == TRIM_EVERY {
            self.transactions = 0;
            for queue in self.topics.iter_mut().flat_map(|topic| &mut topic.queues) {
                if !std::mem::take(&mut queue.is_warm) {
                    *queue = PartitionQueue::default();
                }
            }
        }
    }
}

impl OutgoingTopic {
    /// Who leads its partitions now.
    pub(super) fn lead(&mut self, leaders: Vec<i32>) {
        if self.queues.len() < leaders.len() {
            self.queues.resize_with(leaders.len(), PartitionQueue::default);
        }
        (self.leaders, self.is_stale, self.missing_until) = (leaders, false, None);
    }

    /// The partition of the next record without a key: each in its turn.
    pub(super) fn next_turn(&mut self) -> usize {
        self.turn = (self.turn + 1) % self.leaders.len().max(1);
        self.turn
    }
}
