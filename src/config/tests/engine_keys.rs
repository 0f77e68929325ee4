//! The settings of the running engine (docs/rules/outputs.md, docs/rules/exactly-once.md, docs/rules/fence.md, docs/rules/cli.md,
//! docs/rules/operating.md).

use super::*;

#[test]
fn a_failed_routes_records_wait_unless_it_is_said_otherwise() {
    assert_eq!(load("").unwrap().output.on_route_failure, OnRouteFailure::Wait);
    assert_eq!(load("output: { on_route_failure: wait }").unwrap().output.on_route_failure, OnRouteFailure::Wait);
    assert_eq!(load("output: { on_route_failure: dead_letter }").unwrap().output.on_route_failure, OnRouteFailure::DeadLetter);
}

#[test]
fn at_least_once_is_for_append_streams() {
    let delivery = |text: &str| load(text).map(|config| (config.delivery, config.warnings.len())).unwrap();
    assert_eq!(delivery(""), (Delivery::ExactlyOnce, 0));
    assert_eq!(delivery("delivery: at_least_once"), (Delivery::AtLeastOnce, 0));
    let upsert = "streams: { d: { mode: upsert, topic: d, tenant: header:t, asset: key } }\n";
    assert_eq!(delivery(&format!("{upsert}delivery: at_least_once")), (Delivery::AtLeastOnce, 1));
    refuses("delivery: at_most_once", "`delivery` cannot be this text");
}

#[test]
fn time_outs_stand_in_their_order() {
    let timeouts = |config: &Config| {
        let kafka = &config.kafka;
        (kafka.transaction_timeout.millis(), kafka.session_timeout.millis(), kafka.max_poll_interval.millis())
    };
    assert_eq!(timeouts(&load("").unwrap()), (10_000, 15_000, 300_000));
    refuses("kafka: { producer: { transaction.timeout.ms: 60000 } }", "transaction.timeout.ms must be below session.timeout.ms");
    refuses("kafka: { consumer: { session.timeout.ms: '10000' } }", "transaction.timeout.ms must be below session.timeout.ms");
    refuses("kafka: { client: { max.poll.interval.ms: 15000 } }", "session.timeout.ms must be below max.poll.interval.ms");
    refuses("kafka: { consumer: { session.timeout.ms: soon } }", "`session.timeout.ms` cannot be a text");
    let config = load(
        "kafka: { producer: { transaction.timeout.ms: 5000 }, consumer: { session.timeout.ms: 10000 } }\nfence: { max_tick_age: 20s }",
    )
    .unwrap();
    assert_eq!(timeouts(&config), (5000, 10000, 300_000));
    // A member that is to be heard of every minute would be put out long before.
    refuses("kafka: { consumer: { heartbeat.interval.ms: 15000 } }", "heartbeat.interval.ms must be below session.timeout.ms");
    refuses("kafka: { client: { heartbeat.interval.ms: 60000 } }", "heartbeat.interval.ms must be below session.timeout.ms");
    assert!(load("kafka: { consumer: { heartbeat.interval.ms: 3000 } }").is_ok());
}

#[test]
fn guarded_settings_are_refused_wherever_they_stand() {
    for scope in ["client", "consumer", "producer"] {
        refuses(&format!("kafka:\n  {scope}:\n    enable.auto.commit: true\n"), "outside the transaction");
    }
    let config =
        load("kafka: { bootstrap: 'a:1, b:2', client: { security.protocol: SSL }, producer: { linger.ms: 50, max.in.flight: 5 } }")
            .unwrap();
    let producer = [("queue.buffering.max.ms", "50"), ("max.in.flight.requests.per.connection", "5"), ("compression.codec", "lz4")];
    assert_eq!(config.kafka.producer.iter().collect::<Vec<_>>(), producer);
    refuses("kafka: { client: { ssl: { ca: x } } }", "cannot be a map");
}

#[test]
fn the_cluster_is_named() {
    for bad in ["a b:1", "a:0", "a:x", ",", "a:1,", ""] {
        assert_eq!(faults(&format!("kafka: {{ bootstrap: {bad:?} }}")).len(), 1, "{bad}");
    }
    assert!(load("kafka: { bootstrap: 'SSL://a:9093,[::1]:9092,b' }").is_ok());
    refuses("kafka: { instance: 'a b' }", "part of names in Kafka");
    let around = ConfigEnv { host_name: "box-7", ..ConfigEnv::none() };
    assert_eq!(Config::load(&[], &around).unwrap().kafka.instance, "box-7");
}

#[test]
fn a_batch_can_be_committed_and_a_fence_can_open() {
    refuses("batch: { interval: 1s }", "no batch could be committed");
    refuses("fence: { max_view_age: 100ms }", "no batch could be committed");
    assert!(load("batch: { interval: 2s }\nfence: { enabled: false }").is_ok());
    refuses("fence: { max_tick_age: 15s }", "above the session time-out");
    refuses("kafka: { client: { session.timeout.ms: 70000 } }", "above the session time-out");
    refuses("fence: { max_clock_skew: 31s }", "above 30s");
    refuses("batch: { interval: 0 }", "`batch.interval` cannot be");
    assert_eq!(load("fence: { enabled: false }").unwrap().warnings.len(), 1);
}

#[test]
fn headers_that_tell_the_owners_ids_do_not_pass() {
    let streams = "streams:\n  s: { topic: t, tenant: header:owner, asset: key }\n";
    refuses(&format!("{streams}output: {{ headers: [trace, owner] }}"), "names the owner's tenant or asset");
    refuses("provenance: headers\noutput: { headers: [ce_id] }", "`ce_` headers");
    assert_eq!(load(&format!("{streams}output: {{ headers: [trace] }}")).unwrap().output.headers, ["trace"]);
}

#[test]
fn numbers_words_and_addresses_are_in_bounds() {
    for bad in [
        "workers: 0",
        "workers: two",
        "workers: -1",
        "batch: {max_records: 0}",
        "output: {replication: 0}",
        "output: {partitions: 0}",
        "output: {headers: a}",
        "output: {headers: [1]}",
        "output: {retention: 0}",
        "http: {listen: 9464}",
        "http: {listen: localhost}",
        "metrics: {tenants: 'top:0'}",
        "metrics: {tenants: some}",
        "log: {level: loud}",
        "log: {format: xml}",
        "delivery: once",
        "fence: {enabled: yes}",
        "snapshot: {path: ''}",
        "snapshot: {every: 5}",
        "output: {provision: maybe}",
        "snapshot: x",
        "workers: 1.0",
    ] {
        assert_eq!(faults(bad).len(), 1, "{bad}");
    }
    let config = load(
        "metrics: {tenants: off}\nhttp: {listen: '[::1]:1'}\noutput: {replication: 3, retention: 7d}\nlog: {format: json, level: trace}",
    )
    .unwrap();
    assert_eq!((config.tenant_labels, config.output.replication, config.http_listen.port()), (TenantLabels::Off, Some(3), 1));
    assert_eq!(config.output.retention.map(Period::millis), Some(7 * 86_400_000));
    assert_eq!((config.log.format, config.log.level), (LogFormat::Json, LogLevel::Trace));
}
