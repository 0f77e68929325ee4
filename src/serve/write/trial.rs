//! Trying an order: each event is folded onto a copy of the shares, as if those before it were written. What was written before under the
//! same key is not tried again.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::disclosure;
use crate::document::Node;
use crate::serve::problem::{ItemProblem, Problem};
use crate::serve::view::CallerView;
use crate::serve::write::order::{MOST_ITEMS, WriteItem, WriteKey, WriteOrder};
use crate::share::bulk::ids::Run;
use crate::share::bulk::input::{InputRef, Named};
use crate::share::bulk::{BulkPlan, Intent, Planned, Row, Why, try_event};
use crate::share::event::Sender;
use crate::share::event::invitation_code;
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::kind::EventType;
use crate::share::event::payload;
use crate::share::event::write_token::WriteToken;
use crate::share::state::{Reason, State};
use crate::share::table::ShareTable;
use crate::share::table::dedup::EventRepeat;
use crate::time::TimestampMs;
use crate::writing::invitation;
use crate::writing::invitation::InvitationMail;

/// What a trial needs.
pub(super) struct WriteTrial<'t> {
    pub(super) config: &'t Config,
    pub(super) view: &'t CallerView,
    pub(super) source: &'t str,
    pub(super) key: &'t WriteKey,
    pub(super) secret: &'t [u8],
    /// The wall's clock.
    pub(super) now: TimestampMs,
}

/// What an order comes to. If anything is refused, nothing is to be written.
#[derive(Debug, Default)]
pub(crate) struct OrderTrial {
    pub(in crate::serve) rows: Vec<PreparedRow>,
    pub(in crate::serve) refusals: Vec<ItemProblem>,
    /// Members that leave and are marked as critical.
    pub(super) critical: Vec<String>,
    /// The log holds nothing but ticks: its configuration is named first.
    pub(super) is_first: bool,
}

/// An item that can be done.
#[derive(Debug)]
pub(crate) struct PreparedRow {
    pub(super) index: usize,
    /// What the item names.
    pub(super) name: String,
    /// The event's id.
    pub(super) event: String,
    /// The event's `data`, whole.
    pub(super) data: Node,
    /// The share that it is about.
    pub(super) share: Option<String>,
    pub(super) step: PreparedStep,
    /// Whom it invites.
    pub(super) invitation: Option<InvitationMail>,
    /// What the share was before, and is after it; of events on shares that were tried.
    pub(in crate::serve) change: Option<RowChange>,
}

/// What an item comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PreparedStep {
    /// Its event is to be written.
    Write,
    /// The share is as the event would make it.
    AlreadySo,
    /// Its event was written before.
    Before,
}

/// What an item does to its share.
#[derive(Debug)]
pub(crate) struct RowChange {
    /// None of a share that it makes.
    pub(super) before: Option<State>,
    pub(in crate::serve) after: Option<State>,
    /// In words, with the reason.
    pub(super) standing: String,
    pub(super) owner: String,
    pub(super) target: String,
    /// The owner's id; none where the target acts.
    pub(super) asset: Option<String>,
    pub(super) target_asset: Option<String>,
}

impl OrderTrial {
    /// The rows whose events are to be written.
    pub(super) fn to_write(&self) -> impl Iterator<Item = &PreparedRow> {
        self.rows.iter().filter(|row| row.is_news())
    }

    /// Whether anything is to be written.
    pub(super) fn has_news(&self) -> bool {
        self.to_write().next().is_some()
    }
}

/// An item with its names.
struct NamedItem {
    index: usize,
    name: String,
    data: Node,
    token: WriteToken,
    invitation: Option<InvitationMail>,
}

