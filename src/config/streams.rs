//! `streams`, resolved into mappings (docs/rules/records.md#streams, docs/rules/records.md#key-format).

use super::diagnostic::place_inside;
use super::written::{ConfigEntry, ConfigKind, ConfigValue, Findings, Spot};
use crate::id::{MAX_STREAMS, StreamIndex, StreamName};
use crate::json::path::Path;
use crate::profile::critical::CriticalPath;
use crate::record::mapping::{FieldSource, KeyFormat, Mapping, Mode, Stream};
use crate::topic;
use crate::transport::Start;

/// The streams where the configuration names none.
const STANDARD: &str = include_str!("streams/standard.yaml");

/// A stream with what its readers and its owners ask for.
pub(super) struct ResolvedStream {
    pub(super) stream: Stream,
    /// Where a partition begins the first time.
    pub(super) start: Start,
    pub(super) critical: Vec<CriticalPath>,
}

/// The streams, in the order they were written.
pub(super) fn resolve(root: &ConfigValue, findings: &mut Findings) -> Vec<ResolvedStream> {
    match root.get("streams") {
        None => standard(findings),
        Some(streams) => resolve_all(streams, findings),
    }
}

fn standard(findings: &mut Findings) -> Vec<ResolvedStream> {
    let Ok(node) = crate::document::yaml::parse(STANDARD) else { return Vec::new() };
    let source = findings.add_source("the standard streams".into(), Some(STANDARD.into()), Default::default());
    resolve_all(&ConfigValue::from_node(node, source), findings)
}

fn resolve_all(streams: &ConfigValue, findings: &mut Findings) -> Vec<ResolvedStream> {
    let entries = streams.entries();
    if matches!(&streams.kind, ConfigKind::Map(entries) if entries.is_empty()) {
        findings.error(streams.spot, "`streams` names no stream", "write at least one, or leave `streams` out for the standard ones");
    }
    if let Some(entry) = entries.get(MAX_STREAMS) {
        findings.error(entry.spot, format!("there are more than {MAX_STREAMS} streams"), "leave some out");
    }
    let resolved = entries.iter().take(MAX_STREAMS).enumerate();
    resolved.filter_map(|(index, entry)| resolve_one(StreamIndex(index as u8), entry, findings)).collect()
}

fn resolve_one(index: StreamIndex, entry: &ConfigEntry, findings: &mut Findings) -> Option<ResolvedStream> {
    let name = resolve_name(entry, findings);
    let value = &entry.value;
    let mode = match text(value, "mode") {
        Some("upsert") => Mode::Upsert,
        _ => Mode::Append,
    };
    let topic = resolve_topic(entry, findings);
    let mapping = resolve_mapping(entry, mode, findings);
    let start = match text(value, "start") {
        Some("latest") => Start::Latest,
        _ => Start::Earliest,
    };
    if let (Mode::Upsert, Start::Latest, Some(spot)) = (mode, start, spot_of(value, "start")) {
        findings.error(
            spot,
            "an upsert stream begins at the earliest record: it is a state, and all of it is needed",
            "write `start: earliest`",
        );
    }
    let critical = critical(value.get("critical"), findings);
    let stream = Stream { name: name?, index, mode, topic: topic?, mapping: mapping? };
    Some(ResolvedStream { stream, start, critical: critical? })
}

fn resolve_name(entry: &ConfigEntry, findings: &mut Findings) -> Option<StreamName> {
    match StreamName::parse(&entry.name) {
        Ok(_) if entry.name == "shares" => {
            findings.error(
                entry.spot,
                "no stream may be called `shares`: `share.<tenant>.shares` is the status topic",
                "choose another name",
            );
            None
        }
        Ok(name) => Some(name),
        Err(e) => {
            findings.error(entry.spot, format!("`{}` is no stream name", entry.name), format!("write {}", e.rule));
            None
        }
    }
}

fn resolve_topic(entry: &ConfigEntry, findings: &mut Findings) -> Option<String> {
    let value = required(entry, "topic", "its input topic: `topic: telemetry.raw`", findings)?;
    let topic = value.as_text()?;
    if !topic::is_valid(topic) {
        findings.error(value.spot, "this is no topic name", topic::RULE);
        return None;
    }
    Some(topic.to_owned())
}

fn resolve_mapping(entry: &ConfigEntry, mode: Mode, findings: &mut Findings) -> Option<Mapping> {
    let value = &entry.value;
    let key_format = resolve_key_format(value, findings);
    let tenant = resolve_source(entry, "tenant", mode, &key_format, findings);
    let asset = resolve_source(entry, "asset", mode, &key_format, findings);
    let time = match (mode, value.get("time")) {
        (_, None) => Some(None),
        (Mode::Append, Some(time)) => path_at(time, findings).map(Some),
        (Mode::Upsert, Some(time)) => {
            findings.error(
                time.spot,
                "an upsert stream has no `time`: its documents hold until the next one",
                "remove it, or write `mode: append`",
            );
            None
        }
    };
    let rewrite = value.get("rewrite");
    let rewrite_tenant = paths(rewrite.and_then(|r| r.get("tenant")), findings);
    let rewrite_asset = paths(rewrite.and_then(|r| r.get("asset")), findings);
    let (tenant, asset) = (tenant?, asset?);
    let uses_format = matches!(tenant, FieldSource::KeyField) || matches!(asset, FieldSource::KeyField);
    let key_format = key_format.and_then(|(format, _)| format).filter(|_| uses_format);
    Some(Mapping { tenant, asset, key_format, time: time?, rewrite_tenant: rewrite_tenant?, rewrite_asset: rewrite_asset? })
}

