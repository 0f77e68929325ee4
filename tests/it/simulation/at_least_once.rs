//! A producer without transactions on the simulated cluster, and what must be true of it: nothing is lost, what comes first comes in
//! order, and no record is handed over by a view that is too old (docs/rules/exactly-once.md#at-least-once).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sharecast::engine::fence::epoch_report::WorkerEpochs;
use sharecast::live::Live;
use sharecast::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

use super::clients::{IS_IN_TRANSACTION, millis};
use super::cluster::{Put, place};
use super::model::{Committed, Input, Model, topic_of};
use super::producer::Producer;
use super::scheduler::{Simulation, World};

/// What has come out so far.
#[derive(Debug, Default)]
pub(super) struct Appeared {
    /// By record and target: the shares under which it came, or is a dead letter.
    outputs: BTreeMap<(u64, usize), BTreeSet<String>>,
    /// The newest offset that has come, by share and place.
    newest: BTreeMap<(String, usize), i64>,
    /// Records that are dead letters.
    letters: BTreeSet<u64>,
    /// How often something came again.
    pub(super) repeated: u64,
}

impl Model {
    /// A record is in its topic, of a batch that was begun then.
    fn appear(&mut self, put: &Put, inputs: &[Vec<Input>], firsts: &[i64], begun: Duration) -> Result<(), String> {
        let is_letter = put.topic == "sharecast.dead-letters";
        let reason = put.header("reason").filter(|_| is_letter);
        if is_letter && !matches!(reason.as_deref(), Some("route_failed" | "refused")) {
            let at = (put.header("partition"), put.header("offset"));
            let (Some(Ok(place)), Some(Ok(offset))) = (at.0.map(|p| p.parse::<usize>()), at.1.map(|o| o.parse::<i64>())) else {
                return Err(format!("a dead letter of nowhere: {put:?}"));
            };
            let input = &inputs[place][(offset - firsts[place]) as usize];
            self.appeared.letters.insert(input.number);
            return if input.is_unreadable { Ok(()) } else { Err(format!("a dead letter of {input:?}")) };
        }
        let output: serde_json::Value = serde_json::from_slice(put.value.as_deref().unwrap_or_default()).map_err(|e| e.to_string())?;
        let (number, share) = (output["n"].as_u64().unwrap_or_default(), output["_share"]["id"].as_str().unwrap_or_default().to_owned());
        let epoch = output["_share"]["epoch"].as_i64().unwrap_or(-1);
        let all =
            inputs.iter().enumerate().flat_map(|(place, inputs)| inputs.iter().enumerate().map(move |(at, input)| (place, at, input)));
        let found = all.into_iter().find(|(.., input)| input.number == number);
        let (place, at, input) = found.ok_or_else(|| format!("{output}: of no record"))?;
        let grant = self.grants.iter().find(|grant| grant.share == share).ok_or_else(|| format!("{output}: no such share"))?;
        let target = grant.target;
        if epoch < self.oldest_view(begun) {
            return Err(format!("{output} was handed over at {begun:?} by a view older than {}", self.oldest_view(begun)));
        }
        if grant.asset != input.asset || !grant.is_active_at(epoch) {
            return Err(format!("{output} is released by a share that does not release it"));
        }
        match reason.as_deref() {
            Some("refused") if input.poison != Some(target) => return Err(format!("{output} was never refused")),
            Some("route_failed") if self.waits || !self.troubled.contains(&topic_of(target)) => return Err(format!("{output} could wait")),
            Some(_) => self.diverted += 1,
            None if put.topic != topic_of(target) || put.name() != grant.key_at(epoch) => {
                return Err(format!("{output} went to {}", put.topic));
            }
            None => self.released += 1,
        }
        if !self.appeared.outputs.entry((number, target)).or_default().insert(share.clone()) {
            self.appeared.repeated += 1;
        } else if reason.is_none() {
            let before = self.appeared.newest.insert((share, place), at as i64);
            if before.is_some_and(|before| before >= at as i64) {
                return Err(format!("{output} first comes after the record at {before:?} of {place}"));
            }
        }
        Ok(())
    }

    /// Offsets were committed of a batch that was begun then: nothing that they cover may be missing.
    pub(super) fn check_appeared(&mut self, committed: &Committed<'_>, begun: Duration) -> Result<(), String> {
        // A commit whose answer was lost may be followed by one of a smaller batch: the offset goes back, and more comes again.
        let ahead = |at: usize, next: i64| next.max(committed.before[at].unwrap_or(next));
        let offsets: Vec<_> = committed.offsets.iter().map(|(at, next, note)| (*at, ahead(*at, *next), note.clone())).collect();
        let committed = &Committed { offsets: &offsets, ..*committed };
        let covered = self.covered(committed)?;
        let lost = covered.values().find(|(.., input)| input.is_unreadable && !self.appeared.letters.contains(&input.number));
        if let Some(lost) = lost {
            return Err(format!("no dead letter for {lost:?}"));
        }
        let due = self.due(committed)?;
        let none = BTreeSet::new();
        let missing = |epoch: i64| {
            due.iter().filter(|(_, (.., input))| !input.is_unreadable).find(|(of, (.., input))| {
                let appeared = self.appeared.outputs.get(of).unwrap_or(&none);
                self.shares_at(epoch, input, of.1).iter().any(|share| !appeared.contains(*share))
            })
        };
        if self.views(begun).any(|epoch| missing(epoch).is_none()) {
            return Ok(());
        }
        Err(format!("lost by every view since {}: {:?}", self.oldest_view(begun), missing(self.oldest_view(begun))))
    }
}

