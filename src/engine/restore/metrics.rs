//! What the readers count.

use metrics::counter;

/// Makes the counter.
pub(crate) fn begin() {
    owed_lost(0);
}

/// Records were gone from the input while a route was owed them.
pub(crate) fn owed_lost(count: u64) {
    counter!("sharecast_owed_lost_total").increment(count);
}
