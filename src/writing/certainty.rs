//! A revoke that is waited for: until the cut is certain (docs/rules/fence.md#being-certain).
//!
//! It is certain when the hard bound is over, or sooner when every worker that can commit anything has reported that it decides by a
//! graph that has the revoke (`engine::fence::epoch_report`). Who can commit anything is who is in the group, and this is why:
//!
//! - Who is not a member cannot send offsets, and without them no transaction commits (docs/rules/exactly-once.md#group-metadata).
//! - A member leaves in order after its last transaction. What a client thread that hangs leaves behind it leaves after
//!   `max.poll.interval.ms`, and a silent process is put out after `session.timeout.ms`. Where that is longer than the transaction may be
//!   open, with `MARGIN` besides, the broker has aborted whatever such a member had open before it is out of the group. Where it is
//!   shorter, as it is by default, a frozen process could wake as nobody's member and commit what it decided long ago. It can do so only
//!   if it had sent its offsets: those are pending at the group's coordinator until the transaction is over, and whoever asks for them
//!   read committed learns that they are. So each input partition is asked about after the last look at the group (`PendingOffsets`):
//!   what is not pending then can be made so by members alone. Where that may not be asked, nothing but the hard bound counts. A member
//!   cannot come back under its old id: static membership is refused.
//! - Who joins later may have folded no further than before the revoke. The fence lets it commit until `max_view_age` has passed, so the
//!   group is asked once more after that; whoever begins a transaction later does so by a graph that has the revoke.
//! - A worker that is told to stop while its transaction coordinator does not answer leaves with a commit perhaps still on its way. It
//!   sent that before it left; whoever was in the group when this began to look must have reported, so it is waited for. One that had
//!   left before then sent its commit before, or as, the revoke was acknowledged.
//! - While the group is changing, or empty, its list is not relied on.
//!
//! The time-outs are those of whoever may commit, not of whoever waits: each process reports its own, and an engine of the version before,
//! which does not, is taken to have what was the default then.
//!
//! A backfill is no member of any group. It reports every five seconds, begins no transaction without a fresh report, and takes its
//! report back when it ends in order. So each job counts whose last report is younger than that and its transaction together may be.
//!
//! With `delivery: at_least_once` records have no transaction that a broker could abort, so there is no hard bound. A worker reports an
//! epoch where nothing of it is on its way, so the reports of all members are what can be known; what a process that was stopped holds is
//! not among it.
//!
//! What is certain is that no further *record* is released. A document that stands in an upsert topic is taken away by the same
//! worker after it has seen the revoke, which may be a moment later.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::{Config, Delivery};
use crate::engine::backfill::report::FRESH_FOR;
use crate::engine::fence::epoch_report;
use crate::engine::fence::epoch_report::{CommitTerms, Members, UNSAID_TRANSACTION_TIMEOUT};
use crate::engine::topic::stored::{BACKFILL_INSTANCE, epoch_key, epoch_prefix};
use crate::id::{Epoch, Offset};
use crate::kafka::{GroupMembers, KafkaSettings, ReadRecord, TopicReader};
use crate::transport::ConsumeError;
use crate::writing::pending_offsets::PendingOffsets;

/// What the hard bound adds to the time-outs (docs/rules/fence.md#the-guarantee).
const HARD_BOUND_EXTRA: Duration = Duration::from_secs(10);
/// How much longer a silent member must stay in the group than its transaction: what a broker may take to abort it, and what lies
/// between a member's last heartbeat and the beginning of its last transaction.
const MARGIN: Duration = Duration::from_secs(15);
/// Between two looks at the group.
const LOOK: Duration = Duration::from_millis(200);
/// How long one question may take.
const ASK: Duration = Duration::from_secs(2);
/// A wait that is over by now is not worth a word.
const SILENT: Duration = Duration::from_secs(2);
/// So long reports are waited for where nothing else can end the wait, unless `--timeout` says otherwise.
const UNBOUNDED_PATIENCE: Duration = Duration::from_secs(30);
/// What nobody can promise without transactions.
const NO_BOUND: &str =
    "With `delivery: at_least_once` there is no hard bound: a process that was stopped may send what it held when it wakes";
