//! One validating pass over a record's bytes.

mod reader;
mod shape;

pub(crate) use self::shape::ShapeId;
use self::shape::ShapeMemory;
use super::error::InvalidJson;
use super::{chunk, scan, text};
use std::borrow::Cow;
use std::ops::Range;

/// The deepest value that is read; the record itself is at depth 1 (docs/rules/values.md#json-that-is-read).
pub const MAX_DEPTH: usize = 128;

/// What bytes are that begin as no JSON can: what a producer or an editor has put before it, or made of it.
fn explained(text: &[u8], error: InvalidJson) -> InvalidJson {
    let what = match text {
        [] => "an empty value",
        [0xef, 0xbb, 0xbf, ..] => "a byte order mark before the JSON: it must be written without one",
        [0, _, _, _, _, ..] => {
            "the framing of a schema registry (a 0 and a 4-byte id before the value): the producer must write JSON without it"
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => "UTF-16: JSON must be written as UTF-8",
        [0x1f, 0x8b, ..] => "gzip: the producer must leave compression to Kafka",
        _ => return error,
    };
    InvalidJson { what, at: 0 }
}

/// A value's place in a tape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeIndex(pub u32);

impl NodeIndex {
    /// The record itself.
    pub const ROOT: Self = Self(0);
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// `null`.
    Null,
    /// `true`.
    True,
    /// `false`.
    False,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl NodeKind {
    /// Whether it is an array or an object.
    pub fn is_container(self) -> bool {
        matches!(self, Self::Array | Self::Object)
    }
}

/// What is the same of a value in all records of one shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryForm {
    /// The entry after the last one inside it; while a container is open, the container around it.
    next: u32,
    /// How far before the value its name begins, and the length of the name; 0 in an array and of the root.
    name_distance: u32,
    name_length: u32,
    name_hash: u32,
    name_is_escaped: bool,
}

/// What one record says of a value. Offsets count the record's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntrySpan {
    /// Its first byte.
    start: u32,
    /// After its last byte; while a container is open, the runs of blanks counted before it.
    end: u32,
    kind: NodeKind,
    /// `ESCAPED`, `BLANKS`.
    flags: u8,
}

/// One value, put together. Offsets count the record's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TapeEntry {
    /// Its first byte.
    pub(crate) start: u32,
    /// After its last byte.
    pub(crate) end: u32,
    /// The entry after the last one inside it.
    pub(crate) next: u32,
    pub(crate) name: MemberName,
    pub(crate) kind: NodeKind,
    /// `ESCAPED`, `BLANKS`.
    pub(super) flags: u8,
}

impl TapeEntry {
    /// Whether the member has this name, unescaped.
    #[inline(always)]
    pub(crate) fn has_name(&self, text: &[u8], name: &str) -> bool {
        let raw = &text[self.name.start as usize..self.name.end as usize];
        if self.name.is_escaped { text::is_text(raw, name) } else { raw == name.as_bytes() }
    }

    /// Whether there is whitespace between tokens inside the container.
    #[inline(always)]
    pub(crate) fn has_blanks(&self) -> bool {
        self.flags & BLANKS != 0
    }
}

/// The string has escapes.
pub(super) const ESCAPED: u8 = 1;
/// There is whitespace between tokens somewhere inside the container.
pub(super) const BLANKS: u8 = 2;

/// A member's name. In an array and of the root it is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MemberName {
    /// What stands between the quotes.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// Of the unescaped name, equal to `hash_name` of it.
    pub(crate) hash: u32,
    pub(super) is_escaped: bool,
}

/// The values of one record in the order they stand; reused from record to record.
///
/// Functions that take `text` want the bytes that were parsed.
#[derive(Debug, Default)]
pub struct Tape {
    /// Those of the record's shape while it is known: the shape has them back before the next record.
    forms: Vec<EntryForm>,
    spans: Vec<EntrySpan>,
    unescaped: String,
    /// The shapes of earlier records; none where each record is read by itself.
    shapes: Option<Box<ShapeMemory>>,
    /// The place of the record's shape in `shapes`.
    shape: Option<usize>,
}

impl Tape {
    /// A tape that remembers the shapes of the records it has read. It differs from another one in speed alone.
    pub fn remembering() -> Self {
        Self { shapes: Some(Box::default()), ..Self::default() }
    }

