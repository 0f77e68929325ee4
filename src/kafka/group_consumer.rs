//! The workers' group member: `transport::GroupConsumer`.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::{ClientError, Deadline, Logged, Unanswered, create, heard_elsewhere, input_failure, watermarks};
use super::failure;
use super::native::{Event, Failure, Fetched, Kind, Queue, member_id};
use super::settings::KafkaSettings;
use crate::id::{Offset, StreamIndex};
use crate::time::Millis;
use crate::transport::{Batch, Change, ConsumeError, GroupConsumer, SourcePartition, Start};

/// The longest wait for a question to the cluster.
const ASK: Duration = Duration::from_secs(10);

/// So long a topic that is said to be missing is looked for.
const LOOK: Duration = Duration::from_secs(5);

/// How long one seek may take.
const SEEK: Duration = Duration::from_millis(500);

/// A poll ends behind so many bytes, whatever room there is: its caller looks at what it holds before it takes more.
const POLL_BYTES: usize = 16 << 20;

/// One input topic of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What its records are of.
    pub stream: StreamIndex,
    /// The topic.
    pub topic: String,
}

/// The generation of a group that a member saw last; sent with the offsets, it fences a zombie.
pub struct KafkaMembership(pub(super) Arc<ConsumerGroupMetadata>);

/// A member of a consumer group by the classic protocol, cooperative-sticky, read committed.
pub struct KafkaConsumer {
    // Above the consumer: it must be dropped first.
    queue: Queue,
    consumer: BaseConsumer<Logged>,
    sources: Vec<Source>,
    /// What this member has.
    held: Vec<SourcePartition>,
    /// Those of them that nothing is taken from until they are released.
    waiting: Vec<SourcePartition>,
    /// Those of them that are released and to be sought, and to where.
    releasing: Vec<(SourcePartition, Offset)>,
    is_paused: bool,
    membership: Option<KafkaMembership>,
}

impl KafkaConsumer {
    /// Joins `group` for the topics of `sources`. Returns at once; the first assignment comes out of `poll`.
    pub fn join(settings: &KafkaSettings, group: &str, sources: &[Source]) -> Result<Self, ClientError> {
        let consumer: BaseConsumer<Logged> = create(&settings.consumer(group, "read_committed"))?;
        let queue = Queue::of_consumer(consumer.client()).ok_or_else(|| ClientError::Settings("a group needs a name".to_owned()))?;
        let topics: Vec<&str> = sources.iter().map(|source| source.topic.as_str()).collect();
        consumer.subscribe(&topics).map_err(|error| ClientError::of(&error))?;
        Ok(Self {
            queue,
            consumer,
            sources: sources.to_vec(),
            held: Vec::new(),
            waiting: Vec::new(),
            releasing: Vec::new(),
            is_paused: false,
            membership: None,
        })
    }

    /// The partitions held now.
    pub fn held(&self) -> &[SourcePartition] {
        &self.held
    }

    fn source_of(&self, topic: &[u8], partition: i32) -> Option<SourcePartition> {
        let source = self.sources.iter().find(|source| source.topic.as_bytes() == topic)?;
        Some(SourcePartition { stream: source.stream, partition })
    }

    fn topic_of(&self, partition: SourcePartition) -> &str {
        self.sources.iter().find(|source| source.stream == partition.stream).map_or("", |source| &source.topic)
    }

