//! Partitions read besides the group: `transport::Archive`.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::{ClientError, Deadline, Logged, Unanswered, ask, create, heard_elsewhere, input_failure, log};
use super::committed::CommittedOffsets;
use super::end_probe::KafkaEndProbe;
use super::native::{EventKind, Queue};
use super::settings::KafkaSettings;
use crate::id::Offset;
use crate::kafka::client::failure;
use crate::time::TimestampMs;
use crate::transport::{Archive, Batch, CommittedNote, ConsumeError, EndProbe, LogBounds, SourcePartition};

/// The longest wait for one question to the cluster.
const ASK: Duration = Duration::from_secs(5);
/// So long all partitions are asked about at once, and then each of them.
const ASK_ALL: Duration = Duration::from_secs(1);
const ASK_EACH: Duration = Duration::from_millis(250);
/// A read ends after so many bytes, whatever room there is.
const READ_BYTES: usize = 4 << 20;

/// One reader, assigned by hand to one partition at a time, and a client that asks what the group has committed.
pub struct KafkaArchive {
    // Above the consumer: it must be dropped first.
    queue: Queue,
    consumer: BaseConsumer<Logged>,
    settings: KafkaSettings,
    committed: CommittedOffsets,
    /// Asks for bounds, on a client that fetches nothing; made when it is needed, and kept until a rest.
    probe: Option<KafkaEndProbe>,
    /// What it reads, and from where on.
    at: Option<(String, i32, Offset)>,
}

impl KafkaArchive {
    /// Reads nothing yet. What the configuration does not say about the consumer's queue is set small: much of what is
    /// fetched is skipped.
    pub fn open(settings: &KafkaSettings) -> Result<Self, ClientError> {
        let mut settings = settings.clone();
        for (key, value) in [("queued.min.messages", "10000"), ("queued.max.messages.kbytes", "8192"), ("fetch.wait.max.ms", "50")] {
            settings.consumer.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
        let consumer: BaseConsumer<Logged> = create(&settings.consumer(&format!("{}-archive", settings.group), "read_committed"))?;
        let queue = Queue::of_consumer(consumer.client()).ok_or_else(|| ClientError::Settings("a group needs a name".to_owned()))?;
        let committed = CommittedOffsets::of(&settings, &settings.group)?;
        Ok(Self { queue, consumer, settings, committed, probe: None, at: None })
    }

    fn bounds(&mut self, topic: &str, partition: i32) -> Result<LogBounds, ConsumeError> {
        let probe = match &mut self.probe {
            Some(probe) => {
                probe.turn_to(topic, partition);
                probe
            }
            None => {
                let made = KafkaEndProbe::of_partition(&self.settings, topic, partition, ASK);
                self.probe.insert(made.map_err(|error| ConsumeError::Fatal(error.to_string()))?)
            }
        };
        probe.ask()
    }

    /// Reads this partition and nothing else.
    ///
    /// What was read is given back in a call of its own. One `assign` that replaces another stops the fetchers of the one before and adds
    /// the new partition at once; if it is the same one, and the next `assign` comes before its fetcher has stopped, librdkafka stops it
    /// twice and aborts the process at the second answer (docs/librdkafka.md#assigning-by-hand).
    fn assign_alone(&self, topic: &str, partition: i32, from: Offset) -> KafkaResult<()> {
        let mut list = TopicPartitionList::with_capacity(1);
        list.add_partition_offset(topic, partition, Place::Offset(from.0))?;
        self.consumer.unassign()?;
        self.consumer.assign(&list)
    }

    fn asked(&self, partitions: &[(&str, i32)], wait: Duration) -> Result<Vec<Option<CommittedNote>>, ConsumeError> {
        let answers = self.committed.ask(partitions, wait).map_err(|error| match error {
            ClientError::Unavailable(words) => ConsumeError::Unavailable(words),
            error => ConsumeError::Refused(error.to_string()),
        })?;
        Ok(answers.into_iter().map(|answer| answer.map(|committed| (committed.offset, committed.note))).collect())
    }

    fn position(&self, topic: &str, partition: i32, from: Offset) -> Result<Offset, ConsumeError> {
        let list = self.consumer.position().map_err(|error| failure::of_input_call(&error))?;
        match list.find_partition(topic, partition).map(|found| found.offset()) {
            Some(Place::Offset(offset)) => Ok(Offset(offset.max(from.0))),
            _ => Ok(from),
        }
    }
}

impl Archive for KafkaArchive {
    fn committed(&mut self, topic: &str, partition: i32) -> Result<Option<(Offset, Vec<u8>)>, ConsumeError> {
        Ok(self.asked(&[(topic, partition)], ASK)?.into_iter().next().flatten())
    }

