//! What the workers of this process decide by, told to those who wait for it: `share revoke --wait` is certain of the cut once
//! every member of the group has reported an epoch that contains it (docs/rules/fence.md#being-certain).
//!
//! A worker notes the epoch from which on it decides, and decides by no older graph, where no transaction of it is open. What it has reported
//! stays true for as long as it lives, so a report may be old and is never wrong. Reports are written when an event has passed that
//! changed a share: not more often than somebody can wait for one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::debug;

use crate::clock::Clock;
use crate::config::{Config, Delivery};
use crate::document::{DocumentKind, Node};
use crate::id::Epoch;
use crate::json::document;
use crate::json::writer::object;
use crate::live::Live;
use crate::time::{TimestampMs, TimestampNs};
use crate::transport::ProduceError;

/// The epochs are looked at this often, and written at most once between two looks.
const EVERY: Duration = Duration::from_millis(200);

/// The least epochs of all workers of a process, in the order in which they began.
pub type WorkerEpochs = Arc<Mutex<Vec<Arc<WorkerEpoch>>>>;

/// Member ids of a group, each with the least epoch that its worker decides by.
pub type Members = BTreeMap<String, Epoch>;

/// A member's id in its group, once it has one.
#[derive(Debug, Default)]
pub struct MemberId(Mutex<Option<String>>);

impl MemberId {
    /// It is this member now.
    pub fn set(&self, id: Option<String>) {
        *self.0.lock().expect("only replaced") = id;
    }

    /// Which member it is.
    pub fn get(&self) -> Option<String> {
        self.0.lock().expect("only replaced").clone()
    }
}

/// The least epoch that one worker decides by.
#[derive(Debug)]
pub struct WorkerEpoch {
    /// It decides by no graph older than this; -1 before the first.
    epoch: AtomicI64,
    member: MemberId,
}

impl WorkerEpoch {
    /// Of a worker that is beginning.
    pub fn new(said: &WorkerEpochs) -> Arc<Self> {
        let saying = Arc::new(Self { epoch: AtomicI64::new(-1), member: MemberId::default() });
        said.lock().expect("only pushed to").push(Arc::clone(&saying));
        saying
    }

    /// From here on it decides by no graph older than `epoch`. Called where no transaction is open.
    pub fn set_min_epoch(&self, epoch: Epoch) {
        self.epoch.store(epoch.0, Ordering::Release);
    }

    /// By no older graph than this it decides.
    pub fn min_epoch(&self) -> Epoch {
        Epoch(self.epoch.load(Ordering::Acquire))
    }

    /// It is this member of the group now.
    pub fn is_member(&self, id: Option<String>) {
        self.member.set(id);
    }
}

/// Writes one fact to `sharecast.state`.
pub trait StateWriter: Send {
    /// Returns once it is acknowledged.
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), ProduceError>;

    /// Takes the fact back; returns once that is acknowledged.
    fn take_back(&mut self, key: &str) -> Result<(), ProduceError>;
}

/// The reporter's thread.
pub struct Reporter<W> {
    /// What is reported.
    pub said: WorkerEpochs,
    /// Tells which event changed a share last.
    pub live: Arc<Live>,
    /// Where it is reported.
    pub writer: W,
    /// Of this process's report.
    pub key: String,
    /// How many workers it has.
    pub workers: usize,
    /// The one that takes part in the election of the status writer.
    pub status: Arc<MemberId>,
    /// How its workers commit.
    pub terms: CommitTerms,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised when the process ends.
    pub stop: Arc<AtomicBool>,
}

