//! A test file, from its document to what it says.

use super::{Expectation, ExpectedOutput, ExpectedPath, ExpectedValue, Fact, ReadProfile, Scenario, ScenarioError, ScenarioProfile};
use super::{ScenarioRecord, keys};
use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::{StreamName, TenantId};
use crate::json::document::write;
use crate::json::path::Path;
use crate::json::writer::object;
use crate::profile::spec::{ProfileSpec, unknown};
use crate::share::event::kind::EventType;
use crate::share::event::{Sender, payload};
use crate::time::{TimestampMs, TimestampNs};

type ReadTest<T> = Result<T, ScenarioError>;

/// The world is there from here on.
const WORLD_BEGINS: TimestampMs = TimestampMs(0);

impl Scenario {
    /// Reads the document of a test file; `read_profile` reads the profiles that it names by file.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place and what to write instead.
    pub fn read(root: &Node, read_profile: &ReadProfile<'_>) -> Result<Self, ScenarioError> {
        members(root, "a test", &keys::TOP)?;
        let world = need(root, "world", "a test needs its world: write world: { partnerships: …, profiles: …, shares: … }")?;
        members(world, "world", &keys::WORLD)?;
        let (profiles, published) = read_profiles(world.get("profiles"), read_profile)?;
        let (tenants, suspensions) = read_tenants(world.get("tenants"))?;
        let partnerships = read_partnerships(world.get("partnerships"))?;
        let mut facts: Vec<Fact> = tenants.into_iter().chain(partnerships).chain(published).collect();
        for (at, node) in items(world.get("shares"), "shares", "[{ owner: …, asset: …, target_tenant: …, … }]")?.iter().enumerate()
        {
            facts.push(read_share(node, at)?);
        }
        facts.extend(suspensions);
        facts.extend(read_events(world.get("events"))?);
        let now = root.get("now").map(|node| moment(node, "now")).transpose()?;
        let expect = need(root, "expect", "a test needs what is expected: write expect: { acme: [{ stream: telemetry, has: [$.name] }] }")?;
        let expectations = map(expect, "expect")?.iter().map(read_expectation).collect::<ReadTest<_>>()?;
        let letters = items(root.get("dead_letters"), "dead_letters", "[invalid_json]")?;
        let letter =
            |node: &Node| -> ReadTest<(String, TextPosition)> { Ok((string(node, "a dead letter's reason")?.to_owned(), node.place)) };
        Ok(Self {
            streams: root.get("streams").filter(|node| !node.is_null()).cloned(),
            facts,
            profiles,
            now,
            records: read_records(root.get("records"), now)?,
            expectations,
            dead_letters: letters.iter().map(letter).collect::<ReadTest<_>>()?,
        })
    }
}

fn error<T>(place: TextPosition, what: impl Into<String>) -> ReadTest<T> {
    Err(ScenarioError { what: what.into(), place })
}

fn map<'n>(node: &'n Node, what: &str) -> ReadTest<&'n [Member]> {
    match &node.kind {
        DocumentKind::Map(members) => Ok(members),
        _ => error(node.place, format!("{what} must be a map, not {}", node.kind_name())),
    }
}

/// The members of a map that has no others than these.
fn members<'n>(node: &'n Node, what: &str, known: &[&str]) -> ReadTest<&'n [Member]> {
    let members = map(node, what)?;
    match members.iter().find(|member| !known.contains(&member.name.as_str())) {
        Some(other) => error(other.place, unknown("key", &other.name, known)),
        None => Ok(members),
    }
}

fn need<'n>(node: &'n Node, name: &str, what: &str) -> ReadTest<&'n Node> {
    match node.get(name).filter(|found| !found.is_null()) {
        Some(found) => Ok(found),
        None => error(node.place, what),
    }
}

/// The items of a list; of none where there is nothing.
fn items<'n>(node: Option<&'n Node>, what: &str, example: &str) -> ReadTest<&'n [Node]> {
    match node.filter(|node| !node.is_null()) {
        None => Ok(&[]),
        Some(node) => match node.as_list() {
            Some(items) => Ok(items),
            None => error(node.place, format!("{what} must be a list such as {example}, not {}", node.kind_name())),
        },
    }
}

