//! The members that a section lets out, by the paths that they come out under.

use crate::json::path::{Name, Path, Segment};
use crate::profile::action::{Action, Mask};
use crate::profile::doubt::{covers, may_meet};
use crate::profile::preview::step_text;
use crate::profile::spec::{Section, Transform};
use crate::record::mapping::{FieldSource, Mapping};

/// One step of a path in the output.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OutStep {
    /// The member of this name.
    Name(String),
    /// Any member or element.
    Any,
}

/// Why a member is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberRole {
    /// It has the target's tenant id.
    Tenant,
    /// It has the target's asset id.
    Asset,
    /// It is the record's time.
    Time,
    /// It is included.
    Included,
}

/// What a value is, as far as the profile says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueForm {
    /// Whatever the owner's record has, and anything under it.
    Open,
    /// A number.
    Number,
    /// A string.
    String,
    /// A time, a string or a number.
    Time,
    /// Always this JSON.
    Always(String),
    /// One of several of these.
    Varies,
}

/// A member that may arrive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContractMember {
    /// Where.
    pub steps: Vec<OutStep>,
    /// Why.
    pub role: MemberRole,
    /// What.
    pub form: ValueForm,
    /// What was done to it, in the order in which it was done.
    pub changes: Vec<String>,
    /// Whether every record has it, under this name.
    pub is_always: bool,
}

impl ContractMember {
    /// The path, as JSONPath.
    pub fn path(&self) -> String {
        let step = |step: &OutStep| match step {
            OutStep::Name(name) => step_text(name),
            OutStep::Any => "[*]".to_owned(),
        };
        format!("${}", self.steps.iter().map(step).collect::<String>())
    }

    /// Of what comes out here it is true in part.
    fn hold_in_part(&mut self) {
        if self.form != ValueForm::Open {
            self.form = ValueForm::Varies;
        }
        if self.role != MemberRole::Included {
            self.changes = vec!["your id".to_owned()];
            self.role = MemberRole::Included;
        }
        for change in self.changes.iter_mut().filter(|change| !change.starts_with("in part ")) {
            *change = format!("in part {change}");
        }
        self.is_always = false;
    }

    /// What it is, in words.
    pub fn in_words(&self) -> String {
        let what = match (self.role, &self.form) {
            (MemberRole::Tenant, _) if self.is_always => "your tenant id, always there",
            (MemberRole::Tenant, _) => "your tenant id",
            (MemberRole::Asset, _) if self.is_always => "your id of the asset, always there",
            (MemberRole::Asset, _) => "your id of the asset",
            (MemberRole::Time, _) => "the time of the record",
            (MemberRole::Included, ValueForm::Open) if self.steps.is_empty() => "anything the owner's record has",
            (MemberRole::Included, ValueForm::Open) => "as the owner has it, and anything under it",
            (MemberRole::Included, ValueForm::Varies) => "as the owner has it, or changed",
            (MemberRole::Included, _) => "",
        };
        let changes = self.changes.join(", then ");
        match (what.is_empty(), changes.is_empty()) {
            (_, true) => what.to_owned(),
            (true, false) => changes,
            (false, false) => format!("{what}; {changes}"),
        }
    }
}

/// Everything that a section of a stream of this mapping can let out, by path. `_share` is not among it.
pub fn members(section: &Section, mapping: &Mapping) -> Vec<ContractMember> {
    let mut found = Vec::new();
    let builder = Builder { section, mapping };
    for include in &section.include {
        builder.included(&include.path, &mut found);
    }
    for (source, role) in [(&mapping.tenant, MemberRole::Tenant), (&mapping.asset, MemberRole::Asset)] {
        if let FieldSource::Path(path) = source {
            builder.add(path, role, &mut found);
        }
    }
    if let Some(time) = &mapping.time {
        builder.add(time, MemberRole::Time, &mut found);
        builder.replaced_around(time, &mut found);
    }
    for path in [&mapping.tenant, &mapping.asset].into_iter().filter_map(|source| match source {
        FieldSource::Path(path) => Some(path),
        FieldSource::Key | FieldSource::KeyField | FieldSource::Header(_) => None,
    }) {
        builder.replaced_around(path, &mut found);
    }
    merged(found)
}

/// One entry a path and role; where two differ the value varies.
fn merged(mut found: Vec<ContractMember>) -> Vec<ContractMember> {
    found.sort();
    found.dedup();
    let mut all: Vec<ContractMember> = Vec::new();
    for member in found {
        match all.last_mut().filter(|last| last.steps == member.steps) {
            Some(last) if last.role == MemberRole::Included && member.role == MemberRole::Included => {
                if last.form != member.form {
                    last.form = if [&last.form, &member.form].contains(&&ValueForm::Open) { ValueForm::Open } else { ValueForm::Varies };
                }
                let more = member.changes.into_iter().filter(|change| !last.changes.contains(change)).collect::<Vec<_>>();
                last.changes.extend(more);
            }
            // What the mapping names is that, whatever else selects it.
            Some(last) if member.role == MemberRole::Included && last.role != MemberRole::Included => {}
            _ => all.push(member),
        }
    }
    all
}

