//! What one transaction does for upsert streams: first what graph and time have changed, share by share, then documents that were
//! read back, then the records of the batch (D33).

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::warn;

use super::bringing::{AtHand, Bringing, Subject};
use super::changes::Work;
use super::partition::{Held, State};
use super::writes::{Bytes, Write};
use super::{Arrived, Upserts};
use crate::clock::BootTime;
use crate::engine::deciding::passed_headers;
use crate::engine::letters::Letter;
use crate::engine::routes::{RouteIndex, Routes};
use crate::id::{Offset, StreamIndex, TenantId};
use crate::live::View;
use crate::record::dead_letter::{Reason, Refusal};
use crate::record::decode::{self, Identity};
use crate::record::mapping::Stream;
use crate::share::graph::{Grant, ShareGraph};
use crate::standing::holding::{AssetHash, Current, Stood, bring};
use crate::standing::note::Reconciled;
use crate::standing::wanted;
use crate::time::{Millis, Moment};
use crate::transport::{InputOffset, Record, SourcePartition};

/// Shares looked at in one transaction.
const MOST_WORKS: usize = 2_000;
/// Writes of one transaction that are due to changes; records come besides.
const MOST_WRITES: usize = 2_000;
/// And their bytes.
const MOST_BYTES: usize = 8 << 20;
/// Bytes of all writes behind which a batch ends.
const MOST_BYTES_OF_RECORDS: usize = 64 << 20;

/// What one transaction decides by, and where dead letters go.
pub struct Now<'a> {
    /// The batch's view.
    pub view: &'a View,
    /// The batch's time.
    pub time: Moment,
    /// The same instant, for what routes remember.
    pub boot: BootTime,
    /// This worker's routes.
    pub routes: &'a mut Routes,
    /// Dead letters of the transaction.
    pub letters: &'a mut Vec<Letter>,
    /// `batch.max_routes`.
    pub max_routes: usize,
}

/// The transaction's hand, and the partitions beside it: disjoint fields, borrowed at once.
macro_rules! bringing {
    ($this:expr, $now:expr) => {{
        let Upserts { rules, gates, projecting, writes, refusals, partitions, streams, .. } = &mut *$this;
        let bringing = Bringing {
            rules,
            graph: &$now.view.graph,
            newest_change: $now.view.newest_change,
            now: $now.time,
            boot: $now.boot,
            gates,
            routes: &mut *$now.routes,
            refusals,
            projecting,
            writes,
            letters: &mut *$now.letters,
        };
        (bringing, partitions, &**streams)
    }};
}

