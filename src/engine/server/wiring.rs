//! The engine's parts as they are made for a real cluster, each by the configuration.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use crate::config::{Config, Delivery, OnRouteFailure, ProvenanceForm};
use crate::decide::Decider;
use crate::engine::control::snapshot;
use crate::engine::feed::{ChangeReceiver, ControlCommand};
use crate::engine::restore::partition::RestoreContext;
use crate::engine::restore::{OpenArchive, Restore, Restorer};
use crate::engine::server::shutdown::RunError;
use crate::engine::status::CONTROL_PARTITION;
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::provision::Provisioner;
use crate::engine::topic::stored::document_form;
use crate::engine::upsert::Upserts;
use crate::engine::upsert::gate::{Gates, Progress};
use crate::engine::upsert::reconcile::UpsertRules;
use crate::engine::worker::handover::BESIDE_TRANSACTION;
use crate::engine::worker::metrics::WorkerMetrics;
use crate::engine::worker::settings::{Shared, WorkerSettings};
use crate::engine::worker::{MakeProducer, Worker};
use crate::id::{Offset, StreamIndex};
use crate::kafka::{
    AcknowledgedProducer, ClientError, CommittedOffsets, DataProducer, EventWriter, InputTopic, KafkaArchive, KafkaConsumer,
    KafkaControlLog, KafkaMembership, KafkaSettings,
};
use crate::record::mapping::{Mode, Stream};
use crate::share::snapshot::SnapshotOrigin;
use crate::share::table::ShareTable;
use crate::transport::{ConsumeError, ProduceError, TransactionalProducer};

/// So long a start waits for the status writer's position, which only spares work.
const STATUS_POSITION_WAIT: Duration = Duration::from_secs(2);
/// How long a control event waits for its acknowledgement.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);

/// For readers of the control topic: they fold more slowly than librdkafka fetches, and what it holds ready for them is
/// memory for nothing. What the configuration says stays.
pub(in crate::engine) fn control_settings(kafka: &KafkaSettings) -> KafkaSettings {
    let mut kafka = kafka.clone();
    for (key, value) in [("queued.min.messages", "10000"), ("queued.max.messages.kbytes", "16384")] {
        kafka.consumer.entry(key.to_owned()).or_insert_with(|| value.to_owned());
    }
    kafka
}

pub(super) fn control_source(config: &Config) -> InputTopic {
    InputTopic { stream: CONTROL_PARTITION.stream, topic: config.control.topic.clone() }
}

/// So long a member waits for a broker that says what it speaks.
const SPOKEN_WITHIN: Duration = Duration::from_secs(10);
/// So long a producer waits for its coordinator.
const COORDINATED_WITHIN: Duration = Duration::from_secs(60);

pub(in crate::engine) fn producer_maker(
    kafka: &KafkaSettings,
    transactional_id: String,
    sources: Vec<InputTopic>,
) -> MakeProducer<DataProducer> {
    let kafka = kafka.clone();
    Box::new(move || DataProducer::start(&kafka, &transactional_id, &sources, COORDINATED_WITHIN).map_err(unmade))
}

fn acknowledged_maker(kafka: &KafkaSettings, transactional_id: String, sources: Vec<InputTopic>) -> MakeProducer<AcknowledgedProducer> {
    let kafka = kafka.clone();
    Box::new(move || AcknowledgedProducer::start(&kafka, &transactional_id, &sources, COORDINATED_WITHIN).map_err(unmade))
}

fn unmade(error: ClientError) -> ProduceError {
    match error {
        ClientError::Unavailable(reason) => ProduceError::Abort(reason),
        refused @ ClientError::LoginRefused(_) => ProduceError::Abort(refused.to_string()),
        ClientError::Settings(why) => ProduceError::Impossible(why),
        other => ProduceError::Fatal(other.to_string()),
    }
}

pub(super) fn status_producer(kafka: &KafkaSettings, config: &Config) -> MakeProducer<DataProducer> {
    producer_maker(kafka, format!("{}-status", kafka.group), vec![control_source(config)])
}

