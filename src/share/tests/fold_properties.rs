//! What holds after any events whatever.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::id::{Epoch, StreamIndex, StreamSet};
use crate::share::graph::{Grant, GrantState, InactiveCounts, ProfileSlot, ShareGraph};
use crate::share::lifecycle::record::Share;
use crate::share::snapshot;
use crate::share::snapshot::SnapshotOrigin;
use crate::share::state::{ExpiryCause, Permission, State};
use crate::share::status::{Audience, Document};
use crate::share::table::{Folded, Outcome, ShareTable};
use crate::share::tests::fixture::minute;
use crate::share::tests::random_log::{fold, log, step};
use crate::time::{TimestampMs, TimestampNs};

fn documents(table: &ShareTable) -> BTreeMap<String, Vec<u8>> {
    table.shares().map(|share| (share.id().to_string(), share.document().write(Audience::Owner, Epoch(0)))).collect()
}

/// An asset's grants by share id, and its quiet counts.
type Parts = (BTreeMap<String, NaiveGrant>, BTreeMap<StreamIndex, InactiveCounts>);

/// What a grant says, by itself.
#[derive(Debug, Clone, PartialEq)]
struct NaiveGrant {
    texts: [String; 3],
    label: Option<String>,
    revision: u32,
    streams: StreamSet,
    profile: ProfileSlot,
    permission: Permission,
    state: GrantState,
    is_suspended: bool,
    moments: [Option<TimestampNs>; 3],
    pauses: Vec<(TimestampMs, TimestampMs)>,
}

impl NaiveGrant {
    fn of(grant: Grant<'_>) -> Self {
        Self {
            texts: [grant.share.as_str(), grant.target.as_str(), grant.target_asset.as_str()].map(str::to_owned),
            label: grant.rare.label().map(str::to_owned),
            revision: grant.revision,
            streams: grant.streams,
            profile: grant.profile,
            permission: grant.permission,
            state: grant.state,
            is_suspended: grant.is_suspended,
            moments: [grant.granted_from, grant.starts, grant.ends].map(|moment| moment.get()),
            pauses: grant.rare.pauses().to_vec(),
        }
    }
}

/// An asset's grants in their order, and its quiet counts.
type ShownShares = (Vec<NaiveGrant>, Vec<InactiveCounts>);

fn shown(graph: &ShareGraph, owner: &str, asset: &str) -> ShownShares {
    let Some(shares) = graph.asset(owner, asset) else { return ShownShares::default() };
    (shares.grants().map(NaiveGrant::of).collect(), shares.quiet().to_vec())
}

/// The graph by brute force: every share looked at, every asset put together again.
fn naive_assets(table: &ShareTable) -> BTreeMap<(String, String), ShownShares> {
    let mut assets: BTreeMap<(String, String), Parts> = BTreeMap::new();
    for (_, share) in table.graph.shares.iter() {
        let document = table.document(share);
        // A FAILED offer may name what cannot be.
        let Some(asset) = document.asset.filter(|_| share.asset != crate::share::lifecycle::record::NOTHING) else { continue };
        let (grants, quiet) = assets.entry((document.owner.to_owned(), asset.to_owned())).or_default();
        if let Some(grant) = naive_grant(table, share, &document) {
            grants.insert(document.share.to_owned(), grant);
            continue;
        }
        // A FAILED offer counts for what was configured when it was made.
        let was_configured = |name: &str| table.streams.get(share.streams).order.iter().any(|s| table.streams.name(*s).as_str() == name);
        for stream in document.streams.iter().filter(|name| document.state != State::Failed || was_configured(name)) {
            let Some(stream) = table.rules.streams.iter().find(|s| s.name.as_str() == *stream) else { continue };
            let stream = stream.index;
            let quiet = quiet.entry(stream).or_insert(InactiveCounts { stream, pending: 0, ended: 0 });
            if document.state == State::Pending { quiet.pending += 1 } else { quiet.ended += 1 }
        }
    }
    let shares = |(grants, quiet): Parts| (grants.into_values().collect(), quiet.into_values().collect());
    assets.into_iter().map(|(key, parts)| (key, shares(parts))).collect()
}

fn naive_grant(table: &ShareTable, share: &Share, document: &Document<'_>) -> Option<NaiveGrant> {
    let state = match document.state {
        State::Active => GrantState::Active,
        State::Paused => GrantState::Paused,
        State::Expired if share.lingers() => GrantState::Expired,
        _ => return None,
    };
    let is_suspended = |id: &str| table.tenants.iter().any(|(_, tenant)| tenant.id.as_str() == id && tenant.is_suspended());
    let target = document.target_tenant.unwrap();
    if state != GrantState::Expired {
        let is_marked = document.paused_by.words().any(|word| word == "suspension");
        assert_eq!(is_marked, is_suspended(document.owner) || is_suspended(target), "marked while either is suspended");
    }
    Some(NaiveGrant {
        texts: [document.share, target, document.target_asset.unwrap()].map(str::to_owned),
        label: document.label.map(str::to_owned),
        revision: document.revision,
        streams: read_here(table, document),
        profile: share.profile,
        permission: document.permission,
        state,
        is_suspended: is_suspended(document.owner) || is_suspended(target),
        moments: [document.granted_from, document.starts, document.ends],
        pauses: share.pauses().to_vec(),
    })
}

