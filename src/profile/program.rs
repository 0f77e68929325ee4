//! What a walk did with a record, so that the next one of its shape is projected without walking.
//!
//! A program is a recording, never a second meaning: where each byte of the template came from, and what the walk saw of values. It is
//! run only if it sees the same again; else the walk does the record.

pub(super) mod memory;

use super::compile::Projection;
use super::mask::MaskKeys;
use super::parties::Parties;
use super::recording::{ByteOrigin, JudgedFilter, MadeValue, WalkRecording};
use super::template::{Template, TemplateWriter};
use super::value::{ActionContext, MakingBuffers, make};
use crate::json::tape::{NodeIndex, Tape};
use crate::json::text::SHORT_PIECE;
use crate::time::Period;

/// A place in records of one shape, or in what a program has: so far after a base of the record (`RecordBases`).
#[derive(Debug, Clone, Copy)]
struct ProgramPlace {
    base: u32,
    distance: u32,
}

/// What pieces are copied from.
#[derive(Debug, Clone, Copy)]
enum PieceSource {
    Record = 0,
    /// `Program::fixed`.
    Fixed = 1,
    /// What the actions made.
    Made = 2,
}

/// So many bytes of a source, as they are.
#[derive(Debug, Clone, Copy)]
struct CopiedPiece {
    source: PieceSource,
    from: ProgramPlace,
    to: ProgramPlace,
}

/// What is not copied as it is.
#[derive(Debug)]
enum ProgramStep {
    /// One of the target's ids.
    Id { is_asset: bool },
    /// A piece of the record without its blanks.
    Compacted(ProgramPlace, ProgramPlace),
}

/// How a projection shows the records of one shape.
#[derive(Debug, Default)]
pub(super) struct Program {
    judged: Vec<JudgedFilter>,
    made: Vec<MadeValue>,
    pieces: Vec<CopiedPiece>,
    /// Each with the number of pieces before it.
    steps_between: Vec<(u32, ProgramStep)>,
    /// With `SHORT_PIECE` bytes more.
    fixed: Vec<u8>,
    /// What a template has about, as the recorded one.
    expected_bytes: usize,
    /// The steps of the Kafka timestamp; none if they depend on values.
    pub(super) steps: Option<Vec<Period>>,
}

/// So much longer another record's template may be before room is made.
const ROOM_FOR_LONGER: usize = 64;

impl Program {
    /// Of a walk whose template is complete. None if it cannot be told what belongs together.
    pub(super) fn of(template: &Template, recording: WalkRecording, tape: &Tape, steps: Option<Vec<Period>>) -> Option<Self> {
        let anchors = Anchors::of(tape);
        let mut program = Self { judged: recording.judged, made: recording.made, steps, ..Self::default() };
        program.expected_bytes = template.bytes().len() + ROOM_FOR_LONGER;
        let mut at = 0;
        let mut slots = template.slots().peekable();
        loop {
            while let Some((_, is_asset)) = slots.next_if(|(place, _)| *place == at) {
                program.step(ProgramStep::Id { is_asset });
            }
            let Some(&first) = recording.origins.get(at) else { break };
            let limit = slots.peek().map_or(recording.origins.len(), |(place, _)| *place);
            let origin = |at: usize| recording.origins[at];
            // Around the scalars all records of a shape have the same bytes.
            let is_fixed = |at: usize| match origin(at) {
                ByteOrigin::Fixed => true,
                ByteOrigin::Record(place) => !anchors.is_in_scalar(place),
                ByteOrigin::Made(_) | ByteOrigin::Compacted(_) => false,
            };
            let run = |is_of_it: &dyn Fn(usize) -> bool| (at + 1..limit).find(|next| !is_of_it(*next)).unwrap_or(limit);
            let mut end = run(&|next| follows(first, at, origin(next), next));
            match first {
                _ if is_fixed(at) => {
                    end = run(&is_fixed);
                    let fixed = |distance: usize| ProgramPlace { base: anchors.start_base, distance: distance as u32 };
                    let from = program.fixed.len();
                    program.fixed.extend_from_slice(&template.bytes()[at..end]);
                    program.piece(PieceSource::Fixed, fixed(from), fixed(program.fixed.len()));
                }
                ByteOrigin::Record(from) => {
                    while is_fixed(end - 1) {
                        end -= 1;
                    }
                    let to = from + (end - at) as u32;
                    program.piece(PieceSource::Record, anchors.of_start(from)?, anchors.of_start(to)?);
                }
                ByteOrigin::Compacted(index) => {
                    let piece = &recording.compacted[index as usize];
                    program.step(ProgramStep::Compacted(anchors.of_start(piece.start as u32)?, anchors.of_start(piece.end as u32)?));
                }
                ByteOrigin::Made(index) => {
                    let made = |index| ProgramPlace { base: anchors.start_base + index, distance: 0 };
                    program.piece(PieceSource::Made, made(index), made(index + 1));
                }
                ByteOrigin::Fixed => unreachable!("it is fixed"),
            }
            at = end;
        }
        program.fixed.resize(program.fixed.len() + SHORT_PIECE, 0);
        Some(program)
    }

