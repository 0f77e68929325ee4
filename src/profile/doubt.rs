//! What a profile may say and hardly means: it passes, and is warned about.

use super::spec::{Placed, ProfileSpec, Section};
use crate::document::TextPosition;
use crate::json::path::{Path, Segment};
use crate::record::mapping::Stream;

/// One thing to be warned about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What has no effect, and what to write instead.
    pub what: String,
    /// Where it was written.
    pub place: TextPosition,
}

impl ProfileSpec {
    /// Transforms that nothing reaches, and hashes without a key, in the order written.
    pub fn doubts(&self, streams: &[Stream], has_mask_secret: bool) -> Vec<Doubt> {
        self.sections().iter().flat_map(|section| doubts_of(section, streams, has_mask_secret)).collect()
    }
}

impl Section {
    /// The includes that can select something at or inside a path, as they were written, and where.
    pub fn includes_of(&self, path: &Path) -> Vec<(&str, TextPosition)> {
        let meeting = self.include.iter().filter(|include| may_meet(&include.path, path));
        meeting.map(|include| (include.written.as_str(), include.place)).collect()
    }
}

fn doubts_of(section: &Section, streams: &[Stream], has_mask_secret: bool) -> Vec<Doubt> {
    let time = streams.iter().find(|stream| stream.name.as_str() == section.stream).and_then(|stream| stream.mapping.time.as_ref());
    let mut doubts = Vec::new();
    for transform in &section.transforms {
        for Placed { path, place, .. } in &transform.paths {
            if !is_reached(path, section, time) {
                let what = format!(
                    "section `{}`: this transform does nothing, since no include selects its path, or an exclude takes it back",
                    section.stream
                );
                doubts.push(Doubt { what, place: *place });
            }
        }
        if let (true, false, Some(Placed { place, .. })) =
            (transform.action.disclosure().is_of_one_target, has_mask_secret, transform.paths.first())
        {
            let what = format!(
                "section `{}`: `mask: hash` drops the member, since no `mask.secret` is configured: configure one, or write another mask",
                section.stream
            );
            doubts.push(Doubt { what, place: *place });
        }
    }
    doubts
}

/// Whether a record can have a value at this path that is in the output before its transforms.
fn is_reached(path: &Path, section: &Section, time: Option<&Path>) -> bool {
    if time.is_some_and(|time| may_meet(path, time)) {
        return true;
    }
    let is_included = section.include.iter().any(|include| may_meet(path, &include.path));
    is_included && !section.exclude.iter().any(|exclude| covers(&exclude.path, path))
}

/// Whether one of the two can be the other or lie inside it.
pub(crate) fn may_meet(one: &Path, other: &Path) -> bool {
    one.segments.iter().zip(&other.segments).all(|pair| match pair {
        (Segment::Name(a), Segment::Name(b)) => a.text == b.text,
        _ => true,
    })
}

/// Whether everything at `path` is at or inside what `outer` selects, whatever the record.
pub(crate) fn covers(outer: &Path, path: &Path) -> bool {
    outer.segments.len() <= path.segments.len()
        && outer.segments.iter().zip(&path.segments).all(|(outer, inner)| match (outer, inner) {
            (Segment::Wildcard, _) => true,
            (outer, inner) => outer == inner,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{StreamIndex, StreamName};
    use crate::json::document;
    use crate::record::mapping::{FieldSource, Mapping, Mode};

    fn doubts(section: &str, has_secret: bool) -> Vec<String> {
        let text = format!(r#"{{"telemetry":{section}}}"#);
        let spec = ProfileSpec::read(&document::parse(text.as_bytes()).unwrap()).unwrap();
        let mapping = Mapping {
            tenant: FieldSource::Key,
            asset: FieldSource::Key,
            key_format: None,
            time: Some(Path::parse("$.ts").unwrap()),
            rewrite_tenant: Vec::new(),
            rewrite_asset: Vec::new(),
        };
        let name = StreamName::parse("telemetry").unwrap();
        let stream = Stream { name, index: StreamIndex(0), mode: Mode::Append, topic: "t".to_owned(), mapping };
        spec.doubts(&[stream], has_secret).into_iter().map(|doubt| doubt.what).collect()
    }

    #[test]
    fn a_transform_that_nothing_reaches_is_warned_about() {
        for (include, exclude, path, is_idle) in [
            (r#""$.engine""#, "", "$.position.lat", true),
            (r#""$.engine""#, "", "$.engine.rpm", false),
            (r#""$.engine.rpm""#, "", "$.engine", false),
            (r#""$.engine.rpm""#, "", "$.engine.hours", true),
            (r#""$""#, "", "$.x", false),
            ("", "", "$.x", true),
            (r#""$.*.rpm""#, "", "$.engine.rpm", false),
            (r#""$.*.rpm""#, "", "$.engine.hours", true),
            (r#""$.a[?@.b==1]""#, "", "$.a.c", false),
            (r#""$""#, r#""$.a""#, "$.a.b", true),
            (r#""$""#, r#""$.a.*""#, "$.a.b", true),
            (r#""$""#, r#""$.a.*""#, "$.a", false),
            (r#""$""#, r#""$.a[?@.b==1]""#, "$.a.c", false),
            // The event time is always written, and transforms touch it.
            ("", "", "$.ts", false),
        ] {
            let section = format!(r#"{{"include":[{include}],"exclude":[{exclude}],"transform":[{{"path":"{path}","round":1}}]}}"#);
            assert_eq!(doubts(&section, true).len(), usize::from(is_idle), "{section}");
        }
    }

    #[test]
    fn a_hash_without_a_secret_is_warned_about() {
        let section = r#"{"include":["$"],"transform":[{"path":"$.a","mask":"hash"},{"path":"$.b","mask":"redact"}]}"#;
        assert_eq!(doubts(section, true), [""; 0]);
        assert!(matches!(doubts(section, false).as_slice(), [one] if one.contains("mask.secret")));
    }
}
