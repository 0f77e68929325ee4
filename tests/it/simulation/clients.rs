//! The seams of `transport` on the simulated cluster, each call with what can go wrong in it. They also hold the engine to
//! the contracts: no call after a producer has died, no poll and no look at a topic inside a transaction.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use sharecast::engine::output::lookup::{NotMade, TopicKind, TopicMaker};
use sharecast::engine::worker::tuning::LiveTuning;
use sharecast::id::Offset;
use sharecast::transport::{ConsumeError, ControlLog, ControlRecord, EndProbe, LogBounds};

use super::cluster::ControlSlot;
use super::instance::tuning;
use super::model::topic_of;
use super::scheduler::{Dice, Simulation};

/// The topic of this target takes few bytes in one batch.
pub(super) const LIMITED: usize = 1;
pub(super) const LIMIT: usize = 600;

thread_local!(pub(super) static IS_IN_TRANSACTION: Cell<bool> = const { Cell::new(false) });

pub(super) fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn unavailable<T>() -> Result<T, ConsumeError> {
    Err(ConsumeError::Unavailable("nobody answers".into()))
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

/// Asks for the control topic's end. Now and then a configuration is reloaded besides.
pub(super) struct Probe {
    pub(super) sim: Arc<Simulation>,
    pub(super) tuning: Arc<LiveTuning>,
    /// Its own, so that all else is as it would be without it.
    pub(super) dice: Dice,
}

impl EndProbe for Probe {
    fn ask(&mut self) -> Result<LogBounds, ConsumeError> {
        if self.dice.hits(50) {
            let interval = self.dice.millis(10, 150);
            self.tuning.publish(tuning(interval, &mut self.dice));
        }
        let mut world = self.sim.pass(millis(1));
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered) {
            return unavailable();
        }
        let bounds = LogBounds { start: Offset(0), end: Offset(world.cluster.control.len() as i64) };
        drop(world);
        drop(self.sim.pass(millis(1)));
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
