//! The time that a tombstone carries: that of what took the document away, as far as anybody still knows it.

use crate::id::{StreamIndex, StreamSet};
use crate::share::graph::{Grant, ShareGraph};
use crate::time::{TimestampMs, TimestampNs};

use crate::sink_state::wanted;

/// Why a document that is in a target's topic has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its share shows nothing of the stream: it is over, paused, or its profile has no section.
    Share,
    /// Its share shows it under another key, or to another target.
    Place,
    /// The asset has no document any more, none that can be read, or none that the profile's condition is true of.
    Document,
}

/// What was at hand when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// A record of the input with this Kafka timestamp.
    Record(TimestampMs),
    /// An event, a moment or a new profile of this time, which touched the share.
    Change(TimestampMs),
    /// A partition was read: nobody told what has changed.
    Reading,
}

/// What is known of a share whose document has to go.
#[derive(Debug, Clone, Copy)]
pub struct Cause {
    /// What was at hand.
    pub occasion: Occasion,
    /// The time of the first change, among those told and not yet carried out, that can be the reason: it withholds the stream, or
    /// for `Gone::Place` touches the share.
    pub told: Option<TimestampMs>,
    /// The share's own end, if that has come.
    pub ended: Option<TimestampMs>,
}

/// The time of the tombstone. Where no cause is known it is `control_time`, that of the graph which the decision is made by.
pub fn tombstone_time(gone: Gone, cause: Cause, control_time: TimestampMs) -> TimestampMs {
    match (gone, cause.occasion) {
        // What is at hand may have nothing to do with it: the graph is often newer than what was told.
        (Gone::Share, _) => cause.told.into_iter().chain(cause.ended).min().unwrap_or(control_time),
        (Gone::Place | Gone::Document, Occasion::Change(at)) | (Gone::Document, Occasion::Record(at)) => at,
        (Gone::Place, Occasion::Record(_)) | (Gone::Place | Gone::Document, Occasion::Reading) => cause.told.unwrap_or(control_time),
    }
}

/// The streams, of those given, of which the share shows documents at `now`.
pub fn shown(grant: Option<&Grant<'_>>, graph: &ShareGraph, streams: impl IntoIterator<Item = StreamIndex>, now: TimestampNs) -> StreamSet {
    let Some(grant) = grant else { return StreamSet::default() };
    let is_shown = |stream: &StreamIndex| wanted(grant, graph, *stream, now).is_some();
    streams.into_iter().filter(is_shown).fold(StreamSet::default(), StreamSet::with)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAPH: TimestampMs = TimestampMs(900);

    fn cause(occasion: Occasion, told: Option<i64>, ended: Option<i64>) -> Cause {
        Cause { occasion, told: told.map(TimestampMs), ended: ended.map(TimestampMs) }
    }

    #[test]
    fn a_share_that_shows_nothing_has_the_time_of_what_ended_it_first() {
        let at = |occasion, told, ended| tombstone_time(Gone::Share, cause(occasion, told, ended), GRAPH).0;
        for occasion in [Occasion::Record(TimestampMs(1)), Occasion::Change(TimestampMs(1)), Occasion::Reading] {
            assert_eq!(at(occasion, Some(5), Some(7)), 5);
            assert_eq!(at(occasion, Some(7), Some(5)), 5, "the end came before the event that was told first");
            assert_eq!(at(occasion, None, Some(7)), 7);
            assert_eq!(at(occasion, Some(5), None), 5);
            assert_eq!(at(occasion, None, None), GRAPH.0, "a pause that nobody told of");
        }
    }

    #[test]
    fn a_document_that_is_gone_has_the_time_of_its_record() {
        let at = |occasion| tombstone_time(Gone::Document, cause(occasion, None, None), GRAPH).0;
        assert_eq!(at(Occasion::Record(TimestampMs(3))), 3);
        assert_eq!(at(Occasion::Change(TimestampMs(3))), 3, "what a failed topic was owed is brought again");
        assert_eq!(at(Occasion::Reading), GRAPH.0, "compaction took the record away too");
    }

    #[test]
    fn a_document_that_moves_has_the_time_of_the_event_and_never_that_of_a_record() {
        let at = |occasion| tombstone_time(Gone::Place, cause(occasion, None, None), GRAPH).0;
        assert_eq!(tombstone_time(Gone::Place, cause(Occasion::Record(TimestampMs(3)), Some(4), None), GRAPH).0, 4);
        assert_eq!(at(Occasion::Change(TimestampMs(3))), 3);
        assert_eq!(at(Occasion::Record(TimestampMs(3))), GRAPH.0);
        assert_eq!(at(Occasion::Reading), GRAPH.0);
    }
}
