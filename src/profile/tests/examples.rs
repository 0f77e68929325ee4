//! The rules of docs/rules/profiles.md by example: a section, a record, and what the target sees.

use crate::id::{Epoch, StreamIndex, StreamName};
use crate::json::document;
use crate::json::path::Path;
use crate::profile::compile::Profile;
use crate::profile::parties::{Parties, Provenance};
use crate::profile::project::{Projector, floor_timestamp};
use crate::profile::spec::ProfileSpec;
use crate::record::mapping::{FieldSource, Mapping, Mode, Stream};
use crate::time::{Period, TimestampMs, TimestampNs};

const PARTIES: Parties<'_> = Parties { owner: "northwind", target: "acme", target_asset: "EX-1" };

/// `tenant`, `asset` and `time` name members where they begin with `$`.
fn mapping(tenant: &str, asset: &str, time: &str) -> Mapping {
    let source = |text: &str| if text.starts_with('$') { FieldSource::Path(Path::parse(text).unwrap()) } else { FieldSource::Key };
    Mapping {
        tenant: source(tenant),
        asset: source(asset),
        key_format: None,
        time: Path::parse(time).ok(),
        rewrite_tenant: Vec::new(),
        rewrite_asset: Vec::new(),
    }
}

fn rewriting(tenant: &[&str], asset: &[&str]) -> Mapping {
    let paths = |texts: &[&str]| texts.iter().map(|text| Path::parse(text).unwrap()).collect();
    Mapping { rewrite_tenant: paths(tenant), rewrite_asset: paths(asset), ..mapping("", "", "$.ts") }
}

fn usual() -> Mapping {
    mapping("$.tenant", "$.asset", "$.ts")
}

fn stream(mapping: Mapping) -> Stream {
    Stream { name: StreamName::parse("t").unwrap(), index: StreamIndex(3), mode: Mode::Append, topic: "t.raw".to_owned(), mapping }
}

fn compiled(mapping: Mapping, section: &str) -> Profile {
    let spec = ProfileSpec::read(&document::parse(format!("{{\"t\":{section}}}").as_bytes()).unwrap()).unwrap();
    Profile::compile(&spec, &[stream(mapping)])
}

fn shown_with_steps(mapping: Mapping, section: &str, record: &str) -> (String, Vec<Period>) {
    let profile = compiled(mapping, section);
    let mut projector = Projector::new(Some(b"s3cret"));
    projector.load(record.as_bytes()).unwrap();
    let mut out = Vec::new();
    let steps = projector.project(record.as_bytes(), profile.section(StreamIndex(3)).unwrap(), &PARTIES, None, &mut out).to_vec();
    (String::from_utf8(out).unwrap(), steps)
}

fn shown(mapping: Mapping, section: &str, record: &str) -> String {
    shown_with_steps(mapping, section, record).0
}

