//! Commands on many shares: everything is tried first, and a run may be repeated.

use crate::json::document::parse;
use crate::share::bulk::ids::Run;
use crate::share::bulk::input::{InputRef, Named};
use crate::share::bulk::{BulkPlan, Intent, LineRefusal, Planned, RowCount, Why};
use crate::share::event::kind::EventType;
use crate::share::event::{read_structured, write_structured};
use crate::share::state::{Reason, State};
use crate::share::table::Outcome;
use crate::share::tests::fixture::World;

const ACME: &str = "/tenants/acme";
const ZENITH: &str = "/tenants/zenith";

fn run(source: &'static str, kind: &str) -> Run<'static> {
    Run { source, kind: EventType::parse(&format!("sharecast.{kind}.v1")).unwrap(), batch: None }
}

/// A line a name, from line 1; `members` stand in each event's data.
fn lines(names: &[&str], member: &str, members: &str) -> Vec<Intent> {
    let comma = if members.is_empty() { "" } else { "," };
    let intent = |(at, name): (usize, &&str)| Intent {
        named: Named { place: InputRef::Line("list".into(), at + 1), id: (*name).to_owned(), target_asset: None },
        data: parse(format!(r#"{{"{member}":"{name}"{comma}{members}}}"#).as_bytes()).unwrap(),
    };
    names.iter().enumerate().map(intent).collect()
}

fn shares(names: &[&str]) -> Vec<Intent> {
    lines(names, "share", "")
}

fn offers(names: &[&str], members: &str) -> Vec<Intent> {
    lines(names, "asset", &format!(r#""target_tenant":"zenith","streams":["telemetry"],"profile":"hire"{members}"#))
}

impl World {
    fn plan(&self, run: &Run<'_>, intents: Vec<Intent>) -> BulkPlan {
        // The plan takes a table of its own: a second fold of the same log.
        let mut copy = self.table.emptied();
        self.log.iter().for_each(|(offset, time, event)| drop(copy.fold(*offset, *time, read_structured(event))));
        BulkPlan::make(copy, self.now, run, intents)
    }

    /// Writes the first `count` events of a plan.
    fn write(&mut self, run: &Run<'_>, plan: &BulkPlan, count: usize) -> Vec<Outcome> {
        let events: Vec<Vec<u8>> = plan
            .to_write()
            .take(count)
            .map(|(row, id)| write_structured(id, run.source, &run.kind.full_name(), self.now, &row.data))
            .collect();
        events.into_iter().map(|event| self.fold(&event).outcome).collect()
    }

    fn pending(assets: &[&str]) -> (Self, Vec<String>) {
        let mut world = Self::partners();
        let run = run(ACME, "share.offered");
        let plan = world.plan(&run, offers(assets, ""));
        assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
        world.write(&run, &plan, assets.len());
        let ids = plan.rows.iter().map(|row| row.share.clone()).collect();
        (world, ids)
    }
}

fn events(plan: &BulkPlan) -> Vec<String> {
    plan.to_write().map(|(_, id)| id.to_owned()).collect()
}

fn steps(plan: &BulkPlan) -> Vec<&'static str> {
    let word = |step: &Planned| match step {
        Planned::Write { .. } => "write",
        Planned::AlreadySo => "already so",
        Planned::WrittenBefore => "written before",
    };
    plan.rows.iter().map(|row| word(&row.step)).collect()
}

fn why(refusal: &LineRefusal) -> (String, Why) {
    (format!("{} {}", refusal.named.place, refusal.named.id), refusal.why.clone())
}

#[test]
fn a_wrong_name_is_found_with_its_line_and_reason() {
    let (mut world, ids) = World::pending(&["a", "b", "c"]);
    world.ok("zenith", "share.declined", &format!(r#"{{"share":"{}"}}"#, ids[1]));
    let plan = world.plan(&run(ZENITH, "share.accepted"), shares(&[&ids[0], "nowhere", &ids[1], &ids[2], &ids[0]]));
    let found: Vec<_> = plan.refusals.iter().map(why).collect();
    let expected = [
        ("list:2 nowhere".to_owned(), Why::Rule(Reason::UnknownShare)),
        (format!("list:3 {}", ids[1]), Why::Rule(Reason::WrongState)),
        (format!("list:5 {}", ids[0]), Why::Twice(InputRef::Line("list".into(), 1))),
    ];
    assert_eq!(found, expected);
    // A third party, and an offer that would fail.
    let plan = world.plan(&run("/tenants/other", "share.revoked"), shares(&[&ids[0]]));
    assert_eq!(plan.refusals[0].why, Why::Rule(Reason::NotOwner));
    for (members, reason) in [
        (r#","profile":"nothing""#, Reason::UnknownProfile),
        (r#","target_tenant":"stranger""#, Reason::NoPartnership),
        (r#","ends":"2020-01-01T00:00:00Z""#, Reason::InvalidWindow),
        (r#","streams":["other"]"#, Reason::UnknownStream),
    ] {
        assert_eq!(world.plan(&run(ACME, "share.offered"), offers(&["x"], members)).refusals[0].why, Why::Rule(reason), "{members}");
    }
    let plan = world.plan(&run(ACME, "share.offered"), offers(&["x"], r#","starts":"soon""#));
    assert_eq!(plan.refusals[0].why, Why::Rule(Reason::InvalidEvent));
    let plan = world.plan(&run(ACME, "share.updated"), lines(&[&ids[0]], "share", r#""ends":"soon""#));
    assert!(matches!(plan.refusals[0].why, Why::Malformed(_)), "{:?}", plan.refusals);
}

#[test]
fn lines_that_stand_against_one_another_are_found() {
    let (world, ids) = World::pending(&["a", "b"]);
    let plan = world.plan(&run(ZENITH, "share.accepted"), lines(&[&ids[0], &ids[1]], "share", r#""target_asset":"one""#));
    assert_eq!(plan.refusals.iter().map(why).collect::<Vec<_>>(), [(format!("list:2 {}", ids[1]), Why::Rule(Reason::TargetInUse))]);
}

#[test]
fn an_interrupted_run_is_repeated_and_finished() {
    let (mut world, ids) = World::pending(&["a", "b", "c"]);
    let (accept, ids) = (run(ZENITH, "share.accepted"), ids.iter().map(String::as_str).collect::<Vec<_>>());
    let first = world.plan(&accept, shares(&ids));
    assert_eq!(steps(&first), ["write"; 3]);
    let accepted = RowCount { owner: "acme", target: "zenith", before: Some(State::Pending), after: State::Active, count: 3 };
    assert_eq!(first.changes(), [accepted]);
    // The answer of the second event got lost with the rest: it is in the log all the same.
    assert_eq!(world.write(&accept, &first, 2), [Outcome::Applied, Outcome::Applied]);
    assert_eq!(world.write(&accept, &first, 3), [Outcome::Repeated, Outcome::Repeated, Outcome::Applied]);
    let again = world.plan(&accept, shares(&ids));
    assert_eq!((steps(&again), again.refusals.len()), (vec!["already so"; 3], 0));
}

#[test]
fn offers_are_repeated_under_the_same_share_ids() {
    let mut world = World::partners();
    let (offer, names) = (run(ACME, "share.offered"), ["a", "b", "c"]);
    let first = world.plan(&offer, offers(&names, ""));
    world.write(&offer, &first, 2);
    let again = world.plan(&offer, offers(&names, ""));
    assert_eq!(steps(&again), ["already so", "already so", "write"]);
    assert_eq!(events(&again), events(&first)[2..]);
    assert_eq!((first.also_shared, again.also_shared), (0, 0));
    // What has ended may be offered again; another content is another share, and is pointed at.
    world.ok("zenith", "share.declined", &format!(r#"{{"share":"{}"}}"#, first.rows[0].share));
    let later = world.plan(&offer, offers(&names, ""));
    assert_eq!(steps(&later), ["write", "already so", "write"]);
    assert_ne!(later.rows[0].share, first.rows[0].share);
    let other = world.plan(&offer, offers(&names, r#","label":"new""#));
    assert_eq!((steps(&other), other.also_shared), (vec!["write"; 3], 1));
}

#[test]
fn the_same_command_later_is_another_event() {
    let (mut world, ids) = World::pending(&["a"]);
    world.ok("zenith", "share.accepted", &format!(r#"{{"share":"{}"}}"#, ids[0]));
    let mut seen = Vec::new();
    for kind in ["share.paused", "share.resumed", "share.paused", "share.resumed"] {
        let run = run(ZENITH, kind);
        let plan = world.plan(&run, shares(&[&ids[0]]));
        seen.extend(events(&plan));
        assert_eq!(world.write(&run, &plan, 1), [Outcome::Applied], "{kind}");
        assert_eq!(steps(&world.plan(&run, shares(&[&ids[0]]))), ["already so"], "{kind}");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

#[test]
fn what_was_refused_when_it_was_written_can_be_written_again() {
    let (mut world, ids) = World::pending(&["a"]);
    let accept = run(ZENITH, "share.accepted");
    let plan = world.plan(&accept, shares(&[&ids[0]]));
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","suspended":true}"#);
    assert_eq!(world.write(&accept, &plan, 1), [Outcome::Rejected("tenant_suspended")]);
    assert_eq!(world.plan(&accept, shares(&[&ids[0]])).refusals[0].why, Why::Rule(Reason::TenantSuspended));
    world.ok("operator", "tenant.updated", r#"{"tenant":"acme","suspended":false}"#);
    let again = world.plan(&accept, shares(&[&ids[0]]));
    assert_ne!(events(&again), events(&plan));
    assert_eq!(world.write(&accept, &again, 1), [Outcome::Applied]);
}

#[test]
fn under_a_name_each_line_is_done_once() {
    let (mut world, ids) = World::pending(&["a", "b"]);
    let named = Run { batch: Some("monday"), ..run(ACME, "share.resent") };
    let until = |text: &str| lines(&[&ids[0], &ids[1]], "share", &format!(r#""offer_expires":"{text}""#));
    let monday = "2026-01-05T00:00:00Z";
    let plan = world.plan(&named, until(monday));
    world.write(&named, &plan, 1);
    world.ok("acme", "share.resent", &format!(r#"{{"share":"{}","offer_expires":"2026-02-01T00:00:00Z"}}"#, ids[0]));
    assert_eq!(steps(&world.plan(&named, until(monday))), ["written before", "write"]);
    assert_eq!(steps(&world.plan(&run(ACME, "share.resent"), until(monday))), ["write", "write"]);
    assert_eq!(steps(&world.plan(&named, until("2026-01-06T00:00:00Z"))), ["written before", "write"], "with times computed anew");
    let other = Run { batch: Some("tuesday"), ..named };
    assert_eq!(steps(&world.plan(&other, until(monday))), ["write", "write"]);
    // Offers too, whatever became of them.
    let offer = Run { batch: Some("monday"), ..run(ACME, "share.offered") };
    let plan = world.plan(&offer, offers(&["x"], ""));
    world.write(&offer, &plan, 1);
    world.ok("acme", "share.cancelled", &format!(r#"{{"share":"{}"}}"#, plan.rows[0].share));
    assert_eq!(steps(&world.plan(&offer, offers(&["x"], ""))), ["written before"]);
    assert_eq!(steps(&world.plan(&offer, offers(&["x", "y"], r#","ends":"2026-05-01T00:00:00Z""#))), ["written before", "write"]);
}

#[test]
fn what_changes_nothing_is_not_written() {
    let (mut world, ids) = World::pending(&["a"]);
    world.ok("acme", "share.updated", &format!(r#"{{"share":"{}","label":"one"}}"#, ids[0]));
    let update = |label: &str| lines(&[&ids[0]], "share", &format!(r#""label":"{label}""#));
    assert_eq!(steps(&world.plan(&run(ACME, "share.updated"), update("one"))), ["already so"]);
    assert_eq!(steps(&world.plan(&run(ACME, "share.updated"), update("two"))), ["write"]);
    // Accepted as something else is not accepted so.
    world.ok("zenith", "share.accepted", &format!(r#"{{"share":"{}","target_asset":"mine"}}"#, ids[0]));
    let accept = |asset: &str| lines(&[&ids[0]], "share", &format!(r#""target_asset":"{asset}""#));
    assert_eq!(steps(&world.plan(&run(ZENITH, "share.accepted"), accept("mine"))), ["already so"]);
    let refused = world.plan(&run(ZENITH, "share.accepted"), accept("other")).refusals;
    assert_eq!(refused[0].why, Why::Rule(Reason::WrongState));
    // The operator's pause is not the owner's.
    let pause = shares(&[&ids[0]]);
    world.ok("acme", "share.paused", &format!(r#"{{"share":"{}"}}"#, ids[0]));
    assert_eq!(steps(&world.plan(&run("/operator", "share.paused"), pause.clone())), ["write"]);
    assert_eq!(steps(&world.plan(&run(ZENITH, "share.resumed"), pause.clone())), ["already so"]);
    assert_eq!(steps(&world.plan(&run("/operator", "share.resumed"), pause)), ["write"]);
}

#[test]
fn every_reason_has_its_code_and_words() {
    for reason in Reason::ALL {
        assert_eq!(Reason::of_code(reason.code()), Some(*reason));
        assert!(!reason.in_words().is_empty());
    }
}
