//! What reading and projecting one telemetry record of 500 bytes costs, against simd-json's tape of the same record.
//! In CPU time of the thread, so that a busy machine says nearly the same as a quiet one.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rustix::time::{ClockId, clock_gettime};
use sharecast::id::{Epoch, StreamIndex, StreamName};
use sharecast::json::document;
use sharecast::json::path::Path;
use sharecast::json::tape::Tape;
use sharecast::profile::compile::Profile;
use sharecast::profile::condition::ShareFacts;
use sharecast::profile::parties::{Parties, Provenance};
use sharecast::profile::project::Projector;
use sharecast::profile::spec::ProfileSpec;
use sharecast::record::mapping::{FieldSource, Mapping, Mode, Stream};
use std::hint::black_box;
use std::time::Duration;

const RECORD: &str = r#"{"tenant":"northwind","asset":"NW-4711","ts":"2026-01-01T09:00:00.250Z","position":{"lat":51.507351,"lon":-0.127758,"alt":35.2},"engine":{"rpm":1480,"hours":10234.75,"load":0.62,"coolant_c":88.4,"serial":"SN-20418877","ecu":{"fw":"4.2.1","bus":"can0"}},"fuel":{"level":0.71,"used_l":18233.4},"sensors":[{"name":"hydraulic","value":201.3},{"name":"boom","value":17.25}],"ignition":true,"speed_kmh":6.4,"odometer_km":48211.9,"source":"gateway-eu-1","faults":[],"driver":"D-118","seq":98122342,"pad":"x"}"#;

const SECTIONS: [&str; 4] = [
    r#"{"include":["$.position.lat","$.position.lon","$.engine","$.sensors[*].value","$.speed_kmh"],"exclude":["$.engine.ecu"]}"#,
    r#"{"include":["$"],"exclude":["$.driver","$.engine.ecu"]}"#,
    r#"{"include":["$.position","$.fuel","$.odometer_km"]}"#,
    r#"{"include":["$.engine.rpm","$.engine.hours","$.ignition","$.sensors"]}"#,
];

const TRANSFORMS: &str = r#"{"include":["$.position","$.engine"],"transform":[{"paths":["$.position.lat","$.position.lon"],"round":3},
    {"path":"$.ts","truncate":"1m"},{"path":"$.engine.serial","mask":{"keep_last":4}},{"path":"$.position","rename":"location"}]}"#;

/// Six members, a rename, two rounds and a mask each.
const CHANGING: [&str; 3] = [
    r#"{"include":["$.position","$.engine.rpm","$.engine.serial","$.speed_kmh"],"transform":[{"path":"$.position.lat","round":3},
        {"path":"$.position.lon","round":3},{"path":"$.engine.serial","mask":{"keep_last":4}},{"path":"$.speed_kmh","rename":"speed"}]}"#,
    r#"{"include":["$.position","$.engine","$.odometer_km"],"transform":[{"path":"$.position.lat","round":3},
        {"path":"$.engine.hours","round":1},{"path":"$.engine.serial","mask":"redact"},{"path":"$.odometer_km","rename":"odometer"}]}"#,
    r#"{"include":["$.fuel","$.position","$.engine.serial","$.ignition"],"transform":[{"path":"$.fuel.level","round":1},
        {"path":"$.position.lat","round":2},{"path":"$.engine.serial","mask":{"keep_first":2}},{"path":"$.position","rename":"location"}]}"#,
];

const CONDITION: &str = r#"{"include":["$.position.lat","$.position.lon","$.engine","$.sensors[*].value","$.speed_kmh"],"exclude":["$.engine.ecu"],
    "when":"record.ignition == true && record.engine.rpm > 600 && record.sensors.exists(s, s.name == 'boom')"}"#;

fn profile(section: &str) -> Profile {
    let path = |text: &str| Path::parse(text).expect("a path");
    let mapping = Mapping {
        tenant: FieldSource::Path(path("$.tenant")),
        asset: FieldSource::Path(path("$.asset")),
        key_format: None,
        time: Some(path("$.ts")),
        rewrite_tenant: Vec::new(),
        rewrite_asset: Vec::new(),
    };
    let name = StreamName::parse("telemetry").expect("a name");
    let stream = Stream { name, index: StreamIndex(0), mode: Mode::Append, topic: "telemetry.raw".to_owned(), mapping };
    let node = document::parse(format!("{{\"telemetry\":{section}}}").as_bytes()).expect("JSON");
    Profile::compile(&ProfileSpec::read(&node).expect("a profile"), &[stream])
}

fn project(projector: &mut Projector, profile: &Profile, target: &str, out: &mut Vec<u8>) {
    project_text(projector, RECORD.as_bytes(), profile, target, out);
}

fn project_text(projector: &mut Projector, text: &[u8], profile: &Profile, target: &str, out: &mut Vec<u8>) {
    let parties = Parties { owner: "northwind", target, target_asset: "EX-2201" };
    let provenance = Provenance { share: "01JD8Z6TJ4V5", revision: 3, epoch: Epoch(1_234_567), permission: None, backfill: None };
    let section = profile.section(StreamIndex(0)).expect("a section");
    projector.project(text, section, &parties, Some(&provenance), out);
}

/// Records of one device: one shape, other values, some of other lengths.
fn variants() -> Vec<String> {
    (0..64)
        .map(|at| {
            RECORD
                .replace("51.507351", &format!("51.50{at}"))
                .replace("1480", &(at * 97).to_string())
                .replace("true", if at % 3 == 0 { "true" } else { "false" })
        })
        .collect()
}

struct CpuTime;

