//! The decision of docs/rules/release.md: may this record go to this share's target, now?
//!
//! Two clocks must agree: validity is judged at the record's event time, entitlement at the moment of release.

pub mod compared;

use self::compared::{ComparedTerm, RuleComparison};
use crate::id::StreamIndex;
use crate::json::tape::Tape;
use crate::profile::compile::Projection;
use crate::profile::condition::{ConditionError, ShareFacts};
use crate::record::decode::Identity;
use crate::share::graph::{Grant, GrantState, ShareGraph};
use crate::time::{Period, TimestampMs, TimestampNs};

closed_set! {
    /// Why a share that names the stream does not get a record; the first rule that failed (docs/rules/release.md#reasons).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum Suppressed;
    /// The word in the metric and in `explain`.
    fn as_str;

    /// Nobody has accepted it yet.
    Pending = "pending",
    /// It is paused, a tenant is suspended, or the event time fell in a past pause.
    Paused = "paused",
    /// It is over, or never was.
    Ended = "ended",
    /// The event time lies before `granted_from`, or `starts` is still to come.
    BeforeWindow = "before_window",
    /// The event time lies behind `ends`, or the record came too late even for `late_grace`.
    AfterWindow = "after_window",
    /// The profile is retired or has no section for the stream.
    ProfileMissing = "profile_missing",
    /// The profile's condition is not true of the record.
    Filtered = "filtered",
    /// The profile's sampling leaves it out.
    Sampled = "sampled",
}

/// The `now` of a decision: the engine's clock, or the graph's control time where that is later (docs/rules/release.md#now).
pub fn decision_time(clock: TimestampMs, graph: &ShareGraph) -> TimestampNs {
    clock.max(graph.control_time()).moment()
}

/// Whether a share counts (docs/rules/release.md#shares-that-count): a record of its asset is worth reading, and passes rule 1 unless a
/// tenant is suspended.
pub fn counts(grant: &Grant, now: TimestampNs, late_grace: Period) -> bool {
    match grant.state {
        GrantState::Active | GrantState::Expired => is_within_grace(grant, now, late_grace, &mut unseen),
        GrantState::Paused => false,
    }
}

/// Takes what a decision compares and makes nothing of it.
#[inline(always)]
pub(crate) fn unseen(_: Suppressed, _: RuleComparison) {}

/// Why a share that does not count withholds a record whose event time nobody looks at: rule 1 fails, or it comes too late.
pub(crate) fn uncounted(
    grant: &Grant,
    now: TimestampNs,
    late_grace: Period,
    compared: &mut impl FnMut(Suppressed, RuleComparison),
) -> Suppressed {
    if is_paused(grant, compared) {
        return Suppressed::Paused;
    }
    is_within_grace(grant, now, late_grace, compared);
    Suppressed::AfterWindow
}

/// Decides whether an append record of event time `t`, read at `now`, is released to this share, which names the stream.
/// The answer is the projection to release it under.
pub fn release<'g>(
    grant: &Grant,
    graph: &'g ShareGraph,
    stream: StreamIndex,
    t: TimestampNs,
    now: TimestampNs,
    late_grace: Period,
    compared: &mut impl FnMut(Suppressed, RuleComparison),
) -> Result<&'g Projection, Suppressed> {
    entitlement(grant, t, now, late_grace, compared)?;
    projection(grant, graph, stream).ok_or(Suppressed::ProfileMissing)
}

/// Rules 1 to 3 and the past pauses, which need no profile.
pub fn is_entitled(grant: &Grant, t: TimestampNs, now: TimestampNs, late_grace: Period) -> Result<(), Suppressed> {
    entitlement(grant, t, now, late_grace, &mut unseen)
}

/// The same; `compared` takes each comparison that was made, with the reason that its rule gives.
#[inline(always)]
fn entitlement(
    grant: &Grant,
    t: TimestampNs,
    now: TimestampNs,
    late_grace: Period,
    compared: &mut impl FnMut(Suppressed, RuleComparison),
) -> Result<(), Suppressed> {
    // A suspension within `late_grace` leaves the share EXPIRED and cuts it all the same.
    if is_paused(grant, compared) {
        return Err(Suppressed::Paused);
    }
    let mut before = |left, right| noted(RuleComparison::before(left, right), Suppressed::BeforeWindow, compared);
    if grant.granted_from.get().is_some_and(|from| before(ComparedTerm::EventTime(t), ComparedTerm::GrantedFrom(from)))
        || grant.starts.get().is_some_and(|starts| before(ComparedTerm::Now(now), ComparedTerm::Starts(starts)))
    {
        return Err(Suppressed::BeforeWindow);
    }
    let mut is_over =
        |ends| !noted(RuleComparison::before(ComparedTerm::EventTime(t), ComparedTerm::Ends(ends)), Suppressed::AfterWindow, compared);
    if grant.ends.get().is_some_and(&mut is_over) || !is_within_grace(grant, now, late_grace, compared) {
        return Err(Suppressed::AfterWindow);
    }
    let covers = |from: TimestampMs, to: TimestampMs| from.moment() <= t && t < to.moment();
    if let Some(&(from, to)) = grant.rare.pauses().iter().find(|(from, to)| covers(*from, *to)) {
        compared(Suppressed::Paused, RuleComparison::before(ComparedTerm::EventTime(t), ComparedTerm::PausedFrom(from.moment())).0);
        compared(Suppressed::Paused, RuleComparison::before(ComparedTerm::EventTime(t), ComparedTerm::ResumedAt(to.moment())).0);
        return Err(Suppressed::Paused);
    }
    Ok(())
}