impl<W: StateWriter> Reporter<W> {
    /// Reports until told to stop. What cannot be written is written in a later round.
    pub fn run(mut self) {
        let (mut reported, mut beside) = (Members::new(), OtherParts { workers: self.workers, status_member: None });
        while !self.stop.load(Ordering::Relaxed) {
            self.clock.sleep(EVERY);
            let said = self.said();
            let parts = OtherParts { workers: self.workers, status_member: self.status.get() };
            let is_other = parts != beside && !said.is_empty();
            if !is_other && !is_worth_a_report(&reported, &said, self.live.load().newest_change) {
                continue;
            }
            match self.writer.put(&self.key, &write(&said, self.clock.wall(), self.terms, Some(&parts))) {
                Ok(()) => (reported, beside) = (said, parts),
                Err(error) => debug!(%error, "what the workers decide by could not be reported"),
            }
        }
    }

    fn said(&self) -> Members {
        let said = self.said.lock().expect("only pushed to");
        let of_worker = |saying: &Arc<WorkerEpoch>| {
            // The epoch first: it may have been said under an older id, but by the same worker.
            let epoch = saying.min_epoch();
            Some((saying.member.get()?, epoch))
        };
        said.iter().filter_map(of_worker).collect()
    }
}

/// Whether others have something to learn: other members, or a change of shares that was not passed by all at the last report.
fn is_worth_a_report(reported: &Members, said: &Members, newest_change: Epoch) -> bool {
    let Some(oldest) = said.values().min() else { return false };
    let is_same = reported.keys().eq(said.keys());
    !is_same || reported.values().min().is_none_or(|before| oldest > before && newest_change > *before)
}

/// What a report says of a process whose records have no transactions: for such there is no bound but its reports.
const DELIVERY: &str = "delivery";
const AT_LEAST_ONCE: &str = "at_least_once";

/// How long its transactions may stay open. Members of one group may have other time-outs than whoever waits, above all while one version
/// takes the place of another.
const TRANSACTION_TIMEOUT: &str = "transaction_timeout_ms";
/// Of an engine that does not say: that of the version before, unless its configuration had another one.
pub const UNSAID_TRANSACTION_TIMEOUT: Duration = Duration::from_secs(15);

/// What bounds the commits of who makes a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitTerms {
    /// How append streams are delivered.
    pub delivery: Delivery,
    /// `transaction.timeout.ms`.
    pub transaction_timeout: Duration,
}

impl CommitTerms {
    /// As the configuration says.
    pub fn of(config: &Config) -> Self {
        let transaction_timeout = Duration::from_millis(config.kafka.transaction_timeout.millis());
        Self { delivery: config.delivery, transaction_timeout }
    }
}

/// How many workers an engine has: each has a transactional.id, whether or not it is a member yet.
const WORKERS: &str = "workers";
/// Its member of the group that elects the status writer.
const STATUS_MEMBER: &str = "status_member";

/// What an engine has with the cluster besides its workers' members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherParts {
    /// How many workers it has.
    pub workers: usize,
    /// Its member of the group that elects the status writer.
    pub status_member: Option<String>,
}

/// A report's value. A backfill has no other parts.
pub fn write(members: &Members, at: TimestampMs, terms: CommitTerms, parts: Option<&OtherParts>) -> Vec<u8> {
    object(|out| {
        out.object("members", |out| members.iter().for_each(|(member, epoch)| out.number(member, epoch.0)));
        out.time("at", at.moment());
        out.text("version", env!("CARGO_PKG_VERSION"));
        out.number(TRANSACTION_TIMEOUT, terms.transaction_timeout.as_millis() as i64);
        if terms.delivery == Delivery::AtLeastOnce {
            out.text(DELIVERY, AT_LEAST_ONCE);
        }
        if let Some(OtherParts { workers, status_member }) = parts {
            out.number(WORKERS, *workers as i64);
            if let Some(member) = status_member {
                out.text(STATUS_MEMBER, member);
            }
        }
    })
}

/// The other parts of who made a report. One of the version before does not say: it had a worker for each member, and perhaps more.
pub fn parts_of(value: &[u8]) -> OtherParts {
    let node = document::parse(value).ok();
    let workers = node.as_ref().and_then(|node| match &node.get(WORKERS)?.kind {
        DocumentKind::Number(text) => text.parse().ok(),
        _ => None,
    });
    let status_member = node.as_ref().and_then(|node| Some(node.get(STATUS_MEMBER)?.as_str()?.to_owned()));
    OtherParts { workers: workers.unwrap_or_else(|| read(value).len()), status_member }
}

