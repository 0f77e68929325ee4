//! What `run` would make of one record, for the share that an offer would make.
//!
//! Nothing is decided here. The share stands in a graph of its own, accepted, and the engine's decision is made by that.

use std::convert::Infallible;
use std::sync::Arc;

use crate::decide::{Decider, Decisions, Release, ReleaseRules, SampleCandidate, Stopped};
use crate::explain::record::{WholeRecord, whose};
use crate::id::{AssetId, Epoch, Label, ShareId, StreamSet, TenantId};
use crate::json::tape::Tape;
use crate::profile::compile::Profile;
use crate::profile::condition::ConditionError;
use crate::profile::parties::Parties;
use crate::profile::project::Projector;
use crate::record::dead_letter::Refusal;
use crate::record::decode;
use crate::record::decode::Identity;
use crate::record::mapping::{Mode, Stream};
use crate::release::{Suppressed, decision_time, meets_condition};
use crate::share::graph::{Grant, ProfileSlot, ShareGraph};
use crate::share::lifecycle::record::{Share, TenantNumber};
use crate::share::state::{Permission, State};
use crate::sink_state::wanted;
use crate::time::{TimestampMs, TimestampNs};

/// The share that an offer would make, accepted.
#[derive(Debug, Clone)]
pub struct WouldBe {
    /// Whose asset it is.
    pub owner: TenantId,
    /// The asset, in its owner's words.
    pub asset: AssetId,
    /// Of an invitation a stand-in.
    pub target: TenantId,
    /// The asset, in the target's words.
    pub target_asset: AssetId,
    /// The streams.
    pub streams: StreamSet,
    /// The profile.
    pub profile: Arc<Profile>,
    /// What the target may do.
    pub permission: Permission,
    /// A name shown to the target.
    pub label: Option<Label>,
    /// When access begins.
    pub starts: Option<TimestampNs>,
    /// When access ends.
    pub ends: Option<TimestampNs>,
    /// The control time of the shares as they are.
    pub control_time: TimestampMs,
}

/// What `run` would make of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It leaves.
    Leaves(Projected),
    /// It leaves within the share's window alone.
    OutsideWindow(Projected),
    /// It is set aside.
    DeadLetter(Refusal),
    /// It is not of the asset: the share has no part in it.
    Foreign {
        /// Whose asset it is of.
        owner: String,
        /// That asset.
        asset: String,
    },
    /// The profile has nothing of the stream.
    NotInProfile,
    /// The profile's condition is not true of it; why, where it has no value.
    Filtered(Option<ConditionError>),
}

/// What the target gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projected {
    /// The record.
    pub value: Vec<u8>,
    /// Its Kafka timestamp.
    pub timestamp: TimestampMs,
}

impl WouldBe {
    /// Decides as `run` does at `clock`. Provenance is left out: there is no share yet to be named.
    pub fn decide(&self, record: &WholeRecord, stream: &Stream, rules: ReleaseRules, secret: Option<&[u8]>, clock: TimestampMs) -> Verdict {
        let rules = ReleaseRules { shows_provenance: false, ..rules };
        let asked = |share: &Self| match stream.mode {
            Mode::Append => share.append(record, stream, rules, secret, clock),
            Mode::Upsert => share.document(record, stream, rules, secret, clock),
        };
        match asked(self) {
            Ok(WantedRecord::Projected(projected)) => Verdict::Leaves(projected),
            Ok(WantedRecord::Filtered(error)) => Verdict::Filtered(error),
            Err(refusal) => Verdict::DeadLetter(refusal),
            Ok(WantedRecord::OfAnother) => match whose(record, stream, &rules.read, &mut Tape::default()) {
                Ok((owner, asset)) => Verdict::Foreign { owner, asset },
                Err(refusal) => Verdict::DeadLetter(refusal),
            },
            Ok(WantedRecord::Withheld) => match asked(&Self { starts: None, ends: None, ..self.clone() }) {
                Ok(WantedRecord::Projected(projected)) => Verdict::OutsideWindow(projected),
                Ok(WantedRecord::Filtered(error)) => Verdict::Filtered(error),
                Ok(WantedRecord::Withheld | WantedRecord::OfAnother) => Verdict::NotInProfile,
                Err(refusal) => Verdict::DeadLetter(refusal),
            },
        }
    }

