//! Listens while a record is decided about, and says of each share what was compared.

use std::convert::Infallible;

use super::members::{ProfileText, members};
use super::record::{WholeRecord, event_time_of, whose};
use super::{ComparedValues, ExplainedRecord, Explainer, Explanation, RecordPlace, ShareExplanation};
use crate::decide::{self, Decider, Decisions, Release, ReleaseRules, SampleCandidate, Stopped, UnreadStep};
use crate::id::{ShareId, StreamIndex};
use crate::json::tape::Tape;
use crate::profile::condition::ConditionError;
use crate::profile::parties::Parties;
use crate::profile::project::Projector;
use crate::record::dead_letter::Refusal;
use crate::record::decode::{self, Identity};
use crate::record::mapping::{Mode, Stream};
use crate::release::compared::RuleComparison;
use crate::release::{self, Suppressed, decision_time};
use crate::share::graph::{AssetShares, Grant, ShareGraph};
use crate::share::state::State;
use crate::share::table::ShareTable;
use crate::share::table::query::ShareView;
use crate::sink_state::wanted_noting;
use crate::time::{Period, TimestampMs, TimestampNs};

/// Of a null document, which is no reason that is counted: the target has nothing to see.
const DELETED: &str = "deleted";

/// What would be, without a record.
#[derive(Debug, Clone, Copy)]
pub struct WouldBeRecord<'q> {
    /// Whose asset it is.
    pub owner: &'q str,
    /// The asset, in its owner's words.
    pub asset: &'q str,
    /// The event time.
    pub time: TimestampNs,
}

impl Explainer<'_> {
    /// What `run` makes of a record at `clock` by the shares of `table`, which must be one whose graph shows them.
    pub fn record(
        &self,
        table: &ShareTable,
        stream: &Stream,
        record: &WholeRecord,
        place: Option<RecordPlace>,
        clock: TimestampMs,
    ) -> Explanation {
        let graph = table.graph();
        let mut heard = DecisionListener::default();
        let dead = match stream.mode {
            Mode::Append => heard.append(record, stream, &graph, self.rules, self.mask_secret, clock),
            Mode::Upsert => heard.document(record, stream, &graph, self.rules, self.mask_secret, clock),
        };
        let mut tape = Tape::default();
        let identity = whose(record, stream, &self.rules.read, &mut tape).ok();
        let time = match stream.mode {
            Mode::Append => event_time_of(record, stream, &self.rules.read, &mut tape),
            Mode::Upsert => None,
        };
        let (owner, asset) = identity.unzip();
        let known = ExplainedRecord { stream: stream.name.to_string(), mode: stream.mode, place, owner, asset, time };
        let text = record.value.as_deref().unwrap_or_default();
        self.explain(table, &graph, stream, known, heard, dead, text, clock)
    }

    /// What would become of a record of this asset and event time, whatever else it holds.
    pub fn would_be(&self, table: &ShareTable, stream: &Stream, asked: WouldBeRecord<'_>, clock: TimestampMs) -> Explanation {
        let graph = table.graph();
        let mut heard = DecisionListener { is_without_record: true, ..DecisionListener::default() };
        heard.would_be(asked, stream, &graph, self.rules, clock);
        let known = ExplainedRecord {
            stream: stream.name.to_string(),
            mode: stream.mode,
            place: None,
            owner: Some(asked.owner.to_owned()),
            asset: Some(asked.asset.to_owned()),
            time: (stream.mode == Mode::Append).then_some(asked.time),
        };
        self.explain(table, &graph, stream, known, heard, None, &[], clock)
    }

    fn shares_of_asset<'t>(&self, table: &'t ShareTable, owner: &str, asset: &str, stream: StreamIndex) -> Vec<(ShareView<'t>, bool)> {
        #[cfg(feature = "io")]
        if let Some(lists) = self.by_tenant {
            return lists.shares_of_asset(table, owner, asset, stream);
        }
        table.shares_of_asset(owner, asset, stream)
    }

    #[allow(clippy::too_many_arguments, reason = "what was asked, and what was heard")]
    fn explain(
        &self,
        table: &ShareTable,
        graph: &ShareGraph,
        stream: &Stream,
        record: ExplainedRecord,
        heard: DecisionListener,
        dead: Option<Refusal>,
        text: &[u8],
        clock: TimestampMs,
    ) -> Explanation {
        let now = decision_time(clock, graph);
        let mut explanation = Explanation {
            record,
            epoch: graph.epoch(),
            now,
            shares: Vec::new(),
            only_target: None,
            other_shares: Vec::new(),
            dead,
            waits_for: graph.unreadable_offsets().first().copied(),
        };
        let (Some(owner), Some(asset)) = (explanation.record.owner.clone(), explanation.record.asset.clone()) else {
            return explanation;
        };
        if explanation.dead.is_some() {
            return explanation;
        }
        let mut projector = Projector::new(self.mask_secret);
        let is_loaded = !heard.is_without_record && projector.load(text).is_ok();
        for (share, names_stream) in self.shares_of_asset(table, &owner, &asset, stream.index) {
            if !names_stream {
                explanation.other_shares.push(share.id().to_string());
                continue;
            }
            let document = share.document();
            let (target, profile) = (document.target_tenant.map(str::to_owned), document.profile.unwrap_or_default().to_owned());
            let mut answer = ShareExplanation {
                share: share.id().to_string(),
                target,
                profile,
                suppressed: None,
                compared: Vec::new(),
                members: Vec::new(),
                value: None,
                unknown: Vec::new(),
            };
            match heard.of(share.id()) {
                Some(considered) => considered.tell(share, table, stream, heard.is_without_record, &mut answer),
                None => tell_quiet(share, &mut answer),
            }
            if answer.suppressed.is_none()
                && is_loaded
                && let Some(projection) = graph.profile(share.profile()).and_then(|profile| profile.section(stream.index))
            {
                let document = share.document();
                let (target, target_asset) = (document.target_tenant.unwrap_or_default(), document.target_asset.unwrap_or(&asset));
                let parties = Parties { owner: &owner, target, target_asset };
                let trace = projector.trace(text, projection, &parties);
                let profile = table.profile_in(share.profile()).map(|profile| ProfileText::of(&profile)).unwrap_or_default();
                answer.members = members(text, projector.tape(), &trace, &profile, stream.name.as_str());
            }
            explanation.shares.push(answer);
        }
        explanation
    }
}

