//! The producer of the data plane that the configuration and the cluster lead to: native where it can be, or librdkafka's.

use std::sync::Mutex;
use std::time::Duration;

use super::KafkaProducer;
use crate::config::DataPlane;
use crate::kafka::client::ClientError;
use crate::kafka::membership::{InputTopic, KafkaMembership};
use crate::kafka::settings::KafkaSettings;
use crate::kafka::wire::{NativeProducer, StartError};
use crate::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

/// What was said of the choice last, so that each worker's producer does not say it again.
static SAID: Mutex<Option<DataPlaneChoice>> = Mutex::new(None);

/// Which client writes, and why not the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DataPlaneChoice {
    Native,
    Librdkafka(String),
}

impl DataPlaneChoice {
    fn say(self) {
        let mut said = SAID.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if said.as_ref() == Some(&self) {
            return;
        }
        match &self {
            Self::Native => tracing::info!(data_plane = "native", "transactions are written natively: transaction.version is 2 or above"),
            Self::Librdkafka(why) => tracing::info!(data_plane = "librdkafka", why, "transactions are written by librdkafka"),
        }
        *said = Some(self);
    }
}

/// A transactional producer by either client. Both write the same, and either one reads on where the other one ended.
pub enum DataProducer {
    /// Kafka's protocol, spoken here.
    Native(Box<NativeProducer>),
    /// librdkafka.
    Librdkafka(Box<KafkaProducer>),
}

impl DataProducer {
    /// Makes the producer that `kafka.data_plane` wants and takes `transactional_id` for it, as `KafkaProducer::start` does. `auto` looks
    /// at the cluster again each time.
    pub fn start(settings: &KafkaSettings, transactional_id: &str, sources: &[InputTopic], wait: Duration) -> Result<Self, ClientError> {
        if settings.data_plane == DataPlane::Librdkafka {
            DataPlaneChoice::Librdkafka("kafka.data_plane is librdkafka".to_owned()).say();
            return Self::librdkafka(settings, transactional_id, sources, wait);
        }
        match NativeProducer::start(settings, transactional_id, sources, wait) {
            Ok(producer) => {
                DataPlaneChoice::Native.say();
                Ok(Self::Native(Box::new(producer)))
            }
            Err(StartError::NotNative(why)) if settings.data_plane == DataPlane::Native => Err(not_possible(&why.to_string())),
            Err(StartError::NotNative(why)) => {
                DataPlaneChoice::Librdkafka(why.to_string()).say();
                Self::librdkafka(settings, transactional_id, sources, wait)
            }
            Err(StartError::Client(error)) => Err(error),
        }
    }

    /// Whether the producers that `kafka.data_plane` wants can be made on this cluster, before any of them is.
    ///
    /// # Errors
    /// `Settings` where it wants the native one, which cannot be.
    pub fn check(settings: &KafkaSettings, wait: Duration) -> Result<(), ClientError> {
        if settings.data_plane != DataPlane::Native {
            return Ok(());
        }
        NativeProducer::check(settings, wait).map_err(|error| match error {
            StartError::NotNative(why) => not_possible(&why.to_string()),
            StartError::Client(error) => error,
        })
    }

    fn librdkafka(settings: &KafkaSettings, transactional_id: &str, sources: &[InputTopic], wait: Duration) -> Result<Self, ClientError> {
        KafkaProducer::start(settings, transactional_id, sources, wait).map(|producer| Self::Librdkafka(Box::new(producer)))
    }
}

fn not_possible(why: &str) -> ClientError {
    ClientError::Settings(format!("kafka.data_plane is native, which cannot be: {why}; write auto or librdkafka"))
}

/// Hands a call on to the client there is.
macro_rules! each {
    ($self:ident, $producer:ident => $call:expr) => {
        match $self {
            DataProducer::Native($producer) => $call,
            DataProducer::Librdkafka($producer) => $call,
        }
    };
}

impl TransactionalProducer for DataProducer {
    type Membership = KafkaMembership;

    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
        each!(self, producer => producer.sees_leader(topic))
    }

    fn partitions_seen(&self) -> Option<usize> {
        each!(self, producer => producer.partitions_seen())
    }

    fn begin(&mut self) -> Result<(), ProduceError> {
        each!(self, producer => producer.begin())
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        each!(self, producer => producer.put(output))
    }

    fn partitions_put(&self) -> Option<u32> {
        each!(self, producer => producer.partitions_put())
    }

    fn send_ahead(&mut self) {
        each!(self, producer => producer.send_ahead());
    }

    fn drain(&mut self) -> Result<(), Vec<ProduceError>> {
        each!(self, producer => producer.drain())
    }

    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &KafkaMembership) -> Result<(), ProduceError> {
        each!(self, producer => producer.send_offsets(offsets, membership))
    }

    fn commit(&mut self) -> Result<(), ProduceError> {
        each!(self, producer => producer.commit())
    }

    fn abort(&mut self) -> Result<(), ProduceError> {
        each!(self, producer => producer.abort())
    }
}
