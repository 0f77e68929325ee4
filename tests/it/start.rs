//! First starts, lost offsets and what must not be run with (docs/rules/events.md, docs/rules/exactly-once.md, docs/rules/cli.md).

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use sharecast::kafka::CommittedOffsets;

use super::broker::{PATIENCE, shared};
use super::fixture::{World, number_of};
use super::instance::{Instance, await_that};

fn numbers(world: &World<'_>, target: &str, count: usize) -> Vec<u64> {
    let mut seen = world.await_outputs(target, count);
    seen.sort_by_key(|record| (record.partition, record.offset));
    seen.iter().map(|record| number_of(record.value.as_deref().unwrap())).collect()
}

fn shared_world<'c>(more: &str) -> World<'c> {
    let world = World::new(shared(), 2, more);
    world.make_control();
    world.partners("o", "t");
    world.share("o", "a", "t");
    world
}

/// Runs an instance that must end by itself with exit code 78; returns what it said.
fn refused(world: &World<'_>) -> String {
    let mut instance = world.start("a");
    assert_eq!(instance.await_exit(), 78, "{}", instance.log());
    instance.log()
}

/// A group's offsets expire, as Kafka sees to when the group has been gone for long.
fn expire_group(world: &World<'_>) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &world.cluster.bootstrap).create().unwrap();
    let group = format!("group-{}", world.name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = AdminOptions::new().request_timeout(Some(PATIENCE));
    // A member that has left is still one until the group has rebalanced.
    await_that("the group is deleted", || {
        let deleted = runtime.block_on(admin.delete_groups(&[&group], &options)).unwrap();
        deleted.iter().all(Result::is_ok)
    });
}

#[test]
fn a_first_start_reads_from_the_beginning_and_the_next_one_goes_on() {
    let world = shared_world("");
    world.feed(0, (0..10).map(|n| world.record("o", "a", n)));
    let first = world.start_ready("a");
    assert_eq!(numbers(&world, "t", 10), (0..10).collect::<Vec<_>>());
    first.terminate();
    world.feed(0, (10..20).map(|n| world.record("o", "a", n)));
    // Another name is as good: what counts is the group.
    let second = world.start_ready("b");
    assert_eq!(numbers(&world, "t", 20), (0..20).collect::<Vec<_>>());
    second.terminate();
    assert_eq!(world.await_outputs("t", 20).len(), 20);
}

#[test]
fn a_first_start_may_skip_what_is_there() {
    let mut world = World::new(shared(), 1, "");
    let streams =
        format!("streams: {{ telemetry: {{ topic: {}, tenant: $.tenant, asset: $.asset, time: $.ts, start: latest }} }}\n", world.input);
    world.set_more(&streams);
    world.make_control();
    world.partners("o", "t");
    world.share("o", "a", "t");
    world.feed(0, (0..10).map(|n| world.record("o", "a", n)));
    let first = world.start_ready("a");
    first.await_line(&["partition begun for the first time", "first=10"]);
    // Killed before its beginning is committed, it has not begun: the next one would begin again, after what has come by then.
    let group = format!("group-{}", world.name);
    let offsets = CommittedOffsets::of(&world.cluster.settings(&group), &group).unwrap();
    await_that("the beginning is committed", || matches!(offsets.ask(&[(&world.input, 0)], PATIENCE).as_deref(), Ok([Some(_)])));
    first.kill();
    let second = world.start_ready("a");
    world.feed(0, (10..20).map(|n| world.record("o", "a", n)));
    assert_eq!(numbers(&world, "t", 10), (10..20).collect::<Vec<_>>());
    second.terminate();
}

#[test]
fn offsets_that_were_lost_stop_the_engine_before_it_reads() {
    let world = shared_world("");
    world.feed(0, (0..5).map(|n| world.record("o", "a", n)));
    let first = world.start_ready("a");
    assert_eq!(numbers(&world, "t", 5).len(), 5);
    first.terminate();
    expire_group(&world);
    world.feed(0, (5..9).map(|n| world.record("o", "a", n)));
    let said = refused(&world);
    assert!(said.contains(&world.input) && said.contains("reset-offsets"), "{said}");
    assert_eq!(world.await_outputs("t", 5).len(), 5, "nothing is doubled, nothing is skipped");
}

#[test]
fn what_is_not_as_it_must_be_is_named() {
    // No input topic.
    let world = World::new(shared(), 1, "");
    world.cluster.admin().delete(&[&world.input]).unwrap();
    let said = refused(&world);
    assert!(said.contains(&world.input) && said.contains("does not exist"), "{said}");
    // A control topic that loses events.
    let world = World::new(shared(), 1, "");
    let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
    let spec = sharecast::kafka::TopicSpec { name: world.control.clone(), partitions: 2, replication: -1, config };
    world.cluster.admin().create(&[spec]).unwrap();
    let said = refused(&world);
    for wrong in ["2 partitions", "cleanup.policy=compact", "message.timestamp.type=CreateTime"] {
        assert!(said.contains(wrong), "{wrong}: {said}");
    }
    // Nobody makes the control topic.
    let world = World::new(shared(), 1, "output: { provision: manual }\n");
    let said = refused(&world);
    assert!(said.contains(&world.control) && said.contains("LogAppendTime"), "{said}");
}

#[test]
fn a_port_in_use_is_named() {
    let world = shared_world("");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (config, port) = (world.config("a"), taken.local_addr().unwrap().port());
    let text = std::fs::read_to_string(&config).unwrap().replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    std::fs::write(&config, text).unwrap();
    let mut instance = Instance::start(&config);
    assert_eq!(instance.await_exit(), 78);
    assert!(instance.log().contains(&format!("127.0.0.1:{port} cannot be bound")), "{}", instance.log());
    drop(taken);
}
