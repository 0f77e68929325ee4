//! Ten thousand records of a live run: each went as it is explained afterwards, by the shares as they were then.

use std::collections::BTreeMap;

use rdkafka::producer::{BaseRecord, Producer};
use sharecast::cli::config;
use sharecast::clock::{Clock, SystemClock};
use sharecast::config::Config;
use sharecast::explain::record::WholeRecord;
use sharecast::explain::{Explainer, Explanation};
use sharecast::kafka::TopicReader;
use sharecast::share::event::read_record;
use sharecast::share::table::ShareTable;
use sharecast::time::TimestampMs;

use crate::broker::{PATIENCE, shared, unique};
use crate::fixture::{World, feeder};
use crate::instance::{Instance, await_that};

const ROUNDS: usize = 4;
const RECORDS: usize = 2_500;
const TARGETS: [&str; 3] = ["t0", "t1", "t2"];
/// A record's Kafka timestamp is this and its offset, and so is that of all that comes of it.
const FIRST: i64 = 1_700_000_000_000;

/// Numbers that look like chance.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

/// What was released, by share and place, without its provenance; what was suppressed, by reason; and what is dead, by place.
#[derive(Debug, Default, PartialEq)]
struct Went {
    released: BTreeMap<(String, i64), serde_json::Value>,
    suppressed: BTreeMap<String, u64>,
    dead: BTreeMap<i64, String>,
}

impl Went {
    /// As it is explained.
    fn add(&mut self, place: i64, explained: Explanation) {
        if let Some(refusal) = &explained.dead {
            self.dead.insert(place, refusal.reason.as_str().to_owned());
        }
        for share in explained.shares {
            match share.suppressed {
                None => {
                    let value = serde_json::from_slice(share.value.as_deref().unwrap()).unwrap();
                    self.released.insert((share.share, place), without_provenance(value).0);
                }
                Some(reason) => *self.suppressed.entry(reason.to_owned()).or_default() += 1,
            }
        }
    }
}

/// The value, and the share that it came by.
fn without_provenance(mut value: serde_json::Value) -> (serde_json::Value, String) {
    let share = value.as_object_mut().unwrap().remove("_share").map(|share| share["id"].as_str().unwrap().to_owned());
    (value, share.unwrap_or_default())
}

