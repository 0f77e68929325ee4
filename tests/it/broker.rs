//! A real cluster for a test process: `scripts/kafka hold` runs it until this process is gone, however it went.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::producer::{BaseRecord, Producer};
use sharecast::config::DataPlane;
use sharecast::kafka::{Admin, KafkaSettings, ReadRecord, TopicReader, TopicSpec};

use super::fixture::feeder;
use super::proxy::Proxy;

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A running cluster.
pub(crate) struct Cluster {
    pub(crate) bootstrap: String,
    admin: OnceLock<Admin>,
    /// Its standard input is the life line: the script stops and cleans when it closes. None for a cluster from outside.
    _script: Option<Child>,
    dir: PathBuf,
}

/// What the nodes said last, where a test fails that has a cluster of its own: it is gone after that.
impl Drop for Cluster {
    fn drop(&mut self) {
        const LINES: usize = 60;
        if !std::thread::panicking() {
            return;
        }
        for node in 1..10 {
            let Ok(said) = std::fs::read_to_string(self.dir.join(format!("node-{node}/out.log"))) else { break };
            let lines: Vec<&str> = said.lines().collect();
            eprintln!("node {node} said last:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"));
        }
    }
}

/// A record as tests compare it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Option<String>,
    pub(crate) value: Option<String>,
}

impl Seen {
    pub(crate) fn of(record: &ReadRecord<'_>) -> Self {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Self {
            partition: record.partition(),
            offset: record.offset().0,
            timestamp_ms: record.timestamp().0,
            key: text(record.key()),
            value: text(record.value()),
        }
    }
}

/// One node, shared by all tests of this process. `SHARECAST_TEST_BOOTSTRAP` names a cluster to use instead.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| match std::env::var("SHARECAST_TEST_BOOTSTRAP") {
        Ok(bootstrap) => Cluster { bootstrap, admin: OnceLock::new(), _script: None, dir: PathBuf::new() },
        Err(_) => Cluster::start(1),
    })
}

/// A name that no other test of any process uses.
pub(crate) fn unique(name: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{name}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// `kafka.data_plane` of all that is tested, where `SHARECAST_TEST_DATA_PLANE` says so.
pub(crate) fn data_plane() -> Option<String> {
    std::env::var("SHARECAST_TEST_DATA_PLANE").ok()
}

fn script() -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka"));
    // A Ctrl-C at the terminal reaches this process alone; the script then ends in order.
    command.process_group(0);
    command
}

/// The first of `count` ports in a row that are free now, below the range that the system gives to clients. No two calls of this
/// process look at the same ones.
pub(crate) fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id() % 300 * 40;
    loop {
        let step = NEXT.fetch_add(u32::from(count), Ordering::Relaxed);
        let base = 20_000 + ((begin + step) % 12_000) as u16;
        if (base..base + count).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return base;
        }
    }
}

/// Another process may take a port between the look at it and the start of the broker.
const TRIES: u32 = 3;

impl Cluster {
    /// A cluster of its own, for tests that break it.
    pub(crate) fn start(nodes: u16) -> Self {
        Self::start_tried(|| Self::start_at(nodes, free_ports(nodes * 2), &[]))
    }

    /// One node that asks who is there, besides at its own address: the users log in by SASL/PLAIN with their names as passwords at the
    /// address that is answered, and may do what ACLs allow.
    pub(crate) fn start_guarded(users: &[&str]) -> (Self, String) {
        Self::start_tried(|| Self::try_start_guarded(users))
    }

    /// One node behind a proxy.
    pub(crate) fn start_proxied() -> (Proxy, Self) {
        Self::start_tried(|| {
            let broker = free_ports(2);
            let proxy = Proxy::start(broker);
            let listeners = format!("advertised.listeners=PLAINTEXT://127.0.0.1:{}", proxy.port);
            let mut cluster = Self::start_at(1, broker, &[listeners])?;
            cluster.bootstrap = format!("127.0.0.1:{}", proxy.port);
            Some((proxy, cluster))
        })
    }

    /// Starts what has a cluster in it, on other ports where it does not start.
    pub(crate) fn start_tried<T>(start: impl Fn() -> Option<T>) -> T {
        (0..TRIES).find_map(|_| start()).expect("scripts/kafka starts a cluster; what failed is said above")
    }

