//! What the safe API of rdkafka lacks: events that say which partition they are about, records without a wrapper each, and
//! producing with topic handles. A faster way to consume or produce goes here.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as rd;
use rustc_hash::FxBuildHasher;

use crate::transport::{Output, ProduceError};

/// A client's queue of events. It must be dropped before its client: declare it above the client in a struct.
pub(super) struct Queue {
    queue: NonNull<rd::RDKafkaQueue>,
    /// What librdkafka writes into when something comes; it is told to leave it alone before it is closed.
    bell: Option<UnixStream>,
}

// SAFETY: librdkafka's queues are locked inside; any thread may poll and destroy them.
unsafe impl Send for Queue {}
// SAFETY: as above; an event that a poll hands out belongs to the thread that polled.
unsafe impl Sync for Queue {}

impl Queue {
    /// Records, rebalances and errors of a consumer that has a group; none without.
    pub(super) fn of_consumer<C: ClientContext>(client: &Client<C>) -> Option<Self> {
        // SAFETY: the client lives; the answer is null or a reference of our own, given back in `drop`.
        NonNull::new(unsafe { rd::rd_kafka_queue_get_consumer(client.native_ptr()) }).map(|queue| Self { queue, bell: None })
    }

    /// Delivery reports, errors and log lines of a producer.
    pub(super) fn of_producer<C: ClientContext>(client: &Client<C>) -> Option<Self> {
        // SAFETY: as in `of_consumer`.
        NonNull::new(unsafe { rd::rd_kafka_queue_get_main(client.native_ptr()) }).map(|queue| Self { queue, bell: None })
    }

    /// Has a byte written into this socket when something comes after the queue was polled empty, so that other things can be waited
    /// for at the same time. It must not block.
    pub(super) fn ring(&mut self, bell: UnixStream) {
        // SAFETY: the queue lives as long as `self`. librdkafka copies the byte, and writes into the socket only while it holds the queue's
        // lock, which this call takes: the socket lives until `drop` has told it to write no more.
        unsafe { rd::rd_kafka_queue_io_event_enable(self.queue.as_ptr(), bell.as_raw_fd(), [1_u8].as_ptr().cast(), 1) };
        // One that was there before is closed after it was replaced.
        self.bell = Some(bell);
    }

    /// The next event; none when `wait` is over, which counts in whole milliseconds, rounded up.
    pub(super) fn poll(&self, wait: Duration) -> Option<Event> {
        let wait_ms = i32::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX);
        // SAFETY: the queue lives as long as `self`; the answer is null or an event of our own.
        NonNull::new(unsafe { rd::rd_kafka_queue_poll(self.queue.as_ptr(), wait_ms) }).map(Event)
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: our own reference, given back once. The queue itself may live on: without a socket it writes into none.
        unsafe {
            if self.bell.is_some() {
                rd::rd_kafka_queue_io_event_enable(self.queue.as_ptr(), -1, ptr::null(), 0);
            }
            rd::rd_kafka_queue_destroy(self.queue.as_ptr());
        }
    }
}

/// One event, taken from a queue.
pub(super) struct Event(NonNull<rd::RDKafkaEvent>);

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventKind {
    Record,
    Assign,
    Revoke,
    Error,
    Reports,
    Log,
    Other,
}

/// An error event.
#[derive(Debug)]
pub(super) struct ClientFailure {
    pub(super) code: Code,
    pub(super) is_fatal: bool,
    pub(super) words: String,
    /// Topic, partition and offset that it is about, if it is about one.
    pub(super) at: Option<(String, i32, i64)>,
}

impl Event {
    pub(super) fn kind(&self) -> EventKind {
        // SAFETY: the event lives as long as `self`.
        match unsafe { rd::rd_kafka_event_type(self.0.as_ptr()) } {
            rd::RD_KAFKA_EVENT_FETCH => EventKind::Record,
            rd::RD_KAFKA_EVENT_DR => EventKind::Reports,
            rd::RD_KAFKA_EVENT_ERROR => EventKind::Error,
            rd::RD_KAFKA_EVENT_LOG => EventKind::Log,
            rd::RD_KAFKA_EVENT_REBALANCE => match self.code() {
                Code::AssignPartitions => EventKind::Assign,
                _ => EventKind::Revoke,
            },
            _ => EventKind::Other,
        }
    }

