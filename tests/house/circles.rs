//! No circles: of two modules in one folder, at most one imports from the other, however long the way round.

use std::collections::{BTreeMap, BTreeSet};

use super::assert_only_known;
use super::sources::{Source, Strings, code_of, read};

/// Modules that import from one another today, by a shorter or longer way. Each circle is to be opened.
const CIRCLES: &[&str] = &[];

type Module = Vec<String>;

/// The module that a file below `src` is.
fn module_of(path: &str) -> Module {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

/// The code of a file without its inline test module, and the test modules that it declares as files.
fn without_tests(code: &str) -> (String, Vec<String>) {
    let (mut kept, mut declared, mut rest) = (String::new(), Vec::new(), code);
    while let Some(at) = rest.find("#[cfg(test)]") {
        let (before, after) = rest.split_at(at);
        kept.push_str(before);
        let item = after["#[cfg(test)]".len()..].trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        let Some(named) = item.strip_prefix("mod ") else {
            rest = &after["#[cfg(test)]".len()..];
            continue;
        };
        let name: String = named.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let body = &named[name.len()..];
        rest = body.strip_prefix(';').unwrap_or_else(|| &body[block_length(body)..]);
        declared.push(name);
    }
    kept.push_str(rest);
    (kept, declared)
}

/// The length of a text up to the end of its first block in braces.
fn block_length(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}

/// Every path in the code that begins with `crate`, `self` or `super`, braces resolved.
fn paths_in(code: &str) -> Vec<Vec<String>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for root in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if !before.is_some_and(|c| is_name(c) || c == ':') {
                read_tree(&code[at..], &[], &mut found);
            }
        }
    }
    found
}

/// Reads one use tree and returns its length.
fn read_tree(text: &str, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut at = 0;
    loop {
        at += text[at..].len() - text[at..].trim_start().len();
        let name: String = text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        at += name.len();
        if text[at..].starts_with('{') {
            at += 1;
            while at < text.len() && !text[at..].starts_with('}') {
                at += read_tree(&text[at..], &path, found);
                // What is between an entry's end and the next one: `as name`, white space, the comma.
                at += text[at..].find([',', '}']).unwrap_or(text.len() - at);
                at += usize::from(text[at..].starts_with(','));
                at += text[at..].len() - text[at..].trim_start().len();
            }
            return (at + 1).min(text.len());
        }
        if !name.is_empty() {
            path.push(name);
        }
        if !text[at..].starts_with("::") || text[at..].starts_with("::<") {
            found.push(path);
            return at;
        }
        at += 2;
    }
}

/// The module that a path of another one leads to.
fn resolved(from: &Module, path: &[String], modules: &BTreeSet<Module>) -> Module {
    let mut at = from.clone();
    let mut names = path.iter().peekable();
    while let Some(name) = names.next_if(|name| ["crate", "self", "super"].contains(&name.as_str())) {
        match name.as_str() {
            "crate" => at.clear(),
            "super" => drop(at.pop()),
            _ => {}
        }
    }
    for name in names {
        at.push(name.clone());
        if !modules.contains(&at) {
            at.pop();
            break;
        }
    }
    at
}

/// For each folder the arrows between what lies in it.
fn arrows(sources: &[Source]) -> BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> {
    let read: Vec<_> = sources
        .iter()
        .filter(|(path, _)| path != "main.rs")
        .map(|(path, text)| (module_of(path), without_tests(&code_of(text, Strings::Removed))))
        .collect();
    let tests: BTreeSet<Module> = read
        .iter()
        .flat_map(|(module, (_, declared))| declared.iter().map(move |name| [module.as_slice(), std::slice::from_ref(name)].concat()))
        .collect();
    let is_test = |module: &Module| (0..=module.len()).any(|length| tests.contains(&module[..length]));
    let modules: BTreeSet<Module> = read.iter().map(|(module, _)| module.clone()).collect();
    let mut arrows = BTreeMap::<Module, BTreeMap<String, BTreeSet<String>>>::new();
    for (module, (code, _)) in read.iter().filter(|(module, _)| !is_test(module)) {
        for path in paths_in(code) {
            let target = resolved(module, &path, &modules);
            let common = module.iter().zip(&target).take_while(|(own, other)| own == other).count();
            if let (Some(own), Some(other)) = (module.get(common), target.get(common)) {
                arrows.entry(module[..common].to_vec()).or_default().entry(own.clone()).or_default().insert(other.clone());
            }
        }
    }
    arrows
}

/// The modules that a neighbour in their folder reaches and that reach it, as `folder/module`.
fn circles(sources: &[Source]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (folder, arrows) in arrows(sources) {
        let batch_limit = |from: &String| {
            let (mut reached, mut open) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(name) = open.pop() {
                open.extend(arrows.get(&name).into_iter().flatten().filter(|next| reached.insert((*next).clone())).cloned());
            }
            reached
        };
        let in_circles = arrows.keys().filter(|name| batch_limit(name).contains(*name));
        found.extend(in_circles.map(|name| folder.iter().chain([name]).cloned().collect::<Vec<_>>().join("/")));
    }
    found
}

#[test]
fn modules_do_not_import_in_circles() {
    let once = |circles: BTreeSet<String>| circles.into_iter().map(|circle| (circle, 1)).collect::<BTreeMap<_, _>>();
    let known = CIRCLES.iter().map(|circle| (*circle).to_owned()).collect();
    assert_only_known("modules that import from one another", &once(circles(&read("src", ".rs"))), &once(known));
}

#[test]
fn circles_are_found() {
    let crate_of =
        |files: &[(&str, &str)]| files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect::<Vec<Source>>();
    let none = crate_of(&[
        ("lib.rs", "pub mod a;\npub mod b;"),
        ("a/mod.rs", "mod x;\nmod y;\n#[cfg(test)]\nmod tests;\npub struct A;"),
        ("a/x.rs", "use super::A;\nuse super::y::{Y, deep::Z as W};\n#[cfg(test)]\nmod tests { use super::super::z::Q; }"),
        ("a/y.rs", "// use super::x::X;\npub struct Y;"),
        ("a/tests.rs", "use super::x::X; use crate::b::B;"),
        ("b.rs", "use crate::a::{A, x};"),
    ]);
    assert_eq!(circles(&none), BTreeSet::new());
    for (path, line, circle) in [
        ("a/y.rs", "use super::x::X;", ["a/x", "a/y"]),
        ("a/y.rs", "fn f() { crate::a::x::f() }", ["a/x", "a/y"]),
        ("a/y.rs", "use crate::{b::B, a::{A, x::{X, Y}}};", ["a/x", "a/y"]),
        ("a/x.rs", "use crate::b::B;", ["a", "b"]),
        ("a/mod.rs", "pub use self::x::X;\nuse super::b::B;", ["a", "b"]),
    ] {
        let mut planted = none.clone();
        planted.iter_mut().filter(|(known, _)| known == path).for_each(|(_, text)| *text = format!("{text}\n{line}"));
        let found = circles(&planted);
        assert!(circle.iter().all(|module| found.contains(*module)), "{path}: {line}: {found:?}");
    }
}
