//! One command for many shares: what it would write, and whether the fold would take all of it.
//!
//! Each line's event is folded onto the table as it is now, at the next offset, as if the lines before it had been written. So
//! every rule of docs/rules/shares.md is tried before anything is written, and lines that stand against one another are found too.

pub mod ids;
pub(crate) mod noop;
pub mod input;
pub mod offboard;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::event::Envelope;
use super::state::{Reason, State};
use super::table::{Outcome, ShareTable};
use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::{Epoch, Offset};
use crate::share::bulk::ids::Run;
use crate::share::bulk::input::{InputRef, Named};
use crate::share::bulk::noop::is_already;
use crate::share::event::kind::EventType;
use crate::share::status::Document;
use crate::share::table::query::ShareView;
use crate::share::view::refusal;
use crate::time::{TimestampMs, TimestampNs};

/// The code of an event whose name another one has.
const ID_REUSED: &str = "id_reused";
/// So often what was written without effect at one revision is told apart; more is a loop of somebody else's.
const ATTEMPTS: u32 = 1_000;

/// One line as it is meant: `data` without the share's id if it is an offer.
#[derive(Debug, Clone)]
pub struct Intent {
    /// What the line names: an asset to offer, or a share.
    pub named: Named,
    /// The event's `data`.
    pub data: Node,
}

/// What a line comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Planned {
    /// Its event is to be written.
    Write {
        /// The event's id.
        event: String,
    },
    /// The share is as the event would make it.
    AlreadySo,
    /// Its event was written before, under this run's name.
    WrittenBefore,
}

/// A line that can be done.
#[derive(Debug, Clone)]
pub struct Row {
    /// What it names, and where.
    pub named: Named,
    /// The share.
    pub share: String,
    /// `data`, whole.
    pub data: Node,
    /// What it comes to.
    pub step: Planned,
    /// The share's owner and its target or invitee.
    pub parties: (String, String),
    /// The asset in the owner's words; none where the target acts, whom it does not concern.
    pub asset: Option<String>,
    /// The asset's id at the target, once this is done.
    pub target_asset: Option<String>,
    /// The share's label.
    pub label: Option<String>,
    /// The event that changed the share last, where nothing is to be written.
    pub changed_at: Epoch,
    /// Its state before; none of a share that the line makes.
    pub before: Option<State>,
    /// Its state after; none where that was not tried.
    pub after: Option<State>,
    /// The same with the reason, and since when.
    pub standing: String,
    /// What live flow does not fetch, where the line makes a share live that reaches back.
    pub reaches_back: Option<ReachBack>,
}

/// The past that a share with `history` opens when it is accepted: a backfill fetches it, live flow does not
/// (docs/rules/release.md#history).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachBack {
    /// The streams that the share names.
    pub streams: Vec<String>,
    /// Its `starts`; none is the beginning of time.
    pub from: Option<TimestampNs>,
}

/// What a share opens that is live now and was not before.
fn reach_back(before: Option<State>, document: &Document<'_>) -> Option<ReachBack> {
    let is_new = document.state == State::Active && before.is_none_or(|state| state == State::Pending);
    (is_new && document.history)
        .then(|| ReachBack { streams: document.streams.iter().map(|stream| (*stream).to_owned()).collect(), from: document.starts })
}

/// Why a line is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// A rule is broken.
    Rule(Reason),
    /// The same name stands here already.
    Twice(InputRef),
    /// The event could not be understood.
    Malformed(String),
}

/// A line that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineRefusal {
    /// What it names, and where.
    pub named: Named,
    /// Why.
    pub why: Why,
    /// The same in a sentence: what was found, and what to do.
    pub said: String,
}

impl LineRefusal {
    /// Why, with the reason's code if it is a rule.
    pub fn in_words(&self) -> String {
        match &self.why {
            Why::Rule(reason) => format!("{}: {}", reason.code(), self.said),
            Why::Twice(_) | Why::Malformed(_) => self.said.clone(),
        }
    }
}

