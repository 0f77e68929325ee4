//! The subset of RFC 9535 JSONPath that compiles (docs/rules/profiles.md#paths).

mod text;

use super::decimal::Decimal;
use super::tape::{NodeIndex, NodeKind, Tape, hash_name};

/// A parsed path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Path {
    pub(crate) segments: Vec<Segment>,
}

/// One step of a path, from a container to some of its children.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    /// The members of this name.
    Name(Name),
    /// All members or elements.
    Wildcard,
    /// Those that a filter holds for.
    Filter(Filter),
}

/// An unescaped name with its hash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) hash: u32,
}

/// `?@.key==literal`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Filter {
    pub(crate) key: Name,
    pub(crate) literal: Literal,
}

/// What a filter compares with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Literal {
    Null,
    True,
    False,
    /// As written.
    Number(String),
    /// Unescaped.
    String(String),
}

/// Why a text is no path of the subset, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct PathError {
    /// What is wrong and what to write instead.
    pub what: String,
    /// The character of the text it was found at, from 0.
    pub at: usize,
}

/// How many values a path selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// None.
    Nothing,
    /// This one.
    One(NodeIndex),
    /// Two or more.
    Several,
}

impl Path {
    /// Parses `$`, names, `[*]`, `.*` and equality filters.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        text::parse(text)
    }

    /// `$`.
    pub fn root() -> Self {
        Self { segments: Vec::new() }
    }

    /// Appends the values that the path selects, in the order they stand.
    pub fn select(&self, text: &[u8], tape: &Tape, out: &mut Vec<NodeIndex>) {
        visit(&self.segments, text, tape, NodeIndex::ROOT, &mut |node| {
            out.push(node);
            true
        });
    }

    /// The one value that the path selects; allocates nothing.
    pub fn find(&self, text: &[u8], tape: &Tape) -> Selected {
        let mut found = Selected::Nothing;
        visit(&self.segments, text, tape, NodeIndex::ROOT, &mut |node| {
            found = if found == Selected::Nothing { Selected::One(node) } else { Selected::Several };
            found != Selected::Several
        });
        found
    }

    /// Whether the path selects this value; allocates nothing.
    pub(crate) fn selects(&self, text: &[u8], tape: &Tape, wanted: NodeIndex) -> bool {
        !visit(&self.segments, text, tape, NodeIndex::ROOT, &mut |node| node != wanted)
    }

    /// Whether what the path selects depends on values.
    pub(crate) fn has_filter(&self) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Filter(_)))
    }

    /// Whether the path is `$` alone.
    pub fn is_root(&self) -> bool {
        self.segments.is_empty()
    }

    /// The name that the path ends in, and the segments before it; none if it ends otherwise.
    pub(crate) fn split_name(&self) -> Option<(&[Segment], &Name)> {
        match self.segments.split_last() {
            Some((Segment::Name(name), parent)) => Some((parent, name)),
            _ => None,
        }
    }
}

impl Name {
    pub(crate) fn new(text: String) -> Self {
        Self { hash: hash_name(&text), text }
    }

    pub(crate) fn is_of(&self, text: &[u8], tape: &Tape, node: NodeIndex) -> bool {
        tape.entry(node).name.hash == self.hash && tape.name_is(text, node, &self.text)
    }
}

impl Filter {
    /// Whether a value is an object with a member of the key's name, any of them, that equals the literal.
    pub(crate) fn holds(&self, text: &[u8], tape: &Tape, node: NodeIndex) -> bool {
        tape.kind(node) == NodeKind::Object
            && tape.children(node).any(|member| self.key.is_of(text, tape, member) && self.literal.equals(text, tape, member))
    }
}

