//! From a batch's records to the outbox: the release decision of every record by one graph and one time.

use std::convert::Infallible;

use crate::clock::BootTime;
use crate::decide::{Decider, Decisions, InputRecord, Release, SampleCandidate, Stopped};
use crate::engine::output::condition_errors::ConditionErrors;
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::headers::{passed_headers, provenance_headers};
use crate::engine::output::outbox::{Outbox, RecordOrigin};
use crate::engine::output::route::{RouteIndex, RouteMarks, Routes};
use crate::engine::upsert::Now;
use crate::engine::worker::samples::WorkerSamples;
use crate::engine::worker::settings::WorkerSettings;
use crate::id::{Offset, StreamIndex, TenantId};
use crate::live::View;
use crate::profile::condition::ConditionError;
use crate::record::mapping::Stream;
use crate::release::Suppressed;
use crate::share::graph::Grant;
use crate::time::TimestampMs;
use crate::transport::{InputOffset, Record, SourcePartition};

/// What a batch's decisions came to, for the metrics.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Records that were not released to a share, by reason, in the order of `Suppressed::ALL`.
    pub suppressed: [u64; Suppressed::ALL.len()],
    /// Conditions that had no value, by profile.
    pub condition_errors: ConditionErrors,
}

/// What the transaction under way is to write, and what it covers.
#[derive(Debug, Default)]
pub(super) struct TxDraft {
    pub(super) outbox: Outbox,
    /// The next offset of each partition.
    pub(super) offsets: Vec<InputOffset>,
    /// The one record that it is about, if it is only one.
    pub(super) sole_record: Option<RecordOrigin>,
    marks: RouteMarks,
}

/// The decisions of one transaction.
pub(super) struct Deciding<'a> {
    decider: &'a mut Decider,
    view: &'a View,
    now: TimestampMs,
    boot: BootTime,
    offsets: &'a mut Vec<InputOffset>,
    sole_record: &'a mut Option<RecordOrigin>,
    /// How many records were decided.
    count: usize,
    streams: &'a [Stream],
    sink: Sink<'a>,
    max_routes: usize,
}

/// What is released of records that are read again for one route.
struct AgainSink<'s, 'a> {
    sink: &'s mut Sink<'a>,
    route: RouteIndex,
}

impl Decisions for AgainSink<'_, '_> {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        if self.sink.route_of(&release) == self.route { self.sink.released(release) } else { Ok(()) }
    }

    fn suppressed(&mut self, _: Suppressed, _: u32) {}

    /// By what was released before the record, as the first time: what failed then left no trace.
    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        let route = self.sink.route_to(candidate.grant.target, candidate.stream);
        route == self.route && self.sink.samples.passes(self.sink.origin.source, route, candidate)
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
}

struct Sink<'a> {
    settings: &'a WorkerSettings,
    routes: &'a mut Routes,
    outbox: &'a mut Outbox,
    marks: &'a mut RouteMarks,
    samples: &'a mut WorkerSamples,
    /// Routes that do not get a partition's newest records yet.
    owed: Vec<(SourcePartition, RouteIndex)>,
    tally: Tally,
    origin: RecordOrigin,
    /// Headers of the record at hand that are passed on.
    passed: Vec<(String, Vec<u8>)>,
}

impl Sink<'_> {
    /// Keeps the record's headers that `output.headers` allows, for whatever is released of it.
    fn note_passed(&mut self, record: &Record<'_>) {
        self.passed = passed_headers(&self.settings.passes_headers, record);
    }

    fn route_of(&mut self, release: &Release<'_>) -> RouteIndex {
        self.route_to(release.grant.target, release.stream)
    }

    fn route_to(&mut self, target: &TenantId, stream: StreamIndex) -> RouteIndex {
        let name = || self.settings.names.of_stream(target, &self.settings.streams[usize::from(stream.0)].name);
        self.routes.find(target, stream, name)
    }

    fn push_provenance(&mut self, release: &Release<'_>) {
        let stream = self.settings.streams[usize::from(release.stream.0)].name.as_str();
        let permission = self.settings.has_permission_header.then(|| release.grant.permission.word());
        for (name, value) in provenance_headers(release.grant, release.epoch, permission, stream, self.origin) {
            self.outbox.push_header(&name, &value);
        }
    }
}

/// One outbox cannot hold more: its spans are 32 bits wide. A batch ends well before.
const MAX_OUTBOX_BYTES: usize = 256 << 20;

