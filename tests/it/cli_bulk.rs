//! Many shares by one command, a look before an offer, and a revoke that is certain (docs/rules/fence.md, docs/rules/cli.md).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset as Place, TopicPartitionList};
use sharecast::kafka::{BulkWriter, WriteError};

use super::broker::{PATIENCE, shared};
use super::fixture::World;
use super::instance::{BINARY, Instance, command, file, printed, run};

/// Runs a command that must end with this code and reads a list from standard input; returns all of it.
fn with_input(config: &Path, line: &str, input: &str, code: i32) -> Output {
    let mut child = Command::new(BINARY)
        .args(line.split(' '))
        .arg("-c")
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
    output
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The text of a member in a line of JSON.
fn member<'l>(line: &'l str, name: &str) -> &'l str {
    line.split(&format!("\"{name}\":\"")).nth(1).and_then(|rest| rest.split('"').next()).expect("the member")
}

/// How many control records are events on shares.
fn events(world: &World<'_>) -> usize {
    world.cluster.values(&world.control).iter().filter(|value| value.contains("sharecast.share.")).count()
}

/// Partners by command, offers to be accepted.
fn partners(world: &World<'_>, config: &Path) -> (String, String) {
    let (o, t) = (world.tenant("o"), world.tenant("t"));
    run(config, &format!("partnership establish {o} {t} --wait"), 0);
    (o, t)
}

#[test]
fn a_fleet_is_offered_and_accepted_by_one_command_each() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    let (o, t) = partners(&world, &config);
    let dir = tempfile::tempdir().unwrap();
    let list = |name: &str, lines: &[String]| file(dir.path(), name, &lines.join("\r\n")).display().to_string();
    let mut assets: Vec<String> = (1..=400).map(|number| format!("NW-{number}")).collect();
    assets[6] = "NW-7\tEX-7".to_owned();
    let offer = |from: &str, more: &str| {
        format!("share offer --as {o} --assets-from {from} --to {t} --streams telemetry --profile all --history{more}")
    };

    // A wrong line, a broken rule in one, the same name twice: nothing is written.
    let wrong = [&assets[..], &["bad\u{1}name".to_owned()]].concat();
    let said = command(&config, &offer(&list("wrong", &wrong), " --yes").split(' ').collect::<Vec<_>>());
    assert!(said.status.code() == Some(65) && told(&said).contains("wrong:401: asset bad"), "{said:?}");
    let twice = [&assets[..], &assets[..1]].concat();
    let said = command(&config, &offer(&list("twice", &twice), " --yes").split(' ').collect::<Vec<_>>());
    assert!(said.status.code() == Some(1), "{said:?}");
    assert!(
        told(&said).contains("twice:401: asset NW-1: it is named twice, first in ") && told(&said).contains("nothing was written"),
        "{said:?}"
    );
    let all = list("all", &assets);
    run(&config, &offer(&all, " --yes --profile none").replace("--profile all ", ""), 1);
    run(&config, &offer(&all, " --yes --share s"), 64);
    run(&config, &offer(&all, " --yes --event-id e"), 64);
    run(&config, &offer(&dir.path().join("missing").display().to_string(), " --yes"), 64);
    run(&config, &offer(&list("empty", &[]), " --yes"), 65);
    // Nobody there to ask.
    let said = command(&config, &offer(&all, "").split(' ').collect::<Vec<_>>());
    assert!(said.status.code() == Some(64) && told(&said).contains("400 to write") && told(&said).contains("--yes"), "{said:?}");
    assert_eq!(events(&world), 0);

    // A part, as if it had been interrupted; then all of it.
    assert_eq!(run(&config, &offer(&list("part", &assets[..150]), " --yes --wait"), 0), "share.offered: 150 applied\n");
    let offered = run(&config, &offer(&all, " --yes --wait -o ndjson"), 0);
    let outcome = |word: &str| offered.lines().filter(|line| line.contains(&format!("\"outcome\":\"{word}\""))).count();
    assert_eq!((offered.lines().count(), outcome("already_so"), outcome("applied")), (400, 150, 250));
    assert_eq!(run(&config, &offer(&all, " --yes"), 0), "share.offered: 400 already so\n");
    assert_eq!(events(&world), 400);
    assert_eq!(run(&config, "share stats", 0).lines().nth(1), Some("pending    400"));

    let shares: Vec<String> = offered.lines().map(|line| member(line, "share").to_owned()).collect();
    let accept = format!("share accept --as {t} --shares-from - --yes --wait");
    let bad = [&shares[..300], &["nowhere".to_owned()], &shares[300..]].concat().join("\n");
    let said = told(&with_input(&config, &accept, &bad, 1));
    assert!(said.contains("standard input:301: share nowhere: unknown_share: there is no such share"), "{said}");
    let conflict = format!("{}\n{}\tEX-7\n", shares[6], shares[8]);
    let said = told(&with_input(&config, &accept, &conflict, 1));
    assert!(said.contains(&format!("standard input:2: share {}: target_in_use: ", shares[8])), "{said}");
    assert_eq!(events(&world), 400);
    let accepted = with_input(&config, &accept, &format!("# the fleet\n\n{}\n", shares.join("\n")), 0);
    assert_eq!(printed(&accepted), "share.accepted: 400 applied\n");
    assert!(told(&accepted).contains("400    ") && told(&accepted).contains("PENDING -> ACTIVE"), "{}", told(&accepted));
    assert!(!told(&accepted).contains("NW-7"), "the target is not shown the owner's id: {}", told(&accepted));

    world.feed(0, [world.record("o", "NW-7", 1), world.record("o", "NW-400", 2)]);
    let keys: Vec<_> = world.await_outputs("t", 2).into_iter().map(|seen| seen.key.unwrap()).collect();
    assert_eq!(keys, ["EX-7", "NW-400"]);
    engine.terminate();
}

