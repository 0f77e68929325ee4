//! The projector against a slow model of docs/rules/profiles.md that tries every path on every value.

use crate::id::{Epoch, StreamIndex, StreamName};
use crate::json::document;
use crate::json::path::{Literal, Path, Segment};
use crate::profile::action::Action;
use crate::profile::compile::Profile;
use crate::profile::compile::Projection;
use crate::profile::mask::MaskKeys;
use crate::profile::parties::{Parties, Provenance};
use crate::profile::project::Projector;
use crate::profile::spec::{ProfileSpec, Section, Transform};
use crate::profile::value::{ActionContext, ValueKind, apply};
use crate::record::mapping::{FieldSource, Mapping, Mode, Stream};
use proptest::prelude::*;

/// A JSON value, scalars and names as they are spelled.
#[derive(Debug, Clone)]
enum Value {
    Scalar(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// A value with the unescaped name it stands under, if it is a member.
type ReferenceStep<'a> = (Option<String>, &'a Value);

fn text_of(spelled: &str) -> Option<String> {
    serde_json::from_str(spelled).ok()
}

impl Value {
    fn write(&self, blank: &mut dyn FnMut() -> &'static str, out: &mut String) {
        match self {
            Self::Scalar(spelled) => out.push_str(spelled),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(blank());
                    item.write(blank, out);
                    out.push_str(blank());
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(blank());
                    out.push_str(name);
                    out.push_str(blank());
                    out.push(':');
                    out.push_str(blank());
                    value.write(blank, out);
                }
                out.push_str(blank());
                out.push('}');
            }
        }
    }
}

struct Model<'a> {
    section: &'a Section,
    /// The section that restricts it.
    earlier: Option<&'a Section>,
    mapping: &'a Mapping,
    parties: Parties<'a>,
}

