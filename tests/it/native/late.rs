//! What comes late: requests that somebody holds back, and the last epochs of a producer id.

use std::sync::Mutex;

use sharecast::transport::TransactionalProducer;

use super::{assert_once_in_order, native, proxied, put};
use crate::broker::unique;
use crate::proxy::{Fate, Rule, api};

/// One test at a time holds requests back: they are all let go together.
static HOLDS: Mutex<()> = Mutex::new(());

/// What the protocol before lets pass: an end that comes late ends the next transaction.
#[test]
fn an_end_that_is_held_back_ends_no_other_transaction() {
    const OUTDATED: [i16; 2] = [47, 90];
    let _alone = HOLDS.lock().unwrap();
    let (proxy, cluster) = proxied();
    let (topic, id) = (cluster.topic("out", 3, &[]), unique("held"));
    let mut producer = native(cluster, &id);
    let mut count = 0;
    for commits in [true, false] {
        proxy.rule([Rule { api: api::END_TXN, text: id.clone(), fate: Fate::Held, count: 1 }]);
        producer.begin().unwrap();
        put(&mut producer, &topic, if commits { 0..50 } else { 1_000_000..1_000_050 });
        producer.drain().unwrap();
        if commits {
            producer.commit().unwrap()
        } else {
            producer.abort().unwrap()
        }
        count += if commits { 50 } else { 0 };
        // The next one has begun, and its records lie in the log.
        producer.begin().unwrap();
        put(&mut producer, &topic, count..count + 50);
        producer.drain().unwrap();
        let answered = proxy.release();
        assert!(OUTDATED.contains(&answered), "the end that was held back is answered by {answered}");
        producer.commit().unwrap();
        count += 50;
    }
    assert_once_in_order(cluster, &topic, count);
}

/// The first copy of a batch comes when the second one is long in the log: in its own transaction, and after it.
#[test]
fn batches_that_come_late_are_not_written_again() {
    let _alone = HOLDS.lock().unwrap();
    let (proxy, cluster) = proxied();
    let (topic, id) = (cluster.topic("out", 3, &[]), unique("old"));
    let mut producer = native(cluster, &id);
    let mut count = 0;
    for is_over in [false, true] {
        proxy.rule([Rule { api: api::PRODUCE, text: id.clone(), fate: Fate::Held, count: 1 }]);
        producer.begin().unwrap();
        put(&mut producer, &topic, count..count + 50);
        // Its first request is given up, and its batches are sent again.
        producer.drain().unwrap();
        if is_over {
            producer.commit().unwrap();
            producer.begin().unwrap();
        }
        put(&mut producer, &topic, count + 50..count + 100);
        producer.drain().unwrap();
        proxy.release();
        put(&mut producer, &topic, count + 100..count + 150);
        producer.drain().unwrap();
        producer.commit().unwrap();
        count += 150;
    }
    assert_once_in_order(cluster, &topic, count);
}

/// The cluster gives a new producer id after 32,767 ends; at ten a second that is each hour. Around it no answer comes whole.
#[test]
#[ignore = "takes minutes: scripts/test --long runs it"]
fn the_epochs_of_an_id_run_out_and_nobody_notices() {
    const TRANSACTIONS: i32 = 33_000;
    const CUT: std::ops::Range<i32> = 32_750..32_780;
    let (proxy, cluster) = proxied();
    let (topic, id) = (cluster.topic("out", 3, &[]), unique("epochs"));
    let mut producer = native(cluster, &id);
    for number in 0..TRANSACTIONS {
        if CUT.contains(&number) {
            proxy.rule([Rule { api: api::END_TXN, text: id.clone(), fate: Fate::Cut, count: 1 }]);
        }
        producer.begin().unwrap();
        put(&mut producer, &topic, number..number + 1);
        producer.drain().unwrap();
        producer.commit().unwrap();
    }
    assert_once_in_order(cluster, &topic, TRANSACTIONS);
}
