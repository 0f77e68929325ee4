//! Reconciling one share: carries out what its transition returns.

use rustc_hash::{FxHashMap, FxHashSet};

use super::changes::Work;
use super::gate::Gates;
use super::partition::Held;
use super::writes::{Bytes, Writes};
use crate::clock::BootTime;
use crate::decide::{ReleaseRules, shown_permission};
use crate::engine::deciding::provenance_headers;
use crate::engine::letters::Letter;
use crate::engine::outbox::Origin;
use crate::engine::routes::{RouteIndex, Routes};
use crate::engine::topics::TopicNames;
use crate::id::{AssetId, Epoch, Offset, ShareId, TenantId};
use crate::record::dead_letter::Reason;
use crate::record::mapping::Stream;
use crate::share::graph::Grant;
use crate::standing::document::Renderer;
use crate::standing::entry::{self, Digest, StandingEntry};
use crate::standing::partition::SinkEntry;
use crate::standing::reconcile::{Basis, Next, Put, Step, Subject};
use crate::time::{Millis, Moment};
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
    pub timestamp: Millis,
    /// Its bytes.
    pub text: &'d [u8],
    /// Its headers that are passed on.
    pub passed: &'d [(String, Vec<u8>)],
}

/// The document at hand and its renderings, and scratch memory.
#[derive(Debug)]
pub struct Projecting {
    /// Holds the document at hand.
    pub renderer: Renderer,
    key: Vec<u8>,
    entry: Vec<u8>,
}

impl Projecting {
    /// `mask_secret` as for the projector.
    pub fn new(rules: &UpsertRules, mask_secret: Option<&[u8]>) -> Self {
        Self { renderer: Renderer::new(rules.release, mask_secret), key: Vec::new(), entry: Vec::new() }
    }
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

/// One transaction's view and where its writes go.
pub struct Bringing<'a> {
    /// The configuration.
    pub rules: &'a UpsertRules,
    /// The graph and the time.
    pub basis: Basis<'a>,
    /// The same instant, for what routes remember.
    pub boot: BootTime,
    /// Whether a place is free.
    pub gates: &'a Gates,
    /// Routes of this worker.
    pub routes: &'a mut Routes,
    /// What is refused.
    pub refusals: &'a Refusals,
    /// Scratch.
    pub projecting: &'a mut Projecting,
    /// Where it is written.
    pub writes: &'a mut Writes,
    /// Dead letters.
    pub letters: &'a mut Vec<Letter>,
}

impl<'a> Bringing<'a> {
    /// Reconciles one share in one partition.
    pub fn reconcile(&mut self, held: &mut Held, stream: &Stream, subject: Subject<'_, 'a>, at_hand: Option<AtHand<'_>>) {
        let source = held.source();
        let Some(state) = held.active_mut() else { return };
        let Step { tombstone, next } = state.reconcile(subject, self.basis, at_hand.is_some());
        if let Some(tombstone) = tombstone {
            let time = ended_at(subject.grant, self.basis.now, subject.cause);
            self.clear(source, stream, work_of(subject), &tombstone.entry, time);
        }
        let next = match next {
            Next::AwaitGate(first) if self.gates.passes(stream.index, first.target(), first.needs) => first.pass(),
            next => next,
        };
        match (next, at_hand) {
            // What waits is looked at again when its gate is open.
            (Next::Done | Next::AwaitGate(_), _) | (Next::Put(_), None) => {}
            (Next::Fetch(offset), _) => held.wants(offset),
            (Next::Put(put), Some(document)) => self.put(held, stream, subject, put, document),
        }
    }

