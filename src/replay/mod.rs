//! `replay` as a pure function: the bytes of files in, the lines of topics out (docs/rules/replay.md).

pub mod control;
pub mod dump_records;
mod documents;
mod kcat;
pub(crate) mod input;
pub(crate) mod line;
mod merge;
pub(crate) mod output;
mod scan;
mod upserts;
mod world;
mod written_line;

use std::convert::Infallible;

use crate::decide::ReleaseRules;
use crate::id::{Offset, StreamIndex, StreamName, TenantId};
use crate::release::Suppressed;
use crate::share::table::FoldRules;
use crate::time::TimestampNs;
use crate::topic::OwnTopics;
use merge::NextMoment;
use world::World;

/// The name of the topic that a tenant's records of a stream go to.
pub type TopicNaming = dyn Fn(&TenantId, &StreamName) -> String;

/// What of the configuration replay depends on (docs/rules/configuration.md#keys-that-decide).
pub struct Settings {
    /// The fold's rules, and the streams.
    pub fold: FoldRules,
    /// What is read and released.
    pub release: ReleaseRules,
    /// `mask.secret`.
    pub mask_secret: Option<Vec<u8>>,
    /// `topics`.
    pub own: OwnTopics,
    /// `output.topic`.
    pub topics: Box<TopicNaming>,
}

/// The control file.
#[derive(Debug, Clone, Copy)]
pub struct Control<'l> {
    /// Its name, for errors.
    pub file: &'l str,
    /// Its bytes.
    pub bytes: &'l [u8],
}

/// One input file.
#[derive(Debug, Clone, Copy)]
pub struct Input<'l> {
    /// The stream whose records it holds.
    pub stream: StreamIndex,
    /// Its name, for errors.
    pub file: &'l str,
    /// Its bytes.
    pub bytes: &'l [u8],
}

/// A line that cannot be used: exit 65, and no output (docs/rules/replay.md#files).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct BadLine {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError<E> {
    /// Bad data; nothing was handed over.
    #[error(transparent)]
    BadLine(#[from] BadLine),
    /// The taker of lines failed.
    #[error("output: {0}")]
    Output(E),
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayEnd {
    /// Records and upsert writes that waited for the skip of this offset in vain (docs/rules/events.md#unreadable-records).
    pub waits_for: Option<Offset>,
    /// How many records waited.
    pub waiting: usize,
}

/// Lines are handed over when this many bytes have gathered.
pub(crate) const GATHERED_BYTES: usize = 16 << 20;

/// Replays the files. Every line is read before the first output is handed over. `take` gets a topic's name and whole lines of
/// it, in order, any number of times. `until` is the last moment that is in (docs/rules/replay.md#the-end); without it the clock stops at
/// the last line.
pub fn replay<E>(
    settings: &Settings,
    control: Control<'_>,
    inputs: &[Input<'_>],
    until: Option<TimestampNs>,
    take: &mut impl FnMut(&str, &[u8]) -> Result<(), E>,
) -> Result<ReplayEnd, ReplayError<E>> {
    run(settings, control, inputs, until, |cause, world| {
        let limit = if cause == StepCause::End { 0 } else { GATHERED_BYTES };
        world.outputs().hand_over(limit, take)
    })
}

/// What of a replay made the lines that follow from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepCause {
    /// The passing of time.
    Time,
    /// A control line.
    Control,
    /// A line of this input.
    Record(usize),
    /// Nothing is left.
    End,
}

/// One step of a replay.
#[derive(Debug)]
pub struct ReplayStep<'s> {
    /// What it is.
    pub cause: StepCause,
    /// Of a record, how many shares that name its stream did not get it, by reason.
    pub suppressed: &'s [(Suppressed, u32)],
    /// The topics with the lines that it wrote, in order.
    pub lines: Vec<(String, Vec<u8>)>,
}

/// The same as `replay`, step by step: each step is told what it wrote and what it withheld.
pub fn replay_steps(
    settings: &Settings,
    control: Control<'_>,
    inputs: &[Input<'_>],
    until: Option<TimestampNs>,
    take: &mut impl FnMut(ReplayStep<'_>),
) -> Result<ReplayEnd, BadLine> {
    let done = run::<Infallible>(settings, control, inputs, until, |cause, world| {
        let mut lines = Vec::new();
        world.outputs().hand_over(0, &mut |topic, bytes| {
            lines.push((topic.to_owned(), bytes.to_vec()));
            Ok::<(), Infallible>(())
        })?;
        take(ReplayStep { cause, suppressed: world.suppressed(), lines });
        Ok(())
    });
    done.map_err(|error| match error {
        ReplayError::BadLine(bad) => bad,
        ReplayError::Output(never) => match never {},
    })
}

fn run<E>(
    settings: &Settings,
    control: Control<'_>,
    inputs: &[Input<'_>],
    until: Option<TimestampNs>,
    mut after: impl FnMut(StepCause, &mut World<'_, '_>) -> Result<(), E>,
) -> Result<ReplayEnd, ReplayError<E>> {
    let streams = settings.fold.streams.clone();
    let mut control = control::read(control.file, control.bytes)?.into_iter().peekable();
    let mut records = Vec::with_capacity(inputs.len());
    for input in inputs {
        records.push(input::read(input, &streams[usize::from(input.stream.0)])?.into_iter().enumerate().peekable());
    }
    let mut world = World::new(settings, &streams);
    loop {
        let heads = records.iter_mut().map(|lines| lines.peek().map(|(_, line)| line.at));
        let next = merge::next(control.peek().map(|line| line.time), heads);
        let Some((time, next)) = next.filter(|(time, _)| until.is_none_or(|until| time.moment() <= until)) else { break };
        world.pass(time.moment());
        after(StepCause::Time, &mut world).map_err(ReplayError::Output)?;
        let cause = match next {
            NextMoment::Control => {
                control.next().into_iter().for_each(|line| world.control(line));
                StepCause::Control
            }
            NextMoment::Record(input) => {
                if let Some((number, line)) = records[input].next() {
                    world.record(inputs[input].stream, Offset(number as i64), line);
                }
                StepCause::Record(input)
            }
        };
        after(cause, &mut world).map_err(ReplayError::Output)?;
    }
    if let Some(until) = until {
        world.pass(until);
    }
    after(StepCause::End, &mut world).map_err(ReplayError::Output)?;
    Ok(world.ended())
}