/// So many members that have not reported are named.
const MEMBERS_SHOWN: usize = 5;
/// Before the answer the reports are read to their end; no longer at once.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);

/// How a cut became certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quiescence {
    /// Every member of the group has reported it.
    Reported,
    /// The hard bound is over.
    Bound,
}

impl Quiescence {
    /// As results have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Bound => "bound",
        }
    }

    /// The same in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Reported => "every member of the group has reported it",
            Self::Bound => "the hard bound is over",
        }
    }
}

/// That a revoke counts, and is not certain yet: what it still waits for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Uncertain(pub String);

/// Waits until no record can come any more that the revoke at `offset`, acknowledged then, forbids. With a `limit` no longer than
/// that. `say` is told in words what is waited for.
///
/// # Errors
/// What it was still waiting for at the limit.
pub fn wait(
    config: &Config,
    offset: Offset,
    acknowledged: BootTime,
    limit: Option<Duration>,
    say: &dyn Fn(&str),
) -> Result<Quiescence, Uncertain> {
    if !config.fence.is_enabled {
        say("warning: fence.enabled is false: an instance may decide by an old view for longer than this waits");
    }
    let view_age = Duration::from_millis(config.fence.max_view_age.millis());
    let begun = SystemClock.boot();
    let ends = WatchEnds {
        not_before: acknowledged.after(view_age),
        given_up: limit.map(|limit| begun.after(limit)),
        unbounded: begun.after(limit.unwrap_or(UNBOUNDED_PATIENCE)),
    };
    let mut heard = HeardReports::of(CommitTerms::of(config));
    let mut telling = Telling { begun, latest: String::new(), printed: String::new(), say };
    let watched = watch(config, offset, &ends, &mut heard, &mut telling);
    let over = ends.hard_bound(&heard);
    let given_up = ends.given_up.filter(|given_up| *given_up < over);
    let left = || over.since(SystemClock.boot());
    if heard.terms.delivery == Delivery::AtLeastOnce {
        return match watched {
            Ok(true) => {
                say(&format!("certain: {}. {NO_BOUND}", Quiescence::Reported.in_words()));
                Ok(Quiescence::Reported)
            }
            Ok(false) => Err(uncertain(&heard.missing_all(offset, &config.kafka.group))),
            Err(why) => Err(uncertain(&why)),
        };
    }
    let is_reported = match watched {
        Ok(is_reported) => is_reported,
        Err(why) => {
            telling.latest = why;
            say(&format!("{}; the hard bound is waited for, {} s more", telling.latest, left().as_millis().div_ceil(1000)));
            false
        }
    };
    if is_reported {
        say(&format!("certain: {}", Quiescence::Reported.in_words()));
        return Ok(Quiescence::Reported);
    }
    if let Some(given_up) = given_up {
        std::thread::sleep(given_up.since(SystemClock.boot()));
        let (why, seconds) = (&telling.latest, left().as_millis().div_ceil(1000));
        let what =
            format!("the revoke stands, but it is not certain yet for every instance: {why}; it will be in {seconds} s (see --timeout)");
        return Err(Uncertain(what));
    }
    std::thread::sleep(left());
    say(&format!("certain: {}", Quiescence::Bound.in_words()));
    Ok(Quiescence::Bound)
}

/// The end of a wait that nothing but reports can end well.
fn uncertain(why: &str) -> Uncertain {
    Uncertain(format!("the revoke stands, but it is not certain for every instance: {why}. {NO_BOUND} (see --timeout)"))
}

/// When to stop watching.
struct WatchEnds {
    /// Nothing is certain before.
    not_before: BootTime,
    /// Nobody waits for longer, if that was said.
    given_up: Option<BootTime>,
    /// Where there is no hard bound.
    unbounded: BootTime,
}

impl WatchEnds {
    /// After this nothing can be committed any more that was decided before.
    fn hard_bound(&self, heard: &HeardReports) -> BootTime {
        self.not_before.after(heard.transaction_timeout() + HARD_BOUND_EXTRA)
    }

