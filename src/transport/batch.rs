//! Records gathered for one decision, in memory that is used again.

use super::SourcePartition;
use crate::id::Offset;
use crate::time::TimestampMs;

/// Records gathered for one decision, their bytes side by side in one arena that is reused from batch to batch.
#[derive(Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    slots: Vec<RecordSlot>,
    headers: Vec<HeaderSlot>,
}

#[derive(Debug, Clone, Copy)]
struct RecordSlot {
    source: SourcePartition,
    offset: Offset,
    timestamp: TimestampMs,
    /// Where its bytes begin in the arena.
    start: u32,
    key: Option<(u32, u32)>,
    value: Option<(u32, u32)>,
    headers: (u32, u32),
}

#[derive(Debug, Clone, Copy)]
struct HeaderSlot {
    name: (u32, u32),
    value: Option<(u32, u32)>,
}

/// One record, borrowed from its batch.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where it was read.
    pub source: SourcePartition,
    /// Its offset there.
    pub offset: Offset,
    /// Its Kafka timestamp.
    pub timestamp: TimestampMs,
    /// Its key; `None` is Kafka's null.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is Kafka's null.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: Headers<'a>,
}

/// A record's headers, in order, repeats included.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a> {
    arena: &'a [u8],
    slots: &'a [HeaderSlot],
}

impl<'a> Headers<'a> {
    /// Name and value of each.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone {
        self.slots.iter().map(move |slot| (span(self.arena, slot.name), slot.value.map(|v| span(self.arena, v))))
    }
}

fn span(arena: &[u8], (start, end): (u32, u32)) -> &[u8] {
    &arena[start as usize..end as usize]
}

impl Batch {
    /// A batch that holds so many bytes is full, however few its records are.
    pub const MAX_BYTES: usize = 64 << 20;

    /// Copies one record in. A batch holds less than 4 GiB: one that is full gets one more at most.
    pub fn push<'h>(
        &mut self,
        source: SourcePartition,
        offset: Offset,
        timestamp: TimestampMs,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    ) {
        let start = self.arena.len() as u32;
        let key = key.map(|bytes| self.copy(bytes));
        let value = value.map(|bytes| self.copy(bytes));
        let first = self.headers.len() as u32;
        for (name, value) in headers {
            let slot = HeaderSlot { name: self.copy(name), value: value.map(|bytes| self.copy(bytes)) };
            self.headers.push(slot);
        }
        let headers = (first, self.headers.len() as u32);
        self.slots.push(RecordSlot { source, offset, timestamp, start, key, value, headers });
    }

    fn copy(&mut self, bytes: &[u8]) -> (u32, u32) {
        let start = self.arena.len() as u32;
        self.arena.extend_from_slice(bytes);
        (start, self.arena.len() as u32)
    }

    /// The records in the order they came.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.slots.iter().map(|slot| Record {
            source: slot.source,
            offset: slot.offset,
            timestamp: slot.timestamp,
            key: slot.key.map(|s| span(&self.arena, s)),
            value: slot.value.map(|s| span(&self.arena, s)),
            headers: Headers { arena: &self.arena, slots: &self.headers[slot.headers.0 as usize..slot.headers.1 as usize] },
        })
    }

    /// How many records are in it.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether no record is in it.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of keys, values and headers together.
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Drops the first `count` records: they are committed. Their bytes are given back once they are the greater part, so
    /// that a batch which never becomes empty does not grow.
    pub fn drop_front(&mut self, count: usize) {
        self.slots.drain(..count);
        self.compact();
    }

    /// Drops the records at these places, which rise.
    pub fn drop_at(&mut self, places: &[usize]) {
        let (mut place, mut dropped) = (0, places.iter().copied().peekable());
        self.slots.retain(|_| {
            place += 1;
            dropped.next_if_eq(&(place - 1)).is_none()
        });
        self.compact();
    }

    /// Drops records that `is_kept` does not want.
    pub fn retain_records(&mut self, mut is_kept: impl FnMut(SourcePartition, Offset) -> bool) {
        self.slots.retain(|slot| is_kept(slot.source, slot.offset));
        self.compact();
    }

    /// Drops the records of partitions that this worker no longer owns.
    pub fn retain(&mut self, mut is_kept: impl FnMut(SourcePartition) -> bool) {
        self.retain_records(|source, _| is_kept(source));
    }

    /// Gives back what lies in front of the first record once it is more than half: in a backlog a batch may never be
    /// empty, and without this its arena would outgrow its spans. Each byte is moved at most once for each that goes.
    fn compact(&mut self) {
        let Some(&RecordSlot { start, headers: (first_header, _), .. }) = self.slots.first() else { return self.clear() };
        if (start as usize) <= self.arena.len() / 2 {
            return;
        }
        self.arena.drain(..start as usize);
        self.headers.drain(..first_header as usize);
        let back = |span: &mut (u32, u32)| *span = (span.0 - start, span.1 - start);
        for slot in &mut self.slots {
            slot.start -= start;
            slot.key.iter_mut().chain(&mut slot.value).for_each(back);
            slot.headers = (slot.headers.0 - first_header, slot.headers.1 - first_header);
        }
        for header in &mut self.headers {
            std::iter::once(&mut header.name).chain(&mut header.value).for_each(back);
        }
    }

    /// Empties it and keeps its memory.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.slots.clear();
        self.headers.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StreamIndex;

    fn push(batch: &mut Batch, offset: i64) {
        let text = format!("{offset:0>9}");
        let headers = [(b"h".as_slice(), Some(text.as_bytes())), (text.as_bytes(), None)];
        let source = SourcePartition { stream: StreamIndex(0), partition: (offset % 3) as i32 };
        batch.push(
            source,
            Offset(offset),
            TimestampMs(offset),
            Some(text.as_bytes()),
            (offset % 2 == 0).then_some(text.as_bytes()),
            headers.into_iter(),
        );
    }

    fn is_whole(record: &Record<'_>) -> bool {
        let text = format!("{:0>9}", record.offset);
        let headers: Vec<_> = record.headers.iter().collect();
        record.key == Some(text.as_bytes())
            && record.value == (record.offset.0 % 2 == 0).then_some(text.as_bytes())
            && headers == [(b"h".as_slice(), Some(text.as_bytes())), (text.as_bytes(), None)]
    }

    /// A backlog behind `batch.max_routes`: each transaction takes some records, and the batch is filled up again.
    #[test]
    fn a_batch_that_is_never_empty_stays_small_and_whole() {
        let mut batch = Batch::default();
        let mut next = 0;
        for round in 0..1_000 {
            while batch.len() < 100 {
                push(&mut batch, next);
                next += 1;
            }
            batch.drop_front(7);
            if round % 50 == 0 {
                batch.retain(|source| source.partition != 1);
            }
            assert!(batch.iter().all(|record| is_whole(&record)));
            assert!(batch.bytes() < 20_000, "{} bytes for {} records", batch.bytes(), batch.len());
        }
        let kept: Vec<Offset> = batch.iter().enumerate().filter(|(at, _)| at % 3 == 1).map(|(_, record)| record.offset).collect();
        let dropped: Vec<usize> = (0..batch.len()).filter(|at| at % 3 != 1).collect();
        batch.drop_at(&dropped);
        assert!(batch.iter().map(|record| record.offset).eq(kept) && batch.iter().all(|record| is_whole(&record)));
        batch.retain(|_| false);
        assert_eq!(batch.bytes(), 0);
    }
}
