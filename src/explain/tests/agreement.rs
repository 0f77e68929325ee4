//! An explanation against the decision, on random worlds: the same releases, reasons and dead letters, and of each release the members
//! that really left.

use std::collections::BTreeMap;
use std::convert::Infallible;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{ExplainedWorld, minute, record, rules, streams, time};
use crate::decide::{Decider, Decisions, Release, SampleCandidate, Stopped};
use crate::explain::Explanation;
use crate::explain::members::MemberOutcome;
use crate::profile::condition::ConditionError;
use crate::release::Suppressed;
use crate::share::graph::Grant;

/// What a decision does, as `run` counts it.
#[derive(Default)]
struct CountedDecisions {
    released: BTreeMap<String, Vec<u8>>,
    suppressed: BTreeMap<&'static str, u32>,
}

impl Decisions for CountedDecisions {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        self.released.insert(release.grant.share.to_string(), release.value.to_vec());
        Ok(())
    }

    fn suppressed(&mut self, reason: Suppressed, count: u32) {
        *self.suppressed.entry(reason.as_str()).or_default() += count;
    }

    fn passes_sample(&mut self, _: SampleCandidate<'_>) -> bool {
        true
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
}

/// An event of a share's life, by numbers.
type LifeStep = (i64, usize, usize);

fn live(world: &mut ExplainedWorld, shares: usize, steps: &[LifeStep]) {
    let mut now = 0;
    for (minutes, kind, share) in steps {
        now += minutes;
        let share = json!({"share": format!("s{}", share % shares)});
        let (source, kind) = [
            ("/tenants/acme", "share.accepted"),
            ("/tenants/acme", "share.accepted"),
            ("/tenants/acme", "share.accepted"),
            ("/tenants/nw", "share.paused"),
            ("/tenants/nw", "share.resumed"),
            ("/tenants/nw", "share.revoked"),
            ("/tenants/acme", "share.declined"),
            ("/sharecast", "share.expired"),
            ("/operator", "tenant.updated"),
            ("/operator", "tenant.updated"),
            ("/tenants/nw", "profile.retired"),
        ][kind % 11];
        let data = match kind {
            "share.expired" => json!({"share": share["share"], "cause": "access"}),
            "tenant.updated" => json!({"tenant": "acme", "suspended": minutes % 2 == 0}),
            "profile.retired" => json!({"profile": "p"}),
            _ => share,
        };
        world.send(now, source, kind, &data);
    }
}

const PATHS: [&str; 12] =
    ["$", "$.a", "$.b", "$.b.c", "$.b.*", "$.l", "$.l[*].k", "$.l[?@.n=='x']", "$.l[?@.n=='x'].k", "$.ts", "$.b.d", "$.tenant"];

fn section(choice: &[usize]) -> Value {
    let path = |at: usize| PATHS[choice[at] % PATHS.len()];
    let action = match choice[7] % 7 {
        0 => json!({"path": "$.b.c", "round": 1}),
        1 => json!({"path": "$.b", "mask": "redact"}),
        2 => json!({"path": "$.a", "mask": "hash"}),
        3 => json!({"path": "$.l[*].n", "round": 1}),
        4 => json!({"path": "$.b", "rename": "location"}),
        5 => json!({"path": "$.l[*].k", "rename": "key"}),
        _ => json!({"path": "$.a", "rename": "b"}),
    };
    let mut section = json!({"include": [path(0), path(1), path(2)], "exclude": [path(3)], "transform": [action]});
    if choice[4].is_multiple_of(3) {
        section["exclude"] = json!([]);
    }
    if choice[5].is_multiple_of(4) {
        section["when"] = json!(["record.a > 1000", "record.a < 1000", "record.nowhere"][choice[6] % 3]);
    }
    section
}

fn value(choice: &[usize], t: i64) -> String {
    let whole = format!(
        r#"{{"tenant":"nw","asset":"X","ts":"{}","a":1001.27,"b":{{"c":1002.27,"d":[1003.27,{{}}],"e":{{}}}},"l":[{{"n":"x","k":1004.27}},{{"n":"y","k":1005.27,"id":"I"}}],"_share":7,"id":"I7"}}"#,
        time(t)
    );
    match choice[0] % 12 {
        0 => whole.replace(r#""asset":"X","#, ""),
        1 => whole.replace(&time(t), "noon"),
        2 => whole[..whole.len() - 1].to_owned(),
        3 => "[]".to_owned(),
        _ => whole,
    }
}

/// Every scalar of a JSON text, as it is written, with its count.
fn scalars(node: &Value, found: &mut BTreeMap<String, usize>) {
    match node {
        Value::Array(items) => items.iter().for_each(|item| scalars(item, found)),
        Value::Object(members) => members.values().for_each(|member| scalars(member, found)),
        scalar => *found.entry(scalar.to_string()).or_default() += 1,
    }
}

/// The scalar at a path of an explanation.
fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    let pointer = path.trim_start_matches('$').replace('[', "/").replace(']', "").replace('.', "/");
    value.pointer(&pointer).unwrap_or_else(|| panic!("{path} in {value}"))
}

