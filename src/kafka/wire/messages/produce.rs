//! Produce: one request for all partitions that a broker leads, around batches that are not copied.

use std::io::IoSlice;
use std::sync::Arc;

use super::metadata::{NodeAddress, read_tagged_nodes};
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::{FrameReader, FrameWriter, MalformedAnswer};

/// Every in-sync replica acknowledges.
const ACKS_ALL: i16 = -1;

/// A batch and where it goes. Those of one topic must come one after the other.
#[derive(Debug, Clone, Copy)]
pub(in crate::kafka::wire) struct ProduceBatch<'b> {
    pub(in crate::kafka::wire) topic: &'b str,
    pub(in crate::kafka::wire) partition: i32,
    pub(in crate::kafka::wire) batch: &'b [u8],
}

/// A request as it is sent: what stands around the batches, and the batches where they are.
pub(in crate::kafka::wire) struct GatheredRequest<'b> {
    /// Everything but the batches, from the frame's length on.
    around: Vec<u8>,
    /// After so many bytes of `around` comes this batch.
    batches: Vec<(usize, &'b [u8])>,
}

impl<'b> GatheredRequest<'b> {
    /// Writes the request behind its header, and the frame's length in front.
    pub(in crate::kafka::wire) fn write(
        mut header: FrameWriter,
        transactional_id: &str,
        timeout_ms: i32,
        batches: &[ProduceBatch<'b>],
    ) -> Self {
        let mut placed = Vec::with_capacity(batches.len());
        header.nullable_string(Some(transactional_id)).i16(ACKS_ALL).i32(timeout_ms);
        let topics: Vec<&[ProduceBatch<'b>]> = batches.chunk_by(|one, next| one.topic == next.topic).collect();
        header.array(topics.len());
        for topic in topics {
            header.string(topic[0].topic).array(topic.len());
            for batch in topic {
                header.i32(batch.partition).uvarint(batch.batch.len() as u32 + 1);
                placed.push((header.bytes.len(), batch.batch));
                header.no_tags();
            }
            header.no_tags();
        }
        header.no_tags();
        let mut around = header.bytes;
        let length = around.len() - 4 + placed.iter().map(|(_, batch)| batch.len()).sum::<usize>();
        around[..4].copy_from_slice(&(length as u32).to_be_bytes());
        Self { around, batches: placed }
    }

    /// The pieces in their order.
    pub(in crate::kafka::wire) fn slices(&self) -> Vec<IoSlice<'_>> {
        let (mut slices, mut from) = (Vec::with_capacity(2 * self.batches.len() + 1), 0);
        for (at, batch) in &self.batches {
            slices.push(IoSlice::new(&self.around[from..*at]));
            slices.push(IoSlice::new(batch));
            from = *at;
        }
        slices.push(IoSlice::new(&self.around[from..]));
        slices
    }
}

/// What became of the batch of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka::wire) struct PartitionAnswer {
    /// One text for all partitions of a topic: a frame can name many of them.
    pub(in crate::kafka::wire) topic: Arc<str>,
    pub(in crate::kafka::wire) partition: i32,
    pub(in crate::kafka::wire) error: ErrorCode,
    /// In the broker's words, where it has any.
    pub(in crate::kafka::wire) words: Option<String>,
    /// Who leads the partition now, where the broker knows better.
    pub(in crate::kafka::wire) leader: Option<i32>,
}

/// The answer to Produce.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::kafka::wire) struct ProduceAnswer {
    pub(in crate::kafka::wire) partitions: Vec<PartitionAnswer>,
    /// The addresses of the leaders that it names.
    pub(in crate::kafka::wire) nodes: Vec<NodeAddress>,
    /// For so long the broker wants nothing more.
    pub(in crate::kafka::wire) throttle_ms: i32,
}

pub(in crate::kafka::wire) fn read_produce(mut answer: FrameReader<'_>) -> Result<ProduceAnswer, MalformedAnswer> {
    let topics = answer.array(3, |topic| {
        let name = topic.string()?.into();
        let partitions = topic.array(33, |partition| read_partition(&name, partition))?;
        topic.skip_tags()?;
        Ok(partitions)
    })?;
    let throttle_ms = answer.i32()?;
    let nodes = read_tagged_nodes(&mut answer)?;
    answer.end()?;
    Ok(ProduceAnswer { partitions: topics.into_iter().flatten().collect(), nodes, throttle_ms })
}

fn read_partition(topic: &Arc<str>, answer: &mut FrameReader<'_>) -> Result<PartitionAnswer, MalformedAnswer> {
    let (partition, error) = (answer.i32()?, ErrorCode(answer.i16()?));
    let (_base_offset, _append_time, _log_start) = (answer.i64()?, answer.i64()?, answer.i64()?);
    let records = answer.array(6, |record| {
        let _at = record.i32()?;
        let words = record.nullable_string()?;
        record.skip_tags()?;
        Ok(words)
    })?;
    let whole = answer.nullable_string()?;
    let mut leader = None;
    answer.tags(|tag, field| {
        if tag == 0 {
            leader = Some(field.i32()?).filter(|leader| *leader >= 0);
        }
        Ok(())
    })?;
    let words = records.into_iter().flatten().next().or(whole).map(str::to_owned);
    Ok(PartitionAnswer { topic: Arc::clone(topic), partition, error, words, leader })
}
