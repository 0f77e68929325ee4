//! A part's decisions: each record by the pinned graph, and each release of it by the live one again
//! (docs/backfill.md#pinned-and-live).

use std::convert::Infallible;

use crate::backfill::decide::{BackfillDecider, PastDecisions, PastRelease};
use crate::backfill::live::{LiveRefusal, still_releases};
use crate::backfill::result::StoppedShare;
use crate::decide::{InputRecord, SampleCandidate, Stopped};
use crate::engine::backfill::checkpoint::PartitionCounts;
use crate::engine::backfill::job::Job;
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::headers::{passed_headers, provenance_headers};
use crate::engine::output::outbox::{Outbox, RecordOrigin};
use crate::engine::output::route::{RouteIndex, RouteMarks, Routes};
use crate::live::View;
use crate::profile::condition::ConditionError;
use crate::profile::sample::SampleState;
use crate::record::dead_letter::DeadLetterReason;
use crate::release::{self, Suppressed};
use crate::share::graph::Grant;
use crate::time::TimestampNs;
use crate::transport::Record;

/// The header that names the job, with `provenance: headers`.
const JOB_HEADER: &str = "ce_sharebackfill";

/// What topics have refused for themselves, learned from transactions that failed.
#[derive(Debug, Default)]
pub(super) struct RefusedOutputs {
    /// Outputs that become dead letters.
    pub(super) outputs: Vec<(RecordOrigin, RouteIndex, String)>,
    /// Records whose dead letters go without their bytes.
    pub(super) stripped: Vec<RecordOrigin>,
}

/// What one part leads to.
#[derive(Debug, Default)]
pub(super) struct PartDraft {
    pub(super) outbox: Outbox,
    pub(super) counts: PartitionCounts,
    /// Shares of which a record is withheld for the first time.
    pub(super) stopped: Vec<StoppedShare>,
    marks: RouteMarks,
}

/// A part's outputs take no more memory than this.
const MAX_OUTBOX_BYTES: usize = 64 << 20;

impl PartDraft {
    /// Empties it.
    pub(super) fn clear(&mut self) {
        self.outbox.clear();
        self.counts = PartitionCounts::default();
        self.stopped.clear();
        self.marks.begin();
    }

    /// Whether another record fits.
    pub(super) fn has_room(&self, max_routes: usize) -> bool {
        self.marks.count() < max_routes && self.outbox.bytes() < MAX_OUTBOX_BYTES
    }
}

/// What all records of a part are decided by.
pub(super) struct PartContext<'a> {
    pub(super) job: &'a Job,
    pub(super) view: &'a View,
    /// The live graph's now.
    pub(super) now: TimestampNs,
    pub(super) refused: &'a RefusedOutputs,
    /// The most bytes that a topic takes in one batch, where that is known.
    pub(super) limit_of: &'a dyn Fn(&str) -> Option<usize>,
}

impl PartContext<'_> {
    /// Decides one record; what follows from it is in the draft.
    pub(super) fn decide(
        &self,
        record: &Record<'_>,
        decider: &mut BackfillDecider,
        samples: &mut SampleState,
        routes: &mut Routes,
        draft: &mut PartDraft,
    ) {
        let settings = &self.job.settings;
        let origin = RecordOrigin { source: record.source, offset: record.offset };
        let passed = passed_headers(&settings.passes_headers, record);
        let mut sink = PartSink { context: self, samples, routes, draft, origin, passed };
        let input = InputRecord { key: record.key, headers: record.headers.iter(), timestamp: record.timestamp, value: record.value };
        match decider.append(&settings.stream, input, &self.job.pinned, &mut sink) {
            Ok(()) => {}
            Err(Stopped::Sink(never)) => match never {},
            Err(Stopped::Unreadable(refusal)) => {
                let letter = OwnedDeadLetter::of_input(&settings.stream, record, &refusal);
                sink.set_aside(letter);
            }
        }
        draft.counts.job.read += 1;
    }
}

struct PartSink<'s, 'a> {
    context: &'s PartContext<'a>,
    samples: &'s mut SampleState,
    routes: &'s mut Routes,
    draft: &'s mut PartDraft,
    origin: RecordOrigin,
    /// Headers of the record that are passed on.
    passed: Vec<(String, Vec<u8>)>,
}

