//! The order in which people look for assets: whatever the case, and numbers by their value, so that `NW-7` comes before `NW-10`.

use std::cmp::Ordering;

/// Compares two ids so. Those that read the same are ordered by their bytes: no two are equal.
pub(crate) fn in_order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let (of_left, of_right) = (digits(left), digits(right));
        if of_left > 0 && of_right > 0 {
            let order = by_value(&left[..of_left], &right[..of_right]);
            if order.is_ne() {
                return order;
            }
            (left, right) = (&left[of_left..], &right[of_right..]);
            continue;
        }
        let (Some(one), Some(other)) = (left.chars().next(), right.chars().next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        let order = lower(one).cmp(&lower(other));
        if order.is_ne() {
            return order;
        }
        (left, right) = (&left[one.len_utf8()..], &right[other.len_utf8()..]);
    }
}

/// So many digits a text begins with.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// Whole numbers of any length.
fn by_value(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

fn lower(letter: char) -> char {
    if letter.is_ascii() { letter.to_ascii_lowercase() } else { letter.to_lowercase().next().unwrap_or(letter) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_count_by_their_value_and_case_does_not_count() {
        let mut ids =
            ["nw-10", "NW-7", "NW-07", "NW", "", "Über", "NW-7b", "az", "NW-7-2", "NW-7-10", "10", "9", "nw-7", "NW-007", "über-2"];
        ids.sort_by(|a, b| in_order(a, b));
        let sorted =
            ["", "9", "10", "az", "NW", "NW-007", "NW-07", "NW-7", "nw-7", "NW-7-2", "NW-7-10", "NW-7b", "nw-10", "Über", "über-2"];
        assert_eq!(ids, sorted);
    }

    proptest! {
        #[test]
        fn is_an_order(a in "[aAbÄä01-]{0,6}", b in "[aAbÄä01-]{0,6}", c in "[aAbÄä01-]{0,6}") {
            prop_assert_eq!(in_order(&a, &b), in_order(&b, &a).reverse());
            prop_assert_eq!(in_order(&a, &b).is_eq(), a == b);
            if in_order(&a, &b).is_le() && in_order(&b, &c).is_le() {
                prop_assert!(in_order(&a, &c).is_le(), "{} {} {}", a, b, c);
            }
        }
    }
}
