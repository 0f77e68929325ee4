//! A right that is lost while records are read natively.

use std::process::Command;

use sharecast::config::DataPlane;
use sharecast::kafka::KafkaSettings;
use sharecast::transport::ConsumeError;

use super::reading::Reader;
use crate::broker::{Cluster, unique};
use crate::instance::Patience;

fn change_acl(cluster: &Cluster, arguments: &[&str]) {
    let done = Command::new("java")
        .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", &Cluster::jars(), "org.apache.kafka.tools.AclCommand"])
        .args(["--bootstrap-server", &cluster.bootstrap, "--force"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// Whoever reads is told so at once and gets nothing more, instead of waiting for what never comes.
#[test]
fn whoever_may_not_read_any_more_is_told() {
    let (cluster, bootstrap) = Cluster::start_guarded(&["u"]);
    let topic = cluster.topic("in", 1, &[]);
    let read = ["--allow-principal", "User:u", "--operation", "Read", "--topic", &topic];
    change_acl(&cluster, &[&["--add"], &read[..]].concat());
    change_acl(&cluster, &["--add", "--allow-principal", "User:u", "--operation", "Describe", "--topic", &topic]);
    change_acl(&cluster, &["--add", "--allow-principal", "User:u", "--operation", "Read", "--group", "*"]);
    let login = [("security.protocol", "sasl_plaintext"), ("sasl.mechanism", "PLAIN"), ("sasl.username", "u"), ("sasl.password", "u")];
    let client = login.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let settings = KafkaSettings { bootstrap, client, data_plane: DataPlane::Native, ..cluster.settings(&unique("g")) };
    let mut reader = Reader::start(&settings, &topic, 1);
    cluster.produce(&topic, [(0, "k", "1"), (0, "k", "2")]);
    assert_eq!(reader.read(2).len(), 2);

    change_acl(&cluster, &[&["--remove"], &read[..]].concat());
    let patience = Patience::begin();
    let words = loop {
        assert!(!patience.is_over(), "nobody said that it may not be read");
        match reader.poll(1000) {
            Ok(()) | Err(ConsumeError::Unavailable(_)) => {}
            Err(ConsumeError::Refused(words)) => break words,
            Err(error) => panic!("{error}"),
        }
    };
    assert!(words.contains(&topic), "{words}");
    cluster.produce(&topic, [(0, "k", "3")]);
    for _ in 0..6 {
        let _ = reader.poll(1000);
    }
    assert_eq!(reader.read(2).len(), 2, "what may not be read does not come");
}
