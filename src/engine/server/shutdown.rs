//! How the engine ends, and why: the first part that fails for good ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{error, warn};

use crate::clock::{BootTime, Clock};
use crate::engine::control::configuration::ControlError;
use crate::engine::worker::error::WorkerError;
use crate::kafka::{AdminError, ClientError};
use crate::transport::{ConsumeError, ProduceError};

/// Why the engine could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something is configured, here or in Kafka, as it must not be: exit 78.
    #[error("{0}")]
    Configuration(String),
    /// The cluster does not answer: exit 69.
    #[error("Kafka is not available: {0}")]
    Unavailable(String),
    /// A part failed for good: exit 1.
    #[error("{0}")]
    Failed(String),
}

impl From<ClientError> for RunError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unavailable(reason) => Self::Unavailable(reason),
            // Credentials are changed while engines run: they wait until they are let in again.
            refused @ ClientError::LoginRefused(_) => Self::Unavailable(refused.to_string()),
            other => Self::Configuration(other.to_string()),
        }
    }
}

impl From<AdminError> for RunError {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::Client(client) => client.into(),
            topic => Self::Configuration(topic.to_string()),
        }
    }
}

impl From<ConsumeError> for RunError {
    fn from(error: ConsumeError) -> Self {
        match error {
            ConsumeError::Unavailable(reason) => Self::Unavailable(reason),
            ConsumeError::Refused(_) => Self::Configuration(error.to_string()),
            ConsumeError::Fatal(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<ControlError> for RunError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Log(error) => error.into(),
            ControlError::Configuration(what) => Self::Configuration(what),
        }
    }
}

impl From<WorkerError> for RunError {
    fn from(ended: WorkerError) -> Self {
        match ended {
            WorkerError::Input(error) => error.into(),
            WorkerError::Output(ProduceError::Impossible(why)) => Self::Configuration(why),
            WorkerError::Output(error) => Self::Failed(error.to_string()),
            WorkerError::PositionLost { .. } | WorkerError::FencedTwice { .. } => Self::Configuration(ended.to_string()),
        }
    }
}

/// How a running engine is ended, and why it did.
#[derive(Clone)]
pub struct Shutdown {
    stop: Arc<AtomicBool>,
    cause: Arc<Mutex<Option<RunError>>>,
}

impl Shutdown {
    pub(in crate::engine) fn new(stop: Arc<AtomicBool>) -> Self {
        Self { stop, cause: Arc::default() }
    }

    /// Raised when the process ends.
    pub(in crate::engine) fn stop(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Why it ended, if anything failed.
    pub(in crate::engine) fn result(&self) -> Result<(), RunError> {
        self.cause.lock().expect("only set").take().map_or(Ok(()), Err)
    }

    /// Ends the process for this reason; the first one counts.
    pub(in crate::engine) fn because(&self, cause: RunError) {
        error!(%cause, "the process ends");
        self.cause.lock().expect("only set").get_or_insert(cause);
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// So long the parts of an engine that ends are waited for. Whoever ends it gives it 20 s.
const LEAVING: Duration = Duration::from_secs(15);
/// Between two looks at whether the engine ends.
const LOOK: Duration = Duration::from_millis(200);

/// The engine's threads; one that fails ends the process.
pub(in crate::engine) struct Threads {
    ending: Shutdown,
    handles: Vec<JoinHandle<()>>,
    /// Told of each that has ended.
    ended: (Sender<()>, Receiver<()>),
}

impl Threads {
    pub(in crate::engine) fn new(ending: Shutdown) -> Self {
        Self { ending, handles: Vec::new(), ended: channel() }
    }

    pub(in crate::engine) fn spawn(&mut self, name: &str, body: impl FnOnce() -> Result<(), RunError> + Send + 'static) {
        let (ending, ended) = (self.ending.clone(), self.ended.0.clone());
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A part that panics must not leave the others releasing records behind its back.
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => ending.because(cause),
                Err(_) => ending.because(RunError::Failed("a thread panicked; see the message above".into())),
            }
            // Nobody may be waiting any more.
            let _ = ended.send(());
        });
        match thread {
            Ok(handle) => self.handles.push(handle),
            Err(error) => self.ending.because(RunError::Failed(format!("no thread for {name}: {error}"))),
        }
    }

    /// Waits until all have ended. Once the engine ends, those that wait for a cluster that does not answer are left behind: what they
    /// wait for may take as long as a transaction may, what they have not committed is in the input, and the next owner of their names
    /// fences them.
    pub(in crate::engine) fn join(self, clock: &dyn Clock) {
        let (mut running, mut stopped): (usize, Option<BootTime>) = (self.handles.len(), None);
        while running > 0 {
            running -= usize::from(self.ended.1.recv_timeout(LOOK).is_ok());
            if running > 0 && self.ending.stop.load(Ordering::Relaxed) {
                let now = clock.boot();
                if now.since(*stopped.get_or_insert(now)) >= LEAVING {
                    let parts: Vec<&str> =
                        self.handles.iter().filter(|one| !one.is_finished()).filter_map(|one| one.thread().name()).collect();
                    warn!(parts = parts.join(", "), "left while the cluster does not answer, without committing what is in hand");
                    return;
                }
            }
        }
        for handle in self.handles {
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;

    /// Ten seconds pass between two looks.
    #[derive(Default)]
    struct Leaps(std::sync::atomic::AtomicU64);

    impl Clock for Leaps {
        fn wall(&self) -> TimestampMs {
            TimestampMs(0)
        }

        fn boot(&self) -> BootTime {
            BootTime::default().after(Duration::from_secs(self.0.fetch_add(10, Ordering::Relaxed)))
        }

        fn sleep(&self, _: Duration) {}
    }

    #[test]
    fn a_part_that_waits_for_the_cluster_does_not_keep_the_process_from_ending() {
        let ending = Shutdown::new(Arc::default());
        let mut threads = Threads::new(ending.clone());
        let (answers, waits) = channel::<()>();
        threads.spawn("worker", move || {
            let _ = waits.recv();
            Ok(())
        });
        threads.spawn("fence", || Err(RunError::Failed("broken".to_owned())));
        threads.join(&Leaps::default());
        assert!(ending.result().is_err_and(|error| error.to_string() == "broken"));
        drop(answers);
    }

    #[test]
    fn all_parts_are_waited_for() {
        let ending = Shutdown::new(Arc::default());
        let mut threads = Threads::new(ending.clone());
        let (told, heard) = channel();
        threads.spawn("worker", move || {
            let _ = told.send(1);
            Ok(())
        });
        threads.join(&Leaps::default());
        assert_eq!((heard.try_iter().count(), ending.result().is_ok()), (1, true));
    }
}
