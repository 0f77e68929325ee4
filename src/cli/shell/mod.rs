//! What a shell, and a person at it, asks of the program itself: completions, the manual, the version.

#[cfg(feature = "io")]
pub mod completion;
pub mod version;
