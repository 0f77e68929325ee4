//! That an explanation says what the decision does, on random worlds; and what it says, by example.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::decision::WouldBeRecord;
use super::members::{MemberOutcome, ProfileText};
use super::record::WholeRecord;
use super::{Explainer, Explanation};
use crate::decide::{Decider, Decisions, Release, ReleaseRules, SampleCandidate, Stopped};
use crate::id::{Offset, StreamIndex, StreamName};
use crate::json::document;
use crate::json::path::Path;
use crate::profile::condition::ConditionError;
use crate::record::dead_letter::DeadLetterReason;
use crate::record::decode::ReadRules;
use crate::record::mapping::{FieldSource, Mapping, Mode, Stream};
use crate::release::Suppressed;
use crate::share::configuration::PartnershipNeed;
use crate::share::event::read_structured;
use crate::share::graph::Grant;
use crate::share::table::{FoldRules, ShareTable};
use crate::time::{Period, TimestampMs};

const START: i64 = 1_767_225_600_000;

fn minute(minute: i64) -> TimestampMs {
    TimestampMs(START + minute * 60_000)
}

fn time(at: i64) -> String {
    minute(at).to_string()
}

/// `telemetry` finds all in the value, `alarms` its ids in the key, and `details` keeps documents.
fn streams() -> Vec<Stream> {
    let path = |text: &str| Path::parse(text).unwrap();
    let stream = |index, name: &str, mode, tenant, asset, time: Option<&str>| Stream {
        name: StreamName::parse(name).unwrap(),
        index: StreamIndex(index),
        mode,
        topic: format!("{name}.raw"),
        mapping: Mapping {
            tenant,
            asset,
            key_format: None,
            time: time.map(path),
            rewrite_tenant: Vec::new(),
            rewrite_asset: if mode == Mode::Upsert { vec![path("$.id")] } else { Vec::new() },
        },
    };
    let header = || FieldSource::Header("owner".to_owned());
    vec![
        stream(0, "telemetry", Mode::Append, FieldSource::Path(path("$.tenant")), FieldSource::Path(path("$.asset")), Some("$.ts")),
        stream(1, "alarms", Mode::Append, header(), FieldSource::Key, Some("$.ts")),
        stream(2, "details", Mode::Upsert, header(), FieldSource::Key, None),
    ]
}

fn rules() -> ReleaseRules {
    ReleaseRules {
        read: ReadRules { max_record_bytes: 1 << 20, max_future: Period::from_millis(300_000) },
        late_grace: Period::from_millis(120_000),
        shows_provenance: true,
        shows_permission: false,
    }
}

struct ExplainedWorld {
    table: ShareTable,
    offset: i64,
}

impl ExplainedWorld {
    fn new() -> Self {
        let rules = FoldRules {
            streams: streams().into(),
            partnerships: PartnershipNeed::Open,
            late_grace: rules().late_grace,
            halts_on_unreadable: true,
        };
        Self { table: ShareTable::new(rules), offset: 0 }
    }

    fn send(&mut self, at: i64, source: &str, kind: &str, data: &Value) {
        let event = json!({"specversion": "1.0", "id": format!("e{}", self.offset), "source": source,
            "type": format!("sharecast.{kind}.v1"), "data": data});
        self.table.fold(Offset(self.offset), minute(at), read_structured(event.to_string().as_bytes()));
        self.offset += 1;
    }

    fn publish(&mut self, spec: &Value, source: Option<&str>) {
        self.send(0, "/tenants/nw", "profile.published", &json!({"profile": "p", "spec": spec, "source": source}));
    }

    fn share(&mut self, id: &str, more: &Value) {
        let mut data = json!({"share": id, "asset": "X", "target_tenant": "acme", "target_asset": format!("T-{id}"),
            "streams": ["telemetry", "alarms", "details"], "profile": "p"});
        data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(0, "/tenants/nw", "share.offered", &data);
    }

    fn explain(&self, stream: usize, record: &WholeRecord, at: i64) -> Explanation {
        Explainer::new(rules(), Some(b"secret")).record(&self.table, &streams()[stream], record, None, minute(at))
    }
}

fn record(value: &str) -> WholeRecord {
    let headers = vec![(b"owner".to_vec(), Some(b"nw".to_vec()))];
    WholeRecord { key: Some(b"X".to_vec()), headers, timestamp: minute(10), value: Some(value.as_bytes().to_vec()) }
}

