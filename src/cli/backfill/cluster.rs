//! A job by the log of a live cluster (docs/backfill.md).

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use super::args::ResultFormat;
use super::file_input::FileInput;
use super::lines::LineFile;
use super::progress::{Done, ProgressBar, bytes_in_words};
use super::report::{JobHead, print_result, tell_head};
use crate::backfill::options::{FolderOutput, InputFile, JobOptions, JobOutput, JobStart, LiveInput, LiveJob};
use crate::cli::config::name_of;
use crate::cli::exit::{Exit, Failure, tell};
use crate::cli::logging;
use crate::cli::output;
use crate::cli::random::random;
use crate::cli::replay::make_room;
use crate::cli::signal::on_signal;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, LogConfig, LogLevel};
use crate::engine::backfill::estimate::estimate;
use crate::engine::backfill::input::{JobInput, TopicInput};
use crate::engine::backfill::job::{JobEnd, ProgressSeen};
use crate::engine::backfill::metrics::{self as job_metrics, JobHealth};
use crate::engine::backfill::output::folder::JobFolder;
use crate::engine::backfill::prepare::{JobError, JobRequest, PreparedJob, prepare};
use crate::engine::backfill::run::{self as engine, JobOutcome, decider, refusal_of_expiring};
use crate::engine::server::http::{self, Served};
use crate::engine::server::shutdown::RunError;
use crate::id::JobName;
use crate::kafka::KafkaSettings;
use crate::listener;
use crate::metrics;

/// Runs the job. What cannot begin is told before anything is asked or written.
pub(super) fn run(config: Config, options: &JobOptions, job: &LiveJob, format: ResultFormat) -> Result<Exit, Failure> {
    logging::init(&quiet(&config.log));
    let name = name(&job.start)?;
    if job.start == JobStart::Unnamed {
        tell!("job {name}");
    }
    let signal = Signal::listen()?;
    serve_metrics(job, &signal)?;
    let request = JobRequest {
        kafka: KafkaSettings::of(&config.kafka),
        config,
        options: options.clone(),
        job: job.clone(),
        name,
        clock: Arc::new(SystemClock),
        stop: Arc::clone(&signal.stop),
    };
    let Some(prepared) = prepare(&request).map_err(failure)? else { return Ok(signal.exit()) };
    let warnings = say_what_it_is(&request, &prepared);
    if prepared.is_done {
        tell!("job {} is done; this is what came of it", request.name);
        return finish(&request, engine::result_of(&request, &prepared), warnings, format);
    }
    if !prepared.expiring.is_empty() && !job.allows_expiring {
        return Err(Failure::new(Exit::Usage, refusal_of_expiring(&prepared.expiring)));
    }
    if prepared.targets.is_empty() {
        return finish(&request, engine::result_of(&request, &prepared), warnings, format);
    }
    if request.writes_topics() && !job.is_confirmed && !confirm(&request, &prepared)? {
        tell!("nothing was written");
        return Ok(Exit::Failed);
    }
    make_folder(&request)?;
    let ended = copy(&request, prepared);
    match ended {
        Ok(outcome) => finish(&request, outcome, warnings, format),
        Err(JobError::Ended(JobEnd::Interrupted)) if signal.was_heard() => {
            tell!("interrupted: {}", how_to_resume(&request));
            Ok(signal.exit())
        }
        Err(error) => {
            let failure = failure(error);
            let is_resumable = failure.exit != Exit::Usage && !request.options.is_dry_run;
            Err(if is_resumable { Failure::new(failure.exit, format!("{failure}\n{}", how_to_resume(&request))) } else { failure })
        }
    }
}

/// What a job says is on stderr besides its progress: of what goes well nothing is logged, unless the configuration asks for more.
fn quiet(log: &LogConfig) -> LogConfig {
    let level = match log.level {
        LogLevel::Info => LogLevel::Warn,
        level => level,
    };
    LogConfig { level, ..*log }
}

fn name(start: &JobStart) -> Result<JobName, Failure> {
    match start {
        JobStart::Named(name) | JobStart::Resumed(name) => Ok(name.clone()),
        JobStart::Unnamed => {
            let bits: String = random()?.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
            JobName::parse(&format!("job-{bits}")).map_err(|error| Failure::new(Exit::Failed, error))
        }
    }
}

/// The signal that ends the job.
struct Signal {
    stop: Arc<AtomicBool>,
    heard: Arc<AtomicU8>,
}

impl Signal {
    fn listen() -> Result<Self, Failure> {
        let signal = Self { stop: Arc::default(), heard: Arc::new(AtomicU8::new(Exit::Ok as u8)) };
        let (stop, heard) = (Arc::clone(&signal.stop), Arc::clone(&signal.heard));
        on_signal(move |exit| {
            heard.store(exit as u8, Ordering::Relaxed);
            stop.store(true, Ordering::Relaxed);
        })?;
        Ok(signal)
    }

