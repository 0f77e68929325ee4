//! Lines of the two kinds of input files (docs/rules/replay.md#control-offsets, docs/rules/replay.md#defaults,
//! docs/rules/replay.md#files).

use std::borrow::Cow;

use base64::Engine;

use super::kcat;
use super::scan::{LineMember, Scanner, unescape};
use super::written_line::into_bytes;
pub(crate) use super::written_line::{LineHeaders, WrittenLine, Wrong, string};
use crate::time::{TimestampMs, TimestampNs};

/// Splits a file into its lines. The last line end makes no line, and one `\r` before a line feed belongs to it.
pub(crate) fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split_inclusive(|&b| b == b'\n').map(without_line_end)
}

/// A line as it is read from a file, without its line end: a line feed, and one `\r` before it.
pub(crate) fn without_line_end(line: &[u8]) -> &[u8] {
    match line.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => line,
    }
}

/// Reads a line of an input file. Of a repeated member the last counts; a repeated member of `headers` is a header twice.
pub(crate) fn read_input<'l>(line: &'l [u8], scanner: &mut Scanner) -> Result<WrittenLine<'l>, Wrong> {
    const NAMES: [&str; 7] = ["at", "timestamp", "key", "headers", "raw", "raw_base64", "value"];
    let mut parts: [Option<&'l [u8]>; 7] = [None; 7];
    let mut of_kcat = kcat::KcatParts::default();
    scan(line, scanner, |member| {
        if let Some(place) = NAMES.iter().position(|known| is_named(&member, known)) {
            parts[place] = Some(member.value);
        } else if let Some(place) = kcat::NAMES.iter().position(|known| is_named(&member, known)) {
            of_kcat[place] = Some(member.value);
        }
    })?;
    // Null is the same as absent.
    let [at, timestamp, key, headers, raw, raw_base64, value] = parts.map(|part| part.filter(|value| *value != b"null"));
    if kcat::is_kcat(&of_kcat) && [at, timestamp, raw, raw_base64, value].iter().all(Option::is_none) {
        return kcat::read(of_kcat, key, headers, scanner);
    }
    let raw = raw.map(|raw| string(raw, "\"raw\" must be a string without lone surrogates")).transpose()?;
    let raw_base64 = raw_base64.map(|raw| string(raw, "\"raw_base64\" must be a string")).transpose()?;
    Ok(WrittenLine {
        topic: None,
        at: at.map(|at| time(at, "\"at\" must be an RFC 3339 time such as 2026-01-01T09:00:00Z")).transpose()?,
        timestamp: timestamp
            .map(|timestamp| time(timestamp, "\"timestamp\" must be an RFC 3339 time such as 2026-01-01T09:00:00Z"))
            .transpose()?,
        key: key.map(|key| string(key, "\"key\" must be a string without lone surrogates, or null")).transpose()?,
        headers: headers.map(|headers| read_headers(headers, scanner)).transpose()?.unwrap_or_default(),
        value: match (raw, raw_base64) {
            (Some(raw), _) => Some(into_bytes(raw)),
            (None, Some(raw)) => Some(Cow::Owned(base64(&raw)?)),
            (None, None) => value.map(Cow::Borrowed),
        },
    })
}

/// Whether a member has this name, after unescaping.
fn is_named(member: &LineMember<'_>, known: &str) -> bool {
    if !member.name.contains(&b'\\') {
        return member.name == known.as_bytes();
    }
    std::str::from_utf8(member.name).is_ok_and(|name| unescape(name).as_deref() == Some(known))
}

/// Calls `each` with the members of a line that is one JSON object.
pub(crate) fn scan<'l>(line: &'l [u8], scanner: &mut Scanner, each: impl FnMut(LineMember<'l>)) -> Result<(), Wrong> {
    if line.is_empty() {
        return Err("the line is empty; leave empty lines out");
    }
    if std::str::from_utf8(line).is_err() {
        return Err("the line is no UTF-8; write bytes that are no text as \"raw_base64\" (kcat prints them as they are)");
    }
    if line.starts_with(b"\xef\xbb\xbf") {
        return Err("the line begins with a byte order mark: save the file without one");
    }
    scanner.members(line, each).map_err(|_| "the line is no JSON object; write one object a line")
}

/// Bytes of base64 by RFC 4648 section 4, padded.
pub(crate) fn base64(text: &str) -> Result<Vec<u8>, Wrong> {
    base64::prelude::BASE64_STANDARD.decode(text).map_err(|_| "\"raw_base64\" must be padded base64 (RFC 4648 section 4)")
}

/// A time of a file in whole milliseconds, finer digits cut off (docs/rules/values.md#time-precision).
fn time(value: &[u8], wrong: Wrong) -> Result<TimestampMs, Wrong> {
    TimestampNs::parse_rfc3339(&string(value, wrong)?).map(TimestampNs::millis).ok_or(wrong)
}

