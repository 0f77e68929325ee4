//! What must be true of every committed transaction: each record's outputs exactly once and in order, by a view that was
//! not too old, with offsets and notes that cover just these records.
//!
//! What is decided of an append partition for one target is a range of its offsets: from where the target was owed it, or else
//! from the committed offset, up to where it is owed from now on, or else to the new offset.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sharecast::id::Offset;
use sharecast::time::TimestampMs;
use sharecast::transport::{Batch, SourcePartition};

use super::at_least_once::Appeared;
use super::cluster::{INPUTS, Put, is_kept, source};
use super::reading::TIMESTAMP;
use super::standing::Shelf;
use super::{PARTITIONS, TARGETS};

/// `fence.max_view_age`.
pub(super) const MAX_VIEW_AGE: Duration = Duration::from_secs(1);
/// Longer values are refused by the topic of dead letters.
pub(super) const LONGEST_LETTER: usize = 400;

/// What every share shows: by a condition, not of each record.
pub(super) const PROFILE: &str = r#"{"include":["$"],"when":"record.n % 7 != 0"}"#;
/// The same, and of a share one record in each three seconds.
pub(super) const SAMPLED: &str = r#"{"include":["$"],"when":"record.n % 7 != 0","sample":{"every":"3s"}}"#;

/// One input record.
#[derive(Debug, Clone)]
pub(super) struct Input {
    /// No other record of any input has it.
    pub(super) number: u64,
    pub(super) asset: usize,
    pub(super) key: String,
    /// It is a dead letter: its key names no tenant and asset, or its value is none.
    pub(super) is_unreadable: bool,
    /// This tenant's topic refuses it.
    pub(super) poison: Option<usize>,
    pub(super) value: Option<String>,
    /// Compaction has removed it.
    pub(super) is_gone: bool,
}

impl Input {
    /// A tenth of a second after that of the record before, and before all pauses.
    fn timestamp(&self) -> TimestampMs {
        TimestampMs(TIMESTAMP.0 - 60_000 + 100 * self.number as i64)
    }

    /// The shares' profile withholds it (`PROFILE`).
    pub(super) fn is_withheld(&self) -> bool {
        self.number.is_multiple_of(7)
    }

    /// Hands it out, if it is there.
    pub(super) fn show(&self, source: SourcePartition, offset: i64, into: &mut Batch) {
        if !self.is_gone {
            let value = self.value.as_deref().map(str::as_bytes);
            into.push(source, Offset(offset), self.timestamp(), Some(self.key.as_bytes()), value, std::iter::empty());
        }
    }
}

/// One share's life in offsets of the control topic.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) share: String,
    pub(super) asset: usize,
    pub(super) target: usize,
    /// Whether it names the streams.
    pub(super) has_telemetry: bool,
    pub(super) has_details: bool,
    /// `target_asset`, from which offset on.
    keys: Vec<(i64, String)>,
    /// It is paused from every other of these offsets on.
    pauses: Vec<i64>,
    accepted: i64,
    pub(super) revoked: Option<i64>,
}

/// What was told, in what order and when.
#[derive(Debug)]
pub(super) struct Model {
    /// How old the view of a transaction may be when its commit is sent.
    pub(super) max_view_age: Duration,
    /// `on_route_failure: wait`.
    pub(super) waits: bool,
    /// `delivery: at_least_once`.
    pub(super) is_at_least_once: bool,
    pub(super) grants: Vec<Grant>,
    /// Events that change what is released: offset, and when it was acknowledged.
    changes: Vec<(i64, Duration)>,
    pub(super) samples: Samples,
    /// Topics that have ever been in trouble.
    pub(super) troubled: BTreeSet<String>,
    /// From where on targets are owed how much of a place.
    pub(super) owed: BTreeMap<(usize, usize), i64>,
    /// Outputs, letters and notes seen, to show that a run did something.
    pub(super) released: u64,
    pub(super) diverted: u64,
    pub(super) noted: u64,
    /// Upsert streams.
    pub(super) shelf: Shelf,
    /// Without transactions: what has come out.
    pub(super) appeared: Appeared,
}

/// What was released last of what shares are sampled of, by place and share.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples {
    pub(super) is_on: bool,
    last: BTreeMap<(usize, String), i64>,
    /// Whoever owns the place knows it too. Of the others one more record may pass.
    known: BTreeSet<(usize, String)>,
    /// When each place was given to somebody last.
    pub(super) given: BTreeMap<usize, Duration>,
}

