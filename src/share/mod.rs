//! Shares: the control events, the rules of their life, the table they fold into and the graph that decisions read. Pure.
//!
//! In reading order: `kind`, `event`, `fields`, `code`, `invitee` and `data` read a control record; `state` and `lifecycle` are the rules,
//! which ask their `surroundings`; `entry`, `streams`, `tenant`, `profiles`, `schedule` and `memory` are what the table
//! holds, in `slab`s found by `index`; `table` folds, with `deeds`, `partnership`, `publish` for the events and `change`
//! for what follows from one; `graph` is the immutable index on a `trie`; `status` and `query` are what comes out,
//! `listing`, `roster`, `history` and `dump` what people look at, `lines` and `bulk` one command for many shares, `refusal` why it is refused in a sentence, `write_token` the ids of one write, `mail` what the invited are sent, `snapshot` keeps it, in parts, by `codec`.

pub mod bulk;
pub mod bulk_names;
pub mod code;
pub mod data;
pub mod dump;
pub mod event;
pub mod graph;
pub mod history;
pub mod invitee;
pub mod kind;
pub mod lifecycle;
pub mod lines;
pub mod listing;
pub mod mail;
pub mod query;
pub mod refusal;
pub mod roster;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod table;
pub mod write_token;

mod already;
mod change;
mod codec;
mod deeds;
mod entry;
mod fields;
mod in_words;
mod index;
mod memory;
mod partnership;
mod profiles;
mod publish;
mod schedule;
mod slab;
mod snapshot_parties;
mod snapshot_shares;
mod stored;
mod streams;
mod surroundings;
mod tenant;
mod trie;

#[cfg(test)]
mod bulk_tests;
#[cfg(test)]
mod code_tests;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod look_laws;
#[cfg(test)]
mod random_log;
#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
