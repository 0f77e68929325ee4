//! A backfill against a slow model that folds the whole log again for every moment it asks about.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{LogEvent, TakenReleases, decide, event, minute, pinned_at, spec, table_at, whole_day};
use crate::backfill::options::ShareFilters;
use crate::share::status::Audience;
use crate::share::table::ShareTable;
use crate::time::{TimestampMs, TimestampNs};

/// Sections of `telemetry` as a profile may have them: what is included of x, y and z.
const SECTIONS: [Option<&str>; 6] = [Some("x"), Some("xy"), Some("yz"), Some("xyz"), Some(""), None];

/// One step of a random log: how many minutes later, what, and with which choices.
#[derive(Debug, Clone)]
pub(super) struct PastStep {
    wait: i64,
    what: u8,
    share: usize,
    profile: usize,
    choice: usize,
}

fn step() -> impl Strategy<Value = PastStep> {
    (0i64..4, 0u8..24, 0usize..4, 0usize..2, 0usize..6).prop_map(|(wait, what, share, profile, choice)| PastStep {
        wait,
        what,
        share,
        profile,
        choice,
    })
}

const SHARES: [(&str, &str, &str); 4] = [("s0", "a", "A"), ("s1", "b", "A"), ("s2", "a", "B"), ("s3", "b", "B")];

pub(super) fn log_of(steps: &[PastStep]) -> Vec<LogEvent> {
    let mut log = vec![
        event(0, minute(0), "/tenants/n", "profile.published", &json!({"profile": "p", "spec": spec(Some("xyz"))})),
        event(1, minute(0), "/tenants/n", "profile.published", &json!({"profile": "q", "spec": spec(Some("xy"))})),
    ];
    let mut now = 0;
    for (number, step) in steps.iter().enumerate() {
        now += step.wait;
        let at = minute(now);
        let (share, target, asset) = SHARES[step.share];
        let (profile, named) = (["p", "q"][step.profile], ["p", "q", "all"][step.choice % 3]);
        let streams = [json!(["telemetry"]), json!(["telemetry", "alarms"]), json!(["alarms"])][step.choice % 3].clone();
        let side = ["/tenants/n".to_owned(), format!("/tenants/{target}"), "/operator".to_owned()][step.choice % 3].clone();
        let (source, kind, data) = match step.what {
            0..4 => {
                let mut data = json!({"share": share, "asset": asset, "target_tenant": target, "streams": streams, "profile": named});
                if step.choice > 2 {
                    data["history"] = json!(true);
                }
                if step.choice == 4 {
                    data["starts"] = json!(minute(now + 3).moment().to_string());
                }
                if step.choice == 5 {
                    data["ends"] = json!(minute(now + 40).moment().to_string());
                }
                ("/tenants/n".to_owned(), "share.offered", data)
            }
            4..8 => (format!("/tenants/{target}"), "share.accepted", json!({"share": share})),
            8..11 => ("/tenants/n".to_owned(), "profile.published", json!({"profile": profile, "spec": spec(SECTIONS[step.choice])})),
            11 => ("/tenants/n".to_owned(), "profile.retired", json!({"profile": profile})),
            12..15 => ("/tenants/n".to_owned(), "share.updated", json!({"share": share, "profile": named})),
            15 | 16 => ("/tenants/n".to_owned(), "share.updated", json!({"share": share, "streams": streams})),
            17 | 18 => (side, "share.paused", json!({"share": share})),
            19..22 => (side, "share.resumed", json!({"share": share})),
            22 => {
                let tenant = ["n", "a", "b"][step.choice % 3];
                ("/operator".to_owned(), "tenant.updated", json!({"tenant": tenant, "suspended": step.choice > 2}))
            }
            _ => ("/tenants/n".to_owned(), "share.revoked", json!({"share": share})),
        };
        log.push(event(number + 2, at, &source, kind, &data));
    }
    log
}

fn document(table: &ShareTable, share: &str) -> Option<Value> {
    Some(serde_json::from_slice(&table.share(share)?.to_json(Audience::Owner)).unwrap())
}

fn moment(document: &Value, member: &str) -> Option<TimestampNs> {
    document[member].as_str().map(|text| TimestampNs::parse_rfc3339(text).unwrap())
}

/// What of x, y and z the share's profile showed of telemetry at a moment; none where it showed nothing.
fn shown_at(log: &[LogEvent], share: &str, until: TimestampMs) -> Option<String> {
    let table = table_at(log, until);
    let document = document(&table, share)?;
    if !document["streams"].as_array()?.contains(&json!("telemetry")) {
        return None;
    }
    if document["profile"] == "all" {
        return Some("xyz".to_owned());
    }
    let profile = table.profiles().find(|profile| document["profile"] == profile.name && !profile.is_retired)?;
    let spec: Value = serde_json::from_slice(profile.spec).unwrap();
    let include = spec.get("telemetry")?["include"].as_array()?.iter().map(|path| path.as_str().unwrap()[2..].to_owned());
    Some(include.collect())
}

