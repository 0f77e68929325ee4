//! The newest record of an asset in a stream's input, looked for from the end.

use std::time::Duration;

use super::exit::Failure;
use super::send::{client_failure, input_failure};
use crate::config::Config;
use crate::id::Offset;
use crate::json::tape::Tape;
use crate::kafka::{Admin, KafkaSettings, ReadRecord, TopicReader};
use crate::record::decode::{self, IdentityScratch, ReadRules};
use crate::record::mapping::{Mode, Stream};
use crate::time::Millis;

/// How long one question to the cluster may take.
const ASK: Duration = Duration::from_secs(10);

/// Where a record lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: Offset,
    pub(super) timestamp: Millis,
}

/// A record of the asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// None of one that was given by hand.
    pub(super) place: Option<Place>,
    pub(super) value: Vec<u8>,
}

impl Found {
    /// One that was given.
    pub(super) fn by_hand(value: Vec<u8>) -> Self {
        Self { place: None, value }
    }
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
    /// The newest record by its Kafka timestamp, read committed; in an upsert stream the current document. None where there is none,
    /// or the document was deleted.
    pub(super) fn newest(&self) -> Result<Option<Found>, Failure> {
        let kafka = KafkaSettings::of(&self.config.kafka);
        let topic = &self.stream.topic;
        let shape = Admin::open(&kafka, ASK).and_then(|admin| admin.topic(topic)).map_err(client_failure)?;
        let Some(shape) = shape else { return Ok(None) };
        let (mode, newest) = (self.stream.mode, i64::from(self.newest));
        let first = |start: Offset, end: Offset| match mode {
            Mode::Append => Offset(start.0.max(end.0 - newest)),
            Mode::Upsert => start,
        };
        let mut reader =
            TopicReader::open_from(&kafka, topic, 0..shape.partitions, |bounds| first(bounds.start, bounds.end)).map_err(input_failure)?;
        let mut asked =
            Asked { search: self, rules: self.config.release_rules().read, tape: Tape::default(), scratch: IdentityScratch::default() };
        let mut newest: Option<(Place, Option<Vec<u8>>)> = None;
        reader
            .read_to_end(self.patience, |record| {
                let is_newer = newest.as_ref().is_none_or(|(known, _)| {
                    let place = (record.timestamp(), record.offset());
                    // Of one partition the later record is the newer, whatever its timestamp: an upsert's document is the last.
                    if known.partition == record.partition() {
                        record.offset() > known.offset
                    } else {
                        place > (known.timestamp, known.offset)
                    }
                });
                if let (true, Some(is_readable)) = (is_newer, asked.of_asset(record)) {
                    let place = Place { partition: record.partition(), offset: record.offset(), timestamp: record.timestamp() };
                    newest = Some((place, record.value().filter(|_| is_readable).map(<[u8]>::to_vec)));
                }
            })
            .map_err(input_failure)?;
        Ok(newest.and_then(|(place, value)| Some(Found { place: Some(place), value: value? })))
    }
}

/// Tells whose a record is.
struct Asked<'s> {
    search: &'s Search<'s>,
    rules: ReadRules,
    tape: Tape,
    scratch: IdentityScratch,
}

impl Asked<'_> {
    /// Whether a record of the asset can be read; none of what is not the asset's. In an append stream an unreadable record is
    /// nobody's: it would be a dead letter. In an upsert stream it stands for no document (docs/rules/upserts.md#the-current-document).
    fn of_asset(&mut self, record: ReadRecord<'_>) -> Option<bool> {
        let Search { stream, owner, asset, .. } = *self.search;
        let headers: Vec<(&[u8], Option<&[u8]>)> = record.headers().collect();
        let outer = decode::outer_identity(stream, record.key(), headers.into_iter()).ok()?;
        let is_it = |identity: decode::Identity<'_>| identity.tenant == owner && identity.asset == asset;
        if outer.complete().is_some_and(|identity| !is_it(identity)) {
            return None;
        }
        let loaded = decode::load(record.value(), &self.rules, |text| match self.tape.parse(text) {
            Ok(()) => Ok(&self.tape),
            Err(error) => Err(error),
        });
        let Ok(text) = loaded else { return (stream.mode == Mode::Upsert).then_some(false) };
        let identity = decode::identity(stream, outer, text, &self.tape, &mut self.scratch).ok()?;
        is_it(identity).then_some(true)
    }
}
