//! What `/readyz` answers from.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::fence::{Closed, Fence};
use super::http::{Check, Health};
use crate::clock::Clock;
use crate::live::Live;

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
        let draining = if self.stop.load(Ordering::Relaxed) { Err("the process is ending".to_owned()) } else { Ok(()) };
        vec![
            Check { name: "control_caught_up", state: caught_up },
            Check { name: "fence", state: fence },
            Check { name: "assigned", state: all(&self.assigned, "have an assignment") },
            Check { name: "producer", state: all(&self.producers, "have a producer") },
            Check { name: "draining", state: draining },
        ]
    }
}