struct Builder<'s> {
    section: &'s Section,
    mapping: &'s Mapping,
}

impl Builder<'_> {
    fn included(&self, path: &Path, found: &mut Vec<ContractMember>) {
        let is_excluded = self.section.exclude.iter().any(|exclude| covers(&exclude.path, path));
        let is_share = matches!(path.segments.first(), Some(Segment::Name(name)) if name.text == "_share");
        if is_excluded || is_share {
            return;
        }
        self.add(path, self.role_of(path), found);
        self.replaced_around(path, found);
        // What is changed inside it has an entry of its own.
        for placed in self.section.transforms.iter().flat_map(|transform| &transform.paths) {
            let is_inside = placed.path.segments.len() > path.segments.len() && may_meet(&placed.path, path);
            if is_inside && !self.section.exclude.iter().any(|exclude| covers(&exclude.path, &placed.path)) {
                let narrowed = narrowed(path, &placed.path);
                let first = found.len();
                self.add(&narrowed, self.role_of(&narrowed), found);
                if is_part_of(&narrowed, path) {
                    found[first..].iter_mut().for_each(ContractMember::hold_in_part);
                }
            }
        }
        for (paths, role) in [(&self.mapping.rewrite_tenant, MemberRole::Tenant), (&self.mapping.rewrite_asset, MemberRole::Asset)] {
            for rewrite in paths.iter().filter(|rewrite| rewrite.segments.len() > path.segments.len() && may_meet(rewrite, path)) {
                let first = found.len();
                self.add(rewrite, role, found);
                if is_part_of(rewrite, path) {
                    found[first..].iter_mut().for_each(ContractMember::hold_in_part);
                }
            }
        }
    }

    /// A container on the way that a transform replaces comes out in one piece.
    fn replaced_around(&self, path: &Path, found: &mut Vec<ContractMember>) {
        for placed in self.section.transforms.iter().filter(|transform| !keeps(transform)).flat_map(|transform| &transform.paths) {
            if placed.path.segments.len() < path.segments.len() && may_meet(&placed.path, path) {
                let prefix = Path { segments: path.segments[..placed.path.segments.len()].to_vec() };
                self.add(&narrowed(&prefix, &placed.path), MemberRole::Included, found);
            }
        }
    }

    fn role_of(&self, path: &Path) -> MemberRole {
        let is = |source: &FieldSource| matches!(source, FieldSource::Path(mapped) if mapped == path);
        if is(&self.mapping.asset) || self.mapping.rewrite_asset.contains(path) {
            MemberRole::Asset
        } else if is(&self.mapping.tenant) || self.mapping.rewrite_tenant.contains(path) {
            MemberRole::Tenant
        } else if self.mapping.time.as_ref() == Some(path) {
            MemberRole::Time
        } else {
            MemberRole::Included
        }
    }

    /// An entry for every name that the path can come out under.
    fn add(&self, path: &Path, role: MemberRole, found: &mut Vec<ContractMember>) {
        let is_identity = matches!(role, MemberRole::Tenant | MemberRole::Asset);
        let mut ways: Vec<Vec<OutStep>> = vec![Vec::new()];
        for (at, segment) in path.segments.iter().enumerate() {
            let here = Path { segments: path.segments[..=at].to_vec() };
            let step = match segment {
                Segment::Name(name) => OutStep::Name(name.text.clone()),
                Segment::Wildcard | Segment::Filter(_) => OutStep::Any,
            };
            // Transforms do not touch the members that name tenant and asset.
            let is_untouched = is_identity && at + 1 == path.segments.len();
            let steps = if is_untouched { vec![step] } else { self.names(&here, step) };
            ways = ways.iter().flat_map(|way| steps.iter().map(move |step| way.iter().cloned().chain([step.clone()]).collect())).collect();
        }
        let (form, changes) = if is_identity { (ValueForm::String, Vec::new()) } else { self.value(path) };
        let is_always = self.is_always(path);
        let own = Path { segments: path.segments.clone() };
        for steps in ways {
            let is_renamed = matches!((steps.last(), own.segments.last()),
                (Some(OutStep::Name(new)), Some(Segment::Name(Name { text, .. }))) if new != text)
                || matches!((steps.last(), own.segments.last()), (Some(OutStep::Name(_)), Some(Segment::Wildcard | Segment::Filter(_))));
            let mut changes = changes.clone();
            if is_renamed {
                changes.push("renamed by its owner".to_owned());
            }
            found.push(ContractMember { steps, role, form: form.clone(), changes, is_always });
        }
    }

    /// What names tenant and asset is in every record that can be read, unless a transform has what it is in.
    fn is_always(&self, path: &Path) -> bool {
        let is_mapped = [&self.mapping.tenant, &self.mapping.asset]
            .into_iter()
            .any(|source| matches!(source, FieldSource::Path(mapped) if mapped == path));
        let mut around = self.section.transforms.iter().flat_map(|transform| &transform.paths);
        is_mapped && !around.any(|placed| placed.path.segments.len() < path.segments.len() && may_meet(&placed.path, path))
    }

    /// The names that the last step of a path can come out under.
    fn names(&self, path: &Path, step: OutStep) -> Vec<OutStep> {
        let mut names = Vec::new();
        let mut is_always_renamed = false;
        for transform in &self.section.transforms {
            let Some(new) = transform.action.disclosure().new_name else { continue };
            for placed in transform.paths.iter().filter(|placed| placed.path.segments.len() == path.segments.len()) {
                if may_meet(&placed.path, path) {
                    let name = OutStep::Name(new.to_owned());
                    // The last rename of a member names it.
                    if covers(&placed.path, path) {
                        is_always_renamed = true;
                        names.clear();
                    }
                    names.push(name);
                }
            }
        }
        // A rename that goes leaves the old name's place to nobody, but an identity member keeps its own.
        if !is_always_renamed {
            names.push(step);
        }
        names.sort();
        names.dedup();
        names
    }

    /// What the transforms at a path make of it.
    fn value(&self, path: &Path) -> (ValueForm, Vec<String>) {
        let (mut form, mut changes) = (ValueForm::Open, Vec::new());
        for Transform { paths, action, argument } in &self.section.transforms {
            let meeting = paths.iter().filter(|placed| placed.path.segments.len() == path.segments.len() && may_meet(&placed.path, path));
            let Some(is_sure) = meeting.map(|placed| covers(&placed.path, path)).reduce(|one, other| one || other) else { continue };
            let Some((made, words)) = told(action, argument) else { continue };
            form = match (is_sure, form) {
                (true, _) => made,
                (false, ValueForm::Open) => ValueForm::Open,
                (false, _) => ValueForm::Varies,
            };
            changes.push(if is_sure { words } else { format!("in part {words}") });
        }
        (form, changes)
    }
}

