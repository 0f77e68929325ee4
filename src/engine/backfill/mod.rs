//! Backfill by the live log: a job beside the engine, with clients of its own (docs/backfill.md).
//!
//! In reading order: `window` finds what is to be read, `input` reads it; `checkpoint` is what a job notes of itself, `store` reads that
//! back, `digest` says whether the configuration decides as it did; `pace` and `lag` say how fast; `cuts` and `stops` are what the live
//! log takes away, `report` tells those who wait for a revoke; `job` is what workers share, `decide` and `copy` are a worker, `output` is
//! where its parts go: to topics, to a folder, or nowhere. `plane` follows the live log, `run` puts a job together.

pub mod window;
pub mod input;
pub mod checkpoint;
pub mod store;
pub mod digest;
pub mod expiry;
pub mod pace;
pub mod lag;
pub mod cuts;
pub mod stops;
pub mod report;
pub mod job;
pub(crate) mod decide;
pub mod output;
pub mod kafka_output;
pub mod folder_output;
pub mod copy;
pub mod plane;
pub mod prepare;
pub mod run;
pub mod estimate;
pub mod jobs;
pub mod metrics;
