//! Lines as `kcat -C -J` prints records (docs/rules/replay.md#lines-of-kcat):
//! `{"topic","partition","offset","tstype"?,"ts"?,"broker","headers"?,"key","payload"}`.

use std::borrow::Cow;

use super::scan::Scanner;
use super::written_line::{LineHeaders, WrittenLine, Wrong, into_bytes, string};
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

/// One list, names and values in turn. A header without a value stays: of a name that is there twice no id is taken.
fn read_headers<'l>(value: &'l [u8], scanner: &mut Scanner) -> Result<LineHeaders<'l>, Wrong> {
    const WRONG: Wrong = "\"headers\" of a line of kcat must be a list of names, each before its value, a string or null";
    let mut items: Vec<&[u8]> = Vec::new();
    scanner.items(value, |item| items.push(item)).map_err(|_| WRONG)?;
    let mut headers = Vec::new();
    for pair in items.chunks(2) {
        let [name, value] = pair else { return Err(WRONG) };
        let name = string(name, WRONG)?;
        let value = (*value != b"null").then(|| string(value, WRONG)).transpose()?;
        headers.push((name, value));
    }
    Ok(headers)
}

/// A line of a topic that the stream does not have.
pub(super) fn check_topic(topic: Option<&Cow<'_, str>>, expected: &str) -> Result<(), Wrong> {
    const WRONG: Wrong = "\"topic\" is not the topic that the configuration gives this stream: name the stream that reads it, or set \
                          streams.STREAM.topic";
    if topic.is_none_or(|topic| topic == expected) { Ok(()) } else { Err(WRONG) }
}
