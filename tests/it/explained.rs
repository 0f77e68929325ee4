//! `sharecast explain` of what a live run has done, and `profile publish --preview` (docs/operators.md#why-did-a-record-not-flow).

mod agreement;

use super::broker::{shared, unique};
use super::fixture::{World, epoch_of};
use super::instance::{file, output, printed, run};

/// Released, dead and suppressed ones, by the shares of now and of an earlier epoch, with lines of the profile's file.
#[test]
fn what_a_live_run_did_is_explained() {
    let world = World::new(shared(), 1, "");
    let config = world.config("cli");
    let engine = world.start_ready("a");
    let (o, t, s, dir) = (world.tenant("o"), world.tenant("t"), unique("share"), tempfile::tempdir().unwrap());
    let ok = |line: String| run(&config, &line, 0);
    ok(format!("partnership establish {o} {t} --wait"));
    let profile = file(dir.path(), "p.yaml", "telemetry:\n  include:\n    - $.n\n");
    ok(format!("profile --as {o} publish p {} --wait", profile.display()));
    let offer = format!("share --as {o} offer --asset a --to {t} --streams telemetry --profile p --share {s} --history --wait");
    ok(offer);
    ok(format!("share --as {t} accept {s} --wait"));
    world.feed(0, [world.record("o", "a", 1).replace('}', r#","x":2}"#), "{".to_owned(), world.record("o", "other", 2)]);
    let epoch = epoch_of(world.await_outputs("t", 1)[0].value.as_deref().unwrap());
    assert_eq!(world.await_letters(1)[0].reason, "invalid_json");

    let explain = |offset: i64, more: &str, code: i32| {
        run(&config, &format!("explain --stream telemetry --partition 0 --offset {offset} -o json{more}"), code)
    };
    let released = explain(0, "", 0);
    for part in [
        r#""partition":0,"offset":0,"#.to_owned(),
        format!(r#""shares":[{{"share":"{s}","target":"{t}","decision":"released","rule":"released","#),
        r#"{"path":"$.n","outcome":"kept","by":"$.n","line":3,"column":7}"#.to_owned(),
        r#"{"path":"$.x","outcome":"withheld","by":"not included","line":2,"column":3}"#.to_owned(),
    ] {
        assert!(released.contains(&part), "{part}: {released}");
    }
    assert!(explain(1, "", 65).contains(r#""dead":{"reason":"invalid_json","#));
    assert!(explain(2, "", 1).contains(r#""shares":[]"#));
    let nothing_there = output(&config, "explain --stream telemetry --partition 0 --offset 99");
    assert_eq!((nothing_there.status.code(), printed(&nothing_there).as_str()), (Some(64), ""), "{nothing_there:?}");

    // What narrows the profile is seen before it is written, and is not written by that.
    let narrow = file(dir.path(), "narrow.yaml", "telemetry:\n  include:\n    - $.x\n");
    let preview = ok(format!("profile --as {o} publish p {} --preview -o ndjson", narrow.display()));
    assert!(preview.contains(r#""gains":["$.x"],"loses":["$.n"],"changes":[]"#), "{preview}");
    assert!(ok(format!("profile --as {o} show p -o json")).contains("$.n"));

    ok(format!("share --as {o} revoke {s} --wait"));
    let revoked = explain(0, "", 1);
    assert!(revoked.contains(r#""decision":"suppressed","rule":"ended""#) && revoked.contains(r#""right":"REVOKED""#), "{revoked}");
    engine.terminate();
    // As it was, by the log and by the snapshot that the engine left, which knows more.
    let then = explain(0, &format!(" --epoch {epoch}"), 0);
    assert!(then.contains(&format!(r#""epoch":{epoch},"#)) && then.contains(r#""decision":"released""#), "{then}");
}
