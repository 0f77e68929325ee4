//! What upsert topics hold, and what has to be written so that they hold what SPEC section 7 says.
//!
//! `wanted` says what may stand, `cause` which time a tombstone carries. A replay holds its documents in memory: `Standing::bring`
//! decides, `documents` stores and `upserts` joins the two with the graph. A live engine leaves the documents in the log: `holding`
//! decides, `entry` and `note` are what it writes down.

pub mod cause;
pub mod documents;
pub mod entry;
pub mod holding;
pub mod note;
pub mod upserts;

use rustc_hash::FxHashMap;

use crate::id::{AssetId, ShareId, StreamIndex, TenantId};
use crate::profile::compile::Projection;
use crate::release;
use crate::share::graph::{Grant, ShareGraph};
use crate::time::Moment;

/// Where a document stands: one key of one tenant's topic of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The tenant whose topic it is.
    pub target: TenantId,
    /// The stream.
    pub stream: StreamIndex,
    /// The key.
    pub key: AssetId,
}

/// What must be written for one share and stream, the tombstone first (D33).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Writes {
    /// Where a document of this share has to go.
    pub tombstone: Option<Place>,
    /// Whether the wanted document has to be written.
    pub puts: bool,
}

/// Which documents stand, and whose they are.
#[derive(Debug, Default)]
pub struct Standing {
    of_share: FxHashMap<(ShareId, StreamIndex), Stood>,
    /// The share that wrote a place last. An entry of `of_share` stands only while its place names its share here.
    at: FxHashMap<Place, ShareId>,
}

#[derive(Debug)]
struct Stood {
    place: Place,
    /// The projected bytes without `_share`: what "equal to the last one written" compares (D33).
    document: Box<[u8]>,
}

/// The projection that a share's document is to be shown under now; none if no document of it may stand, whatever the document.
pub fn wanted<'g>(grant: &Grant, graph: &'g ShareGraph, stream: StreamIndex, now: Moment) -> Option<&'g Projection> {
    if !grant.streams.contains(stream) || !release::is_in_force(grant, now) {
        return None;
    }
    release::projection(grant, graph, stream)
}

impl Standing {
    /// Decides what makes the topics hold `document` (projected, without `_share`) at this place for this share, or nothing of
    /// it, and notes that it is done. A document that another share has overwritten no longer stands: it gets no tombstone (D6).
    pub fn bring(&mut self, share: &ShareId, stream: StreamIndex, wanted: Option<(Place, &[u8])>) -> Writes {
        let stood = self.of_share.remove(&(share.clone(), stream)).filter(|stood| self.at.get(&stood.place) == Some(share));
        let Some((place, document)) = wanted else {
            return Writes { tombstone: stood.map(|stood| self.clear(stood.place)), puts: false };
        };
        let (tombstone, puts) = match stood {
            Some(stood) if stood.place == place => (None, *stood.document != *document),
            Some(stood) => (Some(self.clear(stood.place)), true),
            None => (None, true),
        };
        self.at.insert(place.clone(), share.clone());
        self.of_share.insert((share.clone(), stream), Stood { place, document: document.into() });
        Writes { tombstone, puts }
    }

    fn clear(&mut self, place: Place) -> Place {
        self.at.remove(&place);
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamIndex = StreamIndex(0);

    fn share(id: &str) -> ShareId {
        ShareId::parse(id).unwrap()
    }

    fn place(key: &str) -> Place {
        Place { target: TenantId::parse("acme").unwrap(), stream: STREAM, key: AssetId::parse(key).unwrap() }
    }

    #[test]
    fn d33_an_equal_document_is_not_written_again() {
        let mut standing = Standing::default();
        assert!(standing.bring(&share("a"), STREAM, Some((place("k"), b"{}"))).puts);
        assert_eq!(standing.bring(&share("a"), STREAM, Some((place("k"), b"{}"))), Writes::default());
        assert!(standing.bring(&share("a"), STREAM, Some((place("k"), b"{\"x\":1}"))).puts);
    }

    #[test]
    fn d33_a_tombstone_is_written_exactly_if_a_document_stands() {
        let mut standing = Standing::default();
        assert_eq!(standing.bring(&share("a"), STREAM, None), Writes::default());
        standing.bring(&share("a"), STREAM, Some((place("k"), b"{}")));
        assert_eq!(standing.bring(&share("a"), STREAM, None).tombstone, Some(place("k")));
        assert_eq!(standing.bring(&share("a"), STREAM, None), Writes::default());
        assert!(standing.bring(&share("a"), STREAM, Some((place("k"), b"{}"))).puts, "behind a tombstone nothing stands");
    }

    #[test]
    fn d33_a_new_key_has_the_old_ones_tombstone_first() {
        let mut standing = Standing::default();
        standing.bring(&share("a"), STREAM, Some((place("k"), b"{}")));
        let writes = standing.bring(&share("a"), STREAM, Some((place("l"), b"{}")));
        assert_eq!(writes, Writes { tombstone: Some(place("k")), puts: true });
    }

    #[test]
    fn d6_what_another_share_has_overwritten_no_longer_stands() {
        let mut standing = Standing::default();
        standing.bring(&share("b"), STREAM, Some((place("k"), b"{}")));
        assert!(standing.bring(&share("a"), STREAM, Some((place("k"), b"{}"))).puts, "the same bytes name another share");
        assert_eq!(standing.bring(&share("b"), STREAM, None), Writes::default());
        assert_eq!(standing.bring(&share("a"), STREAM, None).tombstone, Some(place("k")));
    }

    #[test]
    fn d6_a_share_that_left_its_key_does_not_clear_the_next_ones() {
        let mut standing = Standing::default();
        standing.bring(&share("b"), STREAM, Some((place("k"), b"{}")));
        standing.bring(&share("a"), STREAM, Some((place("k"), b"{}")));
        assert_eq!(standing.bring(&share("b"), STREAM, Some((place("l"), b"{}"))), Writes { tombstone: None, puts: true });
    }
}
