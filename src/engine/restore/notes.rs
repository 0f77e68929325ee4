//! Where append partitions are read on, and what routes are owed of them: of all that come together, in one question and one reading.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::debug;

use crate::engine::restore::partition::{ReadEnd, RestoreContext, read_whole};
use crate::engine::restore::request::{Assignment, RestoreEvent, RestorePayload};
use crate::engine::topic::state::{OwedNote, read_owed_note};
use crate::engine::topic::stored::{owed_prefix, start_key};
use crate::id::Offset;
use crate::topic::PartitionName;
use crate::transport::{Archive, ConsumeError, SourcePartition};

/// What is looked for of one partition, and found.
struct Sought<'t> {
    ticket: &'t Assignment,
    /// Its committed offset; none where it has none.
    position: Option<Offset>,
    start: String,
    was_begun: bool,
    owed: String,
    notes: BTreeMap<Vec<u8>, Option<OwedNote>>,
}

impl RestoreContext {
    /// Tells of each partition what it has come to. Returns those that cannot be told of yet: their offsets are pending, or nobody answers.
    pub(super) fn read_notes<A: Archive>(
        &self,
        tickets: Vec<Assignment>,
        archive: &mut A,
        tell: &mut dyn FnMut(RestoreEvent) -> bool,
    ) -> Vec<Assignment> {
        let is_wanted = |ticket: &Assignment| !ticket.cancelled.load(Ordering::Relaxed);
        let tickets: Vec<Assignment> = tickets.into_iter().filter(is_wanted).collect();
        if tickets.is_empty() {
            return tickets;
        }
        let mut tell = |ticket: &Assignment, what| {
            tell(RestoreEvent { partition: ticket.partition, life: ticket.life, what });
        };
        let named: Vec<(&str, i32)> = tickets.iter().map(|ticket| self.named(ticket.partition)).collect();
        let answers = archive.committed_of_each(&named);
        let (mut later, mut sought) = (Vec::new(), Vec::new());
        for ((ticket, (topic, partition)), answer) in tickets.iter().zip(named).zip(answers) {
            match answer {
                Ok(committed) => sought.push(Sought {
                    ticket,
                    position: committed.map(|(position, _)| position),
                    start: start_key(&self.group, topic, partition),
                    was_begun: false,
                    owed: owed_prefix(&self.group, topic, partition),
                    notes: BTreeMap::new(),
                }),
                Err(ConsumeError::Unavailable(reason)) => {
                    debug!(reason, partition = %PartitionName(topic, partition), "where the partition is read on cannot be learnt at the moment");
                    later.push(ticket.clone());
                }
                Err(error) => tell(ticket, RestorePayload::Failed(error)),
            }
        }
        match self.seek(&mut sought, archive) {
            Ok(()) => sought.into_iter().for_each(|found| tell(found.ticket, self.told(&found))),
            Err(ReadEnd::Unwanted) => {}
            Err(ReadEnd::Failed(ConsumeError::Unavailable(reason))) => {
                debug!(reason, "what is noted of partitions cannot be read at the moment");
                later.extend(sought.into_iter().map(|sought| sought.ticket.clone()));
            }
            Err(ReadEnd::Failed(error)) => {
                sought.into_iter().for_each(|sought| tell(sought.ticket, RestorePayload::Failed(error.clone())));
            }
        }
        later
    }

    fn named(&self, partition: SourcePartition) -> (&str, i32) {
        (&self.stream(partition.stream).topic, partition.partition)
    }

    /// Reads what is noted of all of them. A mock cluster keeps neither offsets nor notes.
    fn seek<A: Archive>(&self, sought: &mut [Sought<'_>], archive: &mut A) -> Result<(), ReadEnd> {
        let is_noted = self.keeps_notes || sought.iter().any(|sought| sought.position.is_some());
        let Some(first) = sought.first().filter(|_| is_noted) else { return Ok(()) };
        let state = SourcePartition { partition: 0, ..first.ticket.partition };
        read_whole(archive, &self.names.own.state, state, None, &AtomicBool::new(false), &mut |record| {
            let mut is_wanted = false;
            for sought in sought.iter_mut() {
                is_wanted |= !sought.ticket.cancelled.load(Ordering::Relaxed);
                sought.ticket.progress.fetch_add(1, Ordering::Relaxed);
                let Some(key) = record.key else { continue };
                if key == sought.start.as_bytes() {
                    sought.was_begun = record.value.is_some();
                } else if key.starts_with(sought.owed.as_bytes()) {
                    match record.value {
                        Some(value) => drop(sought.notes.insert(key.to_vec(), read_owed_note(value))),
                        None => drop(sought.notes.remove(key)),
                    }
                }
            }
            is_wanted
        })
    }

    fn told(&self, found: &Sought<'_>) -> RestorePayload {
        let Some(position) = found.position else {
            return RestorePayload::Unbegun { was_begun: self.keeps_notes && found.was_begun };
        };
        // One that cannot be read, taken for nothing owed, would lose what a route is to get.
        if let Some((key, _)) = found.notes.iter().find(|(_, note)| note.is_none()) {
            let key = String::from_utf8_lossy(key);
            return RestorePayload::Failed(ConsumeError::Refused(format!(
                "the note {key} in {} cannot be read: was it written by another program, or by a newer version?",
                self.names.own.state
            )));
        }
        RestorePayload::Notes(position, found.notes.values().flatten().cloned().collect())
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
    use crate::transport::{Batch, LogBounds};

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

    fn notes(state: Vec<(&'static str, Option<&'static str>)>) -> Result<usize, ConsumeError> {
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
        let mut found = Vec::new();
        let later = around.read_notes(vec![ticket], &mut State(state), &mut |event| {
            found.push(event.what);
            true
        });
        assert!(later.is_empty());
        match found.pop().unwrap() {
            RestorePayload::Notes(Offset(7), notes) => Ok(notes.len()),
            RestorePayload::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// Taken for nothing owed, it would lose what a route is to get.
    #[test]
    fn a_note_that_cannot_be_read_ends_the_reading() {
        const KEY: &str = "owed/g/telemetry.raw/0/acme";
        let good = Some(r#"{"tenant":"acme","from":3}"#);
        assert!(matches!(notes(vec![(KEY, good), ("owed/g/telemetry.raw/1/acme", Some("?"))]), Ok(1)));
        assert!(matches!(notes(vec![(KEY, Some("?")), (KEY, None)]), Ok(0)));
        assert!(matches!(notes(vec![(KEY, good), (KEY, Some("?"))]), Err(ConsumeError::Refused(_))));
    }
}
