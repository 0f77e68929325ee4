//! What each error means for each call: one table a call, and nothing else decides it.
//!
//! "Again" is always the same bytes under the same sequence and epoch.

use super::error_code::ErrorCode;
use crate::transport::ProduceError;

/// What follows from the answer for one partition of a Produce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProduceVerdict {
    /// It is in the log.
    Written,
    /// Again, after a look at who leads the partition.
    AgainElsewhere,
    /// Again at the same broker, a little later.
    AgainLater(LastWord),
    /// Again a single time; then it is this.
    AgainOnce(ProduceFailure),
    /// Again once metadata says that the topic is there; a topic that is said to be missing twice is.
    AgainIfThere,
    Failed(ProduceFailure),
}

/// What is said of a partition whose time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LastWord {
    /// Its topic is not reachable.
    Unreachable,
    /// The transaction is at fault, not the topic.
    Abort,
}

/// How the answer for a partition ends a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProduceFailure {
    Route,
    Refused,
    Abort,
    Fenced,
    Fatal,
}

pub(super) fn of_produce(code: ErrorCode) -> ProduceVerdict {
    use ProduceFailure::{Abort, Fatal, Fenced, Refused, Route};
    use ProduceVerdict::{AgainElsewhere, AgainIfThere, AgainLater, AgainOnce, Failed, Written};
    match code {
        // A duplicate is one whose first answer was lost.
        ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Written,
        ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::REPLICA_NOT_AVAILABLE
        | ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::UNKNOWN_LEADER_EPOCH => AgainElsewhere,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => AgainIfThere,
        // The first two may be in the log all the same. The third is also what a leader says whose coordinator is away.
        ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::NOT_COORDINATOR => AgainLater(LastWord::Unreachable),
        // The markers of the transaction before are still being written, or two leaders enlisted at once.
        ErrorCode::CONCURRENT_TRANSACTIONS => AgainLater(LastWord::Abort),
        ErrorCode::CORRUPT_MESSAGE => AgainOnce(Fatal),
        // An epoch that is too old is another producer's doing, or the coordinator's, which has given the transaction up: aborting tells.
        ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        | ErrorCode::UNKNOWN_PRODUCER_ID
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::TRANSACTION_ABORTABLE => Failed(Abort),
        ErrorCode::PRODUCER_FENCED => Failed(Fenced),
        ErrorCode::INVALID_PRODUCER_ID_MAPPING
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_VERSION => Failed(Fatal),
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE | ErrorCode::INVALID_TIMESTAMP | ErrorCode::INVALID_RECORD => {
            Failed(Refused)
        }
        // Whatever is not known to be the record's or the producer's fault is the route's.
        _ => Failed(Route),
    }
}

/// What follows from the answer of a coordinator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CoordinatorVerdict {
    Done,
    /// Another broker coordinates by now: it is looked for.
    AgainElsewhere,
    AgainLater,
    Failed(CallFailure),
}

/// How a call to a coordinator fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallFailure {
    Abort,
    StaleMember,
    /// Another has taken the name, or the coordinator has given the transaction up for its age.
    Fenced,
    Fatal,
}

impl CallFailure {
    pub(super) fn error(self, words: String) -> ProduceError {
        match self {
            Self::Abort => ProduceError::Abort(words),
            Self::StaleMember => ProduceError::StaleMember(words),
            Self::Fenced => ProduceError::Fenced(words),
            Self::Fatal => ProduceError::Fatal(words),
        }
    }
}

/// What passes by itself, whatever the coordinator was asked.
fn of_coordinator(code: ErrorCode) -> Option<CoordinatorVerdict> {
    Some(match code {
        ErrorCode::NONE => CoordinatorVerdict::Done,
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => CoordinatorVerdict::AgainElsewhere,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => CoordinatorVerdict::AgainLater,
        ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED => CoordinatorVerdict::Failed(CallFailure::Fenced),
        _ => return None,
    })
}

/// Of InitProducerId. What fails otherwise is told by `identity_refusal`.
pub(super) fn of_identity(code: ErrorCode) -> CoordinatorVerdict {
    match code {
        ErrorCode::REQUEST_TIMED_OUT | ErrorCode::TRANSACTION_ABORTABLE => CoordinatorVerdict::AgainLater,
        code => of_coordinator(code).unwrap_or(CoordinatorVerdict::Failed(CallFailure::Fatal)),
    }
}

