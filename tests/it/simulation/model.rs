//! What must be true of every committed transaction: each record's outputs exactly once and in order, by a view that was
//! not too old, with offsets that cover just these records.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::cluster::Put;

/// `fence.max_view_age`.
pub(super) const MAX_VIEW_AGE: Duration = Duration::from_secs(1);
/// Longer values are refused by the topic of dead letters.
pub(super) const LONGEST_LETTER: usize = 400;

/// One input record.
#[derive(Debug, Clone)]
pub(super) struct Input {
    pub(super) number: u64,
    pub(super) asset: usize,
    /// Its key names no tenant and asset.
    pub(super) is_unreadable: bool,
    /// This tenant's topic refuses it.
    pub(super) poison: Option<usize>,
    pub(super) value: String,
}

/// One share's life in offsets of the control topic.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) share: String,
    pub(super) asset: usize,
    pub(super) target: usize,
    accepted: i64,
    revoked: Option<i64>,
}

/// What was told, in what order and when.
#[derive(Debug)]
pub(super) struct Model {
    /// How old the view of a transaction may be when its commit is sent.
    pub(super) max_view_age: Duration,
    pub(super) grants: Vec<Grant>,
    /// Events that change what is released: offset, and when it was acknowledged.
    changes: Vec<(i64, Duration)>,
    /// Topics that have ever been in trouble.
    pub(super) troubled: BTreeSet<String>,
    /// Outputs and letters seen, to show that a run did something.
    pub(super) released: u64,
    pub(super) diverted: u64,
}

/// A transaction that becomes visible.
pub(super) struct Committed<'a> {
    pub(super) puts: &'a [Put],
    pub(super) offsets: &'a [(i32, i64)],
    pub(super) sent_at: Duration,
    pub(super) before: &'a [Option<i64>],
    pub(super) inputs: &'a [Vec<Input>],
    pub(super) firsts: &'a [i64],
}

/// What a record led to: share and whether it went to the dead letters with this reason.
type Outcome = BTreeMap<String, Option<String>>;

impl Default for Model {
    fn default() -> Self {
        let (grants, changes, troubled) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { max_view_age: MAX_VIEW_AGE, grants, changes, troubled, released: 0, diverted: 0 }
    }
}

impl Model {
    pub(super) fn accepted(&mut self, share: String, asset: usize, target: usize, offset: i64, now: Duration) {
        self.grants.push(Grant { share, asset, target, accepted: offset, revoked: None });
        self.changes.push((offset, now));
    }

    pub(super) fn revoked(&mut self, share: &str, offset: i64, now: Duration) {
        let grant = self.grants.iter_mut().find(|grant| grant.share == share).expect("a share that there is");
        grant.revoked = Some(offset);
        self.changes.push((offset, now));
    }

    /// The share that stands between asset and target now.
    pub(super) fn standing(&self, asset: usize, target: usize) -> Option<String> {
        let grant = self.grants.iter().find(|g| (g.asset, g.target, g.revoked) == (asset, target, None))?;
        Some(grant.share.clone())
    }

    fn shares_at(&self, epoch: i64, asset: usize) -> BTreeSet<&str> {
        let is_active = |g: &&Grant| g.asset == asset && g.accepted <= epoch && g.revoked.is_none_or(|revoked| epoch < revoked);
        self.grants.iter().filter(is_active).map(|g| g.share.as_str()).collect()
    }