/// Tries an event that is not about a share on the table, which is then of no further use; why it would be refused.
pub fn try_event(mut table: ShareTable, now: TimestampMs, source: &str, id: &str, kind: EventType, data: &Node) -> Result<(), String> {
    let envelope = Envelope { id: id.to_owned(), source: source.to_owned(), kind: kind.full_name(), data: data.clone() };
    match table.fold(Offset(table.epoch().0 + 1), now, Ok(envelope)).outcome {
        Outcome::Applied | Outcome::Repeated | Outcome::Tick => Ok(()),
        Outcome::Rejected(code) => {
            let reason = Reason::of_code(code).unwrap_or(Reason::InvalidEvent);
            let attempt = refusal::Attempt { source, kind, data, now };
            Err(format!("{code}: {}", refusal::explain(&table, &attempt, reason)))
        }
        Outcome::Unreadable(why) | Outcome::SetAside(why) => Err(format!("the event would not be understood: {why}")),
    }
}

/// What a command on many shares comes to. If anything is refused, nothing is to be written.
#[derive(Debug, Default)]
pub struct BulkPlan {
    /// In the order of the lines.
    pub rows: Vec<Row>,
    /// In the order of the lines.
    pub refusals: Vec<LineRefusal>,
    /// Offers of an asset that the same target has a live or pending share of already.
    pub also_shared: usize,
}

impl BulkPlan {
    /// Tries every line on the table, which is then of no further use: it holds what has not happened. `now` is the time at which
    /// the events would be written.
    pub fn make(mut table: ShareTable, now: TimestampMs, run: &Run<'_>, intents: Vec<Intent>) -> Self {
        let name = |data: &Node, revision: u32, attempt: u32| Some(run.event_id(data, revision, attempt));
        let mut plan = Self { also_shared: also_shared(&table, run, &intents), ..Self::default() };
        let mut places: HashMap<String, InputRef> = HashMap::with_capacity(intents.len());
        for intent in intents {
            let known = places.get(&intent.named.id).cloned();
            let step = match known {
                Some(first) => {
                    let said = match &first {
                        InputRef::Argument => "it is named twice".to_owned(),
                        line => format!("it is named twice, first in {line}"),
                    };
                    Err((Why::Twice(first), said))
                }
                None => {
                    places.insert(intent.named.id.clone(), intent.named.place.clone());
                    try_line(&mut table, now, run, &intent.named, intent.data, &name)
                }
            };
            match step {
                Ok(row) => plan.rows.push(row),
                Err((why, said)) => plan.refusals.push(LineRefusal { named: intent.named, why, said }),
            }
        }
        plan
    }

    /// The same of one event on a share, which has this id of its own: it is new, for a repeat is not tried again.
    pub fn make_one(mut table: ShareTable, now: TimestampMs, run: &Run<'_>, event: &str, intent: Intent) -> Self {
        let mut plan = Self { also_shared: also_shared(&table, run, std::slice::from_ref(&intent)), ..Self::default() };
        let name = |_: &Node, _: u32, attempt: u32| Some(event.to_owned()).filter(|_| attempt == 0);
        match try_line(&mut table, now, run, &intent.named, intent.data, &name) {
            Ok(row) => plan.rows.push(row),
            Err((why, said)) => plan.refusals.push(LineRefusal { named: intent.named, why, said }),
        }
        plan
    }

    /// Every line as it is, under these ids, where nothing can be tried: what they find and lead to is not known.
    pub fn untried(intents: Vec<Intent>, ids: Vec<String>) -> Self {
        let row = |(Intent { named, data }, event): (Intent, String)| Row {
            share: data.get("share").and_then(Node::as_str).unwrap_or_default().to_owned(),
            named,
            data,
            step: Planned::Write { event },
            parties: ("-".to_owned(), "-".to_owned()),
            asset: None,
            target_asset: None,
            label: None,
            changed_at: Epoch::NONE,
            before: None,
            after: None,
            standing: String::new(),
            reaches_back: None,
        };
        let mut seen = HashSet::new();
        let rows = intents.into_iter().zip(ids).map(row).filter(|row| seen.insert(row.share.clone())).collect();
        Self { rows, ..Self::default() }
    }

