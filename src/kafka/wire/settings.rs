//! librdkafka's settings as the native data plane takes them: one configuration for both.

use std::time::Duration;

use rdkafka::ClientConfig;

use super::compression::BatchCodec;
use super::messages::fetch::FetchSize;
use super::sasl::{Credentials, Mechanism};
use super::tls::{self, TlsSettings};
use crate::config::kafka::spelling::canonical;
use crate::kafka::settings::KafkaSettings;

/// librdkafka's defaults, where it is not told otherwise here or there.
const RECEIVE_BYTES: usize = 100_000_000;
const BATCH_BYTES: usize = 900_000;
const RECORD_BYTES: usize = 8_388_608;
const PORT: u16 = 9092;
const PARTITION_BYTES: i32 = 1 << 20;
const FETCH_WAIT_MS: i32 = 500;
/// Less than librdkafka's: what is fetched is read where it lies, while it is still in the processor's caches.
const FETCH_BYTES: i32 = 8 << 20;
/// What librdkafka grants an answer besides.
const ANSWER_AROUND: usize = 512;
const LOOK_EVERY_MS: usize = 300_000;
/// An attempt may take this part of a transaction's time-out: there is time for a second one, and a third.
const ATTEMPT: u32 = 4;

/// Why a client cannot be native, in words for whoever runs it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(in crate::kafka) struct NotNative(pub(in crate::kafka) String);

/// All that a native client is told.
#[derive(Clone)]
pub(super) struct WireSettings {
    /// Where it begins.
    pub(super) bootstrap: Vec<(String, u16)>,
    pub(super) client_id: String,
    pub(super) tls: Option<TlsSettings>,
    pub(super) credentials: Option<Credentials>,
    pub(super) codec: BatchCodec,
    /// None is the codec's own default.
    pub(super) level: Option<i32>,
    /// Connections on which nothing is asked are looked after by the system.
    pub(super) keeps_alive: bool,
    /// A batch of more than one record is not larger, before compression.
    pub(super) batch_bytes: usize,
    /// A larger record is refused before it is sent.
    pub(super) record_bytes: usize,
    /// A larger answer is not read.
    pub(super) receive_bytes: usize,
    pub(super) transaction_timeout: Duration,
    /// What is known of topics is asked for again after so long: partitions may have been added.
    pub(super) look_every: Duration,
    /// One attempt, of a connection or of a question.
    pub(super) attempt: Duration,
}

/// All that a client is told that reads: how the cluster is reached, and what is asked for.
pub(super) struct ReadSettings {
    pub(super) wire: WireSettings,
    pub(super) size: FetchSize,
}

impl WireSettings {
    /// The settings of a transactional producer.
    ///
    /// # Errors
    /// What is asked for that only librdkafka does.
    pub(super) fn of(settings: &KafkaSettings) -> Result<Self, NotNative> {
        Self::of_client(settings, &settings.transactional_producer(""))
    }

    /// The settings of a client that reads.
    ///
    /// # Errors
    /// What is asked for that only librdkafka does.
    pub(super) fn for_reading(settings: &KafkaSettings) -> Result<ReadSettings, NotNative> {
        let config = settings.consumer("", "read_committed");
        if config.get("client.rack").is_some_and(|rack| !rack.is_empty()) {
            return Err(NotNative("client.rack, by which replicas nearby are read, is librdkafka's".to_owned()));
        }
        let number = |name: &str, default: i32| config.get(canonical(name)).and_then(|text| text.parse().ok()).unwrap_or(default);
        let size = FetchSize {
            wait_ms: number("fetch.wait.max.ms", FETCH_WAIT_MS),
            min_bytes: number("fetch.min.bytes", 1),
            max_bytes: number("fetch.max.bytes", FETCH_BYTES),
            partition_bytes: number("fetch.message.max.bytes", PARTITION_BYTES),
        };
        let mut wire = Self::of_client(settings, &config)?;
        // An answer may be larger than what was asked for by one batch.
        wire.receive_bytes = wire.receive_bytes.max(usize::try_from(size.max_bytes).unwrap_or(0) + ANSWER_AROUND);
        Ok(ReadSettings { wire, size })
    }