impl PartSink<'_, '_> {
    /// Why the live graph withholds what the pinned one has released.
    fn refusal(&self, past: &PastRelease<'_>) -> Option<LiveRefusal> {
        let PartContext { job, view, now, .. } = self.context;
        if let Some(refusal) = job.cuts.refusal(past) {
            return Some(refusal);
        }
        let late_grace = job.settings.release.late_grace;
        if view.newest_change <= job.pinned.epoch() {
            // Nothing has changed but the time.
            return release::is_entitled(past.release.grant, past.t, *now, late_grace).err().map(LiveRefusal::Suppressed);
        }
        still_releases(&view.graph, *now, job.pinned.graph(), past, late_grace).err()
    }

    fn set_aside(&mut self, mut letter: OwnedDeadLetter) {
        if self.context.refused.stripped.contains(&self.origin) {
            letter.strip();
        }
        self.draft.counts.job.count_dead(letter.reason);
        self.draft.outbox.letters.push(letter);
    }

    fn refuse(&mut self, past: &PastRelease<'_>, message: String) {
        let settings = &self.context.job.settings;
        self.set_aside(OwnedDeadLetter {
            topic: settings.stream.topic.clone(),
            partition: self.origin.source.partition,
            offset: self.origin.offset,
            timestamp: past.release.timestamp,
            key: Some(past.release.grant.target_asset.as_str().as_bytes().to_vec()),
            value: Some(past.release.value.to_vec()),
            reason: DeadLetterReason::Refused,
            message,
        });
    }

    fn push_headers(&mut self, past: &PastRelease<'_>) {
        let settings = &self.context.job.settings;
        let outbox = &mut self.draft.outbox;
        for (name, value) in &self.passed {
            outbox.push_header(name, value);
        }
        if settings.has_provenance_headers {
            let grant = past.release.grant;
            let permission = settings.has_permission_header.then(|| grant.permission.word());
            for (name, value) in provenance_headers(grant, past.release.epoch, permission, settings.stream.name.as_str(), self.origin) {
                outbox.push_header(&name, &value);
            }
            outbox.push_header(JOB_HEADER, settings.name.as_str().as_bytes());
        }
    }
}

impl PastDecisions for PartSink<'_, '_> {
    type Error = Infallible;

    fn released(&mut self, past: PastRelease<'_>) -> Result<(), Infallible> {
        let job = self.context.job;
        let grant = past.release.grant;
        if job.stops.contains(grant.share) || self.draft.stopped.iter().any(|stopped| stopped.share == *grant.share) {
            self.draft.counts.withheld += 1;
            return Ok(());
        }
        if let Some(reason) = self.refusal(&past) {
            let (partition, offset) = (self.origin.source.partition, self.origin.offset);
            self.draft.stopped.push(StoppedShare { share: grant.share.clone(), reason, partition, offset });
            self.draft.counts.withheld += 1;
            return Ok(());
        }
        let route = self.routes.find(grant.target, past.release.stream, || job.settings.topic_of(grant.target));
        if self.routes.open_reason(route).is_some() {
            *self.draft.counts.skipped.entry(self.routes.get(route).topic.clone()).or_default() += 1;
            return Ok(());
        }
        if let Some((_, _, why)) = self.context.refused.outputs.iter().find(|(origin, index, _)| (*origin, *index) == (self.origin, route))
        {
            let message = format!("refused by {}: {why}", self.routes.get(route).topic);
            self.refuse(&past, message);
            return Ok(());
        }
        self.draft.outbox.push(route, self.origin, grant.target_asset.as_str().as_bytes(), past.release.value, past.release.timestamp);
        self.push_headers(&past);
        let topic = &self.routes.get(route).topic;
        if let Some(limit) = (self.context.limit_of)(topic)
            && self.draft.outbox.last().is_some_and(|output| output.batch_bytes().0 > limit)
        {
            let message = format!("{topic} takes no such record: it is larger than its max.message.bytes, uncompressed");
            self.draft.outbox.pop();
            self.refuse(&past, message);
            return Ok(());
        }
        self.draft.marks.meet(route);
        self.draft.counts.job.count_release(&past);
        Ok(())
    }

    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        self.samples.passes(&candidate.of(), candidate.t, candidate.every)
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}

    fn suppressed(&mut self, reason: Suppressed, count: u32) {
        self.draft.counts.job.count_suppressed(reason, count);
    }
}
