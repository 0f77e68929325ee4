//! A job from its first transaction to its end: takes its partitions over, starts what watches the live log, lets its workers copy, and
//! notes that it is done (docs/backfill.md).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::warn;

use crate::backfill::decide::BackfillDecider;
use crate::backfill::options::LiveInput;
use crate::backfill::past::Pinned;
use crate::backfill::result::{JobResult, StoppedShare};
use crate::config::{Config, Delivery, ProvenanceForm, Secret};
use crate::engine::backfill::checkpoint::store::JobStore;
use crate::engine::backfill::checkpoint::{JobEntry, PartitionCounts, PartitionEntry};
use crate::engine::backfill::copy::Copier;
use crate::engine::backfill::input::window::InputRange;
use crate::engine::backfill::input::{JobInput, TopicInput};
use crate::engine::backfill::job::{Job, JobEnd, JobProgress, JobSettings, ProgressSeen};
use crate::engine::backfill::lag::LagWatch;
use crate::engine::backfill::output::expiry::expiring;
use crate::engine::backfill::output::folder::{FolderPartWriter, JobFolder};
use crate::engine::backfill::output::kafka::{KafkaPartWriter, MakeJobProducer};
use crate::engine::backfill::output::{Nowhere, PartWriter};
use crate::engine::backfill::plane::{Follow, LivePlane};
use crate::engine::backfill::prepare::{JobError, JobRequest, PreparedJob, check_start};
use crate::engine::backfill::rate_limiter::RateLimiter;
use crate::engine::backfill::report::JobReporter;
use crate::engine::backfill::stops::Stops;
use crate::engine::fence::epoch_report::CommitTerms;
use crate::engine::output::lookup::{TopicKind, TopicMaker};
use crate::engine::server::shutdown::{RunError, Shutdown, Threads};
use crate::engine::server::wiring::{ReopeningState, producer_maker};
use crate::engine::topic::provision::Provisioner;
use crate::engine::topic::stored::{BACKFILL_INSTANCE, epoch_key};
use crate::engine::worker::error::TxError;
use crate::id::{Offset, StreamIndex};
use crate::kafka::{Admin, DataProducer};
use crate::transport::ConsumeError;

/// Between two looks at how far the job is.
const LOOK: Duration = Duration::from_millis(100);
/// Checkpoints are waited for longer than any transaction may be open.
const CHECKPOINTS_WITHIN: Duration = Duration::from_secs(60);
/// How long one question to the cluster may take.
const ASK: Duration = Duration::from_secs(30);

/// What came of a job.
#[derive(Debug, Clone)]
pub struct JobOutcome {
    /// As it is printed.
    pub result: JobResult,
    /// Topics that did not get everything, with how many records they lack.
    pub skipped: BTreeMap<String, u64>,
    /// Offsets that the input's retention has dropped before they were read.
    pub lost: u64,
    /// Outputs that the live graph has withheld.
    pub withheld: u64,
}