/// An idempotent producer whose notes have transactions.
pub(super) struct Acknowledged {
    sim: Arc<Simulation>,
    notes: Producer,
    is_noting: bool,
    /// Not sent yet, or on their way.
    queued: Vec<Put>,
    /// Topics of which one was refused: what follows it is not taken.
    blocked: BTreeSet<String>,
    reports: Vec<ProduceError>,
    begun: Duration,
    offsets: Vec<InputOffset>,
    membership: (u64, i64),
    is_open: bool,
}

impl Acknowledged {
    pub(super) fn start(sim: &Arc<Simulation>, name: &str, of_worker: (&Arc<Live>, &WorkerEpochs)) -> Result<Self, ProduceError> {
        let notes = Producer::start(sim, name, of_worker)?;
        Ok(Self {
            sim: Arc::clone(sim),
            notes,
            is_noting: false,
            queued: Vec::new(),
            blocked: BTreeSet::new(),
            reports: Vec::new(),
            begun: Duration::ZERO,
            offsets: Vec::new(),
            membership: (0, 0),
            is_open: false,
        })
    }

    fn turn(&mut self, is_open: bool) {
        self.is_open = is_open;
        IS_IN_TRANSACTION.set(is_open);
    }

    /// So many of what is queued are in their topics now.
    fn send(&mut self, world: &mut World, count: usize) {
        for put in self.queued.drain(..count) {
            let cluster = &mut world.cluster;
            if let Err(what) = cluster.model.appear(&put, &cluster.inputs, &cluster.firsts, self.begun) {
                world.fail(what);
            }
        }
    }

    fn send_some(&mut self, world: &mut World) {
        let count = world.dice.below(self.queued.len() as u64 + 1) as usize;
        self.send(world, count);
    }
}

impl TransactionalProducer for Acknowledged {
    type Membership = (u64, i64);

    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
        assert!(!self.is_open, "a look at {topic}");
        self.notes.sees_leader(topic)
    }

    fn begin(&mut self) -> Result<(), ProduceError> {
        assert!(!self.is_open && self.queued.is_empty(), "begin");
        let sim = Arc::clone(&self.sim);
        let mut world = sim.look();
        self.begun = world.now;
        world.cluster.begun.insert(self.notes.name().to_owned(), self.begun);
        self.reports.clear();
        self.blocked.clear();
        self.turn(true);
        Ok(())
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        if self.is_noting {
            return self.notes.put(output);
        }
        assert!(self.is_open, "put");
        self.notes.must_be_seen(output.topic);
        let sim = Arc::clone(&self.sim);
        let mut world = sim.look();
        if world.dice.hits(30) {
            drop(world);
            world = sim.pass(Duration::from_micros(100));
        }
        if let Some(error) = self.notes.refusal(&mut world, &output) {
            if world.dice.hits(500) {
                return Err(error);
            }
            self.blocked.insert(output.topic.to_owned());
            self.reports.push(error);
            return Ok(());
        }
        if !self.blocked.contains(output.topic) {
            self.queued.push(Put {
                topic: output.topic.to_owned(),
                partition: output.partition,
                key: output.key.map(<[u8]>::to_vec),
                value: output.value.map(<[u8]>::to_vec),
                headers: output.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect(),
            });
        }
        // Full requests leave at once.
        if world.dice.hits(200) {
            self.send_some(&mut world);
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Vec<ProduceError>> {
        if self.is_noting {
            return self.notes.drain();
        }
        assert!(self.is_open, "drain");
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(millis(2));
        let (slow, abort) = (world.cluster.faults.slow, world.cluster.faults.abort);
        if world.dice.hits(slow) {
            self.send_some(&mut world);
            let wait = world.dice.millis(100, 1_500);
            drop(world);
            world = sim.pass(wait);
        }
        let mut reports = std::mem::take(&mut self.reports);
        if world.dice.hits(abort) {
            self.send_some(&mut world);
            reports.push(ProduceError::Abort("something".into()));
            return Err(reports);
        }
        let all = self.queued.len();
        self.send(&mut world, all);
        if reports.is_empty() { Ok(()) } else { Err(reports) }
    }

    fn begin_notes(&mut self) -> Result<(), Vec<ProduceError>> {
        self.drain()?;
        self.notes.begin().map_err(|error| vec![error])?;
        self.is_noting = true;
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &(u64, i64)) -> Result<(), ProduceError> {
        if self.is_noting {
            return self.notes.send_offsets(offsets, membership);
        }
        assert!(self.is_open && self.queued.is_empty(), "offsets");
        (self.offsets, self.membership) = (offsets.to_vec(), *membership);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ProduceError> {
        if self.is_noting {
            self.notes.commit()?;
            self.is_noting = false;
            self.turn(false);
            return Ok(());
        }
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(millis(2));
        if !world.cluster.group.takes(self.membership.0, self.membership.1) {
            return Err(ProduceError::StaleMember(format!("generation {}", self.membership.1)));
        }
        let lost = world.cluster.faults.lost_commit;
        let is_lost = world.dice.hits(lost);
        if !is_lost || world.dice.hits(500) {
            let offsets = self.offsets.iter().map(|noted| (place(noted.partition), noted.next.0, noted.note.clone())).collect();
            if let Err(what) = world.cluster.commit_offsets(offsets, self.begun) {
                world.fail(what);
            }
        }
        if is_lost {
            return Err(ProduceError::Abort("commit: timed out".into()));
        }
        self.turn(false);
        Ok(())
    }

    fn abort(&mut self) -> Result<(), ProduceError> {
        assert!(self.is_open, "abort");
        if std::mem::take(&mut self.is_noting) {
            self.notes.abort()?;
        }
        let sim = Arc::clone(&self.sim);
        let mut world = sim.pass(millis(2));
        // What was on its way has come; what was not sent is given up.
        self.send_some(&mut world);
        self.queued.clear();
        self.turn(false);
        Ok(())
    }
}
