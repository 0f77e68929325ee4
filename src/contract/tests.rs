use super::members::{ContractMember, OutStep, members};
use crate::document::{DocumentKind, Node};
use crate::id::{StreamIndex, StreamName};
use crate::json::document::parse;
use crate::json::path::Path;
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::{FieldSource, Mapping, Mode, Stream};

fn stream() -> Stream {
    let path = |text: &str| Path::parse(text).unwrap();
    let mapping = Mapping {
        tenant: FieldSource::Path(path("$.tenant")),
        asset: FieldSource::Path(path("$.head.asset")),
        key_format: None,
        time: Some(path("$.ts")),
        rewrite_tenant: Vec::new(),
        rewrite_asset: vec![path("$.a.id")],
    };
    Stream { name: StreamName::parse("t").unwrap(), index: StreamIndex(0), mode: Mode::Append, topic: "t".to_owned(), mapping }
}

fn spec(section: &str) -> ProfileSpec {
    ProfileSpec::read(&parse(format!(r#"{{"t":{section}}}"#).as_bytes()).unwrap()).unwrap()
}

fn told(section: &str) -> Vec<String> {
    let spec = spec(section);
    members(spec.section("t").unwrap(), &stream().mapping).iter().map(|m| format!("{}: {}", m.path(), m.in_words())).collect()
}

#[test]
fn members_are_told_as_they_come_out() {
    let section = r#"{"include":["$.pos","$.serial","$.list[?@.k=='x'].v","$.secret"],"exclude":["$.pos.alt","$.secret"],
        "transform":[{"paths":["$.pos.lat"],"round":3},{"path":"$.pos","rename":"location"},{"path":"$.serial","mask":{"keep_last":4}},
        {"path":"$.ts","truncate":"1m"}]}"#;
    let expected = [
        "$.head.asset: your id of the asset, always there",
        "$.list[*].v: as the owner has it, and anything under it",
        "$.location: as the owner has it, and anything under it; renamed by its owner",
        "$.location.lat: rounded to 3 decimals",
        "$.serial: masked: only the last 4 characters can be read",
        "$.tenant: your tenant id, always there",
        "$.ts: the time of the record; a time, rounded down to a multiple of 1m",
    ];
    assert_eq!(told(section), expected);
    assert_eq!(
        told("{}"),
        ["$.head.asset: your id of the asset, always there", "$.tenant: your tenant id, always there", "$.ts: the time of the record"]
    );
    assert_eq!(told(r#"{"include":["$"]}"#)[0], "$: anything the owner's record has");
}

/// Whether the contract names a value of an output: a member of it is on its way, is it, or is open above it.
fn is_named(contract: &[ContractMember], at: &[OutStep]) -> bool {
    contract.iter().any(|member| {
        let meets = |(own, step): (&OutStep, &OutStep)| *own == OutStep::Any || own == step;
        let is_open = matches!(
            member.form,
            super::members::ValueForm::Open | super::members::ValueForm::Varies | super::members::ValueForm::Always(_)
        );
        (member.steps.len() >= at.len() || is_open) && member.steps.iter().zip(at).all(meets)
    })
}

fn each_value(node: &Node, at: &mut Vec<OutStep>, each: &mut impl FnMut(&[OutStep])) {
    each(at);
    match &node.kind {
        DocumentKind::Map(members) => {
            for member in members {
                at.push(OutStep::Name(member.name.clone()));
                each_value(&member.value, at, each);
                at.pop();
            }
        }
        DocumentKind::List(items) => {
            for item in items {
                // An element has no name: only what reaches any child meets it.
                at.push(OutStep::Name("\u{0}element".to_owned()));
                each_value(item, at, each);
                at.pop();
            }
        }
        DocumentKind::Null | DocumentKind::Bool(_) | DocumentKind::Number(_) | DocumentKind::String(_) => {}
    }
}

#[path = "../../tests/json_schema/mod.rs"]
mod validator;
pub(super) use validator::violation;

mod random {
    use proptest::prelude::*;

    use super::*;
    use crate::config::ProvenanceForm;
    use crate::contract::RecordEnvelope;
    use crate::contract::json_schema::of_members;
    use crate::profile::compile::Profile;
    use crate::profile::parties::Parties;
    use crate::profile::project::Projector;

    fn path() -> impl Strategy<Value = String> {
        let step = prop_oneof![
            6 => "[abcd]".prop_map(|name| format!(".{name}")),
            1 => Just(".head".to_owned()),
            1 => Just(".ts".to_owned()),
            2 => Just("[*]".to_owned()),
            1 => Just("[?@.a==1]".to_owned()),
        ];
        proptest::collection::vec(step, 1..4).prop_map(|steps| format!("${}", steps.concat()))
    }

    fn transform() -> impl Strategy<Value = String> {
        let action = prop_oneof![
            Just(r#""round":1"#.to_owned()),
            Just(r#""mask":"redact""#.to_owned()),
            Just(r#""mask":null"#.to_owned()),
            Just(r#""mask":"hash""#.to_owned()),
            Just(r#""truncate":"1m""#.to_owned()),
            Just(r#""const":{"x":{"y":1}}"#.to_owned()),
            "[efgab]".prop_map(|name| format!(r#""rename":"{name}""#)),
        ];
        (path(), action).prop_map(|(path, action)| format!(r#"{{"path":"{path}",{action}}}"#))
    }

    fn quoted(paths: &[String]) -> String {
        paths.iter().map(|path| format!("\"{path}\"")).collect::<Vec<_>>().join(",")
    }

    fn section() -> impl Strategy<Value = String> {
        let paths = |most| proptest::collection::vec(path(), 0..most);
        (paths(4), paths(3), proptest::collection::vec(transform(), 0..4)).prop_map(|(include, exclude, transforms)| {
            format!(r#"{{"include":[{}],"exclude":[{}],"transform":[{}]}}"#, quoted(&include), quoted(&exclude), transforms.join(","))
        })
    }

    fn value() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![Just("1".to_owned()), Just("2.25".to_owned()), Just("\"s\"".to_owned()), Just("null".to_owned())];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let member = ("[abcd]", inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
            prop_oneof![
                proptest::collection::vec(inner, 0..3).prop_map(|items| format!("[{}]", items.join(","))),
                proptest::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    fn record() -> impl Strategy<Value = String> {
        proptest::collection::vec(("[abcd]", value()), 0..5).prop_map(|members| {
            let members: Vec<String> = members.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
            format!(r#"{{"tenant":"nw","head":{{"asset":"A","a":1}},"ts":"2026-01-01T00:00:30Z"{}}}"#, members.concat())
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        /// A consumer that is made from the contract meets no member that it does not name.
        #[test]
        fn every_member_of_an_output_is_named(section in section(), record in record()) {
            let text = format!(r#"{{"t":{section}}}"#);
            // Some renames clash, which is refused.
            let Ok(spec) = ProfileSpec::read(&parse(text.as_bytes()).unwrap()) else { return Ok(()) };
            let stream = stream();
            let contract = members(spec.section("t").unwrap(), &stream.mapping);
            let profile = Profile::compile(&spec, std::slice::from_ref(&stream));
            let mut out = Vec::new();
            let parties = Parties { owner: "nw", target: "acme", target_asset: "X" };
            let mut projector = Projector::new(Some(b"secret"));
            projector.load(record.as_bytes()).unwrap();
            projector.project(record.as_bytes(), profile.section(stream.index).unwrap(), &parties, None, &mut out);
            let node = parse(&out).unwrap();
            let mut unnamed = Vec::new();
            each_value(&node, &mut Vec::new(), &mut |at| {
                if !at.is_empty() && !is_named(&contract, at) {
                    unnamed.push(format!("{at:?}"));
                }
            });
            prop_assert!(unnamed.is_empty(), "{section}\n{record}\n{}\n{unnamed:?}\n{contract:#?}", String::from_utf8_lossy(&out));

            let envelope = RecordEnvelope { provenance: ProvenanceForm::Nowhere, shows_permission: false, headers: Vec::new() };
            let schema: serde_json::Value = serde_json::from_str(&crate::schema::pretty_text(&of_members(&contract, &envelope))).unwrap();
            let wrong = violation(&schema, &schema, &serde_json::from_slice(&out).unwrap());
            prop_assert_eq!(wrong, None, "{}\n{}\n{}\n{}", section, record, String::from_utf8_lossy(&out), schema);
        }
    }
}
