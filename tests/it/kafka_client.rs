//! The seams of `transport` on a real broker: what outputs, exactly-once and the fence build on (docs/librdkafka.md).

use std::time::{Duration, Instant};

use sharecast::id::{Offset, StreamIndex};
use sharecast::kafka::{
    Admin, ClientError, CommittedOffsets, EventWriter, InputTopic, KafkaConsumer, KafkaControlLog, KafkaEndProbe, KafkaProducer,
    KafkaSettings, MockKafka, TopicReader, WriteError,
};
use sharecast::time::TimestampMs;
use sharecast::transport::{
    AssignmentChange, Batch, ConsumeError, ControlLog, EndProbe, GroupConsumer, InputOffset, LogBounds, Output, ProduceError,
    SourcePartition, Start, TransactionalProducer,
};

use super::broker::{Cluster, PATIENCE, shared, unique};

const TICK: Duration = Duration::from_millis(50);

fn sources(topic: &str) -> Vec<InputTopic> {
    vec![InputTopic { stream: StreamIndex(0), topic: topic.to_owned() }]
}

fn at(partition: i32) -> SourcePartition {
    SourcePartition { stream: StreamIndex(0), partition }
}

fn out<'a>(topic: &'a str, key: &'a str, value: &'a str) -> Output<'a> {
    Output { topic, partition: None, key: Some(key.as_bytes()), timestamp: TimestampMs(77), value: Some(value.as_bytes()), headers: &[] }
}

/// A member with what its polls brought.
struct Member {
    consumer: KafkaConsumer,
    batch: Batch,
    changes: Vec<AssignmentChange>,
    /// Assigned, and not yet known where they were committed.
    unread: Vec<SourcePartition>,
    /// Without committed offset.
    unbegun: Vec<SourcePartition>,
}

impl Member {
    fn join(cluster: &Cluster, group: &str, topic: &str) -> Self {
        let consumer = KafkaConsumer::join(&cluster.settings(group), group, &sources(topic)).unwrap();
        Self { consumer, batch: Batch::default(), changes: Vec::new(), unread: Vec::new(), unbegun: Vec::new() }
    }

    /// What comes is read on from where it was committed; what was never begun waits.
    fn poll(&mut self) {
        let known = self.changes.len();
        self.consumer.poll(TICK, 1000, &mut self.batch, &mut self.changes).unwrap();
        for change in &self.changes[known.min(self.changes.len())..] {
            match change {
                AssignmentChange::Assigned(partitions) => self.unread.extend(partitions),
                AssignmentChange::Revoked(partitions) => self.unread.retain(|unread| !partitions.contains(unread)),
                AssignmentChange::OutOfRange(_) => {}
            }
        }
        if let Ok(places) = self.consumer.committed(&self.unread.clone(), TICK) {
            for (partition, place) in std::mem::take(&mut self.unread).into_iter().zip(places) {
                match place {
                    Some(offset) => self.consumer.release(partition, offset).unwrap(),
                    None => self.unbegun.push(partition),
                }
            }
        }
    }

    fn poll_until(&mut self, mut is_enough: impl FnMut(&mut Self) -> bool) {
        let end = deadline();
        while !is_enough(self) {
            assert!(!is_over(end), "gave up: {:?}, {} records", self.changes, self.batch.len());
            self.poll();
        }
    }

    /// Polls until it holds the partitions and each has begun.
    fn begin(&mut self, partitions: i32, start: Start) {
        let mut begun = 0;
        self.poll_until(|member| {
            for partition in std::mem::take(&mut member.unbegun) {
                let first = member.consumer.first(partition, start).unwrap();
                member.consumer.release(partition, first).unwrap();
                begun += 1;
            }
            begun == partitions
        });
        self.changes.clear();
    }

    fn values(&self) -> Vec<String> {
        self.batch.iter().map(|record| String::from_utf8_lossy(record.value.unwrap_or(b"null")).into_owned()).collect()
    }
}

#[allow(clippy::disallowed_methods)]
fn deadline() -> Instant {
    Instant::now() + PATIENCE
}

