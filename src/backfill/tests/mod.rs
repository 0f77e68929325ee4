//! What a backfill decides, by example, and `model`: against a slow reading of the rules.

mod model;

use std::collections::BTreeMap;
use std::convert::Infallible;

use serde_json::{Value, json};

use crate::backfill::decide::{BackfillDecider, PastDecisions, PastRelease};
use crate::backfill::live::{LiveRefusal, still_releases};
use crate::backfill::options::{ShareFilters, Window};
use crate::backfill::past::{Past, Pinned};
use crate::backfill::result::{JobCounts, JobResult};
use crate::decide::{InputRecord, ReleaseRules, SampleCandidate, Stopped};
use crate::id::{JobName, Offset, StreamIndex, StreamName};
use crate::json::path::Path;
use crate::profile::condition::ConditionError;
use crate::profile::sample::SampleState;
use crate::record::decode::ReadRules;
use crate::record::mapping::{FieldSource, Mapping, Mode, Stream};
use crate::release::Suppressed;
use crate::share::configuration::PartnershipNeed;
use crate::share::event::read_structured;
use crate::share::graph::{Grant, ShareGraph};
use crate::share::table::{FoldRules, ShareTable};
use crate::time::{Period, TimestampMs, TimestampNs};

const START: i64 = 1_767_225_600_000;

/// Minutes of 2026-01-01.
fn minute(minute: i64) -> TimestampMs {
    TimestampMs(START + minute * 60_000)
}

fn streams() -> Vec<Stream> {
    let path = |text: &str| FieldSource::Path(Path::parse(text).unwrap());
    let stream = |(index, name): (usize, &str)| Stream {
        name: StreamName::parse(name).unwrap(),
        index: StreamIndex(index as u8),
        mode: Mode::Append,
        topic: format!("{name}.raw"),
        mapping: Mapping {
            tenant: path("$.tenant"),
            asset: path("$.asset"),
            key_format: None,
            time: Some(Path::parse("$.ts").unwrap()),
            rewrite_tenant: Vec::new(),
            rewrite_asset: Vec::new(),
        },
    };
    ["telemetry", "alarms"].into_iter().enumerate().map(stream).collect()
}

fn fold_rules() -> FoldRules {
    FoldRules { streams: streams().into(), partnerships: PartnershipNeed::Open, late_grace: Period::ZERO, halts_on_unreadable: true }
}

fn release_rules() -> ReleaseRules {
    ReleaseRules {
        read: ReadRules { max_record_bytes: 1 << 20, max_future: Period::from_millis(300_000) },
        late_grace: Period::ZERO,
        shows_provenance: true,
        shows_permission: false,
    }
}

/// One event with its control time.
type LogEvent = (TimestampMs, Vec<u8>);

fn event(number: usize, at: TimestampMs, source: &str, kind: &str, data: &Value) -> LogEvent {
    let event = json!({"specversion": "1.0", "id": format!("e{number}"), "source": source, "type": format!("sharecast.{kind}.v1"),
        "time": at.moment().to_string(), "data": data});
    (at, event.to_string().into_bytes())
}

fn fold_into(log: &[LogEvent], until: TimestampMs, mut fold: impl FnMut(Offset, &LogEvent)) {
    let upto = log.iter().enumerate().take_while(|(_, (at, _))| *at <= until);
    upto.for_each(|(offset, event)| fold(Offset(offset as i64), event));
}

/// The table as it was at a moment.
fn table_at(log: &[LogEvent], until: TimestampMs) -> ShareTable {
    let mut table = ShareTable::new(fold_rules());
    fold_into(log, until, |offset, (at, event)| drop(table.fold(offset, *at, read_structured(event))));
    table
}

fn pinned_at(log: &[LogEvent], now: TimestampMs, filters: &ShareFilters) -> Pinned {
    let mut past = Past::new(fold_rules());
    fold_into(log, now, |offset, (at, event)| drop(past.fold(offset, *at, read_structured(event))));
    past.pin(now, filters)
}

#[derive(Default)]
struct TakenReleases {
    /// By share, what it got.
    values: BTreeMap<String, Value>,
    suppressed: BTreeMap<Suppressed, u32>,
    refused: BTreeMap<String, LiveRefusal>,
    sample: SampleState,
    /// The live graph, its `now`, and the pinned one.
    live: Option<(ShareGraph, TimestampNs, ShareGraph)>,
}

impl PastDecisions for TakenReleases {
    type Error = Infallible;

    fn released(&mut self, release: PastRelease<'_>) -> Result<(), Infallible> {
        let share = release.release.grant.share.to_string();
        if let Some((live, now, pinned)) = &self.live
            && let Err(refusal) = still_releases(live, *now, pinned, &release, Period::ZERO)
        {
            self.refused.insert(share.clone(), refusal);
        }
        self.values.insert(share, serde_json::from_slice(release.release.value).unwrap());
        Ok(())
    }