/// A transaction that becomes visible.
pub(super) struct Committed<'a> {
    pub(super) puts: &'a [Put],
    pub(super) offsets: &'a [(usize, i64, String)],
    pub(super) sent_at: Duration,
    pub(super) before: &'a [Option<i64>],
    pub(super) inputs: &'a [Vec<Input>],
    pub(super) firsts: &'a [i64],
}

/// Records by number, with place and offset.
pub(super) type Covered<'a> = BTreeMap<u64, (usize, i64, &'a Input)>;
/// What a record led to: share and whether it went to the dead letters with this reason.
type Outcome = BTreeMap<String, Option<String>>;
/// What is decided in a transaction: of a record for a target.
pub(super) type Due<'a> = BTreeMap<(u64, usize), (usize, i64, &'a Input)>;

impl Default for Model {
    fn default() -> Self {
        Self {
            max_view_age: MAX_VIEW_AGE,
            waits: false,
            is_at_least_once: false,
            grants: Vec::new(),
            changes: Vec::new(),
            samples: Samples::default(),
            troubled: BTreeSet::new(),
            owed: BTreeMap::new(),
            released: 0,
            diverted: 0,
            noted: 0,
            shelf: Shelf::default(),
            appeared: Appeared::default(),
        }
    }
}

impl Samples {
    /// A record was released to these shares of those that it could be; whether that may be.
    fn take(
        &mut self,
        &(place, _, input): &(usize, i64, &Input),
        got: BTreeSet<&str>,
        active: BTreeSet<&str>,
        committed: &Committed<'_>,
    ) -> bool {
        if !self.is_on {
            return got == active;
        }
        let period = |millis: i64| millis.div_euclid(3_000);
        let time = input.timestamp().0;
        let given = self.given.get(&place).copied();
        let is_explained = active.iter().all(|share| {
            let of = (place, (*share).to_owned());
            let is_later = self.last.get(&of).is_none_or(|last| period(time) > period(*last));
            if got.contains(share) && (is_later || !self.known.contains(&of)) {
                // What was sent before the place was given away, its owner does not know; nor, after an answer that got lost, what
                // was owed.
                let next = committed.offsets.iter().find(|(p, ..)| *p == place).map(|(_, next, _)| *next);
                let is_known = given.is_none_or(|given| given < committed.sent_at) && committed.before[place] != next;
                self.last.insert(of.clone(), time);
                if is_known {
                    self.known.insert(of)
                } else {
                    self.known.remove(&of)
                };
                return true;
            }
            !got.contains(share) && !is_later
        });
        is_explained && got.is_subset(&active)
    }

    /// A place was given to somebody, who knows nothing of it.
    pub(super) fn forget(&mut self, place: usize, at: Duration) {
        if self.given.insert(place, at) != Some(at) {
            self.known.retain(|(known, _)| *known != place);
        }
    }
}

impl Committed<'_> {
    pub(super) fn input(&self, place: usize, offset: i64) -> &Input {
        &self.inputs[place][(offset - self.firsts[place]) as usize]
    }
}

impl Put {
    pub(super) fn header(&self, name: &str) -> Option<String> {
        self.headers.iter().find(|(n, _)| n.ends_with(name)).map(|(_, v)| String::from_utf8_lossy(v).into_owned())
    }

    pub(super) fn name(&self) -> String {
        String::from_utf8_lossy(self.key.as_deref().unwrap_or_default()).into_owned()
    }
}

impl Model {
    pub(super) fn accepted(&mut self, grant: Grant, now: Duration) {
        self.changes.push((grant.accepted, now));
        self.grants.push(grant);
    }

    /// The share is paused, or no more.
    pub(super) fn paused(&mut self, share: &str, offset: i64, now: Duration) {
        let grant = self.grants.iter_mut().find(|grant| grant.share == share).expect("a share that there is");
        grant.pauses.push(offset);
        self.changes.push((offset, now));
    }

    /// The share has another key from now on.
    pub(super) fn moved(&mut self, share: &str, key: String, offset: i64, now: Duration) {
        let grant = self.grants.iter_mut().find(|grant| grant.share == share).expect("a share that there is");
        grant.keys.push((offset, key));
        self.changes.push((offset, now));
    }

