//! Records that are fetched natively: whoever wrote them, and whatever becomes of their leaders, their topic and the answers.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use sharecast::config::DataPlane;
use sharecast::id::{Offset, StreamIndex};
use sharecast::kafka::{DataProducer, InputTopic, KafkaConsumer, KafkaSettings, TopicSpec};
use sharecast::time::TimestampMs;
use sharecast::transport::{AssignmentChange, Batch, ConsumeError, GroupConsumer, Output, SourcePartition, TransactionalProducer};

use super::{native, output, proxied};
use crate::broker::{Cluster, PATIENCE, free_ports, shared, unique};
use crate::instance::{Patience, await_that};
use crate::proxy::{Fate, Rule, api};

const TICK: Duration = Duration::from_millis(50);

/// A record as a member gets it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Got {
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// The only member of its group. Whatever it gets back after it was put out is read on from where it was.
pub(super) struct Reader {
    consumer: KafkaConsumer,
    batch: Batch,
    changes: Vec<AssignmentChange>,
}

impl Reader {
    /// Reads all partitions from their first offsets on.
    pub(super) fn start(settings: &KafkaSettings, topic: &str, partitions: usize) -> Self {
        let sources = [InputTopic { stream: StreamIndex(0), topic: topic.to_owned() }];
        let consumer = KafkaConsumer::join_data_plane(settings, &settings.group, &sources, PATIENCE).unwrap();
        assert_eq!(consumer.reads_natively(), settings.data_plane == DataPlane::Native);
        let mut reader = Self { consumer, batch: Batch::default(), changes: Vec::new() };
        let patience = Patience::begin();
        while reader.consumer.held().len() < partitions {
            assert!(!patience.is_over(), "not all partitions came");
            let _ = reader.poll(100);
        }
        reader.changes.clear();
        reader
    }

    pub(super) fn poll(&mut self, room: usize) -> Result<(), ConsumeError> {
        let known = self.changes.len();
        let polled = self.consumer.poll(TICK, room, &mut self.batch, &mut self.changes);
        for change in &self.changes[known..] {
            if let AssignmentChange::Assigned(partitions) = change {
                for &partition in partitions {
                    let read = self.batch.iter().filter(|record| record.source == partition).map(|record| record.offset.0 + 1).max();
                    self.consumer.release(partition, Offset(read.unwrap_or(0))).unwrap();
                }
            }
        }
        polled
    }