/// The version that wrote a report; none of one that did not say so, and did not know `control.configured` either.
pub fn version_of(value: &[u8]) -> Option<String> {
    document::parse(value).ok()?.get("version")?.as_str().map(str::to_owned)
}

/// How who made a report commits.
pub fn terms_of(value: &[u8]) -> CommitTerms {
    let node = document::parse(value).ok();
    let word = node.as_ref().and_then(|node| node.get(DELIVERY)?.as_str());
    let delivery = if word == Some(AT_LEAST_ONCE) { Delivery::AtLeastOnce } else { Delivery::ExactlyOnce };
    let millis = node.as_ref().and_then(|node| match &node.get(TRANSACTION_TIMEOUT)?.kind {
        DocumentKind::Number(text) => text.parse().ok(),
        _ => None,
    });
    CommitTerms { delivery, transaction_timeout: millis.map_or(UNSAID_TRANSACTION_TIMEOUT, Duration::from_millis) }
}

/// Reads a report's value; what is none says nothing.
pub fn read(value: &[u8]) -> Members {
    let Ok(node) = document::parse(value) else { return Members::new() };
    let epoch = |node: &Node| match &node.kind {
        DocumentKind::Number(text) => text.parse().ok().map(Epoch),
        _ => None,
    };
    let members = node.get("members").map(Node::members).unwrap_or_default();
    members.iter().filter_map(|member| Some((member.name.clone(), epoch(&member.value)?))).collect()
}

