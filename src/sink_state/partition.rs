//! One partition of an upsert stream: where each asset's current document lies, and what is stored of it in targets' topics. The
//! documents themselves stay in the log.
//!
//! A transaction drafts what it is going to change. Whoever asks sees the draft at once; the state takes it over once the
//! transaction is committed, and drops it when another one begins.

use std::hash::{DefaultHasher, Hasher};

use rustc_hash::FxHashMap;

use crate::id::{AssetId, Epoch, Offset, ShareId, StreamIndex, TenantId};
use crate::record::decode::Identity;
use crate::sink_state::entry::Digest;

/// An asset by a hash of its owner's and its own id. Two assets of one hash never show each other's documents: whoever reads a
/// document back looks at whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AssetHash(u64);

impl AssetHash {
    /// Of this identity, the same for the life of the process only.
    pub fn of(identity: Identity<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(identity.tenant.as_bytes());
        // No UTF-8 has this byte.
        hasher.write_u8(0xff);
        hasher.write(identity.asset.as_bytes());
        Self(hasher.finish())
    }
}

/// Where a share's document is stored, and which document it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkEntry {
    /// Whose topic it is.
    pub target: TenantId,
    /// The target's id of the asset when it was written: a share that has another one since leaves a tombstone here first.
    pub key: AssetId,
    /// Of the projected bytes without `_share`: an equal document is not written again.
    pub digest: Digest,
    /// Of which asset it is.
    pub asset: AssetHash,
}

/// A key of a target's topic of the stream.
type SinkKey = (TenantId, AssetId);

/// An asset's current document, as far as it is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// There is none: never sent, deleted, or it cannot be read.
    Absent,
    /// Its only record known lies ahead: what is stored stays until it comes.
    Awaited,
    /// It lies here and must be read back.
    At(Offset),
    /// It is at hand.
    Here,
}

/// What one transaction changes.
#[derive(Debug, Default)]
struct PartitionDraft {
    documents: FxHashMap<AssetHash, Option<Offset>>,
    entries: FxHashMap<ShareId, Option<SinkEntry>>,
    position: Option<Offset>,
    /// Shares that wait for their key no more.
    ungated: Vec<ShareId>,
    /// Whether anything was drafted, even if it was forgotten since.
    is_touched: bool,
}

/// One partition. Whoever asks sees the draft over what is committed.
#[derive(Debug)]
pub struct PartitionState {
    stream: StreamIndex,
    /// Where the newest record of each asset lies that has a value. At or after `position` it is still to come.
    documents: FxHashMap<AssetHash, Offset>,
    entries: FxHashMap<ShareId, SinkEntry>,
    /// The next input record; everything before it is in `documents`.
    position: Offset,
    /// First documents that wait for their key.
    gated: FxHashMap<ShareId, Gated>,
    draft: PartitionDraft,
    /// Whose document is stored at each key, where keys pass without a gate; each names an entry.
    writers: Option<FxHashMap<SinkKey, ShareId>>,
}

/// A first document that waits.
#[derive(Debug, Clone)]
pub struct Gated {
    /// The epoch up to which every partition must have taken back what ended.
    pub needs: Epoch,
    /// In whose topic it waits: a note that names this target as owed keeps it waiting.
    pub target: TenantId,
    /// The asset whose document it is; the newest one counts when the gate opens.
    pub asset: AssetHash,
}

impl PartitionState {
    /// A partition as it was read. Its keys pass from share to share through a gate, so no document of it is ever overwritten.
    pub fn new(stream: StreamIndex, position: Offset, documents: FxHashMap<AssetHash, Offset>) -> Self {
        Self {
            stream,
            documents,
            entries: FxHashMap::default(),
            position,
            gated: FxHashMap::default(),
            draft: PartitionDraft::default(),
            writers: None,
        }
    }

    /// All of a stream, and nothing of it yet. Its gate is always open: what another share overwrites no longer stands. Each
    /// transaction changes one share.
    pub fn whole(stream: StreamIndex) -> Self {
        Self { writers: Some(FxHashMap::default()), ..Self::new(stream, Offset(0), FxHashMap::default()) }
    }

    /// Its stream.
    pub fn stream(&self) -> StreamIndex {
        self.stream
    }

    /// The next input record, without the draft.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// The same with the draft.
    pub fn next_position(&self) -> Offset {
        self.draft.position.unwrap_or(self.position)
    }

    /// Notes what was found standing.
    pub fn found(&mut self, share: ShareId, entry: SinkEntry) {
        self.entries.insert(share, entry);
    }

    /// How many documents are stored.
    pub fn standing(&self) -> usize {
        self.entries.len()
    }

    /// Where the asset's document lies.
    pub fn document(&self, asset: AssetHash) -> Current {
        match self.draft.documents.get(&asset) {
            Some(Some(offset)) => Current::At(*offset),
            Some(None) => Current::Absent,
            None => match self.documents.get(&asset) {
                Some(offset) if *offset >= self.position => Current::Awaited,
                Some(offset) => Current::At(*offset),
                None => Current::Absent,
            },
        }
    }

    /// What is stored of a share.
    pub fn entry(&self, share: &ShareId) -> Option<&SinkEntry> {
        match self.draft.entries.get(share) {
            Some(drafted) => drafted.as_ref(),
            None => self.entries.get(share),
        }
    }

