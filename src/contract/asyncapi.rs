//! AsyncAPI 3.0: the topics of one tenant by its contracts, and all topics of a configuration.

use super::json_schema::{each_topic, of_members, with_tombstone};
use super::shares::StreamContract;
use super::{EARLIER, RecordEnvelope, how_it_ends, share_documents, timestamp};
use crate::config::Config;
use crate::document::Node;
use crate::json::document;
use crate::record::mapping::Mode;
use crate::schema::{Described, flag, map, of_type, pretty_text, text};

/// One topic.
struct Channel {
    /// A name without dots and braces.
    id: String,
    address: String,
    has_tenant: bool,
    description: String,
    title: String,
    payload: Node,
    key: &'static str,
    headers: Vec<(String, &'static str)>,
    /// Who uses the document sends to the topic, or receives from it.
    is_sent: bool,
}

/// What a tenant receives, and its status topic.
pub fn of_contracts(tenant: &str, status_topic: &str, contracts: &[StreamContract], envelope: &RecordEnvelope) -> String {
    let mut channels: Vec<Channel> = Vec::new();
    for topic in each_topic(contracts, envelope) {
        channels.push(Channel {
            id: identifier(topic.name),
            address: topic.name.to_owned(),
            has_tenant: false,
            description: topic.description,
            title: format!("A record of {}", topic.stream),
            payload: topic.schema,
            key: "the asset, by your id of it",
            headers: envelope.all_headers(),
            is_sent: false,
        });
    }
    channels.push(Channel {
        id: identifier(status_topic),
        address: status_topic.to_owned(),
        has_tenant: false,
        description: format!("{}; {}.", share_documents::TITLE, share_documents::ENVELOPE),
        title: "A share as you see it".to_owned(),
        payload: share_documents::schema(),
        key: "the share's id",
        headers: Vec::new(),
        is_sent: false,
    });
    pretty_text(&asyncapi(&format!("What {tenant} receives through sharecast. {EARLIER}"), &channels))
}

/// All topics of a configuration; those of tenants with the tenant as a parameter.
pub fn of_configuration(config: &Config) -> String {
    let envelope = RecordEnvelope::of(config);
    let object = |what: &str| map([("type", text("object")), ("description", text(what))]);
    let channel = |id: &str, address: &str, title: &str, description: &str, key: &'static str, payload: Node| Channel {
        id: id.to_owned(),
        address: address.to_owned(),
        has_tenant: address.contains("{tenant}"),
        description: description.to_owned(),
        title: title.to_owned(),
        payload,
        key,
        headers: Vec::new(),
        is_sent: false,
    };
    let own = &config.topics;
    let mut channels = Vec::new();
    for stream in config.streams.iter() {
        let name = stream.name.as_str();
        let what = format!("The input of {name}: the owners' records, which sharecast reads.");
        let input = channel(
            &format!("input-{name}"),
            &stream.topic,
            &format!("A record of {name} as its owner has it"),
            &what,
            "the owner's",
            object("any JSON object"),
        );
        channels.push(Channel { payload: with_tombstone(input.payload, stream.mode), is_sent: true, ..input });
        let address = config.output.topics.topic("{tenant}", name);
        let what = format!(
            "What a tenant gets of {name}: `sharecast contract --as TENANT` says which members. The end of a share: {}. The Kafka timestamp is {}.",
            how_it_ends(stream.mode),
            timestamp(stream.mode)
        );
        let output = channel(
            &format!("tenant-{name}"),
            &address,
            &format!("A record of {name} for a tenant"),
            &what,
            "the asset, by the tenant's id of it",
            output_payload(&envelope),
        );
        channels.push(Channel { payload: with_tombstone(output.payload, stream.mode), headers: envelope.all_headers(), ..output });
        if stream.mode == Mode::Upsert {
            let what = format!("What stands in the tenants' topics of {name}. The engine's own.");
            channels.push(channel(
                &format!("standing-{name}"),
                &own.standing(&stream.name),
                "An entry",
                &what,
                "topic and key",
                object("what stands there"),
            ));
        }
    }
    let status = own.status_template();
    let address = format!("{}{{tenant}}{}", status.before, status.after);
    channels.push(channel(
        "tenant-shares",
        &address,
        "A share as the tenant sees it",
        "A tenant's shares, compacted.",
        "the share's id",
        share_documents::schema(),
    ));
    channels.push(channel(
        "shares",
        &own.shares,
        "A share, or a rejected event",
        "Every share, and rejected events with their reasons, compacted.",
        "the share's id, or rejected:<event id>",
        object("the document"),
    ));
    let event = document::parse(Described::Event.text().as_bytes()).unwrap_or_else(|_| of_type("object"));
    let control = channel(
        "control",
        &config.control.topic,
        "A control event",
        "Who shares what with whom: one partition, kept for good.",
        "none",
        event,
    );
    channels.push(Channel { is_sent: true, ..control });
    let letters = channel(
        "dead-letters",
        &own.dead_letters,
        "A dead letter",
        "Input records that could not be read, and what was not delivered.",
        "that of the record",
        map([("description", text("the record's value as it was"))]),
    );
    let errors = ["topic", "partition", "offset", "reason", "message"];
    channels.push(Channel {
        headers: errors.map(|name| (format!("__sharecast.errors.{name}"), "where the record was, and what is wrong with it")).to_vec(),
        ..letters
    });
    let others = own.fixed();
    let known: Vec<String> = channels.iter().map(|channel| channel.address.clone()).collect();
    for topic in others.into_iter().filter(|topic| !known.iter().any(|known| known == topic)) {
        let id = identifier(topic);
        channels.push(channel(
            &id,
            topic,
            "A note",
            "sharecast's own: who operates it, or mails invitations, reads it.",
            "what it is about",
            object("the note"),
        ));
    }
    pretty_text(&asyncapi("All topics of a sharecast", &channels))
}

