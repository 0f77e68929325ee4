//! Moments still to come, sorted (docs/rules/events.md#moments-to-come).

use crate::share::lifecycle::record::ShareNumber;
use crate::share::sorted_set::SortedSet;
use crate::time::TimestampMs;

/// Shares by the millisecond of a moment. The finer digits are with the share: who asks compares those.
#[derive(Debug, Default)]
pub(crate) struct Calendar(SortedSet<Awaited>);

/// 12 bytes: millions of these wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(Rust, packed(4))]
pub(crate) struct Awaited {
    pub(crate) at: TimestampMs,
    pub(crate) share: ShareNumber,
}

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
    /// All these.
    pub(crate) fn of(mut awaited: Vec<Awaited>) -> Self {
        awaited.sort_unstable();
        Self(SortedSet::of_sorted(&awaited))
    }

    pub(crate) fn insert(&mut self, at: TimestampMs, share: ShareNumber) {
        self.0.insert(Awaited { at, share });
    }

    pub(crate) fn remove(&mut self, at: TimestampMs, share: ShareNumber) {
        self.0.remove(Awaited { at, share });
    }

    /// From this millisecond on, in order.
    pub(crate) fn from(&self, at: TimestampMs) -> impl Iterator<Item = (TimestampMs, ShareNumber)> {
        self.0.from(Awaited { at, share: ShareNumber(0) }).map(|awaited| (awaited.at, awaited.share))
    }

    /// Up to this millisecond, in order.
    pub(crate) fn up_to(&self, at: TimestampMs) -> impl Iterator<Item = ShareNumber> {
        self.0.iter().take_while(move |awaited| { awaited.at } <= at).map(|awaited| awaited.share)
    }
}
