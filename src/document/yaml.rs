//! YAML into the document tree.
//!
//! Plain scalars are read by the core schema, but a number only where it is a JSON number too: `0x1f`, `012` and `.inf`
//! are strings, so that what is written out again as JSON means the same. Anchors and aliases are read, within a bound.

mod events;
mod scalar;
mod words;

use std::collections::HashMap;

use super::{Node, TextPosition};

/// How deep lists and maps may lie in one another; the document itself is 1.
pub const MAX_DEPTH: usize = 128;

/// How many nodes a document may have, each alias counted as all that it stands for.
pub const MAX_NODES: usize = 200_000;

/// Why a text is no document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct YamlError {
    /// What is wrong and what to write instead, without the text's own values.
    pub what: String,
    /// Where it was found.
    pub place: TextPosition,
    /// Where the other half of it stands, as with a key that is written twice.
    pub other: Option<TextPosition>,
}

/// Reads the one document of a text; nothing but blanks and comments is null. A key that is written twice in one map is
/// an error here, unlike in JSON (docs/rules/events.md#event-data).
pub fn parse(text: &str) -> Result<Node, YamlError> {
    events::read(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// As `parse` does, refuses a key that is written twice in one map, for a document that was read as JSON.
pub fn refuse_repeats(node: &Node) -> Result<(), YamlError> {
    for item in node.as_list().unwrap_or_default() {
        refuse_repeats(item)?;
    }
    let mut seen = HashMap::new();
    for member in node.members() {
        if let Some(first) = seen.insert(member.name.as_str(), member.place) {
            return Err(repeated(&member.name, first, member.place));
        }
        refuse_repeats(&member.value)?;
    }
    Ok(())
}

fn repeated(name: &str, first: TextPosition, place: TextPosition) -> YamlError {
    let what = format!("the key `{name}` is written twice, first in line {}, column {}; keep one of them", first.line, first.column);
    YamlError { what, place, other: Some(first) }
}

#[cfg(test)]
mod tests;