#[allow(clippy::disallowed_methods)]
fn is_over(end: Instant) -> bool {
    Instant::now() > end
}

fn producer(cluster: &Cluster, id: &str, source: &str) -> KafkaProducer {
    KafkaProducer::start(&cluster.settings("g"), id, &sources(source), PATIENCE).unwrap()
}

fn committed(cluster: &Cluster, group: &str, topic: &str, partition: i32) -> Option<(i64, String)> {
    let answer = CommittedOffsets::of(&cluster.settings(group), group).unwrap().ask(&[(topic, partition)], PATIENCE).unwrap();
    answer[0].as_ref().map(|found| (found.offset.0, String::from_utf8(found.note.clone()).unwrap()))
}

#[test]
fn what_is_consumed_is_produced_and_committed_once() {
    let cluster = shared();
    let (group, input, output) = (unique("g"), cluster.topic("in", 1, &[]), cluster.topic("out", 3, &[]));
    cluster.produce(&input, [(0, "k1", "a"), (0, "k2", "b"), (0, "k1", "c")]);
    let mut member = Member::join(cluster, &group, &input);
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
    let mut next = Member::join(cluster, &group, &input);
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
    let mut old = Member::join(cluster, &group, &input);
    old.begin(2, Start::Earliest);
    let mut producer = producer(cluster, &unique("t"), &input);
    producer.begin().unwrap();
    producer.put(out(&output, "k", "of the zombie")).unwrap();
    producer.drain().unwrap();

    // Another one comes while the old one is not looking; its first assignment is empty, but a new generation.
    let mut new = Member::join(cluster, &group, &input);
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
fn a_cooperative_rebalance_leaves_kept_partitions_alone() {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 2, &[]));
    cluster.produce(&input, [(0, "k", "p0 a"), (1, "k", "p1 a")]);
    let mut first = Member::join(cluster, &group, &input);
    first.begin(2, Start::Earliest);
    first.poll_until(|first| first.batch.len() == 2);
    first.batch.clear();
    first.changes.clear();

    let mut second = Member::join(cluster, &group, &input);
    first.poll_until(|first| {
        second.poll();
        first.consumer.held().len() == 1 && second.consumer.held().len() == 1
    });
    let (kept, moved) = (first.consumer.held()[0], second.consumer.held()[0]);
    assert_eq!(first.changes.first(), Some(&AssignmentChange::Revoked(vec![moved])));
    assert!(first.consumer.membership().is_some(), "what is kept may still be committed");
    second.begin(1, Start::Earliest);
    cluster.produce(&input, [(0, "k", "p0 b"), (1, "k", "p1 b")]);
    first.poll_until(|first| {
        second.poll();
        !first.batch.is_empty() && second.batch.len() == 2
    });
    // The kept partition goes on where it was; the moved one, of which nothing was committed, begins again.
    assert_eq!(first.values(), [format!("p{} b", kept.partition)]);
    assert_eq!(second.values(), [format!("p{} a", moved.partition), format!("p{} b", moved.partition)]);

    // The last one to leave gives everything back.
    drop(second);
    first.changes.clear();
    first.poll_until(|first| first.consumer.held().len() == 2);
    assert!(first.changes.contains(&AssignmentChange::Assigned(vec![moved])));
}

#[test]
fn a_partition_without_position_begins_where_it_is_told() {
    let cluster = shared();
    let input = cluster.topic("in", 2, &[]);
    cluster.produce(&input, [(0, "k", "old 0"), (1, "k", "old 1")]);
    let mut member = Member::join(cluster, &unique("g"), &input);
    member.poll_until(|member| member.unbegun.len() == 2);
    assert!(member.batch.is_empty());
    for (partition, start, first) in [(at(0), Start::Earliest, Offset(0)), (at(1), Start::Latest, Offset(1))] {
        assert_eq!(member.consumer.first(partition, start).unwrap(), first);
        member.consumer.release(partition, first).unwrap();
    }
    cluster.produce(&input, [(0, "k", "new 0"), (1, "k", "new 1")]);
    member.poll_until(|member| member.batch.len() == 3);
    let mut values = member.values();
    values.sort();
    assert_eq!(values, ["new 0", "new 1", "old 0"]);
}

