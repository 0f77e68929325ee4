//! TODO

pub mod route;
pub mod lookup;
pub mod outbox;
pub mod dead_letter;
