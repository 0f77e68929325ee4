//! What `sharecast.backfill` says of the jobs of a group.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::backfill::checkpoint::{JobEntry, PartitionEntry};
use crate::engine::topic::stored::backfill_prefix;
use crate::kafka::{KafkaSettings, TopicReader};
use crate::transport::ConsumeError;

/// A job as it was noted.
#[derive(Debug, Clone, Default)]
pub struct StoredJob {
    /// The job; none where only checkpoints are left.
    pub entry: Option<JobEntry>,
    /// By input partition, how far it has come.
    pub partitions: BTreeMap<i32, PartitionEntry>,
}

/// Reads the topic again and again, committed records alone.
pub struct JobStore {
    reader: TopicReader,
    prefix: String,
    jobs: BTreeMap<String, StoredJob>,
}

impl JobStore {
    /// Opens the topic; nothing is read yet.
    pub fn open(kafka: &KafkaSettings, topic: &str) -> Result<Self, ConsumeError> {
        Ok(Self { reader: TopicReader::open(kafka, topic, [0])?, prefix: backfill_prefix(&kafka.group), jobs: BTreeMap::new() })
    }

    /// Reads what is committed up to the end as it is now. A transaction that is open before it is waited for, up to `wait`.
    pub fn catch_up(&mut self, wait: Duration) -> Result<(), ConsumeError> {
        let Self { reader, prefix, jobs } = self;
        reader.catch_up(wait, |record| {
            let key = record.key().and_then(|key| std::str::from_utf8(key).ok());
            if let Some(name) = key.and_then(|key| key.strip_prefix(prefix.as_str())) {
                take(jobs, name, record.value());
            }
        })
    }

    /// Every job of the group, by name.
    pub fn jobs(&self) -> &BTreeMap<String, StoredJob> {
        &self.jobs
    }

    /// One of them; an empty one where there is none.
    pub fn job(&self, name: &str) -> StoredJob {
        self.jobs.get(name).cloned().unwrap_or_default()
    }

    /// How far a job has come in one partition, if that was noted.
    pub fn partition(&self, name: &str, partition: i32) -> Option<PartitionEntry> {
        self.jobs.get(name)?.partitions.get(&partition).cloned()
    }
}

/// Takes one record in, whose key is this after the group's name; what cannot be read is nothing.
fn take(jobs: &mut BTreeMap<String, StoredJob>, name: &str, value: Option<&[u8]>) {
    let (job, partition) = match name.split_once('/') {
        None => (name, None),
        Some((job, partition)) => match partition.parse::<i32>() {
            Ok(partition) => (job, Some(partition)),
            // Of another group whose name begins like this one.
            Err(_) => return,
        },
    };
    let stored = jobs.entry(job.to_owned()).or_default();
    match partition {
        None => stored.entry = value.and_then(JobEntry::read),
        Some(partition) => match value.and_then(PartitionEntry::read) {
            Some(entry) => drop(stored.partitions.insert(partition, entry)),
            None => drop(stored.partitions.remove(&partition)),
        },
    }
    if stored.entry.is_none() && stored.partitions.is_empty() {
        jobs.remove(job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_other_groups_are_not_this_groups_and_tombstones_take_back() {
        let mut jobs = BTreeMap::new();
        let checkpoint = br#"{"offset":7,"counts":{"read":0,"released":0}}"#;
        take(&mut jobs, "week-1/3", Some(checkpoint));
        take(&mut jobs, "other/week-1/3", Some(checkpoint));
        take(&mut jobs, "week-1/x", Some(checkpoint));
        assert_eq!(jobs.len(), 1);
        assert_eq!(jobs["week-1"].partitions[&3].offset.0, 7);
        take(&mut jobs, "week-1/3", None);
        assert!(jobs.is_empty());
    }
}
