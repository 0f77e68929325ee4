//! `sharecast test`, `contract` and `schema` as commands: exit codes, and what goes to stdout (docs/testing-profiles.md).

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn sharecast(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharecast"));
    let Output { status, stdout, stderr } = command.args(args).current_dir(folder).output().unwrap();
    (status.code(), format!("{}{}", String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap()))
}

fn example() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = sharecast(folder.path(), &["test", "--init", "x"]);
    assert_eq!(code, Some(0), "{said}");
    folder
}

fn change(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn the_example_passes_by_any_pattern_that_finds_it() {
    let folder = example();
    for pattern in ["x/hire-partner.test.yaml", "x/*.yaml", "x/**/*.yaml", "**/*.test.yaml"] {
        let (code, said) = sharecast(folder.path(), &["test", pattern]);
        assert!(code == Some(0) && said.ends_with("1 passed, 0 failed\n"), "{pattern}: {said}");
    }
    let (code, said) = sharecast(folder.path(), &["test", "--init", "x"]);
    assert!(code == Some(64) && said.contains("it is there already"), "{said}");
    let (code, _) = sharecast(folder.path(), &["test", "y/*.yaml"]);
    assert_eq!(code, Some(64));
}

#[test]
fn a_profile_that_is_widened_by_one_member_fails_where_it_is_expected_and_names_the_include() {
    for (member, line, shown) in [
        ("$.driver", "      - stream: telemetry\n", "+ $.driver {\"badge\":\"B-4411\"}"),
        ("$.EquipmentHeader.SerialNumber", "      - stream: telemetry\n", "+ $.EquipmentHeader.SerialNumber \"HX360-40123\""),
    ] {
        let folder = example();
        let profile = folder.path().join("x/profiles/hire-partner.yaml");
        change(&profile, "    - $.Location\n", &format!("    - $.Location\n    - {member}\n"));
        let (code, said) = sharecast(folder.path(), &["test", "x/*.test.yaml", "--junit", "out.xml"]);
        assert_eq!(code, Some(1), "{said}");
        let test = fs::read_to_string(folder.path().join("x/hire-partner.test.yaml")).unwrap();
        let expected = test[test.find("\nexpect:").unwrap()..].to_owned();
        let line = test.lines().count() - expected.lines().count() + expected.lines().position(|l| format!("  {l}\n") == line).unwrap() + 1;
        assert!(said.contains(&format!("x/hire-partner.test.yaml:{line}:7: acme, telemetry: ")), "line {line}\n{said}");
        assert!(said.contains(shown) && said.contains(&format!("is selected by {member} at profiles/hire-partner.yaml:7:7")), "{said}");
        // The explanation names lines of the file, of what stays behind too.
        assert!(
            said.contains(&format!("by {member} (line 7, column 7)")) && said.contains("by $.Location.Altitude (line 10, column 7)"),
            "{said}"
        );
        let xml = fs::read_to_string(folder.path().join("out.xml")).unwrap();
        assert!(xml.contains("failures=\"1\"") && xml.contains("is selected by"), "{xml}");
    }
    // What must not be there is pointed at itself.
    let folder = example();
    change(&folder.path().join("x/profiles/hire-partner.yaml"), "[$.name, $.type]", "[$.name, $.type, $.purchase]");
    let (code, said) = sharecast(folder.path(), &["test", "x/*.test.yaml"]);
    let test = fs::read_to_string(folder.path().join("x/hire-partner.test.yaml")).unwrap();
    let line = test.lines().position(|line| line.contains("lacks:")).unwrap() + 1;
    assert!(code == Some(1) && said.contains(&format!("x/hire-partner.test.yaml:{line}:15: acme, details")), "{said}");
    // The whole explanation of what came: each member, and the rule that let the record out.
    for told in ["profile hire-partner: released", "kept      $.name", "kept      $.purchase"] {
        assert!(said.contains(told), "{told}: {said}");
    }
}

/// Each line of the page's failure comes, in the page's order.
#[test]
fn the_failure_that_the_page_shows_is_what_is_said() {
    let page = include_str!("../docs/testing-profiles.md");
    let shown = page.split_once("```text\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let folder = example();
    fs::rename(folder.path().join("x"), folder.path().join("sharing")).unwrap();
    change(&folder.path().join("sharing/profiles/hire-partner.yaml"), "    - $.Location\n", "    - $.Location\n    - $.driver\n");
    let (code, said) = sharecast(folder.path(), &["test", "sharing/**/*.test.yaml"]);
    let mut lines = said.lines();
    for line in shown.lines().filter(|line| line.trim() != "…") {
        assert!(lines.any(|came| came == line), "{line}\n{said}");
    }
    assert_eq!(code, Some(1));
}

const WORLD: &str = "world:
  partnerships: [[nw, acme], [nw, zen]]
  profiles: { p: { owner: nw, spec: { telemetry: { include: [$.a] }, details: { include: [$.name] } } } }
  shares:
    - { owner: nw, asset: A, target_tenant: acme, target_asset: X, streams: [telemetry, details], profile: p, ends: 2026-03-01T00:00:00Z }
";

/// The exit and what is said of a test with this rest.
fn test_of(rest: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), format!("{WORLD}{rest}")).unwrap();
    sharecast(folder.path(), &["test", "t.yaml"])
}

