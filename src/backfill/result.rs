//! What came of a job, in numbers.

use std::collections::BTreeMap;

use super::decide::PastRelease;
use super::live::LiveRefusal;
use crate::id::{Epoch, JobName, Offset, ShareId, TenantId};
use crate::json::writer::object;
use crate::record::dead_letter::DeadLetterReason;
use crate::release::Suppressed;
use crate::time::TimestampNs;

/// What became of records, counted. Counts of parts add up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobCounts {
    /// Records of the input, those outside of the window too.
    pub read: u64,
    /// Outputs.
    pub released: u64,
    /// Decisions against a share that names the stream, by reason.
    pub suppressed: BTreeMap<Suppressed, u64>,
    /// Records set aside, by reason.
    pub dead: BTreeMap<DeadLetterReason, u64>,
    /// What each target gets.
    pub tenants: BTreeMap<TenantId, TenantTotals>,
}

/// What one target gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantTotals {
    /// Records.
    pub records: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// The least event time.
    pub first: TimestampNs,
    /// The greatest.
    pub last: TimestampNs,
}

impl JobCounts {
    /// Counts an output.
    pub fn count_release(&mut self, release: &PastRelease<'_>) {
        let one = TenantTotals { records: 1, bytes: release.release.value.len() as u64, first: release.t, last: release.t };
        self.released += 1;
        self.add_tenant(release.release.grant.target, one);
    }

    /// Counts decisions against shares.
    pub fn count_suppressed(&mut self, reason: Suppressed, count: u32) {
        *self.suppressed.entry(reason).or_default() += u64::from(count);
    }

    /// Counts a record that was set aside.
    pub fn count_dead(&mut self, reason: DeadLetterReason) {
        *self.dead.entry(reason).or_default() += 1;
    }

    /// Adds those of another part.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.released += other.released;
        other.suppressed.iter().for_each(|(reason, count)| *self.suppressed.entry(*reason).or_default() += count);
        other.dead.iter().for_each(|(reason, count)| *self.dead.entry(*reason).or_default() += count);
        other.tenants.iter().for_each(|(tenant, totals)| self.add_tenant(tenant, *totals));
    }

    fn add_tenant(&mut self, tenant: &TenantId, more: TenantTotals) {
        match self.tenants.get_mut(tenant) {
            Some(totals) => {
                *totals = TenantTotals {
                    records: totals.records + more.records,
                    bytes: totals.bytes + more.bytes,
                    first: totals.first.min(more.first),
                    last: totals.last.max(more.last),
                }
            }
            None => {
                self.tenants.insert(tenant.clone(), more);
            }
        }
    }
}

/// A share that got nothing more from some record on (docs/rules/backfill.md#pinned-and-live).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedShare {
    /// The share.
    pub share: ShareId,
    /// Why.
    pub reason: LiveRefusal,
    /// The input partition of that record.
    pub partition: i32,
    /// Its offset there.
    pub offset: Offset,
}

/// What came of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobResult {
    /// Its name.
    pub job: JobName,
    /// The epoch that it decided by.
    pub epoch: Epoch,
    /// The moment that it decided at.
    pub now: TimestampNs,
    /// What became of the records.
    pub counts: JobCounts,
    /// Shares whose part is not whole.
    pub stopped: Vec<StoppedShare>,
    /// What else whoever reads the result must know.
    pub warnings: Vec<String>,
}

impl JobResult {
    /// One JSON object.
    pub fn to_json(&self) -> Vec<u8> {
        let counts = &self.counts;
        object(|out| {
            out.text("job", self.job.as_str());
            out.number("epoch", self.epoch.0);
            out.time("now", self.now);
            out.number("read", counts.read);
            out.number("released", counts.released);
            out.object("suppressed", |out| counts.suppressed.iter().for_each(|(reason, count)| out.number(reason.as_str(), *count)));
            out.object("dead", |out| counts.dead.iter().for_each(|(reason, count)| out.number(reason.as_str(), *count)));
            out.object("tenants", |out| {
                for (tenant, totals) in &counts.tenants {
                    out.object(tenant.as_str(), |out| {
                        out.number("records", totals.records);
                        out.number("bytes", totals.bytes);
                        out.time("first", totals.first);
                        out.time("last", totals.last);
                    });
                }
            });
            out.array("stopped", |out| {
                for stopped in &self.stopped {
                    out.object(|out| {
                        out.text("share", stopped.share.as_str());
                        out.text("reason", stopped.reason.word());
                        out.number("partition", stopped.partition);
                        out.number("offset", stopped.offset.0);
                    });
                }
            });
            if !self.warnings.is_empty() {
                out.texts("warnings", self.warnings.iter().map(String::as_str));
            }
        })
    }
}
