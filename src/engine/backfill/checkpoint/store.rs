//! What `sharecast.backfill` says of the jobs of a group.

use std::collections::{BTreeMap, BTreeSet};
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
    /// What is noted and cannot be read: checkpoints, and the entry, which has none.
    pub unreadable: BTreeSet<Option<i32>>,
}

/// Reads the topic again and again, committed records alone.
pub struct JobStore {
    reader: TopicReader,
    topic: String,
    prefix: String,
    jobs: BTreeMap<String, StoredJob>,
}

impl JobStore {
    /// Opens the topic; nothing is read yet.
    pub fn open(kafka: &KafkaSettings, topic: &str) -> Result<Self, ConsumeError> {
        let reader = TopicReader::open(kafka, topic, [0])?;
        Ok(Self { reader, topic: topic.to_owned(), prefix: backfill_prefix(&kafka.group), jobs: BTreeMap::new() })
    }

    /// Reads what is committed up to the end as it is now. A transaction that is open before it is waited for, up to `wait`.
    pub fn catch_up(&mut self, wait: Duration) -> Result<(), ConsumeError> {
        let Self { reader, prefix, jobs, .. } = self;
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

    /// One of them; an empty one where there is none. The error is that something of it cannot be read: as if it were not noted, the job
    /// would write again what it has written.
    pub fn job(&self, name: &str) -> Result<StoredJob, ConsumeError> {
        let job = self.jobs.get(name).cloned().unwrap_or_default();
        match job.unreadable.is_empty() {
            true => Ok(job),
            false => Err(ConsumeError::Refused(format!(
                "what {} has of job {name} cannot be read here; a later version may have written it: go on with that one",
                self.topic
            ))),
        }
    }
}

/// Takes one record in, whose key is this after the group's name.
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
    let is_read = match partition {
        None => {
            stored.entry = value.and_then(JobEntry::read);
            stored.entry.is_some()
        }
        Some(partition) => match value.and_then(PartitionEntry::read) {
            Some(entry) => {
                stored.partitions.insert(partition, entry);
                true
            }
            None => {
                stored.partitions.remove(&partition);
                false
            }
        },
    };
    match value.is_some() && !is_read {
        true => drop(stored.unreadable.insert(partition)),
        false => drop(stored.unreadable.remove(&partition)),
    }
    if stored.entry.is_none() && stored.partitions.is_empty() && stored.unreadable.is_empty() {
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
        take(&mut jobs, "week-1/3", Some(b"{}"));
        assert_eq!((jobs["week-1"].partitions.len(), &jobs["week-1"].unreadable), (0, &[Some(3)].into()), "not as if it were not there");
        take(&mut jobs, "week-1", Some(b"?"));
        assert_eq!(jobs["week-1"].unreadable, [None, Some(3)].into());
        take(&mut jobs, "week-1", None);
        take(&mut jobs, "week-1/3", None);
        assert!(jobs.is_empty());
    }
}
