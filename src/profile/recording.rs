//! What is noted of a walk: where each byte of its template came from, and what it saw of the record's values.

use super::trie::TrieIndex;
use crate::json::tape::NodeIndex;
use std::ops::Range;

/// Where a byte of a template comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteOrigin {
    /// The record, this byte of it.
    Record(u32),
    /// It is written whatever the record says.
    Fixed,
    /// It belongs to what was made by this entry of `WalkRecording::made`.
    Made(u32),
    /// It belongs to a piece of the record without its blanks, by its place in `WalkRecording::compacted`.
    Compacted(u32),
}

/// What is noted of one walk.
#[derive(Debug, Default)]
pub(super) struct WalkRecording {
    /// Of each byte of the template.
    pub(super) origins: Vec<ByteOrigin>,
    pub(super) compacted: Vec<Range<usize>>,
    /// Every filter that was asked, also about what is not shown in the end.
    pub(super) judged: Vec<JudgedFilter>,
    /// Every value that actions were applied to, also one that is not shown in the end.
    pub(super) made: Vec<MadeValue>,
}

/// What a filter said of a value.
#[derive(Debug, Clone, Copy)]
pub(super) struct JudgedFilter {
    pub(super) at: TrieIndex,
    pub(super) filter: usize,
    pub(super) node: NodeIndex,
    pub(super) holds: bool,
}

/// What actions were applied to, one after the other, and whether they left something.
#[derive(Debug)]
pub(super) struct MadeValue {
    pub(super) node: NodeIndex,
    pub(super) transforms: Vec<u32>,
    pub(super) is_kept: bool,
}
