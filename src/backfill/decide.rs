//! An old record's way, from its bytes to each target's: read, look whether it is in the window, look up, decide, project by today's
//! profile and that of then, hand over.

use rustc_hash::FxHashMap;

use super::history::TextNumber;
use super::options::Window;
use super::past::{Earlier, Pinned};
use crate::decide::{self, InputRecord, Release, ReleaseRules, SampleCandidate, Stopped, UnreadStep};
use crate::id::{JobName, StreamIndex};
use crate::json::tape::Tape;
use crate::profile::compile::Projection;
use crate::profile::condition::ConditionError;
use crate::profile::parties::{Parties, Provenance};
use crate::profile::project::{Projector, floor_timestamp};
use crate::record::dead_letter::Refusal;
use crate::record::decode::{self, Identity, IdentityScratch, OuterIdentity, ReadRules};
use crate::record::mapped_nodes::MappedNodes;
use crate::record::mapping::Stream;
use crate::release::{self, Suppressed};
use crate::share::graph::{Grant, ProfileSlot};
use crate::time::{Period, TimestampMs, TimestampNs};

/// One old record for one target, with what a second decision by the live graph needs besides (`live::still_releases`).
#[derive(Debug, Clone, Copy)]
pub struct PastRelease<'a> {
    /// As live flow would hand it over.
    pub release: Release<'a>,
    /// The asset and its owner.
    pub identity: Identity<'a>,
    /// The input record's value, and what parsing it gave.
    pub record: (&'a [u8], &'a Tape),
    /// The event time.
    pub t: TimestampNs,
}

/// Where a backfill's decisions go.
pub trait PastDecisions {
    /// Takes one output. It is copied or lost when this returns; an error stops the record.
    type Error;

    /// A record is released. Called by share id, bytes ascending.
    fn released(&mut self, release: PastRelease<'_>) -> Result<(), Self::Error>;

    /// `count` shares that name the stream did not get the record, for this reason.
    fn suppressed(&mut self, reason: Suppressed, count: u32);

    /// Whether the sample lets pass a record that nothing else withholds. Whoever keeps what was released answers, and notes it. What a
    /// job keeps begins empty.
    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool;

    /// A condition of the grant's profile, of today or of then, has no value of the record, which is suppressed.
    fn condition_failed(&mut self, grant: &Grant, error: ConditionError);
}

/// The scratch memory of deciding old records one after the other.
#[derive(Debug)]
pub struct BackfillDecider {
    rules: ReleaseRules,
    job: JobName,
    window: Window,
    projector: Projector,
    /// Projections of two profiles, made when a record first needs them; none where one of the two has no section.
    restricted: FxHashMap<ProjectionPair, Option<Box<Projection>>>,
    scratch: IdentityScratch,
    time_buffer: String,
    output: Vec<u8>,
}

/// Of which two texts a projection is made: a profile of today, always with the text of the job's `now`, and one of an earlier moment.
type ProjectionPair = (ProfileSlot, ProfileSlot, TextNumber, StreamIndex);

impl BackfillDecider {
    /// `mask_secret` as for the projector. A decider is for one `Pinned`.
    pub fn new(rules: ReleaseRules, mask_secret: Option<&[u8]>, job: JobName, window: Window) -> Self {
        Self {
            rules,
            job,
            window,
            projector: Projector::new(mask_secret),
            restricted: FxHashMap::default(),
            scratch: IdentityScratch::default(),
            time_buffer: String::new(),
            output: Vec::new(),
        }
    }

