//! Whose fault it is that a record is not taken.

use std::time::Duration;

use sharecast::kafka::{EventWriter, WriteError};
use sharecast::time::TimestampMs;
use sharecast::transport::{Output, ProduceError, TransactionalProducer};

use super::super::fixture::noise;
use super::{out, producer};
use crate::broker::{PATIENCE, shared, unique};

#[test]
fn a_missing_topic_is_the_routes_fault_and_the_others_go_on() {
    let cluster = shared();
    let (input, output) = (cluster.topic("in", 1, &[]), cluster.topic("out", 1, &[]));
    let missing = unique("missing");
    let mut producer = producer(cluster, &unique("t"), &input);
    assert!(producer.sees_leader(&output).unwrap());
    for is_asked_before in [false, true] {
        if is_asked_before {
            assert!(!producer.sees_leader(&missing).unwrap());
        }
        producer.begin().unwrap();
        producer.put(out(&output, "k", "bad")).unwrap();
        let failures = match producer.put(out(&missing, "k", "bad")) {
            Err(failure) => vec![failure],
            Ok(()) => producer.drain().unwrap_err(),
        };
        assert!(matches!(&failures[..], [ProduceError::Route { topic, .. }] if *topic == missing), "{failures:?}");
        producer.abort().unwrap();
    }
    producer.begin().unwrap();
    producer.put(out(&output, "k", "good")).unwrap();
    producer.drain().unwrap();
    producer.commit().unwrap();
    assert_eq!(cluster.values(&output), ["good"]);
}

#[test]
fn a_topic_deleted_while_it_is_known_is_the_routes_fault() {
    let cluster = shared();
    let (input, output, doomed) = (cluster.topic("in", 1, &[]), cluster.topic("out", 1, &[]), cluster.topic("doomed", 1, &[]));
    let id = unique("t");
    let mut first = producer(cluster, &id, &input);
    first.begin().unwrap();
    first.put(out(&output, "k", "before")).unwrap();
    first.put(out(&doomed, "k", "before")).unwrap();
    first.drain().unwrap();
    first.commit().unwrap();
    cluster.admin().delete(&[&doomed]).unwrap();
    first.begin().unwrap();
    first.put(out(&output, "k", "bad")).unwrap();
    // Nobody is named: the client gives up all that is queued, and cannot end the transaction.
    first.put(out(&doomed, "k", "bad")).unwrap();
    let failures = first.drain().unwrap_err();
    // Or the record is given up for its age: then the topic, looked up below, is seen to be gone.
    assert!(
        matches!(&failures[..], [ProduceError::Abort(_)] | [ProduceError::Route { .. } | ProduceError::Unreachable { .. }]),
        "{failures:?}"
    );
    let aborted = first.abort();
    assert!(matches!(aborted, Ok(()) | Err(ProduceError::Fatal(_))), "{aborted:?}");
    println!("deleted while known: {failures:?}, abort {aborted:?}");
    // The batch is not seen, and a new producer of the name goes on.
    drop(first);
    let mut second = producer(cluster, &id, &input);
    assert!(!second.sees_leader(&doomed).unwrap());
    second.begin().unwrap();
    second.put(out(&output, "k", "after")).unwrap();
    second.drain().unwrap();
    second.commit().unwrap();
    assert_eq!(cluster.values(&output), ["before", "after"]);
}

#[test]
fn a_record_above_the_topics_limit_is_refused_and_the_route_is_well() {
    let cluster = shared();
    let (input, output) = (cluster.topic("in", 1, &[]), cluster.topic("out", 1, &[("max.message.bytes", "20000")]));
    let mut producer = producer(cluster, &unique("t"), &input);
    // One that only the topic refuses and one that the client refuses itself.
    for len in [50_000, 9_000_000] {
        let large = noise(1, len);
        producer.begin().unwrap();
        let failures = match producer.put(out(&output, "k", &large)) {
            Err(failure) => vec![failure],
            Ok(()) => producer.drain().unwrap_err(),
        };
        assert!(matches!(&failures[..], [ProduceError::Refused { topic, .. }] if *topic == output), "{failures:?}");
        producer.abort().unwrap();
    }
    // The refused record has left a gap in the sequence of its partition: the client finds out with the next
    // record, gives up that transaction, and goes on.
    let mut tries = 0;
    loop {
        tries += 1;
        producer.begin().unwrap();
        producer.put(out(&output, "k", "small")).unwrap();
        match producer.drain().map_err(|mut failures| failures.remove(0)).and_then(|()| producer.commit()) {
            Ok(()) => break,
            Err(ProduceError::Abort(_)) if tries == 1 => producer.abort().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(cluster.values(&output), ["small"]);
}

#[test]
fn a_timestamp_that_the_topic_refuses_is_the_records_fault() {
    let cluster = shared();
    let output = cluster.topic("out", 1, &[("message.timestamp.after.max.ms", "1000")]);
    let mut producer = producer(cluster, &unique("t"), &output);
    producer.begin().unwrap();
    producer.put(Output { timestamp: TimestampMs(4_102_444_800_000), ..out(&output, "k", "of 2100") }).unwrap();
    let failures = producer.drain().unwrap_err();
    assert!(matches!(&failures[..], [ProduceError::Refused { topic, .. }] if *topic == output), "{failures:?}");
    producer.abort().unwrap();
}

#[test]
fn a_write_that_cannot_be_is_refused() {
    let cluster = shared();
    let mut nowhere = EventWriter::open(&cluster.settings("g"), &unique("missing"), Duration::from_secs(5)).unwrap();
    let refused = nowhere.append(b"{}");
    assert!(matches!(refused, Err(WriteError::Refused(_))), "{refused:?}");
    let control = cluster.topic("control", 1, &[("max.message.bytes", "1000")]);
    let mut writer = EventWriter::open(&cluster.settings("g"), &control, PATIENCE).unwrap();
    let refused = writer.append(noise(1, 5000).as_bytes());
    assert!(matches!(refused, Err(WriteError::Refused(_))), "{refused:?}");
    writer.append(b"{}").unwrap();
    assert_eq!(cluster.values(&control), ["{}"]);
}
