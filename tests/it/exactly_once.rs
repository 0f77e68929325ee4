//! Kill, stop and rebalance: every record once, in order, under an epoch that allowed it (docs/rules/release.md,
//! docs/rules/exactly-once.md).

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sharecast::kafka::TopicReader;

use super::broker::{Cluster, PATIENCE, Seen};
use super::fixture::{World, epoch_of, number_of};
use super::instance::{Instance, Patience, await_that};

// More than the workers of two instances, so that those of a third one get some.
pub(super) const PARTITIONS: i32 = 6;
pub(super) const ASSETS: u64 = 12;
/// Each asset is shared with this tenant all the time, so that its outputs tell the epoch by which a record was decided.
pub(super) const WITNESS: &str = "witness";
/// And with this one, with pauses.
const TARGET: &str = "target";

pub(super) fn asset(number: u64) -> String {
    format!("a{}", number % ASSETS)
}

/// So many records at most are on their way in each partition: librdkafka then has no reason to spin, and one that is idempotent
/// writes each once, whatever becomes of the brokers.
const IN_FLIGHT: usize = 5;

/// Feeds records until told to stop, all of one asset into one partition: the number says which; they rise in each.
fn feed(world: &World<'_>, next: &AtomicU64, stop: &AtomicBool) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.cluster.bootstrap).set("enable.idempotence", "true").set("linger.ms", "5");
    let producer: BaseProducer = config.create().unwrap();
    while !stop.load(Ordering::Relaxed) {
        for _ in 0..IN_FLIGHT * PARTITIONS as usize / 2 {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let (partition, value) = ((number % ASSETS) as i32 % PARTITIONS, world.record("o", &asset(number), number));
            let record = BaseRecord::to(&world.input).partition(partition).key("k").payload(&value);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        std::thread::sleep(Duration::from_millis(15));
    }
}

/// One share with the target for each asset and the control offsets between which it was paused.
struct Share {
    id: String,
    pauses: Vec<Range<i64>>,
}

/// Pauses one share after the other for a moment until told to stop.
fn pause(world: &World<'_>, shares: &mut [Share], stop: &AtomicBool) {
    let source = format!("/tenants/{}", world.tenant("o"));
    let mut place = 0;
    while !stop.load(Ordering::Relaxed) {
        let share = &mut shares[place];
        place = (place + 1) % ASSETS as usize;
        let data = format!(r#"{{"share":"{}"}}"#, share.id);
        let paused = world.event(&source, "share.paused", &data);
        std::thread::sleep(Duration::from_millis(60));
        share.pauses.push(paused..world.event(&source, "share.resumed", &data));
    }
}

/// The witness's topic as it grows.
pub(super) struct Flow<'w> {
    next: &'w AtomicU64,
    reader: TopicReader,
    released: u64,
}

impl<'w> Flow<'w> {
    pub(super) fn of(world: &World<'_>, next: &'w AtomicU64) -> Self {
        let reader = TopicReader::open(&world.cluster.settings("tests"), &world.output(WITNESS), [0]).unwrap();
        Self { next, reader, released: 0 }
    }

    /// Waits until all that is fed by now is released: instances flow, whoever they are.
    pub(super) fn goes_on(&mut self) {
        // A killed process takes the time-outs of sessions, transactions and records, one after the other.
        let (until, patience) = (self.next.load(Ordering::Relaxed), Patience::times(2));
        while self.released < until {
            assert!(!patience.is_over(), "{} of {until} records are released", self.released);
            // A broker that is away for a moment is what is tried here.
            let _ = self.reader.follow(Duration::from_millis(200), |_| self.released += 1);
        }
    }
}

fn value(record: &Seen) -> &str {
    record.value.as_deref().unwrap()
}

/// Order and number: each record of a source partition once, rising in each partition of the topic.
pub(super) fn numbers_once(seen: &[Seen], topic: &str) -> HashMap<u64, i64> {
    let mut last: BTreeMap<(i32, i32), (i64, u64)> = BTreeMap::new();
    let mut epochs = HashMap::new();
    let mut sorted: Vec<&Seen> = seen.iter().collect();
    sorted.sort_by_key(|record| (record.partition, record.offset));
    for record in sorted {
        let number = number_of(value(record));
        assert!(epochs.insert(number, epoch_of(value(record))).is_none(), "{number} is twice in {topic}");
        let source = (number % ASSETS) as i32 % PARTITIONS;
        let before = last.insert((source, record.partition), (record.offset, number));
        assert!(before.is_none_or(|(_, before)| before < number), "{topic}: {number} behind {before:?}");
    }
    epochs
}

fn check(world: &World<'_>, fed: u64, shares: &[Share]) {
    let witnessed = world.await_outputs(WITNESS, fed as usize);
    let epochs = numbers_once(&witnessed, WITNESS);
    assert_eq!(epochs.len() as u64, fed, "nothing is lost");
    for record in &witnessed {
        let number = number_of(value(record));
        let expected = world.released(WITNESS, &format!("{}-w", asset(number)), number);
        assert!(value(record).starts_with(&expected), "{} is not {expected}", value(record));
    }
    let released = world.cluster.read(&world.output(TARGET));
    let found = numbers_once(&released, TARGET);
    let is_due = |number: u64| !shares[(number % ASSETS) as usize].pauses.iter().any(|pause| pause.contains(&epochs[&number]));
    for number in 0..fed {
        let expected = is_due(number).then(|| epochs[&number]);
        assert_eq!(found.get(&number).copied(), expected, "record {number}, decided by epoch {}", epochs[&number]);
    }
    assert!(found.len() as u64 > fed / 2 && (found.len() as u64) < fed, "{} of {fed} released: the pauses were of no use", found.len());
    assert_eq!(world.letters(), [], "a broker that is away for a moment is no failed route");
}

#[test]
fn every_record_once_whatever_ends_stops_or_joins() {
    let cluster = Cluster::start(3);
    every_record_once(&World::new(&cluster, PARTITIONS, ""), faults);
}

/// Records flow and shares are paused while `faults` happen; then all that was fed is released once, in order, under an epoch that allowed it.
pub(super) fn every_record_once(world: &World<'_>, faults: impl FnOnce(&World<'_>, &AtomicU64) -> Instance) {
    world.make_control();
    world.partners("o", WITNESS);
    world.partners("o", TARGET);
    let mut shares = Vec::new();
    for number in 0..ASSETS {
        world.share_with("o", &asset(number), WITNESS, &format!(r#","target_asset":"{}-w""#, asset(number)));
        shares.push(Share { id: world.share("o", &asset(number), TARGET), pauses: Vec::new() });
    }
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let last = std::thread::scope(|scope| {
        // Whatever goes wrong here, the two below must end, or the scope would wait for them.
        let _end = Raise(&stop);
        scope.spawn(|| feed(world, &next, &stop));
        scope.spawn(|| pause(world, &mut shares, &stop));
        faults(world, &next)
    });
    check(world, next.into_inner(), &shares);
    last.terminate();
}

struct Raise<'s>(&'s AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What goes wrong, one after the other; returns the instance that is left.
fn faults(world: &World<'_>, next: &AtomicU64) -> Instance {
    let a = world.start_ready("a");
    let b = world.start_ready("b");
    assert!(!world.await_outputs(WITNESS, 1).is_empty());
    let mut flow = Flow::of(world, next);
    flow.goes_on();
    // Killed in whatever it was doing, and back under its name, then under another.
    a.kill();
    let a = world.start_ready("a");
    flow.goes_on();
    a.kill();
    let a = world.start_ready("other");
    flow.goes_on();
    // Stopped until it is given up and others have its partitions; then it wakes and goes on as if nothing had been.
    b.signal("STOP");
    flow.goes_on();
    b.signal("CONT");
    flow.goes_on();
    // A third one comes and goes.
    let c = world.start("c");
    c.await_line(&["partitions assigned", "/"]);
    flow.goes_on();
    c.terminate();
    flow.goes_on();
    // Each broker dies once, so that the one which coordinates the group and those which coordinate the transactions do, and
    // comes back only when it is known to be gone.
    for node in 1..=3 {
        world.cluster.node("kill", node);
        flow.goes_on();
        world.cluster.node("start-node", node);
        flow.goes_on();
    }
    await_that("both are ready", || [&a, &b].iter().all(|instance| matches!(instance.get("/readyz"), Some((200, _)))));
    [a, b].into_iter().for_each(Instance::terminate);
    // What was fed after the last commit is for the next one.
    let last = world.start_ready("last");
    flow.goes_on();
    last
}
