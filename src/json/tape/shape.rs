//! Records of one shape are read by what is known of it: between two scalar values each of them has the same bytes.
//!
//! What stands between the scalars of a record, its names, brackets, commas and blanks, is remembered as a tree of such texts. A record
//! that follows a branch to its end has the same tokens as the one that was read in full, so the same entries: the texts are compared
//! whole, and each scalar is scanned by the rules that the reader has for it. A scalar's kind and length are no part of the shape.

use super::{ESCAPED, EntryForm, EntrySpan, NodeKind};
use crate::json::chunk::{self, CHUNK};
use crate::json::scan;
use std::sync::atomic::{AtomicU64, Ordering};

/// A shape. No two shapes of a process have the same one, so that what was made for one is never taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ShapeId(pub(crate) u64);

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

/// The shapes of one reader of records.
#[derive(Debug, Default)]
pub(super) struct ShapeMemory {
    nodes: Vec<ShapeNode>,
    /// The texts of those nodes that are longer than a head and a tail.
    long: Vec<u8>,
    marks: Vec<ContainerMark>,
    shapes: Vec<RecordShape>,
    /// Entries of all shapes.
    entry_count: usize,
    /// The first of the texts that records begin with.
    first: Option<u32>,
    pace: LearningPace,
}

#[derive(Debug)]
struct RecordShape {
    id: ShapeId,
    /// Of all its entries; empty while a tape has them.
    forms: Vec<EntryForm>,
}

/// What stands before a scalar value, or at the record's end.
#[derive(Debug)]
struct ShapeNode {
    /// The first 16 bytes of the text, filled up with zeros, and which of them are the text's.
    head: u128,
    head_mask: u128,
    /// The last 16 bytes of a longer text.
    tail: u128,
    length: u32,
    /// Where a text is in `long` that is longer than both.
    first_long: u32,
    first_mark: u32,
    end_mark: u32,
    /// Another text at the same place.
    sibling: Option<u32>,
    /// What follows the scalar.
    child: Option<u32>,
    /// The shape of the record that ends here; none before a scalar.
    shape: Option<u32>,
}

/// A bracket in a text.
#[derive(Debug, Clone, Copy)]
struct ContainerMark {
    entry: u32,
    /// Of the bracket's outer side, from the text's beginning.
    distance: u32,
    kind: NodeKind,
    /// Of a closing bracket the container's flags.
    closes: Option<u8>,
}

const MAX_SHAPES: usize = 1024;
const MAX_NODES: usize = 1 << 15;
const MAX_LONG_BYTES: usize = 1 << 20;
const MAX_ENTRIES: usize = 1 << 17;
/// More texts at one place are not tried one after the other.
const MAX_SIBLINGS: usize = 32;
/// Longer records, and those of more values, are read in full each time.
const MAX_LEARNED_BYTES: usize = 1 << 16;
const MAX_LEARNED_ENTRIES: usize = 1 << 10;

impl ShapeMemory {
    pub(super) fn id(&self, shape: usize) -> Option<ShapeId> {
        self.shapes.get(shape).map(|shape| shape.id)
    }

    pub(super) fn swap_forms(&mut self, shape: usize, forms: &mut Vec<EntryForm>) {
        std::mem::swap(&mut self.shapes[shape].forms, forms);
    }

    /// Reads a record of a known shape: its place, and the spans of its entries. None of any other record, whatever was appended.
    /// The text is UTF-8.
    #[inline]
    pub(super) fn read(&mut self, text: &[u8], spans: &mut Vec<EntrySpan>) -> Option<usize> {
        if !self.pace.tries() {
            return None;
        }
        let shape = self.follow(text, spans);
        self.pace.tried(shape.is_some());
        shape
    }

    #[inline]
    fn follow(&self, text: &[u8], spans: &mut Vec<EntrySpan>) -> Option<usize> {
        let (mut at, mut candidate) = (0, self.first);
        loop {
            let node = &self.nodes[candidate? as usize];
            if !self.is_text(node, text, at) {
                candidate = node.sibling;
                continue;
            }
            let after = at + node.length as usize;
            // Of two texts one may begin with the other. The next byte tells them apart: with none that a scalar begins with, a longer
            // text goes on.
            let scalar = match (node.shape, scan::byte(text, after)) {
                (Some(_), _) if after == text.len() => None,
                (Some(_), _) => {
                    candidate = node.sibling;
                    continue;
                }
                (None, b'"') => {
                    let (end, is_escaped) = scan::string::<false>(text, after).ok()?;
                    Some((NodeKind::String, end, u8::from(is_escaped) * ESCAPED))
                }
                (None, b'0'..=b'9' | b'-') => Some((NodeKind::Number, scan::number::<false>(text, after).ok()?, 0)),
                (None, b't') => Some((NodeKind::True, scan::word(text, after, b"true").ok()?, 0)),
                (None, b'f') => Some((NodeKind::False, scan::word(text, after, b"false").ok()?, 0)),
                (None, b'n') => Some((NodeKind::Null, scan::word(text, after, b"null").ok()?, 0)),
                (None, _) => {
                    candidate = node.sibling;
                    continue;
                }
            };
            if node.first_mark != node.end_mark {
                self.place_containers(node, at, spans);
            }
            let Some((kind, end, flags)) = scalar else { return node.shape.map(|shape| shape as usize) };
            spans.push(EntrySpan { start: after as u32, end: end as u32, kind, flags });
            (at, candidate) = (end, node.child);
        }
    }

