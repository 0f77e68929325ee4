//! The data plane's one loop: a worker owns a group consumer and a transactional producer and takes records from
//! their input partitions to their tenants' topics (ARCHITECTURE.md#a-records-way, docs/rules/release.md, docs/rules/exactly-once.md,
//! docs/rules/fence.md).
//!
//! `run` and `transact` together are a record's whole way. No transaction is open across a poll.

pub(crate) mod poll;
pub mod decide;
pub(crate) mod dispatch;
pub(crate) mod transaction;
pub mod recovery;
pub mod error;
pub mod metrics;
pub mod handover;
pub mod position;
pub mod settings;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustc_hash::FxHashMap;
use tracing::{info, warn};

use super::fence::Closed;
use super::upsert::{Now, Upserts};
use crate::clock::BootTime;
use crate::decide::Decider;
use crate::engine::fence::epoch_report::WorkerEpoch;
use crate::engine::output::outbox::{BatchBudget, Outbox, RecordOrigin};
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::restore::Restore;
use crate::engine::restore::redelivery::Redelivery;
use crate::engine::worker::decide::{Deciding, RouteMarks};
use crate::engine::worker::error::{TxError, TxStage, WorkerError};
use crate::engine::worker::handover::Handover;
use crate::engine::worker::metrics::WorkerMetrics;
use crate::engine::worker::settings::{Shared, WorkerSettings};
use crate::id::Offset;
use crate::live::View;
use crate::sink_state::partition::AssetHash;
use crate::time::TimestampMs;
use crate::transport::{Batch, ConsumeError, GroupConsumer, InputOffset, ProduceError, SourcePartition, TransactionalProducer};

/// The first pause after an abort that names no route; it doubles up to the second.
pub(super) const ABORT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// One worker.
pub struct Worker<C, P> {
    pub(super) settings: WorkerSettings,
    pub(super) shared: Shared,
    pub(super) consumer: C,
    pub(super) producer: P,
    /// Makes the producer again after it failed for good.
    pub(super) make_producer: MakeProducer<P>,
    decider: Decider,
    pub(super) routes: Routes,
    pub(super) metrics: WorkerMetrics,
    /// Records read and not committed, in the order they came. Of partitions this worker owns alone.
    pub(super) batch: Batch,
    pub(super) outbox: Outbox,
    marks: RouteMarks,
    /// The next offset of each partition that the current transaction covers.
    pub(super) offsets: Vec<InputOffset>,
    /// Partitions begun for the first time whose note and first offset the next transaction commits.
    pub(super) begun: Vec<(SourcePartition, Offset)>,
    /// Partitions without committed offset that are still to be begun.
    pub(super) unbegun: Vec<SourcePartition>,
    /// Outputs that their topic refuses for themselves; they become dead letters when decided again.
    pub(super) refused: Vec<(RecordOrigin, RouteIndex, String)>,
    /// Records whose dead letters are refused for their bytes and go without them.
    pub(super) strip_payload: Vec<RecordOrigin>,
    /// What is queued for topics whose limit is known.
    pub(super) fill: BatchBudget,
    /// How many records the next transaction takes at most; halved to pin a failure or after an abort for age.
    pub(super) batch_limit: usize,
    /// The group has gone on without us: nothing is committed before the next assign.
    pub(super) awaits_assign: bool,
    pub(super) abort_pause: Duration,
    pub(super) fenced_at: Option<BootTime>,
    pub(super) has_been_assigned: bool,
    newest_cut: Option<TimestampMs>,
    has_seen_view: bool,
    /// Reads besides the group.
    pub(super) desk: Box<dyn Restore>,
    /// Upsert streams, if any are configured.
    pub(super) upserts: Option<Upserts>,
    /// Where append partitions are read on, and what failed routes are owed of them with `on_route_failure: wait`.
    pub(super) owed: Redelivery,
    /// In a batch with records of upsert streams, the last one of each asset.
    last: FxHashMap<(SourcePartition, AssetHash), Offset>,
    /// The one record that the transaction under way is about, if it is only one.
    pub(super) sole_record: Option<RecordOrigin>,
    /// What this worker says it decides by.
    pub(super) saying: Arc<WorkerEpoch>,
    /// Where its partitions are read on, and whether they are.
    pub(super) handover: Handover,
}

/// What a worker has besides its clients.
pub struct Aside {
    /// Reads besides the group.
    pub desk: Box<dyn Restore>,
    /// Upsert streams, if any are configured.
    pub upserts: Option<Upserts>,
}

