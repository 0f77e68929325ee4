//! Everything that a tenant has to do with others, and the events that end it.
//!
//! Partnerships end first: with one go all shares between the two, in both directions. What is left after that, along the tree or where
//! no partnership is needed, ends share by share. Each event is folded onto the table as it is now, so nothing is planned that the log
//! would reject.

use crate::document::{DocumentKind, Member, Node, TextPosition};
use crate::id::{Epoch, Offset, TenantId};
use crate::share::event::Envelope;
use crate::share::event::kind::EventType;
use crate::share::state::{Reason, State};
use crate::share::table::parties::Bonded;
use crate::share::table::query::ShareView;
use crate::share::table::{Outcome, ShareTable};
use crate::share::view::refusal;
use crate::time::TimestampMs;

/// What there is of a tenant, and how it ends.
#[derive(Debug, Clone)]
pub struct OffboardPlan {
    /// Each partnership with the partner's id and whether it was only offered.
    pub partnerships: Vec<(String, bool)>,
    /// Shares, offers and invitations that end, by share id.
    pub shares: Vec<EndingShare>,
    /// Published profiles. They stay: nobody else can offer by them.
    pub profiles: Vec<String>,
    /// Its parent and its children in the tree, with whom offers would go on to be accepted by themselves.
    pub family: Vec<String>,
    /// What is to be written, in this order.
    pub steps: Vec<OffboardStep>,
    /// The newest event that ended a share with this target, before any of these.
    pub newest_cut: Option<Epoch>,
}

/// Events of one type.
#[derive(Debug, Clone)]
pub struct OffboardStep {
    /// The type.
    pub kind: EventType,
    /// The data of each; never empty.
    pub events: Vec<Node>,
    /// Which of them is the last that ends a share: engines report what they decide by when a share has changed, not before.
    pub last_cut: Option<usize>,
}

/// A share, an offer or an invitation that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndingShare {
    /// Its id.
    pub share: String,
    /// Whether the tenant shares it with somebody; else somebody shares it with the tenant.
    pub is_owned: bool,
    /// The tenant at the other end, or the invitee.
    pub other: String,
    /// Whether nobody has accepted the invitation yet.
    pub is_invitation: bool,
    /// Its state before.
    pub before: State,
    /// Its state after.
    pub after: State,
}

/// Why a plan cannot be carried out: an event that the log would reject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} would be refused: {why}")]
pub struct OffboardRefused {
    kind: &'static str,
    why: String,
}

impl OffboardPlan {
    /// Plans on the table, which is then of no further use: it holds what has not happened. `source` is the operator or the tenant itself.
    pub fn make(mut table: ShareTable, now: TimestampMs, source: &str, tenant: &TenantId) -> Result<Self, OffboardRefused> {
        let of = tenant.as_str();
        let partnerships = partnerships_of(&table, of);
        let mut ending: Vec<EndingShare> = table.shares().filter_map(|share| ending_share(share, of)).collect();
        ending.sort_by(|a, b| a.share.cmp(&b.share));
        let newest_cut = table.shares().filter(|share| share.document().target_tenant == Some(of) && !share.document().state.is_live());
        let mut plan = Self {
            newest_cut: newest_cut.map(ShareView::changed_at).max(),
            profiles: table.profiles().filter(|p| p.owner == of && !p.is_retired).map(|p| p.name.to_owned()).collect(),
            family: family_of(&table, of),
            partnerships,
            shares: Vec::new(),
            steps: Vec::new(),
        };
        plan.profiles.sort();
        let partner_ends = plan.partnerships.iter().map(|(partner, _)| partnership_end(source, of, partner)).collect();
        plan.take(&mut table, now, source, EventType::PartnershipEnded, partner_ends)?;
        for kind in [EventType::ShareRevoked, EventType::ShareLeft, EventType::ShareCancelled, EventType::ShareDeclined] {
            let ids = ending.iter().filter(|share| table.share(&share.share).and_then(|view| event_that_ends(view, of)) == Some(kind));
            let events = ids.map(|share| map([("share", text(&share.share))])).collect();
            plan.take(&mut table, now, source, kind, events)?;
        }
        for share in &mut ending {
            share.after = table.share(&share.share).map_or(share.after, |view| view.document().state);
        }
        plan.shares = ending;
        Ok(plan)
    }

    /// Whether there is nothing to write.
    pub fn is_of_nothing(&self) -> bool {
        self.steps.is_empty()
    }

    /// How many events are to be written.
    pub fn events(&self) -> usize {
        self.steps.iter().map(|step| step.events.len()).sum()
    }

