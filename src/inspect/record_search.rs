//! The newest record of an asset in a stream's input, looked for from the end.

use std::cell::Cell;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::explain::RecordPlace;
use crate::explain::record::{WholeRecord, whose};
use crate::id::Offset;
use crate::json::tape::Tape;
use crate::kafka::{Admin, ClientError, KafkaSettings, ReadRecord, TopicReader};
use crate::record::mapping::{Mode, Stream};
use crate::transport::{ConsumeError, LogBounds};

/// So long one poll waits for the record.
const ONE_POLL: Duration = Duration::from_millis(100);

/// A record to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRecord {
    /// None of one that was given by hand.
    pub place: Option<RecordPlace>,
    /// The record.
    pub record: WholeRecord,
}

/// What is looked for.
pub struct Search<'s> {
    /// How the cluster is reached.
    pub config: &'s Config,
    /// In the input of this stream.
    pub stream: &'s Stream,
    /// Whose asset it is.
    pub owner: &'s str,
    /// The asset, in its owner's words.
    pub asset: &'s str,
    /// How many of the newest records of each partition are looked at.
    pub newest: u32,
    /// Of an upsert stream, whose current document may be as old as the topic, all are.
    pub searches_all_documents: bool,
    /// How long the cluster is waited for.
    pub patience: Duration,
}

/// Why records could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// The stream's topic is not there.
    #[error("{topic}, the input of {stream}, is not there")]
    NoTopic {
        /// The topic.
        topic: String,
        /// The stream.
        stream: String,
    },
    /// No record is at the place that was named, and why.
    #[error("{0}")]
    NoRecord(String),
    /// It was not there in time.
    #[error("{0}")]
    Late(String),
    /// A client could not be made, or the cluster does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The topic could not be read.
    #[error(transparent)]
    Input(#[from] ConsumeError),
}

impl Search<'_> {
    /// The newest record of the asset by its Kafka timestamp, read committed, whether `run` could read it or not; in an upsert stream
    /// the current document. None where there is none, or the document was deleted. Of what cannot be read and names its asset in the
    /// value nobody knows whose it is: it is passed over.
    ///
    /// # Errors
    /// It cannot be looked for.
    pub fn newest(&self) -> Result<Option<FoundRecord>, LookError> {
        let kafka = KafkaSettings::of(&self.config.kafka);
        let topic = &self.stream.topic;
        let shape = Admin::open(&kafka, self.patience).and_then(|admin| admin.topic(topic))?;
        let no_topic = || LookError::NoTopic { topic: topic.clone(), stream: self.stream.name.to_string() };
        let shape = shape.ok_or_else(no_topic)?;
        let (mode, newest) = (self.stream.mode, i64::from(self.newest));
        let first = |start: Offset, end: Offset| match mode {
            Mode::Upsert if self.searches_all_documents => start,
            Mode::Append | Mode::Upsert => Offset(start.0.max(end.0 - newest)),
        };
        let mut reader = TopicReader::open_from(&kafka, topic, 0..shape.partitions, |bounds| first(bounds.start, bounds.end))?;
        let (rules, mut tape) = (self.config.release_rules().read, Tape::default());
        let mut newest: Option<(RecordPlace, WholeRecord)> = None;
        reader.read_to_end(self.patience, |read| {
            let place = RecordPlace { partition: read.partition(), offset: read.offset() };
            let is_newer = newest.as_ref().is_none_or(|(known, record)| {
                // Of one partition the later record is the newer, whatever its timestamp: an upsert's document is the last.
                if known.partition == place.partition {
                    place.offset > known.offset
                } else {
                    (read.timestamp(), place.offset) > (record.timestamp, known.offset)
                }
            });
            if is_newer {
                let record = whole(read);
                if whose(&record, self.stream, &rules, &mut tape).is_ok_and(|(owner, asset)| owner == self.owner && asset == self.asset) {
                    newest = Some((place, record));
                }
            }
        })?;
        let is_deleted = |record: &WholeRecord| mode == Mode::Upsert && record.value.is_none();
        Ok(newest.filter(|(_, record)| !is_deleted(record)).map(|(place, record)| FoundRecord { place: Some(place), record }))
    }
}

/// The record at one place of a stream's topic.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read_at(config: &Config, stream: &Stream, place: &RecordPlace, patience: Duration) -> Result<WholeRecord, LookError> {
    let RecordPlace { partition, offset } = *place;
    let missing = |why: String| LookError::NoRecord(format!("{}/{partition} offset {offset}: {why}", stream.topic));
    let kafka = KafkaSettings::of(&config.kafka);
    let shape = Admin::open(&kafka, patience).and_then(|admin| admin.topic(&stream.topic))?;
    match shape {
        None => return Err(missing("the topic is not there".to_owned())),
        Some(shape) if partition >= shape.partitions => {
            return Err(missing(format!("the topic has {} partitions, from 0 on", shape.partitions)));
        }
        Some(_) => {}
    }
    let bounds = Cell::new((Offset(0), Offset(0)));
    let first = |known: &LogBounds| {
        bounds.set((known.start, known.end));
        offset.clamp(known.start, known.end)
    };
    let mut reader = TopicReader::open_from(&kafka, &stream.topic, [partition], first)?;
    let (start, end) = bounds.get();
    if offset < start || offset >= end {
        return Err(missing(format!("there are offsets {start} to {}: older ones are deleted, later ones not yet written", end.0 - 1)));
    }
    let until = SystemClock.boot().after(patience);
    let mut found: Option<(Offset, WholeRecord)> = None;
    while found.is_none() && !until.since(SystemClock.boot()).is_zero() {
        let read = reader.follow(ONE_POLL, |read| {
            if found.is_none() {
                found = Some((read.offset(), whole(read)));
            }
        });
        match read {
            Ok(()) | Err(ConsumeError::Unavailable(_)) => {}
            Err(error) => return Err(error.into()),
        }
        // Nothing but markers of transactions may be left up to the end.
        if found.is_none() && reader.is_at_end()? {
            break;
        }
    }
    match found {
        Some((at, record)) if at == offset => Ok(record),
        Some(_) => {
            Err(missing("no record is there: it was compacted away, taken back with its transaction, or is a marker of one".to_owned()))
        }
        None if reader.is_at_end()? => {
            Err(missing("no record is there: it was taken back with its transaction, or is a marker of one".to_owned()))
        }
        None => {
            let what = format!("{}/{partition} could not be read to offset {offset} in time", stream.topic);
            Err(LookError::Late(what))
        }
    }
}

fn whole(read: ReadRecord<'_>) -> WholeRecord {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    WholeRecord {
        key: owned(read.key()),
        headers: read.headers().map(|(name, value)| (name.to_vec(), owned(value))).collect(),
        timestamp: read.timestamp(),
        value: owned(read.value()),
    }
}
