//! State restoration: a worker asks for what is in the log, and does not wait for it.
//!
//! In reading order: `request` is what is asked and what comes of it; `partition` restores an upsert partition, `documents` reads parts
//! of the log again; `notes` is where append partitions are read on, `redelivery` what failed routes are owed; `gap` looks for records that the group's client did not bring.

pub mod request;
pub mod partition;
pub(crate) mod documents;
pub(crate) mod notes;
pub(crate) mod metrics;
pub mod redelivery;
pub(crate) mod gap;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use tracing::warn;

use crate::engine::restore::partition::RestoreContext;
use crate::engine::restore::request::{RestoreEvent, RestoreRequest};
use crate::transport::{Archive, ConsumeError};

/// So much may be read ahead of a worker: each is a few megabytes at most.
const READ_AHEAD: usize = 2;
/// Before something that does not answer is asked again.
const REST: Duration = Duration::from_millis(500);
/// The same where others wait to take over what is pending.
const SHORT_REST: Duration = Duration::from_millis(100);
/// A reader that was not asked for so long is closed.
const IDLE_FOR: Duration = Duration::from_secs(30);

/// Takes requests, and brings what came of them.
pub trait Restore: Send {
    /// Has something read.
    fn ask(&mut self, job: RestoreRequest);

    /// The next event, if there is one; never waits.
    fn news(&mut self) -> Option<RestoreEvent>;
}

/// Makes an archive; it is made on the thread that uses it, when there is something to do.
pub type OpenArchive<A> = Arc<dyn Fn() -> Result<A, ConsumeError> + Send + Sync>;

/// Two threads with a reader each: one loads partitions, which takes its time, the other fetches documents.
pub struct Restorer {
    load: Sender<RestoreRequest>,
    fetch: Sender<RestoreRequest>,
    news: Receiver<RestoreEvent>,
}

impl Restorer {
    /// Starts the threads. They end with their owner.
    pub fn start<A: Archive + 'static>(around: &RestoreContext, open: &OpenArchive<A>, stop: &Arc<AtomicBool>) -> std::io::Result<Self> {
        let (tell, news) = sync_channel(READ_AHEAD);
        let begin = |name: &str| {
            let (jobs, accepted) = channel();
            let (around, open, tell, stop) = (around.clone(), Arc::clone(open), tell.clone(), Arc::clone(stop));
            thread::Builder::new().name(name.to_owned()).spawn(move || read(&around, &open, &accepted, &tell, &stop)).map(|_| jobs)
        };
        Ok(Self { load: begin("upsert-load")?, fetch: begin("upsert-fetch")?, news })
    }
}

impl Restore for Restorer {
    fn ask(&mut self, job: RestoreRequest) {
        let thread = if matches!(job, RestoreRequest::Load(..)) { &self.load } else { &self.fetch };
        // A thread ends before its worker only with the process.
        let _ = thread.send(job);
    }

    fn news(&mut self) -> Option<RestoreEvent> {
        self.news.try_recv().ok()
    }
}

fn read<A: Archive>(
    around: &RestoreContext,
    open: &OpenArchive<A>,
    jobs: &Receiver<RestoreRequest>,
    tell: &SyncSender<RestoreEvent>,
    stop: &AtomicBool,
) {
    let mut archive: Option<A> = None;
    let mut waiting = VecDeque::new();
    loop {
        waiting.extend(jobs.try_iter());
        let Some(job) = waiting.pop_front() else {
            archive.iter_mut().for_each(A::rest);
            match jobs.recv_timeout(IDLE_FOR) {
                Ok(job) => waiting.push_back(job),
                Err(RecvTimeoutError::Timeout) => archive = None,
                Err(RecvTimeoutError::Disconnected) => return,
            }
            continue;
        };
        while archive.is_none() && !stop.load(Ordering::Relaxed) {
            match open() {
                Ok(made) => archive = Some(made),
                Err(error) => {
                    warn!(%error, "a reader besides the group cannot be made at the moment");
                    thread::sleep(REST);
                }
            }
        }
        let Some(archive) = &mut archive else { return };
        let mut told = |news| !stop.load(Ordering::Relaxed) && tell.send(news).is_ok();
        let RestoreRequest::Notes(ticket) = job else {
            around.carry_out(&job, archive, &mut told, &mut || thread::sleep(REST));
            continue;
        };
        // Partitions come together, and are read of together.
        let mut tickets = vec![ticket];
        waiting.retain(|job| match job {
            RestoreRequest::Notes(ticket) => {
                tickets.push(ticket.clone());
                false
            }
            _ => true,
        });
        let later = around.read_notes(tickets, archive, &mut told);
        // What is not answered yet holds nothing up that can be read.
        if !later.is_empty() {
            thread::sleep(SHORT_REST);
            waiting.extend(later.into_iter().map(RestoreRequest::Notes));
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
    }
}
