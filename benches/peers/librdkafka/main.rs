//! A pass-through on the librdkafka that the engine links: consume, write `PEERS_FANOUT` copies with key and timestamp,
//! sorted by partition in pieces, one transaction a batch. It does no work, so it shows what that client costs at least.
#![allow(unsafe_code)]

use std::env;
use std::ffi::{CString, c_void};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::producer::{BaseProducer, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rdkafka_sys as rd;

const BATCH: usize = 10_000;
const INTERVAL: Duration = Duration::from_millis(100);
/// Outputs that are put in the order of their partitions; they fit the cache of a core.
const PIECE: usize = 2_048;
const PARTITIONS: u32 = 4;
const CALLS: Duration = Duration::from_secs(30);

static ENDED: AtomicBool = AtomicBool::new(false);

fn main() {
    let job = Job::of_environment();
    let consumer = job.consumer();
    let producer = job.producer();
    let topics = job.topics(&producer);
    if job.is_exact {
        producer.init_transactions(CALLS).expect("the producer's transactional id");
    }
    consumer.subscribe(&[&job.input]).expect("a subscription");
    stop_on_sigterm();
    println!("ready");
    while !ENDED.load(Ordering::Relaxed) {
        let batch = gather(&consumer);
        if batch.is_empty() {
            continue;
        }
        job.write(&batch, &producer, &topics, &consumer);
    }
}

struct Job {
    bootstrap: String,
    input: String,
    output: String,
    group: String,
    compression: String,
    fan_out: u32,
    tenants: u32,
    is_exact: bool,
}

impl Job {
    fn of_environment() -> Self {
        let text = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set: start this peer by benches/peers/run"));
        let number = |name: &str| text(name).parse().unwrap_or_else(|_| panic!("{name} is not a number"));
        Self {
            bootstrap: text("PEERS_BOOTSTRAP"),
            input: text("PEERS_INPUT"),
            output: text("PEERS_OUTPUT"),
            group: text("PEERS_GROUP"),
            compression: text("PEERS_COMPRESSION"),
            fan_out: number("PEERS_FANOUT"),
            tenants: number("PEERS_TENANTS"),
            is_exact: text("PEERS_DELIVERY") == "exactly_once",
        }
    }

    /// The same settings as the engine's.
    fn consumer(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            .set("group.id", &self.group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "earliest")
            .set("fetch.wait.max.ms", "100")
            .set("queued.max.messages.kbytes", "65536")
            .create()
            .expect("a consumer")
    }

    fn producer(&self) -> BaseProducer {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("compression.codec", &self.compression)
            .set("linger.ms", "20")
            .set("batch.size", "900000")
            .set("queue.buffering.max.messages", "500000")
            .set("queue.buffering.max.kbytes", "262144")
            .set("enable.idempotence", "true")
            .set("delivery.report.only.error", "true");
        if self.is_exact {
            config.set("transactional.id", &self.group);
        }
        config.create().expect("a producer")
    }

    fn topics(&self, producer: &BaseProducer) -> Vec<*mut rd::RDKafkaTopic> {
        let topic = |number: u32| {
            let name = CString::new(format!("{}.t{number:03}.telemetry", self.output)).expect("a name without NUL");
            // SAFETY: client and name live through the call, which copies the name; handles live as long as the process.
            unsafe { rd::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), ptr::null_mut()) }
        };
        (0..self.tenants).map(topic).collect()
    }

    fn write(&self, batch: &[BorrowedMessage<'_>], producer: &BaseProducer, topics: &[*mut rd::RDKafkaTopic], consumer: &BaseConsumer) {
        if self.is_exact {
            producer.begin_transaction().expect("a transaction");
        }
        let mut piece = Vec::with_capacity(PIECE + 64);
        for (index, record) in batch.iter().enumerate() {
            let asset = asset_number(record.key().expect("a key"));
            for slot in 0..self.fan_out {
                let target = (asset % self.tenants + 1 + 7 * slot) % self.tenants;
                piece.push((target * PARTITIONS + asset / self.tenants % PARTITIONS, index));
            }
            if piece.len() >= PIECE {
                put(&mut piece, batch, producer, topics);
            }
        }
        put(&mut piece, batch, producer, topics);
        producer.flush(CALLS).expect("a flush");
        let offsets = next_offsets(batch);
        if self.is_exact {
            let group = consumer.group_metadata().expect("the group's metadata");
            producer.send_offsets_to_transaction(&offsets, &group, CALLS).expect("offsets in the transaction");
            producer.commit_transaction(CALLS).expect("a commit");
        } else {
            consumer.commit(&offsets, CommitMode::Sync).expect("a commit of offsets");
        }
    }
}

