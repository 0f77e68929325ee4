//! A worker's producer for `delivery: at_least_once`: records have no transaction and count as soon as they are acknowledged, and the
//! input's offsets are committed after that.
//!
//! Notes are few, and a zombie's must not count: what is begun or owed goes in a transaction with the offsets, after the records.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{ClientError, Deadline, Logged};
use super::membership::{InputTopic, KafkaMembership};
use super::settings::KafkaSettings;
use super::transactional_producer::record_sender::RecordSender;
use super::transactional_producer::{KafkaProducer, offset_list};
use crate::kafka::bounded_call::BoundedCall;
use crate::kafka::client::failure;
use crate::transport::{InputOffset, Output, ProduceError, TransactionalProducer};

/// Between two attempts to commit.
const COMMIT_AGAIN: Duration = Duration::from_millis(50);

/// Offsets, and the member that commits them.
struct Committing {
    offsets: TopicPartitionList,
    consumer: Arc<BaseConsumer<Logged>>,
}

/// An idempotent producer that is made again after every failure: in a new one nothing is queued, and no gap is behind it.
pub struct AcknowledgedProducer {
    settings: KafkaSettings,
    records: RecordSender,
    /// Writes notes.
    notes: KafkaProducer,
    /// Notes are being written: the offsets go with them.
    is_noting: bool,
    sources: Vec<InputTopic>,
    /// Commits offsets; none once a call did not come back.
    errand: Option<BoundedCall<Committing, KafkaResult<()>>>,
    /// To be committed at the end.
    offsets: Option<(TopicPartitionList, Arc<BaseConsumer<Logged>>)>,
    /// Of everything that waits for the cluster: as long as a transaction would be open.
    limit: Duration,
    /// When the batch under way is given up.
    until: Deadline,
    /// Something of the batch under way failed.
    is_spoiled: bool,
}

impl AcknowledgedProducer {
    /// Takes `transactional_id` for its notes; `sources` names the topics of the offsets that it commits. Waits up to `wait` for the
    /// coordinator.
    pub fn start(settings: &KafkaSettings, transactional_id: &str, sources: &[InputTopic], wait: Duration) -> Result<Self, ClientError> {
        let notes = KafkaProducer::start(settings, transactional_id, sources, wait)?;
        let limit = Duration::from_millis(settings.transaction_timeout_ms());
        let errand = BoundedCall::start("kafka-offsets", commit_once);
        Ok(Self {
            settings: settings.clone(),
            records: RecordSender::start(&settings.acknowledged_producer(), limit)?,
            notes,
            is_noting: false,
            sources: sources.to_vec(),
            errand: Some(errand.map_err(|error| ClientError::Settings(format!("no thread to commit offsets: {error}")))?),
            offsets: None,
            limit,
            until: Deadline::after(limit),
            is_spoiled: false,
        })
    }

    fn commit_offsets(&mut self, offsets: &TopicPartitionList, consumer: &Arc<BaseConsumer<Logged>>) -> Result<(), ProduceError> {
        let deadline = Deadline::after(self.limit / 2);
        loop {
            let Some(errand) = self.errand.take() else { return Err(ProduceError::Fatal("committing offsets still hangs".to_owned())) };
            let job = Committing { offsets: offsets.clone(), consumer: Arc::clone(consumer) };
            let Ok((errand, answer)) = errand.run(job, self.limit) else {
                let waited_ms = self.limit.as_millis();
                return Err(ProduceError::Fatal(format!("committing offsets has not come back for {waited_ms} ms")));
            };
            self.errand = Some(errand);
            match answer.map_err(|error| failure::parts(&error)) {
                Ok(()) => return Ok(()),
                Err((Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId, words)) => {
                    return Err(ProduceError::StaleMember(format!("committing offsets: {words}")));
                }
                // While a rebalance is on its way no offset is taken, and the partitions in hand stay ours until we give them back.
                Err((code, _)) if !failure::is_denied(code) && !deadline.has_passed() => thread::sleep(COMMIT_AGAIN),
                Err((Code::RebalanceInProgress, words)) => return Err(ProduceError::StaleMember(format!("committing offsets: {words}"))),
                Err((_, words)) => return Err(ProduceError::Abort(format!("committing offsets: {words}"))),
            }
        }
    }

    fn spoil<T, E>(&mut self, answer: Result<T, E>) -> Result<T, E> {
        self.is_spoiled |= answer.is_err();
        answer
    }
}

/// One attempt. What is said of single partitions counts as well: the call itself fails only if all of them do.
fn commit_once(Committing { offsets, consumer }: Committing) -> KafkaResult<()> {
    consumer.commit(&offsets, CommitMode::Sync)?;
    offsets.elements().iter().try_for_each(|elem| elem.error())
}

impl TransactionalProducer for AcknowledgedProducer {
    type Membership = KafkaMembership;

    fn sees_leader(&mut self, topic: &str) -> Result<bool, ProduceError> {
        self.records.sees_leader(topic)
    }

    fn partitions_seen(&self) -> Option<usize> {
        self.records.partitions_seen
    }

    fn begin(&mut self) -> Result<(), ProduceError> {
        self.records.clear();
        self.until = Deadline::after(self.limit);
        Ok(())
    }

    fn put(&mut self, output: Output<'_>) -> Result<(), ProduceError> {
        if self.is_noting {
            return self.notes.put(output);
        }
        let put = self.records.put(&output);
        self.spoil(put)
    }

    fn partitions_put(&self) -> Option<u32> {
        self.records.partitions_put()
    }

    fn drain(&mut self) -> Result<(), Vec<ProduceError>> {
        if self.is_noting {
            return self.notes.drain();
        }
        self.records.settle(Some(self.until));
        let outcome = self.records.outcome();
        // A client that is broken has given up what it had, and why is in its reports.
        let outcome = match (outcome, self.records.fatal()) {
            (Ok(()), Some(fatal)) => Err(vec![ProduceError::Abort(fatal.to_string())]),
            (outcome, _) => outcome,
        };
        self.spoil(outcome)
    }

    fn begin_notes(&mut self) -> Result<(), Vec<ProduceError>> {
        self.drain()?;
        self.notes.begin().map_err(|error| vec![error])?;
        self.is_noting = true;
        Ok(())
    }

    fn send_offsets(&mut self, offsets: &[InputOffset], membership: &KafkaMembership) -> Result<(), ProduceError> {
        if self.is_noting {
            return self.notes.send_offsets(offsets, membership);
        }
        let list = offset_list(&self.sources, offsets)?;
        self.offsets = (!offsets.is_empty()).then(|| (list, Arc::clone(&membership.consumer)));
        Ok(())
    }

    fn commit(&mut self) -> Result<(), ProduceError> {
        if self.is_noting {
            self.notes.commit()?;
            self.is_noting = false;
        }
        match self.offsets.take() {
            Some((offsets, consumer)) => self.commit_offsets(&offsets, &consumer),
            None => Ok(()),
        }
    }

    /// What is on its way is waited for, or it would come among what is written next; then the client is given up. What was acknowledged
    /// stays.
    fn abort(&mut self) -> Result<(), ProduceError> {
        self.offsets = None;
        if std::mem::take(&mut self.is_noting) {
            self.notes.abort()?;
        }
        if std::mem::take(&mut self.is_spoiled) || self.records.has_queued() {
            self.records.give_up_unsent(Deadline::after(self.limit));
            let made = RecordSender::start(&self.settings.acknowledged_producer(), self.limit);
            self.records = made.map_err(|error: ClientError| ProduceError::Fatal(error.to_string()))?;
        }
        Ok(())
    }
}
