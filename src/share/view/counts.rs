//! How many shares there are of each state, counted as they change.

use crate::share::state::State;
use crate::share::view::invitations::CountedInvitation;
use crate::share::view::list::Stats;

/// So many shares of each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SharesByState([u32; State::ALL.len()]);

impl SharesByState {
    /// A share has come to this state, from another one if it was counted before.
    pub(super) fn change(&mut self, was: Option<State>, is: State) {
        if let Some(was) = was {
            self.0[was as usize] -= 1;
        }
        self.0[is as usize] += 1;
    }

    /// Those whose data flows or is paused.
    pub(crate) fn live(&self) -> usize {
        State::ALL.into_iter().filter(|state| state.is_live()).map(|state| self.0[state as usize] as usize).sum()
    }

    /// Adds them to a count, those of these states alone if any is named.
    pub(crate) fn add_to(&self, stats: &mut Stats, states: &[State]) {
        let is_asked = |state: &State| states.is_empty() || states.contains(state);
        State::ALL.into_iter().filter(is_asked).for_each(|state| stats.add(state, u64::from(self.0[state as usize])));
    }
}

/// What a share was counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CountedShare {
    pub(super) state: State,
    /// Its target has it on its list.
    pub(super) is_received: bool,
    /// It was accepted and is over, which it stays.
    pub(super) is_over: bool,
    /// As which invitation.
    pub(super) invitation: Option<CountedInvitation>,
}

/// What fills a place that counts no share yet.
impl Default for CountedShare {
    fn default() -> Self {
        Self { state: State::Failed, is_received: false, is_over: false, invitation: None }
    }
}