fn string<'n>(node: &'n Node, what: &str) -> ReadTest<&'n str> {
    match node.as_str() {
        Some(text) => Ok(text),
        None => error(node.place, format!("{what} must be a string, not {}; one that looks like a number needs quotes", node.kind_name())),
    }
}

fn moment(node: &Node, what: &str) -> ReadTest<TimestampMs> {
    let found = node.as_str().and_then(TimestampNs::parse_rfc3339);
    match found {
        Some(moment) => Ok(moment.millis()),
        None => error(node.place, format!("{what} must be an RFC 3339 time such as 2026-01-01T09:00:00Z")),
    }
}

fn named(name: &str, value: Node) -> Member {
    Member { name: name.to_owned(), place: value.place, value }
}

fn fact(kind: EventType, data: Vec<Member>, place: TextPosition) -> Fact {
    let data = Node { kind: DocumentKind::Map(data), place };
    Fact { kind, source: "/operator".to_owned(), data, place, at: WORLD_BEGINS, may_be_refused: false, is_accepted: false }
}

/// Refuses data that the fold would not understand, at the member that it is about.
fn checked(fact: Fact) -> ReadTest<Fact> {
    let sender = Sender::parse(&fact.source).unwrap_or(Sender::Operator);
    let Some(malformed) = payload::read(fact.kind, sender, &fact.data).err() else { return Ok(fact) };
    let place = fact.data.get(malformed.member).map_or(fact.place, |node| node.place);
    error(place, malformed.in_words(&fact.data))
}

/// Tenants with their place in the tree, and the suspensions, which come once the shares are there.
fn read_tenants(node: Option<&Node>) -> ReadTest<(Vec<Fact>, Vec<Fact>)> {
    let (mut tenants, mut suspensions) = (Vec::new(), Vec::new());
    for item in items(node, "tenants", "[{ tenant: northwind }]")? {
        let name = |tenant: &Node| vec![named("tenant", tenant.clone())];
        if item.as_str().is_some() {
            tenants.push(checked(fact(EventType::TenantUpdated, name(item), item.place))?);
            continue;
        }
        let data = members(item, "a tenant", &keys::TENANT)?;
        let tenant = need(item, "tenant", "a tenant needs its id: write { tenant: northwind }")?;
        let (suspended, others): (Vec<_>, Vec<_>) = data.iter().cloned().partition(|member| member.name == "suspended");
        tenants.push(checked(fact(EventType::TenantUpdated, others, item.place))?);
        if !suspended.is_empty() {
            let data = name(tenant).into_iter().chain(suspended).collect();
            suspensions.push(checked(fact(EventType::TenantUpdated, data, item.place))?);
        }
    }
    // A parent is known before its children name it, whatever the order.
    Ok((tenants, suspensions))
}

fn read_partnerships(node: Option<&Node>) -> ReadTest<Vec<Fact>> {
    let mut facts = Vec::new();
    for item in items(node, "partnerships", "[{ tenants: [northwind, acme] }]")? {
        let data = match &item.kind {
            DocumentKind::List(_) => vec![named("tenants", item.clone())],
            _ => members(item, "a partnership", &keys::PARTNERSHIP)?.to_vec(),
        };
        facts.push(checked(fact(EventType::PartnershipEstablished, data, item.place))?);
    }
    Ok(facts)
}

