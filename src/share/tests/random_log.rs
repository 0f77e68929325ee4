//! Random control logs for the properties: good events mostly, and everything that can be wrong with one.

use proptest::prelude::*;

use crate::id::Offset;
use crate::share::event::invitation_code::CodeHash;
use crate::share::event::read_structured;
use crate::share::table::{FoldRules, Folded, ShareTable};
use crate::share::tests::fixture::{minute, rules};
use crate::time::{TimestampMs, TimestampNs};

/// One event, chosen by numbers so that ids, places and times often meet.
#[derive(Debug, Clone)]
pub(super) struct LogStep {
    minutes: i64,
    sender: usize,
    kind: usize,
    choice: [usize; 8],
}

pub(super) fn step() -> impl Strategy<Value = LogStep> {
    (0i64..4, 0usize..12, 0usize..60, prop::array::uniform8(0usize..64)).prop_map(|(minutes, sender, kind, choice)| LogStep {
        minutes,
        sender,
        kind,
        choice,
    })
}

fn pick<'a>(from: &[&'a str], choice: usize) -> &'a str {
    from[choice % from.len()]
}

// Good choices stand more often than bad ones, so that shares come to live.
const OWNERS: [&str; 16] = ["a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "a", "b", "b", "b", "d"];
const TARGETS: [&str; 16] = ["b", "b", "b", "b", "b", "b", "b", "c", "c", "c", "c", "c", "c", "c", "a", "d"];
const ASSETS: [&str; 16] = ["X", "Y", "Z", "X", "Y", "Z", "X", "Y", "Z", "X", "Y", "Z", "X", "Y", "Z", ""];
const PLACES: [&str; 6] = ["T", "U", "V", "W", "X", "Y"];
const STREAMS: [&str; 16] = [
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry","details"]"#,
    r#"["details","telemetry"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["extras"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry"]"#,
    r#"["details"]"#,
    r#"["telemetry","faults"]"#,
    "[]",
    "5",
];
const PROFILES: [&str; 16] = ["all", "p", "all", "p", "all", "p", "all", "p", "all", "p", "all", "p", "all", "p", "q", "none"];

/// A time near the hour that events happen in, or nothing.
fn time(choice: usize, now: TimestampMs) -> String {
    match choice % 32 {
        0..=3 => "null".to_owned(),
        4 => "\"soon\"".to_owned(),
        5 => format!("\"{now}\""),
        near => format!("\"{}\"", TimestampNs::from_nanos(now.moment().nanos() + (near as i128 - 8) * 90_000_000_001).unwrap()),
    }
}

/// The hash of one of a few codes, or none, or what is no hash.
fn code_hash(choice: usize) -> String {
    match choice % 8 {
        0..=2 => String::new(),
        3 => r#","code_hash":"short""#.to_owned(),
        code => format!(r#","code_hash":"{}""#, CodeHash::of(&(code % 3).to_string())),
    }
}

/// What the log is configured with, malformed now and then. It never halts, so that a snapshot can be written.
fn configured(c: &[usize; 8]) -> String {
    let streams = [
        r#"{"telemetry":"append","details":"upsert"}"#,
        r#"{"telemetry":"append","details":"upsert","faults":"append"}"#,
        r#"{"details":"upsert"}"#,
        r#"{"faults":"append","extras":"append","telemetry":"append"}"#,
        r#"{"details":"table"}"#,
    ];
    let unreadable = pick(&["", r#","unreadable":"skip""#, r#","unreadable":"stop""#], c[6]);
    let rules = pick(&["", "", "", r#","rules":1"#, r#","rules":2"#, r#","rules":0"#], c[7]);
    let need = pick(&["required", "invited", "required", "open"], c[4]);
    format!(r#"{{"streams":{},"partnerships":"{need}"{unreadable}{rules}}}"#, pick(&streams, c[3]))
}

/// An offer of a new share mostly, anything else on one of the shares offered last.
fn event(step: &LogStep, id: usize, offers: &mut usize, now: TimestampMs) -> String {
    let c = &step.choice;
    *offers += usize::from(step.kind < 16 && c[0] > 1);
    let share = match (step.kind < 16, c[0]) {
        (_, 63) => r#""share":"bad id""#.to_owned(),
        (true, _) => format!(r#""share":"s{offers}""#),
        (false, back) => format!(r#""share":"s{}""#, (*offers).saturating_sub(back % 7)),
    };
    let (tenant, other) = (pick(&OWNERS, c[1]), pick(&TARGETS, c[2]));
    let sides = format!(r#""tenants":["{tenant}","{other}"],"partner":"{other}","auto_accept":{}"#, c[3].is_multiple_of(3));
    let profile = pick(&PROFILES, c[4]);
    let kind = match step.kind {
        0..=15 => "share.offered",
        16..=25 => "share.accepted",
        26..=27 => "tenant.updated",
        28 => "partnership.established",
        29 if c[5].is_multiple_of(2) => "partnership.ended",
        29 => "partnership.offered",
        30 => "partnership.accepted",
        31 => "share.expired",
        32..=34 => "share.accepted",
        35..=36 => "profile.published",
        37..=38 => "share.accepted",
        39 if c[5].is_multiple_of(2) => "profile.retired",
        39 => "share.accepted",
        40..=41 => "share.resent",
        42 => "share.declined",
        43 => "share.left",
        44 => "share.cancelled",
        45 => "share.revoked",
        46..=49 => "share.updated",
        50..=52 => "share.paused",
        53..=54 => "share.resumed",
        55..=57 => "share.expired",
        58 if c[5].is_multiple_of(2) => "control.tick",
        58 => "control.configured",
        _ => "control.skipped",
    };
    let data = match kind {
        "share.offered" => {
            let target = match c[5] % 8 {
                0 => format!(r#""invitee":"i@x.example"{}"#, code_hash(c[6])),
                _ => format!(r#""target_tenant":"{other}","label":"l""#),
            };
            let starts = if c[7].is_multiple_of(2) { format!(r#","starts":{}"#, time(c[1], now)) } else { String::new() };
            let ends = if c[7].is_multiple_of(3) { format!(r#","ends":{}"#, time(9 + c[6] % 9, now)) } else { String::new() };
            let expires = if c[7].is_multiple_of(5) {
                format!(r#","offer_expires":{},"history":true"#, time(9 + c[4] % 12, now))
            } else {
                String::new()
            };
            format!(
                r#"{{{share},"owner":"{tenant}","asset":"{}","target_asset":"{}",{target},"streams":{},"profile":"{profile}"{starts}{ends}{expires}}}"#,
                pick(&ASSETS, c[2]),
                pick(&PLACES, c[6]),
                pick(&STREAMS, c[3]),
            )
        }
        "share.accepted" => match c[3] % 8 {
            0 => format!(r#"{{{share},"target_tenant":"{other}"}}"#),
            1 => format!(r#"{{{share},"streams":{}}}"#, pick(&STREAMS, c[4])),
            2 => format!(r#"{{{share},"target_asset":"{}"}}"#, pick(&PLACES, c[4])),
            3 => format!(r#"{{{share},"code":"{}"}}"#, c[4] % 3),
            _ => format!("{{{share}}}"),
        },
        "share.updated" => match c[3] % 6 {
            0 => format!(r#"{{{share},"starts":{}}}"#, time(c[4], now)),
            1 => format!(r#"{{{share},"ends":{}}}"#, time(c[4], now)),
            2 => format!(r#"{{{share},"streams":{}}}"#, pick(&STREAMS, c[4])),
            3 => format!(r#"{{{share},"target_asset":"{}"}}"#, pick(&PLACES, c[4])),
            4 => format!(r#"{{{share},"profile":"{profile}"}}"#),
            _ => format!(r#"{{{share},"label":null,"permission":"edit"}}"#),
        },
        "share.resent" => format!(r#"{{{share},"offer_expires":{}{}}}"#, time(c[4], now), code_hash(c[5])),
        "share.expired" => format!(r#"{{{share},"cause":"{}"}}"#, pick(&["offer", "access", "access"], c[4])),
        "tenant.updated" => match c[3] % 4 {
            0 => format!(r#"{{"tenant":"{tenant}","parent":"{other}"}}"#),
            1 => format!(r#"{{"tenant":"{tenant}","parent":null}}"#),
            2 => format!(r#"{{"tenant":"{other}","suspended":{}}}"#, c[4].is_multiple_of(3)),
            _ => format!(r#"{{"tenant":"{tenant}","suspended":{}}}"#, c[4].is_multiple_of(5)),
        },
        "profile.published" => {
            let details = if c[5].is_multiple_of(2) { r#","details":{"include":["$.a"]}"# } else { "" };
            format!(r#"{{"profile":"{profile}","owner":"{tenant}","spec":{{"telemetry":{{"include":["$"]}}{details}}}}}"#)
        }
        "profile.retired" => format!(r#"{{"profile":"{profile}","owner":"{tenant}"}}"#),
        "control.skipped" => format!(r#"{{"offset":{},"note":"n"}}"#, c[4]),
        "control.tick" => "{}".to_owned(),
        "control.configured" => configured(c),
        kind if kind.starts_with("partnership") => format!("{{{sides}}}"),
        _ => format!("{{{share}}}"),
    };
    let source = match (kind, step.sender) {
        ("share.expired", 0..=9) => "/sharecast".to_owned(),
        ("tenant.updated" | "control.skipped" | "control.configured" | "partnership.established", 0..=10) => "/operator".to_owned(),
        ("profile.published" | "profile.retired", 0..=10) => "/operator".to_owned(),
        ("share.paused" | "share.resumed", sender) => ["/operator", "/tenants/a", "/tenants/b", "/tenants/c"][sender % 4].to_owned(),
        (_, 0..=8) => "/operator".to_owned(),
        (_, 9) if c[7].is_multiple_of(3) => "/sharecast".to_owned(),
        (_, sender) => format!("/tenants/{}", ["a", "b", "c"][sender % 3]),
    };
    format!(r#"{{"specversion":"1.0","id":"e{id}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#)
}

pub(super) fn fold(table: &mut ShareTable, offset: usize, now: TimestampMs, event: &str) -> Folded {
    table.fold(Offset(offset as i64), now, read_structured(event.as_bytes()))
}

/// The log with its configuration named before everything else.
pub(super) fn configured_log(steps: &[LogStep]) -> Vec<(TimestampMs, String)> {
    let data = r#"{"streams":{"details":"upsert","extras":"append","telemetry":"append"},"partnerships":"required","unreadable":"skip"}"#;
    let kind = "sharecast.control.configured.v1";
    let first = format!(r#"{{"specversion":"1.0","id":"configured-0","source":"/sharecast","type":"{kind}","data":{data}}}"#);
    [(minute(0), first)].into_iter().chain(log(steps).1).collect()
}

/// What stands before the random events: partners, and a profile for each owner.
fn beginning() -> Vec<String> {
    let event = |id: &str, kind: &str, data: &str| {
        format!(r#"{{"specversion":"1.0","id":"{id}","source":"/operator","type":"sharecast.{kind}.v1","data":{data}}}"#)
    };
    let spec = r#"{"telemetry":{"include":["$"]},"details":{"include":["$.a"]}}"#;
    vec![
        event("p1", "partnership.established", r#"{"tenants":["a","b"],"auto_accept":true}"#),
        event("p2", "partnership.established", r#"{"tenants":["a","c"]}"#),
        event("p3", "partnership.established", r#"{"tenants":["b","c"]}"#),
        event("p4", "profile.published", &format!(r#"{{"profile":"p","owner":"a","spec":{spec}}}"#)),
        event("p5", "profile.published", &format!(r#"{{"profile":"p","owner":"b","spec":{spec}}}"#)),
    ]
}

/// The whole log as events with their times. Now and then what is due is recorded, as the engine does.
pub(super) fn log(steps: &[LogStep]) -> (FoldRules, Vec<(TimestampMs, String)>) {
    let rules = FoldRules { halts_on_unreadable: false, ..rules() };
    let (mut now, mut offers) = (minute(0), 0);
    let mut table = ShareTable::new(rules.clone());
    let mut log: Vec<_> = beginning().into_iter().map(|event| (now, event)).collect();
    for (now, event) in &log {
        fold(&mut table, 0, *now, event);
    }
    for (id, step) in steps.iter().enumerate() {
        now.0 += step.minutes * 60_000;
        let due = table.due(now, 1).pop().filter(|_| step.choice[7].is_multiple_of(4));
        let expired = due.map(|due| {
            let data = format!(r#"{{"share":"{}","cause":"{}"}}"#, due.share, due.cause.word());
            format!(r#"{{"specversion":"1.0","id":"x{id}","source":"/sharecast","type":"sharecast.share.expired.v1","data":{data}}}"#)
        });
        for event in expired.into_iter().chain([event(step, id, &mut offers, now)]) {
            fold(&mut table, 0, now, &event);
            log.push((now, event));
        }
    }
    (rules, log)
}
