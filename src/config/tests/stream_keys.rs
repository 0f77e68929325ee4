//! `streams` and what replay reads besides (docs/rules/records.md#streams, docs/rules/records.md#key-format,
//! docs/rules/configuration.md#keys-that-decide).

use super::*;
use crate::id::MAX_STREAMS;
use crate::record::mapping::{FieldSource, Mode};
use crate::share::configuration::PartnershipNeed;

fn stream(lines: &str) -> String {
    format!("streams:\n  s:\n    topic: t\n{}", lines.split(';').map(|line| format!("    {}\n", line.trim())).collect::<String>())
}

#[test]
fn a_stream_is_what_it_says() {
    let config = load(
        "{\"streams\":{\"telemetry\":{\"topic\":\"t\",\"tenant\":\"$.tenant\",\"asset\":\"header:asset-id\"},\
          \"details\":{\"mode\":\"upsert\",\"topic\":\"d\",\"tenant\":\"key.tenant\",\"asset\":\"key.asset\",\"key_format\":\"{tenant}/{asset}\",\
          \"rewrite\":{\"asset\":[\"$.id\",\"$.specs.id\"]}}}}",
    )
    .unwrap();
    let [telemetry, details] = &*config.streams else { panic!("{:?}", config.streams) };
    assert_eq!((telemetry.name.as_str(), telemetry.index.0, telemetry.mode), ("telemetry", 0, Mode::Append));
    assert!(
        matches!(&telemetry.mapping.tenant, FieldSource::Path(_))
            && matches!(&telemetry.mapping.asset, FieldSource::Header(name) if name == "asset-id")
    );
    assert_eq!((details.index.0, details.mode, details.mapping.rewrite_asset.len()), (1, Mode::Upsert, 2));
    assert!(details.mapping.key_format.is_some() && telemetry.mapping.key_format.is_none() && telemetry.mapping.time.is_none());
    assert_eq!(config.start(details.index), Start::Earliest);
}

#[test]
fn d24_upsert_streams_know_their_asset_without_the_value_and_have_no_time() {
    refuses(&stream("mode: upsert; tenant: key; asset: $.asset"), "an upsert stream cannot take its asset from the value");
    refuses(&stream("mode: upsert; tenant: $.t; asset: key"), "an upsert stream cannot take its tenant from the value");
    refuses(&stream("mode: upsert; tenant: header:t; asset: key; time: $.ts"), "an upsert stream has no `time`");
    refuses(&stream("mode: upsert; tenant: header:t; asset: key; start: latest"), "begins at the earliest record");
    assert!(load(&stream("mode: upsert; tenant: header:t; asset: key; start: earliest")).is_ok());
    assert!(load(&stream("tenant: header:t; asset: key; time: $.ts; start: latest")).is_ok());
}

#[test]
fn d28_key_formats() {
    refuses(&stream("tenant: key.tenant; asset: $.a"), "`key.tenant` needs a `key_format`");
    refuses(&stream("tenant: key.tenant; asset: $.a; key_format: 'x/{asset}'"), "has no `{tenant}`");
    refuses(&stream("tenant: key.tenant; asset: key.asset; key_format: '{tenant}'"), "has no `{asset}`");
    for bad in ["{tenant}{asset}", "{tenant}/{tenant}", "{tenant}/{asset}/{x}", "{tenant}/{asset", "x"] {
        assert_eq!(faults(&stream(&format!("tenant: key.tenant; asset: key.asset; key_format: '{bad}'"))).len(), 1, "{bad}");
    }
    assert!(load(&stream("tenant: key.tenant; asset: key.asset; key_format: 'a:{asset}:{tenant}/v1'")).is_ok());
}

#[test]
fn identity_is_where_it_can_be() {
    refuses(&stream("tenant: tenant; asset: key"), "this does not say where the tenant is");
    refuses(&stream("tenant: key.asset; asset: key"), "this does not say where the tenant is");
    refuses(&stream("tenant: 'header:'; asset: key"), "this does not say where the tenant is");
    refuses(&stream("tenant: $; asset: key"), "the whole record");
    refuses(&stream("asset: key"), "the stream `s` has no `tenant`");
    refuses("streams:\n  s:\n    tenant: key\n    asset: key\n", "the stream `s` has no `topic`");
    assert_eq!(faults("streams:\n  s:\n").len(), 3);
}

#[test]
fn a_wrong_path_points_at_its_character() {
    assert_eq!(fault("streams:\n  s: { topic: t, asset: key, tenant: $.a..b }\n").1, 41);
    assert_eq!(fault("streams:\n  s: { topic: t, asset: key, tenant: '$.a..b' }\n").1, 42);
    let (line, column, _) =
        fault("streams:\n  s:\n    topic: t\n    asset: key\n    tenant: key\n    rewrite:\n      asset: [$.id, $.x[0]]\n");
    assert_eq!(line, 7);
    assert!((21..=26).contains(&column), "{column}");
}

