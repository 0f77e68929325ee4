//! What a job counts, and its health.

use metrics::{counter, gauge};

use crate::engine::backfill::job::ProgressSeen;
use crate::engine::server::http::{Check, Health};

/// Makes the counters.
pub fn begin() {
    observe(&ProgressSeen::default(), None);
}

/// How far the job is.
pub fn observe(seen: &ProgressSeen, offsets: Option<u64>) {
    counter!("sharecast_backfill_records_in_total").absolute(seen.counts.job.read);
    counter!("sharecast_backfill_records_out_total").absolute(seen.counts.job.released);
    counter!("sharecast_backfill_bytes_in_total").absolute(seen.bytes);
    counter!("sharecast_backfill_withheld_total").absolute(seen.counts.withheld);
    counter!("sharecast_backfill_lost_total").absolute(seen.counts.lost);
    gauge!("sharecast_backfill_offsets_left").set(offsets.map_or(f64::NAN, |all| all.saturating_sub(seen.done) as f64));
    gauge!("sharecast_backfill_waiting").set(if seen.waits_for.is_some() { 1.0 } else { 0.0 });
}

/// A job that answers at all is well.
pub struct JobHealth;

impl Health for JobHealth {
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
}
