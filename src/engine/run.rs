//! `sharecast run`: puts the parts together, starts them in the order they need each other, and ends them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tracing::{info, warn};

use super::control::ControlPlane;
use super::counting::{self, ControlMetrics};
use super::documents::Documents;
use super::ending::{Ending, RunError, Threads};
use super::fence::{Fence, FenceLimits};
use super::health::EngineHealth;
use super::http;
use super::monitor::{Held, Monitor};
use super::parts::{
    KafkaProgress, ReopeningState, ReopeningWriter, UpsertParts, control_settings, control_source, make_worker, maker, reopen,
    status_producer, written_up_to,
};
use super::probe::Prober;
use super::provision::{GrantFollower, Provisioner};
use super::report::{Reporter, Said};
use super::snapshots::{self, SnapshotWriter};
use super::status::StatusWriter;
use super::stored::epoch_key;
use super::timers::Timers;
use super::topic_specs::TopicSpecs;
use super::topics::{TopicNames, standing_topic};
use super::upsert::changes;
use super::upsert::gate::{GateKeeper, Gates};
use super::worker::Shared;
use crate::clock::Clock;
use crate::config::{Config, Delivery};
use crate::id::{Offset, StreamIndex};
use crate::kafka::{Admin, KafkaConsumer, KafkaControlLog, KafkaEndProbe, KafkaSettings};
use crate::live::{Live, View};
use crate::record::mapping::{Mode, Stream};
use crate::share::snapshot::Origin;
use crate::share::table::ShareTable;

/// How long one question to the cluster may take.
const ASK: Duration = Duration::from_secs(10);
/// How long a start waits for a cluster that does not answer.
const CONNECT: Duration = Duration::from_secs(30);

/// What `run` and `demo` hand the engine.
pub struct Start {
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
    /// Told the address that `http.listen` came to, whose port may be 0: any free one.
    pub listening: Option<SyncSender<SocketAddr>>,
}

