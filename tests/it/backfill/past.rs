//! A world with a past: old records in its input, and jobs over them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use sharecast::clock::{Clock, SystemClock};
use sharecast::time::TimestampMs;

use crate::broker::{Cluster, PATIENCE, Seen};
use crate::fixture::{World, feeder};
use crate::instance::{BINARY, await_that, command};

/// The owner of everything.
pub(crate) const OWNER: &str = "o";
const HOUR_MS: i64 = 3_600_000;

/// Old records, and who has shared what they are about.
pub(crate) struct Past<'c> {
    pub(crate) world: World<'c>,
    pub(crate) dir: tempfile::TempDir,
    /// When the first record was true, in whole seconds.
    pub(crate) begins: TimestampMs,
    pub(crate) config: OnceLock<PathBuf>,
}

impl<'c> Past<'c> {
    /// A world with so many input partitions, whose records are about an hour old.
    pub(crate) fn new(cluster: &'c Cluster, partitions: i32) -> Self {
        let mut world = World::new(cluster, partitions, "");
        world.set_more("workers: 2\n");
        world.make_control();
        let begins = TimestampMs((SystemClock.wall().0 - HOUR_MS) / 1000 * 1000);
        Self { world, dir: tempfile::tempdir().unwrap(), begins, config: OnceLock::new() }
    }

