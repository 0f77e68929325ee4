//! Appends many records to a topic of one partition, such as the control topic: idempotent, outside transactions, one request after the other, each acknowledged.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
use super::writer::{EVENT_HEADERS, KNOWN_WITHIN, SEND_AGAIN, WriteError, write_error};
use crate::id::Offset;
use crate::kafka::client::failure;
use crate::kafka::client::failure::Outlook;
use crate::time::TimestampMs;

/// A request holds so many events and bytes at most. All of it fits into one batch of librdkafka, so that nothing waits while
/// something is in flight: librdkafka would poll without a pause until the broker has answered.
const REQUEST_EVENTS: usize = 5_000;
const REQUEST_BYTES: usize = 60_000;
/// What an event takes besides its own bytes, generously.
const EVENT_OVERHEAD: usize = 120;
/// Above what a request holds, and so low that any topic that takes events takes it: librdkafka does not split a refused batch.
const BATCH_BYTES: &str = "131072";
/// Longer than it takes to queue a request's events; a flush does not wait for it.
const LINGER_MS: u128 = 100;
/// How long one wait for acknowledgements may be, in milliseconds.
const FLUSH_SLICE_MS: i32 = 3;

/// What was reported, by the place of the event in the list.
struct Reports {
    reported: Mutex<Reported>,
    logged: Logged,
}

#[derive(Default)]
struct Reported {
    offsets: Vec<Option<Offset>>,
    /// How many reports of the request in hand came.
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

/// The headers of a CloudEvent in structured mode.
pub const EVENT: RecordHeaders<'_> = EVENT_HEADERS;

/// Names and values.
type RecordHeaders<'a> = &'a [(&'a str, &'a [u8])];

/// A record to be appended.
#[derive(Debug, Clone, Copy)]
pub struct BulkRecord<'a> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; none is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its time, where the topic takes it from the writer; none is now.
    pub timestamp: Option<TimestampMs>,
    /// Its headers.
    pub headers: RecordHeaders<'a>,
}

impl<'a> BulkRecord<'a> {
    fn event(value: &'a [u8]) -> Self {
        Self { key: None, value: Some(value), timestamp: None, headers: EVENT }
    }

    fn bytes(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + EVENT_OVERHEAD
    }
}

/// A producer for lists of records.
pub struct BulkWriter {
    producer: BaseProducer<Reports>,
    topic: String,
    wait: Duration,
}

impl BulkWriter {
    /// Writes to `topic`; an event that is not acknowledged within `wait` of being sent has failed.
    pub fn open(settings: &KafkaSettings, topic: &str, wait: Duration) -> Result<Self, ClientError> {
        let mut config = settings.idempotent_producer();
        let wait_ms = wait.as_millis().max(2);
        let (linger_ms, timeout_ms) = (LINGER_MS.min(wait_ms / 2).to_string(), wait_ms.to_string());
        for (key, value) in [("linger.ms", linger_ms.as_str()), ("batch.size", BATCH_BYTES), ("message.timeout.ms", &timeout_ms)] {
            put(&mut config, key, value);
        }
        let context = Reports { reported: Mutex::default(), logged: Logged::of(&config) };
        let producer = create_for(&config, context)?;
        Ok(Self { producer, topic: topic.to_owned(), wait })
    }

    /// Appends CloudEvents in structured mode, as `append_records`.
    pub fn append_all(&mut self, events: &[Vec<u8>]) -> Result<Vec<Offset>, Unwritten> {
        self.append_records(&events.iter().map(|event| BulkRecord::event(event)).collect::<Vec<_>>())
    }

    /// Appends records to the topic's one partition, in their order; returns the offset of each once all are acknowledged. After the
    /// first failure nothing more is sent, and what is on its way is awaited: the answer then says how many are written for certain.
    pub fn append_records(&mut self, events: &[BulkRecord<'_>]) -> Result<Vec<Offset>, Unwritten> {
        *self.reports() = Reported { offsets: vec![None; events.len()], ..Reported::default() };
        let known_by = Deadline::after(self.wait.min(KNOWN_WITHIN));
        let mut from = 0;
        while from < events.len() {
            let until = from + fitting(&events[from..]);
            let Some(code) = self.append_request(from..until, events) else {
                from = until;
                continue;
            };
            let written = self.reports().offsets.iter().flatten().count();
            // None of the request was sent, so all of it can be sent again: the topic has just been made, and is not known yet.
            if failure::outlook(code) == Outlook::MayPass && written == from && !known_by.has_passed() {
                self.reports().failed = None;
                std::thread::sleep(SEND_AGAIN);
                continue;
            }
            let error = write_error(&self.topic, code, self.producer.client().fatal_error(), &self.producer.context().logged);
            return Err(Unwritten { written, of: events.len(), error });
        }
        Ok(std::mem::take(&mut *self.reports()).offsets.into_iter().flatten().collect())
    }

    /// Sends these events and waits until each is reported, within message.timeout.ms; returns the first failure.
    fn append_request(&self, range: Range<usize>, events: &[BulkRecord<'_>]) -> Option<Code> {
        self.reports().count = 0;
        let mut sent = 0;
        for at in range {
            if let Err(code) = self.send(at, events[at]) {
                self.reports().failed.get_or_insert(code);
                break;
            }
            sent += 1;
        }
        while self.reports().count < sent {
            self.serve();
        }
        self.reports().failed
    }

    fn send(&self, at: usize, event: BulkRecord<'_>) -> Result<(), Code> {
        let headers = event.headers.iter().fold(OwnedHeaders::new_with_capacity(event.headers.len()), |list, (key, value)| {
            list.insert(Header { key, value: Some(*value) })
        });
        // One partition is all that the topic has.
        let mut record: BaseRecord<'_, [u8], [u8], usize> = BaseRecord::with_opaque_to(&self.topic, at).partition(0).headers(headers);
        (record.key, record.payload, record.timestamp) = (event.key, event.value, event.timestamp.map(|time| time.0));
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
        flush(self.producer.client(), FLUSH_SLICE_MS);
        self.producer.poll(Duration::ZERO);
    }

    fn reports(&self) -> MutexGuard<'_, Reported> {
        self.producer.context().lock()
    }
}

/// How many of these one request takes; one that is larger than a request goes alone.
fn fitting(events: &[BulkRecord<'_>]) -> usize {
    let mut bytes = 0;
    let fits = events.iter().take(REQUEST_EVENTS).take_while(|event| {
        bytes += event.bytes();
        bytes <= REQUEST_BYTES
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_bounded_and_is_never_empty() {
        let (small, large) = (vec![0; 380], vec![0; 1 << 20]);
        assert_eq!(fitting(&vec![BulkRecord::event(&small); 1000]), REQUEST_BYTES / 500);
        assert_eq!(fitting(&vec![BulkRecord::event(&[]); 10_000]), REQUEST_BYTES / EVENT_OVERHEAD);
        assert_eq!(fitting(&[BulkRecord::event(&large), BulkRecord::event(&[])]), 1);
        assert_eq!(fitting(&[BulkRecord::event(&small)]), 1);
    }
}
