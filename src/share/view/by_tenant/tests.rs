//! Lists of each tenant's shares against a look at all of them.

use std::collections::BTreeSet;

use super::*;
use crate::id::Epoch;
use crate::share::tests::fixture::World;
use crate::share::view::list::{ShareFilter, Stats, Viewer, list, look_at};

fn ids(world: &World, lists: &SharesByTenant, tenant: &str, side: Option<ShareSide>, before: u32) -> Vec<String> {
    let tenant = TenantId::parse(tenant).unwrap();
    let found = lists.newest_first(&world.table, &tenant, ShareList::All(side), &BlockNeedle::default(), ShareNumber(before));
    found.map(|number| world.table.share_at(number).id().to_string()).collect()
}

#[test]
fn the_lists_find_the_shares_of_an_asset_that_a_look_at_all_finds() {
    let mut world = World::partners();
    let offer = |share: &str, asset: &str| {
        format!(r#"{{"share":"{share}","asset":"{asset}","target_tenant":"zenith","streams":["telemetry"],"profile":"all"}}"#)
    };
    world.ok("acme", "share.offered", &offer("s2", "A"));
    world.ok("acme", "share.offered", &offer("s3", "B"));
    world.ok("acme", "share.cancelled", r#"{"share":"s2"}"#);
    world.ok("acme", "share.offered", &offer("s1", "A"));
    let lists = SharesByTenant::of(&world.table);
    let ids = |found: Vec<(ShareView<'_>, bool)>| found.iter().map(|(share, names)| (share.id().to_string(), *names)).collect::<Vec<_>>();
    for (owner, asset, count) in [("acme", "A", 2), ("acme", "B", 1), ("acme", "C", 0), ("zenith", "A", 0), ("nobody", "A", 0)] {
        let all = ids(world.table.shares_of_asset(owner, asset, StreamIndex(0)));
        assert_eq!(ids(lists.shares_of_asset(&world.table, owner, asset, StreamIndex(0))), all, "{owner} {asset}");
        assert_eq!(all.len(), count, "{owner} {asset}: {all:?}");
    }
}

#[test]
fn a_tenant_has_what_it_owns_and_what_it_receives_the_newest_first() {
    let mut world = World::partners();
    let offer =
        |share: &str, to: &str| format!(r#"{{"share":"{share}","asset":"A-{share}",{to},"streams":["telemetry"],"profile":"all"}}"#);
    let mut lists = SharesByTenant::default();
    world.ok("acme", "share.offered", &offer("s1", r#""target_tenant":"zenith""#));
    world.ok("zenith", "share.offered", &offer("s2", r#""target_tenant":"acme""#));
    world.ok("acme", "share.offered", &offer("s3", r#""invitee":"a@b.example""#));
    lists.follow(&world.table, std::iter::empty());
    assert_eq!(ids(&world, &lists, "acme", None, u32::MAX), ["s3", "s2", "s1"]);
    assert_eq!(ids(&world, &lists, "acme", None, 2), ["s2", "s1"]);
    assert_eq!(ids(&world, &lists, "acme", Some(ShareSide::Owner), u32::MAX), ["s3", "s1"]);
    assert_eq!(ids(&world, &lists, "zenith", Some(ShareSide::Target), u32::MAX), ["s1"]);
    assert_eq!(ids(&world, &lists, "nobody", None, u32::MAX), [""; 0]);
    world.ok("zenith", "share.accepted", r#"{"share":"s3"}"#);
    lists.follow(&world.table, ["s3", "s3"].into_iter());
    assert_eq!(ids(&world, &lists, "zenith", None, u32::MAX), ["s3", "s2", "s1"]);
    assert_eq!(ids(&world, &SharesByTenant::of(&world.table), "zenith", None, u32::MAX), ["s3", "s2", "s1"]);
}

/// Everything that is kept of the shares, followed event by event, is what the last state gives.
#[test]
fn what_is_followed_is_what_is_there() {
    let mut world = World::partners();
    let mut lists = SharesByTenant::default();
    let numbers = |found: Box<dyn Iterator<Item = ShareNumber> + '_>| found.collect::<Vec<_>>();
    let words = |lists: &SharesByTenant, world: &World| {
        let tenants = ["acme", "zenith"].map(|id| TenantId::parse(id).unwrap());
        let listed = [ShareList::All(None), ShareList::OpenOffers, ShareList::Invitations].map(|list| {
            tenants
                .clone()
                .map(|tenant| numbers(lists.newest_first(&world.table, &tenant, list, &BlockNeedle::default(), ShareNumber(u32::MAX))))
        });
        let all: Vec<_> = world.table.tenants.iter().map(|(number, _)| number).collect();
        let named = ["A-1", "A-2", "T-1", "T-2", "T-3"].map(|asset| {
            let is_it = |number: &ShareNumber| {
                let document = world.table.share_at(*number).document();
                document.asset == Some(asset) || document.target_asset == Some(asset)
            };
            let brute: Vec<_> = (0..world.table.share_count()).rev().map(ShareNumber).filter(is_it).collect();
            let found = lists.by_asset.newest_first(&world.table, &all, &[asset.to_owned()], ShareNumber(u32::MAX));
            assert_eq!(found, brute, "{asset}");
            found.len()
        });
        let assets: Vec<_> = lists.assets(&world.table, "acme", None).map(str::to_owned).collect();
        (listed, named, assets, lists.invitations(&BlockNeedle::default(), ShareNumber(u32::MAX)).collect::<Vec<_>>())
    };
    let offer = |share: &str, asset: &str, more: &str| {
        format!(r#"{{"share":"{share}","asset":"{asset}","streams":["telemetry"],"profile":"all",{more}}}"#)
    };
    let events = [
        ("acme", "share.offered", offer("s1", "A-2", r#""target_tenant":"zenith","target_asset":"T-1""#)),
        ("acme", "share.offered", offer("s2", "A-1", &format!(r#""invitee":"a@b.example","code_hash":"{}""#, CodeHash::of("code")))),
        ("acme", "share.offered", offer("s3", "A-1", r#""target_tenant":"nobody","target_asset":"T-3""#)),
        ("zenith", "share.accepted", r#"{"share":"s1","target_asset":"T-2"}"#.to_owned()),
        ("zenith", "share.accepted", r#"{"share":"s2","target_asset":"T-1"}"#.to_owned()),
        ("acme", "share.updated", r#"{"share":"s1","target_asset":"A-2"}"#.to_owned()),
        ("acme", "share.offered", offer("s4", "A-2", r#""target_tenant":"zenith","target_asset":"T-3""#)),
        ("acme", "partnership.ended", r#"{"partner":"zenith"}"#.to_owned()),
    ];
    let mut seen = Vec::new();
    for (source, kind, data) in &events {
        let folded = world.send(source, kind, data);
        lists.follow(&world.table, folded.documents.iter().map(|document| document.key.as_str()));
        let followed = words(&lists, &world);
        assert_eq!(followed, words(&SharesByTenant::of(&world.table), &world), "{kind} {data}");
        seen.push((followed.0[1][1].len(), followed.1, lists.of_codes(&[CodeHash::of("code"), CodeHash::of("other")])));
    }
    assert_eq!(seen[0], (1, [0, 1, 1, 0, 0], vec![]));
    assert!(seen[1..].iter().all(|seen| seen.2 == [ShareNumber(1)]), "{seen:?}");
    assert_eq!(seen[3].1, [2, 1, 0, 1, 1]);
    assert_eq!(seen.last().unwrap().0, 0, "no offer is open any more");
}

/// What each sees on each of its lists, with a text and without one, and how many of each state, as a look at all shares has it.
#[test]
fn texts_and_counts_are_those_of_a_look_at_all() {
    let mut world = World::partners();
    let mut lists = SharesByTenant::default();
    let offer = |share: usize, more: &str| {
        format!(r#"{{"share":"s{share:02}","asset":"NW-{share}","streams":["telemetry"],"profile":"all",{more}}}"#)
    };
    let mut events = Vec::new();
    for share in 0..20 {
        let more = match share % 5 {
            0 => r#""target_tenant":"zenith","label":"Digger""#.to_owned(),
            1 => format!(r#""invitee":"ann{share}@example.com""#),
            2 => format!(r#""target_tenant":"zenith","target_asset":"T-{share}""#),
            3 => r#""target_tenant":"nobody","target_asset":"a\u0000b""#.to_owned(),
            _ => r#""target_tenant":"acme""#.to_owned(),
        };
        events.push(("acme", "share.offered", offer(share, &more)));
    }
    for (share, target) in [(16, "M-1"), (2, "M-2"), (0, "NW-0"), (6, "M-3"), (5, "M-4")] {
        events.push(("zenith", "share.accepted", format!(r#"{{"share":"s{share:02}","target_asset":"{target}"}}"#)));
    }
    events.push(("zenith", "share.paused", r#"{"share":"s16"}"#.to_owned()));
    events.push(("acme", "share.updated", r#"{"share":"s00","label":"Crane"}"#.to_owned()));
    events.push(("acme", "share.revoked", r#"{"share":"s02"}"#.to_owned()));
    events.push(("acme", "share.cancelled", r#"{"share":"s11"}"#.to_owned()));
    events.push(("acme", "partnership.ended", r#"{"partner":"zenith"}"#.to_owned()));
    let viewers = ["acme", "zenith", "nobody"].map(|id| Viewer::Tenant(TenantId::parse(id).unwrap()));
    let (mut found, mut passed, mut followed) = (0, 0, 0);
    for (source, kind, data) in &events {
        let folded = world.send(source, kind, data);
        lists.follow(&world.table, folded.documents.iter().map(|document| document.key.as_str()));
        for viewer in viewers.iter().chain([&Viewer::Operator]) {
            for word in ["nw-1", "t-", "m-3", "digger", "crane", "zenith", "ann1", "example", "b", "none", "NW-19"] {
                let states = if word == "zenith" { vec![State::Active, State::Revoked] } else { Vec::new() };
                let targets = if word == "t-" { vec!["zenith".to_owned()] } else { Vec::new() };
                let numbers: Vec<_> = targets.iter().filter_map(|target| world.table.tenants.find(target)).collect();
                let text = BlockNeedle::of(Some(&word.to_lowercase()), &states, (!targets.is_empty()).then_some(&numbers));
                let filter = ShareFilter { search: Some(word.to_owned()), states, targets, ..ShareFilter::default() };
                let last = ShareNumber(u32::MAX);
                let among: Vec<ShareNumber> = match viewer {
                    Viewer::Operator => lists.all(&text, last).collect(),
                    Viewer::Tenant(own) => lists.newest_first(&world.table, own, ShareList::All(None), &text, last).collect(),
                };
                assert!(among.is_sorted_by(|a, b| a > b), "{among:?}");
                let mut own: Vec<&str> = among
                    .iter()
                    .filter_map(|number| look_at(world.table.share_at(*number), viewer, &filter))
                    .map(|found| found.share.id().as_str())
                    .collect();
                own.sort_unstable();
                let all = list(&world.table, viewer, &filter);
                assert_eq!(own, all.iter().map(|found| found.share.id().as_str()).collect::<Vec<_>>(), "{viewer:?} {word} {kind} {data}");
                found += own.len();
                passed += world.table.share_count() as usize - among.len();
            }
            let stats = Stats::of(&world.table, viewer, &ShareFilter::default());
            let mut counted = Stats::default();
            match viewer {
                Viewer::Operator => lists.all_counts().add_to(&mut counted, &[]),
                Viewer::Tenant(own) => {
                    let counts = lists.counts(&world.table, own.as_str());
                    [counts.owned, counts.received].iter().for_each(|counts| counts.add_to(&mut counted, &[]));
                }
            }
            assert_eq!(counted, stats, "{viewer:?} {kind} {data}");
        }
        let outcomes = |is_asked: fn(&ShareView<'_>) -> bool| {
            let mut counts = InvitationCounts::default();
            let numbers = (0..world.table.share_count()).filter(|number| is_asked(&world.table.share_at(ShareNumber(*number))));
            numbers.for_each(|number| counts.change(None, CountedInvitation::of(&world.table.graph.shares[number])));
            counts
        };
        assert_eq!(lists.all_outcomes(), outcomes(|_| true), "{kind} {data}");
        assert_eq!(lists.counts(&world.table, "acme").outcomes, outcomes(|share| share.document().owner == "acme"), "{kind} {data}");
        for epoch in (-1..world.table.epoch().0).map(Epoch) {
            let Some(since) = lists.changed.since(epoch) else { continue };
            let (since, all): (BTreeSet<u32>, _) = (since.map(|number| number.0).collect(), &world.table.graph.shares);
            let changed = all.iter().filter(|(_, share)| share.changed_at() > epoch).map(|(number, _)| number);
            assert!(since.is_superset(&changed.collect()), "{epoch:?} {kind} {data}");
            followed += 1;
        }
        let is_over =
            |share: &ShareView<'_>| share.was_accepted() && matches!(share.state(), State::Revoked | State::Left | State::Expired);
        let over = world.table.shares().filter(is_over).count();
        assert_eq!((lists.over_count() as usize, lists.counts(&world.table, "zenith").over as usize), (over, over));
        let live = |share: &ShareView<'_>| share.state().is_live() && share.document().target_tenant == Some("zenith");
        assert_eq!(lists.live_between(&world.table, "zenith", "acme") as usize, world.table.shares().filter(live).count());
    }
    assert!(found > 100 && passed > 1000 && followed > 100, "{found} {passed} {followed}");
    assert!(lists.changed.since(Epoch::NONE).is_none(), "what changed first is forgotten");
}
