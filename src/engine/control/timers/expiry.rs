//! Which `expired` events were written and what became of them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::BootTime;
use crate::id::{Offset, ShareId};
use crate::share::state::ExpiryCause;
use crate::share::table::query::Due;

/// An event of unknown outcome is written again, under the same id, after this long.
const REPEAT_AFTER: Duration = Duration::from_secs(5);
/// An event that was folded and had no effect is followed by the next attempt after this long, doubled each time.
const NEXT_AFTER: Duration = Duration::from_secs(1);
/// And never later than this.
const NEXT_AFTER_AT_MOST: Duration = Duration::from_secs(64);

/// The shares whose end was written. Pure.
#[derive(Debug, Default)]
pub(super) struct ExpiryBook {
    sent: HashMap<(ShareId, ExpiryCause), SentExpiry>,
}

/// One share's newest attempt.
#[derive(Debug)]
struct SentExpiry {
    /// The share's revision when the attempt was first written.
    revision: u32,
    attempt: u32,
    id: String,
    at: BootTime,
    /// Where it lies in the log, if that is known. While it is not it may be there, or come there later.
    offset: Option<Offset>,
}

impl ExpiryBook {
    /// Takes the list of all shares that are due. One that is no longer due is forgotten.
    pub(super) fn retain(&mut self, due: &[Due]) {
        let due: HashSet<_> = due.iter().map(|share| (&share.share, share.cause)).collect();
        self.sent.retain(|(share, cause), _| due.contains(&(share, *cause)));
    }

    /// The id of the event to write now for a share that is due by everything folded before `position`, if there is one to write.
    ///
    /// Another id than the one before is never used while the outcome of that one is open: a repeat of an id is nothing, but a second
    /// event for one end is rejected, and the rejection is a document.
    pub(super) fn due_id(&mut self, share: &Due, position: Offset, now: BootTime) -> Option<String> {
        let key = (share.share.clone(), share.cause);
        let Some(sent) = self.sent.get_mut(&key) else {
            let id = expired_id(share, 0);
            self.sent.insert(key, SentExpiry { revision: share.revision, attempt: 0, id: id.clone(), at: now, offset: None });
            return Some(id);
        };
        match sent.offset {
            None if now.since(sent.at) < REPEAT_AFTER => return None,
            None => {}
            // On its way to the fold.
            Some(offset) if offset >= position => return None,
            // It was rejected, now or when another writer wrote it.
            Some(_) if now.since(sent.at) < next_after(sent.attempt) => return None,
            Some(_) => {
                let attempt = if sent.revision == share.revision { sent.attempt + 1 } else { 0 };
                *sent = SentExpiry { revision: share.revision, attempt, id: expired_id(share, attempt), at: now, offset: None };
            }
        }
        sent.at = now;
        Some(sent.id.clone())
    }

    /// The newest event written for the share lies at `offset`.
    pub(super) fn written(&mut self, share: &Due, offset: Offset) {
        if let Some(sent) = self.sent.get_mut(&(share.share.clone(), share.cause)) {
            sent.offset = Some(offset);
        }
    }
}

fn next_after(attempt: u32) -> Duration {
    NEXT_AFTER.saturating_mul(1 << attempt.min(6)).min(NEXT_AFTER_AT_MOST)
}

/// `exp-` and a hash of share, cause, revision and attempt: every writer gives one expiry the same id.
fn expired_id(share: &Due, attempt: u32) -> String {
    let text = format!("{}\0{}\0{}\0{attempt}", share.share, share.cause.word(), share.revision);
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("exp-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(revision: u32) -> Due {
        Due { share: ShareId::parse("s1").unwrap(), cause: ExpiryCause::Access, revision }
    }

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    #[test]
    fn an_id_is_what_it_was() {
        assert_eq!(expired_id(&due(2), 0), "exp-68c8bf698325df1e79476af527886962");
    }

    #[test]
    fn an_event_whose_outcome_is_unknown_is_repeated_under_its_id() {
        let mut book = ExpiryBook::default();
        let first = book.due_id(&due(2), Offset(10), at(0)).unwrap();
        assert_eq!(book.due_id(&due(2), Offset(10), at(4)), None, "it may still be acknowledged");
        assert_eq!(book.due_id(&due(2), Offset(90), at(6)), Some(first.clone()), "a lost one cannot count twice");
        // Paused meanwhile: the first may be in the log, or come there still.
        assert_eq!(book.due_id(&due(3), Offset(91), at(12)), Some(first.clone()));
        book.written(&due(3), Offset(92));
        assert_eq!(book.due_id(&due(3), Offset(92), at(60)), None, "it is in the log and not folded");
        book.retain(&[]);
        let second = book.due_id(&due(7), Offset(100), at(61)).unwrap();
        assert_ne!(first, second, "another end of the same share");
    }

    #[test]
    fn only_an_event_that_was_folded_without_effect_is_followed_by_the_next_attempt() {
        let mut book = ExpiryBook::default();
        let first = book.due_id(&due(2), Offset(10), at(0)).unwrap();
        book.written(&due(2), Offset(10));
        assert_eq!(book.due_id(&due(2), Offset(10), at(50)), None, "a list from before it was folded");
        let second = book.due_id(&due(2), Offset(11), at(51)).unwrap();
        assert_ne!(first, second);
        book.written(&due(2), Offset(11));
        assert_eq!(book.due_id(&due(2), Offset(12), at(52)), None, "not without a pause");
        let third = book.due_id(&due(2), Offset(12), at(54)).unwrap();
        assert!(third != second && third != first);
        assert_eq!(ExpiryBook::default().due_id(&due(2), Offset(9), at(5)), Some(first), "every writer gives one expiry the same id");
    }
}
