//! A broker that answers as it is told, in the words of another implementation of the protocol: what a real one rarely says.

use std::collections::{HashMap, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages as other;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::clock::{BootTime, Clock, SystemClock};
use crate::kafka::wire::messages::Api;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FakeFate {
    /// This error, of every partition where there are any.
    Code(i16),
    /// It is done, and the connection is cut before the answer is whole.
    CutAnswer,
    /// It is done, and answered by what is no answer.
    Nonsense,
    /// The batches are not taken: node 2 leads now, at this port.
    MovedTo(u16),
    /// It is done, and the broker wants nothing more for so many milliseconds.
    Throttled(i32),
    /// A transaction's end is done, and its epoch is said to go on.
    Unraised,
}

/// What the broker was asked for and has done.
#[derive(Debug, Default)]
pub(super) struct FakeLog {
    /// Every call, in order.
    pub(super) calls: Vec<Api>,
    /// The batches that were taken, each once: topic, partition, bytes.
    pub(super) taken: Vec<(String, i32, Vec<u8>)>,
    /// Every batch that came, and when each Produce did.
    pub(super) came: Vec<Vec<u8>>,
    pub(super) came_at: Vec<BootTime>,
    /// How each transaction ended, with its epoch.
    pub(super) ended: Vec<(i16, bool)>,
    pub(super) epoch: i16,
    /// The topics that are there, each with two partitions.
    pub(super) topics: Vec<String>,
    told: HashMap<i16, VecDeque<FakeFate>>,
}

#[derive(Clone)]
pub(super) struct FakeBroker {
    pub(super) port: u16,
    pub(super) done: Arc<Mutex<FakeLog>>,
}

impl FakeBroker {
    pub(super) fn start(topics: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        let fake = Self { port, done: Arc::new(Mutex::new(FakeLog { topics, ..FakeLog::default() })) };
        let serving = fake.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        fake
    }

    /// The next calls of this kind have these fates, one after the other; then all is well.
    pub(super) fn tell(&self, api: Api, told: impl IntoIterator<Item = FakeFate>) {
        self.done.lock().unwrap().told.entry(api.key()).or_default().extend(told);
    }

    fn serve(&self, mut stream: TcpStream) {
        while let Some(frame) = read_frame(&mut stream) {
            let mut bytes = Bytes::from(frame);
            let key = i16::from_be_bytes([bytes[0], bytes[1]]);
            let api = Api::ALL.into_iter().find(|api| api.key() == key).unwrap();
            let header = other::RequestHeader::decode(&mut bytes, 2).unwrap();
            let told = {
                let mut done = self.done.lock().unwrap();
                done.calls.push(api);
                done.told.get_mut(&key).and_then(VecDeque::pop_front)
            };
            let code = if let Some(FakeFate::Code(code)) = told { code } else { 0 };
            let mut answer = BytesMut::new();
            let header_version = if api == Api::Versions { 0 } else { 1 };
            other::ResponseHeader::default().with_correlation_id(header.correlation_id).encode(&mut answer, header_version).unwrap();
            self.answer(api, (code, told), &mut bytes, &mut answer);
            let mut frame = (answer.len() as u32).to_be_bytes().to_vec();
            frame.extend_from_slice(&answer);
            match told {
                Some(FakeFate::CutAnswer) => {
                    let _ = stream.write_all(&frame[..frame.len() / 2]);
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                Some(FakeFate::Nonsense) => {
                    let _ = stream.write_all(&[0, 0, 0, 9, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
                }
                _ => drop(stream.write_all(&frame)),
            }
        }
    }

    fn answer(&self, api: Api, (code, told): (i16, Option<FakeFate>), request: &mut Bytes, into: &mut BytesMut) {
        let mut done = self.done.lock().unwrap();
        let version = api.version();
        match api {
            Api::Versions => {
                let call = |api: Api| {
                    let call = other::api_versions_response::ApiVersion::default();
                    call.with_api_key(api.key()).with_min_version(0).with_max_version(api.version())
                };
                let level = other::api_versions_response::FinalizedFeatureKey::default()
                    .with_name(text("transaction.version"))
                    .with_max_version_level(2)
                    .with_min_version_level(1);
                let answer = other::ApiVersionsResponse::default()
                    .with_api_keys(Api::ALL.into_iter().map(call).collect())
                    .with_finalized_features_epoch(1)
                    .with_finalized_features(vec![level]);
                answer.encode(into, version).unwrap();
            }
            Api::Metadata => {
                let asked = other::MetadataRequest::decode(request, version).unwrap();
                let topic = |asked: other::metadata_request::MetadataRequestTopic| {
                    let name = asked.name.unwrap();
                    let is_there = done.topics.iter().any(|topic| **topic == **name);
                    let partition = |index: i32| {
                        let partition = other::metadata_response::MetadataResponsePartition::default();
                        partition.with_partition_index(index).with_leader_id(1.into())
                    };
                    let topic = other::metadata_response::MetadataResponseTopic::default().with_name(Some(name));
                    match code {
                        0 if is_there => topic.with_partitions(vec![partition(0), partition(1)]),
                        0 => topic.with_error_code(3),
                        code => topic.with_error_code(code),
                    }
                };
                let node = other::metadata_response::MetadataResponseBroker::default()
                    .with_node_id(1.into())
                    .with_host(text("127.0.0.1"))
                    .with_port(self.port.into());
                let topics = asked.topics.unwrap_or_default().into_iter().map(topic).collect();
                other::MetadataResponse::default().with_brokers(vec![node]).with_topics(topics).encode(into, version).unwrap();
            }
            Api::FindCoordinator => {
                let coordinator = other::find_coordinator_response::Coordinator::default()
                    .with_node_id(1.into())
                    .with_host(text("127.0.0.1"))
                    .with_port(self.port.into())
                    .with_error_code(code);
                other::FindCoordinatorResponse::default().with_coordinators(vec![coordinator]).encode(into, version).unwrap();
            }
            Api::InitProducerId => {
                let answer = other::InitProducerIdResponse::default().with_error_code(code).with_producer_id(7.into());
                answer.with_producer_epoch(done.epoch).encode(into, version).unwrap();
            }
            Api::EndTxn => {
                let asked = other::EndTxnRequest::decode(request, version).unwrap();
                // A repetition under the epoch before is known as one.
                if code == 0 && asked.producer_epoch == done.epoch {
                    done.ended.push((asked.producer_epoch, asked.committed));
                    done.epoch += 1;
                }
                let answer = other::EndTxnResponse::default().with_error_code(code).with_producer_id(7.into());
                let epoch = if told == Some(FakeFate::Unraised) { asked.producer_epoch } else { done.epoch };
                answer.with_producer_epoch(epoch).encode(into, version).unwrap();
            }
            Api::TxnOffsetCommit => {
                let asked = other::TxnOffsetCommitRequest::decode(request, version).unwrap();
                let topic = |topic: other::txn_offset_commit_request::TxnOffsetCommitRequestTopic| {
                    let partition = |p: other::txn_offset_commit_request::TxnOffsetCommitRequestPartition| {
                        let answer = other::txn_offset_commit_response::TxnOffsetCommitResponsePartition::default();
                        answer.with_partition_index(p.partition_index).with_error_code(code)
                    };
                    let partitions = topic.partitions.into_iter().map(partition).collect();
                    let answer = other::txn_offset_commit_response::TxnOffsetCommitResponseTopic::default();
                    answer.with_name(topic.name).with_partitions(partitions)
                };
                let topics = asked.topics.into_iter().map(topic).collect();
                other::TxnOffsetCommitResponse::default().with_topics(topics).encode(into, version).unwrap();
            }
            Api::Produce => {
                let asked = other::ProduceRequest::decode(request, version).unwrap();
                done.came_at.push(SystemClock.boot());
                let moved = if let Some(FakeFate::MovedTo(port)) = told { Some(port) } else { None };
                let code = if moved.is_some() { 6 } else { code };
                let mut topics = Vec::new();
                for topic in asked.topic_data {
                    let mut partitions = Vec::new();
                    for partition in topic.partition_data {
                        let batch = (topic.name.to_string(), partition.index, partition.records.unwrap().to_vec());
                        done.came.push(batch.2.clone());
                        let is_there = done.topics.contains(&batch.0);
                        if code == 0 && is_there && !done.taken.contains(&batch) {
                            done.taken.push(batch);
                        }
                        let code = if is_there { code } else { 3 };
                        let answer = other::produce_response::PartitionProduceResponse::default();
                        let answer = answer.with_index(partition.index).with_error_code(code);
                        let leader = other::produce_response::LeaderIdAndEpoch::default();
                        partitions.push(match moved {
                            Some(_) => answer.with_current_leader(leader.with_leader_id(2.into()).with_leader_epoch(1)),
                            None => answer,
                        });
                    }
                    let answer = other::produce_response::TopicProduceResponse::default();
                    topics.push(answer.with_name(topic.name).with_partition_responses(partitions));
                }
                let node = other::produce_response::NodeEndpoint::default().with_node_id(2.into()).with_host(text("127.0.0.1"));
                let nodes = moved.map(|port| node.with_port(port.into())).into_iter().collect();
                let throttle_ms = if let Some(FakeFate::Throttled(ms)) = told { ms } else { 0 };
                let answer = other::ProduceResponse::default().with_responses(topics).with_node_endpoints(nodes);
                answer.with_throttle_time_ms(throttle_ms).encode(into, version).unwrap();
            }
            Api::LeaveGroup => {
                other::LeaveGroupResponse::default().with_error_code(code).encode(into, version).unwrap();
            }
            Api::SaslHandshake | Api::SaslAuthenticate => unreachable!("nobody logs in here"),
            Api::Fetch | Api::OffsetForLeaderEpoch => unreachable!("nobody reads here"),
        }
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame).ok()?;
    Some(frame)
}
