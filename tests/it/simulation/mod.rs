//! The engine's workers, control planes and fences on a simulated cluster: exactly once, in order, and never by a view
//! that is too old, whatever goes wrong (docs/rules/release.md, docs/rules/outputs.md, docs/rules/exactly-once.md, docs/rules/fence.md).
//!
//! `SHARECAST_SEED=<n>` runs one seed again and shows the engine's log, `SHARECAST_RUNS=<n>` so many from the first on.

mod clients;
mod cluster;
mod group;
mod model;
mod reading;
mod scheduler;
mod standing;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sharecast::clock::BootTime;
use sharecast::config::{OutputTemplate, TenantLabels};
use sharecast::decide::{Decider, ReleaseRules};
use sharecast::engine::control::ControlPlane;
use sharecast::engine::control::metrics::ControlMetrics;
use sharecast::engine::control::snapshot::SnapshotWriter;
use sharecast::engine::control::timers::TICK_EVERY;
use sharecast::engine::feed::{self, ChangeReceiver, ChangeSender, ControlCommand};
use sharecast::engine::fence::probe::Prober;
use sharecast::engine::fence::{Fence, FenceLimits};
use sharecast::engine::restore::partition::RestoreContext;
use sharecast::engine::topic::names::TopicNames;
use sharecast::engine::upsert::Upserts;
use sharecast::engine::upsert::gate::Gates;
use sharecast::engine::upsert::reconcile::UpsertRules;
use sharecast::engine::worker::error::WorkerError;
use sharecast::engine::worker::metrics::WorkerMetrics;
use sharecast::engine::worker::settings::Overdue;
use sharecast::engine::worker::settings::{Compacted, Shared, WorkerSettings};
use sharecast::engine::worker::{Aside, Worker};
use sharecast::id::{Epoch, Offset, StreamIndex, StreamName};
use sharecast::live::{Live, View};
use sharecast::record::decode::ReadRules;
use sharecast::record::mapping::{FieldSource, KeyFormat, Mapping, Mode, Stream};
use sharecast::share::snapshot::SnapshotOrigin;
use sharecast::share::table::{FoldRules, ShareTable};
use sharecast::time::{Period, TimestampMs};
use sharecast::transport::{ProduceError, Start};

use clients::{Consumer, Control, Given, Probe, Producer, Relay};
use cluster::{Cluster, ControlSlot, Faults, INPUTS, Topic};
use model::{Grant, Input, LONGEST_LETTER, MAX_VIEW_AGE, topic_of};
use reading::{Mailbox, Readers, keep_gates};
use scheduler::{Dice, Killed, Simulation, VirtualClock, World};
use standing::{HELD, STANDING, amiss, details_of};

const PARTITIONS: i32 = 4;
const ASSETS: usize = 4;
const TARGETS: usize = 4;
/// This target's topic is there from the beginning and at times without a leader, nothing worse: none of its records may be set aside.
const ONLY_AWAY: usize = 0;
/// Input records of one run.
const RECORDS: u64 = 250;
/// After the last fault everything must be done within this.
const PATIENCE: Duration = Duration::from_secs(400);

/// What a run had in it.
#[derive(Debug, Default)]
struct Seen {
    commits: u64,
    released: u64,
    diverted: u64,
    noted: u64,
    documents: u64,
    tombstones: u64,
    passed: u64,
    misled: u64,
}

#[test]
fn whatever_goes_wrong_each_record_goes_out_once_in_order_and_by_a_fresh_view() {
    let mut sum = Seen::default();
    let seeds = seeds();
    for &seed in &seeds {
        let seen = run(seed).unwrap_or_else(|what| panic!("{what}\nrun it again with SHARECAST_SEED={seed}"));
        sum = sum.and(&seen);
    }
    println!("{sum:?}");
    let is_much =
        sum.misled > 100 && sum.released > 100 && sum.noted > 100 && sum.documents > 100 && sum.tombstones > 100 && sum.passed > 10;
    assert!(is_much || seeds.len() < 100, "the runs did next to nothing: {sum:?}");
}

