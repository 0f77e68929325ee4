//! What one transaction of upsert streams decides by.

use crate::clock::BootTime;
use crate::engine::output::condition_errors::ConditionErrors;
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::route::Routes;
use crate::live::View;
use crate::sink_state::reconcile::Basis;
use crate::time::TimestampNs;

/// What one transaction decides by, and where dead letters go.
pub struct Now<'a> {
    /// The batch's view.
    pub view: &'a View,
    /// The batch's time.
    pub time: TimestampNs,
    /// The same instant, for what routes remember.
    pub boot: BootTime,
    /// This worker's routes.
    pub routes: &'a mut Routes,
    /// Dead letters of the transaction.
    pub letters: &'a mut Vec<OwnedDeadLetter>,
    /// Conditions that had no value.
    pub condition_errors: &'a mut ConditionErrors,
    /// `batch.max_routes`.
    pub max_routes: usize,
}

impl<'a> Now<'a> {
    pub(super) fn basis(&self) -> Basis<'a> {
        Basis { graph: &self.view.graph, newest_change: self.view.newest_change, now: self.time }
    }
}
