//! One partition of an upsert stream in memory: where each asset's current document lies, and what stands of it. The documents
//! themselves stay in the log.
//!
//! A transaction drafts what it is going to change; the holding takes the draft over once it is committed.

use std::hash::{DefaultHasher, Hasher};

use rustc_hash::FxHashMap;

use super::entry::Digest;
use crate::id::{AssetId, Epoch, Offset, ShareId, TenantId};
use crate::record::decode::Identity;

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

/// Where a share's document stands, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stood {
    /// Whose topic it is.
    pub target: TenantId,
    /// Its key.
    pub key: AssetId,
    /// What was written.
    pub digest: Digest,
    /// Of which asset it is.
    pub asset: AssetHash,
}

/// An asset's current document, as far as it is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// There is none: never sent, deleted, or it cannot be read.
    Absent,
    /// Its only record known lies ahead: what stands, stands until it comes.
    Awaited,
    /// It lies here and must be read back.
    At(Offset),
    /// It is at hand.
    Here,
}

/// What must be done for one share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bring {
    /// Whether what stands gets a tombstone.
    pub clears: bool,
    /// What follows.
    pub then: Then,
}

/// What follows behind a tombstone, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// Nothing.
    Rest,
    /// The document at this offset has to be read back, and the share brought again.
    Fetch(Offset),
    /// The document at hand stands here already unless it is another one.
    Compare,
    /// The share's first document at this place: it waits until nobody else's stands there (docs/rules/upserts.md#keys-that-pass-on),
    /// then it is fetched, or written if it is at hand.
    First,
}

/// Decides for one share: `place` is where its document has to stand by today's graph and time, none if it must not.
pub fn bring(stood: Option<&Stood>, place: Option<(&TenantId, &AssetId)>, current: Current) -> Bring {
    let is_there = stood.zip(place).is_some_and(|(stood, (target, key))| stood.target == *target && stood.key == *key);
    let then = match (place, current) {
        (None, _) | (_, Current::Absent | Current::Awaited) => Then::Rest,
        (Some(_), Current::At(offset)) if is_there => Then::Fetch(offset),
        (Some(_), Current::Here) if is_there => Then::Compare,
        (Some(_), Current::At(_) | Current::Here) => Then::First,
    };
    Bring { clears: stood.is_some() && (!is_there || current == Current::Absent), then }
}

/// What one transaction changes. It is dropped when the transaction is aborted.
#[derive(Debug, Default)]
pub struct Draft {
    documents: FxHashMap<AssetHash, Option<Offset>>,
    stood: FxHashMap<ShareId, Option<Stood>>,
    position: Option<Offset>,
}

/// One partition.
#[derive(Debug)]
pub struct Holding {
    /// Where the newest record of each asset lies that has a value. At or behind `position` it is still to come.
    documents: FxHashMap<AssetHash, Offset>,
    stood: FxHashMap<ShareId, Stood>,
    /// The next input record; everything before it is in `documents`.
    position: Offset,
    /// First documents that wait for their place.
    gated: FxHashMap<ShareId, Gated>,
}

/// A first document that waits.
#[derive(Debug, Clone)]
pub struct Gated {
    /// The epoch up to which every partition must have taken back what ended.
    pub needs: Epoch,
    /// In whose topic.
    pub target: TenantId,
    /// Whose document.
    pub asset: AssetHash,
}

impl Holding {
    /// A partition as it was read.
    pub fn new(position: Offset, documents: FxHashMap<AssetHash, Offset>) -> Self {
        Self { documents, stood: FxHashMap::default(), position, gated: FxHashMap::default() }
    }

    /// The next input record.
    pub fn position(&self) -> Offset {
        self.position
    }

    /// Notes what was found standing.
    pub fn found(&mut self, share: ShareId, stood: Stood) {
        self.stood.insert(share, stood);
    }

    /// How many documents stand.
    pub fn standing(&self) -> usize {
        self.stood.len()
    }

    /// Everything that stands.
    pub fn all_stood(&self) -> impl Iterator<Item = (&ShareId, &Stood)> {
        self.stood.iter()
    }

    /// The same, to forget what was written, so that it is written again.
    pub fn all_stood_mut(&mut self) -> impl Iterator<Item = &mut Stood> {
        self.stood.values_mut()
    }

    /// Where the asset's document lies, in front of the position or behind it.
    pub fn document(&self, asset: AssetHash, draft: &Draft) -> Current {
        match draft.documents.get(&asset) {
            Some(Some(offset)) => Current::At(*offset),
            Some(None) => Current::Absent,
            None => match self.documents.get(&asset) {
                Some(offset) if *offset >= self.position => Current::Awaited,
                Some(offset) => Current::At(*offset),
                None => Current::Absent,
            },
        }
    }

    /// Where the asset's document lies, if it is in front of the position.
    pub fn lies_at(&self, asset: AssetHash) -> Option<Offset> {
        self.documents.get(&asset).copied().filter(|offset| *offset < self.position)
    }

    /// The assets whose documents lie at these offsets; looks at all of them.
    pub fn lying_at(&self, offsets: &[Offset]) -> Vec<AssetHash> {
        self.documents.iter().filter(|(_, offset)| offsets.contains(offset)).map(|(asset, _)| *asset).collect()
    }

    /// What stands of a share.
    pub fn stood<'h>(&'h self, share: &ShareId, draft: &'h Draft) -> Option<&'h Stood> {
        match draft.stood.get(share) {
            Some(drafted) => drafted.as_ref(),
            None => self.stood.get(share),
        }
    }

