//! What the fence shows.

use std::time::Duration;

use metrics::{counter, gauge};

/// Makes the counter.
pub(crate) fn begin() {
    counter!("sharecast_fence_closed_seconds_total").increment(0);
}

/// The fence's metrics, as the probe's thread sees it.
pub(crate) fn observed(view_age: Option<Duration>, closed_for: Duration) {
    gauge!("sharecast_view_age_seconds").set(view_age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
    thread_local!(static CLOSED: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) });
    // The counter is whole, so fractions are carried over rather than cut off each time.
    CLOSED.with(|carried| {
        let total = carried.get() + closed_for;
        counter!("sharecast_fence_closed_seconds_total").increment(total.as_secs());
        carried.set(total - Duration::from_secs(total.as_secs()));
    });
}
