//! Both clients of the data plane: what they write of the same input is equal to the byte, and they work in one group.

use std::collections::BTreeMap;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use sharecast::kafka::{TopicReader, TopicSpec};

use super::broker::{Cluster, PATIENCE, shared, unique};
use super::fixture::{World, feeder, noise};
use super::instance::{Instance, await_that};
use super::restart::{INSTANCE, PARTITIONS, TARGET, while_records_flow};

/// A record as a reader gets it, but for its offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Written {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp_ms: i64,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// By partition what was committed, in order.
fn read(cluster: &Cluster, topic: &str) -> BTreeMap<i32, Vec<Written>> {
    let Some(shape) = cluster.admin().topic(topic).unwrap() else { return BTreeMap::new() };
    let mut seen = BTreeMap::<i32, Vec<Written>>::new();
    let mut reader = TopicReader::open_within(&cluster.settings("tests"), topic, 0..shape.partitions, PATIENCE).unwrap();
    let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    reader
        .read_to_end(PATIENCE, |record| {
            seen.entry(record.partition()).or_default().push(Written {
                key: owned(record.key()),
                value: owned(record.value()),
                timestamp_ms: record.timestamp().0,
                headers: record.headers().map(|(name, value)| (name.to_vec(), owned(value))).collect(),
            });
        })
        .unwrap();
    seen
}

/// Two installations on one log and one input: this is what only one of them has.
#[derive(Clone, Copy)]
struct Installation {
    name: &'static str,
    data_plane: &'static str,
}

const BOTH: [Installation; 2] = [Installation { name: "n", data_plane: "native" }, Installation { name: "l", data_plane: "librdkafka" }];

struct Twins<'c> {
    world: World<'c>,
    details: String,
    /// Of the stream of details.
    stream: String,
}

