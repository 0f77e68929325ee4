//! What one transaction writes for upsert streams: a document or a tombstone for a target, and with it what is stored now.

use rustc_hash::FxHashSet;

use crate::engine::feed::Work;
use crate::engine::output::route::RouteIndex;
use crate::id::{Offset, ShareId};
use crate::time::TimestampMs;
use crate::transport::SourcePartition;

type ByteRange = (u32, u32);

/// One document or tombstone.
#[derive(Debug)]
pub struct Write {
    /// Where it goes.
    pub route: RouteIndex,
    /// The input partition that it is due to, and the partition of its standing entry.
    pub source: SourcePartition,
    /// Where its document lies; of a tombstone nothing.
    pub origin: Option<Offset>,
    /// To do it again if its route does not take it.
    pub work: Work,
    /// The Kafka timestamp.
    pub timestamp: TimestampMs,
    /// Headers, in order.
    pub headers: Vec<(String, Vec<u8>)>,
    key: ByteRange,
    value: Option<ByteRange>,
    standing_key: ByteRange,
    standing_value: Option<ByteRange>,
}

impl Write {
    /// Whose document it is.
    pub fn share(&self) -> &ShareId {
        &self.work.share
    }

    /// Whether it is a document.
    pub fn is_document(&self) -> bool {
        self.value.is_some()
    }
}

/// A write's bytes.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'w> {
    /// The target's key.
    pub key: &'w [u8],
    /// The projected document; none is a tombstone.
    pub value: Option<&'w [u8]>,
    /// The standing entry's key.
    pub standing_key: &'w [u8],
    /// The standing entry; none is a tombstone.
    pub standing_value: Option<&'w [u8]>,
}

/// The writes of one transaction in order, their bytes side by side.
#[derive(Debug, Default)]
pub(super) struct WriteBuffer {
    arena: Vec<u8>,
    list: Vec<Write>,
    routes: FxHashSet<RouteIndex>,
}

impl WriteBuffer {
    /// Empties it and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.arena.clear();
        self.list.clear();
        self.routes.clear();
    }

    /// Adds one. `origin` is where a document lies; a tombstone has none, and no values.
    pub(super) fn push(
        &mut self,
        to: (RouteIndex, SourcePartition),
        work: Work,
        timestamp: TimestampMs,
        origin: Option<Offset>,
        bytes: Bytes<'_>,
    ) {
        let mut add = |bytes: &[u8]| {
            let start = self.arena.len() as u32;
            self.arena.extend_from_slice(bytes);
            (start, self.arena.len() as u32)
        };
        let (key, standing_key) = (add(bytes.key), add(bytes.standing_key));
        let (value, standing_value) = (bytes.value.map(&mut add), bytes.standing_value.map(&mut add));
        let (route, source) = to;
        self.routes.insert(route);
        self.list.push(Write { route, source, origin, work, timestamp, headers: Vec::new(), key, value, standing_key, standing_value });
    }

    /// The write that was pushed last gets these headers.
    pub(super) fn head(&mut self, headers: Vec<(String, Vec<u8>)>) {
        if let Some(write) = self.list.last_mut() {
            write.headers = headers;
        }
    }

    /// The writes in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Write, Bytes<'_>)> {
        let span = |(from, to): ByteRange| &self.arena[from as usize..to as usize];
        self.list.iter().map(move |write| {
            let bytes = Bytes {
                key: span(write.key),
                value: write.value.map(span),
                standing_key: span(write.standing_key),
                standing_value: write.standing_value.map(span),
            };
            (write, bytes)
        })
    }

    /// Takes the writes of routes out that are to be diverted.
    pub(super) fn divert(&mut self, mut is_diverted: impl FnMut(RouteIndex) -> bool) -> Vec<Write> {
        self.list.extract_if(.., |write| is_diverted(write.route)).collect()
    }

    /// A diverted write's bytes.
    pub(super) fn bytes_of(&self, write: &Write) -> (&[u8], Option<&[u8]>) {
        let span = |(from, to): ByteRange| &self.arena[from as usize..to as usize];
        (span(write.key), write.value.map(span))
    }

    /// How many routes they go to.
    pub(super) fn routes(&self) -> usize {
        self.routes.len()
    }

    /// The routes they go to.
    pub(super) fn each_route(&self) -> impl Iterator<Item = RouteIndex> {
        self.routes.iter().copied()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// How many documents go to a route.
    pub(super) fn documents_to(&self, route: RouteIndex) -> usize {
        self.list.iter().filter(|write| write.route == route && write.is_document()).count()
    }
}