    fn code(&self) -> Code {
        // SAFETY: the event lives as long as `self`.
        unsafe { rd::rd_kafka_event_error(self.0.as_ptr()) }.into()
    }

    /// The record of a `Record` event. It can be taken once.
    pub(super) fn record(&self) -> Option<Fetched<'_>> {
        // SAFETY: null, or a message that the event owns and that lives as long as it.
        unsafe { rd::rd_kafka_event_message_next(self.0.as_ptr()).as_ref() }.map(Fetched)
    }

    /// The partitions of an `Assign` or `Revoke` event.
    pub(super) fn partitions(&self) -> Vec<(String, i32)> {
        // SAFETY: null, or a list that the event owns; `elems` has `cnt` elements, each with a topic that ends in NUL.
        unsafe {
            let Some(list) = rd::rd_kafka_event_topic_partition_list(self.0.as_ptr()).as_ref() else { return Vec::new() };
            if list.cnt == 0 {
                return Vec::new();
            }
            std::slice::from_raw_parts(list.elems, list.cnt as usize).iter().map(|elem| (owned(elem.topic), elem.partition)).collect()
        }
    }

    /// What an `Error` event says.
    pub(super) fn failure(&self) -> ClientFailure {
        // SAFETY: the event lives as long as `self`; the text is null or owned by the event; the partition is null or ours to
        // destroy, and its topic ends in NUL.
        unsafe {
            let is_fatal = rd::rd_kafka_event_error_is_fatal(self.0.as_ptr()) != 0;
            let words = owned(rd::rd_kafka_event_error_string(self.0.as_ptr()));
            let at = rd::rd_kafka_event_topic_partition(self.0.as_ptr());
            let partition = at.as_ref().map(|at| (owned(at.topic), at.partition, at.offset));
            if !at.is_null() {
                rd::rd_kafka_topic_partition_destroy(at);
            }
            ClientFailure { code: self.code(), is_fatal, words, at: partition }
        }
    }

    /// The failed ones among the reports of a `Reports` event: topic, code, offset-free. Returns how many there were.
    pub(super) fn failed_reports(&self, mut each: impl FnMut(&str, Code)) {
        loop {
            // SAFETY: null at the end, or a message that the event owns; its topic handle is valid while it is.
            let Some(message) = (unsafe { rd::rd_kafka_event_message_next(self.0.as_ptr()).as_ref() }) else { return };
            if message.err != rd::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                each(&String::from_utf8_lossy(Fetched(message).topic()), message.err.into());
            }
        }
    }

    /// Level, facility and text of a `Log` event.
    pub(super) fn log_line(&self) -> (i32, String, String) {
        let (mut facility, mut line, mut level) = (ptr::null(), ptr::null(), 0);
        // SAFETY: the event lives as long as `self` and owns both texts; where it is no log line they stay null.
        unsafe {
            rd::rd_kafka_event_log(self.0.as_ptr(), &raw mut facility, &raw mut line, &raw mut level);
            (level, owned(facility), owned(line))
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: our own, destroyed once; what was borrowed from it is gone.
        unsafe { rd::rd_kafka_event_destroy(self.0.as_ptr()) }
    }
}

/// SAFETY for the caller: `text` is null or ends in NUL and lives through the call.
unsafe fn owned(text: *const c_char) -> String {
    if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
}

/// A record as librdkafka holds it.
#[derive(Clone, Copy)]
pub(super) struct Fetched<'e>(&'e rd::RDKafkaMessage);

