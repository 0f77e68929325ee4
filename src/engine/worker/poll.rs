//! How a worker comes by its batch: polling, what a poll says about its partitions, and what was read of them besides
//! (docs/rules/exactly-once.md#where-a-partition-begins).

use std::sync::atomic::Ordering;
use std::time::Duration;

use tracing::{info, warn};

use crate::engine::restore::request::RestoreEvent;
use crate::engine::worker::Worker;
use crate::engine::worker::catch_up::AfterRestore;
use crate::engine::worker::error::WorkerError;
use crate::transport::{AssignmentChange, GroupConsumer, TransactionalProducer};

/// So long records are waited for while documents wait to be brought.
const BUSY_WAIT: Duration = Duration::from_millis(2);

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// Polls until nothing more waits, and no longer than the interval. Few records wait that long for others, because each transaction has
    /// its price. What waits after a full batch is the next one. Membership changes take effect at once.
    pub(super) fn gather(&mut self) -> Result<(), WorkerError> {
        // A batch that is decided, or was kept after an abort, has waited long enough.
        let mut until = (!self.input.gathered().is_empty()).then(|| self.shared.clock.boot());
        loop {
            let (now, before) = (self.shared.clock.boot(), self.input.gathered().len());
            let longest = if self.catch_up.is_busy() { BUSY_WAIT } else { self.tuning.interval };
            let wait = if self.input.gathered().is_enough() { Duration::ZERO } else { until.map_or(longest, |at| at.since(now)) };
            self.poll(wait, self.input.gathered().room())?;
            let (now, in_hand) = (self.shared.clock.boot(), self.input.gathered().len());
            let until = *until.get_or_insert(now.after(self.tuning.interval));
            let has_waited = self.input.gathered().is_enough() || now >= until;
            let more_waits = self.input.gathered().shows_more(in_hand.saturating_sub(before));
            if in_hand == 0 || self.input.gathered().is_full() || has_waited && !more_waits || self.shared.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// Polls once; a cluster that does not answer is waited for.
    pub(super) fn poll(&mut self, wait: Duration, room: usize) -> Result<(), WorkerError> {
        let changes = self.input.poll(wait, room, self.catch_up.restorer(), &self.metrics)?;
        changes.into_iter().try_for_each(|change| self.apply(change))?;
        self.input.begin_partitions()
    }

    fn apply(&mut self, change: AssignmentChange) -> Result<(), WorkerError> {
        self.discard_ahead();
        match change {
            AssignmentChange::Assigned(partitions) => {
                self.input.assigned(&partitions);
                self.catch_up.arrive(&partitions);
                self.epoch.is_member(self.input.member_id());
            }
            AssignmentChange::Revoked(partitions) => {
                self.input.revoked(&partitions);
                self.catch_up.leave(&partitions);
                self.output.leave(&partitions);
            }
            AssignmentChange::OutOfRange(partition) => return Err(self.input.out_of_range(partition)),
        }
        Ok(())
    }

    /// Takes in what the fold and the readers have to say, and lets the partitions flow that are ready for it.
    pub(super) fn listen(&mut self) -> Result<(), WorkerError> {
        if self.catch_up.listen(self.output.routes(), self.shared.clock.boot()) {
            warn!("this worker was too far behind the control topic's changes; its partitions are read again");
            return self.read_again();
        }
        while let Some(event) = self.catch_up.next_event() {
            self.take(event)?;
        }
        let view = self.shared.live.load();
        let time = self.now(&view).moment();
        for (partition, from) in self.catch_up.activate(&view, time, self.output.routes_mut()) {
            info!(partition = %self.settings.name_of(partition), from = from.0, "upsert partition flows");
            self.input.release(partition, from)?;
        }
        Ok(())
    }

    /// What was read of one partition.
    fn take(&mut self, event: RestoreEvent) -> Result<(), WorkerError> {
        match self.catch_up.take(event, self.output.routes_mut(), &self.settings) {
            AfterRestore::Nothing => {}
            AfterRestore::Begin(partition) => self.input.begin_later(partition),
            AfterRestore::Release(partition, from) => {
                self.output.settle(partition, from);
                self.input.release(partition, from)?;
            }
            AfterRestore::Gap { partition, life, gap, found } => self.input.take_gap(partition, life, gap, found)?,
            AfterRestore::PositionLost(partition) => return Err(self.input.offset_gone(partition)),
            AfterRestore::Failed(error) => return Err(WorkerError::Input(error)),
        }
        Ok(())
    }

    /// Reads every partition again: what is known of them may not be what was committed.
    pub(super) fn read_again(&mut self) -> Result<(), WorkerError> {
        self.discard_ahead();
        let partitions = self.catch_up.forget();
        self.input.forget(&partitions)?;
        self.catch_up.arrive(&partitions);
        Ok(())
    }

    /// Tells of partitions that wait for too long, and has those looked into that were released and bring nothing.
    pub(super) fn watch_partitions(&mut self) {
        let Self { input, catch_up, metrics, .. } = self;
        for query in input.watch(|partition| catch_up.progress(partition), metrics) {
            catch_up.restorer().ask(query);
        }
    }
}
