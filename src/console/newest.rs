//! The newest record of an asset in a stream's input: what previews, the editor and the answer to "why?" are made of.

use std::time::Duration;

use crate::config::Config;
use crate::explain::RecordPlace;
use crate::explain::record::{WholeRecord, event_time_of, whose};
use crate::id::Offset;
use crate::json::tape::Tape;
use crate::kafka::{Admin, KafkaSettings, TopicReader};
use crate::record::mapping::{Mode, Stream};
use crate::time::TimestampNs;

/// A preview looks at no more records of a partition; of an upsert stream, whose current document may be as old as the topic, at all.
const NEWEST_LOOKED_AT: i64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// A record with its place and its event time.
#[derive(Debug, Clone)]
pub(crate) struct NewestRecord {
    pub(crate) place: RecordPlace,
    pub(crate) record: WholeRecord,
    pub(crate) at: Option<TimestampNs>,
}

/// The newest record, read committed; none where there is none, or the document was deleted.
pub(crate) fn newest(config: &Config, stream: &Stream, owner: &str, asset: &str) -> Result<Option<NewestRecord>, String> {
    let kafka = KafkaSettings::of(&config.kafka);
    let shape = Admin::open(&kafka, PATIENCE).and_then(|admin| admin.topic(&stream.topic)).map_err(|error| error.to_string())?;
    let Some(shape) = shape else { return Ok(None) };
    let first = |start: Offset, end: Offset| match stream.mode {
        Mode::Append => Offset(start.0.max(end.0 - NEWEST_LOOKED_AT)),
        Mode::Upsert => start,
    };
    let mut reader = TopicReader::open_from(&kafka, &stream.topic, 0..shape.partitions, |bounds| first(bounds.start, bounds.end))
        .map_err(|error| error.to_string())?;
    let (rules, mut tape) = (config.release_rules().read, Tape::default());
    let mut newest: Option<(RecordPlace, WholeRecord)> = None;
    reader
        .read_to_end(PATIENCE, |read| {
            let place = RecordPlace { partition: read.partition(), offset: read.offset() };
            let record = WholeRecord {
                key: read.key().map(<[u8]>::to_vec),
                headers: read.headers().map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec))).collect(),
                timestamp: read.timestamp(),
                value: read.value().map(<[u8]>::to_vec),
            };
            let is_newer = newest.as_ref().is_none_or(|(known, old)| {
                if known.partition == place.partition { place.offset > known.offset } else { record.timestamp >= old.timestamp }
            });
            if is_newer && whose(&record, stream, &rules, &mut tape).is_ok_and(|(of, id)| of == owner && id == asset) {
                newest = Some((place, record));
            }
        })
        .map_err(|error| error.to_string())?;
    let is_deleted = |record: &WholeRecord| stream.mode == Mode::Upsert && record.value.is_none();
    Ok(newest.filter(|(_, record)| !is_deleted(record)).map(|(place, record)| {
        let at = match stream.mode {
            Mode::Append => event_time_of(&record, stream, &rules, &mut tape),
            Mode::Upsert => None,
        };
        NewestRecord { place, record, at }
    }))
}
