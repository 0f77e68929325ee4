//! By what the table judges, and since when (docs/rules/events.md#configuration-of-the-log).

use std::collections::BTreeSet;

use crate::document::Node;
use crate::id::{Epoch, StreamName};
use crate::json::document;
use crate::share::configuration::{FIRST_ID, FoldConfiguration, RULES};
use crate::share::event;
use crate::share::event::kind::EventType;
use crate::share::event::payload::{Configured, Data, ShareAction};
use crate::share::stream_lists::StreamNumber;
use crate::share::table::{FoldRules, ShareTable};
use crate::time::TimestampMs;

/// So many names of streams that were not configured are remembered; tenants choose them.
const MISSED_NAMES: usize = 256;

/// How the log came to the configuration in force.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogOrigin {
    /// The offset of the event that names it.
    pub(crate) configured_at: Option<Epoch>,
    /// Anything but ticks was folded.
    pub(crate) has_events: bool,
    /// Some of that came before the first configuration, so that the local one counted.
    pub(crate) began_locally: bool,
    /// Streams that offers and updates named then though they were not configured here.
    pub(crate) missed: BTreeSet<StreamName>,
    /// There were more of them.
    pub(crate) missed_more: bool,
    /// Those of them that the first configuration names: whoever is configured for them judged the beginning otherwise.
    pub(crate) misjudged: Vec<StreamName>,
}

/// The event by which whoever writes first to a log names this configuration.
pub fn first_event(configuration: &FoldConfiguration, at: TimestampMs) -> Vec<u8> {
    event::write_structured(FIRST_ID, "/sharecast", &EventType::ControlConfigured.full_name(), at, &data_of(configuration))
}

/// The data of the `control.configured` that names a configuration.
pub fn data_of(configuration: &FoldConfiguration) -> Node {
    document::parse(&configuration.to_data()).unwrap_or_else(|error| unreachable!("it was written here: {error}"))
}

impl FoldRules {
    /// What counts until the log names a configuration.
    pub fn configuration(&self) -> FoldConfiguration {
        FoldConfiguration {
            streams: self.streams.iter().map(|stream| (stream.name.clone(), stream.mode)).collect(),
            partnerships: self.partnerships,
            halts_on_unreadable: self.halts_on_unreadable,
            rules: RULES,
        }
    }
}

impl ShareTable {
    /// By what the next event is judged.
    pub fn configuration(&self) -> &FoldConfiguration {
        &self.configuration
    }

    /// The offset of the event that named the configuration in force; none while the local one counts.
    pub fn configured_at(&self) -> Option<Epoch> {
        self.origin.configured_at
    }

    /// Whether nothing but ticks was folded: whoever writes first names the configuration.
    pub fn has_only_ticks(&self) -> bool {
        !self.origin.has_events
    }

    /// Streams that events before the first configuration name, and that this process is not configured for: it judged those events
    /// otherwise than one that is.
    pub fn misjudged_streams(&self) -> &[StreamName] {
        &self.origin.misjudged
    }

    /// `control.configured`: all that follows is judged by it, and no share that is there is touched.
    pub(crate) fn configure(&mut self, configured: &Configured) {
        let origin = &mut self.origin;
        if origin.configured_at.is_none() {
            let is_missed =
                |name: &&StreamName| origin.missed_more && self.streams.find(name.as_str()).is_none() || origin.missed.contains(*name);
            origin.misjudged = configured.streams.keys().filter(is_missed).cloned().collect();
            (origin.missed, origin.missed_more) = (BTreeSet::new(), false);
        }
        origin.configured_at = Some(self.graph.epoch);
        self.streams.configure(configured.streams.keys());
        self.configuration = FoldConfiguration {
            streams: configured.streams.clone(),
            partnerships: configured.partnerships,
            halts_on_unreadable: configured.halts_on_unreadable.unwrap_or(self.configuration.halts_on_unreadable),
            rules: configured.rules.unwrap_or(self.configuration.rules),
        };
    }

    /// Whether an event names rules that are older than those in force.
    pub(crate) fn goes_back_in_rules(&self, data: &Data<'_>) -> bool {
        matches!(data, Data::Configured(configured) if configured.rules.is_some_and(|rules| rules < self.configuration.rules))
    }

    /// Remembers that something was folded that is no tick.
    pub(crate) fn note_event(&mut self) {
        self.origin.has_events = true;
        self.origin.began_locally |= self.origin.configured_at.is_none();
    }

    /// Remembers the streams that an event names while the local configuration counts, and that it does not have.
    pub(crate) fn note_missed(&mut self, data: &Data<'_>) {
        if self.origin.configured_at.is_some() {
            return;
        }
        let named: &[&str] = match data {
            Data::Offer(offer) => &offer.streams,
            Data::Share(_, ShareAction::Update(update)) => update.streams.as_deref().unwrap_or_default(),
            _ => &[],
        };
        let missed = named.iter().filter(|name| self.streams.find(name).is_none()).filter_map(|name| StreamName::parse(name).ok());
        for name in missed {
            if self.origin.missed.len() < MISSED_NAMES {
                self.origin.missed.insert(name);
            } else {
                self.origin.missed_more |= !self.origin.missed.contains(&name);
            }
        }
    }

    /// The streams in force.
    pub(crate) fn configured_streams(&self) -> impl Iterator<Item = StreamNumber> {
        self.streams.configured()
    }
}
