//! Reading one record in the order of docs/rules/records.md#order-of-reasons.
//!
//! A record is read in two steps, so that what is not shared need not be parsed (docs/rules/records.md#unshared-values-are-not-read):
//! `outer_identity` looks at key and headers alone, `load`, `identity` and `event_time` at the value. Nothing here allocates once the
//! scratch has grown.

use super::dead_letter::{DeadLetterReason, Refusal};
use super::event_time;
use super::mapped_nodes::MappedNodes;
use super::mapping::{FieldSource, KeyFields, Mapping, Mode, Stream};
use crate::id::{AssetId, TenantId};
use crate::json::error::InvalidJson;
use crate::json::path::{Path, Selected};
use crate::json::tape::{NodeIndex, NodeKind, Tape};
use crate::time::{Period, TimestampMs, TimestampNs};

/// The limits of the configuration that reading depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadRules {
    /// `max_record_bytes`: a longer value is `too_large`.
    pub max_record_bytes: usize,
    /// `max_future`: how far an event time may lie after now.
    pub max_future: Period,
}

/// The ids that key and headers give, each checked by the rule of its kind. `None` where the mapping looks into the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OuterIdentity<'r> {
    /// The owner.
    pub tenant: Option<&'r str>,
    /// The asset.
    pub asset: Option<&'r str>,
}

impl<'r> OuterIdentity<'r> {
    /// Both ids, if neither comes from the value.
    pub fn complete(self) -> Option<Identity<'r>> {
        Some(Identity { tenant: self.tenant?, asset: self.asset? })
    }
}

/// Whose record it is, and of which asset, in the owner's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity<'r> {
    /// The owner.
    pub tenant: &'r str,
    /// The asset.
    pub asset: &'r str,
}

/// Memory for ids that are escaped in the value; reused from record to record.
#[derive(Debug, Default)]
pub struct IdentityScratch {
    tenant: String,
    asset: String,
}

/// One of the two ids that a record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FieldRole {
    Tenant,
    Asset,
}

/// Step 1: the key, and identity out of key and headers, tenant before asset.
pub fn outer_identity<'r>(
    stream: &Stream,
    key: Option<&'r [u8]>,
    headers: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
) -> Result<OuterIdentity<'r>, Refusal> {
    let mapping = &stream.mapping;
    if key.is_none() && (stream.mode == Mode::Upsert || mapping.uses_key()) {
        return Err(Refusal::new(DeadLetterReason::MissingKey, "the record has no key"));
    }
    // A mapping that uses the key has met `missing_key` by now, so that the empty default is never taken apart.
    let key = key.unwrap_or_default();
    let tenant = outer_id(FieldRole::Tenant, mapping, key, headers.clone())?;
    let asset = outer_id(FieldRole::Asset, mapping, key, headers)?;
    Ok(OuterIdentity { tenant, asset })
}

fn outer_id<'r>(
    role: FieldRole,
    mapping: &Mapping,
    key: &'r [u8],
    headers: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)>,
) -> Result<Option<&'r str>, Refusal> {
    let bytes = match role.source(mapping) {
        FieldSource::Path(_) => return Ok(None),
        FieldSource::Key => key,
        FieldSource::KeyField => key_field(role, mapping, key)?.as_bytes(),
        FieldSource::Header(name) => the_header(role, name.as_bytes(), headers)?,
    };
    let text = std::str::from_utf8(bytes).map_err(|_| role.invalid())?;
    if role.is_valid(text) { Ok(Some(text)) } else { Err(role.invalid()) }
}

fn key_field<'r>(role: FieldRole, mapping: &Mapping, key: &'r [u8]) -> Result<&'r str, Refusal> {
    let fields: KeyFields<'r> = std::str::from_utf8(key)
        .ok()
        .and_then(|key| mapping.key_format.as_ref()?.split(key))
        .ok_or(Refusal::new(DeadLetterReason::InvalidId, "the key does not fit key_format"))?;
    let field = match role {
        FieldRole::Tenant => fields.tenant,
        FieldRole::Asset => fields.asset,
    };
    field.ok_or(role.invalid())
}