    /// Validates `text` and notes where each value stands. After an error the tape is empty.
    pub fn parse(&mut self, text: &[u8]) -> Result<(), InvalidJson> {
        self.parse_by::<false>(text)
    }

    /// The shape of the record, if it is a remembered one.
    #[inline]
    pub(crate) fn shape(&self) -> Option<ShapeId> {
        self.shapes.as_ref()?.id(self.shape?)
    }

    /// Validates `text` by the grammar of RFC 8259 alone: any depth, any number, and lone surrogates, which unescaping
    /// leaves out. For the lines of files, whose values are judged one by one.
    pub fn parse_grammar(&mut self, text: &[u8]) -> Result<(), InvalidJson> {
        self.parse_by::<true>(text)
    }

    fn parse_by<const GRAMMAR_ONLY: bool>(&mut self, text: &[u8]) -> Result<(), InvalidJson> {
        self.return_forms();
        self.spans.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(InvalidJson { what: "longer than 4 GiB", at: 0 });
        }
        if !chunk::is_ascii(text)
            && let Err(error) = std::str::from_utf8(text)
        {
            self.forms.clear();
            return Err(explained(text, InvalidJson { what: "no UTF-8", at: error.valid_up_to() }));
        }
        if !GRAMMAR_ONLY
            && let Some(shapes) = &mut self.shapes
            && let Some(shape) = shapes.read(text, &mut self.spans)
        {
            shapes.swap_forms(shape, &mut self.forms);
            self.shape = Some(shape);
            return Ok(());
        }
        self.forms.clear();
        self.spans.clear();
        let outcome = reader::read::<GRAMMAR_ONLY>(text, &mut self.forms, &mut self.spans, &mut self.unescaped);
        if let Err(error) = outcome {
            self.forms.clear();
            self.spans.clear();
            return Err(explained(text, error));
        }
        if !GRAMMAR_ONLY && let Some(shapes) = &mut self.shapes {
            shapes.learn(text, &self.forms, &self.spans);
        }
        Ok(())
    }

    /// Gives the shape of the record before its forms back.
    fn return_forms(&mut self) {
        if let (Some(shape), Some(shapes)) = (self.shape.take(), &mut self.shapes) {
            shapes.swap_forms(shape, &mut self.forms);
        }
    }

    /// All values, in order.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.spans.len() as u32).map(NodeIndex)
    }

    /// What the value is.
    pub fn kind(&self, node: NodeIndex) -> NodeKind {
        self.spans[node.0 as usize].kind
    }

    /// Where the value stands, quotes and brackets included.
    pub fn span(&self, node: NodeIndex) -> Range<usize> {
        let span = &self.spans[node.0 as usize];
        span.start as usize..span.end as usize
    }

    /// The value as it is written.
    pub fn raw<'a>(&self, text: &'a [u8], node: NodeIndex) -> &'a [u8] {
        &text[self.span(node)]
    }

    /// The members or elements of a container in order, repeated names included; none of a scalar.
    pub fn children(&self, node: NodeIndex) -> Children<'_> {
        let entry = self.entry(node);
        Children { tape: self, at: node.0 + 1, end: if entry.kind.is_container() { entry.next } else { node.0 + 1 } }
    }

    /// Where the name of an object's member stands, without its quotes. Of elements and the root it has no meaning.
    pub fn name_span(&self, node: NodeIndex) -> Range<usize> {
        let name = self.entry(node).name;
        name.start as usize..name.end as usize
    }

    /// Whether an object's member has this name, unescaped.
    pub fn name_is(&self, text: &[u8], node: NodeIndex, name: &str) -> bool {
        self.entry(node).has_name(text, name)
    }

    /// The name of an object's member, unescaped into `buffer` where it has escapes.
    pub fn name<'a>(&self, text: &'a [u8], node: NodeIndex, buffer: &'a mut String) -> &'a str {
        unescaped(&text[self.name_span(node)], self.entry(node).name.is_escaped, buffer)
    }

    /// The text of a string, unescaped into `buffer` where it has escapes; none of another value.
    pub fn string<'a>(&self, text: &'a [u8], node: NodeIndex, buffer: &'a mut String) -> Option<&'a str> {
        let entry = self.entry(node);
        let raw = (entry.kind == NodeKind::String).then(|| &text[entry.start as usize + 1..entry.end as usize - 1])?;
        Some(unescaped(raw, entry.flags & ESCAPED != 0, buffer))
    }

    /// The same, borrowed from the record's bytes where it has no escapes.
    pub(crate) fn string_text<'a>(&self, text: &'a [u8], node: NodeIndex) -> Option<Cow<'a, str>> {
        let entry = self.entry(node);
        let raw = (entry.kind == NodeKind::String).then(|| &text[entry.start as usize + 1..entry.end as usize - 1])?;
        Some(unescaped_text(raw, entry.flags & ESCAPED != 0))
    }

    /// The name of an object's member, borrowed from the record's bytes where it has no escapes.
    pub(crate) fn name_text<'a>(&self, text: &'a [u8], node: NodeIndex) -> Cow<'a, str> {
        unescaped_text(&text[self.name_span(node)], self.entry(node).name.is_escaped)
    }

    /// Whether the value is a string of this text, unescaped.
    pub fn string_is(&self, text: &[u8], node: NodeIndex, wanted: &str) -> bool {
        let entry = self.entry(node);
        entry.kind == NodeKind::String && {
            let raw = &text[entry.start as usize + 1..entry.end as usize - 1];
            if entry.flags & ESCAPED != 0 { text::is_text(raw, wanted) } else { raw == wanted.as_bytes() }
        }
    }

    /// Where each value ends, in order.
    pub(crate) fn ends(&self) -> impl ExactSizeIterator<Item = u32> {
        self.spans.iter().map(|span| span.end)
    }

    /// Every entry, for comparing.
    #[cfg(test)]
    pub(in crate::json) fn entries(&self) -> Vec<TapeEntry> {
        assert_eq!(self.forms.len(), self.spans.len());
        (0..self.spans.len() as u32).map(|at| self.entry(NodeIndex(at))).collect()
    }

    /// The place after the last value inside this one.
    pub(crate) fn end_of(&self, node: NodeIndex) -> NodeIndex {
        NodeIndex(self.entry(node).next)
    }

    #[inline(always)]
    pub(crate) fn entry(&self, node: NodeIndex) -> TapeEntry {
        let (form, span) = (&self.forms[node.0 as usize], &self.spans[node.0 as usize]);
        let name_start = span.start - form.name_distance;
        let name =
            MemberName { start: name_start, end: name_start + form.name_length, hash: form.name_hash, is_escaped: form.name_is_escaped };
        TapeEntry { start: span.start, end: span.end, next: form.next, name, kind: span.kind, flags: span.flags }
    }
}

