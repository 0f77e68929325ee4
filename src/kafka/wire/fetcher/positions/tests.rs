//! Answers that are late, repeated, missing or out of order; leaders that move; topics that go and come back.

use std::sync::Arc;

use super::*;
use crate::id::StreamIndex;
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::fetcher::fetched_batch::written::WrittenBatch;
use crate::kafka::wire::messages::fetch::FetchedPartition;
use crate::kafka::wire::messages::leader_epoch::EpochEnd;
use crate::kafka::wire::messages::metadata::TopicLeaders;

const ID: TopicId = TopicId([1; 16]);

fn at(partition: i32) -> SourcePartition {
    SourcePartition { stream: StreamIndex(0), partition }
}

fn leaders(id: TopicId, leaders: &[(i32, i32)]) -> TopicLeaders {
    let (leaders, epochs) = leaders.iter().copied().unzip();
    TopicLeaders { error: ErrorCode::NONE, name: "t".to_owned(), id, leaders, epochs }
}

/// What is read, and a batch that takes it.
struct PositionReader {
    positions: FetchPositions,
    batch: Batch,
    now: Instant,
}

impl PositionReader {
    /// Partitions 0 and 1 are led by node 1, partition 2 by node 2.
    fn new() -> Self {
        let mut reader =
            Self { positions: FetchPositions::new(1 << 20), batch: Batch::default(), now: crate::kafka::client::Deadline::now() };
        reader.positions.topic_place("t");
        reader.learn(leaders(ID, &[(1, 5), (1, 5), (2, 5)]));
        reader
    }

    fn learn(&mut self, found: TopicLeaders) {
        self.positions.learn(&["t".to_owned()], vec![found], self.now);
    }

    fn release(&mut self, partition: i32, from: i64) {
        self.positions.release(at(partition), "t", from);
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    /// What is asked for of a node: partition and offset.
    fn records(&mut self, node: i32) -> Vec<AskedPartition> {
        match self.positions.due(node, self.now) {
            Some(FetchAsk::Records(asked, _)) => asked,
            Some(FetchAsk::Ends(asked)) => panic!("{asked:?}"),
            None => Vec::new(),
        }
    }

    fn answer(&mut self, node: i32, asked: &[AskedPartition], partitions: Vec<(FetchedPartition, Vec<u8>)>) {
        let (mut frame, mut answers) = (Vec::new(), Vec::new());
        for (mut answer, bytes) in partitions {
            answer.records = frame.len()..frame.len() + bytes.len();
            frame.extend_from_slice(&bytes);
            answers.push(answer);
        }
        self.positions.answered(node, asked.to_vec(), answers, &Arc::new(frame), self.now);
    }

    fn take(&mut self) -> Vec<(i32, i64)> {
        self.batch.clear();
        self.positions.take(TakeLimit { records: 1000, bytes: usize::MAX }, self.now, &mut self.batch);
        self.batch.iter().map(|record| (record.source.partition, record.offset.0)).collect()
    }

    fn events(&mut self) -> Vec<FetchEvent> {
        std::iter::from_fn(|| self.positions.next_event()).collect()
    }
}

fn answered(partition: i32, code: ErrorCode) -> FetchedPartition {
    FetchedPartition { topic: ID, partition, error: code, aborted: Vec::new(), records: 0..0, leader: None }
}

fn brought(partition: i32, offsets: std::ops::Range<i64>) -> (FetchedPartition, Vec<u8>) {
    (answered(partition, ErrorCode::NONE), if offsets.is_empty() { Vec::new() } else { WrittenBatch::of(offsets).bytes() })
}

fn failed(partition: i32, code: ErrorCode) -> (FetchedPartition, Vec<u8>) {
    (answered(partition, code), Vec::new())
}

fn places(asked: &[AskedPartition]) -> Vec<(i32, i64)> {
    asked.iter().map(|asked| (asked.source.partition, asked.place.next)).collect()
}

#[test]
fn each_leader_is_asked_once_and_again_after_what_came_was_taken() {
    let mut reader = PositionReader::new();
    for partition in 0..3 {
        reader.release(partition, 10);
    }
    assert!(!reader.positions.has_begun(at(0)));
    let first = reader.records(1);
    assert_eq!(places(&first), [(0, 10), (1, 10)]);
    assert_eq!(reader.records(1), [], "both are asked for");
    let second = reader.records(2);
    assert_eq!(places(&second), [(2, 10)]);
    reader.answer(1, &first, vec![brought(0, 10..13), brought(1, 0..0)]);
    assert!(reader.positions.has_begun(at(0)) && reader.positions.has_begun(at(1)) && !reader.positions.has_begun(at(2)));
    // Something waits of node 1, and of the other partition there is nothing to be had: that would only wait.
    assert_eq!(reader.records(1), []);
    assert_eq!(reader.take(), [(0, 10), (0, 11), (0, 12)]);
    assert_eq!(places(&reader.records(1)), [(1, 10), (0, 13)], "the one that brought something comes last");
    reader.answer(2, &second, vec![brought(2, 10..11)]);
    assert_eq!(reader.take(), [(2, 10)]);
}

#[test]
fn what_surely_follows_is_fetched_ahead_without_waiting() {
    let mut reader = PositionReader::new();
    reader.release(0, 0);
    reader.release(1, 0);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![brought(0, 0..3), brought(1, 0..3)]);
    reader.batch.clear();
    reader.positions.take(TakeLimit { records: 4, bytes: usize::MAX }, reader.now, &mut reader.batch);
    let Some(FetchAsk::Records(ahead, true)) = reader.positions.due(1, reader.now) else { panic!("something is asked for ahead") };
    assert_eq!(places(&ahead), [(0, 3)]);
    assert_eq!(reader.take(), [(1, 1), (1, 2)]);
}

