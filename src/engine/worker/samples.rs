//! What `sample` has released of a worker's partitions (docs/rules/profiles.md#sampling): kept while the worker owns the partition, and
//! changed by commits alone.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::decide::SampleCandidate;
use crate::engine::output::route::RouteIndex;
use crate::id::Offset;
use crate::profile::sample::{SampleState, SampledShare};
use crate::share::graph::ShareGraph;
use crate::transport::{InputOffset, SourcePartition};

/// So many shares of a partition are remembered before those are looked for that are gone.
const SWEPT_FROM: usize = 1024;

/// All partitions of which a sample was taken.
#[derive(Debug, Default)]
pub(super) struct WorkerSamples {
    partitions: FxHashMap<SourcePartition, PartitionSamples>,
    /// What the transaction under way releases, and to which route.
    drafted: Vec<(SourcePartition, RouteIndex, SampledShare)>,
    /// The same of the next transaction, which is decided while that one is written.
    ahead: Vec<(SourcePartition, RouteIndex, SampledShare)>,
    /// What is decided now is of the next transaction.
    is_ahead: bool,
}

#[derive(Debug, Default)]
struct PartitionSamples {
    state: SampleState,
    /// Where in the graph each share is found that `state` remembers.
    assets: FxHashMap<SampledShare, u64>,
    /// When so many are remembered, those that are gone are looked for again.
    sweep_at: usize,
    /// The draft is of a transaction with an unknown outcome: it was committed if the partition goes on here or later.
    unsettled: Option<Offset>,
}

impl WorkerSamples {
    /// A transaction begins; what the last one drafted and did not commit is forgotten.
    pub(super) fn begin(&mut self) {
        self.is_ahead = false;
        for (partition, ..) in self.drafted.drain(..).chain(self.ahead.drain(..)) {
            if let Some(part) = self.partitions.get_mut(&partition) {
                part.state.rollback();
            }
        }
    }

    /// The next transaction is decided, while the one under way is written.
    pub(super) fn begin_ahead(&mut self) {
        self.discard_ahead();
        self.is_ahead = true;
    }

    /// What was drafted for the next transaction is forgotten.
    pub(super) fn discard_ahead(&mut self) {
        for (partition, ..) in self.ahead.drain(..) {
            if let Some(part) = self.partitions.get_mut(&partition) {
                part.state.rollback_ahead();
            }
        }
    }

    /// Whether the record passes; then it is drafted as the last one that was released.
    pub(super) fn passes(&mut self, partition: SourcePartition, route: RouteIndex, candidate: SampleCandidate<'_>) -> bool {
        let part = self.partitions.entry(partition).or_default();
        let of = candidate.of();
        let (t, every) = (candidate.t, candidate.every);
        let passes = if self.is_ahead { part.state.passes_ahead(&of, t, every) } else { part.state.passes(&of, t, every) };
        if passes {
            part.assets.entry(of.clone()).or_insert_with(|| ShareGraph::asset_hash(candidate.identity.tenant, candidate.identity.asset));
            if self.is_ahead { &mut self.ahead } else { &mut self.drafted }.push((partition, route, of));
        }
        passes
    }

    /// What was drafted for these routes is not written now. It is decided again when it is, and must pass then as it did here.
    pub(super) fn withhold(&mut self, is_withheld: impl Fn(SourcePartition, RouteIndex) -> bool) {
        let (withheld, kept) = self.drafted.drain(..).partition(|(partition, route, _)| is_withheld(*partition, *route));
        self.drafted = kept;
        let withheld: Vec<_> = withheld;
        let withheld: FxHashSet<(SourcePartition, SampledShare)> = withheld.into_iter().map(|(partition, _, of)| (partition, of)).collect();
        let touched: FxHashSet<SourcePartition> = withheld.iter().map(|(partition, _)| *partition).collect();
        for partition in touched {
            if let Some(part) = self.partitions.get_mut(&partition) {
                part.state.rollback_of(|of| withheld.contains(&(partition, of.clone())));
            }
        }
    }

    /// The transaction was committed, and the next one is under way.
    pub(super) fn commit(&mut self, graph: &ShareGraph) {
        for (partition, ..) in self.drafted.drain(..) {
            if let Some(part) = self.partitions.get_mut(&partition) {
                part.commit(graph);
            }
        }
        for (partition, ..) in &self.ahead {
            if let Some(part) = self.partitions.get_mut(partition) {
                part.state.advance();
            }
        }
        std::mem::swap(&mut self.drafted, &mut self.ahead);
    }

    /// Whether the transaction was committed is not known. A partition tells by where it goes on, if the transaction took records of
    /// it: `position` is where it was before.
    pub(super) fn unsettle(&mut self, offsets: &[InputOffset], position: impl Fn(SourcePartition) -> Option<Offset>) {
        for (partition, ..) in self.drafted.drain(..) {
            let Some(part) = self.partitions.get_mut(&partition) else { continue };
            let next = offsets.iter().find(|noted| noted.partition == partition).map(|noted| noted.next);
            part.unsettled = next.filter(|next| position(partition).is_some_and(|before| *next > before));
            if part.unsettled.is_none() {
                part.state.rollback();
            }
        }
    }

    /// The partition goes on here.
    pub(super) fn settle(&mut self, partition: SourcePartition, from: Offset, graph: &ShareGraph) {
        let Some(part) = self.partitions.get_mut(&partition) else { return };
        match part.unsettled.take() {
            Some(next) if from >= next => part.commit(graph),
            Some(_) => part.state.rollback(),
            None => {}
        }
    }

    /// Partitions were taken back: their next owner begins with nothing.
    pub(super) fn leave(&mut self, partitions: &[SourcePartition]) {
        self.partitions.retain(|partition, _| !partitions.contains(partition));
        self.drafted.retain(|(partition, ..)| !partitions.contains(partition));
        self.ahead.retain(|(partition, ..)| !partitions.contains(partition));
    }
}

impl PartitionSamples {
    fn commit(&mut self, graph: &ShareGraph) {
        self.state.commit();
        if self.state.len() >= self.sweep_at.max(SWEPT_FROM) {
            let Self { state, assets, .. } = self;
            assets.retain(|of, asset| graph.has_grant(*asset, &of.share));
            state.retain(|of| assets.contains_key(of));
            self.sweep_at = 2 * self.state.len();
        }
    }
}

#[cfg(test)]
mod tests;
