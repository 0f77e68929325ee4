//! What `sample` remembers: of each share and stream the event time of the last record that a section with `sample` released
//! (docs/rules/profiles.md#sampling). Pure.

use rustc_hash::FxHashMap;

use crate::id::{ShareId, StreamIndex};
use crate::time::{Period, TimestampNs};

/// Whose records are sampled together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SampledShare {
    /// The share.
    pub share: ShareId,
    /// The stream.
    pub stream: StreamIndex,
}

/// What one holder of an input has released. A new version of a profile forgets nothing, and another period is held against the same
/// event time.
#[derive(Debug, Clone, Default)]
pub struct SampleState {
    released: FxHashMap<SampledShare, TimestampNs>,
    /// What the transaction under way releases, over what is committed.
    draft: FxHashMap<SampledShare, TimestampNs>,
    /// What the transaction after that one releases, over both.
    ahead: FxHashMap<SampledShare, TimestampNs>,
}

impl SampleState {
    /// Whether a record of event time `t` is in a later period than the last one released; then it is the last one, from here on and
    /// until `rollback`. `every` is above zero.
    pub fn passes(&mut self, of: &SampledShare, t: TimestampNs, every: Period) -> bool {
        let last = self.draft.get(of).or_else(|| self.released.get(of));
        let passes = is_later(t, last, every);
        if passes {
            self.draft.insert(of.clone(), t);
        }
        passes
    }

    /// The same of a record of the next transaction, as if the one under way were committed.
    pub fn passes_ahead(&mut self, of: &SampledShare, t: TimestampNs, every: Period) -> bool {
        let last = self.ahead.get(of).or_else(|| self.draft.get(of)).or_else(|| self.released.get(of));
        let passes = is_later(t, last, every);
        if passes {
            self.ahead.insert(of.clone(), t);
        }
        passes
    }

    /// What was drafted is released.
    pub fn commit(&mut self) {
        self.released.extend(self.draft.drain());
    }

    /// The next transaction is the one under way now.
    pub fn advance(&mut self) {
        self.draft.extend(self.ahead.drain());
    }

    /// What was drafted is not released after all.
    pub fn rollback(&mut self) {
        self.draft.clear();
        self.ahead.clear();
    }

    /// What was drafted for the next transaction is not released after all.
    pub fn rollback_ahead(&mut self) {
        self.ahead.clear();
    }

    /// What was drafted is not released after all, of the shares alone that `is_withheld` names.
    pub fn rollback_of(&mut self, mut is_withheld: impl FnMut(&SampledShare) -> bool) {
        self.draft.retain(|of, _| !is_withheld(of));
    }

    /// Forgets the shares that `is_known` does not name: nothing of them comes any more.
    pub fn retain(&mut self, mut is_known: impl FnMut(&SampledShare) -> bool) {
        self.released.retain(|of, _| is_known(of));
    }

    /// How many shares and streams are remembered.
    pub fn len(&self) -> usize {
        self.released.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.released.is_empty() && self.draft.is_empty() && self.ahead.is_empty()
    }
}

/// Whether a record of event time `t` is in a later period than the last one.
fn is_later(t: TimestampNs, last: Option<&TimestampNs>, every: Period) -> bool {
    last.is_none_or(|last| period_of(t, every) > period_of(*last, every))
}