    fn of(&self, heard: &HeardReports) -> BootTime {
        match heard.terms.delivery {
            Delivery::ExactlyOnce => self.given_up.map_or(self.hard_bound(heard), |given_up| given_up.min(self.hard_bound(heard))),
            Delivery::AtLeastOnce => self.unbounded,
        }
    }
}

/// Says what a wait that grows long is about, each thing once.
struct Telling<'t> {
    begun: BootTime,
    say: &'t dyn Fn(&str),
    /// The newest reason, whether or not it was printed.
    latest: String,
    printed: String,
}

impl Telling<'_> {
    fn tell(&mut self, why: String, over: BootTime) {
        let now = SystemClock.boot();
        if now >= self.begun.after(SILENT) && why != self.printed {
            (self.say)(&format!("still waiting, {} s at most: {why}", over.since(now).as_millis().div_ceil(1000)));
            self.printed.clone_from(&why);
        }
        self.latest = why;
    }
}

/// Whether every member has reported in time; the error is why that cannot be learnt.
fn watch(config: &Config, offset: Offset, ends: &WatchEnds, heard: &mut HeardReports, telling: &mut Telling<'_>) -> Result<bool, String> {
    let kafka = KafkaSettings::of(&config.kafka);
    let state = &config.topics.state;
    let unreadable = |error: &dyn std::fmt::Display| {
        format!("the reports in {state} cannot be read ({error}; `provision --print-acls` has what it takes)")
    };
    let (prefix, jobs) = (epoch_prefix(&kafka.group), epoch_key(&kafka.group, BACKFILL_INSTANCE));
    let ask = ends.of(heard).since(SystemClock.boot());
    let opened = TopicReader::open_within(&kafka, state, [0], ask).and_then(|mut state| {
        // All that was reported before counts at once: it says whether there is a bound at all, and which.
        state.read_to_end(ask, |record| heard.hear(&record, &prefix, &jobs))?;
        heard.has_read = true;
        Ok(state)
    });
    heard.tell_begun(ends, telling.say);
    let mut state = opened.map_err(|error| unreadable(&error))?;
    if !config.fence.is_enabled {
        return Err("fence.enabled is false: what members report says nothing".to_owned());
    }
    let group = GroupMembers::open(&kafka).map_err(|error| unreadable(&error))?;
    let session = Duration::from_millis(kafka.session_timeout_ms());
    let mut pending = None;
    while SystemClock.boot() < ends.of(heard) {
        state.follow(LOOK, |record| heard.hear(&record, &prefix, &jobs)).map_err(|error| unreadable(&error))?;
        let asked = SystemClock.boot();
        let members = match group.ask(&kafka.group, ASK.min(ends.of(heard).since(asked))) {
            Ok(members) => members,
            Err(error) => {
                telling.tell(format!("who is in the group {} cannot be asked ({error})", kafka.group), ends.of(heard));
                continue;
            }
        };
        let is_stable = members.is_some();
        if heard.is_certain(members, offset) && asked >= ends.not_before {
            // A report of a job that began before may lie after what an open transaction holds back.
            match state.catch_up(CATCH_UP_WITHIN, |record| heard.hear(&record, &prefix, &jobs)) {
                Ok(()) if !heard.is_certain(Some(Vec::new()), offset) => {}
                // Whoever was silent was in the group for longer than its transaction was open.
                Ok(()) if heard.terms.delivery == Delivery::AtLeastOnce || session >= heard.transaction_timeout() + MARGIN => {
                    return Ok(true);
                }
                Ok(()) => {
                    let pending = pending.get_or_insert_with(|| PendingOffsets::of(config));
                    match pending.look()? {
                        None => return Ok(true),
                        Some(why) => telling.tell(why, ends.of(heard)),
                    }
                    continue;
                }
                Err(ConsumeError::Unavailable(_)) => {}
                Err(error) => return Err(unreadable(&error)),
            }
        }
        telling.tell(heard.missing(is_stable, offset, &kafka.group), ends.of(heard));
    }
    Ok(false)
}

