//! What a walk did with a record, so that the next one of its shape is projected without walking.
//!
//! A program is a recording, never a second meaning: where each byte of the template came from, and what the walk saw of values. It is
//! run only if it sees the same again; else the walk does the record.

pub(super) mod memory;

use super::compile::Projection;
use super::mask::MaskKeys;
use super::parties::Parties;
use super::recording::{ByteOrigin, JudgedFilter, MadeValue, WalkRecording};
use super::template::Template;
use super::value::{MakingBuffers, make};
use crate::json::tape::{NodeIndex, Tape};
use crate::time::Period;
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
#[derive(Debug, Default)]
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

    /// What it holds in memory.
    fn size_bytes(&self) -> usize {
        let transforms: usize = self.made.iter().map(|made| made.transforms.len() * size_of::<u32>()).sum();
        size_of::<Self>()
            + self.judged.len() * size_of::<JudgedFilter>()
            + self.made.len() * size_of::<MadeValue>()
            + transforms
            + self.pieces.len() * size_of::<TemplatePiece>()
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
            if result.json.is_ok() != value.is_kept {
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
