//! From a batch's records to the outbox: the release decision of every record by one graph and one time.

use std::convert::Infallible;

use crate::decide::{Decider, Decisions, InputRecord, Release, Stopped};
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::headers::{passed_headers, provenance_headers};
use crate::engine::output::outbox::{Outbox, RecordOrigin};
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::worker::settings::WorkerSettings;
use crate::id::{Offset, StreamIndex};
use crate::record::mapping::Stream;
use crate::release::Suppressed;
use crate::share::graph::ShareGraph;
use crate::time::TimestampMs;
use crate::transport::{Record, SourcePartition};

/// What a batch's decisions came to, for the metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Records that were not released to a share, by reason, in the order of `Suppressed::ALL`.
    pub suppressed: [u64; Suppressed::ALL.len()],
}

/// Which routes one transaction has met, without clearing a list for each.
#[derive(Debug, Default)]
pub struct RouteMarks {
    generation: u64,
    /// The generation in which each route was last met.
    met: Vec<u64>,
    count: usize,
}

impl RouteMarks {
    fn begin(&mut self) {
        self.generation += 1;
        self.count = 0;
    }

    fn meet(&mut self, index: usize) {
        if self.met.len() <= index {
            self.met.resize(index + 1, 0);
        }
        if std::mem::replace(&mut self.met[index], self.generation) != self.generation {
            self.count += 1;
        }
    }
}

/// The decisions of one transaction.
pub struct Deciding<'a> {
    decider: &'a mut Decider,
    graph: &'a ShareGraph,
    now: TimestampMs,
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
}

struct Sink<'a> {
    settings: &'a WorkerSettings,
    routes: &'a mut Routes,
    outbox: &'a mut Outbox,
    marks: &'a mut RouteMarks,
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
        let StreamIndex(stream) = release.stream;
        let target = &release.grant.target;
        let name = || self.settings.names.of_stream(target, &self.settings.streams[usize::from(stream)].name);
        self.routes.find(target, release.stream, name)
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
    /// Empties the outbox and begins with the first record.
    pub fn begin(
        decider: &'a mut Decider,
        graph: &'a ShareGraph,
        now: TimestampMs,
        settings: &'a WorkerSettings,
        routes: &'a mut Routes,
        outbox: &'a mut Outbox,
        marks: &'a mut RouteMarks,
    ) -> Self {
        outbox.clear();
        marks.begin();
        let nowhere = RecordOrigin { source: SourcePartition { stream: StreamIndex(0), partition: -1 }, offset: Offset(-1) };
        let sink = Sink { settings, routes, outbox, marks, tally: Tally::default(), origin: nowhere, passed: Vec::new() };
        Self { decider, graph, now, streams: &settings.streams, sink, max_routes: settings.max_routes }
    }

    /// Whether another record fits the transaction: it ends after the record that met the last of `batch.max_routes`.
    pub fn has_room(&self) -> bool {
        self.sink.marks.count < self.max_routes && self.sink.outbox.bytes() < MAX_OUTBOX_BYTES
    }

    /// Decides one record; what follows from it is in the outbox.
    pub fn decide(&mut self, record: &Record<'_>) {
        let stream = &self.streams[usize::from(record.source.stream.0)];
        self.sink.origin = RecordOrigin { source: record.source, offset: record.offset };
        let input = InputRecord { key: record.key, headers: record.headers.iter(), timestamp: record.timestamp, value: record.value };
        self.sink.note_passed(record);
        match self.decider.append(stream, input, self.graph, self.now, &mut self.sink) {
            Ok(()) => {}
            Err(Stopped::Sink(never)) => match never {},
            Err(Stopped::Unreadable(refusal)) => self.sink.outbox.letters.push(OwnedDeadLetter::of_input(stream, record, &refusal)),
        }
    }

    /// Decides a record again for one route alone, by today's graph and time. What cannot be read was a dead letter the first time.
    pub fn decide_again(&mut self, record: &Record<'_>, route: RouteIndex) {
        let stream = &self.streams[usize::from(record.source.stream.0)];
        self.sink.origin = RecordOrigin { source: record.source, offset: record.offset };
        let input = InputRecord { key: record.key, headers: record.headers.iter(), timestamp: record.timestamp, value: record.value };
        self.sink.note_passed(record);
        self.sink.outbox.is_again = true;
        let _ = self.decider.append(stream, input, self.graph, self.now, &mut AgainSink { sink: &mut self.sink, route });
        self.sink.outbox.is_again = false;
    }

    /// Routes and dead letters, for what is decided beside the append streams.
    pub fn aside(&mut self) -> (&mut Routes, &mut Vec<OwnedDeadLetter>) {
        (self.sink.routes, &mut self.sink.outbox.letters)
    }

    /// What the decisions came to.
    pub fn finish(self) -> Tally {
        self.sink.tally
    }
}

impl Decisions for Sink<'_> {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        let route = self.route_of(&release);
        self.marks.meet(route.0 as usize);
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
}
