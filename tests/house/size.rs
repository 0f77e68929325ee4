//! One meaning a name, rooms that one can overlook, and no dependency that nothing uses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::assert_only_known;
use super::sources::{Strings, code_of, names, read};

const FILES_IN_A_FOLDER: usize = 20;
const LINES_IN_A_FILE: usize = 500;

/// Type names with more than one meaning. `Args` is clap's word for what one command takes, and is read with the command before it.
const AMBIGUOUS: &[(&str, usize)] = &[("Args", 5)];

/// Folders below `src` with more files than one can overlook. Each is to be parted by its concepts.
const CROWDED: &[(&str, usize)] = &[];

/// Files of more lines than a person reads at once, with how many hundreds they may have. Tables and lists of examples may stay.
const LONG: &[(&str, usize)] = &[];

/// Dependencies that were chosen for what comes next, and that nothing uses yet.
const FOR_WHAT_COMES_NEXT: &[&str] = &["dashmap"];

fn known(list: &[(&str, usize)]) -> BTreeMap<String, usize> {
    list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

/// The type that a line at the top level of a file defines.
fn type_defined(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || *word == "unsafe");
    let is_visible = !line.starts_with(char::is_whitespace);
    if !is_visible || !matches!(words.next()?, "struct" | "enum" | "trait" | "type" | "union") {
        return None;
    }
    let rest = words.next()?;
    Some(&rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())])
}

#[test]
fn a_type_name_has_one_meaning() {
    let mut counts = BTreeMap::<String, usize>::new();
    for (_, text) in read("src", ".rs") {
        for name in code_of(&text, Strings::Removed).lines().filter_map(type_defined) {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts.retain(|_, count| *count > 1);
    assert_only_known("type names that are defined more than once", &counts, &known(AMBIGUOUS));
}

#[test]
fn a_folder_can_be_overlooked() {
    let mut counts = BTreeMap::<String, usize>::new();
    for (path, _) in read("src", ".rs") {
        *counts.entry(path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()).or_default() += 1;
    }
    counts.retain(|_, count| *count > FILES_IN_A_FOLDER);
    assert_only_known("folders of more than 20 files", &counts, &known(CROWDED));
}

#[test]
fn a_file_can_be_read_at_once() {
    let mut counts = BTreeMap::<String, usize>::new();
    for folder in ["src", "tests", "benches"] {
        for (path, text) in read(folder, ".rs") {
            counts.insert(format!("{folder}/{path}"), text.lines().count());
        }
    }
    counts.retain(|_, lines| *lines > LINES_IN_A_FILE);
    counts.values_mut().for_each(|lines| *lines = lines.div_ceil(100));
    assert_only_known("files of more than 500 lines, in hundreds", &counts, &known(LONG));
}

#[test]
fn every_dependency_is_used() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let mut is_dependency = false;
    let mut declared = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_dependency = line.ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| is_dependency) {
            declared.insert(name.to_owned());
        }
    }
    assert!(declared.len() > 10, "the manifest is read");
    let code: Vec<String> = ["src", "tests", "benches"]
        .into_iter()
        .flat_map(|folder| read(folder, ".rs"))
        .map(|(_, text)| code_of(&text, Strings::Removed))
        .collect();
    let is_used = |name: &str| code.iter().any(|code| names(code, &name.replace('-', "_")));
    let unused: Vec<_> = declared.iter().filter(|name| !is_used(name) && !FOR_WHAT_COMES_NEXT.contains(&name.as_str())).collect();
    assert!(unused.is_empty(), "declared, and nothing uses them: {unused:?}");
    let come: Vec<_> = FOR_WHAT_COMES_NEXT.iter().filter(|name| is_used(name) || !declared.contains(**name)).collect();
    assert!(come.is_empty(), "in use by now, or gone; take them off the list: {come:?}");
}

#[test]
fn definitions_are_told_from_other_lines() {
    for (line, name) in [
        ("pub struct Place {", Some("Place")),
        ("pub(crate) enum Change<'a> {", Some("Change")),
        ("type Source = (String, String);", Some("Source")),
        ("pub trait Desk: Send {", Some("Desk")),
        ("    type Item = u8;", None),
        ("fn structure() {}", None),
        ("impl Place {", None),
    ] {
        assert_eq!(type_defined(line), name, "{line}");
    }
}
