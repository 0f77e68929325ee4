//! What the last control records led to: whoever begins to follow the fold a little behind it need not fold them again.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::feed::FoldedRecord;
use crate::id::Offset;

/// So many records are kept at most. A follower has room for more of them at once.
const MOST_RECORDS: usize = 10_000;
/// So many bytes of documents and letters are kept at most.
const MOST_BYTES: usize = 16 << 20;

/// The newest folded records, without a gap.
#[derive(Debug)]
pub(super) struct Recent {
    records: VecDeque<Arc<FoldedRecord>>,
    /// Every record from this offset on that was folded is here.
    begin: Offset,
    bytes: usize,
}

impl Recent {
    /// Of a fold that goes on at `begin`.
    pub(super) fn new(begin: Offset) -> Self {
        Self { records: VecDeque::new(), begin, bytes: 0 }
    }

    /// Keeps one more record, the newest; old ones go.
    pub(super) fn push(&mut self, record: Arc<FoldedRecord>) {
        self.bytes += record.bytes();
        self.records.push_back(record);
        while self.records.len() > MOST_RECORDS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.records.pop_front() else { return };
            self.bytes -= oldest.bytes();
            self.begin = Offset(oldest.offset.0 + 1);
        }
    }

    /// The records from `from` on, and the offset from which on nothing is missing among them: `from` itself, or a later one.
    pub(super) fn since(&self, from: Offset) -> (Offset, impl Iterator<Item = &Arc<FoldedRecord>>) {
        let place = self.records.partition_point(|record| record.offset < from);
        (from.max(self.begin), self.records.range(place..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::status::{StatusDocument, StatusTopic};
    use crate::time::TimestampMs;

    fn record(offset: i64, bytes: usize) -> Arc<FoldedRecord> {
        let document = StatusDocument { topic: StatusTopic::Shares, key: String::new(), timestamp: TimestampMs(0), value: vec![0; bytes] };
        Arc::new(FoldedRecord {
            offset: Offset(offset),
            documents: vec![document],
            closed: Vec::new(),
            dead_letter: None,
            is_change: false,
        })
    }

    fn since(recent: &Recent, from: i64) -> (i64, Vec<i64>) {
        let (begin, records) = recent.since(Offset(from));
        (begin.0, records.map(|record| record.offset.0).collect())
    }

    #[test]
    fn what_is_there_has_no_gap_and_what_is_not_is_named() {
        let mut recent = Recent::new(Offset(7));
        assert_eq!(since(&recent, 3), (7, vec![]));
        // Markers take offsets too.
        for offset in [7, 8, 11, 12] {
            recent.push(record(offset, 1));
        }
        assert_eq!(since(&recent, 3), (7, vec![7, 8, 11, 12]));
        assert_eq!(since(&recent, 9), (9, vec![11, 12]));
        assert_eq!(since(&recent, 20), (20, vec![]));
    }

    #[test]
    fn neither_many_records_nor_large_ones_take_memory_without_end() {
        let mut recent = Recent::new(Offset(0));
        for offset in 0..2 * MOST_RECORDS as i64 {
            recent.push(record(offset, 0));
        }
        assert_eq!(since(&recent, 0).0, MOST_RECORDS as i64);
        recent.push(record(1 << 20, MOST_BYTES / 2));
        recent.push(record((1 << 20) + 1, MOST_BYTES / 2));
        assert_eq!(since(&recent, 0), ((1 << 20) + 1, vec![(1 << 20) + 1]));
        recent.push(record(1 << 21, 2 * MOST_BYTES));
        assert_eq!(since(&recent, 0), ((1 << 21) + 1, vec![]));
    }
}