    fn of_client(settings: &KafkaSettings, config: &ClientConfig) -> Result<Self, NotNative> {
        let get = |name: &str| config.get(name).map(str::to_owned);
        let number = |name: &str, default: usize| get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
        let transaction_timeout = Duration::from_millis(settings.transaction_timeout_ms());
        let (has_tls, has_login) = protocol(&get("security.protocol").unwrap_or_default())?;
        // Of its values those that are secret are not there: `get` has them.
        refuse_unknown(config.config_map().into_keys())?;
        let codec = get("compression.codec").unwrap_or_else(|| "none".to_owned());
        let codec = BatchCodec::named(&codec).ok_or_else(|| NotNative(format!("compression {codec} is librdkafka's")))?;
        let level = get("compression.level").and_then(|text| text.parse().ok()).filter(|level| *level >= 0);
        if codec == BatchCodec::Lz4 && level.is_some_and(|level| level > 0) {
            return Err(NotNative("compression.level of lz4 is librdkafka's".to_owned()));
        }
        Ok(Self {
            bootstrap: addresses(&settings.bootstrap),
            client_id: get("client.id").unwrap_or_default(),
            tls: has_tls.then(|| TlsSettings::of(get)).transpose().map_err(NotNative)?,
            credentials: has_login.then(|| credentials(get)).transpose()?,
            codec,
            level,
            keeps_alive: get("socket.keepalive.enable").is_some_and(|word| ["true", "t", "1"].contains(&word.as_str())),
            batch_bytes: number("batch.size", BATCH_BYTES),
            record_bytes: number("message.max.bytes", RECORD_BYTES),
            receive_bytes: number("receive.message.max.bytes", RECEIVE_BYTES),
            transaction_timeout,
            look_every: Duration::from_millis(number("topic.metadata.refresh.interval.ms", LOOK_EVERY_MS) as u64),
            attempt: transaction_timeout / ATTEMPT,
        })
    }
}

/// Whether there is TLS, and whether there is a login.
fn protocol(word: &str) -> Result<(bool, bool), NotNative> {
    match word.to_ascii_lowercase().as_str() {
        "" | "plaintext" => Ok((false, false)),
        "ssl" => Ok((true, false)),
        "sasl_plaintext" => Ok((false, true)),
        "sasl_ssl" => Ok((true, true)),
        _ => Err(NotNative("security.protocol is librdkafka's".to_owned())),
    }
}

fn credentials(get: impl Fn(&str) -> Option<String>) -> Result<Credentials, NotNative> {
    let mechanism = get("sasl.mechanisms").unwrap_or_else(|| "GSSAPI".to_owned());
    let Some(mechanism) = Mechanism::named(&mechanism) else {
        return Err(NotNative(format!("SASL {mechanism} is librdkafka's; native are PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512")));
    };
    let text = |name: &str| get(name).unwrap_or_default();
    Ok(Credentials { mechanism, username: text("sasl.username"), password: text("sasl.password") })
}

/// What changes who a client talks to, or how it proves itself, must not be passed over.
fn refuse_unknown<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), NotNative> {
    let is_honoured = |name: &str| tls::HONOURED.contains(&name) || ["sasl.mechanisms", "sasl.username", "sasl.password"].contains(&name);
    let mut unknown: Vec<&str> = names
        .filter(|name| ["ssl.", "sasl.", "https.", "test.mock.", "plugin."].iter().any(|prefix| name.starts_with(prefix)))
        .filter(|name| !is_honoured(name))
        .collect();
    unknown.sort_unstable();
    match unknown.first() {
        Some(name) => Err(NotNative(format!("{name} is librdkafka's"))),
        None => Ok(()),
    }
}