    fn list(&self, partitions: &[SourcePartition]) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition(self.topic_of(*partition), partition.partition);
        }
        list
    }

    fn take(&self, record: Fetched<'_>, into: &mut Batch) {
        let Some(source) = self.source_of(record.topic(), record.partition()) else { return };
        if self.waiting.contains(&source) {
            return;
        }
        into.push(source, Offset(record.offset()), Millis(record.timestamp_ms()), record.key(), record.value(), record.headers());
    }

    /// Nothing is said to the broker before this: an assign or revoke is an answer to an event.
    fn rebalance(&mut self, event: &Event, changes: &mut Vec<Change>) -> Result<(), ConsumeError> {
        let partitions: Vec<SourcePartition> =
            event.partitions().iter().filter_map(|(topic, partition)| self.source_of(topic.as_bytes(), *partition)).collect();
        let is_incremental = matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        let mut list = self.list(&partitions);
        if event.kind() == Kind::Assign {
            list.set_all_offsets(Place::End).map_err(|error| failure::of_input_call(&error))?;
            self.waiting.extend(partitions.iter().filter(|p| !self.held.contains(p)).copied().collect::<Vec<_>>());
            self.assign(&list, is_incremental).map_err(|error| failure::of_input_call(&error))?;
            self.held.extend(partitions.iter().filter(|p| !self.held.contains(p)).copied().collect::<Vec<_>>());
            self.membership = self.consumer.group_metadata().map(|metadata| KafkaMembership(Arc::new(metadata)));
            changes.push(Change::Assigned(partitions));
        } else {
            let is_lost = self.consumer.assignment_lost();
            self.held.retain(|held| !partitions.contains(held));
            self.waiting.retain(|held| !partitions.contains(held));
            self.releasing.retain(|(held, _)| !partitions.contains(held));
            if is_lost || self.held.is_empty() {
                self.membership = None;
            }
            let answer = if is_incremental { self.consumer.incremental_unassign(&list) } else { self.consumer.unassign() };
            // Told also if the answer fails: what is gone is gone, and its records must not be committed.
            changes.push(Change::Revoked(partitions));
            answer.map_err(|error| failure::of_input_call(&error))?;
        }
        Ok(())
    }

    /// Each begins at the end, paused, until it is sought: so librdkafka asks for no committed offset, and never has to be given
    /// one back and taken anew, which it would take for the answer to a revoke that it has yet to tell of.
    fn assign(&self, list: &TopicPartitionList, is_incremental: bool) -> KafkaResult<()> {
        if is_incremental { self.consumer.incremental_assign(list) } else { self.consumer.assign(list) }?;
        if list.count() > 0 { self.consumer.pause(list) } else { Ok(()) }
    }

    /// Seeks the partitions that were released. One that librdkafka has not begun yet is sought at the next poll.
    fn seek(&mut self) -> Result<(), ConsumeError> {
        for (partition, offset) in std::mem::take(&mut self.releasing) {
            let sought = self.consumer.seek(self.topic_of(partition), partition.partition, Place::Offset(offset.0), SEEK);
            if let Err(error) = sought {
                tracing::debug!(%error, ?partition, "the partition cannot be sought yet");
                self.releasing.push((partition, offset));
                continue;
            }
            self.waiting.retain(|waiting| *waiting != partition);
            if !self.is_paused {
                self.consumer.resume(&self.list(&[partition])).map_err(|error| failure::of_input_call(&error))?;
            }
        }
        Ok(())
    }

    fn fail(&self, failure: Failure, changes: &mut Vec<Change>) -> Result<(), ConsumeError> {
        if failure.code == Code::AutoOffsetReset {
            let Failure { words, at, .. } = failure;
            let at = at.and_then(|(topic, partition, offset)| Some((self.source_of(topic.as_bytes(), partition)?, offset)));
            let Some((partition, offset)) = at else { return Err(ConsumeError::Fatal(words)) };
            // What comes late, of a partition that has left already, is of no interest.
            if offset >= 0 && self.held.contains(&partition) && !self.waiting.contains(&partition) {
                changes.push(Change::OutOfRange(partition));
            }
            return Ok(());
        }
        input_failure(&self.consumer, failure, LOOK).map_or(Ok(()), Err)
    }

    fn pause_or_resume(&mut self, is_paused: bool) -> Result<(), ConsumeError> {
        self.is_paused = is_paused;
        let flowing: Vec<SourcePartition> = self.held.iter().filter(|held| !self.waiting.contains(held)).copied().collect();
        if flowing.is_empty() {
            return Ok(());
        }
        let list = self.list(&flowing);
        let answer = if is_paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) };
        answer.map_err(|error| failure::of_input_call(&error))
    }
}

impl GroupConsumer for KafkaConsumer {
    type Membership = KafkaMembership;

    fn poll(&mut self, wait: Duration, room: usize, into: &mut Batch, changes: &mut Vec<Change>) -> Result<(), ConsumeError> {
        self.seek()?;
        let deadline = Deadline::after(wait);
        let full = into.len() + room;
        let (before, found) = (into.len(), changes.len());
        let heavy = into.bytes() + POLL_BYTES;
        while into.len() < full && into.bytes() < heavy {
            let Some(event) = self.queue.poll(if into.len() == before { deadline.left() } else { Duration::ZERO }) else { break };
            match event.kind() {
                Kind::Record => {
                    if let Some(record) = event.record() {
                        self.take(record, into);
                    }
                }
                Kind::Assign | Kind::Revoke => self.rebalance(&event, changes)?,
                Kind::Error => self.fail(event.failure(), changes)?,
                Kind::Log => super::client::log(&event),
                Kind::Reports | Kind::Other => {}
            }
            // Records after a change must not share a batch with those before it: a partition may have come back.
            if changes.len() > found || into.bytes() >= Batch::MAX_BYTES {
                break;
            }
        }
        Ok(())
    }

    fn membership(&self) -> Option<&KafkaMembership> {
        self.membership.as_ref()
    }

    fn member_id(&self) -> Option<String> {
        member_id(self.consumer.client())
    }

    fn pause(&mut self) -> Result<(), ConsumeError> {
        self.pause_or_resume(true)
    }

    fn resume(&mut self) -> Result<(), ConsumeError> {
        self.pause_or_resume(false)
    }

    fn committed(&mut self, partitions: &[SourcePartition], wait: Duration) -> Result<Vec<Option<Offset>>, ConsumeError> {
        let list = self.consumer.committed_offsets(self.list(partitions), wait).map_err(|error| failure::of_input_call(&error))?;
        let answer = |elem: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            elem.error().map_err(|error| failure::of_input_call(&error))?;
            Ok(match elem.offset() {
                Place::Offset(offset) => Some(Offset(offset)),
                _ => None,
            })
        };
        list.elements().iter().map(answer).collect()
    }

    fn first(&mut self, partition: SourcePartition, start: Start) -> Result<Offset, ConsumeError> {
        // The end is the last stable offset here: what an open transaction holds is still to come.
        let bounds = watermarks(&self.consumer, heard_elsewhere, self.topic_of(partition), partition.partition, ASK);
        let (first, end) = bounds.map_err(Unanswered::of_input)?;
        Ok(Offset(match start {
            Start::Earliest => first,
            Start::Latest => end,
        }))
    }

    fn hold(&mut self, partition: SourcePartition) -> Result<(), ConsumeError> {
        self.releasing.retain(|(releasing, _)| *releasing != partition);
        if !self.held.contains(&partition) || self.waiting.contains(&partition) {
            return Ok(());
        }
        self.waiting.push(partition);
        self.consumer.pause(&self.list(&[partition])).map_err(|error| failure::of_input_call(&error))
    }

    fn release(&mut self, partition: SourcePartition, from: Offset) -> Result<(), ConsumeError> {
        if self.held.contains(&partition) {
            self.releasing.retain(|(releasing, _)| *releasing != partition);
            self.releasing.push((partition, from));
        }
        Ok(())
    }
}