    fn try_start_guarded(users: &[&str]) -> Option<(Self, String)> {
        let port = free_ports(3);
        let (plain, guarded, controller) = (port, port + 2, port + 1);
        let users: String = users.iter().map(|user| format!(" user_{user}=\"{user}\"")).collect();
        let properties = [
            format!("listeners=PLAINTEXT://127.0.0.1:{plain},GUARDED://127.0.0.1:{guarded},CONTROLLER://127.0.0.1:{controller}"),
            format!("advertised.listeners=PLAINTEXT://127.0.0.1:{plain},GUARDED://127.0.0.1:{guarded}"),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            "listener.name.guarded.sasl.enabled.mechanisms=PLAIN".to_owned(),
            format!(
                "listener.name.guarded.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required{users};"
            ),
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
            // The broker itself, and whoever comes by its own address.
            "super.users=User:ANONYMOUS".to_owned(),
        ];
        Some((Self::start_at(1, port, &properties)?, format!("127.0.0.1:{guarded}")))
    }

    /// From this port on, with more properties; none where it does not start.
    pub(crate) fn start_at(nodes: u16, port: u16, properties: &[String]) -> Option<Self> {
        let dir = std::env::temp_dir().join(unique("sharecast-test-kafka"));
        let mut child = script()
            .args(["hold", "--nodes", &nodes.to_string(), "--port", &port.to_string()])
            .args(properties.iter().flat_map(|property| ["--set", property]))
            .arg("--dir")
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("scripts/kafka runs");
        let mut bootstrap = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut bootstrap).unwrap();
        let bootstrap = bootstrap.trim().to_owned();
        (!bootstrap.is_empty()).then_some(Self { bootstrap, admin: OnceLock::new(), _script: Some(child), dir })
    }

    /// `kill`, `stop-node`, `start-node`, `pause` or `cont` of one node.
    #[allow(dead_code, reason = "for tests that break a cluster")]
    pub(crate) fn node(&self, command: &str, node: u16) {
        let status = script().args([command, &node.to_string(), "--dir"]).arg(&self.dir).status().unwrap();
        assert!(status.success(), "scripts/kafka {command} {node}");
    }

    /// Kafka's own jars, as a class path.
    pub(crate) fn jars() -> String {
        let fetched = script().arg("fetch").output().unwrap();
        format!("{}/*", String::from_utf8(fetched.stdout).unwrap().trim())
    }

    /// Where the first node keeps the first segment of a topic's first partition.
    pub(crate) fn first_segment(&self, topic: &str) -> PathBuf {
        self.dir.join(format!("node-1/data/{topic}-0/00000000000000000000.log"))
    }

    pub(crate) fn settings(&self, group: &str) -> KafkaSettings {
        let data_plane = data_plane().map_or(DataPlane::Auto, |word| match word.as_str() {
            "native" => DataPlane::Native,
            "librdkafka" => DataPlane::Librdkafka,
            other => panic!("SHARECAST_TEST_DATA_PLANE={other}"),
        });
        KafkaSettings { bootstrap: self.bootstrap.clone(), group: group.to_owned(), data_plane, ..KafkaSettings::default() }
    }

    pub(crate) fn admin(&self) -> &Admin {
        self.admin.get_or_init(|| Admin::open(&self.settings("tests"), PATIENCE).unwrap())
    }

    /// Makes a topic under a unique name that begins with `name`.
    pub(crate) fn topic(&self, name: &str, partitions: i32, config: &[(&str, &str)]) -> String {
        let name = unique(name);
        let config: BTreeMap<String, String> = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        self.admin().create(&[TopicSpec { name: name.clone(), partitions, replication: -1, config }]).unwrap();
        name
    }

    /// Writes records `(partition, key, value)` with timestamps 1000, 1001, ..., acknowledged when this returns.
    pub(crate) fn produce<'a>(&self, topic: &str, records: impl IntoIterator<Item = (i32, &'a str, &'a str)>) {
        let producer = feeder(self);
        for (index, (partition, key, value)) in records.into_iter().enumerate() {
            let record = BaseRecord::to(topic).partition(partition).key(key).payload(value).timestamp(1000 + index as i64);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// What a read-committed reader sees of a topic up to its end.
    pub(crate) fn read(&self, topic: &str) -> Vec<Seen> {
        let partitions = self.admin().topic(topic).unwrap().expect("the topic is there").partitions;
        let mut seen = Vec::new();
        // A leader may be away for a moment, or the broker that is asked first.
        let mut reader = TopicReader::open_within(&self.settings("tests"), topic, 0..partitions, PATIENCE).unwrap();
        reader.read_to_end(PATIENCE, |record| seen.push(Seen::of(&record))).unwrap();
        seen
    }

    /// The values of `read`, sorted by partition and offset.
    pub(crate) fn values(&self, topic: &str) -> Vec<String> {
        let mut seen = self.read(topic);
        seen.sort_by_key(|record| (record.partition, record.offset));
        seen.into_iter().map(|record| record.value.unwrap_or_else(|| "null".to_owned())).collect()
    }
}
