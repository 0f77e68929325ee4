//! The command line of `backfill`, and what it asks for (docs/rules/backfill.md#options).

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::jobs::ListedJobs;
use crate::backfill::options::{
    BackfillRequest, FileJob, FolderOutput, InputFile, JobOptions, JobOutput, JobSource, JobStart, LiveInput, LiveJob, Rate, ShareFilters,
    Window,
};
use crate::cli::args::Format;
use crate::cli::argument;
use crate::cli::exit::{Exit, Failure};
use crate::cli::listing::ListArgs;
use crate::cli::replay::read_input;
use crate::cli::time_argument::{TimeArgument, TimeOption};
use crate::config::Config;
use crate::id::JobName;
use crate::record::mapping::{Mode, Stream};
use crate::time::{Period, TimestampMs, TimestampNs};

/// Which records, for whom, and where to.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BackfillArgs {
    /// The stream, an append stream
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<String>,
    /// The first event time: a time, a date, today, or how long back from now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// The first event time that is not in any more
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// Only this share; several are alternatives
    #[arg(long = "share", value_name = "SHARE")]
    pub shares: Vec<String>,
    /// Only shares to this tenant; several are alternatives
    #[arg(long = "target", value_name = "TENANT")]
    pub targets: Vec<String>,
    /// Only shares of this tenant; several are alternatives
    #[arg(long = "owner", value_name = "TENANT")]
    pub owners: Vec<String>,
    /// Only shares of this asset, in its owner's words; several are alternatives
    #[arg(long = "asset", value_name = "ASSET")]
    pub assets: Vec<String>,
    /// Where records go: `tenants` (their own topics, the default), `topic:TEMPLATE` or `dir:PATH`
    #[arg(long, value_name = "WHERE")]
    pub output: Option<String>,
    /// The job's name; in `_share`, and what it is resumed by
    #[arg(long, value_name = "NAME", value_parser = job)]
    pub job: Option<JobName>,
    /// Go on where the job of this name ended
    #[arg(long)]
    pub resume: bool,
    /// Decide everything and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How much of the input is read in a second at most: N/s, N MB/s, or 0 for all there is. Default: 10 MB/s
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub rate: Option<Rate>,
    /// Worker threads; without it the configuration's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Ask nobody
    #[arg(long)]
    pub yes: bool,
    /// How far Kafka timestamps may lie from event times. Default: 1h
    #[arg(long, value_name = "DURATION", value_parser = period)]
    pub slack: Option<Period>,
    /// Write also what a target topic deletes again at once
    #[arg(long)]
    pub allow_expiring: bool,
    /// Count what a failed topic does not get, and go on
    #[arg(long)]
    pub skip_failed_routes: bool,
    /// Serve /metrics there
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<SocketAddr>,
    /// How the result is printed; ndjson and id with --list alone
    #[arg(short = 'o', value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// A file of control events, one a line, instead of the cluster's control topic: no Kafka at all
    #[arg(long, value_name = "FILE")]
    pub control: Option<PathBuf>,
    /// A file of records, one a line, plain, zstd or gzip, instead of the stream's topic; `-` is standard input
    #[arg(long = "input", value_name = "STREAM=FILE", value_parser = read_input)]
    pub inputs: Vec<(String, PathBuf)>,
    /// The moment to decide at, with --control. Default: that of the last control event
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// Remove what an earlier run wrote into the directory
    #[arg(long)]
    pub force: bool,
    /// List the jobs that the cluster knows
    #[arg(long)]
    pub list: bool,
    #[command(flatten)]
    pub(super) jobs: ListArgs<ListedJobs>,
    /// Forget a job
    #[arg(long, value_name = "JOB", value_parser = job)]
    pub forget: Option<JobName>,
}

/// How a job's result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// For people.
    Table,
    /// One JSON object.
    Json,
}

/// What a command line is understood with.
#[derive(Debug, Clone, Copy)]
pub struct ArgsContext<'c> {
    /// The configuration.
    pub config: &'c Config,
    /// The clock.
    pub now: TimestampMs,
    /// Whether somebody at a terminal can be asked.
    pub can_ask: bool,
}

