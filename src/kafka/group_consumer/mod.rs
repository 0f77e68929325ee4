//! The workers' group member: `transport::GroupConsumer`. Membership and committed offsets are librdkafka's; records are too, or are
//! fetched natively (`reading`).

mod reading;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, RebalanceProtocol};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Place, TopicPartitionList};

use super::backlog::Backlog;
use super::client::{ClientError, Deadline, Logged, Unanswered, create, input_failure};
use super::membership::{InputTopic, KafkaMembership};
use super::native::{ClientFailure, Event, EventKind, Fetched, Queue, group_identity, member_id};
use super::settings::KafkaSettings;
use super::wire::RecordFetcher;
use crate::id::Offset;
use crate::kafka::client::failure;
use crate::time::TimestampMs;
use crate::topic::PartitionName;
use crate::transport::{AssignmentChange, Batch, ConsumeError, GroupConsumer, SourcePartition, Start};

/// The longest wait for a question to the cluster.
const ASK: Duration = Duration::from_secs(10);

/// So long all partitions that begin are asked about at once.
const ASK_ALL: Duration = Duration::from_secs(3);

/// So long a topic that is said to be missing is looked for.
const LOOK: Duration = Duration::from_secs(5);

/// How long one seek may take.
const SEEK: Duration = Duration::from_millis(500);

/// A poll ends after so many bytes, whatever room there is: its caller looks at what it holds before it takes more.
const POLL_BYTES: usize = 16 << 20;

/// A member of a consumer group by the classic protocol, cooperative-sticky, read committed.
pub struct KafkaConsumer {
    // Above the consumer: it must be dropped first.
    queue: Queue,
    consumer: Arc<BaseConsumer<Logged>>,
    sources: Vec<InputTopic>,
    /// What this member has.
    held: Vec<SourcePartition>,
    /// Those of them that nothing is taken from until they are released.
    waiting: Vec<SourcePartition>,
    /// Those of them that are released and not begun yet, and where they begin.
    releasing: Vec<(SourcePartition, Offset)>,
    /// Those of them that librdkafka was given to fetch, each since its first release.
    fetched: Vec<SourcePartition>,
    /// Those of `fetched` of which nothing has come yet, and where they begin: librdkafka may not have begun to fetch them.
    unconfirmed: Vec<(SourcePartition, Offset)>,
    is_paused: bool,
    membership: Option<KafkaMembership>,
    settings: KafkaSettings,
    /// What fetches the released partitions, where that is not librdkafka. It knows nothing of any of them then.
    fetcher: Option<RecordFetcher>,
}

impl Drop for KafkaConsumer {
    /// A member that holds no partition leaves here: closing it, librdkafka would say nothing to the group, which would wait for it for
    /// the session's time-out at each rebalance (docs/librdkafka.md#leaving-without-a-partition).
    fn drop(&mut self) {
        if self.held.is_empty() {
            self.consumer.unsubscribe();
        }
    }
}

impl KafkaConsumer {
    /// Joins `group` for the topics of `sources`. Returns at once; the first assignment comes out of `poll`.
    pub fn join(settings: &KafkaSettings, group: &str, sources: &[InputTopic]) -> Result<Self, ClientError> {
        let consumer: BaseConsumer<Logged> = create(&settings.consumer(group, "read_committed"))?;
        let queue = Queue::of_consumer(consumer.client()).ok_or_else(|| ClientError::Settings("a group needs a name".to_owned()))?;
        let topics: Vec<&str> = sources.iter().map(|source| source.topic.as_str()).collect();
        consumer.subscribe(&topics).map_err(|error| ClientError::of(&error))?;
        Ok(Self {
            queue,
            consumer: Arc::new(consumer),
            sources: sources.to_vec(),
            held: Vec::new(),
            waiting: Vec::new(),
            releasing: Vec::new(),
            fetched: Vec::new(),
            unconfirmed: Vec::new(),
            is_paused: false,
            membership: None,
            settings: settings.clone(),
            fetcher: None,
        })
    }

