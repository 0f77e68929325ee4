//! What one transaction does for upsert streams: first what graph and time have changed, share by share, then documents that were
//! read back, then the records of the batch.

use std::sync::Arc;

use tracing::warn;

use super::Upserts;
use super::arrived::Arrived;
use super::now::Now;
use super::partition::{PartitionPhase, UpsertPartition};
use super::reconcile::AtHand;
use crate::engine::feed::Work;
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::headers::passed_headers;
use crate::engine::output::route::Routes;
use crate::id::{Offset, StreamSet};
use crate::live::View;
use crate::record::decode::Identity;
use crate::record::mapping::Stream;
use crate::share::table::query::own_end;
use crate::sink_state::cause::Occasion;
use crate::sink_state::partition::{AssetHash, Current};
use crate::sink_state::reconcile::{Basis, Subject};
use crate::sink_state::{document, grant_of};
use crate::time::TimestampNs;
use crate::topic::PartitionName;
use crate::transport::{Record, SourcePartition};

/// Writes of one transaction that are due to changes; records come besides.
const MOST_WRITES: usize = 2_000;
/// And their bytes.
const MOST_BYTES: usize = 8 << 20;
/// Bytes of all writes behind which a batch ends.
const MOST_BYTES_OF_RECORDS: usize = 64 << 20;

/// The partition as logs name it.
pub(super) fn name_of(streams: &[Stream], partition: SourcePartition) -> PartitionName<'_> {
    PartitionName(&streams[usize::from(partition.stream.0)].topic, partition.partition)
}

impl Upserts {
    /// Partitions that are read and whose last owner's graph and time have been reached: their records flow from here on.
    pub fn activate(&mut self, view: &View, time: TimestampNs, routes: &mut Routes) -> Vec<(SourcePartition, Offset)> {
        let mut released = Vec::new();
        for held in &mut self.partitions {
            let PartitionPhase::Loaded(loaded) = &held.state else { continue };
            if loaded.note.epoch > view.graph.epoch() || loaded.note.time > time.millis() {
                if !std::mem::replace(&mut held.has_said_it_waits, true) {
                    let (note, epoch) = (loaded.note.epoch.0, view.graph.epoch().0);
                    warn!(
                        partition = %name_of(&self.reconciler.streams, held.ticket.partition),
                        note,
                        epoch,
                        "the partition's last owner decided by a newer graph, or at a later time: its records wait until both are reached. If \
                         the control topic was restored from an older copy they wait for good; the pages for operators say what to do"
                    );
                }
                continue;
            }
            let source = held.source();
            let stream = source.stream;
            let away: Vec<_> = self.gates.reopened_since(0).into_iter().filter(|away| away.stream == stream).collect();
            let Some((position, found)) = held.activate(view.graph.epoch(), &away) else { continue };
            // First, for they have the times of their causes.
            self.queue.extend(held.missed.drain().map(|(_, work)| work));
            let PartitionPhase::Active(state) = &held.state else { continue };
            for found in found {
                self.unseen.insert(self.reconciler.route(source, &found.stood.target, routes));
                let identity = Identity { tenant: found.owner.as_str(), asset: found.asset.as_str() };
                let grant = grant_of(&view.graph, identity, found.share.as_str());
                let subject = Subject { share: &found.share, grant, identity, occasion: Occasion::Reading };
                let basis = Basis { graph: &view.graph, newest_change: view.newest_change, now: time };
                if state.must_go(&found.stood, subject, basis).is_some() {
                    let passed = own_end(None, grant.and_then(|grant| grant.ends.get()), time);
                    let cause = found.deleted_at.into_iter().chain(passed).min().unwrap_or(view.graph.control_time());
                    let work = Work { share: found.share, owner: found.owner, asset: found.asset, cause, shown: StreamSet::default() };
                    match grant {
                        Some(_) => self.queue.extend([work]),
                        None => self.queue.push_undated(work),
                    }
                }
            }
            released.push((source, position));
        }
        released
    }

