//! What one batch leads to, before any of it is sent: decide first, then do.
//!
//! Bytes lie side by side, lane by lane, in memory that is kept from batch to batch.

mod lanes;

use self::lanes::{Lane, Lanes};
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::route::RouteIndex;
use crate::id::Offset;
use crate::time::TimestampMs;
use crate::transport::SourcePartition;

/// Where the record stands that an output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordOrigin {
    /// Its partition.
    pub source: SourcePartition,
    /// Its offset.
    pub offset: Offset,
}

#[derive(Debug, Clone, Copy)]
struct OutputSlot {
    /// Its place among all outputs of the batch.
    sequence: u32,
    origin: RecordOrigin,
    key: (u32, u32),
    value: (u32, u32),
    timestamp: TimestampMs,
    /// Where its headers stand in `headers`; nearly always none.
    headers: (u32, u32),
    is_again: bool,
}

/// One output, borrowed from the outbox.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Its route.
    pub route: RouteIndex,
    /// Its place among all outputs of the batch.
    pub sequence: u32,
    /// The record it came from.
    pub origin: RecordOrigin,
    /// Its key: the target's id of the asset.
    pub key: &'a [u8],
    /// The projected record.
    pub value: &'a [u8],
    /// The Kafka timestamp of the input record.
    pub timestamp: TimestampMs,
    /// Whether it was owed and is written now.
    pub is_again: bool,
    headers: &'a [(String, Vec<u8>)],
}

/// What a batch of one record takes besides the record's key, value and headers, at least and at most: the batch's own 61 bytes
/// and the record's lengths, timestamp and offset (Kafka's record batch, magic 2).
const AROUND_ONE: (usize, usize) = (68, 100);
/// The same of each header: its two lengths.
const AROUND_HEADER: (usize, usize) = (2, 10);

impl<'a> Outgoing<'a> {
    /// Bytes of a batch of it alone before compression, at least and at most.
    pub fn batch_bytes(&self) -> (usize, usize) {
        let own = self.key.len() + self.value.len() + self.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let around = |one: usize, header: usize| one + own + header * self.headers.len();
        (around(AROUND_ONE.0, AROUND_HEADER.0), around(AROUND_ONE.1, AROUND_HEADER.1))
    }

    /// Its headers in order. Allocates only if there are any.
    pub fn headers(&self) -> Vec<(&'a str, &'a [u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }
}

/// Bytes queued for topics that take little at once, since all was acknowledged last.
#[derive(Debug, Default)]
pub struct BatchBudget(Vec<(RouteIndex, usize)>);

impl BatchBudget {
    /// Whether so many bytes more may be queued for the route; then they count.
    pub fn takes(&mut self, route: RouteIndex, bytes: usize, limit: usize) -> bool {
        match self.0.iter_mut().find(|(known, _)| *known == route) {
            Some((_, queued)) if *queued + bytes > limit => false,
            Some((_, queued)) => {
                *queued += bytes;
                true
            }
            None => {
                self.0.push((route, bytes));
                true
            }
        }
    }

    /// Everything is acknowledged; so many bytes for this route follow.
    pub fn restart(&mut self, route: RouteIndex, bytes: usize) {
        self.clear();
        self.0.push((route, bytes));
    }

    /// Everything is acknowledged, or given up.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// Outputs and dead letters of one batch.
///
/// Outputs lie lane by lane, because the client keeps them by partition and meets each one again when it builds batches and when it is
/// told of their acknowledgement: what it is given one after the other it meets one after the other.
///
/// A lane has outputs of one route in the order of their decisions, and all of them that have the same key. Where the number of a
/// topic's partitions was learned, all of its partition too.
#[derive(Debug, Default)]
pub struct Outbox {
    lanes: Lanes,
    /// Only with `provenance: headers` or an allow-list; those who choose them pay for them.
    headers: Vec<(String, Vec<u8>)>,
    /// The next output's place among all.
    sequence: u32,
    /// Bytes of all keys and values that were pushed.
    bytes: usize,
    /// Where the output is that was pushed last.
    last: usize,
    /// Dead letters are rare, so they own their bytes.
    pub letters: Vec<OwnedDeadLetter>,
    /// What is pushed now was owed.
    pub is_again: bool,
}

/// The outputs of a lane, in order.
#[derive(Debug, Clone, Copy)]
pub struct LaneOutputs<'a> {
    lane: &'a Lane,
    headers: &'a [(String, Vec<u8>)],
}

impl<'a> LaneOutputs<'a> {
    /// Their route.
    pub fn route(self) -> RouteIndex {
        self.lane.route
    }

