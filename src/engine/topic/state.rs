//! Which input partitions were begun before: small notes in `sharecast.state` (docs/rules/exactly-once.md#where-a-partition-begins).
//!
//! A partition without committed offset is begun at `streams.X.start` if no note names it; with a note, the offset has
//! been lost, and going on by a guess would double or skip records.

use crate::engine::topic::stored::{start_key, start_value};
use crate::id::{Offset, StreamIndex};
use crate::record::mapping::Stream;
use crate::transport::SourcePartition;

/// Key and value of the note that a partition was begun at `first`.
pub fn note_of(group: &str, streams: &[Stream], partition: SourcePartition, first: Offset) -> (String, String) {
    let StreamIndex(stream) = partition.stream;
    let topic = &streams[usize::from(stream)].topic;
    (start_key(group, topic, partition.partition), start_value(first))
}
