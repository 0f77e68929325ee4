//! A job's loop: from the records of one input partition to their outputs, part by part (docs/backfill.md#exactly-once).
//!
//! A part is decided by one view and one time, behind the fence, and written with the checkpoint after it. What is not written is
//! decided again; where it is not known whether it was, the checkpoint is read again.

mod read;
mod recovery;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use self::read::{InputCursor, READ_WAIT};
use crate::backfill::decide::BackfillDecider;
use crate::clock::BootTime;
use crate::engine::backfill::checkpoint::PartitionEntry;
use crate::engine::backfill::decide::{PartContext, PartDraft, RefusedOutputs};
use crate::engine::backfill::input::JobInput;
use crate::engine::backfill::job::{Job, JobEnd};
use crate::engine::backfill::output::{Part, PartWriter};
use crate::engine::backfill::report::JobWorkerEpoch;
use crate::engine::output::lookup::LookupError;
use crate::engine::output::route::{RouteIndex, Routes, Use};
use crate::id::Offset;
use crate::live::View;
use crate::profile::sample::SampleState;
use crate::transport::Batch;

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(20);
/// The first pause after something that did not answer; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// A checkpoint that has nothing beside it is written this often.
const BARE_CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// Why a partition is not copied on.
enum CopyError {
    /// What is committed is not known: the partition is taken over again.
    Unsure(String),
    /// The job ends.
    Ended(JobEnd),
}

impl From<JobEnd> for CopyError {
    fn from(end: JobEnd) -> Self {
        Self::Ended(end)
    }
}

/// One worker of a job.
pub struct Copier<'j, O> {
    job: &'j Job,
    input: Box<dyn JobInput + 'j>,
    output: O,
    decider: BackfillDecider,
    /// What sampling has let through of the partition at hand; what the part under way does is a draft.
    samples: SampleState,
    routes: Routes,
    batch: Batch,
    draft: PartDraft,
    refused: RefusedOutputs,
    /// Topics whose limit was asked for after they refused something.
    asked_limits: BTreeSet<String>,
    /// So many records of the batch are decided at most.
    limit: usize,
    /// After the next thing that does not answer.
    pause: Duration,
    /// What this worker says it decides by.
    epoch: Option<Arc<JobWorkerEpoch>>,
    wrote_at: BootTime,
    /// A commit was given up, and what came of it has not been read since.
    is_unsure: bool,
}

impl<'j, O: PartWriter> Copier<'j, O> {
    /// A worker that has read nothing yet.
    pub fn new(job: &'j Job, input: Box<dyn JobInput + 'j>, output: O, decider: BackfillDecider) -> Self {
        let epoch = job.epochs.as_ref().map(|epochs| epochs.join(job.live.load().graph.epoch()));
        Self {
            job,
            input,
            output,
            decider,
            samples: SampleState::default(),
            routes: Routes::default(),
            batch: Batch::default(),
            draft: PartDraft::default(),
            refused: RefusedOutputs::default(),
            asked_limits: BTreeSet::new(),
            limit: job.settings.max_records,
            pause: FIRST_PAUSE,
            epoch,
            wrote_at: job.clock.boot(),
            is_unsure: false,
        }
    }

    /// Copies what is left of a partition.
    pub fn copy(&mut self, partition: i32) -> Result<(), JobEnd> {
        loop {
            let entry = self.output.open(partition)?;
            // What was on its way is decided by now.
            self.is_unsure = false;
            // What the producer before had seen of topics this one has not.
            self.routes.forget_seen();
            self.batch.clear();
            self.samples = SampleState::default();
            match self.copy_from(partition, entry) {
                Ok(()) => return Ok(()),
                Err(CopyError::Ended(end)) => return Err(end),
                Err(CopyError::Unsure(reason)) => {
                    self.is_unsure = true;
                    warn!(reason, partition = %self.job.settings.name_of(partition), "the checkpoint is read again");
                    self.rest()?;
                }
            }
        }
    }