impl Seen {
    fn and(&self, other: &Self) -> Self {
        Self {
            commits: self.commits + other.commits,
            released: self.released + other.released,
            diverted: self.diverted + other.diverted,
            noted: self.noted + other.noted,
            documents: self.documents + other.documents,
            tombstones: self.tombstones + other.tombstones,
            passed: self.passed + other.passed,
            misled: self.misled + other.misled,
        }
    }
}

/// The seeds to run.
fn seeds() -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    match number("SHARECAST_SEED") {
        Some(seed) => {
            let _ = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).without_time().with_thread_names(true).try_init();
            vec![seed]
        }
        None => (0..number("SHARECAST_RUNS").unwrap_or(200)).collect(),
    }
}

/// Runs one seed; the error says what must not be.
fn run(seed: u64) -> Result<Seen, String> {
    let mut dice = Dice::new(seed.wrapping_add(1 << 40));
    let streams = if dice.hits(500) { 2 } else { 1 };
    let mut cluster = Cluster::new(streams, faults(&mut dice), &mut dice);
    for topic in [topic_of(ONLY_AWAY), details_of(ONLY_AWAY)] {
        cluster.topics.insert(topic, Topic { since: Some(Duration::ZERO), ..Topic::default() });
    }
    // Without the fence a zombie has nothing but the group's generation against it.
    let is_fenced = dice.hits(850);
    if !is_fenced {
        (cluster.model.max_view_age, cluster.faults.freeze) = (Duration::MAX, 40);
    }
    cluster.model.waits = dice.hits(500);
    let waits = cluster.model.waits;
    let (instances, workers) = (1 + dice.below(2) as usize, 1 + dice.below(2) as usize);
    let sim = Simulation::new(seed, 1 + instances * actors_of(workers), cluster);
    let instances: Vec<Arc<Instance>> =
        (0..instances).map(|number| Arc::new(Instance::new(&sim, number, (workers, streams), (waits, is_fenced), &mut dice))).collect();
    std::thread::scope(|scope| {
        let mut actor = 0;
        let mut act = |body: Box<dyn FnOnce() + Send>| {
            let (sim, me) = (Arc::clone(&sim), actor);
            std::thread::Builder::new().name(format!("actor {me}")).spawn_scoped(scope, move || sim.act(me, body)).expect("a thread");
            actor += 1;
        };
        {
            let (sim, instances) = (Arc::clone(&sim), instances.clone());
            act(Box::new(move || Outside { sim, instances, workers, shares: 0, number: 0, ticked_at: Duration::ZERO, streams }.act()));
        }
        for instance in &instances {
            let (one, two) = (Arc::clone(instance), Arc::clone(instance));
            act(Box::new(move || one.fold()));
            act(Box::new(move || two.probe()));
            let three = Arc::clone(instance);
            act(Box::new(move || {
                if streams > 1 {
                    keep_gates(&three.sim, &three.gates, StreamIndex(1))
                }
            }));
            for number in 0..workers {
                let instance = Arc::clone(instance);
                act(Box::new(move || instance.work(number)));
            }
            for (readers, number) in instance.readers.iter().flat_map(|readers| [(readers.clone(), 0), (readers.clone(), 1)]) {
                let around = instance.around();
                act(Box::new(move || readers.read(number, &around)));
            }
        }
    });
    let world = sim.look();
    let model = &world.cluster.model;
    match &world.failure {
        Some(what) => Err(format!("{what}\nat {:?} with {:?}", world.now, world.cluster.faults)),
        None => Ok(Seen {
            commits: world.cluster.commits,
            released: model.released,
            diverted: model.diverted,
            noted: model.noted,
            documents: model.shelf.documents,
            tombstones: model.shelf.tombstones,
            passed: model.shelf.passed,
            misled: world.cluster.misled,
        }),
    }
}

/// How many threads an instance has: the fold, the probe, the keeper of gates, its workers and two readers for each.
fn actors_of(workers: usize) -> usize {
    3 + workers * 3
}

