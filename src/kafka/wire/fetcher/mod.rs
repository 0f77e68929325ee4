//! The native fetch: records of the partitions that were released, one question a leader at a time, each leader over a connection of its own.
//!
//! A worker's thread drives it: a question leaves before the records in hand are decided, so that the leader works meanwhile, and no call
//! waits but `wait`, which also waits for the group's events. What can only be waited for, a connection and the question who leads,
//! is done on a thread that lives no longer than that.

mod decompression;
mod fetched;
mod fetched_batch;
mod links;
mod lookups;
mod positions;
mod verdict;

use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use self::fetched::TakeLimit;
use self::links::FetchLinks;
use self::lookups::Lookups;
pub(in crate::kafka) use self::positions::FetchEvent;
use self::positions::FetchPositions;
use crate::kafka::client::{ClientError, Deadline};
use crate::kafka::settings::KafkaSettings;
use crate::kafka::wire::cluster::Cluster;
use crate::kafka::wire::connection::ConnectError;
use crate::kafka::wire::producer::StartError;
use crate::kafka::wire::settings::WireSettings;
use crate::transport::{Batch, SourcePartition};

/// Between two questions for what the cluster speaks.
const CHECK_AGAIN: Duration = Duration::from_millis(100);

/// Something else has happened that is waited for: whoever has a copy wakes the fetcher by a byte.
pub(in crate::kafka) struct FetchWaker(Arc<UnixStream>);

impl FetchWaker {
    fn wake(&self) {
        // Where it takes no more it is awake anyway.
        let _ = std::io::Write::write(&mut &*self.0, &[1]);
    }
}

/// Reads what the group's member has released.
pub(in crate::kafka) struct RecordFetcher {
    positions: FetchPositions,
    links: FetchLinks,
    lookups: Lookups,
    /// Becomes readable when there is news.
    woken: UnixStream,
    is_paused: bool,
}

impl RecordFetcher {
    /// One that has nothing to read yet. `woken` becomes readable by events of the group, and by `waker`, which is its other end.
    pub(in crate::kafka) fn new(settings: &KafkaSettings, woken: UnixStream, waker: UnixStream) -> Result<Self, StartError> {
        let settings = WireSettings::for_reading(settings)?;
        let unusable = |error: std::io::Error| ClientError::Settings(format!("a pair of sockets: {error}"));
        woken.set_nonblocking(true).and_then(|()| waker.set_nonblocking(true)).map_err(unusable)?;
        let waker = Arc::new(waker);
        Ok(Self {
            positions: FetchPositions::new(settings.wire.receive_bytes),
            lookups: Lookups::new(Cluster::for_reading(settings.wire.clone()), FetchWaker(Arc::clone(&waker))),
            links: FetchLinks::new(settings, FetchWaker(waker)),
            woken,
            is_paused: false,
        })
    }

    /// Whether records can be read natively: asks one broker.
    pub(in crate::kafka) fn check(settings: &KafkaSettings, wait: Duration) -> Result<(), StartError> {
        // Both directions are native, or none is: what the cluster must speak is the same.
        let mut cluster = Cluster::new(WireSettings::for_reading(settings)?.wire);
        let deadline = Deadline::after(wait);
        loop {
            match cluster.ask_topics(&[], deadline) {
                Ok(_) => return Ok(()),
                Err(ConnectError::NotNative(why)) => return Err(why.into()),
                // Whoever does not answer now, or refuses the login now, is waited for while it is read.
                Err(error) if deadline.left() <= CHECK_AGAIN => {
                    tracing::debug!(%error, "whether records can be read natively is found out later");
                    return Ok(());
                }
                Err(_) => std::thread::sleep(CHECK_AGAIN),
            }
        }
    }

    /// Reads a partition from this offset on. Nothing that was fetched of it before is delivered any more.
    pub(in crate::kafka) fn release(&mut self, source: SourcePartition, topic: &str, from: i64) {
        self.positions.release(source, topic, from);
    }

    /// Takes nothing more from a partition.
    pub(in crate::kafka) fn remove(&mut self, source: SourcePartition) {
        self.positions.remove(source);
    }

    /// Nothing is delivered and nothing asked for until it is resumed.
    pub(in crate::kafka) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    pub(in crate::kafka) fn has_begun(&self, source: SourcePartition) -> bool {
        self.positions.has_begun(source)
    }

    /// All that is read, and where it is read on.
    pub(in crate::kafka) fn places(&self) -> Vec<(SourcePartition, i64)> {
        self.positions.places().collect()
    }

    /// What happened.
    pub(in crate::kafka) fn next_event(&mut self) -> Option<FetchEvent> {
        self.positions.next_event()
    }

    /// Takes in what has come. Waits for nothing.
    pub(in crate::kafka) fn hear(&mut self) {
        let now = Deadline::now();
        self.lookups.take(&mut self.positions, &mut self.links, now);
        self.links.receive(&mut self.positions, now);
    }

    /// Asks for what is to be asked for. Waits for nothing but the room for a small question.
    pub(in crate::kafka) fn ask(&mut self) {
        let now = Deadline::now();
        if !self.is_paused {
            self.links.ask(&mut self.positions, now);
        }
        self.lookups.ask(&self.positions, now);
    }

    /// Copies records into the batch until it holds so many, or so many bytes.
    pub(in crate::kafka) fn take(&mut self, records: usize, bytes: usize, into: &mut Batch) {
        if !self.is_paused {
            self.positions.take(TakeLimit { records, bytes }, Deadline::now(), into);
        }
    }

    /// Waits until something has come, until the time is over, or until something is due.
    pub(in crate::kafka) fn wait(&mut self, wait: Duration) {
        let now = Deadline::now();
        if self.positions.has_ready() && !self.is_paused {
            return;
        }
        let due = [self.links.next_due(now, self.is_paused), self.lookups.next_due(&self.positions, now), self.positions.next_due(now)];
        let left = due.into_iter().flatten().map(|due| due.saturating_duration_since(now)).fold(wait, Duration::min);
        let mut sockets = vec![PollFd::from_borrowed_fd(self.woken.as_fd(), PollFlags::IN)];
        sockets.extend(self.links.awaited().map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
        let left = Timespec { tv_sec: left.as_secs().min(3600) as i64, tv_nsec: left.subsec_nanos().into() };
        // A wait that a signal has ended is over as well: whoever waits looks again.
        let _ = poll(&mut sockets, Some(&left));
        drop(sockets);
        self.quiet();
    }

    /// Forgets that it was woken. Whatever it was woken for is looked at after this.
    fn quiet(&self) {
        let mut bytes = [0; 64];
        while matches!((&self.woken).read(&mut bytes), Ok(count) if count == bytes.len()) {}
    }
}

/// The earlier of two times, where there are any.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