/// A share that the graph holds no grant of: its offer is open, or it is over.
fn tell_quiet(share: ShareView<'_>, answer: &mut ShareExplanation) {
    let document = share.document();
    let reason = if document.state == State::Pending { Suppressed::Pending } else { Suppressed::Ended };
    answer.suppressed = Some(reason.as_str());
    let mut equal = |left: &str, right: String| answer.compared.push(ComparedValues { left: left.to_owned(), op: "=", right });
    equal("state", document.state.word().to_owned());
    if let Some(reason) = document.reason {
        equal("reason", reason.code().to_owned());
    }
    if let Some(ended_at) = document.ended_at {
        equal("ended_at", ended_at.to_string());
    }
}

/// What was said of one grant.
#[derive(Debug)]
struct ConsideredGrant {
    share: ShareId,
    compared: Vec<(Suppressed, RuleComparison)>,
    sample: Option<(Period, TimestampNs)>,
    condition_error: Option<ConditionError>,
    answer: Option<Result<Vec<u8>, Suppressed>>,
    /// A null document: there is nothing to show.
    is_deleted: bool,
}

impl ConsideredGrant {
    fn tell(&self, share: ShareView<'_>, table: &ShareTable, stream: &Stream, is_without_record: bool, answer: &mut ShareExplanation) {
        let reason = self.answer.as_ref().and_then(|answer| answer.as_ref().err().copied());
        answer.suppressed = reason.map(Suppressed::as_str);
        let of_rule = self.compared.iter().filter(|(rule, _)| reason.is_none_or(|reason| reason == *rule));
        answer.compared = of_rule.map(|(_, comparison)| ComparedValues::of(comparison)).collect();
        answer.value = self.answer.as_ref().and_then(|answer| answer.as_ref().ok()).filter(|_| !is_without_record).cloned();
        let graph = table.graph();
        let section = graph.profile(share.profile()).and_then(|profile| profile.section(stream.index));
        let profile = table.profile_in(share.profile());
        let condition = section.and_then(|section| section.condition.as_deref()).map(|condition| format!("when {}", condition.source()));
        let mut equal = |left: String, op, right: String| answer.compared.push(ComparedValues { left, op, right });
        match reason {
            Some(Suppressed::ProfileMissing) => {
                let name = format!("profile {}", profile.map_or("", |profile| profile.name));
                let is_retired = profile.is_some_and(|profile| profile.is_retired);
                equal(name, "=", if is_retired { "retired".to_owned() } else { format!("without a section for {}", stream.name) });
            }
            Some(Suppressed::Filtered) => {
                let is = self.condition_error.map_or("false".to_owned(), |error| format!("no value: {error}"));
                equal(condition.unwrap_or_else(|| "when".to_owned()), "=", is);
            }
            Some(_) => {}
            None => {
                if let Some(condition) = condition {
                    equal(condition, "=", if is_without_record { "unknown without a record".to_owned() } else { "true".to_owned() });
                }
            }
        }
        if let (None, Some((every, t))) = (reason, self.sample) {
            let window = TimestampNs::from_nanos(t.nanos().div_euclid(every.nanos()) * every.nanos());
            let window = window.map_or_else(String::new, |window| window.to_string());
            equal(format!("sample window {window}"), ">", "window of the last one released: unknown here".to_owned());
            answer.unknown.push(format!(
                "the profile's sample lets one record through in each {} of event time: which one was released last is known to the worker \
                 alone, so this one may have been left out (sampled)",
                period(every)
            ));
        }
        if self.is_deleted && reason.is_none() {
            (answer.suppressed, answer.value) = (Some(DELETED), None);
            answer.compared = vec![ComparedValues { left: "value".to_owned(), op: "=", right: "null".to_owned() }];
        }
        if is_without_record && reason.is_none() && section.is_some_and(|section| section.condition.is_some()) {
            answer.unknown.push("the profile's condition depends on the record: without one it is not known".to_owned());
        }
    }
}

