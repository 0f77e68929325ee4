//! The members of a contract as JSON Schema (2020-12): what is not named is not allowed, so that a consumer made from it meets nothing
//! that it does not know.

use std::collections::BTreeMap;

use super::members::{ContractMember, OutStep, ValueForm};
use super::shares::StreamContract;
use super::{EARLIER, RecordEnvelope, how_it_ends, share_documents, timestamp};
use crate::config::ProvenanceForm;
use crate::document::Node;
use crate::json::document;
use crate::record::mapping::Mode;
use crate::schema::{any_of, flag, list, map, of_type, pretty_text, text, texts};

/// A value and what is under it.
#[derive(Debug, Clone, Default)]
struct Shape {
    named: BTreeMap<String, Shape>,
    any: Option<Box<Shape>>,
    /// What members say of the value itself.
    values: Vec<(ValueForm, String)>,
    /// Whether every value has it.
    is_always: bool,
}

impl Shape {
    fn add(&mut self, steps: &[OutStep], member: &ContractMember) {
        match steps.split_first() {
            None => self.values.push((member.form.clone(), member.in_words())),
            Some((OutStep::Name(name), rest)) => {
                let shape = self.named.entry(name.clone()).or_default();
                shape.is_always |= member.is_always;
                shape.add(rest, member);
            }
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

    /// `is_inside_open`: it lies in a value that comes as the owner has it, where anything may be of which nothing is said.
    fn schema(&self, is_inside_open: bool) -> Node {
        let description: Vec<&str> = self.values.iter().map(|(_, words)| words.as_str()).filter(|words| !words.is_empty()).collect();
        let described = (!description.is_empty()).then(|| ("description".to_owned(), text(description.join("; or "))));
        let mut members: Vec<(String, Node)> = described.into_iter().collect();
        let has_inside = !self.named.is_empty() || self.any.is_some();
        if self.is_open() || is_inside_open && self.values.is_empty() {
            // Anything may be here; what is known of the inside is told, and the rest is not closed.
            if has_inside {
                members.push(("properties".to_owned(), self.properties(true)));
            }
            return map(members);
        }
        let mut alternatives: Vec<Node> = self.values.iter().map(|(form, _)| scalar(form)).collect();
        if has_inside {
            alternatives.push(self.container(is_inside_open));
        }
        match <[Node; 1]>::try_from(alternatives) {
            Ok([only]) => map(members.into_iter().chain(only.members().iter().map(|m| (m.name.clone(), m.value.clone())))),
            Err(several) => map(members.into_iter().chain(any_of(several).members().iter().map(|m| (m.name.clone(), m.value.clone())))),
        }
    }

    /// A member that a name and a wildcard meet is what either says.
    fn properties(&self, is_open: bool) -> Node {
        let property = |(name, shape): (&String, &Self)| {
            let mut shape = shape.clone();
            if let Some(any) = &self.any {
                shape.merge(any);
            }
            (name.clone(), shape.schema(is_open))
        };
        map(self.named.iter().map(property))
    }

    fn always(&self) -> Vec<&str> {
        self.named.iter().filter(|(_, shape)| shape.is_always).map(|(name, _)| name.as_str()).collect()
    }

    fn container(&self, is_open: bool) -> Node {
        let others = self.any.as_ref().map_or_else(|| flag(is_open), |any| any.schema(is_open));
        let mut members = vec![
            ("type", if self.any.is_some() { texts(["object", "array"]) } else { text("object") }),
            ("properties", self.properties(is_open)),
            ("additionalProperties", others.clone()),
        ];
        if self.any.is_some() {
            members.push(("items", others));
        } else if !self.always().is_empty() {
            members.push(("required", texts(self.always())));
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

/// The schema of a value that is no tombstone.
pub fn of_members(members: &[ContractMember], envelope: &RecordEnvelope) -> Node {
    let mut root = Shape::default();
    members.iter().for_each(|member| root.add(&member.steps, member));
    let share = (envelope.provenance == ProvenanceForm::Payload).then(|| ("_share".to_owned(), provenance(envelope)));
    let is_open = root.is_open();
    let others = if is_open { flag(true) } else { root.any.as_ref().map_or_else(|| flag(false), |any| any.schema(false)) };
    let required: Vec<&str> = root.always().into_iter().chain(share.is_some().then_some("_share")).collect();
    let required = (!required.is_empty()).then(|| ("required", texts(required)));
    let properties = root.properties(is_open).members().iter().map(|m| (m.name.clone(), m.value.clone())).chain(share).collect::<Vec<_>>();
    let all = [("type", text("object")), ("properties", map(properties)), ("additionalProperties", others)];
    map(all.into_iter().chain(required))
}

/// What may be in one topic of a stream.
pub struct TopicSchema<'c> {
    /// The topic.
    pub name: &'c str,
    /// The stream.
    pub stream: &'c str,
    /// By which shares, and what stands around a value.
    pub description: String,
    /// The schema of its values.
    pub schema: Node,
}

/// The topics of streams, in which something may arrive, by name. Shares by one profile are told once.
pub fn each_topic<'c>(contracts: &'c [StreamContract], envelope: &RecordEnvelope) -> Vec<TopicSchema<'c>> {
    let mut topics: BTreeMap<&str, Vec<(&StreamContract, &Vec<ContractMember>)>> = BTreeMap::new();
    for contract in contracts {
        if let Some(members) = &contract.members {
            topics.entry(&contract.topic).or_default().push((contract, members));
        }
    }
    let topic = |(name, contracts): (&'c str, Vec<(&'c StreamContract, &'c Vec<ContractMember>)>)| {
        let (first, _) = contracts.first()?;
        let mut seen: Vec<&Vec<ContractMember>> = Vec::new();
        for (_, members) in &contracts {
            if !seen.contains(members) {
                seen.push(members);
            }
        }
        let told = |(contract, _): &(&StreamContract, _)| {
            format!("share {} of {}, key {}: {}", contract.share, contract.owner, contract.key, contract.when())
        };
        let shares: Vec<String> = contracts.iter().map(told).collect();
        let schema = alternatives(seen.into_iter().map(|members| of_members(members, envelope)).collect());
        Some(TopicSchema {
            name,
            stream: &first.stream,
            description: format!(
                "{}. The end of a share: {}. The Kafka timestamp is {}.",
                shares.join("; "),
                how_it_ends(first.mode),
                timestamp(first.mode)
            ),
            schema: with_tombstone(schema, first.mode),
        })
    };
    topics.into_iter().filter_map(topic).collect()
}

/// The values of all topics of a tenant, each topic a definition; the root is what any of the streams' topics may hold.
pub fn of_contracts(status_topic: &str, contracts: &[StreamContract], envelope: &RecordEnvelope) -> String {
    let topics = each_topic(contracts, envelope);
    let reference = |name: &str| map([("$ref", text(format!("#/$defs/{name}")))]);
    let headers: Vec<String> = envelope.all_headers().iter().map(|(name, what)| format!("{name} ({what})")).collect();
    let headers = if headers.is_empty() { "none".to_owned() } else { headers.join(", ") };
    let described = |description: String, schema: &Node| {
        let schema = schema.members().iter().map(|member| (member.name.clone(), member.value.clone()));
        map([("description".to_owned(), text(description))].into_iter().chain(schema))
    };
    let of_topic =
        |topic: &TopicSchema<'_>| (topic.name.to_owned(), described(format!("{} Headers: {headers}.", topic.description), &topic.schema));
    let status = described(format!("{}; {}.", share_documents::TITLE, share_documents::ENVELOPE), &share_documents::schema());
    let definitions = map(topics.iter().map(of_topic).chain([(status_topic.to_owned(), status)]));
    let root = match topics.as_slice() {
        [] => flag(false),
        [only] => reference(only.name),
        several => map([("anyOf", list(several.iter().map(|topic| reference(topic.name))))]),
    };
    let about = ("description".to_owned(), text(format!("Each topic has a definition of its own; {EARLIER}.")));
    let root = root.members().iter().map(|member| (member.name.clone(), member.value.clone()));
    let schema = map([about].into_iter().chain(root).chain([("$defs".to_owned(), definitions)]));
    pretty_text(&document_of("Values by their topics", &schema))
}

/// With the tombstone, where a stream has them.
pub fn with_tombstone(value: Node, mode: Mode) -> Node {
    match mode {
        Mode::Append => value,
        Mode::Upsert => map([("oneOf", list([value, map([("type", text("null")), ("description", text("a tombstone"))])]))]),
    }
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
    let always: Vec<&str> = ["id", "rev", "epoch"].into_iter().chain(envelope.shows_permission.then_some("permission")).collect();
    let backfill = ("backfill", said("the job, of an old record that was sent later", "string"));
    map([
        ("type", text("object")),
        ("description", text("which share released the record; always the last member")),
        ("properties", map(properties.into_iter().chain(permission).chain([backfill]))),
        ("required", texts(always)),
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
