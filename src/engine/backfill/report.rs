//! What a job that writes to Kafka decides by, told to `share revoke --wait` (docs/rules/fence.md#being-certain).
//!
//! A job is no member of the group, so it reports as often as it takes to be known: no transaction is begun without a fresh report, and
//! whoever waits for a revoke waits for each job whose last report is younger than that and its transaction together may be.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::warn;

use crate::clock::{BootTime, Clock};
use crate::engine::fence::epoch_report::{self, CommitTerms, StateWriter};
use crate::id::Epoch;
use crate::live::Live;

/// So often, whatever happens.
const EVERY: Duration = Duration::from_secs(5);
/// Changes are looked for this often.
const LOOK: Duration = Duration::from_millis(100);
/// A report older than this is none to begin a transaction with.
pub const FRESH_FOR: Duration = Duration::from_secs(10);

/// What one worker of a job decides by.
#[derive(Debug)]
pub struct JobWorkerEpoch(AtomicI64);

impl JobWorkerEpoch {
    /// From here on it decides by no graph older than `epoch`. Called where no transaction is open.
    pub fn set_min_epoch(&self, epoch: Epoch) {
        self.0.store(epoch.0, Ordering::Release);
    }

    /// It decides nothing any more.
    pub fn is_done(&self) {
        self.0.store(i64::MAX, Ordering::Release);
    }
}

/// What the workers of a job decide by, and when that was last told.
#[derive(Debug, Default)]
pub struct JobEpochs {
    workers: Mutex<Vec<Arc<JobWorkerEpoch>>>,
    reported_at: Mutex<Option<BootTime>>,
}

impl JobEpochs {
    /// One more worker, which has decided nothing yet.
    pub fn join(&self, epoch: Epoch) -> Arc<JobWorkerEpoch> {
        let worker = Arc::new(JobWorkerEpoch(AtomicI64::new(epoch.0)));
        self.workers.lock().expect("only pushed to").push(Arc::clone(&worker));
        worker
    }

    /// Whether a transaction may be begun: others know of the job.
    pub fn is_reported(&self, now: BootTime) -> bool {
        self.reported_at.lock().expect("only set").is_some_and(|at| now.since(at) < FRESH_FOR)
    }

    /// The least epoch; where nobody decides, the newest.
    fn least(&self, newest: Epoch) -> Epoch {
        let workers = self.workers.lock().expect("only pushed to");
        workers.iter().map(|worker| Epoch(worker.0.load(Ordering::Acquire))).min().unwrap_or(newest).min(newest)
    }
}

/// The reporter's thread.
pub struct JobReporter<W> {
    /// What is reported.
    pub epochs: Arc<JobEpochs>,
    /// The published graph.
    pub live: Arc<Live>,
    /// Where it is reported.
    pub writer: W,
    /// The report's key.
    pub key: String,
    /// The job's name in its report.
    pub member: String,
    /// How its transactions end.
    pub terms: CommitTerms,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the job is over.
    pub done: Arc<AtomicBool>,
    /// The report stays until it is old: another process runs the job now, or a commit is still on its way.
    pub is_left: Arc<AtomicBool>,
}

impl<W: StateWriter> JobReporter<W> {
    /// Reports until the job is over, then takes the report away.
    pub fn run(mut self) {
        let mut last: Option<(Epoch, BootTime)> = None;
        while !self.done.load(Ordering::Relaxed) {
            let now = self.clock.boot();
            let epoch = self.epochs.least(self.live.load().graph.epoch());
            if last.is_none_or(|(told, at)| told != epoch || now.since(at) >= EVERY) {
                match self.report(epoch) {
                    // The time of asking: what came after it is not in it.
                    Ok(()) => last = Some((epoch, now)),
                    Err(error) => warn!(%error, "the job cannot be reported; it waits"),
                }
                *self.epochs.reported_at.lock().expect("only set") = last.map(|(_, at)| at);
            }
            self.clock.sleep(LOOK);
        }
        if self.is_left.load(Ordering::Relaxed) {
            return;
        }
        if let Err(error) = self.writer.take_back(&self.key) {
            warn!(%error, "the job's report could not be taken back; a revoke that is waited for waits until it is old");
        }
    }

    fn report(&mut self, epoch: Epoch) -> Result<(), crate::transport::ProduceError> {
        let members = [(self.member.clone(), epoch)].into();
        self.writer.put(&self.key, &epoch_report::write(&members, self.clock.wall(), self.terms, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_worker_counts_until_it_is_done() {
        let epochs = JobEpochs::default();
        assert_eq!(epochs.least(Epoch(7)), Epoch(7), "nobody decides");
        let (one, two) = (epochs.join(Epoch(3)), epochs.join(Epoch(4)));
        assert_eq!(epochs.least(Epoch(7)), Epoch(3));
        one.set_min_epoch(Epoch(6));
        assert_eq!(epochs.least(Epoch(7)), Epoch(4));
        two.is_done();
        one.is_done();
        assert_eq!(epochs.least(Epoch(7)), Epoch(7));
    }

    #[test]
    fn nothing_begins_without_a_fresh_report() {
        let epochs = JobEpochs::default();
        let at = |seconds| BootTime(Duration::from_secs(seconds));
        assert!(!epochs.is_reported(at(0)));
        *epochs.reported_at.lock().unwrap() = Some(at(5));
        assert!(epochs.is_reported(at(14)) && !epochs.is_reported(at(15)));
    }
}
