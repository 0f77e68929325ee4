//! The control topic's bounds: `transport::EndProbe`.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::client::{ClientError, Logged, create, serve, watermarks};
use super::settings::KafkaSettings;
use crate::id::Offset;
use crate::transport::{ConsumeError, EndProbe, LogBounds};

/// An idle client: on one that fetches, each question would wait behind the fetch (docs/librdkafka.md#watermarks).
pub struct KafkaEndProbe {
    consumer: BaseConsumer<Logged>,
    topic: String,
    partition: i32,
    wait: Duration,
}

impl KafkaEndProbe {
    /// Asks about partition 0 of `topic`; a question is repeated for up to `wait` while its answer may pass by itself.
    pub fn open(settings: &KafkaSettings, topic: &str, wait: Duration) -> Result<Self, ClientError> {
        Self::of_partition(settings, topic, 0, wait)
    }

    pub(super) fn of_partition(settings: &KafkaSettings, topic: &str, partition: i32, wait: Duration) -> Result<Self, ClientError> {
        let mut config = settings.plain();
        // Read committed would ask for the last stable offset, behind which an acknowledged record can hide.
        config.set("isolation.level", "read_uncommitted");
        Ok(Self { consumer: create(&config)?, topic: topic.to_owned(), partition, wait })
    }

    pub(super) fn turn_to(&mut self, topic: &str, partition: i32) {
        topic.clone_into(&mut self.topic);
        self.partition = partition;
    }
}

impl EndProbe for KafkaEndProbe {
    fn ask(&mut self) -> Result<LogBounds, ConsumeError> {
        // Log lines and errors wait in the main queue of a client without group.
        serve(self.consumer.client());
        let (start, end) = watermarks(&self.consumer, serve, &self.topic, self.partition, self.wait)?;
        Ok(LogBounds { start: Offset(start), end: Offset(end) })
    }
}
