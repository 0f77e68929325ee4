//! Where each released partition is read on, who is asked for it, and what follows from answers. Pure: time is an argument.
//!
//! An answer counts for a partition only if it is to the question that was asked last, under the same release, at the same leader and
//! for the same offset. Everything else is late, repeated or of a life that is over, and is dropped.

mod answers;
mod leaders;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

pub(super) use self::leaders::ReadTopic;
use super::fetched::{FetchedRecords, ReadPlace, ReadTools, TakeEnd, TakeLimit};
use crate::kafka::wire::messages::fetch::PartitionLeader;
use crate::kafka::wire::messages::metadata::TopicId;
use crate::transport::{Batch, SourcePartition};

/// One partition in its turn gives so many bytes before others do.
const TURN_BYTES: usize = 512 << 10;
/// Something is asked for ahead where less than this waits of what a leader has sent.
const AHEAD_BELOW: usize = 2 << 20;
/// After an answer that passes.
pub(super) const PASSES: Duration = Duration::from_millis(100);
/// After records that cannot be read.
const DAMAGED: Duration = Duration::from_secs(1);
/// Frames of which the memory is kept, and what one of them takes at most.
const SPARE_FRAMES: usize = 2;
const SPARE_FRAME_BYTES: usize = 32 << 20;

/// What whoever polls is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka) enum FetchEvent {
    /// The offset that is to be read next is not in the log.
    OutOfRange(SourcePartition),
    /// A topic is missing, or must not be read.
    Refused(String),
    /// Nobody answers; it is tried on.
    Unavailable(String),
    /// This can be read by librdkafka alone.
    NotNative(String),
}

/// Which release of a partition something is about.
type ReleaseNumber = u64;

/// A partition that was released.
pub(super) struct ReadPartition {
    topic: usize,
    release: ReleaseNumber,
    place: ReadPlace,
    leader: Option<PartitionLeader>,
    /// Another leader leads since something was read: whether it has what was read is asked first.
    needs_check: bool,
    /// The node that was asked and has not answered.
    asked_of: Option<i32>,
    not_before: Option<Instant>,
    /// Its last answer brought something, so the next one will as well.
    is_warm: bool,
    /// Its leader has answered since the release.
    has_begun: bool,
    /// It is out of range, and nothing more is asked for.
    has_ended: bool,
    fetched: Option<FetchedRecords>,
    /// What it has given in its turn.
    given: usize,
    /// Where it was told that records cannot be read.
    told_at: Option<i64>,
}

/// A partition that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AskedPartition {
    pub(super) source: SourcePartition,
    pub(super) topic: usize,
    pub(super) id: TopicId,
    pub(super) release: ReleaseNumber,
    pub(super) place: ReadPlace,
    pub(super) leader_epoch: i32,
}

/// What is to be asked of a leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FetchAsk {
    /// Whether it has what was read from others.
    Ends(Vec<AskedPartition>),
    /// Records; and whether others of it wait to be taken, so that nothing is to be waited for.
    Records(Vec<AskedPartition>, bool),
}

/// All that is read.
pub(super) struct FetchPositions {
    topics: Vec<ReadTopic>,
    parts: BTreeMap<SourcePartition, ReadPartition>,
    releases: ReleaseNumber,
    /// Partitions of which something waits, in their turns.
    ready: VecDeque<SourcePartition>,
    /// After this one the next question begins, so that all have their turn where an answer has not room for all.
    turn: Option<SourcePartition>,
    events: VecDeque<(Option<(SourcePartition, ReleaseNumber)>, FetchEvent)>,
    tools: ReadTools,
    spare_frames: Vec<Vec<u8>>,
}

impl FetchPositions {
    /// The records of a batch are not more bytes than this.
    pub(super) fn new(batch_limit: usize) -> Self {
        Self {
            topics: Vec::new(),
            parts: BTreeMap::new(),
            releases: 0,
            ready: VecDeque::new(),
            turn: None,
            events: VecDeque::new(),
            tools: ReadTools::new(batch_limit),
            spare_frames: Vec::new(),
        }
    }

    /// Reads a partition from this offset on. What is still to come of an earlier release counts no more.
    pub(super) fn release(&mut self, source: SourcePartition, topic: &str, from: i64) {
        self.remove(source);
        self.releases += 1;
        let topic = self.topic_place(topic);
        let part = ReadPartition {
            topic,
            release: self.releases,
            place: ReadPlace { next: from, epoch: -1 },
            leader: None,
            needs_check: false,
            asked_of: None,
            not_before: None,
            is_warm: false,
            has_begun: false,
            has_ended: false,
            fetched: None,
            given: 0,
            told_at: None,
        };
        self.parts.insert(source, part);
        self.lead_again(source);
    }

    /// Takes nothing more from a partition, and drops what was fetched of it.
    pub(super) fn remove(&mut self, source: SourcePartition) {
        self.ready.retain(|ready| *ready != source);
        if let Some(fetched) = self.parts.remove(&source).and_then(|part| part.fetched) {
            self.keep_frame(fetched);
        }
    }

