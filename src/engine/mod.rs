//! The running engine: workers, control plane, fence, status writer, and what holds them together.
//!
//! In reading order: `topic` names topics and spells what is stored; the `fence` says whether a view is fresh; `output` is where records
//! go; `worker` is the one loop and its transaction; `restore` reads besides the group, what a partition that came needs and what failed
//! routes are owed; `upsert` keeps tables of documents; `control` folds the control topic, and `feed` is what it tells
//! the others; `status` writes what became of it; `server` starts
//! and ends all of them and says how they are; `backfill` is a job beside all that.

pub mod feed;
pub mod topic;
pub mod fence;
pub mod output;
pub mod worker;
pub mod restore;
pub mod upsert;
pub mod control;
pub mod status;
pub mod server;
pub mod backfill;
