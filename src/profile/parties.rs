//! Between whom a record passes, and by which share.

use crate::id::Epoch;

/// Between whom a record passes, and under which id.
#[derive(Debug, Clone, Copy)]
pub struct Parties<'a> {
    /// The owner's tenant id.
    pub owner: &'a str,
    /// The target's tenant id.
    pub target: &'a str,
    /// The asset's id in the target's words.
    pub target_asset: &'a str,
}

/// What `_share` says (docs/rules/outputs.md#provenance).
#[derive(Debug, Clone, Copy)]
pub struct Provenance<'a> {
    /// The share.
    pub share: &'a str,
    /// Its revision.
    pub revision: u32,
    /// The epoch of the graph that decided.
    pub epoch: Epoch,
    /// What the target may do, where that is shown (`provenance_permission`): a word without anything to escape.
    pub permission: Option<&'a str>,
    /// The backfill that releases it; none in live flow. A name without anything to escape.
    pub backfill: Option<&'a str>,
}
