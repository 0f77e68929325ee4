//! The types of control events (docs/rules/events.md#event-types).

use crate::document::Node;

/// A known event type, version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// `tenant.updated`.
    TenantUpdated,
    /// `partnership.established`.
    PartnershipEstablished,
    /// `partnership.offered`.
    PartnershipOffered,
    /// `partnership.accepted`.
    PartnershipAccepted,
    /// `partnership.declined`.
    PartnershipDeclined,
    /// `partnership.ended`.
    PartnershipEnded,
    /// `profile.published`.
    ProfilePublished,
    /// `profile.retired`.
    ProfileRetired,
    /// `share.offered`.
    ShareOffered,
    /// `share.resent`.
    ShareResent,
    /// `share.accepted`.
    ShareAccepted,
    /// `share.declined`.
    ShareDeclined,
    /// `share.left`.
    ShareLeft,
    /// `share.cancelled`.
    ShareCancelled,
    /// `share.revoked`.
    ShareRevoked,
    /// `share.updated`.
    ShareUpdated,
    /// `share.paused`.
    SharePaused,
    /// `share.resumed`.
    ShareResumed,
    /// `share.expired`.
    ShareExpired,
    /// `control.skipped`.
    ControlSkipped,
    /// `control.tick`.
    ControlTick,
}

impl EventType {
    /// Every type that this version reads, with its name.
    pub const ALL: [(&'static str, Self); 21] = [
        ("tenant.updated", Self::TenantUpdated),
        ("partnership.established", Self::PartnershipEstablished),
        ("partnership.offered", Self::PartnershipOffered),
        ("partnership.accepted", Self::PartnershipAccepted),
        ("partnership.declined", Self::PartnershipDeclined),
        ("partnership.ended", Self::PartnershipEnded),
        ("profile.published", Self::ProfilePublished),
        ("profile.retired", Self::ProfileRetired),
        ("share.offered", Self::ShareOffered),
        ("share.resent", Self::ShareResent),
        ("share.accepted", Self::ShareAccepted),
        ("share.declined", Self::ShareDeclined),
        ("share.left", Self::ShareLeft),
        ("share.cancelled", Self::ShareCancelled),
        ("share.revoked", Self::ShareRevoked),
        ("share.updated", Self::ShareUpdated),
        ("share.paused", Self::SharePaused),
        ("share.resumed", Self::ShareResumed),
        ("share.expired", Self::ShareExpired),
        ("control.skipped", Self::ControlSkipped),
        ("control.tick", Self::ControlTick),
    ];

    /// Reads a whole type such as `sharecast.share.offered.v1`; none if the type or its version is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of_name(text.strip_prefix("sharecast.")?.strip_suffix(".v1")?)
    }

    /// The type of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// The name without `sharecast.` and version.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// The whole type, as it is written into events.
    pub fn full_name(self) -> String {
        format!("sharecast.{}.v1", self.name())
    }

    // Three questions about what takes away (docs/rules/events.md#what-takes-away). The answers differ, and each has its reason.

    /// Whether malformed data of it makes the record unreadable: it can take something away, so what cannot be read may be a cut.
    pub fn is_unreadable_if_malformed(self) -> bool {
        match self {
            Self::ShareCancelled
            | Self::ShareRevoked
            | Self::ShareLeft
            | Self::SharePaused
            | Self::ShareUpdated
            | Self::PartnershipEnded
            | Self::TenantUpdated
            | Self::ProfileRetired => true,
            Self::PartnershipEstablished
            | Self::PartnershipOffered
            | Self::PartnershipAccepted
            | Self::PartnershipDeclined
            | Self::ProfilePublished
            | Self::ShareOffered
            | Self::ShareResent
            | Self::ShareAccepted
            | Self::ShareDeclined
            | Self::ShareResumed
            | Self::ShareExpired
            | Self::ControlSkipped
            | Self::ControlTick => false,
        }
    }

    /// Whether an event of this content is better written untried than not at all: it takes something away, and gives nothing. An
    /// update can give, and its author must be told what it changes.
    pub fn is_written_untried(self, data: &Node) -> bool {
        match self {
            Self::ShareCancelled
            | Self::ShareRevoked
            | Self::ShareLeft
            | Self::SharePaused
            | Self::PartnershipEnded
            | Self::ProfileRetired => true,
            Self::TenantUpdated => data.get("suspended").and_then(Node::as_bool) == Some(true),
            Self::PartnershipEstablished
            | Self::PartnershipOffered
            | Self::PartnershipAccepted
            | Self::PartnershipDeclined
            | Self::ProfilePublished
            | Self::ShareOffered
            | Self::ShareResent
            | Self::ShareAccepted
            | Self::ShareDeclined
            | Self::ShareUpdated
            | Self::ShareResumed
            | Self::ShareExpired
            | Self::ControlSkipped
            | Self::ControlTick => false,
        }
    }

    /// Whether it is measured how fast workers follow it: a type whose events are nearly all cuts. Most updates cut nothing.
    pub fn is_measured_as_cut(self) -> bool {
        match self {
            Self::ShareCancelled
            | Self::ShareRevoked
            | Self::ShareLeft
            | Self::SharePaused
            | Self::PartnershipEnded
            | Self::TenantUpdated
            | Self::ProfileRetired => true,
            Self::PartnershipEstablished
            | Self::PartnershipOffered
            | Self::PartnershipAccepted
            | Self::PartnershipDeclined
            | Self::ProfilePublished
            | Self::ShareOffered
            | Self::ShareResent
            | Self::ShareAccepted
            | Self::ShareDeclined
            | Self::ShareUpdated
            | Self::ShareResumed
            | Self::ShareExpired
            | Self::ControlSkipped
            | Self::ControlTick => false,
        }
    }

    /// Whether it is about one share, so that its rejection names the share (docs/rules/status.md#rejected-events).
    pub fn is_of_share(self) -> bool {
        self.name().starts_with("share.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_by_its_name() {
        for (at, (name, kind)) in EventType::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            assert_eq!(kind.name(), name);
            assert_eq!(EventType::parse(&kind.full_name()), Some(kind));
        }
        for bad in ["sharecast.share.offered.v2", "share.offered.v1", "sharecast.share.offered", "sharecast..v1", ""] {
            assert_eq!(EventType::parse(bad), None, "{bad}");
        }
    }
}
