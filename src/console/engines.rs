//! What the engines have reported, so that a page can say that a share flows, or that what was stopped can come no more, and not only
//! that it was written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tracing::debug;

use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::{Config, Delivery};
use crate::console::pages::operator::{EngineRow, FailedRoute};
use crate::console::status::{Certainty, Flowing};
use crate::engine::fence::epoch_report::{CommitTerms, read, read_time, terms_of};
use crate::engine::topic::stored::{BACKFILL_INSTANCE, epoch_key, epoch_prefix};
use crate::id::{Epoch, Offset};
use crate::json::document as json;
use crate::kafka::{Admin, KafkaSettings, TopicReader};
use crate::serve::Serve;
use crate::share::status::Document;
use crate::time::TimestampMs;
use crate::writing::certainty;

/// What the hard bound adds to the transaction time-out (docs/rules/fence.md#the-guarantee).
const HARD_BOUND_EXTRA: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at which topics there are.
const TOPICS_EVERY: Duration = Duration::from_secs(1);
const ASK: Duration = Duration::from_secs(5);
const TRY_AGAIN: Duration = Duration::from_secs(2);

/// What is known, replaced as a whole by none but its thread.
#[derive(Debug, Default, Clone)]
struct EngineReports {
    /// By the report's key.
    members: BTreeMap<String, (BTreeMap<String, Epoch>, Option<TimestampMs>)>,
    /// The longest that a transaction of any may be open.
    transaction_timeout: Duration,
    /// That of none ends by itself.
    is_unbounded: bool,
    /// Tenants that are owed something, each with the note's key and where it begins.
    owed: BTreeMap<String, (String, i64)>,
    topics: BTreeSet<String>,
    /// Why nothing is known.
    trouble: Option<String>,
}

/// What is known to be certain: no record that an event up to `epoch` forbids can come since `since`.
#[derive(Debug, Clone, Copy)]
struct CertainCut {
    epoch: Epoch,
    since: TimestampMs,
}

/// Of so many cuts it is known since when; of older ones the hard bound says it.
const CUTS_KEPT: usize = 256;

/// Revokes that are waited for, one after the other: one that is certain makes all before it so.
#[derive(Debug, Default)]
struct CertaintyWaits {
    /// The last of those that are wanted and not waited for yet.
    wanted: Option<(Epoch, BootTime)>,
    is_waiting: bool,
    /// In the order of their epochs.
    known: VecDeque<CertainCut>,
}

/// Follows the reports.
#[derive(Debug)]
pub(crate) struct Engines {
    reports: Mutex<EngineReports>,
    waits: Mutex<CertaintyWaits>,
    changed: watch::Sender<u64>,
}

impl Engines {
    /// Begins to follow on a thread of its own.
    pub(crate) fn start(serve: Arc<Serve>) -> Arc<Self> {
        let reports = EngineReports { trouble: Some("the engines' reports have not been read yet".to_owned()), ..EngineReports::default() };
        let engines = Arc::new(Self { reports: Mutex::new(reports), waits: Mutex::default(), changed: watch::channel(0).0 });
        let own = Arc::clone(&engines);
        let spawned = std::thread::Builder::new().name("reports".into()).spawn(move || own.run(&serve));
        if let Err(error) = spawned {
            debug!(%error, "the reports of engines are not followed");
        }
        engines
    }

