//! The settings of the running engine.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::kafka::KafkaConfig;
use super::shape;
use super::written::{ConfigValue, Findings};
use crate::time::Period;
use crate::topic;

/// `delivery`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// Outputs and input offsets commit in one transaction.
    ExactlyOnce,
    /// Offsets are committed after the outputs; a crash in between doubles records.
    AtLeastOnce,
}

/// `batch`: a batch ends at the first of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchConfig {
    /// This long after its first record.
    pub interval: Period,
    /// With this many records.
    pub max_records: usize,
    /// With outputs to this many routes.
    pub max_routes: usize,
}

/// `control`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlConfig {
    /// The control topic.
    pub topic: String,
    /// `unreadable: halt`: a record that cannot be understood closes the fence until it is skipped
    /// (docs/rules/events.md#unreadable-records).
    pub halts_on_unreadable: bool,
}

/// `fence`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FenceConfig {
    /// Without it a stale view of the shares may decide.
    pub is_enabled: bool,
    /// The oldest view that may decide.
    pub max_view_age: Period,
    /// The oldest that the newest folded tick may be.
    pub max_tick_age: Period,
    /// How far a tick's timestamp and the engine's clock may be apart before a metric says so.
    pub max_clock_skew: Period,
}

/// `snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// The file.
    pub path: PathBuf,
    /// How often it is written.
    pub every: Period,
}

/// `metrics.tenants`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantLabels {
    /// Every tenant.
    All,
    /// The busiest so many.
    Top(usize),
    /// None.
    Off,
}

/// `log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged.
    pub level: LogLevel,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text.
    Text,
    /// JSON.
    Json,
}

/// `log.level`: this and what is worse. A later one shows more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Errors.
    Error,
    /// Warnings.
    Warn,
    /// What happens.
    Info,
    /// What is needed to find a fault.
    Debug,
    /// Everything.
    Trace,
}

/// The skew at which the fence closes, whatever `fence.max_clock_skew` says (docs/rules/fence.md#what-else-closes-it).
const CLOSING_CLOCK_SKEW: Period = Period::from_millis(30_000);

/// The value of a key, or its default where it is not written or wrong.
pub(super) fn span_or(root: &ConfigValue, key: &str, default: Period) -> Period {
    root.at(key).and_then(shape::span).unwrap_or(default)
}

/// As `span_or`, for whole numbers.
pub(super) fn whole_or(root: &ConfigValue, key: &str, default: i64) -> i64 {
    root.at(key).and_then(shape::whole).unwrap_or(default)
}

/// As `span_or`, for words.
pub(in crate::config) fn word<'v>(root: &'v ConfigValue, key: &str) -> Option<&'v str> {
    root.at(key)?.as_text()
}

/// Resolves `batch`; a batch must be committed while its view is fresh.
pub(super) fn batch(root: &ConfigValue, fence: &FenceConfig, findings: &mut Findings) -> BatchConfig {
    let interval = span_or(root, "batch.interval", Period::from_millis(100));
    if fence.is_enabled && interval >= fence.max_view_age {
        let written = root.at("batch.interval").or_else(|| root.at("fence.max_view_age"));
        if let Some(value) = written {
            let instead =
                "keep `batch.interval` well below `fence.max_view_age`: a batch is committed while its view is fresh, or not at all";
            findings.error(value.spot, "no batch could be committed: `batch.interval` is not below `fence.max_view_age`", instead);
        }
    }
    BatchConfig {
        interval,
        max_records: whole_or(root, "batch.max_records", 10_000) as usize,
        max_routes: whole_or(root, "batch.max_routes", 500) as usize,
    }
}

/// Resolves `control`; the topic is `own` where no other is given.
pub(super) fn control(root: &ConfigValue, own: &str, findings: &mut Findings) -> ControlConfig {
    let written = root.at("control.topic");
    let topic = written.and_then(ConfigValue::as_text).unwrap_or(own);
    if let (false, Some(value)) = (topic::is_valid(topic), written) {
        findings.error(value.spot, "this is no topic name", topic::RULE);
    }
    ControlConfig { topic: topic.to_owned(), halts_on_unreadable: word(root, "control.unreadable") != Some("skip") }
}

