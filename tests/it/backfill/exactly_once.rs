//! Killed, fenced, run twice: each record is there once, byte for byte as the form without Kafka writes it.

use std::collections::BTreeMap;

use super::past::{Past, by_key, line_of, result};
use crate::broker::shared;
use crate::fixture::DEAD_LETTERS;

const PARTITIONS: i32 = 3;
const ASSETS: [&str; 6] = ["a0", "a1", "a2", "a3", "a4", "a5"];

/// Two targets, six assets in three partitions, something that cannot be read, and transactions in the input.
fn world() -> Past<'static> {
    let past = Past::new(shared(), PARTITIONS);
    for target in ["x", "y"] {
        past.world.partners("o", target);
    }
    for asset in ASSETS {
        past.world.share("o", asset, "x");
    }
    past.world.share("o", "a1", "y");
    past.feed_assets(&ASSETS, PARTITIONS, 600);
    past.feed(0, [(600, "{no json".to_owned())]);
    past.feed_in_transaction(2, (601..631).map(|number| (number, past.record("a2", number))), true);
    past.feed_in_transaction(2, (631..640).map(|number| (number, past.record("a2", number))), false);
    // Before the window and after it, by their own time.
    let other = |number: i64| past.record("a0", number);
    past.feed(0, [(640, other(-1)), (641, other(9_000))]);
    past
}

/// The lines of a target's topic by key.
fn written(past: &Past<'_>, topic: &str) -> BTreeMap<String, Vec<String>> {
    by_key(&past.read(topic).iter().map(line_of).collect::<Vec<_>>())
}

#[test]
fn killed_again_and_again_each_record_is_there_once_as_files_have_it() {
    let past = world();
    let more = "--yes --job week --workers 2 -o json";
    let dry = result(&past.run_to(&format!("{more} --dry-run --rate 0"), 0));
    assert!(past.read(&past.world.output("x")).is_empty(), "a dry run writes nothing");
    // So slow that it still runs when its records have been seen.
    let mut job = past.start(&format!("{more} --rate 40/s"));
    for kill in 1..=3 {
        past.await_count("x", 120 * kill);
        job.kill();
        let rate = if kill < 3 { "40/s" } else { "0" };
        job = past.start(&format!("{more} --rate {rate} --resume"));
    }
    let (code, printed, told) = job.await_exit();
    assert_eq!(code, Some(0), "{told}");
    let came = result(&printed);
    for member in ["read", "released", "suppressed", "dead", "tenants"] {
        assert_eq!(came[member], dry[member], "{member}: {printed}");
    }
    assert_eq!((came["released"].as_u64(), came["dead"]["invalid_json"].as_u64()), (Some(630 + 100), Some(1)));

    let expected = past.by_files("week", came["now"].as_str().unwrap(), &past.input_files());
    for target in ["x", "y"] {
        let topic = past.world.output(target);
        assert_eq!(written(&past, &topic), by_key(&expected[&topic]), "{target}");
    }
    let letters = past.world.letters();
    assert_eq!((letters.len(), letters[0].reason.as_str(), expected[DEAD_LETTERS].len()), (1, "invalid_json", 1));
    assert_eq!((letters[0].partition.as_str(), letters[0].offset.as_str()), ("0", "200"));

    // A finished job says again what came of it, and writes nothing more.
    let again = result(&past.run_to(&format!("{more} --rate 0 --resume"), 0));
    assert_eq!((&again["released"], &again["now"], &again["epoch"]), (&came["released"], &came["now"], &came["epoch"]));
    assert_eq!(past.read(&past.world.output("x")).len(), 630);
}

#[test]
fn a_second_process_of_a_job_and_another_job_beside_it_double_nothing() {
    let past = world();
    let first = past.start("--yes --job one --rate 30/s -o json");
    past.await_count("x", 1);
    let other = past.start("--yes --job two --rate 0 --target none -o json");
    let beside = past.start(&format!("--yes --job three --rate 0 --target {} -o json", past.world.tenant("y")));
    let second = past.start("--yes --job one --rate 30/s --resume -o json");
    let (first, second) = (first.await_exit(), second.await_exit());
    let fenced = [&first, &second].into_iter().filter(|(code, _, told)| *code == Some(1) && told.contains("another process runs this job"));
    assert!(fenced.count() >= 1, "{first:?} {second:?}");
    for job in [other, beside] {
        let (code, _, told) = job.await_exit();
        assert_eq!(code, Some(0), "{told}");
    }
    past.run_to("--yes --job one --rate 0 --resume", 0);
    let of = |job: &str, target: &str| {
        let mark = format!(r#""backfill":"{job}"}}"#);
        past.read(&past.world.output(target)).iter().filter(|seen| seen.value.as_ref().unwrap().contains(&mark)).count()
    };
    assert_eq!((of("one", "x"), of("one", "y"), of("three", "x"), of("three", "y")), (630, 100, 0, 100));
}

#[test]
fn a_signal_finishes_the_transaction_and_says_how_to_go_on() {
    let past = world();
    let job = past.start("--yes --job signal --rate 30/s");
    past.await_count("x", 50);
    job.signal("INT");
    let (code, _, told) = job.await_exit();
    assert_eq!(code, Some(130), "{told}");
    assert!(told.contains("--job signal --resume"), "{told}");
    past.run_to("--yes --job signal --rate 0 --resume", 0);
    assert_eq!(past.read(&past.world.output("x")).len(), 630);
}