    /// Decides one record of an append stream (docs/rules/backfill.md). One outside of the window comes to nothing. What cannot be read,
    /// or is not read because no share counts, has no event time and goes by its Kafka timestamp.
    pub fn append<'r, H, D: PastDecisions>(
        &mut self,
        stream: &Stream,
        record: InputRecord<'r, H>,
        pinned: &Pinned,
        decisions: &mut D,
    ) -> Result<(), Stopped<D::Error>>
    where
        H: Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
    {
        let (graph, now, late_grace) = (pinned.graph(), pinned.now(), self.rules.late_grace);
        let is_in_window = self.window.contains(record.timestamp.moment());
        let unreadable = |refusal| if is_in_window { Err(Stopped::Unreadable(refusal)) } else { Ok(()) };
        let outer = match decode::outer_identity(stream, record.key, record.headers) {
            Ok(outer) => outer,
            Err(refusal) => return unreadable(refusal),
        };
        if let Some(identity) = outer.complete() {
            let mut suppress = |step: UnreadStep<'_>| match step {
                UnreadStep::Suppressed(reason, count) if is_in_window => decisions.suppressed(reason, count),
                UnreadStep::Suppressed(..) | UnreadStep::Considers(_) | UnreadStep::Compared(..) => {}
            };
            if !decide::is_worth_reading(stream.index, identity, graph, now, late_grace, &mut suppress) {
                return Ok(());
            }
        }
        let (text, identity, t) = match read(
            stream,
            outer,
            record.value,
            record.timestamp,
            self.rules.read,
            &mut self.projector,
            &mut self.scratch,
            &mut self.time_buffer,
        ) {
            Ok(read) => read,
            Err(refusal) => return unreadable(refusal),
        };
        if !self.window.contains(t) {
            return Ok(());
        }
        decode::not_after(t, now.after(self.rules.read.max_future)).map_err(Stopped::Unreadable)?;
        let Some(shares) = graph.asset(identity.tenant, identity.asset) else { return Ok(()) };
        decide::count_quiet(shares, stream.index, &mut |reason, count| decisions.suppressed(reason, count));
        for grant in shares.grants().filter(|grant| grant.streams.contains(stream.index)) {
            let grant = &grant;
            let today = release::release(grant, graph, stream.index, t, now, late_grace, &mut release::unseen);
            let both = today.and_then(|today| projection(&mut self.restricted, today, grant, pinned, stream, t));
            let selected = both.and_then(|projection| {
                let candidate = |every| SampleCandidate { grant, stream: stream.index, identity, t, every };
                select(projection, grant, identity, (text, self.projector.tape()), decisions, candidate).map(|()| projection)
            });
            let projection = match selected {
                Ok(projection) => projection,
                Err(reason) => {
                    decisions.suppressed(reason, 1);
                    continue;
                }
            };
            let parties = Parties { owner: identity.tenant, target: grant.target.as_str(), target_asset: grant.target_asset.as_str() };
            let backfill = Some(self.job.as_str());
            let provenance = decide::provenance(grant, graph.epoch(), &self.rules).map(|live| Provenance { backfill, ..live });
            self.output.clear();
            let steps = self.projector.project(text, projection, &parties, provenance.as_ref(), &mut self.output);
            let timestamp = floor_timestamp(record.timestamp, steps);
            let release = Release { grant, stream: stream.index, epoch: graph.epoch(), timestamp, value: &self.output };
            let release = PastRelease { release, identity, record: (text, self.projector.tape()), t };
            decisions.released(release).map_err(Stopped::Sink)?;
        }
        Ok(())
    }
}

/// The value's bytes, whose record of which asset it is, and its event time, however far ahead.
#[allow(clippy::too_many_arguments, reason = "the parts of a decider, each borrowed for as long as it is needed")]
fn read<'r>(
    stream: &Stream,
    outer: OuterIdentity<'r>,
    value: Option<&'r [u8]>,
    timestamp: TimestampMs,
    rules: ReadRules,
    projector: &mut Projector,
    scratch: &'r mut IdentityScratch,
    time_buffer: &mut String,
) -> Result<(&'r [u8], Identity<'r>, TimestampNs), Refusal> {
    let text = decode::load(value, &rules, |text| projector.load(text))?;
    let tape = projector.tape();
    let nodes = MappedNodes::of(stream, text, tape);
    let identity = decode::identity(stream, outer, text, tape, nodes, scratch)?;
    let t = decode::any_event_time(stream, text, tape, nodes, timestamp, time_buffer)?;
    Ok((text, identity, t))
}

/// Today's projection, restricted by that of the moment that the record is judged by.
fn projection<'p>(
    restricted: &'p mut FxHashMap<ProjectionPair, Option<Box<Projection>>>,
    today: &'p Projection,
    grant: &Grant,
    pinned: &Pinned,
    stream: &Stream,
    t: TimestampNs,
) -> Result<&'p Projection, Suppressed> {
    match pinned.earlier(grant, stream, t) {
        Earlier::AsToday => Ok(today),
        Earlier::Missing => Err(Suppressed::ProfileMissing),
        Earlier::Text(slot, text) => {
            let pair = (grant.profile, slot, text, stream.index);
            let made = restricted.entry(pair).or_insert_with(|| pinned.restricted(grant, (slot, text), stream));
            made.as_deref().ok_or(Suppressed::ProfileMissing)
        }
    }
}

/// What the conditions of both profiles and the sample of today make of a record that nothing else withholds.
fn select<'a, D: PastDecisions>(
    projection: &Projection,
    grant: &Grant,
    identity: Identity<'_>,
    (text, tape): (&[u8], &Tape),
    decisions: &mut D,
    candidate: impl FnOnce(Period) -> SampleCandidate<'a>,
) -> Result<(), Suppressed> {
    decide::meets_condition(projection, grant, identity, (text, tape), |error| decisions.condition_failed(grant, error))?;
    match projection.sample {
        Some(every) if !decisions.passes_sample(candidate(every)) => Err(Suppressed::Sampled),
        _ => Ok(()),
    }
}
