//! How fast a job reads (docs/backfill.md#how-fast): a rate that is halved while the live group falls behind and doubled back when it
//! does not.
//!
//! Pure: times are arguments.

use std::sync::Mutex;
use std::time::Duration;

use crate::backfill::options::Rate;
use crate::clock::BootTime;

/// A batch holds about so much of a second's worth: what is read comes evenly.
const PART_OF_A_SECOND: f64 = 0.25;
/// The rate is not halved below this part of what was asked for.
const LEAST_PART: f64 = 1.0 / 64.0;

/// Limits how fast all workers of a job read together.
#[derive(Debug)]
pub struct RateLimiter {
    rate: Rate,
    state: Mutex<RateLimiterState>,
}

#[derive(Debug)]
struct RateLimiterState {
    /// The part of the rate in force: 1 or a power of a half.
    part: f64,
    /// When what was read is paid for.
    free_at: BootTime,
}

impl RateLimiter {
    /// At this rate.
    pub fn new(rate: Rate) -> Self {
        Self { rate, state: Mutex::new(RateLimiterState { part: 1.0, free_at: BootTime::default() }) }
    }

    /// How long nothing may be read from now on.
    pub fn wait(&self, now: BootTime) -> Duration {
        self.state().free_at.since(now)
    }

    /// The most records and bytes of one batch.
    pub fn batch_limit(&self) -> (usize, usize) {
        let part = self.state().part * PART_OF_A_SECOND;
        let whole = |per_second: u64| (per_second as f64 * part).max(1.0) as usize;
        match self.rate {
            Rate::Unlimited => (usize::MAX, usize::MAX),
            Rate::Records(per_second) => (whole(per_second), usize::MAX),
            Rate::Bytes(per_second) => (usize::MAX, whole(per_second)),
        }
    }

    /// So much was read.
    pub fn read(&self, records: usize, bytes: usize, now: BootTime) {
        let mut state = self.state();
        let seconds = match self.rate {
            Rate::Unlimited => return,
            Rate::Records(per_second) => records as f64 / (per_second as f64 * state.part),
            Rate::Bytes(per_second) => bytes as f64 / (per_second as f64 * state.part),
        };
        state.free_at = state.free_at.max(now).after(Duration::from_secs_f64(seconds));
    }

    /// Whether the live group has fallen behind since the last call; returns the part of the rate in force from here on, if that is
    /// another one.
    pub fn adjust(&self, is_falling_behind: bool) -> Option<f64> {
        let mut state = self.state();
        let part = if is_falling_behind { (state.part / 2.0).max(LEAST_PART) } else { (state.part * 2.0).min(1.0) };
        (std::mem::replace(&mut state.part, part) != part).then_some(part)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, RateLimiterState> {
        self.state.lock().expect("the limit is never left half changed")
    }
}

/// What is known of the live group's backlog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlogged {
    /// Records that it has not committed.
    pub lag: i64,
    /// Records before those.
    pub committed: i64,
}

/// Whether a group falls behind: its lag has grown by more than what it does in half a second, which comes and goes with its
/// transactions.
pub fn is_falling_behind(before: Backlogged, after: Backlogged, passed: Duration) -> bool {
    let half_a_second = (after.committed - before.committed).max(0) as f64 / passed.as_secs_f64().max(0.001) / 2.0;
    (after.lag - before.lag) as f64 > half_a_second.max(10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> BootTime {
        BootTime(Duration::from_millis(ms))
    }

    #[test]
    fn what_is_read_is_paid_for_before_more_is_read() {
        let limiter = RateLimiter::new(Rate::Bytes(1_000_000));
        assert_eq!(limiter.wait(at(100)), Duration::ZERO);
        assert_eq!(limiter.batch_limit(), (usize::MAX, 250_000));
        limiter.read(10, 250_000, at(100));
        assert_eq!(limiter.wait(at(100)), Duration::from_millis(250));
        limiter.read(10, 250_000, at(200));
        assert_eq!(limiter.wait(at(200)), Duration::from_millis(400), "two workers share it");
        assert_eq!(limiter.wait(at(700)), Duration::ZERO);
        limiter.read(1, 500_000, at(2_000));
        assert_eq!(limiter.wait(at(2_000)), Duration::from_millis(500), "what was not used is not saved");
        assert_eq!(RateLimiter::new(Rate::Unlimited).batch_limit(), (usize::MAX, usize::MAX));
        assert_eq!(RateLimiter::new(Rate::Records(2)).batch_limit(), (1, usize::MAX));
    }

    #[test]
    fn it_is_halved_while_others_fall_behind_and_doubled_back() {
        let limiter = RateLimiter::new(Rate::Records(1_000));
        assert_eq!((limiter.adjust(false), limiter.adjust(true), limiter.adjust(true)), (None, Some(0.5), Some(0.25)));
        assert_eq!(limiter.batch_limit().0, 62);
        limiter.read(125, 1, at(0));
        assert_eq!(limiter.wait(at(0)), Duration::from_millis(500));
        assert_eq!((limiter.adjust(false), limiter.adjust(false), limiter.adjust(false)), (Some(0.5), Some(1.0), None));
        (0..20).for_each(|_| _ = limiter.adjust(true));
        assert!(limiter.batch_limit().0 >= 1);
    }

    #[test]
    fn what_comes_and_goes_with_transactions_is_no_growth() {
        let backlog = |lag, committed| Backlogged { lag, committed };
        let ten = Duration::from_secs(10);
        assert!(!is_falling_behind(backlog(100, 0), backlog(1_000, 100_000), ten), "10,000 a second, and 900 more");
        assert!(is_falling_behind(backlog(100, 0), backlog(6_000, 100_000), ten));
        assert!(is_falling_behind(backlog(0, 5), backlog(11, 5), ten), "it does nothing at all");
        assert!(!is_falling_behind(backlog(11, 5), backlog(11, 5), ten));
    }
}