#[test]
fn a_position_that_is_not_in_the_log_is_told_from_none() {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 1, &[]));
    let mut member = Member::join(cluster, &group, &input);
    member.begin(1, Start::Earliest);
    let mut producer = producer(cluster, &unique("t"), &input);
    producer.begin().unwrap();
    producer.send_offsets(&[InputOffset::new(at(0), Offset(100))], member.consumer.membership().unwrap()).unwrap();
    producer.commit().unwrap();
    drop(member);
    let mut next = Member::join(cluster, &group, &input);
    next.poll_until(|next| next.changes.len() >= 2);
    assert_eq!(next.changes, [AssignmentChange::Assigned(vec![at(0)]), AssignmentChange::OutOfRange(at(0))]);
}

#[test]
fn a_new_owner_waits_for_the_transaction_that_holds_its_offsets() {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 1, &[]));
    cluster.produce(&input, [(0, "k", "a"), (0, "k", "b")]);
    let mut old = Member::join(cluster, &group, &input);
    old.begin(1, Start::Earliest);
    let mut producer = producer(cluster, &unique("t"), &input);
    producer.begin().unwrap();
    producer.send_offsets(&[InputOffset::new(at(0), Offset(1))], old.consumer.membership().unwrap()).unwrap();
    drop(old);

    let mut new = Member::join(cluster, &group, &input);
    new.poll_until(|new| !new.changes.is_empty());
    for _ in 0..40 {
        new.poll();
    }
    assert_eq!((new.changes.as_slice(), new.batch.len()), (&[AssignmentChange::Assigned(vec![at(0)])][..], 0));
    producer.commit().unwrap();
    new.poll_until(|new| !new.batch.is_empty());
    assert_eq!(new.values(), ["b"]);
    assert_eq!(new.changes.len(), 1);
}

#[test]
fn a_pause_loses_and_repeats_nothing() {
    let cluster = shared();
    let input = cluster.topic("in", 1, &[]);
    let values: Vec<String> = (0..500).map(|index| index.to_string()).collect();
    cluster.produce(&input, values.iter().map(|value| (0, "k", value.as_str())));
    let mut member = Member::join(cluster, &unique("g"), &input);
    member.consumer.pause().unwrap();
    // Assigned while paused: nothing comes.
    member.begin(1, Start::Earliest);
    for _ in 0..5 {
        member.poll();
    }
    assert!(member.batch.is_empty());
    member.consumer.resume().unwrap();
    let end = deadline();
    while member.batch.len() < 500 {
        assert!(!is_over(end), "{} records", member.batch.len());
        member.consumer.poll(TICK, 7, &mut member.batch, &mut member.changes).unwrap();
        member.consumer.pause().unwrap();
        let before = member.batch.len();
        member.consumer.poll(Duration::ZERO, 7, &mut member.batch, &mut member.changes).unwrap();
        assert_eq!(member.batch.len(), before, "nothing comes while it is paused");
        member.consumer.resume().unwrap();
    }
    assert_eq!(member.values(), values);
}

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

/// Bytes that do not compress.
fn noise(len: usize) -> String {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + (state >> 33) as u8 % 90)
    };
    (0..len).map(next).collect()
}

