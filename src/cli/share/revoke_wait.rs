//! `share revoke --wait`: until the cut is certain (docs/rules/fence.md#being-certain).
//!
//! It is certain when the hard bound is over, or sooner when every worker that can commit anything has reported that it decides by a
//! graph that has the revoke (`engine::fence::epoch_report`). Who can commit anything is who is in the group, and this is why:
//!
//! - Who is not a member cannot send offsets, and without them no transaction commits (docs/rules/exactly-once.md#group-metadata).
//! - A member leaves in order after its last transaction. What a client thread that hangs leaves behind it leaves after
//!   `max.poll.interval.ms`, and a silent process is put out after `session.timeout.ms`. The configuration keeps both above
//!   `transaction.timeout.ms`; with `MARGIN` besides, the broker has aborted whatever such a member had open before it is out of the
//!   group. Where the session is shorter than that, a frozen process could wake as nobody's member and commit what it decided long
//!   ago: then nothing but the hard bound counts. A member cannot come back under its old id: static membership is refused.
//! - Who joins later may have folded no further than before the revoke. The fence lets it commit until `max_view_age` has passed, so the
//!   group is asked once more after that; whoever begins a transaction later does so by a graph that has the revoke.
//! - A worker that is told to stop while its transaction coordinator does not answer leaves with a commit perhaps still on its way. It
//!   sent that before it left; whoever was in the group when this began to look must have reported, so it is waited for. One that had
//!   left before then sent its commit before, or as, the revoke was acknowledged.
//! - While the group is changing, or empty, its list is not relied on.
//!
//! A backfill is no member of any group. It reports every five seconds, begins no transaction without a report that is younger than
//! the hard bound, and takes its report back when it ends in order. So each job counts whose last report is younger than that.
//!
//! What is certain is that no further *record* is released. A document that stands in an upsert topic is taken away by the same
//! worker after it has seen the revoke, which may be a moment later.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::cli::exit::{Exit, Failure, client_failure, input_failure, tell};
use crate::cli::outcome::Quiescence;
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::engine::fence::epoch_report;
use crate::engine::fence::epoch_report::Members;
use crate::engine::topic::stored::{BACKFILL_INSTANCE, epoch_key, epoch_prefix};
use crate::id::{Epoch, Offset};
use crate::kafka::{GroupMembers, KafkaSettings, TopicReader};

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
/// So many members that have not reported are named.
const MEMBERS_SHOWN: usize = 5;

/// Waits until no record can come any more that the revoke at `offset`, acknowledged then, forbids. With a `limit` no longer than
/// that, and then the answer is what it was still waiting for.
pub(in crate::cli) fn wait(
    config: &Config,
    offset: Offset,
    acknowledged: BootTime,
    limit: Option<Duration>,
) -> Result<Quiescence, Failure> {
    let view_age = Duration::from_millis(config.fence.max_view_age.millis());
    let over = acknowledged.after(hard_bound(config));
    let given_up = limit.map(|limit| SystemClock.boot().after(limit)).filter(|given_up| *given_up < over);
    let left = || over.since(SystemClock.boot());
    if !config.fence.is_enabled {
        tell!("warning: fence.enabled is false: an instance may decide by an old view for longer than this waits");
    }
    tell!("revoked; waiting until it is certain for every instance, a frozen one too: {} s at most", left().as_millis().div_ceil(1000));
    let mut telling = Telling { begun: SystemClock.boot(), latest: String::new(), printed: String::new() };
    let watched = watch(config, offset, acknowledged.after(view_age), given_up.unwrap_or(over), &mut telling);
    let is_reported = match watched {
        Ok(is_reported) => is_reported,
        Err(why) => {
            telling.latest = why;
            tell!("{}; the hard bound is waited for, {} s more", telling.latest, left().as_millis().div_ceil(1000));
            false
        }
    };
    if is_reported {
        tell!("certain: {}", Quiescence::Reported.in_words());
        return Ok(Quiescence::Reported);
    }
    if let Some(given_up) = given_up {
        std::thread::sleep(given_up.since(SystemClock.boot()));
        let (why, seconds) = (&telling.latest, left().as_millis().div_ceil(1000));
        let what =
            format!("the revoke stands, but it is not certain yet for every instance: {why}; it will be in {seconds} s (see --timeout)");
        return Err(Failure::new(Exit::Failed, what));
    }
    std::thread::sleep(left());
    tell!("certain: {}", Quiescence::Bound.in_words());
    Ok(Quiescence::Bound)
}

/// After this nothing can be committed any more that was decided before.
fn hard_bound(config: &Config) -> Duration {
    let millis = config.fence.max_view_age.millis() + config.kafka.transaction_timeout.millis();
    Duration::from_millis(millis) + HARD_BOUND_EXTRA
}

/// Says what a wait that grows long is about, each thing once.
struct Telling {
    begun: BootTime,
    /// The newest reason, whether or not it was printed.
    latest: String,
    printed: String,
}

impl Telling {
    fn tell(&mut self, why: String, over: BootTime) {
        let now = SystemClock.boot();
        if now >= self.begun.after(SILENT) && why != self.printed {
            tell!("still waiting, {} s at most: {why}", over.since(now).as_millis().div_ceil(1000));
            self.printed.clone_from(&why);
        }
        self.latest = why;
    }
}

