//! What an explanation says, by example, and `agreement`: that it is what the decision does.

mod agreement;

use serde_json::{Value, json};

use super::decision::WouldBeRecord;
use super::members::ProfileText;
use super::record::WholeRecord;
use super::{Explainer, Explanation};
use crate::decide::ReleaseRules;
use crate::id::{Offset, StreamIndex, StreamName};
use crate::json::document;
use crate::json::path::Path;
use crate::record::dead_letter::DeadLetterReason;
use crate::record::decode::ReadRules;
use crate::record::mapping::{FieldSource, Mapping, Mode, Stream};
use crate::share::configuration::PartnershipNeed;
use crate::share::event::read_structured;
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
    /// Those that the profile `p` has sections for.
    streams: Vec<String>,
}

impl ExplainedWorld {
    fn new() -> Self {
        let rules = FoldRules {
            streams: streams().into(),
            partnerships: PartnershipNeed::Open,
            late_grace: rules().late_grace,
            halts_on_unreadable: true,
        };
        Self { table: ShareTable::new(rules), offset: 0, streams: Vec::new() }
    }

    fn send(&mut self, at: i64, source: &str, kind: &str, data: &Value) {
        let event = json!({"specversion": "1.0", "id": format!("e{}", self.offset), "source": source,
            "type": format!("sharecast.{kind}.v1"), "data": data});
        self.table.fold(Offset(self.offset), minute(at), read_structured(event.to_string().as_bytes()));
        self.offset += 1;
    }

    fn publish(&mut self, spec: &Value, source: Option<&str>) {
        self.streams = spec.as_object().unwrap().keys().cloned().collect();
        self.send(0, "/tenants/nw", "profile.published", &json!({"profile": "p", "spec": spec, "source": source}));
    }

    fn share(&mut self, id: &str, more: &Value) {
        let mut data = json!({"share": id, "asset": "X", "target_tenant": "acme", "target_asset": format!("T-{id}"),
            "streams": self.streams, "profile": "p"});
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
    world.publish(&spec_of("telemetry: { include: [$], when: record.pos.lat > 2 }\ndetails: {}\n"), None);
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
        r#"{"path":"$.pos","outcome":"kept","by":"$.pos","line":1,"column":24},"#,
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
