//! What millions of shares take and cost: memory a share of graph and table, a lookup, an event, a snapshot against replaying the log.
//!
//! `cargo bench --no-default-features --bench memory -- [SHARES] [documents]`: five shares an asset, ids of 16 bytes. With `documents`,
//! the memory of the table that the status writer folds for its documents alone. Memory is the growth of the resident set. Shares are
//! offered five seconds after each other, so that the memory of event ids, 30 days of them, stays small beside the rest. Times are of
//! this thread on a core, but for those of single events and of batches of lookups, which are too short for that.

mod world;

use std::hint::black_box;
use std::time::Instant;

use sharecast::id::{StreamIndex, StreamName};
use sharecast::record::mapping::{FieldSource, Mapping, Mode, Stream};
use sharecast::share::configuration::PartnershipNeed;
use sharecast::share::event::read_structured;
use sharecast::share::graph::ShareGraph;
use sharecast::share::snapshot::{self, SnapshotOrigin};
use sharecast::share::table::{FoldRules, ShareTable};
use sharecast::time::Period;
use world::{ControlFold, Random, TENANTS, busy_ns, resident_bytes, source, status_kb, tenant};

/// The program's own, so that the figures are the program's.
#[cfg(feature = "io")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SHARES_OF_AN_ASSET: usize = 5;
/// As a poll's worth of records: then a graph is published and the one before is dropped.
const PUBLISHED_EVERY: usize = 10_000;
/// With how few shares the cost of an event is compared.
const FEW_SHARES: usize = 10_000;
const LOOKUPS: usize = 10_000;
const EVENTS: usize = 20_000;
/// Between two events.
const STEP_MS: i64 = 5_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let shares = arguments.iter().find_map(|word| word.parse().ok()).unwrap_or(1_000_000);
    if arguments.iter().any(|word| word == "documents") {
        folded(ShareTable::for_documents(rules()), shares);
        return;
    }
    let mut few = Fold::new(ShareTable::new(rules()));
    few.offers(FEW_SHARES);
    few.report_events(FEW_SHARES);
    drop(few);

    let (mut fold, replayed_ns, bytes) = folded(ShareTable::new(rules()), shares);
    let before = resident_bytes();
    let graph = fold.log.table.graph_of(|_| true);
    let graph_bytes = resident_bytes().saturating_sub(before) / shares;
    println!("memory: graph {graph_bytes} B a share, table {} B", bytes.saturating_sub(graph_bytes));
    drop(graph);
    report_lookups(&fold.log.table.graph(), shares / SHARES_OF_AN_ASSET);
    fold.report_events(shares);
    report_snapshot(fold.log.table, shares, replayed_ns);
}

/// A table of so many shares, how long each took, and what memory.
fn folded(table: ShareTable, shares: usize) -> (Fold, f64, usize) {
    let mut fold = Fold::new(table);
    let (before, began) = (resident_bytes(), busy_ns());
    fold.offers(shares);
    let replayed_ns = (busy_ns() - began) as f64 / shares as f64;
    let bytes = (resident_bytes() - before) / shares;
    println!("{shares} shares: replayed in {replayed_ns:.0} ns each, {bytes} B each");
    (fold, replayed_ns, bytes)
}

/// Random assets of all, nine of ten known.
#[allow(clippy::disallowed_methods, reason = "it tells how long a batch takes")]
fn report_lookups(graph: &ShareGraph, assets: usize) {
    let mut random = Random(7);
    let mut report = |what: &str, look: &dyn Fn(&ShareGraph, &str, &str) -> u64| {
        let mut best = Vec::new();
        for _ in 0..50 {
            let wanted: Vec<(String, String)> = (0..LOOKUPS)
                .map(|_| {
                    let asset = random.below(assets);
                    let known = if random.below(10) == 0 { "unknown" } else { "asset" };
                    (tenant(asset % TENANTS), format!("{known}-{asset:010}"))
                })
                .collect();
            let began = Instant::now();
            let sum: u64 = wanted.iter().map(|(owner, asset)| look(graph, owner, asset)).sum();
            black_box(sum);
            best.push(began.elapsed().as_nanos() / LOOKUPS as u128);
        }
        best.sort_unstable();
        println!("lookup in batches of {LOOKUPS}, {what}: median {} ns, lowest {} ns", best[best.len() / 2], best[0]);
    };
    report("the asset", &|graph, owner, asset| graph.asset(owner, asset).map_or(0, |shares| shares.grants().len() as u64));
    report("every grant read", &|graph, owner, asset| {
        graph.asset(owner, asset).map_or(0, |shares| shares.grants().map(|grant| u64::from(grant.revision)).sum())
    });
}

