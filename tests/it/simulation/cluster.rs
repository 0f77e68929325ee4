//! The brokers' memory: input logs, topics, transactions, committed offsets and the control topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sharecast::id::{Offset, StreamIndex};
use sharecast::time::TimestampMs;
use sharecast::transport::{Batch, SourcePartition};

use super::PARTITIONS;
use super::group::Group;
use super::model::{Committed, Input, Model};
use super::reading::TIMESTAMP;
use super::scheduler::Dice;

/// The inputs, by stream.
pub(super) const INPUTS: [&str; 2] = ["raw", "raw-details"];

/// `transaction.timeout.ms`.
const TRANSACTION: Duration = Duration::from_secs(10);
/// A decided commit that nobody hears of is complete then.
const COMPLETED_AFTER: Duration = Duration::from_secs(3);

/// How often, in a thousand, each thing goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Faults {
    pub(super) abort: u64,
    pub(super) fatal: u64,
    pub(super) lost_commit: u64,
    pub(super) failed_abort: u64,
    pub(super) unavailable: u64,
    pub(super) slow: u64,
    pub(super) rebalance: u64,
    pub(super) control_lag: u64,
    pub(super) route: u64,
    pub(super) freeze: u64,
    pub(super) kill: u64,
    pub(super) stop: u64,
    /// Records come from another place than was asked for, again, too late or not at all.
    pub(super) misled: u64,
}

/// One record as it was put.
#[derive(Debug, Clone)]
pub(super) struct Put {
    pub(super) topic: String,
    pub(super) partition: Option<i32>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// An open transaction.
#[derive(Debug, Clone, Default)]
pub(super) struct Transaction {
    pub(super) since: Duration,
    pub(super) puts: Vec<Put>,
    /// Place, next offset, and what is noted beside it.
    pub(super) offsets: Vec<(usize, i64, String)>,
    /// When the client called commit; the outcome is decided though not yet written everywhere.
    pub(super) commit_sent: Option<Duration>,
}

/// What the transaction coordinator knows of one `transactional.id`.
#[derive(Debug, Default)]
pub(super) struct Producer {
    pub(super) epoch: u64,
    pub(super) open: Option<Transaction>,
}

/// A topic for outputs.
#[derive(Debug, Clone, Default)]
pub(super) struct Topic {
    /// There is one from then on.
    pub(super) since: Option<Duration>,
    /// Writing to it fails until then.
    pub(super) broken_until: Duration,
    /// It has no leader until then, as while a broker restarts: its records wait, and are no dead letters.
    pub(super) away_until: Duration,
}

/// A slot of the control topic.
#[derive(Debug, Clone)]
pub(super) enum ControlSlot {
    Event(TimestampMs, Vec<u8>),
    /// A transaction marker or an aborted record: an offset that readers pass.
    Passed,
    /// Of a transaction that is still open.
    Undecided,
}

/// A record of one of the engine's own topics.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
    /// The marker of its transaction comes a little after the commit's answer.
    visible_at: Duration,
}

/// The cluster. Input partitions of all streams stand side by side; the number of one among them is its place.
pub(super) struct Cluster {
    pub(super) faults: Faults,
    pub(super) inputs: Vec<Vec<Input>>,
    /// The first offset of each input partition.
    pub(super) firsts: Vec<i64>,
    pub(super) committed: Vec<Option<i64>>,
    /// What is noted beside the committed offsets.
    pub(super) beside: Vec<String>,
    /// The engine's own topics, by partition.
    pub(super) kept: BTreeMap<(String, i32), Vec<Kept>>,
    pub(super) group: Group,
    pub(super) producers: BTreeMap<String, Producer>,
    /// Without transactions: when the batch under way was begun, by name.
    pub(super) begun: BTreeMap<String, Duration>,
    pub(super) topics: BTreeMap<String, Topic>,
    pub(super) control: Vec<ControlSlot>,
    pub(super) notes: BTreeSet<String>,
    pub(super) model: Model,
    /// Transactions committed so far.
    pub(super) commits: u64,
    /// Of those, by a graph that was not the newest one any more when they were begun.
    pub(super) outrun: u64,
    /// Times that records came from a wrong place.
    pub(super) misled: u64,
    /// Everything is to end.
    pub(super) is_over: bool,
}

