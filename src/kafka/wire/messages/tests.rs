//! Each call against another implementation of it, and against answers that are not as they must be.

use kafka_protocol::messages as other;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::commit::{MemberIdentity, ProducerIdentity, TxnOffset};
use super::fetch::{FetchPlace, FetchSize, PartitionLeader};
use super::leader_epoch::EpochPlace;
use super::metadata::{CoordinatorKind, TopicId};
use super::produce::{GatheredRequest, ProduceBatch};
use super::*;
use crate::kafka::wire::error_code::ErrorCode;

fn request(api: Api, ask: impl FnOnce(&mut FrameWriter)) -> Vec<u8> {
    let mut frame = api.request(7, "me");
    ask(&mut frame);
    frame.bytes
}

/// The request as the other implementation reads it; all of it must be read.
fn read_as<T: Decodable>(api: Api, request: &[u8], header_version: i16) -> T {
    let mut bytes = bytes::Bytes::copy_from_slice(&request[4..]);
    let header = other::RequestHeader::decode(&mut bytes, header_version).unwrap();
    assert_eq!((header.request_api_key, header.request_api_version, header.correlation_id), (api.key(), api.version(), 7));
    assert_eq!(header.client_id.as_deref(), Some("me"));
    let found = T::decode(&mut bytes, api.version()).unwrap();
    assert!(bytes.is_empty(), "{} is read to its end", api.name());
    found
}

/// An answer as the other implementation writes it.
pub(super) fn answer(api: Api, answer: &impl Encodable, header_version: i16) -> Vec<u8> {
    let mut bytes = bytes::BytesMut::new();
    other::ResponseHeader::default().with_correlation_id(7).encode(&mut bytes, header_version).unwrap();
    answer.encode(&mut bytes, api.version()).unwrap();
    bytes.to_vec()
}

fn read<T>(api: Api, frame: &[u8], read: impl FnOnce(FrameReader<'_>) -> Result<T, MalformedAnswer>) -> T {
    let (correlation, rest) = api.answer(frame).unwrap();
    assert_eq!(correlation, 7);
    read(rest).unwrap()
}

pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

const ME: ProducerIdentity = ProducerIdentity { id: 1 << 40, epoch: 32_766 };

#[test]
fn requests_are_read_by_another_implementation() {
    let api = Api::Versions;
    let found: other::ApiVersionsRequest = read_as(api, &request(api, handshake::ask_versions), 2);
    assert_eq!(&*found.client_software_name, "sharecast");
    let api = Api::SaslHandshake;
    let found: other::SaslHandshakeRequest = read_as(api, &request(api, |frame| handshake::ask_mechanism(frame, "PLAIN")), 1);
    assert_eq!(&*found.mechanism, "PLAIN");
    let api = Api::SaslAuthenticate;
    let found: other::SaslAuthenticateRequest = read_as(api, &request(api, |frame| handshake::ask_login(frame, b"\0u\0p")), 2);
    assert_eq!(&found.auth_bytes[..], b"\0u\0p");
    let api = Api::Metadata;
    let found: other::MetadataRequest = read_as(api, &request(api, |frame| metadata::ask_topics(frame, &["a", "b"])), 2);
    let names: Vec<String> = found.topics.unwrap().iter().map(|topic| topic.name.as_ref().unwrap().to_string()).collect();
    assert!(names == ["a", "b"] && !found.allow_auto_topic_creation);
    let api = Api::FindCoordinator;
    let ask = |frame: &mut FrameWriter| metadata::ask_coordinator(frame, CoordinatorKind::Transaction, "t");
    let found: other::FindCoordinatorRequest = read_as(api, &request(api, ask), 2);
    assert!(found.key_type == 1 && found.coordinator_keys == [text("t")]);
    let api = Api::InitProducerId;
    let found: other::InitProducerIdRequest = read_as(api, &request(api, |frame| commit::ask_identity(frame, "t", 10_000)), 2);
    assert_eq!(found.transactional_id.as_ref().map(|id| id.to_string()).as_deref(), Some("t"));
    assert_eq!((found.transaction_timeout_ms, found.producer_id.0, found.producer_epoch), (10_000, -1, -1));
    let api = Api::EndTxn;
    let found: other::EndTxnRequest = read_as(api, &request(api, |frame| commit::ask_end(frame, "t", ME, true)), 2);
    assert!(found.producer_id.0 == ME.id && found.producer_epoch == ME.epoch && found.committed);
    assert_eq!(found.transactional_id.to_string(), "t");
    let (api, members) = (Api::LeaveGroup, ["m-1".to_owned(), "m-2".to_owned()]);
    let found: other::LeaveGroupRequest = read_as(api, &request(api, |frame| leave::ask_leave(frame, "g", &members, "why")), 2);
    let asked: Vec<(&str, bool, Option<&str>)> =
        found.members.iter().map(|m| (&*m.member_id, m.group_instance_id.is_none(), m.reason.as_deref())).collect();
    assert_eq!((found.group_id.to_string().as_str(), asked), ("g", vec![("m-1", true, Some("why")), ("m-2", true, Some("why"))]));
}

#[test]
fn offsets_are_read_by_another_implementation() {
    let offsets = [
        TxnOffset { topic: "a", partition: 0, offset: 5, note: "" },
        TxnOffset { topic: "a", partition: 3, offset: 1 << 40, note: "n" },
        TxnOffset { topic: "b", partition: 1, offset: 0, note: "" },
    ];
    for instance in [None, Some("static")] {
        let member = MemberIdentity { group: "g", generation: 9, member: "m-1", instance };
        let api = Api::TxnOffsetCommit;
        let ask = |frame: &mut FrameWriter| commit::ask_offsets(frame, "t", ME, member, &offsets);
        let found: other::TxnOffsetCommitRequest = read_as(api, &request(api, ask), 2);
        assert_eq!((found.group_id.to_string(), found.generation_id, &*found.member_id), ("g".to_owned(), 9, "m-1"));
        assert_eq!(found.group_instance_id.as_deref(), instance);
        let flat = found.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (topic.name.to_string(), p)));
        let flat: Vec<(String, i32, i64, String)> = flat
            .map(|(name, p)| (name, p.partition_index, p.committed_offset, p.committed_metadata.as_deref().unwrap().to_owned()))
            .collect();
        let wanted: Vec<_> = offsets.iter().map(|o| (o.topic.to_owned(), o.partition, o.offset, o.note.to_owned())).collect();
        assert!(flat == wanted && found.topics.len() == 2);
    }
}