    pub(super) fn revoked(&mut self, share: &str, offset: i64, now: Duration) {
        let grant = self.grants.iter_mut().find(|grant| grant.share == share).expect("a share that there is");
        grant.revoked = Some(offset);
        self.changes.push((offset, now));
    }

    /// The share that stands between asset and target now.
    pub(super) fn standing(&self, asset: usize, target: usize) -> Option<&Grant> {
        self.grants.iter().find(|g| (g.asset, g.target, g.revoked) == (asset, target, None))
    }

    /// The share that has this key of the target now.
    pub(super) fn holder(&self, target: usize, key: &str) -> Option<&Grant> {
        self.grants.iter().find(|g| (g.target, g.revoked) == (target, None) && g.key_at(i64::MAX) == key)
    }

    /// The shares that release the record to the target.
    pub(super) fn shares_at(&self, epoch: i64, input: &Input, target: usize) -> BTreeSet<&str> {
        let is_active = |g: &&Grant| g.has_telemetry && (g.asset, g.target) == (input.asset, target) && g.is_active_at(epoch);
        let is_active = |g: &&Grant| !input.is_withheld() && is_active(g);
        self.grants.iter().filter(is_active).map(|g| g.share.as_str()).collect()
    }

    pub(super) fn check(&mut self, committed: &Committed<'_>) -> Result<(), String> {
        let covered = self.covered(committed)?;
        let due = self.due(committed)?;
        let mut outcomes: BTreeMap<(u64, usize), Outcome> = BTreeMap::new();
        let mut letters = BTreeSet::new();
        let mut epoch = self.check_documents(committed)?.map(Some);
        let mut last: BTreeMap<(&str, usize), i64> = BTreeMap::new();
        for put in committed.puts.iter().filter(|put| !is_kept(&put.topic) && !put.topic.ends_with(".details")) {
            let is_letter = put.topic == "sharecast.dead-letters";
            let reason = put.header("reason").filter(|_| is_letter);
            if is_letter && !matches!(reason.as_deref(), Some("route_failed" | "refused")) {
                letters.insert(check_letter(put, &covered, &letters)?);
                continue;
            }
            if self.waits && reason.as_deref() == Some("route_failed") {
                return Err(format!("a dead letter for a failed route, though routes are waited for: {put:?}"));
            }
            if is_letter && put.header("topic").as_deref() == Some(INPUTS[1]) {
                self.diverted += 1;
                continue;
            }
            let value = put.value.as_deref().ok_or_else(|| format!("an output without a value: {put:?}"))?;
            let output: serde_json::Value = serde_json::from_slice(value).map_err(|e| e.to_string())?;
            let (number, share) =
                (output["n"].as_u64().unwrap_or_default(), output["_share"]["id"].as_str().unwrap_or_default().to_owned());
            if *epoch.get_or_insert(output["_share"]["epoch"].as_i64()) != output["_share"]["epoch"].as_i64() {
                return Err(format!("outputs of two graphs in one transaction: {output}"));
            }
            let grant = self.grants.iter().find(|g| g.share == share).ok_or(format!("{output}: no such share"))?;
            let target = grant.target;
            let &(place, offset, input) = due.get(&(number, target)).ok_or_else(|| {
                format!("{output} is not due: it is written twice, or too early, by {:?} with {:?}", committed.offsets, self.owed)
            })?;
            let topic = topic_of(target);
            match reason.as_deref() {
                Some("refused") if input.poison != Some(target) => return Err(format!("{output} was never refused")),
                Some("route_failed") if !self.troubled.contains(&topic) => return Err(format!("{topic} was never in trouble")),
                Some(_) => self.diverted += 1,
                None if put.topic != topic || put.name() != grant.key_at(output["_share"]["epoch"].as_i64().unwrap_or_default()) => {
                    return Err(format!("{output} went to {}", put.topic));
                }
                None => {
                    self.released += 1;
                    if last.insert((&put.topic, place), offset).is_some_and(|before| before >= offset) {
                        return Err(format!("{output} is out of order"));
                    }
                }
            }
            if outcomes.entry((number, target)).or_default().insert(share, reason).is_some() {
                return Err(format!("{output} stands twice in one transaction"));
            }
        }
        for (number, (_, _, input)) in &covered {
            if input.is_unreadable && !input.is_gone && !letters.contains(number) {
                return Err(format!("no dead letter for {input:?}"));
            }
        }
        self.samples = self.check_view(committed, &due, &outcomes, epoch.flatten())?;
        Ok(())
    }

