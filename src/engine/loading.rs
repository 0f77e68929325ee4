//! Reading what an upsert partition has come to (SPEC section 10): what stands, where the documents lie, and the documents of
//! shared assets, to be held against today's graph.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::counter;
use rustc_hash::FxHashMap;
use tracing::{debug, error, info, warn};

use super::owed::{OwedNote, note_prefix, read_note};
use super::routes::RouteIndex;
use super::topics::{STATE, TopicNames, standing_topic};
use crate::id::{AssetId, Offset, ShareId, StreamIndex, TenantId};
use crate::live::Live;
use crate::record::decode::{self, Identity};
use crate::record::mapping::Stream;
use crate::standing::entry::{self, StandingEntry};
use crate::standing::holding::{AssetHash, Stood};
use crate::standing::note::Reconciled;
use crate::transport::{Archive, Batch, ConsumeError, Record, SourcePartition};

/// One wait for records.
const WAIT: Duration = Duration::from_millis(200);
/// Records read at a time.
const ROOM: usize = 2_000;
/// Documents handed on at a time, so that a worker that brings them keeps telemetry flowing.
const DOCUMENTS_AT_ONCE: usize = 300;
/// And their bytes.
const BYTES_AT_ONCE: usize = 2 << 20;
/// Two documents wanted that lie further apart are sought one by one.
const LEAP: i64 = 2_000;
/// A reader that brings nothing for so many waits is given up, and begun anew.
const MOST_IDLE: usize = 150;

/// A partition as long as one worker has it: taken back and assigned again, it has a new one.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The partition.
    pub partition: SourcePartition,
    /// Told apart by this.
    pub life: u64,
    /// Raised when nobody wants it any more.
    pub is_unwanted: Arc<AtomicBool>,
}

/// What a worker wants to have read.
#[derive(Debug, Clone)]
pub enum Job {
    /// Everything about a partition that was just assigned, or begun at this offset.
    Load(Ticket, Option<Offset>),
    /// The documents at these offsets, rising.
    Fetch(Ticket, Vec<Offset>),
    /// Where an append partition is read on, and which routes are owed how much of it.
    Notes(Ticket),
    /// What a route is owed, from this offset on, so many records at most.
    Again(Ticket, RouteIndex, Offset, usize),
}

impl Job {
    fn ticket(&self) -> &Ticket {
        let (Self::Load(ticket, _) | Self::Fetch(ticket, _) | Self::Notes(ticket) | Self::Again(ticket, ..)) = self;
        ticket
    }
}

/// What was read, and of which partition in which life.
#[derive(Debug)]
pub struct News {
    /// The partition.
    pub partition: SourcePartition,
    /// The ticket's.
    pub life: u64,
    /// What was read.
    pub what: Read,
}

/// What was read.
#[derive(Debug)]
pub enum Read {
    /// The partition has no committed offset yet.
    Unbegun,
    /// Where the partition stands.
    Loaded(Box<Loaded>),
    /// Documents, or records that were taken for some.
    Documents {
        /// The records.
        records: Batch,
        /// As the answer to `Fetch` the offsets asked for, and the log's end when they were read: what is missing among the
        /// records has gone from the log.
        fetched: Option<(Vec<Offset>, Offset)>,
    },
    /// Where an append partition is read on, and what routes are owed of it.
    Notes(Offset, Vec<OwedNote>),
    /// What a route is owed.
    Again {
        /// The route.
        route: RouteIndex,
        /// From here on.
        from: Offset,
        /// The records.
        records: Batch,
        /// What follows behind them.
        behind: Offset,
    },
    /// The input can never be read.
    Failed(ConsumeError),
}

/// A partition as it was read.
#[derive(Debug)]
pub struct Loaded {
    /// Where reading goes on.
    pub position: Offset,
    /// What the last owner noted.
    pub note: Reconciled,
    /// Where the documents lie.
    pub documents: FxHashMap<AssetHash, Offset>,
    /// What stands.
    pub standing: Vec<Found>,
}