/// When a report was made, by the clock of who made it.
pub fn read_time(value: &[u8]) -> Option<TimestampMs> {
    let node = document::parse(value).ok()?;
    TimestampNs::parse_rfc3339(node.get("at")?.as_str()?).map(TimestampNs::millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(list: &[(&str, i64)]) -> Members {
        list.iter().map(|(name, epoch)| ((*name).to_owned(), Epoch(*epoch))).collect()
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let written = members(&[("rdkafka-1", 12), ("a\"b", -1)]);
        let terms = |delivery, seconds| CommitTerms { delivery, transaction_timeout: Duration::from_secs(seconds) };
        assert_eq!(read(&write(&written, TimestampMs(0), terms(Delivery::AtLeastOnce, 1), None)), written);
        let report = |terms| String::from_utf8(write(&members(&[("m", 7)]), TimestampMs(0), terms, None)).unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let before = format!(r#"{{"members":{{"m":7}},"at":"1970-01-01T00:00:00Z","version":"{version}""#);
        let expected = format!(r#"{before},"transaction_timeout_ms":7000}}"#);
        assert_eq!(report(terms(Delivery::ExactlyOnce, 7)), expected);
        assert_eq!(version_of(expected.as_bytes()).as_deref(), Some(version));
        assert_eq!(version_of(br#"{"members":{"m":7},"at":"1970-01-01T00:00:00Z"}"#), None);
        for delivery in [Delivery::ExactlyOnce, Delivery::AtLeastOnce] {
            assert_eq!(terms_of(report(terms(delivery, 9)).as_bytes()), terms(delivery, 9));
        }
        for unsaid in [format!("{before}}}"), format!(r#"{before},"transaction_timeout_ms":"soon"}}"#), "?".to_owned()] {
            assert_eq!(terms_of(unsaid.as_bytes()), terms(Delivery::ExactlyOnce, 15), "{unsaid}");
        }
        for other in ["", "{}", "[1]", r#"{"members":{"m":"x"}}"#, r#"{"members":7}"#] {
            assert_eq!(read(other.as_bytes()), Members::new(), "{other}");
        }
    }

    #[test]
    fn a_report_says_what_else_the_process_has() {
        let terms = CommitTerms { delivery: Delivery::ExactlyOnce, transaction_timeout: Duration::from_secs(7) };
        let said = members(&[("m", 7), ("n", 7)]);
        let before = write(&said, TimestampMs(0), terms, None);
        assert_eq!(parts_of(&before), OtherParts { workers: 2, status_member: None }, "the version before");
        let parts = OtherParts { workers: 3, status_member: Some("s-1".to_owned()) };
        let written = write(&said, TimestampMs(0), terms, Some(&parts));
        let (before, now) = (String::from_utf8(before).unwrap(), String::from_utf8(written.clone()).unwrap());
        assert_eq!(
            now,
            format!(r#"{},"workers":3,"status_member":"s-1"}}"#, before.trim_end_matches('}').to_owned()),
            "and nothing else is other"
        );
        assert_eq!((parts_of(&written), read(&written), terms_of(&written)), (parts, said, terms));
        for other in ["", "{}", r#"{"workers":"x","status_member":7}"#, r#"{"workers":-1}"#] {
            assert_eq!(parts_of(other.as_bytes()), OtherParts { workers: 0, status_member: None }, "{other}");
        }
    }

    #[test]
    fn ticks_alone_are_not_reported() {
        let reported = members(&[("a", 10), ("b", 11)]);
        let is_worth = |said: &[(&str, i64)], newest_change| is_worth_a_report(&reported, &members(said), Epoch(newest_change));
        assert!(!is_worth(&[("a", 15), ("b", 15)], 10), "ticks from 11 to 15");
        assert!(is_worth(&[("a", 15), ("b", 15)], 14));
        assert!(!is_worth(&[("a", 10), ("b", 15)], 14), "one of them has not passed it");
        assert!(is_worth(&[("a", 12), ("b", 15)], 14), "there may be an event before the newest");
        assert!(is_worth(&[("a", 10), ("c", 10)], 10) && is_worth(&[("a", 10)], 10), "other members");
        assert!(!is_worth(&[], 20), "no member yet");
        assert!(is_worth_a_report(&Members::new(), &members(&[("a", -1)]), Epoch::NONE));
    }

    #[test]
    fn a_worker_is_heard_once_it_is_a_member() {
        let said = WorkerEpochs::default();
        let (one, two) = (WorkerEpoch::new(&said), WorkerEpoch::new(&said));
        one.set_min_epoch(Epoch(4));
        two.set_min_epoch(Epoch(6));
        two.is_member(Some("m2".to_owned()));
        struct Nowhere;
        impl StateWriter for Nowhere {
            fn put(&mut self, _: &str, _: &[u8]) -> Result<(), ProduceError> {
                Ok(())
            }

            fn take_back(&mut self, _: &str) -> Result<(), ProduceError> {
                Ok(())
            }
        }
        let reporter = Reporter {
            said,
            live: Arc::new(Live::new(crate::live::View {
                graph: crate::share::table::ShareTable::new(rules()).graph(),
                position: crate::id::Offset(0),
                newest_cut: None,
                newest_change: Epoch::NONE,
            })),
            writer: Nowhere,
            key: crate::engine::topic::stored::epoch_key("g", "i"),
            workers: 2,
            status: Arc::default(),
            terms: CommitTerms { delivery: Delivery::ExactlyOnce, transaction_timeout: Duration::from_secs(1) },
            clock: Arc::new(crate::clock::SystemClock),
            stop: Arc::default(),
        };
        assert_eq!(reporter.said(), members(&[("m2", 6)]));
        one.is_member(Some("m1".to_owned()));
        assert_eq!((reporter.said(), reporter.key.as_str()), (members(&[("m1", 4), ("m2", 6)]), "epoch/g/i"));
    }

    fn rules() -> crate::share::table::FoldRules {
        crate::share::table::FoldRules {
            streams: Vec::new().into(),
            partnerships: crate::share::configuration::PartnershipNeed::Required,
            late_grace: crate::time::Period::ZERO,
            halts_on_unreadable: true,
        }
    }
}
