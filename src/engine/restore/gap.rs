//! Looking into a gap: whether another client finds a record where the group's client brought none.

use std::sync::atomic::Ordering;

use crate::engine::restore::request::{Read, Ticket};
use crate::engine::restore::partition::{Cut, MOST_IDLE, Surroundings, WAIT};
use crate::engine::worker::position::{Found, Gap};
use crate::transport::{Archive, Batch, ConsumeError};

/// Where nothing is known to come, nothing is waited for longer than so many waits: a transaction may be open.
const ENOUGH_IDLE: usize = 25;

impl Surroundings {
    /// Reads from the gap's first offset on until the first record. It ends the look whichever it is: the record that came to the
    /// group's client is there, so the end of the gap is not a matter of positions, which a client may be wrong about.
    pub(super) fn look_into<A: Archive>(
        &self,
        ticket: &Ticket,
        gap: Gap,
        archive: &mut A,
        tell: &mut dyn FnMut(Read) -> bool,
    ) -> Result<(), Cut> {
        let Ticket { partition, is_unwanted, .. } = ticket;
        let topic = &self.stream(partition.stream).topic;
        let bounds = archive.turn_to(topic, partition.partition, Some(gap.from))?;
        if bounds.start > gap.from {
            tell(Read::Gap(gap, Found::Gone));
            return Ok(());
        }
        let (mut at, mut idle, mut records) = (gap.from, 0, Batch::default());
        loop {
            if is_unwanted.load(Ordering::Relaxed) {
                return Err(Cut::Unwanted);
            }
            let behind = archive.read(WAIT, 1, *partition, &mut records)?;
            if let Some(first) = records.iter().next().map(|record| record.offset) {
                let is_after = gap.to.is_some_and(|to| first >= to);
                tell(Read::Gap(gap, if is_after { Found::Nothing } else { Found::Record(first) }));
                return Ok(());
            }
            idle = if behind == at { idle + 1 } else { 0 };
            at = behind;
            if gap.to.is_none() && (at >= bounds.end || idle >= ENOUGH_IDLE) {
                tell(Read::Gap(gap, Found::Nothing));
                return Ok(());
            }
            if idle > MOST_IDLE {
                return Err(Cut::Failed(ConsumeError::Unavailable(format!("{topic} could not be read from {} on", gap.from))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::config::{Config, Surroundings as Environment};
    use crate::engine::topic::names::TopicNames;
    use crate::id::{Epoch, Offset, StreamIndex};
    use crate::live::{Live, View};
    use crate::share::table::ShareTable;
    use crate::time::Millis;
    use crate::transport::{LogBounds, SourcePartition};

    /// A log from `start` to `end`, and what its reads bring: offsets of records, and the offset that follows.
    struct Log {
        bounds: (i64, i64),
        reads: VecDeque<(Vec<i64>, i64)>,
    }

    impl Archive for Log {
        fn committed(&mut self, _: &str, _: i32) -> Result<Option<(Offset, Vec<u8>)>, ConsumeError> {
            unreachable!()
        }

        fn partitions(&mut self, _: &str) -> Result<Option<i32>, ConsumeError> {
            unreachable!()
        }

        fn turn_to(&mut self, _: &str, _: i32, _: Option<Offset>) -> Result<LogBounds, ConsumeError> {
            Ok(LogBounds { start: Offset(self.bounds.0), end: Offset(self.bounds.1) })
        }

        fn read(&mut self, _: Duration, _: usize, source: SourcePartition, into: &mut Batch) -> Result<Offset, ConsumeError> {
            // The last one lasts.
            let (offsets, behind) = if self.reads.len() > 1 { self.reads.pop_front().unwrap() } else { self.reads[0].clone() };
            for offset in offsets {
                into.push(source, Offset(offset), Millis(0), None, None, std::iter::empty());
            }
            Ok(Offset(behind))
        }
    }

    fn look(bounds: (i64, i64), to: Option<i64>, reads: &[(&[i64], i64)]) -> Result<Found, String> {
        let config = Config::load(&[], &Environment::none()).unwrap();
        let graph = ShareTable::new(config.fold_rules()).graph();
        let around = Surroundings {
            live: Arc::new(Live::new(View { graph, position: Offset(0), newest_cut: None, newest_change: Epoch::NONE })),
            streams: Arc::clone(&config.streams),
            names: TopicNames { control: "control".into(), template: config.output.topics.clone() },
            group: "g".into(),
            keeps_notes: true,
        };
        let ticket = Ticket {
            partition: SourcePartition { stream: StreamIndex(0), partition: 0 },
            life: 1,
            is_unwanted: Arc::default(),
            progress: Arc::default(),
        };
        let gap = Gap { from: Offset(5), to: to.map(Offset) };
        let mut log = Log { bounds, reads: reads.iter().map(|(offsets, behind)| (offsets.to_vec(), *behind)).collect() };
        let mut found = None;
        let looked = around.look_into(&ticket, gap, &mut log, &mut |read| {
            let Read::Gap(of, what) = read else { panic!("{read:?}") };
            assert_eq!(of, gap);
            found.replace(what).is_none()
        });
        match looked {
            Ok(()) => Ok(found.unwrap()),
            Err(Cut::Failed(error)) => Err(error.to_string()),
            Err(Cut::Unwanted) => Err("unwanted".into()),
        }
    }

    #[test]
    fn the_first_record_says_what_a_gap_holds() {
        assert_eq!(look((0, 20), Some(9), &[(&[], 5), (&[], 9), (&[9], 10)]), Ok(Found::Nothing));
        assert_eq!(look((0, 20), Some(9), &[(&[], 5), (&[8], 9)]), Ok(Found::Record(Offset(8))));
        assert_eq!(look((5, 20), Some(9), &[(&[5], 6)]), Ok(Found::Record(Offset(5))));
        assert_eq!(look((5, 20), Some(9), &[(&[12], 13)]), Ok(Found::Nothing), "compaction has removed the one that came");
        assert_eq!(look((6, 20), Some(9), &[(&[], 6)]), Ok(Found::Gone));
    }

    /// A position alone is no proof: a record came at 9, so one at 9 or later is there.
    #[test]
    fn where_no_record_comes_nothing_is_known() {
        assert!(look((0, 20), Some(9), &[(&[], 20)]).unwrap_err().contains("could not be read from 5 on"));
    }

    #[test]
    fn where_nothing_came_at_all_the_end_of_the_log_ends_the_look() {
        assert_eq!(look((0, 5), None, &[(&[], 5)]), Ok(Found::Nothing));
        assert_eq!(look((0, 9), None, &[(&[], 9)]), Ok(Found::Nothing), "markers");
        assert_eq!(look((0, 9), None, &[(&[], 5)]), Ok(Found::Nothing), "an open transaction");
        assert_eq!(look((0, 9), None, &[(&[], 5), (&[7], 8)]), Ok(Found::Record(Offset(7))));
    }
}
