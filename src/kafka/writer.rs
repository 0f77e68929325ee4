//! Appends single records outside transactions: ticks, `expired` events, and what the command line writes to the control topic.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{ClientError, Deadline, Logged, create_for};
use super::native::flush;
use super::settings::{KafkaSettings, put};
use crate::id::Offset;
use crate::kafka::client::failure;
use crate::kafka::client::failure::Outlook;

/// Why a record was not acknowledged. An event may be written again: its id makes it idempotent (docs/rules/events.md#repeats).
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It is certain that it is not in the log, and writing it again will not help: too large, no such topic, no right to it.
    #[error("not written: {0}")]
    Refused(String),
    /// No acknowledgement came: it may be in the log or not.
    #[error("not acknowledged, it may be written or not: {0}")]
    Unknown(String),
    /// The writer is of no further use and must be made again; as `Unknown` else.
    #[error("the writer failed, the record may be written or not: {0}")]
    Fatal(String),
}

/// Of a CloudEvent in structured mode.
pub(super) const EVENT_HEADERS: &[(&str, &[u8])] = &[("content-type", b"application/cloudevents+json; charset=UTF-8")];

/// One report at a time: `append` waits for its own.
struct AppendReport {
    report: Mutex<Option<Result<Offset, Code>>>,
    logged: Logged,
}

impl ClientContext for AppendReport {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.logged.log(level, facility, line);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.logged.error(error, reason);
    }
}

impl ProducerContext for AppendReport {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let report = match result {
            Ok(message) => Ok(Offset(message.offset())),
            Err((error, _)) => Err(failure::parts(error).0),
        };
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }
}

/// So long a topic is waited for that no broker knows.
pub(super) const KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// Between two sendings of a record whose topic was not known.
pub(super) const SEND_AGAIN: Duration = Duration::from_millis(50);

/// An idempotent producer that waits for each record's acknowledgement by all in-sync replicas. One record at a time also keeps
/// it from spinning: librdkafka polls without a pause while more than five records of a partition wait for acknowledgements and
/// others are due.
pub struct EventWriter {
    producer: BaseProducer<AppendReport>,
    topic: String,
    wait: Duration,
}

impl EventWriter {
    /// Writes to `topic`; a record that is not acknowledged within `wait` has failed.
    pub fn open(settings: &KafkaSettings, topic: &str, wait: Duration) -> Result<Self, ClientError> {
        let mut config = settings.idempotent_producer();
        put(&mut config, "linger.ms", "0");
        put(&mut config, "message.timeout.ms", &wait.as_millis().max(1).to_string());
        let context = AppendReport { report: Mutex::default(), logged: Logged::of(&config) };
        let producer = create_for(&config, context)?;
        Ok(Self { producer, topic: topic.to_owned(), wait })
    }

    /// Appends a CloudEvent in structured mode and returns its offset.
    pub fn append(&mut self, event: &[u8]) -> Result<Offset, WriteError> {
        self.append_record(None, Some(event), EVENT_HEADERS)
    }

    /// Appends any record and returns its offset.
    pub fn append_record(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Result<Offset, WriteError> {
        let deadline = Deadline::after(self.wait.min(KNOWN_WITHIN));
        loop {
            match self.append_once(key, value, headers) {
                // It was not sent, so it can be sent again: a topic that has just been made is not known to every broker.
                Err(code) if failure::outlook(code) == Outlook::MayPass && !deadline.has_passed() => std::thread::sleep(SEND_AGAIN),
                answer => return answer.map_err(|code| self.failed(code)),
            }
        }
    }

    fn append_once(&mut self, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&str, &[u8])]) -> Result<Offset, Code> {
        self.report().take();
        let mut list = OwnedHeaders::new_with_capacity(headers.len());
        for (name, value) in headers {
            list = list.insert(Header { key: name, value: Some(*value) });
        }
        let mut record = BaseRecord::to(&self.topic).headers(list);
        record.key = key;
        record.payload = value;
        self.producer.send(record).map_err(|(error, _)| failure::parts(&error).0)?;
        loop {
            // Each record is reported within message.timeout.ms. A poll that waits lasts its whole time: the wait is the flush.
            flush(self.producer.client(), 10);
            self.producer.poll(Duration::ZERO);
            if let Some(report) = self.report().take() {
                return report;
            }
        }
    }

    fn report(&self) -> std::sync::MutexGuard<'_, Option<Result<Offset, Code>>> {
        self.producer.context().report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, code: Code) -> WriteError {
        write_error(&self.topic, code, self.producer.client().fatal_error(), &self.producer.context().logged)
    }
}

/// What a report's code, or the producer's own failure, says of a record.
pub(super) fn write_error(topic: &str, code: Code, fatal: Option<(Code, String)>, logged: &Logged) -> WriteError {
    if let Some((_, words)) = fatal {
        return WriteError::Fatal(words);
    }
    let words = format!("{topic}: {code}");
    match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidRecord | Code::InvalidTimestamp | Code::QueueFull => {
            WriteError::Refused(words)
        }
        code => match failure::outlook(code) {
            Outlook::Stays | Outlook::MayPass => WriteError::Refused(words),
            Outlook::Passes => match logged.explain(ClientError::Unavailable(words), code) {
                ClientError::Unavailable(words) => WriteError::Unknown(words),
                refused => WriteError::Unknown(refused.to_string()),
            },
        },
    }
}
