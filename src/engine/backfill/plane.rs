//! The control log as a job sees it: folded from its first record for what was earlier, then followed live behind the fence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::warn;

use crate::backfill::past::{Past, Pinned};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::backfill::cuts::{CutWatch, Cuts};
use crate::engine::control::configuration::{ConfigurationWatch, check_start};
use crate::engine::control::metrics::ControlMetrics;
use crate::engine::control::timers::Timers;
use crate::engine::control::{ControlPlane, read};
use crate::engine::feed::DueShares;
use crate::engine::fence::probe::Prober;
use crate::engine::fence::{Fence, FenceLimits};
use crate::engine::server::shutdown::{RunError, Threads};
use crate::engine::server::wiring::{ReopeningWriter, control_settings};
use crate::id::{Epoch, Offset};
use crate::kafka::{KafkaControlLog, KafkaEndProbe, KafkaSettings};
use crate::live::{Live, View};
use crate::share::table::Outcome;
use crate::time::TimestampMs;
use crate::transport::{ConsumeError, ControlLog, EndProbe};

/// A log that was folded, up to the epoch that a job is pinned to.
#[derive(Debug)]
pub struct FoldedLog {
    /// What shares and profiles are and were.
    pub past: Past,
    /// The newest tick in it: its offset and its time.
    pub newest_tick: Option<(Offset, TimestampMs)>,
    /// Where the log ended when the fold began.
    pub end: Offset,
}

/// So long one poll waits for the first record.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// The longest wait for the log's end.
const ASK: Duration = Duration::from_secs(30);

/// Folds the log up to its end as it is now, or up to this epoch; none where `stop` is raised before. While a record that cannot be
/// understood waits for its skip, that is waited for. A log that ends with another configuration is refused.
pub fn fold(config: &Config, kafka: &KafkaSettings, up_to: Option<Epoch>, stop: &AtomicBool) -> Result<Option<FoldedLog>, RunError> {
    let topic = &config.control.topic;
    let bounds = KafkaEndProbe::open(kafka, topic, ASK)?.ask()?;
    if bounds.start > Offset(0) {
        return Err(RunError::Configuration(format!(
            "{topic} begins at offset {}: what shares and profiles were before that is not known, so nothing old can be decided. Restore the \
             whole log from a dump",
            bounds.start
        )));
    }
    if let Some(epoch) = up_to.filter(|epoch| epoch.0 >= bounds.end.0) {
        return Err(RunError::Configuration(format!(
            "{topic} ends at offset {} and the job was begun at epoch {epoch}: this is another log",
            bounds.end
        )));
    }
    let mut log = KafkaControlLog::open(&control_settings(kafka), topic, Offset(0))?;
    let (mut past, mut records, mut control_time) = (Past::new(config.fold_rules()), Vec::new(), TimestampMs(i64::MIN));
    let (mut told, mut newest_tick) = (None, None);
    while !stop.load(Ordering::Relaxed) {
        let position = log.position()?;
        let waiting = past.table().unreadable_offsets().first().copied();
        let is_whole = up_to.map_or(position >= bounds.end && waiting.is_none(), |epoch| position.0 > epoch.0);
        if is_whole {
            if up_to.is_none() {
                check_start(past.table(), &config.fold_rules().configuration()).map_err(RunError::from)?;
            }
            return Ok(Some(FoldedLog { past, newest_tick, end: bounds.end }));
        }
        if position >= bounds.end && waiting != told {
            told = waiting;
            if let Some(offset) = waiting {
                warn!(
                    "the job waits: control offset {offset} cannot be understood; look at it, then `sharecast control skip {offset} --note WHY`"
                );
            }
        }
        match log.poll(POLL_WAIT, &mut records) {
            Ok(()) => {}
            Err(ConsumeError::Unavailable(reason)) => warn!(reason, "waiting for the control topic"),
            Err(error) => return Err(error.into()),
        }
        for record in records.drain(..).filter(|record| up_to.is_none_or(|epoch| record.offset.0 <= epoch.0)) {
            control_time = control_time.max(record.timestamp);
            let folded = past.fold(record.offset, control_time, read(&record));
            if folded.outcome == Outcome::Tick {
                newest_tick = Some((record.offset, record.timestamp));
            }
        }
    }
    Ok(None)
}