fn read_profiles(node: Option<&Node>, read: &ReadProfile<'_>) -> ReadTest<(Vec<ScenarioProfile>, Vec<Fact>)> {
    let (mut profiles, mut facts) = (Vec::new(), Vec::new());
    let Some(node) = node.filter(|node| !node.is_null()) else { return Ok((profiles, facts)) };
    for Member { name, place, value } in map(node, "profiles")? {
        members(value, "a profile of the world", &keys::PROFILE)?;
        let owner = need(value, "owner", "whose profile is it? write owner: northwind")?;
        let text_node = |text: String| Node { kind: DocumentKind::String(text), place: *place };
        let (file, source, spec, sections) = match (value.get("file"), value.get("spec")) {
            (Some(file), None) => {
                let path = string(file, "file")?;
                let (text, spec, sections) = read(path).map_err(|what| ScenarioError { what, place: file.place })?;
                (Some(path.to_owned()), Some(text), spec, sections)
            }
            (None, Some(spec)) => {
                let sections = ProfileSpec::read(spec).map_err(|wrong| ScenarioError { what: wrong.what, place: wrong.place })?;
                (None, None, spec.clone(), sections)
            }
            _ => return error(*place, format!("the profile {name} needs either file: PATH or spec: {{ … }}, and not both")),
        };
        let mut data = vec![named("profile", text_node(name.clone())), named("owner", owner.clone()), named("spec", spec)];
        // As `profile publish` sends it, so that explanations name the file's lines.
        data.extend(source.map(|text| named("source", text_node(text))));
        facts.push(checked(fact(EventType::ProfilePublished, data, *place))?);
        profiles.push(ScenarioProfile { name: name.clone(), file, spec: sections });
    }
    Ok((profiles, facts))
}

fn read_share(node: &Node, at: usize) -> ReadTest<Fact> {
    let mut data = members(node, "a share", &keys::SHARE)?.to_vec();
    let is_accepted = match node.get("accepted") {
        None => true,
        Some(accepted) => match accepted.as_bool() {
            Some(is) => is,
            None => return error(accepted.place, "accepted must be true or false; without it the target has accepted"),
        },
    };
    data.retain(|member| member.name != "accepted");
    if node.get("share").is_none() {
        let id = Node { kind: DocumentKind::String(format!("s{}", at + 1)), place: node.place };
        data.push(named("share", id));
    }
    checked(Fact { is_accepted, ..fact(EventType::ShareOffered, data, node.place) })
}

fn read_events(node: Option<&Node>) -> ReadTest<Vec<Fact>> {
    let (mut facts, mut last): (Vec<Fact>, _) = (Vec::new(), WORLD_BEGINS);
    for item in items(node, "events", "[{ at: 2026-01-02T00:00:00Z, type: share.revoked, source: northwind, data: { share: s1 } }]")? {
        members(item, "an event", &keys::EVENT)?;
        let kind = need(item, "type", "an event needs its type: write type: share.revoked")?;
        let name = string(kind, "type")?;
        let short = name.strip_prefix("sharecast.").and_then(|name| name.strip_suffix(".v1")).unwrap_or(name);
        let Some(kind) = EventType::of_name(short) else {
            let known = EventType::ALL.map(EventType::name);
            return error(kind.place, unknown("type", short, &known));
        };
        let source = match item.get("source") {
            None => "/operator".to_owned(),
            Some(source) => match string(source, "source")? {
                text if Sender::parse(text).is_some() => text.to_owned(),
                text if TenantId::is_valid(text) => format!("/tenants/{text}"),
                _ => return error(source.place, "source must be a tenant's id, /operator or /sharecast"),
            },
        };
        let at = item.get("at").map(|at| moment(at, "at")).transpose()?.unwrap_or(last);
        if at < last {
            return error(item.place, "at goes back: write events in the order of their times");
        }
        last = at;
        let data = match item.get("data").filter(|data| !data.is_null()) {
            Some(data) => map(data, "data")?.to_vec(),
            None => Vec::new(),
        };
        facts.push(checked(Fact { source, at, may_be_refused: true, ..fact(kind, data, item.place) })?);
    }
    Ok(facts)
}

