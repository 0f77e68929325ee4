//! sharecast gives each tenant a clean Kafka topic of what other tenants share with it.
//!
//! The modules in reading order; each imports only from those above it. Up to `config` everything is pure: no Kafka, no
//! async runtime, no clock, no file; bytes and times come in, values come out.

#[macro_use]
pub mod closed_set;
pub mod simd;
pub mod id;
pub mod time;
pub mod topic;
pub mod document;
pub mod json;
pub mod record;
pub mod profile;
pub mod share;
pub mod release;
pub mod decide;
pub mod sink_state;
pub mod explain;
pub mod replay;
pub mod transport;
pub mod config;
pub mod disclosure;
pub mod backfill;
pub mod scenario;
pub mod schema;
pub mod contract;

#[cfg(feature = "io")]
pub mod clock;
#[cfg(feature = "io")]
pub mod live;
#[cfg(feature = "io")]
pub mod metrics;
#[cfg(feature = "io")]
pub mod listener;
#[cfg(feature = "io")]
pub mod kafka;
#[cfg(feature = "io")]
pub mod engine;
#[cfg(feature = "io")]
pub mod inspect;
#[cfg(feature = "io")]
pub mod access;
#[cfg(feature = "io")]
pub mod writing;
#[cfg(feature = "io")]
pub mod serve;
#[cfg(feature = "io")]
pub mod mailer;

#[cfg(feature = "io")]
pub mod console;

pub mod cli;
