//! Upsert streams live (SPEC sections 7 and 10): each target's compacted topic holds exactly the current documents.
//!
//! In reading order: `changes` says what the fold changed; `partition` is one in hand, `gate` says when a place is free,
//! `bringing` brings one share up to date, `writes` is what comes of it; this file joins them, and `work` is what one
//! transaction does, `settling` how it ends.

pub mod bringing;
pub mod changes;
pub mod gate;
mod partition;
mod settling;
#[cfg(test)]
mod tests;
mod work;
mod writes;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, sync_channel};

use rustc_hash::{FxHashMap, FxHashSet};
use tracing::{info, warn};

pub use self::work::Now;
pub use self::writes::{Bytes, Write};

use self::bringing::{Projecting, Refusals, UpsertRules};
use self::changes::{Hearing, ProfileChange, Work};
use self::gate::{Gates, Reopened};
use self::partition::{Held, State};
use self::writes::Writes;
use super::control::Command;
use super::desk::Desk;
use super::jobs::{Job, News, Read};
use super::routes::{RouteIndex, Routes, Use};
use crate::clock::BootTime;
use crate::id::{Epoch, Offset, ShareId, StreamIndex, TenantId};
use crate::live::View;
use crate::record::mapping::{Mode, Stream};
use crate::share::table::Touched;
use crate::standing::entry::Digest;
use crate::time::Millis;
use crate::transport::{Batch, SourcePartition};

/// Shares of a profile that are asked for at a time.
const SLICE: usize = 1_000;
/// No further slice is asked for while more than this waits.
const MUCH_TO_DO: usize = 2_000;
/// Documents read back at a time.
const FETCH_AT_ONCE: usize = 300;
/// Batches of documents in hand.
const ARRIVED_AT_ONCE: usize = 2;

/// Documents that were read and wait to be brought.
#[derive(Debug)]
struct Arrived {
    partition: SourcePartition,
    life: u64,
    records: Batch,
    fetched: Option<(Vec<Offset>, Offset)>,
    /// Offsets of those that were brought, rising.
    brought: Vec<Offset>,
}

/// Something that a route did not take: the share is to be looked at again.
#[derive(Debug)]
struct Diverted {
    route: RouteIndex,
    work: Work,
    /// Whether it was a tombstone.
    takes_back: bool,
}

/// What an open route is owed: the shares to be looked at again.
type Owed = FxHashMap<ShareId, Diverted>;

/// A profile that changed: its shares are worked off in slices.
#[derive(Debug)]
struct Sweep {
    change: ProfileChange,
    after: Option<ShareId>,
    answer: Option<Receiver<Vec<Touched>>>,
}

/// A worker's upsert streams.
pub struct Upserts {
    rules: UpsertRules,
    streams: Arc<[Stream]>,
    gates: Arc<Gates>,
    hearing: Hearing,
    commands: Sender<Command>,
    partitions: Vec<Held>,
    lives: u64,
    /// Shares to look at, in the order of their causes.
    todo: VecDeque<Work>,
    sweeps: VecDeque<Sweep>,
    /// Shares that were over when a partition was read and whose documents were found: the fold knows when each ended.
    undated: VecDeque<Work>,
    /// How many of them it was asked for.
    dates: Option<(usize, Receiver<Vec<Option<Millis>>>)>,
    arrived: VecDeque<Arrived>,
    /// What open routes are owed.
    owed: FxHashMap<RouteIndex, Owed>,
    /// Shares whose document is a dead letter for an open route already.
    owed_letters: FxHashSet<ShareId>,
    /// The same of the transaction under way.
    diverted: Vec<Diverted>,
    /// Routes of documents that were found standing: their topics are looked at once, for they may be new ones of the name.
    unseen: BTreeSet<RouteIndex>,
    refusals: Refusals,
    projecting: Projecting,
    writes: Writes,
    /// Moments up to here were announced: nothing is decided at an earlier time.
    announced: Millis,
    /// All changes up to this epoch have been heard. The view may be ahead of it: it is published before anybody is told.
    through: Epoch,
    /// How many reopened topics of `gates` were worked off.
    reopened_known: usize,
    /// Those of the others that this worker found itself.
    reopened_here: Vec<usize>,
    /// How much of `todo` and of the first of `arrived` the transaction under way takes.
    taken: (usize, Option<usize>),
}

