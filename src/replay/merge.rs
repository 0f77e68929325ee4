//! The order of the world: by time, control before records, records by `--input` order and line (docs/rules/replay.md#equal-times).

use crate::time::TimestampMs;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextMoment {
    /// The next control line.
    Control,
    /// The next line of this input.
    Record(usize),
}

/// Chooses among the heads of the control file and the inputs; `None` where one is at its end.
pub(super) fn next(control: Option<TimestampMs>, inputs: impl Iterator<Item = Option<TimestampMs>>) -> Option<(TimestampMs, NextMoment)> {
    let control = control.map(|time| (time, NextMoment::Control));
    let records = inputs.enumerate().filter_map(|(index, at)| Some((at?, NextMoment::Record(index))));
    // `min_by_key` returns the first of equals.
    control.into_iter().chain(records).min_by_key(|(time, _)| *time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d6_equal_times() {
        let at = |t| Some(TimestampMs(t));
        assert_eq!(next(at(5), [at(5), at(5)].into_iter()), Some((TimestampMs(5), NextMoment::Control)));
        assert_eq!(next(None, [at(5), at(5)].into_iter()), Some((TimestampMs(5), NextMoment::Record(0))));
        assert_eq!(next(at(5), [None, at(4)].into_iter()), Some((TimestampMs(4), NextMoment::Record(1))));
        assert_eq!(next(None, [None].into_iter()), None);
    }
}
