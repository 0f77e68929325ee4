//! Documents that were read and wait to be reconciled, batch by batch.

use std::collections::VecDeque;

use crate::id::Offset;
use crate::transport::{Batch, SourcePartition};

/// Batches of documents in hand.
const MOST_BATCHES: usize = 2;

/// A batch of documents of one partition.
#[derive(Debug)]
pub(super) struct Arrived {
    /// The partition.
    pub(super) partition: SourcePartition,
    /// In which life.
    pub(super) life: u64,
    /// The documents.
    pub(super) records: Batch,
    /// As the answer to a request the offsets asked for, and the log's end when they were read.
    fetched: Option<(Vec<Offset>, Offset)>,
    /// Offsets of those that are done, rising.
    done: Vec<Offset>,
}

/// What was asked for and is done.
#[derive(Debug)]
pub(super) struct Answered {
    /// Of this partition.
    pub(super) partition: SourcePartition,
    /// What of it has left the log.
    pub(super) gone: Vec<Offset>,
    /// The log's end when that was seen.
    pub(super) end: Offset,
}

/// The batches in hand.
#[derive(Debug, Default)]
pub(super) struct ArrivedDocuments {
    batches: VecDeque<Arrived>,
    /// How many documents of the first batch the transaction under way takes.
    taken: Option<usize>,
}

impl ArrivedDocuments {
    /// Whether more may be handed in: those in hand are memory.
    pub(super) fn can_accept(&self) -> bool {
        self.batches.len() < MOST_BATCHES
    }

    /// Takes documents in, after those in hand.
    pub(super) fn push(&mut self, partition: SourcePartition, life: u64, records: Batch, fetched: Option<(Vec<Offset>, Offset)>) {
        self.batches.push_back(Arrived { partition, life, records, fetched, done: Vec::new() });
    }

    /// Partitions were taken back.
    pub(super) fn leave(&mut self, partitions: &[SourcePartition]) {
        self.batches.retain(|arrived| !partitions.contains(&arrived.partition));
    }

    /// The batches in hand.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arrived> {
        self.batches.iter()
    }

    /// A transaction begins.
    pub(super) fn begin(&mut self) {
        self.taken = None;
    }

    /// Takes the first batch out to be worked off, if it `is_ready`; it is given back with how many the transaction takes.
    pub(super) fn take_first(&mut self, is_ready: impl FnOnce(&Arrived) -> bool) -> Option<Arrived> {
        self.batches.pop_front_if(|arrived| is_ready(arrived))
    }

    /// The first batch again.
    pub(super) fn give_back(&mut self, first: Arrived, taken: usize) {
        self.batches.push_front(first);
        self.taken = Some(taken);
    }

    /// The transaction was committed. Returns what was asked for, once the last of it is done.
    pub(super) fn commit(&mut self) -> Option<Answered> {
        let count = self.taken.take()?;
        let first = self.batches.front_mut()?;
        first.done.extend(first.records.iter().take(count).map(|record| record.offset));
        first.records.drop_front(count);
        if !first.records.is_empty() {
            return None;
        }
        let Arrived { partition, fetched, done, .. } = self.batches.pop_front()?;
        let (offsets, end) = fetched?;
        let gone = offsets.into_iter().filter(|offset| done.binary_search(offset).is_err()).collect();
        Some(Answered { partition, gone, end })
    }
}
