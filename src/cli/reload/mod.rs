//! A running process takes a changed configuration, asked by SIGHUP or because a file has changed: all that differs, or nothing.

mod watched;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use metrics::{counter, gauge};
use tracing::{error, info, warn};

use self::watched::WatchedFile;
use crate::cli::config::{self, ReadConfig};
use crate::cli::exit::{Exit, Failure};
use crate::cli::logging::LevelSwitch;
use crate::cli::signal::HangUp;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::reload::{ReloadDecision, decide};

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// What a process takes of a configuration while it runs, besides the level of its logs.
pub trait TakesConfig: Send {
    /// Reads what the configuration names besides itself, such as files of tokens or templates. Nothing changes yet.
    ///
    /// # Errors
    /// What keeps it from being taken; then nothing is.
    fn prepare(&mut self, read: &Config) -> Result<PreparedReload, String>;
}

/// A configuration that can be taken.
pub struct PreparedReload {
    /// What else differs, although the configuration may not: contents of files that it names.
    pub also: Vec<String>,
    /// Puts it in force. It cannot fail.
    pub take: Box<dyn FnOnce()>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReloadResult {
    Taken,
    Unchanged,
    NeedsRestart,
    Invalid,
}

impl ReloadResult {
    const ALL: [Self; 4] = [Self::Taken, Self::Unchanged, Self::NeedsRestart, Self::Invalid];

    /// The label `result`.
    fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Unchanged => "unchanged",
            Self::NeedsRestart => "needs_restart",
            Self::Invalid => "invalid",
        }
    }

    /// Whether the files say what is in force.
    fn is_success(self) -> bool {
        match self {
            Self::Taken | Self::Unchanged => true,
            Self::NeedsRestart | Self::Invalid => false,
        }
    }

    fn count(self, times: u64) {
        counter!("sharecast_config_reloads_total", "result" => self.name()).increment(times);
    }
}

/// Reads the configuration again: what a process runs by, and what it does with another.
pub struct Reloader<T> {
    files: Vec<PathBuf>,
    in_force: Config,
    /// What was read for the configuration in force; there if files are watched.
    watched: Option<WatchedFile>,
    level: LevelSwitch,
    takes: T,
    clock: Box<dyn Clock>,
}

/// The two ends of what asks for a reload: what a SIGHUP does, and who hears of it.
pub fn by_hang_up() -> (HangUp, Receiver<()>) {
    let (ask, asked): (Sender<()>, _) = channel();
    let reload = move || {
        // Whoever heard of it has ended with the process.
        let _ = ask.send(());
    };
    (HangUp::Reloads(Box::new(reload)), asked)
}

impl<T: TakesConfig + 'static> Reloader<T> {
    /// One for a process that runs by what was read of `files`, the command line's.
    pub fn new(files: &[PathBuf], started_by: &ReadConfig, is_watching: bool, level: LevelSwitch, takes: T, clock: Box<dyn Clock>) -> Self {
        let watched = is_watching.then(|| WatchedFile::new(&started_by.files));
        Self { files: files.to_vec(), in_force: started_by.config.clone(), watched, level, takes, clock }
    }

    /// Reloads when it is asked to, on a thread of its own, until the process ends.
    pub fn spawn(mut self, asked: Receiver<()>) -> Result<(), Failure> {
        ReloadResult::ALL.into_iter().for_each(|result| result.count(0));
        self.show_success();
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(move || self.run(&asked));
        thread.map(drop).map_err(|error| Failure::new(Exit::Failed, format!("no thread to reload the configuration: {error}")))
    }

    fn run(&mut self, asked: &Receiver<()>) {
        loop {
            let heard = if self.watched.is_some() { asked.recv_timeout(LOOK) } else { asked.recv().map_err(RecvTimeoutError::from) };
            let is_due = match heard {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => self.watched.as_mut().is_some_and(WatchedFile::has_changed),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if is_due {
                // What was asked meanwhile is done by this one.
                asked.try_iter().for_each(drop);
                self.reload();
            }
        }
    }

    fn reload(&mut self) {
        let result = self.attempt();
        result.count(1);
        if result.is_success() {
            self.show_success();
        }
    }

    fn show_success(&self) {
        gauge!("sharecast_config_last_reload_success_timestamp_seconds").set(self.clock.wall().0 as f64 / 1000.0);
    }

    fn attempt(&mut self) -> ReloadResult {
        let found = config::found(&self.files);
        let from = config::names_of(&found);
        // A pipe gives its text once; read again it would be an empty configuration.
        let read = match found.iter().find(|file| file.exists() && !file.is_file()) {
            Some(file) => Err(Failure::new(Exit::Configuration, format!("{}: only a file can be read again", file.display()))),
            None => config::read(&self.files),
        };
        if let Some(watched) = &mut self.watched {
            match &read {
                Ok(read) => watched.was_read(&read.files),
                Err(_) => watched.was_refused(&found),
            }
        }
        let read = match read {
            Ok(read) => read.config,
            Err(failure) => {
                error!(configuration = from, reason = %failure, "configuration not reloaded: it cannot be read; nothing has changed");
                return ReloadResult::Invalid;
            }
        };
        let mut keys: Vec<String> = match decide(&self.in_force, &read) {
            ReloadDecision::Unchanged => Vec::new(),
            ReloadDecision::Take(keys) => keys.into_iter().map(str::to_owned).collect(),
            ReloadDecision::NeedsRestart(keys) => {
                let keys = keys.join(", ");
                error!(configuration = from, keys, "configuration not reloaded: these keys need a restart; nothing of it is taken");
                return ReloadResult::NeedsRestart;
            }
        };
        let prepared = match self.takes.prepare(&read) {
            Ok(prepared) => prepared,
            Err(reason) => {
                error!(configuration = from, reason, "configuration not reloaded: what it names cannot be used; nothing has changed");
                return ReloadResult::Invalid;
            }
        };
        keys.extend(prepared.also);
        if keys.is_empty() {
            info!(configuration = from, "configuration read again: it equals what is in force");
            return ReloadResult::Unchanged;
        }
        (prepared.take)();
        self.put_in_force(read, &from, &keys.join(", "));
        ReloadResult::Taken
    }

    /// The rest is taken. The line is logged by the level of the two that shows more.
    fn put_in_force(&mut self, read: Config, from: &str, keys: &str) {
        let level = read.log.level;
        if level > self.in_force.log.level {
            self.level.set(level);
        }
        read.warnings.iter().for_each(|warning| warn!("{warning}"));
        info!(configuration = from, keys, "configuration reloaded");
        self.level.set(level);
        self.in_force = read;
    }
}

#[cfg(test)]
mod tests;
