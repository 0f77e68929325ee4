//! Batches are, byte for byte, what Kafka's own builder makes (`Vectors.java` wrote `vectors.txt`).

use lz4_flex::block::decompress;
use proptest::prelude::*;

use super::super::compression::BatchCodec;
use super::*;

fn bytes(length: &str) -> Option<Vec<u8>> {
    (length != "-").then(|| (0..length.parse::<usize>().unwrap()).map(|at| (at % 251) as u8).collect())
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn none() -> BatchCompressor {
    BatchCompressor::new(BatchCodec::None, None)
}

fn push(batch: &mut OpenBatch, record: &BatchRecord<'_>) {
    let before = batch.len();
    let size = batch.size_of(record);
    batch.append(record, size);
    assert_eq!(batch.len(), before + size.whole);
}

#[test]
fn batches_are_those_of_kafkas_own_builder() {
    let lines: Vec<&str> = include_str!("vectors.txt").lines().collect();
    assert!(lines.len() > 30);
    for line in lines {
        let parts: Vec<&str> = line.split('|').collect();
        let [name, producer, epoch, sequence, records, wanted] = parts[..] else { panic!("{line}") };
        let mut batch = OpenBatch::default();
        for record in records.split(';') {
            let fields: Vec<&str> = record.split(',').collect();
            let headers: Vec<(&str, Vec<u8>)> = fields[3..]
                .iter()
                .map(|header| header.split_once('=').unwrap())
                .map(|(name, length)| (name, bytes(length).unwrap()))
                .collect();
            let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
            let (key, value) = (bytes(fields[0]), bytes(fields[1]));
            let timestamp_ms = fields[2].parse().unwrap();
            push(&mut batch, &BatchRecord { key: key.as_deref(), value: value.as_deref(), timestamp_ms, headers: &headers });
        }
        let stamp = BatchStamp {
            producer_id: producer.parse().unwrap(),
            producer_epoch: epoch.parse().unwrap(),
            sequence: sequence.parse().unwrap(),
        };
        assert!(batch.seal(stamp, &mut none()).bytes == hex(wanted), "{name}");
    }
}

/// The records of a batch with its codec undone.
fn uncompressed(batch: &[u8]) -> Vec<u8> {
    let records = &batch[BATCH_HEADER..];
    match batch[CHECKED_FROM + 1] & 7 {
        0 => records.to_vec(),
        1 => {
            let mut found = Vec::new();
            std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(records), &mut found).unwrap();
            found
        }
        2 => {
            let (mut rest, mut found) = (&records[16..], Vec::new());
            while let Some((size, blocks)) = rest.split_first_chunk::<4>() {
                let (block, after) = blocks.split_at(u32::from_be_bytes(*size) as usize);
                found.extend(snap::raw::Decoder::new().decompress_vec(block).unwrap());
                rest = after;
            }
            found
        }
        3 => {
            let (mut rest, mut found) = (&records[7..], Vec::new());
            loop {
                let (size, blocks) = rest.split_first_chunk::<4>().unwrap();
                let size = u32::from_le_bytes(*size);
                if size == 0 {
                    assert!(blocks.is_empty());
                    return found;
                }
                let (block, after) = blocks.split_at((size & 0x7fff_ffff) as usize);
                if size >> 31 == 1 {
                    found.extend_from_slice(block)
                } else {
                    found.extend(decompress(block, 1 << 16).unwrap())
                }
                rest = after;
            }
        }
        4 => zstd::stream::decode_all(records).unwrap(),
        codec => panic!("{codec}"),
    }
}

#[test]
fn a_codec_changes_nothing_but_how_the_records_are_written() {
    let noise: Vec<u8> = (0..200_000_u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let text = br#"{"asset":"EX-1","speed":12.5}"#.repeat(7000);
    for codec in [BatchCodec::None, BatchCodec::Gzip, BatchCodec::Snappy, BatchCodec::Lz4, BatchCodec::Zstd] {
        let mut compressor = BatchCompressor::new(codec, None);
        for value in [noise.as_slice(), &text, b"short", &[]] {
            let record = BatchRecord { key: Some(b"key"), value: Some(value), timestamp_ms: 5, headers: &[] };
            let stamp = BatchStamp { producer_id: 1, producer_epoch: 2, sequence: 3 };
            let make = |compressor: &mut BatchCompressor| {
                let mut batch = OpenBatch::default();
                push(&mut batch, &record);
                batch.seal(stamp, compressor).bytes
            };
            let (plain, compressed) = (make(&mut none()), make(&mut compressor));
            assert_eq!(compressed[CHECKED_FROM + 1], codec.id() as u8 | 0x10);
            assert!(uncompressed(&compressed) == plain[BATCH_HEADER..], "{codec:?} of {} bytes", value.len());
        }
    }
}

#[test]
fn after_the_largest_sequence_comes_0() {
    assert_eq!(sequence_after(0, 5), 5);
    assert_eq!(sequence_after(i32::MAX, 1), 0);
    assert_eq!(sequence_after(i32::MAX - 1, 3), 1);
}

proptest! {
    /// Whoever reads it by another implementation finds what was put.
    #[test]
    fn a_batch_is_read_by_another_implementation(
        records in prop::collection::vec(
            (
                prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
                prop::option::of(prop::collection::vec(any::<u8>(), 0..20_000)),
                -(1_i64 << 41)..1_i64 << 41,
                prop::collection::btree_map("[a-z]{0,9}", prop::collection::vec(any::<u8>(), 0..70), 0..4),
            ),
            1..20,
        ),
    ) {
        let mut batch = OpenBatch::default();
        for (key, value, timestamp_ms, headers) in &records {
            let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            push(&mut batch, &BatchRecord { key: key.as_deref(), value: value.as_deref(), timestamp_ms: *timestamp_ms, headers: &headers });
        }
        let sealed = batch.seal(BatchStamp { producer_id: 3, producer_epoch: 4, sequence: 5 }, &mut none());
        let mut bytes = bytes::Bytes::from(sealed.bytes);
        let found = kafka_protocol::records::RecordBatchDecoder::decode(&mut bytes).unwrap().records;
        prop_assert_eq!(found.len(), records.len());
        for (at, (found, (key, value, timestamp_ms, headers))) in found.iter().zip(&records).enumerate() {
            prop_assert!(found.transactional && !found.control && found.producer_id == 3 && found.producer_epoch == 4);
            prop_assert_eq!((found.offset, found.timestamp), (at as i64, *timestamp_ms));
            prop_assert_eq!((found.key.as_deref(), found.value.as_deref()), (key.as_deref(), value.as_deref()));
            let found: Vec<(&str, &[u8])> = found.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref().unwrap())).collect();
            let wanted: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
