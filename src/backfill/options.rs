//! What a job is asked to do, in types that cannot be wrong.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::output::OutputTemplate;
use crate::id::{JobName, StreamIndex};
use crate::share::table::change::ShareParties;
use crate::time::{Period, TimestampMs, TimestampNs};

/// The event times that are looked at: from one up to, and without, the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    from: TimestampNs,
    to: TimestampNs,
}

impl Window {
    /// None if nothing lies between the two.
    pub fn new(from: TimestampNs, to: TimestampNs) -> Option<Self> {
        (from < to).then_some(Self { from, to })
    }

    /// The first moment that is in.
    pub fn from(self) -> TimestampNs {
        self.from
    }

    /// The first moment after it.
    pub fn to(self) -> TimestampNs {
        self.to
    }

    /// Whether the moment is in.
    pub fn contains(self, t: TimestampNs) -> bool {
        self.from <= t && t < self.to
    }
}

/// Which shares the job is about. Values of one kind are alternatives, all kinds must fit, and a kind without values fits all. What
/// names nothing fits nothing (docs/rules/backfill.md#filters).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ShareFilters {
    /// `--share`.
    pub shares: BTreeSet<String>,
    /// `--target`.
    pub targets: BTreeSet<String>,
    /// `--owner`.
    pub owners: BTreeSet<String>,
    /// `--asset`, in the owner's words.
    pub assets: BTreeSet<String>,
}

impl ShareFilters {
    /// Whether every share fits.
    pub fn fit_all(&self) -> bool {
        [&self.shares, &self.targets, &self.owners, &self.assets].into_iter().all(BTreeSet::is_empty)
    }

    /// Whether this share fits.
    pub fn fit(&self, share: &ShareParties<'_>) -> bool {
        let fits = |values: &BTreeSet<String>, value: Option<&str>| values.is_empty() || value.is_some_and(|value| values.contains(value));
        fits(&self.shares, Some(share.share))
            && fits(&self.targets, share.target)
            && fits(&self.owners, Some(share.owner))
            && fits(&self.assets, Some(share.asset))
    }
}

/// A job.
#[derive(Debug, Clone)]
pub struct JobOptions {
    /// The stream, an append stream.
    pub stream: StreamIndex,
    /// `--from` and `--to`.
    pub window: Window,
    /// Which shares it is about.
    pub filters: ShareFilters,
    /// `--dry-run`: all is decided, nothing is written.
    pub is_dry_run: bool,
    /// By which log it decides, and what goes from where to where.
    pub source: JobSource,
}

/// By which log a job decides.
#[derive(Debug, Clone)]
pub enum JobSource {
    /// `--control FILE`: files alone, without Kafka.
    Files(FileJob),
    /// The control topic of the live cluster.
    LiveLog(LiveJob),
}

/// A job over files alone.
#[derive(Debug, Clone)]
pub struct FileJob {
    /// Goes into each `_share`.
    pub name: JobName,
    /// `--control`.
    pub control: InputFile,
    /// `--input`, at least one, in the order given.
    pub inputs: Vec<InputFile>,
    /// `--at`; none is the control time of the log's last event.
    pub at: Option<TimestampMs>,
    /// `--output dir:PATH`; none where nothing is written and none was named.
    pub out: Option<FolderOutput>,
}

/// A file of one record a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputFile {
    /// `-`; at most one of a job's files.
    StandardInput,
    /// Any other.
    Path(PathBuf),
}

/// `dir:PATH`: a file for each topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderOutput {
    /// The directory.
    pub path: PathBuf,
    /// `--force`: what an earlier run wrote into it goes first.
    pub is_forced: bool,
}

/// A job by the live cluster's log.
#[derive(Debug, Clone)]
pub struct LiveJob {
    /// Its name, and whether it goes on.
    pub start: JobStart,
    /// Where the records are.
    pub input: LiveInput,
    /// Where they go.
    pub output: JobOutput,
    /// How fast it reads at most.
    pub rate: Rate,
    /// `--workers`; none is the configuration's.
    pub workers: Option<usize>,
    /// `--allow-expiring`.
    pub allows_expiring: bool,
    /// `--skip-failed-routes`.
    pub skips_failed_routes: bool,
    /// `--metrics ADDR`.
    pub metrics: Option<SocketAddr>,
    /// `--yes`: nobody is asked.
    pub is_confirmed: bool,
}

