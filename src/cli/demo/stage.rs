//! What the story plays on: a cluster in this process, the engine as `run` starts it, the fleet, and readers of the
//! tenants' topics.

use std::iter;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use super::fleet::{DETAILS_TOPIC, Fleet, OWNER, RAW_TOPIC, name_machines};
use super::halt::Halt;
use super::profiles;
use crate::access::TokenHash;
use crate::cli::args::{ActorArgs, EventDraft, Verb};
use crate::cli::party::args;
use crate::cli::party::args::ProfileCommand;
use crate::cli::random::random;
use crate::cli::share::args::Order;
use crate::cli::{Cli, Command};
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::{Config, ConfigEnv};
use crate::console;
use crate::document::{DocumentKind, Node};
use crate::engine::server;
use crate::engine::server::EngineInput;
use crate::engine::server::shutdown::RunError;
use crate::engine::worker::tuning::{LiveTuning, Tuning};
use crate::id::Offset;
use crate::json::document;
use crate::kafka::{EventWriter, KafkaSettings, MockKafka, TopicReader};
use crate::metrics;
use crate::serve::rest;
use crate::serve::server::{ServeError, ServeInput};
use crate::share::event;
use crate::share::event::write_token::WriteToken;
use crate::share::table::configuration::first_event;
use crate::time::TimestampMs;
use crate::topic::OwnTopics;

/// The other tenants: one hires, one repairs, one insures.
pub(super) const READERS: [&str; 3] = ["acme", "fixit", "safeco"];
/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// A record that came out of a tenant's topic.
#[derive(Debug)]
pub(super) struct Arrival {
    /// The topic.
    pub(super) topic: Arc<str>,
    /// When it was read here.
    pub(super) at: BootTime,
    /// Its key.
    pub(super) key: String,
    /// Its Kafka timestamp.
    pub(super) timestamp: TimestampMs,
    /// Its value; empty for a tombstone.
    pub(super) value: Vec<u8>,
    /// The epoch in the value, or in its `_share`; -1 if there is none.
    pub(super) epoch: Offset,
}

/// Everything that runs while the story is told.
pub(super) struct Stage {
    mock: MockKafka,
    writer: EventWriter,
    arrivals: Receiver<Arrival>,
    faults: Receiver<Vec<u8>>,
    fleet: Fleet,
    readers: Vec<JoinHandle<Result<(), Halt>>>,
    engine: JoinHandle<Result<(), RunError>>,
    console: JoinHandle<Result<(), ServeError>>,
    metrics: PrometheusHandle,
    stop: Arc<AtomicBool>,
    folder: PathBuf,
    /// Where metrics and readiness are served.
    pub(super) http: SocketAddr,
    /// Where the console and the API are served.
    pub(super) console_at: SocketAddr,
    /// What has come out of the tenants' topics so far.
    pub(super) seen: Vec<Arrival>,
}

