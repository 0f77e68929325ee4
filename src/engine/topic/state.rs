//! Small notes in `sharecast.state`: which input partitions were begun before (docs/rules/exactly-once.md#where-a-partition-begins), and
//! what routes are owed of them (docs/rules/outputs.md#what-is-owed).
//!
//! A partition without committed offset is begun at `streams.X.start` if no note names it; with a note, the offset has
//! been lost, and going on by a guess would double or skip records.

use crate::document::DocumentKind;
use crate::engine::topic::stored::{owed_key, owed_value, start_key, start_value};
use crate::id::{Offset, StreamIndex, TenantId};
use crate::json::document::parse;
use crate::record::mapping::Stream;
use crate::transport::SourcePartition;

/// Key and value of the note that a partition was begun at `first`.
pub fn note_of(group: &str, streams: &[Stream], partition: SourcePartition, first: Offset) -> (String, String) {
    let StreamIndex(stream) = partition.stream;
    let topic = &streams[usize::from(stream)].topic;
    (start_key(group, topic, partition.partition), start_value(first))
}

/// A note in `sharecast.state`: the tenant whose topic of the partition's stream is owed, and from where on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedNote {
    /// Whose topic.
    pub tenant: TenantId,
    /// The first input offset that is owed.
    pub from: Offset,
}

/// Key and value of a note; without offset the route is owed nothing any more.
pub fn owed_note_of(group: &str, stream: &Stream, partition: i32, tenant: &TenantId, from: Option<Offset>) -> (String, Option<String>) {
    (owed_key(group, &stream.topic, partition, tenant), from.map(|from| owed_value(tenant, from)))
}

/// Reads a note's value.
pub fn read_owed_note(value: &[u8]) -> Option<OwedNote> {
    let node = parse(value).ok()?;
    let tenant = TenantId::parse(node.get("tenant")?.as_str()?).ok()?;
    let DocumentKind::Number(from) = &node.get("from")?.kind else { return None };
    Some(OwedNote { tenant, from: Offset(from.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::topic::stored::owed_prefix;

    #[test]
    fn a_note_is_read_back_as_it_was_written() {
        let tenant = TenantId::parse("acme").unwrap();
        let stream = crate::config::Config::load(&[], &crate::config::ConfigEnv::none()).unwrap().streams[0].clone();
        let (key, value) = owed_note_of("g", &stream, 3, &tenant, Some(Offset(12)));
        assert!(key.starts_with(&owed_prefix("g", &stream.topic, 3)) && !key.starts_with(&owed_prefix("g", &stream.topic, 33)));
        assert_eq!(read_owed_note(value.unwrap().as_bytes()), Some(OwedNote { tenant: tenant.clone(), from: Offset(12) }));
        assert_eq!(owed_note_of("g", &stream, 3, &tenant, None).1, None);
        assert_eq!(read_owed_note(b"{}"), None);
    }
}
