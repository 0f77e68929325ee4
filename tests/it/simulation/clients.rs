//! The seams of `transport` on the simulated cluster, each call with what can go wrong in it. They also hold the engine to
//! the contracts: no call after a producer has died, no poll and no look at a topic inside a transaction.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sharecast::engine::feed::{ChangeReceiver, ChangeSender};
use sharecast::engine::output::lookup::{NotMade, TopicKind, TopicMaker};
use sharecast::id::{Offset, StreamIndex};
use sharecast::transport::{
    AssignmentChange, Batch, ConsumeError, ControlLog, ControlRecord, EndProbe, GroupConsumer, InputOffset, LogBounds, Output,
    ProduceError, SourcePartition, Start, TransactionalProducer,
};

use super::cluster::{ControlSlot, Put, Transaction, place, source};
use super::group::Told;
use super::model::{LONGEST_LETTER, topic_of};
use super::scheduler::{Simulation, World, is_dying, me};

/// The topic of this target takes few bytes in one batch.
const LIMITED: usize = 1;
const LIMIT: usize = 600;

thread_local!(static IS_IN_TRANSACTION: Cell<bool> = const { Cell::new(false) });

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn unavailable<T>() -> Result<T, ConsumeError> {
    Err(ConsumeError::Unavailable("nobody answers".into()))
}

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
        let group = &mut world.cluster.group;
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
            // An answer about the log's end comes late, and it goes there, after the seek.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ready,
    Open,
    /// Nothing is left but an abort.
    Failed,
    Dead,
}

/// A transactional producer.
pub(super) struct Producer {
    sim: Arc<Simulation>,
    name: String,
    epoch: u64,
    state: State,
    seen: BTreeSet<String>,
    puts: Vec<Put>,
    is_drained: bool,
    /// To be told by `drain`.
    reports: Vec<ProduceError>,
    /// For the topic that takes little in one batch.
    queued_bytes: usize,
}

impl Producer {
    pub(super) fn start(sim: &Arc<Simulation>, name: &str) -> Result<Self, ProduceError> {
        let mut world = sim.pass(millis(5));
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered * 3) {
            return Err(ProduceError::Abort("no coordinator".into()));
        }
        let now = world.now;
        let epoch = world.cluster.init(name, now).unwrap_or_else(|what| {
            world.fail(what);
            0
        });
        IS_IN_TRANSACTION.set(false);
        let (state, seen, puts) = (State::Ready, BTreeSet::new(), Vec::new());
        Ok(Self {
            sim: Arc::clone(sim),
            name: name.to_owned(),
            epoch,
            state,
            seen,
            puts,
            is_drained: false,
            reports: Vec::new(),
            queued_bytes: 0,
        })
    }

    fn turn(&mut self, state: State) {
        self.state = state;
        IS_IN_TRANSACTION.set(matches!(state, State::Open | State::Failed));
    }

    /// What can go wrong whenever the cluster is asked, the same name taken by another first.
    fn fault(&mut self, world: &mut World) -> Result<(), ProduceError> {
        if world.cluster.producers[&self.name].epoch != self.epoch {
            self.turn(State::Dead);
            return Err(ProduceError::Fenced(self.name.clone()));
        }
        let faults = world.cluster.faults;
        if world.dice.hits(faults.fatal) {
            self.turn(State::Dead);
            return Err(ProduceError::Fatal("broken".into()));
        }
        if world.dice.hits(faults.abort) {
            if self.state == State::Open {
                self.turn(State::Failed);
            }
            return Err(ProduceError::Abort("something".into()));
        }
        Ok(())
    }

    /// Why this record is not taken.
    fn refusal(&self, world: &mut World, output: &Output<'_>) -> Option<ProduceError> {
        let topic = output.topic.to_owned();
        let is_own = topic.starts_with("sharecast.");
        if !is_own && world.cluster.is_broken(&topic, world.now) {
            let reason = "unknown".into();
            return Some(if world.dice.hits(300) { ProduceError::Abort("purged".into()) } else { ProduceError::Route { topic, reason } });
        }
        if world.cluster.is_away(&topic, world.now) {
            return Some(ProduceError::Unreachable { topic, reason: "timed out".into() });
        }
        let value = output.value.unwrap_or_default();
        let poison = format!("\"poison\":\"{topic}\"");
        let is_refused = if is_own { value.len() > LONGEST_LETTER } else { value.windows(poison.len()).any(|w| w == poison.as_bytes()) };
        is_refused.then_some(ProduceError::Refused { topic, reason: "too large".into() })
    }
}

