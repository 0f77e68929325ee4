//! What people and mailers are shown of the shares: lists, histories, dumps of the log, mails, and why an event is refused.

pub mod list;
pub mod history;
pub mod dump;
pub mod mail;
pub mod refusal;
