//! What of a changed configuration a running process takes: all that differs, or nothing, and then the keys that need a restart.

use super::engine::{BatchConfig, ControlConfig, FenceConfig, LogConfig, SnapshotConfig};
use super::kafka::{CODEC, KafkaConfig, Properties};
use super::output::OutputConfig;
use super::{ApiConfig, ApiLimits, AuthConfig, Config, DirectoryConfig, JwtConfig, MailConfig, SmtpConfig, Stream};
use crate::record::mapping::Mapping;
use crate::topic::OwnTopics;

/// What becomes of a configuration that was read while another one is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReloadDecision {
    /// It equals what is in force.
    Unchanged,
    /// All that differs can be taken: these keys.
    Take(Vec<&'static str>),
    /// These keys differ and need a restart; nothing is taken.
    NeedsRestart(Vec<String>),
}

/// Compares what counts, not how it was written: a default that is written out, or streams in another order, are no change.
///
/// Each key is decided here: a new member of the configuration does not compile before it has its line.
pub fn decide(in_force: &Config, read: &Config) -> ReloadDecision {
    let mut changes = KeyChanges::default();
    let Config {
        streams: _,
        starts: _,
        critical: _,
        partnerships,
        late_grace,
        max_future,
        max_record_bytes,
        provenance,
        provenance_permission,
        delivery,
        mask_secret,
        kafka,
        workers,
        batch,
        control,
        topics,
        fence,
        output,
        snapshot,
        http_listen,
        api: _,
        mail,
        tenant_labels,
        log,
        // They follow from the keys, and are told of what is taken.
        warnings: _,
    } = in_force;
    changes.of_streams(in_force, read);
    changes.restart("partnerships", partnerships == &read.partnerships);
    changes.restart("late_grace", late_grace == &read.late_grace);
    changes.restart("max_future", max_future == &read.max_future);
    changes.restart("max_record_bytes", max_record_bytes == &read.max_record_bytes);
    changes.restart("provenance", provenance == &read.provenance);
    changes.restart("provenance_permission", provenance_permission == &read.provenance_permission);
    changes.restart("delivery", delivery == &read.delivery);
    changes.restart("mask.secret", mask_secret == &read.mask_secret);
    changes.of_kafka(kafka, &read.kafka);
    changes.restart("workers", workers == &read.workers);
    changes.of_batch(batch, &read.batch);
    changes.of_control(control, &read.control);
    changes.of_topics(topics, &read.topics);
    changes.of_fence(fence, &read.fence);
    changes.of_output(output, &read.output);
    changes.of_snapshot(snapshot, &read.snapshot);
    changes.restart("http.listen", http_listen == &read.http_listen);
    changes.of_api(in_force, read);
    changes.of_mail(mail, &read.mail);
    changes.take("metrics.tenants", tenant_labels == &read.tenant_labels);
    changes.of_log(log, &read.log);
    changes.decision()
}

/// The keys that differ.
#[derive(Debug, Default)]
struct KeyChanges {
    taken: Vec<&'static str>,
    restart: Vec<String>,
}

impl KeyChanges {
    fn decision(self) -> ReloadDecision {
        match (self.taken.is_empty(), self.restart.is_empty()) {
            (true, true) => ReloadDecision::Unchanged,
            (false, true) => ReloadDecision::Take(self.taken),
            (_, false) => ReloadDecision::NeedsRestart(self.restart),
        }
    }

    /// A key that is taken while the process runs.
    fn take(&mut self, key: &'static str, is_equal: bool) {
        if !is_equal {
            self.taken.push(key);
        }
    }

    /// A key that is read at the start alone.
    fn restart(&mut self, key: impl Into<String>, is_equal: bool) {
        if !is_equal {
            self.restart.push(key.into());
        }
    }

    fn of_api(&mut self, in_force: &Config, read: &Config) {
        let ApiConfig { listen, public_url, secret, auth, directory, limits } = &in_force.api;
        let of = &read.api;
        self.restart("api.listen", *listen == of.listen);
        self.restart("api.public_url", *public_url == of.public_url);
        self.restart("api.secret", *secret == of.secret);
        self.of_auth(auth, &of.auth);
        self.of_directory([(in_force, directory.as_ref()), (read, of.directory.as_ref())]);
        let ApiLimits { body_bytes, requests, timeout } = limits;
        self.take("api.limits.body", *body_bytes == of.limits.body_bytes);
        self.take("api.limits.requests", *requests == of.limits.requests);
        self.take("api.limits.timeout", *timeout == of.limits.timeout);
    }

