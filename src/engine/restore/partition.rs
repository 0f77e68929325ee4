//! Reading what an upsert partition has come to (docs/rules/upserts.md#taking-over): what is stored, where the documents lie, and the
//! documents of shared assets, to be held against today's graph.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rustc_hash::FxHashMap;
use tracing::{debug, info, warn};

use crate::engine::restore::request::{Assignment, FoundEntry, Loaded, RestoreEvent, RestorePayload, RestoreRequest};
use crate::engine::topic::names::TopicNames;
use crate::id::{AssetId, Offset, StreamIndex};
use crate::live::Live;
use crate::record::decode;
use crate::record::decode::Identity;
use crate::record::mapping::Stream;
use crate::sink_state::entry;
use crate::sink_state::entry::StandingEntry;
use crate::sink_state::note::Reconciled;
use crate::sink_state::partition::{AssetHash, SinkEntry};
use crate::time::TimestampMs;
use crate::topic::PartitionName;
use crate::transport::{Archive, Batch, ConsumeError, LogBounds, Record, SourcePartition};

/// One wait for records.
pub(super) const WAIT: Duration = Duration::from_millis(200);
/// Records read at a time.
pub(super) const ROOM: usize = 2_000;
/// Documents handed on at a time, so that a worker that brings them keeps telemetry flowing.
const DOCUMENTS_AT_ONCE: usize = 300;
/// And their bytes.
const BYTES_AT_ONCE: usize = 2 << 20;
/// A reader that brings nothing for so many waits is given up, and begun again.
pub(super) const MOST_IDLE: usize = 150;

/// What reading needs besides the archive.
#[derive(Clone)]
pub struct RestoreContext {
    /// Shares that matter, and the ids that they have in memory already.
    pub live: Arc<Live>,
    /// The configured streams.
    pub streams: Arc<[Stream]>,
    /// Names of topics.
    pub names: TopicNames,
    /// `kafka.group`.
    pub group: String,
    /// Whether there are notes of begun partitions: a mock cluster keeps no offsets, so every start is a first one there.
    pub keeps_notes: bool,
}

/// Why reading ended early.
pub(super) enum ReadEnd {
    /// Nobody wants it any more.
    Unwanted,
    /// The cluster does not answer, or worse.
    Failed(ConsumeError),
}

impl From<ConsumeError> for ReadEnd {
    fn from(error: ConsumeError) -> Self {
        Self::Failed(error)
    }
}

impl RestoreContext {
    /// Carries a job out; `tell` returns whether anybody still listens. What does not answer is asked again after a `rest`.
    pub fn carry_out<A: Archive>(
        &self,
        job: &RestoreRequest,
        archive: &mut A,
        tell: &mut dyn FnMut(RestoreEvent) -> bool,
        rest: &mut dyn FnMut(),
    ) {
        let ticket = job.ticket();
        let &Assignment { partition, life, .. } = ticket;
        if let RestoreRequest::Notes(ticket) = job {
            while !self.read_notes(vec![ticket.clone()], archive, tell).is_empty() {
                rest();
            }
            return;
        }
        let mut tell = |what| tell(RestoreEvent { partition, life, what });
        let archive = &mut Watched { archive, progress: &ticket.progress };
        loop {
            let done = match job {
                RestoreRequest::Load(_, begun) => self.load(ticket, *begun, archive, &mut tell),
                RestoreRequest::Fetch(_, offsets) => self.fetch(ticket, offsets, archive, &mut tell),
                RestoreRequest::Notes(_) => Ok(()),
                RestoreRequest::Again(_, route, from, room) => self.read_again(ticket, (*route, *from), *room, archive, &mut tell),
                RestoreRequest::Gap(_, gap) => self.look_into(ticket, *gap, archive, &mut tell),
            };
            match done {
                Ok(()) | Err(ReadEnd::Unwanted) => return,
                Err(ReadEnd::Failed(ConsumeError::Unavailable(reason))) => {
                    debug!(reason, partition = %self.name_of(partition), "what an upsert partition has come to cannot be read at the moment");
                    if ticket.cancelled.load(Ordering::Relaxed) {
                        return;
                    }
                    rest();
                }
                Err(ReadEnd::Failed(error)) => {
                    tell(RestorePayload::Failed(error));
                    return;
                }
            }
        }
    }