    pub(super) fn check(&mut self, committed: &Committed<'_>) -> Result<(), String> {
        let covered = self.covered(committed)?;
        let mut outcomes: BTreeMap<u64, Outcome> = covered.keys().map(|number| (*number, Outcome::new())).collect();
        let (mut letters, mut epoch) = (BTreeSet::new(), None);
        let mut last: BTreeMap<(&str, i32), i64> = BTreeMap::new();
        for put in committed.puts.iter().filter(|put| put.topic != "sharecast.state") {
            let header =
                |name: &str| put.headers.iter().find(|(n, _)| n.ends_with(name)).map(|(_, v)| String::from_utf8_lossy(v).into_owned());
            let is_letter = put.topic == "sharecast.dead-letters";
            if is_letter && !matches!(header("reason").as_deref(), Some("route_failed" | "refused")) {
                let place = (header("partition").unwrap_or_default(), header("offset").unwrap_or_default());
                let found = covered.values().find(|(p, o, _)| (p.to_string(), o.to_string()) == place);
                let (_, _, input) = found.ok_or(format!("a dead letter of {place:?}, which is not covered"))?;
                let is_whole = put.value.as_deref() == Some(input.value.as_bytes());
                if !input.is_unreadable
                    || !(is_whole || put.value.is_none() && input.value.len() > LONGEST_LETTER)
                    || !letters.insert(input.number)
                {
                    return Err(format!("a dead letter too many or of other bytes for {input:?}"));
                }
                continue;
            }
            let value = put.value.as_deref().ok_or_else(|| format!("an output without a value: {put:?}"))?;
            let output: serde_json::Value = serde_json::from_slice(value).map_err(|e| e.to_string())?;
            let (number, share) =
                (output["n"].as_u64().unwrap_or_default(), output["_share"]["id"].as_str().unwrap_or_default().to_owned());
            if *epoch.get_or_insert(output["_share"]["epoch"].as_i64()) != output["_share"]["epoch"].as_i64() {
                return Err(format!("outputs of two graphs in one transaction: {output}"));
            }
            let &(partition, offset, input) =
                covered.get(&number).ok_or(format!("{output} is not covered by the offsets: it is written twice"))?;
            let grant = self.grants.iter().find(|g| g.share == share).ok_or(format!("{output}: no such share"))?;
            let topic = topic_of(grant.target);
            match header("reason").filter(|_| is_letter) {
                Some(reason) if reason == "refused" && input.poison != Some(grant.target) => {
                    return Err(format!("{output} was never refused"));
                }
                Some(reason) if reason == "route_failed" && !self.troubled.contains(&topic) => {
                    return Err(format!("{topic} was never in trouble"));
                }
                Some(_) => self.diverted += 1,
                None if put.topic != topic || put.key.as_deref() != Some(format!("a{}", input.asset).as_bytes()) => {
                    return Err(format!("{output} went to {}", put.topic));
                }
                None => {
                    self.released += 1;
                    if last.insert((&put.topic, partition), offset).is_some_and(|before| before >= offset) {
                        return Err(format!("{output} is out of order"));
                    }
                }
            }
            if outcomes.entry(number).or_default().insert(share, header("reason")).is_some() {
                return Err(format!("{output} stands twice in one transaction"));
            }
        }
        for (number, (_, _, input)) in &covered {
            if input.is_unreadable != letters.contains(number) {
                return Err(format!("no dead letter for {input:?}"));
            }
        }
        self.check_view(committed, &covered, &outcomes, epoch.flatten())
    }

    /// The records that the offsets of the transaction cover, by number.
    fn covered<'a>(&self, committed: &Committed<'a>) -> Result<BTreeMap<u64, (i32, i64, &'a Input)>, String> {
        let mut covered = BTreeMap::new();
        let notes: Vec<&Put> = committed.puts.iter().filter(|put| put.topic == "sharecast.state").collect();
        for &(partition, next) in committed.offsets {
            let place = partition as usize;
            let key = format!("start/g/raw/{partition}");
            let note = notes.iter().find(|put| put.key.as_deref() == Some(key.as_bytes()));
            let from = match (committed.before[place], note) {
                (Some(before), None) => before,
                (None, Some(note)) if note.value.as_deref() == Some(format!(r#"{{"offset":{}}}"#, committed.firsts[place]).as_bytes()) => {
                    committed.firsts[place]
                }
                (before, note) => return Err(format!("partition {partition} committed before: {before:?}, begun now: {note:?}")),
            };
            if next < from {
                return Err(format!("the offset of partition {partition} goes back from {from} to {next}"));
            }
            for offset in from..next {
                let input = &committed.inputs[place][(offset - committed.firsts[place]) as usize];
                covered.insert(input.number, (partition, offset, input));
            }
        }
        if notes.len() != committed.offsets.iter().filter(|(p, _)| committed.before[*p as usize].is_none()).count() {
            return Err("a note too many".into());
        }
        Ok(covered)
    }

    /// Whether some view that was young enough at the commit releases just this.
    fn check_view(
        &self,
        committed: &Committed<'_>,
        covered: &BTreeMap<u64, (i32, i64, &Input)>,
        outcomes: &BTreeMap<u64, Outcome>,
        epoch: Option<i64>,
    ) -> Result<(), String> {
        let oldest = self
            .changes
            .iter()
            .filter(|(_, at)| at.saturating_add(self.max_view_age) < committed.sent_at)
            .map(|(offset, _)| *offset)
            .max()
            .unwrap_or(-1);
        if epoch.is_some_and(|epoch| epoch < oldest) {
            return Err(format!(
                "released by epoch {epoch:?} though {oldest} was acknowledged more than {:?} before the commit",
                self.max_view_age
            ));
        }
        let explains = |epoch: i64| {
            covered.iter().filter(|(_, (_, _, input))| !input.is_unreadable).find(|(number, (_, _, input))| {
                let got: BTreeSet<&str> = outcomes[*number].keys().map(String::as_str).collect();
                got != self.shares_at(epoch, input.asset)
            })
        };
        if let Some(epoch) = epoch {
            return match explains(epoch) {
                None => Ok(()),
                Some((number, place)) => Err(format!(
                    "{place:?} led to {:?}, but epoch {epoch} has {:?}",
                    outcomes[number],
                    self.shares_at(epoch, place.2.asset)
                )),
            };
        }
        let mut views = std::iter::once(oldest).chain(self.changes.iter().map(|(offset, _)| *offset).filter(|offset| *offset > oldest));
        if views.any(|epoch| explains(epoch).is_none()) {
            Ok(())
        } else {
            Err(format!("nothing was released, but every view since {oldest} releases something"))
        }
    }
}

/// The topic of a target.
pub(super) fn topic_of(target: usize) -> String {
    format!("share.t{target}.telemetry")
}
