//! A group member on the simulated cluster, and what can go wrong with each of its calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sharecast::engine::feed::{ChangeReceiver, ChangeSender};
use sharecast::id::{Offset, StreamIndex};
use sharecast::transport::{AssignmentChange, Batch, ConsumeError, GroupConsumer, SourcePartition, Start};

use super::clients::{IS_IN_TRANSACTION, millis, unavailable};
use super::cluster::{place, source};
use super::group::Told;
use super::scheduler::{Simulation, World, is_dying, me};

/// Where a partition is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing is read before `release`.
    Held,
    At(Reading),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reading {
    next: i64,
    /// It goes elsewhere then: a seek that is carried out late, or an answer that comes late.
    turns: Option<(Duration, i64)>,
    /// Only if nothing was handed out before.
    until_first: bool,
}

/// Between two records of one consumer that are missing or out of order: what is looked at of later gaps is limited.
const BETWEEN_MISSING: Duration = Duration::from_secs(30);

/// A group member.
pub(super) struct Consumer {
    sim: Arc<Simulation>,
    member: u64,
    held: BTreeMap<usize, Place>,
    membership: Option<(u64, i64)>,
    is_paused: bool,
    relay: Option<Relay>,
    missed_at: Duration,
}

/// Hands on to a worker in its present life what the fold tells, which outlives it.
pub(super) struct Relay {
    pub(super) hearing: Arc<Mutex<ChangeReceiver>>,
    pub(super) teller: ChangeSender,
}

impl Relay {
    fn hand_on(&self) {
        let hearing = self.hearing.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::from_fn(|| hearing.next()).for_each(|changes| self.teller.tell(&changes));
    }
}

impl Consumer {
    pub(super) fn join(sim: &Arc<Simulation>, relay: Option<Relay>) -> Self {
        let member = sim.pass(millis(1)).cluster.group.join(me());
        Self { sim: Arc::clone(sim), member, held: BTreeMap::new(), membership: None, is_paused: false, relay, missed_at: Duration::ZERO }
    }

    fn change(&mut self, world: &mut World) -> Option<AssignmentChange> {
        let suddenly = world.cluster.faults.rebalance * 2;
        let is_moved = world.dice.hits(suddenly);
        let World { cluster, actors, .. } = world;
        let group = &mut cluster.group;
        if is_moved {
            group.move_from(self.member, |actor| actors[actor].frozen.is_some());
        }
        if !group.has(self.member) {
            self.member = group.join(me());
            self.membership = None;
            let lost = std::mem::take(&mut self.held);
            return (!lost.is_empty()).then(|| AssignmentChange::Revoked(lost.into_keys().map(source).collect()));
        }
        match group.poll(self.member)? {
            Told::Revoked(partitions) => {
                let partitions: Vec<usize> = partitions.into_iter().map(|p| p as usize).collect();
                self.held.retain(|p, _| !partitions.contains(p));
                if self.held.is_empty() {
                    self.membership = None;
                }
                Some(AssignmentChange::Revoked(partitions.into_iter().map(source).collect()))
            }
            Told::Assigned(partitions, generation) => {
                self.membership = Some((self.member, generation));
                let partitions: Vec<usize> = partitions.into_iter().map(|p| p as usize).collect();
                self.held.extend(partitions.iter().map(|p| (*p, Place::Held)));
                Some(AssignmentChange::Assigned(partitions.into_iter().map(source).collect()))
            }
        }
    }

    fn fetch(&mut self, world: &mut World, room: usize, into: &mut Batch) -> usize {
        let mut count = 0;
        let skip = world.dice.below(self.held.len() as u64 + 1) as usize;
        let order: Vec<usize> = self.held.keys().copied().cycle().skip(skip).take(self.held.len()).collect();
        for place in order {
            let Some(Place::At(reading)) = self.held.get_mut(&place) else { continue };
            if let Some((_, next)) = reading.turns.filter(|(at, _)| *at <= world.now) {
                *reading = Reading { next, turns: None, until_first: false };
            }
            let run = world.dice.below(8);
            for _ in 0..run {
                if count == room || reading.next >= world.cluster.end(place) {
                    break;
                }
                let (before, misled) = (into.len(), world.cluster.faults.misled);
                let mut show = |world: &World, next: i64| {
                    let input = &world.cluster.inputs[place][(next - world.cluster.firsts[place]) as usize];
                    input.show(source(place), next, into);
                };
                if reading.next > world.cluster.firsts[place] && world.dice.hits(misled) {
                    // What came before comes again.
                    world.cluster.misled += 1;
                    show(world, reading.next - 1);
                }
                let is_append = source(place).stream == StreamIndex(0);
                let has_two = reading.next + 1 < world.cluster.end(place);
                if is_append && has_two && world.now - self.missed_at >= BETWEEN_MISSING && world.dice.hits(misled) {
                    // One is missing, or comes after the next one.
                    (self.missed_at, world.cluster.misled) = (world.now, world.cluster.misled + 1);
                    show(world, reading.next + 1);
                    if world.dice.hits(500) {
                        show(world, reading.next);
                    }
                    reading.next += 2;
                } else {
                    show(world, reading.next);
                    reading.next += 1;
                }
                if into.len() > before {
                    reading.turns = reading.turns.filter(|_| !reading.until_first);
                }
                count += into.len() - before;
            }
        }
        count
    }