    /// The lines whose events are to be written, each with its event's id.
    pub fn to_write(&self) -> impl Iterator<Item = (&Row, &str)> {
        self.rows.iter().filter_map(|row| match &row.step {
            Planned::Write { event } => Some((row, event.as_str())),
            Planned::AlreadySo | Planned::WrittenBefore => None,
        })
    }

    /// What the lines to be written come to, alike ones together; the most first.
    pub fn changes(&self) -> Vec<RowCount<'_>> {
        let mut counts: HashMap<_, usize> = HashMap::new();
        for (row, _) in self.to_write() {
            let Some(after) = row.after else { continue };
            *counts.entry((row.parties.0.as_str(), row.parties.1.as_str(), row.before, after)).or_default() += 1;
        }
        let change = |((owner, target, before, after), count)| RowCount { owner, target, before, after, count };
        let mut changes: Vec<RowCount<'_>> = counts.into_iter().map(change).collect();
        changes.sort_by_key(|change| (Reverse(change.count), change.owner, change.target, change.after.word()));
        changes
    }
}

/// What some lines come to alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowCount<'p> {
    /// Whose shares they are.
    pub owner: &'p str,
    /// Whom they are for.
    pub target: &'p str,
    /// From this state; none of shares that the lines make.
    pub before: Option<State>,
    /// To this one.
    pub after: State,
    /// So many.
    pub count: usize,
}

/// An offer's data with the id of the share it makes: one that no share has, or a share of this very content that has not ended.
fn name_offer(table: &ShareTable, run: &Run<'_>, data: Node) -> Node {
    if data.get("share").is_some() {
        return data;
    }
    let mut ended = 0;
    let id = loop {
        let id = run.share_id(&data, ended);
        match table.share(&id).map(|share| share.document().state) {
            Some(State::Pending | State::Active | State::Paused) | None => break id,
            Some(_) if run.batch.is_some() => break id,
            Some(_) => ended += 1,
        }
    };
    let DocumentKind::Map(mut members) = data.kind else { return data };
    let value = Node { kind: DocumentKind::String(id), place: TextPosition::default() };
    members.insert(0, Member { name: "share".to_owned(), place: TextPosition::default(), value });
    Node { kind: DocumentKind::Map(members), place: data.place }
}

/// Why a line is refused, and the same in a sentence.
type Refused = (Why, String);

