//! A record whole, with all that a decision looks at.

use crate::decide::InputRecord;
use crate::json::tape::Tape;
use crate::record::dead_letter::Refusal;
use crate::record::decode::{self, Identity, IdentityScratch, ReadRules};
use crate::record::mapped_nodes::MappedNodes;
use crate::record::mapping::{FieldSource, KeyPart, Stream};
use crate::time::{TimestampMs, TimestampNs};

/// A record with all that a decision looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WholeRecord {
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its headers, repeats included.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Its Kafka timestamp.
    pub timestamp: TimestampMs,
    /// Its value; `None` is a null value.
    pub value: Option<Vec<u8>>,
}

impl WholeRecord {
    /// A value that was given alone: what its stream takes from key and headers is that of the asset.
    pub fn of_value(value: Vec<u8>, stream: &Stream, owner: &str, asset: &str, timestamp: TimestampMs) -> Self {
        let mapping = &stream.mapping;
        let (mut key, mut headers) = (asset.to_owned(), Vec::new());
        for (source, id) in [(&mapping.tenant, owner), (&mapping.asset, asset)] {
            match source {
                FieldSource::Path(_) | FieldSource::KeyField => {}
                FieldSource::Key => key = id.to_owned(),
                FieldSource::Header(name) => headers.push((name.clone().into_bytes(), Some(id.as_bytes().to_vec()))),
            }
        }
        if let Some(format) = &mapping.key_format {
            let part = |part: &KeyPart| match part {
                KeyPart::Literal(text) => text.clone(),
                KeyPart::Tenant => owner.to_owned(),
                KeyPart::Asset => asset.to_owned(),
            };
            key = format.parts.iter().map(part).collect();
        }
        Self { key: Some(key.into_bytes()), headers, timestamp, value: Some(value) }
    }

    /// As decisions take it.
    pub fn input(&self) -> InputRecord<'_, impl Iterator<Item = (&[u8], Option<&[u8]>)> + Clone> {
        let headers = self.headers.iter().map(|(name, value)| (name.as_slice(), value.as_deref()));
        InputRecord { key: self.key.as_deref(), headers, timestamp: self.timestamp, value: self.value.as_deref() }
    }
}

/// Whose a record is, owner before asset, by the engine's own reading; why it would be a dead letter where that comes first.
pub fn whose(record: &WholeRecord, stream: &Stream, rules: &ReadRules, tape: &mut Tape) -> Result<(String, String), Refusal> {
    let input = record.input();
    let owned = |identity: Identity<'_>| (identity.tenant.to_owned(), identity.asset.to_owned());
    let outer = decode::outer_identity(stream, input.key, input.headers)?;
    if let Some(identity) = outer.complete() {
        return Ok(owned(identity));
    }
    let parsed = &mut *tape;
    let text = decode::load(input.value, rules, move |text| parsed.parse(text).map(|()| &*parsed))?;
    decode::identity(stream, outer, text, tape, MappedNodes::of(stream, text, tape), &mut IdentityScratch::default()).map(owned)
}

/// The event time of a record, however far ahead; none where it cannot be read.
pub fn event_time_of(record: &WholeRecord, stream: &Stream, rules: &ReadRules, tape: &mut Tape) -> Option<TimestampNs> {
    let parsed = &mut *tape;
    let text = decode::load(record.value.as_deref(), rules, move |text| parsed.parse(text).map(|()| &*parsed)).ok()?;
    decode::any_event_time(stream, text, tape, MappedNodes::of(stream, text, tape), record.timestamp, &mut String::new()).ok()
}
