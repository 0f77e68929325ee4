//! Killed and back under the same name: whoever starts takes away what its predecessor left, and nobody waits for a session to end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer};
use sharecast::clock::{Clock, SystemClock};
use sharecast::kafka::EventWriter;

use super::broker::{Cluster, PATIENCE, shared};
use super::fixture::{World, feeder, number_of};
use super::instance::{Instance, await_that};

pub(super) const PARTITIONS: u64 = 4;
pub(super) const TARGET: &str = "target";
/// Says that it was found out.
const TAKEN: &str = "it is fenced, and its members are out";

/// A world whose sessions outlast every patience: a member that is dead and not taken out holds its partitions until the test fails.
fn world(cluster: &'static Cluster, workers: usize) -> World<'static> {
    let mut world = World::new(cluster, PARTITIONS as i32, "");
    set_workers(&mut world, workers, "native");
    world.make_control();
    world.make_output(TARGET, &[]);
    world.partners("o", TARGET);
    world.share("o", "a", TARGET);
    world
}

fn set_workers(world: &mut World<'_>, workers: usize, data_plane: &str) {
    let more = format!(
        "workers: {workers}\nfence: {{ max_tick_age: 1000s }}\nkafka:\n  bootstrap: \"{}\"\n  group: group-{}\n  instance: {INSTANCE}\n  data_plane: {data_plane}\n  \
         consumer: {{ session.timeout.ms: 900000, max.poll.interval.ms: 1000000 }}\n  producer: {{ transaction.timeout.ms: 800000 }}\n",
        world.cluster.bootstrap, world.name
    );
    world.set_more(&more);
}

pub(super) const INSTANCE: &str = "the-instance";

fn start(world: &World<'_>, name: &str) -> Instance {
    let config = world.config(name);
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap().replace(INSTANCE, name)).unwrap();
    Instance::start(&config)
}

fn feed(world: &World<'_>, next: &AtomicU64, stop: &AtomicBool) {
    let producer = feeder(world.cluster);
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..PARTITIONS * 5 {
            let number = next.load(Ordering::Relaxed);
            let value = world.record("o", "a", number);
            let record = BaseRecord::to(&world.input).partition((number % PARTITIONS) as i32).key("k").payload(&value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
            next.fetch_add(1, Ordering::Relaxed);
        }
        producer.flush(PATIENCE).unwrap();
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Raise<'s>(&'s AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs `story` while records flow; then all of them are out, each once and in order.
pub(super) fn while_records_flow<T>(world: &World<'_>, story: impl FnOnce(&dyn Fn()) -> T) -> T {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let last = std::thread::scope(|scope| {
        let _end = Raise(&stop);
        scope.spawn(|| feed(world, &next, &stop));
        let flows = || drop(world.await_outputs(TARGET, next.load(Ordering::Relaxed) as usize + 200));
        story(&flows)
    });
    let fed = next.into_inner();
    let seen = world.await_outputs(TARGET, fed as usize);
    for partition in 0..PARTITIONS {
        let numbers = seen.iter().map(|record| number_of(record.value.as_ref().unwrap())).filter(|number| number % PARTITIONS == partition);
        let wanted: Vec<u64> = (0..fed).filter(|number| number % PARTITIONS == partition).collect();
        assert!(numbers.eq(wanted), "lost, twice, or out of order in partition {partition}");
    }
    last
}

#[test]
fn a_killed_instance_is_back_at_once_under_its_name() {
    let cluster = shared();
    let world = world(cluster, 2);
    let (a, b) = while_records_flow(&world, |flows| {
        let mut a = start(&world, "a");
        a.await_ready();
        let b = start(&world, "b");
        b.await_ready();
        flows();
        for kill in 1..=3 {
            a.kill();
            let killed = SystemClock.boot();
            a = start(&world, "a");
            let line = a.await_line(&[TAKEN]);
            // All partitions: the neighbour has some, and what the dead one had is somebody's again.
            flows();
            println!("kill {kill}: all records flow after {} ms; {line}", SystemClock.boot().since(killed).as_millis());
            a.await_ready();
        }
        (a, b)
    });
    // Members that have left are nobody's business.
    a.terminate();
    let again = start(&world, "a");
    again.await_ready();
    assert!(!again.log().contains(TAKEN), "{}", again.log());
    [again, b].into_iter().for_each(Instance::terminate);
}

#[test]
fn a_namesake_that_lives_is_fenced_and_ends_by_itself() {
    let cluster = shared();
    let world = world(cluster, 1);
    let second = while_records_flow(&world, |flows| {
        let mut first = start(&world, "a");
        first.await_ready();
        flows();
        let second = start(&world, "a");
        second.await_line(&[TAKEN]);
        assert_eq!(first.await_exit(), 78, "{}", first.log());
        first.await_line(&["fenced twice within a minute", "give each its own name"]);
        flows();
        second
    });
    second.terminate();
}

/// Its note says neither how many workers it had nor who its status member was; and here it had more workers than whoever follows.
#[test]
fn what_the_version_before_left_is_taken_away_too() {
    let cluster = shared();
    let mut world = world(cluster, 3);
    // Another one writes the status topics: of the dead one's membership there nothing is known.
    let key = format!("epoch/group-{}/a", world.name);
    let note = |world: &World<'_>| {
        let seen = world.cluster.read("sharecast.state");
        seen.into_iter().rfind(|record| record.key.as_ref() == Some(&key)).and_then(|record| record.value)
    };
    let b = start(&world, "b");
    b.await_ready();
    b.await_line(&["this instance writes the status topics"]);
    let a = start(&world, "a");
    a.await_ready();
    await_that("the note names three members", || {
        note(&world).is_some_and(|note| {
            note.contains(r#""workers":3"#) && note.contains(r#""status_member":""#) && note.matches("sharecast-").count() == 4
        })
    });
    a.kill();
    let whole = note(&world).unwrap();
    let before = format!("{}}}", whole.split(r#","workers":"#).next().unwrap());
    let mut writer = EventWriter::open(&cluster.settings("tests"), "sharecast.state", PATIENCE).unwrap();
    writer.append_record(Some(key.as_bytes()), Some(before.as_bytes()), &[]).unwrap();
    set_workers(&mut world, 1, "auto");
    let a = while_records_flow(&world, |flows| {
        let a = start(&world, "a");
        a.await_line(&[TAKEN, "members=3"]);
        flows();
        a
    });
    [a, b].into_iter().for_each(Instance::terminate);
}

/// As it was: the group finds out by itself.
#[test]
fn with_librdkafka_the_session_is_waited_for() {
    let cluster = shared();
    let mut world = world(cluster, 1);
    let more = |world: &mut World<'_>| {
        let more = format!(
            "kafka:\n  bootstrap: \"{}\"\n  group: group-{}\n  instance: {INSTANCE}\n  data_plane: librdkafka\n  \
             consumer: {{ session.timeout.ms: 6000, max.poll.interval.ms: 60000 }}\n  producer: {{ transaction.timeout.ms: 5000 }}\n",
            world.cluster.bootstrap, world.name
        );
        world.set_more(&more);
    };
    more(&mut world);
    let last = while_records_flow(&world, |flows| {
        let a = start(&world, "a");
        a.await_ready();
        flows();
        a.kill();
        let a = start(&world, "a");
        flows();
        a
    });
    assert!(!last.log().contains(TAKEN));
    last.terminate();
}
