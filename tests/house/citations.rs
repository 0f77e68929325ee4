//! No comment cites what a clone does not have, and what it cites is there.

use super::pages;
use super::sources::{Piece, pieces, read};

/// Lines with their numbers: comments of Rust sources, texts of the product, and comments of scripts.
fn comments() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for (path, text) in read(folder, ".rs") {
            let mut line = 1;
            for (piece, part) in pieces(&text) {
                if piece == Piece::Comment || (piece == Piece::Literal && folder == "src") {
                    found.extend(part.lines().enumerate().map(|(at, words)| (format!("{folder}/{path}:{}", line + at), words.to_owned())));
                }
                line += part.matches('\n').count();
            }
        }
    }
    for folder in ["scripts", ".ci", "config", "docker"] {
        for (path, text) in read(folder, "") {
            let is_comment = |words: &&str| words.contains('#') || words.contains("<!--");
            let lines = text.lines().enumerate().filter(|(_, words)| is_comment(words));
            found.extend(lines.map(|(at, words)| (format!("{folder}/{path}:{}", at + 1), words.to_owned())));
        }
    }
    found
}

/// What a line cites that is no part of the project: the word, or nothing.
fn foreign_citation(line: &str) -> Option<String> {
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).peekable();
    let mut before = "";
    while let Some(word) = words.next() {
        let is_number = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
        let is_rule = word.strip_prefix('D').is_some_and(|rest| rest.len() <= 2 && is_number(rest));
        let is_section = matches!(word.to_ascii_lowercase().as_str(), "section" | "sections")
            && words.peek().is_some_and(|next| is_number(next))
            // `RFC 8259 section 6` is somebody's that anybody can read.
            && !(is_number(before) && line.contains("RFC"));
        if word == "SPEC" || is_rule || is_section {
            return Some(word.to_owned());
        }
        before = word;
    }
    None
}

/// The pages of the project that a line names, with their anchors.
fn pages_named(line: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_./#".contains(c);
    line.split(|c: char| !is_part(c))
        .map(|word| word.trim_end_matches('.'))
        .filter(|word| word.ends_with(".md") || word.contains(".md#"))
        .filter(|word| word.starts_with("docs/") || pages::TOP.iter().any(|page| word.starts_with(page)))
        .map(str::to_owned)
        .collect()
}

#[test]
fn comments_cite_nothing_that_a_clone_lacks() {
    let found: Vec<_> = comments()
        .into_iter()
        .filter_map(|(at, line)| foreign_citation(&line).map(|word| format!("{at}: `{word}`: {}", line.trim())))
        .collect();
    assert!(found.is_empty(), "say the rule in words, or cite a page of docs/ ({}):\n{}", found.len(), found.join("\n"));
}

#[test]
fn what_comments_cite_is_there() {
    let pages = pages::anchors();
    let mut found = Vec::new();
    for (at, line) in comments() {
        for cited in pages_named(&line) {
            let (page, anchor) = cited.split_once('#').unwrap_or((&cited, ""));
            match pages.get(page) {
                None => found.push(format!("{at}: there is no page {page}")),
                Some(anchors) if !anchor.is_empty() && !anchors.contains(anchor) => found.push(format!("{at}: {page} has no #{anchor}")),
                Some(_) => {}
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn citations_are_told_from_other_words() {
    for line in ["// as the SPEC says", "/// (D24)", "//! section 10", "// see Sections 9 and 10", "// D9: again"] {
        assert!(foreign_citation(line).is_some(), "{line}");
    }
    for line in
        ["// RFC 8259 section 6", "// RFC 4648 section 4, padded", "// a section of the profile", "// asset D123", "// SPECIAL", "// 3D"]
    {
        assert_eq!(foreign_citation(line), None, "{line}");
    }
    assert_eq!(pages_named("// (docs/rules/a.md#b-c), see README.md."), ["docs/rules/a.md#b-c", "README.md"]);
}
