//! A profile's sections compiled for the configured streams.

use super::action::Action;
use super::condition::Condition;
use super::spec::{ProfileSpec, Section, Transform};
use super::trie::{RuleTrie, Rules, TrieBuilder};
use crate::id::{ProfileName, StreamIndex, TenantId};
use crate::json::path::Path;
use crate::json::tape::hash_name;
use crate::record::mapping::{FieldSource, Mapping, Stream};
use crate::time::Period;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A published profile, compiled once for all who use it.
#[derive(Debug)]
pub struct Profile {
    /// By stream index.
    sections: Vec<Option<Projection>>,
    /// As the table counts publications that changed something (`ShareTable::profiles`); 1 of the built-in one.
    revision: u32,
    /// By whom it is published, and as what.
    published: Option<(TenantId, ProfileName)>,
}

/// One section, compiled together with its stream's mapping.
#[derive(Debug)]
pub struct Projection {
    /// No two projections of a process have the same one, so that what was made for one is never taken for another's.
    pub(super) id: u64,
    pub(super) trie: RuleTrie,
    /// Of the name `_share`.
    pub(super) share_hash: u32,
    /// The section's transforms in their order (docs/rules/profiles.md#the-order-of-transforms); first those of the section that
    /// restricts it.
    pub(super) actions: Vec<Action>,
    /// Of `actions`, each of the section's own with each equal one of the section that restricts it: the later of the two does nothing
    /// to a member that has both. None but in `restricted`.
    repeats: Vec<(u32, u32)>,
    /// The mapping's event time, if a `truncate` may hit it.
    pub(super) time: Option<Path>,
    /// The section's `truncate` entries in their order (docs/rules/profiles.md#truncate).
    pub(super) truncates: Vec<Truncate>,
    /// The section's `when`: a record of which it is not true is withheld.
    pub condition: Option<Arc<Condition>>,
    /// That of the section that restricts it, which must hold as well.
    pub earlier_condition: Option<Arc<Condition>>,
    /// The section's `sample`, above zero: at most one record is released in each period of event time.
    pub sample: Option<Period>,
}

/// A `truncate`, seen from the time member.
#[derive(Debug)]
pub(super) struct Truncate {
    pub(super) step: Period,
    /// It does nothing where one of the other section with the same step hits (`Projection::restricted`).
    pub(super) is_later: bool,
    /// One of its paths is the mapping's: it hits every record.
    pub(super) always: bool,
    /// Otherwise its paths are tried on each record.
    pub(super) paths: Vec<Path>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Profile {
    /// Compiles the sections that configured streams have.
    pub fn compile(spec: &ProfileSpec, streams: &[Stream]) -> Self {
        Self::of(streams, |stream| Some(Projection::compile(spec.section(stream.name.as_str())?, &stream.mapping)))
    }

    /// The same as this revision of its table's.
    #[must_use]
    pub(crate) fn at_revision(self, revision: u32) -> Self {
        Self { revision, ..self }
    }

    /// Which of the publications under its name it is. Two tables that folded one log agree on it.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The built-in profile `all`: every stream, `include: [$]`.
    pub fn all(streams: &[Stream]) -> Self {
        let section = Section::all();
        Self::of(streams, |stream| Some(Projection::compile(&section, &stream.mapping)))
    }

    /// The same, with whose it is and what it is called.
    pub fn published_as(self, owner: TenantId, name: ProfileName) -> Self {
        Self { published: Some((owner, name)), ..self }
    }

    /// By whom it is published, and as what; none of the built-in one.
    pub fn published(&self) -> Option<(&TenantId, &ProfileName)> {
        self.published.as_ref().map(|(owner, name)| (owner, name))
    }

    /// The section of a stream, if the profile has one.
    pub fn section(&self, stream: StreamIndex) -> Option<&Projection> {
        self.sections.get(usize::from(stream.0))?.as_ref()
    }

    fn of(streams: &[Stream], projection: impl Fn(&Stream) -> Option<Projection>) -> Self {
        let mut sections = Vec::new();
        for stream in streams {
            let index = usize::from(stream.index.0);
            sections.resize_with(sections.len().max(index + 1), || None);
            sections[index] = projection(stream);
        }
        Self { sections, revision: 1, published: None }
    }
}

impl Projection {
    fn compile(section: &Section, mapping: &Mapping) -> Self {
        Self::of_sections(section, None, mapping)
    }

    /// Shows what both sections show: a member leaves if both select it, each by its own rules. What `earlier` does to a member is done
    /// first, but for its renames, then what `section` does besides (docs/rules/backfill.md#two-projections).
    pub fn restricted(section: &Section, earlier: &Section, mapping: &Mapping) -> Self {
        Self::of_sections(section, Some(earlier), mapping)
    }

