//! What `/readyz` answers from.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crate::clock::Clock;
use crate::engine::control::configuration::ConfigurationState;
use crate::engine::fence::{Closed, Fence};
use crate::engine::server::http::{Check, Health};
use crate::engine::worker::settings::Overdue;
use crate::live::Live;
use crate::topic::PartitionName;

/// The named conditions from the process's first moment on: until the engine begins, none holds, and the first says what is waited
/// for.
pub struct Readiness {
    workers: usize,
    stop: Arc<AtomicBool>,
    waits_for: Mutex<String>,
    engine: OnceLock<EngineHealth>,
}

impl Readiness {
    /// Before anything has begun.
    pub fn new(workers: usize, stop: Arc<AtomicBool>, waits_for: String) -> Self {
        Self { workers, stop, waits_for: Mutex::new(waits_for), engine: OnceLock::new() }
    }

    /// What the start waits for now.
    pub fn waits_for(&self, what: &str) {
        what.clone_into(&mut self.waits_for.lock().expect("only set"));
    }

    /// From here on the engine answers.
    pub fn begins(&self, engine: EngineHealth) {
        // It begins once.
        let _ = self.engine.set(engine);
    }
}

impl Health for Readiness {
    fn checks(&self) -> Vec<Check> {
        if let Some(engine) = self.engine.get() {
            return engine.checks();
        }
        let waits_for = self.waits_for.lock().expect("only set").clone();
        let none = |what: &str| Err(format!("0 of {} workers {what}", self.workers));
        vec![
            Check { name: "control_caught_up", state: Err(format!("waiting for Kafka: {waits_for}")) },
            Check { name: "fence", state: Err("the control topic is not read yet".to_owned()) },
            Check { name: "assigned", state: none(HAVE_ASSIGNMENT) },
            Check { name: "producer", state: none(HAVE_PRODUCER) },
            Check { name: "draining", state: draining(&self.stop) },
        ]
    }
}

const HAVE_ASSIGNMENT: &str = "have an assignment";
const HAVE_PRODUCER: &str = "have a producer";

fn draining(stop: &AtomicBool) -> Result<(), String> {
    if stop.load(Ordering::Relaxed) { Err("the process is ending".to_owned()) } else { Ok(()) }
}

/// The engine's named conditions of readiness (docs/rules/operating.md#health). Ready means flowing.
pub struct EngineHealth {
    /// Asked for the published view.
    pub fence: Arc<Mutex<Fence>>,
    /// The published view.
    pub live: Arc<Live>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
    /// How many workers there are.
    pub workers: usize,
    /// Workers that have a producer.
    pub producers: Arc<AtomicUsize>,
    /// Workers that the group has given its answer.
    pub assigned: Arc<AtomicUsize>,
    /// Partitions that have been held for too long.
    pub overdue: Overdue,
    /// In what the configuration differs from the log's.
    pub differs: ConfigurationState,
}

/// So many partitions are named.
const NAMED: usize = 5;

impl EngineHealth {
    fn held(&self) -> Result<(), String> {
        let overdue = self.overdue.lock().expect("only copied");
        if overdue.is_empty() {
            return Ok(());
        }
        let named: Vec<String> =
            overdue.iter().take(NAMED).map(|(topic, partition)| PartitionName(topic, *partition).to_string()).collect();
        let more = if overdue.len() > NAMED { ", …" } else { "" };
        Err(format!("{} held and cannot begin: {}{more}", overdue.len(), named.join(", ")))
    }
}

impl Health for EngineHealth {
    fn checks(&self) -> Vec<Check> {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        let closed = self.fence.lock().expect("the fence is never left half changed").check(&self.live.load(), wall, boot).err();
        let (caught_up, fence) = match closed {
            None => (Ok(()), Ok(())),
            Some(reason @ Closed::NotCaughtUp) => (Err(reason.to_string()), Err(reason.to_string())),
            Some(reason) => (Ok(()), Err(reason.to_string())),
        };
        let all = |count: &AtomicUsize, what: &str| match count.load(Ordering::Relaxed) {
            count if count >= self.workers => Ok(()),
            count => Err(format!("{count} of {} workers {what}", self.workers)),
        };
        vec![
            Check { name: "control_caught_up", state: caught_up },
            Check { name: "fence", state: fence },
            Check { name: "assigned", state: all(&self.assigned, HAVE_ASSIGNMENT) },
            Check { name: "producer", state: all(&self.producers, HAVE_PRODUCER) },
            Check { name: "held", state: self.held() },
            Check { name: "configuration", state: self.differs.lock().expect("only replaced").clone().map_or(Ok(()), Err) },
            Check { name: "draining", state: draining(&self.stop) },
        ]
    }
}