    /// Folds events onto the table and notes them.
    fn take(
        &mut self,
        table: &mut ShareTable,
        now: TimestampMs,
        source: &str,
        kind: EventType,
        events: Vec<Node>,
    ) -> Result<(), OffboardRefused> {
        let mut last_cut = None;
        for (at, data) in events.iter().enumerate() {
            // A name that no event in the log has: it is longer than any that is written.
            let id = format!("{}-{}", "trial".repeat(20), table.epoch().0 + 1);
            let envelope = Envelope { id, source: source.to_owned(), kind: kind.full_name(), data: data.clone() };
            let refused = |why: String| OffboardRefused { kind: kind.name(), why };
            let folded = table.fold(Offset(table.epoch().0 + 1), now, Ok(envelope));
            match folded.outcome {
                Outcome::Applied if folded.touched.is_empty() => {}
                Outcome::Applied => last_cut = Some(at),
                Outcome::Rejected(code) => {
                    let reason = Reason::of_code(code).unwrap_or(Reason::InvalidEvent);
                    let attempt = refusal::Attempt { source, kind, data, now };
                    return Err(refused(format!("{code}: {}", refusal::explain(table, &attempt, reason))));
                }
                Outcome::Unreadable(why) | Outcome::SetAside(why) => return Err(refused(why.0)),
                Outcome::Repeated | Outcome::Tick => return Err(refused("it would change nothing".to_owned())),
            }
        }
        if !events.is_empty() {
            self.steps.push(OffboardStep { kind, events, last_cut });
        }
        Ok(())
    }
}

fn partnerships_of(table: &ShareTable, tenant: &str) -> Vec<(String, bool)> {
    let of_tenant = table.partnerships().into_iter().filter(|pair| pair.tenants.contains(&tenant));
    let partner = |pair: [&str; 2]| pair.into_iter().find(|side| *side != tenant).unwrap_or_default().to_owned();
    of_tenant.map(|pair| (partner(pair.tenants), matches!(pair.bond, Bonded::OfferedBy(_)))).collect()
}

fn family_of(table: &ShareTable, tenant: &str) -> Vec<String> {
    let parent = table.known_tenant(tenant).and_then(|own| own.parent);
    let children = table.tenants().into_iter().filter(|other| other.parent == Some(tenant)).map(|child| child.id);
    parent.into_iter().chain(children).map(str::to_owned).collect()
}

/// A share that has an end before it, as it is now.
fn ending_share(view: ShareView<'_>, tenant: &str) -> Option<EndingShare> {
    event_that_ends(view, tenant)?;
    let document = view.document();
    let is_owned = document.owner == tenant;
    let target = document.target_tenant.or(document.invitee).unwrap_or("-");
    Some(EndingShare {
        share: document.share.to_owned(),
        is_owned,
        other: if is_owned { target } else { document.owner }.to_owned(),
        is_invitation: document.target_tenant.is_none(),
        before: document.state,
        after: document.state,
    })
}

/// The event that ends a share for this party; none of one that is over, or of others. An access that has expired ends again where late
/// records would still be let through.
fn event_that_ends(view: ShareView<'_>, tenant: &str) -> Option<EventType> {
    let document = view.document();
    let is_owned = document.owner == tenant;
    if !is_owned && document.target_tenant != Some(tenant) {
        return None;
    }
    match document.state {
        State::Pending if is_owned => Some(EventType::ShareCancelled),
        State::Pending => Some(EventType::ShareDeclined),
        State::Active | State::Paused => Some(if is_owned { EventType::ShareRevoked } else { EventType::ShareLeft }),
        State::Expired if view.lingers() => Some(if is_owned { EventType::ShareRevoked } else { EventType::ShareLeft }),
        State::Expired | State::Failed | State::Declined | State::Cancelled | State::Revoked | State::Left => None,
    }
}

fn partnership_end(source: &str, tenant: &str, partner: &str) -> Node {
    if source.starts_with("/tenants/") {
        return map([("partner", text(partner))]);
    }
    let both = [tenant, partner].map(|side| Node { kind: text(side), place: TextPosition::default() });
    map([("tenants", DocumentKind::List(both.into()))])
}

fn text(value: &str) -> DocumentKind {
    DocumentKind::String(value.to_owned())
}

fn map<const N: usize>(members: [(&str, DocumentKind); N]) -> Node {
    let place = TextPosition::default();
    let member = |(name, kind): (&str, DocumentKind)| Member { name: name.to_owned(), place, value: Node { kind, place } };
    Node { kind: DocumentKind::Map(members.map(member).into()), place }
}