    /// Polls until so many records came.
    pub(super) fn read(&mut self, count: usize) -> Vec<Got> {
        let patience = Patience::begin();
        while self.batch.len() < count {
            assert!(!patience.is_over(), "{} of {count} records came: {:?}", self.batch.len(), self.changes);
            match self.poll(1000) {
                Ok(()) | Err(ConsumeError::Unavailable(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        self.got()
    }

    fn got(&self) -> Vec<Got> {
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        let got = |record: sharecast::transport::Record<'_>| Got {
            partition: record.source.partition,
            offset: record.offset.0,
            timestamp_ms: record.timestamp.0,
            key: owned(record.key),
            value: owned(record.value),
            headers: record.headers.iter().map(|(name, value)| (name.to_vec(), owned(value))).collect(),
        };
        let mut all: Vec<Got> = self.batch.iter().map(got).collect();
        for partition in 0..9 {
            let offsets: Vec<i64> = all.iter().filter(|got| got.partition == partition).map(|got| got.offset).collect();
            assert!(offsets.windows(2).all(|pair| pair[0] < pair[1]), "in order, and each once: {offsets:?}");
        }
        all.sort();
        all
    }
}

fn settings(cluster: &Cluster, data_plane: DataPlane) -> KafkaSettings {
    KafkaSettings { data_plane, ..cluster.settings(&unique("g")) }
}

/// What both clients make of a topic, which must be the same.
fn read_by_both(cluster: &Cluster, topic: &str, partitions: usize, count: usize) -> Vec<Got> {
    let [ours, theirs] = [DataPlane::Native, DataPlane::Librdkafka].map(|plane| {
        let mut reader = Reader::start(&settings(cluster, plane), topic, partitions);
        reader.read(count);
        // Nothing more comes.
        for _ in 0..6 {
            reader.poll(1000).unwrap();
        }
        reader.got()
    });
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs);
    }
    ours
}

fn fed(mut command: Command, lines: &str) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::inherit()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

#[test]
fn whatever_a_producer_writes_is_read_alike() {
    const EACH: usize = 400;
    let cluster = shared();
    let topic = cluster.topic("in", 3, &[]);
    let lines: String =
        (0..EACH).map(|number| format!(r#"{{"asset":"EX-{}","speed":{number},"pad":"aaaaaaaaaaaaaaa"}}"#, number % 9) + "\n").collect();
    for codec in CODECS {
        let mut kcat = Command::new("kcat");
        kcat.args(["-P", "-b", &cluster.bootstrap, "-t", &topic, "-p", "0", "-z", codec, "-X", "linger.ms=200", "-H", "name=value"]);
        fed(kcat, &lines);
        let mut java = Command::new("java");
        java.args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", &Cluster::jars()])
            .args(["org.apache.kafka.tools.ConsoleProducer", "--bootstrap-server", &cluster.bootstrap, "--topic", &topic])
            .args(["--compression-codec", codec]);
        fed(java, &lines);
        let mut settings = settings(cluster, DataPlane::Native);
        settings.producer.insert("compression.codec".to_owned(), codec.to_owned());
        let mut producer = DataProducer::start(&settings, &unique("t"), &[], PATIENCE).unwrap();
        producer.begin().unwrap();
        for (number, line) in lines.lines().enumerate() {
            let headers = [("a", number.to_string()), ("", String::new())];
            let headers = headers.each_ref().map(|(name, value)| (*name, value.as_bytes()));
            let value = (number % 7 > 0).then_some(line.as_bytes());
            let output = Output {
                topic: &topic,
                partition: Some(1),
                key: None,
                timestamp: TimestampMs(number as i64 * 86_400_000),
                value,
                headers: &headers[..number % 3],
            };
            producer.put(output).unwrap();
        }
        producer.drain().unwrap();
        producer.commit().unwrap();
    }
    let got = read_by_both(cluster, &topic, 3, CODECS.len() * EACH * 3);
    assert_eq!(got.len(), CODECS.len() * EACH * 3);
    assert!(
        got.iter().any(|got| got.value.is_none()) && got.iter().any(|got| got.headers == [(b"name".to_vec(), Some(b"value".to_vec()))])
    );
}

fn put(producer: &mut DataProducer, topic: &str, values: std::ops::Range<i32>) {
    for number in values {
        let value = number.to_string();
        let record = Output { partition: Some(0), ..output(topic, None, Some(value.as_bytes())) };
        producer.put(record).unwrap();
    }
    producer.drain().unwrap();
}

fn numbers(got: &[Got]) -> Vec<i32> {
    got.iter().map(|got| std::str::from_utf8(got.value.as_deref().unwrap()).unwrap().parse().unwrap()).collect()
}

#[test]
fn what_was_aborted_is_not_read() {
    let cluster = shared();
    let topic = cluster.topic("in", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let (mut first, mut second) = (native(cluster, &unique("a")), native(cluster, &unique("b")));
    let mut wanted = Vec::new();
    for round in 0..30 {
        let base = round * 100;
        first.begin().unwrap();
        second.begin().unwrap();
        put(&mut first, &topic, base..base + 3);
        put(&mut second, &topic, base + 10..base + 15);
        put(&mut first, &topic, base + 20..base + 23);
        if round % 3 == 0 {
            first.commit().unwrap();
            wanted.extend((base..base + 3).chain(base + 20..base + 23));
        } else {
            first.abort().unwrap();
        }
        put(&mut second, &topic, base + 30..base + 31);
        if round % 2 == 0 {
            second.commit().unwrap();
            wanted.extend((base + 10..base + 15).chain(base + 30..base + 31));
        } else {
            second.abort().unwrap();
        }
    }
    let got = read_by_both(cluster, &topic, 1, wanted.len());
    let mut seen = numbers(&got);
    seen.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(seen, wanted);
    assert!(got.iter().all(|got| got.timestamp_ms > 1_700_000_000_000), "the time that the log noted");
}

#[test]
fn gaps_that_compaction_left_are_passed_over() {
    let cluster = Cluster::start_tried(|| Cluster::start_at(1, free_ports(2), &["log.cleaner.backoff.ms=100".to_owned()]));
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "50"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("message.timestamp.type", "LogAppendTime"),
    ];
    let topic = cluster.topic("in", 1, &settings);
    let mut written = 0;
    await_that("something was compacted", || {
        // Each eighth stays for ever.
        let key = |number: usize| if number.is_multiple_of(8) { format!("s{}", written + number) } else { format!("k{}", number % 5) };
        let keys: Vec<String> = (0..40).map(key).collect();
        cluster.produce(&topic, keys.iter().map(|key| (0, key.as_str(), "v")));
        written += 40;
        cluster.read(&topic).len() < written / 2
    });
    // It goes on: both read the same of what nobody touches any more.
    let last = written as i64 - 1;
    await_that("both read the same", || {
        let [ours, theirs] = [DataPlane::Native, DataPlane::Librdkafka].map(|plane| {
            let mut reader = Reader::start(&self::settings(&cluster, plane), &topic, 1);
            let patience = Patience::begin();
            while reader.got().last().is_none_or(|got| got.offset < last) {
                assert!(!patience.is_over(), "{:?}", reader.got());
                reader.poll(1000).unwrap();
            }
            reader.got()
        });
        ours == theirs && ours.windows(2).any(|pair| pair[1].offset > pair[0].offset + 1)
    });
}

#[test]
fn whatever_becomes_of_an_answer_all_is_read_once_and_in_order() {
    let (proxy, cluster) = proxied();
    let (topic, id) = (cluster.topic("in", 3, &[]), unique("reader"));
    let mut settings = settings(cluster, DataPlane::Native);
    settings.client.insert("client.id".to_owned(), id.clone());
    let mut reader = Reader::start(&settings, &topic, 3);
    let mut count = 0;
    for fate in [Fate::Cut, Fate::Twice, Fate::Missing, Fate::Late(Duration::from_millis(700)), Fate::Cut] {
        let (before, times) = (proxy.met_of(api::FETCH, &id), if fate == Fate::Missing { 1 } else { 3 });
        proxy.rule([Rule { api: api::FETCH, text: id.clone(), fate, count: times }]);
        let values: Vec<String> = (count..count + 300).map(|number| number.to_string()).collect();
        cluster.produce(&topic, values.iter().enumerate().map(|(number, value)| (number as i32 % 3, "k", value.as_str())));
        count += 300;
        let patience = Patience::begin();
        while proxy.met_of(api::FETCH, &id) < before + times || reader.batch.len() < count {
            assert!(!patience.is_over(), "{fate:?}: {} of {count}", reader.batch.len());
            let _ = reader.poll(70);
        }
    }
    let mut seen = numbers(&reader.read(count));
    seen.sort_unstable();
    assert_eq!(seen, (0..count as i32).collect::<Vec<_>>());
}

/// Another member takes a partition, reads nothing of it, and leaves.
fn lend_a_partition(settings: &KafkaSettings, topic: &str, reader: &mut Reader) {
    let sources = [InputTopic { stream: StreamIndex(0), topic: topic.to_owned() }];
    let mut other = KafkaConsumer::join_data_plane(settings, &settings.group, &sources, PATIENCE).unwrap();
    let (mut batch, mut changes) = (Batch::default(), Vec::new());
    await_that("the other member has a partition", || {
        let _ = (reader.poll(1000), other.poll(TICK, 1000, &mut batch, &mut changes));
        !other.held().is_empty()
    });
    assert!(batch.is_empty(), "nothing is read before it is told from where");
}

#[test]
fn leaders_that_go_and_come_lose_and_double_nothing() {
    const EACH: usize = 120;
    let cluster = Cluster::start(3);
    let topic = cluster.topic("in", 3, &[]);
    let settings = settings(&cluster, DataPlane::Native);
    let mut reader = Reader::start(&settings, &topic, 3);
    let mut count = 0;
    for step in 0..16 {
        match step {
            2 => cluster.node("kill", 1),
            4 => cluster.node("start-node", 1),
            6 => cluster.node("pause", 2),
            8 => cluster.node("cont", 2),
            10 => cluster.node("stop-node", 3),
            12 => cluster.node("start-node", 3),
            14 => lend_a_partition(&settings, &topic, &mut reader),
            _ => {}
        }
        let values: Vec<String> = (count..count + EACH).map(|number| number.to_string()).collect();
        cluster.produce(&topic, values.iter().enumerate().map(|(number, value)| (number as i32 % 3, "k", value.as_str())));
        count += EACH;
        reader.read(count);
    }
    let mut seen = numbers(&reader.read(count));
    seen.sort_unstable();
    assert_eq!(seen, (0..count as i32).collect::<Vec<_>>());
}

/// An offset of the topic before says nothing of the one that has its name now: nothing is read from the middle of it.
#[test]
fn a_topic_that_is_made_again_is_not_read_on() {
    let cluster = shared();
    let topic = cluster.topic("again", 1, &[]);
    cluster.produce(&topic, (0..20).map(|_| (0, "k", "old")));
    let mut reader = Reader::start(&settings(cluster, DataPlane::Native), &topic, 1);
    reader.read(20);
    reader.changes.clear();
    cluster.admin().delete(&[&topic]).unwrap();
    await_that("the topic is gone", || cluster.admin().topic(&topic).unwrap().is_none());
    let spec = TopicSpec { name: topic.clone(), partitions: 1, replication: -1, config: Default::default() };
    await_that("the topic is made", || cluster.admin().create(std::slice::from_ref(&spec)).is_ok());
    // As many again, and more: the offset is in the log.
    cluster.produce(&topic, (0..40).map(|_| (0, "k", "new")));
    let here = SourcePartition { stream: StreamIndex(0), partition: 0 };
    let patience = Patience::begin();
    loop {
        assert!(!patience.is_over(), "{:?}", reader.changes);
        match reader.poll(1000) {
            Err(ConsumeError::Refused(words)) => {
                println!("refused: {words}");
                break;
            }
            Ok(()) | Err(ConsumeError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
        if reader.changes.contains(&AssignmentChange::OutOfRange(here)) || reader.changes.contains(&AssignmentChange::Revoked(vec![here])) {
            break;
        }
    }
    assert_eq!(reader.batch.len(), 20, "nothing of the new one was read");
}