impl Model<'_> {
    fn record(&self, root: &Value) -> String {
        let Value::Object(members) = root else { panic!("a record is an object") };
        let kept = members.iter().filter(|(name, _)| text_of(name).unwrap() != "_share").cloned().collect();
        let root = Value::Object(kept);
        self.inside(&[(None, &root)])
    }

    /// What a container shows, brackets included.
    fn inside<'v>(&self, chain: &[ReferenceStep<'v>]) -> String {
        let extended = |name: Option<String>, value: &'v Value| {
            let mut longer = chain.to_vec();
            longer.push((name, value));
            longer
        };
        match chain.last().unwrap().1 {
            Value::Scalar(spelled) => spelled.clone(),
            Value::Array(items) => {
                let shown: Vec<_> = items.iter().filter_map(|item| self.value(&extended(None, item))).collect();
                format!("[{}]", shown.join(","))
            }
            Value::Object(members) => {
                let longer = |name: &str, value: &'v Value| extended(text_of(name), value);
                let is_identity = |name: &str, value: &'v Value| self.id_of(&longer(name, value)).is_some();
                let new_name =
                    |name: &str, value: &'v Value| if is_identity(name, value) { None } else { self.new_name(&longer(name, value)) };
                let mut shown = Vec::new();
                for (name, value) in members {
                    let Some(json) = self.value(&longer(name, value)) else { continue };
                    let renamed = new_name(name, value);
                    let is_barred = renamed.as_ref().is_some_and(|new| {
                        let is_sibling =
                            |(other, value): &'v (String, Value)| text_of(other).as_ref() == Some(new) && is_identity(other, value);
                        members.iter().any(is_sibling) || self.is_mapped_name(chain, new)
                    });
                    if !is_barred {
                        shown.push((name, renamed, json));
                    }
                }
                let arrived: Vec<_> = shown.iter().filter_map(|(_, renamed, _)| renamed.clone()).collect();
                shown.retain(|(name, renamed, _)| renamed.is_some() || !arrived.contains(&text_of(name).unwrap()));
                let written = shown.iter().map(|(name, renamed, json)| match renamed {
                    Some(new) => format!("{}:{json}", serde_json::to_string(new).unwrap()),
                    None => format!("{name}:{json}"),
                });
                format!("{{{}}}", written.collect::<Vec<_>>().join(","))
            }
        }
    }

    fn value(&self, chain: &[ReferenceStep<'_>]) -> Option<String> {
        let inside = self.inside(chain);
        let around = |paths: &[crate::profile::spec::Placed]| {
            (1..=chain.len()).any(|end| paths.iter().any(|placed| selects(&placed.path, &chain[..end])))
        };
        let is_time = self.mapping.time.as_ref().is_some_and(|path| selects(path, chain));
        let mut sections = [Some(self.section), self.earlier].into_iter().flatten();
        let is_selected = is_time || sections.all(|section| around(&section.include) && !around(&section.exclude));
        let is_container = !matches!(chain.last().unwrap().1, Value::Scalar(_));
        let is_in_output = is_selected || (is_container && inside.len() > 2);
        if let Some((id, is_mapped)) = self.id_of(chain) {
            return (is_mapped || is_in_output).then(|| serde_json::to_string(id).unwrap());
        }
        if !is_in_output {
            return None;
        }
        let mut kind = match inside.as_bytes()[0] {
            b'"' => ValueKind::String,
            b'-' | b'0'..=b'9' => ValueKind::Number,
            _ => ValueKind::Other,
        };
        let mut json = inside.into_bytes();
        for action in self.actions(chain) {
            let mut made = Vec::new();
            let (mut keys, mut unescaped) = (MaskKeys::new(Some(b"secret")), String::new());
            kind = apply(
                action,
                kind,
                &json,
                &mut ActionContext { keys: &mut keys, parties: &self.parties, unescaped: &mut unescaped },
                &mut made,
            )?;
            json = made;
        }
        Some(String::from_utf8(json).unwrap())
    }

    /// What the earlier section does to a member but rename it, then what this one does besides.
    fn actions<'b>(&'b self, chain: &'b [ReferenceStep<'b>]) -> Vec<&'b Action> {
        let hits = |transform: &&Transform| transform.paths.iter().any(|placed| selects(&placed.path, chain));
        let of = |section: &'b Section| section.transforms.iter().filter(hits).map(|transform| &transform.action);
        let mut actions: Vec<&Action> =
            self.earlier.into_iter().flat_map(of).filter(|action| !matches!(action, Action::Rename(_))).collect();
        let done = actions.clone();
        actions.extend(of(self.section).filter(|action| !done.contains(action)));
        actions
    }

    fn new_name(&self, chain: &[ReferenceStep<'_>]) -> Option<String> {
        self.actions(chain).into_iter().rev().find_map(|action| if let Action::Rename(name) = action { Some(name.clone()) } else { None })
    }

    /// The id that a value becomes, and whether the mapping itself names it.
    fn id_of(&self, chain: &[ReferenceStep<'_>]) -> Option<(&str, bool)> {
        let mapped = |source: &FieldSource| matches!(source, FieldSource::Path(path) if selects(path, chain));
        let also = |paths: &[Path]| paths.iter().any(|path| selects(path, chain));
        let (tenant, asset) = (mapped(&self.mapping.tenant), mapped(&self.mapping.asset));
        let is_mapped = tenant || asset;
        if asset || also(&self.mapping.rewrite_asset) {
            return Some((self.parties.target_asset, is_mapped));
        }
        (tenant || also(&self.mapping.rewrite_tenant)).then_some((self.parties.target, is_mapped))
    }

    fn is_mapped_name(&self, parent: &[ReferenceStep<'_>], name: &str) -> bool {
        let sources = [&self.mapping.tenant, &self.mapping.asset]
            .into_iter()
            .filter_map(|source| if let FieldSource::Path(path) = source { Some(path) } else { None });
        sources.chain(&self.mapping.rewrite_tenant).chain(&self.mapping.rewrite_asset).any(|path| match path.segments.split_last() {
            Some((Segment::Name(last), before)) => last.text == name && selects(&Path { segments: before.to_vec() }, parent),
            Some((Segment::Wildcard, before)) => selects(&Path { segments: before.to_vec() }, parent),
            _ => false,
        })
    }
}

/// Whether a path selects the value that a chain from the root leads to.
fn selects(path: &Path, chain: &[ReferenceStep<'_>]) -> bool {
    path.segments.len() == chain.len() - 1
        && path.segments.iter().zip(&chain[1..]).all(|(segment, (name, value))| match segment {
            Segment::Name(wanted) => name.as_ref() == Some(&wanted.text),
            Segment::Wildcard => true,
            Segment::Filter(filter) => match value {
                Value::Object(members) => {
                    members.iter().any(|(key, value)| text_of(key).unwrap() == filter.key.text && equals(value, &filter.literal))
                }
                _ => false,
            },
        })
}

fn equals(value: &Value, literal: &Literal) -> bool {
    let Value::Scalar(spelled) = value else { return false };
    let value: serde_json::Value = serde_json::from_str(spelled).unwrap();
    match literal {
        Literal::Null => value.is_null(),
        Literal::True => value == true,
        Literal::False => value == false,
        Literal::Number(number) => value.as_f64().is_some() && value.as_f64() == number.parse().ok(),
        Literal::String(text) => value == text.as_str(),
    }
}

const SPELLED: [&str; 11] =
    [r#""a""#, r#""b""#, r#""c""#, r#""a""#, r#""b""#, r#""c""#, r#""\u0061""#, r#""d""#, r#""_share""#, r#""_sh\u0061re""#, r#""é""#];
const SCALARS: [&str; 12] = [
    "1",
    "1.0",
    "-2.50",
    "1e2",
    r#""x""#,
    r#""\u0078""#,
    r#""SN-1\"2""#,
    "true",
    "null",
    r#""2026-01-01T00:00:59Z""#,
    "1767225659.5",
    r#""""#,
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop::sample::select(SCALARS.to_vec()).prop_map(|spelled| Value::Scalar(spelled.to_owned()));
    leaf.prop_recursive(
        4,
        40,
        5,
        |inner| prop_oneof![1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array), 3 => object(inner)],
    )
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let name = prop::sample::select(SPELLED.to_vec()).prop_map(str::to_owned);
    prop::collection::vec((name, inner), 0..6).prop_map(Value::Object)
}

fn path() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(vec![".a", ".b", ".c", ".a", ".b", ".c", ".d", ".é", "['_share']"]);
    let filter = prop::sample::select(vec!["[?@.a==1]", "[?@.b=='x']", "[?@.a==null]", "[?@.c==true]"]);
    let segment = prop_oneof![12 => name(), 2 => Just(".*"), 1 => filter];
    let length = prop::sample::select(vec![0usize, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
    length
        .prop_flat_map(move |length| prop::collection::vec(segment.clone(), length))
        .prop_map(|segments| format!("${}", segments.concat()))
}

fn paths(range: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(path(), range)
}

fn transform() -> impl Strategy<Value = String> {
    let action = prop::sample::select(vec![
        r#""round":0"#,
        r#""bucket":0.5"#,
        r#""truncate":"1m""#,
        r#""mask":"hash""#,
        r#""mask":"redact""#,
        r#""mask":null"#,
        r#""mask":{"keep_last":2}"#,
        r#""const":{"a":1.0}"#,
        r#""const":7"#,
        r#""rename":"a""#,
        r#""rename":"b""#,
        r#""rename":"d""#,
        r#""rename":"n\"w""#,
        r#""rename":"é""#,
        r#""rename":"c""#,
    ]);
    (path(), action).prop_map(|(path, action)| format!(r#"{{"path":"{path}",{action}}}"#))
}

fn quoted(paths: &[String]) -> String {
    paths.iter().map(|path| format!("\"{path}\"")).collect::<Vec<_>>().join(",")
}

fn parsed(paths: &[String]) -> Vec<Path> {
    paths.iter().map(|path| Path::parse(path).unwrap()).collect()
}

fn source(paths: &[String]) -> FieldSource {
    // The root is no id of anything.
    paths.first().filter(|path| *path != "$").map_or(FieldSource::Key, |path| FieldSource::Path(Path::parse(path).unwrap()))
}

fn stream(mapping: Mapping) -> Stream {
    Stream { name: StreamName::parse("t").unwrap(), index: StreamIndex(0), mode: Mode::Append, topic: "t.raw".to_owned(), mapping }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20 * ProptestConfig::default().cases))]

    #[test]
    fn the_projector_shows_what_the_model_shows(
        record in object(value()),
        (include, exclude, transforms) in (paths(0..5), paths(0..3), prop::collection::vec(transform(), 0..5)),
        (tenant, asset, time) in (paths(0..2), paths(0..2), paths(0..2)),
        (also_tenant, also_asset) in (paths(0..2), paths(0..2)),
        blanks in prop::collection::vec(prop::sample::select(vec!["", "", "", " ", "\n\t"]), 0..20),
    ) {
        let sections = format!(r#"{{"t":{{"include":[{}],"exclude":[{}],"transform":[{}]}}}}"#, quoted(&include), quoted(&exclude), transforms.join(","));
        let Ok(spec) = ProfileSpec::read(&document::parse(sections.as_bytes()).unwrap()) else { return Ok(()) };
        let not_root = |paths: &[String]| parsed(paths).into_iter().filter(|path| !path.is_root()).collect::<Vec<_>>();
        let mapping = Mapping {
            tenant: source(&tenant),
            asset: source(&asset),
            key_format: None,
            time: not_root(&time).pop(),
            rewrite_tenant: not_root(&also_tenant),
            rewrite_asset: not_root(&also_asset),
        };
        // An event time is no container (docs/rules/records.md#event-time).
        prop_assume!(!is_container_at(&record, mapping.time.as_ref()));
        let parties = Parties { owner: "northwind", target: "acme", target_asset: "EX \"1\"" };
        let mut text = String::new();
        let mut blanks = blanks.into_iter();
        record.write(&mut || blanks.next().unwrap_or(""), &mut text);
        let expected = Model { section: spec.section("t").unwrap(), earlier: None, mapping: &mapping, parties }.record(&record);

        let profile = Profile::compile(&spec, &[stream(mapping)]);
        let projection = profile.section(StreamIndex(0)).unwrap();
        let mut projector = Projector::new(Some(b"secret"));
        projector.load(text.as_bytes()).unwrap();
        for _ in 0..2 {
            let mut out = Vec::new();
            projector.project(text.as_bytes(), projection, &parties, None, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected.clone(), "{} of {}", sections, text);
        }
        let provenance = Provenance { share: "s1", revision: 2, epoch: Epoch(-1), permission: None, backfill: None };
        let mut out = Vec::new();
        projector.project(text.as_bytes(), projection, &parties, Some(&provenance), &mut out);
        let comma = if expected == "{}" { "" } else { "," };
        prop_assert_eq!(String::from_utf8(out).unwrap(), format!(r#"{}{comma}"_share":{{"id":"s1","rev":2,"epoch":-1}}}}"#, &expected[..expected.len() - 1]));
    }
}

/// Transforms of which two sections take some each, so that they often have one in common; a hash twice is no hash once.
fn pool() -> impl Strategy<Value = Vec<String>> {
    let hash = path().prop_map(|path| format!(r#"{{"path":"{path}","mask":"hash"}}"#));
    prop::collection::vec(prop_oneof![2 => transform(), 1 => hash], 6)
}

/// A section's paths, and which of the transforms it takes, in which order.
fn section() -> impl Strategy<Value = (String, Vec<usize>)> {
    let everything = prop_oneof![3 => paths(0..5), 1 => Just(vec!["$".to_owned()])];
    (everything, paths(0..3), prop::collection::vec(0usize..6, 0..5)).prop_map(|(include, exclude, transforms)| {
        (format!(r#""include":[{}],"exclude":[{}]"#, quoted(&include), quoted(&exclude)), transforms)
    })
}

fn written((paths, transforms): &(String, Vec<usize>), pool: &[String]) -> String {
    let transforms: Vec<&str> = transforms.iter().map(|at| pool[*at].as_str()).collect();
    format!(r#"{{{paths},"transform":[{}]}}"#, transforms.join(","))
}

fn read_section(text: &str) -> Option<Section> {
    let spec = ProfileSpec::read(&document::parse(format!(r#"{{"t":{text}}}"#).as_bytes()).unwrap()).ok()?;
    spec.section("t").cloned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20 * ProptestConfig::default().cases))]

    #[test]
    fn a_restricted_projection_shows_what_the_model_of_two_sections_shows(
        record in object(value()),
        (pool, today, earlier, is_same) in (pool(), section(), section(), prop::bool::weighted(0.1)),
        (tenant, asset, time) in (paths(0..2), paths(0..2), paths(0..2)),
        (also_tenant, also_asset) in (paths(0..2), paths(0..2)),
    ) {
        let today = written(&today, &pool);
        let earlier = if is_same { today.clone() } else { written(&earlier, &pool) };
        let (Some(section), Some(before)) = (read_section(&today), read_section(&earlier)) else { return Ok(()) };
        let not_root = |paths: &[String]| parsed(paths).into_iter().filter(|path| !path.is_root()).collect::<Vec<_>>();
        let mapping = Mapping {
            tenant: source(&tenant),
            asset: source(&asset),
            key_format: None,
            time: not_root(&time).pop(),
            rewrite_tenant: not_root(&also_tenant),
            rewrite_asset: not_root(&also_asset),
        };
        prop_assume!(!is_container_at(&record, mapping.time.as_ref()));
        let parties = Parties { owner: "northwind", target: "acme", target_asset: "EX" };
        let mut text = String::new();
        record.write(&mut || "", &mut text);
        let mut projector = Projector::new(Some(b"secret"));
        projector.load(text.as_bytes()).unwrap();
        let mut shown = |projection: &Projection| {
            let mut out = Vec::new();
            projector.project(text.as_bytes(), projection, &parties, None, &mut out);
            String::from_utf8(out).unwrap()
        };
        let restricted = Projection::restricted(&section, &before, &mapping);
        let expected = Model { section: &section, earlier: Some(&before), mapping: &mapping, parties }.record(&record);
        prop_assert_eq!(shown(&restricted), expected, "{} restricted by {} of {}", today, earlier, text);
        if is_same {
            let alone = Model { section: &section, earlier: None, mapping: &mapping, parties }.record(&record);
            prop_assert_eq!(shown(&restricted), alone, "one and the same section restricts nothing");
        }
    }
}

fn is_container_at(record: &Value, path: Option<&Path>) -> bool {
    fn visit(chain: &[ReferenceStep<'_>], path: &Path) -> bool {
        let value = chain.last().unwrap().1;
        let longer = |name: Option<String>, value| {
            let mut longer = chain.to_vec();
            longer.push((name, value));
            visit(&longer, path)
        };
        (!matches!(value, Value::Scalar(_)) && selects(path, chain))
            || match value {
                Value::Scalar(_) => false,
                Value::Array(items) => items.iter().any(|item| longer(None, item)),
                Value::Object(members) => members.iter().any(|(name, value)| longer(text_of(name), value)),
            }
    }
    path.is_some_and(|path| visit(&[(None, record)], path))
}
