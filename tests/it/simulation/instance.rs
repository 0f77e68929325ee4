//! One process of the engine on the simulated cluster: its threads as they live, die and come back.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sharecast::clock::BootTime;
use sharecast::config::{Delivery, OutputTemplate, TenantLabels};
use sharecast::decide::{Decider, ReleaseRules};
use sharecast::engine::control::ControlPlane;
use sharecast::engine::control::metrics::ControlMetrics;
use sharecast::engine::control::snapshot::SnapshotWriter;
use sharecast::engine::feed::{self, ChangeReceiver, ChangeSender, ControlCommand};
use sharecast::engine::fence::probe::Prober;
use sharecast::engine::fence::{Fence, FenceLimits};
use sharecast::engine::restore::partition::RestoreContext;
use sharecast::engine::topic::names::TopicNames;
use sharecast::engine::upsert::Upserts;
use sharecast::engine::upsert::gate::Gates;
use sharecast::engine::upsert::reconcile::UpsertRules;
use sharecast::engine::worker::Worker;
use sharecast::engine::worker::error::WorkerError;
use sharecast::engine::worker::metrics::WorkerMetrics;
use sharecast::engine::worker::settings::{Compacted, Overdue, Shared, WorkerSettings};
use sharecast::engine::worker::tuning::{LiveTuning, Tuning};
use sharecast::id::{Epoch, Offset, StreamIndex, StreamName};
use sharecast::live::{Live, View};
use sharecast::record::decode::ReadRules;
use sharecast::record::mapping::{FieldSource, KeyFormat, Mapping, Mode, Stream};
use sharecast::share::configuration::PartnershipNeed;
use sharecast::share::snapshot::SnapshotOrigin;
use sharecast::share::table::{FoldRules, ShareTable};
use sharecast::time::{Period, TimestampMs};
use sharecast::topic::OwnTopics;
use sharecast::transport::{ProduceError, Start};

use super::at_least_once::Acknowledged;
use super::clients::{Control, Given, Probe};
use super::cluster::INPUTS;
use super::consumer::{Consumer, Relay};
use super::model::MAX_VIEW_AGE;
use super::producer::Producer;
use super::reading::{Mailbox, Readers};
use super::scheduler::{Dice, Killed, Simulation, VirtualClock};
use super::standing::STANDING;

/// How many threads an instance has: the fold, the probe, the keeper of gates, its workers and two readers for each.
pub(super) fn actors_of(workers: usize) -> usize {
    3 + workers * 3
}

/// Small batches follow each other closely.
pub(super) fn tuning(interval: Duration, dice: &mut Dice) -> Tuning {
    let max_records = if dice.hits(500) { 1 + dice.below(6) as usize } else { 1 + dice.below(40) as usize };
    Tuning { interval, max_records, max_routes: 1 + dice.below(6) as usize, tenant_labels: TenantLabels::Off }
}

pub(super) fn streams(count: usize) -> Arc<[Stream]> {
    [stream("telemetry", Mode::Append, 0), stream("details", Mode::Upsert, 1)].into_iter().take(count).collect()
}

pub(super) fn stream(name: &str, mode: Mode, index: u8) -> Stream {
    Stream {
        name: StreamName::parse(name).unwrap(),
        index: StreamIndex(index),
        mode,
        topic: INPUTS[usize::from(index)].into(),
        mapping: Mapping {
            tenant: FieldSource::KeyField,
            asset: FieldSource::KeyField,
            key_format: Some(KeyFormat::parse("{tenant}/{asset}").unwrap()),
            time: None,
            rewrite_tenant: Vec::new(),
            rewrite_asset: Vec::new(),
        },
    }
}

pub(super) fn fold_rules(streams: usize) -> FoldRules {
    FoldRules { streams: self::streams(streams), partnerships: PartnershipNeed::Open, late_grace: Period::ZERO, halts_on_unreadable: true }
}

/// One process.
pub(super) struct Instance {
    pub(super) sim: Arc<Simulation>,
    pub(super) number: usize,
    pub(super) shared: Shared,
    pub(super) settings: WorkerSettings,
    /// Of each worker's present life.
    pub(super) stops: Mutex<Vec<Arc<AtomicBool>>>,
    /// Of each worker.
    pub(super) readers: Vec<Readers>,
    pub(super) streams: usize,
    pub(super) gates: Arc<Gates>,
    /// Where the fold tells the workers, until it has them.
    pub(super) tellers: Mutex<Vec<ChangeSender>>,
    /// Where each worker hears it, whichever life it is in.
    pub(super) hearings: Vec<Arc<Mutex<ChangeReceiver>>>,
    /// The other end is the fold's.
    pub(super) commands: Sender<ControlCommand>,
    pub(super) asked: Mutex<Option<Receiver<ControlCommand>>>,
}

