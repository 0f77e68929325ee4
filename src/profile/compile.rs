//! A profile's sections compiled for the configured streams.

use super::action::Action;
use super::condition::Condition;
use super::spec::{ProfileSpec, Section};
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
    /// The section's transforms in their order (docs/rules/profiles.md#the-order-of-transforms).
    pub(super) actions: Vec<Action>,
    /// The mapping's event time, if a `truncate` may hit it.
    pub(super) time: Option<Path>,
    /// The section's `truncate` entries in their order (docs/rules/profiles.md#truncate).
    pub(super) truncates: Vec<Truncate>,
    /// The section's `when`: a record of which it is not true is withheld.
    pub condition: Option<Arc<Condition>>,
    /// The section's `sample`, above zero: at most one record is released in each period of event time.
    pub sample: Option<Period>,
}

/// A `truncate`, seen from the time member.
#[derive(Debug)]
pub(super) struct Truncate {
    pub(super) step: Period,
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
        Self { sections, published: None }
    }
}

impl Projection {
    fn compile(section: &Section, mapping: &Mapping) -> Self {
        let mut trie = TrieBuilder::new();
        for (paths, rule) in [(&section.include, Rules::INCLUDE), (&section.exclude, Rules::EXCLUDE)] {
            for placed in paths {
                trie.add(&placed.path, rule, None);
            }
        }
        for (index, transform) in section.transforms.iter().enumerate() {
            let renames = transform.action.disclosure().new_name.is_some();
            for placed in &transform.paths {
                trie.add(&placed.path, Rules::TRANSFORM, Some((index as u32, renames)));
            }
        }
        add_mapping(&mut trie, mapping);
        let truncates = truncates(section, mapping);
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            trie: trie.finish(),
            share_hash: hash_name("_share"),
            actions: section.transforms.iter().map(|transform| transform.action.clone()).collect(),
            time: mapping.time.clone().filter(|_| truncates.iter().any(|truncate| !truncate.always)),
            truncates,
            condition: section.condition.clone(),
            sample: section.sample.as_ref().map(|sample| sample.every),
        }
    }
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

fn truncates(section: &Section, mapping: &Mapping) -> Vec<Truncate> {
    let Some(time) = &mapping.time else { return Vec::new() };
    let truncate = |transform: &super::spec::Transform| {
        let step = transform.action.disclosure().floors_timestamp?;
        let always = transform.paths.iter().any(|placed| placed.path == *time);
        let could_hit = |path: &Path| !always && path.segments.len() == time.segments.len();
        let paths = transform.paths.iter().map(|placed| &placed.path).filter(|path| could_hit(path)).cloned().collect();
        Some(Truncate { step, always, paths })
    };
    section.transforms.iter().filter_map(truncate).filter(|truncate| truncate.always || !truncate.paths.is_empty()).collect()
}
