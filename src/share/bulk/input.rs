//! Lists of assets or shares, one a line, as the commands on many read them.

use std::fmt;

/// What a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOf {
    /// Ids of assets, in the owner's words.
    Assets,
    /// Ids of shares.
    Shares,
}

impl ListOf {
    /// One of them, in a sentence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Assets => "asset",
            Self::Shares => "share",
        }
    }
}

/// Where a name was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputRef {
    /// On the command line.
    Argument,
    /// In this line, from 1, of a list of this name.
    Line(std::sync::Arc<str>, usize),
}

impl fmt::Display for InputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument => f.write_str("argument"),
            Self::Line(list, line) => write!(f, "{list}:{line}"),
        }
    }
}

/// One asset or share that a command names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Where.
    pub place: InputRef,
    /// Its id, as written.
    pub id: String,
    /// Its id at the target: what stands after a tab, if there is one.
    pub target_asset: Option<String>,
}

/// A line that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{list}:{line}: {what}")]
pub struct BadListLine {
    /// The list's name.
    pub list: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Reads a list: an id a line, and after a tab its id at the target. Line ends are LF or CR LF. Empty lines and lines that begin
/// with `#` are passed over. An id is taken letter by letter; one with a blank at an end is refused, because it is nearly always a
/// slip: a list cannot name an asset that has one or begins with `#`, an argument can.
pub fn read(list: &str, bytes: &[u8]) -> Result<Vec<Named>, BadListLine> {
    let name: std::sync::Arc<str> = list.into();
    let mut named = Vec::new();
    // A mark of the encoding, as some editors write it, is no part of the first id.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (at, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let refused = |what| BadListLine { list: list.to_owned(), line: at + 1, what };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| refused("it is not UTF-8"))?;
        if text.trim().is_empty() || text.starts_with('#') {
            continue;
        }
        let mut columns = text.split('\t');
        let id = columns.next().unwrap_or_default();
        let target_asset = columns.next();
        if columns.next().is_some() {
            return Err(refused("it has more than one tab: write an id, and behind one tab its id at the target"));
        }
        for column in std::iter::once(id).chain(target_asset) {
            if column.trim() != column || column.is_empty() {
                return Err(refused("an id is empty, or begins or ends with a blank"));
            }
        }
        named.push(Named { place: InputRef::Line(name.clone(), at + 1), id: id.to_owned(), target_asset: target_asset.map(str::to_owned) });
    }
    Ok(named)
}

/// What is to be told of ids that are valid and yet nearly always a slip: lines of a spreadsheet, saved with its commas and quotes.
/// Names the first of them, and how many there are.
pub fn looks_like_csv(named: &[Named]) -> Option<(&Named, usize)> {
    let is_marked = |named: &&Named| matches!(named.place, InputRef::Line(..)) && named.id.contains([',', ';', '"']);
    let mut marked = named.iter().filter(is_marked);
    marked.next().map(|first| (first, 1 + marked.count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(bytes: &[u8]) -> Vec<(usize, String, Option<String>)> {
        let line = |named: Named| match named.place {
            InputRef::Line(_, line) => (line, named.id, named.target_asset),
            InputRef::Argument => unreachable!("it is a list"),
        };
        read("l", bytes).unwrap().into_iter().map(line).collect()
    }

    #[test]
    fn ids_stand_one_a_line_with_their_place() {
        let found = ids(b"\xef\xbb\xbfNW-1\r\n# a note\n\n  \nNW 2/\xc3\xa6\tEX-2\r\nNW-3");
        let expected = [(1, "NW-1", None), (5, "NW 2/\u{e6}", Some("EX-2")), (6, "NW-3", None)];
        assert_eq!(found, expected.map(|(line, id, to)| (line, id.to_owned(), to.map(str::to_owned))));
        assert_eq!(ids(b""), []);
    }

    #[test]
    fn what_was_pasted_from_a_spreadsheet_is_seen() {
        let found = |bytes: &[u8]| looks_like_csv(&read("l", bytes).unwrap()).map(|(first, count)| (first.place.to_string(), count));
        assert_eq!(found(b"NW-1\nNW 2\tEX,2\n"), None, "the id at the target is not ours to doubt");
        assert_eq!(found(b"NW-1\nNW-2,Digger\n\"NW-3\"\nNW-4;x\n"), Some(("l:2".to_owned(), 3)));
        let argument = Named { place: InputRef::Argument, id: "a,b".to_owned(), target_asset: None };
        assert_eq!(looks_like_csv(&[argument]), None);
    }

    #[test]
    fn what_is_no_id_is_named_by_its_line() {
        for (bytes, line) in
            [(b"a\nb \n".as_slice(), 2), (b"a\n b", 2), (b"\xff", 1), (b"a\n\nb\t", 3), (b"a\t b", 1), (b"a\tb\tc", 1), (b"\tb", 1)]
        {
            let bad = read("list.txt", bytes).unwrap_err();
            assert_eq!(bad.line, line, "{bytes:?}");
            assert!(bad.to_string().starts_with(&format!("list.txt:{line}: ")), "{bad}");
        }
    }
}