/// A document that stands.
#[derive(Debug, Clone)]
pub struct Found {
    /// The share that wrote it.
    pub share: ShareId,
    /// Whose asset.
    pub owner: TenantId,
    /// Which.
    pub asset: AssetId,
    /// Where it stands, and which document it is.
    pub stood: Stood,
}

/// What reading needs besides the archive.
#[derive(Clone)]
pub struct Surroundings {
    /// Shares that matter, and the ids that they have in memory already.
    pub live: Arc<Live>,
    /// The configured streams.
    pub streams: Arc<[Stream]>,
    /// Names of topics.
    pub names: TopicNames,
    /// `kafka.group`.
    pub group: String,
}

/// Why reading ended early.
enum Cut {
    /// Nobody wants it any more.
    Unwanted,
    /// The cluster does not answer, or worse.
    Failed(ConsumeError),
}

impl From<ConsumeError> for Cut {
    fn from(error: ConsumeError) -> Self {
        Self::Failed(error)
    }
}

impl Surroundings {
    /// Carries a job out; `tell` answers whether anybody still listens. What does not answer is asked again behind a `rest`.
    pub fn carry_out<A: Archive>(&self, job: &Job, archive: &mut A, tell: &mut dyn FnMut(News) -> bool, rest: &mut dyn FnMut()) {
        let ticket = job.ticket();
        let &Ticket { partition, life, .. } = ticket;
        let mut tell = |what| tell(News { partition, life, what });
        loop {
            let done = match job {
                Job::Load(_, begun) => self.load(ticket, *begun, archive, &mut tell),
                Job::Fetch(_, offsets) => self.fetch(ticket, offsets, archive, &mut tell),
                Job::Notes(_) => self.read_notes(ticket, archive, &mut tell),
                Job::Again(_, route, from, room) => self.read_again(ticket, (*route, *from), *room, archive, &mut tell),
            };
            match done {
                Ok(()) | Err(Cut::Unwanted) => return,
                Err(Cut::Failed(ConsumeError::Unavailable(reason))) => {
                    debug!(reason, ?partition, "what an upsert partition has come to cannot be read at the moment");
                    if ticket.is_unwanted.load(Ordering::Relaxed) {
                        return;
                    }
                    rest();
                }
                Err(Cut::Failed(error)) => {
                    tell(Read::Failed(error));
                    return;
                }
            }
        }
    }

    fn stream(&self, StreamIndex(index): StreamIndex) -> &Stream {
        &self.streams[usize::from(index)]
    }

    fn load<A: Archive>(
        &self,
        ticket: &Ticket,
        begun: Option<Offset>,
        archive: &mut A,
        tell: &mut dyn FnMut(Read) -> bool,
    ) -> Result<(), Cut> {
        let Ticket { partition, is_unwanted, .. } = ticket;
        let (partition, stream) = (*partition, self.stream(partition.stream));
        let (position, note) = match begun {
            Some(first) => (first, Vec::new()),
            None => {
                let Some(committed) = archive.committed(&stream.topic, partition.partition)? else {
                    tell(Read::Unbegun);
                    return Ok(());
                };
                committed
            }
        };
        self.check_partitions(stream, archive)?;
        let note = Reconciled::read(&note).unwrap_or(Reconciled::NOTHING);
        let mut standing = self.read_standing(stream, partition, is_unwanted, archive)?;
        let documents = find_documents(stream, partition, position, is_unwanted, archive)?;
        for found in &mut standing {
            let hash = AssetHash::of(Identity { tenant: found.owner.as_str(), asset: found.asset.as_str() });
            found.stood.offset = documents.get(&hash).copied().unwrap_or(found.stood.offset);
        }
        info!(
            topic = stream.topic,
            partition = partition.partition,
            documents = documents.len(),
            standing = standing.len(),
            "upsert partition read"
        );
        if !tell(Read::Loaded(Box::new(Loaded { position, note, documents, standing }))) {
            return Err(Cut::Unwanted);
        }
        self.show_documents(stream, partition, position, is_unwanted, archive, tell)
    }

