//! What the kernel says of this process, under the names that Prometheus's own clients use.

use std::fs;

use metrics::{counter, describe_counter, describe_gauge, gauge};

use crate::clock::Clock;

/// What is read of `/proc/self`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ProcessStatus {
    /// User and system time, in clock ticks.
    cpu_ticks: u64,
    threads: u64,
    /// Since the machine was started, in clock ticks.
    started_ticks: u64,
    resident_pages: u64,
}

impl ProcessStatus {
    /// Reads `/proc/self/stat`. The second field is the command's name in parentheses, which may hold anything.
    fn parse(stat: &str) -> Option<Self> {
        let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
        // The first of them is the third of proc(5).
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { cpu_ticks: field(14)? + field(15)?, threads: field(20)?, started_ticks: field(22)?, resident_pages: field(24)? })
    }
}

/// Says once what the metrics are.
pub(super) fn describe() {
    describe_counter!("process_cpu_seconds_total", "User and system CPU time of this process.");
    describe_gauge!("process_resident_memory_bytes", "Memory of this process that is in RAM.");
    describe_gauge!("process_threads", "Threads of this process.");
    describe_gauge!("process_open_fds", "File descriptors that this process has open.");
    describe_gauge!("process_start_time_seconds", "When this process was started, in seconds since 1970.");
}

/// Reads them again. What cannot be read keeps its last value.
pub(crate) fn observe(clock: &dyn Clock) {
    let ticks_per_second = rustix::param::clock_ticks_per_second();
    if let Some(status) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(ProcessStatus::parse) {
        counter!("process_cpu_seconds_total").absolute(status.cpu_ticks / ticks_per_second);
        gauge!("process_resident_memory_bytes").set(status.resident_pages as f64 * rustix::param::page_size() as f64);
        gauge!("process_threads").set(status.threads as f64);
        let booted_seconds = clock.wall().0 as f64 / 1000.0 - clock.boot().0.as_secs_f64();
        gauge!("process_start_time_seconds").set((booted_seconds + status.started_ticks as f64 / ticks_per_second as f64).round());
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        gauge!("process_open_fds").set(open.count() as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_is_passed_over() {
        let stat = "17 (a (b) c) S 1 17 17 0 -1 4194560 900 0 1 0 250 50 0 0 20 0 9 0 12345 99999 4321 18446744073709551615";
        let expected = ProcessStatus { cpu_ticks: 300, threads: 9, started_ticks: 12345, resident_pages: 4321 };
        assert_eq!(ProcessStatus::parse(stat), Some(expected));
        assert_eq!(ProcessStatus::parse("17 (x) S 1"), None);
        assert_eq!(ProcessStatus::parse(""), None);
    }

    #[test]
    fn this_process_is_read() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        assert!(ProcessStatus::parse(&stat).is_some_and(|status| status.threads > 0 && status.resident_pages > 0), "{stat}");
    }
}
