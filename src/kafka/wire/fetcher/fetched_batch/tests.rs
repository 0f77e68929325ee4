//! Batches that others wrote are read as others read them: those of Kafka's own builder, and those of a second implementation.

use bytes::{Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use proptest::prelude::*;

use super::written::{WrittenBatch, WrittenRecord, seal};
use super::*;
use crate::kafka::wire::fetcher::decompression::BatchDecompressor;

type PlainRecord = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>);

/// All records of a batch, or why there are none.
fn read(bytes: &[u8]) -> Result<Vec<PlainRecord>, BatchFault> {
    let Some(batch) = WireBatch::first(bytes)? else { return Ok(Vec::new()) };
    let mut records = Vec::new();
    let codec = batch.header.codec().unwrap();
    BatchDecompressor::new(1 << 24).decompress(codec, batch.records, &mut records).map_err(|_| BatchFault::Damaged("compressed"))?;
    let (mut at, mut found) = (0, Vec::new());
    for _ in 0..batch.header.count {
        let record = FetchedRecord::next(&batch.header, &records, &mut at)?;
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let headers = record.headers.map(|(name, value)| (name.to_vec(), owned(value))).collect();
        found.push((record.offset, record.timestamp_ms, owned(record.key), owned(record.value), headers));
    }
    if at == records.len() { Ok(found) } else { Err(BatchFault::Damaged("more follows")) }
}

fn filled(length: &str) -> Option<Vec<u8>> {
    (length != "-").then(|| (0..length.parse::<usize>().unwrap()).map(|at| (at % 251) as u8).collect())
}

#[test]
fn batches_of_kafkas_own_builder_are_read() {
    for line in include_str!("../../record_batch/vectors.txt").lines() {
        let parts: Vec<&str> = line.split('|').collect();
        let [name, producer, .., records, bytes] = parts[..] else { panic!("{line}") };
        let bytes: Vec<u8> = (0..bytes.len() / 2).map(|at| u8::from_str_radix(&bytes[2 * at..2 * at + 2], 16).unwrap()).collect();
        let wanted = records.split(';').enumerate().map(|(at, record)| {
            let fields: Vec<&str> = record.split(',').collect();
            let headers = fields[3..].iter().map(|header| header.split_once('=').unwrap());
            let headers = headers.map(|(name, length)| (name.as_bytes().to_vec(), filled(length))).collect();
            (at as i64, fields[2].parse().unwrap(), filled(fields[0]), filled(fields[1]), headers)
        });
        let batch = WireBatch::first(&bytes).unwrap().unwrap();
        assert!(batch.header.is_transactional() && !batch.header.is_control() && batch.whole == bytes.len(), "{name}");
        assert_eq!(batch.header.producer_id, producer.parse::<i64>().unwrap(), "{name}");
        assert!(read(&bytes).unwrap() == wanted.collect::<Vec<PlainRecord>>(), "{name}");
    }
}

#[test]
fn what_is_cut_off_is_none_and_what_is_damaged_is_said_to_be() {
    let bytes = WrittenBatch::of(5..9).bytes();
    for end in 0..bytes.len() {
        assert!(WireBatch::first(&bytes[..end]).unwrap().is_none(), "{end}");
    }
    assert_eq!(read(&bytes).unwrap().len(), 4);
    for at in CHECKED_FROM..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(matches!(WireBatch::first(&damaged), Err(BatchFault::Damaged("its checksum is another"))), "{at}");
    }
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut changed = bytes.clone();
        change(&mut changed);
        seal(&mut changed);
        read(&changed)
    };
    assert_eq!(changed(&|batch| batch[MAGIC_AT] = 1), Err(BatchFault::OldFormat(1)));
    assert!(matches!(changed(&|batch| batch[MAGIC_AT] = 3), Err(BatchFault::Damaged(_))));
    assert!(matches!(changed(&|batch| batch[8..12].copy_from_slice(&(-1_i32).to_be_bytes())), Err(BatchFault::Damaged(_))));
    assert!(matches!(changed(&|batch| batch[8..12].copy_from_slice(&40_i32.to_be_bytes())), Err(BatchFault::Damaged(_))));
    assert!(matches!(changed(&|batch| batch[..8].copy_from_slice(&i64::MAX.to_be_bytes())), Err(BatchFault::Damaged(_))));
    assert!(matches!(changed(&|batch| batch[23..27].copy_from_slice(&(-1_i32).to_be_bytes())), Err(BatchFault::Damaged(_))));
    // More records than it has, and one that is past its last offset.
    assert!(matches!(changed(&|batch| batch[57..61].copy_from_slice(&5_i32.to_be_bytes())), Err(BatchFault::Damaged(_))));
    assert!(matches!(changed(&|batch| batch[23..27].copy_from_slice(&2_i32.to_be_bytes())), Err(BatchFault::Damaged(_))));
    assert_eq!(changed(&|batch| batch[21] = 0).unwrap().len(), 4);
}

