//! A control record as a line that replay reads (docs/rules/cli.md#dumps, docs/rules/replay.md#control-offsets): a dump of the log
//! replays to what happened.

use base64::Engine;

use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::Offset;
use crate::json::document::{parse, write};
use crate::json::writer::object;
use crate::share::event::kind::EventType;
use crate::share::event::payload;
use crate::share::event::{Sender, Unreadable, is_structured, read_record, write_structured_by};
use crate::time::TimestampMs;

/// The line of one record, without its line end. `time` is its control time: the largest timestamp up to it.
///
/// A structured event keeps everything but its `time` and `offset`; one in binary mode becomes a structured one. What the
/// fold cannot understand is written as its bytes (`raw_base64`), so that it is as unreadable as it was and its dead letter
/// is the same.
pub fn line(offset: Offset, time: TimestampMs, headers: &[(String, Vec<u8>)], value: Option<&[u8]>) -> Vec<u8> {
    let envelope = match read_record(headers, value) {
        Ok(envelope) if !is_set_aside(&envelope.kind, &envelope.source, &envelope.data) => envelope,
        Ok(_) | Err(Unreadable(_)) => return raw(offset, time, value.unwrap_or_default()),
    };
    let whole = match value.filter(|_| is_structured(headers)) {
        Some(value) => parse(value),
        None => {
            parse(&write_structured_by(&envelope.id, &envelope.source, &envelope.kind, time, envelope.actor.as_deref(), &envelope.data))
        }
    };
    let Ok(Node { kind: DocumentKind::Map(mut members), place }) = whole else { return raw(offset, time, value.unwrap_or_default()) };
    members.retain(|member| member.name != "time" && member.name != "offset");
    members.push(member("time", DocumentKind::String(time.to_string())));
    members.push(member("offset", DocumentKind::Number(offset.to_string())));
    let mut out = Vec::new();
    write(&Node { kind: DocumentKind::Map(members), place }, &mut out);
    out
}

/// Whether a record is an event that the fold can understand.
pub fn is_event(headers: &[(String, Vec<u8>)], value: Option<&[u8]>) -> bool {
    read_record(headers, value).is_ok_and(|envelope| !is_set_aside(&envelope.kind, &envelope.source, &envelope.data))
}

/// Malformed data of an event that can take something away makes it unreadable (docs/rules/events.md#malformed-data).
fn is_set_aside(kind: &str, source: &str, data: &Node) -> bool {
    match (EventType::parse(kind), Sender::parse(source)) {
        (Some(kind), Some(sender)) => kind.is_unreadable_if_malformed() && payload::read(kind, sender, data).is_err(),
        _ => true,
    }
}

fn raw(offset: Offset, time: TimestampMs, value: &[u8]) -> Vec<u8> {
    let bytes = base64::prelude::BASE64_STANDARD.encode(value);
    object(|out| {
        out.number("offset", offset.0);
        out.time("time", time.moment());
        out.text("raw_base64", &bytes);
    })
}

fn member(name: &str, kind: DocumentKind) -> Member {
    Member { name: name.to_owned(), place: TextPosition::default(), value: Node { kind, place: TextPosition::default() } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::event::{OffsetAttribute, RawAttribute, read_line};

    fn text(headers: &[(String, Vec<u8>)], value: Option<&[u8]>) -> String {
        String::from_utf8(line(Offset(7), TimestampMs(0), headers, value)).unwrap()
    }

    #[test]
    fn an_event_keeps_all_but_its_time_and_offset() {
        let event = br#"{"specversion":"1.0","id":"e","offset":3,"source":"/operator", "time":"2026-01-01T00:00:00Z","type":"sharecast.tenant.updated.v1","more":1.0,
            "data":{"tenant":"a","tenant":"b","n":1e3},"time":5}"#;
        let expected = r#"{"specversion":"1.0","id":"e","source":"/operator","type":"sharecast.tenant.updated.v1","more":1.0,"data":{"tenant":"a","tenant":"b","n":1e3},"time":"1970-01-01T00:00:00Z","offset":7}"#;
        assert_eq!(text(&[], Some(event)), expected);
    }

    #[test]
    fn a_binary_event_becomes_a_structured_one_of_the_same_meaning() {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        let headers = [
            header("ce_specversion", "1.0"),
            header("ce_id", "e\"1"),
            header("ce_source", "/tenants/a"),
            header("ce_type", "sharecast.share.revoked.v1"),
            header("content-type", "application/json"),
        ];
        let value = br#"{"share": "s1", "n": 1.0}"#;
        let written = line(Offset(7), TimestampMs(5), &headers, Some(value));
        let read = read_line(&written).unwrap();
        let (is, was) = (read.record.unwrap(), read_record(&headers, Some(value)).unwrap());
        assert_eq!((is.id, is.source, is.kind), (was.id, was.source, was.kind));
        assert_eq!(format!("{:?}", is.data.members()[1].value.kind), format!("{:?}", was.data.members()[1].value.kind));
        assert_eq!((read.offset, read.time), (OffsetAttribute::At(Offset(7)), Some(TimestampMs(5))));
    }

    #[test]
    fn what_cannot_be_understood_is_its_bytes() {
        let is_raw = |value: Option<&[u8]>, bytes: &str| {
            let written = text(&[], value);
            assert_eq!(written, format!(r#"{{"offset":7,"time":"1970-01-01T00:00:00Z","raw_base64":"{bytes}"}}"#));
            let read = read_line(written.as_bytes()).unwrap();
            assert!(read.record.is_err() && matches!(read.raw_base64, RawAttribute::Base64(_)));
        };
        is_raw(None, "");
        is_raw(Some(b"\xff{"), "/3s=");
        is_raw(Some(b"{}"), "e30=");
        let revoke = br#"{"specversion":"1.0","id":"e","source":"/operator","type":"sharecast.share.revoked.v1","data":{}}"#;
        is_raw(Some(revoke), &base64::prelude::BASE64_STANDARD.encode(revoke));
    }
}