    /// It writes nothing more.
    pub fn is_done(self) -> O {
        if self.is_unsure {
            self.job.has_unsure_commits.store(true, Ordering::Relaxed);
        } else if let Some(epoch) = &self.epoch {
            epoch.is_done();
        }
        self.output
    }

    fn copy_from(&mut self, partition: i32, mut entry: PartitionEntry) -> Result<(), CopyError> {
        let range = self.job.entry.ranges[partition as usize];
        let mut cursor = InputCursor { partition, position: entry.offset, end: range.end, is_lost: true };
        self.note_progress(partition, &entry);
        if self.job.settings.has_samples && !entry.is_done && entry.offset > range.start {
            self.recall(partition, range.start, entry.offset)?;
        }
        while !entry.is_done {
            self.await_pace()?;
            self.gather(&mut cursor, &mut entry)?;
            while !self.batch.is_empty() || (cursor.is_at_end() && !entry.is_done) {
                entry = self.part(&cursor, &entry)?;
                self.note_progress(partition, &entry);
            }
        }
        Ok(())
    }

    /// Lets time pass until more may be read.
    pub(super) fn await_pace(&mut self) -> Result<(), JobEnd> {
        loop {
            self.say_epoch();
            if self.job.is_stopping() {
                return Err(JobEnd::Interrupted);
            }
            let wait = self.job.rate_limiter.wait(self.job.clock.boot());
            if wait.is_zero() {
                return Ok(());
            }
            self.job.clock.sleep(wait.min(READ_WAIT));
        }
    }

    /// One part: decided behind the fence, and written. Returns how far the partition has come with it.
    fn part(&mut self, cursor: &InputCursor, entry: &PartitionEntry) -> Result<PartitionEntry, CopyError> {
        loop {
            let view = self.await_fence()?;
            let count = self.decide(&view);
            let is_all = count == self.batch.len();
            let last = count.checked_sub(1).and_then(|last| self.batch.iter().nth(last)).map(|last| last.offset);
            let mut next = entry.clone();
            next.counts.add(&self.draft.counts);
            next.offset = if is_all {
                cursor.position.min(cursor.end).max(entry.offset)
            } else {
                last.map_or(entry.offset, |last| Offset(last.0 + 1))
            };
            next.is_done = is_all && cursor.is_at_end();
            if !self.look_up_routes()? {
                continue;
            }
            let job = self.job;
            let noting = job.stops.note(&self.draft.stopped);
            let now = job.clock.boot();
            if self.draft.outbox.is_empty() && noting.is_none() && !next.is_done && now.since(self.wrote_at) < BARE_CHECKPOINT_EVERY {
                self.batch.drop_front(count);
                self.samples.commit();
                return Ok(next);
            }
            let job_entry = noting.as_ref().map(|noting| job.entry_with(noting.stopped()).to_json());
            let part = Part {
                partition: cursor.partition,
                outbox: &self.draft.outbox,
                routes: &self.routes,
                dead_letters: &job.settings.own.dead_letters,
                checkpoint: &next,
                entry: job_entry.as_deref(),
                is_fresh: &|| job.check_fence(&view),
            };
            match self.output.write(&part) {
                Ok(()) => {
                    if let Some(noting) = noting {
                        noting.is_committed();
                    }
                    self.committed(count);
                    return Ok(next);
                }
                Err(error) => {
                    drop(noting);
                    self.recover(error, count)?;
                }
            }
        }
    }

