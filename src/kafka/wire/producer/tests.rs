//! Every row of the error table, provoked: what the producer does, and what it says.

#[path = "fake.rs"]
mod fake;

use self::fake::{FakeBroker, FakeFate};
use super::*;
use crate::id::{Offset, StreamIndex};
use crate::kafka::client::ClientError;
use crate::kafka::settings::KafkaSettings;
use crate::time::TimestampMs;
use crate::transport::SourcePartition;

const WAIT: Duration = Duration::from_secs(20);

fn start(fake: &FakeBroker, timeout_ms: u32) -> NativeProducer {
    try_start(fake, timeout_ms, WAIT).unwrap()
}

fn try_start(fake: &FakeBroker, timeout_ms: u32, wait: Duration) -> Result<NativeProducer, StartError> {
    let mut settings = KafkaSettings { bootstrap: format!("127.0.0.1:{}", fake.port), group: "g".to_owned(), ..KafkaSettings::default() };
    settings.producer.insert("transaction.timeout.ms".to_owned(), timeout_ms.to_string());
    settings.producer.insert("compression.codec".to_owned(), "none".to_owned());
    let sources = [InputTopic { stream: StreamIndex(0), topic: "in".to_owned() }];
    NativeProducer::start(&settings, "t", &sources, wait)
}

fn put(producer: &mut NativeProducer, topic: &str, partition: i32, value: &str) -> Result<(), ProduceError> {
    let (key, value) = (Some(b"k".as_slice()), Some(value.as_bytes()));
    producer.put(Output { topic, partition: Some(partition), key, timestamp: TimestampMs(5), value, headers: &[] })
}

fn offsets(producer: &mut NativeProducer) -> Result<(), ProduceError> {
    let member = GroupIdentity { group: "g".to_owned(), generation: 3, member: "m".to_owned(), instance: None };
    let partition = SourcePartition { stream: StreamIndex(0), partition: 0 };
    producer.send_offsets_of(&[InputOffset::new(partition, Offset(9))], &member)
}

/// What became of an error, without its words.
fn kind(error: &ProduceError) -> &'static str {
    match error {
        ProduceError::Route { .. } => "route",
        ProduceError::Unreachable { .. } => "unreachable",
        ProduceError::Refused { .. } => "refused",
        ProduceError::Abort(_) => "abort",
        ProduceError::StaleMember(_) => "stale",
        ProduceError::Fenced(_) => "fenced",
        ProduceError::Fatal(_) => "fatal",
        ProduceError::Impossible(_) => "impossible",
    }
}

/// A transaction of two partitions whose first Produce has this fate.
fn produce(told: &[FakeFate]) -> (FakeBroker, NativeProducer, Result<(), Vec<ProduceError>>) {
    let fake = FakeBroker::start(&["out"]);
    let mut producer = start(&fake, 4_000);
    producer.begin().unwrap();
    fake.tell(Api::Produce, told.iter().copied());
    put(&mut producer, "out", 0, "a").unwrap();
    put(&mut producer, "out", 1, "b").unwrap();
    let drained = producer.drain();
    (fake, producer, drained)
}

#[test]
fn what_passes_is_sent_again_as_it_was() {
    let again = [6, 74, 5, 9, 13, 56, 75, 3, 100, 7, 20, 19, 14, 15, 16, 51, 2].map(FakeFate::Code);
    for told in again.into_iter().chain([FakeFate::CutAnswer, FakeFate::Nonsense]) {
        let (fake, mut producer, drained) = produce(&[told]);
        assert!(drained.is_ok(), "{told:?}: {drained:?}");
        producer.commit().unwrap();
        let done = fake.done.lock().unwrap();
        assert_eq!(done.taken.len(), 2, "{told:?}");
        assert!(done.came.len() == 4 && done.came.iter().all(|batch| done.taken.iter().any(|taken| taken.2 == *batch)), "{told:?}");
        assert_eq!(done.ended, [(0, true)]);
    }
}

#[test]
fn a_duplicate_is_written() {
    let (_, mut producer, drained) = produce(&[FakeFate::Code(46)]);
    assert!(drained.is_ok() && producer.commit().is_ok());
}

