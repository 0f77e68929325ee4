//! Times as they are written on the command line.
//!
//! RFC 3339, a date, `today`, `tomorrow`, or a duration from now. Nothing here reads a clock.

use std::fmt;

use crate::time::{Period, TimestampMs, TimestampNs};

/// An option that takes a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeOption {
    /// `--starts`.
    Starts,
    /// `--ends`.
    Ends,
    /// `--offer-expires`.
    OfferExpires,
    /// `--from`.
    From,
    /// `--to`.
    To,
    /// `--at`.
    At,
    /// `--time`.
    Time,
}

impl TimeOption {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Starts => "--starts",
            Self::Ends => "--ends",
            Self::OfferExpires => "--offer-expires",
            Self::From => "--from",
            Self::To => "--to",
            Self::At => "--at",
            Self::Time => "--time",
        }
    }

    /// Whether a day that is named is the last one that is in. It ends with 00:00 of the next.
    fn includes_its_day(self) -> bool {
        match self {
            Self::Ends | Self::OfferExpires | Self::To => true,
            Self::Starts | Self::From | Self::At | Self::Time => false,
        }
    }

    /// Whether a duration counts forward from now, and not back.
    fn looks_ahead(self) -> bool {
        match self {
            Self::Starts | Self::Ends | Self::OfferExpires => true,
            Self::From | Self::To | Self::At | Self::Time => false,
        }
    }
}

/// A time that was understood. Displayed as the UTC time that it is, which is what a command's answer shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeArgument {
    /// The time.
    pub moment: TimestampNs,
    /// As an event carries it: what was given if that was RFC 3339 already.
    pub text: String,
    /// Whether it is another time when the command runs again: a word or a duration.
    pub depends_on_now: bool,
}

impl TimeArgument {
    /// Reads the value of an option at `now`.
    pub fn read(text: &str, now: TimestampMs, option: TimeOption) -> Result<Self, TimeError> {
        let wrong = |fault| TimeError { option: Some(option), given: text.to_owned(), fault };
        let understood = |moment: TimestampNs, depends_on_now| Self { moment, text: moment.to_string(), depends_on_now };
        if let Some(moment) = TimestampNs::parse_rfc3339(text) {
            return Ok(Self { text: text.to_owned(), ..understood(moment, false) });
        }
        let day = match text {
            "today" => Some(start_of_day(now.moment())),
            "tomorrow" => Some(start_of_day(now.moment()).and_then(next_day)),
            _ => TimestampNs::parse_rfc3339(&format!("{text}T00:00:00Z")).filter(|_| text.len() == DATE.len()).map(Some),
        };
        if let Some(day) = day {
            let moment = if option.includes_its_day() { day.and_then(next_day) } else { day };
            return moment.map(|moment| understood(moment, text.len() != DATE.len())).ok_or_else(|| wrong(Fault::OutOfRange));
        }
        let Some(span) = Period::parse(text) else { return Err(wrong(Fault::of(text))) };
        let nanos = if option.looks_ahead() { span.nanos() } else { -span.nanos() };
        let moment = TimestampNs::from_nanos(now.moment().nanos() + nanos);
        moment.map(|moment| understood(moment, true)).ok_or_else(|| wrong(Fault::OutOfRange))
    }

    /// Reads RFC 3339, where nothing else is understood.
    pub fn read_rfc3339(text: &str) -> Result<TimestampNs, TimeError> {
        TimestampNs::parse_rfc3339(text).ok_or_else(|| TimeError { option: None, given: text.to_owned(), fault: Fault::of(text) })
    }
}

impl fmt::Display for TimeArgument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.moment.fmt(f)
    }
}

const DATE: &str = "YYYY-MM-DD";
const NANOS_PER_DAY: i128 = 86_400_000_000_000;

fn start_of_day(moment: TimestampNs) -> Option<TimestampNs> {
    TimestampNs::from_nanos(moment.nanos() - moment.nanos().rem_euclid(NANOS_PER_DAY))
}

fn next_day(day: TimestampNs) -> Option<TimestampNs> {
    TimestampNs::from_nanos(day.nanos() + NANOS_PER_DAY)
}

