//! Whether the records of a partition follow each other: nothing is passed over after a release, and nothing comes twice.
//!
//! A client that reads on at a wrong place says nothing of it. So the first record after a release must have the released offset,
//! and each one after it the next; older ones are dropped. What lies between is normal where the log was compacted, or holds
//! transaction markers and aborted records. So a first gap is looked at by another client before anything after it is taken, and
//! later ones are counted, the first of each minute looked at as well. The decisions are made here; who owns the clients carries
//! them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::BootTime;
use crate::engine::restore::request::{Assignment, Gap, GapContent};
use crate::id::Offset;
use crate::transport::SourcePartition;

/// So many later gaps are looked at in a minute, because each makes its partition wait.
const LOOKS_A_MINUTE: u32 = 3;
const MINUTE: Duration = Duration::from_secs(60);
/// After a release a first record is waited for this long before the log is asked whether there is one.
const FIRST_WITHIN: Duration = Duration::from_secs(30);

/// What becomes of one record.
#[derive(Debug, Clone)]
pub enum Judged {
    /// It follows the one before.
    Take,
    /// It is of no use: it came before, or is of a partition that nothing is taken from.
    Drop,
    /// It is taken; between it and the one before is a later gap.
    Count,
    /// It is dropped and its partition held until what lies in front of it has been looked at. A later gap counts.
    Query(Assignment, Gap, IsFirst),
}

/// Whether a gap is the first since the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IsFirst(pub bool);

/// What follows from what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterGap {
    /// All is well, and reading goes on from here.
    Release(Offset),
    /// Nothing was passed over, because there is nothing; reading goes on as it is.
    Rest,
    /// The record at `found` was passed over: everything is read again from `from` on.
    Again {
        /// Where reading goes on.
        from: Offset,
        /// The first record that was passed over.
        found: Offset,
    },
    /// What was to be read is gone from the log.
    Lost,
}

#[derive(Debug)]
enum FollowState {
    /// Nothing is taken of it.
    Held,
    /// The record at `next` must come.
    Flows { next: Offset, is_first: bool },
    /// What lies in a gap is being looked at, and nothing is taken meanwhile.
    Looks,
}

#[derive(Debug)]
struct FollowedPartition {
    ticket: Assignment,
    state: FollowState,
    /// Since when it has been held, or released without a first record.
    since: BootTime,
    /// It was released, and the client has begun to read it.
    has_begun: bool,
    /// What follows the release was asked of the log already, because nothing came.
    is_asked: bool,
    /// How far the reading is that it waits for.
    progress: u64,
}

/// Where each partition of a worker is to be read on. Times are arguments.
#[derive(Debug, Default)]
pub struct PositionCheck {
    parts: Vec<FollowedPartition>,
    lives: u64,
    /// The part of the last record: records come in runs.
    at: usize,
    looks: (BootTime, u32),
}

impl PositionCheck {
    /// A partition came: it is held.
    pub fn arrive(&mut self, partition: SourcePartition, now: BootTime) {
        self.leave(&[partition]);
        self.lives += 1;
        let ticket = Assignment { partition, life: self.lives, cancelled: Arc::<AtomicBool>::default(), progress: Arc::default() };
        self.parts.push(FollowedPartition { ticket, state: FollowState::Held, since: now, has_begun: false, is_asked: false, progress: 0 });
    }

    /// Partitions were taken back.
    pub fn leave(&mut self, partitions: &[SourcePartition]) {
        self.parts.retain(|part| {
            let goes = partitions.contains(&part.ticket.partition);
            part.ticket.cancelled.fetch_or(goes, Ordering::Relaxed);
            !goes
        });
        self.at = 0;
    }

    /// Nothing more is taken of it until it is released.
    pub fn hold(&mut self, partition: SourcePartition, now: BootTime) {
        self.turn(partition, FollowState::Held, now);
    }

    /// It is read from this offset on.
    pub fn release(&mut self, partition: SourcePartition, from: Offset, now: BootTime) {
        self.turn(partition, FollowState::Flows { next: from, is_first: true }, now);
    }

