//! What may change while workers run, and how a worker takes it: between two batches.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::config::{BatchConfig, Config, TenantLabels};
use crate::engine::worker::Worker;
use crate::transport::{GroupConsumer, TransactionalProducer};

/// What of the configuration workers take while they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// `batch.interval`: the longest that a record waits for others to share its transaction.
    pub interval: Duration,
    /// `batch.max_records`.
    pub max_records: usize,
    /// `batch.max_routes`.
    pub max_routes: usize,
    /// `metrics.tenants`.
    pub tenant_labels: TenantLabels,
}

impl Tuning {
    /// As this configuration has it.
    pub fn of(config: &Config) -> Self {
        let BatchConfig { interval, max_records, max_routes } = config.batch;
        Self { interval: Duration::from_millis(interval.millis()), max_records, max_routes, tenant_labels: config.tenant_labels }
    }
}

/// What all workers of a process take. Whoever reloads the configuration publishes it.
#[derive(Debug)]
pub struct LiveTuning(ArcSwap<Tuning>);

impl LiveTuning {
    /// Begins with this.
    pub fn new(tuning: Tuning) -> Self {
        Self(ArcSwap::from_pointee(tuning))
    }

    /// What is in force.
    pub fn load(&self) -> Tuning {
        **self.0.load()
    }

    /// Each worker takes it before its next batch.
    pub fn publish(&self, tuning: Tuning) {
        self.0.store(Arc::new(tuning));
    }
}

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// Takes what was published since. What is decided already stays as it was decided.
    pub(super) fn tune(&mut self) {
        let tuning = self.shared.tuning.load();
        if tuning == self.tuning {
            return;
        }
        self.tuning = tuning;
        self.input.tune(tuning);
        self.output.tune(tuning);
        self.pace.tune(tuning.max_records);
        self.metrics.relabel(tuning.tenant_labels, self.output.routes());
    }
}
