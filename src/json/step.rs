//! Flooring to a multiple, exactly: `bucket` (docs/rules/profiles.md#numbers).

use super::decimal::{Decimal, Digits, write_plain};

/// The step of a `bucket`: a number above zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    digits: Vec<u8>,
    scale: i64,
}

/// A step has at most this many digits on either side of its point.
const STEP_DIGITS: i64 = 400;

impl Step {
    /// A number above zero as written; none if it is not above zero, or has more than 400 digits before or after
    /// its point.
    pub fn parse(text: &str) -> Option<Self> {
        let number = Decimal::parse(text.as_bytes()).filter(Decimal::is_positive)?;
        let last = number.scale - number.count() as i64;
        let digits = (0..number.count()).map(|at| number.digit(at));
        (number.scale <= STEP_DIGITS && last >= -STEP_DIGITS).then(|| Self { digits: digits.collect(), scale: number.scale })
    }

    /// Whether a number's magnitude is below it.
    fn exceeds(&self, number: &Decimal<'_>) -> bool {
        if number.is_zero() || number.scale != self.scale {
            return number.is_zero() || number.scale < self.scale;
        }
        let longest = number.count().max(self.digits.len());
        let pairs = (0..longest).map(|at| (number.digit_or_zero(at as i64), self.digits.get(at).copied().unwrap_or(0)));
        pairs.into_iter().find(|(a, b)| a != b).is_some_and(|(a, b)| a < b)
    }

    /// Appends the multiple of this step at or below `number`, in plain notation.
    pub fn write_floor(&self, number: &Decimal<'_>, out: &mut Vec<u8>) {
        if self.exceeds(number) {
            let digits = if number.negative && !number.is_zero() { &self.digits[..] } else { &[] };
            return write_plain(true, digits, self.scale, out);
        }
        // Both are counted in units of the step's last digit: the number has `places` whole digits of them, and a rest.
        let unit = self.scale - self.digits.len() as i64;
        let places = number.scale - unit;
        let has_rest = number.count() as i64 > places;
        let mut multiple: Digits = (0..places).map(|at| number.digit_or_zero(at)).collect();
        let mut scale = number.scale;
        let remainder = remainder(&multiple, &self.digits);
        let is_multiple = remainder.is_empty() && !has_rest;
        subtract(&mut multiple, &remainder);
        if number.negative && !is_multiple && add(&mut multiple, &self.digits) {
            scale += 1;
        }
        write_plain(number.negative, &multiple, scale, out);
    }
}

/// `number` modulo `step`, without leading zeros.
fn remainder(number: &[u8], step: &[u8]) -> Digits {
    if let (Some(number), Some(step)) = (small(number), small(step)) {
        return to_digits(number % step);
    }
    let mut rest = Digits::new();
    for &digit in number {
        if !(rest.is_empty() && digit == 0) {
            rest.push(digit);
        }
        while is_at_least(&rest, step) {
            subtract(&mut rest, step);
            let zeros = rest.iter().take_while(|&&d| d == 0).count();
            rest.drain(..zeros);
        }
    }
    rest
}

fn small(digits: &[u8]) -> Option<u64> {
    (digits.len() <= 19).then(|| digits.iter().fold(0, |value, &d| value * 10 + u64::from(d)))
}

fn to_digits(mut value: u64) -> Digits {
    let mut digits = Digits::new();
    while value > 0 {
        digits.push((value % 10) as u8);
        value /= 10;
    }
    digits.reverse();
    digits
}

/// Neither has leading zeros.
fn is_at_least(a: &[u8], b: &[u8]) -> bool {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b)).is_ge()
}

/// Takes `b` from `a`, which is not smaller; both end at the same power of ten. Leading zeros may remain.
fn subtract(a: &mut [u8], b: &[u8]) {
    let mut borrow = 0;
    for at in 0..a.len() {
        let take = borrow + if at < b.len() { b[b.len() - 1 - at] } else { 0 };
        let index = a.len() - 1 - at;
        borrow = u8::from(a[index] < take);
        a[index] = a[index] + 10 * borrow - take;
    }
}

/// Adds `b` to `a`, which has at least as many digits; true if that made a new first digit.
fn add(a: &mut Digits, b: &[u8]) -> bool {
    let mut carry = 0;
    for at in 0..a.len() {
        let index = a.len() - 1 - at;
        let sum = a[index] + carry + if at < b.len() { b[b.len() - 1 - at] } else { 0 };
        carry = u8::from(sum > 9);
        a[index] = sum - 10 * carry;
    }
    if carry > 0 {
        a.insert(0, 1);
    }
    carry > 0
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::json) fn bucketed(text: &str, step: &str) -> String {
        let mut out = Vec::new();
        Step::parse(step).unwrap().write_floor(&Decimal::parse(text.as_bytes()).unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn d37_bucket_floors_toward_minus_infinity() {
        for (text, step, expected) in [
            ("1234", "500", "1000"),
            ("-1", "500", "-500"),
            ("-1000", "500", "-1000"),
            ("-1000.0001", "500", "-1500"),
            ("0", "500", "0"),
            ("-0.0", "3", "0"),
            ("1.25", "0.30", "1.2"),
            ("-1.25", "0.3", "-1.5"),
            ("0.9", "0.3", "0.9"),
            ("499.999", "500", "0"),
            ("1e21", "7", "999999999999999999994"),
            ("1e-999999999", "0.1", "0"),
            ("-1e-999999999", "0.1", "-0.1"),
            ("-9", "1e1", "-10"),
            ("-95", "10", "-100"),
            ("12345678901234567890.5", "1", "12345678901234567890"),
            ("700", "7E2", "700"),
            ("699.99999999999999999999999999", "7E2", "0"),
            ("123456789012345678901234567890", "10000000000000000000001", "123456780000000000000012345678"),
        ] {
            assert_eq!(bucketed(text, step), expected, "{text} by {step}");
        }
        for bad in ["0", "-1", "0.0", "1e-401", "1e401", "0e5"] {
            assert_eq!(Step::parse(bad), None, "{bad}");
        }
    }
}
