//! `sharecast check` as a command: exit codes and what goes to stdout (docs/rules/cli.md#exit-codes).

use std::fs;
use std::process::{Command, Output};

/// Runs `check` in a new folder with these files.
fn check(files: &[(&str, &str)], args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_sharecast"));
    let Output { status, stdout, .. } =
        command.arg("check").args(args).envs(env.iter().copied()).current_dir(folder.path()).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap())
}

#[test]
fn what_is_right_is_0() {
    let files = [("a.yaml", "workers: 3\n"), ("p.yaml", "telemetry: { include: [$.a] }\n")];
    let (code, out) = check(&files, &["-c", "a.yaml", "--profile", "p.yaml"], &[]);
    assert_eq!((code, out.lines().count()), (Some(0), 2), "{out}");
    assert_eq!(check(&[], &[], &[]).0, Some(0));
}

#[test]
fn a_wrong_configuration_is_78_and_says_where() {
    let (code, out) = check(&[("a.yaml", "kafka:\n  bootstrp: x:1\n")], &["-c", "a.yaml"], &[]);
    assert_eq!(code, Some(78));
    assert_eq!(out, "a.yaml:2:3: unknown key `kafka.bootstrp`\n    bootstrp: x:1\n    ^\n    the nearest key is `bootstrap`\n");
    assert_eq!(check(&[], &["-c", "nowhere.yaml"], &[]).0, Some(78));
    let (code, out) = check(&[], &[], &[("SHARECAST__BATCH__INTERVAL", "soon")]);
    assert!(code == Some(78) && out.starts_with("environment variable SHARECAST__BATCH__INTERVAL: "), "{out}");
}

#[test]
fn a_wrong_profile_is_1() {
    let (code, out) = check(&[("p.yaml", "telemetry:\n  include: [\"$.a[0]\"]\n")], &["--profile", "p.yaml"], &[]);
    assert!(code == Some(1) && out.contains("\np.yaml:2:"), "{out}");
    assert_eq!(check(&[], &["--profile", "nowhere.yaml"], &[]).0, Some(1));
}

/// The same files are held against the JSON Schemas by `scripts/validate-artefacts`, as an editor does.
#[test]
fn each_wrong_file_is_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let mut looked_at = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (name, text) = (path.file_stem().unwrap().to_str().unwrap(), fs::read_to_string(&path).unwrap());
        let (args, expected): (&[&str], i32) = match name.split('-').next() {
            Some("config") => (&["check", "-c", "wrong.yaml"], 78),
            Some("profile") => (&["check", "--profile", "wrong.yaml"], 1),
            Some("test") => (&["test", "wrong.yaml"], 65),
            _ => panic!("{name}: of what?"),
        };
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("wrong.yaml"), text).unwrap();
        let done = Command::new(env!("CARGO_BIN_EXE_sharecast")).args(args).current_dir(folder.path()).output().unwrap();
        assert_eq!(done.status.code(), Some(expected), "{name}: {done:?}");
        looked_at += 1;
    }
    assert!(looked_at > 20);
}

#[test]
fn wrong_usage_is_64() {
    assert_eq!(check(&[], &["--profil", "p.yaml"], &[]).0, Some(64));
}

