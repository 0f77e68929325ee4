//! `mask: hash`: HMAC-SHA-256, keyed for each owner and target (docs/rules/profiles.md#masks).

use super::parties::Parties;
use hmac::{Hmac, KeyInit, Mac};
use rustc_hash::FxHashMap;
use sha2::Sha256;

/// So many pairs of owner and target keep their key; the next one makes room by emptying all.
const MAX_KEYS: usize = 4096;

/// The keys of the pairs seen so far.
#[derive(Debug, Default)]
pub(super) struct MaskKeys {
    /// Keyed with `mask.secret`; none without a configured secret.
    secret: Option<Hmac<Sha256>>,
    /// By owner ‖ 0x00 ‖ target.
    keys: FxHashMap<Box<[u8]>, Hmac<Sha256>>,
    pair: Vec<u8>,
}

impl MaskKeys {
    pub(super) fn new(secret: Option<&[u8]>) -> Self {
        // HMAC takes a key of any length.
        let secret = secret.and_then(|secret| Hmac::new_from_slice(secret).ok());
        Self { secret, ..Self::default() }
    }

    /// Appends the hash of `message` between the two in lower-case hex; false, and nothing, without a secret.
    pub(super) fn write_hash(&mut self, parties: &Parties<'_>, message: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(key) = self.key(parties) else { return false };
        let mut hash = key.clone();
        hash.update(message);
        for byte in hash.finalize().into_bytes() {
            out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
        true
    }

    fn key(&mut self, parties: &Parties<'_>) -> Option<&Hmac<Sha256>> {
        let secret = self.secret.as_ref()?;
        self.pair.clear();
        self.pair.extend_from_slice(parties.owner.as_bytes());
        self.pair.push(0);
        self.pair.extend_from_slice(parties.target.as_bytes());
        if !self.keys.contains_key(&self.pair[..]) {
            let mut hash = secret.clone();
            hash.update(&self.pair);
            let key = Hmac::new_from_slice(&hash.finalize().into_bytes()).ok()?;
            if self.keys.len() >= MAX_KEYS {
                self.keys.clear();
            }
            self.keys.insert(self.pair.as_slice().into(), key);
        }
        self.keys.get(&self.pair[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(secret: &[u8], owner: &str, target: &str, message: &str) -> Option<String> {
        let mut out = Vec::new();
        let parties = Parties { owner, target, target_asset: "x" };
        let is_written = MaskKeys::new(Some(secret)).write_hash(&parties, message.as_bytes(), &mut out);
        is_written.then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn d39_the_key_is_of_the_pair() {
        // Checked with Python's hmac module.
        assert_eq!(hashed(b"s3cret", "northwind", "acme", "SN-1").as_deref(), Some(EXPECTED));
        assert_ne!(hashed(b"s3cret", "northwind", "acme", "SN-1"), hashed(b"s3cret", "northwind", "zenith", "SN-1"));
        assert_ne!(hashed(b"s3cret", "a", "bc", ""), hashed(b"s3cret", "ab", "c", ""));
        assert!(!MaskKeys::new(None).write_hash(&Parties { owner: "a", target: "b", target_asset: "x" }, b"", &mut Vec::new()));
    }

    const EXPECTED: &str = "eaebb9283e50e75b1bc357cb495a7318f03679b9984eda053e212d464a928064";
}