    fn of_sections(section: &Section, earlier: Option<&Section>, mapping: &Mapping) -> Self {
        let (mut trie, everything) = (TrieBuilder::new(), Path::root());
        for (paths, rule) in [(&section.include, Rules::INCLUDE), (&section.exclude, Rules::EXCLUDE)] {
            paths.iter().for_each(|placed| trie.add(&placed.path, rule, None));
        }
        match earlier {
            None => trie.add(&everything, Rules::ALSO_INCLUDE, None),
            Some(earlier) => {
                for (paths, rule) in [(&earlier.include, Rules::ALSO_INCLUDE), (&earlier.exclude, Rules::ALSO_EXCLUDE)] {
                    paths.iter().for_each(|placed| trie.add(&placed.path, rule, None));
                }
            }
        }
        let is_kept = |transform: &&Transform| transform.action.disclosure().new_name.is_none();
        let before: Vec<&Transform> = earlier.into_iter().flat_map(|earlier| earlier.transforms.iter().filter(is_kept)).collect();
        for (index, transform) in before.iter().copied().chain(&section.transforms).enumerate() {
            let renames = transform.action.disclosure().new_name.is_some();
            for placed in &transform.paths {
                trie.add(&placed.path, Rules::TRANSFORM, Some((index as u32, renames)));
            }
        }
        add_mapping(&mut trie, mapping);
        let mut truncates = truncates(before.iter().copied(), false, mapping);
        truncates.extend(self::truncates(section.transforms.iter(), true, mapping));
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            trie: trie.finish(),
            share_hash: hash_name("_share"),
            actions: before.iter().copied().chain(&section.transforms).map(|transform| transform.action.clone()).collect(),
            repeats: repeats(&before, &section.transforms),
            time: mapping.time.clone().filter(|_| truncates.iter().any(|truncate| !truncate.always)),
            truncates,
            condition: section.condition.clone(),
            earlier_condition: earlier.and_then(|earlier| earlier.condition.clone()),
            sample: section.sample.as_ref().map(|sample| sample.every),
        }
    }

    /// Takes those transforms of a member out, from `first` on, that an earlier section has done to it already.
    #[inline(always)]
    pub(super) fn drop_repeats(&self, transforms: &mut Vec<u32>, first: usize) {
        if !self.repeats.is_empty() {
            self.drop_repeats_of(transforms, first);
        }
    }

    #[cold]
    fn drop_repeats_of(&self, transforms: &mut Vec<u32>, first: usize) {
        let mut kept = first;
        for at in first..transforms.len() {
            let of_both = |(later, earlier): &(u32, u32)| *later == transforms[at] && transforms[first..kept].contains(earlier);
            if !self.repeats.iter().any(of_both) {
                transforms[kept] = transforms[at];
                kept += 1;
            }
        }
        transforms.truncate(kept);
    }
}

/// Each transform of `later` with each of `earlier` that does the same, by their places in both lists one after the other.
fn repeats(earlier: &[&Transform], later: &[Transform]) -> Vec<(u32, u32)> {
    let mut repeats = Vec::new();
    for (at, transform) in later.iter().enumerate() {
        let equal = earlier.iter().enumerate().filter(|(_, other)| other.action == transform.action);
        repeats.extend(equal.map(|(other, _)| ((earlier.len() + at) as u32, other as u32)));
    }
    repeats
}

fn add_mapping<'a>(trie: &mut TrieBuilder<'a>, mapping: &'a Mapping) {
    for (source, rule) in [(&mapping.tenant, Rules::TENANT), (&mapping.asset, Rules::ASSET)] {
        if let FieldSource::Path(path) = source {
            trie.add(path, rule, None);
        }
    }
    for (paths, rule) in [(&mapping.rewrite_tenant, Rules::ALSO_TENANT), (&mapping.rewrite_asset, Rules::ALSO_ASSET)] {
        for path in paths {
            trie.add(path, rule, None);
        }
    }
    if let Some(path) = &mapping.time {
        trie.add(path, Rules::TIME, None);
    }
}

fn truncates<'t>(transforms: impl Iterator<Item = &'t Transform>, is_later: bool, mapping: &Mapping) -> Vec<Truncate> {
    let Some(time) = &mapping.time else { return Vec::new() };
    let truncate = |transform: &Transform| {
        let step = transform.action.disclosure().floors_timestamp?;
        let always = transform.paths.iter().any(|placed| placed.path == *time);
        let could_hit = |path: &Path| !always && path.segments.len() == time.segments.len();
        let paths = transform.paths.iter().map(|placed| &placed.path).filter(|path| could_hit(path)).cloned().collect();
        Some(Truncate { step, is_later, always, paths })
    };
    transforms.filter_map(truncate).filter(|truncate| truncate.always || !truncate.paths.is_empty()).collect()
}
