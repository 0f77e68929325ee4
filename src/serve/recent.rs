//! What became of the newest control events: who wrote one is told, and so is who repeats it.

use std::collections::{HashMap, VecDeque};

use crate::id::{Epoch, Offset, ShareId};
use crate::serve::changes::PartiesChange;
use crate::share::event::fingerprint::Fingerprint;
use crate::share::status::{StatusDocument, StatusTopic};
use crate::share::table::Outcome;

/// So many are known. A batch fits in it, with what others write meanwhile.
const REMEMBERED: usize = 16_384;

/// What became of one event.
#[derive(Debug, Clone)]
pub(crate) struct EventOutcome {
    /// Its offset.
    pub(crate) offset: Offset,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// The share that it is about, and its documents right after it: the owner's, and the target's if there is one.
    pub(crate) documents: Option<ShareDocuments>,
}

/// A share's document for each of its parties, as of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ShareDocuments {
    pub(crate) share: ShareId,
    pub(crate) owner: Vec<u8>,
    pub(crate) target: Option<Vec<u8>>,
}

impl ShareDocuments {
    /// Those that one event wrote of its own share; none of one that changed nothing.
    pub(super) fn of(share: Option<&str>, documents: &[StatusDocument]) -> Option<Self> {
        let share = share?;
        let own = |document: &&StatusDocument| document.key == share;
        let all = documents.iter().find(|document| own(document) && document.topic == StatusTopic::Shares)?;
        // The owner's has the same value as the operator's.
        let target = documents.iter().filter(own).find(|document| document.topic != StatusTopic::Shares && document.value != all.value);
        Some(Self { share: ShareId::parse(share).ok()?, owner: all.value.clone(), target: target.map(|document| document.value.clone()) })
    }
}

/// The newest events by source and id.
#[derive(Debug, Default)]
pub(crate) struct RecentEvents {
    /// Changes that no status document tells of, in order.
    parties: VecDeque<(Epoch, PartiesChange)>,
    /// Those after this epoch are all there; none before the first record was folded here.
    parties_after: Option<Epoch>,
    names: VecDeque<[u64; 2]>,
    outcomes: HashMap<[u64; 2], EventOutcome>,
}

/// So many changes that no status document tells of are known.
const PARTIES_REMEMBERED: usize = 4096;

impl RecentEvents {
    /// From here on everything is noted.
    pub(super) fn begins_after(&mut self, epoch: Epoch) {
        self.parties_after = Some(epoch);
    }

    /// Takes in a change that no status document tells of.
    pub(super) fn note_parties(&mut self, epoch: Epoch, change: PartiesChange) {
        self.parties.push_back((epoch, change));
        if self.parties.len() > PARTIES_REMEMBERED
            && let Some((oldest, _)) = self.parties.pop_front()
        {
            self.parties_after = Some(oldest);
        }
    }

    /// Those after an epoch; none where not all of them are known.
    pub(super) fn parties_since(&self, after: Epoch) -> Option<Vec<(Epoch, PartiesChange)>> {
        self.parties_after.filter(|known| *known <= after)?;
        Some(self.parties.iter().filter(|(epoch, _)| *epoch > after).cloned().collect())
    }

    /// Takes in what became of an event. A repeat says nothing of the first.
    pub(super) fn note(&mut self, source: &str, id: &str, outcome: EventOutcome) {
        let name = Fingerprint::name_of(source, id);
        let is_repeat = matches!(outcome.outcome, Outcome::Repeated | Outcome::Rejected("id_reused"));
        if is_repeat {
            return;
        }
        if self.outcomes.insert(name, outcome).is_none() {
            self.names.push_back(name);
        }
        if self.names.len() > REMEMBERED
            && let Some(oldest) = self.names.pop_front()
        {
            self.outcomes.remove(&oldest);
        }
    }

    /// What became of the event of this source and id.
    pub(super) fn find(&self, source: &str, id: &str) -> Option<&EventOutcome> {
        self.outcomes.get(&Fingerprint::name_of(source, id))
    }
}
