//! The log says by what is judged, and what a process does that is configured otherwise (docs/rules/events.md#configuration-of-the-log).

use super::broker::shared;
use super::fixture::World;
use super::instance::{await_that, command, printed};

/// Streams of these names, each with its input.
fn streams(inputs: &[(&str, &str)]) -> String {
    let stream = |(name, topic): &(&str, &str)| format!("  {name}: {{ topic: {topic}, tenant: $.tenant, asset: $.asset, time: $.ts }}\n");
    format!("streams:\n{}", inputs.iter().map(stream).collect::<String>())
}

/// The lines of the log that are no ticks.
fn events(world: &World<'_>) -> Vec<String> {
    let dumped = command(&world.config("cli"), &["control", "dump"]);
    assert_eq!(dumped.status.code(), Some(0), "{dumped:?}");
    printed(&dumped).lines().filter(|line| !line.contains("sharecast.control.tick")).map(str::to_owned).collect()
}

fn is_first(line: &str) -> bool {
    line.contains(r#""id":"configured-0""#) && line.contains(r#""source":"/sharecast""#) && line.contains("control.configured.v1")
}

/// The newest document of a share.
fn document(world: &World<'_>, share: &str) -> String {
    let all = world.cluster.read("sharecast.shares");
    let newest = all.into_iter().rfind(|seen| seen.key.as_deref() == Some(share));
    newest.and_then(|seen| seen.value).unwrap_or_default()
}

#[test]
fn engines_agree_on_the_logs_configuration_and_who_is_configured_otherwise_ends() {
    let cluster = shared();
    let mut world = World::new(cluster, 1, "");
    let (input, second) = (world.input.clone(), cluster.topic("second", 1, &[]));
    let both = streams(&[("telemetry", &input), ("second", &second)]);
    let one = streams(&[("telemetry", &input)]);
    world.set_more(&both);
    let (a, b) = (world.start("a"), world.start("b"));
    a.await_ready();
    b.await_ready();
    let first = events(&world);
    assert!(matches!(first.len(), 1 | 2) && first.iter().all(|line| is_first(line)), "{first:#?}");

    world.partners("owner", "target");
    let share = world.share_with("owner", "A", "target", r#","streams":["second","telemetry"]"#);
    await_that("the share's document", || document(&world, &share).contains(r#""state":"ACTIVE""#));

    // One stream fewer: it reads that alone, and what others share stays as it is.
    world.set_more(&one);
    let c = world.start_ready("c");
    a.terminate();
    b.terminate();
    world.event("/operator", "share.paused", &format!(r#"{{"share":"{share}"}}"#));
    await_that("the pause", || document(&world, &share).contains(r#""state":"PAUSED""#));
    let paused = document(&world, &share);
    assert!(paused.contains(r#""streams":["second","telemetry"]"#) && paused.contains(r#""revision":2"#), "{paused}");

    // One more: it cannot begin.
    world.set_more(&streams(&[("telemetry", &input), ("third", &second)]));
    let mut d = world.start("d");
    assert_eq!(d.await_exit(), 78);
    assert!(
        d.log().contains("the stream third, which the log does not name") && d.log().contains("sharecast control configure"),
        "{}",
        d.log()
    );

    // The review names who loses what, and asks.
    world.set_more(&one);
    let configure = |world: &World<'_>, more: &[&str]| command(&world.config("cli"), &[&["control", "configure"], more].concat());
    let refused = configure(&world, &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(64), "{said}");
    assert!(said.contains("the stream second goes") && said.contains(&share), "{said}");
    let before = events(&world).len();
    let done = configure(&world, &["--yes"]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let already = configure(&world, &[]);
    assert!(already.status.success() && printed(&already).contains("already so"), "{already:?}");
    assert_eq!(events(&world).len(), before + 1);
    c.await_ready();

    // What takes nothing away is not asked for, once the engine has said its version. A difference does not end who runs.
    world.set_more(&format!("{one}partnerships: open\n"));
    await_that("its version", || configure(&world, &[]).status.success());
    let why = c.await_not_ready("`partnerships: required`, where the log has `open`");
    assert!(why.contains("[-]configuration failed"), "{why}");
    c.terminate();
}

#[test]
fn a_command_that_writes_first_names_the_configuration_first() {
    let cluster = shared();
    let world = World::new(cluster, 1, "");
    world.make_control();
    let updated = command(&world.config("cli"), &["tenant", "update", "first"]);
    assert_eq!(updated.status.code(), Some(0), "{updated:?}");
    let written = events(&world);
    assert!(written.len() == 2 && is_first(&written[0]) && written[1].contains("tenant.updated"), "{written:#?}");

    let world = World::new(cluster, 1, "");
    world.make_control();
    let configured = command(&world.config("cli"), &["control", "configure"]);
    assert_eq!(configured.status.code(), Some(0), "{configured:?}");
    let written = events(&world);
    assert!(written.len() == 1 && is_first(&written[0]), "{written:#?}");
}
