//! Which offsets of the input a job looks at (docs/backfill.md#what-is-read).
//!
//! What counts is each record's event time. Where to begin and to stop is found by Kafka's timestamps, with some slack on both sides.

use std::time::Duration;

use crate::id::Offset;
use crate::kafka::{Backlog, ClientError};
use crate::time::TimestampMs;

/// The longest wait for one question.
const ASK: Duration = Duration::from_secs(30);
/// So long the oldest record of a partition is waited for: an open transaction may hide it.
const OLDEST_WITHIN: Duration = Duration::from_secs(5);

/// The part of one input partition that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputRange {
    /// The first offset.
    pub start: Offset,
    /// After the last.
    pub end: Offset,
}

impl InputRange {
    /// Of an input that ends by itself: nobody knows where.
    pub const WHOLE_FILE: Self = Self { start: Offset(0), end: Offset(i64::MAX) };

    /// How many offsets lie in it.
    pub fn len(self) -> u64 {
        (self.end.0 - self.start.0).max(0) as u64
    }

    /// How many offsets lie in all of these, if that is known.
    pub fn sum(ranges: &[Self]) -> Option<u64> {
        ranges.iter().all(|range| *range != Self::WHOLE_FILE).then(|| ranges.iter().map(|range| range.len()).sum())
    }

    /// Whether there is nothing to read.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What the input holds of a window.
#[derive(Debug, Clone)]
pub struct InputWindow {
    /// By partition.
    pub ranges: Vec<InputRange>,
    /// Partitions whose oldest record is younger than the beginning of the window, each with that record's Kafka timestamp.
    pub begins_late: Vec<(i32, TimestampMs)>,
}

/// Asks for the offsets from the first record since `from` to the first since `to`, or the end as it is now. The end counts records of
/// transactions too that are still open.
pub fn ask(
    backlog: &Backlog,
    topic: &str,
    partitions: i32,
    from: TimestampMs,
    to: TimestampMs,
    begin: TimestampMs,
) -> Result<InputWindow, ClientError> {
    let bounds = (0..partitions).map(|partition| backlog.bounds(topic, partition, ASK)).collect::<Result<Vec<_>, _>>()?;
    let starts = backlog.first_since(topic, partitions, from, ASK)?;
    let ends = backlog.first_since(topic, partitions, to, ASK)?;
    let range = |((bounds, start), end): ((&crate::transport::LogBounds, &Option<Offset>), &Option<Offset>)| {
        let start = start.map_or(bounds.end, |start| start.max(bounds.start)).min(bounds.end);
        // A record may have come between the questions.
        let end = end.map_or(bounds.end, |end| end.min(bounds.end)).max(start);
        InputRange { start, end }
    };
    let ranges: Vec<InputRange> = bounds.iter().zip(&starts).zip(&ends).map(range).collect();
    let mut begins_late = Vec::new();
    for (partition, bounds) in (0..).zip(&bounds).filter(|(_, bounds)| bounds.start < bounds.end) {
        if let Some(oldest) = backlog.timestamp_at(topic, partition, bounds.start, OLDEST_WITHIN)? {
            begins_late.push((partition, oldest, bounds.start));
        }
    }
    // Of one partition it says something where its beginning was deleted, of all of them in any case.
    let is_late = begins_late.iter().all(|(_, oldest, _)| *oldest > begin);
    begins_late.retain(|(_, oldest, start)| *oldest > begin && (is_late || *start > Offset(0)));
    let begins_late = begins_late.into_iter().map(|(partition, oldest, _)| (partition, oldest)).collect();
    Ok(InputWindow { ranges, begins_late })
}
