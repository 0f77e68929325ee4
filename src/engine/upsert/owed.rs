//! What failed routes did not take of upsert streams: shares to be looked at again.

use std::collections::BTreeSet;

use rustc_hash::{FxHashMap, FxHashSet};

use super::changes::Work;
use crate::engine::routes::{RouteIndex, Routes};
use crate::id::{ShareId, StreamIndex, TenantId};

/// By route, and what the transaction under way adds.
#[derive(Debug, Default)]
pub(super) struct OwedShares {
    routes: FxHashMap<RouteIndex, FxHashMap<ShareId, Work>>,
    /// Shares whose document is a dead letter for a failed route already.
    letters: FxHashSet<ShareId>,
    diverted: Vec<(RouteIndex, Work)>,
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

    /// The transaction does not write this.
    pub(super) fn divert(&mut self, route: RouteIndex, work: Work) {
        self.diverted.push((route, work));
    }

    /// The transaction was committed.
    pub(super) fn commit(&mut self) {
        for (route, work) in self.diverted.drain(..) {
            self.letters.insert(work.share.clone());
            self.routes.entry(route).or_default().insert(work.share.clone(), work);
        }
    }

    /// Takes out what routes are owed that are to be tried again.
    pub(super) fn take_due(&mut self, mut is_tried: impl FnMut(RouteIndex) -> bool) -> Vec<Work> {
        let tried = self.routes.extract_if(|route, _| is_tried(*route));
        tried.flat_map(|(_, works)| works.into_values()).collect()
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
        let owed = self.routes.keys().chain(self.diverted.iter().map(|(route, _)| route));
        owed.map(|route| routes.get(*route)).filter(|route| route.stream == stream).map(|route| route.tenant.clone()).collect()
    }

    /// Nothing is owed: all partitions are read again.
    pub(super) fn clear(&mut self) {
        self.routes.clear();
        self.diverted.clear();
    }
}
