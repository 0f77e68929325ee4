//! Partitions change hands while answers of the brokers are late, missing, repeated or out of order: no record is passed over and
//! none comes twice.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset as Place, TopicPartitionList};
use sharecast::kafka::CommittedOffsets;

use super::broker::{Cluster, PATIENCE, Seen};
use super::fixture::{World, feeder, number_of};
use super::instance::{Instance, await_that};
use super::proxy::{Fate, Proxy, Rule, api};

const PARTITIONS: i32 = 2;
const TARGET: &str = "target";

/// One node behind a proxy, for all tests here.
fn proxied() -> &'static (Proxy, Cluster) {
    static PROXIED: OnceLock<(Proxy, Cluster)> = OnceLock::new();
    PROXIED.get_or_init(Cluster::start_proxied)
}

/// In the configuration where the name of an instance belongs.
const INSTANCE: &str = "the-instance";

/// Starts an instance under this name, and waits until it is ready.
fn start_ready(world: &World<'_>, name: &str) -> Instance {
    let config = world.config(name);
    std::fs::write(&config, std::fs::read_to_string(&config).unwrap().replace(INSTANCE, name)).unwrap();
    let instance = Instance::start(&config);
    instance.await_ready();
    instance
}

/// Requests of instances of this world have this in their header.
fn client_of(world: &World<'_>) -> String {
    format!("client-{}", world.name)
}