    /// The epoch that a share's first document waits for: of the first time it was asked for.
    pub fn gate(&mut self, share: &ShareId, target: &TenantId, asset: AssetHash, newest_change: Epoch) -> Epoch {
        if let Some(gated) = self.gated.get(share) {
            return gated.needs;
        }
        self.gated.insert(share.clone(), Gated { needs: newest_change, target: target.clone(), asset });
        newest_change
    }

    /// The share waits no more, or anew.
    pub fn ungate(&mut self, share: &ShareId) {
        self.gated.remove(share);
    }

    /// First documents that wait.
    pub fn gated(&self) -> impl Iterator<Item = &Gated> {
        self.gated.values()
    }

    /// The transaction was committed.
    pub fn take(&mut self, draft: &mut Draft) {
        for (asset, offset) in draft.documents.drain() {
            match offset {
                Some(offset) => drop(self.documents.insert(asset, offset)),
                None => drop(self.documents.remove(&asset)),
            }
        }
        for (share, stood) in draft.stood.drain() {
            match stood {
                Some(stood) => drop(self.stood.insert(share, stood)),
                None => drop(self.stood.remove(&share)),
            }
        }
        if let Some(position) = draft.position.take() {
            self.position = position;
        }
    }
}

impl Draft {
    /// A record of the asset was read: its value is the current document, none if it is null or cannot be read.
    pub fn document(&mut self, asset: AssetHash, offset: Option<Offset>) {
        self.documents.insert(asset, offset);
    }

    /// A document of the share will stand, or none.
    pub fn stands(&mut self, share: &ShareId, stood: Option<Stood>) {
        self.stood.insert(share.clone(), stood);
    }

    /// What was drafted for this share is not written after all.
    pub fn forget(&mut self, share: &ShareId) {
        self.stood.remove(share);
    }

    /// Everything before this offset is read.
    pub fn advance(&mut self, position: Offset) {
        self.position = Some(position);
    }

    /// Where reading goes on.
    pub fn position(&self) -> Option<Offset> {
        self.position
    }

    /// Drops everything.
    pub fn clear(&mut self) {
        self.documents.clear();
        self.stood.clear();
        self.position = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stood(key: &str) -> Stood {
        Stood { target: tenant(), key: asset(key), digest: Digest(1), asset: AssetHash::of(Identity { tenant: "nw", asset: "a" }) }
    }

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn asset(id: &str) -> AssetId {
        AssetId::parse(id).unwrap()
    }

    /// Every row of the table: what stands, what may stand, what is there.
    #[test]
    fn every_case_of_bringing() {
        let (here, there) = (stood("k"), stood("old"));
        let (target, key) = (tenant(), asset("k"));
        let place = Some((&target, &key));
        let at = Current::At(Offset(9));
        for (stood, place, current, clears, then) in [
            (None, None, Current::Here, false, Then::Rest),
            (None, place, Current::Absent, false, Then::Rest),
            (None, place, Current::Awaited, false, Then::Rest),
            (None, place, at, false, Then::First),
            (None, place, Current::Here, false, Then::First),
            (Some(&here), None, Current::Here, true, Then::Rest),
            (Some(&here), None, Current::Awaited, true, Then::Rest),
            (Some(&here), place, Current::Absent, true, Then::Rest),
            (Some(&here), place, Current::Awaited, false, Then::Rest),
            (Some(&here), place, at, false, Then::Fetch(Offset(9))),
            (Some(&here), place, Current::Here, false, Then::Compare),
            (Some(&there), place, Current::Absent, true, Then::Rest),
            (Some(&there), place, Current::Awaited, true, Then::Rest),
            (Some(&there), place, at, true, Then::First),
            (Some(&there), place, Current::Here, true, Then::First),
        ] {
            assert_eq!(bring(stood, place, current), Bring { clears, then }, "{stood:?} {place:?} {current:?}");
        }
    }

    #[test]
    fn a_draft_is_seen_at_once_and_kept_when_it_is_taken() {
        let hash = AssetHash::of(Identity { tenant: "nw", asset: "a" });
        let share = ShareId::parse("s").unwrap();
        let mut holding = Holding::new(Offset(5), [(hash, Offset(7))].into_iter().collect());
        let mut draft = Draft::default();
        assert_eq!(holding.document(hash, &draft), Current::Awaited, "it lies behind the position");
        draft.document(hash, Some(Offset(7)));
        draft.stands(&share, Some(stood("k")));
        draft.advance(Offset(8));
        assert_eq!(holding.document(hash, &draft), Current::At(Offset(7)));
        assert_eq!(holding.stood(&share, &draft), Some(&stood("k")));
        draft.clear();
        assert_eq!((holding.document(hash, &draft), holding.stood(&share, &draft)), (Current::Awaited, None));
        draft.document(hash, Some(Offset(7)));
        draft.advance(Offset(8));
        holding.take(&mut draft);
        assert_eq!((holding.document(hash, &draft), holding.position()), (Current::At(Offset(7)), Offset(8)));
        draft.document(hash, None);
        holding.take(&mut draft);
        assert_eq!(holding.document(hash, &draft), Current::Absent);
    }

    #[test]
    fn a_gate_keeps_the_epoch_of_the_first_time() {
        let hash = AssetHash::of(Identity { tenant: "nw", asset: "a" });
        let share = ShareId::parse("s").unwrap();
        let mut holding = Holding::new(Offset(0), FxHashMap::default());
        assert_eq!(holding.gate(&share, &tenant(), hash, Epoch(4)), Epoch(4));
        assert_eq!(holding.gate(&share, &tenant(), hash, Epoch(9)), Epoch(4));
        holding.ungate(&share);
        assert_eq!(holding.gate(&share, &tenant(), hash, Epoch(9)), Epoch(9));
    }
}