    fn piece(&mut self, source: PieceSource, from: ProgramPlace, to: ProgramPlace) {
        self.pieces.push(CopiedPiece { source, from, to });
    }

    fn step(&mut self, step: ProgramStep) {
        self.steps_between.push((self.pieces.len() as u32, step));
    }

    /// What it holds in memory.
    fn size_bytes(&self) -> usize {
        let transforms: usize = self.made.iter().map(|made| made.transforms.len() * size_of::<u32>()).sum();
        size_of::<Self>()
            + self.judged.len() * size_of::<JudgedFilter>()
            + self.made.len() * size_of::<MadeValue>()
            + transforms
            + self.pieces.len() * size_of::<CopiedPiece>()
            + self.steps_between.len() * size_of::<(u32, ProgramStep)>()
            + self.fixed.len()
            + self.steps.as_ref().map_or(0, |steps| steps.len() * size_of::<Period>())
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
    /// The base that is zero.
    start_base: u32,
}

impl Anchors {
    fn of(tape: &Tape) -> Self {
        let of = |node| (node, tape.span(node).start as u32, tape.span(node).end as u32);
        let scalars = tape.nodes().filter(|node| !tape.kind(*node).is_container()).map(of).collect();
        Self { scalars, start_base: tape.ends().len() as u32 }
    }

    fn is_in_scalar(&self, place: u32) -> bool {
        let after = self.scalars.partition_point(|(_, _, end)| *end <= place);
        self.scalars.get(after).is_some_and(|(_, start, _)| *start <= place)
    }

    /// None inside of a scalar, whose length is another one in the next record.
    fn of_start(&self, place: u32) -> Option<ProgramPlace> {
        let after = self.scalars.partition_point(|(_, _, end)| *end <= place);
        if self.scalars.get(after).is_some_and(|(_, start, _)| *start < place) {
            return None;
        }
        Some(match after.checked_sub(1).map(|before| self.scalars[before]) {
            Some((node, _, end)) => ProgramPlace { base: node.0, distance: place - end },
            None => ProgramPlace { base: self.start_base, distance: place },
        })
    }
}

/// What places of a program are told by: where each value of the record ends, zero, and where each made value ends.
#[derive(Debug, Default)]
struct RecordBases(Vec<u32>);

impl RecordBases {
    #[inline(always)]
    fn place(&self, place: ProgramPlace) -> usize {
        (self.0[place.base as usize] + place.distance) as usize
    }
}

/// What a program is run with, and memory for what its actions make.
#[derive(Debug, Default)]
pub(super) struct ProgramScratch {
    made: Vec<u8>,
    /// Empty until a program of the loaded record is run.
    bases: RecordBases,
    buffers: MakingBuffers,
}

impl ProgramScratch {
    /// Another record is loaded.
    pub(super) fn forget_record(&mut self) {
        self.bases.0.clear();
    }
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
        let ProgramScratch { made, bases, buffers: MakingBuffers { between, unescaped } } = scratch;
        let ends = tape.ends();
        let values = ends.len();
        if bases.0.is_empty() {
            bases.0.extend(ends);
            bases.0.push(0);
        }
        bases.0.truncate(values + 1);
        made.clear();
        let mut means = ActionContext { keys, parties, unescaped };
        for value in &self.made {
            let result = make((text, tape), value.node, &projection.actions, &value.transforms, &mut means, between, made);
            if result.outcome.is_ok() != value.is_kept {
                return false;
            }
            template.is_of_one_target |= result.is_of_one_target;
            bases.0.push(made.len() as u32);
        }
        made.resize(made.len() + SHORT_PIECE, 0);
        let sources = [text, &self.fixed[..], &made[..]];
        let mut writer = template.writer(self.expected_bytes);
        let mut done = 0;
        for (before, step) in &self.steps_between {
            write_pieces(&mut writer, sources, bases, &self.pieces[done..*before as usize]);
            done = *before as usize;
            match step {
                ProgramStep::Id { is_asset } => writer.slot(*is_asset),
                ProgramStep::Compacted(from, to) => writer.compacted(&text[bases.place(*from)..bases.place(*to)]),
            }
        }
        write_pieces(&mut writer, sources, bases, &self.pieces[done..]);
        writer.finish();
        true
    }
}

#[inline(always)]
fn write_pieces(writer: &mut TemplateWriter<'_>, sources: [&[u8]; 3], bases: &RecordBases, pieces: &[CopiedPiece]) {
    for piece in pieces {
        writer.piece(sources[piece.source as usize], bases.place(piece.from), bases.place(piece.to));
    }
}
