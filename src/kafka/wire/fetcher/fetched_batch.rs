//! Kafka's record batch (magic 2) as it is read: its header, and its records where they are.
//!
//! What is read comes from outside: every length is held against the bytes that are there, and nothing is reserved by a count.

use crate::kafka::wire::compression::BatchCodec;
use crate::kafka::wire::record_batch::{BATCH_HEADER, CHECKED_FROM, CHECKSUM_AT, LENGTH_FROM};

/// Where the format's number is.
const MAGIC_AT: usize = 16;
const MAGIC: u8 = 2;
const HAS_APPEND_TIME: i16 = 0x08;
const IS_TRANSACTIONAL: i16 = 0x10;
const IS_CONTROL: i16 = 0x20;
/// The kind of a marker that aborts.
const ABORT: i16 = 0;

/// Why a batch cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BatchFault {
    /// Written by a broker from before Kafka 0.11.
    #[error("a batch is of format {0}, from before Kafka 0.11")]
    OldFormat(u8),
    #[error("a batch is damaged: {0}")]
    Damaged(&'static str),
}

/// The header of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) base_offset: i64,
    /// Of the leader that appended it.
    pub(super) leader_epoch: i32,
    attributes: i16,
    last_delta: i32,
    base_timestamp_ms: i64,
    max_timestamp_ms: i64,
    pub(super) producer_id: i64,
    /// How many records it says to hold.
    pub(super) count: i32,
}

impl BatchHeader {
    /// Of its last record, also where compaction has removed that.
    pub(super) fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.last_delta)
    }

    /// None where this engine does not know it.
    pub(super) fn codec(&self) -> Option<BatchCodec> {
        BatchCodec::of_attributes(self.attributes)
    }

    pub(super) fn is_transactional(&self) -> bool {
        self.attributes & IS_TRANSACTIONAL != 0
    }

    /// Whether it is a marker, and no records.
    pub(super) fn is_control(&self) -> bool {
        self.attributes & IS_CONTROL != 0
    }

    /// Of a record with this difference.
    fn timestamp_ms(&self, delta: i64) -> i64 {
        if self.attributes & HAS_APPEND_TIME != 0 { self.max_timestamp_ms } else { self.base_timestamp_ms.wrapping_add(delta) }
    }
}

/// A batch as it lies in an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct WireBatch<'b> {
    pub(super) header: BatchHeader,
    /// As they are written, compressed or not.
    pub(super) records: &'b [u8],
    /// With its header.
    pub(super) whole: usize,
}

impl<'b> WireBatch<'b> {
    /// The batch that these bytes begin with. None where its end is not among them: an answer's last batch may be cut off.
    pub(super) fn first(bytes: &'b [u8]) -> Result<Option<Self>, BatchFault> {
        let Some(head) = bytes.first_chunk::<{ MAGIC_AT + 1 }>() else { return Ok(None) };
        let length = i32_at(bytes, LENGTH_FROM - 4);
        let Some(whole) = usize::try_from(length).ok().map(|length| length + LENGTH_FROM) else {
            return Err(BatchFault::Damaged("its length is negative"));
        };
        if head[MAGIC_AT] != MAGIC {
            return Err(if head[MAGIC_AT] < MAGIC {
                BatchFault::OldFormat(head[MAGIC_AT])
            } else {
                BatchFault::Damaged("it has no format")
            });
        }
        if whole < BATCH_HEADER {
            return Err(BatchFault::Damaged("it is shorter than its header"));
        }
        let Some(batch) = bytes.get(..whole) else { return Ok(None) };
        if crc32c::crc32c(&batch[CHECKED_FROM..]) != i32_at(batch, CHECKSUM_AT) as u32 {
            return Err(BatchFault::Damaged("its checksum is another"));
        }
        let header = BatchHeader {
            base_offset: i64_at(batch, 0),
            leader_epoch: i32_at(batch, 12),
            attributes: i16_at(batch, 21),
            last_delta: i32_at(batch, 23),
            base_timestamp_ms: i64_at(batch, 27),
            max_timestamp_ms: i64_at(batch, 35),
            producer_id: i64_at(batch, 43),
            count: i32_at(batch, 57),
        };
        if header.base_offset < 0 || header.last_delta < 0 || header.base_offset.checked_add(i64::from(header.last_delta) + 1).is_none() {
            return Err(BatchFault::Damaged("its offsets are none"));
        }
        Ok(Some(Self { header, records: &batch[BATCH_HEADER..], whole }))
    }