#[test]
fn what_fails_is_said_and_the_next_transaction_goes_on() {
    let rows: &[(i16, &str)] = &[
        (45, "abort"),
        (59, "abort"),
        (47, "abort"),
        (48, "abort"),
        (120, "abort"),
        (29, "route"),
        (17, "route"),
        (44, "route"),
        (-1, "route"),
        (10, "refused"),
        (18, "refused"),
        (32, "refused"),
        (87, "refused"),
        (90, "fenced"),
        (49, "fatal"),
        (31, "fatal"),
        (53, "fatal"),
        (35, "fatal"),
    ];
    for (code, wanted) in rows {
        let (fake, mut producer, drained) = produce(&[FakeFate::Code(*code)]);
        let errors = drained.unwrap_err();
        assert!(errors.len() == 1 && kind(&errors[0]) == *wanted, "{code}: {errors:?}");
        if ["fenced", "fatal"].contains(wanted) {
            assert!(producer.begin().is_err() && producer.commit().is_err(), "{code}");
            continue;
        }
        assert!(producer.commit().is_err(), "nothing but an abort is left after {code}");
        producer.abort().unwrap();
        producer.begin().unwrap();
        put(&mut producer, "out", 0, "next").unwrap();
        producer.commit().unwrap();
        let done = fake.done.lock().unwrap();
        assert_eq!(done.ended, [(0, false), (1, true)], "{code}");
        // By the new epoch, from the first sequence on.
        assert_eq!(done.taken.last().unwrap().2[51..57], [0, 1, 0, 0, 0, 0], "{code}");
    }
    // A second time it is no accident.
    let (_, _, drained) = produce(&[FakeFate::Code(2), FakeFate::Code(2)]);
    assert_eq!(kind(&drained.unwrap_err()[0]), "fatal");
}

#[test]
fn what_does_not_pass_in_time_is_said_of_its_topic_or_of_the_transaction() {
    for (first, then, wanted) in [
        (FakeFate::Code(6), FakeFate::Code(6), "unreachable"),
        (FakeFate::Code(19), FakeFate::Code(19), "unreachable"),
        (FakeFate::Code(7), FakeFate::Code(7), "unreachable"),
        (FakeFate::CutAnswer, FakeFate::CutAnswer, "unreachable"),
        (FakeFate::Code(51), FakeFate::Code(51), "abort"),
        // Silence says less than that.
        (FakeFate::Code(51), FakeFate::CutAnswer, "abort"),
    ] {
        let told = (first, then);
        let fake = FakeBroker::start(&["out"]);
        let mut producer = start(&fake, 1_200);
        producer.begin().unwrap();
        fake.tell(Api::Produce, std::iter::once(first).chain(std::iter::repeat_n(then, 100_000)));
        put(&mut producer, "out", 0, "a").unwrap();
        let errors = producer.drain().unwrap_err();
        assert!(errors.len() == 1 && kind(&errors[0]) == wanted, "{told:?}: {errors:?}");
        producer.abort().unwrap();
    }
}

#[test]
fn a_topic_that_is_missing_fails_alone_and_is_found_when_it_is_made() {
    let fake = FakeBroker::start(&["out"]);
    let mut producer = start(&fake, 4_000);
    producer.begin().unwrap();
    let refused = put(&mut producer, "gone", 0, "a").unwrap_err();
    assert_eq!(kind(&refused), "route");
    producer.abort().unwrap();
    assert!(!fake.done.lock().unwrap().calls.contains(&Api::EndTxn), "the cluster knows of no transaction");
    assert!(!producer.sees_leader("gone").unwrap());
    fake.done.lock().unwrap().topics.push("gone".to_owned());
    assert!(producer.sees_leader("gone").unwrap() && producer.partitions_seen() == Some(2));
    producer.begin().unwrap();
    put(&mut producer, "gone", 0, "a").unwrap();
    // It is deleted while the record waits.
    fake.done.lock().unwrap().topics.retain(|topic| topic != "gone");
    let errors = producer.drain().unwrap_err();
    assert!(matches!(&errors[..], [ProduceError::Route { topic, .. }] if topic == "gone"), "{errors:?}");
    producer.abort().unwrap();
}

