//! TLS and logins on a real broker, by the settings that librdkafka is told.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509Name};
use sharecast::clock::{Clock, SystemClock};
use sharecast::config::DataPlane;
use sharecast::id::StreamIndex;
use sharecast::kafka::{ClientError, DataProducer, InputTopic, KafkaSettings};
use sharecast::transport::TransactionalProducer;

use super::reading::Reader;
use super::{assert_once_in_order, put};
use crate::broker::{Cluster, PATIENCE, free_ports, unique};

/// Longer than a login counts, so that another one is made in the middle.
const OVER: Duration = Duration::from_secs(4);
const PASSWORD: &str = "pass-word;1";

/// A certificate with its key.
struct Issued {
    certificate: X509,
    key: PKey<Private>,
}

impl Issued {
    /// Signed by `by`, or by itself as an authority is. The server's is for 127.0.0.1 and no name.
    fn new(name: &str, serial: u32, by: Option<&Issued>) -> Self {
        let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
        let subject = subject.build();
        let mut builder = X509Builder::new().unwrap();
        builder.set_version(2).unwrap();
        builder.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(by.map_or(&*subject, |by| by.certificate.subject_name())).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        match by {
            None => builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap(),
            Some(by) => {
                let context = builder.x509v3_context(Some(&by.certificate), None);
                let place = SubjectAlternativeName::new().ip("127.0.0.1").build(&context).unwrap();
                builder.append_extension(place).unwrap();
            }
        }
        builder.sign(by.map_or(&key, |by| &by.key), MessageDigest::sha256()).unwrap();
        Self { certificate: builder.build(), key }
    }

    fn certificate_pem(&self) -> String {
        String::from_utf8(self.certificate.to_pem().unwrap()).unwrap()
    }

    fn key_pem(&self) -> String {
        String::from_utf8(self.key.private_key_to_pem_pkcs8().unwrap()).unwrap()
    }
}