    fn name_of(&self, partition: SourcePartition) -> PartitionName<'_> {
        PartitionName(&self.stream(partition.stream).topic, partition.partition)
    }

    pub(super) fn stream(&self, StreamIndex(index): StreamIndex) -> &Stream {
        &self.streams[usize::from(index)]
    }

    fn load<A: Archive>(
        &self,
        ticket: &Assignment,
        begun: Option<Offset>,
        archive: &mut A,
        tell: &mut dyn FnMut(RestorePayload) -> bool,
    ) -> Result<(), ReadEnd> {
        let Assignment { partition, cancelled, .. } = ticket;
        let (partition, stream) = (*partition, self.stream(partition.stream));
        let (position, note) = match begun {
            Some(first) => (first, Vec::new()),
            None => {
                let Some(committed) = archive.committed(&stream.topic, partition.partition)? else {
                    let was_begun = self.was_begun(ticket, archive)?;
                    tell(RestorePayload::Unbegun { was_begun });
                    return Ok(());
                };
                committed
            }
        };
        self.check_partitions(stream, archive)?;
        let note = Reconciled::read(&note).unwrap_or(Reconciled::NOTHING);
        let mut standing = self.read_standing(stream, partition, cancelled, archive)?;
        // Of these alone it matters when they were deleted.
        let mut deleted: FxHashMap<AssetHash, Option<TimestampMs>> = standing.iter().map(|found| (found.stood.asset, None)).collect();
        let documents = find_documents(stream, partition, position, cancelled, archive, &mut deleted)?;
        standing.iter_mut().for_each(|found| found.deleted_at = deleted.get(&found.stood.asset).copied().flatten());
        info!(
            partition = %self.name_of(partition),
            documents = documents.len(),
            standing = standing.len(),
            "upsert partition read"
        );
        if !tell(RestorePayload::Loaded(Box::new(Loaded { position, note, documents, standing }))) {
            return Err(ReadEnd::Unwanted);
        }
        self.show_documents(stream, partition, position, cancelled, archive, tell)
    }

    /// A key's partition must not change: what is stored is kept by the input's partition.
    fn check_partitions<A: Archive>(&self, stream: &Stream, archive: &mut A) -> Result<(), ConsumeError> {
        let standing = self.names.own.standing(&stream.name);
        let (input, kept) = (archive.partitions(&stream.topic)?, archive.partitions(&standing)?);
        match (input, kept) {
            (Some(input), Some(kept)) if input == kept => Ok(()),
            (Some(input), Some(kept)) => Err(ConsumeError::Refused(format!(
                "{} has {input} partitions and {standing} has {kept}: an upsert input must keep its number of partitions, or assets change theirs. \
                     Make a new topic with {kept} partitions, or stop sharecast, delete {standing} and the tenants' topics of this stream, and begin \
                     it under another kafka.group",
                stream.topic
            ))),
            _ => Err(ConsumeError::Unavailable(format!("{} or {standing} is not seen", stream.topic))),
        }
    }

    fn read_standing<A: Archive>(
        &self,
        stream: &Stream,
        partition: SourcePartition,
        cancelled: &AtomicBool,
        archive: &mut A,
    ) -> Result<Vec<FoundEntry>, ReadEnd> {
        let topic = self.names.own.standing(&stream.name);
        let mut standing: FxHashMap<Vec<u8>, FoundEntry> = FxHashMap::default();
        read_whole(archive, &topic, partition, None, cancelled, &mut |record| {
            let Some(key) = record.key else { return true };
            match record.value.and_then(|value| self.found(stream, key, value, record.timestamp)) {
                Some(found) => drop(standing.insert(key.to_vec(), found)),
                None => drop(standing.remove(key)),
            }
            true
        })?;
        Ok(standing.into_values().collect())
    }

    /// An entry with the ids that the graph has in memory already, where they are the same.
    fn found(&self, stream: &Stream, key: &[u8], value: &[u8], written_at: TimestampMs) -> Option<FoundEntry> {
        let Some(((topic, place), entry)) = entry::read_key(key).zip(StandingEntry::read(value)) else {
            warn!(stream = stream.name.as_str(), "a standing entry cannot be read and is left alone: was it written by another program?");
            return None;
        };
        if topic != self.names.of_stream(&entry.target, &stream.name) {
            warn!(topic, "documents stand in a topic that output.topic does not name any more; they are left to whoever renamed it");
            return None;
        }
        let asset = AssetHash::of(Identity { tenant: entry.owner.as_str(), asset: entry.asset.as_str() });
        let mut found = FoundEntry {
            share: entry.share,
            owner: entry.owner,
            asset: entry.asset,
            stood: SinkEntry { target: entry.target, key: AssetId::parse(place).ok()?, digest: entry.digest, asset },
            written_at,
            deleted_at: None,
        };
        let view = self.live.load();
        let shares = view.graph.asset(found.owner.as_str(), found.asset.as_str());
        if let Some(grant) = shares.and_then(|shares| shares.grant(found.share.as_str())) {
            found.share = grant.share.clone();
            if *grant.target == found.stood.target {
                found.stood.target = grant.target.clone();
            }
            if *grant.target_asset == found.stood.key {
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
        cancelled: &AtomicBool,
        archive: &mut A,
        tell: &mut dyn FnMut(RestorePayload) -> bool,
    ) -> Result<(), ReadEnd> {
        let (mut view, mut seen) = (self.live.load(), 0);
        let mut records = Batch::default();
        let mut is_wanted = true;
        read_whole(archive, &stream.topic, partition, Some(position), cancelled, &mut |record| {
            seen += 1;
            if seen % ROOM == 0 {
                view = self.live.load();
            }
            let identity = decode::outer_identity(stream, record.key, record.headers.iter()).ok().and_then(|outer| outer.complete());
            let is_shared = identity
                .and_then(|id| view.graph.asset(id.tenant, id.asset))
                .is_some_and(|shares| shares.grants().any(|grant| grant.streams.contains(stream.index)));
            if is_shared && record.value.is_some() {
                copy(&record, &mut records);
            }
            if records.len() >= DOCUMENTS_AT_ONCE || records.bytes() >= BYTES_AT_ONCE {
                is_wanted = tell(RestorePayload::Documents { records: std::mem::take(&mut records), fetched: None });
            }
            is_wanted
        })?;
        if !records.is_empty() {
            tell(RestorePayload::Documents { records, fetched: None });
        }
        Ok(())
    }
}

/// An archive that notes whenever reading gets on.
struct Watched<'a, A> {
    archive: &'a mut A,
    progress: &'a AtomicU64,
}

