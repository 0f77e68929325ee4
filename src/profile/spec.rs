//! A sharing profile as its owner wrote it.

mod rename;

use self::rename::check_renames;
use super::action::{Action, Mask};
use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::StreamName;
use crate::json::document::write;
use crate::json::path::Path;
use crate::json::step::Step;
use crate::profile::condition::Condition;
use crate::record::mapping::Mode;
use crate::time::Period;
use std::sync::Arc;

/// Why a profile is refused (`invalid_profile`), where, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SpecError {
    /// What is wrong and what to write instead.
    pub what: String,
    /// Where it is.
    pub place: TextPosition,
    /// Of a condition, the byte inside its text.
    pub at: usize,
}

/// A profile's sections as written, checked as docs/rules/profiles.md#publishing says.
#[derive(Debug, Clone)]
pub struct ProfileSpec {
    /// In the order written; no stream twice.
    sections: Vec<Section>,
}

/// What a profile says of one stream.
#[derive(Debug, Clone)]
pub struct Section {
    /// The stream's name, configured or not.
    pub stream: String,
    /// What is selected, besides identity and time.
    pub(crate) include: Vec<Placed>,
    /// Where `include` is written; of a section without one, where the section is.
    pub(crate) include_place: TextPosition,
    /// What is not, whatever `include` says.
    pub(crate) exclude: Vec<Placed>,
    /// In the order in which they apply to one member (docs/rules/profiles.md#the-order-of-transforms).
    pub(crate) transforms: Vec<Transform>,
    /// `when`: records of which it is not true do not leave.
    pub(crate) condition: Option<Arc<Condition>>,
    /// `sample: { every: P }`.
    pub(crate) sample: Option<Sample>,
}

/// How often records leave, and where that was written.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    /// At most one record leaves in each period of event time; above zero.
    pub(crate) every: Period,
    /// As its owner wrote it.
    pub(crate) written: String,
    pub(crate) place: TextPosition,
}

impl Section {
    /// The section that the built-in profile `all` has for every stream.
    pub fn all() -> Self {
        let root = Placed { path: Path::root(), place: TextPosition::default(), written: "$".to_owned() };
        Self { include: vec![root], ..Self::empty(String::new()) }
    }

    fn empty(stream: String) -> Self {
        let (include, exclude, transforms) = (Vec::new(), Vec::new(), Vec::new());
        Self { stream, include, include_place: TextPosition::default(), exclude, transforms, condition: None, sample: None }
    }
}

/// A path and where it was written.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) path: Path,
    pub(crate) place: TextPosition,
    /// As its owner wrote it.
    pub(crate) written: String,
}

/// One entry of `transform`.
#[derive(Debug, Clone)]
pub(crate) struct Transform {
    pub(crate) paths: Vec<Placed>,
    pub(crate) action: Action,
    /// The action's value as its owner wrote it: a string's text, or JSON.
    pub(crate) argument: String,
}

impl ProfileSpec {
    /// Reads `profile.published.spec`, or a profile file. Of a repeated member the last counts (docs/rules/events.md#event-data).
    pub fn read(node: &Node) -> Result<Self, SpecError> {
        let sections = last_members(map(node, "a profile")?).into_iter().map(read_section).collect::<Result<_, _>>()?;
        Ok(Self { sections })
    }

    /// Whether there is a section for this stream.
    pub fn has_section(&self, stream: &str) -> bool {
        self.section(stream).is_some()
    }

    /// The section for this stream.
    pub fn section(&self, stream: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.stream == stream)
    }

    /// Whether every section suits the mode of its stream, where there is one: documents of an upsert stream are a state, of which no
    /// sample can be taken.
    pub fn check_modes(&self, mode: impl Fn(&str) -> Option<Mode>) -> Result<(), SpecError> {
        for Section { stream, sample, .. } in &self.sections {
            if let (Some(sample), Some(Mode::Upsert)) = (sample, mode(stream)) {
                let what = format!("{stream} is an upsert stream, which holds current documents: sample is for append streams");
                return Err(error(sample.place, what));
            }
        }
        Ok(())
    }

    /// All sections, those of streams that are not configured too.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }
}

/// Keys of a section.
pub const SECTION_KEYS: [&str; 5] = ["include", "exclude", "transform", "when", "sample"];
/// Keys of a transform that name paths.
pub const PATH_KEYS: [&str; 2] = ["path", "paths"];

closed_set! {
    /// The name of a transform's action.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ActionName;
    /// The key that it has in a profile.
    fn word;

    /// A number, to so many decimals.
    Round = "round",
    /// A time, down to a multiple.
    Truncate = "truncate",
    /// Something in the value's place.
    Mask = "mask",
    /// The same value under another name.
    Rename = "rename",
    /// A number, down to a multiple.
    Bucket = "bucket",
    /// A value that is given.
    Const = "const",
}

impl ActionName {
    fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.word() == word)
    }
}

