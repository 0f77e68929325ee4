//! The status writer (SPEC section 10): one instance at a time writes the status documents that the fold leads to.
//!
//! It is the member that owns the control topic's partition in the group `<group>-status`. The offset it commits is the
//! next control offset whose documents are to be written, in the documents' own transaction: each is there exactly once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, sync_channel};
use std::time::Duration;

use tracing::{error, info, warn};

use super::control::{self, Command, FoldedRecord, Following};
use super::letters::Letter;
use super::routes::{RouteIndex, Routes, Use};
use super::seeing::{self, TopicKind, TopicMaker, Unseen, Wanted};
use super::timers::TimerNews;
use super::topics::{DEAD_LETTERS, SHARES, TopicNames};
use crate::clock::{BootTime, Clock};
use crate::id::{Offset, StreamIndex, TenantId};
use crate::live::Live;
use crate::record::dead_letter::Reason;
use crate::share::status::{StatusDocument, StatusTopic};
use crate::share::table::ShareTable;
use crate::time::Millis;
use crate::transport::{
    Change, ConsumeError, ControlLog, ControlRecord, GroupConsumer, Output, ProduceError, SourcePartition, TransactionalProducer,
};

/// The control topic's one partition, as the election group knows it.
pub const CONTROL_PARTITION: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 0 };
/// Tenants' status topics are routes like any other; no configured stream has this index.
const STATUS_STREAM: StreamIndex = StreamIndex(u8::MAX);
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
pub type Reopen<L> = Box<dyn FnMut(Offset) -> Result<(L, ShareTable, Millis), ConsumeError> + Send>;

/// What the status writer needs.
pub struct StatusWriter<C, P, L> {
    /// Member of `<group>-status`.
    pub election: C,
    /// Makes the producer `<group>-status`; its `init_transactions` fences the one before.
    pub make_producer: Box<dyn FnMut() -> Result<P, ProduceError> + Send>,
    /// For documents that the fold of this process has passed already.
    pub reopen: Reopen<L>,
    /// Says how far the fold of this process has come.
    pub live: Arc<Live>,
    /// To the control thread.
    pub commands: Sender<Command>,
    /// To the timers.
    pub timers: Sender<TimerNews>,
    /// Raised while this instance is the status writer.
    pub is_elected: Arc<AtomicBool>,
    /// Names of output topics.
    pub names: TopicNames,
    /// Creates missing topics.
    pub topic_maker: Arc<dyn TopicMaker>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
    /// Tenants' status topics.
    pub routes: Routes,
}

/// A second reading of the control topic, behind the fold's.
struct Behind<L> {
    log: L,
    table: ShareTable,
    control_time: Millis,
    /// Read, and left for later because they lie behind what was asked for.
    unfolded: VecDeque<ControlRecord>,
}

