//! What the engine counts. A batch is counted when it is committed, so that an aborted one leaves no trace.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use rustc_hash::FxHashMap;

use crate::config::TenantLabels;
use crate::engine::output::outbox::Outbox;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::upsert::{Bytes, Write};
use crate::engine::worker::decide::Tally;
use crate::engine::worker::error::TxError;
use crate::id::StreamIndex;
use crate::record::dead_letter::DeadLetterReason;
use crate::record::mapping::Stream;
use crate::release::Suppressed;
use crate::share::event::kind::EventType;
use crate::share::graph::ShareGraph;
use crate::share::state::Reason as RuleBroken;
use crate::share::table::{Outcome, ShareTable};
use crate::time::TimestampMs;
use crate::transport::Record;

/// Makes every counter with a closed set of labels, so that it stands at 0 before anything happens: what only appears with its first
/// event has no increase then, and no alert sees it.
pub fn begin() {
    for reason in DeadLetterReason::ALL {
        dead_letters(reason, 0);
    }
    for cause in TxError::NAMES {
        aborted(cause, 0);
    }
    for outcome in ["unreadable", "set_aside"] {
        control_events("unreadable", outcome, 0);
    }
    for (kind, event_type) in EventType::ALL.map(|kind| (kind.name(), kind)) {
        if event_type == EventType::ControlTick {
            control_events(kind, "tick", 0);
        } else {
            control_events(kind, "applied", 0);
            control_events(kind, "repeated", 0);
        }
        RuleBroken::ALL.iter().for_each(|reason| control_events(kind, reason.code(), 0));
    }
    for reason in Suppressed::ALL {
        counter!("sharecast_suppressed_total", "reason" => reason.as_str()).increment(0);
    }
    owed_lost(0);
    counter!("sharecast_fence_closed_seconds_total").increment(0);
}

fn control_events(kind: &'static str, outcome: &'static str, count: u64) {
    counter!("sharecast_control_events_total", "type" => kind, "outcome" => outcome).increment(count);
}

fn aborted(cause: &'static str, count: u64) {
    counter!("sharecast_transactions_aborted_total", "cause" => cause).increment(count);
}

/// Dead letters were committed.
pub fn dead_letters(reason: DeadLetterReason, count: u64) {
    counter!("sharecast_dead_letters_total", "reason" => reason.as_str()).increment(count);
}

/// Records were gone from the input while a route was owed them.
pub fn owed_lost(count: u64) {
    counter!("sharecast_owed_lost_total").increment(count);
}

/// The control thread's metrics.
#[derive(Debug, Clone, Copy, Default)]
pub struct ControlMetrics;

impl ControlMetrics {
    /// One control record was folded.
    pub fn folded(&self, kind: &'static str, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Applied => "applied",
            Outcome::Rejected(reason) => reason,
            Outcome::Repeated => "repeated",
            Outcome::Tick => "tick",
            Outcome::Unreadable(_) => "unreadable",
            Outcome::SetAside(_) => "set_aside",
        };
        control_events(kind, outcome, 1);
    }

    /// A graph was published.
    pub fn published(&self, graph: &ShareGraph, table: &ShareTable) {
        gauge!("sharecast_epoch").set(graph.epoch().0 as f64);
        for (state, count) in table.states() {
            gauge!("sharecast_shares", "state" => state.word()).set(count as f64);
        }
    }

    /// A tick showed the skew of the clocks.
    pub fn clock_skew_ms(&self, skew_ms: i64) {
        gauge!("sharecast_clock_skew_seconds").set(skew_ms as f64 / 1000.0);
    }
}

