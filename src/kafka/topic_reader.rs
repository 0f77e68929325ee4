//! Reads a whole topic, read committed, to its end: the compacted topics at a start, and status records as they come.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::{ClientError, Deadline, Logged, create, input_failure};
use super::end_probe::KafkaEndProbe;
use super::native::{EventKind, Fetched, Queue};
use super::settings::KafkaSettings;
use crate::id::Offset;
use crate::kafka::client::failure;
use crate::time::TimestampMs;
use crate::transport::{ConsumeError, EndProbe, LogBounds};

/// The longest wait for one question about a partition's bounds.
const ASK: Duration = Duration::from_secs(10);
/// What a reader sees as a rule.
const COMMITTED: &str = "read_committed";

/// One record, valid while it is shown.
#[derive(Clone, Copy)]
pub struct ReadRecord<'a>(Fetched<'a>);

impl<'a> ReadRecord<'a> {
    /// Its partition.
    pub fn partition(self) -> i32 {
        self.0.partition()
    }

    /// Its offset there.
    pub fn offset(self) -> Offset {
        Offset(self.0.offset())
    }

    /// Its Kafka timestamp.
    pub fn timestamp(self) -> TimestampMs {
        TimestampMs(self.0.timestamp_ms())
    }

    /// Its key; `None` is Kafka's null.
    pub fn key(self) -> Option<&'a [u8]> {
        self.0.key()
    }

    /// Its value; `None` is a tombstone.
    pub fn value(self) -> Option<&'a [u8]> {
        self.0.value()
    }

    /// Name and value of each header, in order.
    pub fn headers(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.0.headers()
    }
}

/// A reader of some partitions of one topic, outside any group.
pub struct TopicReader {
    // Above the consumer: it must be dropped first.
    queue: Queue,
    consumer: BaseConsumer<Logged>,
    settings: KafkaSettings,
    topic: String,
    partitions: Vec<(i32, LogBounds)>,
    /// How long one question about bounds may take.
    ask: Duration,
}

impl TopicReader {
    /// Reads these partitions of `topic` from the oldest record on. The end is asked for here, at the high watermark.
    pub fn open(settings: &KafkaSettings, topic: &str, partitions: impl IntoIterator<Item = i32>) -> Result<Self, ConsumeError> {
        Self::open_from(settings, topic, partitions, |bounds| bounds.start)
    }

    /// The same from after the newest record on, for what is yet to come.
    pub fn open_at_end(settings: &KafkaSettings, topic: &str, partitions: impl IntoIterator<Item = i32>) -> Result<Self, ConsumeError> {
        Self::open_from(settings, topic, partitions, |bounds| bounds.end)
    }

    /// The same for one who waits no longer than this for each answer about the bounds.
    pub fn open_at_end_within(
        settings: &KafkaSettings,
        topic: &str,
        partitions: impl IntoIterator<Item = i32>,
        wait: Duration,
    ) -> Result<Self, ConsumeError> {
        Self::open_asking(settings, topic, partitions, (wait, COMMITTED), |bounds| bounds.end)
    }

    /// From the oldest record on, as `open`, for one who waits no longer than this for each answer about the bounds.
    pub fn open_within(
        settings: &KafkaSettings,
        topic: &str,
        partitions: impl IntoIterator<Item = i32>,
        wait: Duration,
    ) -> Result<Self, ConsumeError> {
        Self::open_asking(settings, topic, partitions, (wait, COMMITTED), |bounds| bounds.start)
    }

    /// The same with what is in no transaction, or in one that is open or aborted: an open one is not waited for.
    pub fn open_uncommitted_within(
        settings: &KafkaSettings,
        topic: &str,
        partitions: impl IntoIterator<Item = i32>,
        wait: Duration,
    ) -> Result<Self, ConsumeError> {
        Self::open_asking(settings, topic, partitions, (wait, "read_uncommitted"), |bounds| bounds.start)
    }

    /// The same from where `first` says of each partition's bounds.
    pub fn open_from(
        settings: &KafkaSettings,
        topic: &str,
        partitions: impl IntoIterator<Item = i32>,
        first: impl Fn(&LogBounds) -> Offset,
    ) -> Result<Self, ConsumeError> {
        Self::open_asking(settings, topic, partitions, (ASK, COMMITTED), first)
    }

