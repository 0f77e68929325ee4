//! The pure core as a library: the decision of `sharecast run` over records in memory. No Kafka, no clock, no files.
//!
//!     cargo run --no-default-features --example embed

use std::convert::Infallible;

use sharecast::config::{Config, ConfigEnv};
use sharecast::replay::{Control, Input, Settings, replay};

const CONFIG: &str = "streams: { telemetry: { topic: telemetry.raw, tenant: $.tenant, asset: $.asset, time: $.ts } }";

const CONTROL: &str = r#"
{"specversion":"1.0","id":"e1","source":"/operator","type":"sharecast.partnership.established.v1","time":"2026-01-01T00:00:00Z","data":{"tenants":["northwind","acme"],"auto_accept":true}}
{"specversion":"1.0","id":"e2","source":"/tenants/northwind","type":"sharecast.profile.published.v1","time":"2026-01-01T00:00:00Z","data":{"profile":"hire","spec":{"telemetry":{"include":["$.engine"],"transform":[{"path":"$.engine.hours","round":0}]}}}}
{"specversion":"1.0","id":"e3","source":"/tenants/northwind","type":"sharecast.share.offered.v1","time":"2026-01-01T00:00:00Z","data":{"share":"rental-7","asset":"NW-7","target_tenant":"acme","target_asset":"EX-1","streams":["telemetry"],"profile":"hire"}}
{"specversion":"1.0","id":"e4","source":"/tenants/northwind","type":"sharecast.share.revoked.v1","time":"2026-01-01T12:00:00Z","data":{"share":"rental-7"}}
"#;

const RECORDS: &str = r#"
{"value":{"tenant":"northwind","asset":"NW-7","ts":"2026-01-01T09:00:00Z","engine":{"hours":1204.7},"driver":"A. Smith"}}
{"value":{"tenant":"northwind","asset":"NW-8","ts":"2026-01-01T09:00:00Z","engine":{"hours":3.1}}}
{"value":{"tenant":"northwind","asset":"NW-7","ts":"2026-01-01T13:00:00Z","engine":{"hours":1208.2}}}
"#;

/// Every line that each topic would get, as `(topic, line)`.
fn decide() -> Result<Vec<(String, String)>, Box<dyn std::error::Error>> {
    let config = Config::load(&[("embed.yaml", CONFIG)], &ConfigEnv::none()).map_err(|diagnostics| format!("{diagnostics:?}"))?;
    let settings = Settings::from(&config);
    let telemetry = config.stream("telemetry").ok_or("the configuration names it")?.index;
    let control = Control { file: "control", bytes: CONTROL.trim_start().as_bytes() };
    let inputs = [Input { stream: telemetry, file: "records", bytes: RECORDS.trim_start().as_bytes() }];
    let mut lines = Vec::new();
    let mut take = |topic: &str, bytes: &[u8]| -> Result<(), Infallible> {
        lines.extend(String::from_utf8_lossy(bytes).lines().map(|line| (topic.to_owned(), line.to_owned())));
        Ok(())
    };
    replay(&settings, control, &inputs, None, &mut take)?;
    Ok(lines)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (topic, line) in decide()?.iter().filter(|(topic, _)| topic == "share.acme.telemetry") {
        println!("{topic} {line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_record_leaves_rounded_and_without_the_driver() {
        let lines = super::decide().unwrap();
        let released: Vec<&str> = lines.iter().filter(|(topic, _)| topic == "share.acme.telemetry").map(|(_, line)| &**line).collect();
        assert_eq!(released.len(), 1, "another asset is not shared, and after the revoke nothing is: {released:?}");
        assert!(released[0].contains(r#""asset":"EX-1""#) && released[0].contains(r#""hours":1205"#), "{released:?}");
        assert!(!released[0].contains("Smith"), "{released:?}");
    }
}
