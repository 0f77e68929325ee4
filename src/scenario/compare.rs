//! What came out beside what is expected, and why it differs.

use std::collections::BTreeSet;

use super::why::ExplainedShare;
use super::{ExpectedOutput, ExpectedValue, Scenario};
use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::json::decimal::Decimal;
use crate::json::document::write;
use crate::json::path::{Path, Selected};
use crate::json::tape::Tape;
use crate::replay::StepCause;

/// One thing that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where the test file says otherwise.
    pub place: TextPosition,
    /// What it is.
    pub what: String,
    /// The difference, line by line: `-` is expected, `+` is what came.
    pub diff: Vec<String>,
    /// Why it came, or did not.
    pub why: Vec<String>,
}

/// What became of a record.
#[derive(Debug, Default)]
pub(super) struct RecordFate {
    /// The outputs that it made.
    pub(super) outputs: usize,
    /// Why shares did not get it, in words.
    pub(super) withheld: Vec<String>,
    /// Why it is a dead letter.
    pub(super) dead: Option<String>,
    /// The shares of its asset, once something is not as expected.
    pub(super) explained: Vec<ExplainedShare>,
}

/// A record that came out.
#[derive(Debug)]
pub(super) struct ActualOutput {
    key: String,
    /// None is a tombstone.
    value: Option<Node>,
    cause: StepCause,
}

impl ActualOutput {
    pub(super) fn of(line: &Node, cause: StepCause) -> Self {
        let key = line.get("key").and_then(Node::as_str).unwrap_or_default().to_owned();
        Self { key, value: line.get("value").filter(|value| !value.is_null()).cloned(), cause }
    }

    fn shown(&self) -> String {
        format!("{} {}", self.key, self.value.as_ref().map_or_else(|| "null".to_owned(), json))
    }
}

/// One tenant's records of one stream.
pub(super) struct OutputComparison<'c> {
    pub(super) scenario: &'c Scenario,
    pub(super) tenant: &'c str,
    pub(super) stream: &'c str,
    /// Where the tenant is named.
    pub(super) place: Option<TextPosition>,
    pub(super) is_open: bool,
    pub(super) fates: &'c [RecordFate],
}

/// A difference between two values.
struct ValueDifference {
    /// The member, `[*]` for elements.
    member: String,
    line: String,
    /// Something came that is not expected.
    came: bool,
}