    /// Begins a transaction with what changes have left to do.
    pub fn begin(&mut self, now: &mut Now<'_>) {
        self.reconciler.writes.clear();
        self.owed.begin();
        self.partitions.iter_mut().for_each(UpsertPartition::begin);
        self.queue.begin();
        self.arrived.begin();
        self.forget_gone(now);
        while self.has_room(now.max_routes)
            && let Some(work) = self.queue.next().cloned()
        {
            self.reconcile_share(&work, now);
            self.queue.took();
        }
        self.reconcile_arrived(now);
    }

    /// Whether another record of the batch fits the transaction.
    pub fn has_room_for_records(&self, max_routes: usize) -> bool {
        let writes = &self.reconciler.writes;
        writes.bytes() < MOST_BYTES_OF_RECORDS && writes.routes() < max_routes
    }

    /// Whether a document waits until what has ended before is taken back: the fold has yet to say when that was.
    pub fn holds_back(&self, record: &Record<'_>) -> bool {
        self.is_upsert(record.source) && self.queue.awaits_dates()
    }

    fn has_room(&self, max_routes: usize) -> bool {
        let writes = &self.reconciler.writes;
        writes.len() < MOST_WRITES && writes.bytes() < MOST_BYTES && writes.routes() < max_routes
    }

    /// One share that was touched, in every partition: who has nothing of it has nothing to do.
    fn reconcile_share(&mut self, work: &Work, now: &mut Now<'_>) {
        let identity = Identity { tenant: work.owner.as_str(), asset: work.asset.as_str() };
        let grant = grant_of(&now.view.graph, identity, work.share.as_str());
        let subject = Subject { share: &work.share, grant, identity, occasion: Occasion::Change(work.cause) };
        for held in &mut self.partitions {
            let stream = held.source().stream;
            let Some(state) = held.active_mut() else {
                // Its documents were perhaps shown by a view that had not seen this.
                let is_withheld = held.missed.get(&work.share).is_some_and(|before| !before.shown.contains(stream));
                if !is_withheld {
                    held.missed.insert(work.share.clone(), work.clone());
                }
                continue;
            };
            // Its place may be another one now.
            state.ungate(&work.share);
            self.reconciler.reconcile(held, subject, None, &self.queue, now);
        }
    }

    /// Documents that were read back, as far as they are still the current ones.
    fn reconcile_arrived(&mut self, now: &mut Now<'_>) {
        let partitions = &self.partitions;
        let Some(arrived) = self.arrived.take_first(|arrived| is_active(partitions, arrived)) else { return };
        let mut count = 0;
        for record in arrived.records.iter() {
            if !self.has_room(now.max_routes) {
                break;
            }
            count += 1;
            self.reconcile_document(&record, now);
        }
        self.arrived.give_back(arrived, count);
    }

    fn reconcile_document(&mut self, record: &Record<'_>, now: &mut Now<'_>) {
        let streams = Arc::clone(&self.reconciler.streams);
        let stream = &streams[usize::from(record.source.stream.0)];
        let Ok(Some(identity)) = document::identity(stream, record.key, record.headers.iter()) else { return };
        let asset = AssetHash::of(identity);
        let Some(state) = self.partitions.iter_mut().find(|held| held.source() == record.source).and_then(UpsertPartition::active_mut)
        else {
            return;
        };
        if state.document(asset) != Current::At(record.offset) {
            return;
        }
        // One that cannot be read counts as a null value; its dead letter was written when it came.
        let is_readable = matches!(self.reconciler.renderer.read(record.value), Ok(true));
        if !is_readable {
            state.read(asset, None);
        }
        self.reconcile_all(stream, record, identity, is_readable, now);
    }

