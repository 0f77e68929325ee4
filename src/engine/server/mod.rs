//! `sharecast run`: puts the parts together, starts them in the order they need each other, and ends them.

pub(crate) mod wiring;
pub mod shutdown;
pub mod http;
pub mod health;
pub(crate) mod counters;
pub mod lag;
pub(crate) mod process;
pub(crate) mod start;
mod takeover;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tracing::{info, warn};

use crate::engine::control::ControlPlane;
use crate::engine::control::configuration::{ConfigurationState, ConfigurationWatch};
use crate::engine::control::metrics::ControlMetrics;
use crate::engine::fence::{Fence, FenceLimits};
use crate::engine::server::health::{EngineHealth, Readiness};
use crate::engine::server::http::{Health, Served};
use crate::engine::server::shutdown::{RunError, Shutdown, Threads};
use crate::engine::status::writer::StatusDocuments;
use crate::engine::worker::settings::Overdue;

use crate::clock::Clock;
use crate::config::Config;
use crate::engine::control::snapshot;
use crate::engine::control::snapshot::SnapshotWriter;
use crate::engine::control::timers::Timers;
use crate::engine::feed;
use crate::engine::fence::epoch_report::{CommitTerms, MemberId, Reporter, WorkerEpochs};
use crate::engine::fence::probe::Prober;
use crate::engine::server::lag::Monitor;
use crate::engine::server::start::Prepared;
use crate::engine::server::wiring::{
    KafkaProgress, ReopeningState, ReopeningWriter, UpsertParts, WorkerDuty, control_settings, control_source, maker, reopen, run_worker,
    status_producer,
};
use crate::engine::status::StatusWriter;
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::provision::GrantFollower;
use crate::engine::topic::stored::{changed_key, epoch_key};
use crate::engine::upsert::gate::{GateKeeper, Gates};
use crate::engine::worker::settings::{AssignedPartitions, Compacted, Shared};
use crate::engine::worker::tuning::LiveTuning;
use crate::id::{Offset, StreamIndex};
use crate::kafka::{KafkaConsumer, KafkaControlLog, KafkaEndProbe, KafkaSettings};
use crate::listener;
use crate::live::{Live, View};
use crate::record::mapping::Mode;
use crate::share::snapshot::SnapshotOrigin;
use crate::share::table::ShareTable;

/// What `run` and `demo` hand the engine.
pub struct EngineInput {
    /// The configuration.
    pub config: Config,
    /// Where the cluster is.
    pub kafka: KafkaSettings,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Renders `/metrics`.
    pub metrics: PrometheusHandle,
    /// Raised from outside to end the engine gracefully.
    pub stop: Arc<AtomicBool>,
    /// A cluster whose topics cannot be looked at or created (the demo's mock): they are taken as they are.
    pub topics_are_given: bool,
    /// What may change while it runs.
    pub tuning: Arc<LiveTuning>,
    /// Told the address that `http.listen` came to, whose port may be 0: any free one.
    pub listening: Option<SyncSender<SocketAddr>>,
}

/// Runs the engine until `stop` is raised or a part fails for good.
pub fn run(start: EngineInput) -> Result<(), RunError> {
    counters::begin();
    warn_about(&start.config);
    let ending = Shutdown::new(Arc::clone(&start.stop));
    let mut threads = Threads::new(ending.clone());
    // Before anything is asked of Kafka: whoever watches the process can see that it lives, and what it waits for.
    let readiness = Arc::new(Readiness::new(start.config.workers, Arc::clone(&start.stop), start::waits_for(&start.kafka)));
    serve(&start, &readiness, &mut threads)?;
    let clock = Arc::clone(&start.clock);
    let started = begin(start, &readiness, &mut threads);
    if started.is_err() {
        ending.stop().store(true, Ordering::Relaxed);
    }
    threads.join(&*clock);
    started.and_then(|()| ending.result())
}

