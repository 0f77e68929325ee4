//! An append record's way, from its bytes to each target's: read, look up, decide, project, hand over.
//!
//! The live worker and `replay` both call this and nothing else for append streams.

use crate::id::{Epoch, StreamIndex};
use crate::json::tape::Tape;
use crate::profile::compile::Projection;
use crate::profile::condition::ConditionError;
use crate::profile::parties::{Parties, Provenance};
use crate::profile::project::{Projector, floor_timestamp};
use crate::profile::sample::SampledShare;
use crate::record::dead_letter::Refusal;
use crate::record::decode::{self, Identity, IdentityScratch, ReadRules};
use crate::record::mapped_nodes::MappedNodeMemory;
use crate::record::mapping::Stream;
use crate::release::compared::RuleComparison;
use crate::release::{self, Suppressed};
use crate::share::graph::{AssetShares, Grant, ShareGraph};
use crate::time::{Period, TimestampMs, TimestampNs};

/// The configuration that releasing depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReleaseRules {
    /// What is read at all.
    pub read: ReadRules,
    /// `late_grace`.
    pub late_grace: Period,
    /// Whether `_share` goes into the value (`provenance: payload`).
    pub shows_provenance: bool,
    /// Whether provenance, in whatever form, says what the target may do (`provenance_permission`).
    pub shows_permission: bool,
}

/// One input record of a stream, borrowed from wherever it lies. `H` yields name and value of each header, in order.
#[derive(Debug, Clone, Copy)]
pub struct InputRecord<'r, H> {
    /// Its key; `None` is Kafka's null.
    pub key: Option<&'r [u8]>,
    /// Its headers.
    pub headers: H,
    /// Its Kafka timestamp.
    pub timestamp: TimestampMs,
    /// Its value; `None` is Kafka's null.
    pub value: Option<&'r [u8]>,
}

/// One record for one target.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// The grant it is released under: its target tenant names the route, its target asset is the key.
    pub grant: &'a Grant<'a>,
    /// The stream.
    pub stream: StreamIndex,
    /// The epoch of the graph that decided.
    pub epoch: Epoch,
    /// The Kafka timestamp, floored if the profile truncates the event time (docs/rules/profiles.md#truncate).
    pub timestamp: TimestampMs,
    /// The projected value.
    pub value: &'a [u8],
}

/// Where decisions go.
pub trait Decisions {
    /// Takes one output. It is copied or lost when this returns; an error stops the record.
    type Error;

    /// A record is released. Called by share id, bytes ascending.
    fn released(&mut self, release: Release<'_>) -> Result<(), Self::Error>;

    /// `count` shares that name the stream did not get the record, for this reason.
    fn suppressed(&mut self, reason: Suppressed, count: u32);

    /// Whether the sample lets pass a record that nothing else withholds. Whoever keeps what was released answers, and notes it.
    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool;

    /// The condition of the grant's profile has no value of the record, which is suppressed.
    fn condition_failed(&mut self, grant: &Grant, error: ConditionError);

    /// This grant, which names the stream, is decided about next; one answer follows, `released` or `suppressed`.
    fn considers(&mut self, _: &Grant) {}

    /// What was compared for it, with the reason that the rule gives. Nothing is made of it unless somebody asks why.
    fn compared(&mut self, _: Suppressed, _: RuleComparison) {}
}

/// A step on the way to not reading a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum UnreadStep<'g> {
    /// As `Decisions::considers`.
    Considers(&'g Grant<'g>),
    /// As `Decisions::compared`.
    Compared(Suppressed, RuleComparison),
    /// As `Decisions::suppressed`.
    Suppressed(Suppressed, u32),
}

/// A record that `sample` may leave out.
#[derive(Debug, Clone, Copy)]
pub struct SampleCandidate<'a> {
    /// The grant that it would be released under.
    pub grant: &'a Grant<'a>,
    /// The stream.
    pub stream: StreamIndex,
    /// Whose record it is.
    pub identity: Identity<'a>,
    /// Its event time.
    pub t: TimestampNs,
    /// The period in force, above zero.
    pub every: Period,
}

impl SampleCandidate<'_> {
    /// Under whose name what was released is kept.
    pub fn of(&self) -> SampledShare {
        SampledShare { share: self.grant.share.clone(), stream: self.stream }
    }
}

/// Why a record did not go all its way.
#[derive(Debug)]
pub enum Stopped<E> {
    /// It cannot be read: a dead letter.
    Unreadable(Refusal),
    /// The sink failed; what it took before stands.
    Sink(E),
}

/// The scratch memory of deciding records one after the other. Nothing is allocated once it has grown.
#[derive(Debug)]
pub struct Decider {
    rules: ReleaseRules,
    projector: Projector,
    mapped: MappedNodeMemory,
    scratch: IdentityScratch,
    time_buffer: String,
    output: Vec<u8>,
}