impl Stage {
    /// Starts all of it; `stop` ends it.
    pub(super) fn start(stop: Arc<AtomicBool>) -> Result<Self, Halt> {
        let mock = MockKafka::start(1).map_err(Halt::broken)?;
        let folder = std::env::temp_dir().join(format!("sharecast-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).map_err(|error| Halt::broken(format!("{}: {error}", folder.display())))?;
        let (config, of_console) = configurations(&mock.bootstrap(), &folder)?;
        make_topics(&mock, &config)?;
        let (kafka, control) = (KafkaSettings::of(&config.kafka), config.control.topic.clone());
        let first = first_event(&config.fold_rules().configuration(), SystemClock.wall());
        let metrics = metrics::install().map_err(Halt::broken)?;

        let (listening, listens) = sync_channel(1);
        let start = EngineInput {
            tuning: Arc::new(LiveTuning::new(Tuning::of(&config))),
            config: config.clone(),
            kafka: kafka.clone(),
            clock: Arc::new(SystemClock),
            metrics: metrics.clone(),
            stop: Arc::clone(&stop),
            topics_are_given: true,
            listening: Some(listening),
        };
        let engine = std::thread::spawn(move || server::run(start));
        // Without an address the engine has ended, and says why.
        let Ok(http) = listens.recv() else {
            return Err(Halt::broken(engine.join().map_or("the engine's thread panicked".into(), |ended| format!("{ended:?}"))));
        };
        let (heard, arrivals) = channel();
        let readers = read_topics(&kafka, &stop, &heard)?;
        let (fault, faults) = channel();
        let fleet = Fleet::start(&kafka, Arc::clone(&stop), fault)?;
        let mut writer = EventWriter::open(&kafka, &control, PATIENCE).map_err(Halt::broken)?;
        // Where the engine was faster this is a repeat.
        writer.append(&first).map_err(Halt::broken)?;
        name_machines(&kafka)?;
        let (console, console_at) = open_console(of_console, metrics.clone(), Arc::clone(&stop))?;
        Ok(Self {
            mock,
            writer,
            arrivals,
            faults,
            fleet,
            readers,
            engine,
            console,
            metrics,
            stop,
            folder,
            http,
            console_at,
            seen: Vec::new(),
        })
    }

    /// Where the mock cluster's clients begin.
    pub(super) fn bootstrap(&self) -> String {
        self.mock.bootstrap()
    }

    /// How many records the fleet has sent.
    pub(super) fn sent(&self) -> u64 {
        self.fleet.sent.load(Ordering::Relaxed)
    }

    /// The sum of a metric over its labels that contain `label`, as `/metrics` shows it.
    pub(super) fn metric(&self, name: &str, label: &str) -> u64 {
        let text = self.metrics.render();
        let lines =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    }

    /// Does what the command line says, as the command would, and returns the event's offset in the control topic.
    pub(super) fn act(&mut self, line: &str) -> Result<Offset, Halt> {
        let id = WriteToken::new(random().map_err(Halt::broken)?).event_id();
        let (acting, draft) = draft_of(line)?;
        let event =
            event::write_structured(&id, &acting.source(), &format!("sharecast.{}.v1", draft.kind), SystemClock.wall(), &draft.data);
        self.writer.append(&event).map_err(Halt::broken)
    }

    /// Has the first machine report a fault; returns the record as it was sent.
    pub(super) fn fault(&mut self) -> Result<Vec<u8>, Halt> {
        self.fleet.fault_wanted.store(true, Ordering::Relaxed);
        self.faults.recv_timeout(PATIENCE).map_err(|_| Halt::broken("the fleet has stopped"))
    }

    /// Reads on until `find` finds what it looks for; `what` says in words what that is.
    pub(super) fn until<T>(&mut self, what: &str, mut find: impl FnMut(&Self) -> Option<T>) -> Result<T, Halt> {
        let end = SystemClock.boot().after(PATIENCE);
        loop {
            if let Some(found) = find(self) {
                return Ok(found);
            }
            if self.is_over() {
                return Err(Halt::Stopped);
            }
            if SystemClock.boot() >= end {
                return Err(Halt::broken(format!("this did not happen within {} s: {what}", PATIENCE.as_secs())));
            }
            self.read_for(Duration::from_millis(100));
        }
    }

    /// Reads on, for as long as nothing comes at most.
    pub(super) fn read_for(&mut self, wait: Duration) {
        match self.arrivals.recv_timeout(wait) {
            Ok(arrival) => self.seen.push(arrival),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        self.seen.extend(self.arrivals.try_iter());
    }

    /// Whether Ctrl-C was pressed, or the engine or the server has ended.
    pub(super) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || self.engine.is_finished() || self.console.is_finished()
    }

    /// Ends everything in order and returns whether each part ended well.
    pub(super) fn end(self) -> Result<(), Halt> {
        self.stop.store(true, Ordering::Relaxed);
        let fleet = self.fleet.join();
        let readers: Vec<_> = self.readers.into_iter().map(JoinHandle::join).collect();
        let (engine, console) = (self.engine.join(), self.console.join());
        // The cluster ends with the process: a client that somebody still has would report that it has gone.
        std::mem::forget(self.mock);
        // What is left there is only in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
        engine.map_err(|_| Halt::broken("the engine's thread panicked"))?.map_err(Halt::broken)?;
        console.map_err(|_| Halt::broken("the server's thread panicked"))?.map_err(Halt::broken)?;
        fleet?;
        readers.into_iter().try_for_each(|reader| reader.unwrap_or_else(|_| Err(Halt::broken("a reader's thread panicked"))))
    }
}

/// The engine's configuration. One worker: the mock keeps no offsets, so that a partition that changes hands begins again.
/// The engine's configuration, and that of the console, which also reads what the machines are called.
fn configurations(bootstrap: &str, folder: &Path) -> Result<(Config, Config), Halt> {
    let (snapshot, tokens) = (folder.join("snapshot").display().to_string(), folder.join("tokens.yaml").display().to_string());
    std::fs::write(&tokens, token_file()).map_err(|error| Halt::broken(format!("{tokens}: {error}")))?;
    let secret = WriteToken::new(random().map_err(Halt::broken)?).event_id();
    let text = format!(
        "streams: {{ telemetry: {{ mode: append, topic: {RAW_TOPIC}, tenant: $.tenant, asset: $.asset, time: $.ts }} }}\n\
         kafka: {{ bootstrap: {bootstrap:?}, instance: demo }}\n\
         workers: 1\n\
         mask: {{ secret: the demo's }}\n\
         http: {{ listen: '127.0.0.1:0' }}\n\
         snapshot: {{ path: {snapshot:?} }}\n\
         api: {{ listen: '127.0.0.1:0', secret: {secret:?}, auth: {{ mode: tokens, tokens: {tokens:?} }} }}\n"
    );
    let names = format!(
        "streams: {{ details: {{ mode: upsert, topic: {DETAILS_TOPIC}, key_format: '{{tenant}}/{{asset}}', tenant: key.tenant, asset: key.asset }} }}\n\
         api: {{ directory: {{ stream: details, name: $.name, reference: $.plate }} }}\n"
    );
    let load = |files: &[(&str, &str)]| Config::load(files, &ConfigEnv::none()).map_err(Halt::broken);
    let engine = ("the demo's configuration", text.as_str());
    Ok((load(&[engine])?, load(&[engine, ("the console's configuration", &names)])?))
}

/// Who signs in with its own name: this is on a loopback address, and of a cluster that ends with it.
fn token_file() -> String {
    let entry = |name: &str, who: String| format!("  - {{ sha256: {}, {who}, role: admin }}\n", TokenHash::of(name));
    let tenants = iter::once(OWNER).chain(READERS).map(|tenant| entry(tenant, format!("tenant: {tenant}")));
    iter::once("tokens:\n".to_owned()).chain(tenants).chain([entry("operator", "operator: true".to_owned())]).collect()
}

/// Serves the API and the console, as `serve` does.
fn open_console(
    config: Config,
    metrics: PrometheusHandle,
    stop: Arc<AtomicBool>,
) -> Result<(JoinHandle<Result<(), ServeError>>, SocketAddr), Halt> {
    let (listening, listens) = sync_channel(1);
    let input = ServeInput { config, clock: Arc::new(SystemClock), metrics, stop, listening: Some(listening) };
    let routes = |serve| rest::router(Arc::clone(&serve)).merge(console::router(serve));
    let server = std::thread::spawn(move || crate::serve::server::run(input, routes));
    match listens.recv() {
        Ok(address) => Ok((server, address)),
        Err(_) => Err(Halt::broken(server.join().map_or("the server's thread panicked".into(), |ended| format!("{ended:?}")))),
    }
}

fn tenant_topics() -> impl Iterator<Item = String> {
    READERS.iter().flat_map(|tenant| [format!("share.{tenant}.telemetry"), format!("share.{tenant}.shares")])
}

/// The mock makes no topics on request, so all of them are made here, the owner's view of its shares too.
fn make_topics(mock: &MockKafka, config: &Config) -> Result<(), Halt> {
    mock.create_topic(RAW_TOPIC, 2).map_err(Halt::broken)?;
    mock.create_topic(DETAILS_TOPIC, 1).map_err(Halt::broken)?;
    let OwnTopics { shares, dead_letters, state, invitations, .. } = &config.topics;
    let own = [&config.control.topic, shares, dead_letters, state, invitations, "share.northwind.shares"].map(str::to_owned);
    own.into_iter().chain(tenant_topics()).try_for_each(|topic| mock.create_topic(&topic, 1).map_err(Halt::broken))
}

fn read_topics(kafka: &KafkaSettings, stop: &Arc<AtomicBool>, heard: &Sender<Arrival>) -> Result<Vec<JoinHandle<Result<(), Halt>>>, Halt> {
    let follow = |topic: String| {
        let (topic, stop, heard): (Arc<str>, _, _) = (topic.into(), Arc::clone(stop), heard.clone());
        let mut reader = TopicReader::open(kafka, &topic, [0]).map_err(Halt::broken)?;
        Ok(std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let tell = |record: crate::kafka::ReadRecord<'_>| {
                    let value = record.value().unwrap_or_default().to_vec();
                    let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
                    let (at, timestamp, epoch) = (SystemClock.boot(), record.timestamp(), epoch_of(&value));
                    let _ = heard.send(Arrival { topic: Arc::clone(&topic), at, key, timestamp, value, epoch });
                };
                reader.follow(Duration::from_millis(100), tell).map_err(Halt::broken)?;
            }
            Ok(())
        }))
    };
    tenant_topics().map(follow).collect()
}

