//! Asking for the control topic's end, several times within the bound, on a client used for nothing else
//! (docs/rules/fence.md#the-views-age).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{BootTime, Clock};
use crate::engine::fence::metrics;
use crate::engine::fence::{Closed, Fence};
use crate::id::Offset;
use crate::live::Live;
use crate::transport::{ConsumeError, EndProbe, LogBounds};

/// Questions within `fence.max_view_age`: so many may go unanswered before the fence closes.
const QUESTIONS_PER_AGE: u32 = 6;

/// So long a log that looks broken is asked about again before the process ends.
const BELIEVED_AFTER: Duration = Duration::from_secs(5);

/// The control topic is not the one that was folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Its end lies before what was folded.
    #[error(
        "the control topic ends at offset {end}, before offset {position} up to which it has been folded: it was recreated or has lost \
         records. Nothing is released. Restore it from a dump, or start with a new control topic and without the snapshot file"
    )]
    EndFell {
        /// Its end.
        end: Offset,
        /// Where the fold is.
        position: Offset,
    },
    /// Records were dropped that have not been folded.
    #[error(
        "the control topic begins at offset {start}, behind offset {position} where the fold goes on: records are missing that may be \
         revokes. Nothing is released. The topic must be kept for good (retention.ms=-1, retention.bytes=-1, cleanup.policy=delete); restore it from a dump"
    )]
    StartRose {
        /// Its first offset.
        start: Offset,
        /// Where the fold is.
        position: Offset,
    },
}

/// Whether the log still holds what the fold builds on. `position` was read before the question was asked.
pub fn examine(bounds: LogBounds, position: Offset) -> Result<(), Broken> {
    if bounds.end < position {
        return Err(Broken::EndFell { end: bounds.end, position });
    }
    if bounds.start > position {
        return Err(Broken::StartRose { start: bounds.start, position });
    }
    Ok(())
}

/// The probe's thread.
pub struct Prober<P> {
    /// Asks.
    pub probe: P,
    /// Told the answers.
    pub fence: Arc<Mutex<Fence>>,
    /// The published view, for the metrics.
    pub live: Arc<Live>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

impl<P: EndProbe> Prober<P> {
    /// Asks until told to stop; ends early if the control topic is broken.
    pub fn run(mut self) -> Result<(), Broken> {
        let every = self.lock(|fence| fence.limits().max_view_age) / QUESTIONS_PER_AGE;
        let mut was_closed: Option<Closed> = None;
        let mut has_been_open = false;
        let mut broken_since: Option<BootTime> = None;
        let mut looked_at = self.clock.boot();
        while !self.stop.load(Ordering::Relaxed) {
            let asked = self.clock.boot();
            match self.ask(asked) {
                Ok(()) => broken_since = None,
                // A broker that was away may answer once with what it knew before. Its answer does not count, so the fence
                // closes meanwhile; only an answer that stays says that the log is another one.
                Err(broken) if asked.since(*broken_since.get_or_insert(asked)) >= BELIEVED_AFTER => return Err(broken),
                Err(broken) => warn!(%broken, "asking again"),
            }
            let now = self.clock.boot();
            let closed = self.observe(now.since(looked_at), now);
            looked_at = now;
            report(&closed, &was_closed, has_been_open);
            has_been_open |= closed.is_none();
            was_closed = closed;
            self.clock.sleep(every.saturating_sub(self.clock.boot().since(asked)));
        }
        Ok(())
    }

    fn ask(&mut self, asked: BootTime) -> Result<(), Broken> {
        let position = self.live.load().position;
        match self.probe.ask() {
            Ok(bounds) => {
                examine(bounds, position)?;
                self.lock(|fence| fence.answered(asked, bounds.end));
            }
            Err(ConsumeError::Unavailable(reason) | ConsumeError::Refused(reason) | ConsumeError::Fatal(reason)) => {
                tracing::debug!(reason, "the control topic's end could not be asked for");
            }
        }
        Ok(())
    }

    fn observe(&self, passed: Duration, now: BootTime) -> Option<Closed> {
        let view = self.live.load();
        let wall = self.clock.wall();
        let (age, closed) = self.lock(|fence| (fence.view_age(view.position, now), fence.check(&view, wall, now).err()));
        metrics::observed(age, if closed.is_some() { passed } else { Duration::ZERO });
        closed
    }

    fn lock<T>(&self, with: impl FnOnce(&mut Fence) -> T) -> T {
        with(&mut self.fence.lock().expect("the fence is never left half changed"))
    }
}

/// Says once when the fence closes or opens, or closes for another reason.
fn report(closed: &Option<Closed>, was_closed: &Option<Closed>, has_been_open: bool) {
    match (closed, was_closed) {
        // At a start it is closed by nature.
        (Some(now), None) if !has_been_open => info!(reason = %now, "fence closed"),
        (Some(now), before) if before.as_ref().is_none_or(|b| b.name() != now.name()) => warn!(reason = %now, "fence closed"),
        (None, Some(_)) => info!("fence open"),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_lost_what_was_folded_is_broken() {
        let bounds = |start, end| LogBounds { start: Offset(start), end: Offset(end) };
        assert_eq!(examine(bounds(0, 10), Offset(10)), Ok(()));
        assert_eq!(examine(bounds(4, 10), Offset(4)), Ok(()), "a snapshot up to epoch 3 needs offset 4 next");
        assert!(matches!(examine(bounds(0, 9), Offset(10)), Err(Broken::EndFell { .. })));
        assert!(matches!(examine(bounds(5, 10), Offset(4)), Err(Broken::StartRose { .. })));
    }
}
