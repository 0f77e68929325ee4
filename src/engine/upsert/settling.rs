//! How a transaction of upsert streams ends: what its routes do not take, the offsets and notes that it sends, and what follows from
//! its commit.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::partition::{Held, State};
use super::writes::{Bytes, Write};
use super::{Arrived, Diverted, Upserts};
use crate::engine::letters::Letter;
use crate::engine::routes::{RouteIndex, Routes};
use crate::id::{Offset, StreamIndex, TenantId};
use crate::live::View;
use crate::record::dead_letter::Reason;
use crate::record::mapping::Stream;
use crate::standing::note::Reconciled;
use crate::time::Moment;
use crate::transport::InputOffset;

impl Upserts {
    /// Takes writes out whose routes do not take anything now. What a route is owed is looked at again when it is tried again.
    /// With `letters` its documents are dead letters besides, each once.
    pub fn divert(&mut self, routes: &Routes, letters: Option<&mut Vec<Letter>>, is_diverted: impl FnMut(RouteIndex) -> bool) {
        let diverted = self.writes.divert(is_diverted);
        let mut letters = letters;
        for write in diverted {
            if let Some(held) = self.partitions.iter_mut().find(|held| held.source() == write.source) {
                held.draft.forget(write.share());
                let is_new = held.active().is_some_and(|holding| write.origin.is_some_and(|origin| origin >= holding.position()));
                let is_known = self.owed_letters.contains(write.share());
                if let Some(letters) = letters.as_deref_mut()
                    && write.is_document()
                    && (is_new || !is_known)
                {
                    let (key, value) = self.writes.bytes_of(&write);
                    letters.push(failed_letter(&self.streams, routes, &write, key, value));
                }
            }
            let takes_back = !write.is_document();
            self.diverted.push(Diverted { route: write.route, work: write.work, takes_back });
        }
    }

    /// The offsets and notes that the transaction has to send, behind everything that may be diverted.
    pub fn offsets(&mut self, view: &View, time: Moment, routes: &Routes) -> Vec<InputOffset> {
        let is_done = self.taken.0 == self.todo.len() && self.undated.is_empty();
        let mut offsets = Vec::new();
        for at in 0..self.partitions.len() {
            let stream = self.partitions[at].source().stream;
            let owed = self.owed_targets(stream, routes);
            let has_news = self.has_news(&self.partitions[at], view);
            let through = self.through;
            let held = &mut self.partitions[at];
            let State::Active(holding) = &held.state else { continue };
            if !held.is_written && !has_news && held.owed == owed {
                continue;
            }
            // Not the view's epoch: what is in the view may not have been heard, let alone been done.
            let epoch = through.max(held.since).max(held.note.epoch).min(view.graph.epoch());
            let fresh = Reconciled { epoch, time: time.millis(), owed };
            let written = fresh.write().filter(|_| is_done);
            if is_done {
                held.next_owed = Some(fresh.owed.clone());
            }
            let note = match written {
                Some(note) => {
                    held.next_note = Some(fresh);
                    note
                }
                // More targets are owed than a note can name, or more is to be taken back than fits: what was said still holds.
                None if held.note == Reconciled::NOTHING => String::new(),
                None => held.note.write().unwrap_or_default(),
            };
            let next = held.draft.position().unwrap_or(holding.position());
            offsets.push(InputOffset { partition: held.source(), next, note });
        }
        offsets
    }

    /// Targets of the stream whose topics do not take anything at the moment.
    pub(super) fn owed_targets(&self, stream: StreamIndex, routes: &Routes) -> BTreeSet<TenantId> {
        let routes_owed = self.owed.keys().chain(self.diverted.iter().map(|diverted| &diverted.route));
        routes_owed.map(|route| routes.get(*route)).filter(|route| route.stream == stream).map(|route| route.tenant.clone()).collect()
    }

    /// The writes of the transaction.
    pub fn writes(&self) -> impl Iterator<Item = (&Write, Bytes<'_>)> {
        self.writes.iter()
    }

    /// The transaction was committed.
    pub fn committed(&mut self) {
        self.todo.drain(..self.taken.0);
        if let Some(count) = self.taken.1 {
            self.took(count);
        }
        for (write, _) in self.writes.iter().filter(|(write, _)| write.is_document()) {
            if let Some(State::Active(holding)) = self.partitions.iter_mut().find(|h| h.source() == write.source).map(|h| &mut h.state) {
                holding.ungate(write.share());
            }
        }
        self.owe();
        self.partitions.iter_mut().for_each(Held::committed);
        self.refusals.documents.clear();
        self.refusals.most.clear();
        self.writes.clear();
        self.taken = (0, None);
    }

    /// Keeps what the transaction's routes did not take.
    fn owe(&mut self) {
        let mut taken_back = FxHashSet::default();
        for diverted in self.diverted.drain(..) {
            let (route, share) = (diverted.route, diverted.work.share.clone());
            self.owed_letters.insert(share.clone());
            let owed = self.owed.entry(route).or_default();
            let is_kept = match owed.get(&share) {
                // The document went by the first; only its tombstone is still to come.
                Some(before) if diverted.takes_back => before.takes_back,
                // The document under another key: the tombstone of the one before goes with it.
                Some(before) => before.takes_back && taken_back.contains(&(route, share.clone())),
                None => false,
            };
            if diverted.takes_back {
                taken_back.insert((route, share.clone()));
            }
            if !is_kept {
                owed.insert(share, diverted);
            }
        }
    }

    fn took(&mut self, count: usize) {
        let Some(arrived) = self.arrived.front_mut() else { return };
        let brought: Vec<Offset> = arrived.records.iter().take(count).map(|record| record.offset).collect();
        arrived.records.drop_front(count);
        arrived.brought.extend(brought);
        if !arrived.records.is_empty() {
            return;
        }
        let Arrived { partition, fetched, brought, .. } = self.arrived.pop_front().expect("looked at above");
        let (Some((offsets, end)), Some(held)) = (fetched, self.partitions.iter_mut().find(|held| held.source() == partition)) else {
            return;
        };
        held.in_flight.clear();
        held.gone.extend(offsets.into_iter().filter(|offset| brought.binary_search(offset).is_err()).map(|offset| (offset, end)));
    }

    /// A route refused something for itself. Its documents are written fewer at a time until the one is pinned.
    pub fn refused(&mut self, route: RouteIndex) {
        let documents: Vec<&Write> = self.writes.iter().map(|(write, _)| write).filter(|w| w.route == route && w.is_document()).collect();
        match documents[..] {
            [only] => self.refusals.documents.extend(only.origin.map(|origin| (only.share().clone(), origin))),
            _ => drop(self.refusals.most.insert(route, (documents.len() / 2).max(1))),
        }
    }
}

fn failed_letter(streams: &[Stream], routes: &Routes, write: &Write, key: &[u8], value: Option<&[u8]>) -> Letter {
    let why = routes.open_reason(write.route).unwrap_or("no leader for it is seen");
    Letter {
        topic: streams[usize::from(write.source.stream.0)].topic.clone(),
        partition: write.source.partition,
        offset: write.origin.unwrap_or(Offset(-1)),
        timestamp: write.timestamp,
        key: Some(key.to_vec()),
        value: value.map(<[u8]>::to_vec),
        reason: Reason::RouteFailed,
        message: format!("route {} failed: {why}", routes.get(write.route).topic),
    }
}