    fn place_containers(&self, node: &ShapeNode, at: usize, spans: &mut Vec<EntrySpan>) {
        for mark in &self.marks[node.first_mark as usize..node.end_mark as usize] {
            let place = at as u32 + mark.distance;
            match mark.closes {
                None => spans.push(EntrySpan { start: place, end: 0, kind: mark.kind, flags: 0 }),
                Some(flags) => {
                    let span = &mut spans[mark.entry as usize];
                    (span.end, span.flags) = (place, flags);
                }
            }
        }
    }

    /// Whether the node's text stands at `at`.
    #[inline(always)]
    fn is_text(&self, node: &ShapeNode, text: &[u8], at: usize) -> bool {
        if chunk::load(text, at) & node.head_mask != node.head {
            return false;
        }
        let length = node.length as usize;
        if length > CHUNK {
            // What lies behind the end of the record is zero, which no tail has.
            chunk::load(text, at + length - CHUNK) == node.tail && (length <= 2 * CHUNK || self.is_long_text(node, text, at))
        } else {
            at + length <= text.len()
        }
    }

    fn is_long_text(&self, node: &ShapeNode, text: &[u8], at: usize) -> bool {
        let long = &self.long[node.first_long as usize..][..node.length as usize];
        text.get(at..at + long.len()) == Some(long)
    }

    /// Remembers the shape of a record that was read in full.
    pub(super) fn learn(&mut self, text: &[u8], forms: &[EntryForm], spans: &[EntrySpan]) {
        if self.pace.forgets(self.is_full()) {
            *self = Self { pace: std::mem::take(&mut self.pace), ..Self::default() };
        }
        if text.len() <= MAX_LEARNED_BYTES && forms.len() <= MAX_LEARNED_ENTRIES && !self.is_full() && self.pace.learns() {
            self.add(text, forms, spans);
        }
    }

    fn is_full(&self) -> bool {
        self.shapes.len() >= MAX_SHAPES
            || self.entry_count + MAX_LEARNED_ENTRIES > MAX_ENTRIES
            || self.nodes.len() + MAX_LEARNED_ENTRIES > MAX_NODES
            || self.long.len() + MAX_LEARNED_BYTES > MAX_LONG_BYTES
    }

    fn add(&mut self, text: &[u8], forms: &[EntryForm], spans: &[EntrySpan]) {
        let (mut from, mut entry, mut parent) = (0, 0, None);
        let mut open: Vec<u32> = Vec::new();
        let mut marks = Vec::new();
        loop {
            let scalar = (entry..spans.len()).find(|&at| !spans[at].kind.is_container());
            marks.clear();
            for at in entry..scalar.map_or(spans.len(), |at| at + 1) {
                close(&mut open, at as u32, from, forms, spans, &mut marks);
                if scalar != Some(at) {
                    marks.push(ContainerMark {
                        entry: at as u32,
                        distance: spans[at].start - from as u32,
                        kind: spans[at].kind,
                        closes: None,
                    });
                    open.push(at as u32);
                }
            }
            let Some(scalar) = scalar else { break };
            let Some(node) = self.node_at(parent, &text[from..spans[scalar].start as usize], &marks, false) else { return };
            (from, entry, parent) = (spans[scalar].end as usize, scalar + 1, Some(node));
        }
        close(&mut open, spans.len() as u32, from, forms, spans, &mut marks);
        let Some(node) = self.node_at(parent, &text[from..], &marks, true) else { return };
        if self.nodes[node as usize].shape.is_none() {
            self.nodes[node as usize].shape = Some(self.shapes.len() as u32);
            let id = ShapeId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
            self.entry_count += forms.len();
            self.shapes.push(RecordShape { id, forms: forms.to_vec() });
        }
    }