    /// Whether the transaction under way has to do with the partition.
    pub fn is_touched(&self) -> bool {
        self.draft.is_touched
    }

    /// A transaction begins; what the last one drafted and did not commit is dropped.
    pub fn begin(&mut self) {
        self.draft.documents.clear();
        self.draft.entries.clear();
        self.draft.position = None;
        self.draft.ungated.clear();
        self.draft.is_touched = false;
    }

    /// Everything before this offset is read.
    pub fn advance(&mut self, position: Offset) {
        self.draft.position = Some(position);
        self.draft.is_touched = true;
    }

    /// A record of the asset was read: its value is the current document, none if it is null or cannot be read.
    pub fn read(&mut self, asset: AssetHash, offset: Option<Offset>) {
        self.draft.documents.insert(asset, offset);
        self.draft.is_touched = true;
    }

    /// What was drafted for this share is not written after all.
    pub fn forget(&mut self, share: &ShareId) {
        self.draft.entries.remove(share);
        self.draft.ungated.retain(|ungated| ungated != share);
    }

    /// A document of the share will be stored, or none.
    pub(super) fn draft(&mut self, share: &ShareId, entry: Option<SinkEntry>) {
        self.draft.entries.insert(share.clone(), entry);
        self.draft.is_touched = true;
    }

    /// The share waits no more once the transaction is committed.
    pub(super) fn ungate_on_commit(&mut self, share: &ShareId) {
        if self.gated.contains_key(share) {
            self.draft.ungated.push(share.clone());
        }
    }

    /// The epoch that a share's first document waits for: of the first time it was asked for.
    pub(super) fn gate(&mut self, share: &ShareId, target: &TenantId, asset: AssetHash, newest_change: Epoch) -> Epoch {
        if let Some(gated) = self.gated.get(share) {
            return gated.needs;
        }
        self.gated.insert(share.clone(), Gated { needs: newest_change, target: target.clone(), asset });
        newest_change
    }

    /// The share waits no more, or from now on.
    pub fn ungate(&mut self, share: &ShareId) {
        self.gated.remove(share);
    }

    /// Where first documents lie that `is_open` lets pass.
    pub fn passing(&self, mut is_open: impl FnMut(&Gated) -> bool) -> Vec<Offset> {
        self.gated.values().filter(|gated| is_open(gated)).filter_map(|gated| self.lies_at(gated.asset)).collect()
    }

    /// A target's topic lost what was written to it. Returns how many documents are stored there, and where those lie that must be
    /// written again.
    pub fn rewrite(&mut self, target: &TenantId) -> (usize, Vec<Offset>) {
        let mut assets = Vec::new();
        for entry in self.entries.values_mut().filter(|entry| entry.target == *target) {
            entry.digest = Digest(0);
            assets.push(entry.asset);
        }
        (assets.len(), assets.into_iter().filter_map(|asset| self.lies_at(asset)).collect())
    }

    /// Documents at these offsets are gone from the log, with nothing newer. Returns what was stored of them and needs a tombstone.
    pub fn lose(&mut self, offsets: &[Offset]) -> Vec<(ShareId, SinkEntry)> {
        let lost: Vec<AssetHash> = self.documents.iter().filter(|(_, offset)| offsets.contains(offset)).map(|(asset, _)| *asset).collect();
        let is_lost = |entry: &SinkEntry| lost.contains(&entry.asset);
        let entries: Vec<(ShareId, SinkEntry)> =
            self.entries.iter().filter(|(_, entry)| is_lost(entry)).map(|(share, entry)| (share.clone(), entry.clone())).collect();
        lost.into_iter().for_each(|asset| self.read(asset, None));
        entries.iter().for_each(|(share, _)| self.draft(share, None));
        entries
    }

    /// Where the asset's document lies, if it was read; without the draft.
    fn lies_at(&self, asset: AssetHash) -> Option<Offset> {
        self.documents.get(&asset).copied().filter(|offset| *offset < self.position)
    }

    /// The transaction was committed.
    pub fn commit(&mut self) {
        let mut draft = std::mem::take(&mut self.draft);
        for (asset, offset) in draft.documents.drain() {
            match offset {
                Some(offset) => drop(self.documents.insert(asset, offset)),
                None => drop(self.documents.remove(&asset)),
            }
        }
        for (share, entry) in draft.entries.drain() {
            self.note_writer(&share, entry.as_ref());
            match entry {
                Some(entry) => drop(self.entries.insert(share, entry)),
                None => drop(self.entries.remove(&share)),
            }
        }
        for share in draft.ungated.drain(..) {
            self.gated.remove(&share);
        }
        self.position = draft.position.unwrap_or(self.position);
        // With its memory.
        self.draft = draft;
        self.begin();
    }

    /// Follows whose document is stored at each key. An entry whose key another share has now is none any more.
    fn note_writer(&mut self, share: &ShareId, entry: Option<&SinkEntry>) {
        let Some(writers) = &mut self.writers else { return };
        if let Some(before) = self.entries.get(share) {
            writers.remove(&(before.target.clone(), before.key.clone()));
        }
        if let Some(entry) = entry
            && let Some(overwritten) = writers.insert((entry.target.clone(), entry.key.clone()), share.clone())
        {
            self.entries.remove(&overwritten);
        }
    }
}

#[cfg(test)]
mod tests;
