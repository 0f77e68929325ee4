//! What the rules ask of everything around a share.

use crate::id::{Epoch, StreamName};
use crate::share::lifecycle::record::{Share, TenantNumber};
use crate::share::profile_slot::ProfileSlot;
use crate::share::stream_lists::StreamNumber;
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
    /// Whether the acceptance of an invitation that was offered or sent again last at this epoch makes the two partners
    /// (docs/rules/partnerships.md#partnerships-by-invitation).
    fn makes_partners(&self, owner: TenantNumber, target: Option<TenantNumber>, invited_at: Epoch) -> bool;
    /// The configured stream of this name.
    fn stream(&self, name: &str) -> Option<StreamNumber>;
    /// The name of a stream, configured or no longer.
    fn stream_name(&self, stream: StreamNumber) -> &StreamName;
    /// The streams that a share names.
    fn streams_of(&self, share: &Share) -> &[StreamNumber];
    /// The owner's profile of this name, if it is published and not retired.
    fn profile(&self, owner: Option<TenantNumber>, name: &str) -> Option<ProfileSlot>;
    /// Whether a profile that a share names is published and not retired.
    fn is_published(&self, slot: ProfileSlot) -> bool;
    /// Whether a profile has a section for a stream.
    fn has_section(&self, slot: ProfileSlot, stream: StreamNumber) -> bool;
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
    pub(crate) streams: &'a [StreamNumber],
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
