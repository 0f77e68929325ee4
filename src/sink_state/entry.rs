//! What is stored in targets' topics, as `sharecast.standing.<stream>` keeps it (docs/rules/upserts.md#what-is-stored): one record a place,
//! written in the same transaction as the document or the tombstone.

use sha2::{Digest as _, Sha256};

use crate::document::{DocumentKind, Node};
use crate::id::{AssetId, Epoch, Offset, ShareId, TenantId};
use crate::json::document::parse;
use crate::json::writer::write_object;

/// A document as it was written, in eight bytes: what "equal to the last one written" compares (docs/rules/upserts.md#equal-documents).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest(pub u64);

impl Digest {
    /// Of the projected bytes without `_share`. `form` is what else of the configuration shows in the record: another form is
    /// another document.
    pub fn of(form: &str, document: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(form.as_bytes());
        hasher.update([0]);
        hasher.update(document);
        let whole = hasher.finalize();
        Self(whole.iter().take(8).fold(0, |digest, byte| digest << 8 | u64::from(*byte)))
    }
}

/// A standing document: `{"share","owner","asset","target","offset","digest","epoch"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingEntry {
    /// The share that wrote it.
    pub share: ShareId,
    /// Its owner.
    pub owner: TenantId,
    /// Its asset, in the owner's words.
    pub asset: AssetId,
    /// Whose topic it is stored in.
    pub target: TenantId,
    /// Where its document lies in the input partition.
    pub offset: Offset,
    /// Of the projected bytes without `_share`: an equal document is not written again.
    pub digest: Digest,
    /// The epoch it was released under.
    pub epoch: Epoch,
}

/// The record's key: `<target topic>/<target key>`. No topic's name has a slash.
pub fn write_key(topic: &str, target_key: &str, out: &mut Vec<u8>) {
    for part in [topic, "/", target_key] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Takes a key apart: topic and target key.
pub fn read_key(key: &[u8]) -> Option<(&str, &str)> {
    std::str::from_utf8(key).ok()?.split_once('/')
}

impl StandingEntry {
    /// Appends the record's value.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_object(out, |out| {
            out.text("share", self.share.as_str());
            out.text("owner", self.owner.as_str());
            out.text("asset", self.asset.as_str());
            out.text("target", self.target.as_str());
            out.number("offset", self.offset.0);
            out.text("digest", &format!("{:016x}", self.digest.0));
            out.number("epoch", self.epoch.0);
        });
    }

    /// Reads a record's value; none of what another program wrote.
    pub fn read(value: &[u8]) -> Option<Self> {
        let node = parse(value).ok()?;
        let text = |name: &str| node.get(name)?.as_str();
        Some(Self {
            share: ShareId::parse(text("share")?).ok()?,
            owner: TenantId::parse(text("owner")?).ok()?,
            asset: AssetId::parse(text("asset")?).ok()?,
            target: TenantId::parse(text("target")?).ok()?,
            offset: Offset(number(node.get("offset")?)?),
            digest: Digest(u64::from_str_radix(text("digest")?, 16).ok()?),
            epoch: Epoch(number(node.get("epoch")?)?),
        })
    }
}

pub(super) fn number(node: &Node) -> Option<i64> {
    match &node.kind {
        DocumentKind::Number(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_back_as_it_was_written() {
        let entry = StandingEntry {
            share: ShareId::parse("s:1").unwrap(),
            owner: TenantId::parse("northwind").unwrap(),
            asset: AssetId::parse("NW \"7\"/\\é").unwrap(),
            target: TenantId::parse("acme").unwrap(),
            offset: Offset(1 << 40),
            digest: Digest(0x00ff),
            epoch: Epoch(-1),
        };
        let mut out = Vec::new();
        entry.write(&mut out);
        assert_eq!(
            String::from_utf8(out.clone()).unwrap(),
            r#"{"share":"s:1","owner":"northwind","asset":"NW \"7\"/\\é","target":"acme","offset":1099511627776,"digest":"00000000000000ff","epoch":-1}"#
        );
        assert_eq!(StandingEntry::read(&out), Some(entry));
        assert_eq!(StandingEntry::read(b"{}"), None);
        assert_eq!(StandingEntry::read(b"\xff"), None);
    }

    #[test]
    fn a_key_may_have_slashes_of_its_own() {
        let mut key = Vec::new();
        write_key("share.acme.details", "a/b", &mut key);
        assert_eq!(read_key(&key), Some(("share.acme.details", "a/b")));
        assert_eq!(read_key(b"none"), None);
    }

    #[test]
    fn another_form_is_another_document() {
        assert_eq!(Digest::of("payload", b"{}"), Digest::of("payload", b"{}"));
        assert_ne!(Digest::of("payload", b"{}"), Digest::of("none", b"{}"));
        assert_ne!(Digest::of("payload", b"{}"), Digest::of("payload", b"{\"x\":1}"));
    }
}
