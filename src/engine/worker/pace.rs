//! How fast a worker goes on: how many records a transaction takes, and how long it pauses after one that was aborted.

use std::time::Duration;

use crate::clock::BootTime;

/// The first pause after an abort that names no route; it doubles up to the second.
const ABORT_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));
/// Two producers of one `transactional.id` fence each other in turn; twice within this is no accident.
const FENCED_TWICE_WITHIN: Duration = Duration::from_secs(60);

/// A worker's pace. Times are arguments.
#[derive(Debug)]
pub(super) struct Pace {
    /// `batch.max_records`.
    max_records: usize,
    /// Halved to pin a failure or after an abort for age, doubled by each commit. At least 1.
    batch_limit: usize,
    /// Doubled by each pause, back at the first after a commit.
    abort_pause: Duration,
    fenced_at: Option<BootTime>,
    /// How long the last transaction took that was committed.
    took: Option<Duration>,
}

impl Pace {
    pub(super) fn new(max_records: usize) -> Self {
        Self { max_records, batch_limit: max_records, abort_pause: ABORT_PAUSES.0, fenced_at: None, took: None }
    }

    /// Transactions take as many from here on. What a setback has halved goes up by commits, as ever.
    pub(super) fn tune(&mut self, max_records: usize) {
        let is_halved = self.batch_limit < self.max_records;
        self.batch_limit = if is_halved { self.batch_limit.min(max_records) } else { max_records };
        self.max_records = max_records;
    }

    /// How many records the next transaction takes at most.
    pub(super) fn batch_limit(&self) -> usize {
        self.batch_limit
    }

    /// The next transaction takes half of what this one had of a batch of `records`.
    pub(super) fn halve(&mut self, records: usize) {
        self.batch_limit = (self.batch_limit.min(records) / 2).max(1);
    }

    pub(super) fn committed(&mut self) {
        self.batch_limit = (self.batch_limit * 2).min(self.max_records);
        self.abort_pause = ABORT_PAUSES.0;
    }

    /// So long the last transaction took, with what was decided for it and meanwhile.
    pub(super) fn took(&mut self, span: Duration) {
        self.took = Some(span);
    }

    /// Whether a next batch may be decided while this one is written: after a setback one goes after the other, and so they do where
    /// transactions are so slow that one of the two views would be too old in the end. `left` is how long each may be used yet.
    pub(super) fn goes_ahead(&self, left: Duration, left_of_next: Duration) -> bool {
        // The next one waits for this one, and is then written itself.
        let is_fresh_enough = |took: Duration| left >= took * 2 && left_of_next >= took * 3;
        self.batch_limit == self.max_records && self.took.is_some_and(is_fresh_enough)
    }

    /// How long to pause after this abort.
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = self.abort_pause;
        self.abort_pause = (pause * 2).min(ABORT_PAUSES.1);
        pause
    }

    /// The producer was fenced. Returns whether it was lately already.
    pub(super) fn is_fenced_again(&mut self, now: BootTime) -> bool {
        let is_again = self.fenced_at.is_some_and(|at| now.since(at) < FENCED_TWICE_WITHIN);
        self.fenced_at = Some(now);
        is_again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_halved_down_to_one_record_and_comes_back_by_commits() {
        let mut pace = Pace::new(1_000);
        pace.halve(100);
        assert_eq!(pace.batch_limit(), 50);
        (0..9).for_each(|_| pace.halve(100));
        assert_eq!(pace.batch_limit(), 1);
        (0..20).for_each(|_| pace.committed());
        assert_eq!(pace.batch_limit(), 1_000);
    }

    #[test]
    fn another_limit_counts_at_once_and_a_setback_goes_on_counting() {
        let mut pace = Pace::new(1_000);
        let mut limits = Vec::new();
        for max_records in [4_000, 100] {
            pace.tune(max_records);
            limits.push(pace.batch_limit());
        }
        pace.halve(100);
        for max_records in [4_000, 30] {
            pace.tune(max_records);
            limits.push(pace.batch_limit());
        }
        pace.committed();
        limits.push(pace.batch_limit());
        assert_eq!(limits, [4_000, 100, 50, 30, 30]);
    }

    #[test]
    fn pauses_double_until_a_commit() {
        let mut pace = Pace::new(1);
        let pauses: Vec<u128> = (0..9).map(|_| pace.next_pause().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        pace.committed();
        assert_eq!(pace.next_pause(), ABORT_PAUSES.0);
    }

    #[test]
    fn nothing_is_decided_ahead_after_a_setback_or_where_a_view_would_grow_too_old() {
        let (mut pace, ms) = (Pace::new(100), Duration::from_millis);
        assert!(!pace.goes_ahead(Duration::MAX, Duration::MAX), "it is not known how long a transaction takes");
        pace.committed();
        pace.took(ms(200));
        let fits = [(400, 600), (399, 600), (400, 599)].map(|(left, of_next)| pace.goes_ahead(ms(left), ms(of_next)));
        assert_eq!(fits, [true, false, false]);
        pace.halve(100);
        assert!(!pace.goes_ahead(Duration::MAX, Duration::MAX));
        pace.committed();
        assert!(pace.goes_ahead(Duration::MAX, Duration::MAX));
    }

    #[test]
    fn fenced_twice_is_told_only_of_times_that_are_near() {
        let (mut pace, at) = (Pace::new(1), |seconds| BootTime(Duration::from_secs(seconds)));
        assert_eq!([0, 60, 119, 200].map(|seconds| pace.is_fenced_again(at(seconds))), [false, false, true, false]);
    }
}
