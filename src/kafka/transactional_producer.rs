//! A worker's producer: `transport::TransactionalProducer`.

use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{Offset as Place, TopicPartitionList};

use super::client::{ClientError, Deadline, Logged, create, unanswered};
use super::group_consumer::{InputTopic, KafkaMembership};
use super::native::{EventKind, Queue, Topics, flush};
use super::settings::KafkaSettings;
use crate::kafka::bounded_call::{BoundedCall, GivenUp};
use crate::kafka::client::failure;
use crate::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

/// How long one wait for acknowledgements may be before reports of failures are looked at, in milliseconds.
const FLUSH_SLICE_MS: i32 = 5;
/// The longest pause after one that brought nothing, and between two looks meanwhile.
const FLUSH_PAUSE: Duration = Duration::from_millis(50);
const FLUSH_LOOK: Duration = Duration::from_millis(1);
/// The same while a transaction is aborted.
const ABORT_SLICE: Duration = Duration::from_millis(5);
/// From this part of its time-out on a transaction may have been aborted by the coordinator, whose clock is not ours.
const EXPIRES_AT: f32 = 0.9;

/// So many calls that hang at a time are more than what a cluster in trouble explains.
const MOST_STUCK: usize = 16;

/// What sending offsets takes. Between calls nobody but its owner has the producer.
struct Sending {
    producer: Arc<BaseProducer<Logged>>,
    offsets: TopicPartitionList,
    membership: Arc<ConsumerGroupMetadata>,
    limit: Duration,
}

/// An idempotent, transactional producer. It is made again after `Fatal` and `Fenced`.
pub struct KafkaProducer {
    // Above the producer: these must be dropped first.
    queue: Queue,
    topics: Topics,
    producer: Arc<BaseProducer<Logged>>,
    /// Sends offsets; none once that did not come back.
    errand: Option<BoundedCall<Sending, KafkaResult<()>>>,
    transactional_id: String,
    sources: Vec<InputTopic>,
    /// Of commit, abort and everything else that waits for the coordinator.
    limit: Duration,
    /// Since the last abort or begin, in the order of their reports.
    failures: Vec<ProduceError>,
    /// Since then records were given up without being at fault themselves.
    has_purged: bool,
    /// When the transaction that was begun last is over by its own age.
    expires: Deadline,
    /// Of the topic looked at last.
    partitions_seen: Option<usize>,
}

impl KafkaProducer {
    /// Makes the producer and takes `transactional_id` for it: whoever had it is fenced, and its open transaction aborted.
    /// `sources` names the topics of the offsets it will send. Waits up to `wait` for the coordinator.
    ///
    /// Where sending offsets hangs, as librdkafka's can when the group's coordinator has gone (#5456, #5511), it is given up as
    /// `Fatal` after a third of the transaction time-out: the next producer of the name fences this one, whose call ends when
    /// some broker comes or goes. With more than sixteen such calls at a time the process ends (exit code 69).
    pub fn start(settings: &KafkaSettings, transactional_id: &str, sources: &[InputTopic], wait: Duration) -> Result<Self, ClientError> {
        let producer: BaseProducer<Logged> = create(&settings.transactional_producer(transactional_id))?;
        let queue = Queue::of_producer(producer.client()).ok_or_else(|| ClientError::Settings("the producer has no queue".to_owned()))?;
        let limit = Duration::from_millis(settings.transaction_timeout_ms());
        let errand = BoundedCall::start("kafka-offsets", |job: Sending| {
            job.producer.send_offsets_to_transaction(&job.offsets, &job.membership, job.limit)
        });
        let errand = errand.map_err(|error| ClientError::Settings(format!("no thread to send offsets: {error}")))?;
        producer.init_transactions(wait).map_err(|error| {
            let (code, words) = failure::parts(&error);
            match code {
                code if failure::is_denied(code) && !failure::is_login(code) => {
                    ClientError::Refused(format!("transactional.id {transactional_id}: {words}"))
                }
                Code::InvalidTransactionTimeout => {
                    ClientError::Settings(format!("transaction.timeout.ms is above the broker's transaction.max.timeout.ms: {words}"))
                }
                _ => unanswered(producer.client(), &error).about(&format!("transactional.id {transactional_id}")),
            }
        })?;
        Ok(Self {
            queue,
            topics: Topics::default(),
            producer: Arc::new(producer),
            errand: Some(errand),
            transactional_id: transactional_id.to_owned(),
            sources: sources.to_vec(),
            limit,
            failures: Vec::new(),
            has_purged: false,
            expires: Deadline::after(limit),
            partitions_seen: None,
        })
    }

