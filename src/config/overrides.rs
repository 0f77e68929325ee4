//! `SHARECAST__KAFKA__BOOTSTRAP=…`: one environment variable, one key.

use std::collections::BTreeMap;

use super::diagnostic::Secrets;
use super::kafka::spelling::{SECTIONS, canonical, fold_names};
use super::keys::{self, Form};
use super::written::{ConfigEntry, ConfigKind, ConfigValue, Findings, Spot};
use crate::document::yaml;

const PREFIX: &str = "SHARECAST__";
const ONE_UNDERSCORE: &str = "SHARECAST_";

/// What the name of a source begins with that is a variable.
pub(super) const SOURCE: &str = "environment variable ";

/// Lays every override on top of what the files say, in the order of their names.
pub(super) fn apply(root: &mut ConfigValue, env: &[(String, String)], findings: &mut Findings) {
    let mut overrides: Vec<_> = env.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    overrides.sort();
    for (variable, _) in env.iter().filter(|(name, _)| name.starts_with(ONE_UNDERSCORE) && !name.starts_with(PREFIX)) {
        warn_of_one_underscore(variable, findings);
    }
    let mut setters: BTreeMap<Vec<String>, &str> = BTreeMap::new();
    for (variable, text) in overrides {
        let source = findings.add_source(format!("{SOURCE}{variable}"), None, Secrets::default());
        let spot = Spot { source, place: None };
        let names = key_names(&variable[PREFIX.len()..]);
        if names.iter().any(String::is_empty) {
            findings.error(spot, "this names no key", "write two underscores between keys: `SHARECAST__KAFKA__BOOTSTRAP`");
            continue;
        }
        if let Some(first) = setters.insert(one_key(&names), variable) {
            findings.error(spot, format!("this and {first} are one setting"), "keep one of them");
            continue;
        }
        if let Some(value) = value_of(&names, text, spot, findings) {
            let mut value = nested(&names, value, spot);
            fold_names(&mut value, findings);
            root.merge(value);
        }
    }
}

/// A variable that looks like an override and is none. Those of our own tests and of other programs around may begin so too: only
/// what spells a key is warned about.
fn warn_of_one_underscore(variable: &str, findings: &mut Findings) {
    let rest = variable[ONE_UNDERSCORE.len()..].to_ascii_lowercase();
    let spelled = |key: &str| key.replace('.', "_");
    let Some((key, _)) = keys::KEYS.iter().find(|(key, form)| {
        let is_free = *form == Form::Free && rest.starts_with(&format!("{}_", spelled(key)));
        is_free || !matches!(form, Form::Map | Form::Free) && !key.contains('*') && spelled(key) == rest
    }) else {
        return;
    };
    let behind = rest.strip_prefix(&spelled(key)).map(|rest| rest.replacen('_', "__", 1)).unwrap_or_default();
    let source = findings.add_source(format!("{SOURCE}{variable}"), None, Secrets::default());
    let right = format!("{PREFIX}{}{behind}", key.replace('.', "__")).to_ascii_uppercase();
    findings.warn(Spot { source, place: None }, "this changes nothing: two underscores stand between keys", format!("write `{right}`"));
}

/// The names of the key. A stream's name has no underscore and librdkafka's settings have dots, so one underscore
/// stands for `-` there and for `.` here.
fn key_names(rest: &str) -> Vec<String> {
    let mut names: Vec<String> = rest.split("__").map(str::to_ascii_lowercase).collect();
    match names.as_mut_slice() {
        [streams, stream, ..] if streams == "streams" => *stream = stream.replace('_', "-"),
        [kafka, scope, setting] if kafka == "kafka" && SECTIONS.contains(&scope.as_str()) => {
            *setting = setting.replace('_', ".");
        }
        _ => {}
    }
    names
}

/// The key whatever spelling of a setting of librdkafka was chosen.
fn one_key(names: &[String]) -> Vec<String> {
    match names {
        [kafka, scope, setting] if kafka == "kafka" && SECTIONS.contains(&scope.as_str()) => {
            vec![kafka.clone(), scope.clone(), canonical(setting).to_owned()]
        }
        _ => names.to_vec(),
    }
}

/// The variable's text; where a list or a map is wanted, what the text says as YAML: `[a, b]`.
fn value_of(names: &[String], text: &str, spot: Spot, findings: &mut Findings) -> Option<ConfigValue> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if !matches!(keys::form_of(&names), Some(Form::Texts | Form::Map | Form::Free)) {
        return Some(ConfigValue { kind: ConfigKind::Text { text: text.to_owned(), is_substituted: true }, spot });
    }
    match yaml::parse(text) {
        Ok(node) => {
            let mut value = ConfigValue::from_node(node, spot.source);
            forget_places(&mut value);
            Some(value)
        }
        Err(_) => {
            findings.error(spot, "this is neither a list nor a map", "write it as in a file, in one line: `[a, b]` or `{ a: 1 }`");
            None
        }
    }
}

fn forget_places(value: &mut ConfigValue) {
    value.spot.place = None;
    match &mut value.kind {
        ConfigKind::List(items) => items.iter_mut().for_each(forget_places),
        ConfigKind::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.spot.place = None;
            forget_places(&mut entry.value);
        }),
        _ => {}
    }
}

fn nested(names: &[String], value: ConfigValue, spot: Spot) -> ConfigValue {
    names.iter().rev().fold(value, |value, name| ConfigValue {
        kind: ConfigKind::Map(vec![ConfigEntry { name: name.clone(), alias: None, spot, value }]),
        spot,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_underscore_is_what_the_key_needs() {
        assert_eq!(key_names("FENCE__MAX_VIEW_AGE"), ["fence", "max_view_age"]);
        assert_eq!(key_names("STREAMS__ENGINE_DATA__KEY_FORMAT"), ["streams", "engine-data", "key_format"]);
        assert_eq!(key_names("KAFKA__CLIENT__SSL_CA_LOCATION"), ["kafka", "client", "ssl.ca.location"]);
    }
}
