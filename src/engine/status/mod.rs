//! The status writer (docs/rules/exactly-once.md#the-status-writer): one instance at a time writes the status documents that the fold
//! leads to.
//!
//! It is the member that owns the control topic's partition in the group `<group>-status`. The offset it commits is the
//! next control offset whose documents are to be written, in the documents' own transaction: each is there exactly once.

pub mod writer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::time::Duration;

use tracing::{info, warn};

use super::control;
use crate::clock::{BootTime, Clock};
use crate::engine::feed::{ControlCommand, DueShares, Following};
use crate::engine::fence::epoch_report::MemberId;
use crate::engine::status::writer::{StatusDocuments, StatusUnwritten};
use crate::id::{Offset, StreamIndex};
use crate::live::Live;
use crate::share::table::ShareTable;
use crate::time::TimestampMs;
use crate::transport::{
    AssignmentChange, ConsumeError, ControlLog, ControlRecord, GroupConsumer, ProduceError, SourcePartition, TransactionalProducer,
};

/// The control topic's one partition, as the election group knows it.
pub const CONTROL_PARTITION: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 0 };
/// One transaction holds at most about this many documents.
const DOCUMENTS_AT_ONCE: usize = 2_000;
/// The same while catching up, where fewer and larger transactions are quicker.
const CAUGHT_UP_AT_ONCE: usize = 10_000;
/// A position without documents is committed this often, so that a successor has little to read again.
const COMMIT_EVERY: Duration = Duration::from_secs(5);
/// How many folded records may wait for the writer before it is cut off and reads the log by itself.
const FOLLOW_ROOM: usize = 20_000;
/// Pause after a setback.
const PAUSE: Duration = Duration::from_millis(500);

/// Opens the control topic with a table folded up to some offset at or below the one given.
pub type Reopen<L> = Box<dyn FnMut(Offset) -> Result<(L, ShareTable, TimestampMs), ConsumeError> + Send>;

/// What the status writer needs.
pub struct StatusWriter<C, P, L> {
    /// Member of `<group>-status`.
    pub election: C,
    /// Told which member that is.
    pub member: Arc<MemberId>,
    /// Makes the producer `<group>-status`; its `init_transactions` fences the one before.
    pub make_producer: Box<dyn FnMut() -> Result<P, ProduceError> + Send>,
    /// For documents that the fold of this process has passed already.
    pub reopen: Reopen<L>,
    /// Says how far the fold of this process has come.
    pub live: Arc<Live>,
    /// To the control thread.
    pub commands: Sender<ControlCommand>,
    /// To the timers.
    pub timers: Sender<DueShares>,
    /// Raised while this instance is the status writer.
    pub is_elected: Arc<AtomicBool>,
    /// What is to be written.
    pub documents: StatusDocuments,
    /// The second reading of the log, while there is one.
    pub behind: Option<Behind<L>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

/// A second reading of the control topic, later than the fold's. It outlives a turn whose writing failed: nothing need be folded again.
pub struct Behind<L> {
    log: L,
    table: ShareTable,
    control_time: TimestampMs,
    /// Read, and left for later because they lie after what was asked for.
    unfolded: VecDeque<ControlRecord>,
}

impl<L: ControlLog> Behind<L> {
    /// Everything before it is folded.
    fn position(&self) -> Result<Offset, ConsumeError> {
        self.unfolded.front().map_or_else(|| self.log.position(), |record| Ok(record.offset))
    }

