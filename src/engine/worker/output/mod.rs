//! The output side of a worker: its transactional producer, its routes, and what the transaction under way is to write.
//!
//! `dispatch` looks routes up and takes out what cannot go its way, `put` writes, `blame` learns from what the cluster refused.

mod blame;
mod dispatch;
mod put;

pub(super) use self::blame::Blamed;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::{error, warn};

use crate::clock::BootTime;
use crate::decide::Decider;
use crate::engine::output::outbox::{BatchBudget, Outbox, RecordOrigin};
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::worker::ahead::DecidedBatch;
use crate::engine::worker::catch_up::CatchUp;
use crate::engine::worker::decide::{Deciding, TxDraft};
use crate::engine::worker::error::{TxError, TxStage, WorkerError};
use crate::engine::worker::metrics::WorkerMetrics;
use crate::engine::worker::samples::WorkerSamples;
use crate::engine::worker::settings::{Shared, WorkerSettings};
use crate::engine::worker::tuning::Tuning;
use crate::id::Offset;
use crate::live::View;
use crate::share::graph::ShareGraph;
use crate::time::TimestampMs;
use crate::transport::{InputOffset, ProduceError, SourcePartition, TransactionalProducer};

/// Makes a producer of this worker's `transactional.id`. `Abort` passes by itself.
pub type MakeProducer<P> = Box<dyn FnMut() -> Result<P, ProduceError> + Send>;

/// What a worker writes.
pub(super) struct OutputSide<P> {
    settings: Arc<WorkerSettings>,
    shared: Shared,
    /// `batch.max_routes`.
    max_routes: usize,
    producer: P,
    /// Makes the producer again after it failed for good.
    make_producer: MakeProducer<P>,
    routes: Routes,
    /// What samples of the input's partitions were released.
    samples: WorkerSamples,
    /// What the transaction under way is to write.
    draft: TxDraft,
    /// What the next one is to write, which is decided while that one is written.
    next: TxDraft,
    /// What is queued for topics whose limit is known.
    budget: BatchBudget,
    /// Outputs that their topic refuses for themselves; they become dead letters when decided again.
    refused: Vec<(RecordOrigin, RouteIndex, String)>,
    /// Records whose dead letters are refused for their bytes and go without them.
    strip_payload: Vec<RecordOrigin>,
}

impl<P: TransactionalProducer> OutputSide<P> {
    /// The first producer; a coordinator that does not answer is waited for.
    pub(super) fn new(
        settings: Arc<WorkerSettings>,
        shared: Shared,
        tuning: Tuning,
        mut make_producer: MakeProducer<P>,
    ) -> Result<Self, WorkerError> {
        let producer = loop {
            match make_producer() {
                Ok(producer) => break producer,
                Err(ProduceError::Abort(reason)) if !shared.stop.load(Ordering::Relaxed) => {
                    warn!(reason, "waiting for the transaction coordinator")
                }
                Err(error) => return Err(WorkerError::Output(error)),
            }
        };
        Ok(Self {
            settings,
            max_routes: tuning.max_routes,
            shared,
            producer,
            make_producer,
            routes: Routes::default(),
            samples: WorkerSamples::default(),
            draft: TxDraft::default(),
            next: TxDraft::default(),
            budget: BatchBudget::default(),
            refused: Vec::new(),
            strip_payload: Vec::new(),
        })
    }

    pub(super) fn tune(&mut self, tuning: Tuning) {
        self.max_routes = tuning.max_routes;
    }

    pub(super) fn routes(&self) -> &Routes {
        &self.routes
    }

    pub(super) fn routes_mut(&mut self) -> &mut Routes {
        &mut self.routes
    }

    /// What the transaction writes for append streams, and its dead letters.
    pub(super) fn outbox(&self) -> &Outbox {
        &self.draft.outbox
    }

    /// The next offset of each partition that the transaction covers.
    pub(super) fn offsets(&self) -> &[InputOffset] {
        &self.draft.offsets
    }