#[test]
fn scalars_and_names_stay_as_they_were_written_without_blanks_between() {
    let record = r#" { "a" : [ 1.0 , 1e3, {"\u0062" :12345678901234567890 } ], "s":"\u00e9\/ \" x" ,"n":null, "x":-0 } "#;
    let all = shown(mapping("", "", ""), r#"{"include":["$"]}"#, record);
    assert_eq!(all, r#"{"a":[1.0,1e3,{"\u0062":12345678901234567890}],"s":"\u00e9\/ \" x","n":null,"x":-0}"#);
    assert_eq!(
        shown(mapping("", "", ""), r#"{"include":["$.a[*].b","$.x"]}"#, record),
        r#"{"a":[{"\u0062":12345678901234567890}],"x":-0}"#
    );
}

#[test]
fn d35_containers_are_there_for_themselves_or_for_what_is_inside() {
    let record = r#"{"engine":{"rpm":"fast","ecu":1},"list":[{"v":1},2,{"w":3},[]]}"#;
    let of = |section| shown(mapping("", "", ""), section, record);
    assert_eq!(of(r#"{"include":["$.engine"],"exclude":["$.engine.*"]}"#), r#"{"engine":{}}"#);
    assert_eq!(of(r#"{"include":["$.engine.rpm"],"transform":[{"path":"$.engine.rpm","round":1}]}"#), "{}");
    assert_eq!(of(r#"{"include":["$.engine.rpm"],"transform":[{"path":"$.engine.rpm","round":1},{"path":"$.engine","const":1}]}"#), "{}");
    assert_eq!(
        of(r#"{"include":["$.engine"],"transform":[{"path":"$.engine.rpm","round":1},{"path":"$.engine","const":1}]}"#),
        r#"{"engine":1}"#
    );
    assert_eq!(of(r#"{"include":["$.engine.rpm"],"transform":[{"path":"$.engine","mask":"redact"}]}"#), r#"{"engine":"***"}"#);
    assert_eq!(of(r#"{"include":["$.list[*].v","$.list[*].w"]}"#), r#"{"list":[{"v":1},{"w":3}]}"#);
    assert_eq!(of(r#"{"include":["$.list"],"transform":[{"path":"$.list[*]","round":0}]}"#), r#"{"list":[2]}"#);
    assert_eq!(of(r#"{"include":["$.list[*]"],"exclude":["$.list[*]"]}"#), "{}");
    assert_eq!(of(r#"{"include":["$"],"exclude":["$"]}"#), "{}");
    assert_eq!(of("{}"), "{}");
}

#[test]
fn d36_identity_and_time_are_outside_exclude_and_carry_the_target_s_ids() {
    let record = r#"{"tenant":"northwind","x":1,"ts":5,"asset":"NW-7"}"#;
    assert_eq!(shown(usual(), r#"{"include":["$.x"],"exclude":["$"]}"#, record), r#"{"tenant":"acme","ts":5,"asset":"EX-1"}"#);
    let nested = mapping("$.meta.tenant", "$.meta['asset.id']", "$.meta.ts");
    let record = r#"{"meta":{"tenant":"northwind","kind":"k","asset.id":"NW-7","ts":5},"x":1}"#;
    assert_eq!(
        shown(nested.clone(), r#"{"include":["$.x"],"exclude":["$.meta"]}"#, record),
        r#"{"meta":{"tenant":"acme","asset.id":"EX-1","ts":5},"x":1}"#
    );
    assert_eq!(shown(nested.clone(), r#"{"transform":[{"path":"$.meta","mask":"redact"}]}"#, record), r#"{"meta":"***"}"#);
    assert_eq!(shown(nested, r#"{"transform":[{"path":"$.meta","mask":"hash"}]}"#, record), "{}");
}

#[test]
fn d36_transforms_touch_the_time_member_and_no_identity_member() {
    let record = r#"{"tenant":"northwind","asset":"NW-7","ts":1767225659}"#;
    let section = r#"{"transform":[{"path":"$.tenant","mask":"redact"},{"path":"$.asset","const":1},{"path":"$.asset","rename":"a"},{"path":"$.ts","mask":"redact"}]}"#;
    assert_eq!(shown(usual(), section, record), r#"{"tenant":"acme","asset":"EX-1","ts":"***"}"#);
    assert_eq!(shown(usual(), r#"{"transform":[{"path":"$.ts","mask":{"keep_last":1}}]}"#, record), r#"{"tenant":"acme","asset":"EX-1"}"#);
}

#[test]
fn d36_rewritten_members_are_shown_where_a_rule_selects_them() {
    let record = r#"{"ts":1,"tags":[{"asset":7,"x":1},{"asset":{"deep":1}},{"x":2}],"id":null,"who":["northwind"]}"#;
    let tags = || rewriting(&["$.who"], &["$.tags[*].asset", "$.id"]);
    assert_eq!(shown(tags(), r#"{"include":["$.tags[*].x"]}"#, record), r#"{"ts":1,"tags":[{"x":1},{"x":2}]}"#);
    assert_eq!(
        shown(tags(), r#"{"include":["$"],"exclude":["$.id"],"transform":[{"path":"$.who","mask":null}]}"#, record),
        r#"{"ts":1,"tags":[{"asset":"EX-1","x":1},{"asset":"EX-1"},{"x":2}],"who":"acme"}"#
    );
    assert_eq!(shown(tags(), r#"{"include":["$.tags[*].asset.deep"]}"#, record), r#"{"ts":1,"tags":[{"asset":"EX-1"}]}"#);
}

#[test]
fn d36_where_tenant_and_asset_meet_the_asset_wins_and_the_outer_is_the_id() {
    let record = r#"{"ts":1,"a":"x","b":{"c":"y"}}"#;
    assert_eq!(shown(rewriting(&["$.a"], &["$.*"]), r#"{"include":["$"]}"#, record), r#"{"ts":"EX-1","a":"EX-1","b":"EX-1"}"#);
    assert_eq!(shown(rewriting(&["$.b"], &["$.b.c"]), r#"{"include":["$"]}"#, record), r#"{"ts":1,"a":"x","b":"acme"}"#);
}

#[test]
fn d36_only_a_top_level_share_is_removed() {
    let record = r#"{"_share":{"id":"forged"},"a":{"_share":1},"_sh\u0061re":2,"b":[{"_share":3}]}"#;
    assert_eq!(shown(mapping("", "", ""), r#"{"include":["$","$._share"]}"#, record), r#"{"a":{"_share":1},"b":[{"_share":3}]}"#);
    assert_eq!(
        shown(mapping("", "", ""), r#"{"include":["$"],"transform":[{"path":"$.b","rename":"c"}]}"#, record),
        r#"{"a":{"_share":1},"c":[{"_share":3}]}"#
    );
}

#[test]
fn d36_no_rename_takes_the_name_of_an_identity_member() {
    let section = |new: &str| format!(r#"{{"include":["$.x"],"transform":[{{"path":"$.x","rename":"{new}"}}]}}"#);
    let record = r#"{"tenant":"northwind","x":1,"asset":"NW-7","ts":1}"#;
    assert_eq!(shown(usual(), &section("asset"), record), r#"{"tenant":"acme","asset":"EX-1","ts":1}"#);
    assert_eq!(shown(usual(), &section("ts"), record), r#"{"tenant":"acme","ts":1,"asset":"EX-1"}"#);
    // Names of identity members that the record lacks, or that are found by what they hold.
    assert_eq!(shown(rewriting(&["$.who"], &[]), &section("who"), r#"{"x":1}"#), "{}");
    assert_eq!(shown(rewriting(&[], &["$[?@.k==1]"]), &section("who"), r#"{"x":1,"who":{"k":1}}"#), "{}");
    assert_eq!(shown(rewriting(&[], &["$[?@.k==1]"]), &section("who"), r#"{"x":1,"who":{"k":2}}"#), r#"{"who":1}"#);
}

#[test]
fn d40_a_renamed_member_stays_in_its_place_and_wins() {
    let position = r#"{"p":{"lon":1,"lat":2,"l\u006fn":3,"alt":4}}"#;
    let of = |section: &str, record: &str| shown(mapping("", "", ""), section, record);
    assert_eq!(of(r#"{"include":["$"],"transform":[{"path":"$.p.lat","rename":"lon"}]}"#, position), r#"{"p":{"lon":2,"alt":4}}"#);
    // A member that does not come out takes no name.
    assert_eq!(
        of(
            r#"{"include":["$"],"transform":[{"path":"$.p.lat","rename":"lon"},{"path":"$.p.lat","mask":"hash"},{"path":"$.p.lat","round":1}]}"#,
            position
        ),
        r#"{"p":{"lon":1,"l\u006fn":3,"alt":4}}"#
    );
    // Renamed members never remove each other, nor does a name in between count.
    let section = r#"{"include":["$"],"transform":[{"path":"$.p.lon","rename":"alt"},{"path":"$.p.lon","rename":"z"},{"path":"$.*.alt","rename":"z"}]}"#;
    assert_eq!(of(section, position), r#"{"p":{"z":1,"lat":2,"z":3,"z":4}}"#);
    assert_eq!(
        of(r#"{"include":["$.p.alt"],"transform":[{"path":"$.p","rename":"say \"é\"\u0001"}]}"#, position),
        r#"{"say \"é\"\u0001":{"alt":4}}"#
    );
}

#[test]
fn d34_transforms_apply_in_their_order_and_a_dropped_member_stays_dropped() {
    let of =
        |transforms: &str, record: &str| shown(mapping("", "", ""), &format!(r#"{{"include":["$"],"transform":[{transforms}]}}"#), record);
    assert_eq!(of(r#"{"path":"$.a","bucket":5},{"path":"$.a","round":0}"#, r#"{"a":9.9}"#), r#"{"a":5}"#);
    assert_eq!(of(r#"{"path":"$.a","round":0},{"path":"$.a","bucket":5}"#, r#"{"a":9.9}"#), r#"{"a":10}"#);
    assert_eq!(of(r#"{"path":"$.a","round":0},{"path":"$.a","const":1}"#, r#"{"a":"x","b":2}"#), r#"{"b":2}"#);
    assert_eq!(of(r#"{"path":"$.a","const":{"b":2.5}},{"path":"$.a.b","round":0}"#, r#"{"a":{"b":1}}"#), r#"{"a":{"b":2.5}}"#);
    assert_eq!(of(r#"{"path":"$.a","mask":"redact"},{"path":"$.a","mask":{"keep_first":1}}"#, r#"{"a":[1]}"#), r#"{"a":"***"}"#);
    // An entry acts once on a member that several of its paths select.
    assert_eq!(of(r#"{"paths":["$.a","$.*"],"mask":"hash"}"#, r#"{"a":"x"}"#), of(r#"{"path":"$.a","mask":"hash"}"#, r#"{"a":"x"}"#));
    // Paths are matched against the input, by what does not leave too.
    assert_eq!(
        shown(mapping("", "", ""), r#"{"include":["$.m[?@.name=='f'].v"]}"#, r#"{"m":[{"name":"f","v":1},{"name":"g","v":2}]}"#),
        r#"{"m":[{"v":1}]}"#
    );
}

#[test]
fn d38_a_truncate_of_the_time_member_floors_the_timestamp_too() {
    let minute = Period::parse("1m").unwrap();
    let record = r#"{"tenant":"northwind","asset":"NW-7","ts":"2026-01-01T00:01:59Z","other":{"ts":1}}"#;
    let of = |transforms: &str| shown_with_steps(usual(), &format!(r#"{{"transform":[{transforms}]}}"#), record);
    let (out, steps) = of(r#"{"path":"$.ts","truncate":"1m"}"#);
    assert_eq!(out, r#"{"tenant":"acme","asset":"EX-1","ts":"2026-01-01T00:01:00Z"}"#);
    assert_eq!(steps, [minute]);
    assert_eq!(
        of(r#"{"path":"$.*","truncate":"1m"},{"path":"$.ts","round":1}"#),
        (r#"{"tenant":"acme","asset":"EX-1"}"#.to_owned(), vec![minute])
    );
    assert_eq!(of(r#"{"path":"$.ts","mask":null},{"path":"$.ts","truncate":"1m"}"#).1, [minute]);
    assert_eq!(of(r#"{"path":"$.ts","truncate":"7s"},{"paths":["$['ts']"],"truncate":"1m"}"#).1, [Period::parse("7s").unwrap(), minute]);
    assert_eq!(of(r#"{"path":"$.*.ts","truncate":"1m"},{"path":"$.other","truncate":"1m"}"#).1, []);
    assert_eq!(floor_timestamp(TimestampMs(119_999), &[Period::parse("7s").unwrap(), minute]), TimestampMs(60_000));
    assert_eq!(floor_timestamp(TimestampMs(-1), &[minute]), TimestampMs(-60_000));
    assert_eq!(floor_timestamp(TimestampMs(-1), &[]), TimestampMs(-1));
    assert_eq!(floor_timestamp(TimestampMs(-1), &[Period::parse("3000000d").unwrap()]), TimestampNs::FIRST.millis());
    assert_eq!(floor_timestamp(TimestampMs(i64::MAX), &[minute]).0 % 60_000, 0);
}

#[test]
fn d39_a_hash_is_of_one_target_and_without_a_secret_the_member_goes() {
    let profile = compiled(mapping("", "", ""), r#"{"include":["$"],"transform":[{"path":"$.serial","mask":"hash"}]}"#);
    let projection = profile.section(StreamIndex(3)).unwrap();
    let record = br#"{"serial":"SN-1","x":1}"#;
    let mut projector = Projector::new(Some(b"s3cret"));
    projector.load(record).unwrap();
    let mut of = |target| {
        let mut out = Vec::new();
        projector.project(record, projection, &Parties { target, ..PARTIES }, None, &mut out);
        String::from_utf8(out).unwrap()
    };
    let (acme, zenith) = (of("acme"), of("zenith"));
    assert!(acme != zenith && acme == of("acme") && acme.len() == r#"{"serial":"","x":1}"#.len() + 64);
    let mut projector = Projector::new(None);
    projector.load(record).unwrap();
    let mut out = Vec::new();
    projector.project(record, projection, &PARTIES, None, &mut out);
    assert_eq!(out, br#"{"x":1}"#);
}

#[test]
fn each_target_gets_its_ids_and_provenance_last() {
    let profile = Profile::all(&[stream(usual())]);
    assert!(profile.section(StreamIndex(0)).is_none());
    let record = br#"{"asset":"NW-7","tenant":"northwind","ts":1}"#;
    let mut projector = Projector::new(None);
    projector.load(record).unwrap();
    let mut out = b"kept".to_vec();
    for (target, target_asset, epoch) in [("acme", "EX \"1\"", Epoch(12)), ("zenith", "é", Epoch::NONE)] {
        let parties = Parties { owner: "northwind", target, target_asset };
        projector.project(
            record,
            profile.section(StreamIndex(3)).unwrap(),
            &parties,
            Some(&Provenance { share: "s1", revision: 2, epoch, permission: None, backfill: None }),
            &mut out,
        );
    }
    let expected = concat!(
        r#"kept{"asset":"EX \"1\"","tenant":"acme","ts":1,"_share":{"id":"s1","rev":2,"epoch":12}}"#,
        r#"{"asset":"é","tenant":"zenith","ts":1,"_share":{"id":"s1","rev":2,"epoch":-1}}"#
    );
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn a_container_that_no_include_names_and_of_which_nothing_is_left_is_not_there_for_a_transform() {
    let record = r#"{"tenant":"t","asset":"x","ts":0,"a":{"b":"s","c":{"d":"s"}}}"#;
    let bare = r#"{"tenant":"acme","asset":"EX-1","ts":0}"#;
    let section = |include: &str, transforms: &str| format!(r#"{{"include":["{include}"],"transform":[{transforms}]}}"#);
    let dropped = r#"{"path":"$.a.b","round":1},{"path":"$.a.c.d","round":1}"#;
    for replaced in [r#"{"path":"$.a","const":7}"#, r#"{"path":"$.a","mask":"redact"}"#, r#"{"path":"$.a","mask":null}"#] {
        assert_eq!(shown(usual(), &section("$.a.b", &format!("{dropped},{replaced}")), record), bare);
        assert_eq!(shown(usual(), &section("$.a.c.d", &format!("{replaced},{dropped}")), record), bare);
        assert_eq!(shown(usual(), &section("$.a.*.d", &format!(r#"{dropped},{{"path":"$.a.c","const":1}},{replaced}"#)), record), bare);
        assert_ne!(shown(usual(), &section("$.a", &format!("{dropped},{replaced}")), record), bare);
    }
    // A renamed member that goes is nothing that is left.
    let renamed = r#"{"path":"$.o.x","rename":"tenant"},{"path":"$.o","const":7}"#;
    let shown = shown(mapping("$.o.tenant", "$.asset", "$.ts"), &section("$.o.x", renamed), r#"{"asset":"x","ts":0,"o":{"x":1}}"#);
    assert_eq!(shown, r#"{"asset":"EX-1","ts":0}"#);
}
