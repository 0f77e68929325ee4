//! Kafka's record batch (magic 2), written once: each record goes to its place as it is put, and sealing fills in the header in front.

use super::compression::BatchCompressor;

/// Bytes of a batch before its first record.
pub(super) const BATCH_HEADER: usize = 61;
/// Where the part begins that the checksum is over: the attributes.
pub(super) const CHECKED_FROM: usize = 21;
/// Where the header's checksum is.
pub(super) const CHECKSUM_AT: usize = 17;
/// The length in the header counts from here on.
pub(super) const LENGTH_FROM: usize = 12;
/// Lengths, attributes, timestamp and offset of a record up to its key.
const LONGEST_HEAD: usize = 5 + 1 + 10 + 5 + 5;
/// The attribute of a batch that is part of a transaction.
const IS_TRANSACTIONAL: i16 = 0x10;

/// One record as a batch takes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchRecord<'r> {
    pub(super) key: Option<&'r [u8]>,
    pub(super) value: Option<&'r [u8]>,
    pub(super) timestamp_ms: i64,
    pub(super) headers: &'r [(&'r str, &'r [u8])],
}

/// Who writes a batch, and where it comes in what that producer writes to the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BatchStamp {
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i16,
    /// Of the first record.
    pub(super) sequence: i32,
}

/// A batch whose bytes stay as they are: the leader knows a repetition by its first and last sequence.
#[derive(Debug)]
pub(super) struct SealedBatch {
    pub(super) bytes: Vec<u8>,
}

/// A batch that takes records.
#[derive(Debug, Default)]
pub(super) struct OpenBatch {
    /// Room for the header, then the records. Empty before the first one.
    bytes: Vec<u8>,
    count: i32,
    first_timestamp_ms: i64,
    max_timestamp_ms: i64,
}

/// How many bytes a record takes in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordSize {
    /// What its own length says.
    body: usize,
    /// With that length in front.
    pub(super) whole: usize,
}

impl OpenBatch {
    /// One that writes into this memory.
    pub(super) fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, ..Self::default() }
    }

    /// The same memory without its records.
    pub(super) fn emptied(self) -> Self {
        Self::reusing(self.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn count(&self) -> i32 {
        self.count
    }

    /// Bytes of it before compression.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().max(BATCH_HEADER)
    }

    /// What the record takes as the next one of this batch.
    pub(super) fn size_of(&self, record: &BatchRecord<'_>) -> RecordSize {
        let delta = if self.is_empty() { 0 } else { record.timestamp_ms.wrapping_sub(self.first_timestamp_ms) };
        let bytes = |bytes: Option<&[u8]>| bytes.map_or(1, |bytes| varint_len(bytes.len() as i64) + bytes.len());
        let header = |(name, value): &(&str, &[u8])| bytes(Some(name.as_bytes())) + bytes(Some(value));
        let body = 1
            + varint_len(delta)
            + varint_len(i64::from(self.count))
            + bytes(record.key)
            + bytes(record.value)
            + varint_len(record.headers.len() as i64)
            + record.headers.iter().map(header).sum::<usize>();
        RecordSize { body, whole: varint_len(body as i64) + body }
    }

    /// Adds a record, whose size `size_of` has just told.
    pub(super) fn append(&mut self, record: &BatchRecord<'_>, size: RecordSize) {
        if self.is_empty() {
            self.bytes.resize(BATCH_HEADER, 0);
            (self.first_timestamp_ms, self.max_timestamp_ms) = (record.timestamp_ms, record.timestamp_ms);
        }
        self.max_timestamp_ms = self.max_timestamp_ms.max(record.timestamp_ms);
        self.bytes.reserve(size.whole);
        let mut head = [0; LONGEST_HEAD];
        let mut at = put_varint(&mut head, 0, size.body as i64);
        // No record has attributes of its own.
        at += 1;
        at = put_varint(&mut head, at, record.timestamp_ms.wrapping_sub(self.first_timestamp_ms));
        at = put_varint(&mut head, at, i64::from(self.count));
        at = put_varint(&mut head, at, record.key.map_or(-1, |key| key.len() as i64));
        self.bytes.extend_from_slice(&head[..at]);
        self.bytes.extend_from_slice(record.key.unwrap_or_default());
        self.push_varint(record.value.map_or(-1, |value| value.len() as i64));
        self.bytes.extend_from_slice(record.value.unwrap_or_default());
        self.push_varint(record.headers.len() as i64);
        for (name, value) in record.headers {
            self.push_varint(name.len() as i64);
            self.bytes.extend_from_slice(name.as_bytes());
            self.push_varint(value.len() as i64);
            self.bytes.extend_from_slice(value);
        }
        self.count += 1;
    }

    fn push_varint(&mut self, value: i64) {
        let mut varint = [0; 10];
        let end = put_varint(&mut varint, 0, value);
        self.bytes.extend_from_slice(&varint[..end]);
    }

    /// Takes no more: compresses the records and writes the header. It must not be empty.
    pub(super) fn seal(self, stamp: BatchStamp, compressor: &mut BatchCompressor) -> SealedBatch {
        let Self { bytes, count, first_timestamp_ms, max_timestamp_ms } = self;
        let (mut bytes, codec) = compressor.compress(bytes, BATCH_HEADER);
        let length = (bytes.len() - LENGTH_FROM) as i32;
        let mut header = [0; BATCH_HEADER];
        let mut at = 0;
        let mut put = |field: &[u8]| {
            header[at..at + field.len()].copy_from_slice(field);
            at += field.len();
        };
        // Base offset and leader epoch are the broker's to say.
        put(&0_i64.to_be_bytes());
        put(&length.to_be_bytes());
        put(&(-1_i32).to_be_bytes());
        put(&[2]);
        put(&[0; 4]);
        put(&(codec.id() | IS_TRANSACTIONAL).to_be_bytes());
        put(&(count - 1).to_be_bytes());
        put(&first_timestamp_ms.to_be_bytes());
        put(&max_timestamp_ms.to_be_bytes());
        put(&stamp.producer_id.to_be_bytes());
        put(&stamp.producer_epoch.to_be_bytes());
        put(&stamp.sequence.to_be_bytes());
        put(&count.to_be_bytes());
        bytes[..BATCH_HEADER].copy_from_slice(&header);
        let checksum = crc32c::crc32c(&bytes[CHECKED_FROM..]);
        bytes[CHECKSUM_AT..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
        SealedBatch { bytes }
    }
}

/// The sequence `count` records after this one: after the largest comes 0.
pub(super) fn sequence_after(sequence: i32, count: i32) -> i32 {
    (i64::from(sequence) + i64::from(count)).rem_euclid(1 << 31) as i32
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn varint_len(value: i64) -> usize {
    (64 - (zigzag(value) | 1).leading_zeros() as usize).div_ceil(7)
}

/// Writes the number at a place; returns where the next one goes.
fn put_varint(into: &mut [u8], mut at: usize, value: i64) -> usize {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        into[at] = rest as u8 | 0x80;
        rest >>= 7;
        at += 1;
    }
    into[at] = rest as u8;
    at + 1
}

#[cfg(test)]
mod tests;
