//! Writing control events: one thread has the producer, and takes together what waits.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::oneshot;
use tracing::warn;

use crate::id::Offset;
use crate::kafka::{BulkWriter, ClientError, KafkaSettings, WriteError};

/// So many events at most go in one call.
const TOGETHER: usize = 20_000;

/// Why events are not in the log, or perhaps not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AppendError {
    /// Nothing was written, or nobody knows: repeating it under the same ids is safe.
    #[error("{0}")]
    Unavailable(String),
    /// The log does not take it.
    #[error("{0}")]
    Refused(String),
}

/// Events to be written, in order.
struct AppendJob {
    events: Vec<Vec<u8>>,
    reply: oneshot::Sender<Result<Vec<Offset>, AppendError>>,
}

/// Where events are handed in.
#[derive(Debug, Clone)]
pub(crate) struct EventAppender(Sender<AppendJob>);

impl EventAppender {
    /// Begins the thread, which writes to this topic until all copies of this are gone; an event is given up after `wait`.
    pub(super) fn start(kafka: KafkaSettings, topic: String, wait: Duration) -> std::io::Result<Self> {
        let (jobs, to_do) = channel();
        let thread = AppendThread { kafka, topic, wait, writer: None };
        std::thread::Builder::new().name("append".into()).spawn(move || thread.run(&to_do))?;
        Ok(Self(jobs))
    }

    /// Writes events; their offsets, once all are acknowledged.
    ///
    /// # Errors
    /// Not all are known to be written.
    pub(super) async fn append(&self, events: Vec<Vec<u8>>) -> Result<Vec<Offset>, AppendError> {
        let (reply, answer) = oneshot::channel();
        let ended = || AppendError::Unavailable("the process is ending".to_owned());
        self.0.send(AppendJob { events, reply }).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

struct AppendThread {
    kafka: KafkaSettings,
    topic: String,
    wait: Duration,
    /// None before the first event, and after a failure.
    writer: Option<BulkWriter>,
}

impl AppendThread {
    fn run(mut self, to_do: &Receiver<AppendJob>) {
        while let Ok(first) = to_do.recv() {
            let mut jobs = vec![first];
            let mut count = jobs[0].events.len();
            while count < TOGETHER
                && let Ok(next) = to_do.try_recv()
            {
                count += next.events.len();
                jobs.push(next);
            }
            self.write(jobs);
        }
    }

    /// All jobs in one call. Where that fails each is tried by itself: what was written already is the same event again.
    fn write(&mut self, jobs: Vec<AppendJob>) {
        let all: Vec<Vec<u8>> = jobs.iter().flat_map(|job| job.events.iter().cloned()).collect();
        match self.append(&all) {
            Ok(offsets) => {
                let mut rest = offsets.into_iter();
                for job in jobs {
                    let own = rest.by_ref().take(job.events.len()).collect();
                    // Who asked may be gone; it is written all the same.
                    let _ = job.reply.send(Ok(own));
                }
            }
            Err(error) if jobs.len() == 1 => {
                warn!(%error, "control events could not be written");
                jobs.into_iter().for_each(|job| drop(job.reply.send(Err(error.clone()))));
            }
            Err(_) => {
                for job in jobs {
                    let answer = self.append(&job.events).inspect_err(|error| warn!(%error, "control events could not be written"));
                    let _ = job.reply.send(answer);
                }
            }
        }
    }

    fn append(&mut self, events: &[Vec<u8>]) -> Result<Vec<Offset>, AppendError> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => BulkWriter::open(&self.kafka, &self.topic, self.wait).map_err(refused)?,
        };
        match writer.append_all(events) {
            Ok(offsets) => {
                self.writer = Some(writer);
                Ok(offsets)
            }
            Err(unwritten) => {
                let words = unwritten.to_string();
                match unwritten.error {
                    WriteError::Refused(_) => {
                        self.writer = Some(writer);
                        Err(AppendError::Refused(words))
                    }
                    // A producer that gave an event up is not to be trusted with the next.
                    WriteError::Unknown(_) | WriteError::Fatal(_) => Err(AppendError::Unavailable(words)),
                }
            }
        }
    }
}

fn refused(error: ClientError) -> AppendError {
    match error {
        ClientError::Unavailable(words) => AppendError::Unavailable(words),
        other => AppendError::Refused(other.to_string()),
    }
}
