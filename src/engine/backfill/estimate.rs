//! What a job will about come to, from a sample of its input: what a person is shown before it writes.

use std::convert::Infallible;
use std::time::Duration;

use crate::backfill::decide::{BackfillDecider, PastDecisions, PastRelease};
use crate::backfill::result::JobCounts;
use crate::decide::{InputRecord, SampleCandidate};
use crate::engine::backfill::input::{InputError, JobInput};
use crate::engine::backfill::prepare::{JobRequest, PreparedJob};
use crate::profile::condition::ConditionError;
use crate::profile::sample::SampleState;
use crate::release::Suppressed;
use crate::share::graph::Grant;
use crate::transport::Batch;

/// So many partitions are looked at, and so many records of each.
const PARTITIONS: usize = 8;
const RECORDS: usize = 1_000;
/// A partition is waited for no longer.
const WAIT: Duration = Duration::from_secs(2);

/// About what comes of a job.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Estimate {
    /// Records that are looked at.
    pub read: u64,
    /// Bytes of them.
    pub bytes_read: u64,
    /// Records that are written.
    pub released: u64,
    /// Bytes of their values.
    pub bytes_released: u64,
}

#[derive(Default)]
struct EstimateSink {
    counts: JobCounts,
    samples: SampleState,
}

impl PastDecisions for EstimateSink {
    type Error = Infallible;

    fn released(&mut self, release: PastRelease<'_>) -> Result<(), Infallible> {
        self.counts.count_release(&release);
        Ok(())
    }

    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        let passes = self.samples.passes(&candidate.of(), candidate.t, candidate.every);
        self.samples.commit();
        passes
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}

    fn suppressed(&mut self, _: Suppressed, _: u32) {}
}

/// Decides the first records of some partitions; none where their number is not known.
pub fn estimate(
    request: &JobRequest,
    prepared: &PreparedJob,
    input: &mut dyn JobInput,
    mut decider: BackfillDecider,
) -> Result<Option<Estimate>, InputError> {
    let ranges = &prepared.entry.ranges;
    let Some(all) = prepared.offsets() else { return Ok(None) };
    let filled: Vec<usize> = (0..ranges.len()).filter(|partition| !ranges[*partition].is_empty()).collect();
    let step = filled.len().div_ceil(PARTITIONS).max(1);
    let (mut sample, mut read, mut bytes, mut offsets) = (EstimateSink::default(), 0, 0, 0);
    for partition in filled.into_iter().step_by(step) {
        let range = ranges[partition];
        let mut batch = Batch::default();
        let first = input.turn_to(partition as i32, range.start)?;
        let next = input.read(WAIT, RECORDS, &mut batch)?.unwrap_or(first).min(range.end);
        batch.retain_records(|_, offset| offset < range.end);
        for record in batch.iter() {
            let input = InputRecord { key: record.key, headers: record.headers.iter(), timestamp: record.timestamp, value: record.value };
            let _ = decider.append(request.stream(), input, &prepared.pinned, &mut sample);
        }
        read += batch.len() as u64;
        bytes += batch.bytes() as u64;
        offsets += (next.0 - first.0).max(0) as u64;
    }
    let factor = all as f64 / offsets.max(1) as f64;
    let whole = |part: u64| (part as f64 * factor).round() as u64;
    let released: u64 = sample.counts.tenants.values().map(|totals| totals.bytes).sum();
    Ok(Some(Estimate {
        read: whole(read),
        bytes_read: whole(bytes),
        released: whole(sample.counts.released),
        bytes_released: whole(released),
    }))
}