/// The live graph, and whether it is fresh.
pub struct LivePlane {
    /// The published graph.
    pub live: Arc<Live>,
    /// Told by the fold and the probe.
    pub fence: Arc<Mutex<Fence>>,
    /// What was taken from shares since the pinned epoch.
    pub cuts: Arc<Cuts>,
    /// Where the log ended when the job began.
    pub end: Offset,
    /// Nobody tells the timers of shares whose time has come: that is the status writer's.
    _due: Sender<DueShares>,
}

/// How the log is followed.
pub struct Follow<'f> {
    /// The configuration.
    pub config: &'f Config,
    /// Where the cluster is.
    pub kafka: &'f KafkaSettings,
    /// Part of the ids of ticks.
    pub instance: String,
    /// A job that writes nothing needs no proof that the log is the newest, and writes no tick either.
    pub is_dry_run: bool,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Raised to end it.
    pub stop: Arc<AtomicBool>,
}

impl LivePlane {
    /// Follows the log from where it was folded to, which is the pinned epoch.
    pub(in crate::engine) fn start(follow: Follow<'_>, log: FoldedLog, pinned: &Pinned, threads: &mut Threads) -> Result<Self, RunError> {
        let Follow { config, kafka, instance, is_dry_run, clock, stop } = follow;
        let (end, table) = (log.end, log.past.into_table());
        let (control_time, first) = (table.control_time(), Offset(table.epoch().0 + 1));
        let newest_change = table.newest_change();
        let live = Arc::new(Live::new(View { graph: table.graph(), position: first, newest_cut: None, newest_change }));
        let limits = FenceLimits::of(&config.fence);
        let limits = FenceLimits { is_enabled: limits.is_enabled && !is_dry_run, ..limits };
        let mut fence = Fence::new(limits, clock.boot());
        if let Some((offset, at)) = log.newest_tick {
            fence.ticked(offset, at, clock.wall(), clock.boot());
        }
        let fence = Arc::new(Mutex::new(fence));
        let cuts = Arc::new(Cuts::default());
        // Nobody asks this fold for anything.
        let (_, asked) = channel();
        let control = ControlPlane {
            log: KafkaControlLog::open(&control_settings(kafka), &config.control.topic, first)?,
            table,
            control_time,
            control_topic: config.control.topic.clone(),
            newest_cut: None,
            upserts: Vec::new(),
            live: Arc::clone(&live),
            fence: Arc::clone(&fence),
            clock: Arc::clone(&clock),
            metrics: ControlMetrics,
            has_mask_secret: config.mask_secret.is_some(),
            topics: None,
            snapshots: None,
            // A job that goes on was folded up to its own epoch: what the log has been configured with since counts as well.
            configuration: Some(ConfigurationWatch::without_writer(config.fold_rules().configuration(), end)),
            watch: Some(Box::new(CutWatch::new(pinned.graph().clone(), &cuts))),
            commands: asked,
            stop: Arc::clone(&stop),
        };
        threads.spawn("control", move || control.run().map_err(RunError::from));
        let prober = Prober {
            probe: KafkaEndProbe::open(kafka, &config.control.topic, limits.max_view_age)?,
            fence: Arc::clone(&fence),
            live: Arc::clone(&live),
            clock: Arc::clone(&clock),
            stop: Arc::clone(&stop),
        };
        threads.spawn("fence", move || prober.run().map_err(|broken| RunError::Configuration(broken.to_string())));
        let (_due, news) = channel();
        if !is_dry_run {
            // As every engine: a first tick shows that the log takes writes, and later ones are written where nobody else does.
            let timers = Timers {
                writer: ReopeningWriter::new(kafka, &config.control.topic),
                is_elected: Arc::default(),
                news,
                fence: Arc::clone(&fence),
                clock,
                instance,
                stop,
            };
            threads.spawn("timers", move || {
                timers.run();
                Ok(())
            });
        }
        Ok(Self { live, fence, cuts, end, _due })
    }
}
