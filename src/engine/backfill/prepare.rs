//! What a job finds before it begins: what it was asked, whether it goes on, the state that it decides by, and what it is to read.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::backfill::options::{FolderOutput, InputFile, JobOptions, JobOutput, JobStart, LiveInput, LiveJob};
use crate::backfill::past::Pinned;
use crate::clock::Clock;
use crate::config::{Config, OutputTemplate};
use crate::engine::backfill::checkpoint::digest;
use crate::engine::backfill::checkpoint::store::JobStore;
use crate::engine::backfill::checkpoint::{JobEntry, JobIdentity};
use crate::engine::backfill::input::window::{self, InputRange, InputWindow};
use crate::engine::backfill::job::JobEnd;
use crate::engine::backfill::output::expiry::{ExpiringTopic, expiring};
use crate::engine::backfill::output::folder::{FolderError, JobFolder};
use crate::engine::backfill::plane::{FoldedLog, fold};
use crate::engine::server::shutdown::RunError;
use crate::engine::topic::provision::Provisioner;
use crate::engine::topic::spec::TopicSpecs;
use crate::id::{JobName, TenantId};
use crate::kafka::{Admin, Backlog, KafkaSettings};
use crate::record::mapping::Stream;
use crate::time::TimestampMs;
use crate::transport::ConsumeError;

/// How long one question to the cluster may take.
const ASK: Duration = Duration::from_secs(30);
/// A first look at what is noted of a job waits so long for transactions that are open there: a job that was killed may have left one.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Before it is said that there is no such job, they are waited for.
const LAST_LOOK: Duration = Duration::from_secs(60);