#[test]
fn the_same_command_on_many_does_it_again_later() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    world.make_control();
    world.partners("o", "t");
    let (o, shares) = (world.tenant("o"), ["a", "b"].map(|asset| world.share("o", asset, "t")).join(" "));
    let states = || run(&config, "share list --state paused", 0).lines().count();
    for _ in 0..2 {
        assert_eq!(run(&config, &format!("share pause --as {o} {shares} --yes"), 0), "share.paused: 2 written\n");
        assert_eq!(
            (states(), run(&config, &format!("share pause --as {o} {shares} --yes"), 0).as_str()),
            (3, "share.paused: 2 already so\n")
        );
        assert_eq!(run(&config, &format!("share resume --as {o} {shares} --yes"), 0), "share.resumed: 2 written\n");
        assert_eq!(states(), 1);
    }
    // Under a name it is done once.
    assert_eq!(run(&config, &format!("share pause --as {o} {shares} --yes --batch strike"), 0), "share.paused: 2 written\n");
    run(&config, &format!("share resume --as {o} {shares} --yes"), 0);
    assert_eq!(run(&config, &format!("share pause --as {o} {shares} --yes --batch strike"), 0), "share.paused: 2 written before\n");
    // One share alone is one event, and nobody is asked.
    let one = shares.split(' ').next().unwrap();
    assert!(run(&config, &format!("share pause --as {o} {one}"), 0).starts_with("share.paused written"));
}

#[test]
fn events_are_written_in_their_order_and_what_fails_is_told() {
    let topic = shared().topic("bulk", 1, &[]);
    let mut writer = BulkWriter::open(&shared().settings("tests"), &topic, PATIENCE).unwrap();
    let events: Vec<Vec<u8>> = (0..30_000).map(|number| format!("event {number}").into_bytes()).collect();
    let offsets = writer.append_all(&events).unwrap();
    assert!(offsets.iter().enumerate().all(|(at, offset)| offset.0 == at as i64));
    let written = shared().values(&topic);
    assert!(written.iter().zip(&events).all(|(value, event)| value.as_bytes() == event) && written.len() == events.len());
    let too_large = writer.append_all(&[b"one".to_vec(), vec![b'x'; 9_000_000]]).unwrap_err();
    assert!(matches!((too_large.written, too_large.of, too_large.error), (1, 2, WriteError::Refused(_))));
    assert_eq!(writer.append_all(&[b"two".to_vec()]).unwrap().len(), 1);
}

