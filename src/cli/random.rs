//! Bits that nobody can guess.

use crate::cli::exit::{Exit, Failure};
use crate::writing;

/// Bits from the system's own source.
pub(super) fn random() -> Result<[u8; 16], Failure> {
    writing::random::random().map_err(|error| Failure::new(Exit::Failed, format!("no random bits: {error}")))
}
