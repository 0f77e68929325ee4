//! Bad routes and bad records: dead letters, and everybody else flows (docs/rules/records.md, docs/rules/outputs.md#what-is-owed).

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions};
use rdkafka::client::DefaultClientContext;

use super::broker::{Seen, shared};
use super::fixture::{OwnedDeadLetter, World, noise, number_of};
use super::instance::await_that;

/// `o` shares `a` with each of these.
fn shared_with<'c>(targets: &[&str]) -> World<'c> {
    let world = World::new(shared(), 1, "");
    world.make_control();
    for target in targets {
        world.partners("o", target);
        world.share("o", "a", target);
    }
    world
}

fn numbers(seen: &[Seen]) -> Vec<u64> {
    seen.iter().map(|record| number_of(record.value.as_deref().unwrap())).collect()
}

/// The numbers of what a route did not take, in order.
fn diverted(letters: &[OwnedDeadLetter]) -> Vec<u64> {
    let of_route = letters.iter().filter(|letter| letter.reason == "route_failed");
    of_route.map(|letter| number_of(std::str::from_utf8(letter.value.as_deref().unwrap()).unwrap())).collect()
}

#[test]
fn what_cannot_be_read_is_set_aside_with_its_reason() {
    let world = shared_with(&["t"]);
    let tenant = world.tenant("o");
    let good = |n| Some(world.record("o", "a", n).into_bytes());
    let with = |rest: &str| Some(format!(r#"{{"tenant":"{tenant}","asset":"a",{rest}}}"#).into_bytes());
    let large = "x".repeat(1_000_000);
    let cases = [
        (Some(b"{\"tenant\":".to_vec()), "invalid_json"),
        (None, "not_an_object"),
        (Some(b"[1]".to_vec()), "not_an_object"),
        (Some("[".repeat(10_000).into_bytes()), "invalid_json"),
        (with(&format!(r#""ts":1,"n":{}"#, "[".repeat(200) + &"]".repeat(200))), "invalid_json"),
        (with(&format!(r#""ts":1760000000,"n":0,"x":"{}""#, large.repeat(2))), "too_large"),
        (Some(b"\xff\xfe".to_vec()), "invalid_json"),
        (Some(br#"{"asset":"a","ts":1760000000}"#.to_vec()), "missing_tenant"),
        (with(r#""ts":null"#), "missing_time"),
        (with(r#""ts":"yesterday""#), "invalid_time"),
        (with(r#""ts":99999999999"#), "future_time"),
    ];
    let mut records = vec![good(1)];
    for (n, (value, _)) in cases.iter().enumerate() {
        records.push(value.clone());
        records.push(good(n as u64 + 2));
    }
    // A long string is no fault.
    records.push(with(&format!(r#""ts":1760000000,"n":99,"x":"{large}""#)));
    world.feed_records(0, records);
    let engine = world.start_ready("a");
    let expected: Vec<u64> = (1..=cases.len() as u64 + 1).chain([99]).collect();
    assert_eq!(numbers(&world.await_outputs("t", expected.len())), expected);
    let letters = world.await_letters(cases.len());
    let found: Vec<_> = letters.iter().map(|letter| (letter.offset.as_str(), letter.reason.as_str(), letter.value.clone())).collect();
    let offsets: Vec<String> = (0..cases.len()).map(|n| (n * 2 + 1).to_string()).collect();
    for (place, (value, reason)) in cases.iter().enumerate() {
        assert_eq!((found[place].0, found[place].1), (offsets[place].as_str(), *reason));
        assert!(found[place].2 == *value, "{reason}: the value is kept as it was");
    }
    engine.terminate();
    assert_eq!((world.letters().len(), world.await_outputs("t", 1).len()), (cases.len(), expected.len()));
}

/// Each partition of a topic has its records in the order of the input, and a key that moves when the topic grows moves once.
#[test]
fn a_topic_that_grows_keeps_the_order_of_its_partitions_and_keys() {
    let assets: Vec<String> = (0..40).map(|number| format!("asset-{number}")).collect();
    let mut world = World::new(shared(), 1, "");
    world.set_more(&format!(
        "kafka: {{ bootstrap: \"{0}\", group: group-{1}, instance: a, client: {{ topic.metadata.refresh.interval.ms: 300 }} }}\n\
         output: {{ topic: \"out-{1}.{{tenant}}.{{stream}}\", partitions: 4 }}\nbatch: {{ max_records: 300 }}\n",
        world.cluster.bootstrap, world.name
    ));
    world.make_control();
    world.partners("o", "t");
    for asset in &assets {
        world.share("o", asset, "t");
    }
    let mut count = 0;
    let mut feed = || {
        world.feed(0, (count..count + 1000).map(|n| world.record("o", &assets[(n * 7 % 40) as usize], n)));
        count += 1000;
        count
    };
    let count = feed();
    let engine = world.start_ready("a");
    let seen = world.await_outputs("t", count as usize);
    assert_eq!(seen.iter().map(|record| record.partition).collect::<BTreeSet<_>>().len(), 4);

    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &world.cluster.bootstrap).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let topic = world.output("t");
    let grown = runtime.block_on(admin.create_partitions(&[NewPartitions::new(&topic, 7)], &AdminOptions::new())).unwrap();
    assert!(grown.iter().all(Result::is_ok), "{grown:?}");
    await_that("the engine writes to the new partitions", || {
        let count = feed();
        world.await_outputs("t", count as usize).iter().any(|record| record.partition >= 4)
    });
    let count = feed();
    let seen = world.await_outputs("t", count as usize);
    assert_eq!(seen.len() as u64, count);
    let mut newest: BTreeMap<i32, u64> = BTreeMap::new();
    let mut spans: BTreeMap<&str, BTreeMap<i32, (u64, u64)>> = BTreeMap::new();
    for record in &seen {
        let number = number_of(record.value.as_deref().unwrap());
        let before = newest.insert(record.partition, number);
        assert!(before < Some(number), "partition {}: {number} after {before:?}", record.partition);
        let of_key = spans.entry(record.key.as_deref().unwrap()).or_default();
        of_key.entry(record.partition).or_insert((number, number)).1 = number;
    }
    for (key, spans) in spans {
        let mut spans: Vec<(u64, u64)> = spans.into_values().collect();
        spans.sort_unstable();
        assert!(spans.len() <= 2 && spans.windows(2).all(|pair| pair[0].1 < pair[1].0), "{key}: {spans:?}");
    }
    engine.terminate();
}

#[test]
fn a_record_over_a_topics_limit_is_the_records_fault_alone() {
    let world = shared_with(&["small", "large"]);
    world.make_output("small", &[("max.message.bytes", "20000")]);
    let tenant = world.tenant("o");
    let heavy = format!(r#"{{"tenant":"{tenant}","asset":"a","ts":1760000000,"n":150,"x":"{}"}}"#, noise(7, 60_000));
    let value = |n| if n == 150 { heavy.clone() } else { world.record("o", "a", n) };
    world.feed(0, (0..300).map(value));
    let engine = world.start_ready("a");
    assert_eq!(numbers(&world.await_outputs("large", 300)), (0..300).collect::<Vec<_>>());
    assert_eq!(numbers(&world.await_outputs("small", 299)), (0..300).filter(|n| *n != 150).collect::<Vec<_>>());
    let letters = world.await_letters(1);
    assert_eq!((letters[0].reason.as_str(), letters[0].offset.as_str()), ("refused", "150"));
    assert!(letters[0].message.contains(&world.output("small")), "{letters:?}");
    // The dead letter is what the target would have got: its ids, not the owner's.
    assert!(String::from_utf8_lossy(letters[0].value.as_deref().unwrap()).starts_with(&world.released("small", "a", 150)[..30]));
    engine.terminate();
    assert_eq!(world.letters().len(), 1);
}

/// librdkafka batches as if each topic took as much as the largest: what a small one refuses is the batch, not its records.
#[test]
fn a_topic_that_takes_little_at_once_gets_all_that_is_not_too_large_by_itself() {
    let world = shared_with(&["small", "large"]);
    world.make_output("small", &[("max.message.bytes", "10000")]);
    let tenant = world.tenant("o");
    let record = |n: u64| {
        let len = if n % 100 == 50 { 12_000 } else { 400 };
        format!(r#"{{"tenant":"{tenant}","asset":"a","ts":1760000000,"n":{n},"x":"{}"}}"#, noise(n, len))
    };
    world.feed(0, (0..3_000).map(record));
    let engine = world.start_ready("a");
    assert_eq!(numbers(&world.await_outputs("large", 3_000)), (0..3_000).collect::<Vec<_>>());
    assert_eq!(numbers(&world.await_outputs("small", 2_970)), (0..3_000).filter(|n| n % 100 != 50).collect::<Vec<_>>());
    let letters = world.await_letters(30);
    let found: Vec<_> = letters.iter().map(|letter| (letter.reason.as_str(), letter.offset.parse().unwrap())).collect();
    assert_eq!(found, (0..30).map(|place| ("refused", place * 100 + 50)).collect::<Vec<(&str, u64)>>());
    engine.terminate();
    assert_eq!(world.letters().len(), 30);
}

/// A reader may subscribe before the first record.
#[test]
fn a_tenants_topic_is_there_at_the_grant() {
    let world = shared_with(&[]);
    let engine = world.start_ready("a");
    for target in ["t1", "t2", "t3", "t4", "t5"] {
        world.partners("o", target);
        world.share("o", "a", target);
        await_that("the topic is there", || world.cluster.admin().topic(&world.output(target)).unwrap().is_some());
    }
    engine.terminate();
}

/// Takes away the topic of `gone` under load, until the new one has some records; returns how many records there were.
fn lose_a_topic(world: &World<'_>, make_again: impl Fn()) -> u64 {
    let engine = world.start_ready("a");
    world.feed(0, (0..100).map(|n| world.record("o", "a", n)));
    assert_eq!(world.await_outputs("gone", 100).len(), 100);
    world.cluster.admin().delete(&[&world.output("gone")]).unwrap();
    world.feed(0, (100..200).map(|n| world.record("o", "a", n)));
    assert_eq!(numbers(&world.await_outputs("stays", 200)), (0..200).collect::<Vec<_>>(), "the others flow");
    make_again();
    // The route closes by itself, some time after the topic is there.
    let mut next = 200;
    loop {
        world.feed(0, [world.record("o", "a", next)]);
        next += 1;
        assert_eq!(world.await_outputs("stays", next as usize).len(), next as usize);
        if world.cluster.admin().topic(&world.output("gone")).unwrap().is_some() && !world.cluster.read(&world.output("gone")).is_empty() {
            break;
        }
        assert!(next < 5_000, "the route never closes: {}", engine.log());
    }
    engine.terminate();
    next
}

/// What of the records from 100 on is a dead letter, and what the new topic has of them.
fn found_again(world: &World<'_>, next: u64) -> (Vec<u64>, Vec<u64>) {
    let (diverted, written) = (diverted(&world.letters()), numbers(&world.cluster.read(&world.output("gone"))));
    let all: BTreeSet<u64> = diverted.iter().chain(&written).copied().collect();
    assert_eq!(all, (100..next).collect(), "each is in one of the two");
    assert_eq!(diverted.len() + written.len(), all.len(), "and in one alone");
    assert!(diverted.is_sorted() && written.is_sorted());
    (diverted, written)
}

/// A world that makes no topics itself, with other settings for `output` besides.
fn manual<'c>(more: &str) -> World<'c> {
    let mut world = shared_with(&["gone", "stays"]);
    world.set_more(&format!("output: {{ topic: \"out-{}.{{tenant}}.{{stream}}\", provision: manual{more} }}\n", world.name));
    world.make_output("gone", &[]);
    world.make_output("stays", &[]);
    world
}

#[test]
fn a_topic_that_nobody_makes_is_an_open_route() {
    let world = manual(", on_route_failure: dead_letter");
    let next = lose_a_topic(&world, || world.make_output("gone", &[]));
    let (diverted, _) = found_again(&world, next);
    assert!(diverted.starts_with(&(100..200).collect::<Vec<_>>()), "{diverted:?}");
}

#[test]
fn a_topic_that_is_provisioned_is_made_again() {
    let mut world = shared_with(&["gone", "stays"]);
    world.set_more(&format!("output: {{ topic: \"out-{}.{{tenant}}.{{stream}}\", on_route_failure: dead_letter }}\n", world.name));
    let next = lose_a_topic(&world, || ());
    found_again(&world, next);
}

/// The input holds what a failed route was to get; nobody else sees anything of it.
#[test]
fn a_route_that_is_waited_for_gets_everything_in_order() {
    let world = manual("");
    let next = lose_a_topic(&world, || world.make_output("gone", &[]));
    // It ends at times with something still owed: whoever comes next finds the note.
    let engine = world.start_ready("b");
    let (mut records, mut all) = (world.await_outputs("gone", (next - 100) as usize), next);
    assert_eq!(numbers(&records), (100..next).collect::<Vec<_>>());
    // And then it flows as the others do.
    world.feed(0, (next..next + 50).map(|n| world.record("o", "a", n)));
    all += 50;
    records = world.await_outputs("gone", (all - 100) as usize);
    assert_eq!(numbers(&records), (100..all).collect::<Vec<_>>());
    assert_eq!(world.await_outputs("stays", all as usize).len(), all as usize);
    engine.terminate();
    assert_eq!(world.letters().len(), 0);
}

/// What is owed is decided when it is written: a share that has ended meanwhile gets nothing of it.
#[test]
fn what_was_owed_is_decided_by_todays_graph() {
    let world = manual("");
    world.partners("o", "keeps");
    let shares = world.share("o", "b", "gone");
    let engine = world.start_ready("a");
    world.feed(0, (0..10).map(|n| world.record("o", "a", n)));
    world.await_outputs("gone", 10);
    world.cluster.admin().delete(&[&world.output("gone")]).unwrap();
    world.feed(0, (10..60).map(|n| world.record("o", if n % 2 == 0 { "a" } else { "b" }, n)));
    engine.await_line(&["route failed", "waits in the input"]);
    assert_eq!(numbers(&world.await_outputs("stays", 35)).last(), Some(&58));
    world.event("/operator", "share.revoked", &format!(r#"{{"share":"{shares}"}}"#));
    world.make_output("gone", &[]);
    let records = world.await_outputs("gone", 25);
    assert_eq!(numbers(&records), (10..60).filter(|n| n % 2 == 0).collect::<Vec<_>>());
    engine.terminate();
}