/// The streams of a share that this process is configured for.
fn read_here(table: &ShareTable, document: &Document<'_>) -> StreamSet {
    let read = table.rules.streams.iter().filter(|stream| document.streams.contains(&stream.name.as_str()));
    read.fold(StreamSet::default(), |set, stream| set.with(stream.index))
}

fn grants(table: &ShareTable) -> BTreeMap<String, NaiveGrant> {
    let all = naive_assets(table).into_values().flat_map(|(grants, _)| grants);
    all.map(|grant| (grant.texts[0].clone(), grant)).collect()
}

/// The graph is the one that the table makes; the calendars, the users of profiles and the counts are those of the shares.
pub(super) fn check_indexes(table: &ShareTable) -> Result<(), TestCaseError> {
    let graph = table.graph();
    for ((owner, asset), expected) in naive_assets(table) {
        prop_assert_eq!(shown(&graph, &owner, &asset), expected);
    }
    let now = table.control_time();
    let (mut moments, mut due, mut counts, mut live) = (Vec::new(), Vec::new(), [0u64; 9], Vec::new());
    let end = minute(10_000).moment();
    for (_, share) in table.graph.shares.iter() {
        counts[share.state as usize] += 1;
        if share.state.is_live() {
            live.extend((share.profile != ProfileSlot::ALL).then(|| (share.profile, share.id.to_string())));
            let coming = [share.starts(), share.ends()].into_iter().flatten().filter(|m| *m > now.moment());
            moments.extend(coming.map(|m| (m, share.id.to_string())));
        }
        if share.state == State::Pending && share.has_lapsed(now) {
            due.push((share.id.to_string(), ExpiryCause::Offer));
        }
        if share.state.is_live() && share.has_ended(now) {
            due.push((share.id.to_string(), ExpiryCause::Access));
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
    let mut found: Vec<_> = slots
        .into_iter()
        .flat_map(|slot| table.shares_of_profile(slot, None, usize::MAX).into_iter().map(move |t| (slot, t.share.to_string())))
        .collect();
    found.sort();
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
        let mut expected: Vec<_> = table.graph.shares.iter().filter(|(_, s)| is_between(s) && is_touched(s)).map(|(_, s)| &s.id).collect();
        expected.sort();
        let found = table.shares_of_pairs(&[number]);
        prop_assert_eq!(found.iter().map(|n| &table.graph.shares[n.0].id).collect::<Vec<_>>(), expected);
        for number in found {
            let behind = table.graph.shares[number.0].behind;
            prop_assert!(behind == crate::share::lifecycle::record::NOTHING || table.graph.shares[behind].before == number.0);
        }
    }
    Ok(())
}

/// docs/rules/shares.md#one-share-a-place, by comparing all with all.
fn check_places(table: &ShareTable) -> Result<(), TestCaseError> {
    let now = table.control_time();
    let live: Vec<_> = table.graph.shares.iter().map(|(_, s)| s).filter(|s| s.state.is_live() && !s.has_ended(now)).collect();
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

/// The revision of each profile that releases something; none of one that is retired.
fn shown_profiles(table: &ShareTable) -> Vec<Option<u32>> {
    table.profiles().map(|profile| table.graph().profile(profile.slot).map(|compiled| compiled.revision())).collect()
}

pub(super) fn origin() -> SnapshotOrigin {
    SnapshotOrigin { cluster: "c".to_owned(), topic: "sharecast.control".to_owned() }
}

pub(super) fn kept(table: &ShareTable) -> Vec<u8> {
    let mut bytes = Vec::new();
    snapshot::write(table, &origin(), &mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases * 3 / 16))]

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
        prop_assert_eq!(shown_profiles(&table), shown_profiles(&restored), "what is retired stays so");
        for (offset, (now, event)) in log.iter().enumerate().skip(stop) {
            let (a, b) = (fold(&mut table, offset, *now, event), fold(&mut restored, offset, *now, event));
            prop_assert_eq!(said(&a), said(&b));
        }
        prop_assert_eq!(kept(&table), kept(&restored));
        check_indexes(&restored)?;
    }

    /// Who begins from a snapshot waits for others up to the newest change, so it must be one that they know of too.
    #[test]
    fn the_newest_change_is_the_logs_wherever_one_begins(steps in prop::collection::vec(step(), 1..140), stop in 0usize..7) {
        let (rules, log) = log(&steps);
        let (mut table, mut newest) = (ShareTable::new(rules.clone()), Epoch::NONE);
        for (offset, (now, event)) in log.iter().enumerate() {
            if offset % 7 == stop && table.unreadable_offsets().is_empty() {
                table = snapshot::read(&kept(&table), &origin(), ShareTable::new(rules.clone())).unwrap();
            }
            let folded = fold(&mut table, offset, *now, event);
            if !folded.touched.is_empty() || folded.profile.is_some() {
                newest = Epoch(offset as i64);
            }
            prop_assert_eq!(table.newest_change(), newest);
        }
    }

    /// Whoever reads behind the fold, from a snapshot or from the beginning, must come to the very same documents
    /// (docs/rules/status.md#who-sees-what).
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
        prop_assert!(reader.due(minute(1_000_000), 1).is_empty() && reader.next_moment(TimestampNs::FIRST).is_none());
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
            prop_assert_eq!(&shown(&graph, owner, asset), shares);
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
