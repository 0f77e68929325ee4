//! Every counter with a closed set of labels, made before anything happens: what only appears with its first event has no increase
//! then, and no alert sees it.

use crate::engine::output::dead_letter;
use crate::engine::{control, fence, restore, worker};

/// Makes them, at 0.
pub(super) fn begin() {
    control::metrics::begin();
    fence::metrics::begin();
    dead_letter::begin_counters();
    restore::metrics::begin();
    worker::metrics::begin();
}
