//! Invitations with a code: who may accept, by which code, and what remains of it.

use crate::share::event::invitation_code::CodeHash;
use crate::share::snapshot;
use crate::share::snapshot::codec::Encoder;
use crate::share::table::ShareTable;
use crate::share::tests::fixture::{World, rules};
use crate::share::tests::fold_properties::{kept, origin};

const SHARE: &str = r#"{"share":"s1"}"#;

/// Partners, and acme's offer `s1` to an invitee with this code.
fn invited(code: &str) -> World {
    let mut world = World::partners();
    invite(&mut world, "s1", &format!(r#""code_hash":"{}""#, CodeHash::of(code)));
    world
}

fn invite(world: &mut World, share: &str, members: &str) {
    let data = format!(
        r#"{{"share":"{share}","asset":"A","invitee":"who@ever.example","streams":["telemetry"],"profile":"hire","offer_expires":"2026-01-01T02:00:00Z",{members}}}"#
    );
    world.ok("acme", "share.offered", &data);
}

fn accept(code: &str) -> String {
    format!(r#"{{"share":"s1","code":"{code}"}}"#)
}

fn resend(world: &mut World, code: &str) {
    world.ok("acme", "share.resent", &format!(r#"{{"share":"s1","code_hash":"{}"}}"#, CodeHash::of(code)));
}

#[test]
fn a_tenant_needs_the_code_and_the_operator_does_not() {
    let mut world = invited("k");
    world.no("wrong_code", "zenith", "share.accepted", SHARE);
    world.no("wrong_code", "zenith", "share.accepted", &accept("K"));
    world.no("wrong_code", "zenith", "share.accepted", &accept(""));
    assert_eq!(world.ok("zenith", "share.accepted", &accept("k")).closed.len(), 1);
    assert_eq!((world.state("s1"), &world.document("s1")["target_tenant"]), ("ACTIVE".to_owned(), &"zenith".into()));
    let mut world = invited("k");
    world.ok("operator", "share.accepted", r#"{"share":"s1","target_tenant":"zenith","code":"other"}"#);
    assert_eq!(world.state("s1"), "ACTIVE");
}

/// After what the share itself forbids, before what the tenant does (docs/rules/shares.md#order-of-checks).
#[test]
fn the_code_is_asked_for_in_its_place() {
    let mut world = invited("k");
    world.no("wrong_code", "nobody", "share.accepted", SHARE);
    world.no("no_partnership", "nobody", "share.accepted", &accept("k"));
    world.no("self_share", "acme", "share.accepted", SHARE);
    world.no("self_share", "acme", "share.accepted", &accept("k"));
    world.no("more_than_offered", "zenith", "share.accepted", r#"{"share":"s1","code":"k","streams":["details"]}"#);
    world.no("wrong_code", "zenith", "share.accepted", r#"{"share":"s1","streams":["details"]}"#);
    world.no("invalid_event", "zenith", "share.accepted", r#"{"share":"s1","code":5}"#);
    world.after(180).no("offer_lapsed", "zenith", "share.accepted", SHARE);
    world.ok("operator", "share.expired", r#"{"share":"s1","cause":"offer"}"#);
    world.no("wrong_state", "zenith", "share.accepted", SHARE);
}

#[test]
fn a_new_code_replaces_the_old_one_which_stays_if_none_is_given() {
    let mut world = invited("k");
    let folded = world.after(10).send("acme", "share.resent", &format!(r#"{{"share":"s1","code_hash":"{}"}}"#, CodeHash::of("l")));
    assert_eq!(folded.documents.len(), 2, "the offer's clock started again");
    world.no("wrong_code", "zenith", "share.accepted", &accept("k"));
    world.ok("acme", "share.resent", SHARE);
    world.no("wrong_code", "zenith", "share.accepted", &accept("k"));
    world.ok("zenith", "share.accepted", &accept("l"));
}

/// The hash is in no document, so a new one alone is no revision (docs/rules/events.md#revisions).
#[test]
fn a_new_code_alone_is_no_revision() {
    let mut world = World::partners();
    world.ok("acme", "share.offered", r#"{"share":"s1","asset":"A","invitee":"i@x.example","streams":["telemetry"],"profile":"hire"}"#);
    let before = world.document("s1");
    let folded = world.send("acme", "share.resent", &format!(r#"{{"share":"s1","code_hash":"{}"}}"#, CodeHash::of("k")));
    assert_eq!((folded.documents.len(), world.document("s1")), (0, before));
    world.no("wrong_code", "zenith", "share.accepted", SHARE);
    world.ok("zenith", "share.accepted", &accept("k"));
}

#[test]
fn a_code_is_for_an_invitee_alone() {
    let mut world = World::partners();
    let hash = CodeHash::of("k");
    world.offer("s1", &format!(r#""invitee":"i@x.example","code_hash":"{hash}""#));
    assert_eq!(world.table.share("s1").unwrap().code_hash(), None, "there is a target tenant");
    resend(&mut world, "k");
    assert_eq!(world.ok("zenith", "share.accepted", SHARE).closed.len(), 0, "nobody was invited");
    // Without a code an invitation is accepted as ever, and a code that nobody asked for does no harm.
    invite(&mut world, "s2", r#""target_asset":"T2""#);
    world.ok("zenith", "share.accepted", r#"{"share":"s2","code":"any"}"#);
}

#[test]
fn d10_a_malformed_hash_is_malformed_data() {
    let mut world = invited("k");
    let upper = CodeHash::of("k").to_string().to_uppercase();
    for wrong in [r#""""#, "5", r#""k""#, &format!("\"{upper}\""), r#"["k"]"#] {
        world.no("invalid_event", "acme", "share.resent", &format!(r#"{{"share":"s1","code_hash":{wrong}}}"#));
        let offer =
            |target: &str| format!(r#"{{"share":"s9","asset":"A",{target},"streams":["telemetry"],"profile":"hire","code_hash":{wrong}}}"#);
        world.no("invalid_event", "acme", "share.offered", &offer(r#""invitee":"i@x.example""#));
        world.no("invalid_event", "acme", "share.offered", &offer(r#""target_tenant":"zenith""#));
    }
    world.ok("acme", "share.resent", r#"{"share":"s1","code_hash":null}"#);
    world.ok("zenith", "share.accepted", &accept("k"));
}

#[test]
fn the_hash_is_nowhere_to_be_seen_and_forgotten_at_the_end() {
    let hash = CodeHash::of("k").to_string();
    for (sender, kind, data) in [
        ("zenith", "share.accepted", accept("k")),
        ("acme", "share.cancelled", SHARE.to_owned()),
        ("operator", "share.declined", SHARE.to_owned()),
        ("operator", "partnership.ended", r#"{"tenants":["acme","zenith"]}"#.to_owned()),
    ] {
        let mut world = invited("k");
        assert_eq!(world.table.share("s1").unwrap().code_hash(), Some(CodeHash::of("k")));
        assert!(!world.document("s1").to_string().contains(&hash));
        let folded = world.ok(sender, kind, &data);
        let is_closed = world.state("s1") != "PENDING";
        assert_eq!((world.table.share("s1").unwrap().code_hash().is_none(), folded.closed.len() == 1), (is_closed, is_closed), "{kind}");
        assert!(folded.documents.iter().all(|document| !String::from_utf8_lossy(&document.value).contains(&hash)));
    }
    let mut world = invited("k");
    let folded = world.after(180).send("sharecast", "share.expired", r#"{"share":"s1","cause":"offer"}"#);
    assert_eq!((folded.closed.len(), world.table.share("s1").unwrap().code_hash()), (1, None));
    invite(&mut world, "s2", &format!(r#""profile":"none","code_hash":"{hash}""#));
    assert_eq!((world.state("s2"), world.table.share("s2").unwrap().code_hash()), ("FAILED".to_owned(), None));
}

#[test]
fn a_snapshot_keeps_the_code() {
    let world = invited("k");
    let mut restored = World::partners();
    restored.table = snapshot::read(&kept(&world.table), &origin(), ShareTable::new(rules())).unwrap();
    (restored.now, restored.next) = (world.now, world.next);
    restored.no("wrong_code", "zenith", "share.accepted", SHARE);
    restored.ok("zenith", "share.accepted", &accept("k"));
}

#[test]
fn a_snapshot_of_the_format_before_is_refused() {
    let mut bytes = Vec::new();
    let mut out = Encoder::new(&mut bytes);
    out.raw(b"sharecst").and_then(|()| out.number(4)).unwrap();
    out.finish().unwrap();
    let refused = snapshot::read(&bytes, &origin(), ShareTable::new(rules())).unwrap_err();
    assert_eq!(refused.to_string(), "not a snapshot of format 6");
}
