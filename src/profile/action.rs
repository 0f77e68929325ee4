//! What a transform does to a member.

use crate::document::{DocumentKind, Member, Node};
use crate::json::document;
use crate::json::step::Step;
use crate::json::writer::{write_array, write_object};
use crate::time::Period;
use std::collections::HashMap;

/// The action of one entry of `transform`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// To this many decimals.
    Round(u8),
    /// Down to a multiple.
    Bucket(Step),
    /// A time down to a multiple since 1970; above zero.
    Truncate(Period),
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

/// What a constant is to the transforms after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConstKind {
    Number,
    String,
    Other,
}

/// What an action means for what leaves, besides the value that it makes. Who forgets one of these discloses, so each action says
/// all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disclosure<'a> {
    /// What it makes is for one target alone, and is never written for another.
    pub(crate) is_of_one_target: bool,
    /// The value leaves as the owner has it, or what other actions make of it.
    pub(crate) keeps_value: bool,
    /// The name that the member leaves under.
    pub(crate) new_name: Option<&'a str>,
    /// The step that the Kafka timestamp is floored by where the action hits the time member: it would tell what the value hides.
    pub(crate) floors_timestamp: Option<Period>,
}

impl Action {
    /// What it means for what leaves.
    #[inline]
    pub(crate) fn disclosure(&self) -> Disclosure<'_> {
        let replaced = Disclosure { is_of_one_target: false, keeps_value: false, new_name: None, floors_timestamp: None };
        match self {
            Self::Round(_) | Self::Bucket(_) | Self::Const { .. } => replaced,
            Self::Mask(Mask::Redact | Mask::Null | Mask::KeepLast(_) | Mask::KeepFirst(_)) => replaced,
            Self::Mask(Mask::Hash) => Disclosure { is_of_one_target: true, ..replaced },
            Self::Truncate(step) => Disclosure { floors_timestamp: Some(*step), ..replaced },
            Self::Rename(name) => Disclosure { keeps_value: true, new_name: Some(name), ..replaced },
        }
    }

    /// Its key in a profile.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Round(_) => "round",
            Self::Bucket(_) => "bucket",
            Self::Truncate(_) => "truncate",
            Self::Mask(_) => "mask",
            Self::Rename(_) => "rename",
            Self::Const { .. } => "const",
        }
    }

    /// What the target sees of the value, for its owner. `argument` is the action's value as it was written.
    pub(crate) fn in_words(&self, argument: &str) -> String {
        match self {
            Self::Round(places) => format!("rounded to {places} decimals"),
            Self::Bucket(_) => format!("rounded down to a multiple of {argument}"),
            Self::Truncate(_) => format!("the time rounded down to a multiple of {argument}"),
            Self::Rename(name) => format!("under the name {name}"),
            Self::Const { json, .. } => format!("always {}", String::from_utf8_lossy(json)),
            Self::Mask(Mask::Redact) => "\"***\" in its place".to_owned(),
            Self::Mask(Mask::Null) => "null in its place".to_owned(),
            Self::Mask(Mask::Hash) => "a hash of it, another one for each target".to_owned(),
            Self::Mask(Mask::KeepLast(kept)) => format!("only the last {kept} characters can be read"),
            Self::Mask(Mask::KeepFirst(kept)) => format!("only the first {kept} characters can be read"),
        }
    }

    /// `const`, of any value.
    pub(super) fn constant(value: &Node) -> Self {
        let kind = match value.kind {
            DocumentKind::Number(_) => ConstKind::Number,
            DocumentKind::String(_) => ConstKind::String,
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
        DocumentKind::List(items) => {
            write_array(out, |out| items.iter().for_each(|item| write_constant(item, out.item())));
        }
        DocumentKind::Map(members) => {
            write_object(out, |out| last_values(members).into_iter().for_each(|(name, value)| write_constant(value, out.member(name))));
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

    /// One of each kind, by what the target would learn if its question were forgotten.
    #[test]
    fn each_action_says_what_it_means_for_what_leaves() {
        let of = |action: &Action| {
            let Disclosure { is_of_one_target, keeps_value, new_name, floors_timestamp } = action.disclosure();
            (is_of_one_target, keeps_value, new_name.map(str::to_owned), floors_timestamp)
        };
        let replaced = (false, false, None, None);
        for mask in [Mask::Redact, Mask::Null, Mask::KeepLast(2), Mask::KeepFirst(2)] {
            assert_eq!(of(&Action::Mask(mask)), replaced, "{mask:?}");
        }
        assert_eq!(of(&Action::Mask(Mask::Hash)), (true, false, None, None));
        assert_eq!(of(&Action::Round(2)), replaced);
        assert_eq!(of(&Action::Bucket(Step::parse("5").unwrap())), replaced);
        assert_eq!(of(&Action::constant(&document::parse(b"1").unwrap())), replaced);
        let minute = Period::parse("1m").unwrap();
        assert_eq!(of(&Action::Truncate(minute)), (false, false, None, Some(minute)));
        assert_eq!(of(&Action::Rename("new".to_owned())), (false, true, Some("new".to_owned()), None));
    }

    #[test]
    fn d40_constants_are_written_as_d5_with_the_last_of_repeats_in_the_first_place() {
        let text = r#" { "b" : 1.250 , "a" : [ {"x":1,"x":2}, "\u0041\/\u0001" ] , "\u0062" : { } , "c" : null } "#;
        let Action::Const { json, kind } = Action::constant(&document::parse(text.as_bytes()).unwrap()) else { panic!() };
        assert_eq!(String::from_utf8(json).unwrap(), r#"{"b":{},"a":[{"x":2},"A/\u0001"],"c":null}"#);
        assert_eq!(kind, ConstKind::Other);
    }
}
