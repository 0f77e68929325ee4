//! Reconciling one share: carries out what its transition returns.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::gate::Gates;
use super::now::Now;
use super::partition::UpsertPartition;
use super::queue::WorkQueue;
use super::writes::{Bytes, WriteBuffer};
use crate::decide::{ReleaseRules, shown_permission};
use crate::engine::feed::Work;
use crate::engine::output::dead_letter::OwnedDeadLetter;
use crate::engine::output::headers::provenance_headers;
use crate::engine::output::outbox::RecordOrigin;
use crate::engine::output::route::{RouteIndex, Routes};
use crate::engine::topic::names::TopicNames;
use crate::id::{AssetId, Epoch, Offset, ShareId, StreamIndex, StreamSet, TenantId};
use crate::record::dead_letter::DeadLetterReason;
use crate::record::mapping::Stream;
use crate::share::graph::Grant;
use crate::share::table::query::own_end;
use crate::sink_state::cause;
use crate::sink_state::cause::{Cause, Gone, Occasion};
use crate::sink_state::document::Renderer;
use crate::sink_state::entry;
use crate::sink_state::entry::{Digest, StandingEntry};
use crate::sink_state::partition::SinkEntry;
use crate::sink_state::reconcile::{Next, Put, Reconciliation, Subject, Tombstone};
use crate::time::TimestampMs;
use crate::transport::SourcePartition;

/// Kafka's largest record around key, value and headers, with room to spare.
const AROUND: usize = 120;

/// What bringing depends on of the configuration.
#[derive(Debug, Clone)]
pub struct UpsertRules {
    /// What is read and shown.
    pub release: ReleaseRules,
    /// Names of topics.
    pub names: TopicNames,
    /// What of the configuration shows in a document besides its projection: part of the digest.
    pub form: String,
    /// `output.headers`.
    pub passes_headers: Vec<String>,
    /// `provenance: headers`.
    pub has_provenance_headers: bool,
}

/// The document at hand, loaded in the projector.
#[derive(Debug, Clone, Copy)]
pub struct AtHand<'d> {
    /// Where it lies.
    pub offset: Offset,
    /// Its Kafka timestamp.
    pub timestamp: TimestampMs,
    /// Its bytes.
    pub text: &'d [u8],
    /// Its headers that are passed on.
    pub passed: &'d [(String, Vec<u8>)],
}

/// What a route takes of documents after it refused some.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Documents that are refused, by share and where they lie: dead letters when they are brought again. Another document of the
    /// same share may be taken.
    pub documents: FxHashSet<(ShareId, Offset)>,
    /// How many documents of a route one transaction takes at most, to pin the one that is refused.
    pub most: FxHashMap<RouteIndex, usize>,
}

/// Carries transitions out, and holds what the transaction under way writes.
pub(super) struct Reconciler {
    pub(in crate::engine) rules: UpsertRules,
    pub(super) streams: Arc<[Stream]>,
    gates: Arc<Gates>,
    /// Holds the document at hand.
    pub(super) renderer: Renderer,
    pub(super) writes: WriteBuffer,
    pub(super) refusals: Refusals,
    // Scratch.
    key: Vec<u8>,
    entry: Vec<u8>,
}

impl Reconciler {
    /// `mask_secret` as for the projector.
    pub(super) fn new(rules: UpsertRules, mask_secret: Option<&[u8]>, streams: Arc<[Stream]>, gates: Arc<Gates>) -> Self {
        let renderer = Renderer::new(rules.release, mask_secret);
        let (writes, refusals) = (WriteBuffer::default(), Refusals::default());
        Self { rules, streams, gates, renderer, writes, refusals, key: Vec::new(), entry: Vec::new() }
    }