/// `host:port` with commas between, each with a protocol in front or without a port, as librdkafka takes them.
fn addresses(bootstrap: &str) -> Vec<(String, u16)> {
    let one = |address: &str| {
        let address = address.trim().rsplit_once("://").map_or(address.trim(), |(_, rest)| rest);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().unwrap_or(PORT)),
            _ => (address, PORT),
        };
        (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
    };
    bootstrap.split(',').filter(|address| !address.trim().is_empty()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(settings: &[(&str, &str)]) -> Result<WireSettings, NotNative> {
        let client = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        WireSettings::of(&KafkaSettings { bootstrap: "b:1".to_owned(), client, ..KafkaSettings::default() })
    }

    #[test]
    fn addresses_are_read_as_librdkafka_reads_them() {
        let found = addresses("a:1, SASL_SSL://b:2,c,[::1]:4,::1");
        let wanted = [("a", 1), ("b", 2), ("c", PORT), ("::1", 4), ("::1", PORT)];
        assert_eq!(found, wanted.map(|(host, port)| (host.to_owned(), port)));
    }

    #[test]
    fn a_login_has_the_password_that_was_given() {
        let login = [("security.protocol", "sasl_plaintext"), ("sasl.mechanisms", "PLAIN"), ("sasl.username", "u"), ("sasl.password", "p")];
        let credentials = with(&login).ok().and_then(|settings| settings.credentials).unwrap();
        assert_eq!(credentials.plain(), b"\0u\0p");
    }

    #[test]
    fn what_only_librdkafka_does_is_not_native_and_says_why() {
        assert!(with(&[]).is_ok());
        assert!(with(&[("compression.codec", "zstd"), ("compression.level", "9"), ("client.rack", "a")]).is_ok());
        for (settings, named) in [
            (&[("security.protocol", "sasl_ssl"), ("sasl.mechanisms", "OAUTHBEARER")][..], "OAUTHBEARER"),
            (&[("security.protocol", "SASL_PLAINTEXT")], "GSSAPI"),
            (&[("ssl.crl.location", "/x")], "ssl.crl.location"),
            (&[("test.mock.num.brokers", "1")], "test.mock.num.brokers"),
            (&[("compression.codec", "lz4"), ("compression.level", "9")], "compression.level"),
        ] {
            let Err(NotNative(why)) = with(settings) else { panic!("{settings:?}") };
            assert!(why.contains(named), "{why}");
        }
        let often = with(&[("topic.metadata.refresh.interval.ms", "300")]).unwrap();
        assert_eq!((often.look_every, often.keeps_alive), (Duration::from_millis(300), true));
        assert!(!with(&[("socket.keepalive.enable", "false")]).unwrap().keeps_alive);
        let scram = [("security.protocol", "sasl_plaintext"), ("sasl.mechanisms", "SCRAM-SHA-512"), ("sasl.username", "u")];
        assert_eq!(with(&scram).unwrap().credentials.map(|found| found.mechanism), Some(Mechanism::ScramSha512));
    }

    #[test]
    fn how_much_is_fetched_is_said_as_to_librdkafka() {
        let with = |settings: &[(&str, &str)]| {
            let consumer = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            WireSettings::for_reading(&KafkaSettings { bootstrap: "b:1".to_owned(), consumer, ..KafkaSettings::default() })
        };
        let size = with(&[]).unwrap().size;
        assert_eq!(size, FetchSize { wait_ms: 100, min_bytes: 1, max_bytes: FETCH_BYTES, partition_bytes: PARTITION_BYTES });
        let told = with(&[
            ("fetch.wait.max.ms", "7"),
            ("fetch.min.bytes", "8"),
            ("fetch.max.bytes", "200000000"),
            ("max.partition.fetch.bytes", "10"),
            ("client.id", "me"),
        ])
        .unwrap();
        assert_eq!(told.size, FetchSize { wait_ms: 7, min_bytes: 8, max_bytes: 200_000_000, partition_bytes: 10 });
        assert!(told.wire.client_id == "me" && told.wire.receive_bytes > 200_000_000);
        let Err(NotNative(why)) = with(&[("client.rack", "a")]) else { panic!("a rack is near") };
        assert!(why.contains("client.rack"));
    }
}
