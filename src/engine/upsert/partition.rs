//! An upsert partition in this worker's hands.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustc_hash::FxHashMap;

use super::arrived::Answered;
use super::gate::Reopened;
use crate::engine::feed::Work;
use crate::engine::restore::request::{Assignment, FoundEntry, Loaded};
use crate::id::{Epoch, Offset, ShareId, TenantId};
use crate::live::View;
use crate::sink_state::entry::Digest;
use crate::sink_state::note::Reconciled;
use crate::sink_state::partition::{PartitionState, SinkEntry};
use crate::transport::SourcePartition;

/// How far a partition has come.
#[derive(Debug)]
pub(super) enum PartitionPhase {
    /// It is being read.
    Loading,
    /// It is read and waits until today's graph and time are no older than its last owner's.
    Loaded(Box<Loaded>),
    /// Its records flow.
    Active(Box<PartitionState>),
}

/// One partition from its assignment until it is taken back.
#[derive(Debug)]
pub(super) struct UpsertPartition {
    /// Its assignment; what was read for an earlier one is dropped.
    pub ticket: Assignment,
    /// How far it has come.
    pub state: PartitionPhase,
    /// Documents to be read back.
    pub fetch: BTreeSet<Offset>,
    /// Those asked for, rising.
    pub in_flight: Vec<Offset>,
    /// Documents that are no longer in the log, with the log's end when that was seen: after it their successor is known.
    pub gone: Vec<(Offset, Offset)>,
    /// Those of them that the transaction under way forgets.
    pub forgets: Vec<Offset>,
    /// Shares that changed while it was read: they are looked at once its records flow.
    pub missed: FxHashMap<ShareId, Work>,
    /// The note that was committed last.
    pub note: Reconciled,
    /// What the transaction under way notes.
    pub next_note: Option<Reconciled>,
    /// The epoch of the graph that it was compared with when its records began to flow.
    pub since: Epoch,
    /// The targets owed when a note was last considered.
    pub owed: BTreeSet<TenantId>,
    /// The same of the transaction under way.
    pub next_owed: Option<BTreeSet<TenantId>>,
    /// It waits for its last owner's graph, and that was logged.
    pub has_said_it_waits: bool,
}

impl UpsertPartition {
    /// A partition that was just assigned.
    pub(super) fn new(partition: SourcePartition, life: u64) -> Self {
        Self {
            ticket: Assignment { partition, life, cancelled: Arc::<AtomicBool>::default(), progress: Arc::default() },
            state: PartitionPhase::Loading,
            fetch: BTreeSet::new(),
            in_flight: Vec::new(),
            gone: Vec::new(),
            forgets: Vec::new(),
            missed: FxHashMap::default(),
            note: Reconciled::NOTHING,
            next_note: None,
            since: Epoch::NONE,
            owed: BTreeSet::new(),
            next_owed: None,
            has_said_it_waits: false,
        }
    }

    /// The partition.
    pub(super) fn source(&self) -> SourcePartition {
        self.ticket.partition
    }

    /// What is known of it, once its records flow.
    pub(super) fn active(&self) -> Option<&PartitionState> {
        match &self.state {
            PartitionPhase::Active(state) => Some(state),
            PartitionPhase::Loading | PartitionPhase::Loaded(_) => None,
        }
    }

    /// The same, to change it.
    pub(super) fn active_mut(&mut self) -> Option<&mut PartitionState> {
        match &mut self.state {
            PartitionPhase::Active(state) => Some(state),
            PartitionPhase::Loading | PartitionPhase::Loaded(_) => None,
        }
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        if let Some(state) = self.active_mut() {
            state.begin();
        }
        self.forgets.clear();
        self.next_note = None;
        self.next_owed = None;
    }

    /// The transaction was committed.
    pub(super) fn committed(&mut self) {
        if let Some(state) = self.active_mut() {
            state.commit();
        }
        let forgets = std::mem::take(&mut self.forgets);
        self.gone.retain(|(offset, _)| !forgets.contains(offset));
        if let Some(note) = self.next_note.take() {
            self.note = note;
        }
        if let Some(owed) = self.next_owed.take() {
            self.owed = owed;
        }
    }