/// A period in its largest unit that fits.
fn period(every: Period) -> String {
    let millis = every.millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let unit = units.into_iter().find(|(_, size)| millis > 0 && millis.is_multiple_of(*size));
    unit.map_or_else(|| format!("{millis}ms"), |(unit, size)| format!("{}{unit}", millis / size))
}

impl ComparedValues {
    fn of(comparison: &RuleComparison) -> Self {
        let (left, right) = comparison.sides();
        Self { left, op: comparison.sign.word(), right }
    }
}

/// Hears what a decision says.
#[derive(Debug, Default)]
struct DecisionListener {
    grants: Vec<ConsideredGrant>,
    is_without_record: bool,
}

impl DecisionListener {
    fn of(&self, share: &ShareId) -> Option<&ConsideredGrant> {
        self.grants.iter().find(|grant| grant.share == *share)
    }

    fn append(
        &mut self,
        record: &WholeRecord,
        stream: &Stream,
        graph: &ShareGraph,
        rules: ReleaseRules,
        secret: Option<&[u8]>,
        clock: TimestampMs,
    ) -> Option<Refusal> {
        match Decider::new(rules, secret).append(stream, record.input(), graph, clock, self) {
            Ok(()) => None,
            Err(Stopped::Unreadable(refusal)) => Some(refusal),
            Err(Stopped::Sink(never)) => match never {},
        }
    }

    /// A document is decided about share by share: no event time, no past pause and no sample have a part in it.
    fn document(
        &mut self,
        record: &WholeRecord,
        stream: &Stream,
        graph: &ShareGraph,
        rules: ReleaseRules,
        secret: Option<&[u8]>,
        clock: TimestampMs,
    ) -> Option<Refusal> {
        let input = record.input();
        let outer = match decode::outer_identity(stream, input.key, input.headers) {
            Ok(outer) => outer,
            Err(refusal) => return Some(refusal),
        };
        let mut projector = Projector::new(secret);
        let loading = &mut projector;
        let text = match record.value.as_deref() {
            None => None,
            value => match decode::load(value, &rules.read, move |text| loading.load(text)) {
                Ok(text) => Some(text),
                Err(refusal) => return Some(refusal),
            },
        };
        let identity = outer.complete()?;
        for grant in naming(graph, identity, stream.index) {
            let grant = &grant;
            self.considers(grant);
            let now = decision_time(clock, graph);
            let wanted = wanted_noting(grant, graph, stream.index, now, &mut |rule, comparison| self.compared(rule, comparison));
            let shown = wanted.and_then(|projection| {
                let Some(text) = text else {
                    self.grants.last_mut().into_iter().for_each(|last| last.is_deleted = true);
                    return Ok(Vec::new());
                };
                decide::meets_condition(projection, grant, identity, (text, projector.tape()), |error| {
                    self.condition_failed(grant, error)
                })?;
                let parties = Parties { owner: identity.tenant, target: grant.target.as_str(), target_asset: grant.target_asset.as_str() };
                let mut value = Vec::new();
                let provenance = decide::provenance(grant, graph.epoch(), &rules);
                projector.project(text, projection, &parties, provenance.as_ref(), &mut value);
                Ok(value)
            });
            self.answer(shown);
        }
        None
    }