fn asset_number(key: &[u8]) -> u32 {
    key[1..].iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0'))
}

fn gather(consumer: &BaseConsumer) -> Vec<BorrowedMessage<'_>> {
    let mut batch = Vec::with_capacity(BATCH);
    let began = Instant::now();
    while batch.len() < BATCH {
        let left = INTERVAL.saturating_sub(began.elapsed());
        if left.is_zero() {
            break;
        }
        match consumer.poll(left) {
            Some(Ok(record)) => batch.push(record),
            Some(Err(error)) => panic!("{error}"),
            None => {}
        }
    }
    batch
}

/// Puts each output of the piece, partition by partition, and empties it.
fn put(
    piece: &mut Vec<(u32, usize)>,
    batch: &[BorrowedMessage<'_>],
    producer: &BaseProducer<DefaultProducerContext>,
    topics: &[*mut rd::RDKafkaTopic],
) {
    piece.sort_unstable();
    for (route, index) in piece.drain(..) {
        let record = &batch[index];
        let (key, value) = (record.key().unwrap_or_default(), record.payload().unwrap_or_default());
        let partition = i32::try_from(route % PARTITIONS).expect("four partitions");
        let mut arguments = [
            argument(
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                rd::rd_kafka_vu_s__bindgen_ty_1 { rkt: topics[(route / PARTITIONS) as usize] },
            ),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, rd::rd_kafka_vu_s__bindgen_ty_1 { i32_: partition }),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, rd::rd_kafka_vu_s__bindgen_ty_1 { i: rd::RD_KAFKA_MSG_F_COPY }),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, memory(key)),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, memory(value)),
            argument(
                rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                rd::rd_kafka_vu_s__bindgen_ty_1 { i64_: record.timestamp().to_millis().unwrap_or(0) },
            ),
        ];
        // SAFETY: client and topic handle live; key and value are copied before the call returns.
        let error = unsafe { rd::rd_kafka_produceva(producer.client().native_ptr(), arguments.as_mut_ptr(), arguments.len()) };
        assert!(error.is_null(), "librdkafka did not take a record");
    }
    producer.poll(Duration::ZERO);
}

fn argument(vtype: rd::rd_kafka_vtype_t, u: rd::rd_kafka_vu_s__bindgen_ty_1) -> rd::rd_kafka_vu_t {
    rd::rd_kafka_vu_t { vtype, u }
}

fn memory(bytes: &[u8]) -> rd::rd_kafka_vu_s__bindgen_ty_1 {
    let mem = rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: bytes.as_ptr().cast_mut().cast::<c_void>(), size: bytes.len() };
    rd::rd_kafka_vu_s__bindgen_ty_1 { mem }
}

fn next_offsets(batch: &[BorrowedMessage<'_>]) -> TopicPartitionList {
    let mut next = std::collections::BTreeMap::new();
    for record in batch {
        next.insert(record.partition(), record.offset() + 1);
    }
    let mut list = TopicPartitionList::new();
    for (partition, offset) in next {
        list.add_partition_offset(batch[0].topic(), partition, Offset::Offset(offset)).expect("an offset");
    }
    list
}

fn stop_on_sigterm() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || {
        runtime.block_on(async {
            let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).expect("a handler");
            signal.recv().await;
            ENDED.store(true, Ordering::Relaxed);
        });
    });
}