/// The control offset from which on status documents are to be written, if that can be said at once.
pub(super) fn written_up_to(kafka: &KafkaSettings, config: &Config) -> Option<Offset> {
    let committed = CommittedOffsets::of(kafka, &format!("{}-status", kafka.group)).ok()?;
    let answer = committed.ask(&[(&config.control.topic, CONTROL_PARTITION.partition)], STATUS_POSITION_WAIT).ok()?;
    answer.into_iter().next().flatten().map(|committed| committed.offset)
}

pub(super) fn reopen(kafka: &KafkaSettings, config: &Config, origin: SnapshotOrigin) -> crate::engine::status::Reopen<KafkaControlLog> {
    let (kafka, config) = (control_settings(kafka), config.clone());
    Box::new(move |needed: Offset| {
        let table = snapshot::load_before(&config.snapshot.path, needed, &origin, ShareTable::for_documents(config.fold_rules()));
        let control_time = table.control_time();
        let log = KafkaControlLog::open(&kafka, &config.control.topic, Offset(table.epoch().0 + 1))
            .map_err(|error| ConsumeError::Unavailable(error.to_string()))?;
        Ok((log, table, control_time))
    })
}

/// Which streams a worker takes its records from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WorkerDuty {
    /// All, in transactions.
    Everything,
    /// Append streams, without transactions.
    Append,
    /// Upsert streams, in transactions.
    Upserts,
}

impl WorkerDuty {
    /// The workers that this configuration wants. Streams of two kinds of delivery never share a worker: a batch of one would wait for
    /// a transaction of the other. All workers are members of one group.
    pub(super) fn of(config: &Config) -> Vec<Self> {
        let kinds = match config.delivery {
            Delivery::ExactlyOnce => vec![Self::Everything],
            Delivery::AtLeastOnce => vec![Self::Append, Self::Upserts],
        };
        let kinds = kinds.into_iter().filter(|duty| config.streams.iter().any(|stream| duty.takes(stream)));
        kinds.flat_map(|duty| std::iter::repeat_n(duty, config.workers)).collect()
    }

    fn takes(self, stream: &Stream) -> bool {
        match self {
            Self::Everything => true,
            Self::Append => stream.mode == Mode::Append,
            Self::Upserts => stream.mode == Mode::Upsert,
        }
    }

    /// Whether it may hold partitions of upsert streams.
    pub(super) fn has_upserts(self) -> bool {
        self != Self::Append
    }
}

/// The `transactional.id` of a worker of this instance.
pub(super) fn worker_id(kafka: &KafkaSettings, config: &Config, number: usize) -> String {
    format!("{}-{}-{number}", kafka.group, config.kafka.instance)
}

/// One worker's whole life.
pub(super) fn run_worker(
    (number, duty): (usize, WorkerDuty),
    config: &Config,
    kafka: &KafkaSettings,
    names: TopicNames,
    shared: Shared,
    upserts: Option<UpsertParts>,
    keeps_notes: bool,
) -> Result<(), RunError> {
    let streams = config.streams.iter().filter(|stream| duty.takes(stream));
    let sources: Vec<InputTopic> = streams.map(|stream| InputTopic { stream: stream.index, topic: stream.topic.clone() }).collect();
    let transactional_id = worker_id(kafka, config, number);
    let parts = WorkerParts { transactional_id: transactional_id.clone(), sources: sources.clone(), names, shared, upserts, keeps_notes };
    // The producer first: it fences a predecessor of this name before this member takes partitions.
    match duty {
        WorkerDuty::Everything | WorkerDuty::Upserts => {
            let make = producer_maker(kafka, transactional_id, sources);
            make_worker(config, kafka, Delivery::ExactlyOnce, parts, make)?.run()?;
        }
        WorkerDuty::Append => {
            let make = acknowledged_maker(kafka, transactional_id, sources);
            make_worker(config, kafka, Delivery::AtLeastOnce, parts, make)?.run()?;
        }
    }
    Ok(())
}

struct WorkerParts {
    transactional_id: String,
    /// What it reads.
    sources: Vec<InputTopic>,
    names: TopicNames,
    shared: Shared,
    upserts: Option<UpsertParts>,
    keeps_notes: bool,
}

/// A transaction costs about as much as this many records, and more where it writes to many partitions.
const ENOUGH_RECORDS: usize = 64;

