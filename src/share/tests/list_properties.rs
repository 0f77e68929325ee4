//! What people look at, held against the documents that the fold has written, after any events whatever.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use crate::id::{Offset, TenantId};
use crate::share::event::read_line;
use crate::share::snapshot;
use crate::share::state::{Permission, State};
use crate::share::status::StatusTopic;
use crate::share::table::{Folded, ShareTable};
use crate::share::tests::fold_properties::{kept, origin};
use crate::share::tests::random_log::{LogStep, fold, log, step};
use crate::share::view::dump;
use crate::share::view::list::{ShareFilter, Stats, Viewer, list};

/// What a status topic holds once it is compacted: the last document of each share.
type CompactedTopic = BTreeMap<String, Vec<u8>>;

fn keep(topic: &StatusTopic, folded: &Folded, into: &mut CompactedTopic) {
    let of_topic = folded.documents.iter().filter(|document| document.topic == *topic && !document.key.starts_with("rejected:"));
    into.extend(of_topic.map(|document| (document.key.clone(), document.value.clone())));
}

fn viewers() -> Vec<Viewer> {
    let tenants = ["a", "b", "c", "d"].map(|id| Viewer::Tenant(TenantId::parse(id).unwrap()));
    tenants.into_iter().chain([Viewer::Operator]).collect()
}

/// Folds the log, through a snapshot at `stop`; returns the table and what each viewer's topic holds.
fn happened(steps: &[LogStep], stop: usize) -> (ShareTable, Vec<CompactedTopic>) {
    let (rules, log) = log(steps);
    let mut table = ShareTable::for_documents(rules.clone());
    let (viewers, stop) = (viewers(), stop % log.len());
    let mut topics = vec![CompactedTopic::new(); viewers.len()];
    for (offset, (now, event)) in log.iter().enumerate() {
        if offset == stop {
            table = snapshot::read(&kept(&table), &origin(), ShareTable::for_documents(rules.clone())).unwrap();
        }
        let folded = fold(&mut table, offset, *now, event);
        viewers.iter().zip(&mut topics).for_each(|(viewer, topic)| keep(&viewer.topic(), &folded, topic));
    }
    (table, topics)
}

fn listed(table: &ShareTable, viewer: &Viewer, filter: &ShareFilter) -> Vec<Vec<u8>> {
    list(table, viewer, filter).iter().map(|found| found.share.to_json(found.audience)).collect()
}

fn filter() -> impl Strategy<Value = ShareFilter> {
    let some = |from: &'static [&'static str]| prop::collection::vec(prop::sample::select(from).prop_map(str::to_owned), 0..3);
    let rarely = |from: &'static [&'static str]| prop_oneof![3 => Just(Vec::new()), 1 => some(from)];
    let search = prop::option::weighted(0.3, prop::sample::select(&["x", "T", "b", "i", "l", "zz"][..]).prop_map(str::to_owned));
    let states = prop_oneof![1 => Just(Vec::new()), 1 => prop::sample::subsequence(&State::ALL[..], 1..5)];
    let permissions = prop_oneof![3 => Just(Vec::new()), 1 => prop::sample::subsequence(&Permission::ALL[..], 1..2)];
    let texts = (
        rarely(&["X", "T"]),
        rarely(&["l", "m"]),
        rarely(&["I@x.example"]),
        rarely(&["a", "b"]),
        rarely(&["b", "c"]),
        rarely(&["p", "all", "none"]),
    );
    (search, states, permissions, texts, rarely(&["telemetry", "faults"])).prop_map(|(search, states, permissions, texts, streams)| {
        let (assets, labels, invitees, owners, targets, profiles) = texts;
        ShareFilter { search, shares: Vec::new(), assets, labels, invitees, owners, targets, streams, profiles, states, permissions }
    })
}

