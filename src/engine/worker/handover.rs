//! How partitions change hands: each is held from its assignment to its release, what comes first is held against its place,
//! and one that cannot begin is told of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::BootTime;
use crate::engine::worker::position::PositionCheck;
use crate::engine::worker::settings::{Overdue, WorkerSettings};
use crate::topic::PartitionName;
use crate::transport::SourcePartition;

/// A transaction that somebody left open holds offsets back until its time-out; with this much besides it is over.
pub(crate) const BESIDE_TRANSACTION: Duration = Duration::from_secs(10);

/// What a worker notices of its partitions' way from assignment to records.
#[derive(Debug)]
pub(super) struct Handover {
    positions: PositionCheck,
    /// Those that have been told of.
    overdue: BTreeSet<(String, i32)>,
    /// The same of all workers.
    shown: Overdue,
}

impl Handover {
    /// Holds nothing yet.
    pub(super) fn new(shown: &Overdue) -> Self {
        Self { positions: PositionCheck::default(), overdue: BTreeSet::new(), shown: Arc::clone(shown) }
    }

    /// Where partitions are read on.
    pub(super) fn positions(&mut self) -> &mut PositionCheck {
        &mut self.positions
    }

    /// Tells of partitions that have been held for too long, and of those that are not any more. Returns how many are held.
    pub(super) fn tell_of_held(&mut self, settings: &WorkerSettings, now: BootTime) -> usize {
        let held: Vec<(SourcePartition, BootTime)> = self.positions.held().collect();
        if held.is_empty() && self.overdue.is_empty() {
            return 0;
        }
        let is_overdue = |since: BootTime| now.since(since) > settings.held_for;
        let named = |partition: SourcePartition| (settings.topic_of(partition).to_owned(), partition.partition);
        let overdue: BTreeSet<(String, i32)> = held.iter().filter(|(_, since)| is_overdue(*since)).map(|(p, _)| named(*p)).collect();
        for (topic, partition) in overdue.difference(&self.overdue) {
            warn!(
                partition = %PartitionName(topic, *partition),
                held_for_s = settings.held_for.as_secs(),
                "this partition is held and cannot begin: its committed offset is pending in an open transaction, or cannot be read"
            );
        }
        for (topic, partition) in self.overdue.difference(&overdue) {
            info!(partition = %PartitionName(topic, *partition), "this partition is not held any more");
        }
        if overdue != self.overdue {
            self.show(overdue);
        }
        held.len()
    }

    /// Replaces what this worker shows.
    fn show(&mut self, overdue: BTreeSet<(String, i32)>) {
        let mut shown = self.shown.lock().expect("only copied");
        shown.retain(|partition| !self.overdue.contains(partition));
        shown.extend(overdue.iter().cloned());
        self.overdue = overdue;
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        self.show(BTreeSet::new());
    }
}
