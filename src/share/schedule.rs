//! Moments still to come, sorted (SPEC section 5).

use std::collections::BTreeSet;

use super::entry::ShareNumber;
use crate::time::Millis;

/// Shares by the millisecond of a moment. The finer digits are with the share: who asks compares those.
#[derive(Debug, Default)]
pub(crate) struct Calendar(BTreeSet<(Millis, ShareNumber)>);

/// What is awaited.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    /// `offer_expires` of PENDING shares.
    pub(crate) offers: Calendar,
    /// `starts` of live shares, still to come when they became live.
    pub(crate) starts: Calendar,
    /// `ends` of live shares.
    pub(crate) ends: Calendar,
    /// The end of `late_grace` of EXPIRED shares that are still in the graph as grants.
    pub(crate) graces: Calendar,
}

impl Calendar {
    pub(crate) fn insert(&mut self, at: Millis, share: ShareNumber) {
        self.0.insert((at, share));
    }

    pub(crate) fn remove(&mut self, at: Millis, share: ShareNumber) {
        self.0.remove(&(at, share));
    }

    /// From this millisecond on, in order.
    pub(crate) fn from(&self, at: Millis) -> impl Iterator<Item = (Millis, ShareNumber)> {
        self.0.range((at, ShareNumber(0))..).copied()
    }

    /// Up to this millisecond, in order.
    pub(crate) fn up_to(&self, at: Millis) -> impl Iterator<Item = ShareNumber> {
        self.0.iter().take_while(move |(millis, _)| *millis <= at).map(|(_, share)| *share)
    }
}