impl<'a> Deciding<'a> {
    /// Empties the draft and begins with the first record. `samples` has begun.
    pub(super) fn begin(
        decider: &'a mut Decider,
        view: &'a View,
        (now, boot): (TimestampMs, BootTime),
        (settings, max_routes): (&'a WorkerSettings, usize),
        routes: &'a mut Routes,
        samples: &'a mut WorkerSamples,
        draft: &'a mut TxDraft,
    ) -> Self {
        let TxDraft { outbox, offsets, sole_record, marks } = draft;
        outbox.clear();
        marks.begin();
        offsets.clear();
        *sole_record = None;
        let nowhere = RecordOrigin { source: SourcePartition { stream: StreamIndex(0), partition: -1 }, offset: Offset(-1) };
        let (owed, passed) = (Vec::new(), Vec::new());
        let sink = Sink { settings, routes, outbox, marks, samples, owed, tally: Tally::default(), origin: nowhere, passed };
        Self { decider, view, now, boot, offsets, sole_record, count: 0, streams: &settings.streams, sink, max_routes }
    }

    /// Whether another record fits the transaction: it ends behind the record that met the last of `batch.max_routes`.
    pub(super) fn has_room(&self) -> bool {
        self.sink.marks.count() < self.max_routes && self.sink.outbox.bytes() < MAX_OUTBOX_BYTES
    }

    /// What is decided from here on does not go to these routes, which are owed what came before.
    pub(super) fn note_owed(&mut self, owed: Vec<(SourcePartition, RouteIndex)>) {
        self.sink.owed = owed;
    }

    /// Decides one record; what follows from it is in the outbox.
    pub(super) fn decide(&mut self, record: &Record<'_>) {
        let stream = &self.streams[usize::from(record.source.stream.0)];
        self.sink.origin = RecordOrigin { source: record.source, offset: record.offset };
        self.meet(self.sink.origin);
        let input = InputRecord { key: record.key, headers: record.headers.iter(), timestamp: record.timestamp, value: record.value };
        self.sink.note_passed(record);
        match self.decider.append(stream, input, &self.view.graph, self.now, &mut self.sink) {
            Ok(()) => {}
            Err(Stopped::Sink(never)) => match never {},
            Err(Stopped::Unreadable(refusal)) => self.sink.outbox.letters.push(OwnedDeadLetter::of_input(stream, record, &refusal)),
        }
        note_offset(self.offsets, record.source, Offset(record.offset.0 + 1));
    }

    /// Decides a record again for one route alone, by today's graph and time. What cannot be read was a dead letter the first time.
    pub(super) fn decide_again(&mut self, record: &Record<'_>, route: RouteIndex) {
        let stream = &self.streams[usize::from(record.source.stream.0)];
        self.sink.origin = RecordOrigin { source: record.source, offset: record.offset };
        self.meet(self.sink.origin);
        let input = InputRecord { key: record.key, headers: record.headers.iter(), timestamp: record.timestamp, value: record.value };
        self.sink.note_passed(record);
        self.sink.outbox.is_again = true;
        let _ = self.decider.append(stream, input, &self.view.graph, self.now, &mut AgainSink { sink: &mut self.sink, route });
        self.sink.outbox.is_again = false;
    }

    /// A record is decided, here or by its upsert stream.
    pub(super) fn meet(&mut self, origin: RecordOrigin) {
        self.count += 1;
        *self.sole_record = (self.count == 1).then_some(origin);
    }

    /// The same transaction as upsert streams see it.
    pub(super) fn now(&mut self) -> Now<'_> {
        Now {
            view: self.view,
            time: self.now.moment(),
            boot: self.boot,
            routes: self.sink.routes,
            letters: &mut self.sink.outbox.letters,
            condition_errors: &mut self.sink.tally.condition_errors,
            max_routes: self.max_routes,
        }
    }

    pub(super) fn routes(&self) -> &Routes {
        self.sink.routes
    }

    /// When the transaction began.
    pub(super) fn boot(&self) -> BootTime {
        self.boot
    }

    /// What the decisions came to.
    pub(super) fn finish(self) -> Tally {
        self.sink.tally
    }
}

impl Decisions for Sink<'_> {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        let route = self.route_of(&release);
        self.marks.meet(route);
        self.outbox.push(route, self.origin, release.grant.target_asset.as_str().as_bytes(), release.value, release.timestamp);
        for (name, value) in &self.passed {
            self.outbox.push_header(name, value);
        }
        if self.settings.has_provenance_headers {
            self.push_provenance(&release);
        }
        Ok(())
    }

    fn suppressed(&mut self, reason: Suppressed, count: u32) {
        let place = Suppressed::ALL.iter().position(|r| *r == reason).unwrap_or_default();
        self.tally.suppressed[place] += u64::from(count);
    }

    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        let (source, route) = (self.origin.source, self.route_to(candidate.grant.target, candidate.stream));
        // What is not written now is sampled when it is, after what came before it.
        self.owed.contains(&(source, route)) || self.samples.passes(source, route, candidate)
    }

    fn condition_failed(&mut self, grant: &Grant, _: ConditionError) {
        self.tally.condition_errors.count(grant.profile);
    }
}

fn note_offset(offsets: &mut Vec<InputOffset>, partition: SourcePartition, next: Offset) {
    // Records of one partition come in runs, so the last entry is nearly always the one.
    match offsets.iter_mut().rev().find(|noted| noted.partition == partition) {
        Some(noted) => noted.next = next,
        None => offsets.push(InputOffset::new(partition, next)),
    }
}
