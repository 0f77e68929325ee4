//! The immutable index that decisions read: asset -> grants. Cheap to clone and to change in one place.

pub(crate) mod trie;

use std::sync::Arc;

use super::state::Permission;
use crate::id::{AssetId, Epoch, Label, Offset, ShareId, StreamIndex, StreamSet, TenantId};
use crate::profile::compile::Profile;
use crate::share::graph::trie::Trie;
use crate::share::hash_index::hash_of;
use crate::time::{MaybeMoment, TimestampMs, TimestampNs};

/// A profile's place in the graph: published, retired and published again, it keeps its slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProfileSlot(pub u32);

impl ProfileSlot {
    /// The built-in profile `all`.
    pub const ALL: Self = Self(0);
}

/// One immutable state of all shares. A clone costs three reference counts.
#[derive(Debug, Clone)]
pub struct ShareGraph {
    pub(crate) epoch: Epoch,
    pub(crate) control_time: TimestampMs,
    /// Unreadable offsets that wait for their skip, rising.
    pub(crate) waiting: Arc<[Offset]>,
    assets: Trie<Asset>,
    profiles: Trie<Option<Arc<Profile>>>,
}

/// One asset in the graph.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    pub(crate) owner: TenantId,
    pub(crate) id: AssetId,
    /// Its number in the table.
    pub(crate) number: u32,
    pub(crate) shares: AssetShares,
}

/// What is known of one asset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AssetShares {
    /// Shares that may release something, by share id, bytes ascending.
    pub grants: Box<[Grant]>,
    /// Shares that release nothing any more, or not yet: counted by reason only.
    pub quiet: Box<[InactiveCounts]>,
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

/// A share as the graph holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The share.
    pub share: ShareId,
    /// Its revision; what is released names it.
    pub revision: u32,
    /// Who receives.
    pub target: TenantId,
    /// The target's own id of the asset: the key of what it gets.
    pub target_asset: AssetId,
    /// The streams it names.
    pub streams: StreamSet,
    /// The projection of its profile, shared by all grants that name it: a publish changes the slot, not the grants.
    pub profile: ProfileSlot,
    /// What the target may do.
    pub permission: Permission,
    /// Where it is in its life.
    pub state: GrantState,
    /// Whether one of the two tenants is suspended now.
    pub is_suspended: bool,
    /// From which event time on; `None` is the beginning of time.
    pub granted_from: MaybeMoment,
    /// When access begins; at this very moment it has begun.
    pub starts: MaybeMoment,
    /// When access ends; at this very moment it is over.
    pub ends: MaybeMoment,
    /// What few grants have.
    pub rare: RareFacts,
}

/// From the pause up to, and without, the resume.
type Pause = (TimestampMs, TimestampMs);

/// What few grants have, so that one without takes one word.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RareFacts(Option<Box<RareFactsHeld>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct RareFactsHeld {
    pauses: Box<[Pause]>,
    label: Option<Label>,
}

impl RareFacts {
    pub(crate) fn new(pauses: &[Pause], label: Option<&Label>) -> Self {
        let has_any = !pauses.is_empty() || label.is_some();
        Self(has_any.then(|| Box::new(RareFactsHeld { pauses: pauses.into(), label: label.cloned() })))
    }

    /// Past pauses, in order: event times in them are never released.
    pub fn pauses(&self) -> &[(TimestampMs, TimestampMs)] {
        self.0.as_deref().map_or(&[], |held| &held.pauses)
    }

    /// The name that the share has for its target.
    pub fn label(&self) -> Option<&str> {
        self.0.as_deref()?.label.as_deref()
    }
}

// A million shares are a million of these.
const _: () = assert!(size_of::<Grant>() <= 88);

/// The states that a grant can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantState {
    /// ACTIVE.
    Active,
    /// PAUSED.
    Paused,
    /// EXPIRED out of ACTIVE and not cut off since: counts within `late_grace` (docs/rules/release.md#shares-that-count).
    Expired,
}