#[test]
fn names_and_topics_follow_their_rules() {
    refuses("streams:\n  Telemetry: { topic: t, tenant: key, asset: key }\n", "no stream name");
    refuses("streams:\n  shares: { topic: t, tenant: key, asset: key }\n", "no stream may be called `shares`");
    refuses("streams:\n  s: { topic: 't t', tenant: key, asset: key }\n", "no topic name");
    refuses("streams:\n  a: { topic: t.x, tenant: key, asset: key }\n  b: { topic: t_x, tenant: key, asset: key }\n", "one topic to Kafka");
    refuses("streams:\n  a: { topic: sharecast_control, tenant: key, asset: key }\n", "one topic to Kafka");
    refuses("streams:\n  a: { mode: upsert, topic: sharecast.standing.a, tenant: key, asset: key }\n", "one topic to Kafka");
    refuses("control: { topic: sharecast.shares }\n", "one topic to Kafka");
    refuses("control: { topic: telemetry_raw }\n", "one topic to Kafka");
    refuses("control: { topic: 'a b' }\n", "no topic name");
    refuses("streams: {}\n", "names no stream");
    let many = |count: usize| {
        (0..count).fold("streams:\n".to_owned(), |text, n| text + &format!("  s{n}: {{ topic: t{n}, tenant: key, asset: key }}\n"))
    };
    assert_eq!(load(&many(MAX_STREAMS)).unwrap().streams.len(), MAX_STREAMS);
    refuses(&many(MAX_STREAMS + 1), "more than 64 streams");
}

#[test]
fn d41_output_topics() {
    let with = |template: &str| format!("{}output:\n  topic: \"{template}\"\n", stream("tenant: key; asset: key"));
    assert_eq!(load(&with("x.{tenant}")).unwrap().output.topics.topic("acme", "s"), "x.acme");
    for bad in ["{tenant}.x", "sharecast.{tenant}", "x.{stream}", "x.{tenant}y", "x", "x.{tenant}.{asset}", "share.{tenant}.shares"] {
        assert_eq!(faults(&with(bad)).len(), 1, "{bad}");
    }
    refuses("output: { topic: 'x.{tenant}' }\n", "no `{stream}`");
    assert_eq!(fault(&with("x.{tenant}.{asset}")).1, 10 + 1 + 11);
    // A stream that is wrong for itself still counts as one.
    let two = "streams:\n  a: { topic: t, tenant: key, asset: key }\n  b: { topic: '!', tenant: key, asset: key }\noutput: { topic: 'x.{tenant}' }\n";
    assert_eq!(faults(two).len(), 2);
    refuses(&with("share.{stream}.{tenant}"), "both can be `share_s_shares`");
    assert_eq!(load("streams:\n  s: { topic: share.x.s, tenant: key, asset: key }").unwrap().warnings.len(), 1);
    assert_eq!(load("output: { topic: 'telemetry.{tenant}.{stream}' }").unwrap().warnings.len(), 0);
    assert_eq!(
        load(&(stream("tenant: key; asset: key").replace("topic: t\n", "topic: x.raw\n") + "output: { topic: 'x.{tenant}' }"))
            .unwrap()
            .warnings
            .len(),
        1
    );
}

#[test]
fn own_topics_begin_with_the_prefix() {
    let config = load("topics: { prefix: eu.cast, status: 'eu.{tenant}.shares' }").unwrap();
    assert_eq!(
        (config.control.topic.as_str(), config.topics.state.as_str(), config.kafka.group.as_str()),
        ("eu.cast.control", "eu.cast.state", "eu.cast")
    );
    assert_eq!(config.topics.status(&crate::id::TenantId::parse("acme").unwrap()), "eu.acme.shares");
    let given = load("topics: { prefix: eu }\nkafka: { group: g }\ncontrol: { topic: c }").unwrap();
    assert_eq!((given.control.topic.as_str(), given.topics.shares.as_str(), given.kafka.group.as_str()), ("c", "eu.shares", "g"));
    let env = [("SHARECAST__TOPICS__PREFIX".to_owned(), "other".to_owned())];
    let config = Config::load(&[("c", "topics: { prefix: eu }")], &ConfigEnv { env: &env, ..ConfigEnv::none() }).unwrap();
    assert_eq!(config.topics.dead_letters, "other.dead-letters");
}

#[test]
fn a_prefix_keeps_kafka_s_rules_and_tenants_topics_out() {
    for bad in ["''", ".", "a.", ".a", "a b", "a/b", "é", &"x".repeat(201)] {
        refuses(&format!("topics: {{ prefix: {bad} }}"), "`topics.prefix`");
    }
    assert!(load(&format!("topics: {{ prefix: {} }}", "x".repeat(200))).is_ok());
    // What a template begins with is the engine's own, also where it is not written.
    let both = faults("topics: { prefix: share }");
    assert!(
        both.len() == 2 && both[0].2.contains("`topics.status` begins with") && both[1].2.contains("`output.topic` begins with"),
        "{both:?}"
    );
    refuses("topics: { prefix: eu }\noutput: { topic: 'eu.{tenant}.{stream}' }", "begins with `eu.`");
    refuses("topics: { prefix: share }\noutput: { topic: 'x.{tenant}.{stream}' }", "`topics.status` begins with");
    assert!(load("topics: { prefix: share, status: 'x.{tenant}' }\noutput: { topic: 'y.{tenant}.{stream}' }").is_ok());
    assert!(load("topics: { prefix: eu }\noutput: { topic: 'sharecast.{tenant}.{stream}' }").is_ok());
    // Own topics under the prefix, and what Kafka takes for them.
    refuses("topics: { prefix: eu }\nstreams:\n  a: { topic: eu_shares, tenant: key, asset: key }\n", "one topic to Kafka");
    refuses("topics: { prefix: telemetry }\ncontrol: { topic: telemetry.shares }", "one topic to Kafka");
    assert!(load("topics: { prefix: eu }\nstreams:\n  a: { topic: sharecast.shares, tenant: key, asset: key }\n").is_ok());
}