    fn append(
        &self,
        record: &WholeRecord,
        stream: &Stream,
        rules: ReleaseRules,
        secret: Option<&[u8]>,
        clock: TimestampMs,
    ) -> Result<WantedRecord, Refusal> {
        let mut taken = TakenGrant(WantedRecord::OfAnother);
        match Decider::new(rules, secret).append(stream, record.input(), &self.graph(), clock, &mut taken) {
            Ok(()) => Ok(taken.0),
            Err(Stopped::Unreadable(refusal)) => Err(refusal),
            Err(Stopped::Sink(never)) => match never {},
        }
    }

    /// Upsert streams look at no event time, and a document shows as long as the share is in force.
    fn document(
        &self,
        record: &WholeRecord,
        stream: &Stream,
        rules: ReleaseRules,
        secret: Option<&[u8]>,
        clock: TimestampMs,
    ) -> Result<WantedRecord, Refusal> {
        let input = record.input();
        let outer = decode::outer_identity(stream, input.key, input.headers)?;
        if outer.complete() != Some(Identity { tenant: self.owner.as_str(), asset: self.asset.as_str() }) {
            return Ok(WantedRecord::OfAnother);
        }
        let mut projector = Projector::new(secret);
        let loading = &mut projector;
        let text = decode::load(input.value, &rules.read, move |text| loading.load(text))?;
        let graph = self.graph();
        let identity = Identity { tenant: self.owner.as_str(), asset: self.asset.as_str() };
        let grant = graph.asset(identity.tenant, identity.asset).and_then(|shares| shares.grant("preview"));
        let now = decision_time(clock, &graph);
        let Some((grant, projection)) = grant.and_then(|grant| Some((grant, wanted(&grant, &graph, stream.index, now)?))) else {
            return Ok(WantedRecord::Withheld);
        };
        match meets_condition(projection, &grant, identity, text, projector.tape()) {
            Ok(true) => {}
            Ok(false) => return Ok(WantedRecord::Filtered(None)),
            Err(error) => return Ok(WantedRecord::Filtered(Some(error))),
        }
        let (owner, target, target_asset) = (self.owner.as_str(), self.target.as_str(), self.target_asset.as_str());
        let mut value = Vec::new();
        projector.project(text, projection, &Parties { owner, target, target_asset }, None, &mut value);
        Ok(WantedRecord::Projected(Projected { value, timestamp: record.timestamp }))
    }

    /// The share alone, its profile in the place of the built-in one.
    fn graph(&self) -> ShareGraph {
        let id = ShareId::parse("preview").unwrap_or_else(|_| unreachable!("it is a share id"));
        // Nobody has accepted it: the record was there before the share, and stands for those that will come.
        let mut share = Share::new(id, TenantNumber(0), State::Active, self.control_time);
        share.set_target(Some(TenantNumber(1)));
        share.target_asset = Some(self.target_asset.clone());
        share.profile = ProfileSlot::ALL;
        share.set_permission(self.permission);
        share.set_starts(self.starts);
        share.set_ends(self.ends);
        share.set_label(self.label.as_deref());
        let mut graph = ShareGraph::of_one(Arc::clone(&self.profile), [&self.owner, &self.target], &self.asset, self.streams, share);
        graph.epoch = Epoch(0);
        graph.control_time = self.control_time;
        graph
    }
}

/// What the share has to do with a record.
#[derive(Debug)]
enum WantedRecord {
    Projected(Projected),
    Withheld,
    Filtered(Option<ConditionError>),
    OfAnother,
}

/// Takes the one decision.
struct TakenGrant(WantedRecord);