impl Instance {
    pub(super) fn new(
        sim: &Arc<Simulation>,
        number: usize,
        (workers, streams): (usize, usize),
        (waits, is_fenced, delivery): (bool, bool, Delivery),
        dice: &mut Dice,
    ) -> Self {
        let limits = FenceLimits {
            is_enabled: is_fenced,
            max_view_age: MAX_VIEW_AGE,
            max_tick_age: Duration::from_secs(60),
            max_clock_skew: Duration::from_secs(1),
        };
        let view =
            View { graph: ShareTable::new(fold_rules(streams)).graph(), position: Offset(0), newest_cut: None, newest_change: Epoch(-1) };
        let given = Arc::new(Given(Arc::clone(sim)));
        let (clock_skew, interval) = (dice.millis(0, 1_500), dice.millis(10, 150));
        let enough_records = 1 + dice.below(30) as usize;
        let tuning = tuning(interval, dice);
        let shared = Shared {
            live: Arc::new(Live::new(view)),
            tuning: Arc::new(LiveTuning::new(tuning)),
            fence: Arc::new(Mutex::new(Fence::new(limits, BootTime::default()))),
            clock: Arc::new(VirtualClock(Arc::clone(sim), clock_skew)),
            topic_maker: given,
            stop: Arc::default(),
            held: Arc::default(),
            overdue: Overdue::default(),
            compacted: Compacted::by_mode(&self::streams(streams)),
            producers: Arc::default(),
            assigned: Arc::default(),
            said: Arc::default(),
        };
        let settings = WorkerSettings {
            group: "g".into(),
            transactional_id: String::new(),
            streams: self::streams(streams),
            starts: vec![Start::Earliest; streams].into(),
            enough_records,
            standing: [String::new(), STANDING.to_owned()].into(),
            names: TopicNames { control: "control".into(), template: OutputTemplate::standard(), own: OwnTopics::standard() },
            delivery,
            waits,
            passes_headers: Vec::new(),
            has_provenance_headers: false,
            has_permission_header: false,
            held_for: Duration::from_secs(25),
        };
        let first = 1 + number * actors_of(workers) + 3 + workers;
        let readers = (0..workers).map(|worker| Readers {
            sim: Arc::clone(sim),
            mailbox: Arc::<Mutex<Mailbox>>::default(),
            first: first + worker * 2,
        });
        let readers = readers.collect();
        let (tellers, hearings): (Vec<_>, Vec<_>) = (0..if streams > 1 { workers } else { 0 }).map(|_| feed::hearing()).unzip();
        let (commands, asked) = channel();
        Self {
            sim: Arc::clone(sim),
            number,
            shared,
            settings,
            stops: Mutex::new(vec![Arc::default(); workers]),
            readers,
            streams,
            gates: Arc::new(Gates::new(streams)),
            tellers: Mutex::new(tellers),
            hearings: hearings.into_iter().map(|hearing| Arc::new(Mutex::new(hearing))).collect(),
            commands,
            asked: Mutex::new(Some(asked)),
        }
    }

    pub(super) fn around(&self) -> RestoreContext {
        let WorkerSettings { streams, names, group, .. } = self.settings.clone();
        RestoreContext { live: Arc::clone(&self.shared.live), streams, names, group, keeps_notes: true }
    }

    pub(super) fn fold(&self) {
        let origin = SnapshotOrigin { cluster: "c".into(), topic: "control".into() };
        let nowhere = std::path::PathBuf::from("/nowhere/snapshot");
        let plane = ControlPlane {
            log: Control { sim: Arc::clone(&self.sim), position: 0, lags_until: Duration::ZERO },
            table: ShareTable::new(fold_rules(self.streams)),
            control_time: TimestampMs(0),
            control_topic: "control".into(),
            newest_cut: None,
            upserts: std::mem::take(&mut *self.tellers.lock().unwrap_or_else(PoisonError::into_inner)),
            live: Arc::clone(&self.shared.live),
            fence: Arc::clone(&self.shared.fence),
            clock: Arc::clone(&self.shared.clock),
            metrics: ControlMetrics,
            has_mask_secret: true,
            topics: None,
            snapshots: Some(SnapshotWriter::new(nowhere, Duration::MAX, origin, BootTime::default(), Epoch(-1))),
            watch: None,
            configuration: None,
            commands: self.asked.lock().unwrap_or_else(PoisonError::into_inner).take().expect("the only fold"),
            stop: Arc::default(),
        };
        // It ends with the log.
        let _ = plane.run();
    }

