//! The front door: the processes beside the engine, and who may come in.

pub mod mailer;
pub mod serve;
pub mod token;
