//! What the fold tells others, and what they ask of it.
//!
//! Three hear of it: the status writer, which follows record by record; the timers, which get the shares whose time has come; and the
//! workers with upsert streams, which get what each publish changed. The fold waits for none of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::id::{AssetId, Epoch, Offset, ShareId, StreamSet, TenantId};
use crate::share::graph::ProfileSlot;
use crate::share::status::StatusDocument;
use crate::share::table::Touched;
use crate::share::table::query::Due;
use crate::time::TimestampMs;

/// So many publishes may wait for a worker. One that is further behind starts its upsert partitions again.
const MOST_WAITING: usize = 10_000;

/// What one control record led to, for those who follow the fold.
#[derive(Debug)]
pub struct FoldedRecord {
    /// The record's offset.
    pub offset: Offset,
    /// Status documents to write, in order.
    pub documents: Vec<StatusDocument>,
    /// Invitations that are no longer open: their mail is taken back.
    pub closed: Vec<ShareId>,
    /// The dead letter of a record that was set aside (`control.unreadable: skip`).
    pub dead_letter: Option<OwnedDeadLetter>,
    /// Whether a log without this record could give more than the log with it (docs/rules/exactly-once.md#the-last-change).
    pub is_change: bool,
}

impl FoldedRecord {
    /// About how much memory it holds.
    pub fn bytes(&self) -> usize {
        let documents = self.documents.iter().map(|document| document.key.len() + document.value.len() + size_of::<StatusDocument>());
        let letter = self.dead_letter.iter().filter_map(|letter| letter.value.as_ref()).map(Vec::len);
        size_of::<Self>() + documents.chain(letter).sum::<usize>()
    }
}

/// What a follower of the fold is told, in the order of the log.
#[derive(Debug)]
pub enum Following {
    /// What became of a control record.
    Folded(Arc<FoldedRecord>),
    /// Everything before this position is folded: transaction markers too.
    Position(Offset),
    /// Shares whose time has come by control time though no `expired` event says so yet.
    Due(DueShares),
}

/// What others ask of the control thread.
pub enum ControlCommand {
    /// Tell `follower` everything from `from` on, as far back as it is remembered; answers the offset from which on nothing
    /// will be missing.
    Follow {
        /// Where it wants to go on.
        from: Offset,
        /// Where it is told; cut off rather than waited for.
        follower: SyncSender<Following>,
        /// Where the offset is answered.
        reply: SyncSender<Offset>,
    },
    /// Answer the live shares that use a profile, by share id, behind `after`: a profile may have very many.
    SharesOfProfile {
        /// The profile.
        profile: ProfileSlot,
        /// The last one known.
        after: Option<ShareId>,
        /// How many at most.
        limit: usize,
        /// Where they are answered.
        reply: SyncSender<Vec<Touched>>,
    },
    /// Answer when each of these shares ended, if it is over.
    Ends {
        /// The shares.
        shares: Vec<ShareId>,
        /// Where it is answered, in their order.
        reply: SyncSender<Vec<Option<TimestampMs>>>,
    },
    /// Write a snapshot now.
    Snapshot,
}

/// What the status writer tells the timers.
#[derive(Debug)]
pub struct DueShares {
    /// Shares whose time has come.
    pub due: Vec<Due>,
    /// Whether these are all of them.
    pub is_whole: bool,
    /// By everything before this control offset.
    pub position: Offset,
}

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
