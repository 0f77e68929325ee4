//! The text of ids of which there are millions.

use arcstr::ArcStr;

/// So many bytes lie in the value itself: 22 make it three words, with no memory of their own.
const INLINE: usize = 22;

/// A text that is short as a rule. A long one is counted: a clone copies no text.
#[derive(Clone)]
pub(super) enum CompactText {
    /// Valid UTF-8 up to `length`, zeros after it.
    Inline {
        length: u8,
        bytes: [u8; INLINE],
    },
    Counted(ArcStr),
}

// Fifty million shares hold two of these each.
const _: () = assert!(size_of::<Option<CompactText>>() == 24);

impl CompactText {
    /// No text: what fills a place that holds nothing yet.
    pub(super) const EMPTY: Self = Self::Inline { length: 0, bytes: [0; INLINE] };

    fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Inline { length, bytes } => &bytes[..usize::from(*length).min(INLINE)],
            Self::Counted(text) => text.as_bytes(),
        }
    }
}

impl From<&str> for CompactText {
    fn from(text: &str) -> Self {
        if text.len() > INLINE {
            return Self::Counted(text.into());
        }
        let mut bytes = [0; INLINE];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Self::Inline { length: text.len() as u8, bytes }
    }
}

impl std::ops::Deref for CompactText {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Inline { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_else(|_| unreachable!("it was made of a text")),
            Self::Counted(text) => text,
        }
    }
}

impl PartialEq for CompactText {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for CompactText {}

impl PartialOrd for CompactText {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for CompactText {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

/// As `str` does it: an id is found in a map by its text.
impl std::hash::Hash for CompactText {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        str::hash(self, state);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_itself_at_any_length(a in "[a-c\u{e9}\u{1f600}]{0,30}", b in "[a-c\u{e9}\u{1f600}]{0,30}", long in 200usize..256) {
            for text in [a.clone(), "x".repeat(long), "é".repeat(11), "x".repeat(23)] {
                prop_assert_eq!(&*CompactText::from(text.as_str()), text.as_str());
            }
            let (x, y) = (CompactText::from(a.as_str()), CompactText::from(b.as_str()));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(x == y, a == b);
            let map: std::collections::HashMap<CompactText, u8> = [(x.clone(), 1)].into();
            prop_assert_eq!(map.get(&x), Some(&1));
        }
    }
}
