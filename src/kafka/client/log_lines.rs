//! librdkafka's log lines: the first of a kind is written at once, those like it are counted, and told in one line a minute.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::kafka::client::Deadline;

/// So long lines of a kind are counted.
const WINDOW: Duration = Duration::from_secs(60);
/// So many characters of a line make its kind.
const KIND_LENGTH: usize = 120;

/// Writes a line, or counts it. Levels are syslog's.
pub(super) fn say(level: i32, facility: &str, line: &str) {
    static KINDS: LazyLock<Mutex<Kinds>> = LazyLock::new(Mutex::default);
    // That producers must not make topics either is a warning to librdkafka, and meant so here.
    // So is that a refused record ends its producer, which is experimental as a setting and simple in what it does.
    if facility == "CONFWARN" && ["allow.auto.create.topics", "enable.gapless.guarantee"].iter().any(|meant| line.contains(meant)) {
        return;
    }
    let level = level_of(level, facility);
    let told = KINDS.lock().unwrap_or_else(PoisonError::into_inner).take(Deadline::now(), level, facility, line);
    told.iter().for_each(Told::write);
}

/// A transaction that can be aborted is an error to librdkafka at each hand-over of partitions. Whoever called gets the same error, and says
/// what follows from it. A fatal one comes with another level.
fn level_of(level: i32, facility: &str) -> i32 {
    const ERR: i32 = 3;
    const DEBUG: i32 = 7;
    if facility == "TXNERR" && level == ERR { DEBUG } else { level }
}

/// One line to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    level: i32,
    facility: String,
    line: String,
}

impl Told {
    fn write(&self) {
        let Self { level, facility, line } = self;
        match level {
            0..=3 => tracing::error!(target: "librdkafka", facility, "{line}"),
            4 => tracing::warn!(target: "librdkafka", facility, "{line}"),
            5 | 6 => tracing::info!(target: "librdkafka", facility, "{line}"),
            _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
        }
    }
}

/// Lines that differ in numbers only are of one kind.
#[derive(Debug, Default)]
struct Kinds(HashMap<(i32, String), Repeats>);

#[derive(Debug)]
struct Repeats {
    since: Instant,
    /// Those that were counted and not written.
    count: u32,
    last: Told,
}

impl Kinds {
    /// What is to be written now that this line has come.
    fn take(&mut self, now: Instant, level: i32, facility: &str, line: &str) -> Vec<Told> {
        let told = Told { level, facility: facility.to_owned(), line: line.to_owned() };
        let mut out = Vec::new();
        let kind = (level, kind_of(facility, line));
        match self.0.get_mut(&kind) {
            Some(repeats) => {
                repeats.count += 1;
                repeats.last = told;
            }
            None => {
                out.push(told.clone());
                self.0.insert(kind, Repeats { since: now, count: 0, last: told });
            }
        }
        self.0.retain(|_, repeats| {
            if now.duration_since(repeats.since) < WINDOW {
                return true;
            }
            if repeats.count == 0 {
                return false;
            }
            let line = format!("{} ({} like it in a minute)", repeats.last.line, repeats.count);
            out.push(Told { line, ..repeats.last.clone() });
            (repeats.since, repeats.count) = (now, 0);
            true
        });
        out
    }
}

/// The text without the thread that says it and without its numbers: ports, ids, milliseconds.
fn kind_of(facility: &str, line: &str) -> String {
    let line = line.strip_prefix("[thrd:").and_then(|rest| rest.split_once("]: ")).map_or(line, |(_, rest)| rest);
    let mut kind = format!("{facility} ");
    let mut in_number = false;
    for c in line.chars().take(KIND_LENGTH) {
        if c.is_ascii_digit() {
            if !in_number {
                kind.push('#');
            }
        } else {
            kind.push(c);
        }
        in_number = c.is_ascii_digit();
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(told: Vec<Told>) -> Vec<String> {
        told.into_iter().map(|told| told.line).collect()
    }

    #[test]
    fn a_transaction_that_can_be_aborted_is_no_error_of_the_log_and_a_fatal_one_stays_one() {
        assert_eq!(level_of(3, "TXNERR"), 7);
        assert_eq!(level_of(1, "TXNERR"), 1);
        assert_eq!(level_of(3, "FAIL"), 3);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "a point to count from")]
    fn of_thousands_of_a_kind_one_is_written_and_then_one_a_minute_with_their_number() {
        let (start, mut kinds) = (Instant::now(), Kinds::default());
        let at = |ms: u64| start + Duration::from_millis(ms);
        let line = |n: u64| format!("[thrd:127.0.0.1:{n}/1]: 127.0.0.1:{n}/1: Connect failed (after {n}ms in state CONNECT)");
        assert_eq!(lines(kinds.take(at(0), 3, "FAIL", &line(7))), [line(7)]);
        for n in 1..5000 {
            assert_eq!(lines(kinds.take(at(n * 10), 3, "FAIL", &line(n))), [""; 0]);
        }
        assert_eq!(lines(kinds.take(at(50_000), 4, "FAIL", &line(1))), [line(1)], "another level is another kind");
        assert_eq!(lines(kinds.take(at(50_001), 3, "FAIL", "SSL handshake failed")), ["SSL handshake failed"]);
        assert_eq!(lines(kinds.take(at(60_000), 3, "FAIL", &line(9))), [format!("{} (5000 like it in a minute)", line(9))]);
        assert_eq!(lines(kinds.take(at(60_001), 3, "FAIL", &line(10))), [""; 0]);
        // What was never repeated is forgotten, what was counted is told when anything comes.
        let told = lines(kinds.take(at(200_000), 6, "X", "other"));
        assert_eq!(told, ["other".to_owned(), format!("{} (1 like it in a minute)", line(10))]);
        assert_eq!(kinds.0.len(), 2);
    }
}
