//! `control restore`: a dump becomes a new control topic that leads to the same, and what may have been closed since stays closed
//! (docs/rules/cli.md#restoring).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sharecast::clock::{Clock, SystemClock};
use sharecast::time::TimestampMs;

use super::broker::{Cluster, PATIENCE, Seen, unique};
use super::fixture::{World, feeder};
use super::instance::{await_that, command, file, output, printed, run};
use super::status::folded;
use super::upserts::Details;

/// Dumps the control topic into a file.
fn dump(world: &World<'_>, dir: &Path) -> (PathBuf, Vec<String>) {
    let dumped = command(&world.config("cli"), &["control", "dump"]);
    assert_eq!(dumped.status.code(), Some(0), "{dumped:?}");
    let text = printed(&dumped);
    (file(dir, "control.ndjson", &text), text.lines().map(str::to_owned).collect())
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A transaction that is aborted: its offsets are in nobody's log.
fn abort(world: &World<'_>) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.cluster.bootstrap).set("transactional.id", unique("aborted"));
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for _ in 0..3 {
        producer.send(BaseRecord::<str, str>::to(&world.control).partition(0).payload("never there")).map_err(|e| e.0).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    producer.abort_transaction(PATIENCE).unwrap();
}

/// A revoke in binary mode.
fn revoke_binary(world: &World<'_>, share: &str) {
    let header = |key, value| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new()
        .insert(header("ce_specversion", "1.0"))
        .insert(header("ce_id", "binary-1"))
        .insert(header("ce_source", "/operator"))
        .insert(header("ce_type", "sharecast.share.revoked.v1"));
    let revoke = format!(r#"{{ "share": "{share}" }}"#);
    let producer = feeder(world.cluster);
    producer.send(BaseRecord::<str, str>::to(&world.control).partition(0).headers(headers).payload(&revoke)).map_err(|e| e.0).unwrap();
    producer.flush(PATIENCE).unwrap();
}

/// Every topic that somebody reads or that the engine remembers by, but for what moves by itself.
fn everything(details: &Details<'_>) -> BTreeMap<String, Vec<Seen>> {
    let world = &details.world;
    let mut topics =
        vec!["sharecast.shares".to_owned(), format!("sharecast.standing.{}", details.stream), world.output("t"), details.output("t")];
    topics.extend(["o", "t"].map(|tenant| format!("share.{}.shares", world.tenant(tenant))));
    topics.into_iter().map(|topic| (topic.clone(), world.cluster.read(&topic))).collect()
}

/// The last value of each key.
fn newest(seen: &[Seen]) -> BTreeMap<String, Option<String>> {
    seen.iter().map(|record| (record.key.clone().unwrap_or_default(), record.value.clone())).collect()
}

#[test]
fn a_restored_log_leads_to_the_same_and_nothing_is_written_twice() {
    let cluster = Cluster::start(1);
    let mut details = Details::new(&cluster, 2, &[], "");
    let dir = tempfile::tempdir().unwrap();
    details.world.partners("o", "t");
    let engine = details.world.start_ready("a");
    // Later than the offer is in the log, however slow that is.
    let lapses = TimestampMs(SystemClock.wall().0 + 5_000);
    let lapsed = details.world.share_with("o", "lapsed", "t", &format!(r#","offer_expires":"{lapses}""#));
    let described = details.share("described", "t", "D-1");
    let gone = details.world.share("o", "gone", "t");
    let paused = details.world.share("o", "paused", "t");
    details.world.event("/operator", "share.paused", &format!(r#"{{"share":"{paused}"}}"#));
    abort(&details.world);
    let waiting = details.world.control(b"\xff no event");
    details.world.event("/operator", "control.skipped", &format!(r#"{{"offset":{waiting},"note":"n"}}"#));
    revoke_binary(&details.world, &gone);
    details.world.event("/tenants/nobody", "share.revoked", &format!(r#"{{"share":"{described}"}}"#));
    for number in 0..150 {
        let label = format!(r#"{{"share":"{paused}","label":"number {number}"}}"#);
        details.world.event("/operator", "share.updated", &label);
    }
    details.feed(1, [("described", Some(&*details.document("described", "one")))]);
    details.await_standing("t", [details.shown("t", "D-1", "one")]);
    details.world.feed(0, [details.world.record("o", "lapsed", 1), details.world.record("o", "paused", 2)]);
    details.world.await_outputs("t", 1);
    await_that("the offer has lapsed", || SystemClock.wall() > lapses);
    let label = details.world.event("/operator", "share.updated", &format!(r#"{{"share":"{lapsed}","label":"after it lapsed"}}"#));
    let world = &details.world;
    await_that("every document is written", || {
        cluster
            .read("sharecast.shares")
            .iter()
            .any(|seen| seen.value.as_ref().is_some_and(|value| value.contains(&format!(r#""epoch":{label}"#))))
    });
    // An engine that runs is in the way, and nothing is made.
    let (dumped, _) = dump(world, dir.path());
    let line = |file: &Path, topic: &str| format!("control restore {} --topic {topic}", file.display());
    let refused = output(&world.config("cli"), &line(&dumped, "control.2"));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(said(&refused).contains("has members") && cluster.admin().topic("control.2").unwrap().is_none(), "{refused:?}");
    engine.terminate();

    let (dumped, lines) = dump(world, dir.path());
    let before = everything(&details);
    let old = folded(world);
    let restored = output(&world.config("cli"), &format!("{} -o json", line(&dumped, "control.2")));
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
    let answer = printed(&restored);
    let ticks: usize = answer.split(r#""ticks":"#).nth(1).unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(ticks >= 4, "three records and a marker at least: {answer}");
    assert!(answer.contains(r#""ACTIVE":2,"PAUSED":1"#) && !answer.contains("were_active"), "{answer}");
    let again = output(&world.config("cli"), &line(&dumped, "control.2"));
    assert_eq!(again.status.code(), Some(1), "{again:?}");
    assert!(said(&again).contains("control.2 is not empty"), "{again:?}");

    details.world.move_control("control.2");
    let world = &details.world;
    let (_, restored) = dump(world, dir.path());
    let missing: Vec<&String> = lines.iter().filter(|line| !restored.contains(line)).collect();
    assert!(missing.is_empty(), "each record has its old offset and control time: {missing:#?}");
    assert_eq!(restored.len(), lines.len() + ticks);
    assert_eq!(folded(world), old, "the same documents with the same times");

    let engine = world.start_ready("b");
    details.feed(1, [("described", Some(&*details.document("described", "two")))]);
    details.await_standing("t", [details.shown("t", "D-1", "two")]);
    world.feed(0, [world.record("o", "gone", 3), world.record("o", "paused", 4), world.record("o", "lapsed", 5)]);
    let outputs = world.await_outputs("t", 2);
    assert!(outputs[1].value.as_ref().unwrap().starts_with(&world.released("t", "lapsed", 5)), "{outputs:?}");
    engine.terminate();
    let after = everything(&details);
    for (topic, seen) in &before {
        let is_output = [world.output("t"), details.output("t"), format!("sharecast.standing.{}", details.stream)].contains(topic);
        assert_eq!(after[topic][..seen.len()], seen[..], "{topic}");
        assert_eq!(after[topic].len() - seen.len(), usize::from(is_output), "{topic}: {:#?}", &after[topic][seen.len()..]);
    }
}

#[test]
fn nothing_opens_again_that_was_closed_after_the_dump() {
    let cluster = Cluster::start(1);
    let mut world = World::new(&cluster, 1, "");
    let dir = tempfile::tempdir().unwrap();
    world.make_control();
    let targets = ["t", "p", "r", "n", "w"];
    targets.iter().for_each(|target| world.partners("o", target));
    let owner = world.tenant("o");
    let own = format!("/tenants/{owner}");
    let engine = world.start_ready("a");
    let cli = world.config("cli");
    let publish = |spec: &str| world.event(&own, "profile.published", &format!(r#"{{"profile":"narrow","spec":{spec}}}"#));
    publish(r#"{"telemetry":{"include":["$.n","$.secret"]}}"#);
    let kept = world.share("o", "kept", "t");
    let ended = world.share("o", "ended", "p");
    let revoked = world.share("o", "revoked", "r");
    let narrowed = unique("share");
    let offer = |share: &str, asset: &str, more: &str| {
        format!(r#"{{"share":"{share}","asset":"{asset}","streams":["telemetry"],"history":true{more}}}"#)
    };
    let to = |target: &str, profile: &str| format!(r#","target_tenant":"{}","profile":"{profile}""#, world.tenant(target));
    world.event(&own, "share.offered", &offer(&narrowed, "narrowed", &to("n", "narrow")));
    let (invited, accepted) = (unique("share"), unique("share"));
    let invite = r#","invitee":"somebody@example.com","profile":"all""#;
    world.event(&own, "share.offered", &offer(&invited, "invited", invite));
    world.event(&own, "share.offered", &offer(&accepted, "accepted", invite));
    world.await_decided_by(&[&engine]);
    for asset in ["kept", "ended", "revoked", "narrowed"] {
        world.feed(0, [world.record("o", asset, 1)]);
    }
    targets[..4].iter().for_each(|target| drop(world.await_outputs(target, 1)));
    let (dumped, _) = dump(&world, dir.path());

    // What the dump lacks.
    let of = |share: &str| format!(r#"{{"share":"{share}"}}"#);
    world.event(&own, "share.revoked", &of(&revoked));
    publish(r#"{"telemetry":{"include":["$.n"]}}"#);
    world.event(&own, "partnership.ended", &format!(r#"{{"partner":"{}"}}"#, world.tenant("p")));
    world.event(&own, "share.cancelled", &of(&invited));
    world.event(&format!("/tenants/{}", world.tenant("w")), "share.accepted", &of(&accepted));
    let lost = world.share("o", "lost", "t");
    world.await_decided_by(&[&engine]);
    world.feed(0, [world.record("o", "lost", 1)]);
    world.await_outputs("t", 2);
    let last = world.event(&own, "share.updated", &format!(r#"{{"share":"{lost}","label":"last"}}"#));
    await_that("the last change is noted", || {
        let notes = newest(&cluster.read("sharecast.state"));
        notes.get(&format!("changed/group-{}", world.name)) == Some(&Some(format!(r#"{{"offset":{last}}}"#)))
    });
    engine.terminate();

    let line = format!("control restore {} --topic control.2", dumped.display());
    let refused = output(&cli, &line);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let (told, listed) = (said(&refused), printed(&refused));
    assert!(told.contains(&format!("has the offset {last}")) && told.contains("nothing was made"), "{told}");
    for (share, then, since) in
        [(&revoked, "ACTIVE", "REVOKED"), (&ended, "ACTIVE", "REVOKED"), (&invited, "PENDING", "CANCELLED"), (&lost, "-", "ACTIVE")]
    {
        let row = listed.lines().find(|line| line.starts_with(share.as_str())).unwrap_or_else(|| panic!("{share}: {listed}"));
        assert!(row.contains(then) && row.contains(since), "{row}");
    }
    assert!(!listed.contains(&kept), "{listed}");
    assert!(cluster.admin().topic("control.2").unwrap().is_none());

    let restored = output(&cli, &format!("{line} --accept-loss -o json"));
    assert_eq!(restored.status.code(), Some(0), "{restored:?}");
    let answer = printed(&restored);
    assert!(answer.contains(r#""before":{"FAILED":0,"PENDING":2,"ACTIVE":4,"PAUSED":0"#), "{answer}");
    assert!(answer.contains(r#""after":{"FAILED":0,"PENDING":0,"ACTIVE":0,"PAUSED":4,"DECLINED":0,"CANCELLED":2"#), "{answer}");

    world.move_control("control.2");
    let cli = world.config("cli");
    let engine = world.start_ready("b");
    for (number, asset) in ["kept", "ended", "revoked", "narrowed", "invited", "accepted", "lost"].into_iter().enumerate() {
        world.feed(0, [world.record("o", asset, 10 + number as u64)]);
    }
    for share in [&invited, &accepted] {
        let accept = output(&cli, &format!("share accept {share} --as {}", world.tenant("w")));
        assert_eq!(accept.status.code(), Some(1), "{accept:?}");
    }
    run(&cli, &format!("share resume {kept} --wait"), 0);
    world.feed(0, [world.record("o", "kept", 99)]);
    let outputs = world.await_outputs("t", 3);
    assert!(outputs[2].value.as_ref().unwrap().starts_with(&world.released("t", "kept", 99)), "{outputs:?}");
    engine.terminate();
    for target in &targets[1..4] {
        assert_eq!(cluster.read(&world.output(target)).len(), 1, "{target}");
    }
    let shares = newest(&cluster.read("sharecast.shares"));
    for share in [&ended, &revoked, &narrowed] {
        assert!(shares[share].as_ref().unwrap().contains(r#""state":"PAUSED","paused_by":["operator"]"#), "{:?}", shares[share]);
    }
    assert_eq!(shares[&lost], None, "the log does not know it");
    assert!([&invited, &accepted].iter().all(|share| shares[*share].as_ref().unwrap().contains("CANCELLED")));
    for (tenant, share) in [("o", &lost), ("t", &lost), ("w", &accepted)] {
        let views = newest(&cluster.read(&format!("share.{}.shares", world.tenant(tenant))));
        assert_eq!(views[share], None, "{tenant} sees no {share}");
    }
    // The status topics are the fold again.
    let expected: BTreeMap<String, Option<String>> = folded(&world)
        .into_iter()
        .filter(|document| document.topic == sharecast::share::status::StatusTopic::Shares)
        .map(|document| (document.key, Some(String::from_utf8(document.value).unwrap())))
        .collect();
    let known: BTreeMap<String, Option<String>> = shares.into_iter().filter(|(_, value)| value.is_some()).collect();
    assert_eq!(known, expected);
}

#[test]
fn a_restore_that_cannot_be_right_makes_nothing() {
    let cluster = Cluster::start(1);
    let world = World::new(&cluster, 1, "");
    let dir = tempfile::tempdir().unwrap();
    world.make_control();
    world.partners("o", "t");
    let cli = world.config("cli");
    let (dumped, lines) = dump(&world, dir.path());
    let restore = |file: &Path, more: &str| output(&cli, &format!("control restore {} {more}", file.display()));
    let expect = |output: std::process::Output, code: i32, words: &str| {
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(said(&output).contains(words), "{words}: {output:?}");
    };
    // No engine of this version has run: nobody knows what the dump lacks.
    expect(restore(&dumped, "--topic control.2"), 1, "how far the log went is not known");
    expect(restore(&dumped, &format!("--topic {}", world.control)), 64, "control.topic itself");
    expect(restore(&dumped, "--topic a/b"), 64, "a topic name has");
    expect(restore(&dumped, "--topic control.2 --as t"), 64, "leave --as out");
    expect(restore(&dir.path().join("none"), "--topic control.2"), 64, "none");
    let bad = file(dir.path(), "bad.ndjson", &format!("{}\n{{\"offset\":\"x\"}}\n", lines[0]));
    expect(restore(&bad, "--topic control.2"), 65, "bad.ndjson:2");
    expect(restore(&file(dir.path(), "empty.ndjson", ""), "--topic control.2"), 65, "holds no record");
    let wide = cluster.topic("wide", 2, &[]);
    expect(restore(&dumped, &format!("--topic {wide} --accept-loss")), 78, "exactly 1");
    assert!(cluster.admin().topic("control.2").unwrap().is_none());
    // An empty topic will do, whatever its settings are.
    let empty = cluster.topic("empty", 1, &[("cleanup.policy", "compact"), ("retention.ms", "1000"), ("segment.bytes", "2000000")]);
    expect(restore(&dumped, &format!("--topic {empty} --accept-loss")), 0, "start");
    let config = cluster.admin().topic_config(&empty).unwrap();
    let of = |key: &str| config[key].as_str();
    assert_eq!((of("cleanup.policy"), of("retention.ms"), of("message.timestamp.type")), ("delete", "-1", "LogAppendTime"));
    assert_eq!(of("segment.bytes"), "2000000", "what nobody named stays");
    assert_eq!(cluster.admin().check_control_topic(&empty).unwrap().unwrap().faults, Vec::<String>::new());
}
