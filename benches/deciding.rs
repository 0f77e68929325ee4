//! What deciding a record costs a worker in memory: read, looked up, decided, projected and handed to the outbox, by fan-out.
//!
//! 10,000 records of 500 bytes of 10,000 assets make a batch; each asset is shared with as many of 20 tenants as the fan-out says, by three
//! profiles in turn, each with a rename, two rounds and a mask. In CPU time of the thread.

use std::convert::Infallible;
use std::hint::black_box;

use rustix::time::{ClockId, clock_gettime};
use sharecast::decide::{Decider, Decisions, InputRecord, Release, ReleaseRules, SampleCandidate};
use sharecast::engine::output::outbox::{Outbox, RecordOrigin};
use sharecast::engine::output::route::Routes;
use sharecast::id::{Offset, StreamIndex, StreamName};
use sharecast::json::path::Path;
use sharecast::profile::condition::ConditionError;
use sharecast::record::decode::ReadRules;
use sharecast::record::mapping::{FieldSource, Mapping, Mode, Stream};
use sharecast::release::Suppressed;
use sharecast::share::configuration::PartnershipNeed;
use sharecast::share::event::read_structured;
use sharecast::share::graph::{Grant, ShareGraph};
use sharecast::share::table::{FoldRules, Outcome, ShareTable};
use sharecast::time::{Period, TimestampMs};
use sharecast::transport::SourcePartition;

/// The program's own, so that the figures are the program's.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ASSETS: usize = 10_000;
const TARGETS: usize = 20;
const BATCHES: usize = 31;
const NOW: TimestampMs = TimestampMs(1_767_258_000_000);
const FAN_OUTS: [usize; 4] = [0, 1, 4, 16];

const PROFILES: [&str; 3] = [
    r#"{"include":["$.position","$.engine.rpm","$.engine.serial","$.speed_kmh"],"transform":[{"path":"$.position.lat","round":3},
        {"path":"$.position.lon","round":3},{"path":"$.engine.serial","mask":{"keep_last":4}},{"path":"$.speed_kmh","rename":"speed"}]}"#,
    r#"{"include":["$.position","$.engine","$.odometer_km"],"transform":[{"path":"$.position.lat","round":3},
        {"path":"$.engine.hours","round":1},{"path":"$.engine.serial","mask":"redact"},{"path":"$.odometer_km","rename":"odometer"}]}"#,
    r#"{"include":["$.fuel","$.position","$.engine.serial","$.ignition"],"transform":[{"path":"$.fuel.level","round":1},
        {"path":"$.position.lat","round":2},{"path":"$.engine.serial","mask":{"keep_first":2}},{"path":"$.position","rename":"location"}]}"#,
];

fn main() {
    let only: Option<usize> = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let mut ways: Vec<_> = FAN_OUTS
        .iter()
        .filter(|fan_out| only.is_none_or(|only| only == **fan_out))
        .map(|&fan_out| (fan_out, graph(fan_out), Worker::new(), Vec::new()))
        .collect();
    let (stream, records) = (stream(), records());
    for _ in 0..BATCHES {
        for (_, graph, worker, costs) in &mut ways {
            let began = cpu_ns();
            worker.batch(&stream, &records, graph);
            costs.push((cpu_ns() - began) / ASSETS as u64);
        }
    }
    for (fan_out, _, worker, mut costs) in ways {
        assert_eq!(worker.sink.outbox.len(), ASSETS * fan_out, "each share gets each record");
        costs.sort_unstable();
        println!("fan-out {fan_out}: median {} ns, lowest {} ns a record", costs[costs.len() / 2], costs[0]);
    }
}

struct Worker {
    decider: Decider,
    sink: Sink,
}

impl Worker {
    fn new() -> Self {
        let read = ReadRules { max_record_bytes: 1 << 20, max_future: Period::parse("5m").expect("a length of time") };
        let late_grace = Period::parse("10m").expect("a length of time");
        let rules = ReleaseRules { read, late_grace, shows_provenance: true, shows_permission: false };
        let origin = RecordOrigin { source: SourcePartition { stream: StreamIndex(0), partition: 0 }, offset: Offset(0) };
        let sink = Sink { outbox: Outbox::default(), routes: Routes::default(), origin };
        Self { decider: Decider::new(rules, Some(b"secret")), sink }
    }

    fn batch(&mut self, stream: &Stream, records: &[String], graph: &ShareGraph) {
        self.sink.outbox.clear();
        for (at, record) in records.iter().enumerate() {
            self.sink.origin.offset = Offset(at as i64);
            let headers = std::iter::empty::<(&[u8], Option<&[u8]>)>();
            let input = InputRecord { key: None, headers, timestamp: NOW, value: Some(record.as_bytes()) };
            assert!(self.decider.append(stream, input, graph, NOW, &mut self.sink).is_ok());
        }
        black_box(self.sink.outbox.bytes());
    }
}

