//! Reconciling one share's document with today's graph, time and document: what is written first, and what follows.

use crate::id::{AssetId, Epoch, Offset, ShareId, TenantId};
use crate::profile::compile::Projection;
use crate::record::decode::Identity;
use crate::share::graph::{Grant, ShareGraph};
use crate::sink_state::cause::{Gone, Occasion};
use crate::sink_state::entry::Digest;
use crate::sink_state::partition::{AssetHash, Current, PartitionState, SinkEntry};
use crate::sink_state::wanted;
use crate::time::TimestampNs;

/// What a decision is made by.
#[derive(Debug, Clone, Copy)]
pub struct Basis<'g> {
    /// The transaction's one graph.
    pub graph: &'g ShareGraph,
    /// The epoch of the newest change in it.
    pub newest_change: Epoch,
    /// The larger of the clock and the graph's control time.
    pub now: TimestampNs,
}

/// Which share, of which asset, and why it is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'s, 'g> {
    /// The share.
    pub share: &'s ShareId,
    /// As the graph holds it.
    pub grant: Option<Grant<'g>>,
    /// Its asset.
    pub identity: Identity<'s>,
    /// Why it is looked at now.
    pub occasion: Occasion,
}

/// What follows from a transition.
#[derive(Debug)]
#[must_use]
pub struct Reconciliation<'g> {
    /// What is written first.
    pub tombstone: Option<Tombstone>,
    /// What comes after it.
    pub next: Next<'g>,
}

/// A document that has to go.
#[derive(Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// What is stored until this tombstone is committed.
    pub entry: SinkEntry,
    /// What took the document away; the tombstone's time follows from it.
    pub gone: Gone,
}

/// What comes after a tombstone, if there is one.
#[derive(Debug)]
pub enum Next<'g> {
    /// Nothing.
    Done,
    /// The document at this offset has to be read back, and the share reconciled with it at hand.
    Fetch(Offset),
    /// The document at hand has to stand.
    Put(Put<'g>),
    /// The share's first document at this key waits until nobody else's is stored there.
    AwaitGate(First<'g>),
}

/// How the document at hand has to stand.
#[derive(Debug, Clone, Copy)]
pub struct Put<'g> {
    /// For whom, and under which key.
    pub grant: Grant<'g>,
    /// What is shown of it.
    pub projection: &'g Projection,
    /// What is stored there: an equal document is not written again.
    pub stood: Option<Digest>,
}

/// A first document at a key.
#[derive(Debug)]
pub struct First<'g> {
    /// The epoch up to which every partition of the stream must have taken back what ended.
    pub needs: Epoch,
    put: Put<'g>,
    /// Where it lies, unless it is at hand.
    lies_at: Option<Offset>,
}

impl<'g> First<'g> {
    /// In whose topic the key is.
    pub fn target(&self) -> &'g TenantId {
        self.put.grant.target
    }

    /// The gate is open.
    pub fn pass(self) -> Next<'g> {
        match self.lies_at {
            Some(offset) => Next::Fetch(offset),
            None => Next::Put(self.put),
        }
    }
}

impl PartitionState {
    /// Decides for one share, and drafts its tombstone. Once it is carried out, the topic holds of this share what it must.
    pub fn reconcile<'g>(&mut self, subject: Subject<'_, 'g>, basis: Basis<'g>, is_at_hand: bool) -> Reconciliation<'g> {
        let Subject { share, grant, identity, .. } = subject;
        let asset = AssetHash::of(identity);
        let shown = grant.and_then(|grant| Some((grant, wanted(&grant, basis.graph, self.stream(), basis.now)?)));
        let place = shown.map(|(grant, _)| (grant.target, grant.target_asset));
        let current = if is_at_hand { Current::Here } else { self.document(asset) };
        let stood = self.entry(share);
        let digest = stood.map(|stood| stood.digest);
        let Decision { gone, then } = decide(stood, place, current);
        let tombstone = gone.and_then(|gone| Some(Tombstone { entry: self.clear(share)?, gone }));
        let Some((grant, projection)) = shown else {
            self.ungate(share);
            return Reconciliation { tombstone, next: Next::Done };
        };
        let next = match then {
            Then::Rest => Next::Done,
            Then::Fetch(offset) => Next::Fetch(offset),
            Then::Compare => Next::Put(Put { grant, projection, stood: digest }),
            Then::First(lies_at) => Next::AwaitGate(First {
                needs: self.gate(share, grant.target, asset, basis.newest_change),
                put: Put { grant, projection, stood: None },
                lies_at,
            }),
        };
        Reconciliation { tombstone, next }
    }

    /// Why what was found standing of a share must go, if it must.
    pub fn must_go(&self, stood: &SinkEntry, subject: Subject<'_, '_>, basis: Basis<'_>) -> Option<Gone> {
        let shown = subject.grant.filter(|grant| wanted(grant, basis.graph, self.stream(), basis.now).is_some());
        let place = shown.map(|grant| (grant.target, grant.target_asset));
        decide(Some(stood), place, self.document(AssetHash::of(subject.identity))).gone
    }

    /// The document is written: it stands once the transaction is committed.
    pub fn put(&mut self, subject: Subject<'_, '_>, put: Put<'_>, digest: Digest) {
        let (target, key) = (put.grant.target.clone(), put.grant.target_asset.clone());
        self.draft(subject.share, Some(SinkEntry { target, key, digest, asset: AssetHash::of(subject.identity) }));
        self.ungate_on_commit(subject.share);
    }

    /// The condition of the share's profile is not true of the document at hand, so none of it is shown. Returns what has to go.
    pub fn withhold(&mut self, share: &ShareId) -> Option<Tombstone> {
        self.ungate_on_commit(share);
        Some(Tombstone { entry: self.clear(share)?, gone: Gone::Document })
    }

    /// The target's topic does not take the document: nothing waits for it any more, and the one before it does not stay in its
    /// place. Returns that one, if it is there.
    pub fn refuse(&mut self, share: &ShareId) -> Option<SinkEntry> {
        self.ungate_on_commit(share);
        self.clear(share)
    }

    fn clear(&mut self, share: &ShareId) -> Option<SinkEntry> {
        let stood = self.entry(share).cloned();
        self.draft(share, None);
        stood
    }
}

