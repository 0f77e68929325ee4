//! A transactional producer on the simulated cluster, and what can go wrong with each of its calls.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sharecast::engine::fence::epoch_report::WorkerEpochs;
use sharecast::live::Live;
use sharecast::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

use super::clients::{IS_IN_TRANSACTION, LIMIT, LIMITED, millis};
use super::cluster::{Put, Transaction, place};
use super::model::{LONGEST_LETTER, topic_of};
use super::scheduler::{Simulation, World};

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
    /// What the worker decides by.
    live: Arc<Live>,
    /// What it says of that.
    said: WorkerEpochs,
    /// Of the newest graph when the transaction was begun, if no other thread can have run since that could be loaded for it.
    newest_epoch: Option<i64>,
    has_looked: bool,
}

impl Producer {
    pub(super) fn start(sim: &Arc<Simulation>, name: &str, (live, said): (&Arc<Live>, &WorkerEpochs)) -> Result<Self, ProduceError> {
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
            live: Arc::clone(live),
            said: Arc::clone(said),
            newest_epoch: None,
            has_looked: false,
        })
    }

    /// Whether the transaction was decided before the newest graph of its beginning was published: ahead of it. Nothing may be in it of
    /// an older graph than the worker says.
    fn is_outrun(&self, puts: &[Put]) -> Result<bool, String> {
        let epoch_of = |put: &Put| serde_json::from_slice::<serde_json::Value>(put.value.as_deref()?).ok()?["_share"]["epoch"].as_i64();
        let said = self.said.lock().expect("only pushed to").iter().map(|said| said.min_epoch().0).max();
        match puts.iter().filter_map(epoch_of).min() {
            Some(epoch) if said.is_some_and(|said| epoch < said) => Err(format!("written by graph {epoch}, but {said:?} was reported")),
            Some(epoch) => Ok(self.newest_epoch.is_some_and(|newest| epoch < newest)),
            None => Ok(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A topic is written to only after a look at it.
    pub(super) fn must_be_seen(&self, topic: &str) {
        assert!(topic.starts_with("sharecast.") || self.seen.contains(topic), "{topic} was not looked at");
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
    pub(super) fn refusal(&self, world: &mut World, output: &Output<'_>) -> Option<ProduceError> {
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
        self.has_looked = true;
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
        self.newest_epoch = (!std::mem::take(&mut self.has_looked)).then(|| self.live.load().graph.epoch().0);
        self.turn(State::Open);
        Ok(())
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        assert!(matches!(self.state, State::Open), "put when {:?}", self.state);
        self.must_be_seen(output.topic);
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
        let open = world.cluster.producers[&self.name].open.as_ref();
        match open.map_or(Ok(false), |open| self.is_outrun(&open.puts)) {
            Ok(is_outrun) => world.cluster.outrun += u64::from(is_outrun),
            Err(what) => world.fail(what),
        }
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
