//! How a transaction of upsert streams ends: what its routes do not take, the offsets and notes that it sends, and what follows from
//! its commit.

use super::Upserts;
use super::partition::UpsertPartition;
use super::reconcile::{Reconciler, Refusals};
use super::writes::{Bytes, Write};
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::id::Offset;
use crate::live::View;
use crate::record::dead_letter::DeadLetterReason;
use crate::record::mapping::Stream;
use crate::sink_state::note::Reconciled;
use crate::sink_state::partition::PartitionState;
use crate::time::TimestampNs;
use crate::transport::InputOffset;

impl Upserts {
    /// Takes writes out whose routes do not take anything now. What a route is owed is looked at again when it is tried again.
    /// With `letters` its documents are dead letters besides, each once.
    pub fn divert(&mut self, routes: &Routes, letters: Option<&mut Vec<OwnedDeadLetter>>, is_diverted: impl FnMut(RouteIndex) -> bool) {
        let diverted = self.reconciler.writes.divert(is_diverted);
        let mut letters = letters;
        for write in diverted {
            if let Some(held) = self.partitions.iter_mut().find(|held| held.source() == write.source) {
                let position = held.active().map(PartitionState::position);
                let is_new = position.is_some_and(|position| write.origin.is_some_and(|origin| origin >= position));
                if let Some(state) = held.active_mut() {
                    state.forget(write.share());
                }
                let is_known = self.owed.has_letter(write.share());
                if let Some(letters) = letters.as_deref_mut()
                    && write.is_document()
                    && (is_new || !is_known)
                {
                    let (key, value) = self.reconciler.writes.bytes_of(&write);
                    letters.push(failed_letter(&self.reconciler.streams, routes, &write, key, value));
                }
            }
            let takes_back = !write.is_document();
            self.owed.divert(write.route, write.work, takes_back);
        }
    }

    /// The offsets and notes that the transaction has to send, after everything that may be diverted.
    pub fn offsets(&mut self, view: &View, time: TimestampNs, routes: &Routes) -> Vec<InputOffset> {
        let (is_done, heard) = (self.queue.is_taken(), self.queue.through());
        let mut offsets = Vec::new();
        for held in &mut self.partitions {
            let source = held.source();
            let owed = self.owed.targets(source.stream, routes);
            let Some(state) = held.active() else { continue };
            if !state.is_touched() && !held.has_news(view, heard) && held.owed == owed {
                continue;
            }
            let next = state.next_position();
            // Not the view's epoch: what is in the view may not have been heard, let alone been done.
            let epoch = heard.max(held.since).max(held.note.epoch).min(view.graph.epoch());
            let note = held.note_next(Reconciled { epoch, time: time.millis(), owed }, is_done);
            offsets.push(InputOffset { partition: source, next, note });
        }
        offsets
    }

    /// The writes of the transaction.
    pub fn writes(&self) -> impl Iterator<Item = (&Write, Bytes<'_>)> {
        self.reconciler.writes.iter()
    }

    /// The transaction was committed.
    pub fn committed(&mut self) {
        self.queue.commit();
        if let Some(answered) = self.arrived.commit()
            && let Some(held) = self.partitions.iter_mut().find(|held| held.source() == answered.partition)
        {
            held.answered(&answered);
        }
        self.owed.commit();
        self.partitions.iter_mut().for_each(UpsertPartition::committed);
        self.reconciler.refusals = Refusals::default();
        self.reconciler.writes.clear();
    }

    /// A route refused something for itself. Its documents are written fewer at a time until the one is pinned.
    pub fn refused(&mut self, route: RouteIndex) {
        let Reconciler { writes, refusals, .. } = &mut self.reconciler;
        let documents: Vec<&Write> = writes.iter().map(|(write, _)| write).filter(|w| w.route == route && w.is_document()).collect();
        match documents[..] {
            [only] => refusals.documents.extend(only.origin.map(|origin| (only.share().clone(), origin))),
            _ => drop(refusals.most.insert(route, (documents.len() / 2).max(1))),
        }
    }
}

fn failed_letter(streams: &[Stream], routes: &Routes, write: &Write, key: &[u8], value: Option<&[u8]>) -> OwnedDeadLetter {
    let why = routes.open_reason(write.route).unwrap_or("no leader for it is seen");
    OwnedDeadLetter {
        topic: streams[usize::from(write.source.stream.0)].topic.clone(),
        partition: write.source.partition,
        offset: write.origin.unwrap_or(Offset(-1)),
        timestamp: write.timestamp,
        key: Some(key.to_vec()),
        value: value.map(<[u8]>::to_vec),
        reason: DeadLetterReason::RouteFailed,
        message: format!("route {} failed: {why}", routes.get(write.route).topic),
    }
}
