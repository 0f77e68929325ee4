//! A consumer that is made from `contract` alone meets no member, envelope or form that it does not name
//! (docs/receivers.md#what-may-arrive).

#[path = "../json_schema/mod.rs"]
mod json_schema;

use std::collections::BTreeSet;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use serde_json::Value;
use sharecast::kafka::TopicReader;

use self::json_schema::violation;
use super::broker::{PATIENCE, shared, unique};
use super::fixture::{World, feeder};
use super::instance::{await_that, run};
use super::upserts::Details;

/// What each provenance lays over the configuration.
const PROVENANCES: [&str; 3] =
    ["provenance: payload\nprovenance_permission: true\n", "provenance: headers\nprovenance_permission: true\n", "provenance: none\n"];

const WIDE: &str = r#"{"telemetry":{"include":["$.n","$.pos","$.driver","$.list[?@.k=='x'].v","$.extra"],"exclude":["$.pos.alt"],
    "transform":[{"path":"$.pos.lat","round":1},{"path":"$.pos","rename":"location"},{"path":"$.driver","mask":"hash"},
    {"path":"$.ts","truncate":"1m"},{"path":"$.extra[*].code","mask":{"keep_last":2}}]},
    "DETAILS":{"include":["$.name","$.serial","$.id","$.tenant"],"transform":[{"path":"$.serial","mask":{"keep_first":1}}]}}"#;
const NARROW: &str = r#"{"telemetry":{"include":["$.n"],"transform":[{"path":"$.n","bucket":10},{"path":"$.n","rename":"tens"}]},
    "DETAILS":{"include":["$.name"],"when":"record.name != 'hidden'","transform":[{"path":"$.name","mask":"redact"}]}}"#;

/// A record of a tenant's topic.
#[derive(Debug)]
struct Arrived {
    key: String,
    value: Value,
    headers: BTreeSet<String>,
}

#[test]
fn nothing_arrives_that_the_contract_does_not_name() {
    PROVENANCES.into_iter().for_each(everything_that_arrives_is_named_with);
}