impl Upserts {
    /// Holds nothing yet.
    pub fn new(
        rules: UpsertRules,
        mask_secret: Option<&[u8]>,
        streams: Arc<[Stream]>,
        gates: Arc<Gates>,
        hearing: Hearing,
        commands: Sender<Command>,
    ) -> Self {
        Self {
            rules,
            streams,
            gates,
            hearing,
            commands,
            partitions: Vec::new(),
            lives: 0,
            todo: VecDeque::new(),
            sweeps: VecDeque::new(),
            undated: VecDeque::new(),
            dates: None,
            arrived: VecDeque::new(),
            owed: FxHashMap::default(),
            owed_letters: FxHashSet::default(),
            diverted: Vec::new(),
            unseen: BTreeSet::new(),
            refusals: Refusals::default(),
            projecting: Projecting::new(mask_secret),
            writes: Writes::default(),
            announced: Millis(i64::MIN),
            through: Epoch::NONE,
            reopened_known: 0,
            reopened_here: Vec::new(),
            taken: (0, None),
        }
    }

    /// Whether the stream is one.
    pub fn is_upsert(&self, partition: SourcePartition) -> bool {
        self.streams[usize::from(partition.stream.0)].mode == Mode::Upsert
    }

    /// A partition was assigned, or has been begun: it is read before anything of it flows.
    /// Where it was begun its position is known.
    pub fn arrive(&mut self, partition: SourcePartition, position: Option<Offset>, desk: &mut dyn Desk) {
        self.leave(&[partition]);
        self.lives += 1;
        let held = Held::new(partition, self.lives);
        desk.ask(Job::Load(held.ticket.clone(), position));
        self.partitions.push(held);
    }

    /// Partitions were taken back.
    pub fn leave(&mut self, partitions: &[SourcePartition]) {
        self.partitions.retain(|held| !partitions.contains(&held.source()));
        self.arrived.retain(|arrived| !partitions.contains(&arrived.partition));
    }

    /// The partitions in hand.
    pub fn held(&self) -> Vec<SourcePartition> {
        self.partitions.iter().map(Held::source).collect()
    }

    /// Nothing is decided at an earlier time than moments that were announced.
    pub fn not_before(&self) -> Millis {
        self.announced
    }

    /// Takes in what the fold has to say. Behind this call the view is loaded. Answers whether something was missed: every
    /// partition must be read anew then.
    pub fn listen(&mut self, routes: &Routes, boot: BootTime, desk: &mut dyn Desk) -> bool {
        while let Some(changes) = self.hearing.next() {
            self.todo.extend(changes.touched.iter().cloned());
            self.sweeps.extend(changes.profiles.iter().map(|&change| Sweep { change, after: None, answer: None }));
            self.announced = self.announced.max(changes.now.unwrap_or(self.announced));
            self.through = self.through.max(changes.through);
        }
        // Behind the last that was heard: what was told after something missed must not pass for all there was.
        let is_missed = self.hearing.has_missed();
        if self.partitions.is_empty() {
            // Whatever is assigned later is read with all of this in the view.
            self.forget_changes();
        }
        self.sweep();
        self.date();
        self.write_again();
        self.retry_owed(routes, boot);
        self.open_gates();
        self.fetch(desk);
        is_missed
    }

    /// Whether documents may be handed in: those in hand are memory.
    pub fn has_hands_free(&self) -> bool {
        self.arrived.len() < ARRIVED_AT_ONCE
    }