fn produced(batches: &[ProduceBatch<'_>]) -> Vec<u8> {
    let gathered = GatheredRequest::write(Api::Produce.request(7, "me"), "t", 2_000, batches);
    let whole: Vec<u8> = gathered.slices().iter().flat_map(|slice| slice.iter().copied()).collect();
    assert_eq!(whole[..4], (whole.len() as u32 - 4).to_be_bytes());
    whole
}

#[test]
fn batches_are_read_by_another_implementation() {
    let long = vec![7; 20_000];
    let batches = [
        ProduceBatch { topic: "a", partition: 0, batch: b"first" },
        ProduceBatch { topic: "a", partition: 2, batch: &long },
        ProduceBatch { topic: "b", partition: 1, batch: b"third" },
    ];
    let found: other::ProduceRequest = read_as(Api::Produce, &produced(&batches), 2);
    assert_eq!((found.acks, found.timeout_ms), (-1, 2_000));
    assert_eq!(found.transactional_id.map(|id| id.to_string()).as_deref(), Some("t"));
    let flat = found.topic_data.iter().flat_map(|topic| topic.partition_data.iter().map(move |p| (topic.name.to_string(), p)));
    let flat: Vec<(String, i32, Vec<u8>)> = flat.map(|(name, p)| (name, p.index, p.records.as_ref().unwrap().to_vec())).collect();
    let wanted: Vec<_> = batches.iter().map(|b| (b.topic.to_owned(), b.partition, b.batch.to_vec())).collect();
    assert!(flat == wanted && found.topic_data.len() == 2);
}

#[test]
fn answers_of_another_implementation_are_read() {
    let api = Api::Versions;
    let call = |api: Api| {
        other::api_versions_response::ApiVersion::default().with_api_key(api.key()).with_min_version(0).with_max_version(api.version())
    };
    let calls: Vec<_> = Api::ALL.into_iter().map(call).collect();
    let level = other::api_versions_response::FinalizedFeatureKey::default()
        .with_name(text("transaction.version"))
        .with_max_version_level(2)
        .with_min_version_level(1);
    let mut whole =
        other::ApiVersionsResponse::default().with_api_keys(calls).with_finalized_features_epoch(12).with_finalized_features(vec![level]);
    let found = read(api, &answer(api, &whole, 0), handshake::read_versions);
    assert_eq!((found.transaction_version, found.features_epoch, found.lacks()), (2, 12, None));
    whole.api_keys.retain(|call| call.api_key != Api::EndTxn.key());
    assert_eq!(read(api, &answer(api, &whole, 0), handshake::read_versions).lacks(), Some(Api::EndTxn));

    let api = Api::EndTxn;
    let end = other::EndTxnResponse::default().with_producer_id(ME.id.into()).with_producer_epoch(ME.epoch);
    assert_eq!(read(api, &answer(api, &end, 1), commit::read_identity), (ErrorCode::NONE, ME));
    let api = Api::InitProducerId;
    let init = other::InitProducerIdResponse::default().with_error_code(51);
    assert_eq!(read(api, &answer(api, &init, 1), commit::read_identity).0, ErrorCode::CONCURRENT_TRANSACTIONS);

    let api = Api::FindCoordinator;
    let coordinator = other::find_coordinator_response::Coordinator::default()
        .with_key(text("t"))
        .with_node_id(3.into())
        .with_host(text("h"))
        .with_port(9092);
    let found = other::FindCoordinatorResponse::default().with_coordinators(vec![coordinator]);
    let (error, node) = read(api, &answer(api, &found, 1), metadata::read_coordinator);
    assert_eq!((error, node.node, node.host.as_str(), node.port), (ErrorCode::NONE, 3, "h", 9092));

    let api = Api::TxnOffsetCommit;
    let partition =
        other::txn_offset_commit_response::TxnOffsetCommitResponsePartition::default().with_partition_index(4).with_error_code(22);
    let topic = other::txn_offset_commit_response::TxnOffsetCommitResponseTopic::default()
        .with_name(text("a").into())
        .with_partitions(vec![partition]);
    let offsets = other::TxnOffsetCommitResponse::default().with_topics(vec![topic]);
    let wanted = [("a".into(), 4, ErrorCode::ILLEGAL_GENERATION)];
    assert_eq!(read(api, &answer(api, &offsets, 1), commit::read_offsets), wanted);

    let api = Api::LeaveGroup;
    let member =
        |id: &str, code: i16| other::leave_group_response::MemberResponse::default().with_member_id(text(id)).with_error_code(code);
    let left = other::LeaveGroupResponse::default().with_members(vec![member("m-1", 0), member("m-2", 25)]);
    let wanted = vec![("m-1".to_owned(), ErrorCode::NONE), ("m-2".to_owned(), ErrorCode::UNKNOWN_MEMBER_ID)];
    assert_eq!(read(api, &answer(api, &left, 1), leave::read_leave), (ErrorCode::NONE, wanted));

    let api = Api::SaslAuthenticate;
    let login = other::SaslAuthenticateResponse::default().with_auth_bytes(bytes::Bytes::from_static(b"v=")).with_session_lifetime_ms(9);
    let found = read(api, &answer(api, &login, 1), handshake::read_login);
    assert_eq!((found.token.as_slice(), found.lifetime_ms), (b"v=".as_slice(), 9));
    let api = Api::SaslHandshake;
    let mechanisms = other::SaslHandshakeResponse::default().with_mechanisms(vec![text("PLAIN")]);
    assert_eq!(read(api, &answer(api, &mechanisms, 0), handshake::read_mechanisms).1, ["PLAIN"]);
}

pub(super) fn metadata_answer() -> Vec<u8> {
    let node = |id: i32| {
        other::metadata_response::MetadataResponseBroker::default().with_node_id(id.into()).with_host(text("h")).with_port(9000 + id)
    };
    let partition = |index: i32, leader: i32| {
        other::metadata_response::MetadataResponsePartition::default()
            .with_partition_index(index)
            .with_leader_id(leader.into())
            .with_leader_epoch(10 + index)
            .with_replica_nodes(vec![1.into(), 2.into()])
    };
    let topic = other::metadata_response::MetadataResponseTopic::default()
        .with_name(Some(text("a").into()))
        .with_topic_id("04040404-0404-0404-0404-040404040404".parse().unwrap())
        .with_partitions(vec![partition(1, 2), partition(0, 1)]);
    let missing = other::metadata_response::MetadataResponseTopic::default().with_name(Some(text("b").into())).with_error_code(3);
    let whole = other::MetadataResponse::default().with_brokers(vec![node(1), node(2)]).with_topics(vec![topic, missing]);
    answer(Api::Metadata, &whole, 1)
}

pub(super) fn produce_answer() -> Vec<u8> {
    let leader = other::produce_response::LeaderIdAndEpoch::default().with_leader_id(2.into()).with_leader_epoch(5);
    let moved = other::produce_response::PartitionProduceResponse::default().with_index(1).with_error_code(6).with_current_leader(leader);
    let refused = other::produce_response::PartitionProduceResponse::default().with_index(0).with_error_code(87).with_record_errors(vec![
        other::produce_response::BatchIndexAndErrorMessage::default().with_batch_index_error_message(Some(text("why"))),
    ]);
    let topic =
        other::produce_response::TopicProduceResponse::default().with_name(text("a").into()).with_partition_responses(vec![moved, refused]);
    let node = other::produce_response::NodeEndpoint::default().with_node_id(2.into()).with_host(text("h")).with_port(9002);
    let whole = other::ProduceResponse::default().with_responses(vec![topic]).with_throttle_time_ms(30).with_node_endpoints(vec![node]);
    answer(Api::Produce, &whole, 1)
}

pub(super) fn fetch_answer() -> Vec<u8> {
    let part = other::fetch_response::PartitionData::default().with_partition_index(4).with_high_watermark(90).with_last_stable_offset(80);
    let aborted = |producer: i64, first: i64| {
        other::fetch_response::AbortedTransaction::default().with_producer_id(producer.into()).with_first_offset(first)
    };
    let full = part
        .clone()
        .with_records(Some(bytes::Bytes::from_static(b"batches")))
        .with_aborted_transactions(Some(vec![aborted(7, 30), aborted(8, 20)]));
    let leader = other::fetch_response::LeaderIdAndEpoch::default().with_leader_id(2.into()).with_leader_epoch(6);
    let moved = part.with_partition_index(5).with_error_code(6).with_current_leader(leader).with_aborted_transactions(None);
    let topic = |id: u8, partitions| {
        other::fetch_response::FetchableTopicResponse::default()
            .with_topic_id(format!("{id:02x}").repeat(16).parse().unwrap())
            .with_partitions(partitions)
    };
    let node = other::fetch_response::NodeEndpoint::default().with_node_id(2.into()).with_host(text("h")).with_port(9002);
    let whole = other::FetchResponse::default()
        .with_throttle_time_ms(30)
        .with_responses(vec![topic(1, vec![full.clone(), moved]), topic(2, vec![full])])
        .with_node_endpoints(vec![node]);
    answer(Api::Fetch, &whole, 1)
}

pub(super) fn ends_answer() -> Vec<u8> {
    let end = |partition: i32, code: i16| {
        let end = other::offset_for_leader_epoch_response::EpochEndOffset::default().with_partition(partition).with_error_code(code);
        end.with_leader_epoch(3).with_end_offset(1 << 40)
    };
    let topic = other::offset_for_leader_epoch_response::OffsetForLeaderTopicResult::default()
        .with_topic(text("a").into())
        .with_partitions(vec![end(0, 0), end(2, 6)]);
    answer(Api::OffsetForLeaderEpoch, &other::OffsetForLeaderEpochResponse::default().with_topics(vec![topic]), 1)
}

#[test]
fn what_is_fetched_is_asked_for_as_another_implementation_reads_it() {
    let ids = [TopicId([1; 16]), TopicId([2; 16])];
    let place = |topic, partition, offset| FetchPlace { topic, partition, leader_epoch: 6, offset };
    let places = [place(ids[0], 0, 5), place(ids[0], 3, 1 << 40), place(ids[1], 1, 0)];
    let size = FetchSize { wait_ms: 100, min_bytes: 1, max_bytes: 1 << 23, partition_bytes: 1 << 20 };
    let api = Api::Fetch;
    let found: other::FetchRequest = read_as(api, &request(api, |frame| fetch::ask_fetch(frame, size, &places)), 2);
    assert_eq!((found.max_wait_ms, found.min_bytes, found.max_bytes, found.isolation_level), (100, 1, 1 << 23, 1));
    assert_eq!((found.session_id, found.session_epoch, found.topics.len()), (0, -1, 2));
    let flat = found.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |part| (topic.topic_id.into_bytes(), part)));
    let flat: Vec<_> = flat
        .map(|(id, part)| {
            assert_eq!((part.partition_max_bytes, part.last_fetched_epoch, part.log_start_offset), (1 << 20, -1, -1));
            FetchPlace { topic: TopicId(id), partition: part.partition, leader_epoch: part.current_leader_epoch, offset: part.fetch_offset }
        })
        .collect();
    assert_eq!(flat, places);

    let api = Api::OffsetForLeaderEpoch;
    let places = [
        EpochPlace { topic: "a", partition: 0, leader_epoch: 6, read_epoch: 5 },
        EpochPlace { topic: "b", partition: 2, leader_epoch: 9, read_epoch: 0 },
    ];
    let ask = |frame: &mut FrameWriter| leader_epoch::ask_ends(frame, &places);
    let found: other::OffsetForLeaderEpochRequest = read_as(api, &request(api, ask), 2);
    let flat = found.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |part| (topic.topic.to_string(), part)));
    let flat: Vec<_> = flat.map(|(name, part)| (name, part.partition, part.current_leader_epoch, part.leader_epoch)).collect();
    assert!(flat == [("a".to_owned(), 0, 6, 5), ("b".to_owned(), 2, 9, 0)] && found.replica_id.0 == -1);
}