/// Each kind of fault is there or not, so that some runs are nearly calm and some are not.
fn faults(dice: &mut Dice) -> Faults {
    let mut upto = |most: u64| if dice.hits(500) { 0 } else { 1 + dice.below(most) };
    Faults {
        abort: upto(30),
        fatal: upto(15),
        lost_commit: upto(80),
        failed_abort: upto(300),
        unavailable: upto(20),
        slow: upto(60),
        rebalance: upto(40),
        control_lag: upto(6),
        route: upto(20),
        freeze: upto(8),
        kill: upto(8),
        stop: upto(8),
        misled: upto(60),
    }
}

fn streams(count: usize) -> Arc<[Stream]> {
    [stream("telemetry", Mode::Append, 0), stream("details", Mode::Upsert, 1)].into_iter().take(count).collect()
}

fn stream(name: &str, mode: Mode, index: u8) -> Stream {
    Stream {
        name: StreamName::parse(name).unwrap(),
        index: StreamIndex(index),
        mode,
        topic: INPUTS[usize::from(index)].into(),
        mapping: Mapping {
            tenant: FieldSource::KeyField,
            asset: FieldSource::KeyField,
            key_format: Some(KeyFormat::parse("{tenant}/{asset}").unwrap()),
            time: None,
            rewrite_tenant: Vec::new(),
            rewrite_asset: Vec::new(),
        },
    }
}

fn fold_rules(streams: usize) -> FoldRules {
    FoldRules { streams: self::streams(streams), partnerships_open: true, late_grace: Period::ZERO, halts_on_unreadable: true }
}

/// One process.
struct Instance {
    sim: Arc<Simulation>,
    number: usize,
    shared: Shared,
    settings: WorkerSettings,
    /// Of each worker's present life.
    stops: Mutex<Vec<Arc<AtomicBool>>>,
    /// Of each worker.
    readers: Vec<Readers>,
    streams: usize,
    gates: Arc<Gates>,
    /// Where the fold tells the workers, until it has them.
    tellers: Mutex<Vec<ChangeSender>>,
    /// Where each worker hears it, whichever life it is in.
    hearings: Vec<Arc<Mutex<ChangeReceiver>>>,
    /// The other end is the fold's.
    commands: Sender<ControlCommand>,
    asked: Mutex<Option<Receiver<ControlCommand>>>,
}

impl Instance {
    fn new(
        sim: &Arc<Simulation>,
        number: usize,
        (workers, streams): (usize, usize),
        (waits, is_fenced): (bool, bool),
        dice: &mut Dice,
    ) -> Self {
        let limits = FenceLimits {
            is_enabled: is_fenced,
            max_view_age: MAX_VIEW_AGE,
            max_tick_age: Duration::from_secs(60),
            max_clock_skew: Duration::from_secs(1),
        };
        let view =
            View { graph: ShareTable::new(fold_rules(streams)).graph(), position: Offset(0), newest_cut: None, newest_change: Epoch(-1) };
        let given = Arc::new(Given(Arc::clone(sim)));
        let shared = Shared {
            live: Arc::new(Live::new(view)),
            fence: Arc::new(Mutex::new(Fence::new(limits, BootTime::default()))),
            clock: Arc::new(VirtualClock(Arc::clone(sim), dice.millis(0, 1_500))),
            topic_maker: given,
            stop: Arc::default(),
            held: Arc::default(),
            overdue: Overdue::default(),
            compacted: Compacted::by_mode(&self::streams(streams)),
            producers: Arc::default(),
            assigned: Arc::default(),
            said: Arc::default(),
        };
        let settings = WorkerSettings {
            group: "g".into(),
            transactional_id: String::new(),
            streams: self::streams(streams),
            starts: vec![Start::Earliest; streams].into(),
            interval: dice.millis(10, 150),
            max_records: 1 + dice.below(40) as usize,
            max_routes: 1 + dice.below(6) as usize,
            standing: [String::new(), STANDING.to_owned()].into(),
            names: TopicNames { control: "control".into(), template: OutputTemplate::standard() },
            waits,
            passes_headers: Vec::new(),
            has_provenance_headers: false,
            has_permission_header: false,
            held_for: Duration::from_secs(25),
        };
        let first = 1 + number * actors_of(workers) + 3 + workers;
        let readers = (0..workers).map(|worker| Readers {
            sim: Arc::clone(sim),
            mailbox: Arc::<Mutex<Mailbox>>::default(),
            first: first + worker * 2,
        });
        let readers = readers.collect();
        let (tellers, hearings): (Vec<_>, Vec<_>) = (0..if streams > 1 { workers } else { 0 }).map(|_| feed::hearing()).unzip();
        let (commands, asked) = channel();
        Self {
            sim: Arc::clone(sim),
            number,
            shared,
            settings,
            stops: Mutex::new(vec![Arc::default(); workers]),
            readers,
            streams,
            gates: Arc::new(Gates::new(streams)),
            tellers: Mutex::new(tellers),
            hearings: hearings.into_iter().map(|hearing| Arc::new(Mutex::new(hearing))).collect(),
            commands,
            asked: Mutex::new(Some(asked)),
        }
    }

