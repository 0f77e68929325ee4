//! Before anything is written: the control topic is folded to its end, so that the event can be tried on the table as it is now.

use std::time::Duration;

use crate::cli::control_fold::{ControlFold, NextRecord, StartFrom};
use crate::cli::exit::{Exit, Failure, client_failure};
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::document::Node;
use crate::id::Offset;
use crate::kafka::{Admin, KafkaSettings};
use crate::share::event::Envelope;
use crate::share::status::Audience;
use crate::share::table::{Outcome, ShareTable};

/// When the patience of a command ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Until(BootTime);

impl Until {
    /// So long from now on.
    pub(super) fn after(patience: Duration) -> Self {
        Self(SystemClock.boot().after(patience))
    }

    /// What is left of it.
    pub(super) fn left(self) -> Duration {
        self.0.since(SystemClock.boot())
    }

    /// As a moment.
    pub(super) fn end(self) -> BootTime {
        self.0
    }

    /// The end of the first half of what is left.
    fn halved(self) -> Self {
        Self::after(self.left() / 2)
    }
}

/// Asks whether the cluster is there and lets this command in. Without that nothing can be tried, and nothing be written.
pub(super) fn reach_cluster(config: &Config, until: Until) -> Result<(), Failure> {
    let admin = Admin::open(&KafkaSettings::of(&config.kafka), until.left()).map_err(client_failure)?;
    let answer = admin.cluster_id().map(drop).map_err(client_failure);
    answer.map_err(|failure| Failure::new(failure.exit, format!("{failure}; nothing was written")))
}

/// The table as it is now, and what was found of an event under the id that is to be written.
pub(super) struct Trial {
    pub(in crate::cli) table: ShareTable,
    pub(super) first: Option<FirstAnswer>,
}

/// The first event of an id, and what became of it.
pub(super) struct FirstAnswer {
    pub(super) offset: Offset,
    /// The whole type.
    pub(super) kind: String,
    pub(super) data: Node,
    pub(super) outcome: Outcome,
    /// The document of its share, right after it.
    pub(super) document: Option<Vec<u8>>,
}

/// Folds the control topic. What is better written untried leaves half of the time for the write.
pub(super) fn fold(config: &Config, until: Until, leaves_time: bool, event: Option<(&str, &str)>) -> Result<Trial, Failure> {
    let until = if leaves_time { until.halved() } else { until };
    let mut trial = fold_from(config, until, StartFrom::Snapshot, event)?;
    let now = SystemClock.wall().max(trial.table.control_time());
    let is_known = event.is_some_and(|(source, id)| trial.table.knows_event(source, id, now));
    if is_known && trial.first.is_none() {
        // It is older than the snapshot.
        trial = fold_from(config, until, StartFrom::First, event)?;
    }
    // What is forgotten is no repeat.
    trial.first = trial.first.filter(|_| is_known);
    Ok(trial)
}

fn fold_from(config: &Config, until: Until, beginning: StartFrom, event: Option<(&str, &str)>) -> Result<Trial, Failure> {
    let mut fold = ControlFold::open(config, until.left(), beginning)?;
    fold.end_by(until.end());
    let mut first = None;
    fold.read_to_end(|table, coming: NextRecord<'_>| {
        let Some((source, id)) = event else {
            coming.fold(table);
            return Ok::<(), Failure>(());
        };
        let is_named = |record: &Envelope| record.source == source && record.id == id;
        let (named, folded) = coming.fold_noting(table, |record| record.as_ref().ok().filter(|record| is_named(record)).cloned());
        let is_repeat = matches!(folded.outcome, Outcome::Repeated | Outcome::Rejected("id_reused"));
        if let Some(Envelope { kind, data, .. }) = named.filter(|_| !is_repeat) {
            let share = data.get("share").and_then(Node::as_str).and_then(|share| table.share(share));
            let document = share.map(|share| share.to_json(Audience::Owner));
            first = Some(FirstAnswer { offset: coming.record.offset, kind, data, outcome: folded.outcome, document });
        }
        Ok(())
    })?;
    Ok(Trial { table: fold.table, first })
}

/// Says that nothing came of it.
pub(super) fn unwritten(failure: Failure) -> Failure {
    Failure::new(failure.exit, format!("nothing was written, for it could not be tried first: {failure}"))
}

/// Says that it is written all the same. None where that would not help.
pub(super) fn written_untried(failure: &Failure) -> Option<String> {
    let is_temporary_or_denied = matches!(failure.exit, Exit::Unavailable | Exit::Configuration);
    is_temporary_or_denied.then(|| format!("warning: it is written untried, for it takes something away: {failure}"))
}