/// Whether the share is paused, or one of the two tenants is suspended.
#[inline(always)]
fn is_paused(grant: &Grant, compared: &mut impl FnMut(Suppressed, RuleComparison)) -> bool {
    compared(Suppressed::Paused, RuleComparison::equal(ComparedTerm::State(grant.state)));
    if grant.is_suspended {
        compared(Suppressed::Paused, RuleComparison::equal(ComparedTerm::Suspended));
    }
    grant.state == GrantState::Paused || grant.is_suspended
}

/// Whether the first of two times is the earlier one, once the comparison was handed over.
#[inline(always)]
fn noted((comparison, is_so): (RuleComparison, bool), rule: Suppressed, compared: &mut impl FnMut(Suppressed, RuleComparison)) -> bool {
    compared(rule, comparison);
    is_so
}

/// The projection that a share's profile has for a stream, if the profile is published and has the section (rule 4).
pub fn projection<'g>(grant: &Grant, graph: &'g ShareGraph, stream: StreamIndex) -> Option<&'g Projection> {
    graph.profile(grant.profile)?.section(stream)
}

/// Whether the condition of the share's profile is true of a record, if it has one (rule 4). `text` is the record, `tape` what parsing
/// it gave. Whatever has no value withholds the record as well.
pub fn meets_condition(
    projection: &Projection,
    grant: &Grant,
    identity: Identity<'_>,
    text: &[u8],
    tape: &Tape,
) -> Result<bool, ConditionError> {
    for condition in [&projection.condition, &projection.earlier_condition].into_iter().flatten() {
        if !condition.holds(text, tape, &facts(grant, identity))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What conditions see of a share.
fn facts<'a>(grant: &'a Grant, identity: Identity<'a>) -> ShareFacts<'a> {
    ShareFacts {
        id: grant.share.as_str(),
        owner: identity.tenant,
        target: grant.target.as_str(),
        asset: identity.asset,
        target_asset: grant.target_asset.as_str(),
        permission: grant.permission.word(),
        label: grant.rare.label(),
    }
}

/// Whether a share holds upsert documents now: ACTIVE, nobody suspended, `starts <= now < ends`. `late_grace`, event times and
/// past pauses have no part in it (docs/rules/release.md#history).
pub fn is_in_force(grant: &Grant, now: TimestampNs) -> bool {
    force(grant, now, &mut unseen).is_ok()
}

/// The same; `compared` takes each comparison that was made, with the reason that its rule gives.
#[inline(always)]
pub(crate) fn force(grant: &Grant, now: TimestampNs, compared: &mut impl FnMut(Suppressed, RuleComparison)) -> Result<(), Suppressed> {
    if is_paused(grant, compared) {
        return Err(Suppressed::Paused);
    }
    let mut before = |rule, left, right| noted(RuleComparison::before(left, right), rule, compared);
    if grant.starts.get().is_some_and(|starts| before(Suppressed::BeforeWindow, ComparedTerm::Now(now), ComparedTerm::Starts(starts))) {
        return Err(Suppressed::BeforeWindow);
    }
    if grant.ends.get().is_some_and(|ends| !before(Suppressed::AfterWindow, ComparedTerm::Now(now), ComparedTerm::Ends(ends))) {
        return Err(Suppressed::AfterWindow);
    }
    match grant.state {
        GrantState::Active => Ok(()),
        GrantState::Paused => Err(Suppressed::Paused),
        // Its access has ended by an event, whatever its own `ends` says.
        GrantState::Expired => Err(Suppressed::AfterWindow),
    }
}

#[inline(always)]
fn is_within_grace(grant: &Grant, now: TimestampNs, late_grace: Period, compared: &mut impl FnMut(Suppressed, RuleComparison)) -> bool {
    grant.ends.get().is_none_or(|ends| {
        let last = if late_grace == Period::ZERO { ComparedTerm::Ends(ends) } else { ComparedTerm::EndsAndGrace(ends.after(late_grace)) };
        noted(RuleComparison::before(ComparedTerm::Now(now), last), Suppressed::AfterWindow, compared)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::id::{AssetId, ShareId, StreamSet, TenantId};
    use crate::share::graph::{ProfileSlot, RareFacts};
    use crate::share::state::Permission;

    fn at(millis: i64) -> TimestampNs {
        TimestampMs(millis).moment()
    }

    static IDS: LazyLock<(ShareId, TenantId, AssetId)> =
        LazyLock::new(|| (ShareId::parse("s1").unwrap(), TenantId::parse("acme").unwrap(), AssetId::parse("A").unwrap()));

    fn grant() -> Grant<'static> {
        let (share, target, target_asset) = &*IDS;
        Grant {
            share,
            revision: 1,
            target,
            target_asset,
            streams: StreamSet(1),
            profile: ProfileSlot(0),
            permission: Permission::View,
            state: GrantState::Active,
            is_suspended: false,
            granted_from: Some(at(100)).into(),
            starts: None.into(),
            ends: Some(at(200)).into(),
            rare: RareFacts::new(const { &[(TimestampMs(120), TimestampMs(130))] }, None),
        }
    }

    const NONE: Period = Period::ZERO;

    #[test]
    fn s7_both_ends_of_the_window_count() {
        let grant = grant();
        assert_eq!(is_entitled(&grant, at(99), at(150), NONE), Err(Suppressed::BeforeWindow));
        assert_eq!(is_entitled(&grant, at(100), at(150), NONE), Ok(()));
        assert_eq!(is_entitled(&grant, at(199), at(199), NONE), Ok(()));
        assert_eq!(is_entitled(&grant, at(200), at(199), NONE), Err(Suppressed::AfterWindow));
        assert_eq!(is_entitled(&grant, at(199), at(200), NONE), Err(Suppressed::AfterWindow));
    }

    #[test]
    fn s7_rule_3_the_grace_lets_late_records_from_inside_through() {
        let grace = Period::from_millis(50);
        for state in [GrantState::Active, GrantState::Expired] {
            let grant = Grant { state, ..grant() };
            assert_eq!(is_entitled(&grant, at(199), at(249), grace), Ok(()));
            assert_eq!(is_entitled(&grant, at(200), at(249), grace), Err(Suppressed::AfterWindow));
            assert_eq!(is_entitled(&grant, at(199), at(250), grace), Err(Suppressed::AfterWindow));
            assert!(counts(&grant, at(249), grace) && !counts(&grant, at(250), grace));
        }
    }

    #[test]
    fn d30_rule_2_also_needs_starts() {
        let grant = Grant { starts: Some(at(150)).into(), granted_from: None.into(), ..grant() };
        assert_eq!(is_entitled(&grant, at(1), at(149), NONE), Err(Suppressed::BeforeWindow));
        assert_eq!(is_entitled(&grant, at(1), at(150), NONE), Ok(()));
        assert!(counts(&grant, at(149), NONE), "it counts before it starts");
    }

    #[test]
    fn d30_a_past_pause_comes_after_the_window() {
        let grant = grant();
        for (t, expected) in [(119, Ok(())), (120, Err(Suppressed::Paused)), (129, Err(Suppressed::Paused)), (130, Ok(()))] {
            assert_eq!(is_entitled(&grant, at(t), at(150), NONE), expected, "{t}");
        }
        assert_eq!(is_entitled(&grant, at(125), at(250), NONE), Err(Suppressed::AfterWindow));
    }

    #[test]
    fn d30_pauses_and_suspensions_cut_at_once() {
        let paused = Grant { state: GrantState::Paused, ..grant() };
        assert_eq!(is_entitled(&paused, at(150), at(150), NONE), Err(Suppressed::Paused));
        assert!(!counts(&paused, at(150), NONE));
        let suspended = Grant { state: GrantState::Expired, is_suspended: true, ..grant() };
        assert_eq!(is_entitled(&suspended, at(150), at(210), Period::from_millis(50)), Err(Suppressed::Paused));
        assert!(!is_in_force(&Grant { is_suspended: true, ..grant() }, at(150)));
    }

    #[test]
    fn d32_upsert_knows_no_grace_and_no_event_time() {
        assert!(is_in_force(&grant(), at(1)) && is_in_force(&grant(), at(199)) && !is_in_force(&grant(), at(200)));
        assert!(!is_in_force(&Grant { state: GrantState::Expired, ..grant() }, at(150)));
        assert!(!is_in_force(&Grant { starts: Some(at(150)).into(), ..grant() }, at(149)));
    }
}
