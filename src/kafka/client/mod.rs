//! What all clients have in common: their log lines, their start, their deadlines.

pub(crate) mod failure;
pub(crate) mod log_lines;
pub(crate) mod trouble;

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::kafka::client::failure::Outlook;

use super::native::{ClientFailure, Event, EventKind, Queue};
use crate::config::kafka::spelling::{canonical, looks_secret};
use crate::kafka::client::trouble::{Connection, Trouble};
use crate::topic::PartitionName;
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
    /// The cluster does not let this client in: exit 78 of a command. An engine waits until it does, and says so.
    #[error("the cluster refused the login: {0}")]
    LoginRefused(String),
    /// The cluster does not answer: exit 69. It names the address, and the reason that librdkafka gave last.
    #[error("Kafka is not available: {0}")]
    Unavailable(String),
}

impl ClientError {
    /// Of a call that was made once. What may pass has not been waited for, so it is no refusal yet.
    pub(in crate::kafka) fn of(error: &KafkaError) -> Self {
        let (code, words) = failure::parts(error);
        match error {
            // Its words repeat the value, which may be a secret.
            KafkaError::ClientConfig(_, _, key, _) => Self::Settings(format!("librdkafka does not take `{key}`, or not with its value")),
            KafkaError::ClientCreation(words) => Self::Settings(words.clone()),
            _ if failure::is_login(code) => Self::LoginRefused(words),
            _ if failure::outlook(code) == Outlook::Stays => Self::Refused(words),
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

/// A question that was not answered within its time, or refused.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// Of the last answer.
    code: Code,
    /// What was asked, and the last answer.
    words: String,
    /// The same as it is told: a time-out with its reason.
    error: ClientError,
}

impl Unanswered {
    fn new(logged: &Logged, what: &str, code: Code, answer: String) -> Self {
        let words = format!("{what}: {answer}");
        let error = match failure::outlook(code) {
            _ if failure::is_login(code) => ClientError::LoginRefused(answer),
            Outlook::Stays | Outlook::MayPass => ClientError::Refused(answer),
            Outlook::Passes => logged.explain(ClientError::Unavailable(answer), code),
        };
        Self { code, words, error: error.about(what) }
    }

    /// What it means to a running engine, which waits until it is let in again.
    pub(super) fn of_input(self) -> ConsumeError {
        failure::of_input(self.code, false, self.words.clone()).unwrap_or(ConsumeError::Unavailable(self.words))
    }
}

impl From<Unanswered> for ClientError {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.error
    }
}

impl From<Unanswered> for ConsumeError {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered.error {
            ClientError::Unavailable(words) => Self::Unavailable(words),
            refused => Self::Refused(refused.to_string()),
        }
    }
}

/// Between two askings of one question, at first and at most.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

/// Asks until the answer is not one that may pass by itself, or until `deadline`. The question is told how long it may take;
/// `hear` serves what the client has to say of its connections.
pub(super) fn ask<T>(
    client: &Client<Logged>,
    hear: fn(&Client<Logged>),
    what: impl Display,
    deadline: Deadline,
    question: impl FnMut(Duration) -> KafkaResult<T>,
) -> Result<T, Unanswered> {
    ask_until(client.context(), || hear(client), &what.to_string(), deadline, question)
}

