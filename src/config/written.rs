//! The configuration as it was written: all its files and overrides merged into one tree whose every node knows
//! where it came from.

use std::fmt;

use super::diagnostic::{ConfigErrors, Diagnostic, Secrets};
use crate::document::{DocumentKind, Node, TextPosition};

/// Where a value was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// The index of its source.
    pub(super) source: usize,
    /// Its place there; none in an environment variable.
    pub(super) place: Option<TextPosition>,
}

/// A value with its spot.
#[derive(Debug, Clone)]
pub(super) struct ConfigValue {
    pub(super) kind: ConfigKind,
    pub(super) spot: Spot,
}

/// What a value is.
#[derive(Clone)]
pub(super) enum ConfigKind {
    Null,
    Bool(bool),
    Number(String),
    Text {
        text: String,
        /// Put together from the environment or a file: it is read as whatever its key wants, and never shown.
        is_substituted: bool,
    },
    List(Vec<ConfigValue>),
    Map(Vec<ConfigEntry>),
    /// Something of the wrong form. The error has been noted: nothing more is said of it.
    Wrong,
}

/// Not the value itself: it may be a secret.
impl fmt::Debug for ConfigKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(super) struct ConfigEntry {
    pub(super) name: String,
    /// The name as it was written, where that is another one of the same setting.
    pub(super) alias: Option<String>,
    pub(super) spot: Spot,
    pub(super) value: ConfigValue,
}

impl ConfigEntry {
    /// The name as it was written.
    pub(super) fn spelled(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

impl ConfigKind {
    fn name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text { .. } => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Wrong => "this",
        }
    }
}

impl ConfigValue {
    /// Nothing written.
    pub(super) fn empty(source: usize) -> Self {
        Self { kind: ConfigKind::Map(Vec::new()), spot: Spot { source, place: None } }
    }

    /// A node of a source.
    pub(super) fn from_node(node: Node, source: usize) -> Self {
        let spot = |place| Spot { source, place: Some(place) };
        let kind = match node.kind {
            DocumentKind::Null => ConfigKind::Null,
            DocumentKind::Bool(value) => ConfigKind::Bool(value),
            DocumentKind::Number(text) => ConfigKind::Number(text),
            DocumentKind::String(text) => ConfigKind::Text { text, is_substituted: false },
            DocumentKind::List(items) => ConfigKind::List(items.into_iter().map(|n| Self::from_node(n, source)).collect()),
            DocumentKind::Map(members) => ConfigKind::Map(
                members
                    .into_iter()
                    .map(|m| ConfigEntry { name: m.name, alias: None, spot: spot(m.place), value: Self::from_node(m.value, source) })
                    .collect(),
            ),
        };
        Self { kind, spot: spot(node.place) }
    }

    /// What this is, in words for an error.
    pub(super) fn kind_name(&self) -> &'static str {
        self.kind.name()
    }

    /// The entries, of none if this is no map.
    pub(super) fn entries(&self) -> &[ConfigEntry] {
        match &self.kind {
            ConfigKind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The value under a key of a map; nothing written (null) counts as no value.
    pub(super) fn get(&self, name: &str) -> Option<&Self> {
        let value = &self.entries().iter().find(|e| e.name == name)?.value;
        (!matches!(value.kind, ConfigKind::Null)).then_some(value)
    }

    /// The value at a dotted path of keys that have no dot themselves.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |value, name| value.get(name))
    }

    /// The text or the written number or truth, as librdkafka takes its settings.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.kind {
            ConfigKind::Text { text, .. } | ConfigKind::Number(text) => Some(text),
            ConfigKind::Bool(value) => Some(if *value { "true" } else { "false" }),
            _ => None,
        }
    }

    /// Puts a value under a key of a map, in place of what was there.
    pub(super) fn replace(&mut self, name: &str, value: Self) {
        if let ConfigKind::Map(entries) = &mut self.kind {
            entries.retain(|entry| entry.name != name);
            entries.push(ConfigEntry { name: name.to_owned(), alias: None, spot: value.spot, value });
        }
    }

    /// Lays `over` on top: maps key by key, anything else replaces.
    pub(super) fn merge(&mut self, over: Self) {
        match (&mut self.kind, over.kind) {
            (ConfigKind::Map(entries), ConfigKind::Map(more)) => {
                for entry in more {
                    match entries.iter_mut().find(|e| e.name == entry.name) {
                        Some(old) => {
                            old.spot = entry.spot;
                            old.alias = entry.alias;
                            old.value.merge(entry.value);
                        }
                        None => entries.push(entry),
                    }
                }
            }
            // A file with nothing in a section leaves the section as it is.
            (ConfigKind::Map(_), ConfigKind::Null) => {}
            (kind, over_kind) => {
                *kind = over_kind;
                self.spot = over.spot;
            }
        }
    }
}

/// Where configuration comes from.
#[derive(Debug)]
pub(super) struct ConfigSource {
    /// The file's name, or `environment variable NAME`.
    pub(super) name: String,
    /// The file's text.
    pub(super) text: Option<String>,
    /// What must not be shown of it.
    pub(super) secrets: Secrets,
}

/// All sources, and what is wrong in them.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) sources: Vec<ConfigSource>,
    errors: Vec<(Spot, Diagnostic)>,
    warnings: Vec<Diagnostic>,
}

impl Findings {
    /// Takes a source in; returns its index.
    pub(super) fn add_source(&mut self, name: String, text: Option<String>, secrets: Secrets) -> usize {
        self.sources.push(ConfigSource { name, text, secrets });
        self.sources.len() - 1
    }

    /// Notes an error.
    pub(super) fn error(&mut self, spot: Spot, what: impl Into<String>, instead: impl Into<String>) {
        let diagnostic = self.diagnostic(spot, what.into(), instead.into());
        self.errors.push((spot, diagnostic));
    }

    /// Notes a warning.
    pub(super) fn warn(&mut self, spot: Spot, what: impl Into<String>, instead: impl Into<String>) {
        let diagnostic = self.diagnostic(spot, what.into(), instead.into());
        self.warnings.push(diagnostic);
    }

    fn diagnostic(&self, spot: Spot, what: String, instead: String) -> Diagnostic {
        let source = &self.sources[spot.source];
        match (&source.text, spot.place) {
            (Some(text), Some(place)) => Diagnostic::in_text(&source.name, text, place, &source.secrets, what, instead),
            _ => Diagnostic::without_place(&source.name, what, instead),
        }
    }

    /// The warnings, or all errors in the order of sources and lines.
    pub(super) fn finish(mut self) -> Result<Vec<Diagnostic>, ConfigErrors> {
        if self.errors.is_empty() {
            return Ok(self.warnings);
        }
        self.errors.sort_by_key(|(spot, _)| (spot.source, spot.place.map(|p| (p.line, p.column))));
        self.errors.dedup_by(|a, b| a.1 == b.1);
        Err(ConfigErrors(self.errors.into_iter().map(|(_, diagnostic)| diagnostic).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_never_written_out_by_debug() {
        let entry = |name: &str, text: &str| ConfigEntry {
            name: name.to_owned(),
            alias: None,
            spot: Spot { source: 0, place: None },
            value: ConfigValue {
                kind: ConfigKind::Text { text: text.to_owned(), is_substituted: false },
                spot: Spot { source: 0, place: None },
            },
        };
        let shown =
            format!("{:?}", ConfigValue { kind: ConfigKind::Map(vec![entry("a", "hunter2")]), spot: Spot { source: 0, place: None } });
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
