//! The members of a contract as JSON Schema (2020-12): what is not named is not allowed, so that a consumer made from it meets nothing
//! that it does not know.

use std::collections::BTreeMap;

use super::RecordEnvelope;
use super::members::{ContractMember, OutStep, ValueForm};
use crate::config::ProvenanceForm;
use crate::document::Node;
use crate::json::document;
use crate::schema::{any_of, flag, list, map, of_type, text, texts};

/// A value and what is under it.
#[derive(Debug, Clone, Default)]
struct Shape {
    named: BTreeMap<String, Shape>,
    any: Option<Box<Shape>>,
    /// What members say of the value itself.
    values: Vec<(ValueForm, String)>,
}

impl Shape {
    fn add(&mut self, steps: &[OutStep], member: &ContractMember) {
        match steps.split_first() {
            None => self.values.push((member.form.clone(), member.in_words())),
            Some((OutStep::Name(name), rest)) => self.named.entry(name.clone()).or_default().add(rest, member),
            Some((OutStep::Any, rest)) => self.any.get_or_insert_default().add(rest, member),
        }
    }

    fn merge(&mut self, other: &Self) {
        for (name, shape) in &other.named {
            self.named.entry(name.clone()).or_default().merge(shape);
        }
        if let Some(any) = &other.any {
            self.any.get_or_insert_default().merge(any);
        }
        self.values.extend(other.values.iter().cloned());
    }

    fn is_open(&self) -> bool {
        self.values.iter().any(|(form, _)| matches!(form, ValueForm::Open | ValueForm::Varies))
    }

    fn schema(&self) -> Node {
        let description: Vec<&str> = self.values.iter().map(|(_, words)| words.as_str()).filter(|words| !words.is_empty()).collect();
        let described = (!description.is_empty()).then(|| ("description".to_owned(), text(description.join("; or "))));
        let mut members: Vec<(String, Node)> = described.into_iter().collect();
        let has_inside = !self.named.is_empty() || self.any.is_some();
        if self.is_open() {
            // Anything may be here; what is known of the inside is told, and the rest is not closed.
            if has_inside {
                members.push(("properties".to_owned(), self.properties()));
            }
            return map(members);
        }
        let mut alternatives: Vec<Node> = self.values.iter().map(|(form, _)| scalar(form)).collect();
        if has_inside {
            alternatives.push(self.container());
        }
        match <[Node; 1]>::try_from(alternatives) {
            Ok([only]) => map(members.into_iter().chain(only.members().iter().map(|m| (m.name.clone(), m.value.clone())))),
            Err(several) => map(members.into_iter().chain(any_of(several).members().iter().map(|m| (m.name.clone(), m.value.clone())))),
        }
    }

    /// A member that a name and a wildcard meet is what either says.
    fn properties(&self) -> Node {
        let property = |(name, shape): (&String, &Self)| {
            let mut shape = shape.clone();
            if let Some(any) = &self.any {
                shape.merge(any);
            }
            (name.clone(), shape.schema())
        };
        map(self.named.iter().map(property))
    }

    fn container(&self) -> Node {
        let others = self.any.as_ref().map_or_else(|| flag(false), |any| any.schema());
        let mut members = vec![
            ("type", if self.any.is_some() { texts(["object", "array"]) } else { text("object") }),
            ("properties", self.properties()),
            ("additionalProperties", others.clone()),
        ];
        if self.any.is_some() {
            members.push(("items", others));
        }
        map(members)
    }
}

fn scalar(form: &ValueForm) -> Node {
    match form {
        ValueForm::Open | ValueForm::Varies => map::<&str>([]),
        ValueForm::Number => of_type("number"),
        ValueForm::String => of_type("string"),
        ValueForm::Time => map([("type", texts(["string", "number"]))]),
        ValueForm::Always(json) => map([("const", document::parse(json.as_bytes()).unwrap_or_else(|_| text(json.clone())))]),
    }
}

/// The schema of a value; a tombstone has none.
pub fn of_members(members: &[ContractMember], envelope: &RecordEnvelope) -> Node {
    let mut root = Shape::default();
    members.iter().for_each(|member| root.add(&member.steps, member));
    let share = (envelope.provenance == ProvenanceForm::Payload).then(|| ("_share".to_owned(), provenance(envelope)));
    let properties = root.properties().members().iter().map(|m| (m.name.clone(), m.value.clone())).chain(share).collect::<Vec<_>>();
    let others = if root.is_open() { flag(true) } else { root.any.as_ref().map_or_else(|| flag(false), |any| any.schema()) };
    map([("type", text("object")), ("properties", map(properties)), ("additionalProperties", others)])
}

/// `_share`.
fn provenance(envelope: &RecordEnvelope) -> Node {
    let said = |what: &str, kind: &str| map([("type", text(kind)), ("description", text(what))]);
    let permission = envelope.shows_permission.then(|| ("permission", map([("enum", texts(["view", "edit", "manage"]))])));
    let properties = [
        ("id", said("the share", "string")),
        ("rev", said("its revision", "integer")),
        ("epoch", said("the epoch that decided", "integer")),
    ];
    let backfill = ("backfill", said("the job, of an old record that was sent later", "string"));
    map([
        ("type", text("object")),
        ("description", text("which share released the record; always the last member")),
        ("properties", map(properties.into_iter().chain(permission).chain([backfill]))),
        ("required", texts(["id", "rev", "epoch"])),
        ("additionalProperties", flag(false)),
    ])
}

/// A whole document, for a file.
pub fn document_of(title: &str, schema: &Node) -> Node {
    let head = [("$schema".to_owned(), text("https://json-schema.org/draft/2020-12/schema")), ("title".to_owned(), text(title))];
    map(head.into_iter().chain(schema.members().iter().map(|member| (member.name.clone(), member.value.clone()))))
}

/// Any of several schemas.
pub fn alternatives(mut schemas: Vec<Node>) -> Node {
    if schemas.len() == 1 { schemas.remove(0) } else { map([("anyOf", list(schemas))]) }
}
