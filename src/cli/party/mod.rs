//! TODO

#[cfg(feature = "io")]
pub mod args;
#[cfg(feature = "io")]
pub mod show;