    fn around(&self) -> RestoreContext {
        let WorkerSettings { streams, names, group, .. } = self.settings.clone();
        RestoreContext { live: Arc::clone(&self.shared.live), streams, names, group, keeps_notes: true }
    }

    fn fold(&self) {
        let origin = SnapshotOrigin { cluster: "c".into(), topic: "control".into() };
        let nowhere = std::path::PathBuf::from("/nowhere/snapshot");
        let plane = ControlPlane {
            log: Control { sim: Arc::clone(&self.sim), position: 0, lags_until: Duration::ZERO },
            table: ShareTable::new(fold_rules(self.streams)),
            control_time: TimestampMs(0),
            control_topic: "control".into(),
            newest_cut: None,
            newest_change: Epoch(-1),
            upserts: std::mem::take(&mut *self.tellers.lock().unwrap_or_else(PoisonError::into_inner)),
            live: Arc::clone(&self.shared.live),
            fence: Arc::clone(&self.shared.fence),
            clock: Arc::clone(&self.shared.clock),
            metrics: ControlMetrics,
            has_mask_secret: true,
            topics: None,
            snapshots: SnapshotWriter::new(nowhere, Duration::MAX, origin, BootTime::default(), Epoch(-1)),
            commands: self.asked.lock().unwrap_or_else(PoisonError::into_inner).take().expect("the only fold"),
            stop: Arc::default(),
        };
        // It ends with the log.
        let _ = plane.run();
    }

    fn probe(&self) {
        let Shared { fence, live, clock, stop, .. } = self.shared.clone();
        if let Err(broken) = (Prober { probe: Probe(Arc::clone(&self.sim)), fence, live, clock, stop }).run() {
            self.sim.look().fail(broken.to_string());
        }
    }

    /// A worker's lives, one after the other.
    fn work(&self, number: usize) {
        for life in 0.. {
            let stop = Arc::<AtomicBool>::default();
            self.stops.lock().unwrap_or_else(PoisonError::into_inner)[number] = Arc::clone(&stop);
            let mut world = self.sim.look();
            if world.cluster.is_over || world.failure.is_some() {
                return;
            }
            // It comes back under its name or under another one.
            let name =
                if world.dice.hits(700) { format!("g-{}-{number}", self.number) } else { format!("g-{}-{number}-{life}", self.number) };
            let rest = if life == 0 { Duration::ZERO } else { world.dice.millis(10, 3_000) };
            drop(world);
            let told = Arc::clone(&stop);
            let live = || {
                drop(self.sim.pass(rest));
                self.live(number, name, stop)
            };
            match catch_unwind(AssertUnwindSafe(live)) {
                Ok(Ok(()) | Err(WorkerError::FencedTwice { .. })) => {}
                // Told to stop before it has a producer.
                Ok(Err(WorkerError::Output(ProduceError::Abort(_)))) if told.load(Ordering::Relaxed) => {}
                Ok(Err(ended)) => self.sim.look().fail(format!("a worker ended: {ended}")),
                Err(payload) if !payload.is::<Killed>() => resume_unwind(payload),
                Err(_) => {}
            }
        }
    }

