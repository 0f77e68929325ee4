//! Status documents (docs/rules/status.md#documents, docs/rules/status.md#rejected-events).

use super::state::{Holders, Permission, Reason, State};
use crate::id::{Epoch, TenantId};
use crate::json::writer::object;
use crate::time::{TimestampMs, TimestampNs};

/// Where a status document goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusTopic {
    /// `sharecast.shares`.
    Shares,
    /// `share.<tenant>.shares`.
    Tenant(TenantId),
}

/// One record of a status topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusDocument {
    /// The topic.
    pub topic: StatusTopic,
    /// The share id, or `rejected:<event id>`.
    pub key: String,
    /// Control time.
    pub timestamp: TimestampMs,
    /// The document, JSON without whitespace.
    pub value: Vec<u8>,
}

/// Whom a document is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The operator, and the owner: the whole document.
    Owner,
    /// The target: without the owner's asset id and the invitee.
    Target,
}

/// A share's document: the members that have a value, in the order they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document<'a> {
    /// `share`.
    pub share: &'a str,
    /// `owner`.
    pub owner: &'a str,
    /// `asset`, in the owner's words; none once a FAILED share has forgotten it.
    pub asset: Option<&'a str>,
    /// `label`.
    pub label: Option<&'a str>,
    /// `target_tenant`, once bound.
    pub target_tenant: Option<&'a str>,
    /// `invitee`, until bound.
    pub invitee: Option<&'a str>,
    /// `target_asset`, the default applied.
    pub target_asset: Option<&'a str>,
    /// `streams`, in the order they were named.
    pub streams: Vec<&'a str>,
    /// `profile`; none once a FAILED share has forgotten it.
    pub profile: Option<&'a str>,
    /// `permission`.
    pub permission: Permission,
    /// `starts`.
    pub starts: Option<TimestampNs>,
    /// `ends`.
    pub ends: Option<TimestampNs>,
    /// `offer_expires`.
    pub offer_expires: Option<TimestampNs>,
    /// `history`, written only if true.
    pub history: bool,
    /// `message`.
    pub message: Option<&'a str>,
    /// `state`.
    pub state: State,
    /// `paused_by`, of a PAUSED share.
    pub paused_by: Holders,
    /// `reason`, in states that have one (docs/rules/shares.md#moments).
    pub reason: Option<Reason>,
    /// `revision`.
    pub revision: u32,
    /// `offered_at`.
    pub offered_at: TimestampMs,
    /// `accepted_at`.
    pub accepted_at: Option<TimestampMs>,
    /// `ended_at`.
    pub ended_at: Option<TimestampNs>,
    /// `granted_from`.
    pub granted_from: Option<TimestampNs>,
}

impl<'a> Document<'a> {
    /// The document as this audience sees it, and no more.
    #[must_use]
    pub fn seen_by(self, audience: Audience) -> Self {
        Self { asset: self.asset_for(audience), invitee: self.invitee_for(audience), ..self }
    }

    /// `asset`, where the audience may see it.
    pub fn asset_for(&self, audience: Audience) -> Option<&'a str> {
        self.asset.filter(|_| audience == Audience::Owner)
    }

    /// `invitee`, where the audience may see it.
    pub fn invitee_for(&self, audience: Audience) -> Option<&'a str> {
        self.invitee.filter(|_| audience == Audience::Owner)
    }

    /// The document as JSON without whitespace, as of this epoch.
    pub fn write(&self, audience: Audience, epoch: Epoch) -> Vec<u8> {
        object(|out| {
            out.text("share", self.share);
            out.text("owner", self.owner);
            out.text_if("asset", self.asset_for(audience));
            out.text_if("label", self.label);
            out.text_if("target_tenant", self.target_tenant);
            out.text_if("invitee", self.invitee_for(audience));
            out.text_if("target_asset", self.target_asset);
            out.texts("streams", self.streams.iter().copied());
            out.text_if("profile", self.profile);
            out.text("permission", self.permission.word());
            out.time_if("starts", self.starts);
            out.time_if("ends", self.ends);
            out.time_if("offer_expires", self.offer_expires);
            if self.history {
                out.flag("history", true);
            }
            out.text_if("message", self.message);
            out.text("state", self.state.word());
            if self.state == State::Paused {
                out.texts("paused_by", self.paused_by.words());
            }
            out.text_if("reason", self.reason.map(Reason::code));
            out.number("revision", self.revision);
            out.time("offered_at", self.offered_at.moment());
            out.time_if("accepted_at", self.accepted_at.map(TimestampMs::moment));
            out.time_if("ended_at", self.ended_at);
            out.time_if("granted_from", self.granted_from);
            out.number("epoch", epoch.0);
        })
    }
}

/// A rejected event.
#[derive(Debug, Clone, Copy)]
pub struct Rejection<'a> {
    /// The event's id as written.
    pub id: &'a str,
    /// The whole type.
    pub kind: &'a str,
    /// The source as written.
    pub source: &'a str,
    /// Why.
    pub reason: Reason,
    /// The `share` that a `share.*` event's data names, malformed or not.
    pub share: Option<&'a str>,
}

impl Rejection<'_> {
    /// The record for `sharecast.shares`.
    pub fn document(&self, timestamp: TimestampMs, epoch: Epoch) -> StatusDocument {
        let value = object(|out| {
            out.object("rejected", |out| {
                out.text("id", self.id);
                out.text("type", self.kind);
                out.text("source", self.source);
                out.text("reason", self.reason.code());
                out.text_if("share", self.share);
            });
            out.number("epoch", epoch.0);
        });
        StatusDocument { topic: StatusTopic::Shares, key: format!("rejected:{}", self.id), timestamp, value }
    }
}
