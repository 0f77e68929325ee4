//! What became of events that were written, by the status topic.

use std::collections::HashMap;
use std::time::Duration;

use tracing::debug;

use crate::cli::args::GivenTime;
use crate::cli::exit::{Exit, Failure, client_failure, input_failure};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::document::{DocumentKind, Node};
use crate::id::Offset;
use crate::json::document;
use crate::json::writer::{ObjectWriter, object};
use crate::kafka::{ClientError, CommittedOffsets, KafkaSettings, ReadRecord, TopicReader};
use crate::writing::certainty::Quiescence;

/// What became of a written event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivered {
    /// It is in the log; nobody was asked what became of it.
    Written,
    /// It changed the share; its status document.
    Applied(Vec<u8>),
    /// A rule was broken.
    Rejected(String),
    /// It changed no share: the same event again, or one that no status document speaks of.
    Unchanged,
}

impl Delivered {
    /// As results have it. Only shares have status documents: of other events one knows that they were folded and not rejected.
    pub(in crate::cli) fn word(&self, is_of_share: bool) -> &'static str {
        match self {
            Self::Written => "written",
            Self::Unchanged if !is_of_share => "folded",
            Self::Applied(_) => "applied",
            Self::Rejected(_) => "rejected",
            Self::Unchanged => "unchanged",
        }
    }

    /// Whether nothing came of the event: a rejection, or an offer that failed.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Self::Rejected(_)) || self.state().is_some_and(|state| state.starts_with("FAILED"))
    }

    /// The state that the share is in now, with the reason if there is one.
    pub(super) fn state(&self) -> Option<String> {
        let Self::Applied(bytes) = self else { return None };
        let node = document::parse(bytes).ok()?;
        let text = |name: &str| node.get(name).and_then(Node::as_str);
        let reason = text("reason").map(|reason| format!(" ({reason})")).unwrap_or_default();
        Some(format!("{}{reason}", text("state")?))
    }
}

/// One line of JSON of what was not written, because it is so already or was written before.
pub(super) fn already_so(kind: &str, share: &str, asset: Option<&str>, word: &str, certain: Option<Quiescence>) -> Vec<u8> {
    object(|out| {
        out.text("type", kind);
        out.text("outcome", word);
        out.text("share", share);
        out.text_if("asset", asset);
        out.text_if("certain", certain.map(Quiescence::word));
    })
}

/// An event that was written.
pub(super) struct Sent<'a> {
    /// Its id.
    pub(super) id: &'a str,
    /// `share.offered` and so on.
    pub(super) kind: &'a str,
    /// The share it is about.
    pub(super) share: Option<&'a str>,
    /// The asset that it offers, where many are offered at once.
    pub(super) asset: Option<&'a str>,
    /// Where it is.
    pub(super) offset: Offset,
    /// Times that were given, as they were understood.
    pub(super) times: &'a [GivenTime],
    /// How it came to be there.
    pub(super) how: How,
}

/// How an event came to be in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It was tried, and written.
    Tried,
    /// It was written without a trial, which could not be made.
    Untried,
    /// It was there before.
    Before,
}

/// `"times":{"ends":"…"}`, where times were given.
fn write_times(times: &[GivenTime], out: &mut ObjectWriter<'_>) {
    if !times.is_empty() {
        out.object("times", |out| times.iter().for_each(|given| out.text(given.member, &given.time.to_string())));
    }
}

/// `  ends 2026-12-01T00:00:00Z`, where times were given.
pub(super) fn times_in_words(times: &[GivenTime]) -> String {
    times.iter().map(|given| format!("  {} {}", given.member, given.time)).collect()
}

impl Sent<'_> {
    /// One line of JSON.
    pub(super) fn to_json(&self, outcome: &Delivered, certain: Option<Quiescence>) -> Vec<u8> {
        let word = outcome.word(self.share.is_some());
        object(|out| {
            out.text("event", self.id);
            out.text("type", self.kind);
            out.number("offset", self.offset.0);
            out.text("outcome", word);
            out.text_if("share", self.share);
            out.text_if("asset", self.asset);
            match outcome {
                Delivered::Rejected(reason) => out.text("reason", reason),
                Delivered::Applied(document) => out.json("status", document),
                Delivered::Written | Delivered::Unchanged => {}
            }
            write_times(self.times, out);
            match self.how {
                How::Tried => {}
                How::Untried => out.flag("tried", false),
                How::Before => out.flag("repeated", true),
            }
            out.text_if("certain", certain.map(Quiescence::word));
        })
    }
}

