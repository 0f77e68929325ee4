//! How snapshots spell what a share's life is told in. A number is for good: a variant that is renamed or moved keeps its own, and a
//! new one gets the next.

use crate::record::mapping::Mode;
use crate::share::configuration::PartnershipNeed;
use crate::share::state::{Holders, Permission, Reason, State};

/// A state's number.
pub(crate) fn state_code(state: State) -> u8 {
    match state {
        State::Failed => 0,
        State::Pending => 1,
        State::Active => 2,
        State::Paused => 3,
        State::Declined => 4,
        State::Cancelled => 5,
        State::Expired => 6,
        State::Revoked => 7,
        State::Left => 8,
    }
}

/// A permission's number.
pub(crate) fn permission_code(permission: Permission) -> u8 {
    match permission {
        Permission::View => 0,
        Permission::Edit => 1,
        Permission::Manage => 2,
    }
}

/// A reason's number.
pub(crate) fn reason_code(reason: Reason) -> u8 {
    match reason {
        Reason::SelfShare => 0,
        Reason::NotOwner => 1,
        Reason::NotTarget => 2,
        Reason::NoPartnership => 3,
        Reason::UnknownProfile => 4,
        Reason::StreamNotInProfile => 5,
        Reason::UnknownStream => 6,
        Reason::UnknownShare => 7,
        Reason::DuplicateShare => 8,
        Reason::WrongState => 9,
        Reason::OfferLapsed => 10,
        Reason::TargetInUse => 11,
        Reason::MoreThanOffered => 12,
        Reason::InvalidId => 13,
        Reason::InvalidWindow => 14,
        Reason::InvalidProfile => 15,
        Reason::InvalidEvent => 16,
        Reason::NotOperator => 17,
        Reason::TenantCycle => 18,
        Reason::IdReused => 19,
        Reason::PartnershipEnded => 20,
        Reason::TenantSuspended => 21,
        Reason::AccessEnded => 22,
        Reason::ByOwner => 23,
        Reason::ByTarget => 24,
        Reason::ByOperator => 25,
        Reason::WrongCode => 26,
    }
}

/// A mode's number.
pub(crate) fn mode_code(mode: Mode) -> u8 {
    match mode {
        Mode::Append => 0,
        Mode::Upsert => 1,
    }
}

/// The number of a word of `partnerships`.
pub(crate) fn need_code(need: PartnershipNeed) -> u8 {
    match need {
        PartnershipNeed::Required => 0,
        PartnershipNeed::Open => 1,
        PartnershipNeed::Invited => 2,
    }
}

/// Who holds a pause: a bit each.
const HOLDER_BITS: [(Holders, u8); 4] = [(Holders::OPERATOR, 1), (Holders::OWNER, 2), (Holders::SUSPENSION, 4), (Holders::TARGET, 8)];

/// The bits of those who hold a pause.
pub(crate) fn holders_code(holders: Holders) -> u8 {
    HOLDER_BITS.iter().filter(|(holder, _)| holders.meets(*holder)).map(|(_, bit)| bit).sum()
}

/// The state of this number.
pub(crate) fn state_of(code: u8) -> Option<State> {
    State::ALL.into_iter().find(|state| state_code(*state) == code)
}

/// The permission of this number.
pub(crate) fn permission_of(code: u8) -> Option<Permission> {
    Permission::ALL.into_iter().find(|permission| permission_code(*permission) == code)
}

/// The mode of this number.
pub(crate) fn mode_of(code: u8) -> Option<Mode> {
    Mode::ALL.into_iter().find(|mode| mode_code(*mode) == code)
}

/// The word of `partnerships` of this number.
pub(crate) fn need_of(code: u8) -> Option<PartnershipNeed> {
    PartnershipNeed::ALL.into_iter().find(|need| need_code(*need) == code)
}

/// The reason of this number.
pub(crate) fn reason_of(code: u32) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| u32::from(reason_code(*reason)) == code)
}

/// Those whose bits these are.
pub(crate) fn holders_of(code: u8) -> Holders {
    HOLDER_BITS.iter().filter(|(_, bit)| code & bit != 0).fold(Holders::NONE, |holders, (holder, _)| holders.with(*holder))
}

#[cfg(test)]
mod tests;
