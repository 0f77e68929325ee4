//! Faults by chance, one after the other, on three nodes: what one story tells of, many tell otherwise. Each seed is a story.

use std::process::Command;
use std::sync::atomic::AtomicU64;

use sharecast::kafka::TopicSpec;

use super::broker::Cluster;
use super::exactly_once::{ASSETS, Flow, PARTITIONS, WITNESS, asset, every_record_once, numbers_once};
use super::fixture::World;
use super::instance::{Instance, await_that};

/// Its topic is deleted and made again.
const GONE: &str = "gone";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// `kill -9`, and back under its name.
    KilledAndBack,
    /// `kill -9`, and another one in its place.
    KilledAndReplaced,
    /// Stopped until others have its partitions, then awake.
    Stopped,
    /// In order, and back.
    Ended,
    BrokerKilled,
    BrokerStopped,
    BrokerPaused,
    /// All brokers one after the other, in order, as for a new version.
    BrokersRolled,
    LeadersMoved,
    TopicMadeAgain,
}

const FAULTS: [Fault; 10] = [
    Fault::KilledAndBack,
    Fault::KilledAndReplaced,
    Fault::Stopped,
    Fault::Ended,
    Fault::BrokerKilled,
    Fault::BrokerStopped,
    Fault::BrokerPaused,
    Fault::BrokersRolled,
    Fault::LeadersMoved,
    Fault::TopicMadeAgain,
];

struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
#[ignore = "takes minutes: scripts/test --long runs it"]
fn every_record_once_in_stories_of_chance() {
    let (first, seeds, faults) = (number("SHARECAST_SEED", 1), number("SHARECAST_SEEDS", 3), number("SHARECAST_FAULTS", 14));
    let cluster = Cluster::start(3);
    for seed in first..first + seeds {
        let world = World::new(&cluster, PARTITIONS, "");
        let gone = world.output(GONE);
        every_record_once(&world, |world, next| {
            world.partners("o", GONE);
            for number in 0..ASSETS {
                world.share_with("o", &asset(number), GONE, "");
            }
            story(world, next, seed, faults as usize)
        });
        // What was written before is gone with the topic; of what came since nothing is there twice, or out of order.
        let seen = cluster.read(&gone);
        assert!(!seen.is_empty(), "{gone} is written again");
        numbers_once(&seen, GONE);
    }
}

fn story(world: &World<'_>, next: &AtomicU64, seed: u64, faults: usize) -> Instance {
    let mut chance = Chance(seed);
    let mut names = 0;
    let mut another = move || {
        names += 1;
        format!("i{names}")
    };
    let start = |name: String| (world.start_ready(&name), name);
    let mut running: Vec<(Instance, String)> = vec![start(another()), start(another())];
    running[0].0.await_line(&["transactions are written"]);
    assert!(!world.await_outputs(WITNESS, 1).is_empty());
    let mut flow = Flow::of(world, next);
    // Each fault at least once in so many, in an order of chance.
    let mut due = Vec::new();
    for step in 0..faults {
        flow.goes_on();
        if due.is_empty() {
            due = FAULTS.to_vec();
        }
        let fault = due.swap_remove(chance.below(due.len()));
        let (whose, node) = (chance.below(running.len()), 1 + chance.below(3) as u16);
        println!("seed {seed}, step {step}: {fault:?} of {} or node {node}", running[whose].1);
        match fault {
            Fault::KilledAndBack | Fault::KilledAndReplaced | Fault::Ended => {
                let (instance, name) = running.remove(whose);
                if fault == Fault::Ended {
                    instance.terminate()
                } else {
                    instance.kill()
                }
                running.push(start(if fault == Fault::KilledAndReplaced { another() } else { name }));
            }
            Fault::Stopped => {
                running[whose].0.signal("STOP");
                flow.goes_on();
                running[whose].0.signal("CONT");
            }
            Fault::BrokerKilled | Fault::BrokerStopped => {
                world.cluster.node(if fault == Fault::BrokerKilled { "kill" } else { "stop-node" }, node);
                flow.goes_on();
                world.cluster.node("start-node", node);
            }
            Fault::BrokerPaused => {
                world.cluster.node("pause", node);
                flow.goes_on();
                world.cluster.node("cont", node);
            }
            Fault::BrokersRolled => {
                for node in 1..=3 {
                    world.cluster.node("stop-node", node);
                    world.cluster.node("start-node", node);
                    flow.goes_on();
                }
            }
            Fault::LeadersMoved => move_leaders(world, 1 + chance.below(2)),
            Fault::TopicMadeAgain => make_again(world),
        }
    }
    flow.goes_on();
    let last = running.pop().expect("two of them").0;
    running.into_iter().for_each(|(instance, _)| instance.terminate());
    flow.goes_on();
    last
}

/// Another node of each partition's replicas becomes its first one, and so its leader.
fn move_leaders(world: &World<'_>, by: usize) {
    let topics =
        [&world.input, &world.control, &world.output(WITNESS), &"__consumer_offsets".to_owned(), &"__transaction_state".to_owned()];
    let mut partitions = Vec::new();
    for topic in topics {
        let count = world.cluster.admin().topic(topic).unwrap().map_or(0, |shape| shape.partitions);
        for partition in 0..count {
            let order: Vec<String> = (0..3).map(|place| (1 + (partition as usize + by + place) % 3).to_string()).collect();
            partitions.push(format!(r#"{{"topic":"{topic}","partition":{partition},"replicas":[{}]}}"#, order.join(",")));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("plan.json");
    std::fs::write(&plan, format!(r#"{{"version":1,"partitions":[{}]}}"#, partitions.join(","))).unwrap();
    let tool = |class: &str, arguments: &[&str]| {
        let done = Command::new("java")
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", &Cluster::jars(), class])
            .args(["--bootstrap-server", &world.cluster.bootstrap])
            .args(arguments)
            .output()
            .unwrap();
        (done.status.success(), format!("{done:?}"))
    };
    // A node that has just come back may not have all yet.
    let plan = plan.to_str().unwrap();
    await_that("leaders are moved", || {
        tool("org.apache.kafka.tools.reassign.ReassignPartitionsCommand", &["--execute", "--additional", "--reassignment-json-file", plan])
            .0
    });
    // Those that lead already are told of as errors.
    tool("org.apache.kafka.tools.LeaderElectionCommand", &["--election-type", "preferred", "--all-topic-partitions"]);
}

fn make_again(world: &World<'_>) {
    let (admin, topic) = (world.cluster.admin(), world.output(GONE));
    let spec = TopicSpec { name: topic.clone(), partitions: 1, replication: -1, config: Default::default() };
    // Whoever writes to it may be quicker to make it again.
    admin.delete(&[&topic]).unwrap();
    await_that("the topic is made again", || {
        admin.topic(&topic).is_ok_and(|found| found.is_some()) || admin.create(std::slice::from_ref(&spec)).is_ok()
    });
}
