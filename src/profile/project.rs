//! Projecting one record: parsed once, written once for each grant.

use super::compile::Projection;
use super::mask::MaskKeys;
use super::parties::{Parties, Provenance};
use super::program::memory::{ProgramMemory, ProgramTurn};
use super::program::{Program, ProgramScratch};
use super::template::{Template, WrittenEpoch};
use super::walk::witness::RecordTrace;
use super::walk::{Scratch, Walk};
use crate::json::error::InvalidJson;
use crate::json::path::{Path, Selected};
use crate::json::tape::Tape;
use crate::time::{Period, TimestampMs, TimestampNs};

/// Holds one parsed record and the scratch memory of projecting it.
#[derive(Debug, Default)]
pub struct Projector {
    tape: Tape,
    keys: MaskKeys,
    scratch: Scratch,
    programs: ProgramMemory,
    program_scratch: ProgramScratch,
    /// What projections made of the loaded record; those behind `made` are memory to use again.
    outcomes: Vec<ProjectionOutcome>,
    made: usize,
    epochs: WrittenEpoch,
}

/// What one projection made of the loaded record.
#[derive(Debug, Default)]
struct ProjectionOutcome {
    projection: u64,
    template: Template,
    /// By which the Kafka timestamp is floored, one after the other.
    steps: Vec<Period>,
}

/// So many projections of one record are remembered.
const MAX_OUTCOMES: usize = 8;

impl Projector {
    /// `mask_secret` keys `mask: hash`; without it hashed members are dropped (docs/rules/profiles.md#masks).
    pub fn new(mask_secret: Option<&[u8]>) -> Self {
        Self { tape: Tape::remembering(), ..Self::plain(mask_secret) }
    }

    /// The same, which reads and walks each record by itself: slower, and what the other one is held against.
    pub fn plain(mask_secret: Option<&[u8]>) -> Self {
        Self { keys: MaskKeys::new(mask_secret), ..Self::default() }
    }

    /// Parses a record; it stays loaded until the next. Answers its values.
    pub fn load(&mut self, text: &[u8]) -> Result<&Tape, InvalidJson> {
        self.made = 0;
        self.program_scratch.forget_record();
        self.tape.parse(text)?;
        Ok(&self.tape)
    }

    /// The loaded record's values.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// Appends the loaded record, an object, as `projection` shows it. `text` is what was loaded. Answers the steps by
    /// which the Kafka timestamp is floored one after the other (`floor_timestamp`): one for each `truncate` that hit the
    /// time member, whatever came of it (docs/rules/profiles.md#truncate).
    ///
    /// A second projection of the same record by the same `projection` costs little more than copying.
    pub fn project(
        &mut self,
        text: &[u8],
        projection: &Projection,
        parties: &Parties<'_>,
        provenance: Option<&Provenance<'_>>,
        out: &mut Vec<u8>,
    ) -> &[Period] {
        let at = self.outcome(text, projection, parties);
        let outcome = &self.outcomes[at];
        outcome.template.write(parties, provenance, &mut self.epochs, out);
        &outcome.steps
    }

    /// What becomes of each value of the loaded record where `projection` shows it: by the walk that writes it.
    pub(crate) fn trace(&mut self, text: &[u8], projection: &Projection, parties: &Parties<'_>) -> RecordTrace {
        let (mut trace, mut template) = (RecordTrace::default(), Template::default());
        let Self { tape, keys, scratch, .. } = self;
        Walk { text, tape, projection, parties, keys, template: &mut template, scratch, witness: &mut trace }.run();
        trace
    }

    /// Where in `outcomes` stands what `projection` makes of the loaded record for these parties.
    fn outcome(&mut self, text: &[u8], projection: &Projection, parties: &Parties<'_>) -> usize {
        let known = self.outcomes[..self.made].iter().position(|outcome| outcome.projection == projection.id);
        if let Some(at) = known
            && !self.outcomes[at].template.is_of_one_target
        {
            return at;
        }
        let at = known.unwrap_or(self.made % MAX_OUTCOMES);
        if at >= self.outcomes.len() {
            self.outcomes.push(ProjectionOutcome::default());
        }
        self.made = self.made.max(at + 1);
        let outcome = &mut self.outcomes[at];
        outcome.projection = projection.id;
        let ProjectionOutcome { template, steps, .. } = outcome;
        template.clear();
        let (tape, keys) = (&self.tape, &mut self.keys);
        let shape = tape.shape();
        let turn = shape.map_or(ProgramTurn::Walk, |shape| {
            let scratch = &mut self.program_scratch;
            let run = |program: &Program| program.run((text, tape), projection, parties, keys, scratch, template);
            self.programs.turn(projection.id, shape, steps, run)
        });
        match turn {
            ProgramTurn::Run => return at,
            ProgramTurn::RunWithoutSteps => {}
            ProgramTurn::Walk | ProgramTurn::Record => {
                template.clear();
                if turn == ProgramTurn::Record {
                    template.record();
                }
                Walk { text, tape, projection, parties, keys, template, scratch: &mut self.scratch, witness: () }.run();
            }
        }
        note_steps(text, tape, projection, steps);
        if let (Some(shape), Some(recording)) = (shape, template.take_recording()) {
            let known_steps = (!projection.steps_depend_on_values()).then(|| steps.clone());
            self.programs.remember(projection.id, shape, Program::of(template, recording, tape, known_steps));
        }
        at
    }
}

impl Projection {
    /// Whether the steps of the Kafka timestamp are others in records of one shape.
    fn steps_depend_on_values(&self) -> bool {
        let paths = self.time.iter().chain(self.truncates.iter().flat_map(|truncate| &truncate.paths));
        paths.into_iter().any(Path::has_filter)
    }
}

fn note_steps(text: &[u8], tape: &Tape, projection: &Projection, steps: &mut Vec<Period>) {
    steps.clear();
    if projection.truncates.is_empty() {
        return;
    }
    let time = match projection.time.as_ref().map(|path| path.find(text, tape)) {
        Some(Selected::One(node)) => Some(node),
        _ => None,
    };
    let mut earlier = 0;
    for truncate in &projection.truncates {
        let hits = |path: &Path| time.is_some_and(|time| path.selects(text, tape, time));
        let is_repeat = truncate.is_later && steps[..earlier].contains(&truncate.step);
        if !is_repeat && (truncate.always || truncate.paths.iter().any(hits)) {
            steps.push(truncate.step);
            earlier += usize::from(!truncate.is_later);
        }
    }
}

/// A Kafka timestamp floored by the steps that `Projector::project` answered. Where the multiple lies before the
/// year 1, which no line can write (docs/rules/values.md#times), it is the first moment that can be written.
pub fn floor_timestamp(timestamp: TimestampMs, steps: &[Period]) -> TimestampMs {
    if steps.is_empty() {
        return timestamp;
    }
    let floor = |nanos: i128, step: &Period| nanos.div_euclid(step.nanos().max(1)) * step.nanos().max(1);
    let nanos = steps.iter().fold(timestamp.moment().nanos(), floor);
    let floored = TimestampMs(i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(i64::MIN));
    floored.max(TimestampNs::FIRST.millis().min(timestamp))
}