#[test]
fn a_topic_that_notes_when_it_appends_has_one_time_for_all() {
    let mut batch = WrittenBatch::of(0..3);
    batch.records[1].timestamp_delta = 7;
    let times = |batch: &WrittenBatch| read(&batch.bytes()).unwrap().into_iter().map(|record| record.1).collect::<Vec<i64>>();
    assert_eq!(times(&batch), [1000, 1007, 1000]);
    batch.attributes = 0x08;
    assert_eq!(times(&batch), [2000, 2000, 2000]);
    // Far apart, in both directions.
    batch.attributes = 0;
    batch.records[0].timestamp_delta = 1 << 40;
    batch.records[1].timestamp_delta = -(1 << 41);
    assert_eq!(times(&batch), [1000 + (1 << 40), 1000 - (1 << 41), 1000]);
}

#[test]
fn markers_say_how_a_transaction_ended() {
    for commits in [true, false] {
        let bytes = WrittenBatch::marker(9, 3, commits).bytes();
        let batch = WireBatch::first(&bytes).unwrap().unwrap();
        assert!(batch.header.is_control() && batch.header.is_transactional());
        assert_eq!(batch.aborts(), !commits);
    }
    let bytes = WrittenBatch::of([9]).transactional(3).bytes();
    assert!(!WireBatch::first(&bytes).unwrap().unwrap().aborts());
}

fn records() -> impl Strategy<Value = Vec<WrittenRecord>> {
    let bytes = |most| prop::option::of(prop::collection::vec(any::<u8>(), 0..most));
    let headers = prop::collection::btree_map("[a-z]{1,9}", bytes(70), 0..4);
    prop::collection::vec((bytes(200), bytes(20_000), -(1_i64 << 41)..1_i64 << 41, headers), 1..20).prop_map(|records| {
        let record =
            |(at, (key, value, timestamp_delta, headers)): (usize, (_, _, _, std::collections::BTreeMap<String, _>))| WrittenRecord {
                offset_delta: at as i64,
                timestamp_delta,
                key,
                value,
                headers: headers.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect(),
            };
        records.into_iter().enumerate().map(record).collect()
    })
}

proptest! {
    #[test]
    fn batches_of_another_implementation_are_read(records in records(), base in 0_i64..1 << 50) {
        let theirs: Vec<Record> = records.iter().map(|record| Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
            producer_id: -1,
            producer_epoch: -1,
            timestamp_type: TimestampType::Creation,
            offset: base + record.offset_delta,
            sequence: -1,
            timestamp: (1 << 42) + record.timestamp_delta,
            key: record.key.clone().map(Bytes::from),
            value: record.value.clone().map(Bytes::from),
            headers: record
                .headers
                .iter()
                .map(|(name, value)| {
                    let name = kafka_protocol::protocol::StrBytes::from_string(String::from_utf8(name.clone()).unwrap());
                    (name, value.clone().map(Bytes::from))
                })
                .collect(),
        }).collect();
        let mut bytes = BytesMut::new();
        let options = RecordEncodeOptions { version: 2, compression: Compression::None };
        RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();
        // They begin a batch wherever the order of times or offsets wants it.
        let (mut rest, mut found) = (&bytes[..], Vec::new());
        while let Some(batch) = WireBatch::first(rest).unwrap() {
            found.extend(read(&rest[..batch.whole]).unwrap());
            rest = &rest[batch.whole..];
        }
        prop_assert!(rest.is_empty());
        let wanted: Vec<PlainRecord> = records
            .into_iter()
            .map(|r| (base + r.offset_delta, (1 << 42) + r.timestamp_delta, r.key, r.value, r.headers))
            .collect();
        prop_assert!(found == wanted);
    }

    #[test]
    fn both_implementations_read_the_same(records in records(), base in 0_i64..1 << 50) {
        let batch = WrittenBatch { records, base, last_delta: 20, ..WrittenBatch::of([0]) };
        let bytes = batch.bytes();
        let theirs = RecordBatchDecoder::decode(&mut Bytes::from(bytes.clone())).unwrap().records;
        let ours = read(&bytes).unwrap();
        prop_assert_eq!(theirs.len(), ours.len());
        for (theirs, (offset, timestamp, key, value, headers)) in theirs.into_iter().zip(ours) {
            prop_assert_eq!((theirs.offset, theirs.timestamp), (offset, timestamp));
            prop_assert_eq!((theirs.key.as_deref(), theirs.value.as_deref()), (key.as_deref(), value.as_deref()));
            let theirs: Vec<_> = theirs.headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_ref().map(|v| v.to_vec()))).collect();
            prop_assert_eq!(theirs, headers);
        }
        for codec in [BatchCodec::Gzip, BatchCodec::Snappy, BatchCodec::Lz4, BatchCodec::Zstd] {
            prop_assert!(read(&batch.compressed(codec)).unwrap() == read(&bytes).unwrap());
        }
    }
}
