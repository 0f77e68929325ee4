//! What a producer knows of topics: whether they are there, who leads them, and which partition a record goes to.

use std::time::Duration;

use super::NativeProducer;
use crate::kafka::client::Deadline;
use crate::kafka::wire::cluster::Purpose;
use crate::kafka::wire::connection::ConnectError;
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::messages::metadata::TopicLeaders;
use crate::kafka::wire::outgoing::TopicPlace;
use crate::transport::{Output, ProduceError, partition_of};

/// So long a topic that is said to be missing is looked for before a record goes to it.
const MAY_BE_NEW: Duration = Duration::from_millis(500);
/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

impl NativeProducer {
    /// The place of a topic whose partitions are known: asked for where they are not.
    pub(super) fn place(&mut self, name: &str) -> Result<TopicPlace, ProduceError> {
        let place = self.sender.outgoing.place(name);
        if !self.sender.outgoing.topics[place].leaders.is_empty() {
            return Ok(place);
        }
        let may_be_new = Deadline::after(MAY_BE_NEW);
        loop {
            let found = self.look(name)?;
            let error = found.error;
            self.sender.lead(found);
            match error {
                _ if !self.sender.outgoing.topics[place].leaders.is_empty() => return Ok(place),
                ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::LEADER_NOT_AVAILABLE if !may_be_new.has_passed() => {
                    std::thread::sleep(LOOK_AGAIN);
                }
                ErrorCode::LEADER_NOT_AVAILABLE => {
                    return Err(ProduceError::Unreachable { topic: name.to_owned(), reason: error.to_string() });
                }
                ErrorCode::NONE => return Err(ProduceError::Route { topic: name.to_owned(), reason: "it has no partitions".to_owned() }),
                error => return Err(ProduceError::Route { topic: name.to_owned(), reason: error.to_string() }),
            }
        }
    }

    /// Asks the cluster for a topic until somebody answers.
    fn look(&mut self, name: &str) -> Result<TopicLeaders, ProduceError> {
        let deadline = Deadline::after(self.limit());
        loop {
            match self.sender.cluster.ask_topics(&[name], deadline) {
                Ok(found) => {
                    let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                    let unknown = TopicLeaders { error, name: name.to_owned(), ..TopicLeaders::default() };
                    return Ok(found.into_iter().find(|topic| topic.name == name).unwrap_or(unknown));
                }
                Err(ConnectError::NotNative(why)) => return Err(ProduceError::Fatal(why.to_string())),
                Err(error) if deadline.left() <= LOOK_AGAIN => return Err(ProduceError::Abort(error.to_string())),
                Err(_) => std::thread::sleep(LOOK_AGAIN),
            }
        }
    }

    /// Asks for all that is known again, so that added partitions are found, over new connections, which say what the cluster speaks.
    /// That nobody answers now does no harm.
    pub(super) fn look_around(&mut self) -> Result<(), ProduceError> {
        self.look_at = Deadline::after(self.sender.cluster.settings.look_every);
        let names: Vec<String> = self.sender.outgoing.topics.iter().map(|topic| topic.name.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        self.sender.cluster.hang_up(Purpose::Calls);
        match self.sender.cluster.ask_topics(&names, Deadline::after(self.sender.cluster.settings.attempt)) {
            Ok(found) => found.into_iter().for_each(|topic| self.sender.lead(topic)),
            Err(ConnectError::NotNative(why)) => return Err(self.turn(ProduceError::Fatal(why.to_string()))),
            Err(error) => tracing::debug!(%error, "topics are not looked at again now"),
        }
        Ok(())
    }

    pub(super) fn choose(&mut self, place: TopicPlace, output: &Output<'_>) -> Result<usize, ProduceError> {
        let topic = &mut self.sender.outgoing.topics[place];
        let count = topic.leaders.len();
        self.partitions_put = None;
        match (output.partition, output.key) {
            (Some(partition), _) => usize::try_from(partition)
                .ok()
                .filter(|partition| *partition < count)
                .ok_or_else(|| ProduceError::Route { topic: output.topic.to_owned(), reason: format!("it has no partition {partition}") }),
            (None, Some(key)) => {
                self.partitions_put = Some(count as u32);
                Ok(partition_of(key, count as u32) as usize)
            }
            (None, None) => Ok(topic.next_turn()),
        }
    }

    /// Whether the topic is there, each partition with a leader.
    pub(super) fn sees(&mut self, topic: &str) -> Result<bool, ProduceError> {
        self.partitions_seen = None;
        let found = self.look(topic)?;
        let (error, leaders) = (found.error, found.leaders.clone());
        self.sender.lead(found);
        match error {
            ErrorCode::NONE if leaders.is_empty() => Ok(false),
            ErrorCode::NONE if leaders.iter().all(|leader| *leader >= 0) => {
                self.partitions_seen = Some(leaders.len());
                Ok(true)
            }
            ErrorCode::NONE | ErrorCode::LEADER_NOT_AVAILABLE => {
                Err(ProduceError::Unreachable { topic: topic.to_owned(), reason: "a partition has no leader now".to_owned() })
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::INVALID_TOPIC_EXCEPTION => {
                Err(ProduceError::Route { topic: topic.to_owned(), reason: error.to_string() })
            }
            _ => Ok(false),
        }
    }
}
