//! The fence (docs/rules/fence.md): a batch is decided, and a transaction committed, only if the batch's view is fresh.
//!
//! Pure: times are arguments. `control` and the probe's thread feed it, the workers ask it twice a batch.

pub(crate) mod metrics;
pub mod probe;
pub mod epoch_report;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::clock::BootTime;
use crate::config::FenceConfig;
use crate::id::Offset;
use crate::live::View;
use crate::time::TimestampMs;

/// Beyond this the engine's clock is of no use to decide by.
const MAX_SKEW_MS: i64 = 30_000;
/// So long the fold may stay behind an answered end before an open transaction is suspected; only the name depends on it.
const STUCK_AFTER: Duration = Duration::from_secs(2);

/// The bounds, from the section `fence` of the configuration.
#[derive(Debug, Clone, Copy)]
pub struct FenceLimits {
    /// `fence.enabled`. Without it age, ticks and skew are not looked at; what is unread or unreadable still counts.
    pub is_enabled: bool,
    /// `fence.max_view_age`.
    pub max_view_age: Duration,
    /// `fence.max_tick_age`.
    pub max_tick_age: Duration,
    /// `fence.max_clock_skew`: beyond it a warning is logged; the metric always shows the skew.
    pub max_clock_skew: Duration,
}

impl FenceLimits {
    /// As configured.
    pub fn of(config: &FenceConfig) -> Self {
        Self {
            is_enabled: config.is_enabled,
            max_view_age: Duration::from_millis(config.max_view_age.millis()),
            max_tick_age: Duration::from_millis(config.max_tick_age.millis()),
            max_clock_skew: Duration::from_millis(config.max_clock_skew.millis()),
        }
    }
}

/// Why nothing may be decided now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Closed {
    /// The control topic has not been folded to the end seen at start.
    NotCaughtUp,
    /// A control record that cannot be understood waits at this offset for `control skip`.
    Unreadable(Offset),
    /// The newest end of the control topic that the view reaches was asked for too long ago.
    ViewTooOld {
        /// Its age; `None` if the view reaches no answered end at all.
        view_age: Option<Duration>,
    },
    /// The same, and the fold cannot go on: records behind its position are not committed.
    OpenTransaction {
        /// Where the fold stands.
        position: Offset,
        /// The end that it does not reach.
        end: Offset,
    },
    /// No tick came lately: the log that answers may have been cut off from the cluster.
    TickTooOld {
        /// Its age; `None` if there was no tick at all.
        tick_age_ms: Option<i64>,
    },
    /// The engine's clock and the log's differ too much.
    ClockSkew {
        /// The log's clock minus the engine's.
        skew_ms: i64,
    },
}

impl Closed {
    /// The name that `/readyz` and the metric's label use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NotCaughtUp => "control_not_caught_up",
            Self::Unreadable(_) => "control_unreadable",
            Self::ViewTooOld { .. } => "view_too_old",
            Self::OpenTransaction { .. } => "control_open_transaction",
            Self::TickTooOld { .. } => "tick_too_old",
            Self::ClockSkew { .. } => "clock_skew",
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::NotCaughtUp => write!(f, ": the control topic is still being read"),
            Self::Unreadable(offset) => {
                write!(
                    f,
                    ": the control record at offset {offset} cannot be understood; look at it, then `sharecast control skip {offset} --note WHY`"
                )
            }
            Self::ViewTooOld { view_age: Some(age) } => write!(f, ": the view is {} ms old", age.as_millis()),
            Self::ViewTooOld { view_age: None } => write!(f, ": the end of the control topic is not known"),
            Self::OpenTransaction { position, end } => {
                write!(
                    f,
                    ": a transaction that somebody left open on the control topic hides what lies between offset {position} and {end}"
                )
            }
            Self::TickTooOld { tick_age_ms: Some(age) } => write!(f, ": the newest tick is {age} ms old, so the log may be cut off"),
            Self::TickTooOld { tick_age_ms: None } => write!(f, ": no tick has been read yet"),
            Self::ClockSkew { skew_ms } => write!(f, ": the log's clock is {skew_ms} ms ahead of this machine's"),
        }
    }
}

/// One answered question for the control topic's end.
#[derive(Debug, Clone, Copy)]
struct Answer {
    asked: BootTime,
    end: Offset,
}