/// Of TxnOffsetCommit, for one partition. What a broker of the version before says of an unknown topic passes, for a while.
pub(super) fn of_offsets(code: ErrorCode) -> CoordinatorVerdict {
    match code {
        ErrorCode::REQUEST_TIMED_OUT => CoordinatorVerdict::AgainElsewhere,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => CoordinatorVerdict::AgainLater,
        ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::FENCED_INSTANCE_ID | ErrorCode::REBALANCE_IN_PROGRESS => {
            CoordinatorVerdict::Failed(CallFailure::StaleMember)
        }
        ErrorCode::TRANSACTION_ABORTABLE | ErrorCode::INVALID_TXN_STATE | ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            CoordinatorVerdict::Failed(CallFailure::Abort)
        }
        code => of_coordinator(code).unwrap_or(CoordinatorVerdict::Failed(CallFailure::Fatal)),
    }
}

/// Of EndTxn. What is not known to have happened is never taken for it: a new producer of the name settles it.
pub(super) fn of_end(code: ErrorCode, commits: bool) -> CoordinatorVerdict {
    match code {
        ErrorCode::REQUEST_TIMED_OUT => CoordinatorVerdict::AgainLater,
        // An abort that must be aborted would never end.
        ErrorCode::TRANSACTION_ABORTABLE | ErrorCode::UNKNOWN_PRODUCER_ID if commits => CoordinatorVerdict::Failed(CallFailure::Abort),
        code => of_coordinator(code).unwrap_or(CoordinatorVerdict::Failed(CallFailure::Fatal)),
    }
}

