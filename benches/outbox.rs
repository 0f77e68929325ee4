//! What handing an output to the outbox and reading it again costs: 10,000 records, four outputs each, for 20 topics of four partitions,
//! in one lane a topic and in one a partition.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sharecast::engine::output::outbox::{Outbox, RecordOrigin};
use sharecast::engine::output::route::RouteIndex;
use sharecast::id::{Offset, StreamIndex};
use sharecast::time::TimestampMs;
use sharecast::transport::SourcePartition;
use std::hint::black_box;

const RECORDS: u32 = 10_000;
const FAN_OUT: u32 = 4;
const ROUTES: u32 = 20;

fn fill(outbox: &mut Outbox, keys: &[String], value: &[u8]) {
    outbox.clear();
    for record in 0..RECORDS {
        let source = SourcePartition { stream: StreamIndex(0), partition: (record % 6) as i32 };
        let origin = RecordOrigin { source, offset: Offset(i64::from(record)) };
        for target in 0..FAN_OUT {
            let route = RouteIndex((record * 7 + target * 5) % ROUTES);
            outbox.push(route, origin, keys[record as usize].as_bytes(), value, TimestampMs(1));
        }
    }
}

fn bench(c: &mut Criterion) {
    let keys: Vec<String> = (0..RECORDS).map(|number| format!("EX-{number:05}")).collect();
    let value = vec![b'x'; 250];
    let mut group = c.benchmark_group("outbox");
    group.throughput(Throughput::Elements(u64::from(RECORDS * FAN_OUT)));
    for partitions in [0, 4] {
        let mut outbox = Outbox::default();
        if partitions > 0 {
            (0..ROUTES).for_each(|route| outbox.learn_partitions(RouteIndex(route), partitions));
        }
        group.bench_function(BenchmarkId::new("push_and_read", partitions), |b| {
            b.iter(|| {
                fill(&mut outbox, &keys, &value);
                black_box(
                    outbox.iter().map(|output| u64::from(output.value[output.value.len() - 1]) + output.key.len() as u64).sum::<u64>(),
                )
            })
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