impl TransactionalProducer for Producer {
    type Membership = (u64, i64);

    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
        assert_eq!(self.state, State::Ready, "a look at {topic}");
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(millis(1));
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered) {
            return Err(ProduceError::Abort("nobody answers".into()));
        }
        if world.cluster.is_away(topic, world.now) {
            return Err(ProduceError::Unreachable { topic: topic.to_owned(), reason: "no leader".into() });
        }
        // A topic that must not be written may be looked at all the same.
        let is_seen = !world.cluster.is_broken(topic, world.now)
            || world.cluster.topics.get(topic).is_some_and(|t| t.since.is_some()) && world.dice.hits(200);
        if is_seen {
            self.seen.insert(topic.to_owned());
        } else {
            world.cluster.model.troubled.insert(topic.to_owned());
        }
        Ok(is_seen)
    }

    fn begin(&mut self) -> Result<(), ProduceError> {
        assert_eq!(self.state, State::Ready, "begin");
        let sim = Arc::clone(&self.sim);
        let mut world = sim.look();
        self.fault(&mut world)?;
        (self.puts, self.reports, self.is_drained, self.queued_bytes) = (Vec::new(), Vec::new(), false, 0);
        self.turn(State::Open);
        Ok(())
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        assert!(matches!(self.state, State::Open), "put when {:?}", self.state);
        assert!(output.topic.starts_with("sharecast.") || self.seen.contains(output.topic), "{} was not looked at", output.topic);
        let sim = Arc::clone(&self.sim);
        let mut world = sim.look();
        if world.dice.hits(30) {
            drop(world);
            world = sim.pass(Duration::from_micros(100));
        }
        if let Some(error) = self.refusal(&mut world, &output) {
            // At once, or only in a delivery report.
            if world.dice.hits(500) {
                self.turn(State::Failed);
                return Err(error);
            }
            self.reports.push(error);
            return Ok(());
        }
        if output.topic == topic_of(LIMITED) {
            self.queued_bytes += 68 + output.key.map_or(0, <[u8]>::len) + output.value.map_or(0, <[u8]>::len);
            if self.queued_bytes > LIMIT {
                self.reports.push(ProduceError::Refused { topic: output.topic.to_owned(), reason: "too large a batch".into() });
            }
        }
        self.puts.push(Put {
            topic: output.topic.to_owned(),
            partition: output.partition,
            key: output.key.map(<[u8]>::to_vec),
            value: output.value.map(<[u8]>::to_vec),
            headers: output.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
        });
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Vec<ProduceError>> {
        assert_eq!(self.state, State::Open, "drain");
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(millis(2));
        let slow = world.cluster.faults.slow;
        if world.dice.hits(slow) {
            let wait = world.dice.millis(100, 1_500);
            drop(world);
            world = sim.pass(wait);
        }
        let mut errors = std::mem::take(&mut self.reports);
        if let Err(error) = self.fault(&mut world) {
            errors.insert(world.dice.below(errors.len() as u64 + 1) as usize, error);
        }
        if !errors.is_empty() {
            if self.state == State::Open {
                self.turn(State::Failed);
            }
            return Err(errors);
        }
        let (since, mut puts) = (world.now, std::mem::take(&mut self.puts));
        match &mut world.cluster.producers.get_mut(&self.name).expect("started").open {
            Some(open) if self.is_drained => open.puts.append(&mut puts),
            open => *open = Some(Transaction { since, puts, ..Transaction::default() }),
        }
        self.queued_bytes = 0;
        self.is_drained = true;
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &(u64, i64)) -> Result<(), ProduceError> {
        assert_eq!(self.state, State::Open, "offsets");
        assert!(self.is_drained);
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(millis(2));
        self.fault(&mut world)?;
        if !world.cluster.group.takes(membership.0, membership.1) {
            self.turn(State::Failed);
            return Err(ProduceError::StaleMember(format!("generation {}", membership.1)));
        }
        let open = world.cluster.producers.get_mut(&self.name).and_then(|p| p.open.as_mut()).expect("drained");
        open.offsets = offsets.iter().map(|noted| (place(noted.partition), noted.next.0, noted.note.clone())).collect();
        drop(world);
        let mut world = sim.pass(millis(1));
        self.fault(&mut world)
    }

    fn commit(&mut self) -> Result<(), ProduceError> {
        assert_eq!(self.state, State::Open, "commit");
        let sim = Arc::clone(&self.sim);
        let sent_at = sim.look().now;
        let mut world = sim.pass(millis(1));
        self.fault(&mut world)?;
        world.cluster.producers.get_mut(&self.name).and_then(|p| p.open.as_mut()).expect("sent offsets").commit_sent = Some(sent_at);
        let lost = world.cluster.faults.lost_commit;
        if world.dice.hits(lost) {
            self.turn(State::Dead);
            match world.dice.below(3) {
                // It never came, and is aborted when its time is over or its name comes back.
                0 => world.cluster.producers.get_mut(&self.name).and_then(|p| p.open.as_mut()).expect("there").commit_sent = None,
                // It is decided, and completed when its name comes back.
                1 => {}
                _ => {
                    let now = world.now;
                    if let Err(what) = world.cluster.commit(&self.name, now) {
                        world.fail(what);
                    }
                }
            }
            return Err(ProduceError::Fatal("commit: timed out".into()));
        }
        drop(world);
        let mut world = sim.pass(millis(2));
        let now = world.now;
        if world.cluster.producers[&self.name].open.is_some()
            && let Err(what) = world.cluster.commit(&self.name, now)
        {
            world.fail(what);
        }
        self.turn(State::Ready);
        Ok(())
    }

    fn abort(&mut self) -> Result<(), ProduceError> {
        assert!(matches!(self.state, State::Open | State::Failed), "abort when {:?}", self.state);
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(millis(2));
        let failed = world.cluster.faults.failed_abort;
        if world.cluster.producers[&self.name].epoch != self.epoch {
            self.turn(State::Dead);
            return Err(ProduceError::Fenced(self.name.clone()));
        }
        if world.dice.hits(failed) {
            self.turn(State::Dead);
            return Err(if world.dice.hits(500) {
                ProduceError::Fatal("abort: timed out".into())
            } else {
                ProduceError::Abort("abort".into())
            });
        }
        world.cluster.producers.get_mut(&self.name).expect("started").open = None;
        self.turn(State::Ready);
        Ok(())
    }
}

