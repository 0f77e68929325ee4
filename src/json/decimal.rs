//! Numbers as the decimals they are written as: compared, rounded and bucketed exactly.
//!
//! A number is taken as its significant digits and a power of ten, read in place. Nothing is ever as long as its
//! exponent says it is: what is written out has at most the digits of a double or of what was asked for.

use smallvec::SmallVec;

/// A JSON number taken apart: 0.d1d2…dn x 10^`scale`, `d1` and `dn` not zero.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    pub(super) negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    /// The significant digits, counted through `whole` and `fraction`; empty for zero.
    from: usize,
    to: usize,
    /// Of no meaning for zero. An exponent of more digits than an i64 counts as 10^18.
    pub(super) scale: i64,
}

/// Appends a JSON number rounded as `Decimal::write_rounded` does, on its text alone. False, and nothing, where it has an exponent: then
/// a decimal is needed.
pub(crate) fn write_rounded_text(text: &[u8], places: u8, out: &mut Vec<u8>) -> bool {
    let point = match text.iter().position(|byte| !matches!(byte, b'0'..=b'9' | b'-')) {
        Some(at) if text[at] == b'.' && text[at + 1..].iter().all(u8::is_ascii_digit) => at,
        Some(_) => return false,
        None => text.len(),
    };
    let begin = out.len();
    let end = text.len().min(point + 1 + usize::from(places));
    out.extend_from_slice(&text[..end]);
    if text.get(end).is_some_and(|next| *next >= b'5') {
        raise_last_digit(out, begin);
    }
    let has_point = point < text.len();
    if has_point {
        let kept = out[begin..].iter().rev().take_while(|byte| **byte == b'0').count();
        out.truncate(out.len() - kept);
        if out.last() == Some(&b'.') {
            out.pop();
        }
    }
    if out[begin..] == *b"-0" {
        out.remove(begin);
    }
    true
}

/// Adds one to the last digit of the number that begins at `begin`, which may have a sign and a point.
fn raise_last_digit(out: &mut Vec<u8>, begin: usize) {
    for at in (begin..out.len()).rev() {
        match out[at] {
            b'9' => out[at] = b'0',
            b'0'..=b'8' => {
                out[at] += 1;
                return;
            }
            _ => {}
        }
    }
    let first = begin + usize::from(out.get(begin) == Some(&b'-'));
    out.insert(first, b'1');
}

/// More than any text can make up for with its digits, and far from overflowing.
const EXPONENT_LIMIT: i64 = 1_000_000_000_000_000_000;

pub(super) type Digits = SmallVec<[u8; 64]>;

