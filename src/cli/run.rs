//! `sharecast run`.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Failure};
use crate::cli::shell::version;
use crate::cli::{config, logging};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::engine::server;
use crate::engine::server::EngineInput;
use crate::engine::server::shutdown::RunError;
use crate::kafka::KafkaSettings;
use crate::metrics;

/// Runs the engine until a signal or a failure ends it.
pub fn run(files: &[PathBuf]) -> Result<Exit, Failure> {
    let config = config::load_silently(files)?;
    logging::init(&config.log);
    announce(&config, &config::found(files));
    let start = EngineInput {
        kafka: KafkaSettings::of(&config.kafka),
        clock: Arc::new(SystemClock),
        metrics: metrics::install().map_err(|error| Failure::new(Exit::Failed, error))?,
        stop: stop_on_signal()?,
        topics_are_given: false,
        listening: None,
        config,
    };
    server::run(start).map(|()| Exit::Ok).map_err(|error| {
        let exit = match error {
            RunError::Configuration(_) => Exit::Configuration,
            RunError::Unavailable(_) => Exit::Unavailable,
            RunError::Failed(_) => Exit::Failed,
        };
        Failure::new(exit, error)
    })
}

/// One line by which a log says what begins here.
fn announce(config: &Config, files: &[PathBuf]) {
    let files: Vec<String> = files.iter().map(|file| config::name_of(file)).collect();
    let streams: Vec<String> = config.streams.iter().map(|stream| format!("{} <- {}", stream.name, stream.topic)).collect();
    tracing::info!(
        version = version::text(),
        configuration = if files.is_empty() { "defaults".to_owned() } else { files.join(", ") },
        bootstrap = config.kafka.bootstrap,
        group = config.kafka.group,
        instance = config.kafka.instance,
        streams = streams.join(", "),
        workers = config.workers,
        http = %config.http_listen,
        "sharecast begins"
    );
}

/// Raised by the first SIGTERM, SIGINT or SIGHUP; a second one aborts the process. A SIGHUP that was ignored when the process was
/// started, as by `nohup`, stays so.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    on_signal(move |_| {
        tracing::info!("stopping: the batch in hand is finished first; a second signal aborts");
        raised.store(true, Ordering::Relaxed);
    })?;
    Ok(stop)
}

/// Calls `first` at the first SIGTERM, SIGINT or SIGHUP, as `stop_on_signal`, with how to exit then.
pub(in crate::cli) fn on_signal(first: impl Fn(Exit) + Send + 'static) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("signals cannot be caught: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let ignores_hangup = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, SignalKind::hangup()));
    // Before this returns: a signal that comes next is heard.
    let entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = if ignores_hangup { None } else { Some(signal(SignalKind::hangup()).map_err(failed)?) };
    drop(entered);
    let thread = std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async move {
            let mut is_first = true;
            loop {
                let hung_up = async {
                    match &mut hangup {
                        Some(hangup) => hangup.recv().await,
                        None => std::future::pending().await,
                    }
                };
                let exit = tokio::select! {
                    _ = terminate.recv() => Exit::Terminated,
                    _ = interrupt.recv() => Exit::Interrupted,
                    _ = hung_up => Exit::HungUp,
                };
                if !std::mem::take(&mut is_first) {
                    std::process::exit(i32::from(exit as u8));
                }
                first(exit);
            }
        });
    });
    thread.map(drop).map_err(failed)
}

/// Whether a process with this `/proc/self/status` ignores the signal.
fn ignores(status: &str, signal: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal.as_raw_value() - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_has_set_is_seen() {
        assert!(ignores("Name:\tx\nSigIgn:\t0000000000001001\n", SignalKind::hangup()));
        assert!(!ignores("Name:\tx\nSigIgn:\t0000000000001000\n", SignalKind::hangup()));
        assert!(!ignores("", SignalKind::hangup()));
    }
}
