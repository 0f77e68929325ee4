//! The newest record of an asset in a stream's input, looked for from the end.

use std::cell::Cell;
use std::time::Duration;

use crate::cli::exit::{Exit, Failure, client_failure, input_failure, tell};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::explain::RecordPlace;
use crate::explain::record::{WholeRecord, whose};
use crate::id::Offset;
use crate::json::tape::Tape;
use crate::kafka::{Admin, KafkaSettings, ReadRecord, TopicReader};
use crate::record::mapping::{Mode, Stream};
use crate::transport::{ConsumeError, LogBounds};

/// So long one poll waits for the record.
const ONE_POLL: Duration = Duration::from_millis(100);

/// A record to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct FoundRecord {
    /// None of one that was given by hand.
    pub(in crate::cli) place: Option<RecordPlace>,
    pub(in crate::cli) record: WholeRecord,
}

/// What is looked for.
pub(in crate::cli) struct Search<'s> {
    pub(in crate::cli) config: &'s Config,
    pub(in crate::cli) stream: &'s Stream,
    pub(in crate::cli) owner: &'s str,
    pub(in crate::cli) asset: &'s str,
    /// How many of the newest records of each partition are looked at. Of an upsert stream, whose current document may be as old as
    /// the topic, all are.
    pub(in crate::cli) newest: u32,
    pub(in crate::cli) patience: Duration,
}

impl Search<'_> {
    /// The newest record of the asset by its Kafka timestamp, read committed, whether `run` could read it or not; in an upsert stream
    /// the current document. None where there is none, or the document was deleted. Of what cannot be read and names its asset in the
    /// value nobody knows whose it is: it is passed over.
    pub(in crate::cli) fn newest(&self) -> Result<Option<FoundRecord>, Failure> {
        let kafka = KafkaSettings::of(&self.config.kafka);
        let topic = &self.stream.topic;
        let shape = Admin::open(&kafka, self.patience).and_then(|admin| admin.topic(topic)).map_err(client_failure)?;
        let Some(shape) = shape else {
            tell!("warning: {topic}, the input of {}, is not there", self.stream.name);
            return Ok(None);
        };
        let (mode, newest) = (self.stream.mode, i64::from(self.newest));
        let first = |start: Offset, end: Offset| match mode {
            Mode::Append => Offset(start.0.max(end.0 - newest)),
            Mode::Upsert => start,
        };
        let mut reader =
            TopicReader::open_from(&kafka, topic, 0..shape.partitions, |bounds| first(bounds.start, bounds.end)).map_err(input_failure)?;
        let (rules, mut tape) = (self.config.release_rules().read, Tape::default());
        let mut newest: Option<(RecordPlace, WholeRecord)> = None;
        reader
            .read_to_end(self.patience, |read| {
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
                    if whose(&record, self.stream, &rules, &mut tape).is_ok_and(|(owner, asset)| owner == self.owner && asset == self.asset)
                    {
                        newest = Some((place, record));
                    }
                }
            })
            .map_err(input_failure)?;
        let is_deleted = |record: &WholeRecord| mode == Mode::Upsert && record.value.is_none();
        Ok(newest.filter(|(_, record)| !is_deleted(record)).map(|(place, record)| FoundRecord { place: Some(place), record }))
    }
}

/// The record at one place of a stream's topic.
pub(in crate::cli) fn read_at(config: &Config, stream: &Stream, place: &RecordPlace, patience: Duration) -> Result<WholeRecord, Failure> {
    let RecordPlace { partition, offset } = *place;
    let missing = |why: String| {
        let what = format!("{}/{partition} offset {offset}: {why}", stream.topic);
        Failure::new(Exit::Usage, what)
    };
    let kafka = KafkaSettings::of(&config.kafka);
    let shape = Admin::open(&kafka, patience).and_then(|admin| admin.topic(&stream.topic)).map_err(client_failure)?;
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
    let mut reader = TopicReader::open_from(&kafka, &stream.topic, [partition], first).map_err(input_failure)?;
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
            Err(error) => return Err(input_failure(error)),
        }
        // Nothing but markers of transactions may be left up to the end.
        if found.is_none() && reader.is_at_end().map_err(input_failure)? {
            break;
        }
    }
    match found {
        Some((at, record)) if at == offset => Ok(record),
        Some(_) => {
            Err(missing("no record is there: it was compacted away, taken back with its transaction, or is a marker of one".to_owned()))
        }
        None if reader.is_at_end().map_err(input_failure)? => {
            Err(missing("no record is there: it was taken back with its transaction, or is a marker of one".to_owned()))
        }
        None => Err(Failure::new(Exit::Unavailable, format!("{}/{partition} could not be read to offset {offset} in time", stream.topic))),
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