/// Why a job does not begin.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// What was asked cannot be done: exit 64.
    #[error("{0}")]
    Usage(String),
    /// The cluster or the configuration.
    #[error(transparent)]
    Run(#[from] RunError),
    /// It ended before all was written.
    #[error(transparent)]
    Ended(#[from] JobEnd),
}

impl From<FolderError> for JobError {
    fn from(error: FolderError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// What a job is made of.
pub struct JobRequest {
    /// The configuration.
    pub config: Config,
    /// Where the cluster is.
    pub kafka: KafkaSettings,
    /// What is asked.
    pub options: JobOptions,
    /// The same, of a job by the live log.
    pub job: LiveJob,
    /// Its name.
    pub name: JobName,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised by a signal.
    pub stop: Arc<AtomicBool>,
}

impl JobRequest {
    /// The stream.
    pub fn stream(&self) -> &Stream {
        &self.config.streams[usize::from(self.options.stream.0)]
    }

    /// Whether an earlier run goes on.
    pub fn is_resumed(&self) -> bool {
        matches!(self.job.start, JobStart::Resumed(_))
    }

    /// Whether topics get records.
    pub fn writes_topics(&self) -> bool {
        self.job.output.is_kafka() && !self.options.is_dry_run
    }

    /// The names of output topics.
    pub fn template(&self) -> &OutputTemplate {
        match &self.job.output {
            JobOutput::Topics(template) => template,
            JobOutput::Tenants | JobOutput::Folder(_) => &self.config.output.topics,
        }
    }

    fn folder(&self) -> Option<&FolderOutput> {
        match &self.job.output {
            JobOutput::Folder(folder) if !self.options.is_dry_run => Some(folder),
            JobOutput::Folder(_) | JobOutput::Tenants | JobOutput::Topics(_) => None,
        }
    }

    /// What makes the job the one it is.
    fn identity(&self) -> JobIdentity {
        let mut identity = JobIdentity::default();
        let (stream, filters, window) = (self.stream(), &self.options.filters, self.options.window);
        identity.text("stream", stream.name.as_str());
        match &self.job.input {
            LiveInput::Topic { slack } => {
                identity.text("input", &format!("topic:{}", stream.topic));
                identity.text("slack", &format!("{}ms", slack.millis()));
            }
            LiveInput::Files(files) => {
                let name = |file: &InputFile| match file {
                    InputFile::StandardInput => "-".to_owned(),
                    InputFile::Path(path) => whole(path).display().to_string(),
                };
                let names: Vec<String> = files.iter().map(name).collect();
                identity.texts("input", names.iter().map(String::as_str));
            }
        }
        identity.text("from", &window.from().to_string());
        identity.text("to", &window.to().to_string());
        for (name, values) in
            [("shares", &filters.shares), ("targets", &filters.targets), ("owners", &filters.owners), ("assets", &filters.assets)]
        {
            identity.texts(name, values.iter().map(String::as_str));
        }
        identity.text(
            "output",
            &match &self.job.output {
                JobOutput::Tenants => "tenants".to_owned(),
                JobOutput::Topics(template) => format!("topic:{}", template.topic("{tenant}", "{stream}")),
                JobOutput::Folder(folder) => format!("dir:{}", whole(&folder.path).display()),
            },
        );
        identity.text("config", &digest::of(&self.config, stream, self.template()));
        identity
    }
}

/// The path from the root, where that can be said.
fn whole(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A job that can begin.
pub struct PreparedJob {
    /// As it is noted, or will be.
    pub entry: JobEntry,
    /// What it decides by.
    pub pinned: Pinned,
    /// The log up to there.
    pub log: FoldedLog,
    /// Tenants that may get something, with their topics.
    pub targets: Vec<(TenantId, String)>,
    /// Targets' topics that would delete what is written.
    pub expiring: Vec<ExpiringTopic>,
    /// Input partitions whose oldest record is younger than the window, with its time.
    pub begins_late: Vec<(i32, TimestampMs)>,
    /// Whether it is all written already.
    pub is_done: bool,
    /// Each input topic with its number of partitions, for the live group's lag.
    pub inputs: Vec<(String, i32)>,
    pub(super) store: Option<JobStore>,
    pub(super) folder: Option<JobFolder>,
    pub(super) provisioner: Arc<Provisioner>,
}

impl PreparedJob {
    /// How many offsets are looked at, if that is known.
    pub fn offsets(&self) -> Option<u64> {
        InputRange::sum(&self.entry.ranges)
    }
}

/// Asks for everything that a job needs; none where it is told to stop before.
pub fn prepare(request: &JobRequest) -> Result<Option<PreparedJob>, JobError> {
    let JobRequest { config, kafka, .. } = request;
    let admin = Admin::open(kafka, ASK).map_err(RunError::from)?;
    // Who is refused, or reaches nobody, is told so at once, and why.
    admin.cluster_id().map_err(RunError::from)?;
    let provisioner = Arc::new(Provisioner::new(Admin::open(kafka, ASK).map_err(RunError::from)?, TopicSpecs::of(config)));
    let store = if request.writes_topics() { Some(open_store(request, &admin, &provisioner)?) } else { None };
    let (folder, noted) = match (&store, request.folder()) {
        (Some(store), _) => (None, store.job(request.name.as_str()).map_err(RunError::from)?.entry),
        (None, Some(out)) if request.is_resumed() => {
            let (folder, entry) = JobFolder::resume(&out.path, request.name.as_str())?;
            (Some(folder), Some(entry))
        }
        (None, _) => (None, None),
    };
    check_start(request, noted.as_ref())?;
    let inputs = input_topics(config, &admin)?;
    let Some(log) = fold(config, kafka, noted.as_ref().map(|entry| entry.epoch), &request.stop)? else { return Ok(None) };
    let now = noted.as_ref().map_or(request.clock.wall().max(log.past.table().control_time()), |entry| entry.now);
    let pinned = log.past.pin(now, &request.options.filters);
    // A job that goes on keeps its offsets, whatever the input holds by now.
    let InputWindow { ranges, begins_late } = ranges(request, &inputs)?;
    let targets = targets(request, &pinned);
    let age_ms = now.0 - request.options.window.from().millis().0;
    let expiring = if request.job.output.is_kafka() {
        expiring(&admin, targets.iter().map(|(_, topic)| topic.as_str()), age_ms).map_err(RunError::from)?
    } else {
        Vec::new()
    };
    let is_done = noted.as_ref().is_some_and(|entry| entry.is_done);
    let entry = noted.unwrap_or_else(|| JobEntry {
        options: request.identity(),
        ranges,
        epoch: pinned.epoch(),
        now,
        started: request.clock.wall(),
        stopped: Vec::new(),
        is_done: false,
    });
    Ok(Some(PreparedJob { entry, pinned, log, targets, expiring, begins_late, is_done, inputs, store, folder, provisioner }))
}

/// The topic of checkpoints, made where topics are provisioned, and what it says of this job.
fn open_store(request: &JobRequest, admin: &Admin, provisioner: &Provisioner) -> Result<JobStore, JobError> {
    let JobRequest { config, kafka, .. } = request;
    let topic = &config.topics.backfill;
    if config.output.is_auto_provisioned {
        provisioner.make_for_backfills().map_err(RunError::from)?;
    } else if admin.topic(topic).map_err(RunError::from)?.is_none() {
        let what = format!("{topic} is missing and output.provision is manual: `sharecast provision` makes it");
        return Err(RunError::Configuration(what).into());
    }
    let mut store = JobStore::open(kafka, topic).map_err(RunError::from)?;
    look(&mut store, FIRST_LOOK)?;
    if request.is_resumed() && store.job(request.name.as_str()).map_err(RunError::from)?.entry.is_none() {
        look(&mut store, LAST_LOOK)?;
    }
    Ok(store)
}

/// Reads what is there; transactions that stay open are left out.
fn look(store: &mut JobStore, wait: Duration) -> Result<(), RunError> {
    match store.catch_up(wait) {
        Ok(()) | Err(ConsumeError::Unavailable(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the job may begin, or go on, as it is asked.
pub(super) fn check_start(request: &JobRequest, noted: Option<&JobEntry>) -> Result<(), JobError> {
    let name = &request.name;
    match (noted, request.is_resumed()) {
        (Some(_), false) => Err(JobError::Usage(format!(
            "there is a job {name} already: go on with it by --resume, forget it by `backfill --forget {name}`, or choose another --job"
        ))),
        (None, true) if request.options.is_dry_run => Ok(()),
        (None, true) => Err(JobError::Usage(format!("there is no job {name} to resume; `backfill --list` lists those that there are"))),
        (Some(entry), true) => {
            let differences = entry.options.differences(&request.identity());
            let what = |what: &String| match what.starts_with("config was ") {
                true => {
                    "the configuration that decides (mapping, output.topic, provenance, limits or mask.secret) is another one".to_owned()
                }
                false => what.clone(),
            };
            match differences.is_empty() {
                true => Ok(()),
                false => Err(JobError::Usage(format!(
                    "job {name} was begun otherwise, and a resume must ask for the same: {}",
                    differences.iter().map(what).collect::<Vec<_>>().join("; ")
                ))),
            }
        }
        (None, false) => Ok(()),
    }
}

fn input_topics(config: &Config, admin: &Admin) -> Result<Vec<(String, i32)>, RunError> {
    let mut inputs = Vec::new();
    for stream in config.streams.iter() {
        if let Some(shape) = admin.topic(&stream.topic)? {
            inputs.push((stream.topic.clone(), shape.partitions));
        }
    }
    Ok(inputs)
}

/// What is to be read of each partition, and which of them begin late.
fn ranges(request: &JobRequest, inputs: &[(String, i32)]) -> Result<InputWindow, JobError> {
    let slack = match &request.job.input {
        // A file ends where it ends.
        LiveInput::Files(files) => {
            return Ok(InputWindow { ranges: files.iter().map(|_| InputRange::WHOLE_FILE).collect(), begins_late: Vec::new() });
        }
        LiveInput::Topic { slack } => i64::try_from(slack.millis()).unwrap_or(i64::MAX),
    };
    let stream = request.stream();
    let Some((topic, partitions)) = inputs.iter().find(|(topic, _)| *topic == stream.topic) else {
        return Err(RunError::Configuration(format!(
            "the input topic {} of stream {} does not exist: create it, or correct streams.{}.topic",
            stream.topic, stream.name, stream.name
        ))
        .into());
    };
    let backlog = Backlog::open_uncommitted(&request.kafka).map_err(RunError::from)?;
    let (from, to) = (request.options.window.from().millis(), request.options.window.to().millis());
    let (first, last) = (TimestampMs(from.0.saturating_sub(slack)), TimestampMs(to.0.saturating_add(slack).saturating_add(1)));
    Ok(window::ask(&backlog, topic, *partitions, first, last, from).map_err(RunError::from)?)
}

/// Who may get something, and in which topics.
fn targets(request: &JobRequest, pinned: &Pinned) -> Vec<(TenantId, String)> {
    let (stream, template) = (request.stream(), request.template());
    let mut tenants = BTreeSet::new();
    pinned.graph().for_each_grant(|grant| {
        if grant.streams.contains(stream.index) {
            tenants.insert(grant.target.clone());
        }
    });
    tenants.into_iter().map(|tenant| (tenant.clone(), template.topic(tenant.as_str(), stream.name.as_str()))).collect()
}