impl<L: ControlLog> Behind<L> {
    /// Everything before it is folded.
    fn position(&self) -> Result<Offset, ConsumeError> {
        self.unfolded.front().map_or_else(|| self.log.position(), |record| Ok(record.offset))
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

impl From<ConsumeError> for Over {
    fn from(error: ConsumeError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// One turn as the status writer.
struct Turn<P> {
    producer: P,
    /// The next control offset whose documents are to be written, as committed.
    committed: Offset,
    /// The same for what is pending.
    next: Offset,
    pending: Vec<FoldedRecord>,
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
                Over::Left => is_mine = false,
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

    /// Polls the election; answers whether the partition is ours if that has changed.
    fn poll_election(&mut self, wait: Duration) -> Result<Option<bool>, ConsumeError> {
        let (mut unread, mut changes, mut answer) = (crate::transport::Batch::default(), Vec::new(), None);
        let polled = self.election.poll(wait, 1, &mut unread, &mut changes);
        for change in changes {
            match change {
                Change::Assigned(partitions) if partitions.contains(&CONTROL_PARTITION) => {
                    // The fold reads the topic; this consumer only stands for the election.
                    self.election.pause()?;
                    answer = Some(true);
                }
                Change::Revoked(partitions) if partitions.contains(&CONTROL_PARTITION) => answer = Some(false),
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
        self.routes.forget_seen();
        let committed = self.election.committed(&[CONTROL_PARTITION], Duration::from_secs(5))?[0].unwrap_or(Offset(0));
        self.is_elected.store(true, Ordering::Relaxed);
        info!(from = committed.0, "this instance writes the status topics");
        let mut turn = Turn { producer, committed, next: committed, pending: Vec::new(), committed_at: self.clock.boot() };
        loop {
            // The fold is followed only when little is left to read, or it would run away again meanwhile.
            let mut behind = None;
            while self.live.load().position.0 - turn.next.0 > FOLLOW_ROOM as i64 / 4 {
                self.catch_up(&mut turn, &mut behind, self.live.load().position)?;
            }
            let (follower, following) = sync_channel(FOLLOW_ROOM);
            let first = self.follow(follower)?;
            if turn.next < first {
                self.catch_up(&mut turn, &mut behind, first)?;
            }
            drop(behind);
            self.keep_up(&mut turn, &following)?;
            // Cut off: the log is read again from what is committed.
            turn.pending.clear();
            turn.next = turn.committed;
        }
    }

    fn follow(&self, follower: SyncSender<Following>) -> Result<Offset, Over> {
        let (reply, answer) = sync_channel(1);
        self.commands.send(Command::Follow { follower, reply }).map_err(|_| Over::Left)?;
        loop {
            match answer.recv_timeout(Duration::from_millis(100)) {
                Ok(first) => return Ok(first),
                Err(RecvTimeoutError::Timeout) if !self.stop.load(Ordering::Relaxed) => {}
                Err(_) => return Err(Over::Left),
            }
        }
    }

    /// Folds anew, in a table of its own, what the process has folded already but nobody has written: all before `until`.
    fn catch_up(&mut self, turn: &mut Turn<P>, behind: &mut Option<Behind<L>>, until: Offset) -> Result<(), Over> {
        info!(from = turn.next.0, until = until.0, "status documents are behind; folding them again");
        let reader = match behind {
            Some(reader) => reader,
            None => {
                let (log, mut table, control_time) = (self.reopen)(turn.next)?;
                table.forget_grants();
                behind.insert(Behind { log, table, control_time, unfolded: VecDeque::new() })
            }
        };
        while reader.position()? < until {
            if reader.unfolded.is_empty() {
                let mut records = Vec::new();
                reader.log.poll(Duration::from_millis(100), &mut records)?;
                reader.unfolded.extend(records);
            }
            let mut documents = turn.pending.iter().map(|record| record.documents.len()).sum::<usize>();
            while documents < CAUGHT_UP_AT_ONCE
                && turn.pending.len() < FOLLOW_ROOM
                && let Some(record) = reader.unfolded.pop_front_if(|record| record.offset < until)
            {
                reader.control_time = reader.control_time.max(record.timestamp);
                let folded = reader.table.fold(record.offset, reader.control_time, control::read(&record));
                if record.offset >= turn.next {
                    documents += folded.documents.len();
                    turn.pending.push(control::followed(&record, folded, &self.names.control).1);
                }
            }
            if documents >= CAUGHT_UP_AT_ONCE || turn.pending.len() >= FOLLOW_ROOM {
                self.write(turn)?;
            }
            self.stay(Duration::ZERO)?;
        }
        self.write(turn)
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
                    Following::Folded(record) if record.offset < turn.next => {}
                    Following::Folded(record) => {
                        documents += record.documents.len();
                        self.tell_rejections(&record);
                        turn.pending.push(record);
                    }
                    Following::Position(_) => {}
                    Following::Due(due) => drop(self.timers.send(TimerNews::Due(due))),
                }
                if documents < DOCUMENTS_AT_ONCE {
                    next = following.try_recv().ok();
                }
            }
            let is_due = self.clock.boot().since(turn.committed_at) >= COMMIT_EVERY;
            if turn.pending.iter().any(|record| !record.documents.is_empty() || record.dead_letter.is_some())
                || (is_due && !turn.pending.is_empty())
            {
                self.write(turn)?;
            }
        }
    }

    fn tell_rejections(&self, record: &FoldedRecord) {
        for document in &record.documents {
            if let Some(id) = document.key.strip_prefix("rejected:")
                && id.starts_with("exp-")
            {
                let _ = self.timers.send(TimerNews::Rejected(id.to_owned()));
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

    /// Writes what is pending with the offset to go on from, in one transaction; a tenant topic that fails is opened
    /// and its documents go to the dead letters.
    fn write(&mut self, turn: &mut Turn<P>) -> Result<(), Over> {
        let Some(last) = turn.pending.last() else { return Ok(()) };
        let next = Offset(last.offset.0 + 1);
        loop {
            self.see_routes(turn)?;
            turn.producer.begin()?;
            match self.try_write(turn, next) {
                Ok(()) => break,
                Err(errors) => {
                    let is_fatal = errors.iter().any(|e| matches!(e, ProduceError::Fatal(_) | ProduceError::Fenced(_)));
                    if !is_fatal {
                        turn.producer.abort()?;
                    }
                    let mut is_routes_alone = !is_fatal;
                    for error in errors {
                        match error {
                            ProduceError::Route { topic, reason } | ProduceError::Refused { topic, reason } => {
                                match self.routes.of_topic(&topic) {
                                    Some(route) => {
                                        error!(
                                            topic,
                                            reason, "status topic failed: its documents go to the dead letters until it answers again"
                                        );
                                        self.routes.failed(route, reason, self.clock.boot());
                                    }
                                    None => return Err(Over::Failed(format!("{topic}: {reason}"))),
                                }
                            }
                            ProduceError::Unreachable { topic, reason } => match self.routes.of_topic(&topic) {
                                Some(route) if self.routes.doubted(route, self.clock.boot()) => {
                                    error!(
                                        topic,
                                        reason, "status topic does not answer: its documents go to the dead letters until it does"
                                    );
                                    self.routes.failed(route, reason, self.clock.boot());
                                }
                                _ => return Err(Over::Failed(format!("{topic}: {reason}"))),
                            },
                            other if is_routes_alone => {
                                is_routes_alone = false;
                                warn!(error = %other, "status transaction aborted");
                            }
                            _ => {}
                        }
                    }
                    if !is_routes_alone {
                        return Err(Over::Failed("status transaction aborted".into()));
                    }
                }
            }
        }
        self.note_answers(turn);
        turn.pending.clear();
        (turn.committed, turn.next, turn.committed_at) = (next, next, self.clock.boot());
        Ok(())
    }

    fn note_answers(&mut self, turn: &Turn<P>) {
        let (routes, names) = (&mut self.routes, &self.names);
        let tenants = turn.pending.iter().flat_map(|record| &record.documents).filter_map(|document| match &document.topic {
            StatusTopic::Tenant(tenant) => Some(tenant),
            _ => None,
        });
        let answered: Vec<_> = tenants.map(|tenant| routes.find(tenant, STATUS_STREAM, || names.of_status(tenant))).collect();
        routes.answered(answered.into_iter());
    }

    fn see_routes(&mut self, turn: &mut Turn<P>) -> Result<(), Over> {
        let mut unseen = Vec::new();
        for document in turn.pending.iter().flat_map(|record| &record.documents) {
            let StatusTopic::Tenant(tenant) = &document.topic else { continue };
            let route = self.routes.find(tenant, STATUS_STREAM, || self.names.of_status(tenant));
            if self.routes.use_at(route, self.clock.boot()) == Use::LookUp {
                unseen.push(route);
            }
        }
        unseen.sort_unstable();
        unseen.dedup();
        let wanted = |route: &RouteIndex| Wanted {
            topic: self.routes.get(*route).topic.clone(),
            kind: TopicKind::Status,
            is_waited_for: self.routes.is_new(*route),
        };
        let wanted: Vec<Wanted> = unseen.iter().map(wanted).collect();
        let seen = seeing::see(&mut turn.producer, &*self.topic_maker, &*self.clock, &self.stop, &wanted)?;
        for (route, seen) in unseen.into_iter().zip(seen) {
            let seen = match seen {
                Ok(()) => Ok(()),
                Err(Unseen::Unreachable(reason)) if !self.routes.doubted(route, self.clock.boot()) => return Err(Over::Failed(reason)),
                Err(Unseen::Failed(reason) | Unseen::Unreachable(reason)) => Err(reason),
            };
            match seen {
                Ok(()) => self.routes.ready(route, self.clock.boot()),
                Err(reason) => {
                    let topic = &self.routes.get(route).topic;
                    error!(topic, reason, "status topic cannot be used: its documents go to the dead letters until it can");
                    self.routes.failed(route, reason, self.clock.boot());
                }
            }
        }
        Ok(())
    }

    fn try_write(&mut self, turn: &mut Turn<P>, next: Offset) -> Result<(), Vec<ProduceError>> {
        let one = |error: ProduceError| vec![error];
        let now = self.clock.boot();
        for record in &turn.pending {
            for document in &record.documents {
                let StatusTopic::Tenant(tenant) = &document.topic else {
                    put_document(&mut turn.producer, SHARES, document).map_err(one)?;
                    continue;
                };
                let route = self.routes.find(tenant, STATUS_STREAM, || self.names.of_status(tenant));
                match self.routes.open_reason(route) {
                    Some(reason) if self.routes.use_at(route, now) != Use::Write => {
                        let letter = diverted(&self.names, tenant, document, record.offset, reason);
                        letter.put(&mut turn.producer, DEAD_LETTERS).map_err(one)?;
                    }
                    _ => put_document(&mut turn.producer, &self.routes.get(route).topic, document).map_err(one)?,
                }
            }
            if let Some(letter) = &record.dead_letter {
                letter.put(&mut turn.producer, DEAD_LETTERS).map_err(one)?;
            }
        }
        turn.producer.drain()?;
        let membership = self.election.membership().ok_or_else(|| one(ProduceError::StaleMember("not a member".into())))?;
        turn.producer.send_offsets(&[(CONTROL_PARTITION, next)], membership).map_err(one)?;
        turn.producer.commit().map_err(|error| {
            // The outcome is settled by the next turn's `init_transactions`, so nothing may be assumed here.
            one(ProduceError::Fatal(error.to_string()))
        })
    }
}

fn put_document<P: TransactionalProducer>(producer: &mut P, topic: &str, document: &StatusDocument) -> Result<(), ProduceError> {
    producer.put(Output {
        topic,
        key: Some(document.key.as_bytes()),
        timestamp: document.timestamp,
        value: Some(&document.value),
        headers: &[],
    })
}

fn diverted(names: &TopicNames, tenant: &TenantId, document: &StatusDocument, offset: Offset, reason: &str) -> Letter {
    Letter {
        topic: names.control.clone(),
        partition: 0,
        offset,
        reason: Reason::RouteFailed,
        message: format!("route {} failed: {reason}", names.of_status(tenant)),
        key: Some(document.key.clone().into_bytes()),
        value: Some(document.value.clone()),
        timestamp: document.timestamp,
    }
}
