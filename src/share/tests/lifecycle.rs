//! The rules of a share's life and of what comes out, one test a rule.

use crate::id::StreamIndex;
use crate::share::configuration::PartnershipNeed;
use crate::share::graph::{Grant, GrantState, ShareGraph};
use crate::share::state::{ExpiryCause, State};
use crate::share::table::FoldRules;
use crate::share::tests::fixture::{World, at, minute, rules, written};
use crate::time::{Period, TimestampMs};

#[test]
fn d15_what_is_taken_after_the_end() {
    let ends = r#""ends":"2026-01-01T00:20:00Z""#;
    let mut world = World::active(ends);
    world.offer("s2", &format!(r#"{ends},"target_asset":"T2""#));
    world.ok("acme", "share.paused", r#"{"share":"s1"}"#);
    world.no("wrong_state", "sharecast", "share.expired", r#"{"share":"s1","cause":"access"}"#);
    world.after(20);
    world.no("access_ended", "zenith", "share.accepted", r#"{"share":"s2"}"#);
    world.no("access_ended", "acme", "share.updated", r#"{"share":"s1","ends":null}"#);
    world.no("access_ended", "acme", "share.resumed", r#"{"share":"s1"}"#);
    world.ok("zenith", "share.paused", r#"{"share":"s1"}"#);
    assert_eq!(
        world.table.due(world.now, 9).iter().map(|d| (d.share.as_str(), d.cause)).collect::<Vec<_>>(),
        [("s1", ExpiryCause::Access)]
    );
    world.ok("sharecast", "share.expired", r#"{"share":"s1","cause":"access"}"#);
    assert!(world.table.due(world.now, 9).is_empty());
    assert_eq!(world.document("s1")["ended_at"], "2026-01-01T00:20:00Z");
    world.after(60);
    world.ok("zenith", "share.left", r#"{"share":"s1"}"#);
    assert_eq!(
        (world.document("s1")["state"].as_str(), world.document("s1")["ended_at"].as_str()),
        (Some("LEFT"), Some("2026-01-01T01:20:00Z"))
    );
    world.no("wrong_state", "acme", "share.revoked", r#"{"share":"s1"}"#);
}

#[test]
fn d15_d31_late_grace_ends_by_time_or_by_a_cut() {
    let grants = |world: &World| {
        let graph = world.table.graph();
        let Some(shares) = graph.asset("acme", "NW-7") else { return (vec![], 0) };
        let ended = shares.quiet().iter().find(|q| q.stream == StreamIndex(0)).map_or(0, |q| q.ended);
        (shares.grants().map(|g| (g.state, g.is_suspended)).collect::<Vec<_>>(), ended)
    };
    let expired = || {
        let mut world = World::active(r#""ends":"2026-01-01T00:20:00Z""#);
        world.after(25);
        assert_eq!(world.ok("sharecast", "share.expired", r#"{"share":"s1","cause":"access"}"#).touched.len(), 1);
        assert_eq!(grants(&world), (vec![(GrantState::Expired, false)], 0));
        world
    };
    let mut world = expired();
    world.now = minute(30);
    world.send("operator", "control.tick", "{}");
    assert_eq!(grants(&world), (vec![], 1));
    let mut world = expired();
    let folded = world.ok("zenith", "partnership.ended", r#"{"partner":"acme"}"#);
    assert_eq!((folded.documents.len(), folded.touched.len()), (0, 1));
    assert_eq!(grants(&world), (vec![], 1));
    let mut world = expired();
    world.ok("acme", "share.revoked", r#"{"share":"s1"}"#);
    assert_eq!(grants(&world), (vec![], 1));
    let mut world = expired();
    let folded = world.ok("operator", "tenant.updated", r#"{"tenant":"zenith","suspended":true}"#);
    assert_eq!((folded.documents.len(), folded.touched.len()), (0, 1));
    assert_eq!(grants(&world), (vec![(GrantState::Expired, true)], 0));
    // Out of PAUSED there is no grace.
    let mut world = World::active(r#""ends":"2026-01-01T00:20:00Z""#);
    world.ok("acme", "share.paused", r#"{"share":"s1"}"#);
    world.after(20);
    world.ok("sharecast", "share.expired", r#"{"share":"s1","cause":"access"}"#);
    assert_eq!(grants(&world), (vec![], 1));
}

#[test]
fn d16_each_holds_its_own_pause() {
    let mut world = World::active("");
    let paused_by = |world: &World| world.document("s1")["paused_by"].clone();
    world.after(1).ok("zenith", "share.paused", r#"{"share":"s1"}"#);
    world.no("wrong_state", "zenith", "share.paused", r#"{"share":"s1"}"#);
    world.no("wrong_state", "acme", "share.resumed", r#"{"share":"s1"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","suspended":true}"#);
    let folded = world.ok("operator", "tenant.updated", r#"{"tenant":"zenith","suspended":true}"#);
    assert!(folded.documents.is_empty() && folded.touched.is_empty());
    world.ok("acme", "share.paused", r#"{"share":"s1"}"#);
    world.ok("operator", "share.paused", r#"{"share":"s1"}"#);
    assert_eq!(paused_by(&world), serde_json::json!(["operator", "owner", "suspension", "target"]));
    world.after(1).ok("operator", "share.resumed", r#"{"share":"s1"}"#);
    assert_eq!(paused_by(&world), serde_json::json!(["suspension"]));
    world.no("wrong_state", "operator", "share.resumed", r#"{"share":"s1"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","suspended":false}"#);
    assert_eq!(world.state("s1"), "PAUSED");
    let folded = world.after(1).ok("operator", "tenant.updated", r#"{"tenant":"zenith","suspended":false}"#);
    assert_eq!((folded.documents.len(), folded.touched.len()), (3, 1));
    let graph = world.table.graph();
    assert_eq!((grant_of(&graph).state, grant_of(&graph).rare.pauses()), (GrantState::Active, &[(minute(1), minute(3))][..]));
    // A pause of no length covers nothing, one that goes on where another ended is one with it.
    world.ok("acme", "share.paused", r#"{"share":"s1"}"#);
    world.ok("acme", "share.resumed", r#"{"share":"s1"}"#);
    world.ok("acme", "share.paused", r#"{"share":"s1"}"#);
    world.after(1).ok("acme", "share.resumed", r#"{"share":"s1"}"#);
    let graph = world.table.graph();
    assert_eq!(grant_of(&graph).rare.pauses(), &[(minute(1), minute(4))]);
    assert_eq!(world.document("s1").get("reason"), None);
}

#[test]
fn d16_nobody_accepts_while_a_tenant_is_suspended() {
    let mut world = World::partners();
    world.offer("s1", "");
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","suspended":true}"#);
    world.no("tenant_suspended", "zenith", "share.accepted", r#"{"share":"s1"}"#);
    assert_eq!(world.state("s1"), "PENDING");
    world.ok("zenith", "share.declined", r#"{"share":"s1"}"#);
}

#[test]
fn d17_one_share_feeds_a_place() {
    let mut world = World::active(r#""target_asset":"T","ends":"2026-01-01T00:30:00Z","streams":["telemetry"]"#);
    world.offer("s2", r#""target_asset":"T""#);
    world.no("target_in_use", "zenith", "share.accepted", r#"{"share":"s2"}"#);
    world.no("target_in_use", "zenith", "share.accepted", r#"{"share":"s2","streams":["telemetry"]}"#);
    world.ok("zenith", "share.accepted", r#"{"share":"s2","streams":["details"]}"#);
    world.no("target_in_use", "acme", "share.updated", r#"{"share":"s2","streams":["details","telemetry"]}"#);
    world.ok("zenith", "share.updated", r#"{"share":"s2","target_asset":"U"}"#);
    world.ok("acme", "share.updated", r#"{"share":"s2","streams":["details","telemetry"]}"#);
    world.no("target_in_use", "zenith", "share.updated", r#"{"share":"s2","target_asset":"T"}"#);
    world.ok("acme", "share.paused", r#"{"share":"s1"}"#);
    world.ok("acme", "share.paused", r#"{"share":"s2"}"#);
    world.no("target_in_use", "zenith", "share.updated", r#"{"share":"s2","target_asset":"T"}"#);
    world.after(30).ok("zenith", "share.updated", r#"{"share":"s2","target_asset":"T"}"#);
    // The default is the owner's id.
    world.offer("s3", r#""target_asset":"NW-7""#);
    world.ok("zenith", "share.accepted", r#"{"share":"s3"}"#);
    world.offer("s4", "");
    world.no("target_in_use", "zenith", "share.accepted", r#"{"share":"s4"}"#);
}

#[test]
fn d18_the_life_of_a_partnership() {
    let mut world = World::new(rules());
    world.no("invalid_id", "acme", "partnership.offered", r#"{"partner":"no id"}"#);
    world.no("self_share", "acme", "partnership.accepted", r#"{"partner":"acme"}"#);
    world.no("no_partnership", "zenith", "partnership.accepted", r#"{"partner":"acme"}"#);
    world.no("no_partnership", "zenith", "partnership.ended", r#"{"partner":"acme"}"#);
    world.ok("acme", "partnership.offered", r#"{"partner":"zenith","auto_accept":5}"#);
    world.no("wrong_state", "zenith", "partnership.offered", r#"{"partner":"acme"}"#);
    world.no("not_target", "acme", "partnership.accepted", r#"{"partner":"zenith"}"#);
    world.no("not_target", "operator", "partnership.declined", r#"{"tenants":["acme","zenith"]}"#);
    world.ok("zenith", "partnership.declined", r#"{"partner":"acme"}"#);
    world.ok("operator", "partnership.offered", r#"{"tenants":["zenith","acme"]}"#);
    world.ok("acme", "partnership.ended", r#"{"partner":"zenith"}"#);
    world.ok("zenith", "partnership.offered", r#"{"partner":"acme"}"#);
    world.ok("acme", "partnership.accepted", r#"{"partner":"zenith","auto_accept":true}"#);
    world.no("wrong_state", "acme", "partnership.declined", r#"{"partner":"zenith"}"#);
    let folded =
        world.ok("acme", "share.offered", r#"{"share":"s1","asset":"A","target_tenant":"zenith","streams":["telemetry"],"profile":"all"}"#);
    assert_eq!(folded.documents.len(), 3);
    let document = world.document("s1");
    assert_eq!(
        (&document["state"], &document["revision"], &document["accepted_at"]),
        (&"ACTIVE".into(), &1.into(), &"2026-01-01T00:00:00Z".into())
    );
    // `established` overwrites, also what it does not say.
    world.ok("operator", "partnership.established", r#"{"tenants":["zenith","acme"]}"#);
    world.ok("acme", "share.offered", r#"{"share":"s0","asset":"B","target_tenant":"zenith","streams":["telemetry"],"profile":"all"}"#);
    world.ok("zenith", "share.offered", r#"{"share":"s2","asset":"C","target_tenant":"acme","streams":["telemetry"],"profile":"all"}"#);
    world.ok("acme", "share.accepted", r#"{"share":"s2"}"#);
    let folded = world.after(5).ok("zenith", "partnership.ended", r#"{"partner":"acme"}"#);
    let seen: Vec<_> =
        written(&folded).into_iter().map(|(topic, d)| (topic, d["share"].clone(), d["state"].clone(), d["reason"].clone())).collect();
    let row = |topic: &str, share: &str, state: &str| (topic.to_owned(), share.into(), state.into(), "partnership_ended".into());
    assert_eq!(
        seen,
        [
            row("sharecast.shares", "s0", "CANCELLED"),
            row("share.acme.shares", "s0", "CANCELLED"),
            row("share.zenith.shares", "s0", "CANCELLED"),
            row("sharecast.shares", "s1", "REVOKED"),
            row("share.acme.shares", "s1", "REVOKED"),
            row("share.zenith.shares", "s1", "REVOKED"),
            row("sharecast.shares", "s2", "REVOKED"),
            row("share.zenith.shares", "s2", "REVOKED"),
            row("share.acme.shares", "s2", "REVOKED"),
        ]
    );
    assert_eq!(folded.touched.iter().map(|t| t.share.as_str()).collect::<Vec<_>>(), ["s1", "s2"]);
}

#[test]
fn d18_the_tree_accepts_by_itself() {
    let mut world = World::new(rules());
    world.ok("operator", "tenant.updated", r#"{"tenant":"site","parent":"group"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"group","parent":"world"}"#);
    world.ok("operator", "tenant.updated", r#"{"tenant":"other","parent":"world"}"#);
    let offer = |owner: &str, target: &str, id: &str| {
        let data = format!(
            r#"{{"share":"{id}","owner":"{owner}","asset":"A","target_tenant":"{target}","streams":["telemetry"],"profile":"all","target_asset":"{id}"}}"#
        );
        ("operator", "share.offered", data)
    };
    for (owner, target, id, state) in [("world", "site", "a", "ACTIVE"), ("site", "world", "b", "ACTIVE"), ("site", "other", "c", "FAILED")]
    {
        let (sender, kind, data) = offer(owner, target, id);
        world.ok(sender, kind, &data);
        assert_eq!(world.state(id), state);
    }
    let mut open = World::new(FoldRules { partnerships: PartnershipNeed::Open, ..rules() });
    let (sender, kind, data) = offer("site", "other", "c");
    open.ok(sender, kind, &data);
    assert_eq!(open.state("c"), "PENDING");
}

#[test]
fn d19_an_invitee_is_bound_by_accepting() {
    let mut world = World::partners();
    let invite = r#"{"share":"s1","asset":"A","invitee":"who@ever.example","streams":["telemetry"],"profile":"hire"}"#;
    let folded = world.ok("acme", "share.offered", invite);
    assert_eq!(written(&folded).iter().map(|(topic, _)| topic.as_str()).collect::<Vec<_>>(), ["sharecast.shares", "share.acme.shares"]);
    assert_eq!(world.document("s1")["invitee"], "who@ever.example");
    world.no("self_share", "acme", "share.accepted", r#"{"share":"s1"}"#);
    world.no("no_partnership", "hooli", "share.accepted", r#"{"share":"s1"}"#);
    world.no("not_target", "zenith", "share.declined", r#"{"share":"s1"}"#);
    world.no("not_target", "operator", "share.accepted", r#"{"share":"s1"}"#);
    world.no("self_share", "operator", "share.accepted", r#"{"share":"s1","target_tenant":"acme"}"#);
    world.no("not_target", "zenith", "share.accepted", r#"{"share":"s1","target_tenant":"hooli"}"#);
    let folded = world.ok("zenith", "share.accepted", r#"{"share":"s1"}"#);
    assert_eq!(folded.documents.len(), 3);
    let document = world.document("s1");
    assert_eq!((document.get("invitee"), &document["target_tenant"]), (None, &"zenith".into()));
    world.no("not_target", "acme", "share.accepted", r#"{"share":"s1"}"#);
    // With a target tenant the invitee is ignored.
    assert_eq!(world.offer("s2", r#""invitee":"who@ever.example""#).get("invitee"), None);
}

#[test]
fn d20_granted_from_follows_the_window() {
    let mut world = World::partners();
    world.offer("s1", r#""starts":"2026-01-01T00:10:00.000000001Z""#);
    assert_eq!(world.document("s1").get("granted_from"), None);
    world.after(1).ok("zenith", "share.accepted", r#"{"share":"s1"}"#);
    assert_eq!(world.document("s1")["granted_from"], "2026-01-01T00:10:00.000000001Z");
    world.ok("acme", "share.updated", r#"{"share":"s1","starts":null}"#);
    assert_eq!(world.document("s1")["granted_from"], "2026-01-01T00:01:00Z");
    world.offer("s2", r#""target_asset":"B","history":true"#);
    world.ok("zenith", "share.accepted", r#"{"share":"s2"}"#);
    assert_eq!((world.document("s2").get("granted_from"), &world.document("s2")["history"]), (None, &true.into()));
    world.ok("acme", "share.updated", r#"{"share":"s2","starts":"2025-01-01T00:00:00Z"}"#);
    assert_eq!(world.document("s2")["granted_from"], "2025-01-01T00:00:00Z");
}

#[test]
fn d20_a_resent_offer_starts_its_clock_again() {
    let mut world = World::partners();
    world.offer("s1", r#""offer_expires":"2026-01-01T00:10:00Z""#);
    world.after(4).ok("acme", "share.resent", r#"{"share":"s1"}"#);
    assert_eq!(world.document("s1")["offer_expires"], "2026-01-01T00:14:00Z");
    world.after(4).ok("acme", "share.resent", r#"{"share":"s1","offer_expires":"2026-01-01T00:10:00Z"}"#);
    world.after(1).ok("acme", "share.resent", r#"{"share":"s1"}"#);
    assert_eq!(world.document("s1")["offer_expires"], "2026-01-01T00:11:00Z");
    assert_eq!((&world.document("s1")["revision"], &world.document("s1")["offered_at"]), (&4.into(), &"2026-01-01T00:00:00Z".into()));
    world.no("invalid_window", "acme", "share.resent", r#"{"share":"s1","offer_expires":"2026-01-01T00:09:00Z"}"#);
    world.offer("s2", "");
    assert!(world.ok("acme", "share.resent", r#"{"share":"s2"}"#).documents.is_empty());
    world.offer("s3", r#""offer_expires":"9999-12-31T23:59:00Z""#);
    world.after(5).no("invalid_window", "acme", "share.resent", r#"{"share":"s3"}"#);
}

#[test]
fn d20_who_ended_it_is_the_reason() {
    for (sender, kind, state, reason) in [
        ("acme", "share.revoked", "REVOKED", "by_owner"),
        ("operator", "share.revoked", "REVOKED", "by_operator"),
        ("zenith", "share.left", "LEFT", "by_target"),
        ("operator", "share.left", "LEFT", "by_operator"),
    ] {
        let mut world = World::active("");
        let folded = world.after(3).ok(sender, kind, r#"{"share":"s1","note":"x"}"#);
        let document = world.document("s1");
        assert_eq!(
            (&document["state"], &document["reason"], &document["ended_at"]),
            (&state.into(), &reason.into(), &"2026-01-01T00:03:00Z".into())
        );
        assert_eq!((folded.documents.len(), folded.touched.len()), (3, 1));
        assert_eq!(world.table.states().find(|(s, _)| s.word() == state).map(|(_, count)| count), Some(1));
    }
}

#[test]
fn d21_profiles_come_and_go() {
    let mut world = World::active("");
    let spec = r#"{"profile":"hire","spec":{"telemetry":{"include":["$.a"]},"details":{"include":[]},"elsewhere":{"include":[]}}}"#;
    let slot = world.ok("acme", "profile.published", spec).profile.unwrap();
    let graph = world.table.graph();
    assert_eq!(world.ok("acme", "profile.published", spec).profile, None, "the same again changes nothing");
    assert_eq!(world.ok("operator", "profile.retired", r#"{"profile":"hire","owner":"acme"}"#).profile, Some(slot));
    assert!(world.table.graph().profile(slot).is_none() && graph.profile(slot).is_some());
    world.no("wrong_state", "acme", "profile.retired", r#"{"profile":"hire"}"#);
    world.no("unknown_profile", "acme", "profile.retired", r#"{"profile":"all"}"#);
    world.no("unknown_profile", "zenith", "profile.retired", r#"{"profile":"hire"}"#);
    world.no("invalid_profile", "acme", "profile.published", r#"{"profile":"all","spec":{}}"#);
    world.no("invalid_id", "acme", "profile.published", r#"{"profile":"no id","spec":{}}"#);
    assert_eq!(world.ok("acme", "profile.published", spec).profile, Some(slot));
    let listed: Vec<_> = world.table.profiles().map(|p| (p.owner, p.name, p.revision, p.is_retired)).collect();
    assert_eq!(listed, [("acme", "hire", 3, false), ("acme", "only-t", 1, false)]);
    assert_eq!(world.table.shares_of_profile(slot, None, 9)[0].share.as_str(), "s1");
}

#[test]
fn d22_the_members_and_their_order() {
    let mut world = World::partners();
    let all = r#""label":"Digger \"2\"","target_asset":"T/1","permission":"manage","starts":"2026-01-01T00:01:00Z","ends":"2026-01-02T01:00:00+01:00","offer_expires":"2026-01-01T01:00:00Z","history":true,"message":"a\nb","streams":["details","telemetry","details"]"#;
    world.offer("s1", all);
    let folded = world.ok("zenith", "share.accepted", r#"{"share":"s1"}"#);
    let values: Vec<_> = folded.documents.iter().map(|d| String::from_utf8(d.value.clone()).unwrap()).collect();
    let owners = r#"{"share":"s1","owner":"acme","asset":"NW-7","label":"Digger \"2\"","target_tenant":"zenith","target_asset":"T/1","streams":["details","telemetry"],"profile":"hire","permission":"manage","starts":"2026-01-01T00:01:00Z","ends":"2026-01-02T00:00:00Z","offer_expires":"2026-01-01T01:00:00Z","history":true,"message":"a\nb","state":"ACTIVE","revision":2,"offered_at":"2026-01-01T00:00:00Z","accepted_at":"2026-01-01T00:00:00Z","granted_from":"2026-01-01T00:01:00Z","epoch":4}"#;
    assert_eq!(values, [owners.to_owned(), owners.to_owned(), owners.replace(r#""asset":"NW-7","#, "")]);
    assert!(folded.documents.iter().all(|d| d.key == "s1" && d.timestamp == minute(0)));
}

#[test]
fn d23_a_rejection_names_the_share_if_the_data_does() {
    let mut world = World::partners();
    let value = |folded: &crate::share::table::Folded| String::from_utf8(folded.documents[0].value.clone()).unwrap();
    let folded = world.send_as("e", "acme", "share.accepted", r#"{"share":"a","streams":5}"#);
    let expected = r#"{"rejected":{"id":"e","type":"sharecast.share.accepted.v1","source":"/tenants/acme","reason":"invalid_event","share":"a"},"epoch":3}"#;
    assert_eq!(value(&folded), expected);
    let folded = world.send_as("f", "acme", "partnership.ended", r#"{"share":"a","partner":"hooli"}"#);
    assert!(!value(&folded).contains(r#""share":"a""#), "not of another type");
    let folded = world.send_as("g", "acme", "share.accepted", r#"{"share":5}"#);
    assert!(!value(&folded).contains(r#""share":5"#), "nor if it is no string");
}

#[test]
fn the_graph_counts_what_is_quiet() {
    let mut world = World::partners();
    let quiet = |world: &World| {
        let graph = world.table.graph();
        let quiet = graph.asset("acme", "NW-7").map_or(&[][..], |shares| shares.quiet());
        quiet.iter().map(|q| (q.stream.0, q.pending, q.ended)).collect::<Vec<_>>()
    };
    world.offer("s1", "");
    world.offer("s2", r#""streams":["telemetry"]"#);
    world.offer("s3", r#""streams":["telemetry","faults"]"#);
    world.offer("s4", r#""streams":["faults"]"#);
    assert_eq!(quiet(&world), [(0, 2, 1), (1, 1, 0)]);
    world.ok("acme", "share.updated", r#"{"share":"s1","streams":["telemetry"]}"#);
    assert_eq!(quiet(&world), [(0, 2, 1)]);
    world.ok("zenith", "share.declined", r#"{"share":"s1"}"#);
    world.ok("acme", "share.cancelled", r#"{"share":"s2"}"#);
    assert_eq!(quiet(&world), [(0, 0, 3)]);
    assert!(world.table.graph().asset("acme", "NW-8").is_none());
}

#[test]
fn section_5_moments_to_come_are_sorted() {
    let mut world = World::partners();
    for (id, asset, times) in [
        ("b", "B", r#""starts":"2026-01-01T00:10:00Z","ends":"2026-01-01T00:20:00.000000001Z""#),
        ("a", "A", r#""starts":"2026-01-01T00:10:00Z","ends":"2026-01-01T00:20:00Z""#),
        ("p", "P", r#""starts":"2026-01-01T00:11:00Z""#),
    ] {
        world.offer(id, &format!(r#""target_asset":"{asset}",{times}"#));
    }
    world.ok("zenith", "share.accepted", r#"{"share":"a"}"#);
    world.ok("zenith", "share.accepted", r#"{"share":"b"}"#);
    let starts = at("2026-01-01T00:10:00Z");
    let moments = |world: &World, after: &str, until: &str| {
        let found = world.table.moments(at(after), at(until));
        found.iter().map(|(m, t)| format!("{} {m}", t.share)).collect::<Vec<_>>()
    };
    assert_eq!(world.table.next_moment(world.now.moment()), Some(starts));
    assert_eq!(
        moments(&world, "2026-01-01T00:09:59Z", "2026-01-01T00:20:00Z"),
        ["a 2026-01-01T00:10:00Z", "b 2026-01-01T00:10:00Z", "a 2026-01-01T00:20:00Z"]
    );
    assert_eq!(world.table.next_moment(starts), Some(at("2026-01-01T00:20:00Z")));
    assert_eq!(world.table.next_moment(at("2026-01-01T00:20:00Z")), Some(at("2026-01-01T00:20:00.000000001Z")));
    assert_eq!(world.table.next_moment(at("2026-01-01T00:20:00.000000001Z")), None);
    assert_eq!(moments(&world, "2026-01-01T00:20:00Z", "2026-01-01T00:20:00.000000001Z"), ["b 2026-01-01T00:20:00.000000001Z"]);
    world.ok("acme", "share.revoked", r#"{"share":"a"}"#);
    assert_eq!(moments(&world, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z").len(), 2);
}

/// The one grant of the asset that most of these tests share.
fn grant_of(graph: &ShareGraph) -> Grant<'_> {
    graph.asset("acme", "NW-7").unwrap().grants().next().unwrap()
}

#[test]
fn a_million_users_are_worked_off_in_slices() {
    let mut world = World::partners();
    for id in ["c", "a", "b", "d"] {
        world.offer(id, &format!(r#""target_asset":"{id}""#));
        world.ok("zenith", "share.accepted", &format!(r#"{{"share":"{id}"}}"#));
    }
    world.ok("zenith", "share.left", r#"{"share":"b"}"#);
    let slot = world.table.profiles().next().unwrap().slot;
    let first = world.table.shares_of_profile(slot, None, 2);
    assert_eq!(first.iter().map(|t| t.share.as_str()).collect::<Vec<_>>(), ["c", "a"]);
    let second = world.table.shares_of_profile(slot, Some(&first[1].share), 2);
    assert_eq!(second.iter().map(|t| t.share.as_str()).collect::<Vec<_>>(), ["d"]);
}

#[test]
fn offers_that_lapse_are_due() {
    let mut world = World::partners();
    world.offer("s1", r#""offer_expires":"2026-01-01T00:10:00.0001Z""#);
    assert!(world.table.due(minute(10), 9).is_empty());
    let due = world.table.due(TimestampMs(minute(10).0 + 1), 9);
    assert_eq!(due.iter().map(|d| (d.share.as_str(), d.cause, d.revision)).collect::<Vec<_>>(), [("s1", ExpiryCause::Offer, 1)]);
    world.after(11).ok("sharecast", "share.expired", r#"{"share":"s1","cause":"offer"}"#);
    assert_eq!(world.document("s1")["ended_at"], "2026-01-01T00:10:00.0001Z");
    assert_eq!(world.table.states().find(|(s, _)| *s == State::Expired), Some((State::Expired, 1)));
    world.no("wrong_state", "acme", "share.revoked", r#"{"share":"s1"}"#);
}

#[test]
fn no_grace_at_all_ends_at_once() {
    let mut world = World::new(FoldRules { late_grace: Period::ZERO, partnerships: PartnershipNeed::Open, ..rules() });
    world.ok(
        "acme",
        "share.offered",
        r#"{"share":"s1","asset":"A","target_tenant":"zenith","streams":["telemetry"],"profile":"all","ends":"2026-01-01T00:01:00Z"}"#,
    );
    world.ok("zenith", "share.accepted", r#"{"share":"s1"}"#);
    world.after(1).ok("sharecast", "share.expired", r#"{"share":"s1","cause":"access"}"#);
    assert!(world.table.graph().asset("acme", "A").unwrap().grants().len() == 0);
}
