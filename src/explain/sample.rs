//! A profile held against a sample of records: what of it never matched, what it says nothing of, and what its transforms drop.

use std::collections::BTreeMap;

use super::members::{MemberOutcome, ProfileText};
use super::project::RecordProjector;
use super::record::WholeRecord;
use crate::document::TextPosition;
use crate::json::path::Selected;
use crate::json::tape::Tape;
use crate::profile::compile::Projection;
use crate::profile::spec::{Placed, Section};
use crate::record::decode::ReadRules;
use crate::record::mapping::Stream;

/// One thing that a sample shows of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleFinding {
    /// What it is.
    pub what: String,
    /// Where in the profile, if it is one place.
    pub place: Option<TextPosition>,
}

/// What was seen so far.
#[derive(Debug)]
pub struct ProfileSample<'p> {
    projector: RecordProjector<'p>,
    section: &'p Section,
    tape: Tape,
    /// For each path of the section, in the order of `paths`, how often it matched.
    matched: Vec<u64>,
    /// Members that no path includes, with how many records have them.
    unmentioned: BTreeMap<String, u64>,
    /// Values that a transform dropped, by its place, action and path.
    dropped: BTreeMap<(Option<TextPosition>, String, String), u64>,
    /// Records that cannot be read, by reason.
    dead: BTreeMap<&'static str, u64>,
    filtered: u64,
    read: u64,
}

impl<'p> ProfileSample<'p> {
    /// Nothing is seen yet. `projection` is made of `section`, and `profile` is its text.
    pub fn new(
        stream: &'p Stream,
        section: &'p Section,
        projection: &'p Projection,
        profile: &'p ProfileText,
        rules: ReadRules,
        mask_secret: Option<&[u8]>,
    ) -> Self {
        Self {
            projector: RecordProjector::new(stream, projection, profile, rules, mask_secret),
            section,
            tape: Tape::default(),
            matched: vec![0; paths(section).count()],
            unmentioned: BTreeMap::new(),
            dropped: BTreeMap::new(),
            dead: BTreeMap::new(),
            filtered: 0,
            read: 0,
        }
    }

    /// Looks at one record.
    pub fn look_at(&mut self, record: &WholeRecord) {
        self.read += 1;
        let shown = match self.projector.show(record) {
            Ok(shown) => shown,
            Err(refusal) => {
                *self.dead.entry(refusal.reason.as_str()).or_default() += 1;
                return;
            }
        };
        self.filtered += u64::from(shown.filtered.is_some());
        let text = record.value.as_deref().unwrap_or_default();
        if self.tape.parse(text).is_ok() {
            let is_there = |placed: &Placed| placed.path.find(text, &self.tape) != Selected::Nothing;
            self.matched.iter_mut().zip(paths(self.section)).for_each(|(count, (_, placed))| *count += u64::from(is_there(placed)));
        }
        let mut unmentioned: Vec<String> = Vec::new();
        for member in shown.members.into_iter().filter(|member| member.outcome == MemberOutcome::Withheld) {
            match (member.action, member.by.as_str()) {
                (Some(action), _) => *self.dropped.entry((member.place, action, member.by)).or_default() += 1,
                (None, "not included") => unmentioned.push(general(&member.path)),
                (None, _) => {}
            }
        }
        unmentioned.sort_unstable();
        unmentioned.dedup();
        unmentioned.into_iter().for_each(|member| *self.unmentioned.entry(member).or_default() += 1);
    }

    /// What was found, in the order of the profile; how many records were looked at comes first.
    pub fn findings(&self) -> Vec<SampleFinding> {
        let of_all = format!("of {}", records(self.read));
        let mut findings = Vec::new();
        let mut find = |what: String, place: Option<TextPosition>| findings.push(SampleFinding { what, place });
        for (reason, count) in &self.dead {
            find(format!("{count} {of_all} cannot be read: {reason}"), None);
        }
        if self.filtered > 0 {
            find(format!("`when` withholds {} {of_all}", self.filtered), None);
        }
        for ((kind, placed), _) in paths(self.section).zip(&self.matched).filter(|(_, count)| **count == 0) {
            find(format!("{kind} {} never matched in {}", placed.written, records(self.read)), Some(placed.place));
        }
        for ((place, action, by), count) in &self.dropped {
            let values = if *count == 1 { "value" } else { "values" };
            find(format!("{action} at {by} dropped {count} {values}"), *place);
        }
        for (member, count) in &self.unmentioned {
            find(format!("no path includes {member}, which {count} {of_all} have"), None);
        }
        findings
    }
}

fn records(count: u64) -> String {
    if count == 1 { "1 record".to_owned() } else { format!("{count} records") }
}

/// Every path of a section, with what it does.
fn paths(section: &Section) -> impl Iterator<Item = (&'static str, &Placed)> {
    let include = section.include.iter().map(|placed| ("include", placed));
    let exclude = section.exclude.iter().map(|placed| ("exclude", placed));
    let transforms = section.transforms.iter().flat_map(|transform| transform.paths.iter().map(|placed| (transform.action.word(), placed)));
    include.chain(exclude).chain(transforms)
}

/// A member's path with `[*]` for its place in an array.
fn general(path: &str) -> String {
    let (mut general, mut rest) = (String::new(), path);
    while let Some(at) = rest.find('[') {
        general.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = if rest.starts_with("['") { end_of_name(rest) } else { rest.find(']').map_or(rest.len(), |end| end + 1) };
        general.push_str(if rest.starts_with("['") { &rest[..end] } else { "[*]" });
        rest = &rest[end..];
    }
    general + rest
}

/// Where a quoted name in brackets ends.
fn end_of_name(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(2) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'\'' => return (at + 2).min(text.len()),
            _ => {}
        }
    }
    text.len()
}
