//! A worker's producer: `transport::TransactionalProducer`.

pub(super) mod data_producer;
pub(super) mod record_sender;

use std::process;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset as Place, TopicPartitionList};

use self::record_sender::RecordSender;
use super::client::{ClientError, Deadline, Logged, unanswered};
use super::membership::{InputTopic, KafkaMembership};
use super::settings::KafkaSettings;
use crate::kafka::bounded_call::{BoundedCall, GivenUp};
use crate::kafka::client::failure;
use crate::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

/// How long one call may be while a transaction is aborted.
const ABORT_SLICE: Duration = Duration::from_millis(5);
/// From this part of its time-out on a transaction may have been aborted by the coordinator, whose clock is not ours.
const EXPIRES_AT: f32 = 0.9;

/// So much of the transaction's time-out the call has that sends offsets, and so much until it is given up where it ignores that.
const SENDING: (u32, u32) = (3, 8);
const GIVEN_UP: (u32, u32) = (1, 2);

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
    records: RecordSender,
    /// Sends offsets; none once that did not come back.
    errand: Option<BoundedCall<Sending, KafkaResult<()>>>,
    transactional_id: String,
    sources: Vec<InputTopic>,
    /// Of commit, abort and everything else that waits for the coordinator.
    limit: Duration,
}

impl KafkaProducer {
    /// Makes the producer and takes `transactional_id` for it: whoever had it is fenced, and its open transaction aborted.
    /// `sources` names the topics of the offsets it will send. Waits up to `wait` for the coordinator.
    ///
    /// Where sending offsets hangs, as librdkafka's can when the group's coordinator has gone (#5456, #5511), it is given up as
    /// `Fatal` after half of the transaction time-out: the next producer of the name fences this one, whose call ends when
    /// some broker comes or goes. With more than sixteen such calls at a time the process ends (exit code 69).
    pub fn start(settings: &KafkaSettings, transactional_id: &str, sources: &[InputTopic], wait: Duration) -> Result<Self, ClientError> {
        let limit = Duration::from_millis(settings.transaction_timeout_ms());
        let mut records = RecordSender::start(&settings.transactional_producer(transactional_id), limit)?;
        records.expires = Some(Deadline::after(limit));
        let producer = &records.producer;
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
        Ok(Self { records, errand: Some(errand), transactional_id: transactional_id.to_owned(), sources: sources.to_vec(), limit })
    }

    fn send(&mut self, offsets: TopicPartitionList, membership: Arc<ConsumerGroupMetadata>) -> Result<KafkaResult<()>, ProduceError> {
        let Some(errand) = self.errand.take() else { return Err(ProduceError::Fatal("sending offsets still hangs".to_owned())) };
        let sending =
            Sending { producer: Arc::clone(&self.records.producer), offsets, membership, limit: self.limit * SENDING.0 / SENDING.1 };
        let longest = self.limit * GIVEN_UP.0 / GIVEN_UP.1;
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
}

impl TransactionalProducer for KafkaProducer {
    type Membership = KafkaMembership;

    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
        self.records.sees_leader(topic)
    }

    fn partitions_seen(&self) -> Option<usize> {
        self.records.partitions_seen
    }

    fn begin(&mut self) -> Result<(), ProduceError> {
        self.records.clear();
        self.records.expires = Some(Deadline::after(self.limit.mul_f32(EXPIRES_AT)));
        self.records.producer.begin_transaction().map_err(|error| self.records.judge(failure::of_transaction("begin", &error)))
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        self.records.put(&output)?;
        // It was given up: a client that is broken says so at once.
        let is_given_up = self.records.has_purged;
        is_given_up.then(|| self.records.fatal()).flatten().map_or(Ok(()), Err)
    }

    fn partitions_put(&self) -> Option<u32> {
        self.records.partitions_put()
    }

    fn drain(&mut self) -> Result<(), Vec<ProduceError>> {
        self.records.settle(None);
        if let Some(fatal) = self.records.fatal() {
            self.records.failures.insert(0, fatal);
        }
        self.records.outcome()
    }

    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &KafkaMembership) -> Result<(), ProduceError> {
        let answer = self.send(offset_list(&self.sources, offsets)?, Arc::clone(&membership.metadata))?;
        answer.map_err(|error| self.records.judge(failure::of_transaction("sending offsets", &error)))
    }

    fn commit(&mut self) -> Result<(), ProduceError> {
        // What is still queued would fail unseen inside the commit.
        if self.records.has_queued() || self.records.has_purged || !self.records.failures.is_empty() {
            self.drain().map_err(|mut failures| failures.remove(0))?;
        }
        self.records.producer.commit_transaction(self.limit).map_err(|error| self.records.judge(failure::of_transaction("commit", &error)))
    }

    fn abort(&mut self) -> Result<(), ProduceError> {
        let deadline = Deadline::after(self.limit);
        // The abort purges what is queued by itself, and must: only so are the purged records' sequence numbers given out again.
        // But it waits for their reports to be taken, and takes none; so it is called in slices, as it allows.
        let answer = loop {
            let slice = if self.records.has_queued() { ABORT_SLICE.min(deadline.left()) } else { deadline.left() };
            match self.records.producer.abort_transaction(slice) {
                Err(KafkaError::Transaction(error)) if error.is_retriable() && !deadline.has_passed() => self.records.serve(),
                answer => break answer,
            }
        };
        self.records.serve();
        self.records.failures.clear();
        answer.map_err(|error| self.records.judge(failure::of_transaction("abort", &error)))
    }
}

/// The offsets as librdkafka takes them.
pub(super) fn offset_list(sources: &[InputTopic], offsets: &[InputOffset]) -> Result<TopicPartitionList, ProduceError> {
    let mut list = TopicPartitionList::new();
    for InputOffset { partition, next, note } in offsets {
        let Some(source) = sources.iter().find(|source| source.stream == partition.stream) else {
            return Err(ProduceError::Fatal(format!("offsets of a stream without topic: {partition:?}")));
        };
        let mut elem = list.add_partition(&source.topic, partition.partition);
        elem.set_offset(Place::Offset(next.0)).map_err(|error| ProduceError::Fatal(error.to_string()))?;
        if !note.is_empty() {
            elem.set_metadata(note.as_str());
        }
    }
    Ok(list)
}