impl BackfillArgs {
    /// What is asked for. Whatever is wrong with it is exit 64.
    pub fn resolve(&self, around: &ArgsContext<'_>) -> Result<BackfillRequest, Failure> {
        if self.list || self.forget.is_some() {
            return self.about_jobs();
        }
        if self.jobs.is_given() {
            return Err(wrong("--sort and --limit are for --list: leave them out"));
        }
        self.result_format()?;
        let stream = self.stream(around.config)?;
        let (from, to) = (time(self.from.as_deref(), around.now, TimeOption::From)?, time(self.to.as_deref(), around.now, TimeOption::To)?);
        let window = Window::new(from, to).ok_or_else(|| {
            wrong(format!("--from {from} is not before --to {to}: the event times from the one up to the other are looked at"))
        })?;
        if let Some((other, _)) = self.inputs.iter().find(|(name, _)| name != stream.name.as_str()) {
            return Err(wrong(format!("--input {other}=…: the job is of --stream {}, and all its files are", stream.name)));
        }
        let source = match &self.control {
            Some(control) => JobSource::Files(self.file_job(input_file(control), around)?),
            None => JobSource::LiveLog(self.live_job(stream, around)?),
        };
        let set = |values: &[String]| values.iter().cloned().collect::<BTreeSet<_>>();
        let (shares, targets, owners, assets) = (set(&self.shares), set(&self.targets), set(&self.owners), set(&self.assets));
        let filters = ShareFilters { shares, targets, owners, assets };
        Ok(BackfillRequest::Run(Box::new(JobOptions { stream: stream.index, window, filters, is_dry_run: self.dry_run, source })))
    }

    /// How a job's result is printed; it is no list.
    pub(super) fn result_format(&self) -> Result<ResultFormat, Failure> {
        match self.format {
            Format::Table => Ok(ResultFormat::Table),
            Format::Json => Ok(ResultFormat::Json),
            Format::Ndjson | Format::Id => {
                Err(wrong("-o ndjson and -o id are for --list: a job's result is a table, or with -o json one object"))
            }
        }
    }

    /// `--list` and `--forget`, which go with nothing else.
    fn about_jobs(&self) -> Result<BackfillRequest, Failure> {
        let is_of_a_job = self.stream.is_some()
            || self.from.is_some()
            || self.to.is_some()
            || self.job.is_some()
            || self.control.is_some()
            || self.at.is_some()
            || self.output.is_some()
            || ![&self.shares, &self.targets, &self.owners, &self.assets].iter().all(|values| values.is_empty())
            || !self.inputs.is_empty()
            || [self.resume, self.dry_run, self.force].contains(&true);
        match (&self.forget, self.list) {
            (Some(_), true) => Err(wrong("--list and --forget are two commands: which one?")),
            _ if is_of_a_job => Err(wrong("--list and --forget stand alone: leave what is about running a job out")),
            (Some(job), false) => Ok(BackfillRequest::Forget(job.clone())),
            (None, _) => Ok(BackfillRequest::List),
        }
    }

