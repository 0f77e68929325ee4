use std::collections::BTreeSet;

use super::*;
use crate::json::document::parse;
use crate::share::event::kind::EventType;
use crate::share::event::{Sender, payload};

fn kept(described: Described) -> &'static str {
    match described {
        Described::Config => include_str!("../../config/schemas/config.schema.json"),
        Described::Profile => include_str!("../../config/schemas/profile.schema.json"),
        Described::Event => include_str!("../../config/schemas/event.schema.json"),
        Described::Test => include_str!("../../config/schemas/test.schema.json"),
    }
}

/// After a change: `for s in config profile event test; do sharecast schema $s > config/schemas/$s.schema.json; done`.
#[test]
fn the_kept_schemas_are_those_of_the_code() {
    for described in Described::ALL {
        let (kept, file) = (kept(described), described.file());
        assert!(kept == described.text(), "config/schemas/{file} is not what `sharecast schema` prints: write it again");
        assert!(parse(kept.as_bytes()).is_ok());
    }
}

#[test]
fn the_files_that_come_with_it_name_their_schemas() {
    let profile = "../schemas/profile.schema.json";
    for (text, schema) in [
        (include_str!("../../config/sharecast.yaml"), "schemas/config.schema.json"),
        (include_str!("../../config/profiles/hire-partner.yaml"), profile),
        (include_str!("../../config/profiles/insurer.yaml"), profile),
        (include_str!("../../config/profiles/workshop.yaml"), profile),
    ] {
        assert_eq!(text.lines().next(), Some(format!("# yaml-language-server: $schema={schema}").as_str()));
    }
}

/// Each field that the schema has is read: a value of a wrong type is refused for it. What is read and the schema lacks is found in the
/// reader's own text.
#[test]
fn the_fields_of_events_are_those_that_are_read() {
    let wrong = |field: &str| match field {
        "share" | "profile" | "tenant" => "[7]",
        _ => "{\"x\":7}",
    };
    let mut known = BTreeSet::new();
    for kind in EventType::ALL {
        for field in event::data_of(kind) {
            let name = event::member(field);
            known.insert(name);
            if *field == "spec!" {
                continue;
            }
            let mut all: Vec<(&str, &str)> = event::data_of(kind).iter().map(|field| (event::member(field), right(field))).collect();
            all.iter_mut().filter(|(other, _)| *other == name).for_each(|(_, value)| *value = wrong(name));
            let text: Vec<String> = all.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            let data = parse(format!("{{{}}}", text.join(",")).as_bytes()).unwrap();
            // `partner` is read of a tenant's event, `tenants` and `owner` of the operator's.
            let refused = [Sender::Operator, Sender::Tenant("nw")].map(|sender| payload::read(kind, sender, &data).err());
            assert!(refused.iter().flatten().any(|malformed| malformed.member == name), "{kind:?} {name}: {refused:?}");
        }
    }
    let source = [include_str!("../share/event/payload.rs"), include_str!("../share/event/fields.rs")].concat();
    let code = source.split("#[cfg(test)]").next().unwrap();
    for call in [".text(\"", ".truth(\"", ".map(\"", ".moment(\"", ".texts(\"", ".offset(\"", ".typed(\"", ".clearable(\"", ".need(\""] {
        for name in source.split(call).skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(known.contains(name) || !code.contains(&format!("{call}{name}\"")), "{name} is read, and has no place in the schema");
        }
    }
}

fn right(field: &str) -> &'static str {
    match field.trim_end_matches('!') {
        "tenants" => r#"["a","b"]"#,
        "streams" => r#"["telemetry"]"#,
        "modes" => r#"{"telemetry":"append"}"#,
        "spec" => "{}",
        "permission" => r#""view""#,
        "starts" | "ends" | "offer_expires" => r#""2026-01-01T00:00:00Z""#,
        "history" | "auto_accept" | "suspended" => "true",
        "invitee" => r#""a@b.c""#,
        "code_hash" => r#""0000000000000000000000000000000000000000000000000000000000000000""#,
        "cause" => r#""offer""#,
        "offset" | "rules" => "1",
        "partnerships" => r#""open""#,
        "unreadable" => r#""halt""#,
        _ => r#""x""#,
    }
}
