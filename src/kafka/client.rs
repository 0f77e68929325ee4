//! What all clients have in common: their log lines, their start, their deadlines.

use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use super::failure;

/// Why a client could not be made or a question not be answered.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A setting is wrong: exit 78.
    #[error("a Kafka setting is wrong: {0}")]
    Settings(String),
    /// Credentials, ACLs or a missing topic: exit 78.
    #[error("Kafka refused: {0}")]
    Refused(String),
    /// The cluster does not answer: exit 69.
    #[error("Kafka is not available: {0}")]
    Unavailable(String),
}

impl ClientError {
    pub(super) fn of(error: &KafkaError) -> Self {
        let (code, words) = failure::parts(error);
        match error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => Self::Settings(words),
            _ if failure::is_denied(code) => Self::Refused(words),
            _ => Self::Unavailable(words),
        }
    }
}

/// Makes a client whose log lines go to `tracing`.
pub(super) fn create<T: FromClientConfigAndContext<Logged>>(config: &ClientConfig) -> Result<T, ClientError> {
    config.create_with_context(Logged).map_err(|error| ClientError::of(&error))
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
pub(super) fn log(event: &super::native::Event) {
    let (level, facility, line) = event.log_line();
    log_line(level, &facility, &line);
}

/// Levels are syslog's.
fn log_line(level: i32, facility: &str, line: &str) {
    match level {
        // That producers must not make topics either is a warning to librdkafka, and meant so here.
        _ if facility == "CONFWARN" && line.contains("allow.auto.create.topics") => {}
        0..=3 => tracing::error!(target: "librdkafka", facility, "{line}"),
        4 => tracing::warn!(target: "librdkafka", facility, "{line}"),
        5 | 6 => tracing::info!(target: "librdkafka", facility, "{line}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

/// Hands librdkafka's log lines and global errors to `tracing`. Rebalances are served by `KafkaConsumer` itself; the default
/// that this inherits is used only while a consumer closes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log_line(level as i32, facility, line);
    }

    fn stats_raw(&self, _statistics: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "librdkafka", "{error}: {reason}");
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
    fn now() -> Instant {
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