fn make_worker<P: TransactionalProducer<Membership = KafkaMembership>>(
    config: &Config,
    kafka: &KafkaSettings,
    delivery: Delivery,
    WorkerParts { transactional_id, sources, names, shared, upserts, keeps_notes }: WorkerParts,
    make_producer: MakeProducer<P>,
) -> Result<Worker<KafkaConsumer, P>, RunError> {
    let waits = config.output.on_route_failure == OnRouteFailure::Wait && keeps_notes;
    let decider = Decider::new(config.release_rules(), config.mask_secret.as_ref().map(crate::config::Secret::expose));
    let metrics = WorkerMetrics::new(&config.streams);
    let settings = WorkerSettings {
        group: kafka.group.clone(),
        transactional_id,
        streams: Arc::clone(&config.streams),
        starts: Arc::clone(&config.starts),
        enough_records: ENOUGH_RECORDS,
        standing: config.streams.iter().map(|stream| names.own.standing(&stream.name)).collect(),
        delivery,
        names: names.clone(),
        waits,
        passes_headers: config.output.headers.clone(),
        has_provenance_headers: config.provenance == ProvenanceForm::Headers,
        has_permission_header: config.shows_permission(),
        held_for: Duration::from_millis(kafka.transaction_timeout_ms()) + BESIDE_TRANSACTION,
    };
    let join = || {
        let joined = match delivery {
            Delivery::ExactlyOnce => KafkaConsumer::join_data_plane(kafka, &kafka.group, &sources, SPOKEN_WITHIN),
            Delivery::AtLeastOnce => KafkaConsumer::join(kafka, &kafka.group, &sources),
        };
        joined.map_err(|error| ConsumeError::Refused(error.to_string()))
    };
    let desk = make_desk(config, kafka, &names, &shared, keeps_notes)?;
    let upserts = upserts.map(|parts| make_upserts(config, names, parts));
    Ok(Worker::new(settings, shared, join, make_producer, decider, desk, upserts, metrics)?)
}

/// What a worker's upsert streams need of the rest of the engine.
pub(super) struct UpsertParts {
    /// Told of changes by the fold.
    pub(super) hearing: ChangeReceiver,
    /// Asks the fold.
    pub(super) commands: Sender<ControlCommand>,
    /// Shared by all workers.
    pub(super) gates: Arc<Gates>,
}

fn make_desk(
    config: &Config,
    kafka: &KafkaSettings,
    names: &TopicNames,
    shared: &Shared,
    keeps_notes: bool,
) -> Result<Box<dyn Restore>, RunError> {
    let (live, streams) = (Arc::clone(&shared.live), Arc::clone(&config.streams));
    let around = RestoreContext { live, streams, names: names.clone(), group: kafka.group.clone(), keeps_notes };
    let kafka = kafka.clone();
    let open: OpenArchive<KafkaArchive> =
        Arc::new(move || KafkaArchive::open(&kafka).map_err(|error| ConsumeError::Unavailable(error.to_string())));
    let desk = Restorer::start(&around, &open, &shared.stop);
    Ok(Box::new(desk.map_err(|error| RunError::Failed(format!("no thread to read partitions: {error}")))?))
}

fn make_upserts(config: &Config, names: TopicNames, parts: UpsertParts) -> Upserts {
    let UpsertParts { hearing, commands, gates } = parts;
    let rules = UpsertRules {
        release: config.release_rules(),
        names,
        form: document_form(config.provenance).to_owned(),
        passes_headers: config.output.headers.clone(),
        has_provenance_headers: config.provenance == ProvenanceForm::Headers,
    };
    let secret = config.mask_secret.as_ref().map(crate::config::Secret::expose);
    Upserts::new(rules, secret, Arc::clone(&config.streams), gates, hearing, commands)
}

/// What stands beside the offsets of upsert inputs.
pub(super) struct KafkaProgress {
    kafka: KafkaSettings,
    streams: Arc<[Stream]>,
    /// By stream, how many partitions its input has.
    partitions: Vec<i32>,
    committed: Option<CommittedOffsets>,
}

impl KafkaProgress {
    pub(super) fn new(kafka: &KafkaSettings, streams: &Arc<[Stream]>, partitions: Vec<i32>) -> Self {
        Self { kafka: kafka.clone(), streams: Arc::clone(streams), partitions, committed: None }
    }
}

