//! What all clients have in common: their log lines, their start, their deadlines.

use std::fmt::Display;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::failure::{self, Outlook};
use super::native::Failure;
use crate::transport::ConsumeError;

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
    /// Of a call that was made once. What may pass has not been waited for, so it is no refusal yet.
    pub(super) fn of(error: &KafkaError) -> Self {
        let (code, words) = failure::parts(error);
        match error {
            KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_) => Self::Settings(words),
            _ if failure::outlook(code) == Outlook::Stays => Self::Refused(words),
            _ => Self::Unavailable(words),
        }
    }
}

/// A question that was not answered within its time, or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unanswered {
    /// Of the last answer.
    pub(super) code: Code,
    /// What was asked, and the last answer.
    pub(super) words: String,
}

impl From<Unanswered> for ClientError {
    fn from(Unanswered { code, words }: Unanswered) -> Self {
        match failure::outlook(code) {
            Outlook::Stays | Outlook::MayPass => Self::Refused(words),
            Outlook::Passes => Self::Unavailable(words),
        }
    }
}

impl From<Unanswered> for ConsumeError {
    fn from(Unanswered { code, words }: Unanswered) -> Self {
        failure::of_input(code, false, words.clone()).unwrap_or(Self::Unavailable(words))
    }
}

/// Between two askings of one question, at first and at most.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Asks until the answer is not one that may pass by itself, or until `deadline`. The question is told how long it may take.
pub(super) fn ask<T>(
    what: impl Display,
    deadline: Deadline,
    mut question: impl FnMut(Duration) -> KafkaResult<T>,
) -> Result<T, Unanswered> {
    let (mut pause, longest) = ASK_AGAIN;
    loop {
        let error = match question(deadline.left().max(SHORTEST_ASK)) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let (code, words) = failure::parts(&error);
        if failure::outlook(code) == Outlook::Stays || deadline.left() <= pause {
            return Err(Unanswered { code, words: format!("{what}: {words}") });
        }
        tracing::debug!(%what, words, "asked again");
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

/// A wait that is longer than this is spent on two questions or more.
const LONGEST_QUESTION: Duration = Duration::from_secs(3);

/// A question whose time is over is still asked once: its answer may be there already.
const SHORTEST_ASK: Duration = Duration::from_millis(1);

/// Makes a client whose log lines go to `tracing`.
pub(super) fn create<T: FromClientConfigAndContext<Logged>>(config: &ClientConfig) -> Result<T, ClientError> {
    config.create_with_context(Logged).map_err(|error| ClientError::of(&error))
}

/// First and end offset of a partition, as its leader knows them, asked for until `wait` is over.
///
/// librdkafka asks the leader that it heard of last, and where that one has died each question ends in a time-out, for as long
/// as its metadata counts as fresh (a quarter of an hour). So a long wait is no single question, and after each question that
/// fails librdkafka is made to look for the leader again.
pub(super) fn watermarks(
    consumer: &BaseConsumer<Logged>,
    topic: &str,
    partition: i32,
    wait: Duration,
) -> Result<(i64, i64), Unanswered> {
    let what = format_args!("the bounds of {topic} partition {partition}");
    ask(what, Deadline::after(wait), |left| {
        let one = left.min(LONGEST_QUESTION.max(left / 2));
        let answer = consumer.fetch_watermarks(topic, partition, one);
        if answer.is_err() {
            // Whoever asks will ask again; that this fails too says nothing new.
            let _ = consumer.fetch_metadata(Some(topic), wait.min(LONGEST_QUESTION));
        }
        answer
    })
}

/// What an error event of a consumer means for its reader; none for what librdkafka gets over by itself. A topic or partition
/// that is said to be missing is looked for until `wait` is over: one just made is not known to every broker yet, nor is any to a
/// broker that has just started.
pub(super) fn input_failure(consumer: &BaseConsumer<Logged>, found: Failure, wait: Duration) -> Option<ConsumeError> {
    let Failure { code, is_fatal, words, at } = found;
    if is_fatal || failure::outlook(code) != Outlook::MayPass {
        return failure::of_input(code, is_fatal, words);
    }
    let Some((topic, partition, _)) = at else { return Some(ConsumeError::Refused(words)) };
    let look = ask(format_args!("topic {topic}"), Deadline::after(wait), |left| has_partition(consumer, &topic, partition, left));
    match look {
        Ok(()) => {
            tracing::info!(topic, partition, words, "the topic is there after all");
            None
        }
        Err(unanswered) => Some(unanswered.into()),
    }
}

/// Whether the cluster knows of the partition; of any, where librdkafka speaks of the topic as a whole.
fn has_partition(consumer: &BaseConsumer<Logged>, topic: &str, partition: i32, wait: Duration) -> KafkaResult<()> {
    let metadata = consumer.fetch_metadata(Some(topic), wait)?;
    let missing = |code| Err(KafkaError::MetadataFetch(code));
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else { return missing(Code::UnknownTopic) };
    match found.error() {
        Some(error) => missing(error.into()),
        None if partition >= found.partitions().len() as i32 || found.partitions().is_empty() => missing(Code::UnknownPartition),
        None => Ok(()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(wait: Duration, mut answers: impl Iterator<Item = Code>) -> (usize, Result<(), Unanswered>) {
        let mut times = 0;
        let answer = ask("the bounds of t", Deadline::after(wait), |_| {
            times += 1;
            answers.next().map_or(Ok(()), |code| Err(KafkaError::MetadataFetch(code)))
        });
        (times, answer)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_passes_is_asked_again_until_it_is_answered() {
        let passing = [Code::NotLeaderForPartition, Code::UnknownTopicOrPartition, Code::InvalidReplicationFactor];
        assert_eq!(asked(LONG, passing.into_iter()), (4, Ok(())));
    }

    #[test]
    fn what_stays_is_said_at_once_and_what_passes_at_the_deadline() {
        let (times, refused) = asked(LONG, std::iter::repeat(Code::TopicAuthorizationFailed));
        assert_eq!(times, 1);
        assert!(matches!(ClientError::from(refused.unwrap_err()), ClientError::Refused(words) if words.starts_with("the bounds of t: ")));
        let at_the_deadline = |code| asked(Duration::ZERO, std::iter::repeat(code)).1.unwrap_err();
        assert!(matches!(ClientError::from(at_the_deadline(Code::NotController)), ClientError::Unavailable(_)));
        assert!(matches!(ClientError::from(at_the_deadline(Code::UnknownTopic)), ClientError::Refused(_)));
        assert!(matches!(ConsumeError::from(at_the_deadline(Code::BrokerTransportFailure)), ConsumeError::Unavailable(_)));
    }
}
