//! `share revoke --wait`: until the cut is certain (docs/rules/fence.md#being-certain).
//!
//! It is certain when the hard bound is over, or sooner when every worker that can commit anything has said that it decides by a
//! graph that has the revoke (`engine::report`). Who can commit anything is who is in the group, and this is why:
//!
//! - Who is not a member cannot send offsets, and without them no transaction commits (docs/rules/exactly-once.md#group-metadata).
//! - A member leaves in order behind its last transaction. What a client thread that hangs leaves behind it leaves after
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
//! What is certain is that no further *record* is released. A document that stands in an upsert topic is taken away by the same
//! worker after it has seen the revoke, which may be a moment later.

use std::collections::HashSet;
use std::time::Duration;

use tracing::debug;

use super::exit::Failure;
use super::send::{client_failure, input_failure};
use crate::clock::{BootTime, Clock, SystemClock};
use crate::config::Config;
use crate::engine::report::{self, Members};
use crate::engine::stored::epoch_prefix;
use crate::engine::topics::STATE;
use crate::id::Offset;
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

/// How it became certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certain {
    /// Every member of the group has reported it.
    Reported,
    /// The hard bound is over.
    Bound,
}

impl Certain {
    /// As results have it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Bound => "bound",
        }
    }

    fn in_words(self) -> &'static str {
        match self {
            Self::Reported => "every member of the group has reported it",
            Self::Bound => "the hard bound is over",
        }
    }
}

/// Waits until no record can come any more that the revoke at `offset`, acknowledged then, forbids.
pub(super) fn wait(config: &Config, offset: Offset, acknowledged: BootTime) -> Certain {
    let view_age = Duration::from_millis(config.fence.max_view_age.millis());
    let bound = view_age + Duration::from_millis(config.kafka.transaction_timeout.millis()) + HARD_BOUND_EXTRA;
    let over = acknowledged.after(bound);
    let left = || over.since(SystemClock.boot());
    if !config.fence.is_enabled {
        eprintln!("warning: fence.enabled is false: an instance may decide by an old view for longer than this waits");
    }
    eprintln!("revoked; waiting until it is certain for every instance, a frozen one too: {} s at most", left().as_millis().div_ceil(1000));
    let certain = match watch(config, offset, acknowledged.after(view_age), over) {
        Ok(certain) => certain,
        Err(failure) => {
            debug!(%failure, "the group's reports cannot be read; the hard bound is waited for");
            Certain::Bound
        }
    };
    if certain == Certain::Bound {
        std::thread::sleep(left());
    }
    eprintln!("certain: {}", certain.in_words());
    certain
}

fn watch(config: &Config, offset: Offset, not_before: BootTime, over: BootTime) -> Result<Certain, Failure> {
    let kafka = KafkaSettings::of(&config.kafka);
    let session = Duration::from_millis(kafka.session_timeout_ms());
    if session < Duration::from_millis(kafka.transaction_timeout_ms()) + MARGIN || !config.fence.is_enabled {
        return Ok(Certain::Bound);
    }
    let group = GroupMembers::open(&kafka).map_err(client_failure)?;
    let mut state = TopicReader::open(&kafka, STATE, [0]).map_err(input_failure)?;
    let prefix = epoch_prefix(&kafka.group);
    let mut heard = Heard::default();
    while SystemClock.boot() < over {
        state
            .follow(LOOK, |record| {
                let is_report = record.key().is_some_and(|key| key.starts_with(prefix.as_bytes()));
                if let (true, Some(value)) = (is_report, record.value()) {
                    heard.report(report::read(value));
                }
            })
            .map_err(input_failure)?;
        let asked = SystemClock.boot();
        match group.ask(&kafka.group, ASK.min(over.since(asked))) {
            Ok(members) => {
                if heard.is_certain(members, offset) && asked >= not_before {
                    return Ok(Certain::Reported);
                }
            }
            Err(error) => debug!(%error, "the group's members"),
        }
    }
    Ok(Certain::Bound)
}

/// What was reported, and who was seen in the group.
#[derive(Debug, Default)]
struct Heard {
    reported: Members,
    seen: HashSet<String>,
}

impl Heard {
    fn report(&mut self, members: Members) {
        for (member, epoch) in members {
            let known = self.reported.entry(member).or_insert(epoch);
            *known = (*known).max(epoch);
        }
    }

    /// Whether everybody who is in the group, or was since this began to look, has reported the offset. None stands for a group
    /// whose list cannot be relied on.
    fn is_certain(&mut self, members: Option<Vec<String>>, offset: Offset) -> bool {
        let is_stable = members.is_some();
        self.seen.extend(members.into_iter().flatten());
        is_stable && self.seen.iter().all(|member| self.reported.get(member).is_some_and(|epoch| epoch.0 >= offset.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Epoch;

    #[test]
    fn everybody_seen_must_have_reported() {
        let group = |members: &[&str]| Some(members.iter().map(|member| (*member).to_owned()).collect::<Vec<_>>());
        let report = |heard: &mut Heard, member: &str, epoch: i64| heard.report([(member.to_owned(), Epoch(epoch))].into());
        let mut heard = Heard::default();
        assert!(!heard.is_certain(None, Offset(7)), "an empty group, or one that is changing");
        assert!(!heard.is_certain(group(&["a", "b"]), Offset(7)));
        report(&mut heard, "a", 7);
        report(&mut heard, "b", 6);
        assert!(!heard.is_certain(group(&["a", "b"]), Offset(7)), "one of them has not seen it");
        assert!(!heard.is_certain(group(&["a"]), Offset(7)), "nor when it has gone meanwhile");
        report(&mut heard, "b", 9);
        report(&mut heard, "b", 8);
        assert!(heard.is_certain(group(&["a", "b"]), Offset(7)));
        assert!(!heard.is_certain(None, Offset(7)));
        assert!(!heard.is_certain(group(&["a", "c"]), Offset(7)), "a new one");
    }
}
