//! Upsert streams: each target's topic holds exactly the current documents (sections 7 and 10), whatever happens meanwhile.

use std::collections::BTreeMap;

use sharecast::kafka::TopicSpec;

use rdkafka::producer::{BaseRecord, Producer};

use super::broker::{Cluster, PATIENCE, shared, unique};
use super::instance::Patience;
use super::world::{World, feeder};

/// A world with a stream of details beside its telemetry.
struct Details<'c> {
    world: World<'c>,
    stream: String,
    topic: String,
}

/// What a target's topic holds: the last value of each key, without its provenance.
type Standing = BTreeMap<String, String>;

impl<'c> Details<'c> {
    fn new(cluster: &'c Cluster, partitions: i32, config: &[(&str, &str)], more: &str) -> Self {
        let world = World::new(cluster, 1, "");
        // What stands is kept by stream, so each world needs a name of its own for it.
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
    fn configure(&mut self, more: &str) {
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
    fn feed<'d>(&self, partition: i32, documents: impl IntoIterator<Item = (&'d str, Option<&'d str>)>) {
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
    fn document(&self, asset: &str, text: &str) -> String {
        format!(r#"{{"tenant":"{}","id":"{asset}","name":"{text}"}}"#, self.world.tenant("o"))
    }

    fn shown(&self, target: &str, key: &str, text: &str) -> (String, String) {
        (key.to_owned(), format!(r#"{{"tenant":"{}","id":"{key}","name":"{text}"}}"#, self.world.tenant(target)))
    }

    /// Shares an asset's details under this key; answers the share's id.
    fn share(&self, asset: &str, target: &str, key: &str) -> String {
        let share = unique("share");
        let (owner, tenant) = (self.world.tenant("o"), self.world.tenant(target));
        let data = format!(
            r#"{{"share":"{share}","owner":"{owner}","asset":"{asset}","target_tenant":"{tenant}","target_asset":"{key}","streams":["{}"],"profile":"all"}}"#,
            self.stream
        );
        self.world.event("/operator", "share.offered", &data);
        share
    }

    fn act(&self, kind: &str, share: &str, more: &str) {
        self.world.event("/operator", &format!("share.{kind}"), &format!(r#"{{"share":"{share}"{more}}}"#));
    }

    fn output(&self, target: &str) -> String {
        format!("out-{}.{}.{}", self.world.name, self.world.tenant(target), self.stream)
    }

    fn standing(&self, target: &str) -> Standing {
        let topic = self.output(target);
        let mut standing = Standing::new();
        if self.world.cluster.admin().topic(&topic).unwrap().is_none() {
            return standing;
        }
        for seen in self.world.cluster.read(&topic) {
            let key = seen.key.unwrap();
            match seen.value {
                Some(value) => standing.insert(key, value.split(r#","_share""#).next().unwrap().to_owned() + "}"),
                None => standing.remove(&key),
            };
        }
        standing
    }

    fn await_standing(&self, target: &str, expected: impl IntoIterator<Item = (String, String)>) {
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
