//! Lines as `kcat -C -J` prints records (docs/rules/replay.md#lines-of-kcat):
//! `{"topic","partition","offset","tstype"?,"ts"?,"broker","headers"?,"key","payload"}`.

use std::borrow::Cow;

use super::line::{LineHeaders, WrittenLine, Wrong, into_bytes, string};
use super::scan::Scanner;
use crate::time::TimestampMs;

/// The members that a line of kcat has, and those that are read where they are there.
pub(super) const NAMES: [&str; 5] = ["topic", "partition", "offset", "payload", "ts"];

/// The values of `NAMES`, as they are in the line.
pub(super) type KcatParts<'l> = [Option<&'l [u8]>; 5];

/// Whether the line is one of kcat: it says where its record was, and has a payload, if only null.
pub(super) fn is_kcat(parts: &KcatParts<'_>) -> bool {
    parts.iter().take(4).all(Option::is_some)
}

/// What the line says. `key` and `headers` are as in the line.
pub(super) fn read<'l>(
    [topic, _, _, payload, ts]: KcatParts<'l>,
    key: Option<&'l [u8]>,
    headers: Option<&'l [u8]>,
    scanner: &mut Scanner,
) -> Result<WrittenLine<'l>, Wrong> {
    let text = |value: Option<&'l [u8]>, wrong| value.filter(|value| *value != b"null").map(|value| string(value, wrong)).transpose();
    Ok(WrittenLine {
        topic: text(topic, "\"topic\" must be a string")?,
        at: None,
        timestamp: ts.map(timestamp).transpose()?,
        key: text(key, "\"key\" must be a string without lone surrogates, or null")?,
        headers: headers.map(|headers| read_headers(headers, scanner)).transpose()?.unwrap_or_default(),
        value: text(payload, "\"payload\" must be a string without lone surrogates, or null")?.map(into_bytes),
    })
}

fn timestamp(value: &[u8]) -> Result<TimestampMs, Wrong> {
    let millis = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    millis.map(TimestampMs).ok_or("\"ts\" must be a whole number of milliseconds")
}

/// One list, names and values in turn. A header without a value says nothing that is read, and is left out.
fn read_headers<'l>(value: &'l [u8], scanner: &mut Scanner) -> Result<LineHeaders<'l>, Wrong> {
    const WRONG: Wrong = "\"headers\" of a line of kcat must be a list of names, each before its value, a string or null";
    let mut items: Vec<&[u8]> = Vec::new();
    scanner.items(value, |item| items.push(item)).map_err(|_| WRONG)?;
    let mut headers = Vec::new();
    for pair in items.chunks(2) {
        let [name, value] = pair else { return Err(WRONG) };
        let name = string(name, WRONG)?;
        if *value != b"null" {
            headers.push((name, string(value, WRONG)?));
        }
    }
    Ok(headers)
}

/// A line of a topic that the stream does not have.
pub(super) fn check_topic(topic: Option<&Cow<'_, str>>, expected: &str) -> Result<(), Wrong> {
    const WRONG: Wrong = "\"topic\" is not the topic that the configuration gives this stream: name the stream that reads it, or set \
                          streams.STREAM.topic";
    if topic.is_none_or(|topic| topic == expected) { Ok(()) } else { Err(WRONG) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::line::read_input;

    fn line(text: &str) -> Result<WrittenLine<'_>, Wrong> {
        read_input(text.as_bytes(), &mut Scanner::default())
    }

    fn kcat(more: &str) -> String {
        format!(r#"{{"topic":"telemetry.raw","partition":3,"offset":7,"tstype":"create","ts":1795854616532,"broker":1,{more}}}"#)
    }

    #[test]
    fn a_record_is_read_as_it_was() {
        let text = kcat(r#""headers":["a","1","a","2","none",null,"\u0062",""],"key":"k","payload":"{\"x\":\"\u00e9\\n\"}""#);
        let read = line(&text).unwrap();
        let headers: Vec<_> = read.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(headers, [("a", "1"), ("a", "2"), ("b", "")]);
        assert_eq!((read.key.as_deref(), read.timestamp), (Some("k"), Some(TimestampMs(1_795_854_616_532))));
        assert_eq!(read.value.as_deref(), Some("{\"x\":\"é\\n\"}".as_bytes()));
        let text = kcat(r#""key":null,"payload":null"#);
        let tombstone = line(&text).unwrap();
        assert_eq!((tombstone.key, tombstone.value, tombstone.topic.as_deref()), (None, None, Some("telemetry.raw")));
    }

    #[test]
    fn a_line_of_replay_is_none_of_kcat() {
        let read = line(r#"{"value":1,"topic":"x","partition":0,"offset":1,"payload":"2"}"#).unwrap();
        assert_eq!((read.value.as_deref(), read.topic), (Some(b"1".as_slice()), None));
        let read = line(r#"{"payload":"2","key":"k"}"#).unwrap();
        assert_eq!((read.value, read.key.as_deref()), (None, Some("k")));
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
            assert!(line(&kcat(more)).unwrap_err().contains(&format!("\"{named}\"")), "{more}");
        }
    }
}