impl ShareGraph {
    /// A graph without shares and profiles, but for the built-in one.
    pub(crate) fn new(all: Arc<Profile>) -> Self {
        let mut graph = Self {
            epoch: Epoch::NONE,
            control_time: TimestampNs::FIRST.millis(),
            waiting: Arc::new([]),
            assets: Trie::default(),
            profiles: Trie::default(),
        };
        graph.set_profile(ProfileSlot::ALL, Some(all));
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
    pub fn asset(&self, owner: &str, asset: &str) -> Option<&AssetShares> {
        self.find(owner, asset).map(|found| &found.shares).filter(|shares| !shares.grants.is_empty() || !shares.quiet.is_empty())
    }

    /// The profile, if it is published and not retired.
    pub fn profile(&self, slot: ProfileSlot) -> Option<&Arc<Profile>> {
        self.profiles.get(u64::from(slot.0), |_| true)?.as_ref()
    }

    /// This graph without any share.
    pub(crate) fn without_shares(&self) -> Self {
        Self { assets: Trie::default(), ..self.clone() }
    }

    /// Hands over every grant, in no order that means anything.
    pub fn for_each_grant<'g>(&'g self, mut visit: impl FnMut(&'g Grant)) {
        self.assets.for_each(|asset| asset.shares.grants.iter().for_each(&mut visit));
    }

    /// Where an asset is found by `has_grant`.
    pub fn asset_hash(owner: &str, asset: &str) -> u64 {
        hash_of(&[owner, asset])
    }

    /// Whether an asset of this hash has a grant of this share.
    pub fn has_grant(&self, hash: u64, share: &ShareId) -> bool {
        let has = |asset: &Asset| asset.shares.grants.binary_search_by(|grant| grant.share.cmp(share)).is_ok();
        self.assets.get(hash, has).is_some()
    }

    pub(crate) fn find(&self, owner: &str, asset: &str) -> Option<&Asset> {
        self.assets.get(hash_of(&[owner, asset]), |a| a.owner.as_str() == owner && a.id.as_str() == asset)
    }

    /// The asset to be changed; one that is not there gets this number.
    pub(crate) fn asset_mut(&mut self, owner: &TenantId, id: &AssetId, number: u32) -> &mut Asset {
        let make = || Asset { owner: owner.clone(), id: id.clone(), number, shares: AssetShares::default() };
        self.assets.entry(hash_of(&[owner.as_str(), id.as_str()]), |a| a.owner == *owner && a.id == *id, make)
    }

    pub(crate) fn set_profile(&mut self, slot: ProfileSlot, profile: Option<Arc<Profile>>) {
        *self.profiles.entry(u64::from(slot.0), |_| true, || None) = profile;
    }
}

impl AssetShares {
    /// Puts a grant in its place by share id, instead of the one that is there.
    pub(crate) fn put(&mut self, grant: Grant) {
        match self.grants.binary_search_by(|g| g.share.cmp(&grant.share)) {
            Ok(at) => self.grants[at] = grant,
            Err(at) => {
                let mut grants = std::mem::take(&mut self.grants).into_vec();
                grants.reserve_exact(1);
                grants.insert(at, grant);
                self.grants = grants.into();
            }
        }
    }

    /// Takes a share's grant out.
    pub(crate) fn take(&mut self, share: &ShareId) {
        if let Ok(at) = self.grants.binary_search_by(|g| g.share.cmp(share)) {
            let mut grants = std::mem::take(&mut self.grants).into_vec();
            grants.remove(at);
            self.grants = grants.into();
        }
    }

    /// Counts a share that names these streams in or out.
    pub(crate) fn count(&mut self, streams: StreamSet, what: Inactive, is_in: bool) {
        let mut rest = streams.0;
        while rest != 0 {
            let stream = StreamIndex(rest.trailing_zeros() as u8);
            rest &= rest - 1;
            let quiet = self.quiet_of(stream);
            let count = match what {
                Inactive::Pending => &mut quiet.pending,
                Inactive::Ended => &mut quiet.ended,
            };
            *count = if is_in { *count + 1 } else { count.saturating_sub(1) };
        }
        if self.quiet.iter().any(|q| q.pending == 0 && q.ended == 0) {
            self.quiet = self.quiet.iter().copied().filter(|q| q.pending != 0 || q.ended != 0).collect();
        }
    }

    fn quiet_of(&mut self, stream: StreamIndex) -> &mut InactiveCounts {
        let at = match self.quiet.binary_search_by_key(&stream, |q| q.stream) {
            Ok(at) => at,
            Err(at) => {
                let mut quiet = std::mem::take(&mut self.quiet).into_vec();
                quiet.insert(at, InactiveCounts { stream, pending: 0, ended: 0 });
                self.quiet = quiet.into();
                at
            }
        };
        &mut self.quiet[at]
    }
}

/// Why a share releases nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inactive {
    /// Its offer is open.
    Pending,
    /// It is over, or never began.
    Ended,
}