    fn live(&self, number: usize, name: String, stop: Arc<AtomicBool>) -> Result<(), WorkerError> {
        let rules = ReleaseRules {
            read: ReadRules { max_record_bytes: 1 << 20, max_future: Period::from_millis(600_000) },
            late_grace: Period::ZERO,
            shows_provenance: true,
            shows_permission: false,
        };
        let settings = WorkerSettings { transactional_id: name.clone(), ..self.settings.clone() };
        let metrics = WorkerMetrics::new(&settings.streams, TenantLabels::Off);
        let (sim, other) = (Arc::clone(&self.sim), Arc::clone(&self.sim));
        let make = Box::new(move || Producer::start(&sim, &name));
        let shared = Shared { stop, ..self.shared.clone() };
        let (upserts, relay) = self.upserts(number, &rules, &settings.names).unzip();
        let aside = Aside { desk: Box::new(self.readers[number].desk()), upserts };
        Worker::new(settings, shared, || Ok(Consumer::join(&other, relay)), make, Decider::new(rules, None), aside, metrics)?.run()
    }

    /// A worker's upsert streams, with what brings them the fold's words.
    fn upserts(&self, number: usize, rules: &ReleaseRules, names: &TopicNames) -> Option<(Upserts, Relay)> {
        let hearing = Arc::clone(self.hearings.get(number)?);
        // Whatever is assigned from now on is read with all of this in the view.
        let before = hearing.lock().unwrap_or_else(PoisonError::into_inner);
        while before.next().is_some() {}
        drop(before);
        let (teller, own) = feed::hearing();
        let rules = UpsertRules {
            release: *rules,
            names: names.clone(),
            form: "payload".into(),
            passes_headers: Vec::new(),
            has_provenance_headers: false,
        };
        let upserts = Upserts::new(rules, None, streams(self.streams), Arc::clone(&self.gates), own, self.commands.clone());
        Some((upserts, Relay { hearing, teller }))
    }
}

/// Whatever comes from outside: records, operators, and what goes wrong.
struct Outside {
    sim: Arc<Simulation>,
    instances: Vec<Arc<Instance>>,
    workers: usize,
    shares: u64,
    number: u64,
    ticked_at: Duration,
    streams: usize,
}

impl Outside {
    fn act(mut self) {
        // A late first tick keeps the fence closed while partitions are begun and change hands.
        let mut world = self.sim.look();
        let late = if world.dice.hits(500) { world.dice.millis(0, 5_000) } else { Duration::ZERO };
        self.ticked_at = world.now + late - TICK_EVERY;
        drop(world);
        loop {
            let wait = self.sim.look().dice.millis(5, 100);
            let sim = Arc::clone(&self.sim);
            let mut world = sim.pass(wait);
            self.tick(&mut world);
            self.send(&mut world);
            self.share(&mut world);
            self.disturb(&mut world);
            if self.number >= RECORDS && world.dice.hits(50) {
                break;
            }
        }
        self.calm();
        let sim = Arc::clone(&self.sim);
        let until = sim.look().now + PATIENCE;
        loop {
            let mut world = sim.pass(Duration::from_millis(200));
            self.tick(&mut world);
            let cluster = &world.cluster;
            if (0..cluster.inputs.len()).all(|p| cluster.committed[p] == Some(cluster.end(p)))
                && cluster.model.owed.is_empty()
                && amiss(cluster).is_none()
            {
                break;
            }
            if world.now > until {
                let (committed, ends) = (cluster.committed.clone(), (0..cluster.inputs.len()).map(|p| cluster.end(p)).collect::<Vec<_>>());
                let (owed, amiss) = (cluster.model.owed.clone(), (amiss(cluster), cluster.beside.clone()));
                let group = &world.cluster.group;
                let what = format!(
                    "records wait for good: {committed:?} of {ends:?}, owed {owed:?}, {amiss:?}\n{group:?}\n{:?}\n{:?}",
                    world.cluster.producers, world.actors
                );
                world.fail(what);
            }
        }
        self.sim.look().cluster.is_over = true;
        for instance in &self.instances {
            instance.shared.stop.store(true, Ordering::Relaxed);
            instance.stops.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
        }
    }

    fn tick(&mut self, world: &mut World) {
        if world.now >= self.ticked_at + TICK_EVERY {
            self.ticked_at = world.now;
            self.tell(world, "/sharecast", "control.tick", "");
        }
    }

