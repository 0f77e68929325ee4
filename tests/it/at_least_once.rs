//! `delivery: at_least_once`: no transactions for append streams, nothing lost, and upsert streams as exact as ever
//! (docs/rules/exactly-once.md#at-least-once).

use std::collections::{BTreeMap, BTreeSet};

use sharecast::kafka::TopicSpec;

use super::broker::{Seen, shared, unique};
use super::fixture::{World, number_of};
use super::instance::{Instance, await_that, output, run};

const PARTITIONS: i32 = 4;
/// Records of one round, one after the other into the partitions.
const ROUND: u64 = 4_000;

fn world() -> World<'static> {
    let mut world = World::new(shared(), PARTITIONS, "");
    let (name, docs) = (world.name.clone(), format!("docs-{}", world.name));
    let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
    world.cluster.admin().create(&[TopicSpec { name: docs.clone(), partitions: 2, replication: -1, config }]).unwrap();
    world.set_more(&format!(
        "delivery: at_least_once\ntopics: {{ prefix: own-{name} }}\nstreams:\n  telemetry: {{ topic: {}, tenant: $.tenant, asset: $.asset, time: \
         $.ts }}\n  details: {{ mode: upsert, topic: {docs}, key_format: \"{{tenant}}/{{asset}}\", tenant: key.tenant, asset: key.asset }}\n",
        world.input
    ));
    world
}

fn feed(world: &World<'_>, numbers: std::ops::Range<u64>) {
    for partition in 0..PARTITIONS {
        let own = numbers.clone().filter(|number| (number % PARTITIONS as u64) as i32 == partition);
        world.feed(partition, own.map(|number| world.record("o", "a", number)));
    }
}

/// Every number at least once, and those of one partition in order where each comes first.
fn check(seen: &[Seen], count: u64) {
    let mut newest = BTreeMap::new();
    let mut found = BTreeSet::new();
    for record in seen {
        let number = number_of(record.value.as_deref().unwrap());
        if found.insert(number) {
            let before = newest.insert(number % PARTITIONS as u64, number);
            assert!(before.is_none_or(|before| before < number), "{number} first comes after {before:?}");
        }
    }
    let missing: Vec<u64> = (0..count).filter(|number| !found.contains(number)).collect();
    assert!(missing.is_empty() && found.len() as u64 == count, "lost: {missing:?}");
}

#[test]
fn killed_again_and_again_it_loses_nothing_and_documents_stay_exact() {
    let world = world();
    let config = world.config("a");
    let mut engine = world.start_ready("a");
    world.partners("o", "t");
    let (o, t) = (world.tenant("o"), world.tenant("t"));
    let offer = |share: &str, asset: &str, stream: &str| {
        format!(
            r#"{{"share":"{share}","asset":"{asset}","owner":"{o}","target_tenant":"{t}","streams":["{stream}"],"profile":"all","history":true}}"#
        )
    };
    let (telemetry, details) = (unique("share"), unique("share"));
    world.event("/operator", "share.offered", &offer(&telemetry, "a", "telemetry"));
    world.event("/operator", "share.offered", &offer(&details, "d", "details"));
    let docs = format!("docs-{}", world.name);
    world.cluster.produce(&docs, [(0, &*format!("{o}/d"), r#"{"name":"one"}"#)]);
    let documents = format!("out-{}.{t}.details", world.name);
    await_that("the document", || world.cluster.admin().topic(&documents).unwrap().is_some() && !world.cluster.read(&documents).is_empty());

    for round in 0..5 {
        feed(&world, round * ROUND..(round + 1) * ROUND);
        // In the middle of whatever it does.
        world.await_outputs("t", (round * ROUND + 1 + round * 397) as usize);
        engine.kill();
        engine = world.start_ready("a");
    }
    let count = 5 * ROUND;
    await_that("all of it", || {
        let seen = world.cluster.read(&world.output("t"));
        seen.iter().map(|record| number_of(record.value.as_deref().unwrap())).collect::<BTreeSet<_>>().len() as u64 == count
    });
    check(&world.cluster.read(&world.output("t")), count);
    assert_eq!(world.cluster.read(&documents).len(), 1, "a document that has not changed is not written again");

    // Certain by what every member reports, of both kinds and of both processes; so the group is stable after it.
    // Whoever is stopped here stays in its group.
    // As long as `fence.max_tick_age` lets them be.
    let sessions = ("session.timeout.ms: 10000", "session.timeout.ms: 50000");
    let patient = world.config("b");
    let text = std::fs::read_to_string(&patient).unwrap().replace(sessions.0, sessions.1);
    assert!(text.contains(sessions.1), "{text}");
    std::fs::write(&patient, text).unwrap();
    let other = Instance::start(&patient);
    other.await_ready();
    let revoked = output(&config, &format!("share revoke {details} --as {o} --wait"));
    let said = String::from_utf8_lossy(&revoked.stderr).into_owned();
    assert!(
        revoked.status.success() && said.contains("every member of the group has reported it") && said.contains("no hard bound"),
        "{said}"
    );
    await_that("the tombstone", || world.cluster.read(&documents).last().is_some_and(|record| record.value.is_none()));
    // Whoever is stopped has not reported, and nothing else makes it certain.
    other.signal("STOP");
    let waited = output(&config, &format!("share revoke {telemetry} --as {o} --wait --timeout 12s"));
    other.signal("CONT");
    let said = String::from_utf8_lossy(&waited.stderr).into_owned();
    assert_eq!(waited.status.code(), Some(1), "{said}");
    assert!(said.contains("have not reported the revoke: ") && said.contains("no hard bound"), "{said}");
    run(&config, &format!("share revoke {telemetry} --as {o} --wait"), 0);
    [engine, other].into_iter().for_each(Instance::terminate);
}