/// A backlog of some never keeps others waiting that had no room in an answer.
#[test]
fn what_had_no_room_in_an_answer_comes_first_in_the_next() {
    let mut reader = PositionReader::new();
    reader.learn(leaders(ID, &[(1, 5), (1, 5), (1, 5)]));
    (0..3).for_each(|partition| reader.release(partition, 0));
    let asked = reader.records(1);
    assert_eq!(places(&asked), [(0, 0), (1, 0), (2, 0)]);
    reader.answer(1, &asked, vec![brought(0, 0..3), brought(1, 0..3), brought(2, 0..0)]);
    reader.batch.clear();
    reader.positions.take(TakeLimit { records: 3, bytes: usize::MAX }, reader.now, &mut reader.batch);
    // The first one is read to its end only with the next record.
    reader.positions.take(TakeLimit { records: 4, bytes: usize::MAX }, reader.now, &mut reader.batch);
    assert_eq!(places(&reader.records(1)), [(2, 0), (0, 3)]);
}

#[test]
fn an_answer_counts_once_and_for_what_was_asked_last() {
    let mut reader = PositionReader::new();
    reader.release(0, 10);
    let old = reader.records(1);
    // Released again while it was on its way: to the same place, and to another.
    for from in [10, 20] {
        reader.release(0, from);
        reader.answer(1, &old, vec![brought(0, 10..13)]);
        assert_eq!(reader.take(), []);
        assert!(!reader.positions.has_begun(at(0)));
    }
    let asked = reader.records(1);
    assert_eq!(places(&asked), [(0, 20)]);
    // What was not asked for, and what is said twice.
    reader.answer(1, &asked, vec![brought(7, 0..3), brought(0, 20..22), brought(0, 20..22), brought(2, 0..3)]);
    assert_eq!(reader.take(), [(0, 20), (0, 21)]);
    // The same answer again.
    reader.answer(1, &asked, vec![brought(0, 20..22)]);
    assert_eq!(reader.take(), []);
    let asked = reader.records(1);
    reader.positions.remove(at(0));
    reader.answer(1, &asked, vec![brought(0, 22..23)]);
    assert_eq!((reader.take(), reader.records(1)), (vec![], vec![]));
}

#[test]
fn what_was_fetched_is_gone_with_its_release() {
    let mut reader = PositionReader::new();
    reader.release(0, 10);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![brought(0, 10..13)]);
    reader.release(0, 11);
    assert_eq!(reader.take(), []);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![brought(0, 10..13)]);
    assert_eq!(reader.take(), [(0, 11), (0, 12)], "a batch may begin before what was asked for");
}

#[test]
fn what_an_answer_does_not_name_is_asked_for_again() {
    let mut reader = PositionReader::new();
    reader.release(0, 1);
    reader.release(1, 1);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![brought(1, 1..2)]);
    assert_eq!(reader.take(), [(1, 1)]);
    assert_eq!(places(&reader.records(1)), [(1, 2)], "a little later");
    reader.later(1);
    let asked = reader.records(1);
    assert_eq!(places(&asked), [(0, 1)]);
    // And so is what was asked on a connection that is lost.
    reader.positions.lost(1, &asked);
    assert_eq!(places(&reader.records(1)), [(0, 1)]);
    assert_eq!(reader.positions.stale(), ["t"], "perhaps another one leads");
}