    fn read_notes<A: Archive>(&self, ticket: &Ticket, archive: &mut A, tell: &mut dyn FnMut(Read) -> bool) -> Result<(), Cut> {
        let partition = ticket.partition;
        let topic = &self.stream(partition.stream).topic;
        let Some((position, _)) = archive.committed(topic, partition.partition)? else {
            tell(Read::Unbegun);
            return Ok(());
        };
        let prefix = note_prefix(&self.group, topic, partition.partition);
        let mut notes = BTreeMap::new();
        let state = SourcePartition { partition: 0, ..partition };
        read_whole(archive, STATE, state, None, &ticket.is_unwanted, &mut |record| {
            if let Some(key) = record.key.filter(|key| key.starts_with(prefix.as_bytes())) {
                match record.value.and_then(read_note) {
                    Some(note) => drop(notes.insert(key.to_vec(), note)),
                    None => drop(notes.remove(key)),
                }
            }
            true
        })?;
        tell(Read::Notes(position, notes.into_values().collect()));
        Ok(())
    }

    fn read_again<A: Archive>(
        &self,
        ticket: &Ticket,
        (route, from): (RouteIndex, Offset),
        room: usize,
        archive: &mut A,
        tell: &mut dyn FnMut(Read) -> bool,
    ) -> Result<(), Cut> {
        let partition = ticket.partition;
        let topic = &self.stream(partition.stream).topic;
        let bounds = archive.turn_to(topic, partition.partition, Some(from))?;
        if bounds.start > from {
            let lost = (bounds.start.0 - from.0) as u64;
            error!(topic, partition = partition.partition, lost, "the input's retention has dropped records that a route was owed");
            counter!("sharecast_owed_lost_total").increment(lost);
        }
        let (mut records, mut behind, mut idle) = (Batch::default(), from.max(bounds.start), 0);
        while records.is_empty() && behind < bounds.end {
            if ticket.is_unwanted.load(Ordering::Relaxed) {
                return Err(Cut::Unwanted);
            }
            let at = archive.read(WAIT, room, partition, &mut records)?;
            idle = if at == behind { idle + 1 } else { 0 };
            if idle > MOST_IDLE {
                return Err(Cut::Failed(ConsumeError::Unavailable(format!("{topic} could not be read again"))));
            }
            behind = at;
        }
        tell(Read::Again { route, from, records, behind });
        Ok(())
    }

    /// A key's partition must not change: what stands is kept by the input's partition.
    fn check_partitions<A: Archive>(&self, stream: &Stream, archive: &mut A) -> Result<(), ConsumeError> {
        let standing = standing_topic(&stream.name);
        let (input, kept) = (archive.partitions(&stream.topic)?, archive.partitions(&standing)?);
        match (input, kept) {
            (Some(input), Some(kept)) if input == kept => Ok(()),
            (Some(input), Some(kept)) => Err(ConsumeError::Refused(format!(
                "{} has {input} partitions and {standing} has {kept}: an upsert input must keep its number of partitions, or assets change theirs.                  Make a new topic with {kept} partitions, or stop sharecast, delete {standing} and the tenants' topics of this stream, and begin                  it under another kafka.group",
                stream.topic
            ))),
            _ => Err(ConsumeError::Unavailable(format!("{} or {standing} is not seen", stream.topic))),
        }
    }

