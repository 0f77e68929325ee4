//! What kcat really prints (`kcat -C -J`, version 1.7.1; files in `tests/kcat`) is read as it is (docs/rules/replay.md#lines-of-kcat).

use std::path::Path;
use std::process::{Command, Output};

const CONTROL: &str = r#"{"specversion":"1.0","id":"e1","source":"/operator","type":"sharecast.partnership.established.v1","time":"2026-01-01T00:00:00Z","data":{"tenants":["northwind","acme"],"auto_accept":true}}
{"specversion":"1.0","id":"e2","source":"/tenants/northwind","type":"sharecast.share.offered.v1","time":"2026-01-01T00:00:00Z","data":{"share":"s1","asset":"NW-7","target_tenant":"acme","streams":["telemetry"],"profile":"all","history":true}}
"#;

fn replay(folder: &Path, input: &str, config: &str) -> Output {
    let lines = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kcat").join(input);
    std::fs::write(folder.join("c.ndjson"), CONTROL).unwrap();
    std::fs::write(folder.join("c.yaml"), config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharecast"));
    command.args(["replay", "-c", "c.yaml", "--control", "c.ndjson", "--out", "out", "--input"]).current_dir(folder);
    command.arg(format!("telemetry={}", lines.display())).output().unwrap()
}

fn config(topic: &str) -> String {
    format!("streams: {{ telemetry: {{ topic: {topic}, tenant: $.tenant, asset: $.asset, time: $.ts }} }}\n")
}

#[test]
fn records_that_kcat_printed_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let done = replay(folder.path(), "telemetry.ndjson", &config("telemetry.raw"));
    assert!(done.status.success(), "{done:?}");
    let read = |topic: &str| std::fs::read_to_string(folder.path().join(format!("out/{topic}.ndjson"))).unwrap();
    let released = read("share.acme.telemetry");
    // The record's own timestamp, as Kafka had it; the other asset is shared with nobody.
    assert!(
        released.starts_with(r#"{"key":"NW-7","timestamp":"2026-11-28T08:30:16.532Z","value":{"tenant":"acme","asset":"NW-7""#),
        "{released}"
    );
    assert!(released.contains(r#""text":"Größe \"x\" / é""#) && released.lines().count() == 1, "{released}");
    let letters = read("sharecast.dead-letters");
    assert_eq!(letters.lines().count(), 2, "no JSON, and a null value: {letters}");
    assert!(letters.contains(r#""value":"no json at all \u0001\t end""#), "{letters}");
}

/// As live: a header that is there twice names nobody, with or without a value.
#[test]
fn a_header_without_a_value_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let line = |headers: &str| {
        format!(
            r#"{{"topic":"raw","partition":0,"offset":0,"tstype":"create","ts":1795854616532,"broker":1,"headers":{headers},"key":"k","payload":"{{\"asset\":\"NW-7\"}}"}}"#
        ) + "\n"
    };
    let input = folder.path().join("in.ndjson");
    std::fs::write(&input, line(r#"["owner","northwind"]"#) + &line(r#"["owner",null,"owner","northwind"]"#) + &line(r#"["owner",null]"#))
        .unwrap();
    let done = replay(
        folder.path(),
        input.to_str().unwrap(),
        "streams: { telemetry: { topic: raw, tenant: \"header:owner\", asset: $.asset } }\n",
    );
    assert!(done.status.success(), "{done:?}");
    let read = |topic: &str| std::fs::read_to_string(folder.path().join(format!("out/{topic}.ndjson"))).unwrap();
    let letters = read("sharecast.dead-letters");
    let reasons = ["duplicate_identity", "missing_tenant"].map(|reason| letters.lines().filter(|line| line.contains(reason)).count());
    assert_eq!((read("share.acme.telemetry").lines().count(), reasons), (1, [1, 1]), "{letters}");
}

#[test]
fn what_kcat_cannot_print_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let done = replay(folder.path(), "no-text.ndjson", &config("telemetry.raw"));
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(65) && told.contains("no-text.ndjson:3: ") && told.contains("raw_base64"), "{told}");
    assert!(!folder.path().join("out").join("share.acme.telemetry.ndjson").exists());
}

#[test]
fn a_topic_that_the_stream_does_not_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let done = replay(folder.path(), "telemetry.ndjson", &config("other.raw"));
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(65) && told.contains("telemetry.ndjson:1: \"topic\""), "{told}");
}
