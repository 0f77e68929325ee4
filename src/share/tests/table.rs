//! The rules of the fold, one test a rule.

use crate::id::{Epoch, Offset};
use crate::share::event::{OffsetAttribute, RawAttribute, read_line, read_record};
use crate::share::table::{FoldRules, Outcome};
use crate::share::tests::fixture::{World, code, minute, rules, written};

#[test]
fn d2_every_record_moves_the_epoch() {
    let mut world = World::partners();
    assert_eq!(world.table.graph().epoch(), Epoch(2));
    world.no("unknown_share", "acme", "share.revoked", r#"{"share":"none"}"#);
    world.send("operator", "control.tick", "{}");
    world.send("acme", "share.revoked", "{}");
    assert_eq!(world.table.graph().epoch(), Epoch(5));
    assert_eq!(crate::share::table::ShareTable::new(rules()).epoch(), Epoch(-1));
}

#[test]
fn d9_a_repeat_changes_nothing_for_thirty_days() {
    let mut world = World::partners();
    let offer = r#"{"share":"s1","asset":"NW-7","target_tenant":"zenith","streams":["telemetry"],"profile":"hire"}"#;
    let reordered = r#"{"target_tenant":"zenith","asset":"X","streams":["telemetry"],"profile":"hire","share":"s1","asset":"NW-7"}"#;
    assert_eq!(world.send_as("o", "acme", "share.offered", offer).outcome, Outcome::Applied);
    let repeat = world.send_as("o", "acme", "share.offered", reordered);
    assert_eq!((repeat.outcome, repeat.documents.len()), (Outcome::Repeated, 0));
    // Another type, other data, a number written otherwise: another event. It is not remembered, the first stays.
    for data in [r#"{"share":"s2"}"#, r#"{"share":"s1","n":1}"#, r#"{"share":"s1","n":1.0}"#] {
        assert_eq!(code(&world.send_as("o", "acme", "share.offered", data).outcome), "id_reused");
    }
    // Another sender's id is another event.
    assert_eq!(code(&world.send_as("o", "zenith", "share.declined", r#"{"share":"s1"}"#).outcome), "applied");
    world.now.0 += 30 * 24 * 3_600_000 - 1;
    assert_eq!(world.send_as("o", "acme", "share.offered", offer).outcome, Outcome::Repeated);
    world.now.0 += 1;
    assert_eq!(code(&world.send_as("o", "acme", "share.offered", offer).outcome), "duplicate_share");
    assert_eq!(world.send_as("o", "acme", "share.offered", offer).outcome, Outcome::Repeated);
}

#[test]
fn d9_rejected_events_are_remembered_and_ticks_are_not() {
    let mut world = World::partners();
    assert_eq!(code(&world.send_as("r", "acme", "share.revoked", r#"{"share":"s1"}"#).outcome), "unknown_share");
    assert_eq!(code(&world.send_as("r", "acme", "share.revoked", r#"{"share":"s1"}"#).outcome), "repeated");
    assert_eq!(code(&world.send_as("t", "operator", "control.tick", "{}").outcome), "tick");
    assert_eq!(code(&world.send_as("t", "operator", "control.tick", r#"{"n":1}"#).outcome), "tick");
    assert_eq!(code(&world.send_as("k", "acme", "control.tick", "{}").outcome), "not_operator");
    assert_eq!(code(&world.send_as("k", "acme", "share.revoked", r#"{"share":"s1"}"#).outcome), "unknown_share");
    assert_eq!(code(&world.send_as("k", "acme", "control.tick", "{}").outcome), "id_reused");
    assert_eq!(code(&world.send_as("k", "acme", "share.revoked", r#"{"share":"s1"}"#).outcome), "repeated");
}

#[test]
fn d10_malformed_data_that_takes_away_is_unreadable() {
    let mut world = World::active("");
    for (sender, kind, data) in [
        ("acme", "share.revoked", "{}"),
        ("acme", "share.revoked", r#"{"share":"s1","note":5}"#),
        ("acme", "share.cancelled", r#"{"share":null}"#),
        ("zenith", "share.left", r#"{"share":["s1"]}"#),
        ("acme", "share.paused", r#"{"share":"s1","share":1}"#),
        ("acme", "share.updated", r#"{"share":"s1","permission":"admin"}"#),
        ("acme", "share.updated", r#"{"share":"s1","ends":"tomorrow"}"#),
        ("acme", "share.updated", r#"{"share":"s1","streams":["telemetry",1]}"#),
        ("acme", "partnership.ended", r#"{"tenants":["acme","zenith"]}"#),
        ("operator", "partnership.ended", r#"{"partner":"acme"}"#),
        ("operator", "tenant.updated", r#"{"tenant":"acme","suspended":"yes"}"#),
        ("operator", "profile.retired", r#"{"profile":"hire"}"#),
    ] {
        let folded = world.send(sender, kind, data);
        assert!(matches!(folded.outcome, Outcome::Unreadable(_)), "{kind} {data}: {:?}", folded.outcome);
        assert_eq!((folded.kind, folded.documents.len()), ("unreadable", 0));
    }
    for (reason, sender, kind, data) in [
        ("invalid_event", "zenith", "share.accepted", "{}"),
        ("invalid_event", "zenith", "share.declined", r#"{"share":"s1","note":5}"#),
        ("invalid_event", "acme", "share.resumed", r#"{"share":5}"#),
        ("invalid_event", "sharecast", "share.expired", r#"{"share":"s1","cause":"time"}"#),
        ("invalid_event", "acme", "share.resent", r#"{"share":"s1","offer_expires":"2026-01-01"}"#),
        ("invalid_event", "acme", "partnership.offered", r#"{"partner":"hooli","tenants":"x"}"#),
        ("invalid_event", "operator", "partnership.established", r#"{"tenants":["acme"]}"#),
        ("invalid_event", "operator", "control.skipped", r#"{"offset":-1,"note":"x"}"#),
        ("invalid_profile", "acme", "profile.published", r#"{"profile":"hire"}"#),
        ("invalid_profile", "acme", "profile.published", r#"{"profile":"hire","spec":[]}"#),
        ("invalid_profile", "acme", "profile.published", r#"{"profile":"hire","spec":{"Telemetry":{"include":[]}}}"#),
    ] {
        world.no(reason, sender, kind, data);
    }
}

#[test]
fn d10_null_clears_in_updates_and_is_absence_elsewhere() {
    let mut world = World::active(r#""label":"Digger","ends":"2026-01-01T05:00:00Z","starts":"2026-01-01T00:00:00Z""#);
    let before = world.document("s1");
    world.ok("acme", "share.updated", r#"{"share":"s1","permission":null,"streams":null,"profile":null,"target_asset":null}"#);
    assert_eq!(world.document("s1")["revision"], before["revision"]);
    world.ok("acme", "share.updated", r#"{"share":"s1","label":null,"ends":null,"starts":null}"#);
    let after = world.document("s1");
    assert_eq!((&after["label"], &after["ends"], &after["starts"], &after["revision"]), (&().into(), &().into(), &().into(), &3.into()));
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","parent":"group"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"group","parent":"world"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","suspended":null}"#);
    world.no("tenant_cycle", "operator", "tenant.updated", r#"{"tenant":"world","parent":"acme"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","parent":null}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"world","parent":"acme"}"#);
    world.no("tenant_cycle", "operator", "tenant.updated", r#"{"tenant":"new","parent":"new"}"#);
}

#[test]
fn d10_the_envelope() {
    let line = |text: &str| read_line(text.as_bytes()).unwrap();
    let good = r#"{"specversion":"1.0","id":"","source":"/operator","type":"sharecast.control.tick.v1","time":"2026-01-01T00:00:00.0009Z","offset":7}"#;
    let read = line(good);
    assert!(read.record.is_ok() && read.time == Some(minute(0)) && read.offset == OffsetAttribute::At(Offset(7)));
    for bad in [
        good.replace(r#""1.0""#, "1.0"),
        good.replace("/operator", "/operator/"),
        good.replace("/operator", "/tenants/a b"),
        good.replace("/operator", "/Sharecast"),
        good.replace("tick.v1", "tick.v2"),
        good.replace(r#""id":"""#, r#""id":null"#),
        good.replace("2026-01-01T", "2026-13-01T"),
        good.replace(r#""offset":7"#, r#""data":[]"#),
        good.replace("tick.v1", "skipped.v1"),
        format!("[{good}]"),
        r#"{"offset":7,"time":"2026-01-01T00:00:00Z","raw_base64":"AA=="}"#.to_owned(),
    ] {
        assert!(line(&bad).record.is_err(), "{bad}");
    }
    assert_eq!(line(&good.replace(":7}", ":7.0}")).offset, OffsetAttribute::WrongType);
    assert_eq!(line(r#"{"raw_base64":5}"#).raw_base64, RawAttribute::WrongType);
    assert_eq!(line(&good.replace(":7}", r#":7,"raw_base64":5}"#)).raw_base64, RawAttribute::Absent, "an event's own attribute");
    assert!(read_line(br#"{"id":"\ud800"}"#).is_err());
}

#[test]
fn section_5_both_modes_are_read() {
    let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
    let mut headers = vec![
        header("ce_specversion", "1.0"),
        header("ce_id", "a"),
        header("ce_source", "/tenants/acme"),
        header("ce_type", "sharecast.share.left.v1"),
        header("content-type", "application/json"),
    ];
    let event = read_record(&headers, Some(br#"{"share":"s1"}"#)).unwrap();
    assert_eq!((event.id.as_str(), event.data.get("share").and_then(|n| n.as_str())), ("a", Some("s1")));
    assert!(read_record(&headers, None).is_err());
    let whole = br#"{"specversion":"1.0","id":"b","source":"/operator","type":"sharecast.control.tick.v1"}"#;
    headers.push(header("content-type", "application/cloudevents+json; charset=utf-8"));
    assert_eq!(read_record(&headers, Some(whole)).unwrap().id, "b");
    assert_eq!(read_record(&[], Some(whole)).unwrap().id, "b");
    assert!(read_record(&[], Some(b"")).is_err());
}

#[test]
fn d11_an_unreadable_record_halts_until_it_is_skipped() {
    let mut world = World::partners();
    world.send("acme", "share.revoked", "{}");
    world.send("acme", "share.revoked", "{}");
    assert_eq!(world.table.graph().unreadable_offsets(), [Offset(3), Offset(4)]);
    assert!(world.table.graph().is_halted());
    world.no("not_operator", "acme", "control.skipped", r#"{"offset":3,"note":""}"#);
    world.no("invalid_event", "operator", "control.skipped", r#"{"offset":3}"#);
    world.no("wrong_state", "operator", "control.skipped", r#"{"offset":2,"note":""}"#);
    world.ok("operator", "control.skipped", r#"{"offset":3,"note":"seen"}"#);
    world.no("wrong_state", "operator", "control.skipped", r#"{"offset":3,"note":"again"}"#);
    assert!(world.table.graph().is_halted());
    world.ok("operator", "control.skipped", r#"{"offset":4,"note":"seen"}"#);
    assert!(!world.table.graph().is_halted());
    let mut skipping = World::new(FoldRules { halts_on_unreadable: false, ..rules() });
    assert!(matches!(skipping.send("acme", "share.revoked", "{}").outcome, Outcome::SetAside(_)));
    assert!(!skipping.table.graph().is_halted());
    skipping.no("wrong_state", "operator", "control.skipped", r#"{"offset":0,"note":""}"#);
}

#[test]
fn d12_who_may_do_what() {
    let mut world = World::active("");
    for (reason, sender, kind, data) in [
        ("not_operator", "acme", "tenant.updated", r#"{"tenant":"acme"}"#),
        ("not_operator", "acme", "partnership.established", r#"{"tenants":["acme","zenith"]}"#),
        ("not_operator", "sharecast", "share.paused", r#"{"share":"s1"}"#),
        ("not_operator", "sharecast", "control.skipped", r#"{"offset":1,"note":""}"#),
        ("not_operator", "zenith", "share.expired", r#"{"share":"s1","cause":"access"}"#),
        (
            "not_owner",
            "hooli",
            "share.offered",
            r#"{"share":"s2","owner":"acme","asset":"A","target_tenant":"hooli","streams":["telemetry"],"profile":"all"}"#,
        ),
        ("not_owner", "hooli", "profile.retired", r#"{"profile":"hire","owner":"acme"}"#),
        ("not_owner", "hooli", "share.resent", r#"{"share":"s1"}"#),
        ("not_owner", "hooli", "share.cancelled", r#"{"share":"s1"}"#),
        ("not_owner", "hooli", "share.updated", r#"{"share":"s1"}"#),
        ("not_owner", "hooli", "share.revoked", r#"{"share":"s1"}"#),
        ("not_owner", "hooli", "share.paused", r#"{"share":"s1"}"#),
        ("not_owner", "hooli", "share.resumed", r#"{"share":"s1"}"#),
        ("not_target", "hooli", "share.accepted", r#"{"share":"s1"}"#),
        ("not_target", "hooli", "share.declined", r#"{"share":"s1"}"#),
        ("not_target", "hooli", "share.left", r#"{"share":"s1"}"#),
        ("not_target", "acme", "share.accepted", r#"{"share":"s1"}"#),
        ("not_target", "acme", "share.left", r#"{"share":"s1"}"#),
        ("not_target", "operator", "share.accepted", r#"{"share":"s1","target_tenant":"hooli"}"#),
        ("not_owner", "zenith", "share.revoked", r#"{"share":"s1"}"#),
        ("not_owner", "zenith", "share.updated", r#"{"share":"s1","target_asset":"T","label":null}"#),
        ("wrong_state", "operator", "share.accepted", r#"{"share":"s1","target_tenant":"zenith"}"#),
    ] {
        world.no(reason, sender, kind, data);
    }
    world.ok("zenith", "share.updated", r#"{"share":"s1","target_asset":"T","streams":null}"#);
    assert_eq!(world.document("s1")["target_asset"], "T");
}

#[test]
fn d13_an_offer_is_rejected_or_fails() {
    let mut world = World::partners();
    let offer = |world: &mut World, sender: &str, members: &str| {
        let data = format!(r#"{{"share":"x","asset":"A","target_tenant":"zenith","streams":["telemetry"],"profile":"only-t",{members}}}"#);
        let folded = world.send(sender, "share.offered", &data);
        written(&folded)
    };
    for (sender, members, reason) in [
        ("operator", r#""owner":"no id""#, "invalid_id"),
        ("acme", r#""share":"no id""#, "invalid_id"),
        ("acme", r#""owner":"no id","share":"no id""#, "not_owner"),
    ] {
        assert_eq!(offer(&mut world, sender, members)[0].1["rejected"]["reason"], reason);
    }
    let cases = [
        (r#""asset":"""#, "invalid_id"),
        (r#""target_tenant":"no id""#, "invalid_id"),
        (r#""target_asset":"""#, "invalid_id"),
        (r#""streams":["Telemetry"]"#, "invalid_id"),
        (r#""profile":"""#, "invalid_id"),
        (r#""target_tenant":"acme""#, "self_share"),
        (r#""target_tenant":"hooli","streams":[]"#, "no_partnership"),
        (r#""streams":[]"#, "unknown_stream"),
        (r#""streams":["faults"],"profile":"none""#, "unknown_stream"),
        (r#""profile":"none","ends":"2020-01-01T00:00:00Z""#, "unknown_profile"),
        (r#""streams":["telemetry","details"],"ends":"2020-01-01T00:00:00Z""#, "stream_not_in_profile"),
        (r#""ends":"2026-01-01T00:00:00Z""#, "invalid_window"),
        (r#""offer_expires":"2026-01-01T00:00:00Z""#, "invalid_window"),
        (r#""starts":"2026-01-02T00:00:00Z","ends":"2026-01-02T00:00:00Z""#, "invalid_window"),
    ];
    for (at, (members, reason)) in cases.into_iter().enumerate() {
        let documents = offer(&mut world, "acme", &format!(r#""share":"f{at}",{members}"#));
        assert_eq!(documents.len(), 2, "the target does not see it");
        assert_eq!((documents[0].0.as_str(), documents[1].0.as_str()), ("sharecast.shares", "share.acme.shares"));
        assert_eq!((&documents[0].1["state"], &documents[0].1["reason"]), (&"FAILED".into(), &reason.into()), "{members}");
        assert_eq!(documents[0].1, documents[1].1);
    }
    assert_eq!(offer(&mut world, "acme", r#""share":"f0""#)[0].1["rejected"]["reason"], "duplicate_share");
    world.no("wrong_state", "zenith", "share.accepted", r#"{"share":"f7"}"#);
    world.no("not_target", "hooli", "share.accepted", r#"{"share":"f7"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"zenith","suspended":true}"#);
    assert_eq!(offer(&mut world, "acme", r#""share":"g","streams":[]"#)[0].1["reason"], "tenant_suspended");
}

#[test]
fn d13_the_order_before_an_events_own_rules() {
    let mut world = World::partners();
    let revoked = world.send_as("no id", "acme", "share.revoked", r#"{"share":"s1"}"#);
    assert_eq!(written(&revoked)[0].1["rejected"]["reason"], "invalid_id");
    assert_eq!(revoked.documents[0].key, "rejected:no id");
    let again = world.send_as("no id", "acme", "share.revoked", r#"{"share":"s1"}"#);
    assert_eq!(code(&again.outcome), "invalid_id", "not remembered");
    assert_eq!(code(&world.send_as("", "acme", "share.accepted", "{}").outcome), "invalid_id");
    assert_eq!(code(&world.send("sharecast", "share.accepted", "{}").outcome), "invalid_event");
    assert_eq!(code(&world.send("sharecast", "share.accepted", r#"{"share":"no id"}"#).outcome), "not_operator");
}

#[test]
fn d13_the_order_on_a_share() {
    let mut world = World::partners();
    world.offer("s1", r#""ends":"2026-01-01T00:20:00Z","offer_expires":"2026-01-01T00:10:00Z","streams":["telemetry"]"#);
    world.no("invalid_id", "hooli", "share.accepted", r#"{"share":"no id"}"#);
    world.no("invalid_id", "hooli", "share.accepted", r#"{"share":"none","target_asset":""}"#);
    world.no("unknown_share", "hooli", "share.accepted", r#"{"share":"none"}"#);
    world.no("more_than_offered", "zenith", "share.accepted", r#"{"share":"s1","streams":["telemetry","faults"]}"#);
    world.no("unknown_stream", "zenith", "share.accepted", r#"{"share":"s1","streams":[]}"#);
    world.no("unknown_stream", "acme", "share.updated", r#"{"share":"s1","streams":["faults"],"profile":"none"}"#);
    world.no("unknown_profile", "acme", "share.updated", r#"{"share":"s1","streams":["details"],"profile":"none"}"#);
    world.no(
        "stream_not_in_profile",
        "acme",
        "share.updated",
        r#"{"share":"s1","profile":"only-t","streams":["details"],"starts":"2027-01-01T00:00:00Z"}"#,
    );
    world.no("invalid_window", "acme", "share.updated", r#"{"share":"s1","starts":"2027-01-01T00:00:00Z"}"#);
    world.no("wrong_state", "acme", "share.revoked", r#"{"share":"s1"}"#);
    world.no("wrong_state", "acme", "share.paused", r#"{"share":"s1"}"#);
    world.after(10);
    for (sender, kind) in [
        ("zenith", "share.accepted"),
        ("zenith", "share.declined"),
        ("acme", "share.cancelled"),
        ("acme", "share.resent"),
        ("acme", "share.updated"),
    ] {
        world.no("offer_lapsed", sender, kind, r#"{"share":"s1"}"#);
    }
    // An update that names neither streams nor profile does not ask for the profile.
    world.offer("s2", "");
    world.ok("acme", "profile.retired", r#"{"profile":"hire"}"#);
    world.ok("acme", "share.updated", r#"{"share":"s2","label":"new"}"#);
    world.no("unknown_profile", "acme", "share.updated", r#"{"share":"s2","streams":["telemetry"]}"#);
    world.ok("zenith", "share.accepted", r#"{"share":"s2"}"#);
}