/// Any members, and `_share`.
fn output_payload(envelope: &RecordEnvelope) -> Node {
    let closed = of_members(&[], envelope);
    map(closed.members().iter().map(|member| {
        let is_rest = member.name == "additionalProperties";
        (member.name.clone(), if is_rest { flag(true) } else { member.value.clone() })
    }))
}

fn identifier(topic: &str) -> String {
    topic.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).collect()
}

fn reference(to: String) -> Node {
    map([("$ref", text(to))])
}

fn asyncapi(title: &str, channels: &[Channel]) -> Node {
    let operations = channels.iter().map(|channel| {
        let action = if channel.is_sent { "send" } else { "receive" };
        (format!("{action}-{}", channel.id), map([("action", text(action)), ("channel", reference(format!("#/channels/{}", channel.id)))]))
    });
    map([
        ("asyncapi", text("3.0.0")),
        ("info", map([("title", text(title)), ("version", text(env!("CARGO_PKG_VERSION")))])),
        ("defaultContentType", text("application/json")),
        ("channels", map(channels.iter().map(|channel| (channel.id.clone(), channel.node())))),
        ("operations", map(operations)),
    ])
}

impl Channel {
    fn node(&self) -> Node {
        let key = map([("type", text("string")), ("description", text(self.key))]);
        let mut message =
            vec![("title", text(self.title.clone())), ("contentType", text("application/json")), ("payload", self.payload.clone())];
        if !self.headers.is_empty() {
            let header =
                |(name, what): &(String, &'static str)| (name.clone(), map([("type", text("string")), ("description", text(*what))]));
            message.push((
                "headers",
                map([
                    ("type", text("object")),
                    ("properties", map(self.headers.iter().map(header))),
                    ("additionalProperties", flag(false)),
                ]),
            ));
        }
        message.push(("bindings", map([("kafka", map([("key", key), ("bindingVersion", text("0.5.0"))]))])));
        let mut members = vec![
            ("address", text(self.address.clone())),
            ("description", text(self.description.clone())),
            ("messages", map([("record", map(message))])),
        ];
        if self.has_tenant {
            members.push(("parameters", map([("tenant", map([("description", text("the tenant's id"))]))])));
        }
        map(members)
    }
}