/// What was reported, and who was seen in the group.
#[derive(Debug)]
struct HeardReports {
    reported: Members,
    seen: HashSet<String>,
    /// Backfills that may still commit something, by name, each with the least epoch that it decides by.
    jobs: BTreeMap<String, Epoch>,
    /// Members of processes whose records have no transactions.
    unbounded: HashSet<String>,
    /// As the configuration says here, until a member that was seen says otherwise of itself.
    terms: CommitTerms,
    /// By report, how long its transactions may stay open.
    timeouts: BTreeMap<Vec<u8>, Duration>,
    /// All was read that was reported before.
    has_read: bool,
}

impl HeardReports {
    fn of(terms: CommitTerms) -> Self {
        Self {
            reported: Members::new(),
            seen: HashSet::new(),
            jobs: BTreeMap::new(),
            unbounded: HashSet::new(),
            terms,
            timeouts: BTreeMap::new(),
            has_read: false,
        }
    }

    /// The longest that a transaction of anybody may stay open. Who has not said so may be of the version before.
    fn transaction_timeout(&self) -> Duration {
        let is_unsaid = !self.has_read || self.seen.iter().any(|member| !self.reported.contains_key(member));
        let unsaid = is_unsaid.then_some(UNSAID_TRANSACTION_TIMEOUT);
        self.timeouts.values().copied().chain(unsaid).fold(self.terms.transaction_timeout, Duration::max)
    }

    /// What is waited for from now on.
    fn tell_begun(&self, ends: &WatchEnds, say: &dyn Fn(&str)) {
        match self.terms.delivery {
            Delivery::ExactlyOnce => {
                let seconds = ends.hard_bound(self).since(SystemClock.boot()).as_millis().div_ceil(1000);
                say(&format!("revoked; waiting until it is certain for every instance, a frozen one too: {seconds} s at most"));
            }
            Delivery::AtLeastOnce => say(&format!("revoked; waiting until every member has reported it. {NO_BOUND}")),
        }
    }

    /// Takes in a record of the state topic.
    fn hear(&mut self, record: &ReadRecord<'_>, prefix: &str, jobs: &str) {
        let Some(key) = record.key().filter(|key| key.starts_with(prefix.as_bytes())) else { return };
        let job = key.strip_prefix(jobs.as_bytes()).map(String::from_utf8_lossy);
        let Some(value) = record.value() else {
            self.timeouts.remove(key);
            return job.into_iter().for_each(|job| self.job_ended(&job));
        };
        let terms = epoch_report::terms_of(value);
        self.timeouts.insert(key.to_vec(), terms.transaction_timeout);
        let Some(job) = job else { return self.report(epoch_report::read(value), terms.delivery) };
        let at = epoch_report::read_time(value).unwrap_or(record.timestamp());
        let age_ms = SystemClock.wall().0 - at.0;
        self.job(&job, epoch_report::read(value), age_ms < job_lasts(terms).as_millis() as i64);
        if !self.jobs.contains_key(&*job) {
            self.timeouts.remove(key);
        }
    }

    fn report(&mut self, members: Members, delivery: Delivery) {
        for (member, epoch) in members {
            if delivery == Delivery::AtLeastOnce {
                self.unbounded.insert(member.clone());
            }
            let known = self.reported.entry(member).or_insert(epoch);
            *known = (*known).max(epoch);
        }
    }

    /// Whether everybody who is in the group, or was since this began to look, has reported the offset. None stands for a group
    /// whose list cannot be relied on.
    fn is_certain(&mut self, members: Option<Vec<String>>, offset: Offset) -> bool {
        let is_stable = members.is_some();
        self.seen.extend(members.into_iter().flatten());
        if !self.seen.is_disjoint(&self.unbounded) {
            self.terms.delivery = Delivery::AtLeastOnce;
        }
        is_stable && self.unreported(offset).next().is_none() && self.unreported_jobs(offset).next().is_none()
    }

