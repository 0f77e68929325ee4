//! Values of conditions, and how numbers compare. What is in the record stays there until it is looked at.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use super::expr::Expr;
use crate::json::tape::NodeIndex;

/// One value. Doubles are always finite.
#[derive(Debug, Clone)]
pub(super) enum CelValue<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    String(Text<'a>),
    List(List<'a>),
    /// An object of the record.
    Map(NodeIndex),
    /// What is known of the share.
    Share,
}

/// A string; a clone copies no text.
#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Borrowed(text),
            Cow::Owned(text) => Self::Made(text.into()),
        }
    }
}

/// A list; a clone copies no element.
#[derive(Debug, Clone)]
pub(super) enum List<'a> {
    /// An array of the record.
    Of(NodeIndex),
    /// Literals of the source.
    Literals(&'a [Expr]),
    Made(Rc<[CelValue<'a>]>),
}

/// Compares two numbers by what they are, not by what one becomes in the other's type; none if one of them is no number.
pub(super) fn compare_numbers(a: &CelValue<'_>, b: &CelValue<'_>) -> Option<Ordering> {
    match (a, b) {
        (CelValue::Int(a), CelValue::Int(b)) => Some(a.cmp(b)),
        (CelValue::Double(a), CelValue::Double(b)) => a.partial_cmp(b),
        (CelValue::Int(a), CelValue::Double(b)) => Some(compare_mixed(*a, *b)),
        (CelValue::Double(a), CelValue::Int(b)) => Some(compare_mixed(*b, *a).reverse()),
        _ => None,
    }
}

/// 2^63, the first number above every int.
const ABOVE_INTS: f64 = 9_223_372_036_854_775_808.0;

fn compare_mixed(int: i64, double: f64) -> Ordering {
    if double >= ABOVE_INTS {
        return Ordering::Less;
    }
    if double < -ABOVE_INTS {
        return Ordering::Greater;
    }
    // Cut off, every such double is an int exactly.
    let whole = double.trunc();
    let of_rest = if double > whole {
        Ordering::Less
    } else if double < whole {
        Ordering::Greater
    } else {
        Ordering::Equal
    };
    int.cmp(&(whole as i64)).then(of_rest)
}

/// A number of JSON: an int where it is written as one and fits 64 bits, a double otherwise.
pub(super) fn number<'a>(raw: &[u8]) -> CelValue<'a> {
    let text = std::str::from_utf8(raw).unwrap_or_default();
    let is_whole = raw.iter().all(|b| b.is_ascii_digit() || *b == b'-');
    match is_whole.then(|| text.parse().ok()).flatten() {
        Some(int) => CelValue::Int(int),
        // What is not finite was refused as JSON.
        None => CelValue::Double(text.parse().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ints_and_doubles_compare_as_numbers() {
        let big = 9_007_199_254_740_993; // 2^53 + 1, which no double is.
        for (int, double, expected) in [
            (1, 1.0, Ordering::Equal),
            (0, -0.0, Ordering::Equal),
            (big, 9_007_199_254_740_992.0, Ordering::Greater),
            (big, 9_007_199_254_740_994.0, Ordering::Less),
            (i64::MAX, 9_223_372_036_854_775_807.0, Ordering::Less),
            (i64::MIN, -9_223_372_036_854_775_808.0, Ordering::Equal),
            (i64::MIN, -9.3e18, Ordering::Greater),
            (-1, -1.5, Ordering::Greater),
            (-2, -1.5, Ordering::Less),
            (1, 1.5, Ordering::Less),
            (0, 5e-324, Ordering::Less),
            (i64::MAX, 1e308, Ordering::Less),
        ] {
            assert_eq!(compare_numbers(&CelValue::Int(int), &CelValue::Double(double)), Some(expected), "{int} {double}");
            assert_eq!(compare_numbers(&CelValue::Double(double), &CelValue::Int(int)), Some(expected.reverse()), "{double} {int}");
        }
    }

    #[test]
    fn numbers_of_json_are_ints_where_they_are_written_so() {
        assert!(matches!(number(b"-0"), CelValue::Int(0)));
        assert!(matches!(number(b"9223372036854775807"), CelValue::Int(i64::MAX)));
        assert!(matches!(number(b"-9223372036854775808"), CelValue::Int(i64::MIN)));
        assert!(matches!(number(b"9223372036854775808"), CelValue::Double(d) if d == ABOVE_INTS));
        assert!(matches!(number(b"1.0"), CelValue::Double(d) if d == 1.0));
        assert!(matches!(number(b"1e2"), CelValue::Double(d) if d == 100.0));
    }
}
