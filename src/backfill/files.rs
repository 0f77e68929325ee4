//! A job over lines of files (docs/rules/backfill.md#files). Lines come in one after the other; nothing of them is kept.

use std::convert::Infallible;

use super::decide::{BackfillDecider, PastDecisions, PastRelease};
use super::options::{ShareFilters, Window};
use super::past::{Past, Pinned};
use super::result::JobCounts;
use crate::decide::{InputRecord, SampleCandidate, Stopped};
use crate::id::{JobName, Offset};
use crate::profile::condition::ConditionError;
use crate::profile::sample::SampleState;
use crate::record::dead_letter::{DeadLetter, Refusal};
use crate::record::mapping::Stream;
use crate::release::Suppressed;
use crate::replay::control::ControlReader;
use crate::replay::input::{InputLine, InputReader};
use crate::replay::line::Wrong;
use crate::replay::output::Outputs;
use crate::replay::{GATHERED_BYTES, Settings};
use crate::share::graph::Grant;
use crate::share::table::FoldRules;
use crate::time::TimestampMs;

/// The control file, folded line by line.
#[derive(Debug)]
pub struct ControlFile {
    reader: ControlReader,
    past: Past,
    /// `--at`: lines after it are read and not folded.
    at: Option<TimestampMs>,
    /// The control time of the last line.
    last: Option<TimestampMs>,
}

impl ControlFile {
    /// A file of which nothing is read.
    pub fn new(rules: FoldRules, at: Option<TimestampMs>) -> Self {
        Self { reader: ControlReader::default(), past: Past::new(rules), at, last: None }
    }

    /// Takes the next line, without its line end; the error says what is wrong with it.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let read = self.reader.line(line)?;
        self.last = Some(read.time);
        if self.at.is_none_or(|at| read.time <= at) {
            self.past.fold(read.offset, read.time, read.record);
        }
        Ok(())
    }

    /// The state that the job decides by: at `--at`, or at the last line; the year 1970 if there is neither.
    pub fn pin(&self, filters: &ShareFilters) -> Pinned {
        self.past.pin(self.at.or(self.last).unwrap_or_default(), filters)
    }
}

/// The records of a job's files.
pub struct FileRun<'s> {
    stream: &'s Stream,
    pinned: &'s Pinned,
    decider: BackfillDecider,
    reader: InputReader<'s>,
    /// Of the next line.
    offset: Offset,
    taker: Taker<'s>,
}

/// Counts what is decided, and makes lines of it.
struct Taker<'s> {
    counts: JobCounts,
    sample: SampleState,
    /// None where nothing is written.
    outputs: Option<Outputs<'s>>,
}

impl<'s> FileRun<'s> {
    /// A run that has read nothing. Without `writes` all is decided and counted, and no line comes of it.
    pub fn new(settings: &'s Settings, stream: &'s Stream, pinned: &'s Pinned, job: JobName, window: Window, writes: bool) -> Self {
        Self {
            stream,
            pinned,
            decider: BackfillDecider::new(settings.release, settings.mask_secret.as_deref(), job, window),
            reader: InputReader::new(stream),
            offset: Offset(0),
            taker: Taker {
                counts: JobCounts::default(),
                sample: SampleState::default(),
                outputs: writes.then(|| Outputs::new(settings, &settings.fold.streams)),
            },
        }
    }

    /// What follows is another file of the stream; its lines count from 0.
    pub fn next_file(&mut self) {
        self.reader = InputReader::new(self.stream);
        self.offset = Offset(0);
    }

    /// Takes the next line, without its line end; the error says what is wrong with it. While a control record waits for its skip,
    /// lines are read and nothing is decided.
    pub fn line(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let line = self.reader.line(line)?;
        self.taker.counts.read += 1;
        if !self.pinned.graph().is_halted() {
            let record = InputRecord {
                key: line.key.as_deref().map(str::as_bytes),
                headers: line.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_deref().map(str::as_bytes))),
                timestamp: line.timestamp,
                value: line.value.as_deref(),
            };
            match self.decider.append(self.stream, record, self.pinned, &mut self.taker) {
                Ok(()) => {}
                Err(Stopped::Unreadable(refusal)) => self.taker.set_aside(self.stream, self.offset, &line, refusal),
                Err(Stopped::Sink(never)) => match never {},
            }
        }
        self.offset.0 += 1;
        Ok(())
    }

    /// Hands whole lines over, by topic, if enough have gathered, or `all` of them.
    pub fn hand_over<E>(&mut self, all: bool, take: &mut impl FnMut(&str, &[u8]) -> Result<(), E>) -> Result<(), E> {
        let limit = if all { 0 } else { GATHERED_BYTES };
        self.taker.outputs.as_mut().map_or(Ok(()), |outputs| outputs.hand_over(limit, take))
    }

    /// What became of the lines so far.
    pub fn counts(&self) -> &JobCounts {
        &self.taker.counts
    }
}

impl Taker<'_> {
    fn set_aside(&mut self, stream: &Stream, offset: Offset, line: &InputLine<'_>, refusal: Refusal) {
        self.counts.count_dead(refusal.reason);
        if let Some(outputs) = &mut self.outputs {
            outputs.dead_letter(&DeadLetter {
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
}

impl PastDecisions for Taker<'_> {
    type Error = Infallible;

    fn released(&mut self, release: PastRelease<'_>) -> Result<(), Infallible> {
        self.counts.count_release(&release);
        let release = release.release;
        if let Some(outputs) = &mut self.outputs {
            let key = release.grant.target_asset.as_str();
            outputs.record(release.grant.target, release.stream, key, release.timestamp, Some(release.value));
        }
        Ok(())
    }

    fn suppressed(&mut self, reason: Suppressed, count: u32) {
        self.counts.count_suppressed(reason, count);
    }

    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        let passes = self.sample.passes(&candidate.of(), candidate.t, candidate.every);
        self.sample.commit();
        passes
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
}
