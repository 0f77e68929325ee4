//! How the cluster is reached, and which of librdkafka's settings may not be touched.

mod guarded;
pub mod spelling;

use std::fmt;

use self::spelling::{Taken, looks_secret};
use super::ConfigEnv;
use super::shape;
use super::written::{ConfigEntry, ConfigKind, ConfigValue, Findings, Spot};
use crate::time::Period;

/// `kafka.data_plane`: which client writes what the workers release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DataPlane {
    /// The native one where the cluster and the settings allow it.
    #[default]
    Auto,
    /// The native one, or no start.
    Native,
    /// librdkafka.
    Librdkafka,
}

impl DataPlane {
    fn named(word: &str) -> Self {
        match word {
            "native" => Self::Native,
            "librdkafka" => Self::Librdkafka,
            _ => Self::Auto,
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Librdkafka => "librdkafka",
        }
    }
}

/// `kafka`.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// `host:port`, several with commas between.
    pub bootstrap: String,
    /// The workers' consumer group; also the beginning of every `transactional.id`.
    pub group: String,
    /// This process's name among those of the group; should be stable, and no two alike.
    pub instance: String,
    /// Which client writes.
    pub data_plane: DataPlane,
    /// librdkafka's settings for every client.
    pub client: Properties,
    /// For consumers, besides.
    pub consumer: Properties,
    /// For producers, besides.
    pub producer: Properties,
    /// How long the brokers keep a transaction open that its producer left.
    pub transaction_timeout: Period,
    /// How long the group waits for a member that went silent.
    pub session_timeout: Period,
    /// How long the group waits for a member that does not poll.
    pub max_poll_interval: Period,
}

/// librdkafka's settings in the order they were written, each by its one name (`spelling`). What is shown of them are the
/// names: values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(pub Vec<(String, String)>);

impl Properties {
    /// The value of a setting.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// `transaction.timeout.ms`, `session.timeout.ms` and `max.poll.interval.ms` unless they are written
/// (docs/rules/exactly-once.md#time-outs). What a dead engine had waits for the session.
pub const TRANSACTION_TIMEOUT_MS: u32 = 10_000;
/// See above.
pub const SESSION_TIMEOUT_MS: u32 = 15_000;
/// See above.
pub const MAX_POLL_INTERVAL_MS: u32 = 300_000;
/// `heartbeat.interval.ms`: a member learns of a rebalance by its heartbeat, and a cooperative one takes two.
pub const HEARTBEAT_INTERVAL_MS: u32 = 1_000;

/// How records are compressed, unless `output.compression` says otherwise.
const COMPRESSION: &str = "lz4";
pub(super) const CODEC: &str = "compression.codec";

/// Resolves `kafka`, and with it `output.compression`. The group is called as own topics begin, unless it is given: two installations
/// in one group would share the inputs' partitions.
pub(super) fn resolve(root: &ConfigValue, around: &ConfigEnv<'_>, prefix: &str, findings: &mut Findings) -> KafkaConfig {
    let text = |key: &str, default: &str| root.at(key).and_then(ConfigValue::as_text).unwrap_or(default).to_owned();
    check_bootstrap(root, findings);
    for key in ["kafka.group", "kafka.instance"] {
        check_name(root, key, findings);
    }
    check_instance(root, around, findings);
    let config = KafkaConfig {
        bootstrap: text("kafka.bootstrap", "127.0.0.1:9092"),
        group: text("kafka.group", prefix),
        instance: text("kafka.instance", around.host_name),
        data_plane: DataPlane::named(&text("kafka.data_plane", "auto")),
        client: properties(root, "kafka.client", around, findings),
        consumer: properties(root, "kafka.consumer", around, findings),
        producer: compressed(properties(root, "kafka.producer", around, findings), root, findings),
        transaction_timeout: timeout(root, "kafka.producer", "transaction.timeout.ms", TRANSACTION_TIMEOUT_MS, findings),
        session_timeout: timeout(root, "kafka.consumer", "session.timeout.ms", SESSION_TIMEOUT_MS, findings),
        max_poll_interval: timeout(root, "kafka.consumer", "max.poll.interval.ms", MAX_POLL_INTERVAL_MS, findings),
    };
    check_timeouts(root, &config, findings);
    config
}

fn check_bootstrap(root: &ConfigValue, findings: &mut Findings) {
    let Some(value) = root.at("kafka.bootstrap") else { return };
    let is_address = |address: &str| {
        // librdkafka also takes `PROTOCOL://host:port`; the port has a default.
        let address = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "9092"));
        !host.is_empty() && !host.contains(char::is_whitespace) && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if value.as_text().is_some_and(|text| !text.split(',').all(|address| is_address(address.trim()))) {
        findings.error(value.spot, "`kafka.bootstrap` is no list of brokers", "write `host:port`, several with commas between");
    }
}

