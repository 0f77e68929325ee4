//! Worlds: a folder is one run of `replay`, of `backfill`, or of each, with its options, its files and what must come out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
#[cfg(feature = "io")]
use sharecast::cli::backfill;
use sharecast::cli::exit::Exit;
use sharecast::cli::{Cli, Command, replay};

/// Topic to lines.
type Topics = BTreeMap<String, Vec<Vec<u8>>>;

#[test]
fn own_worlds() {
    let failures = run_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/worlds"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The shared worlds are not part of this repository; without them there is nothing to hold.
#[test]
fn shared_worlds() {
    for name in ["worlds", "sample", "backfill"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/conformance").join(name);
        if folder.is_dir() {
            let failures = run_all(&folder);
            assert!(failures.is_empty(), "{}", failures.join("\n"));
        }
    }
}

fn run_all(folder: &Path) -> Vec<String> {
    let mut worlds: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    worlds.sort();
    assert!(!worlds.is_empty());
    worlds.iter().filter_map(|world| differences(world).map(|text| format!("-- {}\n{text}", world.display()))).collect()
}

/// A command that a world has options for: the file of them, what comes out, and the option that says where to.
struct Run {
    command: &'static str,
    args: &'static str,
    expected: &'static str,
    out: &'static str,
    before_path: &'static str,
}

const RUNS: &[Run] = &[
    Run { command: "replay", args: "args.txt", expected: "expected", out: "--out", before_path: "" },
    #[cfg(feature = "io")]
    Run { command: "backfill", args: "args-backfill.txt", expected: "expected-backfill", out: "--output", before_path: "dir:" },
];

/// What is wrong with one world, by each command that it has options for, if anything is.
fn differences(world: &Path) -> Option<String> {
    let runs: Vec<&Run> = RUNS.iter().filter(|run| world.join(run.args).is_file()).collect();
    let found = runs.iter().filter_map(|run| difference(world, run).map(|text| format!("{}: {text}", run.command)));
    found.reduce(|all, text| all + &text)
}

fn difference(world: &Path, how: &Run) -> Option<String> {
    let out = tempfile::tempdir().unwrap();
    let exit = run(world, how, out.path());
    let wanted = fs::read_to_string(world.join("exit.txt")).map_or(0, |code| code.trim().parse().unwrap());
    let found = read(out.path());
    if exit as u8 != wanted {
        return Some(format!("exit {exit:?}, expected {wanted}"));
    }
    if wanted != 0 {
        return (!found.is_empty()).then(|| "output in spite of the exit code".to_owned());
    }
    compare(&read(&world.join(how.expected)), &found)
}

fn run(world: &Path, how: &Run, out: &Path) -> Exit {
    let args = fs::read_to_string(world.join(how.args)).unwrap();
    let to = format!("{}{}", how.before_path, out.display());
    let mut words = vec!["sharecast".to_owned(), how.command.to_owned(), how.out.to_owned(), to];
    let mut before = String::new();
    for word in args.split_whitespace() {
        words.push(match before.as_str() {
            "-c" | "--control" => world.join(word).display().to_string(),
            "--input" => {
                let (stream, file) = word.split_once('=').unwrap();
                format!("{stream}={}", world.join(file).display())
            }
            _ => word.to_owned(),
        });
        before = word.to_owned();
    }
    let Ok(Cli { config, command }) = Cli::read(words.into_iter().map(Into::into)) else { return Exit::Usage };
    let done = match command {
        Command::Replay(args) => replay::run(&config, &args),
        #[cfg(feature = "io")]
        Command::Backfill(args) => backfill::run(&config, &args),
        _ => panic!("{} has options of another command", how.args),
    };
    done.unwrap_or_else(|failure| failure.exit)
}

fn read(folder: &Path) -> Topics {
    let mut topics = Topics::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let text = fs::read(&path).unwrap();
        let text = text.strip_suffix(b"\n").unwrap_or_else(|| panic!("{} has no line end", path.display()));
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        topics.insert(name, text.split(|&b| b == b'\n').map(<[u8]>::to_vec).collect());
    }
    topics
}

/// Tenant topics are compared byte for byte; status and dead letters as JSON. A world without `sharecast.shares` holds no
/// status.
fn compare(expected: &Topics, found: &Topics) -> Option<String> {
    let has_status = expected.contains_key("sharecast.shares");
    let mut text = String::new();
    for topic in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        if is_status(topic) && !has_status {
            continue;
        }
        let none = Vec::new();
        let (wanted, got) = (expected.get(topic).unwrap_or(&none), found.get(topic).unwrap_or(&none));
        for line in 0..wanted.len().max(got.len()) {
            let (wanted, got) = (wanted.get(line), got.get(line));
            if !wanted.zip(got).is_some_and(|(wanted, got)| is_equal(topic, wanted, got)) {
                let show = |line: Option<&Vec<u8>>| line.map_or("(no line)".into(), |line| String::from_utf8_lossy(line).into_owned());
                text += &format!("{topic} line {}\n  - {}\n  + {}\n", line + 1, show(wanted), show(got));
                break;
            }
        }
    }
    (!text.is_empty()).then_some(text)
}

fn is_status(topic: &str) -> bool {
    topic == "sharecast.shares" || topic.starts_with("share.") && topic.ends_with(".shares")
}

fn is_equal(topic: &str, wanted: &[u8], got: &[u8]) -> bool {
    if is_status(topic) || topic == "sharecast.dead-letters" { canonical(wanted) == canonical(got) } else { wanted == got }
}

/// A line without what the texts leave free: the message of a dead letter, and the order of `streams`.
fn canonical(line: &[u8]) -> Value {
    let mut line: Value = serde_json::from_slice(line).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(line)));
    if let Some(message) = line.pointer_mut("/headers/__sharecast.errors.message") {
        assert!(message.is_string());
        *message = Value::Null;
    }
    if let Some(streams) = line.pointer_mut("/value/streams").and_then(Value::as_array_mut) {
        streams.sort_by_key(ToString::to_string);
    }
    line
}
