//! The control topic as the fold reads it: `transport::ControlLog`.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::{ClientError, Deadline, Logged, create, input_failure, log};
use super::native::{EventKind, Fetched, Queue};
use super::settings::KafkaSettings;
use crate::id::Offset;
use crate::kafka::client::failure;
use crate::time::TimestampMs;
use crate::transport::{ConsumeError, ControlLog, ControlRecord};

/// So long a topic that is said to be missing is looked for.
const ASK: Duration = Duration::from_secs(5);

/// So many records at most come out of one poll: what they hold is copied.
const ROOM: usize = 10_000;

/// A reader of partition 0, read committed, outside any group.
pub struct KafkaControlLog {
    // Above the consumer: it must be dropped first.
    queue: Queue,
    consumer: BaseConsumer<Logged>,
    topic: String,
    from: Offset,
}

impl KafkaControlLog {
    /// Reads `topic` from the offset `from` on, which must be in the log or its end.
    pub fn open(settings: &KafkaSettings, topic: &str, from: Offset) -> Result<Self, ClientError> {
        // The group is never joined and nothing is committed to it: librdkafka wants a name to assign partitions by hand.
        let consumer: BaseConsumer<Logged> = create(&settings.consumer(&format!("{}-control", settings.group), "read_committed"))?;
        let failed = |error| ClientError::of(&error);
        let queue = Queue::of_consumer(consumer.client()).ok_or_else(|| ClientError::Settings("a group needs a name".to_owned()))?;
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, 0, Place::Offset(from.0)).map_err(failed)?;
        consumer.assign(&list).map_err(failed)?;
        Ok(Self { queue, consumer, topic: topic.to_owned(), from })
    }
}

fn copy(record: Fetched<'_>) -> ControlRecord {
    ControlRecord {
        offset: Offset(record.offset()),
        timestamp: TimestampMs(record.timestamp_ms()),
        value: record.value().map(<[u8]>::to_vec),
        headers: record
            .headers()
            .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.unwrap_or_default().to_vec()))
            .collect(),
    }
}

impl ControlLog for KafkaControlLog {
    fn poll(&mut self, wait: Duration, into: &mut Vec<ControlRecord>) -> Result<(), ConsumeError> {
        let deadline = Deadline::after(wait);
        let (before, full) = (into.len(), into.len() + ROOM);
        while into.len() < full {
            let Some(event) = self.queue.poll(if into.len() == before { deadline.left() } else { Duration::ZERO }) else { break };
            match event.kind() {
                EventKind::Record => into.extend(event.record().map(copy)),
                EventKind::Error => {
                    let found = event.failure();
                    if found.code == Code::AutoOffsetReset {
                        // No other offset is right: the topic is another one, or has lost what was folded or was still to come.
                        return Err(ConsumeError::Refused(format!(
                            "{} cannot be read on, for it was recreated or has lost records: {}. Restore it from a dump, or start with a new \
                             control topic and without the snapshot file",
                            self.topic, found.words
                        )));
                    }
                    if let Some(error) = input_failure(&self.consumer, found, ASK) {
                        return Err(error);
                    }
                }
                EventKind::Log => log(&event),
                _ => {}
            }
        }
        Ok(())
    }

    fn position(&self) -> Result<Offset, ConsumeError> {
        let list = self.consumer.position().map_err(|error| failure::of_input_call(&error))?;
        match list.find_partition(&self.topic, 0).map(|found| found.offset()) {
            Some(Place::Offset(offset)) => Ok(Offset(offset)),
            // Nothing has come yet, no marker either.
            _ => Ok(self.from),
        }
    }
}