/// Follows the status topic from where `reader` stands until a document of each of these events came, or the status writer has passed
/// their offsets without one. `patience` is how long nothing may be heard.
pub(super) fn follow(
    config: &Config,
    kafka: &KafkaSettings,
    mut reader: TopicReader,
    events: &[(Offset, &str)],
    patience: Duration,
) -> Result<Vec<Delivered>, Failure> {
    let committed = CommittedOffsets::of(kafka, &format!("{}-status", kafka.group)).map_err(client_failure)?;
    let places: HashMap<i64, usize> = events.iter().enumerate().map(|(at, (offset, _))| (offset.0, at)).collect();
    let last = events.iter().map(|(offset, _)| *offset).max().unwrap_or(Offset(-1));
    let mut outcomes: Vec<Option<Delivered>> = vec![None; events.len()];
    let mut left = events.len();
    let mut until = SystemClock.boot().after(patience);
    while left > 0 {
        // Asked before the read: what was committed then is in the topic now.
        let is_passed = match committed.ask(&[(&config.control.topic, 0)], Duration::from_secs(1)) {
            Ok(offsets) => offsets.into_iter().flatten().any(|next| next.offset > last),
            Err(ClientError::Unavailable(reason)) => {
                debug!(reason, "status writer's offset");
                false
            }
            Err(other) => return Err(client_failure(other)),
        };
        let before = left;
        let each = |record: ReadRecord<'_>| {
            let Some((at, outcome)) = record.value().and_then(|value| outcome_of(record.key(), value, &places, events)) else { return };
            left -= usize::from(outcomes[at].is_none());
            outcomes[at] = Some(outcome);
        };
        // What was committed is there to be read, but a reader that has just begun may take its time.
        let read = if is_passed { reader.catch_up(patience, each) } else { reader.follow(Duration::from_millis(200), each) };
        read.map_err(input_failure)?;
        if is_passed {
            break;
        }
        if left < before {
            until = SystemClock.boot().after(patience);
        } else if SystemClock.boot() >= until {
            let what = if events.len() == 1 {
                format!(
                    "the event is written, but no status came in time: is an engine of this group running? See --timeout (control offset {last})"
                )
            } else {
                format!(
                    "all is written, but of {left} of {} events no status came in time: is an engine of this group running? See --timeout \
                     (the last control offset is {last})",
                    events.len()
                )
            };
            return Err(Failure::new(Exit::Unavailable, what));
        }
    }
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(Delivered::Unchanged)).collect())
}

/// What a status record says of one of these events.
fn outcome_of(key: Option<&[u8]>, value: &[u8], places: &HashMap<i64, usize>, events: &[(Offset, &str)]) -> Option<(usize, Delivered)> {
    let node = document::parse(value).ok()?;
    let at = *places.get(&epoch_of(&node)?)?;
    let rejected = node.get("rejected").filter(|_| key == Some(format!("rejected:{}", events[at].1).as_bytes()));
    Some((
        at,
        match rejected {
            Some(rejected) => Delivered::Rejected(rejected.get("reason").and_then(Node::as_str).unwrap_or("unknown").to_owned()),
            None => Delivered::Applied(value.to_vec()),
        },
    ))
}

fn epoch_of(node: &Node) -> Option<i64> {
    match &node.get("epoch")?.kind {
        DocumentKind::Number(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_record_is_of_the_event_at_its_epoch() {
        let events = [(Offset(4), "e1"), (Offset(9), "e2")];
        let places = events.iter().enumerate().map(|(at, (offset, _))| (offset.0, at)).collect();
        let of = |key: &str, value: &str| outcome_of(Some(key.as_bytes()), value.as_bytes(), &places, &events);
        let applied = r#"{"share":"s","epoch":9}"#;
        assert_eq!(of("s", applied), Some((1, Delivered::Applied(applied.as_bytes().to_vec()))));
        let rejected = r#"{"rejected":{"id":"e1","reason":"wrong_state"},"epoch":4}"#;
        assert_eq!(of("rejected:e1", rejected), Some((0, Delivered::Rejected("wrong_state".to_owned()))));
        let failed = Delivered::Applied(br#"{"share":"s","state":"FAILED","reason":"no_partnership"}"#.to_vec());
        assert_eq!((failed.state().as_deref(), Delivered::Unchanged.state()), (Some("FAILED (no_partnership)"), None));
        assert_eq!((of("s", r#"{"epoch":5}"#), of("s", "{}"), of("s", "no")), (None, None, None));
    }

    #[test]
    fn a_result_is_one_line_of_json() {
        let sent =
            Sent { id: "e\"1", kind: "share.revoked", share: Some("s"), asset: None, offset: Offset(3), times: &[], how: How::Tried };
        let line = |outcome, certain| String::from_utf8(sent.to_json(&outcome, certain)).unwrap();
        assert_eq!(
            line(Delivered::Applied(b"{}".to_vec()), Some(Quiescence::Bound)),
            r#"{"event":"e\"1","type":"share.revoked","offset":3,"outcome":"applied","share":"s","status":{},"certain":"bound"}"#
        );
        let before = Sent { how: How::Before, ..sent };
        let said = String::from_utf8(before.to_json(&Delivered::Unchanged, None)).unwrap();
        assert!(said.ends_with(r#""outcome":"unchanged","share":"s","repeated":true}"#), "{said}");
        let sent = Sent { how: How::Tried, ..before };
        let line = |outcome, certain| String::from_utf8(sent.to_json(&outcome, certain)).unwrap();
        assert!(line(Delivered::Rejected("x".to_owned()), None).ends_with(r#""outcome":"rejected","share":"s","reason":"x"}"#));
    }
}
