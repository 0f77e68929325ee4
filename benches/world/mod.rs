//! What benches of shares are made of: a table that grows event by event and is the same in every run, and what it takes.

use sharecast::id::Offset;
use sharecast::share::event::read_structured;
use sharecast::share::table::{Outcome, ShareTable};
use sharecast::time::TimestampMs;

/// How many tenants there are.
pub(crate) const TENANTS: usize = 200;
/// The beginning of 2026.
const BEGINS: i64 = 1_767_225_600_000;

/// A tenant's id.
pub(crate) fn tenant(number: usize) -> String {
    format!("tenant-{number:09}")
}

/// The owner or the target as the source of an event.
pub(crate) fn source(tenant: &str) -> String {
    format!("/tenants/{tenant}")
}

/// An event as it is folded.
pub(crate) struct ControlEvent {
    pub(crate) offset: Offset,
    pub(crate) now: TimestampMs,
    pub(crate) text: String,
}

/// A table, and the log that it is folded from.
pub(crate) struct ControlFold {
    pub(crate) table: ShareTable,
    /// The offset of the last event.
    last: i64,
    /// Between two events. With seconds between them the memory of event ids, 30 days of them, stays small beside the rest.
    step_ms: i64,
}

impl ControlFold {
    pub(crate) fn new(table: ShareTable, step_ms: i64) -> Self {
        Self { table, last: 0, step_ms }
    }

    /// The next event of the log.
    pub(crate) fn event(&mut self, source: &str, kind: &str, data: &str) -> ControlEvent {
        self.last += 1;
        let id = self.last;
        let text =
            format!(r#"{{"specversion":"1.0","id":"event-{id:010}","source":"{source}","type":"sharecast.{kind}.v1","data":{data}}}"#);
        ControlEvent { offset: Offset(id), now: TimestampMs(BEGINS + id * self.step_ms), text }
    }

    /// Folds an event that may come to nothing.
    pub(crate) fn try_event(&mut self, source: &str, kind: &str, data: &str) -> Outcome {
        let event = self.event(source, kind, data);
        self.table.fold(event.offset, event.now, read_structured(event.text.as_bytes())).outcome
    }

    /// Folds an event that is applied.
    pub(crate) fn send(&mut self, source: &str, kind: &str, data: &str) {
        assert_eq!(self.try_event(source, kind, data), Outcome::Applied, "{kind} {data}");
    }
}

/// Numbers that look random, the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

pub(crate) fn resident_bytes() -> usize {
    status_kb("VmRSS") * 1024
}

/// How long this thread was on a core; 0 where the system does not tell.
pub(crate) fn busy_ns() -> u64 {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    times.split_whitespace().next().and_then(|time| time.parse().ok()).unwrap_or(0)
}

/// A line of the process's status, in kB; 0 where the system has none.
pub(crate) fn status_kb(name: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