/// `name` gives the event's id by what it says, the share's revision, and how often it was tried before.
fn try_line(
    table: &mut ShareTable,
    now: TimestampMs,
    run: &Run<'_>,
    named: &Named,
    data: Node,
    name: &dyn Fn(&Node, u32, u32) -> Option<String>,
) -> Result<Row, Refused> {
    let refused = |table: &ShareTable, data: &Node, reason: Reason| {
        let attempt = refusal::Attempt { source: run.source, kind: run.kind, data, now };
        (Why::Rule(reason), refusal::explain(table, &attempt, reason))
    };
    let malformed = |what: String| (Why::Malformed(what.clone()), format!("the event would not be understood: {what}"));
    let is_offered = run.kind == EventType::ShareOffered;
    let has_chosen_id = data.get("share").is_some();
    let data = if is_offered { name_offer(table, run, data) } else { data };
    let id = data.get("share").and_then(Node::as_str).unwrap_or_default().to_owned();
    let before = table.share(&id);
    let state = before.map(|share| share.document().state);
    let row = |share: ShareView<'_>, data: Node, step: Planned, before: Option<State>| {
        let document = share.document();
        let target = document.target_tenant.or(document.invitee).unwrap_or("-");
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let is_target = run.source.strip_prefix("/tenants/").is_some_and(|acting| acting != document.owner);
        Row {
            named: named.clone(),
            share: id.clone(),
            step,
            parties: (document.owner.to_owned(), target.to_owned()),
            asset: owned(document.asset.filter(|_| !is_target)),
            target_asset: owned(document.target_asset),
            label: owned(document.label),
            changed_at: share.changed_at(),
            before,
            after: Some(document.state),
            standing: refusal::standing(&document),
            reaches_back: reach_back(before, &document),
            data,
        }
    };
    if let Some(share) = before {
        // A share of an offer's own name was made by it.
        if is_offered && run.batch.is_some() {
            return Ok(row(share, data, Planned::WrittenBefore, state));
        }
        if is_offered && has_chosen_id {
            return Err(refused(table, &data, Reason::DuplicateShare));
        }
        if is_offered || is_already(&share.document(), run.kind, run.source, &data) {
            return Ok(row(share, data, Planned::AlreadySo, state));
        }
    }
    let revision = before.filter(|_| !is_offered).map_or(0, ShareView::revision);
    for attempt in 0..ATTEMPTS {
        let Some(event) = name(&data, revision, attempt) else { break };
        let envelope = Envelope { id: event.clone(), source: run.source.to_owned(), kind: run.kind.full_name(), data: data.clone() };
        let folded = table.fold(Offset(table.epoch().0 + 1), now, Ok(envelope));
        let share = |table: &ShareTable| table.share(&id).map(|share| share.document().state);
        match folded.outcome {
            Outcome::Applied if is_offered && share(table) == Some(State::Failed) => {
                let reason = table.share(&id).and_then(|share| share.document().reason).unwrap_or(Reason::InvalidEvent);
                return Err(refused(table, &data, reason));
            }
            Outcome::Applied => {
                // A new code is in no document, and changes what the share waits for all the same.
                let has_effect = !folded.documents.is_empty() || data.get("code_hash").is_some();
                let step = if has_effect { Planned::Write { event } } else { Planned::AlreadySo };
                let Some(share) = table.share(&id) else { return Err(refused(table, &data, Reason::UnknownShare)) };
                return Ok(row(share, data, step, state));
            }
            // Of the same name with other times, perhaps: it is written all the same.
            Outcome::Repeated | Outcome::Rejected(ID_REUSED) if run.batch.is_some() => {
                let Some(share) = table.share(&id) else { return Err(refused(table, &data, Reason::UnknownShare)) };
                return Ok(row(share, data, Planned::WrittenBefore, state));
            }
            // It was refused at this revision, or changed nothing.
            Outcome::Repeated => {}
            Outcome::Rejected(code) => return Err(refused(table, &data, Reason::of_code(code).unwrap_or(Reason::InvalidEvent))),
            Outcome::Unreadable(why) | Outcome::SetAside(why) => return Err(malformed(why.0)),
            Outcome::Tick => return Err(malformed("a tick is no event on a share".to_owned())),
        }
    }
    Err(malformed("it was tried again and again without effect".to_owned()))
}

/// Offers that would stand beside another live or pending share of the same asset with the same target.
fn also_shared(table: &ShareTable, run: &Run<'_>, intents: &[Intent]) -> usize {
    if run.kind != EventType::ShareOffered {
        return 0;
    }
    let text = |data: &Node, name: &str| data.get(name).and_then(Node::as_str).map(str::to_owned);
    let owner = |data: &Node| run.source.strip_prefix("/tenants/").map(str::to_owned).or_else(|| text(data, "owner"));
    let offered: HashSet<_> =
        intents.iter().map(|intent| (owner(&intent.data), text(&intent.data, "asset"), text(&intent.data, "target_tenant"))).collect();
    let own: HashSet<String> = intents.iter().filter_map(|intent| text(&name_offer(table, run, intent.data.clone()), "share")).collect();
    let own = &own;
    let shared: HashSet<_> = table
        .shares()
        .map(|share| share.document())
        .filter(|document| document.state.is_live() || document.state == State::Pending)
        .filter(|document| !own.contains(document.share))
        .map(|document| {
            let some = |text: &str| Some(text.to_owned());
            (some(document.owner), document.asset.map(str::to_owned), document.target_tenant.map(str::to_owned))
        })
        .filter(|shared| offered.contains(shared))
        .collect();
    shared.len()
}