#[test]
fn offsets_are_sent_again_or_fail_as_they_must() {
    for told in [15, 16, 7, 14, 51, 3, 13, 19, 20].map(FakeFate::Code).into_iter().chain([FakeFate::CutAnswer, FakeFate::Nonsense]) {
        let fake = FakeBroker::start(&["out"]);
        let mut producer = start(&fake, 4_000);
        producer.begin().unwrap();
        fake.tell(Api::TxnOffsetCommit, [told]);
        offsets(&mut producer).unwrap();
        producer.commit().unwrap();
        assert_eq!(fake.done.lock().unwrap().ended, [(0, true)], "{told:?}");
    }
    for (code, wanted) in [
        (22, "stale"),
        (25, "stale"),
        (82, "stale"),
        (27, "stale"),
        (48, "abort"),
        (120, "abort"),
        (30, "abort"),
        (47, "fenced"),
        (90, "fenced"),
        (53, "fatal"),
        (12, "fatal"),
        (43, "fatal"),
        (49, "fatal"),
        (-1, "fatal"),
    ] {
        let fake = FakeBroker::start(&["out"]);
        let mut producer = start(&fake, 4_000);
        producer.begin().unwrap();
        fake.tell(Api::TxnOffsetCommit, [FakeFate::Code(code)]);
        let error = offsets(&mut producer).unwrap_err();
        assert_eq!(kind(&error), wanted, "{code}: {error}");
        if ["stale", "abort"].contains(&wanted) {
            producer.abort().unwrap();
            assert_eq!(fake.done.lock().unwrap().ended, [(0, false)], "{code}");
        }
    }
}

#[test]
fn an_end_whose_answer_is_lost_is_asked_for_again_and_has_happened_once() {
    for told in [15, 16, 14, 51, 7, 13, 19, 20].map(FakeFate::Code).into_iter().chain([FakeFate::CutAnswer, FakeFate::Nonsense]) {
        for commits in [true, false] {
            let (fake, mut producer, drained) = produce(&[]);
            drained.unwrap();
            fake.tell(Api::EndTxn, [told]);
            if commits {
                producer.commit().unwrap()
            } else {
                producer.abort().unwrap()
            }
            assert_eq!(fake.done.lock().unwrap().ended, [(0, commits)], "{told:?}");
            producer.begin().unwrap();
            put(&mut producer, "out", 0, "next").unwrap();
            producer.commit().unwrap();
            assert_eq!(fake.done.lock().unwrap().ended, [(0, commits), (1, true)], "{told:?}");
        }
    }
}

#[test]
fn an_end_that_is_refused_is_never_taken_for_one() {
    for (code, commit, abort) in [
        (47, "fenced", "fenced"),
        (90, "fenced", "fenced"),
        (48, "fatal", "fatal"),
        (49, "fatal", "fatal"),
        (53, "fatal", "fatal"),
        (-1, "fatal", "fatal"),
        (59, "abort", "fatal"),
        (120, "abort", "fatal"),
    ] {
        let (fake, mut producer, _) = produce(&[]);
        fake.tell(Api::EndTxn, [FakeFate::Code(code)]);
        assert_eq!(kind(&producer.commit().unwrap_err()), commit, "{code}");
        let (fake, mut producer, _) = produce(&[]);
        fake.tell(Api::EndTxn, [FakeFate::Code(code)]);
        assert_eq!(kind(&producer.abort().unwrap_err()), abort, "{code}");
    }
    // What is never answered may have happened: nobody says that it has, or that it has not.
    let fake = FakeBroker::start(&["out"]);
    let mut producer = start(&fake, 1_200);
    producer.begin().unwrap();
    put(&mut producer, "out", 0, "a").unwrap();
    producer.drain().unwrap();
    fake.tell(Api::EndTxn, std::iter::repeat_n(FakeFate::CutAnswer, 100_000));
    assert_eq!(kind(&producer.commit().unwrap_err()), "fatal");
}