/// Makes a worker's input of files, on the worker's own thread.
pub type MakeInput<'m> = &'m (dyn Fn() -> Result<Box<dyn JobInput + 'm>, JobEnd> + Sync);

/// Told now and then how far the job is: what is known, and how many offsets there are.
pub type TellProgress<'t> = &'t mut dyn FnMut(&ProgressSeen, Option<u64>);

/// Runs a job to its end. `files` makes the input where that is files.
pub fn run(request: &JobRequest, prepared: PreparedJob, files: MakeInput<'_>, tell: TellProgress<'_>) -> Result<JobOutcome, JobError> {
    let PreparedJob { mut entry, pinned, log, targets, inputs, store, folder, provisioner, .. } = prepared;
    let (offsets, age_ms) = (InputRange::sum(&entry.ranges), entry.now.0 - request.options.window.from().millis().0);
    let cut_off = Arc::new(AtomicBool::new(false));
    let ending = Shutdown::new(Arc::clone(&cut_off));
    let mut threads = Threads::new(ending.clone());
    let settings = settings(request, &pinned);
    let follow = Follow {
        config: &request.config,
        kafka: &request.kafka,
        instance: format!("{BACKFILL_INSTANCE}{}", request.name),
        is_dry_run: request.options.is_dry_run,
        clock: Arc::clone(&request.clock),
        stop: Arc::clone(&cut_off),
    };
    // The table is given away; what the job decides by is pinned.
    let plane = LivePlane::start(follow, log, &pinned, &mut threads)?;
    let stopped = std::mem::take(&mut entry.stopped);
    let job = Job {
        entry: entry.clone(),
        settings,
        pinned,
        live: Arc::clone(&plane.live),
        fence: Arc::clone(&plane.fence),
        cuts: Arc::clone(&plane.cuts),
        stops: Stops::of(stopped),
        failed: Mutex::default(),
        epochs: request.writes_topics().then(Arc::default),
        rate_limiter: Arc::new(RateLimiter::new(request.job.rate)),
        progress: JobProgress::default(),
        clock: Arc::clone(&request.clock),
        stop: Arc::clone(&request.stop),
        is_cut_off: Arc::clone(&cut_off),
        has_unsure_commits: AtomicBool::new(false),
    };
    let over = Arc::new(AtomicBool::new(false));
    let beside = Beside { request, job: &job, inputs, over: &over };
    let copied = await_log(&job, plane.end).map_err(JobError::from).and_then(|()| match (store, folder) {
        (Some(store), _) => {
            make_topics(request, &provisioner, &targets, age_ms)?;
            copy_to_topics(&beside, store, &provisioner, files, (tell, offsets))
        }
        (None, folder) => copy_elsewhere(&beside, folder, files, (tell, offsets)),
    });
    cut_off.store(true, Ordering::Relaxed);
    threads.join(&*request.clock);
    // A log that can be followed no more is why the workers were stopped.
    ending.result()?;
    copied?;
    Ok(outcome(request, &job))
}

/// Nothing is taken over or written before the log is folded to where it ended: till then it is not known whether it allows this
/// configuration.
fn await_log(job: &Job, end: Offset) -> Result<(), JobEnd> {
    while job.live.load().position < end {
        if job.is_stopping() {
            return Err(JobEnd::Interrupted);
        }
        job.clock.sleep(LOOK);
    }
    Ok(())
}

/// A job that was done before: what came of it.
pub fn result_of(request: &JobRequest, prepared: &PreparedJob) -> JobOutcome {
    let partitions: Vec<PartitionEntry> = match (&prepared.store, &prepared.folder) {
        (Some(store), _) => store.jobs().get(request.name.as_str()).map_or_else(Vec::new, |job| job.partitions.values().cloned().collect()),
        (None, Some(folder)) => folder.partitions().into_values().collect(),
        (None, None) => Vec::new(),
    };
    let mut counts = PartitionCounts::default();
    partitions.iter().for_each(|partition| counts.add(&partition.counts));
    of_counts(request, &prepared.entry, counts, prepared.entry.stopped.clone())
}

fn outcome(request: &JobRequest, job: &Job) -> JobOutcome {
    of_counts(request, &job.entry, job.progress.seen().counts, job.stops.list())
}

fn of_counts(request: &JobRequest, entry: &JobEntry, counts: PartitionCounts, stopped: Vec<StoppedShare>) -> JobOutcome {
    let result = JobResult {
        job: request.name.clone(),
        epoch: entry.epoch,
        now: entry.now.moment(),
        counts: counts.job,
        stopped,
        warnings: Vec::new(),
    };
    JobOutcome { result, skipped: counts.skipped, lost: counts.lost, withheld: counts.withheld }
}

fn settings(request: &JobRequest, pinned: &Pinned) -> JobSettings {
    let config = &request.config;
    JobSettings {
        name: request.name.clone(),
        group: request.kafka.group.clone(),
        stream: request.stream().clone(),
        own: config.topics.clone(),
        release: config.release_rules(),
        template: request.template().clone(),
        max_records: config.batch.max_records,
        max_routes: config.batch.max_routes,
        interval: Duration::from_millis(config.batch.interval.millis()),
        passes_headers: config.output.headers.clone(),
        has_provenance_headers: config.provenance == ProvenanceForm::Headers,
        has_permission_header: config.shows_permission(),
        skips_failed_routes: request.job.skips_failed_routes,
        has_samples: has_samples(pinned, request.options.stream),
    }
}

/// Whether some share's profile samples the stream.
fn has_samples(pinned: &Pinned, stream: StreamIndex) -> bool {
    let (graph, mut found) = (pinned.graph(), false);
    graph.for_each_grant(|grant| {
        let projection = graph.profile(grant.profile).and_then(|profile| profile.section(stream));
        found |= projection.is_some_and(|projection| projection.sample.is_some());
    });
    found
}

/// Decides by what the job was asked.
pub fn decider(request: &JobRequest) -> BackfillDecider {
    let config: &Config = &request.config;
    let secret = config.mask_secret.as_ref().map(Secret::expose);
    BackfillDecider::new(config.release_rules(), secret, request.name.clone(), request.options.window)
}

/// Makes the targets' topics that are missing, as live flow does, and looks whether they keep what is written. One that cannot be made
/// fails when it is first written to.
fn make_topics(
    request: &JobRequest,
    provisioner: &Provisioner,
    targets: &[(crate::id::TenantId, String)],
    age_ms: i64,
) -> Result<(), JobError> {
    if !request.config.output.is_auto_provisioned {
        return Ok(());
    }
    for (_, topic) in targets {
        if let Err(error) = provisioner.make(topic, TopicKind::Stream(request.options.stream)) {
            warn!(topic, %error, "the topic could not be made");
        }
    }
    let admin = Admin::open(&request.kafka, ASK).map_err(RunError::from)?;
    let found = expiring(&admin, targets.iter().map(|(_, topic)| topic.as_str()), age_ms).map_err(RunError::from)?;
    if found.is_empty() || request.job.allows_expiring {
        return Ok(());
    }
    Err(JobError::Usage(refusal_of_expiring(&found)))
}

/// Why a job is refused whose targets delete what it writes.
pub fn refusal_of_expiring(found: &[crate::engine::backfill::output::expiry::ExpiringTopic]) -> String {
    let named: Vec<String> = found.iter().map(|topic| format!("{} ({})", topic.topic, topic.setting)).collect();
    format!(
        "these topics would delete what the job writes, for Kafka deletes by the records' own time: {}. Raise retention.ms there \
         (kafka-configs.sh --alter), write elsewhere by --output, or give --allow-expiring",
        named.join(", ")
    )
}

/// What a job has besides its output.
struct Beside<'b> {
    request: &'b JobRequest,
    job: &'b Job,
    inputs: Vec<(String, i32)>,
    /// Raised when the workers are done.
    over: &'b Arc<AtomicBool>,
}