impl<'a> Decimal<'a> {
    /// Takes a number of RFC 8259 apart; none if it is none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, rest) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let (whole, rest) = split_digits(rest);
        if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
            return None;
        }
        let (fraction, rest) = match rest {
            [b'.', digit, ..] if digit.is_ascii_digit() => split_digits(&rest[1..]),
            _ => (&rest[..0], rest),
        };
        let exponent = match rest {
            [] => 0,
            [b'e' | b'E', rest @ ..] => parse_exponent(rest)?,
            _ => return None,
        };
        let mut number = Self { negative, whole, fraction, from: 0, to: whole.len() + fraction.len(), scale: 0 };
        while number.from < number.to && number.digit(0) == 0 {
            number.from += 1;
        }
        while number.from < number.to && number.digit(number.count() - 1) == 0 {
            number.to -= 1;
        }
        number.scale = whole.len() as i64 - number.from as i64 + exponent;
        Some(number)
    }

    /// Whether it is zero, of either sign.
    pub fn is_zero(&self) -> bool {
        self.from == self.to
    }

    /// Whether it is above zero.
    pub fn is_positive(&self) -> bool {
        !self.negative && !self.is_zero()
    }

    /// Whether the two are the same number, however written.
    pub fn equals(&self, other: &Decimal<'_>) -> bool {
        if self.is_zero() || other.is_zero() {
            return self.is_zero() && other.is_zero();
        }
        self.negative == other.negative
            && self.scale == other.scale
            && self.count() == other.count()
            && (0..self.count()).all(|at| self.digit(at) == other.digit(at))
    }

    /// Whether it lies between -10^`power` and 10^`power`, neither included.
    pub fn is_below_power(&self, power: i64) -> bool {
        self.is_zero() || self.scale <= power
    }

    /// The whole number at or below it times 10^`power`; none beyond 38 digits.
    pub fn floor_scaled(&self, power: i64) -> Option<i128> {
        if self.is_zero() {
            return Some(0);
        }
        let places = self.scale + power;
        if places > 38 {
            return None;
        }
        let magnitude = (0..places).fold(0i128, |value, at| value * 10 + i128::from(self.digit_or_zero(at)));
        let has_rest = self.count() as i64 > places;
        Some(if self.negative { -magnitude - i128::from(has_rest) } else { magnitude })
    }

    /// Appends the number rounded to `places` decimals, ties away from zero, in plain notation (docs/rules/profiles.md#numbers).
    pub fn write_rounded(&self, places: u8, out: &mut Vec<u8>) {
        let kept = if self.is_zero() { 0 } else { self.scale + i64::from(places) };
        if kept >= self.count() as i64 {
            let digits: Digits = (0..self.count()).map(|at| self.digit(at)).collect();
            return write_plain(self.negative, &digits, self.scale, out);
        }
        let mut digits: Digits = (0..kept).map(|at| self.digit_or_zero(at)).collect();
        let mut scale = self.scale;
        if kept >= 0 && self.digit_or_zero(kept) >= 5 && add_at_end(&mut digits) {
            scale += 1;
        }
        write_plain(self.negative, &digits, scale, out);
    }

    pub(super) fn count(&self) -> usize {
        self.to - self.from
    }

    pub(super) fn digit(&self, at: usize) -> u8 {
        let at = self.from + at;
        let digit = if at < self.whole.len() { self.whole[at] } else { self.fraction[at - self.whole.len()] };
        digit - b'0'
    }

    pub(super) fn digit_or_zero(&self, at: i64) -> u8 {
        usize::try_from(at).ok().filter(|&at| at < self.count()).map_or(0, |at| self.digit(at))
    }
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len()))
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let power = digits.iter().fold(0i64, |power, digit| power.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let power = power.min(EXPONENT_LIMIT);
    Some(if negative { -power } else { power })
}

/// Adds one to the last of `digits`; true if that made a new first one, of no digits too.
fn add_at_end(digits: &mut Digits) -> bool {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return false;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
    true
}