    /// Writes the document at hand unless it stands already.
    fn put(&mut self, held: &mut Held, stream: &Stream, subject: Subject<'_, 'a>, put: Put<'a>, document: AtHand<'_>) {
        let source = held.source();
        let (grant, owner, epoch) = (put.grant, subject.identity.tenant, self.basis.graph.epoch());
        let digest = self.projecting.renderer.digest(put, owner, document.text, &self.rules.form);
        if put.stood == Some(digest) {
            return;
        }
        let route = self.routes.find(&grant.target, stream.index, || self.rules.names.of_stream(&grant.target, &stream.name));
        if self.refusals.most.get(&route).is_some_and(|most| self.writes.documents_to(route) >= *most) {
            held.wants(document.offset);
            return;
        }
        let Projecting { renderer, key, entry } = &mut *self.projecting;
        let value = renderer.render(put, owner, document.text, epoch);
        let limit = self.routes.limit_at(route, self.boot);
        let is_too_large = limit.is_some_and(|limit| value.len() + grant.target_asset.as_str().len() + AROUND > limit);
        if is_too_large || self.refusals.documents.contains(&(subject.share.clone(), document.offset)) {
            self.letters.push(refused(&self.routes.get(route).topic, (stream, source), put, document, value.to_vec()));
            if let Some(stood) = held.active_mut().and_then(|state| state.refuse(subject.share)) {
                self.clear(source, stream, work_of(subject), &stood, document.timestamp);
            }
            return;
        }
        let Some(entry_value) = entry_of(subject, grant, document.offset, digest, epoch) else { return };
        key.clear();
        entry::write_key(&self.routes.get(route).topic, grant.target_asset.as_str(), key);
        entry.clear();
        entry_value.write(entry);
        let target_key = grant.target_asset.as_str().as_bytes();
        let bytes = Bytes { key: target_key, value: Some(value), standing_key: key, standing_value: Some(entry) };
        self.writes.push((route, source), work_of(subject), document.timestamp, Some(document.offset), bytes);
        let mut headers = document.passed.to_vec();
        if self.rules.has_provenance_headers {
            let origin = Origin { source, offset: document.offset };
            let permission = shown_permission(grant, &self.rules.release);
            headers.extend(provenance_headers(grant, epoch, permission, stream.name.as_str(), origin));
        }
        self.writes.head(headers);
        if let Some(state) = held.active_mut() {
            state.put(subject, put, digest);
        }
    }

    /// A tombstone where a document of the share stands.
    pub fn clear(&mut self, source: SourcePartition, stream: &Stream, work: Work, stood: &SinkEntry, time: Millis) {
        let route = self.routes.find(&stood.target, stream.index, || self.rules.names.of_stream(&stood.target, &stream.name));
        let key = &mut self.projecting.key;
        key.clear();
        entry::write_key(&self.routes.get(route).topic, stood.key.as_str(), key);
        let bytes = Bytes { key: stood.key.as_str().as_bytes(), value: None, standing_key: key, standing_value: None };
        self.writes.push((route, source), work, time, None, bytes);
    }
}

/// The topic does not take this document.
fn refused(topic: &str, (stream, source): (&Stream, SourcePartition), put: Put<'_>, document: AtHand<'_>, value: Vec<u8>) -> Letter {
    Letter {
        topic: stream.topic.clone(),
        partition: source.partition,
        offset: document.offset,
        timestamp: document.timestamp,
        key: Some(put.grant.target_asset.as_str().as_bytes().to_vec()),
        value: Some(value),
        reason: Reason::Refused,
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

/// To reconcile the share again.
fn work_of(subject: Subject<'_, '_>) -> Work {
    let Subject { share, identity, cause, .. } = subject;
    let (owner, asset) = (TenantId::parse(identity.tenant), AssetId::parse(identity.asset));
    Work {
        share: share.clone(),
        // What names an asset here was checked when it was read.
        owner: owner.unwrap_or_else(|_| unreachable!("a tenant's id")),
        asset: asset.unwrap_or_else(|_| unreachable!("an asset's id")),
        cause,
        is_live: false,
    }
}

/// The time of a tombstone: of what ended the share first.
fn ended_at(grant: Option<&Grant>, now: Moment, cause: Millis) -> Millis {
    match grant.and_then(|grant| grant.ends.get()).filter(|ends| *ends <= now) {
        Some(ends) => cause.min(ends.millis()),
        None => cause,
    }
}