impl Twins<'_> {
    fn prefix(&self, Installation { name, .. }: Installation) -> String {
        format!("{name}-{}", self.world.name)
    }

    fn start(&mut self, of: Installation, codec: &str) -> Instance {
        let (prefix, Installation { name, data_plane }) = (self.prefix(of), of);
        let (input, bootstrap) = (self.world.input.clone(), self.world.cluster.bootstrap.clone());
        let Self { world, details, stream } = self;
        world.set_more(&format!(
            r#"
streams:
  telemetry: {{ topic: {input}, tenant: $.tenant, asset: $.asset, time: $.ts }}
  {stream}:
    mode: upsert
    topic: {details}
    key_format: "{{tenant}}/{{asset}}"
    tenant: key.tenant
    asset: key.asset
    rewrite: {{ tenant: [$.tenant], asset: [$.id] }}
provenance: none
topics: {{ prefix: "{prefix}", status: "status-{prefix}.{{tenant}}.shares" }}
kafka:
  bootstrap: "{bootstrap}"
  group: "{prefix}"
  instance: {name}
  data_plane: {data_plane}
output:
  topic: "out-{prefix}.{{tenant}}.{{stream}}"
  partitions: 3
  compression: {codec}
  headers: [kept, empty, twice]
"#
        ));
        let instance = world.start(name);
        instance.await_ready();
        instance.await_line(&[if data_plane == "native" {
            "transactions are written natively"
        } else {
            "transactions are written by librdkafka"
        }]);
        instance.await_line(&[if data_plane == "native" { "records are read natively" } else { "records are read by librdkafka" }]);
        instance
    }

    /// All that an installation writes and somebody reads, by what is the same in the names of both.
    fn topics(&self, of: Installation) -> BTreeMap<String, String> {
        let prefix = self.prefix(of);
        let tenant = |name: &str| self.world.tenant(name);
        let mut topics = BTreeMap::new();
        for stream in ["telemetry", &self.stream] {
            for target in ["t", "u"] {
                topics.insert(format!("{target}.{stream}"), format!("out-{prefix}.{}.{stream}", tenant(target)));
            }
        }
        for party in ["o", "t", "u"] {
            topics.insert(format!("status of {party}"), format!("status-{prefix}.{}.shares", tenant(party)));
        }
        for own in ["shares", "dead-letters"] {
            topics.insert(own.to_owned(), format!("{prefix}.{own}"));
        }
        topics
    }

    fn written(&self, of: Installation) -> BTreeMap<String, BTreeMap<i32, Vec<Written>>> {
        self.topics(of).into_iter().map(|(name, topic)| (name, read(self.world.cluster, &topic))).collect()
    }

    /// Each kind of record that there is, in three partitions.
    fn feed(&self) -> usize {
        let producer = feeder(self.world.cluster);
        let big = noise(7, 600_000);
        let mut count = 0;
        for number in 0..600_u64 {
            let partition = (number % 3) as i32;
            let pad = match number % 100 {
                0 => big.as_str(),
                1..20 => &big[..(number as usize % 20) * 997],
                _ => "",
            };
            let value = format!(
                r#"{{"tenant":"{}","asset":"a{}","ts":1760000000,"n":{number},"pad":"{pad}"}}"#,
                self.world.tenant("o"),
                number % 2
            );
            let key = format!("k{}-{}", partition, number % 17);
            let mut headers = OwnedHeaders::new();
            if number % 3 == 1 {
                headers = headers
                    .insert(Header { key: "kept", value: Some(number.to_string().as_bytes()) })
                    .insert(Header { key: "not", value: Some(b"x") })
                    .insert(Header { key: "twice", value: Some(b"1") })
                    .insert(Header { key: "empty", value: Some(b"") })
                    .insert(Header { key: "twice", value: None::<&[u8]> });
            }
            // Of all times, out of order; 0 is one that librdkafka has another meaning for.
            let timestamp = [0, 1, 1_760_000_000_000 + number as i64, 1_500_000_000_000, 1_760_000_000_000 - number as i64 * 86_400_000]
                [number as usize % 5];
            let mut record: BaseRecord<'_, [u8], [u8]> =
                BaseRecord::to(&self.world.input).partition(partition).timestamp(timestamp).headers(headers).payload(value.as_bytes());
            match number % 29 {
                // Without a key each client chooses a partition by itself.
                0 => {}
                1 => record = record.key(b""),
                _ => record = record.key(key.as_bytes()),
            }
            match number % 97 {
                // No object, and nothing at all: dead letters.
                50 => record = record.payload(b"no json"),
                51 => record.payload = None,
                _ => count += 1,
            }
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        count
    }

    fn document(&self, asset: &str, text: Option<&str>, timestamp: i64) {
        let producer = feeder(self.world.cluster);
        let key = format!("{}/{asset}", self.world.tenant("o"));
        let value = text.map(|text| format!(r#"{{"tenant":"{}","id":"{asset}","name":"{text}"}}"#, self.world.tenant("o")));
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.details).partition(0).key(key.as_bytes()).timestamp(timestamp);
        record.payload = value.as_deref().map(str::as_bytes);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// Waits until both have written what this says.
    fn await_both(&self, what: &str, is_so: impl Fn(&BTreeMap<String, BTreeMap<i32, Vec<Written>>>) -> bool) {
        await_that(what, || BOTH.iter().all(|installation| is_so(&self.written(*installation))));
    }
}

/// Whether a status document tells that a share is revoked.
fn is_revoked(document: &Written, share: &str) -> bool {
    let value = document.value.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    document.key.as_deref() == Some(share.as_bytes()) && value.contains(r#""state":"REVOKED""#)
}

fn count(written: &BTreeMap<String, BTreeMap<i32, Vec<Written>>>, topic: &str) -> usize {
    written[topic].values().map(Vec::len).sum()
}

/// The partition of the input that a record comes from: of a dead letter it is said, of others the number tells.
fn source(record: &Written) -> Option<i32> {
    let said = record.headers.iter().find(|(name, _)| name == b"__sharecast.errors.partition").and_then(|(_, value)| value.as_deref());
    if let Some(said) = said {
        return std::str::from_utf8(said).ok()?.parse().ok();
    }
    let value = std::str::from_utf8(record.value.as_deref()?).ok()?;
    let number: i32 = value.split(r#""n":"#).nth(1)?.split([',', '}']).next()?.parse().ok()?;
    Some(number % 3)
}

/// Of what its records are in order: partition, key, and where they come from.
type Lane = (Option<i32>, Option<Vec<u8>>, Option<i32>);

/// Those without a key are wherever their client has put them.
fn by_lane(topic: &BTreeMap<i32, Vec<Written>>) -> BTreeMap<Lane, Vec<Written>> {
    let mut found = BTreeMap::<_, Vec<Written>>::new();
    for (partition, written) in topic {
        for record in written {
            let lane = (record.key.as_ref().map(|_| *partition), record.key.clone(), source(record));
            found.entry(lane).or_default().push(record.clone());
        }
    }
    found.iter_mut().filter(|((_, key, _), _)| key.is_none()).for_each(|(_, written)| written.sort());
    found
}

#[test]
fn both_clients_write_the_same_bytes() {
    let cluster = Cluster::start(1);
    for codec in ["none", "lz4", "zstd", "snappy", "gzip"] {
        let world = World::new(&cluster, 3, "");
        let (stream, details) = (unique("d"), format!("details-{}", world.name));
        let config = [("cleanup.policy".to_owned(), "compact".to_owned())].into();
        cluster.admin().create(&[TopicSpec { name: details.clone(), partitions: 1, replication: -1, config }]).unwrap();
        let mut twins = Twins { world, details, stream };
        twins.world.make_control();
        let world = &twins.world;
        for target in ["t", "u"] {
            world.partners("o", target);
            world.share("o", "a0", target);
        }
        let ends = world.share("o", "a1", "t");
        let offer = |asset: &str, key: &str| {
            let share = unique("share");
            let (owner, tenant) = (world.tenant("o"), world.tenant("t"));
            let data = format!(
                r#"{{"share":"{share}","owner":"{owner}","asset":"{asset}","target_tenant":"{tenant}","target_asset":"{key}","streams":["{}"],"profile":"all"}}"#,
                twins.stream
            );
            world.event("/operator", "share.offered", &data);
            share
        };
        let (_, taken_back) = (offer("d1", "k1"), offer("d2", "k2"));
        let instances = BOTH.map(|installation| twins.start(installation, codec));
        let fed = twins.feed();
        twins.document("d1", Some("first"), 1_760_000_000_000);
        twins.document("d2", Some("other"), 1_760_000_000_001);
        let stream = twins.stream.clone();
        let details = format!("t.{stream}");
        twins.await_both("all is written", |written| {
            count(written, "t.telemetry") == fed && count(written, "dead-letters") > 0 && count(written, &details) == 2
        });
        // One after the other, so that neither passes a value over: what stands is promised, and not what stood between.
        twins.document("d1", Some("second"), 1_760_000_000_002);
        twins.await_both("the next document", |written| count(written, &details) == 3);
        twins.document("d1", None, 1_760_000_000_003);
        twins.await_both("the tombstone of one that is gone", |written| count(written, &details) == 4);
        for share in [&taken_back, &ends] {
            twins.world.event(&format!("/tenants/{}", twins.world.tenant("o")), "share.revoked", &format!(r#"{{"share":"{share}"}}"#));
        }
        twins.await_both("the tombstone of one that was taken back", |written| count(written, &details) == 5);
        // What the status writers write is behind the records by nobody's promise.
        twins.await_both("the ends of both shares", |written| {
            let tells = |topic: &str, share: &str| written[topic].values().flatten().any(|record| is_revoked(record, share));
            ["shares", "status of o", "status of t"].iter().all(|topic| tells(topic, &taken_back) && tells(topic, &ends))
        });
        instances.into_iter().for_each(Instance::terminate);
        let [native, librdkafka] = BOTH.map(|installation| twins.written(installation));
        for (topic, by_librdkafka) in &librdkafka {
            let (ours, theirs) = (by_lane(&native[topic]), by_lane(by_librdkafka));
            assert!(ours == theirs, "{codec}, {topic}: {}", first_difference(&ours, &theirs));
            println!("{codec}: {topic}: {} records equal", count(&librdkafka, topic));
        }
        assert!(count(&librdkafka, "dead-letters") >= 10 && count(&librdkafka, "u.telemetry") > 200 && count(&librdkafka, "shares") > 3);
    }
}

fn first_difference<K: Ord + std::fmt::Debug>(ours: &BTreeMap<K, Vec<Written>>, theirs: &BTreeMap<K, Vec<Written>>) -> String {
    let keys: Vec<&K> = ours.keys().chain(theirs.keys()).collect();
    let at = keys.into_iter().find(|key| ours.get(key) != theirs.get(key));
    let shown = |of: &BTreeMap<K, Vec<Written>>| {
        let shown: Vec<String> = of
            .get(at.unwrap())
            .into_iter()
            .flatten()
            .take(4)
            .map(|record| {
                let value = record.value.as_ref().map(|value| String::from_utf8_lossy(&value[..value.len().min(200)]).into_owned());
                format!("{:?} {value:?} {} {:?}", record.key, record.timestamp_ms, record.headers)
            })
            .collect();
        format!("{} records: {}", of.get(at.unwrap()).map_or(0, Vec::len), shown.join("; "))
    };
    at.map_or("nothing".to_owned(), |key| format!("{key:?}: {} here, {} there", shown(ours), shown(theirs)))
}

#[test]
fn engines_of_both_clients_hand_partitions_over_in_one_group() {
    let cluster = shared();
    let mut world = World::new(cluster, PARTITIONS as i32, "");
    let set = |world: &mut World<'_>, data_plane: &str| {
        let more = format!(
            "workers: 2\nkafka:\n  bootstrap: \"{}\"\n  group: group-{}\n  instance: {INSTANCE}\n  data_plane: {data_plane}\n  \
             consumer: {{ session.timeout.ms: 6000, max.poll.interval.ms: 60000 }}\n  producer: {{ transaction.timeout.ms: 5000 }}\n",
            world.cluster.bootstrap, world.name
        );
        world.set_more(&more);
    };
    set(&mut world, "native");
    world.make_control();
    world.make_output(TARGET, &[]);
    world.partners("o", TARGET);
    world.share("o", "a", TARGET);
    // Each is written when it is needed, by its client.
    for (name, data_plane) in [("n1", "native"), ("l1", "librdkafka"), ("n2", "native"), ("l2", "librdkafka"), ("auto", "auto")] {
        set(&mut world, data_plane);
        world.config(name);
    }
    let started = |name: &str| {
        let config = world.config_path(name);
        std::fs::write(&config, std::fs::read_to_string(&config).unwrap().replace(INSTANCE, name)).unwrap();
        let instance = Instance::start(&config);
        instance.await_ready();
        instance
    };
    let last = while_records_flow(&world, |flows| {
        let first = started("n1");
        flows();
        let second = started("l1");
        flows();
        first.terminate();
        flows();
        let third = started("n2");
        flows();
        second.kill();
        flows();
        let fourth = started("l2");
        flows();
        third.kill();
        flows();
        let last = started("auto");
        flows();
        fourth.terminate();
        flows();
        last
    });
    last.terminate();
}