impl OutputComparison<'_> {
    /// Both in their order. Where one side has more, what fits later is skipped to.
    pub(super) fn run(&self, expected: &[&ExpectedOutput], actual: &[ActualOutput], found: &mut Vec<Mismatch>) {
        let fits = |e: usize, a: usize| differences(expected[e], &actual[a]).is_empty();
        let (mut e, mut a) = (0, 0);
        while e < expected.len() && a < actual.len() {
            if fits(e, a) {
                (e, a) = (e + 1, a + 1);
                continue;
            }
            let may_skip = self.is_open || actual.len() - a > expected.len() - e;
            if let Some(next) = (a + 1..actual.len()).find(|next| may_skip && fits(e, *next)) {
                self.unexpected(&actual[a..next], found);
                a = next;
            } else if let Some(next) = (e + 1..expected.len()).find(|next| !may_skip && fits(*next, a)) {
                expected[e..next].iter().for_each(|missing| self.missing(missing, found));
                e = next;
            } else {
                self.differs(expected[e], &actual[a], found);
                (e, a) = (e + 1, a + 1);
            }
        }
        expected[e..].iter().for_each(|missing| self.missing(missing, found));
        self.unexpected(&actual[a..], found);
    }

    fn unexpected(&self, outputs: &[ActualOutput], found: &mut Vec<Mismatch>) {
        if self.is_open {
            return;
        }
        for output in outputs {
            let place = self.place.or_else(|| self.place_of(output.cause)).unwrap_or_default();
            let what = format!("{}, {}: an output came that nothing expects", self.tenant, self.stream);
            let why = self.cause(output.cause).into_iter().chain(self.explanation(output.cause)).collect();
            found.push(Mismatch { place, what, diff: vec![format!("+ {}", output.shown())], why });
        }
    }

    fn missing(&self, expected: &ExpectedOutput, found: &mut Vec<Mismatch>) {
        let what = format!("{}, {}: an output is expected here, and none came", self.tenant, self.stream);
        found.push(Mismatch { place: expected.place, what, diff: vec![format!("- {}", shown(expected))], why: self.fates_of_records() });
    }

    fn differs(&self, expected: &ExpectedOutput, actual: &ActualOutput, found: &mut Vec<Mismatch>) {
        let differences = differences(expected, actual);
        let mut why: Vec<String> = self.cause(actual.cause).into_iter().collect();
        let came: BTreeSet<&str> = differences.iter().filter(|d| d.came).map(|d| d.member.as_str()).collect();
        why.extend(came.iter().flat_map(|member| self.selected_by(member)));
        why.extend(self.explanation(actual.cause));
        let place = differences.iter().find_map(|d| place_of_path(expected, &d.member)).unwrap_or(expected.place);
        let what = format!("{}, {}: the output is another one than is expected here", self.tenant, self.stream);
        found.push(Mismatch { place, what, diff: differences.into_iter().map(|d| d.line).collect(), why });
    }

    fn place_of(&self, cause: StepCause) -> Option<TextPosition> {
        match cause {
            StepCause::Record(record) => self.scenario.records.get(record).map(|record| record.place),
            StepCause::Time | StepCause::Control | StepCause::End => None,
        }
    }

    fn cause(&self, cause: StepCause) -> Option<String> {
        let text = match cause {
            StepCause::Record(_) => {
                let place = self.place_of(cause)?;
                format!("it came of the record in line {}", place.line)
            }
            StepCause::Time | StepCause::End => "it came because a share began or ended".to_owned(),
            StepCause::Control => "it came of an event of the world".to_owned(),
        };
        Some(text)
    }

    /// Why the tenant got a record, and what became of each member.
    fn explanation(&self, cause: StepCause) -> Vec<String> {
        let StepCause::Record(record) = cause else { return Vec::new() };
        let explained = self.fates.get(record).into_iter().flat_map(|fate| &fate.explained);
        let of_tenant = explained.filter(|share| share.is_released && share.target.as_deref() == Some(self.tenant));
        of_tenant.flat_map(|share| share.lines.iter().cloned()).collect()
    }

    /// What became of the stream's records.
    fn fates_of_records(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (record, fate) in self.scenario.records.iter().zip(self.fates).filter(|(record, _)| record.stream == self.stream) {
            let RecordFate { outputs, withheld, dead, explained } = fate;
            let what = match (dead, withheld.as_slice(), outputs) {
                (Some(reason), ..) => format!("is a dead letter: {reason}"),
                (None, [], 0) => "is released to nobody: no share of its asset names the stream".to_owned(),
                (None, [], outputs) => format!("made {outputs} outputs"),
                (None, withheld, outputs) => format!("made {outputs} outputs, and was withheld: {}", withheld.join(", ")),
            };
            lines.push(format!("the record in line {} {what}", record.place.line));
            let of_tenant = explained.iter().filter(|share| !share.is_released && share.target.as_deref() == Some(self.tenant));
            lines.extend(of_tenant.flat_map(|share| share.lines.iter().cloned()));
        }
        lines
    }

    /// The includes of the tenant's profiles that can have let a member out.
    fn selected_by(&self, member: &str) -> Vec<String> {
        let Ok(path) = Path::parse(member) else { return Vec::new() };
        let of_tenant = self.scenario.facts.iter().filter(|fact| {
            fact.data.get("target_tenant").and_then(Node::as_str) == Some(self.tenant) && fact.data.get("profile").is_some()
        });
        let names: BTreeSet<&str> = of_tenant.filter_map(|fact| fact.data.get("profile")?.as_str()).collect();
        let mut lines = Vec::new();
        for profile in self.scenario.profiles.iter().filter(|profile| names.contains(profile.name.as_str())) {
            let Some(section) = profile.spec.section(self.stream) else { continue };
            for (written, place) in section.includes_of(&path) {
                let file = profile.file.as_deref().map(|file| format!("{file}:")).unwrap_or_default();
                lines.push(format!("{member} is selected by {written} at {file}{}:{}, profile {}", place.line, place.column, profile.name));
            }
        }
        lines
    }
}

fn shown(expected: &ExpectedOutput) -> String {
    let key = expected.key.as_deref().unwrap_or("*");
    match &expected.value {
        ExpectedValue::Exactly(value) => format!("{key} {}", json(value)),
        ExpectedValue::Members { has, lacks } => {
            let list = |paths: &[super::ExpectedPath]| paths.iter().map(|path| path.written.as_str()).collect::<Vec<_>>().join(", ");
            format!("{key} has [{}] lacks [{}]", list(has), list(lacks))
        }
    }
}

/// Where the expectation says something of this member.
fn place_of_path(expected: &ExpectedOutput, member: &str) -> Option<TextPosition> {
    match &expected.value {
        ExpectedValue::Exactly(_) => None,
        ExpectedValue::Members { has, lacks } => has.iter().chain(lacks).find(|path| path.written == member).map(|path| path.place),
    }
}

