//! From the `kafka` section of the configuration to librdkafka's settings.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;

use crate::config::{KafkaConfig, Properties};

/// `kafka.*` of the configuration. The three maps go to librdkafka; they win over what is tuned here, not over what is fixed.
#[derive(Debug, Clone, Default)]
pub struct KafkaSettings {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// The workers' consumer group; names of other groups and of transactions begin with it.
    pub group: String,
    /// For every client: security, client.id, time-outs.
    pub client: BTreeMap<String, String>,
    /// For consumers besides.
    pub consumer: BTreeMap<String, String>,
    /// For producers besides.
    pub producer: BTreeMap<String, String>,
}

/// A key of the three maps that may not be given, or whose value breaks exactly-once or the fence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kafka.{section}: {key} {reason}")]
pub struct RefusedKey {
    /// `client`, `consumer` or `producer`.
    pub section: &'static str,
    /// librdkafka's key.
    pub key: String,
    /// What is wrong with it, in words that follow the key.
    pub reason: String,
}

/// What exactly-once and the fence stand on, and where it is set instead if it can be.
const FIXED: &[(&str, &str)] = &[
    ("bootstrap.servers", "is set by kafka.bootstrap"),
    ("metadata.broker.list", "is set by kafka.bootstrap"),
    ("group.id", "is set by kafka.group"),
    ("group.protocol", "is always classic"),
    ("group.instance.id", "must not be set: a member that returns under its old name is not fenced"),
    ("transactional.id", "is made of kafka.group, kafka.instance and the worker's number"),
    ("enable.auto.commit", "is always false: offsets are committed in the transaction"),
    ("auto.commit.enable", "is always false: offsets are committed in the transaction"),
    ("enable.auto.offset.store", "is always false: offsets are committed in the transaction"),
    ("auto.offset.reset", "is always error: no silent double or gap"),
    ("isolation.level", "is chosen by each reader"),
    ("enable.partition.eof", "is always false"),
    ("enable.idempotence", "is always true"),
    ("acks", "is always all"),
    ("request.required.acks", "is always all"),
    ("partitioner", "is always murmur2_random, so that keys land where Java clients expect them"),
    ("message.timeout.ms", "follows from transaction.timeout.ms"),
    ("delivery.timeout.ms", "follows from transaction.timeout.ms"),
    ("delivery.report.only.error", "is always true"),
    ("allow.auto.create.topics", "is always false"),
    ("enable.gapless.guarantee", "is always false"),
    ("log.queue", "is always true"),
];

/// librdkafka's own default, for the comparison of the three time-outs.
const SESSION_TIMEOUT_MS: u64 = 45_000;
const MAX_POLL_INTERVAL_MS: u64 = 300_000;
const TRANSACTION_TIMEOUT_MS: u64 = 15_000;

impl KafkaSettings {
    /// From the resolved configuration, which has refused what would break exactly-once or the fence.
    pub fn of(config: &KafkaConfig) -> Self {
        let map = |properties: &Properties| properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self {
            bootstrap: config.bootstrap.clone(),
            group: config.group.clone(),
            client: map(&config.client),
            consumer: map(&config.consumer),
            producer: map(&config.producer),
        }
    }

    /// Refuses what would break exactly-once or the fence: fixed keys, and time-outs in another order than
    /// transaction < session < poll interval.
    pub fn check(&self) -> Result<(), RefusedKey> {
        for (section, map) in [("client", &self.client), ("consumer", &self.consumer), ("producer", &self.producer)] {
            for key in map.keys() {
                if let Some((_, reason)) = FIXED.iter().find(|(fixed, _)| fixed == key) {
                    return Err(RefusedKey { section, key: key.clone(), reason: (*reason).to_owned() });
                }
            }
        }
        let transaction = self.number("producer", &self.producer, "transaction.timeout.ms", TRANSACTION_TIMEOUT_MS)?;
        let session = self.number("consumer", &self.consumer, "session.timeout.ms", SESSION_TIMEOUT_MS)?;
        let poll = self.number("consumer", &self.consumer, "max.poll.interval.ms", MAX_POLL_INTERVAL_MS)?;
        if transaction >= session {
            let reason = format!("({transaction}) must be less than session.timeout.ms ({session})");
            return Err(RefusedKey { section: "producer", key: "transaction.timeout.ms".to_owned(), reason });
        }
        if session >= poll {
            let reason = format!("({session}) must be less than max.poll.interval.ms ({poll})");
            return Err(RefusedKey { section: "consumer", key: "session.timeout.ms".to_owned(), reason });
        }
        Ok(())
    }

    /// How long the broker waits before it aborts a transaction of a producer that is gone, in milliseconds.
    pub fn transaction_timeout_ms(&self) -> u64 {
        self.number("producer", &self.producer, "transaction.timeout.ms", TRANSACTION_TIMEOUT_MS).unwrap_or(TRANSACTION_TIMEOUT_MS)
    }

    /// How long the group keeps a member that is silent, in milliseconds.
    pub fn session_timeout_ms(&self) -> u64 {
        self.number("consumer", &self.consumer, "session.timeout.ms", SESSION_TIMEOUT_MS).unwrap_or(SESSION_TIMEOUT_MS)
    }

