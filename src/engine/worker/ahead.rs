//! A batch is decided while the one before it is written (docs/rules/exactly-once.md#two-batches-in-hand).
//!
//! Of the younger one nothing is handed to the client before the older one's commit is answered. It keeps its own graph and time, and is
//! held against the fence by its own view when it is its turn. Whatever happens to the older one but a commit, and whatever the group
//! changes, it is decided again.

use std::sync::Arc;

use crate::clock::BootTime;
use crate::engine::worker::Worker;
use crate::engine::worker::decide::Tally;
use crate::live::View;
use crate::time::TimestampMs;
use crate::transport::{GroupConsumer, TransactionalProducer};

/// A batch that is decided, and what by.
#[derive(Debug)]
pub(super) struct DecidedBatch {
    pub(super) view: Arc<View>,
    pub(super) now: TimestampMs,
    /// When it was begun.
    pub(super) started: BootTime,
    /// How many records it takes of those in hand.
    pub(super) count: usize,
    pub(super) tally: Tally,
    /// It was decided while another was written, of append streams alone: upsert streams have no part in it.
    pub(super) is_ahead: bool,
}

impl<C, P> Worker<C, P>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
{
    /// Decides the next batch while the client sends this one, if enough for it is in hand and both will be written in time.
    pub(super) fn decide_ahead(&mut self, older: &DecidedBatch) {
        let view = self.shared.live.load();
        if !self.goes_ahead(older, &view) || self.shared.check_fence(&view).is_err() {
            return;
        }
        let (now, started) = (self.now(&view), self.shared.clock.boot());
        let Self { input, output, decider, pace, .. } = self;
        let mut deciding = output.decide_ahead(decider, &view, now, started);
        let mut count = 0;
        for record in input.gathered().records_behind(older.count).take(pace.batch_limit()) {
            if !deciding.has_room() {
                break;
            }
            deciding.decide(&record);
            count += 1;
        }
        let tally = deciding.finish();
        self.ahead = Some(DecidedBatch { view, now, started, count, tally, is_ahead: true });
    }

    /// Where few records wait they are better joined by those that come while this batch is written.
    fn goes_ahead(&self, older: &DecidedBatch, view: &View) -> bool {
        let Self { input, output, catch_up, pace, shared, .. } = self;
        input.gathered().has_batch_behind(older.count)
            && pace.goes_ahead(shared.time_left(&older.view), shared.time_left(view))
            && catch_up.is_at_rest(view, output.routes(), shared.clock.boot())
            && !catch_up.has_upserts(input.gathered().records_behind(older.count))
    }

    /// The batch that was decided ahead, if there is one and its view is fresh still.
    pub(super) fn take_ahead(&mut self) -> Option<DecidedBatch> {
        let batch = self.ahead.take().filter(|batch| self.shared.check_fence(&batch.view).is_ok())?;
        self.output.advance();
        Some(batch)
    }

    /// What was decided ahead is decided again.
    pub(super) fn discard_ahead(&mut self) {
        self.ahead = None;
        self.output.discard_ahead();
    }

    /// The oldest view that something is, or will be, written by.
    pub(super) fn oldest_view(&self) -> Arc<View> {
        self.ahead.as_ref().map_or_else(|| self.shared.live.load(), |batch| Arc::clone(&batch.view))
    }
}
