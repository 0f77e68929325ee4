//! What librdkafka's errors mean to the engine.

use rdkafka::error::{KafkaError, RDKafkaError};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::transport::{ConsumeError, ProduceError};

/// The code and the words of an error.
pub(in crate::kafka) fn parts(error: &KafkaError) -> (Code, String) {
    (error.rdkafka_error_code().unwrap_or(Code::Fail), error.to_string())
}

/// What an answer says of the next one to the same question, though nobody changes anything meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kafka) enum Outlook {
    /// The cluster is away, busy or changing; it passes by itself, however long it lasts.
    Passes,
    /// What was asked for is not known. It passes where a topic has just been made or a broker has just started, and is a
    /// refusal where it stays so.
    MayPass,
    /// A right, a setting or the question itself is wrong.
    Stays,
}

/// The one place that decides which errors pass by themselves.
pub(in crate::kafka) fn outlook(code: Code) -> Outlook {
    match code {
        code if is_denied(code) => Outlook::Stays,
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId
        // While a cluster starts it has fewer brokers than it will have.
        | Code::InvalidReplicationFactor => Outlook::MayPass,
        Code::InvalidTopic
        | Code::InvalidConfig
        | Code::InvalidPartitions
        | Code::InvalidReplicaAssignment
        | Code::InvalidRequest
        | Code::InvalidGroupId
        | Code::InvalidSessionTimeout
        | Code::InvalidRequiredAcks
        | Code::InvalidTransactionTimeout
        | Code::PolicyViolation
        | Code::TopicDeletionDisabled
        | Code::SecurityDisabled
        | Code::UnsupportedVersion
        | Code::UnsupportedFeature
        | Code::UnsupportedForMessageFormat
        | Code::UnsupportedCompressionType
        | Code::InvalidArgument
        | Code::NotImplemented
        | Code::NotConfigured => Outlook::Stays,
        _ => Outlook::Passes,
    }
}

/// ACLs are wrong, or credentials: waiting does not help.
pub(in crate::kafka) fn is_denied(code: Code) -> bool {
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
pub(in crate::kafka) fn is_login(code: Code) -> bool {
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
pub(in crate::kafka) fn is_fencing(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)
}

/// An error of the input side; none for what librdkafka itself gets over while others of its brokers answer. What may pass is
/// taken as what stays: whoever has not waited for it asks `outlook` first.
pub(super) fn of_input(code: Code, is_fatal: bool, words: String) -> Option<ConsumeError> {
    if is_fatal || code == Code::Fatal {
        return Some(ConsumeError::Fatal(words));
    }
    match code {
        Code::NoError | Code::BrokerTransportFailure | Code::Resolve | Code::PollExceeded | Code::OperationTimedOut => None,
        // Credentials are changed while engines run, and a broker that goes down breaks off a handshake: whoever asked once and
        // got no answer looks at what was heard.
        code if is_login(code) => Some(ConsumeError::Unavailable(format!("the cluster refused the login: {words}"))),
        Code::SSL => Some(ConsumeError::Unavailable(words)),
        code => Some(match outlook(code) {
            Outlook::Stays | Outlook::MayPass => ConsumeError::Refused(words),
            Outlook::Passes => ConsumeError::Unavailable(words),
        }),
    }
}

/// The error of a call at the input side, which has failed in any case.
pub(in crate::kafka) fn of_input_call(error: &KafkaError) -> ConsumeError {
    let (code, words) = parts(error);
    of_input(code, false, words.clone()).unwrap_or(ConsumeError::Unavailable(words))
}

/// A record that the client or the broker did not take; none for a purge, which follows an abort. Everything that is not
/// known to be the record's or the producer's fault is the route's (docs/rules/outputs.md#failed-routes).
pub(in crate::kafka) fn of_record(topic: &str, code: Code, words: &str) -> Option<ProduceError> {
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
/// made again (docs/librdkafka.md#transactions).
pub(in crate::kafka) fn of_transaction(call: &str, error: &KafkaError) -> ProduceError {
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
    fn what_a_cluster_that_starts_or_changes_says_passes() {
        for code in [
            Code::NotLeaderForPartition,
            Code::LeaderNotAvailable,
            Code::BrokerTransportFailure,
            Code::AllBrokersDown,
            Code::OperationTimedOut,
            Code::RequestTimedOut,
            Code::NotController,
            Code::CoordinatorNotAvailable,
            Code::CoordinatorLoadInProgress,
            Code::NotCoordinator,
            Code::UnstableOffsetCommit,
            Code::ConcurrentTransactions,
            Code::WaitingForCoordinator,
        ] {
            assert_eq!(outlook(code), Outlook::Passes, "{code:?}");
        }
        for code in [Code::UnknownTopicOrPartition, Code::UnknownTopic, Code::UnknownPartition, Code::InvalidReplicationFactor] {
            assert_eq!(outlook(code), Outlook::MayPass, "{code:?}");
        }
        for code in [Code::TopicAuthorizationFailed, Code::SaslAuthenticationFailed, Code::InvalidTopic, Code::InvalidConfig] {
            assert_eq!(outlook(code), Outlook::Stays, "{code:?}");
        }
    }

    #[test]
    fn one_lost_connection_is_no_error() {
        assert!(of_input(Code::BrokerTransportFailure, false, String::new()).is_none());
        assert!(matches!(of_input(Code::AllBrokersDown, false, String::new()), Some(ConsumeError::Unavailable(_))));
        assert!(matches!(of_input(Code::TopicAuthorizationFailed, false, String::new()), Some(ConsumeError::Refused(_))));
        assert!(matches!(of_input(Code::AllBrokersDown, true, String::new()), Some(ConsumeError::Fatal(_))));
    }
}