impl WriteTrial<'_> {
    /// Tries all of an order.
    ///
    /// # Errors
    /// There are no items, or too many.
    pub(super) fn run(&self, order: WriteOrder) -> Result<OrderTrial, Problem> {
        let WriteOrder { kind, items, .. } = order;
        if items.is_empty() || items.len() > MOST_ITEMS {
            return Err(Problem::of_member("items", format!("there are {} items; 1 to {MOST_ITEMS} can be written at once", items.len())));
        }
        let table = &self.view.state().table;
        let now = self.now.max(table.control_time());
        let mut trial = OrderTrial { is_first: table.has_only_ticks(), ..OrderTrial::default() };
        let mut new = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            match self.named(kind, index, item, table, now) {
                Ok(ItemNews::New(item)) => new.push(item),
                Ok(ItemNews::Before(row)) => trial.rows.push(row),
                Err(refusal) => trial.refusals.push(refusal),
            }
        }
        if kind.is_of_share() {
            self.try_shares(kind, new, table, now, &mut trial);
        } else {
            self.try_others(kind, new, table, now, &mut trial);
        }
        trial.rows.sort_by_key(|row| row.index);
        trial.refusals.sort_by_key(|refusal| refusal.index);
        Ok(trial)
    }

    /// Gives an item its ids, and looks whether its event was written before.
    fn named(&self, kind: EventType, index: usize, item: WriteItem, table: &ShareTable, now: TimestampMs) -> Result<ItemNews, ItemProblem> {
        let WriteItem { name, mut data } = item;
        let refused = |reason: Option<Reason>, detail: String| ItemProblem { index, name: name.clone(), reason, detail };
        let token = self.key.token(self.secret, self.source, index);
        if kind == EventType::ShareOffered {
            invitation::set_member(&mut data, "share", token.share_id());
        }
        let sender = Sender::parse(self.source).ok_or_else(|| refused(None, "who acts is not known".to_owned()))?;
        if let Err(malformed) = payload::read(kind, sender, &data) {
            let detail = format!("\"{}\": {}", malformed.member, malformed.in_words(&data));
            let reason = if kind == EventType::ProfilePublished { Reason::InvalidProfile } else { Reason::InvalidEvent };
            return Err(refused(Some(reason), detail));
        }
        let share = data.get("share").and_then(Node::as_str).filter(|_| kind.is_of_share()).map(str::to_owned);
        if let Some(share) = share.as_deref().filter(|_| kind != EventType::ShareOffered)
            && self.view.share(share).is_none()
            && !opens(table, share, kind, &data)
        {
            return Err(refused(Some(Reason::UnknownShare), Reason::UnknownShare.in_words().to_owned()));
        }
        let event = token.event_id();
        if table.knows_event(self.source, &event, now) {
            let first = readings(kind, &data, &token)
                .into_iter()
                .find(|data| table.repeats(self.source, &event, kind, data, now) == EventRepeat::Same);
            let Some(data) = first else {
                let detail = "the Idempotency-Key was used for another write within the last 30 days: choose another".to_owned();
                return Err(refused(Some(Reason::IdReused), detail));
            };
            let invitation = invitation_of(&data, &share, &token);
            return Ok(ItemNews::Before(PreparedRow {
                index,
                name,
                event,
                data,
                share,
                step: PreparedStep::Before,
                invitation,
                change: None,
            }));
        }
        invitation::settle_code(&mut data, table);
        let invitation = InvitationMail::of(kind, &data, table, token.code());
        if invitation.is_some() {
            InvitationMail::put_hash(&mut data, &token.code());
        }
        Ok(ItemNews::New(NamedItem { index, name, data, token, invitation }))
    }

    fn try_shares(&self, kind: EventType, items: Vec<NamedItem>, table: &ShareTable, now: TimestampMs, trial: &mut OrderTrial) {
        let intent = |item: &NamedItem| {
            // By its place an answer finds its item again.
            let named = Named { place: InputRef::Line("items".into(), item.index), id: item.name.clone(), target_asset: None };
            (Intent { named, data: item.data.clone() }, item.token.event_id())
        };
        let intents: Vec<(Intent, String)> = items.iter().map(intent).collect();
        let run = Run { source: self.source, kind, batch: None };
        let only_data: Vec<Intent> = intents.iter().map(|(intent, _)| intent.clone()).collect();
        trial.critical = disclosure::of_events(self.config, kind, self.source, &only_data, table);
        let plan = BulkPlan::make_named(table.clone(), now, &run, intents);
        for refusal in plan.refusals {
            let reason = match refusal.why {
                Why::Rule(reason) => Some(reason),
                Why::Twice(_) | Why::Malformed(_) => None,
            };
            let index = place_of(&refusal.named);
            trial.refusals.push(ItemProblem { index, name: refusal.named.id, reason, detail: refusal.said });
        }
        let mut items = items.into_iter().peekable();
        for row in plan.rows {
            let index = place_of(&row.named);
            let item = std::iter::from_fn(|| items.next()).find(|item| item.index == index);
            let Some(item) = item else { continue };
            trial.rows.push(prepared(item, row));
        }
    }

    fn try_others(&self, kind: EventType, items: Vec<NamedItem>, table: &ShareTable, now: TimestampMs, trial: &mut OrderTrial) {
        let mut critical = BTreeSet::new();
        for item in items {
            let NamedItem { index, name, data, token, .. } = item;
            let event = token.event_id();
            if kind == EventType::ProfilePublished {
                critical.extend(
                    data.get("spec")
                        .and_then(|spec| crate::profile::spec::ProfileSpec::read(spec).ok())
                        .into_iter()
                        .flat_map(|spec| disclosure::of_profile(self.config, &spec)),
                );
            }
            match try_event(table.clone(), now, self.source, &event, kind, &data) {
                Ok(()) => trial.rows.push(PreparedRow {
                    index,
                    name,
                    event,
                    data,
                    share: None,
                    step: PreparedStep::Write,
                    invitation: None,
                    change: None,
                }),
                Err(refusal) => {
                    let reason = match refusal.why {
                        Why::Rule(reason) => Some(reason),
                        Why::Twice(_) | Why::Malformed(_) => None,
                    };
                    trial.refusals.push(ItemProblem { index, name, reason, detail: refusal.said });
                }
            }
        }
        trial.critical.extend(critical);
    }
}

