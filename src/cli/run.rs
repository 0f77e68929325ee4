//! `sharecast run`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::{Exit, Failure};
use super::{configuration, logging};
use crate::clock::SystemClock;
use crate::engine::ending::RunError;
use crate::engine::run::{self, Start};
use crate::kafka::KafkaSettings;
use crate::metrics;

/// Runs the engine until a signal or a failure ends it.
pub fn run(files: &[PathBuf]) -> Result<Exit, Failure> {
    let config = configuration::load(files)?;
    logging::init(&config.log);
    let start = Start {
        kafka: KafkaSettings::of(&config.kafka),
        clock: Arc::new(SystemClock),
        metrics: metrics::install().map_err(|error| Failure::new(Exit::Failed, error))?,
        stop: stop_on_signal()?,
        topics_are_given: false,
        listening: None,
        config,
    };
    run::run(start).map(|()| Exit::Ok).map_err(|error| {
        let exit = match error {
            RunError::Configuration(_) => Exit::Configuration,
            RunError::Unavailable(_) => Exit::Unavailable,
            RunError::Failed(_) => Exit::Failed,
        };
        Failure::new(exit, error)
    })
}

/// Raised by the first SIGTERM or SIGINT; a second one aborts the process.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("signals cannot be caught: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async move {
            use tokio::signal::unix::{SignalKind, signal};
            let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else { return };
            loop {
                let code = tokio::select! { _ = terminate.recv() => 143, _ = interrupt.recv() => 130 };
                if raised.swap(true, Ordering::Relaxed) {
                    std::process::exit(code);
                }
                tracing::info!("stopping: the batch in hand is finished first; a second signal aborts");
            }
        });
    });
    thread.map(|_| stop).map_err(failed)
}