#[test]
fn status_topics_and_outputs_never_meet() {
    let of_each = faults("topics: { status: 'share.{tenant}' }");
    assert!(of_each.len() == 2 && of_each[0].2.contains("meet: both can be `share_a_telemetry`"), "{of_each:?}");
    refuses("topics: { status: 'share.{tenant}.details' }", "meet: both can be `share_a_details`");
    refuses("topics: { status: 'share_x.{tenant}.details' }", "meet: both can be `share_x_a_details`");
    refuses("topics: { status: 'share.{tenant}.{stream}' }", "one field, `{tenant}`");
    refuses("topics: { status: 'share.shares' }", "no `{tenant}`");
    refuses("topics: { status: 'sharecast.{tenant}' }", "begins with `sharecast.`");
    refuses("topics: { status: '{tenant}.shares' }", "begins with a field");
    assert_eq!(load("topics: { status: 'shares.{tenant}' }").unwrap().warnings.len(), 0);
    assert_eq!(load("topics: { status: 'telemetry.{tenant}' }").unwrap().warnings.len(), 1, "a tenant called `raw`");
}

#[test]
fn d41_the_other_keys_of_replay() {
    let config = load("partnerships: open\nlate_grace: '0'\nmax_future: 0\nmax_record_bytes: 200\nprovenance: headers\ncontrol: {unreadable: skip}\nmask: {secret: s}").unwrap();
    assert!(
        config.partnerships == PartnershipNeed::Open
            && config.fold_rules().partnerships == PartnershipNeed::Open
            && !config.fold_rules().halts_on_unreadable
    );
    assert_eq!((config.late_grace, config.max_future, config.max_record_bytes), (Period::ZERO, Period::ZERO, 200));
    assert_eq!((config.provenance, config.mask_secret.as_ref().map(Secret::expose)), (ProvenanceForm::Headers, Some(&b"s"[..])));
    let config = load("late_grace: 90s\nmax_future: 1h").unwrap();
    assert_eq!((config.late_grace, config.max_future), (Period::from_millis(90_000), Period::from_millis(3_600_000)));
    assert!(config.fold_rules().halts_on_unreadable && config.partnerships == PartnershipNeed::Required);
    assert!(!config.release_rules().shows_permission && load("provenance_permission: true").unwrap().release_rules().shows_permission);
    let nowhere = load("provenance: none\nprovenance_permission: true").unwrap();
    assert_eq!((nowhere.release_rules().shows_permission, nowhere.warnings.len()), (false, 1));
    assert!(load("provenance: headers\nprovenance_permission: true").unwrap().release_rules().shows_permission);
    for bad in [
        "provenance_permission: yes please",
        "late_grace: 5",
        "late_grace: 1.5s",
        "late_grace: -1s",
        "max_future: 1w",
        "max_future: true",
        "max_future: 0.0",
        "partnerships: closed",
    ] {
        assert_eq!(fault(bad).0, 1, "{bad}");
    }
    for bad in [
        "max_record_bytes: 0",
        "max_record_bytes: 1e3",
        "max_record_bytes: '200'",
        "provenance: header",
        "control: {unreadable: stop}",
        "mask: s",
    ] {
        assert_eq!(fault(bad).0, 1, "{bad}");
    }
}

#[test]
fn d39_an_empty_secret_is_an_error() {
    refuses("mask: { secret: '' }", "`mask.secret` is empty");
    assert!(load("mask: { secret: }").unwrap().mask_secret.is_none());
}

#[test]
fn critical_paths_are_read_and_have_no_part_in_the_streams() {
    let config = load(&stream("tenant: key; asset: key; critical: [$.driver, \"$.a['b c']\"]")).unwrap();
    let written: Vec<_> = config.critical(config.streams[0].index).iter().map(|critical| critical.written.as_str()).collect();
    assert_eq!(written, ["$.driver", "$.a['b c']"]);
    let without = load(&stream("tenant: key; asset: key")).unwrap();
    assert_eq!(format!("{:?}", config.streams), format!("{:?}", without.streams));
    refuses(&stream("tenant: key; asset: key; critical: [driver]"), "a path begins with $");
    refuses(&stream("tenant: key; asset: key; critical: [$]"), "the whole record");
}
