//! What a process of this name that has died left with the cluster is taken away before anything starts: its neighbours need not wait
//! until the group misses it (docs/rules/exactly-once.md#back-under-the-same-name).
//!
//! First every `transactional.id` that it wrote under is fenced, then its members leave. A process that lives, and has the same name, is
//! fenced like one that woke as a zombie: it finds that out with its next transaction, and ends if it is not the one that is left.

use std::time::Duration;

use tracing::{debug, info, warn};

use crate::config::{Config, DataPlane, Delivery};
use crate::engine::fence::epoch_report;
use crate::engine::fence::epoch_report::OtherParts;
use crate::engine::server::wiring::{WorkerDuty, worker_id};
use crate::engine::topic::names::TopicNames;
use crate::engine::topic::stored::epoch_key;
use crate::kafka::{ClientError, KafkaSettings, Predecessor, TopicReader};
use crate::transport::ConsumeError;

/// How long the note is looked for, and how long all that follows from it may take. What is not done by then the group does after its
/// session's time-out.
const READ_WITHIN: Duration = Duration::from_secs(5);
const DONE_WITHIN: Duration = Duration::from_secs(10);

/// What a process that has died wrote of itself.
#[derive(Debug, PartialEq, Eq)]
struct Remains {
    members: Vec<String>,
    status_member: Option<String>,
    workers: usize,
}

/// Takes away what is left of the process before under this name. Where that cannot be, nothing is lost by it but time.
pub(super) fn take_over(config: &Config, kafka: &KafkaSettings) {
    if kafka.data_plane == DataPlane::Librdkafka {
        return;
    }
    let remains = match note(config, kafka) {
        Ok(note) => note.and_then(|note| remains_of(&note)),
        Err(error) => return debug!(%error, "what is left of a process of this name is not known"),
    };
    let Some(remains) = remains else { return };
    match take_away(&remains, config, kafka) {
        Ok(0) => {}
        Ok(members) => info!(members, "a process of this name has ended without leaving its groups; it is fenced, and its members are out"),
        Err(ClientError::Settings(why)) => debug!(why, "what is left of a process of this name stays until its session is over"),
        Err(error) => warn!(%error, "what is left of a process of this name stays until its session is over"),
    }
}

/// The note of whoever had this name last. Notes are in no transaction, and open ones of others are not waited for.
fn note(config: &Config, kafka: &KafkaSettings) -> Result<Option<Vec<u8>>, ConsumeError> {
    let key = epoch_key(&kafka.group, &config.kafka.instance);
    let mut reader = TopicReader::open_uncommitted_within(kafka, &TopicNames::of(config).own.state, [0], READ_WITHIN)?;
    let mut found = None;
    reader.read_to_end(READ_WITHIN, |record| {
        if record.key() == Some(key.as_bytes()) {
            found = record.value().map(<[u8]>::to_vec);
        }
    })?;
    Ok(found)
}

/// None where it names no member, and where its records have no transactions: nothing fences such a process before its members leave.
fn remains_of(note: &[u8]) -> Option<Remains> {
    let members: Vec<String> = epoch_report::read(note).into_keys().collect();
    if members.is_empty() || epoch_report::terms_of(note).delivery == Delivery::AtLeastOnce {
        return None;
    }
    let OtherParts { workers, status_member } = epoch_report::parts_of(note);
    Some(Remains { workers: workers.max(members.len()), members, status_member })
}

/// Returns how many members were still there.
fn take_away(remains: &Remains, config: &Config, kafka: &KafkaSettings) -> Result<usize, ClientError> {
    let mut predecessor = Predecessor::open(kafka, DONE_WITHIN)?;
    for number in 0..remains.workers.max(WorkerDuty::of(config).len()) {
        predecessor.fence(&worker_id(kafka, config, number))?;
    }
    // Only now: whoever is no member any more must not commit either.
    let workers = predecessor.leave(&kafka.group, &remains.members)?;
    let status: Vec<String> = remains.status_member.iter().cloned().collect();
    Ok(workers + predecessor.leave(&format!("{}-status", kafka.group), &status)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_whom_it_leaves() {
        let members = vec!["m".to_owned(), "n".to_owned()];
        let before = br#"{"members":{"m":7,"n":9},"at":"1970-01-01T00:00:00Z","version":"0.1.0","transaction_timeout_ms":7000}"#;
        assert_eq!(remains_of(before), Some(Remains { members: members.clone(), status_member: None, workers: 2 }));
        let now = br#"{"members":{"m":7,"n":9},"workers":4,"status_member":"s"}"#;
        assert_eq!(remains_of(now), Some(Remains { members, status_member: Some("s".to_owned()), workers: 4 }));
        for nobody in
            [&br#"{"members":{},"workers":4,"status_member":"s"}"#[..], b"{}", b"?", br#"{"members":{"m":7},"delivery":"at_least_once"}"#]
        {
            assert_eq!(remains_of(nobody), None);
        }
    }
}