    pub(super) fn probe(&self) {
        let Shared { fence, live, clock, stop, tuning, .. } = self.shared.clone();
        let probe = Probe { sim: Arc::clone(&self.sim), tuning, dice: Dice::new(self.number as u64) };
        if let Err(broken) = (Prober { probe, fence, live, clock, stop }).run() {
            self.sim.look().fail(broken.to_string());
        }
    }

    /// A worker's lives, one after the other.
    pub(super) fn work(&self, number: usize) {
        for life in 0.. {
            let stop = Arc::<AtomicBool>::default();
            self.stops.lock().unwrap_or_else(PoisonError::into_inner)[number] = Arc::clone(&stop);
            let mut world = self.sim.look();
            if world.cluster.is_over || world.failure.is_some() {
                return;
            }
            // It comes back under its name or under another one.
            let name =
                if world.dice.hits(700) { format!("g-{}-{number}", self.number) } else { format!("g-{}-{number}-{life}", self.number) };
            let rest = if life == 0 { Duration::ZERO } else { world.dice.millis(10, 3_000) };
            drop(world);
            let told = Arc::clone(&stop);
            let live = || {
                drop(self.sim.pass(rest));
                self.live(number, name, stop)
            };
            match catch_unwind(AssertUnwindSafe(live)) {
                Ok(Ok(()) | Err(WorkerError::FencedTwice { .. })) => {}
                // Told to stop before it has a producer.
                Ok(Err(WorkerError::Output(ProduceError::Abort(_)))) if told.load(Ordering::Relaxed) => {}
                Ok(Err(ended)) => self.sim.look().fail(format!("a worker ended: {ended}")),
                Err(payload) if !payload.is::<Killed>() => resume_unwind(payload),
                Err(_) => {}
            }
        }
    }

    pub(super) fn live(&self, number: usize, name: String, stop: Arc<AtomicBool>) -> Result<(), WorkerError> {
        let rules = ReleaseRules {
            read: ReadRules { max_record_bytes: 1 << 20, max_future: Period::from_millis(600_000) },
            late_grace: Period::ZERO,
            shows_provenance: true,
            shows_permission: false,
        };
        let settings = WorkerSettings { transactional_id: name.clone(), ..self.settings.clone() };
        let metrics = WorkerMetrics::new(&settings.streams);
        let (sim, other) = (Arc::clone(&self.sim), Arc::clone(&self.sim));
        // What it says is of this life alone.
        let shared = Shared { stop, said: Arc::default(), ..self.shared.clone() };
        let (live, said) = (Arc::clone(&shared.live), Arc::clone(&shared.said));
        let (upserts, relay) = self.upserts(number, &rules, &settings.names).unzip();
        let desk = Box::new(self.readers[number].desk());
        let (join, decider) = (|| Ok(Consumer::join(&other, relay)), Decider::new(rules, None));
        match settings.delivery {
            Delivery::ExactlyOnce => {
                let make = Box::new(move || Producer::start(&sim, &name, (&live, &said)));
                Worker::new(settings, shared, join, make, decider, desk, upserts, metrics)?.run()
            }
            Delivery::AtLeastOnce => {
                let make = Box::new(move || Acknowledged::start(&sim, &name, (&live, &said)));
                Worker::new(settings, shared, join, make, decider, desk, upserts, metrics)?.run()
            }
        }
    }

    /// A worker's upsert streams, with what brings them the fold's words.
    pub(super) fn upserts(&self, number: usize, rules: &ReleaseRules, names: &TopicNames) -> Option<(Upserts, Relay)> {
        let hearing = Arc::clone(self.hearings.get(number)?);
        // Whatever is assigned from now on is read with all of this in the view.
        let before = hearing.lock().unwrap_or_else(PoisonError::into_inner);
        while before.next().is_some() {}
        drop(before);
        let (teller, own) = feed::hearing();
        let rules = UpsertRules {
            release: *rules,
            names: names.clone(),
            form: "payload".into(),
            passes_headers: Vec::new(),
            has_provenance_headers: false,
        };
        let upserts = Upserts::new(rules, None, streams(self.streams), Arc::clone(&self.gates), own, self.commands.clone());
        Some((upserts, Relay { hearing, teller }))
    }
}