/// Whether an item was written before.
enum ItemNews {
    New(NamedItem),
    Before(PreparedRow),
}

fn place_of(named: &Named) -> usize {
    match named.place {
        InputRef::Line(_, index) => index,
        InputRef::Argument => 0,
    }
}

fn prepared(item: NamedItem, row: Row) -> PreparedRow {
    let step = match row.step {
        Planned::Write { .. } => PreparedStep::Write,
        Planned::AlreadySo => PreparedStep::AlreadySo,
        Planned::WrittenBefore => PreparedStep::Before,
    };
    let change = RowChange {
        before: row.before,
        after: row.after,
        standing: row.standing,
        owner: row.parties.0,
        target: row.parties.1,
        asset: row.asset,
        target_asset: row.target_asset,
    };
    PreparedRow {
        index: item.index,
        name: item.name,
        event: item.token.event_id(),
        data: row.data,
        share: Some(row.share),
        invitation: item.invitation.filter(|_| step == PreparedStep::Write),
        step,
        change: Some(change),
    }
}

/// Whether an acceptance brings the code of a share that the caller does not see yet. Without it nobody learns that the share is there.
fn opens(table: &ShareTable, share: &str, kind: EventType, data: &Node) -> bool {
    let typed = data.get("code").and_then(Node::as_str).filter(|_| kind == EventType::ShareAccepted);
    let hash = table.share(share).and_then(|share| share.code_hash());
    typed.zip(hash).is_some_and(|(typed, hash)| invitation_code::readings(typed).iter().any(|reading| CodeHash::of(reading) == hash))
}

/// What the data may have been when it was written first: a code is settled by its share, which may have forgotten it, and a resend has a
/// code if its share was an invitation then.
fn readings(kind: EventType, data: &Node, token: &WriteToken) -> Vec<Node> {
    let mut all = vec![data.clone()];
    if matches!(kind, EventType::ShareOffered | EventType::ShareResent) {
        let mut with = data.clone();
        InvitationMail::put_hash(&mut with, &token.code());
        all.push(with);
    }
    if let Some(typed) = data.get("code").and_then(Node::as_str) {
        for reading in invitation_code::readings(typed) {
            let mut with = data.clone();
            invitation::set_code(&mut with, reading);
            all.push(with);
        }
    }
    all
}

/// The invitation that an earlier event made.
fn invitation_of(data: &Node, share: &Option<String>, token: &WriteToken) -> Option<InvitationMail> {
    let invitation = InvitationMail { share: share.clone()?, code: token.code() };
    invitation.is_of(data).then_some(invitation)
}
