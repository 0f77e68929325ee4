//! What each error of a Fetch means for its partition.

use crate::kafka::wire::error_code::ErrorCode;

/// What follows from the answer for one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FetchVerdict {
    Records,
    /// The offset is not in the log.
    OutOfRange,
    /// Again at the leader that the answer names; where it names none, after a look at who leads.
    AgainElsewhere,
    /// Again after a look at who leads, and whether the topic is still there.
    AgainAfterLook,
    /// Again at the same broker, a little later.
    AgainLater,
    /// The leader finds its own log damaged: later again, and somebody must know.
    Damaged,
    /// A right is missing.
    Refused,
}

pub(super) fn of_fetch(code: ErrorCode) -> FetchVerdict {
    match code {
        ErrorCode::NONE => FetchVerdict::Records,
        ErrorCode::OFFSET_OUT_OF_RANGE => FetchVerdict::OutOfRange,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::FENCED_LEADER_EPOCH => FetchVerdict::AgainElsewhere,
        // The first is a leader that does not know yet up to where others have its records; the second is busy.
        ErrorCode::OFFSET_NOT_AVAILABLE | ErrorCode::REQUEST_TIMED_OUT => FetchVerdict::AgainLater,
        ErrorCode::CORRUPT_MESSAGE => FetchVerdict::Damaged,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED => FetchVerdict::Refused,
        // A topic that is gone, a leader that is none any more or not yet, and whatever else may pass.
        _ => FetchVerdict::AgainAfterLook,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_one_meaning() {
        use FetchVerdict::{AgainAfterLook, AgainElsewhere, AgainLater, Damaged, OutOfRange, Records, Refused};
        for (code, verdict) in [
            (0, Records),
            (1, OutOfRange),
            (2, Damaged),
            (3, AgainAfterLook),
            (5, AgainAfterLook),
            (6, AgainElsewhere),
            (7, AgainLater),
            (9, AgainAfterLook),
            (13, AgainAfterLook),
            (29, Refused),
            (31, Refused),
            (56, AgainAfterLook),
            (74, AgainElsewhere),
            (75, AgainAfterLook),
            (78, AgainLater),
            (100, AgainAfterLook),
            (103, AgainAfterLook),
            (-1, AgainAfterLook),
            (999, AgainAfterLook),
        ] {
            assert_eq!(of_fetch(ErrorCode(code)), verdict, "{code}");
        }
    }
}
