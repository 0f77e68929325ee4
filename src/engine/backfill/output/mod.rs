//! Where a job's records go, one part after the other, each together with the checkpoint after it.

pub mod expiry;
pub mod folder;
pub mod kafka;

use crate::engine::backfill::checkpoint::PartitionEntry;
use crate::engine::backfill::job::JobEnd;
use crate::engine::fence::Closed;
use crate::engine::output::lookup::LookupError;
use crate::engine::output::outbox::Outbox;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::worker::error::TxError;
use crate::transport::ProduceError;

/// What is written at once, whole or not at all.
pub struct Part<'p> {
    /// Of which input partition.
    pub partition: i32,
    /// Outputs and dead letters.
    pub outbox: &'p Outbox,
    /// Where they go.
    pub routes: &'p Routes,
    /// The topic of dead letters.
    pub dead_letters: &'p str,
    /// How far the partition has come with it.
    pub checkpoint: &'p PartitionEntry,
    /// The job's entry, where the part changes it.
    pub entry: Option<&'p [u8]>,
    /// Whether the view that the part was decided by is still fresh: asked last of all.
    pub is_fresh: &'p dyn Fn() -> Result<(), Closed>,
}

/// Writes one worker's parts.
pub trait PartWriter {
    /// Takes a partition over from whoever had it, and returns how far it has come.
    fn open(&mut self, partition: i32) -> Result<PartitionEntry, JobEnd>;

    /// Has the topics of these routes seen, and made where that is wanted. An inner error is a route's own.
    fn look_up(&mut self, routes: &Routes, unseen: &[RouteIndex]) -> Result<Vec<Result<(), LookupError>>, ProduceError>;

    /// The most bytes that a topic takes in one batch, where that is known.
    fn largest_batch(&self, topic: &str) -> Option<usize>;

    /// Writes a part. After an error nothing of it is there, unless the error says that this is not known: then `open` tells.
    fn write(&mut self, part: &Part<'_>) -> Result<(), TxError>;
}

/// Writes nothing: a job that is only tried.
pub struct Nowhere {
    /// By partition, where it begins.
    pub ranges: Vec<super::input::window::InputRange>,
}

impl PartWriter for Nowhere {
    fn open(&mut self, partition: i32) -> Result<PartitionEntry, JobEnd> {
        Ok(PartitionEntry::beginning(self.ranges[partition as usize]))
    }

    fn look_up(&mut self, _: &Routes, unseen: &[RouteIndex]) -> Result<Vec<Result<(), LookupError>>, ProduceError> {
        Ok(unseen.iter().map(|_| Ok(())).collect())
    }

    fn largest_batch(&self, _: &str) -> Option<usize> {
        None
    }

    fn write(&mut self, part: &Part<'_>) -> Result<(), TxError> {
        (part.is_fresh)().map_err(TxError::Aged)
    }
}
