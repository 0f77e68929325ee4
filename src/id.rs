//! Newtypes for every id, offset and epoch, with their rules (docs/rules/values.md#ids).
//!
//! A clone of a text id allocates nothing. Ids of which there are few are one counted pointer; ids of which there are millions, those of
//! shares and assets, lie in the value itself if they are short.

use std::fmt;

use arcstr::ArcStr;
use smol_str::SmolStr;

/// Why a text is not an id of its kind. The text itself is not repeated: it may be a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {rule}")]
pub struct InvalidId {
    /// The kind of id, in words.
    pub kind: &'static str,
    /// What a valid one looks like.
    pub rule: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $text:ident, $kind:literal, $rule:literal, $is_valid:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($text);

        impl $name {
            /// Checks the text against the rule of its kind.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if $is_valid(text) { Ok(Self(text.into())) } else { Err(InvalidId { kind: $kind, rule: $rule }) }
            }

            /// Whether `parse` would take this text; allocates nothing.
            pub fn is_valid(text: &str) -> bool {
                $is_valid(text)
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }
    };
}

text_id!(
    /// A tenant: `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
    TenantId,
    ArcStr,
    "tenant id",
    "1 to 64 of A-Z a-z 0-9 _ -, beginning with a letter or digit",
    is_tenant_id
);
text_id!(
    /// A share: `[A-Za-z0-9._:-]{1,128}`.
    ShareId,
    SmolStr,
    "share id",
    "1 to 128 of A-Z a-z 0-9 . _ : -",
    is_name
);
text_id!(
    /// A sharing profile's name: `[A-Za-z0-9._:-]{1,128}`.
    ProfileName,
    ArcStr,
    "profile name",
    "1 to 128 of A-Z a-z 0-9 . _ : -",
    is_name
);
text_id!(
    /// A control event's id: `[A-Za-z0-9._:-]{1,128}`.
    EventId,
    ArcStr,
    "event id",
    "1 to 128 of A-Z a-z 0-9 . _ : -",
    is_name
);
text_id!(
    /// A backfill job: `[A-Za-z0-9._:-]{1,128}`.
    JobName,
    ArcStr,
    "job name",
    "1 to 128 of A-Z a-z 0-9 . _ : -",
    is_name
);
text_id!(
    /// A stream: `[a-z][a-z0-9-]{0,31}`.
    StreamName,
    ArcStr,
    "stream name",
    "1 to 32 of a-z 0-9 -, beginning with a letter",
    is_stream_name
);
text_id!(
    /// An asset, in its owner's or its target's words: UTF-8 of 1 to 256 bytes without control characters (Unicode Cc).
    AssetId,
    SmolStr,
    "asset id",
    "1 to 256 bytes of UTF-8 without control characters",
    is_asset_id
);

// Fifty million shares hold two texts of these each.
const _: () = assert!(size_of::<Option<SmolStr>>() == 24);

impl ShareId {
    /// What fills a place that holds no share yet; no id.
    pub(crate) const VACANT: Self = Self(SmolStr::new_static(""));
}

impl AssetId {
    /// What fills a place that holds no asset yet; no id.
    pub(crate) const VACANT: Self = Self(SmolStr::new_static(""));
}

/// A share's label: any text. A clone counts a reference.
pub type Label = ArcStr;

fn is_tenant_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

fn is_name(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'-'))
}

fn is_stream_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=32).contains(&bytes.len())
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

fn is_asset_id(text: &str) -> bool {
    // Cc is U+0000..U+001F and U+007F..U+009F; the second range is C2 80..C2 9F in UTF-8.
    let bytes = text.as_bytes();
    (1..=256).contains(&bytes.len())
        && bytes.iter().all(|&b| b >= 0x20 && b != 0x7f)
        && (bytes.is_ascii() || !bytes.windows(2).any(|pair| pair[0] == 0xc2 && pair[1] < 0xa0))
}

/// A configured stream, as its index in the configuration's order. At most `MAX_STREAMS` are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamIndex(pub u8);

/// So that a set of streams is one machine word.
pub const MAX_STREAMS: usize = 64;

/// A set of configured streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamSet(pub u64);

impl StreamSet {
    /// Every stream that there can be.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether the stream is in the set.
    pub fn contains(self, stream: StreamIndex) -> bool {
        self.0 & (1 << stream.0) != 0
    }

    /// The set with this stream too.
    #[must_use]
    pub fn with(self, stream: StreamIndex) -> Self {
        Self(self.0 | (1 << stream.0))
    }

    /// The set but for this stream.
    #[must_use]
    pub fn without(self, stream: StreamIndex) -> Self {
        Self(self.0 & !(1 << stream.0))
    }

    /// Whether the two have a stream in common.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A record's place in a partition of a Kafka topic, or a line's number from 0 in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Offset(pub i64);

/// The offset of the last control event that a graph contains; -1 before the first (docs/rules/events.md#epoch).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch(pub i64);

impl Epoch {
    /// Before any control event.
    pub const NONE: Self = Self(-1);
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_rules_of_section_5() {
        assert!(TenantId::is_valid("7seas") && TenantId::is_valid("insure-co") && TenantId::is_valid(&"a".repeat(64)));
        assert!(!TenantId::is_valid("") && !TenantId::is_valid("-a") && !TenantId::is_valid(&"a".repeat(65)) && !TenantId::is_valid("é"));
        assert!(
            ShareId::is_valid("0.s:2_-") && !ShareId::is_valid("") && !ShareId::is_valid("a b") && !ShareId::is_valid(&"a".repeat(129))
        );
        assert!(StreamName::is_valid("details") && !StreamName::is_valid("Details") && !StreamName::is_valid("1d"));
        assert!(AssetId::is_valid("mañana") && AssetId::is_valid("\u{a0}") && AssetId::is_valid(&"x".repeat(256)));
        assert!(
            !AssetId::is_valid("")
                && !AssetId::is_valid(&"x".repeat(257))
                && !AssetId::is_valid("a\u{85}b")
                && !AssetId::is_valid("\u{7f}")
        );
    }

    #[test]
    fn asset_rule_agrees_with_unicode_cc() {
        for code in 0..0x3000u32 {
            let Some(c) = char::from_u32(code) else { continue };
            assert_eq!(AssetId::is_valid(&format!("a{c}")), !c.is_control(), "U+{code:04X}");
        }
    }
}
