//! What one batch leads to, before any of it is sent: decide first, then do.
//!
//! Bytes stand side by side in one arena that keeps its memory from batch to batch.

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
    route: RouteIndex,
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

/// Outputs and dead letters of one batch, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    slots: Vec<OutputSlot>,
    /// Only with `provenance: headers` or an allow-list; those who choose them pay for them.
    headers: Vec<(String, Vec<u8>)>,
    /// Dead letters are rare, so they own their bytes.
    pub letters: Vec<OwnedDeadLetter>,
    /// What is pushed now was owed.
    pub is_again: bool,
}

impl Outbox {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.headers.clear();
        self.letters.clear();
        self.is_again = false;
    }

    /// Adds an output.
    pub fn push(&mut self, route: RouteIndex, origin: RecordOrigin, key: &[u8], value: &[u8], timestamp: TimestampMs) {
        let key = self.copy(key);
        let value = self.copy(value);
        let none = self.headers.len() as u32;
        let is_again = self.is_again;
        self.slots.push(OutputSlot { route, origin, key, value, timestamp, headers: (none, none), is_again });
    }

    /// Adds a header to the output that was pushed last.
    pub fn push_header(&mut self, name: &str, value: &[u8]) {
        self.headers.push((name.to_owned(), value.to_vec()));
        if let Some(slot) = self.slots.last_mut() {
            slot.headers.1 = self.headers.len() as u32;
        }
    }

    fn copy(&mut self, bytes: &[u8]) -> (u32, u32) {
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(bytes);
        (start, self.bytes.len() as u32)
    }

    /// The outputs in order.
    pub fn iter(&self) -> impl Iterator<Item = Outgoing<'_>> {
        self.slots.iter().map(|slot| self.outgoing(slot))
    }

    fn outgoing(&self, slot: &OutputSlot) -> Outgoing<'_> {
        let span = |(from, to): (u32, u32)| &self.bytes[from as usize..to as usize];
        Outgoing {
            route: slot.route,
            origin: slot.origin,
            key: span(slot.key),
            value: span(slot.value),
            timestamp: slot.timestamp,
            is_again: slot.is_again,
            headers: &self.headers[slot.headers.0 as usize..slot.headers.1 as usize],
        }
    }

    /// The output that was pushed last.
    pub fn last(&self) -> Option<Outgoing<'_>> {
        self.slots.last().map(|slot| self.outgoing(slot))
    }

    /// Takes it out again.
    pub fn pop(&mut self) {
        if let Some(slot) = self.slots.pop() {
            self.bytes.truncate(slot.key.0 as usize);
            self.headers.truncate(slot.headers.0 as usize);
        }
    }

    /// Takes outputs out that `divert` turns into dead letters.
    pub fn divert(&mut self, mut divert: impl FnMut(Outgoing<'_>) -> Option<OwnedDeadLetter>) {
        let mut slots = std::mem::take(&mut self.slots);
        let mut letters = std::mem::take(&mut self.letters);
        slots.retain(|slot| match divert(self.outgoing(slot)) {
            Some(letter) => {
                letters.push(letter);
                false
            }
            None => true,
        });
        self.slots = slots;
        self.letters = letters;
    }

    /// Keeps the outputs that `is_kept` wants.
    pub fn retain(&mut self, mut is_kept: impl FnMut(Outgoing<'_>) -> bool) {
        let mut slots = std::mem::take(&mut self.slots);
        slots.retain(|slot| is_kept(self.outgoing(slot)));
        self.slots = slots;
    }

    /// How many outputs are in it.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.letters.is_empty()
    }

    /// Bytes of all keys and values.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StreamIndex;

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