    fn tell(&self, world: &mut World, source: &str, kind: &str, data: &str) -> i64 {
        let id = world.cluster.control.len();
        let event = format!(
            r#"{{"specversion":"1.0","id":"e{id}","source":"{source}","type":"sharecast.{kind}.v1","time":"2026-01-01T00:00:00Z","data":{{{data}}}}}"#
        );
        let wall = world.wall();
        world.cluster.append(wall, event)
    }

    fn send(&mut self, world: &mut World) {
        for _ in 0..world.dice.below(7) {
            if self.number == RECORDS {
                return;
            }
            self.number += 1;
            let (number, asset) = (self.number, world.dice.below(ASSETS as u64) as usize);
            let poison = world.dice.hits(20).then(|| world.dice.below(TARGETS as u64) as usize);
            let is_unreadable = world.dice.hits(30);
            let fill = if is_unreadable && world.dice.hits(300) { "x".repeat(LONGEST_LETTER) } else { String::new() };
            let topic = poison.map(topic_of).unwrap_or_default();
            let value = format!(r#"{{"n":{number},"poison":"{topic}","fill":"{fill}"}}"#);
            if self.streams > 1 && world.dice.hits(400) {
                self.send_document(world, number, asset, poison);
                continue;
            }
            let partition = world.dice.below(PARTITIONS as u64) as usize;
            let key = if is_unreadable { "nobody".to_owned() } else { format!("nw/a{asset}") };
            let value = Some(value);
            world.cluster.inputs[partition].push(Input { number, asset, key, is_unreadable, poison, value, is_gone: false });
        }
    }

    /// A document, or that there is none any more; and the log is compacted up to some offset.
    fn send_document(&self, world: &mut World, number: u64, asset: usize, poison: Option<usize>) {
        let place = PARTITIONS as usize + asset % HELD;
        let is_unreadable = world.dice.hits(50);
        let topic = poison.map(details_of).unwrap_or_default();
        let value = if is_unreadable { "{".to_owned() } else { format!(r#"{{"n":{number},"poison":"{topic}"}}"#) };
        let value = (is_unreadable || !world.dice.hits(150)).then_some(value);
        let key = format!("nw/a{asset}");
        let compacts = world.dice.hits(150);
        let input = &mut world.cluster.inputs[place];
        input.push(Input { number, asset, key, is_unreadable, poison, value, is_gone: false });
        let end = input.len();
        let until = if compacts { world.dice.below(end as u64 + 1) as usize } else { 0 };
        let input = &mut world.cluster.inputs[place];
        for at in 0..until {
            input[at].is_gone |= (at + 1..until).any(|newer| input[newer].asset == input[at].asset);
        }
    }

    /// Offers and accepts, or revokes; and transactions of others on the control topic.
    fn share(&mut self, world: &mut World) {
        if world.dice.hits(60) {
            for slot in &mut world.cluster.control {
                if matches!(slot, ControlSlot::Undecided) {
                    *slot = ControlSlot::Passed;
                }
            }
        }
        if world.dice.hits(40) {
            let slot = if world.dice.hits(200) { ControlSlot::Undecided } else { ControlSlot::Passed };
            world.cluster.control.push(slot);
        }
        if !world.dice.hits(250) {
            return;
        }
        let (asset, target) = (world.dice.below(ASSETS as u64) as usize, world.dice.below(TARGETS as u64) as usize);
        // Few keys, so that they pass from one share to another.
        let key = if self.streams > 1 && world.dice.hits(700) { format!("k{}", world.dice.below(2)) } else { format!("a{asset}") };
        let standing = world.cluster.model.standing(asset, target).map(|grant| grant.share.clone());
        let holder = world.cluster.model.holder(target, &key).map(|grant| grant.share.clone());
        if let Some(share) = standing {
            if world.dice.hits(250) {
                let is_paused = world.cluster.model.standing(asset, target).is_some_and(|grant| !grant.is_active_at(i64::MAX));
                let kind = if is_paused { "share.resumed" } else { "share.paused" };
                let offset = self.tell(world, "/tenants/nw", kind, &format!(r#""share":"{share}""#));
                let now = world.now;
                world.cluster.model.paused(&share, offset, now);
            } else if holder.is_none() && world.dice.hits(300) {
                let data = format!(r#""share":"{share}","target_asset":"{key}""#);
                let offset = self.tell(world, &format!("/tenants/t{target}"), "share.updated", &data);
                let now = world.now;
                world.cluster.model.moved(&share, key, offset, now);
            } else {
                self.revoke(world, &share);
            }
            return;
        }
        if let Some(share) = holder {
            self.revoke(world, &share);
            if world.dice.hits(500) {
                return;
            }
        }
        self.shares += 1;
        let share = format!("s{:04}", self.shares);
        let (telemetry, details) = if self.streams == 1 {
            (true, false)
        } else {
            [(true, true), (true, true), (false, true), (true, false)][world.dice.below(4) as usize]
        };
        let names: Vec<&str> =
            [(telemetry, "\"telemetry\""), (details, "\"details\"")].iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        let offer = format!(
            r#""share":"{share}","asset":"a{asset}","target_tenant":"t{target}","target_asset":"{key}","streams":[{}],"profile":"all","history":true"#,
            names.join(",")
        );
        self.tell(world, "/tenants/nw", "share.offered", &offer);
        let offset = self.tell(world, &format!("/tenants/t{target}"), "share.accepted", &format!(r#""share":"{share}""#));
        let now = world.now;
        world.cluster.model.accepted(Grant::new(share, (asset, target), key, (telemetry, details), offset), now);
    }

    fn revoke(&self, world: &mut World, share: &str) {
        let offset = self.tell(world, "/tenants/nw", "share.revoked", &format!(r#""share":"{share}""#));
        let now = world.now;
        world.cluster.model.revoked(share, offset, now);
    }

    fn disturb(&mut self, world: &mut World) {
        let Faults { rebalance, route, freeze, kill, stop, .. } = world.cluster.faults;
        if world.dice.hits(rebalance) {
            world.cluster.group.rebalance();
        }
        if world.dice.hits(route) {
            let target = world.dice.below(TARGETS as u64) as usize;
            let topic = if world.dice.hits(500) { topic_of(target) } else { details_of(target) };
            let (topic, until) = (topic, world.now + world.dice.millis(100, 8_000));
            if target == ONLY_AWAY || world.dice.hits(300) {
                world.cluster.topics.entry(topic).or_default().away_until = until;
            } else {
                world.cluster.model.troubled.insert(topic.clone());
                world.cluster.topics.entry(topic).or_default().broken_until = until;
            }
        }
        let (instance, number) = (world.dice.below(self.instances.len() as u64) as usize, world.dice.below(self.workers as u64) as usize);
        let first = 1 + instance * actors_of(self.workers);
        if world.dice.hits(freeze) {
            // The whole process, or a thread of it that gets no time.
            let span = if world.dice.hits(300) { world.dice.millis(10_000, 90_000) } else { world.dice.millis(200, 3_000) };
            let all = if world.dice.hits(500) { first..first + actors_of(self.workers) } else { first + 3 + number..first + 4 + number };
            let now = world.now;
            all.for_each(|actor| world.actors[actor].frozen = Some((now, now + span)));
        }
        if world.dice.hits(kill) {
            world.actors[first + 3 + number].is_killed = true;
        }
        if world.dice.hits(stop) {
            self.instances[instance].stops.lock().unwrap_or_else(PoisonError::into_inner)[number].store(true, Ordering::Relaxed);
        }
    }

    /// Nothing goes wrong any more.
    fn calm(&self) {
        let mut world = self.sim.look();
        let now = world.now;
        world.cluster.faults = Faults::default();
        for target in 0..TARGETS {
            for topic in [topic_of(target), details_of(target)] {
                world.cluster.topics.insert(topic, Topic { since: Some(now), ..Topic::default() });
            }
        }
        for slot in &mut world.cluster.control {
            if matches!(slot, ControlSlot::Undecided) {
                *slot = ControlSlot::Passed;
            }
        }
    }
}