/// What a share gets of a record, by the rules in their own words.
fn model(log: &[LogEvent], share: &str, now: TimestampMs, t: TimestampMs) -> Option<Value> {
    let table = table_at(log, now);
    let today = document(&table, share)?;
    let is_past = |member: &str| moment(&today, member).is_none_or(|moment| moment <= now.moment());
    if today["state"] != "ACTIVE" || !today["streams"].as_array()?.contains(&json!("telemetry")) || !is_past("starts") {
        return None;
    }
    if moment(&today, "granted_from").is_some_and(|from| t.moment() < from) {
        return None;
    }
    if moment(&today, "ends").is_some_and(|ends| t.moment() >= ends || now.moment() >= ends) {
        return None;
    }
    // Whether the share was paused when the record was true.
    if document(&table_at(log, t.min(now)), share).is_some_and(|then| then["state"] == "PAUSED") {
        return None;
    }
    let u = t.moment().max(moment(&today, "accepted_at")?).millis().min(now);
    let (then, shown) = (shown_at(log, share, u)?, shown_at(log, share, now)?);
    let (_, target, asset) = SHARES.into_iter().find(|(id, ..)| *id == share)?;
    let mut value = Map::new();
    for (name, member) in [("tenant", json!(target)), ("asset", json!(asset)), ("ts", json!(t.0))] {
        value.insert(name.to_owned(), member);
    }
    for (name, member) in [("x", json!(1.5)), ("y", json!(2.25)), ("z", json!("z"))] {
        if then.contains(name) && shown.contains(name) {
            value.insert(name.to_owned(), member);
        }
    }
    let epoch = log.iter().take_while(|(at, _)| *at <= now).count() as i64 - 1;
    value.insert("_share".to_owned(), json!({"id": share, "rev": today["revision"], "epoch": epoch, "backfill": "job"}));
    Some(Value::Object(value))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 2))]

    #[test]
    fn what_is_released_is_what_the_model_releases(
        steps in prop::collection::vec(step(), 10..60),
        back in 0usize..8,
        times in prop::collection::vec((-5i64..120, 0i64..2), 24),
    ) {
        let log = log_of(&steps);
        let now = TimestampMs(log[log.len() - 1 - back.min(log.len() - 1)].0.0 + (back as i64 % 2) * 30_000);
        let pinned = pinned_at(&log, now, &ShareFilters::default());
        prop_assert_eq!(pinned.epoch().0, log.iter().take_while(|(at, _)| *at <= now).count() as i64 - 1);
        for (minutes, half) in times {
            let t = TimestampMs(minute(minutes).0 + half * 29_999);
            for asset in ["A", "B"] {
                let got = decide(&pinned, whole_day(), t, asset, TakenReleases::default()).values;
                let of_asset = SHARES.iter().filter(|(_, _, of)| *of == asset).map(|(share, ..)| *share);
                // Further ahead than `max_future` a record is a dead letter.
                let is_too_far = t.0 > now.0 + 300_000;
                let expected: BTreeMap<String, Value> = of_asset
                    .filter(|_| !is_too_far)
                    .filter_map(|share| Some((share.to_owned(), model(&log, share, now, t)?)))
                    .collect();
                prop_assert_eq!(got, expected, "asset {} at {}, now {}", asset, t.moment(), now.moment());
            }
        }
    }

    #[test]
    fn a_filter_takes_shares_away_and_changes_nothing_else(
        steps in prop::collection::vec(step(), 10..60),
        minutes in 0i64..100,
        only in 0usize..4,
    ) {
        let log = log_of(&steps);
        let now = log.last().unwrap().0;
        let (share, target, asset) = SHARES[only];
        let filters = ShareFilters { targets: [target.to_owned()].into(), assets: [asset.to_owned()].into(), ..ShareFilters::default() };
        let (whole, filtered) = (pinned_at(&log, now, &ShareFilters::default()), pinned_at(&log, now, &filters));
        let t = minute(minutes);
        let mut of_all = decide(&whole, whole_day(), t, asset, TakenReleases::default()).values;
        of_all.retain(|id, _| id == share);
        prop_assert_eq!(of_all, decide(&filtered, whole_day(), t, asset, TakenReleases::default()).values);
        let other = if asset == "A" { "B" } else { "A" };
        let none = decide(&filtered, whole_day(), t, other, TakenReleases::default());
        prop_assert!(none.values.is_empty() && none.suppressed.is_empty(), "no share of that asset is in the graph");
    }
}
