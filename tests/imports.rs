//! The import rules (ARCHITECTURE.md#code-map-in-reading-order), held by reading the sources: imports go down only, the pure modules name
//! no I/O, and what is dangerous or foreign stays in its one place.

mod sources;

use sources::{Source, Strings, code_of, names, read};

/// What no pure module may name. An address is a value; a socket is none.
const IMPURE: &[&str] = &[
    "rdkafka",
    "rdkafka_sys",
    "tokio",
    "axum",
    "std::fs",
    "std::env",
    "std::thread",
    "TcpListener",
    "TcpStream",
    "UdpSocket",
    "ToSocketAddrs",
    "std::process",
    "Instant",
    "SystemTime",
];
/// A word, and the beginnings of the paths that may name it.
const CONFINED: &[(&str, &[&str])] = &[
    ("rdkafka", &["kafka/"]),
    ("rdkafka_sys", &["kafka/"]),
    ("unsafe", &["kafka/", "simd.rs"]),
    ("anyhow", &["main.rs", "cli/"]),
    ("axum", &["listener", "engine/server/http.rs", "serve/", "console/"]),
    ("Instant", &["clock.rs", "kafka/"]),
    ("SystemTime", &["clock.rs"]),
];

#[test]
fn imports_go_down_and_the_pure_part_is_pure() {
    let sources = read("src", ".rs");
    assert!(sources.len() > 50, "the sources are read");
    let found = violations(&sources);
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

/// The modules in the order of `lib.rs`, each with whether it is pure: not behind the feature `io`, and above the first that is.
fn layers(lib: &str) -> Vec<(String, bool)> {
    let (mut layers, mut is_behind_io, mut is_pure) = (Vec::new(), false, true);
    for line in code_of(lib, Strings::Kept).lines().map(str::trim) {
        if line == r#"#[cfg(feature = "io")]"# {
            is_behind_io = true;
        } else if let Some(name) = line.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';')) {
            is_pure &= !is_behind_io;
            is_behind_io = false;
            layers.push((name.to_owned(), is_pure));
        }
    }
    layers
}

/// Everything that breaks a rule, as `path:line: what`.
fn violations(sources: &[Source]) -> Vec<String> {
    let lib = &sources.iter().find(|(path, _)| path == "lib.rs").expect("lib.rs").1;
    let layers = layers(lib);
    let place_of = |module: &str| layers.iter().position(|(name, _)| name == module);
    let mut found = Vec::new();
    for (path, text) in sources {
        let module = path.split('/').next().unwrap().trim_end_matches(".rs");
        let own = place_of(module);
        if own.is_none() && !["lib", "main"].contains(&module) {
            found.push(format!("{path}:1: no module of lib.rs"));
        }
        for (at, line) in code_of(text, Strings::Removed).lines().enumerate() {
            let mut tell = |what: String| found.push(format!("{path}:{}: {what}", at + 1));
            for named in modules_named(line) {
                if own.zip(place_of(&named)).is_some_and(|(own, named)| named > own) {
                    tell(format!("`{module}` imports `{named}`, which stands below it in lib.rs"));
                }
            }
            if own.is_some_and(|own| layers[own].1) {
                IMPURE.iter().filter(|word| names(line, word)).for_each(|word| tell(format!("`{module}` is pure and names `{word}`")));
            }
            for (word, places) in CONFINED.iter().filter(|(word, _)| names(line, word)) {
                if !places.iter().any(|place| path.starts_with(place)) {
                    tell(format!("`{word}` is named outside {places:?}"));
                }
            }
        }
    }
    found
}

/// The modules that a line reaches by `crate::`, with one brace or none.
fn modules_named(line: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut named = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            // Top-level entries alone: what stands in an inner brace is no module.
            let mut depth = 0;
            let mut entry = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => named.push(std::mem::take(&mut entry)),
                    c if depth == 0 => entry.push(c),
                    _ => {}
                }
            }
            named.push(entry);
        } else {
            named.push(rest.to_owned());
        }
    }
    named.into_iter().map(|path| path.trim_start().chars().take_while(|c| is_name(*c)).collect()).collect()
}

/// The checker on a small crate: `lower`, `pure` and `shell` behind `io`, with one more line in one file.
fn planted(path: &str, line: &str) -> Vec<String> {
    let lib =
        "pub mod lower;\npub mod pure;\n#[cfg(feature = \"io\")]\npub mod clock;\n#[cfg(feature = \"io\")]\npub mod kafka;\npub mod cli;\n";
    let paths = ["lower.rs", "pure/mod.rs", "clock.rs", "kafka/mod.rs", "cli/mod.rs", "main.rs"];
    let mut sources: Vec<Source> = vec![("lib.rs".into(), lib.into())];
    sources.extend(paths.map(|known| (known.to_owned(), if known == path { format!("//! Words.\n{line}\n") } else { String::new() })));
    violations(&sources)
}

#[test]
fn what_is_allowed_is_left_alone() {
    for (path, line) in [
        ("pure/mod.rs", "use crate::lower::Thing; // and not crate::kafka, nor std::fs"),
        (
            "pure/mod.rs",
            "let text = \"unsafe std::fs\"; let raw = r#\"crate::cli\"#; let quote = '\"'; let tick: &'static str = \"rdkafka\";",
        ),
        ("pure/mod.rs", "use crate::pure::own; fn unsafely(instant: Moment) {}"),
        ("kafka/mod.rs", "use rdkafka::Message; unsafe { call() }"),
        ("cli/mod.rs", "use crate::{lower::{kafka, Thing}, clock}; use anyhow::Result; use std::fs;"),
        ("main.rs", "use anyhow::Result;"),
    ] {
        assert_eq!(planted(path, line), [""; 0], "{path}: {line}");
    }
}

#[test]
fn what_breaks_a_rule_is_found() {
    for (path, line, what) in [
        ("lower.rs", "use crate::pure::Thing;", "`lower` imports `pure`"),
        ("lower.rs", "fn f() { crate::cli::g() }", "`lower` imports `cli`"),
        ("kafka/mod.rs", "use crate::{lower::Thing, cli};", "`kafka` imports `cli`"),
        ("pure/mod.rs", "use std::fs::File;", "`pure` is pure and names `std::fs`"),
        ("pure/mod.rs", "let now = std::time::Instant::now();", "`pure` is pure and names `Instant`"),
        ("clock.rs", "use rdkafka::Message;", "`rdkafka` is named outside"),
        ("cli/mod.rs", "let p = '\\''; unsafe { call() }", "`unsafe` is named outside"),
        ("kafka/mod.rs", "use anyhow::Result;", "`anyhow` is named outside"),
        ("orphan.rs", "", ""),
    ] {
        if path == "orphan.rs" {
            let sources = vec![("lib.rs".to_owned(), String::new()), ("orphan.rs".to_owned(), String::new())];
            assert_eq!(violations(&sources), ["orphan.rs:1: no module of lib.rs"]);
            continue;
        }
        let found = planted(path, line);
        assert!(found.iter().any(|found| found.starts_with(&format!("{path}:2: {what}"))), "{path}: {line}: {found:?}");
    }
}
