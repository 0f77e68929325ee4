//! What every producer of a worker does, with or without transactions: it queues records, waits for their acknowledgements, and keeps the
//! reports of those that failed.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, Producer, PurgeConfig};
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};

use crate::kafka::client::failure;
use crate::kafka::client::{ClientError, Deadline, Logged, create};
use crate::kafka::native::{EventKind, Queue, Topics, flush};
use crate::transport::{Output, ProduceError};

/// How long one wait for acknowledgements may be before reports of failures are looked at, in milliseconds.
const FLUSH_SLICE_MS: i32 = 5;
/// The longest pause after one that brought nothing, and between two looks meanwhile.
const FLUSH_PAUSE: Duration = Duration::from_millis(50);
const FLUSH_LOOK: Duration = Duration::from_millis(1);

/// A producer's client with what it has queued.
pub(in crate::kafka) struct RecordSender {
    // Above the producer: these must be dropped first.
    queue: Queue,
    topics: Topics,
    pub(in crate::kafka) producer: Arc<BaseProducer<Logged>>,
    /// Of everything that waits for the cluster.
    limit: Duration,
    /// Since they were taken last, in the order of their reports.
    pub(in crate::kafka) failures: Vec<ProduceError>,
    /// Since `clear` records were given up without being at fault themselves.
    pub(in crate::kafka) has_purged: bool,
    /// What is given up now was not acknowledged in time, and its topic is to be named.
    names_purged: bool,
    /// From then on a fencing is a transaction's age; none without transactions.
    pub(in crate::kafka) expires: Option<Deadline>,
    /// Of the topic looked at last.
    pub(in crate::kafka) partitions_seen: Option<usize>,
}

impl RecordSender {
    pub(in crate::kafka) fn start(config: &ClientConfig, limit: Duration) -> Result<Self, ClientError> {
        let producer: BaseProducer<Logged> = create(config)?;
        let queue = Queue::of_producer(producer.client()).ok_or_else(|| ClientError::Settings("the producer has no queue".to_owned()))?;
        Ok(Self {
            queue,
            topics: Topics::default(),
            producer: Arc::new(producer),
            limit,
            failures: Vec::new(),
            has_purged: false,
            names_purged: false,
            expires: None,
            partitions_seen: None,
        })
    }

    /// What was reported is of no interest any more.
    pub(in crate::kafka) fn clear(&mut self) {
        self.serve();
        self.failures.clear();
        self.has_purged = false;
    }

    /// Serves what librdkafka has to say, without waiting.
    pub(in crate::kafka) fn serve(&mut self) {
        while let Some(event) = self.queue.poll(Duration::ZERO) {
            match event.kind() {
                EventKind::Reports => event.failed_reports(|topic, code| {
                    // One failed batch makes a report of each of its records: the first of a kind says it all.
                    let failure = match failure::of_record(topic, code, &code.to_string()) {
                        Some(failure) => judge(self.expires, failure),
                        None if self.names_purged => {
                            ProduceError::Unreachable { topic: topic.to_owned(), reason: "no acknowledgement in time".to_owned() }
                        }
                        None => {
                            self.has_purged = true;
                            return;
                        }
                    };
                    if !self.failures.iter().any(|known| is_same(known, &failure)) {
                        self.failures.push(failure);
                    }
                }),
                EventKind::Log | EventKind::Error => self.producer.context().take(&event),
                _ => {}
            }
        }
    }

    /// Why the client is of no further use; none while it is.
    pub(in crate::kafka) fn fatal(&self) -> Option<ProduceError> {
        let (code, words) = self.producer.client().fatal_error()?;
        Some(self.judge(if failure::is_fencing(code) { ProduceError::Fenced(words) } else { ProduceError::Fatal(words) }))
    }

    /// A transaction older than its time-out is aborted by the coordinator, which fences its producer as another one of the
    /// same name would: that is no sign of another one.
    pub(in crate::kafka) fn judge(&self, error: ProduceError) -> ProduceError {
        judge(self.expires, error)
    }

    /// Has what is queued sent, and waits a little for acknowledgements.
    ///
    /// While more than five records of a partition are in flight librdkafka sends no other of it, and polls without a pause for as
    /// long as others are due. A flush makes all of them due, so one that brings nothing is followed by a pause.
    pub(in crate::kafka) fn await_acknowledgements(&mut self) {
        let before = self.producer.in_flight_count();
        flush(self.producer.client(), FLUSH_SLICE_MS);
        self.serve();
        let pause = Deadline::after(FLUSH_PAUSE);
        while self.producer.in_flight_count() == before && before > 0 && !pause.has_passed() {
            thread::sleep(FLUSH_LOOK);
            self.serve();
        }
    }

    /// Whether a record waits for its acknowledgement.
    pub(in crate::kafka) fn has_queued(&self) -> bool {
        self.producer.in_flight_count() > 0
    }

