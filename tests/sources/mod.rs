//! Reading the project's own files, for the tests that hold its house rules.

use std::fs;
use std::path::Path;

/// A file: its path below the folder that was read, and its text.
pub(crate) type Source = (String, String);

/// Every file below a folder of the project whose name ends so, sorted by path.
pub(crate) fn read(folder: &str, ending: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut sources = Vec::new();
    collect(&root, &root, ending, &mut sources);
    sources
}

fn collect(root: &Path, folder: &Path, ending: &str, sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            collect(root, &path, ending, sources);
        } else if name.ends_with(ending) {
            sources.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// Whether the word stands in the line as a whole name.
pub(crate) fn names(line: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| !is_part(line[..at].chars().next_back()) && !is_part(line[at + word.len()..].chars().next()))
}

/// What a piece of Rust source is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    Code,
    Comment,
    Literal,
}

/// What becomes of string literals.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strings {
    Kept,
    Removed,
}

/// The source without comments, its lines in place.
pub(crate) fn code_of(text: &str, strings: Strings) -> String {
    let keep = |(piece, part): (Piece, &str)| match piece {
        Piece::Code => part.to_owned(),
        Piece::Literal if strings == Strings::Kept => part.to_owned(),
        _ => "\n".repeat(part.matches('\n').count()),
    };
    pieces(text).into_iter().map(keep).collect()
}

/// The source in pieces; together they are all of it.
pub(crate) fn pieces(text: &str) -> Vec<(Piece, &str)> {
    let mut pieces = Vec::new();
    let (mut at, mut code_from) = (0, 0);
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let found = if rest.starts_with("//") {
            Some((Piece::Comment, rest.find('\n').unwrap_or(rest.len())))
        } else if rest.starts_with("/*") {
            Some((Piece::Comment, rest.find("*/").map_or(rest.len(), |end| end + 2)))
        } else {
            string_at(rest, text[code_from..at].chars().next_back()).map(|length| (Piece::Literal, length))
        };
        let Some((piece, length)) = found else {
            at += c.len_utf8();
            continue;
        };
        pieces.push((Piece::Code, &text[code_from..at]));
        pieces.push((piece, &rest[..length]));
        at += length;
        code_from = at;
    }
    pieces.push((Piece::Code, &text[code_from..]));
    pieces
}

/// The length of the string or character literal that begins here, if one does.
fn string_at(rest: &str, before: Option<char>) -> Option<usize> {
    let bytes = rest.as_bytes();
    if bytes[0] == b'r' && !before.is_some_and(|c| c.is_ascii_alphanumeric() && c != 'b' || c == '_') {
        let hashes = bytes[1..].iter().take_while(|b| **b == b'#').count();
        if bytes.get(1 + hashes) == Some(&b'"') {
            let end = format!("\"{}", "#".repeat(hashes));
            return rest[hashes + 2..].find(&end).map(|at| hashes + 2 + at + end.len());
        }
    }
    if bytes[0] == b'\'' {
        // A lifetime has no second quote right after its first character.
        let first = rest[1..].chars().next()?;
        let after = if first == '\\' {
            1 + rest[1..].find('\'').filter(|at| *at > 1).or_else(|| rest[3..].find('\'').map(|at| at + 2))?
        } else {
            1 + first.len_utf8()
        };
        return (bytes.get(after) == Some(&b'\'')).then_some(after + 1);
    }
    if bytes[0] != b'"' {
        return None;
    }
    let mut is_escaped = false;
    for (at, byte) in bytes.iter().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}