    fn of_auth(&mut self, auth: &AuthConfig, read: &AuthConfig) {
        match (auth, read) {
            (AuthConfig::Tokens(file), AuthConfig::Tokens(other)) => self.take("api.auth.tokens", file == other),
            (AuthConfig::Jwt(jwt), AuthConfig::Jwt(other)) => self.of_jwt(jwt, other),
            (auth, read) => self.restart("api.auth.mode", auth == read),
        }
    }

    fn of_jwt(&mut self, jwt: &JwtConfig, read: &JwtConfig) {
        let JwtConfig { issuer, audience, jwks, algorithms, tenant_claim, role_claim } = jwt;
        self.restart("api.auth.jwt.issuer", issuer == &read.issuer);
        self.restart("api.auth.jwt.audience", audience == &read.audience);
        self.restart("api.auth.jwt.jwks", jwks == &read.jwks);
        self.restart("api.auth.jwt.algorithms", algorithms == &read.algorithms);
        self.restart("api.auth.jwt.tenant_claim", tenant_claim == &read.tenant_claim);
        self.restart("api.auth.jwt.role_claim", role_claim == &read.role_claim);
    }

    /// Its stream by its name: an index is the place among the streams as they were written.
    fn of_directory(&mut self, both: [(&Config, Option<&DirectoryConfig>); 2]) {
        let [(stream, name, reference), read] = both.map(|(config, directory)| {
            let Some(DirectoryConfig { stream, name, reference }) = directory else { return (None, None, None) };
            let stream = config.streams.iter().find(|written| written.index == *stream).map(|written| written.name.as_str());
            (stream, name.as_ref(), reference.as_ref())
        });
        self.restart("api.directory.stream", stream == read.0);
        self.restart("api.directory.name", name == read.1);
        self.restart("api.directory.reference", reference == read.2);
    }

    fn of_mail(&mut self, mail: &MailConfig, read: &MailConfig) {
        let MailConfig { from, smtp, templates, link } = mail;
        self.restart("mail.from", from == &read.from);
        self.of_smtp(smtp, &read.smtp);
        self.take("mail.templates", templates == &read.templates);
        self.restart("invitations.link", link == &read.link);
    }

    fn of_smtp(&mut self, smtp: &SmtpConfig, read: &SmtpConfig) {
        let SmtpConfig { host, port, tls, login } = smtp;
        self.restart("mail.smtp.host", host == &read.host);
        self.restart("mail.smtp.port", port == &read.port);
        self.restart("mail.smtp.tls", tls == &read.tls);
        let [(user, password), of] = [login, &read.login].map(|login| login.as_ref().map(|(user, password)| (user, password)).unzip());
        self.restart("mail.smtp.user", user == of.0);
        self.restart("mail.smtp.password", password == of.1);
    }

    /// Streams by their names.
    fn of_streams(&mut self, in_force: &Config, read: &Config) {
        for stream in in_force.streams.iter() {
            let Some(other) = read.stream(stream.name.as_str()) else {
                self.restart(format!("streams.{}", stream.name), false);
                continue;
            };
            self.of_stream(stream, other);
            let name = &stream.name;
            self.restart(format!("streams.{name}.start"), in_force.start(stream.index) == read.start(other.index));
            self.restart(format!("streams.{name}.critical"), in_force.critical(stream.index) == read.critical(other.index));
        }
        for stream in read.streams.iter().filter(|stream| in_force.stream(stream.name.as_str()).is_none()) {
            self.restart(format!("streams.{}", stream.name), false);
        }
    }

    fn of_stream(&mut self, stream: &Stream, read: &Stream) {
        let Stream { name, index: _, mode, topic, mapping } = stream;
        let Mapping { tenant, asset, key_format, time, rewrite_tenant, rewrite_asset } = mapping;
        let of = &read.mapping;
        for (key, is_equal) in [
            ("mode", mode == &read.mode),
            ("topic", topic == &read.topic),
            ("tenant", tenant == &of.tenant),
            ("asset", asset == &of.asset),
            ("key_format", key_format == &of.key_format),
            ("time", time == &of.time),
            ("rewrite.tenant", rewrite_tenant == &of.rewrite_tenant),
            ("rewrite.asset", rewrite_asset == &of.rewrite_asset),
        ] {
            self.restart(format!("streams.{name}.{key}"), is_equal);
        }
    }

