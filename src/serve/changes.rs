//! What the fold tells those who follow it: each record that changed something, with whom it concerns.

use std::sync::Arc;

use crate::document::Node;
use crate::id::Epoch;
use crate::share::event::Envelope;
use crate::share::event::kind::EventType;
use crate::share::status::StatusDocument;
use crate::share::table::{Folded, Outcome};

/// What one record changed.
#[derive(Debug, Clone)]
pub struct FoldedChange {
    /// Its offset.
    pub epoch: Epoch,
    /// The documents that it wrote: each is of one topic, and who has that topic may see it.
    pub(super) documents: Arc<[StatusDocument]>,
    /// What changed besides shares.
    pub(super) parties: Option<PartiesChange>,
}

/// A change that no status document tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PartiesChange {
    /// What lies between these two.
    Partnership([String; 2]),
    /// A profile of this owner.
    Profile { owner: String, profile: String },
    /// A tenant.
    Tenant(String),
}

impl FoldedChange {
    /// What came of a record; none if nobody's view is another one for it.
    pub(super) fn of(epoch: Epoch, event: Option<&Envelope>, folded: &Folded) -> Option<Self> {
        if folded.outcome != Outcome::Applied {
            return None;
        }
        let documents = folded.documents.clone();
        let parties = event.and_then(PartiesChange::of);
        (!documents.is_empty() || parties.is_some()).then(|| Self { epoch, documents: documents.into(), parties })
    }
}

impl PartiesChange {
    fn of(event: &Envelope) -> Option<Self> {
        let text = |name: &str| event.data.get(name).and_then(Node::as_str).map(str::to_owned);
        let acting = event.source.strip_prefix("/tenants/").map(str::to_owned);
        let kind = EventType::parse(&event.kind)?;
        match kind {
            EventType::TenantUpdated => text("tenant").map(Self::Tenant),
            EventType::PartnershipEstablished
            | EventType::PartnershipOffered
            | EventType::PartnershipAccepted
            | EventType::PartnershipDeclined
            | EventType::PartnershipEnded => {
                let both =
                    event.data.get("tenants").and_then(Node::as_list).into_iter().flatten().filter_map(Node::as_str).map(str::to_owned);
                match (acting, both.collect::<Vec<_>>().as_slice()) {
                    (Some(acting), _) => text("partner").map(|partner| Self::Partnership([acting, partner])),
                    (None, [a, b]) => Some(Self::Partnership([a.clone(), b.clone()])),
                    (None, _) => None,
                }
            }
            EventType::ProfilePublished | EventType::ProfileRetired => {
                Some(Self::Profile { owner: acting.or_else(|| text("owner"))?, profile: text("profile")? })
            }
            EventType::ShareOffered
            | EventType::ShareResent
            | EventType::ShareAccepted
            | EventType::ShareDeclined
            | EventType::ShareLeft
            | EventType::ShareCancelled
            | EventType::ShareRevoked
            | EventType::ShareUpdated
            | EventType::SharePaused
            | EventType::ShareResumed
            | EventType::ShareExpired
            | EventType::ControlSkipped
            | EventType::ControlConfigured
            | EventType::ControlTick => None,
        }
    }
}
