//! A configuration as it counts: each key with its value and where that comes from. Secrets are not shown.

use super::diagnostic::is_secret_name;
use super::kafka::spelling::looks_secret;
use super::written::{ConfigKind, ConfigValue, Findings};
use super::{Config, ConfigEnv, ConfigErrors};
use crate::json::text::write_string;
use crate::json::writer::write_array;

/// The file that has every key with its default; a test holds it against the code.
const STANDARD: &str = include_str!("../../config/sharecast.yaml");

/// A key that has a value, or would have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownKey {
    /// The names from the outermost in.
    pub path: Vec<String>,
    /// JSON; `"***"` in place of a secret.
    pub value: String,
    /// `file:line`, an environment variable, or `default`.
    pub origin: String,
}

const HIDDEN: &str = "\"***\"";
const DEFAULT: &str = "default";

/// Every key of the configuration of these files, in the order of the sample file.
///
/// # Errors
/// As `Config::load`.
pub fn shown(files: &[(&str, &str)], around: &ConfigEnv<'_>) -> Result<Vec<ShownKey>, ConfigErrors> {
    let config = Config::load(files, around)?;
    let mut findings = Findings::default();
    let written = Config::merged(files, None, around, &mut findings);
    let mut root = Config::merged(&[(DEFAULT, STANDARD)], None, &ConfigEnv::none(), &mut findings);
    // As soon as one stream is named, only those that are named exist.
    if let (ConfigKind::Map(entries), true) = (&mut root.kind, written.get("streams").is_some_and(|streams| !streams.entries().is_empty()))
    {
        entries.retain(|entry| entry.name != "streams");
    }
    root.merge(written);
    let mut keys = Vec::new();
    collect(&root, &mut Vec::new(), &KeySources { findings: &findings, env: around.env }, &mut keys);
    follow(&config, &mut keys);
    Ok(keys)
}

/// Sets the defaults that follow other keys or the machine.
fn follow(config: &Config, keys: &mut [ShownKey]) {
    let following = [
        (["kafka", "group"], config.kafka.group.as_str()),
        (["kafka", "instance"], &config.kafka.instance),
        (["control", "topic"], &config.control.topic),
    ];
    for (path, value) in following {
        if let Some(key) = keys.iter_mut().find(|key| key.path == path && key.origin == DEFAULT) {
            key.value = quoted(value);
        }
    }
}

/// Where values come from.
struct KeySources<'a> {
    findings: &'a Findings,
    env: &'a [(String, String)],
}

impl KeySources<'_> {
    fn origin(&self, value: &ConfigValue) -> String {
        let name = &self.findings.sources[value.spot.source].name;
        match value.spot.place {
            Some(place) if name != DEFAULT => format!("{name}:{}", place.line),
            _ => name.clone(),
        }
    }

    /// Whether the value is the text of a variable of its own, with nothing put into it.
    fn is_plain_override(&self, value: &ConfigValue) -> bool {
        let name = &self.findings.sources[value.spot.source].name;
        let of = |(variable, _): &&(String, String)| name.strip_prefix(super::overrides::SOURCE) == Some(variable);
        self.env.iter().find(of).is_some_and(|(_, text)| !text.contains("${"))
    }
}

fn collect(value: &ConfigValue, path: &mut Vec<String>, from: &KeySources<'_>, keys: &mut Vec<ShownKey>) {
    if let ConfigKind::Map(entries) = &value.kind
        && !entries.is_empty()
    {
        for entry in entries {
            path.push(entry.name.clone());
            collect(&entry.value, path, from, keys);
            path.pop();
        }
        return;
    }
    let value_shown = if is_secret(value, path, from) { HIDDEN.to_owned() } else { json(value) };
    keys.push(ShownKey { path: path.clone(), value: value_shown, origin: from.origin(value) });
}

fn is_secret(value: &ConfigValue, path: &[String], from: &KeySources<'_>) -> bool {
    let is_written = !matches!(value.kind, ConfigKind::Null | ConfigKind::Map(_));
    let is_named_so = match path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["kafka", "client" | "consumer" | "producer", name] => looks_secret(name),
        ["mask", ..] => true,
        [.., name] => is_secret_name(name),
        [] => false,
    };
    is_written && (is_named_so || is_substituted(value) && !from.is_plain_override(value))
}

