//! Who leads what is read, and what becomes of a topic that is gone.

use std::time::{Duration, Instant};

use super::{FetchEvent, FetchPositions};
use crate::kafka::wire::error_code::ErrorCode;
use crate::kafka::wire::messages::fetch::PartitionLeader;
use crate::kafka::wire::messages::metadata::{TopicId, TopicLeaders};
use crate::transport::SourcePartition;

/// A topic that is said to be missing is looked for as long: one just made is not known to every broker yet.
const MAY_BE_NEW: Duration = Duration::from_secs(5);

/// A topic that something is read of.
pub(in crate::kafka::wire::fetcher) struct ReadTopic {
    pub(super) name: Box<str>,
    /// Of the topic that its partitions were released of.
    pub(super) id: TopicId,
    is_known: bool,
    /// By partition.
    leaders: Vec<Option<PartitionLeader>>,
    /// What is known of its leaders is not true any more.
    pub(super) is_stale: bool,
    /// Since when it is said to be missing.
    missing_since: Option<Instant>,
    /// It was said once that it is another topic by now.
    other: Option<TopicId>,
}

impl FetchPositions {
    /// The place of a topic in the table.
    pub(super) fn topic_place(&mut self, name: &str) -> usize {
        if let Some(place) = self.topics.iter().position(|topic| *topic.name == *name) {
            return place;
        }
        self.topics.push(ReadTopic {
            name: name.into(),
            id: TopicId::default(),
            is_known: false,
            leaders: Vec::new(),
            is_stale: true,
            missing_since: None,
            other: None,
        });
        self.topics.len() - 1
    }

    pub(in crate::kafka::wire::fetcher) fn topic_name(&self, place: usize) -> &str {
        &self.topics[place].name
    }

    /// The topics whose leaders are to be looked for.
    pub(in crate::kafka::wire::fetcher) fn stale(&self) -> Vec<String> {
        let is_read = |place: usize| self.parts.values().any(|part| part.topic == place && !part.has_ended);
        let stale = self.topics.iter().enumerate().filter(|(place, topic)| topic.is_stale && is_read(*place));
        stale.map(|(_, topic)| topic.name.to_string()).collect()
    }

    /// Takes in what the cluster says of topics that it was asked for.
    pub(in crate::kafka::wire::fetcher) fn learn(&mut self, asked: &[String], found: Vec<TopicLeaders>, now: Instant) {
        for name in asked {
            let Some(place) = self.topics.iter().position(|topic| *topic.name == **name) else { continue };
            // A broker that does not name it says nothing of it.
            if let Some(found) = found.iter().find(|found| found.name == *name) {
                self.learn_topic(place, found, now);
            }
        }
    }

    fn learn_topic(&mut self, place: usize, found: &TopicLeaders, now: Instant) {
        let topic = &mut self.topics[place];
        match found.error {
            ErrorCode::NONE if !found.leaders.is_empty() => {
                topic.missing_since = None;
                if topic.is_known && found.id != topic.id {
                    // A broker that is behind may say so too: it must be said twice.
                    if topic.other.replace(found.id) == Some(found.id) {
                        self.replaced(place, found.id);
                    }
                    return;
                }
                (topic.is_known, topic.id, topic.other) = (true, found.id, None);
                let leader = |(node, epoch): (&i32, &i32)| (*node >= 0).then_some(PartitionLeader { node: *node, epoch: *epoch });
                topic.leaders = found.leaders.iter().zip(&found.epochs).map(leader).collect();
                topic.is_stale = false;
                let of_it: Vec<SourcePartition> = self.parts.iter().filter(|(_, part)| part.topic == place).map(|(s, _)| *s).collect();
                of_it.into_iter().for_each(|source| self.lead_again(source));
            }
            ErrorCode::NONE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => {
                let since = *topic.missing_since.get_or_insert(now);
                if now.duration_since(since) >= MAY_BE_NEW {
                    topic.missing_since = None;
                    let words = format!("topic {}: {}", topic.name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                    self.tell(FetchEvent::Refused(words));
                }
            }
            ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::INVALID_TOPIC_EXCEPTION => {
                let words = format!("topic {}: {}", topic.name, found.error);
                self.tell(FetchEvent::Refused(words));
            }
            // It stays stale, and is looked for again.
            _ => {}
        }
    }

    /// The topic was deleted and made again: an offset of the one before says nothing of this one. Only where nothing was read yet, and
    /// from its very beginning, there is nothing to be lost.
    fn replaced(&mut self, place: usize, id: TopicId) {
        let topic = &mut self.topics[place];
        (topic.id, topic.other) = (id, None);
        topic.leaders.clear();
        tracing::warn!(topic = &*topic.name, "the topic was deleted and made again");
        let read: Vec<SourcePartition> =
            self.parts.iter().filter(|(_, part)| part.topic == place && part.place.next > 0).map(|(source, _)| *source).collect();
        read.into_iter().for_each(|source| self.out_of_range(source, "its topic was deleted and made again"));
        for part in self.parts.values_mut().filter(|part| part.topic == place) {
            (part.leader, part.asked_of, part.needs_check) = (None, None, false);
            // What came of the one before and was not taken would move the place on, past what this one begins with.
            part.fetched = None;
        }
    }

    /// Gives a partition the leader that is known of it.
    pub(super) fn lead_again(&mut self, source: SourcePartition) {
        let Some(part) = self.parts.get_mut(&source) else { return };
        let topic = &mut self.topics[part.topic];
        let known = usize::try_from(source.partition).ok().and_then(|at| topic.leaders.get(at).copied().flatten());
        match known {
            Some(leader) => self.lead(source, leader),
            // It has none now, or is not there yet.
            None => topic.is_stale = true,
        }
    }

    /// Who leads a partition now. Whoever has led in an earlier epoch is no news.
    pub(super) fn lead(&mut self, source: SourcePartition, leader: PartitionLeader) {
        let Some(part) = self.parts.get_mut(&source) else { return };
        let topic = &mut self.topics[part.topic];
        if part.leader.is_some_and(|known| leader.epoch < known.epoch) {
            topic.is_stale = true;
            return;
        }
        if part.leader == Some(leader) {
            return;
        }
        if let Some(known) = usize::try_from(source.partition).ok().and_then(|at| topic.leaders.get_mut(at)) {
            *known = Some(leader);
        }
        // What the one before still says is not waited for. The new one is asked at once.
        (part.leader, part.asked_of, part.not_before) = (Some(leader), None, None);
        part.needs_check = part.place.epoch >= 0;
        // What was fetched of the one before, and not taken, was committed; yet what follows it is to be found out first.
        part.is_warm = false;
    }

    /// This node does not answer, or not as it should.
    pub(in crate::kafka::wire::fetcher) fn suspect(&mut self, node: i32) {
        for part in self.parts.values().filter(|part| part.leader.is_some_and(|leader| leader.node == node)) {
            self.topics[part.topic].is_stale = true;
        }
    }
}