/// Makes a producer of this worker's `transactional.id`. `Abort` passes by itself.
pub type MakeProducer<P> = Box<dyn FnMut() -> Result<P, ProduceError> + Send>;

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
        mut make_producer: MakeProducer<P>,
        decider: Decider,
        aside: Aside,
        metrics: WorkerMetrics,
    ) -> Result<Self, WorkerError> {
        let Aside { desk, upserts } = aside;
        let producer = first_producer(&mut make_producer, &shared)?;
        let consumer = join().map_err(WorkerError::Input)?;
        shared.producers.fetch_add(1, Ordering::Relaxed);
        let batch_limit = settings.max_records;
        let saying = WorkerEpoch::new(&shared.said);
        let handover = Handover::new(&shared.overdue);
        Ok(Self {
            saying,
            handover,
            settings,
            shared,
            consumer,
            producer,
            make_producer,
            decider,
            has_been_assigned: false,
            newest_cut: None,
            has_seen_view: false,
            desk,
            upserts,
            owed: Redelivery::default(),
            last: FxHashMap::default(),
            sole_record: None,
            routes: Routes::default(),
            metrics,
            batch: Batch::default(),
            outbox: Outbox::default(),
            marks: RouteMarks::default(),
            offsets: Vec::new(),
            begun: Vec::new(),
            unbegun: Vec::new(),
            refused: Vec::new(),
            strip_payload: Vec::new(),
            fill: BatchBudget::default(),
            batch_limit,
            awaits_assign: false,
            abort_pause: ABORT_PAUSES.0,
            fenced_at: None,
        })
    }

    /// Reads, decides and writes until told to stop; then finishes what is in hand and leaves the group.
    pub fn run(mut self) -> Result<(), WorkerError> {
        loop {
            // No transaction is open here, and each one to come loads the view again, which only goes forward.
            self.saying.set_min_epoch(self.shared.live.load().graph.epoch());
            let is_stopping = self.shared.stop.load(Ordering::Relaxed);
            if !is_stopping {
                self.gather()?;
                self.listen()?;
                self.watch_held();
                self.note_cut();
            }
            if self.batch.is_empty() && self.begun.is_empty() && !self.has_work_aside() {
                if is_stopping {
                    return Ok(());
                }
                continue;
            }
            match self.transact() {
                Ok(count) => self.committed(count)?,
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

    /// One transaction: from the batch in hand to a commit. Returns how many records it covers.
    fn transact(&mut self) -> Result<usize, TxError> {
        let started = self.shared.clock.boot();
        // Everything below uses this one graph and this one time.
        let view = self.shared.live.load();
        self.check_fence(&view).map_err(TxError::Closed)?;
        let now = self.now(&view);
        let count = self.decide(&view, now);
        self.look_up_routes()?;
        self.divert();
        self.note_upserts(&view, now);
        self.note_owed();
        if self.offsets.is_empty() && self.outbox.is_empty() {
            return Ok(0);
        }

        self.producer.begin().map_err(|e| TxError::Failed(e, TxStage::Begin))?;
        self.fill.clear();
        if let Err(setback) = self.write(&view) {
            return Err(match setback.leaves_transaction_open().then(|| self.producer.abort()) {
                Some(Err(error)) => TxError::AbortFailed(error, Box::new(setback)),
                _ => setback,
            });
        }
        let took = self.shared.clock.boot().since(started);
        self.metrics.committed(&self.outbox, &self.routes, self.batch.iter().take(count), now, took);
        if let Some(upserts) = &self.upserts {
            self.metrics.upserted(upserts.writes(), &self.routes);
        }
        Ok(count)
    }

    /// Decides and projects the records of the batch in order, up to the reach or as many routes as one transaction takes.
    fn decide(&mut self, view: &View, now: TimestampMs) -> usize {
        self.offsets.clear();
        let boot = self.shared.clock.boot();
        let Self { settings, decider, routes, outbox, marks, batch, offsets, upserts, owed, last, sole_record, .. } = self;
        let mut deciding = Deciding::begin(decider, &view.graph, now, settings, routes, outbox, marks);
        let (time, max_routes) = (now.moment(), settings.max_routes);
        if let Some(upserts) = upserts {
            find_last(upserts, batch, self.batch_limit, last);
            let (routes, letters) = deciding.aside();
            upserts.begin(&mut Now { view, time, boot, routes, letters, max_routes });
        }
        *sole_record = None;
        let again = decide_again(owed, &mut deciding, boot, self.batch_limit, sole_record);
        // Alone means alone: which record a topic refuses can be told then.
        let batch_limit = if self.batch_limit == 1 && again > 0 { 0 } else { self.batch_limit };
        let mut count = 0;
        for record in batch.iter().take(batch_limit) {
            if !deciding.has_room()
                || upserts.as_ref().is_some_and(|upserts| !upserts.has_room_for_records(max_routes) || upserts.holds_back(&record))
            {
                break;
            }
            match upserts {
                Some(upserts) if upserts.is_upsert(record.source) => {
                    let is_last = upserts.asset_of(&record).is_some_and(|asset| last.get(&(record.source, asset)) == Some(&record.offset));
                    let (routes, letters) = deciding.aside();
                    upserts.record(&record, is_last, &mut Now { view, time, boot, routes, letters, max_routes });
                }
                _ => {
                    deciding.decide(&record);
                    note_offset(offsets, record.source, Offset(record.offset.0 + 1));
                }
            }
            count += 1;
            *sole_record = (again + count == 1).then_some(RecordOrigin { source: record.source, offset: record.offset });
        }
        self.metrics.decided(deciding.finish());
        for &(partition, first) in &self.begun {
            if !self.offsets.iter().any(|noted| noted.partition == partition) {
                self.offsets.push(InputOffset::new(partition, first));
            }
        }
        count
    }

    /// The larger of the clock and the graph's control time, and no moment before one that was announced.
    fn now(&self, view: &View) -> TimestampMs {
        let announced = self.upserts.as_ref().map_or(TimestampMs(i64::MIN), Upserts::not_before);
        self.shared.clock.wall().max(view.graph.control_time()).max(announced)
    }

    /// Whether there is something to do without records.
    fn has_work_aside(&self) -> bool {
        let boot = self.shared.clock.boot();
        !self.shared.stop.load(Ordering::Relaxed)
            && (self.upserts.as_ref().is_some_and(|upserts| upserts.has_work(&self.shared.live.load(), &self.routes))
                || self.owed.has_work(&self.routes, boot))
    }

    /// From here on this worker decides by the published graph; a new cut in it is quiet now.
    fn note_cut(&mut self) {
        let newest = self.shared.live.load().newest_cut;
        if newest != self.newest_cut {
            // The first view has cuts of the past, which nobody has waited for.
            if let (Some(cut), true) = (newest, self.has_seen_view) {
                self.metrics.quiet_after(self.shared.clock.wall().0 - cut.0);
            }
            self.newest_cut = newest;
        }
        self.has_seen_view |= newest.is_some() || self.check_fence(&self.shared.live.load()).is_ok();
    }

    pub(super) fn check_fence(&self, view: &View) -> Result<(), Closed> {
        let (wall, boot) = (self.shared.clock.wall(), self.shared.clock.boot());
        self.shared.fence.lock().expect("the fence is never left half changed").check(view, wall, boot)
    }

    fn committed(&mut self, count: usize) -> Result<(), WorkerError> {
        self.routes.answered(self.outbox.iter().map(|output| output.route));
        self.batch.drop_front(count);
        if let Some(upserts) = &mut self.upserts {
            self.routes.answered(upserts.routes());
            upserts.committed();
            self.metrics.standing(upserts.standing());
        }
        self.owed.committed(&self.offsets);
        self.metrics.owed(self.owed.len() + self.upserts.as_ref().map_or(0, Upserts::owed_routes));
        self.flow_begun()?;
        self.refused.clear();
        self.strip_payload.clear();
        self.batch_limit = (self.batch_limit * 2).min(self.settings.max_records);
        self.abort_pause = ABORT_PAUSES.0;
        Ok(())
    }
}

/// The first producer; a coordinator that does not answer is waited for.
fn first_producer<P>(make: &mut MakeProducer<P>, shared: &Shared) -> Result<P, WorkerError> {
    loop {
        match make() {
            Ok(producer) => return Ok(producer),
            Err(ProduceError::Abort(reason)) if !shared.stop.load(Ordering::Relaxed) => {
                warn!(reason, "waiting for the transaction coordinator")
            }
            Err(error) => return Err(WorkerError::Output(error)),
        }
    }
}

/// Decides again what routes are owed that may be written to, up to where the batch begins. Returns how many records that took.
fn decide_again(
    owed: &mut Redelivery,
    deciding: &mut Deciding<'_>,
    boot: BootTime,
    batch_limit: usize,
    sole_record: &mut Option<RecordOrigin>,
) -> usize {
    owed.begin();
    let mut count = 0;
    for (partition, route) in owed.pick(deciding.aside().0, boot) {
        let Some((records, behind, position)) = owed.readable(partition, route) else { continue };
        let mut from = (behind < position).then_some(behind);
        for record in records.iter().take_while(|record| record.offset < position) {
            if count == batch_limit || !deciding.has_room() {
                from = Some(record.offset);
                break;
            }
            deciding.decide_again(&record, route);
            count += 1;
            *sole_record = (count == 1).then_some(RecordOrigin { source: record.source, offset: record.offset });
        }
        owed.draft(partition, route, from);
    }
    count
}

fn note_offset(offsets: &mut Vec<InputOffset>, partition: SourcePartition, next: Offset) {
    // Records of one partition come in runs, so the last entry is nearly always the one.
    match offsets.iter_mut().rev().find(|noted| noted.partition == partition) {
        Some(noted) => noted.next = next,
        None => offsets.push(InputOffset::new(partition, next)),
    }
}

/// Of records of upsert streams the last one of each asset is the one that counts.
fn find_last(upserts: &Upserts, batch: &Batch, batch_limit: usize, last: &mut FxHashMap<(SourcePartition, AssetHash), Offset>) {
    last.clear();
    for record in batch.iter().take(batch_limit).filter(|record| upserts.is_upsert(record.source)) {
        last.extend(upserts.asset_of(&record).map(|asset| ((record.source, asset), record.offset)));
    }
}
