//! Watching the backlog: how far behind this process's partitions are, and how long the input's retention still lasts.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics::gauge;
use tracing::debug;

use crate::clock::Clock;
use crate::engine::worker::settings::{AssignedPartitions, Compacted};
use crate::kafka::{Admin, Backlog, ClientError, CommittedOffsets, KafkaSettings};
use crate::record::mapping::Stream;
use crate::transport::{SourcePartition, Start};

/// The backlog is looked at this often.
const EVERY: Duration = Duration::from_secs(10);
/// How long one question may take.
const ASK: Duration = Duration::from_secs(2);

/// The monitor's thread.
pub struct Monitor {
    /// Where the cluster is.
    pub kafka: KafkaSettings,
    /// The configured streams.
    pub streams: Arc<[Stream]>,
    /// Where partitions begin that have no committed offset, by stream.
    pub starts: Arc<[Start]>,
    /// What is looked at.
    pub held: AssignedPartitions,
    /// What the inputs' configuration says.
    pub compacted: Compacted,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

impl Monitor {
    /// Looks until told to stop. What cannot be asked is asked again in the next round.
    pub fn run(self) -> Result<(), ClientError> {
        let backlog = Backlog::open(&self.kafka)?;
        // What an open transaction is about to commit is not waited for: a partition that waits for it has a lag too.
        let committed = CommittedOffsets::as_they_stand(&self.kafka, &self.kafka.group)?;
        let admin = Admin::open(&self.kafka, ASK)?;
        let mut shown = BTreeSet::new();
        while !self.stop.load(Ordering::Relaxed) {
            let held = self.held.lock().expect("only copied").clone();
            for gone in shown.difference(&held) {
                self.show_lag(*gone, 0);
            }
            if let Err(error) = self.look(&held, &backlog, &committed, &admin) {
                debug!(%error, "the backlog could not be looked at");
            }
            shown = held;
            let next = self.clock.boot().after(EVERY);
            while self.clock.boot() < next && !self.stop.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        Ok(())
    }

    fn look(
        &self,
        held: &BTreeSet<SourcePartition>,
        backlog: &Backlog,
        committed: &CommittedOffsets,
        admin: &Admin,
    ) -> Result<(), ClientError> {
        for stream in self.streams.iter() {
            let partitions: Vec<SourcePartition> = held.iter().filter(|p| p.stream == stream.index).copied().collect();
            let named: Vec<(&str, i32)> = partitions.iter().map(|p| (stream.topic.as_str(), p.partition)).collect();
            let mut oldest = None;
            let bounds = backlog.bounds_of_each(&named, ASK)?;
            for ((partition, next), bounds) in partitions.iter().zip(committed.ask(&named, ASK)?).zip(bounds) {
                // One that waits for its beginning to be committed has everything before it that it will begin with.
                let begins = match self.starts[usize::from(stream.index.0)] {
                    Start::Earliest => bounds.start,
                    Start::Latest => bounds.end,
                };
                let next = next.map_or(begins, |committed| committed.offset);
                let lag = bounds.end.0 - next.0;
                self.show_lag(*partition, lag.max(0));
                if lag > 0
                    && let Some(timestamp) = backlog.timestamp_at(&stream.topic, partition.partition, next, ASK)?
                {
                    oldest = Some(oldest.map_or(timestamp, |known: crate::time::TimestampMs| known.min(timestamp)));
                }
            }
            let config = admin.topic_config(&stream.topic)?;
            if let Some(policy) = config.get("cleanup.policy") {
                self.compacted.learn(stream.index, policy.contains("compact"));
            }
            let retention_ms = config.get("retention.ms").and_then(|text| text.parse::<i64>().ok());
            let left = match retention_ms {
                Some(retention_ms @ 0..) => (retention_ms - oldest.map_or(0, |oldest| self.clock.wall().0 - oldest.0)) as f64 / 1000.0,
                _ => f64::INFINITY,
            };
            gauge!("sharecast_retention_left_seconds", "stream" => stream.name.to_string()).set(left);
        }
        Ok(())
    }

    fn show_lag(&self, partition: SourcePartition, lag: i64) {
        let stream = self.streams[usize::from(partition.stream.0)].name.to_string();
        gauge!("sharecast_consumer_lag", "stream" => stream, "partition" => partition.partition.to_string()).set(lag as f64);
    }
}
