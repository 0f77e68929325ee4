//! What failed routes are owed (docs/rules/outputs.md#what-is-owed, `on_route_failure: wait`): the input log holds it. Beside the offsets a
//! note says from which input offset on a route is owed; when it answers, that part is read again for it alone, until it meets the
//! partition's own position.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::BootTime;
use crate::engine::output::route::{RouteIndex, Routes, Use};
use crate::engine::restore::Restore;
use crate::engine::restore::request::{Assignment, RestoreRequest};
use crate::id::Offset;
use crate::transport::{Batch, InputOffset, SourcePartition};

/// Records read again at a time.
pub const READ_AT_ONCE: usize = 1_000;

/// One route's claim on one partition.
#[derive(Debug)]
struct Claim {
    /// Everything from here on is owed.
    from: Offset,
    /// What was read again, from `from` on, and the offset after it.
    read: Option<(Batch, Offset)>,
    is_asked: bool,
}

#[derive(Debug)]
struct PartitionClaims {
    ticket: Assignment,
    /// Where the next transaction's records begin, once it is known.
    position: Option<Offset>,
    claims: BTreeMap<RouteIndex, Claim>,
}

/// What a transaction changes of the claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimChange {
    /// Of this partition.
    pub partition: SourcePartition,
    /// For this route.
    pub route: RouteIndex,
    /// What is owed begins here; none: nothing is owed any more.
    pub from: Option<Offset>,
}

/// The claims on a worker's partitions.
#[derive(Debug, Default)]
pub struct Redelivery {
    parts: Vec<PartitionClaims>,
    lives: u64,
    /// Of the transaction under way.
    changes: Vec<ClaimChange>,
}

impl Redelivery {
    /// A partition was assigned: its notes are read before its records flow.
    pub fn arrive(&mut self, partition: SourcePartition, desk: &mut dyn Restore) {
        self.leave(&[partition]);
        self.lives += 1;
        let ticket = Assignment { partition, life: self.lives, cancelled: Arc::<AtomicBool>::default(), progress: Arc::default() };
        desk.ask(RestoreRequest::Notes(ticket.clone()));
        self.parts.push(PartitionClaims { ticket, position: None, claims: BTreeMap::new() });
    }

    /// Partitions were taken back.
    pub fn leave(&mut self, partitions: &[SourcePartition]) {
        self.parts.retain(|part| {
            let goes = partitions.contains(&part.ticket.partition);
            part.ticket.cancelled.fetch_or(goes, Ordering::Relaxed);
            !goes
        });
    }

    fn part(&mut self, partition: SourcePartition, life: u64) -> Option<&mut PartitionClaims> {
        self.parts.iter_mut().find(|part| part.ticket.partition == partition && part.ticket.life == life)
    }

    /// Whether this is about a partition in hand, in the life it has now.
    pub fn is_current(&self, partition: SourcePartition, life: u64) -> bool {
        self.parts.iter().any(|part| part.ticket.partition == partition && part.ticket.life == life)
    }

    /// The partition's notes: its records flow from here on.
    pub fn known(&mut self, partition: SourcePartition, life: u64, position: Offset, claims: Vec<(RouteIndex, Offset)>) {
        if let Some(part) = self.part(partition, life) {
            part.position = Some(position);
            part.claims = claims.into_iter().map(|(route, from)| (route, Claim { from, read: None, is_asked: false })).collect();
        }
    }

    /// The partition was begun here: nothing is owed of it.
    pub fn begun(&mut self, partition: SourcePartition, first: Offset) {
        if let Some(part) = self.parts.iter_mut().find(|part| part.ticket.partition == partition) {
            part.position = Some(first);
        }
    }

    /// What was read again for a route: everything from `from` up to `behind`.
    pub fn read(&mut self, (partition, life): (SourcePartition, u64), route: RouteIndex, from: Offset, read: (Batch, Offset)) {
        let claim = self.part(partition, life).and_then(|part| part.claims.get_mut(&route));
        if let Some(claim) = claim.filter(|claim| claim.from == from) {
            claim.is_asked = false;
            claim.read = Some(read);
        }
    }

