//! What was taken back since a job began leaves no more, whether it ran meanwhile or not.

use super::past::{Past, result};
use crate::broker::shared;
use crate::instance::{command, run};

const ASSETS: [&str; 6] = ["a0", "a1", "a2", "a3", "a4", "a5"];

/// Six targets, each with one asset, all in one partition.
struct World {
    past: Past<'static>,
    shares: Vec<String>,
}

fn target(number: usize) -> String {
    format!("t{number}")
}

fn world() -> World {
    let past = Past::new(shared(), 1);
    let owner = past.world.tenant("o");
    let spec = r#"{"telemetry":{"include":["$.n","$.ts"]}}"#;
    past.world.event("/operator", "profile.published", &format!(r#"{{"owner":"{owner}","profile":"p","spec":{spec}}}"#));
    let share = |number: usize| {
        past.world.partners("o", &target(number));
        let share = crate::broker::unique("share");
        let (asset, target) = (ASSETS[number], past.world.tenant(&target(number)));
        let what = format!(r#""share":"{share}","owner":"{owner}","asset":"{asset}","target_tenant":"{target}""#);
        let profile = if number == 3 { "p" } else { "all" };
        past.world.event(
            "/operator",
            "share.offered",
            &format!(r#"{{{what},"streams":["telemetry"],"profile":"{profile}","history":true}}"#),
        );
        share
    };
    let shares = (0..ASSETS.len()).map(share).collect();
    past.feed_assets(&ASSETS, 1, 1_200);
    World { past, shares }
}

impl World {
    /// What a target has, of a job and of nobody else.
    fn count(&self, number: usize) -> usize {
        let seen = self.past.read(&self.past.world.output(&target(number)));
        seen.iter().filter(|seen| seen.value.as_ref().unwrap().contains(r#""backfill":"#)).count()
    }

    /// Revoked, paused and resumed, another window, narrowed, suspended and back: all but the last one.
    fn take_back(&self) {
        let world = &self.past.world;
        let owner = world.tenant("o");
        let of = |number: usize| format!(r#"{{"share":"{}"}}"#, self.shares[number]);
        world.event("/operator", "share.revoked", &of(0));
        world.event("/operator", "share.paused", &of(1));
        world.event("/operator", "share.resumed", &of(1));
        let from = self.past.begins.0 + 3_000_000;
        let from = sharecast::time::TimestampMs(from).moment();
        world.event("/operator", "share.updated", &format!(r#"{{"share":"{}","ends":"{from}"}}"#, self.shares[2]));
        let spec = r#"{"telemetry":{"include":["$.ts"]}}"#;
        world.event("/operator", "profile.published", &format!(r#"{{"owner":"{owner}","profile":"p","spec":{spec}}}"#));
        let suspended = |is: bool| format!(r#"{{"tenant":"{}","suspended":{is}}}"#, world.tenant(&target(4)));
        world.event("/operator", "tenant.updated", &suspended(true));
        world.event("/operator", "tenant.updated", &suspended(false));
    }
}

#[test]
fn what_was_taken_back_while_nothing_ran_is_withheld_by_the_resumed_job() {
    let world = world();
    let job = world.past.start("--yes --job cut --rate 60/s -o json");
    world.past.await_count(&target(5), 30);
    job.kill();
    let before: Vec<usize> = (0..6).map(|number| world.count(number)).collect();
    world.take_back();
    let printed = world.past.run_to("--yes --job cut --rate 0 --resume -o json", 1);
    let after: Vec<usize> = (0..6).map(|number| world.count(number)).collect();
    assert_eq!(after[..5], before[..5], "{printed}");
    assert_eq!(after[5], 200, "the others flow");
    let came = result(&printed);
    let mut stopped: Vec<&str> = came["stopped"].as_array().unwrap().iter().map(|stopped| stopped["share"].as_str().unwrap()).collect();
    stopped.sort_unstable();
    let mut expected: Vec<&str> = world.shares[..5].iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(stopped, expected, "{printed}");
    // What is noted stays noted.
    let again = world.past.run_to("--yes --job cut --rate 0 --resume -o json", 1);
    assert_eq!(result(&again)["stopped"], came["stopped"]);
}

#[test]
fn what_is_taken_back_while_a_job_runs_is_withheld_and_a_revoke_waits_for_the_job() {
    let world = world();
    // An engine beside it flows as ever.
    let engine = world.past.world.start_ready("engine");
    let job = world.past.start("--yes --job live --rate 50/s -o json");
    crate::instance::await_that("records of the job", || world.count(5) >= 5);
    world.take_back();
    // The last share's revoke is certain once the job has reported it.
    let config = world.past.config();
    run(&config, &format!("share revoke {} --wait", world.shares[5]), 0);
    let certain: Vec<usize> = (0..6).map(|number| world.count(number)).collect();
    let (code, printed, told) = job.await_exit();
    assert_eq!(code, Some(1), "{told}");
    engine.terminate();
    let after: Vec<usize> = (0..6).map(|number| world.count(number)).collect();
    assert_eq!(after, certain, "{printed}");
    assert!(after.iter().all(|count| *count < 200), "{after:?}");
    assert_eq!(result(&printed)["stopped"].as_array().unwrap().len(), 6, "{printed}");
    assert!(told.contains(&format!("--share {}", world.shares[0])), "how to run it again: {told}");
}

#[test]
fn a_closed_fence_is_waited_for() {
    let world = world();
    let offset = world.past.world.control(b"no event at all");
    let job = world.past.start("--yes --job halted --rate 0 -o json");
    crate::instance::await_that("the offset is named", || job.told().contains(&format!("control offset {offset}")));
    assert_eq!(world.count(5), 0);
    let config = world.past.config();
    let skip = command(&config, &["control", "skip", &offset.to_string(), "--note", "a test"]);
    assert!(skip.status.success(), "{skip:?}");
    let (code, _, told) = job.await_exit();
    assert_eq!((code, world.count(5)), (Some(0), 200), "{told}");
}