    fn number(&self, section: &'static str, map: &BTreeMap<String, String>, key: &str, default: u64) -> Result<u64, RefusedKey> {
        match map.get(key).or_else(|| self.client.get(key)) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| RefusedKey { section, key: key.to_owned(), reason: "is not a number".to_owned() }),
        }
    }

    /// Of a client that neither consumes nor produces.
    pub(super) fn plain(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "sharecast")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "2000")
            .set("enable.metrics.push", "false")
            // Topics are made with a configuration, never by a question or a record.
            .set("allow.auto.create.topics", "false")
            // A topic that a client knows to be missing is asked for again after a second (docs/librdkafka.md#topics-that-are-missing).
            .set("topic.metadata.propagation.max.ms", "1000");
        lay_over(&mut config, &self.client);
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// Of a consumer; its isolation level is given by whom it is for.
    pub(super) fn consumer(&self, group: &str, isolation: &str) -> ClientConfig {
        let mut config = self.plain();
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION_TIMEOUT_MS.to_string())
            .set("max.poll.interval.ms", MAX_POLL_INTERVAL_MS.to_string())
            // A member learns of a rebalance by its heartbeat; a cooperative one takes two.
            .set("heartbeat.interval.ms", "1000")
            // A watermark query waits behind a fetch that waits; data that is there is answered at once anyway.
            .set("fetch.wait.max.ms", "100")
            // The default of a second stalls a reader that is faster than its queue fills (docs/librdkafka.md#throughput).
            .set("fetch.queue.backoff.ms", "5")
            .set("queued.max.messages.kbytes", "65536");
        lay_over(&mut config, &self.consumer);
        config
            .set("group.id", group)
            .set("group.protocol", "classic")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("isolation.level", isolation);
        config
    }

    /// Of an idempotent producer without transactions.
    pub(super) fn idempotent_producer(&self) -> ClientConfig {
        let mut config = self.plain();
        config
            .set("linger.ms", "20")
            .set("compression.codec", "lz4")
            // Uncompressed, and below the megabyte that topics take by default: librdkafka does not split a refused batch.
            .set("batch.size", "900000")
            // The topic is to judge a record's size, and says so in its report.
            .set("message.max.bytes", "8388608")
            .set("queue.buffering.max.messages", "500000")
            .set("queue.buffering.max.kbytes", "262144");
        lay_over(&mut config, &self.producer);
        config.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
        config.remove("transaction.timeout.ms");
        config
    }

    /// Of a transactional producer.
    pub(super) fn transactional_producer(&self, transactional_id: &str) -> ClientConfig {
        let timeout_ms = self.transaction_timeout_ms();
        let mut config = self.idempotent_producer();
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", timeout_ms.to_string())
            // A record that cannot be delivered is given up while there is time left to abort in order.
            .set("message.timeout.ms", (timeout_ms - timeout_ms / 4).to_string())
            .set("delivery.report.only.error", "true");
        config
    }
}

fn lay_over(config: &mut ClientConfig, map: &BTreeMap<String, String>) {
    for (key, value) in map {
        config.set(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(section: &str, key: &str, value: &str) -> Result<(), RefusedKey> {
        let mut settings = KafkaSettings::default();
        let map = match section {
            "client" => &mut settings.client,
            "consumer" => &mut settings.consumer,
            _ => &mut settings.producer,
        };
        map.insert(key.to_owned(), value.to_owned());
        settings.check()
    }

    #[test]
    fn what_breaks_exactly_once_is_refused() {
        for (section, key, value) in [
            ("client", "bootstrap.servers", "x:1"),
            ("consumer", "auto.offset.reset", "latest"),
            ("consumer", "isolation.level", "read_uncommitted"),
            ("client", "enable.auto.commit", "true"),
            ("producer", "acks", "1"),
            ("producer", "partitioner", "random"),
        ] {
            let refused = with(section, key, value).unwrap_err();
            assert_eq!((refused.section, refused.key.as_str()), (section, key));
        }
        assert_eq!(with("client", "security.protocol", "ssl"), Ok(()));
        assert_eq!(with("consumer", "fetch.wait.max.ms", "500"), Ok(()));
    }

    #[test]
    fn the_three_timeouts_keep_their_order() {
        assert_eq!(with("producer", "transaction.timeout.ms", "45000").unwrap_err().key, "transaction.timeout.ms");
        assert_eq!(with("client", "transaction.timeout.ms", "45000").unwrap_err().key, "transaction.timeout.ms");
        assert_eq!(with("consumer", "session.timeout.ms", "15000").unwrap_err().key, "transaction.timeout.ms");
        assert_eq!(with("consumer", "max.poll.interval.ms", "45000").unwrap_err().key, "session.timeout.ms");
        assert_eq!(with("consumer", "session.timeout.ms", "many").unwrap_err().reason, "is not a number");
        assert_eq!(with("producer", "transaction.timeout.ms", "44999"), Ok(()));
    }

    #[test]
    fn what_is_fixed_wins_and_what_is_tuned_does_not() {
        let mut settings = KafkaSettings { bootstrap: "b:1".to_owned(), ..KafkaSettings::default() };
        settings.consumer.insert("auto.offset.reset".to_owned(), "earliest".to_owned());
        settings.consumer.insert("fetch.wait.max.ms".to_owned(), "7".to_owned());
        let config = settings.consumer("g", "read_committed");
        assert_eq!((config.get("auto.offset.reset"), config.get("fetch.wait.max.ms")), (Some("error"), Some("7")));
        assert_eq!((config.get("group.id"), config.get("bootstrap.servers")), (Some("g"), Some("b:1")));
    }
}
