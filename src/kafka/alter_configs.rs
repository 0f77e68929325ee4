//! Changing some settings of a topic and leaving its others as they are (IncrementalAlterConfigs), which the safe API of rdkafka lacks:
//! its `alter_configs` sets back all that is not named.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::ptr::{self, NonNull};
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka_sys as rd;

/// Something of librdkafka's that is ours to give back.
struct Given<T> {
    at: NonNull<T>,
    give_back: unsafe extern "C" fn(*mut T),
}

impl<T> Given<T> {
    /// `at` is null, or ours to give back by `give_back`, once.
    fn take(at: *mut T, give_back: unsafe extern "C" fn(*mut T)) -> Option<Self> {
        Some(Self { at: NonNull::new(at)?, give_back })
    }

    fn as_ptr(&self) -> *mut T {
        self.at.as_ptr()
    }
}

impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        // SAFETY: it is ours, as `take` wants it, and given back here alone.
        unsafe { (self.give_back)(self.at.as_ptr()) }
    }
}

/// Sets each of these settings of a topic, or sets it back to the broker's where there is no value. Waits for the answer.
pub(super) fn alter_topic<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    changes: &[(&str, Option<&str>)],
    wait: Duration,
) -> KafkaResult<()> {
    let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX).max(1);
    let resource = resource_of(topic, changes)?;
    // SAFETY: the client lives; the answer is null or ours.
    let queue = Given::take(unsafe { rd::rd_kafka_queue_new(client.native_ptr()) }, rd::rd_kafka_queue_destroy).ok_or_else(unmade)?;
    let operation = rd::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS;
    // SAFETY: as above.
    let options = unsafe { rd::rd_kafka_AdminOptions_new(client.native_ptr(), operation) };
    let options = Given::take(options, rd::rd_kafka_AdminOptions_destroy).ok_or_else(unmade)?;
    let mut resources = [resource.as_ptr()];
    // SAFETY: all of it lives until the end of this function, so beyond the call, which copies what it is given; without room for words
    // none are written. The queue lives until its event is taken or the wait is over, and librdkafka holds it itself for the answer.
    unsafe {
        rd::rd_kafka_AdminOptions_set_request_timeout(options.as_ptr(), wait_ms, ptr::null_mut(), 0);
        rd::rd_kafka_IncrementalAlterConfigs(client.native_ptr(), resources.as_mut_ptr(), 1, options.as_ptr(), queue.as_ptr());
    }
    // SAFETY: the queue lives; the answer is null or an event of our own.
    let event = unsafe { rd::rd_kafka_queue_poll(queue.as_ptr(), wait_ms.saturating_add(1_000)) };
    let event = Given::take(event, rd::rd_kafka_event_destroy).ok_or(KafkaError::AdminOp(Code::OperationTimedOut))?;
    // SAFETY: the event lives to the end of this function.
    let whole: Code = unsafe { rd::rd_kafka_event_error(event.as_ptr()) }.into();
    if whole != Code::NoError {
        return Err(KafkaError::AdminOp(whole));
    }
    // SAFETY: the event is the answer to the one request of this queue, and owns its `count` resources.
    let code: Code = unsafe {
        let result = rd::rd_kafka_event_IncrementalAlterConfigs_result(event.as_ptr());
        let mut count = 0;
        let answers =
            if result.is_null() { ptr::null_mut() } else { rd::rd_kafka_IncrementalAlterConfigs_result_resources(result, &raw mut count) };
        if answers.is_null() || count != 1 {
            return Err(KafkaError::AdminOp(Code::BadMessage));
        }
        rd::rd_kafka_ConfigResource_error(*answers)
    }
    .into();
    if code == Code::NoError { Ok(()) } else { Err(KafkaError::AdminOp(code)) }
}

fn resource_of(topic: &str, changes: &[(&str, Option<&str>)]) -> KafkaResult<Given<rd::rd_kafka_ConfigResource_t>> {
    let text = |text: &str| CString::new(text).map_err(|_| KafkaError::AdminOpCreation("a text with a zero byte".to_owned()));
    let topic = text(topic)?;
    let kind = rd::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
    // SAFETY: the name ends in NUL and is copied; the answer is null or ours.
    let resource = unsafe { rd::rd_kafka_ConfigResource_new(kind, topic.as_ptr()) };
    let resource = Given::take(resource, rd::rd_kafka_ConfigResource_destroy).ok_or_else(unmade)?;
    for (name, value) in changes {
        let (name, value) = (text(name)?, value.map(text).transpose()?);
        let (operation, value) = match &value {
            Some(value) => (rd::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, value.as_ptr()),
            None => (rd::rd_kafka_AlterConfigOpType_t::RD_KAFKA_ALTER_CONFIG_OP_TYPE_DELETE, ptr::null()),
        };
        // SAFETY: the resource lives, the texts end in NUL and are copied; the answer is null or ours, its words live as long as it.
        unsafe {
            let error = rd::rd_kafka_ConfigResource_add_incremental_config(resource.as_ptr(), name.as_ptr(), operation, value);
            if let Some(error) = Given::take(error, rd::rd_kafka_error_destroy) {
                let words = CStr::from_ptr(rd::rd_kafka_error_string(error.as_ptr())).to_string_lossy().into_owned();
                return Err(KafkaError::AdminOpCreation(words));
            }
        }
    }
    Ok(resource)
}

fn unmade() -> KafkaError {
    KafkaError::AdminOpCreation("librdkafka has no memory".to_owned())
}