fn everything_that_arrives_is_named_with(provenance: &str) {
    let mut details = Details::new(shared(), 2, &[], "");
    let output = format!("output: {{ topic: \"out-{}.{{tenant}}.{{stream}}\", headers: [x-kept] }}\n", details.world.name);
    details.configure(&format!("mask: {{ secret: \"0123456789abcdef\" }}\n{output}{provenance}"));
    let (world, stream) = (&details.world, &details.stream);
    let engine = world.start_ready("a");
    let (owner, target) = (format!("/tenants/{}", world.tenant("o")), world.tenant("t"));
    for (name, spec) in [("wide", WIDE), ("narrow", NARROW)] {
        let spec = spec.replace("DETAILS", stream);
        world.event(&owner, "profile.published", &format!(r#"{{"profile":"{name}","spec":{spec}}}"#));
    }
    world.partners("o", "t");
    let [a, b] = [("a", "A", "wide"), ("b", "B", "narrow")].map(|(asset, key, profile)| {
        let share = unique("share");
        let whom = format!(r#""share":"{share}","asset":"{asset}","target_tenant":"{target}","target_asset":"{key}""#);
        let what = format!(r#""streams":["telemetry","{stream}"],"profile":"{profile}","history":true,"label":"L","permission":"edit""#);
        world.event(&owner, "share.offered", &format!("{{{whom},{what}}}"));
        share
    });

    // All that the consumer knows.
    let contract = |form: &str| run(&world.config("cli"), &format!("contract --as {target} -o {form}"), 0);
    let schema: Value = serde_json::from_str(&contract("jsonschema")).unwrap();
    let document: Value = serde_json::from_str(&contract("asyncapi")).unwrap();
    let table = contract("table");
    assert!(!["alt", "hidden", "secret"].iter().any(|withheld| table.contains(withheld)), "{table}");

    world.await_decided_by(&[&engine]);
    feed_telemetry(world);
    let topic = format!("out-{}.{target}.{stream}", world.name);
    let await_document = |key: &str, is_there: bool| {
        await_that(&format!("the document at {key} is there: {is_there}"), || {
            let last = read(world, &topic).into_iter().rfind(|arrived| arrived.key == key);
            last.is_some_and(|arrived| !arrived.value.is_null()) == is_there
        });
    };
    let of_share = |share: &str| format!(r#"{{"share":"{share}"}}"#);
    details.feed(0, [("a", Some(&*details.document("a", "Ada").replace('}', r#","serial":"S-1","cost":7}"#)))]);
    details.feed(1, [("b", Some(&*details.document("b", "Bob")))]);
    await_document("A", true);
    await_document("B", true);
    world.event(&owner, "share.paused", &of_share(&b));
    await_document("B", false);
    world.event(&owner, "share.resumed", &of_share(&b));
    await_document("B", true);
    details.feed(1, [("b", Some(&*details.document("b", "hidden")))]);
    await_document("B", false);
    details.feed(0, [("a", None)]);
    await_document("A", false);
    details.feed(0, [("a", Some(&*details.document("a", "Ada").replace('}', r#","serial":5,"_share":{"x":1}}"#)))]);
    await_document("A", true);
    details.feed(0, [("a", Some("{"))]);
    await_document("A", false);
    details.feed(0, [("a", Some(r#"{"name":{"first":["Ada",null]}}"#))]);
    await_document("A", true);
    world.event(&format!("/tenants/{target}"), "share.updated", &format!(r#"{{"share":"{a}","target_asset":"A2"}}"#));
    await_document("A2", true);
    world.event(&owner, "share.revoked", &of_share(&b));
    world.feed(0, [world.record("o", "a", 999)]);
    let telemetry = world.output("t");
    await_that("the last record", || read(world, &telemetry).iter().any(|arrived| arrived.value["n"] == 999));
    let shares = format!("share.{target}.shares");
    await_that("the end of a share", || read(world, &shares).iter().any(|arrived| arrived.key == b && arrived.value["state"] == "REVOKED"));
    engine.terminate();

    let mut wrong = Vec::new();
    for topic in [&telemetry, &topic, &shares] {
        let channels = document["channels"].as_object().unwrap();
        let channel = channels.values().find(|channel| channel["address"] == **topic).unwrap_or_else(|| panic!("no {topic}: {document}"));
        let message = &channel["messages"]["record"];
        let arrived = read(world, topic);
        assert!(arrived.len() > 3, "{topic}: {arrived:?}");
        for Arrived { key, value, headers } in &arrived {
            for (root, schema) in [(&schema, &schema["$defs"][topic]), (&document, &message["payload"])] {
                wrong.extend(violation(root, schema, value).map(|wrong| format!("{topic} {key}: {wrong}: {value}")));
            }
            let named = |name: &str| message["headers"]["properties"].get(name).is_some();
            wrong.extend(headers.iter().filter(|name| !named(name)).map(|name| format!("{topic} {key}: header {name}")));
            if value.is_null() && !headers.is_empty() {
                wrong.push(format!("{topic} {key}: a tombstone has headers: {headers:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The run had something of each kind to be wrong about.
    let arrived = read(world, &telemetry);
    for member in ["location", "driver", "list", "extra", "tens", "n"] {
        assert!(arrived.iter().any(|arrived| arrived.value.get(member).is_some()), "{member}: {arrived:?}");
    }
    let is_passed = |arrived: &Arrived| arrived.headers.contains("x-kept");
    assert!(arrived.iter().any(is_passed) && !arrived.iter().all(is_passed));
}

/// Records of both assets, of forms that a profile fits and does not fit.
fn feed_telemetry(world: &World<'_>) {
    let producer = feeder(world.cluster);
    let tenant = world.tenant("o");
    let forms = [
        r#""pos":{"lat":59.913,"alt":3,"more":{"deep":[1]}},"driver":"D","list":[{"k":"x","v":1},{"k":"y","v":2}],"extra":[{"code":"abc","free":1}]"#,
        r#""pos":"here","driver":12,"list":{"a":{"k":"x","v":null}},"extra":{"one":{"code":7}},"_share":{"id":"mine"}"#,
        r#""pos":[{"lat":1.55}],"driver":{"name":"D"},"list":[],"extra":"text","secret":"S""#,
        r#""pos":{"lat":"north","alt":null},"driver":null,"list":[[{"k":"x","v":3}]],"extra":null"#,
        r#""pos":null,"driver":true,"x":{"y":1}"#,
    ];
    for (at, form) in forms.iter().enumerate() {
        for asset in ["a", "b"] {
            let value = format!(r#"{{"tenant":"{tenant}","asset":"{asset}","ts":1760000000,"n":{at},{form}}}"#);
            let mut headers = OwnedHeaders::new().insert(Header { key: "x-other", value: Some("o") });
            if at > 0 {
                headers = headers.insert(Header { key: "x-kept", value: Some("k") });
            }
            let record = BaseRecord::to(&world.input).partition(0).key("k").payload(&value).headers(headers);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
    }
    producer.flush(PATIENCE).unwrap();
}

fn read(world: &World<'_>, topic: &str) -> Vec<Arrived> {
    let Some(shape) = world.cluster.admin().topic(topic).unwrap() else { return Vec::new() };
    let mut arrived = Vec::new();
    let mut reader = TopicReader::open_within(&world.cluster.settings("tests"), topic, 0..shape.partitions, PATIENCE).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let each = reader.read_to_end(PATIENCE, |record| {
        arrived.push(Arrived {
            key: text(record.key().unwrap_or_default()),
            value: record.value().map_or(Value::Null, |value| serde_json::from_slice(value).unwrap()),
            headers: record.headers().map(|(name, _)| text(name)).collect(),
        });
    });
    each.unwrap();
    arrived
}