/// The one header of this name. A header without a value gives no id.
fn the_header<'r>(role: FieldRole, name: &[u8], headers: impl Iterator<Item = (&'r [u8], Option<&'r [u8]>)>) -> Result<&'r [u8], Refusal> {
    let mut of_that_name = headers.filter(|(header, _)| *header == name).map(|(_, value)| value);
    let first = of_that_name.next().ok_or(role.missing())?;
    if of_that_name.next().is_some() {
        return Err(role.duplicate());
    }
    first.ok_or(role.missing())
}

/// Step 2: has the value parsed, if it is a JSON object of allowed size. Returns the value's bytes.
pub fn load<'r, 't>(
    value: Option<&'r [u8]>,
    rules: &ReadRules,
    parse: impl FnOnce(&'r [u8]) -> Result<&'t Tape, InvalidJson>,
) -> Result<&'r [u8], Refusal> {
    let text = value.ok_or(Refusal::new(DeadLetterReason::NotAnObject, "the value is null"))?;
    if text.len() > rules.max_record_bytes {
        return Err(Refusal::new(DeadLetterReason::TooLarge, "the value is longer than max_record_bytes"));
    }
    let tape = parse(text).map_err(|e| Refusal { reason: DeadLetterReason::InvalidJson, what: e.what, at: Some(e.at) })?;
    match tape.kind(NodeIndex::ROOT) {
        NodeKind::Object => Ok(text),
        _ => Err(Refusal::new(DeadLetterReason::NotAnObject, "the value is no object")),
    }
}

/// Step 3: both ids of the loaded record. Whatever is missing or doubled is found before what is out of rule.
pub fn identity<'r>(
    stream: &Stream,
    outer: OuterIdentity<'r>,
    text: &'r [u8],
    tape: &Tape,
    nodes: MappedNodes,
    scratch: &'r mut IdentityScratch,
) -> Result<Identity<'r>, Refusal> {
    let tenant = value_node(FieldRole::Tenant, &stream.mapping, tape, nodes)?;
    let asset = value_node(FieldRole::Asset, &stream.mapping, tape, nodes)?;
    let tenant = value_id(FieldRole::Tenant, outer.tenant, tenant, text, tape, &mut scratch.tenant)?;
    let asset = value_id(FieldRole::Asset, outer.asset, asset, text, tape, &mut scratch.asset)?;
    Ok(Identity { tenant, asset })
}

fn value_node(role: FieldRole, mapping: &Mapping, tape: &Tape, nodes: MappedNodes) -> Result<Option<NodeIndex>, Refusal> {
    let FieldSource::Path(_) = role.source(mapping) else { return Ok(None) };
    match but_null(role.selected(nodes), tape) {
        Selected::Nothing => Err(role.missing()),
        Selected::Several => Err(role.duplicate()),
        Selected::One(node) => Ok(Some(node)),
    }
}

fn value_id<'r>(
    role: FieldRole,
    outer: Option<&'r str>,
    node: Option<NodeIndex>,
    text: &'r [u8],
    tape: &Tape,
    scratch: &'r mut String,
) -> Result<&'r str, Refusal> {
    let Some(node) = node else { return outer.ok_or(role.missing()) };
    let id = tape.string(text, node, scratch).ok_or(role.invalid())?;
    if role.is_valid(id) { Ok(id) } else { Err(role.invalid()) }
}

/// Step 4: the event time of the loaded record; the Kafka timestamp where the stream maps none. `buffer` is for unescaping.
pub fn event_time(
    stream: &Stream,
    text: &[u8],
    tape: &Tape,
    nodes: MappedNodes,
    timestamp: TimestampMs,
    limit: TimestampNs,
    buffer: &mut String,
) -> Result<TimestampNs, Refusal> {
    let t = any_event_time(stream, text, tape, nodes, timestamp, buffer)?;
    not_after(t, limit)?;
    Ok(t)
}

