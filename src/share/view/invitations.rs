//! What became of invitations, in the words of the cards and the lists, and how many there are of each, counted as they change.

use crate::share::lifecycle::record::Share;
use crate::share::state::{Permission, State};
use crate::time::TimestampNs;

/// What became of an invitation: an acceptance stays one, whatever became of the share since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum InvitationOutcome {
    Pending,
    Accepted,
    Declined,
    Expired,
    Cancelled,
}

impl InvitationOutcome {
    pub(crate) const ALL: [Self; 5] = [Self::Pending, Self::Accepted, Self::Declined, Self::Expired, Self::Cancelled];

    /// Of an invitation at `now`; none of a FAILED one, which nobody was sent.
    pub(crate) fn of(state: State, was_accepted: bool, offer_expires: Option<TimestampNs>, now: TimestampNs) -> Option<Self> {
        let has_lapsed = offer_expires.is_some_and(|at| at <= now);
        match Self::recorded(state, was_accepted) {
            Some(Self::Pending) if has_lapsed => Some(Self::Expired),
            recorded => recorded,
        }
    }

    /// As the log has it: a lapse counts once it is recorded.
    fn recorded(state: State, was_accepted: bool) -> Option<Self> {
        match state {
            State::Failed => None,
            _ if was_accepted => Some(Self::Accepted),
            State::Pending => Some(Self::Pending),
            State::Declined => Some(Self::Declined),
            State::Expired => Some(Self::Expired),
            State::Cancelled | State::Revoked => Some(Self::Cancelled),
            State::Active | State::Paused | State::Left => Some(Self::Accepted),
        }
    }

    /// The states of shares that this can have become of.
    pub(crate) fn states(self) -> Vec<State> {
        let is_of = |state: &State| match self {
            Self::Expired => matches!(state, State::Pending | State::Expired),
            _ => [false, true].into_iter().any(|was_accepted| Self::recorded(*state, was_accepted) == Some(self)),
        };
        State::ALL.into_iter().filter(is_of).collect()
    }
}

/// As what an invitation is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountedInvitation {
    permission: Permission,
    outcome: InvitationOutcome,
}

impl CountedInvitation {
    /// Of a share; none of one that was offered to no address, or that FAILED.
    pub(super) fn of(share: &Share) -> Option<Self> {
        share.invitee()?;
        let outcome = InvitationOutcome::recorded(share.state, share.accepted_at().is_some())?;
        Some(Self { permission: share.permission(), outcome })
    }
}

/// So many invitations of each permission and outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InvitationCounts([[u32; InvitationOutcome::ALL.len()]; Permission::ALL.len()]);

impl InvitationCounts {
    /// An invitation has become another one, or is new.
    pub(super) fn change(&mut self, was: Option<CountedInvitation>, is: Option<CountedInvitation>) {
        let place = |of: CountedInvitation| (of.permission as usize, of.outcome as usize);
        if let Some((permission, outcome)) = was.map(place) {
            self.0[permission][outcome] -= 1;
        }
        if let Some((permission, outcome)) = is.map(place) {
            self.0[permission][outcome] += 1;
        }
    }

    /// Those of some permissions, of any where none is named, in the order of `InvitationOutcome::ALL`.
    pub(crate) fn named(&self, permissions: &[Permission]) -> [usize; InvitationOutcome::ALL.len()] {
        let mut counts = [0; InvitationOutcome::ALL.len()];
        let is_asked = |permission: &Permission| permissions.is_empty() || permissions.contains(permission);
        for permission in Permission::ALL.into_iter().filter(is_asked) {
            let of_permission = self.0[permission as usize];
            counts.iter_mut().zip(of_permission).for_each(|(count, more)| *count += more as usize);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;

    #[test]
    fn an_accepted_invitation_stays_accepted() {
        let of = |state, was_accepted| InvitationOutcome::of(state, was_accepted, None, TimestampMs(10).moment());
        assert_eq!(of(State::Revoked, true), Some(InvitationOutcome::Accepted));
        assert_eq!(of(State::Cancelled, false), Some(InvitationOutcome::Cancelled));
        assert_eq!(of(State::Failed, false), None);
    }

    #[test]
    fn a_lapse_counts_before_an_event_records_it() {
        let lapsed = |at| InvitationOutcome::of(State::Pending, false, Some(TimestampMs(at).moment()), TimestampMs(10).moment());
        assert_eq!((lapsed(10), lapsed(11)), (Some(InvitationOutcome::Expired), Some(InvitationOutcome::Pending)));
    }

    #[test]
    fn who_looks_for_an_outcome_looks_at_every_state_that_has_it() {
        let now = TimestampMs(10).moment();
        for state in State::ALL {
            for (was_accepted, offer_expires) in [(false, None), (true, None), (false, Some(now)), (true, Some(now))] {
                if let Some(outcome) = InvitationOutcome::of(state, was_accepted, offer_expires, now) {
                    assert!(outcome.states().contains(&state), "{outcome:?} of {state:?}");
                }
            }
        }
    }
}
