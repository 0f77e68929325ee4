//! Conditions of profiles that had no value, of one transaction.

use crate::share::graph::ProfileSlot;

/// How often each profile's condition had no value. Few ever do.
#[derive(Debug, Clone, Default)]
pub struct ConditionErrors(Vec<(ProfileSlot, u64)>);

impl ConditionErrors {
    /// The condition of this profile had no value of a record.
    pub fn count(&mut self, profile: ProfileSlot) {
        match self.0.iter_mut().find(|(known, _)| *known == profile) {
            Some((_, count)) => *count += 1,
            None => self.0.push((profile, 1)),
        }
    }

    /// The profiles, each with how often.
    pub fn iter(&self) -> impl Iterator<Item = (ProfileSlot, u64)> {
        self.0.iter().copied()
    }
}
