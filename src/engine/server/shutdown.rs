//! How the engine ends, and why: the first part that fails for good ends the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tracing::error;

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

/// The engine's threads; one that fails ends the process.
pub(in crate::engine) struct Threads {
    ending: Shutdown,
    handles: Vec<JoinHandle<()>>,
}

impl Threads {
    pub(in crate::engine) fn new(ending: Shutdown) -> Self {
        Self { ending, handles: Vec::new() }
    }

    pub(in crate::engine) fn spawn(&mut self, name: &str, body: impl FnOnce() -> Result<(), RunError> + Send + 'static) {
        let ending = self.ending.clone();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // A part that panics must not leave the others releasing records behind its back.
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
                Ok(Ok(())) => {}
                Ok(Err(cause)) => ending.because(cause),
                Err(_) => ending.because(RunError::Failed("a thread panicked; see the message above".into())),
            }
        });
        match thread {
            Ok(handle) => self.handles.push(handle),
            Err(error) => self.ending.because(RunError::Failed(format!("no thread for {name}: {error}"))),
        }
    }

    pub(in crate::engine) fn join(self) {
        for handle in self.handles {
            let _ = handle.join();
        }
    }
}