fn read_headers<'l>(value: &'l [u8], scanner: &mut Scanner) -> Result<LineHeaders<'l>, Wrong> {
    const WRONG: Wrong = "\"headers\" must be an object whose values are strings";
    let mut headers = Vec::new();
    let mut all = Ok(());
    let mut take = |member: LineMember<'l>| {
        let name = std::str::from_utf8(member.name).map_err(|_| WRONG)?;
        let name = if name.contains('\\') { Cow::Owned(unescape(name).ok_or(WRONG)?) } else { Cow::Borrowed(name) };
        headers.push((name, Some(string(member.value, WRONG)?)));
        Ok(())
    };
    scanner
        .members(value, |member| {
            if all.is_ok() {
                all = take(member);
            }
        })
        .map_err(|_| WRONG)?;
    all.map(|()| headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<WrittenLine<'_>, Wrong> {
        read_input(line.as_bytes(), &mut Scanner::default())
    }

    fn value(line: &str) -> Option<String> {
        read(line).unwrap().value.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn d8_line_ends() {
        let split = |text: &'static [u8]| lines(text).collect::<Vec<_>>();
        assert_eq!(split(b""), Vec::<&[u8]>::new());
        assert_eq!(split(b"a\nb\n"), [b"a", b"b"]);
        assert_eq!(split(b"a\r\nb\r\r\nc\r"), [&b"a"[..], b"b\r", b"c\r"]);
        assert_eq!(split(b"a\r\n"), [b"a"]);
        assert_eq!(split(b"\n"), [b""]);
        assert_eq!(split(b"a\n\n"), [&b"a"[..], b""]);
    }

    #[test]
    fn d8_raw_wins_over_raw_base64_and_that_over_value() {
        assert_eq!(value(r#"{"value":{"a": 1}}"#).as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(value(r#"{"value":1,"raw_base64":"e30="}"#).as_deref(), Some("{}"));
        assert_eq!(value(r#"{"raw":"\u0007","raw_base64":"e30=","value":1}"#).as_deref(), Some("\u{7}"));
        assert_eq!(value(r#"{"raw":"null"}"#).as_deref(), Some("null"));
        assert_eq!(value(r#"{"value":null}"#), None);
        assert_eq!(value("{}"), None);
        assert_eq!(value(r#"{"value":1,"v\u0061lue":2,"value\ud800":3}"#).as_deref(), Some("2"));
    }

    #[test]
    fn d8_wrong_types() {
        for bad in [
            "",
            "[]",
            r#"{"at":5}"#,
            r#"{"at":"noon"}"#,
            r#"{"timestamp":"2026-01-01"}"#,
            r#"{"key":5}"#,
            r#"{"key":"\ud800"}"#,
            r#"{"raw":5}"#,
            r#"{"raw":"\udc00"}"#,
            r#"{"raw_base64":"e30"}"#,
            r#"{"raw_base64":"_w=="}"#,
            r#"{"headers":[]}"#,
            r#"{"headers":{"a":null}}"#,
            r#"{"headers":{"a":1}}"#,
            r#"{"headers":{"\ud800":"x"}}"#,
            r#"{"raw":"x","raw_base64":7}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn d8_a_repeated_header_is_a_header_twice() {
        let line = read(r#"{"headers":{"a":"1","\u0061":"2"},"key":"k\u0000"}"#).unwrap();
        let headers: Vec<_> = line.headers.iter().map(|(name, value)| (&**name, value.as_deref().unwrap())).collect();
        assert_eq!(headers, [("a", "1"), ("a", "2")]);
        assert_eq!(line.key.as_deref(), Some("k\0"));
    }

    #[test]
    fn d3_finer_digits_are_cut_off() {
        let line = read(r#"{"at":"1970-01-01T00:00:00.0019Z","timestamp":"1969-12-31T23:59:59.9999z"}"#).unwrap();
        assert_eq!((line.at, line.timestamp), (Some(TimestampMs(1)), Some(TimestampMs(-1))));
    }

    fn of_kcat(more: &str) -> String {
        format!(r#"{{"topic":"telemetry.raw","partition":3,"offset":7,"tstype":"create","ts":1795854616532,"broker":1,{more}}}"#)
    }

    #[test]
    fn a_record_is_read_as_it_was() {
        let text = of_kcat(r#""headers":["a","1","a","2","none",null,"\u0062",""],"key":"k","payload":"{\"x\":\"\u00e9\\n\"}""#);
        let line = read(&text).unwrap();
        let headers: Vec<_> = line.headers.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
        assert_eq!(headers, [("a", Some("1")), ("a", Some("2")), ("none", None), ("b", Some(""))]);
        assert_eq!((line.key.as_deref(), line.timestamp), (Some("k"), Some(TimestampMs(1_795_854_616_532))));
        assert_eq!(line.value.as_deref(), Some("{\"x\":\"é\\n\"}".as_bytes()));
        let text = of_kcat(r#""key":null,"payload":null"#);
        let tombstone = read(&text).unwrap();
        assert_eq!((tombstone.key, tombstone.value, tombstone.topic.as_deref()), (None, None, Some("telemetry.raw")));
    }

    #[test]
    fn a_line_of_replay_is_none_of_kcat() {
        let line = read(r#"{"value":1,"topic":"x","partition":0,"offset":1,"payload":"2"}"#).unwrap();
        assert_eq!((line.value.as_deref(), line.topic), (Some(b"1".as_slice()), None));
        let line = read(r#"{"payload":"2","key":"k"}"#).unwrap();
        assert_eq!((line.value, line.key.as_deref()), (None, Some("k")));
    }

    #[test]
    fn what_kcat_would_not_print_is_refused() {
        for (more, named) in [
            (r#""payload":{"a":1}"#, "payload"),
            (r#""payload":"\ud800""#, "payload"),
            (r#""payload":"x","key":5"#, "key"),
            (r#""payload":"x","headers":{"a":"1"}"#, "headers"),
            (r#""payload":"x","headers":["a"]"#, "headers"),
            (r#""payload":"x","headers":[null,"a"]"#, "headers"),
            (r#""payload":"x","ts":"noon""#, "ts"),
        ] {
            assert!(read(&of_kcat(more)).unwrap_err().contains(&format!("\"{named}\"")), "{more}");
        }
    }
}
