//! Records that are fetched natively, beside a membership that is librdkafka's.
//!
//! librdkafka is given no partition then, so it fetches nothing: each is the fetcher's from its release until it is held or taken back.

use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::time::Duration;

use super::{KafkaConsumer, POLL_BYTES};
use crate::config::DataPlane;
use crate::id::Offset;
use crate::kafka::client::{ClientError, Deadline};
use crate::kafka::membership::InputTopic;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::wire::{FetchEvent, RecordFetcher, StartError};
use crate::transport::{AssignmentChange, Batch, ConsumeError, SourcePartition};

/// What was said of the choice last, so that each worker does not say it again.
static SAID: Mutex<Option<ReadingClient>> = Mutex::new(None);

/// Which client reads, and why not the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ReadingClient {
    Native,
    Librdkafka(String),
}

impl ReadingClient {
    fn say(self) {
        let mut said = SAID.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if said.as_ref() == Some(&self) {
            return;
        }
        match &self {
            Self::Native => tracing::info!(data_plane = "native", "records are read natively"),
            Self::Librdkafka(why) => tracing::info!(data_plane = "librdkafka", why, "records are read by librdkafka"),
        }
        *said = Some(self);
    }
}

impl KafkaConsumer {
    /// As `join`, with records read as `kafka.data_plane` wants it. Waits up to `wait` for a broker that says what it speaks.
    pub fn join_data_plane(settings: &KafkaSettings, group: &str, sources: &[InputTopic], wait: Duration) -> Result<Self, ClientError> {
        let mut member = Self::join(settings, group, sources)?;
        let reading = if settings.data_plane == DataPlane::Librdkafka {
            ReadingClient::Librdkafka("kafka.data_plane is librdkafka".to_owned())
        } else {
            match RecordFetcher::check(settings, wait).and_then(|()| member.fetch_natively()) {
                Ok(()) => ReadingClient::Native,
                Err(StartError::NotNative(why)) => ReadingClient::Librdkafka(why.to_string()),
                Err(StartError::Client(error)) => return Err(error),
            }
        };
        reading.say();
        Ok(member)
    }

    fn fetch_natively(&mut self) -> Result<(), StartError> {
        let pair = || UnixStream::pair().and_then(|(woken, bell)| Ok((woken, bell.try_clone()?, bell)));
        let (woken, waker, bell) = pair().map_err(|error| ClientError::Settings(format!("no pair of sockets: {error}")))?;
        self.fetcher = Some(RecordFetcher::new(&self.settings, woken, waker)?);
        // Not blocking any more: that is the socket's, not the copy's.
        self.queue.ring(bell);
        Ok(())
    }

    pub(super) fn release_natively(&mut self, partition: SourcePartition, from: Offset) {
        self.waiting.retain(|waiting| *waiting != partition);
        let topic = self.topic_of(partition).to_owned();
        if let Some(fetcher) = &mut self.fetcher {
            fetcher.release(partition, &topic, from.0);
        }
    }

    /// `poll` up to so many records in the batch: what the group decides comes first, so that no record is taken of a partition that has left.
    pub(super) fn poll_natively(
        &mut self,
        deadline: Deadline,
        full: usize,
        into: &mut Batch,
        changes: &mut Vec<AssignmentChange>,
    ) -> Result<(), ConsumeError> {
        let (before, found) = (into.len(), changes.len());
        let heavy = (into.bytes() + POLL_BYTES).min(Batch::MAX_BYTES);
        loop {
            while let Some(event) = self.queue.poll(Duration::ZERO) {
                self.serve(&event, into, changes)?;
                if changes.len() > found {
                    return Ok(());
                }
            }
            let Some(fetcher) = &mut self.fetcher else { return Ok(()) };
            fetcher.hear();
            fetcher.take(full, heavy, into);
            // What follows is on its way while this is decided.
            fetcher.ask();
            while let Some(event) = self.fetcher.as_mut().and_then(RecordFetcher::next_event) {
                self.happened(event, changes)?;
            }
            let is_full = into.len() >= full || into.bytes() >= heavy;
            if into.len() > before || changes.len() > found || is_full || deadline.has_passed() {
                return Ok(());
            }
            if let Some(fetcher) = &mut self.fetcher {
                fetcher.wait(deadline.left());
            }
        }
    }

    fn happened(&mut self, event: FetchEvent, changes: &mut Vec<AssignmentChange>) -> Result<(), ConsumeError> {
        match event {
            FetchEvent::OutOfRange(partition) => changes.push(AssignmentChange::OutOfRange(partition)),
            FetchEvent::Refused(words) => return Err(ConsumeError::Refused(words)),
            FetchEvent::Unavailable(words) => return Err(ConsumeError::Unavailable(words)),
            FetchEvent::NotNative(why) => self.read_by_librdkafka(why),
        }
        Ok(())
    }

    /// Goes on by librdkafka, each partition where it was read on: everything before was delivered, and nothing after.
    fn read_by_librdkafka(&mut self, why: String) {
        let Some(fetcher) = self.fetcher.take() else { return };
        for (partition, next) in fetcher.places() {
            self.waiting.push(partition);
            self.releasing.push((partition, Offset(next)));
        }
        tracing::warn!(why, "records cannot be read natively any more");
        ReadingClient::Librdkafka(why).say();
    }
}
