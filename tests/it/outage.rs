//! Kafka is away: engines wait for it, at their start too, and nobody takes the machine's CPU meanwhile, which the brokers need.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sharecast::kafka::{BulkWriter, EventWriter, KafkaProducer, KafkaSettings, MockKafka};
use sharecast::time::TimestampMs;
use sharecast::transport::{Output, TransactionalProducer};

use super::broker::{Cluster, PATIENCE};
use super::fixture::{World, noise};
use super::instance::{Instance, await_that};

/// How long a stopped broker is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// In so many parts, where it is looked at again and again.
const STOPS: u32 = 4;
/// What the client threads of one process may take of a core meanwhile.
const BUDGET: f64 = 0.3;

/// The CPU time that librdkafka's threads of a process have taken, those of brokers first among them.
fn client_time(process: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let time = |task: std::fs::DirEntry| {
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let schedule = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        let nanos = schedule.split(' ').next()?.parse().ok()?;
        name.starts_with("rdk:").then(|| Duration::from_nanos(nanos))
    };
    tasks.flatten().filter_map(time).sum()
}

/// The CPU time that the clients of a process take while the only broker is stopped for so long.
fn time_while_stopped(cluster: &Cluster, process: u32, wait: Duration) -> Duration {
    cluster.node("pause", 1);
    let before = client_time(process);
    std::thread::sleep(wait);
    let after = client_time(process);
    cluster.node("cont", 1);
    after.saturating_sub(before)
}

/// Of a core.
fn share(time: Duration) -> f64 {
    time.as_secs_f64() / LOOK.as_secs_f64()
}

/// Under a load of many small batches, and in the middle of a backlog, whose transactions are as large as they come.
#[test]
fn an_engine_does_not_spin_while_its_broker_is_stopped() {
    let cluster = Cluster::start(1);
    let world = World::new(&cluster, 2, "");
    world.make_control();
    world.partners("o", "t");
    world.share("o", "a", "t");
    let engine = world.start_ready("a");
    let tenant = world.tenant("o");
    let record = |n: u64| format!(r#"{{"tenant":"{tenant}","asset":"a","ts":1760000000,"n":{n},"x":"{}"}}"#, noise(n, 900));
    let mut fed = 0;
    let stop = AtomicBool::new(false);
    let trickle = std::thread::scope(|scope| {
        let feeding = scope.spawn(|| {
            let mut fed = 0;
            while !stop.load(Ordering::Relaxed) {
                world.feed(0, (fed..fed + 50).map(record));
                fed += 50;
            }
            fed
        });
        world.await_outputs("t", 500);
        let time = time_while_stopped(&cluster, engine.id(), LOOK);
        stop.store(true, Ordering::Relaxed);
        fed = feeding.join().unwrap();
        time
    });
    world.await_outputs("t", fed as usize);
    // A backlog, stopped in the middle again and again; short enough that no session ends.
    engine.signal("STOP");
    let backlog = (0..3).map(|round| world.feed(1, (fed + round * 10_000..fed + (round + 1) * 10_000).map(record)));
    backlog.for_each(drop);
    engine.signal("CONT");
    let mut backlog = Duration::ZERO;
    for look in 1..=STOPS {
        world.await_outputs("t", fed as usize + 2_000 * look as usize);
        backlog += time_while_stopped(&cluster, engine.id(), LOOK / STOPS);
    }
    let (trickle, backlog) = (share(trickle), share(backlog));
    println!("of a core: {trickle:.3} under load, {backlog:.3} in a backlog");
    assert!(trickle < BUDGET && backlog < BUDGET, "{trickle:.2} and {backlog:.2} of a core");
    engine.terminate();
}

/// What writes control events does not spin either: one at a time as ticks are written, and long lists of them.
#[test]
fn writers_of_control_events_do_not_spin_while_their_broker_is_stopped() {
    let cluster = Cluster::start(1);
    // Made before the broker is stopped: the client that makes them is not what is looked at.
    for (kind, topic) in ["single", "list"].map(|kind| (kind, cluster.topic("control", 1, &[]))) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "outage::writes_until_it_is_killed", "--ignored", "--nocapture"])
            .envs([("WRITES", kind), ("BOOTSTRAP", &cluster.bootstrap), ("TOPIC", &topic)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map(Killed)
            .unwrap();
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("has written")), "{kind}: it writes");
        let share = share(time_while_stopped(&cluster, child.0.id(), LOOK));
        println!("{kind}: {share:.3} of a core");
        assert!(share < BUDGET, "{kind}: {share:.2} of a core");
    }
}

/// A transaction may be larger than what librdkafka sends at once, so that some of it waits while the rest is in flight.
#[test]
fn a_large_transaction_does_not_spin_while_it_waits() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outage::writes_one_large_transaction", "--ignored", "--nocapture"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map(Killed)
        .unwrap();
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut shares = lines.filter_map(|line| line.split("of a core: ").nth(1)?.parse().ok()).take(1);
    let share: f64 = shares.next().expect("it says what it took");
    assert!(share < BUDGET, "{share:.2} of a core");
}

