//! The one place that reads a clock.
//!
//! Two clocks are needed. Wall time is compared with times that others wrote. Boot time (CLOCK_BOOTTIME) measures how old
//! a view is: unlike `std::time::Instant` it goes on while a machine sleeps, so that a view does not look fresh after it
//! (docs/rules/fence.md#the-views-age).

use std::time::Duration;

use crate::time::TimestampMs;

/// Time since the machine was booted, sleep included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BootTime(pub Duration);

impl BootTime {
    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0 + span)
    }
}

/// What the engine reads its time from; a simulation puts its own in place.
pub trait Clock: Send + Sync {
    /// Wall time.
    fn wall(&self) -> TimestampMs;

    /// Boot time. Never goes back.
    fn boot(&self) -> BootTime;

    /// Lets this much time pass on the calling thread.
    fn sleep(&self, span: Duration);
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods)] // This is the clock module.
    fn wall(&self) -> TimestampMs {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(since) => TimestampMs(since.as_millis() as i64),
            Err(before) => TimestampMs(-(before.duration().as_millis() as i64)),
        }
    }

    fn boot(&self) -> BootTime {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        BootTime(Duration::new(now.tv_sec as u64, now.tv_nsec as u32))
    }

    fn sleep(&self, span: Duration) {
        std::thread::sleep(span);
    }
}