/// What a decision does, as `run` counts it.
#[derive(Default)]
struct CountedDecisions {
    released: BTreeMap<String, Vec<u8>>,
    suppressed: BTreeMap<&'static str, u32>,
}

impl Decisions for CountedDecisions {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        self.released.insert(release.grant.share.to_string(), release.value.to_vec());
        Ok(())
    }

    fn suppressed(&mut self, reason: Suppressed, count: u32) {
        *self.suppressed.entry(reason.as_str()).or_default() += count;
    }

    fn passes_sample(&mut self, _: SampleCandidate<'_>) -> bool {
        true
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
}

/// An event of a share's life, by numbers.
type LifeStep = (i64, usize, usize);

fn live(world: &mut ExplainedWorld, shares: usize, steps: &[LifeStep]) {
    let mut now = 0;
    for (minutes, kind, share) in steps {
        now += minutes;
        let share = json!({"share": format!("s{}", share % shares)});
        let (source, kind) = [
            ("/tenants/acme", "share.accepted"),
            ("/tenants/acme", "share.accepted"),
            ("/tenants/acme", "share.accepted"),
            ("/tenants/nw", "share.paused"),
            ("/tenants/nw", "share.resumed"),
            ("/tenants/nw", "share.revoked"),
            ("/tenants/acme", "share.declined"),
            ("/sharecast", "share.expired"),
            ("/operator", "tenant.updated"),
            ("/operator", "tenant.updated"),
            ("/tenants/nw", "profile.retired"),
        ][kind % 11];
        let data = match kind {
            "share.expired" => json!({"share": share["share"], "cause": "access"}),
            "tenant.updated" => json!({"tenant": "acme", "suspended": minutes % 2 == 0}),
            "profile.retired" => json!({"profile": "p"}),
            _ => share,
        };
        world.send(now, source, kind, &data);
    }
}

const PATHS: [&str; 12] =
    ["$", "$.a", "$.b", "$.b.c", "$.b.*", "$.l", "$.l[*].k", "$.l[?@.n=='x']", "$.l[?@.n=='x'].k", "$.ts", "$.b.d", "$.tenant"];

fn section(choice: &[usize]) -> Value {
    let path = |at: usize| PATHS[choice[at] % PATHS.len()];
    let action = match choice[7] % 7 {
        0 => json!({"path": "$.b.c", "round": 1}),
        1 => json!({"path": "$.b", "mask": "redact"}),
        2 => json!({"path": "$.a", "mask": "hash"}),
        3 => json!({"path": "$.l[*].n", "round": 1}),
        4 => json!({"path": "$.b", "rename": "location"}),
        5 => json!({"path": "$.l[*].k", "rename": "key"}),
        _ => json!({"path": "$.a", "rename": "b"}),
    };
    let mut section = json!({"include": [path(0), path(1), path(2)], "exclude": [path(3)], "transform": [action]});
    if choice[4].is_multiple_of(3) {
        section["exclude"] = json!([]);
    }
    if choice[5].is_multiple_of(4) {
        section["when"] = json!(["record.a > 1000", "record.a < 1000", "record.nowhere"][choice[6] % 3]);
    }
    section
}

fn value(choice: &[usize], t: i64) -> String {
    let whole = format!(
        r#"{{"tenant":"nw","asset":"X","ts":"{}","a":1001.27,"b":{{"c":1002.27,"d":[1003.27,{{}}],"e":{{}}}},"l":[{{"n":"x","k":1004.27}},{{"n":"y","k":1005.27,"id":"I"}}],"_share":7,"id":"I7"}}"#,
        time(t)
    );
    match choice[0] % 12 {
        0 => whole.replace(r#""asset":"X","#, ""),
        1 => whole.replace(&time(t), "noon"),
        2 => whole[..whole.len() - 1].to_owned(),
        3 => "[]".to_owned(),
        _ => whole,
    }
}

/// Every scalar of a JSON text, as it is written, with its count.
fn scalars(node: &Value, found: &mut BTreeMap<String, usize>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(members) => members.values().for_each(|member| scalars(member, found)),
        scalar => *found.entry(scalar.to_string()).or_default() += 1,
    }
}

