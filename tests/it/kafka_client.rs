//! The seams of `transport` on a real broker: what outputs, exactly-once and the fence build on (docs/librdkafka.md).

mod cluster;
mod consumer;
mod logs;
mod routes;
mod transactions;

use std::time::{Duration, Instant};

use sharecast::config::DataPlane;
use sharecast::id::StreamIndex;
use sharecast::kafka::{CommittedOffsets, DataProducer, InputTopic, KafkaConsumer, KafkaSettings};
use sharecast::time::TimestampMs;
use sharecast::transport::{AssignmentChange, Batch, ConsumeError, GroupConsumer, Output, SourcePartition, Start};

use super::broker::{Cluster, PATIENCE};

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
    /// A member whose records come by this client. Its session outlasts every patience: nobody puts it out of its group because a broker
    /// or this process has much else to do.
    fn join(cluster: &Cluster, data_plane: DataPlane, group: &str, topic: &str) -> Self {
        let mut settings = KafkaSettings { data_plane, ..cluster.settings(group) };
        for (key, value) in [("session.timeout.ms", "240000"), ("max.poll.interval.ms", "300000")] {
            settings.consumer.insert(key.to_owned(), value.to_owned());
        }
        Self::join_as(&settings, group, topic)
    }

    /// A member with these settings.
    fn join_as(settings: &KafkaSettings, group: &str, topic: &str) -> Self {
        let data_plane = settings.data_plane;
        let consumer = KafkaConsumer::join_data_plane(settings, group, &sources(topic), PATIENCE).unwrap();
        assert_eq!(consumer.reads_natively(), data_plane == DataPlane::Native);
        Self { consumer, batch: Batch::default(), changes: Vec::new(), unread: Vec::new(), unbegun: Vec::new() }
    }

    /// What comes is read on from where it was committed; what was never begun waits.
    fn poll(&mut self) {
        self.poll_records(1000).unwrap();
    }

    /// At most so many records.
    fn poll_records(&mut self, most: usize) -> Result<(), ConsumeError> {
        let known = self.changes.len();
        let polled = self.consumer.poll(TICK, most, &mut self.batch, &mut self.changes);
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
        polled
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

fn producer(cluster: &Cluster, id: &str, source: &str) -> DataProducer {
    DataProducer::start(&cluster.settings("g"), id, &sources(source), PATIENCE).unwrap()
}

/// The same, whose transactions may stay open for longer than everything else here takes.
fn patient_producer(cluster: &Cluster, id: &str, source: &str) -> DataProducer {
    let mut settings = cluster.settings("g");
    settings.producer.insert("transaction.timeout.ms".to_owned(), "600000".to_owned());
    DataProducer::start(&settings, id, &sources(source), PATIENCE).unwrap()
}

fn committed(cluster: &Cluster, group: &str, topic: &str, partition: i32) -> Option<(i64, String)> {
    let answer = CommittedOffsets::of(&cluster.settings(group), group).unwrap().ask(&[(topic, partition)], PATIENCE).unwrap();
    answer[0].as_ref().map(|found| (found.offset.0, String::from_utf8(found.note.clone()).unwrap()))
}
