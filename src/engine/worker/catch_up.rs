//! What a worker does besides the records of its group: upsert streams follow the fold, and routes get what they are owed.
//!
//! A partition belongs to one of the two: to `upserts` if its stream is one, else to `redelivery`. Both are read first, through the
//! restorer, before records of the partition flow.

use crate::clock::BootTime;
use crate::engine::output::outbox::RecordOrigin;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::restore::Restore;
use crate::engine::restore::redelivery::{ClaimChange, Redelivery};
use crate::engine::restore::request::{Gap, GapContent, RestoreEvent, RestorePayload};
use crate::engine::upsert::Upserts;
use crate::engine::worker::ahead::DecidedBatch;
use crate::engine::worker::decide::Deciding;
use crate::engine::worker::settings::WorkerSettings;
use crate::id::{Offset, StreamIndex, TenantId};
use crate::live::View;
use crate::time::{TimestampMs, TimestampNs};
use crate::transport::{ConsumeError, InputOffset, Record, SourcePartition};

/// What follows from something that was read.
#[derive(Debug)]
pub(super) enum AfterRestore {
    /// It is noted, or of no interest any more.
    Nothing,
    /// The partition is to be begun for the first time.
    Begin(SourcePartition),
    /// The partition was begun before, and its offset is gone.
    PositionLost(SourcePartition),
    /// The partition's records flow from here on.
    Release(SourcePartition, Offset),
    /// What was found in a gap, as asked for in this life of the partition.
    Gap { partition: SourcePartition, life: u64, gap: Gap, found: GapContent },
    /// The input can never be read.
    Failed(ConsumeError),
}

/// What is read, decided and written besides the group's records.
pub(super) struct CatchUp {
    restorer: Box<dyn Restore>,
    /// Upsert streams, if any are configured.
    upserts: Option<Upserts>,
    /// Where append partitions are read on, and what open routes are owed of them with `on_route_failure: wait`.
    redelivery: Redelivery,
}

impl CatchUp {
    pub(super) fn new(restorer: Box<dyn Restore>, upserts: Option<Upserts>) -> Self {
        Self { restorer, upserts, redelivery: Redelivery::default() }
    }

    pub(super) fn upserts(&self) -> Option<&Upserts> {
        self.upserts.as_ref()
    }

    /// What the transaction under way changes of what routes are owed.
    pub(super) fn redelivery_changes(&self) -> &[ClaimChange] {
        self.redelivery.changes()
    }

    fn upserts_of(&mut self, partition: SourcePartition) -> Option<&mut Upserts> {
        self.upserts.as_mut().filter(|upserts| upserts.is_upsert(partition))
    }

    /// Has read what partitions have come to, before their records flow: where to go on, what stands of them, what routes are owed.
    pub(super) fn arrive(&mut self, partitions: &[SourcePartition]) {
        for &partition in partitions {
            match &mut self.upserts {
                Some(upserts) if upserts.is_upsert(partition) => upserts.arrive(partition, None, &mut *self.restorer),
                _ => self.redelivery.arrive(partition, &mut *self.restorer),
            }
        }
    }

    /// The partition was begun at `first`, which is committed. Returns whether its records flow at once.
    pub(super) fn begun(&mut self, partition: SourcePartition, first: Offset) -> bool {
        match &mut self.upserts {
            Some(upserts) if upserts.is_upsert(partition) => {
                upserts.arrive(partition, Some(first), &mut *self.restorer);
                false
            }
            _ => {
                self.redelivery.begun(partition, first);
                true
            }
        }
    }

    /// Partitions were taken back.
    pub(super) fn leave(&mut self, partitions: &[SourcePartition]) {
        if let Some(upserts) = &mut self.upserts {
            upserts.leave(partitions);
        }
        self.redelivery.leave(partitions);
    }

    /// The partitions in hand, of which nothing is known any more.
    pub(super) fn forget(&mut self) -> Vec<SourcePartition> {
        let mut partitions = self.redelivery.held();
        partitions.extend(self.upserts.iter_mut().flat_map(Upserts::forget));
        partitions
    }

    /// Takes in what the fold has to say, and has read what is to be read for it. The view is loaded after this call. Returns whether
    /// something was missed: every partition must be read again then.
    pub(super) fn listen(&mut self, routes: &Routes, boot: BootTime) -> bool {
        let Self { restorer, upserts, redelivery } = self;
        if upserts.as_mut().is_some_and(|upserts| upserts.listen(routes, boot, &mut **restorer)) {
            return true;
        }
        redelivery.ask(routes, boot, &mut **restorer);
        false
    }

