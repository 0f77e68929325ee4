//! The newest record of an asset in a stream's input, looked for from the end.

use std::time::Duration;

use crate::cli::exit::{Failure, client_failure, input_failure};
use crate::cli::share::would_be::{WholeRecord, whose};
use crate::config::Config;
use crate::id::Offset;
use crate::json::tape::Tape;
use crate::kafka::{Admin, KafkaSettings, ReadRecord, TopicReader};
use crate::record::mapping::{Mode, Stream};

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordRef {
    pub(super) partition: i32,
    pub(super) offset: Offset,
}

/// A record to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundRecord {
    /// None of one that was given by hand.
    pub(super) place: Option<RecordRef>,
    pub(super) record: WholeRecord,
}

/// What is looked for.
pub(super) struct Search<'s> {
    pub(super) config: &'s Config,
    pub(super) stream: &'s Stream,
    pub(super) owner: &'s str,
    pub(super) asset: &'s str,
    /// How many of the newest records of each partition are looked at. Of an upsert stream, whose current document may be as old as
    /// the topic, all are.
    pub(super) newest: u32,
    pub(super) patience: Duration,
}

impl Search<'_> {
    /// The newest record of the asset by its Kafka timestamp, read committed, whether `run` could read it or not; in an upsert stream
    /// the current document. None where there is none, or the document was deleted. Of what cannot be read and names its asset in the
    /// value nobody knows whose it is: it is passed over.
    pub(super) fn newest(&self) -> Result<Option<FoundRecord>, Failure> {
        let kafka = KafkaSettings::of(&self.config.kafka);
        let topic = &self.stream.topic;
        let shape = Admin::open(&kafka, self.patience).and_then(|admin| admin.topic(topic)).map_err(client_failure)?;
        let Some(shape) = shape else {
            eprintln!("warning: {topic}, the input of {}, is not there", self.stream.name);
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
        let mut newest: Option<(RecordRef, WholeRecord)> = None;
        reader
            .read_to_end(self.patience, |read| {
                let place = RecordRef { partition: read.partition(), offset: read.offset() };
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

fn whole(read: ReadRecord<'_>) -> WholeRecord {
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    WholeRecord {
        key: owned(read.key()),
        headers: read.headers().map(|(name, value)| (name.to_vec(), owned(value))).collect(),
        timestamp: read.timestamp(),
        value: owned(read.value()),
    }
}