/// Of LeaveGroup. Whoever is no member any more has left.
pub(super) fn of_leave(code: ErrorCode) -> CoordinatorVerdict {
    match code {
        ErrorCode::UNKNOWN_MEMBER_ID => CoordinatorVerdict::Done,
        ErrorCode::REQUEST_TIMED_OUT => CoordinatorVerdict::AgainLater,
        code => of_coordinator(code).unwrap_or(CoordinatorVerdict::Failed(CallFailure::Fatal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of every code there is, by its number: none is forgotten, and none changes unseen.
    #[test]
    fn every_row_of_the_table() {
        use ProduceVerdict as V;
        let rows: &[(i16, ProduceVerdict, CoordinatorVerdict, CoordinatorVerdict, CoordinatorVerdict)] = &[
            (0, V::Written, DONE, DONE, DONE),
            (46, V::Written, FATAL, FATAL, FATAL),
            (6, V::AgainElsewhere, FATAL, FATAL, FATAL),
            (74, V::AgainElsewhere, FATAL, FATAL, FATAL),
            (5, V::AgainElsewhere, FATAL, FATAL, FATAL),
            (9, V::AgainElsewhere, FATAL, FATAL, FATAL),
            (13, V::AgainElsewhere, LATER, LATER, LATER),
            (56, V::AgainElsewhere, FATAL, FATAL, FATAL),
            (75, V::AgainElsewhere, FATAL, FATAL, FATAL),
            (3, V::AgainIfThere, FATAL, LATER, FATAL),
            (100, V::AgainIfThere, FATAL, FATAL, FATAL),
            (7, V::AgainLater(LastWord::Unreachable), LATER, ELSEWHERE, LATER),
            (19, V::AgainLater(LastWord::Unreachable), LATER, LATER, LATER),
            (20, V::AgainLater(LastWord::Unreachable), LATER, LATER, LATER),
            (14, V::AgainLater(LastWord::Unreachable), LATER, LATER, LATER),
            (15, V::AgainLater(LastWord::Unreachable), ELSEWHERE, ELSEWHERE, ELSEWHERE),
            (16, V::AgainLater(LastWord::Unreachable), ELSEWHERE, ELSEWHERE, ELSEWHERE),
            (51, V::AgainLater(LastWord::Abort), LATER, LATER, LATER),
            (2, V::AgainOnce(ProduceFailure::Fatal), FATAL, FATAL, FATAL),
            (45, V::Failed(ProduceFailure::Abort), FATAL, FATAL, FATAL),
            (59, V::Failed(ProduceFailure::Abort), FATAL, FATAL, ABORT),
            (47, V::Failed(ProduceFailure::Abort), FENCED, FENCED, FENCED),
            (48, V::Failed(ProduceFailure::Abort), FATAL, ABORT, FATAL),
            (120, V::Failed(ProduceFailure::Abort), LATER, ABORT, ABORT),
            (49, V::Failed(ProduceFailure::Fatal), FATAL, FATAL, FATAL),
            (90, V::Failed(ProduceFailure::Fenced), FENCED, FENCED, FENCED),
            (29, V::Failed(ProduceFailure::Route), FATAL, FATAL, FATAL),
            (17, V::Failed(ProduceFailure::Route), FATAL, FATAL, FATAL),
            (44, V::Failed(ProduceFailure::Route), FATAL, FATAL, FATAL),
            (10, V::Failed(ProduceFailure::Refused), FATAL, FATAL, FATAL),
            (18, V::Failed(ProduceFailure::Refused), FATAL, FATAL, FATAL),
            (32, V::Failed(ProduceFailure::Refused), FATAL, FATAL, FATAL),
            (87, V::Failed(ProduceFailure::Refused), FATAL, FATAL, FATAL),
            (31, V::Failed(ProduceFailure::Fatal), FATAL, FATAL, FATAL),
            (53, V::Failed(ProduceFailure::Fatal), FATAL, FATAL, FATAL),
            (35, V::Failed(ProduceFailure::Fatal), FATAL, FATAL, FATAL),
            (12, V::Failed(ProduceFailure::Route), FATAL, FATAL, FATAL),
            (22, V::Failed(ProduceFailure::Route), FATAL, STALE, FATAL),
            (25, V::Failed(ProduceFailure::Route), FATAL, STALE, FATAL),
            (27, V::Failed(ProduceFailure::Route), FATAL, STALE, FATAL),
            (82, V::Failed(ProduceFailure::Route), FATAL, STALE, FATAL),
            (30, V::Failed(ProduceFailure::Route), FATAL, ABORT, FATAL),
            (50, V::Failed(ProduceFailure::Route), FATAL, FATAL, FATAL),
            (-1, V::Failed(ProduceFailure::Route), FATAL, FATAL, FATAL),
        ];
        for (number, produce, identity, offsets, end) in rows {
            let code = ErrorCode(*number);
            assert_eq!(of_produce(code), *produce, "Produce, {code}");
            assert_eq!(of_identity(code), *identity, "InitProducerId, {code}");
            assert_eq!(of_offsets(code), *offsets, "TxnOffsetCommit, {code}");
            assert_eq!(of_end(code, true), *end, "EndTxn, {code}");
            let aborts = if *end == ABORT { FATAL } else { *end };
            assert_eq!(of_end(code, false), aborts, "EndTxn that aborts, {code}");
        }
        // No other is a success.
        for number in (-10..200).filter(|number| !rows.iter().any(|row| row.0 == *number)) {
            let code = ErrorCode(number);
            assert_eq!(of_produce(code), V::Failed(ProduceFailure::Route), "{code}");
            assert_eq!((of_identity(code), of_offsets(code), of_end(code, true)), (FATAL, FATAL, FATAL), "{code}");
        }
    }

    const DONE: CoordinatorVerdict = CoordinatorVerdict::Done;
    const LATER: CoordinatorVerdict = CoordinatorVerdict::AgainLater;
    const ELSEWHERE: CoordinatorVerdict = CoordinatorVerdict::AgainElsewhere;
    const FATAL: CoordinatorVerdict = CoordinatorVerdict::Failed(CallFailure::Fatal);
    const ABORT: CoordinatorVerdict = CoordinatorVerdict::Failed(CallFailure::Abort);
    const FENCED: CoordinatorVerdict = CoordinatorVerdict::Failed(CallFailure::Fenced);
    const STALE: CoordinatorVerdict = CoordinatorVerdict::Failed(CallFailure::StaleMember);
}