    fn would_be(&mut self, asked: WouldBeRecord<'_>, stream: &Stream, graph: &ShareGraph, rules: ReleaseRules, clock: TimestampMs) {
        let identity = Identity { tenant: asked.owner, asset: asked.asset };
        let (now, late_grace) = (decision_time(clock, graph), rules.late_grace);
        let is_outside = stream.mapping.tenant.is_outside_value() && stream.mapping.asset.is_outside_value();
        if stream.mode == Mode::Append
            && is_outside
            && !decide::is_worth_reading(stream.index, identity, graph, now, late_grace, &mut |step| match step {
                UnreadStep::Considers(grant) => self.considers(grant),
                UnreadStep::Compared(rule, comparison) => self.compared(rule, comparison),
                UnreadStep::Suppressed(reason, count) => self.suppressed(reason, count),
            })
        {
            return;
        }
        for grant in naming(graph, identity, stream.index) {
            let grant = &grant;
            self.considers(grant);
            let mut compared = |rule, comparison| self.compared(rule, comparison);
            let projection = match stream.mode {
                Mode::Append => release::release(grant, graph, stream.index, asked.time, now, late_grace, &mut compared),
                Mode::Upsert => wanted_noting(grant, graph, stream.index, now, &mut compared),
            };
            if let (Ok(projection), Mode::Append) = (projection, stream.mode)
                && let (Some(every), Some(last)) = (projection.sample, self.grants.last_mut())
            {
                last.sample = Some((every, asked.time));
            }
            self.answer(projection.map(|_| Vec::new()));
        }
    }

    fn answer(&mut self, answer: Result<Vec<u8>, Suppressed>) {
        if let Some(last) = self.grants.last_mut() {
            last.answer = Some(answer);
        }
    }
}

fn naming<'g>(graph: &'g ShareGraph, identity: Identity<'_>, stream: StreamIndex) -> impl Iterator<Item = Grant<'g>> {
    let shares = graph.asset(identity.tenant, identity.asset);
    shares.into_iter().flat_map(AssetShares::grants).filter(move |grant| grant.streams.contains(stream))
}

impl Decisions for DecisionListener {
    type Error = Infallible;

    fn considers(&mut self, grant: &Grant) {
        let share = grant.share.clone();
        self.grants.push(ConsideredGrant {
            share,
            compared: Vec::new(),
            sample: None,
            condition_error: None,
            answer: None,
            is_deleted: false,
        });
    }

    fn compared(&mut self, rule: Suppressed, comparison: RuleComparison) {
        if let Some(last) = self.grants.last_mut() {
            last.compared.push((rule, comparison));
        }
    }

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        self.answer(Ok(release.value.to_vec()));
        Ok(())
    }

    /// Shares without a grant are counted only; they come before the first that is considered, and the table knows them.
    fn suppressed(&mut self, reason: Suppressed, _: u32) {
        if let Some(last) = self.grants.last_mut().filter(|last| last.answer.is_none()) {
            last.answer = Some(Err(reason));
        }
    }

    /// Which record was released last is the worker's to know: this one stands for the first of its period, and that is said.
    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        if let Some(last) = self.grants.last_mut() {
            last.sample = Some((candidate.every, candidate.t));
        }
        true
    }

    fn condition_failed(&mut self, _: &Grant, error: ConditionError) {
        if let Some(last) = self.grants.last_mut() {
            last.condition_error = Some(error);
        }
    }
}