/// The fence's metrics, as the probe's thread sees it.
pub fn fence_observed(view_age: Option<Duration>, closed_for: Duration) {
    gauge!("sharecast_view_age_seconds").set(view_age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
    thread_local!(static CLOSED: std::cell::Cell<Duration> = const { std::cell::Cell::new(Duration::ZERO) });
    // The counter is whole, so fractions are carried over rather than cut off each time.
    CLOSED.with(|carried| {
        let total = carried.get() + closed_for;
        counter!("sharecast_fence_closed_seconds_total").increment(total.as_secs());
        carried.set(total - Duration::from_secs(total.as_secs()));
    });
}

/// One worker's metrics. Handles are looked up once; a batch is counted when it is committed.
pub struct WorkerMetrics {
    records_in: Vec<Counter>,
    suppressed: Vec<Counter>,
    end_to_end: Histogram,
    batch: Histogram,
    revoke_to_quiet: Histogram,
    streams: Vec<String>,
    labels: TenantLabels,
    /// Counters by route, in the order of the worker's routes.
    by_route: Vec<RouteCounters>,
    open_routes: FxHashMap<RouteIndex, Gauge>,
    /// What this worker shows in `owed_routes`.
    claims: f64,
    /// What this worker shows in `documents_standing`.
    documents: f64,
    /// What this worker shows in `partitions_held`.
    held: f64,
    /// By stream.
    gaps: Vec<Counter>,
    tally: Tally,
}

struct RouteCounters {
    records: Counter,
    bytes: Counter,
    pending: (u64, u64),
}

impl WorkerMetrics {
    /// Metrics for a worker of these streams.
    pub fn new(streams: &[Stream], labels: TenantLabels) -> Self {
        let names: Vec<String> = streams.iter().map(|stream| stream.name.to_string()).collect();
        let gaps: Vec<Counter> = names.iter().map(|name| counter!("sharecast_offset_gaps_total", "stream" => name.clone())).collect();
        // Both are there before the first of them is counted.
        gaps.iter().for_each(|gaps| gaps.increment(0));
        gauge!("sharecast_partitions_held").increment(0.0);
        Self {
            records_in: names.iter().map(|name| counter!("sharecast_records_in_total", "stream" => name.clone())).collect(),
            suppressed: Suppressed::ALL.iter().map(|reason| counter!("sharecast_suppressed_total", "reason" => reason.as_str())).collect(),
            end_to_end: histogram!("sharecast_end_to_end_seconds"),
            batch: histogram!("sharecast_batch_seconds"),
            revoke_to_quiet: histogram!("sharecast_revoke_to_quiet_seconds"),
            streams: names,
            labels,
            by_route: Vec::new(),
            open_routes: FxHashMap::default(),
            claims: 0.0,
            documents: 0.0,
            held: 0.0,
            gaps,
            tally: Tally::default(),
        }
    }

    /// A batch was decided; its tally counts once it is committed.
    pub fn decided(&mut self, tally: Tally) {
        self.tally = tally;
    }

    /// A transaction was committed: what it wrote and how long it took.
    pub fn committed<'r>(
        &mut self,
        outbox: &Outbox,
        routes: &Routes,
        records: impl Iterator<Item = Record<'r>>,
        now: TimestampMs,
        took: Duration,
    ) {
        let mut oldest = now;
        for record in records {
            self.records_in[usize::from(record.source.stream.0)].increment(1);
            oldest = oldest.min(record.timestamp);
        }
        self.batch.record(took.as_secs_f64());
        self.end_to_end.record((now.0 - oldest.0) as f64 / 1000.0 + took.as_secs_f64());
        for (counter, count) in self.suppressed.iter().zip(self.tally.suppressed) {
            counter.increment(count);
        }
        self.count_outputs(outbox, routes);
        for letter in &outbox.letters {
            dead_letters(letter.reason, 1);
        }
    }

    fn count_outputs(&mut self, outbox: &Outbox, routes: &Routes) {
        for output in outbox.iter() {
            self.count(output.route, output.key.len() + output.value.len(), routes);
        }
        self.flush();
    }

    fn count(&mut self, route: RouteIndex, bytes: usize, routes: &Routes) {
        let index = route.0 as usize;
        while self.by_route.len() <= index {
            let route = routes.get(RouteIndex(self.by_route.len() as u32));
            let tenant = self.label(route.tenant.as_str());
            let stream = self.streams[usize::from(route.stream.0)].clone();
            self.by_route.push(RouteCounters {
                records: counter!("sharecast_records_out_total", "stream" => stream.clone(), "tenant" => tenant.clone()),
                bytes: counter!("sharecast_bytes_out_total", "stream" => stream, "tenant" => tenant),
                pending: (0, 0),
            });
        }
        let pending = &mut self.by_route[index].pending;
        pending.0 += 1;
        pending.1 += bytes as u64;
    }

    fn flush(&mut self) {
        for route in &mut self.by_route {
            let (records, bytes) = std::mem::take(&mut route.pending);
            if records > 0 {
                route.records.increment(records);
                route.bytes.increment(bytes);
            }
        }
    }

    /// So many routes are owed records of this worker's partitions, each partition counted by itself.
    pub fn owed(&mut self, claims: usize) {
        gauge!("sharecast_owed_routes").increment(claims as f64 - self.claims);
        self.claims = claims as f64;
    }

    /// So many documents stand in tenants' topics, due to this worker's partitions.
    pub fn standing(&mut self, documents: usize) {
        gauge!("sharecast_documents_standing").increment(documents as f64 - self.documents);
        self.documents = documents as f64;
    }

    /// So many of this worker's partitions are held and do not flow.
    pub fn held(&mut self, partitions: usize) {
        if partitions as f64 != self.held {
            gauge!("sharecast_partitions_held").increment(partitions as f64 - self.held);
            self.held = partitions as f64;
        }
    }

    /// Between two records of this stream lie offsets without one.
    pub fn gap(&self, stream: StreamIndex) {
        self.gaps[usize::from(stream.0)].increment(1);
    }

    /// Documents and tombstones of upsert streams were committed.
    pub fn upserted<'w>(&mut self, writes: impl Iterator<Item = (&'w Write, Bytes<'w>)>, routes: &Routes) {
        for (write, bytes) in writes {
            self.count(write.route, bytes.key.len() + bytes.value.map_or(0, <[u8]>::len), routes);
        }
        self.flush();
    }

    /// The `tenant` label: with `top:N` the first N that this worker writes to, the others together.
    fn label(&self, tenant: &str) -> String {
        match self.labels {
            TenantLabels::All => tenant.to_owned(),
            TenantLabels::Top(most) if self.by_route.len() < most => tenant.to_owned(),
            TenantLabels::Top(_) => "other".to_owned(),
            TenantLabels::Off => "all".to_owned(),
        }
    }

    /// A transaction was not committed.
    pub fn aborted(&self, cause: &'static str) {
        aborted(cause, 1);
    }

    /// A route was opened or has closed.
    pub fn route_open(&mut self, route: RouteIndex, tenant: &str, is_open: bool) {
        let was_open = self.open_routes.contains_key(&route);
        if is_open && !was_open {
            let label = if matches!(self.labels, TenantLabels::Off) { "all" } else { tenant };
            let gauge = gauge!("sharecast_route_open", "tenant" => label.to_owned());
            gauge.increment(1.0);
            self.open_routes.insert(route, gauge);
        } else if !is_open && let Some(gauge) = self.open_routes.remove(&route) {
            // Others of the tenant, or other workers' views of the same, may be open still.
            gauge.decrement(1.0);
        }
    }

    /// This worker decides by a graph that has a cut, so long after the cut's control time.
    pub fn quiet_after(&self, since_cut_ms: i64) {
        self.revoke_to_quiet.record(since_cut_ms.max(0) as f64 / 1000.0);
    }
}
