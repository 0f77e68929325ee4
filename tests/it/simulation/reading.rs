//! What workers have read besides the group: the engine's own reading, on threads of their own, of the simulated logs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sharecast::engine::restore::Restore;
use sharecast::engine::restore::partition::RestoreContext;
use sharecast::engine::restore::request::{RestoreEvent, RestoreRequest};
use sharecast::engine::upsert::gate::Gates;
use sharecast::id::{Offset, StreamIndex};
use sharecast::sink_state::note::Reconciled;
use sharecast::time::TimestampMs;
use sharecast::transport::{Archive, Batch, ConsumeError, LogBounds, SourcePartition};

use super::PARTITIONS;
use super::cluster::{place_of, source as place_source};
use super::scheduler::{Simulation, World};

/// So much may be read ahead of a worker.
const READ_AHEAD: usize = 2;
/// A reader without a job waits so long unless it is woken.
const IDLE: Duration = Duration::from_secs(100_000);

/// Between a worker and its two readers: one loads partitions, the other does everything else.
#[derive(Default)]
pub(super) struct Mailbox {
    /// Of the worker: what belongs to an earlier one is dropped.
    life: u64,
    jobs: [VecDeque<RestoreRequest>; 2],
    news: VecDeque<RestoreEvent>,
}

/// A mailbox and the threads that read for it.
#[derive(Clone)]
pub(super) struct Readers {
    pub(super) sim: Arc<Simulation>,
    pub(super) mailbox: Arc<Mutex<Mailbox>>,
    /// The first of the two readers.
    pub(super) first: usize,
}

impl Readers {
    fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The desk of a worker's new life.
    pub(super) fn desk(&self) -> Restorer {
        let mut mailbox = self.mailbox();
        *mailbox = Mailbox { life: mailbox.life + 1, ..Mailbox::default() };
        Restorer(self.clone())
    }

    /// One reader's whole life.
    pub(super) fn read(&self, number: usize, around: &RestoreContext) {
        loop {
            let next = {
                let mut mailbox = self.mailbox();
                mailbox.jobs[number].pop_front().map(|job| (job, mailbox.life))
            };
            let Some((job, life)) = next else {
                if self.sim.pass(IDLE).cluster.is_over {
                    return;
                }
                continue;
            };
            let mut archive = LogReader { sim: Arc::clone(&self.sim), at: None };
            let mut tell = |news: RestoreEvent| {
                while self.mailbox().life == life && self.mailbox().news.len() >= READ_AHEAD {
                    if self.sim.pass(Duration::from_millis(1)).cluster.is_over {
                        return false;
                    }
                }
                let mut mailbox = self.mailbox();
                let is_heard = mailbox.life == life;
                mailbox.news.extend(is_heard.then_some(news));
                is_heard
            };
            around.carry_out(&job, &mut archive, &mut tell, &mut || drop(self.sim.pass(Duration::from_millis(500))));
        }
    }
}

/// A worker's end of its mailbox.
pub(super) struct Restorer(Readers);

impl Restore for Restorer {
    fn ask(&mut self, job: RestoreRequest) {
        let number = usize::from(!matches!(job, RestoreRequest::Load(..)));
        self.0.mailbox().jobs[number].push_back(job);
        self.0.sim.look().wake(self.0.first + number);
    }

    fn news(&mut self) -> Option<RestoreEvent> {
        self.0.mailbox().news.pop_front()
    }
}

impl Drop for Restorer {
    fn drop(&mut self) {
        let mut mailbox = self.0.mailbox();
        *mailbox = Mailbox { life: mailbox.life + 1, ..Mailbox::default() };
    }
}

/// Reads one partition at a time, read committed.
struct LogReader {
    sim: Arc<Simulation>,
    at: Option<(String, i32, i64)>,
}

impl LogReader {
    /// The cluster, if it answers.
    fn ask(&self) -> Result<std::sync::MutexGuard<'_, World>, ConsumeError> {
        let mut world = self.sim.pass(Duration::from_millis(2));
        let unanswered = world.cluster.faults.unavailable;
        if world.dice.hits(unanswered * 3) { Err(ConsumeError::Unavailable("nobody answers".into())) } else { Ok(world) }
    }
}

impl Archive for LogReader {
    fn committed(&mut self, topic: &str, partition: i32) -> Result<Option<(Offset, Vec<u8>)>, ConsumeError> {
        let world = self.ask()?;
        let place = place_of(topic, partition).expect("an input");
        if world.cluster.is_pending(place) {
            return Err(ConsumeError::Unavailable("a transaction is open".into()));
        }
        Ok(world.cluster.committed[place].map(|next| (Offset(next), world.cluster.beside[place].clone().into_bytes())))
    }

    fn partitions(&mut self, _: &str) -> Result<Option<i32>, ConsumeError> {
        self.ask().map(|_| Some(PARTITIONS))
    }

    fn turn_to(&mut self, topic: &str, partition: i32, from: Option<Offset>) -> Result<LogBounds, ConsumeError> {
        let world = self.ask()?;
        let (start, end) = world.cluster.bounds(topic, partition);
        drop(world);
        self.at = Some((topic.to_owned(), partition, from.map_or(start, |from| from.0.max(start))));
        Ok(LogBounds { start: Offset(start), end: Offset(end) })
    }

    fn read(&mut self, wait: Duration, room: usize, source: SourcePartition, into: &mut Batch) -> Result<Offset, ConsumeError> {
        let (topic, partition, at) = self.at.clone().expect("turned to something");
        let mut next = at;
        for is_last in [false, true] {
            let mut world = self.ask()?;
            let room = (room as u64).min(1 + world.dice.below(20)) as usize;
            next = world.cluster.show(&topic, partition, at, world.now, room, source, into);
            if next > at || is_last {
                break;
            }
            drop(world);
            drop(self.sim.pass(wait));
        }
        self.at = Some((topic, partition, next));
        Ok(Offset(next))
    }
}

/// How far the partitions have come, for the gates.
pub(super) fn keep_gates(sim: &Arc<Simulation>, gates: &Gates, stream: StreamIndex) {
    loop {
        let wait = sim.look().dice.millis(20, 200);
        let world = sim.pass(wait);
        if world.cluster.is_over {
            return;
        }
        if gates.is_awaited(stream) {
            let places = (0..world.cluster.committed.len()).filter(|at| place_source(*at).stream == stream);
            let note = |at: usize| world.cluster.committed[at].and_then(|_| Reconciled::read(world.cluster.beside[at].as_bytes()));
            gates.noted(stream, places.map(note));
        }
    }
}

/// Input records have one a little before it.
pub(super) const TIMESTAMP: TimestampMs = TimestampMs(1_767_225_600_000);
