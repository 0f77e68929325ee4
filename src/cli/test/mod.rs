//! `sharecast test`: what leaves, held against what is expected, without Kafka (docs/testing-profiles.md).

mod glob;
mod junit;

use self::junit::{Case, CaseResult};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::cli::check::load_profile;
use crate::cli::config::{load, load_with, name_of};
use crate::cli::exit::{Exit, Failure, shown, tell};
use crate::config::diagnostic::{Diagnostic, Secrets};
use crate::config::{OwnStreams, read_document};
use crate::document::{DocumentKind, Node, TextPosition};
use crate::replay::Settings;
use crate::scenario::compare::Mismatch;
use crate::scenario::{Scenario, ScenarioError, example};
use crate::schema::Described;

/// Which tests.
#[derive(Debug, clap::Args)]
pub struct TestArgs {
    /// Test files; patterns with *, ? and ** are expanded here, so quote them
    #[arg(value_name = "GLOB", required_unless_present = "init")]
    files: Vec<String>,
    /// Also write the results as JUnit XML, for a CI server
    #[arg(long, value_name = "FILE", conflicts_with = "init")]
    junit: Option<PathBuf>,
    /// Write an example that passes into this directory, and run nothing
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    init: Option<PathBuf>,
}

/// Runs the tests: exit 0 if all pass, 1 if one fails, 65 if a file is no test.
pub fn run(files: &[PathBuf], args: &TestArgs) -> Result<Exit, Failure> {
    if let Some(folder) = &args.init {
        return init(folder);
    }
    // What is wrong with the configuration is no fault of the tests.
    load(files)?;
    let tests = tests_of(&args.files)?;
    let mut cases = Vec::new();
    for test in tests {
        let result = test.result(files);
        let line = match &result {
            CaseResult::Passed => format!("ok    {}", test.name),
            CaseResult::Failed(what) => format!("FAIL  {}\n{what}", test.name),
            CaseResult::Wrong(what) => format!("WRONG {}\n{what}", test.name),
        };
        print(&line)?;
        cases.push(Case { name: test.name, result });
    }
    let failed = cases.iter().filter(|case| matches!(case.result, CaseResult::Failed(_))).count();
    let wrong = cases.iter().filter(|case| matches!(case.result, CaseResult::Wrong(_))).count();
    let and_wrong = if wrong > 0 { format!(", {wrong} wrong") } else { String::new() };
    print(&format!("{} passed, {failed} failed{and_wrong}", cases.len() - failed - wrong))?;
    if let Some(file) = &args.junit {
        fs::write(file, junit::write(&cases)).map_err(|error| Failure::new(Exit::Usage, format!("--junit {}: {error}", file.display())))?;
    }
    Ok(match (failed, wrong) {
        (0, 0) => Exit::Ok,
        (_, 0) => Exit::Failed,
        (_, _) => Exit::BadData,
    })
}

fn print(text: &str) -> Result<(), Failure> {
    let text: Vec<String> = text.lines().map(shown).collect();
    match writeln!(io::stdout().lock(), "{}", text.join("\n")) {
        // Nobody reads on, and the exit still says what was found.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| Failure::new(Exit::Failed, format!("stdout: {error}"))),
    }
}

/// A test file as it was found.
struct TestFile {
    name: String,
    path: PathBuf,
    /// Its text and document, or what is wrong with them.
    read: Result<(String, Node), String>,
}

/// The files of the patterns, each once. One that a pattern finds and another test names as its profile is no test.
fn tests_of(patterns: &[String]) -> Result<Vec<TestFile>, Failure> {
    let mut found: Vec<(PathBuf, bool)> = Vec::new();
    for pattern in patterns {
        let files = glob::expand(pattern).map_err(|error| Failure::new(Exit::Usage, format!("{pattern}: {error}")))?;
        if files.is_empty() {
            return Err(Failure::new(
                Exit::Usage,
                format!("{pattern}: no file has such a name; `sharecast test --init DIR` writes an example"),
            ));
        }
        for file in files {
            if file.is_dir() {
                let what = format!("{0}: this is a directory: write '{0}/**/*.test.yaml' for the tests in it", file.display());
                return Err(Failure::new(Exit::Usage, what));
            }
            if !file.exists() {
                return Err(Failure::new(Exit::Usage, format!("{}: there is no such file", file.display())));
            }
            if !found.iter().any(|(known, _)| *known == file) {
                found.push((file, glob::is_pattern(pattern)));
            }
        }
    }
    let tests: Vec<(TestFile, bool)> = found.into_iter().map(|(path, by_pattern)| (TestFile::read(path), by_pattern)).collect();
    let profiles: BTreeSet<PathBuf> = tests.iter().flat_map(|(test, _)| test.profiles()).collect();
    let is_test =
        |(test, by_pattern): &(TestFile, bool)| !by_pattern || !fs::canonicalize(&test.path).is_ok_and(|path| profiles.contains(&path));
    Ok(tests.into_iter().filter(is_test).map(|(test, _)| test).collect())
}