impl<'e> Fetched<'e> {
    pub(super) fn topic(self) -> &'e [u8] {
        // SAFETY: a message's topic handle is valid while the message is, and so is its name.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.0.rkt)) }.to_bytes()
    }

    pub(super) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(super) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Milliseconds; -1 where the record has none.
    pub(super) fn timestamp_ms(self) -> i64 {
        // SAFETY: the message is valid; the kind of timestamp is not asked for.
        unsafe { rd::rd_kafka_message_timestamp(self.0, ptr::null_mut()) }
    }

    pub(super) fn key(self) -> Option<&'e [u8]> {
        // SAFETY: null, or `key_len` bytes that the message owns.
        unsafe { bytes(self.0.key, self.0.key_len) }
    }

    pub(super) fn value(self) -> Option<&'e [u8]> {
        // SAFETY: null, or `len` bytes that the message owns.
        unsafe { bytes(self.0.payload, self.0.len) }
    }

    /// Name and value of each header, in order.
    pub(super) fn headers(self) -> impl Iterator<Item = (&'e [u8], Option<&'e [u8]>)> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is valid and owns the headers, which are parsed at the first call.
        let has = unsafe { rd::rd_kafka_message_headers(self.0, &raw mut headers) } == rd::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        (0..).map_while(move |index| {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            // SAFETY: the headers live as long as the message; past the last one it returns an error and sets nothing.
            unsafe {
                let found = has
                    && rd::rd_kafka_header_get_all(headers, index, &raw mut name, &raw mut value, &raw mut size)
                        == rd::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
                found.then(|| (CStr::from_ptr(name).to_bytes(), bytes(value, size)))
            }
        })
    }
}

/// SAFETY for the caller: `start` is null or has `len` bytes that live for `'a`.
unsafe fn bytes<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), len) })
}

/// The offset metadata of a list's elements, in the list's order: text that another program wrote need not be UTF-8, on which
/// rdkafka's own accessor panics.
pub(super) fn metadata_of(list: &rdkafka::TopicPartitionList) -> Vec<Vec<u8>> {
    // SAFETY: the list lives; `elems` has `cnt` elements; metadata is null or `metadata_size` bytes that the list owns.
    unsafe {
        let list = &*list.ptr();
        if list.cnt == 0 {
            return Vec::new();
        }
        let elems = std::slice::from_raw_parts(list.elems, list.cnt as usize);
        elems.iter().map(|elem| bytes(elem.metadata, elem.metadata_size).unwrap_or_default().to_vec()).collect()
    }
}

/// Topic handles of one producer, so that librdkafka does not look up a name for each record. Must be dropped before the client.
#[derive(Default)]
pub(super) struct Topics {
    handles: Vec<TopicHandle>,
    by_name: HashMap<Box<str>, usize, FxBuildHasher>,
    /// The one used last: records come topic by topic.
    last: usize,
    /// How many partitions the topic of the last record has; none where librdkafka has not chosen one of them for it.
    pub(super) partitions_put: Option<u32>,
}

struct TopicHandle {
    name: Box<str>,
    topic: NonNull<rd::RDKafkaTopic>,
}

// SAFETY: topic handles are counted and locked inside librdkafka; any thread may use and destroy them.
unsafe impl Send for Topics {}

thread_local! {
    /// Among how many partitions one was chosen on this thread last; 0 is none.
    static PARTITIONS: Cell<i32> = const { Cell::new(0) };
}

/// Java's choice of a partition, which notes among how many it was. librdkafka calls it while it takes a record, on the thread that
/// hands it over; on one of its own for records that came before it knew the topic.
///
/// SAFETY for the caller: as librdkafka calls a partitioner.
unsafe extern "C" fn choose_partition(
    topic: *const rd::rd_kafka_topic_t,
    key: *const c_void,
    key_size: usize,
    partitions: i32,
    topic_opaque: *mut c_void,
    opaque: *mut c_void,
) -> i32 {
    PARTITIONS.set(partitions);
    // SAFETY: all arguments are handed on as they came.
    unsafe { rd::rd_kafka_msg_partitioner_murmur2_random(topic, key, key_size, partitions, topic_opaque, opaque) }
}

