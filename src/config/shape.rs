//! Holds what was written against the table of keys: unknown keys, wrong types, numbers out of bounds, bad durations.
//! What passes has the form its key wants, whatever rules it may break besides.

use super::keys::{self, Form};
use super::written::{ConfigEntry, ConfigKind, ConfigValue, Findings};
use crate::time::Period;

/// Checks everything under the root.
pub(super) fn check(root: &mut ConfigValue, findings: &mut Findings) {
    match &mut root.kind {
        ConfigKind::Map(entries) => check_entries(entries, &[], findings),
        ConfigKind::Null => {}
        _ => findings.error(root.spot, format!("the configuration is {}, not a map", root.kind_name()), "write `key: value` lines"),
    }
}

fn check_entries(entries: &mut [ConfigEntry], names: &[&str], findings: &mut Findings) {
    for entry in entries {
        let path: Vec<&str> = names.iter().copied().chain([entry.name.as_str()]).collect();
        match keys::form_of(&path) {
            Some(form) => check_value(&mut entry.value, &path, form, findings),
            None => {
                let nearest = keys::nearest(names, &entry.name).unwrap_or_default();
                findings.error(entry.spot, format!("unknown key `{}`", path.join(".")), format!("the nearest key is `{nearest}`"));
            }
        }
    }
}

fn check_value(value: &mut ConfigValue, path: &[&str], form: Form, findings: &mut Findings) {
    if matches!(value.kind, ConfigKind::Null | ConfigKind::Wrong) {
        return;
    }
    let is_right = match form {
        Form::Map => match &mut value.kind {
            ConfigKind::Map(entries) => {
                check_entries(entries, path, findings);
                true
            }
            _ => false,
        },
        Form::Free => match &value.kind {
            ConfigKind::Map(entries) => {
                check_free(entries, path, findings);
                true
            }
            _ => false,
        },
        Form::Text => matches!(&value.kind, ConfigKind::Text { text, .. } if !text.is_empty()),
        Form::Texts => match &value.kind {
            ConfigKind::List(items) => items.iter().all(|item| matches!(&item.kind, ConfigKind::Text { text, .. } if !text.is_empty())),
            _ => false,
        },
        Form::Whole(least, most) => whole(value).is_some_and(|n| (least..=most).contains(&n)),
        Form::Flag => flag(value).is_some(),
        Form::Span => span(value).is_some(),
        Form::LongerSpan => span(value).is_some_and(|span| span > Period::ZERO),
        Form::Word(words) => matches!(&value.kind, ConfigKind::Text { text, .. } if words.contains(&text.as_str())),
    };
    if !is_right {
        let what = match &value.kind {
            ConfigKind::Text { text, .. } if text.is_empty() => format!("`{}` is empty", path.join(".")),
            _ => format!("`{}` cannot be {}", path.join("."), unfit(value, form)),
        };
        findings.error(value.spot, what, format!("write {}", wanted(form)));
        value.kind = ConfigKind::Wrong;
    }
}

fn check_free(entries: &[ConfigEntry], path: &[&str], findings: &mut Findings) {
    for entry in entries {
        if entry.value.as_text().is_none() && !matches!(entry.value.kind, ConfigKind::Null | ConfigKind::Wrong) {
            let what = format!("`{}.{}` cannot be {}", path.join("."), entry.name, entry.value.kind_name());
            findings.error(
                entry.value.spot,
                what,
                "write a text, a number or a boolean; librdkafka's settings have dots in their names: `ssl.ca.location: …`",
            );
        }
    }
}

/// What is wrong with a value, without repeating it.
fn unfit(value: &ConfigValue, form: Form) -> &'static str {
    match (form, &value.kind) {
        (Form::Whole(..), ConfigKind::Number(_)) => "this number",
        (Form::Word(_) | Form::Span | Form::LongerSpan | Form::Whole(..) | Form::Flag, ConfigKind::Text { .. }) => "this text",
        (Form::Texts, ConfigKind::List(_)) => "a list with anything but texts in it",
        _ => value.kind_name(),
    }
}

fn wanted(form: Form) -> String {
    match form {
        Form::Map => "a map of `key: value`".into(),
        Form::Free => "a map of librdkafka's settings: `name: value`".into(),
        Form::Text => "a text; one that looks like a number needs quotes".into(),
        Form::Texts => "a list of texts: `[a, b]`".into(),
        Form::Whole(least, most) => format!("a whole number from {least} to {most} in plain digits"),
        Form::Flag => "`true` or `false`".into(),
        Form::Span => "a whole number with a unit, `250ms`, `30s`, `5m`, `2h`, `7d`, or `0`".into(),
        Form::LongerSpan => "a whole number above 0 with a unit: `250ms`, `30s`, `5m`, `2h`, `7d`".into(),
        Form::Word(words) => words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" or "),
    }
}

/// A whole number in plain digits.
pub(super) fn whole(value: &ConfigValue) -> Option<i64> {
    match &value.kind {
        ConfigKind::Number(text) | ConfigKind::Text { text, is_substituted: true } => text.parse().ok(),
        _ => None,
    }
}

/// A boolean.
pub(super) fn flag(value: &ConfigValue) -> Option<bool> {
    match &value.kind {
        ConfigKind::Bool(value) => Some(*value),
        ConfigKind::Text { text, is_substituted: true } => text.parse().ok(),
        _ => None,
    }
}

/// A duration, or `0` (docs/rules/values.md#durations).
pub(super) fn span(value: &ConfigValue) -> Option<Period> {
    match &value.kind {
        ConfigKind::Number(text) | ConfigKind::Text { text, .. } if text == "0" => Some(Period::ZERO),
        ConfigKind::Text { text, .. } => Period::parse(text),
        _ => None,
    }
}