    fn read_standing<A: Archive>(
        &self,
        stream: &Stream,
        partition: SourcePartition,
        is_unwanted: &AtomicBool,
        archive: &mut A,
    ) -> Result<Vec<Found>, Cut> {
        let topic = standing_topic(&stream.name);
        let mut standing: FxHashMap<Vec<u8>, Found> = FxHashMap::default();
        read_whole(archive, &topic, partition, None, is_unwanted, &mut |record| {
            let Some(key) = record.key else { return true };
            match record.value.and_then(|value| self.found(stream, key, value)) {
                Some(found) => drop(standing.insert(key.to_vec(), found)),
                None => drop(standing.remove(key)),
            }
            true
        })?;
        Ok(standing.into_values().collect())
    }

    /// An entry with the ids that the graph has in memory already, where they are the same.
    fn found(&self, stream: &Stream, key: &[u8], value: &[u8]) -> Option<Found> {
        let Some(((topic, place), entry)) = entry::read_key(key).zip(StandingEntry::read(value)) else {
            warn!(stream = stream.name.as_str(), "a standing entry cannot be read and is left alone: was it written by another program?");
            return None;
        };
        if topic != self.names.of_stream(&entry.target, &stream.name) {
            warn!(topic, "documents stand in a topic that output.topic does not name any more; they are left to whoever renamed it");
            return None;
        }
        let mut found = Found {
            share: entry.share,
            owner: entry.owner,
            asset: entry.asset,
            stood: Stood { target: entry.target, key: AssetId::parse(place).ok()?, digest: entry.digest, offset: entry.offset },
        };
        let view = self.live.load();
        let grants = view.graph.asset(found.owner.as_str(), found.asset.as_str()).map_or(&[][..], |shares| &shares.grants);
        if let Some(grant) = grants.iter().find(|grant| grant.share == found.share) {
            found.share = grant.share.clone();
            if grant.target == found.stood.target {
                found.stood.target = grant.target.clone();
            }
            if grant.target_asset == found.stood.key {
                found.stood.key = grant.target_asset.clone();
            }
        }
        Some(found)
    }

    /// Hands on the documents of shared assets, those that something newer has replaced among them: who takes them knows.
    fn show_documents<A: Archive>(
        &self,
        stream: &Stream,
        partition: SourcePartition,
        position: Offset,
        is_unwanted: &AtomicBool,
        archive: &mut A,
        tell: &mut dyn FnMut(Read) -> bool,
    ) -> Result<(), Cut> {
        let (mut view, mut seen) = (self.live.load(), 0);
        let mut records = Batch::default();
        let mut is_wanted = true;
        read_whole(archive, &stream.topic, partition, Some(position), is_unwanted, &mut |record| {
            seen += 1;
            if seen % ROOM == 0 {
                view = self.live.load();
            }
            let identity = decode::outer_identity(stream, record.key, record.headers.iter()).ok().and_then(|outer| outer.complete());
            let is_shared = identity
                .and_then(|id| view.graph.asset(id.tenant, id.asset))
                .is_some_and(|shares| shares.grants.iter().any(|grant| grant.streams.contains(stream.index)));
            if is_shared && record.value.is_some() {
                copy(&record, &mut records);
            }
            if records.len() >= DOCUMENTS_AT_ONCE || records.bytes() >= BYTES_AT_ONCE {
                is_wanted = tell(Read::Documents { records: std::mem::take(&mut records), fetched: None });
            }
            is_wanted
        })?;
        if !records.is_empty() {
            tell(Read::Documents { records, fetched: None });
        }
        Ok(())
    }

