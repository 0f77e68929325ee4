//! The native data plane on a real cluster: what is lost, late, cut or held back between it and its brokers, and clusters that it is not for.

mod late;
mod logins;
mod nodes;
mod reading;
mod rights;

use std::process::Command;
use std::sync::OnceLock;

use sharecast::config::DataPlane;
use sharecast::id::StreamIndex;
use sharecast::kafka::{ClientError, DataProducer, InputTopic, KafkaSettings};
use sharecast::time::TimestampMs;
use sharecast::transport::{Output, ProduceError, TransactionalProducer};

use super::broker::{Cluster, PATIENCE, shared, unique};
use super::fixture::World;
use super::instance::{Instance, file};
use super::proxy::{Fate, Proxy, Rule, api};

/// One node behind a proxy, for all tests here.
fn proxied() -> &'static (Proxy, Cluster) {
    static PROXIED: OnceLock<(Proxy, Cluster)> = OnceLock::new();
    PROXIED.get_or_init(Cluster::start_proxied)
}

/// Its requests have this name in them.
fn native(cluster: &Cluster, id: &str) -> DataProducer {
    let mut settings = KafkaSettings { data_plane: DataPlane::Native, ..cluster.settings("g") };
    settings.producer.insert("transaction.timeout.ms".to_owned(), "8000".to_owned());
    let sources = [InputTopic { stream: StreamIndex(0), topic: "in".to_owned() }];
    let producer = DataProducer::start(&settings, id, &sources, PATIENCE).unwrap();
    assert!(matches!(producer, DataProducer::Native(_)));
    producer
}

fn output<'o>(topic: &'o str, key: Option<&'o [u8]>, value: Option<&'o [u8]>) -> Output<'o> {
    Output { topic, partition: None, key, timestamp: TimestampMs(1000), value, headers: &[] }
}

fn put(producer: &mut DataProducer, topic: &str, values: std::ops::Range<i32>) {
    for number in values {
        let (key, value) = (format!("k{}", number % 7), number.to_string());
        producer.put(output(topic, Some(key.as_bytes()), Some(value.as_bytes()))).unwrap();
    }
}