/// Holds the members that an explanation names against what really left.
fn check_members(input: &str, explanation: &Explanation) {
    let input: Value = serde_json::from_str(input).unwrap();
    for share in explanation.shares.iter().filter(|share| share.suppressed.is_none()) {
        let mut output: Value = serde_json::from_slice(share.value.as_ref().unwrap()).unwrap();
        output.as_object_mut().unwrap().remove("_share");
        let (mut left, mut leaves) = (BTreeMap::new(), 0);
        scalars(&output, &mut left);
        let mut kept = BTreeMap::new();
        for member in &share.members {
            let was = at(&input, &member.path);
            let is_scalar = !was.is_object() && !was.is_array();
            match member.outcome {
                MemberOutcome::Kept => {
                    scalars(was, &mut kept);
                    leaves += usize::from(is_scalar);
                }
                // What is renamed as a whole is told of what is inside it, too.
                MemberOutcome::Changed => {
                    let is_renamed = member.action.as_deref() == Some("rename");
                    leaves += usize::from(is_scalar || !is_renamed);
                    if is_renamed && is_scalar {
                        scalars(was, &mut kept);
                    }
                }
                MemberOutcome::Withheld => {
                    let mut gone = BTreeMap::new();
                    scalars(was, &mut gone);
                    for scalar in gone.keys().filter(|scalar| scalar.contains(".27")) {
                        assert!(!left.contains_key(scalar), "{} is withheld, and {scalar} left: {output}", member.path);
                    }
                }
            }
        }
        for scalar in kept.keys() {
            assert!(left.contains_key(scalar), "{scalar} is kept and did not leave: {output}, {:?}", share.members);
        }
        assert_eq!(left.values().sum::<usize>(), leaves, "{output}, {:?}", share.members);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn an_explanation_says_what_the_decision_does(
        steps in prop::collection::vec((0i64..4, 0usize..11, 0usize..5), 0..14),
        choice in prop::collection::vec(0usize..60, 8),
        windows in prop::collection::vec((0usize..4, 0i64..30), 5),
        (stream, shape, t, at) in (0usize..2, 0usize..60, 0i64..40, 0i64..44),
    ) {
        let mut world = ExplainedWorld::new();
        world.publish(&json!({"telemetry": section(&choice), "alarms": section(&choice[..8])}), None);
        for (index, (kind, at)) in windows.iter().enumerate() {
            let more = match kind {
                0 => json!({"history": true}),
                1 => json!({"ends": time(at + 1)}),
                2 => json!({"starts": time(*at), "profile": "all"}),
                _ => json!({"streams": ["alarms"]}),
            };
            world.share(&format!("s{index}"), &more);
        }
        live(&mut world, windows.len(), &steps);
        let text = value(&[shape], t);
        let (record, stream_of) = (record(&text), &streams()[stream]);
        let mut counted = CountedDecisions::default();
        let dead = match Decider::new(rules(), Some(b"secret")).append(stream_of, record.input(), &world.table.graph(), minute(at), &mut counted) {
            Ok(()) => None,
            Err(Stopped::Unreadable(refusal)) => Some(refusal.reason),
            Err(Stopped::Sink(never)) => match never {},
        };
        let explanation = world.explain(stream, &record, at);
        prop_assert_eq!(explanation.dead.map(|refusal| refusal.reason), dead);
        let (mut released, mut suppressed) = (BTreeMap::new(), BTreeMap::new());
        for share in &explanation.shares {
            prop_assert!(!share.compared.is_empty(), "{:?}", share);
            match share.suppressed {
                None => drop(released.insert(share.share.clone(), share.value.clone().unwrap())),
                Some(reason) => *suppressed.entry(reason).or_default() += 1,
            }
        }
        prop_assert_eq!(&released, &counted.released);
        prop_assert_eq!(&suppressed, &counted.suppressed);
        let order: Vec<&String> = explanation.shares.iter().map(|share| &share.share).collect();
        prop_assert!(order.is_sorted());
        if dead.is_none() && serde_json::from_str::<Value>(&text).is_ok() {
            check_members(&text, &explanation);
        }
        let _: Value = serde_json::from_slice(&explanation.to_json()).unwrap();
    }
}