#[test]
fn ten_thousand_records_of_a_live_run_went_as_they_are_explained() {
    let seed = std::env::var("SHARECAST_SEED").ok().map_or(0x5eed, |text| text.parse().expect("a number"));
    println!("run it again with SHARECAST_SEED={seed}");
    let mut dice = Dice(seed);
    let world = World::new(shared(), 1, "");
    let config = config::load(&[world.config("cli")]).unwrap();
    let engine = world.start_ready("a");
    let owner = format!("/tenants/{}", world.tenant("o"));
    let publish = |name: &str, spec: &str| {
        world.event(&owner, "profile.published", &format!(r#"{{"profile":"{name}","spec":{{"telemetry":{spec}}}}}"#));
    };
    publish("few", r#"{"include":["$.n","$.pos"],"exclude":["$.pos.alt"],"transform":[{"path":"$.pos.lat","round":1}]}"#);
    publish("when", r#"{"include":["$.n","$.on","$.pos.lat"],"when":"record.on == true"}"#);
    TARGETS.iter().for_each(|target| world.partners("o", target));
    let mut shares = Vec::new();
    for (at, target) in TARGETS.iter().enumerate() {
        for asset in 0..4 {
            let profile = ["all", "few", "when"][(at + asset) % 3];
            shares.push(offer(&world, &format!("a{asset}"), target, profile, (at + asset) % 2 == 0));
        }
    }

    let mut went = Went::default();
    for round in 0..ROUNDS {
        let of_share = |share: &str| format!(r#"{{"share":"{share}"}}"#);
        match round {
            0 => {}
            1 => drop(world.event(&owner, "share.paused", &of_share(&shares[11]))),
            2 => publish("few", r#"{"include":["$.n","$.pos.alt","$.on"]}"#),
            _ => publish("when", r#"{"include":["$.on"],"when":"record.pos.alt > 5"}"#),
        }
        if round > 0 {
            world.event(&owner, "share.revoked", &of_share(&shares[2 * round + dice.below(2)]));
        }
        let mark = format!("mark{round}");
        offer(&world, &mark, "t0", "all", true);
        let table = fold(&world, &config);
        await_that("the engine decides by it", || metric(&engine, "sharecast_epoch ") >= table.epoch().0 as u64);

        let first = (round * (RECORDS + 1)) as i64;
        let mut fed: Vec<Option<String>> = (0..RECORDS).map(|_| telemetry(&world, &mut dice)).collect();
        fed.push(Some(world.record("o", &mark, 0)));
        feed(&world, first, &fed);
        let marked = FIRST + first + RECORDS as i64;
        await_that("the last one is decided", || outputs(&world, "t0").iter().any(|(timestamp_ms, _)| *timestamp_ms == marked));

        let explainer = Explainer::new(config.release_rules(), None);
        let now = SystemClock.wall();
        for (place, value) in (first..).zip(&fed) {
            let (timestamp, value) = (TimestampMs(FIRST + place), value.clone().map(String::into_bytes));
            let record = WholeRecord { key: Some(b"k".to_vec()), headers: Vec::new(), timestamp, value };
            went.add(place, explainer.record(&table, &config.streams[0], &record, None, now));
        }
    }
    println!("{} released, {} dead, suppressed {:?}", went.released.len(), went.dead.len(), went.suppressed);
    assert!(went.released.len() > 2_000 && went.suppressed.len() > 3 && went.dead.len() > 500, "the run did next to nothing");

    let mut seen = Went::default();
    for reason in went.suppressed.keys() {
        let of_reason = format!(r#"reason="{reason}""#);
        let counted = || metric_with(&engine, "sharecast_suppressed_total", &of_reason);
        // Counted when the commit is known, which a reader may see first.
        await_that("what was suppressed is counted", || counted() >= went.suppressed[reason]);
        seen.suppressed.insert(reason.clone(), counted());
    }
    for (timestamp_ms, value) in TARGETS.iter().flat_map(|target| outputs(&world, target)) {
        let (value, share) = without_provenance(serde_json::from_str(&value).unwrap());
        let place = (share, timestamp_ms - FIRST);
        assert!(seen.released.insert(place.clone(), value).is_none(), "{place:?} is there twice");
    }
    for letter in world.await_letters(went.dead.len()) {
        seen.dead.insert(letter.offset.parse().unwrap(), letter.reason);
    }
    assert!(seen.released == went.released, "{:?}", first_difference(&seen.released, &went.released));
    assert_eq!((seen.suppressed, seen.dead), (went.suppressed, went.dead));
}

/// Offers a share, which is accepted by itself; returns its id.
fn offer(world: &World<'_>, asset: &str, target: &str, profile: &str, has_history: bool) -> String {
    let (share, owner, target) = (unique("share"), world.tenant("o"), world.tenant(target));
    let what = format!(r#""share":"{share}","owner":"{owner}","asset":"{asset}","target_tenant":"{target}""#);
    let how = format!(r#""streams":["telemetry"],"profile":"{profile}","history":{has_history}"#);
    world.event("/operator", "share.offered", &format!("{{{what},{how}}}"));
    share
}

/// A record, or what is none.
fn telemetry(world: &World<'_>, dice: &mut Dice) -> Option<String> {
    let (year, now) = (31_536_000, SystemClock.wall().0 / 1_000);
    let ts = match dice.below(20) {
        0 => "\"never\"".to_owned(),
        1 => (now + year).to_string(),
        2..8 => (now - year).to_string(),
        // After all that was said of shares until now.
        _ => (now + 2).to_string(),
    };
    let (tenant, asset, n) = (world.tenant("o"), format!("a{}", dice.below(5)), dice.below(1_000_000));
    let (lat, alt, on) = (dice.below(90_000), dice.below(10), dice.pick(&["true", "false", "null", "\"true\"", "1"]));
    match dice.below(25) {
        0 => None,
        1 => Some(format!(r#"{{"tenant":"{tenant}","asset":"{asset}","ts":{ts},"n":{n}"#)),
        2 => Some(format!(r#"{{"tenant":"{tenant}","ts":{ts},"n":{n}}}"#)),
        3 => Some(format!(r#"{{"tenant":"{tenant}","asset":"{asset}","ts":{ts},"n":{n}}}"#)),
        _ => Some(format!(
            r#"{{"tenant":"{tenant}","asset":"{asset}","ts":{ts},"n":{n},"on":{on},"pos":{{"lat":{}.{:03},"alt":{alt}}}}}"#,
            lat / 1_000,
            lat % 1_000
        )),
    }
}

fn feed(world: &World<'_>, first: i64, values: &[Option<String>]) {
    let producer = feeder(world.cluster);
    for (place, value) in (first..).zip(values) {
        let mut record: BaseRecord<'_, str, str> = BaseRecord::to(&world.input).partition(0).key("k").timestamp(FIRST + place);
        record.payload = value.as_deref();
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// The shares by the whole control topic.
fn fold(world: &World<'_>, config: &Config) -> ShareTable {
    let mut table = ShareTable::new(config.fold_rules());
    let mut time = TimestampMs(0);
    let mut reader = TopicReader::open_within(&world.cluster.settings("tests"), &world.control, [0], PATIENCE).unwrap();
    let read = reader.read_to_end(PATIENCE, |record| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers: Vec<_> = record.headers().filter_map(|(name, value)| Some((text(name), value?.to_vec()))).collect();
        time = time.max(record.timestamp());
        table.fold(record.offset(), time, read_record(&headers, record.value()));
    });
    read.unwrap();
    table
}

/// Timestamp and value of all that a target has; nothing where there is no topic yet.
fn outputs(world: &World<'_>, target: &str) -> Vec<(i64, String)> {
    let mut seen = Vec::new();
    if let Ok(mut reader) = TopicReader::open(&world.cluster.settings("tests"), &world.output(target), [0]) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        reader.read_to_end(PATIENCE, |record| seen.push((record.timestamp().0, text(record.value().unwrap())))).unwrap();
    }
    seen
}

fn metric(engine: &Instance, name: &str) -> u64 {
    metric_with(engine, name, "")
}

/// The sum over series that have the label.
fn metric_with(engine: &Instance, name: &str, label: &str) -> u64 {
    let Some((_, page)) = engine.get("/metrics") else { return 0 };
    let series = page.lines().filter(|line| line.starts_with(name) && line.contains(label));
    series.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

fn first_difference<'m, K: Ord, V: PartialEq>(
    seen: &'m BTreeMap<K, V>,
    wanted: &'m BTreeMap<K, V>,
) -> Option<(&'m K, Option<&'m V>, Option<&'m V>)> {
    let keys = seen.keys().chain(wanted.keys());
    keys.map(|key| (key, seen.get(key), wanted.get(key))).find(|(_, seen, wanted)| seen != wanted)
}
