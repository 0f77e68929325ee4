//! The data plane's one loop: a worker owns a group consumer and a transactional producer and takes records from
//! their input partitions to their tenants' topics (ARCHITECTURE.md#a-records-way, docs/rules/release.md, docs/rules/exactly-once.md,
//! docs/rules/fence.md).
//!
//! `run` and `transact` together are a record's whole way. No transaction is open across a poll. At full load the next batch is decided
//! while one is written (`ahead`).

mod poll;
mod ahead;
mod gathered;
mod recovery;
mod input;
mod output;
mod catch_up;
mod pace;
mod samples;
pub(crate) mod decide;
pub mod error;
pub mod metrics;
pub(crate) mod handover;
pub mod position;
pub mod settings;
pub mod tuning;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::info;

use self::ahead::DecidedBatch;
use self::catch_up::CatchUp;
use self::input::InputSide;
use self::output::OutputSide;
use self::pace::Pace;
use crate::config::Delivery;
use crate::decide::Decider;
use crate::engine::fence::epoch_report::WorkerEpoch;
use crate::engine::restore::Restore;
use crate::engine::upsert::Upserts;
use crate::engine::worker::error::{TxError, WorkerError};
use crate::engine::worker::metrics::WorkerMetrics;
use crate::engine::worker::settings::{Shared, WorkerSettings};
use crate::engine::worker::tuning::Tuning;
use crate::live::View;
use crate::time::TimestampMs;
use crate::transport::{ConsumeError, GroupConsumer, TransactionalProducer};

pub use self::output::MakeProducer;

/// One worker: parts that own their state, and the story that asks them.
pub struct Worker<C, P> {
    settings: Arc<WorkerSettings>,
    shared: Shared,
    /// As it was published when the batch in hand was begun.
    tuning: Tuning,
    input: InputSide<C>,
    output: OutputSide<P>,
    catch_up: CatchUp,
    pace: Pace,
    /// Decided while the batch before it was written; what it has drafted stands in the parts. It takes the first records in hand once that
    /// is committed.
    ahead: Option<DecidedBatch>,
    decider: Decider,
    metrics: WorkerMetrics,
    /// What this worker says it decides by.
    epoch: Arc<WorkerEpoch>,
    cuts: SeenCuts,
}

