//! A cluster that is away, that is a mock, or that breaks.

use std::time::Duration;

use sharecast::config::DataPlane;
use sharecast::id::Offset;
use sharecast::kafka::{Admin, ClientError, DataProducer, EventWriter, KafkaConsumer, KafkaEndProbe, KafkaSettings, MockKafka, WriteError};
use sharecast::transport::{Batch, ConsumeError, EndProbe, GroupConsumer, InputOffset, Output, ProduceError, Start, TransactionalProducer};

use super::{Member, at, committed, deadline, is_over, out, sources};
use crate::broker::{Cluster, PATIENCE, unique};

#[test]
fn nobody_at_home_is_unavailable() {
    let settings = KafkaSettings { bootstrap: "127.0.0.1:1".to_owned(), group: "g".to_owned(), ..KafkaSettings::default() };
    let probe = KafkaEndProbe::open(&settings, "t", Duration::from_millis(300)).unwrap().ask();
    assert!(matches!(probe, Err(ConsumeError::Unavailable(_))), "{probe:?}");
    let producer = DataProducer::start(&settings, "t", &[], Duration::from_millis(300)).map(|_| ());
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
    let mut producer = DataProducer::start(&settings, "t", &sources("in"), PATIENCE).unwrap();
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
    let mut member = Member::join_as(&KafkaSettings { data_plane: DataPlane::Native, ..cluster.settings(&group) }, &group, &input);
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
            match member.poll_records(1) {
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
                // Its coordinator was away for longer than its session: it joins again by polling.
                if matches!(error, ProduceError::StaleMember(_)) {
                    member.batch.clear();
                }
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
fn remake(old: Option<DataProducer>, cluster: &Cluster, id: &str, source: &str) -> DataProducer {
    drop(old);
    let mut settings = cluster.settings("g");
    settings.producer.insert("transaction.timeout.ms".to_owned(), "5000".to_owned());
    DataProducer::start(&settings, id, &sources(source), PATIENCE).unwrap()
}