impl Cluster {
    pub(super) fn new(streams: usize, faults: Faults, dice: &mut Dice) -> Self {
        let count = streams * PARTITIONS as usize;
        Self {
            faults,
            inputs: vec![Vec::new(); count],
            firsts: (0..count).map(|_| dice.below(3) as i64 * 7).collect(),
            committed: vec![None; count],
            beside: vec![String::new(); count],
            kept: BTreeMap::new(),
            group: Group::new(count as i32),
            producers: BTreeMap::new(),
            begun: BTreeMap::new(),
            topics: BTreeMap::new(),
            control: Vec::new(),
            notes: BTreeSet::new(),
            model: Model::default(),
            commits: 0,
            outrun: 0,
            misled: 0,
            is_over: false,
        }
    }

    pub(super) fn end(&self, partition: usize) -> i64 {
        self.firsts[partition] + self.inputs[partition].len() as i64
    }

    /// Whether offsets of the partition are in a transaction that is not decided.
    pub(super) fn is_pending(&self, place: usize) -> bool {
        self.producers.values().filter_map(|p| p.open.as_ref()).any(|t| t.offsets.iter().any(|(p, ..)| *p == place))
    }

    /// Start and end of a log.
    pub(super) fn bounds(&self, topic: &str, partition: i32) -> (i64, i64) {
        match place_of(topic, partition) {
            Some(place) => (self.firsts[place], self.end(place)),
            None => (0, self.kept.get(&(topic.to_owned(), partition)).map_or(0, Vec::len) as i64),
        }
    }

