//! Bits that nobody can guess.

use crate::cli::exit::{Exit, Failure};

/// Bits from the system's own source.
pub(super) fn random() -> Result<[u8; 16], Failure> {
    use std::io::Read;
    let mut bits = [0; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bits))
        .map_err(|error| Failure::new(Exit::Failed, format!("no random bits: {error}")))?;
    Ok(bits)
}
