//! What is consumed is produced and committed once, and who may commit at all.

use sharecast::config::DataPlane;
use sharecast::id::Offset;
use sharecast::time::TimestampMs;
use sharecast::transport::{AssignmentChange, GroupConsumer, InputOffset, Output, ProduceError, Start, TransactionalProducer};

use super::super::fixture::noise;
use super::{Member, at, committed, deadline, out, patient_producer, producer};
use crate::broker::{shared, unique};

#[test]
fn what_is_consumed_is_produced_and_committed_once() {
    let cluster = shared();
    let (group, input, output) = (unique("g"), cluster.topic("in", 1, &[]), cluster.topic("out", 3, &[]));
    cluster.produce(&input, [(0, "k1", "a"), (0, "k2", "b"), (0, "k1", "c")]);
    let mut member = Member::join(cluster, DataPlane::Native, &group, &input);
    member.begin(1, Start::Earliest);
    member.poll_until(|member| member.batch.len() == 3);
    assert_eq!(member.values(), ["a", "b", "c"]);
    assert_eq!(member.batch.iter().map(|r| (r.offset.0, r.timestamp.0)).collect::<Vec<_>>(), [(0, 1000), (1, 1001), (2, 1002)]);

    let mut producer = producer(cluster, &unique("t"), &input);
    assert!(producer.sees_leader(&output).unwrap());
    producer.begin().unwrap();
    for record in member.batch.iter() {
        let headers: &[(&str, &[u8])] = if record.offset.0 == 0 { &[("ce_id", b"1")] } else { &[] };
        producer
            .put(Output { topic: &output, partition: None, key: record.key, timestamp: record.timestamp, value: record.value, headers })
            .unwrap();
    }
    producer
        .put(Output { topic: &output, partition: None, key: Some(b"k3"), timestamp: TimestampMs(5), value: None, headers: &[] })
        .unwrap();
    producer.drain().unwrap();
    producer
        .send_offsets(
            &[InputOffset { note: "epoch 7".into(), ..InputOffset::new(at(0), Offset(3)) }],
            member.consumer.membership().unwrap(),
        )
        .unwrap();
    producer.commit().unwrap();

    let mut seen = cluster.read(&output);
    seen.sort_by_key(|record| record.timestamp_ms);
    let found: Vec<_> = seen.iter().map(|r| (r.timestamp_ms, r.key.as_deref().unwrap(), r.value.as_deref())).collect();
    assert_eq!(found, [(5, "k3", None), (1000, "k1", Some("a")), (1001, "k2", Some("b")), (1002, "k1", Some("c"))]);
    // As Java clients partition: murmur2 of the key, without its sign, modulo the partitions.
    for record in &seen {
        assert_eq!(record.partition, (murmur2(record.key.as_ref().unwrap().as_bytes()) & 0x7fff_ffff) as i32 % 3);
    }
    assert_eq!(committed(cluster, &group, &input, 0), Some((3, "epoch 7".to_owned())));
    drop(member);

    // The next one goes on from there.
    cluster.produce(&input, [(0, "k", "d")]);
    let mut next = Member::join(cluster, DataPlane::Native, &group, &input);
    next.poll_until(|next| !next.batch.is_empty());
    assert_eq!(next.values(), ["d"]);
}

