//! Why bytes are no JSON that is read.

/// Why bytes are no JSON that is read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct InvalidJson {
    /// What is wrong, without payload.
    pub what: &'static str,
    /// The byte it was found at.
    pub at: usize,
}
