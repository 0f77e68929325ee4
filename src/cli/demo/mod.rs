//! `sharecast demo`: the engine on a cluster inside this process, and a story that shows what it does.

mod compare;
mod fleet;
mod halt;
mod page;
mod profiles;
mod stage;
mod story;

use std::sync::Arc;
use std::time::Duration;

use halt::Halt;
use page::{Page, Tone};
use stage::{READERS, Stage};
use story::Story;

use super::exit::{Exit, Failure};
use super::{logging, signal::stop_on_signal};
use crate::clock::{Clock, SystemClock};
use crate::config::{LogConfig, LogFormat, LogLevel};
use crate::topic::OwnTopics;

/// How the demo runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the story; exit 1 if it did not come true
    #[arg(long)]
    ci: bool,
}

/// A line about what flows is printed this often.
const NEWS_EVERY: Duration = Duration::from_secs(5);

/// Tells the story, then keeps records flowing until Ctrl-C.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    // A start is not without warnings; they are for whoever looks into a failed run.
    let level = if args.ci { LogLevel::Warn } else { LogLevel::Error };
    logging::init(&LogConfig { format: LogFormat::Text, level });
    let failed = |halt: Halt| Failure::new(Exit::Failed, format!("the story did not come true: {halt}"));
    let began = SystemClock.boot();
    let stop = stop_on_signal()?;
    let mut page = Page::on_stdout();
    page.line(&page.toned(Tone::Heading, "sharecast demo"));
    page.line("");
    let mut stage = Stage::start(Arc::clone(&stop)).map_err(failed)?;
    introduce(&page, &stage);
    let mut told = Story { page: &mut page, stage: &mut stage }.tell();
    if told.is_ok() {
        conclude(&page, SystemClock.boot().since(began));
        if !args.ci {
            flow_on(&page, &mut stage);
        }
    }
    let ended = stage.end();
    if matches!(told, Err(Halt::Stopped)) && !args.ci {
        page.line("\nstopped");
        told = Ok(());
    }
    // An engine that ended by itself is the cause of whatever else went wrong.
    ended.and(told).map(|()| Exit::Ok).map_err(failed)
}

fn introduce(page: &Page, stage: &Stage) {
    page.say("northwind hires out construction machines. acme hires them, fixit repairs them, safeco");
    page.say("insures them. All of them want the machines' data, none of them shall have all of it.");
    page.say(&format!("The machines {} send a record every 50 ms to northwind's own topic.", story::fleet()));
    page.line("");
    page.aside(&format!("Kafka       {}   a mock cluster inside this process, gone when it ends", stage.bootstrap()));
    page.aside(&format!("the engine  http://{}/metrics and /readyz?verbose", stage.http));
    page.aside(&format!("read along  kcat -q -b {} -C -t share.acme.telemetry", stage.bootstrap()));
}

fn conclude(page: &Page, took: Duration) {
    page.line("");
    page.line(&page.toned(Tone::Good, &format!("All of it came true, in {} s.", took.as_secs())));
    page.line("");
    page.say("What this does not prove, because the cluster is a mock: that nothing is lost or doubled when");
    page.say("processes die. It shows the records of aborted transactions, keeps no consumer offsets, lets");
    page.say("zombies write, and forgets beyond 5 MiB a partition. So the demo has one worker, and the");
    page.say("tests prove exactly-once on real Kafka: ./scripts/test. Upsert streams (details) are not shown.");
}

/// Goes on until Ctrl-C, with news now and then.
fn flow_on(page: &Page, stage: &mut Stage) {
    let program = std::env::args().next().unwrap_or_else(|| "sharecast".into());
    page.line("");
    page.line(&page.toned(Tone::Heading, "Records keep flowing until you press Ctrl-C. Meanwhile, in another terminal:"));
    page.line("");
    for line in [
        format!("kcat -q -b {} -C -t share.safeco.telemetry -o -1", stage.bootstrap()),
        format!("kcat -q -b {} -C -t {} -e", stage.bootstrap(), OwnTopics::standard().shares),
        format!("export SHARECAST__KAFKA__BOOTSTRAP={}", stage.bootstrap()),
        format!("{program} share pause policy-7 --as northwind"),
        format!("{program} share resume policy-7 --as northwind"),
    ] {
        page.line(&page.toned(Tone::Command, &format!("   {line}")));
    }
    page.line("");
    stage.seen.clear();
    let mut next = SystemClock.boot().after(NEWS_EVERY);
    let (mut sent, mut got) = (stage.sent(), [0; READERS.len()]);
    while !stage.is_over() {
        stage.read_for(Duration::from_millis(100));
        for arrival in stage.seen.drain(..) {
            if let Some(at) = READERS.iter().position(|tenant| story::is_of(&arrival, tenant)) {
                got[at] += 1;
            }
        }
        if SystemClock.boot() >= next {
            next = next.after(NEWS_EVERY);
            let before = std::mem::replace(&mut sent, stage.sent());
            let parts: Vec<String> = READERS.iter().zip(got).map(|(tenant, count)| format!("{tenant} {count:>3}")).collect();
            page.aside(&format!("in the last 5 s: the machines sent {}, {}", sent - before, parts.join(", ")));
            got = [0; READERS.len()];
        }
    }
    page.line("\nstopped");
}
