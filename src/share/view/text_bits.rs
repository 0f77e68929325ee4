//! Which short parts some texts have: whether a text may be in one of them is told without a look at them.

/// Bits for the parts of texts: with ids that look random, half of them are set by a hundred texts.
const BITS: usize = 4096;
/// The longest part that is noted.
const LONGEST: usize = 3;

/// The parts of some texts.
#[derive(Debug, Clone)]
pub(crate) struct TextBits([u64; BITS / 64]);

/// The parts of a text that is looked for: it can be where all of them are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TextNeedle(Vec<u16>);

impl TextNeedle {
    /// That of a text in lower case.
    pub(crate) fn of(lower: &str) -> Self {
        let lower = lower.as_bytes();
        Self(lower.windows(lower.len().clamp(1, LONGEST)).map(bit_of).collect())
    }

    /// Whether it is everywhere.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Default for TextBits {
    fn default() -> Self {
        Self([0; BITS / 64])
    }
}

impl TextBits {
    /// Those of each part of a text in lower case.
    pub(crate) fn parts(lower: &str) -> impl Iterator<Item = u16> {
        (1..=LONGEST).flat_map(move |length| lower.as_bytes().windows(length).map(bit_of))
    }

    pub(crate) fn add(&mut self, bit: u16) {
        self.0[usize::from(bit) / 64] |= 1 << (bit % 64);
    }

    pub(crate) fn has(&self, bit: u16) -> bool {
        self.0[usize::from(bit) / 64] >> (bit % 64) & 1 == 1
    }

    /// Whether the text may be in one of them.
    pub(crate) fn may_have(&self, needle: &TextNeedle) -> bool {
        needle.0.iter().all(|bit| self.has(*bit))
    }
}

fn bit_of(part: &[u8]) -> u16 {
    let hash = part.iter().fold(part.len() as u32, |hash, byte| (hash << 8) | u32::from(*byte)).wrapping_mul(0x9e37_79b1);
    (hash >> (u32::BITS - BITS.ilog2())) as u16
}
