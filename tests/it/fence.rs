//! What closes the fence and what opens it again (docs/rules/fence.md).

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::broker::{PATIENCE, Seen, shared, unique};
use super::fixture::{World, epoch_of, number_of};
use super::instance::{Instance, await_that, command};

/// Somebody else who writes to the control topic in transactions, which is wrong.
fn stranger(world: &World<'_>) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.cluster.bootstrap).set("transactional.id", unique("stranger"));
    // Longer than any of these tests has one open.
    let producer: BaseProducer = config.set("transaction.timeout.ms", "600000").create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn tick(world: &World<'_>, producer: &BaseProducer) {
    let id = unique("tick");
    let event = format!(r#"{{"specversion":"1.0","id":"{id}","source":"/operator","type":"sharecast.control.tick.v1"}}"#);
    producer.send(BaseRecord::<(), _>::to(&world.control).payload(&event)).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
}

fn two_shares<'c>() -> (World<'c>, String) {
    let world = World::new(shared(), 2, "");
    world.make_control();
    for target in ["t", "u"] {
        world.partners("o", target);
    }
    let share = world.share("o", "a", "t");
    world.share("o", "a", "u");
    (world, share)
}

/// Numbers with their epochs, in order of the numbers.
fn decided(seen: &[Seen]) -> Vec<(u64, i64)> {
    let mut decided: Vec<_> = seen.iter().map(|record| record.value.as_deref().unwrap()).map(|v| (number_of(v), epoch_of(v))).collect();
    decided.sort_unstable();
    decided
}

fn records(world: &World<'_>, numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|n| world.record("o", "a", n)).collect()
}

#[test]
fn transaction_markers_at_the_end_of_the_control_topic_are_passed() {
    let (world, _) = two_shares();
    let stranger = stranger(&world);
    for is_committed in [true, false] {
        stranger.begin_transaction().unwrap();
        tick(&world, &stranger);
        if is_committed { stranger.commit_transaction(PATIENCE) } else { stranger.abort_transaction(PATIENCE) }.unwrap();
    }
    let engine = world.start_ready("a");
    world.feed(0, records(&world, 0..10));
    assert_eq!(world.await_outputs("t", 10).len(), 10);
    // And while it runs.
    stranger.begin_transaction().unwrap();
    tick(&world, &stranger);
    stranger.abort_transaction(PATIENCE).unwrap();
    world.feed(0, records(&world, 10..20));
    assert_eq!(world.await_outputs("t", 20).len(), 20);
    engine.terminate();
}

#[test]
fn nothing_is_released_while_a_strangers_transaction_hides_a_revoke() {
    let (world, share) = two_shares();
    let (a, b) = (world.start_ready("a"), world.start_ready("b"));
    world.feed(0, records(&world, 0..10));
    assert_eq!(world.await_outputs("t", 10).len(), 10);
    let stranger = stranger(&world);
    stranger.begin_transaction().unwrap();
    tick(&world, &stranger);
    let revoked = world.event(&format!("/tenants/{}", world.tenant("o")), "share.revoked", &format!(r#"{{"share":"{share}"}}"#));
    for instance in [&a, &b] {
        instance.await_not_ready("control_open_transaction");
    }
    // What comes now is after the bound: it may not be decided by the view that does not have the revoke.
    world.feed(0, records(&world, 10..30));
    world.feed(1, records(&world, 30..50));
    // Whichever has the partitions by now.
    let waits = |instance: &Instance| {
        instance.log().lines().any(|line| line.contains("records wait in the input") && line.contains("control_open_transaction"))
    };
    await_that("it is said that records wait", || waits(&a) || waits(&b));
    stranger.abort_transaction(PATIENCE).unwrap();
    let seen = decided(&world.await_outputs("u", 50));
    assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    assert!(seen.iter().all(|(n, epoch)| *n < 10 || *epoch >= revoked), "{seen:?}");
    assert_eq!(decided(&world.await_outputs("t", 10)).len(), 10, "nothing of the revoked share");
    a.terminate();
    b.terminate();
}

#[test]
fn what_cannot_be_understood_closes_the_fence_on_every_instance_until_it_is_skipped() {
    let (world, _) = two_shares();
    let (a, b) = (world.start_ready("a"), world.start_ready("b"));
    world.feed(0, records(&world, 0..10));
    assert_eq!(world.await_outputs("t", 10).len(), 10);
    let garbage = world.control(b"\x00 no event");
    let later = world.control(br#"{"specversion":"1.0","id":"x","source":"/operator","type":"sharecast.share.revoked.v9","data":{}}"#);
    let c = world.start("c");
    for instance in [&a, &b, &c] {
        let said = instance.await_not_ready("control_unreadable");
        assert!(said.contains(&format!("control skip {garbage} ")), "{said}");
        instance.await_line(&["cannot be understood", &format!("offset={garbage}")]);
    }
    world.feed(0, records(&world, 10..40));
    let config = world.config("cli");
    let skip = |offset: i64| {
        let skipped = command(&config, &["control", "skip", &offset.to_string(), "--note", "seen"]);
        assert!(skipped.status.success(), "{skipped:?}");
    };
    skip(garbage);
    // The other one still waits.
    for instance in [&a, &b, &c] {
        assert!(instance.await_not_ready(&format!("control skip {later} ")).contains("control_unreadable"));
    }
    skip(later);
    for instance in [&a, &b, &c] {
        instance.await_ready();
    }
    let seen = decided(&world.await_outputs("t", 40));
    assert_eq!(seen.iter().map(|(n, _)| *n).collect::<Vec<_>>(), (0..40).collect::<Vec<_>>());
    assert!(seen.iter().all(|(n, epoch)| *n < 10 || *epoch > later), "{seen:?}");
    [a, b, c].into_iter().for_each(Instance::terminate);
}

#[test]
fn a_control_topic_that_is_made_again_ends_the_engine() {
    let (world, _) = two_shares();
    let mut engine = world.start_ready("a");
    world.feed(0, records(&world, 0..10));
    assert_eq!(world.await_outputs("t", 10).len(), 10);
    world.cluster.admin().delete(&[&world.control]).unwrap();
    world.make_control();
    world.feed(0, records(&world, 10..20));
    assert_eq!(engine.await_exit(), 78, "{}", engine.log());
    assert!(
        world.await_outputs("t", 10).iter().all(|record| epoch_of(record.value.as_deref().unwrap()) >= 3),
        "nothing by another log's graph"
    );
}

#[test]
fn a_batch_that_was_held_is_decided_again() {
    let (world, share) = two_shares();
    let engine = world.start_ready("a");
    let source = format!("/tenants/{}", world.tenant("o"));
    let change = |kind: &str| world.event(&source, kind, &format!(r#"{{"share":"{share}"}}"#));
    let (mut next, mut pauses) = (0, Vec::new());
    for _ in 0..3 {
        world.feed(0, records(&world, next..next + 2_000));
        next += 2_000;
        engine.signal("STOP");
        let paused = change("share.paused");
        // Longer than a view may be old, shorter than the transaction may last.
        std::thread::sleep(Duration::from_millis(1_500));
        engine.signal("CONT");
        assert_eq!(world.await_outputs("u", next as usize).len(), next as usize);
        pauses.push(paused..change("share.resumed"));
    }
    let last = world.record("o", "a", next);
    world.feed(0, [last]);
    let witness = decided(&world.await_outputs("u", next as usize + 1));
    engine.terminate();
    let expected: Vec<_> = witness.into_iter().filter(|(_, epoch)| !pauses.iter().any(|pause| pause.contains(epoch))).collect();
    assert_eq!(decided(&world.await_outputs("t", expected.len())), expected);
}

/// Somebody else holds the election and writes nothing: the fences stay open by the engines' own ticks.
#[test]
fn ticks_come_from_the_engines_where_there_is_no_status_writer() {
    let mut world = World::new(shared(), 1, "");
    world.set_more("fence: { max_tick_age: 12s }\n");
    world.make_control();
    world.partners("o", "t");
    world.share("o", "a", "t");
    let group = format!("group-{}-status", world.name);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.cluster.bootstrap).set("group.id", &group);
    config.set("partition.assignment.strategy", "cooperative-sticky").set("session.timeout.ms", "240000");
    let holder: BaseConsumer = config.create().unwrap();
    holder.subscribe(&[&world.control]).unwrap();
    await_that("the election is held", || {
        holder.poll(Duration::from_millis(20));
        holder.assignment().unwrap().count() == 1
    });
    let (a, b) = (world.start_ready("a"), world.start_ready("b"));
    let ticks = || {
        let is_tick = |event: &&String| event.contains("sharecast.control.tick.v1");
        world.cluster.values(&world.control).iter().filter(is_tick).count()
    };
    // Each writes one at its start; the others come because nobody else writes them.
    await_that("ticks without a status writer", || {
        holder.poll(Duration::from_millis(20));
        ticks() >= 8
    });
    assert_eq!(holder.assignment().unwrap().count(), 1, "nobody else was elected");
    for engine in [&a, &b] {
        assert!(!engine.log().contains("the newest tick is"), "the fence closed for want of ticks: {}", engine.log());
        engine.await_ready();
    }
    world.feed(0, records(&world, 0..10));
    assert_eq!(world.await_outputs("t", 10).len(), 10);
    a.terminate();
    b.terminate();
}
