//! librdkafka's table of settings, asked without a client.

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

use crate::config::Taken;

/// Whether librdkafka takes a setting with this value.
pub fn takes_setting(name: &str, value: &str) -> Taken {
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => Taken::Yes,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => Taken::UnknownName(nearest(name)),
        Err(KafkaError::ClientConfig(_, words, ..)) => Taken::WrongValue(words),
        // A NUL in one of them.
        Err(error) => Taken::WrongValue(error.to_string()),
    }
}

fn nearest(name: &str) -> Option<String> {
    let written = name.to_ascii_lowercase().replace('_', ".");
    let distance = |known: &&str| strsim::damerau_levenshtein(known, &written);
    NAMES.split_whitespace().min_by_key(distance).filter(|known| distance(known) <= known.len() / 2).map(str::to_owned)
}

/// The settings that a person may mean, aliases too. librdkafka can be asked for one, and not for all.
const NAMES: &str = "\
    acks allow.auto.create.topics api.version.fallback.ms api.version.request api.version.request.timeout.ms \
    auto.commit.enable auto.commit.interval.ms auto.offset.reset batch.num.messages batch.size bootstrap.servers \
    broker.address.family broker.address.ttl broker.version.fallback builtin.features check.crcs client.dns.lookup \
    client.id client.rack compression.codec compression.level compression.type connections.max.idle.ms \
    consume.callback.max.messages coordinator.query.interval.ms debug delivery.report.only.error delivery.timeout.ms \
    enable.auto.commit enable.auto.offset.store enable.gapless.guarantee enable.idempotence enable.metrics.push \
    enable.partition.eof enable.random.seed enable.sasl.oauthbearer.unsecure.jwt enable.ssl.certificate.verification \
    fetch.error.backoff.ms fetch.max.bytes fetch.message.max.bytes fetch.min.bytes \
    fetch.queue.backoff.ms fetch.wait.max.ms group.id group.instance.id group.protocol group.protocol.type \
    group.remote.assignor heartbeat.interval.ms https.ca.location https.ca.pem \
    isolation.level linger.ms log.connection.close log.queue log.thread.name log_level max.in.flight \
    max.in.flight.requests.per.connection max.partition.fetch.bytes max.poll.interval.ms message.copy.max.bytes \
    message.max.bytes message.send.max.retries message.timeout.ms metadata.broker.list metadata.max.age.ms \
    metadata.recovery.rebootstrap.trigger.ms metadata.recovery.strategy offset.store.method offset.store.path \
    offset.store.sync.interval.ms partition.assignment.strategy partitioner plugin.library.paths \
    produce.offset.report queue.buffering.backpressure.threshold queue.buffering.max.kbytes \
    queue.buffering.max.messages queue.buffering.max.ms queued.max.messages.kbytes queued.min.messages \
    queuing.strategy receive.message.max.bytes reconnect.backoff.jitter.ms reconnect.backoff.max.ms \
    reconnect.backoff.ms request.required.acks request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms \
    sasl.kerberos.keytab sasl.kerberos.kinit.cmd sasl.kerberos.min.time.before.relogin sasl.kerberos.principal \
    sasl.kerberos.service.name sasl.mechanism sasl.mechanisms sasl.oauthbearer.assertion.algorithm \
    sasl.oauthbearer.assertion.claim.aud sasl.oauthbearer.assertion.claim.exp.seconds \
    sasl.oauthbearer.assertion.claim.iss sasl.oauthbearer.assertion.claim.jti.include \
    sasl.oauthbearer.assertion.claim.nbf.seconds sasl.oauthbearer.assertion.claim.sub sasl.oauthbearer.assertion.file \
    sasl.oauthbearer.assertion.jwt.template.file sasl.oauthbearer.assertion.private.key.file \
    sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.private.key.pem \
    sasl.oauthbearer.client.credentials.client.id sasl.oauthbearer.client.credentials.client.secret \
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.config sasl.oauthbearer.extensions \
    sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type sasl.oauthbearer.method \
    sasl.oauthbearer.scope sasl.oauthbearer.token.endpoint.url sasl.password sasl.username security.protocol \
    session.timeout.ms socket.blocking.max.ms socket.connection.setup.timeout.ms socket.keepalive.enable \
    socket.max.fails socket.nagle.disable socket.receive.buffer.bytes socket.send.buffer.bytes socket.timeout.ms \
    ssl.ca.certificate.stores ssl.ca.location ssl.ca.pem ssl.certificate.location ssl.certificate.pem \
    ssl.cipher.suites ssl.crl.location ssl.curves.list ssl.endpoint.identification.algorithm ssl.engine.id \
    ssl.engine.location ssl.key.location ssl.key.password ssl.key.pem ssl.keystore.location ssl.keystore.password \
    ssl.providers ssl.sigalgs.list statistics.interval.ms \
    sticky.partitioning.linger.ms topic.blacklist topic.metadata.propagation.max.ms topic.metadata.refresh.fast.cnt \
    topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms topic.metadata.refresh.sparse \
    transaction.timeout.ms transactional.id";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::kafka::spelling::ALIASES;

    #[test]
    fn names_and_values_are_judged_without_a_broker() {
        assert_eq!(takes_setting("linger.ms", "5"), Taken::Yes);
        assert_eq!(takes_setting("sasl.pasword", "hunter2"), Taken::UnknownName(Some("sasl.password".to_owned())));
        assert_eq!(takes_setting("LINGER_MS", "5"), Taken::UnknownName(Some("linger.ms".to_owned())));
        assert_eq!(takes_setting("xyzzy", ""), Taken::UnknownName(None));
        for (name, value) in
            [("linger.ms", "soon"), ("compression.codec", "brotli"), ("socket.keepalive.enable", "maybe"), ("retries", "-1")]
        {
            assert!(matches!(takes_setting(name, value), Taken::WrongValue(_)), "{name}={value}");
        }
    }

    /// What this version of librdkafka has under two names, by its own account.
    #[test]
    fn the_table_of_aliases_is_librdkafkas() {
        let file = tempfile::NamedTempFile::new().unwrap();
        print_table(file.path());
        let table = std::fs::read_to_string(file.path()).unwrap();
        let rows = table.lines().filter_map(|line| {
            let (name, rest) = (line.split_once('|')?.0.trim(), line.split_once("Alias for `")?.1);
            Some((name, rest.split_once('`')?.0))
        });
        // Of a topic's configuration alone, which no setting reaches: for every client this name is a setting of its own, and refused.
        let mut rows: Vec<(&str, &str)> = rows.filter(|(name, _)| *name != "enable.auto.commit").collect();
        let mut known = ALIASES.to_vec();
        rows.sort_unstable();
        rows.dedup();
        known.sort_unstable();
        assert_eq!(rows, known);
    }

    #[allow(unsafe_code)]
    fn print_table(path: &std::path::Path) {
        use std::os::unix::ffi::OsStrExt;

        unsafe extern "C" {
            fn fopen(path: *const std::ffi::c_char, mode: *const std::ffi::c_char) -> *mut std::ffi::c_void;
            fn fclose(file: *mut std::ffi::c_void) -> i32;
        }
        let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
        // SAFETY: both texts end in NUL and live through the call; the file is closed once, after the last use of it.
        unsafe {
            let file = fopen(path.as_ptr(), c"w".as_ptr());
            assert!(!file.is_null());
            rdkafka_sys::rd_kafka_conf_properties_show(file.cast());
            assert_eq!(fclose(file), 0);
        }
    }

    #[test]
    fn every_name_is_one_that_librdkafka_knows() {
        assert!(ALIASES.iter().all(|(alias, name)| NAMES.split_whitespace().any(|known| known == *alias || known == *name)));
        for name in NAMES.split_whitespace() {
            assert!(!matches!(takes_setting(name, "1"), Taken::UnknownName(_)), "{name}");
        }
    }
}