    /// What was asked about the partition before is of no interest any more.
    fn turn(&mut self, partition: SourcePartition, state: FollowState, now: BootTime) {
        self.lives += 1;
        let life = self.lives;
        let Some(part) = self.parts.iter_mut().find(|part| part.ticket.partition == partition) else { return };
        part.ticket.cancelled.store(true, Ordering::Relaxed);
        part.ticket = Assignment { partition, life, cancelled: Arc::default(), progress: Arc::default() };
        // A release does not end a wait: the client has yet to begin.
        if part.has_begun {
            part.since = now;
        }
        (part.state, part.has_begun, part.is_asked) = (state, false, false);
    }

    /// A record came. `looks` says whether a later gap in this partition may be looked at: its topic is not compacted.
    pub fn arrived(&mut self, partition: SourcePartition, offset: Offset, now: BootTime, looks: impl FnOnce() -> bool) -> Judged {
        if self.parts.get(self.at).is_none_or(|part| part.ticket.partition != partition) {
            let Some(at) = self.parts.iter().position(|part| part.ticket.partition == partition) else { return Judged::Drop };
            self.at = at;
        }
        let part = &mut self.parts[self.at];
        let FollowState::Flows { next, is_first } = &mut part.state else { return Judged::Drop };
        if offset < *next {
            return Judged::Drop;
        }
        let gap = Gap { from: *next, to: Some(offset) };
        let was_first = std::mem::replace(is_first, false);
        *next = Offset(offset.0 + 1);
        if gap.from == offset {
            return Judged::Take;
        }
        let is_looked_at = was_first || looks() && may_look(&mut self.looks, now);
        if !is_looked_at {
            return Judged::Count;
        }
        (part.state, part.since, part.has_begun) = (FollowState::Looks, now, false);
        Judged::Query(part.ticket.clone(), gap, IsFirst(was_first))
    }

    /// Whether an answer is about a partition in hand, as it is now.
    pub fn is_current(&self, partition: SourcePartition, life: u64) -> bool {
        self.parts.iter().any(|part| part.ticket.partition == partition && part.ticket.life == life)
    }

    /// What was found in a gap, asked for with a ticket that is current.
    pub fn found(&self, partition: SourcePartition, gap: Gap, found: GapContent) -> AfterGap {
        let Some(part) = self.parts.iter().find(|part| part.ticket.partition == partition) else { return AfterGap::Rest };
        match (&part.state, found) {
            (FollowState::Flows { is_first: true, .. } | FollowState::Looks, GapContent::Record(found)) => {
                AfterGap::Again { from: gap.from, found }
            }
            (FollowState::Looks, GapContent::Nothing) => gap.to.map_or(AfterGap::Rest, AfterGap::Release),
            (FollowState::Looks, GapContent::Gone) => AfterGap::Lost,
            // Something has come meanwhile, which was held against its place; and what is out of range the client says itself.
            (FollowState::Flows { .. } | FollowState::Held, _) => AfterGap::Rest,
        }
    }

    /// Partitions that were released a while ago and of which nothing has come: whether there is something is to be asked once.
    pub fn overdue(&mut self, now: BootTime) -> impl Iterator<Item = (Assignment, Gap)> {
        self.parts.iter_mut().filter_map(move |part| {
            let FollowState::Flows { next, is_first: true } = part.state else { return None };
            if part.is_asked || !part.has_begun || now.since(part.since) < FIRST_WITHIN {
                return None;
            }
            part.is_asked = true;
            Some((part.ticket.clone(), Gap { from: next, to: None }))
        })
    }

    /// Nothing was read for a while, and now it is: what comes first is waited for from now on.
    pub fn resumed(&mut self, now: BootTime) {
        self.parts.iter_mut().filter(|part| part.has_begun).for_each(|part| part.since = now);
    }

