//! What librdkafka's errors mean to the engine.

use rdkafka::error::{KafkaError, RDKafkaError};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::ClientError;
use crate::transport::{ConsumeError, ProduceError};

/// The code and the words of an error.
pub(super) fn parts(error: &KafkaError) -> (Code, String) {
    (error.rdkafka_error_code().unwrap_or(Code::Fail), error.to_string())
}

/// ACLs are wrong, or credentials: waiting does not help.
pub(super) fn is_denied(code: Code) -> bool {
    is_login(code)
        || matches!(
            code,
            Code::SSL
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
        )
}

/// The cluster does not let the client in.
pub(super) fn is_login(code: Code) -> bool {
    matches!(code, Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism | Code::IllegalSASLState)
}

/// That no answer came; why is told elsewhere.
pub(super) fn is_silence(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::WaitingForCoordinator
    )
}

/// Another producer has taken the name.
pub(super) fn is_fencing(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// An error of the input side; none for what librdkafka itself gets over while others of its brokers answer.
pub(super) fn of_input(code: Code, is_fatal: bool, words: String) -> Option<ConsumeError> {
    if is_fatal || code == Code::Fatal {
        return Some(ConsumeError::Fatal(words));
    }
    match code {
        Code::NoError | Code::BrokerTransportFailure | Code::Resolve | Code::PollExceeded | Code::OperationTimedOut => None,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::InvalidTopic => {
            Some(ConsumeError::Refused(words))
        }
        // Credentials are changed while engines run, and a broker that goes down breaks off a handshake: whoever asked once and
        // got no answer looks at what was heard.
        code if is_login(code) => Some(ConsumeError::Unavailable(format!("the cluster refused the login: {words}"))),
        Code::SSL => Some(ConsumeError::Unavailable(words)),
        code if is_denied(code) => Some(ConsumeError::Refused(words)),
        _ => Some(ConsumeError::Unavailable(words)),
    }
}

/// The error of a call at the input side, which has failed in any case.
pub(super) fn of_input_call(error: &KafkaError) -> ConsumeError {
    let (code, words) = parts(error);
    of_input(code, false, words.clone()).unwrap_or(ConsumeError::Unavailable(words))
}

/// The same of a question whose time-out is explained.
pub(super) fn explained(why: ClientError, error: &KafkaError) -> ConsumeError {
    match (of_input_call(error), why) {
        (ConsumeError::Unavailable(_), ClientError::Unavailable(words)) => ConsumeError::Unavailable(words),
        (ConsumeError::Unavailable(_), refused) => ConsumeError::Refused(refused.to_string()),
        (error, _) => error,
    }
}

/// A record that the client or the broker did not take; none for a purge, which follows an abort. Everything that is not
/// known to be the record's or the producer's fault is the route's (section 9).
pub(super) fn of_record(topic: &str, code: Code, words: &str) -> Option<ProduceError> {
    let topic = || topic.to_owned();
    Some(match code {
        Code::PurgeQueue | Code::PurgeInflight => return None,
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidTimestamp | Code::InvalidRecord => {
            ProduceError::Refused { topic: topic(), reason: words.to_owned() }
        }
        code if is_fencing(code) => ProduceError::Fenced(words.to_owned()),
        Code::Fatal | Code::ClusterAuthorizationFailed | Code::TransactionalIdAuthorizationFailed => ProduceError::Fatal(words.to_owned()),
        Code::State
        | Code::OutOfOrderSequenceNumber
        | Code::UnknownProducerId
        | Code::InvalidProducerIdMapping
        | Code::InvalidTransactionalState
        | Code::ConcurrentTransactions
        | Code::QueueFull => ProduceError::Abort(words.to_owned()),
        Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::RequestTimedOut
        | Code::NotEnoughReplicas
        | Code::NotEnoughReplicasAfterAppend
        | Code::KafkaStorageError
        | Code::ThrottlingQuotaExceeded => ProduceError::Unreachable { topic: topic(), reason: words.to_owned() },
        _ => ProduceError::Route { topic: topic(), reason: words.to_owned() },
    })
}

/// An error of a transactional call. What may be retried has timed out: the producer's state is then unknown, and it must be
/// made anew (section 16).
pub(super) fn of_transaction(call: &str, error: &KafkaError) -> ProduceError {
    let KafkaError::Transaction(error) = error else {
        return ProduceError::Fatal(format!("{call}: {error}"));
    };
    of_transaction_parts(call, error.code(), error.is_fatal(), error.txn_requires_abort(), &text(error))
}

fn text(error: &RDKafkaError) -> String {
    format!("{} ({:?})", error.string(), error.code())
}

fn of_transaction_parts(call: &str, code: Code, is_fatal: bool, requires_abort: bool, words: &str) -> ProduceError {
    let words = format!("{call}: {words}");
    if is_fencing(code) {
        ProduceError::Fenced(words)
    } else if is_fatal {
        ProduceError::Fatal(words)
    } else if matches!(code, Code::IllegalGeneration | Code::UnknownMemberId | Code::FencedInstanceId | Code::RebalanceInProgress) {
        ProduceError::StaleMember(words)
    } else if requires_abort {
        ProduceError::Abort(words)
    } else {
        ProduceError::Fatal(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failed_record_but_a_purge_counts() {
        assert!(of_record("t", Code::PurgeQueue, "").is_none() && of_record("t", Code::PurgeInflight, "").is_none());
        for code in [Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::TopicAuthorizationFailed, Code::PolicyViolation] {
            assert!(matches!(of_record("t", code, "w"), Some(ProduceError::Route { topic, .. }) if topic == "t"), "{code:?}");
        }
        for code in [Code::MessageTimedOut, Code::NotEnoughReplicas, Code::LeaderNotAvailable] {
            assert!(matches!(of_record("t", code, "w"), Some(ProduceError::Unreachable { topic, .. }) if topic == "t"), "{code:?}");
        }
        for code in [Code::MessageSizeTooLarge, Code::InvalidTimestamp, Code::InvalidRecord] {
            assert!(matches!(of_record("t", code, "w"), Some(ProduceError::Refused { .. })), "{code:?}");
        }
        assert!(matches!(of_record("t", Code::ProducerFenced, "w"), Some(ProduceError::Fenced(_))));
    }

    #[test]
    fn a_transaction_that_timed_out_needs_a_new_producer() {
        assert!(matches!(of_transaction_parts("commit", Code::OperationTimedOut, false, false, ""), ProduceError::Fatal(_)));
        assert!(matches!(of_transaction_parts("commit", Code::Fenced, true, false, ""), ProduceError::Fenced(_)));
        assert!(matches!(of_transaction_parts("send", Code::IllegalGeneration, false, true, ""), ProduceError::StaleMember(_)));
        assert!(matches!(of_transaction_parts("send", Code::UnknownTopicOrPartition, false, true, ""), ProduceError::Abort(_)));
    }

    #[test]
    fn one_lost_connection_is_no_error() {
        assert!(of_input(Code::BrokerTransportFailure, false, String::new()).is_none());
        assert!(matches!(of_input(Code::AllBrokersDown, false, String::new()), Some(ConsumeError::Unavailable(_))));
        assert!(matches!(of_input(Code::TopicAuthorizationFailed, false, String::new()), Some(ConsumeError::Refused(_))));
        assert!(matches!(of_input(Code::AllBrokersDown, true, String::new()), Some(ConsumeError::Fatal(_))));
    }
}
