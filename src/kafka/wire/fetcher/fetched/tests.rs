//! What a reader of committed records sees of an answer, and what it never sees.

use super::*;
use crate::id::StreamIndex;
use crate::kafka::wire::fetcher::fetched_batch::written::{WrittenBatch, seal};
use crate::kafka::wire::messages::{Chance, change, number, taken};

const HERE: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 3 };

fn aborted(producer_id: i64, first_offset: i64) -> AbortedTransaction {
    AbortedTransaction { first_offset, producer_id }
}

struct FetchedReader {
    fetched: FetchedRecords,
    place: ReadPlace,
    batch: Batch,
    tools: ReadTools,
}

impl FetchedReader {
    fn of_bytes(from: i64, bytes: Vec<u8>, aborted: Vec<AbortedTransaction>) -> Self {
        // Something else stands before it and after it.
        let frame = [&[7; 10][..], &bytes, &[7; 90]].concat();
        Self {
            fetched: FetchedRecords::new(Arc::new(frame), 10..10 + bytes.len(), from, aborted),
            place: ReadPlace { next: from, epoch: -1 },
            batch: Batch::default(),
            tools: ReadTools::new(1 << 20),
        }
    }

    fn of(from: i64, batches: &[WrittenBatch], aborted: Vec<AbortedTransaction>) -> Self {
        Self::of_bytes(from, batches.iter().flat_map(WrittenBatch::bytes).collect(), aborted)
    }

    fn take(&mut self, records: usize) -> TakeEnd {
        let limit = TakeLimit { records, bytes: usize::MAX };
        self.fetched.take(&mut self.place, (HERE, limit), &mut self.batch, &mut self.tools)
    }

    fn offsets(&self) -> Vec<i64> {
        self.batch.iter().map(|record| record.offset.0).collect()
    }
}

