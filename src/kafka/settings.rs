//! From the `kafka` section of the configuration to librdkafka's settings.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::producer::BaseProducer;

use super::client::{ClientError, Logged, create};
use crate::config::kafka::spelling::canonical;
use crate::config::kafka::{HEARTBEAT_INTERVAL_MS, MAX_POLL_INTERVAL_MS, SESSION_TIMEOUT_MS, TRANSACTION_TIMEOUT_MS};
use crate::config::{DataPlane, KafkaConfig, Properties};

/// `kafka.*` of the configuration. The three maps go to librdkafka; they win over what is tuned here, not over what is fixed.
#[derive(Clone, Default)]
pub struct KafkaSettings {
    /// `host:port`, several with commas.
    pub bootstrap: String,
    /// The workers' consumer group; names of other groups and of transactions begin with it.
    pub group: String,
    /// Which client writes what the workers release.
    pub data_plane: DataPlane,
    /// For every client: security, client.id, time-outs.
    pub client: BTreeMap<String, String>,
    /// For consumers besides.
    pub consumer: BTreeMap<String, String>,
    /// For producers besides.
    pub producer: BTreeMap<String, String>,
}

/// More than this librdkafka does not take.
const LONGEST_LINGER_MS: u64 = 900_000;

impl KafkaSettings {
    /// From the resolved configuration, which has refused what would break exactly-once or the fence.
    pub fn of(config: &KafkaConfig) -> Self {
        let map = |properties: &Properties| properties.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self {
            bootstrap: config.bootstrap.clone(),
            group: config.group.clone(),
            data_plane: config.data_plane,
            client: map(&config.client),
            consumer: map(&config.consumer),
            producer: map(&config.producer),
        }
    }

