//! JSON as records carry it: validated in full, kept as written.

pub(crate) mod chunk;
pub mod decimal;
pub mod document;
pub mod error;
pub mod path;
pub(crate) mod scan;
pub mod step;
pub mod tape;
pub mod text;
pub mod writer;
#[cfg(test)]
mod tests;
