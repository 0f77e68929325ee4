//! Calls of librdkafka that ignore their time-out (docs/librdkafka.md#calls-that-ignore-their-time-out) are made on a thread of their
//! own, so that one that does not come back costs a producer, not the process.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Calls of this process that were given up and have not come back.
static STUCK: AtomicUsize = AtomicUsize::new(0);

/// One thread that makes one kind of call for its owner.
#[derive(Debug)]
pub(super) struct BoundedCall<J, A> {
    jobs: SyncSender<J>,
    answers: Receiver<A>,
}

/// A call did not come back in time: its errand must not be used again.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GivenUp {
    /// Calls of this process that hang now, this one among them.
    pub(super) stuck: usize,
}

impl<J: Send + 'static, A: Send + 'static> BoundedCall<J, A> {
    /// Starts the thread; it ends with its owner, or when a call that was given up comes back at last.
    pub(super) fn start(name: &str, call: impl Fn(J) -> A + Send + 'static) -> io::Result<Self> {
        // Without room for an answer nobody waits for, the thread is told by the send whether it was given up.
        let (jobs, accepted) = sync_channel::<J>(1);
        let (reply, answers) = sync_channel(0);
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(job) = accepted.recv() {
                let answer = call(job);
                if reply.send(answer).is_err() {
                    STUCK.fetch_sub(1, Ordering::Relaxed);
                    return;
                }
            }
        })?;
        Ok(Self { jobs, answers })
    }

    /// Has the call made and waits up to `limit` for its answer.
    pub(in crate::kafka) fn run(self, job: J, limit: Duration) -> Result<(Self, A), GivenUp> {
        let Self { jobs, answers } = self;
        if jobs.send(job).is_ok()
            && let Ok(answer) = answers.recv_timeout(limit)
        {
            return Ok((Self { jobs, answers }, answer));
        }
        Err(GivenUp { stuck: STUCK.fetch_add(1, Ordering::Relaxed) + 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_call_that_comes_back_is_answered_and_one_that_does_not_is_given_up() {
        let (release, held) = mpsc::channel::<()>();
        let (ended, ends) = mpsc::channel::<()>();
        let errand = BoundedCall::start("test", move |wait: bool| {
            let _ends_with_the_thread = &ended;
            if wait {
                held.recv().unwrap();
            }
            wait
        })
        .unwrap();
        let (errand, answer) = errand.run(false, Duration::from_secs(3600)).unwrap();
        assert!(!answer);
        let before = STUCK.load(Ordering::Relaxed);
        let GivenUp { stuck } = errand.run(true, Duration::from_millis(1)).map(|_| ()).unwrap_err();
        assert_eq!(stuck, before + 1);
        // When it comes back at last, its thread ends and it counts no longer.
        release.send(()).unwrap();
        assert!(ends.recv().is_err());
        assert_eq!(STUCK.load(Ordering::Relaxed), before);
    }

    #[test]
    fn it_ends_with_its_owner() {
        let (says, hears) = mpsc::channel::<()>();
        let errand = BoundedCall::start("test", move |()| says.send(()).unwrap()).unwrap();
        drop(errand);
        assert!(hears.recv().is_err());
    }
}