    /// So many partitions their route was taken to have; none where that is not known, and the lane has all of the route.
    pub fn partitions(self) -> Option<u32> {
        self.lane.partitions
    }

    /// How many they are.
    pub fn count(self) -> usize {
        self.lane.slots.len()
    }

    /// Bytes of their keys and values.
    pub fn bytes(self) -> usize {
        self.lane.slots.iter().map(|slot| (slot.value.1 - slot.key.0) as usize).sum()
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Outgoing<'a>> {
        self.lane.slots.iter().map(move |slot| outgoing(self.lane, self.headers, slot))
    }
}

fn outgoing<'a>(lane: &'a Lane, headers: &'a [(String, Vec<u8>)], slot: &OutputSlot) -> Outgoing<'a> {
    let span = |(from, to): (u32, u32)| &lane.bytes[from as usize..to as usize];
    Outgoing {
        route: lane.route,
        sequence: slot.sequence,
        origin: slot.origin,
        key: span(slot.key),
        value: span(slot.value),
        timestamp: slot.timestamp,
        is_again: slot.is_again,
        headers: &headers[slot.headers.0 as usize..slot.headers.1 as usize],
    }
}

impl Outbox {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.lanes.clear();
        self.headers.clear();
        self.letters.clear();
        (self.sequence, self.bytes, self.is_again) = (0, 0, false);
    }

    /// The topic of this route has so many partitions, as its client sees it. Counts from the next batch on.
    pub fn learn_partitions(&mut self, route: RouteIndex, partitions: u32) {
        self.lanes.learn(route, partitions);
    }

    /// Adds an output.
    pub fn push(&mut self, route: RouteIndex, origin: RecordOrigin, key: &[u8], value: &[u8], timestamp: TimestampMs) {
        self.last = self.lanes.lane_of(route, key);
        let none = self.headers.len() as u32;
        let lane = &mut self.lanes.all[self.last];
        let at = lane.bytes.len() as u32;
        let (middle, end) = (at + key.len() as u32, at + (key.len() + value.len()) as u32);
        lane.bytes.extend_from_slice(key);
        lane.bytes.extend_from_slice(value);
        lane.slots.push(OutputSlot {
            sequence: self.sequence,
            origin,
            key: (at, middle),
            value: (middle, end),
            timestamp,
            headers: (none, none),
            is_again: self.is_again,
        });
        lane.fetch_ahead();
        self.sequence += 1;
        self.bytes += key.len() + value.len();
    }

    /// Adds a header to the output that was pushed last.
    pub fn push_header(&mut self, name: &str, value: &[u8]) {
        self.headers.push((name.to_owned(), value.to_vec()));
        if let Some(slot) = self.lanes.all.get_mut(self.last).and_then(|lane| lane.slots.last_mut()) {
            slot.headers.1 = self.headers.len() as u32;
        }
    }