/// Which cut of the published graph this worker has seen.
#[derive(Debug, Default)]
struct SeenCuts {
    newest: Option<TimestampMs>,
    has_seen_view: bool,
}

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// A worker that has read nothing yet. The producer comes first: it fences a predecessor of its name before this
    /// member takes partitions.
    pub fn new(
        settings: WorkerSettings,
        shared: Shared,
        join: impl FnOnce() -> Result<C, ConsumeError>,
        make_producer: MakeProducer<P>,
        decider: Decider,
        restorer: Box<dyn Restore>,
        upserts: Option<Upserts>,
        mut metrics: WorkerMetrics,
    ) -> Result<Self, WorkerError> {
        let (settings, tuning) = (Arc::new(settings), shared.tuning.load());
        let output = OutputSide::new(Arc::clone(&settings), shared.clone(), tuning, make_producer)?;
        metrics.relabel(tuning.tenant_labels, output.routes());
        let consumer = join().map_err(WorkerError::Input)?;
        shared.producers.fetch_add(1, Ordering::Relaxed);
        Ok(Self {
            input: InputSide::new(Arc::clone(&settings), shared.clone(), tuning, consumer),
            output,
            catch_up: CatchUp::new(restorer, upserts),
            pace: Pace::new(tuning.max_records),
            ahead: None,
            decider,
            metrics,
            epoch: WorkerEpoch::new(&shared.said),
            cuts: SeenCuts::default(),
            settings,
            shared,
            tuning,
        })
    }

    /// Reads, decides and writes until told to stop; then finishes what is in hand and leaves the group.
    pub fn run(mut self) -> Result<(), WorkerError> {
        loop {
            // No transaction is open here. One that is decided has its view, each other one loads it anew, and it only goes forward.
            self.epoch.set_min_epoch(self.oldest_view().graph.epoch());
            let is_stopping = self.shared.stop.load(Ordering::Relaxed);
            if !is_stopping {
                self.gather()?;
                // What is decided from here on, of records that came after it was published too.
                self.tune();
                self.listen()?;
                self.watch_partitions();
                self.note_cut();
            }
            if self.input.is_empty() && !self.has_catching_up() {
                if is_stopping {
                    return Ok(());
                }
                continue;
            }
            match self.transact() {
                Ok(batch) => self.committed(batch)?,
                // What is not committed stays in the input; another owner decides it.
                Err(setback) if is_stopping => {
                    info!(%setback, "left without committing the batch in hand");
                    return Ok(());
                }
                Err(setback) => match self.recover(setback) {
                    Err(WorkerError::Output(_) | WorkerError::Input(ConsumeError::Unavailable(_)))
                        if self.shared.stop.load(Ordering::Relaxed) =>
                    {
                        info!("left while the cluster does not answer, without committing the batch in hand");
                        return Ok(());
                    }
                    recovered => recovered?,
                },
            }
        }
    }

    /// One transaction: from the batch in hand to a commit. Returns what it covers.
    fn transact(&mut self) -> Result<DecidedBatch, TxError> {
        let started = self.shared.clock.boot();
        let batch = match self.take_ahead() {
            Some(batch) => batch,
            None => self.decide()?,
        };
        self.output.look_up_routes(&mut self.catch_up, &mut self.metrics)?;
        self.output.divert(&mut self.catch_up);
        self.output.cover(&mut self.catch_up, self.input.begun(), &batch);
        if self.output.is_empty() {
            return Ok(batch);
        }

        // Looking routes up may have taken long, and without a transaction nothing holds back what the client is given.
        self.shared.check_fence(&batch.view).map_err(TxError::Aged)?;
        self.output.begin()?;
        if let Err(error) = self.write(&batch) {
            return Err(self.output.abort(error));
        }
        self.count(&batch);
        self.pace.took(self.shared.clock.boot().since(started));
        Ok(batch)
    }

    /// Decides and projects the records of the batch in order, up to the batch's limit or as many routes as one transaction takes.
    fn decide(&mut self) -> Result<DecidedBatch, TxError> {
        let started = self.shared.clock.boot();
        // The whole transaction uses this one graph and this one time.
        let view = self.shared.live.load();
        self.shared.check_fence(&view).map_err(TxError::Closed)?;
        let now = self.now(&view);
        let Self { input, output, catch_up, decider, .. } = self;
        let (limit, max_routes) = (self.pace.batch_limit(), self.tuning.max_routes);
        let mut deciding = output.decide(decider, &view, now, started);
        catch_up.begin(input.gathered().records().take(limit), &mut deciding);
        let again = catch_up.decide_again(&mut deciding, limit);
        deciding.note_owed(catch_up.still_owed());
        // Alone means alone: which record a topic refuses can be told then.
        let limit = if limit == 1 && again > 0 { 0 } else { limit };
        let mut count = 0;
        for record in input.gathered().records().take(limit) {
            if !deciding.has_room() || !catch_up.has_room_for(&record, max_routes) {
                break;
            }
            catch_up.decide(&record, &mut deciding);
            count += 1;
        }
        let tally = deciding.finish();
        Ok(DecidedBatch { view, now, started, count, tally, is_ahead: false })
    }

    /// Writes everything the batch leads to and commits it with the input's offsets. Meanwhile the next batch may be decided.
    fn write(&mut self, batch: &DecidedBatch) -> Result<(), TxError> {
        let now = self.shared.clock.boot();
        self.output.put_outputs(&batch.view, now)?;
        if let Some(upserts) = self.catch_up.upserts() {
            self.output.put_upserts(upserts, now)?;
        }
        self.output.put_letters()?;
        self.output.put_notes(self.catch_up.redelivery_changes(), self.input.begun())?;
        self.output.send_ahead();
        // The cluster takes what was put. Of this batch nothing is given to them before the commit is answered.
        self.decide_ahead(batch);
        self.output.send_offsets(|| self.input.membership())?;
        match self.settings.delivery {
            // The batch's own view, not the newest: a revoke that came since must not be overtaken by this commit.
            Delivery::ExactlyOnce => self.shared.check_fence(&batch.view).map_err(TxError::Aged)?,
            // Its records are out, and were handed over while the view was fresh.
            Delivery::AtLeastOnce => {}
        }
        self.output.commit()
    }

    /// What is counted of a batch, once it is committed.
    fn count(&mut self, DecidedBatch { view, now, started, count, tally, .. }: &DecidedBatch) {
        let took = self.shared.clock.boot().since(*started);
        let records = self.input.gathered().records().take(*count);
        self.metrics.committed(self.output.outbox(), self.output.routes(), records, tally, (*now, took));
        self.metrics.condition_errors(tally, &view.graph);
        if let Some(upserts) = self.catch_up.upserts() {
            self.metrics.upserted(upserts.writes(), self.output.routes());
        }
    }

    /// What the batch's commit changes.
    fn committed(&mut self, batch: DecidedBatch) -> Result<(), WorkerError> {
        self.output.committed(&self.catch_up, &self.shared.live.load().graph);
        self.catch_up.committed(self.output.offsets(), &batch);
        if let Some(upserts) = self.catch_up.upserts() {
            self.metrics.standing(upserts.standing());
        }
        self.metrics.owed(self.catch_up.owed());
        for (partition, first) in self.input.committed(batch.count) {
            if self.catch_up.begun(partition, first) {
                self.input.release(partition, first)?;
            }
        }
        self.pace.committed();
        Ok(())
    }

    /// The larger of the clock and the graph's control time, and no moment before one that was announced.
    fn now(&self, view: &View) -> TimestampMs {
        self.shared.clock.wall().max(view.graph.control_time()).max(self.catch_up.not_before())
    }

    /// Whether there is something to do without records.
    fn has_catching_up(&self) -> bool {
        let boot = self.shared.clock.boot();
        !self.shared.stop.load(Ordering::Relaxed) && self.catch_up.has_work(&self.shared.live.load(), self.output.routes(), boot)
    }

    /// From here on nothing is written by an older graph than this one; a new cut in it is quiet now.
    fn note_cut(&mut self) {
        let newest = self.oldest_view().newest_cut;
        if newest != self.cuts.newest {
            // The first view has cuts of the past, which nobody has waited for.
            if let (Some(cut), true) = (newest, self.cuts.has_seen_view) {
                self.metrics.quiet_after(self.shared.clock.wall().0 - cut.0);
            }
            self.cuts.newest = newest;
        }
        self.cuts.has_seen_view |= newest.is_some() || self.shared.check_fence(&self.shared.live.load()).is_ok();
    }
}
