//! When this process writes a tick: as the status writer every few seconds, and else where nobody does.

use std::time::Duration;

use crate::clock::BootTime;

/// The status writer writes a tick this often.
pub const TICK_EVERY: Duration = Duration::from_secs(5);

/// The pace of one process's ticks. Pure.
#[derive(Debug)]
pub(super) struct TickPace {
    /// No tick folded for this long is one too few.
    silence: Duration,
    began: BootTime,
    /// Nothing is written before this, so that a log that takes no writes is not stormed.
    next: BootTime,
    /// The first tick is written by everybody: it shows that the log takes writes before anybody is elected.
    has_written: bool,
}

impl TickPace {
    /// From `now` on. Where ticks are missing the instances do not all write at once: each waits a little longer by its name.
    pub(super) fn new(max_tick_age: Duration, instance: &str, now: BootTime) -> Self {
        let third = max_tick_age / 3;
        let part = instance.bytes().fold(0_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte))) % 64;
        Self { silence: third + third / 256 * part, began: now, next: now, has_written: false }
    }

    /// Whether a tick is to be written now. `folded_at` is when this process folded the newest one, whoever had written it.
    pub(super) fn is_due(&self, now: BootTime, is_elected: bool, folded_at: Option<BootTime>) -> bool {
        let is_missed = || now.since(folded_at.unwrap_or(self.began)) >= self.silence;
        now >= self.next && (!self.has_written || is_elected || is_missed())
    }

    /// The election was won or lost. Who has won it writes at once.
    pub(super) fn elected(&mut self, now: BootTime) {
        self.next = now;
    }

    /// One was written at `now`, or could not be.
    pub(super) fn wrote(&mut self, now: BootTime, is_elected: bool, is_written: bool) {
        self.has_written |= is_written;
        // One that is written and not folded shows that the fold is stuck: more of them do not help.
        self.next = now.after(if is_written && !is_elected { self.silence } else { TICK_EVERY });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_AGE: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    #[test]
    fn the_status_writer_writes_every_five_seconds() {
        let mut pace = TickPace::new(MAX_AGE, "a", at(0));
        for seconds in [0, 5, 10] {
            assert!(pace.is_due(at(seconds), true, Some(at(seconds))));
            pace.wrote(at(seconds), true, true);
            assert!(!pace.is_due(at(seconds + 4), true, None));
        }
    }

    #[test]
    fn everybody_writes_a_first_one_and_then_only_where_none_is_folded() {
        let mut pace = TickPace::new(MAX_AGE, "a", at(0));
        assert!(pace.is_due(at(0), false, None));
        pace.wrote(at(0), false, false);
        assert!(!pace.is_due(at(4), false, None));
        assert!(pace.is_due(at(5), false, None), "the first one is owed until it is written");
        pace.wrote(at(5), false, true);
        for seconds in 5..200 {
            assert!(!pace.is_due(at(seconds), false, Some(at(seconds.saturating_sub(15)))), "another one writes");
        }
        assert!(!pace.is_due(at(219), false, Some(at(200))));
        assert!(pace.is_due(at(226), false, Some(at(200))), "a third of the bound, and a little by its name");
    }

    /// The bound is what closes the fence: the engines must come before it, whatever they are called.
    #[test]
    fn every_name_comes_well_before_the_fence_closes() {
        for instance in ["", "a", "engine-7.example.org", "zzzzzzzzzzzzzzzzzzz"] {
            let mut pace = TickPace::new(MAX_AGE, instance, at(0));
            pace.wrote(at(0), false, true);
            assert!(!pace.is_due(at(19), false, Some(at(0))) && pace.is_due(at(26), false, Some(at(0))), "{instance}");
        }
    }

    #[test]
    fn a_log_that_takes_no_writes_or_is_not_folded_is_not_stormed() {
        let mut pace = TickPace::new(MAX_AGE, "a", at(0));
        pace.wrote(at(0), false, true);
        let mut written = 0;
        for seconds in 0..600 {
            if pace.is_due(at(seconds), false, Some(at(0))) {
                written += 1;
                pace.wrote(at(seconds), false, false);
            }
        }
        assert!((100..=120).contains(&written), "{written} tries in ten minutes");
        let mut folded_nothing = 0;
        for seconds in 600..1_200 {
            if pace.is_due(at(seconds), false, Some(at(0))) {
                folded_nothing += 1;
                pace.wrote(at(seconds), false, true);
            }
        }
        assert!((20..=31).contains(&folded_nothing), "{folded_nothing} ticks in ten minutes");
    }
}