    /// Takes in what was read.
    pub fn take(&mut self, news: News) {
        let News { partition, life, what } = news;
        let Some(held) = self.partitions.iter_mut().find(|held| held.source() == partition && held.ticket.life == life) else { return };
        match what {
            // Reading that failed behind this is begun anew and tells it once more: the partition may have gone on since.
            Read::Loaded(loaded) if matches!(held.state, State::Loading) => held.state = State::Loaded(loaded),
            Read::Loaded(_) => {}
            Read::Documents { records, fetched } => {
                self.arrived.push_back(Arrived { partition, life, records, fetched, brought: Vec::new() })
            }
            Read::Unbegun { .. } | Read::Failed(_) | Read::Notes(..) | Read::Again { .. } => {}
        }
    }

    /// Whether this is about a partition in hand, in the life it has now.
    pub fn is_current(&self, partition: SourcePartition, life: u64) -> bool {
        self.partitions.iter().any(|held| held.source() == partition && held.ticket.life == life)
    }

    /// Asks for the next slice of a changed profile's shares.
    fn sweep(&mut self) {
        while self.todo.len() < MUCH_TO_DO {
            let Some(sweep) = self.sweeps.front_mut() else { return };
            let Some(answer) = &sweep.answer else {
                let (reply, answer) = sync_channel(1);
                let command = Command::SharesOfProfile { profile: sweep.change.profile, after: sweep.after.clone(), limit: SLICE, reply };
                // The fold's thread ends before a worker only with the process.
                if self.commands.send(command).is_err() {
                    return;
                }
                sweep.answer = Some(answer);
                return;
            };
            let Ok(slice) = answer.try_recv() else { return };
            sweep.answer = None;
            sweep.after = slice.last().map(|touched| touched.share.clone());
            let is_over = slice.len() < SLICE;
            let ProfileChange { cause, shown, .. } = sweep.change;
            self.todo.extend(slice.into_iter().map(|touched| Work::of(touched, cause, shown)));
            if is_over {
                self.sweeps.pop_front();
            }
        }
    }

    /// Asks the fold when the next of the shares ended that were over before their documents were found.
    fn date(&mut self) {
        if let Some((count, answer)) = &self.dates {
            let Ok(ends) = answer.try_recv() else { return };
            let dated = self.undated.drain(..*count).zip(ends);
            self.todo.extend(dated.map(|(work, end)| Work { cause: end.map_or(work.cause, |end| end.min(work.cause)), ..work }));
            self.dates = None;
        }
        let shares: Vec<ShareId> = self.undated.iter().take(SLICE).map(|work| work.share.clone()).collect();
        if shares.is_empty() {
            return;
        }
        let (count, (reply, answer)) = (shares.len(), sync_channel(1));
        // The fold's thread ends before a worker only with the process.
        if self.commands.send(Command::Ends { shares, reply }).is_ok() {
            self.dates = Some((count, answer));
        }
    }

    /// Nothing that was told is of use any more.
    fn forget_changes(&mut self) {
        self.todo.clear();
        self.sweeps.clear();
        self.undated.clear();
        self.dates = None;
    }

    /// Shares of a route that is to be tried again are looked at again.
    fn retry_owed(&mut self, routes: &Routes, boot: BootTime) {
        let todo = &mut self.todo;
        self.owed.retain(|route, works| {
            let is_tried = routes.use_at(*route, boot) != Use::Divert;
            if is_tried {
                // In front: their causes came before what is told now.
                works.drain().for_each(|(_, owed)| todo.push_front(owed.work));
            }
            !is_tried
        });
    }

    /// First documents whose place is free are read back.
    fn open_gates(&mut self) {
        for held in &mut self.partitions {
            let State::Active(holding) = &held.state else { continue };
            let stream = held.ticket.partition.stream;
            let free = holding.gated().filter(|gated| self.gates.passes(stream, &gated.target, gated.needs));
            let found: Vec<Offset> = free.filter_map(|gated| holding.lies_at(gated.asset)).collect();
            found.into_iter().for_each(|offset| held.wants(offset));
        }
    }

