//! How a producer comes by its name, and why there is none.

use std::time::Duration;

use super::{NativeProducer, TxState};
use crate::kafka::client::{ClientError, Deadline};
use crate::kafka::membership::InputTopic;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::wire::cluster::{CallError, Cluster, CoordinatorCall};
use crate::kafka::wire::connection::{ConnectError, Lost};
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::frame::FrameWriter;
use crate::kafka::wire::messages::Api;
use crate::kafka::wire::messages::commit::{self, ProducerIdentity};
use crate::kafka::wire::messages::metadata::CoordinatorKind;
use crate::kafka::wire::sender::BatchSender;
use crate::kafka::wire::settings::{NotNative, WireSettings};
use crate::kafka::wire::verdict::of_identity;

/// Why there is no native producer.
#[derive(Debug, thiserror::Error)]
pub(in crate::kafka) enum StartError {
    #[error(transparent)]
    NotNative(#[from] NotNative),
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl NativeProducer {
    /// Takes `transactional_id`: whoever had it is fenced, and its open transaction aborted. Waits up to `wait` for the coordinator.
    pub(in crate::kafka) fn start(
        settings: &KafkaSettings,
        transactional_id: &str,
        sources: &[InputTopic],
        wait: Duration,
    ) -> Result<Self, StartError> {
        let mut cluster = Cluster::new(WireSettings::of(settings)?);
        let identity = take_name(&mut cluster, transactional_id, &settings.bootstrap, Deadline::after(wait))?;
        let expires = Deadline::after(cluster.settings.transaction_timeout);
        let look_at = Deadline::after(cluster.settings.look_every);
        Ok(Self {
            sender: BatchSender::new(cluster, transactional_id, identity),
            transactional_id: transactional_id.to_owned(),
            sources: sources.to_vec(),
            state: TxState::Ready,
            expires,
            has_sent_offsets: false,
            partitions_seen: None,
            partitions_put: None,
            look_at,
        })
    }

    /// Whether one can be made: asks one broker, and takes no name.
    pub(in crate::kafka) fn check(settings: &KafkaSettings, wait: Duration) -> Result<(), StartError> {
        let mut cluster = Cluster::new(WireSettings::of(settings)?);
        match cluster.ask_topics(&[], Deadline::after(wait)) {
            Ok(_) => Ok(()),
            Err(ConnectError::NotNative(why)) => Err(why.into()),
            Err(ConnectError::LoginRefused(words)) => Err(ClientError::LoginRefused(words).into()),
            Err(ConnectError::Lost(Lost(words))) => {
                Err(ClientError::Unavailable(format!("no answer from {}: {words}", settings.bootstrap)).into())
            }
        }
    }
}

/// Takes a transactional.id: whoever had it is fenced, and its transaction is over when this returns.
pub(in crate::kafka::wire) fn take_name(
    cluster: &mut Cluster,
    transactional_id: &str,
    bootstrap: &str,
    deadline: Deadline,
) -> Result<ProducerIdentity, StartError> {
    let timeout_ms = cluster.settings.transaction_timeout.as_millis() as i32;
    let call = CoordinatorCall { kind: CoordinatorKind::Transaction, name: transactional_id, api: Api::InitProducerId };
    let ask = |request: &mut FrameWriter| commit::ask_identity(request, transactional_id, timeout_ms);
    let judge = |(error, _): &(ErrorCode, ProducerIdentity)| (of_identity(*error), *error);
    let answer = cluster.call(call, deadline, ask, commit::read_identity, judge);
    let (_, identity) = answer.map_err(|error| not_started(error, transactional_id, bootstrap))?;
    tracing::debug!(transactional_id, id = identity.id, epoch = identity.epoch, "the cluster has given a producer id");
    Ok(identity)
}

fn not_started(error: CallError, transactional_id: &str, bootstrap: &str) -> StartError {
    let about = |words: String| format!("transactional.id {transactional_id}: {words}");
    StartError::Client(match error {
        CallError::NotNative(why) => return StartError::NotNative(why),
        CallError::Unanswered(words) => ClientError::Unavailable(about(format!("no answer from {bootstrap}: {words}"))),
        CallError::LoginRefused(words) => ClientError::LoginRefused(about(words)),
        CallError::Refused(_, ErrorCode::INVALID_TRANSACTION_TIMEOUT) => {
            ClientError::Settings("transaction.timeout.ms is above the broker's transaction.max.timeout.ms".to_owned())
        }
        CallError::Refused(
            _,
            code @ (ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
            | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
            | ErrorCode::UNSUPPORTED_VERSION),
        ) => ClientError::Refused(about(code.to_string())),
        CallError::Refused(_, code) => ClientError::Unavailable(about(code.to_string())),
    })
}
