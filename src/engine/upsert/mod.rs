//! Upsert streams live: each target's compacted topic holds exactly the current documents.
//!
//! In reading order: `queue` has what the fold changed and is to be done; `partition` is one in hand, `arrived` what was
//! read of it; `gate` says when a place is free; `reconcile` carries out what follows for one share, `writes` is what comes of it,
//! `owed` what failed routes did not take. This file joins them; `now` is what a transaction decides by, `work` is what one transaction does, `commit` how it ends.

mod arrived;
mod commit;
pub mod gate;
mod now;
mod owed;
mod partition;
mod queue;
pub mod reconcile;
#[cfg(test)]
mod tests;
mod work;
mod writes;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;

use rustc_hash::FxHashMap;
use tracing::{info, warn};

pub use self::now::Now;
pub use self::writes::{Bytes, Write};

use self::arrived::ArrivedDocuments;
use self::gate::{Gates, Reopened};
use self::owed::OwedShares;
use self::partition::{PartitionPhase, UpsertPartition};
use self::queue::WorkQueue;
use self::reconcile::{Reconciler, UpsertRules};
use self::work::is_active;
use crate::clock::BootTime;
use crate::engine::feed::{ChangeReceiver, ControlCommand};
use crate::engine::output::route::{RouteIndex, Routes, Use};
use crate::engine::restore::Restore;
use crate::engine::restore::request::{RestoreEvent, RestorePayload, RestoreRequest};
use crate::id::{Offset, StreamIndex, TenantId};
use crate::live::View;
use crate::record::mapping::{Mode, Stream};
use crate::sink_state::partition::{AssetHash, PartitionState};
use crate::time::TimestampMs;
use crate::topic::partition_names;
use crate::transport::SourcePartition;

/// Documents read back at a time.
const FETCH_AT_ONCE: usize = 300;

/// A worker's upsert streams.
pub struct Upserts {
    queue: WorkQueue,
    gates: Arc<Gates>,
    partitions: Vec<UpsertPartition>,
    /// How many lives partitions have had here.
    lives: u64,
    arrived: ArrivedDocuments,
    owed: OwedShares,
    /// In the batch in hand, the last record of each asset.
    last: FxHashMap<(SourcePartition, AssetHash), Offset>,
    /// Routes of documents that were found standing: their topics are looked at once, for they may be new ones of the name.
    unseen: BTreeSet<RouteIndex>,
    reconciler: Reconciler,
    /// How many reopened topics of `gates` were worked off.
    reopened_known: usize,
    /// Those of the others that this worker found itself.
    reopened_here: Vec<usize>,
}

impl Upserts {
    /// Holds nothing yet.
    pub fn new(
        rules: UpsertRules,
        mask_secret: Option<&[u8]>,
        streams: Arc<[Stream]>,
        gates: Arc<Gates>,
        hearing: ChangeReceiver,
        commands: Sender<ControlCommand>,
    ) -> Self {
        Self {
            queue: WorkQueue::new(hearing, commands),
            partitions: Vec::new(),
            lives: 0,
            arrived: ArrivedDocuments::default(),
            owed: OwedShares::default(),
            last: FxHashMap::default(),
            unseen: BTreeSet::new(),
            reconciler: Reconciler::new(rules, mask_secret, streams, Arc::clone(&gates)),
            gates,
            reopened_known: 0,
            reopened_here: Vec::new(),
        }
    }

    /// Whether the stream is one.
    pub fn is_upsert(&self, partition: SourcePartition) -> bool {
        self.reconciler.streams[usize::from(partition.stream.0)].mode == Mode::Upsert
    }

    /// A partition was assigned, or has been begun: it is read before anything of it flows.
    /// Where it was begun its position is known.
    pub fn arrive(&mut self, partition: SourcePartition, position: Option<Offset>, desk: &mut dyn Restore) {
        self.leave(&[partition]);
        self.lives += 1;
        let held = UpsertPartition::new(partition, self.lives);
        desk.ask(RestoreRequest::Load(held.ticket.clone(), position));
        self.partitions.push(held);
    }

    /// Partitions were taken back.
    pub fn leave(&mut self, partitions: &[SourcePartition]) {
        self.partitions.retain(|held| !partitions.contains(&held.source()));
        self.arrived.leave(partitions);
    }

    /// The partitions in hand.
    pub fn held(&self) -> Vec<SourcePartition> {
        self.partitions.iter().map(UpsertPartition::source).collect()
    }

    /// Nothing is decided at an earlier time than moments that were announced.
    pub fn not_before(&self) -> TimestampMs {
        self.queue.announced()
    }

    /// Takes in what the fold has to say. The view is loaded after this call. Returns whether something was missed: every
    /// partition must be read again then.
    pub fn listen(&mut self, routes: &Routes, boot: BootTime, desk: &mut dyn Restore) -> bool {
        let is_missed = self.queue.hear();
        if self.partitions.is_empty() {
            // Whatever is assigned later is read with all of this in the view.
            self.queue.clear();
        }
        self.queue.sweep();
        self.queue.date();
        self.write_again();
        self.queue.extend_front(self.owed.take_due(|route| routes.use_at(route, boot) != Use::Divert));
        self.open_gates();
        self.fetch(desk);
        is_missed
    }

    /// Whether documents may be handed in: those in hand are memory.
    pub fn can_accept(&self) -> bool {
        self.arrived.can_accept()
    }

