//! Times as values: nothing here reads a clock.
//!
//! `TimestampMs` is what Kafka and control time count in, `TimestampNs` what event times and the ends of shares are kept in
//! (docs/rules/values.md#time-precision).

use std::fmt;

/// Whole milliseconds since 1970-01-01T00:00:00Z: control time, `at`, Kafka timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TimestampMs(pub i64);

/// A moment in nanoseconds since 1970-01-01T00:00:00Z: event times, `starts`, `ends`, `offer_expires`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct TimestampNs(i128);

const NANOS_PER_SECOND: i128 = 1_000_000_000;
const NANOS_PER_MILLI: i128 = 1_000_000;

impl TimestampMs {
    /// The same instant as a moment.
    pub fn moment(self) -> TimestampNs {
        TimestampNs(i128::from(self.0) * NANOS_PER_MILLI)
    }
}

impl TimestampNs {
    /// 0001-01-01T00:00:00Z, the first moment that is read (docs/rules/values.md#times).
    pub const FIRST: Self = Self(-62_135_596_800 * NANOS_PER_SECOND);
    /// The last nanosecond of the year 9999.
    pub const LAST: Self = Self(253_402_300_800 * NANOS_PER_SECOND - 1);

    /// A moment in the years 1 to 9999; none outside.
    pub fn from_nanos(nanos: i128) -> Option<Self> {
        (Self::FIRST.0..=Self::LAST.0).contains(&nanos).then_some(Self(nanos))
    }

    /// Nanoseconds since 1970.
    pub fn nanos(self) -> i128 {
        self.0
    }

    /// The whole milliseconds; finer digits are cut off toward the past.
    pub fn millis(self) -> TimestampMs {
        TimestampMs(self.0.div_euclid(NANOS_PER_MILLI) as i64)
    }

    /// This much later, within `FIRST..=LAST`; saturates there.
    #[must_use]
    pub fn after(self, span: Period) -> Self {
        Self((self.0 + span.0).clamp(Self::FIRST.0, Self::LAST.0))
    }

    /// Reads RFC 3339: `t` and `z` pass, an offset is needed, no leap second, years 1 to 9999. Digits finer
    /// than nanoseconds are cut off.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let b = text.as_bytes();
        if b.len() < 20 || b[4] != b'-' || b[7] != b'-' || !matches!(b[10], b'T' | b't') || b[13] != b':' || b[16] != b':' {
            return None;
        }
        let (year, month, day) = (digits(&b[0..4])?, digits(&b[5..7])?, digits(&b[8..10])?);
        let (hour, minute, second) = (digits(&b[11..13])?, digits(&b[14..16])?, digits(&b[17..19])?);
        if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) || hour > 23 || minute > 59 || second > 59
        {
            return None;
        }
        let mut rest = &b[19..];
        let mut fraction = 0i128;
        if rest[0] == b'.' {
            let count = rest[1..].iter().take_while(|c| c.is_ascii_digit()).count();
            if count == 0 {
                return None;
            }
            for place in 0..9 {
                fraction = fraction * 10 + if place < count { i128::from(rest[1 + place] - b'0') } else { 0 };
            }
            rest = &rest[1 + count..];
        }
        let offset_seconds = match rest {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = hours * 3600 + minutes * 60;
                if *sign == b'-' { -seconds } else { seconds }
            }
            _ => return None,
        };
        let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset_seconds;
        Self::from_nanos(i128::from(seconds) * NANOS_PER_SECOND + fraction)
    }

    /// Appends the time as docs/rules/values.md#times has it: UTC with `Z`, a fraction only if it is not zero, without trailing zeros.
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        let seconds = self.0.div_euclid(NANOS_PER_SECOND) as i64;
        let mut fraction = self.0.rem_euclid(NANOS_PER_SECOND) as u32;
        let (year, month, day) = civil_from_days(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        pad(out, year, 4);
        for (mark, value) in [(b'-', month), (b'-', day), (b'T', of_day / 3600), (b':', of_day / 60 % 60), (b':', of_day % 60)] {
            out.push(mark);
            pad(out, value, 2);
        }
        if fraction != 0 {
            let mut places = 9;
            while fraction.is_multiple_of(10) {
                fraction /= 10;
                places -= 1;
            }
            out.push(b'.');
            pad(out, i64::from(fraction), places);
        }
        out.push(b'Z');
    }
}

/// A moment or none in 12 bytes instead of 32, for where there are millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaybeMoment {
    /// Milliseconds since 1970, high and low half; `NO_MILLIS` of none.
    millis: [u32; 2],
    /// The nanoseconds below the millisecond.
    nanos: u32,
}

/// Far before the year 1.
const NO_MILLIS: i64 = i64::MIN;

impl MaybeMoment {
    /// The moment of so many nanoseconds after a millisecond, fewer than a million; divides nothing.
    pub(crate) fn of(at: Option<TimestampMs>, nanos: u32) -> Self {
        let millis = at.map_or(NO_MILLIS, |at| at.0) as u64;
        Self { millis: [(millis >> 32) as u32, millis as u32], nanos: if at.is_some() { nanos } else { 0 } }
    }

    /// The moment, if there is one.
    pub fn get(self) -> Option<TimestampNs> {
        let millis = (u64::from(self.millis[0]) << 32 | u64::from(self.millis[1])) as i64;
        (millis != NO_MILLIS).then(|| TimestampNs(i128::from(millis) * NANOS_PER_MILLI + i128::from(self.nanos)))
    }
}

