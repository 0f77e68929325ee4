//! What the rules ask of everything around a share.

use crate::id::{StreamIndex, StreamSet};
use crate::share::graph::ProfileSlot;
use crate::share::lifecycle::record::{Share, TenantNumber};
use crate::time::TimestampMs;

/// Who acts, as the table knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor<'a> {
    Operator,
    Engine,
    /// A tenant: its id, and its number if anything is known of it.
    Tenant(&'a str, Option<TenantNumber>),
}

/// What the rules ask of everything around a share. `None` as a tenant is one of which nothing is known.
pub(crate) trait RuleContext {
    /// The tenant of this id.
    fn tenant(&self, id: &str) -> Option<TenantNumber>;
    /// Whether it is suspended now.
    fn is_suspended(&self, tenant: Option<TenantNumber>) -> bool;
    /// What lies between the two.
    fn bond(&self, owner: Option<TenantNumber>, target: Option<TenantNumber>) -> Bond;
    /// The configured stream of this name.
    fn stream(&self, name: &str) -> Option<StreamIndex>;
    /// The set of the streams that a share names.
    fn streams_of(&self, share: &Share) -> StreamSet;
    /// The list of the streams that a share names.
    fn stream_order_of(&self, share: &Share) -> &[StreamIndex];
    /// The owner's profile of this name and the streams it has sections for, if it is published and not retired.
    fn profile(&self, owner: Option<TenantNumber>, name: &str) -> Option<(ProfileSlot, StreamSet)>;
    /// The same of a profile that a share names.
    fn sections(&self, slot: ProfileSlot) -> Option<StreamSet>;
    /// The target's id of a share's asset.
    fn target_asset_of<'a>(&'a self, share: &'a Share) -> &'a str;
    /// Whether another live share feeds one of the streams of this place (docs/rules/shares.md#one-share-a-place).
    fn is_taken(&self, place: TargetSlot<'_>, except: Option<&Share>, now: TimestampMs) -> bool;
}

/// Where a share's records go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TargetSlot<'a> {
    pub(crate) target: Option<TenantNumber>,
    pub(crate) asset: &'a str,
    pub(crate) streams: StreamSet,
}

/// What lies between two tenants (docs/rules/partnerships.md#who-may-share-with-whom).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bond {
    /// One may share with the other.
    pub(crate) may_share: bool,
    /// Offers are accepted in the same event.
    pub(crate) is_automatic: bool,
}

/// A target that the table may not have met yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Party<'a> {
    pub(crate) id: &'a str,
    pub(crate) number: Option<TenantNumber>,
}