    /// What it asked for was read and is done.
    pub(super) fn answered(&mut self, answered: &Answered) {
        self.in_flight.clear();
        self.gone.extend(answered.gone.iter().map(|offset| (*offset, answered.end)));
    }

    /// Whether more has been taken back than the partition's note says, and somebody may wait for it to be said. All changes up to
    /// `heard` have been heard.
    pub(super) fn has_news(&self, view: &View, heard: Epoch) -> bool {
        self.note.epoch < view.newest_change && self.note.epoch < heard.max(self.since)
    }

    /// The note that the transaction under way writes. Where more is to be taken back than the transaction does, or more targets are
    /// owed than a note can name, what was said still holds.
    pub(super) fn note_next(&mut self, fresh: Reconciled, is_done: bool) -> String {
        if is_done {
            self.next_owed = Some(fresh.owed.clone());
            if let Some(note) = fresh.write() {
                self.next_note = Some(fresh);
                return note;
            }
        }
        if self.note == Reconciled::NOTHING { String::new() } else { self.note.write().unwrap_or_default() }
    }

    /// Documents that have left the log and whose successors, had there been any, have been read by now.
    pub(super) fn gone_for_good(&self) -> Vec<Offset> {
        let Some(position) = self.active().map(PartitionState::position) else { return Vec::new() };
        self.gone.iter().filter(|(_, end)| position >= *end).map(|(offset, _)| *offset).collect()
    }

    /// Has a document read back, unless that is under way.
    pub(super) fn wants(&mut self, offset: Offset) {
        if self.in_flight.binary_search(&offset).is_err() {
            self.fetch.insert(offset);
        }
    }

    /// Its records may flow from here on; returns what was found stored. What was written to one of these topics before it was
    /// away is written again.
    pub(super) fn activate(&mut self, epoch: Epoch, away: &[Reopened]) -> Option<(Offset, Vec<FoundEntry>)> {
        let PartitionPhase::Loaded(loaded) = std::mem::replace(&mut self.state, PartitionPhase::Loading) else { return None };
        let Loaded { position, note, documents, standing } = *loaded;
        let mut state = PartitionState::new(self.source().stream, position, documents);
        for found in &standing {
            let is_away = |away: &&Reopened| away.target == found.stood.target && away.at > found.written_at;
            let was_away = away.iter().any(|topic| is_away(&topic));
            let digest = if was_away { Digest(0) } else { found.stood.digest };
            state.found(found.share.clone(), SinkEntry { digest, ..found.stood.clone() });
        }
        self.state = PartitionPhase::Active(Box::new(state));
        // What the last owner was owed stands in the note until one without it is written, and keeps gates closed.
        self.owed.clone_from(&note.owed);
        self.note = note;
        self.since = epoch;
        Some((position, standing))
    }
}

impl Drop for UpsertPartition {
    fn drop(&mut self) {
        self.ticket.cancelled.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use rustc_hash::FxHashMap;

    use super::*;
    use crate::id::StreamIndex;
    use crate::time::TimestampMs;

    #[test]
    fn what_the_last_owner_was_owed_is_to_be_taken_out_of_the_note() {
        let mut held = UpsertPartition::new(SourcePartition { stream: StreamIndex(0), partition: 0 }, 1);
        let owed = BTreeSet::from([TenantId::parse("acme").unwrap()]);
        let note = Reconciled { epoch: Epoch(7), time: TimestampMs(0), owed: owed.clone() };
        let loaded = Loaded { position: Offset(3), note, documents: FxHashMap::default(), standing: Vec::new() };
        held.state = PartitionPhase::Loaded(Box::new(loaded));
        held.activate(Epoch(7), &[]).unwrap();
        assert_eq!(held.owed, owed, "or nobody notes that nothing is owed, and its gate stays closed");
    }
}