#[test]
fn what_was_fetched_is_read() {
    let frame = fetch_answer();
    let found = read(Api::Fetch, &frame, |rest| fetch::read_fetch(rest, frame.len()));
    assert_eq!((found.throttle_ms, found.error, found.nodes.len()), (30, ErrorCode::NONE, 1));
    let [full, moved, other] = &found.partitions[..] else { panic!("{found:?}") };
    assert_eq!((full.topic, full.partition, full.error, full.leader), (TopicId([1; 16]), 4, ErrorCode::NONE, None));
    assert_eq!((&frame[full.records.clone()], &frame[other.records.clone()]), (&b"batches"[..], &b"batches"[..]));
    assert_eq!(full.aborted.iter().map(|one| (one.producer_id, one.first_offset)).collect::<Vec<_>>(), [(7, 30), (8, 20)]);
    assert_eq!((moved.error, moved.records.len()), (ErrorCode::NOT_LEADER_OR_FOLLOWER, 0));
    assert_eq!(moved.leader, Some(PartitionLeader { node: 2, epoch: 6 }));
    assert_eq!(other.topic, TopicId([2; 16]));

    let ends = read(Api::OffsetForLeaderEpoch, &ends_answer(), leader_epoch::read_ends);
    let ends: Vec<_> = ends.iter().map(|end| (&*end.topic, end.partition, end.error, end.epoch, end.end)).collect();
    assert_eq!(ends, [("a", 0, ErrorCode::NONE, 3, 1 << 40), ("a", 2, ErrorCode::NOT_LEADER_OR_FOLLOWER, 3, 1 << 40)]);
}

