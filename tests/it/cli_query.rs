//! The commands that look at what there is (docs/rules/cli.md).

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use sharecast::id::TenantId;
use sharecast::share::status::StatusTopic;
use sharecast::time::TimestampMs;

use super::broker::{PATIENCE, shared, unique};
use super::fixture::{World, feeder};
use super::instance::{BINARY, command, file, printed, run};
use super::status::folded;

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// What a status topic holds once it is compacted, by share id.
fn topic(world: &World<'_>, topic: &StatusTopic) -> Vec<String> {
    let of_topic = folded(world).into_iter().filter(|d| d.topic == *topic && !d.key.starts_with("rejected:"));
    let last: BTreeMap<String, Vec<u8>> = of_topic.map(|document| (document.key, document.value)).collect();
    last.into_values().map(|value| String::from_utf8(value).unwrap()).collect()
}

fn of_tenant(world: &World<'_>, name: &str) -> StatusTopic {
    StatusTopic::Tenant(TenantId::parse(&world.tenant(name)).unwrap())
}

/// Shares in every corner: live, failed by a word that nothing knows, for an invitee, paused, revoked, rejected.
fn happen(world: &World<'_>) -> Vec<String> {
    let (o, operator) = (format!("/tenants/{}", world.tenant("o")), "/operator");
    world.partners("o", "t");
    let live = world.share_with("o", "a-live", "t", r#","label":"Big One","target_asset":"mine""#);
    let failed = world.share_with("o", "a-failed", "t", r#","profile":"nothing","message":"why not""#);
    let paused = world.share("o", "a-paused", "t");
    let revoked = world.share("o", "a-revoked", "t");
    let invited = unique("share");
    let offer = format!(
        r#"{{"share":"{invited}","asset":"a-invited","invitee":"ann@example.com","streams":["telemetry"],"profile":"all","permission":"edit"}}"#
    );
    world.event(&o, "share.offered", &offer);
    world.event(&o, "share.paused", &format!(r#"{{"share":"{paused}"}}"#));
    world.event(operator, "control.tick", "{}");
    world.event(&o, "share.revoked", &format!(r#"{{"share":"{revoked}"}}"#));
    world.event(&o, "share.revoked", &format!(r#"{{"share":"{revoked}"}}"#));
    vec![live, failed, paused, revoked, invited]
}

/// Without an engine, from the log alone; then from the snapshot that an engine left, and from one that is damaged.
#[test]
fn lists_and_counts_are_what_the_status_topics_hold() {
    let world = World::new(shared(), 1, "");
    let config = world.config("a");
    world.make_control();
    let shares = happen(&world);
    let compare = || {
        assert_eq!(lines(&run(&config, "share list -o ndjson", 0)), topic(&world, &StatusTopic::Shares));
        for name in ["o", "t", "nobody"] {
            let seen = lines(&run(&config, &format!("share list -o ndjson --as {}", world.tenant(name)), 0));
            assert_eq!(seen, topic(&world, &of_tenant(&world, name)), "{name}");
        }
        let all = topic(&world, &StatusTopic::Shares);
        assert_eq!(run(&config, "share list -o json", 0).trim_end(), format!("[{}]", all.join(",")));
        assert_eq!(
            run(&config, "share stats -o json", 0).trim_end(),
            r#"{"total":5,"pending":1,"accepted":2,"declined":0,"expired":0,"cancelled":0,"revoked":1,"left":0,"failed":1}"#
        );
        for (filter, expected) in
            [("--search BIG", 0), ("--search ann@", 4), ("--profile nothing", 1), ("--state paused,failed --asset a-paused", 2)]
        {
            let found = run(&config, &format!("share list {filter} -o ndjson").replace("BIG", "big"), 0);
            assert!(found.contains(&shares[expected]) && found.lines().count() == 1, "{filter}: {found}");
        }
        let table = run(&config, &format!("share list --as {} --state active", world.tenant("t")), 0);
        assert!(table.starts_with("SHARE ") && table.contains("mine") && !table.contains("a-live"), "{table}");
        assert!(run(&config, "share stats --permission edit", 0).contains("total      1"));
    };
    compare();
    world.start_ready("a").terminate();
    let snapshot = config.with_file_name("a.snapshot");
    assert!(snapshot.exists(), "the engine left a snapshot");
    compare();
    let whole = std::fs::read(&snapshot).unwrap();
    std::fs::write(&snapshot, b"sharecst, but not one").unwrap();
    compare();
    // That a snapshot is read shows where the log alone no longer says it all.
    std::fs::write(&snapshot, whole).unwrap();
    let (expected, shares) = (topic(&world, &StatusTopic::Shares), shares.join(" "));
    cut_log(&world, 6);
    assert_eq!(lines(&run(&config, "share list -o ndjson", 0)), expected, "{shares}");
    assert!(run(&config, &format!("share show {} -o json", shares.split(' ').next().unwrap()), 0).contains(r#""history":[]"#));
    std::fs::remove_file(&snapshot).unwrap();
    run(&config, "share list", 78);
}

/// Deletes the control records before this offset.
fn cut_log(world: &World<'_>, before: i64) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new().set("bootstrap.servers", &world.cluster.bootstrap).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&world.control, 0, Offset::Offset(before)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    runtime.block_on(admin.delete_records(&list, &options)).unwrap();
}

#[test]
fn one_share_is_shown_with_its_history_and_parties_with_what_they_are() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    let (o, t) = (world.tenant("o"), world.tenant("t"));
    for include in ["$.n", "$.m"] {
        let spec = format!(r#"{{"profile":"p","spec":{{"telemetry":{{"include":["{include}"]}}}}}}"#);
        world.event(&format!("/tenants/{o}"), "profile.published", &spec);
    }
    let revoked = happen(&world).remove(3);
    let shown = run(&config, &format!("share show {revoked} -o json"), 0);
    let document = topic(&world, &StatusTopic::Shares).into_iter().find(|document| document.contains(&format!("\"{revoked}\""))).unwrap();
    assert!(shown.starts_with(&format!(r#"{{"status":{document},"history":[{{"#)), "{shown}");
    assert_eq!(shown.matches(r#""outcome":"applied""#).count(), 2, "{shown}");
    assert!(shown.contains(r#""outcome":"rejected","reason":"wrong_state","revision":2}]}"#), "{shown}");
    let to_target = run(&config, &format!("share show {revoked} -o json --as {t}"), 0);
    assert!(
        to_target.contains(r#""revision":2}]}"#) && !to_target.contains("rejected") && !to_target.contains(r#""asset":"#),
        "{to_target}"
    );
    let people = run(&config, &format!("share show {revoked}"), 0);
    assert!(people.contains("state") && people.contains("REVOKED") && people.contains("rejected: wrong_state"), "{people}");
    run(&config, &format!("share show {revoked} --as {}", world.tenant("x")), 1);
    run(&config, "share show not-there", 1);
    run(&config, "share show not-there --wait", 64);

    let pair = run(&config, &format!("partnership show {t} --as {o} -o json"), 0);
    assert_eq!(pair.trim_end(), format!(r#"{{"tenants":["{o}","{t}"],"state":"ACTIVE","auto_accept":true}}"#));
    assert_eq!(run(&config, "partnership list -o ndjson", 0), pair);
    assert_eq!(run(&config, "partnership list -o ndjson --as nobody", 0), "");
    run(&config, &format!("partnership show {o} nobody"), 1);
    run(&config, &format!("partnership show {o}"), 64);
    assert_eq!(run(&config, &format!("tenant show {o} -o json"), 0).trim_end(), format!(r#"{{"tenant":"{o}","suspended":false}}"#));
    assert!(run(&config, "tenant list", 0).lines().count() == 3);
    run(&config, "tenant show nobody", 1);
    let profile = run(&config, "profile show p -o json", 0);
    let expected = format!(r#"{{"owner":"{o}","profile":"p","version":2,"retired":false,"spec":{{"telemetry":{{"include":["$.m"]}}}}}}"#);
    assert_eq!(profile.trim_end(), expected);
    assert!(run(&config, "profile show p --version 1", 0).contains(r#""include": ["$.n"]"#));
    assert_eq!(run(&config, &format!("profile list -o json --as {t}"), 0), "[]\n");
    run(&config, &format!("profile show p --as {t}"), 1);
    run(&config, "profile show p --version 3", 1);

    let nobody = tempfile::tempdir().unwrap();
    let without = file(nobody.path(), "c.yaml", "kafka: { bootstrap: \"127.0.0.1:1\" }\n");
    run(&without, "share list --timeout 1s", 69);
}

/// Structured and binary events, and what is neither.
#[test]
fn replaying_a_dump_equals_what_happened() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    let shares = happen(&world);
    let producer = feeder(world.cluster);
    let header = |key, value| Header { key, value: Some(value) };
    let headers = OwnedHeaders::new()
        .insert(header("ce_specversion", "1.0"))
        .insert(header("ce_id", "binary-1"))
        .insert(header("ce_source", "/operator"))
        .insert(header("ce_type", "sharecast.share.revoked.v1"));
    let revoke = format!(r#"{{ "share": "{}" }}"#, shares[0]);
    producer.send(BaseRecord::<str, str>::to(&world.control).partition(0).headers(headers).payload(&revoke)).map_err(|e| e.0).unwrap();
    producer.send(BaseRecord::<str, str>::to(&world.control).partition(0).key("k")).map_err(|e| e.0).unwrap();
    producer.flush(PATIENCE).unwrap();
    let waiting = world.control(b"\xff no event");
    world.event("/operator", "control.skipped", &format!(r#"{{"offset":{waiting},"note":"n"}}"#));

    let dumped = command(&config, &["control", "dump"]);
    assert_eq!(dumped.status.code(), Some(0), "{dumped:?}");
    let text = printed(&dumped);
    assert!(text.contains(r#""raw_base64":"/yBubyBldmVudA=="}"#) && text.contains(r#""raw_base64":""}"#), "{text}");
    assert!(text.contains(r#""id":"binary-1""#), "{text}");
    let dir = tempfile::tempdir().unwrap();
    let (dump, out) = (file(dir.path(), "control.ndjson", &text), dir.path().join("out"));
    let replayed = command(&config, &["replay", "--control", dump.to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(replayed.status.code(), Some(0), "{replayed:?}");
    let documents = folded(&world);
    for (topic, name) in [
        (StatusTopic::Shares, "sharecast.shares".to_owned()),
        (of_tenant(&world, "o"), format!("share.{}.shares", world.tenant("o"))),
        (of_tenant(&world, "t"), format!("share.{}.shares", world.tenant("t"))),
    ] {
        let line = |key: &str, time: TimestampMs, value: &[u8]| {
            format!(r#"{{"key":"{key}","timestamp":"{time}","value":{}}}"#, String::from_utf8_lossy(value))
        };
        let expected: Vec<String> = documents.iter().filter(|d| d.topic == topic).map(|d| line(&d.key, d.timestamp, &d.value)).collect();
        assert!(!expected.is_empty());
        assert_eq!(lines(&std::fs::read_to_string(out.join(format!("{name}.ndjson"))).unwrap()), expected, "{name}");
    }
}

/// The lines of a process as they come.
fn heard(child: &mut std::process::Child) -> Receiver<String> {
    let (tell, heard) = channel();
    let output = child.stdout.take().unwrap();
    std::thread::spawn(move || BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
    heard
}

#[test]
fn a_watch_prints_each_document_as_it_changes() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    world.partners("o", "t");
    let first = world.share("o", "a", "t");
    let target = world.tenant("t");
    let mut child = Command::new(BINARY)
        .args(["share", "watch", "--from-start", "-o", "ndjson", "--as", &target, "-c"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = heard(&mut child);
    let next = || lines.recv_timeout(PATIENCE).expect("a line in time");
    assert!(next().contains(&format!(r#"{{"share":"{first}""#)));
    let second = world.share("o", "b", "t");
    world.event("/operator", "share.revoked", r#"{"share":"not-there"}"#);
    world.event("/operator", "share.revoked", &format!(r#"{{"share":"{first}"}}"#));
    assert!(next().contains(&format!(r#"{{"share":"{second}""#)));
    let cut = next();
    assert!(cut.contains(&format!("\"{first}\"")) && cut.contains(r#""state":"REVOKED""#), "{cut}");
    assert_eq!(
        vec![cut],
        topic(&world, &of_tenant(&world, "t")).into_iter().filter(|d| d.contains(&format!("\"{first}\""))).collect::<Vec<_>>()
    );
    // Not INT, which whoever runs this may have told its children to ignore, as a shell does in the background.
    let status = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}
