//! Every metric, its name and its labels. Base units; no asset and no share ever is a label.

use metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

/// Seconds; the bounds of every histogram. From a commit of milliseconds to a reader that waited for a minute.
const SECONDS: [f64; 17] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Names and help texts of all metrics. A test holds the sources, the README, the pages and the alerts against it.
pub const METRICS: &[(&str, MetricKind, &str)] = &[
    ("sharecast_records_in_total", MetricKind::Counter, "Input records committed, by stream."),
    ("sharecast_records_out_total", MetricKind::Counter, "Records written to tenant topics and committed, by stream and tenant."),
    ("sharecast_bytes_out_total", MetricKind::Counter, "Bytes of keys and values of those records, by stream and tenant."),
    ("sharecast_suppressed_total", MetricKind::Counter, "Times a share that names the stream did not get a record, by reason."),
    (
        "sharecast_condition_errors_total",
        MetricKind::Counter,
        "Records withheld because the `when` of a profile had no value, by owner and profile.",
    ),
    ("sharecast_dead_letters_total", MetricKind::Counter, "Dead letters committed, by reason."),
    ("sharecast_control_events_total", MetricKind::Counter, "Control records folded, by type and outcome."),
    (
        "sharecast_transactions_aborted_total",
        MetricKind::Counter,
        "Transactions that were not committed and whose records were decided again, by cause.",
    ),
    ("sharecast_fence_closed_seconds_total", MetricKind::Counter, "Time the fence was closed."),
    ("sharecast_epoch", MetricKind::Gauge, "Offset of the last control record in the published graph."),
    (
        "sharecast_view_age_seconds",
        MetricKind::Gauge,
        "Age of the published view; infinite while the end of the control topic is not known.",
    ),
    ("sharecast_clock_skew_seconds", MetricKind::Gauge, "The log's clock minus this machine's, as the last tick showed it."),
    ("sharecast_shares", MetricKind::Gauge, "Shares, by state."),
    ("sharecast_owed_routes", MetricKind::Gauge, "Topics that failed and are owed something, each input partition counted by itself."),
    ("sharecast_owed_lost_total", MetricKind::Counter, "Records that a route was owed and the input's retention dropped; at most so many."),
    ("sharecast_documents_standing", MetricKind::Gauge, "Documents that stand in tenants' topics of upsert streams."),
    (
        "sharecast_route_open",
        MetricKind::Gauge,
        "A tenant's topics that are open (failed), each counted by every worker that has found it so.",
    ),
    ("sharecast_consumer_lag", MetricKind::Gauge, "Input records behind the group's committed offset, by stream and partition."),
    ("sharecast_partitions_held", MetricKind::Gauge, "Input partitions that this process has and that do not flow yet."),
    (
        "sharecast_offset_gaps_total",
        MetricKind::Counter,
        "Gaps between the offsets of input records, by stream: normal where they are compacted or transactional.",
    ),
    ("sharecast_retention_left_seconds", MetricKind::Gauge, "How long the oldest uncommitted record stays in the input, by stream."),
    ("sharecast_end_to_end_seconds", MetricKind::Histogram, "From the Kafka timestamp of a batch's oldest record to its commit."),
    ("sharecast_batch_seconds", MetricKind::Histogram, "From loading the graph to the commit of a batch."),
    (
        "sharecast_revoke_to_quiet_seconds",
        MetricKind::Histogram,
        "From a cut's control time until this worker decides by a graph that has it.",
    ),
    ("sharecast_backfill_records_in_total", MetricKind::Counter, "Input records that a backfill has decided, earlier runs of it included."),
    ("sharecast_backfill_records_out_total", MetricKind::Counter, "Records that it has written and committed."),
    ("sharecast_backfill_bytes_in_total", MetricKind::Counter, "Bytes of keys, values and headers that it has read in this run."),
    ("sharecast_backfill_withheld_total", MetricKind::Counter, "Records that it has withheld because the live graph does."),
    ("sharecast_backfill_lost_total", MetricKind::Counter, "Offsets that the input's retention has dropped before it could read them."),
    ("sharecast_backfill_offsets_left", MetricKind::Gauge, "Offsets of its input that it has yet to look at; not a number for files."),
    ("sharecast_backfill_waiting", MetricKind::Gauge, "1 while it waits for the fence, the cluster or its report."),
    ("sharecast_config_reloads_total", MetricKind::Counter, "Times the configuration was read again, by result."),
    (
        "sharecast_config_last_reload_success_timestamp_seconds",
        MetricKind::Gauge,
        "When the files' configuration was last the one in force, in seconds since 1970.",
    ),
    ("sharecast_ready", MetricKind::Gauge, "1 while every check of /readyz holds, as of this scrape."),
    ("sharecast_build_info", MetricKind::Gauge, "Always 1; version and commit are labels."),
];

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations in buckets, in seconds.
    Histogram,
}

/// Installs the recorder; the handle renders `/metrics`.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new().set_buckets(&SECONDS)?.install_recorder()?;
    for &(name, kind, help) in METRICS {
        match kind {
            MetricKind::Counter => describe_counter!(name, help),
            MetricKind::Gauge => describe_gauge!(name, help),
            MetricKind::Histogram => describe_histogram!(name, help),
        }
    }
    let commit = option_env!("SHARECAST_COMMIT").unwrap_or("unknown");
    gauge!("sharecast_build_info", "version" => env!("CARGO_PKG_VERSION"), "commit" => commit).set(1.0);
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    const PREFIX: &str = "sharecast_";

    fn read(path: &str) -> String {
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                sources(&entry, all);
            } else if entry.extension().is_some_and(|extension| extension == "rs") && !entry.ends_with("src/metrics.rs") {
                all.push_str(&fs::read_to_string(&entry).unwrap());
            }
        }
    }

    /// Names that begin with `sharecast_` after `before`.
    fn named(text: &str, before: &str) -> BTreeSet<String> {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let at = format!("{before}{PREFIX}");
        text.split(at.as_str())
            .skip(1)
            .map(|rest| rest.split(|c| !is_name(c)).next().unwrap_or_default())
            .filter(|rest| !rest.is_empty())
            .map(|rest| format!("{PREFIX}{rest}"))
            .collect()
    }

    fn known() -> BTreeSet<String> {
        METRICS.iter().map(|(name, ..)| (*name).to_owned()).collect()
    }

    /// A histogram's series, by the metric's own name.
    fn base(name: &str) -> &str {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
    }

    #[test]
    fn the_sources_count_what_is_listed_and_nothing_else() {
        let mut all = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
        let built_here = "sharecast_build_info".to_owned();
        let counted: BTreeSet<_> = named(&all, "!(\"").into_iter().chain([built_here]).collect();
        assert_eq!(counted, known());
    }

    #[test]
    fn nobody_is_told_to_look_at_a_metric_that_there_is_not() {
        for path in [
            "README.md",
            "docs/operators.md",
            "docs/routes.md",
            "docs/owners.md",
            "docs/data-platforms.md",
            "docker/alerts.yml",
            "docker/alerts_test.yml",
            "docker/grafana/sharecast.json",
        ] {
            for name in named(&read(path), "") {
                assert!(known().contains(base(&name)), "{path}: {name}");
            }
        }
    }
}