#[test]
fn librdkafkas_settings_are_checked_without_a_broker_and_no_secret_is_shown() {
    let with = |line: &str| check(&[("a.yaml", &format!("kafka:\n  client:\n    {line}\n"))], &["-c", "a.yaml"], &[]);
    let (code, out) = with("sasl.pasword: hunter2");
    assert_eq!(code, Some(78));
    assert_eq!(
        out,
        "a.yaml:3:5: `kafka.client.sasl.pasword` is no setting of librdkafka\n    sasl.pasword: ***\n    ^\n    the nearest is `sasl.password`\n"
    );
    for line in [
        "sasl.password: \"\\0hunter2\"",
        "ssl.key.pem: hunter2\n    security.protocol: ssl",
        "sasl.mechanism: hunter2\n    security.protocol: sasl_plaintext",
        "sasl.jaas.config: hunter2",
    ] {
        let (code, out) = with(line);
        assert!(code == Some(78) && !out.contains("hunter") && out.contains(line.split([':', '.']).next().unwrap()), "{line}: {out}");
    }
    let (code, out) = with("socket.keepalive.enable: perhaps");
    assert!(code == Some(78) && out.starts_with("a.yaml:3:5: ") && out.contains("perhaps"), "{out}");
    for line in
        ["bootstrap.servers: x:1", "acks: 1", "delivery.timeout.ms: 5", "retries: 1", "enable.auto.commit: true", "max.in.flight: 9"]
    {
        assert_eq!(with(line).0, Some(78), "{line}");
    }
    assert_eq!(with("socket.keepalive.enable: true").0, Some(0));
}

#[test]
fn what_has_no_effect_is_warned_about() {
    let profile = "telemetry:\n  include: [$.engine]\n  transform:\n    - { path: $.position.lat, round: 1 }\n    - { path: $.engine.id, mask: hash }\n";
    let (code, out) = check(&[("p.yaml", profile)], &["--profile", "p.yaml"], &[("SHARECAST_KAFKA_BOOTSTRAP", "x:1")]);
    assert_eq!(code, Some(0));
    for what in [
        "warning: environment variable SHARECAST_KAFKA_BOOTSTRAP: this changes nothing",
        "write `SHARECAST__KAFKA__BOOTSTRAP`",
        "warning: p.yaml:4:15: section `telemetry`: this transform does nothing",
        "warning: p.yaml:5:15: section `telemetry`: `mask: hash` drops the member",
    ] {
        assert!(out.contains(what), "{what} is not in {out}");
    }
    let (code, out) = check(&[("a.yaml", "snapshot: { path: nowhere/at/all }\n")], &["-c", "a.yaml"], &[]);
    assert!(code == Some(0) && out.contains("warning: snapshot.path: nowhere/at/all: "), "{out}");
}

const CRITICAL: &str = "streams:\n  telemetry: { topic: t, tenant: $.tenant, asset: $.asset, critical: [$.driver, $.Location.Altitude] }\n";

#[test]
fn critical_members_that_a_profile_lets_out_are_named() {
    let profile = "telemetry:\n  include: [$.driver.badge, $.Location]\n  exclude: [$.Location.Altitude]\n  transform: [{ path: $.driver.badge, mask: hash }]\n";
    let (code, out) = check(&[("a.yaml", CRITICAL), ("p.yaml", profile)], &["-c", "a.yaml", "--profile", "p.yaml"], &[]);
    assert_eq!(code, Some(0), "{out}");
    let named: Vec<_> = out.lines().filter(|line| line.starts_with("critical: ")).collect();
    let expected =
        "critical: p.yaml: telemetry: $.driver leaves by $.driver.badge ($.driver.badge: a hash of it, another one for each target)";
    assert_eq!(named, [expected], "{out}");
}

#[cfg(feature = "io")]
#[test]
fn a_profile_that_lets_out_critical_members_is_not_published_unasked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.yaml"), CRITICAL).unwrap();
    fs::write(folder.path().join("p.yaml"), "telemetry: { include: [$.driver] }\n").unwrap();
    let publish = |more: &[&str]| {
        let args = ["profile", "publish", "p", "p.yaml", "--as", "nw", "-c", "a.yaml", "--timeout", "1s"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_sharecast"));
        // Nobody listens there.
        command.env("SHARECAST__KAFKA__BOOTSTRAP", "127.0.0.1:1").stdin(std::process::Stdio::null());
        let Output { status, stderr, .. } = command.args(args).args(more).current_dir(folder.path()).output().unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    let (code, said) = publish(&[]);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("critical: telemetry: $.driver leaves by $.driver\n") && said.contains("--yes"), "{said}");
    let (code, said) = publish(&["--yes"]);
    assert!(code == Some(69) && said.contains("critical: telemetry: $.driver"), "{said}");
}
