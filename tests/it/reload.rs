//! A running engine takes a changed configuration, or says why it does not (docs/rules/operating.md#reload).

use std::path::Path;

use super::broker::shared;
use super::fixture::World;
use super::instance::{Instance, await_that};

/// The sum of all series that begin so.
fn sum(engine: &Instance, series: &str) -> Option<f64> {
    let (_, page) = engine.get("/metrics")?;
    let values = page.lines().filter(|line| line.starts_with(series)).map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

fn reloads(engine: &Instance, result: &str) -> Option<f64> {
    sum(engine, &format!(r#"sharecast_config_reloads_total{{result="{result}"}}"#))
}

/// Sends what is no request: of that a line is logged at `debug`.
fn send_nonsense(engine: &Instance) {
    engine.get("\0");
}

/// Puts another file in the place of this one, as editors do.
fn replace(config: &Path, text: &str) {
    let other = config.with_extension("new");
    std::fs::write(&other, text).unwrap();
    std::fs::rename(other, config).unwrap();
}

fn world() -> World<'static> {
    let world = World::new(shared(), 1, "");
    world.make_control();
    world.partners("o", "t");
    world.share("o", "a", "t");
    world
}

#[test]
fn a_hang_up_has_an_engine_take_what_it_can_all_or_nothing() {
    let world = world();
    let engine = world.start_ready("a");
    let config = world.config("a");
    let text = std::fs::read_to_string(&config).unwrap();
    world.feed(0, (0..30).map(|n| world.record("o", "a", n)));
    assert_eq!(world.await_outputs("t", 30).len(), 30);
    send_nonsense(&engine);
    assert!(!engine.log().contains("DEBUG"), "{}", engine.log());

    let changed = text.replace("log: { format: text }", "log: { format: text, level: debug }");
    replace(&config, &changed);
    engine.signal("HUP");
    engine.await_line(&["configuration reloaded", "keys=\"log.level\""]);
    await_that("it is counted", || reloads(&engine, "taken") == Some(1.0));
    world.feed(0, (30..90).map(|n| world.record("o", "a", n)));
    assert_eq!(world.await_outputs("t", 90).len(), 90);
    send_nonsense(&engine);
    engine.await_line(&["DEBUG", "a client's connection was ended"]);

    for (wrong, result, texts) in [
        (format!("{changed}\nbatch: {{ max_records: 0 }}\n"), "invalid", ["it cannot be read", "max_records"]),
        (format!("{changed}\nstreams: ["), "invalid", ["it cannot be read", "nothing has changed"]),
        (
            format!("{}\nbatch: {{ max_records: 50 }}\n", changed.replace("level: debug", "level: info")),
            "needs_restart",
            ["nothing of it is taken", "batch.max_records"],
        ),
    ] {
        let before = reloads(&engine, result).unwrap();
        replace(&config, &wrong);
        engine.signal("HUP");
        engine.await_line(&texts);
        await_that("it is counted", || reloads(&engine, result) == Some(before + 1.0));
    }
    replace(&config, &format!("{changed}\n# A comment.\n"));
    engine.signal("HUP");
    engine.await_line(&["it equals what is in force"]);
    engine.terminate();
}

#[test]
fn a_watched_file_is_read_again_when_another_takes_its_place() {
    let world = world();
    let config = world.config("a");
    let engine = Instance::start_with(&config, &["--watch"]);
    engine.await_ready();
    let text = std::fs::read_to_string(&config).unwrap();
    replace(&config, &text.replace("log: { format: text }", "log: { format: text, level: debug }"));
    engine.await_line(&["configuration reloaded", "log.level"]);
    std::fs::remove_file(&config).unwrap();
    engine.await_line(&["configuration not reloaded", "nothing has changed"]);
    replace(&config, &text);
    await_that("the file of before is in force", || reloads(&engine, "taken") == Some(2.0));
    engine.terminate();
}