    fn suppressed(&mut self, reason: Suppressed, count: u32) {
        *self.suppressed.entry(reason).or_default() += count;
    }

    fn passes_sample(&mut self, candidate: SampleCandidate<'_>) -> bool {
        self.sample.passes(&candidate.of(), candidate.t, candidate.every)
    }

    fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
}

fn decide(pinned: &Pinned, window: Window, t: TimestampMs, asset: &str, mut taken: TakenReleases) -> TakenReleases {
    let value = json!({"tenant": "n", "asset": asset, "ts": t.0, "x": 1.5, "y": 2.25, "z": "z"}).to_string();
    let record = InputRecord { key: None, headers: std::iter::empty(), timestamp: t, value: Some(value.as_bytes()) };
    let mut decider = BackfillDecider::new(release_rules(), None, JobName::parse("job").unwrap(), window);
    match decider.append(&streams()[0], record, pinned, &mut taken) {
        Ok(()) | Err(Stopped::Unreadable(_)) => taken,
        Err(Stopped::Sink(never)) => match never {},
    }
}

fn whole_day() -> Window {
    Window::new(minute(-1000).moment(), minute(10_000).moment()).unwrap()
}

fn spec(section: Option<&str>) -> Value {
    let alarms = json!({"include": ["$.x"]});
    match section {
        Some(members) => {
            let include: Vec<String> = members.chars().map(|member| format!("$.{member}")).collect();
            json!({"telemetry": {"include": include}, "alarms": alarms})
        }
        None => json!({"alarms": alarms}),
    }
}

/// A log of one accepted share of asset A under the profile `p`, and what is done after it, a minute apart from minute 10 on.
fn shared(after: &[(&str, &str, Value)]) -> Vec<LogEvent> {
    let mut log = model::log_of(&[]);
    let offer = json!({"share": "s0", "asset": "A", "target_tenant": "a", "streams": ["telemetry"], "profile": "p"});
    log.push(event(2, minute(1), "/tenants/n", "share.offered", &offer));
    log.push(event(3, minute(1), "/tenants/a", "share.accepted", &json!({"share": "s0"})));
    let late = after.iter().enumerate().map(|(at, (source, kind, data))| event(at + 4, minute(10 + at as i64), source, kind, data));
    log.extend(late);
    log
}

/// What the live graph says of a record that was released by the graph before `after`.
fn asked(after: &[(&str, &str, Value)]) -> Option<LiveRefusal> {
    let pinned = pinned_at(&shared(&[]), minute(5), &ShareFilters::default());
    let live = table_at(&shared(after), minute(1000)).graph();
    let live = Some((live, minute(30).moment(), pinned.graph().clone()));
    let taken = decide(&pinned, whole_day(), minute(3), "A", TakenReleases { live, ..TakenReleases::default() });
    assert_eq!(taken.values.len(), 1, "the pinned graph releases it");
    taken.refused.get("s0").copied()
}

#[test]
fn the_live_graph_is_asked_whether_the_share_is_still_the_pinned_one() {
    let owner = "/tenants/n";
    let update = |data: Value| [(owner, "share.updated", data)];
    assert_eq!(asked(&[]), None);
    assert_eq!(asked(&[(owner, "share.revoked", json!({"share": "s0"}))]), Some(LiveRefusal::Gone));
    assert_eq!(asked(&[(owner, "share.paused", json!({"share": "s0"}))]), Some(LiveRefusal::Suppressed(Suppressed::Paused)));
    let suspended = [("/operator", "tenant.updated", json!({"tenant": "a", "suspended": true}))];
    assert_eq!(asked(&suspended), Some(LiveRefusal::Suppressed(Suppressed::Paused)));
    let ends = json!({"share": "s0", "ends": minute(20).moment().to_string()});
    assert_eq!(asked(&update(ends)), Some(LiveRefusal::Suppressed(Suppressed::AfterWindow)));
    let starts = json!({"share": "s0", "starts": minute(4).moment().to_string()});
    assert_eq!(asked(&update(starts)), Some(LiveRefusal::Suppressed(Suppressed::BeforeWindow)));
    assert_eq!(asked(&update(json!({"share": "s0", "profile": "q"}))), Some(LiveRefusal::OtherProfile));
    assert_eq!(asked(&update(json!({"share": "s0", "streams": ["telemetry", "alarms"]}))), Some(LiveRefusal::OtherStreams));
    assert_eq!(asked(&update(json!({"share": "s0", "target_asset": "T"}))), Some(LiveRefusal::OtherTargetAsset));
    // What shows nothing else changes nothing.
    assert_eq!(asked(&update(json!({"share": "s0", "label": "crane"}))), None);
    let retired = (owner, "profile.retired", json!({"profile": "p"}));
    assert_eq!(asked(std::slice::from_ref(&retired)), Some(LiveRefusal::Suppressed(Suppressed::ProfileMissing)));
    let same = (owner, "profile.published", json!({"profile": "p", "spec": spec(Some("xyz"))}));
    assert_eq!(asked(std::slice::from_ref(&same)), None, "the same text again is the same version");
    assert_eq!(asked(&[retired, same]), Some(LiveRefusal::OtherVersion), "there was none in between");
    let wider = (owner, "profile.published", json!({"profile": "p", "spec": spec(Some("x"))}));
    assert_eq!(asked(&[wider]), Some(LiveRefusal::OtherVersion));
}

