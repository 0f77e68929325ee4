//! A worker reads its partition: batch by batch, and again what sampling must know of what is written already.

use std::time::Duration;

use tracing::{debug, warn};

use super::{Copier, CopyError};
use crate::engine::backfill::checkpoint::PartitionEntry;
use crate::engine::backfill::input::InputError;
use crate::engine::backfill::job::JobEnd;
use crate::engine::backfill::output::PartWriter;
use crate::id::Offset;
use crate::transport::Batch;

/// The longest wait for the first record of a batch.
pub(super) const READ_WAIT: Duration = Duration::from_millis(100);

/// Where a partition is read.
pub(super) struct InputCursor {
    pub(super) partition: i32,
    /// The next record to be read.
    pub(super) position: Offset,
    pub(super) end: Offset,
    /// The input must be turned there again.
    pub(super) is_lost: bool,
}

impl InputCursor {
    pub(super) fn is_at_end(&self) -> bool {
        self.position >= self.end
    }
}

impl<O: PartWriter> Copier<'_, O> {
    /// Reads until the batch is full, its interval is over, or the end is reached.
    pub(super) fn gather(&mut self, cursor: &mut InputCursor, entry: &mut PartitionEntry) -> Result<(), CopyError> {
        let (max_records, max_bytes) = self.job.rate_limiter.batch_limit();
        let room = self.job.settings.max_records.min(max_records);
        let until = self.job.clock.boot().after(self.job.settings.interval);
        if cursor.is_lost && !cursor.is_at_end() {
            self.turn_to(cursor, entry)?;
        }
        while !cursor.is_at_end() && self.batch.len() < room && self.batch.bytes() < max_bytes.min(Batch::MAX_BYTES) {
            match self.input.read(READ_WAIT, room - self.batch.len(), &mut self.batch) {
                Ok(Some(next)) => cursor.position = next,
                Ok(None) => {
                    cursor.position = self.batch.iter().last().map_or(cursor.position, |last| Offset(last.offset.0 + 1));
                    cursor.end = cursor.position;
                }
                Err(InputError::Unavailable(reason)) => {
                    cursor.position = self.batch.iter().last().map_or(cursor.position, |last| Offset(last.offset.0 + 1));
                    cursor.is_lost = true;
                    if self.batch.is_empty() {
                        debug!(reason, partition = %self.job.settings.name_of(cursor.partition), "the input cannot be read now");
                        self.job.progress.waits_for(Some(format!("the input: {reason}")));
                        self.rest()?;
                    }
                    break;
                }
                Err(InputError::BadLine(words)) => return Err(JobEnd::BadLine(words).into()),
                Err(error @ InputError::Refused(_)) => return Err(JobEnd::Refused(error.to_string()).into()),
            }
            if self.job.is_stopping() || self.job.clock.boot() >= until {
                break;
            }
        }
        let end = cursor.end;
        self.batch.retain_records(|_, offset| offset < end);
        self.job.rate_limiter.read(self.batch.len(), self.batch.bytes(), self.job.clock.boot());
        self.job.progress.read(self.batch.bytes());
        Ok(())
    }

    /// Has the input read from the cursor on; what retention has dropped of it is counted as lost.
    fn turn_to(&mut self, cursor: &mut InputCursor, entry: &mut PartitionEntry) -> Result<(), JobEnd> {
        loop {
            match self.input.turn_to(cursor.partition, cursor.position) {
                Ok(first) => {
                    let lost = first.min(cursor.end).0 - cursor.position.0;
                    if lost > 0 {
                        let (partition, from) = (self.job.settings.name_of(cursor.partition), cursor.position.0);
                        warn!(%partition, from, first = first.0, lost, "the input's retention has dropped what was still to be read");
                        entry.counts.lost += lost as u64;
                    }
                    cursor.position = first.min(cursor.end).max(cursor.position);
                    cursor.is_lost = false;
                    self.job.progress.waits_for(None);
                    return Ok(());
                }
                Err(InputError::Unavailable(reason)) => {
                    if self.job.progress.waits_for(Some(format!("the input: {reason}"))) {
                        warn!(reason, "waiting for the input");
                    }
                    self.rest()?;
                }
                Err(InputError::BadLine(words)) => return Err(JobEnd::BadLine(words)),
                Err(error @ InputError::Refused(_)) => return Err(JobEnd::Refused(error.to_string())),
            }
        }
    }

    /// Decides what was written before, for what sampling knows of it.
    pub(super) fn recall(&mut self, partition: i32, from: Offset, to: Offset) -> Result<(), CopyError> {
        let mut cursor = InputCursor { partition, position: from, end: to, is_lost: true };
        let mut passed = PartitionEntry { offset: from, counts: Default::default(), is_done: false };
        while !cursor.is_at_end() {
            self.await_pace()?;
            self.gather(&mut cursor, &mut passed)?;
            let view = self.job.live.load();
            // A part has no room for some batches.
            while !self.batch.is_empty() {
                let count = self.decide(&view);
                self.samples.commit();
                self.batch.drop_front(count);
            }
        }
        self.draft.clear();
        Ok(())
    }
}
