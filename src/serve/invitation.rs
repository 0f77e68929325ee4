//! The invitation that a code opens, for who has nothing but the code.

use crate::clock::{Clock, SystemClock};
use crate::serve::Serve;
use crate::share::status::Document;
use crate::time::TimestampNs;

impl Serve {
    /// Shows the open invitation of a code as it was typed; none if no open invitation has it.
    pub(crate) fn invitation_of<T>(&self, typed: &str, show: impl FnOnce(&Document<'_>, TimestampNs) -> T) -> Option<T> {
        if typed.trim().is_empty() {
            return None;
        }
        let state = self.published.load();
        let share = state.share_of_code(typed).ok()?;
        let now = SystemClock.wall().max(state.table.control_time()).moment();
        Some(show(&share.document(), now))
    }
}

impl Serve {
    /// Offsets of control records that cannot be understood and wait for their skip.
    pub(crate) fn unreadable_offsets(&self) -> Vec<i64> {
        self.published.load().table.unreadable_offsets().iter().map(|offset| offset.0).collect()
    }
}