impl Beside<'_> {
    fn workers(&self) -> usize {
        let wanted = self.request.job.workers.unwrap_or(self.request.config.workers);
        wanted.clamp(1, self.job.entry.ranges.len().max(1))
    }

    fn input<'m>(&self, files: MakeInput<'m>) -> Result<Box<dyn JobInput + 'm>, JobEnd> {
        match &self.request.job.input {
            LiveInput::Files(_) => files(),
            LiveInput::Topic { .. } => {
                let stream = self.request.stream();
                Ok(Box::new(TopicInput::new(&self.request.kafka, &stream.topic, stream.index)))
            }
        }
    }

    /// Lets the workers copy all partitions, one after the other each; the first that ends for good ends all.
    fn copy_all<O: PartWriter>(
        &self,
        output: impl Fn() -> O + Sync,
        files: MakeInput<'_>,
        (tell, offsets): (TellProgress<'_>, Option<u64>),
    ) -> Result<(), JobEnd> {
        let (next, left) = (AtomicUsize::new(0), AtomicUsize::new(self.workers()));
        let ended: Mutex<Option<JobEnd>> = Mutex::default();
        let failed = AtomicBool::new(false);
        let work = || {
            let mut copier = Copier::new(self.job, self.input(files)?, output(), decider(self.request));
            let copied = loop {
                let partition = next.fetch_add(1, Ordering::Relaxed);
                if partition >= self.job.entry.ranges.len() || failed.load(Ordering::Relaxed) {
                    break Ok(());
                }
                if let Err(end) = copier.copy(partition as i32) {
                    break Err(end);
                }
            };
            copier.is_done();
            copied
        };
        std::thread::scope(|scope| {
            for _ in 0..self.workers() {
                scope.spawn(|| {
                    // A worker that panics must not leave the others writing, nor be waited for.
                    let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
                    let worked = worked.unwrap_or_else(|_| Err(JobEnd::Failed("a thread panicked; see the message above".to_owned())));
                    if let Err(end) = worked {
                        failed.store(true, Ordering::Relaxed);
                        let mut first = ended.lock().expect("only set");
                        // Others are interrupted because of the first.
                        if first.as_ref().is_none_or(|first| *first == JobEnd::Interrupted) {
                            *first = Some(end);
                        }
                        self.job.is_cut_off.store(true, Ordering::Relaxed);
                    }
                    left.fetch_sub(1, Ordering::Relaxed);
                });
            }
            while left.load(Ordering::Relaxed) > 0 {
                tell(&self.job.progress.seen(), offsets);
                self.job.clock.sleep(LOOK);
            }
        });
        ended.into_inner().expect("only set").map_or(Ok(()), Err)
    }

    /// Watches the live group, whose work comes first.
    fn watch_lag(&self, threads: &mut Vec<std::thread::JoinHandle<()>>) {
        let watch = LagWatch {
            kafka: self.request.kafka.clone(),
            inputs: self.inputs.clone(),
            rate_limiter: Arc::clone(&self.job.rate_limiter),
            clock: Arc::clone(&self.job.clock),
            done: Arc::clone(self.over),
        };
        threads.extend(std::thread::Builder::new().name("lag".to_owned()).spawn(move || watch.run()));
    }
}

