//! Control events: CloudEvents 1.0 in structured and binary mode (docs/rules/events.md#envelope).

pub mod kind;
pub mod payload;
pub(crate) mod fields;
pub(crate) mod fingerprint;
pub mod invitation_code;
pub mod invitee;
pub mod write_token;

use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::{Offset, TenantId};
use crate::json::document::{parse, write};
use crate::json::error::InvalidJson;
use crate::json::writer::object;
use crate::share::event::kind::EventType;
use crate::time::{TimestampMs, TimestampNs};

/// A control record by its envelope: an event, or something that cannot be understood.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// `id` as written.
    pub id: String,
    /// `source` as written.
    pub source: String,
    /// `type` as written.
    pub kind: String,
    /// `actor`: the person or program that acted. It has no part in the fold.
    pub actor: Option<String>,
    /// `data`.
    pub data: Node,
}

/// The longest name of an actor, in bytes.
pub const LONGEST_ACTOR: usize = 256;

/// What is no such name is passed over.
fn is_actor(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST_ACTOR
}

/// Why a control record cannot be understood, in words without payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Who sends an event, by its `source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender<'a> {
    /// `/operator`.
    Operator,
    /// `/sharecast`: the engine's own timers.
    Engine,
    /// `/tenants/<id>`.
    Tenant(&'a str),
}

impl<'a> Sender<'a> {
    /// Reads a `source`; none if it is not exactly one of the three forms.
    pub fn parse(source: &'a str) -> Option<Self> {
        match source {
            "/operator" => Some(Self::Operator),
            "/sharecast" => Some(Self::Engine),
            _ => source.strip_prefix("/tenants/").filter(|id| TenantId::is_valid(id)).map(Self::Tenant),
        }
    }
}

/// A line of a control file: the event and what replay needs besides (docs/rules/replay.md#control-offsets).
#[derive(Debug, Clone)]
pub struct ControlLine {
    /// The event. In files it also needs a usable `time`.
    pub record: Result<Envelope, Unreadable>,
    /// `time`, if it is usable; without it the line has the time of the line before.
    pub time: Option<TimestampMs>,
    /// `offset`.
    pub offset: OffsetAttribute,
    /// `raw_base64`: a record that was no event, as a dump writes it. Not decoded.
    pub raw_base64: RawAttribute,
    /// Whether the line is a JSON object.
    pub is_object: bool,
}

/// The extension attribute `offset` of a control line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetAttribute {
    /// Not there.
    Absent,
    /// A whole number.
    At(Offset),
    /// Of a wrong type.
    WrongType,
}

/// The extension attribute `raw_base64` of a control line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RawAttribute {
    /// Not there, or the line is an event, which may have such an attribute of its own.
    Absent,
    /// What a dump found in place of an event. Not decoded.
    Base64(String),
    /// Of a wrong type.
    WrongType,
}

/// Reads a record of the control topic: structured unless it is in binary mode (CloudEvents Kafka binding). A null
/// value is unreadable.
pub fn read_record(headers: &[(String, Vec<u8>)], value: Option<&[u8]>) -> Result<Envelope, Unreadable> {
    let Some(value) = value else { return Err(unreadable("a null value")) };
    if is_structured(headers) { read_structured(value) } else { read_binary(headers, value) }
}

/// Whether a record with these headers is in structured mode, which it is unless it is in binary mode.
pub(crate) fn is_structured(headers: &[(String, Vec<u8>)]) -> bool {
    header(headers, "content-type").is_some_and(is_structured_type) || header(headers, "ce_specversion").is_none()
}

/// Reads an event in structured mode: the whole event is the value.
pub fn read_structured(bytes: &[u8]) -> Result<Envelope, Unreadable> {
    read_node(parse(bytes).map_err(|e| unreadable(&format!("no JSON that is read: {e}")))?)
}

/// Reads an event in binary mode: attributes in `ce_*` headers, `data` is the value. Of a repeated header the last counts.
pub fn read_binary(headers: &[(String, Vec<u8>)], value: &[u8]) -> Result<Envelope, Unreadable> {
    let text = |name: &str| header(headers, name).and_then(|bytes| std::str::from_utf8(bytes).ok()).map(str::to_owned);
    let attributes = [text("ce_specversion"), text("ce_id"), text("ce_source"), text("ce_type")];
    let actor = text("ce_actor");
    let data = match parse(value) {
        Ok(node) => Some(node),
        Err(_) if value.is_empty() => None,
        Err(e) => return Err(unreadable(&format!("data is no JSON that is read: {e}"))),
    };
    check(attributes, actor, data)
}

