//! What the control thread counts.

use metrics::{counter, gauge};

use crate::share::event::kind::EventType;
use crate::share::graph::ShareGraph;
use crate::share::state::Reason as RuleBroken;
use crate::share::table::{Outcome, ShareTable};

/// Makes the counters with a closed set of labels.
pub fn begin() {
    for outcome in ["unreadable", "set_aside"] {
        control_events("unreadable", outcome, 0);
    }
    for (kind, event_type) in EventType::ALL {
        if event_type == EventType::ControlTick {
            control_events(kind, "tick", 0);
        } else {
            control_events(kind, "applied", 0);
            control_events(kind, "repeated", 0);
        }
        RuleBroken::ALL.iter().for_each(|reason| control_events(kind, reason.code(), 0));
    }
}

fn control_events(kind: &'static str, outcome: &'static str, count: u64) {
    counter!("sharecast_control_events_total", "type" => kind, "outcome" => outcome).increment(count);
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
