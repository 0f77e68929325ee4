//! The fold of all control events.
//!
//! `change` carries a decided transition out; `configuration`, `shares`, `partnerships`, `tenant` and `profiles` fold their own events; `query`
//! is what may be asked; `dedup` knows events that came before; `restored` takes in what a snapshot brings.

pub mod configuration;
pub(crate) mod shares;
pub(crate) mod partnerships;
pub(crate) mod publication;
pub(crate) mod profiles;
pub mod change;
pub mod query;
pub mod parties;
pub(crate) mod tenant;
pub(crate) mod schedule;
pub(crate) mod restored;
pub(crate) mod dedup;

use std::sync::Arc;

use super::event::{Envelope, Sender, Unreadable};
use super::graph::ShareGraph;
use super::profile_slot::ProfileSlot;
use super::state::Reason;
use super::status::{Rejection, StatusDocument};
use crate::document::Node;
use crate::id::{AssetId, Epoch, EventId, Offset, ProfileName, ShareId, TenantId};
use crate::profile::compile::Profile;
use crate::record::mapping::Stream;
use crate::share::configuration::{FoldConfiguration, PartnershipNeed};
use crate::share::event::fields::Malformed;
use crate::share::event::fingerprint::Fingerprint;
use crate::share::event::kind::EventType;
use crate::share::event::payload;
use crate::share::event::payload::Data;
use crate::share::hash_index::Index;
use crate::share::lifecycle::context::Actor;
use crate::share::lifecycle::record::ShareNumber;
use crate::share::stream_lists::StreamLists;
use crate::share::table::configuration::LogOrigin;
use crate::share::table::dedup::{EventDedup, EventRepeat};
use crate::share::table::profiles::Profiles;
use crate::share::table::schedule::Schedule;
use crate::share::table::tenant::{Pairs, Tenants};
use crate::time::{Period, TimestampMs};

/// The local configuration that the fold depends on: `streams` as what is read here, the rest until the log names its own.
#[derive(Debug, Clone)]
pub struct FoldRules {
    /// The configured streams.
    pub streams: Arc<[Stream]>,
    /// `partnerships`.
    pub partnerships: PartnershipNeed,
    /// `late_grace`: how long an expired share stays a grant.
    pub late_grace: Period,
    /// `control.unreadable: halt`.
    pub halts_on_unreadable: bool,
}

/// A share that an event or a moment touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The share.
    pub share: ShareId,
    /// Its owner.
    pub owner: TenantId,
    /// Its asset, in the owner's words.
    pub asset: AssetId,
}

/// What became of a control record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was taken, whether or not it changed anything.
    Applied,
    /// A rule was broken; its reason code.
    Rejected(&'static str),
    /// The same event again (docs/rules/events.md#repeats).
    Repeated,
    /// A tick.
    Tick,
    /// It could not be understood and closes the fence (`halt`).
    Unreadable(Unreadable),
    /// It could not be understood and is set aside (`skip`): a dead letter.
    SetAside(Unreadable),
}

impl Outcome {
    /// Whether a log without the record could give more than the log with it: an applied event may have taken something away, and what
    /// could not be understood under `halt` holds everything back.
    pub fn is_change(&self) -> bool {
        match self {
            Self::Applied | Self::Unreadable(_) => true,
            Self::Rejected(_) | Self::Repeated | Self::Tick | Self::SetAside(_) => false,
        }
    }
}

/// What follows from one control record; the shell carries it out.
#[derive(Debug, Clone)]
pub struct Folded {
    /// What became of it.
    pub outcome: Outcome,
    /// The event's type without prefix and version (`share.offered`), or `unreadable`; for the metric.
    pub kind: &'static str,
    /// Status documents to be written, in order (docs/rules/status.md#order-of-documents).
    pub documents: Vec<StatusDocument>,
    /// Shares whose grants are not what they were, by share id.
    pub touched: Vec<Touched>,
    /// Invitations that are no longer open: the mailer's topic holds nothing of them any more.
    pub closed: Vec<ShareId>,
    /// A profile that is not what it was: all its grants are touched, see `shares_of_profile`.
    pub profile: Option<ProfileSlot>,
}