    fn fetch(&mut self, desk: &mut dyn Desk) {
        for held in &mut self.partitions {
            if held.active().is_none() || !held.in_flight.is_empty() || held.fetch.is_empty() {
                continue;
            }
            let offsets: Vec<Offset> = std::iter::from_fn(|| held.fetch.pop_first()).take(FETCH_AT_ONCE).collect();
            held.in_flight.clone_from(&offsets);
            desk.ask(Job::Fetch(held.ticket.clone(), offsets));
        }
    }

    /// Whether there is something to do besides records.
    pub fn has_work(&self, view: &View, routes: &Routes) -> bool {
        let is_active = |held: &Held| held.active().is_some();
        let waits = |held: &Held| match &held.state {
            State::Loading => false,
            State::Loaded(loaded) => loaded.note.epoch <= view.graph.epoch(),
            State::Active(_) => {
                !held.gone_for_good().is_empty()
                    || self.has_news(held, view)
                    || held.owed != self.owed_targets(held.source().stream, routes)
            }
        };
        !self.unseen.is_empty()
            || self.partitions.iter().any(waits)
            || self.partitions.iter().any(is_active) && (!self.todo.is_empty() || self.arrived.iter().any(|a| self.is_active(a)))
    }

    /// Whether more has been taken back than the partition's note says, and somebody may wait for it to be said.
    fn has_news(&self, held: &Held, view: &View) -> bool {
        held.note.epoch < view.newest_change && held.note.epoch < self.through.max(held.since)
    }

    /// Whether more waits than one transaction took, so that nobody should wait for records.
    pub fn is_busy(&self) -> bool {
        !self.todo.is_empty() || !self.arrived.is_empty() || self.partitions.iter().any(|held| !held.in_flight.is_empty())
    }

    fn is_active(&self, arrived: &Arrived) -> bool {
        let of_it = |held: &&Held| held.source() == arrived.partition && held.ticket.life == arrived.life;
        self.partitions.iter().find(of_it).is_some_and(|held| held.active().is_some())
    }

    /// Everything in hand is to be read anew: it is not known what was committed, or what has changed.
    pub fn forget(&mut self) -> Vec<SourcePartition> {
        let partitions = self.held();
        if !partitions.is_empty() {
            info!(?partitions, "upsert partitions are read anew");
        }
        self.leave(&partitions);
        self.forget_changes();
        self.owed.clear();
        self.diverted.clear();
        partitions
    }

    /// A topic that was missing, or open, takes records again: it may be another one of the name, so everything that was written to
    /// it before this transaction is written again. Where that is anything the other workers of the process hear of it.
    pub fn reopened(&mut self, tenant: &TenantId, stream: StreamIndex, at: Millis) {
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

    /// Answers how many documents that is.
    fn write_again_to(&mut self, tenant: &TenantId, stream: StreamIndex) -> usize {
        self.owed_letters.clear();
        let mut count = 0;
        for held in self.partitions.iter_mut().filter(|held| held.ticket.partition.stream == stream) {
            let State::Active(holding) = &mut held.state else { continue };
            let mut assets = Vec::new();
            for stood in holding.all_stood_mut().filter(|stood| stood.target == *tenant) {
                stood.digest = Digest(0);
                assets.push(stood.asset);
            }
            count += assets.len();
            let offsets: Vec<Offset> = assets.into_iter().filter_map(|asset| holding.lies_at(asset)).collect();
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
        self.writes.each_route().chain(self.unseen.iter().copied())
    }

    /// The topics of documents that were found standing have been looked at.
    pub fn looked(&mut self) {
        self.unseen.clear();
    }

    /// How many routes are owed documents or tombstones.
    pub fn owed_routes(&self) -> usize {
        self.owed.len()
    }

    /// How many documents stand, by this worker's count.
    pub fn standing(&self) -> usize {
        self.partitions.iter().filter_map(Held::active).map(|holding| holding.standing()).sum()
    }
}
