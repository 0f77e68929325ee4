//! Logs, on stderr.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogConfig, LogFormat, LogLevel};

/// Changes what is logged.
pub struct LevelSwitch(reload::Handle<LevelFilter, Registry>);

impl LevelSwitch {
    /// From here on this and what is worse.
    pub fn set(&self, level: LogLevel) {
        // The logs that it belongs to end with the process.
        let _ = self.0.reload(filter(level));
    }
}

/// Starts logging; a second call changes nothing, and its switch has nothing to change.
pub fn init(log: &LogConfig) -> LevelSwitch {
    let is_json = match log.format {
        LogFormat::Auto => !stderr().is_terminal(),
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let has_colours = stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let (level, switch) = reload::Layer::new(filter(log.level));
    let lines = fmt::layer().with_writer(stderr);
    let lines = if is_json { lines.json().flatten_event(true).boxed() } else { lines.with_ansi(has_colours).boxed() };
    // A test may have set up its own; then that one stays.
    let _ = tracing_subscriber::registry().with(level).with(lines).try_init();
    LevelSwitch(switch)
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