/// What the fence knows. Shared behind a mutex; every call is short.
#[derive(Debug)]
pub struct Fence {
    limits: FenceLimits,
    /// Answered questions in the order they were asked. `end` never falls along it: a smaller end ends the process.
    answers: VecDeque<Answer>,
    /// The end seen at start; nothing is decided by a view that does not reach it.
    end_at_start: Option<Offset>,
    /// Control records that wait for their skip, ascending.
    unreadable: Vec<Offset>,
    newest_tick: Option<TimestampMs>,
    /// When a tick was folded last, of whatever time.
    ticked_at: Option<BootTime>,
    skew_ms: i64,
    /// Where the fold stands and since when.
    position: (Offset, BootTime),
}

impl Fence {
    /// A closed fence.
    pub fn new(limits: FenceLimits, now: BootTime) -> Self {
        Self {
            limits,
            answers: VecDeque::new(),
            end_at_start: None,
            unreadable: Vec::new(),
            newest_tick: None,
            ticked_at: None,
            skew_ms: 0,
            position: (Offset(-1), now),
        }
    }

    /// The bounds it was made with.
    pub fn limits(&self) -> FenceLimits {
        self.limits
    }

    /// Notes that the end asked for at `asked` was answered with `end`.
    pub fn answered(&mut self, asked: BootTime, end: Offset) {
        self.end_at_start.get_or_insert(end);
        self.answers.push_back(Answer { asked, end });
        // An answer that is older than the bound can make no view fresh, but the newest of those still tells the age.
        let oldest_useful = BootTime(asked.0.saturating_sub(self.limits.max_view_age * 4));
        while self.answers.len() > 2 && self.answers[1].asked < oldest_useful {
            self.answers.pop_front();
        }
    }

    /// Notes where the fold stands: everything before `position` is folded and published.
    pub fn folded(&mut self, position: Offset, unreadable: &[Offset], now: BootTime) {
        if position != self.position.0 {
            self.position = (position, now);
        }
        if self.unreadable != unreadable {
            self.unreadable = unreadable.to_vec();
        }
    }

    /// Notes a tick at `offset` with Kafka timestamp `at`, folded at `boot` by the engine's wall clock `wall`.
    ///
    /// The log's clock read `at` at some moment after the last question that did not yet see the tick and before now,
    /// so only a time outside of that interval shows skew; how long the fold took does not. Answers whether the skew
    /// is known: for ticks of the past, read at start, it is not.
    pub fn ticked(&mut self, offset: Offset, at: TimestampMs, wall: TimestampMs, boot: BootTime) -> bool {
        self.newest_tick = Some(self.newest_tick.map_or(at, |newest| newest.max(at)));
        self.ticked_at = Some(boot);
        let Some(before) = self.answers.iter().rev().find(|answer| answer.end <= offset) else { return false };
        let earliest_ms = wall.0 - boot.since(before.asked).as_millis() as i64;
        self.skew_ms = if at.0 > wall.0 {
            at.0 - wall.0
        } else if at.0 < earliest_ms {
            at.0 - earliest_ms
        } else {
            0
        };
        true
    }

    /// When a tick was folded last.
    pub fn ticked_at(&self) -> Option<BootTime> {
        self.ticked_at
    }

    /// The log's clock minus the engine's as the last live tick showed it.
    pub fn skew_ms(&self) -> i64 {
        self.skew_ms
    }

    /// How old a view is: now minus the moment of asking of the newest question whose answer it reaches.
    pub fn view_age(&self, position: Offset, now: BootTime) -> Option<Duration> {
        self.answers.iter().rev().find(|answer| answer.end <= position).map(|answer| now.since(answer.asked))
    }

    /// Whether a batch may be decided by `view`, or committed that was.
    pub fn check(&self, view: &View, wall: TimestampMs, boot: BootTime) -> Result<(), Closed> {
        // Of the view itself, not of the fold: a batch may still hold the view from before the fold had caught up.
        if self.end_at_start.is_none_or(|end| view.position < end) {
            return Err(Closed::NotCaughtUp);
        }
        if let Some(&offset) = self.unreadable.first() {
            return Err(Closed::Unreadable(offset));
        }
        if view.graph.is_halted() {
            return Err(Closed::Unreadable(Offset(view.graph.epoch().0)));
        }
        if !self.limits.is_enabled {
            return Ok(());
        }
        let view_age = self.view_age(view.position, boot);
        if view_age.is_none_or(|age| age > self.limits.max_view_age) {
            return Err(self.stuck(boot).unwrap_or(Closed::ViewTooOld { view_age }));
        }
        let tick_age_ms = self.newest_tick.map(|tick| wall.0 - tick.0);
        if tick_age_ms.is_none_or(|age| age > self.limits.max_tick_age.as_millis() as i64) {
            return Err(Closed::TickTooOld { tick_age_ms });
        }
        if self.skew_ms.abs() >= MAX_SKEW_MS {
            return Err(Closed::ClockSkew { skew_ms: self.skew_ms });
        }
        Ok(())
    }