fn check_name(root: &ConfigValue, key: &str, findings: &mut Findings) {
    let Some(value) = root.at(key) else { return };
    let is_name = |text: &str| text.len() <= 200 && !text.chars().any(|c| c.is_control() || c.is_whitespace());
    if value.as_text().is_some_and(|text| !is_name(text)) {
        findings.error(
            value.spot,
            format!("`{key}` is part of names in Kafka"),
            "write at most 200 bytes without blanks or control characters",
        );
    }
}

/// What a backfill reports stands beside what the instances of a group do, and begins so.
pub const BACKFILL_INSTANCE: &str = "backfill-";

fn check_instance(root: &ConfigValue, around: &ConfigEnv<'_>, findings: &mut Findings) {
    let written = root.at("kafka.instance").filter(|value| value.as_text().is_some());
    let (name, what) = match written.and_then(ConfigValue::as_text) {
        Some(name) => (name, "`kafka.instance` begins with `backfill-`, as the names of backfills do"),
        None => (
            around.host_name,
            "the host's name, which `kafka.instance` is unless it is given, begins with `backfill-`, as those of backfills do",
        ),
    };
    if name.starts_with(BACKFILL_INSTANCE) {
        let spot = written.unwrap_or(root).spot;
        findings.error(spot, what, "write another name: `share revoke --wait` tells engines and backfills apart by it");
    }
}

/// The settings under a key; those that exactly-once or the fence would break by, and those that librdkafka does not take, are
/// errors.
fn properties(root: &ConfigValue, key: &str, around: &ConfigEnv<'_>, findings: &mut Findings) -> Properties {
    let mut properties = Vec::new();
    for entry in root.at(key).map(ConfigValue::entries).unwrap_or_default() {
        let Some(text) = entry.value.as_text() else { continue };
        if let Some((why, instead)) = guarded::refusal(&entry.name, text) {
            findings.error(entry.spot, format!("`{key}.{}` {why}", entry.spelled()), instead);
        } else {
            check_taken(key, entry, text, (around.takes_setting)(&entry.name, text), findings);
        }
        properties.push((entry.name.clone(), text.to_owned()));
    }
    Properties(properties)
}

fn check_taken(key: &str, entry: &ConfigEntry, text: &str, taken: Taken, findings: &mut Findings) {
    let name = entry.spelled();
    match taken {
        Taken::Yes => {}
        Taken::UnknownName(nearest) => {
            let instead = nearest.map_or_else(|| "remove it".to_owned(), |nearest| format!("the nearest is `{nearest}`"));
            findings.error(entry.spot, format!("`{key}.{name}` is no setting of librdkafka"), instead);
        }
        Taken::WrongValue(words) => {
            // What was put in from elsewhere may be a secret whatever its name.
            let is_substituted = matches!(entry.value.kind, ConfigKind::Text { is_substituted: true, .. });
            let may_show = !looks_secret(name) && !is_substituted;
            let what = match entry.value.kind_name() {
                _ if may_show => format!("`{key}.{name}` cannot be `{text}`: {words}"),
                kind => format!("`{key}.{name}` cannot be {kind} such as this"),
            };
            findings.error(entry.spot, what, "librdkafka's CONFIGURATION.md says what it takes");
        }
    }
}

