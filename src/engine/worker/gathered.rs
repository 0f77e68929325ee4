//! Records that a worker has read and not committed, in the order they came: a batch, and after a full one the next.

use crate::transport::{Batch, Record, SourcePartition};

/// Two batches. Pure.
#[derive(Debug)]
pub(super) struct Gathered {
    batch: Batch,
    /// What came after a full batch. Empty while that is.
    next: Batch,
    /// `batch.max_records`.
    max_records: usize,
    /// So many records are worth a transaction, where a batch takes as many.
    enough_records: usize,
}

impl Gathered {
    pub(super) fn new(max_records: usize, enough_records: usize) -> Self {
        Self { batch: Batch::default(), next: Batch::default(), max_records, enough_records }
    }

    /// A batch takes as many from here on. Those that have more keep them.
    pub(super) fn limit(&mut self, max_records: usize) {
        self.max_records = max_records;
    }

    /// Records of the batch.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.batch.iter()
    }

    /// Records of the batch that follows after this many: the rest of this one, or the next.
    pub(super) fn records_behind(&self, count: usize) -> impl Iterator<Item = Record<'_>> {
        let has_rest = count < self.batch.len();
        let (batch, skipped) = if has_rest { (&self.batch, count) } else { (&self.next, 0) };
        batch.iter().skip(skipped)
    }

    /// Whether after this many records of the batch another one waits that takes no more.
    pub(super) fn has_batch_behind(&self, count: usize) -> bool {
        count < self.batch.len() || self.takes_no_more(&self.next)
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.batch.len() + self.next.len()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Whether neither batch takes any more.
    pub(super) fn is_full(&self) -> bool {
        self.takes_no_more(&self.batch) && self.takes_no_more(&self.next)
    }

    /// Whether they wait for no others.
    pub(super) fn is_enough(&self) -> bool {
        self.len() >= self.enough_records.min(self.max_records) || self.takes_no_more(&self.batch)
    }

    /// Whether so many that came at once say that more wait.
    pub(super) fn shows_more(&self, came: usize) -> bool {
        came >= self.enough_records.min(self.max_records)
    }

    /// How many more the batch takes that is being filled, one at least.
    pub(super) fn room(&self) -> usize {
        let filled = if self.fills_next() { &self.next } else { &self.batch };
        self.max_records.saturating_sub(filled.len()).max(1)
    }

    /// One of the two.
    pub(super) fn part_mut(&mut self, is_next: bool) -> &mut Batch {
        if is_next { &mut self.next } else { &mut self.batch }
    }

    /// Whether what comes belongs to the next batch.
    pub(super) fn fills_next(&self) -> bool {
        !self.next.is_empty() || self.takes_no_more(&self.batch)
    }

    fn takes_no_more(&self, batch: &Batch) -> bool {
        batch.len() >= self.max_records || batch.bytes() >= Batch::MAX_BYTES
    }

    /// The first of the batch are committed.
    pub(super) fn drop_front(&mut self, count: usize) {
        self.batch.drop_front(count);
        self.advance();
    }

    /// Drops the records of partitions that this worker no longer owns.
    pub(super) fn leave(&mut self, partitions: &[SourcePartition]) {
        self.batch.retain(|partition| !partitions.contains(&partition));
        self.next.retain(|partition| !partitions.contains(&partition));
        self.advance();
    }

    /// Drops all.
    pub(super) fn clear(&mut self) {
        self.batch.clear();
        self.next.clear();
    }

    fn advance(&mut self) {
        if self.batch.is_empty() {
            std::mem::swap(&mut self.batch, &mut self.next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Offset, StreamIndex};
    use crate::time::TimestampMs;

    fn source(partition: i32) -> SourcePartition {
        SourcePartition { stream: StreamIndex(0), partition }
    }

    fn fill(gathered: &mut Gathered, offsets: std::ops::Range<i64>) {
        for offset in offsets {
            assert!(gathered.room() > 0);
            let of = source((offset % 2) as i32);
            let fills_next = gathered.fills_next();
            gathered.part_mut(fills_next).push(of, Offset(offset), TimestampMs(0), None, None, std::iter::empty());
        }
    }

    fn offsets<'r>(records: impl Iterator<Item = Record<'r>>) -> Vec<i64> {
        records.map(|record| record.offset.0).collect()
    }

    #[test]
    fn what_comes_after_a_full_batch_is_the_next_one() {
        let mut gathered = Gathered::new(4, 64);
        fill(&mut gathered, 0..3);
        assert!(!gathered.is_enough() && gathered.room() == 1);
        fill(&mut gathered, 3..6);
        assert!(gathered.is_enough() && !gathered.is_full() && !gathered.has_batch_behind(4));
        assert!(gathered.has_batch_behind(3), "the rest of a batch that was cut off waits too");
        assert_eq!((offsets(gathered.records()), offsets(gathered.records_behind(4))), (vec![0, 1, 2, 3], vec![4, 5]));
        assert_eq!(offsets(gathered.records_behind(1)), [1, 2, 3]);
        fill(&mut gathered, 6..8);
        assert!(gathered.is_full() && gathered.has_batch_behind(4));
        gathered.drop_front(3);
        assert_eq!((offsets(gathered.records()), gathered.room()), (vec![3], 1), "nothing is filled in before the next batch");
        gathered.drop_front(1);
        assert_eq!((offsets(gathered.records()), gathered.room()), (vec![4, 5, 6, 7], 4));
    }

    #[test]
    fn partitions_that_leave_take_the_records_of_both() {
        let mut gathered = Gathered::new(2, 1);
        fill(&mut gathered, 0..4);
        gathered.leave(&[source(1)]);
        assert_eq!((offsets(gathered.records()), offsets(gathered.records_behind(1))), (vec![0], vec![2]));
        gathered.leave(&[source(0)]);
        assert!(gathered.is_empty());
        fill(&mut gathered, 0..1);
        assert!(!gathered.is_empty(), "the first batch is filled first");
    }
}
