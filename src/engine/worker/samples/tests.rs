use super::*;
use crate::id::{AssetId, ShareId, StreamIndex, StreamSet, TenantId};
use crate::profile::compile::Profile;
use crate::record::decode::Identity;
use crate::share::graph::{Grant, GrantState, ProfileSlot, RareFacts};
use crate::share::lifecycle::record::{Share, TenantNumber};
use crate::share::state::{Permission, State};
use crate::time::{Period, TimestampMs};
use std::sync::Arc;

const HERE: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 0 };
const THERE: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 1 };
const ROUTE: RouteIndex = RouteIndex(1);
const OTHER: RouteIndex = RouteIndex(2);

fn grant((share, target, target_asset): &(ShareId, TenantId, AssetId)) -> Grant<'_> {
    Grant {
        share,
        revision: 1,
        target,
        target_asset,
        streams: StreamSet(1),
        profile: ProfileSlot(0),
        permission: Permission::View,
        state: GrantState::Active,
        is_suspended: false,
        granted_from: None.into(),
        starts: None.into(),
        ends: None.into(),
        rare: RareFacts::default(),
    }
}

fn graph() -> ShareGraph {
    ShareGraph::new(Arc::new(Profile::all(&[])))
}

/// One record a second of event time.
fn passes(samples: &mut WorkerSamples, partition: SourcePartition, route: RouteIndex, share: &str, second: i64) -> bool {
    let ids = (ShareId::parse(share).unwrap(), TenantId::parse("acme").unwrap(), AssetId::parse("A").unwrap());
    let grant = grant(&ids);
    let (t, every) = (TimestampMs(second * 1000).moment(), Period::from_millis(1000));
    let identity = Identity { tenant: "nw", asset: "X" };
    samples.passes(partition, route, SampleCandidate { grant: &grant, stream: StreamIndex(0), identity, t, every })
}

#[test]
fn a_batch_that_is_aborted_is_decided_again_alike() {
    let mut samples = WorkerSamples::default();
    for _ in 0..3 {
        samples.begin();
        assert!(passes(&mut samples, HERE, ROUTE, "s", 1) && !passes(&mut samples, HERE, ROUTE, "s", 1));
    }
    samples.commit(&graph());
    samples.begin();
    assert!(!passes(&mut samples, HERE, ROUTE, "s", 1));
    assert!(passes(&mut samples, THERE, ROUTE, "s", 1), "each partition by itself");
}

#[test]
fn what_a_failed_route_does_not_get_was_not_released() {
    let mut samples = WorkerSamples::default();
    samples.begin();
    assert!(passes(&mut samples, HERE, ROUTE, "s", 1) && passes(&mut samples, THERE, ROUTE, "s", 1));
    assert!(passes(&mut samples, HERE, OTHER, "o", 1));
    samples.withhold(|partition, route| (partition, route) == (HERE, ROUTE));
    samples.commit(&graph());
    samples.begin();
    assert!(passes(&mut samples, HERE, ROUTE, "s", 1), "it is owed, and passes when it is decided again");
    assert!(!passes(&mut samples, THERE, ROUTE, "s", 1) && !passes(&mut samples, HERE, OTHER, "o", 1));
}

#[test]
fn an_unknown_outcome_is_told_by_where_the_partition_goes_on() {
    for (goes_on, is_committed) in [(10, false), (20, true), (25, true)] {
        let mut samples = WorkerSamples::default();
        samples.begin();
        assert!(passes(&mut samples, HERE, ROUTE, "s", 1));
        samples.unsettle(&[InputOffset::new(HERE, Offset(20))], |_| Some(Offset(10)));
        samples.begin();
        samples.settle(HERE, Offset(goes_on), &graph());
        assert_eq!(passes(&mut samples, HERE, ROUTE, "s", 1), !is_committed, "{goes_on}");
    }
    // Of what was owed nothing tells: it passes again rather than to be lost.
    let mut samples = WorkerSamples::default();
    samples.begin();
    assert!(passes(&mut samples, HERE, ROUTE, "s", 1));
    samples.unsettle(&[InputOffset::new(HERE, Offset(10))], |_| Some(Offset(10)));
    samples.settle(HERE, Offset(10), &graph());
    assert!(passes(&mut samples, HERE, ROUTE, "s", 1));
}

#[test]
fn a_partition_that_left_is_forgotten_and_so_are_shares_that_are_gone() {
    let mut samples = WorkerSamples::default();
    samples.begin();
    assert!(passes(&mut samples, HERE, ROUTE, "s", 1));
    samples.commit(&graph());
    samples.leave(&[HERE]);
    samples.begin();
    assert!(passes(&mut samples, HERE, ROUTE, "s", 1));
    for number in 0..SWEPT_FROM {
        assert!(passes(&mut samples, HERE, ROUTE, &format!("gone-{number}"), 1));
    }
    let (owner, target) = (TenantId::parse("nw").unwrap(), TenantId::parse("acme").unwrap());
    let mut share = Share::new(ShareId::parse("s").unwrap(), TenantNumber(0), State::Active, TimestampMs(0));
    share.set_target(Some(TenantNumber(1)));
    let asset = AssetId::parse("X").unwrap();
    let graph = ShareGraph::of_one(Arc::new(Profile::all(&[])), [&owner, &target], &asset, StreamSet(1), share);
    samples.commit(&graph);
    assert_eq!(samples.partitions[&HERE].state.len(), 1);
    samples.begin();
    assert!(!passes(&mut samples, HERE, ROUTE, "s", 1) && passes(&mut samples, HERE, ROUTE, "gone-1", 1));
}