impl Literal {
    fn equals(&self, text: &[u8], tape: &Tape, node: NodeIndex) -> bool {
        match (self, tape.kind(node)) {
            (Self::Null, NodeKind::Null) | (Self::True, NodeKind::True) | (Self::False, NodeKind::False) => true,
            (Self::String(wanted), NodeKind::String) => tape.string_is(text, node, wanted),
            (Self::Number(wanted), NodeKind::Number) => {
                let raw = tape.raw(text, node);
                raw == wanted.as_bytes()
                    || matches!((Decimal::parse(raw), Decimal::parse(wanted.as_bytes())), (Some(a), Some(b)) if a.equals(&b))
            }
            _ => false,
        }
    }
}

/// Calls `each` with every value selected until it returns false; false then. Each segment goes one level down, so
/// that recursion is bounded by the tape's depth.
fn visit(segments: &[Segment], text: &[u8], tape: &Tape, node: NodeIndex, each: &mut impl FnMut(NodeIndex) -> bool) -> bool {
    let Some((segment, rest)) = segments.split_first() else { return each(node) };
    if matches!(segment, Segment::Name(_)) && tape.kind(node) != NodeKind::Object {
        return true;
    }
    tape.children(node).all(|child| {
        let is_selected = match segment {
            Segment::Name(name) => name.is_of(text, tape, child),
            Segment::Wildcard => true,
            Segment::Filter(filter) => filter.holds(text, tape, child),
        };
        !is_selected || visit(rest, text, tape, child, each)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selected(path: &str, text: &str) -> Vec<String> {
        let mut tape = Tape::default();
        tape.parse(text.as_bytes()).unwrap();
        let mut nodes = Vec::new();
        let path = Path::parse(path).unwrap();
        path.select(text.as_bytes(), &tape, &mut nodes);
        let found = path.find(text.as_bytes(), &tape);
        assert_eq!(
            found,
            match nodes[..] {
                [] => Selected::Nothing,
                [one] => Selected::One(one),
                _ => Selected::Several,
            }
        );
        nodes.iter().map(|&node| String::from_utf8(tape.raw(text.as_bytes(), node).to_vec()).unwrap()).collect()
    }

    #[test]
    fn names_meet_members_after_unescaping_and_every_repeat() {
        let text = r#"{"\u0067ps":{"lat":1},"gps":{"lat":2,"l\u0061t":3},"x":[{"lat":4}]}"#;
        assert_eq!(selected("$.gps.lat", text), ["1", "2", "3"]);
        assert_eq!(selected("$.gps", r#"[{"gps":1}]"#), [""; 0]);
        assert_eq!(selected("$", "[1]"), ["[1]"]);
    }

    #[test]
    fn wildcards_reach_elements_and_members() {
        let text = r#"{"a":[1,[2]],"b":{"c":3,"d":{}},"e":4}"#;
        assert_eq!(selected("$.*[*]", text), ["1", "[2]", "3", "{}"]);
        assert_eq!(selected("$.a[*][*]", text), ["2"]);
    }

    #[test]
    fn d34_filters_look_at_children_of_arrays_and_objects() {
        let text = r#"{"m":[{"n":"a\u0062","v":1},{"n":"x","n":"ab","v":2},{"v":3},"ab",["ab"]],"o":{"p":{"n":"ab","v":4}}}"#;
        assert_eq!(selected("$.m[?@.n=='ab'].v", text), ["1", "2"]);
        assert_eq!(selected("$.*[?@['n']==\"ab\"].v", text), ["1", "2", "4"]);
        let text = r#"[{"n":1.0},{"n":10e-1},{"n":"1"},{"n":true},{"n":null},{},{"n":9007199254740993},{"n":false,"b":{"b":2}}]"#;
        assert_eq!(selected("$[?@.n==1]", text), [r#"{"n":1.0}"#, r#"{"n":10e-1}"#]);
        assert_eq!(selected("$[?@.n==null]", text), [r#"{"n":null}"#]);
        assert_eq!(selected("$[?@.n==9007199254740992]", text), [""; 0]);
        assert_eq!(selected("$[?@.n==false][?@.b==2]", text), [r#"{"b":2}"#]);
    }
}
