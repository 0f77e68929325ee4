//! What an answer brought of one partition and is not taken yet: batches where they lie in the frame, read as they are taken.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;
use std::vec::IntoIter;

use crate::id::Offset;
use crate::kafka::wire::compression::BatchCodec;
use crate::kafka::wire::fetcher::decompression::{BatchDecompressor, NotDecompressed};
use crate::kafka::wire::fetcher::fetched_batch::{BatchFault, BatchHeader, FetchedRecord, WireBatch};
use crate::kafka::wire::messages::fetch::AbortedTransaction;
use crate::time::TimestampMs;
use crate::transport::{Batch, SourcePartition};

/// Memory is kept for so many batches to be decompressed into.
const SPARES: usize = 4;
/// And not where one of them is larger.
const SPARE_BYTES: usize = 4 << 20;

/// Why nothing more can be read from what was fetched. Nothing is passed over for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::kafka::wire) enum FetchFault {
    #[error(transparent)]
    Batch(#[from] BatchFault),
    #[error("a batch cannot be decompressed: {0}")]
    NotDecompressed(#[from] NotDecompressed),
    #[error("a batch is compressed by a codec that is not known")]
    UnknownCodec,
}

/// Where a partition is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct ReadPlace {
    /// Every offset before it was delivered, or holds nothing.
    pub(in crate::kafka::wire) next: i64,
    /// Of the leader that appended what was read last; -1 where nothing was.
    pub(in crate::kafka::wire) epoch: i32,
}

/// How much is taken at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct TakeLimit {
    /// The batch holds so many records then.
    pub(in crate::kafka::wire) records: usize,
    /// Or so many bytes, which the last record may pass.
    pub(in crate::kafka::wire) bytes: usize,
}

/// How a taking ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka::wire) enum TakeEnd {
    /// At the limit; more may be there.
    Limit,
    /// All was taken.
    All,
    Fault(FetchFault),
}

/// What decompression works with, for all partitions.
pub(in crate::kafka::wire) struct ReadTools {
    decompressor: BatchDecompressor,
    spares: Vec<Vec<u8>>,
}

impl ReadTools {
    /// The records of a batch are not more bytes than this.
    pub(in crate::kafka::wire) fn new(limit: usize) -> Self {
        Self { decompressor: BatchDecompressor::new(limit), spares: Vec::new() }
    }

    fn decompress(&mut self, codec: BatchCodec, records: &[u8]) -> Result<Vec<u8>, NotDecompressed> {
        let mut into = self.spares.pop().unwrap_or_default();
        self.decompressor.decompress(codec, records, &mut into)?;
        Ok(into)
    }

    fn give_back(&mut self, bytes: Vec<u8>) {
        if self.spares.len() < SPARES && bytes.capacity() <= SPARE_BYTES {
            self.spares.push(bytes);
        }
    }
}

/// Where the records of a batch are that is being read.
enum RecordBytes {
    InFrame(Range<usize>),
    Decompressed(Vec<u8>),
}

/// A batch that was begun.
struct BatchInHand {
    header: BatchHeader,
    bytes: RecordBytes,
    at: usize,
    /// So many records are still to come of it.
    left: i32,
    /// The next of them has this offset or a later one.
    least: i64,
}

/// The batches of one partition in one answer.
pub(in crate::kafka::wire) struct FetchedRecords {
    frame: Arc<Vec<u8>>,
    /// What is not begun.
    rest: Range<usize>,
    /// What was asked for.
    asked: i64,
    /// Those that no batch has reached, by their first offsets.
    aborted: Peekable<IntoIter<AbortedTransaction>>,
    /// Producers whose transaction was begun and will be aborted.
    aborting: Vec<i64>,
    open: Option<BatchInHand>,
}

impl FetchedRecords {
    pub(in crate::kafka::wire) fn new(
        frame: Arc<Vec<u8>>,
        records: Range<usize>,
        asked: i64,
        mut aborted: Vec<AbortedTransaction>,
    ) -> Self {
        // Not every broker has them in order.
        aborted.sort_unstable_by_key(|transaction| transaction.first_offset);
        Self { frame, rest: records, asked, aborted: aborted.into_iter().peekable(), aborting: Vec::new(), open: None }
    }

    /// How many bytes of the frame are still to be read.
    pub(in crate::kafka::wire) fn waiting(&self) -> usize {
        let open = self.open.as_ref().map_or(0, |open| match &open.bytes {
            RecordBytes::InFrame(range) => range.len() - open.at,
            RecordBytes::Decompressed(bytes) => bytes.len() - open.at,
        });
        open + self.rest.len()
    }

