//! What a member of a group is to others: what it reads, and what fences it.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, ConsumerGroupMetadata};

use super::client::Logged;
use super::native::GroupIdentity;
use crate::id::StreamIndex;

/// One input topic of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputTopic {
    /// What its records are of.
    pub stream: StreamIndex,
    /// The topic.
    pub topic: String,
}

/// The generation of a group that a member saw last; sent with the offsets, it fences a zombie.
pub struct KafkaMembership {
    pub(super) metadata: Arc<ConsumerGroupMetadata>,
    /// The member itself: offsets that are no part of a transaction are committed through it, under its present generation.
    pub(super) consumer: Arc<BaseConsumer<Logged>>,
    /// The same as plain data, for a client that is not librdkafka.
    pub(super) identity: Option<GroupIdentity>,
}
