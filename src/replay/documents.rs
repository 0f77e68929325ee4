//! An upsert stream's input in memory, compacted as it comes: documents by their offset, the current one of each asset.

use rustc_hash::FxHashMap;

use crate::id::Offset;
use crate::record::decode::Identity;
use crate::sink_state::partition::Current;
use crate::time::TimestampMs;

/// A document as it came.
#[derive(Debug)]
pub(super) struct ArchivedDocument {
    /// Its input's Kafka timestamp.
    pub(super) timestamp: TimestampMs,
    /// Its bytes, a JSON object.
    pub(super) value: Box<[u8]>,
    tenant: Box<str>,
    asset: Box<str>,
}

/// The documents, in the order in which they are decided.
#[derive(Debug)]
pub(super) struct ArchivedDocuments {
    at: FxHashMap<Offset, ArchivedDocument>,
    next: Offset,
}

impl Default for ArchivedDocuments {
    fn default() -> Self {
        Self { at: FxHashMap::default(), next: Offset(0) }
    }
}

impl ArchivedDocuments {
    /// Appends a record, which deletes where it has no value: what was current is dropped. Returns where the document lies, and
    /// the offset after it.
    pub(super) fn append(
        &mut self,
        current: Current,
        Identity { tenant, asset }: Identity<'_>,
        timestamp: TimestampMs,
        value: Option<&[u8]>,
    ) -> (Option<Offset>, Offset) {
        if let Current::At(replaced) = current {
            self.at.remove(&replaced);
        }
        let offset = self.next;
        self.next = Offset(offset.0 + 1);
        let document = value.map(|value| ArchivedDocument { timestamp, value: value.into(), tenant: tenant.into(), asset: asset.into() });
        let lies_at = document.is_some().then_some(offset);
        self.at.extend(document.map(|document| (offset, document)));
        (lies_at, self.next)
    }

    /// The document at this offset, if it is this asset's.
    pub(super) fn get(&self, offset: Offset, identity: Identity<'_>) -> Option<&ArchivedDocument> {
        self.at.get(&offset).filter(|document| *document.tenant == *identity.tenant && *document.asset == *identity.asset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_current_document_of_an_asset_is_kept_and_shown_to_nobody_else() {
        let (x, y) = (Identity { tenant: "nw", asset: "x" }, Identity { tenant: "nw", asset: "y" });
        let mut documents = ArchivedDocuments::default();
        let first = documents.append(Current::Absent, x, TimestampMs(5), Some(b"{}"));
        assert_eq!(first, (Some(Offset(0)), Offset(1)));
        assert_eq!(documents.get(Offset(0), x).map(|document| document.timestamp), Some(TimestampMs(5)));
        assert!(documents.get(Offset(0), y).is_none());
        assert_eq!(documents.append(Current::At(Offset(0)), x, TimestampMs(4), Some(b"{}")), (Some(Offset(1)), Offset(2)));
        assert!(documents.get(Offset(0), x).is_none() && documents.get(Offset(1), x).is_some());
        assert_eq!(documents.append(Current::At(Offset(1)), x, TimestampMs(6), None), (None, Offset(3)));
        assert!(documents.get(Offset(1), x).is_none() && documents.get(Offset(2), x).is_none());
    }
}