impl Decisions for TakenGrant {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        self.0 = WantedRecord::Projected(Projected { value: release.value.to_vec(), timestamp: release.timestamp });
        Ok(())
    }

    fn suppressed(&mut self, reason: Suppressed, _: u32) {
        self.0 = match (reason, std::mem::replace(&mut self.0, WantedRecord::Withheld)) {
            (Suppressed::Filtered, WantedRecord::Filtered(error)) => WantedRecord::Filtered(error),
            (Suppressed::Filtered, _) => WantedRecord::Filtered(None),
            _ => WantedRecord::Withheld,
        };
    }

    /// It stands for the first of its period.
    fn passes_sample(&mut self, _: SampleCandidate<'_>) -> bool {
        true
    }

    fn condition_failed(&mut self, _: &Grant, error: ConditionError) {
        self.0 = WantedRecord::Filtered(Some(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, ConfigEnv};
    use crate::record::dead_letter::DeadLetterReason;

    const CONFIG: &str = r"
streams:
  telemetry: { mode: append, topic: raw, tenant: $.t, asset: $.a, time: $.ts }
  details: { mode: upsert, topic: docs, tenant: key.tenant, asset: key.asset, key_format: '{tenant}/{asset}' }
max_record_bytes: 200
";
    const CLOCK: TimestampMs = TimestampMs(1_800_000_000_000);

    fn config() -> Config {
        Config::load(&[("c.yaml", CONFIG)], &ConfigEnv::none()).unwrap()
    }

    fn share(config: &Config) -> WouldBe {
        WouldBe {
            owner: TenantId::parse("nw").unwrap(),
            asset: AssetId::parse("X").unwrap(),
            target: TenantId::parse("acme").unwrap(),
            target_asset: AssetId::parse("mine").unwrap(),
            streams: config.streams.iter().fold(StreamSet::default(), |set, stream| set.with(stream.index)),
            profile: Arc::new(Profile::all(&config.streams)),
            permission: Permission::View,
            label: None,
            starts: None,
            ends: None,
            control_time: TimestampMs(0),
        }
    }

    fn decide(config: &Config, share: &WouldBe, stream: &str, value: &str) -> Verdict {
        let stream = config.stream(stream).unwrap();
        let record = WholeRecord::of_value(value.as_bytes().to_vec(), stream, "nw", "X", CLOCK);
        share.decide(&record, stream, config.release_rules(), None, CLOCK)
    }

    fn leaves(verdict: Verdict) -> String {
        match verdict {
            Verdict::Leaves(projected) => String::from_utf8(projected.value).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_record_leaves_as_run_projects_it() {
        let config = config();
        let value = leaves(decide(&config, &share(&config), "telemetry", r#"{"t":"nw","a":"X","ts":1700000000,"n":1}"#));
        assert_eq!(value, r#"{"t":"acme","a":"mine","ts":1700000000,"n":1}"#);
        // Of a document given by hand the key is the asset's.
        assert_eq!(leaves(decide(&config, &share(&config), "details", r#"{"n":1}"#)), r#"{"n":1}"#);
    }

    /// In the order in which `run` finds them.
    #[test]
    fn what_run_makes_a_dead_letter_leaves_for_nobody() {
        let config = config();
        let long = format!(r#"{{"t":"nw","a":"X","ts":1,"n":"{}"}}"#, "x".repeat(200));
        for (stream, value, reason) in [
            ("telemetry", r#"{"t":"nw","a":"X","ts":"yesterday"}"#, DeadLetterReason::InvalidTime),
            ("telemetry", r#"{"t":"nw","a":"X"}"#, DeadLetterReason::MissingTime),
            ("telemetry", r#"{"t":"nw","a":"X","ts":2800000000}"#, DeadLetterReason::FutureTime),
            ("telemetry", r#"{"t":"nw","a":7,"ts":1}"#, DeadLetterReason::InvalidId),
            ("telemetry", r#"{"a":"X","ts":1}"#, DeadLetterReason::MissingTenant),
            ("telemetry", r#"{"t":"nw","ts":1}"#, DeadLetterReason::MissingAsset),
            ("telemetry", r#"{"t":"nw","t":"nw","a":"X","ts":1}"#, DeadLetterReason::DuplicateIdentity),
            ("telemetry", "[]", DeadLetterReason::NotAnObject),
            ("telemetry", "\u{feff}{}", DeadLetterReason::InvalidJson),
            ("telemetry", &long, DeadLetterReason::TooLarge),
            ("details", "{", DeadLetterReason::InvalidJson),
            ("details", &long, DeadLetterReason::TooLarge),
        ] {
            match decide(&config, &share(&config), stream, value) {
                Verdict::DeadLetter(refusal) => assert_eq!(refusal.reason, reason, "{stream} {value}"),
                other => panic!("{stream} {value}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_record_of_another_machine_is_not_shown_as_leaving() {
        let config = config();
        for (owner, asset) in [("nw", "Y"), ("acme", "X")] {
            let verdict = decide(&config, &share(&config), "telemetry", &format!(r#"{{"t":"{owner}","a":"{asset}","ts":1}}"#));
            assert_eq!(verdict, Verdict::Foreign { owner: owner.to_owned(), asset: asset.to_owned() });
        }
        let details = config.stream("details").unwrap();
        let record = WholeRecord::of_value(b"{}".to_vec(), details, "nw", "Y", CLOCK);
        let verdict = share(&config).decide(&record, details, config.release_rules(), None, CLOCK);
        assert_eq!(verdict, Verdict::Foreign { owner: "nw".to_owned(), asset: "Y".to_owned() });
    }

    #[test]
    fn a_record_that_the_condition_withholds_is_shown_as_that() {
        let config = config();
        let spec = r#"{"telemetry":{"include":["$"],"when":"record.n > 1 && share.label == 'Digger' && share.permission == 'edit'",
            "sample":{"every":"1h"}},"details":{"include":["$"],"when":"record.n > 1"}}"#;
        let spec = crate::profile::spec::ProfileSpec::read(&crate::json::document::parse(spec.as_bytes()).unwrap()).unwrap();
        let profile = Arc::new(Profile::compile(&spec, &config.streams));
        let share = WouldBe { profile, permission: Permission::Edit, label: Some("Digger".into()), ..share(&config) };
        let over = WouldBe { ends: Some(TimestampMs(1).moment()), ..share.clone() };
        for (stream, n, expected) in [
            ("telemetry", "2", None),
            ("telemetry", "1", Some(Verdict::Filtered(None))),
            ("telemetry", "null", Some(Verdict::Filtered(Some(ConditionError::Types)))),
            ("details", "2", None),
            ("details", "1", Some(Verdict::Filtered(None))),
            ("details", "null", Some(Verdict::Filtered(Some(ConditionError::Types)))),
        ] {
            let value = format!(r#"{{"t":"nw","a":"X","ts":1700000000,"n":{n}}}"#);
            let verdicts = [decide(&config, &share, stream, &value), decide(&config, &over, stream, &value)];
            match (expected, verdicts) {
                (Some(expected), verdicts) => assert_eq!(verdicts, [expected.clone(), expected], "{stream} {n}"),
                (None, [Verdict::Leaves(_), Verdict::OutsideWindow(_)]) => {}
                (None, other) => panic!("{stream} {n}: {other:?}"),
            }
        }
    }

    #[test]
    fn outside_its_window_a_share_shows_what_it_would_release_within() {
        let config = config();
        let later = Some(TimestampMs(CLOCK.0 + 1).moment());
        let earlier = Some(TimestampMs(1).moment());
        for (starts, ends) in [(later, None), (None, earlier)] {
            let share = WouldBe { starts, ends, ..share(&config) };
            for (stream, value) in [("telemetry", r#"{"t":"nw","a":"X","ts":1700000000}"#), ("details", "{}")] {
                assert!(matches!(decide(&config, &share, stream, value), Verdict::OutsideWindow(_)), "{stream}");
            }
            // It is looked at all the same.
            let verdict = decide(&config, &share, "telemetry", r#"{"t":"nw","a":"X","ts":true}"#);
            assert!(matches!(verdict, Verdict::DeadLetter(refusal) if refusal.reason == DeadLetterReason::InvalidTime), "{starts:?}");
        }
    }
}
