//! Where partitions are read from, and who has them.

use std::time::Duration;

use sharecast::config::DataPlane;
use sharecast::id::Offset;
use sharecast::transport::{AssignmentChange, ConsumeError, GroupConsumer, InputOffset, Start, TransactionalProducer};

use super::{Member, TICK, at, deadline, is_over, patient_producer, producer};
use crate::broker::{shared, unique};

/// Each test with records that come natively, and with records that come by librdkafka.
macro_rules! by_either_client {
    ($($test:ident,)*) => {
        mod native {
            $(#[test] fn $test() { super::$test(sharecast::config::DataPlane::Native); })*
        }
        mod librdkafka {
            $(#[test] fn $test() { super::$test(sharecast::config::DataPlane::Librdkafka); })*
        }
    };
}

by_either_client! {
    a_cooperative_rebalance_leaves_kept_partitions_alone,
    a_partition_without_position_begins_where_it_is_told,
    a_position_that_is_not_in_the_log_is_told_from_none,
    a_new_owner_waits_for_the_transaction_that_holds_its_offsets,
    a_pause_loses_and_repeats_nothing,
    a_missing_input_topic_is_refused,
}

fn a_cooperative_rebalance_leaves_kept_partitions_alone(plane: DataPlane) {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 2, &[]));
    cluster.produce(&input, [(0, "k", "p0 a"), (1, "k", "p1 a")]);
    let mut first = Member::join(cluster, plane, &group, &input);
    first.begin(2, Start::Earliest);
    first.poll_until(|first| first.batch.len() == 2);
    first.batch.clear();
    first.changes.clear();

    let mut second = Member::join(cluster, plane, &group, &input);
    first.poll_until(|first| {
        second.poll();
        first.consumer.held().len() == 1 && second.consumer.held().len() == 1
    });
    let (kept, moved) = (first.consumer.held()[0], second.consumer.held()[0]);
    assert_eq!(first.changes.first(), Some(&AssignmentChange::Revoked(vec![moved])));
    assert!(first.consumer.membership().is_some(), "what is kept may still be committed");
    second.begin(1, Start::Earliest);
    cluster.produce(&input, [(0, "k", "p0 b"), (1, "k", "p1 b")]);
    first.poll_until(|first| {
        second.poll();
        !first.batch.is_empty() && second.batch.len() == 2
    });
    // The kept partition goes on where it was; the moved one, of which nothing was committed, begins again.
    assert_eq!(first.values(), [format!("p{} b", kept.partition)]);
    assert_eq!(second.values(), [format!("p{} a", moved.partition), format!("p{} b", moved.partition)]);

    // The last one to leave gives everything back.
    drop(second);
    first.changes.clear();
    first.poll_until(|first| first.consumer.held().len() == 2);
    assert!(first.changes.contains(&AssignmentChange::Assigned(vec![moved])));
}

fn a_partition_without_position_begins_where_it_is_told(plane: DataPlane) {
    let cluster = shared();
    let input = cluster.topic("in", 2, &[]);
    cluster.produce(&input, [(0, "k", "old 0"), (1, "k", "old 1")]);
    let mut member = Member::join(cluster, plane, &unique("g"), &input);
    member.poll_until(|member| member.unbegun.len() == 2);
    assert!(member.batch.is_empty());
    for (partition, start, first) in [(at(0), Start::Earliest, Offset(0)), (at(1), Start::Latest, Offset(1))] {
        assert_eq!(member.consumer.first(partition, start).unwrap(), first);
        member.consumer.release(partition, first).unwrap();
    }
    cluster.produce(&input, [(0, "k", "new 0"), (1, "k", "new 1")]);
    member.poll_until(|member| member.batch.len() == 3);
    let mut values = member.values();
    values.sort();
    assert_eq!(values, ["new 0", "new 1", "old 0"]);
}

fn a_position_that_is_not_in_the_log_is_told_from_none(plane: DataPlane) {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 1, &[]));
    let mut member = Member::join(cluster, plane, &group, &input);
    member.begin(1, Start::Earliest);
    let mut producer = producer(cluster, &unique("t"), &input);
    producer.begin().unwrap();
    producer.send_offsets(&[InputOffset::new(at(0), Offset(100))], member.consumer.membership().unwrap()).unwrap();
    producer.commit().unwrap();
    drop(member);
    let mut next = Member::join(cluster, plane, &group, &input);
    next.poll_until(|next| next.changes.len() >= 2);
    assert_eq!(next.changes, [AssignmentChange::Assigned(vec![at(0)]), AssignmentChange::OutOfRange(at(0))]);
}

fn a_new_owner_waits_for_the_transaction_that_holds_its_offsets(plane: DataPlane) {
    let cluster = shared();
    let (group, input) = (unique("g"), cluster.topic("in", 1, &[]));
    cluster.produce(&input, [(0, "k", "a"), (0, "k", "b")]);
    let mut old = Member::join(cluster, plane, &group, &input);
    old.begin(1, Start::Earliest);
    let mut producer = patient_producer(cluster, &unique("t"), &input);
    producer.begin().unwrap();
    producer.send_offsets(&[InputOffset::new(at(0), Offset(1))], old.consumer.membership().unwrap()).unwrap();
    drop(old);

    let mut new = Member::join(cluster, plane, &group, &input);
    new.poll_until(|new| !new.changes.is_empty());
    for _ in 0..40 {
        new.poll();
    }
    assert_eq!((new.changes.as_slice(), new.batch.len()), (&[AssignmentChange::Assigned(vec![at(0)])][..], 0));
    producer.commit().unwrap();
    new.poll_until(|new| !new.batch.is_empty());
    assert_eq!(new.values(), ["b"]);
    assert_eq!(new.changes.len(), 1);
}

fn a_pause_loses_and_repeats_nothing(plane: DataPlane) {
    let cluster = shared();
    let input = cluster.topic("in", 1, &[]);
    let values: Vec<String> = (0..500).map(|index| index.to_string()).collect();
    cluster.produce(&input, values.iter().map(|value| (0, "k", value.as_str())));
    let mut member = Member::join(cluster, plane, &unique("g"), &input);
    member.consumer.pause().unwrap();
    // Assigned while paused: nothing comes.
    member.begin(1, Start::Earliest);
    for _ in 0..5 {
        member.poll();
    }
    assert!(member.batch.is_empty());
    member.consumer.resume().unwrap();
    let end = deadline();
    while member.batch.len() < 500 {
        assert!(!is_over(end), "{} records", member.batch.len());
        member.consumer.poll(TICK, 7, &mut member.batch, &mut member.changes).unwrap();
        member.consumer.pause().unwrap();
        let before = member.batch.len();
        member.consumer.poll(Duration::ZERO, 7, &mut member.batch, &mut member.changes).unwrap();
        assert_eq!(member.batch.len(), before, "nothing comes while it is paused");
        member.consumer.resume().unwrap();
    }
    assert_eq!(member.values(), values);
}

fn a_missing_input_topic_is_refused(plane: DataPlane) {
    let cluster = shared();
    let mut member = Member::join(cluster, plane, &unique("g"), &unique("missing"));
    let end = deadline();
    let error = loop {
        assert!(!is_over(end));
        if let Err(error) = member.consumer.poll(TICK, 10, &mut member.batch, &mut member.changes) {
            break error;
        }
    };
    assert!(matches!(error, ConsumeError::Refused(_)), "{error:?}");
}
