//! Dead letters on their way to Kafka: they own their bytes, because the record they came from may be gone by then.

use metrics::counter;

use crate::id::Offset;
use crate::record::dead_letter::{DeadLetter, DeadLetterReason, Refusal};
use crate::record::mapping::Stream;
use crate::time::TimestampMs;
use crate::transport::{Output, ProduceError, Record, TransactionalProducer};

/// The longest key, in bytes, that a letter keeps whose value is refused.
const MAX_BARE_KEY: usize = 1024;

/// Makes the counters, one a reason.
pub fn begin_counters() {
    for reason in DeadLetterReason::ALL {
        count(reason, 0);
    }
}

/// Dead letters were committed.
pub fn count(reason: DeadLetterReason, letters: u64) {
    counter!("sharecast_dead_letters_total", "reason" => reason.as_str()).increment(letters);
}

/// One dead letter, kept until its transaction commits.
#[derive(Debug, Clone)]
pub struct OwnedDeadLetter {
    /// The input topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The offset there: with topic and partition it names the record for good.
    pub offset: Offset,
    /// The input's Kafka timestamp.
    pub timestamp: TimestampMs,
    /// The key; `None` is Kafka's null.
    pub key: Option<Vec<u8>>,
    /// The value; `None` is Kafka's null.
    pub value: Option<Vec<u8>>,
    /// Why.
    pub reason: DeadLetterReason,
    /// Why, in words without payload.
    pub message: String,
}

impl OwnedDeadLetter {
    /// Of an input record that cannot be read.
    pub fn of_input(stream: &Stream, record: &Record<'_>, refusal: &Refusal) -> Self {
        Self {
            topic: stream.topic.clone(),
            partition: record.source.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            reason: refusal.reason,
            message: refusal.to_string(),
        }
    }

    /// As `replay` and files have it.
    pub fn borrowed(&self) -> DeadLetter<'_> {
        DeadLetter {
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            reason: self.reason,
            message: &self.message,
        }
    }

    /// Queues the letter for the topic of dead letters, with its headers (docs/rules/dead-letters.md#format).
    pub fn put<P: TransactionalProducer>(&self, producer: &mut P, topic: &str) -> Result<(), ProduceError> {
        self.put_with(producer, topic, &[])
    }

    /// The same with more headers after those of every letter.
    pub fn put_with<P: TransactionalProducer>(&self, producer: &mut P, topic: &str, more: &[(&str, &[u8])]) -> Result<(), ProduceError> {
        let (partition, offset) = (self.partition.to_string(), self.offset.to_string());
        let letter = self.borrowed();
        let own = letter.headers(&partition, &offset).map(|(name, value)| (name, value.as_bytes()));
        let headers: Vec<(&str, &[u8])> = own.into_iter().chain(more.iter().copied()).collect();
        producer.put(Output {
            topic,
            partition: None,
            key: self.key.as_deref(),
            timestamp: self.timestamp,
            value: self.value.as_deref(),
            headers: &headers,
        })
    }

    /// Takes the bytes out of it that made the topic of dead letters itself refuse it: the input still holds them, at the
    /// place that the headers name. A short key stays.
    pub fn strip(&mut self) {
        let length = self.value.take().map_or(0, |value| value.len());
        self.key.take_if(|key| key.len() > MAX_BARE_KEY);
        self.message.push_str(&format!(" (value of {length} bytes left in the input: the topic of dead letters refuses it)"));
    }
}