/// Reads a line of a control file, without its line end. The error is of a line that is no JSON that is read: of it neither `time`
/// nor `offset` is read.
pub fn read_line(line: &[u8]) -> Result<ControlLine, InvalidJson> {
    let node = parse(line)?;
    let time = node.get("time").and_then(Node::as_str).and_then(TimestampNs::parse_rfc3339).map(TimestampNs::millis);
    let offset = match node.get("offset").map(|n| &n.kind) {
        None | Some(DocumentKind::Null) => OffsetAttribute::Absent,
        Some(DocumentKind::Number(text)) => text.parse().map_or(OffsetAttribute::WrongType, |n| OffsetAttribute::At(Offset(n))),
        Some(_) => OffsetAttribute::WrongType,
    };
    // An event may have such an extension attribute; only what is no event is a dumped record.
    let raw_base64 = match node.get("raw_base64").filter(|_| node.get("specversion").is_none()).map(|n| &n.kind) {
        None | Some(DocumentKind::Null) => RawAttribute::Absent,
        Some(DocumentKind::String(text)) => RawAttribute::Base64(text.to_string()),
        Some(_) => RawAttribute::WrongType,
    };
    let is_object = matches!(node.kind, DocumentKind::Map(_));
    let record = if matches!(raw_base64, RawAttribute::Base64(_)) {
        Err(unreadable("a record that was no event"))
    } else if time.is_none() {
        Err(unreadable("\"time\" must be an RFC 3339 time such as 2026-12-01T00:00:00Z"))
    } else {
        read_node(node)
    };
    Ok(ControlLine { record, time, offset, raw_base64, is_object })
}

/// Writes an event in structured mode. `kind` is the whole type.
pub fn write_structured(id: &str, source: &str, kind: &str, time: TimestampMs, data: &Node) -> Vec<u8> {
    write_structured_by(id, source, kind, time, None, data)
}

/// The same with the person or program that acts for the source: a name for histories, of at most `LONGEST_ACTOR` bytes.
pub fn write_structured_by(id: &str, source: &str, kind: &str, time: TimestampMs, actor: Option<&str>, data: &Node) -> Vec<u8> {
    object(|out| {
        out.text("specversion", "1.0");
        out.text("id", id);
        out.text("source", source);
        out.text("type", kind);
        out.time("time", time.moment());
        out.text("datacontenttype", "application/json");
        out.text_if("actor", actor.filter(|actor| is_actor(actor)));
        write(data, out.member("data"));
    })
}

fn read_node(mut node: Node) -> Result<Envelope, Unreadable> {
    if !matches!(node.kind, DocumentKind::Map(_)) {
        return Err(unreadable("no JSON object"));
    }
    let text = |name: &str| node.get(name).and_then(Node::as_str).map(str::to_owned);
    let attributes = [text("specversion"), text("id"), text("source"), text("type")];
    let actor = text("actor");
    let data = take(&mut node, "data");
    check(attributes, actor, data)
}

/// The last member of this name, moved out.
fn take(node: &mut Node, name: &str) -> Option<Node> {
    let DocumentKind::Map(members) = &mut node.kind else { return None };
    let at = members.iter().rposition(|m| m.name == name)?;
    Some(members.swap_remove(at).value)
}

fn check([specversion, id, source, kind]: [Option<String>; 4], actor: Option<String>, data: Option<Node>) -> Result<Envelope, Unreadable> {
    if specversion.as_deref() != Some("1.0") {
        return Err(unreadable("\"specversion\" must be \"1.0\""));
    }
    let id = id.ok_or_else(|| unreadable("\"id\" must be there, a string"))?;
    let source = source
        .filter(|s| Sender::parse(s).is_some())
        .ok_or_else(|| unreadable("\"source\" must be \"/operator\", \"/sharecast\" or \"/tenants/<tenant>\""))?;
    let kind = kind.ok_or_else(|| unreadable("\"type\" must be there, a string such as \"sharecast.share.offered.v1\""))?;
    let known = EventType::parse(&kind)
        .ok_or_else(|| unreadable("\"type\" is none that this version knows; there are sharecast.share.offered.v1 and so on"))?;
    let data = match data {
        Some(node) if matches!(node.kind, DocumentKind::Map(_)) => node,
        None => empty_data(known)?,
        Some(node) if node.is_null() => empty_data(known)?,
        Some(_) => return Err(unreadable("\"data\" must be an object")),
    };
    Ok(Envelope { id, source, kind, actor: actor.filter(|actor| is_actor(actor)), data })
}

/// Only a tick's `data` may be left out.
fn empty_data(kind: EventType) -> Result<Node, Unreadable> {
    match kind {
        EventType::ControlTick => Ok(Node { kind: DocumentKind::Map(Vec::<Member>::new()), place: TextPosition::default() }),
        _ => Err(unreadable("\"data\" must be there, an object")),
    }
}

fn header<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> Option<&'a [u8]> {
    headers.iter().rev().find(|(n, _)| n == name).map(|(_, value)| value.as_slice())
}

fn is_structured_type(value: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/cloudevents+json";
    value.get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
}

fn unreadable(what: &str) -> Unreadable {
    Unreadable(what.to_owned())
}
