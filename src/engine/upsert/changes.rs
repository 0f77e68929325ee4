//! What the fold tells the workers about upsert streams: which shares an event or a moment touched, and which profiles.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::id::{AssetId, Epoch, ShareId, StreamSet, TenantId};
use crate::share::graph::ProfileSlot;
use crate::share::table::Touched;
use crate::time::TimestampMs;

/// So many publishes may wait for a worker. One that is further behind starts its upsert partitions again.
const MOST_WAITING: usize = 10_000;

/// A share that may have to be brought up to date.
#[derive(Debug, Clone)]
pub struct Work {
    /// The share.
    pub share: ShareId,
    /// Its owner.
    pub owner: TenantId,
    /// Its asset.
    pub asset: AssetId,
    /// Control time of the event, or the moment itself: the time of a tombstone that follows.
    pub cause: TimestampMs,
    /// The streams that the share showed after it: a tombstone of one of these is due to something else.
    pub shown: StreamSet,
}

impl Work {
    /// Of what the table answers.
    pub fn of(touched: Touched, cause: TimestampMs, shown: StreamSet) -> Self {
        let Touched { share, owner, asset } = touched;
        Self { share, owner, asset, cause, shown }
    }
}

/// A profile that is not what it was: all its shares are touched.
#[derive(Debug, Clone, Copy)]
pub struct ProfileChange {
    /// The profile.
    pub profile: ProfileSlot,
    /// Control time of the event.
    pub cause: TimestampMs,
    /// The streams that it has a section for now.
    pub shown: StreamSet,
}

/// What one publish changed.
#[derive(Debug, Clone)]
pub struct Changes {
    /// Shares, in the order of the events.
    pub touched: Vec<Work>,
    /// Profiles that are not what they were.
    pub profiles: Vec<ProfileChange>,
    /// Decisions are made at this time or later: moments up to it are among the touched.
    pub now: Option<TimestampMs>,
    /// With this, everything up to this epoch has been told.
    pub through: Epoch,
}

impl Default for Changes {
    fn default() -> Self {
        Self { touched: Vec::new(), profiles: Vec::new(), now: None, through: Epoch::NONE }
    }
}

impl Changes {
    /// Whether nobody has to be told.
    pub fn is_empty(&self) -> bool {
        self.touched.is_empty() && self.profiles.is_empty() && self.now.is_none()
    }
}

/// Where the fold tells one worker.
#[derive(Debug, Clone)]
pub struct ChangeSender {
    changes: SyncSender<Arc<Changes>>,
    is_missed: Arc<AtomicBool>,
}

/// Where a worker hears it.
#[derive(Debug)]
pub struct ChangeReceiver {
    changes: Receiver<Arc<Changes>>,
    is_missed: Arc<AtomicBool>,
}

/// The two ends. The fold never waits for a worker, because a fold that waits closes the fence.
pub fn hearing() -> (ChangeSender, ChangeReceiver) {
    let (tell, changes) = sync_channel(MOST_WAITING);
    let is_missed = Arc::<AtomicBool>::default();
    (ChangeSender { changes: tell, is_missed: Arc::clone(&is_missed) }, ChangeReceiver { changes, is_missed })
}

impl ChangeSender {
    /// Tells; what does not fit is missed.
    pub fn tell(&self, changes: &Arc<Changes>) {
        if self.changes.try_send(Arc::clone(changes)).is_err() {
            self.is_missed.store(true, Ordering::Release);
        }
    }
}

impl ChangeReceiver {
    /// What was told since the last call, in order. Whoever loads the view after this call has all of it in the view.
    pub fn next(&self) -> Option<Arc<Changes>> {
        self.changes.try_recv().ok()
    }

    /// Whether something was missed since the last call: what is known of shares is worth nothing then.
    pub fn overflowed(&self) -> bool {
        self.is_missed.swap(false, Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_missed_once() {
        let (teller, hearing) = hearing();
        let changes = Arc::new(Changes { now: Some(TimestampMs(1)), ..Changes::default() });
        (0..MOST_WAITING).for_each(|_| teller.tell(&changes));
        assert!(!hearing.overflowed());
        teller.tell(&changes);
        assert!(hearing.overflowed() && !hearing.overflowed());
        assert_eq!(std::iter::from_fn(|| hearing.next()).count(), MOST_WAITING);
    }
}