fn read_records(node: Option<&Node>, now: Option<TimestampMs>) -> ReadTest<Vec<ScenarioRecord>> {
    let mut last: Option<TimestampMs> = None;
    let mut records = Vec::new();
    for item in items(node, "records", "[{ stream: telemetry, key: NW-7, value: { … } }]")? {
        members(item, "a record", &keys::RECORD)?;
        let stream = stream_of(item)?;
        let written = item.get("at").filter(|at| !at.is_null()).map(|at| moment(at, "at")).transpose()?;
        if let (Some(at), Some(before)) = (written, last)
            && at < before
        {
            return error(item.place, "at goes back: write records in the order in which the engine sees them");
        }
        // The clock never goes back.
        let at = written.or(now).map(|at| last.map_or(at, |last| at.max(last)));
        last = at.or(last);
        if let Some(timestamp) = item.get("timestamp") {
            moment(timestamp, "timestamp")?;
        }
        for name in ["key", "raw"] {
            if let Some(node) = item.get(name).filter(|node| !node.is_null()) {
                string(node, name)?;
            }
        }
        if let Some(headers) = item.get("headers").filter(|node| !node.is_null()) {
            for header in map(headers, "headers")? {
                string(&header.value, "a header")?;
            }
        }
        let line = object(|out| {
            if let Some(at) = at {
                out.time("at", at.moment());
            }
            for name in ["timestamp", "key", "headers", "raw", "value"] {
                if let Some(node) = item.get(name) {
                    write(node, out.member(name));
                }
            }
        });
        records.push(ScenarioRecord { stream, place: item.place, line });
    }
    Ok(records)
}

fn stream_of(node: &Node) -> ReadTest<String> {
    let stream = need(node, "stream", "of which stream? write stream: telemetry")?;
    let name = string(stream, "stream")?;
    if StreamName::is_valid(name) { Ok(name.to_owned()) } else { error(stream.place, format!("`{name}` is no stream's name")) }
}

fn read_expectation(member: &Member) -> ReadTest<Expectation> {
    let Member { name, place, value } = member;
    if !TenantId::is_valid(name) {
        return error(*place, format!("`{name}` is no tenant's id: expect names tenants, each with what it gets"));
    }
    let mut is_open = false;
    let list: &[Node] = match &value.kind {
        DocumentKind::Map(_) => {
            members(value, "what a tenant gets", &keys::TENANT_OUTPUTS)?;
            is_open = value.get("any").is_some_and(|any| any.as_bool() == Some(true));
            items(value.get("outputs"), "outputs", "[{ stream: telemetry, has: [$.name] }]")?
        }
        _ => items(Some(value), "what a tenant gets", "[{ stream: telemetry, has: [$.name] }]")?,
    };
    let mut outputs = Vec::new();
    for item in list {
        match item.members() {
            [only] if only.name == "any" => match only.value.as_bool() {
                Some(is) => is_open |= is,
                None => return error(only.value.place, "any must be true or false"),
            },
            _ => outputs.push(read_output(item)?),
        }
    }
    Ok(Expectation { tenant: name.clone(), place: *place, is_open, outputs })
}

fn read_output(item: &Node) -> ReadTest<ExpectedOutput> {
    members(item, "an expected output", &keys::OUTPUT)?;
    let paths = |name: &str| items(item.get(name), name, "[$.name]")?.iter().map(read_expected_path).collect::<ReadTest<Vec<_>>>();
    let (has, lacks) = (paths("has")?, paths("lacks")?);
    let value = match item.members().iter().find(|member| member.name == "value") {
        Some(member) if !has.is_empty() || !lacks.is_empty() => {
            return error(member.place, "write either the exact value, or has and lacks");
        }
        Some(member) => ExpectedValue::Exactly(member.value.clone()),
        None => ExpectedValue::Members { has, lacks },
    };
    let key = item.get("key").filter(|key| !key.is_null()).map(|key| string(key, "key").map(str::to_owned)).transpose()?;
    Ok(ExpectedOutput { stream: stream_of(item)?, place: item.place, key, value })
}

fn read_expected_path(node: &Node) -> ReadTest<ExpectedPath> {
    let text = string(node, "a path")?;
    match Path::parse(text) {
        Ok(path) => Ok(ExpectedPath { path, written: text.to_owned(), place: node.place }),
        Err(wrong) => error(node.place, format!("path {text}, character {}: {wrong}", wrong.at + 1)),
    }
}