    /// Empties the draft of the transaction and begins to decide its records.
    pub(super) fn decide<'a>(&'a mut self, decider: &'a mut Decider, view: &'a View, now: TimestampMs, boot: BootTime) -> Deciding<'a> {
        self.samples.begin();
        Deciding::begin(decider, view, (now, boot), (&self.settings, self.max_routes), &mut self.routes, &mut self.samples, &mut self.draft)
    }

    /// Begins to decide the records of the next transaction. The one under way stays as it is.
    pub(super) fn decide_ahead<'a>(
        &'a mut self,
        decider: &'a mut Decider,
        view: &'a View,
        now: TimestampMs,
        boot: BootTime,
    ) -> Deciding<'a> {
        self.samples.begin_ahead();
        Deciding::begin(decider, view, (now, boot), (&self.settings, self.max_routes), &mut self.routes, &mut self.samples, &mut self.next)
    }

    /// What was decided ahead is the transaction under way now.
    pub(super) fn advance(&mut self) {
        std::mem::swap(&mut self.draft, &mut self.next);
    }

    /// What was decided ahead is decided again.
    pub(super) fn discard_ahead(&mut self) {
        self.samples.discard_ahead();
    }

    /// Adds the first offsets of partitions that are begun, and those that go with what is caught up with.
    pub(super) fn cover(&mut self, catch_up: &mut CatchUp, begun: &[(SourcePartition, Offset)], batch: &DecidedBatch) {
        let offsets = &mut self.draft.offsets;
        for &(partition, first) in begun {
            if !offsets.iter().any(|noted| noted.partition == partition) {
                offsets.push(InputOffset::new(partition, first));
            }
        }
        catch_up.cover(offsets, batch, &self.routes);
    }

    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.draft.offsets.is_empty() && self.draft.outbox.is_empty()
    }

    /// Fails a route: its records take another way until it answers again.
    pub(super) fn open(&mut self, index: RouteIndex, reason: String, metrics: &mut WorkerMetrics) {
        let route = self.routes.get(index);
        let way = if self.settings.waits { "what it is to get waits in the input" } else { "its records go to the dead letters" };
        error!(topic = route.topic, reason, "route failed: {way} until it answers again");
        metrics.route_open(index, route.tenant.as_str(), true);
        self.routes.failed(index, reason, self.shared.clock.boot());
    }

    /// Opens the transaction.
    pub(super) fn begin(&mut self) -> Result<(), TxError> {
        self.producer.begin().map_err(|e| TxError::Failed(e, TxStage::Begin))?;
        self.budget.clear();
        Ok(())
    }

    /// Lets what was put leave.
    pub(super) fn send_ahead(&mut self) {
        self.producer.send_ahead();
    }

    /// Commits it.
    pub(super) fn commit(&mut self) -> Result<(), TxError> {
        self.producer.commit().map_err(|e| TxError::Failed(e, TxStage::Commit))
    }

    /// Aborts the transaction that failed, if it is open, and returns why it is not committed.
    pub(super) fn abort(&mut self, error: TxError) -> TxError {
        match error.leaves_transaction_open().then(|| self.producer.abort()) {
            Some(Err(abort)) => TxError::AbortFailed(abort, Box::new(error)),
            _ => error,
        }
    }

    /// The transaction was committed: the routes that it wrote to answer.
    pub(super) fn committed(&mut self, catch_up: &CatchUp, graph: &ShareGraph) {
        self.samples.commit(graph);
        self.routes.answered(self.draft.outbox.routes());
        if let Some(upserts) = catch_up.upserts() {
            self.routes.answered(upserts.routes());
        }
        self.refused.clear();
        self.strip_payload.clear();
    }

    /// Partitions were taken back.
    pub(super) fn leave(&mut self, partitions: &[SourcePartition]) {
        self.samples.leave(partitions);
    }

    /// Whether the transaction was committed is told by where its partitions go on.
    pub(super) fn unsettle(&mut self, catch_up: &CatchUp) {
        self.samples.unsettle(&self.draft.offsets, |partition| catch_up.position(partition));
    }

    /// A partition goes on here.
    pub(super) fn settle(&mut self, partition: SourcePartition, from: Offset) {
        self.samples.settle(partition, from, &self.shared.live.load().graph);
    }

    /// Makes the producer again. What the old one had seen of topics is forgotten.
    pub(super) fn remake_producer(&mut self) -> Result<(), ProduceError> {
        self.producer = (self.make_producer)()?;
        self.routes.forget_seen();
        Ok(())
    }
}