    fn was_heard(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn exit(&self) -> Exit {
        let code = self.heard.load(Ordering::Relaxed);
        [Exit::Terminated, Exit::HungUp].into_iter().find(|exit| *exit as u8 == code).unwrap_or(Exit::Interrupted)
    }
}

fn serve_metrics(job: &LiveJob, signal: &Signal) -> Result<(), Failure> {
    let Some(address) = job.metrics else { return Ok(()) };
    let failed = |error: io::Error| Failure::new(Exit::Usage, format!("--metrics {address}: {error}"));
    let listener = listener::bind(address).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    tell!("metrics at http://{address}/metrics");
    let handle = metrics::install().map_err(|error| Failure::new(Exit::Failed, error))?;
    job_metrics::begin();
    let stop = Arc::clone(&signal.stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let served = Served { health: Arc::new(JobHealth), metrics: handle, clock: Arc::new(SystemClock) };
    let serve = move || runtime.block_on(http::serve(listener, served, stop));
    std::thread::Builder::new().name("http".to_owned()).spawn(serve).map(drop).map_err(failed)
}

/// The first lines, and what should be known before the job begins; returns what its result repeats.
fn say_what_it_is(request: &JobRequest, prepared: &PreparedJob) -> Vec<String> {
    let stream = request.stream();
    tell_head(&JobHead {
        job: &request.name,
        stream: stream.name.as_str(),
        window: request.options.window,
        epoch: prepared.pinned.epoch(),
        now: prepared.pinned.now(),
        reach: prepared.pinned.reach(stream),
        is_dry_run: request.options.is_dry_run,
    });
    let from = request.options.window.from();
    let late = prepared.begins_late.iter().map(|(partition, oldest)| (partition, oldest.moment()));
    let warnings: Vec<String> = late
        .map(|(partition, oldest)| {
            format!("{}/{partition} begins at {oldest}: it holds nothing from --from {from} up to there", stream.topic)
        })
        .collect();
    warnings.iter().for_each(|warning| tell!("warning: {warning}"));
    if request.options.is_dry_run || request.job.allows_expiring {
        let named = prepared.expiring.iter();
        named.for_each(|topic| tell!("warning: {} deletes what the job writes again ({})", topic.topic, topic.setting));
    }
    warnings
}

/// Asks at the terminal, after an estimate.
fn confirm(request: &JobRequest, prepared: &PreparedJob) -> Result<bool, Failure> {
    let mut input: Box<dyn JobInput + '_> = match &request.job.input {
        LiveInput::Topic { .. } => {
            let stream = request.stream();
            Box::new(TopicInput::new(&request.kafka, &stream.topic, stream.index))
        }
        LiveInput::Files(files) => Box::new(FileInput::new(request.stream(), files, &Arc::default())),
    };
    match estimate(request, prepared, &mut *input, decider(request)) {
        Ok(Some(about)) => tell!(
            "about {} records ({}) are read and {} ({}) written to {} topics",
            about.read,
            bytes_in_words(about.bytes_read),
            about.released,
            bytes_in_words(about.bytes_released),
            prepared.targets.len()
        ),
        Ok(None) => tell!("how much is read is not known; it is written to {} topics", prepared.targets.len()),
        Err(error) => return Err(Failure::new(Exit::Unavailable, error)),
    }
    let _ = write!(io::stderr(), "Go on? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::new(Exit::Failed, format!("no answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A folder that is written from the beginning is new or empty.
fn make_folder(request: &JobRequest) -> Result<(), Failure> {
    let JobOutput::Folder(FolderOutput { path, is_forced }) = &request.job.output else { return Ok(()) };
    if request.options.is_dry_run || request.is_resumed() {
        return Ok(());
    }
    if *is_forced {
        JobFolder::forget(path).map_err(|error| Failure::new(Exit::Usage, error))?;
    }
    let files = match &request.job.input {
        LiveInput::Files(files) => files.as_slice(),
        LiveInput::Topic { .. } => &[],
    };
    let read: Vec<&std::path::Path> = files.iter().filter_map(path_of).collect();
    make_room(path, *is_forced, &read)
}

fn path_of(file: &InputFile) -> Option<&std::path::Path> {
    match file {
        InputFile::StandardInput => None,
        InputFile::Path(path) => Some(path),
    }
}

/// Copies everything, and shows how far it is.
fn copy(request: &JobRequest, prepared: PreparedJob) -> Result<JobOutcome, JobError> {
    let files = match &request.job.input {
        LiveInput::Files(files) => files.as_slice(),
        LiveInput::Topic { .. } => &[],
    };
    let sizes = files.iter().map(|file| LineFile::open(file).map(|file| file.size())).collect::<Result<Vec<_>, _>>();
    let file_bytes: Option<u64> = sizes.map_err(|failure| JobError::Usage(failure.message))?.into_iter().sum();
    let taken = Arc::new(AtomicU64::new(0));
    let is_files = !files.is_empty();
    let mut bar = ProgressBar::begin(SystemClock.boot());
    let mut tell = |seen: &ProgressSeen, offsets: Option<u64>| {
        job_metrics::observe(seen, offsets);
        let records = seen.counts.job.read;
        let done = if is_files {
            Done { records, bytes: taken.load(Ordering::Relaxed), total: file_bytes }
        } else {
            // How many bytes lie ahead is not known: as many a record as lie behind.
            let total = offsets.filter(|_| seen.done > 0).map(|all| (seen.bytes as f64 * all as f64 / seen.done as f64) as u64);
            Done { records, bytes: seen.bytes, total: total.map(|total| total.max(seen.bytes)) }
        };
        bar.show(done, SystemClock.boot());
    };
    let make = || -> Result<Box<dyn JobInput + '_>, JobEnd> { Ok(Box::new(FileInput::new(request.stream(), files, &taken))) };
    let ended = engine::run(request, prepared, &make, &mut tell);
    bar.clear();
    ended
}

/// Says what came of it; what is not whole is exit 1.
fn finish(request: &JobRequest, outcome: JobOutcome, warnings: Vec<String>, format: ResultFormat) -> Result<Exit, Failure> {
    let JobOutcome { mut result, skipped, lost, withheld } = outcome;
    result.warnings = warnings;
    if lost > 0 {
        let what = format!("{lost} offsets of the input were deleted by its retention before they were read: what they held is missing");
        result.warnings.push(what);
    }
    for (topic, count) in &skipped {
        result.warnings.push(format!("{topic} failed and did not get {count} records (--skip-failed-routes)"));
    }
    if withheld > 0 {
        result.warnings.push(format!("{withheld} records were withheld: shares were changed, paused or ended while the job ran"));
    }
    output::exit(print_result(&result, format))?;
    for stopped in &result.stopped {
        tell!(
            "share {} was stopped at partition {} offset {}: {}",
            stopped.share,
            stopped.partition,
            stopped.offset,
            stopped.reason.word()
        );
    }
    if !result.stopped.is_empty() {
        let shares: Vec<String> = result.stopped.iter().map(|stopped| format!(" --share {}", stopped.share)).collect();
        tell!("what they may get now is another job's: {}{}", command(request), shares.concat());
    }
    let is_whole = result.stopped.is_empty() && skipped.is_empty() && lost == 0;
    Ok(if is_whole { Exit::Ok } else { Exit::Failed })
}

fn how_to_resume(request: &JobRequest) -> String {
    let is_standard_input = matches!(&request.job.input, LiveInput::Files(files) if files.contains(&InputFile::StandardInput));
    match (request.options.is_dry_run, is_standard_input) {
        (true, _) => "nothing was written; run it again".to_owned(),
        (false, true) => format!(
            "what is committed stays, and standard input cannot be resumed; `sharecast backfill --forget {}` forgets the job",
            request.name
        ),
        (false, false) => {
            format!("what is committed stays; go on with: {}{} --job {} --resume", command(request), filters(request), request.name)
        }
    }
}

/// The command that looks at the same records, without its filters.
fn command(request: &JobRequest) -> String {
    let (stream, window) = (request.stream(), request.options.window);
    let mut command = format!("sharecast backfill --stream {} --from {} --to {}", stream.name, window.from(), window.to());
    match &request.job.input {
        LiveInput::Topic { slack } => command += &format!(" --slack {}ms", slack.millis()),
        LiveInput::Files(files) => {
            let files = files.iter().filter_map(path_of).map(|path| format!(" --input {}={}", stream.name, name_of(path)));
            command.extend(files);
        }
    }
    match &request.job.output {
        JobOutput::Tenants => {}
        JobOutput::Topics(template) => command += &format!(" --output 'topic:{}'", template.topic("{tenant}", "{stream}")),
        JobOutput::Folder(folder) => command += &format!(" --output dir:{}", folder.path.display()),
    }
    if request.writes_topics() {
        command += " --yes";
    }
    command
}

fn filters(request: &JobRequest) -> String {
    let filters = &request.options.filters;
    let all = [("share", &filters.shares), ("target", &filters.targets), ("owner", &filters.owners), ("asset", &filters.assets)];
    let quoted = |value: &String| format!("'{}'", value.replace('\'', "'\\''"));
    all.iter().flat_map(|(name, values)| values.iter().map(move |value| format!(" --{name} {}", quoted(value)))).collect()
}

fn failure(error: JobError) -> Failure {
    let exit = match &error {
        JobError::Usage(_) => Exit::Usage,
        JobError::Run(RunError::Configuration(_)) => Exit::Configuration,
        JobError::Run(RunError::Unavailable(_)) => Exit::Unavailable,
        JobError::Ended(JobEnd::BadLine(_)) => Exit::BadData,
        JobError::Ended(JobEnd::Refused(_)) => Exit::Configuration,
        JobError::Ended(JobEnd::Interrupted) => Exit::Interrupted,
        JobError::Run(RunError::Failed(_)) | JobError::Ended(JobEnd::Fenced { .. } | JobEnd::RouteFailed { .. } | JobEnd::Failed(_)) => {
            Exit::Failed
        }
    };
    Failure::new(exit, error)
}