impl TestFile {
    fn read(path: PathBuf) -> Self {
        let name = name_of(&path);
        let text = fs::read(&path).map_err(|error| format!("{name}: the test cannot be read: {error}"));
        let text = text.and_then(|bytes| {
            String::from_utf8(bytes)
                .map_err(|error| format!("{name}: the test is not UTF-8, from byte {} on", error.utf8_error().valid_up_to()))
        });
        let read = text.and_then(|text| {
            let node = read_document(&name, &text).map_err(|wrong| wrong.to_string())?;
            Ok((text, node))
        });
        Self { name, path, read }
    }

    /// The files of the profiles that it names.
    fn profiles(&self) -> Vec<PathBuf> {
        let Ok((_, node)) = &self.read else { return Vec::new() };
        let profiles = node.get("world").and_then(|world| world.get("profiles")).map(Node::members).unwrap_or_default();
        let files = profiles.iter().filter_map(|profile| profile.value.get("file")?.as_str());
        files.filter_map(|file| fs::canonicalize(self.beside(file)).ok()).collect()
    }

    /// A path in the test file is seen from where it lies.
    fn beside(&self, file: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(file)
    }

    fn result(&self, files: &[PathBuf]) -> CaseResult {
        let (text, node) = match &self.read {
            Ok(read) => read,
            Err(what) => return CaseResult::Wrong(what.clone()),
        };
        match self.run(files, text, node) {
            Ok(mismatches) if mismatches.is_empty() => CaseResult::Passed,
            Ok(mismatches) => CaseResult::Failed(mismatches.iter().map(|mismatch| self.told(mismatch)).collect::<Vec<_>>().join("\n")),
            Err(what) => CaseResult::Wrong(what),
        }
    }

    fn run(&self, files: &[PathBuf], text: &str, node: &Node) -> Result<Vec<Mismatch>, String> {
        let wrong = |error: ScenarioError| self.diagnostic(text, error.place, error.what);
        if !matches!(node.kind, DocumentKind::Map(_)) {
            let what = format!("a test must be a map of world, records and expect, not {}", node.kind_name());
            return Err(self.diagnostic(text, node.place, what));
        }
        let read_profile = |file: &str| {
            let written = load_profile(&self.beside(file), None)?;
            Ok((written.text, written.node, written.spec))
        };
        let scenario = Scenario::read(node, &read_profile).map_err(wrong)?;
        let streams = scenario.streams.as_ref().map(|streams| OwnStreams { file: &self.name, text, streams });
        let config = load_with(files, streams).map_err(|failure| failure.message)?;
        scenario.run(&Settings::from(&config)).map_err(wrong)
    }

    fn diagnostic(&self, text: &str, place: TextPosition, what: String) -> String {
        Diagnostic::in_text(&self.name, text, place, &Secrets::default(), what, String::new()).to_string()
    }

    fn told(&self, mismatch: &Mismatch) -> String {
        let Mismatch { place, what, diff, why } = mismatch;
        let mut lines = vec![format!("  {}:{}:{}: {what}", self.name, place.line, place.column)];
        lines.extend(diff.iter().flat_map(|line| line.lines()).map(|line| format!("    {line}")));
        lines.extend(why.iter().map(|line| format!("    ({line})")));
        lines.join("\n")
    }
}

/// Writes the example. Nothing that is there is written over.
fn init(folder: &Path) -> Result<Exit, Failure> {
    let wrong = |path: &Path, what: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("{}: {what}", path.display()));
    let schemas = [Described::Test, Described::Profile].map(|schema| (folder.join("schemas").join(schema.file()), schema.text()));
    let files: Vec<(PathBuf, String)> =
        example::FILES.iter().map(|(name, text)| (folder.join(name), (*text).to_owned())).chain(schemas).collect();
    if let Some((path, _)) = files.iter().find(|(path, _)| path.exists()) {
        return Err(wrong(path, &"it is there already, and is not written over; name another directory"));
    }
    for (path, text) in &files {
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(|error| wrong(parent, &error))?;
        fs::write(path, text).map_err(|error| wrong(path, &error))?;
        tell!("wrote {}", path.display());
    }
    print(&format!("run it: sharecast test '{}/**/*.test.yaml'", folder.display()))?;
    Ok(Exit::Ok)
}
