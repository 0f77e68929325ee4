//! Commands that look: what they are asked wrongly, where their output goes, and what they say of time.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sharecast::share::status::StatusTopic;

use super::broker::shared;
use super::fixture::World;
use super::instance::{BINARY, command, file, printed};
use super::status::folded;

fn output(config: &Path, line: &str) -> Output {
    command(config, &line.split(' ').collect::<Vec<_>>())
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// No cluster is asked: what is wrong with the command line is said at once.
#[test]
fn what_cannot_be_an_id_is_a_wrong_command_line_with_the_rule() {
    let dir = tempfile::tempdir().unwrap();
    let nobody = file(dir.path(), "c.yaml", "kafka: { bootstrap: \"127.0.0.1:1\" }\n");
    for (line, rule) in [
        ("share list --owner a,b", "not a valid tenant id: 1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or digit; "),
        ("share list --target *", "not a valid tenant id"),
        ("share stats --share s/1", "not a valid share id"),
        ("share watch --stream Telemetry", "not a valid stream name"),
        ("share invitations --profile a/b", "not a valid profile name"),
        ("share list --asset a\u{1}", "not a valid asset id"),
        ("share list --invitee ann", "it has no @; to look for a part"),
        ("share list --as ann,bob", "not a valid tenant id"),
        ("share show s1,s2", "not a valid share id"),
        ("profile show a,b", "not a valid profile name"),
        ("profile show p --version 0", "the first publication is version 1"),
        ("partnership show a a", "a is named twice"),
        ("partnership show a --as a", "a is the one of --as"),
        ("partnership list --tenant ａ", "not a valid tenant id"),
        ("share list --timeout 2", "write a whole number and ms, s, m, h or d"),
        ("share offer --preview --as o --to t --asset a --streams telemetry --profile a/b", "not a valid profile name"),
        ("share offer --preview --as o --to t --asset a --streams telemetry --profile all --record details=x", "details is not offered"),
        ("share offer --preview --as o --to t --asset a --streams telemetry --profile all --record x --record y", "has a record already"),
    ] {
        let output = output(&nobody, line);
        assert_eq!(output.status.code(), Some(64), "{line}: {output:?}");
        assert!(told(&output).contains(rule), "{line}: {}", told(&output));
    }
}

#[test]
fn a_watch_from_the_start_shows_when_each_share_changed() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    world.partners("o", "t");
    let first = world.share("o", "a", "t");
    let changed = folded(&world).into_iter().rfind(|document| document.topic == StatusTopic::Shares && document.key == first).unwrap();
    // A tick of another millisecond.
    while folded(&world).last().is_none_or(|newest| newest.timestamp == changed.timestamp) {
        world.event("/operator", "control.tick", "{}");
        world.share("o", "later", "t");
    }
    let mut child = Command::new(BINARY)
        .args(["share", "watch", "--from-start", "--share", &first, "-c"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(line.starts_with(&format!("{}  {first}  ACTIVE", changed.timestamp)), "{line}");
}

/// Whoever reads no further ends a command quietly; a disk that is full is said, and is no success.
#[test]
fn a_closed_pipe_is_no_failure_and_a_full_disk_is_one() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    world.partners("o", "t");
    let share = world.share("o", "a", "t");
    let run = |line: &str, out: Stdio| {
        let mut child = Command::new(BINARY)
            .args(line.split(' '))
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        child.wait_with_output().unwrap()
    };
    let snapshot = config.with_file_name("out.snapshot");
    let commands = [
        "share list".to_owned(),
        "share list -o ndjson".to_owned(),
        "share stats".to_owned(),
        format!("share show {share}"),
        "tenant list -o json".to_owned(),
        "control dump".to_owned(),
        "provision --print-acls".to_owned(),
        "provision --print-acls --tenant t".to_owned(),
        format!("snapshot --out {}", snapshot.display()),
        "check".to_owned(),
    ];
    for line in &commands {
        let closed = run(line, Stdio::piped());
        assert_eq!((closed.status.code(), told(&closed).as_str()), (Some(0), ""), "{line}: {closed:?}");
        let full = run(line, OpenOptions::new().write(true).open("/dev/full").unwrap().into());
        assert_eq!(full.status.code(), Some(1), "{line}: {full:?}");
        assert!(told(&full).starts_with("stdout: No space left on device"), "{line}: {full:?}");
    }
    assert!(snapshot.exists());
}

#[test]
fn a_snapshot_is_a_file_that_was_written_or_nothing() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    world.partners("o", "t");
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (place, said) in [
        (folder.clone(), "it is a directory"),
        (fifo.clone(), "it is no file, but a device, pipe or socket"),
        (dir.path().join("none/x"), "No such file or directory"),
        (Path::new("/dev/null/x").to_owned(), "Not a directory"),
    ] {
        let output = output(&config, &format!("snapshot --out {}", place.display()));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(told(&output).contains(&format!("{}: ", place.display())) && told(&output).contains(said), "{output:?}");
        assert_eq!(printed(&output), "");
    }
    assert!(folder.is_dir() && !std::fs::metadata(&fifo).unwrap().is_file());
    let written = dir.path().join("written");
    let done = output(&config, &format!("snapshot --out {}", written.display()));
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "nothing else is left: {names:?}");
}