/// A log of one share under a profile that is published again later.
fn republished(first: &Value, second: &Value) -> Vec<LogEvent> {
    let mut log = vec![event(0, minute(0), "/tenants/n", "profile.published", &json!({"profile": "p", "spec": {"telemetry": first}}))];
    let offer = json!({"share": "s0", "asset": "A", "target_tenant": "a", "streams": ["telemetry"], "profile": "p", "label": "crane"});
    log.push(event(1, minute(1), "/tenants/n", "share.offered", &offer));
    log.push(event(2, minute(1), "/tenants/a", "share.accepted", &json!({"share": "s0"})));
    log.push(event(3, minute(10), "/tenants/n", "profile.published", &json!({"profile": "p", "spec": {"telemetry": second}})));
    log
}

fn reasons(pinned: &Pinned, t: i64) -> Vec<&'static str> {
    let taken = decide(pinned, whole_day(), minute(t), "A", TakenReleases::default());
    let released = taken.values.keys().map(|_| "released");
    released.chain(taken.suppressed.keys().map(|reason| reason.as_str())).collect()
}

#[test]
fn the_conditions_of_then_and_of_today_must_both_hold() {
    let with = |when: &str| json!({"include": ["$"], "when": when});
    let (holds, fails) = (with("record.x == 1.5"), with("record.x > 2.0"));
    for (first, second, before, after) in [
        (&holds, &holds, "released", "released"),
        (&fails, &holds, "filtered", "released"),
        (&holds, &fails, "filtered", "filtered"),
        (&with("record.missing == 1"), &holds, "filtered", "released"),
    ] {
        let pinned = pinned_at(&republished(first, second), minute(20), &ShareFilters::default());
        assert_eq!((reasons(&pinned, 5), reasons(&pinned, 15)), (vec![before], vec![after]), "{first} then {second}");
    }
}

#[test]
fn only_the_sample_of_today_counts_and_what_is_withheld_takes_no_place_in_it() {
    let sampled = json!({"include": ["$"], "sample": {"every": "10m"}});
    let plain = json!({"include": ["$"]});
    let released = |first: &Value, second: &Value| {
        let pinned = pinned_at(&republished(first, second), minute(60), &ShareFilters::default());
        let mut taken = TakenReleases::default();
        let mut times = Vec::new();
        for t in [0, 11, 12, 19, 21, 20, 35] {
            taken.values.clear();
            taken = decide(&pinned, whole_day(), minute(t), "A", taken);
            times.extend(taken.values.keys().map(|_| t));
        }
        times
    };
    assert_eq!(released(&plain, &sampled), [11, 21, 35], "minute 0 is before the grant, and is no first of its period");
    assert_eq!(released(&sampled, &plain), [11, 12, 19, 21, 20, 35]);
}

#[test]
fn what_the_live_condition_withholds_is_withheld() {
    let spec = json!({"include": ["$"], "when": "share.label == 'crane'"});
    let log = republished(&spec, &spec);
    let pinned = pinned_at(&log, minute(5), &ShareFilters::default());
    let mut later = log.clone();
    later.push(event(4, minute(11), "/tenants/n", "share.updated", &json!({"share": "s0", "label": "digger"})));
    for (log, refused) in [(&log, None), (&later, Some(LiveRefusal::Suppressed(Suppressed::Filtered)))] {
        let live = Some((table_at(log, minute(100)).graph(), minute(100).moment(), pinned.graph().clone()));
        let taken = decide(&pinned, whole_day(), minute(3), "A", TakenReleases { live, ..TakenReleases::default() });
        assert_eq!((taken.values.len(), taken.refused.get("s0").copied()), (1, refused));
    }
}