fn ask_until<T>(
    logged: &Logged,
    hear: impl Fn(),
    what: &str,
    deadline: Deadline,
    mut question: impl FnMut(Duration) -> KafkaResult<T>,
) -> Result<T, Unanswered> {
    let (mut pause, longest) = ASK_AGAIN;
    loop {
        let error = match question(deadline.left().max(SHORTEST_ASK)) {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        hear();
        let (code, words) = failure::parts(&error);
        // That nobody answers does not pass where the login was refused.
        let is_refused = failure::is_silence(code) && logged.refused_login().is_some();
        if is_refused || failure::outlook(code) == Outlook::Stays || deadline.left() <= pause {
            return Err(Unanswered::new(logged, what, code, words));
        }
        tracing::debug!(what, words, "asked again");
        std::thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

/// For a client that consumes: what it has to say comes with its records.
pub(super) fn heard_elsewhere(_: &Client<Logged>) {}

/// A wait that is longer than this is spent on two questions or more.
const LONGEST_QUESTION: Duration = Duration::from_secs(3);

/// A question whose time is over is still asked once: its answer may be there already.
const SHORTEST_ASK: Duration = Duration::from_millis(1);

/// Makes a client whose log lines go to `tracing`.
pub(super) fn create<T: FromClientConfigAndContext<Logged>>(config: &ClientConfig) -> Result<T, ClientError> {
    create_for(config, Logged::of(config))
}

/// The same with a context that does more than that. Of a refusal no secret is repeated.
pub(super) fn create_for<C: ClientContext, T: FromClientConfigAndContext<C>>(config: &ClientConfig, context: C) -> Result<T, ClientError> {
    config.create_with_context(context).map_err(|error| match ClientError::of(&error) {
        ClientError::Settings(words) => ClientError::Settings(without_secrets(words, config)),
        other => other,
    })
}

fn without_secrets(words: String, config: &ClientConfig) -> String {
    let names = config.config_map();
    let secrets = names.keys().filter(|name| looks_secret(name)).filter_map(|name| config.get(name)).filter(|value| !value.is_empty());
    secrets.fold(words, |words, value| words.replace(value, "***"))
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

/// How long a question for the leader is waited for after one that was not answered.
const REFRESH: Duration = Duration::from_secs(1);

/// First and end offset of a partition, as its leader knows them, asked for until `wait` is over.
///
/// librdkafka asks the leader that it heard of last, and where that one has died each question ends in a time-out, for as long
/// as its metadata counts as fresh (a quarter of an hour). So a long wait is no single question, and after each question that
/// fails librdkafka is made to look for the leader again.
pub(super) fn watermarks(
    consumer: &BaseConsumer<Logged>,
    hear: fn(&Client<Logged>),
    topic: &str,
    partition: i32,
    wait: Duration,
) -> Result<(i64, i64), Unanswered> {
    let what = format_args!("the bounds of {topic}/{partition}");
    ask(consumer.client(), hear, what, Deadline::after(wait), |left| {
        let one = left.min(LONGEST_QUESTION.max(left / 2));
        let answer = consumer.fetch_watermarks(topic, partition, one);
        if answer.is_err() {
            // Whoever asks will ask again; that this fails too says nothing new. The answer counts also if it comes later.
            let _ = consumer.fetch_metadata(Some(topic), wait.min(REFRESH));
        }
        answer
    })
}

/// What an error event of a consumer means for its reader; none for what librdkafka gets over by itself. A topic or partition
/// that is said to be missing is looked for until `wait` is over: one just made is not known to every broker yet, nor is any to a
/// broker that has just started.
pub(super) fn input_failure(consumer: &BaseConsumer<Logged>, found: ClientFailure, wait: Duration) -> Option<ConsumeError> {
    let ClientFailure { code, is_fatal, words, at } = found;
    if is_fatal || failure::outlook(code) != Outlook::MayPass {
        return failure::of_input(code, is_fatal, words);
    }
    let Some((topic, partition, _)) = at else { return Some(ConsumeError::Refused(words)) };
    let what = format_args!("topic {topic}");
    let look = |left| has_partition(consumer, &topic, partition, left);
    match ask(consumer.client(), heard_elsewhere, what, Deadline::after(wait), look) {
        Ok(()) => {
            tracing::info!(partition = %PartitionName(&topic, partition), words, "the topic is there after all");
            None
        }
        Err(unanswered) => Some(unanswered.of_input()),
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
    pub(in crate::kafka) fn of(config: &ClientConfig) -> Self {
        Self { bootstrap: config.get(canonical("bootstrap.servers")).unwrap_or_default().into(), trouble: Arc::default() }
    }

    /// Serves an event that is a log line or an error, and notes what it says of connections.
    pub(super) fn take(&self, event: &Event) {
        match event.kind() {
            EventKind::Log => {
                let (level, facility, line) = event.log_line();
                self.trouble.hear_line(&facility, &line);
                log_lines::say(level, &facility, &line);
            }
            EventKind::Error => {
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
            Some(Connection::LoginRefused(reason)) => ClientError::LoginRefused(reason),
            Some(Connection::Unreachable(reason)) => ClientError::Unavailable(format!("no answer from {}: {reason}", self.bootstrap)),
            None => ClientError::Unavailable(format!("no answer from {}: {words}", self.bootstrap)),
        }
    }

    /// The refusal of the login that was heard last; none where there was none.
    pub(super) fn refused_login(&self) -> Option<ClientError> {
        match self.trouble.why()? {
            Connection::LoginRefused(reason) => Some(ClientError::LoginRefused(reason)),
            Connection::Unreachable(_) => None,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Deadline(Instant);

impl Deadline {
    #[allow(clippy::disallowed_methods, reason = "see the type's comment")]
    pub(in crate::kafka) fn now() -> Instant {
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
        let answer = ask_until(
            &Logged::default(),
            || (),
            "the bounds of t",
            Deadline::after(wait),
            |_| {
                times += 1;
                answers.next().map_or(Ok(()), |code| Err(KafkaError::MetadataFetch(code)))
            },
        );
        (times, answer)
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn what_passes_is_asked_again_until_it_is_answered() {
        let passing = [Code::NotLeaderForPartition, Code::UnknownTopicOrPartition, Code::InvalidReplicationFactor];
        assert!(matches!(asked(LONG, passing.into_iter()), (4, Ok(()))));
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
        assert!(matches!(at_the_deadline(Code::SaslAuthenticationFailed).of_input(), ConsumeError::Unavailable(_)));
    }
}
