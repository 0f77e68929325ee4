//! Topics as the cluster has them: looked at, checked, made and, in tests, deleted.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};

use super::alter_configs;
use super::client::{ClientError, Deadline, Logged, ask, create, serve};
use super::settings::KafkaSettings;
use crate::kafka::client::failure;
use crate::kafka::client::failure::Outlook;

/// Why a question to the cluster failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No client, no right, no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// One topic could not be made or deleted.
    #[error("topic {topic}: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// What the cluster said.
        reason: String,
    },
}

/// A topic to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each; -1 for the broker's default.
    pub replication: i32,
    /// Its configuration where it differs from the broker's default.
    pub config: BTreeMap<String, String>,
}

/// What became of a topic to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was made.
    New,
    /// It was there; its shape and configuration were not looked at.
    Existing,
}

/// A topic that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicShape {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// The fewest replicas that a partition has.
    pub replication: i32,
    /// Whether every partition has a leader.
    pub has_leaders: bool,
}

/// What is wrong with the control topic (docs/rules/events.md#the-control-topic).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlTopicCheck {
    /// Each ends the start with exit 78 and says what to change.
    pub faults: Vec<String>,
    /// Each is logged.
    pub warnings: Vec<String>,
}

/// How often a refused login is looked for while nothing answers.
const CLUSTER_SLICE: Duration = Duration::from_millis(200);

/// A client for questions about the cluster and its topics. It blocks; it is made for starts and for once a minute.
pub struct Admin {
    client: AdminClient<Logged>,
    wait: Duration,
}

impl Admin {
    /// Each question is repeated for up to `wait` while its answer may pass by itself.
    pub fn open(settings: &KafkaSettings, wait: Duration) -> Result<Self, ClientError> {
        let client: AdminClient<Logged> = create(&settings.plain())?;
        Ok(Self { client, wait })
    }

    /// The cluster's id, which tells it from any other. A refused login is told as soon as it is known; whoever waits for a
    /// cluster that is down asks again.
    pub fn cluster_id(&self) -> Result<String, ClientError> {
        self.cluster_id_within(self.wait)
    }

    /// The same, waiting up to `wait`.
    pub fn cluster_id_within(&self, wait: Duration) -> Result<String, ClientError> {
        self.ask_within("the cluster's id", Deadline::after(wait), |left| {
            let id = self.client.inner().fetch_cluster_id(left.min(CLUSTER_SLICE));
            id.filter(|id| !id.is_empty()).ok_or(KafkaError::MetadataFetch(Code::OperationTimedOut))
        })
    }

    /// How many brokers are alive.
    pub fn brokers(&self) -> Result<usize, ClientError> {
        let metadata = self.ask("the cluster's brokers", |left| self.client.inner().fetch_metadata(Some("__consumer_offsets"), left))?;
        Ok(metadata.brokers().len())
    }

    /// The topic as the cluster has it; none where it is missing.
    pub fn topic(&self, name: &str) -> Result<Option<TopicShape>, ClientError> {
        self.look_at(name, Deadline::after(self.wait))
    }