    fn open_asking(
        settings: &KafkaSettings,
        topic: &str,
        partitions: impl IntoIterator<Item = i32>,
        (ask, isolation): (Duration, &str),
        first: impl Fn(&LogBounds) -> Offset,
    ) -> Result<Self, ConsumeError> {
        let refused = |error: ClientError| match error {
            ClientError::Unavailable(words) => ConsumeError::Unavailable(words),
            error => ConsumeError::Refused(error.to_string()),
        };
        let config = settings.consumer(&format!("{}-reader", settings.group), isolation);
        let consumer: BaseConsumer<Logged> = create(&config).map_err(refused)?;
        let queue = Queue::of_consumer(consumer.client()).ok_or_else(|| ConsumeError::Fatal("a group needs a name".to_owned()))?;
        let partitions = partitions.into_iter().map(|partition| (partition, LogBounds { start: Offset(0), end: Offset(0) })).collect();
        let mut reader = Self { queue, consumer, settings: settings.clone(), topic: topic.to_owned(), partitions, ask };
        reader.ask_bounds()?;
        let mut list = TopicPartitionList::new();
        for (partition, bounds) in &mut reader.partitions {
            bounds.start = first(bounds);
            let place = Place::Offset(bounds.start.0);
            list.add_partition_offset(topic, *partition, place).map_err(|error| failure::of_input_call(&error))?;
        }
        reader.consumer.assign(&list).map_err(|error| failure::of_input_call(&error))?;
        Ok(reader)
    }

    fn ask_bounds(&mut self) -> Result<(), ConsumeError> {
        let mut probe: Option<KafkaEndProbe> = None;
        for (partition, bounds) in &mut self.partitions {
            if let Some(probe) = &mut probe {
                probe.turn_to(&self.topic, *partition);
            } else {
                let made = KafkaEndProbe::of_partition(&self.settings, &self.topic, *partition, self.ask);
                probe = Some(made.map_err(|error| ConsumeError::Fatal(error.to_string()))?);
            }
            if let Some(probe) = &mut probe {
                *bounds = probe.ask()?;
            }
        }
        Ok(())
    }

    /// Shows every record up to the end seen at `open`. An open transaction before that end is waited for, up to `wait`, then
    /// it is `Unavailable`; what was shown stays shown.
    pub fn read_to_end(&mut self, wait: Duration, mut each: impl FnMut(ReadRecord<'_>)) -> Result<(), ConsumeError> {
        let deadline = Deadline::after(wait);
        let mut last = None;
        while !self.is_at_end()? {
            if deadline.has_passed() {
                let why = last.map_or(String::new(), |last: ConsumeError| format!("; the last answer: {last}"));
                return Err(ConsumeError::Unavailable(format!("{} could not be read to its end in time{why}", self.topic)));
            }
            match self.follow(deadline.left().min(Duration::from_millis(100)), &mut each) {
                Ok(()) => {}
                Err(error @ ConsumeError::Unavailable(_)) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Shows every record up to the end as it is now, from where it stands; `wait` as for `read_to_end`.
    pub fn catch_up(&mut self, wait: Duration, each: impl FnMut(ReadRecord<'_>)) -> Result<(), ConsumeError> {
        let starts: Vec<Offset> = self.partitions.iter().map(|(_, bounds)| bounds.start).collect();
        self.ask_bounds()?;
        // Where nothing was read yet it still stands where it was opened.
        self.partitions.iter_mut().zip(starts).for_each(|((_, bounds), start)| bounds.start = start);
        self.read_to_end(wait, each)
    }

    /// Shows what there is, waiting up to `wait` for the first record.
    pub fn follow(&mut self, wait: Duration, mut each: impl FnMut(ReadRecord<'_>)) -> Result<(), ConsumeError> {
        let mut wait = wait;
        while let Some(event) = self.queue.poll(wait) {
            match event.kind() {
                EventKind::Record => {
                    wait = Duration::ZERO;
                    event.record().map(ReadRecord).into_iter().for_each(&mut each);
                }
                EventKind::Error => {
                    self.consumer.context().take(&event);
                    let found = event.failure();
                    if let Some(error) = input_failure(&self.consumer, found, ASK) {
                        return Err(error);
                    }
                }
                EventKind::Log => self.consumer.context().take(&event),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether all was read up to the end seen last.
    pub fn is_at_end(&self) -> Result<bool, ConsumeError> {
        let positions = self.consumer.position().map_err(|error| failure::of_input_call(&error))?;
        Ok(self.partitions.iter().all(|(partition, bounds)| {
            let position = match positions.find_partition(&self.topic, *partition).map(|found| found.offset()) {
                Some(Place::Offset(offset)) => offset,
                _ => bounds.start.0,
            };
            position >= bounds.end.0
        }))
    }
}
