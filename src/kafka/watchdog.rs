//! Ends the process when a call of librdkafka that ignores its time-out does not come back (section 16).

use std::process;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::client::Deadline;

#[derive(Debug, Default)]
struct Watched {
    until: Option<Deadline>,
    is_over: bool,
}

type Shared = (Mutex<Watched>, Condvar);

/// One thread that watches one other thread's calls.
#[derive(Debug)]
pub(super) struct Watchdog(Arc<Shared>);

fn lock(shared: &Shared) -> MutexGuard<'_, Watched> {
    shared.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watchdog {
    /// Starts the thread; `expired` is what it does when a call takes too long.
    pub(super) fn start(expired: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let watched = Arc::clone(&shared);
        thread::Builder::new().name("kafka-watchdog".to_owned()).spawn(move || watch(&watched, expired))?;
        Ok(Self(shared))
    }

    /// Makes the call under watch.
    pub(super) fn during<T>(&self, limit: Duration, call: impl FnOnce() -> T) -> T {
        self.set(Some(Deadline::after(limit)));
        let answer = call();
        self.set(None);
        answer
    }

    fn set(&self, until: Option<Deadline>) {
        lock(&self.0).until = until;
        // A sleeping dog looks when its wait is over; it need be woken only where it waits without an end.
        if until.is_some() {
            self.0.1.notify_one();
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        lock(&self.0).is_over = true;
        self.0.1.notify_one();
    }
}

fn watch(shared: &Shared, expired: impl FnOnce()) {
    let mut watched = lock(shared);
    while !watched.is_over {
        watched = match watched.until {
            None => shared.1.wait(watched).unwrap_or_else(PoisonError::into_inner),
            Some(until) if until.has_passed() => {
                drop(watched);
                return expired();
            }
            Some(until) => shared.1.wait_timeout(watched, until.left()).unwrap_or_else(PoisonError::into_inner).0,
        };
    }
}

/// What a watchdog does in earnest: exit code 69, broker unavailable.
pub(super) fn end_process(call: &str, name: &str, limit: Duration) {
    tracing::error!(
        "{call} of {name} has not come back for {} s: the group's coordinator does not answer; the process ends",
        limit.as_secs()
    );
    process::exit(69);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_call_that_does_not_come_back_is_noticed_and_one_that_does_is_not() {
        let (says, hears) = mpsc::channel();
        let dog = Watchdog::start(move || says.send(()).unwrap()).unwrap();
        assert_eq!(dog.during(Duration::from_secs(3600), || 7), 7);
        assert!(hears.try_recv().is_err());
        dog.during(Duration::from_millis(1), || hears.recv().unwrap());
    }

    #[test]
    fn it_ends_with_its_owner() {
        let (says, hears) = mpsc::channel::<()>();
        drop(Watchdog::start(move || drop(says)).unwrap());
        assert!(hears.recv().is_err());
    }
}