/// The path of which both hold, as long as the second.
fn narrowed(one: &Path, other: &Path) -> Path {
    let segment = |(at, own): (usize, &Segment)| match (one.segments.get(at), own) {
        (Some(Segment::Name(name)), _) => Segment::Name(name.clone()),
        _ => own.clone(),
    };
    Path { segments: other.segments.iter().enumerate().map(segment).collect() }
}

/// Whether a path that an include selects from a place on is not all that comes out under its steps: a filter tells values apart that
/// come out under one step, unless the include has the same.
fn is_part_of(path: &Path, include: &Path) -> bool {
    let is_filter = |(at, segment): (usize, &Segment)| matches!(segment, Segment::Filter(_)) && include.segments.get(at) != Some(segment);
    path.segments.iter().enumerate().any(is_filter)
}

fn keeps(transform: &Transform) -> bool {
    transform.action.disclosure().keeps_value
}

/// What an action leaves of a value, for the one who reads it; none of a rename, which leaves the value.
fn told(action: &Action, argument: &str) -> Option<(ValueForm, String)> {
    Some(match action {
        Action::Round(places) => (ValueForm::Number, format!("rounded to {places} decimals")),
        Action::Bucket(_) => (ValueForm::Number, format!("rounded down to a multiple of {argument}")),
        Action::Truncate(_) => (ValueForm::Time, format!("a time, rounded down to a multiple of {argument}")),
        Action::Mask(Mask::Redact) => (ValueForm::Always("\"***\"".to_owned()), "masked: always \"***\"".to_owned()),
        Action::Mask(Mask::Null) => (ValueForm::Always("null".to_owned()), "masked: always null".to_owned()),
        Action::Mask(Mask::Hash) => (ValueForm::String, "masked: a hash, 64 hexadecimal digits, the same for the same value".to_owned()),
        Action::Mask(Mask::KeepLast(kept)) => (ValueForm::String, format!("masked: only the last {kept} characters can be read")),
        Action::Mask(Mask::KeepFirst(kept)) => (ValueForm::String, format!("masked: only the first {kept} characters can be read")),
        Action::Const { json, .. } => {
            let json = String::from_utf8_lossy(json).into_owned();
            (ValueForm::Always(json.clone()), format!("always {json}"))
        }
        Action::Rename(_) => return None,
    })
}