impl From<Option<TimestampNs>> for MaybeMoment {
    fn from(moment: Option<TimestampNs>) -> Self {
        let millis = moment.map_or(NO_MILLIS, |moment| moment.millis().0) as u64;
        let nanos = moment.map_or(0, |moment| moment.0.rem_euclid(NANOS_PER_MILLI) as u32);
        Self { millis: [(millis >> 32) as u32, millis as u32], nanos }
    }
}

impl fmt::Display for TimestampNs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.write_rfc3339(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.moment().fmt(f)
    }
}

/// A length of time in nanoseconds, never negative: `late_grace`, `max_future`, the step of a `truncate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Period(i128);

impl Period {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// This many nanoseconds; none below zero.
    pub fn from_nanos(nanos: i128) -> Option<Self> {
        (nanos >= 0).then_some(Self(nanos))
    }

    /// This many milliseconds.
    pub const fn from_millis(millis: u32) -> Self {
        Self(millis as i128 * NANOS_PER_MILLI)
    }

    /// Nanoseconds.
    pub fn nanos(self) -> i128 {
        self.0
    }

    /// Whole milliseconds, as the shell's timers want them.
    pub fn millis(self) -> u64 {
        u64::try_from(self.0 / NANOS_PER_MILLI).unwrap_or(u64::MAX)
    }

    /// `<int>(ms|s|m|h|d)` (docs/rules/values.md#durations). `0` alone is read where the configuration allows it, not here. None also
    /// above the span of the years 1 to 9999.
    pub fn parse(text: &str) -> Option<Self> {
        let split = text.bytes().position(|b| !b.is_ascii_digit())?;
        let (count, unit) = text.split_at(split);
        let unit_nanos = match unit {
            "ms" => NANOS_PER_MILLI,
            "s" => NANOS_PER_SECOND,
            "m" => 60 * NANOS_PER_SECOND,
            "h" => 3600 * NANOS_PER_SECOND,
            "d" => 86_400 * NANOS_PER_SECOND,
            _ => return None,
        };
        let nanos = i128::from(count.parse::<u64>().ok()?) * unit_nanos;
        (nanos <= TimestampNs::LAST.0 - TimestampNs::FIRST.0).then_some(Self(nanos))
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |value, b| b.is_ascii_digit().then(|| value * 10 + i64::from(b - b'0')))
}

/// Appends the last `places` digits of a value that is not negative.
fn pad(out: &mut Vec<u8>, value: i64, places: usize) {
    let start = out.len();
    out.resize(start + places, b'0');
    let mut rest = value;
    for digit in out[start..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years begin in March here, so that a leap day is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(text: &str) -> Option<String> {
        TimestampNs::parse_rfc3339(text).map(|m| m.to_string())
    }

    #[test]
    fn reads_and_writes_rfc3339() {
        assert_eq!(round("2026-01-01T09:00:00.50z").as_deref(), Some("2026-01-01T09:00:00.5Z"));
        assert_eq!(round("2026-01-01t06:33:00+05:30").as_deref(), Some("2026-01-01T01:03:00Z"));
        assert_eq!(round("1969-07-20T20:17:40.1234567899+02:00").as_deref(), Some("1969-07-20T18:17:40.123456789Z"));
        assert_eq!(round("0001-01-01T00:00:00Z").as_deref(), Some("0001-01-01T00:00:00Z"));
        assert_eq!(round("9999-12-31T23:59:59.999999999Z").as_deref(), Some("9999-12-31T23:59:59.999999999Z"));
        for bad in [
            "2026-01-01T24:00:00Z",
            "2026-01-01T09:00:60Z",
            "2026-02-29T09:00:00Z",
            "2026-01-01 09:00:00Z",
            "2026-01-01T09:00:00",
            "2026-01-01T09:00:00.Z",
            "0000-12-31T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2026-1-01T09:00:00Z",
            "2026-01-01T09:00:00+0530",
            "2026-01-01T09:00:00Z ",
            "2026-01-01T09:00:00+24:00",
            "",
            "2026-01-01T09:00Z",
        ] {
            assert_eq!(round(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_day_of_the_calendar_comes_back() {
        let (first, last) = (
            TimestampNs::FIRST.0.div_euclid(86_400 * NANOS_PER_SECOND) as i64,
            TimestampNs::LAST.0.div_euclid(86_400 * NANOS_PER_SECOND) as i64,
        );
        for days in first..=last {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
            assert!((1..=9999).contains(&year) && day <= days_in_month(year, month));
        }
    }

    #[test]
    fn milliseconds_are_cut_toward_the_past() {
        assert_eq!(TimestampNs(-1).millis(), TimestampMs(-1));
        assert_eq!(TimestampNs(1_999_999).millis(), TimestampMs(1));
    }

    #[test]
    fn a_moment_or_none_comes_back() {
        let some =
            [TimestampNs::FIRST, TimestampNs(-1), TimestampNs(0), TimestampNs(1_767_225_600_123_456_789), TimestampNs::LAST].map(Some);
        for moment in some.into_iter().chain([None]) {
            assert_eq!(MaybeMoment::from(moment).get(), moment);
            let nanos = moment.map_or(0, |moment| moment.nanos().rem_euclid(NANOS_PER_MILLI) as u32);
            assert_eq!(MaybeMoment::of(moment.map(TimestampNs::millis), nanos), moment.into());
        }
    }

    #[test]
    fn spans_have_a_unit() {
        assert_eq!(Period::parse("250ms"), Some(Period(250 * NANOS_PER_MILLI)));
        assert_eq!(Period::parse("1d"), Period::parse("24h"));
        for bad in ["", "5", "ms", "-1s", "1.5s", "+1s", "1 s", "1w", "99999999999999999999d"] {
            assert_eq!(Period::parse(bad), None, "{bad}");
        }
    }
}
