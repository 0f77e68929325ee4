//! Having a producer see a topic before it is used, outside a transaction (docs/rules/outputs.md#before-a-route-is-used,
//! docs/librdkafka.md#topics-that-are-missing).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::Clock;
use crate::id::StreamIndex;
use crate::record::mapping::{Mode, Stream};
use crate::transport::{ProduceError, TransactionalProducer};

/// So long a new topic may take until the client sees its leaders.
const LEADER_WAIT: Duration = Duration::from_secs(5);
/// It is looked at this often meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a tenant topic is for, which decides how it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicKind {
    /// An append stream's records.
    Stream(StreamIndex),
    /// An upsert stream's documents.
    Upsert(StreamIndex),
    /// Status documents.
    Status,
}

impl TopicKind {
    /// Of a stream's output.
    pub fn of(stream: &Stream) -> Self {
        match stream.mode {
            Mode::Append => Self::Stream(stream.index),
            Mode::Upsert => Self::Upsert(stream.index),
        }
    }
}

/// Why a topic was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotMade {
    /// The cluster refuses, or nothing is to be created: waiting does not help.
    #[error("{0}")]
    Refused(String),
    /// The cluster does not answer.
    #[error("{0}")]
    Unavailable(String),
}

/// Creates missing tenant topics.
pub trait TopicMaker: Send + Sync {
    /// Creates the topic if it is missing and topics are provisioned (`output.provision: auto`); the error says why it cannot.
    fn make(&self, topic: &str, kind: TopicKind) -> Result<(), NotMade>;

    /// How many partitions a topic of this kind must have, where that matters: a key that has a value in one partition must find it
    /// there as long as the topic lives.
    fn partitions(&self, _kind: TopicKind) -> Option<usize> {
        None
    }

    /// The most bytes that the topic takes in one batch (`max.message.bytes`); none where that is not known.
    fn largest_batch(&self, topic: &str) -> Option<usize>;
}

/// A topic with leaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoundTopic {
    /// Whether it was missing and was made, by whomever: nothing that was written to one of this name stands there.
    pub was_made: bool,
}

/// Why no leader of a topic is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupError {
    /// The route has failed: waiting does not help.
    Failed(String),
    /// It may pass, as while a broker restarts.
    Unreachable(String),
}

impl From<NotMade> for LookupError {
    fn from(why: NotMade) -> Self {
        match why {
            NotMade::Refused(reason) => Self::Failed(reason),
            NotMade::Unavailable(reason) => Self::Unreachable(reason),
        }
    }
}

/// A topic to be seen.
#[derive(Debug, Clone)]
pub struct TopicQuery {
    /// Its name.
    pub topic: String,
    /// What it is for.
    pub kind: TopicKind,
    /// Whether its leaders are waited for: a topic may just have been created. One that has failed before is asked for
    /// once, or it would hold up all others again and again.
    pub is_waited_for: bool,
}

/// Has the producer's client see leaders for these topics, which are created first where that is wanted. All are waited for
/// together, so that many without a leader take no longer than one. An inner error is a route's own; the outer one is the
/// producer's.
pub fn see<P: TransactionalProducer>(
    producer: &mut P,
    maker: &dyn TopicMaker,
    clock: &dyn Clock,
    stop: &AtomicBool,
    topics: &[TopicQuery],
) -> Result<Vec<Result<FoundTopic, LookupError>>, ProduceError> {
    let mut was_made = vec![false; topics.len()];
    let mut answers = Vec::with_capacity(topics.len());
    for (wanted, was_made) in topics.iter().zip(&mut was_made) {
        answers.push(match look(producer, &wanted.topic)? {
            TopicStatus::Missing => {
                *was_made = true;
                maker.make(&wanted.topic, wanted.kind).err().map(|why| Err(why.into()))
            }
            TopicStatus::Leaders => Some(counted(producer, maker, wanted)),
            sight => sight.answer(),
        });
    }
    let deadline = clock.boot().after(LEADER_WAIT);
    let is_missed = |answers: &[Option<_>]| topics.iter().zip(answers).any(|(wanted, answer)| wanted.is_waited_for && answer.is_none());
    while is_missed(&answers) && clock.boot() < deadline && !stop.load(Ordering::Relaxed) {
        clock.sleep(LOOK_EVERY);
        for (wanted, answer) in topics.iter().zip(&mut answers).filter(|(_, answer)| answer.is_none()) {
            *answer = match look(producer, &wanted.topic)? {
                TopicStatus::Leaders => Some(counted(producer, maker, wanted)),
                sight => sight.answer(),
            };
        }
    }
    let unseen = || Err(LookupError::Unreachable("no leader for it is seen".into()));
    let answers = answers.into_iter().map(|answer| answer.unwrap_or_else(unseen)).zip(was_made);
    Ok(answers.map(|(answer, was_made)| answer.map(|()| FoundTopic { was_made })).collect())
}

/// Whether the topic just seen has the partitions it must have.
fn counted<P: TransactionalProducer>(producer: &P, maker: &dyn TopicMaker, wanted: &TopicQuery) -> Result<(), LookupError> {
    match (producer.partitions_seen(), maker.partitions(wanted.kind)) {
        (Some(seen), Some(needed)) if seen != needed => Err(LookupError::Failed(format!(
            "it has {seen} partitions and this configuration makes it with {needed}: a key's newest value would stand beside an old one. Set \
             output.partitions to what the topics were made with, or delete the topic, to have it made and written anew"
        ))),
        _ => Ok(()),
    }
}

/// What one look at a topic shows.
enum TopicStatus {
    /// Its leaders.
    Leaders,
    /// Nothing of this name.
    Missing,
    /// It is there without a leader, as while a broker restarts.
    NoLeader,
    /// It must not be seen.
    Refused(String),
}

impl TopicStatus {
    /// None where it may change by itself: just made or restarting, the client needs a moment to hear of it.
    fn answer(self) -> Option<Result<(), LookupError>> {
        match self {
            Self::Leaders => Some(Ok(())),
            Self::Refused(reason) => Some(Err(LookupError::Failed(reason))),
            Self::Missing | Self::NoLeader => None,
        }
    }
}

fn look<P: TransactionalProducer>(producer: &mut P, topic: &str) -> Result<TopicStatus, ProduceError> {
    match producer.sees_leader(topic) {
        Ok(true) => Ok(TopicStatus::Leaders),
        Ok(false) => Ok(TopicStatus::Missing),
        Err(ProduceError::Unreachable { .. }) => Ok(TopicStatus::NoLeader),
        Err(ProduceError::Route { reason, .. }) => Ok(TopicStatus::Refused(reason)),
        Err(other) => Err(other),
    }
}