/// Whether every member has reported before `over`; the error is why that cannot be learnt.
fn watch(config: &Config, offset: Offset, not_before: BootTime, over: BootTime, telling: &mut Telling) -> Result<bool, String> {
    let kafka = KafkaSettings::of(&config.kafka);
    let session = Duration::from_millis(kafka.session_timeout_ms());
    let needed = Duration::from_millis(kafka.transaction_timeout_ms()) + MARGIN;
    if !config.fence.is_enabled {
        return Err("fence.enabled is false: what members report says nothing".to_owned());
    }
    if session < needed {
        let (session, needed) = (session.as_millis(), needed.as_millis());
        return Err(format!(
            "session.timeout.ms is {session}: a silent member may leave the group before its transaction is aborted, so reports count from \
             {needed} on only"
        ));
    }
    let unreadable = |failure: Failure| {
        format!("the reports in {} cannot be read ({failure}; `provision --print-acls` has what it takes)", config.topics.state)
    };
    let group = GroupMembers::open(&kafka).map_err(client_failure).map_err(unreadable)?;
    let ask = over.since(SystemClock.boot());
    let mut state = TopicReader::open_within(&kafka, &config.topics.state, [0], ask).map_err(input_failure).map_err(unreadable)?;
    let (prefix, jobs) = (epoch_prefix(&kafka.group), epoch_key(&kafka.group, BACKFILL_INSTANCE));
    let bound_ms = hard_bound(config).as_millis() as i64;
    let mut heard = HeardReports::default();
    while SystemClock.boot() < over {
        state
            .follow(LOOK, |record| {
                let is_report = record.key().is_some_and(|key| key.starts_with(prefix.as_bytes()));
                let job = record.key().and_then(|key| key.strip_prefix(jobs.as_bytes())).map(String::from_utf8_lossy);
                match (job, record.value()) {
                    (Some(job), None) => heard.job_ended(&job),
                    (Some(job), Some(value)) => {
                        let at = epoch_report::read_time(value).unwrap_or(record.timestamp());
                        heard.job(&job, epoch_report::read(value), SystemClock.wall().0 - at.0 < bound_ms);
                    }
                    (None, Some(value)) if is_report => heard.report(epoch_report::read(value)),
                    (None, _) => {}
                }
            })
            .map_err(input_failure)
            .map_err(unreadable)?;
        let asked = SystemClock.boot();
        match group.ask(&kafka.group, ASK.min(over.since(asked))) {
            Ok(members) => {
                let is_stable = members.is_some();
                if heard.is_certain(members, offset) && asked >= not_before {
                    return Ok(true);
                }
                telling.tell(heard.missing(is_stable, offset, &kafka.group), over);
            }
            Err(error) => telling.tell(format!("who is in the group {} cannot be asked ({error})", kafka.group), over),
        }
    }
    Ok(false)
}

/// What was reported, and who was seen in the group.
#[derive(Debug, Default)]
struct HeardReports {
    reported: Members,
    seen: HashSet<String>,
    /// Backfills that may still commit something, by name, each with the least epoch that it decides by.
    jobs: BTreeMap<String, Epoch>,
}

impl HeardReports {
    fn report(&mut self, members: Members) {
        for (member, epoch) in members {
            let known = self.reported.entry(member).or_insert(epoch);
            *known = (*known).max(epoch);
        }
    }

    /// A backfill has reported. An old report is of one that was killed, or is frozen and can commit nothing more.
    fn job(&mut self, name: &str, members: Members, is_young: bool) {
        match members.into_values().min().filter(|_| is_young) {
            Some(epoch) => drop(self.jobs.insert(name.to_owned(), epoch)),
            None => self.job_ended(name),
        }
    }

    fn job_ended(&mut self, name: &str) {
        self.jobs.remove(name);
    }

    /// Whether everybody who is in the group, or was since this began to look, has reported the offset. None stands for a group
    /// whose list cannot be relied on.
    fn is_certain(&mut self, members: Option<Vec<String>>, offset: Offset) -> bool {
        let is_stable = members.is_some();
        self.seen.extend(members.into_iter().flatten());
        is_stable && self.unreported(offset).next().is_none() && self.unreported_jobs(offset).next().is_none()
    }

    fn unreported_jobs(&self, offset: Offset) -> impl Iterator<Item = &String> {
        self.jobs.iter().filter(move |(_, epoch)| epoch.0 < offset.0).map(|(name, _)| name)
    }

    fn unreported(&self, offset: Offset) -> impl Iterator<Item = &String> {
        self.seen.iter().filter(move |member| self.reported.get(*member).is_none_or(|epoch| epoch.0 < offset.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backfill_counts_while_its_report_is_young() {
        let mut heard = HeardReports::default();
        let group = || Some(vec!["a".to_owned()]);
        heard.report([("a".to_owned(), Epoch(9))].into());
        assert!(heard.is_certain(group(), Offset(7)));
        heard.job("old", [("backfill-old".to_owned(), Epoch(3))].into(), false);
        assert!(heard.is_certain(group(), Offset(7)), "one that was killed long ago");
        heard.job("week", [("backfill-week".to_owned(), Epoch(6))].into(), true);
        assert!(!heard.is_certain(group(), Offset(7)));
        assert_eq!(heard.missing(true, Offset(7), "g"), "these backfills have not reported the revoke: week");
        heard.job("week", [("backfill-week".to_owned(), Epoch(7))].into(), true);
        assert!(heard.is_certain(group(), Offset(7)));
        heard.job("two", [("backfill-two".to_owned(), Epoch(6))].into(), true);
        heard.job_ended("two");
        assert!(heard.is_certain(group(), Offset(7)), "it has ended in order");
    }

    #[test]
    fn everybody_seen_must_have_reported() {
        let group = |members: &[&str]| Some(members.iter().map(|member| (*member).to_owned()).collect::<Vec<_>>());
        let report = |heard: &mut HeardReports, member: &str, epoch: i64| heard.report([(member.to_owned(), Epoch(epoch))].into());
        let mut heard = HeardReports::default();
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
}
