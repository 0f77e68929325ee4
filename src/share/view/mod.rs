//! TODO

pub mod list;
pub mod history;
pub mod dump;
pub mod mail;
pub mod refusal;
