//! How members are taken out of a group.

use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::{FrameReader, FrameWriter, MalformedAnswer};

pub(in crate::kafka::wire) fn ask_leave(request: &mut FrameWriter, group: &str, members: &[String], reason: &str) {
    request.string(group).array(members.len());
    for member in members {
        // None of them is static.
        request.string(member).nullable_string(None).nullable_string(Some(reason)).no_tags();
    }
    request.no_tags();
}

/// What became of the whole, and of each member.
pub(in crate::kafka::wire) fn read_leave(mut answer: FrameReader<'_>) -> Result<(ErrorCode, Vec<(String, ErrorCode)>), MalformedAnswer> {
    let _throttle_ms = answer.i32()?;
    let error = ErrorCode(answer.i16()?);
    let members = answer.array(5, |member| {
        let id = member.string()?.to_owned();
        let _instance = member.nullable_string()?;
        let error = ErrorCode(member.i16()?);
        member.skip_tags()?;
        Ok((id, error))
    })?;
    answer.skip_tags()?;
    answer.end()?;
    Ok((error, members))
}
