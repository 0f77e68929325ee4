//! `sharecast backfill`: old records for those who may see them today (docs/rules/backfill.md).

pub mod args;
mod cluster;
mod file_input;
mod files;
mod jobs;
mod lines;
pub(crate) mod progress;
pub(crate) mod report;

use std::io::IsTerminal;
use std::path::PathBuf;

use self::args::{ArgsContext, BackfillArgs};
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
            JobSource::Files(source) => files::run(&config, &job, source, args.result_format()?),
            JobSource::LiveLog(live) => cluster::run(config, &job, live, args.result_format()?),
        },
        BackfillRequest::List => jobs::list(&config, args.format, &args.jobs),
        BackfillRequest::Forget(job) => jobs::forget(&config, &job),
    }
}