impl Topics {
    /// The handle of a topic, made if there is none yet.
    pub(super) fn handle<C: ClientContext>(&mut self, client: &Client<C>, topic: &str) -> Result<NonNull<rd::RDKafkaTopic>, ProduceError> {
        if let Some(handle) = self.handles.get(self.last).filter(|handle| *handle.name == *topic) {
            return Ok(handle.topic);
        }
        if let Some(&at) = self.by_name.get(topic) {
            self.last = at;
            return Ok(self.handles[at].topic);
        }
        let refused = |reason: &str| ProduceError::Route { topic: topic.to_owned(), reason: reason.to_owned() };
        let name = CString::new(topic).map_err(|_| refused("a topic's name has no NUL"))?;
        // SAFETY: the client and the name live through the calls, which copy the name; the configuration is a copy of the client's own,
        // and belongs to the topic from then on, also where it is refused. The partitioner has no state.
        let handle = unsafe {
            let configuration = rd::rd_kafka_default_topic_conf_dup(client.native_ptr());
            rd::rd_kafka_topic_conf_set_partitioner_cb(configuration, Some(choose_partition));
            rd::rd_kafka_topic_new(client.native_ptr(), name.as_ptr(), configuration)
        };
        let handle = NonNull::new(handle).ok_or_else(|| refused("the client refused its name"))?;
        self.last = self.handles.len();
        self.handles.push(TopicHandle { name: topic.into(), topic: handle });
        self.by_name.insert(topic.into(), self.last);
        Ok(handle)
    }

    /// Queues a copy of the record. The code is librdkafka's where it does not take it.
    pub(super) fn produce<C: ClientContext>(&mut self, client: &Client<C>, output: &Output<'_>) -> Result<Result<(), Code>, ProduceError> {
        let topic = self.handle(client, output.topic)?;
        // librdkafka takes 0 for "now": the first millisecond of 1970 is written as the second.
        let timestamp = if output.timestamp.0 == 0 { 1 } else { output.timestamp.0 };
        let headers = if output.headers.is_empty() { ptr::null_mut() } else { headers_of(output.headers) };
        // librdkafka's name for "by the key".
        let partition = output.partition.unwrap_or(-1);
        let mut arguments = [
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT, rd::rd_kafka_vu_s__bindgen_ty_1 { rkt: topic.as_ptr() }),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION, rd::rd_kafka_vu_s__bindgen_ty_1 { i32_: partition }),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS, rd::rd_kafka_vu_s__bindgen_ty_1 { i: rd::RD_KAFKA_MSG_F_COPY }),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY, memory(output.key)),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE, memory(output.value)),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP, rd::rd_kafka_vu_s__bindgen_ty_1 { i64_: timestamp }),
            argument(rd::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS, rd::rd_kafka_vu_s__bindgen_ty_1 { headers }),
        ];
        let count = if headers.is_null() { arguments.len() - 1 } else { arguments.len() };
        PARTITIONS.set(0);
        // SAFETY: client and topic handle live; key and value are copied before the call returns; on success librdkafka owns
        // the headers, on failure they stay ours; the error is ours to destroy.
        unsafe {
            let error = rd::rd_kafka_produceva(client.native_ptr(), arguments.as_mut_ptr(), count);
            self.partitions_put = u32::try_from(PARTITIONS.get()).ok().filter(|partitions| *partitions > 0);
            if error.is_null() {
                return Ok(Ok(()));
            }
            let code = rd::rd_kafka_error_code(error).into();
            rd::rd_kafka_error_destroy(error);
            if !headers.is_null() {
                rd::rd_kafka_headers_destroy(headers);
            }
            Ok(Err(code))
        }
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        for handle in &self.handles {
            // SAFETY: made by us, destroyed once; records in flight hold references of their own.
            unsafe { rd::rd_kafka_topic_destroy(handle.topic.as_ptr()) }
        }
    }
}

fn argument(vtype: rd::rd_kafka_vtype_t, u: rd::rd_kafka_vu_s__bindgen_ty_1) -> rd::rd_kafka_vu_t {
    rd::rd_kafka_vu_t { vtype, u }
}