/// Resolves `fence`.
pub(super) fn fence(root: &ConfigValue, kafka: &KafkaConfig, findings: &mut Findings) -> FenceConfig {
    let fence = FenceConfig {
        is_enabled: root.at("fence.enabled").and_then(shape::flag).unwrap_or(true),
        max_view_age: span_or(root, "fence.max_view_age", Period::from_millis(1000)),
        max_tick_age: span_or(root, "fence.max_tick_age", Period::from_millis(60_000)),
        max_clock_skew: span_or(root, "fence.max_clock_skew", Period::from_millis(1000)),
    };
    if let (false, Some(value)) = (fence.is_enabled, root.at("fence.enabled")) {
        findings.warn(
            value.spot,
            "the fence is off: an engine cut off from the control topic goes on releasing what was revoked",
            "write `true`",
        );
    }
    if let (true, Some(value)) = (fence.max_tick_age <= kafka.session_timeout, root.at("fence.max_tick_age").or_else(|| root.at("kafka"))) {
        let instead = format!("write more than {} ms", kafka.session_timeout.millis());
        findings.error(
            value.spot,
            "`fence.max_tick_age` must be above the session time-out: a new status writer needs that long to tick",
            instead,
        );
    }
    if let (true, Some(value)) = (fence.max_clock_skew > CLOSING_CLOCK_SKEW, root.at("fence.max_clock_skew")) {
        findings.error(value.spot, "`fence.max_clock_skew` is above 30s, where the fence closes anyway", "write `30s` or less");
    }
    fence
}

/// Resolves `snapshot`.
pub(super) fn snapshot(root: &ConfigValue) -> SnapshotConfig {
    SnapshotConfig {
        path: root.at("snapshot.path").and_then(ConfigValue::as_text).unwrap_or("sharecast.snapshot").into(),
        every: span_or(root, "snapshot.every", Period::from_millis(300_000)),
    }
}

fn written_text<'v>(root: &'v ConfigValue, key: &str) -> Option<(&'v ConfigValue, &'v str)> {
    let value = root.at(key)?;
    Some((value, value.as_text()?))
}

/// Resolves `http.listen`.
pub(super) fn http_listen(root: &ConfigValue, findings: &mut Findings) -> SocketAddr {
    let standard = SocketAddr::from(([127, 0, 0, 1], 9464));
    let Some((value, text)) = written_text(root, "http.listen") else { return standard };
    text.parse().unwrap_or_else(|_| {
        findings.error(
            value.spot,
            "`http.listen` is no address with a port",
            "write for example `127.0.0.1:9464`, `0.0.0.0:9464` or `[::1]:9464`",
        );
        standard
    })
}

/// Resolves `metrics.tenants`.
pub(super) fn tenant_labels(root: &ConfigValue, findings: &mut Findings) -> TenantLabels {
    let standard = TenantLabels::Top(200);
    let Some((value, text)) = written_text(root, "metrics.tenants") else { return standard };
    let labels = match text {
        "all" => Some(TenantLabels::All),
        "off" => Some(TenantLabels::Off),
        text => text
            .strip_prefix("top:")
            .and_then(|count| count.parse().ok())
            .filter(|count| (1..=100_000).contains(count))
            .map(TenantLabels::Top),
    };
    labels.unwrap_or_else(|| {
        findings.error(value.spot, "`metrics.tenants` is not understood", "write `all`, `off` or `top:200`");
        standard
    })
}

/// Resolves `log`.
pub(super) fn log(root: &ConfigValue) -> LogConfig {
    LogConfig {
        format: match word(root, "log.format") {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            _ => LogFormat::Auto,
        },
        level: match word(root, "log.level") {
            Some("error") => LogLevel::Error,
            Some("warn") => LogLevel::Warn,
            Some("debug") => LogLevel::Debug,
            Some("trace") => LogLevel::Trace,
            _ => LogLevel::Info,
        },
    }
}
