//! The output side of a batch before its transaction: routes are looked up, and what cannot go its way becomes a dead
//! letter (docs/rules/outputs.md#failed-routes).

use crate::clock::BootTime;
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::lookup;
use crate::engine::output::lookup::{LookupError, TopicKind, TopicQuery};
use crate::engine::output::outbox::{Outgoing, RecordOrigin};
use crate::engine::output::route::{RouteIndex, Use};
use crate::engine::restore::redelivery::Redelivery;
use crate::engine::worker::catch_up::CatchUp;
use crate::engine::worker::error::{TxError, TxStage};
use crate::engine::worker::metrics::WorkerMetrics;
use crate::engine::worker::output::OutputSide;
use crate::engine::worker::settings::Shared;
use crate::record::dead_letter::DeadLetterReason;
use crate::transport::{ProduceError, TransactionalProducer};

impl<P: TransactionalProducer> OutputSide<P> {
    /// Has the producer see each route it has not used yet, outside a transaction; one that cannot be seen is opened.
    pub(in crate::engine::worker) fn look_up_routes(&mut self, catch_up: &mut CatchUp, metrics: &mut WorkerMetrics) -> Result<(), TxError> {
        let now = self.shared.clock.boot();
        let used = self.draft.outbox.routes().chain(catch_up.routes(&self.routes, now));
        let mut unseen: Vec<RouteIndex> = used.filter(|r| self.routes.use_at(*r, now) == Use::LookUp).collect();
        unseen.sort_unstable();
        unseen.dedup();
        if unseen.is_empty() {
            return Ok(());
        }
        let wanted = unseen.iter().map(|index| {
            let route = self.routes.get(*index);
            let kind = TopicKind::of(&self.settings.streams[usize::from(route.stream.0)]);
            TopicQuery { topic: route.topic.clone(), kind, is_waited_for: self.routes.is_new(*index) }
        });
        let wanted: Vec<TopicQuery> = wanted.collect();
        let Shared { topic_maker, clock, stop, .. } = &self.shared;
        let seen =
            lookup::see(&mut self.producer, &**topic_maker, &**clock, stop, &wanted).map_err(|e| TxError::Failed(e, TxStage::Begin))?;
        // Every answer is noted before one of them stops the batch, so that routes are doubted side by side.
        let mut unreachable = None;
        for (index, seen) in unseen.into_iter().zip(seen) {
            match seen {
                Ok(seen) => {
                    let was_open = self.routes.open_reason(index).is_some();
                    self.routes.ready(index, self.shared.clock.boot());
                    let route = self.routes.get(index);
                    metrics.route_open(index, route.tenant.as_str(), false);
                    if was_open || seen.was_made {
                        catch_up.reopened(&route.tenant, route.stream, self.shared.clock.wall());
                    }
                }
                Err(LookupError::Failed(reason)) => self.open(index, reason, metrics),
                Err(LookupError::Unreachable(reason)) if self.routes.unresponsive(index, self.shared.clock.boot()) => {
                    self.open(index, reason, metrics)
                }
                Err(LookupError::Unreachable(reason)) => {
                    let topic = self.routes.get(index).topic.clone();
                    unreachable = Some(ProduceError::Unreachable { topic, reason });
                }
            }
        }
        unreachable.map_or(Ok(()), |error| Err(TxError::Failed(error, TxStage::Begin)))
    }

    /// With `on_route_failure: wait`: takes out what the input holds for routes that do not take it, and notes from where on.
    fn owe(&mut self, owed: &mut Redelivery, now: BootTime) {
        let Self { draft, routes, settings, samples, .. } = self;
        let outbox = &mut draft.outbox;
        let takes_all = || outbox.routes().all(|route| routes.use_at(route, now) == Use::Write);
        if owed.is_empty() && (!settings.waits || takes_all()) {
            return;
        }
        let mut failed: Vec<RouteIndex> = outbox.routes().chain(owed.changes().iter().map(|c| c.route)).collect();
        failed.sort_unstable();
        failed.dedup();
        failed.retain(|route| routes.use_at(*route, now) != Use::Write);
        for route in &failed {
            owed.retract(*route);
        }
        outbox.retain(|output| {
            let source = output.origin.source;
            if failed.binary_search(&output.route).is_ok() {
                // What is owed already stays so, whatever the configuration says by now: nothing overtakes it.
                if !owed.is_owed(source, output.route) {
                    if !settings.waits {
                        return true;
                    }
                    owed.draft(source, output.route, Some(output.origin.offset));
                }
                return false;
            }
            output.is_again || !owed.is_owed(source, output.route)
        });
        samples.withhold(|partition, route| failed.binary_search(&route).is_ok() && owed.is_owed(partition, route));
    }

    /// Turns outputs that cannot go their way into dead letters: of open routes, and those that a topic refused.
    pub(in crate::engine::worker) fn divert(&mut self, catch_up: &mut CatchUp) {
        let now = self.shared.clock.boot();
        let (owed, upserts) = catch_up.split();
        self.owe(owed, now);
        let Self { routes, refused, strip_payload, draft, settings, .. } = self;
        let outbox = &mut draft.outbox;
        // Nearly always all go their way, and none is looked at.
        let may_take = |route| routes.use_at(route, now) == Use::Write && routes.limit_at(route, now).is_none();
        let goes_all = refused.is_empty() && outbox.routes().all(may_take);
        let diverted = |output: Outgoing<'_>| {
            let route = routes.get(output.route);
            let (reason, message) = match routes.use_at(output.route, now) {
                Use::Write if routes.limit_at(output.route, now).is_some_and(|limit| output.batch_bytes().0 > limit) => (
                    DeadLetterReason::Refused,
                    format!("{} takes no such record: it is larger than its max.message.bytes, uncompressed", route.topic),
                ),
                Use::Write => {
                    let (_, _, why) = refused.iter().find(|(origin, index, _)| (*origin, *index) == (output.origin, output.route))?;
                    (DeadLetterReason::Refused, format!("refused by {}: {why}", route.topic))
                }
                Use::LookUp | Use::Divert => {
                    let why = routes.open_reason(output.route).unwrap_or("no leader for it is seen");
                    (DeadLetterReason::RouteFailed, format!("route {} failed: {why}", route.topic))
                }
            };
            let topic = &settings.streams[usize::from(output.origin.source.stream.0)].topic;
            Some(OwnedDeadLetter {
                topic: topic.clone(),
                partition: output.origin.source.partition,
                offset: output.origin.offset,
                reason,
                message,
                key: Some(output.key.to_vec()),
                value: Some(output.value.to_vec()),
                timestamp: output.timestamp,
            })
        };
        if !goes_all {
            outbox.divert(diverted);
        }
        if let Some(upserts) = upserts {
            upserts.divert(routes, (!settings.waits).then_some(&mut outbox.letters), |route| routes.use_at(route, now) != Use::Write);
        }
        for RecordOrigin { source, offset } in strip_payload {
            let topic = &settings.streams[usize::from(source.stream.0)].topic;
            let is_its =
                |letter: &&mut OwnedDeadLetter| (&letter.topic, letter.partition, letter.offset) == (topic, source.partition, *offset);
            outbox.letters.iter_mut().filter(is_its).for_each(OwnedDeadLetter::strip);
        }
    }
}
