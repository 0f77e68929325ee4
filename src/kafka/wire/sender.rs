//! How batches come to their leaders: one request a leader at a time, and one batch of a partition, so that nothing overtakes anything.

mod answers;
mod leaders;

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use super::cluster::{Cluster, Purpose};
use super::compression::BatchCompressor;
use super::connection::{ConnectError, Lost};
use super::messages::commit::ProducerIdentity;
use super::messages::produce::{ProduceBatch, read_produce};
use super::outgoing::{OutgoingQueues, QueuePlace};
use super::verdict::LastWord;
use crate::kafka::client::Deadline;
use crate::transport::ProduceError;

/// A request is not larger, unless one batch is.
const REQUEST_BYTES: usize = 8 << 20;
/// The leader gives its own wait up before the answer is.
const ACKNOWLEDGED_WITHIN: f32 = 0.8;
/// After an answer that passes.
const PASSES: Duration = Duration::from_millis(50);
/// Between two questions for leaders, at first and at most.
const LOOK: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));

/// A request that is not answered.
struct Flight {
    node: i32,
    /// Of each the first batch.
    queues: Vec<QueuePlace>,
    until: Deadline,
}

/// Sends the batches of one transactional.id.
pub(super) struct BatchSender {
    pub(super) cluster: Cluster,
    pub(super) outgoing: OutgoingQueues,
    pub(super) compressor: BatchCompressor,
    pub(super) identity: ProducerIdentity,
    transactional_id: String,
    flights: Vec<Flight>,
    /// Brokers that want nothing for a while.
    throttled: HashMap<i32, Deadline>,
    /// Since they were taken last, one of a kind a topic.
    failures: Vec<ProduceError>,
    /// A batch has left since the transaction began: the cluster may know of it.
    pub(super) has_sent: bool,
}

impl BatchSender {
    pub(super) fn new(cluster: Cluster, transactional_id: &str, identity: ProducerIdentity) -> Self {
        let compressor = BatchCompressor::new(cluster.settings.codec, cluster.settings.level);
        Self {
            cluster,
            outgoing: OutgoingQueues::default(),
            compressor,
            identity,
            transactional_id: transactional_id.to_owned(),
            flights: Vec::new(),
            throttled: HashMap::new(),
            failures: Vec::new(),
            has_sent: false,
        }
    }

    /// Sends the first batches of all that waits, as far as leaders are known and free, and waits for no answer.
    pub(super) fn launch(&mut self, deadline: Deadline) {
        self.outgoing.seal_all(self.identity, &mut self.compressor);
        for (node, queues) in self.due() {
            self.send(node, queues, deadline);
        }
    }

    /// Whether a batch is not acknowledged.
    pub(super) fn has_waiting(&self) -> bool {
        self.outgoing.has_waiting()
    }

    /// Waits until all is acknowledged. The first failure ends that: what waits is not sent any more then.
    pub(super) fn settle(&mut self, deadline: Deadline) -> Result<(), Vec<ProduceError>> {
        let mut pause = LOOK.0;
        while self.failures.is_empty() && self.has_waiting() {
            if deadline.has_passed() {
                self.time_out();
                break;
            }
            self.launch(deadline);
            if !self.flights.is_empty() {
                self.collect();
            }
            if self.failures.is_empty() && self.has_stale() {
                // A hint of the leader itself has made the pause needless, and is no reason for a look.
                if self.look_again(deadline) {
                    pause = LOOK.0;
                } else {
                    thread::sleep(pause.min(deadline.left()));
                    pause = (pause * 2).min(LOOK.1);
                }
            } else if let Some(wait) = self.shortest_wait() {
                thread::sleep(wait.min(deadline.left()));
            }
        }
        if self.failures.is_empty() { Ok(()) } else { Err(std::mem::take(&mut self.failures)) }
    }

    /// Forgets all that waits. What is on its way is answered to nobody.
    pub(super) fn clear(&mut self) {
        for flight in std::mem::take(&mut self.flights) {
            self.cluster.give_up(flight.node, Purpose::Batches);
        }
        self.outgoing.clear();
        self.failures.clear();
        self.has_sent = false;
    }

