//! Upsert streams of a run that holds its documents in memory: reads documents, and brings the targets' topics up to date
//! after each cause.

use super::documents::{Document, Documents};
use super::{Place, Standing, wanted};
use crate::decide::{InputRecord, ReleaseRules, add_compared, provenance};
use crate::id::{ShareId, StreamIndex};
use crate::profile::project::{Parties, Projector};
use crate::record::dead_letter::Refusal;
use crate::record::decode::{self, Identity};
use crate::record::mapping::{Mode, Stream};
use crate::share::graph::{Grant, ShareGraph};
use crate::share::table::Touched;
use crate::time::{Millis, Moment};

/// A document or a tombstone for one target.
#[derive(Debug, Clone, Copy)]
pub struct Upsert<'a> {
    /// Where it goes.
    pub place: &'a Place,
    /// The document's own input's timestamp, or the time of the tombstone's cause.
    pub timestamp: Millis,
    /// The projected document; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
}

/// The moment of a decision, and the graph it is made by.
#[derive(Debug, Clone, Copy)]
pub struct View<'g> {
    /// The graph.
    pub graph: &'g ShareGraph,
    /// The larger of the clock and the graph's control time.
    pub now: Moment,
}

/// Documents, what stands of them, and the scratch memory of projecting them.
#[derive(Debug)]
pub struct Upserts {
    rules: ReleaseRules,
    streams: Vec<StreamIndex>,
    documents: Documents,
    standing: Standing,
    projector: Projector,
    bare: Vec<u8>,
    full: Vec<u8>,
}

impl Upserts {
    /// Nothing stands, and no document is there.
    pub fn new(rules: ReleaseRules, mask_secret: Option<&[u8]>, streams: &[Stream]) -> Self {
        let streams = streams.iter().filter(|stream| stream.mode == Mode::Upsert).map(|stream| stream.index).collect();
        Self {
            rules,
            streams,
            documents: Documents::default(),
            standing: Standing::default(),
            projector: Projector::new(mask_secret),
            bare: Vec::new(),
            full: Vec::new(),
        }
    }

    /// Takes a document, or its deletion, and writes what follows, share by share. A value that cannot be read deletes like a
    /// null one, besides being refused (docs/rules/upserts.md#the-current-document); a record whose identity cannot be read changes
    /// nothing.
    pub fn document<'r, H>(
        &mut self,
        stream: &Stream,
        record: InputRecord<'r, H>,
        view: View<'_>,
        write: &mut impl FnMut(Upsert<'_>),
    ) -> Result<(), Refusal>
    where
        H: Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
    {
        let outer = decode::outer_identity(stream, record.key, record.headers)?;
        // The configuration sees to it that an upsert stream's identity lies outside the value.
        let Some(identity) = outer.complete() else { return Ok(()) };
        let (document, refusal) = self.read(record.value, record.timestamp);
        self.documents.set(stream.index, identity, document);
        if let Some(shares) = view.graph.asset(identity.tenant, identity.asset) {
            for grant in shares.grants.iter().filter(|grant| grant.streams.contains(stream.index)) {
                self.bring(&grant.share, Some(grant), stream.index, identity, view, record.timestamp, write);
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Brings the topics up to date for shares that one cause touched, given by share id, bytes ascending. `cause` is the time
    /// that tombstones carry.
    pub fn reconcile<'t>(
        &mut self,
        touched: impl IntoIterator<Item = &'t Touched>,
        view: View<'_>,
        cause: Millis,
        write: &mut impl FnMut(Upsert<'_>),
    ) {
        for share in touched {
            let identity = Identity { tenant: share.owner.as_str(), asset: share.asset.as_str() };
            let grants = view.graph.asset(identity.tenant, identity.asset).map_or(&[][..], |shares| &shares.grants);
            let grant = grants.binary_search_by(|grant| grant.share.cmp(&share.share)).ok().map(|found| &grants[found]);
            for index in 0..self.streams.len() {
                self.bring(&share.share, grant, self.streams[index], identity, view, cause, write);
            }
        }
    }

    fn read(&mut self, value: Option<&[u8]>, timestamp: Millis) -> (Option<Document>, Option<Refusal>) {
        if value.is_none() {
            return (None, None);
        }
        let projector = &mut self.projector;
        match decode::load(value, &self.rules.read, move |text| projector.load(text)) {
            Ok(text) => (Some(Document { timestamp, value: text.into() }), None),
            Err(refusal) => (None, Some(refusal)),
        }
    }

    fn bring(
        &mut self,
        share: &ShareId,
        grant: Option<&Grant>,
        stream: StreamIndex,
        identity: Identity<'_>,
        view: View<'_>,
        cause: Millis,
        write: &mut impl FnMut(Upsert<'_>),
    ) {
        let shown = grant.and_then(|grant| Some((grant, wanted(grant, view.graph, stream, view.now)?)));
        let Some((document, (grant, projection))) = self.documents.get(stream, identity).zip(shown) else {
            if let Some(place) = self.standing.bring(share, stream, None).tombstone {
                write(Upsert { place: &place, timestamp: cause, value: None });
            }
            return;
        };
        // Only documents that were once loaded are kept, so this never fails.
        if self.projector.load(&document.value).is_err() {
            return;
        }
        let parties = Parties { owner: identity.tenant, target: grant.target.as_str(), target_asset: grant.target_asset.as_str() };
        self.bare.clear();
        self.projector.project(&document.value, projection, &parties, None, &mut self.bare);
        add_compared(grant, &self.rules, &mut self.bare);
        let place = Place { target: grant.target.clone(), stream, key: grant.target_asset.clone() };
        let writes = self.standing.bring(share, stream, Some((place.clone(), &self.bare)));
        if let Some(old) = writes.tombstone {
            write(Upsert { place: &old, timestamp: cause, value: None });
        }
        if writes.puts {
            let provenance = provenance(grant, view.graph.epoch(), &self.rules);
            self.full.clear();
            self.projector.project(&document.value, projection, &parties, provenance.as_ref(), &mut self.full);
            write(Upsert { place: &place, timestamp: document.timestamp, value: Some(&self.full) });
        }
    }
}
