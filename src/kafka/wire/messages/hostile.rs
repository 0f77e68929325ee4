//! Answers that nobody means well with: whatever a frame holds, nothing panics, and no more memory is taken than the frame can account for.
//!
//! Each call's whole answer, as another implementation writes it, is changed at random and read. `SHARECAST_HOSTILE` says how often for
//! each call; `SHARECAST_SEED` begins elsewhere.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use kafka_protocol::messages as other;

use super::tests::{answer, ends_answer, fetch_answer, metadata_answer, produce_answer, text};
use super::*;
use crate::kafka::client::Deadline;
use crate::kafka::settings::KafkaSettings;
use crate::kafka::wire::connection::BrokerConnection;
use crate::kafka::wire::settings::WireSettings;

/// Counts what each thread takes.
struct Counting;

thread_local! {
    static TAKEN: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; what is counted is a number of this thread, which needs no destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        TAKEN.set(TAKEN.get().saturating_add(layout.size()));
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        TAKEN.set(TAKEN.get().saturating_add(size));
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The bytes that this thread takes in all while `doing`, given back or not.
pub(in crate::kafka::wire) fn taken<T>(doing: impl FnOnce() -> T) -> usize {
    let before = TAKEN.get();
    drop(doing());
    TAKEN.get() - before
}

/// An array doubles as it grows, and an element is larger than the fewest bytes that it takes in a frame: a topic without a name takes three.
const TAKEN_A_BYTE: usize = 100;
/// Of the smallest frame.
const TAKEN_AT_LEAST: usize = 1024;

fn read_as(api: Api, frame: &[u8]) {
    let Ok((_, rest)) = api.answer(frame) else { return };
    match api {
        Api::Versions => drop(handshake::read_versions(rest)),
        Api::SaslHandshake => drop(handshake::read_mechanisms(rest)),
        Api::SaslAuthenticate => drop(handshake::read_login(rest)),
        Api::Metadata => drop(metadata::read_topics(rest)),
        Api::FindCoordinator => drop(metadata::read_coordinator(rest)),
        Api::InitProducerId | Api::EndTxn => drop(commit::read_identity(rest)),
        Api::Produce => drop(produce::read_produce(rest)),
        Api::TxnOffsetCommit => drop(commit::read_offsets(rest)),
        Api::LeaveGroup => drop(leave::read_leave(rest)),
        Api::Fetch => drop(fetch::read_fetch(rest, frame.len())),
        Api::OffsetForLeaderEpoch => drop(leader_epoch::read_ends(rest)),
    }
}

/// An answer with something in each of its fields.
fn whole(api: Api) -> Vec<u8> {
    match api {
        Api::Versions => {
            let call = |api: Api| {
                other::api_versions_response::ApiVersion::default()
                    .with_api_key(api.key())
                    .with_min_version(0)
                    .with_max_version(api.version())
            };
            let level = other::api_versions_response::FinalizedFeatureKey::default()
                .with_name(text("transaction.version"))
                .with_max_version_level(2)
                .with_min_version_level(1);
            let whole = other::ApiVersionsResponse::default()
                .with_api_keys(Api::ALL.into_iter().map(call).collect())
                .with_finalized_features_epoch(12)
                .with_finalized_features(vec![level]);
            answer(api, &whole, 0)
        }
        Api::SaslHandshake => {
            answer(api, &other::SaslHandshakeResponse::default().with_mechanisms(vec![text("PLAIN"), text("SCRAM-SHA-256")]), 0)
        }
        Api::SaslAuthenticate => {
            let token = bytes::Bytes::from_static(b"r=mine1,s=QSXCR+Q6sek8bf92,i=4096");
            let login = other::SaslAuthenticateResponse::default().with_error_message(Some(text("why"))).with_auth_bytes(token);
            answer(api, &login.with_session_lifetime_ms(9), 1)
        }
        Api::Metadata => metadata_answer(),
        Api::Produce => produce_answer(),
        Api::FindCoordinator => {
            let coordinator = other::find_coordinator_response::Coordinator::default()
                .with_key(text("t"))
                .with_node_id(3.into())
                .with_host(text("host"))
                .with_port(9092)
                .with_error_message(Some(text("why")));
            answer(api, &other::FindCoordinatorResponse::default().with_coordinators(vec![coordinator.clone(), coordinator]), 1)
        }
        Api::InitProducerId => answer(api, &other::InitProducerIdResponse::default().with_producer_id(9.into()).with_producer_epoch(3), 1),
        Api::EndTxn => answer(api, &other::EndTxnResponse::default().with_producer_id(9.into()).with_producer_epoch(3), 1),
        Api::TxnOffsetCommit => {
            let partition = other::txn_offset_commit_response::TxnOffsetCommitResponsePartition::default().with_partition_index(4);
            let topic = other::txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
                .with_name(text("topic").into())
                .with_partitions(vec![partition.clone(), partition]);
            answer(api, &other::TxnOffsetCommitResponse::default().with_topics(vec![topic.clone(), topic]), 1)
        }
        Api::Fetch => fetch_answer(),
        Api::OffsetForLeaderEpoch => ends_answer(),
        Api::LeaveGroup => {
            let member = other::leave_group_response::MemberResponse::default().with_member_id(text("m-1")).with_error_code(25);
            let member = member.with_group_instance_id(Some(text("i")));
            answer(api, &other::LeaveGroupResponse::default().with_members(vec![member.clone(), member]), 1)
        }
    }
}

/// Numbers that lengths go wrong at, as bytes: of one byte, of a varint, and of four.
const WRONG: [&[u8]; 12] = [
    &[0],
    &[1],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x07],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    &[0x80, 0x80, 0x80, 0x80, 0x00],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x00, 0xff, 0xff, 0xff],
];

