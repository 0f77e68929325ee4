//! Shares: the control events, the rules of their life, the table they fold into and the graph that decisions read. Pure.
//!
//! In reading order: `kind`, `event`, `fields`, `code`, `invitee` and `data` read a control record; `state` and `lifecycle` are the rules,
//! which ask their `surroundings`; `entry`, `streams`, `tenant`, `profiles`, `schedule` and `memory` are what the table
//! holds, in `slab`s found by `index`; `table` folds, with `deeds`, `partnership`, `publish` for the events and `change`
//! for what follows from one; `graph` is the immutable index on a `trie`; `status` and `query` are what comes out,
//! `listing`, `roster`, `history` and `dump` what people look at, `lines` and `bulk` one command for many shares, `refusal` why it is refused in a sentence, `write_token` the ids of one write, `mail` what the invited are sent, `snapshot` keeps it, in parts, by `codec`.

pub mod state;
pub mod status;
pub mod event;
pub mod lifecycle;
pub mod table;
pub mod graph;
pub mod snapshot;

pub mod view;
pub mod bulk;
pub(crate) mod reasons;
pub mod tests;
