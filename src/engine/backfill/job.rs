//! A job as its workers share it, and why it ends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::backfill::past::Pinned;
use crate::clock::Clock;
use crate::config::OutputTemplate;
use crate::decide::ReleaseRules;
use crate::engine::backfill::checkpoint::{JobEntry, PartitionCounts};
use crate::engine::backfill::cuts::Cuts;
use crate::engine::backfill::rate_limiter::RateLimiter;
use crate::engine::backfill::report::JobEpochs;
use crate::engine::backfill::stops::Stops;
use crate::engine::fence::{Closed, Fence};
use crate::id::{JobName, TenantId};
use crate::live::{Live, View};
use crate::record::mapping::Stream;
use crate::time::TimestampMs;
use crate::topic::{OwnTopics, PartitionName};

/// What a job is configured with.
#[derive(Debug, Clone)]
pub struct JobSettings {
    /// Its name.
    pub name: JobName,
    /// `kafka.group`.
    pub group: String,
    /// The stream.
    pub stream: Stream,
    /// The installation's own topics.
    pub own: OwnTopics,
    /// The rules of releasing.
    pub release: ReleaseRules,
    /// Names of output topics.
    pub template: OutputTemplate,
    /// `batch.max_records`.
    pub max_records: usize,
    /// `batch.max_routes`.
    pub max_routes: usize,
    /// `batch.interval`.
    pub interval: Duration,
    /// `output.headers`: input headers that are passed on.
    pub passes_headers: Vec<String>,
    /// `provenance: headers`.
    pub has_provenance_headers: bool,
    /// `provenance_permission`: they name the permission too.
    pub has_permission_header: bool,
    /// `--skip-failed-routes`.
    pub skips_failed_routes: bool,
    /// Whether a profile samples, so that what it has let through must be known before a partition goes on.
    pub has_samples: bool,
}

impl JobSettings {
    /// An input partition as logs name it, files by the stream's topic too.
    pub fn name_of(&self, partition: i32) -> PartitionName<'_> {
        PartitionName(&self.stream.topic, partition)
    }

    /// The topic that a tenant's records go to.
    pub fn topic_of(&self, tenant: &TenantId) -> String {
        self.template.topic(tenant.as_str(), self.stream.name.as_str())
    }

    /// `<group>-backfill-<job>-<partition>`.
    pub fn transactional_id(&self, partition: i32) -> String {
        format!("{}-backfill-{}-{partition}", self.group, self.name)
    }
}

/// What all workers of a job share.
pub struct Job {
    /// What it is configured with.
    pub settings: JobSettings,
    /// What it was asked and when, as it is noted; shares that it stops are in `stops`.
    pub entry: JobEntry,
    /// The graph and moment that it decides by.
    pub pinned: Pinned,
    /// The live graph.
    pub live: Arc<Live>,
    /// Whether that is fresh.
    pub fence: Arc<Mutex<Fence>>,
    /// What the live log has taken since the pinned epoch.
    pub cuts: Arc<Cuts>,
    /// Shares that get nothing more.
    pub stops: Stops,
    /// Topics that failed and are skipped, with the reason.
    pub failed: Mutex<BTreeMap<String, String>>,
    /// What its workers decide by, for those who wait for a revoke; none for a job that writes no topic.
    pub epochs: Option<Arc<JobEpochs>>,
    /// How fast it reads.
    pub rate_limiter: Arc<RateLimiter>,
    /// How far it is.
    pub progress: JobProgress,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when it is to end: by a signal, or because a part failed.
    pub stop: Arc<AtomicBool>,
    /// Raised when the live log can be followed no more.
    pub is_cut_off: Arc<AtomicBool>,
    /// A worker has ended while a commit of its may still be on its way.
    pub has_unsure_commits: AtomicBool,
}

impl Job {
    /// Whether it is to end.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.is_cut_off.load(Ordering::Relaxed)
    }

    /// Whether something may be decided, or committed, by this view.
    pub fn check_fence(&self, view: &View) -> Result<(), Closed> {
        let (wall, boot) = (self.clock.wall(), self.clock.boot());
        self.fence.lock().expect("the fence is never left half changed").check(view, wall, boot)
    }

    /// The larger of the clock and the live graph's control time.
    pub fn live_now(&self, view: &View) -> TimestampMs {
        self.clock.wall().max(view.graph.control_time())
    }

    /// The entry with these shares stopped.
    pub fn entry_with(&self, stopped: &[crate::backfill::result::StoppedShare]) -> JobEntry {
        JobEntry { stopped: stopped.to_vec(), ..self.entry.clone() }
    }
}

/// How far a job is, for those who watch it.
#[derive(Debug, Default)]
pub struct JobProgress {
    state: Mutex<ProgressState>,
}

#[derive(Debug, Default, Clone)]
struct ProgressState {
    /// By partition, what became of its records.
    counts: BTreeMap<i32, PartitionCounts>,
    /// By partition, how many offsets of it are done.
    done: BTreeMap<i32, u64>,
    /// Bytes that were read in this run.
    bytes: u64,
    /// Why it waits, if it does.
    waits_for: Option<String>,
}

/// What is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct ProgressSeen {
    /// What became of all records.
    pub counts: PartitionCounts,
    /// Offsets that are done, of all partitions.
    pub done: u64,
    /// Bytes that were read in this run.
    pub bytes: u64,
    /// Why it waits, if it does.
    pub waits_for: Option<String>,
}

impl JobProgress {
    /// A partition has come so far.
    pub fn set(&self, partition: i32, done: u64, counts: &PartitionCounts) {
        let mut state = self.lock();
        state.counts.insert(partition, counts.clone());
        state.done.insert(partition, done);
    }

    /// So many bytes were read.
    pub fn read(&self, bytes: usize) {
        self.lock().bytes += bytes as u64;
    }

    /// It waits for this, or for nothing any more. Returns whether that is news.
    pub fn waits_for(&self, what: Option<String>) -> bool {
        let mut state = self.lock();
        let is_news = state.waits_for != what;
        state.waits_for = what;
        is_news
    }

    /// What is known now.
    pub fn seen(&self) -> ProgressSeen {
        let state = self.lock();
        let mut counts = PartitionCounts::default();
        state.counts.values().for_each(|part| counts.add(part));
        ProgressSeen { counts, done: state.done.values().sum(), bytes: state.bytes, waits_for: state.waits_for.clone() }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ProgressState> {
        self.state.lock().expect("progress is only added to")
    }
}

/// Why a job ends before all is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JobEnd {
    /// It was told to.
    #[error("interrupted")]
    Interrupted,
    /// Another process has taken the job over.
    #[error(
        "fenced: another process runs this job ({transactional_id}); it goes on there. A job runs once at a time, and what this process has \
         committed counts"
    )]
    Fenced {
        /// The name that was taken.
        transactional_id: String,
    },
    /// A topic does not take what it is to get.
    #[error(
        "route {topic} failed: {reason}. What is committed stays; mend the topic and go on with --resume, or leave out what it is to get by \
         --skip-failed-routes"
    )]
    RouteFailed {
        /// The topic.
        topic: String,
        /// What the cluster said.
        reason: String,
    },
    /// A line of an input file is no record.
    #[error("{0}")]
    BadLine(String),
    /// Something is not as it must be, in Kafka or in the configuration.
    #[error("{0}")]
    Refused(String),
    /// A part failed for good.
    #[error("{0}")]
    Failed(String),
}
