//! What a worker does when a transaction was not committed (docs/rules/outputs.md#failed-routes,
//! docs/rules/exactly-once.md#a-producer-that-is-lost, docs/librdkafka.md). The batch is kept in every case and its records are decided
//! again; nothing is skipped, and nothing is written twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::engine::fence::Closed;
use crate::engine::output::outbox::RecordOrigin;
use crate::engine::worker::Worker;
use crate::engine::worker::error::{TxError, TxStage, WorkerError};
use crate::engine::worker::output::Blamed;
use crate::transport::{GroupConsumer, ProduceError, TransactionalProducer};

/// So long one poll waits for membership changes while nothing may be read.
const HOLD_WAIT: Duration = Duration::from_millis(20);
/// So long a newer generation is waited for before the old one is tried again.
const ASSIGN_WAIT: Duration = Duration::from_secs(60);

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// What follows from a transaction that was not committed. The batch stays, and is decided again; so is what was decided ahead of
    /// its commit.
    pub(super) fn recover(&mut self, setback: TxError) -> Result<(), WorkerError> {
        self.discard_ahead();
        self.metrics.aborted(setback.name());
        match setback {
            TxError::Closed(reason) => self.hold(reason),
            TxError::Aged(reason) => {
                debug!(%reason, "aborted before the commit; the same records are decided again");
                self.pace.halve(self.input.gathered().len());
                Ok(())
            }
            TxError::NoMembership => self.await_assign(),
            TxError::Output(error, origin) => self.blame(vec![error], origin),
            TxError::Reports(errors) => self.blame(errors, None),
            TxError::Failed(error, stage) => self.fail(error, stage),
            TxError::AbortFailed(error, first) => {
                // What led to the abort counts too, or the same would happen to the same records.
                match *first {
                    TxError::Output(error, origin) => drop(self.learn(vec![error], origin)),
                    TxError::Reports(errors) => drop(self.learn(errors, None)),
                    _ => self.pace.halve(self.input.gathered().len()),
                }
                self.fail(error, TxStage::Abort)
            }
        }
    }

    /// The fence is closed: nothing is read or decided until it opens; polling goes on.
    fn hold(&mut self, reason: Closed) -> Result<(), WorkerError> {
        info!(%reason, "fence closed; records wait in the input");
        self.input.pause()?;
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.poll(HOLD_WAIT, 1)?;
            if self.shared.check_fence(&self.shared.live.load()).is_ok() {
                info!("fence open");
                break;
            }
        }
        self.input.restarted();
        self.input.resume()
    }

    /// The group has a newer generation: poll until it tells us our part of it.
    fn await_assign(&mut self) -> Result<(), WorkerError> {
        self.input.await_assign();
        let give_up = self.shared.clock.boot().after(ASSIGN_WAIT);
        self.input.pause()?;
        while self.input.awaits_assign() && self.shared.clock.boot() < give_up && !self.shared.stop.load(Ordering::Relaxed) {
            self.poll(HOLD_WAIT, 1)?;
        }
        self.input.resume()
    }

    fn blame(&mut self, errors: Vec<ProduceError>, origin: Option<RecordOrigin>) -> Result<(), WorkerError> {
        match self.learn(errors, origin) {
            Some(error) => self.fail(error, TxStage::Write),
            None => Ok(()),
        }
    }

    fn learn(&mut self, errors: Vec<ProduceError>, origin: Option<RecordOrigin>) -> Option<ProduceError> {
        let Self { output, catch_up, metrics, pace, input, .. } = self;
        output.learn(errors, origin, Blamed { catch_up, metrics, pace, records: input.gathered().len() })
    }

    fn fail(&mut self, error: ProduceError, stage: TxStage) -> Result<(), WorkerError> {
        match error {
            // Whatever an abort fails with, the transaction is still open, and only a new producer ends it.
            error if stage == TxStage::Abort && !matches!(error, ProduceError::Fenced(_)) => self.replace_producer(&error, stage),
            ProduceError::StaleMember(reason) => {
                info!(reason, "the group has a newer generation; the batch waits for the next assign");
                self.await_assign()
            }
            ProduceError::Fenced(reason) => {
                if self.pace.is_fenced_again(self.shared.clock.boot()) {
                    return Err(WorkerError::FencedTwice { transactional_id: self.settings.transactional_id.clone() });
                }
                warn!(
                    reason,
                    transactional_id = self.settings.transactional_id,
                    "fenced by another producer of the same transactional.id; trying once more"
                );
                self.rebuild()
            }
            ProduceError::Fatal(_) | ProduceError::Impossible(_) => self.replace_producer(&error, stage),
            ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. } | ProduceError::Abort(_) => {
                warn!(%error, ?stage, "transaction aborted; the same records are decided again");
                self.output.open_missing_routes(&self.catch_up, &mut self.metrics);
                self.pace.halve(self.input.gathered().len());
                self.pause_after_abort()
            }
        }
    }

    fn replace_producer(&mut self, error: &ProduceError, stage: TxStage) -> Result<(), WorkerError> {
        warn!(%error, ?stage, "the producer failed and is made anew; the batch is kept");
        self.rebuild()?;
        // One that fails again and again must not keep the cluster busy with it.
        self.pause_after_abort()
    }

    fn pause_after_abort(&mut self) -> Result<(), WorkerError> {
        let until = self.shared.clock.boot().after(self.pace.next_pause());
        self.input.pause()?;
        while self.shared.clock.boot() < until && !self.shared.stop.load(Ordering::Relaxed) {
            self.poll(HOLD_WAIT, 1)?;
        }
        self.input.resume()
    }

    /// Makes the producer anew. Its `init_transactions` settles the old transaction one way or the other; if that was
    /// a commit whose answer got lost, the committed offsets say so: every partition is read on from there.
    fn rebuild(&mut self) -> Result<(), WorkerError> {
        loop {
            match self.output.remake_producer() {
                Ok(()) => break,
                Err(ProduceError::Fenced(_)) => {
                    return Err(WorkerError::FencedTwice { transactional_id: self.settings.transactional_id.clone() });
                }
                Err(error) if self.shared.stop.load(Ordering::Relaxed) => return Err(WorkerError::Output(error)),
                // As at a start. What is not committed stays in the input.
                Err(error @ ProduceError::Impossible(_)) => return Err(WorkerError::Output(error)),
                Err(error) => {
                    warn!(%error, "the producer cannot be made at the moment");
                    self.pause_after_abort()?;
                }
            }
        }
        self.output.unsettle(&self.catch_up);
        // If the lost answer was a commit, the records in hand are committed, and what stands or is owed is not what was known.
        self.read_again()
    }
}