    fn stream<'c>(&self, config: &'c Config) -> Result<&'c Stream, Failure> {
        let name = self.stream.as_deref().ok_or_else(|| wrong("no --stream is given: name the append stream whose records are wanted"))?;
        let stream = config.stream(name).ok_or_else(|| {
            let known: Vec<&str> = config.streams.iter().map(|stream| stream.name.as_str()).collect();
            wrong(format!("--stream {}: no stream of this name is configured; there are {}", name.escape_debug(), known.join(", ")))
        })?;
        match stream.mode {
            Mode::Append => Ok(stream),
            Mode::Upsert => Err(wrong(format!(
                "--stream {name}: it is an upsert stream, whose topics always hold the current documents; only append streams are backfilled"
            ))),
        }
    }

    fn file_job(&self, control: InputFile, around: &ArgsContext<'_>) -> Result<FileJob, Failure> {
        let inputs = self.files();
        if inputs.is_empty() {
            return Err(wrong("--control is given without --input: name the files of records, as --input STREAM=FILE"));
        }
        if inputs.iter().chain([&control]).filter(|file| **file == InputFile::StandardInput).count() > 1 {
            return Err(wrong("`-` is given twice: standard input is read once"));
        }
        for (option, is_given) in [
            ("--resume", self.resume),
            ("--slack", self.slack.is_some()),
            ("--allow-expiring", self.allow_expiring),
            ("--skip-failed-routes", self.skip_failed_routes),
            ("--metrics", self.metrics.is_some()),
        ] {
            if is_given {
                let instead = if option == "--resume" { "; run it again with --force" } else { "" };
                return Err(wrong(format!("{option} has no meaning with --control, where a job reads and writes files alone{instead}")));
            }
        }
        let out = match self.output.as_deref().map(|output| output.strip_prefix("dir:")) {
            Some(Some(path)) => Some(self.folder(path)?),
            Some(None) => return Err(wrong("--output: with --control it is dir:PATH, a directory that gets a file for each topic")),
            None if self.dry_run => None,
            None => return Err(wrong("--output is missing: with --control it is dir:PATH, a directory that gets a file for each topic")),
        };
        let at = self.at.as_deref().map(|at| time(Some(at), around.now, TimeOption::At)).transpose()?.map(TimestampNs::millis);
        let name = self.job.clone().unwrap_or_else(|| JobName::parse("files").unwrap_or_else(|e| unreachable!("{e}")));
        Ok(FileJob { name, control, inputs, at, out })
    }

    fn live_job(&self, stream: &Stream, around: &ArgsContext<'_>) -> Result<LiveJob, Failure> {
        if self.at.is_some() {
            return Err(wrong("--at is for --control: a job by the live log decides at the moment that it begins"));
        }
        let inputs = self.files();
        let has_standard_input = inputs.contains(&InputFile::StandardInput);
        if inputs.iter().filter(|file| **file == InputFile::StandardInput).count() > 1 {
            return Err(wrong("`-` is given twice: standard input is read once"));
        }
        if self.slack.is_some() && !inputs.is_empty() {
            return Err(wrong("--slack has no meaning with --input: files are read from their beginnings to their ends"));
        }
        let start = match (&self.job, self.resume) {
            (None, true) => return Err(wrong("--resume needs the name of the job: give --job NAME; `backfill --list` lists them")),
            (Some(_), true) if has_standard_input => return Err(wrong("standard input cannot be resumed: nobody can read it again")),
            (Some(_), true) if self.force => return Err(wrong("--force removes what --resume goes on with: which one?")),
            (Some(job), true) => JobStart::Resumed(job.clone()),
            (Some(job), false) => JobStart::Named(job.clone()),
            (None, false) => JobStart::Unnamed,
        };
        let output = self.output(stream, around.config)?;
        if self.force && output.is_kafka() {
            return Err(wrong("--force is for --output dir:PATH: it empties the directory"));
        }
        if output.is_kafka() && !self.dry_run && !self.yes && (!around.can_ask || has_standard_input) {
            return Err(wrong("this job writes to Kafka, and nobody can be asked: look at it with --dry-run, then give --yes"));
        }
        let input = match inputs.is_empty() {
            true => LiveInput::Topic { slack: self.slack.unwrap_or_else(|| Period::from_millis(60 * 60 * 1000)) },
            false => LiveInput::Files(inputs),
        };
        Ok(LiveJob {
            start,
            input,
            output,
            rate: self.rate.unwrap_or(Rate::STANDARD),
            workers: self.workers.map(usize::from),
            allows_expiring: self.allow_expiring,
            skips_failed_routes: self.skip_failed_routes,
            metrics: self.metrics,
            is_confirmed: self.yes,
        })
    }

    fn output(&self, stream: &Stream, config: &Config) -> Result<JobOutput, Failure> {
        let Some(output) = self.output.as_deref() else { return Ok(JobOutput::Tenants) };
        if let Some(template) = output.strip_prefix("topic:") {
            let read = config.job_template(template, stream);
            return read.map(JobOutput::Topics).map_err(|what| wrong(format!("--output {}: {what}", output.escape_debug())));
        }
        match output.strip_prefix("dir:") {
            Some(path) => self.folder(path).map(JobOutput::Folder),
            None if output == "tenants" => Ok(JobOutput::Tenants),
            None => Err(wrong(format!("--output {}: write tenants, topic:TEMPLATE or dir:PATH", output.escape_debug()))),
        }
    }

    fn folder(&self, path: &str) -> Result<FolderOutput, Failure> {
        match path.is_empty() {
            true => Err(wrong("--output dir: names no directory: write dir:PATH")),
            false => Ok(FolderOutput { path: PathBuf::from(path), is_forced: self.force }),
        }
    }

    fn files(&self) -> Vec<InputFile> {
        self.inputs.iter().map(|(_, file)| input_file(file)).collect()
    }
}

fn input_file(path: &std::path::Path) -> InputFile {
    if path.as_os_str() == "-" { InputFile::StandardInput } else { InputFile::Path(path.to_owned()) }
}

fn time(given: Option<&str>, now: TimestampMs, option: TimeOption) -> Result<TimestampNs, Failure> {
    let given =
        given.ok_or_else(|| wrong(format!("no {} is given: a backfill is of the event times from one up to another", option.name())))?;
    TimeArgument::read(given, now, option).map(|time| time.moment).map_err(wrong)
}

fn wrong(what: impl ToString) -> Failure {
    Failure::new(Exit::Usage, what)
}

fn job(text: &str) -> Result<JobName, String> {
    JobName::parse(text).map_err(|error| format!("{error}{}", argument::hint(text)))
}

fn rate(text: &str) -> Result<Rate, String> {
    Rate::parse(text).ok_or_else(|| "write records (500/s), bytes (10MB/s; B, kB, MB or GB), or 0 for all there is".to_owned())
}

fn period(text: &str) -> Result<Period, String> {
    Period::parse(text).ok_or_else(|| "write a whole number and ms, s, m, h or d, as in 1h".to_owned())
}