    /// Whether its records are fetched natively.
    pub fn reads_natively(&self) -> bool {
        self.fetcher.is_some()
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

    fn take(&mut self, record: Fetched<'_>, into: &mut Batch) {
        let Some(source) = self.source_of(record.topic(), record.partition()) else { return };
        if self.waiting.contains(&source) {
            return;
        }
        if !self.unconfirmed.is_empty() {
            self.unconfirmed.retain(|(unconfirmed, _)| *unconfirmed != source);
        }
        into.push(source, Offset(record.offset()), TimestampMs(record.timestamp_ms()), record.key(), record.value(), record.headers());
    }

    /// Takes in what the group's coordinator has decided. Until it is answered here librdkafka begins no other rebalance.
    ///
    /// The answer to an assign gives librdkafka nothing to fetch: a new partition is held, and `begin` gives it when it is released.
    /// That call may come while an event is still in the queue. An assign is then answered before it is told of, which lets the
    /// group go on to a next rebalance and nothing more: what that one takes back is not given to others before this member has
    /// answered the revoke, which comes after the assign in the queue. A revoke is answered by `incremental_unassign` alone. So that is
    /// called here and nowhere else: giving one partition back to take it again would be taken for the answer to a revoke that is
    /// yet to be told of, and its partitions would go to others while this member still reads them under the newest generation.
    fn rebalance(&mut self, event: &Event, changes: &mut Vec<AssignmentChange>) -> Result<(), ConsumeError> {
        let partitions: Vec<SourcePartition> =
            event.partitions().iter().filter_map(|(topic, partition)| self.source_of(topic.as_bytes(), *partition)).collect();
        let is_incremental = matches!(self.consumer.rebalance_protocol(), RebalanceProtocol::Cooperative);
        if event.kind() == EventKind::Assign {
            self.pause_or_resume(self.is_paused)?;
            let nothing = TopicPartitionList::new();
            let answer = if is_incremental { self.consumer.incremental_assign(&nothing) } else { self.consumer.assign(&nothing) };
            answer.map_err(|error| failure::of_input_call(&error))?;
            let new: Vec<SourcePartition> = partitions.iter().filter(|p| !self.held.contains(p)).copied().collect();
            self.waiting.extend(&new);
            self.held.extend(&new);
            self.membership = self.consumer.group_metadata().map(|metadata| KafkaMembership {
                metadata: Arc::new(metadata),
                consumer: Arc::clone(&self.consumer),
                identity: group_identity(self.consumer.client()),
            });
            changes.push(AssignmentChange::Assigned(partitions));
        } else {
            let is_lost = self.consumer.assignment_lost();
            let fetched: Vec<SourcePartition> = self.fetched.iter().filter(|p| partitions.contains(p)).copied().collect();
            self.held.retain(|held| !partitions.contains(held));
            self.waiting.retain(|held| !partitions.contains(held));
            self.fetched.retain(|held| !partitions.contains(held));
            self.releasing.retain(|(held, _)| !partitions.contains(held));
            self.unconfirmed.retain(|(held, _)| !partitions.contains(held));
            if let Some(fetcher) = &mut self.fetcher {
                partitions.iter().for_each(|partition| fetcher.remove(*partition));
            }
            if is_lost || self.held.is_empty() {
                self.membership = None;
            }
            let answer = if is_incremental { self.consumer.incremental_unassign(&self.list(&fetched)) } else { self.consumer.unassign() };
            // Told also if the answer fails: what is gone is gone, and its records must not be committed.
            changes.push(AssignmentChange::Revoked(partitions));
            answer.map_err(|error| failure::of_input_call(&error))?;
        }
        Ok(())
    }

    /// Begins the partitions that were released. What librdkafka does not do yet is tried again at the next poll.
    fn begin_released(&mut self) {
        for (partition, offset) in std::mem::take(&mut self.releasing) {
            if let Err(error) = self.begin(partition, offset) {
                let name = PartitionName(self.topic_of(partition), partition.partition);
                tracing::debug!(%error, partition = %name, "the partition cannot be begun yet");
                self.releasing.push((partition, offset));
            }
        }
    }

    /// Has librdkafka read a partition from this offset on, and never from anywhere else.
    ///
    /// The first time librdkafka gets the partition with the offset, and only then: until then it knows nothing of it. A number needs
    /// no look-up (`rd_kafka_toppar_fetch_start` takes it as the position and is active at once), so neither ListOffsets nor
    /// OffsetFetch is asked, no answer can come late, and the timer that asks again is never started. Nothing later asks either:
    /// with `auto.offset.reset=error` an offset out of range is an error and the end of fetching (`rd_kafka_offset_reset`), and a new
    /// leader only has the offset validated, which ends in the same error or changes nothing. A flag that an earlier owner's
    /// pause left is taken off before, while librdkafka has nothing to do with the partition.
    ///
    /// Later times it is sought. A number without leader epoch needs no look-up there either (`rd_kafka_toppar_seek`,
    /// `rd_kafka_offset_validate`). A seek that times out stays in librdkafka's queue, and what concerns a partition is carried out
    /// in the order of that queue: it comes before any seek, stop or start that follows it, which overrides it.
    fn begin(&mut self, partition: SourcePartition, offset: Offset) -> KafkaResult<()> {
        if self.fetched.contains(&partition) {
            self.consumer.seek(self.topic_of(partition), partition.partition, Place::Offset(offset.0), SEEK)?;
            self.unconfirmed.retain(|(unconfirmed, _)| *unconfirmed != partition);
            let list = self.list(&[partition]);
            if self.is_paused { self.consumer.pause(&list) } else { self.consumer.resume(&list) }?;
        } else {
            if self.is_paused {
                // It would have to be paused right after its begin. It waits as well here.
                self.releasing.push((partition, offset));
                return Ok(());
            }
            self.consumer.resume(&self.list(&[partition]))?;
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition_offset(self.topic_of(partition), partition.partition, Place::Offset(offset.0))?;
            self.consumer.incremental_assign(&list)?;
            self.fetched.push(partition);
            self.unconfirmed.push((partition, offset));
        }
        self.waiting.retain(|waiting| *waiting != partition);
        Ok(())
    }

    /// Makes sure of what librdkafka has begun to fetch, so that it can be paused.
    ///
    /// While fetchers of other partitions are still being stopped librdkafka puts a begin off, and a pause that overtakes it makes it
    /// outdated: it would be dropped without a word. A seek that comes before the begin only fails.
    fn confirm(&mut self) {
        for (partition, offset) in std::mem::take(&mut self.unconfirmed) {
            let sought = self.consumer.seek(self.topic_of(partition), partition.partition, Place::Offset(offset.0), SEEK);
            if sought.is_err() {
                self.unconfirmed.push((partition, offset));
            }
        }
    }

    fn serve(&mut self, event: &Event, into: &mut Batch, changes: &mut Vec<AssignmentChange>) -> Result<(), ConsumeError> {
        match event.kind() {
            EventKind::Record => {
                if let Some(record) = event.record() {
                    self.take(record, into);
                }
            }
            EventKind::Assign | EventKind::Revoke => self.rebalance(event, changes)?,
            EventKind::Error => self.fail(event.failure(), changes)?,
            EventKind::Log => super::client::log(event),
            EventKind::Reports | EventKind::Other => {}
        }
        Ok(())
    }

    fn fail(&self, failure: ClientFailure, changes: &mut Vec<AssignmentChange>) -> Result<(), ConsumeError> {
        if failure.code == Code::AutoOffsetReset {
            let ClientFailure { words, at, .. } = failure;
            let at = at.and_then(|(topic, partition, offset)| Some((self.source_of(topic.as_bytes(), partition)?, offset)));
            let Some((partition, offset)) = at else { return Err(ConsumeError::Fatal(words)) };
            // What comes late, of a partition that has left already, is of no interest. Without an offset the log was truncated.
            if !self.fetched.contains(&partition) {
                return Ok(());
            }
            if self.waiting.contains(&partition) {
                // It has stopped fetching for good, at a place that nobody wants it to be at.
                return Err(ConsumeError::Fatal(format!("{words} (at {offset}, while it was held)")));
            }
            changes.push(AssignmentChange::OutOfRange(partition));
            return Ok(());
        }
        input_failure(&self.consumer, failure, LOOK).map_or(Ok(()), Err)
    }

    /// librdkafka drops one of these calls, without a word, if it pauses the partition for a rebalance at the same moment. So they are
    /// repeated with the answer to the assign that ends every rebalance, while it does nothing but wait for that.
    fn pause_or_resume(&mut self, is_paused: bool) -> Result<(), ConsumeError> {
        self.is_paused = is_paused;
        if let Some(fetcher) = &mut self.fetcher {
            fetcher.pause(is_paused);
        }
        if is_paused {
            self.confirm();
        }
        let is_unconfirmed = |partition: &SourcePartition| self.unconfirmed.iter().any(|(unconfirmed, _)| unconfirmed == partition);
        let flowing: Vec<SourcePartition> =
            self.fetched.iter().filter(|fetched| !self.waiting.contains(fetched) && !is_unconfirmed(fetched)).copied().collect();
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

    fn poll(&mut self, wait: Duration, room: usize, into: &mut Batch, changes: &mut Vec<AssignmentChange>) -> Result<(), ConsumeError> {
        if self.is_paused && !self.unconfirmed.is_empty() {
            self.pause_or_resume(true)?;
        }
        self.begin_released();
        let deadline = Deadline::after(wait);
        let full = into.len() + room;
        if self.fetcher.is_some() {
            return self.poll_natively(deadline, full, into, changes);
        }
        let (before, found) = (into.len(), changes.len());
        let heavy = into.bytes() + POLL_BYTES;
        while into.len() < full && into.bytes() < heavy {
            let Some(event) = self.queue.poll(if into.len() == before { deadline.left() } else { Duration::ZERO }) else { break };
            self.serve(&event, into, changes)?;
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
        self.first_of_each(&[(partition, start)]).remove(0)
    }

    /// On a client that fetches nothing: on this one each question would wait behind the fetch (docs/librdkafka.md#watermarks).
    fn first_of_each(&mut self, partitions: &[(SourcePartition, Start)]) -> Vec<Result<Offset, ConsumeError>> {
        let asking = match Backlog::open(&self.settings) {
            Ok(asking) => asking,
            Err(error) => return partitions.iter().map(|_| Err(ConsumeError::Unavailable(error.to_string()))).collect(),
        };
        let named: Vec<(&str, i32, Start)> = partitions.iter().map(|(p, start)| (self.topic_of(*p), p.partition, *start)).collect();
        match asking.first_of_each(&named, ASK_ALL) {
            Ok(offsets) => offsets.into_iter().map(Ok).collect(),
            // One whose leader is away leaves all without an answer.
            Err(_) => {
                let each = |(topic, partition, start)| asking.first(topic, partition, start, ASK).map_err(Unanswered::of_input);
                named.into_iter().map(each).collect()
            }
        }
    }

    fn hold(&mut self, partition: SourcePartition) -> Result<(), ConsumeError> {
        self.releasing.retain(|(releasing, _)| *releasing != partition);
        if !self.held.contains(&partition) || self.waiting.contains(&partition) {
            return Ok(());
        }
        self.waiting.push(partition);
        if let Some(fetcher) = &mut self.fetcher {
            fetcher.remove(partition);
            return Ok(());
        }
        // What is not sure to have begun cannot be paused; what comes of it is dropped.
        if self.unconfirmed.iter().any(|(unconfirmed, _)| *unconfirmed == partition) {
            return Ok(());
        }
        self.consumer.pause(&self.list(&[partition])).map_err(|error| failure::of_input_call(&error))
    }

    fn release(&mut self, partition: SourcePartition, from: Offset) -> Result<(), ConsumeError> {
        if !self.held.contains(&partition) {
            return Ok(());
        }
        if self.fetcher.is_some() {
            self.release_natively(partition, from);
            return Ok(());
        }
        self.releasing.retain(|(releasing, _)| *releasing != partition);
        self.releasing.push((partition, from));
        Ok(())
    }

    fn has_begun(&self, partition: SourcePartition) -> bool {
        match &self.fetcher {
            Some(fetcher) => fetcher.has_begun(partition),
            None => !self.waiting.contains(&partition),
        }
    }
}
