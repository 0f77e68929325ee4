//! What a profile does, in words and on one record, for the owner who is about to share by it.
//!
//! Nothing is decided here: the projected record is what `project` wrote. This holds it beside the input, member by member. Elements
//! of an array, and members that a wildcard could reach, are told by `[*]` where they stand in an array.

use std::collections::HashMap;

use super::spec::{Placed, Section, Transform};
use crate::document::{DocumentKind, Node};
use crate::json::document::write;
use crate::json::path::{Path, Segment};

/// What becomes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It leaves as it is.
    Leaves,
    /// Some elements of an array leave it, as they are.
    InPart,
    /// It leaves as something else.
    Changed,
    /// It leaves under another name.
    Renamed,
    /// It does not leave.
    StaysBehind,
    /// It is in the output alone.
    Added,
}

impl Fate {
    /// As previews have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Leaves => "leaves",
            Self::InPart => "leaves in part",
            Self::Changed => "changed",
            Self::Renamed => "renamed",
            Self::StaysBehind => "stays behind",
            Self::Added => "added",
        }
    }
}

/// One member that holds a value, with its values before and after as JSON; several in an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Its path, as profiles write them.
    pub member: String,
    /// What becomes of it.
    pub fate: Fate,
    /// The path that it leaves under, if that is another one.
    pub to_member: Option<String>,
    /// What the owner has.
    pub from: Vec<String>,
    /// What the target sees.
    pub to: Vec<String>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum PathStep {
    Name(String),
    Element,
}

type Steps = Vec<PathStep>;

/// Values by their path, in the order in which the paths first come.
#[derive(Default)]
struct Leaves {
    order: Vec<Steps>,
    values: HashMap<Steps, Vec<String>>,
}

impl Leaves {
    fn of(root: &Node) -> Self {
        let mut leaves = Self::default();
        leaves.collect(root, &mut Vec::new());
        leaves
    }

    fn collect(&mut self, node: &Node, at: &mut Steps) {
        match &node.kind {
            DocumentKind::Map(members) if !members.is_empty() => {
                for member in members {
                    at.push(PathStep::Name(member.name.clone()));
                    self.collect(&member.value, at);
                    at.pop();
                }
            }
            DocumentKind::List(items) if !items.is_empty() => {
                for item in items {
                    at.push(PathStep::Element);
                    self.collect(item, at);
                    at.pop();
                }
            }
            _ if at.is_empty() => {}
            _ => {
                let mut json = Vec::new();
                write(node, &mut json);
                let values = self.values.entry(at.clone()).or_insert_with(|| {
                    self.order.push(at.clone());
                    Vec::new()
                });
                values.push(String::from_utf8_lossy(&json).into_owned());
            }
        }
    }
}

/// A record beside what a projection made of it by `section`, which is asked for renames.
pub fn members(input: &Node, output: &Node, section: &Section) -> Vec<MemberView> {
    let (before, mut after) = (Leaves::of(input), Leaves::of(output));
    let renames = renames(section);
    let mut views = Vec::new();
    for path in &before.order {
        let from = before.values[path].clone();
        let new = renamed(path, &renames);
        let under_new = if new == *path { None } else { after.values.remove(&new) };
        let is_renamed = under_new.is_some();
        if let Some(to) = under_new {
            let to_member = Some(text(&new));
            views.push(MemberView { member: text(path), fate: Fate::Renamed, to_member, from: from.clone(), to });
        }
        match after.values.remove(path) {
            Some(to) => {
                views.push(MemberView { member: text(path), fate: fate(&from, &to), to_member: None, from, to });
            }
            None if is_renamed => {}
            None => views.push(MemberView { member: text(path), fate: Fate::StaysBehind, to_member: None, from, to: Vec::new() }),
        }
    }
    for path in &after.order {
        let Some(to) = after.values.remove(path) else { continue };
        // A container that was masked as a whole, or whose members all stay behind.
        let is_container = before.order.iter().any(|known| known.len() > path.len() && known.starts_with(path));
        let (fate, from) = if is_container { (Fate::Changed, vec!["{…}".to_owned()]) } else { (Fate::Added, Vec::new()) };
        views.push(MemberView { member: text(path), fate, to_member: None, from, to });
    }
    views
}

