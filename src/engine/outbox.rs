//! What one batch leads to, before any of it is sent: decide first, then do.
//!
//! Bytes stand side by side in one arena that keeps its memory from batch to batch.

use super::letters::Letter;
use super::routes::RouteIndex;
use crate::id::Offset;
use crate::time::Millis;
use crate::transport::SourcePartition;

/// Where the record stands that an output came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Its partition.
    pub source: SourcePartition,
    /// Its offset.
    pub offset: Offset,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    route: RouteIndex,
    origin: Origin,
    key: (u32, u32),
    value: (u32, u32),
    timestamp: Millis,
    /// Where its headers stand in `headers`; nearly always none.
    headers: (u32, u32),
}

/// One output, borrowed from the outbox.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// Its route.
    pub route: RouteIndex,
    /// The record it came from.
    pub origin: Origin,
    /// Its key: the target's id of the asset.
    pub key: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// Its Kafka timestamp.
    pub timestamp: Millis,
    headers: &'a [(String, Vec<u8>)],
}

impl<'a> Outgoing<'a> {
    /// Its headers in order. Allocates only if there are any.
    pub fn headers(&self) -> Vec<(&'a str, &'a [u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }
}

/// Outputs and dead letters of one batch, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    bytes: Vec<u8>,
    slots: Vec<Slot>,
    /// Only with `provenance: headers` or an allow-list; those who choose them pay for them.
    headers: Vec<(String, Vec<u8>)>,
    /// Dead letters are rare, so they own their bytes.
    pub letters: Vec<Letter>,
}

impl Outbox {
    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.slots.clear();
        self.headers.clear();
        self.letters.clear();
    }

    /// Adds an output.
    pub fn push(&mut self, route: RouteIndex, origin: Origin, key: &[u8], value: &[u8], timestamp: Millis) {
        let key = self.copy(key);
        let value = self.copy(value);
        let none = self.headers.len() as u32;
        self.slots.push(Slot { route, origin, key, value, timestamp, headers: (none, none) });
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

    fn outgoing(&self, slot: &Slot) -> Outgoing<'_> {
        let span = |(from, to): (u32, u32)| &self.bytes[from as usize..to as usize];
        Outgoing {
            route: slot.route,
            origin: slot.origin,
            key: span(slot.key),
            value: span(slot.value),
            timestamp: slot.timestamp,
            headers: &self.headers[slot.headers.0 as usize..slot.headers.1 as usize],
        }
    }

    /// Takes outputs out that `divert` turns into dead letters.
    pub fn divert(&mut self, mut divert: impl FnMut(Outgoing<'_>) -> Option<Letter>) {
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