/// The scalar at a path of an explanation.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    let pointer = path.trim_start_matches('$').replace('[', "/").replace(']', "").replace('.', "/");
    value.pointer(&pointer).unwrap_or_else(|| panic!("{path} in {value}"))
}

/// Holds the members that an explanation names against what really left.
fn check_members(input: &str, explanation: &Explanation) {
    let input: Value = serde_json::from_str(input).unwrap();
    for share in explanation.shares.iter().filter(|share| share.suppressed.is_none()) {
        let mut output: Value = serde_json::from_slice(share.value.as_ref().unwrap()).unwrap();
        output.as_object_mut().unwrap().remove("_share");
        let (mut left, mut leaves) = (BTreeMap::new(), 0);
        scalars(&output, &mut left);
        let mut kept = BTreeMap::new();
        for member in &share.members {
            let was = at(&input, &member.path);
            let is_scalar = !was.is_object() && !was.is_array();
            match member.outcome {
                MemberOutcome::Kept => {
                    scalars(was, &mut kept);
                    leaves += usize::from(is_scalar);
                }
                // What is renamed as a whole is told of what is inside it, too.
                MemberOutcome::Changed => {
                    let is_renamed = member.action.as_deref() == Some("rename");
                    leaves += usize::from(is_scalar || !is_renamed);
                    if is_renamed && is_scalar {
                        scalars(was, &mut kept);
                    }
                }
                MemberOutcome::Withheld => {
                    let mut gone = BTreeMap::new();
                    scalars(was, &mut gone);
                    for scalar in gone.keys().filter(|scalar| scalar.contains(".27")) {
                        assert!(!left.contains_key(scalar), "{} is withheld, and {scalar} left: {output}", member.path);
                    }
                }
            }
        }
        for scalar in kept.keys() {
            assert!(left.contains_key(scalar), "{scalar} is kept and did not leave: {output}, {:?}", share.members);
        }
        assert_eq!(left.values().sum::<usize>(), leaves, "{output}, {:?}", share.members);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn an_explanation_says_what_the_decision_does(
        steps in prop::collection::vec((0i64..4, 0usize..11, 0usize..5), 0..14),
        choice in prop::collection::vec(0usize..60, 8),
        windows in prop::collection::vec((0usize..4, 0i64..30), 5),
        (stream, shape, t, at) in (0usize..2, 0usize..60, 0i64..40, 0i64..44),
    ) {
        let mut world = ExplainedWorld::new();
        world.publish(&json!({"telemetry": section(&choice), "alarms": section(&choice[..8])}), None);
        for (index, (kind, at)) in windows.iter().enumerate() {
            let more = match kind {
                0 => json!({"history": true}),
                1 => json!({"ends": time(at + 1)}),
                2 => json!({"starts": time(*at), "profile": "all"}),
                _ => json!({"streams": ["details"]}),
            };
            world.share(&format!("s{index}"), &more);
        }
        live(&mut world, windows.len(), &steps);
        let text = value(&[shape], t);
        let (record, stream_of) = (record(&text), &streams()[stream]);
        let mut counted = CountedDecisions::default();
        let dead = match Decider::new(rules(), Some(b"secret")).append(stream_of, record.input(), &world.table.graph(), minute(at), &mut counted) {
            Ok(()) => None,
            Err(Stopped::Unreadable(refusal)) => Some(refusal.reason),
            Err(Stopped::Sink(never)) => match never {},
        };
        let explanation = world.explain(stream, &record, at);
        prop_assert_eq!(explanation.dead.map(|refusal| refusal.reason), dead);
        let (mut released, mut suppressed) = (BTreeMap::new(), BTreeMap::new());
        for share in &explanation.shares {
            prop_assert!(!share.compared.is_empty(), "{:?}", share);
            match share.suppressed {
                None => drop(released.insert(share.share.clone(), share.value.clone().unwrap())),
                Some(reason) => *suppressed.entry(reason).or_default() += 1,
            }
        }
        prop_assert_eq!(&released, &counted.released);
        prop_assert_eq!(&suppressed, &counted.suppressed);
        let order: Vec<&String> = explanation.shares.iter().map(|share| &share.share).collect();
        prop_assert!(order.is_sorted());
        if dead.is_none() && serde_json::from_str::<Value>(&text).is_ok() {
            check_members(&text, &explanation);
        }
        let _: Value = serde_json::from_slice(&explanation.to_json()).unwrap();
    }
}

const SOURCE: &str = "telemetry:
  include:
    - $.engine
    - $.pos.lat
    - $.list[*].v
  exclude:
    - $.engine.ecu
  transform:
    - { path: $.pos.lat, round: 1 }
    - { path: $.engine.name, round: 1 }
";

const RECORD: &str = r#"{"tenant":"nw","asset":"X","ts":"2026-01-01T00:10:00Z","engine":{"ecu":{"id":7},"rpm":900,"name":"V8"},"pos":{"lat":1.25,"lon":2},"list":[{"v":1,"w":2}]}"#;

fn spec_of(source: &str) -> Value {
    let mut json = Vec::new();
    document::write(&crate::document::yaml::parse(source).unwrap(), &mut json);
    serde_json::from_slice(&json).unwrap()
}

fn member_rows(explanation: &Explanation) -> Vec<String> {
    let row = |member: &super::members::MemberExplanation| {
        let place = member.place.map(|place| format!(" {}:{}", place.line, place.column)).unwrap_or_default();
        let action = member.action.as_ref().map(|action| format!(" {action}")).unwrap_or_default();
        format!("{} {} by {}{action}{place}", member.path, member.outcome.word(), member.by)
    };
    explanation.shares[0].members.iter().map(row).collect()
}

#[test]
fn each_member_names_its_path_and_the_line_of_the_source() {
    let mut world = ExplainedWorld::new();
    world.publish(&spec_of(SOURCE), Some(SOURCE));
    world.share("s1", &json!({"history": true}));
    world.send(1, "/tenants/acme", "share.accepted", &json!({"share": "s1"}));
    let rows = member_rows(&world.explain(0, &record(RECORD), 11));
    let expected = [
        "$.tenant changed by identity target_id",
        "$.asset changed by identity target_id",
        "$.ts kept by time",
        "$.engine.ecu.id withheld by $.engine.ecu 7:7",
        "$.engine.rpm kept by $.engine 3:7",
        "$.engine.name withheld by $.engine.name round 10:15",
        "$.pos.lat changed by $.pos.lat round 9:15",
        "$.pos.lon withheld by not included 2:3",
        "$.list[0].v kept by $.list[*].v 5:7",
        "$.list[0].w withheld by not included 2:3",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_source_that_says_something_else_names_no_lines() {
    for source in [Some("telemetry: { include: [$.pos] }\n"), Some("{"), None] {
        let mut world = ExplainedWorld::new();
        world.publish(&spec_of(SOURCE), source);
        world.share("s1", &json!({"history": true}));
        world.send(1, "/tenants/acme", "share.accepted", &json!({"share": "s1"}));
        let explanation = world.explain(0, &record(RECORD), 11);
        assert!(explanation.shares[0].members.iter().all(|member| member.place.is_none()), "{source:?}");
        assert_eq!(explanation.shares[0].members.len(), 10);
    }
}

/// A later publication that says the same brings another text; one that is no such text is as good as none.
#[test]
fn the_source_is_kept_with_the_profile_and_has_no_part_in_the_fold() {
    let source_of =
        |world: &ExplainedWorld| world.table.profiles().next().map(|found| (found.revision, found.source.map(str::to_owned))).unwrap();
    let mut world = ExplainedWorld::new();
    let spec = spec_of(SOURCE);
    world.publish(&spec, Some(SOURCE));
    assert_eq!(source_of(&world), (1, Some(SOURCE.to_owned())));
    world.publish(&spec, Some("again"));
    assert_eq!(source_of(&world), (1, Some("again".to_owned())));
    for wrong in [json!(7), json!("x".repeat((64 << 10) + 1)), json!(["a"]), Value::Null] {
        world.publish(&spec, Some("text"));
        world.send(0, "/tenants/nw", "profile.published", &json!({"profile": "p", "spec": spec, "source": wrong}));
        assert_eq!(source_of(&world), (1, None), "{wrong}");
    }
    let longest = "x".repeat(64 << 10);
    world.publish(&spec, Some(&longest));
    assert_eq!(source_of(&world).1.as_deref(), Some(longest.as_str()));
}

#[test]
fn the_rule_that_decided_shows_what_it_compared() {
    let mut world = ExplainedWorld::new();
    world.publish(&spec_of("telemetry: { include: [$], when: record.pos.lat > 2 }\n"), None);
    for (id, more) in [
        ("s1", json!({"ends": time(5)})),
        ("s2", json!({"starts": time(30)})),
        ("s3", json!({})),
        ("s4", json!({})),
        ("s5", json!({"streams": ["details"]})),
        ("s6", json!({"profile": "all"})),
        ("s7", json!({"history": true})),
    ] {
        world.share(id, &more);
    }
    for id in ["s1", "s2", "s4", "s5", "s6", "s7"] {
        world.send(1, "/tenants/acme", "share.accepted", &json!({"share": id}));
    }
    world.send(2, "/tenants/nw", "share.revoked", &json!({"share": "s4"}));
    world.send(9, "/tenants/nw", "share.paused", &json!({"share": "s6"}));
    world.send(11, "/tenants/nw", "share.resumed", &json!({"share": "s6"}));
    let explanation = world.explain(0, &record(RECORD), 20);
    let told: Vec<String> = explanation
        .shares
        .iter()
        .map(|share| {
            let compared: Vec<String> = share.compared.iter().map(|c| format!("{} {} {}", c.left, c.op, c.right)).collect();
            format!("{} {}: {}", share.share, share.suppressed.unwrap_or("released"), compared.join("; "))
        })
        .collect();
    let expected = [
        "s1 after_window: ends 2026-01-01T00:05:00Z <= event time 2026-01-01T00:10:00Z",
        "s2 before_window: event time 2026-01-01T00:10:00Z < granted_from 2026-01-01T00:30:00Z",
        "s3 pending: state = PENDING",
        "s4 ended: state = REVOKED; reason = by_owner; ended_at = 2026-01-01T00:02:00Z",
        "s6 paused: state = ACTIVE; paused 2026-01-01T00:09:00Z <= event time 2026-01-01T00:10:00Z; event time 2026-01-01T00:10:00Z < resumed \
         2026-01-01T00:11:00Z",
        "s7 filtered: when record.pos.lat > 2 = false",
    ];
    assert_eq!(told, expected);
    assert_eq!(explanation.other_shares, ["s5"]);
    assert!(!explanation.releases());
    let lines = explanation.to_lines().join("\n");
    assert!(lines.contains("\ns4 for acme, profile p: not released: ended\n  state = REVOKED\n"), "{lines}");
}

#[test]
fn a_sample_says_that_the_last_one_released_is_not_known() {
    let mut world = ExplainedWorld::new();
    world.publish(&json!({"telemetry": {"include": ["$"], "sample": {"every": "30s"}}}), None);
    world.share("s1", &json!({"history": true}));
    world.send(1, "/tenants/acme", "share.accepted", &json!({"share": "s1"}));
    let explanation = world.explain(0, &record(RECORD), 11);
    let share = &explanation.shares[0];
    assert!(share.suppressed.is_none() && share.unknown[0].contains("in each 30s of event time"), "{share:?}");
    assert!(share.compared.last().is_some_and(|compared| compared.right.contains("unknown")));
}

#[test]
fn documents_go_by_the_moment_alone_and_a_null_one_deletes() {
    let mut world = ExplainedWorld::new();
    world.publish(&json!({"details": {"include": ["$.name", "$.id"]}}), None);
    world.share("s1", &json!({"ends": time(30)}));
    world.send(1, "/tenants/acme", "share.accepted", &json!({"share": "s1"}));
    let document = record(r#"{"id":"X","name":"Digger","price":5}"#);
    let rows = member_rows(&world.explain(2, &document, 11));
    let expected = ["$.id changed by identity target_id", "$.name kept by $.name", "$.price withheld by not included"];
    assert_eq!(rows, expected);
    let over = world.explain(2, &document, 31);
    assert_eq!(over.shares[0].suppressed, Some("after_window"));
    let null = WholeRecord { value: None, ..document.clone() };
    assert_eq!(world.explain(2, &null, 11).shares[0].suppressed, Some("deleted"));
    let broken = record("{");
    assert_eq!(world.explain(2, &broken, 11).dead.map(|refusal| refusal.reason), Some(DeadLetterReason::InvalidJson));
}

#[test]
fn what_would_be_needs_no_record() {
    let mut world = ExplainedWorld::new();
    world.publish(&json!({"telemetry": {"include": ["$"], "when": "record.a > 1"}, "alarms": {"include": ["$"]}}), None);
    world.share("s1", &json!({"ends": time(30)}));
    world.send(1, "/tenants/acme", "share.accepted", &json!({"share": "s1"}));
    let asked = |stream: usize, t: i64, now: i64| {
        let asked = WouldBeRecord { owner: "nw", asset: "X", time: minute(t).moment() };
        Explainer::new(rules(), None).would_be(&world.table, &streams()[stream], asked, minute(now))
    };
    let flows = asked(0, 10, 10);
    assert!(flows.releases() && flows.shares[0].unknown[0].contains("condition") && flows.shares[0].members.is_empty());
    assert_eq!(asked(1, 30, 10).shares[0].suppressed, Some("after_window"));
    // Nobody looks at the event time of what no share counts for.
    assert_eq!(asked(1, 0, 40).shares[0].suppressed, Some("after_window"));
    assert_eq!(asked(0, 0, 10).shares[0].suppressed, Some("before_window"));
}

#[test]
fn the_answer_as_data_has_its_members_in_order() {
    let mut world = ExplainedWorld::new();
    world.publish(&spec_of("telemetry: { include: [$.pos] }\n"), Some("telemetry: { include: [$.pos] }\n"));
    world.share("s1", &json!({"history": true}));
    world.send(1, "/tenants/acme", "share.accepted", &json!({"share": "s1"}));
    let text = r#"{"tenant":"nw","asset":"X","ts":"2026-01-01T00:10:00Z","pos":1,"x":2}"#;
    let json = String::from_utf8(world.explain(0, &record(text), 11).to_json()).unwrap();
    let expected = concat!(
        r#"{"record":{"stream":"telemetry","partition":null,"offset":null,"owner":"nw","asset":"X","time":"2026-01-01T00:10:00Z"},"#,
        r#""epoch":2,"now":"2026-01-01T00:11:00Z","shares":[{"share":"s1","target":"acme","decision":"released","rule":"released","#,
        r#""compared":[{"left":"state","op":"=","right":"ACTIVE"}],"members":["#,
        r#"{"path":"$.tenant","outcome":"changed","by":"identity","action":"target_id"},"#,
        r#"{"path":"$.asset","outcome":"changed","by":"identity","action":"target_id"},"#,
        r#"{"path":"$.ts","outcome":"kept","by":"time"},"#,
        r#"{"path":"$.pos","outcome":"kept","by":"$.pos","line":1,"column":25},"#,
        r#"{"path":"$.x","outcome":"withheld","by":"not included","line":1,"column":14}]}]}"#
    );
    assert_eq!(json, expected);
    let dead = String::from_utf8(world.explain(0, &record("{"), 11).to_json()).unwrap();
    assert!(
        dead.contains(r#""owner":null,"asset":null,"time":null"#) && dead.contains(r#""shares":[],"dead":{"reason":"invalid_json","#),
        "{dead}"
    );
}

#[test]
fn a_sample_of_records_shows_what_a_profile_misses() {
    let spec = crate::profile::spec::ProfileSpec::read(&crate::document::yaml::parse(SOURCE).unwrap()).unwrap();
    let (streams, text) = (streams(), ProfileText::of_file(spec.clone()));
    let profile = crate::profile::compile::Profile::compile(&spec, &streams);
    let (section, projection) = (spec.section("telemetry").unwrap(), profile.section(StreamIndex(0)).unwrap());
    let mut sample = super::sample::ProfileSample::new(&streams[0], section, projection, &text, rules().read, None);
    sample.look_at(&record(&RECORD.replace("\"ecu\"", "\"ecm\"")));
    sample.look_at(&record(RECORD.replace(",\"list\":[{\"v\":1,\"w\":2}]", "").replace("\"ecu\"", "\"a[0]\"").as_str()));
    sample.look_at(&record("{"));
    let found: Vec<String> =
        sample.findings().into_iter().map(|f| format!("{}: {}", f.place.map_or(0, |place| place.line), f.what)).collect();
    let expected = [
        "0: 1 of 3 records cannot be read: invalid_json",
        "7: exclude $.engine.ecu never matched in 3 records",
        "10: round at $.engine.name dropped 2 values",
        "0: no path includes $.list[*].w, which 1 of 3 records have",
        "0: no path includes $.pos.lon, which 2 of 3 records have",
    ];
    assert_eq!(found, expected);
}