fn fate(from: &[String], to: &[String]) -> Fate {
    if from == to {
        return Fate::Leaves;
    }
    let mut left: Vec<&String> = from.iter().collect();
    let is_part = to.iter().all(|value| left.iter().position(|known| *known == value).map(|at| left.swap_remove(at)).is_some());
    if is_part { Fate::InPart } else { Fate::Changed }
}

/// Each rename of a section, as its path and the new name of the path's last step.
fn renames(section: &Section) -> Vec<(&Path, &str)> {
    let named = section.transforms.iter().filter_map(|transform| Some((transform, transform.action.disclosure().new_name?)));
    named.flat_map(|(transform, name)| transform.paths.iter().map(move |placed| (&placed.path, name))).collect()
}

/// Where a member at `path` comes out: every name on its way that a rename hits is another one.
fn renamed(path: &[PathStep], renames: &[(&Path, &str)]) -> Steps {
    let mut new = path.to_vec();
    for (at, step) in new.iter_mut().enumerate() {
        // Paths are matched against the input's names (docs/rules/profiles.md#paths), so the old way is looked at.
        if let Some((_, name)) = renames.iter().find(|(rename, _)| is_at(rename, &path[..=at])) {
            *step = PathStep::Name((*name).to_owned());
        }
    }
    new
}

fn is_at(path: &Path, steps: &[PathStep]) -> bool {
    let is_step = |(segment, step): (&Segment, &PathStep)| match (segment, step) {
        (Segment::Name(name), PathStep::Name(step)) => name.text == *step,
        (Segment::Name(_), PathStep::Element) => false,
        _ => true,
    };
    path.segments.len() == steps.len() && path.segments.iter().zip(steps).all(is_step)
}

fn text(steps: &[PathStep]) -> String {
    let mut text = "$".to_owned();
    for step in steps {
        match step {
            PathStep::Element => text.push_str("[*]"),
            PathStep::Name(name) => push_name(&mut text, name),
        }
    }
    text
}

/// A name as a path has it after its parent.
pub(crate) fn step_text(name: &str) -> String {
    let mut text = String::new();
    push_name(&mut text, name);
    text
}

