//! Upsert streams of a replay: carries out at once what each transition returns, so that every step shows.

use super::documents::ArchivedDocuments;
use crate::decide::{InputRecord, ReleaseRules};
use crate::id::{AssetId, Offset, StreamIndex, TenantId};
use crate::record::dead_letter::Refusal;
use crate::record::decode::Identity;
use crate::record::mapping::{Mode, Stream};
use crate::share::graph::AssetShares;
use crate::share::table::Touched;
use crate::sink_state::cause::{Cause, Gone, Occasion, tombstone_time};
use crate::sink_state::document::{Renderer, identity};
use crate::sink_state::grant_of;
use crate::sink_state::partition::{AssetHash, PartitionState};
use crate::sink_state::reconcile::{Basis, Next, Put, Subject, Tombstone};
use crate::time::TimestampMs;

/// A document or a tombstone for one target.
#[derive(Debug, Clone, Copy)]
pub(super) struct UpsertRecord<'a> {
    /// Whose topic it goes to.
    pub(super) target: &'a TenantId,
    /// Of which stream.
    pub(super) stream: StreamIndex,
    /// Under which key.
    pub(super) key: &'a AssetId,
    /// The document's own input's timestamp, or the time of the tombstone's cause.
    pub(super) timestamp: TimestampMs,
    /// The projected document; `None` is a tombstone.
    pub(super) value: Option<&'a [u8]>,
}

/// All upsert streams, each as one partition.
#[derive(Debug)]
pub(super) struct UpsertReplay {
    partitions: Vec<UpsertLog>,
    renderer: Renderer,
}

/// One stream: what is stored, and the documents that may be read back.
#[derive(Debug)]
struct UpsertLog {
    state: PartitionState,
    documents: ArchivedDocuments,
}

impl UpsertReplay {
    /// Nothing stands, and no document is there.
    pub(super) fn new(rules: ReleaseRules, mask_secret: Option<&[u8]>, streams: &[Stream]) -> Self {
        let upserts = streams.iter().filter(|stream| stream.mode == Mode::Upsert);
        let log = |stream: &Stream| UpsertLog { state: PartitionState::whole(stream.index), documents: ArchivedDocuments::default() };
        Self { partitions: upserts.map(log).collect(), renderer: Renderer::new(rules, mask_secret) }
    }

    /// Takes a document, or its deletion, and writes what follows, share by share. A value that cannot be read deletes like a
    /// null one, besides being refused; a record whose identity cannot be read changes nothing.
    pub(super) fn document<'r, H>(
        &mut self,
        stream: &Stream,
        record: InputRecord<'r, H>,
        basis: Basis<'_>,
        write: &mut impl FnMut(UpsertRecord<'_>),
    ) -> Result<(), Refusal>
    where
        H: Iterator<Item = (&'r [u8], Option<&'r [u8]>)> + Clone,
    {
        let Some(identity) = identity(stream, record.key, record.headers)? else { return Ok(()) };
        let Some(log) = self.partitions.iter_mut().find(|log| log.state.stream() == stream.index) else { return Ok(()) };
        let read = self.renderer.read(record.value);
        let value = record.value.filter(|_| matches!(read, Ok(true)));
        let at_hand = log.append(identity, record.timestamp, value);
        let mut shell = Shell { log, renderer: &mut self.renderer, basis, write };
        let grants = basis.graph.asset(identity.tenant, identity.asset).into_iter().flat_map(AssetShares::grants);
        for grant in grants.filter(|grant| grant.streams.contains(stream.index)) {
            let subject = Subject { share: grant.share, grant: Some(grant), identity, occasion: Occasion::Record(record.timestamp) };
            shell.reconcile(subject, at_hand);
        }
        read.map(|_| ())
    }

    /// Brings the topics up to date for shares that one cause touched, given by share id, bytes ascending. `cause` is the time
    /// that tombstones carry: a cause is carried out before the next one comes, or held back and has the later time then.
    pub(super) fn reconcile<'t>(
        &mut self,
        touched: impl IntoIterator<Item = &'t Touched>,
        basis: Basis<'_>,
        cause: TimestampMs,
        write: &mut impl FnMut(UpsertRecord<'_>),
    ) {
        for Touched { share, owner, asset } in touched {
            let identity = Identity { tenant: owner.as_str(), asset: asset.as_str() };
            let grant = grant_of(basis.graph, identity, share.as_str());
            let subject = Subject { share, grant, identity, occasion: Occasion::Change(cause) };
            for log in &mut self.partitions {
                Shell { log, renderer: &mut self.renderer, basis, write }.reconcile(subject, None);
            }
        }
    }
}