/// Which period since 1970 a moment is in.
fn period_of(t: TimestampNs, every: Period) -> i128 {
    t.nanos().div_euclid(every.nanos().max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimestampMs;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn of(share: &str) -> SampledShare {
        SampledShare { share: ShareId::parse(share).unwrap(), stream: StreamIndex(0) }
    }

    fn at(millis: i64) -> TimestampNs {
        TimestampMs(millis).moment()
    }

    const SECOND: Period = Period::from_millis(1000);

    #[test]
    fn one_record_passes_in_each_period_since_1970() {
        let mut state = SampleState::default();
        for (t, passes) in [(-1, true), (-1000, false), (0, true), (999, false), (1000, true), (999, false), (1999, false), (5000, true)] {
            assert_eq!(state.passes(&of("s"), at(t), SECOND), passes, "{t}");
            state.commit();
        }
        assert!(state.passes(&of("other"), at(0), SECOND), "each share by itself");
        assert!(state.passes(&SampledShare { stream: StreamIndex(1), ..of("s") }, at(0), SECOND), "and each stream");
    }

    #[test]
    fn another_period_is_held_against_the_same_moment() {
        let mut state = SampleState::default();
        assert!(state.passes(&of("s"), at(1500), SECOND));
        assert!(!state.passes(&of("s"), at(1999), SECOND));
        assert!(state.passes(&of("s"), at(1700), Period::from_millis(100)));
        assert!(!state.passes(&of("s"), at(9999), Period::from_millis(10_000)));
    }

    #[test]
    fn what_is_not_committed_leaves_no_trace() {
        let mut state = SampleState::default();
        assert!(state.passes(&of("s"), at(0), SECOND) && state.passes(&of("t"), at(0), SECOND));
        assert!(!state.passes(&of("s"), at(1), SECOND), "the draft counts at once");
        state.rollback();
        assert!(state.passes(&of("s"), at(0), SECOND) && state.passes(&of("t"), at(0), SECOND));
        state.rollback_of(|of| of.share.as_str() == "t");
        state.commit();
        assert!(!state.passes(&of("s"), at(0), SECOND) && state.passes(&of("t"), at(0), SECOND));
        state.commit();
        assert_eq!(state.len(), 2);
        state.retain(|of| of.share.as_str() == "t");
        assert!(state.passes(&of("s"), at(0), SECOND) && !state.passes(&of("t"), at(0), SECOND));
    }

    #[test]
    fn what_is_decided_ahead_counts_over_what_is_under_way_and_falls_alone() {
        let mut state = SampleState::default();
        assert!(state.passes(&of("s"), at(0), SECOND));
        assert!(!state.passes_ahead(&of("s"), at(1), SECOND) && state.passes_ahead(&of("s"), at(1000), SECOND));
        assert!(!state.passes_ahead(&of("s"), at(1001), SECOND));
        state.rollback_ahead();
        assert!(state.passes_ahead(&of("s"), at(1000), SECOND), "only the draft ahead was taken back");
        state.commit();
        state.advance();
        state.rollback();
        assert!(
            !state.passes(&of("s"), at(1), SECOND) && state.passes(&of("s"), at(1000), SECOND),
            "the first is released, the second not"
        );
        assert!(state.passes_ahead(&of("s"), at(2000), SECOND));
        state.rollback();
        assert!(state.passes(&of("s"), at(1000), SECOND), "what is aborted takes with it what was decided ahead");
    }

    proptest! {
        /// Of random records, periods and transactions, some of which are aborted and decided again.
        #[test]
        fn agrees_with_a_list_of_what_was_released(
            batches in prop::collection::vec((prop::collection::vec((0u8..3, -5000i64..5000, 1u32..2500), 1..8), any::<bool>()), 1..12),
        ) {
            let mut state = SampleState::default();
            let mut released: BTreeMap<String, Vec<i64>> = BTreeMap::new();
            for (records, is_committed) in batches {
                let mut after = released.clone();
                for (share, t, every) in records {
                    let share = format!("s{share}");
                    let earlier = after.entry(share.clone()).or_default();
                    let window = |t: i64| t.div_euclid(i64::from(every));
                    let expected = earlier.last().is_none_or(|last| window(t) > window(*last));
                    if expected {
                        earlier.push(t);
                    }
                    prop_assert_eq!(state.passes(&of(&share), at(t), Period::from_millis(every)), expected);
                }
                if is_committed {
                    state.commit();
                    released = after;
                } else {
                    state.rollback();
                }
            }
        }
    }
}
