//! Reading parts of a partition again: documents by their offsets, notes, and what routes are owed.

use std::sync::atomic::Ordering;

use tracing::error;

use crate::engine::output::route::RouteIndex;
use crate::engine::restore::metrics;
use crate::engine::restore::partition::{MOST_IDLE, ROOM, ReadEnd, RestoreContext, WAIT, copy, read_whole};
use crate::engine::restore::request::{Assignment, RestorePayload};
use crate::engine::topic::stored::start_key;
use crate::id::Offset;
use crate::topic::PartitionName;
use crate::transport::{Archive, Batch, ConsumeError, SourcePartition};

/// Two documents wanted that lie further apart are sought one by one.
const LEAP: i64 = 2_000;

impl RestoreContext {
    pub(super) fn was_begun<A: Archive>(&self, ticket: &Assignment, archive: &mut A) -> Result<bool, ReadEnd> {
        if !self.keeps_notes {
            return Ok(false);
        }
        let partition = ticket.partition;
        let wanted = start_key(&self.group, &self.stream(partition.stream).topic, partition.partition);
        let (state, mut was_begun) = (SourcePartition { partition: 0, ..partition }, false);
        read_whole(archive, &self.names.own.state, state, None, &ticket.cancelled, &mut |record| {
            if record.key == Some(wanted.as_bytes()) {
                was_begun = record.value.is_some();
            }
            true
        })?;
        Ok(was_begun)
    }

    pub(super) fn read_again<A: Archive>(
        &self,
        ticket: &Assignment,
        (route, from): (RouteIndex, Offset),
        room: usize,
        archive: &mut A,
        tell: &mut dyn FnMut(RestorePayload) -> bool,
    ) -> Result<(), ReadEnd> {
        let partition = ticket.partition;
        let topic = &self.stream(partition.stream).topic;
        let bounds = archive.turn_to(topic, partition.partition, Some(from))?;
        if bounds.start > from {
            let lost = (bounds.start.0 - from.0) as u64;
            error!(partition = %PartitionName(topic, partition.partition), lost, "the input's retention has dropped records that a route was owed");
            metrics::owed_lost(lost);
        }
        let (mut records, mut behind, mut idle) = (Batch::default(), from.max(bounds.start), 0);
        while records.is_empty() && behind < bounds.end {
            if ticket.cancelled.load(Ordering::Relaxed) {
                return Err(ReadEnd::Unwanted);
            }
            let at = archive.read(WAIT, room, partition, &mut records)?;
            idle = if at == behind { idle + 1 } else { 0 };
            if idle > MOST_IDLE {
                return Err(ReadEnd::Failed(ConsumeError::Unavailable(format!("{topic} could not be read again"))));
            }
            behind = at;
        }
        tell(RestorePayload::Again { route, from, records, behind });
        Ok(())
    }

    pub(super) fn fetch<A: Archive>(
        &self,
        ticket: &Assignment,
        offsets: &[Offset],
        archive: &mut A,
        tell: &mut dyn FnMut(RestorePayload) -> bool,
    ) -> Result<(), ReadEnd> {
        let partition = ticket.partition;
        let topic = &self.stream(partition.stream).topic;
        let mut records = Batch::default();
        let (mut read, mut end) = (Batch::default(), Offset(i64::MAX));
        let mut wanted = offsets.iter().copied().peekable();
        let mut at: Option<Offset> = None;
        while let Some(&next) = wanted.peek() {
            if at.is_none_or(|at| next.0 - at.0 > LEAP || next < at) {
                end = end.min(archive.turn_to(topic, partition.partition, Some(next))?.end);
                at = Some(next);
            }
            if next >= end {
                break;
            }
            let (mut idle, target) = (0, next);
            // Up to the record or past its place.
            while at.is_some_and(|at| at <= target) && at.is_some_and(|at| at < end) {
                if ticket.cancelled.load(Ordering::Relaxed) {
                    return Err(ReadEnd::Unwanted);
                }
                read.clear();
                let behind = archive.read(WAIT, ROOM, partition, &mut read)?;
                idle = if at == Some(behind) { idle + 1 } else { 0 };
                if idle > MOST_IDLE {
                    return Err(ReadEnd::Failed(ConsumeError::Unavailable("nothing comes".into())));
                }
                at = Some(behind);
                for record in read.iter() {
                    while wanted.next_if(|wanted| *wanted < record.offset).is_some() {}
                    if wanted.next_if(|wanted| *wanted == record.offset).is_some() {
                        copy(&record, &mut records);
                    }
                }
            }
            while wanted.next_if(|wanted| at.is_some_and(|at| *wanted < at)).is_some() {}
            if at.is_some_and(|at| at >= end) {
                break;
            }
        }
        tell(RestorePayload::Documents { records, fetched: Some((offsets.to_vec(), end)) });
        Ok(())
    }
}
