//! What one transaction does for upsert streams: first what graph and time have changed, share by share, then documents that were
//! read back, then the records of the batch (D33).

use std::sync::Arc;

use tracing::warn;

use super::Upserts;
use super::bringing::{AtHand, Bringing, Subject, Told};
use super::changes::Work;
use super::partition::{Held, State};
use crate::clock::BootTime;
use crate::engine::deciding::passed_headers;
use crate::engine::letters::Letter;
use crate::engine::routes::Routes;
use crate::id::{Offset, StreamSet};
use crate::live::View;
use crate::record::dead_letter::Refusal;
use crate::record::decode::{self, Identity};
use crate::record::mapping::Stream;
use crate::share::graph::{Grant, ShareGraph};
use crate::share::query::own_end;
use crate::standing::cause::Occasion;
use crate::standing::holding::{AssetHash, Current, Stood, bring};
use crate::standing::wanted;
use crate::time::Moment;
use crate::transport::{Record, SourcePartition};

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
        let Upserts { rules, gates, projecting, writes, refusals, partitions, streams, todo, taken, sweeps, .. } = &mut *$this;
        let bringing = Bringing {
            rules,
            graph: &$now.view.graph,
            told: Told { todo, done: taken.0, sweeps },
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
            // First, for they have the times of their causes.
            self.todo.extend(held.missed.drain().map(|(_, work)| work));
            for found in found {
                let (name, topic) = (&self.streams[usize::from(stream.0)].name, &found.stood.target);
                self.unseen.insert(routes.find(topic, stream, || self.rules.names.of_stream(topic, name)));
                let identity = Identity { tenant: found.owner.as_str(), asset: found.asset.as_str() };
                let grant = grant_of(&view.graph, identity, found.share.as_str());
                let shown = grant.filter(|grant| wanted(grant, &view.graph, stream, time).is_some());
                let place = shown.map(|grant| (&grant.target, &grant.target_asset));
                let current = holding.document(AssetHash::of(identity), &held.draft);
                if bring(Some(&found.stood), place, current).clears {
                    let passed = own_end(None, grant.and_then(|grant| grant.ends.get()), time);
                    let cause = found.deleted_at.into_iter().chain(passed).min().unwrap_or(view.graph.control_time());
                    let work = Work { share: found.share, owner: found.owner, asset: found.asset, cause, shown: StreamSet::default() };
                    match grant {
                        Some(_) => self.todo.push_back(work),
                        None => self.undated.push_back(work),
                    }
                }
            }
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
        let subject = Subject { share: &work.share, grant, identity, occasion: Occasion::Change(work.cause) };
        let (mut bringing, partitions, streams) = bringing!(self, now);
        for held in partitions {
            let stream = &streams[usize::from(held.source().stream.0)];
            let State::Active(holding) = &mut held.state else {
                // Its documents were perhaps shown by a view that had not seen this.
                let is_withheld = held.missed.get(&work.share).is_some_and(|before| !before.shown.contains(stream.index));
                if !is_withheld {
                    held.missed.insert(work.share.clone(), work.clone());
                }
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
        self.bring_all(stream, record, identity, is_readable, now);
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
            self.bring_all(stream, record, identity, is_there, now);
        }
    }

    /// Whose record it is, for the one who looks for the last of each asset.
    pub fn asset_of(&self, record: &Record<'_>) -> Option<AssetHash> {
        let stream = &self.streams[usize::from(record.source.stream.0)];
        let outer = decode::outer_identity(stream, record.key, record.headers.iter()).ok()?;
        outer.complete().map(AssetHash::of)
    }

    fn bring_all(&mut self, stream: &Stream, record: &Record<'_>, identity: Identity<'_>, is_there: bool, now: &mut Now<'_>) {
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
            let subject = Subject { share: &grant.share, grant: Some(grant), identity, occasion: Occasion::Record(record.timestamp) };
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
                let work = Work {
                    share: share.clone(),
                    owner: stood.target.clone(),
                    asset: stood.key.clone(),
                    cause,
                    shown: StreamSet::ALL.without(stream),
                };
                let source = self.partitions[at].source();
                let (mut bringing, partitions, streams) = bringing!(self, now);
                bringing.clear(source, &streams[usize::from(stream.0)], work, &stood, cause);
                partitions[at].draft.stands(&share, None);
            }
        }
    }
}

fn grant_of<'g>(graph: &'g ShareGraph, identity: Identity<'_>, share: &str) -> Option<&'g Grant> {
    let grants = &graph.asset(identity.tenant, identity.asset)?.grants;
    grants.binary_search_by(|grant| grant.share.as_str().cmp(share)).ok().map(|found| &grants[found])
}