/// To topics: exactly once.
fn copy_to_topics(
    beside: &Beside<'_>,
    store: JobStore,
    provisioner: &Arc<Provisioner>,
    files: MakeInput<'_>,
    tell: (TellProgress<'_>, Option<u64>),
) -> Result<(), JobError> {
    let Beside { request, job, over, .. } = beside;
    let kafka = request.kafka.clone();
    let make: MakeJobProducer<DataProducer> = Arc::new(move |id| producer_maker(&kafka, id.to_owned(), Vec::new())());
    let store = Arc::new(Mutex::new(store));
    let maker = Arc::clone(provisioner) as Arc<dyn TopicMaker>;
    let output = || KafkaPartWriter::new(job, Arc::clone(&make), &store, &maker);
    take_over_all(beside, &output)?;
    // Of this one nobody else is the owner from here on: what is noted is all that will be.
    let mut first = output();
    first.take_over(0)?;
    read_again(beside, &store)?;
    let noted = store.lock().expect("read as a whole").job(request.name.as_str()).map_err(RunError::from)?.entry;
    let is_noted = noted.is_some();
    if let Some(noted) = noted {
        if noted.is_done {
            let what = format!("another process has finished job {} meanwhile; --resume says what came of it", request.name);
            return Err(JobEnd::Refused(what).into());
        }
        // Whoever ran it before may have stopped shares since it was looked at first.
        job.stops.take_noted(noted.stopped);
    }
    let mut threads = Vec::new();
    let is_left = Arc::new(AtomicBool::new(false));
    if let Some(epochs) = &job.epochs {
        let member = format!("{BACKFILL_INSTANCE}{}", request.name);
        let reporter = JobReporter {
            epochs: Arc::clone(epochs),
            live: Arc::clone(&job.live),
            writer: ReopeningState::new(&request.kafka, &request.config.topics.state),
            key: epoch_key(&request.kafka.group, &member),
            member,
            terms: CommitTerms { delivery: Delivery::ExactlyOnce, ..CommitTerms::of(&request.config) },
            clock: Arc::clone(&job.clock),
            done: Arc::clone(over),
            is_left: Arc::clone(&is_left),
        };
        threads.extend(std::thread::Builder::new().name("report".to_owned()).spawn(move || reporter.run()));
    }
    beside.watch_lag(&mut threads);
    let done = await_report(job).map_err(JobError::from).and_then(|()| {
        if !is_noted {
            write_entry(job, &mut first, &job.entry_with(&[]))?;
        }
        drop(first);
        beside.copy_all(output, files, tell)?;
        let mut last = output();
        last.take_over(0)?;
        let entry = JobEntry { is_done: true, ..job.entry_with(&job.stops.list()) };
        write_entry(job, &mut last, &entry)
    });
    // A commit that is still on its way decides by an old view, and another process has a report of its own: neither is taken away.
    let is_fenced = matches!(done, Err(JobError::Ended(JobEnd::Fenced { .. })));
    is_left.store(is_fenced || job.has_unsure_commits.load(Ordering::Relaxed), Ordering::Relaxed);
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| drop(thread.join()));
    done
}

