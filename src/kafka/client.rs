//! What all clients have in common: their log lines, their start, their deadlines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::failure;
use super::log_lines;
use super::native::{Event, Kind, Queue};
use super::trouble::{Trouble, Why};
use crate::config::kafka::spelling::canonical;

/// Why a client could not be made or a question not be answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A setting is wrong: exit 78.
    #[error("a Kafka setting is wrong: {0}")]
    Settings(String),
    /// Credentials, ACLs or a missing topic: exit 78.
    #[error("Kafka refused: {0}")]
    Refused(String),
    /// The cluster does not let this client in: exit 78 of a command. An engine waits until it does, and says so.
    #[error("the cluster refused the login: {0}")]
    LoginRefused(String),
    /// The cluster does not answer: exit 69. It names the address, and the reason that librdkafka gave last.
    #[error("Kafka is not available: {0}")]
    Unavailable(String),
}

impl ClientError {
    pub(super) fn of(error: &KafkaError) -> Self {
        let (code, words) = failure::parts(error);
        match error {
            // Its words repeat the value, which may be a secret.
            KafkaError::ClientConfig(_, _, key, _) => Self::Settings(format!("librdkafka does not take `{key}`, or not with its value")),
            KafkaError::ClientCreation(words) => Self::Settings(words.clone()),
            _ if failure::is_login(code) => Self::LoginRefused(words),
            _ if failure::is_denied(code) => Self::Refused(words),
            _ => Self::Unavailable(words),
        }
    }

    /// The same, with what it is about before the words.
    pub(super) fn about(self, what: &str) -> Self {
        match self {
            Self::Settings(words) => Self::Settings(format!("{what}: {words}")),
            Self::Refused(words) => Self::Refused(format!("{what}: {words}")),
            Self::LoginRefused(words) => Self::LoginRefused(format!("{what}: {words}")),
            Self::Unavailable(words) => Self::Unavailable(format!("{what}: {words}")),
        }
    }
}

/// Makes a client whose log lines go to `tracing`.
pub(super) fn create<T: FromClientConfigAndContext<Logged>>(config: &ClientConfig) -> Result<T, ClientError> {
    config.create_with_context(Logged::of(config)).map_err(|error| ClientError::of(&error))
}

/// Serves the log lines and errors that wait in a client's queue. Not for one that consumes: its records would be lost.
pub(super) fn serve(client: &Client<Logged>) {
    let queue = Queue::of_producer(client);
    while let Some(event) = queue.as_ref().and_then(|queue| queue.poll(Duration::ZERO)) {
        client.context().take(&event);
    }
}

/// The error of a question that `client` asked and got no answer to; what its queue holds is served first.
pub(super) fn unanswered(client: &Client<Logged>, error: &KafkaError) -> ClientError {
    serve(client);
    client.context().explain(ClientError::of(error), failure::parts(error).0)
}

/// First and end offset of a partition, as its leader knows them.
///
/// librdkafka asks the leader that it heard of last, and where that one has died each question ends in a time-out, for as long
/// as its metadata counts as fresh (a quarter of an hour). So an unanswered question has it look for the leader anew.
pub(super) fn watermarks(consumer: &BaseConsumer<Logged>, topic: &str, partition: i32, wait: Duration) -> KafkaResult<(i64, i64)> {
    let answer = consumer.fetch_watermarks(topic, partition, wait);
    if answer.is_err() {
        // Whoever asks will ask again; that this fails too says nothing new.
        let _ = consumer.fetch_metadata(Some(topic), wait);
    }
    answer
}

/// Serves a log line that came as an event.
pub(super) fn log(event: &Event) {
    let (level, facility, line) = event.log_line();
    log_lines::say(level, &facility, &line);
}

/// Hands librdkafka's log lines and global errors to `tracing`. Rebalances are served by `KafkaConsumer` itself; the default
/// that this inherits is used only while a consumer closes.
#[derive(Debug, Clone, Default)]
pub(super) struct Logged {
    /// Where the client begins.
    bootstrap: Arc<str>,
    trouble: Arc<Trouble>,
}

impl Logged {
    /// For a client of this configuration.
    pub(super) fn of(config: &ClientConfig) -> Self {
        Self { bootstrap: config.get(canonical("bootstrap.servers")).unwrap_or_default().into(), trouble: Arc::default() }
    }

    /// Serves an event that is a log line or an error, and notes what it says of connections.
    pub(super) fn take(&self, event: &Event) {
        match event.kind() {
            Kind::Log => {
                let (level, facility, line) = event.log_line();
                self.trouble.hear_line(&facility, &line);
                log_lines::say(level, &facility, &line);
            }
            Kind::Error => {
                let found = event.failure();
                self.error(KafkaError::Global(found.code), &found.words);
            }
            _ => {}
        }
    }

    /// An error with the reason that was heard last, where it is only that no answer came.
    pub(super) fn explain(&self, error: ClientError, code: Code) -> ClientError {
        let ClientError::Unavailable(words) = error else { return error };
        if !failure::is_silence(code) {
            return ClientError::Unavailable(words);
        }
        match self.trouble.why() {
            Some(Why::LoginRefused(reason)) => ClientError::LoginRefused(reason),
            Some(Why::Unreachable(reason)) => ClientError::Unavailable(format!("no answer from {}: {reason}", self.bootstrap)),
            None => ClientError::Unavailable(format!("no answer from {}: {words}", self.bootstrap)),
        }
    }

    /// The refusal of the login that was heard last; none where there was none.
    pub(super) fn refused_login(&self) -> Option<ClientError> {
        match self.trouble.why()? {
            Why::LoginRefused(reason) => Some(ClientError::LoginRefused(reason)),
            Why::Unreachable(_) => None,
        }
    }
}

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.trouble.hear_line(facility, line);
        log_lines::say(level as i32, facility, line);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.trouble.hear(failure::parts(&error).0, reason);
        log_lines::say(4, "ERROR", &format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Logged {}

impl ProducerContext for Logged {
    type DeliveryOpaque = ();

    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

/// The end of a wait, on the clock that stands still while the machine sleeps: a wait is about this process, not about the world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    #[allow(clippy::disallowed_methods, reason = "see the type's comment")]
    pub(super) fn now() -> Instant {
        Instant::now()
    }

    pub(super) fn after(wait: Duration) -> Self {
        Self(Self::now() + wait)
    }

    pub(super) fn left(self) -> Duration {
        self.0.saturating_duration_since(Self::now())
    }

    pub(super) fn has_passed(self) -> bool {
        self.left().is_zero()
    }
}
