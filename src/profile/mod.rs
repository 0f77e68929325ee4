//! Sharing profiles: what an owner lets out of a record, compiled once and applied to many. Pure.

mod action;
pub mod compile;
pub mod doubt;
mod mask;
mod plain;
mod plan;
pub mod preview;
pub mod project;
mod rename;
mod renamed;
pub mod spec;
mod template;
mod trie;
mod value;
mod walk;
#[cfg(test)]
mod tests;
