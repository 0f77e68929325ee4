//! The current document of each asset.

use rustc_hash::FxHashMap;

use crate::id::{AssetId, StreamIndex, TenantId};
use crate::record::decode::Identity;
use crate::time::Millis;

/// The document that arrived last, whatever its timestamp (docs/rules/upserts.md#the-current-document).
#[derive(Debug, Clone)]
pub struct Document {
    /// Its input's Kafka timestamp.
    pub timestamp: Millis,
    /// Its bytes as they came, a JSON object.
    pub value: Box<[u8]>,
}

/// Current documents, shared or not, in memory.
#[derive(Debug, Default)]
pub struct Documents {
    streams: FxHashMap<StreamIndex, FxHashMap<TenantId, FxHashMap<AssetId, Document>>>,
}

impl Documents {
    /// The current document; allocates nothing.
    pub fn get(&self, stream: StreamIndex, identity: Identity<'_>) -> Option<&Document> {
        self.streams.get(&stream)?.get(identity.tenant)?.get(identity.asset)
    }

    /// Makes this the current document, or none. Ids out of rule have no documents.
    pub fn set(&mut self, stream: StreamIndex, identity: Identity<'_>, document: Option<Document>) {
        let of_stream = self.streams.entry(stream).or_default();
        let Some(document) = document else {
            if let Some(of_tenant) = of_stream.get_mut(identity.tenant) {
                of_tenant.remove(identity.asset);
            }
            return;
        };
        let (Ok(tenant), Ok(asset)) = (TenantId::parse(identity.tenant), AssetId::parse(identity.asset)) else { return };
        of_stream.entry(tenant).or_default().insert(asset, document);
    }
}