impl<A: Archive> Archive for Watched<'_, A> {
    fn committed(&mut self, topic: &str, partition: i32) -> Result<Option<(Offset, Vec<u8>)>, ConsumeError> {
        self.archive.committed(topic, partition)
    }

    fn committed_of_each(&mut self, partitions: &[(&str, i32)]) -> Vec<Result<Option<(Offset, Vec<u8>)>, ConsumeError>> {
        self.archive.committed_of_each(partitions)
    }

    fn rest(&mut self) {
        self.archive.rest();
    }

    fn partitions(&mut self, topic: &str) -> Result<Option<i32>, ConsumeError> {
        self.archive.partitions(topic)
    }

    fn turn_to(&mut self, topic: &str, partition: i32, from: Option<Offset>) -> Result<LogBounds, ConsumeError> {
        self.archive.turn_to(topic, partition, from)
    }

    fn read(&mut self, wait: Duration, room: usize, source: SourcePartition, into: &mut Batch) -> Result<Offset, ConsumeError> {
        let before = into.len();
        let behind = self.archive.read(wait, room, source, into)?;
        self.progress.fetch_add(u64::from(into.len() > before), Ordering::Relaxed);
        Ok(behind)
    }
}

/// The newest record of each asset that has a value: in front of `position`, or after it where there is none in front. `deleted` learns
/// when its assets were deleted whose newest record in front of `position` is a null one.
fn find_documents<A: Archive>(
    stream: &Stream,
    partition: SourcePartition,
    position: Offset,
    cancelled: &AtomicBool,
    archive: &mut A,
    deleted: &mut FxHashMap<AssetHash, Option<TimestampMs>>,
) -> Result<FxHashMap<AssetHash, Offset>, ReadEnd> {
    let mut documents = FxHashMap::default();
    read_whole(archive, &stream.topic, partition, None, cancelled, &mut |record| {
        let identity = decode::outer_identity(stream, record.key, record.headers.iter()).ok().and_then(|outer| outer.complete());
        let Some(asset) = identity.map(AssetHash::of) else { return true };
        if record.offset < position
            && let Some(deleted_at) = deleted.get_mut(&asset)
        {
            *deleted_at = record.value.is_none().then_some(record.timestamp);
        }
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
pub(super) fn read_whole<A: Archive>(
    archive: &mut A,
    topic: &str,
    partition: SourcePartition,
    until: Option<Offset>,
    cancelled: &AtomicBool,
    each: &mut dyn FnMut(Record<'_>) -> bool,
) -> Result<(), ReadEnd> {
    let bounds = archive.turn_to(topic, partition.partition, None)?;
    let end = until.map_or(bounds.end, |until| until.min(bounds.end));
    let (mut at, mut idle, mut read) = (bounds.start, 0, Batch::default());
    while at < end {
        if cancelled.load(Ordering::Relaxed) {
            return Err(ReadEnd::Unwanted);
        }
        read.clear();
        let behind = archive.read(WAIT, ROOM, partition, &mut read)?;
        idle = if behind == at { idle + 1 } else { 0 };
        if idle > MOST_IDLE {
            // An open transaction, or a log that was cut meanwhile: everything is asked again.
            return Err(ReadEnd::Failed(ConsumeError::Unavailable(format!("{topic} could not be read to its end"))));
        }
        for record in read.iter().filter(|record| record.offset < end) {
            if !each(record) {
                return Err(ReadEnd::Unwanted);
            }
        }
        at = behind;
    }
    Ok(())
}

pub(super) fn copy(record: &Record<'_>, into: &mut Batch) {
    into.push(record.source, record.offset, record.timestamp, record.key, record.value, record.headers.iter());
}