    /// The same, where one that is missing is looked for until `wait` is over: it may just have been made.
    pub fn topic_within(&self, name: &str, wait: Duration) -> Result<Option<TopicShape>, ClientError> {
        let deadline = Deadline::after(wait);
        loop {
            let shape = self.topic(name)?;
            if shape.is_some() || deadline.has_passed() {
                return Ok(shape);
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn look_at(&self, name: &str, deadline: Deadline) -> Result<Option<TopicShape>, ClientError> {
        self.ask_within(format_args!("topic {name}"), deadline, |left| {
            let metadata = match self.client.inner().fetch_metadata(Some(name), left) {
                Err(KafkaError::MetadataFetch(Code::UnknownTopicOrPartition | Code::UnknownTopic)) => return Ok(None),
                answer => answer?,
            };
            metadata.topics().iter().find(|topic| topic.name() == name).map_or(Ok(None), shape)
        })
    }

    /// Every topic that this client may see.
    pub fn topics(&self) -> Result<Vec<TopicShape>, ClientError> {
        self.ask("all topics", |left| {
            let metadata = self.client.inner().fetch_metadata(None, left)?;
            metadata.topics().iter().filter_map(|topic| shape(topic).transpose()).collect()
        })
    }

    /// The configuration in force: the topic's own values and, below them, the broker's.
    pub fn topic_config(&self, name: &str) -> Result<BTreeMap<String, String>, ClientError> {
        self.ask(format_args!("the configuration of topic {name}"), |left| {
            let answers = block_on(self.client.describe_configs(&[ResourceSpecifier::Topic(name)], &options(left)))?;
            let mut config = BTreeMap::new();
            for answer in answers {
                let resource = answer.map_err(KafkaError::AdminOp)?;
                config.extend(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))));
            }
            Ok(config)
        })
    }

    /// Sets each of these settings of a topic, or sets it back to the broker's where there is no value; its others stay.
    pub fn alter_topic(&self, name: &str, changes: &[(&str, Option<&str>)]) -> Result<(), ClientError> {
        self.ask(format_args!("changing the configuration of topic {name}"), |left| {
            alter_configs::alter_topic(self.client.inner(), name, changes, left)
        })
    }

    /// Makes topics and waits until each has its leaders; the results are in the order of `specs`.
    pub fn create(&self, specs: &[TopicSpec]) -> Result<Vec<Created>, AdminError> {
        let deadline = Deadline::after(self.wait);
        let mut created = Vec::with_capacity(specs.len());
        for spec in specs {
            // The question also tells the client who the controller is now: asking one that has died, librdkafka connects to it
            // again and again without a pause for as long as it may wait.
            created.push(if self.look_at(&spec.name, deadline)?.is_some() { Created::Existing } else { Created::New });
        }
        self.create_missing(specs, &mut created, deadline)?;
        for spec in specs {
            self.await_leaders(&spec.name, deadline)?;
        }
        Ok(created)
    }

    /// Makes those that are `New`, each again while its answer may pass by itself.
    fn create_missing(&self, specs: &[TopicSpec], created: &mut [Created], deadline: Deadline) -> Result<(), AdminError> {
        let mut missing: Vec<usize> = (0..specs.len()).filter(|at| created[*at] == Created::New).collect();
        let mut is_first = true;
        let names: Vec<&str> = missing.iter().map(|at| specs[*at].name.as_str()).collect();
        let made = self.ask_within(format!("making {}", names.join(", ")), deadline, |left| {
            if !std::mem::take(&mut is_first)
                && let Some(at) = missing.first()
            {
                // Who the controller is now.
                let _ = self.client.inner().fetch_metadata(Some(&specs[*at].name), left);
            }
            let (mut refused, mut passing) = (None, None);
            let topics: Vec<NewTopic<'_>> = missing.iter().map(|at| new_topic(&specs[*at])).collect();
            let results = if topics.is_empty() { Vec::new() } else { block_on(self.client.create_topics(&topics, &options(left)))? };
            for result in results {
                let (topic, failed) = match result {
                    Ok(topic) => (topic, None),
                    Err((topic, code)) => (topic, Some(code)),
                };
                let at = specs.iter().position(|spec| spec.name == topic);
                match failed {
                    None => {}
                    Some(Code::TopicAlreadyExists) => at.into_iter().for_each(|at| created[at] = Created::Existing),
                    Some(code) if failure::outlook(code) == Outlook::Stays => {
                        refused.get_or_insert(AdminError::Topic { topic, reason: code.to_string() });
                        continue;
                    }
                    Some(code) => {
                        passing.get_or_insert(code);
                        continue;
                    }
                }
                missing.retain(|missing| Some(*missing) != at);
            }
            // A refusal does not wait for what passes.
            match (refused, passing) {
                (Some(refused), _) => Ok(Err(refused)),
                (None, Some(code)) => Err(KafkaError::AdminOp(code)),
                (None, None) => Ok(Ok(())),
            }
        });
        made?
    }

