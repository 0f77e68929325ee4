//! JSON as records carry it: validated in full, kept as written.

pub mod decimal;
pub mod document;
pub mod path;
mod path_text;
mod reader;
mod scan;
pub mod step;
pub mod tape;
pub mod text;
pub mod writer;
#[cfg(test)]
mod tests;
