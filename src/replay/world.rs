//! The state of a replay: the table, the clock, what is stored, and what waits.

use std::collections::BTreeMap;
use std::convert::Infallible;

use super::control::ReplayControlLine;
use super::input::InputLine;
use super::output::Outputs;
use super::upserts::{UpsertRecord, UpsertReplay};
use super::{ReplayEnd, Settings};
use crate::decide::{Decider, Decisions, InputRecord, Release, SampleCandidate, Stopped};
use crate::id::{Offset, ShareId, StreamIndex};
use crate::profile::condition::ConditionError;
use crate::profile::sample::SampleState;
use crate::record::dead_letter::{DeadLetter, DeadLetterReason, Refusal};
use crate::record::mapping::{Mode, Stream};
use crate::release::Suppressed;
use crate::share::event::Unreadable;
use crate::share::graph::{Grant, ShareGraph};
use crate::share::table::{Folded, Outcome, ShareTable, Touched};
use crate::sink_state::reconcile::Basis;
use crate::time::{TimestampMs, TimestampNs};

/// How many shares of a profile are asked for at a time.
const SLICE: usize = 1024;

pub(in crate::replay) struct World<'s, 'l> {
    settings: &'s Settings,
    streams: &'s [Stream],
    table: ShareTable,
    graph: ShareGraph,
    /// Time-driven changes up to here, itself included, are worked off.
    passed: TimestampNs,
    decider: Decider,
    sample: SampleState,
    /// Of the record that was decided last.
    suppressed: Vec<(Suppressed, u32)>,
    upserts: UpsertReplay,
    outputs: Outputs<'s>,
    /// What happened while an unreadable control record waits for its skip (docs/rules/events.md#unreadable-records).
    held: HaltBuffer<'l>,
}

#[derive(Default)]
struct HaltBuffer<'l> {
    records: Vec<(StreamIndex, Offset, InputLine<'l>)>,
    touched: BTreeMap<ShareId, Touched>,
}

impl<'s, 'l> World<'s, 'l> {
    pub(super) fn new(settings: &'s Settings, streams: &'s [Stream]) -> Self {
        let table = ShareTable::new(settings.fold.clone());
        let secret = settings.mask_secret.as_deref();
        Self {
            settings,
            streams,
            graph: table.graph(),
            table,
            passed: TimestampNs::FIRST,
            decider: Decider::new(settings.release, secret),
            sample: SampleState::default(),
            suppressed: Vec::new(),
            upserts: UpsertReplay::new(settings.release, secret, streams),
            outputs: Outputs::new(settings, streams),
            held: HaltBuffer::default(),
        }
    }

