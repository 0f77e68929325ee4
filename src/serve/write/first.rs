//! What became of events that were written before, and that nobody here remembers: the log is folded again for them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::document::Node;
use crate::id::Offset;
use crate::serve::Serve;
use crate::serve::history::LogReader;
use crate::serve::problem::Problem;
use crate::serve::recent::{EventOutcome, ShareDocuments};
use crate::serve::write::trial::OrderTrial;
use crate::share::event::{Envelope, Unreadable};
use crate::share::table::{Folded, Outcome, ShareTable};
use crate::time::TimestampMs;

/// By the event's id.
pub(super) type FirstOutcomes = HashMap<String, EventOutcome>;

impl Serve {
    /// What became of the events of these rows, of whom nothing is remembered here.
    pub(super) async fn first_outcomes(self: &Arc<Self>, source: &str, trial: &OrderTrial) -> Result<FirstOutcomes, Problem> {
        let wanted: HashMap<String, Option<EventOutcome>> = {
            let recent = self.recent.lock().expect("it is only added to");
            let unknown = trial.rows.iter().filter(|row| row.has_event() && recent.find(source, &row.event).is_none());
            unknown.map(|row| (row.event.clone(), None)).collect()
        };
        if wanted.is_empty() {
            return Ok(FirstOutcomes::new());
        }
        let mut reader = FirstReader { source: source.to_owned(), wanted, noted: None };
        let through = self.epoch();
        let read = self.read_log(move |serve| {
            serve.fold_again(ShareTable::for_documents(serve.config.fold_rules()), through, &mut reader)?;
            Ok(reader.wanted)
        });
        Ok(read.await?.into_iter().filter_map(|(event, outcome)| Some((event, outcome?))).collect())
    }
}

struct FirstReader {
    source: String,
    wanted: HashMap<String, Option<EventOutcome>>,
    /// The event that is being folded, if it is wanted: its id and its share.
    noted: Option<(String, Option<String>)>,
}

impl LogReader for FirstReader {
    fn takes(&mut self, _: Offset, _: TimestampMs) -> bool {
        true
    }

    fn reads(&mut self, record: &Result<Envelope, Unreadable>) {
        let event = record.as_ref().ok().filter(|event| event.source == self.source && self.wanted.contains_key(&event.id));
        self.noted = event.map(|event| (event.id.clone(), event.data.get("share").and_then(Node::as_str).map(str::to_owned)));
    }

    fn folded(&mut self, offset: Offset, folded: &Folded, _: &ShareTable) {
        let Some((id, share)) = self.noted.take() else { return };
        // After thirty days a repeat is the first of its name again.
        if matches!(folded.outcome, Outcome::Repeated | Outcome::Rejected("id_reused")) {
            return;
        }
        let documents = ShareDocuments::of(share.as_deref(), &folded.documents);
        self.wanted.insert(id, Some(EventOutcome { offset, outcome: folded.outcome.clone(), documents }));
    }
}
