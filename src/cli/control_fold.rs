//! Reading the control topic to its end, for the commands that show what it has led to. No engine need run.

use std::time::Duration;

use crate::cli::exit::{Exit, Failure, client_failure, input_failure, tell};
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::engine::control;
use crate::engine::control::snapshot;
use crate::id::Offset;
use crate::kafka::{Admin, KafkaControlLog, KafkaEndProbe, KafkaSettings};
use crate::share::event::{Envelope, Unreadable};
use crate::share::snapshot::SnapshotOrigin;
use crate::share::table::{Folded, ShareTable};
use crate::time::TimestampMs;
use crate::transport::{ConsumeError, ControlLog, ControlRecord, EndProbe};

/// So long one poll waits for the first record.
const POLL_WAIT: Duration = Duration::from_millis(100);

/// Where the fold begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartFrom {
    /// At the local snapshot, where one can be used.
    Snapshot,
    /// The same, for a table with all that an engine's has: to be written as a snapshot itself.
    Whole,
    /// The same, by a snapshot of this offset or an earlier one: for a table of then.
    WholeBelow(Offset),
    /// At the first event of all: for what the table does not keep.
    First,
    /// At the oldest record that is there, folded or not.
    Oldest,
}

/// The control topic, and what is folded of it.
pub(super) struct ControlFold {
    /// The fold so far.
    pub(in crate::cli) table: ShareTable,
    log: KafkaControlLog,
    control_time: TimestampMs,
    topic: String,
    /// Asks for the end.
    probe: KafkaEndProbe,
    /// The end that was seen last.
    end: Offset,
    patience: Duration,
    /// Progress does not lengthen this.
    end_by: Option<BootTime>,
    trouble: Option<String>,
}

/// A control record on its way into the fold.
pub(super) struct NextRecord<'a> {
    /// The record.
    pub(super) record: &'a ControlRecord,
    /// Its control time: the largest timestamp up to it.
    pub(super) time: TimestampMs,
}

impl NextRecord<'_> {
    /// Folds it.
    pub(super) fn fold(&self, table: &mut ShareTable) -> Folded {
        self.fold_noting(table, |_| ()).1
    }

    /// The same, with a look at what it was read as.
    pub(super) fn fold_noting<N>(&self, table: &mut ShareTable, note: impl FnOnce(&Result<Envelope, Unreadable>) -> N) -> (N, Folded) {
        let record = control::read(self.record);
        (note(&record), table.fold(self.record.offset, self.time, record))
    }
}

impl ControlFold {
    /// Opens the topic; its end is asked for here. `patience` is how long the cluster may be silent.
    pub(super) fn open(config: &Config, patience: Duration, beginning: StartFrom) -> Result<Self, Failure> {
        let (kafka, topic) = (KafkaSettings::of(&config.kafka), config.control.topic.clone());
        let given_up = SystemClock.boot().after(patience);
        // The first question of all: who is refused, or reaches nobody, is told so at once, and why.
        let cluster = Admin::open(&kafka, patience).and_then(|admin| admin.cluster_id()).map_err(client_failure)?;
        let mut probe = KafkaEndProbe::open(&kafka, &topic, given_up.since(SystemClock.boot())).map_err(client_failure)?;
        let bounds = probe.ask().map_err(|error| missing_or(error, &kafka, &topic, patience))?;
        let rules = config.fold_rules();
        let empty = if matches!(beginning, StartFrom::Whole | StartFrom::WholeBelow(_)) {
            ShareTable::new(rules)
        } else {
            ShareTable::for_documents(rules)
        };
        let is_cut = bounds.start > Offset(0);
        if beginning == StartFrom::First && is_cut {
            tell!("{topic} begins at offset {}: what happened before is not shown", bounds.start);
        }
        let table = if matches!(beginning, StartFrom::Snapshot | StartFrom::Whole | StartFrom::WholeBelow(_))
            || beginning == StartFrom::First && is_cut
        {
            let origin = SnapshotOrigin { cluster, topic: topic.clone() };
            let anew = empty.emptied();
            let needed = match beginning {
                StartFrom::WholeBelow(offset) => bounds.end.min(Offset(offset.0.saturating_add(1))),
                StartFrom::Snapshot | StartFrom::Whole | StartFrom::First | StartFrom::Oldest => bounds.end,
            };
            let table = snapshot::load_before(&config.snapshot.path, needed, &origin, empty);
            if table.epoch().0 + 1 < bounds.start.0 { anew } else { table }
        } else {
            empty
        };
        let next = Offset(table.epoch().0 + 1);
        let from = if beginning == StartFrom::Oldest { bounds.start } else { next };
        if from < bounds.start {
            let what = format!("{topic} begins at offset {}: what stood before is gone, and no snapshot reaches that far", bounds.start);
            return Err(Failure::new(Exit::Configuration, what));
        }
        let log = KafkaControlLog::open(&kafka, &topic, from).map_err(client_failure)?;
        Ok(Self { control_time: table.control_time(), table, log, topic, probe, end: bounds.end, patience, end_by: None, trouble: None })
    }

