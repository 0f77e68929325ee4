//! How a command ends: the exit codes of docs/rules/cli.md#exit-codes.

use std::process::ExitCode;

#[cfg(feature = "io")]
use crate::kafka::{AdminError, ClientError};
#[cfg(feature = "io")]
use crate::transport::ConsumeError;

/// An exit code. Where a signal is not caught, its code is the shell's to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All is well.
    Ok = 0,
    /// A check or test failed.
    Failed = 1,
    /// There is something to change, and it was only to be looked at.
    Changes = 2,
    /// The command line is wrong, or names an input that is not there.
    Usage = 64,
    /// Input data that cannot be used.
    BadData = 65,
    /// No broker answers.
    Unavailable = 69,
    /// The configuration is wrong.
    Configuration = 78,
    /// SIGHUP ended it.
    HungUp = 129,
    /// SIGINT ended it.
    Interrupted = 130,
    /// SIGTERM ended it.
    Terminated = 143,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command ended early, and with which code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The code.
    pub exit: Exit,
    /// What a person is told.
    pub message: String,
}

impl Failure {
    /// A failure with its message.
    pub fn new(exit: Exit, message: impl ToString) -> Self {
        Self { exit, message: message.to_string() }
    }
}

/// A line on stderr. Where nobody reads it, or it cannot be written, the command goes on: what it does must not hang on that.
macro_rules! tell {
    ($($arg:tt)+) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr(), $($arg)+);
    }};
}
pub(crate) use tell;

/// A text as a terminal may be given it: what others wrote must not steer it.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Tells a person on stderr; answers the code.
pub fn report(failure: Failure) -> Exit {
    tell!("{}", failure.message);
    failure.exit
}

/// Of a client of Kafka: no broker, or one that refuses.
#[cfg(feature = "io")]
pub(super) fn client_failure(error: ClientError) -> Failure {
    let exit = if matches!(error, ClientError::Unavailable(_)) { Exit::Unavailable } else { Exit::Configuration };
    Failure::new(exit, error)
}

/// Of reading a topic.
#[cfg(feature = "io")]
pub(super) fn input_failure(error: ConsumeError) -> Failure {
    let exit = match error {
        ConsumeError::Unavailable(_) => Exit::Unavailable,
        ConsumeError::Refused(_) => Exit::Configuration,
        ConsumeError::Fatal(_) => Exit::Failed,
    };
    Failure::new(exit, error)
}

/// Of making and changing topics.
#[cfg(feature = "io")]
pub(super) fn admin_failure(error: AdminError) -> Failure {
    match error {
        AdminError::Client(error) => client_failure(error),
        refused => Failure::new(Exit::Configuration, refused),
    }
}