/// The event time, however far ahead it is.
pub fn any_event_time(
    stream: &Stream,
    text: &[u8],
    tape: &Tape,
    nodes: MappedNodes,
    timestamp: TimestampMs,
    buffer: &mut String,
) -> Result<TimestampNs, Refusal> {
    match &stream.mapping.time {
        None => Ok(timestamp.moment()),
        Some(_) => time_at(nodes.time, text, tape, buffer),
    }
}

/// Refuses an event time that is later than `limit`.
pub fn not_after(t: TimestampNs, limit: TimestampNs) -> Result<(), Refusal> {
    let refusal = || Refusal::new(DeadLetterReason::FutureTime, "the event time is further ahead than max_future");
    if t > limit { Err(refusal()) } else { Ok(()) }
}

/// The event time at the mapped path (docs/rules/records.md#event-time), wherever it lies.
pub fn mapped_time(path: &Path, text: &[u8], tape: &Tape, buffer: &mut String) -> Result<TimestampNs, Refusal> {
    time_at(path.find(text, tape), text, tape, buffer)
}

fn time_at(selected: Selected, text: &[u8], tape: &Tape, buffer: &mut String) -> Result<TimestampNs, Refusal> {
    let node = match but_null(selected, tape) {
        Selected::Nothing => return Err(Refusal::new(DeadLetterReason::MissingTime, "no event time in the value")),
        Selected::Several => return Err(Refusal::new(DeadLetterReason::InvalidTime, "two event times in the value")),
        Selected::One(node) => node,
    };
    let (t, _) =
        event_time::read(tape, text, node, buffer).ok_or(Refusal::new(DeadLetterReason::InvalidTime, "the event time is no time"))?;
    Ok(t)
}

/// One null alone counts as nothing.
fn but_null(selected: Selected, tape: &Tape) -> Selected {
    match selected {
        Selected::One(node) if tape.kind(node) == NodeKind::Null => Selected::Nothing,
        found => found,
    }
}

impl FieldRole {
    fn source(self, mapping: &Mapping) -> &FieldSource {
        match self {
            Self::Tenant => &mapping.tenant,
            Self::Asset => &mapping.asset,
        }
    }

    fn selected(self, nodes: MappedNodes) -> Selected {
        match self {
            Self::Tenant => nodes.tenant,
            Self::Asset => nodes.asset,
        }
    }

    fn is_valid(self, text: &str) -> bool {
        match self {
            Self::Tenant => TenantId::is_valid(text),
            Self::Asset => AssetId::is_valid(text),
        }
    }

    fn missing(self) -> Refusal {
        match self {
            Self::Tenant => Refusal::new(DeadLetterReason::MissingTenant, "nothing names the tenant"),
            Self::Asset => Refusal::new(DeadLetterReason::MissingAsset, "nothing names the asset"),
        }
    }

    fn duplicate(self) -> Refusal {
        let what = match self {
            Self::Tenant => "the tenant is named twice",
            Self::Asset => "the asset is named twice",
        };
        Refusal::new(DeadLetterReason::DuplicateIdentity, what)
    }

