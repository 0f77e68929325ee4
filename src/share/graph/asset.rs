//! One asset: which shares of it may release something, and how many others there are.

use std::sync::Arc;

use crate::id::{AssetId, StreamIndex, StreamSet};
use crate::share::graph::InactiveCounts;
use crate::share::lifecycle::record::{NOTHING, TenantNumber};

/// So many grants lie with the asset.
const FEW: usize = 5;

/// An asset in the owner's words, and its shares.
#[derive(Debug, Clone)]
pub(crate) struct Asset {
    pub(crate) id: AssetId,
    pub(crate) owner: TenantNumber,
    /// The numbers of its grants by share id, up to the first `NOTHING`; none if there are more.
    few: [u32; FEW],
    more: Option<Arc<More>>,
}

/// What assets of few shares do not have.
#[derive(Debug, Clone, Default)]
struct More {
    /// All grants by share id, if they are more than `FEW`.
    grants: Vec<u32>,
    /// By stream.
    quiet: Vec<InactiveCounts>,
}

// Fifty million shares may be of ten million of these.
const _: () = assert!(size_of::<Asset>() <= 56);

/// What fills a place that holds no asset yet.
impl Default for Asset {
    fn default() -> Self {
        Self::new(AssetId::VACANT, TenantNumber(NOTHING))
    }
}

impl Asset {
    pub(crate) fn new(id: AssetId, owner: TenantNumber) -> Self {
        Self { id, owner, few: [NOTHING; FEW], more: None }
    }

    /// The shares that may release something, by share id.
    pub(crate) fn grants(&self) -> &[u32] {
        match &self.more {
            Some(more) if !more.grants.is_empty() => &more.grants,
            _ => &self.few[..self.few.iter().position(|number| *number == NOTHING).unwrap_or(FEW)],
        }
    }

    /// Shares that release nothing any more, or not yet.
    pub(crate) fn quiet(&self) -> &[InactiveCounts] {
        self.more.as_deref().map_or(&[], |more| &more.quiet)
    }

    /// Takes these in instead of the grants that are there; they are sorted by share id.
    pub(crate) fn set_grants(&mut self, grants: &[u32]) {
        self.few = [NOTHING; FEW];
        if grants.len() <= FEW {
            self.few[..grants.len()].copy_from_slice(grants);
            if let Some(more) = self.more.as_mut().filter(|more| !more.grants.is_empty()) {
                Arc::make_mut(more).grants = Vec::new();
            }
        } else {
            Arc::make_mut(self.more.get_or_insert_default()).grants = grants.to_vec();
        }
        self.forget_nothing();
    }

    /// Adds a grant behind those that `is_before` takes.
    pub(crate) fn add(&mut self, number: u32, is_before: impl Fn(u32) -> bool) {
        let known = self.grants();
        let at = known.partition_point(|other| is_before(*other));
        let count = known.len();
        if count < FEW {
            self.few.copy_within(at..count, at + 1);
            self.few[at] = number;
        } else {
            let few = std::mem::replace(&mut self.few, [NOTHING; FEW]);
            let more = Arc::make_mut(self.more.get_or_insert_default());
            if more.grants.is_empty() {
                more.grants = few.to_vec();
            }
            more.grants.insert(at, number);
        }
    }

    /// Takes a grant out.
    pub(crate) fn remove(&mut self, number: u32) {
        let rest: smallvec::SmallVec<[u32; 16]> = self.grants().iter().copied().filter(|other| *other != number).collect();
        self.set_grants(&rest);
    }

    /// Counts a share that names these streams in or out.
    pub(crate) fn count(&mut self, streams: StreamSet, what: Inactive, is_in: bool) {
        let more = Arc::make_mut(self.more.get_or_insert_default());
        let mut rest = streams.0;
        while rest != 0 {
            let stream = StreamIndex(rest.trailing_zeros() as u8);
            rest &= rest - 1;
            let quiet = quiet_of(&mut more.quiet, stream);
            let count = match what {
                Inactive::Pending => &mut quiet.pending,
                Inactive::Ended => &mut quiet.ended,
            };
            *count = if is_in { *count + 1 } else { count.saturating_sub(1) };
        }
        more.quiet.retain(|q| q.pending != 0 || q.ended != 0);
        self.forget_nothing();
    }

    /// What has become empty takes no memory.
    fn forget_nothing(&mut self) {
        if self.more.as_ref().is_some_and(|more| more.grants.is_empty() && more.quiet.is_empty()) {
            self.more = None;
        }
    }
}

fn quiet_of(quiet: &mut Vec<InactiveCounts>, stream: StreamIndex) -> &mut InactiveCounts {
    let at = quiet.binary_search_by_key(&stream, |q| q.stream).unwrap_or_else(|at| {
        quiet.reserve_exact(1);
        quiet.insert(at, InactiveCounts { stream, pending: 0, ended: 0 });
        at
    });
    &mut quiet[at]
}

/// Why a share releases nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inactive {
    /// Its offer is open.
    Pending,
    /// It is over, or never began.
    Ended,
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn holds_few_and_many(steps in prop::collection::vec((0u32..12, 0u8..5), 1..80)) {
            let mut asset = Asset::default();
            let (mut grants, mut quiet) = (BTreeSet::new(), BTreeMap::<u8, u32>::new());
            for (number, what) in steps {
                match what {
                    0 | 1 if grants.insert(number) => asset.add(number, |other| other < number),
                    2 => { grants.remove(&number); asset.remove(number); }
                    3 => { *quiet.entry(number as u8).or_default() += 1; asset.count(StreamSet(1 << number), Inactive::Ended, true); }
                    4 if quiet.get(&(number as u8)).is_some_and(|count| *count > 0) => {
                        *quiet.entry(number as u8).or_default() -= 1;
                        asset.count(StreamSet(1 << number), Inactive::Ended, false);
                    }
                    _ => {}
                }
                prop_assert!(asset.grants().iter().eq(&grants));
                let counts = asset.quiet().iter().map(|q| (q.stream.0, q.ended));
                prop_assert!(counts.eq(quiet.iter().filter(|(_, count)| **count > 0).map(|(stream, count)| (*stream, *count))));
                prop_assert_eq!(asset.more.is_none(), grants.len() <= FEW && quiet.values().all(|count| *count == 0));
                let mut other = Asset::default();
                other.set_grants(asset.grants());
                prop_assert_eq!(other.grants(), asset.grants());
            }
        }
    }
}