    /// By node, the queues whose first batch may be sent to it now, those of a topic side by side.
    fn due(&mut self) -> Vec<(i32, Vec<QueuePlace>)> {
        let Self { outgoing, cluster, flights, throttled, .. } = self;
        throttled.retain(|_, until| !until.has_passed());
        let mut by_node: Vec<(i32, usize, Vec<QueuePlace>)> = Vec::new();
        for place in &outgoing.used {
            let topic = &mut outgoing.topics[place.topic];
            let queue = &topic.queues[place.partition];
            let Some(batch) = queue.sealed.front().filter(|_| !queue.is_in_flight) else { continue };
            if queue.not_before.is_some_and(|until| !until.has_passed()) {
                continue;
            }
            let Some(node) = topic.leaders.get(place.partition).copied().filter(|node| cluster.knows(*node)) else {
                topic.is_stale = true;
                continue;
            };
            if throttled.contains_key(&node) || flights.iter().any(|flight| flight.node == node) {
                continue;
            }
            match by_node.iter_mut().find(|(known, ..)| *known == node) {
                Some((_, bytes, _)) if *bytes + batch.bytes.len() > REQUEST_BYTES => {}
                Some((_, bytes, queues)) => {
                    *bytes += batch.bytes.len();
                    queues.push(*place);
                }
                None => by_node.push((node, batch.bytes.len(), vec![*place])),
            }
        }
        let sorted = |(node, _, mut queues): (i32, usize, Vec<QueuePlace>)| {
            queues.sort_unstable();
            (node, queues)
        };
        by_node.into_iter().map(sorted).collect()
    }

    fn send(&mut self, node: i32, queues: Vec<QueuePlace>, deadline: Deadline) {
        let attempt = self.cluster.settings.attempt;
        let until = deadline.min(Deadline::after(attempt));
        let Self { cluster, outgoing, transactional_id, .. } = self;
        let sent = match cluster.connection(node, Purpose::Batches, until) {
            Err(error) => Err(error),
            Ok(connection) => {
                let batch_of = |place: &QueuePlace| {
                    let topic = &outgoing.topics[place.topic];
                    let batch = topic.queues[place.partition].sealed.front()?;
                    Some(ProduceBatch { topic: &topic.name, partition: place.partition as i32, batch: &batch.bytes })
                };
                let batches: Vec<ProduceBatch<'_>> = queues.iter().filter_map(batch_of).collect();
                // Whatever becomes of it, some of it may have come to the broker.
                self.has_sent = true;
                let timeout = attempt.mul_f32(ACKNOWLEDGED_WITHIN);
                connection.send_batches(transactional_id, timeout, &batches, until).map_err(ConnectError::from)
            }
        };
        match sent {
            Ok(()) => {
                queues.iter().for_each(|place| self.outgoing.queue(*place).is_in_flight = true);
                self.flights.push(Flight { node, queues, until });
            }
            Err(ConnectError::NotNative(why)) => self.fail(ProduceError::Fatal(why.to_string())),
            Err(ConnectError::LoginRefused(words) | ConnectError::Lost(Lost(words))) => self.lose(node, &queues, &words),
        }
    }

    /// Waits for the answers to all that was sent.
    fn collect(&mut self) {
        for Flight { node, queues, until } in std::mem::take(&mut self.flights) {
            let answer = match self.cluster.existing(node, Purpose::Batches) {
                Some(connection) => connection.receive(until, read_produce),
                None => Err(Lost("the connection is gone".to_owned())),
            };
            match answer {
                Ok(answer) => self.take(node, &queues, answer),
                Err(Lost(words)) => self.lose(node, &queues, &words),
            }
        }
    }

    /// Nobody knows what became of these batches: they are sent again, and leaders know them by their sequences.
    fn lose(&mut self, node: i32, queues: &[QueuePlace], words: &str) {
        tracing::debug!(node, words, "batches are sent again");
        self.cluster.give_up(node, Purpose::Batches);
        for place in queues {
            let queue = self.outgoing.queue(*place);
            queue.is_in_flight = false;
            queue.again_unheard(words, PASSES);
            self.outgoing.topics[place.topic].is_stale = true;
        }
    }

    /// The shortest time for which nothing can be sent; none where something can.
    fn shortest_wait(&self) -> Option<Duration> {
        let waits = self.outgoing.used.iter().filter_map(|place| {
            let topic = &self.outgoing.topics[place.topic];
            let queue = &topic.queues[place.partition];
            let leader = topic.leaders.get(place.partition);
            let throttled = leader.and_then(|node| self.throttled.get(node)).map_or(Duration::ZERO, |until| until.left());
            (!queue.is_empty()).then(|| queue.not_before.map_or(Duration::ZERO, Deadline::left).max(throttled))
        });
        waits.min().filter(|wait| !wait.is_zero())
    }
}
