//! The running engine: workers, control plane, fence, status writer, and what holds them together.
//!
//! In reading order: `fence`, `routes`, `outbox` and `deciding` decide and are pure; `worker` is the one loop,
//! `gathering` its input side, `breaker` its output side, `writing` the transaction, `recovery` its other half; `desk` and `loading` read besides the
//! group, for `upsert` streams and for what open routes are `owed`; `position` says whether a partition's records follow each other, `looking` what a gap holds, `handover`
//! acts on it; `control` folds; `status` and `timers` write what follows, `report` what the workers decide by; `starting` asks and
//! waits before anything begins, `run` puts all together.

mod breaker;
pub mod control;
pub mod counting;
pub mod deciding;
pub mod desk;
pub mod documents;
pub mod ending;
pub mod fence;
mod fetching;
mod gathering;
pub mod handover;
pub mod health;
pub mod http;
pub mod jobs;
pub mod letters;
pub mod loading;
mod looking;
pub mod monitor;
pub mod needs;
pub mod notes;
pub mod outbox;
mod parts;
mod unread;
pub mod position;
pub mod owed;
pub mod probe;
mod recent;
pub mod provision;
pub mod recovery;
pub mod report;
pub mod routes;
pub mod run;
pub mod seeing;
pub mod setback;
pub mod snapshots;
mod starting;
pub mod status;
pub mod stored;
pub mod timers;
pub mod topic_specs;
pub mod topics;
pub mod upsert;
pub mod worker;
mod writing;