fn read_section(member: &Member) -> Result<Section, SpecError> {
    if !StreamName::is_valid(&member.name) {
        let what =
            format!("`{}` is no stream: a section has the name of one, {}", member.name, "1 to 32 of a-z 0-9 -, beginning with a letter");
        return Err(error(member.place, what));
    }
    let mut section = Section { include_place: member.place, ..Section::empty(member.name.clone()) };
    for part in last_members(map(&member.value, "a section")?) {
        match part.name.as_str() {
            "include" => (section.include, section.include_place) = (read_paths(&part.value, "include")?, part.place),
            "exclude" => section.exclude = read_paths(&part.value, "exclude")?,
            "transform" => section.transforms = list(&part.value, "transform")?.iter().map(read_transform).collect::<Result<_, _>>()?,
            "when" => section.condition = Some(Arc::new(read_condition(&part.value)?)),
            "sample" => section.sample = Some(read_sample(&part.value)?),
            other => return Err(error(part.place, unknown("key", other, &SECTION_KEYS))),
        }
    }
    check_renames(&section)?;
    Ok(section)
}

fn read_condition(node: &Node) -> Result<Condition, SpecError> {
    let text = node.as_str().ok_or_else(|| {
        let what = format!("when takes a condition, a string such as \"record.ignition == true\", not {}", node.kind_name());
        error(node.place, what)
    })?;
    Condition::parse(text).map_err(|wrong| {
        let character = text.char_indices().take_while(|(at, _)| *at < wrong.at).count() + 1;
        SpecError { at: wrong.at, ..error(node.place, format!("when, character {character}: {wrong}")) }
    })
}

fn read_sample(node: &Node) -> Result<Sample, SpecError> {
    let refused = |place| error(place, "sample takes a period above 0 such as { every: 30s }, in ms, s, m, h or d");
    let DocumentKind::Map(members) = &node.kind else { return Err(refused(node.place)) };
    let members = last_members(members);
    if let Some(other) = members.iter().find(|member| member.name != "every") {
        return Err(error(other.place, unknown("key", &other.name, &["every"])));
    }
    let [member] = members[..] else { return Err(refused(node.place)) };
    let every = member.value.as_str().and_then(Period::parse).filter(|every| *every > Period::ZERO);
    every.map(|every| Sample { every, written: written(&member.value), place: node.place }).ok_or_else(|| refused(member.value.place))
}

fn read_transform(node: &Node) -> Result<Transform, SpecError> {
    let mut paths = None;
    let mut action = None;
    for part in last_members(map(node, "an entry of transform")?) {
        let name = part.name.as_str();
        if PATH_KEYS.contains(&name) {
            let read = if name == "path" { vec![read_path(&part.value)?] } else { read_paths(&part.value, "paths")? };
            if paths.replace(read).is_some() {
                return Err(error(part.place, "write either path or paths, not both"));
            }
        } else if let Some(known) = ActionName::of_word(name) {
            if action.replace((read_action(known, &part.value)?, written(&part.value))).is_some() {
                return Err(error(part.place, "one entry has one action: write an entry for each, in the order they apply"));
            }
        } else {
            let known: Vec<_> = PATH_KEYS.into_iter().chain(ActionName::ALL.map(ActionName::word)).collect();
            return Err(error(part.place, unknown("key or action", name, &known)));
        }
    }
    let paths = paths.ok_or_else(|| error(node.place, "an entry of transform needs a path: write path: $.name"))?;
    let (action, argument) = action.ok_or_else(|| {
        error(node.place, format!("an entry of transform needs an action: one of {}", ActionName::ALL.map(ActionName::word).join(", ")))
    })?;
    for Placed { path, place, .. } in &paths {
        if path.is_root() {
            return Err(error(*place, "a transform cannot take the whole record: write the path of a member"));
        }
        if action.disclosure().new_name.is_some() && path.split_name().is_none() {
            return Err(error(*place, "a path to rename must end in a name: write $.parent.name"));
        }
    }
    Ok(Transform { paths, action, argument })
}

fn written(value: &Node) -> String {
    let mut json = Vec::new();
    write(value, &mut json);
    value.as_str().map_or_else(|| String::from_utf8_lossy(&json).into_owned(), str::to_owned)
}

