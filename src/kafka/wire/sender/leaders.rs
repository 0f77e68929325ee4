//! Who leads what is to be sent, and what becomes of a topic that nobody leads.

use std::time::Duration;

use super::BatchSender;
use crate::kafka::client::Deadline;
use crate::kafka::wire::connection::ConnectError;
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::messages::metadata::TopicLeaders;
use crate::kafka::wire::outgoing::QueuePlace;
use crate::transport::ProduceError;

/// A topic that is said to be missing is one that is only not known yet, for so long.
const MAY_BE_NEW: Duration = Duration::from_millis(500);

impl BatchSender {
    pub(super) fn has_stale(&self) -> bool {
        let is_stale = |place: &QueuePlace| self.outgoing.topics[place.topic].is_stale;
        self.outgoing.used.iter().any(|place| is_stale(place) && !self.outgoing.topics[place.topic].queues[place.partition].is_empty())
    }

    /// Asks who leads what is stale. Returns whether all of it is led again.
    pub(super) fn look_again(&mut self, deadline: Deadline) -> bool {
        let stale: Vec<String> = self.outgoing.topics.iter().filter(|topic| topic.is_stale).map(|topic| topic.name.to_string()).collect();
        let names: Vec<&str> = stale.iter().map(String::as_str).collect();
        match self.cluster.ask_topics(&names, deadline.min(Deadline::after(self.cluster.settings.attempt))) {
            Ok(found) => found.into_iter().for_each(|topic| self.lead(topic)),
            Err(ConnectError::NotNative(why)) => self.fail(ProduceError::Fatal(why.to_string())),
            Err(error) => tracing::debug!(%error, "nobody says who leads"),
        }
        !self.has_stale()
    }

    /// Takes in what is said of a topic.
    pub(in crate::kafka::wire) fn lead(&mut self, TopicLeaders { error, name, leaders, .. }: TopicLeaders) {
        let at = self.outgoing.place(&name);
        let topic = &mut self.outgoing.topics[at];
        let (is_led, count) = (leaders.iter().all(|leader| *leader >= 0), leaders.len());
        match error {
            ErrorCode::NONE if count > 0 => {
                topic.lead(leaders);
                // One that has no leader now is looked at again.
                topic.is_stale = !is_led;
                // Its keys belong elsewhere now.
                if topic.queues.iter().skip(count).any(|queue| !queue.is_empty()) {
                    self.fail(ProduceError::Abort(format!("{name} has {count} partitions by now")));
                }
            }
            ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => {
                topic.is_stale = true;
                if topic.missing_until.get_or_insert_with(|| Deadline::after(MAY_BE_NEW)).has_passed() {
                    self.give_up_topic(&name, &error.to_string());
                }
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::INVALID_TOPIC_EXCEPTION => self.give_up_topic(&name, &error.to_string()),
            _ => topic.is_stale = true,
        }
    }

    /// What waits for the topic is not written; a later record finds out anew whether it is there.
    fn give_up_topic(&mut self, name: &str, reason: &str) {
        let at = self.outgoing.place(name);
        let topic = &mut self.outgoing.topics[at];
        topic.leaders.clear();
        topic.missing_until = None;
        if topic.queues.iter().any(|queue| !queue.is_empty()) {
            self.fail(ProduceError::Route { topic: name.to_owned(), reason: reason.to_owned() });
        }
    }
}
