//! A job's records on their way to topics: one transactional producer an input partition, whose transactions have the outputs and the
//! checkpoint (docs/backfill.md#exactly-once).
//!
//! The producer of a partition is made before its checkpoint is read. So whoever had the partition can commit nothing more, and what it
//! has committed is seen; after a commit whose answer was lost the same is done again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{info, warn};

use crate::engine::backfill::checkpoint::PartitionEntry;
use crate::engine::backfill::checkpoint::store::JobStore;
use crate::engine::backfill::job::{Job, JobEnd};
use crate::engine::backfill::output::{Part, PartWriter};
use crate::engine::output::lookup::{self, LookupError, TopicKind, TopicMaker, TopicQuery};
use crate::engine::output::outbox::BatchBudget;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::topic::stored::{backfill_key, backfill_partition_key};
use crate::engine::worker::error::{TxError, TxStage};
use crate::transport::{ConsumeError, Output, ProduceError, TransactionalProducer};

/// The dead letters' header that names the job.
const JOB_HEADER: &str = "__sharecast.errors.backfill";
/// So long the transactions that are open on the topic of checkpoints are waited for: beyond the time-out of any.
const CHECKPOINT_WAIT: Duration = Duration::from_secs(60);
/// Between two attempts at what the cluster does not answer.
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Makes the producer of a transactional id. `Abort` passes by itself.
pub type MakeJobProducer<P> = Arc<dyn Fn(&str) -> Result<P, ProduceError> + Send + Sync>;

/// One worker's side to Kafka.
pub struct KafkaPartWriter<'j, P> {
    job: &'j Job,
    make_producer: MakeJobProducer<P>,
    store: Arc<Mutex<JobStore>>,
    topic_maker: Arc<dyn TopicMaker>,
    producer: Option<P>,
    budget: BatchBudget,
    /// What topics take at once, where that was asked.
    limits: BTreeMap<String, usize>,
}

impl<'j, P: TransactionalProducer> KafkaPartWriter<'j, P> {
    /// With no partition yet.
    pub fn new(job: &'j Job, make_producer: MakeJobProducer<P>, store: &Arc<Mutex<JobStore>>, topic_maker: &Arc<dyn TopicMaker>) -> Self {
        Self {
            job,
            make_producer,
            store: Arc::clone(store),
            topic_maker: Arc::clone(topic_maker),
            producer: None,
            budget: BatchBudget::default(),
            limits: BTreeMap::new(),
        }
    }

    /// Takes a partition's name over. The coordinator is waited for.
    pub fn take_over(&mut self, partition: i32) -> Result<(), JobEnd> {
        self.producer = None;
        let id = self.job.settings.transactional_id(partition);
        while !self.job.is_stopping() {
            match (self.make_producer)(&id) {
                Ok(producer) => {
                    self.producer = Some(producer);
                    return Ok(());
                }
                Err(ProduceError::Abort(reason)) => {
                    warn!(reason, id, "waiting for the transaction coordinator");
                    self.job.clock.sleep(TRY_AGAIN);
                }
                Err(ProduceError::Fenced(_)) => return Err(JobEnd::Fenced { transactional_id: id }),
                Err(error) => return Err(JobEnd::Refused(error.to_string())),
            }
        }
        Err(JobEnd::Interrupted)
    }

    /// Writes the job's entry alone.
    pub fn write_entry(&mut self, entry: &[u8]) -> Result<(), TxError> {
        let key = backfill_key(&self.job.settings.group, self.job.settings.name.as_str());
        self.transact(|output| output.put(&key, entry))
    }

    fn transact(&mut self, write: impl FnOnce(&mut Self) -> Result<(), TxError>) -> Result<(), TxError> {
        self.producer().begin().map_err(|error| TxError::Failed(error, TxStage::Begin))?;
        self.budget.clear();
        let written = write(self).and_then(|()| self.producer().commit().map_err(|error| TxError::Failed(error, TxStage::Commit)));
        let Err(error) = written else { return Ok(()) };
        match error.leaves_transaction_open().then(|| self.producer().abort()) {
            Some(Err(abort)) => Err(TxError::AbortFailed(abort, Box::new(error))),
            _ => Err(error),
        }
    }