fn memory(bytes: Option<&[u8]>) -> rd::rd_kafka_vu_s__bindgen_ty_1 {
    // An empty slice's pointer is not null, so that an empty value is no tombstone.
    let (ptr, size) = bytes.map_or((ptr::null_mut(), 0), |bytes| (bytes.as_ptr().cast_mut().cast(), bytes.len()));
    rd::rd_kafka_vu_s__bindgen_ty_1 { mem: rd::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr, size } }
}

fn headers_of(headers: &[(&str, &[u8])]) -> *mut rd::rd_kafka_headers_t {
    // SAFETY: names and values are copied with the lengths given; the list is ours until it is handed on.
    unsafe {
        let list = rd::rd_kafka_headers_new(headers.len());
        for (name, value) in headers {
            rd::rd_kafka_header_add(list, name.as_ptr().cast(), name.len() as isize, value.as_ptr().cast(), value.len() as isize);
        }
        list
    }
}

/// The id that the group's coordinator gave this consumer; none before it has joined.
pub(super) fn member_id<C: ClientContext>(client: &Client<C>) -> Option<String> {
    // SAFETY: the client lives; the answer is null or a text of our own, copied and then given back once.
    unsafe {
        let id = NonNull::new(rd::rd_kafka_memberid(client.native_ptr()))?;
        let copy = CStr::from_ptr(id.as_ptr()).to_string_lossy().into_owned();
        rd::rd_kafka_mem_free(client.native_ptr(), id.as_ptr().cast());
        Some(copy).filter(|id| !id.is_empty())
    }
}

/// Who a member of a group is, as its coordinator knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GroupIdentity {
    pub(super) group: String,
    pub(super) generation: i32,
    pub(super) member: String,
    /// Of a static member alone.
    pub(super) instance: Option<String>,
}

/// The group, generation and member that this consumer has now; none before it has joined.
pub(super) fn group_identity<C: ClientContext>(client: &Client<C>) -> Option<GroupIdentity> {
    // SAFETY: the client lives; the answer is null or an object of our own, destroyed once after its texts were copied. The instance is
    // null or a text like the others.
    unsafe {
        let metadata = NonNull::new(rd::rd_kafka_consumer_group_metadata(client.native_ptr()))?;
        let instance = rd::rd_kafka_consumer_group_metadata_group_instance_id(metadata.as_ptr());
        let identity = GroupIdentity {
            group: owned(rd::rd_kafka_consumer_group_metadata_group_id(metadata.as_ptr())),
            generation: rd::rd_kafka_consumer_group_metadata_generation_id(metadata.as_ptr()),
            member: owned(rd::rd_kafka_consumer_group_metadata_member_id(metadata.as_ptr())),
            instance: (!instance.is_null()).then(|| owned(instance)),
        };
        rd::rd_kafka_consumer_group_metadata_destroy(metadata.as_ptr());
        // The broker takes offsets of such a generation from anybody.
        (identity.generation >= 0 && !identity.member.is_empty()).then_some(identity)
    }
}

/// Sends what is queued at once, `linger.ms` or not, and waits up to this long until all of it is acknowledged. Reports of
/// failures must be polled besides, or they are waited for.
pub(super) fn flush<C: ClientContext>(client: &Client<C>, wait_ms: i32) {
    // SAFETY: the client lives. With delivery reports as events it serves no queue, so nothing else is called back.
    unsafe { rd::rd_kafka_flush(client.native_ptr(), wait_ms) };
}

/// The mock cluster of a client made with `test.mock.num.brokers` lets a group's first member wait for others, three seconds by
/// default.
pub(super) fn no_initial_rebalance_delay<C: ClientContext>(client: &Client<C>) {
    // SAFETY: the client lives; the cluster is null or lives as long as it.
    unsafe {
        let cluster = rd::rd_kafka_handle_mock_cluster(client.native_ptr());
        if !cluster.is_null() {
            rd::rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 0);
        }
    }
}
