//! Writing events, one or many by the same path, and waiting for what becomes of them.

use super::outcome::{Delivered, follow};
use super::trial::Until;
use crate::cli::args::ActorArgs;
use crate::cli::exit::{Exit, Failure, client_failure, input_failure};
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::document::Node;
use crate::id::Offset;
use crate::kafka::{BulkWriter, KafkaSettings, TopicReader, WriteError};
use crate::share::event::kind::EventType;
use crate::writing::events::{EventBatch, EventRecords};

/// Events of one type and sender.
pub(super) struct Events<'e> {
    pub(super) source: &'e str,
    pub(super) kind: EventType,
    /// Id and `data` of each.
    pub(super) all: Vec<(&'e str, &'e Node)>,
    /// How they are written again if nobody knows whether they were: said where that is so.
    pub(super) again: String,
    /// The log holds nothing but ticks: its configuration is named before them.
    pub(super) is_first: bool,
}

/// What became of them.
pub(super) struct WrittenEvents {
    pub(super) offsets: Vec<Offset>,
    /// Why none is known does not undo the write.
    pub(super) outcomes: Result<Vec<Delivered>, Failure>,
    /// When the last was acknowledged.
    pub(super) acknowledged: BootTime,
}

impl Events<'_> {
    /// Writes them by `until`; with `--wait` follows them.
    pub(super) fn write(&self, config: &Config, acting: &ActorArgs, until: Until) -> Result<WrittenEvents, Failure> {
        let (clock, kafka, shares) = (SystemClock, KafkaSettings::of(&config.kafka), &config.topics.shares);
        if self.all.is_empty() {
            return Ok(WrittenEvents { offsets: Vec::new(), outcomes: Ok(Vec::new()), acknowledged: clock.boot() });
        }
        let first = self.is_first.then(|| config.fold_rules().configuration());
        let batch = EventBatch { source: self.source, kind: self.kind, actor: None, all: self.all.clone(), first };
        let EventRecords { values: events, prepended } = batch.records(clock.wall());
        // Opened before the write, so that no answer can be missed.
        let reader = acting.wait.then(|| TopicReader::open_at_end_within(&kafka, shares, [0], until.left()).map_err(input_failure));
        if let Some(Err(failure)) = &reader
            && !self.all.iter().all(|(_, data)| self.kind.is_written_untried(data))
        {
            let what = format!("nothing was written, for {shares} cannot be read, which --wait needs (has an engine run?): {failure}");
            return Err(Failure::new(failure.exit, what));
        }
        let mut writer = BulkWriter::open(&kafka, &config.control.topic, until.left()).map_err(client_failure)?;
        let mut offsets = writer.append_all(&events).map_err(|unwritten| {
            let what = if events.len() == 1 { unwritten.error.to_string() } else { unwritten.to_string() };
            match unwritten.error {
                WriteError::Refused(_) => Failure::new(Exit::Configuration, what),
                WriteError::Unknown(_) | WriteError::Fatal(_) => Failure::new(Exit::Unavailable, format!("{what}; {}", self.again)),
            }
        })?;
        offsets.drain(..prepended);
        let acknowledged = clock.boot();
        let outcomes = match reader {
            None => Ok(vec![Delivered::Written; offsets.len()]),
            Some(Err(failure)) => {
                let last = offsets.last().copied().unwrap_or(Offset(-1));
                let what = format!("it is written (control offset {last}), but what became of it cannot be read in {shares}: {failure}");
                Err(Failure::new(failure.exit, what))
            }
            Some(Ok(reader)) => {
                let written: Vec<(Offset, &str)> = offsets.iter().zip(&self.all).map(|(offset, (id, _))| (*offset, *id)).collect();
                follow(config, &kafka, reader, &written, acting.patience()?)
            }
        };
        Ok(WrittenEvents { offsets, outcomes, acknowledged })
    }
}
