//! Apache Kafka through librdkafka: the only place that names rdkafka. It implements the seams of `transport`.
//!
//! In reading order: `settings` and `client` make clients (`client::failure` says what an error means, `client::log_lines` what of
//! librdkafka's log is written), `native` holds what the safe API lacks; the rest is one file a client.

mod acknowledged_producer;
mod admin;
mod alter_configs;
mod archive;
mod backlog;
mod bulk_writer;
mod committed;
mod control_log;
mod end_probe;
mod group_consumer;
mod group_members;
mod membership;
mod mock;
mod native;
mod properties;
mod settings;
mod topic_reader;
mod transactional_producer;
mod wire;
mod writer;
pub(crate) mod bounded_call;
pub(crate) mod client;

pub use acknowledged_producer::AcknowledgedProducer;
pub use admin::{Admin, AdminError, ControlTopicCheck, Created, TopicShape, TopicSpec, control_topic};
pub use archive::KafkaArchive;
pub use backlog::Backlog;
pub use bulk_writer::{BulkRecord, BulkWriter, EVENT, Unwritten};
pub use client::ClientError;
pub use committed::{Committed, CommittedOffsets};
pub use control_log::KafkaControlLog;
pub use end_probe::KafkaEndProbe;
pub use group_consumer::KafkaConsumer;
pub use group_members::{GroupMember, GroupMembers};
pub use membership::{InputTopic, KafkaMembership};
pub use mock::MockKafka;
pub use properties::takes_setting;
pub use settings::KafkaSettings;
pub use topic_reader::{ReadRecord, TopicReader};
pub use transactional_producer::KafkaProducer;
pub use transactional_producer::data_producer::DataProducer;
pub use wire::{NativeProducer, Predecessor};
pub use writer::{EventWriter, WriteError};

/// The version of librdkafka.
pub fn client_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}