    /// All that is read, and where it is read on.
    pub(super) fn places(&self) -> impl Iterator<Item = (SourcePartition, i64)> + '_ {
        self.parts.iter().map(|(source, part)| (*source, part.place.next))
    }

    pub(super) fn has_begun(&self, source: SourcePartition) -> bool {
        self.parts.get(&source).is_some_and(|part| part.has_begun)
    }

    /// What happened, of what still counts.
    pub(super) fn next_event(&mut self) -> Option<FetchEvent> {
        while let Some((about, event)) = self.events.pop_front() {
            let is_current = |(source, release)| self.parts.get(&source).is_some_and(|part| part.release == release);
            if about.is_none_or(is_current) {
                return Some(event);
            }
        }
        None
    }

    pub(super) fn tell(&mut self, event: FetchEvent) {
        self.events.push_back((None, event));
    }

    /// Whether something waits to be taken.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The nodes that lead something.
    pub(super) fn leaders(&self) -> BTreeSet<i32> {
        self.parts.values().filter(|part| !part.has_ended).filter_map(|part| part.leader).map(|leader| leader.node).collect()
    }

    /// When the next partition may be asked for again that waits for that; none where none does.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        self.parts.values().filter(|part| !part.has_ended).filter_map(|part| part.not_before).filter(|until| *until > now).min()
    }

    /// What is to be asked of a leader that nothing is asked of.
    pub(super) fn due(&mut self, node: i32, now: Instant) -> Option<FetchAsk> {
        let is_led = |part: &ReadPartition| part.leader.is_some_and(|leader| leader.node == node) && !part.has_ended;
        let is_free = |part: &ReadPartition| part.asked_of.is_none() && part.not_before.is_none_or(|until| until <= now);
        let (mut waiting, mut waits) = (0, false);
        let (mut ends, mut records) = (Vec::new(), Vec::new());
        for (source, part) in self.parts.iter().filter(|(_, part)| is_led(part)) {
            if let Some(fetched) = &part.fetched {
                (waiting, waits) = (waiting + fetched.waiting(), true);
            } else if is_free(part) {
                if part.needs_check { &mut ends } else { &mut records }.push(*source);
            }
        }
        let is_ends = !ends.is_empty();
        let mut asked = if is_ends { ends } else { records };
        if !is_ends && waits {
            // It is fetched ahead where something will surely come. A question that waits at the leader would hold up those that are being
            // taken now. All are asked for: what had no room in the last answer has its turn in this one.
            let is_warm = |source: &SourcePartition| self.parts.get(source).is_some_and(|part| part.is_warm);
            if waiting >= AHEAD_BELOW || !asked.iter().any(is_warm) {
                return None;
            }
        }
        if asked.is_empty() {
            return None;
        }
        let first = asked.iter().position(|source| self.turn.is_some_and(|turn| *source > turn)).unwrap_or(0);
        if !is_ends {
            asked.rotate_left(first);
        }
        let asked = asked.into_iter().filter_map(|source| self.ask(source, node)).collect();
        Some(if is_ends { FetchAsk::Ends(asked) } else { FetchAsk::Records(asked, waits) })
    }

    fn ask(&mut self, source: SourcePartition, node: i32) -> Option<AskedPartition> {
        let part = self.parts.get_mut(&source)?;
        (part.asked_of, part.not_before) = (Some(node), None);
        Some(AskedPartition {
            source,
            topic: part.topic,
            id: self.topics[part.topic].id,
            release: part.release,
            place: part.place,
            leader_epoch: part.leader.map_or(-1, |leader| leader.epoch),
        })
    }

    /// Copies records into the batch until it holds so many, or so many bytes. Each partition in its turn.
    pub(super) fn take(&mut self, limit: TakeLimit, now: Instant, into: &mut Batch) {
        while into.len() < limit.records && into.bytes() < limit.bytes {
            let Some(&source) = self.ready.front() else { return };
            let Some((part, fetched)) = self.parts.get_mut(&source).and_then(|part| part.fetched.take().map(|fetched| (part, fetched)))
            else {
                self.ready.pop_front();
                continue;
            };
            let (before, mut fetched) = (into.bytes(), fetched);
            let turn = limit.bytes.min(before + (TURN_BYTES - part.given.min(TURN_BYTES)).max(1));
            let taken = fetched.take(&mut part.place, (source, TakeLimit { bytes: turn, ..limit }), into, &mut self.tools);
            part.given += into.bytes() - before;
            if taken == TakeEnd::Limit {
                part.fetched = Some(fetched);
                // A record without key, value and headers takes nothing.
                if part.given >= TURN_BYTES || into.len() < limit.records && into.bytes() < limit.bytes {
                    part.given = 0;
                    self.ready.rotate_left(1);
                }
                continue;
            }
            part.given = 0;
            self.ready.pop_front();
            self.keep_frame(fetched);
            if let TakeEnd::Fault(fault) = taken {
                self.cannot_read(source, &fault, now);
            }
        }
    }

    fn keep_frame(&mut self, fetched: FetchedRecords) {
        if let Some(frame) = fetched.into_frame() {
            self.give_back(frame);
        }
    }

    /// Takes memory back that an answer was read into.
    pub(super) fn give_back(&mut self, frame: Vec<u8>) {
        if self.spare_frames.len() < SPARE_FRAMES && frame.len() <= SPARE_FRAME_BYTES {
            self.spare_frames.push(frame);
        }
    }

    /// Memory for the next answer.
    pub(super) fn spare_frame(&mut self) -> Vec<u8> {
        self.spare_frames.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
