//! What a shell and a person at it get without a cluster: completions, the manual, which configuration counts.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use sharecast::config::{Config, ConfigEnv};
use sharecast::id::Offset;
use sharecast::share::event::read_structured;
use sharecast::share::snapshot::{self, SnapshotOrigin};
use sharecast::share::table::ShareTable;
use sharecast::time::TimestampMs;

use super::instance::BINARY;

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).current_dir(folder).env_remove("SHARECAST_CONFIG");
    command
}

fn run(folder: &Path, args: &[&str]) -> Output {
    command(folder, args).output().unwrap()
}

/// What bash is offered for the last of these words.
fn offered(folder: &Path, words: &[&str]) -> Vec<String> {
    let mut command = command(folder, &["--"]);
    command.args(words).env("SHARECAST_COMPLETE", "bash").env("_CLAP_IFS", "\n");
    command.env("_CLAP_COMPLETE_INDEX", (words.len() - 1).to_string()).env("_CLAP_COMPLETE_COMP_TYPE", "9");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn write_snapshot(path: &Path) {
    let config = Config::load(&[], &ConfigEnv::none()).unwrap();
    let mut table = ShareTable::new(config.fold_rules());
    let events = [
        r#"{"specversion":"1.0","id":"e1","source":"/tenants/northwind","type":"sharecast.profile.published.v1","data":{"profile":"hire-partner","spec":{"telemetry":{"include":["$.a"]}}}}"#,
        r#"{"specversion":"1.0","id":"e2","source":"/operator","type":"sharecast.partnership.established.v1","data":{"tenants":["northwind","acme"]}}"#,
        r#"{"specversion":"1.0","id":"e3","source":"/tenants/northwind","type":"sharecast.share.offered.v1","data":{"share":"s-17","asset":"NW-7","target_tenant":"acme","streams":["telemetry"],"profile":"hire-partner"}}"#,
    ];
    for (at, event) in events.iter().enumerate() {
        table.fold(Offset(at as i64), TimestampMs(1_767_225_600_000), read_structured(event.as_bytes()));
    }
    let origin = SnapshotOrigin { cluster: "some-cluster".to_owned(), topic: "sharecast.control".to_owned() };
    let mut bytes = Vec::new();
    snapshot::write(&table, &origin, &mut bytes).unwrap();
    fs::write(path, bytes).unwrap();
    assert_eq!(Arc::strong_count(&config.streams), 2, "the table has its streams from the configuration");
}

#[test]
fn commands_and_ids_of_the_local_snapshot_are_completed() {
    let folder = tempfile::tempdir().unwrap();
    assert!(offered(folder.path(), &["sharecast", "sna"]).contains(&"snapshot".to_owned()));
    assert_eq!(offered(folder.path(), &["sharecast", "share", "list", "--as", "ac"]), Vec::<String>::new(), "there is no snapshot");

    write_snapshot(&folder.path().join("here.snapshot"));
    fs::write(folder.path().join("c.yaml"), "snapshot: { path: here.snapshot }\n").unwrap();
    let after = |words: &[&str]| offered(folder.path(), &[&["sharecast", "-c", "c.yaml"], words].concat());
    assert_eq!(after(&["share", "list", "--as", "ac"]), ["acme"]);
    assert_eq!(after(&["share", "list", "--as", "zz"]), Vec::<String>::new());
    assert_eq!(after(&["share", "show", "s"]), ["s-17"]);
    assert_eq!(after(&["share", "offer", "--asset", "N"]), ["NW-7"]);
    assert_eq!(after(&["share", "offer", "--profile", "hi"]), ["hire-partner"]);
    assert_eq!(after(&["backfill", "--stream", "tele"]), ["telemetry"]);
    for command in ["show", "retire", "publish"] {
        assert_eq!(after(&["profile", command, "hi"]), ["hire-partner"], "{command}");
    }
    assert_eq!(after(&["partnership", "establish", "nor"]), ["northwind"]);
    assert_eq!(after(&["partnership", "establish", "northwind", "ac"]), ["acme"]);
    assert_eq!(after(&["tenant", "update", "acme", "--parent", "nor"]), ["northwind"]);
    assert_eq!(after(&["share", "offer", "--streams", "telemetry,det"]), ["telemetry,details"]);
}

#[test]
fn each_shell_has_a_script_and_each_command_a_page() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(folder.path(), &["completions", shell]);
        assert!(output.status.success() && !output.stdout.is_empty(), "{shell}");
    }
    assert!(String::from_utf8_lossy(&run(folder.path(), &["man"]).stdout).contains(".TH sharecast 1"));
    assert!(run(folder.path(), &["man", "--dir", "."]).status.success());
    let pages: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    for page in ["sharecast.1", "sharecast-share-offer.1", "sharecast-replay.1", "sharecast-control-restore.1"] {
        assert!(pages.contains(&page.to_owned()), "{page} in {pages:?}");
    }
    assert_eq!(run(folder.path(), &["man", "--dir", "nowhere"]).status.code(), Some(1));
}

#[test]
fn the_nearest_configuration_is_read_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let workers = |env: Option<&str>, args: &[&str]| {
        let mut command = command(folder.path(), &[args, &["config", "show", "-o", "ndjson"]].concat());
        command.envs(env.map(|file| ("SHARECAST_CONFIG", file)));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find(|line| line.contains(r#""key":"workers""#)).map(str::to_owned);
        (output.status.code(), line, String::from_utf8(output.stderr).unwrap())
    };
    let line = |count: u32, from: &str| Some(format!(r#"{{"key":"workers","value":{count},"from":"{from}"}}"#));
    assert_eq!(workers(None, &[]).1, line(2, "default"));
    fs::write(folder.path().join("sharecast.yaml"), "workers: 3\n").unwrap();
    assert_eq!(workers(None, &[]), (Some(0), line(3, "sharecast.yaml:1"), "configuration: sharecast.yaml\n".to_owned()));
    fs::write(folder.path().join("b.yaml"), "\nworkers: 4\n").unwrap();
    assert_eq!(workers(Some("b.yaml"), &[]), (Some(0), line(4, "b.yaml:2"), "configuration: b.yaml\n".to_owned()));
    assert_eq!(workers(Some("b.yaml"), &["-c", "sharecast.yaml"]), (Some(0), line(3, "sharecast.yaml:1"), String::new()));
    let (code, _, stderr) = workers(Some("nowhere.yaml"), &[]);
    assert!(code == Some(78) && stderr.contains("nowhere.yaml: the configuration cannot be read"), "{stderr}");
}

#[test]
fn the_version_says_what_it_is_made_of() {
    let folder = tempfile::tempdir().unwrap();
    let text = String::from_utf8(run(folder.path(), &["--version"]).stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.starts_with(&format!("sharecast {version} (")) && text.contains("librdkafka "), "{text}");
}