/// The filter on the document's text alone.
fn fits(filter: &ShareFilter, document: &Value) -> bool {
    let texts = |names: &[&str]| -> Vec<String> {
        names.iter().filter_map(|name| document.get(*name)).filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let lower = |texts: &[String]| texts.iter().map(|text| text.to_lowercase()).collect::<Vec<_>>();
    let any = |wanted: &[String], found: Vec<String>| wanted.is_empty() || wanted.iter().any(|wanted| found.contains(wanted));
    let streams = document["streams"].as_array().unwrap().iter().map(|stream| stream.as_str().unwrap().to_owned()).collect();
    let states: Vec<String> = filter.states.iter().map(|state| state.word().to_owned()).collect();
    let permissions: Vec<String> = filter.permissions.iter().map(|permission| permission.word().to_owned()).collect();
    let searched = texts(&["asset", "target_asset", "label", "target_tenant", "invitee"]).join("\n").to_lowercase();
    any(&filter.assets, texts(&["asset", "target_asset"]))
        && any(&filter.labels, texts(&["label"]))
        && any(&lower(&filter.invitees), lower(&texts(&["invitee"])))
        && any(&filter.owners, texts(&["owner"]))
        && any(&filter.targets, texts(&["target_tenant"]))
        && any(&filter.profiles, texts(&["profile"]))
        && any(&filter.streams, streams)
        && any(&states, texts(&["state"]))
        && any(&permissions, texts(&["permission"]))
        && filter.search.as_ref().is_none_or(|text| searched.contains(&text.to_lowercase()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases * 3 / 8))]

    /// What a viewer lists is its compacted status topic to the byte, the epoch too, by share id (docs/rules/status.md#who-sees-what).
    #[test]
    fn a_list_is_the_viewer_s_status_topic(steps in prop::collection::vec(step(), 1..140), stop in 0usize..140) {
        let (table, topics) = happened(&steps, stop);
        for (viewer, topic) in viewers().iter().zip(&topics) {
            let found = listed(&table, viewer, &ShareFilter::default());
            let text = |all: Vec<Vec<u8>>| all.into_iter().map(|one| String::from_utf8(one).unwrap()).collect::<Vec<_>>();
            prop_assert_eq!(text(found), text(topic.values().cloned().collect()));
        }
    }

    #[test]
    fn filters_and_counts_are_those_of_the_documents_texts(steps in prop::collection::vec(step(), 1..100), stop in 0usize..100, filters in prop::collection::vec(filter(), 1..12)) {
        let (table, topics) = happened(&steps, stop);
        for (viewer, topic) in viewers().iter().zip(&topics) {
            for filter in &filters {
                let wanted: Vec<_> = topic.values().filter(|value| fits(filter, &serde_json::from_slice(value).unwrap())).cloned().collect();
                prop_assert_eq!(&listed(&table, viewer, filter), &wanted);
                let stats = Stats::of(&table, viewer, filter);
                let count = |words: &[&str]| wanted.iter().filter(|value| {
                    let document: Value = serde_json::from_slice(value).unwrap();
                    words.contains(&document["state"].as_str().unwrap())
                }).count() as u64;
                prop_assert_eq!(stats.total, wanted.len() as u64);
                prop_assert_eq!(stats.accepted, count(&["ACTIVE", "PAUSED"]));
                for (name, counted) in &stats.named()[1..] {
                    if *name != "accepted" {
                        prop_assert_eq!(*counted, count(&[&*name.to_uppercase()]));
                    }
                }
                prop_assert_eq!(stats.named()[1..].iter().map(|(_, count)| count).sum::<u64>(), stats.total);
            }
        }
    }

    /// Replaying a dump equals what happened (docs/rules/cli.md#dumps).
    #[test]
    fn a_dump_folds_to_the_same(steps in prop::collection::vec(step(), 1..140), garbage in prop::collection::vec(any::<u8>(), 0..9), gap in 1i64..3) {
        let (rules, log) = log(&steps);
        let (mut table, mut replayed) = (ShareTable::new(rules.clone()), ShareTable::new(rules));
        for (number, (now, event)) in log.iter().enumerate() {
            let offset = Offset(number as i64 * gap);
            let value: &[u8] = if number % 16 == 5 { &garbage } else { event.as_bytes() };
            let line = dump::line(offset, *now, &[], Some(value));
            let read = read_line(&line).unwrap();
            prop_assert_eq!((read.time, read.offset), (Some(*now), crate::share::event::OffsetAttribute::At(offset)));
            let was = table.fold(offset, *now, crate::share::event::read_record(&[], Some(value)));
            let is = replayed.fold(offset, *now, read.record);
            prop_assert_eq!((was.documents, was.kind, was.touched), (is.documents, if was.kind == "unreadable" { "unreadable" } else { is.kind }, is.touched));
        }
        prop_assert_eq!(kept(&table), kept(&replayed));
    }
}
