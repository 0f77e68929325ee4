//! Shares that get nothing more in a job, because the live graph has withheld a record of theirs once
//! (docs/backfill.md#pinned-and-live).
//!
//! They are noted in the job's entry with the first transaction that withholds. Entries are written one after the other, each with all
//! shares known by then, so that none overwrites another's.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, RwLock};

use rustc_hash::FxHashSet;

use crate::backfill::result::StoppedShare;
use crate::id::ShareId;

/// The stopped shares of one job.
#[derive(Debug, Default)]
pub struct Stops {
    is_any: AtomicBool,
    shares: RwLock<FxHashSet<ShareId>>,
    list: Mutex<StopList>,
}

#[derive(Debug, Default)]
struct StopList {
    /// In the order they were found.
    stopped: Vec<StoppedShare>,
    /// So many of them are in the entry.
    noted: usize,
}

/// The right to write the job's entry; the next one waits until it is known whether it was written.
pub struct Noting<'s> {
    list: MutexGuard<'s, StopList>,
}

impl Stops {
    /// With those of an entry that was read.
    pub fn of(stopped: Vec<StoppedShare>) -> Self {
        let shares: FxHashSet<ShareId> = stopped.iter().map(|stopped| stopped.share.clone()).collect();
        let noted = stopped.len();
        Self { is_any: AtomicBool::new(noted > 0), shares: RwLock::new(shares), list: Mutex::new(StopList { stopped, noted }) }
    }

    /// Knows those of an entry that was read later, too.
    pub fn take_noted(&self, noted: Vec<StoppedShare>) {
        let mut list = self.list.lock().expect("the list is never left half changed");
        for stopped in noted {
            if self.shares.write().expect("only inserted into").insert(stopped.share.clone()) {
                let at = list.noted;
                list.stopped.insert(at, stopped);
                list.noted += 1;
                self.is_any.store(true, Ordering::Release);
            }
        }
    }

    /// Whether the share gets nothing more.
    pub fn contains(&self, share: &ShareId) -> bool {
        self.is_any.load(Ordering::Acquire) && self.shares.read().expect("only inserted into").contains(share)
    }

    /// Notes these; none where the entry has all there are.
    pub fn note(&self, found: &[StoppedShare]) -> Option<Noting<'_>> {
        let mut list = self.list.lock().expect("the list is never left half changed");
        for stopped in found {
            if self.shares.write().expect("only inserted into").insert(stopped.share.clone()) {
                list.stopped.push(stopped.clone());
                self.is_any.store(true, Ordering::Release);
            }
        }
        (list.noted < list.stopped.len()).then_some(Noting { list })
    }

    /// All of them.
    pub fn list(&self) -> Vec<StoppedShare> {
        self.list.lock().expect("the list is never left half changed").stopped.clone()
    }
}

impl Noting<'_> {
    /// What the entry is to have.
    pub fn stopped(&self) -> &[StoppedShare] {
        &self.list.stopped
    }

    /// It was written and is committed.
    pub fn is_committed(mut self) {
        self.list.noted = self.list.stopped.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backfill::live::LiveRefusal;
    use crate::id::Offset;

    fn stopped(share: &str) -> StoppedShare {
        StoppedShare { share: ShareId::parse(share).unwrap(), reason: LiveRefusal::Gone, partition: 0, offset: Offset(7) }
    }

    #[test]
    fn what_another_process_noted_meanwhile_is_kept() {
        let stops = Stops::of(vec![stopped("a")]);
        stops.take_noted(vec![stopped("a"), stopped("b")]);
        assert!(stops.contains(&ShareId::parse("b").unwrap()) && stops.note(&[]).is_none());
        assert_eq!(stops.note(&[stopped("c")]).unwrap().stopped(), [stopped("a"), stopped("b"), stopped("c")]);
    }

    #[test]
    fn what_was_not_committed_is_noted_by_the_next_transaction() {
        let stops = Stops::of(vec![stopped("a")]);
        assert!(stops.note(&[]).is_none() && stops.contains(&ShareId::parse("a").unwrap()));
        let noting = stops.note(&[stopped("b"), stopped("a")]).unwrap();
        assert_eq!(noting.stopped(), [stopped("a"), stopped("b")]);
        drop(noting);
        let noting = stops.note(&[stopped("c")]).unwrap();
        assert_eq!(noting.stopped(), [stopped("a"), stopped("b"), stopped("c")]);
        noting.is_committed();
        assert!(stops.note(&[stopped("c")]).is_none());
        assert!(stops.contains(&ShareId::parse("c").unwrap()) && !stops.contains(&ShareId::parse("d").unwrap()));
    }
}