    fn send(&mut self, offsets: TopicPartitionList, membership: Arc<ConsumerGroupMetadata>) -> Result<KafkaResult<()>, ProduceError> {
        let Some(errand) = self.errand.take() else { return Err(ProduceError::Fatal("sending offsets still hangs".to_owned())) };
        let sending = Sending { producer: Arc::clone(&self.producer), offsets, membership, limit: self.limit / 4 };
        let longest = self.limit / 3;
        match errand.run(sending, longest) {
            Ok((errand, answer)) => {
                self.errand = Some(errand);
                Ok(answer)
            }
            Err(GivenUp { stuck }) if stuck > MOST_STUCK => {
                let name = &self.transactional_id;
                tracing::error!(
                    name,
                    stuck,
                    "sending offsets hangs again and again: the group's coordinator does not answer; the process ends"
                );
                process::exit(69);
            }
            Err(GivenUp { .. }) => Err(ProduceError::Fatal(format!(
                "sending offsets has not come back for {} ms: the group's coordinator has gone",
                longest.as_millis()
            ))),
        }
    }

    /// Serves what librdkafka has to say, without waiting.
    fn serve(&mut self) {
        while let Some(event) = self.queue.poll(Duration::ZERO) {
            match event.kind() {
                EventKind::Reports => event.failed_reports(|topic, code| {
                    // One failed batch makes a report of each of its records: the first of a kind says it all.
                    let Some(failure) = failure::of_record(topic, code, &code.to_string()) else {
                        self.has_purged = true;
                        return;
                    };
                    let failure = judge(self.expires, failure);
                    if !self.failures.iter().any(|known| is_same(known, &failure)) {
                        self.failures.push(failure);
                    }
                }),
                EventKind::Log | EventKind::Error => self.producer.context().take(&event),
                _ => {}
            }
        }
    }

    fn fatal(&self) -> Option<ProduceError> {
        let (code, words) = self.producer.client().fatal_error()?;
        Some(self.judge(if failure::is_fencing(code) { ProduceError::Fenced(words) } else { ProduceError::Fatal(words) }))
    }

    /// A transaction older than its time-out is aborted by the coordinator, which fences its producer as another one of the
    /// same name would: that is no sign of another one.
    fn judge(&self, error: ProduceError) -> ProduceError {
        judge(self.expires, error)
    }

    /// Has what is queued sent, and waits a little for acknowledgements.
    ///
    /// While more than five records of a partition are in flight librdkafka sends no other of it, and polls without a pause for as
    /// long as others are due. A flush makes all of them due, so one that brings nothing is followed by a pause.
    fn await_acknowledgements(&mut self) {
        let before = self.producer.in_flight_count();
        flush(self.producer.client(), FLUSH_SLICE_MS);
        self.serve();
        let pause = Deadline::after(FLUSH_PAUSE);
        while self.producer.in_flight_count() == before && before > 0 && !pause.has_passed() {
            thread::sleep(FLUSH_LOOK);
            self.serve();
        }
    }

    fn has_queued(&self) -> bool {
        self.producer.in_flight_count() > 0
    }
}

