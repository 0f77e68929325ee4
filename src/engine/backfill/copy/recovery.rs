//! What follows from a part that was not written: its records are decided again, by what was learned from the error.

use tracing::{debug, warn};

use super::{Copier, CopyError};
use crate::engine::backfill::job::JobEnd;
use crate::engine::backfill::output::PartWriter;
use crate::engine::output::outbox::RecordOrigin;
use crate::engine::output::route::RouteIndex;
use crate::engine::worker::error::TxError;
use crate::transport::ProduceError;

impl<O: PartWriter> Copier<'_, O> {
    /// What follows from a part that was not written: unless this says otherwise, it is decided again.
    pub(super) fn recover(&mut self, error: TxError, count: usize) -> Result<(), CopyError> {
        match error {
            TxError::Closed(reason) | TxError::Aged(reason) => {
                debug!(%reason, "aborted before the commit; the same records are decided again");
                self.halve(count);
                Ok(())
            }
            TxError::NoMembership => Err(JobEnd::Failed("a job has no group".to_owned()).into()),
            TxError::Output(error, origin) => self.learn(vec![error], origin, count),
            TxError::Reports(errors) => self.learn(errors, None, count),
            TxError::Failed(error, _) => self.fail(error),
            TxError::AbortFailed(abort, first) => {
                match *first {
                    TxError::Output(error, origin) => self.learn(vec![error], origin, count)?,
                    TxError::Reports(errors) => self.learn(errors, None, count)?,
                    _ => self.halve(count),
                }
                self.fail(abort)?;
                Err(CopyError::Unsure("a transaction could not be aborted".to_owned()))
            }
        }
    }

    /// Fails the routes that errors name, and pins records that a topic refuses.
    fn learn(&mut self, errors: Vec<ProduceError>, origin: Option<RecordOrigin>, count: usize) -> Result<(), CopyError> {
        let sole = (count == 1).then(|| self.batch.iter().next()).flatten();
        let origin = origin.or(sole.map(|record| RecordOrigin { source: record.source, offset: record.offset }));
        let mut gravest = None;
        let mut is_halved = false;
        for error in errors {
            match error {
                ProduceError::Route { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(index) => self.route_failed(index, reason)?,
                    None => return Err(JobEnd::Refused(format!("{topic}: {reason}")).into()),
                },
                ProduceError::Refused { topic, reason } if topic == self.job.settings.own.backfill => {
                    return Err(JobEnd::Refused(format!("{topic} takes no such checkpoint: {reason}; raise its max.message.bytes")).into());
                }
                // What it takes is known from here on, if the cluster says so.
                ProduceError::Refused { topic, .. }
                    if topic != self.job.settings.own.dead_letters && self.asked_limits.insert(topic.clone()) => {}
                ProduceError::Refused { topic, reason } => match (origin, self.routes.of_topic(&topic)) {
                    (Some(origin), Some(route)) => self.refused.outputs.push((origin, route, reason)),
                    (Some(origin), None) if !self.refused.stripped.contains(&origin) => self.refused.stripped.push(origin),
                    (Some(_), None) => return Err(JobEnd::Refused(format!("{topic}: {reason}")).into()),
                    (None, _) => is_halved = true,
                },
                ProduceError::Unreachable { topic, reason } => match self.routes.of_topic(&topic) {
                    Some(index) if self.routes.unresponsive(index, self.job.clock.boot()) => self.route_failed(index, reason)?,
                    _ => gravest = gravest.or(Some(ProduceError::Unreachable { topic, reason })),
                },
                error @ (ProduceError::Fenced(_) | ProduceError::Fatal(_) | ProduceError::Impossible(_)) => gravest = Some(error),
                error @ (ProduceError::Abort(_) | ProduceError::StaleMember(_)) => gravest = gravest.or(Some(error)),
            }
        }
        if is_halved {
            self.halve(count);
        }
        gravest.map_or(Ok(()), |error| self.fail(error))
    }

    pub(super) fn fail(&mut self, error: ProduceError) -> Result<(), CopyError> {
        match error {
            ProduceError::Fenced(reason) => {
                debug!(reason, "fenced");
                Err(JobEnd::Fenced { transactional_id: format!("{}-backfill-{}-…", self.job.settings.group, self.job.settings.name) }
                    .into())
            }
            ProduceError::Fatal(reason) | ProduceError::StaleMember(reason) => Err(CopyError::Unsure(reason)),
            error @ (ProduceError::Route { .. } | ProduceError::Impossible(_)) => Err(JobEnd::Refused(error.to_string()).into()),
            error @ (ProduceError::Refused { .. } | ProduceError::Unreachable { .. } | ProduceError::Abort(_)) => {
                warn!(%error, "transaction aborted; the same records are decided again");
                self.halve(self.batch.len().min(self.limit));
                Ok(self.rest()?)
            }
        }
    }

    fn halve(&mut self, count: usize) {
        self.limit = (count / 2).max(1);
    }

    pub(super) fn route_failed(&mut self, index: RouteIndex, reason: String) -> Result<(), JobEnd> {
        let topic = self.routes.get(index).topic.clone();
        if !self.job.settings.skips_failed_routes {
            return Err(JobEnd::RouteFailed { topic, reason });
        }
        let mut failed = self.job.failed.lock().expect("only inserted into");
        if failed.insert(topic.clone(), reason.clone()).is_none() {
            warn!(topic, reason, "route failed: what it is to get from here on is skipped and counted");
        }
        drop(failed);
        self.routes.failed(index, reason, self.job.clock.boot());
        Ok(())
    }
}