    /// Reconciles one share in one partition; `queue` has what was told and is not carried out.
    pub(super) fn reconcile<'g>(
        &mut self,
        held: &mut UpsertPartition,
        subject: Subject<'_, 'g>,
        at_hand: Option<AtHand<'_>>,
        queue: &WorkQueue,
        now: &mut Now<'g>,
    ) {
        let source = held.source();
        let Some(state) = held.active_mut() else { return };
        let Reconciliation { tombstone, next } = state.reconcile(subject, now.basis(), at_hand.is_some());
        if let Some(tombstone) = tombstone {
            let time = tombstone_time(tombstone.gone, subject, source.stream, queue, now);
            self.clear(source, taken_back(subject, source.stream, time), &tombstone.entry, time, now.routes);
        }
        let next = match next {
            Next::AwaitGate(first) if self.gates.passes(source.stream, first.target(), first.needs) => first.pass(),
            next => next,
        };
        match (next, at_hand) {
            // What waits is looked at again when its gate is open.
            (Next::Done | Next::AwaitGate(_), _) | (Next::Put(_), None) => {}
            (Next::Fetch(offset), _) => held.wants(offset),
            (Next::Put(put), Some(document)) => self.put(held, subject, put, document, queue, now),
        }
    }

    /// Writes the document at hand unless it is stored already.
    fn put(
        &mut self,
        held: &mut UpsertPartition,
        subject: Subject<'_, '_>,
        put: Put<'_>,
        document: AtHand<'_>,
        queue: &WorkQueue,
        now: &mut Now<'_>,
    ) {
        let source = held.source();
        if !self.is_shown(subject, put, document, now) {
            if let Some(Tombstone { entry, gone }) = held.active_mut().and_then(|state| state.withhold(subject.share)) {
                let time = tombstone_time(gone, subject, source.stream, queue, now);
                self.clear(source, taken_back(subject, source.stream, time), &entry, time, now.routes);
            }
            return;
        }
        let (grant, owner, epoch) = (&put.grant, subject.identity.tenant, now.view.graph.epoch());
        let digest = self.renderer.digest(put, owner, document.text, &self.rules.form);
        if put.stood == Some(digest) {
            return;
        }
        let route = self.route(source, grant.target, now.routes);
        if self.refusals.most.get(&route).is_some_and(|most| self.writes.documents_to(route) >= *most) {
            held.wants(document.offset);
            return;
        }
        let Self { rules, streams, renderer, key, entry, .. } = self;
        let stream = &streams[usize::from(source.stream.0)];
        let value = renderer.render(put, owner, document.text, epoch);
        let limit = now.routes.limit_at(route, now.boot);
        let is_too_large = limit.is_some_and(|limit| value.len() + grant.target_asset.as_str().len() + AROUND > limit);
        if is_too_large || self.refusals.documents.contains(&(subject.share.clone(), document.offset)) {
            now.letters.push(refused(&now.routes.get(route).topic, (stream, source), put, document, value.to_vec()));
            if let Some(stood) = held.active_mut().and_then(|state| state.refuse(subject.share)) {
                let work = taken_back(subject, source.stream, document.timestamp);
                self.clear(source, work, &stood, document.timestamp, now.routes);
            }
            return;
        }
        let Some(entry_value) = entry_of(subject, grant, document.offset, digest, epoch) else { return };
        key.clear();
        entry::write_key(&now.routes.get(route).topic, grant.target_asset.as_str(), key);
        entry.clear();
        entry_value.write(entry);
        let target_key = grant.target_asset.as_str().as_bytes();
        let bytes = Bytes { key: target_key, value: Some(value), standing_key: key, standing_value: Some(entry) };
        let again = work_of(subject, now.view.graph.control_time());
        self.writes.push((route, source), again, document.timestamp, Some(document.offset), bytes);
        let mut headers = document.passed.to_vec();
        if rules.has_provenance_headers {
            let origin = RecordOrigin { source, offset: document.offset };
            let permission = shown_permission(grant, &rules.release);
            headers.extend(provenance_headers(grant, epoch, permission, stream.name.as_str(), origin));
        }
        self.writes.head(headers);
        if let Some(state) = held.active_mut() {
            state.put(subject, put, digest);
        }
    }

    /// Whether the condition of the share's profile is true of the document at hand.
    fn is_shown(&self, subject: Subject<'_, '_>, put: Put<'_>, document: AtHand<'_>, now: &mut Now<'_>) -> bool {
        self.renderer.meets_condition(put, subject.identity, document.text).unwrap_or_else(|_| {
            now.condition_errors.count(put.grant.profile);
            false
        })
    }

    /// A tombstone where a document of the share is stored.
    pub(super) fn clear(&mut self, source: SourcePartition, work: Work, stood: &SinkEntry, time: TimestampMs, routes: &mut Routes) {
        let route = self.route(source, &stood.target, routes);
        let key = &mut self.key;
        key.clear();
        entry::write_key(&routes.get(route).topic, stood.key.as_str(), key);
        let bytes = Bytes { key: stood.key.as_str().as_bytes(), value: None, standing_key: key, standing_value: None };
        self.writes.push((route, source), work, time, None, bytes);
    }

    /// The route of a target's topic of the partition's stream.
    pub(super) fn route(&self, source: SourcePartition, target: &TenantId, routes: &mut Routes) -> RouteIndex {
        let name = &self.streams[usize::from(source.stream.0)].name;
        routes.find(target, source.stream, || self.rules.names.of_stream(target, name))
    }
}

