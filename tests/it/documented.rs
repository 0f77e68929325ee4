//! Every command in the README and in `docs/` is run, page by page, each on a cluster of its own.
//!
//! A fenced block `sh` is a script; of a block `console` the lines after `$ ` are, and the others are what comes out. An HTML comment
//! before a block says what a reader need not see: `<!-- run: … -->` is a script of its own, `<!-- runs on -->` starts an engine that
//! goes on, `<!-- fails -->` is of commands that are refused, and `<!-- not run: why -->` is an example.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use super::broker::{Cluster, free_ports};
use super::instance::BINARY;

/// The pages with commands, but for the rules, which have none.
const PAGES: &[&str] = &[
    "README.md",
    "docs/api.md",
    "docs/backfill.md",
    "docs/commands.md",
    "docs/data-platforms.md",
    "docs/invitations.md",
    "docs/mask-secret.md",
    "docs/operators.md",
    "docs/owners.md",
    "docs/receivers.md",
    "docs/testing-profiles.md",
];
/// How a block is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// Each command succeeds.
    Runs,
    /// Each command is refused.
    Fails,
    /// It is an engine, which goes on when it is ready.
    RunsOn,
}

/// A script of a page, with the line that it begins at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Block {
    line: usize,
    how: How,
    commands: Vec<String>,
}

/// The blocks of a page that are run, in their order; or what is wrong with the page.
fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let (mut blocks, mut how, mut is_run) = (Vec::new(), How::Runs, true);
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let line_number = at + 1;
        match line.trim() {
            "<!-- run:" => {
                let script: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "-->").collect();
                blocks.push(Block { line: line_number, how: How::Runs, commands: vec![script.join("\n")] });
            }
            "<!-- runs on -->" => how = How::RunsOn,
            "<!-- fails -->" => how = How::Fails,
            comment if comment.starts_with("<!-- not run: ") => is_run = false,
            "```" => return Err(format!("line {line_number}: a block without a language: sh, console, text, …")),
            fence if fence.starts_with("```") => {
                let body: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```").collect();
                let commands = match fence {
                    "```sh" if how == How::Fails => body.iter().map(|line| (*line).to_owned()).collect(),
                    "```sh" => vec![body.join("\n")],
                    "```console" => commands_of(&body),
                    _ => Vec::new(),
                };
                if is_run && !commands.is_empty() {
                    blocks.push(Block { line: line_number, how, commands });
                }
                (how, is_run) = (How::Runs, true);
            }
            _ => {}
        }
    }
    Ok(blocks)
}

/// What is typed at a terminal: a line after `$ `, and the lines that it goes on in.
fn commands_of(lines: &[&str]) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in lines {
        if let Some(command) = line.strip_prefix("$ ") {
            commands.push(command.to_owned());
        } else if goes_on {
            let command = commands.last_mut().expect("a command went on");
            command.push('\n');
            command.push_str(line);
        } else {
            continue;
        }
        goes_on = line.ends_with('\\') || line.ends_with('|');
    }
    commands
}

/// The page as one script, which names the block that fails.
fn script(page: &str, blocks: &[Block]) -> String {
    let mut script = String::from(PRELUDE);
    for Block { line, how, commands } in blocks {
        writeln!(script, "at={page}:{line}; echo \"== $at\"").unwrap();
        for command in commands {
            match how {
                How::Runs => writeln!(script, "{command}"),
                How::Fails => writeln!(script, "if {{ {command}\n}}; then echo 'this should have been refused'; false; fi"),
                How::RunsOn => writeln!(script, "engine_command() {{ exec {command}\n}}\nrun_on"),
            }
            .unwrap();
        }
    }
    script
}

/// What every page finds: the topics that `config/sharecast.yaml` reads can be made, an engine started and stopped.
const PRELUDE: &str = r#"set -Eeuo pipefail
at=start engine= server=
trap 'echo "FAILED: $at" >&2' ERR
stop_engine() { [ -z "$engine" ] || { kill "$engine" && wait "$engine" || true; engine=; }; }
stop_all() { stop_engine; [ -z "$server" ] || { kill "$server" && wait "$server" || true; }; }
trap stop_all EXIT
make_inputs() {
    kafka-topics.sh --bootstrap-server "$B" --create --topic telemetry.raw --partitions 4
    kafka-topics.sh --bootstrap-server "$B" --create --topic asset.details --partitions 4 --config cleanup.policy=compact
}
run_on() {
    engine_command > engine.log 2>&1 & engine=$!
    curl -sf --retry 180 --retry-delay 1 --retry-all-errors -o /dev/null "http://$SHARECAST__HTTP__LISTEN/readyz" || { cat engine.log >&2; false; }
}
engine_command() { exec sharecast run -c config/sharecast.yaml; }
start_engine() { run_on; }
start_server() {
    sharecast serve -c config/sharecast.yaml > server.log 2>&1 & server=$!
    curl -sf --retry 180 --retry-delay 1 --retry-all-errors -o /dev/null "http://$SHARECAST__API__LISTEN/readyz" || { cat server.log >&2; false; }
}
"#;

