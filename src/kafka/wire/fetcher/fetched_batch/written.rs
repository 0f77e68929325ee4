//! Batches as tests want them, also those that no producer writes.

use crate::kafka::wire::compression::{BatchCodec, BatchCompressor};
use crate::kafka::wire::record_batch::{BATCH_HEADER, CHECKED_FROM, CHECKSUM_AT};

/// A record in a batch: what is added to the batch's offset and time, value, and headers.
#[derive(Debug, Clone, Default)]
pub(in crate::kafka::wire) struct WrittenRecord {
    pub(in crate::kafka::wire) offset_delta: i64,
    pub(in crate::kafka::wire) timestamp_delta: i64,
    pub(in crate::kafka::wire) key: Option<Vec<u8>>,
    pub(in crate::kafka::wire) value: Option<Vec<u8>>,
    pub(in crate::kafka::wire) headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

#[derive(Debug, Clone)]
pub(in crate::kafka::wire) struct WrittenBatch {
    pub(in crate::kafka::wire) base: i64,
    pub(in crate::kafka::wire) epoch: i32,
    /// Without the codec.
    pub(in crate::kafka::wire) attributes: i16,
    pub(in crate::kafka::wire) last_delta: i32,
    pub(in crate::kafka::wire) timestamp_ms: i64,
    pub(in crate::kafka::wire) max_timestamp_ms: i64,
    pub(in crate::kafka::wire) producer: i64,
    pub(in crate::kafka::wire) records: Vec<WrittenRecord>,
}

impl WrittenBatch {
    /// Of records with these offsets, each with its offset as value.
    pub(in crate::kafka::wire) fn of(offsets: impl IntoIterator<Item = i64>) -> Self {
        let offsets: Vec<i64> = offsets.into_iter().collect();
        let base = offsets[0];
        let record = |offset: &i64| WrittenRecord {
            offset_delta: offset - base,
            value: Some(offset.to_string().into_bytes()),
            ..WrittenRecord::default()
        };
        Self {
            base,
            epoch: 1,
            attributes: 0,
            last_delta: (offsets[offsets.len() - 1] - base) as i32,
            timestamp_ms: 1000,
            max_timestamp_ms: 2000,
            producer: -1,
            records: offsets.iter().map(record).collect(),
        }
    }

    /// The same as part of a producer's transaction.
    pub(in crate::kafka::wire) fn transactional(self, producer: i64) -> Self {
        Self { attributes: 0x10, producer, ..self }
    }

    /// What ends a transaction of a producer.
    pub(in crate::kafka::wire) fn marker(offset: i64, producer: i64, commits: bool) -> Self {
        let key = Some(vec![0, 0, 0, u8::from(commits)]);
        let records = vec![WrittenRecord { key, value: Some(vec![0; 6]), ..WrittenRecord::default() }];
        Self { attributes: 0x30, producer, records, ..Self::of([offset]) }
    }

    pub(in crate::kafka::wire) fn bytes(&self) -> Vec<u8> {
        self.compressed(BatchCodec::None)
    }

    pub(in crate::kafka::wire) fn compressed(&self, codec: BatchCodec) -> Vec<u8> {
        let mut plain = vec![0; BATCH_HEADER];
        for record in &self.records {
            let mut body = vec![0];
            put(&mut body, record.timestamp_delta);
            put(&mut body, record.offset_delta);
            put_bytes(&mut body, record.key.as_deref());
            put_bytes(&mut body, record.value.as_deref());
            put(&mut body, record.headers.len() as i64);
            for (name, value) in &record.headers {
                put_bytes(&mut body, Some(name));
                put_bytes(&mut body, value.as_deref());
            }
            put(&mut plain, body.len() as i64);
            plain.extend_from_slice(&body);
        }
        let (mut batch, codec) = BatchCompressor::new(codec, None).compress(plain, BATCH_HEADER);
        let mut header = Vec::new();
        header.extend_from_slice(&self.base.to_be_bytes());
        header.extend_from_slice(&(batch.len() as i32 - 12).to_be_bytes());
        header.extend_from_slice(&self.epoch.to_be_bytes());
        header.extend_from_slice(&[2, 0, 0, 0, 0]);
        header.extend_from_slice(&(self.attributes | codec.id()).to_be_bytes());
        header.extend_from_slice(&self.last_delta.to_be_bytes());
        header.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        header.extend_from_slice(&self.max_timestamp_ms.to_be_bytes());
        header.extend_from_slice(&self.producer.to_be_bytes());
        header.extend_from_slice(&0_i16.to_be_bytes());
        header.extend_from_slice(&0_i32.to_be_bytes());
        header.extend_from_slice(&(self.records.len() as i32).to_be_bytes());
        batch[..BATCH_HEADER].copy_from_slice(&header);
        seal(&mut batch);
        batch
    }
}

/// Makes the checksum right again.
pub(in crate::kafka::wire) fn seal(batch: &mut [u8]) {
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[CHECKSUM_AT..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
}

fn put(into: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        into.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

fn put_bytes(into: &mut Vec<u8>, bytes: Option<&[u8]>) {
    put(into, bytes.map_or(-1, |bytes| bytes.len() as i64));
    into.extend_from_slice(bytes.unwrap_or_default());
}