/// What a reader sees: each partition's numbers rise, and together they are these.
fn assert_once_in_order(cluster: &Cluster, topic: &str, count: i32) {
    let seen = cluster.read(topic);
    let mut all = Vec::new();
    for partition in 0..3 {
        let of_it = seen.iter().filter(|record| record.partition == partition);
        let numbers: Vec<i32> = of_it.map(|record| record.value.as_ref().unwrap().parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (0..count).collect::<Vec<_>>());
}

#[test]
fn whatever_becomes_of_an_answer_all_is_written_once_and_in_order() {
    let (proxy, cluster) = proxied();
    let (topic, id) = (cluster.topic("out", 3, &[]), unique("lost"));
    let mut producer = native(cluster, &id);
    let mut count = 0;
    for call in [api::PRODUCE, api::END_TXN] {
        for fate in [Fate::Missing, Fate::Cut, Fate::Twice] {
            let before = proxy.met_of(call, &id);
            proxy.rule([Rule { api: call, text: id.clone(), fate, count: 1 }]);
            producer.begin().unwrap();
            put(&mut producer, &topic, count..count + 100);
            producer.send_ahead();
            put(&mut producer, &topic, count + 100..count + 150);
            producer.drain().unwrap();
            producer.commit().unwrap();
            assert_eq!(proxy.met_of(call, &id), before + 1);
            // An answer that comes twice is found out by the question that follows.
            producer.begin().unwrap();
            put(&mut producer, &topic, count + 150..count + 160);
            producer.drain().unwrap();
            producer.commit().unwrap();
            count += 160;
        }
    }
    assert_once_in_order(cluster, &topic, count);
}

#[test]
fn a_topic_that_is_deleted_under_way_fails_alone() {
    let cluster = shared();
    let (kept, gone) = (cluster.topic("kept", 3, &[]), cluster.topic("gone", 1, &[]));
    let mut producer = native(cluster, &unique("gone"));
    assert!(producer.sees_leader(&kept).unwrap() && producer.sees_leader(&gone).unwrap());
    producer.begin().unwrap();
    put(&mut producer, &kept, 0..10);
    put(&mut producer, &gone, 0..10);
    cluster.admin().delete(&[&gone]).unwrap();
    let errors = producer.drain().unwrap_err();
    assert!(errors.iter().any(|error| matches!(error, ProduceError::Route { topic, .. } if *topic == gone)), "{errors:?}");
    assert!(!errors.iter().any(|error| matches!(error, ProduceError::Route { topic, .. } if *topic == kept)), "{errors:?}");
    producer.abort().unwrap();
    producer.begin().unwrap();
    put(&mut producer, &kept, 0..10);
    producer.commit().unwrap();
    assert_once_in_order(cluster, &kept, 10);
}

/// Sets the level of `transaction.version` as an operator does.
fn set_level(cluster: &Cluster, command: &str, level: u32) {
    let done = Command::new("java")
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", &Cluster::jars(), "org.apache.kafka.tools.FeatureCommand"])
        .args(["--bootstrap-server", &cluster.bootstrap, command, "--feature", &format!("transaction.version={level}")])
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

#[test]
fn a_cluster_of_the_version_before_is_librdkafkas() {
    let cluster = Cluster::start(1);
    let topic = cluster.topic("out", 3, &[]);
    let mut before = native(&cluster, &unique("t"));
    set_level(&cluster, "downgrade", 1);
    let start = |data_plane| {
        let settings = KafkaSettings { data_plane, ..cluster.settings("g") };
        DataProducer::start(&settings, &unique("t"), &[], PATIENCE)
    };
    assert!(matches!(start(DataPlane::Auto), Ok(DataProducer::Librdkafka(_))));
    assert!(matches!(start(DataPlane::Librdkafka), Ok(DataProducer::Librdkafka(_))));
    match start(DataPlane::Native) {
        Err(ClientError::Settings(why)) => assert!(why.contains("transaction.version"), "{why}"),
        other => panic!("{:?}", other.map(|_| ())),
    }
    // An engine says the same, whichever it is told.
    let world = World::new(&cluster, 1, "");
    let dir = tempfile::tempdir().unwrap();
    let told = |word: &str| {
        let plane = file(dir.path(), word, &format!("kafka: {{ data_plane: {word} }}"));
        Instance::start_with(&world.config("a"), &["-c", plane.to_str().unwrap()])
    };
    let mut refused = told("native");
    assert_eq!(refused.await_exit(), 78, "{}", refused.log());
    refused.await_line(&["kafka.data_plane is native, which cannot be", "kafka-features.sh upgrade --feature transaction.version=2"]);
    let chosen = told("auto");
    chosen.await_ready();
    chosen.await_line(&["transactions are written by librdkafka", "kafka-features.sh upgrade --feature transaction.version=2"]);
    drop(chosen);

    // Whoever was there before either commits or fails, and never loses what it calls committed.
    before.begin().unwrap();
    let mut committed = 0;
    for number in 0..10 {
        let value = number.to_string();
        let (key, value) = (Some(b"k".as_slice()), Some(value.as_bytes()));
        before.put(Output { topic: &topic, partition: None, key, timestamp: TimestampMs(1), value, headers: &[] }).unwrap();
    }
    if before.drain().is_ok() && before.commit().is_ok() {
        committed = 10;
    }
    drop(before);
    assert_eq!(cluster.read(&topic).len(), committed);
    set_level(&cluster, "upgrade", 2);
    assert!(matches!(start(DataPlane::Auto), Ok(DataProducer::Native(_))));
    let chosen = told("auto");
    chosen.await_line(&["transactions are written natively"]);
    chosen.await_ready();
}

#[test]
fn nothing_is_committed_under_a_name_that_another_has_taken() {
    let cluster = shared();
    let (topic, id) = (cluster.topic("out", 3, &[]), unique("taken"));
    let mut first = native(cluster, &id);
    first.begin().unwrap();
    put(&mut first, &topic, 100..110);
    first.drain().unwrap();
    // By the other client: both fence one another.
    let settings = KafkaSettings { data_plane: DataPlane::Librdkafka, ..cluster.settings("g") };
    let mut second = DataProducer::start(&settings, &id, &[], PATIENCE).unwrap();
    assert!(matches!(first.commit(), Err(ProduceError::Fenced(_))));
    second.begin().unwrap();
    put(&mut second, &topic, 0..10);
    second.drain().unwrap();
    let mut third = native(cluster, &id);
    assert!(matches!(second.commit(), Err(ProduceError::Fenced(_))));
    third.begin().unwrap();
    put(&mut third, &topic, 0..10);
    third.drain().unwrap();
    third.commit().unwrap();
    assert_once_in_order(cluster, &topic, 10);
}

/// Records flow on by the other client, or, where that is not allowed, the engine ends as it would not have begun.
#[test]
fn a_cluster_that_goes_back_while_engines_run_is_found_out() {
    let cluster = Cluster::start(1);
    let world = |data_plane: &str| {
        let mut world = World::new(&cluster, 2, "");
        let more = format!(
            "kafka:\n  bootstrap: \"{}\"\n  group: group-{}\n  data_plane: {data_plane}\n  \
             client: {{ topic.metadata.refresh.interval.ms: 1000 }}\n  \
             consumer: {{ session.timeout.ms: 10000, max.poll.interval.ms: 60000 }}\n  producer: {{ transaction.timeout.ms: 8000 }}\n",
            cluster.bootstrap, world.name
        );
        world.set_more(&more);
        world.make_control();
        world.partners("o", "t");
        world.share("o", "a", "t");
        world
    };
    let (auto, native) = (world("auto"), world("native"));
    let feed = |world: &World<'_>, numbers: std::ops::Range<u64>| {
        for number in numbers {
            world.feed((number % 2) as i32, [world.record("o", "a", number)]);
        }
    };
    let (chosen, mut forced) = (auto.start("a"), native.start("n"));
    for (world, instance) in [(&auto, &chosen), (&native, &forced)] {
        instance.await_ready();
        instance.await_line(&["transactions are written natively"]);
        feed(world, 0..20);
        world.await_outputs("t", 20);
    }
    set_level(&cluster, "downgrade", 1);
    let next = std::cell::Cell::new(20);
    let told = |instance: &mut Instance, world: &World<'_>, is_so: &dyn Fn(&mut Instance) -> bool| {
        let patience = super::instance::Patience::begin();
        while !is_so(instance) {
            assert!(!patience.is_over(), "{}", instance.log());
            feed(world, next.get()..next.get() + 2);
            next.set(next.get() + 2);
        }
    };
    let mut chosen = chosen;
    told(&mut chosen, &auto, &|instance| instance.log().contains("transactions are written by librdkafka"));
    let fed = next.get();
    let numbers = |world: &World<'_>, count: u64| {
        let mut numbers: Vec<u64> =
            world.await_outputs("t", count as usize).iter().map(|seen| super::fixture::number_of(seen.value.as_ref().unwrap())).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(numbers(&auto, fed), (0..fed).collect::<Vec<_>>());
    chosen.terminate();

    next.set(20);
    told(&mut forced, &native, &|instance| instance.log().contains("the process ends"));
    assert_eq!(forced.await_exit(), 78, "{}", forced.log());
    forced.await_line(&["kafka.data_plane is native, which cannot be", "kafka-features.sh upgrade --feature transaction.version=2"]);
    // Nothing is lost by it.
    set_level(&cluster, "upgrade", 2);
    let again = native.start("n");
    assert_eq!(numbers(&native, next.get()), (0..next.get()).collect::<Vec<_>>());
    again.terminate();
}
