//! Which programs are kept, and for how long.

use super::Program;
use crate::json::tape::ShapeId;
use crate::time::Period;
use rustc_hash::FxHashMap;

/// What is known of a projection and a shape.
#[derive(Debug)]
enum Known {
    Program(Program),
    /// A walk each time: what filters and actions say of such records changes too often, or the program would be too long.
    Walk,
}

#[derive(Debug)]
struct KnownProgram {
    known: Known,
    size_bytes: usize,
    runs: u32,
    failures: u32,
    /// Since the last sweep.
    is_used: bool,
}

/// How much is kept, of one projection or of all.
#[derive(Debug, Default, Clone, Copy)]
struct KeptPrograms {
    count: usize,
    size_bytes: usize,
}

impl KeptPrograms {
    fn add(&mut self, size_bytes: usize) {
        self.count += 1;
        self.size_bytes += size_bytes;
    }

    fn reaches(self, limit: Self) -> bool {
        self.count >= limit.count || self.size_bytes >= limit.size_bytes
    }
}

/// The programs of one projector. A projection that is used no more leaves with the second sweep after.
#[derive(Debug, Default)]
pub(in crate::profile) struct ProgramMemory {
    programs: FxHashMap<(u64, ShapeId), KnownProgram>,
    /// By projection.
    kept: FxHashMap<u64, KeptPrograms>,
    kept_in_all: KeptPrograms,
    uses: u32,
}

/// Beyond these a shape is walked. The last program before the limit may go over it by `MAX_PROGRAM_BYTES`.
const MAX_IN_ALL: KeptPrograms = KeptPrograms { count: 8192, size_bytes: 16 << 20 };
const MAX_OF_ONE_PROJECTION: KeptPrograms = KeptPrograms { count: 512, size_bytes: 2 << 20 };
/// A longer program is not kept.
const MAX_PROGRAM_BYTES: usize = 1 << 16;
/// Uses between two sweeps.
const SWEEP_EVERY: u32 = 1 << 18;
/// A program that fails so often, and oftener than it runs, is given up.
const MAX_FAILURES: u32 = 16;

/// What became of a record, and what is left to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::profile) enum ProgramTurn {
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
    pub(in crate::profile) fn turn(
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
            return if self.is_full_for(projection) { ProgramTurn::Walk } else { ProgramTurn::Record };
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

    fn is_full_for(&self, projection: u64) -> bool {
        let is_reached = |kept: &KeptPrograms| kept.reaches(MAX_OF_ONE_PROJECTION);
        self.kept_in_all.reaches(MAX_IN_ALL) || self.kept.get(&projection).is_some_and(is_reached)
    }

    /// Keeps what was recorded; of none, that nothing can be.
    pub(in crate::profile) fn remember(&mut self, projection: u64, shape: ShapeId, program: Option<Program>) {
        let program = program.map(|program| (program.size_bytes(), program)).filter(|(size_bytes, _)| *size_bytes <= MAX_PROGRAM_BYTES);
        let (size_bytes, known) = program.map_or((0, Known::Walk), |(size_bytes, program)| (size_bytes, Known::Program(program)));
        self.programs.insert((projection, shape), KnownProgram { known, size_bytes, runs: 0, failures: 0, is_used: true });
        self.kept.entry(projection).or_default().add(size_bytes);
        self.kept_in_all.add(size_bytes);
    }

    /// Forgets what was not used since the sweep before.
    fn sweep(&mut self) {
        self.uses = 0;
        self.programs.retain(|_, program| std::mem::take(&mut program.is_used));
        self.kept.clear();
        self.kept_in_all = KeptPrograms::default();
        for ((projection, _), program) in &self.programs {
            self.kept.entry(*projection).or_default().add(program.size_bytes);
            self.kept_in_all.add(program.size_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(memory: &mut ProgramMemory, projection: u64, shape: u64) -> ProgramTurn {
        let turn = memory.turn(projection, ShapeId(shape), &mut Vec::new(), |_| true);
        if turn == ProgramTurn::Record {
            memory.remember(projection, ShapeId(shape), Some(Program { steps: Some(Vec::new()), ..Program::default() }));
        }
        turn
    }

    fn of_bytes(size_bytes: usize) -> Option<Program> {
        Some(Program { fixed: vec![b'x'; size_bytes], ..Program::default() })
    }

    /// A profile that is published again has other projections, and a forgotten shape comes again under another id.
    #[test]
    fn what_is_used_no_more_leaves_and_gives_its_room_back() {
        let mut memory = ProgramMemory::default();
        for shape in 0..600 {
            turn(&mut memory, 1, shape);
        }
        assert_eq!((memory.programs.len(), turn(&mut memory, 1, 600)), (MAX_OF_ONE_PROJECTION.count, ProgramTurn::Walk));
        for _ in 0..2 * SWEEP_EVERY {
            turn(&mut memory, 2, 7);
            turn(&mut memory, 1, 0);
        }
        let mut left: Vec<_> = memory.programs.keys().map(|(projection, shape)| (*projection, shape.0)).collect();
        left.sort_unstable();
        assert_eq!(left, [(1, 0), (2, 7)]);
        assert_eq!(turn(&mut memory, 1, 601), ProgramTurn::Record);
    }

    #[test]
    fn no_projection_and_not_all_together_keep_more_than_their_bytes() {
        let mut memory = ProgramMemory::default();
        memory.remember(1, ShapeId(0), of_bytes(MAX_PROGRAM_BYTES));
        assert_eq!((turn(&mut memory, 1, 0), memory.kept_in_all.size_bytes), (ProgramTurn::Walk, 0), "too long to be kept");
        let mut kept = 0;
        for projection in 0..20 {
            for shape in 1..100 {
                if turn_of_long(&mut memory, projection, shape) == ProgramTurn::Record {
                    memory.remember(projection, ShapeId(shape), of_bytes(MAX_PROGRAM_BYTES / 2));
                    kept += 1;
                }
            }
            let of_one = memory.kept.get(&projection).map_or(0, |kept| kept.size_bytes);
            assert!(of_one < MAX_OF_ONE_PROJECTION.size_bytes + MAX_PROGRAM_BYTES, "{of_one}");
        }
        assert!(kept > 256 && memory.kept_in_all.size_bytes < MAX_IN_ALL.size_bytes + MAX_PROGRAM_BYTES, "{kept}");
    }

    fn turn_of_long(memory: &mut ProgramMemory, projection: u64, shape: u64) -> ProgramTurn {
        memory.turn(projection, ShapeId(shape), &mut Vec::new(), |_| true)
    }

    #[test]
    fn a_program_that_mostly_fails_is_given_up() {
        let mut memory = ProgramMemory::default();
        turn(&mut memory, 1, 1);
        let mut asked = 0;
        for _ in 0..100 {
            memory.turn(1, ShapeId(1), &mut Vec::new(), |_| {
                asked += 1;
                false
            });
        }
        assert_eq!(asked, MAX_FAILURES + 1);
    }
}
