//! A state of all shares as requests read it.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::id::Epoch;
use crate::share::event::invitation_code;
use crate::share::event::invitation_code::CodeHash;
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;
use crate::share::view::by_tenant::SharesByTenant;
use crate::writing::invitation::share_of_code;

/// One immutable state. Nobody reads it but through a `CallerView`, and who tries an event.
#[derive(Debug)]
pub(crate) struct PublishedShares {
    pub(super) table: ShareTable,
    pub(super) by_tenant: SharesByTenant,
}

impl PublishedShares {
    /// The share of the open invitation that this code opens, whoever sent it.
    ///
    /// # Errors
    /// None has it, or several have.
    pub(super) fn share_of_code(&self, typed: &str) -> Result<ShareView<'_>, &'static str> {
        let codes: Vec<CodeHash> = invitation_code::readings(typed).iter().map(|reading| CodeHash::of(reading)).collect();
        share_of_code(self.by_tenant.of_codes(&codes).into_iter().map(|number| self.table.share_at(number)), typed)
    }
}

/// The current state, and news of the next.
#[derive(Debug)]
pub(crate) struct Publication {
    shares: ArcSwap<PublishedShares>,
    epoch: watch::Sender<Epoch>,
}

/// That an epoch was not folded in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the control topic was not folded to epoch {wanted} in time; it is folded to {folded}")]
pub struct NotFolded {
    /// The epoch that was waited for.
    pub wanted: Epoch,
    /// The epoch that is there.
    pub folded: Epoch,
}

impl Publication {
    /// Begins with this state.
    pub(super) fn new(shares: PublishedShares) -> Self {
        let (epoch, _) = watch::channel(shares.table.epoch());
        Self { shares: ArcSwap::from_pointee(shares), epoch }
    }

    /// The newest state.
    pub(super) fn load(&self) -> Arc<PublishedShares> {
        self.shares.load_full()
    }

    /// Replaces the state; the fold alone calls this.
    pub(super) fn publish(&self, shares: PublishedShares) {
        let epoch = shares.table.epoch();
        self.shares.store(Arc::new(shares));
        self.epoch.send_replace(epoch);
    }

    /// Told of each epoch that is published.
    pub(super) fn epochs(&self) -> watch::Receiver<Epoch> {
        self.epoch.subscribe()
    }

    /// Waits until this epoch is published.
    ///
    /// # Errors
    /// It was not in time.
    pub(super) async fn wait_for(&self, wanted: Epoch, patience: std::time::Duration) -> Result<(), NotFolded> {
        let mut epochs = self.epochs();
        let reached = tokio::time::timeout(patience, epochs.wait_for(|epoch| *epoch >= wanted)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(NotFolded { wanted, folded: *self.epoch.borrow() }),
        }
    }
}
