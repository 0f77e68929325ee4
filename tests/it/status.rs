//! Status topics are the fold, each document once (docs/rules/outputs.md, docs/rules/exactly-once.md).

use std::time::Duration;

use sharecast::config::{Config, ConfigEnv};
use sharecast::engine::control;
use sharecast::id::Offset;
use sharecast::kafka::{KafkaControlLog, KafkaEndProbe};
use sharecast::share::status::{StatusDocument, StatusTopic};
use sharecast::share::table::ShareTable;
use sharecast::time::TimestampMs;
use sharecast::transport::{ControlLog, EndProbe};

use super::broker::{PATIENCE, shared};
use super::fixture::World;
use super::instance::{Instance, Patience};

/// Everything that the control topic leads to, folded here.
pub(crate) fn folded(world: &World<'_>) -> Vec<StatusDocument> {
    let config = world.config("fold");
    let text = std::fs::read_to_string(config).unwrap();
    let config = Config::load(&[("fold.yaml", &text)], &ConfigEnv::none()).unwrap();
    let mut table = ShareTable::new(config.fold_rules());
    let settings = world.cluster.settings("tests");
    let end = KafkaEndProbe::open(&settings, &world.control, PATIENCE).unwrap().ask().unwrap().end;
    let mut log = KafkaControlLog::open(&settings, &world.control, Offset(0)).unwrap();
    let (mut records, mut documents, mut time) = (Vec::new(), Vec::new(), TimestampMs(i64::MIN));
    let patience = Patience::begin();
    while log.position().unwrap() < end {
        assert!(!patience.is_over(), "the control topic cannot be read up to {end}");
        records.clear();
        log.poll(Duration::from_millis(100), &mut records).unwrap();
        for record in &records {
            time = time.max(record.timestamp);
            documents.extend(table.fold(record.offset, time, control::read(record)).documents);
        }
    }
    documents
}

type Document = (String, i64, String);

fn expected(documents: &[StatusDocument], topic: &StatusTopic) -> Vec<Document> {
    let of_topic = documents.iter().filter(|document| document.topic == *topic);
    of_topic.map(|d| (d.key.clone(), d.timestamp.0, String::from_utf8(d.value.clone()).unwrap())).collect()
}

/// What a status topic holds of the documents' keys, in its order.
fn written(world: &World<'_>, topic: &str, documents: &[StatusDocument]) -> Vec<Document> {
    let read = world.cluster.read(topic).into_iter().map(|r| (r.key.unwrap(), r.timestamp_ms, r.value.unwrap()));
    read.filter(|(key, ..)| documents.iter().any(|document| document.key == *key)).collect()
}

/// Waits until all documents are written, ends the instances and compares every topic.
fn compare(world: &World<'_>, instances: Vec<Instance>, is_enough: impl Fn(&[StatusDocument]) -> bool) -> Vec<StatusDocument> {
    let patience = Patience::begin();
    loop {
        let documents = folded(world);
        if is_enough(&documents) && written(world, "sharecast.shares", &documents).len() >= expected(&documents, &StatusTopic::Shares).len()
        {
            break;
        }
        assert!(!patience.is_over(), "the documents are not written");
    }
    instances.into_iter().for_each(Instance::terminate);
    let documents = folded(world);
    let mut topics: Vec<&StatusTopic> = Vec::new();
    for document in &documents {
        if !topics.contains(&&document.topic) {
            topics.push(&document.topic);
        }
    }
    assert_eq!(topics.len(), 3, "the operator's, the owner's and the target's");
    for topic in topics {
        let name = match topic {
            StatusTopic::Shares => "sharecast.shares".to_owned(),
            StatusTopic::Tenant(tenant) => format!("share.{tenant}.shares"),
        };
        assert_eq!(written(world, &name, &documents), expected(&documents, topic), "{name}");
    }
    documents
}

fn text(document: &StatusDocument) -> &str {
    std::str::from_utf8(&document.value).unwrap()
}

/// Offers, pauses, revokes and mistakes of so many shares.
fn happen(world: &World<'_>, count: usize) {
    for number in 0..count {
        let share = world.share_with("o", &format!("a{number}"), "t", r#","label":"one""#);
        let data = format!(r#"{{"share":"{share}"}}"#);
        let owner = format!("/tenants/{}", world.tenant("o"));
        world.event(&owner, "share.paused", &data);
        world.event(&format!("/tenants/{}", world.tenant("t")), "share.revoked", &data);
        world.event(if number % 2 == 0 { &owner } else { "/operator" }, "share.resumed", &data);
        if number % 3 == 0 {
            world.event(&owner, "share.revoked", &data);
        }
    }
}

#[test]
fn every_document_is_written_once_whoever_writes_them() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    world.partners("o", "t");
    let first = world.start_ready("a");
    first.await_line(&["this instance writes the status topics"]);
    let second = world.start_ready("b");
    happen(&world, 30);
    first.kill();
    happen(&world, 30);
    // The one that is killed comes back and finds another one elected, or is elected before it has folded anything.
    let third = world.start_ready("a");
    happen(&world, 10);
    let documents = compare(&world, vec![second, third], |_| true);
    assert!(documents.len() > 400);
}

#[test]
fn a_writer_that_returns_goes_on_where_it_was() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    world.partners("o", "t");
    for round in 0..3 {
        happen(&world, 40);
        let instance = world.start_ready("a");
        // With the snapshot of its end and without.
        if round == 1 {
            instance.await_line(&["this instance writes the status topics"]);
            instance.kill();
            continue;
        }
        compare(&world, vec![instance], |_| true);
    }
}

#[test]
fn what_ends_by_itself_is_recorded_once() {
    let world = World::new(shared(), 1, "");
    world.make_control();
    world.partners("o", "t");
    let instances = vec![world.start_ready("a"), world.start_ready("b")];
    // Later than all offers are in the log, however slow that is: an end that is past is refused.
    let soon = sharecast::clock::Clock::wall(&sharecast::clock::SystemClock).0 + 8_000;
    let mut ends = b",\"ends\":\"".to_vec();
    TimestampMs(soon).moment().write_rfc3339(&mut ends);
    let ends = String::from_utf8(ends).unwrap() + "\"";
    let shares: Vec<String> = (0..5).map(|number| world.share_with("o", &format!("a{number}"), "t", &ends)).collect();
    let of_expiry = |documents: &[StatusDocument]| {
        let owner = StatusTopic::Shares;
        documents.iter().filter(|document| document.topic == owner && text(document).contains(r#""state":"EXPIRED""#)).count()
    };
    let documents = compare(&world, instances, |documents| of_expiry(documents) == shares.len());
    assert_eq!(of_expiry(&documents), shares.len());
    let ended = documents.iter().filter(|document| text(document).contains(r#""reason":"access_ended""#));
    assert!(ended.clone().all(|document| text(document).contains(r#""ended_at":"#)), "the end is the one that was agreed");
    assert_eq!(ended.count(), 3 * shares.len(), "the operator's, the owner's and the target's view of each");
}
