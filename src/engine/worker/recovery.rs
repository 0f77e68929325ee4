//! What a worker does when a transaction was not committed (docs/rules/outputs.md#failed-routes,
//! docs/rules/exactly-once.md#a-producer-that-is-lost, docs/librdkafka.md). The batch is kept in every case and its records are decided
//! again; nothing is skipped, and nothing is written twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{debug, info, warn};

use crate::engine::fence::Closed;
use crate::engine::output::outbox::RecordOrigin;
use crate::engine::output::route::RouteIndex;
use crate::engine::topic::names::DEAD_LETTERS;
use crate::engine::upsert::Upserts;
use crate::engine::worker::error::{TxError, TxStage, WorkerError};
use crate::engine::worker::{ABORT_PAUSES, Worker};
use crate::record::mapping::Mode;
use crate::transport::{GroupConsumer, ProduceError, TransactionalProducer};

/// So long one poll waits for membership changes while nothing may be read.
const HOLD_WAIT: Duration = Duration::from_millis(20);
/// So long a newer generation is waited for before the old one is tried again.
const ASSIGN_WAIT: Duration = Duration::from_secs(60);
/// Two producers of one `transactional.id` fence each other in turn; twice within this is no accident.
const FENCED_TWICE_WITHIN: Duration = Duration::from_secs(60);

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// What follows from a transaction that was not committed. The batch stays, and is decided again.
    pub(super) fn recover(&mut self, setback: TxError) -> Result<(), WorkerError> {
        self.metrics.aborted(setback.name());
        match setback {
            TxError::Closed(reason) => self.hold(reason),
            TxError::Aged(reason) => {
                debug!(%reason, "aborted before the commit; the same records are decided again");
                self.halve_reach();
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
                    _ => self.halve_reach(),
                }
                self.fail(error, TxStage::Abort)
            }
        }
    }

    fn halve_reach(&mut self) {
        self.batch_limit = (self.batch_limit.min(self.batch.len()) / 2).max(1);
    }

    /// The fence is closed: nothing is read or decided until it opens; polling goes on.
    fn hold(&mut self, reason: Closed) -> Result<(), WorkerError> {
        info!(%reason, "fence closed; records wait in the input");
        self.consumer.pause().map_err(WorkerError::Input)?;
        while !self.shared.stop.load(Ordering::Relaxed) {
            self.poll(HOLD_WAIT, 1)?;
            if self.check_fence(&self.shared.live.load()).is_ok() {
                info!("fence open");
                break;
            }
        }
        self.handover.positions.restarted(self.shared.clock.boot());
        self.resume_input()
    }

    /// The group has a newer generation: poll until it tells us our part of it.
    fn await_assign(&mut self) -> Result<(), WorkerError> {
        self.awaits_assign = true;
        let give_up = self.shared.clock.boot().after(ASSIGN_WAIT);
        self.consumer.pause().map_err(WorkerError::Input)?;
        while self.awaits_assign && self.shared.clock.boot() < give_up && !self.shared.stop.load(Ordering::Relaxed) {
            self.poll(HOLD_WAIT, 1)?;
        }
        self.resume_input()
    }

    fn blame(&mut self, errors: Vec<ProduceError>, origin: Option<RecordOrigin>) -> Result<(), WorkerError> {
        match self.learn(errors, origin) {
            Some(error) => self.fail(error, TxStage::Write),
            None => Ok(()),
        }
    }

    /// Marks the routes that errors name as failed and pins records that a topic refuses; returns the gravest of the other errors.
    fn learn(&mut self, errors: Vec<ProduceError>, origin: Option<RecordOrigin>) -> Option<ProduceError> {
        // As the transaction was: two topics that refuse something must not halve the batch to one record and then blame it.
        let origin = origin.or(self.sole_record);
        let batch_limit = self.batch_limit;
        let mut others = Vec::new();
        for error in errors {
            match error {
                ProduceError::Route { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(index) => self.open(index, reason),
                    None => others.push(ProduceError::Route { topic, reason }),
                },
                ProduceError::Refused { topic, .. } if self.learns_limit(&topic) => {}
                ProduceError::Refused { topic, .. } if self.refuses_upsert(&topic) => {}
                ProduceError::Refused { topic, reason } => match origin {
                    Some(origin) => others.extend(self.pin(topic, reason, origin)),
                    None if self.batch_limit == batch_limit => self.halve_reach(),
                    None => {}
                },
                ProduceError::Unreachable { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(index) if self.routes.unresponsive(index, self.shared.clock.boot()) => self.open(index, reason),
                    _ => others.push(ProduceError::Unreachable { topic, reason }),
                },
                other => others.push(other),
            }
        }
        others.into_iter().max_by_key(|error| match error {
            ProduceError::Fenced(_) => 3,
            ProduceError::Fatal(_) => 2,
            ProduceError::StaleMember(_) => 1,
            ProduceError::Abort(_) | ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. } => 0,
        })
    }

    /// Whether it is news how much this topic takes in one batch. librdkafka batches as if each topic took as much as the largest,
    /// so it may be the batch that was refused: known, the limit is kept by those who write.
    fn learns_limit(&mut self, topic: &str) -> bool {
        let now = self.shared.clock.boot();
        let Some(index) = self.routes.of_topic(topic).filter(|index| self.routes.limit_at(*index, now).is_none()) else { return false };
        let Some(bytes) = self.shared.topic_maker.largest_batch(topic) else { return false };
        info!(topic, bytes, "it refused a batch; its max.message.bytes is kept from here on");
        self.routes.learn_limit(index, bytes, now);
        true
    }

    /// Whether the topic carries an upsert stream; then its documents are written fewer at a time, to pin the one it refuses.
    fn refuses_upsert(&mut self, topic: &str) -> bool {
        let Some(index) = self.routes.of_topic(topic) else { return false };
        let is_upsert = self.settings.streams[usize::from(self.routes.get(index).stream.0)].mode == Mode::Upsert;
        if let Some(upserts) = self.upserts.as_mut().filter(|_| is_upsert) {
            upserts.refused(index);
        }
        is_upsert
    }

    /// A topic refuses this record, which was pinned by halving the batch if nothing else named it. Returns the error if that does
    /// not help.
    fn pin(&mut self, topic: String, reason: String, origin: RecordOrigin) -> Option<ProduceError> {
        match self.routes.of_topic(&topic) {
            Some(route) => self.refused.push((origin, route, reason)),
            None if topic == DEAD_LETTERS && !self.strip_payload.contains(&origin) => self.strip_payload.push(origin),
            None => return Some(ProduceError::Refused { topic, reason }),
        }
        None
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
                let now = self.shared.clock.boot();
                if self.fenced_at.is_some_and(|at| now.since(at) < FENCED_TWICE_WITHIN) {
                    return Err(WorkerError::FencedTwice { transactional_id: self.settings.transactional_id.clone() });
                }
                self.fenced_at = Some(now);
                warn!(
                    reason,
                    transactional_id = self.settings.transactional_id,
                    "fenced by another producer of the same transactional.id; trying once more"
                );
                self.rebuild()
            }
            ProduceError::Fatal(_) => self.replace_producer(&error, stage),
            ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. } | ProduceError::Abort(_) => {
                warn!(%error, ?stage, "transaction aborted; the same records are decided again");
                self.open_missing_routes();
                self.halve_reach();
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

    /// No report named a route, so the batch's topics are looked up and missing ones opened.
    fn open_missing_routes(&mut self) {
        let upserts = self.upserts.iter().flat_map(Upserts::routes);
        let mut used: Vec<RouteIndex> = self.outbox.iter().map(|output| output.route).chain(upserts).collect();
        used.sort_unstable();
        used.dedup();
        for index in used {
            let topic = self.routes.get(index).topic.clone();
            match self.producer.sees_leader(&topic) {
                Ok(true) => {}
                Ok(false) => self.open(index, "no leader for it is seen".into()),
                Err(ProduceError::Route { reason, .. }) => self.open(index, reason),
                // Whether it comes back is seen when it is written to again.
                Err(ProduceError::Unreachable { .. }) => {}
                // The cluster does not answer: no route is to blame.
                Err(_) => return,
            }
        }
    }

    fn pause_after_abort(&mut self) -> Result<(), WorkerError> {
        let until = self.shared.clock.boot().after(self.abort_pause);
        self.abort_pause = (self.abort_pause * 2).min(ABORT_PAUSES.1);
        self.consumer.pause().map_err(WorkerError::Input)?;
        while self.shared.clock.boot() < until && !self.shared.stop.load(Ordering::Relaxed) {
            self.poll(HOLD_WAIT, 1)?;
        }
        self.resume_input()
    }

    /// Makes the producer again. Its `init_transactions` settles the old transaction one way or the other; if that was
    /// a commit whose answer got lost, the committed offsets say so: every partition is read on from there.
    fn rebuild(&mut self) -> Result<(), WorkerError> {
        loop {
            match (self.make_producer)() {
                Ok(producer) => {
                    self.producer = producer;
                    break;
                }
                Err(ProduceError::Fenced(_)) => {
                    return Err(WorkerError::FencedTwice { transactional_id: self.settings.transactional_id.clone() });
                }
                Err(error) if self.shared.stop.load(Ordering::Relaxed) => return Err(WorkerError::Output(error)),
                Err(error) => {
                    warn!(%error, "the producer cannot be made at the moment");
                    self.pause_after_abort()?;
                }
            }
        }
        self.routes.forget_seen();
        // If the lost answer was a commit, the records in hand are committed, and what is stored or is owed is not what was known.
        self.read_anew()
    }
}