    /// The cluster answers before all of its brokers know of a new topic.
    fn await_leaders(&self, name: &str, deadline: Deadline) -> Result<(), AdminError> {
        while !self.look_at(name, deadline)?.is_some_and(|shape| shape.has_leaders) {
            if deadline.has_passed() {
                return Err(ClientError::Unavailable(format!("topic {name} is made, but no leader is seen")).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Deletes topics and waits until they are gone; missing ones count as deleted.
    pub fn delete(&self, names: &[&str]) -> Result<(), AdminError> {
        let deadline = Deadline::after(self.wait);
        let mut left_over: Vec<&str> = names.to_vec();
        let deleted = self.ask_within(format!("deleting {}", names.join(", ")), deadline, |left| {
            let (mut refused, mut passing) = (None, None);
            let results = if left_over.is_empty() { Vec::new() } else { block_on(self.client.delete_topics(&left_over, &options(left)))? };
            for result in results {
                match result {
                    Ok(topic) | Err((topic, Code::UnknownTopicOrPartition)) => left_over.retain(|name| *name != topic),
                    Err((topic, code)) if failure::outlook(code) == Outlook::Stays => {
                        refused.get_or_insert(AdminError::Topic { topic, reason: code.to_string() });
                    }
                    Err((_, code)) => drop(passing.get_or_insert(code)),
                }
            }
            match (refused, passing) {
                (Some(refused), _) => Ok(Err(refused)),
                (None, Some(code)) => Err(KafkaError::AdminOp(code)),
                (None, None) => Ok(Ok(())),
            }
        });
        deleted??;
        for name in names {
            while self.look_at(name, deadline)?.is_some() {
                if deadline.has_passed() {
                    return Err(ClientError::Unavailable(format!("topic {name} is deleted, but still seen")).into());
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    /// What is wanted of the control topic (docs/rules/events.md#the-control-topic); none where the topic is missing.
    pub fn check_control_topic(&self, name: &str) -> Result<Option<ControlTopicCheck>, ClientError> {
        let Some(shape) = self.topic(name)? else { return Ok(None) };
        Ok(Some(check_control(&shape, &self.topic_config(name)?, self.brokers()?)))
    }

    fn ask<T>(&self, what: impl Display, question: impl FnMut(Duration) -> KafkaResult<T>) -> Result<T, ClientError> {
        self.ask_within(what, Deadline::after(self.wait), question)
    }

    fn ask_within<T>(
        &self,
        what: impl Display,
        deadline: Deadline,
        question: impl FnMut(Duration) -> KafkaResult<T>,
    ) -> Result<T, ClientError> {
        self.serve();
        Ok(ask(self.client.inner(), serve, what, deadline, question)?)
    }

    /// Nothing else takes this client's log lines from their queue.
    fn serve(&self) {
        serve(self.client.inner());
    }
}

/// The control topic as it is wanted, for a cluster of so many brokers.
pub fn control_topic(name: &str, brokers: usize) -> TopicSpec {
    let mut config = BTreeMap::new();
    for (key, value) in [
        ("cleanup.policy", "delete"),
        ("message.timestamp.type", "LogAppendTime"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("unclean.leader.election.enable", "false"),
    ] {
        config.insert(key.to_owned(), value.to_owned());
    }
    if brokers >= 3 {
        config.insert("min.insync.replicas".to_owned(), "2".to_owned());
    }
    TopicSpec { name: name.to_owned(), partitions: 1, replication: brokers.clamp(1, 3) as i32, config }
}

fn check_control(shape: &TopicShape, config: &BTreeMap<String, String>, brokers: usize) -> ControlTopicCheck {
    let mut check = ControlTopicCheck::default();
    let name = &shape.name;
    if shape.partitions != 1 {
        check.faults.push(format!("{name} has {} partitions and needs exactly 1: its order is the order of the world", shape.partitions));
    }
    for (key, wanted) in
        [("cleanup.policy", "delete"), ("message.timestamp.type", "LogAppendTime"), ("retention.ms", "-1"), ("retention.bytes", "-1")]
    {
        let found = config.get(key).map_or("nothing", String::as_str);
        if found != wanted {
            check.faults.push(format!("{name} has {key}={found}; set it to {wanted}"));
        }
    }
    let in_sync: i64 = config.get("min.insync.replicas").and_then(|text| text.parse().ok()).unwrap_or(1);
    if brokers >= 3 && in_sync < 2 {
        check.faults.push(format!("{name} has min.insync.replicas={in_sync}; with {brokers} brokers set it to 2 or more"));
    } else if in_sync < 2 {
        check.warnings.push(format!("{name} has min.insync.replicas={in_sync}: an acknowledged event can be lost with one broker"));
    }
    if in_sync >= 2 && i64::from(shape.replication) < in_sync {
        check.faults.push(format!("{name} has {} replicas and min.insync.replicas={in_sync}: it takes no writes", shape.replication));
    }
    if config.get("unclean.leader.election.enable").is_some_and(|value| value == "true") {
        check.warnings.push(format!("{name} has unclean.leader.election.enable=true: acknowledged events can be lost"));
    }
    check
}

fn options(wait: Duration) -> AdminOptions {
    AdminOptions::new().request_timeout(Some(wait)).operation_timeout(Some(wait))
}

fn shape(topic: &MetadataTopic) -> KafkaResult<Option<TopicShape>> {
    match topic.error() {
        None | Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => {}
        Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART | RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION) => {
            return Ok(None);
        }
        Some(error) => return Err(KafkaError::MetadataFetch(error.into())),
    }
    let partitions = topic.partitions();
    Ok(Some(TopicShape {
        name: topic.name().to_owned(),
        partitions: partitions.len() as i32,
        replication: partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0) as i32,
        has_leaders: !partitions.is_empty() && partitions.iter().all(|partition| partition.leader() >= 0),
    }))
}

fn new_topic(spec: &TopicSpec) -> NewTopic<'_> {
    let topic = NewTopic::new(&spec.name, spec.partitions, TopicReplication::Fixed(spec.replication));
    spec.config.iter().fold(topic, |topic, (key, value)| topic.set(key, value))
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The admin client's futures are completed by its own thread; no runtime is needed to wait for them.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(brokers: usize, key: &str, value: &str) -> ControlTopicCheck {
        let spec = control_topic("c", brokers);
        let mut config = spec.config;
        config.insert(key.to_owned(), value.to_owned());
        let shape = TopicShape { name: spec.name, partitions: spec.partitions, replication: spec.replication, has_leaders: true };
        check_control(&shape, &config, brokers)
    }

    #[test]
    fn a_control_topic_as_it_is_made_passes() {
        assert_eq!(found(3, "x", "y"), ControlTopicCheck::default());
        let single = found(1, "x", "y");
        assert_eq!((single.faults.len(), single.warnings.len()), (0, 1));
    }

    #[test]
    fn each_difference_is_named_with_what_to_set() {
        for (key, value) in [
            ("cleanup.policy", "compact,delete"),
            ("message.timestamp.type", "CreateTime"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "1"),
            ("min.insync.replicas", "1"),
        ] {
            let check = found(3, key, value);
            assert_eq!(check.faults.len(), 1, "{check:?}");
            assert!(check.faults[0].contains(key) && check.faults[0].contains(value));
        }
        assert_eq!(found(3, "unclean.leader.election.enable", "true").warnings.len(), 1);
        assert_eq!(found(3, "min.insync.replicas", "4").faults.len(), 1);
    }
}
