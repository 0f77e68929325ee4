//! What one action makes of one value.

use super::action::{Action, ConstKind, Mask};
use super::mask::MaskKeys;
use super::parties::Parties;
use crate::json::decimal::{Decimal, write_rounded_text};
use crate::json::tape::{NodeIndex, NodeKind, Tape};
use crate::json::text::{append_few, is_plain_ascii, unescape, write_inside};
use crate::record::event_time::{self, Unit};
use crate::time::{Period, TimestampNs};
use std::io::Write;

/// What a value is to the actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    Number,
    String,
    /// A container, a boolean or null.
    Other,
}

/// What hashing needs, and memory for unescaping.
#[derive(Debug)]
pub(super) struct ActionContext<'a> {
    pub(super) keys: &'a mut MaskKeys,
    pub(super) parties: &'a Parties<'a>,
    pub(super) unescaped: &'a mut String,
}

/// Memory for making values.
#[derive(Debug, Default)]
pub(super) struct MakingBuffers {
    /// What an action made that another one takes.
    pub(super) between: Vec<u8>,
    pub(super) unescaped: String,
}

/// What actions one after the other made of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Made {
    /// The transform instead that drops the member, if one of them does; nothing was appended then.
    pub(super) outcome: Result<(), u32>,
    /// One of those that were applied makes something that is for one target alone.
    pub(super) is_of_one_target: bool,
}

/// Appends what those of `actions` that `transforms` names make of a value of the record.
pub(super) fn make(
    (text, tape): (&[u8], &Tape),
    node: NodeIndex,
    actions: &[Action],
    transforms: &[u32],
    means: &mut ActionContext<'_>,
    between: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Made {
    let mut kind = match tape.kind(node) {
        NodeKind::Number => ValueKind::Number,
        NodeKind::String => ValueKind::String,
        NodeKind::Null | NodeKind::True | NodeKind::False | NodeKind::Array | NodeKind::Object => ValueKind::Other,
    };
    let begin = out.len();
    let mut is_of_one_target = false;
    if transforms.is_empty() {
        out.extend_from_slice(tape.raw(text, node));
    }
    for (at, &index) in transforms.iter().enumerate() {
        let action = &actions[index as usize];
        is_of_one_target |= action.disclosure().is_of_one_target;
        let made = if at == 0 {
            apply(action, kind, tape.raw(text, node), means, out)
        } else {
            between.clear();
            between.extend_from_slice(&out[begin..]);
            out.truncate(begin);
            apply(action, kind, between, means, out)
        };
        match made {
            Some(made) => kind = made,
            None => {
                out.truncate(begin);
                return Made { outcome: Err(index), is_of_one_target };
            }
        }
    }
    Made { outcome: Ok(()), is_of_one_target }
}

/// Appends what `action` makes of a value written as `json`, and returns what that is; none drops the member.
pub(super) fn apply(action: &Action, kind: ValueKind, json: &[u8], means: &mut ActionContext<'_>, out: &mut Vec<u8>) -> Option<ValueKind> {
    match action {
        Action::Round(places) => {
            if kind != ValueKind::Number || !write_rounded_text(json, *places, out) {
                number(kind, json)?.write_rounded(*places, out);
            }
            Some(ValueKind::Number)
        }
        Action::Bucket(step) => {
            step.write_floor(&number(kind, json)?, out);
            Some(ValueKind::Number)
        }
        Action::Truncate(step) => {
            let (moment, unit) = match kind {
                ValueKind::Number => event_time::from_number(json)?,
                ValueKind::String => event_time::from_text(text_of(json, means.unescaped))?,
                ValueKind::Other => return None,
            };
            write_time(floor(moment, *step), unit, out)?;
            Some(kind)
        }
        Action::Mask(mask) => apply_mask(*mask, kind, json, means, out),
        Action::Const { json, kind } => {
            out.extend_from_slice(json);
            Some(match kind {
                ConstKind::Number => ValueKind::Number,
                ConstKind::String => ValueKind::String,
                ConstKind::Other => ValueKind::Other,
            })
        }
        Action::Rename(_) => {
            out.extend_from_slice(json);
            Some(kind)
        }
    }
}

fn apply_mask(mask: Mask, kind: ValueKind, json: &[u8], means: &mut ActionContext<'_>, out: &mut Vec<u8>) -> Option<ValueKind> {
    match (mask, kind) {
        (Mask::Redact, _) => out.extend_from_slice(b"\"***\""),
        (Mask::Null, _) => {
            out.extend_from_slice(b"null");
            return Some(ValueKind::Other);
        }
        (Mask::Hash, ValueKind::Number) => write_hash(json, means.keys, means.parties, out)?,
        (Mask::Hash, ValueKind::String) => {
            let text = text_of(json, means.unescaped);
            write_hash(text.as_bytes(), means.keys, means.parties, out)?;
        }
        (Mask::KeepLast(kept), ValueKind::String) => write_last(json, kept, means, out),
        (Mask::KeepFirst(kept), ValueKind::String) => write_first(json, kept, means, out),
        (Mask::Hash, ValueKind::Other) | (Mask::KeepLast(_) | Mask::KeepFirst(_), ValueKind::Number | ValueKind::Other) => return None,
    }
    Some(ValueKind::String)
}

/// Hides all but the last characters; of a string of `kept` or fewer nothing is shown.
fn write_last(json: &[u8], kept: usize, means: &mut ActionContext<'_>, out: &mut Vec<u8>) {
    if let Some(text) = plain_ascii(json) {
        let hidden = if kept < text.len() { text.len() - kept } else { text.len() };
        return write_masked(&[], hidden, &text[hidden..], out);
    }
    let text = text_of(json, means.unescaped);
    let (hidden, shown) = text.split_at(text.char_indices().rev().nth(kept.wrapping_sub(1)).map_or(text.len(), |(at, _)| at));
    let (hidden, shown) = if hidden.is_empty() { (shown, "") } else { (hidden, shown) };
    write_kept("", hidden.chars().count(), shown, out);
}

/// Hides all but the first characters; of a string of `kept` or fewer nothing is shown.
fn write_first(json: &[u8], kept: usize, means: &mut ActionContext<'_>, out: &mut Vec<u8>) {
    if let Some(text) = plain_ascii(json) {
        let shown = if kept < text.len() { kept } else { 0 };
        return write_masked(&text[..shown], text.len() - shown, &[], out);
    }
    let text = text_of(json, means.unescaped);
    let (shown, hidden) = text.split_at(text.char_indices().nth(kept).map_or(0, |(at, _)| at));
    write_kept(shown, hidden.chars().count(), "", out);
}

/// The inside of a string written as `json`, if each of its bytes is a character that may be written as it is.
fn plain_ascii(json: &[u8]) -> Option<&[u8]> {
    json.get(1..json.len() - 1).filter(|inside| is_plain_ascii(inside))
}

fn write_masked(first: &[u8], hidden: usize, last: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    append_few(out, first);
    out.resize(out.len() + hidden, b'*');
    append_few(out, last);
    out.push(b'"');
}

/// The text of a string written as `json`, unescaped into `buffer` where it has escapes.
fn text_of<'a>(json: &'a [u8], buffer: &'a mut String) -> &'a str {
    let inside = json.get(1..json.len() - 1).unwrap_or_default();
    if !inside.contains(&b'\\')
        && let Ok(text) = std::str::from_utf8(inside)
    {
        return text;
    }
    buffer.clear();
    unescape(inside, buffer);
    buffer
}

fn number(kind: ValueKind, json: &[u8]) -> Option<Decimal<'_>> {
    if kind == ValueKind::Number { Decimal::parse(json) } else { None }
}