    /// A record of `asset`, `number` seconds after the first moment.
    pub(crate) fn record(&self, asset: &str, number: i64) -> String {
        let (tenant, ts) = (self.world.tenant(OWNER), self.begins.0 / 1000 + number);
        format!(r#"{{"tenant":"{tenant}","asset":"{asset}","ts":{ts},"n":{number}}}"#)
    }

    /// Writes old records to a partition, each with the time that it tells.
    pub(crate) fn feed(&self, partition: i32, records: impl IntoIterator<Item = (i64, String)>) {
        let producer = feeder(self.world.cluster);
        for (number, value) in records {
            let at = self.begins.0 + number * 1000;
            let record = BaseRecord::to(&self.world.input).partition(partition).key("k").payload(&value).timestamp(at);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// The same in a transaction that is committed, or one that is aborted.
    pub(crate) fn feed_in_transaction(&self, partition: i32, records: impl IntoIterator<Item = (i64, String)>, is_committed: bool) {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.world.cluster.bootstrap).set("transactional.id", format!("feeder-{}", self.world.name));
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        producer.begin_transaction().unwrap();
        for (number, value) in records {
            let at = self.begins.0 + number * 1000;
            let record = BaseRecord::to(&self.world.input).partition(partition).key("k").payload(&value).timestamp(at);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
        if is_committed { producer.commit_transaction(PATIENCE).unwrap() } else { producer.abort_transaction(PATIENCE).unwrap() }
    }

    /// Records of these assets, `count` of them, one asset after the other, each asset in one partition.
    pub(crate) fn feed_assets(&self, assets: &[&str], partitions: i32, count: i64) {
        for partition in 0..partitions {
            let is_its = |number: &i64| (*number as usize % assets.len()) as i32 % partitions == partition;
            let record = |number| (number, self.record(assets[number as usize % assets.len()], number));
            self.feed(partition, (0..count).filter(is_its).map(record));
        }
    }

    /// `--from` and `--to` around everything.
    pub(crate) fn window(&self) -> [String; 4] {
        let to = TimestampMs(self.begins.0 + 2 * HOUR_MS);
        ["--from".to_owned(), self.begins.moment().to_string(), "--to".to_owned(), to.moment().to_string()]
    }

    /// The arguments of a job: stream, window, and these words.
    pub(crate) fn arguments(&self, more: &str) -> Vec<String> {
        let stream = ["backfill", "--stream", "telemetry"].map(str::to_owned);
        stream.into_iter().chain(self.window()).chain(more.split_whitespace().map(str::to_owned)).collect()
    }

    /// The configuration of jobs, written once: others may be reading it.
    pub(crate) fn config(&self) -> PathBuf {
        self.config.get_or_init(|| self.world.config("jobs")).clone()
    }

    /// Runs a job to its end.
    pub(crate) fn run(&self, more: &str) -> Output {
        let arguments = self.arguments(more);
        command(&self.config(), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs a job, which must end with this code; returns what it printed.
    pub(crate) fn run_to(&self, more: &str, code: i32) -> String {
        let output = self.run(more);
        assert_eq!(output.status.code(), Some(code), "{more}: {output:#?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts a job.
    pub(crate) fn start(&self, more: &str) -> RunningJob {
        RunningJob::start(&self.config(), &self.arguments(more))
    }

    /// What a topic holds for a read-committed reader.
    pub(crate) fn read(&self, topic: &str) -> Vec<Seen> {
        if self.world.cluster.admin().topic(topic).unwrap().is_some() { self.world.cluster.read(topic) } else { Vec::new() }
    }

    /// Waits until a target has so many records.
    pub(crate) fn await_count(&self, target: &str, count: usize) {
        await_that("records", || self.read(&self.world.output(target)).len() >= count);
    }

    /// What the form without Kafka writes of this log and these inputs, by topic: its lines.
    pub(crate) fn by_files(&self, job: &str, now: &str, inputs: &[PathBuf]) -> BTreeMap<String, Vec<String>> {
        let (control, out) = (self.dir.path().join("control.ndjson"), self.dir.path().join(format!("by-files-{job}")));
        let dump = command(&self.config(), &["control", "dump"]);
        assert!(dump.status.success(), "{dump:?}");
        std::fs::write(&control, dump.stdout).unwrap();
        let mut arguments =
            self.arguments(&format!("--job {job} --at {now} --output dir:{} --control {}", out.display(), control.display()));
        arguments.extend(inputs.iter().flat_map(|input| ["--input".to_owned(), format!("telemetry={}", input.display())]));
        let output = command(&self.config(), &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(output.status.success(), "{output:?}");
        lines_of(&out)
    }

    /// The input as files of one record a line, one a partition, as a read-committed reader sees it.
    pub(crate) fn input_files(&self) -> Vec<PathBuf> {
        let mut files: BTreeMap<i32, String> = BTreeMap::new();
        for seen in self.read(&self.world.input) {
            let at = TimestampMs(seen.timestamp_ms).moment();
            let raw = serde_json::to_string(&seen.value).unwrap();
            let line = format!("{{\"key\":\"k\",\"timestamp\":\"{at}\",\"raw\":{raw}}}\n");
            files.entry(seen.partition).or_default().push_str(&line);
        }
        let write = |(partition, text): (i32, String)| crate::instance::file(self.dir.path(), &format!("input-{partition}.ndjson"), &text);
        files.into_iter().map(write).collect()
    }
}

/// The lines of each file of a folder, by topic.
pub(crate) fn lines_of(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let mut topics = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if let Some(topic) = entry.file_name().unwrap().to_str().unwrap().strip_suffix(".ndjson") {
            let lines = std::fs::read_to_string(&entry).unwrap().lines().map(str::to_owned).collect();
            topics.insert(topic.to_owned(), lines);
        }
    }
    topics
}

/// A record of a topic as a line of a file.
pub(crate) fn line_of(seen: &Seen) -> String {
    let (key, at) = (seen.key.as_deref().unwrap(), TimestampMs(seen.timestamp_ms).moment());
    format!(r#"{{"key":"{key}","timestamp":"{at}","value":{}}}"#, seen.value.as_deref().unwrap())
}

/// Lines by their key, each key's in order: keys of several input partitions lie side by side in one topic.
pub(crate) fn by_key(lines: &[String]) -> BTreeMap<String, Vec<String>> {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in lines {
        let key = line.split('"').nth(3).unwrap().to_owned();
        keys.entry(key).or_default().push(line.clone());
    }
    keys
}

/// A job that runs as a process of its own. It is killed with its owner.
pub(crate) struct RunningJob {
    child: Child,
    told: Arc<Mutex<String>>,
    /// Takes what it says, until there will be no more.
    listener: Option<JoinHandle<()>>,
}

impl RunningJob {
    fn start(config: &Path, arguments: &[String]) -> Self {
        let mut child = Command::new(BINARY)
            .args(arguments)
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let told = Arc::<Mutex<String>>::default();
        let (heard, errors) = (Arc::clone(&told), child.stderr.take().unwrap());
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut heard = heard.lock().unwrap();
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        Self { child, told, listener: Some(listener) }
    }

    /// What it has said on standard error.
    pub(crate) fn told(&self) -> String {
        self.told.lock().unwrap().clone()
    }

    /// Kills it as `kill -9` does; it must still run.
    pub(crate) fn kill(mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "{}", self.told());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap().success());
    }

    /// Waits until it has ended by itself; returns its exit code and what it printed.
    pub(crate) fn await_exit(mut self) -> (Option<i32>, String, String) {
        let mut status = None;
        await_that("the job ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        // What it said last may still be on its way.
        self.listener.take().into_iter().for_each(|listener| listener.join().unwrap());
        let mut printed = String::new();
        std::io::Read::read_to_string(self.child.stdout.as_mut().unwrap(), &mut printed).unwrap();
        (status.unwrap().code(), printed, self.told())
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("what a job has said:\n{}\n", self.told());
        }
    }
}

/// A member of a job's result in JSON.
pub(crate) fn result(printed: &str) -> serde_json::Value {
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}
