//! What a worker learns from a transaction that was not committed: which routes failed, and which records a topic refuses
//! (docs/rules/outputs.md#failed-routes).

use tracing::info;

use crate::engine::output::outbox::RecordOrigin;
use crate::engine::output::route::RouteIndex;
use crate::engine::upsert::Upserts;
use crate::engine::worker::catch_up::CatchUp;
use crate::engine::worker::metrics::WorkerMetrics;
use crate::engine::worker::output::OutputSide;
use crate::engine::worker::pace::Pace;
use crate::record::mapping::Mode;
use crate::transport::{ProduceError, TransactionalProducer};

/// What an error changes besides the output side.
pub(in crate::engine::worker) struct Blamed<'w> {
    pub(in crate::engine::worker) catch_up: &'w mut CatchUp,
    pub(in crate::engine::worker) metrics: &'w mut WorkerMetrics,
    pub(in crate::engine::worker) pace: &'w mut Pace,
    /// How many records are in hand.
    pub(in crate::engine::worker) records: usize,
}

impl<P: TransactionalProducer> OutputSide<P> {
    /// Opens the routes that errors name and pins records that a topic refuses; answers the gravest of the other errors.
    pub(in crate::engine::worker) fn learn(
        &mut self,
        errors: Vec<ProduceError>,
        origin: Option<RecordOrigin>,
        Blamed { catch_up, metrics, pace, records }: Blamed<'_>,
    ) -> Option<ProduceError> {
        // As the transaction was: two topics that refuse something must not halve the batch to one record and then blame it.
        let origin = origin.or(self.draft.sole_record);
        let batch_limit = pace.batch_limit();
        let mut others = Vec::new();
        for error in errors {
            match error {
                ProduceError::Route { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(index) => self.open(index, reason, metrics),
                    None => others.push(ProduceError::Route { topic, reason }),
                },
                ProduceError::Refused { topic, .. } if self.learns_limit(&topic) => {}
                ProduceError::Refused { topic, .. } if self.refuses_upsert(&topic, catch_up) => {}
                ProduceError::Refused { topic, reason } => match origin {
                    Some(origin) => others.extend(self.pin(topic, reason, origin)),
                    None if pace.batch_limit() == batch_limit => pace.halve(records),
                    None => {}
                },
                ProduceError::Unreachable { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(index) if self.routes.unresponsive(index, self.shared.clock.boot()) => self.open(index, reason, metrics),
                    _ => others.push(ProduceError::Unreachable { topic, reason }),
                },
                other => others.push(other),
            }
        }
        others.into_iter().max_by_key(|error| match error {
            ProduceError::Fenced(_) => 3,
            ProduceError::Fatal(_) | ProduceError::Impossible(_) => 2,
            ProduceError::StaleMember(_) => 1,
            ProduceError::Abort(_) | ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. } => 0,
        })
    }

    /// Whether it is news how much this topic takes in one batch. librdkafka batches as if each topic took as much as the largest,
    /// so it may be the batch that was refused: known, the limit is kept by those who write.
    fn learns_limit(&mut self, topic: &str) -> bool {
        let now = self.shared.clock.boot();
        let Some(index) = self.routes.of_topic(topic).filter(|index| self.routes.limit_at(*index, now).is_none()) else { return false };
        let Some(bytes) = self.shared.topic_maker.largest_batch(topic) else { return false };
        info!(topic, bytes, "it refused a batch; its max.message.bytes is kept from here on");
        self.routes.learn_limit(index, bytes, now);
        true
    }

    /// Whether the topic carries an upsert stream; then its documents are written fewer at a time, to pin the one it refuses.
    fn refuses_upsert(&mut self, topic: &str, catch_up: &mut CatchUp) -> bool {
        let Some(index) = self.routes.of_topic(topic) else { return false };
        let is_upsert = self.settings.streams[usize::from(self.routes.get(index).stream.0)].mode == Mode::Upsert;
        if is_upsert {
            catch_up.refused(index);
        }
        is_upsert
    }

    /// A topic refuses this record, which was pinned by halving the batch if nothing else named it. Answers the error if that does
    /// not help.
    fn pin(&mut self, topic: String, reason: String, origin: RecordOrigin) -> Option<ProduceError> {
        match self.routes.of_topic(&topic) {
            Some(route) => self.refused.push((origin, route, reason)),
            None if topic == self.settings.names.own.dead_letters && !self.strip_payload.contains(&origin) => {
                self.strip_payload.push(origin)
            }
            None => return Some(ProduceError::Refused { topic, reason }),
        }
        None
    }

    /// No report named a route, so the batch's topics are looked up and missing ones opened.
    pub(in crate::engine::worker) fn open_missing_routes(&mut self, catch_up: &CatchUp, metrics: &mut WorkerMetrics) {
        let upserts = catch_up.upserts().into_iter().flat_map(Upserts::routes);
        let mut used: Vec<RouteIndex> = self.draft.outbox.routes().chain(upserts).collect();
        used.sort_unstable();
        used.dedup();
        for index in used {
            let topic = self.routes.get(index).topic.clone();
            match self.producer.sees_leader(&topic) {
                Ok(true) => {}
                Ok(false) => self.open(index, "no leader for it is seen".into(), metrics),
                Err(ProduceError::Route { reason, .. }) => self.open(index, reason, metrics),
                // Whether it comes back is seen when it is written to again.
                Err(ProduceError::Unreachable { .. }) => {}
                // The cluster does not answer: no route is to blame.
                Err(_) => return,
            }
        }
    }
}