    /// Reads besides the group.
    pub(super) fn restorer(&mut self) -> &mut dyn Restore {
        &mut *self.restorer
    }

    /// What was read next, if there is room for it: documents in hand are memory.
    pub(super) fn next_event(&mut self) -> Option<RestoreEvent> {
        if self.upserts.as_ref().is_none_or(Upserts::can_accept) { self.restorer.news() } else { None }
    }

    /// Takes in what was read of one partition.
    pub(super) fn take(&mut self, event: RestoreEvent, routes: &mut Routes, settings: &WorkerSettings) -> AfterRestore {
        let RestoreEvent { partition, life, what } = event;
        if let RestorePayload::Gap(gap, found) = what {
            return AfterRestore::Gap { partition, life, gap, found };
        }
        let is_current = match self.upserts_of(partition) {
            Some(upserts) => upserts.is_current(partition, life),
            None => self.redelivery.is_current(partition, life),
        };
        if !is_current {
            return AfterRestore::Nothing;
        }
        match what {
            RestorePayload::Unbegun { was_begun: true } => return AfterRestore::PositionLost(partition),
            RestorePayload::Unbegun { was_begun: false } => return AfterRestore::Begin(partition),
            RestorePayload::Failed(error) => return AfterRestore::Failed(error),
            RestorePayload::Notes(position, notes) => {
                let stream = &settings.streams[usize::from(partition.stream.0)];
                let mut route = |tenant| routes.find(tenant, stream.index, || settings.names.of_stream(tenant, &stream.name));
                let debts = notes.iter().map(|note| (route(&note.tenant), note.from)).collect();
                self.redelivery.known(partition, life, position, debts);
                return AfterRestore::Release(partition, position);
            }
            RestorePayload::Again { route, from, records, behind } => {
                self.redelivery.read((partition, life), route, from, (records, behind));
            }
            what @ (RestorePayload::Loaded(_) | RestorePayload::Documents { .. } | RestorePayload::Gap(..)) => {
                if let Some(upserts) = &mut self.upserts {
                    upserts.take(RestoreEvent { partition, life, what });
                }
            }
        }
        AfterRestore::Nothing
    }

    /// Upsert partitions that are read: their records flow from these offsets on.
    pub(super) fn activate(&mut self, view: &View, time: TimestampNs, routes: &mut Routes) -> Vec<(SourcePartition, Offset)> {
        self.upserts.as_mut().map_or(Vec::new(), |upserts| upserts.activate(view, time, routes))
    }

    /// No decision is made at an earlier time: moments up to it were announced.
    pub(super) fn not_before(&self) -> TimestampMs {
        self.upserts.as_ref().map_or(TimestampMs(i64::MIN), Upserts::not_before)
    }

    /// Whether something is being read or waits to be written, so that nobody should wait for records.
    pub(super) fn is_busy(&self) -> bool {
        self.upserts.as_ref().is_some_and(Upserts::is_busy) || self.redelivery.is_busy()
    }

    /// Whether there is something to do without records.
    pub(super) fn has_work(&self, view: &View, routes: &Routes, boot: BootTime) -> bool {
        self.upserts.as_ref().is_some_and(|upserts| upserts.has_work(view, routes)) || self.redelivery.has_work(routes, boot)
    }

    /// Whether a next batch may be decided that is of append streams alone: nothing is owed, or about to be, and no upsert stream waits
    /// for its turn.
    pub(super) fn is_at_rest(&self, view: &View, routes: &Routes, boot: BootTime) -> bool {
        self.redelivery.is_empty() && self.redelivery.changes().is_empty() && !self.has_work(view, routes, boot)
    }

    /// How far the reading of a partition has got, in no unit.
    pub(super) fn progress(&self, partition: SourcePartition) -> Option<u64> {
        self.upserts.as_ref().and_then(|upserts| upserts.progress(partition)).or_else(|| self.redelivery.progress(partition))
    }