    fn committed_of_each(&mut self, partitions: &[(&str, i32)]) -> Vec<Result<Option<(Offset, Vec<u8>)>, ConsumeError>> {
        match self.asked(partitions, ASK_ALL) {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            // One that is pending leaves all without an answer.
            Err(ConsumeError::Unavailable(_)) if partitions.len() > 1 => {
                let each = |partition| Ok(self.asked(std::slice::from_ref(partition), ASK_EACH)?.into_iter().next().flatten());
                partitions.iter().map(each).collect()
            }
            Err(error) => partitions.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    fn rest(&mut self) {
        self.at = None;
        self.probe = None;
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(%error, "a reader that has nothing to read goes on fetching");
        }
    }

    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ConsumeError> {
        let what = format_args!("topic {topic}");
        let look = |left| self.consumer.fetch_metadata(Some(topic), left);
        let metadata = ask(self.consumer.client(), heard_elsewhere, what, Deadline::after(ASK), look).map_err(Unanswered::of_input)?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        Ok(found.map(|found| found.partitions().len() as i32).filter(|count| *count > 0))
    }

    fn turn_to(&mut self, topic: &str, partition: i32, from: Option<Offset>) -> Result<LogBounds, ConsumeError> {
        let bounds = self.bounds(topic, partition)?;
        let from = from.map_or(bounds.start, |from| Offset(from.0.max(bounds.start.0)));
        self.assign_alone(topic, partition, from).map_err(|error| failure::of_input_call(&error))?;
        self.at = Some((topic.to_owned(), partition, from));
        Ok(bounds)
    }

    fn read(&mut self, wait: Duration, room: usize, source: SourcePartition, into: &mut Batch) -> Result<Offset, ConsumeError> {
        let Some((topic, partition, from)) = &self.at else { return Err(ConsumeError::Fatal("nothing is being read".to_owned())) };
        let deadline = Deadline::after(wait);
        let (before, full, heavy) = (into.len(), into.len() + room, into.bytes() + READ_BYTES);
        let mut last = None;
        while into.len() < full && into.bytes() < heavy {
            let Some(event) = self.queue.poll(if into.len() == before { deadline.left() } else { Duration::ZERO }) else { break };
            match event.kind() {
                EventKind::Record => {
                    let Some(record) = event.record() else { continue };
                    // What came of an earlier place is still in the queue at times.
                    if record.topic() == topic.as_bytes() && record.partition() == *partition && record.offset() >= from.0 {
                        last = Some(record.offset());
                        let (offset, timestamp) = (Offset(record.offset()), TimestampMs(record.timestamp_ms()));
                        into.push(source, offset, timestamp, record.key(), record.value(), record.headers());
                    }
                }
                EventKind::Error => {
                    let found = event.failure();
                    if found.code == Code::AutoOffsetReset {
                        return Err(ConsumeError::Unavailable(format!("{topic} cannot be read on: {}", found.words)));
                    }
                    if let Some(error) = input_failure(&self.consumer, found, ASK) {
                        return Err(error);
                    }
                }
                EventKind::Log => log(&event),
                _ => {}
            }
        }
        // While records are left in the queue the position may be ahead of what was handed out.
        match last {
            Some(last) if into.len() >= full || into.bytes() >= heavy => Ok(Offset(last + 1)),
            _ => self.position(topic, *partition, *from),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::MockKafka;

    /// Whoever asks for one partition twice in a row once aborted the process (librdkafka's issue 5573).
    #[test]
    fn one_partition_is_turned_to_again_and_again() {
        let cluster = MockKafka::start(1).unwrap();
        cluster.create_topic("t", 1).unwrap();
        let archive = KafkaArchive::open(&cluster.settings("g")).unwrap();
        for turn in 0..3000 {
            archive.assign_alone("t", 0, Offset(turn)).unwrap();
        }
    }
}