fn judge(expires: Deadline, error: ProduceError) -> ProduceError {
    match error {
        ProduceError::Fenced(words) if expires.has_passed() => {
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

impl TransactionalProducer for KafkaProducer {
    type Membership = KafkaMembership;

    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
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

    fn partitions_seen(&self) -> Option<usize> {
        self.partitions_seen
    }

    fn begin(&mut self) -> Result<(), ProduceError> {
        self.serve();
        self.failures.clear();
        self.has_purged = false;
        self.expires = Deadline::after(self.limit.mul_f32(EXPIRES_AT));
        self.producer.begin_transaction().map_err(|error| self.judge(failure::of_transaction("begin", &error)))
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        let mut deadline = None;
        loop {
            let code = match self.topics.produce(self.producer.client(), &output)? {
                Ok(()) => return Ok(()),
                Err(code) => code,
            };
            // A full queue empties as the broker acknowledges: every record in it is acknowledged or fails in time.
            if code == Code::QueueFull && !deadline.get_or_insert_with(|| Deadline::after(self.limit * 2)).has_passed() {
                self.await_acknowledgements();
                continue;
            }
            if matches!(code, Code::State | Code::Fatal) {
                if let Some(fatal) = self.fatal() {
                    return Err(fatal);
                }
                // An earlier record has failed the transaction. Its report names who is at fault, and `drain` waits for it; to
                // answer it here would blame this record, which is given up with the rest.
                self.has_purged = true;
                return Ok(());
            }
            let failure = failure::of_record(output.topic, code, &code.to_string());
            return Err(failure.unwrap_or_else(|| ProduceError::Abort(code.to_string())));
        }
    }

    fn drain(&mut self) -> Result<(), Vec<ProduceError>> {
        // Each record is acknowledged or fails within message.timeout.ms, so this comes to an end by itself.
        self.serve();
        while self.has_queued() {
            self.await_acknowledgements();
        }
        if let Some(fatal) = self.fatal() {
            self.failures.insert(0, fatal);
        }
        // A purge names nobody, but what was purged is missing: that must not pass for success.
        if self.failures.is_empty() && self.has_purged {
            self.failures.push(ProduceError::Abort("records were given up because the transaction had failed".to_owned()));
        }
        if self.failures.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.failures)) }
    }

    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &KafkaMembership) -> Result<(), ProduceError> {
        let mut list = TopicPartitionList::new();
        for InputOffset { partition, next, note } in offsets {
            let Some(source) = self.sources.iter().find(|source| source.stream == partition.stream) else {
                return Err(ProduceError::Fatal(format!("offsets of a stream without topic: {partition:?}")));
            };
            let mut elem = list.add_partition(&source.topic, partition.partition);
            elem.set_offset(Place::Offset(next.0)).map_err(|error| ProduceError::Fatal(error.to_string()))?;
            if !note.is_empty() {
                elem.set_metadata(note.as_str());
            }
        }
        let answer = self.send(list, Arc::clone(&membership.0))?;
        answer.map_err(|error| self.judge(failure::of_transaction("sending offsets", &error)))
    }

    fn commit(&mut self) -> Result<(), ProduceError> {
        // What is still queued would fail unseen inside the commit.
        if self.has_queued() || self.has_purged || !self.failures.is_empty() {
            self.drain().map_err(|mut failures| failures.remove(0))?;
        }
        self.producer.commit_transaction(self.limit).map_err(|error| self.judge(failure::of_transaction("commit", &error)))
    }

    fn abort(&mut self) -> Result<(), ProduceError> {
        let deadline = Deadline::after(self.limit);
        // The abort purges what is queued by itself, and must: only so are the purged records' sequence numbers given out again.
        // But it waits for their reports to be taken, and takes none; so it is called in slices, as it allows.
        let answer = loop {
            let slice = if self.has_queued() { ABORT_SLICE.min(deadline.left()) } else { deadline.left() };
            match self.producer.abort_transaction(slice) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !deadline.has_passed() => self.serve(),
                answer => break answer,
            }
        };
        self.serve();
        self.failures.clear();
        answer.map_err(|error| self.judge(failure::of_transaction("abort", &error)))
    }
}
