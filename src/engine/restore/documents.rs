//! Reading parts of a partition again: documents by their offsets, notes, and what routes are owed.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use tracing::error;

use crate::engine::output::route::RouteIndex;
use crate::engine::restore::metrics;
use crate::engine::restore::partition::{MOST_IDLE, ROOM, ReadEnd, RestoreContext, WAIT, copy, read_whole};
use crate::engine::restore::request::{Assignment, RestorePayload};
use crate::engine::topic::state::read_owed_note;
use crate::engine::topic::stored::{owed_prefix, start_key};
use crate::id::Offset;
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

    pub(super) fn read_notes<A: Archive>(
        &self,
        ticket: &Assignment,
        archive: &mut A,
        tell: &mut dyn FnMut(RestorePayload) -> bool,
    ) -> Result<(), ReadEnd> {
        let partition = ticket.partition;
        let topic = &self.stream(partition.stream).topic;
        let Some((position, _)) = archive.committed(topic, partition.partition)? else {
            let was_begun = self.was_begun(ticket, archive)?;
            tell(RestorePayload::Unbegun { was_begun });
            return Ok(());
        };
        let prefix = owed_prefix(&self.group, topic, partition.partition);
        let mut notes = BTreeMap::new();
        let state = SourcePartition { partition: 0, ..partition };
        read_whole(archive, &self.names.own.state, state, None, &ticket.cancelled, &mut |record| {
            if let Some(key) = record.key.filter(|key| key.starts_with(prefix.as_bytes())) {
                match record.value {
                    Some(value) => drop(notes.insert(key.to_vec(), read_owed_note(value))),
                    None => drop(notes.remove(key)),
                }
            }
            true
        })?;
        // One that cannot be read, taken for nothing owed, would lose what a route is to get.
        if let Some((key, _)) = notes.iter().find(|(_, note)| note.is_none()) {
            let key = String::from_utf8_lossy(key);
            let what = format!(
                "the note {key} in {} cannot be read: was it written by another program, or by a newer version?",
                self.names.own.state
            );
            return Err(ReadEnd::Failed(ConsumeError::Refused(what)));
        }
        tell(RestorePayload::Notes(position, notes.into_values().flatten().collect()));
        Ok(())
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
            error!(topic, partition = partition.partition, lost, "the input's retention has dropped records that a route was owed");
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, ConfigEnv as Environment};
    use crate::engine::topic::names::TopicNames;
    use crate::id::StreamIndex;
    use crate::live::{Live, View};
    use crate::share::table::ShareTable;
    use crate::time::TimestampMs;
    use crate::transport::LogBounds;

    /// One partition of `sharecast.state`, and an input that is committed up to 7.
    struct State(Vec<(&'static str, Option<&'static str>)>);

    impl Archive for State {
        fn committed(&mut self, _: &str, _: i32) -> Result<Option<(Offset, Vec<u8>)>, ConsumeError> {
            Ok(Some((Offset(7), Vec::new())))
        }

        fn partitions(&mut self, _: &str) -> Result<Option<i32>, ConsumeError> {
            Ok(Some(1))
        }

        fn turn_to(&mut self, topic: &str, _: i32, _: Option<Offset>) -> Result<LogBounds, ConsumeError> {
            assert_eq!(topic, "sharecast.state");
            Ok(LogBounds { start: Offset(0), end: Offset(self.0.len() as i64) })
        }

        fn read(&mut self, _: Duration, _: usize, source: SourcePartition, into: &mut Batch) -> Result<Offset, ConsumeError> {
            for (offset, (key, value)) in self.0.iter().enumerate() {
                let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
                into.push(source, Offset(offset as i64), TimestampMs(0), key, value, std::iter::empty());
            }
            Ok(Offset(self.0.len() as i64))
        }
    }

    fn notes(state: Vec<(&'static str, Option<&'static str>)>) -> Result<usize, ReadEnd> {
        let config = Config::load(&[], &Environment::none()).unwrap();
        let graph = ShareTable::new(config.fold_rules()).graph();
        let view = View { graph, position: Offset(0), newest_cut: None, newest_change: crate::id::Epoch::NONE };
        let around = RestoreContext {
            live: Arc::new(Live::new(view)),
            streams: Arc::clone(&config.streams),
            names: TopicNames { control: "control".into(), ..TopicNames::of(&config) },
            group: "g".into(),
            keeps_notes: true,
        };
        let partition = SourcePartition { stream: StreamIndex(0), partition: 0 };
        let ticket = Assignment { partition, life: 1, cancelled: Arc::default(), progress: Arc::default() };
        let mut found = 0;
        around.read_notes(&ticket, &mut State(state), &mut |read| {
            let RestorePayload::Notes(Offset(7), notes) = read else { panic!("{read:?}") };
            found = notes.len();
            true
        })?;
        Ok(found)
    }

    /// Taken for nothing owed, it would lose what a route is to get.
    #[test]
    fn a_note_that_cannot_be_read_ends_the_reading() {
        const KEY: &str = "owed/g/telemetry.raw/0/acme";
        let good = Some(r#"{"tenant":"acme","from":3}"#);
        assert!(matches!(notes(vec![(KEY, good), ("owed/g/telemetry.raw/1/acme", Some("?"))]), Ok(1)));
        assert!(matches!(notes(vec![(KEY, Some("?")), (KEY, None)]), Ok(0)));
        assert!(matches!(notes(vec![(KEY, good), (KEY, Some("?"))]), Err(ReadEnd::Failed(ConsumeError::Refused(_)))));
    }
}
