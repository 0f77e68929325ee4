//! The tokens of JSON, each read from where it begins to behind its end.

use super::chunk::{self, CHUNK};
use super::error::InvalidJson;
use crate::simd;

/// The byte at `at`; 0, which is no token of JSON, behind the end.
#[inline(always)]
pub(super) fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(0)
}

/// Behind the whitespace that begins at `at`.
#[inline]
pub(super) fn blanks(text: &[u8], mut at: usize) -> usize {
    while matches!(byte(text, at), b' ' | b'\n' | b'\r' | b'\t') {
        at += 1;
    }
    at
}

/// Behind `word`, which must stand at `at`.
#[inline]
pub(in crate::json) fn word(text: &[u8], at: usize, word: &'static [u8]) -> Result<usize, InvalidJson> {
    let end = at + word.len();
    if text.get(at..end) == Some(word) { Ok(end) } else { Err(InvalidJson { what: "no value", at }) }
}

/// Behind the string whose quote is at `at`, and whether it has escapes. UTF-8 has been checked before. Lone surrogates
/// pass only where the grammar alone is asked for.
#[inline(always)]
pub(super) fn string<const GRAMMAR_ONLY: bool>(text: &[u8], at: usize) -> Result<(usize, bool), InvalidJson> {
    let end = plain(text, at + 1);
    if byte(text, end) == b'"' { Ok((end + 1, false)) } else { escaped_string(text, end, GRAMMAR_ONLY) }
}

/// The first byte from `at` on that ends plain text: a quote, a backslash, a control character, or the end.
#[inline(always)]
pub(super) fn plain(text: &[u8], mut at: usize) -> usize {
    loop {
        // What lies behind the end is zero, a control character.
        let stops = simd::stops(chunk::load(text, at));
        if stops != 0 {
            return at + stops.trailing_zeros() as usize;
        }
        at += CHUNK;
    }
}

#[cold]
fn escaped_string(text: &[u8], mut at: usize, grammar_only: bool) -> Result<(usize, bool), InvalidJson> {
    loop {
        match text.get(at) {
            Some(b'"') => return Ok((at + 1, true)),
            Some(b'\\') => match read_escape(&text[at..]) {
                Some((_, rest)) => at = text.len() - rest.len(),
                None if grammar_only && is_unicode_escape(&text[at..]) => at += 6,
                None => return Err(InvalidJson { what: "no escape of JSON, or a lone surrogate", at }),
            },
            Some(_) => return Err(InvalidJson { what: "a control character in a string", at }),
            None => return Err(InvalidJson { what: "a string without end", at }),
        }
        at = plain(text, at);
    }
}

fn is_unicode_escape(text: &[u8]) -> bool {
    text.starts_with(b"\\u") && text.len() >= 6 && text[2..6].iter().all(u8::is_ascii_hexdigit)
}

/// The character of the escape that `text` begins with, and what follows it; none where it is no escape of RFC 8259 or
/// a lone surrogate.
pub(crate) fn read_escape(text: &[u8]) -> Option<(char, &[u8])> {
    let [b'\\', letter, rest @ ..] = text else { return None };
    let c = match letter {
        b'"' | b'\\' | b'/' => char::from(*letter),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return read_unicode_escape(rest),
        _ => return None,
    };
    Some((c, rest))
}

fn read_unicode_escape(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = read_hex4(text)?;
    if let Some(c) = char::from_u32(first) {
        return Some((c, rest));
    }
    // `first` is a surrogate: a high one with a low one behind it makes one character.
    let [b'\\', b'u', low @ ..] = rest else { return None };
    let (second, rest) = read_hex4(low)?;
    if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    Some((char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?, rest))
}

fn read_hex4(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_first_chunk::<4>()?;
    let value = digits.iter().try_fold(0, |value, &b| Some(value << 4 | char::from(b).to_digit(16)?))?;
    Some((value, rest))
}

/// Behind the digits that begin at `at`.
#[inline(always)]
fn digits(text: &[u8], mut at: usize) -> usize {
    loop {
        let count = simd::digits(chunk::load(text, at)).trailing_ones() as usize;
        at += count;
        if count < CHUNK {
            return at;
        }
    }
}