    /// Nothing was done at all for a while, and now it is: no partition could begin.
    pub fn restarted(&mut self, now: BootTime) {
        self.parts.iter_mut().for_each(|part| part.since = now);
    }

    /// Notes which of the released partitions the client has begun to read.
    pub fn begun(&mut self, now: BootTime, has_begun: impl Fn(SourcePartition) -> bool) {
        for part in &mut self.parts {
            if !part.has_begun && matches!(part.state, FollowState::Flows { .. }) && has_begun(part.ticket.partition) {
                (part.has_begun, part.since) = (true, now);
            }
        }
    }

    /// What is read before a partition is released takes its time: it waits since that last got on.
    pub fn got_on(&mut self, now: BootTime, progress: impl Fn(SourcePartition) -> Option<u64>) {
        for part in self.parts.iter_mut().filter(|part| matches!(part.state, FollowState::Held)) {
            let Some(progress) = progress(part.ticket.partition) else { continue };
            if std::mem::replace(&mut part.progress, progress) != progress {
                part.since = now;
            }
        }
    }

    /// Partitions that are held or not begun, and since when.
    pub fn held(&self) -> impl Iterator<Item = (SourcePartition, BootTime)> + '_ {
        self.parts.iter().filter(|part| !part.has_begun).map(|part| (part.ticket.partition, part.since))
    }
}