fn write_hash(message: &[u8], keys: &mut MaskKeys, parties: &Parties<'_>, out: &mut Vec<u8>) -> Option<()> {
    out.push(b'"');
    let is_written = keys.write_hash(parties, message, out);
    out.push(b'"');
    is_written.then_some(())
}

fn write_kept(first: &str, hidden: usize, last: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    write_inside(first, out);
    out.resize(out.len() + hidden, b'*');
    write_inside(last, out);
    out.push(b'"');
}

/// The last multiple of `step` since 1970 at or before `moment`, in nanoseconds. It may lie before the year 1.
fn floor(moment: TimestampNs, step: Period) -> i128 {
    moment.nanos().div_euclid(step.nanos()) * step.nanos()
}

/// Appends the time in its own unit. None as text before the year 1, which has no such text (docs/rules/profiles.md#truncate); a number
/// has no such bound.
fn write_time(nanos: i128, unit: Unit, out: &mut Vec<u8>) -> Option<()> {
    if unit == Unit::Text {
        let moment = TimestampNs::from_nanos(nanos)?;
        out.push(b'"');
        moment.write_rfc3339(out);
        out.push(b'"');
        return Some(());
    }
    let size = 10u128.pow(unit.power_of_nanos());
    let (nanos, sign) = (nanos.unsigned_abs(), if nanos < 0 { "-" } else { "" });
    // Writing into memory does not fail.
    let _ = write!(out, "{sign}{}", nanos / size);
    if nanos % size > 0 {
        let _ = write!(out, ".{:0places$}", nanos % size, places = unit.power_of_nanos() as usize);
        out.truncate(out.len() - out.iter().rev().take_while(|&&b| b == b'0').count());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::document;

    fn apply_to(action: &Action, json: &str) -> Option<String> {
        let kind = match json.as_bytes()[0] {
            b'"' => ValueKind::String,
            b'-' | b'0'..=b'9' => ValueKind::Number,
            _ => ValueKind::Other,
        };
        let (mut keys, mut unescaped, mut out) = (MaskKeys::new(Some(b"s3cret")), String::new(), Vec::new());
        let parties = Parties { owner: "northwind", target: "acme", target_asset: "x" };
        let mut means = ActionContext { keys: &mut keys, parties: &parties, unescaped: &mut unescaped };
        let made = apply(action, kind, json.as_bytes(), &mut means, &mut out);
        made.map(|_| String::from_utf8(out).unwrap())
    }

    fn truncated(step: &str, json: &str) -> Option<String> {
        apply_to(&Action::Truncate(Period::parse(step).unwrap()), json)
    }

    fn masked(mask: Mask, json: &str) -> Option<String> {
        apply_to(&Action::Mask(mask), json)
    }

    #[test]
    fn d38_truncate_floors_in_the_value_s_own_unit() {
        assert_eq!(truncated("1m", r#""2026-01-01T10:00:59.5+01:00""#).as_deref(), Some(r#""2026-01-01T09:00:00Z""#));
        assert_eq!(truncated("250ms", r#""2026-01-01t09:00:00.999z""#).as_deref(), Some(r#""2026-01-01T09:00:00.75Z""#));
        assert_eq!(truncated("1m", "1767225659").as_deref(), Some("1767225600"));
        assert_eq!(truncated("250ms", "1767225659.8125e0").as_deref(), Some("1767225659.75"));
        assert_eq!(truncated("1s", "1767225600999.9").as_deref(), Some("1767225600000"));
        assert_eq!(truncated("1s", "1767225600999999").as_deref(), Some("1767225600000000"));
        assert_eq!(truncated("1h", "1767225600999999999").as_deref(), Some("1767225600000000000"));
        assert_eq!(truncated("10s", "-0.5").as_deref(), Some("-10"));
        assert_eq!(truncated("250ms", "-0.5").as_deref(), Some("-0.5"));
        assert_eq!(truncated("7m", "0e5").as_deref(), Some("0"));
        for none in [r#""tomorrow""#, "true", "null", "{}", "1e300"] {
            assert_eq!(truncated("1m", none), None, "{none}");
        }
        assert_eq!(truncated("10000d", r#""0001-01-01T00:00:00Z""#), None);
        assert_eq!(truncated("7d", "-62135596800").as_deref(), Some("-62135942400"));
        assert_eq!(truncated("3000000d", "-0.5").as_deref(), Some("-259200000000"));
    }

    #[test]
    fn d39_keep_hides_scalar_values() {
        assert_eq!(masked(Mask::KeepLast(4), r#""SN-12345""#).as_deref(), Some(r#""****2345""#));
        assert_eq!(masked(Mask::KeepLast(2), r#""é🚜\u0041\"""#).as_deref(), Some(r#""**A\"""#));
        assert_eq!(masked(Mask::KeepLast(4), r#""abcd""#).as_deref(), Some(r#""****""#));
        assert_eq!(masked(Mask::KeepLast(0), r#""abc""#).as_deref(), Some(r#""***""#));
        assert_eq!(masked(Mask::KeepLast(usize::MAX), r#""abc""#).as_deref(), Some(r#""***""#));
        assert_eq!(masked(Mask::KeepFirst(2), r#""\u00e9🚜ab""#).as_deref(), Some(r#""é🚜**""#));
        assert_eq!(masked(Mask::KeepFirst(3), r#""abc""#).as_deref(), Some(r#""***""#));
        assert_eq!(masked(Mask::KeepFirst(0), r#""ab""#).as_deref(), Some(r#""**""#));
        assert_eq!(masked(Mask::KeepFirst(1), r#""""#).as_deref(), Some(r#""""#));
        for none in ["12", "true", "null", "[]"] {
            assert_eq!((masked(Mask::KeepFirst(1), none), masked(Mask::KeepLast(1), none)), (None, None));
        }
    }

    #[test]
    fn d39_hash_takes_the_unescaped_string_or_the_number_s_text() {
        let expected = masked(Mask::Hash, r#""SN-1""#);
        assert_eq!(masked(Mask::Hash, r#""\u0053N-1""#), expected);
        assert_eq!(masked(Mask::Hash, "1.0"), masked(Mask::Hash, r#""1.0""#));
        assert_ne!(masked(Mask::Hash, "1.0"), masked(Mask::Hash, "1"));
        for none in ["true", "null", "{}"] {
            assert_eq!(masked(Mask::Hash, none), None);
        }
    }

    #[test]
    fn redact_null_and_const_take_any_value() {
        let constant = Action::constant(&document::parse(b"{\"a\":1.0}").unwrap());
        for any in ["1", r#""x""#, "true", "null", "{}"] {
            assert_eq!(masked(Mask::Redact, any).as_deref(), Some("\"***\""));
            assert_eq!(masked(Mask::Null, any).as_deref(), Some("null"));
            assert_eq!(apply_to(&constant, any).as_deref(), Some("{\"a\":1.0}"));
        }
        assert_eq!(apply_to(&Action::Round(1), r#""1.25""#), None);
        assert_eq!(apply_to(&Action::Round(1), "-1.25").as_deref(), Some("-1.3"));
    }
}
