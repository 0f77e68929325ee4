//! Looking into a gap: whether another client finds a record where the group's client brought none.

use std::sync::atomic::Ordering;

use crate::engine::restore::partition::{MOST_IDLE, ReadEnd, RestoreContext, WAIT};
use crate::engine::restore::request::{Assignment, Gap, GapContent, RestorePayload};
use crate::transport::{Archive, Batch, ConsumeError};

/// Where nothing is known to come, nothing is waited for longer than so many waits: a transaction may be open.
const ENOUGH_IDLE: usize = 25;

impl RestoreContext {
    /// Reads from the gap's first offset on until the first record. It ends the look whichever it is: the record that came to the
    /// group's client is there, so the end of the gap is not a matter of positions, which a client may be wrong about.
    pub(super) fn look_into<A: Archive>(
        &self,
        ticket: &Assignment,
        gap: Gap,
        archive: &mut A,
        tell: &mut dyn FnMut(RestorePayload) -> bool,
    ) -> Result<(), ReadEnd> {
        let Assignment { partition, cancelled, .. } = ticket;
        let topic = &self.stream(partition.stream).topic;
        let bounds = archive.turn_to(topic, partition.partition, Some(gap.from))?;
        if bounds.start > gap.from {
            tell(RestorePayload::Gap(gap, GapContent::Gone));
            return Ok(());
        }
        let (mut at, mut idle, mut records) = (gap.from, 0, Batch::default());
        loop {
            if cancelled.load(Ordering::Relaxed) {
                return Err(ReadEnd::Unwanted);
            }
            let behind = archive.read(WAIT, 1, *partition, &mut records)?;
            if let Some(first) = records.iter().next().map(|record| record.offset) {
                let is_after = gap.to.is_some_and(|to| first >= to);
                tell(RestorePayload::Gap(gap, if is_after { GapContent::Nothing } else { GapContent::Record(first) }));
                return Ok(());
            }
            idle = if behind == at { idle + 1 } else { 0 };
            at = behind;
            if gap.to.is_none() && (at >= bounds.end || idle >= ENOUGH_IDLE) {
                tell(RestorePayload::Gap(gap, GapContent::Nothing));
                return Ok(());
            }
            if idle > MOST_IDLE {
                return Err(ReadEnd::Failed(ConsumeError::Unavailable(format!("{topic} could not be read from {} on", gap.from))));
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
    use crate::config::{Config, ConfigEnv as Environment};
    use crate::engine::topic::names::TopicNames;
    use crate::id::{Epoch, Offset, StreamIndex};
    use crate::live::{Live, View};
    use crate::share::table::ShareTable;
    use crate::time::TimestampMs;
    use crate::transport::{LogBounds, SourcePartition};

    /// A log from `start` to `end`, and what its reads bring: offsets of records, and the offset that follows.
    struct GapLog {
        bounds: (i64, i64),
        reads: VecDeque<(Vec<i64>, i64)>,
    }

    impl Archive for GapLog {
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
                into.push(source, Offset(offset), TimestampMs(0), None, None, std::iter::empty());
            }
            Ok(Offset(behind))
        }
    }

    fn look(bounds: (i64, i64), to: Option<i64>, reads: &[(&[i64], i64)]) -> Result<GapContent, String> {
        let config = Config::load(&[], &Environment::none()).unwrap();
        let graph = ShareTable::new(config.fold_rules()).graph();
        let around = RestoreContext {
            live: Arc::new(Live::new(View { graph, position: Offset(0), newest_cut: None, newest_change: Epoch::NONE })),
            streams: Arc::clone(&config.streams),
            names: TopicNames { control: "control".into(), ..TopicNames::of(&config) },
            group: "g".into(),
            keeps_notes: true,
        };
        let ticket = Assignment {
            partition: SourcePartition { stream: StreamIndex(0), partition: 0 },
            life: 1,
            cancelled: Arc::default(),
            progress: Arc::default(),
        };
        let gap = Gap { from: Offset(5), to: to.map(Offset) };
        let mut log = GapLog { bounds, reads: reads.iter().map(|(offsets, behind)| (offsets.to_vec(), *behind)).collect() };
        let mut found = None;
        let looked = around.look_into(&ticket, gap, &mut log, &mut |read| {
            let RestorePayload::Gap(of, what) = read else { panic!("{read:?}") };
            assert_eq!(of, gap);
            found.replace(what).is_none()
        });
        match looked {
            Ok(()) => Ok(found.unwrap()),
            Err(ReadEnd::Failed(error)) => Err(error.to_string()),
            Err(ReadEnd::Unwanted) => Err("unwanted".into()),
        }
    }

    #[test]
    fn the_first_record_says_what_a_gap_holds() {
        assert_eq!(look((0, 20), Some(9), &[(&[], 5), (&[], 9), (&[9], 10)]), Ok(GapContent::Nothing));
        assert_eq!(look((0, 20), Some(9), &[(&[], 5), (&[8], 9)]), Ok(GapContent::Record(Offset(8))));
        assert_eq!(look((5, 20), Some(9), &[(&[5], 6)]), Ok(GapContent::Record(Offset(5))));
        assert_eq!(look((5, 20), Some(9), &[(&[12], 13)]), Ok(GapContent::Nothing), "compaction has removed the one that came");
        assert_eq!(look((6, 20), Some(9), &[(&[], 6)]), Ok(GapContent::Gone));
    }

    /// A position alone is no proof: a record came at 9, so one at 9 or later is there.
    #[test]
    fn where_no_record_comes_nothing_is_known() {
        assert!(look((0, 20), Some(9), &[(&[], 20)]).unwrap_err().contains("could not be read from 5 on"));
    }

    #[test]
    fn where_nothing_came_at_all_the_end_of_the_log_ends_the_look() {
        assert_eq!(look((0, 5), None, &[(&[], 5)]), Ok(GapContent::Nothing));
        assert_eq!(look((0, 9), None, &[(&[], 9)]), Ok(GapContent::Nothing), "markers");
        assert_eq!(look((0, 9), None, &[(&[], 5)]), Ok(GapContent::Nothing), "an open transaction");
        assert_eq!(look((0, 9), None, &[(&[], 5), (&[7], 8)]), Ok(GapContent::Record(Offset(7))));
    }
}