fn epoch_of(value: &[u8]) -> Offset {
    let epoch = |node: &Node| match &node.get("epoch")?.kind {
        DocumentKind::Number(text) => text.parse().ok(),
        _ => None,
    };
    let node = document::parse(value).ok();
    Offset(node.and_then(|node| epoch(&node).or_else(|| epoch(node.get("_share")?))).unwrap_or(-1))
}

/// The event that a command line stands for. Profiles come out of this program instead of the files that are named.
fn draft_of(line: &str) -> Result<(ActorArgs, EventDraft), Halt> {
    let wrong = |what: String| Halt::broken(format!("{line}: {what}"));
    let cli = Cli::read(line.split_whitespace().map(Into::into)).map_err(|exit| wrong(format!("{exit:?}")))?;
    match cli.command {
        Command::Share { acting, command: Verb::Write(command) } => {
            let bits = random().map_err(Halt::broken)?;
            match command.order(&acting, bits, SystemClock.wall()) {
                Ok(Order::One(draft)) => Ok((acting, draft)),
                other => Err(wrong(format!("the demo has no use for {other:?}"))),
            }
        }
        Command::Partnership { acting, command: Verb::Write(command) } => {
            let draft = command.draft(&acting).map_err(|error| wrong(error.to_string()))?;
            Ok((acting, draft))
        }
        Command::Profile { acting, command: Verb::Write(ProfileCommand::Publish { name, file, owner, .. }) } => {
            let spec = profiles::spec(&file).map_err(wrong)?;
            Ok((acting, args::publish(name, owner.as_ref(), spec, profiles::source(&file).as_deref())))
        }
        other => Err(wrong(format!("the demo has no use for {other:?}"))),
    }
}