    /// How long the broker waits before it aborts a transaction of a producer that is gone, in milliseconds.
    pub fn transaction_timeout_ms(&self) -> u64 {
        self.number(&self.producer, "transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.into())
    }

    /// How long the group keeps a member that is silent, in milliseconds.
    pub fn session_timeout_ms(&self) -> u64 {
        self.number(&self.consumer, "session.timeout.ms", SESSION_TIMEOUT_MS.into())
    }

    fn number(&self, map: &BTreeMap<String, String>, key: &str, default: u64) -> u64 {
        map.get(key).or_else(|| self.client.get(key)).and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    /// Of a client that neither consumes nor produces.
    pub(super) fn plain(&self) -> ClientConfig {
        self.layered(&[], &BTreeMap::new())
    }

    /// Of a consumer; its isolation level is given by whom it is for.
    pub(super) fn consumer(&self, group: &str, isolation: &str) -> ClientConfig {
        let tuned = [
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", &SESSION_TIMEOUT_MS.to_string()),
            ("max.poll.interval.ms", &MAX_POLL_INTERVAL_MS.to_string()),
            ("heartbeat.interval.ms", &HEARTBEAT_INTERVAL_MS.to_string()),
            // A watermark query waits until a fetch that waits is over; data that is there is sent at once anyway.
            ("fetch.wait.max.ms", "100"),
            // The default of a second stalls a reader that is faster than its queue fills.
            ("fetch.queue.backoff.ms", "5"),
            ("queued.max.messages.kbytes", "65536"),
        ];
        let mut config = self.layered(&tuned, &self.consumer);
        for (key, value) in [
            ("group.id", group),
            ("group.protocol", "classic"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("isolation.level", isolation),
        ] {
            put(&mut config, key, value);
        }
        config
    }

    /// Of an idempotent producer without transactions.
    pub(super) fn idempotent_producer(&self) -> ClientConfig {
        let tuned = [
            ("linger.ms", "20"),
            ("compression.codec", "lz4"),
            // Uncompressed, and below the megabyte that topics take by default: librdkafka does not split a refused batch.
            ("batch.size", "900000"),
            // The topic is to judge a record's size, and says so in its report.
            ("message.max.bytes", "8388608"),
            ("queue.buffering.max.messages", "500000"),
            ("queue.buffering.max.kbytes", "262144"),
        ];
        let mut config = self.layered(&tuned, &self.producer);
        for (key, value) in [("enable.idempotence", "true"), ("acks", "all"), ("partitioner", "murmur2_random")] {
            put(&mut config, key, value);
        }
        config.remove("transaction.timeout.ms");
        config
    }

    /// Of a transactional producer.
    pub(super) fn transactional_producer(&self, transactional_id: &str) -> ClientConfig {
        let timeout_ms = self.transaction_timeout_ms();
        // A record that cannot be delivered is given up while there is time left to abort in order.
        let message_timeout_ms = timeout_ms - timeout_ms / 4;
        let mut config = self.flushed_producer(message_timeout_ms);
        for (key, value) in [
            ("transactional.id", transactional_id),
            ("transaction.timeout.ms", &timeout_ms.to_string()),
            ("message.timeout.ms", &message_timeout_ms.to_string()),
            ("delivery.report.only.error", "true"),
        ] {
            put(&mut config, key, value);
        }
        config
    }

    /// Of a producer of batches that are flushed at their end, with acknowledgements instead of transactions.
    pub(super) fn acknowledged_producer(&self) -> ClientConfig {
        let mut config = self.flushed_producer(self.transaction_timeout_ms());
        for (key, value) in [
            // What is not acknowledged in time is given up by its owner, all of it together: were one record given up and the next one of
            // its partition not, they would change places.
            ("message.timeout.ms", "0"),
            // Likewise after one that is refused: nothing that follows it may be taken.
            ("enable.gapless.guarantee", "true"),
            ("delivery.report.only.error", "true"),
        ] {
            put(&mut config, key, value);
        }
        config
    }

    /// Each batch is flushed at its end. Until then only full requests leave: what is due and cannot be sent, because others of its
    /// partition are in flight, would be polled for without a pause.
    fn flushed_producer(&self, timeout_ms: u64) -> ClientConfig {
        let mut config = self.idempotent_producer();
        let is_linger = |key: &String| canonical(key) == canonical("linger.ms");
        if !self.producer.keys().chain(self.client.keys()).any(is_linger) {
            put(&mut config, "linger.ms", &timeout_ms.saturating_sub(1).min(LONGEST_LINGER_MS).to_string());
        }
        config
    }

    /// What is tuned here for every client, then `tuned` for this kind, then what is configured for every client, then `own` for
    /// this kind.
    fn layered(&self, tuned: &[(&str, &str)], own: &BTreeMap<String, String>) -> ClientConfig {
        let mut config = ClientConfig::new();
        let every = [
            ("client.id", "sharecast"),
            ("socket.keepalive.enable", "true"),
            ("reconnect.backoff.max.ms", "2000"),
            ("enable.metrics.push", "false"),
            // Topics are made with a configuration, never by a question or a record.
            ("allow.auto.create.topics", "false"),
            // A topic that a client knows to be missing is asked for again after a second, not half a minute.
            ("topic.metadata.propagation.max.ms", "1000"),
        ];
        for (key, value) in every.iter().chain(tuned) {
            put(&mut config, key, value);
        }
        lay_over(&mut config, &self.client);
        lay_over(&mut config, own);
        put(&mut config, "bootstrap.servers", &self.bootstrap);
        config
    }

    /// Has librdkafka look at all of them together, without a broker: files of certificates, mechanisms that it was not built
    /// with, settings that exclude one another.
    ///
    /// # Errors
    /// What it does not take.
    pub fn try_out(&self) -> Result<(), ClientError> {
        self.make_without_broker().map_err(|error| {
            let ClientError::Settings(words) = error else { return error };
            let name = self.to_blame(&words).map(|name| format!("{name}: ")).unwrap_or_default();
            ClientError::Settings(format!("{name}{words}"))
        })
    }

    /// The setting that a refusal names, or without which all would be taken; the security protocol last: it is what others are
    /// wrong for.
    fn to_blame(&self, words: &str) -> Option<String> {
        let maps = [("client", &self.client), ("consumer", &self.consumer), ("producer", &self.producer)];
        let mut settings: Vec<(&str, &String)> =
            maps.iter().flat_map(|(section, map)| map.keys().map(move |name| (*section, name))).collect();
        settings.sort_by_key(|(_, name)| *name == "security.protocol");
        let words = words.to_lowercase();
        let is_named = |(_, name): &&(&str, &String)| {
            let name = name.trim_end_matches('s');
            words.contains(name) || words.contains(&name.replace('.', " "))
        };
        let is_to_blame = |(section, name): &(&str, &String)| {
            let mut others = self.clone();
            let map = match *section {
                "client" => &mut others.client,
                "consumer" => &mut others.consumer,
                _ => &mut others.producer,
            };
            map.remove(*name);
            others.make_without_broker().is_ok()
        };
        let found = settings.iter().find(is_named).or_else(|| settings.iter().find(|setting| is_to_blame(setting)));
        found.map(|(section, name)| format!("kafka.{section}.{name}"))
    }

    fn make_without_broker(&self) -> Result<(), ClientError> {
        let without_address = |mut config: ClientConfig| {
            config.remove(canonical("bootstrap.servers"));
            config
        };
        create::<BaseConsumer<Logged>>(&without_address(self.consumer("check", "read_committed")))?;
        create::<BaseProducer<Logged>>(&without_address(self.acknowledged_producer()))?;
        create::<BaseProducer<Logged>>(&without_address(self.transactional_producer("check"))).map(drop)
    }
}

impl fmt::Debug for KafkaSettings {
    /// Values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("KafkaSettings")
            .field("bootstrap", &self.bootstrap)
            .field("group", &self.group)
            .field("data_plane", &self.data_plane)
            .field("client", &names(&self.client))
            .field("consumer", &names(&self.consumer))
            .field("producer", &names(&self.producer))
            .finish()
    }
}

/// Sets one of librdkafka's settings, under its one name: two spellings of it would win by chance.
pub(super) fn put(config: &mut ClientConfig, key: &str, value: &str) {
    config.set(canonical(key), value);
}

fn lay_over(config: &mut ClientConfig, map: &BTreeMap<String, String>) {
    for (key, value) in map {
        put(config, key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::kafka::spelling::ALIASES;

    #[test]
    fn no_client_has_a_setting_under_two_names() {
        let mut settings = KafkaSettings { bootstrap: "b:1".to_owned(), ..KafkaSettings::default() };
        for (alias, _) in ALIASES {
            settings.client.insert((*alias).to_owned(), "1".to_owned());
            settings.producer.insert((*alias).to_owned(), "2".to_owned());
            settings.consumer.insert((*alias).to_owned(), "3".to_owned());
        }
        for config in [
            settings.plain(),
            settings.consumer("g", "read_committed"),
            settings.transactional_producer("t"),
            settings.acknowledged_producer(),
        ] {
            for (alias, name) in ALIASES {
                assert_eq!(config.get(alias), None, "{alias}");
                assert!(config.get(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn what_is_configured_wins_over_what_is_tuned_and_the_kind_over_every_client() {
        let mut settings = KafkaSettings::default();
        let linger = |settings: &KafkaSettings| settings.idempotent_producer().get("queue.buffering.max.ms").map(str::to_owned);
        assert_eq!(linger(&settings).as_deref(), Some("20"));
        settings.client.insert("linger.ms".to_owned(), "7".to_owned());
        assert_eq!(linger(&settings).as_deref(), Some("7"));
        settings.producer.insert("queue.buffering.max.ms".to_owned(), "9".to_owned());
        assert_eq!(linger(&settings).as_deref(), Some("9"));
    }

    #[test]
    fn no_value_is_written_out_by_debug() {
        let mut settings = KafkaSettings::default();
        settings.client.insert("sasl.pasword".to_owned(), "hunter2".to_owned());
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn settings_that_exclude_one_another_are_found_without_a_broker() {
        let mut settings = KafkaSettings { bootstrap: "127.0.0.1:1".to_owned(), group: "g".to_owned(), ..KafkaSettings::default() };
        assert!(settings.try_out().is_ok());
        settings.client.insert("security.protocol".to_owned(), "ssl".to_owned());
        settings.client.insert("ssl.ca.location".to_owned(), "/nowhere/ca.pem".to_owned());
        assert!(settings.try_out().unwrap_err().to_string().contains("ssl.ca.location"));
        settings.client.insert("security.protocol".to_owned(), "sasl_plaintext".to_owned());
        settings.client.insert("sasl.mechanism".to_owned(), "hunter2".to_owned());
        let refused = settings.try_out().unwrap_err().to_string();
        assert!(refused.contains("mechanism") && !refused.contains("hunter"), "{refused}");
    }

    #[test]
    fn what_is_fixed_wins_and_what_is_tuned_does_not() {
        let mut settings = KafkaSettings { bootstrap: "b:1".to_owned(), ..KafkaSettings::default() };
        settings.consumer.insert("auto.offset.reset".to_owned(), "earliest".to_owned());
        settings.consumer.insert("fetch.wait.max.ms".to_owned(), "7".to_owned());
        let config = settings.consumer("g", "read_committed");
        assert_eq!((config.get("auto.offset.reset"), config.get("fetch.wait.max.ms")), (Some("error"), Some("7")));
        assert_eq!((config.get("group.id"), config.get("metadata.broker.list")), (Some("g"), Some("b:1")));
    }
}