/// A snapshot written, and read again once the table is gone.
fn report_snapshot(table: ShareTable, shares: usize, replayed_ns: f64) {
    let origin = SnapshotOrigin { cluster: "c".to_owned(), topic: "sharecast.control".to_owned() };
    let mut bytes = Vec::with_capacity(100 * shares);
    let began = busy_ns();
    snapshot::write(&table, &origin, &mut bytes).expect("a snapshot");
    let written_ns = (busy_ns() - began) as f64 / shares as f64;
    drop(table);
    let began = busy_ns();
    let table = snapshot::read(&bytes, &origin, ShareTable::new(rules())).expect("the same snapshot");
    let read_ns = (busy_ns() - began) as f64 / shares as f64;
    println!("snapshot: {} B a share, written in {written_ns:.0} ns, read in {read_ns:.0} ns", bytes.len() / shares);
    println!("start: {:.1} times as fast as replaying", replayed_ns / read_ns);
    println!("peak {} MB, {} MB resident at the end", status_kb("VmHWM") / 1024, status_kb("VmRSS") / 1024);
    drop(table);
}

struct Fold {
    log: ControlFold,
    published: ShareGraph,
}

impl Fold {
    fn new(table: ShareTable) -> Self {
        let mut fold = Self { published: table.graph(), log: ControlFold::new(table, STEP_MS) };
        fold.parties();
        fold
    }

    fn parties(&mut self) {
        for owner in 0..TENANTS {
            for step in 1..=SHARES_OF_AN_ASSET {
                let (owner, target) = (tenant(owner), tenant((owner + step) % TENANTS));
                let data = format!(r#"{{"tenants":["{owner}","{target}"],"auto_accept":true}}"#);
                self.log.send("/operator", "partnership.established", &data);
            }
            let data = r#"{"profile":"hire","spec":{"telemetry":{"include":["$.v","$.ts"]}}}"#;
            self.log.send(&source(&tenant(owner)), "profile.published", data);
        }
    }

    fn offers(&mut self, shares: usize) {
        for number in 0..shares {
            self.offer(number, shares / SHARES_OF_AN_ASSET);
            if number % PUBLISHED_EVERY == 0 {
                self.published = self.log.table.graph();
            }
        }
    }

    fn offer(&mut self, number: usize, assets: usize) {
        let asset = number % assets;
        let owner = asset % TENANTS;
        let target = tenant((owner + 1 + number / assets) % TENANTS);
        let data = format!(
            r#"{{"share":"share-{number:010}","asset":"asset-{asset:010}","target_tenant":"{target}","target_asset":"their-{asset:010}","streams":["telemetry"],"profile":"hire","ends":"2{:03}-06-01T00:00:00Z"}}"#,
            100 + number % 800
        );
        self.log.send(&source(&tenant(owner)), "share.offered", &data);
    }

    /// Single events on random shares: a graph published after each, and none.
    fn report_events(&mut self, shares: usize) {
        let mut random = Random(11);
        for is_published in [true, false] {
            let mut took = Vec::new();
            for event in 0..EVENTS {
                let number = random.below(shares);
                let owner = number % (shares / SHARES_OF_AN_ASSET) % TENANTS;
                let permission = ["view", "edit", "manage"][event % 3];
                let data = format!(r#"{{"share":"share-{number:010}","permission":"{permission}"}}"#);
                let (kind, data) = match event % 4 {
                    0 => ("share.paused", format!(r#"{{"share":"share-{number:010}"}}"#)),
                    _ => ("share.updated", data),
                };
                took.push(self.timed(&source(&tenant(owner)), kind, &data, is_published));
            }
            took.sort_unstable();
            let at = |percent: usize| took[took.len() * percent / 100] as f64 / 1000.0;
            let what = if is_published { "a graph published after each" } else { "none published" };
            println!("event at {shares} shares, {what}: p50 {:.1} us, p99 {:.1} us", at(50), at(99));
        }
    }

    #[allow(clippy::disallowed_methods, reason = "it tells how long an event takes")]
    fn timed(&mut self, source: &str, kind: &str, data: &str, is_published: bool) -> u64 {
        let event = self.log.event(source, kind, data);
        let began = Instant::now();
        let folded = self.log.table.fold(event.offset, event.now, read_structured(event.text.as_bytes()));
        if is_published {
            self.published = self.log.table.graph();
        }
        let took = began.elapsed().as_nanos() as u64;
        black_box(folded);
        took
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