/// A world whose instances name themselves, and what else is laid over their clients' settings.
fn world(cluster: &'static Cluster, client: &str) -> World<'static> {
    wide_world(cluster, PARTITIONS, client)
}

fn wide_world(cluster: &'static Cluster, partitions: i32, client: &str) -> World<'static> {
    let mut world = World::new(cluster, partitions, "");
    let more = format!(
        "kafka:\n  bootstrap: \"{}\"\n  group: group-{}\n  instance: {INSTANCE}\n  client: {{ client.id: {}{client} }}\n  \
         consumer: {{ session.timeout.ms: 10000, max.poll.interval.ms: 60000 }}\n  producer: {{ transaction.timeout.ms: 8000 }}\n",
        cluster.bootstrap,
        world.name,
        client_of(&world)
    );
    world.set_more(&more);
    world.make_control();
    world.make_output(TARGET, &[]);
    world.partners("o", TARGET);
    world.share("o", "a", TARGET);
    world
}

/// Some two hundred numbered records a second, each batch acknowledged before the next.
fn feed(world: &World<'_>, next: &AtomicU64, stop: &AtomicBool) {
    let producer = feeder(world.cluster);
    while !stop.load(Ordering::Relaxed) {
        send(world, &producer, next, 20);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn send(world: &World<'_>, producer: &BaseProducer, next: &AtomicU64, count: u64) {
    for _ in 0..count {
        let number = next.load(Ordering::Relaxed);
        let value = world.record("o", "a", number);
        let record = BaseRecord::to(&world.input).partition((number % PARTITIONS as u64) as i32).key("k").payload(&value);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        next.fetch_add(1, Ordering::Relaxed);
    }
    producer.flush(PATIENCE).unwrap();
}

/// Waits until the group has committed all that was fed by now: a record that was passed over does not hold that up.
fn await_committed(world: &World<'_>, next: &AtomicU64) {
    let until = next.load(Ordering::Relaxed);
    let committed = CommittedOffsets::as_they_stand(&world.cluster.settings("tests"), &format!("group-{}", world.name)).unwrap();
    let partitions: Vec<(&str, i32)> = (0..PARTITIONS).map(|partition| (world.input.as_str(), partition)).collect();
    await_that(&format!("{until} records are committed"), || {
        committed.ask(&partitions, PATIENCE).is_ok_and(|answers| {
            let sum: i64 = answers.iter().flatten().map(|committed| committed.offset.0).sum();
            sum as u64 >= until
        })
    });
}

/// How an instance follows another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Follows {
    /// After the one before has ended.
    After,
    /// While it still runs, so that partitions change hands twice.
    Beside,
}

/// Instances follow each other while records flow, and what comes out is what went in, in order, each record once.
fn nothing_is_passed_over(world: &World<'_>, changes: usize, follows: Follows) {
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let last = std::thread::scope(|scope| {
        scope.spawn(|| feed(world, &next, &stop));
        // A panic here must end the feeder, or the scope waits for it.
        let _stop = StopOnDrop(&stop);
        let mut instance = start_ready(world, "i0");
        for number in 1..=changes {
            await_committed(world, &next);
            let name = format!("i{number}");
            instance = match follows {
                Follows::Beside => {
                    let another = start_ready(world, &name);
                    finish(instance);
                    another
                }
                Follows::After => {
                    finish(instance);
                    start_ready(world, &name)
                }
            };
        }
        await_committed(world, &next);
        instance
    });
    await_committed(world, &next);
    finish(last);
    in_order(&world.cluster.read(&world.output(TARGET)), next.load(Ordering::Relaxed));
}

struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends it in order. What the check of positions mends must not be there to mend.
fn finish(instance: Instance) {
    let log = instance.log();
    instance.terminate();
    assert!(!log.contains("passed over"), "{log}");
}

fn in_order(seen: &[Seen], fed: u64) {
    let mut found: Vec<Vec<u64>> = vec![Vec::new(); PARTITIONS as usize];
    for record in seen {
        let number = number_of(record.value.as_deref().unwrap());
        found[(number % PARTITIONS as u64) as usize].push(number);
    }
    for (partition, numbers) in found.iter().enumerate() {
        let expected: Vec<u64> = (0..fed).filter(|number| number % PARTITIONS as u64 == partition as u64).collect();
        let missing: Vec<u64> = expected.iter().filter(|number| !numbers.contains(number)).copied().collect();
        assert!(missing.is_empty(), "{} of {fed} records of partition {partition} are lost: {missing:?}", missing.len());
        assert_eq!(*numbers, expected, "twice, or out of order, in partition {partition}");
    }
}

fn rules(world: &World<'_>, apis: &[i16], fate: Fate, count: usize) -> Vec<Rule> {
    apis.iter().map(|&api| Rule { api, text: client_of(world), fate, count }).collect()
}

fn late(world: &World<'_>, apis: &[i16], ms: u64) -> Vec<Rule> {
    rules(world, apis, Fate::Late(Duration::from_millis(ms)), usize::MAX)
}

/// The case that lost records: librdkafka's look-up of the log's end was answered late, asked again, and led to the end after the seek.
fn late_list_offsets(ms: u64, follows: Follows) {
    let (proxy, cluster) = proxied();
    let world = world(cluster, "");
    // Of the input alone: the fence asks for the control topic's end, and closes when that takes too long.
    let text = world.input.clone();
    proxy.rule([Rule { api: api::LIST_OFFSETS, text, fate: Fate::Late(Duration::from_millis(ms)), count: usize::MAX }]);
    nothing_is_passed_over(&world, 3, follows);
    proxy.forget(&world.input);
}

#[test]
fn no_record_is_passed_over_when_list_offsets_is_answered_40_ms_late() {
    late_list_offsets(40, Follows::After);
}

#[test]
fn no_record_is_passed_over_when_list_offsets_is_answered_150_ms_late() {
    late_list_offsets(150, Follows::After);
}

#[test]
fn no_record_is_passed_over_when_list_offsets_is_answered_600_ms_late() {
    late_list_offsets(600, Follows::Beside);
}

#[test]
fn no_record_is_passed_over_when_records_and_offsets_come_late() {
    let (proxy, cluster) = proxied();
    let world = world(cluster, "");
    proxy.rule(late(&world, &[api::FETCH, api::OFFSET_FETCH], 300));
    nothing_is_passed_over(&world, 2, Follows::Beside);
    proxy.forget(&client_of(&world));
}

#[test]
fn no_record_is_passed_over_when_the_group_is_answered_late() {
    let (proxy, cluster) = proxied();
    let world = world(cluster, "");
    let group = [api::FIND_COORDINATOR, api::JOIN_GROUP, api::SYNC_GROUP, api::HEARTBEAT, api::METADATA];
    proxy.rule(late(&world, &group, 200));
    nothing_is_passed_over(&world, 2, Follows::Beside);
    proxy.forget(&client_of(&world));
}

#[test]
fn no_record_is_passed_over_when_answers_come_twice_or_out_of_order() {
    let (proxy, cluster) = proxied();
    let world = world(cluster, "");
    let all = [api::FETCH, api::LIST_OFFSETS, api::OFFSET_FETCH, api::HEARTBEAT, api::JOIN_GROUP, api::SYNC_GROUP, api::METADATA];
    proxy.rule(rules(&world, &all, Fate::Twice, 20));
    proxy.rule(rules(&world, &[api::LIST_OFFSETS, api::OFFSET_FETCH], Fate::AfterNext, 2));
    nothing_is_passed_over(&world, 2, Follows::Beside);
    let met = |api| proxy.met_of(api, &client_of(&world));
    assert!(met(api::FETCH) > 0 && met(api::SYNC_GROUP) > 0);
    proxy.forget(&client_of(&world));
}

#[test]
fn no_record_is_passed_over_when_answers_are_missing() {
    let (proxy, cluster) = proxied();
    // An answer that is missing is missed after this long, and its connection made again.
    let world = world(cluster, ", socket.timeout.ms: 2000");
    proxy.rule(rules(&world, &[api::FETCH, api::LIST_OFFSETS, api::OFFSET_FETCH, api::SYNC_GROUP], Fate::Missing, 2));
    nothing_is_passed_over(&world, 1, Follows::After);
    proxy.forget(&client_of(&world));
}

/// A committed offset that is pending in an open transaction holds its partition back, and that is told of.
#[test]
fn a_partition_that_cannot_begin_is_told_of() {
    let (_, cluster) = proxied();
    let mut world = world(cluster, "");
    let producer = feeder(cluster);
    let next = AtomicU64::new(0);
    send(&world, &producer, &next, 10);
    let first = start_ready(&world, "i0");
    world.await_outputs(TARGET, 10);
    first.terminate();
    // Offsets that somebody has sent and not committed, as one that hangs in a commit has done. The group is empty: anybody may.
    let group = format!("group-{}", world.name);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.bootstrap);
    let nobody: BaseConsumer = config.clone().set("group.id", &group).create().unwrap();
    let hanging: BaseProducer =
        config.set("transactional.id", format!("hanging-{}", world.name)).set("transaction.timeout.ms", "600000").create().unwrap();
    hanging.init_transactions(PATIENCE).unwrap();
    hanging.begin_transaction().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&world.input, 1, Place::Offset(3)).unwrap();
    hanging.send_offsets_to_transaction(&offsets, &nobody.group_metadata().unwrap(), PATIENCE).unwrap();
    // Told of after a time-out that is shorter than the one that holds it.
    let more = format!(
        "kafka:\n  bootstrap: \"{}\"\n  group: {group}\n  consumer: {{ session.timeout.ms: 6000, max.poll.interval.ms: 60000 }}\n  \
         producer: {{ transaction.timeout.ms: 1000 }}\n",
        cluster.bootstrap
    );
    world.set_more(&more);
    let second = world.start("i1");
    let said = second.await_not_ready("[-]held failed");
    assert!(said.contains(&format!("{}/1", world.input)), "{said}");
    second.await_line(&["WARN", "is held and cannot begin", &world.input]);
    let metrics = second.get("/metrics").unwrap().1;
    assert!(metrics.contains("sharecast_partitions_held 1\n"), "{metrics}");
    assert!(metrics.contains("sharecast_offset_gaps_total{stream=\"telemetry\"} 0\n"), "{metrics}");
    hanging.abort_transaction(PATIENCE).unwrap();
    second.await_ready();
    send(&world, &producer, &next, 10);
    world.await_outputs(TARGET, 20);
    second.terminate();
    in_order(&cluster.read(&world.output(TARGET)), 20);
}

/// A start asks about all of its partitions together: answers that come late come once, not once for each partition.
#[test]
fn partitions_that_come_together_are_begun_and_taken_over_in_one_question() {
    const MANY: i32 = 12;
    let (proxy, cluster) = proxied();
    let world = wide_world(cluster, MANY, "");
    let counted = |api| Rule { api, text: world.input.clone(), fate: Fate::Late(Duration::ZERO), count: usize::MAX };
    let asked = || (proxy.met_of(api::LIST_OFFSETS, &world.input), proxy.met_of(api::OFFSET_FETCH, &world.input));
    proxy.rule([counted(api::LIST_OFFSETS), counted(api::OFFSET_FETCH)]);
    let values: Vec<String> = (0..MANY as u64).map(|number| world.record("o", "a", number)).collect();
    (0..MANY).for_each(|partition| world.feed(partition, [&values[partition as usize]]));
    let before = asked();
    let first = start_ready(&world, "i0");
    world.await_outputs(TARGET, MANY as usize);
    let begun = asked();
    assert!(begun.0 > before.0 && begun.1 > before.1, "nothing was counted: {before:?} {begun:?}");
    let few = |after: usize, before: usize| after - before < MANY as usize;
    assert!(few(begun.0, before.0) && few(begun.1, before.1), "{before:?} {begun:?}");
    finish(first);
    (0..MANY).for_each(|partition| world.feed(partition, [&values[partition as usize]]));
    let before = asked();
    let second = start_ready(&world, "i1");
    world.await_outputs(TARGET, 2 * MANY as usize);
    let begun = asked();
    assert!(few(begun.0, before.0) && few(begun.1, before.1), "{before:?} {begun:?}");
    finish(second);
    proxy.forget(&world.input);
}