    /// As `TransactionalProducer` wants it.
    pub(in crate::kafka) fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
        // The first handle of a topic says how partitions are chosen, and looking up makes one.
        self.topics.handle(self.producer.client(), topic)?;
        self.serve();
        self.partitions_seen = None;
        let answer = self.producer.client().fetch_metadata(Some(topic), self.limit);
        let metadata = answer.map_err(|error| match failure::parts(&error) {
            (Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::InvalidTopic | Code::TopicAuthorizationFailed, reason) => {
                ProduceError::Route { topic: topic.to_owned(), reason }
            }
            (_, words) => ProduceError::Abort(words),
        })?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return Ok(false) };
        match found.error() {
            None if found.partitions().is_empty() => Ok(false),
            None if found.partitions().iter().all(|partition| partition.leader() >= 0) => {
                self.partitions_seen = Some(found.partitions().len());
                Ok(true)
            }
            None | Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE) => {
                Err(ProduceError::Unreachable { topic: topic.to_owned(), reason: "a partition has no leader now".to_owned() })
            }
            Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) => {
                Err(ProduceError::Route { topic: topic.to_owned(), reason: Code::TopicAuthorizationFailed.to_string() })
            }
            Some(_) => Ok(false),
        }
    }

    /// Queues a record. That the client has failed is no error of this one: it is given up with the others, and `fatal` tells.
    pub(in crate::kafka) fn put(&mut self, output: &Output<'_>) -> Result<(), ProduceError> {
        let mut deadline = None;
        loop {
            let code = match self.topics.produce(self.producer.client(), output)? {
                Ok(()) => return Ok(()),
                Err(code) => code,
            };
            // A full queue empties as the broker acknowledges: every record in it is acknowledged or fails in time.
            if code == Code::QueueFull && !deadline.get_or_insert_with(|| Deadline::after(self.limit * 2)).has_passed() {
                self.await_acknowledgements();
                continue;
            }
            if matches!(code, Code::State | Code::Fatal) {
                // An earlier record has failed the transaction. Its report names who is at fault, and `drain` waits for it; to
                // answer it here would blame this record, which is given up with the rest.
                self.has_purged = true;
                return Ok(());
            }
            let failure = failure::of_record(output.topic, code, &code.to_string());
            return Err(failure.unwrap_or_else(|| ProduceError::Abort(code.to_string())));
        }
    }

    /// As `TransactionalProducer::partitions_put`.
    pub(in crate::kafka) fn partitions_put(&self) -> Option<u32> {
        self.topics.partitions_put
    }

    /// Waits until nothing waits for an acknowledgement any more. Each record is acknowledged or fails within message.timeout.ms, so this
    /// comes to an end by itself; where that is unlimited, what is not acknowledged by `until` is given up and its topics are named.
    pub(in crate::kafka) fn settle(&mut self, until: Option<Deadline>) {
        self.serve();
        while self.has_queued() {
            if until.is_some_and(Deadline::has_passed) && !self.names_purged {
                self.names_purged = true;
                self.purge(PurgeConfig::default().queue().inflight());
            }
            self.await_acknowledgements();
        }
    }

    /// Gives up what was not sent yet, and waits for the rest until then.
    pub(in crate::kafka) fn give_up_unsent(&mut self, until: Deadline) {
        self.purge(PurgeConfig::default().queue());
        while self.has_queued() && !until.has_passed() {
            self.await_acknowledgements();
        }
    }

    fn purge(&mut self, what: PurgeConfig) {
        self.producer.purge(what);
        self.serve();
    }

    /// The reports of what failed. A purge names nobody, but what was purged is missing: that must not pass for success.
    pub(in crate::kafka) fn outcome(&mut self) -> Result<(), Vec<ProduceError>> {
        if self.failures.is_empty() && self.has_purged {
            self.failures.push(ProduceError::Abort("records were given up because others had failed".to_owned()));
        }
        if self.failures.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.failures)) }
    }
}

fn judge(expires: Option<Deadline>, error: ProduceError) -> ProduceError {
    match error {
        ProduceError::Fenced(words) if expires.is_some_and(Deadline::has_passed) => {
            ProduceError::Fatal(format!("the transaction was open for longer than its time-out: {words}"))
        }
        error => error,
    }
}

fn is_same(one: &ProduceError, other: &ProduceError) -> bool {
    match (one, other) {
        (ProduceError::Route { topic: a, reason: x }, ProduceError::Route { topic: b, reason: y })
        | (ProduceError::Unreachable { topic: a, reason: x }, ProduceError::Unreachable { topic: b, reason: y })
        | (ProduceError::Refused { topic: a, reason: x }, ProduceError::Refused { topic: b, reason: y }) => a == b && x == y,
        (ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. }, _)
        | (_, ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. }) => false,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}
