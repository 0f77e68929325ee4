//! The jobs of a group: which there are, which of them run, and how one is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Config;
use crate::engine::backfill::checkpoint::store::{JobStore, StoredJob};
use crate::engine::fence::epoch_report;
use crate::engine::topic::stored::{BACKFILL_INSTANCE, backfill_key, backfill_partition_key, epoch_key};
use crate::id::JobName;
use crate::kafka::{EventWriter, KafkaSettings, TopicReader, WriteError};
use crate::time::TimestampMs;
use crate::transport::ConsumeError;

/// Transactions that are open are waited for so long; what they hold is not shown then.
const WAIT: Duration = Duration::from_secs(15);
/// A record is acknowledged within this time.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(10);
/// A job whose last report is younger runs: it reports every five seconds.
const RUNS_FOR_MS: i64 = 15_000;

/// One job.
#[derive(Debug, Clone)]
pub struct KnownJob {
    /// What is noted of it.
    pub stored: StoredJob,
    /// When it reported last that it runs, by its own clock; none where it has ended in order.
    pub reported: Option<TimestampMs>,
}

impl KnownJob {
    /// Whether it runs now.
    pub fn is_running(&self, now: TimestampMs) -> bool {
        self.reported.is_some_and(|at| now.0 - at.0 < RUNS_FOR_MS)
    }
}

/// Every job of the group, by name.
pub fn known(config: &Config, kafka: &KafkaSettings) -> Result<BTreeMap<String, KnownJob>, ConsumeError> {
    let mut store = JobStore::open(kafka, &config.topics.backfill)?;
    as_it_stands(store.catch_up(WAIT))?;
    let reported = reports(config, kafka)?;
    let known = |(name, stored): (&String, &StoredJob)| {
        let job = KnownJob { stored: stored.clone(), reported: reported.get(name).copied() };
        (name.clone(), job)
    };
    Ok(store.jobs().iter().map(known).collect())
}

/// When each job reported last.
fn reports(config: &Config, kafka: &KafkaSettings) -> Result<BTreeMap<String, TimestampMs>, ConsumeError> {
    let prefix = epoch_key(&kafka.group, BACKFILL_INSTANCE);
    let mut reported = BTreeMap::new();
    let mut state = TopicReader::open(kafka, &config.topics.state, [0])?;
    as_it_stands(state.read_to_end(WAIT, |record| {
        let name = record.key().and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| key.strip_prefix(prefix.as_str()));
        let Some(name) = name else { return };
        // A report that cannot be read was made all the same.
        match record.value().map(|value| epoch_report::read_time(value).unwrap_or(record.timestamp())) {
            Some(at) => drop(reported.insert(name.to_owned(), at)),
            None => drop(reported.remove(name)),
        }
    }))?;
    Ok(reported)
}

fn as_it_stands(read: Result<(), ConsumeError>) -> Result<(), ConsumeError> {
    match read {
        Err(ConsumeError::Unavailable(_)) => Ok(()),
        read => read,
    }
}

/// Takes back all that is noted of a job: it may be begun again under its name, and writes everything once more then.
pub fn forget(config: &Config, kafka: &KafkaSettings, job: &JobName, stored: &StoredJob) -> Result<(), WriteError> {
    let mut writer =
        EventWriter::open(kafka, &config.topics.backfill, ACKNOWLEDGED_WITHIN).map_err(|error| WriteError::Refused(error.to_string()))?;
    let name = job.as_str();
    // The entry last: as long as it is there, so is the job.
    let keys = stored
        .partitions
        .keys()
        .chain(stored.unreadable.iter().flatten())
        .map(|partition| backfill_partition_key(&kafka.group, name, *partition));
    for key in keys.chain([backfill_key(&kafka.group, name)]) {
        writer.append_record(Some(key.as_bytes()), None, &[])?;
    }
    Ok(())
}
