//! The printed ACLs: enough for every documented command, the engine, the mailer and each tenant, and for nobody more.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sharecast::kafka::{KafkaSettings, TopicReader, TopicSpec};

use super::broker::{Cluster, PATIENCE};
use super::instance::{Instance, await_that, command, file, printed};

const USERS: [&str; 5] = ["engine", "ops", "mail", "northwind", "acme"];

/// A guarded cluster with two inputs, and configurations for its users.
struct Guarded {
    cluster: Cluster,
    bootstrap: String,
    dir: tempfile::TempDir,
}

impl Guarded {
    fn start() -> Self {
        let (cluster, bootstrap) = Cluster::start_guarded(&USERS);
        let input = |name: &str, config: &[(&str, &str)]| TopicSpec {
            name: name.to_owned(),
            partitions: 1,
            replication: -1,
            config: config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        cluster.admin().create(&[input("telemetry.raw", &[]), input("asset.details", &[("cleanup.policy", "compact")])]).unwrap();
        Self { cluster, bootstrap, dir: tempfile::tempdir().unwrap() }
    }

    fn config(&self, user: &str) -> PathBuf {
        let Self { bootstrap, dir, .. } = self;
        let snapshot = dir.path().join(format!("{user}.snapshot"));
        let text = format!(
            r#"
streams:
  telemetry: {{ topic: telemetry.raw, tenant: $.tenant, asset: $.asset, time: $.ts }}
  details: {{ mode: upsert, topic: asset.details, key_format: "{{tenant}}/{{asset}}", tenant: key.tenant, asset: key.asset }}
kafka:
  bootstrap: "{bootstrap}"
  instance: {user}
  client: {{ security.protocol: sasl_plaintext, sasl.mechanism: PLAIN, sasl.username: {user}, sasl.password: {user} }}
snapshot: {{ path: "{}" }}
http: {{ listen: "127.0.0.1:0" }}
log: {{ format: text }}
"#,
            snapshot.display()
        );
        file(dir.path(), &format!("{user}.yaml"), &text)
    }

    /// Carries out what is printed for this configuration, word by word; only the address is the superuser's.
    fn apply_printed(&self) {
        let arguments = ["provision", "--print-acls", "--tenant", "northwind,acme", "--engine", "User:engine"];
        let whose = ["--operator", "User:ops", "--mailer", "User:mail", "--tenant-principal", "User:{tenant}"];
        let output = command(&self.config("ops"), &[&arguments[..], &whose[..]].concat());
        assert!(output.status.success(), "{output:?}");
        let acls = printed(&output).replace(&self.bootstrap, &self.cluster.bootstrap);
        assert!(acls.lines().filter(|line| line.starts_with("kafka-acls.sh ")).count() > 10, "{acls}");
        let java = "exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx128m";
        let tool = format!("#!/bin/sh\n{java} -cp '{}' org.apache.kafka.tools.AclCommand \"$@\"\n", Cluster::jars());
        let tool = file(self.dir.path(), "kafka-acls.sh", &tool);
        std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
        let acls = file(self.dir.path(), "acls", &acls);
        // A few at a time: each is a machine of its own.
        let all = format!(
            "PATH='{}':$PATH; grep '^kafka-acls' '{}' | xargs -P 4 -d '\\n' -I{{}} sh -c '{{}}'",
            self.dir.path().display(),
            acls.display()
        );
        let run = Command::new("bash").args(["-euo", "pipefail", "-c", &all]).stdin(Stdio::null()).output().unwrap();
        assert!(run.status.success(), "{run:?}");
    }

    /// A command of the operator, which must end well; returns what it printed and said.
    fn operate(&self, arguments: &[&str]) -> (String, String) {
        let output = command(&self.config("ops"), arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        (printed(&output), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// What `user` reads of a topic, as a member of nothing but with this group's name; or why it may not.
    fn read(&self, user: &str, group: &str, topic: &str) -> Result<Vec<String>, String> {
        let words =
            [("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN"), ("sasl.username", user), ("sasl.password", user)];
        let settings = KafkaSettings {
            bootstrap: self.bootstrap.clone(),
            group: group.to_owned(),
            client: words.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            ..KafkaSettings::default()
        };
        let mut values = Vec::new();
        let mut reader = TopicReader::open(&settings, topic, [0]).map_err(|error| error.to_string())?;
        let read = reader.read_to_end(PATIENCE, |record| {
            values.push(String::from_utf8_lossy(record.value().unwrap_or_default()).into_owned());
        });
        read.map(|()| values).map_err(|error| error.to_string())
    }

    fn feed(&self, topic: &str, key: &str, value: &str) {
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", &self.cluster.bootstrap).create().unwrap();
        producer.send(BaseRecord::to(topic).key(key).payload(value)).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    }
}

#[test]
fn what_is_printed_is_enough_for_every_documented_command_and_for_nobody_more() {
    let guarded = Guarded::start();
    guarded.apply_printed();
    let engine = Instance::start(&guarded.config("engine"));
    engine.await_ready();

    let profile = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/profiles/hire-partner.yaml");
    let profile = profile.to_str().unwrap();
    guarded.operate(&["provision"]);
    guarded.operate(&["partnership", "establish", "northwind", "acme", "--wait"]);
    guarded.operate(&["profile", "publish", "hire-partner", profile, "--as", "northwind", "--wait"]);
    guarded.feed(
        "telemetry.raw",
        "NW-7",
        r#"{"tenant":"northwind","asset":"NW-7","ts":"2026-01-01T00:00:00Z","Location":{"Latitude":1.5,"Longitude":2.5}}"#,
    );
    let offer = ["share", "offer", "--as", "northwind", "--asset", "NW-7", "--to", "acme", "--streams", "telemetry,details"];
    let offer = [&offer[..], &["--profile", "hire-partner"]].concat();
    let (preview, _) = guarded.operate(&[&offer[..], &["--preview"]].concat());
    assert!(preview.contains("Latitude"), "{preview}");
    guarded.operate(&[&offer[..], &["--share", "s1", "--history", "--wait"]].concat());
    guarded.operate(&["share", "accept", "s1", "--as", "acme", "--wait"]);
    guarded.feed("asset.details", "northwind/NW-7", r#"{"name":"Excavator","type":"excavator"}"#);
    let now = sharecast::clock::Clock::wall(&sharecast::clock::SystemClock);
    guarded.feed(
        "telemetry.raw",
        "NW-7",
        &format!(r#"{{"tenant":"northwind","asset":"NW-7","ts":"{now}","Location":{{"Latitude":1.5}}}}"#),
    );
    for topic in ["share.acme.telemetry", "share.acme.details"] {
        await_that(topic, || guarded.read("acme", "acme.loader", topic).is_ok_and(|values| !values.is_empty()));
    }

    guarded.operate(&["provision", "--check"]);
    for topic in ["sharecast.shares", "share.acme.details"] {
        guarded.cluster.admin().alter_topic(topic, &[("delete.retention.ms", Some("86400000"))]).unwrap();
    }
    let (set, _) = guarded.operate(&["provision"]);
    assert_eq!(set.matches("delete.retention.ms was 86400000").count(), 2, "{set}");
    for verb in ["update", "pause", "resume"] {
        let more: &[&str] = if verb == "update" { &["--label", "Excavator 7"] } else { &[] };
        guarded.operate(&[&["share", verb, "s1", "--as", "northwind", "--wait"], more].concat());
    }
    let invited = ["share", "offer", "--as", "northwind", "--asset", "NW-8", "--invitee", "ann@example.com", "--streams", "telemetry"];
    guarded.operate(&[&invited[..], &["--profile", "hire-partner", "--share", "s2", "--wait"]].concat());
    guarded.operate(&["share", "resend", "s2", "--as", "northwind", "--wait"]);
    // The reader here is no group's member, but its client asks for the coordinator of a group of its own, which nobody granted, and may
    // hear of that before it has read.
    let has_mail = |mails: Vec<String>| mails.iter().any(|mail| mail.contains("ann@example.com"));
    await_that("the mail", || guarded.read("mail", "sharecast-mailer", "sharecast.invitations").is_ok_and(has_mail));
    guarded.operate(&["share", "cancel", "s2", "--as", "northwind", "--wait"]);
    let snapshot = guarded.dir.path().join("by-hand.snapshot");
    let looks: [&[&str]; 13] = [
        &["share", "list"],
        &["share", "list", "--as", "acme"],
        &["share", "show", "s1"],
        &["share", "stats"],
        &["share", "invitations"],
        &["share", "invitations", "--outbox"],
        &["partnership", "list"],
        &["tenant", "list"],
        &["tenant", "show", "acme"],
        &["profile", "list"],
        &["profile", "show", "hire-partner", "--version", "1"],
        &["control", "dump"],
        &["snapshot", "--out", snapshot.to_str().unwrap()],
    ];
    for look in looks {
        guarded.operate(look);
    }
    for (share, asset, verb) in [("s3", "NW-9", "decline"), ("s4", "NW-10", "leave")] {
        let offer = ["share", "offer", "--as", "northwind", "--asset", asset, "--to", "acme", "--streams", "telemetry"];
        guarded.operate(&[&offer[..], &["--profile", "hire-partner", "--share", share, "--wait"]].concat());
        if verb == "leave" {
            guarded.operate(&["share", "accept", share, "--as", "acme", "--wait"]);
        }
        guarded.operate(&["share", verb, share, "--as", "acme", "--wait"]);
    }
    guarded.operate(&["tenant", "update", "acme", "--suspend", "--wait"]);
    guarded.operate(&["tenant", "update", "acme", "--unsuspend", "--wait"]);
    // Not the hard bound's: the operator may read what the workers report, and who is in the group.
    let (_, said) = guarded.operate(&["share", "revoke", "s1", "--as", "northwind", "--wait"]);
    assert!(said.contains("every member of the group has reported it"), "{said}");
    guarded.operate(&["profile", "retire", "hire-partner", "--as", "northwind", "--wait"]);
    guarded.operate(&["partnership", "end", "northwind", "acme", "--wait"]);
    for topic in ["sharecast.state", "sharecast.standing.details", "sharecast.dead-letters", "telemetry.raw"] {
        guarded.read("ops", "sharecast", topic).unwrap_or_else(|why| panic!("the operator looks at {topic} by hand: {why}"));
    }

    let hidden = ["control", "state", "standing.details", "dead-letters", "shares", "invitations"].map(|name| format!("sharecast.{name}"));
    let foreign = ["share.northwind.shares", "telemetry.raw", "asset.details"].map(str::to_owned);
    for topic in hidden.iter().chain(&foreign) {
        // In whatever words: Kafka does not even say that such a topic is there.
        guarded.read("acme", "acme.loader", topic).expect_err(topic);
    }
    guarded.read("acme", "acme.loader", "share.acme.shares").unwrap();
    let why = command(&guarded.config("acme"), &["share", "revoke", "s1", "--as", "northwind", "--timeout", "5s"]);
    assert!(!why.status.success(), "a tenant writes no event: {why:?}");
    engine.terminate();
    let (dump, _) = guarded.operate(&["control", "dump"]);
    let whole = file(guarded.dir.path(), "control.ndjson", &dump);
    let older: String = dump.lines().take(dump.lines().count() / 2).map(|line| format!("{line}\n")).collect();
    let older = file(guarded.dir.path(), "older.ndjson", &older);
    guarded.operate(&["control", "restore", whole.to_str().unwrap(), "--topic", "sharecast.control.2"]);
    guarded.operate(&["control", "restore", older.to_str().unwrap(), "--topic", "sharecast.control.3", "--accept-loss"]);
}