    /// For how long a view may be used yet, as far as its age tells.
    pub fn time_left(&self, view: &View, boot: BootTime) -> Duration {
        if !self.limits.is_enabled {
            return Duration::MAX;
        }
        let age = self.view_age(view.position, boot).unwrap_or(Duration::MAX);
        self.limits.max_view_age.saturating_sub(age)
    }

    /// The end is known and ahead, yet the fold's position has not moved for a while.
    fn stuck(&self, boot: BootTime) -> Option<Closed> {
        let (position, since) = self.position;
        let newest = self.answers.back()?;
        let is_stuck = newest.end > position && boot.since(since) > STUCK_AFTER && boot.since(newest.asked) <= self.limits.max_view_age;
        is_stuck.then_some(Closed::OpenTransaction { position, end: newest.end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::configuration::PartnershipNeed;
    use crate::share::table::{FoldRules, ShareTable};
    use crate::time::Period;

    const LIMITS: FenceLimits = FenceLimits {
        is_enabled: true,
        max_view_age: Duration::from_secs(1),
        max_tick_age: Duration::from_secs(60),
        max_clock_skew: Duration::from_secs(1),
    };

    fn boot(ms: u64) -> BootTime {
        BootTime(Duration::from_millis(ms))
    }

    fn view(position: i64) -> View {
        let rules =
            FoldRules { streams: [].into(), partnerships: PartnershipNeed::Required, late_grace: Period::ZERO, halts_on_unreadable: true };
        View { graph: ShareTable::new(rules).graph(), position: Offset(position), newest_cut: None, newest_change: crate::id::Epoch::NONE }
    }

    /// Caught up at position 10 and ticked at wall time 0; boot time 1000 is wall time 0.
    fn open_fence() -> Fence {
        let mut fence = Fence::new(LIMITS, boot(0));
        fence.answered(boot(1_000), Offset(10));
        fence.folded(Offset(10), &[], boot(1_000));
        assert!(!fence.ticked(Offset(9), TimestampMs(0), TimestampMs(0), boot(1_000)), "the question saw this tick already");
        fence
    }

    #[test]
    fn nothing_flows_before_the_end_seen_at_start_is_folded() {
        let mut fence = Fence::new(LIMITS, boot(0));
        assert_eq!(fence.check(&view(10), TimestampMs(0), boot(0)), Err(Closed::NotCaughtUp));
        fence.answered(boot(10), Offset(10));
        fence.folded(Offset(9), &[], boot(20));
        assert_eq!(fence.check(&view(9), TimestampMs(0), boot(30)), Err(Closed::NotCaughtUp));
        fence.folded(Offset(10), &[], boot(40));
        assert_eq!(fence.check(&view(10), TimestampMs(0), boot(50)), Err(Closed::TickTooOld { tick_age_ms: None }));
        fence.ticked(Offset(9), TimestampMs(0), TimestampMs(0), boot(60));
        assert_eq!(fence.check(&view(10), TimestampMs(0), boot(70)), Ok(()));
    }

    #[test]
    fn a_fold_that_is_at_the_end_before_it_is_known_has_caught_up() {
        let mut fence = Fence::new(FenceLimits { is_enabled: false, ..LIMITS }, boot(0));
        fence.folded(Offset(10), &[], boot(10));
        assert_eq!(fence.check(&view(10), TimestampMs(0), boot(20)), Err(Closed::NotCaughtUp));
        fence.answered(boot(20), Offset(10));
        assert_eq!(fence.check(&view(10), TimestampMs(0), boot(30)), Ok(()));
    }

    #[test]
    fn the_age_is_that_of_the_batch_s_own_view() {
        let mut fence = open_fence();
        assert_eq!(fence.check(&view(10), TimestampMs(1_000), boot(2_000)), Ok(()));
        assert_eq!([1_400, 2_000, 9_000].map(|ms| fence.time_left(&view(10), boot(ms)).as_millis()), [600, 0, 0]);
        assert_eq!(fence.time_left(&view(9), boot(1_400)), Duration::ZERO, "no answered end is reached");
        assert_eq!(
            fence.check(&view(10), TimestampMs(1_001), boot(2_001)),
            Err(Closed::ViewTooOld { view_age: Some(Duration::from_millis(1_001)) })
        );
        // A revoke is appended at offset 10; a question asked after it answers 11. The fold has it, this batch does not.
        fence.answered(boot(2_000), Offset(11));
        fence.folded(Offset(11), &[], boot(2_010));
        assert_eq!(fence.view_age(Offset(11), boot(2_100)), Some(Duration::from_millis(100)));
        assert_eq!(fence.view_age(Offset(10), boot(2_100)), Some(Duration::from_millis(1_100)), "the old view ages on");
        assert!(fence.check(&view(10), TimestampMs(1_100), boot(2_100)).is_err());
        assert_eq!(fence.check(&view(11), TimestampMs(1_100), boot(2_100)), Ok(()));
    }

    #[test]
    fn a_view_that_reaches_no_answer_has_no_age() {
        let mut fence = open_fence();
        for ms in (5_000..10_000).step_by(200) {
            fence.answered(boot(ms), Offset(12));
        }
        fence.folded(Offset(12), &[], boot(10_000));
        assert_eq!(fence.check(&view(10), TimestampMs(0), boot(10_000)), Err(Closed::ViewTooOld { view_age: None }));
    }

    #[test]
    fn an_open_transaction_is_named() {
        let mut fence = open_fence();
        for ms in (1_200..6_000).step_by(200) {
            fence.answered(boot(ms), Offset(12));
        }
        assert_eq!(
            fence.check(&view(10), TimestampMs(0), boot(6_000)),
            Err(Closed::OpenTransaction { position: Offset(10), end: Offset(12) })
        );
    }

    #[test]
    fn a_log_without_ticks_may_be_cut_off() {
        let mut fence = open_fence();
        fence.answered(boot(61_500), Offset(10));
        assert_eq!(fence.check(&view(10), TimestampMs(60_000), boot(61_500)), Ok(()));
        assert_eq!(fence.check(&view(10), TimestampMs(60_001), boot(61_501)), Err(Closed::TickTooOld { tick_age_ms: Some(60_001) }));
    }

    #[test]
    fn an_unreadable_record_closes_the_fence_until_it_is_skipped() {
        let mut fence = open_fence();
        fence.folded(Offset(11), &[Offset(10)], boot(1_010));
        assert_eq!(fence.check(&view(11), TimestampMs(0), boot(1_020)), Err(Closed::Unreadable(Offset(10))));
        fence.folded(Offset(12), &[], boot(1_030));
        assert_eq!(fence.check(&view(12), TimestampMs(0), boot(1_040)), Ok(()));
    }

    #[test]
    fn skew_is_what_neither_latency_nor_lag_explains() {
        let mut fence = open_fence();
        // Asked at boot 1000 (wall 0), appended, folded at wall 800: any timestamp in between is no skew.
        for (at, skew_ms) in [(0, 0), (800, 0), (900, 100), (-100, -100), (31_000, 30_200)] {
            assert!(fence.ticked(Offset(10), TimestampMs(at), TimestampMs(800), boot(1_800)));
            assert_eq!(fence.skew_ms(), skew_ms, "tick at {at}");
        }
        assert_eq!(fence.check(&view(10), TimestampMs(800), boot(1_800)), Err(Closed::ClockSkew { skew_ms: 30_200 }));
    }

    #[test]
    fn a_disabled_fence_still_waits_for_the_fold_and_the_skip() {
        let mut fence = Fence::new(FenceLimits { is_enabled: false, ..LIMITS }, boot(0));
        assert_eq!(fence.check(&view(0), TimestampMs(0), boot(0)), Err(Closed::NotCaughtUp));
        fence.answered(boot(0), Offset(0));
        fence.folded(Offset(0), &[], boot(0));
        assert_eq!(fence.check(&view(0), TimestampMs(0), boot(900_000)), Ok(()));
        fence.folded(Offset(1), &[Offset(0)], boot(0));
        assert_eq!(fence.check(&view(-1), TimestampMs(0), boot(0)), Err(Closed::NotCaughtUp), "a batch that still holds the first view");
        assert_eq!(fence.check(&view(1), TimestampMs(0), boot(0)), Err(Closed::Unreadable(Offset(0))));
    }
}