    /// Whether it is the marker of a transaction that was aborted.
    pub(super) fn aborts(&self) -> bool {
        let mut at = 0;
        let marker = self.header.is_control().then(|| FetchedRecord::next(&self.header, self.records, &mut at).ok()).flatten();
        marker.and_then(|marker| marker.key).and_then(|key| key.get(2..4)).is_some_and(|kind| i16_at(kind, 0) == ABORT)
    }
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    bytes[at..].first_chunk().map_or(0, |field| i16::from_be_bytes(*field))
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    bytes[at..].first_chunk().map_or(0, |field| i32::from_be_bytes(*field))
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    bytes[at..].first_chunk().map_or(0, |field| i64::from_be_bytes(*field))
}

/// A record where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FetchedRecord<'r> {
    pub(super) offset: i64,
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<&'r [u8]>,
    pub(super) value: Option<&'r [u8]>,
    pub(super) headers: FetchedHeaders<'r>,
}

impl<'r> FetchedRecord<'r> {
    /// Reads the record at this place of a batch's records, which are not compressed, and goes on to the next.
    pub(super) fn next(batch: &BatchHeader, records: &'r [u8], at: &mut usize) -> Result<Self, BatchFault> {
        let mut rest = records.get(*at..).ok_or(SHORT)?;
        let length = usize::try_from(varint(&mut rest)?).map_err(|_| BatchFault::Damaged("a record's length is negative"))?;
        let (mut body, after) = rest.split_at_checked(length).ok_or(SHORT)?;
        *at = records.len() - after.len();
        let (_attributes, mut of_record) = body.split_first().ok_or(SHORT)?;
        body = of_record;
        let timestamp_delta = varint(&mut body)?;
        let offset_delta = varint(&mut body)?;
        if !(0..=i64::from(batch.last_delta)).contains(&offset_delta) {
            return Err(BatchFault::Damaged("a record's offset is not of its batch"));
        }
        let key = nullable(&mut body)?;
        let value = nullable(&mut body)?;
        let count = varint(&mut body)?;
        of_record = body;
        for _header in 0..count {
            nullable(&mut body)?.ok_or(BatchFault::Damaged("a header has no name"))?;
            nullable(&mut body)?;
        }
        if count < 0 || !body.is_empty() {
            return Err(BatchFault::Damaged("a record is not as long as it says"));
        }
        Ok(Self {
            offset: batch.base_offset + offset_delta,
            timestamp_ms: batch.timestamp_ms(timestamp_delta),
            key,
            value,
            headers: FetchedHeaders(of_record),
        })
    }
}

const SHORT: BatchFault = BatchFault::Damaged("it ends within a record");

/// The headers of a record, which were looked at once: name and value of each, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FetchedHeaders<'r>(&'r [u8]);

impl<'r> Iterator for FetchedHeaders<'r> {
    type Item = (&'r [u8], Option<&'r [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let name = nullable(&mut self.0).ok()??;
        Some((name, nullable(&mut self.0).ok()?))
    }
}

/// Bytes with their length in front; a negative one is of none.
fn nullable<'r>(rest: &mut &'r [u8]) -> Result<Option<&'r [u8]>, BatchFault> {
    let Ok(length) = usize::try_from(varint(rest)?) else { return Ok(None) };
    let (taken, after) = rest.split_at_checked(length).ok_or(SHORT)?;
    *rest = after;
    Ok(Some(taken))
}

/// A number of 64 bits in zigzag; nearly all are of one byte or two.
fn varint(rest: &mut &[u8]) -> Result<i64, BatchFault> {
    let mut value = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(SHORT)?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(BatchFault::Damaged("a number does not end"))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) mod written;
