//! What a transaction's outputs cost with either data plane, on a real cluster: CPU of the process an output, in turn.
//!
//!     scripts/kafka start --dir /tmp/k --port 29000 && cargo bench --bench producers -- 127.0.0.1:29000 none

use std::time::Duration;

use sharecast::config::DataPlane;
use sharecast::kafka::{Admin, DataProducer, KafkaSettings, TopicSpec};
use sharecast::time::TimestampMs;
use sharecast::transport::{Output, TransactionalProducer};

const TOPICS: usize = 20;
const PARTITIONS: i32 = 4;
const WAIT: Duration = Duration::from_secs(60);

/// User and system time of all threads, in microseconds.
fn cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10_000.0
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let Some(bootstrap) = arguments.next() else { return println!("a cluster is needed: BOOTSTRAP [CODEC] [OUTPUTS] [TRANSACTIONS]") };
    let codec = arguments.next().unwrap_or_else(|| "none".to_owned());
    let outputs: usize = arguments.next().map_or(40_000, |text| text.parse().unwrap());
    let transactions: usize = arguments.next().map_or(10, |text| text.parse().unwrap());
    let mut settings = KafkaSettings { bootstrap, group: "bench".to_owned(), ..KafkaSettings::default() };
    settings.producer.insert("compression.codec".to_owned(), codec.clone());
    let topics: Vec<String> = (0..TOPICS).map(|at| format!("bench-{}-{at}", std::process::id())).collect();
    let spec = |name: &String| TopicSpec {
        name: name.clone(),
        partitions: PARTITIONS,
        replication: 1,
        config: [("retention.bytes".to_owned(), "10000000".to_owned())].into(),
    };
    Admin::open(&settings, WAIT).unwrap().create(&topics.iter().map(spec).collect::<Vec<_>>()).unwrap();

    let value = format!(r#"{{"asset":"EX-1","speed":12.5,"text":"{}"}}"#, "na".repeat(110));
    let mut producers: Vec<(DataPlane, DataProducer, Vec<f64>, Vec<f64>)> = [DataPlane::Librdkafka, DataPlane::Native]
        .into_iter()
        .map(|plane| {
            settings.data_plane = plane;
            let id = format!("bench-{}-{}", std::process::id(), plane.name());
            let mut producer = DataProducer::start(&settings, &id, &[], WAIT).unwrap();
            topics.iter().for_each(|topic| assert!(producer.sees_leader(topic).unwrap()));
            (plane, producer, Vec::new(), Vec::new())
        })
        .collect();
    for round in 0..7 {
        for (_, producer, cpu, wall) in &mut producers {
            let (before, clock) = (cpu_us(), wall_us());
            for _ in 0..transactions {
                producer.begin().unwrap();
                for at in 0..outputs {
                    // As the outbox hands them over: one topic's outputs after the other's.
                    let (topic, key) = (&topics[at * TOPICS / outputs], format!("EX-{:017}", at % 10_000));
                    let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
                    let timestamp = TimestampMs(1_700_000_000_000);
                    producer.put(Output { topic, partition: None, key, timestamp, value, headers: &[] }).unwrap();
                }
                producer.send_ahead();
                producer.drain().unwrap();
                producer.commit().unwrap();
            }
            // The first round warms up.
            if round > 0 {
                let count = (outputs * transactions) as f64;
                cpu.push((cpu_us() - before) / count);
                wall.push((wall_us() - clock) / count);
            }
        }
    }
    for (plane, _, cpu, wall) in producers {
        let rounds: Vec<String> = cpu.iter().map(|us| format!("{us:.3}")).collect();
        println!(
            "{codec} {:<10} CPU {:.3} us an output (rounds {}), wall {:.3}",
            plane.name(),
            median(cpu),
            rounds.join(" "),
            median(wall)
        );
    }
}

fn wall_us() -> f64 {
    let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
    uptime.split_whitespace().next().unwrap().parse::<f64>().unwrap() * 1e6
}
