//! `dir:` by the live log: killed and resumed, files are as the form without Kafka writes them; and files as the input.

use std::collections::BTreeMap;

use super::past::{Past, by_key, line_of, lines_of, result};
use crate::broker::shared;
use crate::instance::await_that;

const ASSETS: [&str; 3] = ["a0", "a1", "a2"];

fn world() -> Past<'static> {
    let past = Past::new(shared(), 2);
    past.world.partners("o", "x");
    for asset in ASSETS {
        past.world.share("o", asset, "x");
    }
    past.feed_assets(&ASSETS, 2, 600);
    past
}

#[test]
fn a_folder_is_written_on_after_a_kill_and_a_torn_tail_is_cut() {
    let past = world();
    let out = past.dir.path().join("out");
    let more = format!("--job folder --output dir:{} -o json", out.display());
    let topic = past.world.output("x");
    let lines = || out.is_dir().then(|| lines_of(&out)).and_then(|mut topics| topics.remove(&topic)).map_or(0, |lines| lines.len());
    // So slow that it still runs when its lines have been seen.
    let mut job = past.start(&format!("{more} --rate 60/s"));
    for kill in 1..=2 {
        await_that("lines", || lines() >= 120 * kill);
        job.kill();
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().append(true).open(out.join(format!("{topic}.ndjson"))).unwrap();
        file.write_all(b"{\"key\":\"torn").unwrap();
        let rate = if kill < 2 { "60/s" } else { "0" };
        job = past.start(&format!("{more} --rate {rate} --resume"));
    }
    let (code, printed, told) = job.await_exit();
    assert_eq!(code, Some(0), "{told}");
    let came = result(&printed);
    let expected = past.by_files("folder", came["now"].as_str().unwrap(), &past.input_files());
    let by_keys =
        |topics: &BTreeMap<String, Vec<String>>| topics.iter().map(|(topic, lines)| (topic.clone(), by_key(lines))).collect::<Vec<_>>();
    assert_eq!(by_keys(&lines_of(&out)), by_keys(&expected));
    // No other job's folder, no folder that has something in it.
    past.run_to(&format!("--job other --output dir:{}", out.display()), 64);
    past.run_to(&format!("--job other --resume --output dir:{}", out.display()), 64);
    assert_eq!(result(&past.run_to(&format!("{more} --rate 0 --resume"), 0))["released"], came["released"]);
    past.run_to(&format!("--job other --force --output dir:{}", out.display()), 0);
}

#[test]
fn files_go_to_topics_and_a_job_over_them_is_resumed() {
    let past = world();
    let inputs = past.input_files();
    let inputs: String = inputs.iter().map(|input| format!(" --input telemetry={}", input.display())).collect();
    let more = format!("--yes --job over-files --workers 2 -o json{inputs}");
    let job = past.start(&format!("{more} --rate 60/s"));
    past.await_count("x", 60);
    job.kill();
    let came = result(&past.run_to(&format!("{more} --rate 0 --resume"), 0));
    assert_eq!(came["released"].as_u64(), Some(600));
    let expected = past.by_files("over-files", came["now"].as_str().unwrap(), &past.input_files());
    let topic = past.world.output("x");
    let lines: Vec<String> = past.read(&topic).iter().map(line_of).collect();
    assert_eq!(by_key(&lines), by_key(&expected[&topic]));
}

#[test]
fn another_template_leads_to_other_topics() {
    let past = world();
    let template = format!("old-{}.{{tenant}}.{{stream}}", past.world.name);
    past.run_to(&format!("--yes --rate 0 --job elsewhere --output topic:{template}"), 0);
    let topic = format!("old-{}.{}.telemetry", past.world.name, past.world.tenant("x"));
    assert_eq!((past.read(&topic).len(), past.read(&past.world.output("x")).len()), (600, 0));
}
