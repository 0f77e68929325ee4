//! Writing once: the 128 random bits that a write begins with, and the ids that follow from them.
//!
//! Event id, share id and code are SHA-256 of a word, a zero byte and the bits. So whoever has the bits can repeat a write of which
//! nobody knows what became of it, under the same ids. They are in no event and in no log: only the message of a write that timed
//! out names them.

use std::fmt;

use sha2::{Digest, Sha256};

/// RFC 4648, in lower case: such text fits into every id.
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Digits of an id, and of the bits themselves: 130 bits, of which 128 would do.
const LENGTH: usize = 26;

/// The bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct WriteToken([u8; 16]);

impl WriteToken {
    /// Of bits that nobody can guess.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Reads what `Display` writes, in upper or lower case, or 32 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (bits_a_digit, digits): (u32, Option<Vec<u8>>) = match text.len() {
            LENGTH => (5, text.bytes().map(value_of).collect()),
            32 => (4, text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect()),
            _ => return None,
        };
        let mut bits: Vec<bool> = Vec::with_capacity(130);
        for digit in digits? {
            bits.extend((0..bits_a_digit).rev().map(|bit| digit >> bit & 1 == 1));
        }
        // Two texts of one token would be two names of one write.
        if bits[128..].contains(&true) {
            return None;
        }
        let mut token = [0; 16];
        for (byte, bits) in token.iter_mut().zip(bits.chunks(8)) {
            *byte = bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
        }
        Some(Self(token))
    }

    /// The bits.
    pub fn bits(self) -> [u8; 16] {
        self.0
    }

    /// The event's id.
    pub fn event_id(self) -> String {
        self.derived("event")
    }

    /// The id of the share that an offer makes.
    pub fn share_id(self) -> String {
        self.derived("share")
    }

    /// The code that an invitation is accepted with.
    pub fn code(self) -> String {
        self.derived("code")
    }

    fn derived(self, what: &str) -> String {
        let digest = Sha256::new().chain_update(what).chain_update([0]).chain_update(self.0).finalize();
        base32(&digest)
    }
}

impl fmt::Display for WriteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base32(&self.0))
    }
}

/// The bits are no part of any log.
impl fmt::Debug for WriteToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WriteToken")
    }
}

/// Whether a text is written in the digits of ids and codes.
pub(super) fn is_digits(text: &str) -> bool {
    text.len() == LENGTH && text.bytes().all(|byte| DIGITS.contains(&byte))
}

/// The first 26 digits; what the bytes lack counts as zero bits.
fn base32(bytes: &[u8]) -> String {
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| byte >> (7 - at % 8) & 1);
    let digit = |at: usize| (0..5).fold(0, |digit, offset| digit << 1 | usize::from(bit(at * 5 + offset)));
    (0..LENGTH).map(|at| char::from(DIGITS[digit(at)])).collect()
}

fn value_of(digit: u8) -> Option<u8> {
    DIGITS.iter().position(|known| *known == digit.to_ascii_lowercase()).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::{EventId, ShareId};

    #[test]
    fn digits_are_those_of_rfc_4648() {
        // Its test vector: "foobar" is MZXW6YTBOI.
        assert!(base32(b"foobar").starts_with("mzxw6ytboi"));
        assert_eq!(base32(&[0xff; 17]), "7".repeat(26));
    }

    #[test]
    fn ids_are_digests_of_a_word_a_zero_and_the_bits() {
        let token = WriteToken::new(*b"0123456789abcdef");
        // From `printf 'share\0000123456789abcdef' | sha256sum | xxd -r -p | base32 | cut -c -26`, in lower case.
        assert_eq!(token.event_id(), "xuew3zq3t7qlf3cvecs2tqcf6p");
        assert_eq!(token.share_id(), "e2rqhbcva4ih3uyttoz2tycp5w");
        assert_eq!(token.code(), "gjzv7xioadmltrd3yk5h7r3ufe");
        assert!(EventId::is_valid(&token.event_id()) && ShareId::is_valid(&token.share_id()));
        assert_eq!(token.to_string(), "gaytemzugu3doobzmfrggzdfmy");
        assert_eq!(format!("{token:?}"), "WriteToken");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for text in ["", "a", &"a".repeat(25), &"a".repeat(27), &"1".repeat(26), &"7".repeat(26), &"g".repeat(32), &"é".repeat(13)] {
            assert_eq!(WriteToken::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_token_is_read_as_it_is_written(bits in prop::array::uniform16(any::<u8>())) {
            let token = WriteToken::new(bits);
            let hex: String = bits.iter().map(|byte| format!("{byte:02x}")).collect();
            for text in [token.to_string(), token.to_string().to_uppercase(), hex] {
                prop_assert_eq!(WriteToken::parse(&text), Some(token));
            }
        }
    }
}
