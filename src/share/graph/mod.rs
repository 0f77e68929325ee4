//! The immutable index that decisions read: asset -> grants. Cheap to clone and to change in one place.
//!
//! A graph holds no copy of a share: an asset has the numbers of its grants, and a grant is read from the table's own record of it.
//! `asset_index` finds an asset, `asset` holds its numbers, `grant` reads one.

pub(crate) mod asset_index;
pub(crate) mod asset;
pub mod grant;

use std::sync::Arc;

pub use self::grant::{Grant, GrantState, RareFacts};
pub use super::profile_slot::ProfileSlot;
use crate::id::{Epoch, Offset, ShareId, StreamIndex, StreamSet, TenantId};
use crate::profile::compile::Profile;
use crate::share::graph::asset::Asset;
use crate::share::graph::asset_index::AssetIndex;
use crate::share::hash_index::hash_of;
use crate::share::lifecycle::record::{Share, TenantNumber};
use crate::share::paged_vec::PagedVec;
use crate::simd;
use crate::time::{TimestampMs, TimestampNs};

/// Four kilobytes of shares a page.
pub(crate) type ShareRecords = PagedVec<Share, 30>;
/// Lines of the cache that a share lies in.
const SHARE_LINES: usize = size_of::<Share>().div_ceil(64);
/// Four kilobytes of assets a page.
pub(crate) type AssetRecords = PagedVec<Asset, 72>;

/// One immutable state of all shares. A clone costs a few reference counts.
#[derive(Debug, Clone)]
pub struct ShareGraph {
    pub(crate) epoch: Epoch,
    pub(crate) control_time: TimestampMs,
    /// Unreadable offsets that wait for their skip, rising.
    pub(crate) waiting: Arc<[Offset]>,
    index: AssetIndex,
    pub(crate) assets: AssetRecords,
    pub(crate) shares: ShareRecords,
    pub(crate) tenants: PagedVec<TenantFacts, 16>,
    /// Those streams of each list that are read here.
    pub(crate) streams: PagedVec<StreamSet, 16>,
    profiles: PagedVec<Option<Arc<Profile>>, 16>,
}

/// What grants need of a tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct TenantFacts {
    /// None in a place that holds no tenant yet.
    pub(crate) id: Option<TenantId>,
    pub(crate) is_suspended: bool,
}

/// What is known of one asset.
#[derive(Debug, Clone, Copy)]
pub struct AssetShares<'g> {
    graph: &'g ShareGraph,
    asset: &'g Asset,
}

/// How many shares of an asset name a stream and are still pending, or have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InactiveCounts {
    /// The stream.
    pub stream: StreamIndex,
    /// Shares whose offer is open.
    pub pending: u32,
    /// Shares that are over; FAILED, DECLINED and CANCELLED too (docs/rules/release.md#reasons).
    pub ended: u32,
}

impl ShareGraph {
    /// A graph without shares and profiles, but for the built-in one.
    pub(crate) fn new(all: Arc<Profile>) -> Self {
        let mut graph = Self {
            epoch: Epoch::NONE,
            control_time: TimestampNs::FIRST.millis(),
            waiting: Arc::new([]),
            index: AssetIndex::default(),
            assets: PagedVec::default(),
            shares: PagedVec::default(),
            tenants: PagedVec::default(),
            streams: PagedVec::default(),
            profiles: PagedVec::default(),
        };
        graph.set_profile(ProfileSlot::ALL, Some(all));
        graph
    }

    /// The graph of one share that releases something: of the first of these tenants, to the second.
    #[cfg(feature = "io")]
    pub(crate) fn of_one(all: Arc<Profile>, tenants: [&TenantId; 2], asset: &crate::id::AssetId, streams: StreamSet, share: Share) -> Self {
        let mut graph = Self::new(all);
        for id in tenants {
            graph.tenants.push(TenantFacts { id: Some(id.clone()), is_suspended: false });
        }
        let list = graph.streams.push(streams);
        let asset = graph.add_asset(tenants[0], Asset::new(asset.clone(), TenantNumber(0)));
        let mut share = share;
        (share.asset, share.streams) = (asset, list);
        let number = graph.shares.push(share);
        graph.assets[asset].add(number, |_| true);
        graph
    }

    /// The offset of the last control event in it.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The control time of that event; the year 1 before the first.
    pub fn control_time(&self) -> TimestampMs {
        self.control_time
    }