impl Upserts {
    /// Partitions that are read and whose last owner's graph and time have been reached: their records flow from here on.
    pub fn activate(&mut self, view: &View, time: Moment, routes: &mut Routes) -> Vec<(SourcePartition, Offset)> {
        let mut released = Vec::new();
        for held in &mut self.partitions {
            let State::Loaded(loaded) = &held.state else { continue };
            if loaded.note.epoch > view.graph.epoch() || loaded.note.time > time.millis() {
                if !std::mem::replace(&mut held.has_said_it_waits, true) {
                    let (note, epoch) = (loaded.note.epoch.0, view.graph.epoch().0);
                    warn!(
                        partition = ?held.ticket.partition,
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
            let State::Active(holding) = &held.state else { continue };
            for found in found {
                let (name, topic) = (&self.streams[usize::from(stream.0)].name, &found.stood.target);
                self.unseen.insert(routes.find(topic, stream, || self.rules.names.of_stream(topic, name)));
                let identity = Identity { tenant: found.owner.as_str(), asset: found.asset.as_str() };
                let grant = grant_of(&view.graph, identity, found.share.as_str());
                let shown = grant.filter(|grant| wanted(grant, &view.graph, stream, time).is_some());
                let place = shown.map(|grant| (&grant.target, &grant.target_asset));
                let current = holding.document(AssetHash::of(identity), &held.draft);
                if bring(Some(&found.stood), place, current).clears {
                    let cause = view.graph.control_time();
                    self.todo.push_back(Work { share: found.share, owner: found.owner, asset: found.asset, cause, is_live: false });
                }
            }
            self.todo.extend(held.missed.drain().map(|(_, work)| work));
            released.push((source, position));
        }
        released
    }

    /// Begins a transaction with what changes have left to do.
    pub fn begin(&mut self, now: &mut Now<'_>) {
        self.writes.clear();
        self.diverted.clear();
        self.partitions.iter_mut().for_each(Held::begin);
        self.taken = (0, None);
        self.forget_gone(now);
        while self.taken.0 < self.todo.len().min(MOST_WORKS) && self.has_room(now.max_routes) {
            self.work(self.taken.0, now);
            self.taken.0 += 1;
        }
        self.bring_arrived(now);
    }

    /// Whether another record of the batch fits the transaction.
    pub fn has_room_for_records(&self, max_routes: usize) -> bool {
        self.writes.bytes() < MOST_BYTES_OF_RECORDS && self.writes.routes() < max_routes
    }

    fn has_room(&self, max_routes: usize) -> bool {
        self.writes.len() < MOST_WRITES && self.writes.bytes() < MOST_BYTES && self.writes.routes() < max_routes
    }

    /// One share that was touched, in every partition: who has nothing of it has nothing to do.
    fn work(&mut self, at: usize, now: &mut Now<'_>) {
        let work = self.todo[at].clone();
        let identity = Identity { tenant: work.owner.as_str(), asset: work.asset.as_str() };
        let graph = &now.view.graph;
        let grant = grant_of(graph, identity, work.share.as_str());
        let is_over = grant.is_none_or(|grant| !crate::release::is_in_force(grant, now.time));
        let mut cause = work.cause;
        if is_over && work.is_live {
            // Something later ended it, and that is the time of its tombstone.
            let later = self.todo.iter().skip(at + 1).find(|later| later.share == work.share && !later.is_live);
            cause = later.map_or(cause, |later| later.cause);
        }
        let subject = Subject { share: &work.share, grant, identity, cause };
        let (mut bringing, partitions, streams) = bringing!(self, now);
        for held in partitions {
            let stream = &streams[usize::from(held.source().stream.0)];
            let State::Active(holding) = &mut held.state else {
                // Its documents were perhaps shown by a view that had not seen this.
                held.missed.insert(work.share.clone(), work.clone());
                continue;
            };
            // Its place may be another one now.
            holding.ungate(&work.share);
            bringing.bring(held, stream, subject, None);
        }
    }

    /// Documents that were read back, as far as they are still the current ones.
    fn bring_arrived(&mut self, now: &mut Now<'_>) {
        let Some(arrived) = self.arrived.front() else { return };
        let of_it = |held: &&mut Held| held.source() == arrived.partition && held.ticket.life == arrived.life;
        if self.partitions.iter_mut().find(of_it).is_none_or(|held| held.active().is_none()) {
            return;
        }
        let mut count = 0;
        let max_routes = now.max_routes;
        let arrived = self.arrived.pop_front().expect("looked at above");
        for record in arrived.records.iter() {
            if !self.has_room(max_routes) {
                break;
            }
            count += 1;
            self.bring_document(&record, now);
        }
        self.taken.1 = Some(count);
        self.arrived.push_front(arrived);
    }

    fn bring_document(&mut self, record: &Record<'_>, now: &mut Now<'_>) {
        let streams = Arc::clone(&self.streams);
        let stream = &streams[usize::from(record.source.stream.0)];
        let Some(identity) = decode::outer_identity(stream, record.key, record.headers.iter()).ok().and_then(|outer| outer.complete())
        else {
            return;
        };
        let asset = AssetHash::of(identity);
        let Some(held) = self.partitions.iter_mut().find(|held| held.source() == record.source) else { return };
        let Some(holding) = held.active() else { return };
        if holding.document(asset, &held.draft) != Current::At(record.offset) {
            return;
        }
        // One that cannot be read counts as a null value; its dead letter was written when it came.
        let is_readable = self.load(record).is_ok();
        if !is_readable && let Some(held) = self.partitions.iter_mut().find(|held| held.source() == record.source) {
            held.draft.document(asset, None);
            held.is_written = true;
        }
        self.bring_all(stream, record, identity, is_readable, now.view.graph.control_time(), now);
    }

    fn load(&mut self, record: &Record<'_>) -> Result<(), Refusal> {
        let projector = &mut self.projecting.projector;
        decode::load(record.value, &self.rules.release.read, move |text| projector.load(text)).map(|_| ())
    }

    /// A record of the batch. `is_last` is whether it is its asset's last one there: those before it are read for their dead
    /// letters only.
    pub fn record(&mut self, record: &Record<'_>, is_last: bool, now: &mut Now<'_>) {
        let streams = Arc::clone(&self.streams);
        let stream = &streams[usize::from(record.source.stream.0)];
        let Some(held) = self.partitions.iter_mut().find(|held| held.source() == record.source) else { return };
        if held.active().is_none_or(|holding| record.offset < holding.position()) {
            return;
        }
        held.draft.advance(Offset(record.offset.0 + 1));
        held.is_written = true;
        let identity = match decode::outer_identity(stream, record.key, record.headers.iter()) {
            Ok(outer) => outer.complete(),
            Err(refusal) => return now.letters.push(Letter::of_input(stream, record, &refusal)),
        };
        // The configuration sees to it that an upsert stream's identity lies outside the value (D24).
        let Some(identity) = identity else { return };
        let loaded = if record.value.is_some() { self.load(record) } else { Ok(()) };
        let is_there = record.value.is_some() && loaded.is_ok();
        if let Some(held) = self.partitions.iter_mut().find(|held| held.source() == record.source) {
            held.draft.document(AssetHash::of(identity), is_there.then_some(record.offset));
        }
        if let Err(refusal) = &loaded {
            warn!(
                topic = stream.topic,
                partition = record.source.partition,
                offset = record.offset.0,
                reason = refusal.reason.as_str(),
                "a document cannot be read: it counts as deleted, and is a dead letter"
            );
            now.letters.push(Letter::of_input(stream, record, refusal));
        }
        if is_last {
            self.bring_all(stream, record, identity, is_there, record.timestamp, now);
        }
    }

    /// Whose record it is, for the one who looks for the last of each asset.
    pub fn asset_of(&self, record: &Record<'_>) -> Option<AssetHash> {
        let stream = &self.streams[usize::from(record.source.stream.0)];
        let outer = decode::outer_identity(stream, record.key, record.headers.iter()).ok()?;
        outer.complete().map(AssetHash::of)
    }

    fn bring_all(
        &mut self,
        stream: &Stream,
        record: &Record<'_>,
        identity: Identity<'_>,
        is_there: bool,
        cause: Millis,
        now: &mut Now<'_>,
    ) {
        let Some(shares) = now.view.graph.asset(identity.tenant, identity.asset) else { return };
        let passed = passed_headers(&self.rules.passes_headers, record);
        let at_hand = record.value.filter(|_| is_there).map(|text| AtHand {
            offset: record.offset,
            timestamp: record.timestamp,
            text,
            passed: &passed,
        });
        let (mut bringing, partitions, _) = bringing!(self, now);
        let Some(held) = partitions.iter_mut().find(|held| held.source() == record.source) else { return };
        for grant in shares.grants.iter().filter(|grant| grant.streams.contains(stream.index)) {
            let subject = Subject { share: &grant.share, grant: Some(grant), identity, cause };
            bringing.bring(held, stream, subject, at_hand);
        }
    }

    /// Documents that have left the log, and whose successor would have been read by now: there are none any more.
    fn forget_gone(&mut self, now: &mut Now<'_>) {
        for at in 0..self.partitions.len() {
            let due = self.partitions[at].gone_for_good();
            if due.is_empty() {
                continue;
            }
            let held = &mut self.partitions[at];
            let State::Active(holding) = &held.state else { continue };
            let lost = holding.lying_at(&due);
            let is_lost = |stood: &Stood| lost.contains(&stood.asset);
            let stood: Vec<_> =
                holding.all_stood().filter(|(_, stood)| is_lost(stood)).map(|(share, stood)| (share.clone(), stood.clone())).collect();
            held.is_written |= !lost.is_empty();
            lost.into_iter().for_each(|asset| held.draft.document(asset, None));
            held.forgets = due;
            let (stream, cause) = (held.source().stream, now.view.graph.control_time());
            for (share, stood) in stood {
                // Its owner's words are not at hand; as a share to look at again it has no document either way.
                let work = Work { share: share.clone(), owner: stood.target.clone(), asset: stood.key.clone(), cause, is_live: false };
                let source = self.partitions[at].source();
                let (mut bringing, partitions, streams) = bringing!(self, now);
                bringing.clear(source, &streams[usize::from(stream.0)], work, &stood, cause);
                partitions[at].draft.stands(&share, None);
            }
        }
    }

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
            self.diverted.push((write.route, write.work));
        }
    }

    /// The offsets and notes that the transaction has to send, behind everything that may be diverted.
    pub fn offsets(&mut self, view: &View, time: Moment, routes: &Routes) -> Vec<InputOffset> {
        let is_done = self.taken.0 == self.todo.len();
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
        let routes_owed = self.owed.keys().chain(self.diverted.iter().map(|(route, _)| route));
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
        for (route, work) in self.diverted.drain(..) {
            self.owed_letters.insert(work.share.clone());
            self.owed.entry(route).or_default().insert(work.share.clone(), work);
        }
        self.partitions.iter_mut().for_each(Held::committed);
        self.refusals.documents.clear();
        self.refusals.most.clear();
        self.writes.clear();
        self.taken = (0, None);
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

fn grant_of<'g>(graph: &'g ShareGraph, identity: Identity<'_>, share: &str) -> Option<&'g Grant> {
    let grants = &graph.asset(identity.tenant, identity.asset)?.grants;
    grants.binary_search_by(|grant| grant.share.as_str().cmp(share)).ok().map(|found| &grants[found])
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