/// How a job begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobStart {
    /// Under a random name.
    Unnamed,
    /// Under a name that no job has yet.
    Named(JobName),
    /// `--resume`: where the job of this name ended.
    Resumed(JobName),
}

/// What a job by the live log reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveInput {
    /// The stream's topic.
    Topic {
        /// `--slack`: how far Kafka timestamps may lie from event times, on both sides.
        slack: Period,
    },
    /// `--input`: files, partitions 0, 1, … in the order given.
    Files(Vec<InputFile>),
}

/// Where a job by the live log writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutput {
    /// The tenants' own topics.
    Tenants,
    /// `topic:TEMPLATE`: topics of other names.
    Topics(OutputTemplate),
    /// `dir:PATH`.
    Folder(FolderOutput),
}

impl JobOutput {
    /// Whether topics get records.
    pub fn is_kafka(&self) -> bool {
        match self {
            Self::Tenants | Self::Topics(_) => true,
            Self::Folder(_) => false,
        }
    }
}

/// How much of the input is read in a second at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As much as there is.
    Unlimited,
    /// So many records, above 0.
    Records(u64),
    /// So many bytes, above 0.
    Bytes(u64),
}

impl Rate {
    /// 10 MB/s, where nothing is given.
    pub const STANDARD: Self = Self::Bytes(10_000_000);

    /// Reads `N/s`, `N B/s`, `N kB/s`, `N MB/s`, `N GB/s`, or 0 for none.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let number: u64 = number.parse().ok()?;
        let bytes = |size: u64| number.checked_mul(size).map(Self::Bytes);
        let rate = match unit.trim_start() {
            "" if number == 0 => Some(Self::Unlimited),
            "/s" if unit.starts_with('/') => Some(Self::Records(number)),
            "B/s" => bytes(1),
            "kB/s" => bytes(1_000),
            "MB/s" => bytes(1_000_000),
            "GB/s" => bytes(1_000_000_000),
            _ => None,
        };
        rate.map(|rate| if number == 0 { Self::Unlimited } else { rate })
    }
}

/// What is to be done about backfills.
#[derive(Debug, Clone)]
pub enum BackfillRequest {
    /// `--list`.
    List,
    /// `--forget JOB`.
    Forget(JobName),
    /// A job is run.
    Run(Box<JobOptions>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> TimestampNs {
        TimestampMs(millis).moment()
    }

    #[test]
    fn a_window_has_its_first_moment_and_not_its_last() {
        let window = Window::new(at(1), at(2)).unwrap();
        assert!(window.contains(at(1)) && !window.contains(at(2)) && !window.contains(at(0)));
        assert!(Window::new(at(1), at(1)).is_none() && Window::new(at(2), at(1)).is_none());
    }

    #[test]
    fn values_of_one_kind_are_alternatives_and_all_kinds_must_fit() {
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let share = ShareParties { share: "s1", owner: "northwind", asset: "NW-7", target: Some("acme") };
        let open = ShareParties { target: None, ..share };
        assert!(ShareFilters::default().fit(&share) && ShareFilters::default().fit(&open));
        let filters = ShareFilters { targets: set(&["zenith", "acme"]), assets: set(&["NW-7"]), ..ShareFilters::default() };
        assert!(filters.fit(&share) && !filters.fit(&open));
        assert!(!ShareFilters { owners: set(&["acme"]), ..filters.clone() }.fit(&share));
        assert!(!ShareFilters { shares: set(&["no id at all"]), ..filters }.fit(&share));
    }

    #[test]
    fn a_rate_is_of_records_or_of_bytes() {
        for (text, rate) in [
            ("0", Rate::Unlimited),
            ("0/s", Rate::Unlimited),
            ("500/s", Rate::Records(500)),
            ("10MB/s", Rate::STANDARD),
            ("10 MB/s", Rate::STANDARD),
            ("64 kB/s", Rate::Bytes(64_000)),
        ] {
            assert_eq!(Rate::parse(text), Some(rate), "{text}");
        }
        for text in ["", "5", "-1/s", "5 /s", "1.5MB/s", "5MB", "MB/s", "99999999999999999999/s", "5 mb/s"] {
            assert_eq!(Rate::parse(text), None, "{text}");
        }
    }
}