    /// Told whenever a page may have to say something else.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn run(&self, serve: &Serve) {
        while !serve.is_stopping() {
            if let Err(why) = self.follow(serve) {
                self.update(|reports| reports.trouble = Some(why.clone()));
                SystemClock.sleep(TRY_AGAIN);
            }
        }
    }

    fn follow(&self, serve: &Serve) -> Result<(), String> {
        let config = serve.config();
        let kafka = KafkaSettings::of(&config.kafka);
        let admin = Admin::open(&kafka, ASK).map_err(|error| error.to_string())?;
        if admin.topic(&config.topics.state).map_err(|error| error.to_string())?.is_none() {
            return Err("no engine has run yet".to_owned());
        }
        let (epochs, jobs) = (epoch_prefix(&kafka.group), epoch_key(&kafka.group, BACKFILL_INSTANCE));
        let owed = format!("owed/{}/", kafka.group);
        let mut reader = TopicReader::open_within(&kafka, &config.topics.state, [0], ASK).map_err(|error| error.to_string())?;
        let hear = |reports: &mut EngineReports, key: &str, value: Option<&[u8]>| {
            if key.starts_with(&epochs) && !key.starts_with(&jobs) {
                match value {
                    Some(value) => {
                        let terms: CommitTerms = terms_of(value);
                        reports.transaction_timeout = reports.transaction_timeout.max(terms.transaction_timeout);
                        reports.is_unbounded |= terms.delivery == Delivery::AtLeastOnce;
                        reports.members.insert(key.to_owned(), (read(value), read_time(value)));
                    }
                    None => drop(reports.members.remove(key)),
                }
                return true;
            }
            if let Some(rest) = key.strip_prefix(&owed) {
                match value.and_then(|value| json::parse(value).ok()) {
                    Some(note) => {
                        let from = note.get("from").and_then(|from| match &from.kind {
                            crate::document::DocumentKind::Number(text) => text.parse().ok(),
                            _ => None,
                        });
                        reports.owed.insert(key.to_owned(), (rest.to_owned(), from.unwrap_or(-1)));
                    }
                    None => drop(reports.owed.remove(key)),
                }
                return true;
            }
            false
        };
        let mut first = EngineReports::default();
        reader
            .read_to_end(ASK, |record| {
                let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
                hear(&mut first, &key, record.value());
            })
            .map_err(|error| error.to_string())?;
        self.update(|reports| *reports = first.clone());
        let mut topics_at = SystemClock.boot();
        while !serve.is_stopping() {
            let mut heard = Vec::new();
            let followed = reader.follow(LOOK, |record| {
                let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
                heard.push((key, record.value().map(<[u8]>::to_vec)));
            });
            followed.map_err(|error| error.to_string())?;
            if !heard.is_empty() {
                self.update(|reports| {
                    for (key, value) in &heard {
                        hear(reports, key, value.as_deref());
                    }
                });
            }
            if SystemClock.boot() >= topics_at {
                topics_at = SystemClock.boot().after(TOPICS_EVERY);
                let names: BTreeSet<String> =
                    admin.topics().map_err(|error| error.to_string())?.into_iter().map(|topic| topic.name).collect();
                if self.reports.lock().expect("it is only replaced").topics != names {
                    self.update(|reports| reports.topics.clone_from(&names));
                }
            }
        }
        Ok(())
    }

    fn update(&self, change: impl FnOnce(&mut EngineReports)) {
        change(&mut self.reports.lock().expect("it is only replaced"));
        self.changed.send_modify(|count| *count += 1);
    }

    /// Whether an engine decides with a share that changed at this epoch, and its topics are there and take records.
    pub(crate) fn flowing(&self, config: &Config, share: &Document<'_>, changed_at: Epoch) -> Flowing {
        let reports = self.reports.lock().expect("it is only replaced");
        let waits = |why: String| Flowing::Waits(why);
        if let Some(trouble) = &reports.trouble {
            return waits(trouble.clone());
        }
        let newest = reports.members.values().flat_map(|(members, _)| members.values()).max();
        if newest.is_none_or(|newest| *newest < changed_at) {
            return waits("no engine has reported yet that it decides with it".to_owned());
        }
        let Some(target) = share.target_tenant else { return Flowing::Established };
        let missing =
            share.streams.iter().map(|stream| config.output.topics.topic(target, stream)).find(|topic| !reports.topics.contains(topic));
        if let Some(topic) = missing {
            return waits(format!("the topic {topic} is not there yet"));
        }
        let is_owed = reports.owed.values().any(|(rest, _)| rest.rsplit('/').next() == Some(target));
        if is_owed {
            waits(format!("a topic of {target} does not take records at the moment; what it is owed waits"))
        } else {
            Flowing::Established
        }
    }

    /// Finds out when no record can come any more that the revoke at this epoch forbids: by the members' reports, or by the bound.
    pub(crate) fn await_certainty(self: &Arc<Self>, serve: &Arc<Serve>, revoke: Epoch) {
        let mut waits = self.waits.lock().expect("it is only replaced");
        if waits.wanted.is_none_or(|(wanted, _)| wanted < revoke) {
            waits.wanted = Some((revoke, SystemClock.boot()));
        }
        if waits.is_waiting {
            return;
        }
        waits.is_waiting = true;
        let (own, serve) = (Arc::clone(self), Arc::clone(serve));
        if let Err(error) = std::thread::Builder::new().name("certainty".into()).spawn(move || own.wait_on(&serve)) {
            waits.is_waiting = false;
            debug!(%error, "it is not waited for that a revoke is certain; the bound says it later");
        }
    }

    fn wait_on(&self, serve: &Serve) {
        loop {
            let (epoch, acknowledged) = {
                let mut waits = self.waits.lock().expect("it is only replaced");
                match waits.wanted.take().filter(|_| !serve.is_stopping()) {
                    Some(wanted) => wanted,
                    None => {
                        waits.is_waiting = false;
                        return;
                    }
                }
            };
            let waited = certainty::wait(serve.config(), Offset(epoch.0), acknowledged, None, &|line| debug!(epoch = epoch.0, "{line}"));
            if waited.is_ok() {
                let mut waits = self.waits.lock().expect("it is only replaced");
                waits.known.push_back(CertainCut { epoch, since: SystemClock.wall() });
                if waits.known.len() > CUTS_KEPT {
                    waits.known.pop_front();
                }
                drop(waits);
                self.changed.send_modify(|count| *count += 1);
            }
        }
    }

    /// Whether a record of a stopped share, which the event at `revoke` ended, can still come: none can once every member has reported
    /// it, and none after the hard bound, whatever an engine was doing.
    pub(crate) fn certainty(&self, config: &Config, share: &Document<'_>, revoke: Epoch, now: TimestampMs) -> Certainty {
        if let Some(cut) = self.waits.lock().expect("it is only replaced").known.iter().find(|cut| cut.epoch >= revoke) {
            return Certainty::Since(cut.since);
        }
        let reports = self.reports.lock().expect("it is only replaced");
        if reports.is_unbounded || config.delivery == Delivery::AtLeastOnce {
            return Certainty::NotYet;
        }
        let own = Duration::from_millis(config.kafka.transaction_timeout.millis());
        let bound = Duration::from_millis(config.fence.max_view_age.millis()) + own.max(reports.transaction_timeout) + HARD_BOUND_EXTRA;
        let Some(ended_at) = share.ended_at else { return Certainty::NotYet };
        let certain = TimestampMs(ended_at.millis().0.saturating_add(i64::try_from(bound.as_millis()).unwrap_or(i64::MAX)));
        if certain <= now { Certainty::Since(certain) } else { Certainty::NotYet }
    }

    /// The members that have reported.
    pub(crate) fn members(&self) -> Vec<EngineRow> {
        let reports = self.reports.lock().expect("it is only replaced");
        let of = |(members, at): &(BTreeMap<String, Epoch>, Option<TimestampMs>)| {
            members
                .iter()
                .map(|(member, epoch)| EngineRow { member: member.clone(), epoch: epoch.0, at: at.map(TimestampMs::moment) })
                .collect::<Vec<_>>()
        };
        reports.members.values().flat_map(of).collect()
    }

    /// Topics that do not take records.
    pub(crate) fn failed_routes(&self) -> Vec<FailedRoute> {
        let reports = self.reports.lock().expect("it is only replaced");
        let route = |(rest, from): &(String, i64)| {
            let mut parts = rest.rsplitn(3, '/');
            let (tenant, partition, topic) = (parts.next()?, parts.next()?, parts.next()?);
            Some(FailedRoute { tenant: tenant.to_owned(), stream: topic.to_owned(), partition: partition.parse().ok()?, from: *from })
        };
        reports.owed.values().filter_map(route).collect()
    }

    /// Why nothing is known of the engines.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.reports.lock().expect("it is only replaced").trouble.clone()
    }
}
