//! A tree of JSON or YAML as it was written: numbers keep their text, members their order and their repeats, and
//! every node knows its place, so that an error can point at it.
//!
//! Control events, profiles and the configuration are all read into this one form; records never are.

pub mod yaml;

/// Where a node begins in its text, both counted from 1; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct TextPosition {
    /// The line.
    pub line: u32,
    /// The column in that line.
    pub column: u32,
}

/// One node with its place.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: DocumentKind,
    /// Where it begins.
    pub place: TextPosition,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum DocumentKind {
    /// `null`, in YAML also `~` and nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number as it was written, a JSON number by RFC 8259.
    Number(String),
    /// A string, unescaped.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// Members in the order they were written, repeats included.
    Map(Vec<Member>),
}

/// One member of a map.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name, unescaped.
    pub name: String,
    /// Where the name begins.
    pub place: TextPosition,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The member of this name; of a repeated one the last (docs/rules/events.md#event-data). None if this is no map.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.members().iter().rev().find(|m| m.name == name).map(|m| &m.value)
    }

    /// The members, of none if this is no map.
    pub fn members(&self) -> &[Member] {
        match &self.kind {
            DocumentKind::Map(members) => members,
            _ => &[],
        }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            DocumentKind::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if this is a list.
    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            DocumentKind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The truth, if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind {
            DocumentKind::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Whether this is null.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, DocumentKind::Null)
    }

    /// What this is, in words for an error.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            DocumentKind::Null => "null",
            DocumentKind::Bool(_) => "a boolean",
            DocumentKind::Number(_) => "a number",
            DocumentKind::String(_) => "a string",
            DocumentKind::List(_) => "a list",
            DocumentKind::Map(_) => "a map",
        }
    }
}