#[test]
fn out_of_range_counts_for_the_offset_that_is_asked_for_now() {
    let mut reader = PositionReader::new();
    reader.release(0, 10);
    let old = reader.records(1);
    reader.release(0, 5);
    reader.answer(1, &old, vec![failed(0, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    assert_eq!(reader.events(), []);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![failed(0, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    assert_eq!(reader.events(), [FetchEvent::OutOfRange(at(0))]);
    reader.later(9);
    assert_eq!(reader.records(1), [], "nothing more is asked for");
    // One that was held before it was told.
    reader.release(1, 5);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![failed(1, ErrorCode::OFFSET_OUT_OF_RANGE)]);
    reader.release(1, 6);
    assert_eq!(reader.events(), []);
}

#[test]
fn a_leader_that_moves_is_followed_and_asked_whether_it_has_what_was_read() {
    let mut reader = PositionReader::new();
    reader.release(0, 0);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![brought(0, 0..3)]);
    assert_eq!(reader.take().len(), 3);
    let asked = reader.records(1);
    let moved = FetchedPartition { leader: Some(PartitionLeader { node: 2, epoch: 6 }), ..answered(0, ErrorCode::NOT_LEADER_OR_FOLLOWER) };
    reader.answer(1, &asked, vec![(moved, Vec::new())]);
    assert_eq!(reader.records(1), []);
    let Some(FetchAsk::Ends(ends)) = reader.positions.due(2, reader.now) else { panic!("it is asked first") };
    assert_eq!((ends[0].leader_epoch, ends[0].place), (6, ReadPlace { next: 3, epoch: 1 }));
    assert_eq!(reader.positions.due(2, reader.now), None);
    let end = |end, error| EpochEnd { topic: "t".into(), partition: 0, error, epoch: 1, end };
    reader.positions.checked(2, &ends, &[end(0, ErrorCode::UNKNOWN_LEADER_EPOCH)], reader.now);
    reader.later(1);
    let Some(FetchAsk::Ends(ends)) = reader.positions.due(2, reader.now) else { panic!("it is asked again") };
    reader.positions.checked(2, &ends, &[end(3, ErrorCode::NONE)], reader.now);
    assert_eq!((places(&reader.records(2)), reader.events()), (vec![(0, 3)], vec![]));
    // Whoever is behind is not believed.
    reader.learn(leaders(ID, &[(1, 5), (1, 5), (2, 5)]));
    reader.later(1);
    assert_eq!((reader.records(1), reader.positions.stale()), (vec![], vec!["t".to_owned()]));
}

#[test]
fn a_log_that_was_cut_off_before_what_was_read_is_out_of_range() {
    for (epoch, end) in [(1, 2), (-1, -1), (0, 0)] {
        let mut reader = PositionReader::new();
        reader.release(0, 0);
        let asked = reader.records(1);
        reader.answer(1, &asked, vec![brought(0, 0..3)]);
        reader.take();
        reader.learn(leaders(ID, &[(2, 6), (1, 5), (2, 5)]));
        let Some(FetchAsk::Ends(ends)) = reader.positions.due(2, reader.now) else { panic!("it is asked first") };
        let found = EpochEnd { topic: "t".into(), partition: 0, error: ErrorCode::NONE, epoch, end };
        reader.positions.checked(2, &ends, &[found], reader.now);
        assert_eq!((reader.events(), reader.records(2)), (vec![FetchEvent::OutOfRange(at(0))], vec![]));
    }
}

#[test]
fn what_the_leader_before_says_late_is_dropped() {
    let mut reader = PositionReader::new();
    reader.release(0, 0);
    let old = reader.records(1);
    reader.learn(leaders(ID, &[(2, 6), (1, 5), (2, 5)]));
    let asked = reader.records(2);
    reader.answer(1, &old, vec![brought(0, 0..3)]);
    assert_eq!(reader.take(), []);
    reader.answer(2, &asked, vec![brought(0, 0..2)]);
    assert_eq!(reader.take(), [(0, 0), (0, 1)]);
}

#[test]
fn a_topic_that_is_made_again_is_another_one() {
    let mut reader = PositionReader::new();
    reader.release(0, 7);
    reader.release(1, 0);
    reader.release(2, 0);
    let asked = reader.records(2);
    reader.answer(2, &asked, vec![brought(2, 0..3)]);
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![failed(0, ErrorCode::UNKNOWN_TOPIC_ID), failed(1, ErrorCode::UNKNOWN_TOPIC_ID)]);
    let again = TopicId([2; 16]);
    reader.learn(leaders(again, &[(1, 0), (1, 0), (2, 0)]));
    assert_eq!((reader.events(), reader.positions.stale()), (vec![], vec!["t".to_owned()]), "said once, it may be a broker that is behind");
    reader.learn(leaders(again, &[(1, 0), (1, 0), (2, 0)]));
    assert_eq!(reader.events(), [FetchEvent::OutOfRange(at(0))]);
    // The one that began at the beginning goes on there.
    reader.learn(leaders(again, &[(1, 0), (1, 0), (2, 0)]));
    reader.later(1);
    let asked = reader.records(1);
    assert_eq!((places(&asked), asked[0].id), (vec![(1, 0)], again));
    assert_eq!(
        (reader.take(), places(&reader.records(2))),
        (vec![], vec![(2, 0)]),
        "what was fetched of the one before is not of this one"
    );
}

#[test]
fn a_topic_is_missing_when_it_stays_so_and_a_right_at_once() {
    let mut reader = PositionReader::new();
    reader.release(0, 7);
    let missing = || TopicLeaders { error: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ..leaders(TopicId::default(), &[]) };
    reader.learn(missing());
    reader.later(4);
    reader.learn(missing());
    assert_eq!(reader.events(), []);
    reader.learn(leaders(ID, &[(1, 5), (1, 5), (2, 5)]));
    reader.later(4);
    reader.learn(missing());
    assert_eq!(reader.events(), []);
    reader.later(5);
    reader.learn(missing());
    assert!(matches!(&reader.events()[..], [FetchEvent::Refused(words)] if words.contains("topic t: UNKNOWN_TOPIC_OR_PARTITION")));
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![failed(0, ErrorCode::TOPIC_AUTHORIZATION_FAILED)]);
    assert!(matches!(&reader.events()[..], [FetchEvent::Refused(words)] if words.contains("TOPIC_AUTHORIZATION_FAILED")));
}

#[test]
fn what_cannot_be_read_is_told_once_and_fetched_again() {
    let mut reader = PositionReader::new();
    reader.release(0, 0);
    for round in 0..3 {
        let asked = reader.records(1);
        assert_eq!(places(&asked), [(0, if round == 0 { 0 } else { 3 })]);
        let mut bad = WrittenBatch::of(3..6).bytes();
        bad[70] ^= 1;
        let bytes = [WrittenBatch::of(0..3).bytes(), bad].concat();
        reader.answer(1, &asked, vec![(answered(0, ErrorCode::NONE), bytes)]);
        assert_eq!(reader.take().len(), if round == 0 { 3 } else { 0 });
        assert_eq!(reader.events().len(), usize::from(round == 0));
        assert_eq!(reader.records(1), []);
        reader.later(1);
    }
    let asked = reader.records(1);
    reader.answer(1, &asked, vec![brought(0, 3..6)]);
    assert_eq!(reader.take(), [(0, 3), (0, 4), (0, 5)]);
}

#[test]
fn batches_of_an_old_format_are_not_for_this_client() {
    let mut reader = PositionReader::new();
    reader.release(0, 0);
    let asked = reader.records(1);
    let mut old = WrittenBatch::of(0..3).bytes();
    old[16] = 1;
    reader.answer(1, &asked, vec![(answered(0, ErrorCode::NONE), old)]);
    reader.take();
    assert!(matches!(&reader.events()[..], [FetchEvent::NotNative(_)]));
    assert_eq!(reader.positions.places().collect::<Vec<_>>(), [(at(0), 0)]);
}

#[test]
fn no_partition_waits_for_another_to_be_read_to_its_end() {
    let mut reader = PositionReader::new();
    reader.release(0, 0);
    reader.release(1, 0);
    let asked = reader.records(1);
    let large = |partition| {
        let mut batch = WrittenBatch::of(0..20);
        batch.records.iter_mut().for_each(|record| record.value = Some(vec![7; 100 << 10]));
        (answered(partition, ErrorCode::NONE), batch.bytes())
    };
    reader.answer(1, &asked, vec![large(0), large(1)]);
    let mut order = Vec::new();
    for records in 1..=40 {
        reader.positions.take(TakeLimit { records, bytes: usize::MAX }, reader.now, &mut reader.batch);
    }
    for record in reader.batch.iter() {
        order.push(record.source.partition);
    }
    assert_eq!(order.len(), 40);
    let longest = order.chunk_by(|one, next| one == next).map(<[i32]>::len).max();
    assert!(longest <= Some(7), "{order:?}");
}