/// Waits for the cluster and starts the engine's parts; returns when all are started, or when `stop` is raised before.
fn begin(start: EngineInput, readiness: &Readiness, threads: &mut Threads) -> Result<(), RunError> {
    let Some(prepared) = start::prepare(&start, readiness)? else { return Ok(()) };
    let EngineInput { config, kafka, clock, stop, topics_are_given, tuning, .. } = start;
    let Prepared { cluster, provisioner, input_partitions, written, control_end } = prepared;
    let differs = ConfigurationState::default();
    let names = TopicNames::of(&config);

    let origin = SnapshotOrigin { cluster: cluster.clone(), topic: config.control.topic.clone() };
    let table = snapshot::load_for_start(&config.snapshot.path, written, &origin, ShareTable::new(config.fold_rules()));
    let control_time = table.control_time();
    let first = Offset(table.epoch().0 + 1);
    // The position is the snapshot's: the probe may hold it against the log before the control thread has published.
    let live = Arc::new(Live::new(View { graph: table.graph(), position: first, newest_cut: None, newest_change: table.newest_change() }));
    let limits = FenceLimits::of(&config.fence);
    let fence = Arc::new(Mutex::new(Fence::new(limits, clock.boot())));

    // The control plane first: nothing flows before it has caught up.
    let (commands, asked) = channel();
    let (touched, to_create) = sync_channel(10_000);
    let snapshots = SnapshotWriter::new(
        config.snapshot.path.clone(),
        Duration::from_millis(config.snapshot.every.millis()),
        origin.clone(),
        clock.boot(),
        table.epoch(),
    );
    let upsert_streams: Vec<StreamIndex> = config.streams.iter().filter(|s| s.mode == Mode::Upsert).map(|s| s.index).collect();
    let (tellers, mut hearings): (Vec<_>, Vec<_>) =
        (0..if upsert_streams.is_empty() { 0 } else { config.workers }).map(|_| feed::hearing()).unzip();
    let control = ControlPlane {
        log: KafkaControlLog::open(&control_settings(&kafka), &config.control.topic, first)?,
        table,
        control_time,
        control_topic: config.control.topic.clone(),
        newest_cut: None,
        upserts: tellers,
        live: Arc::clone(&live),
        fence: Arc::clone(&fence),
        clock: Arc::clone(&clock),
        metrics: ControlMetrics,
        has_mask_secret: config.mask_secret.is_some(),
        topics: (config.output.is_auto_provisioned && !topics_are_given).then_some(touched),
        snapshots: Some(snapshots),
        watch: None,
        configuration: Some(ConfigurationWatch::new(
            config.fold_rules().configuration(),
            control_end,
            Box::new(ReopeningWriter::new(&kafka, &config.control.topic)),
            Arc::clone(&differs),
        )),
        commands: asked,
        stop: Arc::clone(&stop),
    };
    threads.spawn("control", move || control.run().map_err(RunError::from));
    let prober = Prober {
        probe: KafkaEndProbe::open(&kafka, &config.control.topic, limits.max_view_age)?,
        fence: Arc::clone(&fence),
        live: Arc::clone(&live),
        clock: Arc::clone(&clock),
        stop: Arc::clone(&stop),
    };
    threads.spawn("fence", move || prober.run().map_err(|broken| RunError::Configuration(broken.to_string())));
    let follower = GrantFollower {
        maker: Arc::clone(&provisioner),
        live: Arc::clone(&live),
        streams: Arc::clone(&config.streams),
        names: names.clone(),
        touched: to_create,
        stop: Arc::clone(&stop),
    };
    threads.spawn("topics", move || {
        follower.run();
        Ok(())
    });

    // Ticks and status documents.
    let is_elected = Arc::new(AtomicBool::new(false));
    let (news, heard) = channel();
    let timers = Timers {
        writer: ReopeningWriter::new(&kafka, &config.control.topic),
        is_elected: Arc::clone(&is_elected),
        news: heard,
        fence: Arc::clone(&fence),
        clock: Arc::clone(&clock),
        instance: config.kafka.instance.clone(),
        stop: Arc::clone(&stop),
    };
    threads.spawn("timers", move || {
        timers.run();
        Ok(())
    });
    let changed = (!topics_are_given).then(|| changed_key(&kafka.group));
    let status_member = Arc::<MemberId>::default();
    let status = StatusWriter {
        member: Arc::clone(&status_member),
        election: KafkaConsumer::join(&control_settings(&kafka), &format!("{}-status", kafka.group), &[control_source(&config)])?,
        make_producer: status_producer(&kafka, &config),
        reopen: reopen(&kafka, &config, origin),
        live: Arc::clone(&live),
        commands: commands.clone(),
        timers: news,
        is_elected,
        documents: StatusDocuments::new(
            names.clone(),
            changed,
            maker(&provisioner, topics_are_given),
            Arc::clone(&clock),
            Arc::clone(&stop),
        ),
        behind: None,
        clock: Arc::clone(&clock),
        stop: Arc::clone(&stop),
    };
    threads.spawn("status", move || status.run().map_err(RunError::from));

    // The data plane.
    let (held, overdue, compacted) = (AssignedPartitions::default(), Overdue::default(), Compacted::by_mode(&config.streams));
    let said = WorkerEpochs::default();
    let (producers, assigned) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let shared = Shared {
        live: Arc::clone(&live),
        tuning,
        fence: Arc::clone(&fence),
        clock: Arc::clone(&clock),
        topic_maker: maker(&provisioner, topics_are_given),
        stop: Arc::clone(&stop),
        held: Arc::clone(&held),
        overdue: Overdue::clone(&overdue),
        compacted: compacted.clone(),
        producers: Arc::clone(&producers),
        assigned: Arc::clone(&assigned),
        said: Arc::clone(&said),
    };
    let gates = Arc::new(Gates::new(config.streams.len()));
    if !upsert_streams.is_empty() {
        let keeper = GateKeeper {
            progress: KafkaProgress::new(&kafka, &config.streams, input_partitions),
            gates: Arc::clone(&gates),
            streams: upsert_streams,
            clock: Arc::clone(&clock),
            stop: Arc::clone(&stop),
        };
        threads.spawn("gates", move || {
            keeper.run();
            Ok(())
        });
    }
    let duties = WorkerDuty::of(&config);
    for (number, duty) in duties.iter().copied().enumerate() {
        let hearing = if duty.has_upserts() { hearings.pop() } else { None };
        let upserts = hearing.map(|hearing| UpsertParts { hearing, commands: commands.clone(), gates: Arc::clone(&gates) });
        let (config, kafka, names, shared) = (config.clone(), kafka.clone(), names.clone(), shared.clone());
        threads.spawn("worker", move || run_worker((number, duty), &config, &kafka, names, shared, upserts, !topics_are_given));
    }

    let reporter = Reporter {
        said,
        live: Arc::clone(&live),
        writer: ReopeningState::new(&kafka, &names.own.state),
        key: epoch_key(&kafka.group, &config.kafka.instance),
        workers: duties.len(),
        status: status_member,
        terms: CommitTerms::of(&config),
        clock: Arc::clone(&clock),
        stop: Arc::clone(&stop),
    };
    threads.spawn("report", move || {
        reporter.run();
        Ok(())
    });
    if !topics_are_given {
        let (clock, stop, streams) = (Arc::clone(&clock), Arc::clone(&stop), Arc::clone(&config.streams));
        let monitor = Monitor { kafka, streams, starts: Arc::clone(&config.starts), held, compacted, clock, stop };
        threads.spawn("monitor", move || monitor.run().map_err(RunError::from));
    }

    readiness.begins(EngineHealth { fence, live, clock, stop, workers: duties.len(), producers, assigned, overdue, differs });
    Ok(())
}

