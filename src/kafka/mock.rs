//! A cluster inside the process, for the demo and for errors on demand. It proves nothing about exactly-once (section 16).

use std::collections::BTreeMap;

use rdkafka::producer::{BaseProducer, Producer};

use super::client::{ClientError, Logged, create};
use super::native::no_initial_rebalance_delay;
use super::settings::KafkaSettings;

/// The cluster; it is gone when this is dropped. It takes no CreateTopics request: make its topics here.
pub struct MockKafka {
    producer: BaseProducer<Logged>,
}

impl MockKafka {
    /// Starts so many brokers, each on a port of its own on 127.0.0.1.
    pub fn start(brokers: u8) -> Result<Self, ClientError> {
        let mut config = KafkaSettings::default().plain();
        config.remove("metadata.broker.list");
        config.set("test.mock.num.brokers", brokers.to_string());
        let producer: BaseProducer<Logged> = create(&config)?;
        no_initial_rebalance_delay(producer.client());
        Ok(Self { producer })
    }

    /// Where its clients begin.
    pub fn bootstrap(&self) -> String {
        self.producer.client().mock_cluster().map(|cluster| cluster.bootstrap_servers()).unwrap_or_default()
    }

    /// Settings for its clients.
    pub fn settings(&self, group: &str) -> KafkaSettings {
        KafkaSettings { bootstrap: self.bootstrap(), group: group.to_owned(), client: BTreeMap::new(), ..KafkaSettings::default() }
    }

    /// Makes a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), ClientError> {
        let Some(cluster) = self.producer.client().mock_cluster() else { return Ok(()) };
        cluster.create_topic(topic, partitions, 1).map_err(|error| ClientError::of(&error))
    }

    /// From now on every answer takes so long.
    pub fn answer_after(&self, round_trip: std::time::Duration) -> Result<(), ClientError> {
        let Some(cluster) = self.producer.client().mock_cluster() else { return Ok(()) };
        cluster.broker_round_trip_time(1, round_trip).map_err(|error| ClientError::of(&error))
    }
}
