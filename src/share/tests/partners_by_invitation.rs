//! `partnerships: invited`: an acceptance with the code of an invitation makes partners.

use proptest::prelude::*;

use crate::share::configuration::PartnershipNeed;
use crate::share::event::invitation_code::CodeHash;
use crate::share::snapshot;
use crate::share::table::parties::Bonded;
use crate::share::table::{FoldRules, ShareTable};
use crate::share::tests::fixture::{World, code, rules};
use crate::share::tests::fold_properties::{kept, origin};

const TENANTS: &str = r#"{"tenants":["acme","zenith"]}"#;

fn invited_rules() -> FoldRules {
    FoldRules { partnerships: PartnershipNeed::Invited, ..rules() }
}

fn world() -> World {
    World::new(invited_rules())
}

fn invite(world: &mut World, id: &str, members: &str) {
    let data = format!(
        r#"{{"share":"{id}","asset":"A","target_asset":"{id}","invitee":"who@ever.example","streams":["telemetry"],"profile":"all"{members}}}"#
    );
    world.ok("acme", "share.offered", &data);
}

fn with_code() -> String {
    format!(r#","code_hash":"{}""#, CodeHash::of("k"))
}

fn bond(world: &World) -> Option<String> {
    world.table.partnerships().first().map(|pair| String::from_utf8(pair.to_json()).unwrap())
}

const PARTNERS: &str = r#"{"tenants":["acme","zenith"],"state":"ACTIVE","auto_accept":false}"#;
const ACCEPT: &str = r#"{"share":"s1","code":"k"}"#;

#[test]
fn the_right_code_makes_partners_and_nothing_else_does() {
    let mut world = world();
    invite(&mut world, "s1", &with_code());
    invite(&mut world, "s2", "");
    world.no("wrong_code", "zenith", "share.accepted", r#"{"share":"s1"}"#);
    world.no("no_partnership", "zenith", "share.accepted", r#"{"share":"s2","code":"k"}"#);
    world.no("no_partnership", "operator", "share.accepted", r#"{"share":"s2","target_tenant":"zenith"}"#);
    world.no("more_than_offered", "zenith", "share.accepted", r#"{"share":"s1","code":"k","streams":["details"]}"#);
    assert_eq!(bond(&world), None, "an acceptance that is refused makes none");
    world.ok("zenith", "share.accepted", ACCEPT);
    assert_eq!((world.state("s1").as_str(), bond(&world).as_deref()), ("ACTIVE", Some(PARTNERS)));
    world.ok("zenith", "share.accepted", r#"{"share":"s2"}"#);
    assert_eq!(world.document("s2")["state"], "ACTIVE", "by now they are partners");
    let direct = r#"{"share":"s3","asset":"A","target_asset":"s3","target_tenant":"zenith","streams":["telemetry"],"profile":"all"}"#;
    world.ok("acme", "share.offered", direct);
    assert_eq!(world.state("s3"), "PENDING", "no offer is accepted by itself");
    let stranger = direct.replace("s3", "s4").replace("zenith", "stranger");
    world.ok("acme", "share.offered", &stranger);
    assert_eq!(world.document("s4")["reason"], "no_partnership");
}

#[test]
fn the_operator_needs_no_code_and_what_is_there_stays() {
    let mut world = world();
    invite(&mut world, "s1", &with_code());
    world.ok("operator", "share.accepted", r#"{"share":"s1","target_tenant":"zenith"}"#);
    assert_eq!(bond(&world).as_deref(), Some(PARTNERS));

    let mut world = self::world();
    world.ok("operator", "partnership.established", r#"{"tenants":["acme","zenith"],"auto_accept":true}"#);
    invite(&mut world, "s1", &with_code());
    world.ok("zenith", "share.accepted", ACCEPT);
    assert_eq!(bond(&world), Some(PARTNERS.replace("false", "true")), "who may share already keeps what is there");

    let mut world = self::world();
    world.ok("operator", "tenant.updated", r#"{"tenant":"zenith","parent":"acme"}"#);
    invite(&mut world, "s1", &with_code());
    world.ok("zenith", "share.accepted", ACCEPT);
    assert_eq!(bond(&world), None, "the tree is enough");

    let mut world = self::world();
    world.ok("zenith", "partnership.offered", r#"{"partner":"acme"}"#);
    invite(&mut world, "s1", &with_code());
    world.ok("zenith", "share.accepted", ACCEPT);
    assert_eq!(bond(&world).as_deref(), Some(PARTNERS), "an offer of one is taken with it");
}

#[test]
fn what_was_ended_comes_back_only_by_an_invitation_that_came_after() {
    for ended_at_once in [false, true] {
        let mut world = world();
        world.ok("operator", "partnership.established", TENANTS);
        invite(&mut world, "s1", &with_code());
        if !ended_at_once {
            world.after(1);
        }
        world.ok("zenith", "partnership.ended", r#"{"partner":"acme"}"#);
        world.no("no_partnership", "zenith", "share.accepted", ACCEPT);
        world.no("no_partnership", "operator", "share.accepted", r#"{"share":"s1","target_tenant":"zenith"}"#);
        let kept = kept(&world.table);
        world.table = snapshot::read(&kept, &origin(), ShareTable::new(invited_rules())).unwrap();
        world.no("no_partnership", "zenith", "share.accepted", ACCEPT);
        world.ok("acme", "share.resent", r#"{"share":"s1"}"#);
        world.ok("zenith", "share.accepted", ACCEPT);
        assert_eq!(bond(&world).as_deref(), Some(PARTNERS));
        world.ok("acme", "partnership.ended", r#"{"partner":"zenith"}"#);
        assert_eq!((world.state("s1").as_str(), bond(&world)), ("REVOKED", None));
        invite(&mut world, "s2", &with_code());
        world.ok("zenith", "share.accepted", r#"{"share":"s2","code":"k"}"#);
        assert_eq!(bond(&world).as_deref(), Some(PARTNERS));
    }
}

#[test]
fn an_offer_of_a_partnership_that_was_taken_back_has_ended_none() {
    let mut world = world();
    invite(&mut world, "s1", &with_code());
    world.ok("acme", "partnership.offered", r#"{"partner":"zenith"}"#);
    world.ok("acme", "partnership.ended", r#"{"partner":"zenith"}"#);
    world.ok("zenith", "share.accepted", ACCEPT);
    assert_eq!(bond(&world).as_deref(), Some(PARTNERS));
}

#[test]
fn under_required_a_code_makes_none() {
    let mut world = World::new(rules());
    invite(&mut world, "s1", &with_code());
    world.no("no_partnership", "zenith", "share.accepted", ACCEPT);
    let need = |word: &str| format!(r#"{{"streams":{{"telemetry":"append"}},"partnerships":"{word}"}}"#);
    world.ok("operator", "control.configured", &need("invited"));
    world.ok("zenith", "share.accepted", ACCEPT);
    assert_eq!(bond(&world).as_deref(), Some(PARTNERS), "the log says by what is judged, at the acceptance");
}

/// What happens between two tenants, as a person would tell it: everything that was said, asked again at each acceptance.
#[derive(Debug, Default)]
struct InvitationStory {
    need: usize,
    lines: Vec<Line>,
}

#[derive(Debug, PartialEq)]
enum Line {
    Established,
    Offered,
    Ended,
    Invited(usize),
    Accepted(usize),
}

impl InvitationStory {
    fn are_partners(&self) -> bool {
        let last = self.lines.iter().rev().find(|line| !matches!(line, Line::Invited(_) | Line::Offered | Line::Accepted(_)));
        last == Some(&Line::Established)
    }

    fn may_accept(&self, share: usize, has_hash: bool) -> bool {
        if self.are_partners() || self.need == 2 {
            return true;
        }
        let after_end = self.lines.iter().rev().take_while(|line| **line != Line::Ended);
        self.need == 1 && has_hash && after_end.into_iter().any(|line| *line == Line::Invited(share))
    }
}

proptest! {
    #[test]
    fn acceptances_are_judged_as_the_story_tells(steps in prop::collection::vec((0usize..10, 0usize..4, 0i64..2), 1..60)) {
        let mut world = World::new(rules());
        let mut told = InvitationStory::default();
        let mut shares: Vec<bool> = Vec::new();
        for (what, which, minutes) in steps {
            world.after(minutes);
            let share = shares.len().saturating_sub(1 + which);
            match what {
                0 => {
                    told.need = which % 3;
                    let word = ["required", "invited", "open"][told.need];
                    world.ok("operator", "control.configured", &format!(r#"{{"streams":{{"telemetry":"append"}},"partnerships":"{word}"}}"#));
                }
                1 => {
                    world.ok("operator", "partnership.established", TENANTS);
                    told.lines.push(Line::Established);
                }
                2 | 3 => {
                    let was = told.are_partners();
                    let folded = world.send("zenith", "partnership.ended", r#"{"partner":"acme"}"#);
                    if was {
                        prop_assert_eq!(code(&folded.outcome), "applied");
                        told.lines.push(Line::Ended);
                    }
                }
                4..=6 => {
                    let has_hash = which != 0;
                    invite(&mut world, &format!("s{}", shares.len()), &if has_hash { with_code() } else { String::new() });
                    told.lines.push(Line::Invited(shares.len()));
                    shares.push(has_hash);
                }
                7 if !shares.is_empty() => {
                    let folded = world.send("acme", "share.resent", &format!(r#"{{"share":"s{share}"}}"#));
                    if code(&folded.outcome) == "applied" {
                        told.lines.push(Line::Invited(share));
                    }
                }
                _ if !shares.is_empty() && world.state(&format!("s{share}")) == "PENDING" => {
                    let may = told.may_accept(share, shares[share]);
                    let were = told.are_partners();
                    let folded = world.send("zenith", "share.accepted", &format!(r#"{{"share":"s{share}","code":"k"}}"#));
                    prop_assert_eq!(code(&folded.outcome), if may { "applied" } else { "no_partnership" }, "{:?}", told);
                    told.lines.push(Line::Accepted(share));
                    if may && !were && told.need == 1 {
                        told.lines.push(Line::Established);
                    }
                }
                _ => {
                    let folded = world.send("acme", "partnership.offered", r#"{"partner":"zenith"}"#);
                    if code(&folded.outcome) == "applied" {
                        told.lines.push(Line::Offered);
                    }
                }
            }
            let found = world.table.partnerships().into_iter().any(|pair| matches!(pair.bond, Bonded::Active { .. }));
            prop_assert_eq!(found, told.are_partners());
        }
    }
}
