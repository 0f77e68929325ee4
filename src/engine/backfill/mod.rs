//! Backfill by the live log: a job beside the engine, with clients of its own (docs/backfill.md).
//!
//! In reading order: `input` is what is read, and which part of it; `checkpoint` is what a job notes of itself, how that is read back, and
//! whether the configuration decides as it did; `rate_limiter` and `lag` say how fast; `cuts` and `stops` are what the live log takes away,
//! `report` tells those who wait for a revoke; `job` is what workers share, `decide` and `copy` are a worker, `output` is where its parts
//! go: to topics, to a folder, or nowhere. `plane` follows the live log, `prepare` and `run` put a job together.

pub mod input;
pub mod checkpoint;
pub mod rate_limiter;
pub mod lag;
pub mod cuts;
pub mod stops;
pub mod report;
pub mod job;
pub(crate) mod decide;
pub mod output;
pub mod copy;
pub mod plane;
pub mod prepare;
pub mod run;
pub mod estimate;
pub mod metrics;
