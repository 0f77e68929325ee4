//! Which shares changed last, so that whoever follows them looks at few.

use crate::id::Epoch;
use crate::share::lifecycle::record::ShareNumber;
use crate::share::sorted_set::SortedSet;

/// So many changes are remembered. Few in tests, so that some are forgotten.
const KEPT: usize = if cfg!(test) { 8 } else { 65_536 };

/// The last changes, whosever shares they are of. A clone costs one reference count.
#[derive(Debug, Clone)]
pub(crate) struct ChangedShares {
    /// By the epoch of the change; a share may have several.
    changes: SortedSet<(Epoch, ShareNumber)>,
    /// All that changed after it are there.
    after: Epoch,
}

impl Default for ChangedShares {
    fn default() -> Self {
        Self::after(Epoch::NONE)
    }
}

impl ChangedShares {
    /// Of what changes after this epoch.
    pub(super) fn after(epoch: Epoch) -> Self {
        Self { changes: SortedSet::default(), after: epoch }
    }

    pub(super) fn note(&mut self, epoch: Epoch, share: ShareNumber) {
        if epoch > self.after {
            self.changes.insert((epoch, share));
        }
        while self.changes.len() > KEPT {
            let oldest = self.changes.iter().next();
            let Some(oldest) = oldest else { return };
            self.changes.remove(oldest);
            self.after = oldest.0;
        }
    }

    /// Those that changed after an epoch, each at least once; none where some of them are forgotten.
    pub(crate) fn since(&self, epoch: Epoch) -> Option<impl Iterator<Item = ShareNumber>> {
        let after = move |(at, _): &(Epoch, ShareNumber)| *at <= epoch;
        (epoch >= self.after).then(|| self.changes.after(after).map(|(_, share)| share))
    }
}