fn differences(expected: &ExpectedOutput, actual: &ActualOutput) -> Vec<ValueDifference> {
    let mut found = Vec::new();
    if let Some(key) = expected.key.as_deref().filter(|key| *key != actual.key) {
        let line = |sign: &str, key: &str| ValueDifference { member: "key".to_owned(), line: format!("{sign} key {key}"), came: false };
        found.extend([line("-", key), line("+", &actual.key)]);
    }
    match (&expected.value, &actual.value) {
        (ExpectedValue::Exactly(wanted), Some(value)) if wanted.is_null() => {
            found.push(ValueDifference { member: "$".to_owned(), line: format!("- null (a tombstone)\n+ {}", json(value)), came: false })
        }
        (ExpectedValue::Exactly(wanted), None) if wanted.is_null() => {}
        (ExpectedValue::Exactly(wanted), Some(value)) => compare(wanted, value, &("$".to_owned(), "$".to_owned()), &mut found),
        (_, None) => found.push(ValueDifference { member: "$".to_owned(), line: "+ null (a tombstone)".to_owned(), came: false }),
        (ExpectedValue::Members { has, lacks }, Some(value)) => {
            let text = json(value);
            let mut tape = Tape::default();
            let is_read = tape.parse(text.as_bytes()).is_ok();
            let is_there = |path: &Path| is_read && path.find(text.as_bytes(), &tape) != Selected::Nothing;
            for path in has.iter().filter(|path| !is_there(&path.path)) {
                let line = format!("- has {}: it is not there", path.written);
                found.push(ValueDifference { member: path.written.clone(), line, came: false });
            }
            for path in lacks.iter().filter(|path| is_there(&path.path)) {
                let line = format!("+ lacks {}: it is there", path.written);
                found.push(ValueDifference { member: path.written.clone(), line, came: true });
            }
        }
    }
    found
}

/// `at` is how a member is shown, and its path with `[*]` for elements.
fn compare(wanted: &Node, value: &Node, at: &(String, String), found: &mut Vec<ValueDifference>) {
    let mut tell = |sign: &str, at: &(String, String), node: &Node| {
        found.push(ValueDifference { member: at.1.clone(), line: format!("{sign} {} {}", at.0, json(node)), came: sign == "+" });
    };
    match (&wanted.kind, &value.kind) {
        (DocumentKind::Map(left), DocumentKind::Map(right)) => {
            let is_root = at.0 == "$";
            for member in last(left) {
                let below = member_of(at, &member.name);
                match value.get(&member.name) {
                    Some(other) => compare(&member.value, other, &below, found),
                    None => {
                        found.push(ValueDifference { member: below.1, line: format!("- {} {}", below.0, json(&member.value)), came: false })
                    }
                }
            }
            for member in last(right) {
                // Share, revision and epoch are told only to who asks for them.
                let is_provenance = is_root && member.name == "_share";
                if !is_provenance && wanted.get(&member.name).is_none() {
                    let below = member_of(at, &member.name);
                    found.push(ValueDifference { member: below.1, line: format!("+ {} {}", below.0, json(&member.value)), came: true });
                }
            }
        }
        (DocumentKind::List(left), DocumentKind::List(right)) => {
            for index in 0..left.len().max(right.len()) {
                let below = (format!("{}[{index}]", at.0), format!("{}[*]", at.1));
                match (left.get(index), right.get(index)) {
                    (Some(left), Some(right)) => compare(left, right, &below, found),
                    (Some(left), None) => {
                        found.push(ValueDifference { member: below.1, line: format!("- {} {}", below.0, json(left)), came: false });
                    }
                    (None, Some(right)) => {
                        found.push(ValueDifference { member: below.1, line: format!("+ {} {}", below.0, json(right)), came: true });
                    }
                    (None, None) => {}
                }
            }
        }
        _ if is_same(wanted, value) => {}
        _ => {
            tell("-", at, wanted);
            tell("+", at, value);
        }
    }
}

/// Numbers compare as numbers, everything else as it is.
fn is_same(a: &Node, b: &Node) -> bool {
    match (&a.kind, &b.kind) {
        (DocumentKind::Null, DocumentKind::Null) => true,
        (DocumentKind::Bool(a), DocumentKind::Bool(b)) => a == b,
        (DocumentKind::String(a), DocumentKind::String(b)) => a == b,
        (DocumentKind::Number(a), DocumentKind::Number(b)) => {
            a == b || matches!((Decimal::parse(a.as_bytes()), Decimal::parse(b.as_bytes())), (Some(a), Some(b)) if a.equals(&b))
        }
        _ => false,
    }
}

fn last(members: &[Member]) -> Vec<&Member> {
    let is_last = |(at, member): &(usize, &Member)| !members[at + 1..].iter().any(|other| other.name == member.name);
    members.iter().enumerate().filter(is_last).map(|(_, member)| member).collect()
}

fn member_of((shown, path): &(String, String), name: &str) -> (String, String) {
    let step = crate::profile::preview::step_text(name);
    (format!("{shown}{step}"), format!("{path}{step}"))
}

fn json(node: &Node) -> String {
    let mut text = Vec::new();
    write(node, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}
