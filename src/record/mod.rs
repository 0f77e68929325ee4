//! Reading one input record: whose it is, of what asset, from when, or why it cannot be read. Pure.

pub mod dead_letter;
pub mod decode;
pub mod event_time;
pub mod mapping;
pub mod mapped_nodes;