fn warn_about(config: &Config) {
    for warning in &config.warnings {
        warn!("{warning}");
    }
    if let Some(error) = snapshot::cannot_write(&config.snapshot.path) {
        warn!(path = %config.snapshot.path.display(), %error, "snapshots cannot be written here: each start will replay the control topic");
    }
    if !config.fence.is_enabled {
        warn!("fence.enabled is false: records may be released by an old view of the shares");
    }
}

/// Binds `http.listen`, so that an address in use is an error at once, and serves until the process is told to stop.
fn serve(start: &EngineInput, readiness: &Arc<Readiness>, threads: &mut Threads) -> Result<(), RunError> {
    let (address, failed) = (start.config.http_listen, |error: std::io::Error| RunError::Failed(format!("http: {error}")));
    let listener = listener::bind(address)
        .map_err(|error| RunError::Configuration(format!("http.listen: {address} cannot be bound: {error}; choose another address")))?;
    let address = listener.local_addr().map_err(failed)?;
    info!(%address, "serving /metrics, /livez and /readyz");
    // Whoever asked may have gone.
    start.listening.as_ref().map(|asked| asked.send(address));
    process::describe();
    let health: Arc<dyn Health> = Arc::<Readiness>::clone(readiness);
    let served = Served { health, metrics: start.metrics.clone(), clock: Arc::clone(&start.clock) };
    let stop = Arc::clone(&start.stop);
    threads.spawn("http", move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        runtime.block_on(http::serve(listener, served, stop)).map_err(failed)
    });
    Ok(())
}
