//! OffsetForLeaderEpoch: where what a leader appended ends, by which a log is found out that was cut off.

use std::sync::Arc;

use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::{FrameReader, FrameWriter, MalformedAnswer};

/// Who asks is no replica.
const CONSUMER: i32 = -1;

/// A partition of which something was read. Those of one topic must come one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct EpochPlace<'p> {
    pub(in crate::kafka::wire) topic: &'p str,
    pub(in crate::kafka::wire) partition: i32,
    /// Of the leader that is asked.
    pub(in crate::kafka::wire) leader_epoch: i32,
    /// Of the leader that appended what was read last.
    pub(in crate::kafka::wire) read_epoch: i32,
}

pub(in crate::kafka::wire) fn ask_ends(request: &mut FrameWriter, places: &[EpochPlace<'_>]) {
    request.i32(CONSUMER);
    let topics: Vec<&[EpochPlace<'_>]> = places.chunk_by(|one, next| one.topic == next.topic).collect();
    request.array(topics.len());
    for topic in topics {
        request.string(topic[0].topic).array(topic.len());
        for place in topic {
            request.i32(place.partition).i32(place.leader_epoch).i32(place.read_epoch).no_tags();
        }
        request.no_tags();
    }
    request.no_tags();
}

/// Where the log of a partition ends as far as the epoch is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kafka::wire) struct EpochEnd {
    /// One text for all partitions of a topic: a frame can name many of them.
    pub(in crate::kafka::wire) topic: Arc<str>,
    pub(in crate::kafka::wire) partition: i32,
    pub(in crate::kafka::wire) error: ErrorCode,
    /// The largest epoch up to the one that was asked for; -1 where there is none.
    pub(in crate::kafka::wire) epoch: i32,
    /// -1 where there is none.
    pub(in crate::kafka::wire) end: i64,
}

pub(in crate::kafka::wire) fn read_ends(mut answer: FrameReader<'_>) -> Result<Vec<EpochEnd>, MalformedAnswer> {
    let _throttle_ms = answer.i32()?;
    let mut ends = Vec::new();
    answer.array(3, |topic| {
        let name: Arc<str> = topic.string()?.into();
        topic.array(19, |partition| {
            let (error, index) = (ErrorCode(partition.i16()?), partition.i32()?);
            let (epoch, end) = (partition.i32()?, partition.i64()?);
            partition.skip_tags()?;
            ends.push(EpochEnd { topic: Arc::clone(&name), partition: index, error, epoch, end });
            Ok(())
        })?;
        topic.skip_tags()
    })?;
    answer.skip_tags()?;
    answer.end()?;
    Ok(ends)
}