/// Appends a name to a path, as profiles write it.
pub(crate) fn push_name(text: &mut String, name: &str) {
    if is_plain(name) {
        text.push('.');
        text.push_str(name);
    } else {
        text.push_str(&format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")));
    }
}

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_') && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What a section says, in words: each line with what it is about.
pub fn in_words(section: &Section) -> Vec<(&'static str, String)> {
    let list = |paths: &[Placed]| paths.iter().map(|placed| placed.written.as_str()).collect::<Vec<_>>().join(", ");
    let leaves = match section.include.as_slice() {
        [] => "nothing".to_owned(),
        [root] if root.path.is_root() => "everything".to_owned(),
        paths => list(paths),
    };
    let mut lines = vec![("leaves", leaves)];
    if let Some(condition) = &section.condition {
        lines.push(("only where", condition.source().to_owned()));
    }
    if let Some(sample) = &section.sample {
        lines.push(("at most", format!("one record in each {} of event time", sample.written)));
    }
    if !section.exclude.is_empty() {
        lines.push(("never leaves", list(&section.exclude)));
    }
    for Transform { paths, action, argument } in &section.transforms {
        lines.push(("is changed", format!("{}: {}", list(paths), action.in_words(argument))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::document::parse;
    use crate::profile::spec::ProfileSpec;

    fn section(text: &str) -> Section {
        ProfileSpec::read(&parse(format!(r#"{{"t":{text}}}"#).as_bytes()).unwrap()).unwrap().section("t").unwrap().clone()
    }

    fn views(input: &str, output: &str, of: &str) -> Vec<(String, &'static str, String, String)> {
        let node = |text: &str| parse(text.as_bytes()).unwrap();
        let view = |view: MemberView| {
            let to = view.to_member.map(|name| format!("{name} ")).unwrap_or_default();
            (view.member, view.fate.word(), view.from.join(" "), format!("{to}{}", view.to.join(" ")))
        };
        members(&node(input), &node(output), &section(of)).into_iter().map(view).collect()
    }

    fn row(member: &str, fate: &'static str, from: &str, to: &str) -> (String, &'static str, String, String) {
        (member.to_owned(), fate, from.to_owned(), to.to_owned())
    }

    #[test]
    fn members_stand_beside_what_became_of_them() {
        let found = views(
            r#"{"asset":"NW-7","pos":{"lat":1.23456,"alt":7},"driver":{"badge":"B"},"list":[{"k":1,"v":"a"},{"k":2,"v":"b"}],"e":{},"a b":1}"#,
            r#"{"asset":"X","pos":{"lat":1.2},"driver":"***","list":[{"v":"b"}],"e":{},"src":"shared","a b":1}"#,
            "{}",
        );
        let expected = [
            row("$.asset", "changed", r#""NW-7""#, r#""X""#),
            row("$.pos.lat", "changed", "1.23456", "1.2"),
            row("$.pos.alt", "stays behind", "7", ""),
            row("$.driver.badge", "stays behind", r#""B""#, ""),
            row("$.list[*].k", "stays behind", "1 2", ""),
            row("$.list[*].v", "leaves in part", r#""a" "b""#, r#""b""#),
            row("$.e", "leaves", "{}", "{}"),
            row("$['a b']", "leaves", "1", "1"),
            row("$.driver", "changed", "{…}", r#""***""#),
            row("$.src", "added", "", r#""shared""#),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_renamed_is_one_member() {
        let section = r#"{"transform":[{"path":"$.pos","rename":"location"},{"paths":["$.list[*].k","$.pos.lat"],"rename":"key"}]}"#;
        let found = views(
            r#"{"pos":{"lat":1,"lon":2},"list":[{"k":1}],"key":3}"#,
            r#"{"location":{"key":1,"lon":2},"list":[{"key":1}],"key":3}"#,
            section,
        );
        let expected = [
            row("$.pos.lat", "renamed", "1", "$.location.key 1"),
            row("$.pos.lon", "renamed", "2", "$.location.lon 2"),
            row("$.list[*].k", "renamed", "1", "$.list[*].key 1"),
            row("$.key", "leaves", "3", "3"),
        ];
        assert_eq!(found, expected);
        // Of two elements a filter renamed one.
        let section = r#"{"transform":[{"path":"$.l[?@.n=='x'].v","rename":"w"}]}"#;
        let found = views(r#"{"l":[{"v":1},{"v":2}]}"#, r#"{"l":[{"w":1},{"v":2}]}"#, section);
        assert_eq!(found, [row("$.l[*].v", "renamed", "1 2", "$.l[*].w 1"), row("$.l[*].v", "leaves in part", "1 2", "2")]);
    }

    #[test]
    fn a_section_is_told_in_words() {
        let text = r#"{"include":["$.a","$.b"],"exclude":["$.b.c"],"transform":[{"path":"$.a","mask":{"keep_last":4}},
            {"paths":["$.b.d","$.b.e"],"round":3},{"path":"$.t","truncate":"1m"},{"path":"$.s","mask":"hash"},{"path":"$.s","mask":null},
            {"const":{"x":1},"path":"$.k"}]}"#;
        let lines: Vec<String> = in_words(&section(text)).iter().map(|(what, text)| format!("{what}: {text}")).collect();
        let expected = [
            "leaves: $.a, $.b",
            "never leaves: $.b.c",
            "is changed: $.a: only the last 4 characters can be read",
            "is changed: $.b.d, $.b.e: rounded to 3 decimals",
            "is changed: $.t: the time rounded down to a multiple of 1m",
            "is changed: $.s: a hash of it, another one for each target",
            "is changed: $.s: null in its place",
            r#"is changed: $.k: always {"x":1}"#,
        ];
        assert_eq!(lines, expected);
        let lines = in_words(&section(r#"{"include":["$.a"],"when":"record.a > 1","sample":{"every":"30s"}}"#));
        let sampled = ("at most", "one record in each 30s of event time".to_owned());
        assert_eq!(lines, [("leaves", "$.a".to_owned()), ("only where", "record.a > 1".to_owned()), sampled]);
        assert_eq!(in_words(&section("{}")), [("leaves", "nothing".to_owned())]);
        assert_eq!(in_words(&section(r#"{"include":["$"]}"#)), [("leaves", "everything".to_owned())]);
    }
}
