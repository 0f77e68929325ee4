//! Strings: escaping (docs/rules/values.md#json-that-is-written), and unescaping.

use std::ops::Range;

use super::chunk::{self, CHUNK};
use super::scan;
use super::scan::read_escape;
use crate::simd;

/// The longest piece that is copied as so many bytes at once, whatever its length: no call, no loop.
pub(crate) const SHORT_PIECE: usize = 32;

/// Appends a piece of `source`. A short one is cheap where `source` has `SHORT_PIECE` bytes from its beginning on.
#[inline(always)]
pub(crate) fn append_piece(out: &mut Vec<u8>, source: &[u8], piece: Range<usize>) {
    let end = out.len() + piece.len();
    match source.get(piece.start..).and_then(|rest| rest.first_chunk::<SHORT_PIECE>()) {
        Some(chunk) if piece.len() <= SHORT_PIECE => {
            out.extend_from_slice(chunk);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&source[piece]),
    }
}

/// Appends bytes that are few as a rule: without a call if they are 4 to 32.
#[inline(always)]
pub(crate) fn append_few(out: &mut Vec<u8>, bytes: &[u8]) {
    #[inline(always)]
    fn append_ends<const HALF: usize>(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let (Some(head), Some(tail)) = (bytes.first_chunk::<HALF>(), bytes.last_chunk::<HALF>()) else { return false };
        out.extend_from_slice(head);
        out.truncate(out.len() + bytes.len() - 2 * HALF);
        out.extend_from_slice(tail);
        true
    }
    let is_done = match bytes.len() {
        4..8 => append_ends::<4>(out, bytes),
        8..=16 => append_ends::<8>(out, bytes),
        17..=32 => append_ends::<16>(out, bytes),
        _ => false,
    };
    if !is_done {
        out.extend_from_slice(bytes);
    }
}

/// Appends `text` as a JSON string with its quotes, escaping only what JSON demands.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    out.reserve(CHUNK + 2);
    out.push(b'"');
    let chunk = chunk::load(text.as_bytes(), 0);
    // Most ids are short, and have nothing to escape.
    if text.len() <= CHUNK && simd::stops(chunk).trailing_zeros() as usize >= text.len() {
        out.extend_from_slice(&chunk.to_le_bytes());
        out.truncate(out.len() - (CHUNK - text.len()));
    } else {
        write_inside(text, out);
    }
    out.push(b'"');
}

/// Appends what stands between the quotes of such a string.
pub(crate) fn write_inside(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let stop = scan::plain(bytes, from);
        append_few(out, &bytes[from..stop]);
        let Some(&byte) = bytes.get(stop) else { break };
        write_escape(byte, out);
        from = stop + 1;
    }
}

/// Whether the inside of a JSON string is ASCII without escapes: each byte is a character, and is written as it is.
pub(crate) fn is_plain_ascii(inside: &[u8]) -> bool {
    scan::plain(inside, 0) == inside.len() && chunk::is_ascii(inside)
}

/// Appends valid JSON without the whitespace between its tokens.
pub(crate) fn write_compact(json: &[u8], out: &mut Vec<u8>) {
    let mut copied = 0;
    let mut at = 0;
    while at < json.len() {
        match json[at] {
            b'"' => at = scan::string::<true>(json, at).map_or(json.len(), |(behind, _)| behind),
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.extend_from_slice(&json[copied..at]);
                at = scan::blanks(json, at);
                copied = at;
            }
            _ => at += 1,
        }
    }
    out.extend_from_slice(&json[copied..]);
}

fn write_escape(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match byte {
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        b'"' | b'\\' => byte,
        _ => {
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
            return;
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

/// Appends the text that the inside of a JSON string stands for. `raw` is what stands between the quotes, already
/// found valid; where it is not, what cannot be read is left out.
pub fn unescape(raw: &[u8], out: &mut String) {
    for piece in pieces(raw) {
        match piece {
            Piece::Plain(text) => out.push_str(text),
            Piece::Escaped(c) => out.push(c),
        }
    }
}

/// Whether the inside of a JSON string stands for `text`; allocates nothing.
pub fn is_text(raw: &[u8], text: &str) -> bool {
    let mut rest = text;
    for piece in pieces(raw) {
        let left = match piece {
            Piece::Plain(plain) => rest.strip_prefix(plain),
            Piece::Escaped(c) => rest.strip_prefix(c),
        };
        match left {
            Some(left) => rest = left,
            None => return false,
        }
    }
    rest.is_empty()
}

enum Piece<'a> {
    Plain(&'a str),
    Escaped(char),
}

fn pieces(raw: &[u8]) -> Pieces<'_> {
    Pieces { rest: raw }
}

struct Pieces<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let length = self.rest.iter().position(|&b| b == b'\\').unwrap_or(self.rest.len());
        if length > 0 {
            let (plain, rest) = self.rest.split_at(length);
            self.rest = rest;
            return std::str::from_utf8(plain).ok().map(Piece::Plain);
        }
        let (c, rest) = read_escape(self.rest)?;
        self.rest = rest;
        Some(Piece::Escaped(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(text: &str) -> String {
        let mut out = Vec::new();
        write_string(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn read(raw: &str) -> String {
        let mut out = String::new();
        unescape(raw.as_bytes(), &mut out);
        out
    }

    #[test]
    fn d5_escapes_what_json_demands_and_no_more() {
        assert_eq!(written("a/b\u{7f}é🔑"), "\"a/b\u{7f}é🔑\"");
        assert_eq!(written("\"\\\u{8}\u{c}\n\r\t\0\u{1f}"), r#""\"\\\b\f\n\r\t\u0000\u001f""#);
    }

    #[test]
    fn escapes_are_read() {
        assert_eq!(read(r#"\u0067ps \uD83D\ude9c \/\"\\\b\f\n\r\t\u0000"#), "gps 🚜 /\"\\\u{8}\u{c}\n\r\t\0");
        for bad in [r"\ud800", r"\udc00", r"\ud800\u0041", r"\ud800x", r"\x", r"\u12", r"\"] {
            assert!(read_escape(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_piece_is_appended_as_it_is(before in "[a-z]{0,4}", source in "[a-z]{0,80}", (from, to) in (0usize..81, 0usize..81)) {
            let (from, to) = (from.min(to).min(source.len()), to.max(from).min(source.len()));
            let mut out = before.clone().into_bytes();
            append_piece(&mut out, source.as_bytes(), from..to);
            append_few(&mut out, &source.as_bytes()[from..to]);
            prop_assert_eq!(String::from_utf8(out).unwrap(), before + &source[from..to] + &source[from..to]);
        }

        #[test]
        fn what_is_written_reads_back(text in any::<String>(), other in any::<String>()) {
            let json = written(&text);
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text.clone());
            let inside = &json[1..json.len() - 1];
            prop_assert_eq!(read(inside), text.clone());
            prop_assert!(is_text(inside.as_bytes(), &text));
            prop_assert_eq!(is_text(inside.as_bytes(), &other), text == other);
        }
    }
}
