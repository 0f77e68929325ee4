//! What holds after any events whatever.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::entry::Share;
use super::event::read_structured;
use super::graph::{AssetShares, Grant, GrantState, Quiet};
use super::snapshot::{self, Origin};
use super::state::{Cause, State};
use super::status::{Audience, Document};
use super::table::{FoldRules, Folded, Outcome, ShareTable};
use super::world::{minute, rules};
use crate::id::{Epoch, Offset, StreamIndex};
use crate::time::{Millis, Moment};

/// One event, chosen by numbers so that ids, places and times often meet.
#[derive(Debug, Clone)]
pub(super) struct Step {
    minutes: i64,
    sender: usize,
    kind: usize,
    choice: [usize; 8],
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    (0i64..4, 0usize..12, 0usize..60, prop::array::uniform8(0usize..64)).prop_map(|(minutes, sender, kind, choice)| Step {
        minutes,
        sender,
        kind,
        choice,
    })
}

fn pick<'a>(from: &[&'a str], choice: usize) -> &'a str {
    from[choice % from.len()]
}

// Good choices stand more often than bad ones, so that shares come to live.
const OWNERS: [&str; 16] = ["a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "b", "b", "b", "d"];
const TARGETS: [&str; 16] = ["b", "b", "b", "b", "b", "b", "b", "c", "c", "c", "c", "c", "c", "c", "a", "d"];
const ASSETS: [&str; 16] = ["X", "Y", "Z", "X", "Y", "Z", "X", "Y", "Z", "X", "Y", "Z", "X", "Y", "Z", ""];
const PLACES: [&str; 6] = ["T", "U", "V", "W", "X", "Y"];
const STREAMS: [&str; 16] = [
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry","details"]"#,
    r#"["details","telemetry"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["extras"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry","faults"]"#,
    "[]",
    "5",
];
const PROFILES: [&str; 16] = ["all", "p", "all", "p", "all", "p", "all", "p", "all", "p", "all", "p", "all", "p", "q", "none"];

/// A time near the hour that events happen in, or nothing.
fn time(choice: usize, now: Millis) -> String {
    match choice % 32 {
        0..=3 => "null".to_owned(),
        4 => "\"soon\"".to_owned(),
        5 => format!("\"{now}\""),
        near => format!("\"{}\"", Moment::from_nanos(now.moment().nanos() + (near as i128 - 8) * 90_000_000_001).unwrap()),
    }
}

/// An offer of a new share mostly, anything else on one of the shares offered last.
fn event(step: &Step, id: usize, offers: &mut usize, now: Millis) -> String {
    let c = &step.choice;
    *offers += usize::from(step.kind < 16 && c[0] > 1);
    let share = match (step.kind < 16, c[0]) {
        (_, 63) => r#""share":"bad id""#.to_owned(),
        (true, _) => format!(r#""share":"s{offers}""#),
        (false, back) => format!(r#""share":"s{}""#, (*offers).saturating_sub(back % 7)),
    };
    let (tenant, other) = (pick(&OWNERS, c[1]), pick(&TARGETS, c[2]));
    let sides = format!(r#""tenants":["{tenant}","{other}"],"partner":"{other}","auto_accept":{}"#, c[3].is_multiple_of(3));
    let profile = pick(&PROFILES, c[4]);
    let kind = match step.kind {
        0..=15 => "share.offered",
        16..=25 => "share.accepted",
        26..=27 => "tenant.updated",
        28 => "partnership.established",
        29 if c[5].is_multiple_of(2) => "partnership.ended",
        29 => "partnership.offered",
        30 => "partnership.accepted",
        31 => "share.expired",
        32..=34 => "share.accepted",
        35..=36 => "profile.published",
        37..=38 => "share.accepted",
        39 if c[5].is_multiple_of(2) => "profile.retired",
        39 => "share.accepted",
        40..=41 => "share.resent",
        42 => "share.declined",
        43 => "share.left",
        44 => "share.cancelled",
        45 => "share.revoked",
        46..=49 => "share.updated",
        50..=52 => "share.paused",
        53..=54 => "share.resumed",
        55..=57 => "share.expired",
        58 => "control.tick",
        _ => "control.skipped",
    };
    let data = match kind {
        "share.offered" => {
            let target = match c[5] % 8 {
                0 => r#""invitee":"i""#.to_owned(),
                _ => format!(r#""target_tenant":"{other}","label":"l""#),
            };
            let starts = if c[7].is_multiple_of(2) { format!(r#","starts":{}"#, time(c[1], now)) } else { String::new() };
            let ends = if c[7].is_multiple_of(3) { format!(r#","ends":{}"#, time(9 + c[6] % 9, now)) } else { String::new() };
            let expires = if c[7].is_multiple_of(5) {
                format!(r#","offer_expires":{},"history":true"#, time(9 + c[4] % 12, now))
            } else {
                String::new()
            };
            format!(
                r#"{{{share},"owner":"{tenant}","asset":"{}","target_asset":"{}",{target},"streams":{},"profile":"{profile}"{starts}{ends}{expires}}}"#,
                pick(&ASSETS, c[2]),
                pick(&PLACES, c[6]),
                pick(&STREAMS, c[3]),
            )
        }
        "share.accepted" => match c[3] % 8 {
            0 => format!(r#"{{{share},"target_tenant":"{other}"}}"#),
            1 => format!(r#"{{{share},"streams":{}}}"#, pick(&STREAMS, c[4])),
            2 => format!(r#"{{{share},"target_asset":"{}"}}"#, pick(&PLACES, c[4])),
            _ => format!("{{{share}}}"),
        },
        "share.updated" => match c[3] % 6 {
            0 => format!(r#"{{{share},"starts":{}}}"#, time(c[4], now)),
            1 => format!(r#"{{{share},"ends":{}}}"#, time(c[4], now)),
            2 => format!(r#"{{{share},"streams":{}}}"#, pick(&STREAMS, c[4])),
            3 => format!(r#"{{{share},"target_asset":"{}"}}"#, pick(&PLACES, c[4])),
            4 => format!(r#"{{{share},"profile":"{profile}"}}"#),
            _ => format!(r#"{{{share},"label":null,"permission":"edit"}}"#),
        },
        "share.resent" => format!(r#"{{{share},"offer_expires":{}}}"#, time(c[4], now)),
        "share.expired" => format!(r#"{{{share},"cause":"{}"}}"#, pick(&["offer", "access", "access"], c[4])),
        "tenant.updated" => match c[3] % 4 {
            0 => format!(r#"{{"tenant":"{tenant}","parent":"{other}"}}"#),
            1 => format!(r#"{{"tenant":"{tenant}","parent":null}}"#),
            2 => format!(r#"{{"tenant":"{other}","suspended":{}}}"#, c[4].is_multiple_of(3)),
            _ => format!(r#"{{"tenant":"{tenant}","suspended":{}}}"#, c[4].is_multiple_of(5)),
        },
        "profile.published" => {
            let details = if c[5].is_multiple_of(2) { r#","details":{"include":["$.a"]}"# } else { "" };
            format!(r#"{{"profile":"{profile}","owner":"{tenant}","spec":{{"telemetry":{{"include":["$"]}}{details}}}}}"#)
        }
        "profile.retired" => format!(r#"{{"profile":"{profile}","owner":"{tenant}"}}"#),
        "control.skipped" => format!(r#"{{"offset":{},"note":"n"}}"#, c[4]),
        "control.tick" => "{}".to_owned(),
        kind if kind.starts_with("partnership") => format!("{{{sides}}}"),
        _ => format!("{{{share}}}"),
    };
    let source = match (kind, step.sender) {
        ("share.expired", 0..=9) => "/sharecast".to_owned(),
        ("tenant.updated" | "control.skipped" | "partnership.established", 0..=10) => "/operator".to_owned(),
        ("profile.published" | "profile.retired", 0..=10) => "/operator".to_owned(),
        ("share.paused" | "share.resumed", sender) => ["/operator", "/tenants/a", "/tenants/b", "/tenants/c"][sender % 4].to_owned(),
        (_, 0..=8) => "/operator".to_owned(),
        (_, 9) if c[7].is_multiple_of(3) => "/sharecast".to_owned(),
        (_, sender) => format!("/tenants/{}", ["a", "b", "c"][sender % 3]),
    };
    format!(r#"{{"specversion":"1.0","id":"e{id}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#)
}

pub(super) fn fold(table: &mut ShareTable, offset: usize, now: Millis, event: &str) -> Folded {
    table.fold(Offset(offset as i64), now, read_structured(event.as_bytes()))
}

fn documents(table: &ShareTable) -> BTreeMap<String, Vec<u8>> {
    table.shares().map(|share| (share.id().to_string(), share.document().write(Audience::Owner, Epoch(0)))).collect()
}

/// An asset's grants by share id, and its quiet counts.
type Parts = (BTreeMap<String, Grant>, BTreeMap<StreamIndex, Quiet>);

/// The graph by brute force: every share looked at, every asset put together anew.
fn naive_assets(table: &ShareTable) -> BTreeMap<(String, String), AssetShares> {
    let mut assets: BTreeMap<(String, String), Parts> = BTreeMap::new();
    for (_, share) in table.shares.iter() {
        let document = table.document(share);
        // A FAILED offer may name what cannot be.
        let Some(asset) = document.asset.filter(|_| share.asset != super::entry::NOTHING) else { continue };
        let (grants, quiet) = assets.entry((document.owner.to_owned(), asset.to_owned())).or_default();
        if let Some(grant) = naive_grant(table, share, &document) {
            grants.insert(document.share.to_owned(), grant);
            continue;
        }
        for stream in &document.streams {
            let Some(stream) = table.rules.streams.iter().find(|s| s.name.as_str() == *stream) else { continue };
            let stream = stream.index;
            let quiet = quiet.entry(stream).or_insert(Quiet { stream, pending: 0, ended: 0 });
            if document.state == State::Pending { quiet.pending += 1 } else { quiet.ended += 1 }
        }
    }
    let shares = |(grants, quiet): Parts| AssetShares { grants: grants.into_values().collect(), quiet: quiet.into_values().collect() };
    assets.into_iter().map(|(key, parts)| (key, shares(parts))).collect()
}

fn naive_grant(table: &ShareTable, share: &Share, document: &Document<'_>) -> Option<Grant> {
    let state = match document.state {
        State::Active => GrantState::Active,
        State::Paused => GrantState::Paused,
        State::Expired if share.lingers() => GrantState::Expired,
        _ => return None,
    };
    let is_suspended = |id: &str| table.tenants.iter().any(|(_, tenant)| tenant.id.as_str() == id && tenant.is_suspended);
    let target = document.target_tenant.unwrap();
    if state != GrantState::Expired {
        let is_marked = document.paused_by.words().any(|word| word == "suspension");
        assert_eq!(is_marked, is_suspended(document.owner) || is_suspended(target), "D16");
    }
    Some(Grant {
        share: share.id.clone(),
        revision: document.revision,
        target: crate::id::TenantId::parse(target).unwrap(),
        target_asset: crate::id::AssetId::parse(document.target_asset.unwrap()).unwrap(),
        streams: table.streams.get(share.streams).set,
        profile: share.profile,
        state,
        is_suspended: is_suspended(document.owner) || is_suspended(target),
        granted_from: document.granted_from.into(),
        starts: document.starts.into(),
        ends: document.ends.into(),
        pauses: share.pauses().into(),
    })
}

fn grants(table: &ShareTable) -> BTreeMap<String, Grant> {
    let all = naive_assets(table).into_values().flat_map(|shares| shares.grants.into_vec());
    all.map(|grant| (grant.share.to_string(), grant)).collect()
}

/// The graph is the one that the table makes; the calendars, the users of profiles and the counts are those of the shares.
fn check_indexes(table: &ShareTable) -> Result<(), TestCaseError> {
    let graph = table.graph();
    for ((owner, asset), expected) in naive_assets(table) {
        prop_assert_eq!(graph.asset(&owner, &asset).cloned().unwrap_or_default(), expected);
    }
    let now = table.control_time();
    let (mut moments, mut due, mut counts, mut live) = (Vec::new(), Vec::new(), [0u64; 9], Vec::new());
    let end = minute(10_000).moment();
    for (_, share) in table.shares.iter() {
        counts[share.state as usize] += 1;
        if share.state.is_live() {
            live.push((share.profile, share.id.to_string()));
            let coming = [share.starts(), share.ends()].into_iter().flatten().filter(|m| *m > now.moment());
            moments.extend(coming.map(|m| (m, share.id.to_string())));
        }
        if share.state == State::Pending && share.has_lapsed(now) {
            due.push((share.id.to_string(), Cause::Offer));
        }
        if share.state.is_live() && share.has_ended(now) {
            due.push((share.id.to_string(), Cause::Access));
        }
    }
    moments.sort();
    due.sort_by(|a, b| a.0.cmp(&b.0));
    let found: Vec<_> = table.moments(now.moment(), end).into_iter().map(|(m, t)| (m, t.share.to_string())).collect();
    prop_assert_eq!(&found, &moments);
    prop_assert_eq!(table.next_moment(now.moment()), moments.first().map(|(m, _)| *m));
    let mut found: Vec<_> = table.due(now, usize::MAX).into_iter().map(|d| (d.share.to_string(), d.cause)).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    prop_assert_eq!(found, due);
    prop_assert_eq!(table.counts, counts);
    check_pairs(table)?;
    live.sort();
    let slots: std::collections::BTreeSet<_> = live.iter().map(|(slot, _)| *slot).collect();
    let found: Vec<_> = slots
        .into_iter()
        .flat_map(|slot| table.shares_of_profile(slot, None, usize::MAX).into_iter().map(move |t| (slot, t.share.to_string())))
        .collect();
    prop_assert_eq!(found, live);
    Ok(())
}

/// Each pair's list holds the shares that an end of the partnership would touch, linked both ways.
fn check_pairs(table: &ShareTable) -> Result<(), TestCaseError> {
    for (number, pair) in (0..).zip(table.pairs.iter()) {
        let is_between = |s: &Share| {
            s.target().is_some_and(|target| pair.tenants.contains(&s.owner) && pair.tenants.contains(&target) && target != s.owner)
        };
        let is_touched = |s: &Share| s.state.is_live() || s.state == State::Pending || s.lingers();
        let mut expected: Vec<_> = table.shares.iter().filter(|(_, s)| is_between(s) && is_touched(s)).map(|(_, s)| &s.id).collect();
        expected.sort();
        let found = table.shares_of_pairs(&[number]);
        prop_assert_eq!(found.iter().map(|n| &table.shares[n.0].id).collect::<Vec<_>>(), expected);
        for number in found {
            let behind = table.shares[number.0].behind;
            prop_assert!(behind == super::entry::NOTHING || table.shares[behind].before == number.0);
        }
    }
    Ok(())
}

/// D17, by comparing all with all.
fn check_places(table: &ShareTable) -> Result<(), TestCaseError> {
    let now = table.control_time();
    let live: Vec<_> = table.shares.iter().map(|(_, s)| s).filter(|s| s.state.is_live() && !s.has_ended(now)).collect();
    for (at, a) in live.iter().enumerate() {
        for b in &live[at + 1..] {
            let (x, y) = (table.document(a), table.document(b));
            let is_same_place = x.target_tenant == y.target_tenant && x.target_asset == y.target_asset;
            prop_assert!(!(is_same_place && x.streams.iter().any(|s| y.streams.contains(s))), "{:?} {:?}", x, y);
        }
    }
    Ok(())
}

/// What one fold says of itself is what it did.
fn check_folded(before: &ShareTable, after: &ShareTable, folded: &Folded) -> Result<(), TestCaseError> {
    let (was, is) = (grants(before), grants(after));
    let ids: std::collections::BTreeSet<_> = was.keys().chain(is.keys()).cloned().collect();
    let changed: Vec<_> = ids.into_iter().filter(|id| was.get(id) != is.get(id)).collect();
    let touched: Vec<_> = folded.touched.iter().map(|t| t.share.to_string()).collect();
    prop_assert_eq!(touched, changed);
    let (was, is) = (documents(before), documents(after));
    let changed: Vec<_> = is.iter().filter(|(id, document)| was.get(*id) != Some(document)).map(|(id, _)| id.clone()).collect();
    let mut written: Vec<_> = folded.documents.iter().filter(|d| !d.key.starts_with("rejected:")).map(|d| d.key.clone()).collect();
    written.dedup();
    prop_assert_eq!(&written, &changed);
    if matches!(folded.outcome, Outcome::Rejected(_)) {
        prop_assert_eq!((changed.len(), folded.documents.len()), (0, 1));
    }
    Ok(())
}

fn said(folded: &Folded) -> String {
    format!("{folded:?}")
}

pub(super) fn origin() -> Origin {
    Origin { cluster: "c".to_owned(), topic: "sharecast.control".to_owned() }
}

pub(super) fn kept(table: &ShareTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    snapshot::write(table, &origin(), &mut bytes).unwrap();
    bytes
}

/// What stands before the random events: partners, and a profile for each owner.
fn beginning() -> Vec<String> {
    let event = |id: &str, kind: &str, data: &str| {
        format!(r#"{{"specversion":"1.0","id":"{id}","source":"/operator","type":"sharecast.{kind}.v1","data":{data}}}"#)
    };
    let spec = r#"{"telemetry":{"include":["$"]},"details":{"include":["$.a"]}}"#;
    vec![
        event("p1", "partnership.established", r#"{"tenants":["a","b"],"auto_accept":true}"#),
        event("p2", "partnership.established", r#"{"tenants":["a","c"]}"#),
        event("p3", "partnership.established", r#"{"tenants":["b","c"]}"#),
        event("p4", "profile.published", &format!(r#"{{"profile":"p","owner":"a","spec":{spec}}}"#)),
        event("p5", "profile.published", &format!(r#"{{"profile":"p","owner":"b","spec":{spec}}}"#)),
    ]
}

/// The whole log as events with their times. Now and then what is due is recorded, as the engine does.
pub(super) fn log(steps: &[Step]) -> (FoldRules, Vec<(Millis, String)>) {
    let rules = FoldRules { halts_on_unreadable: false, ..rules() };
    let (mut now, mut offers) = (minute(0), 0);
    let mut table = ShareTable::new(rules.clone());
    let mut log: Vec<_> = beginning().into_iter().map(|event| (now, event)).collect();
    for (now, event) in &log {
        fold(&mut table, 0, *now, event);
    }
    for (id, step) in steps.iter().enumerate() {
        now.0 += step.minutes * 60_000;
        let due = table.due(now, 1).pop().filter(|_| step.choice[7].is_multiple_of(4));
        let expired = due.map(|due| {
            let data = format!(r#"{{"share":"{}","cause":"{}"}}"#, due.share, due.cause.word());
            format!(r#"{{"specversion":"1.0","id":"x{id}","source":"/sharecast","type":"sharecast.share.expired.v1","data":{data}}}"#)
        });
        for event in expired.into_iter().chain([event(step, id, &mut offers, now)]) {
            fold(&mut table, 0, now, &event);
            log.push((now, event));
        }
    }
    (rules, log)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_fold_does_what_it_says(steps in prop::collection::vec(step(), 1..140)) {
        let (rules, log) = log(&steps);
        let mut table = ShareTable::new(rules.clone());
        // The same log without the last event, so that before and after can be compared.
        let mut before = ShareTable::new(rules);
        for (offset, (now, event)) in log.iter().enumerate() {
            let folded = fold(&mut table, offset, *now, event);
            check_folded(&before, &table, &folded)?;
            check_indexes(&table)?;
            check_places(&table)?;
            fold(&mut before, offset, *now, event);
        }
    }

    #[test]
    fn the_same_event_again_changes_nothing(steps in prop::collection::vec(step(), 1..140)) {
        let (rules, log) = log(&steps);
        let (mut once, mut twice) = (ShareTable::new(rules.clone()), ShareTable::new(rules));
        for (offset, (now, event)) in log.iter().enumerate() {
            fold(&mut once, offset, *now, event);
            fold(&mut twice, offset * 2, *now, event);
            let again = fold(&mut twice, offset * 2 + 1, *now, event);
            prop_assert!(matches!(again.outcome, Outcome::Repeated | Outcome::Tick | Outcome::SetAside(_) | Outcome::Rejected("not_operator")), "{:?}", again);
        }
        prop_assert_eq!(documents(&once), documents(&twice));
        prop_assert_eq!(grants(&once), grants(&twice));
    }

    #[test]
    fn a_restored_table_goes_on_as_if_it_had_never_stopped(steps in prop::collection::vec(step(), 1..140), stop in 0usize..140) {
        let (rules, log) = log(&steps);
        let mut table = ShareTable::new(rules.clone());
        let stop = stop % log.len();
        for (offset, (now, event)) in log[..stop].iter().enumerate() {
            fold(&mut table, offset, *now, event);
        }
        let bytes = kept(&table);
        let mut restored = snapshot::read(&bytes, &origin(), ShareTable::new(rules)).unwrap();
        prop_assert_eq!(&kept(&restored), &bytes);
        check_indexes(&restored)?;
        for (offset, (now, event)) in log.iter().enumerate().skip(stop) {
            let (a, b) = (fold(&mut table, offset, *now, event), fold(&mut restored, offset, *now, event));
            prop_assert_eq!(said(&a), said(&b));
        }
        prop_assert_eq!(kept(&table), kept(&restored));
        check_indexes(&restored)?;
    }

    /// Whoever reads behind the fold, from a snapshot or from the beginning, must come to the very same documents (D22).
    #[test]
    fn a_table_without_grants_writes_the_same_documents(steps in prop::collection::vec(step(), 1..140), stop in 0usize..140) {
        let (rules, log) = log(&steps);
        let (mut table, mut reader) = (ShareTable::new(rules.clone()), ShareTable::for_documents(rules.clone()));
        let stop = stop % log.len();
        for (offset, (now, event)) in log.iter().enumerate() {
            if offset == stop && table.unreadable_offsets().is_empty() {
                reader = snapshot::read(&kept(&table), &origin(), ShareTable::for_documents(rules.clone())).unwrap();
            }
            let (a, b) = (fold(&mut table, offset, *now, event), fold(&mut reader, offset, *now, event));
            prop_assert_eq!((a.outcome, a.documents), (b.outcome, b.documents));
        }
        check_pairs(&reader)?;
        for (owner, asset) in naive_assets(&table).keys() {
            prop_assert!(reader.graph().asset(owner, asset).is_none());
        }
        prop_assert!(reader.due(minute(1_000_000), 1).is_empty() && reader.next_moment(Moment::FIRST).is_none());
    }

    #[test]
    fn an_old_graph_stays_as_it_was(steps in prop::collection::vec(step(), 1..60), stop in 0usize..60) {
        let (rules, log) = log(&steps);
        let mut table = ShareTable::new(rules);
        let stop = stop % log.len();
        let mut old = None;
        for (offset, (now, event)) in log.iter().enumerate() {
            if offset == stop {
                old = Some((table.graph(), naive_assets(&table)));
            }
            fold(&mut table, offset, *now, event);
        }
        let (graph, assets) = old.unwrap();
        for ((owner, asset), shares) in &assets {
            prop_assert_eq!(graph.asset(owner, asset).cloned().unwrap_or_default(), shares.clone());
        }
    }

    #[test]
    fn a_damaged_snapshot_is_refused(steps in prop::collection::vec(step(), 1..40), place in any::<prop::sample::Index>(), bit in 0u8..8, is_cut in any::<bool>()) {
        let (rules, log) = log(&steps);
        let mut table = ShareTable::new(rules.clone());
        for (offset, (now, event)) in log.iter().enumerate() {
            fold(&mut table, offset, *now, event);
        }
        let mut bytes = kept(&table);
        let at = place.index(bytes.len());
        if is_cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
        prop_assert!(snapshot::read(&bytes, &origin(), ShareTable::new(rules)).is_err());
    }
}
