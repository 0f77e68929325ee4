//! The end of everything that a tenant has to do with others.

use super::fixture::World;
use crate::id::TenantId;
use crate::share::bulk::offboard::OffboardPlan;
use crate::share::event::kind::EventType;
use crate::share::table::Outcome;

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

/// Plans, and sends what is planned to the world, as whoever acts.
fn offboard(world: &mut World, sender: &str, id: &str) -> OffboardPlan {
    let source = if sender == "operator" { "/operator".to_owned() } else { format!("/tenants/{sender}") };
    let empty = World::partners();
    let mut copy = World { table: empty.table.emptied(), ..empty };
    for (offset, time, value) in &world.log {
        copy.table.fold(*offset, *time, crate::share::event::read_structured(value));
    }
    let plan = OffboardPlan::make(copy.table, world.now, &source, &tenant(id)).unwrap();
    for step in &plan.steps {
        for data in &step.events {
            let mut text = Vec::new();
            crate::json::document::write(data, &mut text);
            let folded = world.send(sender, step.kind.name(), &String::from_utf8(text).unwrap());
            assert_eq!(folded.outcome, Outcome::Applied, "{:?} {data:?}", step.kind);
        }
    }
    plan
}

/// zenith has a partner, an offer of a partnership, a child with which shares need none, an invitation out, an offer in.
fn world() -> World {
    let mut world = World::partners();
    world.ok("operator", "tenant.updated", r#"{"tenant":"branch","parent":"zenith"}"#);
    world.ok("other", "partnership.offered", r#"{"partner":"zenith"}"#);
    world.ok("zenith", "profile.published", r#"{"profile":"z","spec":{"telemetry":{"include":["$"]}}}"#);
    world.offer("in", "");
    world.ok("zenith", "share.accepted", r#"{"share":"in"}"#);
    world.offer("offered", r#""asset":"NW-8""#);
    let own = |id: &str, to: &str| format!(r#"{{"share":"{id}","asset":"Z-{id}","{to},"streams":["telemetry"],"profile":"z"}}"#);
    world.ok("zenith", "share.offered", &own("down", r#"target_tenant":"branch""#));
    world.ok("zenith", "share.offered", &own("mail", r#"invitee":"a@example.com""#));
    world.ok("zenith", "share.offered", &own("back", r#"target_tenant":"acme""#));
    world.ok("branch", "profile.published", r#"{"profile":"b","spec":{"telemetry":{"include":["$"]}}}"#);
    world.ok("branch", "share.offered", r#"{"share":"up","asset":"B","target_tenant":"zenith","streams":["telemetry"],"profile":"b"}"#);
    world.ok(
        "acme",
        "share.offered",
        r#"{"share":"others","asset":"A","invitee":"b@example.com","streams":["telemetry"],"profile":"hire"}"#,
    );
    world
}

#[test]
fn nothing_is_left_of_it_and_nothing_of_others_is_touched() {
    for sender in ["operator", "zenith"] {
        let mut world = world();
        let plan = offboard(&mut world, sender, "zenith");
        assert_eq!(plan.partnerships, [("acme".to_owned(), false), ("other".to_owned(), true)]);
        let ended: Vec<_> = plan.shares.iter().map(|share| (share.share.as_str(), share.other.as_str(), share.after.word())).collect();
        assert_eq!(
            ended,
            [
                ("back", "acme", "CANCELLED"),
                ("down", "branch", "REVOKED"),
                ("in", "acme", "REVOKED"),
                ("mail", "a@example.com", "CANCELLED"),
                ("offered", "acme", "CANCELLED"),
                ("up", "branch", "LEFT"),
            ],
            "{sender}"
        );
        let kinds: Vec<EventType> = plan.steps.iter().map(|step| step.kind).collect();
        assert_eq!(kinds, [EventType::PartnershipEnded, EventType::ShareRevoked, EventType::ShareLeft, EventType::ShareCancelled]);
        assert_eq!(plan.steps[0].last_cut, Some(0), "the offer of a partnership ends no share");
        assert_eq!((plan.profiles.clone(), plan.family.clone()), (vec!["z".to_owned()], vec!["branch".to_owned()]));
        // As they were planned, so they have ended.
        plan.shares.iter().for_each(|share| assert_eq!(world.state(&share.share), share.after.word()));
        assert_eq!(world.state("others"), "PENDING");
        let again = offboard(&mut world, sender, "zenith");
        assert!(again.is_of_nothing() && again.shares.is_empty() && again.partnerships.is_empty(), "{again:?}");
        assert!(again.newest_cut.is_some(), "what was cut before is known again");
    }
}

#[test]
fn an_access_that_expired_ends_where_late_records_would_still_come() {
    let mut world = World::partners();
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","parent":"zenith"}"#);
    world.offer("s", r#""ends":"2026-01-01T00:05:00Z""#);
    world.after(6);
    world.ok("operator", "share.expired", r#"{"share":"s","cause":"access"}"#);
    world.ok("operator", "partnership.ended", r#"{"tenants":["acme","zenith"]}"#);
    world.ok("operator", "partnership.established", r#"{"tenants":["acme","zenith"]}"#);
    world.offer("t", r#""ends":"2026-01-01T00:07:00Z""#);
    world.after(1);
    world.ok("operator", "share.expired", r#"{"share":"t","cause":"access"}"#);
    assert!(world.table.share("t").unwrap().lingers());
    offboard(&mut world, "operator", "zenith");
    assert!(!world.table.share("t").unwrap().lingers());
}