    /// Hands out up to `room` records of a log; returns what comes after them.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn show(
        &self,
        topic: &str,
        partition: i32,
        from: i64,
        now: Duration,
        room: usize,
        source: SourcePartition,
        into: &mut Batch,
    ) -> i64 {
        let (mut next, full) = (from, into.len() + room);
        let Some(place) = place_of(topic, partition) else {
            let kept = self.kept.get(&(topic.to_owned(), partition)).map_or(&[][..], Vec::as_slice);
            for record in kept.iter().skip(from as usize).take(room).take_while(|record| record.visible_at <= now) {
                into.push(source, Offset(next), TIMESTAMP, Some(&record.key), record.value.as_deref(), std::iter::empty());
                next += 1;
            }
            return next;
        };
        while into.len() < full && next < self.end(place) {
            self.inputs[place][(next - self.firsts[place]) as usize].show(source, next, into);
            next += 1;
        }
        next
    }

    /// The end of the control topic for those who read committed.
    pub(super) fn stable_end(&self) -> usize {
        self.control.iter().position(|slot| matches!(slot, ControlSlot::Undecided)).unwrap_or(self.control.len())
    }

    pub(super) fn expire(
        &mut self,
        now: Duration,
        frozen: impl Fn(usize) -> Option<(Duration, Duration)>,
        dice: &mut Dice,
    ) -> Result<(), String> {
        self.group.expire(now, frozen, dice);
        let is_late = |open: &Transaction| open.commit_sent.is_some_and(|sent| now - sent >= COMPLETED_AFTER);
        let late: Vec<String> =
            self.producers.iter().filter(|(_, p)| p.open.as_ref().is_some_and(is_late)).map(|(name, _)| name.clone()).collect();
        late.iter().try_for_each(|name| self.commit(name, now))?;
        for producer in self.producers.values_mut() {
            if producer.open.as_ref().is_some_and(|open| open.commit_sent.is_none() && now - open.since >= TRANSACTION) {
                producer.open = None;
                producer.epoch += 1;
            }
        }
        Ok(())
    }

    /// `init_transactions`: settles what is open and takes the name.
    pub(super) fn init(&mut self, name: &str, now: Duration) -> Result<u64, String> {
        if self.producers.get(name).and_then(|p| p.open.as_ref()).is_some_and(|open| open.commit_sent.is_some()) {
            self.commit(name, now)?;
        }
        let producer = self.producers.entry(name.to_owned()).or_default();
        producer.open = None;
        producer.epoch += 1;
        Ok(producer.epoch)
    }

    /// Makes the open transaction of this name visible, and holds it against the model.
    pub(super) fn commit(&mut self, name: &str, now: Duration) -> Result<(), String> {
        let Some(open) = self.producers.get_mut(name).and_then(|p| p.open.take()) else { return Err(format!("{name} has nothing open")) };
        let committed = Committed {
            puts: &open.puts,
            offsets: &open.offsets,
            sent_at: open.commit_sent.unwrap_or_default(),
            before: &self.committed,
            inputs: &self.inputs,
            firsts: &self.firsts,
        };
        for place in self.group.given.drain(..) {
            self.model.samples.forget(place as usize, now);
        }
        match self.begun.get(name) {
            Some(begun) => self.model.check_appeared(&committed, *begun)?,
            None => self.model.check(&committed)?,
        }
        let visible_at = now + Duration::from_millis(self.commits % 40);
        for put in open.puts.iter().filter(|put| is_kept(&put.topic)) {
            let key = put.key.clone().unwrap_or_default();
            let name = String::from_utf8_lossy(&key).into_owned();
            if name.starts_with("start/") && !self.notes.insert(name.clone()) {
                return Err(format!("{name} is begun twice"));
            }
            let log = self.kept.entry((put.topic.clone(), put.partition.unwrap_or_default())).or_default();
            log.push(Kept { key, value: put.value.clone(), visible_at });
        }
        for (place, next, note) in open.offsets {
            self.committed[place] = Some(next);
            self.beside[place] = note;
        }
        self.commits += 1;
        Ok(())
    }

    /// Commits offsets of a batch that was begun then, and is acknowledged.
    pub(super) fn commit_offsets(&mut self, offsets: Vec<(usize, i64, String)>, begun: Duration) -> Result<(), String> {
        let committed =
            Committed { puts: &[], offsets: &offsets, sent_at: begun, before: &self.committed, inputs: &self.inputs, firsts: &self.firsts };
        self.model.check_appeared(&committed, begun)?;
        for (place, next, _) in offsets {
            self.committed[place] = Some(next);
        }
        self.commits += 1;
        Ok(())
    }

    pub(super) fn is_away(&self, topic: &str, now: Duration) -> bool {
        self.topics.get(topic).is_some_and(|topic| topic.away_until > now)
    }

    pub(super) fn is_broken(&self, topic: &str, now: Duration) -> bool {
        self.topics.get(topic).is_none_or(|topic| topic.since.is_none_or(|since| since > now) || topic.broken_until > now)
    }

    /// Appends an event that is acknowledged now.
    pub(super) fn append(&mut self, wall: TimestampMs, event: String) -> i64 {
        self.control.push(ControlSlot::Event(wall, event.into_bytes()));
        self.control.len() as i64 - 1
    }
}

/// Whether it is a topic of the engine's own that is read again.
pub(super) fn is_kept(topic: &str) -> bool {
    topic == "sharecast.state" || topic.starts_with("sharecast.standing.")
}

/// The place of an input's partition.
pub(super) fn place_of(topic: &str, partition: i32) -> Option<usize> {
    let stream = INPUTS.iter().position(|input| *input == topic)?;
    Some(stream * PARTITIONS as usize + partition as usize)
}

/// The partition at a place.
pub(super) fn source(place: usize) -> SourcePartition {
    let count = PARTITIONS as usize;
    SourcePartition { stream: StreamIndex((place / count) as u8), partition: (place % count) as i32 }
}

/// The place of a partition.
pub(super) fn place(source: SourcePartition) -> usize {
    usize::from(source.stream.0) * PARTITIONS as usize + source.partition as usize
}
