//! `backfill --list` and `backfill --forget JOB`.

use std::io;

use super::args::ResultFormat;
use crate::cli::exit::{Exit, Failure, input_failure, tell};
use crate::cli::output::{PrintError, exit, print_table};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::backfill::checkpoint::PartitionCounts;
use crate::engine::backfill::checkpoint::jobs::{self, KnownJob};
use crate::engine::backfill::input::window::InputRange;
use crate::id::JobName;
use crate::json::writer::{ObjectWriter, write_array};
use crate::kafka::{Admin, KafkaSettings};
use crate::time::TimestampMs;

/// How long a silent cluster is waited for.
const ASK: std::time::Duration = std::time::Duration::from_secs(30);

/// Lists the jobs that the cluster knows.
pub(super) fn list(config: &Config, format: ResultFormat) -> Result<Exit, Failure> {
    let known = known(config)?;
    let now = SystemClock.wall();
    exit(match format {
        ResultFormat::Table => {
            let rows: Vec<Vec<String>> = known.iter().map(|(name, job)| row(name, job, now)).collect();
            print_table(&["JOB", "STATE", "STARTED", "EPOCH", "DONE", "READ", "RELEASED", "STOPPED"], &rows, &mut io::stdout().lock())
                .map_err(PrintError::from)
        }
        ResultFormat::Json => {
            let mut out = Vec::new();
            write_array(&mut out, |out| known.iter().for_each(|(name, job)| out.object(|out| write(name, job, now, out))));
            out.push(b'\n');
            io::Write::write_all(&mut io::stdout().lock(), &out).map_err(PrintError::from)
        }
    })
}

/// Forgets a job that does not run.
pub(super) fn forget(config: &Config, name: &JobName) -> Result<Exit, Failure> {
    let known = known(config)?;
    let Some(job) = known.get(name.as_str()) else {
        return Err(Failure::new(Exit::Usage, format!("there is no job {name}; `backfill --list` lists those that there are")));
    };
    if let (true, Some(at)) = (job.is_running(SystemClock.wall()), job.reported) {
        let what = format!("job {name} is running: it reported last at {}. Stop it first, or wait until its report is old", at.moment());
        return Err(Failure::new(Exit::Failed, what));
    }
    jobs::forget(config, &KafkaSettings::of(&config.kafka), name, &job.stored).map_err(|error| Failure::new(Exit::Failed, error))?;
    tell!("job {name} is forgotten; what it has written stays");
    Ok(Exit::Ok)
}

fn known(config: &Config) -> Result<std::collections::BTreeMap<String, KnownJob>, Failure> {
    let kafka = KafkaSettings::of(&config.kafka);
    let admin = Admin::open(&kafka, ASK).map_err(crate::cli::exit::client_failure)?;
    // Who is refused, or reaches nobody, is told so at once, and why.
    admin.cluster_id().map_err(crate::cli::exit::client_failure)?;
    for topic in [&config.topics.backfill, &config.topics.state] {
        // Where there never was a job there need be no topic.
        if admin.topic(topic).map_err(crate::cli::exit::client_failure)?.is_none() {
            return Ok(Default::default());
        }
    }
    jobs::known(config, &kafka).map_err(input_failure)
}

fn state(job: &KnownJob, now: TimestampMs) -> &'static str {
    match (&job.stored.entry, job.is_running(now)) {
        (Some(entry), _) if entry.is_done => "done",
        (_, true) => "running",
        (Some(_), false) => "unfinished",
        (None, false) => "broken",
    }
}

fn counts(job: &KnownJob) -> PartitionCounts {
    let mut counts = PartitionCounts::default();
    job.stored.partitions.values().for_each(|partition| counts.add(&partition.counts));
    counts
}

/// How many offsets are done, and how many there are, if that is known.
fn offsets(job: &KnownJob) -> (u64, Option<u64>) {
    let ranges = job.stored.entry.as_ref().map(|entry| entry.ranges.as_slice()).unwrap_or_default();
    let done = |(partition, range): (usize, &InputRange)| {
        let at = job.stored.partitions.get(&(partition as i32)).map_or(range.start, |partition| partition.offset);
        (at.0 - range.start.0).max(0) as u64
    };
    (ranges.iter().enumerate().map(done).sum(), InputRange::sum(ranges))
}

fn row(name: &str, job: &KnownJob, now: TimestampMs) -> Vec<String> {
    let entry = job.stored.entry.as_ref();
    let (counts, (done, all)) = (counts(job), offsets(job));
    let of = all.map_or_else(|| done.to_string(), |all| format!("{done} of {all}"));
    vec![
        name.to_owned(),
        state(job, now).to_owned(),
        entry.map_or_else(String::new, |entry| entry.started.moment().to_string()),
        entry.map_or_else(String::new, |entry| entry.epoch.to_string()),
        of,
        counts.job.read.to_string(),
        counts.job.released.to_string(),
        entry.map_or(0, |entry| entry.stopped.len()).to_string(),
    ]
}

fn write(name: &str, job: &KnownJob, now: TimestampMs, out: &mut ObjectWriter<'_>) {
    let (counts, (done, all)) = (counts(job), offsets(job));
    out.text("job", name);
    out.text("state", state(job, now));
    if let Some(entry) = &job.stored.entry {
        out.time("started", entry.started.moment());
        out.time("now", entry.now.moment());
        out.number("epoch", entry.epoch.0);
        out.number("stopped", entry.stopped.len() as u64);
    }
    out.time_if("reported", job.reported.map(TimestampMs::moment));
    out.number("done", done);
    if let Some(all) = all {
        out.number("offsets", all);
    }
    out.number("read", counts.job.read);
    out.number("released", counts.job.released);
}
