//! Control records that could not be understood, told once it is known whether somebody has skipped them: a start reads a long
//! log, and what was skipped long ago is no error.

use std::collections::BTreeMap;

use tracing::{error, info};

use crate::id::Offset;

/// What could not be understood and was not skipped so far as the log was read.
#[derive(Debug, Default)]
pub(super) struct Unread(BTreeMap<Offset, Unskipped>);

#[derive(Debug)]
struct Unskipped {
    why: String,
    is_told: bool,
}

/// What is to be told of one offset.
#[derive(Debug, PartialEq, Eq)]
enum ToldOnce {
    Skipped { offset: Offset, at: Offset },
    Waits { offset: Offset, why: String },
}

impl Unread {
    /// A record could not be understood.
    pub(super) fn note(&mut self, offset: Offset, why: String) {
        self.0.insert(offset, Unskipped { why, is_told: false });
    }

    /// The event at `at` was folded, and these offsets wait now.
    pub(super) fn folded(&mut self, at: Offset, waiting: &[Offset]) {
        self.take_skipped(at, waiting).iter().for_each(ToldOnce::say);
    }

    /// The log was read to its end: what waits still is an error.
    pub(super) fn caught_up(&mut self) {
        self.take_waiting().iter().for_each(ToldOnce::say);
    }

    fn take_skipped(&mut self, at: Offset, waiting: &[Offset]) -> Vec<ToldOnce> {
        let mut told = Vec::new();
        self.0.retain(|offset, _| {
            let waits = waiting.contains(offset);
            if !waits {
                told.push(ToldOnce::Skipped { offset: *offset, at });
            }
            waits
        });
        told
    }

    fn take_waiting(&mut self) -> Vec<ToldOnce> {
        let untold = self.0.iter_mut().filter(|(_, unskipped)| !unskipped.is_told);
        untold
            .map(|(offset, unskipped)| {
                unskipped.is_told = true;
                ToldOnce::Waits { offset: *offset, why: unskipped.why.clone() }
            })
            .collect()
    }
}

impl ToldOnce {
    fn say(&self) {
        match self {
            Self::Skipped { offset, at } => {
                info!(offset = offset.0, skipped_at = at.0, "control record could not be understood; skipped at {at}");
            }
            Self::Waits { offset, why } => error!(
                offset = offset.0,
                why, "control record cannot be understood: it may be a revoke, so the fence closes until `sharecast control skip {offset}`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_skipped_before_the_end_is_no_error() {
        let mut unread = Unread::default();
        unread.note(Offset(3), "old".to_owned());
        unread.note(Offset(5), "new".to_owned());
        assert_eq!(unread.take_skipped(Offset(9), &[Offset(5)]), [ToldOnce::Skipped { offset: Offset(3), at: Offset(9) }]);
        assert_eq!(unread.take_waiting(), [ToldOnce::Waits { offset: Offset(5), why: "new".to_owned() }]);
        assert_eq!(unread.take_waiting(), []);
        assert_eq!(unread.take_skipped(Offset(11), &[]), [ToldOnce::Skipped { offset: Offset(5), at: Offset(11) }]);
    }
}
