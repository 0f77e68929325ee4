//! When a target's key may pass from one share to another whose asset lies in another partition: once every partition of the
//! stream has taken back what had ended. How far each has come is stored beside its committed offset.

use std::collections::BTreeSet;

use crate::id::{Epoch, TenantId};
use crate::sink_state::note::Reconciled;

/// How far all partitions of one stream have come together.
#[derive(Debug)]
pub struct Reached {
    /// The least epoch of all partitions' notes. It only rises.
    epoch: Epoch,
    /// Targets that a note leaves out.
    owed: BTreeSet<TenantId>,
}

impl Reached {
    /// Nothing is known of any partition.
    pub const NOTHING: Self = Self { epoch: Epoch(i64::MIN), owed: BTreeSet::new() };

    /// What the notes of all partitions say; none is a partition without a note of ours.
    pub fn note(&mut self, notes: impl IntoIterator<Item = Option<Reconciled>>) {
        let mut least = Epoch(i64::MAX);
        self.owed.clear();
        for note in notes {
            let note = note.unwrap_or(Reconciled::NOTHING);
            least = least.min(note.epoch);
            self.owed.extend(note.owed);
        }
        self.epoch = self.epoch.max(least);
    }

    /// Whether no share that ended up to this epoch has a document left in this target's topic.
    pub fn passes(&self, target: &TenantId, needs: Epoch) -> bool {
        self.has_come_to(needs) && !self.owed.contains(target)
    }

    /// Whether every partition has come that far, and leaves no target out.
    pub fn is_everything(&self, wanted: Epoch) -> bool {
        self.has_come_to(wanted) && self.owed.is_empty()
    }

    fn has_come_to(&self, epoch: Epoch) -> bool {
        self.epoch >= epoch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;

    #[test]
    fn a_key_passes_when_the_last_partition_has_come_that_far() {
        let mut reached = Reached::NOTHING;
        let (acme, zenith) = (TenantId::parse("acme").unwrap(), TenantId::parse("zenith").unwrap());
        let note = |epoch, owed: &[&TenantId]| {
            Some(Reconciled { epoch: Epoch(epoch), time: TimestampMs(0), owed: owed.iter().map(|t| (*t).clone()).collect() })
        };
        assert!(!reached.passes(&acme, Epoch(5)));
        reached.note([note(9, &[]), None]);
        assert!(!reached.passes(&acme, Epoch(5)));
        reached.note([note(9, &[]), note(4, &[])]);
        assert!(!reached.passes(&acme, Epoch(5)) && reached.passes(&acme, Epoch(4)));
        reached.note([note(9, &[&acme]), note(6, &[])]);
        assert!(!reached.passes(&acme, Epoch(5)) && reached.passes(&zenith, Epoch(5)) && !reached.is_everything(Epoch(5)));
        reached.note([note(9, &[]), note(6, &[])]);
        assert!(reached.passes(&acme, Epoch(6)) && reached.is_everything(Epoch(6)));
        assert!(!reached.passes(&acme, Epoch(7)));
        reached.note([note(2, &[]), note(3, &[])]);
        assert!(reached.passes(&acme, Epoch(6)), "an answer that came late takes nothing back");
    }
}
