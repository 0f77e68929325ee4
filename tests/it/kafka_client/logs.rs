//! Reading the control topic and other topics to their ends.

use std::time::Duration;

use sharecast::id::Offset;
use sharecast::kafka::{EventWriter, KafkaControlLog, KafkaEndProbe, TopicReader};
use sharecast::transport::{ConsumeError, ControlLog, EndProbe, LogBounds, TransactionalProducer};

use super::{TICK, deadline, is_over, out, patient_producer};
use crate::broker::{PATIENCE, shared, unique};

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

    // A foreign transaction, open: what is acknowledged behind it is in the log but not to be read yet.
    let mut foreign = patient_producer(cluster, &unique("t"), &control);
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
    assert!(matches!(error, ConsumeError::Refused(_)), "{error:?}");
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
fn a_reader_sees_the_whole_topic_and_waits_for_open_transactions() {
    let cluster = shared();
    let state = cluster.topic("state", 2, &[("cleanup.policy", "compact")]);
    let mut writer = EventWriter::open(&cluster.settings("g"), &state, PATIENCE).unwrap();
    writer.append_record(Some(b"a"), Some(b"1"), &[]).unwrap();
    writer.append_record(Some(b"a"), None, &[]).unwrap();
    let mut producer = patient_producer(cluster, &unique("t"), &state);
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
