//! `sharecast backfill`: old records for those who may see them today (docs/rules/backfill.md).

pub mod args;
#[cfg(feature = "io")]
mod cluster;
#[cfg(feature = "io")]
mod file_input;
mod files;
#[cfg(feature = "io")]
mod jobs;
mod lines;
pub(crate) mod progress;
pub(crate) mod report;

use std::io::IsTerminal;
use std::path::PathBuf;

use self::args::{ArgsContext, BackfillArgs};
#[cfg(not(feature = "io"))]
use self::args::ResultFormat;
#[cfg(not(feature = "io"))]
use crate::backfill::options::{JobOptions, LiveJob};
#[cfg(not(feature = "io"))]
use crate::config::Config;
#[cfg(not(feature = "io"))]
use crate::id::JobName;
use crate::backfill::options::{BackfillRequest, JobSource};
use crate::cli::config;
use crate::cli::exit::{Exit, Failure};
use crate::clock::{Clock, SystemClock};

/// Runs a job, or does what is asked about jobs. The configuration is looked at first (exit 78), then the command line (exit 64).
pub fn run(files: &[PathBuf], args: &BackfillArgs) -> Result<Exit, Failure> {
    let config = config::load(files)?;
    let around = ArgsContext { config: &config, now: SystemClock.wall(), can_ask: std::io::stdin().is_terminal() };
    match args.resolve(&around)? {
        BackfillRequest::Run(job) => match &job.source {
            JobSource::Files(source) => files::run(&config, &job, source, args.format),
            JobSource::LiveLog(live) => by_live_log(config, &job, live, args.format),
        },
        BackfillRequest::List => list(&config, args.format),
        BackfillRequest::Forget(job) => forget(&config, &job),
    }
}

#[cfg(feature = "io")]
use self::cluster::run as by_live_log;
#[cfg(feature = "io")]
use self::jobs::{forget, list};

#[cfg(not(feature = "io"))]
fn without_kafka() -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Usage, "this program was built without Kafka: give --control and --input, and --output dir:PATH"))
}

#[cfg(not(feature = "io"))]
fn by_live_log(_: Config, _: &JobOptions, _: &LiveJob, _: ResultFormat) -> Result<Exit, Failure> {
    without_kafka()
}

#[cfg(not(feature = "io"))]
fn list(_: &Config, _: ResultFormat) -> Result<Exit, Failure> {
    without_kafka()
}

#[cfg(not(feature = "io"))]
fn forget(_: &Config, _: &JobName) -> Result<Exit, Failure> {
    without_kafka()
}
