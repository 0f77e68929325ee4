//! Backfill: which old records those get who may see them today (docs/rules/backfill.md). Pure: bytes and `now` come in, values come out.
//!
//! `Past` folds the control log and keeps what a share and its profile were earlier, `Pinned` is its state at the job's `now`, and
//! `BackfillDecider` decides records by it. `live` asks the graph of this moment the same again, and `files` is a whole job over lines
//! of files.

pub mod options;
mod history;
pub mod past;
pub mod result;
pub mod decide;
pub mod live;
pub mod files;
#[cfg(test)]
mod tests;
