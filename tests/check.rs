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

#[test]
fn wrong_usage_is_64() {
    assert_eq!(check(&[], &["--profil", "p.yaml"], &[]).0, Some(64));
}