impl Progress for KafkaProgress {
    fn notes(&mut self, StreamIndex(stream): StreamIndex) -> Result<Vec<Option<Vec<u8>>>, ConsumeError> {
        let unavailable = |error: ClientError| ConsumeError::Unavailable(error.to_string());
        let committed = match &self.committed {
            Some(committed) => committed,
            None => {
                let made = CommittedOffsets::as_they_stand(&self.kafka, &self.kafka.group).map_err(unavailable)?;
                self.committed.insert(made)
            }
        };
        let (topic, count) = (self.streams[usize::from(stream)].topic.as_str(), self.partitions[usize::from(stream)]);
        let partitions: Vec<(&str, i32)> = (0..count).map(|partition| (topic, partition)).collect();
        let answers = committed.ask(&partitions, STATUS_POSITION_WAIT).map_err(unavailable)?;
        Ok(answers.into_iter().map(|answer| answer.map(|committed| committed.note)).collect())
    }
}

pub(super) fn maker(provisioner: &Arc<Provisioner>, topics_are_given: bool) -> Arc<dyn crate::engine::output::lookup::TopicMaker> {
    struct Given;
    impl crate::engine::output::lookup::TopicMaker for Given {
        fn make(&self, _: &str, _: crate::engine::output::lookup::TopicKind) -> Result<(), crate::engine::output::lookup::NotMade> {
            Ok(())
        }

        fn largest_batch(&self, _: &str) -> Option<usize> {
            None
        }
    }
    if topics_are_given { Arc::new(Given) } else { Arc::clone(provisioner) as Arc<dyn crate::engine::output::lookup::TopicMaker> }
}

/// A writer that is made when it is first needed and again after it failed.
pub(in crate::engine) struct ReopeningWriter {
    settings: KafkaSettings,
    topic: String,
    writer: Option<EventWriter>,
}

impl ReopeningWriter {
    pub(in crate::engine) fn new(settings: &KafkaSettings, topic: &str) -> Self {
        Self { settings: settings.clone(), topic: topic.to_owned(), writer: None }
    }
}

/// A writer of single facts to `sharecast.state`, made when it is first needed and again after it failed.
pub(in crate::engine) struct ReopeningState {
    settings: KafkaSettings,
    topic: String,
    writer: Option<EventWriter>,
}

impl ReopeningState {
    pub(in crate::engine) fn new(settings: &KafkaSettings, topic: &str) -> Self {
        Self { settings: settings.clone(), topic: topic.to_owned(), writer: None }
    }
}

impl ReopeningState {
    fn writer(&mut self) -> Result<&mut EventWriter, ProduceError> {
        match &mut self.writer {
            Some(writer) => Ok(writer),
            unmade => {
                let made = EventWriter::open(&self.settings, &self.topic, ACKNOWLEDGED_WITHIN)
                    .map_err(|error| ProduceError::Fatal(error.to_string()))?;
                Ok(unmade.insert(made))
            }
        }
    }

    fn append(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), ProduceError> {
        self.writer()?.append_record(Some(key.as_bytes()), value, &[]).map(drop).map_err(|error| {
            if matches!(error, crate::kafka::WriteError::Fatal(_)) {
                self.writer = None;
            }
            ProduceError::Abort(error.to_string())
        })
    }
}

impl crate::engine::fence::epoch_report::StateWriter for ReopeningState {
    fn prepare(&mut self) {
        // What fails now is told when something is to be written.
        drop(self.writer());
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ProduceError> {
        self.append(key, Some(value))
    }

    fn take_back(&mut self, key: &str) -> Result<(), ProduceError> {
        self.append(key, None)
    }
}

impl crate::transport::ControlWriter for ReopeningWriter {
    fn append(&mut self, event: &[u8]) -> Result<Offset, ProduceError> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => {
                let made = EventWriter::open(&self.settings, &self.topic, ACKNOWLEDGED_WITHIN)
                    .map_err(|error| ProduceError::Fatal(error.to_string()))?;
                self.writer.insert(made)
            }
        };
        writer.append(event).map_err(|error| {
            if matches!(error, crate::kafka::WriteError::Fatal(_)) {
                self.writer = None;
            }
            ProduceError::Abort(error.to_string())
        })
    }
}
