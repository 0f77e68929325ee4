//! Sharing profiles: what an owner lets out of a record, compiled once and applied to many. Pure.

pub(crate) mod action;
pub mod compile;
pub mod condition;
pub mod critical;
pub mod doubt;
mod mask;
pub mod parties;
pub mod preview;
mod program;
pub mod project;
mod recording;
pub mod sample;
pub mod spec;
mod template;
mod trie;
mod value;
pub(crate) mod walk;
#[cfg(test)]
mod tests;
