//! JSON Schemas (2020-12) of what people write, made of the key lists that the readers have, so that no key is forgotten. The same texts
//! are kept in `config/schemas`, for editors.

mod config;
mod event;
mod profile;
mod test_file;
#[cfg(test)]
mod tests;

use crate::document::{DocumentKind, Member, Node, TextPosition};

/// Everything that there is a JSON Schema of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Described {
    /// A configuration file.
    Config,
    /// A sharing profile.
    Profile,
    /// A control event, as structured CloudEvent.
    Event,
    /// A test file.
    Test,
}

impl Described {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Config, Self::Profile, Self::Event, Self::Test];

    /// The file in `config/schemas`.
    pub fn file(self) -> &'static str {
        match self {
            Self::Config => "config.schema.json",
            Self::Profile => "profile.schema.json",
            Self::Event => "event.schema.json",
            Self::Test => "test.schema.json",
        }
    }

    /// The schema, with line ends and indents.
    pub fn text(self) -> String {
        let (title, schema) = match self {
            Self::Config => ("A configuration of sharecast", config::schema()),
            Self::Profile => ("A sharing profile of sharecast", profile::schema()),
            Self::Event => ("A control event of sharecast, as structured CloudEvent", event::schema()),
            Self::Test => ("A test file of sharecast", test_file::schema()),
        };
        let mut members =
            vec![("$schema".to_owned(), text("https://json-schema.org/draft/2020-12/schema")), ("title".to_owned(), text(title))];
        if let DocumentKind::Map(rest) = schema.kind {
            members.extend(rest.into_iter().map(|member| (member.name, member.value)));
        }
        pretty_text(&map(members))
    }
}

/// JSON with line ends and indents, and a last line end.
pub fn pretty_text(node: &Node) -> String {
    let mut out = Vec::new();
    crate::json::document::write_pretty(node, 0, &mut out);
    out.push(b'\n');
    String::from_utf8_lossy(&out).into_owned()
}

fn node(kind: DocumentKind) -> Node {
    Node { kind, place: TextPosition::default() }
}

/// A JSON object.
pub(crate) fn map<N: Into<String>>(members: impl IntoIterator<Item = (N, Node)>) -> Node {
    let member = |(name, value): (N, Node)| Member { name: name.into(), place: TextPosition::default(), value };
    node(DocumentKind::Map(members.into_iter().map(member).collect()))
}

/// A JSON string.
pub(crate) fn text(text: impl Into<String>) -> Node {
    node(DocumentKind::String(text.into()))
}

/// A JSON array.
pub(crate) fn list(items: impl IntoIterator<Item = Node>) -> Node {
    node(DocumentKind::List(items.into_iter().collect()))
}

/// A JSON array of strings.
pub(crate) fn texts<'t>(items: impl IntoIterator<Item = &'t str>) -> Node {
    list(items.into_iter().map(text))
}

/// A whole number.
pub(crate) fn number(number: i64) -> Node {
    node(DocumentKind::Number(number.to_string()))
}

/// True or false.
pub(crate) fn flag(is: bool) -> Node {
    node(DocumentKind::Bool(is))
}

/// `{"type": …}`.
pub(crate) fn of_type(name: &str) -> Node {
    map([("type", text(name))])
}

/// A string that fits a pattern.
pub(crate) fn pattern(pattern: &str) -> Node {
    map([("type", text("string")), ("pattern", text(pattern))])
}

/// One of these words.
pub(crate) fn word<'t>(words: impl IntoIterator<Item = &'t str>) -> Node {
    map([("enum", texts(words))])
}

/// Any of these.
pub(crate) fn any_of(schemas: impl IntoIterator<Item = Node>) -> Node {
    map([("anyOf", list(schemas))])
}

/// A list of such items.
pub(crate) fn list_of(items: Node) -> Node {
    map([("type", text("array")), ("items", items)])
}

/// An object with these properties and no others.
pub(crate) fn closed<N: Into<String>>(properties: impl IntoIterator<Item = (N, Node)>, required: &[&str]) -> Node {
    let mut members = vec![("type", text("object")), ("properties", map(properties)), ("additionalProperties", flag(false))];
    if !required.is_empty() {
        members.push(("required", texts(required.iter().copied())));
    }
    map(members)
}

const TENANT: &str = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$";
const ID: &str = "^[A-Za-z0-9._:-]{1,128}$";
const STREAM: &str = "^[a-z][a-z0-9-]{0,31}$";
const TIME: &str = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$";
/// A path of the subset; what a filter says is not looked at.
const PATH: &str = "^\\$([ \\t\\n\\r]*(\\.\\*|\\.[^\\u0000-@\\[-\\^`{-\\u007f][^\\u0000-/:-@\\[-\\^`{-\\u007f]*|\\[[ \\t\\n\\r]*('([^'\\\\]|\\\\.)*'|\"([^\"\\\\]|\\\\.)*\"|\\*|\\?[^(].*)[ \\t\\n\\r]*\\]))*$";