/// Whether one more gap is looked at in this minute.
fn may_look((began, count): &mut (BootTime, u32), now: BootTime) -> bool {
    if *count == 0 || now.since(*began) >= MINUTE {
        (*began, *count) = (now, 0);
    }
    *count += 1;
    *count <= LOOKS_A_MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StreamIndex;

    const HERE: SourcePartition = SourcePartition { stream: StreamIndex(0), partition: 3 };
    const THERE: SourcePartition = SourcePartition { stream: StreamIndex(1), partition: 3 };

    fn at(seconds: u64) -> BootTime {
        BootTime(Duration::from_secs(seconds))
    }

    fn released(from: i64) -> PositionCheck {
        let mut check = PositionCheck::default();
        check.arrive(HERE, at(0));
        check.release(HERE, Offset(from), at(0));
        check.begun(at(0), |_| true);
        check
    }

    /// What becomes of records, a letter for each: taken, dropped, counted, looked at.
    fn steps(check: &mut PositionCheck, offsets: impl IntoIterator<Item = i64>) -> String {
        let letter = |offset| match check.arrived(HERE, Offset(offset), at(1), || true) {
            Judged::Take => 't',
            Judged::Drop => 'd',
            Judged::Count => 'c',
            Judged::Query(..) => 'l',
        };
        offsets.into_iter().map(letter).collect()
    }

    #[test]
    fn what_follows_is_taken_and_what_came_before_is_dropped() {
        let mut check = PositionCheck::default();
        assert_eq!(steps(&mut check, [0]), "d", "of a partition that nobody has");
        check.arrive(HERE, at(0));
        check.arrive(THERE, at(0));
        assert_eq!(steps(&mut check, [0]), "d", "it is held");
        check.release(HERE, Offset(5), at(0));
        assert_eq!(steps(&mut check, [3, 4, 5, 6, 6, 5, 7]), "ddttddt");
        check.hold(HERE, at(1));
        assert_eq!(steps(&mut check, [8]), "d");
        check.release(HERE, Offset(6), at(1));
        assert_eq!(steps(&mut check, [8]), "l", "what was fetched before it was held");
        check.leave(&[HERE]);
        assert_eq!(steps(&mut check, [6]), "d");
    }

    #[test]
    fn nothing_is_taken_after_a_first_gap_before_it_was_looked_at() {
        let mut check = released(5);
        let Judged::Query(ticket, gap, IsFirst(true)) = check.arrived(HERE, Offset(9), at(1), || false) else { panic!("a first gap") };
        assert_eq!(gap, Gap { from: Offset(5), to: Some(Offset(9)) });
        assert_eq!(steps(&mut check, [10, 5, 9]), "ddd");
        assert!(check.is_current(HERE, ticket.life));
        assert_eq!(check.found(HERE, gap, GapContent::Nothing), AfterGap::Release(Offset(9)));
        assert_eq!(check.found(HERE, gap, GapContent::Record(Offset(7))), AfterGap::Again { from: Offset(5), found: Offset(7) });
        assert_eq!(check.found(HERE, gap, GapContent::Gone), AfterGap::Lost);
        check.release(HERE, Offset(9), at(2));
        assert!(!check.is_current(HERE, ticket.life) && ticket.cancelled.load(Ordering::Relaxed));
        assert_eq!(steps(&mut check, [10]), "l", "and the same again: 9 must come");
    }

    #[test]
    fn later_gaps_count_and_the_first_of_each_minute_are_looked_at() {
        let mut check = released(0);
        assert_eq!(steps(&mut check, [0]), "t");
        let mut later = |offset, second, is_compacted: bool| {
            let step = check.arrived(HERE, Offset(offset), at(second), || !is_compacted);
            if let Judged::Query(_, Gap { to: Some(to), .. }, is_first) = &step {
                assert_eq!(*is_first, IsFirst(false));
                check.release(HERE, *to, at(second));
                assert!(matches!(check.arrived(HERE, *to, at(second), || false), Judged::Take));
            }
            matches!(step, Judged::Query(..))
        };
        assert!(!later(2, 1, true), "on a compacted topic gaps are normal");
        assert_eq!([4, 6, 8, 10].map(|offset| later(offset, 2, false)), [true, true, true, false]);
        assert!(!later(12, 61, false) && later(14, 62, false), "the next minute");
    }

    #[test]
    fn a_release_that_brings_nothing_is_asked_about_once() {
        let mut check = PositionCheck::default();
        check.arrive(HERE, at(0));
        assert_eq!(check.overdue(at(1_000)).count(), 0, "it is held");
        check.release(HERE, Offset(5), at(1_000));
        assert_eq!(check.held().collect::<Vec<_>>(), [(HERE, at(0))], "the client has not begun");
        check.begun(at(2_000), |_| true);
        assert_eq!((check.held().count(), check.overdue(at(2_001)).count()), (0, 0));
        check.resumed(at(2_020));
        assert_eq!(check.overdue(at(2_049)).count(), 0, "nothing was read for a while");
        let asked: Vec<(Assignment, Gap)> = check.overdue(at(2_050)).collect();
        let [(ticket, gap)] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((check.overdue(at(3_000)).count(), *gap), (0, Gap { from: Offset(5), to: None }));
        assert!(check.is_current(HERE, ticket.life));
        assert_eq!(check.found(HERE, *gap, GapContent::Nothing), AfterGap::Rest);
        assert_eq!(check.found(HERE, *gap, GapContent::Record(Offset(6))), AfterGap::Again { from: Offset(5), found: Offset(6) });
        assert_eq!(steps(&mut check, [5]), "t");
        assert_eq!(check.found(HERE, *gap, GapContent::Record(Offset(5))), AfterGap::Rest, "it came meanwhile");
    }

    #[test]
    fn a_wait_begins_once_and_ends_when_records_can_flow() {
        let mut check = released(5);
        check.hold(HERE, at(10));
        check.hold(HERE, at(20));
        check.release(HERE, Offset(5), at(30));
        assert_eq!(check.held().collect::<Vec<_>>(), [(HERE, at(10))]);
        check.begun(at(40), |_| true);
        check.got_on(at(50), |_| Some(1));
        assert_eq!(check.held().count(), 0);
        assert_eq!(steps(&mut check, [7]), "l");
        assert_eq!(check.held().collect::<Vec<_>>(), [(HERE, at(1))], "a look is a wait too");
        check.hold(HERE, at(60));
        check.got_on(at(70), |_| Some(7));
        check.got_on(at(80), |_| Some(7));
        assert_eq!(check.held().collect::<Vec<_>>(), [(HERE, at(70))], "what is read gets on, and then it does not");
    }
}