#[test]
#[ignore = "a process that the test above starts"]
fn writes_one_large_transaction() {
    let mock = MockKafka::start(1).unwrap();
    mock.create_topic("out", 1).unwrap();
    let mut producer = KafkaProducer::start(&mock.settings("g"), "t", &[], PATIENCE).unwrap();
    let value = noise(1, 900);
    let output = |key: &'static str| Output {
        topic: "out",
        partition: None,
        key: Some(key.as_bytes()),
        timestamp: TimestampMs(1),
        value: Some(value.as_bytes()),
        headers: &[],
    };
    producer.begin().unwrap();
    producer.put(output("first")).unwrap();
    producer.drain().unwrap();
    mock.answer_after(LOOK).unwrap();
    let process = std::process::id();
    let before = client_time(process);
    for _ in 0..20_000 {
        producer.put(output("k")).unwrap();
    }
    // All but the answers' way back is done by now or never.
    std::thread::scope(|scope| {
        scope.spawn(|| drop(producer.drain()));
        std::thread::sleep(Duration::from_millis(500));
        let at_rest = client_time(process);
        std::thread::sleep(Duration::from_secs(3));
        let share = (client_time(process).saturating_sub(at_rest)).as_secs_f64() / 3.0;
        println!("sent with {:?}; of a core: {share:.3}", at_rest.saturating_sub(before));
        std::process::exit(0);
    });
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
#[ignore = "a process that the test above starts"]
fn writes_until_it_is_killed() {
    let name = |name: &str| std::env::var(name).unwrap();
    let settings = KafkaSettings { bootstrap: name("BOOTSTRAP"), group: "tests".to_owned(), ..KafkaSettings::default() };
    let event = noise(1, 400).into_bytes();
    if name("WRITES") == "single" {
        let mut writer = EventWriter::open(&settings, &name("TOPIC"), PATIENCE).unwrap();
        loop {
            writer.append(&event).unwrap();
            println!("has written");
        }
    }
    let mut writer = BulkWriter::open(&settings, &name("TOPIC"), PATIENCE).unwrap();
    let events = vec![event; 10_000];
    loop {
        writer.append_all(&events).unwrap();
        println!("has written");
    }
}

/// As many as are wanted are started while nobody answers; they live, say what they wait for, and can be ended at once.
#[test]
fn an_engine_that_starts_while_kafka_is_down_waits_for_it() {
    let cluster = Cluster::start(1);
    let world = World::new(&cluster, 1, "");
    world.make_control();
    world.partners("o", "t");
    world.share("o", "a", "t");
    world.feed(0, (0..10).map(|n| world.record("o", "a", n)));
    cluster.node("kill", 1);
    let waits = |name: &str| {
        let instance = world.start(name);
        await_that("it lives", || matches!(instance.get("/livez"), Some((200, _))));
        let said = instance.await_not_ready("control_caught_up failed: waiting for Kafka: ");
        assert!(said.contains(&cluster.bootstrap), "{said}");
        instance
    };
    for signal in ["TERM", "INT"] {
        let mut instance = waits("ends");
        instance.signal(signal);
        assert_eq!(instance.await_exit(), 0, "{signal}: {}", instance.log());
    }
    let instance = waits("a");
    cluster.node("start-node", 1);
    instance.await_ready();
    assert_eq!(world.await_outputs("t", 10).len(), 10);
    // A running one too.
    let mut instance: Instance = instance;
    instance.signal("INT");
    assert_eq!(instance.await_exit(), 0, "{}", instance.log());
    assert!(instance.log().contains("the batch in hand is finished first"), "{}", instance.log());
}

/// However long a transaction may take: what waits for the cluster is left behind, and the input still has it.
#[test]
fn an_engine_whose_cluster_is_gone_ends_when_it_is_told_to() {
    let cluster = Cluster::start(1);
    let world = World::new(&cluster, 1, "");
    world.make_control();
    world.partners("o", "t");
    world.share("o", "a", "t");
    let config = world.config("a");
    let text = std::fs::read_to_string(&config).unwrap();
    let text =
        text.replace("session.timeout.ms: 10000, max.poll.interval.ms: 60000", "session.timeout.ms: 850000, max.poll.interval.ms: 900000");
    let text = text.replace("transaction.timeout.ms: 8000", "transaction.timeout.ms: 800000")
        + "fence: { max_tick_age: 900s }\nbatch: { max_records: 100 }\n";
    assert!(text.contains("850000") && text.contains("800000"), "{text}");
    std::fs::write(&config, text).unwrap();
    let mut engine = Instance::start(&config);
    engine.await_ready();
    // A backlog of many transactions, so that one is open when the broker goes.
    engine.signal("STOP");
    (0..6).for_each(|round| world.feed(0, (round * 10_000..(round + 1) * 10_000).map(|n| world.record("o", "a", n))));
    engine.signal("CONT");
    world.await_outputs("t", 2_000);
    cluster.node("kill", 1);
    engine.signal("TERM");
    assert_eq!(engine.await_exit(), 0, "{}", engine.log());
    let left = ["left while the cluster does not answer", "left without committing the batch in hand"];
    assert!(left.iter().any(|line| engine.log().contains(line)), "it was idle: {}", engine.log());
}
