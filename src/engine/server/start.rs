//! What is asked of the cluster before anything starts. A cluster that does not answer is waited for, as a running engine does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use tracing::{info, warn};

use crate::config::Config;
use crate::engine::server::EngineInput;
use crate::engine::server::health::Readiness;
use crate::engine::server::shutdown::RunError;
use crate::engine::server::takeover;
use crate::engine::server::wiring::written_up_to;
use crate::engine::topic::provision::Provisioner;
use crate::engine::topic::spec::{TOMBSTONE_RETENTION, TopicSpecs};
use crate::id::Offset;
use crate::kafka::{Admin, DataProducer, KafkaEndProbe, KafkaSettings};
use crate::record::mapping::{Mode, Stream};
use crate::transport::EndProbe;

/// How long one question of a running engine may take.
const ASK: Duration = Duration::from_secs(10);
/// The same before it runs, when the cluster may be starting too.
const START_ASK: Duration = Duration::from_secs(30);
/// So long a topic that must be there is looked for: it may just have been made.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// Between two attempts, and between two looks at whether the process is to end.
const TRY_AGAIN: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);

/// What the cluster has told before anything starts.
pub(super) struct Prepared {
    /// Its id.
    pub(super) cluster: String,
    /// Creates topics.
    pub(super) provisioner: Arc<Provisioner>,
    /// By stream, how many partitions its input has.
    pub(super) input_partitions: Vec<i32>,
    /// From where on status documents are to be written, if that is known.
    pub(super) written: Option<Offset>,
    /// Where the control topic ended.
    pub(super) control_end: Offset,
}

/// What an engine waits for until a broker has answered, in words.
pub(super) fn waits_for(kafka: &KafkaSettings) -> String {
    format!("no broker of kafka.bootstrap ({}) has answered yet", kafka.bootstrap)
}

/// Asks and checks until all is as it must be, however long the cluster does not answer; none where `stop` is raised before. The
/// questions are asked on a thread of their own, so that a signal does not wait for an answer.
pub(super) fn prepare(start: &EngineInput, readiness: &Readiness) -> Result<Option<Prepared>, RunError> {
    let (tell, told) = channel();
    let (config, kafka, stop) = (start.config.clone(), start.kafka.clone(), Arc::clone(&start.stop));
    let topics_are_given = start.topics_are_given;
    let asking = move || {
        while !stop.load(Ordering::Relaxed) {
            let answer = attempt(&config, &kafka, topics_are_given);
            let is_over = !matches!(answer, Err(RunError::Unavailable(_)));
            // Whoever waited may have gone.
            if tell.send(answer).is_err() || is_over {
                return;
            }
            std::thread::sleep(TRY_AGAIN);
        }
    };
    let thread = std::thread::Builder::new().name("start".to_owned()).spawn(asking);
    thread.map_err(|error| RunError::Failed(format!("no thread to ask Kafka: {error}")))?;
    await_answer(&told, readiness, &start.stop)
}

fn await_answer(
    told: &std::sync::mpsc::Receiver<Result<Prepared, RunError>>,
    readiness: &Readiness,
    stop: &AtomicBool,
) -> Result<Option<Prepared>, RunError> {
    while !stop.load(Ordering::Relaxed) {
        match told.recv_timeout(LOOK) {
            Ok(Err(RunError::Unavailable(reason))) => {
                warn!(reason, "waiting for Kafka");
                readiness.waits_for(&reason);
            }
            Ok(answer) => return answer.map(Some),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) if stop.load(Ordering::Relaxed) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(RunError::Failed("a thread panicked; see the message above".into())),
        }
    }
    info!("stopped before Kafka has answered");
    Ok(None)
}

fn attempt(config: &Config, kafka: &KafkaSettings, topics_are_given: bool) -> Result<Prepared, RunError> {
    let admin = Admin::open(kafka, START_ASK)?;
    let cluster = admin.cluster_id_within(ASK)?;
    DataProducer::check(kafka, ASK)?;
    let provisioner = Arc::new(Provisioner::new(Admin::open(kafka, ASK)?, TopicSpecs::of(config)));
    if topics_are_given {
        let control_end = control_end(config, kafka)?;
        return Ok(Prepared { cluster, provisioner, input_partitions: vec![1; config.streams.len()], written: None, control_end });
    }
    check_topics(&admin, config)?;
    let input_partitions = check_inputs(&admin, config)?;
    if config.output.is_auto_provisioned {
        provisioner.make_own()?;
    }
    tell_short_tombstones(&admin, config);
    for (stream, partitions) in config.streams.iter().zip(&input_partitions).filter(|(stream, _)| stream.mode == Mode::Upsert) {
        check_standing(&admin, config, &provisioner, stream, *partitions)?;
    }
    let control_end = control_end(config, kafka)?;
    takeover::take_over(config, kafka);
    Ok(Prepared { cluster, provisioner, input_partitions, written: written_up_to(kafka, config), control_end })
}

fn control_end(config: &Config, kafka: &KafkaSettings) -> Result<Offset, RunError> {
    Ok(KafkaEndProbe::open(kafka, &config.control.topic, ASK)?.ask()?.end)
}

/// The control topic must be such that no event is lost, and is created so where topics are provisioned.
fn check_topics(admin: &Admin, config: &Config) -> Result<(), RunError> {
    let control = &config.control.topic;
    if !config.output.is_auto_provisioned {
        admin.topic_within(control, KNOWN_WITHIN)?;
    } else if admin.topic(control)?.is_none() {
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

/// Topics of the version before keep tombstones as long as the brokers do, for a day as a rule. No reason not to start; one topic stands
/// for all of them here.
fn tell_short_tombstones(admin: &Admin, config: &Config) {
    let [spec, ..] = TopicSpecs::of(config).own();
    let found = admin.topic_config(&spec.name).ok().and_then(|mut config| config.remove(TOMBSTONE_RETENTION));
    if let (Some(found), Some(wanted)) = (found, spec.config.get(TOMBSTONE_RETENTION))
        && found != *wanted
    {
        warn!(
            topic = spec.name,
            found,
            wanted,
            "delete.retention.ms is not what output.tombstones says: a reader that is away for longer keeps what was taken back; `sharecast \
             provision` sets it on this topic and on tenants' topics"
        );
    }
}

/// Inputs must be there; what an upsert stream reads must be compacted and is kept by partition. Returns the number of
/// partitions of each.
fn check_inputs(admin: &Admin, config: &Config) -> Result<Vec<i32>, RunError> {
    let mut partitions = Vec::new();
    for stream in config.streams.iter() {
        let (name, topic) = (&stream.name, &stream.topic);
        let Some(shape) = admin.topic_within(topic, KNOWN_WITHIN)? else {
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
    let standing = config.topics.standing(&stream.name);
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
