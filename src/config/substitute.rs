//! `${env:NAME}` and `${file:PATH}` inside values. `$${` is a plain `${`.

use super::ConfigEnv;
use super::written::{ConfigKind, ConfigValue, Findings};

/// Replaces them in every text under `value`. What was put in is never repeated by an error.
pub(super) fn substitute(value: &mut ConfigValue, around: &ConfigEnv<'_>, findings: &mut Findings) {
    match &mut value.kind {
        ConfigKind::Text { text, is_substituted } if text.contains("${") => match expand(text, around) {
            Ok((expanded, has_any)) => {
                *text = expanded;
                *is_substituted |= has_any;
            }
            Err(Unexpanded { what, instead }) => {
                findings.error(value.spot, what, instead);
                value.kind = ConfigKind::Wrong;
            }
        },
        ConfigKind::List(items) => items.iter_mut().for_each(|item| substitute(item, around, findings)),
        ConfigKind::Map(entries) => entries.iter_mut().for_each(|entry| substitute(&mut entry.value, around, findings)),
        _ => {}
    }
}

struct Unexpanded {
    what: String,
    instead: &'static str,
}

/// The text with all of them replaced, and whether there was any.
fn expand(text: &str, around: &ConfigEnv<'_>) -> Result<(String, bool), Unexpanded> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut has_any = false;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            out += before;
            out += "${";
            rest = &from[2..];
            continue;
        }
        out += before;
        let Some((inner, behind)) = from[2..].split_once('}') else {
            return Err(Unexpanded {
                what: "`${` without its `}`".into(),
                instead: "write `${env:NAME}` or `${file:PATH}`, or `$${` for a plain `${`",
            });
        };
        out += &look_up(inner, around)?;
        rest = behind;
        has_any = true;
    }
    out += rest;
    Ok((out, has_any))
}

fn look_up(inner: &str, around: &ConfigEnv<'_>) -> Result<String, Unexpanded> {
    match inner.split_once(':') {
        Some(("env", name)) => match around.env.iter().find(|(known, _)| known == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(Unexpanded {
                what: format!("the environment variable `{name}` is not set"),
                instead: "set it, or write the value here",
            }),
        },
        Some(("file", path)) => match (around.read_file)(path) {
            // An editor ends the last line of a file; that is no part of the value.
            Ok(text) => Ok(text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t)).to_owned()),
            Err(e) => Err(Unexpanded {
                what: format!("the file `{path}` cannot be read: {e}"),
                instead: "name a file that is there, or write the value here",
            }),
        },
        _ => Err(Unexpanded {
            what: "this `${…}` names neither the environment nor a file".into(),
            instead: "write `${env:NAME}` or `${file:PATH}`, or `$${` for a plain `${`",
        }),
    }
}