/// What must be done for one share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Decision {
    /// Why what is stored gets a tombstone, if it does.
    gone: Option<Gone>,
    /// What comes after it.
    then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Rest,
    Fetch(Offset),
    /// The document at hand stands here already unless it is another one.
    Compare,
    /// It is the share's first one at this key, and lies here unless it is at hand.
    First(Option<Offset>),
}

/// The table: `place` is where the share's document has to stand by today's graph and time, none if it must not.
fn decide(stood: Option<&SinkEntry>, place: Option<(&TenantId, &AssetId)>, current: Current) -> Decision {
    let is_there = stood.zip(place).is_some_and(|(stood, (target, key))| stood.target == *target && stood.key == *key);
    let then = match (place, current) {
        (None, _) | (_, Current::Absent | Current::Awaited) => Then::Rest,
        (Some(_), Current::At(offset)) if is_there => Then::Fetch(offset),
        (Some(_), Current::Here) if is_there => Then::Compare,
        (Some(_), Current::At(offset)) => Then::First(Some(offset)),
        (Some(_), Current::Here) => Then::First(None),
    };
    let gone = match (place, current) {
        (None, _) => Some(Gone::Share),
        (Some(_), _) if !is_there => Some(Gone::Place),
        (Some(_), Current::Absent) => Some(Gone::Document),
        (Some(_), Current::Awaited | Current::At(_) | Current::Here) => None,
    };
    Decision { gone: gone.filter(|_| stood.is_some()), then }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &str) -> SinkEntry {
        SinkEntry { target: tenant(), key: asset(key), digest: Digest(1), asset: AssetHash::of(Identity { tenant: "nw", asset: "a" }) }
    }

    fn tenant() -> TenantId {
        TenantId::parse("acme").unwrap()
    }

    fn asset(id: &str) -> AssetId {
        AssetId::parse(id).unwrap()
    }

    /// Every row of the table: what is stored, what may stand, what is there.
    #[test]
    fn every_case_of_a_decision() {
        let (here, there) = (entry("k"), entry("old"));
        let (target, key) = (tenant(), asset("k"));
        let place = Some((&target, &key));
        let at = Current::At(Offset(9));
        for (stood, place, current, gone, then) in [
            (None, None, Current::Here, None, Then::Rest),
            (None, place, Current::Absent, None, Then::Rest),
            (None, place, Current::Awaited, None, Then::Rest),
            (None, place, at, None, Then::First(Some(Offset(9)))),
            (None, place, Current::Here, None, Then::First(None)),
            (Some(&here), None, Current::Here, Some(Gone::Share), Then::Rest),
            (Some(&here), None, Current::Awaited, Some(Gone::Share), Then::Rest),
            (Some(&here), place, Current::Absent, Some(Gone::Document), Then::Rest),
            (Some(&here), place, Current::Awaited, None, Then::Rest),
            (Some(&here), place, at, None, Then::Fetch(Offset(9))),
            (Some(&here), place, Current::Here, None, Then::Compare),
            (Some(&there), place, Current::Absent, Some(Gone::Place), Then::Rest),
            (Some(&there), place, Current::Awaited, Some(Gone::Place), Then::Rest),
            (Some(&there), place, at, Some(Gone::Place), Then::First(Some(Offset(9)))),
            (Some(&there), place, Current::Here, Some(Gone::Place), Then::First(None)),
        ] {
            assert_eq!(decide(stood, place, current), Decision { gone, then }, "{stood:?} {place:?} {current:?}");
        }
    }
}