/// The topic does not take this document.
fn refused(
    topic: &str,
    (stream, source): (&Stream, SourcePartition),
    put: Put<'_>,
    document: AtHand<'_>,
    value: Vec<u8>,
) -> OwnedDeadLetter {
    OwnedDeadLetter {
        topic: stream.topic.clone(),
        partition: source.partition,
        offset: document.offset,
        timestamp: document.timestamp,
        key: Some(put.grant.target_asset.as_str().as_bytes().to_vec()),
        value: Some(value),
        reason: DeadLetterReason::Refused,
        message: format!("refused by {topic}: the document is larger than its max.message.bytes, or it does not take its timestamp"),
    }
}

fn entry_of(subject: Subject<'_, '_>, grant: &Grant, offset: Offset, digest: Digest, epoch: Epoch) -> Option<StandingEntry> {
    Some(StandingEntry {
        share: subject.share.clone(),
        owner: TenantId::parse(subject.identity.tenant).ok()?,
        asset: AssetId::parse(subject.identity.asset).ok()?,
        target: grant.target.clone(),
        offset,
        digest,
        epoch,
    })
}

fn tombstone_time(gone: Gone, subject: Subject<'_, '_>, stream: StreamIndex, queue: &WorkQueue, now: &Now<'_>) -> TimestampMs {
    let Subject { share, grant, occasion, .. } = subject;
    let of_others = || queue.first_cause(gone, share, grant.map(|grant| grant.profile), stream);
    let told = if gone == Gone::Document { None } else { of_others() };
    let ended = own_end(None, grant.and_then(|grant| grant.ends.get()), now.time);
    cause::tombstone_time(gone, Cause { occasion, told, ended }, now.view.graph.control_time())
}

/// To reconcile the share again.
fn work_of(subject: Subject<'_, '_>, control_time: TimestampMs) -> Work {
    let Subject { share, identity, occasion, .. } = subject;
    let (owner, asset) = (TenantId::parse(identity.tenant), AssetId::parse(identity.asset));
    let cause = match occasion {
        Occasion::Record(at) | Occasion::Change(at) => at,
        Occasion::Reading => control_time,
    };
    Work {
        share: share.clone(),
        // What names an asset here was checked when it was read.
        owner: owner.unwrap_or_else(|_| unreachable!("a tenant's id")),
        asset: asset.unwrap_or_else(|_| unreachable!("an asset's id")),
        cause,
        shown: StreamSet::ALL,
    }
}

/// To reconcile the share again, whose document of the stream was taken back at `cause`.
fn taken_back(subject: Subject<'_, '_>, stream: StreamIndex, cause: TimestampMs) -> Work {
    Work { cause, shown: StreamSet::ALL.without(stream), ..work_of(subject, cause) }
}