/// The hash that Kafka's own clients use.
fn murmur2(data: &[u8]) -> u32 {
    let mut hash = 0x9747_b28c_u32 ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes(word.try_into().unwrap()).wrapping_mul(0x5bd1_e995);
        k = (k ^ (k >> 24)).wrapping_mul(0x5bd1_e995);
        hash = hash.wrapping_mul(0x5bd1_e995) ^ k;
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |k, byte| (k << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(0x5bd1_e995);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(0x5bd1_e995);
    hash ^ (hash >> 15)
}

#[test]
fn an_aborted_batch_is_never_seen_and_the_producer_goes_on() {
    let cluster = shared();
    let (input, output) = (cluster.topic("in", 1, &[]), cluster.topic("out", 1, &[]));
    let mut producer = producer(cluster, &unique("t"), &input);
    for round in 0..3 {
        producer.begin().unwrap();
        for index in 0..2000 {
            producer.put(out(&output, "k", &format!("bad {round} {index}"))).unwrap();
        }
        // Half of the rounds with everything queued, half with everything acknowledged.
        if round % 2 == 0 {
            producer.drain().unwrap();
        }
        producer.abort().unwrap();
    }
    producer.begin().unwrap();
    producer.put(out(&output, "k", "good")).unwrap();
    producer.drain().unwrap();
    producer.commit().unwrap();
    assert_eq!(cluster.values(&output), ["good"]);
}

#[test]
fn a_member_of_an_old_generation_cannot_commit() {
    let cluster = shared();
    let (group, input, output) = (unique("g"), cluster.topic("in", 2, &[]), cluster.topic("out", 1, &[]));
    let mut old = Member::join(cluster, DataPlane::Native, &group, &input);
    old.begin(2, Start::Earliest);
    let mut producer = patient_producer(cluster, &unique("t"), &input);
    producer.begin().unwrap();
    producer.put(out(&output, "k", "of the zombie")).unwrap();
    producer.drain().unwrap();

    // Another one comes while the old one is not looking; its first assignment is empty, but a new generation.
    let mut new = Member::join(cluster, DataPlane::Native, &group, &input);
    new.poll_until(|new| new.changes.iter().any(|change| matches!(change, AssignmentChange::Assigned(_))));
    let refused = producer.send_offsets(&[InputOffset::new(at(0), Offset(0))], old.consumer.membership().unwrap());
    assert!(matches!(refused, Err(ProduceError::StaleMember(_))), "{refused:?}");
    producer.abort().unwrap();

    // Once it has polled up to the next assignment it may go on with what it kept. There are two: the first ends the
    // generation in which a partition was taken back, the second begins the one in which it is given away.
    let mut tries = 0;
    loop {
        old.changes.clear();
        old.poll_until(|old| {
            new.poll();
            old.consumer.held().len() == 1 && matches!(old.changes.last(), Some(AssignmentChange::Assigned(_)))
        });
        let kept = old.consumer.held()[0];
        producer.begin().unwrap();
        producer.put(out(&output, "k", "of the member")).unwrap();
        producer.drain().unwrap();
        tries += 1;
        match producer.send_offsets(&[InputOffset::new(kept, Offset(0))], old.consumer.membership().unwrap()) {
            Ok(()) => break producer.commit().unwrap(),
            Err(ProduceError::StaleMember(_)) if tries < 3 => producer.abort().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(cluster.values(&output), ["of the member"]);
}

#[test]
fn a_second_producer_of_the_name_fences_the_first() {
    let cluster = shared();
    let output = cluster.topic("out", 1, &[]);
    let id = unique("t");
    let mut first = producer(cluster, &id, &output);
    first.begin().unwrap();
    first.put(out(&output, "k", "of the first")).unwrap();
    first.drain().unwrap();
    let mut second = producer(cluster, &id, &output);
    let fenced = first.commit();
    assert!(matches!(fenced, Err(ProduceError::Fenced(_))), "{fenced:?}");
    second.begin().unwrap();
    second.put(out(&output, "k", "of the second")).unwrap();
    second.drain().unwrap();
    second.commit().unwrap();
    assert_eq!(cluster.values(&output), ["of the second"]);
}

#[test]
fn a_drained_transaction_commits_at_once() {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 1, &[]));
    let outputs: Vec<String> = (0..20).map(|_| cluster.topic("out", 1, &[])).collect();
    let mut member = Member::join(cluster, DataPlane::Native, &group, &input);
    member.begin(1, Start::Earliest);
    let mut producer = producer(cluster, &unique("t"), &input);
    let value = noise(1, 500);
    let mut times = Vec::new();
    for round in 1..=30 {
        producer.begin().unwrap();
        for index in 0..2000 {
            producer.put(out(&outputs[index % 20], "k", &value)).unwrap();
        }
        let begun = deadline();
        producer.drain().unwrap();
        let drained = deadline();
        producer.send_offsets(&[InputOffset::new(at(0), Offset(round))], member.consumer.membership().unwrap()).unwrap();
        let sent = deadline();
        producer.commit().unwrap();
        times.push((deadline() - sent, sent - drained, drained - begun));
        member.poll();
    }
    times.sort();
    println!("commit, send offsets, drain: median {:?}, worst {:?}", times[15], times[29]);
    assert_eq!(cluster.read(&outputs[0]).len(), 30 * 100);
}