    fn of_kafka(&mut self, kafka: &KafkaConfig, read: &KafkaConfig) {
        // The time-outs are settings of librdkafka too.
        let KafkaConfig {
            bootstrap,
            group,
            instance,
            data_plane,
            client,
            consumer,
            producer,
            transaction_timeout: _,
            session_timeout: _,
            max_poll_interval: _,
        } = kafka;
        self.restart("kafka.bootstrap", bootstrap == &read.bootstrap);
        self.restart("kafka.group", group == &read.group);
        self.restart("kafka.instance", instance == &read.instance);
        self.restart("kafka.data_plane", data_plane == &read.data_plane);
        self.of_properties("kafka.client", client, &read.client);
        self.of_properties("kafka.consumer", consumer, &read.consumer);
        self.of_properties("kafka.producer", producer, &read.producer);
    }

    /// Settings by their names; a value may be a secret.
    fn of_properties(&mut self, section: &str, properties: &Properties, read: &Properties) {
        let added = read.iter().map(|(name, _)| name).filter(|name| properties.get(name).is_none());
        for name in properties.iter().map(|(name, _)| name).chain(added) {
            let key = if name == CODEC { "output.compression".to_owned() } else { format!("{section}.{name}") };
            self.restart(key, properties.get(name) == read.get(name));
        }
    }

    fn of_batch(&mut self, batch: &BatchConfig, read: &BatchConfig) {
        let BatchConfig { interval, max_records, max_routes } = batch;
        self.take("batch.interval", interval == &read.interval);
        self.take("batch.max_records", max_records == &read.max_records);
        self.take("batch.max_routes", max_routes == &read.max_routes);
    }

    fn of_control(&mut self, control: &ControlConfig, read: &ControlConfig) {
        let ControlConfig { topic, halts_on_unreadable } = control;
        self.restart("control.topic", topic == &read.topic);
        self.restart("control.unreadable", halts_on_unreadable == &read.halts_on_unreadable);
    }

    /// All own topics are called by the prefix.
    fn of_topics(&mut self, topics: &OwnTopics, read: &OwnTopics) {
        self.restart("topics.prefix", topics.prefix() == read.prefix());
        self.restart("topics.status", topics.status_template() == read.status_template());
    }

    fn of_fence(&mut self, fence: &FenceConfig, read: &FenceConfig) {
        let FenceConfig { is_enabled, max_view_age, max_tick_age, max_clock_skew } = fence;
        self.restart("fence.enabled", is_enabled == &read.is_enabled);
        self.restart("fence.max_view_age", max_view_age == &read.max_view_age);
        self.restart("fence.max_tick_age", max_tick_age == &read.max_tick_age);
        self.restart("fence.max_clock_skew", max_clock_skew == &read.max_clock_skew);
    }

    fn of_output(&mut self, output: &OutputConfig, read: &OutputConfig) {
        let OutputConfig { topics, is_auto_provisioned, partitions, replication, retention, tombstones, headers, on_route_failure } =
            output;
        self.restart("output.topic", topics == &read.topics);
        self.restart("output.provision", is_auto_provisioned == &read.is_auto_provisioned);
        self.restart("output.partitions", partitions == &read.partitions);
        self.restart("output.replication", replication == &read.replication);
        self.restart("output.retention", retention == &read.retention);
        self.restart("output.tombstones", tombstones == &read.tombstones);
        self.restart("output.headers", headers == &read.headers);
        self.restart("output.on_route_failure", on_route_failure == &read.on_route_failure);
    }

    fn of_snapshot(&mut self, snapshot: &SnapshotConfig, read: &SnapshotConfig) {
        let SnapshotConfig { path, every } = snapshot;
        self.restart("snapshot.path", path == &read.path);
        self.restart("snapshot.every", every == &read.every);
    }

    fn of_log(&mut self, log: &LogConfig, read: &LogConfig) {
        let LogConfig { format, level } = log;
        self.restart("log.format", format == &read.format);
        self.take("log.level", level == &read.level);
    }
}