    /// The records that the offsets of the transaction cover.
    pub(super) fn covered<'a>(&self, committed: &Committed<'a>) -> Result<Covered<'a>, String> {
        let mut covered = BTreeMap::new();
        let notes: Vec<&Put> = committed.puts.iter().filter(|put| put.name().starts_with("start/")).collect();
        for &(place, next, _) in committed.offsets {
            let partition = source(place);
            let key = format!("start/g/{}/{}", INPUTS[usize::from(partition.stream.0)], partition.partition);
            let note = notes.iter().find(|put| put.key.as_deref() == Some(key.as_bytes()));
            let from = match (committed.before[place], note) {
                (Some(before), None) => before,
                (None, Some(note)) if note.value.as_deref() == Some(format!(r#"{{"offset":{}}}"#, committed.firsts[place]).as_bytes()) => {
                    committed.firsts[place]
                }
                (before, note) => return Err(format!("{partition:?} committed before: {before:?}, begun now: {note:?}")),
            };
            if next < from {
                return Err(format!("the offset of {partition:?} goes back from {from} to {next}"));
            }
            for offset in from..next {
                let input = &committed.inputs[place][(offset - committed.firsts[place]) as usize];
                covered.insert(input.number, (place, offset, input));
            }
        }
        if notes.len() != committed.offsets.iter().filter(|(place, ..)| committed.before[*place].is_none()).count() {
            return Err("a note too many".into());
        }
        Ok(covered)
    }

    /// What the transaction has to decide of append partitions, and what is owed from then on.
    pub(super) fn due<'a>(&mut self, committed: &Committed<'a>) -> Result<Due<'a>, String> {
        let mut notes: BTreeMap<(usize, usize), Option<i64>> = BTreeMap::new();
        for put in committed.puts.iter().filter(|put| put.name().starts_with("owed/")) {
            let name = put.name();
            let parts: Vec<&str> = name.split('/').collect();
            let ["owed", "g", "raw", partition, tenant] = parts[..] else { return Err(format!("a note of nothing: {name}")) };
            let (place, target) = (partition.parse().unwrap_or(usize::MAX), tenant[1..].parse().unwrap_or(usize::MAX));
            let from = match &put.value {
                Some(value) => {
                    let note: serde_json::Value = serde_json::from_slice(value).map_err(|e| e.to_string())?;
                    Some(note["from"].as_i64().filter(|_| note["tenant"] == tenant).ok_or(format!("{name} says {note}"))?)
                }
                None => None,
            };
            if !self.waits || !committed.offsets.iter().any(|(p, ..)| *p == place) || notes.insert((place, target), from).is_some() {
                return Err(format!("{name} is written twice or without an offset of its partition"));
            }
        }
        let mut due = Due::new();
        for &(place, next, _) in committed.offsets.iter().filter(|(place, ..)| *place < PARTITIONS as usize) {
            for target in 0..TARGETS {
                let was = self.owed.get(&(place, target)).copied();
                let from = was.or(committed.before[place]).unwrap_or(committed.firsts[place]);
                let is = notes.get(&(place, target)).copied().unwrap_or(was);
                let until = is.unwrap_or(next);
                // What was decided once and is decided again may be owed now.
                let until = if self.is_at_least_once { until.clamp(from, next.max(from)) } else { until };
                if until < from || until > next {
                    return Err(format!("target {target} is owed {place} from {was:?}, then from {is:?}, with the offset at {next}"));
                }
                if is.is_some() && !self.troubled.contains(&topic_of(target)) {
                    return Err(format!("target {target} is owed something though its topic was never in trouble"));
                }
                for offset in from..until {
                    let input = &committed.inputs[place][(offset - committed.firsts[place]) as usize];
                    due.insert((input.number, target), (place, offset, input));
                }
                match is {
                    Some(from) => drop(self.owed.insert((place, target), from)),
                    None => drop(self.owed.remove(&(place, target))),
                }
            }
        }
        self.noted += notes.len() as u64;
        Ok(due)
    }

    /// The newest change that every view must have that is young enough for this commit.
    pub(super) fn oldest_view(&self, sent_at: Duration) -> i64 {
        let known = self.changes.iter().filter(|(_, at)| at.saturating_add(self.max_view_age) < sent_at);
        known.map(|(offset, _)| *offset).max().unwrap_or(-1)
    }

    /// The views that are young enough, as far as they differ.
    pub(super) fn views(&self, sent_at: Duration) -> impl Iterator<Item = i64> + '_ {
        let oldest = self.oldest_view(sent_at);
        std::iter::once(oldest).chain(self.changes.iter().map(|(offset, _)| *offset).filter(move |offset| *offset > oldest))
    }

    /// Whether some view that was young enough at the commit releases just this.
    fn check_view(
        &self,
        committed: &Committed<'_>,
        due: &Due<'_>,
        outcomes: &BTreeMap<(u64, usize), Outcome>,
        epoch: Option<i64>,
    ) -> Result<Samples, String> {
        let oldest = self.oldest_view(committed.sent_at);
        if epoch.is_some_and(|epoch| epoch < oldest) {
            let age = self.max_view_age;
            return Err(format!("released by epoch {epoch:?} though {oldest} was acknowledged more than {age:?} before the commit"));
        }
        let nothing = Outcome::new();
        let got = |of: &(u64, usize)| outcomes.get(of).unwrap_or(&nothing).keys().map(String::as_str).collect::<BTreeSet<&str>>();
        let explained = |epoch: i64| {
            let mut samples = self.samples.clone();
            for (of, place) in due.iter().filter(|(_, (_, _, input))| !input.is_unreadable) {
                if !samples.take(place, got(of), self.shares_at(epoch, place.2, of.1), committed) {
                    return Err((of, place));
                }
            }
            Ok(samples)
        };
        if let Some(epoch) = epoch {
            return match explained(epoch) {
                Ok(samples) => Ok(samples),
                Err((of, place)) => Err(format!(
                    "{place:?} led to {:?} at target {}, but epoch {epoch} has {:?}",
                    outcomes.get(of),
                    of.1,
                    self.shares_at(epoch, place.2, of.1)
                )),
            };
        }
        if let Some(samples) = self.views(committed.sent_at).find_map(|epoch| explained(epoch).ok()) {
            return Ok(samples);
        }
        Err(format!("nothing was released of {due:?}, but every view since {oldest} releases something"))
    }
}

