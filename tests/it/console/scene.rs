//! A fleet as people have it, on a cluster of its own, so that tenants and topics have the names that pictures show.

use std::fmt::Write;

use sharecast::access::TokenHash;
use sharecast::kafka::{EventWriter, TopicSpec, control_topic};

use super::super::broker::{Cluster, PATIENCE, unique};
use super::super::instance::{Instance, file};
use super::Console;

const MACHINES: [(&str, &str, &str); 6] = [
    ("NW-12", "Wheel loader 18 t", "B-WL 180"),
    ("NW-31", "Telehandler 7 t", "B-TH 742"),
    ("NW-40", "Dump truck 40 t", "B-DT 400"),
    ("NW-41", "Dump truck 40 t", "B-DT 401"),
    ("NW-55", "Mini excavator 2 t", "B-MX 20"),
    ("NW-7", "Excavator 36 t", "B-HX 360"),
];

/// The code of the invitation that is open.
pub(super) const CODE: &str = "aaaabbbbccccddddeeeeffff22";

/// Everything that runs.
pub(super) struct Scene {
    pub(super) console: Console,
    pub(super) engine: Instance,
    _cluster: Cluster,
    _dir: tempfile::TempDir,
}

/// The control topic of the cluster.
struct Log(EventWriter);

impl Log {
    fn event(&mut self, source: &str, kind: &str, data: &str) {
        let id = unique("event");
        let event = format!(r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
        self.0.append(event.as_bytes()).unwrap();
    }

    /// An offer of northwind.
    fn offer(&mut self, share: &str, asset: &str, more: &str) {
        let what = format!(r#"{{"share":"{share}","asset":"{asset}","streams":["telemetry"],"profile":"hire-partner",{more}}}"#);
        self.event("/tenants/northwind", "share.offered", &what);
    }

    fn by(&mut self, tenant: &str, verb: &str, share: &str) {
        self.event(&format!("/tenants/{tenant}"), &format!("share.{verb}"), &format!(r#"{{"share":"{share}"}}"#));
    }
}

impl Scene {
    pub(super) fn start() -> Self {
        let cluster = Cluster::start(1);
        let dir = tempfile::tempdir().unwrap();
        let admin = cluster.admin();
        let spec = |name: &str, policy: &str| TopicSpec {
            name: name.to_owned(),
            partitions: 1,
            replication: -1,
            config: [("cleanup.policy".to_owned(), policy.to_owned())].into(),
        };
        let control = control_topic("sharecast.control", admin.brokers().unwrap());
        admin.create(&[spec("telemetry.raw", "delete"), spec("asset.details", "compact"), control]).unwrap();
        let config = format!(
            r#"
streams:
  telemetry: {{ topic: telemetry.raw, tenant: $.tenant, asset: $.asset, time: $.ts, critical: [$.driver] }}
  details: {{ mode: upsert, topic: asset.details, key_format: "{{tenant}}/{{asset}}", tenant: key.tenant, asset: key.asset }}
partnerships: invited
mask: {{ secret: 0123456789abcdef }}
kafka: {{ bootstrap: "{}", instance: engine }}
snapshot: {{ path: "{}" }}
http: {{ listen: "127.0.0.1:0" }}
log: {{ format: text }}
"#,
            cluster.bootstrap,
            dir.path().join("snapshot").display()
        );
        let engine = Instance::start(&file(dir.path(), "engine.yaml", &config));
        engine.await_ready();
        feed(&cluster);
        let settings = cluster.settings("tests");
        tell(&mut Log(EventWriter::open(&settings, "sharecast.control", PATIENCE).unwrap()));
        let tenants = ["northwind", "acme", "fixit", "quiet"].map(|tenant| (tenant, tenant.to_owned()));
        let directory = "  directory: { stream: details, name: $.name, reference: $.plate }\n";
        let console = Console::serve(&config.replace("snapshot\"", "snapshot-of-serve\""), &tenants, directory);
        Self { console, engine, _cluster: cluster, _dir: dir }
    }
}

/// What the machines sent, and what the platform wrote of them.
fn feed(cluster: &Cluster) {
    let settings = cluster.settings("tests");
    let mut details = EventWriter::open(&settings, "asset.details", PATIENCE).unwrap();
    let mut telemetry = EventWriter::open(&settings, "telemetry.raw", PATIENCE).unwrap();
    for (asset, name, plate) in MACHINES {
        let mut record = String::new();
        write!(
            record,
            r#"{{"tenant":"northwind","asset":"{asset}","ts":"2026-11-28T09:41:07Z","equipment":{{"make":"Halden","model":"HX360","serial":"HX360-40123","pin":"PIN-77-4107"}},"position":{{"lat":59.913868,"lon":10.752245,"altitude":23.4}},"engine":{{"running":true,"hours":4815.62}},"fuel":{{"percent":83}},"faults":[{{"code":"110-0","text":"coolant hot"}}],"driver":{{"badge":"B-4411"}}}}"#
        )
        .unwrap();
        telemetry.append_record(Some(asset.as_bytes()), Some(record.as_bytes()), &[]).unwrap();
        let document = format!(r#"{{"id":"{asset}","name":"{name}","plate":"{plate}","make":"Halden","price":184000}}"#);
        details.append_record(Some(format!("northwind/{asset}").as_bytes()), Some(document.as_bytes()), &[]).unwrap();
    }
}

/// Who shares what with whom.
fn tell(log: &mut Log) {
    log.event("/operator", "partnership.established", r#"{"tenants":["northwind","acme"]}"#);
    log.event("/operator", "partnership.established", r#"{"tenants":["northwind","fixit"],"auto_accept":true}"#);
    log.event("/tenants/northwind", "partnership.offered", r#"{"partner":"safeco"}"#);
    let source = "# Where it is, whether it runs, what it burns.\\ntelemetry:\\n  include:\\n    - $.equipment\\n    - $.position\\n    - $.engine\\n    - $.fuel\\n  exclude: [$.equipment.pin, $.position.altitude]\\n  transform:\\n    - { path: $.equipment.serial, mask: { keep_last: 4 } }\\n    - { paths: [$.position.lat, $.position.lon], round: 3 }\\ndetails:\\n  include: [$.name, $.make]\\n";
    let spec = r#"{"telemetry":{"include":["$.equipment","$.position","$.engine","$.fuel"],"exclude":["$.equipment.pin","$.position.altitude"],"transform":[{"path":"$.equipment.serial","mask":{"keep_last":4}},{"paths":["$.position.lat","$.position.lon"],"round":3}]},"details":{"include":["$.name","$.make"]}}"#;
    for name in ["hire-partner", "workshop"] {
        log.event("/tenants/northwind", "profile.published", &format!(r#"{{"profile":"{name}","spec":{spec},"source":"{source}"}}"#));
    }
    let until = r#""ends":"2030-06-01T00:00:00Z""#;
    log.offer(
        "rental-7",
        "NW-7",
        &format!(r#""target_tenant":"acme","target_asset":"ACME-EX-1","label":"Excavator 36 t","starts":"2026-03-01T00:00:00Z",{until}"#),
    );
    log.by("acme", "accepted", "rental-7");
    log.offer("repair-7", "NW-7", &format!(r#""target_tenant":"fixit","target_asset":"JOB-2041","permission":"edit",{until}"#));
    log.offer("rental-40", "NW-40", r#""target_tenant":"acme","label":"Dump truck 40 t""#);
    log.by("acme", "accepted", "rental-40");
    log.by("northwind", "paused", "rental-40");
    let message = r#""message":"For the site in Drammen, until the end of May. Please accept before Monday.""#;
    log.offer("rental-12", "NW-12", &format!(r#""target_tenant":"acme","label":"Wheel loader 18 t",{until},{message}"#));
    log.offer("rental-31", "NW-31", r#""target_tenant":"acme","label":"Telehandler 7 t","offer_expires":"2030-01-01T00:00:00Z""#);
    let invitees = [("NW-7", "mechanic@fixit.example", CODE), ("NW-31", "site@hillside.example", "2"), ("NW-55", "ole@bygg.example", "3")];
    for (at, (asset, address, code)) in invitees.into_iter().enumerate() {
        let hash = TokenHash::of(code);
        let label = MACHINES.iter().find(|(id, ..)| *id == asset).map_or(asset, |(_, name, _)| name);
        let more =
            format!(r#""invitee":"{address}","code_hash":"{hash}","label":"{label}","message":"Here is the machine that we spoke about.""#);
        log.offer(&format!("invitation-{at}"), asset, &more);
    }
    log.by("northwind", "cancelled", "invitation-2");
    log.event("/tenants/fixit", "share.accepted", r#"{"share":"invitation-1","target_asset":"FX-31","code":"2"}"#);
}
