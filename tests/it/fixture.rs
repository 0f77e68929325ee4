//! A world of its own on a cluster: an input topic, a control topic, tenants, and instances that share it out.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sharecast::kafka::{EventWriter, TopicReader, TopicSpec, control_topic};

use super::broker::{Cluster, PATIENCE, Seen, data_plane, unique};
use super::instance::{ASK_AGAIN, Instance, Patience, await_that, file};

/// The dead letters of all worlds.
pub(crate) const DEAD_LETTERS: &str = "sharecast.dead-letters";

/// Topics, tenants and configuration of one test.
pub(crate) struct World<'c> {
    pub(crate) cluster: &'c Cluster,
    /// Part of every name of this world.
    pub(crate) name: String,
    pub(crate) input: String,
    pub(crate) control: String,
    dir: tempfile::TempDir,
    writer: Mutex<Option<EventWriter>>,
    more: String,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnedDeadLetter {
    pub(crate) reason: String,
    pub(crate) partition: String,
    pub(crate) offset: String,
    pub(crate) message: String,
    pub(crate) value: Option<Vec<u8>>,
}

impl<'c> World<'c> {
    /// A world with so many input partitions. `more` is YAML that is laid over the configuration.
    pub(crate) fn new(cluster: &'c Cluster, partitions: i32, more: &str) -> Self {
        let name = unique("w");
        let input = format!("in-{name}");
        let config = [("max.message.bytes".to_owned(), "10000000".to_owned())].into();
        let spec = TopicSpec { name: input.clone(), partitions, replication: -1, config };
        cluster.admin().create(&[spec]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        Self { cluster, input, control: format!("control-{name}"), dir, writer: Mutex::default(), more: more.to_owned(), name }
    }

    /// Lays other YAML over the configuration of instances to come.
    pub(crate) fn set_more(&mut self, more: &str) {
        self.more = more.to_owned();
    }

    /// From here on this is the control topic.
    pub(crate) fn move_control(&mut self, topic: &str) {
        topic.clone_into(&mut self.control);
        *self.writer.lock().unwrap() = None;
    }

    /// A tenant of this world.
    pub(crate) fn tenant(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// The topic of a tenant.
    pub(crate) fn output(&self, tenant: &str) -> String {
        format!("out-{}.{}.telemetry", self.name, self.tenant(tenant))
    }

    /// The configuration of an instance, which listens on any free port.
    pub(crate) fn config(&self, instance: &str) -> PathBuf {
        let Self { name, input, control, .. } = self;
        let data_plane = data_plane().map_or_else(String::new, |word| format!("data_plane: {word}"));
        let (bootstrap, snapshot) = (&self.cluster.bootstrap, self.dir.path().join(format!("{instance}.snapshot")));
        let base = format!(
            r#"
streams: {{ telemetry: {{ topic: {input}, tenant: $.tenant, asset: $.asset, time: $.ts }} }}
kafka:
  bootstrap: "{bootstrap}"
  group: group-{name}
  instance: {instance}
  {data_plane}
  consumer: {{ session.timeout.ms: 10000, max.poll.interval.ms: 60000 }}
  producer: {{ transaction.timeout.ms: 8000 }}
control: {{ topic: {control} }}
output: {{ topic: "out-{name}.{{tenant}}.{{stream}}" }}
snapshot: {{ path: "{}" }}
http: {{ listen: "127.0.0.1:0" }}
log: {{ format: text }}
"#,
            snapshot.display()
        );
        let base = file(self.dir.path(), &format!("{instance}.yaml"), &base);
        if self.more.is_empty() {
            return base;
        }
        // Later files win, and one file is all that a command takes here: so this one is written whole.
        let merged = merge(&std::fs::read_to_string(&base).unwrap(), &self.more);
        file(self.dir.path(), &format!("{instance}.yaml"), &merged)
    }

    /// Where the configuration of an instance was written.
    pub(crate) fn config_path(&self, instance: &str) -> PathBuf {
        self.dir.path().join(format!("{instance}.yaml"))
    }

    /// Starts an instance.
    pub(crate) fn start(&self, instance: &str) -> Instance {
        Instance::start(&self.config(instance))
    }

    /// Starts an instance and waits until it is ready.
    pub(crate) fn start_ready(&self, instance: &str) -> Instance {
        let instance = self.start(instance);
        instance.await_ready();
        instance
    }

    /// Makes the control topic as docs/rules/events.md#the-control-topic wants it.
    pub(crate) fn make_control(&self) {
        let admin = self.cluster.admin();
        admin.create(&[control_topic(&self.control, admin.brokers().unwrap())]).unwrap();
    }

    /// Makes a tenant's topic, and the engine's own if there are none yet, for a world that provisions nothing itself.
    pub(crate) fn make_output(&self, target: &str, config: &[(&str, &str)]) {
        let spec = |name: String, config: &[(&str, &str)]| {
            let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            TopicSpec { name, partitions: 1, replication: -1, config }
        };
        let own = ["sharecast.shares", "sharecast.state"].map(|name| spec(name.to_owned(), &[("cleanup.policy", "compact")]));
        let letters = spec(DEAD_LETTERS.to_owned(), &[("max.message.bytes", "16777216")]);
        let specs: Vec<TopicSpec> = own.into_iter().chain([letters, spec(self.output(target), config)]).collect();
        self.cluster.admin().create(&specs).unwrap();
    }

    /// Appends bytes to the control topic; returns their offset once they are acknowledged.
    pub(crate) fn control(&self, value: &[u8]) -> i64 {
        let mut writer = self.writer.lock().unwrap();
        let writer = writer.get_or_insert_with(|| EventWriter::open(&self.cluster.settings("tests"), &self.control, PATIENCE).unwrap());
        writer.append(value).unwrap().0
    }

    /// Appends an event.
    pub(crate) fn event(&self, source: &str, kind: &str, data: &str) -> i64 {
        let id = unique("event");
        let event = format!(r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
        self.control(event.as_bytes())
    }

    /// Partners `owner` with `target`, offers accepted by themselves.
    pub(crate) fn partners(&self, owner: &str, target: &str) {
        let (owner, target) = (self.tenant(owner), self.tenant(target));
        self.event("/operator", "partnership.established", &format!(r#"{{"tenants":["{owner}","{target}"],"auto_accept":true}}"#));
    }

    /// Shares everything of `asset` with `target` under the share id that is answered. The two must be partners.
    pub(crate) fn share(&self, owner: &str, asset: &str, target: &str) -> String {
        self.share_with(owner, asset, target, "")
    }

    /// The same with more members of the offer: `,"ends":"…"`.
    pub(crate) fn share_with(&self, owner: &str, asset: &str, target: &str, more: &str) -> String {
        let share = unique("share");
        let (owner, target) = (self.tenant(owner), self.tenant(target));
        let what = format!(r#""share":"{share}","owner":"{owner}","asset":"{asset}","target_tenant":"{target}""#);
        let how = format!(r#""streams":["telemetry"],"profile":"all","history":true{more}"#);
        self.event("/operator", "share.offered", &format!("{{{what},{how}}}"));
        share
    }

    /// A record of `asset` with a number, as telemetry writes it.
    pub(crate) fn record(&self, owner: &str, asset: &str, number: u64) -> String {
        format!(r#"{{"tenant":"{}","asset":"{asset}","ts":1760000000,"n":{number}}}"#, self.tenant(owner))
    }

    /// What the target gets of `record`, up to its provenance.
    pub(crate) fn released(&self, target: &str, asset: &str, number: u64) -> String {
        format!(r#"{{"tenant":"{}","asset":"{asset}","ts":1760000000,"n":{number},"_share":{{"#, self.tenant(target))
    }

    /// Writes values to a partition of the input, acknowledged when this returns.
    pub(crate) fn feed<V: AsRef<[u8]>>(&self, partition: i32, values: impl IntoIterator<Item = V>) {
        self.feed_records(partition, values.into_iter().map(|value| Some(value.as_ref().to_vec())));
    }

    /// The same, null values too.
    pub(crate) fn feed_records(&self, partition: i32, values: impl IntoIterator<Item = Option<Vec<u8>>>) {
        let producer = feeder(self.cluster);
        for value in values {
            let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.input).partition(partition).key(b"k".as_slice());
            record.payload = value.as_deref();
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// Writes a document under a key, acknowledged when this returns; none is a tombstone.
    pub(crate) fn feed_keyed(&self, key: &str, value: Option<&str>) {
        let producer = feeder(self.cluster);
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.input).partition(0).key(key.as_bytes());
        record.payload = value.map(str::as_bytes);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }

    /// Waits until these instances decide by all that the control topic has now. Their views may be a second old, so a record that is
    /// fed right behind an event may be decided without it.
    pub(crate) fn await_decided_by(&self, instances: &[&Instance]) {
        let newest = self.cluster.read(&self.control).last().map(|seen| seen.offset);
        for instance in instances {
            await_that("an instance decides by the newest event", || instance.epoch() >= newest);
        }
    }

    /// Waits until a tenant's topic has `count` records for a read-committed reader; returns all it has then.
    pub(crate) fn await_outputs(&self, target: &str, count: usize) -> Vec<Seen> {
        let topic = self.output(target);
        let patience = Patience::begin();
        loop {
            let is_there = self.cluster.admin().topic(&topic).unwrap().is_some();
            let seen = if is_there { self.read_until(&topic, count, patience) } else { Vec::new() };
            if seen.len() >= count {
                return seen;
            }
            assert!(!patience.is_over(), "{} of {count} records in {topic}", seen.len());
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// What a topic holds once it has `count` records, or when nothing has come for a while: it may be another one under its name by then.
    fn read_until(&self, topic: &str, count: usize, patience: Patience) -> Vec<Seen> {
        let partitions = self.cluster.admin().topic(topic).unwrap().map_or(0, |shape| shape.partitions);
        let Ok(mut reader) = TopicReader::open(&self.cluster.settings("tests"), topic, 0..partitions) else { return Vec::new() };
        let (mut seen, mut silent) = (Vec::new(), 0);
        // As long as records come: a large topic takes long to read where there is much else to do.
        while silent < 40 && !patience.is_over() {
            let before = seen.len();
            if reader.follow(Duration::from_millis(100), |record| seen.push(Seen::of(&record))).is_err() || seen.len() >= count {
                break;
            }
            silent = if seen.len() > before { 0 } else { silent + 1 };
        }
        seen
    }

    /// Waits until this world's input has `count` dead letters; returns them in the order of their topic.
    pub(crate) fn await_letters(&self, count: usize) -> Vec<OwnedDeadLetter> {
        let patience = Patience::begin();
        loop {
            let letters = self.letters();
            if letters.len() >= count {
                return letters;
            }
            assert!(!patience.is_over(), "{} of {count} dead letters: {letters:?}", letters.len());
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// The dead letters of this world's input.
    pub(crate) fn letters(&self) -> Vec<OwnedDeadLetter> {
        let mut letters = Vec::new();
        let mut reader = TopicReader::open_within(&self.cluster.settings("tests"), DEAD_LETTERS, [0], PATIENCE).unwrap();
        let read = reader.read_to_end(PATIENCE, |record| {
            let header = |name: &str| {
                let mut headers = record.headers();
                let found = headers.find(|(key, _)| *key == format!("__sharecast.errors.{name}").as_bytes());
                found.and_then(|(_, value)| Some(String::from_utf8_lossy(value?).into_owned())).unwrap_or_default()
            };
            if header("topic") == self.input {
                letters.push(OwnedDeadLetter {
                    reason: header("reason"),
                    partition: header("partition"),
                    offset: header("offset"),
                    message: header("message"),
                    value: record.value().map(<[u8]>::to_vec),
                });
            }
        });
        read.unwrap();
        letters
    }
}

/// A producer for inputs, one request at a time, in order. It is not idempotent: such a one polls without a pause while more than
/// five records of a partition wait for acknowledgements and others are due, which on two cores starves the brokers that are to
/// acknowledge them. So whoever breaks brokers while it feeds must not use it, for a record sent again may be there twice.
pub(crate) fn feeder(cluster: &Cluster) -> BaseProducer {
    let patience = PATIENCE.as_millis().to_string();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &cluster.bootstrap).set("message.max.bytes", "10000000");
    config.set("enable.idempotence", "false").set("acks", "all").set("max.in.flight.requests.per.connection", "1");
    // A slow answer is no lost one.
    config.set("request.timeout.ms", &patience).set("socket.timeout.ms", &patience);
    config.create().unwrap()
}

/// Lays top-level keys over others: a key of `more` takes the place of its namesake.
fn merge(base: &str, more: &str) -> String {
    let is_key = |line: &str| line.starts_with(|first: char| first.is_ascii_lowercase());
    let key = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let taken: Vec<String> = more.lines().filter(|line| is_key(line)).map(key).collect();
    let mut is_kept = true;
    let mut text = String::new();
    for line in base.lines() {
        if is_key(line) {
            is_kept = !taken.contains(&key(line));
        }
        if is_kept {
            text.push_str(line);
            text.push('\n');
        }
    }
    text + more
}

/// The number of a record or output.
pub(crate) fn number_of(value: &str) -> u64 {
    let rest = value.split(r#""n":"#).nth(1).expect("a number");
    rest.split([',', '}']).next().unwrap().parse().expect("a number")
}

/// The epoch in an output's provenance.
pub(crate) fn epoch_of(value: &str) -> i64 {
    let rest = value.rsplit(r#""epoch":"#).next().unwrap();
    rest.trim_end_matches('}').parse().expect("an epoch")
}

/// Bytes that do not compress.
pub(crate) fn noise(seed: u64, len: usize) -> String {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'a' + (state >> 33) as u8 % 26)
    };
    (0..len).map(next).collect()
}