    /// A transaction begins, with these records at most: upsert streams first, by what changes have left to do.
    pub(super) fn begin<'r>(&mut self, records: impl Iterator<Item = Record<'r>>, deciding: &mut Deciding<'_>) {
        if let Some(upserts) = &mut self.upserts {
            upserts.find_last(records);
            upserts.begin(&mut deciding.now());
        }
        self.redelivery.begin();
    }

    /// Decides again what routes are owed that may be written to, up to where the batch begins. Returns how many records that took.
    pub(super) fn decide_again(&mut self, deciding: &mut Deciding<'_>, batch_limit: usize) -> usize {
        let mut count = 0;
        for (partition, route) in self.redelivery.pick(deciding.routes(), deciding.boot()) {
            let Some((records, behind, position)) = self.redelivery.readable(partition, route) else { continue };
            let mut from = (behind < position).then_some(behind);
            for record in records.iter().take_while(|record| record.offset < position) {
                if count == batch_limit || !deciding.has_room() {
                    from = Some(record.offset);
                    break;
                }
                deciding.decide_again(&record, route);
                count += 1;
            }
            self.redelivery.draft(partition, route, from);
        }
        count
    }

    /// The routes that do not get a partition's newest records yet, by what the transaction has drafted.
    pub(super) fn still_owed(&self) -> Vec<(SourcePartition, RouteIndex)> {
        self.redelivery.still_owed()
    }

    /// Where the next transaction's records of an append partition begin.
    pub(super) fn position(&self, partition: SourcePartition) -> Option<Offset> {
        self.redelivery.position(partition)
    }

    /// Whether one of these records is of an upsert stream.
    pub(super) fn has_upserts<'r>(&self, mut records: impl Iterator<Item = Record<'r>>) -> bool {
        self.upserts.as_ref().is_some_and(|upserts| records.any(|record| upserts.is_upsert(record.source)))
    }

    /// Whether this record fits the transaction, and nothing has to be taken back before it.
    pub(super) fn has_room_for(&self, record: &Record<'_>, max_routes: usize) -> bool {
        self.upserts.as_ref().is_none_or(|upserts| upserts.has_room_for_records(max_routes) && !upserts.holds_back(record))
    }

    /// Decides a record of the batch by its stream's mode.
    pub(super) fn decide(&mut self, record: &Record<'_>, deciding: &mut Deciding<'_>) {
        match self.upserts_of(record.source) {
            Some(upserts) => {
                deciding.meet(RecordOrigin { source: record.source, offset: record.offset });
                upserts.record(record, upserts.is_last(record), &mut deciding.now());
            }
            None => deciding.decide(record),
        }
    }

    /// The routes that the transaction under way is to write to, besides those of the outbox.
    pub(super) fn routes(&self, routes: &Routes, now: BootTime) -> Vec<RouteIndex> {
        self.upserts.iter().flat_map(Upserts::routes).chain(self.redelivery.routes(routes, now)).collect()
    }

    /// A topic takes records again that was missing or failed.
    pub(super) fn reopened(&mut self, tenant: &TenantId, stream: StreamIndex, at: TimestampMs) {
        if let Some(upserts) = &mut self.upserts {
            upserts.reopened(tenant, stream, at);
        }
    }

    /// What is owed and what is written for upsert streams, for those who take out what cannot go its way.
    pub(super) fn split(&mut self) -> (&mut Redelivery, Option<&mut Upserts>) {
        (&mut self.redelivery, self.upserts.as_mut())
    }

    /// A topic refused documents: they are written fewer at a time, to pin the one it refuses.
    pub(super) fn refused(&mut self, route: RouteIndex) {
        if let Some(upserts) = &mut self.upserts {
            upserts.refused(route);
        }
    }

    /// Adds the offsets that go with what upsert streams and redelivery write. What is owed changes only together with offsets of its
    /// partition: they are what fences a zombie.
    pub(super) fn cover(&mut self, offsets: &mut Vec<InputOffset>, batch: &DecidedBatch, routes: &Routes) {
        if let Some(upserts) = self.upserts.as_mut().filter(|_| !batch.is_ahead) {
            upserts.looked();
            offsets.extend(upserts.offsets(&batch.view, batch.now.moment(), routes));
        }
        for change in self.redelivery.changes() {
            if let Some(position) = self.redelivery.position(change.partition)
                && !offsets.iter().any(|noted| noted.partition == change.partition)
            {
                offsets.push(InputOffset::new(change.partition, position));
            }
        }
    }

    /// The batch was committed, with these offsets.
    pub(super) fn committed(&mut self, offsets: &[InputOffset], batch: &DecidedBatch) {
        if let Some(upserts) = self.upserts.as_mut().filter(|_| !batch.is_ahead) {
            upserts.committed();
        }
        self.redelivery.committed(offsets);
    }

    /// How many claims routes have on this worker's partitions.
    pub(super) fn owed(&self) -> usize {
        self.redelivery.len() + self.upserts.as_ref().map_or(0, Upserts::owed_routes)
    }
}