#[test]
fn a_fencing_after_the_transactions_time_is_its_age() {
    let fake = FakeBroker::start(&["out"]);
    let mut producer = start(&fake, 4_000);
    producer.begin().unwrap();
    put(&mut producer, "out", 0, "a").unwrap();
    producer.drain().unwrap();
    producer.expires = Deadline::after(Duration::ZERO);
    fake.tell(Api::EndTxn, [FakeFate::Code(90)]);
    assert_eq!(kind(&producer.commit().unwrap_err()), "fatal");
}

#[test]
fn a_producer_starts_when_the_coordinator_lets_it() {
    for told in [14, 15, 16, 51, 120, 7, 13, 19, 20].map(FakeFate::Code).into_iter().chain([FakeFate::CutAnswer, FakeFate::Nonsense]) {
        let fake = FakeBroker::start(&["out"]);
        fake.tell(Api::InitProducerId, [told]);
        fake.tell(Api::FindCoordinator, [FakeFate::Code(15)]);
        drop(start(&fake, 4_000));
    }
    for (code, is_refused) in [(53, true), (31, true), (35, true), (50, false), (90, false), (47, false), (-1, false)] {
        let fake = FakeBroker::start(&["out"]);
        fake.tell(Api::InitProducerId, [FakeFate::Code(code)]);
        let Err(StartError::Client(error)) = try_start(&fake, 4_000, WAIT) else { panic!("{code}") };
        assert_eq!(matches!(error, ClientError::Refused(_)), is_refused, "{code}: {error}");
        assert_eq!(matches!(error, ClientError::Settings(_)), code == 50, "{code}: {error}");
    }
    for code in [53, 31] {
        let fake = FakeBroker::start(&["out"]);
        fake.tell(Api::FindCoordinator, [FakeFate::Code(code)]);
        let Err(StartError::Client(error)) = try_start(&fake, 4_000, WAIT) else { panic!("{code}") };
        assert!(matches!(error, ClientError::Refused(_)), "{code}: {error}");
    }
    let nobody = FakeBroker { port: 1, done: std::sync::Arc::default() };
    let Err(StartError::Client(error)) = try_start(&nobody, 4_000, Duration::from_millis(300)) else { panic!() };
    assert!(matches!(error, ClientError::Unavailable(_)), "{error}");
}

#[test]
fn what_was_never_sent_needs_no_end() {
    let fake = FakeBroker::start(&["out"]);
    let mut producer = start(&fake, 4_000);
    for commits in [true, false] {
        producer.begin().unwrap();
        if commits {
            producer.commit().unwrap();
        } else {
            put(&mut producer, "out", 0, "a").unwrap();
            producer.abort().unwrap();
        }
    }
    assert!(!fake.done.lock().unwrap().calls.contains(&Api::EndTxn));
}

#[test]
fn offsets_that_are_not_named_are_not_committed() {
    let offset = |topic, partition| TxnOffset { topic, partition, offset: 1, note: "" };
    let answer = |topic: &str, partition, code| (topic.into(), partition, ErrorCode(code));
    let asked = [offset("a", 0), offset("a", 1), offset("b", 0)];
    let judge = |answers: &[OffsetAnswer]| judge_offsets(answers, &asked).0;
    let whole = [answer("b", 0, 0), answer("a", 0, 0), answer("a", 1, 0)];
    assert_eq!(judge(&whole), CoordinatorVerdict::Done);
    let twice = [answer("a", 0, 0), answer("a", 0, 0), answer("b", 0, 0)];
    assert_eq!(judge(&twice), CoordinatorVerdict::AgainLater, "one comes twice, and another one not at all");
    assert_eq!(judge(&whole[..2]), CoordinatorVerdict::AgainLater);
    assert_eq!(judge(&[]), CoordinatorVerdict::AgainLater);
    let refused = [&whole[..], &[answer("a", 1, 22)]].concat();
    assert_eq!(judge(&refused), CoordinatorVerdict::Failed(CallFailure::StaleMember), "and what is said besides counts");
}

