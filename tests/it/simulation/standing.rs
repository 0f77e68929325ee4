//! What must be true of upsert topics: whose document may be written and cleared where, and what is stored in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster::{Cluster, INPUTS, Put, place_of};
use super::model::{Committed, Input, Model};
use super::{PARTITIONS, TARGETS};

/// The topic of standing entries.
pub(super) const STANDING: &str = "sharecast.standing.details";

/// So many of the partitions have documents; the last has none, and must say so all the same.
pub(super) const HELD: usize = PARTITIONS as usize - 1;

/// The documents' topic of a target.
pub(super) fn details_of(target: usize) -> String {
    format!("share.t{target}.details")
}

/// A document that is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stands {
    number: u64,
    share: String,
    /// The input partition it is due to.
    place: usize,
}

/// What is stored, by target and key.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    pub(super) at: BTreeMap<(usize, String), Stands>,
    /// Writes seen, to show that a run did something.
    pub(super) documents: u64,
    pub(super) tombstones: u64,
    /// Documents at a place that another share's had before.
    pub(super) passed: u64,
    last: BTreeMap<(usize, String), String>,
}

impl Model {
    /// Documents and tombstones of a transaction, in order. Returns the epoch of its documents.
    pub(super) fn check_documents(&mut self, committed: &Committed<'_>) -> Result<Option<i64>, String> {
        let written: Vec<&Put> = committed.puts.iter().filter(|put| put.topic.ends_with(".details") && put.topic != STANDING).collect();
        let entries: Vec<&Put> = committed.puts.iter().filter(|put| put.topic == STANDING).collect();
        if written.len() != entries.len() {
            return Err(format!("{} documents and {} standing entries", written.len(), entries.len()));
        }
        let (mut epochs, mut touched) = (BTreeSet::new(), BTreeSet::new());
        for (put, entry) in written.into_iter().zip(entries) {
            let place = place_of(INPUTS[1], entry.partition.unwrap_or(-1)).expect("a partition");
            if entry.name() != format!("{}/{}", put.topic, put.name()) || entry.value.is_some() != put.value.is_some() {
                return Err(format!("{put:?} goes with {entry:?}"));
            }
            let Some((_, next, _)) = committed.offsets.iter().find(|(p, ..)| *p == place) else {
                return Err(format!("{put:?} is written without the offset of its partition"));
            };
            let target = (0..TARGETS).find(|target| details_of(*target) == put.topic).ok_or("no target's topic")?;
            let at = (target, put.name());
            touched.insert(at.clone());
            match &put.value {
                Some(value) => epochs.extend(self.check_document(committed, &at, value, (place, *next))?),
                None => self.check_tombstone(committed, &at, (place, *next))?,
            }
        }
        self.check_newest(committed, &touched)?;
        if epochs.len() > 1 {
            return Err(format!("documents of several graphs in one transaction: {epochs:?}"));
        }
        Ok(epochs.first().copied())
    }

    fn check_document(
        &mut self,
        committed: &Committed<'_>,
        at: &(usize, String),
        value: &[u8],
        (place, next): (usize, i64),
    ) -> Result<Option<i64>, String> {
        let document: serde_json::Value = serde_json::from_slice(value).map_err(|e| e.to_string())?;
        let number = document["n"].as_u64().unwrap_or_default();
        let share = document["_share"]["id"].as_str().unwrap_or_default().to_owned();
        let epoch = document["_share"]["epoch"].as_i64().ok_or("no epoch")?;
        let grant = self.grants.iter().find(|grant| grant.share == share).ok_or(format!("{document}: no such share"))?;
        if epoch < self.oldest_view(committed.sent_at) {
            return Err(format!("{document} is written to {at:?} by a view that is too old: {:?}", self.max_view_age));
        }
        if !grant.is_active_at(epoch) || !grant.has_details || (grant.target, grant.key_at(epoch)) != (at.0, at.1.as_str()) {
            return Err(format!("{document} is written to {at:?} though its epoch has {grant:?}"));
        }
        let offset = (committed.firsts[place]..next).find(|offset| committed.input(place, *offset).number == number);
        let offset = offset.ok_or(format!("{document} is written to {at:?} by partition {place}, whose offset is {next}"))?;
        let input = committed.input(place, offset);
        if input.asset != grant.asset || input.is_unreadable || input.is_withheld() || input.poison == Some(at.0) {
            return Err(format!("{document} is written to {at:?} of {input:?}"));
        }
        if let Some(other) = self.shelf.at.get(at).filter(|other| other.share != share) {
            return Err(format!("{document} overwrites {other:?} at {at:?}"));
        }
        self.shelf.documents += 1;
        let before = self.shelf.last.insert(at.clone(), share.clone());
        self.shelf.passed += u64::from(before.is_some_and(|before| before != share));
        self.shelf.at.insert(at.clone(), Stands { number, share, place });
        Ok(Some(epoch))
    }

