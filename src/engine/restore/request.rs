//! What a worker wants to have read besides the group's records, and what comes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

use rustc_hash::FxHashMap;

use crate::engine::output::route::RouteIndex;
use crate::engine::topic::state::OwedNote;
use crate::id::{AssetId, Offset, ShareId, TenantId};
use crate::sink_state::note::Reconciled;
use crate::sink_state::partition::{AssetHash, SinkEntry};
use crate::time::TimestampMs;
use crate::transport::{Batch, ConsumeError, SourcePartition};

/// A partition as long as one worker has it: taken back and assigned again, it has a new one.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The partition.
    pub partition: SourcePartition,
    /// Its generation: what was read for another one is dropped.
    pub life: u64,
    /// Raised when nobody wants it any more.
    pub cancelled: Arc<AtomicBool>,
    /// Rises whenever the one who reads for it gets on.
    pub progress: Arc<AtomicU64>,
}

/// Offsets of which no record came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub from: Offset,
    /// The record that came instead; none where nothing came at all.
    pub to: Option<Offset>,
}

/// What another client found in a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapContent {
    /// No record.
    Nothing,
    /// A record, and where: it was passed over.
    Record(Offset),
    /// The log begins after the gap's first offset: nobody can say any more.
    Gone,
}

/// What a worker wants to have read.
#[derive(Debug, Clone)]
pub enum RestoreRequest {
    /// Everything about a partition that was just assigned, or begun at this offset.
    Load(Assignment, Option<Offset>),
    /// The documents at these offsets, rising.
    Fetch(Assignment, Vec<Offset>),
    /// Where an append partition is read on, and which routes are owed how much of it.
    Notes(Assignment),
    /// What a route is owed, from this offset on, so many records at most.
    Again(Assignment, RouteIndex, Offset, usize),
    /// Whether a gap holds a record.
    Gap(Assignment, Gap),
}

impl RestoreRequest {
    pub(super) fn ticket(&self) -> &Assignment {
        let (Self::Load(ticket, _) | Self::Fetch(ticket, _) | Self::Notes(ticket) | Self::Again(ticket, ..) | Self::Gap(ticket, _)) = self;
        ticket
    }
}

/// What was read, and of which partition in which life.
#[derive(Debug)]
pub struct RestoreEvent {
    /// The partition.
    pub partition: SourcePartition,
    /// The generation it was read for; a worker drops it if it holds the partition in another one.
    pub life: u64,
    /// What was read.
    pub what: RestorePayload,
}

/// What was read.
#[derive(Debug)]
pub enum RestorePayload {
    /// The partition has no committed offset. It is begun now, unless a note says that it was begun before: then the offset is
    /// lost, and going on by a guess would double or skip records.
    Unbegun {
        /// Whether there is such a note.
        was_begun: bool,
    },
    /// Where the partition is.
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
        /// The offset that was asked for.
        from: Offset,
        /// The records.
        records: Batch,
        /// The offset after the last one, where the log goes on.
        behind: Offset,
    },
    /// What a gap holds.
    Gap(Gap, GapContent),
    /// The input can never be read.
    Failed(ConsumeError),
}

/// A partition as it was read.
#[derive(Debug)]
pub struct Loaded {
    /// The committed offset, or where it is begun.
    pub position: Offset,
    /// What the last owner noted; `Reconciled::NOTHING` where the note is missing or not ours: then all is looked at.
    pub note: Reconciled,
    /// The newest offset of each asset that has a value, before `position` where there is one.
    pub documents: FxHashMap<AssetHash, Offset>,
    /// The entries of its standing partition that are not null.
    pub standing: Vec<FoundEntry>,
}

/// A document that is stored.
#[derive(Debug, Clone)]
pub struct FoundEntry {
    /// The share that wrote it.
    pub share: ShareId,
    /// Whose asset.
    pub owner: TenantId,
    /// Which.
    pub asset: AssetId,
    /// Where it is, and which document it is.
    pub stood: SinkEntry,
    /// When it was written.
    pub written_at: TimestampMs,
    /// The Kafka timestamp of the null record, if that is the asset's newest one before the partition's position.
    pub deleted_at: Option<TimestampMs>,
}