pub(in crate::kafka::wire) struct Chance(pub(in crate::kafka::wire) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(in crate::kafka::wire) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 16) as usize % end.max(1)
    }
}

/// One change of a frame, which stays below this many bytes.
pub(in crate::kafka::wire) fn change(frame: &mut Vec<u8>, others: &[Vec<u8>], chance: &mut Chance) {
    const LONGEST: usize = 4096;
    let at = chance.below(frame.len() + 1);
    match chance.below(8) {
        0 | 1 => {
            if let Some(byte) = frame.get_mut(at) {
                *byte = chance.next() as u8;
            }
        }
        2 => {
            let wrong = WRONG[chance.below(WRONG.len())];
            let end = (at + wrong.len()).min(frame.len());
            frame.splice(at..end, wrong.iter().copied());
        }
        3 => drop(frame.splice(at..at, WRONG[chance.below(WRONG.len())].iter().copied())),
        4 => frame.truncate(at),
        5 => drop(frame.drain(at..(at + chance.below(9)).min(frame.len()))),
        6 => {
            // Arrays within arrays, as often as it takes.
            let end = (at + chance.below(40)).min(frame.len());
            let part = frame[at..end].to_vec();
            let times = chance.below(1 + (LONGEST - frame.len().min(LONGEST)) / part.len().max(1));
            frame.splice(at..at, part.iter().copied().cycle().take(part.len() * times));
        }
        _ => {
            let other = &others[chance.below(others.len())];
            frame.truncate(at);
            frame.extend_from_slice(&other[chance.below(other.len())..]);
        }
    }
    frame.truncate(LONGEST);
}

pub(in crate::kafka::wire) fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn hostile_answers_neither_panic_nor_take_what_they_do_not_hold() {
    let (executions, seed) = (number("SHARECAST_HOSTILE", 20_000), number("SHARECAST_SEED", 1));
    let wholes: Vec<Vec<u8>> = Api::ALL.into_iter().map(whole).collect();
    std::thread::scope(|scope| {
        let wholes = &wholes;
        for (place, api) in Api::ALL.into_iter().enumerate() {
            scope.spawn(move || {
                let mut chance = Chance((seed * 1_000 + place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let mut frame = Vec::with_capacity(8192);
                for execution in 0..executions {
                    frame.clear();
                    frame.extend_from_slice(&wholes[place]);
                    for _ in 0..execution % 6 {
                        change(&mut frame, wholes, &mut chance);
                    }
                    let took = taken(|| read_as(api, &frame));
                    assert!(
                        took <= TAKEN_AT_LEAST + TAKEN_A_BYTE * frame.len(),
                        "{}: {took} bytes for a frame of {}: {frame:x?}",
                        api.name(),
                        frame.len()
                    );
                }
            });
        }
    });
}

/// A text that stands once in a frame stands once in memory, however many partitions are of it.
#[test]
fn a_long_name_with_many_partitions_is_not_multiplied() {
    let name = text(&"n".repeat(20_000));
    let partition = other::txn_offset_commit_response::TxnOffsetCommitResponsePartition::default();
    let topic = other::txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
        .with_name(name.clone().into())
        .with_partitions(vec![partition; 3_000]);
    let offsets = answer(Api::TxnOffsetCommit, &other::TxnOffsetCommitResponse::default().with_topics(vec![topic]), 1);
    let partition = other::produce_response::PartitionProduceResponse::default();
    let topic =
        other::produce_response::TopicProduceResponse::default().with_name(name.into()).with_partition_responses(vec![partition; 3_000]);
    let produced = answer(Api::Produce, &other::ProduceResponse::default().with_responses(vec![topic]), 1);
    for (api, frame) in [(Api::TxnOffsetCommit, offsets), (Api::Produce, produced)] {
        let took = taken(|| read_as(api, &frame));
        assert!(took <= TAKEN_A_BYTE * frame.len(), "{}: {took} bytes for a frame of {}", api.name(), frame.len());
    }
}

/// Whatever a broker says its answer's length is: memory comes with the bytes.
#[test]
fn a_length_that_nothing_follows_takes_no_memory() {
    for length in [90_000_000_u32, u32::MAX, 0x7fff_ffff, 4, 0] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let broker = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = [0; 4];
            stream.read_exact(&mut asked).unwrap();
            stream.write_all(&[&length.to_be_bytes()[..], &[0; 100]].concat()).unwrap();
        });
        let settings = WireSettings::of(&KafkaSettings { bootstrap: "b:1".to_owned(), ..KafkaSettings::default() });
        let settings = settings.ok().unwrap();
        let mut is_refused = false;
        let took = taken(|| {
            is_refused = BrokerConnection::open("127.0.0.1", port, &settings, Deadline::after(Duration::from_secs(20))).is_err();
        });
        broker.join().unwrap();
        assert!(is_refused && took < 1 << 20, "{took} bytes for an answer of {length}");
    }
}