    /// Where a released partition is really read.
    fn misplace(&self, world: &mut World, place: usize, from: i64) -> Reading {
        let right = Reading { next: from, turns: None, until_first: false };
        let misled = world.cluster.faults.misled;
        if !world.dice.hits(misled * 3) {
            return right;
        }
        world.cluster.misled += 1;
        let (first, end) = (world.cluster.firsts[place], world.cluster.end(place));
        let later = world.now + world.dice.millis(1, 2_000);
        let before = (from - world.dice.below(6) as i64).max(first);
        match world.dice.below(4) {
            // It begins at the end, or somewhere before.
            0 => Reading { next: end.max(from), ..right },
            1 => Reading { next: (from + world.dice.below(4) as i64).min(end).max(from), ..right },
            // The seek is carried out late, and it reads on where it was meanwhile.
            2 => Reading { next: before, turns: Some((later, from)), until_first: false },
            // An answer about the log's end comes late, and it goes there, behind the seek.
            _ => Reading { next: from, turns: Some((later, end.max(from))), until_first: true },
        }
    }
}

impl GroupConsumer for Consumer {
    type Membership = (u64, i64);

    fn poll(&mut self, wait: Duration, room: usize, into: &mut Batch, changes: &mut Vec<AssignmentChange>) -> Result<(), ConsumeError> {
        assert!(!IS_IN_TRANSACTION.get(), "a poll in a transaction");
        assert!(room > 0);
        self.relay.iter().for_each(Relay::hand_on);
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(Duration::from_micros(200));
        for is_last in [false, true] {
            let found = if self.is_paused { 0 } else { self.fetch(&mut world, room, into) };
            if let Some(change) = self.change(&mut world) {
                changes.push(change);
                return Ok(());
            }
            if found > 0 || is_last {
                break;
            }
            drop(world);
            world = sim.pass(wait);
        }
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered) { unavailable() } else { Ok(()) }
    }

    fn membership(&self) -> Option<&(u64, i64)> {
        self.membership.as_ref()
    }

    fn pause(&mut self) -> Result<(), ConsumeError> {
        self.is_paused = true;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), ConsumeError> {
        self.is_paused = false;
        Ok(())
    }

    fn committed(&mut self, partitions: &[SourcePartition], wait: Duration) -> Result<Vec<Option<Offset>>, ConsumeError> {
        assert!(!IS_IN_TRANSACTION.get(), "a question in a transaction");
        let mut world = self.sim.pass(millis(2));
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered * 5) || partitions.iter().any(|p| world.cluster.is_pending(place(*p))) {
            drop(world);
            drop(self.sim.pass(wait));
            return unavailable();
        }
        Ok(partitions.iter().map(|p| world.cluster.committed[place(*p)].map(Offset)).collect())
    }

    fn first(&mut self, partition: SourcePartition, start: Start) -> Result<Offset, ConsumeError> {
        let mut world = self.sim.pass(millis(3));
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered * 5) {
            return unavailable();
        }
        assert_eq!(start, Start::Earliest);
        assert_eq!(self.held.get(&place(partition)), Some(&Place::Held), "a partition is begun that does not wait for it");
        Ok(Offset(world.cluster.firsts[place(partition)]))
    }

    fn hold(&mut self, partition: SourcePartition) -> Result<(), ConsumeError> {
        self.held.entry(place(partition)).and_modify(|place| *place = Place::Held);
        Ok(())
    }

    fn release(&mut self, partition: SourcePartition, from: Offset) -> Result<(), ConsumeError> {
        let place = place(partition);
        if self.held.contains_key(&place) {
            let sim = Arc::clone(&self.sim);
            let reading = self.misplace(&mut sim.look(), place, from.0);
            self.held.insert(place, Place::At(reading));
        }
        Ok(())
    }

    fn has_begun(&self, partition: SourcePartition) -> bool {
        matches!(self.held.get(&place(partition)), Some(Place::At(_)))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        IS_IN_TRANSACTION.set(false);
        let mut world = self.sim.look();
        if is_dying() {
            let now = world.now;
            world.cluster.group.die(self.member, now);
        } else {
            world.cluster.group.leave(self.member);
        }
    }
}