/// Runs the engine until `stop` is raised or a part fails for good.
pub fn run(start: Start) -> Result<(), RunError> {
    let Start { config, kafka, clock, metrics, stop, topics_are_given, listening } = start;
    counting::begin();
    let names = TopicNames { control: config.control.topic.clone(), template: config.output.topics.clone() };
    refuse_what_is_missing(&config)?;
    warn_about(&config);

    let admin = Admin::open(&kafka, ASK)?;
    let cluster = wait_for_cluster(&admin, &stop)?;
    let provisioner = Arc::new(Provisioner::new(admin, TopicSpecs::of(&config)));
    let mut input_partitions = vec![1; config.streams.len()];
    if !topics_are_given {
        let admin = Admin::open(&kafka, ASK)?;
        check_topics(&admin, &config)?;
        input_partitions = check_inputs(&admin, &config)?;
        if config.output.is_auto_provisioned {
            provisioner.make_own()?;
        }
        for (stream, partitions) in config.streams.iter().zip(&input_partitions).filter(|(stream, _)| stream.mode == Mode::Upsert) {
            check_standing(&admin, &config, &provisioner, stream, *partitions)?;
        }
    }

    let origin = Origin { cluster: cluster.clone(), topic: config.control.topic.clone() };
    let written = if topics_are_given { None } else { written_up_to(&kafka, &config) };
    let table = snapshots::load_for_start(&config.snapshot.path, written, &origin, ShareTable::new(config.fold_rules()));
    let control_time = table.control_time();
    let first = Offset(table.epoch().0 + 1);
    // The position is the snapshot's: the probe may hold it against the log before the control thread has published.
    let live = Arc::new(Live::new(View { graph: table.graph(), position: first, newest_cut: None, newest_change: table.epoch() }));
    let limits = FenceLimits {
        is_enabled: config.fence.is_enabled,
        max_view_age: Duration::from_millis(config.fence.max_view_age.millis()),
        max_tick_age: Duration::from_millis(config.fence.max_tick_age.millis()),
        max_clock_skew: Duration::from_millis(config.fence.max_clock_skew.millis()),
    };
    let fence = Arc::new(Mutex::new(Fence::new(limits, clock.boot())));
    let ending = Ending::new(Arc::clone(&stop));
    let mut threads = Threads::new(ending.clone());

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
        (0..if upsert_streams.is_empty() { 0 } else { config.workers }).map(|_| changes::hearing()).unzip();
    let control = ControlPlane {
        log: KafkaControlLog::open(&control_settings(&kafka), &config.control.topic, first)?,
        table,
        control_time,
        control_topic: config.control.topic.clone(),
        newest_cut: None,
        newest_change: live.load().newest_change,
        upserts: tellers,
        live: Arc::clone(&live),
        fence: Arc::clone(&fence),
        clock: Arc::clone(&clock),
        metrics: ControlMetrics,
        has_mask_secret: config.mask_secret.is_some(),
        topics: (config.output.is_auto_provisioned && !topics_are_given).then_some(touched),
        snapshots,
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
    let status = StatusWriter {
        election: KafkaConsumer::join(&control_settings(&kafka), &format!("{}-status", kafka.group), &[control_source(&config)])?,
        make_producer: status_producer(&kafka, &config),
        reopen: reopen(&kafka, &config, origin),
        live: Arc::clone(&live),
        commands: commands.clone(),
        timers: news,
        is_elected,
        documents: Documents::new(names.clone(), maker(&provisioner, topics_are_given), Arc::clone(&clock), Arc::clone(&stop)),
        behind: None,
        clock: Arc::clone(&clock),
        stop: Arc::clone(&stop),
    };
    threads.spawn("status", move || status.run().map_err(RunError::from));

    // The data plane.
    let held = Held::default();
    let said = Said::default();
    let (producers, assigned) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let shared = Shared {
        live: Arc::clone(&live),
        fence: Arc::clone(&fence),
        clock: Arc::clone(&clock),
        topic_maker: maker(&provisioner, topics_are_given),
        stop: Arc::clone(&stop),
        held: Arc::clone(&held),
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
    for number in 0..config.workers {
        let upserts = hearings.pop().map(|hearing| UpsertParts { hearing, commands: commands.clone(), gates: Arc::clone(&gates) });
        let (config, kafka, names, shared) = (config.clone(), kafka.clone(), names.clone(), shared.clone());
        threads.spawn("worker", move || {
            let worker = make_worker(number, &config, &kafka, names, shared, upserts, !topics_are_given)?;
            worker.run().map_err(RunError::from)
        });
    }

    if !topics_are_given {
        let reporter = Reporter {
            said,
            live: Arc::clone(&live),
            writer: ReopeningState::new(&kafka),
            key: epoch_key(&kafka.group, &config.kafka.instance),
            clock: Arc::clone(&clock),
            stop: Arc::clone(&stop),
        };
        threads.spawn("report", move || {
            reporter.run();
            Ok(())
        });
        let monitor = Monitor { kafka, streams: Arc::clone(&config.streams), held, clock: Arc::clone(&clock), stop: Arc::clone(&stop) };
        threads.spawn("monitor", move || monitor.run().map_err(RunError::from));
    }

    let health = Arc::new(EngineHealth { fence, live, clock, stop: Arc::clone(&stop), workers: config.workers, producers, assigned });
    serve_until_stopped(config.http_listen, listening, health, metrics, &ending)?;
    threads.join();
    ending.result()
}

/// What the configuration may say, and `replay` has no use for, but this version does not do.
fn refuse_what_is_missing(config: &Config) -> Result<(), RunError> {
    if config.delivery == Delivery::AtLeastOnce {
        return Err(RunError::Configuration(
            "`delivery: at_least_once` is not in this version, which delivers exactly once; leave the key out".into(),
        ));
    }
    Ok(())
}

fn warn_about(config: &Config) {
    for warning in &config.warnings {
        warn!("{warning}");
    }
    if let Some(error) = snapshots::cannot_write(&config.snapshot.path) {
        warn!(path = %config.snapshot.path.display(), %error, "snapshots cannot be written here: each start will replay the control topic");
    }
    if !config.fence.is_enabled {
        warn!("fence.enabled is false: records may be released by an old view of the shares");
    }
}

fn wait_for_cluster(admin: &Admin, stop: &AtomicBool) -> Result<String, RunError> {
    let mut waited = Duration::ZERO;
    loop {
        match admin.cluster_id() {
            Ok(cluster) => return Ok(cluster),
            Err(error) if waited >= CONNECT || stop.load(Ordering::Relaxed) => return Err(error.into()),
            Err(error) => {
                warn!(%error, "waiting for Kafka");
                waited += ASK;
            }
        }
    }
}

/// The control topic must be as SPEC 5 wants it, and is created so where topics are provisioned.
fn check_topics(admin: &Admin, config: &Config) -> Result<(), RunError> {
    let control = &config.control.topic;
    if admin.topic(control)?.is_none() && config.output.is_auto_provisioned {
        admin.create(&[crate::kafka::control_topic(control, admin.brokers()?)])?;
        info!(topic = control, "control topic created");
    }
    let Some(check) = admin.check_control_topic(control)? else {
        return Err(RunError::Configuration(format!(
            "the control topic {control} is missing and output.provision is manual: create it with one partition, cleanup.policy=delete, \
             retention.ms=-1, retention.bytes=-1, message.timestamp.type=LogAppendTime and min.insync.replicas=2 where there are three brokers"
        )));
    };
    check.warnings.iter().for_each(|warning| warn!("{warning}"));
    if !check.faults.is_empty() {
        return Err(RunError::Configuration(check.faults.join("; ")));
    }
    Ok(())
}

/// Inputs must be there; what an upsert stream reads must be compacted and is kept by partition. Answers the number of
/// partitions of each.
fn check_inputs(admin: &Admin, config: &Config) -> Result<Vec<i32>, RunError> {
    let mut partitions = Vec::new();
    for stream in config.streams.iter() {
        let (name, topic) = (&stream.name, &stream.topic);
        let Some(shape) = admin.topic(topic)? else {
            return Err(RunError::Configuration(format!(
                "the input topic {topic} of stream {name} does not exist: create it, or correct streams.{name}.topic"
            )));
        };
        partitions.push(shape.partitions);
        if stream.mode == Mode::Upsert {
            let policy = admin.topic_config(topic)?.remove("cleanup.policy").unwrap_or_default();
            if policy != "compact" {
                return Err(RunError::Configuration(format!(
                    "the input topic {topic} of stream {name} has cleanup.policy={policy}: an upsert stream's current documents would be \
                     deleted with time. Set cleanup.policy=compact on it (kafka-configs.sh --alter), or make streams.{name} an append stream"
                )));
            }
        }
    }
    Ok(partitions)
}

fn check_standing(admin: &Admin, config: &Config, provisioner: &Provisioner, stream: &Stream, input: i32) -> Result<(), RunError> {
    let standing = standing_topic(&stream.name);
    if config.output.is_auto_provisioned && admin.topic(&standing)?.is_none() {
        provisioner.make_standing(&[(standing.clone(), input)])?;
        return Ok(());
    }
    match admin.topic(&standing)? {
        Some(shape) if shape.partitions == input => Ok(()),
        Some(shape) => Err(RunError::Configuration(format!(
            "{} has {input} partitions and {standing} has {}: an upsert input must keep its number of partitions, or assets change theirs. Go \
                     back to an input topic with {}, or stop sharecast, delete {standing} and the tenants' topics of stream {}, and begin it under \
                     another kafka.group",
            stream.topic, shape.partitions, shape.partitions, stream.name
        ))),
        None => Err(RunError::Configuration(format!(
            "{standing} is missing and output.provision is manual: create it with {input} partitions, as many as {}, and cleanup.policy=compact",
            stream.topic
        ))),
    }
}

fn serve_until_stopped(
    address: SocketAddr,
    listening: Option<SyncSender<SocketAddr>>,
    health: Arc<EngineHealth>,
    metrics: PrometheusHandle,
    ending: &Ending,
) -> Result<(), RunError> {
    let failed = |error: std::io::Error| RunError::Failed(format!("http: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let served = runtime.block_on(async {
        let listener = http::bind(address)
            .await
            .map_err(|error| RunError::Configuration(format!("http.listen: {address} cannot be bound: {error}; choose another address")))?;
        let address = listener.local_addr().map_err(failed)?;
        info!(%address, "serving /metrics, /livez and /readyz");
        // Whoever asked may have gone.
        listening.map(|asked| asked.send(address));
        http::serve(listener, health, metrics, ending.stop()).await.map_err(failed)
    });
    if let Err(cause) = served {
        ending.because(cause);
    }
    Ok(())
}