#[test]
fn leaders_and_what_became_of_batches_are_read() {
    let (nodes, topics) = read(Api::Metadata, &metadata_answer(), metadata::read_topics);
    assert_eq!(nodes.iter().map(|node| (node.node, node.port)).collect::<Vec<_>>(), [(1, 9001), (2, 9002)]);
    assert_eq!((topics[0].name.as_str(), topics[0].leaders.as_slice()), ("a", [1, 2].as_slice()));
    assert_eq!((topics[0].id, topics[0].epochs.as_slice()), (TopicId([4; 16]), [10, 11].as_slice()));
    assert_eq!((topics[1].error, topics[1].leaders.len()), (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, 0));

    let found = read(Api::Produce, &produce_answer(), produce::read_produce);
    assert_eq!((found.throttle_ms, found.nodes.len()), (30, 1));
    let [moved, refused] = &found.partitions[..] else { panic!("{found:?}") };
    assert_eq!((moved.partition, moved.error, moved.leader), (1, ErrorCode::NOT_LEADER_OR_FOLLOWER, Some(2)));
    assert_eq!((refused.error, refused.words.as_deref(), refused.leader), (ErrorCode::INVALID_RECORD, Some("why"), None));
}

#[test]
fn whoever_does_not_know_this_question_for_versions_is_too_old() {
    // As Kafka says it, and as the mock of librdkafka does.
    for rest in [&[0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 2][..], &[0, 35, 1, 0, 18, 0, 0, 0, 2, 0, 0, 0, 0]] {
        let frame = [&[0, 0, 0, 7][..], rest].concat();
        let (_, answer) = Api::Versions.answer(&frame).unwrap();
        assert!(handshake::read_versions(answer).unwrap().lacks().is_some(), "{rest:?}");
    }
}