    /// The node of this text after `parent`, a new one if need be. None if there are too many.
    fn node_at(&mut self, parent: Option<u32>, text: &[u8], marks: &[ContainerMark], is_end: bool) -> Option<u32> {
        let (mut candidate, mut last, mut count) = (parent.map_or(self.first, |parent| self.nodes[parent as usize].child), None, 0);
        while let Some(at) = candidate {
            let node = &self.nodes[at as usize];
            if node.length as usize == text.len() && node.shape.is_some() == is_end && self.is_text(node, text, 0) {
                return Some(at);
            }
            (last, candidate, count) = (candidate, node.sibling, count + 1);
        }
        if count >= MAX_SIBLINGS {
            return None;
        }
        let at = self.nodes.len() as u32;
        let node = ShapeNode {
            head: chunk::load(text, 0),
            head_mask: if text.len() < CHUNK { (1 << (text.len() * 8)) - 1 } else { u128::MAX },
            tail: text.last_chunk().map_or(0, |tail| u128::from_le_bytes(*tail)),
            length: text.len() as u32,
            first_long: self.long.len() as u32,
            first_mark: self.marks.len() as u32,
            end_mark: (self.marks.len() + marks.len()) as u32,
            sibling: None,
            child: None,
            shape: None,
        };
        if text.len() > 2 * CHUNK {
            self.long.extend_from_slice(text);
        }
        self.marks.extend_from_slice(marks);
        self.nodes.push(node);
        match (last, parent) {
            (Some(last), _) => self.nodes[last as usize].sibling = Some(at),
            (None, Some(parent)) => self.nodes[parent as usize].child = Some(at),
            (None, None) => self.first = Some(at),
        }
        Some(at)
    }
}

/// Notes the brackets that close before entry `at`.
fn close(open: &mut Vec<u32>, at: u32, from: usize, forms: &[EntryForm], spans: &[EntrySpan], marks: &mut Vec<ContainerMark>) {
    while let Some(&entry) = open.last()
        && forms[entry as usize].next <= at
    {
        open.pop();
        let span = &spans[entry as usize];
        marks.push(ContainerMark { entry, distance: span.end - from as u32, kind: span.kind, closes: Some(span.flags) });
    }
}

/// How often shapes are tried and learned, so that records whose shapes never come again cost little more than being read.
#[derive(Debug)]
struct LearningPace {
    /// Of the window under way.
    tries: u32,
    hits: u32,
    /// Records that are read in full before the next window, and how many were so last time.
    pause: u32,
    last_pause: u32,
    /// What may be spent on learning.
    credit: u32,
    /// Since all was forgotten last, or the counts were halved.
    long_tries: u32,
    long_hits: u32,
}

impl Default for LearningPace {
    fn default() -> Self {
        Self { tries: 0, hits: 0, pause: 0, last_pause: MIN_PAUSE, credit: MAX_CREDIT, long_tries: 0, long_hits: 0 }
    }
}

/// Tries of one window. If fewer than an eighth of them hit, a pause follows.
const WINDOW: u32 = 64;
const MIN_PAUSE: u32 = 256;
const MAX_PAUSE: u32 = 8192;
/// A hit earns one, learning a shape costs sixteen.
const MAX_CREDIT: u32 = 16 * 64;
const LEARNING_COST: u32 = 16;
/// What a window begins with at least.
const WINDOW_CREDIT: u32 = 16 * 8;
const LONG_WINDOW: u32 = 4096;

impl LearningPace {
    #[inline(always)]
    fn tries(&mut self) -> bool {
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        true
    }

    #[inline(always)]
    fn tried(&mut self, is_hit: bool) {
        self.tries += 1;
        self.hits += u32::from(is_hit);
        if self.tries == WINDOW {
            self.end_window();
        }
    }

    fn end_window(&mut self) {
        self.credit = (self.credit + self.hits).clamp(WINDOW_CREDIT, MAX_CREDIT);
        self.long_tries += WINDOW;
        self.long_hits += self.hits;
        if self.hits * 8 < WINDOW {
            self.pause = self.last_pause;
            self.last_pause = (self.last_pause * 2).min(MAX_PAUSE);
        } else {
            self.last_pause = MIN_PAUSE;
        }
        (self.tries, self.hits) = (0, 0);
    }

    /// Whether a shape may be learned now; that is paid for at once.
    fn learns(&mut self) -> bool {
        let may = self.pause == 0 && self.credit >= LEARNING_COST;
        self.credit -= if may { LEARNING_COST } else { 0 };
        may
    }

    /// Whether a full memory is of too little use.
    fn forgets(&mut self, is_full: bool) -> bool {
        if self.long_tries < LONG_WINDOW {
            return false;
        }
        let is_of_little_use = self.long_hits < self.long_tries / 4 * 3;
        (self.long_tries, self.long_hits) = (0, 0);
        is_full && is_of_little_use
    }
}
