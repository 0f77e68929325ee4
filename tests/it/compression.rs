//! Every producer writes what the configuration says, however it is said: Kafka's own tool tells by the batches in the log.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use sharecast::clock::{Clock, SystemClock};
use sharecast::config::{Config, ConfigEnv, DataPlane};
use sharecast::id::StreamIndex;
use sharecast::kafka::{
    AcknowledgedProducer, BulkWriter, DataProducer, EventWriter, InputTopic, KafkaProducer, KafkaSettings, takes_setting,
};
use sharecast::transport::{Output, TransactionalProducer};

use super::broker::{Cluster, PATIENCE, unique};

const WORDS: [&str; 5] = ["none", "lz4", "zstd", "snappy", "gzip"];

/// Each way to say how records are compressed.
fn spelled(word: &str) -> Vec<(String, String)> {
    let rows = [
        format!("output: {{ compression: {word} }}"),
        format!("kafka: {{ producer: {{ compression.type: {word} }} }}"),
        format!("kafka: {{ producer: {{ compression.codec: {word} }} }}"),
        format!("kafka: {{ client: {{ compression.type: {word} }} }}"),
    ];
    let row = |text: String| (text, word.to_owned());
    rows.into_iter().map(row).collect()
}

fn settings(cluster: &Cluster, text: &str) -> KafkaSettings {
    let around = ConfigEnv { takes_setting: &takes_setting, ..ConfigEnv::none() };
    let config = Config::load(&[("c.yaml", text)], &around).unwrap();
    KafkaSettings { bootstrap: cluster.bootstrap.clone(), group: unique("g"), ..KafkaSettings::of(&config.kafka) }
}

/// Has every kind of producer write to the topic.
fn write_with_all(settings: &KafkaSettings, topic: &str) {
    // What compression does not make smaller is written as it is.
    let value = "na".repeat(2000);
    // A record from long ago, and one of now after it, would be in segments of their own.
    let timestamp = SystemClock.wall();
    let output = Output { topic, partition: None, key: Some(b"k"), timestamp, value: Some(value.as_bytes()), headers: &[] };
    let sources = [InputTopic { stream: StreamIndex(0), topic: topic.to_owned() }];

    let mut exactly_once = KafkaProducer::start(settings, &unique("t"), &sources, PATIENCE).unwrap();
    exactly_once.begin().unwrap();
    exactly_once.put(output).unwrap();
    exactly_once.drain().unwrap();
    exactly_once.commit().unwrap();

    // The other client says the same.
    let native = KafkaSettings { data_plane: DataPlane::Native, ..settings.clone() };
    let mut native = DataProducer::start(&native, &unique("t"), &sources, PATIENCE).unwrap();
    native.begin().unwrap();
    native.put(output).unwrap();
    native.drain().unwrap();
    native.commit().unwrap();

    let mut at_least_once = AcknowledgedProducer::start(settings, &unique("t"), &sources, PATIENCE).unwrap();
    at_least_once.begin().unwrap();
    at_least_once.put(output).unwrap();
    at_least_once.drain().unwrap();

    EventWriter::open(settings, topic, PATIENCE).unwrap().append(value.as_bytes()).unwrap();
    BulkWriter::open(settings, topic, PATIENCE).unwrap().append_all(&[value.clone().into_bytes()]).unwrap();
}

/// The codec of each batch with records in these topics, by topic.
fn codecs(cluster: &Cluster, topics: &[String]) -> BTreeMap<String, Vec<String>> {
    let files: Vec<String> = topics.iter().map(|topic| cluster.first_segment(topic).display().to_string()).collect();
    let dumped = Command::new("java")
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", &Cluster::jars()])
        .args(["org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--files", &files.join(",")])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let text = String::from_utf8_lossy(&dumped.stdout);
    for file in text.split("Dumping ").skip(1) {
        let topic = topics.iter().find(|topic| file.lines().next().unwrap().contains(&format!("/{topic}-0/"))).unwrap();
        for batch in file.split("baseOffset: ").skip(1).filter(|batch| batch.contains("isControl: false")) {
            let (_, codec) = batch.split_once("compresscodec: ").unwrap();
            found.entry(topic.clone()).or_default().push(codec.split(' ').next().unwrap().to_lowercase());
        }
    }
    found
}

#[test]
fn every_producer_compresses_as_it_is_said_under_each_spelling() {
    let cluster = Cluster::start(1);
    let mut rows: Vec<(String, String)> = WORDS.into_iter().flat_map(spelled).collect();
    rows.push((String::new(), "lz4".to_owned()));
    rows.push(("kafka: { client: { compression.codec: gzip }, producer: { compression.type: none } }".to_owned(), "none".to_owned()));
    let topics: Vec<String> = rows.iter().map(|_| cluster.topic("c", 1, &[])).collect();
    // Each producer waits for brokers most of its time.
    std::thread::scope(|scope| {
        for ((text, _), topic) in rows.iter().zip(&topics) {
            let cluster = &cluster;
            scope.spawn(move || write_with_all(&settings(cluster, text), topic));
        }
    });
    let found = codecs(&cluster, &topics);
    for ((text, word), topic) in rows.iter().zip(&topics) {
        assert_eq!(found.get(topic).map(Vec::as_slice), Some(vec![word.clone(); 5].as_slice()), "{text}");
    }
}