/// A folder that looks like the clone, with the binary under test and Kafka's tools; `scripts/kafka` leaves the cluster to the test.
fn workplace(dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["config", "docs"] {
        symlink(root.join(name), dir.join(name)).unwrap();
    }
    for folder in ["bin", "target/release", "scripts"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    symlink(BINARY, dir.join("bin/sharecast")).unwrap();
    symlink(BINARY, dir.join("target/release/sharecast")).unwrap();
    symlink(root.join("scripts/kafka-acls"), dir.join("scripts/kafka-acls")).unwrap();
    let scripts = root.join("scripts/kafka");
    let kafka = scripts.display();
    executable(&dir.join("scripts/kafka"), &format!("case $1 in start|stop|clean) ;; *) exec {kafka} \"$@\" ;; esac"));
    executable(&dir.join("bin/cargo"), "[ \"$1\" = build ]");
    for (name, class) in [
        ("kafka-topics.sh", "org.apache.kafka.tools.TopicCommand"),
        ("kafka-consumer-groups.sh", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ] {
        executable(&dir.join("bin").join(name), &format!("exec java -cp \"$({kafka} fetch)/*\" {class} \"$@\""));
    }
}

fn executable(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn run(page: &str) {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
    let blocks = blocks(&text).unwrap();
    if blocks.is_empty() {
        return;
    }
    let (cluster, dir) = (Cluster::start(1), tempfile::tempdir().unwrap());
    workplace(dir.path());
    // Below the ports that the system gives to clients, one of which would have it by the time that an engine begins.
    let port = free_ports(2);
    let [http, api] = [port, port + 1].map(|port| format!("127.0.0.1:{port}"));
    let script = script(page, &blocks).replace("127.0.0.1:9092", &cluster.bootstrap).replace("127.0.0.1:8080", &api);
    fs::write(dir.path().join("page.sh"), script).unwrap();
    let path = format!("{}:{}", dir.path().join("bin").display(), std::env::var("PATH").unwrap());
    let output = Command::new("timeout")
        .args(["600", "bash", "page.sh"])
        .current_dir(dir.path())
        .env("PATH", path)
        .env("SHARECAST", BINARY)
        .env("B", &cluster.bootstrap)
        .env("SHARECAST__KAFKA__BOOTSTRAP", &cluster.bootstrap)
        .env("SHARECAST__HTTP__LISTEN", http)
        .env("SHARECAST__API__LISTEN", api)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{page}: {}\n{out}\n{err}", output.status);
}

#[test]
fn the_readme_does_what_it_says() {
    run("README.md");
}

#[test]
fn the_commands_do_what_their_page_says() {
    run("docs/commands.md");
}

#[test]
fn owners_can_do_what_their_page_says() {
    run("docs/owners.md");
}

#[test]
fn receivers_can_do_what_their_page_says() {
    run("docs/receivers.md");
    run("docs/data-platforms.md");
}

#[test]
fn profiles_are_tested_as_the_page_says() {
    run("docs/testing-profiles.md");
}

#[test]
fn operators_can_do_what_their_pages_say() {
    run("docs/operators.md");
    run("docs/mask-secret.md");
    run("docs/api.md");
}

#[test]
fn somebody_can_be_invited_as_the_page_says() {
    run("docs/invitations.md");
}

#[test]
fn the_past_is_fetched_from_files_as_the_page_says() {
    run("docs/backfill.md");
}

#[test]
fn every_page_with_commands_is_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec!["README.md".to_owned()];
    for folder in ["docs", "docs/rules"] {
        let files = fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        pages.extend(files.filter(|name| name.ends_with(".md")).map(|name| format!("{folder}/{name}")));
    }
    for page in pages {
        let text = fs::read_to_string(root.join(&page)).unwrap();
        blocks(&text).unwrap_or_else(|e| panic!("{page}: {e}"));
        let has_commands = text.contains("```sh") || text.contains("```console");
        assert_eq!(has_commands, PAGES.contains(&page.as_str()), "{page}: has commands, and is it run?");
    }
}

#[test]
fn blocks_are_read_as_they_are_marked() {
    let page = "<!-- run:\na\nb\n-->\n```console\n$ c \\\n  d\nout\n$ e |\nf\n```\n```text\nno\n```\n<!-- not run: why -->\n```sh\ng\n```\n<!-- fails -->\n```sh\nh\n```\n<!-- runs on -->\n```sh\ni\n```\n";
    let block = |line, how, commands: &[&str]| Block { line, how, commands: commands.iter().map(|c| (*c).to_owned()).collect() };
    assert_eq!(
        blocks(page).unwrap(),
        [
            block(1, How::Runs, &["a\nb"]),
            block(5, How::Runs, &["c \\\n  d", "e |\nf"]),
            block(20, How::Fails, &["h"]),
            block(24, How::RunsOn, &["i"]),
        ]
    );
    assert!(blocks("```\nx\n```").is_err());
}
