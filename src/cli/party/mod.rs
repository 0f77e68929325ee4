//! `partnership`, `tenant`, `profile` and `control`: their arguments, and what they show.

#[cfg(feature = "io")]
pub mod args;
#[cfg(feature = "io")]
pub mod columns;
#[cfg(feature = "io")]
pub mod offboard;
#[cfg(feature = "io")]
pub mod publish_preview;
#[cfg(feature = "io")]
pub mod show;
