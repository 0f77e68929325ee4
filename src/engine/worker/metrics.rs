//! What a worker counts. A batch is counted when it is committed, so that an aborted one leaves no trace.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use rustc_hash::FxHashMap;

use crate::config::TenantLabels;
use crate::engine::output::dead_letter;
use crate::engine::output::outbox::Outbox;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::upsert::{Bytes, Write};
use crate::engine::worker::decide::Tally;
use crate::engine::worker::error::TxError;
use crate::id::StreamIndex;
use crate::record::mapping::Stream;
use crate::release::Suppressed;
use crate::share::graph::{ProfileSlot, ShareGraph};
use crate::time::TimestampMs;
use crate::transport::Record;

/// Makes the counters with a closed set of labels.
pub fn begin() {
    for cause in TxError::NAMES {
        aborted(cause, 0);
    }
    for reason in Suppressed::ALL {
        counter!("sharecast_suppressed_total", "reason" => reason.as_str()).increment(0);
    }
}

fn aborted(cause: &'static str, count: u64) {
    counter!("sharecast_transactions_aborted_total", "cause" => cause).increment(count);
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
    /// Counters of conditions without a value, by profile.
    by_profile: FxHashMap<ProfileSlot, Counter>,
}

struct RouteCounters {
    records: Counter,
    bytes: Counter,
    pending: (u64, u64),
}

impl WorkerMetrics {
    /// Metrics for a worker of these streams.
    pub fn new(streams: &[Stream]) -> Self {
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
            // Until it is told which.
            labels: TenantLabels::Off,
            by_route: Vec::new(),
            open_routes: FxHashMap::default(),
            claims: 0.0,
            documents: 0.0,
            held: 0.0,
            gaps,
            by_profile: FxHashMap::default(),
        }
    }

    /// A transaction was committed: what it wrote and how long it took.
    pub fn committed<'r>(
        &mut self,
        outbox: &Outbox,
        routes: &Routes,
        records: impl Iterator<Item = Record<'r>>,
        tally: &Tally,
        (now, took): (TimestampMs, Duration),
    ) {
        let mut oldest = now;
        for record in records {
            self.records_in[usize::from(record.source.stream.0)].increment(1);
            oldest = oldest.min(record.timestamp);
        }
        self.batch.record(took.as_secs_f64());
        self.end_to_end.record((now.0 - oldest.0) as f64 / 1000.0 + took.as_secs_f64());
        for (counter, count) in self.suppressed.iter().zip(tally.suppressed) {
            counter.increment(count);
        }
        self.count_outputs(outbox, routes);
        for letter in &outbox.letters {
            dead_letter::count(letter.reason, 1);
        }
    }

    fn count_outputs(&mut self, outbox: &Outbox, routes: &Routes) {
        for lane in outbox.lanes() {
            self.count(lane.route(), lane.count() as u64, lane.bytes(), routes);
        }
        self.flush();
    }

    fn count(&mut self, route: RouteIndex, records: u64, bytes: usize, routes: &Routes) {
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
        pending.0 += records;
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

    /// So many documents are in tenants' topics, due to this worker's partitions.
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
            self.count(write.route, 1, bytes.key.len() + bytes.value.map_or(0, <[u8]>::len), routes);
        }
        self.flush();
    }

    /// Conditions that had no value in the batch that was committed. Labels are bounded as those of tenants are.
    pub fn condition_errors(&mut self, tally: &Tally, graph: &ShareGraph) {
        for (slot, count) in tally.condition_errors.iter() {
            let Some((owner, name)) = graph.profile(slot).and_then(|profile| profile.published()) else { continue };
            let (owner, profile) = match self.labels {
                TenantLabels::All => (owner.as_str(), name.as_str()),
                TenantLabels::Top(most) if self.by_profile.len() < most || self.by_profile.contains_key(&slot) => {
                    (owner.as_str(), name.as_str())
                }
                TenantLabels::Top(_) => ("other", "other"),
                TenantLabels::Off => ("all", "all"),
            };
            let counter = || counter!("sharecast_condition_errors_total", "owner" => owner.to_owned(), "profile" => profile.to_owned());
            self.by_profile.entry(slot).or_insert_with(counter).increment(count);
        }
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

    /// Counts under other labels from here on. Series of those before stay as they are until the process ends; topics that are open count
    /// under the new ones.
    pub fn relabel(&mut self, labels: TenantLabels, routes: &Routes) {
        self.labels = labels;
        self.by_route.clear();
        self.by_profile.clear();
        for (route, gauge) in std::mem::take(&mut self.open_routes) {
            gauge.decrement(1.0);
            self.route_open(route, routes.get(route).tenant.as_str(), true);
        }
    }

    /// A transaction was not committed.
    pub fn aborted(&self, cause: &'static str) {
        aborted(cause, 1);
    }

    /// A route failed, or takes records again.
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
