//! The process: listener, threads, end.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use metrics_exporter_prometheus::PrometheusHandle;
use tracing::info;

use crate::clock::Clock;
use crate::config::Config;
use crate::listener;
use crate::listener::ClientLimits;
use crate::serve::Serve;
use crate::serve::fold::FoldError;
use crate::serve::state::StartError;

/// What `serve` and `demo` hand the process.
pub struct ServeInput {
    /// The configuration.
    pub config: Config,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Raised from outside to end it.
    pub stop: Arc<AtomicBool>,
    /// Told the address that `api.listen` came to, whose port may be 0: any free one.
    pub listening: Option<SyncSender<SocketAddr>>,
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The configuration, or what it leads to, is wrong.
    #[error("{0}")]
    Configuration(String),
    /// Something broke.
    #[error("{0}")]
    Failed(String),
}

impl From<FoldError> for ServeError {
    fn from(error: FoldError) -> Self {
        match error {
            FoldError::Configuration(what) => Self::Configuration(what),
            FoldError::Failed(what) => Self::Failed(what),
        }
    }
}

/// So many clients may be connected: browsers keep several connections open, and one of them is a stream of events.
const CONNECTIONS: usize = 4096;

/// Serves until `stop` is raised or a part fails for good. `routes` makes what is served of the process's state.
///
/// # Errors
/// Why it could not begin, or ended.
pub fn run(input: ServeInput, routes: impl FnOnce(Arc<Serve>) -> Router) -> Result<(), ServeError> {
    let ServeInput { config, clock, metrics, stop, listening } = input;
    let Some(secret) = config.api.secret.clone() else {
        let what = "`api.secret` is missing: of it follow the ids of writes, and cursors and sessions are signed with it. Write 16 random bytes \
                    or more, as `openssl rand -hex 32` prints them, better in a file: `secret: ${file:PATH}`";
        return Err(ServeError::Configuration(what.to_owned()));
    };
    let address = config.api.listen;
    let bound = listener::bind(address).map_err(|error| ServeError::Configuration(format!("`api.listen`: {address}: {error}")))?;
    let address = bound.local_addr().map_err(failed)?;
    let (ended, stopping) = (Arc::new(Mutex::new(Ok(()))), Arc::clone(&stop));
    let result = Arc::clone(&ended);
    let serve = Serve::start(Arc::new(config), secret, clock, metrics, Arc::clone(&stop), move |folded| {
        *result.lock().expect("it is only set") = folded;
        stopping.store(true, Ordering::Relaxed);
    })
    .map_err(|error| match error {
        StartError::Admission(what) => ServeError::Configuration(what),
        StartError::Thread(error) => failed(error),
    })?;
    let router = routes(Arc::clone(&serve));
    info!(%address, "the API listens");
    // Nobody may be waiting to be told.
    if let Some(listening) = listening {
        let _ = listening.try_send(address);
    }
    let limits = ClientLimits { response: Duration::from_secs(24 * 3600), connections: CONNECTIONS, ..ClientLimits::default() };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(failed)?;
    runtime.block_on(listener::serve(bound, router, move || limits, stop)).map_err(failed)?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    std::mem::replace(&mut *ended.lock().expect("it is only set"), Ok(())).map_err(ServeError::from)
}

fn failed(error: std::io::Error) -> ServeError {
    ServeError::Failed(error.to_string())
}
