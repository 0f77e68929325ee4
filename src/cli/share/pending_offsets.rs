//! Whether somebody who is no member of the group any more can still commit something.
//!
//! A transaction counts with its offsets alone, and those are taken from members only. Sent and not yet decided they are pending, and
//! whoever asks for a partition's offset read committed gets no answer until they are not. So a partition that was answered for has
//! nothing of anybody who had left before.

use std::time::Duration;

use crate::config::Config;
use crate::kafka::{Admin, ClientError, CommittedOffsets, KafkaSettings};

/// So long all are asked for at once, which is answered unless one of them is pending.
const ALL_WITHIN: Duration = Duration::from_millis(500);
/// And then each by itself.
const EACH_WITHIN: Duration = Duration::from_millis(200);
/// How long one question about a topic may take.
const ASK: Duration = Duration::from_secs(2);

/// The input partitions that have not been answered for.
pub(super) struct PendingOffsets<'c> {
    config: &'c Config,
    /// None before the cluster could be asked for them.
    asked: Option<(CommittedOffsets, Vec<(String, i32)>)>,
}

impl<'c> PendingOffsets<'c> {
    /// Of the inputs of all streams.
    pub(super) fn of(config: &'c Config) -> Self {
        Self { config, asked: None }
    }

    /// Asks for those that are left, and returns in words what is waited for; none when no partition is left.
    ///
    /// # Errors
    /// Why it cannot be learnt, in words.
    pub(super) fn look(&mut self) -> Result<Option<String>, String> {
        if self.asked.is_none() {
            match self.open() {
                Ok(asked) => self.asked = Some(asked),
                Err(error) => return told(error),
            }
        }
        let Some((committed, left)) = &mut self.asked else { return Ok(None) };
        let named: Vec<(&str, i32)> = left.iter().map(|(topic, partition)| (topic.as_str(), *partition)).collect();
        match committed.ask(&named, ALL_WITHIN) {
            Ok(_) => left.clear(),
            Err(ClientError::Unavailable(_)) => {
                let mut waits = Vec::new();
                for (topic, partition) in std::mem::take(left) {
                    match committed.ask(&[(&topic, partition)], EACH_WITHIN) {
                        Ok(_) => {}
                        Err(ClientError::Unavailable(_)) => waits.push((topic, partition)),
                        Err(error) => return told(error),
                    }
                }
                *left = waits;
            }
            Err(error) => return told(error),
        }
        let Some((topic, partition)) = left.first() else { return Ok(None) };
        Ok(Some(format!(
            "offsets of {topic}/{partition} are pending in a transaction that somebody who has left the group may commit ({} in all)",
            left.len()
        )))
    }

    fn open(&self) -> Result<(CommittedOffsets, Vec<(String, i32)>), ClientError> {
        let kafka = KafkaSettings::of(&self.config.kafka);
        let admin = Admin::open(&kafka, ASK)?;
        let mut partitions = Vec::new();
        for stream in self.config.streams.iter() {
            let topic = &stream.topic;
            let found = admin.topic(topic)?.ok_or_else(|| ClientError::Unavailable(format!("topic {topic} is not seen")))?;
            partitions.extend((0..found.partitions).map(|partition| (topic.clone(), partition)));
        }
        Ok((CommittedOffsets::of(&kafka, &kafka.group)?, partitions))
    }
}

/// What may pass is waited for.
fn told(error: ClientError) -> Result<Option<String>, String> {
    let words = format!("whether offsets are pending cannot be asked ({error}; `provision --print-acls` has what it takes)");
    match error {
        ClientError::Unavailable(_) => Ok(Some(words)),
        _ => Err(words),
    }
}