    /// Takes in what was read.
    pub fn take(&mut self, news: RestoreEvent) {
        let RestoreEvent { partition, life, what } = news;
        let Some(held) = self.partitions.iter_mut().find(|held| held.source() == partition && held.ticket.life == life) else { return };
        match what {
            // Reading that failed after this is begun again and tells it once more: the partition may have gone on since.
            RestorePayload::Loaded(loaded) if matches!(held.state, PartitionPhase::Loading) => held.state = PartitionPhase::Loaded(loaded),
            RestorePayload::Loaded(_) => {}
            RestorePayload::Documents { records, fetched } => self.arrived.push(partition, life, records, fetched),
            RestorePayload::Unbegun { .. }
            | RestorePayload::Failed(_)
            | RestorePayload::Notes(..)
            | RestorePayload::Again { .. }
            | RestorePayload::Gap(..) => {}
        }
    }

    /// Whether this is about a partition in hand, in the life it has now.
    pub fn is_current(&self, partition: SourcePartition, life: u64) -> bool {
        self.partitions.iter().any(|held| held.source() == partition && held.ticket.life == life)
    }

    /// How far the reading of a partition has got, in no unit.
    pub fn progress(&self, partition: SourcePartition) -> Option<u64> {
        let held = self.partitions.iter().find(|held| held.source() == partition)?;
        Some(held.ticket.progress.load(Ordering::Relaxed))
    }

    /// First documents whose place is free are read back.
    fn open_gates(&mut self) {
        for held in &mut self.partitions {
            let Some(state) = held.active() else { continue };
            let passing = state.passing(|gated| self.gates.passes(state.stream(), &gated.target, gated.needs));
            passing.into_iter().for_each(|offset| held.wants(offset));
        }
    }

    fn fetch(&mut self, desk: &mut dyn Restore) {
        for held in &mut self.partitions {
            if held.active().is_none() || !held.in_flight.is_empty() || held.fetch.is_empty() {
                continue;
            }
            let offsets: Vec<Offset> = std::iter::from_fn(|| held.fetch.pop_first()).take(FETCH_AT_ONCE).collect();
            held.in_flight.clone_from(&offsets);
            desk.ask(RestoreRequest::Fetch(held.ticket.clone(), offsets));
        }
    }

    /// Whether there is something to do besides records.
    pub fn has_work(&self, view: &View, routes: &Routes) -> bool {
        let waits = |held: &UpsertPartition| match &held.state {
            PartitionPhase::Loading => false,
            PartitionPhase::Loaded(loaded) => loaded.note.epoch <= view.graph.epoch(),
            PartitionPhase::Active(_) => {
                !held.gone_for_good().is_empty()
                    || held.has_news(view, self.queue.through())
                    || held.owed != self.owed.targets(held.source().stream, routes)
            }
        };
        !self.unseen.is_empty()
            || self.partitions.iter().any(waits)
            || self.partitions.iter().any(|held| held.active().is_some())
                && (!self.queue.is_empty() || self.arrived.iter().any(|arrived| is_active(&self.partitions, arrived)))
    }

    /// Whether more waits than one transaction took, so that nobody should wait for records.
    pub fn is_busy(&self) -> bool {
        !self.queue.is_empty() || self.arrived.iter().next().is_some() || self.partitions.iter().any(|held| !held.in_flight.is_empty())
    }

    /// Everything in hand is to be read again: it is not known what was committed, or what has changed.
    pub fn forget(&mut self) -> Vec<SourcePartition> {
        let partitions = self.held();
        if !partitions.is_empty() {
            let names = partition_names(partitions.iter().map(|partition| work::name_of(&self.reconciler.streams, *partition)));
            info!(partitions = names, "upsert partitions are read again");
        }
        self.leave(&partitions);
        self.queue.clear();
        self.owed.clear();
        partitions
    }

    /// A topic that was missing, or open, takes records again: it may be another one of the name, so everything that was written to
    /// it before this transaction is written again. Where that is anything the other workers of the process hear of it.
    pub fn reopened(&mut self, tenant: &TenantId, stream: StreamIndex, at: TimestampMs) {
        if self.write_again_to(tenant, stream) > 0 {
            self.reopened_here.push(self.gates.reopened(stream, tenant, at));
        }
    }

    fn write_again(&mut self) {
        let reopened = self.gates.reopened_since(self.reopened_known);
        for Reopened { stream, target: tenant, .. } in &reopened {
            if !self.reopened_here.contains(&self.reopened_known) {
                self.write_again_to(tenant, *stream);
            }
            self.reopened_known += 1;
        }
        self.reopened_here.clear();
    }

    /// Returns how many documents that is.
    fn write_again_to(&mut self, tenant: &TenantId, stream: StreamIndex) -> usize {
        self.owed.forget_letters();
        let mut count = 0;
        for held in self.partitions.iter_mut().filter(|held| held.ticket.partition.stream == stream) {
            let Some((standing, offsets)) = held.active_mut().map(|state| state.rewrite(tenant)) else { continue };
            count += standing;
            offsets.into_iter().for_each(|offset| held.wants(offset));
        }
        if count > 0 {
            warn!(tenant = tenant.as_str(), documents = count, "its topic was away: its documents are written again");
        }
        count
    }

    /// The routes that the transaction under way writes to, and those whose documents were found standing and whose topics have
    /// not been looked at since.
    pub fn routes(&self) -> impl Iterator<Item = RouteIndex> {
        self.reconciler.writes.each_route().chain(self.unseen.iter().copied())
    }

    /// The topics of documents that were found standing have been looked at.
    pub fn looked(&mut self) {
        self.unseen.clear();
    }

    /// How many routes are owed documents or tombstones.
    pub fn owed_routes(&self) -> usize {
        self.owed.len()
    }

    /// How many documents are stored, by this worker's count.
    pub fn standing(&self) -> usize {
        self.partitions.iter().filter_map(UpsertPartition::active).map(PartitionState::standing).sum()
    }
}
