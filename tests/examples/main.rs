//! `examples/consumer.py` over a stand-in for its client: what it makes of events, rows and tombstones, and where it begins again.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

const RECORDS: &str = r#"{"topic":"share.acme.telemetry","key":"EX-1","value":{"n":1,"_share":{"id":"s1","rev":2,"epoch":5}}}
{"topic":"share.acme.details","key":"EX-1","value":{"name":"Excavator","_share":{"id":"s1","rev":2,"epoch":5}}}
{"topic":"share.acme.details","key":"EX-2","value":{"name":"Crane"}}
{"topic":"share.acme.details","key":"EX-1","value":null}
"#;

/// What it prints of the records of a folder.
fn consume(folder: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3")
        .args(["-B", "examples/consumer.py", "--tenant", "acme", "--seconds", "0.01"])
        .current_dir(root)
        .env("PYTHONPATH", root.join("tests/examples"))
        .env("STANDIN", folder)
        .stdin(Stdio::null())
        .output()
        .expect("python3 is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Events once, as their offsets are committed; the table, which is nowhere but in memory, whole each time.
#[test]
fn a_consumer_that_starts_again_has_its_whole_table_and_no_event_twice() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("records"), RECORDS).unwrap();
    let table = "current EX-1  {\"name\": \"Excavator\"}\ncurrent EX-2  {\"name\": \"Crane\"}\ngone    EX-1  (1 left)\n";
    assert_eq!(consume(folder.path()), format!("event   EX-1  share s1 revision 2  {{\"n\": 1}}\n{table}"));
    assert_eq!(consume(folder.path()), table);
    // Rights on Kafka are for groups whose names begin with the tenant's (docs/operators.md#lock-the-topics).
    let committed = fs::read_to_string(folder.path().join("committed")).unwrap();
    assert_eq!(committed, r#"{"acme.example share.acme.telemetry": 1}"#);
}