fn read_action(name: ActionName, value: &Node) -> Result<Action, SpecError> {
    let refused = |what: &str| error(value.place, what);
    match name {
        ActionName::Round => match plain_digits(value) {
            Some(places @ 0..=99) => Ok(Action::Round(places as u8)),
            _ => Err(refused("round takes the number of decimals: a whole number from 0 to 99")),
        },
        ActionName::Bucket => {
            let step = match &value.kind {
                DocumentKind::Number(text) => Step::parse(text),
                _ => None,
            };
            step.map(Action::Bucket).ok_or_else(|| {
                refused("bucket takes the size of a bucket: a number above 0, of at most 400 digits before and behind its point")
            })
        }
        ActionName::Truncate => {
            let step = value.as_str().and_then(Period::parse).filter(|step| *step > Period::ZERO);
            step.map(Action::Truncate).ok_or_else(|| refused("truncate takes a step above 0 such as 250ms, 10s, 1m, 1h or 1d"))
        }
        ActionName::Mask => read_mask(value).map(Action::Mask),
        ActionName::Rename => match value.as_str() {
            Some(new) => Ok(Action::Rename(new.to_owned())),
            None => Err(refused("rename takes the new name, a string")),
        },
        ActionName::Const if has_boundless_number(value) => Err(refused("const takes JSON whose numbers are finite as doubles")),
        ActionName::Const => Ok(Action::constant(value)),
    }
}

/// JSON text was read by docs/rules/values.md#json-that-is-read, YAML was not: a number beyond the doubles would make records that no one
/// reads.
fn has_boundless_number(node: &Node) -> bool {
    match &node.kind {
        DocumentKind::Number(text) => !text.parse::<f64>().is_ok_and(f64::is_finite),
        DocumentKind::List(items) => items.iter().any(has_boundless_number),
        DocumentKind::Map(members) => members.iter().any(|member| has_boundless_number(&member.value)),
        _ => false,
    }
}

fn read_mask(value: &Node) -> Result<Mask, SpecError> {
    let refused = || error(value.place, "mask takes hash, redact, null, { keep_last: 4 } or { keep_first: 2 }");
    if let DocumentKind::Map(members) = &value.kind {
        let members = last_members(members);
        let [member] = members[..] else { return Err(refused()) };
        let kept = plain_digits(&member.value);
        return match (member.name.as_str(), kept) {
            ("keep_last", Some(kept)) => Ok(Mask::KeepLast(kept)),
            ("keep_first", Some(kept)) => Ok(Mask::KeepFirst(kept)),
            ("keep_last" | "keep_first", None) => {
                Err(error(member.value.place, "it takes the number of characters to keep: a whole number from 0"))
            }
            (other, _) => Err(error(member.place, unknown("mask", other, &["keep_last", "keep_first"]))),
        };
    }
    match (&value.kind, value.as_str()) {
        (DocumentKind::Null, _) | (_, Some("null")) => Ok(Mask::Null),
        (_, Some("redact")) => Ok(Mask::Redact),
        (_, Some("hash")) => Ok(Mask::Hash),
        _ => Err(refused()),
    }
}

/// The value of a number written in plain digits; what is too large to matter is cut off.
fn plain_digits(node: &Node) -> Option<usize> {
    match &node.kind {
        DocumentKind::Number(text) if text.bytes().all(|b| b.is_ascii_digit()) => Some(text.parse().unwrap_or(usize::MAX)),
        _ => None,
    }
}

fn read_paths(node: &Node, what: &str) -> Result<Vec<Placed>, SpecError> {
    list(node, what)?.iter().map(read_path).collect()
}

fn read_path(node: &Node) -> Result<Placed, SpecError> {
    let text = node.as_str().ok_or_else(|| error(node.place, format!("a path is a string such as $.name, not {}", node.kind_name())))?;
    match Path::parse(text) {
        Ok(path) => Ok(Placed { path, place: node.place, written: text.to_owned() }),
        Err(wrong) => Err(error(node.place, format!("path {text}, character {}: {wrong}", wrong.at + 1))),
    }
}

fn map<'a>(node: &'a Node, what: &str) -> Result<&'a [Member], SpecError> {
    match &node.kind {
        DocumentKind::Map(members) => Ok(members),
        _ => Err(error(node.place, format!("{what} must be a map, not {}", node.kind_name()))),
    }
}

fn list<'a>(node: &'a Node, what: &str) -> Result<&'a [Node], SpecError> {
    let example = if what == "transform" { "[{ path: $.name, round: 1 }]" } else { "[$.name]" };
    let refused = || error(node.place, format!("{what} must be a list such as {example}, not {}; write [] for none", node.kind_name()));
    node.as_list().ok_or_else(refused)
}

/// Each name once, with its last value, in the order of the last ones.
fn last_members(members: &[Member]) -> Vec<&Member> {
    let mut seen = std::collections::HashSet::new();
    let mut last: Vec<_> = members.iter().rev().filter(|member| seen.insert(member.name.as_str())).collect();
    last.reverse();
    last
}

pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let nearest =
        known.iter().map(|key| (strsim::damerau_levenshtein(name, key), key)).min().filter(|(distance, key)| *distance <= key.len() / 2);
    match nearest {
        Some((_, key)) => format!("unknown {what} `{name}`: did you mean `{key}`?"),
        None => format!("unknown {what} `{name}`: there are {}", known.join(", ")),
    }
}

pub(super) fn error(place: TextPosition, what: impl Into<String>) -> SpecError {
    SpecError { what: what.into(), place, at: 0 }
}

#[cfg(test)]
mod tests;
