//! One-time codes: who is invited by e-mail accepts with the code that the mail brought. The log has only its hash.

use std::fmt;

use sha2::{Digest, Sha256};

/// The digits that the CLI makes codes of: no two look alike, and none makes a word with the others easily.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Digits in one group.
const GROUP: usize = 4;
/// Random bytes in a code: 140 bits, and so 28 digits of 5 bits, the last bits unused.
pub const RANDOM_BYTES: usize = 18;
const CODE_DIGITS: usize = 28;

/// SHA-256 of a code's text, the `code_hash` of an offer. `Debug` and `Display` show it as the event has it: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq)]
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

/// A code made of random bytes: seven groups of four digits, `7K3Q-0ZXA-…`.
pub fn write(random: &[u8; RANDOM_BYTES]) -> String {
    let mut code = String::with_capacity(CODE_DIGITS + CODE_DIGITS / GROUP);
    for at in 0..CODE_DIGITS {
        if at > 0 && at.is_multiple_of(GROUP) {
            code.push('-');
        }
        let (byte, bit) = (at * 5 / 8, at * 5 % 8);
        let window = u16::from_be_bytes([random[byte], random.get(byte + 1).copied().unwrap_or(0)]);
        code.push(char::from(DIGITS[usize::from(window >> (11 - bit) & 31)]));
    }
    code
}

/// A code as somebody typed it, as it was written: spaces, hyphens and lower case do not matter, and neither does what looks
/// like another digit (`O` is `0`, `I` and `L` are `1`). What cannot be such a code is left as it is, for others may make codes
/// of another form.
pub fn normalise(typed: &str) -> String {
    let mut digits = Vec::with_capacity(CODE_DIGITS);
    for character in typed.chars().filter(|c| !c.is_whitespace() && *c != '-') {
        let digit = match character.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        };
        if !u8::try_from(digit).is_ok_and(|byte| DIGITS.contains(&byte)) {
            return typed.to_owned();
        }
        digits.push(digit);
    }
    if digits.len() != CODE_DIGITS {
        return typed.to_owned();
    }
    digits.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    #[test]
    fn a_code_has_every_bit_of_its_own() {
        assert_eq!(write(&[0; RANDOM_BYTES]), "0000-0000-0000-0000-0000-0000-0000");
        assert_eq!(write(&[0xff; RANDOM_BYTES]), "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ");
        let with = |bit: usize| {
            let mut random = [0; RANDOM_BYTES];
            random[bit / 8] = 0x80 >> (bit % 8);
            write(&random)
        };
        let codes: std::collections::BTreeSet<String> = (0..140).map(with).collect();
        assert_eq!(codes.len(), 140, "128 bits at least are wanted");
    }

    proptest! {
        #[test]
        fn a_code_is_read_however_it_is_typed(random in prop::array::uniform18(any::<u8>()), case in any::<bool>(), gap in "[- ]{0,2}") {
            let code = write(&random);
            let typed = code.replace('-', &gap).replace('0', if case { "o" } else { "O" }).replace('1', if case { "l" } else { "I" });
            prop_assert_eq!(normalise(&if case { typed.to_lowercase() } else { typed }), code.clone());
            prop_assert_eq!(normalise(&code), code);
        }

        #[test]
        fn what_is_no_such_code_stays_as_it_is(typed in "[a-z]{0,9}|.{0,20}") {
            prop_assert_eq!(normalise(&typed), typed);
        }
    }
}
