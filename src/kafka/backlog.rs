//! How far the group is behind its input, for the metrics, and where a time lies in it: ends of partitions, how old the next record is,
//! offsets by time.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::{ClientError, Deadline, Logged, Unanswered, ask, create, heard_elsewhere, watermarks};
use super::settings::KafkaSettings;
use crate::id::Offset;
use crate::time::TimestampMs;
use crate::transport::{LogBounds, Start};

/// A client for questions about input partitions. It never joins the group.
pub struct Backlog {
    consumer: BaseConsumer<Logged>,
}

impl Backlog {
    /// Made once; each question waits for its answer.
    pub fn open(settings: &KafkaSettings) -> Result<Self, ClientError> {
        Ok(Self { consumer: create(&settings.consumer(&format!("{}-reader", settings.group), "read_committed"))? })
    }

    /// The same, which sees records of transactions too that are still open: their offsets count already.
    pub fn open_uncommitted(settings: &KafkaSettings) -> Result<Self, ClientError> {
        Ok(Self { consumer: create(&settings.consumer(&format!("{}-reader", settings.group), "read_uncommitted"))? })
    }

    /// By partition, the first offset whose record has this Kafka timestamp or a later one; none where all are older.
    pub fn first_since(&self, topic: &str, partitions: i32, time: TimestampMs, wait: Duration) -> Result<Vec<Option<Offset>>, ClientError> {
        // Below 0 the protocol means other things: no record is older.
        let since = time.0.max(0);
        let what = format_args!("the offsets of a time in {topic}");
        let answer = ask(self.consumer.client(), heard_elsewhere, what, Deadline::after(wait), |left| {
            let mut list = TopicPartitionList::with_capacity(partitions as usize);
            for partition in 0..partitions {
                list.add_partition_offset(topic, partition, Place::Offset(since))?;
            }
            let found = self.consumer.offsets_for_times(list, left)?;
            let mut offsets = vec![None; partitions as usize];
            for found in found.elements() {
                found.error()?;
                if let Place::Offset(offset) = found.offset() {
                    offsets[found.partition() as usize] = Some(Offset(offset));
                }
            }
            Ok(offsets)
        });
        answer.map_err(ClientError::from)
    }

    /// Where partitions begin, in their order; all are asked about at once. The end is the last stable offset: what an open transaction
    /// holds is still to come.
    pub(super) fn first_of_each(&self, partitions: &[(&str, i32, Start)], wait: Duration) -> Result<Vec<Offset>, Unanswered> {
        ask(self.consumer.client(), heard_elsewhere, "where partitions begin", Deadline::after(wait), |left| {
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for (topic, partition, start) in partitions {
                // As times these mean the log's own.
                let place = match start {
                    Start::Earliest => Place::Beginning,
                    Start::Latest => Place::End,
                };
                list.add_partition_offset(topic, *partition, place)?;
            }
            let found = self.consumer.offsets_for_times(list, left)?;
            found
                .elements()
                .iter()
                .map(|found| {
                    found.error()?;
                    match found.offset() {
                        Place::Offset(offset) => Ok(Offset(offset)),
                        _ => Err(KafkaError::OffsetFetch(Code::LeaderNotAvailable)),
                    }
                })
                .collect()
        })
    }

    /// The offsets of the oldest record of each partition and after the newest, in their order.
    pub fn bounds_of_each(&self, partitions: &[(&str, i32)], wait: Duration) -> Result<Vec<LogBounds>, ClientError> {
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let each = |start| self.first_of_each(&partitions.iter().map(|(topic, at)| (*topic, *at, start)).collect::<Vec<_>>(), wait);
        let (starts, ends) = (each(Start::Earliest)?, each(Start::Latest)?);
        Ok(starts.into_iter().zip(ends).map(|(start, end)| LogBounds { start, end }).collect())
    }

    /// Where one of them begins.
    pub(super) fn first(&self, topic: &str, partition: i32, start: Start, wait: Duration) -> Result<Offset, Unanswered> {
        let (first, end) = watermarks(&self.consumer, heard_elsewhere, topic, partition, wait)?;
        Ok(Offset(match start {
            Start::Earliest => first,
            Start::Latest => end,
        }))
    }

    /// The offsets of the oldest record of a partition and after the newest.
    pub fn bounds(&self, topic: &str, partition: i32, wait: Duration) -> Result<LogBounds, ClientError> {
        let (start, end) = watermarks(&self.consumer, heard_elsewhere, topic, partition, wait)?;
        Ok(LogBounds { start: Offset(start), end: Offset(end) })
    }

    /// The Kafka timestamp of the first record at or after an offset; none if no record comes within `wait`.
    pub fn timestamp_at(&self, topic: &str, partition: i32, offset: Offset, wait: Duration) -> Result<Option<TimestampMs>, ClientError> {
        let failed = |error| ClientError::of(&error);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Place::Offset(offset.0)).map_err(failed)?;
        self.consumer.assign(&list).map_err(failed)?;
        let deadline = Deadline::after(wait);
        let mut found = None;
        while found.is_none() && !deadline.has_passed() {
            // Errors of the poll are of no interest here: the question is asked again in the next round.
            found = self.consumer.poll(deadline.left()).and_then(Result::ok).and_then(|m| m.timestamp().to_millis()).map(TimestampMs);
        }
        self.consumer.unassign().map_err(failed)?;
        Ok(found)
    }
}