    /// A record of the batch. `is_last` is whether it is its asset's last one there: those before it are read for their dead
    /// letters only.
    pub fn record(&mut self, record: &Record<'_>, is_last: bool, now: &mut Now<'_>) {
        let streams = Arc::clone(&self.reconciler.streams);
        let stream = &streams[usize::from(record.source.stream.0)];
        let Some(state) = self.partitions.iter_mut().find(|held| held.source() == record.source).and_then(UpsertPartition::active_mut)
        else {
            return;
        };
        if record.offset < state.position() {
            return;
        }
        state.advance(Offset(record.offset.0 + 1));
        let identity = match document::identity(stream, record.key, record.headers.iter()) {
            Ok(Some(identity)) => identity,
            Ok(None) => return,
            Err(refusal) => return now.letters.push(OwnedDeadLetter::of_input(stream, record, &refusal)),
        };
        let read = self.reconciler.renderer.read(record.value);
        let is_there = matches!(read, Ok(true));
        state.read(AssetHash::of(identity), is_there.then_some(record.offset));
        if let Err(refusal) = &read {
            warn!(
                partition = %PartitionName(&stream.topic, record.source.partition),
                offset = record.offset.0,
                reason = refusal.reason.as_str(),
                "a document cannot be read: it counts as deleted, and is a dead letter"
            );
            now.letters.push(OwnedDeadLetter::of_input(stream, record, refusal));
        }
        if is_last {
            self.reconcile_all(stream, record, identity, is_there, now);
        }
    }

    /// Of a batch's records the last one of each asset is the one that counts.
    pub fn find_last<'r>(&mut self, records: impl Iterator<Item = Record<'r>>) {
        self.last.clear();
        for record in records {
            if self.is_upsert(record.source)
                && let Some(asset) = self.asset_of(&record)
            {
                self.last.insert((record.source, asset), record.offset);
            }
        }
    }

    /// Whether this record is the last one of its asset in the batch.
    pub fn is_last(&self, record: &Record<'_>) -> bool {
        self.asset_of(record).is_some_and(|asset| self.last.get(&(record.source, asset)) == Some(&record.offset))
    }

    fn asset_of(&self, record: &Record<'_>) -> Option<AssetHash> {
        let stream = &self.reconciler.streams[usize::from(record.source.stream.0)];
        document::identity(stream, record.key, record.headers.iter()).ok()?.map(AssetHash::of)
    }

    fn reconcile_all(&mut self, stream: &Stream, record: &Record<'_>, identity: Identity<'_>, is_there: bool, now: &mut Now<'_>) {
        let Some(shares) = now.view.graph.asset(identity.tenant, identity.asset) else { return };
        let passed = passed_headers(&self.reconciler.rules.passes_headers, record);
        let at_hand = record.value.filter(|_| is_there).map(|text| AtHand {
            offset: record.offset,
            timestamp: record.timestamp,
            text,
            passed: &passed,
        });
        let Some(held) = self.partitions.iter_mut().find(|held| held.source() == record.source) else { return };
        for grant in shares.grants().filter(|grant| grant.streams.contains(stream.index)) {
            let subject = Subject { share: grant.share, grant: Some(grant), identity, occasion: Occasion::Record(record.timestamp) };
            self.reconciler.reconcile(held, subject, at_hand, &self.queue, now);
        }
    }

    /// Documents that have left the log, and whose successor would have been read by now: there are none any more.
    fn forget_gone(&mut self, now: &mut Now<'_>) {
        for held in &mut self.partitions {
            let due = held.gone_for_good();
            if due.is_empty() {
                continue;
            }
            let (source, cause) = (held.source(), now.view.graph.control_time());
            let lost = held.active_mut().map_or(Vec::new(), |state| state.lose(&due));
            held.forgets = due;
            for (share, stood) in lost {
                // Its owner's words are not at hand; as a share to look at again it has no document either way.
                let shown = StreamSet::ALL.without(source.stream);
                let work = Work { share, owner: stood.target.clone(), asset: stood.key.clone(), cause, shown };
                self.reconciler.clear(source, work, &stood, cause, now.routes);
            }
        }
    }
}

/// Whether the partition of these documents flows, in the life in which they were read.
pub(super) fn is_active(partitions: &[UpsertPartition], arrived: &Arrived) -> bool {
    let of_it = |held: &&UpsertPartition| held.source() == arrived.partition && held.ticket.life == arrived.life;
    partitions.iter().find(of_it).is_some_and(|held| held.active().is_some())
}
