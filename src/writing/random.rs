//! Bits that nobody can guess.

use std::io::{self, Read};

/// Bits from the system's own source.
///
/// # Errors
/// The system has none.
pub fn random() -> io::Result<[u8; 16]> {
    let mut bits = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bits)?;
    Ok(bits)
}