    /// Whether an unreadable control record waits for its skip (docs/rules/events.md#unreadable-records): nothing may be decided.
    pub fn is_halted(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The offsets that wait for their skip, rising.
    pub fn unreadable_offsets(&self) -> &[Offset] {
        &self.waiting
    }

    /// The shares of an asset; allocates nothing.
    pub fn asset(&self, owner: &str, asset: &str) -> Option<AssetShares<'_>> {
        let is_owner = |number: TenantNumber| self.tenants.get(number.0).and_then(|t| t.id.as_ref()).is_some_and(|id| id.as_str() == owner);
        let asset = &self.assets[self.find(owner, asset, is_owner)?];
        let shares = AssetShares { graph: self, asset };
        (!asset.grants().is_empty() || !asset.quiet().is_empty()).then_some(shares)
    }

    /// The profile, if it is published and not retired.
    pub fn profile(&self, slot: ProfileSlot) -> Option<&Arc<Profile>> {
        self.profiles.get(slot.0)?.as_ref()
    }

    /// This graph with all tenants and lists of streams as they are now.
    pub(crate) fn with(&self, tenants: PagedVec<TenantFacts, 16>, streams: PagedVec<StreamSet, 16>) -> Self {
        Self { tenants, streams, ..self.clone() }
    }

    /// This graph without any asset.
    pub(crate) fn without_assets(&self) -> Self {
        Self { assets: PagedVec::default(), index: AssetIndex::default(), ..self.clone() }
    }

    /// Hands over every grant, in no order that means anything.
    pub fn for_each_grant<'g>(&'g self, mut visit: impl FnMut(Grant<'g>)) {
        for (_, asset) in self.assets.iter() {
            AssetShares { graph: self, asset }.grants().for_each(&mut visit);
        }
    }

    /// Where an asset is found by `has_grant`.
    pub fn asset_hash(owner: &str, asset: &str) -> u64 {
        hash_of(&[owner, asset])
    }

    /// Whether an asset of this hash has a grant of this share.
    pub fn has_grant(&self, hash: u64, share: &ShareId) -> bool {
        let has = |number| AssetShares { graph: self, asset: &self.assets[number] }.grant(share.as_str()).is_some();
        self.index.find(hash, has).is_some()
    }

    /// An asset's number; `is_owner` tells this owner by its number.
    pub(crate) fn find(&self, owner: &str, asset: &str, is_owner: impl Fn(TenantNumber) -> bool) -> Option<u32> {
        self.index.find(hash_of(&[owner, asset]), |number| {
            let known = &self.assets[number];
            known.id.as_str() == asset && is_owner(known.owner)
        })
    }

    /// Takes an asset in that is not in it yet, and returns its number.
    pub(crate) fn add_asset(&mut self, owner: &TenantId, asset: Asset) -> u32 {
        let hash = hash_of(&[owner.as_str(), asset.id.as_str()]);
        let number = self.assets.push(asset);
        self.index.insert(hash, number);
        number
    }

    /// From now on all assets are found that it has; `id_of` tells an owner's id.
    pub(crate) fn index_assets<'t>(&mut self, id_of: impl Fn(TenantNumber) -> &'t str) {
        let hash = |asset: &Asset| hash_of(&[id_of(asset.owner), asset.id.as_str()]);
        self.index = AssetIndex::of(self.assets.iter().map(|(number, asset)| asset_index::entry(hash(asset), number)).collect());
    }

    pub(crate) fn set_profile(&mut self, slot: ProfileSlot, profile: Option<Arc<Profile>>) {
        while self.profiles.len() <= slot.0 {
            self.profiles.push(None);
        }
        self.profiles[slot.0] = profile;
    }
}

impl<'g> AssetShares<'g> {
    /// Shares that may release something, by share id, bytes ascending.
    pub fn grants(self) -> impl ExactSizeIterator<Item = Grant<'g>> {
        let Self { graph, asset } = self;
        asset.grants().iter().map(move |number| Grant::of(graph, asset, *number))
    }

    /// Has the records of all grants brought into the cache while something else is done.
    #[inline]
    pub fn fetch_ahead(self) {
        for number in self.asset.grants() {
            simd::fetch_ahead::<SHARE_LINES, _>(std::slice::from_ref(&self.graph.shares[*number]));
        }
    }

    /// The grant of a share.
    pub fn grant(self, share: &str) -> Option<Grant<'g>> {
        let Self { graph, asset } = self;
        let found = asset.grants().binary_search_by(|number| graph.shares[*number].id.as_str().cmp(share)).ok()?;
        Some(Grant::of(graph, asset, asset.grants()[found]))
    }

    /// Shares that release nothing any more, or not yet: counted by reason only.
    pub fn quiet(self) -> &'g [InactiveCounts] {
        self.asset.quiet()
    }
}
