//! One `sharecast run` as a process of its own: started, killed, stopped, asked and listened to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use sharecast::clock::{BootTime, Clock, SystemClock};

use super::broker::PATIENCE;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sharecast");

/// Between two questions to what cannot say by itself that it has changed.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(25);

/// When patience ends.
#[derive(Clone, Copy)]
pub(crate) struct Patience(BootTime);

impl Patience {
    pub(crate) fn begin() -> Self {
        Self(SystemClock.boot().after(PATIENCE))
    }

    /// As long, this many times: for what takes several time-outs one after the other.
    pub(crate) fn times(factor: u32) -> Self {
        Self(SystemClock.boot().after(PATIENCE * factor))
    }

    pub(crate) fn is_over(self) -> bool {
        SystemClock.boot() >= self.0
    }
}

/// Asks until the answer is yes; `what` says what was waited for in vain.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let patience = Patience::begin();
    while !is_so() {
        assert!(!patience.is_over(), "waited in vain: {what}");
        std::thread::sleep(ASK_AGAIN);
    }
}

type Lines = Arc<(Mutex<Vec<String>>, Condvar)>;

/// A running instance. It is killed with its owner.
pub(crate) struct Instance {
    child: Child,
    lines: Lines,
    /// Takes its lines, until there will be no more.
    listener: Option<JoinHandle<()>>,
}

impl Instance {
    /// Runs the engine with this configuration.
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_with(config, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(config: &Path, arguments: &[&str]) -> Self {
        Self::start_as(config, &[&["run"][..], arguments].concat(), &[])
    }

    /// Runs another command that goes on until it is told to end.
    pub(crate) fn start_as(config: &Path, words: &[&str], env: &[(&str, &str)]) -> Self {
        let mut child = Command::new(BINARY)
            .args(words)
            .arg("-c")
            .arg(config)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let lines = Lines::default();
        let (told, errors) = (Arc::clone(&lines), child.stderr.take().unwrap());
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                told.0.lock().unwrap().push(line);
                told.1.notify_all();
            }
        });
        Self { child, lines, listener: Some(listener) }
    }

    /// Waits for a line of the log that has all of these texts.
    pub(crate) fn await_line(&self, texts: &[&str]) -> String {
        let (lines, told) = &*self.lines;
        let has_all = |line: &&String| texts.iter().all(|text| line.contains(text));
        let lines = lines.lock().unwrap();
        let (lines, _) = told.wait_timeout_while(lines, PATIENCE, |lines| !lines.iter().any(|line| has_all(&line))).unwrap();
        let found = lines.iter().find(has_all).cloned();
        drop(lines);
        found.unwrap_or_else(|| panic!("no line with {texts:?}"))
    }

    /// Everything that was logged so far.
    pub(crate) fn log(&self) -> String {
        self.lines.0.lock().unwrap().join("\n")
    }

    /// Where it listens, as it says itself; none before it does.
    fn address(&self) -> Option<String> {
        let lines = self.lines.0.lock().unwrap();
        let line = lines.iter().find(|line| line.contains("serving /metrics"))?;
        Some(line.split("address=").nth(1)?.split_whitespace().next()?.to_owned())
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Status and body of `path`; none while nobody listens.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(self.address()?).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.split(' ').nth(1)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }

    pub(crate) fn await_ready(&self) {
        await_that("ready", || matches!(self.get("/readyz"), Some((200, _))));
    }

    /// Waits until `/readyz` is 503 and says this; returns all it says.
    pub(crate) fn await_not_ready(&self, because: &str) -> String {
        let mut said = String::new();
        await_that(because, || match self.get("/readyz?verbose") {
            Some((503, body)) if body.contains(because) => {
                said = body;
                true
            }
            _ => false,
        });
        said
    }

    /// The offset of the last control record that it decides by; none while it does not say.
    pub(crate) fn epoch(&self) -> Option<i64> {
        let (_, page) = self.get("/metrics")?;
        let epoch = page.lines().find_map(|line| line.strip_prefix("sharecast_epoch ")?.parse::<f64>().ok())?;
        Some(epoch as i64)
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal: `STOP`, `CONT`, `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Ends it in order; it must end well.
    pub(crate) fn terminate(mut self) {
        self.signal("TERM");
        assert_eq!(self.await_exit(), 0, "{}", self.log());
    }

    /// Waits until it has ended by itself, and all that it said is in the log; returns its exit code.
    pub(crate) fn await_exit(&mut self) -> i32 {
        let mut code = None;
        await_that("the process ends", || {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        // What it said last may still be on its way.
        self.listener.take().into_iter().for_each(|listener| listener.join().unwrap());
        code.unwrap().code().expect("an exit code")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            assert!(!self.log().contains("panicked"), "{}", self.log());
        } else {
            eprintln!("the log of an instance:\n{}\n", self.log());
        }
    }
}

/// A command of the binary, run to its end.
pub(crate) fn command(config: &Path, arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).arg("-c").arg(config).stdin(Stdio::null()).output().expect("the binary runs")
}

/// The same for a command line whose words have no spaces.
pub(crate) fn output(config: &Path, line: &str) -> Output {
    command(config, &line.split(' ').collect::<Vec<_>>())
}

/// Runs such a command, which must end with this code; returns what it printed.
pub(crate) fn run(config: &Path, line: &str, code: i32) -> String {
    let output = output(config, line);
    assert_eq!(output.status.code(), Some(code), "{line}: {output:?}");
    printed(&output)
}

/// What a command printed to standard output.
pub(crate) fn printed(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Writes a file beside others of the test.
pub(crate) fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}