    /// The frame, where nobody else has anything in it.
    pub(in crate::kafka::wire) fn into_frame(self) -> Option<Vec<u8>> {
        Arc::into_inner(self.frame)
    }

    /// Copies what follows into the batch, and moves the place on.
    pub(in crate::kafka::wire) fn take(
        &mut self,
        place: &mut ReadPlace,
        (source, limit): (SourcePartition, TakeLimit),
        into: &mut Batch,
        tools: &mut ReadTools,
    ) -> TakeEnd {
        match self.take_until(place, (source, limit), into, tools) {
            // Nobody would ever get past a batch that never comes whole.
            Ok(TakeEnd::All) if place.next == self.asked => {
                TakeEnd::Fault(BatchFault::Damaged("nothing of what was asked for has come").into())
            }
            Ok(taken) => taken,
            Err(fault) => TakeEnd::Fault(fault),
        }
    }

    fn take_until(
        &mut self,
        place: &mut ReadPlace,
        (source, limit): (SourcePartition, TakeLimit),
        into: &mut Batch,
        tools: &mut ReadTools,
    ) -> Result<TakeEnd, FetchFault> {
        loop {
            if let Some(open) = &mut self.open {
                if !open.take(&self.frame, place, (source, limit), into)? {
                    return Ok(TakeEnd::Limit);
                }
                if let Some(BatchInHand { bytes: RecordBytes::Decompressed(bytes), .. }) = self.open.take() {
                    tools.give_back(bytes);
                }
            }
            let bytes = self.frame.get(self.rest.clone()).unwrap_or_default();
            let Some(batch) = WireBatch::first(bytes)? else { return Ok(TakeEnd::All) };
            let (header, end) = (batch.header, self.rest.start + batch.whole);
            let records = end - batch.records.len()..end;
            let is_shown = self.aborted.is_shown(&batch, &mut self.aborting);
            self.rest.start = end;
            if header.last_offset() < place.next {
                continue;
            }
            if !is_shown {
                *place = ReadPlace { next: header.last_offset() + 1, epoch: header.leader_epoch };
                continue;
            }
            let bytes = match header.codec().ok_or(FetchFault::UnknownCodec)? {
                BatchCodec::None => RecordBytes::InFrame(records),
                codec => RecordBytes::Decompressed(tools.decompress(codec, &self.frame[records])?),
            };
            self.open = Some(BatchInHand { header, bytes, at: 0, left: header.count, least: header.base_offset });
        }
    }
}

/// Which batches a reader of what is committed sees.
trait Visibility {
    fn is_shown(&mut self, batch: &WireBatch<'_>, aborting: &mut Vec<i64>) -> bool;
}

impl Visibility for Peekable<IntoIter<AbortedTransaction>> {
    /// Batches must be asked about in their order.
    fn is_shown(&mut self, batch: &WireBatch<'_>, aborting: &mut Vec<i64>) -> bool {
        let header = &batch.header;
        while let Some(begun) = self.next_if(|aborted| aborted.first_offset <= header.last_offset()) {
            if !aborting.contains(&begun.producer_id) {
                aborting.push(begun.producer_id);
            }
        }
        if header.is_control() {
            if batch.aborts() {
                aborting.retain(|producer| *producer != header.producer_id);
            }
            return false;
        }
        !(header.is_transactional() && aborting.contains(&header.producer_id))
    }
}

impl BatchInHand {
    /// Returns whether it was read to its end.
    fn take(
        &mut self,
        frame: &[u8],
        place: &mut ReadPlace,
        (source, limit): (SourcePartition, TakeLimit),
        into: &mut Batch,
    ) -> Result<bool, FetchFault> {
        let bytes = match &self.bytes {
            RecordBytes::InFrame(range) => &frame[range.clone()],
            RecordBytes::Decompressed(bytes) => bytes,
        };
        while self.left > 0 {
            if into.len() >= limit.records || into.bytes() >= limit.bytes {
                return Ok(false);
            }
            let FetchedRecord { offset, timestamp_ms, key, value, headers } = FetchedRecord::next(&self.header, bytes, &mut self.at)?;
            if offset < self.least {
                return Err(BatchFault::Damaged("its records' offsets do not rise").into());
            }
            (self.left, self.least) = (self.left - 1, offset + 1);
            if offset >= place.next {
                into.push(source, Offset(offset), TimestampMs(timestamp_ms), key, value, headers);
                *place = ReadPlace { next: offset + 1, epoch: self.header.leader_epoch };
            }
        }
        if self.left < 0 || self.at != bytes.len() {
            return Err(BatchFault::Damaged("it has not as many records as it says").into());
        }
        *place = ReadPlace { next: place.next.max(self.header.last_offset() + 1), epoch: self.header.leader_epoch };
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
