//! Shares: the control events, the rules of their life, the table they fold into and the graph that decisions read. Pure.
//!
//! In reading order: `state` has the words; `configuration` is what the fold judges by; `chunked_vec`, `hash_index`, `paged_vec`, `sorted_set` and
//! `stream_lists` number fifty million things and find them, in little memory; `event` reads a control record; `status` writes a share's
//! document; `lifecycle` decides what follows from an event on a share; the `table` folds; the `graph` is the immutable index that decisions read; a `snapshot`
//! keeps the table; a `view` is what people see of it; `bulk` is one command for many shares.

pub mod state;
pub mod configuration;
mod profile_slot;
mod chunked_vec;
mod hash_index;
mod paged_vec;
mod sorted_set;
mod stream_lists;
pub mod event;
pub mod status;
pub mod lifecycle;
pub mod graph;
pub mod table;
pub mod snapshot;
pub mod view;
pub mod bulk;

#[cfg(test)]
pub(crate) mod tests;