/// The control topic for one instance.
pub(super) struct Control {
    pub(super) sim: Arc<Simulation>,
    pub(super) position: i64,
    /// What is there is not handed out before this.
    pub(super) lags_until: Duration,
}

impl ControlLog for Control {
    fn poll(&mut self, wait: Duration, into: &mut Vec<ControlRecord>) -> Result<(), ConsumeError> {
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(wait);
        if world.cluster.is_over {
            return Err(ConsumeError::Fatal("over".into()));
        }
        let (lag, unanswered) = (world.cluster.faults.control_lag, world.cluster.faults.unavailable);
        if world.dice.hits(lag) {
            self.lags_until = world.now + world.dice.millis(100, 3_000);
        }
        if self.lags_until > world.now {
            return Ok(());
        }
        let room = 1 + world.dice.below(20);
        for _ in 0..room {
            if self.position as usize >= world.cluster.stable_end() {
                break;
            }
            if let ControlSlot::Event(timestamp, value) = &world.cluster.control[self.position as usize] {
                into.push(ControlRecord {
                    offset: Offset(self.position),
                    timestamp: *timestamp,
                    value: Some(value.clone()),
                    headers: Vec::new(),
                });
            }
            self.position += 1;
        }
        if world.dice.hits(unanswered) { unavailable() } else { Ok(()) }
    }

    fn position(&self) -> Result<Offset, ConsumeError> {
        Ok(Offset(self.position))
    }
}

/// Asks for the control topic's end.
pub(super) struct Probe(pub(super) Arc<Simulation>);

impl EndProbe for Probe {
    fn ask(&mut self) -> Result<LogBounds, ConsumeError> {
        let mut world = self.0.pass(millis(1));
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered) {
            return unavailable();
        }
        let bounds = LogBounds { start: Offset(0), end: Offset(world.cluster.control.len() as i64) };
        drop(world);
        drop(self.0.pass(millis(1)));
        Ok(bounds)
    }
}

/// Topics.
pub(super) struct Given(pub(super) Arc<Simulation>);

impl TopicMaker for Given {
    fn make(&self, topic: &str, _: TopicKind) -> Result<(), NotMade> {
        let mut world = self.0.pass(millis(20));
        let route = world.cluster.faults.route;
        if world.dice.hits(route * 3) {
            return Err(NotMade::Refused("denied".into()));
        }
        let latest = if world.dice.hits(100) { 8_000 } else { 300 };
        let since = world.now + world.dice.millis(0, latest);
        world.cluster.topics.entry(topic.to_owned()).or_default().since.get_or_insert(since);
        Ok(())
    }

    fn largest_batch(&self, topic: &str) -> Option<usize> {
        let limit = if topic == topic_of(LIMITED) { LIMIT } else { 1 << 20 };
        self.0.pass(millis(2)).dice.hits(500).then_some(limit)
    }
}