#[test]
fn a_leader_that_names_its_successor_spares_the_look() {
    let (before, after) = (FakeBroker::start(&["out"]), FakeBroker::start(&["out"]));
    let mut producer = start(&before, 4_000);
    producer.begin().unwrap();
    put(&mut producer, "out", 0, "a").unwrap();
    put(&mut producer, "out", 1, "b").unwrap();
    let looks = |fake: &FakeBroker| fake.done.lock().unwrap().calls.iter().filter(|call| **call == Api::Metadata).count();
    let looked = looks(&before);
    before.tell(Api::Produce, [FakeFate::MovedTo(after.port)]);
    producer.drain().unwrap();
    assert_eq!((looks(&before), looks(&after)), (looked, 0));
    assert_eq!((before.done.lock().unwrap().taken.len(), after.done.lock().unwrap().taken.len()), (0, 2));
    producer.commit().unwrap();
}

#[test]
fn a_broker_that_wants_nothing_for_a_while_gets_nothing() {
    const THROTTLED_MS: u64 = 300;
    let fake = FakeBroker::start(&["out"]);
    let mut producer = start(&fake, 8_000);
    producer.begin().unwrap();
    fake.tell(Api::Produce, [FakeFate::Throttled(THROTTLED_MS as i32)]);
    put(&mut producer, "out", 0, "a").unwrap();
    producer.drain().unwrap();
    put(&mut producer, "out", 0, "b").unwrap();
    producer.drain().unwrap();
    producer.commit().unwrap();
    let done = fake.done.lock().unwrap();
    let [first, second] = done.came_at[..] else { panic!("{:?}", done.calls) };
    assert!(second - first >= Duration::from_millis(THROTTLED_MS), "{:?}", second - first);
    assert_eq!((done.taken.len(), done.ended.as_slice()), (2, [(0, true)].as_slice()));
}

#[test]
fn what_metadata_says_of_a_topic_is_said_of_it() {
    for (code, wanted) in [(29, Some("route")), (17, Some("route")), (5, None), (3, None)] {
        let fake = FakeBroker::start(&["out"]);
        let mut producer = start(&fake, 4_000);
        producer.begin().unwrap();
        fake.tell(Api::Metadata, [FakeFate::Code(code)]);
        let said = put(&mut producer, "out", 0, "a");
        assert_eq!(said.as_ref().err().map(kind), wanted, "{code}: {said:?}");
    }
}

/// The sequences of the next transaction would begin again under the same epoch, and be taken for repetitions.
#[test]
fn an_epoch_that_is_not_raised_ends_the_producer() {
    for commits in [true, false] {
        let (fake, mut producer, _) = produce(&[]);
        fake.tell(Api::EndTxn, [FakeFate::Unraised]);
        let ended = if commits { producer.commit() } else { producer.abort() };
        assert_eq!(kind(&ended.unwrap_err()), "fatal");
        assert!(producer.begin().is_err());
    }
}

/// What another one of the name does between a transaction's failure and its abort is seen by the abort.
#[test]
fn after_a_commit_of_unknown_outcome_nothing_is_left_but_another_producer() {
    let (fake, mut producer, _) = produce(&[]);
    fake.tell(Api::EndTxn, [FakeFate::Code(-1)]);
    assert_eq!(kind(&producer.commit().unwrap_err()), "fatal");
    let ends = |fake: &FakeBroker| fake.done.lock().unwrap().calls.iter().filter(|call| **call == Api::EndTxn).count();
    let asked = ends(&fake);
    assert_eq!(kind(&producer.abort().unwrap_err()), "fatal", "it may be committed: nobody aborts it");
    assert_eq!(ends(&fake), asked);
    let (fake, mut producer, drained) = produce(&[FakeFate::Code(47)]);
    assert_eq!(kind(&drained.unwrap_err()[0]), "abort");
    fake.tell(Api::EndTxn, [FakeFate::Code(90)]);
    assert_eq!(kind(&producer.abort().unwrap_err()), "fenced");
}