    fn invalid(self) -> Refusal {
        let what = match self {
            Self::Tenant => "the tenant is no tenant id",
            Self::Asset => "the asset is no asset id",
        };
        Refusal::new(DeadLetterReason::InvalidId, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{StreamIndex, StreamName};
    use crate::record::mapping::KeyFormat;

    fn source(text: &str) -> FieldSource {
        match text {
            "key" => FieldSource::Key,
            "key.tenant" | "key.asset" => FieldSource::KeyField,
            _ => match text.strip_prefix("header:") {
                Some(name) => FieldSource::Header(name.to_owned()),
                None => FieldSource::Path(Path::parse(text).unwrap()),
            },
        }
    }

    fn stream(mode: Mode, tenant: &str, asset: &str, key_format: Option<&str>, time: Option<&str>) -> Stream {
        Stream {
            name: StreamName::parse("telemetry").unwrap(),
            index: StreamIndex(0),
            mode,
            topic: "telemetry.raw".to_owned(),
            mapping: Mapping {
                tenant: source(tenant),
                asset: source(asset),
                key_format: key_format.map(|text| KeyFormat::parse(text).unwrap()),
                time: time.map(|path| Path::parse(path).unwrap()),
                rewrite_tenant: Vec::new(),
                rewrite_asset: Vec::new(),
            },
        }
    }

    const NOW: TimestampMs = TimestampMs(1_000_000);

    /// Reads a record to the end: its ids and event time, or the reason.
    fn read(
        stream: &Stream,
        key: Option<&str>,
        headers: &[(&str, &str)],
        value: Option<&str>,
    ) -> Result<(String, String, TimestampNs), DeadLetterReason> {
        let rules = ReadRules { max_record_bytes: 120, max_future: Period::from_millis(1000) };
        let (mut tape, mut scratch) = (Tape::default(), IdentityScratch::default());
        let headers = headers.iter().map(|(name, value)| (name.as_bytes(), Some(value.as_bytes())));
        let outcome = || {
            let outer = outer_identity(stream, key.map(str::as_bytes), headers)?;
            let parsed = &mut tape;
            let text = load(value.map(str::as_bytes), &rules, move |text| parsed.parse(text).map(|()| &*parsed))?;
            let tape = &tape;
            let limit = NOW.moment().after(rules.max_future);
            let nodes = MappedNodes::of(stream, text, tape);
            let ids = identity(stream, outer, text, tape, nodes, &mut scratch).map(|ids| (ids.tenant.to_owned(), ids.asset.to_owned()))?;
            let t = event_time(stream, text, tape, nodes, TimestampMs(7), limit, &mut String::new())?;
            Ok((ids.0, ids.1, t))
        };
        outcome().map_err(|refusal: Refusal| refusal.reason)
    }

    fn by_value(value: &str) -> Result<(String, String, TimestampNs), DeadLetterReason> {
        read(&stream(Mode::Append, "$.t", "$.a", None, Some("$.ts")), None, &[], Some(value))
    }

    #[test]
    fn d25_reasons_of_the_value_in_order() {
        let reasons = [
            (r#"{"t":"nw","a":"X","ts":1000.5}"#, None),
            (r#"{"t":"nw","a":"\u0058","ts":"1970-01-01T00:16:41Z"}"#, None),
            (r#"{"a":null}"#, Some(DeadLetterReason::MissingTenant)),
            (r#"{"t":"nw","t":"nw"}"#, Some(DeadLetterReason::DuplicateIdentity)),
            (r#"{"t":null,"t":null}"#, Some(DeadLetterReason::DuplicateIdentity)),
            (r#"{"t":"not an id"}"#, Some(DeadLetterReason::MissingAsset)),
            (r#"{"t":"not an id","a":[],"a":1}"#, Some(DeadLetterReason::DuplicateIdentity)),
            (r#"{"t":"not an id","a":"X"}"#, Some(DeadLetterReason::InvalidId)),
            (r#"{"t":"nw","a":5}"#, Some(DeadLetterReason::InvalidId)),
            (r#"{"t":"nw","a":"\u0000"}"#, Some(DeadLetterReason::InvalidId)),
            (r#"{"t":"nw","a":"X"}"#, Some(DeadLetterReason::MissingTime)),
            (r#"{"t":"nw","a":"X","ts":null}"#, Some(DeadLetterReason::MissingTime)),
            (r#"{"t":"nw","a":"X","ts":1,"ts":1}"#, Some(DeadLetterReason::InvalidTime)),
            (r#"{"t":"nw","a":"X","ts":"noon"}"#, Some(DeadLetterReason::InvalidTime)),
            (r#"{"t":"nw","a":"X","ts":1001.000000001}"#, Some(DeadLetterReason::FutureTime)),
            ("5", Some(DeadLetterReason::NotAnObject)),
            ("", Some(DeadLetterReason::InvalidJson)),
            (r#"{"t":"nw""#, Some(DeadLetterReason::InvalidJson)),
        ];
        for (value, reason) in reasons {
            assert_eq!(by_value(value).err(), reason, "{value}");
        }
        assert_eq!(by_value(&" ".repeat(121)).err(), Some(DeadLetterReason::TooLarge));
    }

    #[test]
    fn d25_a_null_value_is_no_object_before_anything_about_its_ids() {
        assert_eq!(read(&stream(Mode::Append, "$.t", "$.a", None, None), None, &[], None).err(), Some(DeadLetterReason::NotAnObject));
    }

    #[test]
    fn d25_key_and_headers_come_first() {
        let both = stream(Mode::Append, "header:owner", "key", None, None);
        assert_eq!(read(&both, None, &[], None).err(), Some(DeadLetterReason::MissingKey));
        assert_eq!(read(&both, Some(""), &[("Owner", "nw")], None).err(), Some(DeadLetterReason::MissingTenant));
        assert_eq!(read(&both, Some(""), &[("owner", "nw"), ("owner", "nw")], None).err(), Some(DeadLetterReason::DuplicateIdentity));
        assert_eq!(read(&both, Some("X"), &[("owner", "n w")], None).err(), Some(DeadLetterReason::InvalidId));
        assert_eq!(read(&both, Some(""), &[("owner", "nw")], None).err(), Some(DeadLetterReason::InvalidId));
        assert_eq!(read(&both, Some("X"), &[("owner", "nw")], None).err(), Some(DeadLetterReason::NotAnObject));
        assert_eq!(read(&both, Some("X"), &[("owner", "nw")], Some("{}")), Ok(("nw".into(), "X".into(), TimestampMs(7).moment())));
        let mixed = stream(Mode::Append, "$.t", "header:asset", None, None);
        assert_eq!(read(&mixed, None, &[], Some("{")).err(), Some(DeadLetterReason::MissingAsset));
        assert_eq!(read(&mixed, None, &[("asset", "X")], Some(r#"{"t":"nw"}"#)), Ok(("nw".into(), "X".into(), TimestampMs(7).moment())));
    }

    #[test]
    fn d25_upsert_streams_always_need_a_key() {
        let upsert = stream(Mode::Upsert, "header:owner", "header:asset", None, None);
        assert_eq!(read(&upsert, None, &[("owner", "nw"), ("asset", "X")], Some("{}")).err(), Some(DeadLetterReason::MissingKey));
        assert!(read(&upsert, Some(""), &[("owner", "nw"), ("asset", "X")], Some("{}")).is_ok());
    }

    #[test]
    fn d28_a_key_that_does_not_fit_is_an_invalid_id() {
        let keyed = stream(Mode::Append, "key.tenant", "key.asset", Some("{tenant}/{asset}"), None);
        for key in ["nw", "nw/", "/X", "", "n w/X"] {
            assert_eq!(read(&keyed, Some(key), &[], Some("{}")).err(), Some(DeadLetterReason::InvalidId), "{key}");
        }
        assert_eq!(read(&keyed, Some("nw/a/b"), &[], Some("{}")), Ok(("nw".into(), "a/b".into(), TimestampMs(7).moment())));
    }

    #[test]
    fn a_header_without_a_value_and_bytes_that_are_no_text_give_no_id() {
        let both = stream(Mode::Append, "header:owner", "key", None, None);
        let one = |value: Option<&'static [u8]>| [(&b"owner"[..], value)].into_iter();
        assert_eq!(outer_identity(&both, Some(b"X"), one(None)).unwrap_err().reason, DeadLetterReason::MissingTenant);
        assert_eq!(outer_identity(&both, Some(b"X"), one(Some(b"\xff"))).unwrap_err().reason, DeadLetterReason::InvalidId);
        assert_eq!(outer_identity(&both, Some(b"\xff"), one(Some(b"nw"))).unwrap_err().reason, DeadLetterReason::InvalidId);
    }
}