#[test]
fn a_record_above_the_topics_limit_is_refused_and_the_route_is_well() {
    let cluster = shared();
    let (input, output) = (cluster.topic("in", 1, &[]), cluster.topic("out", 1, &[("max.message.bytes", "20000")]));
    let mut producer = producer(cluster, &unique("t"), &input);
    // One that only the topic refuses and one that the client refuses itself.
    for len in [50_000, 9_000_000] {
        let large = noise(len);
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

/// Polls the log until its position has reached `end`.
fn fold_to(log: &mut KafkaControlLog, end: Offset) -> Vec<String> {
    let (mut records, limit) = (Vec::new(), deadline());
    while log.position().unwrap() < end {
        assert!(!is_over(limit), "position {:?}", log.position());
        log.poll(TICK, &mut records).unwrap();
    }
    records.into_iter().map(|record| String::from_utf8(record.value.unwrap_or_default()).unwrap()).collect()
}

#[test]
fn the_position_passes_markers_and_the_end_is_seen_behind_an_open_transaction() {
    let cluster = shared();
    let control = cluster.topic("control", 1, &[]);
    let settings = cluster.settings("g");
    let mut probe = KafkaEndProbe::open(&settings, &control, PATIENCE).unwrap();
    let mut log = KafkaControlLog::open(&settings, &control, Offset(0)).unwrap();
    assert_eq!((probe.ask().unwrap().end, log.position().unwrap()), (Offset(0), Offset(0)));

    let mut writer = EventWriter::open(&settings, &control, PATIENCE).unwrap();
    assert_eq!(writer.append(b"{1}").unwrap(), Offset(0));
    assert_eq!(fold_to(&mut log, probe.ask().unwrap().end), ["{1}"]);

    // A foreign transaction, open: what is acknowledged after it is in the log but not to be read yet.
    let mut foreign = producer(cluster, &unique("t"), &control);
    foreign.begin().unwrap();
    foreign.put(out(&control, "k", "{foreign}")).unwrap();
    foreign.drain().unwrap();
    assert_eq!(writer.append(b"{2}").unwrap(), Offset(2));
    assert_eq!(probe.ask().unwrap().end, Offset(3));
    let mut records = Vec::new();
    for _ in 0..10 {
        log.poll(TICK, &mut records).unwrap();
    }
    assert_eq!((records.len(), log.position().unwrap()), (0, Offset(1)));

    // Aborted, it leaves a marker at the end that no reader is handed.
    foreign.abort().unwrap();
    // The coordinator answers before it has written the marker.
    let limit = deadline();
    while probe.ask().unwrap() != (LogBounds { start: Offset(0), end: Offset(4) }) {
        assert!(!is_over(limit));
    }
    assert_eq!(fold_to(&mut log, Offset(4)), ["{2}"]);
    assert_eq!(log.position().unwrap(), Offset(4));
}

#[test]
fn a_control_log_that_does_not_reach_back_is_not_read() {
    let cluster = shared();
    let control = cluster.topic("control", 1, &[]);
    let mut log = KafkaControlLog::open(&cluster.settings("g"), &control, Offset(5)).unwrap();
    let (mut records, end) = (Vec::new(), deadline());
    let error = loop {
        assert!(!is_over(end));
        if let Err(error) = log.poll(TICK, &mut records) {
            break error;
        }
    };
    assert!(matches!(error, ConsumeError::Fatal(_)), "{error:?}");
}

#[test]
fn the_control_topic_is_made_as_it_is_wanted_and_checked() {
    let cluster = shared();
    let admin = cluster.admin();
    let brokers = admin.brokers().unwrap();
    let spec = sharecast::kafka::control_topic(&unique("control"), brokers);
    assert_eq!(admin.check_control_topic(&spec.name).unwrap(), None);
    assert_eq!(admin.create(std::slice::from_ref(&spec)).unwrap(), [sharecast::kafka::Created::New]);
    assert_eq!(admin.create(std::slice::from_ref(&spec)).unwrap(), [sharecast::kafka::Created::Existing]);
    assert_eq!(admin.check_control_topic(&spec.name).unwrap().unwrap().faults, [""; 0]);
    let other = cluster.topic("control", 2, &[("retention.ms", "1000"), ("cleanup.policy", "compact")]);
    // Partitions, clean-up, timestamps, retention.
    assert_eq!(admin.check_control_topic(&other).unwrap().unwrap().faults.len(), 4);
    assert_eq!(admin.cluster_id().unwrap().len(), 22);
}

#[test]
fn a_drained_transaction_commits_at_once() {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 1, &[]));
    let outputs: Vec<String> = (0..20).map(|_| cluster.topic("out", 1, &[])).collect();
    let mut member = Member::join(cluster, &group, &input);
    member.begin(1, Start::Earliest);
    let mut producer = producer(cluster, &unique("t"), &input);
    let value = noise(500);
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

#[test]
fn a_reader_sees_the_whole_topic_and_waits_for_open_transactions() {
    let cluster = shared();
    let state = cluster.topic("state", 2, &[("cleanup.policy", "compact")]);
    let mut writer = EventWriter::open(&cluster.settings("g"), &state, PATIENCE).unwrap();
    writer.append_record(Some(b"a"), Some(b"1"), &[]).unwrap();
    writer.append_record(Some(b"a"), None, &[]).unwrap();
    let mut producer = producer(cluster, &unique("t"), &state);
    producer.begin().unwrap();
    producer.put(out(&state, "a", "2")).unwrap();
    producer.drain().unwrap();
    let mut reader = TopicReader::open(&cluster.settings("g"), &state, 0..2).unwrap();
    let (mut seen, end) = (0, deadline());
    while seen < 2 {
        assert!(!is_over(end));
        reader.follow(TICK, |_| seen += 1).unwrap();
    }
    let early = reader.read_to_end(Duration::from_millis(300), |_| seen += 1);
    assert!(matches!(early, Err(ConsumeError::Unavailable(_))), "{early:?}");
    assert_eq!(seen, 2, "what an open transaction has written is not shown");
    producer.commit().unwrap();
    let mut values = Vec::new();
    reader.read_to_end(PATIENCE, |record| values.push(record.value().map(<[u8]>::to_vec))).unwrap();
    assert_eq!(values, [Some(b"2".to_vec())]);
}

#[test]
fn a_write_that_cannot_be_is_refused() {
    let cluster = shared();
    let mut nowhere = EventWriter::open(&cluster.settings("g"), &unique("missing"), Duration::from_secs(5)).unwrap();
    let refused = nowhere.append(b"{}");
    assert!(matches!(refused, Err(WriteError::Refused(_))), "{refused:?}");
    let control = cluster.topic("control", 1, &[("max.message.bytes", "1000")]);
    let mut writer = EventWriter::open(&cluster.settings("g"), &control, PATIENCE).unwrap();
    let refused = writer.append(noise(5000).as_bytes());
    assert!(matches!(refused, Err(WriteError::Refused(_))), "{refused:?}");
    writer.append(b"{}").unwrap();
    assert_eq!(cluster.values(&control), ["{}"]);
}

#[test]
fn a_missing_input_topic_is_refused() {
    let cluster = shared();
    let mut member = Member::join(cluster, &unique("g"), &unique("missing"));
    let end = deadline();
    let error = loop {
        assert!(!is_over(end));
        if let Err(error) = member.consumer.poll(TICK, 10, &mut member.batch, &mut member.changes) {
            break error;
        }
    };
    assert!(matches!(error, ConsumeError::Refused(_)), "{error:?}");
}

#[test]
fn nobody_at_home_is_unavailable() {
    let settings = KafkaSettings { bootstrap: "127.0.0.1:1".to_owned(), group: "g".to_owned(), ..KafkaSettings::default() };
    let probe = KafkaEndProbe::open(&settings, "t", Duration::from_millis(300)).unwrap().ask();
    assert!(matches!(probe, Err(ConsumeError::Unavailable(_))), "{probe:?}");
    let producer = KafkaProducer::start(&settings, "t", &[], Duration::from_millis(300)).map(|_| ());
    assert!(matches!(producer, Err(ClientError::Unavailable(_))), "{producer:?}");
    let write = EventWriter::open(&settings, "t", Duration::from_millis(300)).unwrap().append(b"{}");
    assert!(matches!(write, Err(WriteError::Unknown(_))), "{write:?}");
    let admin = Admin::open(&settings, Duration::from_millis(300)).unwrap().cluster_id();
    assert!(matches!(admin, Err(ClientError::Unavailable(_))), "{admin:?}");
}

#[test]
fn the_mock_cluster_carries_records() {
    let mock = MockKafka::start(1).unwrap();
    mock.create_topic("in", 1).unwrap();
    let settings = mock.settings("g");
    EventWriter::open(&settings, "in", PATIENCE).unwrap().append(b"{1}").unwrap();
    let consumer = KafkaConsumer::join(&settings, "g", &sources("in")).unwrap();
    let mut member = Member { consumer, batch: Batch::default(), changes: Vec::new(), unread: Vec::new(), unbegun: Vec::new() };
    member.begin(1, Start::Earliest);
    member.poll_until(|member| !member.batch.is_empty());
    let mut producer = KafkaProducer::start(&settings, "t", &sources("in"), PATIENCE).unwrap();
    producer.begin().unwrap();
    producer.put(out("in", "k", "{2}")).unwrap();
    producer.drain().unwrap();
    producer.send_offsets(&[InputOffset::new(at(0), Offset(1))], member.consumer.membership().unwrap()).unwrap();
    producer.commit().unwrap();
    member.poll_until(|member| member.batch.len() == 2);
    assert_eq!(member.values(), ["{1}", "{2}"]);
}

/// Three nodes, one of them killed and another paused while transactions go on: each record is seen once.
#[test]
fn what_a_broken_cluster_acknowledges_is_seen_once() {
    let cluster = Cluster::start(3);
    let (group, input, output) = (unique("g"), cluster.topic("in", 1, &[]), cluster.topic("out", 3, &[]));
    let values: Vec<String> = (0..60).map(|index| index.to_string()).collect();
    cluster.produce(&input, values.iter().map(|value| (0, value.as_str(), value.as_str())));
    let mut member = Member::join(&cluster, &group, &input);
    member.begin(1, Start::Earliest);
    let id = unique("t");
    let mut producer = remake(None, &cluster, &id, &input);
    let mut next = 0;
    let mut done = 0;
    while done < 60 {
        match next {
            10 => cluster.node("kill", 1),
            25 => cluster.node("start-node", 1),
            30 => cluster.node("pause", 2),
            45 => cluster.node("cont", 2),
            _ => {}
        }
        next += 1;
        let end = deadline();
        while member.batch.is_empty() {
            assert!(!is_over(end), "no more records after {done}");
            match member.consumer.poll(TICK, 1, &mut member.batch, &mut member.changes) {
                Ok(()) | Err(ConsumeError::Unavailable(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        // The same record until it is committed, as the worker does.
        let record = member.batch.iter().next().unwrap();
        assert_eq!(record.offset.0, done);
        let result = producer.begin().and_then(|()| {
            producer.put(Output {
                topic: &output,
                partition: None,
                key: record.key,
                timestamp: record.timestamp,
                value: record.value,
                headers: &[],
            })?;
            producer.drain().map_err(|mut failures| failures.remove(0))?;
            producer
                .send_offsets(&[InputOffset::new(record.source, Offset(record.offset.0 + 1))], member.consumer.membership().unwrap())?;
            producer.commit()
        });
        match result {
            Ok(()) => {
                done += 1;
                member.batch.clear();
            }
            Err(ProduceError::Fatal(reason)) => {
                println!("record {done}: new producer: {reason}");
                producer = remake(Some(producer), &cluster, &id, &input);
                // The end of a commit that timed out is unknown; the offsets, written with it, say.
                if committed(&cluster, &group, &input, 0).is_some_and(|(offset, _)| offset == done + 1) {
                    done += 1;
                    member.batch.clear();
                }
            }
            Err(error) => {
                println!("record {done}: {error}");
                if let Err(error) = producer.abort() {
                    println!("record {done}: abort: {error}");
                    producer = remake(Some(producer), &cluster, &id, &input);
                }
            }
        }
    }
    let mut seen: Vec<i64> = cluster.values(&output).iter().map(|value| value.parse().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..60).collect::<Vec<_>>());
}

/// With a short time-out, so that what a paused node holds fails soon.
fn remake(old: Option<KafkaProducer>, cluster: &Cluster, id: &str, source: &str) -> KafkaProducer {
    drop(old);
    let mut settings = cluster.settings("g");
    settings.producer.insert("transaction.timeout.ms".to_owned(), "5000".to_owned());
    KafkaProducer::start(&settings, id, &sources(source), PATIENCE).unwrap()
}