impl Decider {
    /// `mask_secret` as for the projector.
    pub fn new(rules: ReleaseRules, mask_secret: Option<&[u8]>) -> Self {
        Self {
            rules,
            projector: Projector::new(mask_secret),
            mapped: MappedNodeMemory::default(),
            scratch: IdentityScratch::default(),
            time_buffer: String::new(),
            output: Vec::new(),
        }
    }

    /// Decides one record of an append stream by one graph and one reading of the clock.
    pub fn append<'r, H, D: Decisions>(
        &mut self,
        stream: &Stream,
        record: InputRecord<'r, H>,
        graph: &ShareGraph,
        clock: TimestampMs,
        decisions: &mut D,
    ) -> Result<(), Stopped<D::Error>>
    where
        H: Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
    {
        let now = release::decision_time(clock, graph);
        let outer = decode::outer_identity(stream, record.key, record.headers).map_err(Stopped::Unreadable)?;
        if let Some(identity) = outer.complete()
            && !is_worth_reading(stream.index, identity, graph, now, self.rules.late_grace, &mut |step| match step {
                UnreadStep::Considers(grant) => decisions.considers(grant),
                UnreadStep::Compared(rule, comparison) => decisions.compared(rule, comparison),
                UnreadStep::Suppressed(reason, count) => decisions.suppressed(reason, count),
            })
        {
            return Ok(());
        }
        let projector = &mut self.projector;
        let text = decode::load(record.value, &self.rules.read, move |text| projector.load(text)).map_err(Stopped::Unreadable)?;
        let tape = self.projector.tape();
        let nodes = self.mapped.find(stream, text, tape);
        let identity = decode::identity(stream, outer, text, tape, nodes, &mut self.scratch).map_err(Stopped::Unreadable)?;
        // What is found is waited for while the event time is read.
        let shares = graph.asset(identity.tenant, identity.asset);
        if let Some(shares) = shares {
            shares.fetch_ahead();
        }
        let limit = now.after(self.rules.read.max_future);
        let t =
            decode::event_time(stream, text, tape, nodes, record.timestamp, limit, &mut self.time_buffer).map_err(Stopped::Unreadable)?;
        let Some(shares) = shares else { return Ok(()) };
        count_quiet(shares, stream.index, &mut |reason, count| decisions.suppressed(reason, count));
        for grant in shares.grants().filter(|grant| grant.streams.contains(stream.index)) {
            let grant = &grant;
            decisions.considers(grant);
            let mut compared = |rule, comparison| decisions.compared(rule, comparison);
            let released = release::release(grant, graph, stream.index, t, now, self.rules.late_grace, &mut compared);
            let selected = released.and_then(|projection| {
                let candidate = |every| SampleCandidate { grant, stream: stream.index, identity, t, every };
                select(projection, grant, identity, (text, self.projector.tape()), decisions, candidate).map(|()| projection)
            });
            match selected {
                Err(reason) => decisions.suppressed(reason, 1),
                Ok(projection) => {
                    let parties =
                        Parties { owner: identity.tenant, target: grant.target.as_str(), target_asset: grant.target_asset.as_str() };
                    let provenance = provenance(grant, graph.epoch(), &self.rules);
                    self.output.clear();
                    let steps = self.projector.project(text, projection, &parties, provenance.as_ref(), &mut self.output);
                    let timestamp = floor_timestamp(record.timestamp, steps);
                    let release = Release { grant, stream: stream.index, epoch: graph.epoch(), timestamp, value: &self.output };
                    decisions.released(release).map_err(Stopped::Sink)?;
                }
            }
        }
        Ok(())
    }
}

/// What the profile's condition and sample make of a record that nothing else withholds. One whose profile has neither costs nothing.
fn select<'a, D: Decisions>(
    projection: &Projection,
    grant: &Grant,
    identity: Identity<'_>,
    (text, tape): (&[u8], &Tape),
    decisions: &mut D,
    candidate: impl FnOnce(Period) -> SampleCandidate<'a>,
) -> Result<(), Suppressed> {
    meets_condition(projection, grant, identity, (text, tape), |error| decisions.condition_failed(grant, error))?;
    match projection.sample {
        Some(every) if !decisions.passes_sample(candidate(every)) => Err(Suppressed::Sampled),
        _ => Ok(()),
    }
}

/// Whether the condition holds; an error is told, and lets nothing through.
pub(crate) fn meets_condition(
    projection: &Projection,
    grant: &Grant,
    identity: Identity<'_>,
    (text, tape): (&[u8], &Tape),
    failed: impl FnOnce(ConditionError),
) -> Result<(), Suppressed> {
    match release::meets_condition(projection, grant, identity, text, tape) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Suppressed::Filtered),
        Err(error) => {
            failed(error);
            Err(Suppressed::Filtered)
        }
    }
}

/// What `_share` says of a grant, if it is in the value at all.
pub fn provenance<'g>(grant: &Grant<'g>, epoch: Epoch, rules: &ReleaseRules) -> Option<Provenance<'g>> {
    let permission = shown_permission(grant, rules);
    let share = grant.share.as_str();
    rules.shows_provenance.then_some(Provenance { share, revision: grant.revision, epoch, permission, backfill: None })
}