impl UpsertLog {
    /// The record of the asset that comes next, none where it deletes. Returns where its document lies.
    fn append(&mut self, identity: Identity<'_>, timestamp: TimestampMs, value: Option<&[u8]>) -> Option<Offset> {
        let asset = AssetHash::of(identity);
        let (offset, next) = self.documents.append(self.state.document(asset), identity, timestamp, value);
        self.state.read(asset, offset);
        self.state.advance(next);
        self.state.commit();
        offset
    }
}

/// What carries transitions of one stream out.
struct Shell<'a, 'g, W> {
    log: &'a mut UpsertLog,
    renderer: &'a mut Renderer,
    basis: Basis<'g>,
    write: &'a mut W,
}

impl<'g, W: FnMut(UpsertRecord<'_>)> Shell<'_, 'g, W> {
    /// One share, until nothing is left to do. `at_hand` is where the document lies that is at hand.
    fn reconcile(&mut self, subject: Subject<'_, 'g>, mut at_hand: Option<Offset>) {
        let mut next = self.transition(subject, at_hand.is_some());
        loop {
            next = match next {
                Next::Done => break,
                // The whole stream is in this hand: no other partition has anything to take back.
                Next::AwaitGate(first) => first.pass(),
                Next::Fetch(offset) => {
                    let Some(document) = self.log.documents.get(offset, subject.identity) else { break };
                    // What is kept was read before, so this never fails.
                    let is_document = matches!(self.renderer.read(Some(&document.value)), Ok(true));
                    at_hand = is_document.then_some(offset);
                    self.transition(subject, is_document)
                }
                Next::Put(put) => {
                    self.put(subject, put, at_hand);
                    break;
                }
            }
        }
        self.log.state.commit();
    }

    /// One transition: its tombstone is written before anything else.
    fn transition(&mut self, subject: Subject<'_, 'g>, is_at_hand: bool) -> Next<'g> {
        let step = self.log.state.reconcile(subject, self.basis, is_at_hand);
        self.take_back(step.tombstone, subject.occasion);
        step.next
    }

    fn take_back(&mut self, tombstone: Option<Tombstone>, occasion: Occasion) {
        if let Some(Tombstone { entry, gone }) = tombstone {
            let (stream, timestamp) = (self.log.state.stream(), self.tombstone_time(gone, occasion));
            (self.write)(UpsertRecord { target: &entry.target, stream, key: &entry.key, timestamp, value: None });
        }
    }

    /// Nothing waits to be told here: what is at hand is what took the document away.
    fn tombstone_time(&self, gone: Gone, occasion: Occasion) -> TimestampMs {
        let told = match occasion {
            Occasion::Record(at) | Occasion::Change(at) => Some(at),
            Occasion::Reading => None,
        };
        tombstone_time(gone, Cause { occasion, told, ended: None }, self.basis.graph.control_time())
    }

    /// Writes the document at hand unless it is stored already.
    fn put(&mut self, subject: Subject<'_, 'g>, put: Put<'g>, at_hand: Option<Offset>) {
        let Some(document) = at_hand.and_then(|offset| self.log.documents.get(offset, subject.identity)) else { return };
        if !self.renderer.meets_condition(put, subject.identity, &document.value).unwrap_or(false) {
            let tombstone = self.log.state.withhold(subject.share);
            return self.take_back(tombstone, subject.occasion);
        }
        let Self { log: UpsertLog { state, documents }, renderer, basis, write } = self;
        let Some(document) = at_hand.and_then(|offset| documents.get(offset, subject.identity)) else { return };
        let owner = subject.identity.tenant;
        let digest = renderer.digest(put, owner, &document.value, "");
        if put.stood == Some(digest) {
            return;
        }
        let (target, key, timestamp) = (put.grant.target, put.grant.target_asset, document.timestamp);
        let value = Some(renderer.render(put, owner, &document.value, basis.graph.epoch()));
        write(UpsertRecord { target, stream: state.stream(), key, timestamp, value });
        state.put(subject, put, digest);
    }
}