    pub(super) fn outputs(&mut self) -> &mut Outputs<'s> {
        &mut self.outputs
    }

    /// Why the record that was decided last was withheld, and from how many shares.
    pub(super) fn suppressed(&self) -> &[(Suppressed, u32)] {
        &self.suppressed
    }

    pub(super) fn ended(&self) -> ReplayEnd {
        ReplayEnd { waits_for: self.graph.unreadable_offsets().first().copied(), waiting: self.held.records.len() }
    }

    /// Lets the clock run to `until`: each moment at which shares start or end is a cause of its own.
    pub(super) fn pass(&mut self, until: TimestampNs) {
        if until <= self.passed {
            return;
        }
        let due = match self.table.next_moment(self.passed) {
            Some(moment) if moment <= until => self.table.moments(self.passed, until),
            _ => Vec::new(),
        };
        for cause in due.chunk_by(|a, b| a.0 == b.0) {
            let touched = cause.iter().map(|(_, share)| share.clone()).collect();
            self.reconcile(touched, cause[0].0, cause[0].0.millis());
        }
        self.passed = until;
    }

    /// Folds one control record: one publish.
    pub(super) fn control(&mut self, line: ReplayControlLine<'l>) {
        let folded = self.table.fold(line.offset, line.time, line.record);
        self.graph = self.table.graph();
        for document in &folded.documents {
            self.outputs.status(document);
        }
        if let Outcome::SetAside(Unreadable(message)) = &folded.outcome {
            self.outputs.dead_letter(&DeadLetter {
                topic: &self.settings.own.control,
                partition: 0,
                offset: line.offset,
                timestamp: line.time,
                key: None,
                value: Some(&line.value),
                reason: DeadLetterReason::UnreadableEvent,
                message,
            });
        }
        let touched = self.touched(folded);
        self.reconcile(touched, line.time.moment(), line.time);
        if !self.graph.is_halted() {
            for (stream, offset, record) in std::mem::take(&mut self.held.records) {
                self.decide(stream, offset, &record, line.time);
            }
        }
    }

    /// Takes one record: it is decided, or waits for the skip.
    pub(super) fn record(&mut self, stream: StreamIndex, offset: Offset, line: InputLine<'l>) {
        if self.graph.is_halted() {
            self.held.records.push((stream, offset, line));
        } else {
            self.decide(stream, offset, &line, line.at);
        }
    }

    /// The shares that an event touched, those of a profile included.
    fn touched(&self, folded: Folded) -> Vec<Touched> {
        let mut touched = folded.touched;
        if let Some(profile) = folded.profile {
            let mut after = None;
            loop {
                let slice = self.table.shares_of_profile(profile, after.as_ref(), SLICE);
                let Some(last) = slice.last() else { break };
                after = Some(last.share.clone());
                touched.extend(slice);
            }
        }
        touched
    }

    /// Brings upsert topics up to date after one cause, by share id; while the fold is halted it is noted for later.
    fn reconcile(&mut self, touched: Vec<Touched>, now: TimestampNs, cause: TimestampMs) {
        self.held.touched.extend(touched.into_iter().map(|share| (share.share.clone(), share)));
        if self.graph.is_halted() {
            return;
        }
        let touched = std::mem::take(&mut self.held.touched);
        let basis = basis(&self.graph, now);
        let outputs = &mut self.outputs;
        self.upserts.reconcile(touched.values(), basis, cause, &mut |upsert| write_upsert(outputs, upsert));
    }

    fn decide(&mut self, stream: StreamIndex, offset: Offset, line: &InputLine<'_>, clock: TimestampMs) {
        let stream = &self.streams[usize::from(stream.0)];
        let record = InputRecord {
            key: line.key.as_deref().map(str::as_bytes),
            headers: line.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref().map(str::as_bytes))),
            timestamp: line.timestamp,
            value: line.value.as_deref(),
        };
        self.suppressed.clear();
        let Self { outputs, sample, suppressed, .. } = self;
        let refusal = match stream.mode {
            Mode::Append => {
                match self.decider.append(stream, record.clone(), &self.graph, clock, &mut ReplayWriter { outputs, sample, suppressed }) {
                    Ok(()) => None,
                    Err(Stopped::Unreadable(refusal)) => Some(refusal),
                    Err(Stopped::Sink(never)) => match never {},
                }
            }
            Mode::Upsert => {
                let basis = basis(&self.graph, crate::release::decision_time(clock, &self.graph));
                self.upserts.document(stream, record.clone(), basis, &mut |upsert| write_upsert(outputs, upsert)).err()
            }
        };
        if let Some(refusal) = refusal {
            self.set_aside(stream, offset, line, refusal);
        }
    }

    fn set_aside(&mut self, stream: &Stream, offset: Offset, line: &InputLine<'_>, refusal: Refusal) {
        self.outputs.dead_letter(&DeadLetter {
            topic: &stream.topic,
            partition: 0,
            offset,
            timestamp: line.timestamp,
            key: line.key.as_deref().map(str::as_bytes),
            value: line.value.as_deref(),
            reason: refusal.reason,
            message: &refusal.to_string(),
        });
    }
}

fn basis(graph: &ShareGraph, now: TimestampNs) -> Basis<'_> {
    Basis { graph, newest_change: graph.epoch(), now }
}

fn write_upsert(outputs: &mut Outputs<'_>, record: UpsertRecord<'_>) {
    outputs.record(record.target, record.stream, record.key.as_str(), record.timestamp, record.value);
}

struct ReplayWriter<'o, 's> {
    outputs: &'o mut Outputs<'s>,
    sample: &'o mut SampleState,
    suppressed: &'o mut Vec<(Suppressed, u32)>,
}

impl Decisions for ReplayWriter<'_, '_> {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        let grant = release.grant;
        self.outputs.record(grant.target, release.stream, grant.target_asset.as_str(), release.timestamp, Some(release.value));
        Ok(())
    }

    fn suppressed(&mut self, reason: Suppressed, count: u32) {
        self.suppressed.push((reason, count));
    }

    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        let passes = self.sample.passes(&candidate.of(), candidate.t, candidate.every);
        self.sample.commit();
        passes
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
}