/// The fold. One owner changes it; `graph` hands out immutable states of it. A clone shares everything that grows with the shares, so
/// that it costs some thousand reference counts at a million of them: whoever tries an event folds it onto a clone.
#[derive(Debug, Clone)]
pub struct ShareTable {
    pub(crate) rules: FoldRules,
    /// By what the next event is judged.
    pub(crate) configuration: FoldConfiguration,
    pub(crate) origin: LogOrigin,
    /// The state after the last fold, changed in place where nobody holds a copy: all assets and all shares, whether or not it shows
    /// them. Tenants and lists of streams come into a copy of it.
    pub(crate) graph: ShareGraph,
    pub(crate) tenants: Tenants,
    pub(crate) pairs: Pairs,
    pub(crate) profiles: Profiles,
    pub(crate) streams: StreamLists,
    /// Shares by id. None is ever removed, so no id is free again.
    pub(crate) by_id: Index,
    /// Live shares by target and target asset (docs/rules/shares.md#one-share-a-place).
    pub(crate) places: Index,
    pub(crate) schedule: Schedule,
    pub(crate) memory: EventDedup,
    /// Offsets that were set aside or skipped: what they said is not in this state.
    pub(crate) skipped: Vec<Offset>,
    /// Of the newest record that touched a share or a profile. Whoever has folded the same log has the same, wherever they began.
    pub(crate) newest_change: Epoch,
    /// Shares by state, in the order of `State::ALL`.
    pub(crate) counts: [u64; 9],
    /// Whether shares show in the graph; a table that is folded for its documents alone does without.
    pub(crate) shows_grants: bool,
}

impl ShareTable {
    /// An empty table at epoch -1.
    pub fn new(rules: FoldRules) -> Self {
        let all = ProfileName::parse("all").unwrap_or_else(|e| unreachable!("{e}"));
        Self {
            configuration: rules.configuration(),
            origin: LogOrigin::default(),
            graph: ShareGraph::new(Arc::new(Profile::all(&rules.streams))),
            tenants: Tenants::default(),
            pairs: Pairs::default(),
            profiles: Profiles::new(all),
            streams: StreamLists::new(&rules.streams),
            by_id: Index::default(),
            places: Index::default(),
            schedule: Schedule::default(),
            memory: EventDedup::default(),
            skipped: Vec::new(),
            newest_change: Epoch::NONE,
            counts: [0; 9],
            shows_grants: true,
            rules,
        }
    }

    /// An empty table that is folded for its documents alone: its graph shows no share, no moment is awaited, no profile knows
    /// its users, and nothing of this takes memory.
    pub fn for_documents(rules: FoldRules) -> Self {
        Self { shows_grants: false, ..Self::new(rules) }
    }

    /// One of the same kind that has folded nothing.
    pub fn emptied(&self) -> Self {
        Self { shows_grants: self.shows_grants, ..Self::new(self.rules.clone()) }
    }

    /// The rules it folds by.
    pub fn rules(&self) -> &FoldRules {
        &self.rules
    }

    /// Folds the record at `offset` with control time `time` (already the largest up to it).
    pub fn fold(&mut self, offset: Offset, time: TimestampMs, record: Result<Envelope, Unreadable>) -> Folded {
        self.graph.epoch = Epoch(offset.0);
        self.graph.control_time = self.graph.control_time.max(time);
        let mut folded = Folded {
            outcome: Outcome::Applied,
            kind: "unreadable",
            documents: Vec::new(),
            touched: Vec::new(),
            closed: Vec::new(),
            profile: None,
        };
        self.end_graces(&mut folded);
        let is_tick = record.as_ref().is_ok_and(|event| EventType::parse(&event.kind) == Some(EventType::ControlTick));
        folded.outcome = match record {
            Ok(event) => self.fold_event(offset, &event, &mut folded),
            Err(why) => self.set_aside(offset, why),
        };
        if !is_tick {
            self.note_event();
        }
        folded.touched.sort_by(|a, b| a.share.cmp(&b.share));
        folded.touched.dedup_by(|a, b| a.share == b.share);
        if !folded.touched.is_empty() || folded.profile.is_some() {
            self.newest_change = self.graph.epoch;
        }
        folded
    }

    /// The newest record that touched a share or a profile: ticks and refused events leave it as it is. -1 before the first.
    pub fn newest_change(&self) -> Epoch {
        self.newest_change
    }

    /// The graph of this state; costs a few reference counts, never a copy of the whole.
    pub fn graph(&self) -> ShareGraph {
        self.graph.with(self.tenants.facts(), self.streams.read_of())
    }

    /// Control time: the largest time folded.
    pub(crate) fn now(&self) -> TimestampMs {
        self.graph.control_time
    }

    fn fold_event(&mut self, offset: Offset, event: &Envelope, folded: &mut Folded) -> Outcome {
        let (Some(kind), Some(sender)) = (EventType::parse(&event.kind), Sender::parse(&event.source)) else {
            return self.set_aside(offset, Unreadable("unknown type or source".to_owned()));
        };
        let data = payload::read(kind, sender, &event.data);
        if let Err(malformed) = &data
            && kind.is_unreadable_if_malformed()
        {
            return self.set_aside(offset, Unreadable(malformed.to_string()));
        }
        if data.as_ref().is_ok_and(|data| self.goes_back_in_rules(data)) {
            return self.set_aside(offset, Unreadable("data: \"rules\" must not be below the number in force".to_owned()));
        }
        folded.kind = kind.name();
        match self.admit(kind, sender, event, data, folded) {
            Ok(outcome) => outcome,
            Err(reason) => {
                let share = event.data.get("share").and_then(Node::as_str).filter(|_| kind.is_of_share());
                let rejection = Rejection { id: &event.id, kind: &event.kind, source: &event.source, reason, share };
                folded.documents.push(rejection.document(self.now(), self.graph.epoch));
                Outcome::Rejected(reason.code())
            }
        }
    }

