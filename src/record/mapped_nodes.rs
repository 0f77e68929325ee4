//! Which values of a record the mapping of its stream names.

use rustc_hash::FxHashMap;

use super::mapping::{FieldSource, Stream};
use crate::id::StreamIndex;
use crate::json::path::{Path, Selected};
use crate::json::tape::{ShapeId, Tape};

/// What the mapped paths select in one record; nothing where the mapping has no path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MappedNodes {
    pub(super) tenant: Selected,
    pub(super) asset: Selected,
    pub(super) time: Selected,
}

impl MappedNodes {
    /// Those of a record that was parsed.
    pub fn of(stream: &Stream, text: &[u8], tape: &Tape) -> Self {
        let [tenant, asset, time] = paths(stream).map(|path| path.map_or(Selected::Nothing, |path| path.find(text, tape)));
        Self { tenant, asset, time }
    }
}

/// The paths of the ids and of the event time.
fn paths(stream: &Stream) -> [Option<&Path>; 3] {
    let mapping = &stream.mapping;
    [path_of(&mapping.tenant), path_of(&mapping.asset), mapping.time.as_ref()]
}

fn path_of(source: &FieldSource) -> Option<&Path> {
    match source {
        FieldSource::Path(path) => Some(path),
        FieldSource::Key | FieldSource::KeyField | FieldSource::Header(_) => None,
    }
}

/// Memory for so many shapes; the next one makes room by emptying all.
const MAX_KNOWN: usize = 1024;

/// What was found in records of known shapes: a path without filters selects the same values in all records of one shape.
///
/// The streams are those of one configuration.
#[derive(Debug, Default)]
pub struct MappedNodeMemory {
    known: FxHashMap<(ShapeId, StreamIndex), MappedNodes>,
}

impl MappedNodeMemory {
    /// As `MappedNodes::of`.
    pub fn find(&mut self, stream: &Stream, text: &[u8], tape: &Tape) -> MappedNodes {
        let Some(shape) = tape.shape() else { return MappedNodes::of(stream, text, tape) };
        if let Some(known) = self.known.get(&(shape, stream.index)) {
            return *known;
        }
        let found = MappedNodes::of(stream, text, tape);
        if paths(stream).into_iter().flatten().all(|path| !path.has_filter()) {
            if self.known.len() >= MAX_KNOWN {
                self.known.clear();
            }
            self.known.insert((shape, stream.index), found);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::StreamName;
    use crate::record::mapping::{Mapping, Mode};

    fn stream(index: u8, tenant: &str, asset: &str, time: Option<&str>) -> Stream {
        let path = |text: &str| Path::parse(text).unwrap();
        let source = |text: &str| if text == "key" { FieldSource::Key } else { FieldSource::Path(path(text)) };
        let mapping = Mapping {
            tenant: source(tenant),
            asset: source(asset),
            key_format: None,
            time: time.map(path),
            rewrite_tenant: Vec::new(),
            rewrite_asset: Vec::new(),
        };
        let name = StreamName::parse("telemetry").unwrap();
        Stream { name, index: StreamIndex(index), mode: Mode::Append, topic: "telemetry.raw".to_owned(), mapping }
    }

    fn value() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "1",
            "22",
            r#""x""#,
            r#""yy""#,
            "null",
            "true",
            r#"{"b":1}"#,
            r#"{"b":"x","b":2}"#,
            "[]",
            "[1]",
            r#"[{"b":"x"}]"#,
            r#"[{"b":"yy"}]"#,
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        /// Records of few shapes, again and again, of several streams.
        #[test]
        fn what_is_remembered_is_what_is_found(
            records in prop::collection::vec(prop::collection::vec((prop::sample::select(vec!["a", "b", "c"]), value()), 0..4), 1..60)
        ) {
            let streams = [
                stream(0, "$.a", "$.b", Some("$.c")),
                stream(1, "key", "$.a.b", None),
                stream(2, "$.b", "$.a[?@.b=='x']", Some("$.a")),
            ];
            let (mut tape, mut memory) = (Tape::remembering(), MappedNodeMemory::default());
            for (at, members) in records.iter().chain(&records).chain(&records).enumerate() {
                let members: Vec<String> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
                let text = format!("{{{}}}", members.join(","));
                tape.parse(text.as_bytes()).unwrap();
                let stream = &streams[at % streams.len()];
                let found = MappedNodes::of(stream, text.as_bytes(), &tape);
                prop_assert_eq!(memory.find(stream, text.as_bytes(), &tape), found, "{} of {}", text, stream.index.0);
            }
        }
    }
}
