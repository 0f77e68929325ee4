//! One text as a document, with errors that show its line.

use super::ConfigEnv;
use super::diagnostic::{Diagnostic, Secrets};
use super::secrets::secrets_of;
use super::written::{ConfigValue, Findings, Spot};
use crate::document::Node;
use crate::document::yaml::{self, YamlError};
use crate::json;

/// Reads YAML or JSON that a person wrote; `source` names it in errors. A key written twice is one, in JSON too.
pub fn read_document(source: &str, text: &str) -> Result<Node, Diagnostic> {
    read(text).map_err(|e| {
        let secrets = Secrets { is_unread: true, ..Secrets::default() };
        Diagnostic::in_text(source, text, e.place, &secrets, e.what, String::new())
    })
}

/// JSON is read as JSON, because YAML knows no escaped surrogate pairs and minds tabs; what is no JSON is YAML.
fn read(text: &str) -> Result<Node, YamlError> {
    if text.trim_start().starts_with('{')
        && let Ok(node) = json::document::parse(text.as_bytes())
    {
        return yaml::refuse_repeats(&node).map(|()| node);
    }
    yaml::parse(text)
}

/// Takes a file in as a source; none if it cannot be read.
pub(super) fn read_source(name: &str, text: &str, around: &ConfigEnv<'_>, findings: &mut Findings) -> Option<ConfigValue> {
    match read_document(name, text) {
        Ok(node) => {
            let source = findings.add_source(name.to_owned(), Some(text.to_owned()), secrets_of(&node, around));
            Some(ConfigValue::from_node(node, source))
        }
        Err(e) => {
            let secrets = Secrets { is_unread: true, ..Secrets::default() };
            let source = findings.add_source(name.to_owned(), Some(text.to_owned()), secrets);
            findings.error(Spot { source, place: e.place }, e.what, e.instead);
            None
        }
    }
}
