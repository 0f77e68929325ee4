//! A dump of the control topic as the records of a new one: each at its old offset with its old control time, and ticks at the offsets
//! that the dump lacks (docs/rules/cli.md#restoring).

use std::borrow::Cow;

use super::BadLine;
use crate::document::{DocumentKind, Node, TextPosition};
use crate::id::Offset;
use crate::replay::control::ReplayControlLine;
use crate::share::event;
use crate::share::event::kind::EventType;
use crate::share::view::dump;
use crate::time::TimestampMs;

/// What a record is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpRecordForm {
    /// Its value is a CloudEvent in structured mode, or nothing that could be taken for one.
    Structured,
    /// What was unreadable when it was dumped, and would be read as an event by its bytes alone. With the headers of a version of
    /// CloudEvents that there is not it stays what it was.
    Unreadable,
}

/// The type of the content in structured mode.
const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";
const STRUCTURED_HEADERS: &[(&str, &[u8])] = &[("content-type", STRUCTURED.as_bytes())];
const UNREADABLE_HEADERS: &[(&str, &[u8])] = &[("ce_specversion", b"0")];

impl DumpRecordForm {
    /// Its headers.
    pub fn headers(self) -> &'static [(&'static str, &'static [u8])] {
        match self {
            Self::Structured => STRUCTURED_HEADERS,
            Self::Unreadable => UNREADABLE_HEADERS,
        }
    }
}

/// One record of the new log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpRecord<'l> {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp.
    pub time: TimestampMs,
    /// Its value.
    pub value: Cow<'l, [u8]>,
    /// What it is written as.
    pub form: DumpRecordForm,
}

/// The records of the new log in their order, without a gap, up to `until` where that is after the dump's last. A tick has the control
/// time of the record before it, so it moves nothing; before the first record that record's. `ticks` begins the ticks' ids.
pub fn records<'l>(
    lines: impl Iterator<Item = Result<ReplayControlLine<'l>, BadLine>>,
    until: Offset,
    ticks: &str,
) -> impl Iterator<Item = Result<DumpRecord<'l>, BadLine>> {
    let mut lines = lines.peekable();
    let (mut next, mut time, mut is_over) = (Offset(0), None, false);
    std::iter::from_fn(move || {
        if is_over {
            return None;
        }
        let (offset, coming) = (next, lines.peek().and_then(|line| line.as_ref().ok()).map(|line| (line.offset, line.time)));
        let record = match (lines.peek(), coming) {
            (Some(Err(_)), _) => {
                is_over = true;
                return lines.next().and_then(Result::err).map(Err);
            }
            (Some(_), Some((at, first))) if at > offset => tick(offset, time.unwrap_or(first), ticks),
            (Some(_), _) => record_of(lines.next()?.ok()?),
            (None, _) if offset <= until => tick(offset, time?, ticks),
            (None, _) => return None,
        };
        (next, time) = (Offset(offset.0 + 1), Some(record.time));
        Some(Ok(record))
    })
}

