//! Three nodes, of which one or the other is away, and topics that are made again.

use std::collections::BTreeSet;

use sharecast::kafka::{DataProducer, TopicSpec};
use sharecast::transport::{ProduceError, TransactionalProducer};

use super::{assert_once_in_order, native, put};
use crate::broker::{Cluster, shared, unique};
use crate::instance::{Patience, await_that};

/// The numbers that a reader of committed records sees.
fn seen(cluster: &Cluster, topic: &str) -> BTreeSet<i32> {
    cluster.values(topic).iter().map(|value| value.parse().unwrap()).collect()
}

fn write(producer: &mut DataProducer, topic: &str, numbers: std::ops::Range<i32>) -> Result<(), ProduceError> {
    let middle = numbers.start + (numbers.end - numbers.start) / 2;
    producer.begin()?;
    for (half, is_first) in [(numbers.start..middle, true), (middle..numbers.end, false)] {
        for number in half {
            let (key, value) = (format!("k{}", number % 7), number.to_string());
            let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
            producer.put(super::output(topic, key, value))?;
        }
        if is_first {
            producer.send_ahead();
        }
    }
    producer.drain().map_err(|mut failures| failures.remove(0))?;
    producer.commit()
}

/// Killed, stopped in order, and paused: leaders, the coordinator of transactions and whoever was asked last are among them in turn.
#[test]
fn nodes_that_go_and_come_lose_and_double_nothing() {
    const EACH: i32 = 40;
    const TRANSACTIONS: i32 = 48;
    let cluster = Cluster::start(3);
    let (topic, id) = (cluster.topic("out", 3, &[]), unique("nodes"));
    let mut producer = native(&cluster, &id);
    let (mut done, mut tried) = (0, 0);
    while done < TRANSACTIONS {
        match tried {
            6 => cluster.node("kill", 1),
            12 => cluster.node("start-node", 1),
            18 => cluster.node("pause", 2),
            26 => cluster.node("cont", 2),
            32 => cluster.node("stop-node", 3),
            38 => cluster.node("start-node", 3),
            _ => {}
        }
        tried += 1;
        let numbers = done * EACH..(done + 1) * EACH;
        match write(&mut producer, &topic, numbers.clone()) {
            Ok(()) => done += 1,
            Err(error) => {
                println!("transaction {done}: {error}");
                let is_over = matches!(error, ProduceError::Fatal(_) | ProduceError::Fenced(_));
                if is_over || producer.abort().is_err() {
                    drop(producer);
                    producer = native(&cluster, &id);
                    // Whether its end has happened, the log alone knows.
                    let seen = seen(&cluster, &topic);
                    let count = numbers.clone().filter(|number| seen.contains(number)).count();
                    assert!([0, EACH as usize].contains(&count), "{count} of a transaction of {EACH}");
                    done += i32::from(count > 0);
                }
            }
        }
    }
    assert!(tried > 38, "every node was away");
    assert_once_in_order(&cluster, &topic, TRANSACTIONS * EACH);
}

#[test]
fn a_topic_that_is_made_again_is_written_to_as_it_is_now() {
    let cluster = shared();
    let topic = cluster.topic("again", 3, &[]);
    let mut producer = native(cluster, &unique("again"));
    producer.begin().unwrap();
    put(&mut producer, &topic, 0..30);
    producer.drain().unwrap();
    producer.commit().unwrap();
    for partitions in [1, 3] {
        cluster.admin().delete(&[&topic]).unwrap();
        await_that("the topic is gone", || cluster.admin().topic(&topic).unwrap().is_none());
        let spec = TopicSpec { name: topic.clone(), partitions, replication: -1, config: Default::default() };
        await_that("the topic is made", || cluster.admin().create(std::slice::from_ref(&spec)).is_ok());
        // What was known of it is found out to be wrong; no record is written to the side.
        let patience = Patience::begin();
        while let Err(error) = write(&mut producer, &topic, 0..30) {
            assert!(!patience.is_over(), "{error}");
            assert!(!matches!(error, ProduceError::Fatal(_) | ProduceError::Fenced(_)), "{error}");
            producer.abort().unwrap();
        }
        assert_once_in_order(cluster, &topic, 30);
    }
}
