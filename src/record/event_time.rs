//! The time a JSON value says, and the unit it says it in (docs/rules/records.md#event-time). `truncate` shares it
//! (docs/rules/profiles.md#truncate).

use crate::json::decimal::Decimal;
use crate::json::tape::{NodeIndex, NodeKind, Tape};
use crate::time::TimestampNs;

/// What an event time is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// RFC 3339.
    Text,
    /// A number of seconds since 1970.
    Seconds,
    /// A number of milliseconds.
    TimestampMs,
    /// A number of microseconds.
    Micros,
    /// A number of nanoseconds.
    Nanos,
}

impl Unit {
    /// The power of ten of nanoseconds that one of this unit is; of text those of a second.
    pub fn power_of_nanos(self) -> u32 {
        match self {
            Self::Text | Self::Seconds => 9,
            Self::TimestampMs => 6,
            Self::Micros => 3,
            Self::Nanos => 0,
        }
    }
}

/// The time that a value of a record says: a number by its magnitude, or RFC 3339. None of anything else, and
/// outside the years 1 to 9999. `buffer` is for unescaping.
pub fn read(tape: &Tape, text: &[u8], node: NodeIndex, buffer: &mut String) -> Option<(TimestampNs, Unit)> {
    match tape.kind(node) {
        NodeKind::Number => from_number(tape.raw(text, node)),
        NodeKind::String => from_text(tape.string(text, node, buffer)?),
        _ => None,
    }
}

/// The time that a JSON number says, floored to nanoseconds.
pub fn from_number(number: &[u8]) -> Option<(TimestampNs, Unit)> {
    let number = Decimal::parse(number)?;
    let unit = if number.is_below_power(11) {
        Unit::Seconds
    } else if number.is_below_power(14) {
        Unit::TimestampMs
    } else if number.is_below_power(17) {
        Unit::Micros
    } else {
        Unit::Nanos
    };
    let nanos = number.floor_scaled(i64::from(unit.power_of_nanos()))?;
    Some((TimestampNs::from_nanos(nanos)?, unit))
}

/// The time that an unescaped string says.
pub fn from_text(text: &str) -> Option<(TimestampNs, Unit)> {
    Some((TimestampNs::parse_rfc3339(text)?, Unit::Text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(value: &str) -> Option<(i128, Unit)> {
        let mut tape = Tape::default();
        tape.parse(value.as_bytes()).unwrap();
        read(&tape, value.as_bytes(), NodeIndex::ROOT, &mut String::new()).map(|(moment, unit)| (moment.nanos(), unit))
    }

    #[test]
    fn d27_magnitude_says_the_unit() {
        const T: i128 = 1_767_225_600_000_000_000;
        assert_eq!(nanos("1767225600"), Some((T, Unit::Seconds)));
        assert_eq!(nanos("1.7672256e9"), Some((T, Unit::Seconds)));
        assert_eq!(nanos("1767225600000"), Some((T, Unit::TimestampMs)));
        assert_eq!(nanos("1767225600000.5"), Some((T + 500_000, Unit::TimestampMs)));
        assert_eq!(nanos("1767225600000000"), Some((T, Unit::Micros)));
        assert_eq!(nanos("1767225600000000000.9"), Some((T, Unit::Nanos)));
        assert_eq!(nanos("-0.0000000001"), Some((-1, Unit::Seconds)));
        assert_eq!(nanos("-1e-999999999"), Some((-1, Unit::Seconds)));
        assert_eq!(nanos("0e99"), Some((0, Unit::Seconds)));
        assert_eq!(nanos("99999999999"), Some((99_999_999_999_000_000_000, Unit::Seconds)));
        assert_eq!(nanos("100000000000"), Some((100_000_000_000_000_000, Unit::TimestampMs)));
        assert_eq!(nanos("-62135596800"), Some((-62_135_596_800_000_000_000, Unit::Seconds)));
        assert_eq!(nanos("-62135596800.0000000001"), None);
        assert_eq!(nanos("253402300800000000000"), None);
        assert_eq!(nanos("1e300"), None);
    }

    #[test]
    fn d27_strings_are_rfc3339_after_unescaping() {
        assert_eq!(nanos(r#""2026-01-01t00\u003a00:00\u007A""#), Some((1_767_225_600_000_000_000, Unit::Text)));
        for none in [r#""1767225600""#, r#""""#, "true", "null", "[]", "{}"] {
            assert_eq!(nanos(none), None, "{none}");
        }
    }
}
