//! The pass that fills a tape.

use super::{BLANKS, ESCAPED, EntryForm, EntrySpan, MAX_DEPTH, MemberName, NodeKind, hash_name};
use crate::json::error::InvalidJson;
use crate::json::{scan, text};

/// Around the root there is no container.
const OUTSIDE: u32 = u32::MAX;

/// Reads the one value of `text`, known to be UTF-8, by all rules (docs/rules/values.md#json-that-is-read) or by the grammar alone, and
/// appends its entries.
pub(super) fn read<const GRAMMAR_ONLY: bool>(
    text: &[u8],
    forms: &mut Vec<EntryForm>,
    spans: &mut Vec<EntrySpan>,
    unescaped: &mut String,
) -> Result<(), InvalidJson> {
    Reader { text, forms, spans, unescaped, at: 0, blanks: 0, depth: 0, container: OUTSIDE, in_object: false }.read::<GRAMMAR_ONLY>()
}

struct Reader<'a> {
    text: &'a [u8],
    forms: &'a mut Vec<EntryForm>,
    spans: &'a mut Vec<EntrySpan>,
    /// Memory for unescaping.
    unescaped: &'a mut String,
    at: usize,
    /// Runs of blanks so far.
    blanks: u32,
    depth: usize,
    /// The entry of the innermost open container.
    container: u32,
    in_object: bool,
}

impl Reader<'_> {
    /// One loop instead of recursion, so that no depth of input can exhaust the stack.
    fn read<const GRAMMAR_ONLY: bool>(mut self) -> Result<(), InvalidJson> {
        self.skip_blanks();
        let mut name = self.no_name();
        loop {
            self.skip_blanks();
            let start = self.at;
            let mut flags = 0;
            let kind = match scan::byte(self.text, start) {
                b'"' => {
                    let (end, is_escaped) = scan::string::<GRAMMAR_ONLY>(self.text, start)?;
                    self.at = end;
                    flags = if is_escaped { ESCAPED } else { 0 };
                    NodeKind::String
                }
                b'0'..=b'9' | b'-' => {
                    self.at = scan::number::<GRAMMAR_ONLY>(self.text, start)?;
                    NodeKind::Number
                }
                opening @ (b'{' | b'[') => {
                    if self.open::<GRAMMAR_ONLY>(opening, name)? {
                        name = self.member_name::<GRAMMAR_ONLY>()?;
                        continue;
                    }
                    if self.close_all()? {
                        return Ok(());
                    }
                    name = self.member_name::<GRAMMAR_ONLY>()?;
                    continue;
                }
                b't' => {
                    self.at = scan::word(self.text, start, b"true")?;
                    NodeKind::True
                }
                b'f' => {
                    self.at = scan::word(self.text, start, b"false")?;
                    NodeKind::False
                }
                b'n' => {
                    self.at = scan::word(self.text, start, b"null")?;
                    NodeKind::Null
                }
                _ => return Err(self.error("no value")),
            };
            let next = self.forms.len() as u32 + 1;
            self.push(next, name, EntrySpan { start: start as u32, end: self.at as u32, kind, flags });
            if self.close_all()? {
                return Ok(());
            }
            name = self.member_name::<GRAMMAR_ONLY>()?;
        }
    }

    /// Opens a container; false if it is empty, its end still unread.
    fn open<const GRAMMAR_ONLY: bool>(&mut self, opening: u8, name: MemberName) -> Result<bool, InvalidJson> {
        if self.depth == MAX_DEPTH && !GRAMMAR_ONLY {
            return Err(self.error("deeper than 128"));
        }
        self.depth += 1;
        let index = self.forms.len() as u32;
        self.in_object = opening == b'{';
        let (kind, closing) = if self.in_object { (NodeKind::Object, b'}') } else { (NodeKind::Array, b']') };
        let start = self.at as u32;
        self.push(self.container, name, EntrySpan { start, end: self.blanks, kind, flags: 0 });
        self.container = index;
        self.at += 1;
        self.skip_blanks();
        Ok(scan::byte(self.text, self.at) != closing)
    }

    /// After a value: closes the containers that end here and takes the comma before the next value. True at the end of all.
    #[inline(always)]
    fn close_all(&mut self) -> Result<bool, InvalidJson> {
        loop {
            self.skip_blanks();
            if self.container == OUTSIDE {
                return if self.at == self.text.len() { Ok(true) } else { Err(self.error("something behind the value")) };
            }
            match scan::byte(self.text, self.at) {
                b',' => {
                    self.at += 1;
                    self.skip_blanks();
                    return Ok(false);
                }
                closing @ (b'}' | b']') if (closing == b'}') == self.in_object => self.close(),
                _ => return Err(self.error(if self.in_object { "no , or }" } else { "no , or ]" })),
            }
        }
    }

    fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
        let next = self.forms.len() as u32;
        let closed = self.container as usize;
        self.container = std::mem::replace(&mut self.forms[closed].next, next);
        let span = &mut self.spans[closed];
        span.flags = if span.end == self.blanks { 0 } else { BLANKS };
        span.end = self.at as u32;
        self.in_object = self.spans.get(self.container as usize).is_some_and(|around| around.kind == NodeKind::Object);
    }

    #[inline(always)]
    fn push(&mut self, next: u32, name: MemberName, span: EntrySpan) {
        self.forms.push(EntryForm {
            next,
            name_distance: span.start - name.start,
            name_length: name.end - name.start,
            name_hash: name.hash,
            name_is_escaped: name.is_escaped,
        });
        self.spans.push(span);
    }

    /// Of an element, or the root, that begins here.
    #[inline(always)]
    fn no_name(&self) -> MemberName {
        MemberName { start: self.at as u32, end: self.at as u32, ..MemberName::default() }
    }

    /// In an object, the name that begins here, with its colon.
    #[inline(always)]
    fn member_name<const GRAMMAR_ONLY: bool>(&mut self) -> Result<MemberName, InvalidJson> {
        if !self.in_object {
            return Ok(self.no_name());
        }
        if scan::byte(self.text, self.at) != b'"' {
            return Err(self.error("no member name"));
        }
        let start = self.at + 1;
        let (behind, is_escaped, hash) = scan::name::<GRAMMAR_ONLY>(self.text, self.at)?;
        self.at = behind;
        let hash = if is_escaped { self.escaped_hash(start, behind - 1) } else { hash };
        self.skip_blanks();
        if scan::byte(self.text, self.at) != b':' {
            return Err(self.error("no colon"));
        }
        self.at += 1;
        Ok(MemberName { start: start as u32, end: behind as u32 - 1, hash, is_escaped })
    }

    #[cold]
    fn escaped_hash(&mut self, start: usize, end: usize) -> u32 {
        self.unescaped.clear();
        text::unescape(&self.text[start..end], self.unescaped);
        hash_name(self.unescaped)
    }

    #[inline(always)]
    fn skip_blanks(&mut self) {
        if scan::byte(self.text, self.at) <= b' ' {
            let behind = scan::blanks(self.text, self.at);
            self.blanks += u32::from(behind != self.at);
            self.at = behind;
        }
    }

    #[cold]
    fn error(&self, what: &'static str) -> InvalidJson {
        InvalidJson { what: if self.at >= self.text.len() { "the end comes too early" } else { what }, at: self.at }
    }
}
