//! Writing control events, for the command line and the API alike: what an event is made of, what belongs to it, and what follows it.
//!
//! Whether an event would be refused is tried by `share::bulk`, on a copy of the table. `events` makes records of what is to be written,
//! `invitation` has the codes that invite, and `mail_topic` tells the mailer of them.

pub mod events;
pub mod invitation;
pub mod mail_topic;
pub mod certainty;
pub(crate) mod pending_offsets;
pub mod random;
