//! A test file, by its key lists.

use super::event::field_schema;
use super::{ID, PATH, STREAM, TENANT, TIME, any_of, closed, config, list, list_of, map, number, of_type, pattern, profile, text, texts};
use crate::document::Node;
use crate::scenario::keys;
use crate::share::event::kind::EventType;

pub(super) fn schema() -> Node {
    closed(keys::TOP.map(|key| (key, top(key))), &["world", "expect"])
}

fn top(key: &str) -> Node {
    match key {
        "name" => of_type("string"),
        "streams" => {
            let streams = config::schema();
            let streams = streams.get("properties").and_then(|properties| properties.get("streams")).cloned();
            streams.unwrap_or_else(|| of_type("object"))
        }
        "now" => pattern(TIME),
        "world" => closed(keys::WORLD.map(|key| (key, world(key))), &[]),
        "records" => list_of(closed(keys::RECORD.map(|key| (key, record(key))), &["stream"])),
        "expect" => map([
            ("type", text("object")),
            ("propertyNames", map([("pattern", text(TENANT))])),
            ("additionalProperties", any_of([outputs(), of_type("null"), closed(keys::TENANT_OUTPUTS.map(|key| (key, tenant(key))), &[])])),
        ]),
        "dead_letters" => list_of(of_type("string")),
        other => unreachable!("the key {other} has no schema"),
    }
}

fn world(key: &str) -> Node {
    match key {
        "tenants" => list_of(any_of([pattern(TENANT), closed(keys::TENANT.map(|key| (key, nullable(key))), &["tenant"])])),
        "partnerships" => {
            let pair = field_schema("tenants");
            list_of(any_of([pair, closed(keys::PARTNERSHIP.map(|key| (key, field_schema(key))), &["tenants"])]))
        }
        "profiles" => {
            let either = ["file", "spec"].map(|key| map([("required", texts([key]))]));
            let profile = closed(keys::PROFILE.map(|key| (key, of_profile(key))), &["owner"]);
            let profile = map(profile
                .members()
                .iter()
                .map(|member| (member.name.clone(), member.value.clone()))
                .chain([("oneOf".to_owned(), list(either))]));
            map([("type", text("object")), ("propertyNames", map([("pattern", text(ID))])), ("additionalProperties", profile)])
        }
        "shares" => list_of(closed(keys::SHARE.map(|key| (key, share(key))), &["owner", "asset", "streams", "profile"])),
        "events" => list_of(closed(keys::EVENT.map(|key| (key, event(key))), &["type"])),
        other => unreachable!("the key {other} has no schema"),
    }
}

fn nullable(key: &str) -> Node {
    any_of([field_schema(key), of_type("null")])
}

fn of_profile(key: &str) -> Node {
    match key {
        "owner" => pattern(TENANT),
        "file" => map([("type", text("string")), ("minLength", number(1))]),
        "spec" => profile::schema(),
        other => unreachable!("the key {other} has no schema"),
    }
}

fn share(key: &str) -> Node {
    if key == "accepted" { of_type("boolean") } else { field_schema(key) }
}

fn event(key: &str) -> Node {
    match key {
        "at" => pattern(TIME),
        "type" => {
            let full = EventType::ALL.map(EventType::full_name);
            super::word(EventType::ALL.map(EventType::name).into_iter().chain(full.iter().map(String::as_str)))
        }
        "source" => any_of([pattern(TENANT), pattern("^(/operator|/sharecast|/tenants/.+)$")]),
        "data" => map([("type", texts(["object", "null"]))]),
        other => unreachable!("the key {other} has no schema"),
    }
}

fn record(key: &str) -> Node {
    match key {
        "stream" => pattern(STREAM),
        "at" | "timestamp" => pattern(TIME),
        "key" | "raw" => map([("type", texts(["string", "null"]))]),
        "headers" => map([("type", texts(["object", "null"])), ("additionalProperties", of_type("string"))]),
        "value" => map([("description", text("the record's value; null or none at all is a null value"))]),
        other => unreachable!("the key {other} has no schema"),
    }
}

fn tenant(key: &str) -> Node {
    match key {
        "any" => of_type("boolean"),
        "outputs" => outputs(),
        other => unreachable!("the key {other} has no schema"),
    }
}

fn outputs() -> Node {
    let any = closed([("any", of_type("boolean"))], &["any"]);
    list_of(any_of([closed(keys::OUTPUT.map(|key| (key, output(key))), &["stream"]), any]))
}

fn output(key: &str) -> Node {
    match key {
        "stream" => pattern(STREAM),
        "key" => map([("type", texts(["string", "null"]))]),
        "value" => map([("description", text("exactly this; null is a tombstone"))]),
        "has" | "lacks" => list_of(pattern(PATH)),
        other => unreachable!("the key {other} has no schema"),
    }
}
