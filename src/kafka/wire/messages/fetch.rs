//! Fetch: one request for all partitions that a broker leads, outside of sessions.

use std::ops::Range;

use super::metadata::{NodeAddress, TopicId, read_tagged_nodes};
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::{FrameReader, FrameWriter, MalformedAnswer};

/// Only what is committed is shown, up to the first open transaction.
const READ_COMMITTED: i8 = 1;
/// The epoch of a request that is of no session.
const NO_SESSION: i32 = -1;
/// A number that is not known.
const UNKNOWN: i32 = -1;

/// How much is asked for, and for how long it is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct FetchSize {
    pub(in crate::kafka::wire) wait_ms: i32,
    pub(in crate::kafka::wire) min_bytes: i32,
    pub(in crate::kafka::wire) max_bytes: i32,
    pub(in crate::kafka::wire) partition_bytes: i32,
}

/// A partition and where it is read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct FetchPlace {
    pub(in crate::kafka::wire) topic: TopicId,
    pub(in crate::kafka::wire) partition: i32,
    pub(in crate::kafka::wire) leader_epoch: i32,
    pub(in crate::kafka::wire) offset: i64,
}

pub(in crate::kafka::wire) fn ask_fetch(request: &mut FrameWriter, size: FetchSize, places: &[FetchPlace]) {
    request.i32(size.wait_ms).i32(size.min_bytes).i32(size.max_bytes).i8(READ_COMMITTED).i32(0).i32(NO_SESSION);
    let topics: Vec<&[FetchPlace]> = places.chunk_by(|one, next| one.topic == next.topic).collect();
    request.array(topics.len());
    for topic in topics {
        request.raw(&topic[0].topic.0).array(topic.len());
        for place in topic {
            request.i32(place.partition).i32(place.leader_epoch).i64(place.offset);
            // What was fetched last, and the log's start, are for followers to say.
            request.i32(UNKNOWN).i64(i64::from(UNKNOWN)).i32(size.partition_bytes).no_tags();
        }
        request.no_tags();
    }
    // No partition is forgotten, and no rack is near.
    request.array(0).string("").no_tags();
}

/// A transaction that was aborted, and its first offset in the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct AbortedTransaction {
    pub(in crate::kafka::wire) first_offset: i64,
    pub(in crate::kafka::wire) producer_id: i64,
}

/// Who leads a partition, and since which epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct PartitionLeader {
    pub(in crate::kafka::wire) node: i32,
    pub(in crate::kafka::wire) epoch: i32,
}

/// What is said of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka::wire) struct FetchedPartition {
    pub(in crate::kafka::wire) topic: TopicId,
    pub(in crate::kafka::wire) partition: i32,
    pub(in crate::kafka::wire) error: ErrorCode,
    pub(in crate::kafka::wire) aborted: Vec<AbortedTransaction>,
    /// Where its batches are in the frame.
    pub(in crate::kafka::wire) records: Range<usize>,
    /// Who leads it now, where the broker knows better.
    pub(in crate::kafka::wire) leader: Option<PartitionLeader>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::kafka::wire) struct FetchAnswer {
    pub(in crate::kafka::wire) throttle_ms: i32,
    pub(in crate::kafka::wire) error: ErrorCode,
    pub(in crate::kafka::wire) partitions: Vec<FetchedPartition>,
    /// Addresses of leaders that are named.
    pub(in crate::kafka::wire) nodes: Vec<NodeAddress>,
}

/// Reads an answer that ends with its frame of so many bytes.
pub(in crate::kafka::wire) fn read_fetch(mut answer: FrameReader<'_>, frame_bytes: usize) -> Result<FetchAnswer, MalformedAnswer> {
    let (throttle_ms, error, _session) = (answer.i32()?, ErrorCode(answer.i16()?), answer.i32()?);
    let mut partitions = Vec::new();
    answer.array(18, |topic| {
        let id = TopicId(topic.fixed()?);
        topic.array(37, |partition| {
            partitions.push(read_partition(partition, id, frame_bytes)?);
            Ok(())
        })?;
        topic.skip_tags()
    })?;
    let nodes = read_tagged_nodes(&mut answer)?;
    answer.end()?;
    Ok(FetchAnswer { throttle_ms, error, partitions, nodes })
}

fn read_partition(answer: &mut FrameReader<'_>, topic: TopicId, frame_bytes: usize) -> Result<FetchedPartition, MalformedAnswer> {
    let (partition, error) = (answer.i32()?, ErrorCode(answer.i16()?));
    let (_high_watermark, _last_stable, _log_start) = (answer.i64()?, answer.i64()?, answer.i64()?);
    let aborted = answer.array(17, |aborted| {
        let (producer_id, first_offset) = (aborted.i64()?, aborted.i64()?);
        aborted.skip_tags()?;
        Ok(AbortedTransaction { first_offset, producer_id })
    })?;
    let _near_replica = answer.i32()?;
    let length = answer.nullable_bytes()?.map_or(0, <[u8]>::len);
    let end = frame_bytes - answer.left();
    let mut leader = None;
    answer.tags(|tag, field| {
        if tag == 1 {
            leader = Some(PartitionLeader { node: field.i32()?, epoch: field.i32()? }).filter(|leader| leader.node >= 0);
        }
        Ok(())
    })?;
    Ok(FetchedPartition { topic, partition, error, aborted, records: end - length..end, leader })
}
