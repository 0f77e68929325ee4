//! How far a job is, on stderr: a bar on a terminal, else a line every ten seconds.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::clock::BootTime;

const BAR_EVERY: Duration = Duration::from_millis(200);
const LINE_EVERY: Duration = Duration::from_secs(10);
const BAR_WIDTH: usize = 24;

/// What was done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Done {
    /// Records read.
    pub(crate) records: u64,
    /// Bytes of the input read.
    pub(crate) bytes: u64,
    /// Bytes of the whole input, where that is known.
    pub(crate) total: Option<u64>,
}

/// Shows progress when it is time to.
#[derive(Debug)]
pub(crate) struct ProgressBar {
    is_terminal: bool,
    began: BootTime,
    shown: BootTime,
    /// Whether the line under the cursor is a bar.
    is_drawn: bool,
}

impl ProgressBar {
    /// Begins now.
    pub(crate) fn begin(now: BootTime) -> Self {
        Self { is_terminal: io::stderr().is_terminal(), began: now, shown: now, is_drawn: false }
    }

    /// Shows what is done, if nothing was shown for a while.
    pub(crate) fn show(&mut self, done: Done, now: BootTime) {
        if now.since(self.shown) < if self.is_terminal { BAR_EVERY } else { LINE_EVERY } {
            return;
        }
        self.shown = now;
        let words = in_words(done, now.since(self.began));
        // Nobody waits for a bar that cannot be drawn.
        let _ = match (self.is_terminal, done.total) {
            (true, Some(total)) => write!(io::stderr(), "\r\x1b[2K{} {words}", bar(done.bytes, total)),
            (true, None) => write!(io::stderr(), "\r\x1b[2K{words}"),
            (false, _) => writeln!(io::stderr(), "{words}"),
        };
        self.is_drawn = self.is_terminal;
    }

    /// Takes the bar away, so that other lines can follow.
    pub(crate) fn clear(&mut self) {
        if std::mem::take(&mut self.is_drawn) {
            let _ = write!(io::stderr(), "\r\x1b[2K");
        }
    }
}

fn bar(done: u64, total: u64) -> String {
    let filled = if total == 0 { BAR_WIDTH } else { (done.min(total) as u128 * BAR_WIDTH as u128 / u128::from(total)) as usize };
    format!("[{}{}]", "#".repeat(filled), ".".repeat(BAR_WIDTH - filled))
}

fn in_words(done: Done, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    let mut words = String::new();
    if let Some(total) = done.total {
        let share = if total == 0 { 100.0 } else { done.bytes.min(total) as f64 / total as f64 * 100.0 };
        words += &format!("{share:.0} %, ");
    }
    words += &format!("{} records, {}", done.records, bytes_in_words(done.bytes));
    if let Some(total) = done.total {
        words += &format!(" of {}", bytes_in_words(total));
    }
    words += &format!(", {:.0} records/s, {}/s", done.records as f64 / seconds, bytes_in_words((done.bytes as f64 / seconds) as u64));
    if let Some(total) = done.total.filter(|_| done.bytes > 0) {
        let left = total.saturating_sub(done.bytes) as f64 / (done.bytes as f64 / seconds);
        words += &format!(", {} left", duration_in_words(left.ceil() as u64));
    }
    words
}

/// Bytes in a unit that people read.
pub(crate) fn bytes_in_words(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

fn duration_in_words(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_what_is_done_how_fast_and_how_long_it_takes() {
        let done = Done { records: 1000, bytes: 500_000, total: Some(2_000_000) };
        let words = in_words(done, Duration::from_secs(10));
        assert_eq!(words, "25 %, 1000 records, 500.0 kB of 2.0 MB, 100 records/s, 50.0 kB/s, 30s left");
        let unknown = in_words(Done { total: None, ..done }, Duration::from_secs(10));
        assert_eq!(unknown, "1000 records, 500.0 kB, 100 records/s, 50.0 kB/s");
        assert!(!in_words(Done { bytes: 0, ..done }, Duration::ZERO).contains("left"), "nothing is known of a rate yet");
    }

    #[test]
    fn a_bar_is_as_full_as_the_job_is_done() {
        assert_eq!(bar(0, 10).matches('#').count(), 0);
        assert_eq!(bar(5, 10).matches('#').count(), BAR_WIDTH / 2);
        assert_eq!(bar(11, 10).matches('#').count(), BAR_WIDTH, "a file may grow");
        assert_eq!(bar(0, 0).matches('#').count(), BAR_WIDTH);
    }

    #[test]
    fn times_left_are_short() {
        assert_eq!([59, 61, 3_720].map(duration_in_words), ["59s", "1m 01s", "1h 02m"]);
    }
}