    /// A backfill has reported. An old report is of one that was killed, or is frozen and can commit nothing more.
    fn job(&mut self, name: &str, members: Members, is_young: bool) {
        // What cannot be read says nothing of how far the job is.
        let epoch = members.into_values().min().unwrap_or(Epoch::NONE);
        match is_young {
            true => drop(self.jobs.insert(name.to_owned(), epoch)),
            false => self.job_ended(name),
        }
    }

    fn job_ended(&mut self, name: &str) {
        self.jobs.remove(name);
    }

    fn unreported_jobs(&self, offset: Offset) -> impl Iterator<Item = &String> {
        self.jobs.iter().filter(move |(_, epoch)| epoch.0 < offset.0).map(|(name, _)| name)
    }

    fn unreported(&self, offset: Offset) -> impl Iterator<Item = &String> {
        self.seen.iter().filter(move |member| self.reported.get(*member).is_none_or(|epoch| epoch.0 < offset.0))
    }

    /// Every member that has not reported, by name, or why none is known.
    fn missing_all(&self, offset: Offset, group: &str) -> String {
        let mut members: Vec<&str> = self.unreported(offset).map(String::as_str).collect();
        members.sort_unstable();
        if members.is_empty() {
            return self.missing(false, offset, group);
        }
        format!("of the group {group} these members have not reported the revoke: {}", members.join(", "))
    }

    /// What is waited for, in words.
    fn missing(&self, is_stable: bool, offset: Offset, group: &str) -> String {
        let mut members: Vec<&str> = self.unreported(offset).map(String::as_str).collect();
        members.sort_unstable();
        let jobs: Vec<&str> = self.unreported_jobs(offset).map(String::as_str).collect();
        if members.is_empty() && !jobs.is_empty() {
            return format!("these backfills have not reported the revoke: {}", jobs.join(", "));
        }
        let more = if members.len() > MEMBERS_SHOWN { format!(" and {} more", members.len() - MEMBERS_SHOWN) } else { String::new() };
        match (is_stable, members.is_empty()) {
            (true, true) => "a view that was taken before the revoke may still be in use".to_owned(),
            (true, false) | (false, false) => {
                members.truncate(MEMBERS_SHOWN);
                format!("of the group {group} these members have not reported the revoke: {}{more}", members.join(", "))
            }
            (false, true) => format!("the group {group} is changing, has no members, or may not be looked at"),
        }
    }
}