impl Grant {
    pub(super) fn new(share: String, (asset, target): (usize, usize), key: String, streams: (bool, bool), accepted: i64) -> Self {
        let keys = vec![(accepted, key)];
        Self { share, asset, target, has_telemetry: streams.0, has_details: streams.1, keys, pauses: Vec::new(), accepted, revoked: None }
    }

    /// Its key at the target.
    pub(super) fn key_at(&self, epoch: i64) -> &str {
        self.keys.iter().rfind(|(from, _)| *from <= epoch).map_or("", |(_, key)| key)
    }

    pub(super) fn is_active_at(&self, epoch: i64) -> bool {
        let is_paused = self.pauses.iter().filter(|at| **at <= epoch).count() % 2 == 1;
        self.accepted <= epoch && self.revoked.is_none_or(|revoked| epoch < revoked) && !is_paused
    }
}

/// A dead letter of a record that cannot be read; returns the record's number.
fn check_letter(put: &Put, covered: &Covered<'_>, letters: &BTreeSet<u64>) -> Result<u64, String> {
    let where_from = (put.header("topic"), put.header("partition"), put.header("offset"));
    let is_it = |place: usize, offset: i64| {
        let of = source(place);
        let topic = INPUTS[usize::from(of.stream.0)].to_owned();
        (Some(topic), Some(of.partition.to_string()), Some(offset.to_string())) == where_from
    };
    let found = covered.values().find(|(place, offset, _)| is_it(*place, *offset));
    let (_, _, input) = found.ok_or(format!("a dead letter of {where_from:?}, which is not covered"))?;
    let text = input.value.as_deref().unwrap_or_default();
    let is_whole = put.value.as_deref() == Some(text.as_bytes()) || put.value.is_none() && text.len() > LONGEST_LETTER;
    if !input.is_unreadable || !is_whole || letters.contains(&input.number) {
        return Err(format!("a dead letter too many or of other bytes for {input:?}"));
    }
    Ok(input.number)
}

/// The topic of a target.
pub(super) fn topic_of(target: usize) -> String {
    format!("share.t{target}.telemetry")
}
