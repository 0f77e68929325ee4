//! Appends many events to the control topic at once: idempotent, outside transactions, many in flight, each one's report awaited.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{ClientError, Logged};
use super::failure;
use super::native::flush;
use super::settings::{KafkaSettings, put};
use super::writer::{EVENT_HEADERS, WriteError, write_error};
use crate::id::Offset;

/// So many wait for their reports at a time: each must be acknowledged within one wait, however many there are in all.
const IN_FLIGHT: usize = 20_000;

/// What was reported, by the place of the event in the list.
struct Reports {
    reported: Mutex<Reported>,
    logged: Logged,
}

#[derive(Default)]
struct Reported {
    offsets: Vec<Option<Offset>>,
    /// How many reports came.
    count: usize,
    /// The first that failed.
    failed: Option<Code>,
}

impl Reports {
    fn lock(&self) -> MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.logged.log(level, facility, line);
    }

    fn stats_raw(&self, _: &[u8]) {}

    fn error(&self, error: KafkaError, reason: &str) {
        self.logged.error(error, reason);
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, at: usize) {
        let mut reported = self.lock();
        reported.count += 1;
        match result {
            Ok(message) => reported.offsets[at] = Some(Offset(message.offset())),
            Err((error, _)) => {
                reported.failed.get_or_insert(failure::parts(error).0);
            }
        }
    }
}

/// Why not all of a list was written.
#[derive(Debug, thiserror::Error)]
#[error("{written} of {of} events are written: {error}")]
pub struct Unwritten {
    /// How many were acknowledged.
    pub written: usize,
    /// Of how many.
    pub of: usize,
    /// What the first of the others failed with.
    pub error: WriteError,
}

/// A producer for lists of events.
pub struct BulkWriter {
    producer: BaseProducer<Reports>,
    topic: String,
}

impl BulkWriter {
    /// Writes to `topic`; an event that is not acknowledged within `wait` of being sent has failed.
    pub fn open(settings: &KafkaSettings, topic: &str, wait: Duration) -> Result<Self, ClientError> {
        let mut config = settings.idempotent_producer();
        // librdkafka does not split a batch that the topic refuses: small ones fit into any topic that takes events.
        let timeout_ms = wait.as_millis().max(1).to_string();
        for (key, value) in [("linger.ms", "5"), ("batch.size", "65536"), ("message.timeout.ms", &timeout_ms)] {
            put(&mut config, key, value);
        }
        let context = Reports { reported: Mutex::default(), logged: Logged::of(&config) };
        let producer = config.create_with_context(context).map_err(|error| ClientError::of(&error))?;
        Ok(Self { producer, topic: topic.to_owned() })
    }

    /// Appends CloudEvents in structured mode, in their order; answers the offset of each once all are acknowledged. After the
    /// first failure nothing more is sent, and what is on its way is awaited: the answer then says how many are written for certain.
    pub fn append_all(&mut self, events: &[Vec<u8>]) -> Result<Vec<Offset>, Unwritten> {
        *self.reports() = Reported { offsets: vec![None; events.len()], ..Reported::default() };
        let mut sent = 0;
        for (at, event) in events.iter().enumerate() {
            while sent - self.reports().count >= IN_FLIGHT {
                self.serve();
            }
            if self.reports().failed.is_some() {
                break;
            }
            if let Err(code) = self.send(at, event) {
                self.reports().failed.get_or_insert(code);
                break;
            }
            sent += 1;
            self.producer.poll(Duration::ZERO);
        }
        // Each is reported within message.timeout.ms.
        while self.reports().count < sent {
            self.serve();
        }
        let reported = std::mem::take(&mut *self.reports());
        let written = reported.offsets.iter().flatten().count();
        match reported.failed {
            None => Ok(reported.offsets.into_iter().flatten().collect()),
            Some(code) => {
                let error = write_error(&self.topic, code, self.producer.client().fatal_error(), &self.producer.context().logged);
                Err(Unwritten { written, of: events.len(), error })
            }
        }
    }

    fn send(&self, at: usize, event: &[u8]) -> Result<(), Code> {
        let headers = EVENT_HEADERS.iter().fold(OwnedHeaders::new_with_capacity(EVENT_HEADERS.len()), |list, (key, value)| {
            list.insert(Header { key, value: Some(*value) })
        });
        // Without a key all would do, but one partition is all that the topic has.
        let mut record: BaseRecord<'_, (), [u8], usize> =
            BaseRecord::with_opaque_to(&self.topic, at).payload(event).partition(0).headers(headers);
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((error, back)) if failure::parts(&error).0 == Code::QueueFull => {
                    self.serve();
                    record = back;
                }
                Err((error, _)) => return Err(failure::parts(&error).0),
            }
        }
    }

    /// Waits a little for reports. A poll that waits lasts its whole time: the wait is the flush.
    fn serve(&self) {
        flush(self.producer.client(), 10);
        self.producer.poll(Duration::ZERO);
    }

    fn reports(&self) -> MutexGuard<'_, Reported> {
        self.producer.context().lock()
    }
}
