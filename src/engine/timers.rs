//! Ticks and `expired` events: what the engine itself appends to the control topic (docs/rules/events.md#ticks,
//! docs/rules/exactly-once.md#expired-events).
//!
//! They go through an idempotent producer outside transactions, so that no open transaction ever hides what lies behind.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::{info, warn};

use crate::clock::{BootTime, Clock};
use crate::document::{Kind, Member, Node, Place};
use crate::id::ShareId;
use crate::share::event;
use crate::share::query::Due;
use crate::share::state::Cause;
use crate::transport::ControlWriter;

/// A tick is written this often.
pub const TICK_EVERY: Duration = Duration::from_secs(5);
/// An `expired` event that has shown no effect for so long is written again under the same id.
const REPEAT_AFTER: Duration = Duration::from_secs(30);

/// What the status writer tells the timers.
#[derive(Debug)]
pub enum TimerNews {
    /// Every share whose time has come, as of the newest publish.
    Due(Vec<Due>),
    /// An `expired` event of this id was rejected.
    Rejected(String),
}

/// Which `expired` events were sent and what became of them. Pure.
#[derive(Debug, Default)]
pub struct ExpiryBook {
    sent: HashMap<(ShareId, Cause, u32), Sent>,
}

#[derive(Debug)]
struct Sent {
    attempt: u32,
    id: String,
    at: BootTime,
}

impl ExpiryBook {
    /// Takes the list of shares that are due and answers the events to write now, each with its id. A share that is no
    /// longer due is forgotten.
    pub fn due(&mut self, due: &[Due], now: BootTime) -> Vec<(String, Due)> {
        let key = |share: &Due| (share.share.clone(), share.cause, share.revision);
        let wanted: std::collections::HashSet<_> = due.iter().map(key).collect();
        self.sent.retain(|sent, _| wanted.contains(sent));
        let mut to_write = Vec::new();
        for share in due {
            let sent = self.sent.entry(key(share)).or_insert_with(|| Sent { attempt: 0, id: String::new(), at: now });
            if sent.id.is_empty() {
                sent.id = expired_id(share, sent.attempt);
            } else if now.since(sent.at) < REPEAT_AFTER {
                continue;
            }
            sent.at = now;
            to_write.push((sent.id.clone(), share.clone()));
        }
        to_write
    }

    /// A rejected event is tried again as the next attempt, when the share is next found due.
    pub fn rejected(&mut self, id: &str) {
        if let Some(sent) = self.sent.values_mut().find(|sent| sent.id == id) {
            sent.attempt += 1;
            sent.id.clear();
        }
    }
}

/// `exp-` and a hash of share, cause, revision and attempt: every writer gives one expiry the same id.
fn expired_id(share: &Due, attempt: u32) -> String {
    let text = format!("{}\0{}\0{}\0{attempt}", share.share, share.cause.word(), share.revision);
    let digest = Sha256::digest(text.as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("exp-{hex}")
}

fn node(kind: Kind) -> Node {
    Node { kind, place: Place::default() }
}

fn map(members: &[(&str, &str)]) -> Node {
    let member = |(name, text): &(&str, &str)| Member {
        name: (*name).to_owned(),
        place: Place::default(),
        value: node(Kind::String((*text).to_owned())),
    };
    node(Kind::Map(members.iter().map(member).collect()))
}

/// The thread that writes ticks and `expired` events.
pub struct Timers<W> {
    /// Appends to the control topic.
    pub writer: W,
    /// Whether this instance is the status writer.
    pub is_elected: Arc<AtomicBool>,
    /// News from the status writer.
    pub news: Receiver<TimerNews>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Part of tick ids, so that no two are alike.
    pub instance: String,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

impl<W: ControlWriter> Timers<W> {
    /// Writes until told to stop. The first tick is written at once, elected or not: it proves that the log takes
    /// writes, so that an instance need not wait for the election before its fence can open.
    pub fn run(mut self) {
        let mut book = ExpiryBook::default();
        let mut next_tick = self.clock.boot();
        let mut is_first = true;
        while !self.stop.load(Ordering::Relaxed) {
            let now = self.clock.boot();
            if now >= next_tick {
                next_tick = now.after(TICK_EVERY);
                if std::mem::take(&mut is_first) || self.is_elected.load(Ordering::Relaxed) {
                    self.tick(now);
                }
            }
            match self.news.recv_timeout(Duration::from_millis(100)) {
                Ok(TimerNews::Due(due)) => {
                    for (id, share) in book.due(&due, self.clock.boot()) {
                        self.expire(&id, &share);
                    }
                }
                Ok(TimerNews::Rejected(id)) => book.rejected(&id),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn tick(&mut self, now: BootTime) {
        let id = format!("tick-{}-{}", self.instance, now.0.as_nanos());
        self.append(&id, "sharecast.control.tick.v1", &map(&[]));
    }

    fn expire(&mut self, id: &str, share: &Due) {
        let data = map(&[("share", share.share.as_str()), ("cause", share.cause.word())]);
        if self.append(id, "sharecast.share.expired.v1", &data) {
            info!(share = share.share.as_str(), cause = share.cause.word(), "share expired");
        }
    }

    fn append(&mut self, id: &str, kind: &str, data: &Node) -> bool {
        let event = event::write_structured(id, "/sharecast", kind, self.clock.wall(), data);
        match self.writer.append(&event) {
            Ok(_) => true,
            Err(error) => {
                warn!(%error, kind, "could not be written to the control topic; tried again");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(revision: u32) -> Due {
        Due { share: ShareId::parse("s1").unwrap(), cause: Cause::Access, revision }
    }

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    #[test]
    fn an_expiry_is_written_once_and_repeated_under_its_id() {
        let mut book = ExpiryBook::default();
        let first = book.due(&[due(2)], at(0));
        assert_eq!(first.len(), 1);
        assert!(book.due(&[due(2)], at(1)).is_empty(), "it is on its way");
        assert_eq!(book.due(&[due(2)], at(31)), first, "a lost one has the same id, so that it cannot count twice");
        assert!(book.due(&[], at(32)).is_empty());
        assert_eq!(book.due(&[due(3)], at(33)).len(), 1, "another revision is another expiry");
    }

    #[test]
    fn a_rejected_expiry_is_the_next_attempt() {
        let mut book = ExpiryBook::default();
        let first = book.due(&[due(2)], at(0));
        book.rejected(&first[0].0);
        let second = book.due(&[due(2)], at(1));
        assert_eq!(second.len(), 1);
        assert_ne!(first[0].0, second[0].0);
        assert_eq!(ExpiryBook::default().due(&[due(2)], at(5)), first, "every writer gives one expiry the same id");
    }
}
