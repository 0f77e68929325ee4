//! The engine's workers, control planes and fences on a simulated cluster: exactly once, in order, and never by a view
//! that is too old, whatever goes wrong (docs/rules/release.md, docs/rules/outputs.md, docs/rules/exactly-once.md, docs/rules/fence.md).
//!
//! `SHARECAST_SEED=<n>` runs one seed again and shows the engine's log, `SHARECAST_RUNS=<n>` so many from the first on.

mod at_least_once;
mod clients;
mod cluster;
mod consumer;
mod group;
mod instance;
mod model;
mod outside;
mod producer;
mod reading;
mod scheduler;
mod standing;

use std::sync::Arc;
use std::time::Duration;

use sharecast::config::Delivery;
use sharecast::id::StreamIndex;

use cluster::{Cluster, Faults, Topic};
use instance::{Instance, actors_of};
use model::topic_of;
use outside::Outside;
use reading::keep_gates;
use scheduler::{Dice, Simulation};
use standing::details_of;

const PARTITIONS: i32 = 4;
const ASSETS: usize = 4;
const TARGETS: usize = 4;
/// This target's topic is there from the beginning and at times without a leader, nothing worse: none of its records may be set aside.
const ONLY_AWAY: usize = 0;
/// Input records of one run.
const RECORDS: u64 = 350;
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
    outrun: u64,
    misled: u64,
    repeated: u64,
}

#[test]
fn whatever_goes_wrong_each_record_goes_out_once_in_order_and_by_a_fresh_view() {
    let mut sum = Seen::default();
    let seeds = seeds();
    for &seed in &seeds {
        let seen = run(seed, Delivery::ExactlyOnce).unwrap_or_else(|what| panic!("{what}\nrun it again with SHARECAST_SEED={seed}"));
        sum = sum.and(&seen);
    }
    println!("{sum:?}");
    let is_much = sum.misled > 100
        && sum.released > 100
        && sum.noted > 100
        && sum.documents > 100
        && sum.tombstones > 100
        && sum.passed > 10
        && sum.outrun > 10;
    assert!(is_much || seeds.len() < 100, "the runs did next to nothing: {sum:?}");
}

/// Upsert streams have workers of their own then, which are those of the other test.
#[test]
fn without_transactions_nothing_is_lost_and_what_comes_first_comes_in_order_and_by_a_fresh_view() {
    let mut sum = Seen::default();
    let seeds = seeds();
    for &seed in &seeds {
        let seen = run(seed, Delivery::AtLeastOnce).unwrap_or_else(|what| panic!("{what}\nrun it again with SHARECAST_SEED={seed}"));
        sum = sum.and(&seen);
    }
    println!("{sum:?}");
    let is_much = sum.misled > 100 && sum.released > 100 && sum.noted > 100 && sum.repeated > 100;
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
            outrun: self.outrun + other.outrun,
            misled: self.misled + other.misled,
            repeated: self.repeated + other.repeated,
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
fn run(seed: u64, delivery: Delivery) -> Result<Seen, String> {
    let mut dice = Dice::new(seed.wrapping_add(1 << 40));
    let streams = if dice.hits(500) && delivery == Delivery::ExactlyOnce { 2 } else { 1 };
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
    cluster.model.is_at_least_once = delivery == Delivery::AtLeastOnce;
    let waits = cluster.model.waits;
    // Where a record may come again, what a sample lets pass is not known from outside.
    cluster.model.samples.is_on = dice.hits(500) && delivery == Delivery::ExactlyOnce;
    let (instances, workers) = (1 + dice.below(2) as usize, 1 + dice.below(2) as usize);
    let sim = Simulation::new(seed, 1 + instances * actors_of(workers), cluster);
    let instances: Vec<Arc<Instance>> = (0..instances)
        .map(|number| Arc::new(Instance::new(&sim, number, (workers, streams), (waits, is_fenced, delivery), &mut dice)))
        .collect();
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
            outrun: world.cluster.outrun,
            misled: world.cluster.misled,
            repeated: model.appeared.repeated,
        }),
    }
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