    /// After the transaction the newest document that was read stands, where it has written something; unless the asset's next one
    /// is in hand already, for values between may be skipped, or the topic refuses something, which is pinned by writing less at a time.
    fn check_newest(&self, committed: &Committed<'_>, touched: &BTreeSet<(usize, String)>) -> Result<(), String> {
        for (at, stands) in touched.iter().filter_map(|at| self.shelf.at.get_key_value(at)) {
            let next = committed.offsets.iter().find(|(place, ..)| *place == stands.place).map_or(0, |(_, next, _)| *next);
            let read = (committed.firsts[stands.place]..next).map(|offset| committed.input(stands.place, offset));
            let mut behind = read.skip_while(|input| input.number != stands.number);
            let asset = behind.next().map(|input| input.asset);
            let to_come = &committed.inputs[stands.place][(next - committed.firsts[stands.place]) as usize..];
            let is_next_in_hand = to_come.iter().any(|input| Some(input.asset) == asset);
            let is_refusing = committed.inputs.iter().flatten().any(|input| input.poison == Some(at.0));
            let is_next_in_hand = is_next_in_hand || is_refusing;
            if let Some(newer) = behind.find(|newer| Some(newer.asset) == asset && !newer.is_gone && !is_next_in_hand) {
                return Err(format!("{stands:?} is left at {at:?} though {newer:?} has been read"));
            }
        }
        Ok(())
    }

    fn check_tombstone(&mut self, committed: &Committed<'_>, at: &(usize, String), (place, next): (usize, i64)) -> Result<(), String> {
        let stood = self.shelf.at.remove(at).ok_or_else(|| format!("a tombstone at {at:?}, where nothing stands"))?;
        if stood.place != place {
            return Err(format!("partition {place} clears {stood:?} at {at:?}"));
        }
        let grant = self.grants.iter().find(|grant| grant.share == stood.share).expect("it was written");
        let belongs = |epoch: i64| grant.is_active_at(epoch) && grant.key_at(epoch) == at.1;
        let mut read = (committed.firsts[place]..next).map(|offset| committed.input(place, offset));
        let current = read.rfind(|input| input.asset == grant.asset);
        // A document between that the topic refuses takes back what stood. The current one may follow in a later transaction, for fewer
        // documents are written at a time then.
        let between =
            (committed.firsts[place]..next).map(|offset| committed.input(place, offset)).skip_while(|input| input.number != stood.number);
        let was_refused = between.into_iter().any(|input| input.asset == grant.asset && input.poison == Some(at.0));
        let is_there = !was_refused
            && current.is_some_and(|input| input.value.is_some() && !input.is_unreadable && !input.is_withheld() && !input.is_gone);
        if is_there && self.views(committed.sent_at).all(belongs) {
            return Err(format!("a tombstone for {stood:?} at {at:?}, of {grant:?} with {current:?}"));
        }
        self.shelf.tombstones += 1;
        Ok(())
    }
}

/// What is wrong with the upsert topics, when all has come to rest.
pub(super) fn amiss(cluster: &Cluster) -> Option<String> {
    let place = |asset: usize| PARTITIONS as usize + asset % HELD;
    let last = |asset: usize| cluster.inputs.get(place(asset))?.iter().rfind(|input| input.asset == asset);
    let mut wanted = BTreeMap::new();
    for grant in cluster.model.grants.iter().filter(|grant| grant.is_active_at(i64::MAX) && grant.has_details) {
        let is_shown = |input: &&Input| input.value.is_some() && !input.is_unreadable && !input.is_withheld();
        let there = last(grant.asset).filter(is_shown).filter(|input| input.poison != Some(grant.target));
        if let Some(input) = there {
            let stands = Stands { number: input.number, share: grant.share.clone(), place: place(grant.asset) };
            wanted.insert((grant.target, grant.key_at(i64::MAX).to_owned()), stands);
        }
    }
    let stood = &cluster.model.shelf.at;
    let missing: Vec<_> = wanted.iter().filter(|(at, stands)| stood.get(at) != Some(stands)).collect();
    let surplus: Vec<_> = stood.iter().filter(|(at, _)| !wanted.contains_key(at)).collect();
    (!missing.is_empty() || !surplus.is_empty()).then(|| format!("missing {missing:?}, too much {surplus:?}"))
}
