//! `backfill` over files: packed ones, pipes, dry runs, and what ends it early.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::instance::BINARY;

const CONFIG: &str = r#"{"streams":{"telemetry":{"topic":"telemetry.raw","tenant":"$.tenant","asset":"$.asset","time":"$.ts"},
    "details":{"mode":"upsert","topic":"asset.details","tenant":"key.tenant","asset":"key.asset","key_format":"{tenant}/{asset}"}},
    "partnerships":"open"}"#;

/// A folder with a log of one share and `records` records of its asset.
fn folder(records: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let event = |number: usize, source: &str, kind: &str, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"e{number}","source":"/tenants/{source}","type":"sharecast.{kind}.v1","time":"2026-01-01T00:00:00Z","data":{data}}}"#
        )
    };
    let offer = r#"{"share":"s1","asset":"X","target_tenant":"acme","streams":["telemetry"],"profile":"all"}"#;
    let control = [event(0, "nw", "share.offered", offer), event(1, "acme", "share.accepted", r#"{"share":"s1"}"#)];
    fs::write(dir.path().join("config.json"), CONFIG).unwrap();
    fs::write(dir.path().join("control.ndjson"), control.join("\n") + "\n").unwrap();
    let lines: String = (0..records).map(line).collect();
    fs::write(dir.path().join("t.ndjson"), lines).unwrap();
    dir
}

fn line(number: usize) -> String {
    format!("{{\"value\":{{\"tenant\":\"nw\",\"asset\":\"X\",\"ts\":{},\"n\":{number}}}}}\n", 1_767_225_600 + number % 200)
}

const WINDOW: [&str; 4] = ["--from", "2026-01-01", "--to", "2026-01-01"];

fn backfill(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.current_dir(dir).args(["backfill", "-c", "config.json"]).args(arguments).stdin(Stdio::null());
    command
}

fn job<'a>(input: &'a str, out: &'a str) -> Vec<&'a str> {
    let files = ["--stream", "telemetry", "--control", "control.ndjson", "--input", input, "--output", out, "-o", "json"];
    files.into_iter().chain(WINDOW).collect()
}

fn run(dir: &Path, arguments: &[&str]) -> Output {
    backfill(dir, arguments).output().unwrap()
}

/// The exit code, and what was said on stderr.
fn code(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn outputs(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn packed_files_and_a_pipe_give_what_the_plain_file_gives() {
    let dir = folder(500);
    let plain = fs::read(dir.path().join("t.ndjson")).unwrap();
    let (first, second) = plain.split_at(plain.len() / 2);
    let cut = first.iter().rposition(|&b| b == b'\n').unwrap() + 1;
    // Two frames, and two members, one after the other, are one file.
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 0).unwrap();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let rest = [&first[cut..], second].concat();
    for (name, bytes) in [
        ("t.ndjson.zst", [zstd(&first[..cut]), zstd(&rest)].concat()),
        ("t.ndjson.gz", [gzip(&first[..cut]), gzip(&rest)].concat()),
        // The bytes say what it is, whatever the name.
        ("packed", zstd(&plain)),
        ("also-packed", gzip(&plain)),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    let done = run(dir.path(), &job("telemetry=t.ndjson", "dir:plain"));
    assert!(done.status.success(), "{:?}", code(&done));
    let expected = outputs(&dir.path().join("plain"));
    assert_eq!(expected.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["share.acme.telemetry.ndjson"]);
    assert_eq!(expected[0].1.iter().filter(|&&b| b == b'\n').count(), 500);
    for name in ["t.ndjson.zst", "t.ndjson.gz", "packed", "also-packed"] {
        let (input, out) = (format!("telemetry={name}"), format!("dir:out-{name}"));
        let packed = run(dir.path(), &job(&input, &out));
        assert!(packed.status.success(), "{name}: {:?}", code(&packed));
        assert_eq!(outputs(&dir.path().join(&out[4..])), expected, "{name}");
        assert_eq!(packed.stdout, done.stdout, "{name}");
    }
    let mut piped = backfill(dir.path(), &job("telemetry=-", "dir:piped")).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    piped.stdin.take().unwrap().write_all(&gzip(&plain)).unwrap();
    assert!(piped.wait().unwrap().success());
    assert_eq!(outputs(&dir.path().join("piped")), expected);
}

#[test]
fn a_dry_run_counts_what_the_run_writes_and_writes_nothing() {
    let dir = folder(300);
    let arguments = job("telemetry=t.ndjson", "dir:out");
    let dry = run(dir.path(), &[&arguments[..], &["--dry-run"]].concat());
    assert!(dry.status.success() && !dir.path().join("out").exists(), "{:?}", code(&dry));
    let wet = run(dir.path(), &arguments);
    assert_eq!(dry.stdout, wet.stdout);
    let result: serde_json::Value = serde_json::from_slice(&wet.stdout).unwrap();
    let written = &outputs(&dir.path().join("out"))[0].1;
    let values: Vec<serde_json::Value> =
        written.split(|&b| b == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!((&result["read"], &result["released"]), (&300.into(), &values.len().into()));
    assert_eq!((&result["job"], &result["epoch"], &result["stopped"]), (&"files".into(), &1.into(), &serde_json::json!([])));
    let (_, said) = code(&wet);
    let head = "job files: stream telemetry, event times from 2026-01-01T00:00:00Z up to 2026-01-02T00:00:00Z\n";
    assert!(said.starts_with(head) && said.contains("epoch 1, decided at 2026-01-01T00:00:00Z: 1 share to 1 target\n"), "{said}");
    // The directory holds a run's output now.
    assert_eq!(run(dir.path(), &arguments).status.code(), Some(64));
    assert!(run(dir.path(), &[&arguments[..], &["--force"]].concat()).status.success());
    assert_eq!(&outputs(&dir.path().join("out"))[0].1, written);
    let none = run(dir.path(), &[&job("telemetry=t.ndjson", "dir:none")[..], &["--target", "nobody"]].concat());
    assert!(code(&none).1.contains("the job releases nothing"), "{:?}", code(&none));
}

#[test]
fn a_line_that_cannot_be_used_leaves_no_output() {
    // More than is kept before it is written.
    let dir = folder(200_000);
    let mut lines = fs::OpenOptions::new().append(true).open(dir.path().join("t.ndjson")).unwrap();
    lines.write_all(b"{\"at\":7}\n").unwrap();
    let (exit, said) = code(&run(dir.path(), &job("telemetry=t.ndjson", "dir:out")));
    assert!(exit == Some(65) && said.contains("t.ndjson:200001: \"at\" must be"), "{said}");
    assert!(!dir.path().join("out").exists(), "what was written before is gone");
    fs::write(dir.path().join("cut.ndjson.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    fs::write(dir.path().join("no.ndjson.zst"), "{}\n").unwrap();
    for (name, what) in [("cut.ndjson.gz", "cut.ndjson.gz:1: "), ("no.ndjson.zst", "its name says zstd")] {
        let (exit, said) = code(&run(dir.path(), &job(&format!("telemetry={name}"), "dir:out")));
        assert!(exit == Some(65) && said.contains(what), "{said}");
    }
}

#[test]
fn a_signal_ends_it_with_whole_lines_and_says_so() {
    let dir = folder(0);
    let mut child = backfill(dir.path(), &job("telemetry=-", "dir:out"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut said) = (child.stdin.take().unwrap(), BufReader::new(child.stderr.take().unwrap()));
    let mut head = String::new();
    while !head.contains("1 share") {
        said.read_line(&mut head).unwrap();
    }
    // It has said what it does, and hears signals from then on; it reads until it hears this one.
    let feeder = std::thread::spawn(move || {
        let mut number = 0;
        while input.write_all(line(number).as_bytes()).is_ok() {
            number += 1;
        }
    });
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let exit = child.wait().unwrap();
    feeder.join().unwrap();
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!((exit.code(), rest.contains("whole lines and not all of them")), (Some(130), true), "{rest}");
    let mut result = String::new();
    child.stdout.take().unwrap().read_to_string(&mut result).unwrap();
    assert_eq!(result, "", "a part is no result");
    for (name, bytes) in outputs(&dir.path().join("out")) {
        let lines: Vec<&[u8]> = bytes.split(|&b| b == b'\n').collect();
        assert_eq!(lines.last(), Some(&&b""[..]), "{name} ends in a line end");
        lines[..lines.len() - 1].iter().for_each(|line| drop(serde_json::from_slice::<serde_json::Value>(line).unwrap()));
    }
}

#[test]
fn a_wrong_command_line_is_told_what_to_write_instead() {
    let dir = folder(1);
    let with = |more: &[&'static str]| {
        let mut arguments: Vec<&'static str> = vec!["--stream", "telemetry", "--control", "control.ndjson"];
        arguments.extend(["--input", "telemetry=t.ndjson", "--output", "dir:out"]);
        arguments.extend(WINDOW);
        arguments.extend(more);
        arguments
    };
    let without = |option: &str| {
        let arguments = with(&[]);
        let at = arguments.iter().position(|argument| *argument == option).unwrap();
        [&arguments[..at], &arguments[at + 2..]].concat()
    };
    let replaced = |option: &str, value: &'static str| [without(option), vec![arguments_of(option), value]].concat();
    let live = ["--stream", "telemetry", "--from", "2026-01-01", "--to", "2026-01-01"];
    for (arguments, what) in [
        (without("--stream"), "no --stream is given"),
        (replaced("--stream", "other"), "no stream of this name"),
        (replaced("--stream", "details"), "upsert stream"),
        (without("--from"), "no --from is given"),
        (without("--to"), "no --to is given"),
        (replaced("--to", "2025-12-31"), "is not before --to"),
        (replaced("--from", "yesterday"), "--from 'yesterday'"),
        (without("--input"), "--control is given without --input"),
        (replaced("--input", "details=t.ndjson"), "--input details"),
        (replaced("--input", "telemetry=gone.ndjson"), "gone.ndjson"),
        (replaced("--input", "telemetry=."), "directory"),
        (replaced("--control", "gone.ndjson"), "gone.ndjson"),
        (without("--output"), "--output is missing"),
        (replaced("--output", "tenants"), "it is dir:PATH"),
        (replaced("--output", "topic:x.{tenant}"), "it is dir:PATH"),
        (replaced("--output", "dir:"), "names no directory"),
        (with(&["--job", "no name"]), "not a valid job name"),
        (with(&["--resume"]), "--resume has no meaning"),
        (with(&["--slack", "2h"]), "--slack has no meaning"),
        (with(&["--rate", "5"]), "10MB/s"),
        (with(&["--list"]), "stand alone"),
        (with(&["--input", "telemetry=-", "--input", "telemetry=-"]), "given twice"),
        ([&live[..], &["--at", "1h"]].concat(), "--at is for --control"),
        ([&live[..], &["--resume", "--yes"]].concat(), "--resume needs the name"),
        (live.to_vec(), "nobody can be asked"),
        ([&live[..], &["--output", "sideways"]].concat(), "write tenants, topic:TEMPLATE or dir:PATH"),
        ([&live[..], &["--output", "topic:share.{tenant}.shares"]].concat(), "status topics meet"),
        ([&live[..], &["--output", "topic:{tenant}"]].concat(), "begins with a field"),
        (
            [&live[..], &["--output", "dir:x", "--job", "a", "--resume", "--input", "telemetry=-"]].concat(),
            "standard input cannot be resumed",
        ),
        (vec!["--list", "--forget", "a"], "which one?"),
    ] {
        let (exit, said) = code(&run(dir.path(), &arguments));
        assert!(exit == Some(64) && said.contains(what), "{arguments:?}: {exit:?} {said}");
        assert!(!dir.path().join("out").exists(), "{arguments:?}");
    }
}

/// The option's own text, for as long as the test runs.
fn arguments_of(option: &str) -> &'static str {
    ["--stream", "--from", "--to", "--input", "--control", "--output"].into_iter().find(|known| *known == option).unwrap()
}
