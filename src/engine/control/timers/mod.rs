//! Ticks and `expired` events: what the engine itself appends to the control topic.
//!
//! They go through an idempotent producer outside transactions, so that no open transaction ever hides what lies behind.

mod expiry;
mod tick;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::Clock;
use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::engine::control::timers::expiry::ExpiryBook;
pub use crate::engine::control::timers::tick::TICK_EVERY;
use crate::engine::control::timers::tick::TickPace;
use crate::engine::feed::DueShares;
use crate::engine::fence::Fence;
use crate::id::Offset;
use crate::share::event;
use crate::transport::ControlWriter;

/// It is looked this often whether a tick is due.
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn node(kind: DocumentKind) -> Node {
    Node { kind, place: TextPosition::default() }
}

fn map(members: &[(&str, &str)]) -> Node {
    let member = |(name, text): &(&str, &str)| Member {
        name: (*name).to_owned(),
        place: TextPosition::default(),
        value: node(DocumentKind::String((*text).to_owned())),
    };
    node(DocumentKind::Map(members.iter().map(member).collect()))
}

/// The thread that writes ticks and `expired` events.
pub struct Timers<W> {
    /// Appends to the control topic.
    pub writer: W,
    /// Whether this instance is the status writer.
    pub is_elected: Arc<AtomicBool>,
    /// News from the status writer.
    pub news: Receiver<DueShares>,
    /// Knows when a tick was folded last.
    pub fence: Arc<Mutex<Fence>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Part of tick ids, so that no two are alike.
    pub instance: String,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

/// What is known from one look to the next.
struct Course {
    pace: TickPace,
    /// It outlives a term: an event of unknown outcome may come into the log at any time.
    book: ExpiryBook,
    /// While this instance is the status writer.
    term: Option<Term>,
}

/// A term as the status writer.
#[derive(Debug, Default)]
struct Term {
    /// The offset of its first tick. What the writer before this one has written lies before it, so nothing is written by a list
    /// that does not reach it.
    began: Option<Offset>,
}

impl<W: ControlWriter> Timers<W> {
    /// Writes until told to stop. The first tick is written at once, elected or not: it proves that the log takes
    /// writes, so that an instance need not wait for the election before its fence can open.
    pub fn run(mut self) {
        let max_tick_age = self.fence.lock().expect("the fence is never left half changed").limits().max_tick_age;
        let pace = TickPace::new(max_tick_age, &self.instance, self.clock.boot());
        let mut course = Course { pace, book: ExpiryBook::default(), term: None };
        while !self.stop.load(Ordering::Relaxed) {
            self.look_at_election(&mut course);
            self.tick(&mut course);
            let mut newest = match self.news.recv_timeout(LOOK_EVERY) {
                Ok(due) => due,
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // While an append waited for its acknowledgement the fold went on: older lists name shares that are over by now.
            while let Ok(due) = self.news.try_recv() {
                newest = due;
            }
            self.expire(&newest, &mut course);
        }
    }

    fn is_elected(&self) -> bool {
        self.is_elected.load(Ordering::Relaxed)
    }

    fn look_at_election(&self, course: &mut Course) {
        if course.term.is_some() != self.is_elected() {
            course.term = self.is_elected().then(Term::default);
            course.pace.elected(self.clock.boot());
        }
    }

    /// Writes a tick if one is due.
    fn tick(&mut self, course: &mut Course) {
        let (now, is_elected) = (self.clock.boot(), course.term.is_some());
        let folded_at = self.fence.lock().expect("the fence is never left half changed").ticked_at();
        if !course.pace.is_due(now, is_elected, folded_at) {
            return;
        }
        let id = format!("tick-{}-{}", self.instance, now.0.as_nanos());
        let written = self.append(&id, "sharecast.control.tick.v1", &map(&[]));
        course.pace.wrote(self.clock.boot(), is_elected, written.is_some());
        if let (Some(term), Some(offset)) = (&mut course.term, written) {
            term.began.get_or_insert(offset);
        }
    }

    /// Writes the `expired` events that are due. One that is not acknowledged ends the round: the log takes no writes.
    fn expire(&mut self, shares: &DueShares, course: &mut Course) {
        if shares.is_whole {
            course.book.retain(&shares.due);
        }
        for share in &shares.due {
            if self.stop.load(Ordering::Relaxed) || !self.is_elected() {
                return;
            }
            self.tick(course);
            let is_of_term = course.term.as_ref().and_then(|term| term.began).is_some_and(|began| shares.position > began);
            if !is_of_term {
                return;
            }
            let Some(id) = course.book.due_id(share, shares.position, self.clock.boot()) else { continue };
            let data = map(&[("share", share.share.as_str()), ("cause", share.cause.word())]);
            let Some(offset) = self.append(&id, "sharecast.share.expired.v1", &data) else { return };
            course.book.written(share, offset);
            info!(share = share.share.as_str(), cause = share.cause.word(), offset = offset.0, "the end of a share is written");
        }
    }

    /// Appends an event; where it is not acknowledged it may be in the log or not.
    fn append(&mut self, id: &str, kind: &str, data: &Node) -> Option<Offset> {
        let event = event::write_structured(id, "/sharecast", kind, self.clock.wall(), data);
        match self.writer.append(&event) {
            Ok(offset) => Some(offset),
            Err(error) => {
                warn!(%error, kind, "could not be written to the control topic; tried again");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
