//! What a million shares take: folds offers of 100 k assets as the control log brings them and prints the process's memory.
//!
//! `cargo bench --no-default-features --bench memory -- [SHARES] [documents]`: with `documents`, the table that the status
//! writer folds for its documents alone. A figure a share is the resident set's growth over the fold, everything in it:
//! the table, the graph, the remembered events.

use std::time::Instant;

use sharecast::id::{Offset, StreamIndex, StreamName};
use sharecast::record::mapping::{FieldSource, Mapping, Mode, Stream};
use sharecast::share::configuration::PartnershipNeed;
use sharecast::share::event::read_structured;
use sharecast::share::table::{FoldRules, Outcome, ShareTable};
use sharecast::time::{Period, TimestampMs};

/// The program's own, so that the figures are the program's.
#[cfg(feature = "io")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const TENANTS: usize = 200;
const SHARES_OF_AN_ASSET: usize = 10;
/// As a poll's worth of records: then a graph is published and the one before is dropped.
const PUBLISHED_EVERY: usize = 10_000;

#[allow(clippy::disallowed_methods, reason = "it tells how long the fold takes")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let shares = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    let is_for_documents = arguments.iter().any(|word| word == "documents");
    let table = if is_for_documents { ShareTable::for_documents(rules()) } else { ShareTable::new(rules()) };
    let mut fold = Fold { table, next: 0 };
    fold.parties();
    let (before_kb, began) = (status_kb("VmRSS"), Instant::now());
    let mut published = fold.table.graph();
    for number in 0..shares {
        fold.offer(number, shares / SHARES_OF_AN_ASSET);
        if number % PUBLISHED_EVERY == 0 {
            published = fold.table.graph();
        }
    }
    let (took, after_kb) = (began.elapsed(), status_kb("VmRSS"));
    println!("{shares} shares in {:.2} s, {} ns each", took.as_secs_f64(), took.as_nanos() / shares as u128);
    println!("{} B a share, peak {} MB", (after_kb - before_kb) * 1024 / shares, status_kb("VmHWM") / 1024);
    drop(published);
}

struct Fold {
    table: ShareTable,
    next: i64,
}

impl Fold {
    fn parties(&mut self) {
        for owner in 0..TENANTS {
            for step in 1..=SHARES_OF_AN_ASSET {
                let target = (owner + step) % TENANTS;
                let data = format!(r#"{{"tenants":["t{owner}","t{target}"],"auto_accept":true}}"#);
                self.send(&format!("p{owner}-{step}"), "/operator", "partnership.established", &data);
            }
            let data = r#"{"profile":"hire","spec":{"telemetry":{"include":["$.v","$.ts"]}}}"#;
            self.send(&format!("pr{owner}"), &format!("/tenants/t{owner}"), "profile.published", data);
        }
    }

    fn offer(&mut self, number: usize, assets: usize) {
        let asset = number % assets;
        let owner = asset % TENANTS;
        let target = (owner + 1 + number / assets) % TENANTS;
        let data = format!(
            r#"{{"share":"share-{number:08}","asset":"asset-{asset:06}","target_tenant":"t{target}","target_asset":"their-{asset:06}","streams":["telemetry"],"profile":"hire","ends":"2027-06-01T00:00:00Z"}}"#
        );
        self.send(&format!("e{number}"), &format!("/tenants/t{owner}"), "share.offered", &data);
    }

    fn send(&mut self, id: &str, source: &str, kind: &str, data: &str) {
        let event = format!(r#"{{"specversion":"1.0","id":"{id}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
        let now = TimestampMs(1_767_225_600_000 + self.next / 100);
        let folded = self.table.fold(Offset(self.next), now, read_structured(event.as_bytes()));
        assert_eq!(folded.outcome, Outcome::Applied, "{event}");
        self.next += 1;
    }
}

fn rules() -> FoldRules {
    let mapping = Mapping {
        tenant: FieldSource::Key,
        asset: FieldSource::Key,
        key_format: None,
        time: None,
        rewrite_tenant: vec![],
        rewrite_asset: vec![],
    };
    let stream = Stream {
        name: StreamName::parse("telemetry").expect("a stream's name"),
        index: StreamIndex(0),
        mode: Mode::Append,
        topic: "telemetry".to_owned(),
        mapping,
    };
    FoldRules {
        streams: [stream].into(),
        partnerships: PartnershipNeed::Required,
        late_grace: Period::parse("10m").expect("a length of time"),
        halts_on_unreadable: true,
    }
}

/// A line of the process's status, in kB; 0 where the system has none.
fn status_kb(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
