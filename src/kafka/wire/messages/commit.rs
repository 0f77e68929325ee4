//! How a transaction begins and ends.

use std::sync::Arc;

use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::{FrameReader, FrameWriter, MalformedAnswer};

/// Who writes: the id that the cluster gave a transactional.id, and the epoch that each end of a transaction raises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct ProducerIdentity {
    pub(in crate::kafka::wire) id: i64,
    pub(in crate::kafka::wire) epoch: i16,
}

pub(in crate::kafka::wire) fn ask_identity(request: &mut FrameWriter, transactional_id: &str, timeout_ms: i32) {
    // None of its own: whoever had the name is fenced.
    request.nullable_string(Some(transactional_id)).i32(timeout_ms).i64(-1).i16(-1).no_tags();
}

/// The answer to InitProducerId and EndTxn.
pub(in crate::kafka::wire) fn read_identity(mut answer: FrameReader<'_>) -> Result<(ErrorCode, ProducerIdentity), MalformedAnswer> {
    let _throttle_ms = answer.i32()?;
    let error = ErrorCode(answer.i16()?);
    let identity = ProducerIdentity { id: answer.i64()?, epoch: answer.i16()? };
    answer.skip_tags()?;
    answer.end()?;
    if error == ErrorCode::NONE && (identity.id < 0 || identity.epoch < 0) {
        return Err(MalformedAnswer("it gives no producer id"));
    }
    Ok((error, identity))
}

pub(in crate::kafka::wire) fn ask_end(request: &mut FrameWriter, transactional_id: &str, identity: ProducerIdentity, commits: bool) {
    request.string(transactional_id).i64(identity.id).i16(identity.epoch).bool(commits).no_tags();
}

/// A group's member, as it commits offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct MemberIdentity<'m> {
    pub(in crate::kafka::wire) group: &'m str,
    pub(in crate::kafka::wire) generation: i32,
    pub(in crate::kafka::wire) member: &'m str,
    pub(in crate::kafka::wire) instance: Option<&'m str>,
}

/// An offset that is committed with a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka::wire) struct TxnOffset<'o> {
    pub(in crate::kafka::wire) topic: &'o str,
    pub(in crate::kafka::wire) partition: i32,
    pub(in crate::kafka::wire) offset: i64,
    pub(in crate::kafka::wire) note: &'o str,
}

/// The offsets of one topic must come one after the other.
pub(in crate::kafka::wire) fn ask_offsets(
    request: &mut FrameWriter,
    transactional_id: &str,
    identity: ProducerIdentity,
    member: MemberIdentity<'_>,
    offsets: &[TxnOffset<'_>],
) {
    request.string(transactional_id).string(member.group).i64(identity.id).i16(identity.epoch);
    request.i32(member.generation).string(member.member).nullable_string(member.instance);
    let topics: Vec<&[TxnOffset<'_>]> = offsets.chunk_by(|one, next| one.topic == next.topic).collect();
    request.array(topics.len());
    for topic in topics {
        request.string(topic[0].topic).array(topic.len());
        for offset in topic {
            // Without the leader's epoch, as with librdkafka.
            request.i32(offset.partition).i64(offset.offset).i32(-1).nullable_string(Some(offset.note)).no_tags();
        }
        request.no_tags();
    }
    request.no_tags();
}

/// What became of the offsets of a partition.
pub(in crate::kafka::wire) type OffsetAnswer = (Arc<str>, i32, ErrorCode);

/// What became of the offsets of each partition.
pub(in crate::kafka::wire) fn read_offsets(mut answer: FrameReader<'_>) -> Result<Vec<OffsetAnswer>, MalformedAnswer> {
    let _throttle_ms = answer.i32()?;
    let topics = answer.array(3, |topic| {
        let name: Arc<str> = topic.string()?.into();
        let partitions = topic.array(7, |partition| {
            let found = (partition.i32()?, ErrorCode(partition.i16()?));
            partition.skip_tags()?;
            Ok(found)
        })?;
        topic.skip_tags()?;
        Ok(partitions.into_iter().map(move |(partition, error)| (Arc::clone(&name), partition, error)))
    })?;
    answer.skip_tags()?;
    answer.end()?;
    Ok(topics.into_iter().flatten().collect())
}