    /// Has read again what routes are owed that answer, or may be tried.
    pub fn ask(&mut self, routes: &Routes, boot: BootTime, desk: &mut dyn Restore) {
        for part in &mut self.parts {
            for (&route, claim) in &mut part.claims {
                if claim.read.is_none() && !claim.is_asked && routes.use_at(route, boot) != Use::Divert {
                    claim.is_asked = true;
                    desk.ask(RestoreRequest::Again(part.ticket.clone(), route, claim.from, READ_AT_ONCE));
                }
            }
        }
    }

    /// Whether something is being read, so that nobody should wait for records.
    pub fn is_busy(&self) -> bool {
        self.parts.iter().any(|part| part.position.is_none() || part.claims.values().any(|claim| claim.is_asked))
    }

    /// Whether something can be written that is owed.
    pub fn has_work(&self, routes: &Routes, boot: BootTime) -> bool {
        self.ready(routes, boot).next().is_some()
    }

    fn ready<'o>(&'o self, routes: &'o Routes, boot: BootTime) -> impl Iterator<Item = (SourcePartition, RouteIndex, &'o Claim)> + 'o {
        let all = self.parts.iter().flat_map(|part| part.claims.iter().map(|(route, claim)| (part.ticket.partition, *route, claim)));
        all.filter(move |(_, route, claim)| claim.read.is_some() && routes.use_at(*route, boot) != Use::Divert)
    }

    /// Routes that are owed something that was read and that have to be looked at.
    pub fn routes(&self, routes: &Routes, boot: BootTime) -> Vec<RouteIndex> {
        self.ready(routes, boot).map(|(_, route, _)| route).collect()
    }

    /// What was read again, in the places of `pick`: records, the offset after them, and the partition's own position, from
    /// which on the batch has the records.
    pub fn readable(&self, partition: SourcePartition, route: RouteIndex) -> Option<(&Batch, Offset, Offset)> {
        let part = self.parts.iter().find(|part| part.ticket.partition == partition)?;
        let (records, behind) = part.claims.get(&route)?.read.as_ref()?;
        Some((records, *behind, part.position?))
    }

    /// The claims of which something was read again, and whose routes may be written to.
    pub fn pick(&self, routes: &Routes, boot: BootTime) -> Vec<(SourcePartition, RouteIndex)> {
        self.ready(routes, boot).map(|(partition, route, _)| (partition, route)).collect()
    }

    /// A transaction begins: what the last one drafted and did not commit is forgotten.
    pub fn begin(&mut self) {
        self.changes.clear();
    }

    /// Whether the route does not get this partition's newest records yet, by what the transaction has drafted.
    pub fn is_owed(&self, partition: SourcePartition, route: RouteIndex) -> bool {
        match self.changes.iter().rev().find(|change| (change.partition, change.route) == (partition, route)) {
            Some(change) => change.from.is_some(),
            None => self.parts.iter().any(|part| part.ticket.partition == partition && part.claims.contains_key(&route)),
        }
    }

    /// The routes that are owed something of a partition, by what the transaction has drafted.
    pub fn still_owed(&self) -> Vec<(SourcePartition, RouteIndex)> {
        let all = self.parts.iter().flat_map(|part| part.claims.keys().map(|route| (part.ticket.partition, *route)));
        all.filter(|(partition, route)| self.is_owed(*partition, *route)).collect()
    }

    /// The transaction writes what is owed up to here; none is all of it. Or the route becomes owed from here on.
    pub fn draft(&mut self, partition: SourcePartition, route: RouteIndex, from: Option<Offset>) {
        self.changes.retain(|change| (change.partition, change.route) != (partition, route));
        self.changes.push(ClaimChange { partition, route, from });
    }

    /// What was drafted for this route is not written after all.
    pub fn retract(&mut self, route: RouteIndex) {
        self.changes.retain(|change| change.route != route);
    }

    /// What the transaction changes.
    pub fn changes(&self) -> &[ClaimChange] {
        &self.changes
    }

    /// The transaction was committed, with these offsets.
    pub fn committed(&mut self, offsets: &[InputOffset]) {
        for noted in offsets {
            if let Some(part) = self.parts.iter_mut().find(|part| part.ticket.partition == noted.partition && part.position.is_some()) {
                part.position = Some(noted.next);
            }
        }
        for ClaimChange { partition, route, from } in std::mem::take(&mut self.changes) {
            let Some(part) = self.parts.iter_mut().find(|part| part.ticket.partition == partition) else { continue };
            match from {
                Some(from) => drop(part.claims.insert(route, Claim { from, read: None, is_asked: false })),
                None => drop(part.claims.remove(&route)),
            }
        }
    }

    /// Where the next transaction's records of a partition begin.
    pub fn position(&self, partition: SourcePartition) -> Option<Offset> {
        self.parts.iter().find(|part| part.ticket.partition == partition)?.position
    }

    /// How far the reading of a partition's notes has got, in no unit.
    pub fn progress(&self, partition: SourcePartition) -> Option<u64> {
        let part = self.parts.iter().find(|part| part.ticket.partition == partition)?;
        Some(part.ticket.progress.load(Ordering::Relaxed))
    }

    /// The partitions in hand.
    pub fn held(&self) -> Vec<SourcePartition> {
        self.parts.iter().map(|part| part.ticket.partition).collect()
    }

    /// How many claims there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.claims.len()).sum()
    }

    /// Whether nothing is owed.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::restore::request::RestoreEvent;
    use crate::id::StreamIndex;

    struct FakeRestorer(Vec<RestoreRequest>);

    impl Restore for FakeRestorer {
        fn ask(&mut self, job: RestoreRequest) {
            self.0.push(job);
        }

        fn news(&mut self) -> Option<RestoreEvent> {
            None
        }
    }

    const HERE: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 3 };
    const ROUTE: RouteIndex = RouteIndex(7);

    fn known() -> (Redelivery, u64) {
        let (mut owed, mut desk) = (Redelivery::default(), FakeRestorer(Vec::new()));
        owed.arrive(HERE, &mut desk);
        let Some(RestoreRequest::Notes(ticket)) = desk.0.first() else { panic!("its notes are read first") };
        let life = ticket.life;
        owed.known(HERE, life, Offset(10), Vec::new());
        (owed, life)
    }

    #[test]
    fn what_a_transaction_drafts_counts_at_once_and_stays_only_if_it_commits() {
        let (mut owed, _) = known();
        owed.begin();
        owed.draft(HERE, ROUTE, Some(Offset(10)));
        assert!(owed.is_owed(HERE, ROUTE));
        owed.begin();
        assert!(!owed.is_owed(HERE, ROUTE), "the transaction was aborted");
        owed.draft(HERE, ROUTE, Some(Offset(10)));
        owed.committed(&[InputOffset::new(HERE, Offset(20))]);
        assert_eq!((owed.is_owed(HERE, ROUTE), owed.position(HERE), owed.len()), (true, Some(Offset(20)), 1));
        owed.begin();
        owed.draft(HERE, ROUTE, None);
        assert!(!owed.is_owed(HERE, ROUTE));
        owed.retract(ROUTE);
        assert!(owed.is_owed(HERE, ROUTE), "the route failed again: what was owed is owed still");
        owed.committed(&[]);
        assert_eq!(owed.len(), 1);
    }

    #[test]
    fn what_was_read_for_an_older_claim_is_of_no_use() {
        let (mut owed, life) = known();
        owed.begin();
        owed.draft(HERE, ROUTE, Some(Offset(10)));
        owed.committed(&[InputOffset::new(HERE, Offset(20))]);
        owed.read((HERE, life), ROUTE, Offset(4), (Batch::default(), Offset(9)));
        assert!(owed.readable(HERE, ROUTE).is_none());
        owed.read((HERE, life), ROUTE, Offset(10), (Batch::default(), Offset(15)));
        assert!(owed.readable(HERE, ROUTE).is_some_and(|(_, behind, position)| (behind, position) == (Offset(15), Offset(20))));
        owed.leave(&[HERE]);
        assert!(owed.is_empty() && !owed.is_current(HERE, life));
    }
}