    /// What comes before every event's own rules: a repeat, the event's id, malformed data, the sender
    /// (docs/rules/shares.md#order-of-checks).
    fn admit(
        &mut self,
        kind: EventType,
        sender: Sender<'_>,
        event: &Envelope,
        data: Result<Data<'_>, Malformed>,
        folded: &mut Folded,
    ) -> Result<Outcome, Reason> {
        let fingerprint = Fingerprint::of(&event.source, &event.id, &event.kind, &event.data);
        match self.memory.look_up(&fingerprint, self.now()) {
            EventRepeat::Same => return Ok(Outcome::Repeated),
            EventRepeat::Other => return Err(Reason::IdReused),
            EventRepeat::New => {}
        }
        if !EventId::is_valid(&event.id) {
            return Err(Reason::InvalidId);
        }
        if kind != EventType::ControlTick {
            self.memory.remember(fingerprint, self.now());
        }
        let data = data.map_err(|_| if kind == EventType::ProfilePublished { Reason::InvalidProfile } else { Reason::InvalidEvent })?;
        if !may_send(sender, kind) {
            return Err(Reason::NotOperator);
        }
        if kind == EventType::ControlTick {
            return Ok(Outcome::Tick);
        }
        self.apply(kind, sender, &data, folded).map(|()| Outcome::Applied)
    }

    fn apply(&mut self, kind: EventType, sender: Sender<'_>, data: &Data<'_>, folded: &mut Folded) -> Result<(), Reason> {
        self.note_missed(data);
        match data {
            Data::Tenant(update) => self.update_tenant(update, folded),
            Data::Established(tenants, auto_accept) => self.establish(*tenants, *auto_accept),
            Data::Partnership { sides, auto_accept } => self.change_partnership(kind, *sides, *auto_accept, folded),
            Data::Profile { profile, owner, spec: Some(spec), source } => self.publish(sender, *owner, profile, spec, *source, folded),
            Data::Profile { profile, owner, spec: None, .. } => self.retire(sender, *owner, profile, folded),
            Data::Offer(offer) => self.offer(sender, offer, folded),
            Data::Share(share, deed) => {
                let actor = match sender {
                    Sender::Operator => Actor::Operator,
                    Sender::Engine => Actor::Engine,
                    Sender::Tenant(id) => Actor::Tenant(id, self.tenants.find(id)),
                };
                self.change_share(share, deed, actor, folded)
            }
            Data::Skip(offset) => self.skip(*offset),
            Data::Configured(configured) => {
                self.configure(configured);
                Ok(())
            }
            Data::Tick => Ok(()),
        }
    }

    /// Under `halt` the offset waits, under `skip` it is set aside (docs/rules/events.md#unreadable-records).
    fn set_aside(&mut self, offset: Offset, why: Unreadable) -> Outcome {
        if self.configuration.halts_on_unreadable {
            let waiting = &self.graph.waiting;
            self.graph.waiting = waiting.iter().copied().chain([offset]).collect();
            Outcome::Unreadable(why)
        } else {
            self.skipped.push(offset);
            Outcome::SetAside(why)
        }
    }

    fn skip(&mut self, offset: Offset) -> Result<(), Reason> {
        if !self.graph.waiting.contains(&offset) {
            return Err(Reason::WrongState);
        }
        self.graph.waiting = self.graph.waiting.iter().copied().filter(|waiting| *waiting != offset).collect();
        self.skipped.push(offset);
        Ok(())
    }

    /// The ids of a share as the shell wants them; none of a FAILED share that named no asset that can be.
    pub(crate) fn touched(&self, number: ShareNumber) -> Option<Touched> {
        let share = &self.graph.shares[number.0];
        let asset = self.graph.assets.get(share.asset)?.id.clone();
        Some(Touched { share: share.id.clone(), owner: self.tenants.get(share.owner).id.clone(), asset })
    }
}

/// The operator may send everything, the engine and a tenant each what is theirs (docs/rules/events.md#senders).
fn may_send(sender: Sender<'_>, kind: EventType) -> bool {
    let is_engines = matches!(kind, EventType::ShareExpired | EventType::ControlConfigured | EventType::ControlTick);
    let is_operators = matches!(kind, EventType::TenantUpdated | EventType::PartnershipEstablished | EventType::ControlSkipped);
    match sender {
        Sender::Operator => true,
        Sender::Engine => is_engines,
        Sender::Tenant(_) => !is_engines && !is_operators,
    }
}
