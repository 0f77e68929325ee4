//! Upsert streams: each target's topic holds exactly the current documents (docs/rules/release.md, docs/rules/exactly-once.md), whatever
//! happens meanwhile.

use std::collections::BTreeMap;

use sharecast::clock::{Clock, SystemClock};
use sharecast::kafka::{Admin, TopicSpec};
use sharecast::time::TimestampMs;

use rdkafka::producer::{BaseRecord, Producer};

use super::broker::{Cluster, PATIENCE, shared, unique};
use super::fixture::{World, feeder};
use super::instance::{Patience, await_that};

/// A world with a stream of details beside its telemetry.
pub(crate) struct Details<'c> {
    pub(crate) world: World<'c>,
    pub(crate) stream: String,
    topic: String,
}

/// What a target's topic holds: the last value of each key, without its provenance.
pub(crate) type Standing = BTreeMap<String, String>;

impl<'c> Details<'c> {
    pub(crate) fn new(cluster: &'c Cluster, partitions: i32, config: &[(&str, &str)], more: &str) -> Self {
        let world = World::new(cluster, 1, "");
        // What is stored is kept by stream, so each world needs a name of its own for it.
        let stream = unique("d");
        let topic = format!("details-{}", world.name);
        let config = config.iter().chain(&[("cleanup.policy", "compact")]).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        cluster.admin().create(&[TopicSpec { name: topic.clone(), partitions, replication: -1, config }]).unwrap();
        let mut details = Self { world, stream, topic };
        details.configure(more);
        details.world.make_control();
        details
    }

    /// Lays more over the configuration of instances to come.
    pub(crate) fn configure(&mut self, more: &str) {
        let Self { world, stream, topic } = self;
        let input = world.input.clone();
        world.set_more(&format!(
            r#"
streams:
  telemetry: {{ topic: {input}, tenant: $.tenant, asset: $.asset, time: $.ts }}
  {stream}:
    mode: upsert
    topic: {topic}
    key_format: "{{tenant}}/{{asset}}"
    tenant: key.tenant
    asset: key.asset
    rewrite: {{ tenant: [$.tenant], asset: [$.id] }}
workers: 2
{more}
"#
        ));
    }

