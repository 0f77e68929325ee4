//! The live group beside a job: while it falls behind, the job goes slower (docs/backfill.md#how-fast).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::{debug, info};

use crate::clock::Clock;
use crate::engine::backfill::rate_limiter::{Backlogged, RateLimiter, is_falling_behind};
use crate::kafka::{Backlog, ClientError, CommittedOffsets, GroupMembers, KafkaSettings};

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);
/// Between two looks at whether the job is over.
const LOOK: Duration = Duration::from_millis(100);
/// The longest wait for one question.
const ASK: Duration = Duration::from_secs(5);

/// The thread that looks at the live group.
pub struct LagWatch {
    /// Where the cluster is.
    pub kafka: KafkaSettings,
    /// Each input topic with its number of partitions.
    pub inputs: Vec<(String, i32)>,
    /// What is slowed down.
    pub rate_limiter: Arc<RateLimiter>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the job is over.
    pub done: Arc<AtomicBool>,
}

struct LagClients {
    members: GroupMembers,
    committed: CommittedOffsets,
    backlog: Backlog,
}

impl LagWatch {
    /// Looks until the job is over. What cannot be asked changes nothing.
    pub fn run(self) {
        let mut clients = None;
        let mut before = None;
        while !self.done.load(Ordering::Relaxed) {
            let now = self.clock.boot();
            let seen = self.look(&mut clients).unwrap_or_else(|error| {
                debug!(%error, "the live group's lag could not be looked at");
                None
            });
            if let Some((earlier, at)) = before {
                let is_slower = seen.is_some_and(|seen| is_falling_behind(earlier, seen, now.since(at)));
                if let Some(part) = self.rate_limiter.adjust(is_slower) {
                    let why = if is_slower { "the live group's lag grows" } else { "the live group keeps up again" };
                    info!(part, "{why}: another part of --rate is in force");
                }
            } else if seen.is_none() {
                self.rate_limiter.adjust(false);
            }
            before = seen.map(|seen| (seen, now));
            let next = now.after(EVERY);
            while self.clock.boot() < next && !self.done.load(Ordering::Relaxed) {
                self.clock.sleep(LOOK);
            }
        }
    }

    /// The backlog of the group; none of one that has no members now.
    fn look(&self, clients: &mut Option<LagClients>) -> Result<Option<Backlogged>, ClientError> {
        let LagClients { members, committed, backlog } = match clients {
            Some(clients) => clients,
            None => clients.insert(LagClients {
                members: GroupMembers::open(&self.kafka)?,
                committed: CommittedOffsets::as_they_stand(&self.kafka, &self.kafka.group)?,
                backlog: Backlog::open(&self.kafka)?,
            }),
        };
        if members.ask(&self.kafka.group, ASK)?.is_none() {
            return Ok(None);
        }
        let mut seen = Backlogged { lag: 0, committed: 0 };
        for (topic, partitions) in &self.inputs {
            let named: Vec<(&str, i32)> = (0..*partitions).map(|partition| (topic.as_str(), partition)).collect();
            for (partition, next) in (0..*partitions).zip(committed.ask(&named, ASK)?) {
                let Some(next) = next else { continue };
                seen.lag += (backlog.bounds(topic, partition, ASK)?.end.0 - next.offset.0).max(0);
                seen.committed += next.offset.0;
            }
        }
        Ok(Some(seen))
    }
}