/// What was put in from elsewhere may be a secret whatever its name.
fn is_substituted(value: &ConfigValue) -> bool {
    match &value.kind {
        ConfigKind::Text { is_substituted, .. } => *is_substituted,
        ConfigKind::List(items) => items.iter().any(is_substituted),
        _ => false,
    }
}

fn json(value: &ConfigValue) -> String {
    match &value.kind {
        ConfigKind::Null | ConfigKind::Wrong => "null".to_owned(),
        ConfigKind::Bool(value) => value.to_string(),
        ConfigKind::Number(text) => text.clone(),
        ConfigKind::Text { text, .. } => quoted(text),
        ConfigKind::Map(_) => "{}".to_owned(),
        ConfigKind::List(items) => {
            let mut out = Vec::new();
            write_array(&mut out, |out| items.iter().for_each(|item| out.item().extend_from_slice(json(item).as_bytes())));
            String::from_utf8_lossy(&out).into_owned()
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = Vec::new();
    write_string(text, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, env: &[(&str, &str)]) -> Vec<ShownKey> {
        let env: Vec<_> = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let around = ConfigEnv { env: &env, ..ConfigEnv::none() };
        shown(&[("c.yaml", text)], &around).unwrap()
    }

    fn row(keys: &[ShownKey], path: &str) -> (String, String) {
        let key = keys.iter().find(|key| key.path.join(".") == path).unwrap_or_else(|| panic!("{path} in {keys:#?}"));
        (key.value.clone(), key.origin.clone())
    }

    #[test]
    fn every_key_says_where_it_comes_from() {
        let keys = of("topics: { prefix: eu }\nworkers: 4\n", &[("SHARECAST__LOG__LEVEL", "debug")]);
        assert_eq!(row(&keys, "workers"), ("4".into(), "c.yaml:2".into()));
        assert_eq!(row(&keys, "log.level"), ("\"debug\"".into(), "environment variable SHARECAST__LOG__LEVEL".into()));
        assert_eq!(row(&keys, "batch.max_records"), ("10000".into(), "default".into()));
        assert_eq!(row(&keys, "kafka.group"), ("\"eu\"".into(), "default".into()));
        assert_eq!(row(&keys, "control.topic"), ("\"eu.control\"".into(), "default".into()));
        assert_eq!(row(&keys, "kafka.instance"), ("\"localhost\"".into(), "default".into()));
        assert_eq!(row(&keys, "streams.telemetry.topic"), ("\"telemetry.raw\"".into(), "default".into()));
    }

    #[test]
    fn named_streams_take_the_place_of_all() {
        let keys = of("streams: { a: { topic: in, tenant: $.t, asset: $.a } }", &[]);
        assert_eq!(row(&keys, "streams.a.topic"), ("\"in\"".into(), "c.yaml:1".into()));
        assert!(!keys.iter().any(|key| key.path.join(".").starts_with("streams.telemetry")));
    }

    #[test]
    fn no_secret_is_shown() {
        let text = "mask: { secret: hunter2 }\nkafka: { bootstrap: \"${env:HOST}:9092\", client: { sasl.password: hunter2 } }\n";
        let keys = of(text, &[("HOST", "hunter2")]);
        assert!(!format!("{keys:?}").contains("hunter2"), "{keys:#?}");
        assert_eq!(row(&keys, "mask.secret").0, HIDDEN);
        let keys = of("", &[("SHARECAST__KAFKA__BOOTSTRAP", "${env:HOST}:1"), ("SHARECAST__MASK__SECRET", "hunter2"), ("HOST", "hunter2")]);
        assert!(!format!("{keys:?}").contains("hunter2"), "{keys:#?}");
        assert_eq!(row(&of("", &[("SHARECAST__KAFKA__BOOTSTRAP", "k:1")]), "kafka.bootstrap").0, "\"k:1\"");
        assert_eq!(row(&of("", &[]), "mask.secret").0, "null", "there is none, and that may be seen");
    }
}