    /// The view to decide by, once the fence is open and others know of the job.
    fn await_fence(&mut self) -> Result<Arc<View>, JobEnd> {
        loop {
            self.say_epoch();
            if self.job.is_stopping() {
                return Err(JobEnd::Interrupted);
            }
            let view = self.job.live.load();
            let reason = match self.job.check_fence(&view) {
                Ok(()) if self.job.epochs.as_ref().is_none_or(|epochs| epochs.is_reported(self.job.clock.boot())) => {
                    self.job.progress.waits_for(None);
                    return Ok(view);
                }
                Ok(()) => "its report in the state topic".to_owned(),
                Err(reason) => format!("the fence: {reason}"),
            };
            if self.job.progress.waits_for(Some(reason.clone())) {
                info!(reason, "the job waits");
            }
            self.job.clock.sleep(LOOK);
        }
    }

    /// Decides records of the batch in order, as many as one part takes. Returns how many.
    fn decide(&mut self, view: &View) -> usize {
        let Self { job, decider, samples, routes, draft, batch, refused, output, limit, .. } = self;
        draft.clear();
        samples.rollback();
        let limit_of = |topic: &str| output.largest_batch(topic);
        let context = PartContext { job, view, now: job.live_now(view).moment(), refused, limit_of: &limit_of };
        let mut count = 0;
        for record in batch.iter().take(*limit) {
            if !draft.has_room(job.settings.max_routes) {
                break;
            }
            context.decide(&record, decider, samples, routes, draft);
            count += 1;
        }
        count
    }

    /// Has the output see each topic that it has not used yet. False if one has failed and is skipped: then the part is decided again.
    fn look_up_routes(&mut self) -> Result<bool, CopyError> {
        let now = self.job.clock.boot();
        let used = self.draft.outbox.routes();
        let unseen: BTreeSet<RouteIndex> = used.filter(|route| self.routes.use_at(*route, now) == Use::LookUp).collect();
        let unseen: Vec<RouteIndex> = unseen.into_iter().collect();
        if unseen.is_empty() {
            return Ok(true);
        }
        let seen = match self.output.look_up(&self.routes, &unseen) {
            Ok(seen) => seen,
            Err(error) => return self.fail(error).map(|()| false),
        };
        let mut is_whole = true;
        for (index, seen) in unseen.into_iter().zip(seen) {
            match seen {
                Ok(()) => self.routes.ready(index, self.job.clock.boot()),
                Err(LookupError::Unreachable(reason)) if !self.routes.unresponsive(index, self.job.clock.boot()) => {
                    debug!(reason, topic = self.routes.get(index).topic, "no leader is seen");
                    is_whole = false;
                }
                Err(LookupError::Failed(reason) | LookupError::Unreachable(reason)) => {
                    self.route_failed(index, reason)?;
                    is_whole = false;
                }
            }
        }
        if !is_whole {
            self.rest()?;
        }
        Ok(is_whole)
    }

    fn committed(&mut self, count: usize) {
        self.routes.answered(self.draft.outbox.routes());
        self.batch.drop_front(count);
        self.samples.commit();
        self.refused = RefusedOutputs::default();
        self.limit = (self.limit * 2).min(self.job.settings.max_records);
        self.pause = FIRST_PAUSE;
        self.wrote_at = self.job.clock.boot();
    }

    /// Lets some time pass, longer each time in a row.
    fn rest(&mut self) -> Result<(), JobEnd> {
        let until = self.job.clock.boot().after(self.pause);
        self.pause = (self.pause * 2).min(LAST_PAUSE);
        while self.job.clock.boot() < until {
            if self.job.is_stopping() {
                return Err(JobEnd::Interrupted);
            }
            self.job.clock.sleep(LOOK);
        }
        Ok(())
    }

    /// From here on it decides by the published graph: no transaction is open.
    fn say_epoch(&self) {
        if let Some(epoch) = &self.epoch {
            epoch.set_min_epoch(self.job.live.load().graph.epoch());
        }
    }

    fn note_progress(&self, partition: i32, entry: &PartitionEntry) {
        let start = self.job.entry.ranges[partition as usize].start;
        self.job.progress.set(partition, (entry.offset.0 - start.0).max(0) as u64, &entry.counts);
    }
}
