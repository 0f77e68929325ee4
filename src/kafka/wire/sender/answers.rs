//! What follows from the answer to a Produce, or from none.

use std::collections::VecDeque;
use std::time::Duration;

use super::{BatchSender, PASSES};
use crate::kafka::client::Deadline;
use crate::kafka::wire::cluster::Purpose;
use crate::kafka::wire::messages::produce::{PartitionAnswer, ProduceAnswer};
use crate::kafka::wire::outgoing::QueuePlace;
use crate::kafka::wire::verdict::{LastWord, ProduceFailure, ProduceVerdict, of_produce};
use crate::transport::ProduceError;

/// While markers of the transaction before are written.
const MARKERS: Duration = Duration::from_millis(5);

impl BatchSender {
    pub(super) fn take(&mut self, node: i32, queues: &[QueuePlace], ProduceAnswer { partitions, nodes, throttle_ms }: ProduceAnswer) {
        if let Ok(throttle_ms @ 1..) = u64::try_from(throttle_ms) {
            self.throttled.insert(node, Deadline::after(Duration::from_millis(throttle_ms)));
        }
        nodes.into_iter().for_each(|node| self.cluster.learn(node));
        let mut unanswered: VecDeque<QueuePlace> = queues.iter().copied().collect();
        for answer in partitions {
            let is_its =
                |place: &QueuePlace| place.partition as i32 == answer.partition && *self.outgoing.topics[place.topic].name == *answer.topic;
            // As a rule they are named in the order in which they were sent.
            if let Some(place) = unanswered.iter().position(is_its).and_then(|at| unanswered.remove(at)) {
                self.judge(place, answer);
            }
        }
        if !unanswered.is_empty() {
            self.lose(node, unanswered.make_contiguous(), "the answer names not all that was sent");
        }
    }

    fn judge(&mut self, place: QueuePlace, PartitionAnswer { error, words, leader, .. }: PartitionAnswer) {
        let knows_leader = leader.is_some_and(|leader| self.cluster.knows(leader));
        let topic = &mut self.outgoing.topics[place.topic];
        let queue = &mut topic.queues[place.partition];
        queue.is_in_flight = false;
        let words = words.map_or_else(|| error.to_string(), |words| format!("{error}: {words}"));
        match of_produce(error) {
            ProduceVerdict::Written => queue.written(),
            ProduceVerdict::AgainElsewhere => {
                queue.again(LastWord::Unreachable, words, PASSES);
                match (leader.filter(|_| knows_leader), topic.leaders.get_mut(place.partition)) {
                    (Some(leader), Some(known)) => *known = leader,
                    _ => topic.is_stale = true,
                }
            }
            ProduceVerdict::AgainLater(last) => {
                let wait = if last == LastWord::Abort { MARKERS } else { PASSES };
                queue.not_before = Some(Deadline::after(wait));
                queue.last = Some((last, words));
            }
            ProduceVerdict::AgainOnce(failure) if queue.was_repeated => self.fail_at(place, failure, words),
            ProduceVerdict::AgainOnce(_) => queue.was_repeated = true,
            ProduceVerdict::AgainIfThere => {
                queue.again(LastWord::Unreachable, words, PASSES);
                topic.is_stale = true;
            }
            ProduceVerdict::Failed(failure) => self.fail_at(place, failure, words),
        }
    }

    fn fail_at(&mut self, place: QueuePlace, failure: ProduceFailure, reason: String) {
        let topic = String::from(&*self.outgoing.topics[place.topic].name);
        self.fail(match failure {
            ProduceFailure::Route => ProduceError::Route { topic, reason },
            ProduceFailure::Refused => ProduceError::Refused { topic, reason },
            ProduceFailure::Abort => ProduceError::Abort(format!("{topic}: {reason}")),
            ProduceFailure::Fenced => ProduceError::Fenced(format!("{topic}: {reason}")),
            ProduceFailure::Fatal => ProduceError::Fatal(format!("{topic}: {reason}")),
        });
    }

    pub(super) fn fail(&mut self, failure: ProduceError) {
        if !self.failures.iter().any(|known| is_same(known, &failure)) {
            self.failures.push(failure);
        }
    }

    /// What is still not acknowledged is so by its topic's fault, or by the transaction's.
    pub(super) fn time_out(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            self.cluster.give_up(flight.node, Purpose::Batches);
        }
        for place in self.outgoing.used.clone() {
            let topic = &self.outgoing.topics[place.topic];
            let queue = &topic.queues[place.partition];
            if queue.is_empty() {
                continue;
            }
            let name = topic.name.to_string();
            let (last, words) = queue.last.clone().unwrap_or((LastWord::Unreachable, "its leader does not answer".to_owned()));
            let reason = format!("no acknowledgement in time: {words}");
            self.fail(match last {
                LastWord::Unreachable => ProduceError::Unreachable { topic: name, reason },
                LastWord::Abort => ProduceError::Abort(format!("{name}: {reason}")),
            });
        }
    }
}

/// One failed batch is as good as another of its topic and kind.
fn is_same(one: &ProduceError, other: &ProduceError) -> bool {
    match (one, other) {
        (ProduceError::Route { topic: a, .. }, ProduceError::Route { topic: b, .. })
        | (ProduceError::Unreachable { topic: a, .. }, ProduceError::Unreachable { topic: b, .. })
        | (ProduceError::Refused { topic: a, .. }, ProduceError::Refused { topic: b, .. }) => a == b,
        (ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. }, _)
        | (_, ProduceError::Route { .. } | ProduceError::Refused { .. } | ProduceError::Unreachable { .. }) => false,
        (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}