/// Appends 0.`digits` x 10^`scale`: no exponent, no needless zeros, never `-0`.
pub(super) fn write_plain(negative: bool, digits: &[u8], scale: i64, out: &mut Vec<u8>) {
    let leading = digits.iter().take_while(|&&d| d == 0).count();
    let scale = scale - leading as i64;
    let digits = &digits[leading..];
    let digits = &digits[..digits.len() - digits.iter().rev().take_while(|&&d| d == 0).count()];
    if digits.is_empty() {
        return out.push(b'0');
    }
    if negative {
        out.push(b'-');
    }
    let whole = usize::try_from(scale).unwrap_or(0).min(digits.len());
    out.extend(digits[..whole].iter().map(|d| b'0' + d));
    if scale <= 0 {
        out.push(b'0');
    }
    out.extend(std::iter::repeat_n(b'0', usize::try_from(scale).unwrap_or(0).saturating_sub(digits.len())));
    if whole < digits.len() {
        out.push(b'.');
        out.extend(std::iter::repeat_n(b'0', usize::try_from(-scale).unwrap_or(0)));
        out.extend(digits[whole..].iter().map(|d| b'0' + d));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::step::{Step, tests::bucketed};
    use proptest::prelude::*;

    fn number(text: &str) -> Decimal<'_> {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    fn rounded(text: &str, places: u8) -> String {
        let mut out = Vec::new();
        number(text).write_rounded(places, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// The short way where it is taken, else the empty text.
    fn rounded_text(text: &str, places: u8) -> String {
        let mut out = Vec::new();
        let is_taken = write_rounded_text(text.as_bytes(), places, &mut out);
        assert!(is_taken || out.is_empty());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_rounded_on_their_text() {
        for (text, places) in [
            ("51.507351", 3),
            ("-0.127758", 3),
            ("0.05", 1),
            ("0.049", 1),
            ("-0.4", 0),
            ("-0", 3),
            ("-0.0", 0),
            ("99.95", 1),
            ("0.5", 0),
            ("999999999999999999", 0),
            ("99999999999999999.9", 0),
            ("-99999999999999999.5", 0),
            ("0.00000000000000005", 16),
            ("1.0", 99),
            ("100", 2),
            ("7", 0),
            ("9.5", 0),
            ("-99.995", 2),
            ("10.04", 1),
            ("-0.004", 2),
            ("1200", 0),
            ("12345678901234567890", 2),
            ("0.1234567890123456789", 2),
        ] {
            assert_eq!(rounded_text(text, places), rounded(text, places), "{text} to {places}");
        }
        for text in ["1e3", "1E-3", "1.5e3"] {
            assert_eq!(rounded_text(text, 2), "", "{text}");
        }
    }

    #[test]
    fn d34_numbers_compare_as_decimals() {
        for (a, b) in [
            ("1", "1.0"),
            ("1e0", "1"),
            ("10e-1", "1"),
            ("0", "-0.0"),
            ("0e999999999", "0"),
            ("1E+2", "100"),
            ("123e-99999999999999999", "1.23e-99999999999999997"),
        ] {
            assert!(number(a).equals(&number(b)), "{a} {b}");
        }
        for (a, b) in
            [("9007199254740992", "9007199254740993"), ("1", "-1"), ("1e-999999999", "0"), ("1e-999999999", "1e-999999998"), ("1.1", "11")]
        {
            assert!(!number(a).equals(&number(b)), "{a} {b}");
        }
    }

    #[test]
    fn d37_round_is_exact_with_ties_away_from_zero() {
        for (text, places, expected) in [
            ("2.5", 0, "3"),
            ("-2.5", 0, "-3"),
            ("2.4999999999999999999999", 0, "2"),
            ("1.005", 2, "1.01"),
            ("-0.4", 0, "0"),
            ("-0", 3, "0"),
            ("99.95", 1, "100"),
            ("1.0", 3, "1"),
            ("1e3", 0, "1000"),
            ("0.05", 1, "0.1"),
            ("0.049", 1, "0"),
            ("0.5", 0, "1"),
            ("1e-999999999", 99, "0"),
            ("-1e-100", 99, "0"),
            ("5e-100", 99, "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001"),
            ("0e999999999", 0, "0"),
            ("12345678901234567890", 0, "12345678901234567890"),
            ("100", 2, "100"),
            ("9.9e1", 0, "99"),
            ("0.00012", 4, "0.0001"),
        ] {
            assert_eq!(rounded(text, places), expected, "{text} to {places}");
        }
        assert_eq!(rounded("1e308", 0).len(), 309);
    }

    #[test]
    fn whole_numbers_of_a_power() {
        assert_eq!(number("1.5").floor_scaled(9), Some(1_500_000_000));
        assert_eq!(number("-1.0000000001").floor_scaled(9), Some(-1_000_000_001));
        assert_eq!(number("-1e-999999999").floor_scaled(0), Some(-1));
        assert_eq!(number("1e-999999999").floor_scaled(0), Some(0));
        assert_eq!(number("1e300").floor_scaled(0), None);
        assert!(
            number("99999999999.9").is_below_power(11) && !number("1e11").is_below_power(11) && !number("-100000000000").is_below_power(11)
        );
    }

    /// A number of the model: a whole number of 10^-20.
    fn units(text: &str) -> i128 {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: i128 = format!("{whole}{fraction}").parse().unwrap();
        let power = 20 + exponent.parse::<i32>().unwrap() - fraction.len() as i32;
        digits * 10i128.pow(power as u32)
    }

    fn plain(mut units: i128) -> String {
        let sign = if units < 0 { "-" } else { "" };
        units = units.abs();
        let text = format!("{sign}{}.{:020}", units / 10i128.pow(20), units % 10i128.pow(20));
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }

    fn written() -> impl Strategy<Value = String> {
        ("-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,7})?", -6i32..6, any::<bool>())
            .prop_map(|(text, exponent, has)| if has { format!("{text}e{exponent}") } else { text })
    }

    proptest! {
        #[test]
        fn agrees_with_whole_numbers(a in written(), b in written(), places in 0u8..20, step in "(0|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?") {
            prop_assert_eq!(number(&a).equals(&number(&b)), units(&a) == units(&b));
            let unit = 10i128.pow(20 - u32::from(places));
            let half_up = (units(&a).abs() + unit / 2) / unit * unit * units(&a).signum();
            prop_assert_eq!(rounded(&a, places), plain(half_up));
            if !a.contains('e') {
                prop_assert_eq!(rounded_text(&a, places), plain(half_up));
            }
            let size = units(&step);
            prop_assert_eq!(Step::parse(&step).is_some(), size > 0);
            if size > 0 {
                prop_assert_eq!(bucketed(&a, &step), plain(units(&a).div_euclid(size) * size));
            }
        }
    }
}