    fn fetch<A: Archive>(
        &self,
        ticket: &Ticket,
        offsets: &[Offset],
        archive: &mut A,
        tell: &mut dyn FnMut(Read) -> bool,
    ) -> Result<(), Cut> {
        let partition = ticket.partition;
        let topic = &self.stream(partition.stream).topic;
        let mut records = Batch::default();
        let (mut read, mut end) = (Batch::default(), Offset(i64::MAX));
        let mut wanted = offsets.iter().copied().peekable();
        let mut at: Option<Offset> = None;
        while let Some(&next) = wanted.peek() {
            if at.is_none_or(|at| next.0 - at.0 > LEAP || next < at) {
                end = end.min(archive.turn_to(topic, partition.partition, Some(next))?.end);
                at = Some(next);
            }
            if next >= end {
                break;
            }
            let (mut idle, target) = (0, next);
            // Up to the record or past its place.
            while at.is_some_and(|at| at <= target) && at.is_some_and(|at| at < end) {
                if ticket.is_unwanted.load(Ordering::Relaxed) {
                    return Err(Cut::Unwanted);
                }
                read.clear();
                let behind = archive.read(WAIT, ROOM, partition, &mut read)?;
                idle = if at == Some(behind) { idle + 1 } else { 0 };
                if idle > MOST_IDLE {
                    return Err(Cut::Failed(ConsumeError::Unavailable("nothing comes".into())));
                }
                at = Some(behind);
                for record in read.iter() {
                    while wanted.next_if(|wanted| *wanted < record.offset).is_some() {}
                    if wanted.next_if(|wanted| *wanted == record.offset).is_some() {
                        copy(&record, &mut records);
                    }
                }
            }
            while wanted.next_if(|wanted| at.is_some_and(|at| *wanted < at)).is_some() {}
            if at.is_some_and(|at| at >= end) {
                break;
            }
        }
        tell(Read::Documents { records, fetched: Some((offsets.to_vec(), end)) });
        Ok(())
    }
}

/// The newest record of each asset that has a value: in front of `position`, or behind it where there is none in front.
fn find_documents<A: Archive>(
    stream: &Stream,
    partition: SourcePartition,
    position: Offset,
    is_unwanted: &AtomicBool,
    archive: &mut A,
) -> Result<FxHashMap<AssetHash, Offset>, Cut> {
    let mut documents = FxHashMap::default();
    read_whole(archive, &stream.topic, partition, None, is_unwanted, &mut |record| {
        let identity = decode::outer_identity(stream, record.key, record.headers.iter()).ok().and_then(|outer| outer.complete());
        let Some(asset) = identity.map(AssetHash::of) else { return true };
        match record.value {
            Some(_) if record.offset < position => drop(documents.insert(asset, record.offset)),
            // What is to come must not pass for nothing: compaction may have kept it and dropped the one before.
            Some(_) => drop(documents.entry(asset).or_insert(record.offset)),
            None if record.offset < position => drop(documents.remove(&asset)),
            None => {}
        }
        true
    })?;
    documents.shrink_to_fit();
    Ok(documents)
}

/// Shows a partition from its beginning to `until`, or to its end as it is now, while `each` wants more.
fn read_whole<A: Archive>(
    archive: &mut A,
    topic: &str,
    partition: SourcePartition,
    until: Option<Offset>,
    is_unwanted: &AtomicBool,
    each: &mut dyn FnMut(Record<'_>) -> bool,
) -> Result<(), Cut> {
    let bounds = archive.turn_to(topic, partition.partition, None)?;
    let end = until.map_or(bounds.end, |until| until.min(bounds.end));
    let (mut at, mut idle, mut read) = (bounds.start, 0, Batch::default());
    while at < end {
        if is_unwanted.load(Ordering::Relaxed) {
            return Err(Cut::Unwanted);
        }
        read.clear();
        let behind = archive.read(WAIT, ROOM, partition, &mut read)?;
        idle = if behind == at { idle + 1 } else { 0 };
        if idle > MOST_IDLE {
            // An open transaction, or a log that was cut meanwhile: everything is asked anew.
            return Err(Cut::Failed(ConsumeError::Unavailable(format!("{topic} could not be read to its end"))));
        }
        for record in read.iter().filter(|record| record.offset < end) {
            if !each(record) {
                return Err(Cut::Unwanted);
            }
        }
        at = behind;
    }
    Ok(())
}

fn copy(record: &Record<'_>, into: &mut Batch) {
    into.push(record.source, record.offset, record.timestamp, record.key, record.value, record.headers.iter());
}
