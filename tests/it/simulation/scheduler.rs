//! One thread at a time, chosen by a seed: the engine's own loops run unchanged on threads of their own, and every run of
//! a seed is the same. Time is virtual; it goes on when somebody works or all wait.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sharecast::clock::{BootTime, Clock};
use sharecast::time::TimestampMs;

use super::cluster::Cluster;

/// Wall time when a simulation begins.
const WALL_AT_START_MS: i64 = 1_767_225_600_000;
/// A run that takes more steps than this hangs or spins.
const MAX_STEPS: u64 = 400_000;

thread_local!(static ME: Cell<usize> = const { Cell::new(usize::MAX) });

/// A small generator of pseudo-random numbers (SplitMix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x1234_5678)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// Whether something happens that does `per_mille` times in a thousand.
    pub(super) fn hits(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    pub(super) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from + 1))
    }
}

/// One thread of the simulation.
#[derive(Debug, Default)]
pub(super) struct Actor {
    /// It has nothing to do before this.
    wake_at: Duration,
    /// It is stopped (SIGSTOP) until this, since that.
    pub(super) frozen: Option<(Duration, Duration)>,
    /// It dies (SIGKILL) at its next step.
    pub(super) is_killed: bool,
    is_done: bool,
}

impl Actor {
    fn ready_at(&self) -> Duration {
        self.wake_at.max(self.frozen.map_or(Duration::ZERO, |(_, until)| until))
    }
}

/// Everything that the threads share.
pub(super) struct World {
    /// Time since the beginning.
    pub(super) now: Duration,
    pub(super) dice: Dice,
    pub(super) actors: Vec<Actor>,
    pub(super) cluster: Cluster,
    running: usize,
    steps: u64,
    /// What went wrong; everybody ends.
    pub(super) failure: Option<String>,
}

/// How a thread of the simulation ends before its time.
pub(super) struct Killed;

/// The simulation.
pub(super) struct Simulation {
    world: Mutex<World>,
    /// By actor.
    turns: Vec<Condvar>,
}

impl Simulation {
    pub(super) fn new(seed: u64, actors: usize, cluster: Cluster) -> Arc<Self> {
        let world = World {
            now: Duration::from_secs(100),
            dice: Dice::new(seed),
            actors: (0..actors).map(|_| Actor::default()).collect(),
            cluster,
            running: 0,
            steps: 0,
            failure: None,
        };
        Arc::new(Self { world: Mutex::new(world), turns: (0..actors).map(|_| Condvar::new()).collect() })
    }

    /// Looks without a step.
    pub(super) fn look(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The calling thread is busy or waits for `span`; others may run meanwhile. Answers when it is its turn again.
    pub(super) fn pass(&self, span: Duration) -> MutexGuard<'_, World> {
        let me = ME.get();
        let mut world = self.look();
        world.steps += 1;
        if world.steps > MAX_STEPS {
            world.failure.get_or_insert("it hangs or spins: too many steps".into());
        }
        world.actors[me].wake_at = world.now + span;
        let next = world.choose(me);
        if next != me {
            world.running = next;
            self.turns[next].notify_one();
            while world.running != me && world.failure.is_none() {
                world = self.turns[me].wait(world).unwrap_or_else(PoisonError::into_inner);
            }
        }
        if world.failure.is_some() {
            self.turns.iter().for_each(Condvar::notify_all);
            drop(world);
            resume_unwind(Box::new(Killed));
        }
        world.expire();
        if std::mem::take(&mut world.actors[me].is_killed) {
            drop(world);
            resume_unwind(Box::new(Killed));
        }
        world
    }

    /// A thread's whole life.
    pub(super) fn act(&self, me: usize, body: impl FnOnce()) {
        ME.set(me);
        let mut world = self.look();
        while world.running != me && world.failure.is_none() {
            world = self.turns[me].wait(world).unwrap_or_else(PoisonError::into_inner);
        }
        drop(world);
        let ended = catch_unwind(AssertUnwindSafe(body));
        let mut world = self.look();
        if let Err(payload) = ended
            && !payload.is::<Killed>()
        {
            let text = payload.downcast_ref::<String>().cloned().or(payload.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            world.failure.get_or_insert(format!("a thread panicked: {}", text.unwrap_or_default()));
        }
        world.actors[me].is_done = true;
        if world.actors.iter().any(|actor| !actor.is_done) {
            let next = world.choose(me);
            world.running = next;
        }
        self.turns.iter().for_each(Condvar::notify_all);
    }
}

/// Whether the calling thread of the simulation was killed, as its clients see it when they are dropped.
pub(super) fn is_dying() -> bool {
    std::thread::panicking()
}

/// The calling thread.
pub(super) fn me() -> usize {
    ME.get()
}

impl World {
    /// Who runs next. Whoever is at work goes on most of the time, which saves changing threads.
    fn choose(&mut self, me: usize) -> usize {
        let ready: Vec<usize> =
            (0..self.actors.len()).filter(|i| !self.actors[*i].is_done && self.actors[*i].ready_at() <= self.now).collect();
        if ready.contains(&me) && !self.dice.hits(300) {
            return me;
        }
        if !ready.is_empty() {
            return ready[self.dice.below(ready.len() as u64) as usize];
        }
        let next = (0..self.actors.len()).filter(|i| !self.actors[*i].is_done).min_by_key(|i| self.actors[*i].ready_at());
        let next = next.expect("somebody is left");
        self.now = self.actors[next].ready_at();
        next
    }

    /// Has somebody look around who waits for something to do.
    pub(super) fn wake(&mut self, actor: usize) {
        let now = self.now;
        self.actors[actor].wake_at = self.actors[actor].wake_at.min(now);
    }

    /// Wall time.
    pub(super) fn wall(&self) -> TimestampMs {
        TimestampMs(WALL_AT_START_MS + self.now.as_millis() as i64)
    }

    /// What happens by the passing of time alone.
    fn expire(&mut self) {
        let now = self.now;
        for actor in &mut self.actors {
            if actor.frozen.is_some_and(|(_, until)| until <= now) {
                actor.frozen = None;
            }
        }
        let Self { cluster, actors, dice, .. } = self;
        if let Err(what) = cluster.expire(now, |actor| actors[actor].frozen, dice) {
            self.fail(what);
        }
    }

    /// Notes what must not be. The first one counts.
    pub(super) fn fail(&mut self, what: String) {
        self.failure.get_or_insert(what);
    }
}

/// The simulation's time, on a machine whose clock is so far ahead.
pub(super) struct VirtualClock(pub(super) Arc<Simulation>, pub(super) Duration);

impl Clock for VirtualClock {
    fn wall(&self) -> TimestampMs {
        TimestampMs(self.0.look().wall().0 + self.1.as_millis() as i64)
    }

    fn boot(&self) -> BootTime {
        BootTime(self.0.look().now)
    }

    fn sleep(&self, span: Duration) {
        drop(self.0.pass(span));
    }
}