/// A text that is no time, why, and what can be written instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TimeError {
    /// None where RFC 3339 alone is understood; who reads it names its option then.
    option: Option<TimeOption>,
    given: String,
    fault: Fault,
}

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARS: usize = 64;
        let Some(option) = self.option else {
            return write!(f, "{}; write RFC 3339, as in 2026-12-01T09:00:00Z", self.fault);
        };
        let given: String = self.given.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
        write!(f, "{} '{given}': {}; write a time (2026-12-01T09:00:00Z), a date (2026-12-01), ", option.name(), self.fault)?;
        let way = if option.looks_ahead() { "from now on" } else { "back from now" };
        write!(f, "today, tomorrow, or how long {way} (7d, 90m)")
    }
}

/// What is wrong with a text that is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("nothing is given")]
    Empty,
    #[error("there is a blank around it")]
    Blank,
    #[error("there is no such day: {0}")]
    Day(String),
    #[error("there is no such time of day: {0}")]
    TimeOfDay(&'static str),
    #[error("the time has no offset: put Z behind it for UTC, or one like +01:00")]
    NoOffset,
    #[error("between date and time stands a T")]
    NoT,
    #[error("the digits are not 0 to 9")]
    ForeignDigits,
    #[error("a date has four digits of the year, two of the month and two of the day, with - between them")]
    DateForm,
    #[error("a duration has no sign")]
    Sign,
    #[error("a duration is one whole number and one unit: ms, s, m, h or d")]
    DurationForm,
    #[error("a number needs a unit: ms, s, m, h or d")]
    NoUnit,
    #[error("a number needs a unit: ms, s, m, h or d; as {unit} since 1970 it would be {moment}")]
    SinceEpoch { unit: &'static str, moment: TimestampNs },
    #[error("it is no time in the years 1 to 9999")]
    OutOfRange,
    #[error("words are written in lower case")]
    UpperCase,
    #[error("it is no time")]
    Unknown,
}

impl Fault {
    /// Of a text that is neither RFC 3339 nor a date, word or duration.
    fn of(text: &str) -> Self {
        let b = text.as_bytes();
        let is_digit = |at: usize| b.get(at).is_some_and(u8::is_ascii_digit);
        let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if text.is_empty() {
            return Self::Empty;
        }
        if text.trim() != text {
            return Self::Blank;
        }
        if text.chars().any(|c| !c.is_ascii() && c.is_numeric()) {
            return Self::ForeignDigits;
        }
        if is_dated(text) {
            return Self::of_dated(text);
        }
        if text.starts_with(['-', '+']) && is_digit(1) {
            return Self::Sign;
        }
        if all_digits(text) {
            return Self::of_number(text);
        }
        if is_digit(0) && text.contains(['-', '/', '.']) && text.bytes().all(|b| b.is_ascii_digit() || b"-/.".contains(&b)) {
            return Self::DateForm;
        }
        if is_digit(0) && Period::parse(text).is_none() {
            let is_whole = ["ms", "s", "m", "h", "d"].iter().any(|unit| text.strip_suffix(unit).is_some_and(all_digits));
            return if is_whole { Self::OutOfRange } else { Self::DurationForm };
        }
        if matches!(text.to_ascii_lowercase().as_str(), "today" | "tomorrow") {
            return Self::UpperCase;
        }
        Self::Unknown
    }

    /// Of a text that begins as a date does.
    fn of_dated(text: &str) -> Self {
        let (date, rest) = text.split_at(DATE.len());
        if TimestampNs::parse_rfc3339(&format!("{date}T00:00:00Z")).is_none() {
            return Self::Day(no_such_day(date));
        }
        let mut rest = rest.chars();
        match rest.next() {
            None => Self::Unknown,
            Some('T' | 't') => Self::of_time(rest.as_str()),
            Some(' ' | '_') => Self::NoT,
            Some(_) => Self::DateForm,
        }
    }

    /// Of what follows the T.
    fn of_time(text: &str) -> Self {
        let part = |at: usize| text.get(at..at + 2).and_then(|digits| digits.parse::<u8>().ok());
        match (part(0), part(3), part(6)) {
            (Some(24..), ..) => Self::TimeOfDay("the last hour is 23, and 24:00 is 00:00 of the next day"),
            (_, Some(60..), _) => Self::TimeOfDay("the last minute is 59"),
            (.., Some(60..)) => Self::TimeOfDay("the last second is 59"),
            (_, _, None) => Self::TimeOfDay("it has hours, minutes and seconds of two digits each, with : between them"),
            _ if text.contains(['Z', 'z', '+', '-']) => Self::TimeOfDay("write it as 09:00:00Z, 09:00:00.5Z or 09:00:00+01:00"),
            _ => Self::NoOffset,
        }
    }

    fn of_number(text: &str) -> Self {
        let units = [("seconds", 10, 1_000_000_000), ("milliseconds", 13, 1_000_000)];
        let unit = units.into_iter().find(|(_, digits, _)| *digits == text.len());
        let since = unit.and_then(|(unit, _, nanos)| Some((unit, TimestampNs::from_nanos(text.parse::<i128>().ok()? * nanos)?)));
        since.map_or(Self::NoUnit, |(unit, moment)| Self::SinceEpoch { unit, moment })
    }
}

/// Whether it begins with digits and dashes where a date has them.
fn is_dated(text: &str) -> bool {
    let fits = |(given, form): (u8, u8)| if form == b'-' { given == form } else { given.is_ascii_digit() };
    text.len() >= DATE.len() && text.bytes().zip(DATE.bytes()).all(fits)
}

/// Why a text of a date's form is none.
fn no_such_day(date: &str) -> String {
    const MONTHS: [&str; 12] =
        ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
    let (year, month) = (&date[..4], &date[5..7]);
    if year == "0000" {
        return "the first year is 0001".to_owned();
    }
    let Some(name) = month.parse::<usize>().ok().and_then(|month| MONTHS.get(month.checked_sub(1)?)) else {
        return format!("months are 01 to 12, and {month} is none of them");
    };
    let is_day = |day: &u8| TimestampNs::parse_rfc3339(&format!("{year}-{month}-{day:02}T00:00:00Z")).is_some();
    let last = (28..=31).rev().find(is_day).unwrap_or(28);
    format!("{name} {year} has the days 01 to {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> TimestampMs {
        TimestampNs::parse_rfc3339("2026-11-27T20:15:30.5Z").unwrap().millis()
    }

    #[test]
    fn times_are_understood_as_the_option_means_them() {
        let (ahead, whole, back) = (TimeOption::Starts, TimeOption::Ends, TimeOption::From);
        let table = [
            ("2026-12-01T09:00:00.5+01:00", "2026-12-01T08:00:00.5Z", "2026-12-01T08:00:00.5Z", "2026-12-01T08:00:00.5Z"),
            ("2026-12-01", "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z", "2024-02-29T00:00:00Z"),
            ("today", "2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-27T00:00:00Z"),
            ("tomorrow", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", "2026-11-28T00:00:00Z"),
            ("7d", "2026-12-04T20:15:30.5Z", "2026-12-04T20:15:30.5Z", "2026-11-20T20:15:30.5Z"),
            ("90m", "2026-11-27T21:45:30.5Z", "2026-11-27T21:45:30.5Z", "2026-11-27T18:45:30.5Z"),
            ("0s", "2026-11-27T20:15:30.5Z", "2026-11-27T20:15:30.5Z", "2026-11-27T20:15:30.5Z"),
        ];
        for (text, starts, ends, from) in table {
            let read = |option| TimeArgument::read(text, now(), option).unwrap().to_string();
            assert_eq!((read(ahead).as_str(), read(whole).as_str(), read(back).as_str()), (starts, ends, from), "{text}");
            assert_eq!(read(TimeOption::OfferExpires), ends, "{text}");
            assert_eq!(read(TimeOption::At), from, "{text}");
        }
        let to = |text| TimeArgument::read(text, now(), TimeOption::To).unwrap().to_string();
        assert_eq!((to("today").as_str(), to("7d").as_str()), ("2026-11-28T00:00:00Z", "2026-11-20T20:15:30.5Z"));
    }

    #[test]
    fn an_event_carries_what_was_given_if_that_is_a_time() {
        let read = |text| TimeArgument::read(text, now(), TimeOption::Ends).map(|time| (time.text, time.depends_on_now)).unwrap();
        assert_eq!(read("2026-12-01t09:00:00+01:00"), ("2026-12-01t09:00:00+01:00".to_owned(), false));
        assert_eq!(read("2026-12-01"), ("2026-12-02T00:00:00Z".to_owned(), false));
        for text in ["today", "tomorrow", "7d"] {
            assert!(read(text).1, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_told_why_and_what_to_write() {
        let table = [
            ("", "nothing is given"),
            (" 7d", "a blank"),
            ("today ", "a blank"),
            ("2026-02-30", "no such day: February 2026 has the days 01 to 28"),
            ("2024-02-30", "February 2024 has the days 01 to 29"),
            ("2026-11-31T09:00:00Z", "November 2026 has the days 01 to 30"),
            ("2026-12-00", "December 2026 has the days 01 to 31"),
            ("2026-13-01", "months are 01 to 12, and 13 is none"),
            ("2026-00-01", "months are 01 to 12, and 00 is none"),
            ("0000-01-01", "the first year is 0001"),
            ("2026-12-01T24:00:00Z", "the last hour is 23"),
            ("2026-12-01T09:60:00Z", "the last minute is 59"),
            ("2026-12-01T09:00:60Z", "the last second is 59"),
            ("2026-12-01T09:00Z", "hours, minutes and seconds"),
            ("2026-12-01T", "hours, minutes and seconds"),
            ("2026-12-01T09:00:00+0100", "write it as 09:00:00Z"),
            ("2026-12-01T09:00:00", "no offset"),
            ("2026-12-01 09:00:00Z", "stands a T"),
            ("2026-12-01é", "a date has four digits"),
            ("2026-1-1", "a date has four digits"),
            ("01.12.2026", "a date has four digits"),
            ("2026/12/01", "a date has four digits"),
            ("２０２６-12-01", "not 0 to 9"),
            ("-7d", "no sign"),
            ("+7d", "no sign"),
            ("1.5h", "one whole number and one unit"),
            ("1h30m", "one whole number and one unit"),
            ("2w", "one whole number and one unit"),
            ("7 d", "one whole number and one unit"),
            ("99999999999999999999d", "the years 1 to 9999"),
            ("7", "a number needs a unit"),
            ("1767225600", "as seconds since 1970 it would be 2026-01-01T00:00:00Z"),
            ("1767225600000", "as milliseconds since 1970 it would be 2026-01-01T00:00:00Z"),
            ("9999-12-31", "the years 1 to 9999"),
            ("3650000d", "the years 1 to 9999"),
            ("900000000d", "the years 1 to 9999"),
            ("d", "it is no time"),
            ("Tomorrow", "lower case"),
            ("yesterday", "it is no time"),
            ("\n", "a blank"),
        ];
        for (text, what) in table {
            let error = TimeArgument::read(text, now(), TimeOption::Ends).unwrap_err().to_string();
            assert!(error.contains(what), "{text:?}: {error}");
            assert!(error.starts_with("--ends '") && error.ends_with("or how long from now on (7d, 90m)"), "{error}");
        }
        let back = TimeArgument::read("3650000d", now(), TimeOption::From).unwrap_err().to_string();
        assert!(back.contains("the years 1 to 9999") && back.ends_with("back from now (7d, 90m)"), "{back}");
    }

    #[test]
    fn where_rfc_3339_alone_is_understood_nothing_else_is() {
        assert_eq!(TimeArgument::read_rfc3339("2026-12-01T00:00:00Z").unwrap().to_string(), "2026-12-01T00:00:00Z");
        for text in ["today", "2026-12-01", "7d", "2026-02-30T00:00:00Z"] {
            let error = TimeArgument::read_rfc3339(text).unwrap_err().to_string();
            assert!(error.ends_with("write RFC 3339, as in 2026-12-01T09:00:00Z"), "{error}");
        }
        let error = TimeArgument::read_rfc3339("2026-02-30T00:00:00Z").unwrap_err().to_string();
        assert!(error.starts_with("there is no such day: February 2026 has the days 01 to 28"), "{error}");
    }
}
