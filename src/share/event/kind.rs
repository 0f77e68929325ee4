//! The types of control events (docs/rules/events.md#event-types).

use crate::document::Node;

closed_set! {
    /// A known event type, version 1.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub enum EventType;
    /// The name without `sharecast.` and version.
    fn name;

    /// `tenant.updated`.
    TenantUpdated = "tenant.updated",
    /// `partnership.established`.
    PartnershipEstablished = "partnership.established",
    /// `partnership.offered`.
    PartnershipOffered = "partnership.offered",
    /// `partnership.accepted`.
    PartnershipAccepted = "partnership.accepted",
    /// `partnership.declined`.
    PartnershipDeclined = "partnership.declined",
    /// `partnership.ended`.
    PartnershipEnded = "partnership.ended",
    /// `profile.published`.
    ProfilePublished = "profile.published",
    /// `profile.retired`.
    ProfileRetired = "profile.retired",
    /// `share.offered`.
    ShareOffered = "share.offered",
    /// `share.resent`.
    ShareResent = "share.resent",
    /// `share.accepted`.
    ShareAccepted = "share.accepted",
    /// `share.declined`.
    ShareDeclined = "share.declined",
    /// `share.left`.
    ShareLeft = "share.left",
    /// `share.cancelled`.
    ShareCancelled = "share.cancelled",
    /// `share.revoked`.
    ShareRevoked = "share.revoked",
    /// `share.updated`.
    ShareUpdated = "share.updated",
    /// `share.paused`.
    SharePaused = "share.paused",
    /// `share.resumed`.
    ShareResumed = "share.resumed",
    /// `share.expired`.
    ShareExpired = "share.expired",
    /// `control.skipped`.
    ControlSkipped = "control.skipped",
    /// `control.configured`.
    ControlConfigured = "control.configured",
    /// `control.tick`.
    ControlTick = "control.tick",
}

impl EventType {
    /// Reads a whole type such as `sharecast.share.offered.v1`; none if the type or its version is unknown.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of_name(text.strip_prefix("sharecast.")?.strip_suffix(".v1")?)
    }

    /// The type of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
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
            | Self::ProfileRetired
            | Self::ControlConfigured => true,
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
            // Another place in the tree can give.
            Self::TenantUpdated => data.get("suspended").and_then(Node::as_bool) == Some(true) && data.get("parent").is_none(),
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
            | Self::ControlConfigured
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
            | Self::ControlConfigured
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
    fn a_suspension_is_written_untried_alone_and_not_beside_a_place_in_the_tree() {
        let is = |text: &str| EventType::TenantUpdated.is_written_untried(&crate::json::document::parse(text.as_bytes()).unwrap());
        assert!(is(r#"{"tenant":"t","suspended":true}"#));
        assert!(!is(r#"{"tenant":"t","suspended":false}"#) && !is(r#"{"tenant":"t","parent":"p"}"#));
        assert!(!is(r#"{"tenant":"t","suspended":true,"parent":"p"}"#), "what gives too is tried first");
    }

    #[test]
    fn every_type_is_read_by_its_name() {
        for kind in EventType::ALL {
            assert_eq!(EventType::parse(&kind.full_name()), Some(kind));
        }
        for bad in ["sharecast.share.offered.v2", "share.offered.v1", "sharecast.share.offered", "sharecast..v1", ""] {
            assert_eq!(EventType::parse(bad), None, "{bad}");
        }
    }
}
