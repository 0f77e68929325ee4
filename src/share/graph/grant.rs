//! A share as decisions see it.

use crate::id::{AssetId, Label, ShareId, StreamSet, TenantId};
use crate::share::graph::ShareGraph;
use crate::share::graph::asset::Asset;
use crate::share::lifecycle::record::Share;
use crate::share::profile_slot::ProfileSlot;
use crate::share::state::{Permission, State};
use crate::time::{MaybeMoment, TimestampMs};

/// A share that may release something, read from the graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant<'g> {
    /// The share.
    pub share: &'g ShareId,
    /// Its revision; what is released names it.
    pub revision: u32,
    /// Who receives.
    pub target: &'g TenantId,
    /// The target's own id of the asset: the key of what it gets.
    pub target_asset: &'g AssetId,
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
    pub rare: RareFacts<'g>,
}

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

/// From the pause up to, and without, the resume.
type Pause = (TimestampMs, TimestampMs);

/// What few grants have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RareFacts<'g> {
    pauses: &'g [Pause],
    label: Option<&'g Label>,
}

impl<'g> RareFacts<'g> {
    pub(crate) fn new(pauses: &'g [Pause], label: Option<&'g Label>) -> Self {
        Self { pauses, label }
    }

    /// Past pauses, in order: event times in them are never released.
    pub fn pauses(self) -> &'g [(TimestampMs, TimestampMs)] {
        self.pauses
    }

    /// The name that the share has for its target.
    pub fn label(self) -> Option<&'g str> {
        self.label.map(Label::as_str)
    }
}

impl GrantState {
    /// The state of a share's grant; none of a share that releases nothing any more, or not yet.
    pub(crate) fn of(share: &Share) -> Option<Self> {
        match share.state {
            State::Active => Some(Self::Active),
            State::Paused => Some(Self::Paused),
            State::Expired => share.lingers().then_some(Self::Expired),
            State::Failed | State::Pending | State::Declined | State::Cancelled | State::Revoked | State::Left => None,
        }
    }
}

impl<'g> Grant<'g> {
    /// The grant of a share of this asset, which is one of its grants.
    pub(crate) fn of(graph: &'g ShareGraph, asset: &'g Asset, number: u32) -> Self {
        let share = &graph.shares[number];
        let owner = &graph.tenants[share.owner.0];
        let target = &graph.tenants[share.target().unwrap_or(share.owner).0];
        let [granted_from, starts, ends] = share.window();
        Self {
            share: &share.id,
            revision: share.revision,
            target: target.id.as_ref().unwrap_or_else(|| unreachable!("a share's tenants are known")),
            target_asset: share.target_asset.as_ref().unwrap_or(&asset.id),
            streams: graph.streams[share.streams],
            profile: share.profile,
            permission: share.permission(),
            state: GrantState::of(share).unwrap_or_else(|| unreachable!("an asset's grants are grants")),
            is_suspended: owner.is_suspended || target.is_suspended,
            granted_from,
            starts,
            ends,
            rare: RareFacts::new(share.pauses(), share.shared_label()),
        }
    }
}
