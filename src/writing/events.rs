//! Events as the control topic gets them.

use crate::document::Node;
use crate::share::configuration::FoldConfiguration;
use crate::share::event;
use crate::share::event::kind::EventType;
use crate::share::table::configuration::first_event;
use crate::time::TimestampMs;

/// Events of one type and sender.
#[derive(Debug, Clone)]
pub struct EventBatch<'e> {
    /// Their `source`.
    pub source: &'e str,
    /// Their type.
    pub kind: EventType,
    /// Their `actor`: the person or program that acts for the source, where that is known.
    pub actor: Option<&'e str>,
    /// Id and `data` of each.
    pub all: Vec<(&'e str, &'e Node)>,
    /// Named before them: the log holds nothing but ticks, and whoever writes first says by what it is folded.
    pub first: Option<FoldConfiguration>,
}

/// Records to be appended.
#[derive(Debug)]
pub struct EventRecords {
    /// Their values, in order.
    pub values: Vec<Vec<u8>>,
    /// How many of the first are none of the events.
    pub prepended: usize,
}

impl EventBatch<'_> {
    /// The records, as of this time.
    pub fn records(&self, now: TimestampMs) -> EventRecords {
        let full_name = self.kind.full_name();
        // An event that names the configuration itself needs none before it.
        let first = self.first.as_ref().filter(|_| self.kind != EventType::ControlConfigured).map(|first| first_event(first, now));
        let prepended = first.iter().len();
        let events = self.all.iter().map(|(id, data)| event::write_structured_by(id, self.source, &full_name, now, self.actor, data));
        EventRecords { values: first.into_iter().chain(events).collect(), prepended }
    }
}