/// The permission as provenance shows it; none where it does not.
pub fn shown_permission(grant: &Grant, rules: &ReleaseRules) -> Option<&'static str> {
    rules.shows_permission.then(|| grant.permission.word())
}

/// Adds to a document of an upsert stream, projected without `_share`, what else makes it another one than the last one written
/// (docs/rules/upserts.md#equal-documents): where it shows the permission, another permission. The bytes are then for comparing only.
pub fn add_compared(grant: &Grant, rules: &ReleaseRules, compared: &mut Vec<u8>) {
    compared.extend_from_slice(shown_permission(grant, rules).unwrap_or_default().as_bytes());
}

/// Whether a share that counts names the stream (docs/rules/records.md#unshared-values-are-not-read). If none does, the value is not
/// looked at, and why is counted here: a share that does not count fails rule 1 or comes too late, whatever the event time is.
pub(crate) fn is_worth_reading(
    stream: StreamIndex,
    identity: Identity<'_>,
    graph: &ShareGraph,
    now: TimestampNs,
    late_grace: Period,
    step: &mut impl FnMut(UnreadStep<'_>),
) -> bool {
    let Some(shares) = graph.asset(identity.tenant, identity.asset) else { return false };
    let naming = || shares.grants().filter(|grant| grant.streams.contains(stream));
    if naming().any(|grant| release::counts(&grant, now, late_grace)) {
        return true;
    }
    count_quiet(shares, stream, &mut |reason, count| step(UnreadStep::Suppressed(reason, count)));
    for grant in naming() {
        step(UnreadStep::Considers(&grant));
        let mut compared = |rule, comparison| step(UnreadStep::Compared(rule, comparison));
        let reason = release::uncounted(&grant, now, late_grace, &mut compared);
        step(UnreadStep::Suppressed(reason, 1));
    }
    false
}

pub(crate) fn count_quiet(shares: AssetShares<'_>, stream: StreamIndex, suppress: &mut impl FnMut(Suppressed, u32)) {
    for quiet in shares.quiet().iter().filter(|quiet| quiet.stream == stream) {
        for (reason, count) in [(Suppressed::Pending, quiet.pending), (Suppressed::Ended, quiet.ended)] {
            if count > 0 {
                suppress(reason, count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use super::*;
    use crate::id::StreamName;
    use crate::json::path::Path;
    use crate::profile::compile::Profile;
    use crate::record::dead_letter::DeadLetterReason;
    use crate::record::mapping::{FieldSource, Mapping, Mode};

    struct Nothing;

    impl Decisions for Nothing {
        type Error = Infallible;

        fn released(&mut self, _: Release<'_>) -> Result<(), Infallible> {
            panic!("nothing is shared")
        }

        fn suppressed(&mut self, _: Suppressed, _: u32) {}

        fn passes_sample(&mut self, _: SampleCandidate<'_>) -> bool {
            true
        }

        fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
    }

    /// The asset is looked up before the event time is read, and what is wrong with the record counts all the same.
    #[test]
    fn an_unshared_record_is_read_to_its_event_time() {
        let path = |text: &str| Path::parse(text).unwrap();
        let mapping = Mapping {
            tenant: FieldSource::Path(path("$.tenant")),
            asset: FieldSource::Path(path("$.asset")),
            key_format: None,
            time: Some(path("$.ts")),
            rewrite_tenant: Vec::new(),
            rewrite_asset: Vec::new(),
        };
        let name = StreamName::parse("telemetry").unwrap();
        let stream = Stream { name, index: StreamIndex(0), mode: Mode::Append, topic: "telemetry.raw".to_owned(), mapping };
        let read = ReadRules { max_record_bytes: 1000, max_future: Period::from_millis(1000) };
        let rules = ReleaseRules { read, late_grace: Period::ZERO, shows_provenance: true, shows_permission: false };
        let graph = ShareGraph::new(Arc::new(Profile::all(&[])));
        let mut decider = Decider::new(rules, None);
        let mut reason_of = |time: &str| {
            let value = format!(r#"{{"tenant":"acme","asset":"A","ts":{time}}}"#);
            let headers = std::iter::empty::<(&[u8], Option<&[u8]>)>();
            let record = InputRecord { key: None, headers, timestamp: TimestampMs(0), value: Some(value.as_bytes()) };
            match decider.append(&stream, record, &graph, TimestampMs(0), &mut Nothing) {
                Ok(()) => None,
                Err(Stopped::Unreadable(refusal)) => Some(refusal.reason),
                Err(Stopped::Sink(never)) => match never {},
            }
        };
        assert_eq!(reason_of("0"), None);
        assert_eq!(reason_of("null"), Some(DeadLetterReason::MissingTime));
        assert_eq!(reason_of(r#""soon""#), Some(DeadLetterReason::InvalidTime));
        assert_eq!(reason_of("5"), Some(DeadLetterReason::FutureTime));
    }
}