fn write(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// One node that listens in the open, by TLS with certificates of both sides, and by logins with TLS and without.
fn guarded(dir: &Path, authority: &Issued) -> Option<(Cluster, [u16; 3])> {
    let server = Issued::new("server", 2, Some(authority));
    let port = free_ports(5);
    let (tls, login, both) = (port + 2, port + 3, port + 4);
    let keys = write(dir, "server.pem", &format!("{}{}", server.key_pem(), server.certificate_pem()));
    let trusted = write(dir, "ca.pem", &authority.certificate_pem());
    let places = format!("PLAINTEXT://127.0.0.1:{port},TLS://127.0.0.1:{tls},LOGIN://127.0.0.1:{login},BOTH://127.0.0.1:{both}");
    let plain = format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_u=\"{PASSWORD}\";");
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    let mut properties = vec![
        format!("listeners={places},CONTROLLER://127.0.0.1:{}", port + 1),
        format!("advertised.listeners={places}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,TLS:SSL,LOGIN:SASL_PLAINTEXT,BOTH:SASL_SSL,CONTROLLER:PLAINTEXT".to_owned(),
        "listener.name.tls.ssl.client.auth=required".to_owned(),
    ];
    for listener in ["tls", "both"] {
        let ssl = format!("listener.name.{listener}.ssl");
        properties.push(format!("{ssl}.keystore.type=PEM"));
        properties.push(format!("{ssl}.keystore.location={keys}"));
        properties.push(format!("{ssl}.truststore.type=PEM"));
        properties.push(format!("{ssl}.truststore.location={trusted}"));
    }
    for listener in ["login", "both"] {
        let name = format!("listener.name.{listener}");
        properties.push(format!("{name}.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512"));
        properties.push(format!("{name}.plain.sasl.jaas.config={plain}"));
        properties.push(format!("{name}.scram-sha-256.sasl.jaas.config={scram}"));
        properties.push(format!("{name}.scram-sha-512.sasl.jaas.config={scram}"));
        // A login is over soon, and the connection with it.
        properties.push(format!("{name}.connections.max.reauth.ms=3000"));
    }
    let cluster = Cluster::start_at(1, port, &properties)?;
    // Both of one user at once are refused.
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let added = format!("{mechanism}=[password={PASSWORD}]");
        let done = Command::new("java")
            .args(["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx128m", "-cp", &Cluster::jars(), "kafka.admin.ConfigCommand"])
            .args(["--bootstrap-server", &cluster.bootstrap, "--alter", "--add-config", &added])
            .args(["--entity-type", "users", "--entity-name", "u"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    Some((cluster, [tls, login, both]))
}

fn start(place: &str, client: &[(&str, &str)], id: &str) -> Result<DataProducer, ClientError> {
    let mut settings =
        KafkaSettings { bootstrap: place.to_owned(), group: "g".to_owned(), data_plane: DataPlane::Native, ..KafkaSettings::default() };
    settings.client = client.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    settings.producer.insert("transaction.timeout.ms".to_owned(), "8000".to_owned());
    let sources = [InputTopic { stream: StreamIndex(0), topic: "in".to_owned() }];
    // A login that is refused is told at once; of a certificate that is not taken nothing is told.
    let wait = if id == "unanswered" { Duration::from_secs(2) } else { PATIENCE };
    DataProducer::start(&settings, &unique(id), &sources, wait)
}

#[test]
fn whoever_logs_in_and_shows_a_certificate_writes_and_reads_and_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let (authority, stranger) = (Issued::new("authority", 1, None), Issued::new("stranger", 9, None));
    let (cluster, [tls, login, both]) = Cluster::start_tried(|| guarded(dir.path(), &authority));
    let client = Issued::new("client", 3, Some(&authority));
    let ca = write(dir.path(), "trusted.pem", &authority.certificate_pem());
    let other_ca = write(dir.path(), "other.pem", &stranger.certificate_pem());
    let certificate = write(dir.path(), "client.pem", &client.certificate_pem());
    let key = write(dir.path(), "client.key", &client.key_pem());
    let at = |port: u16| format!("127.0.0.1:{port}");

    let own = [("ssl.certificate.location", certificate.as_str()), ("ssl.key.location", key.as_str())];
    let trusting = [("security.protocol", "ssl"), ("ssl.ca.location", ca.as_str())];
    let mut admitted = vec![(tls, [&trusting[..], &own[..]].concat())];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let named = [("sasl.mechanisms", mechanism), ("sasl.username", "u"), ("sasl.password", PASSWORD)];
        admitted.push((login, [&[("security.protocol", "sasl_plaintext")][..], &named[..]].concat()));
        admitted.push((both, [&[("security.protocol", "sasl_ssl"), ("ssl.ca.location", ca.as_str())][..], &named[..]].concat()));
    }
    for (port, settings) in &admitted {
        let topic = cluster.topic("out", 3, &[]);
        let client = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (bootstrap, group) = (at(*port), unique("g"));
        let mut reader = Reader::start(
            &KafkaSettings { bootstrap, group, data_plane: DataPlane::Native, client, ..KafkaSettings::default() },
            &topic,
            3,
        );
        let mut producer = start(&at(*port), settings, "in").unwrap();
        let begin = SystemClock.boot();
        let mut count = 0;
        while count < 100 || (*port != tls && SystemClock.boot().0 - begin.0 < OVER) {
            producer.begin().unwrap();
            put(&mut producer, &topic, count..count + 50);
            producer.drain().unwrap();
            producer.commit().unwrap();
            count += 50;
            let _ = reader.poll(1000);
        }
        assert_once_in_order(&cluster, &topic, count);
        assert_eq!(reader.read(count as usize).len(), count as usize);
    }

    let wrong = [("sasl.username", "u"), ("sasl.password", "wrong")];
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let settings = [&[("security.protocol", "sasl_plaintext"), ("sasl.mechanisms", mechanism)][..], &wrong[..]].concat();
        let refused = start(&at(login), &settings, "refused").map(|_| ());
        assert!(matches!(&refused, Err(ClientError::LoginRefused(words)) if !words.contains("wrong")), "{mechanism}: {refused:?}");
    }
    // Without a certificate of one's own, with the broker's by somebody else, and of another place than was asked for.
    let untrusting = [("security.protocol", "ssl"), ("ssl.ca.location", other_ca.as_str())];
    for (place, settings) in [
        (at(tls), trusting.to_vec()),
        (at(tls), [&untrusting[..], &own[..]].concat()),
        (format!("localhost:{tls}"), [&trusting[..], &own[..]].concat()),
    ] {
        let refused = start(&place, &settings, "unanswered").map(|_| ());
        assert!(matches!(refused, Err(ClientError::Unavailable(_))), "{place}: {refused:?}");
    }
    let anywhere = [&trusting[..], &own[..], &[("ssl.endpoint.identification.algorithm", "none")]].concat();
    assert!(start(&format!("localhost:{tls}"), &anywhere, "in").is_ok());
}