/// More digits than this before the point, exponent included, and a number may be beyond the doubles.
const SURELY_FINITE: i64 = 300;

/// Behind the number that begins at `start`; unless the grammar alone is asked for, it must be finite as a double
/// (docs/rules/values.md#json-that-is-read).
#[inline(always)]
pub(super) fn number<const GRAMMAR_ONLY: bool>(text: &[u8], start: usize) -> Result<usize, InvalidJson> {
    let first = start + usize::from(byte(text, start) == b'-');
    // As a rule the whole number is among the first bytes.
    let among = simd::digits(chunk::load(text, first));
    let seen = among.trailing_ones() as usize;
    let mut at = if seen < CHUNK { first + seen } else { digits(text, first + seen) };
    let whole = at - first;
    if whole == 0 || (whole > 1 && text[first] == b'0') {
        return Err(InvalidJson { what: "a number that begins with no digit or a needless 0", at: first });
    }
    if byte(text, at) == b'.' {
        let behind = seen + 1;
        let count = if behind < CHUNK { (among >> behind).trailing_ones() as usize } else { 0 };
        let end = if behind + count < CHUNK && seen < CHUNK { at + 1 + count } else { digits(text, at + 1) };
        if end == at + 1 {
            return Err(InvalidJson { what: "no digit behind the point", at: end });
        }
        at = end;
    }
    if matches!(byte(text, at), b'e' | b'E') {
        return exponent(text, start, whole, at + 1, GRAMMAR_ONLY);
    }
    if whole as i64 > SURELY_FINITE && !GRAMMAR_ONLY { finite(text, start, at) } else { Ok(at) }
}

#[cold]
fn exponent(text: &[u8], start: usize, whole: usize, at: usize, grammar_only: bool) -> Result<usize, InvalidJson> {
    let negative = byte(text, at) == b'-';
    let first = at + usize::from(negative || byte(text, at) == b'+');
    let end = digits(text, first);
    if end == first {
        return Err(InvalidJson { what: "no digit in the exponent", at: first });
    }
    let power = text[first..end].iter().fold(0i64, |power, digit| (power * 10 + i64::from(digit - b'0')).min(1 << 40));
    let magnitude = whole as i64 + if negative { -power } else { power };
    if magnitude > SURELY_FINITE && !grammar_only { finite(text, start, end) } else { Ok(end) }
}

fn finite(text: &[u8], start: usize, end: usize) -> Result<usize, InvalidJson> {
    let value = std::str::from_utf8(&text[start..end]).ok().and_then(|number| number.parse::<f64>().ok());
    if value.is_some_and(f64::is_finite) { Ok(end) } else { Err(InvalidJson { what: "a number beyond the doubles", at: start }) }
}

/// The member name whose quote is at `at`: behind it, whether it has escapes, and its hash where it has none.
#[inline(always)]
pub(super) fn name<const GRAMMAR_ONLY: bool>(text: &[u8], at: usize) -> Result<(usize, bool, u32), InvalidJson> {
    let chunk = chunk::load(text, at + 1);
    let stops = simd::stops(chunk);
    if stops != 0 {
        let length = stops.trailing_zeros() as usize;
        if length < 8 && (chunk >> (length * 8)) as u8 == b'"' {
            return Ok((at + length + 2, false, hash_words(chunk as u64 & ((1 << (length * 8)) - 1), 0, length)));
        }
    }
    let (behind, is_escaped) = string::<GRAMMAR_ONLY>(text, at)?;
    Ok((behind, is_escaped, if is_escaped { 0 } else { name_hash(&text[at + 1..behind - 1]) }))
}

/// A hash of a member name by its length and its first and last eight bytes. It says only that two names may be equal.
pub(super) fn name_hash(name: &[u8]) -> u32 {
    match (name.first_chunk(), name.last_chunk()) {
        (Some(head), Some(tail)) => hash_words(u64::from_le_bytes(*head), u64::from_le_bytes(*tail), name.len()),
        _ => hash_words(name.iter().rev().fold(0, |word, &b| word << 8 | u64::from(b)), 0, name.len()),
    }
}

#[inline(always)]
fn hash_words(head: u64, tail: u64, length: usize) -> u32 {
    let mixed = (head ^ tail.rotate_left(29) ^ length as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}
