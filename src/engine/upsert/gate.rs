//! The gates that target keys pass through from one share to another, shared by the workers of a process, and who asks how far
//! the partitions have come.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tracing::debug;

use crate::clock::Clock;
use crate::id::{Epoch, StreamIndex, TenantId};
use crate::sink_state::gate::Reached;
use crate::sink_state::note::Reconciled;
use crate::time::TimestampMs;
use crate::transport::ConsumeError;

/// The partitions are asked this often while somebody waits.
const ASK_EVERY: Duration = Duration::from_millis(40);
/// It is looked this often whether somebody waits.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One stream's.
#[derive(Debug)]
struct Gate {
    reached: Mutex<Reached>,
    /// The largest epoch that somebody waits for.
    wanted: AtomicI64,
}

/// A target's topic that was away, and may have lost what it had.
#[derive(Debug, Clone)]
pub struct Reopened {
    /// Of this stream.
    pub stream: StreamIndex,
    /// Whose.
    pub target: TenantId,
    /// When it was found to be there again: what was written before may be gone.
    pub at: TimestampMs,
}

/// The gates of all upsert streams of this process, shared by its workers.
#[derive(Debug)]
pub struct Gates {
    /// By stream; those of append streams are never asked.
    streams: Vec<Gate>,
    /// Topics that were away and take records again, in the order they were found so.
    reopened: Mutex<Vec<Reopened>>,
}

impl Gates {
    /// Closed for everything.
    pub fn new(streams: usize) -> Self {
        let closed = || Gate { reached: Mutex::new(Reached::NOTHING), wanted: AtomicI64::new(i64::MIN) };
        Self { streams: (0..streams).map(|_| closed()).collect(), reopened: Mutex::default() }
    }

    fn of(&self, stream: StreamIndex) -> &Gate {
        &self.streams[usize::from(stream.0)]
    }

    /// Whether no share that ended up to this epoch has a document left in this target's topic. If not, it is looked after.
    pub fn passes(&self, stream: StreamIndex, target: &TenantId, needs: Epoch) -> bool {
        let gate = self.of(stream);
        let passes = gate.reached().passes(target, needs);
        if !passes {
            gate.wanted.fetch_max(needs.0, Ordering::AcqRel);
        }
        passes
    }

    /// A target's topic was away: whatever this process's workers have written to it may be gone. Returns its place in `reopened_since(0)`.
    pub fn reopened(&self, stream: StreamIndex, target: &TenantId, at: TimestampMs) -> usize {
        let mut reopened = self.reopened.lock().expect("only appended to");
        reopened.push(Reopened { stream, target: target.clone(), at });
        reopened.len() - 1
    }

    /// Topics that were found so after the first `known`.
    pub fn reopened_since(&self, known: usize) -> Vec<Reopened> {
        self.reopened.lock().expect("only appended to").get(known..).unwrap_or_default().to_vec()
    }

    /// Whether somebody waits for an epoch that not every partition has reached, or while a target is left out.
    pub fn is_awaited(&self, stream: StreamIndex) -> bool {
        let gate = self.of(stream);
        !gate.reached().is_everything(Epoch(gate.wanted.load(Ordering::Acquire)))
    }

    /// What the notes of all partitions say; none is a partition without a note of ours.
    pub fn noted(&self, stream: StreamIndex, notes: impl IntoIterator<Item = Option<Reconciled>>) {
        self.of(stream).reached().note(notes);
    }
}

impl Gate {
    fn reached(&self) -> MutexGuard<'_, Reached> {
        self.reached.lock().expect("nothing panics that holds it")
    }
}

/// Asks what is stored beside the committed offsets.
pub trait Progress: Send {
    /// The notes of all partitions of a stream's input, as they are now; none where nothing is committed.
    fn notes(&mut self, stream: StreamIndex) -> Result<Vec<Option<Vec<u8>>>, ConsumeError>;
}

/// Looks after the gates while somebody waits.
pub struct GateKeeper<P> {
    /// Asked what the notes of all partitions say.
    pub progress: P,
    /// What is looked after.
    pub gates: Arc<Gates>,
    /// The upsert streams.
    pub streams: Vec<StreamIndex>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

impl<P: Progress> GateKeeper<P> {
    /// Looks until told to stop. What cannot be asked is asked again.
    pub fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let awaited: Vec<StreamIndex> = self.streams.iter().copied().filter(|stream| self.gates.is_awaited(*stream)).collect();
            for stream in &awaited {
                match self.progress.notes(*stream) {
                    Ok(notes) => self.gates.noted(*stream, notes.iter().map(|note| Reconciled::read(note.as_deref()?))),
                    Err(error) => debug!(%error, "how far the partitions have come cannot be asked at the moment"),
                }
            }
            self.clock.sleep(if awaited.is_empty() { LOOK_EVERY } else { ASK_EVERY });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_is_looked_after_from_when_somebody_waits_until_it_is_open() {
        let gates = Gates::new(1);
        let (stream, acme, zenith) = (StreamIndex(0), TenantId::parse("acme").unwrap(), TenantId::parse("zenith").unwrap());
        let note = |epoch, owed: &[&TenantId]| {
            Some(Reconciled { epoch: Epoch(epoch), time: TimestampMs(0), owed: owed.iter().map(|t| (*t).clone()).collect() })
        };
        assert!(!gates.is_awaited(stream));
        assert!(!gates.passes(stream, &acme, Epoch(5)) && gates.is_awaited(stream));
        gates.noted(stream, [note(9, &[&acme]), note(6, &[])]);
        assert!(!gates.passes(stream, &acme, Epoch(5)) && gates.passes(stream, &zenith, Epoch(5)));
        assert!(gates.is_awaited(stream), "what is owed is looked after");
        gates.noted(stream, [note(9, &[]), note(6, &[])]);
        assert!(gates.passes(stream, &acme, Epoch(6)) && !gates.is_awaited(stream));
        assert!(!gates.passes(stream, &acme, Epoch(7)) && gates.is_awaited(stream));
    }
}
