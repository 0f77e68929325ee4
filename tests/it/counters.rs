//! Counters: there from the start, so that an alert sees the first of anything.

use super::broker::shared;
use super::fixture::World;
use super::instance::{Instance, await_that};

/// The value of a series; none while there is none.
fn value(engine: &Instance, series: &str) -> Option<f64> {
    let (_, page) = engine.get("/metrics")?;
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned))?;
    line.parse().ok()
}

#[test]
fn a_counter_is_at_0_before_anything_happens_and_at_1_behind_the_first() {
    let mut world = World::new(shared(), 1, "");
    world.set_more(&format!("control: {{ topic: {}, unreadable: skip }}\n", world.control));
    world.make_control();
    let engine = world.start_ready("a");
    let series = [
        r#"sharecast_dead_letters_total{reason="invalid_json"}"#,
        r#"sharecast_dead_letters_total{reason="unreadable_event"}"#,
        r#"sharecast_dead_letters_total{reason="route_failed"}"#,
        r#"sharecast_suppressed_total{reason="paused"}"#,
        r#"sharecast_control_events_total{type="share.revoked",outcome="applied"}"#,
        r#"sharecast_control_events_total{type="share.expired",outcome="wrong_state"}"#,
        r#"sharecast_control_events_total{type="unreadable",outcome="set_aside"}"#,
        r#"sharecast_transactions_aborted_total{cause="output"}"#,
        r#"sharecast_records_in_total{stream="telemetry"}"#,
        "sharecast_owed_lost_total",
    ];
    for series in series {
        assert_eq!(value(&engine, series), Some(0.0), "{series}");
    }
    // Of an asset that is shared: nobody looks at others' values.
    world.partners("o", "t");
    world.share("o", "a", "t");
    world.await_decided_by(&[&engine]);
    world.feed(0, ["{", &*world.record("o", "a", 1)]);
    world.control(b"no event");
    for (series, expected) in
        [(series[0], 1.0), (series[1], 1.0), (series[6], 1.0), (r#"sharecast_records_in_total{stream="telemetry"}"#, 2.0)]
    {
        await_that(series, || value(&engine, series) == Some(expected));
    }
    engine.terminate();
}