    /// From here on it gives up at this time, however much was read until then.
    pub(super) fn end_by(&mut self, end: BootTime) {
        self.end_by = Some(end);
    }

    /// Asks for the end again, for what was written since.
    pub(super) fn look_again(&mut self) -> Result<(), Failure> {
        self.end = self.probe.ask().map_err(input_failure)?.end;
        Ok(())
    }

    /// Hands over every record up to the end seen last, each to be folded by whom it is handed to.
    pub(super) fn read_to_end<E: From<Failure>>(
        &mut self,
        mut each: impl FnMut(&mut ShareTable, NextRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut given_up = self.give_up();
        let mut position = self.log.position().map_err(input_failure)?;
        while position < self.end {
            self.poll(&mut each)?;
            let now = self.log.position().map_err(input_failure)?;
            if now > position {
                (position, given_up) = (now, self.give_up());
            }
            if position < self.end && SystemClock.boot() >= given_up {
                let why = self.trouble.take().unwrap_or_else(|| "is a transaction open on it?".to_owned());
                let what = format!("{} was read to offset {position} and no further, its end is {}: {why}", self.topic, self.end);
                return Err(Failure::new(Exit::Unavailable, what).into());
            }
        }
        if let [stream, more @ ..] = self.table.misjudged_streams() {
            let and = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            tell!(
                "warning: events before the log's first configuration name the stream {stream}{and}, which this configuration lacks: shares \
                 that name it may be missing here"
            );
        }
        for offset in self.table.unreadable_offsets() {
            tell!(
                "warning: control offset {offset} cannot be understood and waits for `sharecast control skip`: what it says is missing here"
            );
        }
        Ok(())
    }

    /// Folds up to the end seen last.
    pub(super) fn fold_to_end(mut self) -> Result<ShareTable, Failure> {
        self.read_to_end(|table, coming| {
            coming.fold(table);
            Ok::<(), Failure>(())
        })?;
        Ok(self.table)
    }

    /// Goes on handing over records as they come. A cluster that does not answer is waited for.
    pub(super) fn follow<E: From<Failure>>(
        &mut self,
        mut each: impl FnMut(&mut ShareTable, NextRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            self.poll(&mut each)?;
        }
    }

    fn poll<E: From<Failure>>(&mut self, each: &mut impl FnMut(&mut ShareTable, NextRecord<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut records = Vec::new();
        let polled = self.log.poll(POLL_WAIT, &mut records);
        // What came before an error counts: it would never come again.
        for record in &records {
            self.control_time = self.control_time.max(record.timestamp);
            each(&mut self.table, NextRecord { record, time: self.control_time })?;
        }
        match polled {
            Ok(()) => Ok(()),
            Err(ConsumeError::Unavailable(reason)) => {
                self.trouble = Some(reason);
                Ok(())
            }
            Err(other) => Err(input_failure(other).into()),
        }
    }

    fn give_up(&self) -> BootTime {
        let silent = SystemClock.boot().after(self.patience);
        self.end_by.map_or(silent, |end| end.min(silent))
    }
}

/// Why the topic's end was not told: it may not be there yet, which librdkafka says in words of its own.
fn missing_or(error: ConsumeError, kafka: &KafkaSettings, topic: &str, patience: Duration) -> Failure {
    let is_refused = matches!(error, ConsumeError::Refused(_));
    if is_refused && matches!(Admin::open(kafka, patience).and_then(|admin| admin.topic(topic)), Ok(None)) {
        let what =
            format!("the control topic {topic} is not there: `sharecast provision` makes it, or is control.topic or the cluster another?");
        return Failure::new(Exit::Configuration, what);
    }
    input_failure(error)
}