/// No transaction is begun before those who wait for a revoke can know of the job.
fn await_report(job: &Job) -> Result<(), JobEnd> {
    while !job.epochs.as_ref().is_none_or(|epochs| epochs.is_reported(job.clock.boot())) {
        if job.is_stopping() {
            return Err(JobEnd::Interrupted);
        }
        job.clock.sleep(LOOK);
    }
    Ok(())
}

/// Takes every partition's name over before anything that is noted is read: whoever ran the job can commit nothing more.
fn take_over_all<'j>(beside: &Beside<'j>, output: &(impl Fn() -> KafkaPartWriter<'j, DataProducer> + Sync)) -> Result<(), JobError> {
    let next = AtomicUsize::new(0);
    let count = beside.job.entry.ranges.len();
    let take = || -> Result<(), JobEnd> {
        let mut output = output();
        loop {
            let partition = next.fetch_add(1, Ordering::Relaxed);
            if partition >= count {
                return Ok(());
            }
            output.take_over(partition as i32)?;
        }
    };
    let ends: Vec<Result<(), JobEnd>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..beside.workers()).map(|_| scope.spawn(take)).collect();
        let panicked = || Err(JobEnd::Failed("a thread panicked; see the message above".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
    });
    ends.into_iter().collect::<Result<(), JobEnd>>().map_err(JobError::from)
}

/// Reads what is noted once nobody else can note anything more, and looks again whether the job may begin, or go on.
fn read_again(beside: &Beside<'_>, store: &Mutex<JobStore>) -> Result<(), JobError> {
    let mut store = store.lock().expect("read as a whole");
    while !beside.job.is_stopping() {
        match store.catch_up(CHECKPOINTS_WITHIN) {
            Ok(()) => {
                let noted = store.job(beside.request.name.as_str()).map_err(RunError::from)?;
                return check_start(beside.request, noted.entry.as_ref());
            }
            Err(ConsumeError::Unavailable(reason)) => warn!(reason, "waiting for the checkpoints"),
            Err(error) => return Err(RunError::from(error).into()),
        }
    }
    Err(JobEnd::Interrupted.into())
}

/// Writes the job's entry; what does not answer is tried again.
fn write_entry(job: &Job, output: &mut KafkaPartWriter<'_, DataProducer>, entry: &JobEntry) -> Result<(), JobError> {
    use crate::transport::ProduceError;
    let json = entry.to_json();
    loop {
        let error = match output.write_entry(&json) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let TxError::Failed(ProduceError::Fenced(_), _) = &error {
            return Err(JobEnd::Fenced { transactional_id: job.settings.transactional_id(0) }.into());
        }
        if let TxError::Failed(ProduceError::Route { .. } | ProduceError::Refused { .. }, _) | TxError::Output(..) = &error {
            return Err(JobEnd::Refused(error.to_string()).into());
        }
        if job.is_stopping() {
            return Err(JobEnd::Interrupted.into());
        }
        warn!(%error, "the job's entry could not be written; tried again");
        job.clock.sleep(Duration::from_secs(1));
        output.take_over(0)?;
    }
}

/// To a folder, or nowhere.
fn copy_elsewhere(
    beside: &Beside<'_>,
    folder: Option<JobFolder>,
    files: MakeInput<'_>,
    tell: (TellProgress<'_>, Option<u64>),
) -> Result<(), JobError> {
    let Beside { request, job, over, .. } = beside;
    let mut threads = Vec::new();
    beside.watch_lag(&mut threads);
    let copied = match (folder, &request.job.output) {
        (folder, crate::backfill::options::JobOutput::Folder(out)) if !request.options.is_dry_run => {
            let folder = match folder {
                Some(folder) => folder,
                None => JobFolder::begin(&out.path, request.name.as_str(), &job.entry_with(&[]))?,
            };
            let folder = Arc::new(folder);
            let copied = beside.copy_all(|| FolderPartWriter::new(job, &folder), files, tell).map_err(JobError::from);
            copied.and_then(|()| {
                let entry = JobEntry { is_done: true, ..job.entry_with(&job.stops.list()) };
                folder.write_entry(&entry).map_err(JobError::from)
            })
        }
        _ => {
            let ranges = &job.entry.ranges;
            beside.copy_all(|| Nowhere { ranges: ranges.clone() }, files, tell).map_err(JobError::from)
        }
    };
    over.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| drop(thread.join()));
    copied
}