#[test]
fn records_come_in_order_whatever_the_limit() {
    for codec in [BatchCodec::None, BatchCodec::Lz4, BatchCodec::Zstd, BatchCodec::Snappy, BatchCodec::Gzip] {
        for room in 1..8 {
            let bytes = [WrittenBatch::of(4..7).compressed(codec), WrittenBatch::of(7..12).compressed(codec)].concat();
            let mut reader = FetchedReader::of_bytes(5, bytes, Vec::new());
            let mut full = room;
            while reader.take(full) == TakeEnd::Limit {
                assert_eq!(reader.batch.len(), full);
                assert_eq!(reader.place.next, 5 + full as i64);
                full += room;
            }
            assert_eq!(reader.offsets(), (5..12).collect::<Vec<_>>());
            assert_eq!(reader.place, ReadPlace { next: 12, epoch: 1 });
            let values: Vec<Vec<u8>> = reader.batch.iter().map(|record| record.value.unwrap().to_vec()).collect();
            assert_eq!(values, (5..12).map(|offset| offset.to_string().into_bytes()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn what_compaction_took_is_passed_over() {
    let emptied = WrittenBatch { records: Vec::new(), last_delta: 9, ..WrittenBatch::of([20]) };
    let ends_early = WrittenBatch { last_delta: 5, ..WrittenBatch::of([10, 12]) };
    let mut reader = FetchedReader::of(3, &[ends_early, emptied], Vec::new());
    assert_eq!(reader.take(99), TakeEnd::All);
    assert_eq!((reader.offsets(), reader.place.next), (vec![10, 12], 30));
}

#[test]
fn a_batch_that_is_cut_off_is_fetched_again() {
    let whole = WrittenBatch::of(0..3).bytes();
    let cut = WrittenBatch::of(3..9).bytes();
    let mut reader = FetchedReader::of_bytes(0, [&whole[..], &cut[..cut.len() - 1]].concat(), Vec::new());
    assert_eq!((reader.take(99), reader.place.next), (TakeEnd::All, 3));
    let mut reader = FetchedReader::of_bytes(3, cut[..cut.len() - 1].to_vec(), Vec::new());
    assert!(matches!(reader.take(99), TakeEnd::Fault(_)), "nobody would ever get past it");
    assert_eq!(reader.place.next, 3);
}

#[test]
fn only_committed_records_are_shown() {
    let batches = [
        WrittenBatch::of(0..2).transactional(1),
        WrittenBatch::of(2..4).transactional(2),
        WrittenBatch::of(4..6),
        WrittenBatch::marker(6, 1, false),
        WrittenBatch::of(7..9).transactional(1),
        WrittenBatch::marker(9, 2, true),
        WrittenBatch::marker(10, 1, true),
        WrittenBatch::of(11..12).transactional(2),
        WrittenBatch::marker(12, 2, false),
    ];
    // Not in the order of the log.
    let mut reader = FetchedReader::of(0, &batches, vec![aborted(2, 11), aborted(1, 0)]);
    assert_eq!(reader.take(99), TakeEnd::All);
    assert_eq!((reader.offsets(), reader.place.next), (vec![2, 3, 4, 5, 7, 8], 13));
    // From the middle of a transaction that is aborted.
    let mut reader = FetchedReader::of(1, &batches, vec![aborted(1, 0), aborted(2, 11)]);
    assert_eq!(reader.take(99), TakeEnd::All);
    assert_eq!(reader.offsets(), [2, 3, 4, 5, 7, 8]);
    // With nothing but what is not shown there is progress all the same.
    let mut reader = FetchedReader::of(11, &batches[7..], vec![aborted(2, 11)]);
    assert_eq!((reader.take(99), reader.place.next, reader.batch.len()), (TakeEnd::All, 13, 0));
}

/// A producer with the same id that writes outside of transactions is not aborted.
#[test]
fn what_is_in_no_transaction_is_shown() {
    let mut plain = WrittenBatch::of(2..3).transactional(1);
    plain.attributes = 0;
    let mut reader = FetchedReader::of(0, &[WrittenBatch::of(0..2).transactional(1), plain], vec![aborted(1, 0)]);
    assert_eq!(reader.take(99), TakeEnd::All);
    assert_eq!(reader.offsets(), [2]);
}

#[test]
fn nothing_is_taken_from_behind_a_fault() {
    let mut bad = WrittenBatch::of(3..6).bytes();
    let end = bad.len() - 1;
    bad[end] ^= 1;
    let bytes = [WrittenBatch::of(0..3).bytes(), bad, WrittenBatch::of(6..9).bytes()].concat();
    let mut reader = FetchedReader::of_bytes(0, bytes, Vec::new());
    assert!(matches!(reader.take(99), TakeEnd::Fault(FetchFault::Batch(BatchFault::Damaged(_)))));
    assert_eq!((reader.offsets(), reader.place.next), (vec![0, 1, 2], 3));
    // Offsets that do not rise, and fewer records than there are.
    let mut twice = WrittenBatch::of(0..3);
    twice.records[2].offset_delta = 1;
    let mut reader = FetchedReader::of(0, &[twice], Vec::new());
    assert!(matches!(reader.take(99), TakeEnd::Fault(_)));
    assert_eq!(reader.offsets(), [0, 1]);
    for count in [2_i32, -1, i32::MAX] {
        let mut bytes = WrittenBatch::of(0..3).bytes();
        bytes[57..61].copy_from_slice(&count.to_be_bytes());
        seal(&mut bytes);
        let mut reader = FetchedReader::of_bytes(0, bytes, Vec::new());
        assert!(matches!(reader.take(99), TakeEnd::Fault(_)), "{count}");
    }
    let mut unknown = WrittenBatch::of(0..3);
    unknown.attributes = 5;
    assert_eq!(FetchedReader::of(0, &[unknown], Vec::new()).take(99), TakeEnd::Fault(FetchFault::UnknownCodec));
}

/// Whatever a batch holds, nothing panics, offsets only rise, and memory is that of what was read and of what decompression may take.
#[test]
fn hostile_batches_neither_panic_nor_take_what_they_do_not_hold() {
    const LIMIT: usize = 32 << 10;
    const TAKEN: usize = 1 << 20;
    let (executions, seed) = (number("SHARECAST_HOSTILE", 4_000), number("SHARECAST_SEED", 1));
    let codecs = [BatchCodec::None, BatchCodec::Lz4, BatchCodec::Zstd, BatchCodec::Snappy, BatchCodec::Gzip];
    let mut wholes: Vec<Vec<u8>> = codecs.map(|codec| WrittenBatch::of(3..30).transactional(4).compressed(codec)).to_vec();
    wholes.push(WrittenBatch::marker(9, 3, false).bytes());
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for execution in 0..executions {
        let mut bytes = wholes[chance.below(wholes.len())].clone();
        for _ in 0..execution % 5 {
            change(&mut bytes, &wholes, &mut chance);
        }
        if bytes.len() > 61 && execution % 8 != 0 {
            let length = (bytes.len() as i32 - 12).to_be_bytes();
            bytes[8..12].copy_from_slice(&length);
            seal(&mut bytes);
        }
        let mut reader = FetchedReader::of_bytes(5, bytes, vec![aborted(4, (execution % 40) as i64)]);
        reader.tools = ReadTools::new(LIMIT);
        let took = taken(|| while reader.take(reader.batch.len() + 7) == TakeEnd::Limit {});
        assert!(took <= TAKEN, "{took} bytes, execution {execution}");
        let offsets = reader.offsets();
        assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]) && offsets.iter().all(|offset| *offset >= 5), "{offsets:?}");
        assert!(offsets.last().is_none_or(|last| *last < reader.place.next));
    }
}
