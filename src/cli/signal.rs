//! Signals of a running process: what ends it, and what has it read its configuration again.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use super::exit::{Exit, Failure};

/// What a SIGHUP does.
pub enum HangUp {
    /// It ends the process, as SIGTERM does. One that was ignored when the process was started, as by `nohup`, stays so.
    Ends,
    /// It calls this. A process that was started in a terminal ends in order with that terminal instead, unless by `nohup`.
    Reloads(Box<dyn Fn() + Send>),
}

/// Raised by the first SIGTERM, SIGINT or SIGHUP that ends; a second one aborts the process.
pub fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    stop_on(HangUp::Ends)
}

/// The same with another SIGHUP.
pub(in crate::cli) fn stop_on(hang_up: HangUp) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&stop);
    listen(hang_up, move |_| {
        tracing::info!("stopping: the batch in hand is finished first; a second signal aborts");
        raised.store(true, Ordering::Relaxed);
    })?;
    Ok(stop)
}

/// Calls `first` at the first SIGTERM, SIGINT or SIGHUP, as `stop_on_signal`, with how to exit then.
pub(in crate::cli) fn on_signal(first: impl Fn(Exit) + Send + 'static) -> Result<(), Failure> {
    listen(HangUp::Ends, first)
}

fn listen(hang_up: HangUp, first: impl Fn(Exit) + Send + 'static) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Failed, format!("signals cannot be caught: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let ignores_hangup = std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores(&status, SignalKind::hangup()));
    let is_heard = !ignores_hangup || matches!(hang_up, HangUp::Reloads(_));
    let ends_with_terminal = !ignores_hangup && has_terminal();
    // Before this returns: a signal that comes next is heard.
    let entered = runtime.enter();
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hangup = if is_heard { Some(signal(SignalKind::hangup()).map_err(failed)?) } else { None };
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
                if let (Exit::HungUp, HangUp::Reloads(reload)) = (exit, &hang_up) {
                    if !ends_with_terminal || has_terminal() {
                        reload();
                        continue;
                    }
                    // A terminal that goes tells of it more than once.
                    if !is_first {
                        continue;
                    }
                }
                if !std::mem::take(&mut is_first) {
                    std::process::exit(i32::from(exit as u8));
                }
                first(exit);
            }
        });
    });
    thread.map(drop).map_err(failed)
}

/// Whether this process has a terminal that can hang up.
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
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
