//! The running engine: workers, control plane, fence, status writer, and what holds them together.
//!
//! In reading order: `fence`, `routes`, `outbox` and `deciding` decide and are pure; `worker` is the one loop,
//! `gathering` its input side, `breaker` its output side, `writing` the transaction, `recovery` its other half; `desk` and `loading` read besides the
//! group, for `upsert` streams and for what open routes are `owed`; `position` says whether a partition's records follow each other, `looking` what a gap holds, `handover`
//! acts on it; `control` folds; `status` and `timers` write what follows, `report` what the workers decide by; `starting` asks and
//! waits before anything begins, `run` puts all together.

pub mod upsert;
pub mod topic;
pub mod fence;
pub mod output;
pub mod restore;
pub mod control;
pub mod status;
pub mod worker;
pub mod server;