    /// Writes documents to a partition; none is a null value.
    pub(crate) fn feed<'d>(&self, partition: i32, documents: impl IntoIterator<Item = (&'d str, Option<&'d str>)>) {
        let producer = feeder(self.world.cluster);
        for (asset, document) in documents {
            let key = format!("{}/{asset}", self.world.tenant("o"));
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic).partition(partition).key(key.as_bytes());
            record.payload = document.map(str::as_bytes);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// A document of an asset, and what its target gets of it.
    pub(crate) fn document(&self, asset: &str, text: &str) -> String {
        format!(r#"{{"tenant":"{}","id":"{asset}","name":"{text}"}}"#, self.world.tenant("o"))
    }

    pub(crate) fn shown(&self, target: &str, key: &str, text: &str) -> (String, String) {
        (key.to_owned(), format!(r#"{{"tenant":"{}","id":"{key}","name":"{text}"}}"#, self.world.tenant(target)))
    }

    /// Shares an asset's details under this key; returns the share's id.
    pub(crate) fn share(&self, asset: &str, target: &str, key: &str) -> String {
        let share = unique("share");
        let (owner, tenant) = (self.world.tenant("o"), self.world.tenant(target));
        let data = format!(
            r#"{{"share":"{share}","owner":"{owner}","asset":"{asset}","target_tenant":"{tenant}","target_asset":"{key}","streams":["{}"],"profile":"all"}}"#,
            self.stream
        );
        self.world.event("/operator", "share.offered", &data);
        share
    }

    pub(crate) fn act(&self, kind: &str, share: &str, more: &str) {
        self.world.event("/operator", &format!("share.{kind}"), &format!(r#"{{"share":"{share}"{more}}}"#));
    }

    pub(crate) fn output(&self, target: &str) -> String {
        format!("out-{}.{}.{}", self.world.name, self.world.tenant(target), self.stream)
    }

    pub(crate) fn standing(&self, target: &str) -> Standing {
        let topic = self.output(target);
        let mut standing = Standing::new();
        if self.world.cluster.admin().topic(&topic).unwrap().is_none() {
            return standing;
        }
        for seen in self.world.cluster.read(&topic) {
            let key = seen.key.unwrap();
            match seen.value {
                Some(value) => standing.insert(key, strip_payload(&value)),
                None => standing.remove(&key),
            };
        }
        standing
    }

    pub(crate) fn await_standing(&self, target: &str, expected: impl IntoIterator<Item = (String, String)>) {
        let (expected, patience) = (expected.into_iter().collect::<Standing>(), Patience::begin());
        loop {
            let standing = self.standing(target);
            if standing == expected {
                return;
            }
            assert!(!patience.is_over(), "{target} has {standing:#?}\ninstead of {expected:#?}");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

/// A document without its provenance.
fn strip_payload(value: &str) -> String {
    value.split_once(r#","_share""#).map_or(value.to_owned(), |(before, _)| format!("{before}}}"))
}

#[test]
fn a_document_stands_as_long_as_its_share() {
    let details = Details::new(shared(), 2, &[], "");
    details.world.partners("o", "t");
    let one = details.document("a1", "one");
    details.feed(1, [("a1", Some(&*one)), ("a2", Some(&*one))]);
    let engine = details.world.start_ready("a");
    let share = details.share("a1", "t", "k1");
    details.await_standing("t", [details.shown("t", "k1", "one")]);
    let two = details.document("a1", "two");
    details.feed(1, [("a1", Some(&*two))]);
    details.await_standing("t", [details.shown("t", "k1", "two")]);
    details.act("paused", &share, "");
    details.await_standing("t", []);
    details.act("resumed", &share, "");
    details.await_standing("t", [details.shown("t", "k1", "two")]);
    details.act("updated", &share, r#","target_asset":"k2""#);
    details.await_standing("t", [details.shown("t", "k2", "two")]);
    details.feed(1, [("a1", Some("{"))]);
    details.await_standing("t", []);
    details.feed(1, [("a1", Some(&*one))]);
    details.await_standing("t", [details.shown("t", "k2", "one")]);
    details.act("revoked", &share, "");
    details.await_standing("t", []);
    engine.terminate();
}

/// One target key passes from share to share, whose assets lie in different partitions held by different workers.
#[test]
fn a_key_that_is_handed_over_shows_the_document_of_the_share_that_has_it() {
    let details = Details::new(shared(), 4, &[], "");
    details.world.partners("o", "t");
    let documents: Vec<String> = (0..4).map(|n| details.document(&format!("a{n}"), &format!("of {n}"))).collect();
    for (partition, document) in documents.iter().enumerate() {
        details.feed(partition as i32, [(&*format!("a{partition}"), Some(&**document))]);
    }
    let engines = [details.world.start_ready("a"), details.world.start_ready("b")];
    let mut held: Vec<Option<(usize, String)>> = vec![None; 5];
    for round in 0..150 {
        let key = round % held.len();
        let asset = (round * 7 + round / 5) % 4;
        if let Some((_, share)) = held[key].take() {
            details.act("revoked", &share, "");
        }
        held[key] = Some((asset, details.share(&format!("a{asset}"), "t", &format!("k{key}"))));
        if round % 40 == 39 {
            let expected = held.iter().enumerate().map(|(key, share)| {
                let asset = share.as_ref().map_or(0, |(asset, _)| *asset);
                details.shown("t", &format!("k{key}"), &format!("of {asset}"))
            });
            details.await_standing("t", expected);
        }
    }
    let last = held
        .iter()
        .enumerate()
        .map(|(key, share)| details.shown("t", &format!("k{key}"), &format!("of {}", share.as_ref().map_or(0, |(asset, _)| *asset))));
    details.await_standing("t", last);
    engines.into_iter().for_each(super::instance::Instance::terminate);
}

/// What passes while a partition has no owner is made good by the next one.
#[test]
fn a_new_owner_finds_what_has_ended_begun_or_changed() {
    let mut details = Details::new(shared(), 2, &[], "");
    details.world.partners("o", "t");
    let of = |asset: &str, text: &str| details.document(asset, text);
    let first: Vec<(String, String)> = (0..6).map(|n| (format!("a{n}"), of(&format!("a{n}"), "first"))).collect();
    details.feed(0, first.iter().map(|(asset, document)| (&**asset, Some(&**document))));
    let engine = details.world.start_ready("a");
    let shares: Vec<String> = (0..6).map(|n| details.share(&format!("a{n}"), "t", &format!("k{n}"))).collect();
    details.await_standing("t", (0..6).map(|n| details.shown("t", &format!("k{n}"), "first")));
    engine.kill();
    // 0 stays, 1 is revoked, 2 changes, 3 is deleted, 4 cannot be read any more, 5 moves to another key.
    details.act("revoked", &shares[1], "");
    details.act("updated", &shares[5], r#","target_asset":"k5b""#);
    let second = of("a2", "second");
    details.feed(0, [("a2", Some(&*second)), ("a3", None), ("a4", Some("[]")), ("a6", Some(&*second))]);
    let new = details.share("a6", "t", "k6");
    let engine = details.world.start_ready("b");
    let shown = |key: &str, text: &str| details.shown("t", key, text);
    let mut expected = vec![shown("k0", "first"), shown("k2", "second"), shown("k5b", "first")];
    // The document of a6 says that it is a2: only its own members are what the share shows.
    expected.push(("k6".to_owned(), shown("k6", "second").1));
    details.await_standing("t", expected.clone());
    engine.terminate();
    // Another configuration is another document.
    details.configure("provenance: none");
    details.act("revoked", &new, "");
    let engine = details.world.start_ready("a");
    expected.pop();
    details.await_standing("t", expected);
    let values: Vec<String> = details.world.cluster.read(&details.output("t")).into_iter().filter_map(|seen| seen.value).collect();
    assert!(values[values.len() - 3..].iter().all(|value| !value.contains("_share")), "{values:?}");
    engine.terminate();
}

/// A first document waits until every partition has taken back what ended up to the newest change, so engines must agree which that is,
/// wherever they began: after ticks in a snapshot one would wait for what no other has anything to say of.
#[test]
fn a_first_document_comes_where_an_engine_began_from_a_snapshot() {
    let details = Details::new(shared(), 4, &[], "");
    details.world.partners("o", "t");
    let (stays, restarts) = (details.world.start_ready("a"), details.world.start_ready("b"));
    (0..4).for_each(|n| drop(details.share(&format!("a{n}"), "t", &format!("k{n}"))));
    (0..4).for_each(|n| drop(details.share(&format!("b{n}"), "t", &format!("l{n}"))));
    let feed = |partition: i32, asset: &str| details.feed(partition, [(asset, Some(&*details.document(asset, "first")))]);
    (0..4).for_each(|n| feed(n, &format!("a{n}")));
    let mut expected: Vec<_> = (0..4).map(|n| details.shown("t", &format!("k{n}"), "first")).collect();
    details.await_standing("t", expected.clone());
    let control = &details.world.control;
    let ends_with_tick = || details.world.cluster.values(control).last().is_some_and(|event| event.contains("control.tick"));
    await_that("a tick follows the last change", ends_with_tick);
    restarts.terminate();
    let restarts = details.world.start_ready("b");
    restarts.await_line(&["read from the snapshot"]);
    (0..4).for_each(|n| feed(n, &format!("b{n}")));
    expected.extend((0..4).map(|n| details.shown("t", &format!("l{n}"), "first")));
    details.await_standing("t", expected);
    restarts.terminate();
    stays.terminate();
}

/// The input's compaction keeps the newest record of a key, whether it can be read or not (docs/rules/upserts.md#the-current-document).
#[test]
fn what_compaction_has_left_is_what_counts() {
    let compacts = [("segment.ms", "50"), ("min.cleanable.dirty.ratio", "0.001"), ("max.compaction.lag.ms", "100")];
    let details = Details::new(shared(), 1, &compacts, "");
    details.world.partners("o", "t");
    let old: Vec<(String, String)> = (1..=4).map(|n| (format!("a{n}"), details.document(&format!("a{n}"), "old"))).collect();
    details.feed(0, old.iter().map(|(asset, document)| (&**asset, Some(&**document))));
    let engine = details.world.start_ready("a");
    let shares: Vec<String> = (1..=4).map(|n| details.share(&format!("a{n}"), "t", &format!("k{n}"))).collect();
    details.await_standing("t", (1..=4).map(|n| details.shown("t", &format!("k{n}"), "old")));
    engine.kill();
    let new = details.document("a1", "new");
    details.feed(0, [("a1", Some(&*new)), ("a2", Some("{")), ("a3", Some(&*new))]);
    details.act("revoked", &shares[0], "");
    super::instance::await_that("the old records are compacted away", || {
        // A segment that nothing is written to is never closed.
        details.feed(0, [("filler", Some("{}"))]);
        let records = details.world.cluster.read(&details.topic);
        records.iter().filter(|record| record.key.as_deref().is_some_and(|key| key.ends_with("/a1") || key.ends_with("/a2"))).count() == 2
    });
    let engine = details.world.start_ready("a");
    let changed = ("k3".to_owned(), details.shown("t", "k3", "new").1);
    details.await_standing("t", [changed, details.shown("t", "k4", "old")]);
    // The one that was revoked and the one that cannot be read have got their tombstones.
    let tombstones = details.world.cluster.read(&details.output("t")).into_iter().filter(|seen| seen.value.is_none());
    assert_eq!(tombstones.map(|seen| seen.key.unwrap()).collect::<Vec<_>>(), ["k1", "k2"]);
    engine.terminate();
}

/// A key's partition must not change while the topic lives (docs/rules/outputs.md#provisioning): such a topic is a failed route, and the
/// others flow.
#[test]
fn a_topic_with_other_partitions_than_it_was_made_with_is_an_open_route() {
    let details = Details::new(shared(), 1, &[], "");
    for target in ["t", "u"] {
        details.world.partners("o", target);
    }
    let spec = TopicSpec { name: details.output("t"), partitions: 3, replication: -1, config: Default::default() };
    details.world.cluster.admin().create(&[spec]).unwrap();
    let document = details.document("a", "one");
    details.feed(0, [("a", Some(&*document))]);
    let engine = details.world.start_ready("a");
    details.share("a", "t", "k");
    details.share("a", "u", "k");
    details.await_standing("u", [details.shown("u", "k", "one")]);
    engine.await_line(&["route failed", &details.output("t"), "it has 3 partitions"]);
    assert_eq!(details.standing("t"), Standing::new());
    // Made again as it must be, it gets what is stored. The engine may be quicker to make it than anybody sees that it is gone: then the
    // delete waits in vain.
    let (topic, wait) = (details.output("t"), std::time::Duration::from_secs(20));
    let deleted = Admin::open(&details.world.cluster.settings("tests"), wait).unwrap().delete(&[&topic]);
    let is_another = || details.world.cluster.admin().topic(&topic).unwrap().is_none_or(|found| found.partitions != 3);
    await_that(&format!("the topic is gone or another one: {deleted:?}"), is_another);
    details.await_standing("t", [details.shown("t", "k", "one")]);
    engine.terminate();
}

/// Of a topic that is another one under the same name nothing stands, whoever finds it out.
#[test]
fn a_topic_that_was_deleted_is_written_again() {
    let details = Details::new(shared(), 2, &[], "");
    details.world.partners("o", "t");
    let (one, two) = (details.document("a", "one"), details.document("b", "two"));
    details.feed(0, [("a", Some(&*one))]);
    details.feed(1, [("b", Some(&*two))]);
    let mut engine = details.world.start_ready("a");
    details.share("a", "t", "k1");
    details.share("b", "t", "k2");
    let both = || [details.shown("t", "k1", "one"), details.shown("t", "k2", "two")];
    details.await_standing("t", both());
    // While nobody runs.
    engine.terminate();
    details.world.cluster.admin().delete(&[&details.output("t")]).unwrap();
    engine = details.world.start_ready("a");
    details.await_standing("t", both());
    // While it runs: the worker that writes finds it out, and the other one hears of it.
    details.world.cluster.admin().delete(&[&details.output("t")]).unwrap();
    let three = details.document("a", "three");
    details.feed(0, [("a", Some(&*three))]);
    details.await_standing("t", [details.shown("t", "k1", "three"), details.shown("t", "k2", "two")]);
    engine.terminate();
}

/// Who takes a partition over was told nothing of what has happened, and writes the times all the same.
#[test]
fn tombstones_behind_a_takeover_have_the_times_of_their_causes() {
    let details = Details::new(shared(), 1, &[], "");
    details.world.partners("o", "t");
    let names = ["revoked", "left", "lapsed", "paused", "deleted", "stays"];
    let documents: Vec<(String, String)> = names.iter().map(|name| ((*name).to_owned(), details.document(name, "one"))).collect();
    details.feed(0, documents.iter().map(|(asset, document)| (&**asset, Some(&**document))));
    let engine = details.world.start_ready("a");
    let shares: Vec<String> = names.iter().map(|name| details.share(name, "t", name)).collect();
    details.await_standing("t", names.iter().map(|name| details.shown("t", name, "one")));
    engine.kill();

    let source = "/operator";
    let act = |kind: &str, at: usize, more: &str| {
        details.world.event(source, &format!("share.{kind}"), &format!(r#"{{"share":"{}"{more}}}"#, shares[at]))
    };
    // Later than the event is in the log, however slow that is.
    let ends = Clock::wall(&SystemClock).0 + 5_000;
    act("updated", 2, &format!(r#","ends":"{}""#, TimestampMs(ends)));
    let (revoked, left, paused) = (act("revoked", 0, ""), act("left", 1, ""), act("paused", 3, ""));
    let producer = feeder(details.world.cluster);
    let key = format!("{}/deleted", details.world.tenant("o"));
    let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&details.topic).partition(0).key(key.as_bytes()).timestamp(1_760_000_000_123);
    producer.send(record).map_err(|(error, _)| error).unwrap();
    producer.flush(PATIENCE).unwrap();
    super::instance::await_that("the end of a share has passed", || Clock::wall(&SystemClock).0 > ends);

    let engine = details.world.start_ready("b");
    details.await_standing("t", [details.shown("t", "stays", "one")]);
    let control: BTreeMap<i64, i64> =
        details.world.cluster.read(&details.world.control).into_iter().map(|seen| (seen.offset, seen.timestamp_ms)).collect();
    let tombstones: BTreeMap<String, i64> = details
        .world
        .cluster
        .read(&details.output("t"))
        .into_iter()
        .filter(|seen| seen.value.is_none())
        .map(|seen| (seen.key.unwrap(), seen.timestamp_ms))
        .collect();
    let time = |key: &str| tombstones[key];
    assert_eq!((time("revoked"), time("left")), (control[&revoked], control[&left]));
    assert_eq!((time("lapsed"), time("deleted")), (ends, 1_760_000_000_123));
    // Nobody knows when a pause began: the control time of the graph that it was decided by.
    let graphs: Vec<i64> = control.range(paused..).map(|(_, time)| *time).collect();
    assert!(graphs.contains(&time("paused")), "{} is none of {graphs:?}", time("paused"));
    engine.terminate();
}
