//! What a walk did with a record, so that the next one of its shape is projected without walking.
//!
//! A program is a recording, never a second meaning: where each byte of the template came from, and what the walk saw of values. It is
//! run only if it sees the same again; else the walk does the record.

use super::compile::Projection;
use super::mask::MaskKeys;
use super::parties::Parties;
use super::recording::{ByteOrigin, JudgedFilter, MadeValue, WalkRecording};
use super::template::Template;
use super::value::{MakingBuffers, make};
use crate::json::tape::{NodeIndex, ShapeId, Tape};
use crate::time::Period;
use rustc_hash::FxHashMap;
use std::ops::Range;

/// A place in records of one shape: so far after the end of a scalar; of none, after the record's beginning.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    scalar: Option<NodeIndex>,
    distance: u32,
}

#[derive(Debug)]
enum TemplatePiece {
    Record(Anchor, Anchor),
    Compacted(Anchor, Anchor),
    /// In `Program::fixed`.
    Fixed(Range<usize>),
    /// By its place in `Program::made`.
    Made(usize),
    Id {
        is_asset: bool,
    },
}

/// How a projection shows the records of one shape.
#[derive(Debug)]
pub(super) struct Program {
    judged: Vec<JudgedFilter>,
    made: Vec<MadeValue>,
    pieces: Vec<TemplatePiece>,
    fixed: Vec<u8>,
    /// The steps of the Kafka timestamp; none if they depend on values.
    pub(super) steps: Option<Vec<Period>>,
}

impl Program {
    /// Of a walk whose template is complete. None if it cannot be told what belongs together.
    pub(super) fn of(template: &Template, recording: WalkRecording, tape: &Tape, steps: Option<Vec<Period>>) -> Option<Self> {
        let anchors = Anchors::of(tape);
        let mut program = Self { judged: recording.judged, made: recording.made, pieces: Vec::new(), fixed: Vec::new(), steps };
        let mut at = 0;
        let mut slots = template.slots().peekable();
        loop {
            while let Some((_, is_asset)) = slots.next_if(|(place, _)| *place == at) {
                program.pieces.push(TemplatePiece::Id { is_asset });
            }
            let Some(&first) = recording.origins.get(at) else { break };
            let limit = slots.peek().map_or(recording.origins.len(), |(place, _)| *place);
            let mut end = at + 1;
            while end < limit && follows(first, at, recording.origins[end], end) {
                end += 1;
            }
            program.pieces.push(match first {
                ByteOrigin::Record(from) => {
                    let to = from + (end - at) as u32;
                    TemplatePiece::Record(anchors.of_start(from)?, anchors.of_start(to)?)
                }
                ByteOrigin::Compacted(index) => {
                    let piece = &recording.compacted[index as usize];
                    TemplatePiece::Compacted(anchors.of_start(piece.start as u32)?, anchors.of_start(piece.end as u32)?)
                }
                ByteOrigin::Made(index) => TemplatePiece::Made(index as usize),
                ByteOrigin::Fixed => {
                    let from = program.fixed.len();
                    program.fixed.extend_from_slice(&template.bytes()[at..end]);
                    TemplatePiece::Fixed(from..program.fixed.len())
                }
            });
            at = end;
        }
        Some(program)
    }
}

fn follows(first: ByteOrigin, at: usize, other: ByteOrigin, end: usize) -> bool {
    match (first, other) {
        (ByteOrigin::Record(from), ByteOrigin::Record(to)) => to.checked_sub(from) == Some((end - at) as u32),
        _ => first == other,
    }
}

/// The scalars of a record, to tell places by.
struct Anchors {
    /// Node, first byte, after the last byte.
    scalars: Vec<(NodeIndex, u32, u32)>,
}

impl Anchors {
    fn of(tape: &Tape) -> Self {
        let of = |node| (node, tape.span(node).start as u32, tape.span(node).end as u32);
        Self { scalars: tape.nodes().filter(|node| !tape.kind(*node).is_container()).map(of).collect() }
    }

    /// None inside of a scalar, whose length is another one in the next record.
    fn of_start(&self, place: u32) -> Option<Anchor> {
        let after = self.scalars.partition_point(|(_, _, end)| *end <= place);
        if self.scalars.get(after).is_some_and(|(_, start, _)| *start < place) {
            return None;
        }
        Some(match after.checked_sub(1).map(|before| self.scalars[before]) {
            Some((node, _, end)) => Anchor { scalar: Some(node), distance: place - end },
            None => Anchor { scalar: None, distance: place },
        })
    }
}

impl Anchor {
    #[inline(always)]
    fn place(self, tape: &Tape) -> usize {
        self.scalar.map_or(0, |node| tape.span(node).end) + self.distance as usize
    }
}

/// What a program is run with, and memory for what its actions make.
#[derive(Debug, Default)]
pub(super) struct ProgramScratch {
    made: Vec<u8>,
    ends: Vec<usize>,
    buffers: MakingBuffers,
}

