//! Members that the configuration marks as critical (`streams.X.critical`), and which of them a section lets out. They have no part in
//! deciding or projecting: a person is told, and confirms.

use super::doubt::may_meet;
use super::spec::{Placed, Section};
use crate::json::path::{Path, Segment};
use crate::record::mapping::{FieldSource, Mapping};

/// A path of `streams.X.critical`, of a member of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalPath {
    /// The path.
    pub path: Path,
    /// As it was written.
    pub written: String,
}

/// A critical path that a section lets out, in whole or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CriticalMember {
    /// The critical path, as the configuration has it.
    pub path: String,
    /// The includes that select it, as they were written; none where it is the event time, which always leaves.
    pub includes: Vec<String>,
    /// What is done to it or to a part of it: the path of the transform, and what the target sees. A masked member counts as let out.
    pub changes: Vec<(String, String)>,
}

impl CriticalMember {
    /// The same in one line.
    pub fn in_words(&self) -> String {
        let includes = match self.includes.as_slice() {
            [] => "is the event time, which always leaves".to_owned(),
            includes => format!("leaves by {}", includes.join(", ")),
        };
        let change = |(path, words): &(String, String)| if *path == self.path { words.clone() } else { format!("{path}: {words}") };
        let changes: Vec<String> = self.changes.iter().map(change).collect();
        let changes = if changes.is_empty() { String::new() } else { format!(" ({})", changes.join("; ")) };
        format!("{} {includes}{changes}", self.path)
    }
}

/// The critical paths of which a record can have something in the output of the section. Where a record decides (filters, wildcards) a
/// path counts; what becomes the target's id does not, and neither does a `when`: it withholds records, not members.
pub fn critical_members(section: &Section, critical: &[CriticalPath], mapping: &Mapping) -> Vec<CriticalMember> {
    critical.iter().filter_map(|critical| let_out(section, critical, mapping)).collect()
}

fn let_out(section: &Section, critical: &CriticalPath, mapping: &Mapping) -> Option<CriticalMember> {
    let CriticalPath { path, written } = critical;
    let selects = |include: &&Placed| {
        let region = Region::of(path, &include.path);
        region.is_some_and(|region| {
            let is_excluded = section.exclude.iter().any(|exclude| region.is_inside(&exclude.path));
            !is_excluded && !identity(mapping).any(|id| region.is_inside(id))
        })
    };
    let includes: Vec<String> = section.include.iter().filter(selects).map(|include| include.written.clone()).collect();
    let is_time = mapping.time.as_ref().is_some_and(|time| may_meet(path, time));
    if includes.is_empty() && !is_time {
        return None;
    }
    let mut changes = Vec::new();
    for transform in &section.transforms {
        for placed in transform.paths.iter().filter(|placed| may_meet(&placed.path, path)) {
            changes.push((placed.written.clone(), transform.action.in_words(&transform.argument)));
        }
    }
    Some(CriticalMember { path: written.clone(), includes, changes })
}

/// The paths of members that leave as the target's ids.
fn identity(mapping: &Mapping) -> impl Iterator<Item = &Path> {
    let mapped = [&mapping.tenant, &mapping.asset].into_iter().filter_map(|source| match source {
        FieldSource::Path(path) => Some(path),
        FieldSource::Key | FieldSource::KeyField | FieldSource::Header(_) => None,
    });
    mapped.chain(&mapping.rewrite_tenant).chain(&mapping.rewrite_asset)
}

/// What two paths have in common: at each step what both ask for, and then the rest of the longer one.
struct Region<'p>(Vec<(&'p Segment, Option<&'p Segment>)>);

impl<'p> Region<'p> {
    /// None where neither can be or lie inside the other.
    fn of(one: &'p Path, other: &'p Path) -> Option<Self> {
        if !may_meet(one, other) {
            return None;
        }
        let (long, short) = if one.segments.len() >= other.segments.len() { (one, other) } else { (other, one) };
        Some(Self(long.segments.iter().enumerate().map(|(at, segment)| (segment, short.segments.get(at))).collect()))
    }