/// The hash of a member's name. Equal names have equal hashes, unequal ones may.
pub(crate) fn hash_name(name: &str) -> u32 {
    scan::name_hash(name.as_bytes())
}

fn unescaped<'a>(raw: &'a [u8], is_escaped: bool, buffer: &'a mut String) -> &'a str {
    if is_escaped {
        buffer.clear();
        text::unescape(raw, buffer);
        return buffer;
    }
    // The whole text was found to be UTF-8 and is cut at quotes only.
    std::str::from_utf8(raw).unwrap_or_default()
}

fn unescaped_text(raw: &[u8], is_escaped: bool) -> Cow<'_, str> {
    if is_escaped {
        let mut buffer = String::with_capacity(raw.len());
        text::unescape(raw, &mut buffer);
        return Cow::Owned(buffer);
    }
    // The whole text was found to be UTF-8 and is cut at quotes only.
    Cow::Borrowed(std::str::from_utf8(raw).unwrap_or_default())
}

/// The members or elements of one container.
#[derive(Debug, Clone)]
pub struct Children<'a> {
    tape: &'a Tape,
    at: u32,
    end: u32,
}

impl Iterator for Children<'_> {
    type Item = NodeIndex;

    fn next(&mut self) -> Option<NodeIndex> {
        self.next_entry().map(|(node, _)| node)
    }
}

impl Children<'_> {
    /// The next one with its entry.
    #[inline(always)]
    pub(crate) fn next_entry(&mut self) -> Option<(NodeIndex, TapeEntry)> {
        if self.at >= self.end {
            return None;
        }
        let node = NodeIndex(self.at);
        let entry = self.tape.entry(node);
        self.at = entry.next;
        Some((node, entry))
    }
}
