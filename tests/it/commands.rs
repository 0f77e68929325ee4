//! The commands that write events (docs/rules/cli.md).

use super::broker::{shared, unique};
use super::fixture::World;
use super::instance::{file, output, printed, run};

#[test]
fn a_share_s_life_from_the_command_line() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    let (o, t, s) = (world.tenant("o"), world.tenant("t"), unique("share"));
    let ok = |line: String| run(&config, &line, 0);
    ok(format!("partnership establish {o} {t} --wait"));
    let offered =
        ok(format!("share --as {o} offer --asset a --to {t} --streams telemetry --profile all --share {s} --history --wait -o json"));
    assert!(offered.contains(r#""outcome":"applied""#) && offered.contains(r#""state":"PENDING""#), "{offered}");
    let accepted = ok(format!("share --as {t} accept {s} --target-asset mine --wait -o json"));
    assert!(accepted.contains(r#""state":"ACTIVE""#) && accepted.contains(r#""target_asset":"mine""#), "{accepted}");
    world.feed(0, [world.record("o", "a", 1)]);
    let seen = world.await_outputs("t", 1);
    assert_eq!(seen[0].key.as_deref(), Some("mine"));
    for (verb, state) in [("pause", "PAUSED"), ("resume", "ACTIVE")] {
        let changed = ok(format!("share --as {o} {verb} {s} --wait -o ndjson"));
        assert!(changed.contains(&format!(r#""state":"{state}""#)), "{changed}");
    }
    // The same event again changes nothing, and says so.
    let again = format!("share --as {o} update {s} --label new --event-id {s}-e --wait -o json");
    assert!(ok(again.clone()).contains(r#""outcome":"applied""#));
    let repeated = ok(again.clone());
    assert!(repeated.contains(r#""outcome":"applied""#) && repeated.ends_with("\"repeated\":true}\n"), "{repeated}");
    let other = output(&config, &again.replace("--label new", "--label other"));
    assert!(other.status.code() == Some(1) && told(&other).contains("id_reused"), "{other:?}");
    let revoked = ok(format!("share --as {o} revoke {s} --wait -o json"));
    assert!(revoked.contains(r#""state":"REVOKED""#), "{revoked}");
    // It waited until no record can come any more.
    world.feed(0, [world.record("o", "a", 2)]);
    engine.terminate();
    assert_eq!(world.await_outputs("t", 1).len(), 1);
}

fn told(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_the_trial_refuses_is_not_written_and_is_exit_1_with_its_reason() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    let (o, t) = (world.tenant("o"), world.tenant("t"));
    for (line, reason) in [
        (format!("share --as {t} accept nowhere-{o} --wait"), "unknown_share"),
        (format!("partnership --as {o} offer {o} --wait"), "self_share"),
        (format!("tenant --as {o} update {t} --suspend --wait"), "not_operator"),
        (format!("profile --as {o} retire nothing --wait"), "unknown_profile"),
        ("control skip 0 --note none --wait".to_owned(), "wrong_state"),
    ] {
        let refused = output(&config, &line);
        assert_eq!((refused.status.code(), printed(&refused).as_str()), (Some(1), ""), "{line}: {refused:?}");
        assert!(told(&refused).contains(reason) && told(&refused).contains("nothing was written"), "{line}: {refused:?}");
    }
    // Of an offer too: the log would have made it a share in state FAILED.
    let offer = format!("share --as {o} offer --asset a --to {t} --streams telemetry --profile all --wait -o json");
    let failed = output(&config, &offer);
    assert!(failed.status.code() == Some(1) && told(&failed).contains("asset a: no_partnership: "), "{failed:?}");
    assert_eq!(run(&config, "share list -o ndjson", 0), "");
    engine.terminate();
}

#[test]
fn profiles_are_checked_before_they_are_published() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    let (o, dir) = (world.tenant("o"), tempfile::tempdir().unwrap());
    let good = file(dir.path(), "good.yaml", "telemetry: { include: [$.n] }\n");
    let bad = file(dir.path(), "bad.yaml", "telemetry: { include: ['$..n'] }\n");
    run(&config, &format!("profile --as {o} publish p {} --wait", good.display()), 0);
    run(&config, &format!("profile --as {o} publish p {}", bad.display()), 1);
    run(&config, &format!("profile --as {o} retire p --wait"), 0);
    engine.terminate();
}

#[test]
fn a_command_without_a_cluster_or_an_engine_says_so() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    run(&config, "share pause", 64);
    run(&config, "share --as x pause s --event-id a/b", 64);
    run(&config, "partnership offer x", 64);
    let nobody = tempfile::tempdir().unwrap();
    let config_of_nobody = file(nobody.path(), "c.yaml", "kafka: { bootstrap: \"127.0.0.1:1\" }\n");
    let waits = output(&config_of_nobody, "control skip 0 --note x --wait --timeout 2s");
    assert_eq!(waits.status.code(), Some(69), "{waits:?}");
    assert!(told(&waits).contains("127.0.0.1:1") && told(&waits).contains("nothing was written"), "{waits:?}");
    // Written, after the configuration of a log that was empty, but nobody folds it.
    world.make_control();
    world.make_output("t", &[]);
    let unanswered = output(&config, "tenant update x --wait --timeout 15s");
    assert_eq!(unanswered.status.code(), Some(69), "{unanswered:?}");
    assert!(String::from_utf8_lossy(&unanswered.stderr).contains("control offset 1"), "{unanswered:?}");
}
