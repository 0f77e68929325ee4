//! The shares of an earlier moment, or of now: folded from the log, with a snapshot at or below it where there is one.

use std::path::Path;
use std::time::Duration;

use crate::cli::config::name_of;
use crate::cli::control_fold::{ControlFold, StartFrom};
use crate::cli::exit::{Exit, Failure, tell};
use crate::config::Config;
use crate::id::Offset;
use crate::replay::control::read_lines;
use crate::share::table::ShareTable;
use crate::time::TimestampMs;

/// Up to where the log counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct PointInLog {
    /// The last offset that is in.
    pub(super) epoch: Option<Offset>,
    /// The last control time that is in. An epoch that is named alone decides about the shares.
    pub(super) at: Option<TimestampMs>,
}

impl PointInLog {
    fn has(self, offset: Offset, time: TimestampMs) -> bool {
        match (self.epoch, self.at) {
            (Some(epoch), _) => offset <= epoch,
            (None, Some(at)) => time <= at,
            (None, None) => true,
        }
    }
}

/// Folds the cluster's control topic.
pub(super) fn fold_log(config: &Config, patience: Duration, then: PointInLog) -> Result<ShareTable, Failure> {
    let mut fold = ControlFold::open(config, patience, then.epoch.map_or(StartFrom::Whole, StartFrom::WholeBelow))?;
    while let (None, Some(at)) = (then.epoch, then.at)
        && fold.table.control_time() > at
    {
        // The snapshot knows more than was known then.
        let before = Offset(fold.table.epoch().0 - 1);
        fold = ControlFold::open(config, patience, StartFrom::WholeBelow(before))?;
    }
    let mut last = Offset(fold.table.epoch().0);
    fold.read_to_end(|table, coming| {
        last = coming.record.offset;
        if then.has(coming.record.offset, coming.time) {
            coming.fold(table);
        }
        Ok::<(), Failure>(())
    })?;
    check_epoch(then, last)?;
    Ok(fold.table)
}

/// Folds a file of control events. Returns the time of the last line, too: an epoch is about the shares alone.
pub(super) fn fold_file(config: &Config, file: &Path, then: PointInLog) -> Result<(ShareTable, TimestampMs), Failure> {
    let bytes = std::fs::read(file).map_err(|error| Failure::new(Exit::Usage, format!("{}: {error}", file.display())))?;
    let mut table = ShareTable::new(config.fold_rules());
    let (mut time, mut last) = (TimestampMs(0), Offset(-1));
    for line in read_lines(&name_of(file), &bytes) {
        let line = line.map_err(|bad| Failure::new(Exit::BadData, bad))?;
        (last, time) = (line.offset, time.max(line.time));
        if then.has(line.offset, line.time) {
            table.fold(line.offset, line.time, line.record);
        }
    }
    for offset in table.unreadable_offsets() {
        tell!("warning: control offset {offset} cannot be understood and waits for `sharecast control skip`: what it says is missing here");
    }
    check_epoch(then, last)?;
    Ok((table, time))
}

fn check_epoch(then: PointInLog, last: Offset) -> Result<(), Failure> {
    match then.epoch {
        Some(epoch) if epoch > last => {
            Err(Failure::new(Exit::Usage, format!("--epoch {epoch}: the last control record is at offset {last}; name one up to that")))
        }
        _ => Ok(()),
    }
}
