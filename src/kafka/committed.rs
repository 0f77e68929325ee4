//! What a group has committed: for the status writer, `consumer_lag` and what upsert streams note beside their offsets.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::{ClientError, Deadline, Logged, ask, create, serve};
use super::native::metadata_of;
use super::settings::KafkaSettings;
use crate::id::Offset;

/// A committed offset and the note beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Where to go on.
    pub offset: Offset,
    /// What was sent with it, as bytes: another program may have written it. Empty where nothing was.
    pub note: Vec<u8>,
}

/// A client that asks for a group's offsets, read committed, without joining the group.
pub struct CommittedOffsets {
    consumer: BaseConsumer<Logged>,
}

impl CommittedOffsets {
    /// For the offsets of `group`.
    pub fn of(settings: &KafkaSettings, group: &str) -> Result<Self, ClientError> {
        Ok(Self { consumer: create(&settings.consumer(group, "read_committed"))? })
    }

    /// The same, but what an open transaction is about to change is answered as it was before, at once.
    pub fn as_they_stand(settings: &KafkaSettings, group: &str) -> Result<Self, ClientError> {
        Ok(Self { consumer: create(&settings.consumer(group, "read_uncommitted"))? })
    }

    /// The committed offset of each partition, in their order; none where nothing was committed. While a transaction that
    /// has offsets of one of them is open there is no answer, and `Unavailable` after `wait`: ask again.
    pub fn ask(&self, partitions: &[(&str, i32)], wait: Duration) -> Result<Vec<Option<Committed>>, ClientError> {
        serve(self.consumer.client());
        ask(self.consumer.client(), serve, "the group's offsets", Deadline::after(wait), |left| {
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for (topic, partition) in partitions {
                list.add_partition(topic, *partition);
            }
            let list = self.consumer.committed_offsets(list, left)?;
            let notes = metadata_of(&list);
            list.elements()
                .iter()
                .zip(notes)
                .map(|(elem, note)| {
                    elem.error()?;
                    Ok(match elem.offset() {
                        Place::Offset(offset) => Some(Committed { offset: Offset(offset), note }),
                        _ => None,
                    })
                })
                .collect()
        })
        .map_err(ClientError::from)
    }

    /// Commits an offset of the group, which must have no members: none of them would see it.
    pub fn commit(&self, topic: &str, partition: i32, offset: Offset, wait: Duration) -> Result<(), ClientError> {
        serve(self.consumer.client());
        let what = format_args!("committing an offset of {topic}/{partition}");
        ask(self.consumer.client(), serve, what, Deadline::after(wait), |_| {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition_offset(topic, partition, Place::Offset(offset.0))?;
            self.consumer.commit(&list, CommitMode::Sync)
        })
        .map_err(ClientError::from)
    }
}