    /// The lanes that have outputs, in the order of their first ones.
    pub fn lanes(&self) -> impl Iterator<Item = LaneOutputs<'_>> {
        let lanes = self.lanes.used.iter().map(|at| LaneOutputs { lane: &self.lanes.all[*at], headers: &self.headers });
        lanes.filter(|lane| lane.count() > 0)
    }

    /// The route of each lane: each route that has outputs, some of them more than once.
    pub fn routes(&self) -> impl Iterator<Item = RouteIndex> {
        self.lanes().map(LaneOutputs::route)
    }

    /// The outputs lane by lane.
    pub fn iter(&self) -> impl Iterator<Item = Outgoing<'_>> {
        self.lanes().flat_map(LaneOutputs::iter)
    }

    /// The outputs in the order of their decisions, for what is rarely done.
    pub fn in_order(&self) -> Vec<Outgoing<'_>> {
        let mut outputs: Vec<Outgoing<'_>> = self.iter().collect();
        outputs.sort_unstable_by_key(|output| output.sequence);
        outputs
    }

    /// The output that was pushed last.
    pub fn last(&self) -> Option<Outgoing<'_>> {
        let lane = self.lanes.all.get(self.last)?;
        lane.slots.last().map(|slot| outgoing(lane, &self.headers, slot))
    }

    /// Takes the output that was pushed last out again. Until the next push there is no last one then.
    pub fn pop(&mut self) {
        let Some(lane) = self.lanes.all.get_mut(self.last) else { return };
        if let Some(slot) = lane.slots.pop() {
            self.bytes -= lane.bytes.len() - slot.key.0 as usize;
            lane.bytes.truncate(slot.key.0 as usize);
            self.headers.truncate(slot.headers.0 as usize);
        }
        self.last = usize::MAX;
    }

    /// Takes outputs out that `divert` turns into dead letters. It is asked about each, in the order of their decisions.
    pub fn divert(&mut self, mut divert: impl FnMut(Outgoing<'_>) -> Option<OwnedDeadLetter>) {
        let mut letters = std::mem::take(&mut self.letters);
        self.retain(|output| match divert(output) {
            Some(letter) => {
                letters.push(letter);
                false
            }
            None => true,
        });
        self.letters = letters;
    }

    /// Keeps the outputs that `is_kept` wants. It is asked about each, in the order of their decisions.
    pub fn retain(&mut self, mut is_kept: impl FnMut(Outgoing<'_>) -> bool) {
        let mut kept = vec![false; self.sequence as usize];
        for output in self.in_order() {
            kept[output.sequence as usize] = is_kept(output);
        }
        for at in &self.lanes.used {
            self.lanes.all[*at].slots.retain(|slot| kept[slot.sequence as usize]);
        }
    }

    /// How many outputs are in it.
    pub fn len(&self) -> usize {
        self.lanes().map(LaneOutputs::count).sum()
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.lanes().next().is_none()
    }

    /// Bytes of all keys and values that were pushed.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::id::StreamIndex;
    use crate::record::dead_letter::DeadLetterReason;
    use crate::transport::partition_of;

    #[test]
    fn what_a_small_topic_takes_at_once_is_counted_for_each_by_itself() {
        let (one, other) = (RouteIndex(1), RouteIndex(2));
        let mut fill = BatchBudget::default();
        assert!(fill.takes(one, 60, 100) && fill.takes(other, 60, 100) && fill.takes(one, 40, 100));
        assert!(!fill.takes(one, 1, 100));
        fill.restart(one, 1);
        assert!(fill.takes(one, 99, 100) && !fill.takes(one, 1, 100) && fill.takes(other, 100, 100));
        fill.clear();
        assert!(fill.takes(one, 500, 100), "more than one batch takes goes alone, and the topic judges it");
        assert!(!fill.takes(one, 1, 100));
    }

    const SOURCE: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 0 };

    fn push(outbox: &mut Outbox, route: u32, key: &str, offset: i64) {
        let origin = RecordOrigin { source: SOURCE, offset: Offset(offset) };
        outbox.push(RouteIndex(route), origin, key.as_bytes(), offset.to_string().as_bytes(), TimestampMs(offset));
    }

    fn letter(output: &Outgoing<'_>) -> OwnedDeadLetter {
        OwnedDeadLetter {
            topic: "t".to_owned(),
            partition: 0,
            offset: output.origin.offset,
            reason: DeadLetterReason::Refused,
            message: String::new(),
            key: None,
            value: None,
            timestamp: output.timestamp,
        }
    }

    /// What a partition of a topic gets is what it would get were the outputs put one by one as they were decided.
    #[test]
    fn lanes_keep_the_order_of_every_key_and_of_every_partition() {
        let mut outbox = Outbox::default();
        for partitions in [None, Some(1), Some(3), Some(4), Some(200)] {
            outbox.clear();
            if let Some(partitions) = partitions {
                outbox.learn_partitions(RouteIndex(1), partitions);
                outbox.clear();
            }
            let keys: Vec<String> = (0..50).map(|number| format!("EX-{number}")).collect();
            let pushed: Vec<(u32, &str, i64)> = (0..1000).map(|at| (at as u32 % 3, keys[(at * 7 % 50) as usize].as_str(), at)).collect();
            for (route, key, offset) in &pushed {
                push(&mut outbox, *route, key, *offset);
            }
            assert_eq!((outbox.len(), outbox.iter().count()), (1000, 1000));
            let of = |route: u32, key: &str| (route, partition_of(key.as_bytes(), partitions.unwrap_or(1)));
            let mut wanted: BTreeMap<(u32, u32), Vec<i64>> = BTreeMap::new();
            pushed.iter().for_each(|(route, key, offset)| wanted.entry(of(*route, key)).or_default().push(*offset));
            let mut found: BTreeMap<(u32, u32), Vec<i64>> = BTreeMap::new();
            for output in outbox.iter() {
                let key = std::str::from_utf8(output.key).unwrap();
                assert_eq!(output.value, output.origin.offset.0.to_string().as_bytes());
                found.entry(of(output.route.0, key)).or_default().push(output.origin.offset.0);
            }
            assert_eq!(found, wanted, "{partitions:?}");
        }
    }

    #[test]
    fn a_route_with_more_partitions_has_other_lanes_from_the_next_batch_on() {
        let mut outbox = Outbox::default();
        push(&mut outbox, 0, "a", 0);
        outbox.learn_partitions(RouteIndex(0), 8);
        (1..100).for_each(|at| push(&mut outbox, 0, &format!("k{at}"), at));
        assert_eq!((outbox.lanes().count(), outbox.lanes().next().unwrap().partitions()), (1, None));
        outbox.clear();
        (0..100).for_each(|at| push(&mut outbox, 0, &format!("k{at}"), at));
        assert!(outbox.lanes().count() == 8 && outbox.lanes().all(|lane| lane.partitions() == Some(8)));
    }

    /// What a failed route is owed begins at the first of its outputs.
    #[test]
    fn what_is_taken_out_is_asked_about_in_the_order_of_the_decisions() {
        let mut outbox = Outbox::default();
        outbox.learn_partitions(RouteIndex(0), 4);
        outbox.clear();
        (0..20).for_each(|at| push(&mut outbox, at as u32 % 2, &format!("k{}", at * 7 % 10), at));
        outbox.divert(|output| (output.origin.offset.0 % 3 != 0).then(|| letter(&output)));
        let offsets: Vec<i64> = outbox.letters.iter().map(|letter| letter.offset.0).collect();
        assert_eq!(offsets, (0..20).filter(|at| at % 3 != 0).collect::<Vec<_>>());
        assert!(outbox.iter().all(|output| output.origin.offset.0 % 3 == 0) && outbox.len() == 7);
    }

    #[test]
    fn the_output_that_was_pushed_last_is_taken_out_again() {
        let mut outbox = Outbox::default();
        push(&mut outbox, 0, "a", 0);
        push(&mut outbox, 1, "a", 1);
        outbox.push_header("name", b"value");
        assert_eq!(outbox.last().map(|output| (output.route, output.headers().len())), Some((RouteIndex(1), 1)));
        outbox.pop();
        assert_eq!((outbox.len(), outbox.bytes(), outbox.last().is_none()), (1, 2, true));
        push(&mut outbox, 1, "b", 2);
        assert_eq!(outbox.iter().map(|output| output.origin.offset.0).collect::<Vec<_>>(), [0, 2]);
        assert!(outbox.iter().all(|output| output.headers().is_empty()));
    }

    #[test]
    fn a_batch_of_one_is_no_smaller_than_its_record() {
        let mut outbox = Outbox::default();
        let source = SourcePartition { stream: StreamIndex(0), partition: 0 };
        outbox.push(RouteIndex(0), RecordOrigin { source, offset: Offset(0) }, b"key", b"value", TimestampMs(0));
        outbox.push_header("name", b"header");
        let (least, most) = outbox.iter().next().unwrap().batch_bytes();
        assert_eq!((least, most), (68 + 8 + 10 + 2, 100 + 8 + 10 + 10));
    }
}