#[test]
fn a_preview_is_what_the_target_gets() {
    let world = World::new(shared(), 2, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    let (o, t) = partners(&world, &config);
    let dir = tempfile::tempdir().unwrap();
    let spec = "telemetry:\n  include: [$.n, $.pos, $.list]\n  exclude: [$.pos.alt]\n  transform:\n    - { path: $.pos.lat, round: 1 }\n    \
                - { path: $.pos.lon, rename: east }\n";
    let profile = file(dir.path(), "p.yaml", spec);
    run(&config, &format!("profile --as {o} publish p {} --wait", profile.display()), 0);
    let preview =
        |more: &str| format!("share offer --preview --as {o} --asset a --to {t} --target-asset mine --streams telemetry --profile p{more}");
    let nothing = run(&config, &preview(""), 0);
    assert!(nothing.contains("no record of a was found") && nothing.contains("$.pos.lat: rounded to 1 decimals"), "{nothing}");

    let (tenant, ts) = (world.tenant("o"), 1_760_000_000);
    let record = |asset: &str, n: u32| {
        format!(
            r#"{{"tenant":"{tenant}","asset":"{asset}","ts":{ts},"n":{n},"pos":{{"lat":1.25,"lon":2,"alt":3}},"list":[{{"k":1}}],"driver":"B"}}"#
        )
    };
    // The newest of the asset's is in the other partition, among others'.
    world.feed(0, [record("a", 1), record("b", 2), "no json".to_owned()]);
    world.feed(1, [record("a", 3), record("b", 4)]);
    let people = run(&config, &preview(""), 0);
    for part in ["partition 1 offset 0", "stays behind", "$.driver", "$.pos.east: 2", "nothing flows before the offer is accepted"] {
        assert!(people.contains(part), "{part}: {people}");
    }
    let shown = run(&config, &preview(" -o ndjson"), 0);
    let value = shown.split(r#","value":"#).nth(1).unwrap().split(r#","members":"#).next().unwrap().to_owned();
    // The offer is made and accepted, and the record comes.
    let offered = run(&config, &format!("{} --history --wait -o json", preview("").replace(" --preview", "")), 0);
    run(&config, &format!("share accept {} --as {t} --wait", member(&offered, "share")), 0);
    world.feed(1, [record("a", 3)]);
    let got = world.await_outputs("t", 1)[0].value.clone().unwrap();
    assert_eq!(format!("{},\"_share\":", value.strip_suffix('}').unwrap()), got[..got.find("{\"id\"").unwrap()]);
    // By hand; what would be refused; what cannot be read.
    let by_hand = printed(&with_input(&config, &preview(" --record - -o json"), &record("a", 9), 0));
    assert!(
        by_hand.contains(r#""value":{"tenant":""#) && by_hand.contains(r#""n":9"#) && by_hand.contains(r#""asset":"mine""#),
        "{by_hand}"
    );
    let stranger = with_input(&config, &preview(" --record -").replace(&format!("--to {t}"), "--to stranger"), &record("a", 9), 1);
    assert!(printed(&stranger).contains("stranger SEES") && told(&stranger).contains("no_partnership"), "{stranger:?}");
    for (value, said) in [
        ("[1]".to_owned(), "this record would be a dead letter: not_an_object: "),
        (record("a", 9).replace("1760000000", r#""noon""#), "this record would be a dead letter: invalid_time: "),
        (record("a", 9).replace("1760000000", "99000000000"), "this record would be a dead letter: future_time: "),
        (record("a", 9).replace(r#""asset":"a""#, r#""asset":7"#), "this record would be a dead letter: invalid_id: "),
        (record("a", 9).replace(&format!(r#""tenant":"{tenant}","#), ""), "this record would be a dead letter: missing_tenant: "),
        (record("z", 9), &format!("this record is of asset z of {tenant}: ")),
    ] {
        let shown = with_input(&config, &preview(" --record -"), &value, 65);
        assert!(told(&shown).contains(said) && printed(&shown).contains(said), "{value}: {shown:?}");
        assert!(!printed(&shown).contains("SEES"), "{value}: {shown:?}");
    }
    let dead = printed(&with_input(&config, &preview(" --record - -o ndjson"), "[1]", 65));
    assert!(dead.contains(r#""dead":{"reason":"not_an_object","message":""#) && dead.contains(r#""value":null"#), "{dead}");
    // The newest of the asset's, found in the topic.
    world.feed(0, [record("a", 9).replace("1760000000", r#""noon""#)]);
    assert!(run(&config, &preview(""), 65).contains("invalid_time"));
    run(&config, &preview(" --profile q").replace("--profile p ", ""), 1);
    run(&config, &preview(" --record x=y --streams details"), 64);
    run(&config, &preview(" --asset b"), 64);
    engine.terminate();
}

/// An instance whose members stay in the group for longer than its transactions live, which the reports rely on.
fn start(world: &World<'_>, name: &str) -> (Instance, PathBuf) {
    let config = world.config(name);
    // As long as `fence.max_tick_age` lets them be.
    let sessions = ("session.timeout.ms: 10000", "session.timeout.ms: 50000");
    let text = std::fs::read_to_string(&config).unwrap().replace(sessions.0, sessions.1);
    assert!(text.contains(sessions.1), "{text}");
    let config = file(config.parent().unwrap(), &format!("{name}.yaml"), &text);
    let instance = Instance::start(&config);
    instance.await_ready();
    (instance, config)
}

#[test]
fn a_revoke_is_certain_when_every_member_has_reported_and_not_before() {
    let world = World::new(shared(), 4, "");
    let (first, config) = start(&world, "a");
    first.await_line(&["writes the status topics"]);
    world.partners("o", "t");
    let (o, shares) = (world.tenant("o"), ["a", "b", "c", "d", "e"].map(|asset| world.share("o", asset, "t")));
    let revoke = |names: &str| run(&config, &format!("share revoke --as {o} {names} --wait --yes -o ndjson"), 0);
    let certain = revoke(&shares[0]);
    assert!(certain.contains(r#""state":"REVOKED""#) && certain.ends_with("\"certain\":\"reported\"}\n"), "{certain}");
    let (second, _) = start(&world, "b");
    let certain = revoke(&format!("{} {}", shares[1], shares[2]));
    assert_eq!(certain.matches("\"certain\":\"reported\"").count(), 2, "{certain}");
    let again = revoke(&format!("{} {}", shares[1], shares[2]));
    assert_eq!((again.matches("already_so").count(), again.matches("\"certain\":\"reported\"").count()), (2, 2), "{again}");
    // One that is frozen may be between its last look and its commit. The hard bound is 19 s after the revoke.
    second.signal("STOP");
    let brief = command(&config, &["share", "revoke", "--as", &o, &shares[3], "--wait", "--timeout", "12s"]);
    assert!(brief.status.code() == Some(1) && told(&brief).contains("the revoke stands, but it is not certain yet"), "{brief:?}");
    let waited = command(&config, &["share", "revoke", "--as", &o, &shares[3], "--wait", "-o", "ndjson"]);
    assert!(waited.status.success() && printed(&waited).contains("already_so"), "{waited:?}");
    assert!(printed(&waited).ends_with("\"certain\":\"bound\"}\n"), "{waited:?}");
    assert!(told(&waited).contains("these members have not reported the revoke: "), "{waited:?}");
    second.signal("CONT");
    let certain = revoke(&shares[4]);
    assert!(certain.ends_with("\"certain\":\"reported\"}\n"), "{certain}");
    second.terminate();
    first.terminate();
}

/// Where a silent member leaves the group before its transaction is aborted, it may have left offsets that it can still commit.
#[test]
fn a_revoke_waits_for_offsets_that_are_pending_where_members_may_leave_too_early() {
    let world = World::new(shared(), 2, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    world.partners("o", "t");
    let (o, shares) = (world.tenant("o"), ["a", "b"].map(|asset| world.share("o", asset, "t")));
    let revoke = |share: &str| run(&config, &format!("share revoke {share} --as {o} --wait"), 0);
    let certain = revoke(&shares[0]);
    assert!(certain.ends_with("certain: reported\n"), "{certain}");
    // What somebody has sent who is no member any more. Without a generation the broker takes it from anybody.
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &world.cluster.bootstrap);
    let nobody: BaseConsumer = client.clone().set("group.id", format!("group-{}", world.name)).create().unwrap();
    let name = format!("gone-{}", world.name);
    let gone: BaseProducer = client.set("transactional.id", name).set("transaction.timeout.ms", "600000").create().unwrap();
    gone.init_transactions(PATIENCE).unwrap();
    gone.begin_transaction().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&world.input, 1, Place::Offset(0)).unwrap();
    gone.send_offsets_to_transaction(&offsets, &nobody.group_metadata().unwrap(), PATIENCE).unwrap();
    let waited = command(&config, &["share", "revoke", &shares[1], "--as", &o, "--wait", "--timeout", "14s"]);
    assert_eq!(waited.status.code(), Some(1), "{waited:?}");
    assert!(told(&waited).contains(&format!("offsets of {}/1 are pending", world.input)), "{waited:?}");
    gone.abort_transaction(PATIENCE).unwrap();
    let certain = revoke(&shares[1]);
    assert!(certain.contains("already so") && certain.ends_with("certain: reported\n"), "{certain}");
    engine.terminate();
}
