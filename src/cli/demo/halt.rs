//! Why the story goes no further.

/// Why the story goes no further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Halt {
    /// Somebody pressed Ctrl-C, or the engine ended: `Stage::end` says which.
    #[error("stopped")]
    Stopped,
    /// Something is not as it was promised.
    #[error("{0}")]
    Broken(String),
}

impl Halt {
    /// What is not as promised.
    pub(super) fn broken(what: impl ToString) -> Self {
        Self::Broken(what.to_string())
    }
}
