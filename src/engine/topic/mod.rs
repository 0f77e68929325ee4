//! TODO

pub mod names;
pub mod spec;
pub mod required;
pub mod provision;
pub mod state;
pub mod stored;
