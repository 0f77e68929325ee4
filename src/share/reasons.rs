//! Reason codes in words, for those who read them beside a name.

use crate::share::state::Reason;

impl Reason {
    /// What the code says of an event that was refused.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::SelfShare => "a tenant cannot share with itself",
            Self::NotOwner => "only its owner may do this",
            Self::NotTarget => "only its target may do this",
            Self::NoPartnership => "the two tenants are neither partners nor in one line of the tenant tree",
            Self::UnknownProfile => "the owner has published no such profile, or has retired it",
            Self::StreamNotInProfile => "the profile has no section for a stream that is named",
            Self::UnknownStream => "a stream is named that is not configured, or none at all",
            Self::UnknownShare => "there is no such share",
            Self::DuplicateShare => "the share id is taken",
            Self::WrongState => "its state does not allow this",
            Self::WrongCode => "the code is not the one that was sent last; `share resend` makes a new one",
            Self::OfferLapsed => "the offer has lapsed",
            Self::TargetInUse => "another live share feeds the same stream of the same asset of the target",
            Self::MoreThanOffered => "more streams are named than were offered",
            Self::InvalidId => "an id is out of rule",
            Self::InvalidWindow => "the times make no window, or lie in the past",
            Self::InvalidProfile => "the profile is malformed",
            Self::InvalidEvent => "the event's data is malformed",
            Self::NotOperator => "only the operator may do this",
            Self::TenantCycle => "the tenant tree would close a ring",
            Self::IdReused => "the event's id belongs to another event",
            Self::PartnershipEnded => "the partnership ended",
            Self::TenantSuspended => "one of the tenants is suspended",
            Self::AccessEnded => "access has ended by its time",
            Self::ByOwner => "by its owner",
            Self::ByTarget => "by its target",
            Self::ByOperator => "by the operator",
        }
    }

    /// The reason of this code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}