    fn producer(&mut self) -> &mut P {
        self.producer.as_mut().expect("a partition is taken over before anything is written of it")
    }

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), TxError> {
        let (key, value, timestamp) = (Some(key.as_bytes()), Some(value), self.job.clock.wall());
        let output = Output { topic: &self.job.settings.own.backfill, partition: Some(0), key, timestamp, value, headers: &[] };
        self.producer().put(output).map_err(|error| TxError::Failed(error, TxStage::Write))
    }

    fn put_part(&mut self, part: &Part<'_>) -> Result<(), TxError> {
        // What topics take little of at once is acknowledged for all of them together.
        let in_order = if self.limits.is_empty() { Vec::new() } else { part.outbox.in_order() };
        let lanes = self.limits.is_empty().then(|| part.outbox.iter());
        for output in lanes.into_iter().flatten().chain(in_order) {
            let topic = &part.routes.get(output.route).topic;
            if let Some(limit) = self.limits.get(topic).copied() {
                let bytes = output.batch_bytes().1;
                if !self.budget.takes(output.route, bytes, limit) {
                    self.producer().drain().map_err(TxError::Reports)?;
                    self.budget.restart(output.route, bytes);
                }
            }
            let sent = Output {
                topic,
                partition: None,
                key: Some(output.key),
                timestamp: output.timestamp,
                value: Some(output.value),
                headers: &output.headers(),
            };
            self.producer().put(sent).map_err(|error| TxError::Output(error, Some(output.origin)))?;
        }
        let job = self.job;
        for letter in &part.outbox.letters {
            letter
                .put_with(self.producer(), &job.settings.own.dead_letters, &[(JOB_HEADER, job.settings.name.as_str().as_bytes())])
                .map_err(|error| TxError::Output(error, None))?;
        }
        let (group, name) = (job.settings.group.as_str(), job.settings.name.as_str());
        self.put(&backfill_partition_key(group, name, part.partition), &part.checkpoint.to_json())?;
        if let Some(entry) = part.entry {
            self.put(&backfill_key(group, name), entry)?;
        }
        self.producer().drain().map_err(TxError::Reports)?;
        // The part's own view, not the newest: a revoke that came since must not be overtaken by this commit.
        (part.is_fresh)().map_err(TxError::Aged)
    }
}

impl<P: TransactionalProducer> PartWriter for KafkaPartWriter<'_, P> {
    fn open(&mut self, partition: i32) -> Result<PartitionEntry, JobEnd> {
        self.take_over(partition)?;
        let mut store = self.store.lock().expect("the store is read again after an error");
        while !self.job.is_stopping() {
            match store.catch_up(CHECKPOINT_WAIT) {
                Ok(()) => {
                    let mut noted = store.job(self.job.settings.name.as_str()).map_err(|error| JobEnd::Refused(error.to_string()))?;
                    // Without it each partition would begin again.
                    if noted.entry.is_none() {
                        return Err(JobEnd::Refused("the job was forgotten while it ran; what it wrote stays".to_owned()));
                    }
                    let beginning = || PartitionEntry::beginning(self.job.entry.ranges[partition as usize]);
                    return Ok(noted.partitions.remove(&partition).unwrap_or_else(beginning));
                }
                Err(ConsumeError::Unavailable(reason)) => warn!(reason, "waiting for the checkpoints"),
                Err(error) => return Err(JobEnd::Refused(error.to_string())),
            }
        }
        Err(JobEnd::Interrupted)
    }

    fn look_up(&mut self, routes: &Routes, unseen: &[RouteIndex]) -> Result<Vec<Result<(), LookupError>>, ProduceError> {
        let query = |index: &RouteIndex| {
            let route = routes.get(*index);
            TopicQuery { topic: route.topic.clone(), kind: TopicKind::Stream(route.stream), is_waited_for: true }
        };
        let queries: Vec<TopicQuery> = unseen.iter().map(query).collect();
        let Self { job, producer, topic_maker, .. } = self;
        let producer = producer.as_mut().expect("a partition is taken over before its routes are looked up");
        let seen = lookup::see(producer, &**topic_maker, &*job.clock, &job.stop, &queries)?;
        Ok(seen.into_iter().map(|seen| seen.map(drop)).collect())
    }

    fn largest_batch(&self, topic: &str) -> Option<usize> {
        self.limits.get(topic).copied()
    }

    fn write(&mut self, part: &Part<'_>) -> Result<(), TxError> {
        let written = self.transact(|output| output.put_part(part));
        if let Err(TxError::Reports(errors)) = &written {
            self.learn_limits(errors);
        }
        written
    }
}

impl<P: TransactionalProducer> KafkaPartWriter<'_, P> {
    /// librdkafka batches as if each topic took as much as the largest, so it may be the batch that was refused.
    fn learn_limits(&mut self, errors: &[ProduceError]) {
        for error in errors {
            if let ProduceError::Refused { topic, .. } = error
                && !self.limits.contains_key(topic)
                && let Some(bytes) = self.topic_maker.largest_batch(topic)
            {
                info!(topic, bytes, "it refused a batch; its max.message.bytes is kept from here on");
                self.limits.insert(topic.clone(), bytes);
            }
        }
    }
}