/// The producers' settings with the compression, which has a key of its own: `output.compression`. The old spelling is taken
/// alone.
fn compressed(mut producer: Properties, root: &ConfigValue, findings: &mut Findings) -> Properties {
    let own = root.at("output.compression").and_then(ConfigValue::as_text);
    let others = ["kafka.producer", "kafka.client"].into_iter().filter_map(|section| {
        let entry = root.at(section)?.entries().iter().find(|entry| entry.name == CODEC)?;
        Some((section, entry))
    });
    let mut word = own.unwrap_or(COMPRESSION);
    for (section, entry) in others.collect::<Vec<_>>().into_iter().rev() {
        if own.is_some() {
            let what = format!("`{section}.{}` and `output.compression` both say how records are compressed", entry.spelled());
            findings.error(entry.spot, what, "keep `output.compression`");
        } else if let Some(text) = entry.value.as_text() {
            word = text;
        }
    }
    producer.0.retain(|(name, _)| name != CODEC);
    producer.0.push((CODEC.to_owned(), word.to_ascii_lowercase()));
    producer
}

/// A setting in milliseconds, from its own map or from `kafka.client`.
fn timeout(root: &ConfigValue, scope: &str, name: &str, default_ms: u32, findings: &mut Findings) -> Period {
    let Some(value) = timeout_value(root, scope, name) else { return Period::from_millis(default_ms) };
    match shape::whole(value).or_else(|| value.as_text()?.parse().ok()).and_then(|ms| u32::try_from(ms).ok()) {
        Some(ms) if ms > 0 => Period::from_millis(ms),
        _ => {
            findings.error(value.spot, format!("`{name}` cannot be {}", value.kind_name()), "write milliseconds: a whole number above 0");
            Period::from_millis(default_ms)
        }
    }
}

fn timeout_value<'v>(root: &'v ConfigValue, scope: &str, name: &str) -> Option<&'v ConfigValue> {
    root.at(scope).and_then(|map| map.get(name)).or_else(|| root.at("kafka.client")?.get(name))
}

/// A transaction must be over before its member counts as gone, and a member must count as gone before it counts as
/// stuck (docs/rules/exactly-once.md#time-outs).
fn check_timeouts(root: &ConfigValue, config: &KafkaConfig, findings: &mut Findings) {
    let spot_of = |first: Option<&ConfigValue>, second: Option<&ConfigValue>| first.or(second).map(|value| value.spot);
    let transaction = timeout_value(root, "kafka.producer", "transaction.timeout.ms");
    let session = timeout_value(root, "kafka.consumer", "session.timeout.ms");
    let poll = timeout_value(root, "kafka.consumer", "max.poll.interval.ms");
    let beat = timeout_value(root, "kafka.consumer", "heartbeat.interval.ms");
    let beats = timeout(root, "kafka.consumer", "heartbeat.interval.ms", HEARTBEAT_INTERVAL_MS, findings);
    let orders: [(bool, Option<Spot>, &str); 3] = [
        (
            config.transaction_timeout < config.session_timeout,
            spot_of(transaction, session),
            "transaction.timeout.ms must be below session.timeout.ms",
        ),
        (
            config.session_timeout < config.max_poll_interval,
            spot_of(session, poll),
            "session.timeout.ms must be below max.poll.interval.ms",
        ),
        (beats < config.session_timeout, spot_of(beat, session), "heartbeat.interval.ms must be below session.timeout.ms"),
    ];
    for (is_right, spot, what) in orders {
        if let (false, Some(spot)) = (is_right, spot) {
            let (a, b, c) = (config.transaction_timeout.millis(), config.session_timeout.millis(), config.max_poll_interval.millis());
            findings.error(
                spot,
                what,
                format!(
                    "keep transaction.timeout.ms ({a}) < session.timeout.ms ({b}) < max.poll.interval.ms ({c}), and heartbeat.interval.ms ({}) \
                     below the second",
                    beats.millis()
                ),
            );
        }
    }
}