impl Program {
    /// Writes the template of a record of the shape that the program was recorded for. False, with nothing of use in the template,
    /// if a filter or an action says something else of this one.
    pub(super) fn run(
        &self,
        (text, tape): (&[u8], &Tape),
        projection: &Projection,
        parties: &Parties<'_>,
        keys: &mut MaskKeys,
        scratch: &mut ProgramScratch,
        template: &mut Template,
    ) -> bool {
        let is_same =
            |judged: &JudgedFilter| projection.trie.filter_holds(judged.at, judged.filter, text, tape, judged.node) == judged.holds;
        if !self.judged.iter().all(is_same) {
            return false;
        }
        let ProgramScratch { made, ends, buffers } = scratch;
        made.clear();
        ends.clear();
        ends.push(0);
        for value in &self.made {
            let result = make((text, tape), value.node, &projection.actions, &value.transforms, keys, parties, buffers);
            if result.json.is_some() != value.is_kept {
                return false;
            }
            template.is_of_one_target |= result.is_of_one_target;
            made.extend_from_slice(result.json.unwrap_or_default());
            ends.push(made.len());
        }
        for piece in &self.pieces {
            match piece {
                TemplatePiece::Record(from, to) => template.append(&text[from.place(tape)..to.place(tape)]),
                TemplatePiece::Compacted(from, to) => template.copy_compact(text, from.place(tape)..to.place(tape)),
                TemplatePiece::Fixed(range) => template.append(&self.fixed[range.clone()]),
                TemplatePiece::Made(index) => template.append(&made[ends[*index]..ends[*index + 1]]),
                TemplatePiece::Id { is_asset } => template.slot(text, *is_asset),
            }
        }
        true
    }
}

/// What is known of a projection and a shape.
#[derive(Debug)]
enum Known {
    Program(Program),
    /// A walk each time: what filters and actions say of such records changes too often.
    Walk,
}

#[derive(Debug)]
struct KnownProgram {
    known: Known,
    runs: u32,
    failures: u32,
    /// Since the last sweep.
    is_used: bool,
}

/// The programs of one projector. A projection that is used no more leaves with the second sweep after.
#[derive(Debug, Default)]
pub(super) struct ProgramMemory {
    programs: FxHashMap<(u64, ShapeId), KnownProgram>,
    counts: FxHashMap<u64, u32>,
    uses: u32,
}

/// Programs of all projections, and of one. A shape beyond is walked.
const MAX_PROGRAMS: usize = 8192;
const MAX_OF_ONE_PROJECTION: u32 = 512;
/// Uses between two sweeps.
const SWEEP_EVERY: u32 = 1 << 18;
/// A program that fails so often, and oftener than it runs, is given up.
const MAX_FAILURES: u32 = 16;

/// What became of a record, and what is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProgramTurn {
    /// Template and steps are written.
    Run,
    /// The template is; the steps depend on values.
    RunWithoutSteps,
    Walk,
    /// Walk, and note it.
    Record,
}

impl ProgramMemory {
    /// Runs `run` with the program of this projection and shape, if there is one; it says whether that went through.
    pub(super) fn turn(
        &mut self,
        projection: u64,
        shape: ShapeId,
        steps: &mut Vec<Period>,
        run: impl FnOnce(&Program) -> bool,
    ) -> ProgramTurn {
        self.uses += 1;
        if self.uses >= SWEEP_EVERY {
            self.sweep();
        }
        let Some(program) = self.programs.get_mut(&(projection, shape)) else {
            let is_full =
                self.programs.len() >= MAX_PROGRAMS || self.counts.get(&projection).is_some_and(|count| *count >= MAX_OF_ONE_PROJECTION);
            return if is_full { ProgramTurn::Walk } else { ProgramTurn::Record };
        };
        program.is_used = true;
        let Known::Program(recorded) = &program.known else { return ProgramTurn::Walk };
        if !run(recorded) {
            program.failures += 1;
            if program.failures > MAX_FAILURES && program.failures > program.runs {
                program.known = Known::Walk;
            }
            return ProgramTurn::Walk;
        }
        program.runs = program.runs.saturating_add(1);
        match &recorded.steps {
            None => ProgramTurn::RunWithoutSteps,
            Some(known) => {
                steps.clear();
                steps.extend_from_slice(known);
                ProgramTurn::Run
            }
        }
    }

    pub(super) fn remember(&mut self, projection: u64, shape: ShapeId, program: Option<Program>) {
        let known = program.map_or(Known::Walk, Known::Program);
        self.programs.insert((projection, shape), KnownProgram { known, runs: 0, failures: 0, is_used: true });
        *self.counts.entry(projection).or_default() += 1;
    }

    /// Forgets what was not used since the sweep before.
    fn sweep(&mut self) {
        self.uses = 0;
        self.programs.retain(|_, program| std::mem::take(&mut program.is_used));
        self.counts.clear();
        for (projection, _) in self.programs.keys() {
            *self.counts.entry(*projection).or_default() += 1;
        }
    }
}
