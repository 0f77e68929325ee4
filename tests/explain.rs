//! `sharecast explain`, `project` and `check --sample` as commands, over files: what they print, and how they exit.

#![cfg(feature = "io")]

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

const CONFIG: &str = "streams:
  telemetry: { mode: append, topic: raw, tenant: $.t, asset: $.a, time: $.ts }
partnerships: open
";

const PROFILE: &str = "telemetry:
  include:
    - $.pos
    - $.speed
  exclude: [$.pos.alt]
  transform:
    - { path: $.pos.lat, round: 1 }
";

const RECORD: &str = r#"{"t":"nw","a":"X","ts":"2026-01-01T10:00:00Z","pos":{"lat":1.25,"alt":7},"driver":"D"}"#;

/// Runs `sharecast` in a new folder with these files; what it printed on both streams.
fn sharecast(files: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let own = [("c.yaml", CONFIG), ("p.yaml", PROFILE), ("r.json", RECORD)];
    for (name, text) in own.iter().chain(files) {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharecast"));
    let Output { status, stdout, stderr } = command.args(args).args(["-c", "c.yaml"]).current_dir(folder.path()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// The share `s1` of X for acme, offered at 8, accepted at 9 and revoked at 11.
fn control() -> String {
    let spec = r#"{"telemetry":{"include":["$.pos","$.speed"],"exclude":["$.pos.alt"],"transform":[{"path":"$.pos.lat","round":1}]}}"#;
    let source = PROFILE.replace('\n', "\\n");
    let publish = format!(r#"{{"profile":"p","spec":{spec},"source":"{source}"}}"#);
    let offer = r#"{"share":"s1","asset":"X","target_tenant":"acme","streams":["telemetry"],"profile":"p"}"#;
    let events = [
        (8, "nw", "profile.published", publish.as_str()),
        (8, "nw", "share.offered", offer),
        (9, "acme", "share.accepted", r#"{"share":"s1"}"#),
        (11, "nw", "share.revoked", r#"{"share":"s1"}"#),
    ];
    let line = |(number, (hour, tenant, kind, data)): (usize, &(i32, &str, &str, &str))| {
        format!(
            r#"{{"specversion":"1.0","id":"e{number}","source":"/tenants/{tenant}","type":"sharecast.{kind}.v1","time":"2026-01-01T{hour:02}:00:00Z","data":{data}}}"#
        ) + "\n"
    };
    events.iter().enumerate().map(line).collect()
}

fn explain(more: &[&str]) -> (Option<i32>, String, String) {
    let control = control();
    let lines = format!("{{\"value\":{RECORD}}}\n{{\"raw\":\"{{\"}}\n");
    let args = ["explain", "--stream", "telemetry", "--control", "control.ndjson"];
    sharecast(&[("control.ndjson", &control), ("lines.ndjson", &lines)], &[&args, more].concat())
}

#[test]
fn a_record_is_explained_by_the_shares_of_then() {
    let (code, out, err) = explain(&["--record", "lines.ndjson", "--line"]);
    assert_eq!(code, Some(0), "{out}{err}");
    for line in [
        "telemetry, asset X of nw, event time 2026-01-01T10:00:00Z",
        "decided at 2026-01-01T10:00:00Z by the shares of epoch 2",
        "s1 for acme, profile p: released",
        "  granted_from 2026-01-01T09:00:00Z <= event time 2026-01-01T10:00:00Z",
        "  withheld  $.pos.alt  by $.pos.alt (line 5, column 13)",
        "  changed   $.pos.lat  round, by $.pos.lat (line 7, column 15)",
        "  withheld  $.driver   not included (line 2, column 3)",
    ] {
        assert!(out.lines().any(|printed| printed == line), "{line}\n{out}");
    }
    // Of another target it says nothing that is true of this one alone.
    let (code, out, _) = explain(&["--asset", "X", "--owner", "nw", "--target", "zenith"]);
    assert!(code == Some(1) && out.contains("\nno share of asset X of nw with zenith names telemetry: zenith does not get it\n"), "{out}");
    // By the whole log the share is revoked; at its epoch it was not.
    let (code, out, _) = explain(&["--record", "r.json"]);
    assert!(code == Some(1) && out.contains("s1 for acme, profile p: not released: ended\n  state = REVOKED\n"), "{out}");
    let (code, out, _) = explain(&["--record", "r.json", "--epoch", "2", "-o", "json"]);
    assert!(code == Some(0) && out.contains(r#""epoch":2,"#) && out.contains(r#""decision":"released""#), "{out}");
    let (code, out, _) = explain(&["--record", "r.json", "--epoch", "1"]);
    assert!(code == Some(1) && out.contains("not released: pending"), "{out}");
    assert_eq!(explain(&["--record", "r.json", "--target", "zenith"]).0, Some(1));
}

#[test]
fn what_cannot_be_read_is_65_with_the_dead_letters_reason() {
    let (code, out, _) = explain(&["--record", "lines.ndjson", "--line=2", "-o", "json"]);
    assert!(code == Some(65) && out.contains(r#""dead":{"reason":"invalid_json","message":""#), "{out}");
}

#[test]
fn what_would_be_is_told_without_a_record() {
    let ask = |at: &str, more: &[&str]| explain(&[&["--owner", "nw", "--asset", "X", "--target", "acme", "--at", at], more].concat());
    assert_eq!(ask("2026-01-01T10:00:00Z", &[]).0, Some(0));
    let (code, out, _) = ask("2026-01-01T10:00:00Z", &["--time", "2026-01-01T08:30:00Z"]);
    assert!(code == Some(1) && out.contains("event time 2026-01-01T08:30:00Z < granted_from 2026-01-01T09:00:00Z"), "{out}");
    assert_eq!(ask("2026-01-01T12:00:00Z", &[]).0, Some(1));
}

#[test]
fn wrong_usage_says_what_to_write_instead() {
    for (more, what) in [
        (&["--epoch", "9", "--record", "r.json"][..], "the last control record is at offset 3"),
        (&[], "which record? Give --partition"),
        (&["--record", "lines.ndjson", "--line=3"], "has 2 lines"),
        (&["--record", "nowhere.json"], "nowhere.json: "),
        (&["--record", "r.json", "--at", "noon"], "--at 'noon'"),
    ] {
        let (code, out, err) = explain(more);
        assert!(code == Some(64) && err.contains(what), "{more:?}: {code:?} {out}{err}");
    }
    let (code, _, err) = sharecast(&[], &["explain", "--stream", "alarms", "--record", "r.json"]);
    assert!(code == Some(64) && err.contains("there are telemetry"), "{err}");
}

#[test]
fn a_profile_is_projected_onto_one_record() {
    let (code, out, err) = sharecast(&[], &["project", "--profile", "p.yaml", "--record", "r.json"]);
    assert_eq!(
        (code, out.as_str()),
        (Some(0), "{\"t\":\"nw\",\"a\":\"X\",\"ts\":\"2026-01-01T10:00:00Z\",\"pos\":{\"lat\":1.3}}\n"),
        "{err}"
    );
    let (_, out, _) = sharecast(&[], &["project", "--profile", "p.yaml", "--record", "r.json", "--trace"]);
    assert!(out.contains("\nwithheld  $.pos.alt  by $.pos.alt (line 5, column 13)\n"), "{out}");
    let (code, out, _) = sharecast(&[], &["project", "--profile", "all", "--record", "r.json", "-o", "json"]);
    assert_eq!((code, out), (Some(0), format!("{{\"value\":{RECORD}}}\n")));
    let (code, _, err) = sharecast(&[("bad.json", "{")], &["project", "--profile", "p.yaml", "--record", "bad.json"]);
    assert!(code == Some(65) && err.contains("invalid_json"), "{err}");
    let when = [("w.yaml", "telemetry: { include: [$], when: record.driver == 'E' }\n")];
    let (code, out, err) = sharecast(&when, &["project", "--profile", "w.yaml", "--record", "r.json"]);
    assert!(code == Some(1) && out.is_empty() && err.contains("filtered"), "{out}{err}");
}

#[test]
fn a_sample_shows_what_a_profile_misses() {
    let lines = format!("{{\"value\":{RECORD}}}\n{{\"value\":{}}}\n", RECORD.replace("1.25", "\"north\""));
    let args = ["check", "--profile", "p.yaml", "--sample", "telemetry=t.ndjson"];
    let (code, out, err) = sharecast(&[("t.ndjson", &lines)], &args);
    let found: Vec<&str> = out.lines().skip(2).collect();
    let expected = [
        "p.yaml:4:7: telemetry: include $.speed never matched in 2 records",
        "p.yaml:7:15: telemetry: round at $.pos.lat dropped 1 value",
        "p.yaml: telemetry: no path includes $.driver, which 2 of 2 records have",
    ];
    assert_eq!((code, found), (Some(0), expected.to_vec()), "{out}{err}");
    let (code, _, err) = sharecast(&[("t.ndjson", "{}\nno\n")], &args);
    assert!(code == Some(65) && err.contains("t.ndjson:2: "), "{err}");
    assert_eq!(sharecast(&[], &["check", "--sample", "telemetry=t.ndjson"]).0, Some(64));
    assert_eq!(sharecast(&[("t.ndjson", "{}\n")], &["check", "--profile", "p.yaml", "--sample", "alarms=t.ndjson"]).0, Some(64));
}

/// As of a shell's `<(…)`, which is no file.
#[test]
fn a_profile_is_read_from_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    [("c.yaml", CONFIG), ("r.json", RECORD)].iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharecast"));
    command.args(["project", "-c", "c.yaml", "--profile", "/dev/stdin", "--record", "r.json"]).current_dir(folder.path());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(PROFILE.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (out, err) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert!(status.success() && out.contains(r#""lat":1.3"#) && !out.contains("driver"), "{out}{err}");
}