/// After its last report a job can commit something for so long: it begins no transaction by an older one.
fn job_lasts(terms: CommitTerms) -> Duration {
    FRESH_FOR + terms.transaction_timeout + HARD_BOUND_EXTRA
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(delivery: Delivery) -> CommitTerms {
        CommitTerms { delivery, transaction_timeout: Duration::from_secs(10) }
    }

    #[test]
    fn the_bound_is_that_of_the_slowest_to_be_aborted() {
        let mut heard = HeardReports::of(terms(Delivery::ExactlyOnce));
        let seconds = |heard: &HeardReports| heard.transaction_timeout().as_secs();
        assert_eq!(seconds(&heard), 15, "nothing was read: anybody may be there");
        heard.has_read = true;
        assert_eq!(seconds(&heard), 10);
        heard.timeouts.insert(b"epoch/g/a".to_vec(), Duration::from_secs(10));
        heard.report([("a".to_owned(), Epoch(3))].into(), Delivery::ExactlyOnce);
        assert!(!heard.is_certain(Some(vec!["a".to_owned(), "b".to_owned()]), Offset(7)));
        assert_eq!(seconds(&heard), 15, "a member that has said nothing yet may be of the version before");
        heard.timeouts.insert(b"epoch/g/b".to_vec(), Duration::from_secs(20));
        heard.report([("b".to_owned(), Epoch(3))].into(), Delivery::ExactlyOnce);
        assert_eq!(seconds(&heard), 20);
        heard.timeouts.insert(b"epoch/g/b".to_vec(), Duration::from_secs(5));
        assert_eq!(seconds(&heard), 10, "one of its name has taken its place; and never less than is configured here");
    }

    #[test]
    fn a_backfill_counts_while_its_report_is_young() {
        let mut heard = HeardReports::of(terms(Delivery::ExactlyOnce));
        let group = || Some(vec!["a".to_owned()]);
        heard.report([("a".to_owned(), Epoch(9))].into(), Delivery::ExactlyOnce);
        assert!(heard.is_certain(group(), Offset(7)));
        heard.job("old", [("backfill-old".to_owned(), Epoch(3))].into(), false);
        assert!(heard.is_certain(group(), Offset(7)), "one that was killed long ago");
        heard.job("week", [("backfill-week".to_owned(), Epoch(6))].into(), true);
        assert!(!heard.is_certain(group(), Offset(7)));
        assert_eq!(heard.missing(true, Offset(7), "g"), "these backfills have not reported the revoke: week");
        heard.job("week", [("backfill-week".to_owned(), Epoch(7))].into(), true);
        assert!(heard.is_certain(group(), Offset(7)));
        heard.job("newer", Members::new(), true);
        assert!(!heard.is_certain(group(), Offset(7)), "a report that cannot be read is no end");
        heard.job_ended("newer");
        heard.job("two", [("backfill-two".to_owned(), Epoch(6))].into(), true);
        heard.job_ended("two");
        assert!(heard.is_certain(group(), Offset(7)), "it has ended in order");
    }

    #[test]
    fn everybody_seen_must_have_reported() {
        let group = |members: &[&str]| Some(members.iter().map(|member| (*member).to_owned()).collect::<Vec<_>>());
        let report = |heard: &mut HeardReports, member: &str, epoch: i64| {
            heard.report([(member.to_owned(), Epoch(epoch))].into(), Delivery::ExactlyOnce)
        };
        let mut heard = HeardReports::of(terms(Delivery::ExactlyOnce));
        assert!(!heard.is_certain(None, Offset(7)), "an empty group, or one that is changing");
        assert!(!heard.is_certain(group(&["a", "b"]), Offset(7)));
        report(&mut heard, "a", 7);
        report(&mut heard, "b", 6);
        assert!(!heard.is_certain(group(&["a", "b"]), Offset(7)), "one of them has not seen it");
        assert!(!heard.is_certain(group(&["a"]), Offset(7)), "nor when it has gone meanwhile");
        report(&mut heard, "b", 9);
        report(&mut heard, "b", 8);
        assert!(heard.is_certain(group(&["a", "b"]), Offset(7)));
        assert_eq!(heard.missing(true, Offset(9), "g"), "of the group g these members have not reported the revoke: a");
        assert!(heard.missing(false, Offset(7), "g").contains("is changing"));
        assert!(!heard.is_certain(None, Offset(7)));
        assert!(!heard.is_certain(group(&["a", "c"]), Offset(7)), "a new one");
    }

    #[test]
    fn what_the_engines_say_of_their_delivery_counts_not_what_is_configured_here() {
        let group = |members: &[&str]| Some(members.iter().map(|member| (*member).to_owned()).collect::<Vec<_>>());
        let mut heard = HeardReports::of(terms(Delivery::ExactlyOnce));
        heard.report([("gone".to_owned(), Epoch(3))].into(), Delivery::AtLeastOnce);
        heard.report([("a".to_owned(), Epoch(3))].into(), Delivery::ExactlyOnce);
        assert!(!heard.is_certain(group(&["a"]), Offset(7)));
        assert_eq!(heard.terms.delivery, Delivery::ExactlyOnce, "who is no member is of the past");
        heard.report([("b".to_owned(), Epoch(3))].into(), Delivery::AtLeastOnce);
        assert!(!heard.is_certain(group(&["b", "a"]), Offset(7)));
        assert_eq!(heard.terms.delivery, Delivery::AtLeastOnce);
        assert_eq!(heard.missing_all(Offset(7), "g"), "of the group g these members have not reported the revoke: a, b");
        assert!(HeardReports::of(terms(Delivery::AtLeastOnce)).missing_all(Offset(7), "g").contains("has no members"));
    }
}