    /// Whether all of it is at or inside what `outer` selects, whatever the record.
    fn is_inside(&self, outer: &Path) -> bool {
        let is_covered = |(outer, (one, other)): (&Segment, &(&Segment, Option<&Segment>))| {
            matches!(outer, Segment::Wildcard) || outer == *one || Some(outer) == *other
        };
        outer.segments.len() <= self.0.len() && outer.segments.iter().zip(&self.0).all(is_covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::document;
    use crate::profile::spec::ProfileSpec;

    fn words(section: &str, critical: &str) -> Vec<String> {
        let text = format!(r#"{{"telemetry":{section}}}"#);
        let spec = ProfileSpec::read(&document::parse(text.as_bytes()).unwrap()).unwrap();
        let path = |text: &str| Path::parse(text).unwrap();
        let mapping = Mapping {
            tenant: FieldSource::Path(path("$.tenant")),
            asset: FieldSource::Path(path("$.head.asset")),
            key_format: None,
            time: Some(path("$.ts")),
            rewrite_tenant: Vec::new(),
            rewrite_asset: vec![path("$.id")],
        };
        let critical = [CriticalPath { path: path(critical), written: critical.to_owned() }];
        critical_members(spec.section("telemetry").unwrap(), &critical, &mapping).iter().map(CriticalMember::in_words).collect()
    }

    #[test]
    fn what_an_include_reaches_and_no_exclude_takes_back_is_let_out() {
        for (include, exclude, critical, is_out) in [
            (r#""$.driver""#, "", "$.driver.badge", true),
            (r#""$.driver.badge""#, "", "$.driver", true),
            (r#""$.driver""#, "", "$.driver", true),
            (r#""$.engine""#, "", "$.driver", false),
            (r#""$""#, "", "$.driver", true),
            (r#""$""#, r#""$.driver""#, "$.driver.badge", false),
            (r#""$""#, r#""$.driver.badge""#, "$.driver", true),
            (r#""$.driver.badge""#, r#""$.driver.badge""#, "$.driver", false),
            (r#""$.driver.badge","$.driver.name""#, r#""$.driver.badge""#, "$.driver", true),
            (r#""$.*.badge""#, "", "$.driver", true),
            (r#""$.*.badge""#, r#""$.driver.badge""#, "$.driver", false),
            (r#""$.*.badge""#, r#""$.driver""#, "$.driver", false),
            (r#""$.driver""#, r#""$.*.badge""#, "$.driver.badge", false),
            (r#""$.a[?@.b==1]""#, "", "$.a.c", true),
            (r#""$.a[?@.b==1].v""#, r#""$.a[?@.b==1]""#, "$.a", false),
            (r#""$.a""#, r#""$.a[?@.b==1]""#, "$.a[*].v", true),
            (r#""$.a""#, r#""$.a[?@.b==1]""#, "$.a[?@.b==1].v", false),
            // What leaves as the target's id is not the owner's.
            (r#""$""#, "", "$.head.asset", false),
            (r#""$.head""#, "", "$.head", true),
            (r#""$.id""#, "", "$.id", false),
            ("", "", "$.ts", true),
        ] {
            let section = format!(r#"{{"include":[{include}],"exclude":[{exclude}]}}"#);
            assert_eq!(!words(&section, critical).is_empty(), is_out, "{section} {critical}");
        }
    }

    #[test]
    fn a_masked_member_counts_and_is_shown_with_its_mask() {
        let section = r#"{"include":["$.driver","$.x"],"transform":[{"path":"$.driver.badge","mask":"redact"},
            {"path":"$.driver","rename":"d"},{"path":"$.x","round":1}]}"#;
        assert_eq!(
            words(section, "$.driver.badge"),
            [r#"$.driver.badge leaves by $.driver ("***" in its place; $.driver: under the name d)"#]
        );
        assert_eq!(words(section, "$.ts"), ["$.ts is the event time, which always leaves"]);
    }
}
