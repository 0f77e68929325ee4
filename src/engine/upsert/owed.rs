//! What failed routes did not take of upsert streams: shares to be looked at again.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::engine::feed::Work;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::id::{ShareId, StreamIndex, TenantId};

/// Something that a route did not take.
#[derive(Debug)]
struct Diverted {
    route: RouteIndex,
    work: Work,
    /// Whether it was a tombstone.
    takes_back: bool,
}

/// By route, and what the transaction under way adds.
#[derive(Debug, Default)]
pub(super) struct OwedShares {
    routes: FxHashMap<RouteIndex, FxHashMap<ShareId, Diverted>>,
    /// Shares whose document is a dead letter for a failed route already.
    letters: FxHashSet<ShareId>,
    diverted: Vec<Diverted>,
}

impl OwedShares {
    /// How many routes are owed something.
    pub(super) fn len(&self) -> usize {
        self.routes.len()
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.diverted.clear();
    }

    /// The transaction does not write this; `takes_back` if it is a tombstone.
    pub(super) fn divert(&mut self, route: RouteIndex, work: Work, takes_back: bool) {
        self.diverted.push(Diverted { route, work, takes_back });
    }

    /// The transaction was committed.
    pub(super) fn commit(&mut self) {
        let mut taken_back = FxHashSet::default();
        for diverted in self.diverted.drain(..) {
            let (route, share) = (diverted.route, diverted.work.share.clone());
            self.letters.insert(share.clone());
            let owed = self.routes.entry(route).or_default();
            let is_kept = match owed.get(&share) {
                // The document went by the first; only its tombstone is still to come.
                Some(before) if diverted.takes_back => before.takes_back,
                // The document under another key: the tombstone of the one before goes with it.
                Some(before) => before.takes_back && taken_back.contains(&(route, share.clone())),
                None => false,
            };
            if diverted.takes_back {
                taken_back.insert((route, share.clone()));
            }
            if !is_kept {
                owed.insert(share, diverted);
            }
        }
    }

    /// Takes out what routes are owed that are to be tried again.
    pub(super) fn take_due(&mut self, mut is_tried: impl FnMut(RouteIndex) -> bool) -> Vec<Work> {
        let tried = self.routes.extract_if(|route, _| is_tried(*route));
        tried.flat_map(|(_, owed)| owed.into_values().map(|diverted| diverted.work)).collect()
    }

    /// Whether the share's document is a dead letter already.
    pub(super) fn has_letter(&self, share: &ShareId) -> bool {
        self.letters.contains(share)
    }

    /// A topic is another one now: what it refuses is a dead letter again.
    pub(super) fn forget_letters(&mut self) {
        self.letters.clear();
    }

    /// Targets of the stream that are owed something, by the transaction under way too.
    pub(super) fn targets(&self, stream: StreamIndex, routes: &Routes) -> BTreeSet<TenantId> {
        let owed = self.routes.keys().chain(self.diverted.iter().map(|diverted| &diverted.route));
        owed.map(|route| routes.get(*route)).filter(|route| route.stream == stream).map(|route| route.tenant.clone()).collect()
    }

    /// What routes are owed.
    #[cfg(test)]
    pub(super) fn works(&self) -> impl Iterator<Item = &Work> {
        self.routes.values().flat_map(FxHashMap::values).map(|diverted| &diverted.work)
    }

    /// Nothing is owed: all partitions are read again.
    pub(super) fn clear(&mut self) {
        self.routes.clear();
        self.diverted.clear();
    }
}