const DOCUMENT: &str = "records:
  - { stream: details, at: 2026-02-01T00:00:00Z, key: nw/A, value: { name: E, price: 1 } }
";

#[test]
fn an_upsert_stream_ends_by_a_tombstone_when_the_clock_has_run_to_it() {
    let document = "    - { stream: details, key: X, value: { name: E } }\n";
    let (code, said) = test_of(&format!("{DOCUMENT}expect:\n  acme:\n{document}"));
    assert_eq!(code, Some(0), "{said}");
    let now = "now: 2026-03-02T00:00:00Z\n";
    let (code, said) = test_of(&format!("{now}{DOCUMENT}expect:\n  acme:\n{document}"));
    assert!(code == Some(1) && said.contains("+ X null"), "{said}");
    let (code, said) = test_of(&format!("{now}{DOCUMENT}expect:\n  acme:\n{document}    - {{ stream: details, value: null }}\n"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn what_nobody_lists_fails_unless_any_is_said() {
    let (code, said) = test_of(&format!("{DOCUMENT}expect: {{}}\n"));
    assert!(code == Some(1) && said.contains("acme, details: an output came that nothing expects"), "{said}");
    for any in ["acme: [{ any: true }]", "acme: { any: true }", "acme: [{ any: true }, { stream: details, has: [$.name] }]"] {
        let (code, said) = test_of(&format!("{DOCUMENT}expect: {{ {any} }}\n"));
        assert_eq!(code, Some(0), "{any}: {said}");
    }
    let (code, said) = test_of(&format!("{DOCUMENT}expect: {{ acme: [{{ any: true }}, {{ stream: details, has: [$.nme] }}] }}\n"));
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn an_output_that_does_not_come_is_explained() {
    let record =
        "records:\n  - { stream: telemetry, at: 2026-04-01T00:00:00Z, value: { tenant: nw, asset: A, ts: 2026-04-01T00:00:00Z, a: 1 } }\n";
    let (code, said) = test_of(&format!("{record}expect:\n  acme:\n    - {{ stream: telemetry, has: [$.a] }}\n"));
    assert!(code == Some(1) && said.contains("t.yaml:10:7: acme, telemetry: an output is expected here"), "{said}");
    assert!(said.contains("line 7") && said.contains("s1 for acme, profile p: not released: "), "{said}");
    let bad = "records: [{ stream: telemetry, at: 2026-01-01T00:00:00Z, raw: '{' }]\n";
    let (code, said) = test_of(&format!("{bad}expect: {{}}\n"));
    assert!(code == Some(1) && said.contains("dead letter: invalid_json"), "{said}");
    let (code, said) = test_of(&format!("{bad}expect: {{}}\ndead_letters: [invalid_json]\n"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn events_change_the_world_in_between() {
    let events = "  events:\n    - { at: 2026-01-15T00:00:00Z, type: share.revoked, source: nw, data: { share: s1 } }\n";
    let records = "records:
  - { stream: telemetry, value: { tenant: nw, asset: A, ts: 2026-01-01T00:00:00Z, a: 1 } }
  - { stream: telemetry, value: { tenant: nw, asset: A, ts: 2026-01-20T00:00:00Z, a: 2 } }
expect:
  acme:
    - { stream: telemetry, key: X, value: { tenant: acme, asset: X, ts: 2026-01-01T00:00:00Z, a: 1.0 } }
";
    let (code, said) = test_of(&format!("{events}{records}"));
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn wrong_files_are_65_and_say_where_and_what_instead() {
    for (rest, told) in [
        ("expect: {}\nrecrds: []\n", "t.yaml:7:1: unknown key `recrds`: did you mean `records`?"),
        ("expect: {}\nrecords: {}\n", "t.yaml:7:10: records must be a list"),
        ("records: []\n", "a test needs what is expected"),
        ("expect: { acme: [{ stream: telemtry }] }\n", "unknown stream `telemtry`: did you mean `telemetry`?"),
        ("expect: { acme: [{ stream: telemetry, has: [a] }] }\n", "t.yaml:6:45: path a, character 1"),
        ("expect: { acme: [{ stream: telemetry, has: [$.a], value: {} }] }\n", "write either the exact value, or has and lacks"),
        ("expect: {}\nnow: noon\n", "t.yaml:7:6: now must be an RFC 3339 time"),
        ("expect: {}\nnow: [\n", "t.yaml:"),
        ("expect: {}\nstreams: { s: { topic: t } }\n", "the stream `s` has no `tenant`"),
        (
            "    - { owner: nw, asset: B, target_tenant: other, streams: [telemetry], profile: p }\nexpect: {}\n",
            "t.yaml:6:7: the share cannot be: no_partnership",
        ),
        (
            "    - { owner: nw, asset: B, target_tenant: zen, streams: telemetry, profile: p }\nexpect: {}\n",
            "\"streams\" is \"telemetry\", not a list",
        ),
        ("    - { owner: nw, asset: B, target: zen, streams: [telemetry], profile: p }\nexpect: {}\n", "unknown key `target`"),
    ] {
        let (code, said) = test_of(rest);
        assert!(code == Some(65) && said.contains(told), "{rest}: {code:?} {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("c.yaml"), "workrs: 1\n").unwrap();
    fs::write(folder.path().join("t.yaml"), format!("{WORLD}expect: {{}}\n")).unwrap();
    assert_eq!(sharecast(folder.path(), &["test", "t.yaml", "-c", "c.yaml"]).0, Some(78));
}

#[test]
fn schemas_are_json() {
    let folder = tempfile::tempdir().unwrap();
    for of in ["config", "profile", "event", "test", "asyncapi"] {
        let (code, text) = sharecast(folder.path(), &["schema", of]);
        assert_eq!(code, Some(0), "{text}");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(json.get("$schema").is_some() || json["asyncapi"] == "3.0.0", "{of}");
    }
}

#[cfg(feature = "io")]
#[test]
fn a_contract_is_read_from_a_dump() {
    let folder = tempfile::tempdir().unwrap();
    let event = |at: usize, source: &str, kind: &str, data: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"e{at}\",\"source\":\"{source}\",\"type\":\"sharecast.{kind}.v1\",\"time\":\"2026-01-01T00:00:0{at}Z\",\"data\":{data}}}\n"
        )
    };
    let spec = r#"{"telemetry":{"include":["$.pos","$.driver"],"exclude":["$.driver"],"transform":[{"path":"$.pos.lat","round":2},{"path":"$.pos","rename":"location"}]},"details":{"include":["$.name"]}}"#;
    let log = [
        event(1, "/operator", "partnership.established", r#"{"tenants":["nw","acme"]}"#),
        event(2, "/tenants/nw", "profile.published", &format!(r#"{{"profile":"p","spec":{spec}}}"#)),
        event(
            3,
            "/tenants/nw",
            "share.offered",
            r#"{"share":"s1","asset":"SECRET-7","target_tenant":"acme","target_asset":"X","streams":["telemetry","details"],"profile":"p"}"#,
        ),
        event(4, "/tenants/acme", "share.accepted", r#"{"share":"s1"}"#),
    ];
    fs::write(folder.path().join("control.ndjson"), log.concat()).unwrap();
    let contract = |more: &[&str]| sharecast(folder.path(), &[&["contract", "--control", "control.ndjson"], more].concat());
    let (code, said) = contract(&["--as", "acme"]);
    assert_eq!(code, Some(0), "{said}");
    for told in [
        "share.acme.telemetry",
        "$.location ",
        "renamed by its owner",
        "$.location.lat ",
        "rounded to 2 decimals",
        "$._share",
        "tombstone",
        "nothing marks the last one",
    ] {
        assert!(said.contains(told), "{told}: {said}");
    }
    // Nothing of the owner's: not its id of the asset, not what is withheld, not the names it has.
    assert!(!["SECRET-7", "driver", "pos"].iter().any(|hidden| said.contains(hidden)), "{said}");
    let (_, text) = contract(&["--as", "acme", "-o", "jsonschema"]);
    let schema: serde_json::Value = serde_json::from_str(&text).unwrap();
    let telemetry = &schema["$defs"]["share.acme.telemetry"];
    assert_eq!(telemetry["additionalProperties"], false, "{text}");
    assert!(telemetry["properties"]["location"].is_object() && telemetry["properties"]["_share"].is_object(), "{text}");
    let (_, text) = contract(&["--as", "acme", "-o", "asyncapi"]);
    let document: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["channels"]["share-acme-details"]["address"], "share.acme.details", "{text}");
    assert_eq!(contract(&["--as", "nw"]).0, Some(1));
    assert_eq!(contract(&["--as", "acme", "--share", "s2"]).0, Some(1));
}
