//! What is refused before anything is written, and what is said of jobs.

use super::past::{Past, result};
use crate::broker::shared;
use crate::instance::{command, output, run};

fn world() -> Past<'static> {
    let past = Past::new(shared(), 1);
    past.world.partners("o", "x");
    past.world.share("o", "a0", "x");
    past.feed_assets(&["a0"], 1, 60);
    past
}

#[test]
fn a_topic_that_deletes_what_is_written_is_named_and_refused() {
    let past = world();
    past.world.make_output("x", &[("retention.ms", "60000")]);
    let output = past.run("--yes --job short --rate 0");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{told}");
    assert!(told.contains(&past.world.output("x")) && told.contains("retention.ms=60000"), "{told}");
    assert!(past.read(&past.world.output("x")).is_empty());
    past.run_to("--yes --job short --rate 0 --allow-expiring", 0);
    assert_eq!(past.read(&past.world.output("x")).len(), 60);
}

#[test]
fn jobs_are_named_once_resumed_as_they_were_begun_listed_and_forgotten() {
    let past = world();
    let config = past.config();
    past.run_to("--rate 0 --job named", 64);
    past.run_to("--yes --rate 0 --job named --resume", 64);
    let printed = result(&past.run_to("--yes --rate 0 --job named -o json", 0));
    assert_eq!(printed["released"].as_u64(), Some(60));
    past.run_to("--yes --rate 0 --job named", 64);
    let other = past.run("--yes --rate 0 --job named --resume --slack 2h");
    let told = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(other.status.code() == Some(64) && told.contains("slack was"), "{told}");
    let listed = result(&run(&config, "backfill --list -o json", 0));
    assert_eq!(run(&config, "backfill --list --sort started:desc --limit 1 -o id", 0).trim(), listed[0]["job"].as_str().unwrap());
    assert_eq!((&listed[0]["job"], &listed[0]["state"], &listed[0]["released"]), (&"named".into(), &"done".into(), &60.into()));
    run(&config, "backfill --forget named", 0);
    run(&config, "backfill --forget named", 64);
    assert_eq!(result(&run(&config, "backfill --list -o json", 0)), serde_json::json!([]));
}

#[test]
fn a_job_of_nothing_says_so_and_a_running_one_is_not_forgotten() {
    let past = world();
    let nothing = past.run("--yes --rate 0 --job nothing --target nobody");
    let told = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(nothing.status.success() && told.contains("releases nothing"), "{told}");
    let running = past.start("--yes --job runs --rate 1/s");
    past.await_count("x", 1);
    let refused = output(&past.config(), "backfill --forget runs");
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(1) && told.contains("is running"), "{told}");
    running.kill();
}

#[test]
fn a_job_that_is_configured_otherwise_than_the_log_neither_begins_nor_goes_on() {
    let mut past = world();
    let first = past.config();
    run(&first, "control configure --yes", 0);
    let begun = past.start("--yes --job begun --rate 1/s");
    past.await_count("x", 1);
    begun.kill();

    past.world.set_more("workers: 2\npartnerships: open\n");
    let second = past.world.config("second");
    let refused = |config: &std::path::Path, more: &str| {
        let arguments = past.arguments(more);
        let output = command(config, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.contains("the configuration is not the control log's") && told.contains("`partnerships: "), "{told}");
    };
    refused(&second, "--yes --job other --rate 0");
    refused(&second, "--dry-run --rate 0");

    // What the log has been configured with since counts for a job that goes on, though it decides as it was begun.
    run(&second, "control configure --yes", 0);
    let before = past.read(&past.world.output("x")).len();
    refused(&first, "--yes --job begun --rate 0 --resume");
    assert_eq!(past.read(&past.world.output("x")).len(), before);
    let arguments = past.arguments("--yes --job begun --rate 0 --resume");
    let resumed = command(&second, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(resumed.status.code(), Some(0), "{resumed:#?}");
    assert_eq!(past.read(&past.world.output("x")).len(), 60);
}

#[test]
fn a_failed_topic_stops_the_job_or_is_skipped_and_counted() {
    let mut past = world();
    past.world.partners("o", "y");
    past.world.share("o", "a0", "y");
    past.world.set_more(&format!("output: {{ topic: 'out-{}.{{tenant}}.{{stream}}', provision: manual }}\n", past.world.name));
    past.world.make_output("y", &[]);
    let config = past.config();
    run(&config, "provision", 0);
    past.world.cluster.admin().delete(&[&past.world.output("x")]).unwrap();
    let stopped = past.run("--yes --rate 0 --job fails");
    let told = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(stopped.status.code() == Some(1) && told.contains(&past.world.output("x")) && told.contains("--resume"), "{told}");
    let printed = past.run_to("--yes --rate 0 --job fails --resume --skip-failed-routes -o json", 1);
    assert!(printed.contains("did not get 60 records"), "{printed}");
    assert_eq!(past.read(&past.world.output("y")).len(), 60);
}