/// As the worker's.
struct Sink {
    outbox: Outbox,
    routes: Routes,
    origin: RecordOrigin,
}

impl Decisions for Sink {
    type Error = Infallible;

    fn released(&mut self, release: Release<'_>) -> Result<(), Infallible> {
        let route = self.routes.find(release.grant.target, release.stream, || format!("share.{}", release.grant.target.as_str()));
        self.outbox.push(route, self.origin, release.grant.target_asset.as_str().as_bytes(), release.value, release.timestamp);
        Ok(())
    }

    fn suppressed(&mut self, _: Suppressed, _: u32) {}

    fn passes_sample(&mut self, _: SampleCandidate<'_>) -> bool {
        true
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
}

/// One record of each asset: one shape, other values.
fn records() -> Vec<String> {
    (0..ASSETS)
        .map(|at| {
            let (ignition, at) = (at % 3 == 0, at * 7919 % ASSETS);
            format!(
                r#"{{"tenant":"northwind","asset":"NW-{at:05}","ts":"2026-01-01T09:00:00.{:03}Z","position":{{"lat":51.{at:06},"lon":-0.{:06},"alt":35.2}},"engine":{{"rpm":{},"hours":10234.75,"load":0.62,"coolant_c":88.4,"serial":"SN-204{at:05}","ecu":{{"fw":"4.2.1","bus":"can0"}}}},"fuel":{{"level":0.{:02},"used_l":18233.4}},"sensors":[{{"name":"hydraulic","value":201.3}},{{"name":"boom","value":17.25}}],"ignition":{ignition},"speed_kmh":6.4,"odometer_km":48211.9,"source":"gateway-eu-1","faults":[],"driver":"D-118","seq":98122342,"pad":"x"}}"#,
                at % 1000,
                at * 13,
                at % 2400,
                at % 100,
            )
        })
        .collect()
}

fn stream() -> Stream {
    let path = |text: &str| Path::parse(text).expect("a path");
    let mapping = Mapping {
        tenant: FieldSource::Path(path("$.tenant")),
        asset: FieldSource::Path(path("$.asset")),
        key_format: None,
        time: Some(path("$.ts")),
        rewrite_tenant: Vec::new(),
        rewrite_asset: Vec::new(),
    };
    let name = StreamName::parse("telemetry").expect("a stream's name");
    Stream { name, index: StreamIndex(0), mode: Mode::Append, topic: "telemetry.raw".to_owned(), mapping }
}

/// So many shares of each asset.
fn graph(fan_out: usize) -> ShareGraph {
    let mut log = Log { table: ShareTable::new(rules()), next: 0 };
    for target in 0..TARGETS {
        log.send("/operator", "partnership.established", &format!(r#"{{"tenants":["northwind","target-{target}"],"auto_accept":true}}"#));
    }
    for (at, section) in PROFILES.iter().enumerate() {
        log.send("/tenants/northwind", "profile.published", &format!(r#"{{"profile":"p{at}","spec":{{"telemetry":{section}}}}}"#));
    }
    for share in 0..ASSETS * fan_out.max(1) {
        let (asset, of_asset) = (share % ASSETS, share / ASSETS);
        // Without outputs the share is there, so that the record is read, and begins after it.
        let starts = if fan_out == 0 { r#","starts":"2026-01-01T09:00:01Z""# } else { "" };
        let data = format!(
            r#"{{"share":"share-{share:010}","asset":"NW-{asset:05}","target_tenant":"target-{}","target_asset":"EX-{asset:05}","streams":["telemetry"],"profile":"p{}"{starts}}}"#,
            (asset + of_asset) % TARGETS,
            share % PROFILES.len(),
        );
        log.send("/tenants/northwind", "share.offered", &data);
    }
    log.table.graph()
}

struct Log {
    table: ShareTable,
    next: i64,
}

impl Log {
    fn send(&mut self, source: &str, kind: &str, data: &str) {
        let id = self.next;
        self.next += 1;
        let event =
            format!(r#"{{"specversion":"1.0","id":"event-{id:010}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
        let folded = self.table.fold(Offset(id), TimestampMs(1_735_689_600_000 + id), read_structured(event.as_bytes()));
        assert_eq!(folded.outcome, Outcome::Applied, "{event}");
    }
}

fn rules() -> FoldRules {
    FoldRules {
        streams: [stream()].into(),
        partnerships: PartnershipNeed::Required,
        late_grace: Period::parse("10m").expect("a length of time"),
        halts_on_unreadable: true,
    }
}

fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