#[test]
fn each_refusal_has_a_word_of_its_own() {
    let all = Suppressed::ALL.map(LiveRefusal::Suppressed).into_iter().chain([
        LiveRefusal::Gone,
        LiveRefusal::OtherProfile,
        LiveRefusal::OtherVersion,
        LiveRefusal::OtherStreams,
        LiveRefusal::OtherTargetAsset,
    ]);
    all.for_each(|refusal| assert_eq!(LiveRefusal::parse(refusal.word()), Some(refusal)));
    assert_eq!(LiveRefusal::parse("else"), None);
}

#[test]
fn the_window_is_of_event_times_and_what_cannot_be_read_goes_by_its_timestamp() {
    let pinned = pinned_at(&shared(&[]), minute(5), &ShareFilters::default());
    let window = Window::new(minute(3).moment(), minute(6).moment()).unwrap();
    let append = |value: &str, timestamp: TimestampMs| {
        let record = InputRecord { key: None, headers: std::iter::empty(), timestamp, value: Some(value.as_bytes()) };
        let mut decider = BackfillDecider::new(release_rules(), None, JobName::parse("job").unwrap(), window);
        let mut taken = TakenReleases::default();
        match decider.append(&streams()[0], record, &pinned, &mut taken) {
            Ok(()) => format!("{} released", taken.values.len()),
            Err(Stopped::Unreadable(refusal)) => refusal.reason.as_str().to_owned(),
            Err(Stopped::Sink(never)) => match never {},
        }
    };
    let of = |t: TimestampMs| json!({"tenant": "n", "asset": "A", "ts": t.0}).to_string();
    assert_eq!(append(&of(minute(3)), minute(0)), "1 released", "its Kafka timestamp has no part");
    assert_eq!(append(&of(minute(2)), minute(4)), "0 released");
    assert_eq!(append("{", minute(4)), "invalid_json");
    assert_eq!(append("{", minute(2)), "0 released");
    assert_eq!(append("{", minute(6)), "0 released");
    // Five minutes ahead of the job's now is too far, but only where it is looked at.
    let wide = Window::new(minute(0).moment(), minute(100).moment()).unwrap();
    let value = of(minute(50));
    let record = InputRecord { key: None, headers: std::iter::empty(), timestamp: minute(0), value: Some(value.as_bytes()) };
    let mut decider = BackfillDecider::new(release_rules(), None, JobName::parse("job").unwrap(), wide);
    let refused = decider.append(&streams()[0], record, &pinned, &mut TakenReleases::default());
    assert!(matches!(refused, Err(Stopped::Unreadable(refusal)) if refusal.reason.as_str() == "future_time"));
    assert_eq!(append(&value, minute(4)), "0 released");
}

#[test]
fn a_result_is_one_json_object_and_counts_add_up() {
    let pinned = pinned_at(&shared(&[]), minute(5), &ShareFilters::default());
    struct Counter(JobCounts);
    impl PastDecisions for Counter {
        type Error = Infallible;
        fn released(&mut self, release: PastRelease<'_>) -> Result<(), Infallible> {
            self.0.count_release(&release);
            Ok(())
        }
        fn suppressed(&mut self, reason: Suppressed, count: u32) {
            self.0.count_suppressed(reason, count);
        }
        fn passes_sample(&mut self, _: SampleCandidate<'_>) -> bool {
            true
        }
        fn condition_failed(&mut self, _: &Grant, _: ConditionError) {}
    }
    let counts = |minutes: i64| {
        let value = json!({"tenant": "n", "asset": "A", "ts": minute(minutes).0}).to_string();
        let record = InputRecord { key: None, headers: std::iter::empty(), timestamp: minute(0), value: Some(value.as_bytes()) };
        let mut decider = BackfillDecider::new(release_rules(), None, JobName::parse("job").unwrap(), whole_day());
        let mut counter = Counter(JobCounts { read: 1, ..JobCounts::default() });
        decider.append(&streams()[0], record, &pinned, &mut counter).unwrap();
        counter.0
    };
    let mut all = counts(3);
    [counts(2), counts(0), counts(4)].iter().for_each(|other| all.add(other));
    let (job, stopped) = (JobName::parse("june").unwrap(), Vec::new());
    let result = JobResult { job, epoch: pinned.epoch(), now: pinned.now(), counts: all, stopped, warnings: Vec::new() };
    let bytes = result.counts.tenants.values().next().unwrap().bytes;
    assert_eq!(
        String::from_utf8(result.to_json()).unwrap(),
        format!(
            r#"{{"job":"june","epoch":3,"now":"2026-01-01T00:05:00Z","read":4,"released":3,"suppressed":{{"before_window":1}},"dead":{{}},"tenants":{{"a":{{"records":3,"bytes":{bytes},"first":"2026-01-01T00:02:00Z","last":"2026-01-01T00:04:00Z"}}}},"stopped":[]}}"#
        )
    );
}
