//! Dead letters: why a record was set aside, and the line that says so (docs/rules/dead-letters.md#format).

use std::fmt;

use base64::Engine;

use crate::id::Offset;
use crate::json::writer::{ObjectWriter, write_object};
use crate::time::TimestampMs;

/// Why a record was set aside: the closed set of docs/rules/dead-letters.md#reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DeadLetterReason {
    /// An upsert record, or one whose mapping uses the key, has none.
    MissingKey,
    /// Nothing says who owns the asset.
    MissingTenant,
    /// Nothing says which asset it is.
    MissingAsset,
    /// Two headers or two members name one id.
    DuplicateIdentity,
    /// An id is no string, breaks the rule of its kind, or the key does not fit its format.
    InvalidId,
    /// Longer than `max_record_bytes`.
    TooLarge,
    /// No JSON that is read (docs/rules/values.md#json-that-is-read).
    InvalidJson,
    /// JSON, but no object; for an append stream also a null value.
    NotAnObject,
    /// The time path names nothing, or null.
    MissingTime,
    /// The time path names two things, or what is no time (docs/rules/records.md#event-time).
    InvalidTime,
    /// The event time is later than now and `max_future`.
    FutureTime,
    /// A control record that cannot be understood, under `control.unreadable: skip`.
    UnreadableEvent,
    /// An output whose route failed, under `output.on_route_failure: dead_letter`.
    RouteFailed,
    /// An output that its route refuses for itself, for its size or its timestamp.
    Refused,
}

impl DeadLetterReason {
    /// Every reason.
    pub const ALL: [Self; 14] = [
        Self::MissingKey,
        Self::MissingTenant,
        Self::MissingAsset,
        Self::DuplicateIdentity,
        Self::InvalidId,
        Self::TooLarge,
        Self::InvalidJson,
        Self::NotAnObject,
        Self::MissingTime,
        Self::InvalidTime,
        Self::FutureTime,
        Self::UnreadableEvent,
        Self::RouteFailed,
        Self::Refused,
    ];

    /// The word in the header and in the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingKey => "missing_key",
            Self::MissingTenant => "missing_tenant",
            Self::MissingAsset => "missing_asset",
            Self::DuplicateIdentity => "duplicate_identity",
            Self::InvalidId => "invalid_id",
            Self::TooLarge => "too_large",
            Self::InvalidJson => "invalid_json",
            Self::NotAnObject => "not_an_object",
            Self::MissingTime => "missing_time",
            Self::InvalidTime => "invalid_time",
            Self::FutureTime => "future_time",
            Self::UnreadableEvent => "unreadable_event",
            Self::RouteFailed => "route_failed",
            Self::Refused => "refused",
        }
    }
}

/// Why a record cannot be read: the reason, and in words where to look. Never any payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct Refusal {
    /// The reason of the closed set.
    pub reason: DeadLetterReason,
    /// What is wrong, in words.
    pub what: &'static str,
    /// The byte of the value it was found at, where that helps.
    pub at: Option<usize>,
}

impl Refusal {
    /// A refusal that needs no place.
    pub fn new(reason: DeadLetterReason, what: &'static str) -> Self {
        Self { reason, what, at: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "{} at byte {at}", self.what),
            None => f.write_str(self.what),
        }
    }
}

/// A record set aside, with what says where it came from.
#[derive(Debug, Clone, Copy)]
pub struct DeadLetter<'a> {
    /// Its input topic.
    pub topic: &'a str,
    /// Its partition there.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
    /// Its Kafka timestamp.
    pub timestamp: TimestampMs,
    /// Its key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
    /// Why.
    pub reason: DeadLetterReason,
    /// Why, in words without payload.
    pub message: &'a str,
}

impl<'a> DeadLetter<'a> {
    /// The five headers in order, names and values, for a sink that has headers.
    pub fn headers<'b>(&'b self, partition: &'b str, offset: &'b str) -> [(&'static str, &'b str); 5] {
        [
            ("__sharecast.errors.topic", self.topic),
            ("__sharecast.errors.partition", partition),
            ("__sharecast.errors.offset", offset),
            ("__sharecast.errors.reason", self.reason.as_str()),
            ("__sharecast.errors.message", self.message),
        ]
    }

    /// Appends the line that `replay` writes, without its line end. Bytes that are no UTF-8 stand in `key_base64` and
    /// `value_base64`.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let (partition, offset) = (self.partition.to_string(), self.offset.to_string());
        write_object(out, |out| {
            write_bytes("key", self.key, out);
            out.time("timestamp", self.timestamp.moment());
            out.object("headers", |out| self.headers(&partition, &offset).into_iter().for_each(|(name, value)| out.text(name, value)));
            write_bytes("value", self.value, out);
        });
    }
}

fn write_bytes(name: &str, bytes: Option<&[u8]>, out: &mut ObjectWriter<'_>) {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => out.null(name),
        Some((_, Ok(text))) => out.text(name, text),
        Some((bytes, Err(_))) => out.text(&format!("{name}_base64"), &base64::prelude::BASE64_STANDARD.encode(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(key: Option<&[u8]>, value: Option<&[u8]>) -> String {
        let letter = DeadLetter {
            topic: "telemetry.raw",
            partition: 0,
            offset: Offset(7),
            timestamp: TimestampMs(500),
            key,
            value,
            reason: DeadLetterReason::InvalidJson,
            message: "no value at byte 0",
        };
        let mut out = Vec::new();
        letter.write_line(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn d29_members_stand_in_order_and_nulls_stay() {
        assert_eq!(
            line(None, Some(b"{\"a\":\t1}")),
            r#"{"key":null,"timestamp":"1970-01-01T00:00:00.5Z","headers":{"__sharecast.errors.topic":"telemetry.raw","__sharecast.errors.partition":"0","__sharecast.errors.offset":"7","__sharecast.errors.reason":"invalid_json","__sharecast.errors.message":"no value at byte 0"},"value":"{\"a\":\t1}"}"#
        );
        assert!(line(Some(b"k"), None).starts_with(r#"{"key":"k","#) && line(Some(b"k"), None).ends_with(r#","value":null}"#));
    }

    #[test]
    fn d29_bytes_that_are_no_utf8_are_base64() {
        assert!(line(None, Some(b"\xff\xfe{")).ends_with(r#","value_base64":"//57"}"#));
    }

    #[test]
    fn reasons_are_the_closed_set_of_section_6() {
        let words: Vec<_> = DeadLetterReason::ALL.iter().map(|r| r.as_str()).collect();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), words.len());
    }
}