    /// Folds some records before `until`, as many as one transaction should write; returns whether there were any left. After an
    /// error it must not be used again.
    fn fold(&mut self, until: Offset, documents: &mut StatusDocuments) -> Result<bool, ConsumeError> {
        if self.position()? >= until {
            return Ok(false);
        }
        if self.unfolded.is_empty() {
            let mut records = Vec::new();
            self.log.poll(Duration::from_millis(100), &mut records)?;
            self.unfolded.extend(records);
        }
        let mut count = documents.count();
        while count < CAUGHT_UP_AT_ONCE
            && documents.records() < FOLLOW_ROOM
            && let Some(record) = self.unfolded.pop_front_if(|record| record.offset < until)
        {
            self.control_time = self.control_time.max(record.timestamp);
            let folded = self.table.fold(record.offset, self.control_time, control::read(&record));
            count += folded.documents.len();
            documents.push(Arc::new(control::followed(&record, folded, &documents.names.control).1));
        }
        Ok(true)
    }
}

/// Why the writer's turn is over.
enum Over {
    /// The partition went to another instance, or the process ends.
    Left,
    /// Something failed; the turn may begin again.
    Failed(String),
}

impl From<ProduceError> for Over {
    fn from(error: ProduceError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<StatusUnwritten> for Over {
    fn from(StatusUnwritten(why): StatusUnwritten) -> Self {
        Self::Failed(why)
    }
}

impl From<ConsumeError> for Over {
    fn from(error: ConsumeError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// One turn as the status writer.
struct Turn<P> {
    producer: P,
    committed_at: BootTime,
}

impl<C, P, L> StatusWriter<C, P, L>
where
    C: GroupConsumer,
    P: TransactionalProducer<Membership = C::Membership>,
    L: ControlLog,
{
    /// Takes part in the election until told to stop, and writes whenever it is elected.
    pub fn run(mut self) -> Result<(), ConsumeError> {
        let mut is_mine = false;
        while !self.stop.load(Ordering::Relaxed) {
            match self.poll_election(Duration::from_millis(100)) {
                Ok(Some(now_mine)) => is_mine = now_mine,
                Ok(None) => {}
                Err(ConsumeError::Unavailable(_)) => continue,
                Err(other) => return Err(other),
            }
            if !is_mine {
                continue;
            }
            match self.take_turn() {
                Over::Left => {
                    is_mine = false;
                    self.behind = None;
                }
                Over::Failed(reason) => {
                    warn!(reason, "status writer: trying again");
                    let until = self.clock.boot().after(PAUSE);
                    while self.clock.boot() < until {
                        match self.poll_election(Duration::from_millis(50)) {
                            // It may go and come back meanwhile; nobody else would write then.
                            Ok(Some(now_mine)) => is_mine = now_mine,
                            Ok(None) | Err(ConsumeError::Unavailable(_)) => {}
                            Err(other) => return Err(other),
                        }
                    }
                }
            }
            self.is_elected.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Polls the election; returns whether the partition is ours if that has changed.
    fn poll_election(&mut self, wait: Duration) -> Result<Option<bool>, ConsumeError> {
        let (mut unread, mut changes, mut answer) = (crate::transport::Batch::default(), Vec::new(), None);
        let polled = self.election.poll(wait, 1, &mut unread, &mut changes);
        if !changes.is_empty() {
            self.member.set(self.election.member_id());
        }
        for change in changes {
            match change {
                AssignmentChange::Assigned(partitions) if partitions.contains(&CONTROL_PARTITION) => {
                    // The fold reads the topic; this consumer only stands for the election.
                    self.election.pause()?;
                    answer = Some(true);
                }
                AssignmentChange::Revoked(partitions) if partitions.contains(&CONTROL_PARTITION) => answer = Some(false),
                _ => {}
            }
        }
        match polled {
            // A change that came with the error would not come again.
            Err(error) if answer.is_none() || !matches!(error, ConsumeError::Unavailable(_)) => Err(error),
            _ => Ok(answer),
        }
    }

    fn take_turn(&mut self) -> Over {
        match self.try_turn() {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    fn try_turn(&mut self) -> Result<std::convert::Infallible, Over> {
        // Fences the writer before us; only then may its offset be read.
        let producer = (self.make_producer)()?;
        let committed = self.election.committed(&[CONTROL_PARTITION], Duration::from_secs(5))?[0].unwrap_or(Offset(0));
        self.is_elected.store(true, Ordering::Relaxed);
        info!(from = committed.0, "this instance writes the status topics");
        let mut turn = Turn { producer, committed_at: self.clock.boot() };
        if !self.documents.take_over(committed, self.behind.is_some()) {
            self.behind = None;
        }
        loop {
            // The fold is followed only when little is left to read, or it would run away again meanwhile.
            while self.live.load().position.0 - self.documents.next().0 > FOLLOW_ROOM as i64 / 4 {
                self.catch_up(&mut turn, self.live.load().position)?;
            }
            let (follower, following) = sync_channel(FOLLOW_ROOM);
            let first = self.follow(self.documents.next(), follower)?;
            if self.documents.next() < first {
                self.catch_up(&mut turn, first)?;
            }
            self.behind = None;
            self.keep_up(&mut turn, &following)?;
            // Cut off: what was written last is where to go on.
            self.documents.restart(self.documents.next());
        }
    }

    fn follow(&self, from: Offset, follower: SyncSender<Following>) -> Result<Offset, Over> {
        let (reply, answer) = sync_channel(1);
        self.commands.send(ControlCommand::Follow { from, follower, reply }).map_err(|_| Over::Left)?;
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(first) => return Ok(first),
                Err(RecvTimeoutError::Timeout) if !self.stop.load(Ordering::Relaxed) => {}
                Err(_) => return Err(Over::Left),
            }
        }
    }

    /// Folds again, in a table of its own, what the process has folded already but nobody has written: all before `until`.
    fn catch_up(&mut self, turn: &mut Turn<P>, until: Offset) -> Result<(), Over> {
        info!(from = self.documents.next().0, until = until.0, "status documents are behind; folding them again");
        if self.behind.is_none() {
            let (log, table, control_time) = (self.reopen)(self.documents.next())?;
            self.behind = Some(Behind { log, table, control_time, unfolded: VecDeque::new() });
        }
        while let Some(reader) = &mut self.behind {
            match reader.fold(until, &mut self.documents) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    // What a poll handed out before its error would be missing for ever.
                    self.behind = None;
                    return Err(error.into());
                }
            }
            if self.documents.count() >= CAUGHT_UP_AT_ONCE || self.documents.records() >= FOLLOW_ROOM {
                self.write(turn)?;
            }
            self.stay(Duration::ZERO)?;
        }
        self.write(turn)
    }

    fn write(&mut self, turn: &mut Turn<P>) -> Result<(), Over> {
        self.documents.write(&mut turn.producer, self.election.membership())?;
        turn.committed_at = self.clock.boot();
        Ok(())
    }

    /// Writes what the fold tells, until it cuts us off.
    fn keep_up(&mut self, turn: &mut Turn<P>, following: &Receiver<Following>) -> Result<(), Over> {
        loop {
            self.stay(Duration::ZERO)?;
            let mut next = match following.recv_timeout(Duration::from_millis(100)) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let mut documents = 0;
            while let Some(what) = next.take() {
                match what {
                    // The fold of this process may be behind what another instance has written already.
                    Following::Folded(record) if record.offset < self.documents.next() => {}
                    Following::Folded(record) => {
                        documents += record.documents.len();
                        self.documents.push(record);
                    }
                    Following::Position(_) => {}
                    Following::Due(due) => drop(self.timers.send(due)),
                }
                if documents < DOCUMENTS_AT_ONCE {
                    next = following.try_recv().ok();
                }
            }
            let is_due = self.clock.boot().since(turn.committed_at) >= COMMIT_EVERY;
            if is_due || self.documents.has_output() {
                self.write(turn)?;
            }
        }
    }

    /// Stays in the election; an error if the turn is over.
    fn stay(&mut self, wait: Duration) -> Result<(), Over> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Over::Left);
        }
        match self.poll_election(wait) {
            Ok(Some(false)) => Err(Over::Left),
            Ok(_) | Err(ConsumeError::Unavailable(_)) => Ok(()),
            Err(other) => Err(other.into()),
        }
    }
}