/// The format, none where it is wrong, with its spot; none where there is no such key.
type WrittenKeyFormat = Option<(Option<KeyFormat>, Spot)>;

fn resolve_key_format(value: &ConfigValue, findings: &mut Findings) -> WrittenKeyFormat {
    let written = value.get("key_format")?;
    let format = match KeyFormat::parse(written.as_text()?) {
        Ok(format) if !format.has_tenant() && !format.has_asset() => {
            findings.error(written.spot, "`key_format` has no field", "write `{tenant}` and `{asset}` where they stand in the key");
            None
        }
        Ok(format) => Some(format),
        Err(e) => {
            findings.error(written.spot, e.to_string(), "write for example `key_format: \"{tenant}/{asset}\"`");
            None
        }
    };
    Some((format, written.spot))
}

fn resolve_source(
    entry: &ConfigEntry,
    role: &str,
    mode: Mode,
    key_format: &WrittenKeyFormat,
    findings: &mut Findings,
) -> Option<FieldSource> {
    let hint = format!("where its records name the {role}: `{role}: $.{role}`, `key`, `key.{role}` or `header:NAME`");
    let value = required(entry, role, &hint, findings)?;
    let text = value.as_text()?;
    let source = if text == "key" {
        FieldSource::Key
    } else if text.strip_prefix("key.") == Some(role) {
        check_key_field(value.spot, role, key_format, findings)?;
        FieldSource::KeyField
    } else if let Some(name) = text.strip_prefix("header:").filter(|name| !name.is_empty()) {
        FieldSource::Header(name.to_owned())
    } else if text.starts_with('$') {
        FieldSource::Path(path_at(value, findings)?)
    } else {
        findings.error(
            value.spot,
            format!("this does not say where the {role} is"),
            format!("write a path `$.{role}`, `key`, `key.{role}` or `header:NAME`"),
        );
        return None;
    };
    if mode == Mode::Upsert && !source.is_outside_value() {
        let what = format!("an upsert stream cannot take its {role} from the value: a null value has none");
        findings.error(value.spot, what, format!("write `key`, `key.{role}` with a `key_format`, or `header:NAME`"));
        return None;
    }
    Some(source)
}

fn check_key_field(spot: Spot, role: &str, key_format: &WrittenKeyFormat, findings: &mut Findings) -> Option<()> {
    match key_format {
        None => {
            findings.error(spot, format!("`key.{role}` needs a `key_format`"), format!("add `key_format: \"…{{{role}}}…\"`"));
            None
        }
        Some((Some(format), format_spot)) if !(if role == "tenant" { format.has_tenant() } else { format.has_asset() }) => {
            findings.error(
                *format_spot,
                format!("`key_format` has no `{{{role}}}`, and `{role}` is `key.{role}`"),
                format!("put `{{{role}}}` where it stands in the key"),
            );
            None
        }
        Some(_) => Some(()),
    }
}

fn paths(list: Option<&ConfigValue>, findings: &mut Findings) -> Option<Vec<Path>> {
    let Some(ConfigValue { kind: ConfigKind::List(items), .. }) = list else { return Some(Vec::new()) };
    let paths: Vec<_> = items.iter().map(|item| path_at(item, findings)).collect();
    paths.into_iter().collect()
}

fn critical(list: Option<&ConfigValue>, findings: &mut Findings) -> Option<Vec<CriticalPath>> {
    let Some(ConfigValue { kind: ConfigKind::List(items), .. }) = list else { return Some(Vec::new()) };
    let one = |item: &ConfigValue| Some(CriticalPath { path: path_at(item, findings)?, written: item.as_text()?.to_owned() });
    let paths: Vec<_> = items.iter().map(one).collect();
    paths.into_iter().collect()
}

/// A path, its errors pointing at the offending character.
fn path_at(value: &ConfigValue, findings: &mut Findings) -> Option<Path> {
    let text = value.as_text()?;
    match Path::parse(text) {
        Ok(path) if path.is_root() => {
            findings.error(value.spot, "`$` alone is the whole record", "name a member of it, as in `$.asset`");
            None
        }
        Ok(path) => Some(path),
        Err(e) => {
            let source = findings.sources[value.spot.source].text.as_deref();
            let place = value.spot.place.map(|place| source.map_or(place, |source| place_inside(source, place, e.at)));
            findings.error(Spot { place, ..value.spot }, e.what, "");
            None
        }
    }
}

fn required<'v>(entry: &'v ConfigEntry, key: &str, hint: &str, findings: &mut Findings) -> Option<&'v ConfigValue> {
    let value = entry.value.get(key);
    let is_missing_by_itself = matches!(entry.value.kind, ConfigKind::Map(_) | ConfigKind::Null);
    if value.is_none() && is_missing_by_itself {
        findings.error(entry.spot, format!("the stream `{}` has no `{key}`", entry.name), format!("write {hint}"));
    }
    value
}

fn text<'v>(value: &'v ConfigValue, key: &str) -> Option<&'v str> {
    value.get(key)?.as_text()
}

fn spot_of(value: &ConfigValue, key: &str) -> Option<Spot> {
    value.get(key).map(|v| v.spot)
}
