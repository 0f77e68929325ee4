//! One-time codes: who is invited by e-mail accepts with the code that the mail brought. The log has only its hash.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::share::event::write_token::is_digits;

/// The digits of codes in seven groups of four, `7K3Q-0ZXA-…`, as an older version made them: mails with them may still wait.
const GROUPED_DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const GROUP: usize = 4;
const GROUPED_COUNT: usize = 28;

/// SHA-256 of a code's text, the `code_hash` of an offer. `Debug` and `Display` show it as the event has it: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CodeHash(pub(crate) [u8; 32]);

impl CodeHash {
    /// The hash of a code, whose text counts byte by byte.
    pub fn of(code: &str) -> Self {
        Self(Sha256::digest(code.as_bytes()).into())
    }

    /// Reads 64 lower-case hex digits; none of anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        if text.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What somebody may have meant who typed a code: it as it is, for others may make codes of another form, and then as our codes are
/// written. Spaces, hyphens and case do not matter, and neither does what looks like another digit.
pub fn readings(typed: &str) -> Vec<String> {
    let bare: String = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    let mut readings = vec![typed.to_owned()];
    // `1` looks like two of the letters.
    for one in ["l", "i"] {
        let reading = bare.to_lowercase().replace('0', "o").replace('8', "b").replace('1', one);
        readings.extend(Some(reading).filter(|reading| is_digits(reading)));
    }
    readings.extend(grouped(&bare));
    let mut seen: Vec<String> = Vec::new();
    readings.retain(|reading| {
        !seen.contains(reading) && {
            seen.push(reading.clone());
            true
        }
    });
    readings
}

/// A code in groups, `O` being `0`, `I` and `L` being `1`.
fn grouped(bare: &str) -> Option<String> {
    let digit = |c: char| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let digits: Vec<char> = bare.chars().map(digit).collect();
    let are_digits = digits.iter().all(|digit| u8::try_from(*digit).is_ok_and(|byte| GROUPED_DIGITS.contains(&byte)));
    (are_digits && digits.len() == GROUPED_COUNT)
        .then(|| digits.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::share::event::write_token::WriteToken;

    #[test]
    fn a_hash_is_64_lower_case_digits_and_nothing_else() {
        // RFC 6234's test of SHA-256 with "abc".
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(CodeHash::of("abc").to_string(), text);
        assert_eq!(CodeHash::parse(text), Some(CodeHash::of("abc")));
        for wrong in [&text[1..], &text.to_uppercase(), &format!("{text}0"), "", &text.replace('b', "g"), &text.replace('7', "é")] {
            assert_eq!(CodeHash::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_code_is_read_however_it_is_typed(bits in prop::array::uniform16(any::<u8>()), loud in any::<bool>(), gap in "[- ]{0,2}") {
            let code = WriteToken::new(bits).code();
            let spaced: String = code.chars().map(|digit| format!("{digit}{gap}")).collect();
            let typed = if loud { spaced.to_uppercase() } else { spaced.replace('o', "0").replace('b', "8") };
            prop_assert!(readings(&typed).contains(&code));
            prop_assert_eq!(&readings(&code)[0], &code);
            for one in ["l", "i"] {
                let only = code.replace(['l', 'i'], one);
                prop_assert!(readings(&only.replace(one, "1")).contains(&only));
            }
        }

        #[test]
        fn a_code_in_groups_is_still_read(code in "([0-9A-HJKMNP-TV-Z]{4}-){6}[0-9A-HJKMNP-TV-Z]{4}", gap in "[- ]{0,2}") {
            let typed = code.replace('-', &gap).to_lowercase().replace('0', "o").replace('1', "l");
            prop_assert!(readings(&typed).contains(&code));
        }

        #[test]
        fn what_is_no_such_code_is_taken_as_it_is(typed in "[a-z]{0,9}|.{0,20}") {
            prop_assert_eq!(readings(&typed), [typed]);
        }
    }
}