static NANOSECONDS: WallTime = WallTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("a time")
    }

    fn end(&self, start: Duration) -> Duration {
        self.start() - start
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        *a + *b
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        NANOSECONDS.formatter()
    }
}

fn bench(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("record");
    group.throughput(Throughput::Bytes(RECORD.len() as u64));
    let mut tape = Tape::default();
    group.bench_function("tape", |b| b.iter(|| tape.parse(black_box(RECORD.as_bytes()))));
    let (mut scratch, mut buffers) = (Vec::new(), simd_json::Buffers::default());
    group.bench_function("simd_json_tape", |b| {
        b.iter(|| {
            scratch.clear();
            scratch.extend_from_slice(black_box(RECORD.as_bytes()));
            let mut tape = simd_json::Tape::null();
            simd_json::fill_tape(&mut scratch, &mut buffers, &mut tape).is_ok() && black_box(tape.0.len()) > 1
        })
    });

    // Its first stage alone: a bracket before the record ends the second stage at its first token. What is found then are the places
    // of tokens; scalars, names and nesting are still to be read.
    group.bench_function("simd_json_stage_1", |b| {
        b.iter(|| {
            scratch.clear();
            scratch.push(b']');
            scratch.extend_from_slice(black_box(RECORD.as_bytes()));
            let mut tape = simd_json::Tape::null();
            simd_json::fill_tape(&mut scratch, &mut buffers, &mut tape).is_err() && black_box(buffers.structural_indexes().len()) > 100
        })
    });
    let variants_of_one_shape = variants();
    for (name, mut tape) in [("tape_of_variants", Tape::default()), ("tape_of_variants_remembering", Tape::remembering())] {
        let mut at = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                at = (at + 1) % variants_of_one_shape.len();
                tape.parse(black_box(variants_of_one_shape[at].as_bytes()))
            })
        });
    }

    let profiles = SECTIONS.map(profile);
    let (mut projector, mut out) = (Projector::new(None), Vec::new());
    let targets = ["acme", "zenith", "insure-co", "workshop"];
    group.bench_function("fan_out_1", |b| {
        b.iter(|| {
            out.clear();
            projector.load(black_box(RECORD.as_bytes())).is_ok().then(|| project(&mut projector, &profiles[0], targets[0], &mut out));
            out.len()
        })
    });
    group.bench_function("fan_out_4_one_profile", |b| {
        b.iter(|| {
            out.clear();
            projector
                .load(black_box(RECORD.as_bytes()))
                .is_ok()
                .then(|| targets.map(|target| project(&mut projector, &profiles[0], target, &mut out)));
            out.len()
        })
    });
    group.bench_function("fan_out_4_four_profiles", |b| {
        b.iter(|| {
            out.clear();
            let loaded = projector.load(black_box(RECORD.as_bytes())).is_ok();
            for (profile, target) in profiles.iter().zip(targets).take(if loaded { 4 } else { 0 }) {
                project(&mut projector, profile, target, &mut out);
            }
            out.len()
        })
    });
    // Against `fan_out_1`: what a condition costs the profiles that have one. Without one there is nothing to measure.
    let conditional = profile(CONDITION);
    let condition = conditional.section(StreamIndex(0)).and_then(|section| section.condition.clone()).expect("a condition");
    let (owner, target) = ("northwind", targets[0]);
    let (asset, target_asset) = ("NW-4711", "EX-2201");
    let share = ShareFacts { id: "01JD8Z6TJ4V5", owner, target, asset, target_asset, permission: "view", label: None };
    group.bench_function("fan_out_1_condition", |b| {
        b.iter(|| {
            out.clear();
            let loaded = projector.load(black_box(RECORD.as_bytes())).is_ok();
            if loaded && condition.holds(RECORD.as_bytes(), projector.tape(), &share) == Ok(true) {
                project(&mut projector, &conditional, target, &mut out);
            }
            out.len()
        })
    });
    let transforming = profile(TRANSFORMS);
    group.bench_function("fan_out_1_transforms", |b| {
        b.iter(|| {
            out.clear();
            projector.load(black_box(RECORD.as_bytes())).is_ok().then(|| project(&mut projector, &transforming, targets[0], &mut out));
            out.len()
        })
    });
    // The record's way as it is decided, by shapes remembered and by a walk each, in turn: what the two make is the same.
    let plain = [profile(SECTIONS[0]), profile(SECTIONS[1])];
    let changing = CHANGING.map(profile);
    let mut ways = [("remembered", Projector::new(None)), ("walked", Projector::plain(None))];
    for (way, projector) in &mut ways {
        for (name, profiles, outputs) in [
            ("1_output", &plain[..1], 1),
            ("2_outputs_of_1_profile", &plain[..1], 2),
            ("4_outputs_of_2_profiles", &plain[..], 4),
            ("8_outputs_of_2_profiles", &plain[..], 8),
            ("4_outputs_of_3_changing_profiles", &changing[..], 4),
        ] {
            let (records, mut at) = (variants(), 0);
            group.bench_function(format!("{way}/{name}"), |b| {
                b.iter(|| {
                    out.clear();
                    at = (at + 1) % records.len();
                    let text = black_box(records[at].as_bytes());
                    let loaded = projector.load(text).is_ok();
                    for output in 0..if loaded { outputs } else { 0 } {
                        project_text(projector, text, &profiles[output % profiles.len()], targets[output % 4], &mut out);
                    }
                    out.len()
                })
            });
        }
    }
    group.finish();
}

criterion_group!(name = benches; config = Criterion::default().with_measurement(CpuTime); targets = bench);
criterion_main!(benches);
