//! What a transform does to a member.

use crate::document::{Kind, Member, Node};
use crate::json::document;
use crate::json::step::Step;
use crate::json::text::write_string;
use crate::time::Span;
use std::collections::HashMap;

/// The action of one entry of `transform`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// To this many decimals.
    Round(u8),
    /// Down to a multiple.
    Bucket(Step),
    /// A time down to a multiple since 1970; above zero.
    Truncate(Span),
    Mask(Mask),
    /// To this name.
    Rename(String),
    /// To this JSON (docs/rules/values.md#json-that-is-written).
    Const {
        json: Vec<u8>,
        kind: ConstKind,
    },
}

/// What a mask leaves to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mask {
    Redact,
    Null,
    Hash,
    KeepLast(usize),
    KeepFirst(usize),
}

/// What a constant is to the transforms behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConstKind {
    Number,
    String,
    Other,
}

impl Action {
    /// Whether what it makes is for one target alone.
    pub(super) fn is_hash(&self) -> bool {
        matches!(self, Self::Mask(Mask::Hash))
    }

    /// `const`, of any value.
    pub(super) fn constant(value: &Node) -> Self {
        let kind = match value.kind {
            Kind::Number(_) => ConstKind::Number,
            Kind::String(_) => ConstKind::String,
            _ => ConstKind::Other,
        };
        let mut json = Vec::new();
        write_constant(value, &mut json);
        Self::Const { json, kind }
    }
}

/// Of a repeated name the last value stands in the first place (docs/rules/profiles.md#constants).
fn write_constant(node: &Node, out: &mut Vec<u8>) {
    match &node.kind {
        Kind::List(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"," } else { b"" });
                write_constant(item, out);
            }
            out.push(b']');
        }
        Kind::Map(members) => {
            out.push(b'{');
            for (at, (name, value)) in last_values(members).into_iter().enumerate() {
                out.extend_from_slice(if at > 0 { b"," } else { b"" });
                write_string(name, out);
                out.push(b':');
                write_constant(value, out);
            }
            out.push(b'}');
        }
        _ => document::write(node, out),
    }
}

fn last_values(members: &[Member]) -> Vec<(&str, &Node)> {
    let mut places = HashMap::new();
    let mut values: Vec<(&str, &Node)> = Vec::with_capacity(members.len());
    for member in members {
        let place = *places.entry(member.name.as_str()).or_insert(values.len());
        if place == values.len() {
            values.push((&member.name, &member.value));
        } else {
            values[place].1 = &member.value;
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d40_constants_are_written_as_d5_with_the_last_of_repeats_in_the_first_place() {
        let text = r#" { "b" : 1.250 , "a" : [ {"x":1,"x":2}, "\u0041\/\u0001" ] , "\u0062" : { } , "c" : null } "#;
        let Action::Const { json, kind } = Action::constant(&document::parse(text.as_bytes()).unwrap()) else { panic!() };
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"b":{},"a":[{"x":2},"A/\u0001"],"c":null}"#);
        assert_eq!(kind, ConstKind::Other);
    }
}