fn record_of(line: ReplayControlLine<'_>) -> DumpRecord<'_> {
    let headers = [("content-type".to_owned(), STRUCTURED.as_bytes().to_vec())];
    let is_mistaken = line.record.is_err() && dump::is_event(&headers, Some(&line.value));
    let form = if is_mistaken { DumpRecordForm::Unreadable } else { DumpRecordForm::Structured };
    DumpRecord { offset: line.offset, time: line.time, value: line.value, form }
}

fn tick(offset: Offset, time: TimestampMs, ids: &str) -> DumpRecord<'static> {
    let nothing = Node { kind: DocumentKind::Map(Vec::new()), place: TextPosition::default() };
    let value = event::write_structured(&format!("{ids}-{offset}"), "/sharecast", &EventType::ControlTick.full_name(), time, &nothing);
    DumpRecord { offset, time, value: Cow::Owned(value), form: DumpRecordForm::Structured }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::control::read_lines;
    use crate::share::event::read_record;

    const EVENT: &str = r#""specversion":"1.0","id":"e","source":"/operator","type":"sharecast.tenant.updated.v1","data":{"tenant":"a"}"#;

    fn line(offset: i64, second: u32) -> String {
        format!(r#"{{{EVENT},"time":"2026-01-01T00:00:{second:02}Z","offset":{offset}}}"#)
    }

    fn read(text: &str, until: i64) -> Vec<Result<DumpRecord<'_>, BadLine>> {
        records(read_lines("dump", text.as_bytes()), Offset(until), "fill").collect()
    }

    fn is_tick(record: &DumpRecord<'_>) -> bool {
        let envelope = event::read_structured(&record.value).unwrap();
        assert!(envelope.kind != EventType::ControlTick.full_name() || envelope.id == format!("fill-{}", record.offset));
        envelope.kind == EventType::ControlTick.full_name()
    }

    #[test]
    fn every_offset_has_a_record_and_control_time_goes_as_it_went() {
        let text = format!("{}\n{}\n{}\n", line(2, 5), line(3, 7), line(6, 20));
        let all: Vec<DumpRecord<'_>> = read(&text, 8).into_iter().map(Result::unwrap).collect();
        let seconds = |record: &DumpRecord<'_>| record.time.0 / 1000 % 60;
        let shape: Vec<(i64, i64, bool)> = all.iter().map(|record| (record.offset.0, seconds(record), is_tick(record))).collect();
        assert_eq!(
            shape,
            [
                (0, 5, true),
                (1, 5, true),
                (2, 5, false),
                (3, 7, false),
                (4, 7, true),
                (5, 7, true),
                (6, 20, false),
                (7, 20, true),
                (8, 20, true)
            ]
        );
        assert_eq!(all[2].value, line(2, 5).as_bytes());
        assert_eq!(read(&text, 3).len(), 7, "the dump goes further");
    }

    #[test]
    fn a_bad_line_is_told_with_its_place_before_anything_after_it() {
        let text = format!("{}\n{}\n{}\n", line(0, 5), line(2, 4), line(3, 7));
        let all = read(&text, 9);
        assert_eq!(all.len(), 2, "the record, then what is wrong with the next line: {all:?}");
        let bad = all[1].as_ref().unwrap_err();
        assert_eq!((bad.file.as_str(), bad.line), ("dump", 2));
    }

    #[test]
    fn what_was_unreadable_stays_so_whatever_its_bytes_are() {
        use base64::Engine;
        let raw = |bytes: &str| {
            let bytes = base64::prelude::BASE64_STANDARD.encode(bytes);
            format!(r#"{{"offset":0,"time":"2026-01-01T00:00:00Z","raw_base64":"{bytes}"}}"#)
        };
        let revoke = |data: &str| {
            format!(r#"{{"specversion":"1.0","id":"e","source":"/operator","type":"sharecast.share.revoked.v1","data":{data}}}"#)
        };
        for (bytes, form) in [
            (revoke(r#"{"share":"s"}"#), DumpRecordForm::Unreadable),
            (revoke("{}"), DumpRecordForm::Structured),
            (revoke("7"), DumpRecordForm::Structured),
            (String::new(), DumpRecordForm::Structured),
            ("{".to_owned(), DumpRecordForm::Structured),
        ] {
            let text = raw(&bytes);
            let record = read(&text, 0).remove(0).unwrap();
            assert_eq!((&*record.value, record.form), (bytes.as_bytes(), form), "{bytes}");
            let headers: Vec<(String, Vec<u8>)> = form.headers().iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
            assert!(!dump::is_event(&headers, Some(&record.value)), "{bytes}");
        }
        let readable = line(0, 0);
        let record = read(&readable, 0).remove(0).unwrap();
        assert_eq!(record.form, DumpRecordForm::Structured);
        assert!(read_record(&[], Some(&record.value)).is_ok());
    }
}
