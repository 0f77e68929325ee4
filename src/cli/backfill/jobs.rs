//! `backfill --list` and `backfill --forget JOB`.

use crate::cli::args::Format;
use crate::cli::exit::{Exit, Failure, input_failure, tell};
use crate::cli::listing::{Cell, ListArgs, Listing, Shown};
use crate::cli::output::{PrintError, exit};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::backfill::checkpoint::PartitionCounts;
use crate::engine::backfill::checkpoint::jobs::{self, KnownJob};
use crate::engine::backfill::input::window::InputRange;
use crate::id::JobName;
use crate::json::writer::{ObjectWriter, object};
use crate::kafka::{Admin, KafkaSettings};
use crate::time::TimestampMs;

/// How long a silent cluster is waited for.
const ASK: std::time::Duration = std::time::Duration::from_secs(30);

/// The list of jobs.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::cli) struct ListedJobs;

impl Listing for ListedJobs {
    const COLUMNS: &'static [&'static str] = &["job", "state", "started", "epoch", "done", "of", "read", "released", "stopped"];
}

/// Lists the jobs that the cluster knows.
pub(super) fn list(config: &Config, format: Format, listed: &ListArgs<ListedJobs>) -> Result<Exit, Failure> {
    let known = known(config)?;
    let now = SystemClock.wall();
    let shown = Shown {
        cells: |(name, job): &(String, KnownJob)| cells(name, job, now),
        id: |(name, _): &(String, KnownJob)| name.clone(),
        json: |(name, job): &(String, KnownJob)| object(|out| write(name, job, now, out)),
    };
    exit(listed.print(format, known.into_iter().collect(), &shown).map_err(PrintError::from))
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

fn cells(name: &str, job: &KnownJob, now: TimestampMs) -> Vec<Cell> {
    let entry = job.stored.entry.as_ref();
    let (counts, (done, all)) = (counts(job), offsets(job));
    let number = |number: u64| Cell::Number(i64::try_from(number).unwrap_or(i64::MAX));
    vec![
        Cell::Text(name.to_owned()),
        Cell::Text(state(job, now).to_owned()),
        Cell::time_if(entry.map(|entry| entry.started.moment())),
        entry.map_or(Cell::None, |entry| Cell::Number(entry.epoch.0)),
        number(done),
        all.map_or(Cell::None, number),
        number(counts.job.read),
        number(counts.job.released),
        number(entry.map_or(0, |entry| entry.stopped.len()) as u64),
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
