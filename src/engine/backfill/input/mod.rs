//! What a job reads, one partition after the other: the stream's topic besides any group, or files of one record a line.

pub mod window;

use std::time::Duration;

use tracing::warn;

use crate::id::{Offset, StreamIndex};
use crate::kafka::{ClientError, KafkaArchive, KafkaSettings};
use crate::topic::PartitionName;
use crate::transport::{Archive, Batch, ConsumeError, SourcePartition};

/// Why reading ends.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The cluster does not answer now; it is asked again.
    #[error("{0}")]
    Unavailable(String),
    /// It cannot be read: what is there, and what to do.
    #[error("{0}")]
    Refused(String),
    /// A line of a file is no record.
    #[error("{0}")]
    BadLine(String),
}

impl From<ConsumeError> for InputError {
    fn from(error: ConsumeError) -> Self {
        match error {
            ConsumeError::Unavailable(words) => Self::Unavailable(words),
            error @ (ConsumeError::Refused(_) | ConsumeError::Fatal(_)) => Self::Refused(error.to_string()),
        }
    }
}

impl From<ClientError> for InputError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unavailable(words) => Self::Unavailable(words),
            error => Self::Refused(error.to_string()),
        }
    }
}

/// Reads a job's input. One worker owns it.
pub trait JobInput {
    /// Goes to an offset of a partition. Returns where the input really goes on: behind it where retention has dropped what was there.
    fn turn_to(&mut self, partition: i32, from: Offset) -> Result<Offset, InputError>;

    /// Appends what follows, up to `room` records, waiting up to `wait` for the first. Returns the offset to come next, and none at
    /// the end of an input that has one by itself.
    fn read(&mut self, wait: Duration, room: usize, into: &mut Batch) -> Result<Option<Offset>, InputError>;
}

/// The stream's topic.
pub struct TopicInput {
    kafka: KafkaSettings,
    topic: String,
    stream: StreamIndex,
    archive: Option<KafkaArchive>,
    at: Option<(i32, Offset)>,
    /// Nothing was read since it was turned: the first record may come from too far.
    is_turned: bool,
}

/// A gap is looked into for so long.
const LOOK_INTO: Duration = Duration::from_secs(30);
/// How long one poll for what lies in it may take.
const GAP_WAIT: Duration = Duration::from_millis(200);

impl TopicInput {
    /// Reads nothing yet.
    pub fn new(kafka: &KafkaSettings, topic: &str, stream: StreamIndex) -> Self {
        Self { kafka: kafka.clone(), topic: topic.to_owned(), stream, archive: None, at: None, is_turned: false }
    }

    /// Whether a partition holds a record from `from` up to, and without, `to`, by another client.
    fn holds_record(&self, partition: i32, from: Offset, to: Offset) -> Result<bool, InputError> {
        let mut archive = KafkaArchive::open(&self.kafka)?;
        archive.turn_to(&self.topic, partition, Some(from))?;
        let source = SourcePartition { stream: self.stream, partition };
        let mut batch = Batch::default();
        let mut waited = Duration::ZERO;
        loop {
            let next = archive.read(GAP_WAIT, 1, source, &mut batch)?;
            if let Some(first) = batch.iter().next() {
                return Ok(first.offset < to);
            }
            if next >= to {
                return Ok(false);
            }
            waited += GAP_WAIT;
            if waited > LOOK_INTO {
                return Err(InputError::Unavailable(format!("what lies between {from} and {to} of {} could not be read", self.topic)));
            }
        }
    }
}

impl JobInput for TopicInput {
    fn turn_to(&mut self, partition: i32, from: Offset) -> Result<Offset, InputError> {
        // A client that was somewhere else in this partition may still hold what comes after that.
        let is_again = self.at.is_some_and(|(before, _)| before == partition);
        if is_again || self.archive.is_none() {
            self.archive = None;
            self.archive = Some(KafkaArchive::open(&self.kafka)?);
        }
        let archive = self.archive.as_mut().ok_or_else(|| InputError::Refused("no client to read by".to_owned()))?;
        let bounds = archive.turn_to(&self.topic, partition, Some(from))?;
        let from = from.max(bounds.start);
        self.at = Some((partition, from));
        self.is_turned = true;
        Ok(from)
    }

    fn read(&mut self, wait: Duration, room: usize, into: &mut Batch) -> Result<Option<Offset>, InputError> {
        let (Some(archive), Some((partition, from))) = (&mut self.archive, self.at) else {
            return Err(InputError::Refused("nothing is being read".to_owned()));
        };
        let source = SourcePartition { stream: self.stream, partition };
        let before = into.len();
        let read = archive.read(wait, room, source, into);
        let first = into.iter().nth(before).map(|first| first.offset);
        // Where nothing came, the client may have passed markers, or records.
        let reached = first.or_else(|| read.as_ref().ok().copied());
        if let Some(reached) = reached.filter(|reached| self.is_turned && (first.is_some() || *reached > from)) {
            // librdkafka may begin too far when a leader has just changed (docs/librdkafka.md).
            let passed_over = if reached > from { self.holds_record(partition, from, reached) } else { Ok(false) };
            if !matches!(passed_over, Ok(false)) {
                into.retain_records(|_, offset| offset < from);
                self.archive = None;
                passed_over?;
                warn!(partition = %PartitionName(&self.topic, partition), from = from.0, reached = reached.0, "records were passed over; they are read again");
                return Err(InputError::Unavailable("the client began too far".to_owned()));
            }
            self.is_turned = false;
        }
        Ok(Some(read?))
    }
}
