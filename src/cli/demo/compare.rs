//! One record beside what others read of it, field by field.

use super::page::{Page, Tone};
use crate::document::{DocumentKind, Node};
use crate::json::document;

/// A leaf's path from the root, `FaultCode[0].CodeSeverity`, and its value as it is written, strings without quotes.
pub(super) type ComparedLeaf = (String, String);

/// The leaves in the order they stand, without `_share`, which is sharecast's own. None of what is no JSON.
pub(super) fn leaves(value: &[u8]) -> Vec<ComparedLeaf> {
    let mut found = Vec::new();
    if let Ok(node) = document::parse(value) {
        for member in node.members().iter().filter(|member| member.name != "_share") {
            collect(&member.value, member.name.clone(), &mut found);
        }
    }
    found
}

fn collect(node: &Node, path: String, found: &mut Vec<ComparedLeaf>) {
    match &node.kind {
        DocumentKind::Map(members) => members.iter().for_each(|member| collect(&member.value, format!("{path}.{}", member.name), found)),
        DocumentKind::List(items) => items.iter().enumerate().for_each(|(at, item)| collect(item, format!("{path}[{at}]"), found)),
        DocumentKind::String(text) => found.push((path, text.clone())),
        DocumentKind::Number(text) => found.push((path, text.clone())),
        DocumentKind::Bool(value) => found.push((path, value.to_string())),
        DocumentKind::Null => found.push((path, "null".into())),
    }
}

/// What became of one record on its way to one reader, by path.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// Left as they are.
    pub(super) same: Vec<String>,
    /// Left with another value, or under another name: path, value before (empty if the name is new), value after.
    pub(super) changed: Vec<(String, String, String)>,
    /// Did not leave.
    pub(super) withheld: Vec<String>,
}

/// Compares what was sent with what one reader got.
pub(super) fn difference(sent: &[u8], got: &[u8]) -> Difference {
    let (sent, got) = (leaves(sent), leaves(got));
    let mut difference = Difference::default();
    for (path, before) in &sent {
        match value_at(&got, path) {
            None => difference.withheld.push(path.clone()),
            Some(after) if after == before => difference.same.push(path.clone()),
            Some(after) => difference.changed.push((path.clone(), before.clone(), after.to_owned())),
        }
    }
    for (path, after) in got.iter().filter(|(path, _)| value_at(&sent, path).is_none()) {
        difference.changed.push((path.clone(), String::new(), after.clone()));
    }
    difference
}

fn value_at<'l>(leaves: &'l [ComparedLeaf], path: &str) -> Option<&'l str> {
    leaves.iter().find(|(found, _)| found == path).map(|(_, value)| value.as_str())
}

/// The width of a value's column; longer values are cut.
const CELL: usize = 11;

/// A table of one record and what each reader got of it. A dash is what was withheld from that reader.
pub(in crate::cli) fn table(page: &Page, sent: (&str, &[u8]), readers: &[(&str, &[u8])]) -> Vec<String> {
    let raw = leaves(sent.1);
    let got: Vec<Vec<ComparedLeaf>> = readers.iter().map(|(_, value)| leaves(value)).collect();
    let mut paths: Vec<&str> = raw.iter().map(|(path, _)| path.as_str()).collect();
    for (path, _) in got.iter().flatten() {
        if !paths.contains(&path.as_str()) {
            // A new name stands below its siblings.
            let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
            let at = paths.iter().rposition(|known| known.rsplit_once('.').map_or("", |(parent, _)| parent) == parent);
            paths.insert(at.map_or(paths.len(), |at| at + 1), path);
        }
    }
    let width = paths.iter().map(|path| path.len()).max().unwrap_or(0);
    let cell = |tone: Tone, text: &str| page.toned(tone, &format!("{text:<CELL$}"));
    let mut heading = format!("{:<width$} {}", "", cell(Tone::Heading, sent.0));
    for (name, _) in readers {
        heading = format!("{heading} {}", cell(Tone::Heading, name));
    }
    let mut lines = vec![heading.trim_end().to_owned()];
    for path in paths {
        let before = value_at(&raw, path);
        let mut line = format!("{path:<width$} {}", cell(Tone::Plain, &short(before.unwrap_or(""))));
        for leaves in &got {
            line.push(' ');
            line.push_str(&match value_at(leaves, path) {
                None if before.is_none() => cell(Tone::Plain, ""),
                None => cell(Tone::Faint, "-"),
                Some(after) if Some(after) == before => cell(Tone::Plain, &short(after)),
                Some(after) => cell(Tone::Changed, &short(after)),
            });
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// A value that fits its column: of a time the time of day to the tenth of a second, of what is longer the beginning.
fn short(value: &str) -> String {
    if value.len() > 19 && value.is_ascii() && value.as_bytes()[10] == b'T' && value.ends_with('Z') {
        return value[11..value.len() - 1].chars().take(10).collect();
    }
    if value.chars().count() <= CELL { value.to_owned() } else { value.chars().take(CELL - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &[u8] = br#"{"id":"a","p":{"lat":1.25,"lon":2.5},"f":[{"c":1}],"driver":"x"}"#;
    const GOT: &[u8] = br#"{"id":"b","p":{"lat":1.25,"length":2.5},"_share":{"id":"s"}}"#;

    #[test]
    fn each_field_is_the_same_changed_or_withheld() {
        let difference = difference(SENT, GOT);
        assert_eq!(difference.same, ["p.lat"]);
        assert_eq!(difference.withheld, ["p.lon", "f[0].c", "driver"]);
        let changed = |path: &str, before: &str, after: &str| (path.to_owned(), before.to_owned(), after.to_owned());
        assert_eq!(difference.changed, [changed("id", "a", "b"), changed("p.length", "", "2.5")]);
    }

    #[test]
    fn the_table_names_what_was_withheld() {
        let lines = table(&Page::plain(), ("owner", SENT), &[("reader", GOT)]);
        let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0], ["owner", "reader"]);
        assert_eq!(words[1], ["id", "a", "b"]);
        assert_eq!(words[3], ["p.lon", "2.5", "-"]);
        assert_eq!(words[4], ["p.length", "2.5"]);
        assert_eq!(words[6], ["driver", "x", "-"]);
    }

    #[test]
    fn values_fit_their_column() {
        assert_eq!(short("2026-01-01T09:00:00Z"), "09:00:00");
        assert_eq!(short("2026-01-01T09:00:00.512Z"), "09:00:00.5");
        assert_eq!(short("0123456789ab"), "0123456789…");
        assert_eq!(short("short"), "short");
    }
}
